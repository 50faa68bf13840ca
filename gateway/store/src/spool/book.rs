//! Which message is where: lent to a shard, or waiting until it is due. Pure; the messages themselves lie in the log.

use super::note::Note;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use journal::Position;
use std::collections::BTreeSet;

/// Since the spool was opened, milliseconds.
pub(super) type Millis = u64;

/// What the book knows of one message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Where it lies in the journal.
    pub(super) position: Position,
    /// Octets of its PDU.
    pub(super) octets: u32,
    /// When its validity ends, seconds since 1970 UTC.
    pub(super) expires_at: u32,
    pub(super) tries: u16,
    pub(super) note: Note,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// Found by the opening, which is not over.
    Found,
    /// With the shard at this desk.
    Lent(u8),
    /// In one of the sets.
    Waiting,
}

/// See the module.
#[derive(Default)]
pub(super) struct Book {
    rows: HashMap<u64, Row, FixedState>,
    /// By the time they are due, then by id, which is the order of acceptance.
    waiting: BTreeSet<(Millis, u64)>,
    /// The same of those that wait for their end, and are not hastened.
    held: BTreeSet<(Millis, u64)>,
    /// Due at once, whatever their time says: a vendor came back.
    hastened: BTreeSet<(Millis, u64)>,
    octets: u64,
}

impl Book {
    pub(super) fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    pub(super) fn octets(&self) -> u64 {
        self.octets
    }

    pub(super) fn waiting(&self) -> u64 {
        (self.waiting.len() + self.held.len() + self.hastened.len()) as u64
    }

    pub(super) fn contains(&self, id: u64) -> bool {
        self.rows.contains_key(&id)
    }

    /// A message found by the opening; found again, it lies where it was found last.
    pub(super) fn restore(&mut self, id: u64, octets: u32, expires_at: u32, position: Position) {
        match self.rows.get_mut(&id) {
            Some(row) => row.position = position,
            None => self.insert(id, octets, expires_at, Place::Found, position),
        }
    }

    /// The opening is over: all that it found is due at once.
    pub(super) fn restored(&mut self) {
        for (id, row) in self.rows.iter_mut().filter(|(_, row)| row.place == Place::Found) {
            row.place = Place::Waiting;
            self.waiting.insert((0, *id));
        }
    }

    /// Where all messages lie, in no order.
    pub(super) fn positions(&self) -> impl Iterator<Item = Position> {
        self.rows.values().map(|row| row.position)
    }

    /// It lies elsewhere now.
    pub(super) fn move_to(&mut self, id: u64, position: Position) {
        if let Some(row) = self.rows.get_mut(&id) {
            row.position = position;
        }
    }

    /// What was known of a message found at the opening; false when it is not there.
    pub(super) fn restore_note(&mut self, id: u64, note: Note) -> bool {
        self.rows.get_mut(&id).map(|row| row.note = note).is_some()
    }

    /// A message accepted from the shard at `desk`, which keeps it for now.
    pub(super) fn accept(&mut self, id: u64, octets: u32, expires_at: u32, desk: u8, position: Position) {
        self.insert(id, octets, expires_at, Place::Lent(desk), position);
    }

    fn insert(&mut self, id: u64, octets: u32, expires_at: u32, place: Place, position: Position) {
        let row = Row { position, octets, expires_at, tries: 0, note: Note::default(), place };
        let before = self.rows.insert(id, row);
        debug_assert!(before.is_none(), "ids are never given twice");
        self.octets += u64::from(octets);
    }

    /// Drops a lent message; false when it is not there or not lent.
    pub(super) fn settle(&mut self, id: u64) -> bool {
        if !self.is_lent(id) {
            return false;
        }
        self.drop_row(id);
        true
    }

    /// Takes a message out that the log could not keep.
    pub(super) fn drop_row(&mut self, id: u64) {
        if let Some(row) = self.rows.remove(&id) {
            self.octets -= u64::from(row.octets);
        }
    }

    /// A lent message waits from now on. False when it is not there or not lent.
    pub(super) fn defer(&mut self, id: u64, due: Millis, tries: u16, note: Note) -> bool {
        let waits = self.put_back(id, tries, note);
        if waits {
            self.waiting.insert((due, id));
        }
        waits
    }

    /// The same, and nothing hastens it.
    pub(super) fn defer_to_its_end(&mut self, id: u64, end: Millis, tries: u16, note: Note) -> bool {
        let waits = self.put_back(id, tries, note);
        if waits {
            self.held.insert((end, id));
        }
        waits
    }

    /// A copy of a lent message is about to go. False when it is not there or not lent.
    pub(super) fn note(&mut self, id: u64, note: Note) -> bool {
        let is_lent = self.is_lent(id);
        if is_lent && let Some(row) = self.rows.get_mut(&id) {
            row.note = note;
        }
        is_lent
    }

    fn put_back(&mut self, id: u64, tries: u16, note: Note) -> bool {
        if !self.is_lent(id) {
            return false;
        }
        let Some(row) = self.rows.get_mut(&id) else { return false };
        (row.tries, row.place) = (tries, Place::Waiting);
        row.note = note;
        true
    }

