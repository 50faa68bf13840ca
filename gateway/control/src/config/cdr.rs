//! `[cdr]`: records of messages, where they go, and what happens when they cannot.

use super::reader::Section;
use super::secret::Secret;
use super::setting::{Fallback, Kind, SectionKind, Setting};
use shard::WhenFull;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is recorded, and where.
#[derive(Clone, Debug)]
pub struct Cdr {
    /// Write files.
    pub to_file: bool,
    /// Write into a table.
    pub to_postgres: bool,
    /// What happens when a sink's queue is full.
    pub when_full: WhenFull,
    /// Records that may wait for each sink.
    pub queue_max: u64,
    /// Messages remembered for looking up.
    pub recent_max: u64,
    /// Hide the last digits of addresses.
    pub mask_addresses: bool,
    /// Directory of the files.
    pub directory: PathBuf,
    /// Mebibytes after which a file is complete.
    pub rotate_mib: u64,
    /// Age at which a file is complete.
    pub rotate_after: Duration,
    /// How long complete files are kept; for ever when absent.
    pub keep: Option<Duration>,
    /// The database.
    pub postgres: Option<Secret>,
    /// How many days are kept in it; for ever when absent.
    pub keep_days: Option<u32>,
}

pub(crate) static SECTION: SectionKind = SectionKind {
    name: "cdr",
    entry_key: None,
    help: "Records of messages (CDRs): what became of each submit and delivery. Numbers are in them, texts never.",
    settings: &[
        Setting {
            key: "sinks",
            kind: Kind::ChoicesOrNone(&["file", "postgres"]),
            default: Fallback::Value(""),
            help: "Where records are written: both, either or none. Without a sink they are only remembered (`recent_max`).",
        },
        Setting {
            key: "when_full",
            kind: Kind::Choice(&["refuse", "drop"]),
            default: Fallback::Value("refuse"),
            help: "When a sink cannot keep up and its queue is full: `refuse` takes no submits (ESME_RMSGQFUL) and deliveries until there is room, so that nothing happens without a record; `drop` goes on and counts what that sink did not get (`smppgw_cdr_dropped_total`).",
        },
        Setting {
            key: "queue_max",
            kind: Kind::Whole { min: 1_000, max: 10_000_000 },
            default: Fallback::Value("200000"),
            help: "Records that may wait for each sink before `when_full` applies; about 400 bytes each when it is used. Bridges an outage of `queue_max` / (messages per second).",
        },
        Setting {
            key: "recent_max",
            kind: Kind::Whole { min: 0, max: 10_000_000 },
            default: Fallback::Value("0"),
            help: "Newest messages kept in memory, about 900 bytes each, for `query_sm`, `GET /api/v1/messages` and `gateway trace`; 0 = none. Older ones are looked for in the sinks.",
        },
        Setting {
            key: "addresses",
            kind: Kind::Choice(&["full", "masked"]),
            default: Fallback::Value("full"),
            help: "`masked` replaces the last 4 digits of source and destination by `*`, in sinks and in memory.",
        },
        Setting {
            key: "directory",
            kind: Kind::Path,
            default: Fallback::Absent,
            help: "Directory of the files, relative to this file; made when it is missing. Left out: `cdr` in `[node] state_directory`. Files are readable by owner and group (0640).",
        },
        Setting {
            key: "rotate_mib",
            kind: Kind::Whole { min: 1, max: 10_240 },
            default: Fallback::Value("128"),
            help: "A file of so many MiB is complete and gets its name.",
        },
        Setting {
            key: "rotate_after",
            kind: Kind::Time { min: Duration::from_secs(1), max: Duration::from_secs(86_400) },
            default: Fallback::Value("1h"),
            help: "A file of this age is complete, too.",
        },
        Setting {
            key: "keep",
            kind: Kind::Time { min: Duration::from_secs(3_600), max: Duration::from_secs(3_660 * 86_400) },
            default: Fallback::Absent,
            help: "Complete files older than this are removed. Left out: none is ever removed, and the disk must be watched.",
        },
        Setting {
            key: "postgres",
            kind: Kind::Secret { bytes_max: 1_024 },
            default: Fallback::Absent,
            help: "Connection string of the database (`postgres://user:password@host/database`), without TLS: keep it on this machine or a private network. Needed by the sink `postgres` and by `gateway migrate`.",
        },
        Setting {
            key: "keep_days",
            kind: Kind::Whole { min: 1, max: 3_650 },
            default: Fallback::Absent,
            help: "Days kept in the table; older partitions are dropped. Left out: none is ever dropped.",
        },
    ],
};

/// Directory of the files within the state directory, where no other is named.
const DIRECTORY: &str = "cdr";

pub(crate) fn read(section: &Section<'_>, directory: &Path, state_directory: &Path) -> Cdr {
    let sinks = section.texts("sinks");
    let has = |name: &str| sinks.iter().any(|sink| sink.value == name);
    let cdr = Cdr {
        to_file: has("file"),
        to_postgres: has("postgres"),
        when_full: if section.text("when_full") == "drop" { WhenFull::Drop } else { WhenFull::Refuse },
        queue_max: section.whole("queue_max"),
        recent_max: section.whole("recent_max"),
        mask_addresses: section.text("addresses") == "masked",
        directory: match section.text_if("directory") {
            Some(named) => directory.join(named),
            None => state_directory.join(DIRECTORY),
        },
        rotate_mib: section.whole("rotate_mib"),
        rotate_after: section.time("rotate_after"),
        keep: section.has("keep").then(|| section.time("keep")),
        postgres: section.secret("postgres"),
        keep_days: section.has("keep_days").then(|| section.whole_u32("keep_days")),
    };
    if cdr.to_postgres && cdr.postgres.is_none() && !section.was_refused("postgres") {
        section.mistake(
            "sinks",
            "the sink postgres has no database",
            "set postgres to its connection string",
        );
    }
    let is_usable =
        |url: &Secret| String::from_utf8_lossy(url.expose()).parse::<tokio_postgres::Config>().is_ok();
    if cdr.postgres.as_ref().is_some_and(|url| !is_usable(url)) {
        // The parser's own words might show a part of the password.
        let remedy = "write postgres://user:password@host:5432/database";
        section.mistake("postgres", "postgres is no connection string", remedy);
    }
    cdr
}

impl Cdr {
    /// Whether records are made at all.
    pub(crate) fn is_on(&self) -> bool {
        self.to_file || self.to_postgres || self.recent_max > 0
    }

    /// The connection string, where there is one.
    pub fn postgres_url(&self) -> Option<String> {
        self.postgres.as_ref().map(|url| String::from_utf8_lossy(url.expose()).into_owned())
    }
}
