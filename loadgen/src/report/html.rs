//! The report as one HTML file: plots, figures, offenders. It needs nothing from elsewhere and follows the reader's
//! choice of light or dark.

use super::plot::{Plot, Scale, Series};
use super::{Report, Second, text};
use crate::progress::seconds;

/// The whole page.
pub fn html(report: &Report) -> String {
    let class = if report.code == 0 { "good" } else { "bad" };
    let mut body = format!(
        "<header><h1>{}</h1><p class=\"result {class}\">{}</p></header><p class=facts>{} · target {} · back end {} · seed {}<br>{}</p>",
        escape(&report.name),
        escape(&report.result),
        escape(&report.begin),
        escape(&report.target),
        escape(&report.backend),
        report.seed,
        escape(&text::environment(report)),
    );
    for problem in report.failure.iter().chain(&report.invalidities) {
        body += &format!("<p class=problem>{}</p>", escape(problem));
    }
    if report.failure.is_none() {
        body += &tiles(report);
        body += &plots(report);
        body += &table(report);
        body += &thresholds(report);
        body += &reconciliation(report);
    }
    body += &format!("<details><summary>Scenario</summary><pre>{}</pre></details>", escape(&report.scenario));
    format!(
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <meta name=color-scheme content=\"light dark\"><title>{} · loadgen</title><style>{STYLE}</style></head>\
         <body><main>{body}</main></body></html>\n",
        escape(&report.name)
    )
}

/// Text as HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn tiles(report: &Report) -> String {
    let mut tiles = vec![
        ("messages/s", grouped(report.metric("total.rate"))),
        ("answered", grouped(report.metric("total.ok"))),
        ("p50", seconds(report.metric("total.submit.rt.p50"))),
        ("p99", seconds(report.metric("total.submit.rt.p99"))),
        ("p99.9", seconds(report.metric("total.submit.rt.p99.9"))),
        ("receipts", grouped(report.metric("total.receipts.received"))),
    ];
    if let Some(reconciliation) = &report.reconciliation {
        tiles.push(("lost", grouped(reconciliation.lost as f64)));
        tiles.push(("misrouted", grouped(reconciliation.misrouted() as f64)));
        tiles.push(("duplicated", grouped(reconciliation.duplicated as f64)));
    }
    let cells = tiles.iter().map(|(name, value)| format!("<div><b>{value}</b><span>{name}</span></div>"));
    format!("<section class=tiles>{}</section>", cells.collect::<String>())
}

fn plots(report: &Report) -> String {
    // The last second is seldom a whole one; its rate would look like a fall.
    let whole = report.seconds.len().saturating_sub(usize::from(report.seconds.len() > 1));
    let seconds = &report.seconds[..whole];
    let line = |value: fn(&Second) -> f64| -> Vec<(f64, f64)> {
        seconds.iter().map(|second| (second.second as f64 + 0.5, value(second))).collect()
    };
    let above_zero =
        |points: Vec<(f64, f64)>| points.into_iter().filter(|(_, y)| *y > 0.0).collect::<Vec<_>>();
    let rates = vec![
        Series { name: "due", points: line(|second| second.due as f64), filled: true },
        Series { name: "sent", points: line(|second| second.sent as f64), filled: false },
        Series { name: "answered", points: line(|second| second.ok as f64), filled: false },
        Series { name: "refused", points: above_zero(line(|second| second.errors as f64)), filled: false },
        Series { name: "receipts", points: line(|second| second.receipts as f64), filled: false },
    ];
    let latencies = vec![
        Series { name: "submit p50", points: above_zero(line(|second| second.p50)), filled: false },
        Series { name: "submit p99", points: above_zero(line(|second| second.p99)), filled: false },
        Series { name: "submit p99.9", points: above_zero(line(|second| second.p999)), filled: false },
        Series { name: "submit max", points: above_zero(line(|second| second.max)), filled: false },
        Series { name: "receipt p50", points: above_zero(line(|second| second.receipt_p50)), filled: false },
        Series { name: "receipt p99", points: above_zero(line(|second| second.receipt_p99)), filled: false },
    ];
    let mut out = plot(report, "Messages per second", rates, Scale::Rate);
    out += &plot(report, "Latency from the moment a message was due", latencies, Scale::Time);
    if let Some(reconciliation) = &report.reconciliation {
        let sites = reconciliation.sites.iter().take(COLORS).map(|site| Series {
            name: &site.name,
            points: site
                .per_second
                .iter()
                .enumerate()
                .map(|(at, count)| (at as f64 + 0.5, f64::from(*count)))
                .collect(),
            filled: true,
        });
        out += &plot(report, "What each site took, messages per second", sites.collect(), Scale::Rate);
    }
    out
}

fn plot(report: &Report, title: &str, series: Vec<Series<'_>>, scale: Scale) -> String {
    let plot = Plot {
        series,
        scale,
        faults: &report.faults,
        phases: &report.phases,
        length: report.seconds.iter().map(|second| second.second as f64 + 1.0).fold(1.0, f64::max),
    };
    match plot.svg() {
        Some(svg) => format!("<section><h2>{title}</h2>{}{svg}</section>", plot.legend()),
        None => String::new(),
    }
}

