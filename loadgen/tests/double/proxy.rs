//! The double: it stands where a gateway would, between loadgen and two sites, and does one thing wrong.
//!
//! ```text
//!   loadgen ── customer leg ══ Double ══ site leg ── East or West, by the account
//!              one thread each, reading; one lock; writes happen under it
//! ```
//!
//! A leg is one connection. A customer's bind opens a leg to the site of its account, and the two are peers. Requests
//! get a new sequence number on the leg they leave by, so that the double can send requests of its own; it remembers
//! where each answer goes. Threads: one that accepts, one for each leg, one that keeps time; all end with
//! [`Double::finish`].

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use ledger::MessageKey;
use smpp::wire::write_header_only;
use smpp::{BindKind, CommandId, CommandStatus, Deframer};

use super::fault::{Fault, On};
use super::legs::{Leg, LegId};
use super::message::{Message, Response, header, is_receipt};

/// A running double.
pub(crate) struct Double {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: JoinHandle<()>,
    clock: JoinHandle<()>,
}

/// What the threads share.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Rings when something is held back, when a leg ends, and at the end.
    bell: Condvar,
}

/// Everything the double knows.
pub(crate) struct State {
    pub(crate) fault: Fault,
    pub(crate) legs: Vec<Leg>,
    pub(super) readers: Vec<JoinHandle<()>>,
    pub(super) accounts: Vec<(&'static str, usize)>,
    pub(super) sites: Vec<SocketAddr>,
    /// Which message an id of a site names.
    ids: HashMap<(usize, Vec<u8>), MessageKey>,
    pub(crate) struck: HashSet<MessageKey>,
    pub(crate) strikes: u64,
    pub(crate) held: Vec<Held>,
    is_ending: bool,
}

/// A request that was passed on.
pub(super) struct Waiting {
    /// Where its answer goes; none: nowhere.
    back: Option<(LegId, u32)>,
    on: On,
    key: Option<MessageKey>,
}

/// A PDU on its way through.
#[derive(Clone, Debug)]
pub(crate) struct Passing {
    pub(crate) on: On,
    pub(crate) from: LegId,
    pub(crate) to: LegId,
    /// A request's own number on the leg it came from; a response's on the leg it goes to.
    pub(crate) sequence: u32,
    pub(crate) key: Option<MessageKey>,
    pub(crate) bytes: Vec<u8>,
}

/// A PDU that is kept back.
pub(crate) struct Held {
    pub(crate) due: Instant,
    /// It waits for another one, and passes unharmed when none comes.
    pub(crate) for_partner: bool,
    pub(crate) passing: Passing,
}

impl Double {
    /// Listens on a free port. `accounts` are system_ids with the index of the site they belong to.
    pub(crate) fn start(fault: &Fault, accounts: &[(&'static str, usize)], sites: &[SocketAddr]) -> Double {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = State {
            fault: *fault,
            legs: Vec::new(),
            readers: Vec::new(),
            accounts: accounts.to_vec(),
            sites: sites.to_vec(),
            ids: HashMap::new(),
            struck: HashSet::new(),
            strikes: 0,
            held: Vec::new(),
            is_ending: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), bell: Condvar::new() });
        let acceptor = {
            let shared = shared.clone();
            std::thread::spawn(move || accept(&shared, &listener))
        };
        let clock = {
            let shared = shared.clone();
            std::thread::spawn(move || keep_time(&shared))
        };
        Double { address, shared, acceptor, clock }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every leg and thread; tells how often the double struck since its start.
    pub(crate) fn finish(self) -> u64 {
        let mut state = self.shared.lock();
        state.is_ending = true;
        state.release(None);
        state.unbind_own();
        self.shared.bell.notify_all();
        let end = Instant::now() + PATIENCE;
        while state.legs.iter().any(|leg| leg.is_open) && Instant::now() < end {
            state = self.shared.bell.wait_timeout(state, PATIENCE).expect("no reader panicked").0;
        }
        for leg in &state.legs {
            // Those that ended in order are closed already.
            let _ = leg.stream.shutdown(Shutdown::Both);
        }
        let readers = std::mem::take(&mut state.readers);
        let strikes = state.strikes;
        drop(state);
        // Wakes the acceptor, which then sees that this is the end.
        drop(TcpStream::connect(self.address));
        self.acceptor.join().expect("the acceptor ends");
        self.clock.join().expect("the clock ends");
        for reader in readers {
            reader.join().expect("a reader ends");
        }
        strikes
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread of the double panicked")
    }
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    while let Ok((stream, _)) = listener.accept() {
        let mut state = shared.lock();
        if state.is_ending {
            return;
        }
        state.add_leg(shared, stream, None);
    }
}

/// Lets what is held back go when it is due.
fn keep_time(shared: &Shared) {
    let mut state = shared.lock();
    while !state.is_ending {
        let now = Instant::now();
        state.release(Some(now));
        let next = state.held.iter().map(|held| held.due).min();
        let wait = next.map_or(PATIENCE, |due| due.saturating_duration_since(now));
        state = shared.bell.wait_timeout(state, wait).expect("no reader panicked").0;
    }
}

pub(super) fn read(shared: &Arc<Shared>, leg: LegId, mut stream: TcpStream) {
    let mut deframer = Deframer::new(PDU_SIZE_MAX);
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        let mut cursor = 0;
        while let Ok(Some(frame)) = deframer.next(&buffer[..length], &mut cursor) {
            shared.lock().take(shared, leg, frame.bytes().to_vec());
        }
        shared.bell.notify_all();
    }
    shared.lock().ended(leg);
    shared.bell.notify_all();
}

