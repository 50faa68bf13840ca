//! The wiring, as a list: store, records, boxes between shards, shards, control.

use anyhow::{Context, bail};
use arc_swap::ArcSwap;
use control::auth::{AuthOptions, Authenticator};
use control::cdr::{self, Names, RecordsThread};
use control::config::{Built, Config};
use control::descriptors::DescriptorNeed;
use control::names::NamesThread;
use control::slots::{SlotsOptions, SlotsThread};
use control::source::Loaded;
use control::{
    ConfigState, ControlOptions, ControlThread, DrainOptions, Messages, PublishOptions, Publisher, ShardDesk,
    metrics::Sources,
};
use runtime::{Backend, Placement, Runtime, ShardThread, Stop, mailbox};
use shard::limits::{CONTROL_MAILBOX, MemoryBound};
use shard::{
    Listening, NodePool, NodeSecret, Plan, Post, RefusalLog, ReportSlot, ShardOptions, ShardParts, SlotTable,
    SlotsPort, mesh, node_pool, report_slot, run_shard,
};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, SystemTime};
use store::StoreThread;
use store::lease::node_id::{self, NodeId, NodeIdOptions, NodeIdThread, Wanted};
use store::lease::rates::{self, RatesThread};
use store::lease::slots::SlotRules;
use store::spool::SpoolThread;
use store::{RedisOptions, StoreOptions};

/// Runs the gateway until it was told to stop and has drained.
///
/// # Errors
/// What keeps it from starting, or from ending in order.
pub(crate) fn run(loaded: Loaded, file: &Path) -> anyhow::Result<()> {
    let selected = runtime::select(loaded.config.runtime.backend).context("no back end can be used")?;
    tracing::info!(backend = ?selected.backend, "{}", selected.reason);
    runtime::on_backend!(selected.backend, run_on(loaded, file))
}

/// The most memory that a configuration lets a node take on this machine.
pub(crate) fn memory_bound(config: &Config, built: &Built) -> anyhow::Result<MemoryBound> {
    Ok(control::memory::bound_of(built, config.session.links_max, placements(config)?.len() as u64))
}

/// The file descriptors that a configuration wants on this machine.
pub(crate) fn descriptors(config: &Config, built: &Built) -> DescriptorNeed {
    let shards = placements(config).map_or(1, |places| places.len());
    control::descriptors::needed(config, built, shards as u64)
}

/// All that runs beside the main thread.
struct Node {
    node_id: NodeIdThread,
    store: Option<StoreThread>,
    spool: Option<SpoolThread>,
    rates: RatesThread,
    records: Option<RecordsThread>,
    shards: Vec<ShardThread>,
    slots: Option<SlotsThread>,
    control: ControlThread,
    smpp: SocketAddr,
    smpp_tls: Option<SocketAddr>,
}

