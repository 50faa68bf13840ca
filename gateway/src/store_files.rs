//! `gateway store check` and `gateway store salvage`: the files of a gateway that does not run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use store::{OpenError, Report};

/// What to do with the files.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Read spool and store, tell what is damaged, change nothing. Exit code 1 when a start would refuse them.
    Check(Directory),
    /// Go on with what can be read of what a start refuses; what is damaged is moved aside, not removed.
    Salvage(Directory),
}

/// Whose files.
#[derive(clap::Args)]
pub(crate) struct Directory {
    /// The state directory, as `[node] state_directory` names it
    directory: PathBuf,
}

/// One part of the state directory: checked or salvaged.
type Part = fn(&Path) -> Result<Option<Report>, OpenError>;

pub(crate) fn run(command: &Command) -> ExitCode {
    let (directory, spool, correlations): (_, Part, Part) = match command {
        Command::Check(directory) => (directory, store::spool::check, store::check),
        Command::Salvage(directory) => (directory, store::spool::salvage, store::salvage),
    };
    let directory = &directory.directory;
    let parts = [spool(&directory.join("spool")), correlations(&directory.join("store"))];
    if parts.iter().all(|part| matches!(part, Ok(None))) {
        eprintln!("{}: neither spool nor store is there, and no mark says that one was", directory.display());
        return ExitCode::FAILURE;
    }
    let mut is_whole = true;
    for part in parts {
        match part {
            Ok(None) => {}
            Ok(Some(report)) => {
                print!("{report}");
                is_whole &= report.is_whole;
            }
            Err(error) => {
                eprintln!("{error}");
                is_whole = false;
            }
        }
    }
    if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
