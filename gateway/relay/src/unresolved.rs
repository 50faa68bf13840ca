//! The table of unknown outcomes, this shard's and the other shards', so that a receipt on any bind of the node can
//! end one of them. Data only; what follows from it stands in `unknown.rs`.

use crate::arena::{Arena, List};
use crate::message::{AccountId, DeliveryKey, Key, ShardIndex, VendorId};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smpp::text::message_id::GatewayId;
use smpp::time::Instant;

/// Outcomes that one shard remembers, those of all shards of the node together. About 300 bytes each: 4.8 MiB. Enough
/// for the windows of 80 binds with 200 slots that are lost at one time; over it the oldest goes.
pub(crate) const UNRESOLVED_MAX: u32 = 16_384;
/// What the table of one shard takes at most, octets: the slots, in a vector that grows by doubling, and two maps.
pub(crate) const UNRESOLVED_OCTETS: u64 =
    UNRESOLVED_MAX as u64 * (2 * crate::arena::slot_octets::<Unresolved>() as u64 + 2 * MAP_ENTRY_OCTETS);
const MAP_ENTRY_OCTETS: u64 = 48;

/// A copy of a message that a vendor may have.
#[derive(Debug)]
pub(crate) struct Unresolved {
    pub(crate) vendor: VendorId,
    /// See [`crate::in_flight::addresses`].
    pub(crate) addresses: u64,
    pub(crate) gateway_id: GatewayId,
    pub(crate) owner: Owner,
    /// Shards with another message of these addresses on a link of this vendor, one bit each.
    contested: [u64; 4],
    /// The receipt that fitted at the last look, as one number of its id; 0 = none.
    pub(crate) claim: u64,
    /// Where it came in. Another delivery of the same id has to look twice itself.
    pub(crate) claimed_by: (ShardIndex, DeliveryKey),
    deadline: Instant,
}

/// Who can do something with the outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    /// This shard. The key may be stale: then nobody submits it again.
    Here { resubmit: Key, account: AccountId },
    /// Another shard.
    Shard(ShardIndex),
}

/// What fits a receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fit {
    None,
    One(Key),
    /// Which one the receipt is about cannot be told.
    Several,
}

/// What is known of one vendor and pair of addresses.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    count: u32,
    /// There were several at one time. Receipts of the others may still come when one is left, so that it stays so
    /// until none is left.
    crowded: bool,
    /// The one, unless crowded.
    only: Key,
}

#[derive(Debug)]
pub(crate) struct UnresolvedTable {
    entries: Arena<Unresolved>,
    /// Oldest first.
    order: List,
    buckets: HashMap<(VendorId, u64), Bucket, FixedState>,
    by_id: HashMap<(VendorId, GatewayId), Key, FixedState>,
}

impl Unresolved {
    pub(crate) fn contest(&mut self, shard: ShardIndex, is_contested: bool) {
        let bit = 1 << (shard.0 % 64);
        let word = &mut self.contested[usize::from(shard.0 / 64)];
        *word = if is_contested { *word | bit } else { *word & !bit };
    }

    pub(crate) fn is_contested(&self) -> bool {
        self.contested != [0; 4]
    }
}

