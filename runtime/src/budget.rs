//! Bounds how much work is done before others are looked at.

use std::cell::Cell;

use crate::monotonic_nanos;

/// Counts work down within one turn of a loop, in units of the caller's choice (frames, messages, bytes).
///
/// A loop over ready work spends one unit a step; when the budget is used up it yields and refills. That bounds
/// how long one busy source may hold a shard, whatever the machine's speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    full: u32,
    left: u32,
}

impl Budget {
    /// A full budget of `units` a turn; `units` must not be zero, or nothing would ever run.
    pub const fn new(units: u32) -> Self {
        assert!(units > 0, "a budget of zero would stop the loop");
        Self { full: units, left: units }
    }

    /// Takes `units`; false when the budget is now used up and the caller should yield.
    #[must_use]
    pub const fn spend(&mut self, units: u32) -> bool {
        self.left = self.left.saturating_sub(units);
        self.left > 0
    }

    /// Starts the next turn.
    pub const fn refill(&mut self) {
        self.left = self.full;
    }

    /// Units left in this turn.
    pub const fn left(&self) -> u32 {
        self.left
    }
}

/// How long the tasks of a shard may run before one that asks is told to yield, so that sockets are looked at.
/// Half a millisecond keeps a quiet session well under 5 ms beside several busy ones; a look costs about 1 µs.
pub(crate) const TURN_NANOS: u64 = 500_000;

thread_local! {
    static TURN_STARTED: Cell<u64> = const { Cell::new(0) };
}

/// Notes that sockets were looked at just now.
pub(crate) fn turn_begins() {
    TURN_STARTED.set(monotonic_nanos());
}

/// True when this thread's tasks have run for [`TURN_NANOS`] since the last [`turn_begins`].
pub(crate) fn turn_is_over() -> bool {
    monotonic_nanos().saturating_sub(TURN_STARTED.get()) >= TURN_NANOS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_ends_and_refills() {
        let mut budget = Budget::new(3);
        assert!(budget.spend(1));
        assert_eq!(budget.left(), 2);
        assert!(!budget.spend(2));
        assert!(!budget.spend(u32::MAX), "spending more than is left does not wrap");
        budget.refill();
        assert_eq!(budget.left(), 3);
    }

    #[test]
    fn a_turn_that_began_just_now_is_not_over() {
        assert!(turn_is_over(), "a thread that never looked must look");
        turn_begins();
        assert!(!turn_is_over() || monotonic_nanos() > TURN_NANOS);
    }
}
