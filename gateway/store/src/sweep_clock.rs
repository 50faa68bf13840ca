//! What time it is for the sweep of the embedded store. The wall clock is asked once, at the start; from then on time passes
//! as the machine counts it, asleep or awake, so that a clock that is set ahead gives nothing up. Nothing is given up just
//! after a start, while a clock may still be wrong: a machine without a battery learns the time from the network.
//!
//! A mark beside the store tells what time it had come to. A wall clock that is more than an hour ahead of that at a start is
//! not believed: time goes on from the mark, so that entries are kept for longer by the time between, and not given up
//! by a wrong clock. It is believed once somebody says so ([`trust_clock`]), or after a whole time to live: what was
//! there at the start is too old then by either.

use rustix::time::{ClockId, clock_gettime};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Nothing is given up for so long after a start.
const PATIENCE: Duration = Duration::from_secs(600);
/// A wall clock that is so far ahead of the mark is not believed, seconds.
const AHEAD_MAX: u32 = 3600;
/// How often the mark is moved on. Well below [`AHEAD_MAX`].
const MARK_EVERY: Duration = Duration::from_secs(300);
/// How often an unbelieved clock is asked about.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(crate) struct SweepClock {
    /// The wall clock when it was made, seconds since 1970.
    started_at: u32,
    /// What the machine's own clock said then.
    booted_for: Duration,
    /// The wall clock was ahead by so much, and is not believed; 0 when it is.
    ahead: u32,
    time_to_live: Duration,
    /// Where the mark is; nowhere for a store that does not outlive its process.
    mark: Option<PathBuf>,
    /// What the mark says, as far as this process knows.
    marked: u32,
    /// When it is looked at again, by the machine's own clock.
    look_at: Duration,
}

impl SweepClock {
    /// Begins now, by the wall clock and by the mark of the store in this directory.
    pub(crate) fn start(unix_seconds: u32, store: Option<&Path>, time_to_live_seconds: u32) -> SweepClock {
        SweepClock::start_at(unix_seconds, booted_for(), store, time_to_live_seconds)
    }

    fn start_at(
        unix_seconds: u32,
        booted_for: Duration,
        store: Option<&Path>,
        time_to_live_seconds: u32,
    ) -> SweepClock {
        let mark = store.map(mark_of);
        let marked = mark.as_deref().and_then(read);
        let ahead = marked.map_or(0, |marked| unix_seconds.saturating_sub(marked));
        let ahead = if ahead > AHEAD_MAX { ahead } else { 0 };
        if ahead > 0 {
            tracing::warn!(
                seconds = ahead,
                "the clock is ahead of what the store has seen: nothing is given up for that time; \
                 if the node was down for so long, say so: gateway trust-clock"
            );
        }
        SweepClock {
            started_at: unix_seconds,
            booted_for,
            ahead,
            time_to_live: Duration::from_secs(time_to_live_seconds.into()),
            mark,
            marked: marked.unwrap_or(0),
            look_at: booted_for,
        }
    }

    /// Seconds since 1970; nothing while nothing may be given up.
    pub(crate) fn now(&mut self) -> Option<u32> {
        self.now_at(booted_for())
    }

    /// By how many seconds the wall clock was ahead at the start, while it is not believed.
    pub(crate) fn ahead(&self) -> u32 {
        self.ahead
    }

    fn now_at(&mut self, booted_for: Duration) -> Option<u32> {
        let passed = booted_for.saturating_sub(self.booted_for);
        if passed >= self.time_to_live {
            self.ahead = 0;
        }
        if booted_for >= self.look_at {
            self.look(booted_for, passed);
        }
        (passed >= PATIENCE).then(|| self.time(passed))
    }

    fn time(&self, passed: Duration) -> u32 {
        (self.started_at - self.ahead).saturating_add(passed.as_secs() as u32)
    }

    /// Takes a word of [`trust_clock`], and moves the mark on.
    fn look(&mut self, booted_for: Duration, passed: Duration) {
        let Some(mark) = &self.mark else { return };
        if self.ahead > 0 && read(mark).is_some_and(|marked| marked > self.marked) {
            tracing::info!(seconds = self.ahead, "the clock is believed");
            self.ahead = 0;
        }
        let time = self.time(passed);
        let is_due = self.ahead == 0 || time.abs_diff(self.marked) >= MARK_EVERY.as_secs() as u32;
        if is_due && time != self.marked {
            match write(mark, time) {
                Ok(()) => self.marked = time,
                Err(error) => tracing::warn!(%error, "what time the store has come to cannot be kept"),
            }
        }
        self.look_at = booted_for + if self.ahead > 0 { ASK_EVERY } else { MARK_EVERY };
    }
}

