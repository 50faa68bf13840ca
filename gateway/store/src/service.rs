//! The thread that owns the store: takes what every shard has queued, does it as one turn, commits, answers.

use super::desk::{Desk, thread_waker, unix_seconds};
use super::pace::Pace;
use super::redis::Word;
use super::{Batch, Durability, OpenError, Store, StoreCounters, StoreOptions};
use arc_swap::ArcSwap;
use relay::{StoreAnswer, StoreOp};
use runtime::{Receiver, Sender, mailbox};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Operations and answers that a mailbox holds, each way and shard; about 150 bytes each. A shard whose mailbox is
/// full waits (see the relay's `store_wait_max`): 16,384 is some 60 ms of the store's work.
pub const STORE_MAILBOX_LENGTH: usize = 16_384;
/// Turns after which a store that was told to end does so: as many as a full mailbox takes, so that a shard that still
/// asks cannot keep it.
const LAST_TURNS: usize = STORE_MAILBOX_LENGTH / TURN_OPS_MAX + 1;
/// Operations of one shard that one turn takes, so that a turn stays within a few milliseconds.
const TURN_OPS_MAX: usize = 4096;
/// A turn of so many operations says that the store is busy: the next one then waits [`LINGER`] so that it is larger,
/// which spares wake-ups on a shared core.
const TURN_OPS_BUSY: usize = 64;
/// How long a busy store waits for more; adds to the answer's latency.
const LINGER: Duration = Duration::from_micros(100);
/// How long to wait for room in a shard's mailbox of answers.
const ROOM_WAIT: Duration = Duration::from_millis(1);
/// How often what is too old is looked for.
const SWEEP_EVERY: Duration = Duration::from_millis(100);
/// Entries of each kind looked at in one sweep: gives up 40,000 correlations a second.
const SWEEP_BUDGET: usize = 4096;
/// How often a little of the work that can wait is done while there is some.
const TIDY_EVERY: Duration = Duration::from_millis(5);
/// How often at most the log says that vendors give ids again.
const WARN_EVERY: Duration = Duration::from_secs(60);
/// How often the counters are shown.
const REPORT_EVERY: Duration = Duration::from_millis(250);

/// One shard's end of the store.
pub struct StorePort {
    /// Operations, in order; ring after a batch.
    pub ops: Sender<StoreOp>,
    /// Their answers.
    pub answers: Receiver<StoreAnswer>,
}

/// The running store. It ends when every shard has dropped its port and all is done.
pub struct StoreThread {
    handle: JoinHandle<()>,
    ending: Arc<AtomicBool>,
    report: Arc<ArcSwap<StoreCounters>>,
}

impl StoreThread {
    /// Where the newest counters lie; refreshed every 250 ms.
    pub fn report(&self) -> Arc<ArcSwap<StoreCounters>> {
        self.report.clone()
    }

    /// Ends it although shards still hold their ports: what they have asked so far is done and committed. For a shard
    /// that did not end in time.
    pub fn end(self) -> Result<(), String> {
        self.ending.store(true, Ordering::Release);
        self.handle.thread().unpark();
        self.join()
    }

    /// Waits for the end; an error names a panic.
    pub fn join(self) -> Result<(), String> {
        self.handle.join().map_err(|_| "the store's thread panicked".to_string())
    }
}

/// Opens the embedded store and starts its thread, with one port for each shard. The ports are in the shards' order.
///
/// # Errors
/// [`OpenError`], before anything was started.
pub fn start(options: &StoreOptions, shards: usize) -> Result<(StoreThread, Vec<StorePort>), OpenError> {
    let store = open(options)?;
    let mut ports = Vec::with_capacity(shards);
    let mut desks = Vec::with_capacity(shards);
    for _ in 0..shards {
        let (ops, ops_in) = mailbox(STORE_MAILBOX_LENGTH);
        let (answers_out, answers) = mailbox(STORE_MAILBOX_LENGTH);
        ports.push(StorePort { ops, answers });
        desks.push(Desk::new(ops_in, answers_out));
    }
    let report = Arc::new(ArcSwap::from_pointee(store.counters()));
    let shown = report.clone();
    let ending = Arc::new(AtomicBool::new(false));
    let told = ending.clone();
    let pace = Pace::new(options.release_rate, Instant::now());
    let run = move || Service::new(store, desks, pace, shown).run(&told);
    let handle = thread::Builder::new().name("store".into()).spawn(run);
    let handle = handle.map_err(|error| OpenError::Broken {
        directory: options.directory.clone(),
        reason: format!("no thread for the store: {error}"),
    })?;
    Ok((StoreThread { handle, ending, report }, ports))
}

fn open(options: &StoreOptions) -> Result<Store, OpenError> {
    if let Some(redis) = &options.redis {
        let store = Store::redis(options, redis)?;
        if let Store::Redis(opened) = &store {
            tracing::info!(redis = opened.place(), away = store.counters().away == 1, "store opened");
        }
        return Ok(store);
    }
    let store = Store::embedded(options)?;
    tracing::info!(
        directory = %options.directory.display(),
        open = store.counters().open_recent,
        parked = store.counters().parked_now,
        survives = match options.durability { Durability::Process => "kill -9", Durability::Disk => "power loss" },
        "store opened"
    );
    Ok(store)
}

