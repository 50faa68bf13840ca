//! Bind slots on a shard: binds of vendors that several nodes share stand only while this node holds their slots.
//!
//! The newest table lies where control's lease thread puts it, and is taken at each tick. Its times are kept here, by the
//! shard's own clock, so that a bind ends in time also when nobody renews the table any more.

use crate::app::{ShardApp, Token};
use crate::binds::{BindKey, BindSlots};
use crate::node_proof::{Judge, NodeSecret};
use crate::nodes::NodeLinks;
use arc_swap::ArcSwap;
use link::Links;
use relay::VendorId;
use smpp::time::Instant;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Links between nodes that one shard has room for, beside those of customers and vendors: each node has one for each
/// slot that another holds. A link costs about 1 KiB while idle.
pub(crate) const NODE_LINKS_MAX: usize = 4096;

/// A slot of this node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotLease {
    /// Its bind is to end in order now.
    pub give_up: bool,
    /// From then on its bind gets nothing new and unbinds, unless a newer table says otherwise.
    pub unbind_at: Instant,
    /// Then its link is reset, whatever is open on it.
    pub close_at: Instant,
}

/// Who has a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SlotHolder {
    /// This node.
    Mine(SlotLease),
    /// Another.
    Node {
        /// Its number.
        node: u8,
        /// Its SMPP port.
        address: SocketAddr,
    },
}

/// Who has which slot, as far as this node knows. Immutable.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SlotTable {
    /// Grows with every table.
    pub version: u64,
    /// By vendor and number. A slot that is not in it is nobody's.
    pub vendors: BTreeMap<VendorId, BTreeMap<u32, SlotHolder>>,
}

impl SlotTable {
    fn holder(&self, (vendor, slot): BindKey) -> Option<&SlotHolder> {
        self.vendors.get(&vendor)?.get(&slot)
    }

    fn lease(&self, key: BindKey) -> Option<&SlotLease> {
        match self.holder(key)? {
            SlotHolder::Mine(lease) => Some(lease),
            SlotHolder::Node { .. } => None,
        }
    }

    /// Whether a bind on this slot may be made or get messages.
    fn may_bind(&self, key: BindKey, now: Instant) -> bool {
        self.lease(key).is_some_and(|lease| !lease.give_up && now < lease.unbind_at)
    }

    /// Whether a link on this slot may stand.
    fn may_stand(&self, key: BindKey, now: Instant) -> bool {
        self.lease(key).is_some_and(|lease| now < lease.close_at)
    }

    /// The next time after `now` at which something ends.
    fn next_end(&self, now: Instant) -> Instant {
        let leases = self.vendors.values().flat_map(BTreeMap::values).filter_map(|holder| match holder {
            SlotHolder::Mine(lease) => Some(lease),
            SlotHolder::Node { .. } => None,
        });
        let ends = leases.flat_map(|lease| [lease.unbind_at, lease.close_at]).filter(|end| *end > now);
        ends.min().unwrap_or(Instant::from_nanos(u64::MAX))
    }

    /// The slots of other nodes.
    fn others(&self) -> impl Iterator<Item = (VendorId, u32, &SlotHolder)> {
        let slots = self
            .vendors
            .iter()
            .flat_map(|(vendor, slots)| slots.iter().map(move |(slot, holder)| (*vendor, *slot, holder)));
        slots.filter(|(_, _, holder)| matches!(holder, SlotHolder::Node { .. }))
    }

    fn held(&self, now: Instant) -> BindSlots {
        let held = |(vendor, slots): (&VendorId, &BTreeMap<u32, SlotHolder>)| {
            let mine = slots.keys().copied().filter(|slot| self.may_bind((*vendor, *slot), now));
            (*vendor, mine.collect())
        };
        BindSlots { held: self.vendors.iter().map(held).collect() }
    }
}

/// What a shard of a node among several is given.
#[derive(Clone)]
pub struct SlotsPort {
    /// Where the newest table lies; empty at first.
    pub table: Arc<ArcSwap<SlotTable>>,
    /// How long a vendor may take to notice that a link is gone which did not end in order.
    pub grace: Duration,
    /// What nodes prove themselves by.
    pub secret: NodeSecret,
}

/// What the report says of slots and of links between nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotsReport {
    /// The table that the shard goes by.
    pub version: u64,
    /// Slots on which a link stands here, or ended so that its vendor may not know it yet. None is opened by a later table
    /// than that version unless it says so.
    pub open: Vec<(VendorId, u32)>,
    /// Links to other nodes, bound.
    pub node_links: u64,
    /// Sessions of other nodes, bound.
    pub node_sessions: u64,
}

