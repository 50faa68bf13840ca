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

/// Calls of [`Turn::is_over_by_count`] for each reading of the clock (some 25 ns, not measured here). The steps between two calls take up
/// to about 100 µs, so that a turn ends 0.3 ms late at most for this reason.
const CALLS_PER_READING: u32 = 4;

/// When the tasks of one thread last let their executor look at sockets, timers and other threads' wakes.
pub(crate) struct Turn {
    started: Cell<u64>,
    /// Less than [`CALLS_PER_READING`].
    calls: Cell<u32>,
}

impl Turn {
    /// A turn that is over: a thread that never looked must look.
    pub(crate) const fn new() -> Self {
        Self { started: Cell::new(0), calls: Cell::new(0) }
    }

    /// Notes a look just now.
    pub(crate) fn begin(&self, now: u64) {
        self.started.set(now);
        self.calls.set(0);
    }

    /// True when [`TURN_NANOS`] have passed since the last [`Turn::begin`].
    pub(crate) fn is_over(&self, now: u64) -> bool {
        now.saturating_sub(self.started.get()) >= TURN_NANOS
    }

    /// The same, by a clock that is read at every fourth call only; false at the calls between.
    pub(crate) fn is_over_by_count(&self, clock: impl FnOnce() -> u64) -> bool {
        let calls = self.calls.get() + 1;
        if calls < CALLS_PER_READING {
            self.calls.set(calls);
            return false;
        }
        self.calls.set(0);
        self.is_over(clock())
    }
}

thread_local! {
    static TURN: Turn = const { Turn::new() };
}

/// Notes that this thread's executor looked at its sockets just now.
pub(crate) fn turn_begins() {
    TURN.with(|turn| turn.begin(monotonic_nanos()));
}

/// True when this thread's turn is over at `now`.
pub(crate) fn turn_is_over(now: u64) -> bool {
    TURN.with(|turn| turn.is_over(now))
}

/// See [`Turn::is_over_by_count`].
pub(crate) fn turn_is_over_by_count() -> bool {
    TURN.with(|turn| turn.is_over_by_count(monotonic_nanos))
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
    fn a_turn_ends_by_the_clock() {
        let turn = Turn::new();
        assert!(turn.is_over(TURN_NANOS), "a thread that never looked must look");
        turn.begin(1_000);
        assert!(!turn.is_over(1_000));
        assert!(!turn.is_over(1_000 + TURN_NANOS - 1));
        assert!(turn.is_over(1_000 + TURN_NANOS));
        assert!(!turn.is_over(0), "a clock that stands behind does not wrap");
    }

    /// Steps of 100 µs without any look: the turn ends after half a millisecond, and then again and again.
    #[test]
    fn a_turn_without_a_look_ends_by_count_and_clock() {
        const STEP: u64 = 100_000;
        let turn = Turn::new();
        let (mut now, mut readings) = (STEP, 0);
        turn.begin(now);
        for _turn in 0..100 {
            let started = now;
            loop {
                now += STEP;
                let over = turn.is_over_by_count(|| {
                    readings += 1;
                    now
                });
                if over {
                    break;
                }
            }
            let late = now - started - TURN_NANOS;
            assert!(late <= u64::from(CALLS_PER_READING - 1) * STEP, "{late} ns late");
            turn.begin(now);
        }
        assert_eq!(readings, 200, "the clock is read at every fourth call");
    }

    #[test]
    fn a_look_puts_the_end_of_a_turn_off() {
        let turn = Turn::new();
        for step in 1..1_000 {
            turn.begin(step * TURN_NANOS);
            for _call in 0..CALLS_PER_READING {
                assert!(!turn.is_over_by_count(|| step * TURN_NANOS + TURN_NANOS - 1));
            }
        }
    }
}
