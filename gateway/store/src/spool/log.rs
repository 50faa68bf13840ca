//! The messages on disk, in an embedded key-value library (fjall), with the book of where each one is. One thread.
//!
//! A message lies under its gateway id, which grows with time: neighbours in time are neighbours in the tree. Its row is
//! written once and removed once; how often it was deferred is not written, since a restart makes everything due anyway.

use super::book::{Book, Millis};
use super::note::Note;
use super::{SpoolCounters, SpoolOptions};
use crate::housekeeping::Housekeeping;
use crate::{OlderNames, OpenError, open_error};
use fjall::config::{CompressionPolicy, FilterPolicy};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};
use relay::{AccountId, SpoolAnswer, SpoolEntry, SpoolOp, SpoolOutage};
use smpp::text::message_id::GatewayId;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Memory of the table before it is written out, octets.
const MEMTABLE_BYTES: u64 = 16 << 20;
/// Cache of blocks: pages that are handed out are read once.
const CACHE_BYTES: u64 = 8 << 20;
/// Journals on disk, octets; the smallest that fjall takes.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;
/// What all that takes in memory: the table that is filled, one that is written out, the cache, and a batch with its copy.
pub(super) const CACHES_OCTETS: u64 = CACHE_BYTES + 2 * MEMTABLE_BYTES + 2 * COMMIT_OCTETS as u64;
/// A turn with more than this in it is committed in parts, octets: 13,000 short messages, which a sync more does not slow,
/// or some long ones, which are not to be in memory all at once.
const COMMIT_OCTETS: usize = 4 << 20;
/// First byte of every row. Version 1 had a hash of 32 bits for the account; its rows are read.
const VERSION: u8 = 2;
/// Version, account, accepted_at, expires_at.
const HEAD: usize = 25;
/// The same in version 1.
const OLDER_HEAD: usize = 13;
/// Vendors that come and go again and again hasten what waits at most this often.
const HASTEN_EVERY: Millis = 1_000;

/// Operations of one shard, and room for their answers.
#[derive(Default)]
pub(super) struct Batch {
    /// In the order they were asked; empty after the turn.
    pub(super) ops: Vec<SpoolOp>,
    /// In the order of the operations; the caller empties it.
    pub(super) answers: Vec<SpoolAnswer>,
}

/// See the module.
pub(super) struct Log {
    /// First, so that it has let go of the database when that is closed.
    _housekeeping: Housekeeping,
    database: Database,
    rows: Keyspace,
    /// [`Note`]s by the names of their messages; of few.
    notes: Keyspace,
    options: SpoolOptions,
    book: Book,
    counters: SpoolCounters,
    turn: Turn,
    /// Messages of this turn that could not be committed.
    spoiled: BTreeSet<u64>,
    hastened_at: Option<Millis>,
    away: bool,
}

/// What was gathered since the last commit.
struct Turn {
    batch: OwnedWriteBatch,
    /// Messages in it.
    accepted: Vec<u64>,
    /// Octets of them.
    octets: usize,
}

impl Turn {
    fn new(database: &Database) -> Turn {
        Turn { batch: database.batch(), accepted: Vec::new(), octets: 0 }
    }
}

impl Log {
    /// Opens or makes it, and reads what is not settled.
    pub(super) fn open(options: &SpoolOptions) -> Result<Log, OpenError> {
        let broken = |error: fjall::Error| open_error(&options.directory, &error);
        std::fs::create_dir_all(&options.directory).map_err(|error| broken(error.into()))?;
        let database = Database::builder(&options.directory)
            .worker_threads(1)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .manual_journal_persist(true)
            .max_cached_files(Some(crate::FILES_CACHED))
            .open()
            .map_err(broken)?;
        let rows = database.keyspace("messages", keyspace_options).map_err(broken)?;
        let notes = database.keyspace("notes", keyspace_options).map_err(broken)?;
        let mut book = Book::default();
        for row in rows.iter() {
            let (key, value) = row.into_inner().map_err(broken)?;
            let Some(row) = Stored::read(&value, &options.older) else {
                let found = value.first().copied().unwrap_or(0);
                return Err(OpenError::Version { directory: options.directory.clone(), found });
            };
            book.restore(id_of(&key), row.pdu.len() as u32, row.expires_at);
        }
        for note in notes.iter() {
            let (key, value) = note.into_inner().map_err(broken)?;
            let known = Note::read(&value).is_some_and(|note| book.restore_note(id_of(&key), note));
            if !known {
                notes.remove(key).map_err(broken)?; // its message is settled, or another version wrote it
            }
        }
        Ok(Log {
            _housekeeping: Housekeeping::start(&[&rows, &notes]).map_err(|error| broken(error.into()))?,
            rows,
            notes,
            options: options.clone(),
            book,
            counters: SpoolCounters::default(),
            turn: Turn::new(&database),
            spoiled: BTreeSet::new(),
            hastened_at: None,
            away: false,
            database,
        })
    }

