//! Whole runs over real sockets against the null SMSC, on both back ends.

use std::path::PathBuf;
use std::time::Duration;

use loadgen::null_smsc::{NullSmsc, NullSmscOptions};
use loadgen::report::Report;
use loadgen::scenario::{Scenario, Setting};
use loadgen::{Code, Options, Outcome, run};
use runtime::{Backend, BackendChoice};

const SCENARIO: &str = r#"
[run]
name = "end-to-end"
seed = 11
lag_max = "10s"                   # tests share their cores with other tests
[target]
address = "127.0.0.1:1"
[[account]]
name = "otp"
system_id = "otp"
binds = { trx = 2 }
window = 20
receipts = { ack_delay = "3ms" }
[[account]]
name = "bulk"
system_id = "bulk"
binds = { tx = 2, rx = 1 }
window = 100
[[mix]]
account = "otp"
share = 30
body = { encoding = { gsm7 = 1, latin1 = 1, ucs2 = 1 }, length = { uniform = [24, 160] } }
[[mix]]
account = "bulk"
share = 70
body = { segments = { "1" = 1, "3" = 1 }, form = "udh16" }
tlvs = ["1401:0a0b"]
[load]
arrivals = "poisson"
[[phase]]
name = "warmup"
rate = "100 -> 1000"
for = "300ms"
record = false
[[phase]]
name = "steady"
rate = 2000
for = "900ms"
[[phase]]
name = "drain"
until = "receipts-complete"
max = "20s"
[[threshold]]
expr = "total.lost == 0"
[[threshold]]
expr = "total.submit.rt.p99 < 10s"
"#;

struct Run {
    outcome: Outcome,
    directory: tempfile::TempDir,
}

/// Carries a scenario out against a null SMSC and joins the ledgers.
fn carry_out(backend: Backend, settings: &[&str], lose_every: u64) -> Run {
    let directory = tempfile::tempdir().unwrap();
    let sim: PathBuf = directory.path().join("sim.ledger");
    let run_number = 4711;
    let options = NullSmscOptions {
        ledger: Some(sim.clone()),
        run: run_number,
        lose_every,
        ..NullSmscOptions::default()
    };
    let smsc = NullSmsc::start(backend, &options).unwrap();
    let mut all: Vec<Setting> = settings.iter().map(|setting| setting.parse().unwrap()).collect();
    all.push(Setting::new("target.address", smsc.address().to_string()));
    all.push(Setting::new("run.id", i64::from(run_number)));
    let scenario = Scenario::parse_with(SCENARIO, &all).unwrap();
    let choice = match backend {
        Backend::Glommio => BackendChoice::Glommio,
        Backend::Tokio => BackendChoice::Tokio,
    };
    let options = Options { out: Some(directory.path().to_owned()), backend: choice, ..Options::default() };
    let mut outcome = run(scenario, options);
    smsc.finish().unwrap();
    assert_eq!(outcome.failure, None);
    outcome.reconcile(&[sim]).unwrap();
    Run { outcome, directory }
}

/// glommio unless it was given up on purpose.
fn backends() -> Vec<Backend> {
    let mut backends = vec![Backend::Tokio];
    if runtime::testing::glommio_allowed() {
        backends.push(Backend::Glommio);
    }
    backends
}

#[test]
fn everything_sent_is_accounted_for() {
    for backend in backends() {
        for workers in ["run.workers=1", "run.workers=2"] {
            let Run { outcome, directory } = carry_out(backend, &[workers], 0);
            let reconciliation = outcome.reconciliation.as_ref().unwrap();
            assert!(reconciliation.holds(), "{}", reconciliation.text());
            assert_eq!(outcome.code(), Code::Pass, "{}", outcome.report().text());
            assert!(reconciliation.sent > 1900 * 9 / 10, "{}", reconciliation.sent);
            assert_eq!(reconciliation.sent, reconciliation.delivered);
            assert_eq!(reconciliation.sent, reconciliation.accepted);
            assert_eq!(reconciliation.sent, reconciliation.receipts.received);
            assert_eq!(outcome.metrics["total.receipts.received"], outcome.metrics["total.ok"]);
            assert!(outcome.metrics["steady.receipt.rt.p50"] > 0.0);
            outcome.write_reports(directory.path()).unwrap();
            let read = Report::read(directory.path()).unwrap();
            assert!(read.metrics.keys().eq(outcome.metrics.keys()));
            assert_eq!(read.reconciliation, outcome.reconciliation);
        }
    }
}

/// Content and number of messages follow from the seed, not from threads or time.
#[test]
fn the_same_seed_sends_the_same_messages() {
    let sent = |workers: &str| {
        let Run { outcome, directory: _directory } = carry_out(Backend::Tokio, &[workers], 0);
        let mut keys: Vec<_> = outcome
            .ledgers
            .iter()
            .flat_map(|path| ledger::Reader::open(path).unwrap().1)
            .filter(|record| record.kind == ledger::Kind::Sent)
            .map(|record| (record.key, record.fingerprint))
            .collect();
        keys.sort_unstable();
        keys
    };
    assert_eq!(sent("run.workers=1"), sent("run.workers=2"));
}

#[test]
fn full_windows_in_closed_mode() {
    let settings = ["load.model=closed", "phase.0.for=100ms", "phase.1.for=300ms"];
    for backend in backends() {
        let Run { outcome, .. } = carry_out(backend, &settings, 0);
        assert_eq!(outcome.code(), Code::Pass, "{}", outcome.report().text());
        assert!(outcome.reconciliation.unwrap().sent > 1000);
    }
}

#[test]
fn a_lost_message_is_found() {
    let Run { outcome, .. } = carry_out(Backend::Tokio, &["phase.2.quiet=200ms"], 500);
    let reconciliation = outcome.reconciliation.as_ref().unwrap();
    assert!(reconciliation.lost >= 3, "{}", reconciliation.text());
    assert_eq!(outcome.code(), Code::Invariant);
    assert_eq!(reconciliation.offenders["lost"].len() as u64, reconciliation.lost.min(20));
}

#[test]
fn a_late_generator_makes_the_run_invalid() {
    let Run { outcome, .. } = carry_out(Backend::Tokio, &["run.lag_max=1ns"], 0);
    assert_eq!(outcome.code(), Code::Invalid);
    assert!(outcome.report().text().contains("INVALID"));
}

#[test]
fn no_target_is_told() {
    let settings =
        ["target.connect_timeout=100ms", "target.bind_timeout=200ms"].map(|text| text.parse().unwrap());
    let scenario = Scenario::parse_with(SCENARIO, &settings).unwrap();
    let outcome = run(scenario, Options { backend: BackendChoice::Tokio, ..Options::default() });
    assert_eq!(outcome.code(), Code::Connection);
    let failure = outcome.failure.as_ref().unwrap();
    assert!(failure.contains("127.0.0.1:1") && failure.contains("0 of 5"), "{failure}");
    assert!(outcome.measure.phases.iter().all(|phase| phase.sent == 0));
    assert_eq!(outcome.elapsed.iter().sum::<Duration>(), outcome.scenario.duration());
}
