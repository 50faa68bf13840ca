//! What a program adds to the links: its reactions.

use crate::links::Links;
use crate::tls::TlsFailure;
use smpp::session::{DeadlineReason, Event};
use smpp::wire::FrameError;

/// Names one link of a hub; never used again for another link.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LinkId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl LinkId {
    /// The place of the link in a table of the hub's links; another link may take it once this one is gone.
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// The id as one number, for crates that must not know links.
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// The id behind such a number.
    pub const fn from_bits(bits: u64) -> Self {
        LinkId { index: bits as u32, generation: (bits >> 32) as u32 }
    }
}

/// A program's reactions to what its links do. One value per hub; everything runs on the hub's thread.
pub trait App: Sized + 'static {
    /// What is remembered with each request that is sent.
    type Token: Copy + 'static;

    /// A PDU came in, or a request expired.
    fn on_event(&mut self, links: &mut Links<Self::Token>, id: LinkId, event: Event<'_, Self::Token>);

    /// The link is gone. Comes exactly once for every link.
    fn on_closed(&mut self, links: &mut Links<Self::Token>, id: LinkId, closed: Closed<Self::Token>);

    /// Time has passed; called every [`crate::limits::TICK`].
    fn on_tick(&mut self, links: &mut Links<Self::Token>);

    /// All that was ready has been handled, and the links touched are about to be written.
    fn on_flush(&mut self, _links: &mut Links<Self::Token>) {}
}

/// What a closed link leaves behind.
#[derive(Debug)]
pub struct Closed<T> {
    /// Why it closed.
    pub reason: CloseReason,
    /// Unanswered requests of which the kernel (on a TLS link the encryption) took every octet: the peer may have acted
    /// on them.
    pub written: Vec<T>,
    /// Unanswered requests that certainly were not received whole.
    pub unsent: Vec<T>,
}

/// Why a link closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The peer closed the connection.
    PeerClosed,
    /// The connection failed.
    Failed(std::io::ErrorKind),
    /// One side unbound in order.
    Unbound,
    /// Our bind was refused.
    BindRefused,
    /// A timer ended it.
    TimedOut(DeadlineReason),
    /// The peer's bytes are not PDUs.
    Framing(FrameError),
    /// The handshake failed, or the encrypted connection broke.
    Tls(TlsFailure),
    /// The peer did not read while we had more to say than is kept.
    OutboxFull,
    /// Handling the peer's bytes panicked.
    Panicked,
    /// The program wanted it so.
    Local,
}

impl CloseReason {
    /// A short word for metrics and logs.
    pub const fn label(self) -> &'static str {
        match self {
            CloseReason::PeerClosed => "peer_closed",
            CloseReason::Failed(_) => "failed",
            CloseReason::Unbound => "unbound",
            CloseReason::BindRefused => "bind_refused",
            CloseReason::TimedOut(DeadlineReason::Bind) => "bind_timeout",
            CloseReason::TimedOut(DeadlineReason::NoSignOfLife) => "no_sign_of_life",
            CloseReason::TimedOut(DeadlineReason::Inactivity) => "inactivity",
            CloseReason::TimedOut(_) => "timed_out",
            CloseReason::Framing(_) => "framing",
            CloseReason::Tls(failure) => failure.label(),
            CloseReason::OutboxFull => "outbox_full",
            CloseReason::Panicked => "panicked",
            CloseReason::Local => "local",
        }
    }
}
