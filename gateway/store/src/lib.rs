//! The store: correlations of messages with receipts, deliveries that wait for their customer, and orphans.
//!
//! ```text
//!   shard 0 --ops--> +---------------------+      one plain thread, not pinned:
//!           <answers-| service             |      takes what is queued, applies it to the store,
//!   shard 1 --ops--> |   Store::turn       |      commits once, then answers
//!           <answers-|   Embedded | Redis  |
//!                    +---------------------+
//! ```
//!
//! What it guarantees (`contract.rs` shows it on every variant):
//! * Operations of one batch take effect in order; every operation that has an answer gets exactly one.
//! * An answer leaves after its turn was committed, so `Remembered`, `Parked` and `OrphanParked` name entries that
//!   survive what [`Durability`] says. When the commit fails they say `Away` instead, and so does everything after until the store works again.
//! * The embedded store goes on by itself once files that failed work again. A mark beside its directory tells when it was
//!   lost, or came back shorter: it refuses then, or says so where a power cut explains it.
//! * Nothing is dropped silently: parked deliveries are refused with `Full` (the vendor keeps them); the oldest orphan or early
//!   receipt that gives way to a new one, and what outlives its time, are counted.
//! * Every collection is bounded by [`StoreOptions`].
#![forbid(unsafe_code)]

mod desk;
mod embedded;
mod housekeeping;
pub mod lease;
mod mark;
mod memory;
mod older;
mod pace;
mod recent;
mod redis;
mod rows;
mod service;
mod shelf;
pub mod spool;
mod sweep_clock;

#[cfg(test)]
mod contract;
#[cfg(test)]
mod crash;

/// Files that the embedded store or the spool keeps open to read from. Each read of another one opens it anew; a store of
/// the largest size has some hundred, of which a few are read often.
pub(crate) const FILES_CACHED: usize = 128;
/// Descriptors that the embedded store or the spool has at most: what it keeps open, journals, and what it writes.
pub const STORE_FILES_MAX: u64 = FILES_CACHED as u64 + 32;
/// Connections to Redis that a node has at most.
pub const REDIS_CONNECTIONS: u64 = 8;

pub use mark::{check, salvage};
pub use older::OlderNames;
pub use redis::{RedisOptions, WhenFull};
pub use service::STORE_MAILBOX_LENGTH;
pub use service::{StorePort, StoreThread, start};
pub use spool::Report;
pub use sweep_clock::trust_clock;

use relay::{StoreAnswer, StoreOp, StoreOutage};
use rows::open_error;
use std::path::PathBuf;
use std::time::Duration;

/// A correlation held in memory with its places in the tables, octets.
const RECENT_ENTRY_OCTETS: u64 = 214;

/// What an entry survives once it is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// Written to the operating system: survives the end of the process by any means, kill -9 included; not a power
    /// cut, a crash of the kernel or the loss of the disk.
    #[default]
    Process,
    /// Synced to the disk as well: survives those too, if the disk honours the sync. One sync for every turn.
    Disk,
}

/// Bounds and promises of a store.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Directory of the embedded store; made when it is missing. One process at a time.
    pub directory: PathBuf,
    /// What an answered entry survives.
    pub durability: Durability,
    /// Age at which a correlation, a parked delivery or an orphan is given up, seconds.
    pub time_to_live_seconds: u32,
    /// Newest open correlations held in memory, about 200 bytes each; older ones are moved to disk.
    pub recent_max: usize,
    /// Parked deliveries, all accounts together; one more is refused with `Full`.
    pub parked_max: u64,
    /// Parked deliveries of one account, so that one absent customer does not use up the room of all.
    pub parked_account_max: u64,
    /// Parked deliveries handed out in one second, on this node; 0 = as fast as sessions take them.
    pub release_rate: u32,
    /// Orphans; one more takes the place of the oldest.
    pub orphans_max: u64,
    /// How long a receipt waits for its message before it is an orphan, seconds.
    pub early_wait_seconds: u32,
    /// Receipts that wait so; one more takes the place of the oldest. [`embedded::EARLY_ENTRY_OCTETS`] each in memory.
    pub early_max: u64,
    /// What an older version of the program called customers and vendors.
    pub older: OlderNames,
    /// Redis instead of the directory. The bounds of parked deliveries and orphans are then those of all nodes.
    pub redis: Option<RedisOptions>,
}

