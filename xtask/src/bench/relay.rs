//! `bench relay`: yardstick and gateway in turn on the same core, load and SMSC on another one.
//!
//! Each round runs every case on every server, so that a change in the machine's mood hits all alike; the
//! figures are medians over the rounds, and what counts is the ratio to the yardstick of the same run.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::gateway::{self, Setup, Store};
use super::result::{Figures, Row, append, print_table};
use crate::host;
use crate::project::{Built, Profile};

/// Time beyond the measured seconds for binding, draining and ending.
const PATIENCE: Duration = Duration::from_secs(60);
/// An orderly end takes at most this long.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Times every case runs on every server
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Measured seconds of one run
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Only the case with receipts and the embedded store
    #[arg(long)]
    receipts: bool,
    /// Only the case with receipts and a Redis beside the gateway, which needs the package redis-server
    #[arg(long, conflicts_with = "receipts")]
    redis: bool,
    /// Only the servers with these names
    #[arg(long, value_enum)]
    only: Vec<Server>,
    /// Also write the result to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Core of the server
    #[arg(long, default_value_t = 1)]
    server_core: usize,
    /// Core of load and SMSC
    #[arg(long, default_value_t = 0)]
    load_core: usize,
}

/// How long a run is measured, and on which cores.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pins {
    pub(super) seconds: f64,
    pub(super) server_core: usize,
    pub(super) load_core: usize,
}

/// What stands between customers and SMSC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Server {
    Yardstick,
    Glommio,
    Tokio,
}

impl Server {
    const ALL: [Server; 3] = [Server::Yardstick, Server::Glommio, Server::Tokio];

    pub(super) fn name(self) -> &'static str {
        match self {
            Server::Yardstick => "yardstick",
            Server::Glommio => "glommio",
            Server::Tokio => "tokio",
        }
    }
}

/// One load.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) name: &'static str,
    binds: usize,
    window: usize,
    receipts: bool,
    /// Correlations lie in Redis, not in the embedded store.
    pub(super) redis: bool,
    /// What the gateway is to reach: messages a second, and a share of the yardstick.
    goal_rate: f64,
    goal_share: f64,
    /// Messages before the measured part: buffers grown, back-offs over.
    warmup: u64,
}

pub(super) const CASES: [Case; 4] = [
    Case {
        name: "8x500",
        binds: 8,
        window: 500,
        receipts: false,
        redis: false,
        goal_rate: 300_000.0,
        goal_share: 1.0 / 20.0,
        warmup: 100_000,
    },
    Case {
        name: "16x10",
        binds: 16,
        window: 10,
        receipts: false,
        redis: false,
        goal_rate: 0.0,
        goal_share: 1.0 / 4.0,
        warmup: 20_000,
    },
    Case {
        name: "8x500 receipts",
        binds: 8,
        window: 500,
        receipts: true,
        redis: false,
        goal_rate: 100_000.0,
        goal_share: 0.0,
        warmup: 50_000,
    },
    Case {
        name: "8x500 redis",
        binds: 8,
        window: 500,
        receipts: true,
        redis: true,
        goal_rate: 60_000.0,
        goal_share: 0.0,
        warmup: 50_000,
    },
];

/// # Errors
/// When a program fails, or output differs from input in any run.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let cores = host::cores()?;
    ensure!(
        options.server_core != options.load_core
            && [options.server_core, options.load_core].iter().all(|core| cores.contains(core)),
        "two cores are needed, one for the server and one for the load; ours are {cores:?}"
    );
    let built = Built::new(Profile::Release)?;
    let Options { seconds, server_core, load_core, .. } = *options;
    let pins = Pins { seconds, server_core, load_core };
    let facts = host::facts();
    let cases =
        CASES.iter().filter(|case| (case.receipts || !options.receipts) && case.redis == options.redis);
    let servers =
        Server::ALL.iter().filter(|server| options.only.is_empty() || options.only.contains(server));
    let mut rows: Vec<Row> = cases
        .flat_map(|case| servers.clone().map(move |server| (case, *server)))
        .map(|(case, server)| Row::new(case.name, server.name()))
        .collect();
    for round in 1..=options.rounds {
        for row in &mut rows {
            let case = CASES.iter().find(|case| case.name == row.case).context("a case without a name")?;
            let server =
                Server::ALL.iter().find(|server| server.name() == row.server).context("no server")?;
            let figures = one_run(*case, *server, pins, &built)
                .with_context(|| format!("{} on {}", case.name, server.name()))?;
            println!("round {round}: {:<15} {:<10} {:>10.0}/s", row.case, row.server, figures.rate);
            row.add(figures);
        }
    }
    print_table(&rows, Server::Yardstick.name());
    print_goals(&rows);
    if options.redis {
        print_ceilings(&rows);
    }
    let result = json!({
        "bench": "relay", "machine": facts, "rounds": options.rounds, "seconds": options.seconds,
        "rows": rows.iter().map(Row::json).collect::<Vec<Value>>(),
    });
    append("relay", &result, options.json.as_deref())
}

