//! The program: `loadgen run | check | reconcile | explain | report | compare`.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ledger::MessageKey;
use loadgen::null_smsc::{NullSmsc, NullSmscOptions};
use loadgen::reconcile::{Inputs, explain, reconcile};
use loadgen::report::{Report, compare};
use loadgen::scenario::{Scenario, Setting};
use loadgen::{Code, Options, Ui, run};
use runtime::BackendChoice;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Open-loop SMPP load generator.
///
/// Exit codes: 0 pass; 2 bad scenario; 3 run invalid (the generator could not keep its schedule, or a ledger cannot be
/// judged); 4 no connection; 10 a threshold failed; 11 an offence: a message or receipt was lost, duplicated,
/// misrouted, altered, not answered and so on.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Carries a scenario out.
    Run(RunArguments),
    /// Checks a scenario and prints its plan.
    Check {
        /// The scenario.
        file: PathBuf,
        /// Replaces a value: `target.address=127.0.0.1:2775`, `phase.1.rate=500`.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        settings: Vec<Setting>,
    },
    /// Joins ledgers and names every offender.
    Reconcile {
        /// Ledger of loadgen; several when the run had several workers.
        #[arg(long, required = true, num_args = 1..)]
        loadgen: Vec<PathBuf>,
        /// Ledger of a simulator. Without any, only what loadgen can know is judged.
        #[arg(long, num_args = 1..)]
        sim: Vec<PathBuf>,
        /// command_status by which the target says that it cannot know; without it the scenario's.
        #[arg(long, value_parser = status)]
        unknown_status: Option<u32>,
        /// Prints JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Tells the story of one message from all ledgers.
    Explain {
        /// Its key, as a report names it (run/account/sequence.segment), or the 24 characters at the head of its text.
        key: MessageKey,
        /// Ledger of loadgen; several when the run had several workers.
        #[arg(long, required = true, num_args = 1..)]
        loadgen: Vec<PathBuf>,
        /// Ledger of a simulator.
        #[arg(long, num_args = 1..)]
        sim: Vec<PathBuf>,
    },
    /// Measures this program's own ceiling against a built-in SMSC that takes everything at once.
    Calibrate {
        /// Seconds to measure.
        #[arg(long, default_value_t = 5)]
        seconds: u32,
        /// Which back end carries the connections: auto, glommio or tokio.
        #[arg(long, default_value = "auto")]
        backend: BackendChoice,
        /// Core of the load.
        #[arg(long)]
        core: Option<usize>,
        /// Core of the SMSC.
        #[arg(long)]
        smsc_core: Option<usize>,
        /// Asks for no receipts.
        #[arg(long)]
        no_receipts: bool,
        /// Directory for ledgers and reports; without it none are written.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Prints a run's report and writes it anew.
    Report {
        /// What `run --out` wrote.
        directory: PathBuf,
    },
    /// Prints two runs side by side.
    Compare {
        /// What `run --out` wrote before.
        a: PathBuf,
        /// What `run --out` wrote after.
        b: PathBuf,
    },
}

#[derive(clap::Args)]
struct RunArguments {
    /// The scenario.
    file: PathBuf,
    /// Directory for ledgers and reports.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Replaces a value: `target.address=127.0.0.1:2775`, `phase.1.rate=500`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<Setting>,
    /// Ledgers of the simulators behind the target, joined after the run.
    #[arg(long, num_args = 1.., requires = "out")]
    sim: Vec<PathBuf>,
    /// How progress is shown: auto, line, tui or none.
    #[arg(long, default_value = "auto")]
    ui: Ui,
    /// Which back end carries the connections: auto, glommio or tokio.
    #[arg(long, default_value = "auto")]
    backend: BackendChoice,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()),
        )
        .init();
    let code = match Arguments::parse().command {
        Command::Run(arguments) => carry_out(arguments),
        Command::Check { file, settings } => check(&file, &settings),
        Command::Reconcile { loadgen, sim, unknown_status, json } => {
            join(&Inputs { loadgen, sims: sim, unknown_status }, json)
        }
        Command::Explain { key, loadgen, sim } => {
            tell(&Inputs { loadgen, sims: sim, unknown_status: None }, key)
        }
        Command::Calibrate { seconds, backend, core, smsc_core, no_receipts, out } => {
            calibrate(seconds, backend, core, smsc_core, !no_receipts, out)
        }
        Command::Report { directory } => report(&directory),
        Command::Compare { a, b } => side_by_side(&a, &b),
    };
    match code {
        Ok(code) => ExitCode::from(code as u8),
        Err(error) => {
            eprintln!("loadgen: {error:#}");
            ExitCode::from(Code::Connection as u8)
        }
    }
}

