//! Counts and latencies, by phase and by second.
//!
//! A submit's latency is measured twice: from the moment the message was *due* (`rt`), which is what a customer with
//! a schedule sees and what an overloaded target cannot hide, and from the moment it was *sent* (`st`). A receipt's
//! likewise: from due (`rt`) and from the answer to the submit (`st`).

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::scenario::Scenario;
use crate::threshold::{Metrics, QUANTILES};

/// Latencies in microseconds, 1 us to 1 h with three significant digits.
#[derive(Clone, Debug)]
pub struct Latency(Histogram<u64>);

impl Latency {
    /// Nothing yet.
    pub fn new() -> Latency {
        Latency(
            Histogram::new_with_bounds(1, LATENCY_US_MAX, 3)
                .expect("1 us to 1 h in three digits is a legal range"),
        )
    }

    /// Adds a latency in nanoseconds.
    pub fn record(&mut self, nanos: u64) {
        self.0.saturating_record((nanos / 1000).max(1));
    }

    /// Adds all of another.
    pub fn add(&mut self, other: &Latency) {
        // Both have the same bounds, so no value can be out of range.
        let _ = self.0.add(&other.0);
    }

    /// How many were added.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Seconds below which this share (0..=1) lies; zero when there are none.
    pub fn quantile(&self, share: f64) -> f64 {
        match share {
            0.0 => self.0.min() as f64 / 1e6,
            1.0 => self.0.max() as f64 / 1e6,
            share => self.0.value_at_quantile(share) as f64 / 1e6,
        }
    }

    /// Mean in seconds.
    pub fn mean(&self) -> f64 {
        self.0.mean() / 1e6
    }

