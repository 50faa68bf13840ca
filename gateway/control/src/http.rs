//! The HTTP port: `/livez`, `/readyz`, `/metrics`, `/state`, `/api/v1/config`, `/api/v1/messages` (`messages.rs`) and
//! `/api/v1/routes/explain` (`explain.rs`). Answers from copies; no shard is asked.

use crate::drain::{Phase, SharedPhase};
use crate::explain;
use crate::messages::{self, Messages};
use crate::metrics::{self, Sources};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A shard that has not reported for so long does not live: it reports four times a second.
pub(crate) const HEARTBEAT_AGE_MAX: Duration = Duration::from_secs(10);

/// What the handlers look at.
pub(crate) struct Shared {
    pub(crate) sources: Sources,
    pub(crate) phase: SharedPhase,
    /// Where messages are looked up, if records are kept.
    pub(crate) messages: Option<Messages>,
    /// Monotonic clock at the start: until its first report a shard's heartbeat counts from here.
    pub(crate) born_ns: u64,
}

/// All paths.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/state", get(state))
        .route("/api/v1/config", get(config))
        .route("/api/v1/messages", get(messages::by_key))
        .route("/api/v1/messages/{id}", get(messages::by_id))
        .route("/api/v1/routes/explain", get(explain::by_question))
        .with_state(shared)
}

/// Whether the process should go on living: every shard's loop turns. Never depends on vendors or the store.
async fn livez(State(shared): State<Arc<Shared>>) -> Response {
    let age = shared.sources.heartbeat_age(runtime::monotonic_nanos(), shared.born_ns);
    if age <= HEARTBEAT_AGE_MAX {
        return (StatusCode::OK, "ok\n").into_response();
    }
    let text = format!("a shard has not turned for {} s\n", age.as_secs());
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

/// Whether customers should be sent here: listening and not draining.
async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    let phase = shared.phase.now();
    let status = if phase == Phase::Ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, format!("{}\n", phase.label())).into_response()
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let totals = shared.sources.collect(runtime::monotonic_nanos(), shared.phase.now() >= Phase::Draining);
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::text(&totals)).into_response()
}

/// Which configuration is in force, and everything that is wrong with the one that was refused last.
async fn config(State(shared): State<Arc<Shared>>) -> Response {
    let shown = shared.sources.standing.load().shown(runtime::monotonic_nanos());
    ([(header::CONTENT_TYPE, "application/json")], format!("{shown}\n")).into_response()
}

/// What an operator asks first, as JSON. Its form may grow; fields do not change their meaning.
async fn state(State(shared): State<Arc<Shared>>) -> Response {
    let Shared { sources, phase, born_ns, .. } = &*shared;
    let now = runtime::monotonic_nanos();
    let reports: Vec<_> = sources.shards.iter().map(|slot| slot.load_full()).collect();
    let shards: Vec<Value> = reports
        .iter()
        .enumerate()
        .map(|(index, report)| {
            json!({
                "index": index,
                "heartbeat_age_ms": now.saturating_sub(report.made_at_ns.max(*born_ns)) / 1_000_000,
                "customers_bound": report.customers.bound,
                "vendors_bound": report.vendors_links.bound,
                "messages_open": report.relay.traffic.messages_open,
                "deliveries_open": report.relay.traffic.deliveries_open,
                "submits": report.relay.traffic.submits,
            })
        })
        .collect();
    let mut vendors: std::collections::BTreeMap<&str, shard::VendorReport> =
        std::collections::BTreeMap::new();
    for vendor in reports.iter().flat_map(|report| &report.vendors) {
        vendors.entry(&vendor.name).or_default().add(vendor);
    }
    let vendor = |(name, vendor): (&&str, &shard::VendorReport)| {
        let relay::VendorTraffic { in_flight, queue_length, accepted, rejected, unknown, .. } =
            &vendor.traffic;
        json!({
            "name": name, "links": vendor.links, "in_flight": in_flight, "queue": queue_length,
            "accepted": accepted, "rejected": rejected, "unknown": unknown,
        })
    };
    let store = sources.store.as_ref().map(|store| {
        let counters = store.load();
        json!({
            "away": counters.away != 0,
            "correlations": counters.open_recent + counters.open_old,
            "parked": counters.parked_now,
            "orphans": counters.orphans_now,
            "early": counters.early_now,
        })
    });
    let spool = sources.spool.as_ref().map(|spool| {
        let counters = spool.load();
        json!({ "away": counters.away != 0, "messages": counters.entries, "waiting": counters.waiting })
    });
    let state = json!({
        "node": sources.node,
        "version": sources.version,
        "phase": phase.now().label(),
        "io_backend": sources.backend,
        "uptime_seconds": now.saturating_sub(*born_ns) / 1_000_000_000,
        "config_version": sources.config.version.load(Ordering::Relaxed),
        "shards": shards,
        "vendors": vendors.iter().map(vendor).collect::<Vec<_>>(),
        "store": store,
        "spool": spool,
    });
    ([(header::CONTENT_TYPE, "application/json")], format!("{state}\n")).into_response()
}