impl State {
    fn take(&mut self, shared: &Arc<Shared>, leg: LegId, bytes: Vec<u8>) {
        let (command, sequence) = (CommandId(header(&bytes, 4)), header(&bytes, 12));
        if command.is_response() {
            return self.take_response(leg, sequence, bytes);
        }
        if BindKind::of_command(command).is_some() {
            return self.bind(shared, leg, sequence, &bytes);
        }
        let (on, key) = match command {
            CommandId::SUBMIT_SM => (On::Submit, Message::read(&bytes).key()),
            CommandId::DELIVER_SM if is_receipt(&bytes) => (On::Receipt, self.key_of_receipt(leg, &bytes)),
            CommandId::DELIVER_SM => (On::Mo, Message::read(&bytes).key()),
            _ => (On::Other, None),
        };
        let to = match (self.legs[leg].peer, self.legs[leg].account) {
            (Some(peer), _) => Some(peer),
            (None, Some(account)) if on != On::Other => self.receiver_of(account),
            _ => None,
        };
        match to {
            Some(to) => self.handle(Passing { on, from: leg, to, sequence, key, bytes }),
            None => {
                let mut bytes = BytesMut::new();
                write_header_only(&mut bytes, command.response(), CommandStatus::ESME_ROK, sequence);
                self.write(leg, &bytes);
            }
        }
    }

    fn take_response(&mut self, leg: LegId, sequence: u32, bytes: Vec<u8>) {
        let Some(Waiting { back, on, key }) = self.legs[leg].waiting.remove(&sequence) else { return };
        if on == On::Submit {
            let response = Response::read(&bytes);
            if let (Some(site), Some(key), 0) = (self.legs[leg].site, key, response.status) {
                self.ids.insert((site, response.id), key);
            }
        }
        if let Some((to, sequence)) = back {
            self.handle(Passing { on: on.response(), from: leg, to, sequence, key, bytes });
        }
    }

    fn key_of_receipt(&self, leg: LegId, bytes: &[u8]) -> Option<MessageKey> {
        let id = Message::read(bytes).receipt_id();
        self.ids.get(&(self.legs[leg].site?, id)).copied()
    }

    /// Passes a PDU on as it is.
    pub(crate) fn pass(&mut self, passing: &Passing) {
        let Passing { on, from, to, sequence, key, ref bytes } = *passing;
        if on.is_response() || on == On::Other && header(bytes, 4) & RESPONSE != 0 {
            self.answer(to, sequence, bytes);
        } else {
            self.request(to, bytes, Some((from, sequence)), on, key);
        }
    }

    /// Writes a request with a new number of its leg.
    pub(crate) fn request(
        &mut self,
        to: LegId,
        bytes: &[u8],
        back: Option<(LegId, u32)>,
        on: On,
        key: Option<MessageKey>,
    ) {
        let leg = &mut self.legs[to];
        leg.sequence += 1;
        let sequence = leg.sequence;
        leg.waiting.insert(sequence, Waiting { back, on, key });
        self.answer(to, sequence, bytes);
    }

    /// Writes a PDU with this number.
    pub(crate) fn answer(&mut self, to: LegId, sequence: u32, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        bytes[12..16].copy_from_slice(&sequence.to_be_bytes());
        self.write(to, &bytes);
    }

    fn write(&mut self, to: LegId, bytes: &[u8]) {
        let leg = &mut self.legs[to];
        // A leg that ended takes nothing; its reader tells.
        if leg.is_open {
            let _ = leg.stream.write_all(bytes);
        }
    }

    /// Lets go what is due by `now`, or everything.
    fn release(&mut self, now: Option<Instant>) {
        let held = std::mem::take(&mut self.held);
        let is_due = |held: &Held| now.is_none_or(|now| held.due <= now);
        let (due, rest): (Vec<Held>, Vec<Held>) = held.into_iter().partition(is_due);
        self.held = rest;
        for held in due {
            self.pass(&held.passing);
        }
    }
}

const PDU_SIZE_MAX: u32 = 64 * 1024;

/// Longest wait for a peer that should act at once.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The bit that makes a command a response.
const RESPONSE: u32 = 0x8000_0000;
