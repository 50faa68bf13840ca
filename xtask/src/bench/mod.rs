//! `cargo xtask bench`: measurements with their method. The figures belong to perf/README.md.

mod gateway;
mod idle;
mod parking;
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

/// # Errors
/// When something fails to build, to run, or to be correct.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    match &options.what {
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