fn run_on<R: Runtime>(loaded: Loaded, file: &Path) -> anyhow::Result<()> {
    let node = start::<R>(loaded, file)?;
    node.control.set_ready();
    let http = node.control.http_address();
    let backend = backend_label(R::BACKEND);
    let (smpp, shards) = (node.smpp, node.shards.len());
    let smpp_tls = node.smpp_tls.map(|address| format!(r#","smpp_tls":"{address}""#)).unwrap_or_default();
    println!(
        r#"{{"ready":true,"program":"gateway","backend":"{backend}","shards":{shards},"listen":{{"smpp":"{smpp}"{smpp_tls}}},"http":"{http}"}}"#
    );
    end(node)
}

/// The threads that shards lean on, and what shards are made of.
struct Prepared {
    store: Option<StoreThread>,
    spool: Option<SpoolThread>,
    rates: RatesThread,
    records: Option<RecordsThread>,
    messages: Option<Messages>,
    names: Names,
    pool: Arc<NodePool>,
    slot_table: Arc<ArcSwap<SlotTable>>,
    parts: Vec<ShardParts>,
    desks: Vec<ShardDesk>,
    reports: Vec<ReportSlot>,
    ports: Vec<Port>,
}

fn start<R: Runtime>(loaded: Loaded, file: &Path) -> anyhow::Result<Node> {
    let Loaded { mut config, mut built, standing, live } = loaded;
    let node_id = take_node_id(&mut config, &mut built)?;
    control::names::look_up(&mut built.names).iter().for_each(|warning| tracing::warn!("{warning}"));
    let placements = placements(&config)?;
    let memory = tell_bounds(&config, &built, placements.len() as u64);
    let prepared = prepare(&config, &built, placements.len(), node_id.ids_from())?;
    let Prepared { store, spool, rates, records, messages, reports, ports, .. } = prepared;
    // Before the first id is given.
    let node_id = node_id.keep(newest_id_second(&reports)).context("the node id")?;
    let shards = start_shards::<R>(prepared.parts, &placements)?;
    let smpp = wait_for_port(&ports[0])?;
    let smpp_tls = ports.get(1).map(wait_for_port).transpose()?;
    let vendors = NamesThread::start(built.names).context("no thread to look up names")?;
    // The pool's threads end with the process: none of them holds anything that must be finished.
    let (authenticator, _pool) = Authenticator::start(built.guests, AuthOptions::default())?;
    let state = Arc::new(ConfigState::new(built.plan.snapshot.version(), memory));
    let publisher = Publisher::start(PublishOptions {
        plan: built.plan.clone(),
        pool: prepared.pool,
        has_spool: spool.is_some(),
        shards: placements.len() as u64,
        links_max: config.session.links_max,
        authenticator: authenticator.clone(),
        names: vendors,
        record_names: prepared.names,
        // Where the source is a database, what the file says is the node's own, and as it was at the start.
        file: live.is_none().then(|| (file.to_owned(), config.clone())),
        standing: standing.clone(),
        state: state.clone(),
    })
    .context("no thread to publish configurations")?;
    let stop = Stop::new();
    let slots = slots_options(&config, built.store.as_ref(), smpp).map(|(rules, redis)| {
        let (reports, publisher, stop) = (reports.clone(), publisher.clone(), stop.clone());
        let table = prepared.slot_table;
        control::slots::start(SlotsOptions { rules, redis, publisher, reports, table, stop }, &built.plan)
    });
    drop(built.plan); // or the publisher would wait for us to let go of it
    let slots = slots.transpose().context("no thread for bind slots")?;
    let sources = Sources {
        version: env!("CARGO_PKG_VERSION"),
        node: config.node.name.clone(),
        backend: backend_label(R::BACKEND),
        started_at: SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()),
        config: state,
        standing,
        shards: reports,
        store: store.as_ref().map(StoreThread::report),
        spool: spool.as_ref().map(SpoolThread::report),
        rates: Some(rates.report()),
        slots: slots.as_ref().map(SlotsThread::state),
        sinks: records.as_ref().map(RecordsThread::counters).unwrap_or_default(),
        authenticator: Some(authenticator.clone()),
        node_id: Some((config.node.id, node_id.state())),
    };
    let (http, desks, drain) = (config.listen.http, prepared.desks, DrainOptions::default());
    let signals = true;
    #[rustfmt::skip]
    let options = ControlOptions {
        http, sources, live, messages, desks, authenticator, publisher, stop, drain, signals,
    };
    let control = control::start(options).with_context(|| format!("HTTP port {http}"))?;
    Ok(Node { node_id, store, spool, rates, records, shards, slots, control, smpp, smpp_tls })
}

/// Says what the node may take of memory and descriptors, and sets the limit of these.
fn tell_bounds(config: &Config, built: &Built, shards: u64) -> MemoryBound {
    let memory = control::memory::bound_of(built, config.session.links_max, shards);
    tracing::info!("{memory}");
    control::descriptors::prepare(&control::descriptors::needed(config, built, shards));
    memory
}

/// Finds this node's number and writes it into the configuration.
fn take_node_id(config: &mut Config, built: &mut Built) -> anyhow::Result<NodeId> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let options = NodeIdOptions {
        directory: config.node.state_directory.clone(),
        wanted: if config.node.id_is_auto { Wanted::Auto } else { Wanted::Number(config.node.id) },
        holder: format!("\"{}\" on {}, process {}", config.node.name, host.trim(), std::process::id()),
        quiet: config.node.id_quiet,
        redis: built.store.as_ref().and_then(|store| store.redis.clone()),
    };
    let node_id = node_id::take(&options)?;
    config.node.id = node_id.number();
    if let Some((_, number)) = &mut built.rates.redis {
        *number = node_id.number();
    }
    tracing::info!(id = node_id.number(), "this node's id");
    Ok(node_id)
}

