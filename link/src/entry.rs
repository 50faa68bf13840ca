//! What is kept for one link.

use crate::app::CloseReason;
use crate::bell::Bell;
use crate::counters::Counters;
use crate::limits;
use crate::tls::Tls;
use bytes::BytesMut;
use runtime::Stream;
use smpp::session::{Role, Session, State};
use smpp::time::Instant;
use smpp::wire::Deframer;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

/// One link. Small while idle: no send or receive buffer of its own.
pub(crate) struct Entry<T> {
    pub(crate) session: Session<T>,
    pub(crate) deframer: Deframer,
    /// What encrypts it, where something does.
    pub(crate) tls: Option<Box<Tls>>,
    pub(crate) peer: SocketAddr,
    /// Wakes the reader when a reason not to read has gone.
    pub(crate) resume: Rc<Bell>,
    /// Stands in the list of links to be written in this turn.
    pub(crate) touched: bool,
    /// A task of its own writes to the slow peer.
    pub(crate) writing: bool,
    /// The program wants no more bytes from it.
    pub(crate) paused: bool,
    /// Neither read nor written, yet open: a simulated half-open connection.
    pub(crate) frozen: bool,
    /// It is to end, and why.
    pub(crate) closing: Option<CloseReason>,
    /// Since when.
    pub(crate) closing_since: Instant,
    /// It ends because its session is over: what waits is sent first, for as long as [`limits::CLOSE_MAX`].
    pub(crate) in_order: bool,
    /// Why the session ends in order, where it is not for an unbind.
    pub(crate) ends_for: Option<CloseReason>,
    /// It is to end with RST instead of FIN.
    pub(crate) reset: bool,
    /// Nothing can be written any more, since when and why. What came before is still read.
    pub(crate) broken: Option<(Instant, io::ErrorKind)>,
    /// The peer says nothing more.
    pub(crate) peer_ended: bool,
    /// What was read behind a bind that is not answered yet, plain text. At most one read (and one TLS record): nothing
    /// more is read meanwhile.
    pub(crate) held: Vec<u8>,
    /// The socket was shut down already.
    pub(crate) shut: bool,
}

impl<T: Copy> Entry<T> {
    pub(crate) fn new(session: Session<T>, peer: SocketAddr, tls: Option<Box<Tls>>) -> Self {
        let deframer = Deframer::new(session.config().pdu_size_max);
        Entry {
            session,
            deframer,
            tls,
            peer,
            resume: Rc::new(Bell::default()),
            touched: false,
            writing: false,
            paused: false,
            frozen: false,
            closing: None,
            closing_since: Instant::default(),
            in_order: false,
            ends_for: None,
            reset: false,
            broken: None,
            peer_ended: false,
            held: Vec::new(),
            shut: false,
        }
    }

    /// Whether its bytes should be left in the kernel for now.
    pub(crate) fn must_not_read(&self) -> bool {
        let is_customer = self.session.config().role == Role::Smsc;
        let peer_does_not_read =
            is_customer && self.broken.is_none() && self.session.outbox_len() > limits::OUTBOX_STOP_READING;
        !self.shut && (self.paused || self.frozen || peer_does_not_read || self.waits_for_bind())
    }

    /// Whether the peer's bind is not answered yet: what it said behind it waits.
    #[inline]
    pub(crate) fn waits_for_bind(&self) -> bool {
        self.session.state() == State::Binding && self.session.config().role == Role::Smsc
    }

