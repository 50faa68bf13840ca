//! Correlations that wait for Redis to come back, and those that are to be dropped from it: found by key, flushed from the
//! oldest end. Pure.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use relay::{Correlation, CorrelationKey};
use std::collections::VecDeque;
use std::hash::BuildHasher;

/// What one entry takes with its place in the index, octets.
pub(crate) const RING_ENTRY_OCTETS: u64 = 120;

/// Of the ring's places, one in so many may be taken by what is to be dropped: dropping late costs Redis some memory,
/// not keeping costs a receipt.
const FORGETS_SHARE: usize = 4;

/// What is to be done with a correlation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    Keep(Correlation),
    /// Drop the one that was submitted then.
    Forget(u32),
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

    /// Puts one in as the newest, in place of an older one under its key; false when there is no room.
    pub(super) fn push(&mut self, key: CorrelationKey, due: Due) -> bool {
        self.remove(&key);
        let is_forget = matches!(due, Due::Forget(_));
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

    pub(super) fn find(&self, key: &CorrelationKey) -> Option<Due> {
        let number = self.index.find(self.hasher.hash_one(key), |number| self.is_at(*number, key))?;
        self.entries[(number - self.first) as usize].map(|(_, due)| due)
    }

    /// Takes one out; what it was, none when it is not there.
    pub(super) fn remove(&mut self, key: &CorrelationKey) -> Option<Due> {
        let Ring { entries, index, hasher, first, .. } = self;
        let is_it = |number: &u64| at(entries, *first, *number).is_some_and(|(kept, _)| kept == key);
        let Ok(found) = index.find_entry(hasher.hash_one(key), is_it) else { return None };
        let (number, _) = found.remove();
        let removed = entries[(number - *first) as usize].take().map(|(_, due)| due);
        self.forgets -= usize::from(matches!(removed, Some(Due::Forget(_))));
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
        assert!(ring.push(key(1, 1), keep(9)), "in place of the older one");
        assert_eq!(ring.find(&key(1, 1)), Some(keep(9)));
        assert!(ring.push(key(1, 3), keep(3)));
        assert!(!ring.push(key(1, 4), keep(4)), "full");
        let oldest: Vec<_> = ring.oldest(2).map(|(key, _)| *key).collect();
        assert_eq!(oldest, [key(1, 2), key(1, 1)]);
        assert_eq!(ring.remove(&key(1, 1)), Some(keep(9)));
        assert_eq!(ring.remove(&key(1, 1)), None, "only once");
        assert_eq!((ring.len(), ring.places()), (2, 3), "a hole in the middle stays");
        assert!(ring.remove(&key(1, 2)).is_some());
        assert_eq!((ring.len(), ring.places()), (1, 1), "holes at the old end go");
        for number in 10..100 {
            assert!(ring.push(key(2, number), keep(number)));
            assert!(ring.remove(&key(2, number)).is_some());
        }
        assert_eq!(ring.find(&key(1, 3)), Some(keep(3)));
    }

    #[test]
    fn what_is_to_be_dropped_takes_a_share_of_the_places() {
        let mut ring = Ring::new(8);
        assert!(ring.push(key(1, 1), Due::Forget(7)) && ring.push(key(1, 2), Due::Forget(8)));
        assert!(!ring.push(key(1, 3), Due::Forget(9)), "a quarter");
        assert_eq!((ring.find(&key(1, 1)), ring.len(), ring.keeps()), (Some(Due::Forget(7)), 2, 0));
        assert!(ring.push(key(1, 1), keep(1)), "given again: kept");
        assert!(ring.push(key(1, 3), Due::Forget(9)), "which left room");
        assert_eq!((ring.len(), ring.keeps()), (3, 1));
        for number in 4..9 {
            assert!(ring.push(key(1, number), keep(number)));
        }
        assert!(!ring.push(key(1, 9), keep(9)) && !ring.push(key(1, 9), Due::Forget(1)), "full");
        assert_eq!(ring.remove(&key(1, 3)), Some(Due::Forget(9)));
        assert_eq!((ring.len(), ring.keeps()), (7, 6));
    }
}
