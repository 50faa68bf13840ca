//! Reads the spool of an earlier version, which a key-value library (fjall) kept, into the journal. Once: then its files
//! are removed. Customers that were hashes of 32 bits there get their names.

use super::SpoolOptions;
use super::entry::{MESSAGE, NOTE, Read, Stored, read};
use super::note::Note;
use crate::{OpenError, open_error};
use fjall::{Database, KeyspaceCreateOptions};
use journal::{Disk, Journal};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Says that all was read, and that the old files are to go.
const DONE: &str = "converted";
/// What the library has in its directory, beside journals that end so.
const OLD: [&str; 3] = ["keyspaces", "version", "lock"];
const OLD_JOURNAL: &str = ".jnl";
/// Octets of one batch.
const BATCH_OCTETS: usize = 4 << 20;

/// Takes over what an earlier version left, if there is something. What is in the journal already is left as it is.
///
/// # Errors
/// Nothing was removed then.
pub(super) fn convert(options: &SpoolOptions) -> Result<(), OpenError> {
    let directory = &options.directory;
    let broken =
        |error: io::Error| OpenError::Broken { directory: directory.clone(), reason: error.to_string() };
    if directory.join(DONE).exists() {
        return remove_old(directory).map_err(broken);
    }
    if !is_old(directory) {
        return Ok(());
    }
    let count = read_old(options)?;
    fs::write(directory.join(DONE), "").and_then(|()| sync_directory(directory)).map_err(broken)?;
    remove_old(directory).map_err(broken)?;
    tracing::warn!(directory = %directory.display(), messages = count, "the spool of an earlier version was converted");
    Ok(())
}

/// An earlier version left files.
pub(super) fn is_old(directory: &Path) -> bool {
    directory.join(OLD[0]).is_dir() || directory.join(OLD[1]).is_file()
}

/// Appends all that the library has; the number of messages.
fn read_old(options: &SpoolOptions) -> Result<usize, OpenError> {
    let broken = |error: fjall::Error| open_error(&options.directory, &error);
    let io = |error: io::Error| broken(error.into());
    let (disk, place) = super::place_of(&options.directory);
    let mut there = BTreeSet::new();
    let journal_options = super::log::journal_options(options);
    let opened = Journal::open(disk, place, journal_options, |entry| {
        if let Read::Message(id, _) = read(entry.kind, entry.octets) {
            there.insert(id);
        }
    });
    let (mut journal, _) = opened.map_err(|error| super::log::refusal(options, error))?;
    let database = Database::builder(&options.directory).worker_threads(1).open().map_err(broken)?;
    let rows = database.keyspace("messages", KeyspaceCreateOptions::default).map_err(broken)?;
    let notes = database.keyspace("notes", KeyspaceCreateOptions::default).map_err(broken)?;
    let mut count = 0;
    for (kind, keyspace) in [(MESSAGE, &rows), (NOTE, &notes)] {
        for row in keyspace.iter() {
            let (key, value) = row.into_inner().map_err(broken)?;
            if kind == NOTE {
                // One of another version is not known.
                if let Some(note) = Note::read(&value) {
                    push(&mut journal, kind, &[&key, &note.write()]).map_err(io)?;
                }
                continue;
            }
            let Some(stored) = Stored::read_older(&value, &options.older) else {
                let found = value.first().copied().unwrap_or(0);
                return Err(OpenError::Version { directory: options.directory.clone(), found });
            };
            let id = u64::from_be_bytes(key.as_ref().try_into().unwrap_or_default());
            if !there.contains(&id) {
                push(&mut journal, kind, &[&key, &stored.head(), stored.pdu]).map_err(io)?;
                count += 1;
            }
        }
    }
    journal.commit(true).map_err(io)?;
    journal.close().map_err(io)?;
    Ok(count)
}

fn push(journal: &mut Journal<Disk>, kind: u8, parts: &[&[u8]]) -> io::Result<()> {
    journal.push(kind, parts, false);
    if journal.staged_octets() >= BATCH_OCTETS { journal.commit(true).map(drop) } else { Ok(()) }
}

fn remove_old(directory: &Path) -> io::Result<()> {
    let old = |name: &str| OLD.contains(&name) || name.ends_with(OLD_JOURNAL);
    let found: Vec<PathBuf> = fs::read_dir(directory)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(old))
        .collect();
    for path in found {
        if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
    }
    sync_directory(directory)?;
    fs::remove_file(directory.join(DONE))?;
    sync_directory(directory)
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    fs::File::open(directory)?.sync_all()
}
