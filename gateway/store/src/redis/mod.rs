//! The store that several nodes share: Redis. `layout.rs` says what lies there, `docs/decisions/0011-redis-store.md` why.
//!
//! A turn is one pipeline: what all shards have asked goes out together and comes back together. A second one follows
//! only for look-ups that found nothing in today's hashes. Answers are written down as `Away` first and corrected as
//! replies come, so that whatever fails is answered rightly.
//!
//! While Redis is away correlations go into a bounded ring in memory, are found there by look-ups of this node, and are
//! flushed before anything new once it is back. Everything else is answered `Away` at once.

mod clock;
mod connection;
mod early;
mod info;
mod layout;
mod lent;
mod ring;
mod scripts;
mod sweep;
mod turn;

#[cfg(test)]
mod tests;

pub(crate) use connection::parse as parse_address;
pub(crate) use ring::RING_ENTRY_OCTETS;

use crate::{OpenError, StoreCounters, StoreOptions};
use connection::{Connection, TAG};
use layout::Layout;
use lent::Lent;
use relay::{AccountId, StoreAnswer};
use ring::Ring;
use std::collections::{BTreeMap, HashSet};
use std::task::Waker;
use std::time::{Duration, Instant};

/// Of the ring's places, so many eighths may be used before receipts are refused; the rest is for messages that are in
/// flight then.
const RING_EIGHTHS: usize = 7;
/// Accounts that are looked at again because a node that is silent may hold deliveries of theirs; one more is looked
/// at when its customer binds. About 50 octets each.
const CHECKS_MAX: usize = 65_536;

/// What to do with submits that want a receipt while correlations cannot be kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WhenFull {
    /// Refuse them.
    #[default]
    Refuse,
    /// Accept them; their receipts are lost, and counted.
    Accept,
}

/// Where Redis is and how it is used.
#[derive(Clone)]
pub struct RedisOptions {
    /// `redis://` or `rediss://`, with the password in it.
    pub url: String,
    /// Begins every name, so that several gateways can share one Redis.
    pub key_prefix: String,
    /// Correlations kept in memory while Redis is away, about 240 octets each.
    pub ring_max: usize,
    /// What happens when that is full.
    pub when_full: WhenFull,
    /// A node that has held a parked delivery for so long without a word about it is taken for dead. Longer than a
    /// customer may take to answer: what is taken back from a living node is delivered twice.
    pub reclaim_after: Duration,
}

impl RedisOptions {
    /// The defaults at an address.
    pub fn new(url: &str) -> RedisOptions {
        RedisOptions {
            url: url.into(),
            key_prefix: "gw:".into(),
            ring_max: 500_000,
            when_full: WhenFull::Refuse,
            reclaim_after: Duration::from_secs(60),
        }
    }

    /// Whether the address is one.
    ///
    /// # Errors
    /// What is wrong with it, without its secrets.
    pub fn check(&self) -> Result<(), String> {
        connection::parse(&self.url).map(|_| ())
    }
}

impl std::fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisOptions")
            .field("key_prefix", &self.key_prefix)
            .field("ring_max", &self.ring_max)
            .field("when_full", &self.when_full)
            .finish_non_exhaustive() // the address may hold a password
    }
}

/// What to do where an older version's entries are.
pub(crate) fn older_advice(prefix: &str) -> String {
    format!(
        "it holds entries of an older version under \"{prefix}\", which knew customers by a hash; let nodes of that version run until nothing is parked and open messages have their receipts, then remove what is left, or give [redis] key_prefix another value: receipts of what is open then become orphans"
    )
}

/// A word of the store's own, for every shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Word {
    ParkedFor(AccountId),
    AskAgain,
    Room(bool),
}

impl Word {
    pub(crate) fn answer(self) -> StoreAnswer {
        match self {
            Word::ParkedFor(account) => StoreAnswer::ParkedFor { account },
            Word::AskAgain => StoreAnswer::AskAgain,
            Word::Room(receipts) => StoreAnswer::Room { receipts },
        }
    }
}

/// See the module.
pub struct Redis {
    connection: Connection,
    clock: clock::ServerClock,
    layout: Layout,
    limits: StoreOptions,
    options: RedisOptions,
    /// Names this life of this node in the streams' groups.
    consumer: String,
    tag: [u8; TAG],
    ring: Ring,
    lent: Lent,
    /// Days that this node has entered since it connected.
    days: HashSet<(u128, u16)>,
    /// Redis had no memory for a correlation: the ring is not flushed before.
    flush_after: Instant,
    /// When to look again for what other nodes hold.
    checks: BTreeMap<u128, Instant>,
    /// Redis is there, and refused the last write.
    writes_fail: bool,
    /// Said to the shards.
    room: bool,
    words: Vec<Word>,
    /// Early receipts whose message was found: of this turn, and those of turns that lost Redis on the way. While Redis is
    /// away no turn finds any, so there are no more than one turn finds.
    served: Vec<early::Served>,
    sweep: sweep::Sweep,
    counters: StoreCounters,
}

