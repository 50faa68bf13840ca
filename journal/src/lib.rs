//! A durable log of framed entries that notices when its files were damaged.
//!
//! ```text
//!   state/spool.mark                     that there is a journal, and how far it had come
//!   state/spool/journal/
//!     00000003.journal  [header][batch][batch]...      oldest segment that still counts
//!     00000004.journal  [header][batch][batch]         entries are appended here
//!     tip                                the newest synced offset, written in place
//!     cut-00000002-000000000000a1c0      what an earlier opening cut off a torn end
//!
//!   batch  = head (length, first sequence number, own offset, offset known to be synced, CRC of both parts), entries
//!   entry  = length, kind, sequence number, CRC, octets
//! ```
//!
//! An *offset* counts the octets of all batches since the journal began, over all segments; it names an entry for good.
//!
//! What it guarantees, as far as the disk honours a sync:
//! * [`Journal::commit`] with a sync answers `Ok` after the batch is on disk. Opened again, such entries are there, or the
//!   opening refuses and names the file and the offset. Where a batch was the last one before a power cut, and is
//!   damaged besides, it is cut, since nothing then tells it from one that was torn: cut, kept aside, and said.
//! * A batch whose commit failed never comes back, unless the file could not be cut either. What was to be kept of it
//!   (see [`Journal::push`]) is written when the files work again.
//! * An end that was never synced and is damaged (a torn batch, maybe with whole ones behind it) is cut, and kept aside.
//! * Files are removed from the front alone, after everything that replaces them was synced, and only after the tip says so.
//!
//! Files are behind [`Files`], so that tests can tear writes, lose ends, flip bits, fill the disk and fail a sync
//! ([`simulated`]). No clock, no thread, no logging: what is to be said is returned.
#![forbid(unsafe_code)]

mod disk;
mod files;
mod frame;
mod journal;
mod mark;
mod open;
mod salvage;
pub mod simulated;
mod survey;

pub use disk::Disk;
pub use files::Files;
pub use frame::{BATCH_OCTETS_MAX, ENTRY_HEAD, Entry, Position};
pub use journal::{Journal, ReadError};
pub use open::{Cut, OpenError, Opened};
pub use salvage::{Salvaged, salvage};
pub use survey::{Damage, MarkState, SegmentReport, Survey, survey};

/// Where a journal lies, relative to the root of its [`Files`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Its folder; holds nothing else.
    pub folder: String,
    /// Its mark, outside that folder, so that the loss of the folder is noticed.
    pub mark: String,
}

impl Place {
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    pub(crate) fn tip(&self) -> String {
        self.path("tip")
    }

    pub(crate) fn segment(&self, number: u32) -> String {
        self.path(&format!("{number:08}.journal"))
    }

    /// The folder that holds the mark.
    pub(crate) fn above(&self) -> &str {
        self.mark.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

/// How a journal is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Octets after which a segment is followed by another one. Smaller: settled entries give their room back sooner.
    /// Larger: fewer files.
    pub segment_octets: u64,
    /// Any number, not to be guessed: entries cannot be made to look like the journal's own frames. Used by a new
    /// journal alone.
    pub salt: u64,
}
