//! What is due when: a timer wheel of small entries.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Delivers entries in the order of their millisecond, and within one in the order they came.
///
/// An entry within the next [`SLOTS`] milliseconds costs a push; one further off waits in a heap and moves over
/// when its time comes near.
#[derive(Debug)]
pub(crate) struct Wheel<T> {
    slots: Vec<Vec<T>>,
    /// The millisecond up to which everything was taken out.
    reached: u64,
    far: BinaryHeap<Reverse<Far<T>>>,
    far_serial: u64,
    length: usize,
}

impl<T: Copy> Wheel<T> {
    pub(crate) fn new(now_ns: u64) -> Wheel<T> {
        Wheel {
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            reached: now_ns / MILLISECOND,
            far: BinaryHeap::new(),
            far_serial: 0,
            length: 0,
        }
    }

    /// Enters something; due no sooner than the next millisecond.
    pub(crate) fn insert(&mut self, due_ns: u64, entry: T) {
        let due = due_ns.div_ceil(MILLISECOND).max(self.reached + 1);
        self.length += 1;
        if due - self.reached < SLOTS {
            self.slots[(due % SLOTS) as usize].push(entry);
        } else {
            self.far_serial += 1;
            self.far.push(Reverse(Far { due, serial: self.far_serial, entry }));
        }
    }

    /// Moves everything due at `now_ns` to `out`.
    pub(crate) fn take_due(&mut self, now_ns: u64, out: &mut Vec<T>) {
        let now = now_ns / MILLISECOND;
        if self.length == 0 {
            self.reached = self.reached.max(now);
            return;
        }
        let before = out.len();
        while self.reached < now {
            self.reached += 1;
            out.append(&mut self.slots[(self.reached % SLOTS) as usize]);
            self.bring_near();
        }
        self.length -= out.len() - before;
    }

    /// Moves everything to `out`, whenever it is due.
    pub(crate) fn take_all(&mut self, out: &mut Vec<T>) {
        for slot in 1..=SLOTS {
            out.append(&mut self.slots[((self.reached + slot) % SLOTS) as usize]);
        }
        while let Some(Reverse(far)) = self.far.pop() {
            out.push(far.entry);
        }
        self.length = 0;
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Keeps the far heap beyond the wheel: whatever comes within its span moves to its slot.
    fn bring_near(&mut self) {
        while let Some(Reverse(far)) = self.far.peek() {
            if far.due - self.reached >= SLOTS {
                return;
            }
            if let Some(Reverse(far)) = self.far.pop() {
                self.slots[(far.due % SLOTS) as usize].push(far.entry);
            }
        }
    }
}

#[derive(Debug)]
struct Far<T> {
    due: u64,
    serial: u64,
    entry: T,
}

impl<T> PartialEq for Far<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.serial) == (other.due, other.serial)
    }
}
impl<T> Eq for Far<T> {}
impl<T> PartialOrd for Far<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Far<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.serial).cmp(&(other.due, other.serial))
    }
}

/// Milliseconds the wheel spans: most answers and many receipts come within; an empty slot costs 24 octets.
const SLOTS: u64 = 8192;

/// Nanoseconds of one slot: shells ask every few milliseconds, finer would not be seen.
const MILLISECOND: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_in_order_near_and_far() {
        let mut wheel = Wheel::new(5 * MILLISECOND);
        let dues = [0u64, 7, 7, 6, 8_000, 20_000, 8_191 + 5, 8_192 + 5, 50_000, 20_000];
        for (index, due) in dues.iter().enumerate() {
            wheel.insert(due * MILLISECOND, index);
        }
        let mut out = Vec::new();
        wheel.take_due(5 * MILLISECOND, &mut out);
        assert!(out.is_empty());
        wheel.take_due(10 * MILLISECOND, &mut out);
        assert_eq!(out, [0, 3, 1, 2]);
        wheel.take_due(100_000 * MILLISECOND, &mut out);
        assert_eq!(out, [0, 3, 1, 2, 4, 6, 7, 5, 9, 8]);
        assert_eq!(wheel.len(), 0);
    }

    #[test]
    fn nothing_is_due_early() {
        let mut wheel = Wheel::new(0);
        for due in (1..2_000_000_000u64).step_by(777_777) {
            wheel.insert(due, due);
        }
        let mut out = Vec::new();
        for now in (0..2_100_000_000u64).step_by(5_000_000) {
            out.clear();
            wheel.take_due(now, &mut out);
            assert!(out.iter().all(|&due| due <= now && due + 7 * MILLISECOND >= now), "{now}");
        }
        assert_eq!(wheel.len(), 0);
    }
}
