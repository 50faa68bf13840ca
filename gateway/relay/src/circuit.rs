//! How well a vendor does, as one shard sees it: its health, by which its share shrinks and grows, and its circuit,
//! which takes it out of the choice for a while.
//!
//! ```text
//!   outcomes of copies -> a window of slots -> every slot's end: judged
//!
//!   ill:    half of the copies (a setting) failed or were slow   -> health is halved with every slot, to 1/64
//!   well:   a quarter (half of that setting) or fewer            -> health grows to full in `ramp_up`
//!
//!   Closed --half of the copies failed--> Open --open_for, doubled with each time in a row--> HalfOpen
//!     ^                                    ^                                                    |
//!     |                                    +--------------------- a probe failed ---------------+
//!     +---------------------------------------------------------- all probes succeeded --------+
//! ```
//!
//! A copy that is not answered in `slow_after` counts as slow at that moment, not when its answer comes: a vendor that hangs
//! answers nothing at all. Between the two thresholds nothing changes, so that a vendor that fails one in five is left
//! alone. Integers and `now` only; a circuit never allocates.

mod routes;

pub(crate) use routes::{ROUTE_CIRCUITS_OCTETS, RouteCircuits};

use crate::route::HEALTH_FULL;
use core::time::Duration;
use smpp::time::Instant;

/// When a vendor is ill, and for how long it is left alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CircuitRules {
    /// Part of the copies of a window that must fail, percent; 0 = vendors are never judged.
    pub failures_percent: u8,
    /// What is looked back on. Judged eight times in it.
    pub window: Duration,
    /// How long an open circuit keeps messages away; doubled with each time in a row, eight times at most.
    pub open_for: Duration,
    /// Copies that try a vendor out after that.
    pub probes: u8,
    /// An answer is slow after this time; zero = never.
    pub slow_after: Duration,
    /// From a vendor's recovery to its full share.
    pub ramp_up: Duration,
}

impl Default for CircuitRules {
    fn default() -> Self {
        Self {
            failures_percent: 50,
            window: Duration::from_secs(5),
            open_for: Duration::from_secs(5),
            probes: 5,
            slow_after: Duration::from_secs(2),
            ramp_up: Duration::from_secs(10),
        }
    }
}

/// Slots of a window.
const SLOTS: usize = 8;
/// Slots that a copy's age is counted in: eight of them are `slow_after`, the rest keeps them apart.
const AGES: usize = 16;
const AGES_SLOW: u64 = 8;
/// Copies that a window must hold for its failures to be a share of anything.
const COPIES_MIN: u32 = 20;
/// So many are enough where every one of them failed.
const COPIES_MIN_ALL: u32 = 5;
/// So many are enough to see that a vendor is well again: an ill one gets few.
const COPIES_MIN_WELL: u32 = 3;
/// Health is counted finer than it is used, so that a slow ramp has small steps.
const HEALTH_UNIT: u32 = 1 << 16;
const HEALTH_MAX: u32 = HEALTH_FULL as u32 * HEALTH_UNIT;
/// A vendor never gets nothing at all: its recovery must be seen.
const HEALTH_MIN: u32 = HEALTH_UNIT;
/// Where a closed circuit begins anew.
const HEALTH_CLOSED: u32 = HEALTH_MAX / 8;
/// `open_for` is doubled so often at most.
const DOUBLINGS_MAX: u32 = 3;

/// Where a circuit stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CircuitState {
    /// Messages flow.
    #[default]
    Closed,
    /// A few copies try the vendor out.
    HalfOpen,
    /// The vendor is left alone.
    Open,
}

impl CircuitState {
    /// Its word in logs and answers.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// What became of a copy, as far as the vendor's health goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// The vendor did its work, a no to the message itself included.
    Served,
    /// A temporary error, no answer, or a link that did not take it.
    Failed,
    /// Says nothing about the vendor: provably unsent, or throttled.
    Void,
}

/// A change that operators want to know of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CircuitChange {
    /// The circuit is open now.
    Opened,
    /// Probes may go.
    HalfOpened,
    /// Messages flow again.
    Closed,
    /// It fails or is slow: its share shrinks.
    FellIll,
    /// It does well again: its share grows.
    Recovered,
}

impl CircuitChange {
    /// Its words in a log line.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Opened => "circuit open",
            Self::HalfOpened => "circuit half open: trying",
            Self::Closed => "circuit closed",
            Self::FellIll => "slow or failing: its share shrinks",
            Self::Recovered => "well again: its share grows",
        }
    }
}

/// Copies judged in one slot of the window.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// All of them.
    copies: u32,
    failed: u32,
    slow: u32,
}

