//! The most memory that a node can take: a sum over everything that holds bytes, each summand with the name of its
//! holder. Tables made from the configuration itself (accounts, routes) are not in it: they do not grow with traffic.

use crate::mail::{MAILBOX_CAPACITY, Mail};
use crate::{Directive, Notice};
use link::limits::{LENT_CAPACITY_MAX, LENT_MAX, OUTBOX_MAX, RECEIVE_BUFFER, SLOW_WRITE};
use relay::{Limits, SpoolAnswer, SpoolOp, StoreAnswer, StoreOp};
use std::fmt;
use std::mem::size_of;

/// Descriptors of one shard beside its links: its rings or its poll, a doorbell for each of the others, timers.
pub const SHARD_DESCRIPTORS: u64 = 24;
/// Words that control and a shard may leave for each other: the binds of a storm.
pub const CONTROL_MAILBOX: usize = 4_096;
/// PDU of the steady case, octets: a text of 160 characters with its addresses and some TLVs.
pub const PDU_STEADY: u64 = 300;
/// A growing buffer takes twice what it had: at most so many times what is in it.
const GROWTH: u64 = 2;
/// A buffer that is used again has at least this capacity once a PDU outgrew what is kept of it, octets.
const PDU_CAPACITY_MIN: u64 = 2_048;
/// An idle link with its entry, session and socket task, octets.
const LINK_OCTETS: u64 = 1_024;
/// A slot of a window's table, octets; the table has up to four slots for each request allowed.
const WINDOW_OCTETS: u64 = 4 * 48;
/// Parked deliveries that the store hands out at a time, for each customer.
const PARKED_PAGE: u64 = 64;

/// Messages that the spool hands out at a time, to each shard.
const SPOOL_PAGE: u64 = 256;

/// What the sum depends on.
#[derive(Clone, Copy, Debug)]
pub struct NodeSize {
    /// Shards.
    pub shards: u64,
    /// Customers defined.
    pub customers: u64,
    /// Customers' links that may stand, on the node.
    pub links_max: u64,
    /// Largest window of a customer.
    pub window_max: u64,
    /// Vendors' binds, on the node.
    pub vendor_binds: u64,
    /// Their windows, all together.
    pub vendor_windows: u64,
    /// One shard's bounds.
    pub limits: Limits,
    /// What the store takes, octets; 0 when there is none.
    pub store_octets: u64,
    /// Words that a shard and the store may leave for each other, each way.
    pub store_mailbox: u64,
    /// What the spool takes, octets; 0 when there is none.
    pub spool_octets: u64,
    /// Words that a shard and the spool may leave for each other, each way; 0 when there is none.
    pub spool_mailbox: u64,
}

/// One holder's part, octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summand {
    /// Who holds it.
    pub holder: &'static str,
    /// With everything full and every PDU as long as it may be.
    pub worst: u64,
    /// With everything that carries messages full, PDUs of [`PDU_STEADY`] octets, and peers that read.
    pub steady: u64,
}

/// The sum with its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryBound {
    /// The parts.
    pub summands: Vec<Summand>,
}

/// Adds it all up. Pure; saturates.
pub fn memory_bound(size: &NodeSize) -> MemoryBound {
    let Limits { messages_max, deliveries_max, pdu_size_max, .. } = size.limits;
    let (messages, deliveries) = (u64::from(messages_max), u64::from(deliveries_max));
    let pdu = u64::from(pdu_size_max);
    let (shards, links) = (size.shards, size.links_max + size.vendor_binds);
    let arena = |slots: u64, slot: usize, pdu: u64| {
        shards.saturating_mul(slots).saturating_mul(GROWTH * slot as u64 + pdu)
    };
    let capacity = pdu.max(PDU_CAPACITY_MIN);
    let outbox = GROWTH * (OUTBOX_MAX as u64 + pdu) + SLOW_WRITE as u64;
    let windows = size.links_max * size.window_max + size.vendor_windows;
    let store_word = (size_of::<StoreOp>() + size_of::<StoreAnswer>()) as u64;
    let store_words = size.store_mailbox.saturating_mul(store_word);
    let spool_word = (size_of::<SpoolOp>() + size_of::<SpoolAnswer>()) as u64;
    let spool_words = size.spool_mailbox.saturating_mul(spool_word);
    let control_words = CONTROL_MAILBOX * (size_of::<Notice>() + size_of::<Directive>());
    let shard_words = shards.saturating_sub(1) * (MAILBOX_CAPACITY * size_of::<Mail>()) as u64;
    let mailboxes = shards * (shard_words + store_words + spool_words + control_words as u64);
    let same = |holder, octets| Summand { holder, worst: octets, steady: octets };
    let only_worst = |holder, worst| Summand { holder, worst, steady: 0 };
    let summands = vec![
        Summand {
            holder: "open messages",
            worst: arena(messages, Limits::MESSAGE_OCTETS, capacity),
            steady: arena(messages, Limits::MESSAGE_OCTETS, PDU_STEADY),
        },
        Summand {
            holder: "open deliveries",
            worst: arena(deliveries, Limits::DELIVERY_OCTETS, capacity),
            steady: arena(deliveries, Limits::DELIVERY_OCTETS, PDU_STEADY),
        },
        same("unknown outcomes", shards * Limits::UNKNOWN_OCTETS_MAX),
        only_worst("submits that may come again", shards * Limits::RESUBMIT_OCTETS_MAX),
        same("gathered MO", shards * Limits::GATHER_OCTETS_MAX),
        same("spare buffers", shards * Limits::SPARE_OCTETS_MAX),
        same("links", links * LINK_OCTETS),
        only_worst("windows", windows.saturating_mul(WINDOW_OCTETS)),
        only_worst("outboxes", links.saturating_mul(outbox)),
        only_worst("PDUs that are not whole", links.saturating_mul(GROWTH * pdu)),
        only_worst("connections before their bind", size.links_max * GROWTH * RECEIVE_BUFFER as u64),
        same("send and receive buffers", shards * (LENT_MAX * LENT_CAPACITY_MAX + RECEIVE_BUFFER) as u64),
        same("mailboxes", mailboxes),
        only_worst("backlogs", shards * (messages + deliveries) * size_of::<StoreOp>() as u64),
        same("store", size.store_octets),
        same("spool", size.spool_octets),
        only_worst("spooled messages on their way", shards * spool_page(size)),
        only_worst("parked deliveries on their way", size.customers.saturating_mul(PARKED_PAGE * pdu)),
    ];
    MemoryBound { summands }
}