impl StoreOptions {
    /// The defaults in a directory: 72 hours, a million of each, 100,000 orphans.
    pub fn new(directory: PathBuf) -> StoreOptions {
        StoreOptions {
            directory,
            durability: Durability::Process,
            time_to_live_seconds: Duration::from_secs(72 * 3600).as_secs() as u32,
            recent_max: 1_000_000,
            parked_max: 1_000_000,
            parked_account_max: 1_000_000,
            release_rate: 60_000,
            orphans_max: 100_000,
            early_wait_seconds: 60,
            early_max: 100_000,
            older: OlderNames::default(),
            redis: None,
        }
    }
}

impl StoreOptions {
    /// The most memory that a store with these options takes, octets.
    pub fn octets_max(&self) -> u64 {
        match &self.redis {
            Some(options) => options.ring_max as u64 * redis::RING_ENTRY_OCTETS,
            None => {
                self.recent_max as u64 * RECENT_ENTRY_OCTETS
                    + self.early_max * embedded::EARLY_ENTRY_OCTETS
                    + embedded::CACHES_OCTETS
            }
        }
    }
}

/// Why a store could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Another process uses the directory.
    InUse(PathBuf),
    /// The address of Redis is none.
    Address(String),
    /// Redis holds entries of a version that knew customers by a hash: host and port, prefix.
    OlderRedis(String, String),
    /// The entries were written by a version of the program that this one does not know.
    Version {
        /// The directory.
        directory: PathBuf,
        /// The version byte that was found.
        found: u8,
    },
    /// What was on disk once is damaged or missing. Nothing was changed.
    Damaged {
        /// The directory.
        directory: PathBuf,
        /// Which file, where, what.
        what: String,
    },
    /// The directory or its files do not work.
    Broken {
        /// The directory.
        directory: PathBuf,
        /// What the library says.
        reason: String,
    },
}

impl std::error::Error for OpenError {}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OpenError::InUse(directory) => write!(
                f,
                "state directory {} is in use by another process; stop it or give this node a directory of its own",
                directory.display()
            ),
            OpenError::Address(reason) => write!(f, "the address of Redis is wrong: {reason}"),
            OpenError::Version { directory, found } => write!(
                f,
                "state directory {} holds entries of version {found}, which this program does not know; use the program that wrote them",
                directory.display()
            ),
            OpenError::Damaged { directory, what } => {
                let state = directory.parent().unwrap_or(directory).display();
                write!(
                    f,
                    "{} is damaged, entries that were acknowledged may be lost: {what}; nothing was changed. \
                     `gateway store check {state}` tells more, `gateway store salvage {state}` goes on with what can be read",
                    directory.display()
                )
            }
            OpenError::OlderRedis(place, prefix) => {
                write!(f, "Redis at {place}: {}", redis::older_advice(prefix))
            }
            OpenError::Broken { directory, reason } => {
                write!(f, "state directory {} cannot be opened: {reason}", directory.display())
            }
        }
    }
}

