//! The gateway program: arguments, configuration, wiring, wait, drain.
#![forbid(unsafe_code)]

mod app;
mod database;
mod route;
mod store_files;
mod trace;

use clap::{Parser, Subcommand};
use control::source::{LoadError, Loaded, Origin, Version};
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
    /// Bring the databases of `[source]` and `[cdr]` to the schema of this version.
    Migrate(database::Which),
    /// Put the customers, vendors, routes ... of a file in the place of those in the database.
    Import(database::Import),
    /// Print the customers, vendors, routes ... of the database as a file that import takes.
    Export(database::Which),
    /// Say that this machine's clock is right after the store did not believe it.
    TrustClock {
        /// The configuration, TOML.
        file: PathBuf,
    },
    /// Ask a running gateway what became of a message.
    Trace(trace::Arguments),
    /// Look at what a stopped gateway keeps on disk, or go on with what can be read of it.
    #[command(subcommand)]
    Store(store_files::Command),
    /// Ask about routes.
    #[command(subcommand)]
    Route(route::Command),
}

/// A wrong configuration; the same as a wrong command line.
const EXIT_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        Command::CheckConfig { file } => match check(&file) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => refuse(&error),
        },
        Command::Run { file } => run(&file),
        Command::Migrate(which) => exit(database::migrate(&which)),
        Command::Import(arguments) => exit(database::import(&arguments)),
        Command::Export(which) => exit(database::export(&which)),
        Command::TrustClock { file } => exit(trust_clock(&file)),
        Command::Trace(arguments) => exit(trace::run(&arguments)),
        Command::Store(command) => store_files::run(&command),
        Command::Route(command) => exit(route::run(&command)),
    }
}

fn check(file: &std::path::Path) -> Result<(), LoadError> {
    let Loaded { config, mut built, standing, .. } = control::source::load(file)?;
    // A name that cannot be resolved now is no mistake: the other vendors shall start.
    built.warnings.extend(control::names::look_up(&mut built.names));
    println!("{}", control::config::Report::of(&config, &built));
    let standing = standing.load();
    if standing.origin != Origin::File {
        let Version { number, author, .. } = &standing.version;
        println!("version {number} by {author}, from {}", standing.origin.label());
    }
    // The machine that checks need not be the one that runs: cores that are not here are no mistake of the file.
    println!("descriptors: {}", app::descriptors(&config, &built));
    match app::memory_bound(&config, &built) {
        Ok(bound) => println!("{bound}"),
        Err(error) => println!("memory: not known here: {error}"),
    }
    Ok(())
}

fn trust_clock(file: &std::path::Path) -> anyhow::Result<()> {
    let Loaded { built, .. } = control::source::load(file)?;
    let embedded = built.store.filter(|store| store.redis.is_none());
    let store =
        embedded.ok_or_else(|| anyhow::anyhow!("only the embedded store goes by this machine's clock"))?;
    store::trust_clock(&store.directory)?;
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
    let loaded = match control::source::load(file) {
        Ok(loaded) => loaded,
        Err(error) => return refuse(&error),
    };
    for warning in &loaded.built.warnings {
        tracing::warn!("{warning}");
    }
    match app::run(loaded, file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Says why there is no configuration to start with.
fn refuse(error: &LoadError) -> ExitCode {
    match error {
        LoadError::Mistakes(mistakes) => tell(mistakes),
        LoadError::Source(what) => {
            eprintln!("{what}\nnothing was started");
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
    // Without `log_internal_errors`: it would print to standard error, too, and panic where that is a file on a full disk.
    let log = tracing_subscriber::fmt().log_internal_errors(false).with_env_filter(filter);
    log.with_ansi(colours).with_writer(std::io::stderr).init();
}
