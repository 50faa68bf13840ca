//! What a run came to, written down: for people (text, HTML) and for programs (JSON).

mod compare;
mod html;
mod plot;
mod text;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use compare::compare;
pub use html::html;

use crate::machine::Machine;
use crate::measure::Interval;
use crate::outcome::Outcome;
use crate::reconcile::Reconciliation;
use crate::threshold::{Judgement, Metrics};

/// A run on paper. Everything needed to repeat it and to show it again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Form of this report; rises when a reader must change.
    pub version: u32,
    /// Name of the scenario.
    pub name: String,
    /// Seed.
    pub seed: u64,
    /// Run number in the message keys.
    pub run: u32,
    /// Begin, in UTC.
    pub begin: String,
    /// The same as Unix time, nanoseconds.
    pub begin_unix_ns: u64,
    /// Address of the target.
    pub target: String,
    /// Back end.
    pub backend: String,
    /// Commit of the checkout; empty when none.
    pub commit: String,
    /// Where it took place.
    pub machine: Machine,
    /// Exit code; see [`Code`](crate::Code).
    pub code: u8,
    /// `pass`, `INVALID` and so on.
    pub result: String,
    /// Why it did not take place.
    pub failure: Option<String>,
    /// Why its figures say nothing.
    pub invalidities: Vec<String>,
    /// Thresholds.
    pub thresholds: Vec<ThresholdLine>,
    /// Phases.
    pub phases: Vec<PhaseLine>,
    /// Answers other than 0 by command_status, with their names.
    pub statuses: BTreeMap<String, u64>,
    /// Everything by name.
    pub metrics: Metrics,
    /// Second by second.
    pub seconds: Vec<Second>,
    /// Ledgers joined.
    pub reconciliation: Option<Reconciliation>,
    /// Spans to shade.
    pub faults: Vec<FaultLine>,
    /// The scenario as it was carried out.
    pub scenario: String,
}

/// A threshold and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThresholdLine {
    /// As written.
    pub text: String,
    /// What its left side measured.
    pub measured: Option<f64>,
    /// `held`, `FAILED` or `not measured`.
    pub result: String,
}

/// A phase in the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseLine {
    /// Name.
    pub name: String,
    /// Begin in seconds from the first due message.
    pub from: f64,
    /// End.
    pub to: f64,
    /// Whether it counts into `total`.
    pub recorded: bool,
}

/// A span to shade, in seconds from the first due message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultLine {
    /// What was broken.
    pub name: String,
    /// Begin.
    pub from: f64,
    /// End.
    pub to: f64,
}

/// One second. Latencies in seconds, zero when nothing was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// Number, from 0.
    pub second: u64,
    /// Messages that became due.
    pub due: u64,
    /// Sent.
    pub sent: u64,
    /// Answered with status 0.
    pub ok: u64,
    /// Answered with another status.
    pub errors: u64,
    /// Receipts.
    pub receipts: u64,
    /// MO messages.
    pub mo: u64,
    /// Unanswered at its end.
    pub in_flight: u64,
    /// Waiting for a window at its end.
    pub queued: u64,
    /// Sessions at its end.
    pub links: u64,
    /// Due to answer: median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// Slowest.
    pub max: f64,
    /// Due to receipt: median.
    pub receipt_p50: f64,
    /// 99th percentile.
    pub receipt_p99: f64,
}

impl From<&Interval> for Second {
    fn from(interval: &Interval) -> Second {
        Second {
            second: interval.second,
            due: interval.due,
            sent: interval.sent,
            ok: interval.ok,
            errors: interval.errors,
            receipts: interval.receipts,
            mo: interval.mo,
            in_flight: interval.in_flight,
            queued: interval.queued,
            links: interval.links,
            p50: interval.submit_rt.quantile(0.5),
            p99: interval.submit_rt.quantile(0.99),
            p999: interval.submit_rt.quantile(0.999),
            max: interval.submit_rt.quantile(1.0),
            receipt_p50: interval.receipt_rt.quantile(0.5),
            receipt_p99: interval.receipt_rt.quantile(0.99),
        }
    }
}

