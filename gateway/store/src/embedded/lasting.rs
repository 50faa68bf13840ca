//! The embedded store as it lasts: opened anew after its files failed, with a mark outside that tells when it was lost.
//!
//! The library is poisoned by its first error, such as a full disk or no descriptor. So it is closed and opened anew, once
//! a second, until that succeeds; meanwhile everything is answered with `Away`, and what must not be forgotten (that a
//! receipt was delivered, that a parked delivery was taken) waits in memory.

use super::Embedded;
use crate::mark::{Keeper, StoreMark};
use crate::redis::Word;
use crate::rows::parked_key;
use crate::shelf::shelf_of;
use crate::{OpenError, StoreCounters, StoreOptions};
use relay::{StoreAnswer, StoreOp, StoreOutage};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How often a store that failed is opened anew.
const REOPEN_EVERY: Duration = Duration::from_secs(1);
/// How often the mark moves on: a loss of what is younger is not noticed.
const TIDE_EVERY: Duration = Duration::from_secs(1);
/// Words kept while the store does not work, about 100 bytes each: ten minutes at 1,700 receipts a second. What is over it
/// stays in the store until it is too old, and is counted.
const OWED_MAX: usize = 1_000_000;
/// Of them, said to the store in one turn once it works: a batch of less than a megabyte.
const OWED_STEP: usize = 10_000;

/// See the module.
pub struct Lasting {
    options: StoreOptions,
    /// None while it cannot be opened.
    tree: Option<Embedded>,
    keeper: Keeper,
    tide: Tide,
    /// Of this turn: to be said again if it cannot be committed.
    spoken: Vec<StoreOp>,
    owed: VecDeque<StoreOp>,
    /// For every shard, from a tree that was closed.
    words: Vec<Word>,
    /// As they were when the tree was closed.
    counters: StoreCounters,
    reopen_at: Instant,
}

/// The number that is written into the store, and then into the mark.
struct Tide {
    number: u64,
    /// Is in a batch that may not be committed yet.
    is_written: bool,
    /// Commits when it was written.
    commits: u64,
    moved_at: Instant,
}

impl Lasting {
    /// Opens or makes the store.
    ///
    /// # Errors
    /// Also when its mark says that something is missing.
    pub(crate) fn open(options: &StoreOptions) -> Result<Lasting, OpenError> {
        let mark = StoreMark::load(&options.directory);
        mark.check_files(&options.directory)?;
        let mut tree = Embedded::open(options)?;
        let stored = tree.tide().map_err(|error| crate::open_error(&options.directory, &error))?;
        tree.counters.behind_mark = u64::from(mark.check_tide(stored, &options.directory)?);
        let number = stored.max(mark.tide());
        let keeper = Keeper::start(&options.directory, options.durability);
        let now = Instant::now();
        let tide = Tide { number, is_written: false, commits: 0, moved_at: now };
        Ok(Lasting {
            options: options.clone(),
            tree: Some(tree),
            keeper,
            tide,
            spoken: Vec::new(),
            owed: VecDeque::new(),
            words: Vec::new(),
            counters: StoreCounters::default(),
            reopen_at: now,
        })
    }

    /// As [`Embedded::apply`].
    pub(crate) fn apply(&mut self, now: u32, op: StoreOp, answers: &mut Vec<StoreAnswer>) {
        let is_owed = word(&op);
        // Until what is owed was said nothing overtakes it: a later entry may have the name of one that is to be forgotten.
        let is_ready = self.owed.is_empty();
        match self.tree.as_mut().filter(|tree| is_ready && !tree.away) {
            Some(tree) => {
                self.spoken.extend(is_owed);
                tree.apply(now, op, answers);
            }
            None => {
                self.counters.outages += 1;
                is_owed.into_iter().for_each(|op| self.owe(op));
                answers.extend(op.away());
            }
        }
    }

    fn owe(&mut self, op: StoreOp) {
        match self.owed.len() < OWED_MAX {
            true => self.owed.push_back(op),
            false => self.counters.forgets_lost += 1,
        }
    }

    /// As [`Embedded::commit`].
    pub(crate) fn commit(&mut self) -> Result<(), StoreOutage> {
        let committed = match &mut self.tree {
            Some(tree) => tree.commit(),
            None => Err(StoreOutage::Away),
        };
        let spoken = std::mem::take(&mut self.spoken);
        if committed.is_err() {
            let room = OWED_MAX.saturating_sub(self.owed.len());
            self.counters.forgets_lost += spoken.len().saturating_sub(room) as u64;
            spoken.into_iter().take(room).rev().for_each(|op| self.owed.push_front(op));
        } else {
            self.spoken = spoken; // its memory is used again
            self.spoken.clear();
        }
        committed
    }

    /// As [`Embedded::look_after_early`]; also opens anew what failed, and moves the tide.
    pub(crate) fn look_after_early(&mut self, now: u32) {
        if self.tree.as_ref().is_none_or(|tree| tree.away) {
            return self.reopen();
        }
        if !self.owed.is_empty() {
            return self.say_owed(now);
        }
        self.move_tide();
        if let Some(tree) = &mut self.tree {
            tree.look_after_early(now);
        }
    }

    /// As [`Embedded::sweep`].
    pub(crate) fn sweep(&mut self, now: u32, budget: usize) {
        if let Some(tree) = self.tree.as_mut().filter(|tree| !tree.away) {
            tree.sweep(now, budget);
        }
    }

