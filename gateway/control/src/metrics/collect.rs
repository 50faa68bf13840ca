//! Takes the newest copy of every source and puts them together. Structs are taken apart without a rest pattern: a
//! counter that is added and not exported does not compile.

use super::names::{self as n, Metric};
use crate::auth::Authenticator;
use crate::cdr::SinkView;
use crate::publish::ConfigState;
use crate::slots::SlotsState;
use crate::source::{Origin, Standing, StandingView};
use arc_swap::ArcSwap;
use relay::{LeaseCounters, Refusal, SpoolTraffic, Traffic, VendorTraffic};
use shard::{
    BindRefusal, HealthTally, Latency, LinkTally, RecordTally, ReportSlot, ShardReport, VendorReport,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::StoreCounters;
use store::lease::node_id::NodeIdState;
use store::lease::rates::RatesReport;
use store::lease::slots::KeeperCounters;
use store::spool::SpoolCounters;

/// Where the figures come from.
#[derive(Clone)]
pub struct Sources {
    /// Version of the program.
    pub version: &'static str,
    /// Name of the node.
    pub node: String,
    /// `io_uring` or `epoll`, as [`runtime::select`] chose.
    pub backend: &'static str,
    /// Start of the process, seconds since 1970.
    pub started_at: u64,
    /// What was done with configurations.
    pub config: Arc<ConfigState>,
    /// Which one is in force, and what was refused since.
    pub standing: StandingView,
    /// One slot for each shard, in order.
    pub shards: Vec<ReportSlot>,
    /// The store's counters, where there is one.
    pub store: Option<Arc<ArcSwap<StoreCounters>>>,
    /// The spool's counters, where there is one.
    pub spool: Option<Arc<ArcSwap<SpoolCounters>>>,
    /// Bind slots, where there may be some.
    pub slots: Option<Arc<ArcSwap<SlotsState>>>,
    /// What the leases of limits did, and how they stand.
    pub rates: Option<Arc<ArcSwap<RatesReport>>>,
    /// The sinks of records, by label.
    pub sinks: Vec<(&'static str, SinkView)>,
    /// The pool that checks passwords.
    pub authenticator: Option<Authenticator>,
    /// The node's number, and what Redis says of it.
    pub node_id: Option<(u8, Arc<NodeIdState>)>,
}

/// One value with its labels' values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// In the order of [`Metric::labels`].
    pub labels: Vec<String>,
    /// What is exported.
    pub value: Value,
}

/// What is exported.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Of a counter or gauge.
    Number(f64),
    /// Of a histogram.
    Latency(Box<Latency>),
}

/// The figures of one moment, by metric.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    pub(crate) samples: BTreeMap<&'static str, Vec<Sample>>,
}

