//! What a simulator says about itself.

use std::fmt;
use std::net::SocketAddr;

use serde_json::{Value, json};
use smpp::field::CommandStatus;
use smpp::pdu::BindKind;

use crate::counters::{Counters, Tally};

/// One site at one moment.
#[derive(Clone, Debug)]
pub struct SiteReport {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Whether the port is open.
    pub is_open: bool,
    /// Names of the faults that are on.
    pub faults: Vec<&'static str>,
    /// Faults that are on or to come.
    pub timeline: usize,
    /// Receipts and messages from handsets that wait or are unanswered.
    pub pending: usize,
    /// What it has done.
    pub counters: Counters,
    /// Its sessions.
    pub sessions: Vec<SessionReport>,
}

/// One bound session.
#[derive(Clone, Debug)]
pub struct SessionReport {
    /// Account.
    pub system_id: String,
    /// Kind of bind.
    pub kind: BindKind,
    /// Address of the other end.
    pub peer: Option<SocketAddr>,
    /// Submits without an answer.
    pub unanswered: u32,
    /// deliver_sm without an answer.
    pub in_flight: u32,
}

/// What became of every site in the end.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// By name.
    pub sites: Vec<SiteReport>,
}

impl Summary {
    /// The site with this name.
    pub fn site(&self, name: &str) -> Option<&SiteReport> {
        self.sites.iter().find(|site| site.name == name)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for site in &self.sites {
            let counters = &site.counters;
            writeln!(
                f,
                "{}: {} submits, {} accepted, {} refused{}; {} requests and {} responses lost",
                site.name,
                counters.submits,
                counters.accepted,
                counters.refused.total(),
                Statuses(&counters.refused),
                counters.lost_requests,
                counters.lost_responses,
            )?;
            writeln!(
                f,
                "{}: {} receipts sent, {} acked, {} retried, {} refused, {} dropped, {} still waiting; {} MO sent, {} acked",
                site.name,
                counters.receipts_sent,
                counters.receipts_acked,
                counters.receipts_retried,
                counters.receipts_refused,
                counters.receipts_dropped,
                site.pending,
                counters.mo_sent,
                counters.mo_acked,
            )?;
            for (name, count) in counters.faults.iter() {
                writeln!(f, "{}: fault {name} struck {count} times", site.name)?;
            }
        }
        Ok(())
    }
}

struct Statuses<'a>(&'a Tally<u32>);

impl fmt::Display for Statuses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (status, count)) in self.0.iter().enumerate() {
            write!(f, "{}{count} {}", if index == 0 { " (" } else { ", " }, CommandStatus(status))?;
        }
        if self.0.total() > 0 { f.write_str(")") } else { Ok(()) }
    }
}

/// GET /state.
pub(crate) fn state(reports: &[SiteReport]) -> Value {
    let site = |report: &SiteReport| {
        json!({
            "name": report.name,
            "listen": report.listen.to_string(),
            "open": report.is_open,
            "faults": report.faults,
            "timeline": report.timeline,
            "sessions": report.sessions.len(),
            "pending": report.pending,
        })
    };
    json!({ "sites": reports.iter().map(site).collect::<Vec<_>>() })
}

/// GET /counters.
pub(crate) fn counters(reports: &[SiteReport]) -> Value {
    let sites: serde_json::Map<_, _> =
        reports.iter().map(|report| (report.name.clone(), counters_of(&report.counters))).collect();
    Value::Object(sites)
}

/// GET /sessions.
pub(crate) fn sessions(reports: &[SiteReport]) -> Value {
    let of_site = |report: &SiteReport| {
        let session = |session: &SessionReport| {
            json!({
                "site": report.name,
                "system_id": session.system_id,
                "kind": kind_name(session.kind),
                "peer": session.peer.map(|peer| peer.to_string()),
                "unanswered": session.unanswered,
                "in_flight": session.in_flight,
            })
        };
        report.sessions.iter().map(session).collect::<Vec<_>>()
    };
    Value::Array(reports.iter().flat_map(of_site).collect())
}

/// Without rest: a new counter cannot be forgotten here.
fn counters_of(counters: &Counters) -> Value {
    let Counters {
        connections,
        binds,
        binds_most,
        binds_refused,
        submits,
        unkeyed,
        accepted,
        refused,
        lost_requests,
        lost_responses,
        receipts_sent,
        receipts_acked,
        receipts_refused,
        receipts_retried,
        receipts_dropped,
        mo_sent,
        mo_acked,
        mo_skipped,
        queue_full,
        faults,
    } = counters;
    json!({
        "connections": connections,
        "binds": binds,
        "binds_most": binds_most,
        "binds_refused": by_status(binds_refused),
        "submits": submits,
        "unkeyed": unkeyed,
        "accepted": accepted,
        "refused": by_status(refused),
        "lost_requests": lost_requests,
        "lost_responses": lost_responses,
        "receipts_sent": receipts_sent,
        "receipts_acked": receipts_acked,
        "receipts_refused": receipts_refused,
        "receipts_retried": receipts_retried,
        "receipts_dropped": receipts_dropped,
        "mo_sent": mo_sent,
        "mo_acked": mo_acked,
        "mo_skipped": mo_skipped,
        "queue_full": queue_full,
        "faults": faults.iter().map(|(name, count)| (name.to_owned(), json!(count))).collect::<serde_json::Map<_, _>>(),
    })
}

fn by_status(tally: &Tally<u32>) -> Value {
    Value::Object(tally.iter().map(|(status, count)| (format!("0x{status:02X}"), json!(count))).collect())
}

fn kind_name(kind: BindKind) -> &'static str {
    match kind {
        BindKind::Transmitter => "transmitter",
        BindKind::Receiver => "receiver",
        BindKind::Transceiver => "transceiver",
    }
}
