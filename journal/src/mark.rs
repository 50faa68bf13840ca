//! Two witnesses of how far a journal had come.
//!
//! The *mark* lies outside the journal's folder and is replaced as a whole. It is text, for people. The *tip* lies inside;
//! its slots are written in turn and in place, which costs no room and, unsynced, no time: it survives the end of
//! the process at once and a power cut after the next rest.

use crate::frame::{u32_at, u64_at};
use crate::{Files, Place, files};
use std::fmt::Write;
use std::io;

/// Octets of a mark, at most.
const MARK_OCTETS: usize = 1024;
/// First word of a mark.
const MARK_NAME: &str = "journal-mark 1";
/// Octets between the slots of a tip: a sector, so that a torn write spoils one of them alone.
const SLOT: usize = 512;
const SLOTS: usize = 4;
/// Octets of what is written into a slot.
const SLOT_OCTETS: usize = 20;
const TIP_OCTETS: usize = (SLOTS - 1) * SLOT + SLOT_OCTETS;

/// How far a journal had come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Mark {
    /// Number of the oldest segment that counts.
    pub(crate) first: u32,
    /// Number of the newest segment.
    pub(crate) newest: u32,
    /// All before this offset is on disk.
    pub(crate) synced: u64,
    pub(crate) salt: u64,
}

impl Mark {
    fn write(&self) -> String {
        let Mark { first, newest, synced, salt } = self;
        let mut text = format!("{MARK_NAME}\nfirst {first}\nnewest {newest}\nsynced {synced}\nsalt {salt}\n");
        let crc = crc32c::crc32c(text.as_bytes());
        let _ = writeln!(text, "crc {crc:08x}"); // writing to a String cannot fail
        text
    }

    fn read(octets: &[u8]) -> Option<Mark> {
        let text = std::str::from_utf8(octets).ok()?;
        let (body, crc) = text.strip_suffix('\n')?.rsplit_once("crc ")?;
        if crc != format!("{:08x}", crc32c::crc32c(body.as_bytes())) {
            return None;
        }
        let mut lines = body.lines();
        lines.next().filter(|name| *name == MARK_NAME)?;
        let mut number = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(' ')?.parse::<u64>().ok();
        Some(Mark {
            first: number("first")?.try_into().ok()?,
            newest: number("newest")?.try_into().ok()?,
            synced: number("synced")?,
            salt: number("salt")?,
        })
    }

    pub(crate) fn store<F: Files>(&self, files: &F, place: &Place) -> io::Result<()> {
        files::replace(files, &place.mark, place.above(), self.write().as_bytes()).map(drop)
    }

    /// `Ok(None)`: there is none. `Ok(Some(None))`: it cannot be read.
    pub(crate) fn load<F: Files>(files: &F, place: &Place) -> io::Result<Option<Option<Mark>>> {
        let octets = files::read_small(files, &place.mark, MARK_OCTETS)?;
        Ok(octets.map(|octets| Mark::read(&octets)))
    }
}

/// The newest synced offset, and the oldest segment that counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tip {
    pub(crate) first: u32,
    pub(crate) synced: u64,
}

/// The file of the tip: two slots for words that are not synced, two for those that are, so that a torn word of the former
/// never costs one of the latter.
pub(crate) struct TipFile<T> {
    file: T,
    /// Words so far, unsynced and synced ones; each kind goes to its slots in turn.
    written: u64,
    synced: u64,
}

impl<T> TipFile<T> {
    /// Makes it anew, in the place of one that may be there.
    pub(crate) fn create<F: Files<File = T>>(files: &F, place: &Place, tip: Tip) -> io::Result<TipFile<T>> {
        let mut octets = [0; TIP_OCTETS];
        for nth in 0..SLOTS {
            octets[nth * SLOT..nth * SLOT + SLOT_OCTETS].copy_from_slice(&slot(tip));
        }
        let file = files::replace(files, &place.tip(), &place.folder, &octets)?;
        Ok(TipFile { file, written: 0, synced: 0 })
    }

    /// A word that survives the end of the process, and a power cut maybe.
    pub(crate) fn write<F: Files<File = T>>(&mut self, files: &F, tip: Tip) -> io::Result<()> {
        files.write_at(&self.file, self.written % 2 * SLOT as u64, &slot(tip))?;
        self.written += 1;
        Ok(())
    }

    /// A word that survives a power cut.
    pub(crate) fn write_synced<F: Files<File = T>>(&mut self, files: &F, tip: Tip) -> io::Result<()> {
        files.write_at(&self.file, (2 + self.synced % 2) * SLOT as u64, &slot(tip))?;
        files.sync(&self.file)?;
        self.synced += 1;
        Ok(())
    }

    /// What it says; nothing when it is not there or no slot can be read. Both numbers only grow.
    pub(crate) fn load<F: Files<File = T>>(files: &F, place: &Place) -> io::Result<Option<Tip>> {
        let Some(octets) = files::read_small(files, &place.tip(), TIP_OCTETS)? else { return Ok(None) };
        let tips = octets.chunks(SLOT).filter_map(|slot| read_slot(slot.get(..SLOT_OCTETS)?));
        Ok(tips.reduce(|a, b| Tip { first: a.first.max(b.first), synced: a.synced.max(b.synced) }))
    }
}

fn slot(tip: Tip) -> [u8; SLOT_OCTETS] {
    let mut octets = [0; SLOT_OCTETS];
    octets[..4].copy_from_slice(b"Tip1");
    octets[4..8].copy_from_slice(&tip.first.to_be_bytes());
    octets[8..16].copy_from_slice(&tip.synced.to_be_bytes());
    let crc = crc32c::crc32c(&octets[..SLOT_OCTETS - 4]);
    octets[SLOT_OCTETS - 4..].copy_from_slice(&crc.to_be_bytes());
    octets
}

fn read_slot(octets: &[u8]) -> Option<Tip> {
    let crc = crc32c::crc32c(&octets[..SLOT_OCTETS - 4]);
    let holds = octets[..4] == *b"Tip1" && crc == u32_at(octets, SLOT_OCTETS - 4);
    holds.then(|| Tip { first: u32_at(octets, 4), synced: u64_at(octets, 8) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_or_not_at_all() {
        let mark = Mark { first: 3, newest: 4, synced: 1 << 40, salt: u64::MAX };
        let text = mark.write().into_bytes();
        assert_eq!(Mark::read(&text), Some(mark));
        for bit in 0..text.len() * 8 {
            let mut bad = text.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Mark::read(&bad), None, "bit {bit}");
        }
        for length in 0..text.len() {
            assert_eq!(Mark::read(&text[..length]), None, "{length} octets");
        }
    }

    #[test]
    fn a_torn_slot_of_a_tip_says_nothing() {
        let tip = Tip { first: 3, synced: 99 };
        assert_eq!(read_slot(&slot(tip)), Some(tip));
        for bit in 0..SLOT_OCTETS * 8 {
            let mut bad = slot(tip);
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read_slot(&bad), None, "bit {bit}");
        }
    }
}
