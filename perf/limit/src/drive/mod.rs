//! Load and SMSC in one thread: N customers on one side of a relay or gateway, the SMSC on its other side.
//!
//! ```text
//!   customers --submit_sm--> target --submit_sm--> SMSC
//!   customers <--resp------- target <--resp------- SMSC
//!   customers <--receipt---- target <--receipt---- SMSC   (with --receipts)
//! ```
//!
//! Both ends are known, so every message is checked at both: [`tally`] holds the proof. With `--absent` no customer
//! receives while the load runs; receivers bind afterwards and get what was parked ([`absent`]).

mod absent;
mod customer;
mod report;
mod smsc;
mod tally;
mod template;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use self::customer::{Customer, State};
use self::report::{Load, Mark, Report};
use self::smsc::Smsc;
use self::tally::Tally;
use self::template::{Receipt, Submit};
use crate::clock::{Clock, cpu_nanos};
use crate::conn::{Conn, SCRATCH, each_pdu};
use crate::wire;

const LISTENER: Token = Token(usize::MAX);
const EVENTS_PER_TURN: usize = 256;
/// Pause between two attempts to bind at a target that is still starting.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
/// After the last bind on both sides, for the target to finish its own bookkeeping.
const SETTLE: Duration = Duration::from_millis(200);
/// No answer and no receipt for this long means that the rest is lost.
const SILENCE_MAX: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Address of the relay or gateway
    #[arg(long)]
    target: SocketAddr,
    /// Address to listen on as the SMSC
    #[arg(long)]
    listen: SocketAddr,
    /// Customers' binds
    #[arg(long, default_value_t = 8)]
    binds: usize,
    /// Messages in flight per bind
    #[arg(long, default_value_t = 500)]
    window: usize,
    /// Messages of the measured part
    #[arg(long, default_value_t = 1_000_000, conflicts_with = "seconds")]
    messages: u64,
    /// Length of the measured part, instead of a number of messages
    #[arg(long)]
    seconds: Option<f64>,
    /// Messages before the measured part
    #[arg(long, default_value_t = 0)]
    warmup: u64,
    /// Ask for receipts and send them
    #[arg(long)]
    receipts: bool,
    /// Bind as transmitters, so that every receipt is parked; print a line, wait for a line, then bind receivers
    #[arg(long, requires = "receipts")]
    absent: bool,
    /// Send no receipt while the load runs; print a line, wait for a line, then begin anew on new connections and send
    /// them all: the target may have been killed and started again meanwhile
    #[arg(long, requires = "receipts", conflicts_with = "absent")]
    withhold: bool,
    /// Receipts in flight per SMSC connection
    #[arg(long, default_value_t = 1000)]
    receipt_window: usize,
    /// Binds at the SMSC to wait for before the load starts; 0 = as many as customers' binds
    #[arg(long, default_value_t = 0)]
    upstream_binds: usize,
    /// Seconds to wait for the target to be ready
    #[arg(long, default_value_t = 20)]
    patience: u64,
    #[arg(long, default_value = "drive")]
    system_id: String,
    #[arg(long, default_value = "secret")]
    password: String,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// Runs the load; an error when output differs from input.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let mut drive = Drive::new(options)?;
    drive.bind_all()?;
    let load = drive.load()?;
    let release = match (options.absent, options.withhold) {
        (true, _) => Some(drive.release_parked()?),
        (_, true) => Some(drive.send_withheld()?),
        _ => None,
    };
    let report = Report::new(options, &mut drive.world.tally, load, release);
    drive.unbind_all();
    report.print(options.json)?;
    report.verdict()
}

/// One end of one connection.
enum Role {
    Customer(Customer),
    Smsc(Smsc),
}

struct Peer {
    conn: Conn,
    role: Role,
    alive: bool,
}

/// Everything of the thread; peers keep their place, so a token is an index.
struct Drive<'a> {
    options: &'a Options,
    poll: Poll,
    listener: TcpListener,
    peers: Vec<Peer>,
    world: World<'a>,
    events: Events,
    scratch: Vec<u8>,
    /// Tokens to look at without an event: their last read filled the buffer.
    again: Vec<Token>,
    ready: Vec<(Token, bool)>,
}

/// What every peer needs, apart from the peers.
struct World<'a> {
    options: &'a Options,
    submit: Submit,
    receipt: Receipt,
    tally: Tally,
    clock: Clock,
    /// Messages still to be sent; 0 outside the load.
    left: u64,
    /// Messages whose receipts are withheld, in the order of their arrival; bounded by the messages.
    withheld: Vec<u32>,
    /// Receipts are kept back now.
    withholding: bool,
    /// A closed connection is a fault only while the load runs.
    loading: bool,
}

