//! The messages on disk, in a journal, with the book of where each one is. One thread.
//!
//! A message is written once; how often it was deferred is not written, since a restart makes everything due anyway.

use super::book::{Book, Millis};
use super::entry::{self, HEAD, ID, MESSAGE, NOTE, Read, SETTLED, Stored};
use super::note::Note;
use super::{SpoolCounters, SpoolOptions};
use crate::OpenError;
use journal::{
    BATCH_OCTETS_MAX, ENTRY_HEAD, Entry, Files, Journal, MarkState, Opened, Options, Place, Position,
};
use relay::{SpoolAnswer, SpoolEntry, SpoolOp, SpoolOutage, UNTIL_ITS_END};
use smpp::text::message_id::GatewayId;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// A turn with more than this in it is committed in parts, octets: 13,000 short messages, which a sync more does not slow,
/// or some long ones, which are not to be in memory all at once.
const COMMIT_OCTETS: usize = 4 << 20;
/// What that takes in memory: a batch, its copy on the way to the disk, entries that are not synced, and one batch more
/// while what is still open is copied to the end.
pub(super) const BATCHES_OCTETS: u64 = 4 * COMMIT_OCTETS as u64 + (1 << 20);
/// Smallest segment of the journal, octets.
const SEGMENT_OCTETS_MIN: u64 = 1 << 20;
/// Part of the spool's bound that a segment is. The journal is at most about twice what is open and four segments, each
/// an open file: fewer than a hundred also where messages are short.
const SEGMENT_PART: u64 = 16;
/// Beside its PDU, octets that a message takes in the journal.
const MESSAGE_OVERHEAD: u64 = (ENTRY_HEAD + ID + HEAD) as u64;
/// Batches of the oldest segment looked at in one go, so that it is gone through faster than others are written: a turn
/// writes one or two, and one more with what is copied.
const WALK_BATCHES: usize = 32;
/// What is copied in one go, octets, and a batch more.
const WALK_OCTETS: usize = 1 << 20;
/// Vendors that come and go again and again hasten what waits at most this often.
const HASTEN_EVERY: Millis = 1_000;
/// After a failure the files are tried again this often.
const RECOVER_EVERY: Millis = 250;

const _: () = assert!(
    WALK_OCTETS + COMMIT_OCTETS + (1 << 17) < BATCH_OCTETS_MAX,
    "a batch holds one long message more"
);

/// Operations of one shard, and room for their answers.
#[derive(Default)]
pub(super) struct Batch {
    /// In the order they were asked; empty after the turn.
    pub(super) ops: Vec<SpoolOp>,
    /// In the order of the operations; the caller empties it.
    pub(super) answers: Vec<SpoolAnswer>,
}

/// See the module.
pub(super) struct Log<F: Files> {
    journal: Journal<F>,
    options: SpoolOptions,
    book: Book,
    counters: SpoolCounters,
    /// Messages of the batch in the making.
    accepted: Vec<u64>,
    /// Messages of which the batch in the making says that they are on their way.
    sending: Vec<u64>,
    /// Messages that the batch in the making writes again: id, where it was, where it will be.
    moved: Vec<(u64, Position, Position)>,
    /// Messages of this turn that could not be committed.
    spoiled: BTreeSet<u64>,
    hastened_at: Option<Millis>,
    /// Not before this are the files tried again.
    recover_at: Millis,
    /// Damage was met in what is open; said once.
    damage_said: bool,
}

