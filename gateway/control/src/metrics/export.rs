//! The text that Prometheus scrapes (OpenMetrics), written by prometheus-client.

use super::collect::{Sample, Totals, Value};
use super::names::{Form, METRICS, Metric, PREFIX};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;

/// Content type of [`text`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of [`shard::Latency`]'s buckets, seconds; the last has none. A test holds them against it.
const BUCKET_BOUNDS: [f64; 16] = [
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    10.0,
    f64::INFINITY,
];

/// The figures of one moment as text.
pub fn text(totals: &Totals) -> String {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Moment(totals.clone())));
    let mut text = String::new();
    if let Err(error) = encode(&mut text, &registry) {
        // A String takes everything; only a metric of a wrong form could fail, and then the scraper sees a cut text.
        tracing::error!(%error, "metrics cannot be written");
    }
    text
}

/// One scrape's figures, in the form that the library asks for.
#[derive(Debug)]
struct Moment(Totals);

impl Collector for Moment {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for metric in METRICS {
            let Some(samples) = self.0.samples.get(metric.name) else { continue };
            let form = match metric.form {
                Form::Counter => MetricType::Counter,
                Form::Gauge => MetricType::Gauge,
                Form::Histogram => MetricType::Histogram,
            };
            let help = metric.help;
            let mut family = encoder.encode_descriptor(metric.name, help, None, form)?;
            for sample in samples {
                let values = sample.labels.iter().map(String::as_str);
                let labels: Vec<(&str, &str)> = metric.labels.iter().copied().zip(values).collect();
                if labels.is_empty() {
                    write_sample(metric, sample, &mut family)?;
                } else {
                    write_sample(metric, sample, &mut family.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}

fn write_sample(metric: &Metric, sample: &Sample, encoder: &mut MetricEncoder<'_>) -> Result<(), fmt::Error> {
    match (&sample.value, metric.form) {
        (Value::Number(number), Form::Counter) if number.fract() == 0.0 => {
            encoder.encode_counter::<NoLabelSet, _, f64>(&(*number as u64), None)
        }
        (Value::Number(number), Form::Counter) => encoder.encode_counter::<NoLabelSet, _, f64>(number, None),
        (Value::Number(number), _) if number.fract() == 0.0 => encoder.encode_gauge(&(*number as i64)),
        (Value::Number(number), _) => encoder.encode_gauge(number),
        (Value::Latency(latency), _) => {
            let buckets: Vec<(f64, u64)> = BUCKET_BOUNDS.into_iter().zip(latency.buckets).collect();
            let count = latency.buckets.iter().sum();
            encoder.encode_histogram::<NoLabelSet>(latency.sum_us as f64 / 1e6, count, &buckets, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Sources;
    use super::*;
    use crate::auth::{AuthOptions, AuthQuestion, Authenticator, Guests};
    use arc_swap::ArcSwap;
    use shard::{Latency, LinkTally, ShardReport, VendorReport, report_slot};
    use std::sync::Arc;
    use std::time::Duration;
    use store::StoreCounters;
    use store::lease::rates::RatesReport;
    use store::lease::slots::KeeperCounters;
    use store::spool::SpoolCounters;

    #[test]
    fn buckets_are_the_shards() {
        for (index, bound) in BUCKET_BOUNDS.iter().take(15).enumerate() {
            let micros = (bound * 1e6).round() as u64;
            let mut latency = Latency::default();
            latency.record(Duration::from_micros(micros));
            latency.record(Duration::from_micros(micros + 1));
            assert_eq!((latency.buckets[index], latency.buckets[index + 1]), (1, 1), "bucket {index}");
        }
    }

    /// Sources in which every counter moved.
    #[expect(clippy::too_many_lines, reason = "a flat list of every counter")]
    fn busy_sources(shards: usize) -> Sources {
        let tally = LinkTally { bound: 3, binds_accepted: 4, binds_refused: 5, closed: 6 };
        let mut round_trip = Latency::default();
        round_trip.record(Duration::from_micros(700));
        let mut report = ShardReport {
            made_at_ns: 1_000_000_000,
            customers: tally,
            vendors_links: tally,
            bind_refusals: [1; 7],
            swaps: round_trip,
            greetings_failed: 1,
            ranges_invalid: 1,
            accepts_failed: 1,
            handed_over: 1,
            backlog: 1,
            busy_ns: 1_500_000_000,
            slots: shard::SlotsReport { version: 1, open: Vec::new(), node_links: 1, node_sessions: 1 },
            records: shard::RecordTally { waiting: 1, dropped: 1, queries_answered: 1, queries_failed: 1 },
            ..ShardReport::default()
        };
        report.links = link::Counters {
            opened: 1,
            closed: 1,
            refused_full: 1,
            pdus_in: 7,
            reads: 1,
            octets_in: 1,
            writes: 1,
            octets_out: 1,
            blocked: 1,
            framing_errors: 1,
            undecodable: 1,
            illegal_requests: 1,
            unknown_commands: 1,
            late_responses: 1,
            expired: 1,
            overdue_ends: 1,
            pipelined_binds: 1,
            outbox_full: 1,
            panics: 1,
        };
        report.relay.refused = [9; relay::Refusal::ALL.len()];
        for _ in 0..5 {
            report.relay.traffic.add(&relay::Traffic {
                limits_without_room: 1,
                submits: 1,
                submits_accepted: 1,
                submits_rejected: 1,
                submits_refused: 1,
                submits_unknown: 1,
                parts_waited: 1,
                parts_forgotten: 1,
                rewrites_refused: 1,
                node_forwards: 1,
                node_served: 1,
                node_unsent: 1,
                submits_abandoned: 1,
                submits_duplicate: 1,
                submits_rewritten: 1,
                deliveries_rewritten: 1,
                deliveries_malformed: 1,
                kept_rewritten: 1,
                kept_malformed: 1,
                submits_maybe_twice: 1,
                vendor_sends: 1,
                vendor_answers: 1,
                vendor_throttled: 1,
                vendor_failovers: 1,
                vendor_unsent: 1,
                route_circuit_openings: 1,
                route_circuits_full: 1,
                route_circuits: 1,
                vendor_unknown: 1,
                unknown_retries: 1,
                unknowns_resolved: 1,
                unknowns_ambiguous: 1,
                unknowns_forgotten: 1,
                resubmits_forgotten: 1,
                stale_events: 1,
                queued: 1,
                queue_full: 1,
                remote_submits: 1,
                remote_served: 1,
                remote_expired: 1,
                correlations: 1,
                correlations_lost: 1,
                receipts: 1,
                receipts_uncorrelated: 1,
                receipts_early: 1,
                receipts_contradicted: 1,
                receipts_repeated: 1,
                receipts_unasked: 1,
                receipts_of_several: 1,
                mo: 1,
                mo_parts: 1,
                mo_reassembled: 1,
                mo_incomplete: 1,
                mo_gather_full: 1,
                deliveries_unsuited: 1,
                orphans: 1,
                deliveries_taken: 1,
                deliveries_rejected: 1,
                deliveries_retried: 1,
                remote_deliveries: 1,
                parked: 1,
                unparked: 1,
                deliveries_refused: 1,
                store_outages: 1,
                records_lost: 1,
                messages_open: 1,
                deliveries_open: 1,
                queue_length: 1,
                unresolved_open: 1,
                resubmits_open: 1,
            });
        }
        let traffic = relay::VendorTraffic {
            sends: 9,
            accepted: 5,
            rejected: 4,
            throttled: 3,
            unknown: 2,
            deliveries: 1,
            queue_length: 1,
            in_flight: 1,
            links: 1,
        };
        report.relay.spool = relay::SpoolTraffic {
            accepted: 1,
            late: 1,
            settled: 1,
            deferred: 1,
            held: 1,
            handed_out: 1,
            failed: 1,
            expired: 1,
            unknown: 1,
            receipts: 1,
            receipts_lost: 1,
            open: 1,
        };
        let health =
            shard::HealthTally { shards: 1, health: 16, open: 1, half_open: 1, paused: 1, openings: 1 };
        report.vendors = vec![VendorReport {
            id: None,
            name: "west".into(),
            is_configured: true,
            links: 2,
            traffic,
            health,
            round_trip,
        }];
        let slots = (0..shards).map(|_| {
            let slot = report_slot();
            slot.store(Arc::new(report.clone()));
            slot
        });
        let counters = relay::LeaseCounters {
            exchanges: 1,
            failures: 1,
            asks: 1,
            tokens: 1,
            lapses: 1,
            limits: 1,
            on_fallback: 1,
        };
        let rates = RatesReport { counters, lease_age: Duration::from_millis(20) };
        let store = StoreCounters {
            redis_evicts: 1,
            redis_forgets: 1,
            clock_apart: 1,
            remembered: 1,
            found: 1,
            missed: 1,
            forgotten: 1,
            annihilated: 1,
            correlations_expired: 1,
            demoted: 1,
            parked: 1,
            unparked: 1,
            released: 1,
            returned: 1,
            parked_full: 1,
            parked_expired: 1,
            orphans: 1,
            orphans_full: 1,
            orphans_expired: 1,
            commits: 1,
            outages: 1,
            open_recent: 1,
            open_old: 1,
            parked_now: 1,
            orphans_now: 1,
            away: 1,
            ring_kept: 1,
            ring_flushed: 1,
            ring_full: 1,
            forgets_lost: 1,
            early: 1,
            early_served: 1,
            early_expired: 1,
            early_full: 1,
            early_now: 1,
            given_again: 2,
            displaced: 1,
            unpaced: 1,
            cleared: 1,
            reconnects: 1,
            hints: 1,
            round_trips_micros: 1,
            ring: 1,
            lent: 1,
            behind_mark: 1,
        };
        let spool = SpoolCounters {
            accepted: 1,
            settled: 1,
            handed_out: 1,
            full: 1,
            syncs: 1,
            sync_ns: 1_000_000_000,
            outages: 1,
            entries: 1,
            octets: 1,
            waiting: 1,
            away: 1,
            cut_octets: 1,
        };
        let slots_state = crate::slots::SlotsState {
            vendors: vec![("west".into(), 1, 2)],
            renewed_at_ns: 1_000_000_000,
            rounds: 1,
            rounds_failed: 1,
            slots: KeeperCounters { taken: 1, given_back: 1, lapsed: 1, lost: 1 },
        };
        Sources {
            version: "0.1.0",
            node: "gw1".into(),
            backend: "epoll",
            started_at: 1_800_000_000,
            config: Arc::new(crate::publish::ConfigState {
                version: 1.into(),
                published: 1.into(),
                needs_restart: 1.into(),
                memory: ArcSwap::from_pointee(shard::limits::MemoryBound {
                    summands: vec![shard::limits::Summand { holder: "links", worst: 7, steady: 5 }],
                }),
            }),
            standing: crate::source::Standing::busy(),
            shards: slots.collect(),
            store: Some(Arc::new(ArcSwap::from_pointee(store))),
            spool: Some(Arc::new(ArcSwap::from_pointee(spool))),
            slots: Some(Arc::new(ArcSwap::from_pointee(slots_state))),
            rates: Some(Arc::new(ArcSwap::from_pointee(rates))),
            sinks: vec![("file", crate::cdr::SinkView::busy())],
            node_id: Some((
                1,
                Arc::new(store::lease::node_id::NodeIdState {
                    silent_seconds: 1.into(),
                    is_taken: true.into(),
                }),
            )),
            authenticator: Some(Authenticator::start(Guests::default(), AuthOptions::default()).unwrap().0),
        }
    }

    #[test]
    fn every_metric_is_exported_and_moves() {
        let sources = busy_sources(2);
        let ((told, heard), waits) = (std::sync::mpsc::channel(), Arc::new(()));
        let question = AuthQuestion {
            system_id: b"nobody",
            password: b"x",
            address: std::net::IpAddr::from([127, 0, 0, 1]),
            waits: Arc::downgrade(&waits),
        };
        sources.authenticator.as_ref().unwrap().ask(question, move |_, _| told.send(()).unwrap());
        heard.recv().unwrap();
        let text = text(&sources.collect(3_000_000_000, true));
        // What only another part of the process can move.
        let elsewhere = ["smppgw_panics_total", "smppgw_auth_hashes_total", "smppgw_auth_waiting"];
        for metric in METRICS {
            let name = metric.exported_name();
            let line =
                |line: &&str| line.starts_with(&name) && line[name.len()..].starts_with([' ', '{', '_']);
            let moved = text.lines().filter(line).any(|line| !line.ends_with(" 0"));
            assert!(moved || elsewhere.contains(&name.as_str()), "{name} does not move in\n{text}");
            assert!(text.lines().any(|line| line.starts_with(&name)), "{name} is missing");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn shards_are_summed_and_labels_written() {
        let text = text(&busy_sources(2).collect(3_000_000_000, false));
        for line in [
            "# HELP smppgw_submits submit_sm and data_sm from customers.",
            "# TYPE smppgw_submits counter",
            "smppgw_submits_total 10",
            "smppgw_links{side=\"customer\",state=\"bound\"} 6",
            "smppgw_vendor_answers_total{vendor=\"west\",class=\"throttled\"} 6",
            "smppgw_vendor_answers_total{vendor=\"west\",class=\"error\"} 2",
            "smppgw_memory_bound_bytes{case=\"worst\"} 7",
            "smppgw_vendor_links{vendor=\"west\"} 4",
            "smppgw_vendor_health_ratio{vendor=\"west\"} 0.25",
            "smppgw_vendor_circuits{vendor=\"west\",state=\"open\"} 2",
            "smppgw_vendor_submit_links{vendor=\"west\"} 2",
            "smppgw_vendor_round_trip_seconds_count{vendor=\"west\"} 2",
            "smppgw_vendor_round_trip_seconds_bucket{le=\"0.001\",vendor=\"west\"} 2",
            "smppgw_vendor_round_trip_seconds_bucket{le=\"0.0005\",vendor=\"west\"} 0",
            "smppgw_vendor_round_trip_seconds_bucket{le=\"+Inf\",vendor=\"west\"} 2",
            "smppgw_refusals_total{reason=\"no_route\"} 18",
            "smppgw_shard_busy_seconds_total{shard=\"1\"} 1.5",
            "smppgw_shard_heartbeat_age_seconds{shard=\"0\"} 2",
            "smppgw_io_backend{backend=\"epoll\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "no line {line} in\n{text}");
        }
    }
}