    fn clear(&mut self) {
        if !self.0.is_empty() {
            self.0.reset();
        }
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

/// What happened to the messages that were due in one phase.
#[derive(Clone, Debug, Default)]
pub struct PhaseMeasure {
    /// submit_sm that became due (parts count each).
    pub due: u64,
    /// Handed to a connection.
    pub sent: u64,
    /// Answered with status 0.
    pub ok: u64,
    /// Answered with another status.
    pub errors: u64,
    /// Never answered: the connection ended, or the answer did not come in time.
    pub unanswered: u64,
    /// Receipts.
    pub receipts: u64,
    /// Answers by command_status.
    pub statuses: BTreeMap<u32, u64>,
    /// Due to answer.
    pub submit_rt: Latency,
    /// Sent to answer.
    pub submit_st: Latency,
    /// Due to receipt.
    pub receipt_rt: Latency,
    /// Answer to receipt.
    pub receipt_st: Latency,
}

impl PhaseMeasure {
    /// Adds all of another.
    pub fn add(&mut self, other: &PhaseMeasure) {
        self.due += other.due;
        self.sent += other.sent;
        self.ok += other.ok;
        self.errors += other.errors;
        self.unanswered += other.unanswered;
        self.receipts += other.receipts;
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        self.submit_rt.add(&other.submit_rt);
        self.submit_st.add(&other.submit_st);
        self.receipt_rt.add(&other.receipt_rt);
        self.receipt_st.add(&other.receipt_st);
    }

    fn metrics(&self, scope: &str, duration: Duration, out: &mut Metrics) {
        let seconds = duration.as_secs_f64().max(1e-9);
        let answered = self.ok + self.errors;
        let mut put = |name: &str, value: f64| out.insert(format!("{scope}.{name}"), value);
        put("due", self.due as f64);
        put("sent", self.sent as f64);
        put("ok", self.ok as f64);
        put("errors", self.errors as f64);
        put("unanswered", self.unanswered as f64);
        put("receipts.received", self.receipts as f64);
        put("rate", self.ok as f64 / seconds);
        put("sent_rate", self.sent as f64 / seconds);
        put("receipt_rate", self.receipts as f64 / seconds);
        put("error_share", if answered == 0 { 0.0 } else { self.errors as f64 / answered as f64 });
        let latencies = [
            ("submit.rt", &self.submit_rt),
            ("submit.st", &self.submit_st),
            ("receipt.rt", &self.receipt_rt),
            ("receipt.st", &self.receipt_st),
        ];
        for (name, latency) in latencies.iter().filter(|(_, latency)| latency.count() > 0) {
            for (quantile, share) in QUANTILES {
                put(&format!("{name}.{quantile}"), latency.quantile(share));
            }
            put(&format!("{name}.mean"), latency.mean());
        }
    }
}

/// What happened in one second.
#[derive(Clone, Debug, Default)]
pub struct Interval {
    /// Seconds since the begin of the run.
    pub second: u64,
    /// Messages that became due.
    pub due: u64,
    /// submit_sm handed to a connection.
    pub sent: u64,
    /// Answers with status 0.
    pub ok: u64,
    /// Answers with another status.
    pub errors: u64,
    /// Receipts.
    pub receipts: u64,
    /// MO messages.
    pub mo: u64,
    /// Unanswered submit_sm at its end.
    pub in_flight: u64,
    /// Due messages waiting for a window at its end.
    pub queued: u64,
    /// Bound sessions at its end.
    pub links: u64,
    /// Due to answer, of the answers in this second.
    pub submit_rt: Latency,
    /// Due to receipt, of the receipts in this second.
    pub receipt_rt: Latency,
}

impl Interval {
    /// Adds the same second of another worker.
    pub fn add(&mut self, other: &Interval) {
        self.due += other.due;
        self.sent += other.sent;
        self.ok += other.ok;
        self.errors += other.errors;
        self.receipts += other.receipts;
        self.mo += other.mo;
        self.in_flight += other.in_flight;
        self.queued += other.queued;
        self.links += other.links;
        self.submit_rt.add(&other.submit_rt);
        self.receipt_rt.add(&other.receipt_rt);
    }
}

/// All that one worker measured; workers' measures add up.
#[derive(Clone, Debug, Default)]
pub struct Measure {
    /// By phase, as in the scenario.
    pub phases: Vec<PhaseMeasure>,
    /// How late messages left that had a free window: the generator's own fault.
    pub lag: Latency,
    /// Due messages that found no room in the queue.
    pub dropped: u64,
    /// Most messages that ever waited for a window.
    pub queue_peak: u64,
    /// Sessions that ended before the run did.
    pub links_closed: u64,
    /// submit_sm unanswered although their session lived.
    pub missing: u64,
    /// Receipts whose message id no answer had named.
    pub receipts_unmatched: u64,
    /// MO messages.
    pub mo: u64,
    /// Receipts still expected at the end.
    pub receipts_pending: u64,
}

impl Measure {
    /// Nothing yet, for so many phases.
    pub fn new(phases: usize) -> Measure {
        Measure { phases: vec![PhaseMeasure::default(); phases], ..Measure::default() }
    }

    /// Adds another worker's.
    pub fn add(&mut self, other: &Measure) {
        for (mine, other) in self.phases.iter_mut().zip(&other.phases) {
            mine.add(other);
        }
        self.lag.add(&other.lag);
        self.dropped += other.dropped;
        self.queue_peak += other.queue_peak;
        self.links_closed += other.links_closed;
        self.missing += other.missing;
        self.receipts_unmatched += other.receipts_unmatched;
        self.mo += other.mo;
        self.receipts_pending += other.receipts_pending;
    }

    /// The recorded phases together.
    pub fn total(&self, scenario: &Scenario) -> PhaseMeasure {
        let mut total = PhaseMeasure::default();
        for (measure, _) in self.phases.iter().zip(&scenario.phases).filter(|(_, phase)| phase.record) {
            total.add(measure);
        }
        total
    }

    /// Everything by name. `elapsed` are the lengths of the phases as they were.
    pub fn metrics(&self, scenario: &Scenario, elapsed: &[Duration]) -> Metrics {
        let mut out = Metrics::new();
        let mut recorded = Duration::ZERO;
        for ((measure, phase), elapsed) in self.phases.iter().zip(&scenario.phases).zip(elapsed) {
            measure.metrics(&phase.name, *elapsed, &mut out);
            if phase.record && phase.drain.is_none() {
                recorded += *elapsed;
            }
        }
        self.total(scenario).metrics("total", recorded, &mut out);
        for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)] {
            out.insert(format!("total.lag.{name}"), self.lag.quantile(share));
        }
        out.insert("total.dropped".into(), self.dropped as f64);
        out.insert("total.queue_peak".into(), self.queue_peak as f64);
        out.insert("total.links_closed".into(), self.links_closed as f64);
        out
    }
}

