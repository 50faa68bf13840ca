//! Removes the rows of deliveries that were taken, bit by bit.
//!
//! A customer that comes back takes tens of thousands of parked deliveries a second. Were each row removed at once, the
//! library would have to write its memory out every other second, and other customers' messages wait for that (decision
//! 0022). So what is taken in its turn only moves the shelf's head, and the rows below it are removed here, evenly, over
//! the minutes after. Nothing that was taken is handed out again: a restart goes on at the head.

use super::Embedded;
use crate::rows::{ACCOUNT, number_at, parked_key};
use std::ops::Bound;

/// Rows removed at once, as many as a page of a release has. Every 5 ms that is 6,400 a second.
const ROWS_AT_ONCE: usize = 32;
/// One more at once for so many that are left, on this shelf or on all since the start, so that they cannot grow without
/// end: where 60,000 a second are taken all the time, nine million are left (reckoned).
const ROWS_BEHIND: u64 = 32_768;

impl Embedded {
    /// There are rows to remove.
    pub(crate) fn is_untidy(&self) -> bool {
        !self.untidy.is_empty() && !self.away
    }

    /// Removes some rows of what was taken; on disk with the next commit.
    pub(crate) fn tidy(&mut self) {
        if let Err(error) = self.tidy_shelf() {
            self.outage(&error);
        }
    }