impl UnresolvedTable {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            entries: Arena::new(UNRESOLVED_MAX),
            order: List::default(),
            buckets: HashMap::with_hasher(FixedState::with_seed(seed)),
            by_id: HashMap::with_hasher(FixedState::with_seed(seed)),
        }
    }

    /// Adds an outcome that is not there yet. The caller has made room.
    pub(crate) fn insert(
        &mut self,
        vendor: VendorId,
        addresses: u64,
        gateway_id: GatewayId,
        owner: Owner,
        deadline: Instant,
    ) -> Key {
        let (key, entry) = self.entries.insert().expect("the caller has made room");
        *entry = Unresolved { vendor, addresses, gateway_id, owner, deadline, ..Unresolved::default() };
        self.entries.push_back(&mut self.order, key);
        let bucket =
            self.buckets.entry((vendor, addresses)).or_insert(Bucket { count: 0, crowded: false, only: key });
        bucket.count += 1;
        bucket.crowded |= bucket.count > 1;
        let before = self.by_id.insert((vendor, gateway_id), key);
        assert!(before.is_none());
        key
    }

    pub(crate) fn remove(&mut self, key: Key) {
        let Unresolved { vendor, addresses, gateway_id, .. } = self.entries[key];
        self.by_id.remove(&(vendor, gateway_id));
        if let Some(bucket) = self.buckets.get_mut(&(vendor, addresses)) {
            bucket.count -= 1;
            if bucket.count == 0 {
                self.buckets.remove(&(vendor, addresses));
            }
        }
        self.entries.remove(&mut self.order, key);
        self.entries.close(key);
    }

    /// The oldest, when another one finds no room or when its time is over.
    pub(crate) fn overdue(&self, now: Instant) -> Option<Key> {
        self.entries.first(&self.order).filter(|key| self.entries[*key].deadline <= now)
    }

    /// The oldest, when there is no room for another.
    pub(crate) fn surplus(&self) -> Option<Key> {
        if self.entries.open() < UNRESOLVED_MAX { None } else { self.entries.first(&self.order) }
    }

    pub(crate) fn fit(&self, vendor: VendorId, addresses: u64) -> Fit {
        match self.buckets.get(&(vendor, addresses)) {
            None => Fit::None,
            Some(bucket) if bucket.crowded => Fit::Several,
            Some(bucket) => Fit::One(bucket.only),
        }
    }

    pub(crate) fn find(&self, vendor: VendorId, gateway_id: GatewayId) -> Option<Key> {
        self.by_id.get(&(vendor, gateway_id)).copied()
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Unresolved> {
        self.entries.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Unresolved> {
        self.entries.get_mut(key)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.open() == 0
    }

    pub(crate) fn len(&self) -> u32 {
        self.entries.open()
    }
}

impl Default for Unresolved {
    fn default() -> Self {
        Self {
            vendor: VendorId(0),
            addresses: 0,
            gateway_id: GatewayId(0),
            owner: Owner::Here { resubmit: Key::NONE, account: AccountId(0) },
            contested: [0; 4],
            claim: 0,
            claimed_by: (ShardIndex(0), DeliveryKey(Key::NONE)),
            deadline: Instant::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VENDOR: VendorId = VendorId(1);
    const OWNER: Owner = Owner::Here { resubmit: Key::NONE, account: AccountId(0) };

    fn insert(table: &mut UnresolvedTable, addresses: u64, id: u64, second: u64) -> Key {
        let deadline = Instant::from_nanos(second * 1_000_000_000);
        table.insert(VENDOR, addresses, GatewayId(id), OWNER, deadline)
    }

    #[test]
    fn what_was_a_crowd_stays_one_until_it_is_gone() {
        let mut table = UnresolvedTable::new(1);
        assert_eq!(table.fit(VENDOR, 7), Fit::None);
        let first = insert(&mut table, 7, 1, 1);
        assert_eq!(table.fit(VENDOR, 7), Fit::One(first));
        assert_eq!((table.fit(VENDOR, 8), table.fit(VendorId(2), 7)), (Fit::None, Fit::None));
        let second = insert(&mut table, 7, 2, 2);
        assert_eq!(table.fit(VENDOR, 7), Fit::Several);
        table.remove(first);
        assert_eq!(table.fit(VENDOR, 7), Fit::Several);
        table.remove(second);
        assert!(table.is_empty());
        let third = insert(&mut table, 7, 3, 3);
        assert_eq!(table.fit(VENDOR, 7), Fit::One(third));
        assert_eq!((table.find(VENDOR, GatewayId(3)), table.find(VENDOR, GatewayId(1))), (Some(third), None));
    }

    #[test]
    fn the_oldest_is_named_when_it_is_over_or_there_is_no_room() {
        let mut table = UnresolvedTable::new(1);
        let first = insert(&mut table, 0, 0, 1);
        for number in 1..u64::from(UNRESOLVED_MAX) {
            assert_eq!(table.surplus(), None);
            insert(&mut table, number, number, 2);
        }
        assert_eq!(table.surplus(), Some(first));
        assert_eq!(table.overdue(Instant::from_nanos(999_999_999)), None);
        assert_eq!(table.overdue(Instant::from_nanos(1_000_000_000)), Some(first));
        table.remove(first);
        assert_eq!((table.surplus(), table.len()), (None, UNRESOLVED_MAX - 1));
        assert_eq!(table.overdue(Instant::from_nanos(1_000_000_000)), None);
    }

    #[test]
    fn each_shard_contests_for_itself() {
        let mut entry = Unresolved::default();
        for shard in [0, 63, 64, 255] {
            entry.contest(ShardIndex(shard), true);
            entry.contest(ShardIndex(shard), true);
        }
        for shard in [0, 63, 64, 255] {
            assert!(entry.is_contested());
            entry.contest(ShardIndex(shard), false);
        }
        assert!(!entry.is_contested());
    }
}