impl Redis {
    /// Starts to connect. That Redis is away is no error.
    pub(crate) fn open(limits: &StoreOptions, options: &RedisOptions) -> Result<Redis, OpenError> {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos() as u64;
        let tag = (now ^ u64::from(std::process::id()) << 40).to_be_bytes();
        let layout = Layout::new(&options.key_prefix);
        let connection = Connection::new(&options.url, layout.name("hints"), layout.older(), tag)
            .map_err(OpenError::Address)?;
        let mut redis = Redis {
            connection,
            clock: clock::ServerClock::default(),
            layout,
            limits: limits.clone(),
            options: options.clone(),
            consumer: format!("n{:016x}", u64::from_be_bytes(tag)),
            tag,
            ring: Ring::new(options.ring_max),
            lent: Lent::default(),
            days: HashSet::new(),
            flush_after: Instant::now(),
            checks: BTreeMap::new(),
            writes_fail: false,
            room: true,
            words: Vec::new(),
            served: Vec::new(),
            sweep: sweep::Sweep::default(),
            counters: StoreCounters::default(),
        };
        redis.settle();
        if redis.connection.has_older() {
            return Err(OpenError::OlderRedis(redis.place().into(), redis.options.key_prefix));
        }
        Ok(redis)
    }

    /// Waits a moment for the first connection, so that a node that starts beside a Redis that works starts with it.
    fn settle(&mut self) {
        const SETTLE_MAX: Duration = Duration::from_millis(500);
        let until = Instant::now() + SETTLE_MAX;
        while !self.connection.is_up() && !self.connection.has_older() && Instant::now() < until {
            self.poll();
            self.connection.wait(Duration::from_millis(5));
        }
    }

    /// Host and port.
    pub(crate) fn place(&self) -> &str {
        self.connection.place()
    }

    /// See [`Connection::waker`].
    pub(crate) fn waker(&self) -> Waker {
        self.connection.waker()
    }

    /// See [`Connection::wait`].
    pub(crate) fn wait(&mut self, time: Duration) {
        self.connection.wait(time);
    }

    /// Goes on with whatever is not asked by shards.
    pub(crate) fn poll(&mut self) {
        if self.connection.drive() {
            self.counters.reconnects += 1;
            // Without an answer the time of before, or its own, is gone by for a minute.
            self.ask_time(crate::desk::unix_seconds());
            self.days.clear(); // it may have come back empty
            self.flush_after = Instant::now();
            self.words.push(Word::AskAgain);
        }
        let hints = self.connection.take_hints();
        if hints.missed {
            self.words.push(Word::AskAgain);
        }
        self.counters.hints += hints.accounts.len() as u64;
        self.words.extend(hints.accounts.into_iter().map(|account| Word::ParkedFor(AccountId(account))));
        self.look_again();
        self.say_room();
        if self.connection.is_up() && self.ring.len() > 0 && Instant::now() >= self.flush_after {
            self.turn(crate::desk::unix_seconds(), &mut []);
        }
        self.serve_early(false);
    }

    /// Goes by the clock of Redis, as outside of tests; `own` is what this node's says.
    #[cfg(test)]
    pub(crate) fn goes_by_itself(&mut self, own: u32) {
        self.clock.is_asked = true;
        self.ask_time(own).expect("Redis is there");
    }

    /// What every shard shall hear.
    pub(crate) fn take_words(&mut self) -> Vec<Word> {
        std::mem::take(&mut self.words)
    }

    /// Flushes what it can before the end.
    pub(crate) fn finish(&mut self) {
        const LAST_WAIT: Duration = Duration::from_secs(2);
        let until = Instant::now() + LAST_WAIT;
        while (self.ring.len() > 0 || self.lent.is_owing() || !self.served.is_empty())
            && Instant::now() < until
        {
            self.poll();
            self.turn(crate::desk::unix_seconds(), &mut []);
            self.connection.wait(Duration::from_millis(5));
        }
        if self.ring.keeps() > 0 {
            tracing::error!(
                correlations = self.ring.keeps(),
                "Redis is away at the end: these receipts become orphans"
            );
        }
    }

    pub(crate) fn counters(&self) -> StoreCounters {
        StoreCounters {
            away: u64::from(!self.connection.is_up() || self.writes_fail),
            redis_evicts: u64::from(self.connection.traits().evicts),
            redis_forgets: u64::from(self.connection.traits().forgets),
            clock_apart: self.clock.apart(),
            ring: self.ring.len() as u64,
            lent: self.lent.len() as u64,
            ..self.counters
        }
    }

    /// Accounts whose deliveries may be with a node that is gone are asked for again.
    fn look_again(&mut self) {
        let now = Instant::now();
        let due: Vec<u128> =
            self.checks.iter().filter(|(_, at)| **at <= now).map(|(account, _)| *account).collect();
        for account in due {
            self.checks.remove(&account);
            self.words.push(Word::ParkedFor(AccountId(account)));
        }
    }

    fn check_later(&mut self, account: u128) {
        if self.checks.len() < CHECKS_MAX {
            self.checks.entry(account).or_insert(Instant::now() + self.options.reclaim_after);
        }
    }

    /// Says when the ring is nearly full, and when it is half empty again.
    fn say_room(&mut self) {
        let (places, max) = (self.ring.places(), self.options.ring_max);
        let room = if self.room { places < max / 8 * RING_EIGHTHS } else { places <= max / 2 };
        if self.options.when_full == WhenFull::Refuse && room != self.room {
            self.room = room;
            self.words.push(Word::Room(room));
            if room {
                tracing::info!("correlations can be kept again");
            } else {
                tracing::warn!(
                    max,
                    "the ring is full: submits that want a receipt are refused until Redis is back"
                );
            }
        }
    }
}
