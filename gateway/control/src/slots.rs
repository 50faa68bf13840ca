//! The thread that leases bind slots: asks Redis once a round, and puts what came of it where the shards take it.
//!
//! ```text
//!   published plans: which vendors, how many slots --+
//!                                                    v
//!   shards' reports: whose links are closed --> Keeper <--> Redis (one script a round)
//!                                                    |
//!                                                    +--> SlotTable, taken by every shard at its next tick
//! ```
//!
//! When it hangs, shards end their links by the times of the last table.

use crate::publish::Publisher;
use arc_swap::ArcSwap;
use relay::VendorId;
use runtime::Stop;
use shard::{Plan, ReportSlot, SlotHolder, SlotLease, SlotTable, VendorOptions};
use smpp::time::Instant;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use store::RedisOptions;
use store::lease::slots::{
    AskError, Keeper, KeeperCounters, SlotClient, SlotRules, SlotView, VendorAsk, Whose,
};

/// Pause after a round that failed, as a part of a round: several tries before anything ends.
const RETRY_PART: u32 = 5;
/// Pause while a slot is being handed over: a shard reports four times a second.
const HAND_OVER_PAUSE: Duration = Duration::from_millis(100);
/// How long giving everything back at the end may take.
const LAST_ROUND_MAX: Duration = Duration::from_secs(1);

/// What the thread is built from.
pub struct SlotsOptions {
    /// How slots are leased.
    pub rules: SlotRules,
    /// Where.
    pub redis: RedisOptions,
    /// Where newer plans come from.
    pub publisher: Publisher,
    /// One for each shard.
    pub reports: Vec<ReportSlot>,
    /// Where the shards take the newest table.
    pub table: Arc<ArcSwap<SlotTable>>,
    /// Requested when the node is to end.
    pub stop: Stop,
}

/// What is known of slots; for metrics.
#[derive(Clone, Debug, Default)]
pub struct SlotsState {
    /// Name of each vendor that shares its binds (`name/receivers` for receivers beside others), slots held, slots in all.
    pub vendors: Vec<(Box<str>, u32, u32)>,
    /// When the last round was asked that was answered, nanoseconds of the monotonic clock; 0 = never.
    pub renewed_at_ns: u64,
    /// Rounds that were answered.
    pub rounds: u64,
    /// Rounds that were not.
    pub rounds_failed: u64,
    /// What became of slots.
    pub slots: KeeperCounters,
}

/// The running thread.
pub struct SlotsThread {
    end: SyncSender<bool>,
    handle: JoinHandle<()>,
    state: Arc<ArcSwap<SlotsState>>,
}

impl SlotsThread {
    /// Where the newest figures lie.
    pub fn state(&self) -> Arc<ArcSwap<SlotsState>> {
        self.state.clone()
    }

    /// Ends it. `all_closed`: no link of a shard stands any more, so that every slot is given back; else they lapse.
    ///
    /// # Errors
    /// When the thread panicked.
    pub fn end(self, all_closed: bool) -> Result<(), String> {
        // It is gone already when it panicked, which the join tells.
        let _ = self.end.send(all_closed);
        self.handle.join().map_err(|_| "the slots' thread panicked".to_string())
    }
}

/// Starts the thread; `plan` is what the shards were started with.
///
/// # Errors
/// When the address of Redis is none, or the system gives no thread.
pub fn start(options: SlotsOptions, plan: &Plan) -> io::Result<SlotsThread> {
    let client = SlotClient::new(&options.redis).map_err(io::Error::other)?;
    let (end, ends) = sync_channel(1);
    let state = Arc::new(ArcSwap::from_pointee(SlotsState::default()));
    let mut worker = Worker {
        keeper: Keeper::new(options.rules.clone()),
        client,
        names: BTreeMap::new(),
        plan_version: 0,
        told: BTreeMap::new(),
        shown: SlotsState::default(),
        state: state.clone(),
        is_away: false,
        options,
    };
    worker.take_plan(plan);
    let handle = thread::Builder::new().name("slots".into()).spawn(move || worker.run(&ends))?;
    Ok(SlotsThread { end, handle, state })
}

struct Worker {
    options: SlotsOptions,
    keeper: Keeper,
    client: SlotClient,
    names: BTreeMap<VendorId, Box<str>>,
    /// The plan whose vendors are known to the keeper.
    plan_version: u64,
    /// Slots that are given up, and the first table that said so.
    told: BTreeMap<(VendorId, u32), u64>,
    shown: SlotsState,
    state: Arc<ArcSwap<SlotsState>>,
    is_away: bool,
}

