//! `cargo xtask demo`: a gateway relays to two simulated sites, loses one, and loses no message.
//!
//! ```text
//!   loadgen  --SMPP-->  gateway  --SMPP-->  sim-smsc: two sites
//! ```
//!
//! Every program is a child with ports of its own choice; all end with this one, whatever happens. With `--postgres
//! --redis` there are three nodes, see `cluster`.

mod cluster;
mod files;
mod live;
mod page;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use self::live::Live;
use self::page::Page;
use crate::process::{self, Program};
use crate::project::{Built, Profile};
use crate::{http, interrupt};

/// Opening ports takes at most this long.
const READY_PATIENCE: Duration = Duration::from_secs(15);
/// An orderly end, with the drain of the gateway, takes at most this long.
const STOP_PATIENCE: Duration = Duration::from_secs(45);
/// Beyond the load itself: binding, the drain, the report.
const LOAD_PATIENCE: Duration = Duration::from_secs(120);
/// How often programs are looked at.
const GLANCE: Duration = Duration::from_millis(20);
/// loadgen's exit status for a run whose own lateness makes its latencies worthless.
const EXIT_INVALID: i32 = 3;
/// The same content and schedule in every demo.
const SEED: u64 = 20_250_701;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How the programs are built
    #[arg(long, value_enum, default_value_t = Profile::Release)]
    profile: Profile,
    /// Seconds of load
    #[arg(long, default_value_t = 45, value_parser = clap::value_parser!(u64).range(5..))]
    seconds: u64,
    /// Messages a second
    #[arg(long, default_value_t = 8000, value_parser = clap::value_parser!(u64).range(1..))]
    rate: u64,
    /// Shards of the gateway; 0 = as many as it finds right
    #[arg(long, default_value_t = 0)]
    shards: usize,
    /// Three nodes that take their configuration from PostgreSQL, which changes while they run
    #[arg(long, requires = "redis")]
    postgres: bool,
    /// Redis between the nodes
    #[arg(long, requires = "postgres")]
    redis: bool,
    /// Folder for configurations, logs, ledgers and the report [default: demo in the target folder]
    #[arg(long)]
    out: Option<PathBuf>,
}

/// # Errors
/// When a program fails, or a message was lost, misrouted or altered.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let built = Built::new(options.profile)?;
    let folder = options.out.clone().unwrap_or_else(|| built.target.join("demo"));
    fresh_folder(&folder)?;
    let demo = Demo { options, built: &built, folder: &folder };
    if options.postgres && options.redis {
        return cluster::run(&demo);
    }
    let mut stage = demo.set_up()?;
    let run = demo.load(&mut stage)?;
    stage.gateway.stop(STOP_PATIENCE)?;
    stage.simulator.stop(STOP_PATIENCE)?;
    let verdict = demo.reconcile()?;
    let page = Page::new(&folder, &verdict, run.invalid)?;
    page.print(demo.report(&verdict));
    page.judge()
}

struct Demo<'a> {
    options: &'a Options,
    built: &'a Built,
    folder: &'a Path,
}

/// The programs between which the load runs.
struct Stage {
    simulator: Program,
    gateway: Program,
    /// Where customers bind.
    smpp: SocketAddr,
    /// The simulator's control port.
    control: SocketAddr,
}

/// How the load ended.
struct Run {
    /// The generator was late: its latencies say nothing.
    invalid: bool,
}