    /// Does all operations of all batches, which stand in the order of the desks, makes them durable, and only then
    /// leaves the answers. `unix` is seconds since 1970 UTC.
    pub(super) fn turn(&mut self, now: Millis, unix: u32, batches: &mut [Batch]) {
        for (desk, asked) in (0u8..).zip(batches.iter_mut()) {
            for op in asked.ops.drain(..) {
                self.apply(now, unix, desk, op, &mut asked.answers);
                if self.turn.octets >= COMMIT_OCTETS {
                    self.commit();
                }
            }
        }
        self.commit();
        if !self.spoiled.is_empty() {
            batches.iter_mut().for_each(|batch| self.spoil(batch));
            self.spoiled.clear();
        }
    }

    /// Makes what was gathered durable.
    fn commit(&mut self) {
        let Turn { batch, accepted, .. } = std::mem::replace(&mut self.turn, Turn::new(&self.database));
        if batch.is_empty() {
            return;
        }
        let began = Instant::now();
        let syncs = !accepted.is_empty();
        // Settlements alone need no sync: one that is lost in a power cut costs a second copy, not a message.
        let persist = if syncs { PersistMode::SyncData } else { PersistMode::Buffer };
        let committed = match self.away {
            true => Err(SpoolOutage::Away),
            false => batch.durability(Some(persist)).commit().map_err(|error| self.outage(&error)),
        };
        if committed.is_err() {
            accepted.iter().for_each(|id| self.book.drop_row(*id));
            self.spoiled.extend(accepted);
        } else if syncs {
            self.counters.accepted += accepted.len() as u64;
            self.counters.syncs += 1;
            self.counters.sync_ns += began.elapsed().as_nanos() as u64;
        }
    }

    /// What a commit would have made true, is not.
    fn spoil(&self, batch: &mut Batch) {
        for answer in &mut batch.answers {
            if let SpoolAnswer::Accepted { gateway_id, outcome, .. } = answer
                && self.spoiled.contains(&gateway_id.0)
            {
                *outcome = Err(SpoolOutage::Away);
            }
        }
    }

