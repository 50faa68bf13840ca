//! What the threads of one simulator share: the ledger, orders from outside, and when the timeline began.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ledger::{Kind, MessageKey, Meta, Record, Writer};
use smpp::time::Instant;

use crate::faults::FaultSpec;
use crate::report::SiteReport;

/// What a shard can be told.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    Report,
    Inject(FaultSpec),
    Heal,
    ReleaseReceipts,
    /// As at the start; connections stay.
    Reset,
}

/// An order and where the state after it goes.
pub(crate) struct Directive {
    pub(crate) order: Order,
    pub(crate) reply: mpsc::SyncSender<Vec<SiteReport>>,
}

/// One per simulator.
pub(crate) struct Shared {
    /// Monotonic time of the first submit, nanoseconds; 0 = not yet.
    pub(crate) start_ns: AtomicU64,
    /// The timeline begins at once, not with the first submit.
    starts_ready: bool,
    shards: Vec<Inbox>,
}

#[derive(Default)]
struct Inbox {
    /// Looked at every tick without taking the lock.
    is_full: AtomicBool,
    directives: Mutex<Vec<Directive>>,
}

impl Shared {
    pub(crate) fn new(shards: usize, start_ns: u64) -> Shared {
        Shared {
            start_ns: AtomicU64::new(start_ns),
            starts_ready: start_ns != 0,
            shards: (0..shards).map(|_| Inbox::default()).collect(),
        }
    }

    pub(crate) fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// The timeline begins anew; tells when, unless it waits for the first submit.
    pub(crate) fn restart(&self) -> Option<Instant> {
        let start_ns = if self.starts_ready { runtime::monotonic_nanos() } else { 0 };
        self.start_ns.store(start_ns, Ordering::Relaxed);
        self.starts_ready.then(|| Instant::from_nanos(start_ns))
    }

    /// Gives an order to every shard and waits for what they say; shards that do not answer are left out.
    pub(crate) fn ask(&self, order: &Order) -> Vec<SiteReport> {
        let (reply, answers) = mpsc::sync_channel(self.shards.len().max(1));
        for inbox in &self.shards {
            let directive = Directive { order: order.clone(), reply: reply.clone() };
            lock(&inbox.directives).push(directive);
            inbox.is_full.store(true, Ordering::Release);
        }
        drop(reply);
        let mut reports = Vec::new();
        for _ in &self.shards {
            match answers.recv_timeout(REPLY_TIMEOUT) {
                Ok(sites) => reports.extend(sites),
                Err(_) => break,
            }
        }
        reports.sort_by(|one: &SiteReport, two| one.name.cmp(&two.name));
        reports
    }

    pub(crate) fn take_directives(&self, shard: usize) -> Vec<Directive> {
        let inbox = &self.shards[shard];
        if !inbox.is_full.swap(false, Ordering::Acquire) {
            return Vec::new();
        }
        std::mem::take(&mut lock(&inbox.directives))
    }
}

/// The ledger as one shard sees it. Clones write to the same file.
#[derive(Clone)]
pub(crate) struct Sink {
    writer: Option<Arc<Mutex<Option<Writer>>>>,
    flushed: Instant,
}

impl Sink {
    /// No ledger: records are dropped.
    pub(crate) fn none() -> Sink {
        Sink { writer: None, flushed: Instant::default() }
    }

    pub(crate) fn create(path: &Path, meta: &Meta) -> io::Result<Sink> {
        let writer = Writer::create(path, meta)?;
        Ok(Sink { writer: Some(Arc::new(Mutex::new(Some(writer)))), flushed: Instant::default() })
    }

    /// Takes all records. The lock is taken once for many of them.
    pub(crate) fn append(&self, records: &mut Vec<Record>) {
        if let (Some(writer), false) = (&self.writer, records.is_empty()) {
            let mut writer = lock(writer);
            let result = match writer.as_mut() {
                Some(writer) => records.iter().try_for_each(|record| writer.append(record)),
                None => Ok(()),
            };
            give_up_on_error(&mut writer, result);
        }
        records.clear();
    }

    /// Whether there is a ledger.
    pub(crate) fn is_kept(&self) -> bool {
        self.writer.is_some()
    }

    /// A ledger that is read while the simulator runs, or after it was killed, is no older than a second, and its
    /// mark says up to when this shard's records stand in it.
    pub(crate) fn flush_when_old(&mut self, now: Instant, shard: usize, shards: usize) {
        if now.saturating_since(self.flushed) >= FLUSH_EVERY {
            self.flushed = now;
            let mark = Record {
                number: shard as u32,
                extra: shards as u64,
                ..Record::new(Kind::Mark, 0, MessageKey::default(), unix_now_ns())
            };
            self.append(&mut vec![mark]);
            self.flush();
        }
    }

    pub(crate) fn flush(&self) {
        if let Some(writer) = &self.writer {
            let mut writer = lock(writer);
            let result = writer.as_mut().map_or(Ok(()), Writer::flush);
            give_up_on_error(&mut writer, result);
        }
    }

    /// Closes the file; every clone is without a ledger then. An error before this left it closed already.
    pub(crate) fn finish(&self) -> io::Result<()> {
        let Some(writer) = &self.writer else { return Ok(()) };
        match lock(writer).take() {
            Some(mut writer) => {
                writer.append(&Record::new(Kind::End, 0, MessageKey::default(), unix_now_ns()))?;
                writer.finish()
            }
            None => Err(io::Error::other("the ledger could not be written to its end")),
        }
    }
}

pub(crate) fn unix_now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

fn give_up_on_error(writer: &mut Option<Writer>, result: io::Result<()>) {
    if let Err(error) = result {
        tracing::error!(%error, "the ledger cannot be written; it ends here");
        *writer = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is whole between any two statements, so a panic elsewhere did not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A shard looks for orders every 5 ms; one that is busier than this is in trouble.
const REPLY_TIMEOUT: Duration = Duration::from_secs(2);

const FLUSH_EVERY: Duration = Duration::from_secs(1);
