//! `runtime-bench [--json] [--quick]`: the figures of both back ends side by side.
//!
//! The server's shard is pinned to the second allowed core and the load to the first, so that neither takes the other's
//! time. Both back ends are measured in turn, round after round, and the median round is reported: what else runs on the
//! machine then disturbs both alike. Exits with 1 when a bound is missed.

mod echo;
mod idle;
mod latency;
mod report;

use std::process::ExitCode;
use std::time::Duration;

use runtime::{BackendChoice, Runtime, allowed_cores, select};

use report::{Bound, Report, Row};

/// How long and how often to measure.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    echo: Duration,
    idle: Duration,
    samples: usize,
}

const FULL: Effort =
    Effort { rounds: 5, echo: Duration::from_secs(2), idle: Duration::from_secs(5), samples: 3000 };
const QUICK: Effort =
    Effort { rounds: 1, echo: Duration::from_millis(500), idle: Duration::from_secs(2), samples: 1000 };

/// Where the two sides run.
#[derive(Clone, Copy)]
struct Cores {
    load: usize,
    server: usize,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) =
        arguments.iter().find(|argument| !["--json", "--quick"].contains(&argument.as_str()))
    {
        eprintln!("unknown argument {unknown}; usage: runtime-bench [--json] [--quick]");
        return ExitCode::from(2);
    }
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let effort = if has("--quick") { QUICK } else { FULL };
    let allowed = allowed_cores();
    let cores = Cores { load: allowed[0], server: allowed[1 % allowed.len()] };
    let report = measure(effort, cores);
    println!("{}", if has("--json") { report.json() } else { report.table() });
    if report.bounds_kept() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure(effort: Effort, cores: Cores) -> Report {
    let mut report = Report::default();
    let refused = select(BackendChoice::Glommio).err();
    if let Some(error) = &refused {
        eprintln!("skipped on glommio: {error}");
    }
    let glommio_runs = refused.is_none();
    for _ in 0..effort.rounds {
        one_back_end::<runtime::tokio::Tokio>(&mut report, effort, cores);
        if glommio_runs {
            one_back_end::<runtime::glommio::Glommio>(&mut report, effort, cores);
        }
    }
    report
}

fn one_back_end<R: Runtime>(report: &mut Report, effort: Effort, cores: Cores) {
    let mut add = |row: Row, value: f64| report.add(row, R::BACKEND, value);
    let millis = |nanos: u64| nanos as f64 / 1e6;
    let quiet = latency::quiet_beside_firehose::<R>(effort.samples, cores);
    add(
        Row { name: "quiet session beside a firehose, p50", unit: "ms", bound: Bound::None },
        millis(quiet.p50),
    );
    add(
        Row { name: "quiet session beside a firehose, p99", unit: "ms", bound: Bound::Below(5.0) },
        millis(quiet.p99),
    );
    let wake = latency::wake_of_a_busy_shard::<R>(effort.samples, cores);
    add(Row { name: "wake of a busy shard, p50", unit: "ms", bound: Bound::None }, millis(wake.p50));
    add(Row { name: "wake of a busy shard, p99", unit: "ms", bound: Bound::Below(2.0) }, millis(wake.p99));
    let wake = latency::wake_of_a_resting_shard::<R>(effort.samples, cores);
    add(Row { name: "wake of a resting shard, p50", unit: "ms", bound: Bound::None }, millis(wake.p50));
    let idle = idle::cpu_share::<R>(effort.idle, cores, false);
    add(Row { name: "idle shard", unit: "% CPU", bound: Bound::Below(2.0) }, idle * 100.0);
    let ticking = idle::cpu_share::<R>(effort.idle, cores, true);
    add(Row { name: "idle shard with a 5 ms tick", unit: "% CPU", bound: Bound::None }, ticking * 100.0);
    let bytes = idle::bytes_per_connection::<R>(cores);
    add(Row { name: "resident per idle connection", unit: "bytes", bound: Bound::Below(8192.0) }, bytes);
    for (rate, cpu, connections, window) in [
        ("echo 1 x 1, rate", "echo 1 x 1, server CPU", 1, 1),
        ("echo 16 x 10, rate", "echo 16 x 10, server CPU", 16, 10),
        ("echo 16 x 100, rate", "echo 16 x 100, server CPU", 16, 100),
    ] {
        let echo = echo::run::<R>(connections, window, effort.echo, cores);
        add(Row { name: rate, unit: "msg/s", bound: Bound::None }, echo.messages_per_second);
        add(Row { name: cpu, unit: "ns/msg", bound: Bound::None }, echo.server_nanos_per_message);
    }
}
