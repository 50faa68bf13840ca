//! `bench startup` and `bench memory`: what a gateway costs before the first message.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::json;

use super::gateway::{ANY_PORT, PASSWORD, SYSTEM_ID, Setup, Store, listening};
use super::result::{append, median};
use crate::host;
use crate::process::Program;
use crate::project::{Built, Profile};

/// Files a gateway needs beside its connections.
const FILES_BESIDE: u64 = 500;
/// Binding many customers takes at most this long.
const BIND_PATIENCE: Duration = Duration::from_secs(120);
/// After the last bind, until what was lent for binding is given back.
const SETTLE: Duration = Duration::from_secs(3);
const STOP_PATIENCE: Duration = Duration::from_secs(30);
/// Goal for start-up to the first accepted bind, seconds.
const STARTUP_GOAL: f64 = 0.5;
/// Goal for one idle bind, KiB.
const BIND_GOAL_KIB: f64 = 16.0;
const BACKENDS: [&str; 2] = ["glommio", "tokio"];

#[derive(clap::Args)]
pub(super) struct StartupOptions {
    /// Starts on each back end
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// Also write the result to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(clap::Args)]
pub(super) struct MemoryOptions {
    /// Idle binds
    #[arg(long, default_value_t = 10_000)]
    binds: usize,
    /// Also write the result to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

/// # Errors
/// When a gateway does not start or refuses the bind.
pub(super) fn startup(options: &StartupOptions) -> anyhow::Result<()> {
    let built = Built::new(Profile::Release)?;
    let mut rows = Vec::new();
    for backend in BACKENDS {
        let mut times = Vec::new();
        for _ in 0..options.rounds {
            let setup = setup(backend, 1)?;
            let started = Instant::now();
            let mut program = setup.spawn(&built, &built.target.join("bench/startup"))?;
            let address = listening(&mut program)?;
            bind(address)?;
            times.push(started.elapsed().as_secs_f64());
            program.stop(STOP_PATIENCE)?;
        }
        let highest = times.iter().copied().fold(0.0, f64::max);
        let middle = median(times);
        let word = if middle < STARTUP_GOAL { "reached" } else { "NOT REACHED" };
        println!(
            "{backend}: first bind accepted {middle:.3} s after the start, highest {highest:.3} s; goal {STARTUP_GOAL} s {word}"
        );
        rows.push(json!({"backend": backend, "median_seconds": middle, "highest_seconds": highest}));
    }
    let result =
        json!({"bench": "startup", "machine": host::facts(), "rounds": options.rounds, "rows": rows});
    append("startup", &result, options.json.as_deref())
}

/// # Errors
/// When the limit of open files is too low, or a bind is refused or lost.
pub(super) fn memory(options: &MemoryOptions) -> anyhow::Result<()> {
    host::open_files(options.binds as u64 + FILES_BESIDE)?;
    let built = Built::new(Profile::Release)?;
    let mut rows = Vec::new();
    for backend in BACKENDS {
        let folder = built.target.join("bench/memory");
        let (program, address) = setup(backend, options.binds)?.start(&built, &folder)?;
        let before = host::resident_kib(program.id())?;
        let mut idle = built.start("limit", &folder.join("idle.log"), |command| {
            command.args(["idle", "--target", &address.to_string(), "--binds", &options.binds.to_string()]);
            command.args(["--system-id", SYSTEM_ID, "--password", PASSWORD]);
        })?;
        let ready = idle.ready(BIND_PATIENCE)?;
        let after = settled(&program)?;
        idle.must_run()?;
        let seconds = ready["seconds"].as_f64().context("no time in the ready line")?;
        let per_bind = after.saturating_sub(before) as f64 / options.binds as f64;
        let word = if per_bind <= BIND_GOAL_KIB { "reached" } else { "NOT REACHED" };
        println!(
            "{backend}: {} idle binds, {before} KiB resident before, {after} KiB with them: {per_bind:.2} KiB a bind (goal {BIND_GOAL_KIB} {word}); bound in {seconds:.1} s",
            options.binds
        );
        rows.push(json!({"backend": backend, "binds": options.binds, "before_kib": before, "after_kib": after, "kib_per_bind": per_bind, "bind_seconds": seconds}));
        drop(idle);
        program.stop(STOP_PATIENCE)?;
    }
    let result = json!({"bench": "memory", "machine": host::facts(), "rows": rows});
    append("memory", &result, options.json.as_deref())
}

fn setup(backend: &'static str, customer_binds_max: usize) -> anyhow::Result<Setup> {
    let core = *host::cores()?.last().context("no core")?;
    // Nobody listens there: these measurements need no vendor.
    let vendor = host::free_address()?;
    Ok(Setup {
        backend,
        store: Store::Embedded,
        vendor,
        binds: 1,
        window: 100,
        customer_binds_max,
        core,
        listen: ANY_PORT,
    })
}

/// Resident memory some time after the last bind.
fn settled(program: &Program) -> anyhow::Result<u64> {
    let until = Instant::now() + SETTLE;
    while Instant::now() < until {
        crate::interrupt::check()?;
        std::thread::sleep(Duration::from_millis(100));
    }
    host::resident_kib(program.id())
}

/// Binds once as a transmitter (SMPP 3.4 §4.1.1) and wants status 0.
fn bind(address: SocketAddr) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let body = [SYSTEM_ID.as_bytes(), b"\0", PASSWORD.as_bytes(), b"\0\0\x34\0\0\0"].concat();
    let mut request = Vec::new();
    for field in [16 + body.len() as u32, 0x02, 0, 1] {
        request.extend_from_slice(&field.to_be_bytes());
    }
    request.extend_from_slice(&body);
    stream.write_all(&request)?;
    let mut header = [0; 16];
    stream.read_exact(&mut header).context("no answer to bind")?;
    ensure!(header[8..12] == [0; 4], "bind refused with status {:02x?}", &header[8..12]);
    Ok(())
}