/// The newest second of which any shard gave an id, as they report it some times a second.
fn newest_id_second(reports: &[ReportSlot]) -> impl Fn() -> u64 + Send + 'static {
    let reports = reports.to_vec();
    move || reports.iter().map(|report| report.load().newest_id_second).max().unwrap_or(0)
}

/// Starts store, spool, limits and records, and lays out the shards with their lines to them and to each other.
fn prepare(config: &Config, built: &Built, count: usize, ids_from: Duration) -> anyhow::Result<Prepared> {
    let store = built.store.as_ref().map(|options| store::start(options, count));
    let (store, store_ports) = store.transpose().context("the store")?.unzip();
    let spool = built.spool.as_ref().map(|options| store::spool::start(options, count));
    let (spool, spool_ports) = spool.transpose().context("the spool")?.unzip();
    let pool = node_pool(count, built.nodes_max);
    pool.prime(built.plan.snapshot.limit_table().specs());
    let rates = rates::start(&built.rates, pool.clone()).context("the limits")?;
    let names = Names::of(&built.plan.snapshot);
    let records = built.cdr.as_ref().map(|options| cdr::start(options, names.clone(), count));
    let records = records.transpose().map_err(anyhow::Error::msg).context("the records")?;
    let (records, record_ports) = records.unzip();
    let messages = records.as_ref().zip(built.cdr.as_ref());
    let messages = messages.map(|(records, options)| Messages::new(records.desk(), options, names.clone()));
    let slot_table = Arc::new(ArcSwap::from_pointee(SlotTable::default()));
    let mut store_ports = store_ports.unwrap_or_default().into_iter();
    let mut spool_ports = spool_ports.unwrap_or_default().into_iter();
    let mut record_ports = record_ports.unwrap_or_default().into_iter();
    let refusals = Arc::new(RefusalLog::default());
    let (mut listen, ports) = listenings(config);
    let (mut desks, mut reports, mut parts) = (Vec::new(), Vec::new(), Vec::new());
    for (index, post) in mesh(count as u8).into_iter().enumerate() {
        let report = report_slot();
        reports.push(report.clone());
        let mut options = shard_options(config, (index as u8, count as u8), report, &refusals);
        options.ids_from = ids_from;
        let mut part = shard_parts(options, &built.plan, &pool, post, &mut desks);
        part.store = store_ports.next().map(|port| (port.ops, port.answers));
        part.spool = spool_ports.next().map(|port| (port.ops, port.answers));
        part.records = record_ports.next();
        part.slots = slots_port(config, &slot_table);
        // The first shard accepts for all: connections are placed by account, not by the kernel's hash.
        part.listen = std::mem::take(&mut listen);
        parts.push(part);
    }
    Ok(Prepared {
        store,
        spool,
        rates,
        records,
        messages,
        names,
        pool,
        slot_table,
        parts,
        desks,
        reports,
        ports,
    })
}

fn start_shards<R: Runtime>(
    parts: Vec<ShardParts>,
    placements: &[Placement],
) -> anyhow::Result<Vec<ShardThread>> {
    let places = parts.into_iter().zip(placements).enumerate();
    let start = |(index, (parts, placement)): (usize, (ShardParts, &Placement))| {
        let name = format!("shard-{index}");
        let thread = R::run(*placement, &name, move || run_shard::<R>(parts));
        thread.with_context(|| format!("{name} at {placement:?}"))
    };
    places.map(start).collect()
}

