//! Where the node stands in its life, and how it ends in order.
//!
//! On a request to stop: (1) readiness says no, so that nobody new is sent here; (2) after a pause for that word to
//! spread, every shard is told to drain: no new message, answer what is in flight, unbind; (3) when all have, or the
//! time is up, control itself ends. Liveness stays yes until then: a node that drains is not to be killed.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// Where the node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Not listening yet.
    Starting = 0,
    /// Listening.
    Ready = 1,
    /// On its way out.
    Draining = 2,
    /// Every shard has ended, or the time was up.
    Ended = 3,
}

impl Phase {
    /// The word for `/state` and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Ready => "ready",
            Phase::Draining => "draining",
            Phase::Ended => "ended",
        }
    }
}

/// Times of a drain.
#[derive(Clone, Copy, Debug)]
pub struct DrainOptions {
    /// Pause between saying "not ready" and draining, for load balancers to notice.
    pub pre_stop: Duration,
    /// How long the shards may take.
    pub drain_max: Duration,
}

impl Default for DrainOptions {
    fn default() -> Self {
        DrainOptions { pre_stop: Duration::ZERO, drain_max: Duration::from_secs(30) }
    }
}

/// A phase that threads share; it only moves forward.
#[derive(Debug, Default)]
pub(crate) struct SharedPhase(AtomicU8);

impl SharedPhase {
    pub(crate) fn now(&self) -> Phase {
        match self.0.load(Ordering::SeqCst) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            2 => Phase::Draining,
            _ => Phase::Ended,
        }
    }

    /// Moves forward to a phase; an earlier one changes nothing.
    pub(crate) fn advance(&self, phase: Phase) {
        self.0.fetch_max(phase as u8, Ordering::SeqCst);
    }
}
