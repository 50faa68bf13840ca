//! Starts and ends the threads of a simulator.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use ledger::Meta;
use link::{Hub, HubOptions};
use runtime::{Backend, Listener, Placement, Runtime, ShardThread, Stop};
use smpp::session::{SessionConfig, Timers};
use smpp::time::Instant;

use crate::control::Control;
use crate::counters::Counters;
use crate::faults::FaultSpec;
use crate::report::{SiteReport, Summary};
use crate::scenario::{Behaviour, Mistakes, Node, Scenario, Section, SiteSpec, Start};
use crate::shared::{Order, Shared, Sink, unix_now_ns};
use crate::shell::{Gate, Hosted, Shell};
use crate::smsc::{Site, SiteOptions};

/// Simulated sites that can be started.
pub struct Simulator;

/// How a simulator is run, beside its scenario.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Where the ledger `sim.ledger` goes; `None`: there is none.
    pub out: Option<PathBuf>,
}

/// Simulated sites that run. Dropped, they run on; end them with [`Running::stop`].
pub struct Running {
    addresses: Vec<(String, SocketAddr)>,
    backend: Backend,
    backend_reason: String,
    shards: Vec<ShardThread>,
    last_words: mpsc::Receiver<Vec<SiteReport>>,
    stop: Stop,
    shared: Arc<Shared>,
    control: Option<Control>,
    sink: Sink,
}

impl Simulator {
    /// Opens every port of the scenario; without a ledger.
    pub fn start(scenario: Scenario) -> io::Result<Running> {
        Self::start_with(scenario, RunOptions::default())
    }

    /// Opens every port of the scenario. An error leaves no thread behind.
    pub fn start_with(mut scenario: Scenario, options: RunOptions) -> io::Result<Running> {
        scenario.draw_instance();
        let selected = runtime::select(scenario.backend)?;
        let sink = create_ledger(&scenario, &options)?;
        runtime::on_backend!(selected.backend, start_on(scenario, sink, selected.reason))
    }
}

impl Running {
    /// Name and address of each site, in the order of the scenario.
    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    /// Where the site with this name listens.
    pub fn address(&self, site: &str) -> Option<SocketAddr> {
        self.addresses.iter().find(|(name, _)| name == site).map(|(_, address)| *address)
    }

    /// Where the control port listens.
    pub fn http(&self) -> Option<SocketAddr> {
        self.control.as_ref().map(Control::address)
    }

    /// Which back end serves the sockets, and why.
    pub fn backend(&self) -> (Backend, &str) {
        (self.backend, &self.backend_reason)
    }

    /// Every site as it is now.
    pub fn report(&self) -> Vec<SiteReport> {
        self.shared.ask(&Order::Report)
    }

    /// What the site with this name has done so far.
    pub fn counters(&self, site: &str) -> Option<Counters> {
        self.report().into_iter().find(|report| report.name == site).map(|report| report.counters)
    }

    /// Adds a fault; `at` and `after_submits` count from now.
    pub fn inject(&self, fault: FaultSpec) {
        self.shared.ask(&Order::Inject(fault));
    }

    /// Adds a fault described as for the control port, such as `{"kind":"rst","scope":{"site":"A"}}`.
    ///
    /// # Errors
    /// All mistakes in it, one a line.
    pub fn inject_json(&self, fault: &str) -> Result<(), String> {
        self.inject(read_fault(fault)?);
        Ok(())
    }

    /// Ends every fault.
    pub fn heal(&self) {
        self.shared.ask(&Order::Heal);
    }

    /// Lets receipts go that a scenario keeps back.
    pub fn release_receipts(&self) {
        self.shared.ask(&Order::ReleaseReceipts);
    }

    /// As at the start: forgets every message, receipt and counter, and begins the timeline anew. Connections stay.
    pub fn reset(&self) {
        self.shared.ask(&Order::Reset);
    }

    /// Closes the ports, unbinds every session, writes the ledger to its end.
    ///
    /// # Errors
    /// A shard that panicked, or a ledger that could not be written.
    pub fn stop(self) -> io::Result<Summary> {
        if let Some(control) = self.control {
            control.stop();
        }
        self.stop.request();
        let mut panicked = None;
        for shard in self.shards {
            if let Err(panic) = shard.join() {
                panicked = Some(io::Error::other(format!("{}: {}", panic.name, panic.message)));
            }
        }
        let mut sites: Vec<_> = self.last_words.try_iter().flatten().collect();
        sites.sort_by(|one, two| one.name.cmp(&two.name));
        self.sink.finish()?;
        match panicked {
            Some(error) => Err(error),
            None => Ok(Summary { sites }),
        }
    }
}

