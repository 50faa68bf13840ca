//! Which parked deliveries this node holds, and what it still owes Redis a word about. Pure.

use super::layout::StreamId;
use crate::shelf::ShelfName;
use std::collections::{BTreeMap, HashMap};

/// Deliveries that this node holds, or has answered while Redis was away; about 100 octets each. No page is taken
/// beyond it.
pub(super) const LENT_MAX: usize = 1_000_000;

/// Ids of one stream.
pub(super) type Owed = BTreeMap<ShelfName, Vec<StreamId>>;

/// See the module.
#[derive(Default)]
pub(super) struct Lent {
    /// By the id that the relay knows.
    by_id: HashMap<u64, (ShelfName, StreamId)>,
    /// The same by place, with the count of each account.
    by_place: HashMap<(ShelfName, StreamId), u64>,
    counts: HashMap<u128, u32>,
    last: u64,
    /// The customer took them.
    pub(super) released: Owed,
    /// The customer could not take them.
    pub(super) returned: Owed,
    owed: usize,
}

impl Lent {
    /// Hands one out; nothing when this node holds it already.
    pub(super) fn lend(&mut self, name: ShelfName, id: StreamId) -> Option<u64> {
        if self.by_place.contains_key(&(name, id)) {
            return None;
        }
        self.last += 1;
        self.by_id.insert(self.last, (name, id));
        self.by_place.insert((name, id), self.last);
        *self.counts.entry(name.0).or_default() += 1;
        Some(self.last)
    }

    /// The customer took it; false when it is not held.
    pub(super) fn release(&mut self, id: u64) -> bool {
        let taken = self.take(id);
        self.owed += usize::from(taken.is_some());
        taken.map(|(name, id)| self.released.entry(name).or_default().push(id)).is_some()
    }

    /// The customer could not take it; false when it is not held.
    pub(super) fn give_back(&mut self, id: u64) -> bool {
        let taken = self.take(id);
        self.owed += usize::from(taken.is_some());
        taken.map(|(name, id)| self.returned.entry(name).or_default().push(id)).is_some()
    }

    /// Redis was told of so many.
    pub(super) fn settle(&mut self, count: usize) {
        self.owed -= count;
    }

    /// Whether Redis must still be told of some.
    pub(super) fn is_owing(&self) -> bool {
        self.owed > 0
    }

    /// Deliveries of an account that this node holds.
    pub(super) fn count_of(&self, account: u128) -> u64 {
        self.counts.get(&account).copied().unwrap_or(0).into()
    }

    /// All that this node holds.
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// How many more it may hold.
    pub(super) fn room(&self) -> usize {
        LENT_MAX.saturating_sub(self.by_id.len() + self.owed)
    }

    fn take(&mut self, id: u64) -> Option<(ShelfName, StreamId)> {
        let place = self.by_id.remove(&id)?;
        self.by_place.remove(&place);
        let account = place.0.0;
        if let Some(count) = self.counts.get_mut(&account) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&account);
            }
        }
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_not_lent_again_and_owed_once() {
        let mut lent = Lent::default();
        let first = lent.lend((1, 0), (5, 0)).unwrap();
        let second = lent.lend((1, 0), (5, 1)).unwrap();
        assert_eq!(lent.lend((1, 0), (5, 0)), None);
        assert_eq!((lent.count_of(1), lent.count_of(2), lent.len()), (2, 0, 2));
        assert!(lent.release(first) && !lent.release(first) && lent.give_back(second));
        assert_eq!((lent.len(), lent.is_owing(), lent.room()), (0, true, LENT_MAX - 2));
        assert_eq!(lent.released[&(1, 0)], [(5, 0)]);
        lent.settle(2);
        assert!(!lent.is_owing());
    }
}