    /// Whether the session is over, so that the link is to end.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.session.state() == State::Unbound && self.closing.is_none()
    }

    /// Whether something may be said on it.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.closing.is_none() && self.broken.is_none()
    }

    /// The connection takes nothing any more. What the peer said before it broke is read first.
    pub(crate) fn broke(&mut self, now: Instant, kind: io::ErrorKind) {
        self.writing = false;
        self.broken.get_or_insert((now, kind));
        if self.peer_ended {
            self.closing.get_or_insert(CloseReason::Failed(kind));
        }
        self.resume.ring();
    }

    /// Whether something could be written now; a bind that waits for the handshake could not.
    pub(crate) fn has_to_write(&self) -> bool {
        if self.broken.is_some() {
            return false;
        }
        let waits = self.session.outbox_len() > 0;
        match &self.tls {
            None => waits,
            Some(tls) => !tls.pending().is_empty() || waits && tls.is_established(),
        }
    }

    /// Hands the kernel what it takes without waiting.
    pub(crate) fn write<S: Stream>(&mut self, stream: &S, counters: &mut Counters) -> io::Result<()> {
        // A link that is to end has this one turn.
        let turn = if self.closing.is_some() { usize::MAX } else { limits::TLS_TURN };
        let Entry { tls, session, .. } = self;
        let outbox = session.outbox();
        let Some(tls) = tls else {
            counters.writes += 1;
            let octets = stream.try_write(outbox.bytes())?;
            outbox.advance(octets);
            counters.octets_out += octets as u64;
            return Ok(());
        };
        let mut encrypted = 0;
        loop {
            while encrypted < turn {
                let octets = tls.encrypt(outbox.bytes());
                outbox.advance(octets);
                encrypted += octets;
                if octets == 0 {
                    break;
                }
            }
            if tls.pending().is_empty() {
                return Ok(());
            }
            counters.writes += 1;
            let octets = stream.try_write(tls.pending())?;
            tls.advance(octets);
            counters.octets_out += octets as u64;
            if !tls.pending().is_empty() {
                return Ok(()); // the kernel is full
            }
        }
    }

    /// Copies what a slow writer is to write next.
    pub(crate) fn copy_next(&mut self, chunk: &mut Vec<u8>) {
        let outbox = self.session.outbox();
        match &mut self.tls {
            None => chunk.extend_from_slice(&outbox.bytes()[..outbox.len().min(limits::SLOW_WRITE)]),
            Some(tls) => {
                if tls.pending().is_empty() {
                    let octets = tls.encrypt(outbox.bytes());
                    outbox.advance(octets);
                }
                chunk.extend_from_slice(tls.pending());
            }
        }
    }

    /// The kernel took so many octets of what the slow writer had copied.
    pub(crate) fn took(&mut self, octets: usize) {
        match &mut self.tls {
            None => self.session.outbox().advance(octets),
            Some(tls) => tls.advance(octets),
        }
    }

    /// Tells the peer of a TLS link that nothing more will come, if that can still be told.
    pub(crate) fn say_farewell<S: Stream>(&mut self, stream: &S) {
        let may_write = !self.shut && !self.reset && !self.frozen && !self.writing && self.broken.is_none();
        if let Some(tls) = &mut self.tls
            && may_write
            && tls.pending().is_empty()
        {
            tls.end();
            // A peer that does not take these octets learns of the end from the connection's.
            let _ = stream.try_write(tls.pending());
        }
    }

    /// Makes sure that there is a buffer to write into, a lent one if possible.
    pub(crate) fn lend(&mut self, pool: &mut Vec<BytesMut>) {
        if !self.session.outbox().has_storage()
            && let Some(storage) = pool.pop()
        {
            self.session.outbox().borrow_storage(storage);
        }
    }

    /// Gives the buffers back in which nothing waits.
    pub(crate) fn give_back(&mut self, pool: &mut Vec<BytesMut>) {
        keep(self.session.outbox().lend(), pool);
        if let Some(tls) = &mut self.tls {
            keep(tls.give_back(), pool);
        }
    }
}

fn keep(mut storage: BytesMut, pool: &mut Vec<BytesMut>) {
    if (1..=limits::LENT_CAPACITY_MAX).contains(&storage.capacity()) && pool.len() < limits::LENT_MAX {
        storage.clear();
        pool.push(storage);
    }
}
