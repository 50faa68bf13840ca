//! `[source]`: where customers, vendors and routes come from.

use super::reader::Section;
use super::secret::Secret;
use super::setting::{Fallback, Kind, SectionKind, Setting};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the sections that are not this node's own are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// In the file of the node.
    File,
    /// In tables of a database, the same for all nodes.
    Postgres,
}

/// Where customers, vendors and routes come from.
#[derive(Clone, Debug)]
pub struct Source {
    /// File or database.
    pub kind: SourceKind,
    /// The database; nothing when none is named or that was a mistake.
    pub postgres: Option<Secret>,
    /// Pause between two looks for a new version.
    pub poll: Duration,
    /// Where the last good version is kept.
    pub snapshot_file: PathBuf,
}

pub(crate) static SECTION: SectionKind = SectionKind {
    name: "source",
    entry_key: None,
    help: "Where customers, vendors, routes and the like come from: this file, or tables of a database that all nodes share.",
    settings: &[
        Setting {
            key: "kind",
            kind: Kind::Choice(&["file", "postgres"]),
            default: Fallback::Value("file"),
            help: "`file`: the sections below. `postgres`: tables of the same names in the plural (`customers`, `vendors`, ...), changed while the gateway runs; this file then holds none of those sections.",
        },
        Setting {
            key: "postgres_url",
            kind: Kind::Secret { bytes_max: URL_BYTES_MAX },
            default: Fallback::Absent,
            help: "`postgres`: connection string of the database, `postgres://user:password@host/database`, PostgreSQL 14 or newer, without TLS: keep it on this machine or a private network. Prefer postgres_url_file or the environment where it holds a password. Also for `gateway migrate`, `import` and `export`.",
        },
        Setting {
            key: "postgres_url_file",
            kind: Kind::Path,
            default: Fallback::Absent,
            help: "`postgres`: file that holds the connection string and nothing else; one line end at its end is not part of it.",
        },
        Setting {
            key: "poll",
            kind: Kind::Time { min: Duration::from_millis(10), max: Duration::from_secs(3_600) },
            default: Fallback::Value("500ms"),
            help: "`postgres`: pause between two looks for a new version. A change also sends a hint that is acted on at once; where hints get lost (a pooler), this is how late a change comes.",
        },
        Setting {
            key: "snapshot_file",
            kind: Kind::Path,
            default: Fallback::Absent,
            help: "`postgres`: file in which the last good version is kept, for a start without the database. Left out: `configuration.json` in the state directory. It holds password hashes.",
        },
    ],
};

/// Longest connection string, bytes.
const URL_BYTES_MAX: usize = 1_024;
/// Name of the last good version in the state directory.
const SNAPSHOT_FILE: &str = "configuration.json";

pub(crate) fn read(section: &Section<'_>, directory: &Path, state_directory: &Path) -> Source {
    let kind = if section.text("kind") == "postgres" { SourceKind::Postgres } else { SourceKind::File };
    let postgres = url(section, directory);
    if kind == SourceKind::Postgres && postgres.is_none() && !was_refused(section) {
        let remedy =
            format!("write postgres_url or postgres_url_file, or set {}", section.variable("POSTGRES_URL"));
        section.mistake("kind", "there is no database", &remedy);
    }
    let snapshot_file = match section.text_if("snapshot_file") {
        Some(file) => directory.join(file),
        None => state_directory.join(SNAPSHOT_FILE),
    };
    Source { kind, postgres, poll: section.time("poll"), snapshot_file }
}

fn was_refused(section: &Section<'_>) -> bool {
    section.was_refused("postgres_url") || section.has("postgres_url") || section.has("postgres_url_file")
}

/// The connection string, however it was given.
fn url(section: &Section<'_>, directory: &Path) -> Option<Secret> {
    let (url, key) = match (section.secret("postgres_url"), section.text_if("postgres_url_file")) {
        (Some(_), Some(_)) => {
            section.mistake(
                "postgres_url_file",
                "postgres_url_file stands beside postgres_url",
                "keep one of them",
            );
            return None;
        }
        (Some(url), None) => (url, "postgres_url"),
        (None, Some(file)) => match std::fs::read_to_string(directory.join(&file)) {
            Ok(text) => (Secret::new(text.trim_end()), "postgres_url_file"),
            Err(error) => {
                let what = format!("postgres_url_file \"{file}\" cannot be read: {error}");
                section.mistake("postgres_url_file", &what, "correct the path or its permissions");
                return None;
            }
        },
        (None, None) => return None,
    };
    if String::from_utf8_lossy(url.expose()).parse::<tokio_postgres::Config>().is_err() {
        // The parser's own words might show a part of the password.
        let remedy = "write postgres://user:password@host:5432/database";
        section.mistake(key, &format!("{key} is no connection string"), remedy);
        return None;
    }
    Some(url)
}

impl Source {
    /// The connection string, where there is one.
    pub fn postgres_url(&self) -> Option<String> {
        self.postgres.as_ref().map(|url| String::from_utf8_lossy(url.expose()).into_owned())
    }
}
