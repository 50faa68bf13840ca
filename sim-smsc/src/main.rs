//! The program: `sim-smsc run FILE`, `sim-smsc check FILE`.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use runtime::BackendChoice;
use sim_smsc::{RunOptions, Running, Scenario, Simulator};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A simulated SMSC to test against.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Opens the sites of a scenario and serves them until SIGTERM or SIGINT.
    Run {
        /// Scenario file (TOML).
        file: PathBuf,
        /// Folder for the ledger, sim.ledger; without it none is written.
        #[arg(long)]
        out: Option<PathBuf>,
        /// auto, glommio or tokio; replaces the one of the scenario.
        #[arg(long)]
        backend: Option<BackendChoice>,
    },
    /// Reads a scenario and reports every mistake.
    Check {
        /// Scenario file (TOML).
        file: PathBuf,
    },
}

/// Exit code of a scenario with mistakes.
const EXIT_BAD_SCENARIO: u8 = 2;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()),
        )
        .init();
    let result = match Arguments::parse().command {
        Command::Run { file, out, backend } => load(&file).map(|mut scenario| {
            scenario.backend = backend.unwrap_or(scenario.backend);
            run(scenario, RunOptions { out })
        }),
        Command::Check { file } => load(&file).map(|scenario| {
            println!(
                "{}: {} sites, {} faults, no mistakes",
                scenario.name,
                scenario.sites.len(),
                scenario.faults.len()
            );
            Ok(())
        }),
    };
    match result {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("sim-smsc: {error:#}");
            ExitCode::FAILURE
        }
        Err(code) => code,
    }
}

fn load(file: &Path) -> Result<Scenario, ExitCode> {
    Scenario::load(file).map_err(|error| {
        eprintln!("{error}");
        ExitCode::from(EXIT_BAD_SCENARIO)
    })
}

fn run(scenario: Scenario, options: RunOptions) -> anyhow::Result<()> {
    // Signals are caught before the ports open, so that whoever read the ready line may send one at once.
    let signals = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut terminate, mut interrupt) = {
        use tokio::signal::unix::{SignalKind, signal};
        let _entered = signals.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    let running = Simulator::start_with(scenario, options).context("the simulator cannot start")?;
    let (backend, reason) = running.backend();
    tracing::info!(backend = backend.name(), reason, "back end chosen");
    println!("{}", ready_line(&running));
    signals.block_on(async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    });
    let summary = running.stop().context("the simulator did not end well")?;
    eprint!("{summary}");
    Ok(())
}

/// One line that tells a parent process where everything listens.
fn ready_line(running: &Running) -> serde_json::Value {
    let listen: serde_json::Map<_, _> = running
        .addresses()
        .iter()
        .map(|(name, address)| (name.clone(), address.to_string().into()))
        .collect();
    serde_json::json!({
        "ready": true,
        "program": "sim-smsc",
        "listen": listen,
        "http": running.http().map(|address| address.to_string()),
    })
}
