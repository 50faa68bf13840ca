//! Where records go: a memory of recent messages, files, PostgreSQL.
//!
//! ```text
//!   shard i ── RecordWord (records, questions) ──▶ records thread ──▶ lane ──▶ cdr-file: NDJSON, rotated
//!           ◀── QueryAnswer ───────────────────────     │  ▲     └──▶ lane ──▶ cdr-postgres: COPY in batches
//!                                                    recent └── questions of the HTTP port
//! ```
//!
//! A lane is the bounded queue of one sink. While a lane is full the thread takes nothing from the shards (policy
//! `refuse`: their mailboxes fill, then they refuse what would leave a record) or gives up what finds no room there and
//! counts it (policy `drop`). A sink keeps its batch until it is written, however often that takes.

#[cfg(test)]
mod contract;
mod file;
mod lane;
mod line;
mod postgres;
mod recent;
mod scan;
mod service;

pub use file::FileOptions;
pub use lane::SinkCounters;
pub use line::Line;
pub use postgres::PostgresOptions;
pub(crate) use recent::Key;
pub(crate) use scan::{Archive, Span};
pub use service::{RecordsDesk, RecordsThread, SinkView, start};

use arc_swap::ArcSwap;
use file::FileSink;
use postgres::PostgresSink;
use relay::{AccountId, Record, RecordKind, Snapshot, VendorId};
use shard::WhenFull;
use smpp::text::message_id::IdRule;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Digits at the end of an address that masking hides: what is left still tells the country and the network.
const MASKED_DIGITS: usize = 4;

/// What the records' part of a node is built from.
#[derive(Clone, Debug)]
pub struct CdrOptions {
    /// Number of the node.
    pub node: u8,
    /// What to do when a lane is full.
    pub when_full: WhenFull,
    /// Records that may wait for each sink; about [`RECORD_OCTETS`] each.
    pub queue_max: usize,
    /// Messages remembered for looking up; about [`recent_octets`] each. 0 = none.
    pub recent_max: usize,
    /// Whether the last digits of addresses are hidden, everywhere.
    pub mask_addresses: bool,
    /// The files, if wanted.
    pub file: Option<FileOptions>,
    /// The database, if wanted.
    pub postgres: Option<PostgresOptions>,
}

/// What a record takes in a queue, octets.
pub const RECORD_OCTETS: usize = size_of::<Record>();

/// What one remembered message takes, octets.
pub const fn recent_octets() -> usize {
    recent::ENTRY_OCTETS
}

impl CdrOptions {
    /// The most that all of it takes with so many shards, octets.
    pub fn octets_max(&self, shards: u64) -> u64 {
        let sinks = u64::from(self.file.is_some()) + u64::from(self.postgres.is_some());
        let word = (size_of::<shard::RecordWord>() + size_of::<shard::QueryAnswer>()) as u64;
        let per_shard = word * (shard::RECORD_MAILBOX + shard::WAITING_RECORDS_MAX) as u64;
        // A queue that grew may hold twice what is in it.
        sinks * (2 * self.queue_max + service::BATCH_MAX) as u64 * RECORD_OCTETS as u64
            + self.recent_max as u64 * recent_octets() as u64
            + shards * per_shard
    }
}

/// The names behind the numbers, as configurations have them since the start: records are written after their customer or
/// vendor was taken away, too. Clones are the same names.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<ArcSwap<NameTables>>);

#[derive(Clone, Debug, Default)]
struct NameTables {
    customers: BTreeMap<AccountId, Arc<str>>,
    vendors: BTreeMap<VendorId, (Arc<str>, IdRule)>,
}

/// Names kept, of those that are not configured any more as well; some 100 octets each. Over it they are forgotten.
const NAMES_MAX: usize = 1 << 20;

impl Names {
    /// Those of a snapshot.
    pub fn of(snapshot: &Snapshot) -> Names {
        let names = Names::default();
        names.follow(snapshot);
        names
    }

