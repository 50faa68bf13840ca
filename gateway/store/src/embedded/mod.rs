//! The embedded store: a log-structured tree (fjall) in the state directory, used by one thread.
//!
//! Correlations are written to `recent` under a running number, since neighbours in time are then
//! neighbours in the tree: three times cheaper than under the vendors' random ids. Their index is in memory
//! ([`Recent`]), bounded; what falls out of it is moved to `old`, under vendor and id, where a look-up costs a read.
//! Parked deliveries lie in `parked` under account and number (those of urgent ones are lower), orphans in `orphans`
//! and receipts that wait for their message in `early` under a number.
//!
//! A delivery that was taken in its turn only moves the head of its shelf; its row is removed later ([`tidy`]).
//!
//! Every value begins with a version byte. One write batch per turn, so that a crash keeps or loses whole turns.

mod correlations;
mod early;
mod lasting;
mod older;
mod tidy;

pub(crate) use early::EARLY_ENTRY_OCTETS;
pub(crate) use lasting::Lasting;

use super::housekeeping::Housekeeping;
use super::recent::{self, KEY_MAX, Recent};
use super::redis::Word;
use super::rows::*;
use super::shelf::{BULK, CLASSES, Shelf, ShelfName, Shelves, class_of, count_of, shelf_of};
use super::{Durability, OpenError, StoreCounters, StoreOptions};
use early::EarlyIndex;
use fjall::compaction::Leveled;
use fjall::config::{CompressionPolicy, FilterPolicy};
use fjall::{Database, Guard, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Slice};
use relay::{CorrelationKey, ParkedEntry, ParkedId, StoreAnswer, StoreOp, StoreOutage};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// Memory of one keyspace before it is written out, bytes. Smaller: less to put together again from the journal after
/// a crash. Larger: fewer writings out, each of which syncs the journal and stalls the store for as long as the disk
/// takes. `examples/store_cost.rs` measures both.
const MEMTABLE_BYTES: u64 = 8 << 20;
/// Cache of blocks of old correlations and parked deliveries, bytes.
const CACHE_BYTES: u64 = 16 << 20;
/// Journals on disk before the keyspace that holds them back is written out, bytes; the smallest that fjall takes.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;
/// What the caches take in memory: that of blocks, and a table in the making for each of the six.
pub(crate) const CACHES_OCTETS: u64 = CACHE_BYTES + 6 * MEMTABLE_BYTES;
/// Old correlations moved to disk in one turn at most, above what the turn put in: keeps a turn short.
const DEMOTE_SLACK: usize = 256;
/// Old correlations are read from disk to learn their age: a sweep looks at this part of its budget only.
const OLD_SHARE: usize = 8;
/// Row in `shelves`, which is under the account's number, and an octet more where it is not urgent: head, next, count,
/// and where rows of what was taken begin, which earlier versions did not write.
type ShelfRow = [u8; 32];

/// See the module.
pub(crate) struct Embedded {
    /// First, so that it has let go of the database when that is closed.
    _housekeeping: Housekeeping,
    database: Database,
    recent_rows: Keyspace,
    old_rows: Keyspace,
    parked_rows: Keyspace,
    shelf_rows: Keyspace,
    orphan_rows: Keyspace,
    early_rows: Keyspace,
    persist: PersistMode,
    limits: StoreOptions,
    recent: Recent,
    /// Number of the next correlation, orphan or early receipt; never given twice.
    sequence: u64,
    /// No orphan below this number is left, or its removal is in the turn's batch.
    orphans_from: u64,
    early: EarlyIndex,
    /// For every shard.
    words: Vec<Word>,
    shelves: Shelves,
    /// Shelves with rows of what was taken.
    untidy: BTreeSet<ShelfName>,
    counters: StoreCounters,
    turn: Turn,
    sweep: SweepCursors,
    /// False only when no correlation is on disk alone, so that most look-ups need not ask there.
    has_old: bool,
    away: bool,
    /// Deliveries may be out that were handed out before it was opened.
    reopened: bool,
}

