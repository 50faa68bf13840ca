//! A vendor on a virtual clock, and what its circuit makes of it.

use super::*;
use crate::route::{Standing, mix};
use std::collections::VecDeque;

const MILLIS: u64 = 1_000_000;

/// One vendor that gets `rate` copies a second, of which its circuit lets a part through.
struct Bench {
    circuit: Circuit,
    rules: CircuitRules,
    now_ms: u64,
    copies: u64,
    /// When each is answered, when it was sent, and how.
    open: VecDeque<(u64, u64, Outcome)>,
    changes: Vec<(u64, CircuitChange)>,
}

impl Bench {
    fn new() -> Self {
        Self {
            circuit: Circuit::default(),
            rules: CircuitRules::default(),
            now_ms: 1_000_000,
            copies: 0,
            open: VecDeque::new(),
            changes: Vec::new(),
        }
    }

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * MILLIS)
    }

    /// What of 64 messages it would get, and its state.
    fn share(&self) -> u8 {
        match self.circuit.standing() {
            Standing::Fit(health) => health,
            Standing::Open(_) | Standing::Unfit => 0,
        }
    }

    /// Lets time pass, a message every 5 ms; `vendor` says after how many ms a copy is answered, and how.
    fn run(&mut self, ms: u64, mut vendor: impl FnMut(u64) -> (u64, Outcome)) {
        for _ in 0..ms / 5 {
            self.now_ms += 5;
            let now = Self::at(self.now_ms);
            self.note(|circuit, rules| circuit.advance(now, rules));
            self.open.make_contiguous().sort_unstable_by_key(|(due, ..)| *due);
            while self.open.front().is_some_and(|(due, ..)| *due <= self.now_ms) {
                let Some((_, sent, outcome)) = self.open.pop_front() else { break };
                self.note(|circuit, rules| circuit.ended(now, Self::at(sent), outcome, rules));
            }
            self.copies += 1;
            let draw = (mix(self.copies) >> 58) as u8;
            if draw < self.share() {
                self.circuit.sent(now, &self.rules);
                let (after, outcome) = vendor(mix(self.copies ^ 0x77));
                self.open.push_back((self.now_ms + after, self.now_ms, outcome));
            }
        }
    }

    fn note(&mut self, step: impl Fn(&mut Circuit, &CircuitRules) -> Option<CircuitChange>) {
        if let Some(change) = step(&mut self.circuit, &self.rules) {
            self.changes.push((self.now_ms, change));
        }
    }

    fn changes(&mut self) -> Vec<CircuitChange> {
        self.changes.drain(..).map(|(_, change)| change).collect()
    }
}

const WELL: (u64, Outcome) = (20, Outcome::Served);

#[test]
fn a_slow_vendor_loses_its_share_within_ten_seconds_and_gets_it_back_smoothly() {
    for slow_ms in [2_500, 4_000, 9_000] {
        let mut bench = Bench::new();
        bench.run(20_000, |_| WELL);
        assert_eq!(bench.share(), HEALTH_FULL);
        bench.run(10_000, |_| (slow_ms, Outcome::Served));
        assert!(bench.share() <= 2, "{slow_ms} ms: {}", bench.share());
        bench.run(20_000, |_| (slow_ms, Outcome::Served));
        assert!(bench.share() <= 2, "{slow_ms} ms: {}", bench.share());
        let mut last = 0;
        for second in 0..40 {
            bench.run(1_000, |_| WELL);
            let share = bench.share();
            assert!(share >= last && share <= last + 8, "{slow_ms} ms, {second}: {last} to {share}");
            last = share;
        }
        assert_eq!(last, HEALTH_FULL, "{slow_ms} ms");
        assert_eq!(bench.changes(), [CircuitChange::FellIll, CircuitChange::Recovered], "{slow_ms} ms");
    }
}

#[test]
fn a_vendor_that_never_answers_is_left_before_its_timer_ends() {
    let mut bench = Bench::new();
    bench.run(20_000, |_| WELL);
    bench.run(8_000, |_| (10_000, Outcome::Failed));
    assert!(bench.share() <= 8, "{}", bench.share());
    bench.run(10_000, |_| (10_000, Outcome::Failed));
    assert_eq!(bench.share(), 0);
    assert_eq!(bench.circuit.openings, 1);
}