fn carry_out(arguments: RunArguments) -> anyhow::Result<Code> {
    let scenario = match read(&arguments.file, &arguments.settings) {
        Ok(scenario) => scenario,
        Err(code) => return Ok(code),
    };
    let options = Options {
        out: arguments.out.clone(),
        backend: arguments.backend,
        ui: arguments.ui,
        ..Options::default()
    };
    let mut outcome = run(scenario, options);
    if !arguments.sim.is_empty() && outcome.failure.is_none() {
        reconcile_when_written(&mut outcome, &arguments.sim)?;
    }
    if let Some(directory) = &arguments.out {
        outcome.write_reports(directory)?;
    }
    print!("{}", outcome.report().text());
    Ok(outcome.code())
}

/// Simulators that still run write their ledgers out every second; one that was killed never does.
fn reconcile_when_written(outcome: &mut loadgen::Outcome, sims: &[PathBuf]) -> anyhow::Result<()> {
    for _ in 0..SETTLE_ROUNDS_MAX {
        std::thread::sleep(SETTLE_ROUND);
        if outcome.reconcile(sims)?.is_valid() {
            break;
        }
    }
    Ok(())
}

fn check(file: &Path, settings: &[Setting]) -> anyhow::Result<Code> {
    match read(file, settings) {
        Ok(scenario) => {
            print!("{}", scenario.plan());
            Ok(Code::Pass)
        }
        Err(code) => Ok(code),
    }
}

/// Reads a scenario; mistakes are told on standard error, all of them.
fn read(file: &Path, settings: &[Setting]) -> Result<Scenario, Code> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        eprintln!("{}: {error}", file.display());
        Code::BadScenario
    })?;
    Scenario::parse_with(&text, settings).map_err(|error| {
        for mistake in error.0 {
            eprintln!("{}: {mistake}", file.display());
        }
        Code::BadScenario
    })
}

fn join(inputs: &Inputs, json: bool) -> anyhow::Result<Code> {
    let result = reconcile(inputs)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&result)?);
    } else {
        print!("{}", result.text());
    }
    Ok(match (result.is_valid(), result.holds()) {
        (false, _) => Code::Invalid,
        (true, true) => Code::Pass,
        (true, false) => Code::Invariant,
    })
}

fn tell(inputs: &Inputs, key: MessageKey) -> anyhow::Result<Code> {
    print!("{}", explain(inputs, key)?);
    Ok(Code::Pass)
}

fn calibrate(
    seconds: u32,
    backend: BackendChoice,
    core: Option<usize>,
    smsc_core: Option<usize>,
    receipts: bool,
    out: Option<PathBuf>,
) -> anyhow::Result<Code> {
    let selected = runtime::select(backend)?;
    let options = NullSmscOptions { core: smsc_core, ..NullSmscOptions::default() };
    let smsc = NullSmsc::start(selected.backend, &options)?;
    let mut settings = vec![
        Setting::new("target.address", smsc.address().to_string()),
        Setting::new("phase.1.for", format!("{seconds}s")),
        Setting::new("account.0.receipts.expect", receipts),
    ];
    settings.extend(core.map(|core| Setting::new("run.cores", vec![core as i64])));
    let scenario = Scenario::parse_with(CALIBRATION, &settings)?;
    let outcome = run(scenario, Options { out: out.clone(), backend, ui: Ui::Auto, ..Options::default() });
    smsc.finish()?;
    if let Some(directory) = &out {
        outcome.write_reports(directory)?;
    }
    print!("{}", outcome.report().text());
    Ok(outcome.code())
}

fn report(directory: &Path) -> anyhow::Result<Code> {
    let report = Report::read(directory)?;
    report.write(directory)?;
    print!("{}", report.text());
    Ok(Code::Pass)
}

fn side_by_side(a: &Path, b: &Path) -> anyhow::Result<Code> {
    print!("{}", compare(&Report::read(a)?, &Report::read(b)?));
    Ok(Code::Pass)
}

fn status(text: &str) -> Result<u32, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|error| format!("{text:?} is no command_status: {error}"))
}

/// Longer than a simulator keeps records to itself.
const SETTLE_ROUND: std::time::Duration = std::time::Duration::from_millis(1200);

/// A simulator that has not written by then does not run any more.
const SETTLE_ROUNDS_MAX: u32 = 4;

/// Full windows over eight sessions: more than any target takes.
const CALIBRATION: &str = r#"
[run]
name = "calibration"
lag_max = "1h"                    # a closed loop has no schedule
[target]
address = "127.0.0.1:1"
[[account]]
name = "ceiling"
system_id = "ceiling"
binds = { trx = 8 }
window = 500
receipts = { expect = true }
[[mix]]
account = "ceiling"
body = { length = { uniform = [40, 140] } }
[load]
model = "closed"
[[phase]]
name = "warmup"
for = "1s"
record = false
[[phase]]
name = "steady"
for = "5s"
[[phase]]
name = "drain"
until = "receipts-complete"
max = "30s"
"#;