/// What this turn changed and the batch does not hold yet.
struct Turn {
    batch: OwnedWriteBatch,
    /// Correlations of this turn by number and packed key; written at the end if they are still there.
    born: Vec<(u64, CorrelationKey)>,
    /// Changes of old correlations; the last word on a key counts, since a batch has no order within a key.
    old: BTreeMap<Slice, Option<Slice>>,
    /// Early receipts of this turn by number; written at the end if they are still there.
    early: BTreeMap<u64, Slice>,
    /// Shelves whose row must be written.
    shelves: BTreeSet<ShelfName>,
    /// Deliveries were put in that the tree cannot see before the commit.
    parked: bool,
}

/// Where the next sweep goes on.
#[derive(Default)]
struct SweepCursors {
    old: Option<Slice>,
    shelf: Option<ShelfName>,
    /// The shelf whose rows were removed last.
    tidied: Option<ShelfName>,
}

impl Embedded {
    /// Opens or makes the store and reads what is open; what an earlier version left is written anew.
    pub(super) fn open(options: &StoreOptions) -> Result<Embedded, OpenError> {
        let mut store = Embedded::open_files(options)?;
        store
            .renew_older()
            .and_then(|()| store.read_open())
            .map_err(|error| open_error(&options.directory, &error))?;
        Ok(store)
    }

    /// The same, but refuses what an earlier version left.
    pub(super) fn open_as_it_is(options: &StoreOptions) -> Result<Embedded, OpenError> {
        let mut store = Embedded::open_files(options)?;
        store.read_open().map_err(|error| open_error(&options.directory, &error))?;
        Ok(store)
    }

    fn open_files(options: &StoreOptions) -> Result<Embedded, OpenError> {
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
        let keyspace = |name: &str, read_by_key: bool| {
            database.keyspace(name, || keyspace_options(read_by_key)).map_err(broken)
        };
        let (recent_rows, old_rows) = (keyspace("recent", false)?, keyspace("old", true)?);
        let (parked_rows, shelf_rows) = (keyspace("parked", true)?, keyspace("shelves", false)?);
        let (orphan_rows, early_rows) = (keyspace("orphans", false)?, keyspace("early", false)?);
        let all = [&recent_rows, &old_rows, &parked_rows, &shelf_rows, &orphan_rows, &early_rows];
        Ok(Embedded {
            _housekeeping: Housekeeping::start(&all).map_err(|error| broken(error.into()))?,
            recent_rows,
            old_rows,
            parked_rows,
            shelf_rows,
            orphan_rows,
            early_rows,
            persist: match options.durability {
                Durability::Process => PersistMode::Buffer,
                Durability::Disk => PersistMode::SyncData,
            },
            limits: options.clone(),
            recent: Recent::new(),
            sequence: first_sequence(),
            orphans_from: 0,
            early: EarlyIndex::default(),
            words: Vec::new(),
            shelves: Shelves::new(),
            untidy: BTreeSet::new(),
            counters: StoreCounters::default(),
            turn: Turn::new(&database),
            sweep: SweepCursors::default(),
            has_old: false,
            away: false,
            reopened: false,
            database,
        })
    }