impl Report {
    pub(crate) fn of(outcome: &Outcome) -> Report {
        let scenario = &outcome.scenario;
        let code = outcome.code();
        let thresholds = outcome.judgements().into_iter().map(|(text, measured, judgement)| {
            let result = match judgement {
                Judgement::Held => "held",
                Judgement::Failed => "FAILED",
                Judgement::Pending => "not measured",
            };
            ThresholdLine { text, measured, result: result.into() }
        });
        let begin = jiff::Timestamp::from_nanosecond(i128::from(outcome.begin_unix_ns));
        Report {
            version: VERSION,
            name: scenario.name.clone(),
            seed: scenario.seed,
            run: scenario.run,
            begin: begin
                .map_or_else(|_| String::new(), |begin| begin.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            begin_unix_ns: outcome.begin_unix_ns,
            target: scenario.target.address.to_string(),
            backend: outcome.backend.clone(),
            commit: outcome.commit.clone(),
            machine: outcome.machine.clone(),
            code: code as u8,
            result: text::result(code).to_owned(),
            failure: outcome.failure.clone(),
            invalidities: outcome.invalidities(),
            thresholds: thresholds.collect(),
            phases: phases(outcome),
            statuses: statuses(outcome),
            metrics: outcome.metrics.clone(),
            seconds: outcome.seconds.clone(),
            reconciliation: outcome.reconciliation.clone(),
            faults: faults(outcome),
            scenario: scenario.text.clone(),
        }
    }

    /// Reads what [`Report::write`] wrote.
    ///
    /// # Errors
    ///
    /// The directory holds no `summary.json`, or one of another version.
    pub fn read(directory: &Path) -> io::Result<Report> {
        let text = fs::read_to_string(directory.join(SUMMARY))?;
        let report: Report = serde_json::from_str(&text).map_err(io::Error::other)?;
        if report.version != VERSION {
            return Err(io::Error::other(format!("report version {}, expected {VERSION}", report.version)));
        }
        Ok(report)
    }

    /// Writes `summary.json`, `report.txt` and `report.html`.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        fs::create_dir_all(directory)?;
        fs::write(directory.join(SUMMARY), serde_json::to_string_pretty(self).map_err(io::Error::other)?)?;
        fs::write(directory.join("report.txt"), self.text())?;
        fs::write(directory.join("report.html"), html(self))
    }

    /// One page of text.
    pub fn text(&self) -> String {
        text::page(self)
    }

    /// A metric, zero when it was not measured.
    pub fn metric(&self, name: &str) -> f64 {
        self.metrics.get(name).copied().unwrap_or(0.0)
    }
}

fn phases(outcome: &Outcome) -> Vec<PhaseLine> {
    let mut from = 0.0;
    let lines = outcome.scenario.phases.iter().zip(&outcome.elapsed).map(|(phase, elapsed)| {
        let to = from + elapsed.as_secs_f64();
        let line = PhaseLine { name: phase.name.clone(), from, to, recorded: phase.record };
        from = to;
        line
    });
    lines.collect()
}

fn statuses(outcome: &Outcome) -> BTreeMap<String, u64> {
    let mut out = BTreeMap::new();
    for (status, count) in outcome.measure.phases.iter().flat_map(|phase| &phase.statuses) {
        let status = smpp::field::CommandStatus(*status);
        let name = status.name().map_or_else(|| format!("{:#010x}", status.0), str::to_owned);
        *out.entry(name).or_default() += count;
    }
    out
}

fn faults(outcome: &Outcome) -> Vec<FaultLine> {
    let lines = outcome.scenario.faults.iter().map(|fault| FaultLine {
        name: fault.name.clone(),
        from: fault.at.as_secs_f64(),
        to: (fault.at + fault.duration).as_secs_f64(),
    });
    lines.collect()
}

const VERSION: u32 = 1;
const SUMMARY: &str = "summary.json";

#[cfg(test)]
pub(crate) mod tests;
