//! `bench parking`: receipts parked for an absent customer, released when it binds, beside another customer's traffic.
//!
//! ```text
//!   core 0                                           core 1
//!   limit drive: absent customer and its SMSC  <-->  gateway, one shard
//!   loadgen: the other customer, sim-smsc: its vendor
//! ```
//!
//! First the absent customer sends everything and every receipt is parked. Then the other customer's open load runs, alone
//! for a while; then the absent one binds receivers and the parked receipts come out beside it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::gateway::{PASSWORD, SYSTEM_ID, listening};
use super::result::{append, median};
use crate::host;
use crate::process::Program;
use crate::project::{Built, Profile};

const BACKENDS: [&str; 2] = ["glommio", "tokio"];
const READY_PATIENCE: Duration = Duration::from_secs(20);
/// Parking takes at most this long, and so does the release.
const PATIENCE: Duration = Duration::from_secs(300);
const STOP_PATIENCE: Duration = Duration::from_secs(30);
/// Goal for the release, receipts a second.
const RELEASE_GOAL: f64 = 50_000.0;
/// Goal for the other customer's p99 beside the release, in parts of what it is alone.
const RISE_GOAL: f64 = 1.2;
/// The other customer's phases, seconds: nothing is recorded while it warms up, and while the release begins.
const WARMUP: u64 = 3;
const TURN: u64 = 1;

#[derive(clap::Args)]
pub(super) struct Options {
    /// Receipts to park
    #[arg(long, default_value_t = 1_000_000)]
    receipts: u64,
    /// The other customer's messages a second
    #[arg(long, default_value_t = 1000)]
    rate: u64,
    /// Seconds of the other customer's traffic alone
    #[arg(long, default_value_t = 10)]
    alone: u64,
    /// Seconds of it beside the release; the release must last longer
    #[arg(long, default_value_t = 12)]
    beside: u64,
    /// Runs on each back end
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only this back end
    #[arg(long, value_parser = BACKENDS)]
    backend: Option<String>,
    /// Also write the result to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Core of the gateway
    #[arg(long, default_value_t = 1)]
    server_core: usize,
    /// Core of everything else
    #[arg(long, default_value_t = 0)]
    load_core: usize,
}

/// What one run measured.
struct Run {
    park_seconds: f64,
    release_rate: f64,
    release_seconds: f64,
    alone_p99_ms: f64,
    beside_p99_ms: f64,
}

/// # Errors
/// When a program fails, a receipt is lost, or another customer's message is.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let built = Built::new(Profile::Release)?;
    let mut rows = Vec::new();
    for backend in BACKENDS {
        if options.backend.as_deref().is_some_and(|only| only != backend) {
            continue;
        }
        let mut runs = Vec::new();
        for round in 1..=options.rounds {
            let run = one_run(backend, options, &built).with_context(|| format!("on {backend}"))?;
            println!(
                "round {round}: {backend:<8} parked in {:.1} s, released in {:.1} s ({:.0}/s), others' p99 {:.2} ms alone, {:.2} ms beside",
                run.park_seconds, run.release_seconds, run.release_rate, run.alone_p99_ms, run.beside_p99_ms
            );
            runs.push(run);
        }
        rows.push(judge(backend, &runs));
    }
    let result = json!({
        "bench": "parking", "machine": host::facts(), "receipts": options.receipts, "others_rate": options.rate, "rows": rows,
    });
    append("parking", &result, options.json.as_deref())
}

/// Says of each goal whether it was reached; the medians as a row.
fn judge(backend: &str, runs: &[Run]) -> Value {
    let of = |figure: fn(&Run) -> f64| median(runs.iter().map(figure).collect());
    let (rate, alone, beside) =
        (of(|run| run.release_rate), of(|run| run.alone_p99_ms), of(|run| run.beside_p99_ms));
    let rise = median(runs.iter().map(|run| run.beside_p99_ms / run.alone_p99_ms).collect());
    let word = |reached: bool| if reached { "reached" } else { "NOT REACHED" };
    println!("{backend}: release {rate:.0}/s, goal {RELEASE_GOAL}/s {}", word(rate >= RELEASE_GOAL));
    println!(
        "{backend}: others' p99 {alone:.2} ms alone, {beside:.2} ms beside: {rise:.2} times, goal {RISE_GOAL} {}",
        word(rise <= RISE_GOAL)
    );
    json!({
        "backend": backend, "release_per_second": rate, "park_seconds": of(|run| run.park_seconds),
        "others_p99_alone_ms": alone, "others_p99_beside_ms": beside, "others_p99_rise": rise,
    })
}

