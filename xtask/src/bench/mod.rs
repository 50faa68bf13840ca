//! `cargo xtask bench`: measurements with their method. The figures belong to perf/README.md.

mod ab;
mod gate;
mod gateway;
mod history;
mod idle;
mod parking;
mod plot;
mod relay;
mod restart;
mod result;

use clap::{Args, Subcommand};

use crate::{process, project};

#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// What a message costs on fixed traces, against perf/baselines; no clock is used
    Gate(gate::Options),
    /// Another revision and this tree in turn, with confidence intervals
    Ab(ab::Options),
    /// Draw perf/history as perf/history/revisions.svg
    Plot,
    /// The gateway on one core beside a bare relay on the same core, on both back ends
    Relay(relay::Options),
    /// Start-up to the first accepted bind
    Startup(idle::StartupOptions),
    /// Resident memory of idle binds on one shard
    Memory(idle::MemoryOptions),
    /// Receipts parked for an absent customer and released beside another customer's traffic
    Parking(parking::Options),
    /// kill -9 and restart with many open correlations: all found again?
    Restart(restart::Options),
    /// The runtime's own figures: latency beside a firehose, wake-ups, idle CPU, echo
    Runtime(RuntimeOptions),
}

#[derive(Args)]
struct RuntimeOptions {
    /// Handed to the benchmark as they are
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// The gate as a step of `cargo xtask ci`.
///
/// # Errors
/// When a figure left its baseline, or the gate does not prove itself.
pub(crate) fn gate() -> anyhow::Result<()> {
    gate::run(&gate::Options::default())
}

/// # Errors
/// When something fails to build, to run, or to be correct.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    match &options.what {
        What::Gate(options) => gate::run(options),
        What::Ab(options) => ab::run(options),
        What::Plot => plot::run(),
        What::Relay(options) => relay::run(options),
        What::Startup(options) => idle::startup(options),
        What::Memory(options) => idle::memory(options),
        What::Parking(options) => parking::run(options),
        What::Restart(options) => restart::run(options),
        What::Runtime(options) => {
            let mut command = project::cargo();
            command.args(["run", "--release", "--package", "runtime", "--bin", "runtime-bench", "--"]);
            command.args(&options.arguments);
            process::run(&mut command)
        }
    }
}