/// One vendor, or one vendor of one plan.
#[derive(Clone, Debug)]
pub(crate) struct Circuit {
    state: CircuitState,
    is_ill: bool,
    /// `HEALTH_MIN..=HEALTH_MAX`.
    health: u32,
    slots: [Slot; SLOTS],
    /// The slot of now, counted from the origin of time.
    slot: u64,
    /// Unanswered copies by age.
    ages: [u32; AGES],
    /// The age slot of now; those up to `AGES_SLOW` before it are not slow yet.
    age: u64,
    /// When an open circuit lets probes go; when a half-open one did.
    turned_at: Instant,
    open_until: Instant,
    /// Openings in a row.
    streak: u32,
    /// Of a half-open circuit: probes that may still go, and successes that are still wanted.
    probes_left: u8,
    successes_wanted: u8,
    /// All openings.
    pub(crate) openings: u64,
}

impl Default for Circuit {
    fn default() -> Self {
        Self {
            state: CircuitState::Closed,
            is_ill: false,
            health: HEALTH_MAX,
            slots: [Slot::default(); SLOTS],
            slot: 0,
            ages: [0; AGES],
            age: 0,
            turned_at: Instant::default(),
            open_until: Instant::default(),
            streak: 0,
            probes_left: 0,
            successes_wanted: 0,
            openings: 0,
        }
    }
}

impl Circuit {
    /// A copy goes to the vendor.
    #[inline]
    pub(crate) fn sent(&mut self, now: Instant, rules: &CircuitRules) {
        if rules.failures_percent == 0 {
            return;
        }
        self.advance_ages(now, rules);
        self.ages[self.age as usize % AGES] += 1;
        if self.state == CircuitState::HalfOpen {
            self.probes_left = self.probes_left.saturating_sub(1);
        }
    }

    /// What became of a copy that went at `sent_at`.
    #[inline]
    pub(crate) fn ended(
        &mut self,
        now: Instant,
        sent_at: Instant,
        outcome: Outcome,
        rules: &CircuitRules,
    ) -> Option<CircuitChange> {
        if rules.failures_percent == 0 {
            return None;
        }
        let change = self.advance(now, rules);
        let was_slow = !self.forget_age(sent_at, rules);
        let slot = &mut self.slots[self.slot as usize % SLOTS];
        match outcome {
            Outcome::Served if was_slow => {} // counted when it became slow
            Outcome::Served => slot.copies += 1,
            Outcome::Failed => {
                slot.copies += u32::from(!was_slow);
                slot.failed += 1;
            }
            Outcome::Void => {}
        }
        let probed = self.probe_ended(now, sent_at, outcome, rules);
        probed.or(change)
    }

    /// Time passes: slots end and are judged, copies become slow, an open circuit lets probes go.
    #[inline]
    pub(crate) fn advance(&mut self, now: Instant, rules: &CircuitRules) -> Option<CircuitChange> {
        if rules.failures_percent == 0 {
            return None;
        }
        self.advance_ages(now, rules);
        let slot = number_of(now, rules.window, SLOTS as u64);
        let mut change = None;
        if slot != self.slot {
            change = self.end_slots(now, slot, rules);
        }
        if self.state == CircuitState::Open && now >= self.open_until {
            self.state = CircuitState::HalfOpen;
            self.turned_at = now;
            (self.probes_left, self.successes_wanted) = (rules.probes, rules.probes);
            change = Some(CircuitChange::HalfOpened);
        }
        change
    }

    /// Begins anew; the openings stay counted.
    pub(crate) fn forget(&mut self) {
        *self = Self { openings: self.openings, ..Self::default() };
    }

    /// What part of its weight counts, and whether it may be tried at all. A probe is tried like a well vendor, for
    /// there are only a few of them.
    #[inline]
    pub(crate) fn standing(&self) -> crate::route::Standing {
        use crate::route::Standing;
        match self.state {
            CircuitState::Closed => Standing::Fit(self.health()),
            CircuitState::HalfOpen if self.probes_left > 0 => Standing::Fit(HEALTH_FULL),
            CircuitState::HalfOpen | CircuitState::Open => Standing::Open(self.health()),
        }
    }

    /// 1..=[`HEALTH_FULL`].
    pub(crate) fn health(&self) -> u8 {
        (self.health / HEALTH_UNIT) as u8
    }

    pub(crate) fn state(&self) -> CircuitState {
        self.state
    }

    /// True when nothing is known against it and no failure is in its window.
    pub(crate) fn is_clean(&self) -> bool {
        let is_quiet = self.slots.iter().all(|slot| slot.failed == 0 && slot.slow == 0);
        self.state == CircuitState::Closed && self.health == HEALTH_MAX && is_quiet
    }

    fn advance_ages(&mut self, now: Instant, rules: &CircuitRules) {
        if rules.slow_after.is_zero() {
            return;
        }
        let age = number_of(now, rules.slow_after, AGES_SLOW);
        // Copies of more than a ring ago are slow, whichever they are.
        let first = self.age.max(age.saturating_sub(AGES as u64));
        for passed in first..age {
            // Entering `passed + 1`: what went in the slot nine before it is slow by now.
            let place = (passed + AGES as u64 - AGES_SLOW) as usize % AGES;
            let slow = core::mem::take(&mut self.ages[place]);
            let slot = &mut self.slots[self.slot as usize % SLOTS];
            slot.copies += slow;
            slot.slow += slow;
        }
        self.age = self.age.max(age);
    }

