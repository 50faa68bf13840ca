//! A journal in use: entries are staged, committed as a batch, read back, and their segments removed.

use crate::files::{prepare, publish};
use crate::frame::{
    BATCH_HEAD, BATCH_OCTETS_MAX, BatchHead, ENTRY_HEAD, HEADER, Header, Position, push_entry, read_entry,
    u32_at,
};
use crate::mark::{Mark, Tip, TipFile};
use crate::{Files, Options, Place};
use std::collections::VecDeque;
use std::fmt;
use std::io;

/// What is kept in memory of entries that are written and not synced, octets; then a commit syncs unasked.
const UNSYNCED_OCTETS_MAX: usize = 1 << 20;
/// Entries written again after a failure go in batches of about this, octets.
const AGAIN_OCTETS: usize = 4 << 20;
/// Kind and length before an entry that is kept.
const KEPT_HEAD: usize = 5;

/// One file of the journal.
pub(crate) struct Segment<T> {
    pub(crate) number: u32,
    /// Offset of its first batch.
    pub(crate) base: u64,
    pub(crate) file: T,
    /// Entries that are still needed, as their owner says.
    pub(crate) live: u64,
}

/// Why an entry cannot be read back.
#[derive(Debug)]
pub enum ReadError {
    /// The files do not work now.
    Io(io::Error),
    /// Its octets are not those that were written.
    Damaged {
        /// The file, relative to the root.
        path: String,
        /// Where in it, octets.
        octet: u64,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Io(error) => error.fmt(f),
            ReadError::Damaged { path, octet } => write!(f, "{path} is damaged at octet {octet}"),
        }
    }
}

/// A journal that was opened. One writer at a time: the owner sees to that.
///
/// Calling order: [`push`](Journal::push) any number of entries, then [`commit`](Journal::commit). After a failed commit the
/// journal refuses until [`recover`](Journal::recover) succeeds. [`rest`](Journal::rest) when nothing is to be done.
pub struct Journal<F: Files> {
    files: F,
    place: Place,
    options: Options,
    /// Never empty; the last is written to.
    segments: VecDeque<Segment<F::File>>,
    tip: TipFile<F::File>,
    /// The last number given to an entry.
    sequence: u64,
    /// Offset behind the last whole batch.
    end: u64,
    /// All before it is on disk; never more than `end`.
    synced: u64,
    /// Head and entries of the batch in the making.
    staged: Vec<u8>,
    staged_count: u32,
    /// Entries to be written again if the next sync fails: those that were staged to be kept.
    kept: Vec<u8>,
    /// Octets of those that are written; the others are in the batch in the making.
    kept_written: usize,
    has_failed: bool,
    tip_is_behind: bool,
    mark_is_behind: bool,
    /// Where the walk through the first segment goes on, as an offset.
    walked: u64,
}

impl<F: Files> Journal<F> {
    pub(crate) fn new(
        files: F,
        place: Place,
        options: Options,
        segments: VecDeque<Segment<F::File>>,
        tip: TipFile<F::File>,
        end: u64,
        sequence: u64,
    ) -> Journal<F> {
        Journal {
            files,
            place,
            options,
            segments,
            tip,
            sequence,
            end,
            synced: end,
            staged: vec![0; BATCH_HEAD],
            staged_count: 0,
            kept: Vec::new(),
            kept_written: 0,
            has_failed: false,
            tip_is_behind: false,
            mark_is_behind: false,
            walked: 0,
        }
    }

    /// Puts an entry, of these parts one after the other, into the batch in the making. The position counts once that is
    /// committed. `keep`: if it is not, the entry is written when the journal works again.
    ///
    /// # Panics
    /// When the batch grows over [`BATCH_OCTETS_MAX`]: see [`Journal::staged_octets`].
    pub fn push(&mut self, kind: u8, parts: &[&[u8]], keep: bool) -> Position {
        let position = Position(self.end + self.staged.len() as u64);
        if keep {
            let length: usize = parts.iter().map(|part| part.len()).sum();
            self.kept.push(kind);
            self.kept.extend_from_slice(&(length as u32).to_be_bytes());
            parts.iter().for_each(|part| self.kept.extend_from_slice(part));
        }
        self.stage(kind, parts);
        position
    }