/// Empties an interval for the next second and returns what it held.
pub(crate) fn rotate(interval: &mut Interval, next_second: u64) -> Interval {
    let full = interval.clone();
    interval.submit_rt.clear();
    interval.receipt_rt.clear();
    let submit_rt = std::mem::take(&mut interval.submit_rt);
    let receipt_rt = std::mem::take(&mut interval.receipt_rt);
    *interval = Interval { second: next_second, submit_rt, receipt_rt, ..Interval::default() };
    full
}

const LATENCY_US_MAX: u64 = 3_600_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threshold::{COUNTS, GENERATOR, LATENCIES};

    const SCENARIO: &str = r#"
        run = { name = "t" }
        target = { address = "127.0.0.1:2775" }
        account = [{ system_id = "a", binds = { trx = 1 } }]
        mix = [{ account = "a" }]
        phase = [{ name = "warm", rate = 1, for = "1s", record = false }, { name = "steady", rate = 1, for = "2s" }]
    "#;

    #[test]
    fn latencies_keep_three_digits_from_a_microsecond_to_an_hour() {
        let check = |nanos: u64, expected: f64| {
            let mut latency = Latency::new();
            latency.record(nanos);
            let measured = latency.quantile(0.5);
            assert!((measured - expected).abs() <= expected * 1e-3, "{measured} {expected}");
        };
        check(0, 1e-6);
        check(1_000, 1e-6);
        check(1_234_000, 1.234e-3);
        check(3_599_000_000_000, 3599.0);
        check(u64::MAX, 3600.0);
    }

    /// Whatever a threshold may name is measured.
    #[test]
    fn every_known_metric_is_there() {
        let scenario = Scenario::parse(SCENARIO).unwrap();
        let mut measure = Measure::new(2);
        for phase in &mut measure.phases {
            for latency in
                [&mut phase.submit_rt, &mut phase.submit_st, &mut phase.receipt_rt, &mut phase.receipt_st]
            {
                latency.record(1_000_000);
            }
            phase.ok = 10;
        }
        let metrics = measure.metrics(&scenario, &[Duration::from_secs(1), Duration::from_secs(2)]);
        for scope in ["warm", "steady", "total"] {
            for name in COUNTS {
                assert!(metrics.contains_key(&format!("{scope}.{name}")), "{scope}.{name}");
            }
            for latency in LATENCIES {
                for (quantile, _) in QUANTILES {
                    assert!(
                        metrics.contains_key(&format!("{scope}.{latency}.{quantile}")),
                        "{scope}.{latency}"
                    );
                }
            }
        }
        for name in GENERATOR {
            assert!(metrics.contains_key(&format!("total.{name}")), "{name}");
        }
        assert_eq!(metrics["total.rate"], 5.0); // the phase that is not recorded does not count
        assert_eq!(metrics["warm.rate"], 10.0);
    }

    #[test]
    fn a_rotated_interval_starts_empty() {
        let mut interval = Interval { sent: 5, ..Interval::default() };
        interval.submit_rt.record(1_000_000);
        let full = rotate(&mut interval, 1);
        assert_eq!((full.sent, full.submit_rt.count()), (5, 1));
        assert_eq!((interval.second, interval.sent, interval.submit_rt.count()), (1, 0, 0));
    }
}
