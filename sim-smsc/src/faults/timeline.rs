//! When each fault begins and ends.

use std::time::Duration;

use smpp::time::Instant;

use super::{FaultKind, FaultSpec, Trigger};

/// All faults of one site in time.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    entries: Vec<Entry>,
    serial: u32,
    /// Submits at which the next fault by count is due; a plain comparison per message.
    next_submits: u64,
}

#[derive(Debug)]
struct Entry {
    number: u32,
    spec: FaultSpec,
    trigger: Absolute,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Absolute {
    /// After the start of the timeline.
    AfterStart(Duration),
    At(Instant),
    Submits(u64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Waiting,
    On { until: Option<Instant> },
    Over,
}

/// What the timeline asks the site to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    Begin { kind: FaultKind, share: f64, entry: u32 },
    End { kind: FaultKind, entry: u32 },
}

impl Timeline {
    /// The faults of a scenario.
    pub(crate) fn new(specs: impl IntoIterator<Item = FaultSpec>) -> Timeline {
        let mut timeline = Timeline { next_submits: u64::MAX, ..Timeline::default() };
        for spec in specs {
            let trigger = match spec.trigger {
                Trigger::At(at) => Absolute::AfterStart(at),
                Trigger::AfterSubmits(count) => Absolute::Submits(count),
            };
            timeline.add(spec, trigger);
        }
        timeline
    }

    /// One more, its trigger counted from now.
    pub(crate) fn insert(&mut self, spec: FaultSpec, now: Instant, submits: u64) {
        let trigger = match spec.trigger {
            Trigger::At(at) => Absolute::At(now + at),
            Trigger::AfterSubmits(count) => Absolute::Submits(submits.saturating_add(count)),
        };
        self.add(spec, trigger);
    }

    /// Forgets everything that was to come or end.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.next_submits = u64::MAX;
    }

    /// Whether a fault waits for no more than this many submits.
    pub(crate) fn is_due_at(&self, submits: u64) -> bool {
        submits >= self.next_submits
    }

    /// What is due. `start` is when the timeline began, if it has.
    pub(crate) fn advance(&mut self, now: Instant, start: Option<Instant>, submits: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        for entry in &mut self.entries {
            entry.advance(now, start, submits, &mut changes);
        }
        self.entries.retain(|entry| entry.phase != Phase::Over);
        self.count_next();
        changes
    }

    /// Faults that wait or are on.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn add(&mut self, spec: FaultSpec, trigger: Absolute) {
        if self.entries.len() >= ENTRIES_MAX {
            return;
        }
        self.serial = self.serial.wrapping_add(1);
        self.entries.push(Entry { number: self.serial, spec, trigger, phase: Phase::Waiting });
        self.count_next();
    }

    fn count_next(&mut self) {
        let waiting = self.entries.iter().filter(|entry| entry.phase == Phase::Waiting);
        let counts = waiting.filter_map(|entry| match entry.trigger {
            Absolute::Submits(count) => Some(count),
            _ => None,
        });
        self.next_submits = counts.min().unwrap_or(u64::MAX);
    }
}

impl Entry {
    fn advance(&mut self, now: Instant, start: Option<Instant>, submits: u64, changes: &mut Vec<Change>) {
        if self.phase == Phase::Waiting && self.is_due(now, start, submits) {
            let (kind, share, entry) = (self.spec.kind.clone(), self.spec.share, self.number);
            changes.push(Change::Begin { kind, share, entry });
            let lasts = match self.spec.lasts {
                None if self.spec.kind.strikes_once() => Some(Duration::ZERO),
                lasts => lasts,
            };
            self.phase = Phase::On { until: lasts.map(|lasts| now + lasts) };
        }
        if let Phase::On { until: Some(until) } = self.phase
            && now >= until
        {
            changes.push(Change::End { kind: self.spec.kind.clone(), entry: self.number });
            self.phase = Phase::Over;
        }
    }

    fn is_due(&self, now: Instant, start: Option<Instant>, submits: u64) -> bool {
        match self.trigger {
            Absolute::AfterStart(after) => start.is_some_and(|start| now >= start + after),
            Absolute::At(at) => now >= at,
            Absolute::Submits(count) => submits >= count,
        }
    }
}

/// Faults of one site that wait or are on; more over the control port are ignored.
const ENTRIES_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::super::{Refuse, Rst};
    use super::*;

    fn spec(kind: FaultKind, trigger: Trigger, lasts_s: Option<u64>) -> FaultSpec {
        FaultSpec { kind, trigger, lasts: lasts_s.map(Duration::from_secs), site: None, share: 1.0 }
    }

    fn seconds(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    fn names(changes: &[Change]) -> Vec<(&'static str, bool)> {
        let name = |change: &Change| match change {
            Change::Begin { kind, .. } => (kind.name(), true),
            Change::End { kind, .. } => (kind.name(), false),
        };
        changes.iter().map(name).collect()
    }

    #[test]
    fn faults_come_by_time_and_by_count_and_go() {
        let mut timeline = Timeline::new([
            spec(FaultKind::Refuse(Refuse), Trigger::At(Duration::from_secs(10)), Some(5)),
            spec(FaultKind::Rst(Rst), Trigger::AfterSubmits(100), None),
        ]);
        let start = Some(seconds(1_000));
        assert!(timeline.advance(seconds(5_000), None, 0).is_empty(), "time has not begun");
        assert!(timeline.advance(seconds(1_009), start, 99).is_empty());
        assert!(!timeline.is_due_at(99));
        assert!(timeline.is_due_at(100));
        assert_eq!(names(&timeline.advance(seconds(1_009), start, 100)), [("rst", true), ("rst", false)]);
        assert_eq!(names(&timeline.advance(seconds(1_011), start, 100)), [("refuse", true)]);
        assert!(timeline.advance(seconds(1_015), start, 100).is_empty());
        assert_eq!(names(&timeline.advance(seconds(1_016), start, 100)), [("refuse", false)]);
        assert_eq!(timeline.len(), 0);
        assert!(!timeline.is_due_at(u64::MAX - 1));
    }

    #[test]
    fn faults_by_hand_count_from_now_and_may_have_no_end() {
        let mut timeline = Timeline::new([]);
        let now_or = |secs| Trigger::At(Duration::from_secs(secs));
        timeline.insert(spec(FaultKind::Refuse(Refuse), now_or(0), None), seconds(7), 500);
        timeline.insert(spec(FaultKind::Rst(Rst), Trigger::AfterSubmits(10), None), seconds(7), 500);
        assert_eq!(names(&timeline.advance(seconds(7), None, 500)), [("refuse", true)]);
        assert!(timeline.advance(seconds(70_000), None, 509).is_empty());
        assert_eq!(timeline.advance(seconds(70_000), None, 510).len(), 2);
        timeline.clear();
        assert_eq!(timeline.len(), 0);
    }
}
