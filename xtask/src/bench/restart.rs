//! `bench restart`: a gateway is killed with many open correlations and started again; every receipt must find its
//! customer then.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::gateway::{PASSWORD, SYSTEM_ID, Setup, Store, listening};
use super::result::{append, median};
use crate::host;
use crate::project::{Built, Profile};

const BACKENDS: [&str; 2] = ["glommio", "tokio"];
const BINDS: usize = 4;
/// Goal for the start until the gateway is ready, seconds.
const READY_GOAL: f64 = 2.0;
/// Goal for one open message in Redis, octets.
const REDIS_GOAL: f64 = 140.0;
/// Everything else takes at most this long.
const PATIENCE: Duration = Duration::from_secs(300);
const STOP_PATIENCE: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub(super) struct Options {
    /// Correlations open at the kill
    #[arg(long, default_value_t = 1_000_000)]
    open: u64,
    /// Keep the correlations in a Redis beside the gateway (package redis-server), and measure its memory
    #[arg(long)]
    redis: bool,
    /// Runs on each back end
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Also write the result to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Core of the gateway
    #[arg(long, default_value_t = 1)]
    server_core: usize,
    /// Core of load and SMSC
    #[arg(long, default_value_t = 0)]
    load_core: usize,
}

/// # Errors
/// When a program fails or a receipt does not find its customer.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let built = Built::new(Profile::Release)?;
    let mut rows = Vec::new();
    for backend in BACKENDS {
        let (mut times, mut rates) = (Vec::new(), Vec::new());
        for round in 1..=options.rounds {
            let (seconds, rate) =
                one_run(backend, options, &built).with_context(|| format!("on {backend}"))?;
            println!(
                "round {round}: {backend:<8} ready {seconds:.2} s after the start with {} open, all found, {rate:.0} receipts/s",
                options.open
            );
            times.push(seconds);
            rates.push(rate);
        }
        let (seconds, rate) = (median(times), median(rates));
        let word = if seconds < READY_GOAL { "reached" } else { "NOT REACHED" };
        println!("{backend}: ready after {seconds:.2} s, goal {READY_GOAL} s {word}");
        rows.push(json!({"backend": backend, "ready_seconds": seconds, "receipts_per_second": rate}));
    }
    let result = json!({"bench": "restart", "machine": host::facts(), "open": options.open, "rows": rows});
    append("restart", &result, options.json.as_deref())
}

/// Seconds from the start to the ready line, and the rate of the receipts after it.
fn one_run(backend: &'static str, options: &Options, built: &Built) -> anyhow::Result<(f64, f64)> {
    let folder = built.target.join("bench/restart");
    let smsc = host::free_address()?;
    let redis = options.redis.then(|| crate::redis::start(&built.target.join("bench/redis"))).transpose()?;
    let setup = Setup {
        backend,
        store: redis.as_ref().map_or(Store::Embedded, |redis| Store::Redis(redis.address)),
        vendor: smsc,
        binds: BINDS,
        window: 500,
        customer_binds_max: 2 * BINDS,
        core: options.server_core,
        listen: host::free_address()?,
    };
    let (gateway, target) = setup.start(built, &folder)?;
    let memory = |redis: &crate::redis::Redis| redis.info("used_memory");
    let before = redis.as_ref().map(memory).transpose()?;
    let mut drive = host::on_core(options.load_core, || {
        built.start("limit", &folder.join("drive.log"), |command| {
            command.args(["drive", "--json", "--receipts", "--withhold"]);
            command.args(["--target", &target.to_string(), "--listen", &smsc.to_string()]);
            command.args(["--messages", &options.open.to_string(), "--window", "500"]);
            command.args(["--binds", &BINDS.to_string(), "--patience", "60"]);
            command.args(["--system-id", SYSTEM_ID, "--password", PASSWORD]);
        })
    })?;
    let open = drive.ready(PATIENCE)?;
    ensure!(open["open"] == options.open, "not everything was accepted: {open}");
    if let (Some(redis), Some(before)) = (&redis, before) {
        let octets = memory(redis)?.saturating_sub(before) as f64 / options.open as f64;
        let word = if octets <= REDIS_GOAL { "reached" } else { "NOT REACHED" };
        println!("Redis: {octets:.1} octets for an open message, goal {REDIS_GOAL} {word}");
    }
    drop(gateway); // kill -9
    let started = Instant::now();
    let mut gateway = setup.spawn_again(built, &folder)?;
    listening(&mut gateway)?;
    let seconds = started.elapsed().as_secs_f64();
    drive.tell("send")?;
    let lines = drive.finish(PATIENCE)?;
    gateway.stop(STOP_PATIENCE)?;
    let report: Value = serde_json::from_str(lines.last().context("the drive printed nothing")?)?;
    ensure!(report["faults"].as_array().is_some_and(Vec::is_empty), "a receipt was lost: {report}");
    let rate = report["release"]["receipts_per_second"].as_f64().context("no rate")?;
    Ok((seconds, rate))
}