struct Service {
    store: Store,
    /// What the store has to say unasked, for every desk.
    words: Vec<Word>,
    desks: Vec<Desk<StoreOp, StoreAnswer>>,
    /// Desks to which hints were not given because the outbox was full.
    missed_words: Vec<bool>,
    batches: Vec<Batch>,
    pace: Pace,
    report: Arc<ArcSwap<StoreCounters>>,
    waker: Waker,
    swept_at: Instant,
    tidied_at: Instant,
    reported_at: Instant,
    /// Ids given again that the log told of, and when.
    warned: (u64, Option<Instant>),
}

impl Service {
    fn new(
        store: Store,
        desks: Vec<Desk<StoreOp, StoreAnswer>>,
        pace: Pace,
        report: Arc<ArcSwap<StoreCounters>>,
    ) -> Service {
        Service {
            store,
            words: Vec::new(),
            batches: desks.iter().map(|_| Batch::default()).collect(),
            missed_words: vec![false; desks.len()],
            desks,
            pace,
            report,
            waker: thread_waker(),
            swept_at: Instant::now(),
            tidied_at: Instant::now(),
            reported_at: Instant::now(),
            warned: (0, None),
        }
    }

    fn run(mut self, ending: &AtomicBool) {
        self.waker = match &self.store {
            Store::Redis(store) => store.waker(),
            _ => thread_waker(),
        };
        let mut turns_left = LAST_TURNS;
        while turns_left > 0 && self.wait(ending) {
            let now = Instant::now();
            self.pace.hold(now, &mut self.batches);
            self.pace.release(now, &mut self.batches);
            let taken: usize = self.batches.iter().map(|batch| batch.ops.len()).sum();
            if taken > 0 {
                self.store.turn(unix_seconds(), &mut self.batches);
                self.pace.charge(Instant::now(), &self.batches);
            }
            self.hand_out();
            self.words.extend(self.store.take_words());
            self.tell_all();
            self.look_after();
            if ending.load(Ordering::Acquire) {
                turns_left = if taken > 0 { turns_left - 1 } else { 0 };
            } else if taken >= TURN_OPS_BUSY {
                thread::sleep(LINGER);
            }
        }
        if let Store::Redis(store) = &mut self.store {
            store.finish();
        }
        self.report.store(Arc::new(self.counters()));
    }

    /// Takes what is queued, waiting for it if there is nothing and it is not to end; false when no shard is left.
    fn wait(&mut self, ending: &AtomicBool) -> bool {
        let mut deadline = Instant::now() + SWEEP_EVERY;
        if self.store.is_untidy() {
            deadline = deadline.min(self.tidied_at + TIDY_EVERY);
        }
        loop {
            if let Store::Redis(store) = &mut self.store {
                store.poll();
            }
            self.words.extend(self.store.take_words());
            let mut open = 0;
            let mut taken = 0;
            let mut blocked = false;
            for (desk, batch) in self.desks.iter_mut().zip(&mut self.batches) {
                desk.deliver();
                blocked |= !desk.outbox.is_empty();
                open += usize::from(!desk.closed || !desk.outbox.is_empty());
                if desk.outbox.is_empty() && !desk.closed {
                    desk.take(&mut batch.ops, TURN_OPS_MAX, &self.waker);
                    taken += batch.ops.len();
                }
            }
            if open == 0 || taken > 0 || !self.words.is_empty() {
                return open > 0 || taken > 0;
            }
            let due = self.pace.due().map_or(deadline, |due| due.min(deadline));
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() || ending.load(Ordering::Acquire) {
                return true;
            }
            let time = if blocked { ROOM_WAIT.min(left) } else { left };
            match &mut self.store {
                Store::Redis(store) => store.wait(time),
                _ => thread::park_timeout(time),
            }
        }
    }

    fn hand_out(&mut self) {
        for (desk, batch) in self.desks.iter_mut().zip(&mut self.batches) {
            desk.outbox.extend(batch.answers.drain(..));
            desk.deliver();
        }
    }

    /// Hands the store's own words to every shard. One that does not take its answers misses hints, and is told to ask
    /// when it does.
    fn tell_all(&mut self) {
        for word in std::mem::take(&mut self.words) {
            for (desk, missed) in self.desks.iter_mut().zip(&mut self.missed_words) {
                if desk.outbox.len() < STORE_MAILBOX_LENGTH || matches!(word, Word::Room(_)) {
                    desk.outbox.push_back(word.answer());
                } else {
                    *missed = true;
                }
            }
        }
        for (desk, missed) in self.desks.iter_mut().zip(&mut self.missed_words) {
            desk.deliver();
            if *missed && desk.outbox.is_empty() {
                *missed = false;
                desk.outbox.push_back(StoreAnswer::AskAgain);
                desk.deliver();
            }
        }
    }