    /// Takes a copy out of those that wait; false when it was counted as slow already.
    fn forget_age(&mut self, sent_at: Instant, rules: &CircuitRules) -> bool {
        if rules.slow_after.is_zero() {
            return true;
        }
        let age = number_of(sent_at, rules.slow_after, AGES_SLOW);
        let waits = age + AGES_SLOW >= self.age;
        let count = &mut self.ages[age as usize % AGES];
        if waits && *count > 0 {
            *count -= 1;
            return true;
        }
        false
    }

    fn end_slots(&mut self, now: Instant, slot: u64, rules: &CircuitRules) -> Option<CircuitChange> {
        let mut change = None;
        let passed = slot.saturating_sub(self.slot).min(SLOTS as u64 + 1);
        for step in 0..passed {
            change = self.judge(now, rules).or(change);
            self.slots[(slot - passed + step + 1) as usize % SLOTS] = Slot::default();
        }
        self.slot = self.slot.max(slot);
        change
    }

    /// The window as it stands at the end of a slot.
    fn judge(&mut self, now: Instant, rules: &CircuitRules) -> Option<CircuitChange> {
        let sum = |part: fn(&Slot) -> u32| self.slots.iter().map(part).sum::<u32>();
        let copies = sum(|slot| slot.copies);
        let failed = sum(|slot| slot.failed).min(copies);
        let bad = sum(|slot| slot.failed + slot.slow).min(copies);
        let percent = u64::from(rules.failures_percent);
        let too_many = |bad: u32| {
            let share = copies >= COPIES_MIN && u64::from(bad) * 100 >= percent * u64::from(copies);
            share || copies >= COPIES_MIN_ALL && bad == copies
        };
        let few = copies >= COPIES_MIN_WELL && u64::from(bad) * 200 <= percent * u64::from(copies);
        let was_ill = self.is_ill;
        self.is_ill = too_many(bad) || was_ill && !(few || copies == 0);
        if self.state != CircuitState::Closed {
            return None; // probes decide
        }
        if too_many(failed) {
            return Some(self.open(now, rules));
        }
        if too_many(bad) {
            self.health = (self.health / 2).max(HEALTH_MIN);
        } else if !self.is_ill {
            let steps = rules.ramp_up.as_nanos() * SLOTS as u128 / rules.window.as_nanos().max(1);
            let step = HEALTH_MAX / u32::try_from(steps).unwrap_or(u32::MAX).clamp(1, HEALTH_MAX);
            self.health = (self.health + step).min(HEALTH_MAX);
            if self.health == HEALTH_MAX {
                self.streak = 0;
            }
        }
        match (was_ill, self.is_ill) {
            (false, true) => Some(CircuitChange::FellIll),
            (true, false) => Some(CircuitChange::Recovered),
            _ => None,
        }
    }

    fn open(&mut self, now: Instant, rules: &CircuitRules) -> CircuitChange {
        self.state = CircuitState::Open;
        self.turned_at = now;
        self.open_until = now + rules.open_for * (1 << self.streak.min(DOUBLINGS_MAX));
        self.streak = self.streak.saturating_add(1);
        self.health = HEALTH_MIN;
        self.slots = [Slot::default(); SLOTS];
        self.openings += 1;
        CircuitChange::Opened
    }

    /// Copies from before the probes say nothing new.
    fn probe_ended(
        &mut self,
        now: Instant,
        sent_at: Instant,
        outcome: Outcome,
        rules: &CircuitRules,
    ) -> Option<CircuitChange> {
        if self.state != CircuitState::HalfOpen || sent_at < self.turned_at {
            return None;
        }
        match outcome {
            Outcome::Void => {
                self.probes_left = self.probes_left.saturating_add(1).min(self.successes_wanted);
                None
            }
            Outcome::Failed => Some(self.open(now, rules)),
            Outcome::Served => {
                self.successes_wanted = self.successes_wanted.saturating_sub(1);
                if self.successes_wanted > 0 {
                    return None;
                }
                self.state = CircuitState::Closed;
                self.turned_at = now;
                self.is_ill = false;
                self.health = HEALTH_CLOSED;
                self.slots = [Slot::default(); SLOTS];
                Some(CircuitChange::Closed)
            }
        }
    }
}

/// The number of the slot that a moment lies in, `parts` of them to a span.
fn number_of(now: Instant, span: Duration, parts: u64) -> u64 {
    let length = (span.as_nanos() as u64 / parts).max(1); // spans are minutes at most
    now.as_nanos() / length
}

#[cfg(test)]
mod tests;
