//! One thread of load: it binds, sends what is due, takes answers and receipts, and writes its ledger.
//!
//! ```text
//!            every turn (about 1 ms, or at once while messages are due)
//!   Pace ──due──▶ Generator::turn ──queue──▶ Links ──one write a turn──▶ target
//!                     ▲    │                  │
//!   binds to renew ◀──┘    └─ Book (ledger)   └─ answers, receipts, MO ─▶ Measure, Book
//! ```
//!
//! A message is due at its time whatever the target does. If no window is free it waits in its account's queue, and
//! its latency counts from the moment it was due.

mod binds;
mod book;
mod generator;
mod link_app;
mod receipts;
mod stage;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use link::{Hub, HubOptions};
use runtime::{Runtime, Stop};

use crate::measure::{Interval, Measure};
use crate::scenario::{Scenario, Wait};
use crate::worker::book::Book;
pub(crate) use generator::Generator;

/// What a worker is told at its start.
pub(crate) struct Brief {
    pub(crate) scenario: Arc<Scenario>,
    /// Accounts whose index leaves this remainder are ours.
    pub(crate) worker: usize,
    pub(crate) start_line: Arc<StartLine>,
    pub(crate) stop: Stop,
    pub(crate) ledger: Option<ledger::Writer>,
    pub(crate) intervals: SyncSender<Interval>,
}

/// What a worker hands back.
pub(crate) struct Finished {
    pub(crate) measure: Measure,
    /// Lengths of the phases as they were.
    pub(crate) elapsed: Vec<Duration>,
    /// Unix time of the first due message, nanoseconds.
    pub(crate) begin_unix_ns: u64,
    /// Why the run could not begin, or its ledger not be written.
    pub(crate) failure: Option<String>,
    /// The run was stopped before its end.
    pub(crate) interrupted: bool,
}

/// Where workers wait until all are bound.
pub(crate) struct StartLine {
    workers: usize,
    ready: AtomicUsize,
    /// Monotonic nanoseconds of the first due message; zero until all are ready.
    begin: AtomicU64,
    failed: AtomicBool,
}

impl StartLine {
    pub(crate) fn new(workers: usize) -> StartLine {
        StartLine {
            workers,
            ready: AtomicUsize::new(0),
            begin: AtomicU64::new(0),
            failed: AtomicBool::new(false),
        }
    }

    /// To be called once by each worker, at a monotonic time in nanoseconds.
    fn ready(&self, now: u64) {
        if self.ready.fetch_add(1, Ordering::AcqRel) + 1 == self.workers {
            self.begin.store(now + START_DELAY.as_nanos() as u64, Ordering::Release);
        }
    }

    fn begin(&self) -> Option<u64> {
        Some(self.begin.load(Ordering::Acquire)).filter(|begin| *begin > 0)
    }

    fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }

    fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }
}

/// Runs one worker to its end on the shard it is called on.
pub(crate) async fn drive<R: Runtime>(brief: Brief, report: impl FnOnce(Finished)) {
    let links_max = brief.scenario.accounts.iter().map(|account| account.binds.total()).sum::<usize>() + 1;
    let wait = brief.scenario.wait;
    let hub =
        Hub::<R, Generator>::new(Generator::new(brief), HubOptions { links_max, ..HubOptions::default() });
    loop {
        let turn = hub.with(Generator::turn);
        for slot in turn.connect {
            R::spawn(binds::connect(hub.clone(), slot));
        }
        match turn.next {
            Next::Leave => break,
            Next::Now => R::yield_now().await,
            Next::Wait(_) if wait == Wait::Spin => R::yield_now().await,
            Next::Wait(duration) => R::sleep(duration).await,
        }
    }
    hub.with(Generator::leave);
    let mut patience = LEAVE_PATIENCE;
    while !hub.is_empty() && !patience.is_zero() {
        R::sleep(LEAVE_STEP).await;
        patience = patience.saturating_sub(LEAVE_STEP);
    }
    hub.stop();
    report(hub.with(|generator, _| generator.finish()));
}

/// What is to be done after a turn.
struct Turn {
    /// Binds to open.
    connect: Vec<usize>,
    next: Next,
}

enum Next {
    /// More is due already.
    Now,
    /// Nothing is due for so long.
    Wait(Duration),
    /// The run is over.
    Leave,
}

/// Workers see the begin before it comes, so that none starts late.
const START_DELAY: Duration = Duration::from_millis(20);

/// For the answers to our unbinds.
const LEAVE_PATIENCE: Duration = Duration::from_secs(3);
const LEAVE_STEP: Duration = Duration::from_millis(5);