/// Runs one case on one server once.
///
/// # Errors
/// When a program fails, or output differs from input.
pub(super) fn one_run(case: Case, server: Server, pins: Pins, built: &Built) -> anyhow::Result<Figures> {
    let folder = built.target.join("bench").join(server.name());
    let smsc = host::free_address()?;
    let redis = if case.redis && server != Server::Yardstick {
        Some(crate::redis::start(&built.target.join("bench/redis")).context("a Redis of our own")?)
    } else {
        None
    };
    let (program, address) = match server {
        Server::Yardstick => yardstick(case, smsc, pins.server_core, built, &folder)?,
        Server::Glommio | Server::Tokio => {
            let setup = Setup {
                backend: server.name(),
                store: match &redis {
                    Some(redis) => Store::Redis(redis.address),
                    None if case.receipts => Store::Embedded,
                    None => Store::None,
                },
                vendor: smsc,
                binds: case.binds,
                window: case.window,
                customer_binds_max: case.binds,
                core: pins.server_core,
                listen: gateway::ANY_PORT,
            };
            setup.start(built, &folder)?
        }
    };
    let before = host::cpu_seconds(program.id())?;
    let report = drive(case, address, smsc, pins, built, &folder)?;
    let cpu_seconds = host::cpu_seconds(program.id())? - before;
    let redis_seconds = redis.as_ref().map(|redis| host::cpu_seconds(redis.program.id())).transpose()?;
    match server {
        // The yardstick knows no orderly end.
        Server::Yardstick => drop(program),
        Server::Glommio | Server::Tokio => program.stop(STOP_PATIENCE)?,
    }
    let number = |name: &str| report[name].as_f64().with_context(|| format!("no {name} in {report}"));
    ensure!(number("seconds")? >= pins.seconds, "the measured part was too short: {report}");
    let all = report["counts"]["submitted"].as_f64().context("no count of messages")?;
    Ok(Figures {
        rate: number("messages_per_second")?,
        p50_us: number("latency_p50_us")?,
        p99_us: number("latency_p99_us")?,
        cpu_us_per_message: cpu_seconds * 1e6 / all,
        redis_cpu_us_per_message: redis_seconds.unwrap_or_default() * 1e6 / all,
        load_cpu_us_per_message: number("cpu_seconds")? * 1e6 / number("messages")?,
    })
}

fn yardstick(
    case: Case,
    smsc: SocketAddr,
    core: usize,
    built: &Built,
    folder: &Path,
) -> anyhow::Result<(crate::process::Program, SocketAddr)> {
    std::fs::create_dir_all(folder)?;
    let mut program = host::on_core(core, || {
        built.start("limit", &folder.join("relay.log"), |command| {
            command.args(["relay", "--listen", "127.0.0.1:0", "--upstream", &smsc.to_string()]);
            command.args(["--connections", &case.binds.to_string()]);
        })
    })?;
    let address = gateway::listening(&mut program)?;
    Ok((program, address))
}

/// Runs load and SMSC to the end; it fails by itself when output differs from input.
fn drive(
    case: Case,
    target: SocketAddr,
    smsc: SocketAddr,
    pins: Pins,
    built: &Built,
    folder: &Path,
) -> anyhow::Result<Value> {
    let program = host::on_core(pins.load_core, || {
        built.start("limit", &folder.join("drive.log"), |command| {
            command.args(["drive", "--json", "--target", &target.to_string(), "--listen", &smsc.to_string()]);
            command.args(["--binds", &case.binds.to_string(), "--window", &case.window.to_string()]);
            command.args(["--seconds", &pins.seconds.to_string(), "--warmup", &case.warmup.to_string()]);
            command.args(["--system-id", gateway::SYSTEM_ID, "--password", gateway::PASSWORD]);
            if case.receipts {
                command.arg("--receipts");
            }
        })
    })?;
    let lines = program.finish(Duration::from_secs_f64(pins.seconds) + PATIENCE)?;
    let report: Value = serde_json::from_str(lines.last().context("the drive printed nothing")?)?;
    ensure!(report["faults"].as_array().is_some_and(Vec::is_empty), "output differs from input: {report}");
    Ok(report)
}

/// Says of each goal whether it was reached; the run does not fail on it, machines differ.
fn print_goals(rows: &[Row]) {
    let median = |case: &Case, server: Server| {
        let row = rows.iter().find(|row| row.case == case.name && row.server == server.name())?;
        Some(row.median().rate)
    };
    for case in &CASES {
        for server in [Server::Glommio, Server::Tokio] {
            let Some(rate) = median(case, server) else { continue };
            let goal = |what: String, is: f64, at_least: f64| {
                let word = if is >= at_least { "reached" } else { "NOT REACHED" };
                println!("{:<15} {:<8} {what}: {word} ({is:.3} of {at_least:.3})", case.name, server.name());
            };
            if case.goal_rate > 0.0 {
                goal("thousand messages/s".to_owned(), rate / 1e3, case.goal_rate / 1e3);
            }
            if let Some(yardstick) = median(case, Server::Yardstick).filter(|_| case.goal_share > 0.0) {
                goal("share of the yardstick".to_owned(), rate / yardstick, case.goal_share);
            }
        }
    }
}

/// Where every process shares two cores, their CPU time a message is the ceiling.
fn print_ceilings(rows: &[Row]) {
    for row in rows.iter().filter(|row| row.server != Server::Yardstick.name()) {
        let Figures {
            cpu_us_per_message: gateway,
            redis_cpu_us_per_message: redis,
            load_cpu_us_per_message: load,
            ..
        } = row.median();
        println!(
            "{:<15} {:<8} CPU us a message: gateway {gateway:.2}, Redis {redis:.2}, load and SMSC {load:.2}; two cores carry {:.0}/s at most",
            row.case,
            row.server,
            2e6 / (gateway + redis + load)
        );
    }
}