/// See the module.
pub(crate) struct Slots {
    pub(crate) port: SlotsPort,
    /// The table in use.
    pub(crate) table: Arc<SlotTable>,
    next_end: Instant,
    /// Links that ended out of order, and when every vendor has noticed.
    lingering: Vec<(BindKey, Instant)>,
    pub(crate) judge: Judge,
    pub(crate) nodes: NodeLinks,
}

impl Slots {
    pub(crate) fn new(port: SlotsPort) -> Slots {
        Slots {
            table: port.table.load_full(),
            port,
            next_end: Instant::default(),
            lingering: Vec::new(),
            judge: Judge::default(),
            nodes: NodeLinks::default(),
        }
    }
}

impl ShardApp {
    /// Whether a bind of a shared vendor may be made now, by the newest word.
    pub(crate) fn holds_slot(&self, key: BindKey, now: Instant) -> bool {
        self.slots.as_ref().is_some_and(|slots| slots.port.table.load().may_bind(key, now))
    }

    /// At each tick: takes the newest table, and ends what may not stand by it.
    pub(crate) fn look_after_slots(&mut self, links: &mut Links<Token>) {
        let now = links.now();
        let Some(slots) = &mut self.slots else { return };
        let newest = slots.port.table.load();
        if newest.version == slots.table.version && now < slots.next_end {
            return;
        }
        let moved = !newest.others().eq(slots.table.others());
        slots.table = newest.clone();
        slots.next_end = slots.table.next_end(now);
        slots.lingering.retain(|(_, until)| now < *until);
        let held = slots.table.held(now);
        let table = slots.table.clone();
        for (key, link) in self.binds.shared_links() {
            if !table.may_stand(key, now) {
                tracing::warn!(
                    vendor = %key.0,
                    slot = key.1,
                    "the slot is not ours any more: its link is reset"
                );
                links.reset(link);
            }
        }
        if self.binds.slots.as_deref() != Some(&held) {
            self.binds.slots = Some(Arc::new(held));
            self.binds.changed.ring();
        } else if moved {
            self.follow_nodes();
        }
    }

    /// A link on a slot ended. Out of order means that its vendor may believe for a while that it stands.
    pub(crate) fn slot_closed(&mut self, key: BindKey, now: Instant, in_order: bool) {
        if let Some(slots) = self.slots.as_mut().filter(|_| !in_order) {
            slots.lingering.push((key, now + slots.port.grace));
        }
    }

    pub(crate) fn slots_report(&self, now: Instant) -> SlotsReport {
        let Some(slots) = &self.slots else { return SlotsReport::default() };
        let lingering = slots.lingering.iter().filter(|(_, until)| now < *until).map(|(key, _)| *key);
        let open = self.binds.shared_links().map(|(key, _)| key).chain(lingering);
        SlotsReport {
            version: slots.table.version,
            open: open.collect(),
            node_links: slots.nodes.links,
            node_sessions: slots.nodes.sessions_bound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_used_to_its_end_and_no_longer() {
        let at = Instant::from_nanos;
        let lease = SlotLease { give_up: false, unbind_at: at(10), close_at: at(20) };
        let vendor = VendorId(1);
        let slots = BTreeMap::from([
            (0, SlotHolder::Mine(lease)),
            (1, SlotHolder::Mine(SlotLease { give_up: true, ..lease })),
            (2, SlotHolder::Node { node: 2, address: SocketAddr::from(([10, 0, 0, 2], 2775)) }),
        ]);
        let table = SlotTable { version: 1, vendors: BTreeMap::from([(vendor, slots)]) };
        let check = |slot: u32, now: u64, may_bind: bool, may_stand: bool| {
            let key = (vendor, slot);
            assert_eq!(table.may_bind(key, at(now)), may_bind, "bind on {slot} at {now}");
            assert_eq!(table.may_stand(key, at(now)), may_stand, "link on {slot} at {now}");
        };
        check(0, 9, true, true);
        check(0, 10, false, true);
        check(0, 20, false, false);
        check(1, 9, false, true);
        check(2, 9, false, false);
        check(3, 9, false, false);
        assert_eq!(table.held(at(9)).held[&vendor], [0]);
        assert_eq!([table.next_end(at(9)), table.next_end(at(10))], [at(10), at(20)]);
        assert_eq!(table.next_end(at(20)), at(u64::MAX));
    }
}