impl<F: Files> Log<F> {
    /// Opens or makes it, and reads what is not settled.
    pub(super) fn open(files: F, place: Place, options: &SpoolOptions) -> Result<Log<F>, OpenError> {
        let mut book = Book::default();
        let mut unknown = None;
        let opened = Journal::open(files, place, journal_options(options), |entry: Entry<'_>| {
            match entry::read(entry.kind, entry.octets) {
                Read::Message(id, stored) => {
                    book.restore(id, stored.pdu.len() as u32, stored.expires_at, entry.position);
                }
                Read::Settled(id) => book.drop_row(id),
                Read::Note(id, note) => drop(book.restore_note(id, note)),
                Read::Unknown(version) => drop(unknown.get_or_insert(version)),
            }
        });
        let (mut journal, opened) = opened.map_err(|error| refusal(options, error))?;
        if let Some(found) = unknown {
            return Err(OpenError::Version { directory: options.directory.clone(), found });
        }
        book.restored();
        book.positions().for_each(|position| journal.hold(position));
        tell(&options.directory, &opened);
        let cut = opened.cut.as_ref();
        Ok(Log {
            journal,
            options: options.clone(),
            book,
            counters: SpoolCounters {
                cut_octets: cut.map_or(0, |cut| cut.octets),
                ..SpoolCounters::default()
            },
            accepted: Vec::new(),
            sending: Vec::new(),
            moved: Vec::new(),
            spoiled: BTreeSet::new(),
            hastened_at: None,
            recover_at: 0,
            damage_said: false,
        })
    }

    /// Does all operations of all batches, which stand in the order of the desks, makes them durable, and only then
    /// leaves the answers. `unix` is seconds since 1970 UTC.
    pub(super) fn turn(&mut self, now: Millis, unix: u32, batches: &mut [Batch]) {
        self.recover(now);
        for (desk, asked) in (0u8..).zip(batches.iter_mut()) {
            for op in asked.ops.drain(..) {
                self.apply(now, unix, desk, op, &mut asked.answers);
                if self.journal.staged_octets() >= COMMIT_OCTETS {
                    self.commit(now);
                }
            }
        }
        self.commit(now);
        if !self.spoiled.is_empty() {
            batches.iter_mut().for_each(|batch| self.spoil(batch));
            self.spoiled.clear();
        }
    }

    /// Goes on after a failure, if the files work again.
    pub(super) fn recover(&mut self, now: Millis) {
        if !self.journal.has_failed() || now < self.recover_at {
            return;
        }
        self.recover_at = now + RECOVER_EVERY;
        match self.journal.recover() {
            Ok(()) => tracing::warn!(directory = %self.options.directory.display(), "the spool works again"),
            Err(error) => tracing::debug!(%error, "the spool's files do not work yet"),
        }
    }

    /// Makes what was gathered durable.
    fn commit(&mut self, now: Millis) {
        let began = Instant::now();
        // Settlements alone need no sync: one that is lost in a power cut costs a second copy, not a message.
        let notes = self.options.sync_notes && !self.sending.is_empty();
        let wants_sync = !self.accepted.is_empty() || !self.moved.is_empty() || notes;
        let was_away = self.journal.has_failed();
        match self.journal.commit(wants_sync) {
            Ok(synced) => {
                self.counters.accepted += self.accepted.len() as u64;
                self.counters.syncs += u64::from(synced);
                self.counters.sync_ns += if synced { began.elapsed().as_nanos() as u64 } else { 0 };
                self.book_committed();
            }
            Err(error) => {
                self.accepted.iter().for_each(|id| self.book.drop_row(*id));
                self.spoiled.extend(self.accepted.iter().chain(&self.sending));
                if !was_away {
                    self.outage(now, &error);
                }
            }
        }
        self.accepted.clear();
        self.sending.clear();
        self.moved.clear();
    }

    fn book_committed(&mut self) {
        for id in &self.accepted {
            if let Some(row) = self.book.row(*id) {
                self.journal.hold(row.position);
            }
        }
        for (id, old, new) in self.moved.drain(..) {
            // It may have been settled in between.
            if self.book.row(id).is_some_and(|row| row.position == old) {
                self.journal.hold(new);
                self.journal.release(old);
                self.book.move_to(id, new);
            }
        }
    }

    /// What a commit would have made true, is not.
    fn spoil(&self, batch: &mut Batch) {
        for answer in &mut batch.answers {
            if let SpoolAnswer::Accepted { gateway_id, outcome, .. }
            | SpoolAnswer::Noted { gateway_id, outcome, .. } = answer
                && self.spoiled.contains(&gateway_id.0)
            {
                *outcome = Err(SpoolOutage::Away);
            }
        }
    }

    fn apply(&mut self, now: Millis, unix: u32, desk: u8, op: SpoolOp, answers: &mut Vec<SpoolAnswer>) {
        let is_away = self.journal.has_failed();
        match op {
            SpoolOp::Accept { .. } | SpoolOp::Sending { .. } | SpoolOp::Due { .. } if is_away => {
                self.counters.outages += 1;
                answers.extend(op.away());
            }
            SpoolOp::Accept { message, gateway_id, account, accepted_at, expires_at, pdu } => {
                let outcome = self.room_for(gateway_id, pdu.len());
                if outcome.is_ok() {
                    let head = Stored { account, accepted_at, expires_at, pdu: &pdu }.head();
                    let parts: [&[u8]; 3] = [&gateway_id.0.to_be_bytes(), &head, &pdu];
                    let position = self.journal.push(MESSAGE, &parts, false);
                    self.accepted.push(gateway_id.0);
                    self.book.accept(gateway_id.0, pdu.len() as u32, expires_at, desk, position);
                }
                answers.push(SpoolAnswer::Accepted { message, gateway_id, outcome, pdu });
            }
            SpoolOp::Sending { message, gateway_id, unknown_copies } => {
                let outcome = self.note_sending(gateway_id.0, unknown_copies);
                answers.push(SpoolAnswer::Noted { message, gateway_id, outcome });
            }
            SpoolOp::Settle { gateway_id } => self.settle(gateway_id.0),
            SpoolOp::Defer { gateway_id, after, tries, unknown_copies, fate } => {
                let to_its_end = after == UNTIL_ITS_END;
                let left = self.left(unix, gateway_id.0);
                // Its end is told when it comes; a receipt that is owed has no end of that kind.
                let after = if fate.is_some() { after } else { after.min(left) };
                let due = now + u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                let note = Note { unknown_copies, is_last: false, fate };
                self.defer(gateway_id.0, due, tries, note, to_its_end);
            }
            SpoolOp::Due { count_max } => {
                let entries = self.hand_out(now, unix, desk, count_max);
                let more = self.book.has_due(now);
                answers.push(SpoolAnswer::Due { unix_seconds: unix, entries, more });
            }
            SpoolOp::Hasten => {
                if self.hastened_at.is_none_or(|at| now - at >= HASTEN_EVERY) {
                    self.hastened_at = Some(now);
                    self.book.hasten();
                }
            }
        }
    }

    /// Also while the files do not work: it is written when they do.
    fn settle(&mut self, id: u64) {
        let position = self.book.row(id).map(|row| row.position);
        if self.book.settle(id)
            && let Some(position) = position
        {
            self.journal.push(SETTLED, &[&id.to_be_bytes()], true);
            self.journal.release(position);
            self.counters.settled += 1;
        }
    }

    /// Most messages that wait have nothing to be noted: an hour without vendors writes nothing.
    fn defer(&mut self, id: u64, due: Millis, tries: u16, note: Note, to_its_end: bool) {
        let before = self.book.row(id).map(|row| row.note);
        let waits = match to_its_end {
            true => self.book.defer_to_its_end(id, due, tries, note),
            false => self.book.defer(id, due, tries, note),
        };
        if waits
            && let Some(row) = self.book.row(id)
            && Some(row.note) != before
        {
            self.journal.push(NOTE, &[&id.to_be_bytes(), &row.note.write()], true);
        }
    }

    /// Written with the turn's batch, before the copy goes. Kept: a failure later must not take it out of the journal again.
    fn note_sending(&mut self, id: u64, unknown_copies: u8) -> Result<(), SpoolOutage> {
        let note = Note { unknown_copies: unknown_copies.saturating_add(1), is_last: true, fate: None };
        if !self.book.note(id, note) {
            return Err(SpoolOutage::Away);
        }
        self.journal.push(NOTE, &[&id.to_be_bytes(), &note.write()], true);
        self.sending.push(id);
        Ok(())
    }

    fn room_for(&mut self, id: GatewayId, octets: usize) -> Result<(), SpoolOutage> {
        if self.book.contains(id.0) {
            // The clock was set back across a restart, or two nodes share a directory's copy: never overwrite.
            tracing::error!(%id, "a message id was given twice; its message is refused");
            self.counters.outages += 1;
            return Err(SpoolOutage::Away);
        }
        let octets = self.book.octets().saturating_add(octets as u64);
        if self.book.len() >= self.options.entries_max || octets > self.options.octets_max {
            self.counters.full += 1;
            return Err(SpoolOutage::Full);
        }
        Ok(())
    }

    fn left(&self, unix: u32, id: u64) -> Duration {
        let expires_at = self.book.row(id).map_or(0, |row| row.expires_at);
        Duration::from_secs(u64::from(expires_at.saturating_sub(unix)))
    }

    fn hand_out(&mut self, now: Millis, unix: u32, desk: u8, count_max: u32) -> Vec<SpoolEntry> {
        let mut entries = Vec::new();
        for _ in 0..count_max {
            let Some((id, row)) = self.book.lend_due(now, desk) else { break };
            let octets = match self.journal.read(row.position, ID + HEAD + row.octets as usize) {
                Ok(octets) => octets,
                Err(journal::ReadError::Io(error)) => {
                    tracing::warn!(id = %GatewayId(id), %error, "a message cannot be read now; it is tried again");
                    self.counters.outages += 1;
                    self.book.defer(id, now + RECOVER_EVERY, row.tries, row.note);
                    break;
                }
                Err(error) => {
                    self.say_damage(&error);
                    continue; // stays lent: the next start looks again, and refuses
                }
            };
            let Read::Message(_, stored) = entry::read(MESSAGE, &octets) else { continue };
            entries.push(SpoolEntry {
                gateway_id: GatewayId(id),
                account: stored.account,
                accepted_at: stored.accepted_at,
                left: self.left(unix, id),
                tries: row.tries,
                unknown_copies: row.note.unknown_copies,
                is_last: row.note.is_last,
                fate: row.note.fate,
                pdu: stored.pdu.to_vec(),
            });
        }
        self.counters.handed_out += entries.len() as u64;
        entries
    }

    /// The shard at this desk is gone.
    pub(super) fn take_back(&mut self, desk: u8) {
        self.book.take_back(desk);
    }

    /// Gives room back, a little at a time: removes a segment of which nothing is open, or copies what is still open in the
    /// oldest one to the end.
    pub(super) fn tidy(&mut self, now: Millis) {
        match self.journal.reclaim() {
            Ok(_) => {}
            Err(error) if self.journal.has_failed() => self.outage(now, &error),
            Err(error) => tracing::debug!(%error, "a file of the spool was not removed; it is tried again"),
        }
        let open = self.book.octets() + self.book.len() * MESSAGE_OVERHEAD;
        let room = 2 * open + 4 * journal_options(&self.options).segment_octets;
        if self.journal.has_failed() || self.journal.octets() <= room {
            return;
        }
        for _ in 0..WALK_BATCHES {
            match self.journal.walk_first() {
                Ok(entries) if entries.is_empty() => break,
                Ok(entries) => entries.iter().for_each(|(old, kind, octets)| self.copy(*old, *kind, octets)),
                Err(error) => {
                    self.say_damage(&error);
                    break;
                }
            }
            if self.journal.staged_octets() >= WALK_OCTETS {
                break;
            }
        }
        self.commit(now);
    }

    /// Writes a message again, with what is known of it, if this is where it lies.
    fn copy(&mut self, old: Position, kind: u8, octets: &[u8]) {
        let Read::Message(id, _) = entry::read(kind, octets) else { return };
        let Some(row) = self.book.row(id).filter(|row| row.position == old) else { return };
        let new = self.journal.push(MESSAGE, &[octets], false);
        if !row.note.is_empty() {
            self.journal.push(NOTE, &[&id.to_be_bytes(), &row.note.write()], false);
        }
        self.moved.push((id, old, new));
    }

    /// To be called when there was nothing to do for a while.
    pub(super) fn rest(&mut self, now: Millis) {
        self.recover(now);
        let Err(error) = self.journal.rest() else { return };
        match self.journal.has_failed() {
            true => self.outage(now, &error),
            false => tracing::warn!(%error, "the spool's mark was not written; it is tried again"),
        }
    }

    /// Ends in order.
    pub(super) fn close(self) -> SpoolCounters {
        let counters = self.counters();
        if let Err(error) = self.journal.close() {
            tracing::warn!(%error, "the spool's mark was not written");
        }
        counters
    }

    /// Counters and gauges as they stand.
    pub(super) fn counters(&self) -> SpoolCounters {
        SpoolCounters {
            entries: self.book.len(),
            octets: self.book.octets(),
            waiting: self.book.waiting(),
            away: u64::from(self.journal.has_failed()),
            ..self.counters
        }
    }

    /// Nothing that was not synced can be relied upon: messages are refused until the files work again.
    fn outage(&mut self, now: Millis, error: &io::Error) {
        self.counters.outages += 1;
        self.recover_at = now + RECOVER_EVERY;
        let directory = self.options.directory.display();
        tracing::error!(%directory, %error, "the spool failed: messages are refused until its files work again");
    }

    fn say_damage(&mut self, error: &journal::ReadError) {
        self.counters.outages += 1;
        if !std::mem::replace(&mut self.damage_said, true) {
            let directory = self.options.directory.display();
            tracing::error!(%directory, %error, "the spool is damaged: stop the gateway and see `gateway store check`");
        }
    }
}

