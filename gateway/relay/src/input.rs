//! What comes with a request, beside its bytes.

use crate::message::LinkKey;
use smpp::time::Instant;

/// When and where a request came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// Now, by the shards' common monotonic clock.
    pub now: Instant,
    /// Seconds since 1970 UTC, as the wall clock shows it; only for ids and absolute validity.
    pub unix_seconds: u64,
    /// The link it came in on.
    pub link: LinkKey,
    /// The session layer says that the peer exceeded its window with it.
    pub over_window: bool,
}