    fn stage(&mut self, kind: u8, parts: &[&[u8]]) {
        self.sequence += 1;
        self.staged_count += 1;
        push_entry(&mut self.staged, kind, self.sequence, parts);
        assert!(self.staged.len() <= BATCH_OCTETS_MAX, "the owner commits before");
    }

    /// Octets of the batch in the making.
    pub fn staged_octets(&self) -> usize {
        self.staged.len() - BATCH_HEAD
    }

    /// Writes the batch in the making, and makes it and all before it durable if that is wanted. True when it synced.
    ///
    /// # Errors
    /// Nothing of the batch is in the journal, nor will be, but for what was to be kept. What was committed before and
    /// not synced is not there any more either, with the same exception.
    pub fn commit(&mut self, sync: bool) -> io::Result<bool> {
        if self.staged_count == 0 {
            return Ok(false);
        }
        if self.has_failed {
            self.unstage();
            return Err(io::Error::other("the journal waits until its files work again"));
        }
        let sync = sync || self.kept.len() > UNSYNCED_OCTETS_MAX;
        let written = self.roll().and_then(|()| self.write_staged(sync));
        self.unstage();
        match written {
            Ok(()) => Ok(sync),
            Err(error) => {
                self.fail();
                Err(error)
            }
        }
    }

    fn unstage(&mut self) {
        self.staged.truncate(BATCH_HEAD);
        self.staged_count = 0;
    }

    fn write_staged(&mut self, sync: bool) -> io::Result<()> {
        let body = &self.staged[BATCH_HEAD..];
        let head = BatchHead {
            length: body.len() as u32,
            count: self.staged_count,
            at: self.end,
            sequence: self.sequence + 1 - u64::from(self.staged_count),
            synced: self.synced,
            body_crc: crc32c::crc32c(body),
        };
        self.staged[..BATCH_HEAD].copy_from_slice(&head.write(self.options.salt));
        let last = self.last();
        self.files.write_at(&last.file, HEADER as u64 + (self.end - last.base), &self.staged)?;
        self.end += self.staged.len() as u64;
        self.kept_written = self.kept.len();
        if sync { self.sync_all() } else { Ok(()) }
    }

    fn sync_all(&mut self) -> io::Result<()> {
        self.files.sync(&self.last().file)?;
        self.synced = self.end;
        self.kept.drain(..self.kept_written);
        self.kept_written = 0;
        // Not synced: it survives the end of the process, and the next batch says the same.
        let written = self.tip.write(&self.files, self.tip_now());
        self.tip_is_behind = true;
        self.mark_is_behind |= written.is_err();
        Ok(())
    }

    fn tip_now(&self) -> Tip {
        Tip { first: self.segments.front().map_or(1, |front| front.number), synced: self.synced }
    }

    fn last(&self) -> &Segment<F::File> {
        self.segments.back().expect("there is always one")
    }

    /// Begins another segment if the last is full. Where no file can be made, the last one grows on.
    fn roll(&mut self) -> io::Result<()> {
        if self.end - self.last().base < self.options.segment_octets {
            return Ok(());
        }
        if self.synced < self.end {
            self.sync_all()?;
        }
        let Ok(file) = self.prepare_segment() else { return Ok(()) };
        self.add_segment(file)?;
        self.mark_is_behind = true;
        let _ = self.write_mark(); // else at the next rest
        Ok(())
    }

    /// The file of another segment, under another name.
    fn prepare_segment(&self) -> io::Result<F::File> {
        let number = self.last().number + 1;
        // Entries that are staged have numbers already.
        let sequence = self.sequence - u64::from(self.staged_count);
        let header = Header { number, base: self.synced, sequence, salt: self.options.salt };
        prepare(&self.files, &self.place.segment(number), &header.write())
    }