impl<'a> Drive<'a> {
    fn new(options: &'a Options) -> anyhow::Result<Drive<'a>> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(options.listen)
            .with_context(|| format!("cannot listen on {}", options.listen))?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let world = World {
            options,
            submit: Submit::new(options.receipts),
            receipt: Receipt::new(),
            tally: Tally::new(options.receipts)?,
            clock: Clock::new(),
            left: 0,
            withheld: Vec::new(),
            withholding: options.withhold,
            loading: false,
        };
        Ok(Drive {
            options,
            poll,
            listener,
            peers: Vec::new(),
            world,
            events: Events::with_capacity(EVENTS_PER_TURN),
            scratch: vec![0; SCRATCH],
            again: Vec::new(),
            ready: Vec::new(),
        })
    }

    /// Binds every customer and waits for the target's own binds.
    fn bind_all(&mut self) -> anyhow::Result<()> {
        let deadline =
            self.world.clock.nanos() + Duration::from_secs(self.options.patience).as_nanos() as u64;
        let upstream = match self.options.upstream_binds {
            0 => self.options.binds,
            count => count,
        };
        let mut next_attempt = 0;
        loop {
            let (mut customers, mut bound, mut at_smsc) = (0, 0, 0);
            for peer in self.peers.iter_mut().filter(|peer| peer.alive) {
                match &peer.role {
                    Role::Customer(customer) if customer.state == State::Refused => peer.alive = false,
                    Role::Customer(customer) => {
                        customers += 1;
                        bound += usize::from(customer.state == State::Bound);
                    }
                    Role::Smsc(smsc) => at_smsc += usize::from(smsc.bound),
                }
            }
            if bound >= self.options.binds && at_smsc >= upstream {
                break;
            }
            if self.world.clock.nanos() > deadline {
                bail!(
                    "the target is not ready: {bound} customers bound, {at_smsc} binds at the SMSC of {upstream}"
                );
            }
            // One connection tries until the target takes it; then the others follow.
            let wanted = if bound == 0 { 1 } else { self.options.binds };
            if customers < wanted && self.world.clock.nanos() >= next_attempt {
                let sends_only = self.options.absent || self.options.withhold;
                let kind = if sends_only { wire::BIND_TRANSMITTER } else { wire::BIND_TRANSCEIVER };
                for _ in customers..wanted {
                    self.connect(kind)?;
                }
                next_attempt = self.world.clock.nanos() + RETRY_PAUSE.as_nanos() as u64;
            }
            self.turn(Some(RETRY_PAUSE))?;
        }
        let settled = self.world.clock.nanos() + SETTLE.as_nanos() as u64;
        while self.world.clock.nanos() < settled {
            self.turn(Some(RETRY_PAUSE))?;
        }
        self.world.tally.counts = tally::Counts::default();
        Ok(())
    }

    fn connect(&mut self, kind: u32) -> anyhow::Result<()> {
        let stream = TcpStream::connect(self.options.target)?;
        let role = Role::Customer(Customer::new(self.options.window, kind));
        let index = self.add(stream, role)?;
        let bind = Customer::bind(kind, &self.options.system_id, &self.options.password);
        // Not connected yet: it is written when the writable event comes.
        self.peers[index].conn.out().extend_from_slice(&bind);
        Ok(())
    }

    fn add(&mut self, mut stream: TcpStream, role: Role) -> anyhow::Result<usize> {
        let index = self.peers.len();
        self.poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
        self.peers.push(Peer { conn: Conn::new(stream), role, alive: true });
        Ok(index)
    }

    /// Sends everything and waits for every answer.
    fn load(&mut self) -> anyhow::Result<Load> {
        let budget = if self.options.seconds.is_some() { u64::MAX } else { self.options.messages };
        self.world.left = budget.saturating_add(self.options.warmup).min(u64::from(u32::MAX));
        self.world.loading = true;
        let mut start = (self.options.warmup == 0).then(|| self.mark());
        for index in 0..self.peers.len() {
            self.peer_turn(Token(index), true);
        }
        let (mut progress, mut progress_at) = (0, self.world.clock.nanos());
        let measured = self.options.seconds.map_or(u64::MAX, |seconds| (seconds * 1e9) as u64);
        let mut silence = None;
        while !self.complete() {
            self.turn(Some(Duration::from_millis(100)))?;
            let counts = &self.world.tally.counts;
            let (sum, answered) = (counts.answered + counts.refused + counts.receipts, counts.answered);
            let now = self.world.clock.nanos();
            match start {
                None if answered >= self.options.warmup => {
                    self.world.tally.forget_latencies();
                    start = Some(self.mark());
                }
                Some(start) if now.saturating_sub(start.at) >= measured => self.world.left = 0,
                _ => {}
            }
            if sum != progress {
                (progress, progress_at) = (sum, now);
            } else if now - progress_at > SILENCE_MAX.as_nanos() as u64 {
                silence = Some(format!("nothing came for {} s", SILENCE_MAX.as_secs()));
                break;
            }
        }
        self.world.loading = false;
        self.world.left = 0;
        let end = self.mark();
        let start = start.context("the run ended within its warm-up")?;
        Ok(Load { start, end, silence })
    }