/// Reads a fault from JSON.
pub(crate) fn read_fault(text: &str) -> Result<FaultSpec, String> {
    let json: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mistakes = Mistakes::default();
    let fault = FaultSpec::read(Section::new(Node::from_json(&json, "fault"), "", &mistakes), false);
    let mistakes = mistakes.into_sorted();
    match fault {
        Some(fault) if mistakes.is_empty() => Ok(fault),
        _ => Err(mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
    }
}

fn create_ledger(scenario: &Scenario, options: &RunOptions) -> io::Result<Sink> {
    let Some(out) = &options.out else { return Ok(Sink::none()) };
    std::fs::create_dir_all(out)?;
    let meta = Meta {
        program: "sim-smsc".into(),
        run: scenario.run,
        seed: scenario.seed,
        parties: scenario.sites.iter().map(|site| site.name.clone()).collect(),
        rules: serde_json::Value::Null,
    };
    Sink::create(&out.join(LEDGER_FILE), &meta)
}

fn start_on<R: Runtime>(scenario: Scenario, sink: Sink, backend_reason: String) -> io::Result<Running> {
    let shard_count = scenario.shards.min(scenario.sites.len()).max(1);
    let start_ns = if scenario.start == Start::Ready { runtime::monotonic_nanos() } else { 0 };
    let shared = Arc::new(Shared::new(shard_count, start_ns));
    let stop = Stop::new();
    let (ready, opened) = mpsc::sync_channel(shard_count);
    let (last, last_words) = mpsc::sync_channel(shard_count);
    let mut running = Running {
        addresses: Vec::new(),
        backend: R::BACKEND,
        backend_reason,
        shards: Vec::new(),
        last_words,
        stop: stop.clone(),
        shared: shared.clone(),
        control: None,
        sink: sink.clone(),
    };
    let mut spread: Vec<Vec<_>> = (0..shard_count).map(|_| Vec::new()).collect();
    for (index, site) in scenario.sites.iter().cloned().enumerate() {
        spread[index % shard_count].push((index, site));
    }
    for (shard, sites) in spread.into_iter().enumerate() {
        let placement = scenario.cores.get(shard).map_or(Placement::Floating, |core| Placement::Core(*core));
        let part = Part {
            shard,
            sites: sites
                .into_iter()
                .map(|(index, site)| (options_of(&scenario, index, &site), site))
                .collect(),
            sink: sink.clone(),
            shared: shared.clone(),
            stop: stop.clone(),
            ready: ready.clone(),
            last: last.clone(),
        };
        let thread = R::run(placement, &format!("sim-{shard}"), move || run_part::<R>(part));
        match thread {
            Ok(thread) => running.shards.push(thread),
            Err(error) => return Err(give_up(running, error)),
        }
    }
    drop((ready, last));
    match finish_start(&scenario, &mut running, &opened) {
        Ok(()) => Ok(running),
        Err(error) => Err(give_up(running, error)),
    }
}

type Opened = io::Result<Vec<(usize, String, SocketAddr)>>;

fn finish_start(
    scenario: &Scenario,
    running: &mut Running,
    opened: &mpsc::Receiver<Opened>,
) -> io::Result<()> {
    let mut addresses = Vec::new();
    for _ in 0..running.shards.len() {
        let part = opened.recv_timeout(START_TIMEOUT);
        addresses.extend(part.map_err(|_| io::Error::other("a shard did not open its ports in time"))??);
    }
    addresses.sort_by_key(|(index, ..)| *index);
    running.addresses = addresses.into_iter().map(|(_, name, address)| (name, address)).collect();
    if let Some(http) = scenario.http {
        running.control = Some(Control::start(http, running.shared.clone())?);
    }
    Ok(())
}

fn give_up(running: Running, error: io::Error) -> io::Error {
    // What could not start says why; how the rest ended adds nothing.
    let _ = running.stop();
    error
}

fn options_of(scenario: &Scenario, index: usize, site: &SiteSpec) -> SiteOptions {
    SiteOptions {
        index: index as u16,
        name: site.name.clone(),
        seed: scenario.seed,
        run: scenario.run,
        behaviour: site.behaviour.clone(),
        accounts: site.accounts.clone(),
        faults: scenario.faults.clone(),
    }
}

/// What one shard thread is given.
struct Part {
    shard: usize,
    sites: Vec<(SiteOptions, SiteSpec)>,
    sink: Sink,
    shared: Arc<Shared>,
    stop: Stop,
    ready: mpsc::SyncSender<Opened>,
    last: mpsc::SyncSender<Vec<SiteReport>>,
}

async fn run_part<R: Runtime>(part: Part) {
    let now = Instant::from_nanos(runtime::monotonic_nanos());
    let unix_now_ns = unix_now_ns();
    let mut hosted = Vec::new();
    let mut doors = Vec::new();
    let mut names = Vec::new();
    for (options, site) in part.sites {
        let listener = match R::listen(site.listen) {
            Ok(listener) => listener,
            Err(error) => {
                let error =
                    io::Error::new(error.kind(), format!("{} on {}: {error}", site.name, site.listen));
                let _ = part.ready.send(Err(error));
                return;
            }
        };
        let listen = listener.local_address();
        names.push((usize::from(options.index), site.name, listen));
        let gate = Rc::new(Gate::default());
        doors.push((listener, gate.clone()));
        hosted.push(Hosted { site: Site::new(options, now, unix_now_ns), gate, listen });
    }
    let shell = Shell::new(part.shard, hosted, part.sink, part.shared);
    let hub = Hub::<R, Shell>::new(shell, HubOptions { links_max: LINKS_MAX, ..HubOptions::default() });
    let gates: Vec<_> = doors.iter().map(|(_, gate)| gate.clone()).collect();
    for (index, (listener, gate)) in doors.into_iter().enumerate() {
        R::spawn(keep_door::<R>(hub.clone(), index, listener, gate, part.stop.clone()));
    }
    let _ = part.ready.send(Ok(names));
    part.stop.requested().await;
    gates.iter().for_each(|gate| gate.set_open(false));
    leave(&hub).await;
    let _ = part.last.send(hub.with(|shell, links| shell.finish(links)));
}

/// Accepts connections while the gate is open; opens the port again when it is.
async fn keep_door<R: Runtime>(
    hub: Hub<R, Shell>,
    index: usize,
    listener: R::Listener,
    gate: Rc<Gate>,
    stop: Stop,
) {
    let address = listener.local_address();
    let mut door = Some(Rc::new(listener));
    let session = session_config(&hub.with(|shell, _| shell.behaviour(index)));
    while !stop.is_requested() {
        let Some(listener) = &door else {
            if !gate.is_shut() {
                door = R::listen(address).map(Rc::new).ok();
            }
            R::sleep(DOOR_POLL).await;
            continue;
        };
        let closer = listener.clone();
        gate.on_close(move || closer.close());
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Ok(id) = hub.attach(stream, session.clone(), &[]) {
                    hub.with(|shell, links| shell.connected(links, index, id));
                }
            }
            Err(_) if gate.is_shut() => door = None,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                R::sleep(DOOR_POLL).await;
            }
        }
    }
}