    fn add_segment(&mut self, file: F::File) -> io::Result<()> {
        let number = self.last().number + 1;
        publish(&self.files, &self.place.segment(number), &self.place.folder)?;
        self.segments.push_back(Segment { number, base: self.synced, file, live: 0 });
        Ok(())
    }

    /// After an error nothing is known of what was not synced: it is cut off, and stays void by the next segment's header.
    fn fail(&mut self) {
        self.has_failed = true;
        self.end = self.synced;
        self.kept_written = 0;
        let last = self.segments.back().expect("there is always one");
        if self.files.cut(&last.file, HEADER as u64 + (self.synced - last.base)).is_ok() {
            let _ = self.files.sync(&last.file); // the next segment says the same
        }
    }

    /// Whether a commit failed, and nothing was written since.
    pub fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Tries to go on after a failure: in another segment, since a file whose sync failed is not to be trusted. What was
    /// to be kept is written and synced.
    ///
    /// # Errors
    /// The journal goes on refusing.
    pub fn recover(&mut self) -> io::Result<()> {
        if !self.has_failed {
            return Ok(());
        }
        self.unstage();
        let last = self.last();
        if last.base == self.synced {
            // Nothing in it counts but its header, which was synced before.
            self.files.cut(&last.file, HEADER as u64)?;
            self.files.sync(&last.file)?;
        } else {
            let file = self.prepare_segment()?;
            self.add_segment(file)?;
        }
        if let Err(error) = self.write_kept() {
            self.unstage();
            self.fail();
            return Err(error);
        }
        self.has_failed = false;
        self.mark_is_behind = true;
        Ok(())
    }

    fn write_kept(&mut self) -> io::Result<()> {
        let kept = std::mem::take(&mut self.kept);
        let mut rest = kept.as_slice();
        let mut written = Ok(());
        while written.is_ok() && (!rest.is_empty() || self.synced < self.end) {
            while let Some((head, body)) = rest.split_at_checked(KEPT_HEAD)
                && self.staged.len() < AGAIN_OCTETS
            {
                let (octets, behind) = body.split_at(u32_at(head, 1) as usize);
                self.stage(head[0], &[octets]);
                rest = behind;
            }
            written = self.write_staged(rest.is_empty());
            self.unstage();
        }
        if written.is_err() {
            self.kept = kept;
        }
        written
    }

    /// To be called when there is nothing to do: makes durable what is not yet, and brings tip and mark up to date.
    ///
    /// # Errors
    /// Of a sync of entries, after which the journal refuses until it recovers; or of tip and mark, which is tried again.
    pub fn rest(&mut self) -> io::Result<()> {
        if self.has_failed {
            return Ok(());
        }
        if self.synced < self.end
            && let Err(error) = self.sync_all()
        {
            self.fail();
            return Err(error);
        }
        if self.tip_is_behind {
            self.tip.write_synced(&self.files, self.tip_now())?;
            self.tip_is_behind = false;
        }
        if self.mark_is_behind { self.write_mark() } else { Ok(()) }
    }

    /// Ends in order: as [`Journal::rest`], and the mark says how far the journal had come.
    ///
    /// # Errors
    /// As [`Journal::rest`].
    pub fn close(mut self) -> io::Result<()> {
        self.mark_is_behind = true;
        self.rest()
    }

    pub(crate) fn write_mark(&mut self) -> io::Result<()> {
        let first = self.tip_now().first;
        let mark = Mark { first, newest: self.last().number, synced: self.synced, salt: self.options.salt };
        mark.store(&self.files, &self.place)?;
        self.mark_is_behind = false;
        Ok(())
    }

