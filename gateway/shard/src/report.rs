//! What a shard shows of itself: an immutable copy of its counters, a few times a second.

use crate::ingress::BindRefusal;
use crate::options::Plan;
use crate::slots::SlotsReport;
use arc_swap::ArcSwap;
use relay::{CircuitState, VendorHealth, VendorId};
use std::sync::Arc;
use std::time::Duration;

/// Where a shard puts its newest report and control takes it. The shard is the only writer; one pointer is
/// swapped a few times a second, off the message path.
pub type ReportSlot = Arc<ArcSwap<ShardReport>>;

/// A slot with an empty report.
pub fn report_slot() -> ReportSlot {
    Arc::new(ArcSwap::from_pointee(ShardReport::default()))
}

/// Counts of links by side, as gauges and totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkTally {
    /// Bound sessions now.
    pub bound: u64,
    /// Binds accepted.
    pub binds_accepted: u64,
    /// Binds refused.
    pub binds_refused: u64,
    /// Links closed, for any reason, after or before their bind.
    pub closed: u64,
}

/// What the report says of one vendor.
#[derive(Clone, Debug, Default)]
pub struct VendorReport {
    /// Its id.
    pub id: Option<VendorId>,
    /// Its name.
    pub name: Box<str>,
    /// Whether the configuration in force wants binds of it.
    pub is_configured: bool,
    /// Links bound now, of any kind.
    pub links: u64,
    /// The relay's counts.
    pub traffic: relay::VendorTraffic,
    /// How it does, as the relay sees it.
    pub health: HealthTally,
    /// From handing a request to its link to its answer.
    pub round_trip: Latency,
}

/// How a vendor does, over as many shards as reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HealthTally {
    /// Shards that know it.
    pub shards: u64,
    /// Which part of its weight counts, in 64ths, summed up.
    pub health: u64,
    /// Shards on which its circuit is open.
    pub open: u64,
    /// Shards on which its circuit lets only probes go.
    pub half_open: u64,
    /// Shards on which it asked for a pause that is not over.
    pub paused: u64,
    /// Times its circuit opened.
    pub openings: u64,
}

impl HealthTally {
    /// One shard's.
    pub fn of(health: &VendorHealth) -> Self {
        Self {
            shards: 1,
            health: health.health.into(),
            open: u64::from(health.circuit == CircuitState::Open),
            half_open: u64::from(health.circuit == CircuitState::HalfOpen),
            paused: u64::from(health.is_paused),
            openings: health.openings,
        }
    }

    /// The mean part of its weight that counts, 0 to 1; 1 where nobody knows it.
    pub fn ratio(&self) -> f64 {
        if self.shards == 0 { 1.0 } else { self.health as f64 / (64 * self.shards) as f64 }
    }

    fn add(&mut self, other: &Self) {
        self.shards += other.shards;
        self.health += other.health;
        self.open += other.open;
        self.half_open += other.half_open;
        self.paused += other.paused;
        self.openings += other.openings;
    }
}

impl VendorReport {
    /// Adds another shard's.
    pub fn add(&mut self, other: &VendorReport) {
        self.links += other.links;
        self.traffic.add(&other.traffic);
        self.health.add(&other.health);
        self.round_trip.add(&other.round_trip);
    }
}

/// What a shard did with records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordTally {
    /// Records that wait for room in the mailbox.
    pub waiting: u64,
    /// Records given up because there was no room, as the policy says.
    pub dropped: u64,
    /// query_sm answered with what is known.
    pub queries_answered: u64,
    /// query_sm refused: not known, not theirs, or no answer in time.
    pub queries_failed: u64,
}

/// One shard's counters at one moment.
#[derive(Clone, Debug, Default)]
pub struct ShardReport {
    /// When it was made, nanoseconds of the monotonic clock: its heartbeat.
    pub made_at_ns: u64,
    /// Customers' sessions.
    pub customers: LinkTally,
    /// Vendors' binds.
    pub vendors_links: LinkTally,
    /// Customers' binds refused, by [`BindRefusal::ALL`].
    pub bind_refusals: [u64; BindRefusal::ALL.len()],
    /// Connections that never came to a bind.
    pub greetings_failed: u64,
    /// Address ranges of customers' binds that were no pattern.
    pub ranges_invalid: u64,
    /// Connections handed to another shard.
    pub handed_over: u64,
    /// Connections not taken because descriptors were used up.
    pub accepts_failed: u64,
    /// What happened on the links.
    pub links: link::Counters,
    /// What the relay did.
    pub relay: relay::Counters,
    /// And with whom.
    pub vendors: Vec<VendorReport>,
    /// Words for other shards, the store or control that wait because the mailbox is full.
    pub backlog: u64,
    /// How long new configurations kept it from its links, by uninterrupted pieces of work.
    pub swaps: Latency,
    /// What it did with records.
    pub records: RecordTally,
    /// Slots of vendors that several nodes share.
    pub slots: SlotsReport,
    /// Unix time of the newest second of which it gave message ids.
    pub newest_id_second: u64,
    /// Time spent at work since start, nanoseconds.
    pub busy_ns: u64,
    /// The configuration in force there, for whoever explains a route; none before the first report. The whole plan, whose
    /// holders control counts before it drops one.
    pub plan: Option<Arc<Plan>>,
}

/// Upper bounds of the latency buckets, microseconds; the last bucket has none.
pub const LATENCY_BOUNDS_US: [u64; 15] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 10_000_000,
];

/// A latency histogram with the buckets of [`LATENCY_BOUNDS_US`]. Plain integers: some nanoseconds an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Entries per bucket, the unbounded one last.
    pub buckets: [u64; LATENCY_BOUNDS_US.len() + 1],
    /// Sum of all entries, microseconds.
    pub sum_us: u64,
}

impl Latency {
    /// Counts one.
    #[inline]
    pub fn record(&mut self, duration: Duration) {
        let micros = duration.as_micros() as u64;
        self.buckets[LATENCY_BOUNDS_US.partition_point(|bound| *bound < micros)] += 1;
        self.sum_us += micros;
    }

    /// Adds another's entries.
    pub fn add(&mut self, other: &Latency) {
        for (bucket, entries) in self.buckets.iter_mut().zip(other.buckets) {
            *bucket += entries;
        }
        self.sum_us += other.sum_us;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_fall_into_the_bucket_whose_bound_they_do_not_exceed() {
        let mut latency = Latency::default();
        for micros in [0, 100, 101, 20_000_000] {
            latency.record(Duration::from_micros(micros));
        }
        assert_eq!((latency.buckets[0], latency.buckets[1], latency.buckets[15]), (2, 1, 1));
        assert_eq!(latency.sum_us, 20_000_201);
    }
}
