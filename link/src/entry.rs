//! What is kept for one link.

use crate::app::CloseReason;
use crate::bell::Bell;
use bytes::BytesMut;
use smpp::session::Session;
use smpp::wire::Deframer;
use std::net::SocketAddr;
use std::rc::Rc;

/// One link. Small while idle: no send or receive buffer of its own.
pub(crate) struct Entry<T> {
    pub(crate) session: Session<T>,
    pub(crate) deframer: Deframer,
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
    /// It is to end with RST instead of FIN.
    pub(crate) reset: bool,
    /// The socket was shut down already.
    pub(crate) shut: bool,
}

impl<T: Copy> Entry<T> {
    pub(crate) fn new(session: Session<T>, peer: SocketAddr) -> Self {
        let deframer = Deframer::new(session.config().pdu_size_max);
        Entry {
            session,
            deframer,
            peer,
            resume: Rc::new(Bell::default()),
            touched: false,
            writing: false,
            paused: false,
            frozen: false,
            closing: None,
            reset: false,
            shut: false,
        }
    }

    /// Whether its bytes should be left in the kernel for now.
    pub(crate) fn must_not_read(&self) -> bool {
        let peer_does_not_read = self.session.outbox_len() > crate::limits::OUTBOX_STOP_READING;
        !self.shut && (self.paused || self.frozen || peer_does_not_read)
    }

    /// Makes sure that there is a buffer to write into, a lent one if possible.
    pub(crate) fn lend(&mut self, pool: &mut Vec<BytesMut>) {
        if !self.session.outbox().has_storage()
            && let Some(storage) = pool.pop()
        {
            self.session.outbox().borrow_storage(storage);
        }
    }

    /// Gives the buffer back when nothing waits in it.
    pub(crate) fn give_back(&mut self, pool: &mut Vec<BytesMut>) {
        let mut storage = self.session.outbox().lend();
        let capacity = storage.capacity();
        if (1..=crate::limits::LENT_CAPACITY_MAX).contains(&capacity) && pool.len() < crate::limits::LENT_MAX
        {
            storage.clear();
            pool.push(storage);
        }
    }
}
