//! `gateway trace`: asks a running gateway for a message and prints its timeline.

use anyhow::{Context, bail};
use control::cdr::Line;
use serde::Deserialize;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

/// A search through files may take that long.
const ANSWER_MAX: Duration = Duration::from_secs(120);
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Which message, and whom to ask.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Our message id, 16 hexadecimal digits
    #[arg(required_unless_present_any = ["vendor", "customer"], conflicts_with_all = ["vendor", "customer"])]
    id: Option<String>,
    /// The vendor that gave the id in --vendor-id
    #[arg(long, requires = "vendor_id", conflicts_with = "customer")]
    vendor: Option<String>,
    /// The vendor's id of the message
    #[arg(long, requires = "vendor")]
    vendor_id: Option<String>,
    /// The customer that sent it, with --reference and --destination
    #[arg(long, requires_all = ["reference", "destination"])]
    customer: Option<String>,
    /// Its user_message_reference, or the sequence number of its submit
    #[arg(long, requires = "customer")]
    reference: Option<u32>,
    /// The number it went to
    #[arg(long, requires = "customer")]
    destination: Option<String>,
    /// Look no further back than this, seconds since 1970 (default: one day; with our id not needed)
    #[arg(long)]
    from: Option<u64>,
    /// HTTP port of the gateway
    #[arg(long, default_value = "127.0.0.1:9400")]
    http: SocketAddr,
    /// Take the HTTP port from this configuration instead
    #[arg(long, conflicts_with = "http")]
    config: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Answer {
    messages: Vec<Message>,
    found_in: String,
    is_cut: bool,
}

#[derive(Deserialize)]
struct Message {
    id: Option<String>,
    records: Vec<Line>,
}

/// # Errors
/// When the gateway cannot be asked or does not know the message.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let address = match &arguments.config {
        Some(file) => {
            let config = control::config::load(file).map_err(|mistakes| {
                let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                anyhow::anyhow!(mistakes.join("\n"))
            })?;
            config.listen.http
        }
        None => arguments.http,
    };
    let (status, body) =
        ask(address, &path(arguments)).with_context(|| format!("the gateway at {address}"))?;
    if status != 200 {
        let error = serde_json::from_str::<serde_json::Value>(&body).ok();
        let error = error.and_then(|body| body["error"].as_str().map(str::to_owned));
        bail!("{}", error.unwrap_or_else(|| format!("HTTP status {status}: {body}")));
    }
    let answer: Answer = serde_json::from_str(&body).context("an answer that cannot be read")?;
    for message in &answer.messages {
        print!("{}", timeline(message));
    }
    println!("found in: {}", answer.found_in);
    if answer.is_cut {
        println!("there may be more: narrow the search with --from");
    }
    Ok(())
}

fn path(arguments: &Arguments) -> String {
    let mut path = String::from("/api/v1/messages");
    if let Some(id) = &arguments.id {
        let _ = write!(path, "/{}", encoded(id));
        return path;
    }
    let pairs = [
        ("vendor", arguments.vendor.clone()),
        ("vendor_id", arguments.vendor_id.clone()),
        ("customer", arguments.customer.clone()),
        ("reference", arguments.reference.map(|reference| reference.to_string())),
        ("destination", arguments.destination.clone()),
        ("from", arguments.from.map(|from| from.to_string())),
    ];
    let mut mark = '?';
    for (key, value) in pairs.iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
        let _ = write!(path, "{mark}{key}={}", encoded(value));
        mark = '&';
    }
    path
}

/// Percent-encoding of RFC 3986; everything but letters and digits.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, octet| {
        match octet.is_ascii_alphanumeric() {
            true => encoded.push(octet.into()),
            false => drop(write!(encoded, "%{octet:02X}")),
        }
        encoded
    })
}

/// Status and body of a GET.
pub(crate) fn ask(address: SocketAddr, path: &str) -> anyhow::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, CONNECT_MAX)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no HTTP answer")?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Ok((status, body))
}

/// A message as a person reads it: what it was, then what happened when.
fn timeline(message: &Message) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "message {}", message.id.as_deref().unwrap_or("without an id"));
    for record in &message.records {
        match record.kind.as_str() {
            "submit" => tell_submit(&mut text, record),
            "delivery" => tell_delivery(&mut text, record),
            _ => tell_later(&mut text, record),
        }
    }
    text
}

fn tell_submit(text: &mut String, record: &Line) {
    let word = |value: &Option<String>| value.clone().unwrap_or_else(|| "?".into());
    let reference = record.reference.unwrap_or_default();
    let _ = writeln!(
        text,
        "  {} of {}: {} -> {}, reference {reference}{}",
        word(&record.command),
        word(&record.customer),
        word(&record.source),
        word(&record.destination),
        match (record.part_number, record.part_total) {
            (Some(number), Some(total)) => format!(", part {number} of {total}"),
            _ => String::new(),
        }
    );
    step(text, &record.at, 0, "accepted from the customer");
    if let Some(after) = record.routed_us {
        step(text, &record.at, after, "routed");
    }
    if let Some(after) = record.sent_us {
        let others = match record.copies {
            Some(copies) if copies > 1 => format!(", copy {copies} ({})", word(&record.vendors)),
            _ => String::new(),
        };
        step(text, &record.at, after, &format!("sent to {}{others}", word(&record.vendor)));
    }
    if let (Some(after), Some(status)) = (record.acknowledged_us, record.vendor_status) {
        let id = record.vendor_id.as_ref().map(|id| format!(", its id {id}")).unwrap_or_default();
        step(text, &record.at, after, &format!("{} answered {}{id}", word(&record.vendor), named(status)));
    }
    let refusal = record.refusal.as_ref().map(|reason| format!(", refused: {reason}")).unwrap_or_default();
    let duplicate = if record.possible_duplicate == Some(true) { ", possible duplicate" } else { "" };
    let answered = match record.customer_status {
        Some(status) => format!("customer answered {}", named(status)),
        None => "customer gone, no answer given".into(),
    };
    let state = match record.state.as_deref() {
        Some("admitted") => "kept in the spool",
        state => state.unwrap_or("?"),
    };
    let what = format!("{answered}, {state}{refusal}{duplicate}");
    step(text, &record.at, record.ended_us, &what);
}

