//! Looking for old messages where the sinks put them: in the database, else in the files.

use super::line::{Line, instant};
use super::recent::{Key, spellings};
use super::{FileOptions, Names, PostgresOptions};
use relay::Number;
use smpp::text::message_id::GatewayId;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Octets of files that one question may read: some seconds of a disk's time.
const SCAN_MAX: u64 = 4 << 30;
/// Lines that one question is answered with.
pub(super) const LINES_MAX: usize = 200;

/// When it happened: seconds since 1970 UTC, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Not before.
    pub(crate) from: u64,
    /// Not after.
    pub(crate) to: u64,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The records, in order of time.
    pub(crate) lines: Vec<Line>,
    /// True when there may be more.
    pub(crate) is_cut: bool,
}

/// Which columns a line must have; the names as they stand in lines.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) gateway_id: Option<String>,
    pub(super) customer: Option<(String, u32, String)>,
    pub(super) vendor: Option<(String, Vec<String>)>,
}

impl Wanted {
    /// In the words of lines.
    pub(super) fn of(key: &Key, names: &Names, mask: bool) -> Wanted {
        let mut wanted = Wanted { gateway_id: None, customer: None, vendor: None };
        match key {
            Key::Id(id) => wanted.gateway_id = Some(id.to_string()),
            Key::Vendor(vendor, id) => {
                let ids = spellings(*vendor, id, names);
                let ids = ids.iter().map(|id| super::line::printable(id.as_bytes())).collect();
                wanted.vendor = Some((names.vendor(*vendor), ids));
            }
            Key::Customer(customer, reference, destination) => {
                let address = smpp::field::Address { digits: destination, ..Default::default() };
                let mut number = Number::new(&address);
                if mask {
                    number = number.masked(super::MASKED_DIGITS);
                }
                let destination = super::line::printable(number.digits());
                wanted.customer = Some((names.customer(*customer), *reference, destination));
            }
        }
        wanted
    }

    /// A text that stands in every line that fits: most lines are passed over without being read.
    fn mark(&self) -> Vec<String> {
        match (&self.gateway_id, &self.vendor, &self.customer) {
            (Some(id), _, _) => vec![format!("\"{id}\"")],
            (_, Some((_, ids)), _) => ids.iter().filter_map(|id| serde_json::to_string(id).ok()).collect(),
            (_, _, Some((_, reference, _))) => vec![format!("\"reference\":{reference},")],
            _ => Vec::new(),
        }
    }

    fn fits(&self, line: &Line) -> bool {
        let is = |found: &Option<String>, wanted: &String| found.as_ref() == Some(wanted);
        let by_id = self.gateway_id.as_ref().is_some_and(|id| is(&line.gateway_id, id));
        let by_vendor = self.vendor.as_ref().is_some_and(|(vendor, ids)| {
            is(&line.vendor, vendor) && ids.iter().any(|id| is(&line.vendor_id, id))
        });
        let by_customer = self.customer.as_ref().is_some_and(|(customer, reference, destination)| {
            is(&line.customer, customer)
                && line.reference == Some(*reference)
                && is(&line.destination, destination)
        });
        by_id || by_vendor || by_customer
    }
}

/// Where old records are.
#[derive(Clone, Debug)]
pub(crate) enum Archive {
    /// In the table.
    Postgres(PostgresOptions),
    /// In files.
    Files(FileOptions),
}

/// Reads the files of that time, and then those again for what belongs to the messages that were found.
pub(super) fn scan(options: &FileOptions, wanted: &Wanted, span: Span) -> io::Result<Found> {
    let mut found = scan_once(options, wanted, span)?;
    if wanted.gateway_id.is_some() {
        return Ok(found);
    }
    // A receipt does not carry the customer's reference: take everything of the ids.
    let mut ids: Vec<String> = found.lines.iter().filter_map(|line| line.gateway_id.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut lines = Vec::new();
    for id in ids.iter().take(16) {
        let span = Span { from: span.from, to: u64::MAX };
        let of_id = Wanted { gateway_id: Some(id.clone()), customer: None, vendor: None };
        let more = scan_once(options, &of_id, span)?;
        found.is_cut |= more.is_cut;
        lines.extend(more.lines);
    }
    lines.extend(found.lines.extract_if(.., |line| line.gateway_id.is_none()));
    Ok(Found { lines, is_cut: found.is_cut })
}

fn scan_once(options: &FileOptions, wanted: &Wanted, span: Span) -> io::Result<Found> {
    let marks = wanted.mark();
    let (from, to) =
        (instant(Duration::from_secs(span.from)), instant(Duration::from_secs(span.to.min(LATEST))));
    let mut found = Found::default();
    let mut read = 0;
    for path in files(options, span)? {
        // It may have been completed or removed meanwhile.
        let Ok(file) = File::open(&path).or_else(|_| File::open(path.with_extension(""))) else { continue };
        let mut reader = BufReader::with_capacity(256 * 1024, file);
        let mut text = String::new();
        while reader.read_line(&mut text)? > 0 {
            read += text.len() as u64;
            if read > SCAN_MAX || found.lines.len() >= LINES_MAX {
                found.is_cut = true;
                return Ok(found);
            }
            if marks.iter().any(|mark| text.contains(mark))
                && let Ok(line) = serde_json::from_str::<Line>(&text)
                && wanted.fits(&line)
                && line.at >= from
                && line.at <= to
            {
                found.lines.push(line);
            }
            text.clear();
        }
    }
    found.lines.sort_by(|left, right| left.at.cmp(&right.at));
    Ok(found)
}

/// The year 9999, the last one that RFC 3339 can write.
const LATEST: u64 = 253_402_207_200;

/// Files that were written to after the span's begin, the oldest first. How long a record waits for its sink is not
/// bounded, so that a file's begin says nothing about the span's end.
fn files(options: &FileOptions, span: Span) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&options.directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_one = name.ends_with(super::file::COMPLETE) || name.ends_with(super::file::OPEN);
        let changed = entry.metadata()?.modified()?;
        let since = changed.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        if is_one && name.starts_with("cdr-") && since.as_secs() + 1 >= span.from {
            files.push((since, entry.path()));
        }
    }
    files.sort();
    Ok(files.into_iter().map(|(_, path)| path).collect())
}

impl Archive {
    /// What is kept of the messages that fit.
    pub(crate) async fn find(
        &self,
        key: &Key,
        span: Span,
        names: &Names,
        mask: bool,
    ) -> Result<Found, String> {
        let wanted = Wanted::of(key, names, mask);
        match self {
            Archive::Postgres(options) => super::postgres::find(options, &wanted, span).await,
            Archive::Files(options) => {
                let options = options.clone();
                let scanned = tokio::task::spawn_blocking(move || scan(&options, &wanted, span)).await;
                scanned.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
            }
        }
    }
}

impl Span {
    /// The time in which records of this message can lie.
    pub(crate) fn of_id(id: GatewayId) -> Span {
        /// Clocks differ; an id may run ahead of its second.
        const AIR: u64 = 3600;
        Span { from: id.unix_seconds().saturating_sub(AIR), to: u64::MAX }
    }
}
