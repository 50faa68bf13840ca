//! `cargo xtask demo --postgres --redis`: three nodes of one gateway. A vendor is inserted into the database while they
//! run, and takes traffic from each of them; then one node is killed, and nothing that was acknowledged is lost.
//!
//! ```text
//!                      node 1 -.
//!   loadgen  --SMPP--> node 2 --+--SMPP-->  sim-smsc: three sites, the third one unknown at first
//!                      node 3 -'
//!                 PostgreSQL, Redis
//! ```

mod events;
mod files;

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;
use postgres_server::Postgres;

use self::events::Events;
use self::files::{NODES, NodeFile};
use super::page::Page;
use super::{Demo, READY_PATIENCE, Run, SEED, STOP_PATIENCE, address, wait_until_ready};
use crate::process::{self, Program};
use crate::{host, redis};

/// What runs beside the load, in the order in which it ends.
struct Stage {
    nodes: Vec<Node>,
    simulator: Program,
    /// The simulator's control port.
    control: SocketAddr,
    /// Where the site that comes later listens.
    late_site: SocketAddr,
    redis: redis::Redis,
    postgres: Postgres,
}

/// One node; without a program after it was killed.
pub(super) struct Node {
    program: Option<Program>,
    /// Where customers bind.
    smpp: SocketAddr,
    /// Its HTTP port.
    http: SocketAddr,
}

/// # Errors
/// When a program fails, the vendor is not taken up, or a message was lost, misrouted or altered.
pub(super) fn run(demo: &Demo<'_>) -> anyhow::Result<()> {
    let mut stage = set_up(demo)?;
    let mut events = Events::new(demo.options.seconds);
    let run = load(demo, &mut stage, &mut events)?;
    for node in &mut stage.nodes {
        if let Some(program) = node.program.take() {
            program.stop(STOP_PATIENCE)?;
        }
    }
    stage.simulator.stop(STOP_PATIENCE)?;
    let verdict = demo.reconcile()?;
    let page = Page::new(demo.folder, &verdict, run.invalid)?.with_events(events.lines());
    page.print(demo.report(&verdict));
    events.judge()?;
    page.judge()
}

fn set_up(demo: &Demo<'_>) -> anyhow::Result<Stage> {
    let postgres = Postgres::try_start().map_err(anyhow::Error::msg).context("PostgreSQL is needed")?;
    let redis = redis::start(&demo.folder.join("redis"))?;
    let file = demo.write("sim.toml", &files::simulator(SEED))?;
    let mut simulator = demo.built.start("sim-smsc", &demo.folder.join("sim-smsc.log"), |command| {
        command.arg("run").arg(file).arg("--out").arg(demo.folder);
    })?;
    let ready = simulator.ready(READY_PATIENCE)?;
    let control = address(&ready["http"]).context("the simulator's control port")?;
    let site = |name: &str| address(&ready["listen"][name]).with_context(|| format!("the port of {name}"));
    demo.write(files::PASSWORD_FILE, super::files::PASSWORD)?;
    let mut paths = Vec::new();
    for id in 1..=NODES {
        let file = NodeFile {
            id,
            smpp: host::free_address()?,
            postgres: postgres.url(),
            redis: redis.address,
            folder: demo.folder,
        };
        paths.push(demo.write(&format!("node-{id}.toml"), &file.text())?);
    }
    let sites = [site(files::SITES[0])?, site(files::SITES[1])?];
    let first = demo.write("first.toml", &files::first_configuration(sites))?;
    administer(demo, &["migrate"], &paths[0], None)?;
    administer(demo, &["import"], &paths[0], Some(&first))?;
    let nodes = paths.iter().enumerate().map(|(place, path)| start_node(demo, place + 1, path));
    let nodes: Vec<Node> = nodes.collect::<anyhow::Result<_>>()?;
    let late_site = site(files::LATE)?;
    Ok(Stage { nodes, simulator, control, late_site, redis, postgres })
}

/// `gateway migrate` and `gateway import`, as an operator calls them.
fn administer(demo: &Demo<'_>, words: &[&str], config: &Path, file: Option<&Path>) -> anyhow::Result<()> {
    let mut command = demo.built.command("gateway");
    command.args(words).args(file).arg("--config").arg(config);
    let said = process::output(&mut command)?;
    print!("{said}");
    Ok(())
}

fn start_node(demo: &Demo<'_>, id: usize, config: &Path) -> anyhow::Result<Node> {
    let log = demo.folder.join(format!("node-{id}.log"));
    let mut program = demo.built.start("gateway", &log, |command| {
        command.arg("run").arg(config);
    })?;
    let ready = program.ready(READY_PATIENCE)?;
    let smpp = address(&ready["listen"]["smpp"]).context("the node's port for customers")?;
    let http = address(&ready["http"]).context("the node's HTTP port")?;
    wait_until_ready(&mut program, http)?;
    Ok(Node { program: Some(program), smpp, http })
}

/// Runs the load to its end, and lets happen what is to happen meanwhile.
fn load(demo: &Demo<'_>, stage: &mut Stage, events: &mut Events) -> anyhow::Result<Run> {
    let super::Options { seconds, rate, .. } = *demo.options;
    let nodes: Vec<_> = stage.nodes.iter().map(|node| node.smpp).collect();
    let load = files::load(&nodes, seconds, rate, SEED, &events.marks());
    println!("{}", events.heading());
    demo.follow(&load, stage.control, |live| {
        for node in &mut stage.nodes {
            node.program.as_mut().map_or(Ok(()), Program::must_run)?;
        }
        stage.simulator.must_run()?;
        stage.redis.program.must_run()?;
        for line in events.happen(&stage.postgres, stage.late_site, &mut stage.nodes)? {
            live.say(&line);
        }
        Ok(())
    })
}