    fn tidy_shelf(&mut self) -> fjall::Result<()> {
        let after = self.sweep.tidied.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.untidy.range((after, Bound::Unbounded)).next().or_else(|| self.untidy.first());
        let Some(name) = next.copied() else { return Ok(()) };
        self.sweep.tidied = Some(name);
        let Some(shelf) = self.shelves.get_mut(&name) else { return Ok(()) };
        let (from, to) = (shelf.cleared(), shelf.head());
        let left = self.counters.released.saturating_sub(self.counters.cleared).max(to.saturating_sub(from));
        let wanted = ROWS_AT_ONCE + (left / ROWS_BEHIND) as usize;
        let mut below = from;
        let mut found = 0;
        for row in self.parked_rows.range(parked_key(name.0, from)..parked_key(name.0, to)).take(wanted) {
            let key = row.key()?;
            below = number_at(&key, ACCOUNT) + 1;
            found += 1;
            self.counters.cleared += 1;
            self.turn.batch.remove(&self.parked_rows, key);
        }
        if shelf.clear(if found < wanted { to } else { below }) {
            self.untidy.remove(&name);
        }
        self.turn.shelves.insert(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreOptions;
    use crate::contract::{park, unpark};
    use relay::{AccountId, ParkedId, StoreAnswer, StoreOp};
    use std::path::Path;

    /// The row that tells the version of all others.
    const FORMAT_ROW: usize = 1;

    fn open(directory: &Path) -> Embedded {
        Embedded::open(&StoreOptions::new(directory.join("store"))).unwrap()
    }

    /// Does these and commits.
    fn done(store: &mut Embedded, ops: Vec<StoreOp>) -> Vec<StoreAnswer> {
        let mut answers = Vec::new();
        ops.into_iter().for_each(|op| store.apply(1, op, &mut answers));
        store.commit().unwrap();
        answers
    }

    fn handed(answers: &[StoreAnswer]) -> Vec<(String, ParkedId)> {
        let StoreAnswer::Unparked { entries, .. } = &answers[0] else { panic!("{answers:?}") };
        entries.iter().map(|one| (String::from_utf8(one.pdu.clone()).unwrap(), one.parked)).collect()
    }

    /// Everything that is left of what was taken, until nothing is.
    fn tidy_all(store: &mut Embedded) -> usize {
        let mut turns = 0;
        while store.is_untidy() {
            store.tidy();
            store.commit().unwrap();
            turns += 1;
            assert!(turns < 1000, "it never ends");
        }
        turns
    }

    fn release(parked: ParkedId) -> StoreOp {
        StoreOp::Release { account: AccountId(1), parked }
    }

    #[test]
    fn rows_of_what_was_taken_go_later_over_a_restart_too() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = open(directory.path());
        done(&mut store, (0..200).map(|number| park(1, &format!("{number}"))).collect());
        let out = handed(&done(&mut store, vec![unpark(1, 150)]));
        done(&mut store, out.iter().map(|(_, parked)| release(*parked)).collect());
        assert_eq!(store.parked_rows.len().unwrap(), 200, "only the head moved");
        store.tidy();
        store.commit().unwrap();
        assert_eq!(store.parked_rows.len().unwrap(), 200 - ROWS_AT_ONCE);

        drop(store);
        let mut store = open(directory.path());
        assert_eq!(store.counters().parked_now, 50);
        assert_eq!(tidy_all(&mut store), (150 - ROWS_AT_ONCE).div_ceil(ROWS_AT_ONCE), "where it was left");
        assert_eq!(store.parked_rows.len().unwrap(), 50);
        let rest = handed(&done(&mut store, vec![unpark(1, 200)]));
        assert_eq!(
            rest.iter().map(|(text, _)| text.parse::<u32>().unwrap()).collect::<Vec<_>>(),
            (150..200).collect::<Vec<_>>()
        );
        done(&mut store, rest.iter().map(|(_, parked)| release(*parked)).collect());
        tidy_all(&mut store);
        assert!(store.parked_rows.is_empty().unwrap() && store.shelf_rows.len().unwrap() == FORMAT_ROW);
        assert!(store.shelves.is_empty() && store.untidy.is_empty());
        assert_eq!(store.counters().cleared, 200 - ROWS_AT_ONCE as u64, "since it was opened");
    }

    #[test]
    fn what_was_taken_out_of_turn_is_not_handed_out_again_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = open(directory.path());
        done(&mut store, ["a", "b", "c", "d"].map(|text| park(1, text)).into());
        let out = handed(&done(&mut store, vec![unpark(1, 3)]));
        done(&mut store, vec![release(out[1].1)]);
        assert_eq!(store.counters().cleared, 1, "at once");
        tidy_all(&mut store);
        drop(store);

        let mut store = open(directory.path());
        let out = handed(&done(&mut store, vec![unpark(1, 9)]));
        assert_eq!(out.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>(), ["a", "c", "d"]);
        let returned = StoreOp::Return { account: AccountId(1), parked: out[1].1 };
        done(&mut store, vec![release(out[0].1), returned, release(out[2].1)]);
        tidy_all(&mut store);
        assert_eq!(handed(&done(&mut store, vec![unpark(1, 9)]))[0].0, "c", "what came back is still there");
        done(&mut store, vec![release(out[1].1)]);
        tidy_all(&mut store);
        assert!(store.parked_rows.is_empty().unwrap() && store.shelf_rows.len().unwrap() == FORMAT_ROW);
    }

    #[test]
    fn many_rows_left_on_many_shelves_go_faster() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = open(directory.path());
        let each = ROWS_BEHIND as u32 / 2 + 1;
        for account in [1, 2] {
            done(&mut store, (0..each).map(|_| park(account, "receipt")).collect());
            let out = handed(&done(&mut store, vec![unpark(account, each)]));
            let taken = |(_, parked)| StoreOp::Release { account: AccountId(account), parked };
            done(&mut store, out.into_iter().map(taken).collect());
        }
        store.tidy();
        assert_eq!(store.counters().cleared, ROWS_AT_ONCE as u64 + 1, "by the rows of both");
    }

    #[test]
    fn a_shelf_that_expired_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = open(directory.path());
        done(&mut store, vec![park(1, "a"), park(1, "b"), park(2, "x"), unpark(1, 1)]);
        let late = 2 + store.limits.time_to_live_seconds;
        for _ in 0..3 {
            store.sweep(late, 100);
        }
        tidy_all(&mut store);
        assert_eq!(store.counters().parked_expired, 3);
        assert!(store.parked_rows.is_empty().unwrap() && store.shelf_rows.len().unwrap() == FORMAT_ROW);
        assert!(store.shelves.is_empty());
    }
}
