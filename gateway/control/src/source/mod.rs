//! PostgreSQL as the source of the configuration: what its tables hold, judged and compiled as a file is, at the start and
//! whenever it changes.
//!
//! ```text
//!   tables --one transaction--> Edition --config::rows--> document --check, build--> Built --publish--> shards
//!     ^  a trigger counts versions and hints        |                      | mistakes
//!     |                                             v                      v
//!   look: every `poll`, or when hinted        last good on disk      Rejection: log, metric, HTTP
//! ```
//!
//! A version is taken as a whole or not at all. While the database is away, or holds a version that is wrong, what is in
//! force stays in force; at the start the last good version on disk stands in. Nothing here is on the message path.

pub(crate) mod database;
mod last_good;
mod live;
mod standing;
#[cfg(test)]
mod tests;
mod transfer;

pub use database::Version;
pub use live::Live;
pub use standing::{Origin, Rejection, Standing, StandingView};
pub use transfer::{TransferError, export, import};

use crate::config::{Built, Config, Mistake, NodeFile, SourceKind, build};
use database::{Database, Edition, Trouble};
use std::fmt;
use std::path::Path;

/// What a node starts with.
pub struct Loaded {
    /// The plain model.
    pub config: Config,
    /// What the layers take.
    pub built: Built,
    /// What is in force, for metrics and HTTP.
    pub standing: StandingView,
    /// What looks for new versions, where the source is a database.
    pub live: Option<Live>,
}

/// Why there is nothing to start with.
#[derive(Debug)]
pub enum LoadError {
    /// What was read is wrong.
    Mistakes(Vec<Mistake>),
    /// Nothing could be read; says what to do.
    Source(String),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Source(what) => f.write_str(what),
            LoadError::Mistakes(mistakes) => {
                let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                f.write_str(&mistakes.join("\n"))
            }
        }
    }
}

impl std::error::Error for LoadError {}

impl From<Vec<Mistake>> for LoadError {
    fn from(mistakes: Vec<Mistake>) -> Self {
        LoadError::Mistakes(mistakes)
    }
}

/// Reads the node's file and, where it says so, the database or the last good version. Blocks for some seconds where the
/// database does not answer.
///
/// # Errors
/// Mistakes of the file; those of the database and that it cannot be used only where no last good version stands in.
pub fn load(path: &Path) -> Result<Loaded, LoadError> {
    let file = NodeFile::read(path)?;
    let config = file.parse(None)?; // what is wrong with the file is told before anything is asked
    match config.source.kind {
        SourceKind::File => {
            let built = build(&config)?;
            Ok(Loaded { config, built, standing: Standing::of_file(), live: None })
        }
        SourceKind::Postgres => load_from_database(file, config),
    }
}

fn load_from_database(file: NodeFile, config: Config) -> Result<Loaded, LoadError> {
    let url = config.source.postgres_url().unwrap_or_default(); // the file was refused without one
    let last_good = &config.source.snapshot_file;
    let read = blocking(async { Database::connect(&url).await?.read().await });
    let read = read.unwrap_or_else(|error| Err(Trouble::Away(error.to_string())));
    let (config, built, standing) = match read {
        Ok(edition) => match judge(&file, &edition) {
            Ok((config, built)) => {
                live::keep(last_good, &edition);
                (config, built, Standing::new(edition.version, Origin::Postgres))
            }
            Err(mistakes) => {
                live::tell(&edition.version, &mistakes);
                let Some((config, built, mut standing)) = stand_in(&file, last_good) else {
                    return Err(LoadError::Mistakes(mistakes));
                };
                standing.reject(edition.version, mistakes);
                (config, built, standing)
            }
        },
        Err(Trouble::Refused(what)) => return Err(LoadError::Source(format!("PostgreSQL: {what}"))),
        Err(Trouble::Away(what)) => {
            let Some((config, built, mut standing)) = stand_in(&file, last_good) else {
                let file = last_good.display();
                return Err(LoadError::Source(format!(
                    "PostgreSQL cannot be reached ({what}), and there is no last good configuration in {file}: \
                     start the database, or correct [source] postgres_url"
                )));
            };
            standing.away = Some(what);
            (config, built, standing)
        }
    };
    let live = Live::new(file, url, &config, standing);
    Ok(Loaded { config, built, standing: live.standing(), live: Some(live) })
}

/// The last good version, where there is one that is still right.
fn stand_in(file: &NodeFile, path: &Path) -> Option<(Config, Built, Standing)> {
    let edition = match last_good::read(path) {
        Ok(found) => found?,
        Err(what) => {
            tracing::error!(file = %path.display(), "the last good configuration cannot be used: {what}");
            return None;
        }
    };
    match judge(file, &edition) {
        Ok((config, built)) => {
            let Version { number, author, at, .. } = &edition.version;
            tracing::warn!(
                version = number,
                author,
                at,
                "the database gives no configuration: the last good one is used"
            );
            Some((config, built, Standing::new(edition.version, Origin::LastGood)))
        }
        Err(mistakes) => {
            live::tell(&edition.version, &mistakes);
            None
        }
    }
}

/// Checks and compiles a version beside the node's file; may take seconds where a name server is slow.
fn judge(file: &NodeFile, edition: &Edition) -> Result<(Config, Built), Vec<Mistake>> {
    let config = file.parse(Some((edition.version.number, &edition.rows)))?;
    let built = build(&config)?;
    Ok((config, built))
}

/// Runs work that speaks with a database, for programs and starts that have nothing else to do.
fn blocking<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(work))
}