    fn apply(&mut self, now: Millis, unix: u32, desk: u8, op: SpoolOp, answers: &mut Vec<SpoolAnswer>) {
        if self.away {
            self.counters.outages += 1;
            return answers.extend(op.away());
        }
        match op {
            SpoolOp::Accept { message, gateway_id, account, accepted_at, expires_at, pdu } => {
                let room = self.room_for(gateway_id, pdu.len());
                if room.is_ok() {
                    let stored = Stored { account, accepted_at, expires_at, pdu: &pdu };
                    self.turn.batch.insert(&self.rows, gateway_id.0.to_be_bytes(), stored.write());
                    self.turn.accepted.push(gateway_id.0);
                    self.turn.octets += HEAD + pdu.len();
                    self.book.accept(gateway_id.0, pdu.len() as u32, expires_at, desk);
                }
                answers.push(SpoolAnswer::Accepted { message, gateway_id, outcome: room, pdu });
            }
            SpoolOp::Settle { gateway_id } => {
                let has_note = self.book.row(gateway_id.0).is_some_and(|row| !row.note.is_empty());
                if self.book.settle(gateway_id.0) {
                    self.turn.batch.remove(&self.rows, gateway_id.0.to_be_bytes());
                    if has_note {
                        self.turn.batch.remove(&self.notes, gateway_id.0.to_be_bytes());
                    }
                    self.counters.settled += 1;
                }
            }
            SpoolOp::Defer { gateway_id, after, tries, maybe_sent, fate } => {
                let left = self.left(unix, gateway_id.0);
                // Its end is told when it comes; a receipt that is owed has no end of that kind.
                let after = if fate.is_some() { after } else { after.min(left) };
                let due = now + u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                self.defer(gateway_id, due, tries, Note { maybe_sent, fate });
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

    /// Most messages that wait have nothing to be noted: an hour without vendors writes nothing.
    fn defer(&mut self, id: GatewayId, due: Millis, tries: u16, note: Note) {
        let before = self.book.row(id.0).map(|row| row.note);
        if self.book.defer(id.0, due, tries, note)
            && let Some(row) = self.book.row(id.0)
            && Some(row.note) != before
        {
            self.turn.batch.insert(&self.notes, id.0.to_be_bytes(), row.note.write());
        }
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
            let value = match self.rows.get(id.to_be_bytes()) {
                Ok(value) => value,
                Err(error) => {
                    self.outage(&error);
                    break;
                }
            };
            let Some(stored) = value.as_deref().and_then(|value| Stored::read(value, &self.options.older))
            else {
                tracing::error!(id = %GatewayId(id), "a message is gone from the spool's files");
                self.counters.outages += 1;
                continue; // stays lent: a restart looks again
            };
            entries.push(SpoolEntry {
                gateway_id: GatewayId(id),
                account: stored.account,
                accepted_at: stored.accepted_at,
                left: self.left(unix, id),
                tries: row.tries,
                maybe_sent: row.note.maybe_sent,
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

    /// Counters and gauges as they stand.
    pub(super) fn counters(&self) -> SpoolCounters {
        SpoolCounters {
            entries: self.book.len(),
            octets: self.book.octets(),
            waiting: self.book.waiting(),
            away: u64::from(self.away),
            ..self.counters
        }
    }

    /// After an error of the library nothing that is written can be relied upon: everything is refused from now on.
    fn outage(&mut self, error: &fjall::Error) -> SpoolOutage {
        self.counters.outages += 1;
        if !self.away {
            tracing::error!(directory = %self.options.directory.display(), %error, "the spool failed and is out of use until a restart");
        }
        self.away = true;
        SpoolOutage::Away
    }
}

fn id_of(key: &[u8]) -> u64 {
    u64::from_be_bytes(key.try_into().unwrap_or_default())
}

/// A row.
struct Stored<'a> {
    account: AccountId,
    accepted_at: u32,
    expires_at: u32,
    pdu: &'a [u8],
}

impl<'a> Stored<'a> {
    fn write(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(HEAD + self.pdu.len());
        value.push(VERSION);
        value.extend_from_slice(&self.account.0.to_be_bytes());
        for number in [self.accepted_at, self.expires_at] {
            value.extend_from_slice(&number.to_be_bytes());
        }
        value.extend_from_slice(self.pdu);
        value
    }

    fn read(value: &'a [u8], older: &OlderNames) -> Option<Self> {
        let is_older = value.first() == Some(&1);
        let (head, pdu) = value.split_at_checked(if is_older { OLDER_HEAD } else { HEAD })?;
        let number = |at: usize| head.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
        let (account, at) = if is_older {
            (older.account(number(1)?), 5)
        } else {
            (AccountId(u128::from_be_bytes(head.get(1..17)?.try_into().ok()?)), 17)
        };
        let (accepted_at, expires_at) = (number(at)?, number(at + 4)?);
        (is_older || head[0] == VERSION).then_some(Stored { account, accepted_at, expires_at, pdu })
    }
}

fn keyspace_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(MEMTABLE_BYTES)
        .manual_journal_persist(true)
        .data_block_compression_policy(CompressionPolicy::disabled())
        .index_block_compression_policy(CompressionPolicy::disabled())
        .filter_policy(FilterPolicy::disabled()) // what is read is there
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_version_1_are_read() {
        let number = relay::older_number(b"acme");
        let row =
            [&[1][..], &number.to_be_bytes(), &7_u32.to_be_bytes(), &9_u32.to_be_bytes(), b"pdu"].concat();
        let stored = Stored::read(&row, &OlderNames::new(["acme"], [])).unwrap();
        assert_eq!((stored.account, stored.accepted_at), (AccountId::of_name(b"acme"), 7));
        assert_eq!((stored.expires_at, stored.pdu), (9, &b"pdu"[..]));
        let again = stored.write();
        let stored = Stored::read(&again, &OlderNames::default()).unwrap();
        assert_eq!(
            (stored.account, stored.expires_at, stored.pdu),
            (AccountId::of_name(b"acme"), 9, &b"pdu"[..])
        );
        assert!(Stored::read(&[3; 40], &OlderNames::default()).is_none());
    }
}