/// A duplicate, a settlement, a resolution.
fn tell_later(text: &mut String, record: &Line) {
    let state = record.state.as_deref().unwrap_or("?");
    let vendor = record.vendor.as_ref().map(|vendor| format!(", {vendor}")).unwrap_or_default();
    let id = record.vendor_id.as_ref().map(|id| format!(", its id {id}")).unwrap_or_default();
    let what = match record.kind.as_str() {
        "duplicate" => "submitted again, answered with the same id, not sent".into(),
        "settled" => {
            let tries = record.tries.unwrap_or_default();
            let fate = record.receipt_state.as_ref().map(|fate| format!(" ({fate})")).unwrap_or_default();
            let status = record.vendor_status.map(|status| format!(", {}", named(status)));
            let duplicate = if record.possible_duplicate == Some(true) { ", possible duplicate" } else { "" };
            let status = status.unwrap_or_default();
            format!("settled: {state}{fate}{vendor}{status}{id}, tries {tries}{duplicate}")
        }
        "resolved" => format!("a receipt told the outcome: {state}{vendor}{id}"),
        kind => format!("{kind}: {state}"),
    };
    step(text, &record.at, record.ended_us, &what);
}

fn tell_delivery(text: &mut String, record: &Line) {
    let state = record.receipt_state.as_deref().unwrap_or("without a state");
    let error = record.receipt_error.map(|error| format!(", error {error}")).unwrap_or_default();
    let from = match (&record.vendor, record.was_parked) {
        (_, Some(true)) => " out of the store".to_owned(),
        (Some(vendor), _) => format!(" from {vendor}"),
        _ => " of the gateway's own".to_owned(),
    };
    let what = match record.receipt_final {
        Some(_) => format!("receipt {state}{error}{from}"),
        None => format!("message of a handset{from}"),
    };
    step(text, &record.at, 0, &what);
    let status = record.customer_status.map(|status| format!(", customer said {}", named(status)));
    let outcome = record.outcome.as_deref().unwrap_or("?");
    step(text, &record.at, record.ended_us, &format!("{outcome}{}", status.unwrap_or_default()));
}

fn named(status: u32) -> String {
    smpp::field::CommandStatus(status).to_string()
}

/// One line: when it was, and how long after the record's begin.
fn step(text: &mut String, at: &str, after_us: u64, what: &str) {
    let begin: Option<jiff::Timestamp> = at.parse().ok();
    let moment = begin.and_then(|begin| begin.checked_add(Duration::from_micros(after_us)).ok());
    let moment = moment.map_or_else(|| at.to_owned(), |moment| format!("{moment:.6}"));
    let _ = writeln!(text, "  {moment} +{:>10.3} ms  {what}", after_us as f64 / 1e3);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_reads_from_top_to_bottom() {
        let submit = Line {
            kind: "submit".into(),
            at: "2026-01-01T00:00:00.000000Z".into(),
            command: Some("submit_sm".into()),
            customer: Some("acme".into()),
            source: Some("ACME".into()),
            destination: Some("12025550123".into()),
            reference: Some(7),
            vendor: Some("east".into()),
            vendors: Some("west,east".into()),
            vendor_id: Some("A7".into()),
            copies: Some(2),
            possible_duplicate: Some(true),
            routed_us: Some(10),
            sent_us: Some(20),
            acknowledged_us: Some(1_500),
            ended_us: 1_600,
            vendor_status: Some(0),
            customer_status: Some(0),
            state: Some("acked".into()),
            ..Line::default()
        };
        let receipt = Line {
            kind: "delivery".into(),
            at: "2026-01-01T00:00:02.000000Z".into(),
            vendor: Some("east".into()),
            receipt_state: Some("DELIVRD".into()),
            receipt_error: Some(0),
            receipt_final: Some(true),
            outcome: Some("taken".into()),
            customer_status: Some(0),
            ended_us: 300,
            ..Line::default()
        };
        let message = Message { id: Some("00000000000000AB".into()), records: vec![submit, receipt] };
        let expected = "\
message 00000000000000AB
  submit_sm of acme: ACME -> 12025550123, reference 7
  2026-01-01T00:00:00.000000Z +     0.000 ms  accepted from the customer
  2026-01-01T00:00:00.000010Z +     0.010 ms  routed
  2026-01-01T00:00:00.000020Z +     0.020 ms  sent to east, copy 2 (west,east)
  2026-01-01T00:00:00.001500Z +     1.500 ms  east answered ESME_ROK, its id A7
  2026-01-01T00:00:00.001600Z +     1.600 ms  customer answered ESME_ROK, acked, possible duplicate
  2026-01-01T00:00:02.000000Z +     0.000 ms  receipt DELIVRD, error 0 from east
  2026-01-01T00:00:02.000300Z +     0.300 ms  taken, customer said ESME_ROK
";
        assert_eq!(timeline(&message), expected);
    }

    #[test]
    fn what_is_asked_for_is_encoded() {
        assert_eq!(encoded("+44 a&b"), "%2B44%20a%26b");
    }
}