impl Sources {
    /// Puts everything together; some microseconds a shard, and no shard notices. `now_ns` is the monotonic clock.
    pub fn collect(&self, now_ns: u64, is_draining: bool) -> Totals {
        let mut totals = Totals::default();
        totals.put(&n::BUILD_INFO, &[self.version, &self.node], 1.0);
        for (kind, count) in [("open", runtime::open_descriptors()), ("limit", runtime::descriptor_limit())] {
            totals.put(&n::DESCRIPTORS, &[kind], count.map_or(f64::NAN, |count| count as f64));
        }
        totals.put(&n::IO_BACKEND, &[self.backend], 1.0);
        totals.put(&n::START_TIME, &[], self.started_at as f64);
        totals.put(&n::SHARDS, &[], self.shards.len() as f64);
        totals.put(&n::DRAINING, &[], f64::from(u8::from(is_draining)));
        totals.add_config(&self.config);
        totals.add_standing(&self.standing.load(), now_ns);
        totals.count(&n::PANICS, &[], runtime::panics());
        let mut vendors: BTreeMap<Box<str>, VendorReport> = BTreeMap::new();
        for (index, slot) in self.shards.iter().enumerate() {
            let report = slot.load();
            totals.add_shard(&report, &index.to_string(), now_ns);
            for vendor in &report.vendors {
                vendors.entry(vendor.name.clone()).or_default().add(vendor);
            }
        }
        for (name, vendor) in &vendors {
            totals.add_vendor(name, vendor);
        }
        if let Some(store) = &self.store {
            totals.add_store(&store.load());
        }
        if let Some(slots) = &self.slots {
            totals.add_slots(&slots.load(), now_ns);
        }
        if let Some(spool) = &self.spool {
            totals.add_spool(&spool.load());
        }
        if let Some(rates) = &self.rates {
            totals.add_rates(&rates.load());
        }
        for (label, sink) in &self.sinks {
            let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
            totals.count(&n::CDR_RECORDS, &[label], load(&sink.written));
            totals.count(&n::CDR_DROPPED, &[label], load(&sink.dropped));
            totals.count(&n::CDR_FAILURES, &[label], load(&sink.failures));
            totals.count(&n::CDR_QUEUE_DEPTH, &[label], load(&sink.waiting));
            totals.put(&n::CDR_LAG, &[label], sink.lag().as_secs_f64());
        }
        if let Some(authenticator) = &self.authenticator {
            let counters = authenticator.counters();
            let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
            totals.count(&n::AUTH_VERDICTS, &["right"], load(&counters.right));
            totals.count(&n::AUTH_VERDICTS, &["wrong"], load(&counters.wrong));
            totals.count(&n::AUTH_VERDICTS, &["busy"], load(&counters.busy));
            totals.count(&n::AUTH_VERDICTS, &["gone"], load(&counters.gone));
            totals.count(&n::AUTH_HASHES, &[], load(&counters.hashed));
            totals.put(&n::AUTH_WAITING, &[], load(&counters.waiting) as f64);
        }
        if let Some((number, state)) = &self.node_id {
            totals.put(&n::NODE_ID, &[], f64::from(*number));
            totals.put(&n::NODE_ID_SILENCE, &[], state.silent_seconds.load(Ordering::Relaxed) as f64);
            totals.put(&n::NODE_ID_TAKEN, &[], f64::from(u8::from(state.is_taken.load(Ordering::Relaxed))));
        }
        totals
    }

    /// Age of the oldest heartbeat of all shards; before its first one a shard's counts from `born_ns`.
    pub fn heartbeat_age(&self, now_ns: u64, born_ns: u64) -> Duration {
        let age = |slot: &ReportSlot| now_ns.saturating_sub(slot.load().made_at_ns.max(born_ns));
        Duration::from_nanos(self.shards.iter().map(age).max().unwrap_or(0))
    }
}

impl Totals {
    fn add_standing(&mut self, standing: &Standing, now_ns: u64) {
        let is = |so: bool| f64::from(u8::from(so));
        let rejected = standing.rejection.as_ref().map_or(0, |rejection| rejection.version.number);
        self.count(&n::CONFIG_REJECTED, &[], standing.rejected);
        self.put(&n::CONFIG_REJECTED_VERSION, &[], rejected as f64);
        self.put(&n::CONFIG_SOURCE_AWAY, &[], is(standing.away.is_some()));
        self.put(&n::CONFIG_LAST_GOOD, &[], is(standing.origin == Origin::LastGood));
        self.put(&n::CONFIG_LOOK_AGE, &[], standing.look_age(now_ns).unwrap_or_default().as_secs_f64());
    }

    fn put(&mut self, metric: &'static Metric, labels: &[&str], value: f64) {
        debug_assert_eq!(labels.len(), metric.labels.len(), "{}", metric.name);
        let samples = self.samples.entry(metric.name).or_default();
        let is_same =
            |sample: &&mut Sample| sample.labels.iter().map(String::as_str).eq(labels.iter().copied());
        match samples.iter_mut().find(is_same).map(|sample| &mut sample.value) {
            Some(Value::Number(number)) => *number += value,
            _ => {
                let labels = labels.iter().map(|label| label.to_string()).collect();
                samples.push(Sample { labels, value: Value::Number(value) });
            }
        }
    }

    /// Adds to what other shards counted.
    fn count(&mut self, metric: &'static Metric, labels: &[&str], value: u64) {
        self.put(metric, labels, value as f64);
    }