    fn reopen(&mut self) {
        if Instant::now() < self.reopen_at {
            return;
        }
        if let Some(mut tree) = self.tree.take() {
            self.words.extend(tree.take_words());
            self.counters = tree.counters(); // and it is closed here
        }
        self.reopen_at = Instant::now() + REOPEN_EVERY;
        match Embedded::open(&self.options) {
            Ok(mut tree) => {
                let now_there = tree.counters;
                let StoreCounters { parked_now, orphans_now, open_old, .. } = now_there;
                tree.counters = StoreCounters { parked_now, orphans_now, open_old, ..self.counters };
                tree.reopened = true;
                self.tide.is_written = false; // it may have been in the batch that failed
                self.tree = Some(tree);
                let directory = self.options.directory.display();
                tracing::warn!(%directory, owed = self.owed.len(), "the store works again");
            }
            Err(error) => tracing::debug!(%error, "the store cannot be opened yet"),
        }
    }

    /// Some of what was said while it did not work. What cannot be committed is owed again.
    fn say_owed(&mut self, now: u32) {
        let Some(tree) = &mut self.tree else { return };
        let mut answers = Vec::new();
        for op in self.owed.drain(..self.owed.len().min(OWED_STEP)) {
            self.spoken.extend(word(&op));
            tree.apply(now, op, &mut answers);
        }
        debug_assert!(answers.is_empty(), "such words have no answer");
        let _ = self.commit(); // a failure is kept by itself
    }

    /// Once a second where something was committed: another number into the store, and, once that is committed, into the
    /// mark.
    fn move_tide(&mut self) {
        let Some(tree) = &mut self.tree else { return };
        let commits = tree.counters.commits;
        if self.tide.is_written && commits > self.tide.commits {
            self.tide.is_written = false;
            self.tide.commits = commits;
            self.keeper.keep(self.tide.number);
        }
        let is_due = self.tide.moved_at.elapsed() >= TIDE_EVERY && commits > self.tide.commits;
        if !self.tide.is_written && (is_due || self.tide.number == 0) {
            self.tide.number += 1;
            self.tide = Tide { is_written: true, commits, moved_at: Instant::now(), ..self.tide };
            tree.set_tide(self.tide.number);
        }
    }

    /// As [`Embedded::take_words`].
    pub(crate) fn take_words(&mut self) -> Vec<Word> {
        let mut words = std::mem::take(&mut self.words);
        self.tree.iter_mut().for_each(|tree| words.extend(tree.take_words()));
        words
    }

    /// As [`Embedded::is_untidy`].
    pub(crate) fn is_untidy(&self) -> bool {
        self.tree.as_ref().is_some_and(Embedded::is_untidy)
    }

    /// As [`Embedded::tidy`].
    pub(crate) fn tidy(&mut self) {
        self.tree.iter_mut().for_each(Embedded::tidy);
    }

    /// As [`Embedded::counters`].
    pub(crate) fn counters(&self) -> StoreCounters {
        match &self.tree {
            Some(tree) => {
                let counters = tree.counters();
                StoreCounters {
                    away: counters.away.max(u64::from(!self.owed.is_empty())),
                    outages: counters.outages.max(self.counters.outages),
                    forgets_lost: counters.forgets_lost.max(self.counters.forgets_lost),
                    ..counters
                }
            }
            None => StoreCounters { away: 1, ..self.counters },
        }
    }
}

/// What must not be forgotten while the store does not work, as it can be said again.
fn word(op: &StoreOp) -> Option<StoreOp> {
    match *op {
        StoreOp::Forget { key, gateway_id, submitted_at } => {
            Some(StoreOp::Forget { key, gateway_id, submitted_at })
        }
        StoreOp::Release { account, parked } => Some(StoreOp::Release { account, parked }),
        _ => None,
    }
}

/// The row that holds the tide, in the keyspace of shelves, whose own keys are of sixteen octets or more.
const TIDE_KEY: [u8; 1] = [b't'];

impl Embedded {
    fn tide(&self) -> fjall::Result<u64> {
        let row = self.shelf_rows.get(TIDE_KEY)?;
        Ok(row.as_deref().map_or(0, |row| crate::rows::number_at(row, 1)))
    }

    fn set_tide(&mut self, tide: u64) {
        let mut row = vec![crate::VERSION];
        row.extend_from_slice(&tide.to_be_bytes());
        self.turn.batch.insert(&self.shelf_rows, TIDE_KEY, row);
    }

    pub(super) fn is_tide(key: &[u8]) -> bool {
        key == TIDE_KEY
    }

    /// A delivery was taken that was handed out before the store was opened anew.
    pub(super) fn release_from_before(&mut self, account: u128, id: u64) {
        let key = parked_key(account, id);
        let name = shelf_of(account, id);
        let is_there = self.parked_rows.contains_key(key);
        match (is_there, self.shelves.get_mut(&name)) {
            // Below the head lie rows of what was taken before, to be removed later.
            (Ok(true), Some(shelf)) if id >= shelf.head() => {
                shelf.expire(id);
                self.turn.batch.remove(&self.parked_rows, key);
                self.turn.shelves.insert(name);
                self.counters.released += 1;
                self.counters.cleared += 1;
                self.counters.parked_now = self.counters.parked_now.saturating_sub(1);
            }
            (Ok(_), _) => {}
            (Err(error), _) => drop(self.outage(&error)),
        }
    }
}
