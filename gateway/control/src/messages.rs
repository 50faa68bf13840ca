//! `GET /api/v1/messages`: what became of a message, from memory or from where its records were written.

use crate::cdr::{Archive, CdrOptions, Key, Line, Names, RecordsDesk, Span};
use crate::http::Shared;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use relay::{AccountId, VendorId};
use serde::Deserialize;
use serde_json::{Value, json};
use smpp::text::message_id::GatewayId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long the memory may take to answer before only the archive is asked.
const MEMORY_MAX: Duration = Duration::from_secs(1);
/// Looks into the archive at a time: each may read gigabytes. More are told to come again.
const SEARCHES_MAX: usize = 2;
/// How far back is looked for a message without our id, unless `from` says otherwise: one day.
const SPAN_SECONDS: u64 = 86_400;

/// Where messages are looked up.
pub struct Messages {
    desk: RecordsDesk,
    archive: Option<Archive>,
    names: Names,
    mask: bool,
    searches: Semaphore,
}

impl Messages {
    /// With the memory behind this desk, and the sinks of these options.
    pub fn new(desk: RecordsDesk, options: &CdrOptions, names: Names) -> Messages {
        let postgres = options.postgres.clone().map(Archive::Postgres);
        let archive = postgres.or_else(|| options.file.clone().map(Archive::Files));
        let searches = Semaphore::new(SEARCHES_MAX);
        Messages { desk, archive, names, mask: options.mask_addresses, searches }
    }

    async fn find(&self, key: Key, span: Span) -> Response {
        let remembered = tokio::time::timeout(MEMORY_MAX, self.desk.find(key.clone())).await;
        let records = remembered.ok().flatten().unwrap_or_default();
        if !records.is_empty() {
            let lines = records.iter().map(|record| Line::of(record, &self.names)).collect();
            return answer(StatusCode::OK, &timelines(lines, "memory", false));
        }
        let Some(archive) = &self.archive else { return unknown(&["memory"]) };
        let Ok(_permit) = self.searches.try_acquire() else {
            let text = "as many searches as may are under way: ask again in a moment";
            return answer(StatusCode::TOO_MANY_REQUESTS, &json!({ "error": text }));
        };
        let place = match archive {
            Archive::Postgres(_) => "postgres",
            Archive::Files(_) => "files",
        };
        match archive.find(&key, span, &self.names, self.mask).await {
            Ok(found) if found.lines.is_empty() && !found.is_cut => unknown(&["memory", place]),
            Ok(found) => answer(StatusCode::OK, &timelines(found.lines, place, found.is_cut)),
            Err(error) => {
                tracing::warn!(%error, "records could not be searched");
                answer(StatusCode::BAD_GATEWAY, &json!({ "error": format!("{place}: {error}") }))
            }
        }
    }
}

/// The lines by message, each message's in order of time.
fn timelines(mut lines: Vec<Line>, place: &str, is_cut: bool) -> Value {
    lines.sort_by(|left, right| (&left.at, left.number).cmp(&(&right.at, right.number)));
    let mut messages: Vec<(Option<String>, Vec<Line>)> = Vec::new();
    for line in lines {
        match messages.iter_mut().find(|(id, _)| *id == line.gateway_id && id.is_some()) {
            Some((_, same)) => same.push(line),
            None => messages.push((line.gateway_id.clone(), vec![line])),
        }
    }
    let messages: Vec<Value> =
        messages.iter().map(|(id, records)| json!({ "id": id, "records": records })).collect();
    json!({ "messages": messages, "found_in": place, "is_cut": is_cut })
}

fn answer(status: StatusCode, value: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{value}\n")).into_response()
}

fn unknown(looked_in: &[&str]) -> Response {
    let text = "no such message is known here: it is too old, of another node, or was never accepted";
    answer(StatusCode::NOT_FOUND, &json!({ "error": text, "looked_in": looked_in }))
}

fn wrong(what: &str) -> Response {
    answer(StatusCode::BAD_REQUEST, &json!({ "error": what }))
}

fn off() -> Response {
    let text = "no records are kept: set [cdr] sinks or recent_max";
    answer(StatusCode::NOT_FOUND, &json!({ "error": text }))
}

/// By our id.
pub(crate) async fn by_id(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let Some(messages) = &shared.messages else { return off() };
    let Some(id) = GatewayId::parse(id.as_bytes()) else {
        return wrong("a message id has 16 hexadecimal digits");
    };
    messages.find(Key::Id(id), Span::of_id(id)).await
}

/// What may stand behind the question mark.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    vendor: Option<String>,
    vendor_id: Option<String>,
    customer: Option<String>,
    reference: Option<u32>,
    destination: Option<String>,
    from: Option<u64>,
    to: Option<u64>,
}

/// By a vendor and its id, or by a customer, its reference and the destination.
pub(crate) async fn by_key(State(shared): State<Arc<Shared>>, Query(asked): Query<Asked>) -> Response {
    let Some(messages) = &shared.messages else { return off() };
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    let from = asked.from.unwrap_or_else(|| now.saturating_sub(SPAN_SECONDS));
    let span = Span { from, to: asked.to.unwrap_or(u64::MAX) };
    let key = match asked {
        Asked { vendor: Some(vendor), vendor_id: Some(id), customer: None, .. } => {
            Key::Vendor(VendorId::of_name(vendor.as_bytes()), id.into_bytes())
        }
        Asked {
            customer: Some(customer),
            reference: Some(reference),
            destination: Some(to),
            vendor: None,
            ..
        } => Key::Customer(AccountId::of_name(customer.as_bytes()), reference, to.into_bytes()),
        _ => {
            return wrong("ask with vendor and vendor_id, or with customer, reference and destination");
        }
    };
    messages.find(key, span).await
}