    /// Does one operation. What it changes is durable after [`Embedded::commit`].
    pub(super) fn apply(&mut self, now: u32, op: StoreOp, answers: &mut Vec<StoreAnswer>) {
        if self.away {
            self.counters.outages += 1;
            return answers.extend(op.away());
        }
        match op {
            StoreOp::Remember { message, key, correlation } => {
                let outcome = self.remember(now, &key, &correlation).map_err(|error| self.outage(&error));
                answers.push(StoreAnswer::Remembered { message, outcome });
            }
            StoreOp::Find { delivery, key, numbers } => {
                let outcome = self.find(&key, &numbers).map_err(|error| self.outage(&error));
                answers.push(StoreAnswer::Found { delivery, outcome });
            }
            StoreOp::KeepEarly { delivery, key, receipt, pdu } => {
                let outcome = self.keep_early(now, &key, &receipt, &pdu).map_err(|error| self.outage(&error));
                answers.push(StoreAnswer::EarlyKept { delivery, outcome, pdu });
            }
            StoreOp::Forget { key, gateway_id, .. } => {
                if let Err(error) = self.forget(&key, gateway_id) {
                    self.outage(&error);
                }
            }
            StoreOp::Park { delivery, account, urgent, pdu } => {
                let outcome = self.park(now, account.0, urgent, &pdu);
                answers.push(StoreAnswer::Parked { delivery, account, outcome, pdu });
            }
            StoreOp::ParkOrphan { delivery, vendor, pdu } => {
                let outcome = self.park_orphan(now, vendor.0, &pdu).map_err(|error| self.outage(&error));
                answers.push(StoreAnswer::OrphanParked { delivery, outcome, pdu });
            }
            StoreOp::Unpark { account, count_max } => {
                let mut entries = Vec::new();
                let outcome = self.unpark(account.0, count_max, &mut entries);
                let more = outcome.map_err(|error| self.outage(&error)).unwrap_or(true);
                answers.push(StoreAnswer::Unparked { account, entries, more });
            }
            StoreOp::Release { account, parked } => self.release(account.0, parked.0),
            StoreOp::Return { account, parked } => {
                let shelf = self.shelves.get_mut(&shelf_of(account.0, parked.0));
                self.counters.returned += u64::from(shelf.is_some_and(|shelf| shelf.give_back(parked.0)));
            }
        }
    }

    pub(super) fn take_words(&mut self) -> Vec<Word> {
        std::mem::take(&mut self.words)
    }

    /// Makes all since the last commit durable as [`Durability`] says.
    pub(super) fn commit(&mut self) -> Result<(), StoreOutage> {
        if self.away {
            return Err(StoreOutage::Away);
        }
        self.demote().and_then(|()| self.flush()).map_err(|error| self.outage(&error))
    }

    /// Ends early receipts whose time is over, by the clock that they were kept by.
    pub(super) fn look_after_early(&mut self, now: u32) {
        if let Err(error) = self.sweep_early(now) {
            self.outage(&error);
        }
    }

    /// See [`super::Store::sweep`].
    pub(super) fn sweep(&mut self, now: u32, budget: usize) {
        let result = self
            .sweep_recent(now, budget)
            .and_then(|()| self.sweep_old(now, budget))
            .and_then(|()| self.sweep_orphans(now, budget))
            .and_then(|()| self.sweep_parked(now, budget));
        if let Err(error) = result {
            self.outage(&error);
        }
    }

    /// See [`super::Store::counters`].
    pub(super) fn counters(&self) -> StoreCounters {
        StoreCounters {
            open_recent: self.recent.len() as u64,
            early_now: self.early.len() as u64,
            away: u64::from(self.away),
            ..self.counters
        }
    }

    fn park(&mut self, now: u32, account: u128, urgent: bool, pdu: &[u8]) -> Result<(), StoreOutage> {
        let parked_here = count_of(&self.shelves, account);
        if self.counters.parked_now >= self.limits.parked_max || parked_here >= self.limits.parked_account_max
        {
            self.counters.parked_full += 1;
            return Err(StoreOutage::Full);
        }
        let name = (account, class_of(urgent));
        let first = self.sequence | name.1;
        let shelf = self.shelves.entry(name).or_insert_with(|| Shelf::restore(first, first, 0));
        let id = shelf.park();
        self.sequence = self.sequence.max(id & !BULK); // a shelf that was empty meanwhile starts above every id it gave
        let value = with_head(now, &[], pdu);
        self.turn.batch.insert(&self.parked_rows, parked_key(account, id), value);
        self.turn.shelves.insert(name);
        self.turn.parked = true;
        self.counters.parked += 1;
        self.counters.parked_now += 1;
        Ok(())
    }

    fn park_orphan(&mut self, now: u32, vendor: u128, pdu: &[u8]) -> fjall::Result<()> {
        if self.counters.orphans_now >= self.limits.orphans_max {
            self.drop_oldest_orphan()?;
        }
        self.sequence += 1;
        let value = with_head(now, &vendor.to_be_bytes(), pdu);
        self.turn.batch.insert(&self.orphan_rows, self.sequence.to_be_bytes(), value);
        self.counters.orphans += 1;
        self.counters.orphans_now += 1;
        Ok(())
    }

