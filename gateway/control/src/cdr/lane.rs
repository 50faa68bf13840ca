//! The bounded queue of one sink, and what is counted there.

use super::ended_us;
use relay::Record;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, UNIX_EPOCH};

/// What one sink did; read by the metrics.
#[derive(Debug, Default)]
pub struct SinkCounters {
    /// Records written.
    pub written: AtomicU64,
    /// Tries to write a batch that failed; each was followed by another.
    pub failures: AtomicU64,
    /// Records given up: no room under the policy `drop`, or not written in time at the node's end.
    pub dropped: AtomicU64,
    /// Records that wait, those being written among them.
    pub waiting: AtomicU64,
    /// End of the oldest record that waits, microseconds since 1970; 0 when none does.
    oldest_us: AtomicU64,
}

impl SinkCounters {
    /// Age of the oldest record that is not written yet.
    pub fn lag(&self) -> Duration {
        let now = UNIX_EPOCH.elapsed().unwrap_or_default().as_micros() as u64;
        match self.oldest_us.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            oldest => Duration::from_micros(now.saturating_sub(oldest)),
        }
    }
}

/// The queue between the records' thread and one sink's thread.
#[derive(Debug)]
pub(super) struct Lane {
    queue: Mutex<Queue>,
    filled: Condvar,
    max: usize,
    pub(super) counters: SinkCounters,
}

#[derive(Debug, Default)]
struct Queue {
    records: VecDeque<Record>,
    /// Taken by the sink, not written yet.
    in_hand: usize,
    closed: bool,
}

impl Lane {
    /// A lane for at most `max` records.
    pub(super) fn new(max: usize) -> Lane {
        Lane { queue: Mutex::default(), filled: Condvar::new(), max, counters: SinkCounters::default() }
    }

    /// One in which every counter moved.
    #[cfg(test)]
    pub(super) fn busy() -> Lane {
        let lane = Lane::new(1);
        for counter in
            [&lane.counters.written, &lane.counters.failures, &lane.counters.dropped, &lane.counters.waiting]
        {
            counter.store(1, Ordering::Relaxed);
        }
        lane.counters.oldest_us.store(1, Ordering::Relaxed);
        lane
    }

    /// Room for so many.
    pub(super) fn room(&self) -> usize {
        let queue = self.lock();
        self.max.saturating_sub(queue.records.len() + queue.in_hand)
    }

    /// Appends as many as there is room for; the others are counted as dropped.
    pub(super) fn push(&self, records: &[Record]) {
        let mut queue = self.lock();
        let room = self.max.saturating_sub(queue.records.len() + queue.in_hand).min(records.len());
        queue.records.extend(&records[..room]);
        self.counters.dropped.fetch_add((records.len() - room) as u64, Ordering::Relaxed);
        self.show(&queue, None);
        drop(queue);
        self.filled.notify_one();
    }

    /// Nothing comes any more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Takes up to `max` records, waiting for the first one at most so long; false when it is closed and empty.
    pub(super) fn take(&self, batch: &mut Vec<Record>, max: usize, wait: Duration) -> bool {
        let mut queue = self.lock();
        if queue.records.is_empty() && !queue.closed {
            // A poisoned lock means that the other thread panicked; the queue itself is whole after every push.
            queue = match self.filled.wait_timeout(queue, wait) {
                Ok((queue, _)) => queue,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        let count = queue.records.len().min(max);
        batch.extend(queue.records.drain(..count));
        queue.in_hand = batch.len();
        self.show(&queue, batch.first());
        count > 0 || !queue.closed
    }

    /// The batch in hand is written, or given up.
    pub(super) fn done(&self, written: bool) {
        let mut queue = self.lock();
        let counter = if written { &self.counters.written } else { &self.counters.dropped };
        counter.fetch_add(queue.in_hand as u64, Ordering::Relaxed);
        queue.in_hand = 0;
        self.show(&queue, None);
    }

    /// Gives up all that waits; how many there were.
    pub(super) fn give_up(&self) -> u64 {
        let mut queue = self.lock();
        let count = (queue.records.len() + queue.in_hand) as u64;
        (queue.records, queue.in_hand) = (VecDeque::new(), 0);
        self.counters.dropped.fetch_add(count, Ordering::Relaxed);
        self.show(&queue, None);
        count
    }

    fn show(&self, queue: &Queue, in_hand: Option<&Record>) {
        self.counters.waiting.store((queue.records.len() + queue.in_hand) as u64, Ordering::Relaxed);
        if queue.in_hand > 0 && in_hand.is_none() {
            return; // the oldest is in hand, and was shown when it was taken
        }
        let oldest = in_hand.or(queue.records.front()).map_or(0, ended_us);
        self.counters.oldest_us.store(oldest, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
