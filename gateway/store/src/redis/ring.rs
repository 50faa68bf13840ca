//! Correlations that wait for Redis to come back, and those that are to be dropped from it: found by key, flushed from the
//! oldest end. Pure.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use relay::{Correlation, CorrelationKey};
use smpp::text::message_id::GatewayId;
use std::collections::VecDeque;
use std::hash::BuildHasher;

/// What one entry takes with its place in the index, octets.
pub(crate) const RING_ENTRY_OCTETS: u64 = (size_of::<Option<(CorrelationKey, Due)>>() + 10) as u64;

/// Of the ring's places, one in so many may be taken by what is to be dropped: dropping late costs Redis some memory,
/// not keeping costs a receipt.
const FORGETS_SHARE: usize = 4;

/// What is to be done with a correlation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    Keep(Correlation),
    /// Drop the one of this message, which was submitted then.
    Forget(GatewayId, u32),
}

impl Due {
    /// Of which message.
    pub(super) fn gateway_id(&self) -> GatewayId {
        match self {
            Due::Keep(correlation) => correlation.gateway_id,
            Due::Forget(gateway_id, _) => *gateway_id,
        }
    }
}

/// A bounded queue with an index.
pub(super) struct Ring {
    /// Oldest first; an entry that was forgotten meanwhile leaves a hole until it is at an end.
    entries: Entries,
    /// Numbers of entries that are not holes.
    index: HashTable<u64>,
    hasher: RandomState,
    /// Number of the oldest.
    first: u64,
    max: usize,
    /// Entries that are to be dropped.
    forgets: usize,
}

impl Ring {
    pub(super) fn new(max: usize) -> Ring {
        let (index, hasher) = (HashTable::new(), RandomState::default());
        Ring { entries: VecDeque::new(), index, hasher, first: 0, max, forgets: 0 }
    }

    /// Puts one in as the newest, in place of an older one of its key and message; false when there is no room.
    pub(super) fn push(&mut self, key: CorrelationKey, due: Due) -> bool {
        self.remove(&key, due.gateway_id());
        let is_forget = matches!(due, Due::Forget(..));
        if self.entries.len() >= self.max || (is_forget && self.forgets >= self.max / FORGETS_SHARE) {
            return false;
        }
        self.forgets += usize::from(is_forget);
        let number = self.first + self.entries.len() as u64;
        self.entries.push_back(Some((key, due)));
        let Ring { entries, hasher, first, .. } = self;
        let hash = |number: &u64| hash_at(entries, hasher, *first, *number);
        self.index.insert_unique(hash(&number), number, hash);
        true
    }

    /// All that waits under a key.
    pub(super) fn find(&self, key: &CorrelationKey) -> impl Iterator<Item = Due> {
        let numbers = self.index.iter_hash(self.hasher.hash_one(key));
        let entry = |number: &u64| at(&self.entries, self.first, *number);
        numbers.filter_map(entry).filter(move |(kept, _)| kept == key).map(|(_, due)| *due)
    }

    /// What waits of one message.
    pub(super) fn of_message(&self, key: &CorrelationKey, gateway_id: GatewayId) -> Option<Due> {
        self.find(key).find(|due| due.gateway_id() == gateway_id)
    }

    /// Takes one out; what it was, none when it is not there.
    pub(super) fn remove(&mut self, key: &CorrelationKey, gateway_id: GatewayId) -> Option<Due> {
        let Ring { entries, index, hasher, first, .. } = self;
        let is_it = |number: &u64| {
            at(entries, *first, *number)
                .is_some_and(|(kept, due)| kept == key && due.gateway_id() == gateway_id)
        };
        let Ok(found) = index.find_entry(hasher.hash_one(key), is_it) else { return None };
        let (number, _) = found.remove();
        let removed = entries[(number - *first) as usize].take().map(|(_, due)| due);
        self.forgets -= usize::from(matches!(removed, Some(Due::Forget(..))));
        self.drop_holes();
        removed
    }

    /// The oldest, at most so many.
    pub(super) fn oldest(&self, count_max: usize) -> impl Iterator<Item = &(CorrelationKey, Due)> {
        self.entries.iter().flatten().take(count_max)
    }

    /// Entries that wait.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Of those, correlations that are to be kept.
    pub(super) fn keeps(&self) -> usize {
        self.index.len() - self.forgets
    }