    fn complete(&self) -> bool {
        let counts = &self.world.tally.counts;
        self.world.left == 0
            && counts.answered + counts.refused == counts.submitted
            && (!self.options.receipts
                || self.options.withhold
                || counts.receipts_acknowledged + counts.receipts_refused + counts.refused
                    >= counts.submitted)
    }

    fn mark(&self) -> Mark {
        Mark { at: self.world.clock.nanos(), cpu: cpu_nanos(), answered: self.world.tally.counts.answered }
    }

    /// Orderly end of the customers' binds, so that a gateway sees no broken connection.
    fn unbind_all(&mut self) {
        let unbind = wire::pdu(wire::UNBIND, 0, wire::SEQUENCE_MAX, &[]);
        for peer in self.peers.iter_mut().filter(|peer| peer.alive && matches!(peer.role, Role::Customer(_)))
        {
            // An error here means that the peer is gone already.
            let _ = peer.conn.send(&unbind);
        }
        let deadline = self.world.clock.nanos() + Duration::from_secs(1).as_nanos() as u64;
        let bound =
            |peer: &Peer| matches!(&peer.role, Role::Customer(c) if c.state == State::Bound && peer.alive);
        while self.peers.iter().any(bound) && self.world.clock.nanos() < deadline {
            if self.turn(Some(RETRY_PAUSE)).is_err() {
                return;
            }
        }
    }

    /// Serves every event there is, and waits for one when there is none.
    fn turn(&mut self, timeout: Option<Duration>) -> anyhow::Result<()> {
        let timeout = if self.again.is_empty() { timeout } else { Some(Duration::ZERO) };
        if let Err(error) = self.poll.poll(&mut self.events, timeout)
            && error.kind() != std::io::ErrorKind::Interrupted
        {
            return Err(error.into());
        }
        let mut ready = std::mem::take(&mut self.ready);
        ready.extend(self.again.drain(..).map(|token| (token, false)));
        ready.extend(self.events.iter().map(|event| (event.token(), event.is_writable())));
        for (token, writable) in ready.drain(..) {
            if token == LISTENER {
                while let Ok((stream, _)) = self.listener.accept() {
                    self.add(stream, Role::Smsc(Smsc::new(self.options.receipt_window)))?;
                }
            } else {
                self.peer_turn(token, writable);
            }
        }
        self.ready = ready;
        Ok(())
    }

    fn peer_turn(&mut self, token: Token, writable: bool) {
        let peer = &mut self.peers[token.0];
        if !peer.alive {
            return;
        }
        match peer.turn(&mut self.world, &mut self.scratch, writable) {
            Ok(true) => self.again.push(token),
            Ok(false) => {}
            Err(error) => {
                peer.alive = false;
                self.world.tally.counts.disconnects += u64::from(self.world.loading);
                if self.world.loading {
                    eprintln!("a connection ended: {error}");
                }
            }
        }
    }
}

impl Peer {
    /// Reads once, handles every whole PDU, writes once. True when there may be more to read.
    fn turn(&mut self, world: &mut World<'_>, scratch: &mut [u8], writable: bool) -> anyhow::Result<bool> {
        if writable && self.conn.pending() > 0 {
            self.conn.flush()?;
        }
        let now = world.clock.nanos();
        let filled = self.conn.read(scratch)?;
        let more = filled.as_ref().is_some_and(|filled| filled.more);
        if let Some(filled) = filled {
            let bytes = &mut scratch[..filled.length];
            let (role, out) = (&mut self.role, self.conn.out());
            let end = each_pdu(bytes, |pdu| {
                match role {
                    Role::Customer(customer) => customer.handle(pdu, &mut world.tally, now, out)?,
                    Role::Smsc(smsc) => {
                        smsc.handle(pdu, &world.submit, world.options.receipts, &mut world.tally, out);
                        if world.withholding {
                            world.withheld.extend(smsc.take_waiting());
                        }
                    }
                }
                Ok(())
            })?;
            self.conn.keep(&bytes[end..]);
        }
        match &mut self.role {
            Role::Customer(customer) if world.left > 0 && customer.state == State::Bound => {
                customer.fill(&world.submit, &mut world.tally, &mut world.left, now, self.conn.out());
            }
            Role::Customer(_) => {}
            Role::Smsc(smsc) => smsc.send_receipts(&world.receipt, &mut world.tally, self.conn.out()),
        }
        self.conn.flush()?;
        Ok(more)
    }
}