/// Plain counters and gauges of a store; counters grow from 0 at its opening.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct StoreCounters {
    /// Correlations taken.
    pub remembered: u64,
    /// Look-ups that found one.
    pub found: u64,
    /// Look-ups that found none.
    pub missed: u64,
    /// Correlations dropped by request.
    pub forgotten: u64,
    /// Of those, the ones that were dropped before they were ever written.
    pub annihilated: u64,
    /// Correlations given up by age.
    pub correlations_expired: u64,
    /// Correlations moved from memory to disk because `recent_max` was reached.
    pub demoted: u64,
    /// Deliveries parked.
    pub parked: u64,
    /// Parked deliveries handed out.
    pub unparked: u64,
    /// Parked deliveries that their customer took.
    pub released: u64,
    /// Parked deliveries that came back.
    pub returned: u64,
    /// Deliveries refused because the room was full.
    pub parked_full: u64,
    /// Parked deliveries given up by age.
    pub parked_expired: u64,
    /// Orphans kept.
    pub orphans: u64,
    /// Orphans dropped, the oldest, because the room was full.
    pub orphans_full: u64,
    /// Receipts kept until their message comes.
    pub early: u64,
    /// Of those, the ones whose message came.
    pub early_served: u64,
    /// Of those, the ones that became orphans.
    pub early_expired: u64,
    /// Of those, the oldest, dropped because the room was full.
    pub early_full: u64,
    /// Gauge: receipts that wait for their message.
    pub early_now: u64,
    /// Orphans given up by age.
    pub orphans_expired: u64,
    /// Turns committed.
    pub commits: u64,
    /// Operations that failed because the store does not work.
    pub outages: u64,
    /// Gauge: open correlations in memory (all of them are on disk too).
    pub open_recent: u64,
    /// Gauge: open correlations on disk only; approximate.
    pub open_old: u64,
    /// Gauge: deliveries parked now.
    pub parked_now: u64,
    /// Gauge: orphans now.
    pub orphans_now: u64,
    /// Gauge: 1 when the store does not work.
    pub away: u64,
    /// Redis: correlations kept in memory because it was away or full.
    pub ring_kept: u64,
    /// Of those, the ones written to it later.
    pub ring_flushed: u64,
    /// Correlations lost because that memory was used up.
    pub ring_full: u64,
    /// Redis: connections made.
    pub reconnects: u64,
    /// Redis: accounts of which another node said that something was parked.
    pub hints: u64,
    /// Redis: time spent waiting for its replies to turns, microseconds; with `commits` it gives the mean.
    pub round_trips_micros: u64,
    /// Gauge: correlations that wait for Redis in memory.
    pub ring: u64,
    /// Redis: correlations that stay in it until they are too old: they were to be dropped while it was away, and the
    /// memory for that was used up.
    pub forgets_lost: u64,
    /// Pages of parked deliveries handed out at once because too many waited for their pace.
    pub unpaced: u64,
    /// Embedded: rows of deliveries that were taken, removed; behind `released` while some of this run are left.
    pub cleared: u64,
    /// Gauge: 1 when the embedded store came back with less than its mark said, as a power cut may leave it.
    pub behind_mark: u64,
    /// Gauge: parked deliveries of Redis that this node holds.
    pub lent: u64,
    /// Redis: 1 when it may drop keys because its memory is used up.
    pub redis_evicts: u64,
    /// Redis: 1 when it keeps no log of what is written.
    pub redis_forgets: u64,
    /// Gauge: seconds by which this node's clock is apart from the one that the store goes by; 0 where they agree.
    pub clock_apart: u64,
    /// Correlations whose vendor gave their id to another open message.
    pub given_again: u64,
    /// Of those, the oldest of their id that gave way: more than [`relay::SAME_ID_MAX`] were open.
    pub displaced: u64,
}

impl StoreCounters {
    fn count_finding(&mut self, found: &relay::Finding) {
        let count = if found.fits().is_some() { &mut self.found } else { &mut self.missed };
        *count += 1;
    }
}

/// Operations of one shard, and room for their answers.
#[derive(Default)]
pub struct Batch {
    /// In the order they were asked; empty after the turn.
    pub ops: Vec<StoreOp>,
    /// In the order of the operations; the caller empties it.
    pub answers: Vec<StoreAnswer>,
}

/// A store: closed, because each variant must pass the one contract.
pub enum Store {
    /// A log-structured tree in the state directory.
    Embedded(Box<embedded::Lasting>),
    /// Shared by several nodes.
    Redis(Box<redis::Redis>),
    /// Plain maps; nothing survives. For tests and as the model of the contract.
    Memory(Box<memory::Memory>),
}

impl Store {
    /// Opens (or makes) the embedded store. Reads what is open: about a second for a million correlations.
    pub fn embedded(options: &StoreOptions) -> Result<Store, OpenError> {
        embedded::Lasting::open(options).map(|store| Store::Embedded(Box::new(store)))
    }

    /// The store in Redis, connected if that is to be had within half a second; else it goes on trying. Only a wrong
    /// address is an error.
    pub fn redis(options: &StoreOptions, redis: &RedisOptions) -> Result<Store, OpenError> {
        redis::Redis::open(options, redis).map(|store| Store::Redis(Box::new(store)))
    }