fn shard_options(
    config: &Config,
    (index, shards): (u8, u8),
    report: ReportSlot,
    refusals: &Arc<RefusalLog>,
) -> ShardOptions {
    ShardOptions {
        index,
        shards,
        node: config.node.id,
        ids_from: Duration::ZERO,
        // Rounded up, so that each shard may hold at least one.
        links_max: (config.session.links_max as usize).div_ceil(usize::from(shards)),
        // The shard that listens greets for all.
        greetings_max: config.session.links_max as usize,
        // Two nodes started in the same nanosecond may share it; nothing but the spread of retries depends on it.
        seed: runtime::monotonic_nanos() ^ u64::from(config.node.id) << 48 ^ u64::from(index) << 56,
        system_id: config.node.name.bytes().take(SYSTEM_ID_MAX).collect(),
        report,
        refusals: refusals.clone(),
    }
}

/// What a shard needs where nodes share binds; none where this node has nothing to do with others.
fn slots_port(config: &Config, table: &Arc<ArcSwap<SlotTable>>) -> Option<SlotsPort> {
    let secret = config.cluster.secret.as_ref()?;
    Some(SlotsPort {
        table: table.clone(),
        grace: config.cluster.slot_grace,
        secret: NodeSecret::new(secret.expose()),
    })
}

/// How slots are leased and where; none without a secret or Redis.
fn slots_options(
    config: &Config,
    store: Option<&StoreOptions>,
    smpp: SocketAddr,
) -> Option<(SlotRules, RedisOptions)> {
    let redis = store?.redis.clone()?;
    let cluster = &config.cluster;
    cluster.secret.as_ref()?;
    let started = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos() as u64;
    let rules = SlotRules {
        node: config.node.id,
        life_tag: started ^ u64::from(std::process::id()) << 40,
        address: cluster.address.unwrap_or(smpp).to_string(),
        life: cluster.slot_lease,
        grace: cluster.slot_grace,
        patience: cluster.hand_over_after,
        when_away: cluster.when_redis_is_away,
    };
    Some((rules, redis))
}

/// Octets of a system_id without its NUL (SMPP 3.4 §5.2.1).
const SYSTEM_ID_MAX: usize = smpp::limits::SYSTEM_ID_SIZE_MAX - 1;

fn shard_parts(
    options: ShardOptions,
    plan: &Arc<Plan>,
    pool: &Arc<NodePool>,
    post: Post,
    desks: &mut Vec<ShardDesk>,
) -> ShardParts {
    let (notices, notices_out) = mailbox(CONTROL_MAILBOX);
    let (directives_in, directives) = mailbox(CONTROL_MAILBOX);
    desks.push(ShardDesk { notices: notices_out, directives: directives_in });
    ShardParts {
        options,
        plan: plan.clone(),
        pool: pool.clone(),
        post,
        store: None,
        spool: None,
        records: None,
        slots: None,
        control: (notices, directives),
        listen: Vec::new(),
    }
}

/// A port that was asked for, and which one was taken.
struct Port {
    asked: SocketAddr,
    taken: Receiver<std::io::Result<SocketAddr>>,
}

/// The ports to listen on: the plain one, then the one for TLS if there is one.
fn listenings(config: &Config) -> (Vec<Listening>, Vec<Port>) {
    let plain = (config.listen.smpp, None);
    let encrypted = config.listen.tls.iter().map(|tls| (tls.address, Some(tls.server.clone())));
    std::iter::once(plain)
        .chain(encrypted)
        .map(|(asked, tls)| {
            let (told, taken) = sync_channel(1);
            (Listening { address: asked, tls, taken: told }, Port { asked, taken })
        })
        .unzip()
}

fn wait_for_port(port: &Port) -> anyhow::Result<SocketAddr> {
    let taken = port.taken.recv().context("shard 0 ended before it listened")?;
    taken.with_context(|| format!("SMPP port {}", port.asked))
}

/// Where the shards run: the cores named, or as many as we may use at once, less one for control where there are more
/// than two.
fn placements(config: &Config) -> anyhow::Result<Vec<Placement>> {
    let cores = runtime::allowed_cores();
    // Of a container with a CPU quota this is the quota, rounded down.
    let processors = std::thread::available_parallelism().map_or(cores.len(), usize::from);
    placements_on(config, &cores, processors)
}

