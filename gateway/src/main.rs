//! The gateway program: arguments, configuration, wiring, wait, drain.
#![forbid(unsafe_code)]

mod app;
mod route;
mod trace;

use anyhow::Context;
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
    /// Bring the database of `[cdr] postgres` to the schema of this version.
    Migrate {
        /// The configuration, TOML.
        #[arg(long)]
        config: PathBuf,
    },
    /// Ask a running gateway what became of a message.
    Trace(trace::Arguments),
    /// Ask about routes.
    #[command(subcommand)]
    Route(route::Command),
}

/// A wrong configuration; the same as a wrong command line.
const EXIT_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::CheckConfig { file } => check(&file),
        Command::Run { file } => return run(&file),
        Command::Migrate { config } => return exit(migrate(&config)),
        Command::Trace(arguments) => return exit(trace::run(&arguments)),
        Command::Route(command) => return exit(route::run(&command)),
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

/// Brings the database's schema up to date.
fn migrate(file: &std::path::Path) -> anyhow::Result<()> {
    let config = control::config::load(file).map_err(|mistakes| {
        let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        anyhow::anyhow!(mistakes.join("\n"))
    })?;
    let url = config.cdr.postgres_url().context("the configuration names no database: set [cdr] postgres")?;
    let applied = control::cdr::migrate(&url)?;
    applied.iter().for_each(|name| println!("applied {name}"));
    println!("the schema is up to date");
    Ok(())
}

fn exit(done: anyhow::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
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
    match app::run(&config, built, file) {
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