impl Demo<'_> {
    fn set_up(&self) -> anyhow::Result<Stage> {
        let file = self.write("sim.toml", &self.simulator())?;
        let mut simulator = self.built.start("sim-smsc", &self.folder.join("sim-smsc.log"), |command| {
            command.arg("run").arg(file).arg("--out").arg(self.folder);
        })?;
        let ready = simulator.ready(READY_PATIENCE)?;
        let control = address(&ready["http"]).context("the simulator's control port")?;
        let sites: anyhow::Result<Vec<_>> =
            files::SITES.iter().map(|site| Ok((*site, address(&ready["listen"][site])?))).collect();

        let file = self.write("gateway.toml", &files::gateway(&sites?, self.options.shards))?;
        let mut gateway = self.built.start("gateway", &self.folder.join("gateway.log"), |command| {
            command.arg("run").arg(file);
        })?;
        let ready = gateway.ready(READY_PATIENCE)?;
        let smpp = address(&ready["listen"]["smpp"]).context("the gateway's port for customers")?;
        let admin = address(&ready["http"]).context("the gateway's HTTP port")?;
        wait_until_ready(&mut gateway, admin)?;
        Ok(Stage { simulator, gateway, smpp, control })
    }

    fn simulator(&self) -> String {
        let sites = files::SITES.map(|site| (site, files::SITE_BINDS));
        files::simulator(&sites, Some(files::outage(self.options.seconds)), SEED)
    }

    fn load(&self, stage: &mut Stage) -> anyhow::Result<Run> {
        let Options { seconds, rate, .. } = *self.options;
        let (at, lasts) = files::outage(seconds);
        let marks = [(format!("{} half-open", files::LOST), at, lasts)];
        let load = files::Load { nodes: &[stage.smpp], seconds, rate, seed: SEED, marks: &marks };
        println!("{}", heading(seconds));
        self.follow(&files::load(&load), stage.control, |_| {
            stage.gateway.must_run()?;
            stage.simulator.must_run()
        })
    }

    /// Runs a load to its end and shows what happens; `look` is called again and again meanwhile.
    fn follow(
        &self,
        scenario: &str,
        control: SocketAddr,
        mut look: impl FnMut(&mut Live) -> anyhow::Result<()>,
    ) -> anyhow::Result<Run> {
        let file = self.write("load.toml", scenario)?;
        let log = self.folder.join("loadgen.log");
        let mut load = self.built.start("loadgen", &log, |command| {
            command.arg("run").arg(file).arg("--out").arg(self.folder.join("load")).args(["--ui", "line"]);
        })?;
        let deadline = Instant::now() + Duration::from_secs(self.options.seconds) + LOAD_PATIENCE;
        let mut live = Live::new(control, log);
        let status = loop {
            if let Some(status) = load.ended()? {
                break status;
            }
            look(&mut live)?;
            interrupt::check()?;
            ensure!(Instant::now() < deadline, "the load does not end");
            live.show();
            std::thread::sleep(GLANCE);
        };
        live.finish();
        let invalid = status.code() == Some(EXIT_INVALID);
        if !status.success() && !invalid {
            // The error carries the end of the log.
            load.finish(STOP_PATIENCE)?;
        }
        Ok(Run { invalid })
    }

    fn reconcile(&self) -> anyhow::Result<Value> {
        let mut command = self.built.command("loadgen");
        command.arg("reconcile").arg("--json");
        command.arg("--loadgen").arg(self.folder.join("load/loadgen.ledger"));
        command.arg("--sim").arg(self.folder.join("sim.ledger"));
        // A verdict that is not clean has an exit status of its own; the text counts.
        let output = command.output().context("cannot run loadgen reconcile")?;
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&text).with_context(|| {
            format!("loadgen reconcile: {}: {}", output.status, String::from_utf8_lossy(&output.stderr))
        })
    }

    /// Writes the HTML report with the verdict in it; its path, or why there is none.
    fn report(&self, verdict: &Value) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join("load");
        let mut summary = page::summary(&folder)?;
        summary["reconciliation"] = verdict.clone();
        std::fs::write(folder.join(page::SUMMARY), summary.to_string())?;
        process::output(self.built.command("loadgen").arg("report").arg(&folder))?;
        let path = folder.join("report.html");
        ensure!(path.exists(), "loadgen report wrote no report.html");
        Ok(path)
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

/// What is going to happen.
fn heading(seconds: u64) -> String {
    let (at, lasts) = files::outage(seconds);
    let [first, second] = files::SITES;
    let back = at + lasts;
    format!(
        "{seconds} s of load over {first} and {second}; {} goes silent at {at:.0} s and comes back at {back:.0} s",
        files::LOST
    )
}

fn wait_until_ready(gateway: &mut Program, http_port: SocketAddr) -> anyhow::Result<()> {
    let deadline = Instant::now() + READY_PATIENCE;
    while let Err(error) = http::get(http_port, "/readyz") {
        gateway.must_run()?;
        interrupt::check()?;
        if Instant::now() > deadline {
            bail!("the gateway does not become ready: {error:#}");
        }
        std::thread::sleep(GLANCE);
    }
    Ok(())
}

/// Empties the folder of the last demo; a folder that is something else is left alone.
fn fresh_folder(folder: &Path) -> anyhow::Result<()> {
    let ours = folder.join("sim.toml").exists();
    let empty = !folder.exists() || std::fs::read_dir(folder)?.next().is_none();
    ensure!(ours || empty, "{} is not empty and holds no demo", folder.display());
    if ours {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    Ok(())
}

fn address(value: &Value) -> anyhow::Result<SocketAddr> {
    let text = value.as_str().with_context(|| format!("no address in the ready line: {value}"))?;
    Ok(text.parse()?)
}
