//! When each message is due. Pure: the schedule follows from the phases, the arrival process and the seed alone.
//!
//! The cumulative number of messages planned up to a time is a chain of parabolas (the rate changes evenly within a
//! [`Span`]). Message *k* is due where that chain reaches E(k): E(k) = k for constant arrivals, the k-th arrival of
//! a unit Poisson process otherwise. So ramps, steps and both arrival processes are one computation.

use crate::random::SplitMix;
use crate::scenario::{Arrivals, Phase, Span};

/// A message's place in the schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Due {
    /// Number of the message in the run, from 0.
    pub index: u64,
    /// Nanoseconds from the begin of the run.
    pub at: u64,
    /// Index of its phase.
    pub phase: u8,
}

/// Yields all due times in order.
#[derive(Clone, Debug)]
pub struct Pace {
    pieces: Vec<Piece>,
    piece: usize,
    index: u64,
    /// E(index): how many planned messages must have passed before the next is due.
    mark: f64,
    random: Option<SplitMix>,
}

impl Pace {
    /// The schedule of `phases`; drains send nothing.
    pub fn new(phases: &[Phase], arrivals: Arrivals, seed: u64) -> Pace {
        let mut pieces = Vec::new();
        let (mut begin, mut before) = (0.0, 0.0);
        for (phase, plan) in phases.iter().enumerate().filter(|(_, plan)| plan.drain.is_none()) {
            for span in &plan.rate {
                pieces.push(Piece { phase: phase as u8, begin, before, span: *span });
                begin += span.duration.as_secs_f64();
                before += span.messages();
            }
        }
        let mut random = (arrivals == Arrivals::Poisson).then(|| SplitMix::new(seed ^ PURPOSE));
        let mark = random.as_mut().map_or(0.0, SplitMix::exponential);
        Pace { pieces, piece: 0, index: 0, mark, random }
    }
}

impl Iterator for Pace {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        let piece = loop {
            let piece = self.pieces.get(self.piece)?;
            if self.mark < piece.before + piece.span.messages() {
                break piece;
            }
            self.piece += 1;
        };
        let seconds = piece.begin + piece.inverse(self.mark - piece.before);
        let due = Due { index: self.index, at: (seconds * 1e9) as u64, phase: piece.phase };
        self.index += 1;
        self.mark = match &mut self.random {
            None => self.index as f64,
            Some(random) => self.mark + random.exponential(),
        };
        Some(due)
    }
}

/// A span in its place: seconds and messages before it.
#[derive(Clone, Copy, Debug)]
struct Piece {
    phase: u8,
    begin: f64,
    before: f64,
    span: Span,
}

impl Piece {
    /// Seconds into the span after which `messages` are due: solves from*t + slope*t^2/2 = messages, in the form
    /// that neither divides by a slope of zero nor cancels.
    fn inverse(&self, messages: f64) -> f64 {
        let length = self.span.duration.as_secs_f64();
        let slope = (self.span.to - self.span.from) / length;
        let root = (self.span.from * self.span.from + 2.0 * slope * messages).max(0.0).sqrt();
        let divisor = self.span.from + root;
        if divisor > 0.0 { (2.0 * messages / divisor).min(length) } else { 0.0 }
    }
}

/// Keeps arrival times independent of every other use of the seed.
const PURPOSE: u64 = 0x7061_6365;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn phase(spans: &[(f64, f64, u64)]) -> Phase {
        let rate: Vec<Span> = spans
            .iter()
            .map(|&(from, to, ms)| Span { from, to, duration: Duration::from_millis(ms) })
            .collect();
        let duration = rate.iter().map(|span| span.duration).sum();
        Phase { name: "p".into(), rate, rate_text: String::new(), duration, record: true, drain: None }
    }

    fn times(phases: &[Phase], arrivals: Arrivals, seed: u64) -> Vec<Due> {
        Pace::new(phases, arrivals, seed).collect()
    }

    #[test]
    fn constant_arrivals_stand_at_equal_distances() {
        let due = times(&[phase(&[(1000.0, 1000.0, 2000)])], Arrivals::Constant, 1);
        assert_eq!(due.len(), 2000);
        for (index, due) in due.iter().enumerate() {
            assert_eq!(due.index, index as u64);
            assert!(due.at.abs_diff(index as u64 * 1_000_000) <= 1, "{due:?}");
        }
    }

    #[test]
    fn a_ramp_holds_the_planned_number() {
        let due = times(&[phase(&[(0.0, 1000.0, 10_000)])], Arrivals::Constant, 1);
        assert_eq!(due.len(), 5000);
        let first_half = due.iter().filter(|due| due.at < 5_000_000_000).count();
        assert!(first_half.abs_diff(1250) <= 1, "{first_half}");
        let down = times(&[phase(&[(1000.0, 0.0, 10_000)])], Arrivals::Constant, 1);
        assert!(down.iter().filter(|due| due.at < 5_000_000_000).count().abs_diff(3750) <= 1);
    }

    #[test]
    fn steps_and_phases_follow_one_another() {
        let phases = [phase(&[(100.0, 100.0, 1000), (300.0, 300.0, 1000)]), phase(&[(50.0, 50.0, 2000)])];
        let due = times(&phases, Arrivals::Constant, 1);
        let count =
            |from: u64, to: u64| due.iter().filter(|d| (from..to).contains(&(d.at / 1_000_000))).count();
        assert_eq!((count(0, 1000), count(1000, 2000), count(2000, 4000)), (100, 300, 100));
        assert!(due.iter().all(|d| (d.phase == 1) == (d.at >= 2_000_000_000)));
    }

    #[test]
    fn poisson_arrivals_follow_the_seed() {
        let phases = [phase(&[(1000.0, 3000.0, 10_000)])];
        let one = times(&phases, Arrivals::Poisson, 1);
        assert_eq!(one, times(&phases, Arrivals::Poisson, 1));
        assert_ne!(one, times(&phases, Arrivals::Poisson, 2));
        assert!(one.len().abs_diff(20_000) < 600, "{}", one.len()); // 4 standard deviations
        assert!(one.is_sorted_by_key(|due| due.at));
        // Gaps of a Poisson process vary as much as they last.
        let unit: Vec<f64> = {
            let mut random = SplitMix::new(9);
            (0..100_000).map(|_| random.exponential()).collect()
        };
        let mean = unit.iter().sum::<f64>() / unit.len() as f64;
        let variance = unit.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / unit.len() as f64;
        assert!((mean - 1.0).abs() < 0.02 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }

    #[test]
    fn silence_has_no_messages() {
        assert!(times(&[phase(&[(0.0, 0.0, 1000)])], Arrivals::Constant, 1).is_empty());
        assert!(times(&[phase(&[(0.0, 0.0, 1000)])], Arrivals::Poisson, 1).is_empty());
        assert!(times(&[], Arrivals::Constant, 1).is_empty());
    }
}
