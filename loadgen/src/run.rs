//! Carrying a scenario out: workers on their threads, their seconds collected, their measures added up.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use ledger::{Meta, Writer};
use runtime::{BackendChoice, Placement, Runtime, ShardThread, Stop};

use crate::measure::{Interval, Measure};
use crate::outcome::Outcome;
use crate::progress::{Progress, Ui};
use crate::scenario::Scenario;
use crate::worker::{Brief, Finished, StartLine, drive};

/// How a scenario is carried out.
#[derive(Default)]
pub struct Options {
    /// Directory for ledgers (`loadgen.ledger`, `loadgen-1.ledger` and so on) and reports; made if missing.
    /// Without it nothing is written.
    pub out: Option<PathBuf>,
    /// Which back end carries the connections.
    pub backend: BackendChoice,
    /// How progress is shown.
    pub ui: Ui,
    /// Ends the run early; what was measured is kept, and the run is invalid.
    pub stop: Stop,
    /// Called with every second that is over.
    pub on_second: Option<OnSecond>,
}

/// Takes each second that is over.
pub type OnSecond = Box<dyn FnMut(&Interval) + Send>;

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("out", &self.out)
            .field("backend", &self.backend)
            .finish_non_exhaustive()
    }
}

/// Carries a scenario out. Blocks until its end. What went wrong stands in the outcome.
pub fn run(mut scenario: Scenario, options: Options) -> Outcome {
    if !scenario.run_is_set {
        scenario.run = ledger::draw_instance(scenario.run);
    }
    let scenario = Arc::new(scenario);
    let mut outcome = Outcome::new(scenario.clone());
    let selected = match runtime::select(options.backend) {
        Ok(selected) => selected,
        Err(error) => return outcome.failed(format!("no back end: {error}")),
    };
    tracing::info!(backend = %selected.backend, reason = %selected.reason, "back end");
    outcome.backend = selected.backend.name().to_owned();
    let result = runtime::on_backend!(selected.backend, carry_out(&scenario, options, &mut outcome));
    match result {
        Ok(()) => outcome,
        Err(failure) => outcome.failed(failure),
    }
}

fn carry_out<R: Runtime>(
    scenario: &Arc<Scenario>,
    options: Options,
    outcome: &mut Outcome,
) -> Result<(), String> {
    let workers = scenario.workers.min(scenario.accounts.len());
    let start_line = Arc::new(StartLine::new(scenario.workers));
    let (interval_sender, intervals) = mpsc::sync_channel(INTERVALS_MAX * workers.max(1));
    let (finished_sender, finished) = mpsc::sync_channel(workers.max(1));
    let mut threads: Vec<ShardThread> = Vec::new();
    for worker in 0..scenario.workers {
        let ledger = match &options.out {
            Some(directory) => Some(open_ledger(scenario, directory, worker, outcome)?),
            None => None,
        };
        let brief = Brief {
            scenario: scenario.clone(),
            worker,
            start_line: start_line.clone(),
            stop: options.stop.clone(),
            ledger,
            intervals: SyncSender::clone(&interval_sender),
        };
        let report = finished_sender.clone();
        let placement = match scenario.cores.get(worker % scenario.cores.len().max(1)) {
            Some(&core) => Placement::Core(core),
            None => Placement::Floating,
        };
        let main = move || {
            drive::<R>(brief, move |finished| {
                // The receiver outlives all workers.
                let _ = report.send(finished);
            })
        };
        let thread = R::run(placement, &format!("load-{worker}"), main);
        threads.push(thread.map_err(|error| format!("worker {worker} cannot start: {error}"))?);
    }
    drop((interval_sender, finished_sender));
    let mut progress = Progress::new(options.ui, scenario);
    let mut watcher =
        Watcher { workers: scenario.workers, open: BTreeMap::new(), on_second: options.on_second };
    watcher.watch(&intervals, &mut progress, outcome);
    progress.finish();
    for thread in threads {
        thread.join().map_err(|panic| format!("a worker ended: {panic}"))?;
    }
    add_up(finished.try_iter().collect(), outcome)
}

fn add_up(finished: Vec<Finished>, outcome: &mut Outcome) -> Result<(), String> {
    let mut measure = Measure::new(outcome.scenario.phases.len());
    for worker in &finished {
        measure.add(&worker.measure);
        for (longest, elapsed) in outcome.elapsed.iter_mut().zip(&worker.elapsed) {
            *longest = (*longest).max(*elapsed);
        }
        outcome.interrupted |= worker.interrupted;
        outcome.begin_unix_ns = outcome.begin_unix_ns.max(worker.begin_unix_ns);
    }
    outcome.set_measure(measure);
    match finished.into_iter().find_map(|worker| worker.failure) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

fn open_ledger(
    scenario: &Scenario,
    directory: &Path,
    worker: usize,
    outcome: &mut Outcome,
) -> Result<Writer, String> {
    let name = if worker == 0 { "loadgen.ledger".to_owned() } else { format!("loadgen-{worker}.ledger") };
    let path = directory.join(name);
    let meta = Meta {
        program: "loadgen".into(),
        run: scenario.run,
        seed: scenario.seed,
        parties: scenario.accounts.iter().map(|account| account.name.clone()).collect(),
        rules: serde_json::to_value(&scenario.rules).unwrap_or_default(),
    };
    let opened = fs::create_dir_all(directory).and_then(|()| Writer::create(&path, &meta));
    outcome.ledgers.push(path.clone());
    opened.map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Puts the seconds of all workers together.
struct Watcher {
    workers: usize,
    /// Seconds that not all workers have reported, with how many have.
    open: BTreeMap<u64, (usize, Interval)>,
    on_second: Option<OnSecond>,
}

impl Watcher {
    fn watch(&mut self, intervals: &Receiver<Interval>, progress: &mut Progress, outcome: &mut Outcome) {
        loop {
            match intervals.recv_timeout(PROGRESS_PERIOD) {
                Ok(interval) => self.take(interval),
                Err(RecvTimeoutError::Timeout) => {
                    progress.tick();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while let Some(entry) = self.open.first_entry() {
                if entry.get().0 < self.workers {
                    break;
                }
                let (_, interval) = entry.remove();
                self.complete(&interval, progress, outcome);
            }
        }
        for (_, interval) in std::mem::take(&mut self.open).into_values() {
            self.complete(&interval, progress, outcome);
        }
    }

    fn take(&mut self, interval: Interval) {
        let (count, sum) = self
            .open
            .entry(interval.second)
            .or_insert_with(|| (0, Interval { second: interval.second, ..Interval::default() }));
        *count += 1;
        sum.add(&interval);
    }

    fn complete(&mut self, interval: &Interval, progress: &mut Progress, outcome: &mut Outcome) {
        progress.second(interval);
        outcome.seconds.push(interval.into());
        if let Some(on_second) = &mut self.on_second {
            on_second(interval);
        }
    }
}

/// Seconds a slow watcher may lag behind before it misses some.
const INTERVALS_MAX: usize = 60;

/// How often a moving display moves.
const PROGRESS_PERIOD: Duration = Duration::from_millis(100);