    /// Makes room for one more. What this turn put in is not seen before it is written, which a small room needs.
    fn drop_oldest_orphan(&mut self) -> fjall::Result<()> {
        let mut oldest = self.orphan_rows.range(self.orphans_from.to_be_bytes()..).next();
        if oldest.is_none() {
            self.flush()?;
            oldest = self.orphan_rows.range(self.orphans_from.to_be_bytes()..).next();
        }
        let Some(oldest) = oldest else { return Ok(()) };
        let key = oldest.key()?;
        self.orphans_from = number_at(&key, 0) + 1;
        self.turn.batch.remove(&self.orphan_rows, key);
        self.counters.orphans_full += 1;
        self.counters.orphans_now -= 1;
        Ok(())
    }

    /// Hands out the oldest; true when there are more.
    fn unpark(
        &mut self,
        account: u128,
        count_max: u32,
        entries: &mut Vec<ParkedEntry>,
    ) -> fjall::Result<bool> {
        if self.turn.parked {
            self.flush()?; // the tree does not see this turn's deliveries yet
        }
        let mut more = false;
        for class in CLASSES {
            more |= self.unpark_from(account, class, count_max, entries)?;
        }
        self.counters.unparked += entries.len() as u64;
        Ok(more)
    }

    fn unpark_from(
        &mut self,
        account: u128,
        class: u64,
        count_max: u32,
        entries: &mut Vec<ParkedEntry>,
    ) -> fjall::Result<bool> {
        let Some(shelf) = self.shelves.get_mut(&(account, class)) else { return Ok(false) };
        while entries.len() < count_max as usize {
            let Some(id) = shelf.take_returned() else { break };
            if let Some(value) = self.parked_rows.get(parked_key(account, id))? {
                entries.push(ParkedEntry { parked: ParkedId(id), pdu: pdu_of(&value).to_vec() });
            }
        }
        let wanted = count_max as usize - entries.len();
        let range = parked_key(account, shelf.cursor())..=parked_key(account, class | !BULK);
        for row in self.parked_rows.range(range).take(wanted) {
            let (key, value) = row.into_inner()?;
            let id = number_at(&key, ACCOUNT);
            shelf.hand_out(id);
            entries.push(ParkedEntry { parked: ParkedId(id), pdu: pdu_of(&value).to_vec() });
        }
        if entries.len() < count_max as usize {
            shelf.exhaust();
        }
        Ok(shelf.waiting() > 0)
    }

    fn release(&mut self, account: u128, id: u64) {
        let name = shelf_of(account, id);
        let Some(shelf) = self.shelves.get_mut(&name) else { return };
        if !shelf.release(id) {
            if self.reopened {
                self.release_from_before(account, id);
            }
        } else {
            if id < shelf.head() {
                self.untidy.insert(name);
            } else {
                self.turn.batch.remove(&self.parked_rows, parked_key(account, id)); // or a restart hands it out again
                self.counters.cleared += 1;
            }
            self.turn.shelves.insert(name);
            self.counters.released += 1;
            self.counters.parked_now -= 1;
        }
    }

    fn sweep_recent(&mut self, now: u32, budget: usize) -> fjall::Result<()> {
        let oldest = now.saturating_sub(self.limits.time_to_live_seconds);
        for _ in 0..budget {
            let Some(taken) = self.recent.take_oldest_if(|found| found.submitted_at < oldest) else { break };
            if !self.turn.is_born_here(taken.sequence) {
                self.turn.batch.remove(&self.recent_rows, taken.sequence.to_be_bytes());
            }
            self.counters.correlations_expired += 1;
        }
        Ok(())
    }