fn table(report: &Report) -> String {
    let mut out = String::from("<section><h2>Phases</h2><div class=wide><table>");
    for (index, scope) in text::scopes(report).iter().enumerate() {
        let columns = text::columns(report, scope);
        if index == 0 {
            let headings = columns.iter().map(|(heading, _)| format!("<th>{heading}</th>"));
            out += &format!("<tr><th></th>{}</tr>", headings.collect::<String>());
        }
        let cells = columns.iter().map(|(_, cell)| format!("<td>{cell}</td>"));
        out += &format!("<tr><th>{}</th>{}</tr>", escape(scope), cells.collect::<String>());
    }
    out += "</table></div>";
    out += &format!(
        "<p class=facts>Generator lag p50 {}, p99.9 {}; at most {} messages waited for a window; {} sessions dropped.</p>",
        seconds(report.metric("total.lag.p50")),
        seconds(report.metric("total.lag.p99.9")),
        grouped(report.metric("total.queue_peak")),
        grouped(report.metric("total.links_closed")),
    );
    for (status, count) in &report.statuses {
        out += &format!("<p class=facts>{} {}</p>", escape(status), grouped(*count as f64));
    }
    out + "</section>"
}

fn thresholds(report: &Report) -> String {
    if report.thresholds.is_empty() {
        return String::new();
    }
    let rows = report.thresholds.iter().map(|threshold| {
        let class = if threshold.result == "held" { "good" } else { "bad" };
        let measured = threshold.measured.map_or_else(|| "-".into(), |value| format!("{value:.6}"));
        format!(
            "<tr><th>{}</th><td>{measured}</td><td class={class}>{}</td></tr>",
            escape(&threshold.text),
            threshold.result
        )
    });
    format!("<section><h2>Thresholds</h2><table>{}</table></section>", rows.collect::<String>())
}

fn reconciliation(report: &Report) -> String {
    let Some(reconciliation) = &report.reconciliation else { return String::new() };
    let class = if reconciliation.holds() { "good" } else { "bad" };
    format!(
        "<section><h2>Reconciliation</h2><p class=\"verdict {class}\">{}</p><pre>{}</pre></section>",
        escape(&reconciliation.verdict()),
        escape(&reconciliation.text())
    )
}

/// Whole numbers with thin spaces between thousands.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && digit.is_ascii_digit() {
            out.push('\u{202F}');
        }
        out.push(digit);
    }
    out
}

/// Colours a plot has.
const COLORS: usize = 6;

const STYLE: &str = "\
:root{--bg:#fbfbfa;--panel:#fff;--text:#23272e;--faint:#6b7280;--grid:#dfe2e6;--good:#15803d;--bad:#c2410c;\
--c1:#94a3b8;--c2:#2563eb;--c3:#16a34a;--c4:#dc2626;--c5:#d97706;--c6:#7c3aed}\
@media(prefers-color-scheme:dark){:root{--bg:#14171c;--panel:#1c2027;--text:#e3e6ea;--faint:#98a1ae;--grid:#343b45;\
--good:#4ade80;--bad:#fb923c;--c1:#7b8798;--c2:#60a5fa;--c3:#4ade80;--c4:#f87171;--c5:#fbbf24;--c6:#a78bfa}}\
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--text);font:15px/1.5 system-ui,sans-serif}\
main{max-width:1040px;margin:0 auto;padding:28px 20px 60px}header{display:flex;gap:16px;align-items:center;flex-wrap:wrap}\
h1{font-size:24px;margin:0}h2{font-size:16px;margin:0 0 6px}.result{margin:0;padding:2px 12px;border-radius:99px;\
border:1.5px solid currentColor;font-weight:600}.good{color:var(--good)}.bad{color:var(--bad)}\
.facts{color:var(--faint);font-size:13px;margin:6px 0}.problem{color:var(--bad);font-weight:600}\
section{background:var(--panel);border:1px solid var(--grid);border-radius:10px;padding:16px 18px;margin:16px 0}\
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(104px,1fr));gap:10px}\
.tiles div{display:flex;flex-direction:column}.tiles b{font-size:21px;font-weight:650;font-variant-numeric:tabular-nums}\
.tiles span{color:var(--faint);font-size:13px}svg{width:100%;height:auto;display:block}\
.legend{display:flex;gap:18px;flex-wrap:wrap;margin:0;font-size:13px;color:var(--faint)}\
.legend i{display:inline-block;width:14px;height:4px;border-radius:2px;margin-right:6px;vertical-align:middle}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:14px}th,td{padding:4px 12px 4px 0;text-align:right;\
white-space:nowrap}th:first-child{text-align:left}tr+tr th,tr+tr td{border-top:1px solid var(--grid)}.wide{overflow-x:auto}\
pre{overflow-x:auto;font-size:12.5px;margin:8px 0 0}.verdict{font-weight:650;margin:0}\
summary{cursor:pointer;color:var(--faint)}";