/// The page that is on its way to each shard: no other is asked for before it came. Nothing without a spool.
fn spool_page(size: &NodeSize) -> u64 {
    if size.spool_mailbox == 0 { 0 } else { SPOOL_PAGE * u64::from(size.limits.pdu_size_max) }
}

impl MemoryBound {
    /// Everything full, every PDU as long as it may be; octets.
    pub fn worst(&self) -> u64 {
        self.summands.iter().fold(0, |sum, one| sum.saturating_add(one.worst))
    }

    /// Everything full of messages of [`PDU_STEADY`] octets; octets.
    pub fn steady(&self) -> u64 {
        self.summands.iter().fold(0, |sum, one| sum.saturating_add(one.steady))
    }
}

impl fmt::Display for MemoryBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (worst, steady) = (mebibytes(self.worst()), mebibytes(self.steady()));
        write!(
            f,
            "memory: at most {steady} MiB full of messages of {PDU_STEADY} octets, {worst} MiB if every PDU is as long as it may be and no peer reads (MiB by holder:"
        )?;
        for (place, one) in self.summands.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(f, "{comma} {} {}/{}", one.holder, mebibytes(one.steady), mebibytes(one.worst))?;
        }
        f.write_str(")")
    }
}

/// Rounded up.
fn mebibytes(octets: u64) -> u64 {
    octets.div_ceil(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size() -> NodeSize {
        NodeSize {
            shards: 2,
            customers: 3,
            links_max: 100,
            window_max: 10,
            vendor_binds: 4,
            vendor_windows: 400,
            limits: Limits::default(),
            store_octets: 1_000,
            store_mailbox: 16,
            spool_octets: 1_000,
            spool_mailbox: 16,
        }
    }

    #[test]
    fn each_summand_grows_with_its_setting() {
        type Change = fn(&mut NodeSize);
        let cases: &[(&str, Change)] = &[
            ("open messages", |size| size.limits.messages_max *= 2),
            ("open messages", |size| size.limits.pdu_size_max *= 2),
            ("open deliveries", |size| size.limits.deliveries_max *= 2),
            ("open deliveries", |size| size.shards *= 2),
            ("unknown outcomes", |size| size.shards *= 2),
            ("submits that may come again", |size| size.shards *= 2),
            ("gathered MO", |size| size.shards *= 2),
            ("spare buffers", |size| size.shards *= 2),
            ("links", |size| size.links_max *= 2),
            ("links", |size| size.vendor_binds *= 2),
            ("windows", |size| size.window_max *= 2),
            ("windows", |size| size.vendor_windows *= 2),
            ("outboxes", |size| size.links_max *= 2),
            ("PDUs that are not whole", |size| size.limits.pdu_size_max *= 2),
            ("connections before their bind", |size| size.links_max *= 2),
            ("send and receive buffers", |size| size.shards *= 2),
            ("mailboxes", |size| size.shards *= 2),
            ("backlogs", |size| size.limits.messages_max *= 2),
            ("mailboxes", |size| size.store_mailbox *= 2),
            ("store", |size| size.store_octets *= 2),
            ("mailboxes", |size| size.spool_mailbox *= 2),
            ("spool", |size| size.spool_octets *= 2),
            ("spooled messages on their way", |size| size.limits.pdu_size_max *= 2),
            ("parked deliveries on their way", |size| size.customers *= 2),
        ];
        let before = memory_bound(&size());
        for (holder, change) in cases {
            let mut larger = size();
            change(&mut larger);
            let after = memory_bound(&larger);
            let worst =
                |bound: &MemoryBound| bound.summands.iter().find(|one| one.holder == *holder).unwrap().worst;
            assert!(worst(&after) > worst(&before), "{holder}");
            assert!(after.worst() > before.worst() && after.steady() >= before.steady(), "{holder}");
        }
        for one in &before.summands {
            assert!(cases.iter().any(|(holder, _)| *holder == one.holder), "{} has no case", one.holder);
            assert!(one.steady <= one.worst, "{}", one.holder);
        }
    }

    #[test]
    fn the_largest_settings_do_not_overflow() {
        let limits = Limits {
            messages_max: 1 << 24,
            deliveries_max: 1 << 24,
            pdu_size_max: 1 << 20,
            ..Limits::default()
        };
        let bound = memory_bound(&NodeSize {
            shards: 64,
            customers: 1 << 24,
            links_max: 1_000_000,
            window_max: 65_536,
            vendor_binds: 4_096_000,
            vendor_windows: 1 << 36,
            limits,
            store_octets: 1 << 40,
            store_mailbox: 1 << 20,
            spool_octets: 1 << 40,
            spool_mailbox: 1 << 20,
        });
        assert!(bound.worst() > bound.steady());
        assert!(bound.to_string().contains("open messages"));
    }
}