    fn sweep_old(&mut self, now: u32, budget: usize) -> fjall::Result<()> {
        if !self.has_old {
            return Ok(());
        }
        let oldest = now.saturating_sub(self.limits.time_to_live_seconds);
        let from = self.sweep.old.take().unwrap_or_else(Slice::empty);
        let (from_the_start, mut is_empty) = (from.is_empty(), self.turn.old.is_empty());
        for row in self.old_rows.range(from..).take(budget.div_ceil(OLD_SHARE)) {
            is_empty = false;
            let (key, value) = row.into_inner()?;
            let (left, over): (Vec<_>, Vec<_>) =
                recent::list_of(&value).partition(|found| found.submitted_at >= oldest);
            if (!over.is_empty() || left.is_empty()) && !self.turn.old.contains_key(&key) {
                let left = (!left.is_empty()).then(|| recent::pack_list(&left));
                self.turn.old.insert(key.clone(), left);
                self.counters.open_old = self.counters.open_old.saturating_sub(over.len() as u64);
                self.counters.correlations_expired += over.len() as u64;
            }
            self.sweep.old = Some([key.as_ref(), &[0]].concat().into()); // the next key after this one
        }
        if from_the_start && is_empty {
            (self.has_old, self.counters.open_old) = (false, 0);
        }
        Ok(())
    }

    fn sweep_orphans(&mut self, now: u32, budget: usize) -> fjall::Result<()> {
        let oldest = now.saturating_sub(self.limits.time_to_live_seconds);
        if self.counters.orphans_now == 0 {
            return Ok(());
        }
        for row in self.orphan_rows.iter().take(budget) {
            let (key, value) = row.into_inner()?;
            if time_of(&value) >= oldest {
                break;
            }
            self.turn.batch.remove(&self.orphan_rows, key);
            self.counters.orphans_expired += 1;
            self.counters.orphans_now = self.counters.orphans_now.saturating_sub(1);
        }
        // What was swept is still visible until the commit: a second sweep in this turn would count it twice.
        self.flush()
    }

    /// Looks at one shelf's oldest deliveries; the next sweep looks at the next shelf.
    fn sweep_parked(&mut self, now: u32, budget: usize) -> fjall::Result<()> {
        let after = self.sweep.shelf.map_or(Bound::Unbounded, Bound::Excluded);
        let next =
            self.shelves.range((after, Bound::Unbounded)).next().or_else(|| self.shelves.iter().next());
        let Some((&name, _)) = next else { return Ok(()) };
        let (account, class) = name;
        self.sweep.shelf = Some(name);
        self.flush()?;
        let oldest = now.saturating_sub(self.limits.time_to_live_seconds);
        let Some(shelf) = self.shelves.get_mut(&name) else { return Ok(()) };
        let range = parked_key(account, shelf.head())..=parked_key(account, class | !BULK);
        for row in self.parked_rows.range(range).take(budget) {
            let (key, value) = row.into_inner()?;
            if time_of(&value) >= oldest {
                break;
            }
            shelf.expire(number_at(&key, ACCOUNT));
            self.turn.batch.remove(&self.parked_rows, key);
            self.turn.shelves.insert(name);
            self.counters.parked_expired += 1;
            self.counters.parked_now -= 1;
        }
        self.flush()
    }

    /// Writes what the turn gathered.
    fn flush(&mut self) -> fjall::Result<()> {
        let mut turn = std::mem::replace(&mut self.turn, Turn::new(&self.database));
        for (sequence, key) in turn.born.drain(..) {
            let mut packed = [0; KEY_MAX];
            let packed = recent::pack_key(&key, &mut packed);
            if let Some(record) = self.recent.record_of(packed, sequence) {
                turn.batch.insert(&self.recent_rows, sequence.to_be_bytes(), record.clone());
            }
        }
        for (key, change) in turn.old {
            match change {
                Some(value) => turn.batch.insert(&self.old_rows, key, value),
                None => turn.batch.remove(&self.old_rows, key),
            }
        }
        for (number, row) in turn.early {
            turn.batch.insert(&self.early_rows, number.to_be_bytes(), row);
        }
        for name in turn.shelves {
            self.write_shelf(&mut turn.batch, name);
        }
        self.turn.born = turn.born; // empty; its memory is used again
        if turn.batch.is_empty() {
            return Ok(());
        }
        turn.batch.durability(Some(self.persist)).commit()?;
        self.counters.commits += 1;
        Ok(())
    }