    fn look_after(&mut self) {
        let now = Instant::now();
        if now - self.swept_at >= SWEEP_EVERY {
            self.swept_at = now;
            self.store.sweep(unix_seconds(), SWEEP_BUDGET);
        }
        if now - self.tidied_at >= TIDY_EVERY && self.store.is_untidy() {
            self.tidied_at = now;
            self.store.tidy();
        }
        if now - self.reported_at >= REPORT_EVERY {
            self.reported_at = now;
            let counters = self.counters();
            self.warn(now, &counters);
            self.report.store(Arc::new(counters));
        }
    }

    /// Vendors that give ids again are told of, but not for each.
    fn warn(&mut self, now: Instant, counters: &StoreCounters) {
        let (told, at) = self.warned;
        let is_time = at.is_none_or(|at| now - at >= WARN_EVERY);
        if counters.given_again > told && is_time {
            self.warned = (counters.given_again, Some(now));
            tracing::warn!(
                ids = counters.given_again - told,
                displaced = counters.displaced,
                "vendors gave ids to messages while other open messages had them: receipts go by the handset's number"
            );
        }
    }

    fn counters(&self) -> StoreCounters {
        StoreCounters { unpaced: self.pace.unpaced(), ..self.store.counters() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{correlation, key, park, unpark};
    use relay::MessageKey;

    #[test]
    fn two_shards_are_served_and_the_thread_ends_with_them() {
        let directory = tempfile::tempdir().unwrap();
        let (thread, mut ports) = start(&StoreOptions::new(directory.path().join("store")), 2).unwrap();
        let count = 3000; // more than a test would answer one by one, less than a mailbox
        for (shard, port) in ports.iter_mut().enumerate() {
            for number in 0..count {
                let message = MessageKey::from_u64(number);
                let key = key(shard as u128, number);
                port.ops.push(StoreOp::Remember { message, key, correlation: correlation(number) }).unwrap();
            }
            port.ops.ring();
        }
        for port in &mut ports {
            let mut answers = Vec::new();
            while answers.len() < count as usize {
                port.answers.receive_blocking(&mut answers, usize::MAX, Duration::from_secs(10)).unwrap();
            }
            for (number, answer) in answers.iter().enumerate() {
                let message = MessageKey::from_u64(number as u64);
                assert_eq!(*answer, StoreAnswer::Remembered { message, outcome: Ok(()) });
            }
        }
        let report = thread.report();
        drop(ports);
        thread.join().unwrap();
        assert_eq!(report.load().remembered, 2 * count);
    }

    #[test]
    fn what_was_asked_is_kept_although_a_shard_does_not_end() {
        let directory = tempfile::tempdir().unwrap();
        let options = StoreOptions::new(directory.path().join("store"));
        let (thread, mut ports) = start(&options, 1).unwrap();
        let count = 10_000; // more than one turn takes; nobody reads the answers
        for number in 0..count {
            let message = MessageKey::from_u64(number);
            let key = key(0, number);
            ports[0].ops.push(StoreOp::Remember { message, key, correlation: correlation(number) }).unwrap();
        }
        thread.end().unwrap();
        let (thread, new_ports) = start(&options, 1).unwrap();
        assert_eq!(thread.report().load().open_recent, count);
        drop((ports, new_ports));
        thread.join().unwrap();
    }

    #[test]
    fn rows_of_what_was_taken_go_while_nobody_asks() {
        let directory = tempfile::tempdir().unwrap();
        let (thread, mut ports) = start(&StoreOptions::new(directory.path().join("store")), 1).unwrap();
        let mut ask = |ops: Vec<StoreOp>, wanted: usize| {
            ops.into_iter().for_each(|op| ports[0].ops.push(op).unwrap());
            ports[0].ops.ring();
            let mut answers = Vec::new();
            while answers.len() < wanted {
                ports[0].answers.receive_blocking(&mut answers, usize::MAX, Duration::from_secs(10)).unwrap();
            }
            answers
        };
        ask((0..20).map(|_| park(1, "receipt")).collect(), 20);
        let answers = ask(vec![unpark(1, 20)], 1);
        let StoreAnswer::Unparked { account, entries, .. } = &answers[0] else { panic!("{answers:?}") };
        ask(
            entries.iter().map(|one| StoreOp::Release { account: *account, parked: one.parked }).collect(),
            0,
        );
        let (report, deadline) = (thread.report(), Instant::now() + Duration::from_secs(10));
        while report.load().cleared < 20 {
            assert!(Instant::now() < deadline, "still there: {:?}", report.load());
            thread::yield_now();
        }
        drop(ports);
        thread.join().unwrap();
    }

    #[test]
    fn one_directory_serves_one_store() {
        let directory = tempfile::tempdir().unwrap();
        let options = StoreOptions::new(directory.path().join("store"));
        let first = start(&options, 1).unwrap();
        let Err(error) = start(&options, 1) else { panic!("opened twice") };
        assert!(error.to_string().contains("in use by another process"), "{error}");
        drop(first.1);
        first.0.join().unwrap();
        assert!(start(&options, 1).is_ok(), "free again");
    }
}