impl Worker {
    fn run(mut self, ends: &Receiver<bool>) {
        loop {
            let pause = self.round();
            match ends.recv_timeout(pause) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(all_closed) => return self.finish(all_closed),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// One question and what follows; how long to wait for the next.
    fn round(&mut self) -> Duration {
        self.follow_plan();
        if self.options.stop.is_requested() {
            self.keeper.leave();
        }
        let closed: Vec<_> = self.keeper.giving().filter(|key| self.is_closed(*key)).collect();
        closed.into_iter().for_each(|(vendor, slot)| self.keeper.handle_closed(vendor, slot));
        let asked_at = now();
        let asks = self.keeper.ask(asked_at);
        let round = self.options.rules.round();
        let answered = self.ask(asked_at, &asks, round);
        self.show();
        match answered {
            Err(_) => round / RETRY_PART,
            Ok(()) if self.keeper.is_busy() => HAND_OVER_PAUSE.min(round),
            Ok(()) => round,
        }
    }

    fn ask(&mut self, asked_at: Instant, asks: &[VendorAsk], within: Duration) -> Result<(), AskError> {
        match self.client.ask(&self.options.rules, asks, within) {
            Ok(replies) => {
                self.keeper.handle_reply(asked_at, asks, &replies);
                self.shown.rounds += 1;
                self.shown.renewed_at_ns = asked_at.as_nanos();
                if std::mem::take(&mut self.is_away) {
                    tracing::info!("bind slots are leased again");
                }
                Ok(())
            }
            Err(error) => {
                self.shown.rounds_failed += 1;
                if !std::mem::replace(&mut self.is_away, true) {
                    tracing::warn!(%error, "bind slots cannot be leased: Redis is away");
                }
                Err(error)
            }
        }
    }

    /// Takes over the vendors of the newest plan.
    fn follow_plan(&mut self) {
        let newest = self.options.publisher.newest_plan();
        if let Some(plan) = newest.filter(|plan| plan.snapshot.version() != self.plan_version) {
            self.take_plan(&plan);
        }
    }

    fn take_plan(&mut self, plan: &Plan) {
        let shared = || plan.vendors.iter().filter(|vendor| vendor.is_shared);
        let name_of = |vendor: &VendorOptions| match vendor.are_beside() {
            true => format!("{}/receivers", vendor.name).into(),
            false => vendor.name.clone(),
        };
        self.names.extend(shared().map(|vendor| (vendor.binds_id, name_of(vendor))));
        self.keeper.set_vendors(shared().map(|vendor| (vendor.binds_id, vendor.binds)));
        self.plan_version = plan.snapshot.version();
    }

    /// Whether every shard knows that a slot is to be given up, and none has a link on it.
    fn is_closed(&self, key: (VendorId, u32)) -> bool {
        let Some(told_in) = self.told.get(&key) else { return false };
        self.options.reports.iter().all(|report| {
            let report = report.load();
            report.slots.version >= *told_in && !report.slots.open.contains(&key)
        })
    }

    /// Puts the table where the shards take it, and the figures where metrics do.
    fn show(&mut self) {
        let view = self.keeper.view();
        let giving: Vec<_> = self.keeper.giving().collect();
        self.told.retain(|key, _| giving.contains(key));
        for key in giving {
            self.told.entry(key).or_insert(view.version);
        }
        self.options.table.store(Arc::new(table(view)));
        self.shown.slots = self.keeper.counters();
        let name = |id: VendorId| self.names.get(&id).cloned().unwrap_or_default();
        self.shown.vendors =
            self.keeper.holdings().map(|(id, held, total)| (name(id), held, total)).collect();
        self.state.store(Arc::new(self.shown.clone()));
    }

    fn finish(mut self, all_closed: bool) {
        if !all_closed {
            return tracing::warn!("bind slots are not given back: other nodes wait until they lapse");
        }
        self.keeper.leave();
        let closed: Vec<_> = self.keeper.giving().collect();
        closed.into_iter().for_each(|(vendor, slot)| self.keeper.handle_closed(vendor, slot));
        let asked_at = now();
        let asks = self.keeper.ask(asked_at);
        // What fails here lapses.
        let _ = self.ask(asked_at, &asks, LAST_ROUND_MAX);
        self.show();
    }
}

fn now() -> Instant {
    Instant::from_nanos(runtime::monotonic_nanos())
}

/// The keeper's view in the shards' words. A node whose address is none cannot be reached: its slots have no link.
fn table(view: SlotView) -> SlotTable {
    let vendors = view.vendors.into_iter().map(|vendor| {
        let slots = vendor.slots.into_iter().filter_map(|(slot, whose)| {
            let holder = match whose {
                Whose::Mine(lease) => SlotHolder::Mine(SlotLease {
                    give_up: lease.give_up,
                    unbind_at: lease.unbind_at,
                    close_at: lease.close_at,
                }),
                Whose::Other { node, address } => SlotHolder::Node { node, address: address.parse().ok()? },
            };
            Some((slot, holder))
        });
        (vendor.vendor, slots.collect())
    });
    SlotTable { version: view.version, vendors: vendors.collect() }
}