    /// Reads an entry of a committed batch, of `length` octets of its own.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(&self, position: Position, length: usize) -> Result<Vec<u8>, ReadError> {
        let segment = self.segment_of(position).ok_or(ReadError::Io(io::ErrorKind::NotFound.into()))?;
        let segment = &self.segments[segment];
        let octet = HEADER as u64 + (position.0 - segment.base);
        let mut octets = vec![0; ENTRY_HEAD + length];
        let read = self.files.read_at(&segment.file, octet, &mut octets).map_err(ReadError::Io)?;
        let whole =
            read_entry(&octets[..read], position).is_some_and(|(entry, _)| entry.octets.len() == length);
        if !whole {
            return Err(ReadError::Damaged { path: self.place.segment(segment.number), octet });
        }
        octets.drain(..ENTRY_HEAD);
        Ok(octets)
    }

    /// Index of the segment that holds it: of several of one base the last, since the others are empty.
    fn segment_of(&self, position: Position) -> Option<usize> {
        self.segments.partition_point(|segment| segment.base <= position.0).checked_sub(1)
    }

    /// The entry is needed: its segment stays.
    pub fn hold(&mut self, position: Position) {
        if let Some(segment) = self.segment_of(position) {
            self.segments[segment].live += 1;
        }
    }

    /// The entry is not needed any more.
    pub fn release(&mut self, position: Position) {
        if let Some(segment) = self.segment_of(position) {
            self.segments[segment].live = self.segments[segment].live.saturating_sub(1);
        }
    }

    /// Octets of all segments.
    pub fn octets(&self) -> u64 {
        self.end - self.segments.front().map_or(0, |front| front.base)
    }

    /// Removes the first segment if nothing in it is needed and another follows. True when it did.
    ///
    /// # Errors
    /// It stays, to be tried again.
    pub fn reclaim(&mut self) -> io::Result<bool> {
        let removable = self.segments.len() > 1 && self.segments[0].live == 0;
        if self.has_failed || !removable {
            return Ok(false);
        }
        if self.synced < self.end
            && let Err(error) = self.sync_all()
        {
            self.fail();
            return Err(error);
        }
        let tip = Tip { first: self.segments[1].number, synced: self.synced };
        self.tip.write_synced(&self.files, tip)?;
        let front = self.segments.pop_front().expect("there are two");
        self.walked = 0;
        self.mark_is_behind = true;
        self.files.remove(&self.place.segment(front.number))?; // else the next opening removes it
        self.files.sync_folder(&self.place.folder)?;
        Ok(true)
    }

    /// The next entries of the first segment, a batch at a time, each time round: so that what is needed of it can be
    /// pushed again, with a commit that syncs, and the old one released. Nothing when it was gone through, or is the last.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn walk_first(&mut self) -> Result<Vec<(Position, u8, Vec<u8>)>, ReadError> {
        let [first, second] = [self.segments.front(), self.segments.get(1)];
        let (Some(first), Some(second)) = (first, second) else { return Ok(Vec::new()) };
        let at = self.walked.max(first.base);
        if at >= second.base {
            self.walked = 0;
            return Ok(Vec::new());
        }
        let octet = HEADER as u64 + (at - first.base);
        let damaged = || ReadError::Damaged { path: self.place.segment(first.number), octet };
        let mut head = [0; BATCH_HEAD];
        let read = self.files.read_at(&first.file, octet, &mut head).map_err(ReadError::Io)?;
        let head = BatchHead::read(&head[..read], self.options.salt).ok_or_else(damaged)?;
        let mut body = vec![0; head.length as usize];
        let read =
            self.files.read_at(&first.file, octet + BATCH_HEAD as u64, &mut body).map_err(ReadError::Io)?;
        let mut entries = Vec::with_capacity(head.count as usize);
        let whole = crate::frame::entries_of(&head, &body[..read], |entry| {
            entries.push((entry.position, entry.kind, entry.octets.to_vec()));
        });
        if !whole {
            return Err(damaged());
        }
        self.walked = at + (BATCH_HEAD + body.len()) as u64;
        Ok(entries)
    }
}