fn one_run(backend: &str, options: &Options, built: &Built) -> anyhow::Result<Run> {
    let folder = built.target.join("bench/parking");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let (smsc, site) = (host::free_address()?, host::free_address()?);
    let write = |name: &str, text: String| -> anyhow::Result<PathBuf> {
        let path = folder.join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    };
    let start = |core: usize, program: &str, arguments: &[&str]| -> anyhow::Result<Program> {
        host::on_core(core, || {
            built.start(program, &folder.join(format!("{program}.log")), |command| {
                command.args(arguments);
            })
        })
    };
    let (server, load) = (options.server_core, options.load_core);
    let simulator = write("sim.toml", simulator(site))?;
    let mut simulator = start(load, "sim-smsc", &["run", shown(&simulator)?, "--out", shown(&folder)?])?;
    simulator.ready(READY_PATIENCE)?;
    let file = write("gateway.toml", gateway(backend, server, smsc, site))?;
    let mut gateway = start(server, "gateway", &["run", shown(&file)?])?;
    let target = listening(&mut gateway)?;
    let messages = options.receipts.to_string();
    let (target_text, smsc) = (target.to_string(), smsc.to_string());
    let arguments =
        ["drive", "--json", "--receipts", "--absent", "--target", &target_text, "--listen", &smsc];
    let bounds = ["--messages", &messages, "--binds", "4", "--upstream-binds", "4", "--window", "500"];
    let who = ["--system-id", SYSTEM_ID, "--password", PASSWORD];
    let parked_from = Instant::now();
    let mut drive = start(load, "limit", &[&arguments[..], &bounds[..], &who[..]].concat())?;
    let parked = drive.ready(PATIENCE)?;
    let park_seconds = parked_from.elapsed().as_secs_f64();
    ensure!(parked["parked"] == options.receipts, "not everything was parked: {parked}");
    let scenario = write("load.toml", other_load(target, options))?;
    let out = folder.join("load");
    let other = start(load, "loadgen", &["run", shown(&scenario)?, "--out", shown(&out)?, "--ui", "line"])?;
    wait(Duration::from_millis((WARMUP + options.alone) * 1000 + TURN * 300))?;
    drive.tell("release")?;
    let lines = drive.finish(PATIENCE)?;
    let report: Value = serde_json::from_str(lines.last().context("the drive printed nothing")?)?;
    ensure!(report["faults"].as_array().is_some_and(Vec::is_empty), "output differs from input: {report}");
    other.finish(PATIENCE)?;
    gateway.stop(STOP_PATIENCE)?;
    simulator.stop(STOP_PATIENCE)?;
    let summary: Value = serde_json::from_str(&std::fs::read_to_string(out.join("summary.json"))?)?;
    let p99 = |phase: &str| {
        let seconds = summary["metrics"][format!("{phase}.submit.rt.p99")].as_f64();
        seconds.map(|seconds| seconds * 1e3).with_context(|| format!("no p99 of phase {phase}"))
    };
    let release =
        |name: &str| report["release"][name].as_f64().with_context(|| format!("no {name} in {report}"));
    let run = Run {
        park_seconds,
        release_rate: release("receipts_per_second")?,
        release_seconds: release("seconds")?,
        alone_p99_ms: p99("alone")?,
        beside_p99_ms: p99("beside")?,
    };
    ensure!(
        run.release_seconds > options.beside as f64,
        "the release took {:.1} s, less than the phase beside it: park more receipts",
        run.release_seconds
    );
    Ok(run)
}

fn shown(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}

fn wait(time: Duration) -> anyhow::Result<()> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        crate::interrupt::check()?;
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn simulator(site: SocketAddr) -> String {
    format!(
        r#"[run]
name = "parking"
[[site]]
name = "other"
listen = "{site}"
profile = "fast"
[[account]]
system_id = "gw"
password = "secret"
"#
    )
}

/// Two customers with a vendor each: what is measured is what they share, the shard and the store.
fn gateway(backend: &str, core: usize, smsc: SocketAddr, site: SocketAddr) -> String {
    let vendor = |name: &str, address: SocketAddr, binds: u32| {
        format!(
            r#"
[[vendor]]
name = "{name}"
addresses = ["{address}"]
system_id = "gw"
password = "secret"
binds = {binds}
window = 500
reconnect_first = "100ms"
reconnect_max = "1s"
"#
        )
    };
    let customer = |name: &str| {
        format!(
            "\n[[customer]]\nsystem_id = \"{name}\"\npassword = \"{PASSWORD}\"\nbinds_max = 16\nwindow = 500\n"
        )
    };
    let route = |customer: &str, vendor: &str| {
        format!(
            "\n[[route]]\ncustomer = \"{customer}\"\nprefix = \"\"\nvendors = [{{ name = \"{vendor}\" }}]\n"
        )
    };
    let head = format!(
        r#"[node]
name = "bench"
id = 1
state_directory = "state"
[runtime]
backend = "{backend}"
shards = 1
cores = [{core}]
[listen]
smpp = "127.0.0.1:0"
http = "127.0.0.1:0"
[store]
parked_max = 100000000
"#
    );
    let parts = [
        customer(SYSTEM_ID),
        customer("other"),
        vendor("limit", smsc, 4),
        vendor("other", site, 2),
        route(SYSTEM_ID, "limit"),
        route("other", "other"),
    ];
    head + &parts.concat()
}

fn other_load(target: SocketAddr, options: &Options) -> String {
    let Options { rate, alone, beside, .. } = options;
    format!(
        r#"[run]
name = "parking"
lag_max = "250ms"
[target]
address = "{target}"
[[account]]
name = "other"
system_id = "other"
password = "{PASSWORD}"
binds = {{ trx = 2 }}
window = 100
[[mix]]
account = "other"
body = {{ length = {{ uniform = [40, 140] }} }}
[[phase]]
name = "warmup"
rate = {rate}
for = "{WARMUP}s"
[[phase]]
name = "alone"
rate = {rate}
for = "{alone}s"
[[phase]]
name = "turn"
rate = {rate}
for = "{TURN}s"
[[phase]]
name = "beside"
rate = {rate}
for = "{beside}s"
[[phase]]
name = "drain"
until = "receipts-complete"
max = "60s"
quiet = "15s"
"#
    )
}
