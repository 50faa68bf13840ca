//! The report as one page of text.

use super::Report;
use crate::outcome::Code;
use crate::progress::seconds;

/// A code in words.
pub(super) fn result(code: Code) -> &'static str {
    match code {
        Code::Pass => "pass",
        Code::BadScenario => "bad scenario",
        Code::Invalid => "INVALID",
        Code::Connection => "no connection",
        Code::Threshold => "threshold failed",
        Code::Invariant => "invariant broken",
    }
}

/// One page.
pub(super) fn page(report: &Report) -> String {
    let mut out = format!("{} · seed {} · {} · {}\n", report.name, report.seed, report.begin, report.result);
    out += &format!("target {} · back end {} · {}\n", report.target, report.backend, environment(report));
    if let Some(failure) = &report.failure {
        out += &format!("\n{failure}\n");
        return out;
    }
    out.push('\n');
    out += &table(report);
    out += &format!(
        "\ngenerator  lag p50 {} p99.9 {} max {} · waiting at most {} · sessions dropped {}\n",
        seconds(report.metric("total.lag.p50")),
        seconds(report.metric("total.lag.p99.9")),
        seconds(report.metric("total.lag.max")),
        report.metric("total.queue_peak"),
        report.metric("total.links_closed"),
    );
    for (status, count) in &report.statuses {
        out += &format!("status     {status} {count}\n");
    }
    if let Some(reconciliation) = &report.reconciliation {
        out.push('\n');
        out += &reconciliation.text();
    }
    for threshold in &report.thresholds {
        let measured = threshold.measured.map_or_else(|| "nothing".into(), |value| format!("{value:.6}"));
        out += &format!("threshold  {} · measured {measured} · {}\n", threshold.text, threshold.result);
    }
    for invalidity in &report.invalidities {
        out += &format!("INVALID    {invalidity}\n");
    }
    out
}

/// Machine and commit in one line.
pub(super) fn environment(report: &Report) -> String {
    let machine = &report.machine;
    let commit =
        if report.commit.is_empty() { "none" } else { &report.commit[..report.commit.len().min(12)] };
    format!("{} x {} · Linux {} · commit {commit}", machine.cores, machine.processor, machine.kernel)
}

/// Scopes with rows in the table: phases that sent anything, then the total.
pub(super) fn scopes(report: &Report) -> Vec<String> {
    let sent = |name: &String| report.metric(&format!("{name}.sent")) > 0.0;
    let mut scopes: Vec<String> = report.phases.iter().map(|phase| phase.name.clone()).filter(sent).collect();
    scopes.push("total".into());
    scopes
}

/// Columns of the table: heading and cell of a scope.
pub(super) fn columns(report: &Report, scope: &str) -> Vec<(&'static str, String)> {
    let number = |name: &str| report.metric(&format!("{scope}.{name}"));
    let count = |name: &str| format!("{:.0}", number(name));
    let latency = |name: &str| match report.metrics.get(&format!("{scope}.{name}")) {
        Some(value) => seconds(*value),
        None => "-".into(),
    };
    vec![
        ("messages/s", count("rate")),
        ("sent", count("sent")),
        ("ok", count("ok")),
        ("errors", count("errors")),
        ("p50", latency("submit.rt.p50")),
        ("p99", latency("submit.rt.p99")),
        ("p99.9", latency("submit.rt.p99.9")),
        ("max", latency("submit.rt.max")),
        ("receipts", count("receipts.received")),
        ("receipt p50", latency("receipt.rt.p50")),
        ("receipt p99", latency("receipt.rt.p99")),
    ]
}

fn table(report: &Report) -> String {
    let mut out = String::new();
    for (index, scope) in scopes(report).iter().enumerate() {
        let columns = columns(report, scope);
        if index == 0 {
            out += &format!("{:<12}", "phase");
            columns.iter().for_each(|(heading, _)| out += &format!(" {heading:>11}"));
            out.push('\n');
        }
        out += &format!("{scope:<12}");
        columns.iter().for_each(|(_, cell)| out += &format!(" {cell:>11}"));
        out.push('\n');
    }
    out
}