/// [`placements`] where these cores may be used, and so much time of processors. Where the time is less than the cores have,
/// shards are not pinned: the kernel takes time away from all cores alike, and other containers pin theirs to the first ones.
fn placements_on(config: &Config, allowed: &[usize], processors: usize) -> anyhow::Result<Vec<Placement>> {
    let named = &config.runtime.cores;
    if let Some(core) = named.iter().find(|core| !allowed.contains(core)) {
        bail!("runtime.cores names core {core}, but this process may only use {allowed:?}");
    }
    let has_quota = processors < allowed.len();
    let usable = processors.clamp(1, allowed.len());
    let spare = if usable > 2 { usable - 1 } else { usable };
    let shards = match (config.runtime.shards as usize, named.len()) {
        (0, 0) => spare,
        (0, named) => named,
        (wanted, _) => wanted,
    };
    let free: &[usize] = if has_quota { &[] } else { allowed };
    let place = |index: usize| match named.get(index).or(free.get(index)) {
        Some(core) => Placement::Core(*core),
        None => Placement::Floating,
    };
    Ok((0..shards.clamp(1, SHARDS_MAX)).map(place).collect())
}

/// Shards that a message id has room for (see [`smpp::text::message_id::GatewayId`]).
const SHARDS_MAX: usize = 64;

fn backend_label(backend: Backend) -> &'static str {
    match backend {
        Backend::Glommio => "io_uring",
        Backend::Tokio => "epoll",
    }
}

/// Waits for the drain, then for every thread. Whatever went wrong with the others, the store and the spool do what
/// they were asked.
fn end(node: Node) -> anyhow::Result<()> {
    let ended = end_shards(node.control, node.shards);
    if let Some(slots) = node.slots {
        slots.end(ended.is_ok()).map_err(anyhow::Error::msg)?;
    }
    if let Some(store) = node.store {
        let store_ended = if ended.is_ok() { store.join() } else { store.end() };
        store_ended.map_err(anyhow::Error::msg)?;
    }
    if let Some(spool) = node.spool {
        let spool_ended = if ended.is_ok() { spool.join() } else { spool.end() };
        spool_ended.map_err(anyhow::Error::msg)?;
    }
    node.rates.end().map_err(anyhow::Error::msg)?;
    node.node_id.end(ended.is_ok()).map_err(anyhow::Error::msg)?;
    ended?;
    if let Some(records) = node.records {
        records.join().map_err(anyhow::Error::msg)?;
    }
    tracing::info!("drained");
    Ok(())
}

fn end_shards(control: ControlThread, shards: Vec<ShardThread>) -> anyhow::Result<()> {
    let in_time = control.join().map_err(anyhow::Error::msg)?;
    if !in_time {
        bail!("not every shard drained in time: what was in flight has no answer");
    }
    for shard in shards {
        shard.join().context("a shard ended badly")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(runtime: &str) -> Config {
        let text = format!("[runtime]\n{runtime}\n");
        control::config::parse(Path::new("gateway.toml"), &text, &[]).expect("no mistake")
    }

    #[test]
    fn a_quota_decides_the_number_of_shards() {
        let check = |runtime: &str, cores: usize, processors: usize, expected: &[Option<usize>]| {
            let cores: Vec<usize> = (0..cores).collect();
            let places = placements_on(&configured(runtime), &cores, processors).expect("allowed");
            let expected: Vec<Placement> =
                expected.iter().map(|core| core.map_or(Placement::Floating, Placement::Core)).collect();
            assert_eq!(places, expected, "{runtime:?}: {processors} of {cores:?}");
        };
        check("", 1, 1, &[Some(0)]);
        check("", 2, 2, &[Some(0), Some(1)]);
        check("", 4, 4, &[Some(0), Some(1), Some(2)]);
        check("", 64, 2, &[None, None]);
        check("", 64, 4, &[None, None, None]);
        check("shards = 3", 64, 2, &[None, None, None]);
        check("shards = 3", 2, 2, &[Some(0), Some(1), None]);
        check("cores = [5, 7]", 64, 2, &[Some(5), Some(7)]);
    }

    #[test]
    fn cores_that_may_not_be_used_are_refused() {
        assert!(placements_on(&configured("cores = [9]"), &[0, 1], 2).is_err());
    }
}