/// How the journal of a spool is laid out.
pub(super) fn journal_options(options: &SpoolOptions) -> Options {
    let segment_octets = (options.octets_max / SEGMENT_PART).max(SEGMENT_OCTETS_MIN);
    Options { segment_octets, salt: salt() }
}

/// A number that nobody outside guesses.
fn salt() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

/// Why a spool is not opened.
pub(super) fn refusal(options: &SpoolOptions, error: journal::OpenError) -> OpenError {
    let directory = options.directory.clone();
    match error {
        journal::OpenError::Damaged(damage) => OpenError::Damaged { directory, what: damage.to_string() },
        journal::OpenError::Version { found, .. } => {
            OpenError::Version { directory, found: u8::try_from(found).unwrap_or(u8::MAX) }
        }
        journal::OpenError::Io(error) => OpenError::Broken { directory, reason: error.to_string() },
    }
}

/// Says what an opening met that an operator should know.
fn tell(directory: &Path, opened: &Opened) {
    let directory = directory.display();
    if let Some(cut) = &opened.cut {
        tracing::warn!(
            %directory, octets = cut.octets, file = cut.damage.path, at = cut.damage.octet, copy = cut.copy,
            "a torn end of the spool's journal was cut off: it was never synced, nobody was answered for it"
        );
    }
    match opened.mark {
        MarkState::Missing if !opened.is_new => {
            tracing::warn!(%directory, "the spool's mark is missing and is made anew: had files been lost with it, nobody could tell");
        }
        MarkState::Unreadable => {
            tracing::warn!(%directory, "the spool's mark cannot be read and is made anew")
        }
        MarkState::Missing | MarkState::Synced(_) => {}
    }
}
