//! Every bound of this crate, with its unit, its cost and its reason.

use std::time::Duration;

/// The receive buffer that all links of a thread share, octets. One a thread. Larger reads save system calls
/// when the peer is fast, but delay the other links: 64 KiB are about 400 messages, 0.3 ms of work.
pub const RECEIVE_BUFFER: usize = 64 * 1024;

/// After a read of at least this many octets the other links get their turn first.
pub const YIELD_OCTETS: usize = 8 * 1024;

/// Octets that may wait to be sent on one link. A peer that does not read costs this much and no more.
pub const OUTBOX_MAX: usize = 4 * 1024 * 1024;

/// When more octets than this wait to be sent to a customer, it is not read until they are gone. Vendors are
/// always read: what they send are the answers that free our window.
pub const OUTBOX_STOP_READING: usize = 512 * 1024;

/// Octets that answers may take beyond [`OUTBOX_MAX`]: 10,000 answers. A peer that does not even take these is cut
/// off, for an answer that is not sent is never sent.
pub const OUTBOX_ANSWERS: usize = 512 * 1024;

/// Time that a slow peer has to take what is left to say on a link that ends in order, and in which what a peer said
/// before its connection broke is read.
pub const CLOSE_MAX: Duration = Duration::from_secs(2);

/// Send buffers kept for lending, one a link that was busy at the same time; each at most
/// [`LENT_CAPACITY_MAX`] octets.
pub const LENT_MAX: usize = 64;

/// A send buffer that grew beyond this is given back to the allocator instead of kept, octets.
pub const LENT_CAPACITY_MAX: usize = 256 * 1024;

/// Octets copied at a time for a peer that is slower than we are.
pub const SLOW_WRITE: usize = 16 * 1024;

/// Time between two looks at timers. Each look costs some microseconds.
pub const TICK: Duration = Duration::from_millis(5);

/// The same while nothing is read or written: 200 looks a second cost an idle io_uring shard 3 % of its core.
pub const TICK_IDLE: Duration = Duration::from_millis(25);

/// Every link's timers are looked at once in this many ticks: 80 ms, 400 ms on an idle shard, exact enough for timers of
/// seconds.
pub const TICKS_PER_ROUND: usize = 16;

/// Octets of the outbox encrypted at a time: one full TLS record (RFC 8446 §5.1). What is encrypted cannot be taken
/// back and counts as sent, so that a small piece loses less when the link ends.
pub const TLS_PIECE: usize = 16 * 1024;

/// Octets that one link may have encrypted but not handed to the kernel: no more is encrypted then. Four pieces let one
/// send to the kernel carry many PDUs.
pub const TLS_PENDING_MAX: usize = 4 * TLS_PIECE;

/// Octets of one link encrypted in one turn, about 0.1 ms of work; what is over it goes to the slow writer, so that the
/// other links get their turn.
pub const TLS_TURN: usize = 256 * 1024;

const _: () = assert!(TLS_PIECE <= TLS_PENDING_MAX && TLS_PENDING_MAX <= TLS_TURN);
const _: () = assert!(OUTBOX_STOP_READING < OUTBOX_MAX);
const _: () = assert!(YIELD_OCTETS <= RECEIVE_BUFFER);