    /// An empty store in memory.
    pub fn memory(options: &StoreOptions) -> Store {
        Store::Memory(Box::new(memory::Memory::new(options)))
    }

    /// Does all operations of all batches, makes them durable, and only then leaves the answers. `now` is seconds
    /// since 1970 UTC. Bounded by the sum of the batches; the caller bounds those.
    pub fn turn(&mut self, now: u32, batches: &mut [Batch]) {
        if let Store::Redis(store) = self {
            return store.turn(now, batches);
        }
        let starts: Vec<usize> = batches.iter().map(|batch| batch.answers.len()).collect();
        for batch in batches.iter_mut() {
            for op in batch.ops.drain(..) {
                match self {
                    Store::Embedded(store) => store.apply(now, op, &mut batch.answers),
                    Store::Memory(store) => store.apply(now, op, &mut batch.answers),
                    Store::Redis(_) => {} // done above, as a whole
                }
            }
        }
        if self.commit().is_err() {
            for (batch, start) in batches.iter_mut().zip(starts) {
                batch.answers[start..].iter_mut().for_each(spoil);
            }
        }
    }

    /// Gives up what is older than the time to live, looking at no more than `budget` entries. Durable with the next
    /// turn; an entry that comes back after a crash is given up again.
    pub fn sweep(&mut self, now: u32, budget: usize) {
        self.look_after_early(now);
        self.sweep_aged(now, budget);
    }

    /// The part of [`Store::sweep`] that is about early receipts, whose time is a minute or so.
    pub(crate) fn look_after_early(&mut self, now: u32) {
        if let Store::Embedded(store) = self {
            store.look_after_early(now);
        }
    }

    /// The rest of it; of stores other than the embedded one all of it.
    pub(crate) fn sweep_aged(&mut self, now: u32, budget: usize) {
        match self {
            Store::Embedded(store) => store.sweep(now, budget),
            Store::Memory(store) => store.sweep(now, budget),
            Store::Redis(store) => store.sweep(now),
        }
    }

    /// What every shard shall hear, since the last time.
    fn take_words(&mut self) -> Vec<redis::Word> {
        match self {
            Store::Embedded(store) => store.take_words(),
            Store::Memory(store) => store.take_words(),
            Store::Redis(store) => store.take_words(),
        }
    }

    /// There is work that can wait for a better moment: see [`Store::tidy`].
    fn is_untidy(&self) -> bool {
        matches!(self, Store::Embedded(store) if store.is_untidy())
    }

    /// Does a little of the work that could wait; durable with the next turn, done again after a crash.
    fn tidy(&mut self) {
        if let Store::Embedded(store) = self {
            store.tidy();
        }
    }

    /// Counters and gauges as they stand.
    pub fn counters(&self) -> StoreCounters {
        match self {
            Store::Embedded(store) => store.counters(),
            Store::Memory(store) => store.counters(),
            Store::Redis(store) => store.counters(),
        }
    }

    fn commit(&mut self) -> Result<(), StoreOutage> {
        match self {
            Store::Embedded(store) => store.commit(),
            Store::Memory(store) => store.commit(),
            Store::Redis(_) => Ok(()),
        }
    }
}

/// First byte of every stored value. What earlier versions wrote is written anew when the store is opened
/// (`embedded/older.rs`): correlations of version 1 have no flags, those of version 2 no addresses, and up to version 3
/// customers and vendors are hashes of 32 bits.
const VERSION: u8 = 4;

/// What a commit would have made true, is not.
fn spoil(answer: &mut StoreAnswer) {
    match answer {
        StoreAnswer::Remembered { outcome, .. }
        | StoreAnswer::Parked { outcome, .. }
        | StoreAnswer::EarlyKept { outcome, .. }
        | StoreAnswer::OrphanParked { outcome, .. } => *outcome = Err(StoreOutage::Away),
        StoreAnswer::Found { .. }
        | StoreAnswer::Unparked { .. }
        | StoreAnswer::ParkedFor { .. }
        | StoreAnswer::AskAgain
        | StoreAnswer::Room { .. } => {}
    }
}
