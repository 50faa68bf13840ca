//! What a run came to, and whether it passed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::machine::{self, Machine};
use crate::measure::Measure;
use crate::reconcile::{Inputs, Reconciliation, reconcile};
use crate::report::{Report, Second};
use crate::scenario::Scenario;
use crate::threshold::{Judgement, Metrics};

/// Everything known after a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was to be done.
    pub scenario: Arc<Scenario>,
    /// All counts and latencies.
    pub measure: Measure,
    /// The same, second by second.
    pub seconds: Vec<Second>,
    /// Lengths of the phases as they were.
    pub elapsed: Vec<Duration>,
    /// Everything by name, as thresholds see it.
    pub metrics: Metrics,
    /// Which back end carried the connections.
    pub backend: String,
    /// Unix time of the first due message, nanoseconds.
    pub begin_unix_ns: u64,
    /// Ledgers written.
    pub ledgers: Vec<PathBuf>,
    /// Ledgers joined, once [`Outcome::reconcile`] was called.
    pub reconciliation: Option<Reconciliation>,
    /// Why the run did not take place, or not to its end.
    pub failure: Option<String>,
    /// The run was stopped before its end.
    pub interrupted: bool,
    /// Commit of the checkout the run was started in; empty when none.
    pub commit: String,
    /// Where the run took place.
    pub machine: Machine,
}

/// How a run ended, as its exit code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Code {
    /// All thresholds and invariants hold.
    Pass = 0,
    /// The scenario is wrong.
    BadScenario = 2,
    /// The generator could not keep its schedule, a ledger cannot be judged, or the run was stopped: the figures say
    /// nothing.
    Invalid = 3,
    /// The target could not be reached or bound to.
    Connection = 4,
    /// A threshold does not hold.
    Threshold = 10,
    /// An offence: a message or receipt was lost, duplicated, misrouted, altered, not answered and so on.
    Invariant = 11,
}

impl Outcome {
    pub(crate) fn new(scenario: Arc<Scenario>) -> Outcome {
        let phases = scenario.phases.len();
        Outcome {
            measure: Measure::new(phases),
            seconds: Vec::new(),
            elapsed: vec![Duration::ZERO; phases],
            metrics: Metrics::new(),
            backend: String::new(),
            begin_unix_ns: 0,
            ledgers: Vec::new(),
            reconciliation: None,
            failure: None,
            interrupted: false,
            commit: machine::commit(),
            machine: Machine::read(),
            scenario,
        }
    }

    pub(crate) fn failed(mut self, failure: String) -> Outcome {
        self.failure = Some(failure);
        self
    }

    pub(crate) fn set_measure(&mut self, measure: Measure) {
        self.metrics = measure.metrics(&self.scenario, &self.elapsed);
        self.measure = measure;
    }

    /// Joins this run's ledgers with the simulators' (which must have been written out) and adds what it finds to
    /// the metrics.
    ///
    /// # Errors
    ///
    /// A ledger cannot be read; the run cannot be judged then.
    pub fn reconcile(&mut self, sims: &[PathBuf]) -> Result<&Reconciliation, ledger::LedgerError> {
        let inputs = Inputs { loadgen: self.ledgers.clone(), sims: sims.to_vec(), unknown_status: None };
        let result = reconcile(&inputs)?;
        result.metrics(&mut self.metrics);
        Ok(self.reconciliation.insert(result))
    }

    /// Why the figures say nothing; empty when they do.
    pub fn invalidities(&self) -> Vec<String> {
        let mut out = Vec::new();
        let lag = Duration::from_secs_f64(self.measure.lag.quantile(0.999));
        if lag > self.scenario.lag_max {
            let limit = self.scenario.lag_max;
            out.push(format!(
                "the generator was late: lag p99.9 {lag:?} while windows were free, limit {limit:?}"
            ));
        }
        if self.measure.dropped > 0 {
            out.push(format!("{} due messages found no room in the queue", self.measure.dropped));
        }
        out.extend(self.unjudgeable());
        out
    }

    /// Why not even offences can be told.
    fn unjudgeable(&self) -> Vec<String> {
        let interrupted = self.interrupted.then(|| "the run was stopped before its end".to_owned());
        let ledgers = self.reconciliation.iter().flat_map(|reconciliation| reconciliation.invalid.clone());
        interrupted.into_iter().chain(ledgers).collect()
    }

    /// Each threshold with what it measured and what became of it.
    pub fn judgements(&self) -> Vec<(String, Option<f64>, Judgement)> {
        let judge = |threshold: &crate::threshold::Threshold| {
            (threshold.to_string(), threshold.measured(&self.metrics), threshold.judge(&self.metrics))
        };
        self.scenario.thresholds.iter().map(judge).collect()
    }

    /// How the run ended. What makes everything else meaningless comes first: no connection, nothing to judge by, an
    /// offence, invalid figures, a threshold.
    pub fn code(&self) -> Code {
        if self.failure.is_some() {
            return Code::Connection;
        }
        if !self.unjudgeable().is_empty() {
            return Code::Invalid;
        }
        let offends = self.reconciliation.as_ref().is_some_and(|reconciliation| !reconciliation.holds());
        if offends || self.measure.missing > 0 {
            return Code::Invariant;
        }
        if !self.invalidities().is_empty() {
            return Code::Invalid;
        }
        let held = self.judgements().iter().all(|(_, _, judgement)| *judgement == Judgement::Held);
        if held { Code::Pass } else { Code::Threshold }
    }

    /// Everything as it is written down.
    pub fn report(&self) -> Report {
        Report::of(self)
    }

    /// Writes `summary.json`, `report.txt` and `report.html`.
    pub fn write_reports(&self, directory: &Path) -> std::io::Result<()> {
        self.report().write(directory)
    }
}