    fn add_slots(&mut self, state: &SlotsState, now_ns: u64) {
        let SlotsState { vendors, renewed_at_ns, rounds, rounds_failed, slots } = state;
        let KeeperCounters { taken, given_back, lapsed, lost } = slots;
        for (name, held, total) in vendors {
            self.count(&n::SLOTS, &[name, "held"], u64::from(*held));
            self.count(&n::SLOTS, &[name, "total"], u64::from(*total));
        }
        if *renewed_at_ns > 0 {
            self.put(&n::SLOT_LEASE_AGE, &[], now_ns.saturating_sub(*renewed_at_ns) as f64 / 1e9);
        }
        self.count(&n::SLOT_ROUNDS, &["answered"], *rounds);
        self.count(&n::SLOT_ROUNDS, &["failed"], *rounds_failed);
        let events = [("taken", taken), ("given_back", given_back), ("lapsed", lapsed), ("lost", lost)];
        for (event, count) in events {
            self.count(&n::SLOT_EVENTS, &[event], *count);
        }
    }

    fn add_shard(&mut self, report: &ShardReport, shard: &str, now_ns: u64) {
        let ShardReport {
            made_at_ns,
            customers,
            vendors_links,
            bind_refusals,
            greetings_failed,
            ranges_invalid,
            accepts_failed,
            handed_over,
            links,
            relay,
            vendors: _, // put together by name
            backlog,
            swaps,
            slots: shard::SlotsReport { version: _, open: _, node_links, node_sessions },
            records: RecordTally { waiting, dropped, queries_answered, queries_failed },
            newest_id_second: _,
            busy_ns,
            plan: _,
        } = report;
        self.count(&n::NODE_LINKS, &["out"], *node_links);
        self.count(&n::NODE_LINKS, &["in"], *node_sessions);
        self.count(&n::CDR_QUEUE_DEPTH, &["shard"], *waiting);
        self.count(&n::CDR_DROPPED, &["shard"], *dropped);
        self.count(&n::QUERIES, &["answered"], *queries_answered);
        self.count(&n::QUERIES, &["failed"], *queries_failed);
        self.put(&n::SHARD_HEARTBEAT_AGE, &[shard], now_ns.saturating_sub(*made_at_ns) as f64 / 1e9);
        self.put(&n::SHARD_BUSY, &[shard], *busy_ns as f64 / 1e9);
        self.count(&n::SHARD_BACKLOG, &[shard], *backlog);
        self.count(&n::GREETINGS_FAILED, &[], *greetings_failed);
        self.count(&n::RANGES_INVALID, &[], *ranges_invalid);
        self.count(&n::ACCEPTS_FAILED, &[], *accepts_failed);
        self.count(&n::HANDED_OVER, &[], *handed_over);
        for (refusal, count) in BindRefusal::ALL.iter().zip(bind_refusals) {
            self.count(&n::BINDS_REFUSED, &[refusal.label()], *count);
        }
        self.add_latency(&n::CONFIG_SWAP, swaps);
        self.add_tally("customer", customers);
        self.add_tally("vendor", vendors_links);
        self.add_links(links);
        let relay::Counters { traffic, refused, spool } = relay;
        self.add_traffic(traffic);
        self.add_spool_traffic(spool);
        for refusal in Refusal::ALL {
            self.count(&n::REFUSALS, &[refusal.label()], refused[refusal.index()]);
        }
    }

    fn add_rates(&mut self, report: &RatesReport) {
        let RatesReport { counters, lease_age } = report;
        let LeaseCounters { exchanges, failures, asks, tokens, lapses, limits, on_fallback } = counters;
        self.put(&n::LIMIT_LEASE_AGE, &[], lease_age.as_secs_f64());
        self.count(&n::LIMIT_EXCHANGES, &["answered"], *exchanges);
        self.count(&n::LIMIT_EXCHANGES, &["failed"], *failures);
        self.count(&n::LIMIT_ASKS, &[], *asks);
        self.count(&n::LIMIT_TOKENS, &[], *tokens);
        self.count(&n::LIMIT_LAPSES, &[], *lapses);
        self.count(&n::LIMITS_LEASED, &[], *limits);
        self.count(&n::LIMITS_ON_FALLBACK, &[], *on_fallback);
    }

