//! What developers and CI call: `cargo xtask demo | test | flakes | ci | walls | simulate | bench ...`.
#![forbid(unsafe_code)]

mod bench;
mod ci;
mod debian;
mod demo;
mod flakes;
mod host;
mod http;
mod interrupt;
mod needs;
mod parts;
mod process;
mod project;
mod redis;
mod simulate;
mod slow;
mod step;
mod test;
mod walls;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "Developer and CI commands")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Watch the gateway relay to two sites, lose one, and lose no message
    Demo(demo::Options),
    /// Run every test; install what the tests need, and fail where that cannot be
    Test(test::Options),
    /// Run test programs again and again beside a busy machine, and count what fails
    Flakes(flakes::Options),
    /// Formatting, lints, walls and tests, as CI runs them
    Ci,
    /// Check the walls of the design
    Walls,
    /// Tell seeded stories of whole gateways, and judge them
    Simulate(simulate::Options),
    /// Measure; the figures belong to perf/README.md
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let result = interrupt::install().and_then(|()| match Arguments::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Flakes(options) => flakes::run(&options),
        Command::Ci => ci::run(),
        Command::Walls => walls::run(),
        Command::Simulate(options) => simulate::run(&options),
        Command::Bench(options) => bench::run(&options),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