/// Unbinds every session and waits a while for the links to end.
async fn leave<R: Runtime>(hub: &Hub<R, Shell>) {
    hub.with(|_, links| {
        let ids: Vec<_> = links.ids().collect();
        ids.into_iter().for_each(|id| links.unbind(id));
    });
    let mut waited = Duration::ZERO;
    while !hub.is_empty() && waited < LEAVE_TIMEOUT {
        R::sleep(DOOR_POLL).await;
        waited += DOOR_POLL;
    }
    hub.stop();
    // Links that were shut down now end as their readers wake.
    for _ in 0..10 {
        R::yield_now().await;
    }
}

fn session_config(behaviour: &Behaviour) -> SessionConfig {
    let mut config = SessionConfig::customer_side(u32::MAX, behaviour.receipts.window);
    config.timers = Timers {
        bind: behaviour.session.bind_deadline,
        response: behaviour.receipts.ack_timeout,
        enquire_link: behaviour.session.enquire_every,
        inactivity: behaviour.session.inactivity,
        unbind: LEAVE_TIMEOUT,
        ..Timers::default()
    };
    config
}

/// Name of the ledger in the output folder.
pub const LEDGER_FILE: &str = "sim.ledger";

/// Connections of one shard thread, about 1 KiB each while idle.
const LINKS_MAX: usize = 50_000;

/// An unbind that is not answered for so long does not hold up the end.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);

const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a closed door is looked at.
const DOOR_POLL: Duration = Duration::from_millis(5);