    fn add_config(&mut self, config: &ConfigState) {
        let ConfigState { version, published, needs_restart, memory } = config;
        let memory = memory.load();
        self.count(&n::MEMORY_BOUND, &["steady"], memory.steady());
        self.count(&n::MEMORY_BOUND, &["worst"], memory.worst());
        for (metric, count) in [
            (&n::CONFIG_VERSION, version),
            (&n::CONFIG_PUBLISHED, published),
            (&n::CONFIG_NEEDS_RESTART, needs_restart),
        ] {
            self.count(metric, &[], count.load(Ordering::Relaxed));
        }
    }

    /// Adds to the histogram without labels of other shards.
    fn add_latency(&mut self, metric: &'static Metric, latency: &Latency) {
        let samples = self.samples.entry(metric.name).or_default();
        match samples.first_mut().map(|sample| &mut sample.value) {
            Some(Value::Latency(sum)) => sum.add(latency),
            _ => samples.push(Sample { labels: Vec::new(), value: Value::Latency(Box::new(*latency)) }),
        }
    }

    fn add_tally(&mut self, side: &str, tally: &LinkTally) {
        let LinkTally { bound, binds_accepted, binds_refused, closed } = tally;
        self.count(&n::LINKS, &[side, "bound"], *bound);
        self.count(&n::BINDS, &[side, "accepted"], *binds_accepted);
        self.count(&n::BINDS, &[side, "refused"], *binds_refused);
        self.count(&n::LINK_CLOSES, &[side], *closed);
    }

    fn add_links(&mut self, links: &link::Counters) {
        let link::Counters {
            opened,
            closed,
            refused_full,
            pdus_in,
            reads,
            octets_in,
            writes,
            octets_out,
            blocked,
            framing_errors,
            undecodable,
            illegal_requests,
            unknown_commands,
            late_responses,
            expired,
            overdue_ends,
            pipelined_binds,
            outbox_full,
            panics,
        } = links;
        self.count(&n::LINKS_OPENED, &[], *opened);
        self.count(&n::LINKS_CLOSED, &[], *closed);
        self.count(&n::LINKS_REFUSED, &[], *refused_full);
        self.count(&n::PDUS_RECEIVED, &[], *pdus_in);
        self.count(&n::READS, &[], *reads);
        self.count(&n::BYTES_RECEIVED, &[], *octets_in);
        self.count(&n::WRITES, &[], *writes);
        self.count(&n::BYTES_SENT, &[], *octets_out);
        self.count(&n::WRITES_BLOCKED, &[], *blocked);
        self.count(&n::BINDS_PIPELINED, &[], *pipelined_binds);
        self.count(&n::LINK_ERRORS, &["framing"], *framing_errors);
        self.count(&n::LINK_ERRORS, &["undecodable"], *undecodable);
        self.count(&n::LINK_ERRORS, &["illegal_request"], *illegal_requests);
        self.count(&n::LINK_ERRORS, &["unknown_command"], *unknown_commands);
        self.count(&n::LINK_ERRORS, &["late_response"], *late_responses);
        self.count(&n::LINK_ERRORS, &["response_expired"], *expired);
        self.count(&n::LINK_ERRORS, &["overdue_end"], *overdue_ends);
        self.count(&n::LINK_ERRORS, &["outbox_full"], *outbox_full);
        self.count(&n::LINK_ERRORS, &["panic"], *panics);
    }