/// Says that the clock of this machine is right, to the embedded store in this state directory: it gives up what is too old by
/// it, from a few seconds on or from its next start.
///
/// # Errors
/// When the mark cannot be written.
pub fn trust_clock(store: &Path) -> std::io::Result<()> {
    write(&mark_of(store), crate::desk::unix_seconds())
}

fn mark_of(store: &Path) -> PathBuf {
    store.with_extension("clock")
}

fn read(mark: &Path) -> Option<u32> {
    std::fs::read_to_string(mark).ok()?.trim().parse().ok()
}

/// Whole or not at all. Not synced: a mark that is some minutes old serves as well.
fn write(mark: &Path, time: u32) -> std::io::Result<()> {
    let new = mark.with_extension("clock-new");
    std::fs::write(&new, format!("{time}\n"))?;
    std::fs::rename(new, mark)
}

/// Since the machine was started, time asleep included.
pub(crate) fn booted_for() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u32 = 1_800_000_000;
    const DAY: u32 = 86_400;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn nothing_is_given_up_just_after_a_start_and_time_passes_by_itself() {
        let mut clock = SweepClock::start_at(NOW, at(50), None, 3 * DAY);
        let mut check = |booted_for: u64, expected| assert_eq!(clock.now_at(at(booted_for)), expected);
        check(50, None);
        check(649, None);
        check(650, Some(NOW + 600));
        check(50 + 86_400, Some(NOW + DAY));
        check(0, None);
        assert_eq!(SweepClock::start(7, None, DAY).now(), None);
        assert!(booted_for() > Duration::ZERO && booted_for() <= booted_for());
    }

    /// A wall clock that is days ahead at a start gives nothing up that the store would still keep.
    #[test]
    fn a_clock_that_is_ahead_of_the_store_is_not_believed_until_somebody_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("store");
        let start = |now, booted| SweepClock::start_at(now, at(booted), Some(&store), 3 * DAY);
        let mut first = start(NOW, 50);
        assert_eq!((first.now_at(at(50)), first.ahead()), (None, 0));
        assert_eq!(first.now_at(at(50 + 7_200)), Some(NOW + 7_200));
        // A short while later: believed.
        let mut second = start(NOW + 7_200 + AHEAD_MAX, 10);
        assert_eq!(second.ahead(), 0);
        assert_eq!(second.now_at(at(10)), None);
        // Days ahead: it is not.
        let begun = NOW + 7_200 + AHEAD_MAX;
        let mut third = start(begun + 4 * DAY, 10);
        assert_eq!(third.ahead(), 4 * DAY);
        assert_eq!(third.now_at(at(10 + 600)), Some(begun + 600));
        // Nor in the next life, which goes on where this one ended.
        let mut fourth = start(begun + 4 * DAY + 700, 710);
        assert_eq!(fourth.ahead(), 4 * DAY + 100);
        assert_eq!(fourth.now_at(at(710 + 600)), Some(begun + 600 + 600));
        // Somebody says that it is right.
        write(&mark_of(&store), begun + 4 * DAY + 2_000).unwrap();
        assert_eq!(fourth.now_at(at(710 + 1_300)), Some(begun + 4 * DAY + 700 + 1_300));
        assert_eq!(fourth.ahead(), 0);
        assert_eq!(start(begun + 4 * DAY + 2_100, 5).ahead(), 0);
    }

    #[test]
    fn after_a_whole_time_to_live_the_clock_is_believed() {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("store");
        write(&mark_of(&store), NOW).unwrap();
        let mut clock = SweepClock::start_at(NOW + 9 * DAY, at(5), Some(&store), 3 * DAY);
        let whole = u64::from(3 * DAY);
        assert_eq!(clock.now_at(at(5 + whole - 1)), Some(NOW + 3 * DAY - 1));
        assert_eq!(clock.now_at(at(5 + whole)), Some(NOW + 12 * DAY));
    }

    #[test]
    fn a_mark_that_cannot_be_read_says_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("store");
        std::fs::write(mark_of(&store), "").unwrap();
        assert_eq!(SweepClock::start_at(NOW, at(5), Some(&store), DAY).ahead(), 0);
    }
}
