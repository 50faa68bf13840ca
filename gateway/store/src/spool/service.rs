//! The thread that owns the spool.

use super::book::Millis;
use super::log::{Batch, Log};
use super::{SpoolCounters, SpoolOptions};
use crate::OpenError;
use crate::desk::{Desk, thread_waker, unix_seconds};
use arc_swap::ArcSwap;
use journal::Disk;
use relay::{SpoolAnswer, SpoolOp};
use runtime::{Receiver, Sender, mailbox};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Operations and answers that a mailbox holds, each way and shard; about 100 bytes each. At 10 ms a sync that is more
/// than a shard submits in four turns.
pub const SPOOL_MAILBOX_LENGTH: usize = 8_192;
/// Operations of one shard that one turn takes: a batch of some megabytes at most, so that a turn stays short.
const TURN_OPS_MAX: usize = 4_096;
/// Turns after which a spool that was told to end does so: as many as a full mailbox takes.
const LAST_TURNS: usize = SPOOL_MAILBOX_LENGTH / TURN_OPS_MAX + 1;
/// How long to wait for room in a shard's mailbox of answers.
const ROOM_WAIT: Duration = Duration::from_millis(1);
/// How often the counters are shown, and the longest sleep.
const REPORT_EVERY: Duration = Duration::from_millis(250);

/// One shard's end of the spool.
pub struct SpoolPort {
    /// Operations, in order; ring after a batch.
    pub ops: Sender<SpoolOp>,
    /// Their answers.
    pub answers: Receiver<SpoolAnswer>,
}

/// The running spool. It ends when every shard has dropped its port and all is done.
pub struct SpoolThread {
    handle: JoinHandle<()>,
    ending: Arc<AtomicBool>,
    report: Arc<ArcSwap<SpoolCounters>>,
}

impl SpoolThread {
    /// Where the newest counters lie; refreshed every 250 ms.
    pub fn report(&self) -> Arc<ArcSwap<SpoolCounters>> {
        self.report.clone()
    }

    /// Ends it although shards still hold their ports: what they have asked so far is done and committed.
    pub fn end(self) -> Result<(), String> {
        self.ending.store(true, Ordering::Release);
        self.handle.thread().unpark();
        self.join()
    }

    /// Waits for the end; an error names a panic.
    pub fn join(self) -> Result<(), String> {
        self.handle.join().map_err(|_| "the spool's thread panicked".to_string())
    }
}

/// Opens the spool and starts its thread, with one port for each shard, in their order.
///
/// # Errors
/// [`OpenError`], before anything was started.
pub fn start(options: &SpoolOptions, shards: usize) -> Result<(SpoolThread, Vec<SpoolPort>), OpenError> {
    let lock = super::lock(&options.directory)?;
    super::convert::convert(options)?;
    let (disk, place) = super::place_of(&options.directory);
    let log = Log::open(disk, place, options)?;
    let counters = log.counters();
    tracing::info!(directory = %options.directory.display(), messages = counters.entries, "spool opened");
    let mut ports = Vec::with_capacity(shards);
    let mut desks = Vec::with_capacity(shards);
    for _ in 0..shards {
        let (ops, ops_in) = mailbox(SPOOL_MAILBOX_LENGTH);
        let (answers_out, answers) = mailbox(SPOOL_MAILBOX_LENGTH);
        ports.push(SpoolPort { ops, answers });
        desks.push(Desk::new(ops_in, answers_out));
    }
    let report = Arc::new(ArcSwap::from_pointee(counters));
    let shown = report.clone();
    let ending = Arc::new(AtomicBool::new(false));
    let told = ending.clone();
    let run = move || Service::new(lock, log, desks, shown).run(&told);
    let handle = thread::Builder::new().name("spool".into()).spawn(run);
    let handle = handle.map_err(|error| OpenError::Broken {
        directory: options.directory.clone(),
        reason: format!("no thread for the spool: {error}"),
    })?;
    Ok((SpoolThread { handle, ending, report }, ports))
}

struct Service {
    /// Held until the end.
    _lock: File,
    log: Log<Disk>,
    desks: Vec<Desk<SpoolOp, SpoolAnswer>>,
    batches: Vec<Batch>,
    /// Desks whose messages were taken back.
    gone: Vec<bool>,
    report: Arc<ArcSwap<SpoolCounters>>,
    waker: Waker,
    began: Instant,
    reported_at: Instant,
}

impl Service {
    fn new(
        lock: File,
        log: Log<Disk>,
        desks: Vec<Desk<SpoolOp, SpoolAnswer>>,
        report: Arc<ArcSwap<SpoolCounters>>,
    ) -> Service {
        Service {
            _lock: lock,
            log,
            batches: desks.iter().map(|_| Batch::default()).collect(),
            gone: desks.iter().map(|_| false).collect(),
            desks,
            report,
            waker: thread_waker(),
            began: Instant::now(),
            reported_at: Instant::now(),
        }
    }

    fn run(mut self, ending: &AtomicBool) {
        self.waker = thread_waker();
        let mut turns_left = LAST_TURNS;
        while turns_left > 0 && self.wait(ending) {
            let taken: usize = self.batches.iter().map(|batch| batch.ops.len()).sum();
            let now = self.began.elapsed().as_millis() as Millis;
            if taken > 0 {
                self.log.turn(now, unix_seconds(), &mut self.batches);
                self.hand_out();
                self.log.tidy(now);
            } else {
                self.log.rest(now);
            }
            self.look_after();
            if ending.load(Ordering::Acquire) {
                turns_left = if taken > 0 { turns_left - 1 } else { 0 };
            }
        }
        self.report.store(Arc::new(self.log.close()));
    }

    /// Takes what is queued, waiting for it if there is nothing and it is not to end; false when no shard is left.
    fn wait(&mut self, ending: &AtomicBool) -> bool {
        let deadline = Instant::now() + REPORT_EVERY;
        loop {
            let (mut open, mut taken, mut blocked) = (0, 0, false);
            for (desk, batch) in self.desks.iter_mut().zip(&mut self.batches) {
                desk.deliver();
                blocked |= !desk.outbox.is_empty();
                open += usize::from(!desk.closed || !desk.outbox.is_empty());
                if desk.outbox.is_empty() && !desk.closed {
                    desk.take(&mut batch.ops, TURN_OPS_MAX, &self.waker);
                    taken += batch.ops.len();
                }
            }
            if open == 0 || taken > 0 {
                return open > 0 || taken > 0;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || ending.load(Ordering::Acquire) {
                return true;
            }
            thread::park_timeout(if blocked { ROOM_WAIT.min(left) } else { left });
        }
    }

    fn hand_out(&mut self) {
        for (desk, batch) in self.desks.iter_mut().zip(&mut self.batches) {
            desk.outbox.extend(batch.answers.drain(..));
            desk.deliver();
        }
    }

    fn look_after(&mut self) {
        for ((index, desk), gone) in (0u8..).zip(&self.desks).zip(&mut self.gone) {
            if desk.closed && !*gone {
                *gone = true;
                self.log.take_back(index);
            }
        }
        let now = Instant::now();
        if now - self.reported_at >= REPORT_EVERY {
            self.reported_at = now;
            self.report.store(Arc::new(self.log.counters()));
        }
    }
}