    #[expect(clippy::too_many_lines, reason = "a flat table from each counter to its metric")]
    fn add_traffic(&mut self, traffic: &Traffic) {
        #[rustfmt::skip]
        let Traffic {
            submits, submits_accepted, submits_rejected, submits_refused, submits_unknown, submits_abandoned,
            vendor_sends: _, vendor_answers: _, vendor_throttled: _, vendor_unknown: _, // by vendor
            vendor_failovers, vendor_unsent, parts_waited, parts_forgotten, rewrites_refused, unknown_retries,
            route_circuits, route_circuit_openings, route_circuits_full, stale_events, queued, queue_full,
            remote_submits, remote_served, remote_expired, correlations, correlations_lost, receipts,
            receipts_uncorrelated, receipts_early, mo, deliveries_unsuited, orphans, deliveries_taken, deliveries_rejected,
            mo_parts, mo_reassembled, mo_incomplete, mo_gather_full,
            deliveries_retried, remote_deliveries, parked, unparked, deliveries_refused, store_outages,
            records_lost, node_forwards, node_unsent, node_served,
            limits_without_room,
            messages_open, deliveries_open, queue_length,
            submits_rewritten, deliveries_rewritten, deliveries_malformed, kept_rewritten, kept_malformed,
            receipts_contradicted, receipts_of_several, receipts_repeated, receipts_unasked,
            submits_duplicate, submits_maybe_twice, unknowns_resolved,
            unknowns_ambiguous, unknowns_forgotten, resubmits_forgotten, unresolved_open, resubmits_open,
        } = traffic;
        self.count(&n::SUBMITS, &[], *submits);
        self.count(&n::CDR_DROPPED, &["relay"], *records_lost);
        self.count(&n::LIMITS_WITHOUT_ROOM, &[], *limits_without_room);
        for (result, count) in [
            ("accepted", submits_accepted),
            ("rejected", submits_rejected),
            ("refused", submits_refused),
            ("unknown", submits_unknown),
            ("abandoned", submits_abandoned),
            ("duplicate", submits_duplicate),
        ] {
            self.count(&n::SUBMIT_RESULTS, &[result], *count);
        }
        for (from, result, count) in [
            ("customer", "rewritten", submits_rewritten),
            ("vendor", "rewritten", deliveries_rewritten),
            ("vendor", "refused", deliveries_malformed),
            ("kept", "rewritten", kept_rewritten),
            ("kept", "refused", kept_malformed),
        ] {
            self.count(&n::FORMS, &[from, result], *count);
        }
        for (result, count) in [("resolved", unknowns_resolved), ("forgotten", unknowns_forgotten)] {
            self.count(&n::UNKNOWNS, &[result], *count);
        }
        for (result, count) in [
            ("taken", deliveries_taken),
            ("rejected", deliveries_rejected),
            ("retried", deliveries_retried),
            ("refused", deliveries_refused),
        ] {
            self.count(&n::DELIVERIES, &[result], *count);
        }
        for (kind, count) in [
            ("submit", remote_submits),
            ("submit_served", remote_served),
            ("expired", remote_expired),
            ("delivery", remote_deliveries),
        ] {
            self.count(&n::REMOTE, &[kind], *count);
        }
        let node_messages = [("forwarded", node_forwards), ("unsent", node_unsent), ("served", node_served)];
        for (kind, count) in node_messages {
            self.count(&n::NODE_MESSAGES, &[kind], *count);
        }
        for (metric, count) in [
            (&n::QUEUED, queued),
            (&n::QUEUE_FULL, queue_full),
            (&n::REROUTED, vendor_failovers),
            (&n::UNSENT, vendor_unsent),
            (&n::PARTS_WAITED, parts_waited),
            (&n::PARTS_FORGOTTEN, parts_forgotten),
            (&n::REWRITES_REFUSED, rewrites_refused),
            (&n::ROUTE_CIRCUITS, route_circuits),
            (&n::ROUTE_CIRCUIT_OPENINGS, route_circuit_openings),
            (&n::ROUTE_CIRCUITS_FULL, route_circuits_full),
            (&n::UNKNOWN_RETRIES, unknown_retries),
            (&n::MAYBE_TWICE, submits_maybe_twice),
            (&n::UNKNOWNS_AMBIGUOUS, unknowns_ambiguous),
            (&n::UNRESOLVED_OPEN, unresolved_open),
            (&n::RECEIPTS_CONTRADICTED, receipts_contradicted),
            (&n::RECEIPTS_OF_SEVERAL, receipts_of_several),
            (&n::RECEIPTS_REPEATED, receipts_repeated),
            (&n::RECEIPTS_UNASKED, receipts_unasked),
            (&n::RESUBMITS_OPEN, resubmits_open),
            (&n::RESUBMITS_FORGOTTEN, resubmits_forgotten),
            (&n::STALE_EVENTS, stale_events),
            (&n::CORRELATIONS, correlations),
            (&n::CORRELATIONS_LOST, correlations_lost),
            (&n::RECEIPTS, receipts),
            (&n::RECEIPTS_UNCORRELATED, receipts_uncorrelated),
            (&n::RECEIPTS_EARLY, receipts_early),
            (&n::MO, mo),
            (&n::MO_PARTS, mo_parts),
            (&n::MO_REASSEMBLED, mo_reassembled),
            (&n::MO_INCOMPLETE, mo_incomplete),
            (&n::MO_GATHER_FULL, mo_gather_full),
            (&n::DELIVERIES_UNSUITED, deliveries_unsuited),
            (&n::ORPHANS, orphans),
            (&n::PARKED, parked),
            (&n::UNPARKED, unparked),
            (&n::STORE_OUTAGES, store_outages),
            (&n::MESSAGES_OPEN, messages_open),
            (&n::DELIVERIES_OPEN, deliveries_open),
            (&n::QUEUE_DEPTH, queue_length),
        ] {
            self.count(metric, &[], *count);
        }
    }

