//! A new configuration on its way into the running node.
//!
//! ```text
//!   SIGHUP: file -> load, build --+
//!                                 |--> publish thread: names of new vendors -> credentials -> watch -> desks -> shards
//!   another source: Built --------+                    (within a bound)                        |
//!                                                      holds the old plan until every shard let go, then drops it
//! ```
//!
//! The newest wins: what was not yet taken when another one comes is never published. No shard waits for anything here, and
//! none pays for the end of the old plan.

use crate::auth::Authenticator;
use crate::cdr::Names;
use crate::config::{self, Built, Config, Mistake, Place};
use crate::names::NamesThread;
use crate::source::{Origin, Standing, StandingView, Version};
use arc_swap::ArcSwap;
use shard::limits::MemoryBound;
use shard::{NodePool, Plan};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::watch;

/// How long a publication waits for the names of new vendors: most answers take milliseconds, and a vendor whose name is
/// slower gets its addresses later, as one whose name is unknown at the start.
const LOOK_UP_MAX: Duration = Duration::from_millis(500);
/// How often it is looked whether shards still hold an old plan: some milliseconds after its end is soon enough.
const RETIRE_EVERY: Duration = Duration::from_millis(100);

/// What is known of the configuration in force; for metrics.
#[derive(Debug, Default)]
pub struct ConfigState {
    /// Its version.
    pub version: AtomicU64,
    /// Configurations published since the start, the first one not counted.
    pub published: AtomicU64,
    /// Settings that differ from what runs and only take effect with a restart.
    pub needs_restart: AtomicU64,
    /// The most memory that it lets the node take.
    pub memory: ArcSwap<MemoryBound>,
}

impl ConfigState {
    /// That of the start.
    pub fn new(version: u64, memory: MemoryBound) -> ConfigState {
        ConfigState {
            version: version.into(),
            memory: ArcSwap::from_pointee(memory),
            ..ConfigState::default()
        }
    }
}

/// What the publisher's thread is built from.
pub struct PublishOptions {
    /// What the shards were started with.
    pub plan: Arc<Plan>,
    /// Gets the first tokens of new limits before shards ask for them.
    pub pool: Arc<NodePool>,
    /// Whether a spool runs; without one no customer can be in store and forward.
    pub has_spool: bool,
    /// Shards of the node.
    pub shards: u64,
    /// Customers' links that the node may hold.
    pub links_max: u32,
    /// Gets the credentials.
    pub authenticator: Authenticator,
    /// Looks up vendors' hosts.
    pub names: NamesThread,
    /// The names that records are written with.
    pub record_names: Names,
    /// The file to read again when asked, and what of it runs.
    pub file: Option<(PathBuf, Config)>,
    /// Shown in metrics.
    pub state: Arc<ConfigState>,
    /// Which configuration is in force; kept here where it comes from a file.
    pub standing: StandingView,
}

/// Publishes configurations to a running node. Clones are the same publisher; its thread ends with the last of them.
#[derive(Clone)]
pub struct Publisher(Arc<Handle>);

struct Handle(Arc<Shared>);

struct Shared {
    next: Mutex<Next>,
    /// Rung when `next` has something.
    bell: Condvar,
    published: watch::Sender<Published>,
}

/// What is to be done next. Each is one thing, however often it was asked for.
#[derive(Default)]
struct Next {
    built: Option<Built>,
    reload: bool,
    ended: bool,
}

/// The newest plan, as the desks take it.
#[derive(Clone, Default)]
pub(crate) struct Published {
    /// Grows with every publication; the one that shards were started with has 0. The credentials of the same
    /// publication carry the same number.
    pub(crate) generation: u64,
    /// None until something was published.
    pub(crate) plan: Option<Arc<Plan>>,
}

impl Publisher {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn start(options: PublishOptions) -> io::Result<Publisher> {
        let (published, _) = watch::channel(Published::default());
        let shared = Arc::new(Shared { next: Mutex::default(), bell: Condvar::new(), published });
        let worker = Worker { shared: shared.clone(), generation: 0, retired: Vec::new(), options };
        thread::Builder::new().name("publish".into()).spawn(move || worker.run())?;
        Ok(Publisher(Arc::new(Handle(shared))))
    }

    /// Has this configuration put into force, soon. Waits for nothing. What of it needs a restart must be as it runs;
    /// see [`config::keep_fixed`].
    pub fn publish(&self, built: Built) {
        self.0.0.lock().built = Some(built);
        self.0.0.bell.notify_one();
    }

    /// Has the file read again. Mistakes are logged, and change nothing.
    pub fn reload(&self) {
        self.0.0.lock().reload = true;
        self.0.0.bell.notify_one();
    }

