//! Book-keeping of one account's parked deliveries: which is next to be handed out, which are out, which came back.
//! Pure; the deliveries themselves lie elsewhere.

use std::collections::{BTreeMap, BTreeSet};

/// Set in the ids of what is not urgent, so that ids order what is urgent first.
pub(super) const BULK: u64 = 1 << 63;
/// The shelves of an account, in the order of handing out.
pub(super) const CLASSES: [u64; 2] = [URGENT, BULK];
/// What the ids of urgent deliveries have instead of [`BULK`].
const URGENT: u64 = 0;

/// Names a shelf: account and class, one of [`CLASSES`].
pub(super) type ShelfName = (u128, u64);

/// The class of a delivery.
pub(super) fn class_of(urgent: bool) -> u64 {
    if urgent { URGENT } else { BULK }
}

/// The shelf that an id is on.
pub(super) fn shelf_of(account: u128, id: u64) -> ShelfName {
    (account, id & BULK)
}

/// One shelf of an account. Ids are given in the order of parking, from 1.
#[derive(Default, Debug)]
pub(super) struct Shelf {
    /// Id of the next delivery parked.
    next: u64,
    /// Deliveries on the shelf or handed out; `handed.len() + returned.len() <= count`.
    count: u64,
    /// Every id below was handed out at least once since the store was opened.
    cursor: u64,
    /// Handed out and not yet released or returned.
    handed: BTreeSet<u64>,
    /// Handed out and returned: first in line again.
    returned: BTreeSet<u64>,
    /// No row lies below this id where rows of what was taken are removed later; at most [`Shelf::head`].
    cleared: u64,
}

impl Shelf {
    /// A shelf as it was at the last commit; what was handed out is back on it.
    pub(super) fn restore(head: u64, next: u64, count: u64) -> Shelf {
        Shelf { next, count, cursor: head, cleared: head, ..Shelf::default() }
    }

    /// The same, with rows of what was taken from this id on.
    pub(super) fn with_rows_from(self, cleared: u64) -> Shelf {
        Shelf { cleared: cleared.min(self.cleared), ..self }
    }

    /// Where rows of what was taken begin; they end at the head.
    pub(super) fn cleared(&self) -> u64 {
        self.cleared
    }

    /// Every row below this id was removed. True when none is left below the head.
    pub(super) fn clear(&mut self, below: u64) -> bool {
        self.cleared = self.cleared.max(below);
        self.is_clear()
    }

    /// No row is left of what was taken, in the order of the ids; see [`Shelf::cleared`].
    pub(super) fn is_clear(&self) -> bool {
        self.cleared >= self.head()
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// No delivery lies below this id.
    pub(super) fn head(&self) -> u64 {
        let first = |ids: &BTreeSet<u64>| ids.first().copied().unwrap_or(u64::MAX);
        self.cursor.min(first(&self.handed)).min(first(&self.returned))
    }

    /// A place for one more delivery.
    pub(super) fn park(&mut self) -> u64 {
        let id = self.next;
        self.next += 1;
        self.count += 1;
        id
    }

    /// How many could be handed out now.
    pub(super) fn waiting(&self) -> u64 {
        self.count - self.handed.len() as u64
    }

    /// The oldest that came back, out again.
    pub(super) fn take_returned(&mut self) -> Option<u64> {
        let id = self.returned.pop_first()?;
        self.handed.insert(id);
        Some(id)
    }

    /// The ids that were never handed out begin here.
    pub(super) fn cursor(&self) -> u64 {
        self.cursor
    }

    /// `id`, found at or after the cursor, is handed out.
    pub(super) fn hand_out(&mut self, id: u64) {
        debug_assert!(id >= self.cursor);
        self.cursor = id + 1;
        self.handed.insert(id);
    }

    /// Nothing lies at or after the cursor.
    pub(super) fn exhaust(&mut self) {
        self.cursor = self.next;
    }

    /// The customer took it. False when it was not out.
    pub(super) fn release(&mut self, id: u64) -> bool {
        let was_out = self.handed.remove(&id);
        self.count -= u64::from(was_out);
        was_out
    }

    /// The customer could not take it. False when it was not out.
    pub(super) fn give_back(&mut self, id: u64) -> bool {
        self.handed.remove(&id) && self.returned.insert(id)
    }

    /// The delivery was given up by age, wherever it was; a later release or return of it means nothing.
    pub(super) fn expire(&mut self, id: u64) {
        self.handed.remove(&id);
        self.returned.remove(&id);
        self.count -= 1;
    }
}

/// All shelves; an empty one is dropped, so that the map holds only accounts with something parked.
pub(super) type Shelves = BTreeMap<ShelfName, Shelf>;

/// Deliveries on all shelves of an account.
pub(super) fn count_of(shelves: &Shelves, account: u128) -> u64 {
    CLASSES.iter().filter_map(|class| shelves.get(&(account, *class))).map(Shelf::count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_goes_out_first() {
        let mut shelf = Shelf::default();
        let ids = [shelf.park(), shelf.park(), shelf.park()];
        shelf.hand_out(ids[0]);
        shelf.hand_out(ids[1]);
        assert_eq!((shelf.waiting(), shelf.head()), (1, ids[0]));
        assert!(shelf.give_back(ids[1]));
        assert!(!shelf.give_back(ids[1]), "only once");
        assert!(shelf.release(ids[0]));
        assert!(!shelf.release(ids[0]), "only once");
        assert_eq!((shelf.count(), shelf.head()), (2, ids[1]));
        assert_eq!(shelf.take_returned(), Some(ids[1]));
        assert_eq!((shelf.waiting(), shelf.cursor()), (1, ids[2]));
    }
}