    pub(super) fn row(&self, id: u64) -> Option<&Row> {
        self.rows.get(&id)
    }

    fn is_lent(&self, id: u64) -> bool {
        self.rows.get(&id).is_some_and(|row| matches!(row.place, Place::Lent(_)))
    }

    /// The one that is longest due, lent to the shard at `desk`.
    pub(super) fn lend_due(&mut self, now: Millis, desk: u8) -> Option<(u64, Row)> {
        let id = match self.hastened.pop_first() {
            Some((_, id)) => id,
            None => {
                let first = |set: &BTreeSet<(Millis, u64)>| set.first().map_or(Millis::MAX, |(due, _)| *due);
                let is_held = first(&self.held) < first(&self.waiting);
                let set = if is_held { &mut self.held } else { &mut self.waiting };
                set.first().filter(|(due, _)| *due <= now)?;
                set.pop_first()?.1
            }
        };
        let row = self.rows.get_mut(&id)?;
        row.place = Place::Lent(desk);
        Some((id, *row))
    }

    /// Whether another could be handed out.
    pub(super) fn has_due(&self, now: Millis) -> bool {
        let has = |set: &BTreeSet<(Millis, u64)>| set.first().is_some_and(|(due, _)| *due <= now);
        !self.hastened.is_empty() || has(&self.waiting) || has(&self.held)
    }

    /// All that waits is due, but for what waits for its end.
    pub(super) fn hasten(&mut self) {
        if self.hastened.is_empty() {
            std::mem::swap(&mut self.waiting, &mut self.hastened);
        } else {
            self.hastened.append(&mut self.waiting);
        }
    }

    /// A shard is gone: what it had is due again. Looks at every message.
    pub(super) fn take_back(&mut self, desk: u8) {
        for (id, row) in self.rows.iter_mut().filter(|(_, row)| row.place == Place::Lent(desk)) {
            row.place = Place::Waiting;
            row.note.unknown_copies = row.note.unknown_copies.max(1); // what a shard did last is not known
            self.waiting.insert((0, *id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAYBE_SENT: Note = Note { unknown_copies: 1, is_last: false, fate: None };

    fn due(book: &mut Book, now: Millis) -> Vec<u64> {
        std::iter::from_fn(|| book.lend_due(now, 1)).map(|(id, _)| id).collect()
    }

    #[test]
    fn each_is_handed_out_when_it_is_due_and_not_twice() {
        let mut book = Book::default();
        for id in [3, 1, 2, 4] {
            book.restore(id, 10, 0, Position(id));
        }
        book.drop_row(4);
        book.restored();
        assert_eq!(due(&mut book, 0), [1, 2, 3], "in the order of acceptance");
        assert!(book.defer(2, 50, 1, Note::default()));
        assert!(!book.defer(2, 60, 2, Note::default()), "it is not lent");
        assert!(book.defer(1, 70, 1, MAYBE_SENT));
        assert_eq!(due(&mut book, 49), [] as [u64; 0]);
        assert_eq!(due(&mut book, 80), [2, 1]);
        let copies = |id| book.row(id).unwrap().note.unknown_copies;
        assert_eq!((copies(1), copies(2)), (1, 0));
        assert!(book.settle(3) && !book.settle(3));
        assert_eq!((book.len(), book.octets(), book.waiting()), (2, 20, 0));
    }

    #[test]
    fn what_is_hastened_comes_before_its_time_once() {
        let mut book = Book::default();
        for id in 1..=3 {
            book.accept(id, 1, 0, 0, Position(id));
            assert!(book.defer(id, 1_000 - id, 1, Note::default()));
        }
        book.hasten();
        assert!(book.has_due(0));
        assert_eq!(book.lend_due(0, 0).unwrap().0, 3);
        assert!(book.defer(3, 2_000, 2, Note::default()));
        assert_eq!(due(&mut book, 0), [2, 1], "what was deferred since waits");
        assert!(!book.has_due(1_999) && book.has_due(2_000));
    }

    #[test]
    fn what_waits_for_its_end_is_not_hastened() {
        let mut book = Book::default();
        for id in 1..=2 {
            book.accept(id, 1, 0, 0, Position(id));
        }
        assert!(book.defer_to_its_end(1, 500, 0, MAYBE_SENT));
        assert!(!book.defer_to_its_end(1, 500, 0, MAYBE_SENT), "it is not lent");
        assert!(book.defer(2, 900, 1, Note::default()));
        book.hasten();
        assert_eq!(book.waiting(), 2);
        assert_eq!(due(&mut book, 499), [2]);
        assert!(!book.has_due(499) && book.has_due(500));
        assert_eq!(due(&mut book, 500), [1]);
    }

    #[test]
    fn a_shard_that_is_gone_gives_everything_back() {
        let mut book = Book::default();
        for id in 1..=4 {
            book.accept(id, 1, 0, (id % 2) as u8, Position(id));
        }
        book.take_back(1);
        assert_eq!(due(&mut book, 0), [1, 3]);
        assert_eq!(book.waiting(), 0);
    }
}