    /// The newest plan that was published; none before the first.
    pub(crate) fn newest_plan(&self) -> Option<Arc<Plan>> {
        self.0.0.published.borrow().plan.clone()
    }

    /// The newest plan, for a desk.
    pub(crate) fn plans(&self) -> watch::Receiver<Published> {
        self.0.0.published.subscribe()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.bell.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Next> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was asked for by now; waits for it, for so long at most where there is a bound.
    fn wait(&self, bound: Option<Duration>) -> Next {
        let mut next = self.lock();
        let is_idle = |next: &mut Next| next.built.is_none() && !next.reload && !next.ended;
        next = match bound {
            None => self.bell.wait_while(next, is_idle).unwrap_or_else(PoisonError::into_inner),
            Some(bound) => {
                let waited = self.bell.wait_timeout_while(next, bound, is_idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        std::mem::take(&mut *next)
    }
}

struct Worker {
    shared: Arc<Shared>,
    generation: u64,
    /// Old plans that a shard may still hold.
    retired: Vec<Arc<Plan>>,
    options: PublishOptions,
}

impl Worker {
    fn run(mut self) {
        loop {
            let bound = (!self.retired.is_empty()).then_some(RETIRE_EVERY);
            let next = self.shared.wait(bound);
            if next.ended {
                return;
            }
            if let Some(built) = next.built {
                self.put(built);
            }
            if next.reload {
                self.reload();
            }
            // Nobody makes new holders of an old plan: one that only we hold ends here, not on a shard.
            self.retired.retain(|plan| Arc::strong_count(plan) > 1);
        }
    }

    /// Puts a configuration into force.
    fn put(&mut self, built: Built) {
        let memory = crate::memory::bound_of(&built, self.options.links_max, self.options.shards);
        let Built { plan, guests, names, spool, warnings, .. } = built;
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        if spool.is_some() && !self.options.has_spool {
            tracing::warn!("needs a restart: customers in mode store_and_forward are refused until then");
        }
        self.generation += 1;
        self.options.names.follow(names, LOOK_UP_MAX);
        let left_out = self.options.pool.prime(plan.snapshot.limit_table().specs());
        if left_out > 0 {
            tracing::error!(left_out, "limits without room are not kept: restart the node");
        }
        self.options.record_names.follow(&plan.snapshot);
        self.options.authenticator.replace(guests, self.generation);
        let published = Published { generation: self.generation, plan: Some(plan.clone()) };
        self.shared.published.send_replace(published);
        let state = &self.options.state;
        let version = plan.snapshot.version();
        state.memory.store(Arc::new(memory));
        state.version.store(version, Ordering::Relaxed);
        state.published.fetch_add(1, Ordering::Relaxed);
        let (customers, vendors) =
            (plan.customers.len(), plan.vendors.iter().filter(|vendor| !vendor.are_beside()).count());
        tracing::info!(version, customers, vendors, "configuration published");
        self.retired.push(std::mem::replace(&mut self.options.plan, plan));
    }

    fn reload(&mut self) {
        let Some((path, running)) = &self.options.file else {
            return tracing::warn!("the configuration does not come from a file: nothing to read again");
        };
        tracing::info!(file = %path.display(), "reading the configuration again");
        match read_again(path, running) {
            Ok((config, built, differing)) => {
                for setting in &differing {
                    tracing::warn!("needs a restart: {setting}");
                }
                self.options.state.needs_restart.store(differing.len() as u64, Ordering::Relaxed);
                Standing::change(&self.options.standing, |standing| {
                    standing.take(Version::of_file(config.version), Origin::File)
                });
                if let Some((_, running)) = &mut self.options.file {
                    *running = config;
                }
                self.put(built);
            }
            Err(mistakes) => {
                let version = Version::of_file(running.version + 1);
                Standing::change(&self.options.standing, |standing| {
                    standing.rejection = None; // each try counts
                    standing.reject(version, mistakes.clone());
                });
                mistakes.iter().for_each(|mistake| tracing::error!("{mistake}"));
                tracing::error!(
                    mistakes = mistakes.len(),
                    "the configuration is wrong: the old one stays in force"
                );
            }
        }
    }
}

/// The file as it is now, what it amounts to, and which of its settings need a restart; those are as they run.
fn read_again(
    path: &std::path::Path,
    running: &Config,
) -> Result<(Config, Built, Vec<String>), Vec<Mistake>> {
    let mut config = config::load(path)?;
    if config.source.kind != running.source.kind {
        let (what, remedy) = ("[source] kind is another", "restart the node, or put it back");
        return Err(vec![Mistake { place: Place::Default, what: what.into(), remedy: remedy.into() }]);
    }
    let differing = config::keep_fixed(&mut config, running);
    config.version = running.version + 1;
    let built = config::build(&config)?;
    Ok((config, built, differing))
}
