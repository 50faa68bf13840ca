//! Correlations that wait for Redis to come back: found by key, flushed from the oldest end. Pure.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use relay::{Correlation, CorrelationKey};
use std::collections::VecDeque;
use std::hash::BuildHasher;

/// What one entry takes with its place in the index, octets.
pub(crate) const RING_ENTRY_OCTETS: u64 = 120;

/// A bounded queue with an index.
pub(super) struct Ring {
    /// Oldest first; an entry that was forgotten meanwhile leaves a hole until it is at an end.
    entries: VecDeque<Option<(CorrelationKey, Correlation)>>,
    /// Numbers of entries that are not holes.
    index: HashTable<u64>,
    hasher: RandomState,
    /// Number of the oldest.
    first: u64,
    max: usize,
}

impl Ring {
    pub(super) fn new(max: usize) -> Ring {
        let (index, hasher) = (HashTable::new(), RandomState::default());
        Ring { entries: VecDeque::new(), index, hasher, first: 0, max }
    }

    /// Puts one in as the newest, in place of an older one under its key; false when there is no room.
    pub(super) fn push(&mut self, key: CorrelationKey, correlation: Correlation) -> bool {
        self.remove(&key);
        if self.entries.len() >= self.max {
            return false;
        }
        let number = self.first + self.entries.len() as u64;
        self.entries.push_back(Some((key, correlation)));
        let Ring { entries, hasher, first, .. } = self;
        let hash = |number: &u64| hash_at(entries, hasher, *first, *number);
        self.index.insert_unique(hash(&number), number, hash);
        true
    }

    pub(super) fn find(&self, key: &CorrelationKey) -> Option<Correlation> {
        let number = self.index.find(self.hasher.hash_one(key), |number| self.is_at(*number, key))?;
        self.entries[(number - self.first) as usize].map(|(_, correlation)| correlation)
    }

    /// Takes one out; false when it is not there.
    pub(super) fn remove(&mut self, key: &CorrelationKey) -> bool {
        let Ring { entries, index, hasher, first, .. } = self;
        let is_it = |number: &u64| at(entries, *first, *number).is_some_and(|(kept, _)| kept == key);
        let Ok(found) = index.find_entry(hasher.hash_one(key), is_it) else { return false };
        let (number, _) = found.remove();
        entries[(number - *first) as usize] = None;
        self.drop_holes();
        true
    }

    /// The oldest, at most so many.
    pub(super) fn oldest(&self, count_max: usize) -> impl Iterator<Item = &(CorrelationKey, Correlation)> {
        self.entries.iter().flatten().take(count_max)
    }

    /// Entries that wait.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Places in use, holes among them.
    pub(super) fn places(&self) -> usize {
        self.entries.len()
    }

    fn is_at(&self, number: u64, key: &CorrelationKey) -> bool {
        at(&self.entries, self.first, number).is_some_and(|(kept, _)| kept == key)
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

type Entries = VecDeque<Option<(CorrelationKey, Correlation)>>;

fn at(entries: &Entries, first: u64, number: u64) -> Option<&(CorrelationKey, Correlation)> {
    entries.get((number - first) as usize)?.as_ref()
}

fn hash_at(entries: &Entries, hasher: &RandomState, first: u64, number: u64) -> u64 {
    at(entries, first, number).map_or(0, |(key, _)| hasher.hash_one(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{correlation, key};

    #[test]
    fn what_waits_is_found_and_leaves_in_order() {
        let mut ring = Ring::new(3);
        assert!(ring.push(key(1, 1), correlation(1)));
        assert!(ring.push(key(1, 2), correlation(2)));
        assert!(ring.push(key(1, 1), correlation(9)), "in place of the older one");
        assert_eq!(ring.find(&key(1, 1)), Some(correlation(9)));
        assert!(ring.push(key(1, 3), correlation(3)));
        assert!(!ring.push(key(1, 4), correlation(4)), "full");
        let oldest: Vec<_> = ring.oldest(2).map(|(key, _)| *key).collect();
        assert_eq!(oldest, [key(1, 2), key(1, 1)]);
        assert!(ring.remove(&key(1, 1)));
        assert!(!ring.remove(&key(1, 1)), "only once");
        assert_eq!((ring.len(), ring.places()), (2, 3), "a hole in the middle stays");
        assert!(ring.remove(&key(1, 2)));
        assert_eq!((ring.len(), ring.places()), (1, 1), "holes at the old end go");
        for number in 10..100 {
            assert!(ring.push(key(2, number), correlation(number)));
            assert!(ring.remove(&key(2, number)));
        }
        assert_eq!(ring.find(&key(1, 3)), Some(correlation(3)));
    }
}
