//! How many file descriptors a configuration wants, and how many of them no accepted connection may take; said at the
//! start.

use crate::config::{Built, Config, StoreKind};
use crate::http_port::HTTP_CONNECTIONS_MAX;
use shard::limits::SHARD_DESCRIPTORS;
use std::fmt;
use store::{REDIS_CONNECTIONS, STORE_FILES_MAX};

/// For all that nobody counts: name look-ups, a configuration that is read, logs, eyes of operators.
const ROOM: u64 = 64;
/// Standard streams, signals, the listening sockets, control's own executor.
const FIXED: u64 = 24;
/// A sink of records: its file, the directory that is synced, a file that a question is answered from; or connections to
/// the database.
const RECORDS: u64 = 8;
/// Connections to the database of configurations: one that listens, one that reads.
const CONFIGURATIONS: u64 = 2;
/// Sessions of other nodes counted for each slot of a vendor that shares its binds, as in the sum of memory.
const NODES_COUNTED: u64 = 8;
/// Leases and counts of limits, and slots: a connection each, or a file.
const LEASES: u64 = 4;

/// One holder's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Summand {
    holder: &'static str,
    descriptors: u64,
    /// Whether strangers decide how many there are, so that they get none of the reserve.
    is_accepted: bool,
}

/// The sum with its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescriptorNeed {
    summands: Vec<Summand>,
}

/// Adds it all up for so many shards.
pub fn needed(config: &Config, built: &Built, shards: u64) -> DescriptorNeed {
    let links = u64::from(config.session.links_max);
    let ours = |holder, descriptors| Summand { holder, descriptors, is_accepted: false };
    let accepted = |holder, descriptors| Summand { holder, descriptors, is_accepted: true };
    let store = match config.store.kind {
        StoreKind::None => 0,
        StoreKind::Embedded => STORE_FILES_MAX,
        StoreKind::Redis => REDIS_CONNECTIONS,
    };
    let shared = built.plan.vendors.iter().filter(|vendor| vendor.is_shared);
    let nodes: u64 = shared.map(|vendor| u64::from(vendor.binds) * NODES_COUNTED).sum();
    let spool = if built.spool.is_some() { STORE_FILES_MAX } else { 0 };
    let records = if built.cdr.is_some() { RECORDS } else { 0 };
    DescriptorNeed {
        summands: vec![
            accepted("customers' links", links),
            accepted("connections before their bind", links),
            ours("vendors' binds", built.plan.vendors.iter().map(|vendor| u64::from(vendor.binds)).sum()),
            ours("links between nodes", nodes),
            ours("store", store),
            ours("spool", spool),
            ours("records", records),
            ours("configurations and leases", CONFIGURATIONS + LEASES),
            ours("HTTP", HTTP_CONNECTIONS_MAX as u64),
            ours("shards", shards * SHARD_DESCRIPTORS),
            ours("fixed", FIXED),
            ours("room", ROOM),
        ],
    }
}

impl DescriptorNeed {
    /// All together.
    pub fn total(&self) -> u64 {
        self.summands.iter().map(|one| one.descriptors).sum()
    }

    /// What accepted connections may not take.
    fn reserve(&self) -> u64 {
        self.summands.iter().filter(|one| !one.is_accepted).map(|one| one.descriptors).sum()
    }

    /// The first number that no accepted connection may have where a process may have so many. Customers get a quarter at
    /// least: a node that takes none is of no use.
    pub fn reserve_from(&self, limit: u64) -> u64 {
        limit.saturating_sub(self.reserve()).max(limit / 4)
    }
}

impl fmt::Display for DescriptorNeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} wanted, {} of them kept from customers (by holder:", self.total(), self.reserve())?;
        for (place, one) in self.summands.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(f, "{comma} {} {}", one.holder, one.descriptors)?;
        }
        f.write_str(")")
    }
}

/// Raises the limit of this process, keeps the reserve back and says both in the log. Returns the limit; a system that does
/// not tell it counts as one without.
pub fn prepare(need: &DescriptorNeed) -> u64 {
    let limit = match runtime::raise_descriptor_limit() {
        Ok(limit) => limit,
        Err(error) => {
            tracing::warn!(%error, "cannot raise the limit of file descriptors");
            return u64::MAX;
        }
    };
    let from = need.reserve_from(limit.now);
    runtime::reserve_descriptors_from(from);
    tracing::info!(limit = limit.now, was = limit.before, customers = from, "descriptors: {need}");
    if need.total() > limit.now {
        tracing::warn!(
            limit = limit.now,
            wanted = need.total(),
            "fewer descriptors than `[session] links_max` may want: raise the hard limit (LimitNOFILE, ulimit -n) or lower it"
        );
    }
    limit.now
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(accepted: u64, ours: u64) -> DescriptorNeed {
        let one = |descriptors, is_accepted| Summand { holder: "one", descriptors, is_accepted };
        DescriptorNeed { summands: vec![one(accepted, true), one(ours, false)] }
    }

    #[test]
    fn the_reserve_is_taken_from_the_top() {
        assert_eq!(need(40_000, 300).reserve_from(1_024), 724);
        assert_eq!(need(40_000, 300).reserve_from(65_536), 65_236);
        assert_eq!(need(40_000, 5_000).reserve_from(1_024), 256, "customers get a quarter");
        assert_eq!((need(7, 5).total(), need(7, 5).reserve()), (12, 5));
    }

    #[test]
    fn each_holder_is_named() {
        let text = need(7, 5).to_string();
        assert_eq!(text, "12 wanted, 5 of them kept from customers (by holder: one 7, one 5)");
    }
}