#[test]
fn a_failing_vendor_opens_its_circuit_and_probes_are_bounded() {
    let mut bench = Bench::new();
    bench.run(10_000, |_| WELL);
    bench.run(4_000, |_| (20, Outcome::Failed));
    assert_eq!(bench.circuit.state(), CircuitState::Open);
    assert_eq!(bench.changes(), [CircuitChange::Opened]);
    let mut probes = 0;
    bench.run(120_000, |_| {
        probes += 1;
        (20, Outcome::Failed)
    });
    let openings = bench.circuit.openings;
    // 5, 10, 20 and then 40 s each.
    assert!((5..=6).contains(&openings), "{openings}");
    assert!(probes <= u64::from(bench.rules.probes) * openings, "{probes} in {openings}");
    bench.changes();
    bench.run(60_000, |_| WELL);
    assert_eq!((bench.circuit.state(), bench.share()), (CircuitState::Closed, HEALTH_FULL));
    assert_eq!(bench.changes().last(), Some(&CircuitChange::Closed));
}

#[test]
fn probes_that_are_not_answered_are_no_more_than_allowed() {
    let mut bench = Bench::new();
    bench.run(4_000, |_| (20, Outcome::Failed));
    bench.run(6_000, |_| (100_000, Outcome::Served));
    assert_eq!(bench.circuit.state(), CircuitState::HalfOpen);
    let mut sent = 0;
    bench.run(20_000, |_| {
        sent += 1;
        (100_000, Outcome::Served)
    });
    assert_eq!((sent, bench.share()), (0, 0), "all probes are out");
}

#[test]
fn a_closed_circuit_begins_with_a_small_share() {
    let mut bench = Bench::new();
    bench.run(4_000, |_| (20, Outcome::Failed));
    let mut last = 0;
    while bench.circuit.state() != CircuitState::Closed {
        bench.run(5, |_| WELL);
        assert!(bench.now_ms < 1_020_000, "it never closed");
    }
    assert_eq!(bench.share(), HEALTH_FULL / 8);
    for _ in 0..12 {
        bench.run(1_000, |_| WELL);
        assert!(bench.share() >= last);
        last = bench.share();
    }
    assert_eq!(last, HEALTH_FULL);
}

#[test]
fn one_failure_in_five_changes_nothing() {
    let mut bench = Bench::new();
    let in_five = |draw: u64| if draw.is_multiple_of(5) { (20, Outcome::Failed) } else { WELL };
    bench.run(600_000, in_five);
    assert_eq!((bench.changes(), bench.share()), (vec![], HEALTH_FULL));
    // The same while it is slow now and then.
    bench.run(600_000, |draw| if draw.is_multiple_of(5) { (3_000, Outcome::Served) } else { WELL });
    assert_eq!((bench.changes(), bench.share()), (vec![], HEALTH_FULL));
}

#[test]
fn a_vendor_on_the_threshold_does_not_flap() {
    let mut bench = Bench::new();
    // Between a quarter and a half of its answers are slow, by turns of some seconds.
    let mut copies = 0_u64;
    bench.run(300_000, |draw| {
        copies += 1;
        let percent = if (copies / 1_000).is_multiple_of(2) { 47 } else { 30 };
        if draw % 100 < percent { (2_500, Outcome::Served) } else { WELL }
    });
    let changes = bench.changes();
    assert!(changes.len() <= 3, "{changes:?}");
}

#[test]
fn what_was_never_sent_or_throttled_says_nothing() {
    let mut bench = Bench::new();
    bench.run(60_000, |_| (20, Outcome::Void));
    assert_eq!((bench.changes(), bench.share()), (vec![], HEALTH_FULL));
    assert!(bench.circuit.is_clean());
}

#[test]
fn an_ill_vendor_that_gets_nothing_recovers_with_time() {
    let mut bench = Bench::new();
    bench.run(15_000, |_| (4_000, Outcome::Served));
    assert!(bench.share() <= 2);
    for second in 1..=40 {
        bench.now_ms += 1_000;
        let now = Bench::at(bench.now_ms);
        bench.note(|circuit, rules| circuit.advance(now, rules));
        assert!(second < 40 || bench.share() == HEALTH_FULL, "{}", bench.share());
    }
}

#[test]
fn rules_of_zero_switch_everything_off() {
    let mut bench = Bench::new();
    bench.rules.failures_percent = 0;
    bench.run(30_000, |_| (20, Outcome::Failed));
    assert_eq!((bench.changes(), bench.share()), (vec![], HEALTH_FULL));
}
