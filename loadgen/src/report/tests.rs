use super::*;
use crate::reconcile::{Reconciliation, Site};

/// A report with everything in it.
pub(crate) fn sample() -> Report {
    let seconds = (0..20).map(|second| Second {
        second,
        due: 1000,
        sent: 990,
        ok: 980,
        errors: second % 3,
        receipts: 900,
        p50: 0.001,
        p99: 0.01 * (second + 1) as f64,
        p999: 0.3,
        max: 1.2,
        receipt_p50: 0.05,
        receipt_p99: 0.5,
        ..Second::default()
    });
    let site =
        |name: &str| Site { name: name.into(), accepted: 9000, per_second: vec![450; 20], ..Site::default() };
    Report {
        version: VERSION,
        name: "sample <run>".into(),
        result: "pass".into(),
        metrics: [("total.rate", 980.0), ("steady.sent", 990.0), ("steady.submit.rt.p50", 0.001)]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        thresholds: vec![ThresholdLine {
            text: "total.rate > 1".into(),
            measured: Some(980.0),
            result: "held".into(),
        }],
        phases: vec![
            PhaseLine { name: "warmup".into(), from: 0.0, to: 5.0, recorded: false },
            PhaseLine { name: "steady".into(), from: 5.0, to: 20.0, recorded: true },
        ],
        seconds: seconds.collect(),
        reconciliation: Some(Reconciliation {
            sent: 18_000,
            accepted: 18_000,
            sites: vec![site("East"), site("West")],
            ..Reconciliation::default()
        }),
        faults: vec![FaultLine { name: "half-open East".into(), from: 8.0, to: 12.0 }],
        scenario: "[run]\nname = \"sample\"\n".into(),
        ..Report::default()
    }
}

/// Every plot holds a line with several points, in the page's own colours.
#[test]
fn the_page_has_three_full_plots() {
    let page = html(&sample());
    let plots: Vec<&str> = page.split("<svg").skip(1).collect();
    assert_eq!(plots.len(), 3);
    for plot in plots {
        let lines = plot.split("<polyline").skip(1).filter(|line| line.contains("var(--c"));
        let points = lines.map(|line| line.split("points=\"").nth(1).unwrap().split('"').next().unwrap());
        let longest = points.map(|points| points.split_whitespace().count()).max();
        assert!(longest >= Some(10), "{longest:?}");
        assert!(plot.contains("var(--c2)") && plot.contains("var(--text)"), "colours of the page");
        assert!(!plot.contains("#0101") && !plot.contains("#0102"), "placeholder left");
        assert!(plot.contains("half-open East"), "the fault is named");
        assert!(plot.contains("steady"), "the phase is named");
    }
}

#[test]
fn the_page_stands_alone_and_escapes() {
    let page = html(&sample());
    assert!(page.contains("sample &lt;run&gt;") && !page.contains("sample <run>"));
    for outside in ["http:", "https:", "src=", "<link", "<script", "url(", "@import"] {
        let found = page.replace("http://www.w3.org/2000/svg", "").contains(outside);
        assert!(!found, "{outside}");
    }
    assert!(page.contains("prefers-color-scheme:dark"));
}

#[test]
fn a_run_without_seconds_has_no_empty_plot() {
    let mut report = sample();
    report.seconds.clear();
    report.reconciliation = None;
    assert!(!html(&report).contains("<svg"));
    report.failure = Some("cannot connect".into());
    assert!(html(&report).contains("cannot connect"));
    assert!(report.text().contains("cannot connect"));
}

#[test]
fn a_report_is_read_as_it_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let report = sample();
    report.write(directory.path()).unwrap();
    assert_eq!(Report::read(directory.path()).unwrap(), report);
    let text = std::fs::read_to_string(directory.path().join("report.txt")).unwrap();
    assert!(text.contains("steady") && text.contains("verdict: 0 lost"), "{text}");
    assert!(Report::read(&directory.path().join("none")).is_err());
}

#[test]
fn comparison_names_what_differs() {
    let (a, mut b) = (sample(), sample());
    b.metrics.insert("total.rate".into(), 1078.0);
    b.seed = 9;
    let text = compare(&a, &b);
    assert!(text.contains("+10.0 %") && text.contains("the seeds differ"), "{text}");
}