    fn add_vendor(&mut self, name: &str, vendor: &VendorReport) {
        let VendorReport { id: _, name: _, is_configured: _, links: bound, traffic, health, round_trip } =
            vendor;
        let HealthTally { shards: _, health: _, open, half_open, paused, openings } = health;
        self.put(&n::VENDOR_HEALTH, &[name], health.ratio());
        self.count(&n::VENDOR_CIRCUITS, &[name, "open"], *open);
        self.count(&n::VENDOR_CIRCUITS, &[name, "half_open"], *half_open);
        self.count(&n::VENDOR_CIRCUIT_OPENINGS, &[name], *openings);
        self.count(&n::VENDOR_PAUSED, &[name], *paused);
        let VendorTraffic {
            sends,
            accepted,
            rejected,
            throttled,
            unknown,
            deliveries,
            queue_length,
            in_flight,
            links,
        } = traffic;
        self.count(&n::VENDOR_SENDS, &[name], *sends);
        self.count(&n::VENDOR_ANSWERS, &[name, "ok"], *accepted);
        self.count(&n::VENDOR_ANSWERS, &[name, "throttled"], *throttled);
        self.count(&n::VENDOR_ANSWERS, &[name, "error"], rejected.saturating_sub(*throttled));
        self.count(&n::VENDOR_UNKNOWN, &[name], *unknown);
        self.count(&n::VENDOR_DELIVERIES, &[name], *deliveries);
        self.count(&n::VENDOR_QUEUE_DEPTH, &[name], *queue_length);
        self.count(&n::VENDOR_IN_FLIGHT, &[name], *in_flight);
        self.count(&n::VENDOR_LINKS, &[name], *bound);
        self.count(&n::VENDOR_SUBMIT_LINKS, &[name], *links);
        let value = Value::Latency(Box::new(*round_trip));
        let samples = self.samples.entry(n::VENDOR_ROUND_TRIP.name).or_default();
        samples.push(Sample { labels: vec![name.to_string()], value });
    }

    fn add_spool_traffic(&mut self, traffic: &SpoolTraffic) {
        #[rustfmt::skip]
        let SpoolTraffic {
            accepted, late, settled, deferred, held, handed_out, failed, expired, unknown, receipts, receipts_lost, open,
        } = traffic;
        for (event, count) in [
            ("accepted", accepted),
            ("late", late),
            ("settled", settled),
            ("deferred", deferred),
            ("held", held),
            ("handed_out", handed_out),
            ("failed", failed),
            ("expired", expired),
            ("unknown", unknown),
        ] {
            self.count(&n::SPOOL_MESSAGES, &[event], *count);
        }
        self.count(&n::SPOOL_RECEIPTS, &["offered"], *receipts);
        self.count(&n::SPOOL_RECEIPTS, &["lost"], *receipts_lost);
        self.count(&n::SPOOL_OPEN, &[], *open);
    }

