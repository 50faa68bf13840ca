//! Tokens of limits for this node: leased from Redis where nodes share one, and the counts of days kept in a file where
//! this node is alone. One plain thread, which nobody waits for: shards see what it brought in the node's pool.
//!
//! What to ask, and what to do without an answer, is decided in `relay` (`Leases`), where it is tested on a virtual
//! clock; here it is carried out. `docs/decisions/0019-limits.md` has the reasons.

mod file;
mod redis;
#[cfg(test)]
mod tests;

use crate::RedisOptions;
use arc_swap::ArcSwap;
use file::DayFile;
use redis::RatesRedis;
use relay::{Answer, Ask, LeaseCounters, Leases, TokenBook, pacific_day};
use smpp::time::Instant;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Least time between two exchanges: more of them would bring no more tokens.
const PERIOD: Duration = Duration::from_millis(10);
/// Most time between two exchanges, a quarter of a lease's life: so soon it is known that Redis is away.
const CONTACT_EVERY: Duration = Duration::from_millis(50);

/// Who keeps the tokens of all nodes.
#[derive(Clone, Debug)]
pub struct RatesOptions {
    /// Redis, and this node's number there; none where this node is alone.
    pub redis: Option<(RedisOptions, u8)>,
    /// Where a node that is alone keeps the counts of days.
    pub directory: PathBuf,
}

/// What the thread did and how it stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct RatesReport {
    /// Counts.
    pub counters: LeaseCounters,
    /// How old the newest lease is; zero where none are needed.
    pub lease_age: Duration,
}

/// The node's tokens, as the thread gets at them.
pub type SharedBook = Arc<dyn TokenBook + Send + Sync>;

/// See the module.
#[derive(Debug)]
pub struct RatesThread {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
    report: Arc<ArcSwap<RatesReport>>,
}

/// Starts the thread.
///
/// # Errors
/// An address that is none, a directory that cannot be written, no thread.
pub fn start(options: &RatesOptions, book: SharedBook) -> io::Result<RatesThread> {
    let keeper = match &options.redis {
        Some((redis, node)) => Keeper::Redis(RatesRedis::new(redis, *node).map_err(io::Error::other)?),
        None => Keeper::File(DayFile::open(&options.directory)?),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let report = Arc::new(ArcSwap::from_pointee(RatesReport::default()));
    let running = Running { keeper, book, stop: stop.clone(), report: report.clone() };
    let thread = std::thread::Builder::new().name("limits".into()).spawn(move || running.run())?;
    Ok(RatesThread { thread, stop, report })
}

impl RatesThread {
    /// Where it shows what it did.
    pub fn report(&self) -> Arc<ArcSwap<RatesReport>> {
        self.report.clone()
    }

    /// Ends it, once it has given back what it holds of days.
    ///
    /// # Errors
    /// When it panicked.
    pub fn end(self) -> Result<(), String> {
        self.stop.store(true, Ordering::Release);
        self.thread.join().map_err(|_| "the thread of limits panicked".to_owned())
    }
}

/// Who grants.
enum Keeper {
    Redis(RatesRedis),
    File(DayFile),
}

impl Keeper {
    /// Asks, in one exchange. Nothing when there is no answer.
    fn ask(&mut self, asks: &[Ask]) -> Option<Vec<Answer>> {
        match self {
            Self::Redis(redis) => redis.ask(asks),
            Self::File(file) => file.ask(asks),
        }
    }

    /// Goes on with connecting; whether it can be asked.
    fn is_up(&mut self) -> bool {
        match self {
            Self::Redis(redis) => redis.drive(),
            Self::File(_) => true,
        }
    }

    fn wait(&mut self, time: Duration) {
        match self {
            Self::Redis(redis) => redis.wait(time),
            Self::File(_) => std::thread::sleep(time),
        }
    }
}

struct Running {
    keeper: Keeper,
    book: SharedBook,
    stop: Arc<AtomicBool>,
    report: Arc<ArcSwap<RatesReport>>,
}

impl Running {
    fn run(mut self) {
        let mut leases = Leases::new(now(), &*self.book);
        let mut asks = Vec::new();
        let mut contact_at = now();
        let is_leased = self.book.holders().nodes > 0;
        while !self.stop.load(Ordering::Acquire) {
            let began = now();
            leases.look(began, today(), &*self.book);
            if self.keeper.is_up() {
                leases.asks(began, &*self.book, &mut asks);
                if !asks.is_empty() || (is_leased && began >= contact_at) {
                    contact_at = began + CONTACT_EVERY;
                    self.exchange(&mut leases, &mut asks);
                }
            }
            let lease_age = if is_leased { leases.age(now()) } else { Duration::ZERO };
            self.report.store(Arc::new(RatesReport { counters: leases.counters(), lease_age }));
            self.keeper.wait(PERIOD.saturating_sub(now().saturating_since(began)).max(PERIOD / 10));
        }
        leases.look(now(), today(), &*self.book);
        leases.give_back_days(&*self.book, &mut asks);
        if !asks.is_empty() && self.keeper.is_up() {
            self.exchange(&mut leases, &mut asks);
        }
    }

    fn exchange(&mut self, leases: &mut Leases, asks: &mut Vec<Ask>) {
        let sent_at = now();
        match self.keeper.ask(asks) {
            Some(answers) => leases.answered(sent_at, asks, &answers, &*self.book),
            None => leases.failed(asks),
        }
        asks.clear();
    }
}

/// The clock that shards have too.
fn now() -> Instant {
    Instant::from_nanos(runtime::monotonic_nanos())
}

fn today() -> u32 {
    pacific_day(std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()))
}
