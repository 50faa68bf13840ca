//! What can be said of a spool that is not open, and what can be made of a damaged one.

use super::entry::{Read, read};
use super::{SpoolOptions, lock, log, place_of};
use crate::OpenError;
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::path::Path;

/// What a check or a salvage has to tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Lines for a person.
    pub text: String,
    /// Nothing that was acknowledged is damaged or missing.
    pub is_whole: bool,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Counts what is open, as the opening would.
#[derive(Default)]
struct Open {
    /// Octets of the PDUs by id.
    messages: BTreeMap<u64, usize>,
    settled: u64,
    unknown: u64,
}

impl Open {
    fn take(&mut self, kind: u8, octets: &[u8]) {
        match read(kind, octets) {
            Read::Message(id, stored) => drop(self.messages.insert(id, stored.pdu.len())),
            Read::Settled(id) => self.settled += u64::from(self.messages.remove(&id).is_some()),
            Read::Note(..) => {}
            Read::Unknown(_) => self.unknown += 1,
        }
    }
}

/// Reads the whole spool and changes nothing. Nothing where there is no spool and was none.
///
/// # Errors
/// When another process has it, or it cannot be read at all.
pub fn check(directory: &Path) -> Result<Option<Report>, OpenError> {
    let options = SpoolOptions::new(directory.to_path_buf());
    if !options.is_there() {
        return Ok(None);
    }
    // A directory that is gone is not made anew by looking.
    let _lock = directory.is_dir().then(|| lock(directory)).transpose()?;
    let (disk, place) = place_of(directory);
    let mut open = Open::default();
    let found = journal::survey(&disk, &place, |entry| open.take(entry.kind, entry.octets));
    let found = found.map_err(|error| log::refusal(&options, error.into()))?;
    let mut text = format!("spool {}\n", directory.display());
    // Writing to a String cannot fail.
    for segment in &found.segments {
        let journal::SegmentReport { path, octets, batches, entries, .. } = segment;
        let _ = writeln!(text, "  {path}: {octets} octets, {batches} batches, {entries} entries");
    }
    let mark = match found.mark {
        journal::MarkState::Missing => "missing".to_owned(),
        journal::MarkState::Unreadable => "cannot be read".to_owned(),
        journal::MarkState::Synced(offset) => format!("on disk up to offset {offset}"),
    };
    let _ = writeln!(text, "  mark: {mark}; all evidence: on disk up to offset {}", found.synced);
    let octets: usize = open.messages.values().sum();
    let _ = writeln!(
        text,
        "  {} messages are open, {octets} octets; {} settled",
        open.messages.len(),
        open.settled
    );
    for damage in &found.damages {
        let lost = damage.offset.is_none_or(|offset| offset < found.synced);
        let what = if lost { "DAMAGED" } else { "torn end, never synced" };
        let _ = writeln!(text, "  {what}: {damage}");
    }
    if let Some((path, version)) = &found.version {
        let _ = writeln!(text, "  {path} is of version {version}, which this program does not know");
    }
    if open.unknown > 0 {
        let _ = writeln!(text, "  {} entries of a version that this program does not know", open.unknown);
    }
    if super::convert::is_old(directory) {
        text.push_str("  files of an earlier version are there: the next start takes their messages over\n");
    }
    let is_whole = found.loss().is_none() && found.version.is_none() && open.unknown == 0;
    text.push_str(match (is_whole, found.damages.is_empty()) {
        (true, true) => "  whole\n",
        (true, false) => "  whole but for the torn end, which the next start cuts off and keeps in a file\n",
        (false, _) => "  a start refuses this\n",
    });
    Ok(Some(Report { text, is_whole }))
}

/// Makes a spool of what can be read of a damaged one, which is moved aside. A spool that is whole is left alone.
///
/// # Errors
/// When another process has it, or files cannot be read or written.
pub fn salvage(directory: &Path) -> Result<Option<Report>, OpenError> {
    let Some(Report { text, is_whole }) = check(directory)? else { return Ok(None) };
    if is_whole {
        return Ok(Some(Report { text: format!("{text}  nothing to salvage\n"), is_whole }));
    }
    let options = SpoolOptions::new(directory.to_path_buf());
    let _lock = lock(directory)?;
    let (disk, place) = place_of(directory);
    let salvaged = journal::salvage(&disk, &place, log::journal_options(&options));
    let salvaged = salvaged.map_err(|error| log::refusal(&options, error))?;
    let mut open = Open::default();
    journal::survey(&disk, &place, |entry| open.take(entry.kind, entry.octets))
        .map_err(|error| log::refusal(&options, error.into()))?;
    let mut text = text;
    let journal::Salvaged { entries, behind_damage, aside, .. } = salvaged;
    let _ = writeln!(text, "salvaged: {entries} entries, {behind_damage} of them behind damage");
    let _ = writeln!(text, "  {} messages are open and go out at the next start", open.messages.len());
    let _ = writeln!(
        text,
        "  messages in the damaged places are lost; of messages that were settled there a second copy may go out"
    );
    if let Some(aside) = aside {
        let _ =
            writeln!(text, "  the damaged journal lies in {aside}; remove it when it is not needed any more");
    }
    Ok(Some(Report { text, is_whole: true }))
}