    fn add_spool(&mut self, counters: &SpoolCounters) {
        #[rustfmt::skip]
        let SpoolCounters {
            accepted: _, settled: _, handed_out: _, // as the relays count them
            full, syncs, sync_ns, outages, entries, octets, waiting, away, cut_octets,
        } = counters;
        self.count(&n::SPOOL_CUT, &[], *cut_octets);
        self.count(&n::SPOOL_ENTRIES, &["all"], *entries);
        self.count(&n::SPOOL_ENTRIES, &["waiting"], *waiting);
        self.count(&n::SPOOL_OCTETS, &[], *octets);
        self.count(&n::SPOOL_FULL, &[], *full);
        self.count(&n::SPOOL_SYNCS, &[], *syncs);
        self.put(&n::SPOOL_SYNC_TIME, &[], *sync_ns as f64 / 1e9);
        self.count(&n::SPOOL_ERRORS, &[], *outages);
        self.count(&n::SPOOL_AWAY, &[], *away);
    }

    fn add_store(&mut self, counters: &StoreCounters) {
        #[rustfmt::skip]
        let StoreCounters {
            remembered, found, missed, forgotten, annihilated, correlations_expired, demoted, parked, unparked,
            released, returned, parked_full, parked_expired, orphans, orphans_full, orphans_expired, commits,
            outages, open_recent, open_old, parked_now, orphans_now, away, ring_kept, ring_flushed, ring_full, forgets_lost, unpaced, cleared, given_again, displaced,
            early, early_served, early_expired, early_full, early_now,
            reconnects, hints, round_trips_micros, ring, lent, redis_evicts, redis_forgets, clock_apart, behind_mark,
        } = counters;
        self.count(&n::STORE_BEHIND, &[], *behind_mark);
        for (operation, count) in [
            ("remember", remembered),
            ("find_hit", found),
            ("find_miss", missed),
            ("forget", forgotten),
            ("annihilate", annihilated),
            ("demote", demoted),
            ("park", parked),
            ("unpark", unparked),
            ("release", released),
            ("return", returned),
            ("clear", cleared),
            ("orphan", orphans),
            ("early", early),
            ("early_serve", early_served),
        ] {
            self.count(&n::STORE_OPERATIONS, &[operation], *count);
        }
        self.count(&n::STORE_FULL, &["parked"], *parked_full);
        self.count(&n::STORE_FULL, &["orphan"], *orphans_full);
        self.count(&n::STORE_FULL, &["early"], *early_full);
        self.count(&n::STORE_EXPIRED, &["correlation"], *correlations_expired);
        self.count(&n::STORE_EXPIRED, &["parked"], *parked_expired);
        self.count(&n::STORE_EXPIRED, &["orphan"], *orphans_expired);
        self.count(&n::STORE_EXPIRED, &["early"], *early_expired);
        self.count(&n::STORE_COMMITS, &[], *commits);
        self.count(&n::STORE_ERRORS, &[], *outages);
        self.count(&n::STORE_ENTRIES, &["correlation_memory"], *open_recent);
        self.count(&n::STORE_ENTRIES, &["correlation_disk"], *open_old);
        self.count(&n::STORE_ENTRIES, &["parked"], *parked_now);
        self.count(&n::STORE_ENTRIES, &["orphan"], *orphans_now);
        self.count(&n::STORE_ENTRIES, &["early"], *early_now);
        self.count(&n::STORE_ENTRIES, &["ring"], *ring);
        self.count(&n::STORE_ENTRIES, &["lent"], *lent);
        self.count(&n::STORE_AWAY, &[], *away);
        self.count(&n::STORE_CLOCK_APART, &[], *clock_apart);
        self.count(&n::STORE_REDIS_UNSAFE, &["evicts"], *redis_evicts);
        self.count(&n::STORE_REDIS_UNSAFE, &["forgets"], *redis_forgets);
        self.count(&n::STORE_RING, &["kept"], *ring_kept);
        self.count(&n::STORE_RING, &["flushed"], *ring_flushed);
        self.count(&n::STORE_RING, &["lost"], *ring_full);
        self.count(&n::STORE_RING, &["forget_lost"], *forgets_lost);
        self.count(&n::IDS_GIVEN_AGAIN, &["kept"], given_again - displaced);
        self.count(&n::IDS_GIVEN_AGAIN, &["displaced"], *displaced);
        self.count(&n::STORE_UNPACED, &[], *unpaced);
        self.count(&n::STORE_CONNECTS, &[], *reconnects);
        self.count(&n::STORE_HINTS, &[], *hints);
        self.put(&n::STORE_ROUND_TRIP, &[], *round_trips_micros as f64 / 1e6);
    }
}
