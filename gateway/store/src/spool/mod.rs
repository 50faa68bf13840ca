//! The spool: the durable log of messages that were acknowledged and are not settled yet, for customers in store and
//! forward. A directory, a thread and a journal of its own, so that its disk syncs hold nothing else up.
//!
//! ```text
//!   shard 0 --ops--> +-----------------------------+   one plain thread: takes what all shards have queued,
//!           <answers-| service                     |   writes it as one batch, syncs the disk once if anything
//!   shard 1 --ops--> |   Log (journal)  +  Book    |   was accepted, and only then answers
//!           <answers-+-----------------------------+
//! ```
//!
//! What it guarantees:
//! * `Accepted` with `Ok` is answered after the message is synced to the disk: it survives kill -9 and a power cut, if
//!   the disk honours a sync. Opened again, it is there, or the opening refuses and says which file is damaged where.
//! * It is dropped by `Settle` alone. A settlement is handed to the operating system and not synced: a power cut may
//!   bring a settled message back, kill -9 may not.
//! * Opened again, it hands out every message that was not settled, in the order of acceptance, with what was said of it:
//!   that a vendor may have a copy, or its fate. That, too, survives kill -9 and not always a power cut.
//! * Never more than [`SpoolOptions`] allows: what is over it is refused with `Full`.
//! * While its files do not work it refuses with `Away`, hands nothing out, and remembers what is settled. Once they work
//!   again it goes on; what it refused never comes out.

mod book;
mod check;
mod convert;
mod entry;
mod log;
mod note;
mod service;

#[cfg(test)]
mod tests;

pub use check::{Report, check, salvage};
pub use service::{SPOOL_MAILBOX_LENGTH, SpoolPort, SpoolThread, start};

use crate::OpenError;
use journal::{Disk, Place};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// One message's place in the book, octets: a row of a hash table and one of an ordered set, with their slack.
const BOOK_ENTRY_OCTETS: u64 = 160;

/// Bounds of a spool.
#[derive(Clone, Debug)]
pub struct SpoolOptions {
    /// Its directory; made when it is missing. One process at a time.
    pub directory: PathBuf,
    /// Messages that are not settled; one more is refused. About 160 bytes of memory each.
    pub entries_max: u64,
    /// Octets of their PDUs, on disk; one more is refused.
    pub octets_max: u64,
    /// Syncs that a message is on its way before it goes, so that also a power cut makes no second copy where the policy allows
    /// none. Else only the end of the process does not.
    pub sync_notes: bool,
    /// What an older version of the program called customers.
    pub older: crate::OlderNames,
}

impl SpoolOptions {
    /// The defaults in a directory: a million messages, 1 GiB.
    pub fn new(directory: PathBuf) -> SpoolOptions {
        SpoolOptions {
            directory,
            entries_max: 1_000_000,
            octets_max: 1 << 30,
            sync_notes: false,
            older: Default::default(),
        }
    }

    /// The most memory that a spool with these options takes, octets.
    pub fn octets_in_memory_max(&self) -> u64 {
        self.entries_max.saturating_mul(BOOK_ENTRY_OCTETS) + log::BATCHES_OCTETS
    }

    /// There is a spool, or its mark says that there was one: it is to be opened whether or not it is used.
    pub fn is_there(&self) -> bool {
        let (_, place) = place_of(&self.directory);
        self.directory.is_dir() || above(&self.directory).join(place.mark).is_file()
    }
}

/// Where the journal of a spool lies: in its directory, its mark beside that.
fn place_of(directory: &Path) -> (Disk, Place) {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let place = Place { folder: format!("{name}/journal"), mark: format!("{name}.mark") };
    (Disk::new(above(directory)), place)
}

/// The directory that holds this one.
fn above(directory: &Path) -> &Path {
    directory.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// One process at a time: held as long as the file is open.
fn lock(directory: &Path) -> Result<File, OpenError> {
    let broken = |error: std::io::Error| OpenError::Broken {
        directory: directory.to_path_buf(),
        reason: error.to_string(),
    };
    std::fs::create_dir_all(directory).map_err(broken)?;
    let mut options = File::options();
    let file = options
        .create(true)
        .truncate(false)
        .write(true)
        .open(directory.join("journal.lock"))
        .map_err(broken)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(directory.to_path_buf())),
        Err(TryLockError::Error(error)) => Err(broken(error)),
    }
}

/// Plain counters and gauges of a spool; counters grow from 0 at its opening.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct SpoolCounters {
    /// Messages kept.
    pub accepted: u64,
    /// Messages dropped because they are settled.
    pub settled: u64,
    /// Messages handed out.
    pub handed_out: u64,
    /// Messages refused because there was no room.
    pub full: u64,
    /// Disk syncs; messages per sync show the batching.
    pub syncs: u64,
    /// Time spent in turns with a sync, nanoseconds.
    pub sync_ns: u64,
    /// Operations that failed because the spool does not work.
    pub outages: u64,
    /// Gauge: messages that are not settled.
    pub entries: u64,
    /// Gauge: octets of their PDUs.
    pub octets: u64,
    /// Gauge: messages that wait to be handed out.
    pub waiting: u64,
    /// Gauge: 1 when the spool does not work.
    pub away: u64,
    /// Octets of a torn end that the opening cut off.
    pub cut_octets: u64,
}
