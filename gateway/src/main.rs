//! The gateway program: arguments, configuration, wiring, wait, drain.
#![forbid(unsafe_code)]

mod app;

use clap::{Parser, Subcommand};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An SMPP gateway: customers bind to it, it binds to vendors.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway with this configuration until SIGTERM.
    Run {
        /// The configuration, TOML.
        file: PathBuf,
    },
    /// Check a configuration, tell every mistake in it, start nothing.
    CheckConfig {
        /// The configuration, TOML.
        file: PathBuf,
    },
}

/// A wrong configuration; the same as a wrong command line.
const EXIT_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::CheckConfig { file } => check(&file),
        Command::Run { file } => return run(&file),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(mistakes) => tell(&mistakes),
    }
}

fn check(file: &std::path::Path) -> Result<(), Vec<control::config::Mistake>> {
    let report = control::config::check_config(file)?;
    println!("{report}");
    let config = control::config::load(file)?;
    let built = control::config::build(&config)?;
    // The machine that checks need not be the one that runs: cores that are not here are no mistake of the file.
    match app::memory_bound(&config, &built) {
        Ok(bound) => println!("{bound}"),
        Err(error) => println!("memory: not known here: {error}"),
    }
    Ok(())
}

fn run(file: &std::path::Path) -> ExitCode {
    log_to_stderr();
    let config = match control::config::load(file) {
        Ok(config) => config,
        Err(mistakes) => return tell(&mistakes),
    };
    let built = match control::config::build(&config) {
        Ok(built) => built,
        Err(mistakes) => return tell(&mistakes),
    };
    for warning in &built.warnings {
        tracing::warn!("{warning}");
    }
    match app::run(&config, built) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn tell(mistakes: &[control::config::Mistake]) -> ExitCode {
    for mistake in mistakes {
        eprintln!("{mistake}");
    }
    eprintln!("{} in the configuration; nothing was started", count(mistakes.len(), "mistake"));
    ExitCode::from(EXIT_CONFIGURATION)
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Logs go to stderr, stdout is for the ready line. `RUST_LOG` chooses; info is the default.
fn log_to_stderr() {
    use tracing_subscriber::filter::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
}