    /// Places in use, holes among them.
    pub(super) fn places(&self) -> usize {
        self.entries.len()
    }

    fn drop_holes(&mut self) {
        while let Some(None) = self.entries.front() {
            self.entries.pop_front();
            self.first += 1;
        }
        while let Some(None) = self.entries.back() {
            self.entries.pop_back();
        }
    }
}

type Entries = VecDeque<Option<(CorrelationKey, Due)>>;

fn at(entries: &Entries, first: u64, number: u64) -> Option<&(CorrelationKey, Due)> {
    entries.get((number - first) as usize)?.as_ref()
}

fn hash_at(entries: &Entries, hasher: &RandomState, first: u64, number: u64) -> u64 {
    at(entries, first, number).map_or(0, |(key, _)| hasher.hash_one(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{correlation, key};

    fn keep(number: u64) -> Due {
        Due::Keep(correlation(number))
    }

    #[test]
    fn what_waits_is_found_and_leaves_in_order() {
        let mut ring = Ring::new(3);
        assert!(ring.push(key(1, 1), keep(1)));
        assert!(ring.push(key(1, 2), keep(2)));
        assert!(ring.push(key(1, 1), keep(1)), "in place of itself");
        assert_eq!(ring.find(&key(1, 1)).collect::<Vec<_>>(), [keep(1)]);
        assert!(ring.push(key(1, 3), keep(3)));
        assert!(!ring.push(key(1, 4), keep(4)), "full");
        let oldest: Vec<_> = ring.oldest(2).map(|(key, _)| *key).collect();
        assert_eq!(oldest, [key(1, 2), key(1, 1)]);
        assert_eq!(ring.remove(&key(1, 1), GatewayId(1)), Some(keep(1)));
        assert_eq!(ring.remove(&key(1, 1), GatewayId(1)), None, "only once");
        assert_eq!((ring.len(), ring.places()), (2, 3), "a hole in the middle stays");
        assert!(ring.remove(&key(1, 2), GatewayId(2)).is_some());
        assert_eq!((ring.len(), ring.places()), (1, 1), "holes at the old end go");
        for number in 10..100 {
            assert!(ring.push(key(2, number), keep(number)));
            assert!(ring.remove(&key(2, number), GatewayId(number)).is_some());
        }
        assert_eq!(ring.find(&key(1, 3)).collect::<Vec<_>>(), [keep(3)]);
        // Another message of the same id waits beside it.
        assert!(ring.push(key(1, 3), keep(9)));
        assert_eq!(ring.find(&key(1, 3)).count(), 2);
        assert_eq!(ring.of_message(&key(1, 3), GatewayId(9)), Some(keep(9)));
        assert_eq!(ring.remove(&key(1, 3), GatewayId(3)), Some(keep(3)));
        assert_eq!(ring.find(&key(1, 3)).collect::<Vec<_>>(), [keep(9)]);
    }

    #[test]
    fn what_is_to_be_dropped_takes_a_share_of_the_places() {
        let mut ring = Ring::new(8);
        assert!(
            ring.push(key(1, 1), Due::Forget(GatewayId(1), 7))
                && ring.push(key(1, 2), Due::Forget(GatewayId(2), 8))
        );
        assert!(!ring.push(key(1, 3), Due::Forget(GatewayId(3), 9)), "a quarter");
        assert_eq!(ring.of_message(&key(1, 1), GatewayId(1)), Some(Due::Forget(GatewayId(1), 7)));
        assert_eq!((ring.len(), ring.keeps()), (2, 0));
        assert!(ring.push(key(1, 1), keep(1)), "given again: kept");
        assert!(ring.push(key(1, 3), Due::Forget(GatewayId(3), 9)), "which left room");
        assert_eq!((ring.len(), ring.keeps()), (3, 1));
        for number in 4..9 {
            assert!(ring.push(key(1, number), keep(number)));
        }
        assert!(
            !ring.push(key(1, 9), keep(9)) && !ring.push(key(1, 9), Due::Forget(GatewayId(9), 1)),
            "full"
        );
        assert_eq!(ring.remove(&key(1, 3), GatewayId(3)), Some(Due::Forget(GatewayId(3), 9)));
        assert_eq!((ring.len(), ring.keeps()), (7, 6));
    }
}