    /// The row that lets a restart go on without reading every delivery; an empty and tidy shelf has none.
    fn write_shelf(&mut self, batch: &mut OwnedWriteBatch, name: ShelfName) {
        let Some(shelf) = self.shelves.get(&name) else { return };
        if shelf.count() == 0 && shelf.is_clear() {
            batch.remove(&self.shelf_rows, shelf_key(name));
            self.sequence = self.sequence.max(shelf.next() & !BULK);
            self.shelves.remove(&name);
            self.untidy.remove(&name);
            return;
        }
        if shelf.count() == 0 {
            self.untidy.insert(name); // however its head came to move
        }
        let mut row: ShelfRow = [0; 32];
        row[..8].copy_from_slice(&shelf.head().to_be_bytes());
        row[8..16].copy_from_slice(&shelf.next().to_be_bytes());
        row[16..24].copy_from_slice(&shelf.count().to_be_bytes());
        row[24..].copy_from_slice(&shelf.cleared().to_be_bytes());
        batch.insert(&self.shelf_rows, shelf_key(name), with_head(0, &[], &row));
    }

    fn read_open(&mut self) -> fjall::Result<()> {
        self.restore().and_then(|()| self.restore_early())
    }

    fn restore(&mut self) -> fjall::Result<()> {
        for row in self.recent_rows.iter() {
            let (key, record) = row.into_inner()?;
            check_version(&record)?;
            let sequence = number_at(&key, 0);
            self.sequence = self.sequence.max(sequence);
            self.recent.push(sequence, record);
        }
        for row in self.shelf_rows.iter() {
            let (key, value) = row.into_inner()?;
            if Embedded::is_tide(&key) || *key == *older::FORMAT_KEY {
                continue;
            }
            check_version(&value)?;
            let row = pdu_of(&value);
            let mut shelf = Shelf::restore(number_at(row, 0), number_at(row, 8), number_at(row, 16));
            if row.len() >= size_of::<ShelfRow>() {
                shelf = shelf.with_rows_from(number_at(row, 24));
            }
            if !shelf.is_clear() {
                self.untidy.insert(shelf_name(&key));
            }
            self.sequence = self.sequence.max(shelf.next() & !BULK);
            self.counters.parked_now += shelf.count();
            self.shelves.insert(shelf_name(&key), shelf);
        }
        self.counters.orphans_now = self.orphan_rows.len()? as u64; // bounded by `orphans_max`
        if let Some(last) = self.orphan_rows.last_key_value().map(Guard::key) {
            self.sequence = self.sequence.max(number_at(&last?, 0));
        }
        if let Some(first) = self.old_rows.first_key_value().map(Guard::value) {
            check_version(&first?)?;
            self.has_old = true;
            self.counters.open_old = (self.old_rows.approximate_len() as u64).max(1);
        }
        Ok(())
    }

    /// After an error of the library nothing that is written can be relied upon: everything is refused from now on.
    fn outage(&mut self, error: &fjall::Error) -> StoreOutage {
        self.counters.outages += 1;
        if !self.away {
            tracing::error!(directory = %self.limits.directory.display(), %error, "the store failed: everything is refused until its files work again");
        }
        self.away = true;
        StoreOutage::Away
    }
}

impl Turn {
    fn new(database: &Database) -> Turn {
        Turn {
            batch: database.batch(),
            born: Vec::new(),
            old: BTreeMap::new(),
            early: BTreeMap::new(),
            shelves: BTreeSet::new(),
            parked: false,
        }
    }

    /// Numbers only grow, so what was born in this turn is at or above its first.
    fn is_born_here(&self, sequence: u64) -> bool {
        self.born.first().is_some_and(|(first, _)| sequence >= *first)
    }
}

fn keyspace_options(read_by_key: bool) -> KeyspaceCreateOptions {
    let options = KeyspaceCreateOptions::default()
        .max_memtable_size(MEMTABLE_BYTES)
        .manual_journal_persist(true)
        // The last file of a merge is synced while all reads and writes wait: small files, short waits.
        .compaction_strategy(Arc::new(Leveled::default().with_table_target_size(MEMTABLE_BYTES)))
        // Records of some forty random bytes do not shrink; packing them costs more than it saves.
        .data_block_compression_policy(CompressionPolicy::disabled())
        .index_block_compression_policy(CompressionPolicy::disabled());
    if read_by_key { options } else { options.filter_policy(FilterPolicy::disabled()) }
}