    /// Learns those of another snapshot. Costs a copy of all; nobody waits for it.
    pub fn follow(&self, snapshot: &Snapshot) {
        let mut tables = NameTables::clone(&self.0.load());
        if tables.customers.len() + tables.vendors.len() > NAMES_MAX {
            tables = NameTables::default();
        }
        let accounts = snapshot.accounts().iter();
        tables.customers.extend(accounts.map(|account| (account.id, Arc::from(&*account.name))));
        let vendors = snapshot.vendors().iter();
        tables.vendors.extend(vendors.map(|vendor| (vendor.id, (Arc::from(&*vendor.name), vendor.id_rule))));
        self.0.store(Arc::new(tables));
    }

    /// A customer that was never configured since the start has only its number.
    fn customer(&self, id: AccountId) -> String {
        let tables = self.0.load();
        tables.customers.get(&id).map_or_else(|| id.to_string(), |name| name.to_string())
    }

    fn vendor(&self, id: VendorId) -> String {
        let tables = self.0.load();
        tables.vendors.get(&id).map_or_else(|| id.to_string(), |(name, _)| name.to_string())
    }

    fn id_rule(&self, id: VendorId) -> IdRule {
        self.0.load().vendors.get(&id).map_or(IdRule::Raw, |(_, rule)| *rule)
    }
}

/// Where records are written. A closed set.
enum Sink {
    /// NDJSON files.
    File(FileSink),
    /// A table.
    Postgres(Box<PostgresSink>),
    /// As slow, or as broken, as a test wants it.
    #[cfg(test)]
    Test(contract::TestSink),
}

impl Sink {
    fn label(&self) -> &'static str {
        match self {
            Sink::File(_) => "file",
            Sink::Postgres(_) => "postgres",
            #[cfg(test)]
            Sink::Test(_) => "test",
        }
    }

    /// Writes all of a batch, or says why not; then the same batch comes again, and what of it was written must not be
    /// there twice.
    fn write(&mut self, batch: &[Record]) -> Result<(), String> {
        match self {
            Sink::File(file) => file.write(batch).map_err(|error| error.to_string()),
            Sink::Postgres(postgres) => postgres.write(batch),
            #[cfg(test)]
            Sink::Test(test) => test.write(batch),
        }
    }

    /// What time brings, called about once a second: rotation, partitions.
    fn look_after(&mut self) -> Result<(), String> {
        match self {
            Sink::File(file) => file.look_after().map_err(|error| error.to_string()),
            Sink::Postgres(postgres) => postgres.look_after(),
            #[cfg(test)]
            Sink::Test(_) => Ok(()),
        }
    }

    /// The end: everything was written.
    fn finish(&mut self) -> Result<(), String> {
        match self {
            Sink::File(file) => file.finish().map_err(|error| error.to_string()),
            Sink::Postgres(_) => Ok(()),
            #[cfg(test)]
            Sink::Test(_) => Ok(()),
        }
    }
}

/// The moment at which a record came to be, microseconds since 1970 UTC: its end.
fn ended_us(record: &Record) -> u64 {
    let took = match &record.kind {
        RecordKind::Submit(submit) | RecordKind::Duplicate(submit) => submit.answered_after,
        RecordKind::Settled(settled) => settled.ended_after,
        RecordKind::Delivery(delivery) => delivery.ended_after,
        RecordKind::Resolved(_) => std::time::Duration::ZERO,
    };
    (record.at + took).as_micros() as u64
}

/// Hides the last digits of its addresses.
fn mask(record: &mut Record) {
    let (source, destination) = match &mut record.kind {
        RecordKind::Submit(submit) | RecordKind::Duplicate(submit) => {
            (&mut submit.source, &mut submit.destination)
        }
        RecordKind::Delivery(delivery) => (&mut delivery.source, &mut delivery.destination),
        RecordKind::Resolved(_) | RecordKind::Settled(_) => return,
    };
    *source = source.masked(MASKED_DIGITS);
    *destination = destination.masked(MASKED_DIGITS);
}
