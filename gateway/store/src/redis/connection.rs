//! The connection to Redis: made again and again with growing pauses, never waited for. All of it runs on the store's
//! thread, whenever that waits or asks.

use super::scripts::SCRIPTS;
use bytes::Bytes;
use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use fred::types::config::Config;
use fred::types::{Builder, ClusterHash, CustomCommand, RespVersion, Value};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How long one round trip may take, below what the relay waits for the store (`Limits::store_wait_max`, 2 s) even
/// when a turn needs two.
const ROUND_TRIP_MAX: Duration = Duration::from_millis(800);
/// How long a connection may take to be usable: name, TCP, TLS, password, scripts.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// First pause before the next attempt; doubled up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// Longest pause before the next attempt.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Accounts in hints that were not handed on yet; more, and everybody shall ask.
const HINTS_MAX: usize = 65_536;
/// Octets of a node's tag at the head of its hints.
pub(super) const TAG: usize = 8;

/// A command with its arguments; the name is fixed.
pub(super) struct Request {
    pub(super) command: &'static str,
    pub(super) arguments: Vec<Value>,
}

/// What became of a round trip.
pub(super) type Replies = Vec<Result<Value, Error>>;

/// What other nodes said.
#[derive(Default)]
pub(super) struct Hints {
    pub(super) accounts: BTreeSet<u128>,
    /// Some were missed.
    pub(super) missed: bool,
}

/// See the module.
pub(super) struct Connection {
    runtime: tokio::runtime::Runtime,
    config: Config,
    place: String,
    channel: Bytes,
    /// Names of an older version, none of which may be there.
    older: Vec<Bytes>,
    tag: [u8; TAG],
    state: State,
    /// Why the last attempt ended: an older version's entries are there.
    has_older: bool,
    pause: Duration,
    /// That it refuses a command was said since it came up.
    refusal_said: bool,
    /// When it was lost, for the log.
    away_since: Option<Instant>,
    notify: Arc<Notify>,
    hints: Arc<Mutex<Hints>>,
}

enum State {
    Up(Up),
    Trying(JoinHandle<Result<Up, Error>>),
    Pausing(Instant),
}

struct Up {
    client: Client,
    router: JoinHandle<Result<(), Error>>,
    listener: JoinHandle<()>,
    scripts: Vec<Value>,
}

impl Drop for Up {
    fn drop(&mut self) {
        self.router.abort();
        self.listener.abort();
    }
}

impl Connection {
    /// Checks the address; connects with the first [`Connection::drive`].
    pub(super) fn new(
        url: &str,
        channel: Bytes,
        older: Vec<Bytes>,
        tag: [u8; TAG],
    ) -> Result<Connection, String> {
        let mut config = parse(url)?;
        config.version = RespVersion::RESP3; // hints and replies then share one connection
        let place = config.server.hosts().first().map(ToString::to_string).unwrap_or_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Connection {
            runtime: runtime.map_err(|error| error.to_string())?,
            config,
            place,
            channel,
            older,
            tag,
            has_older: false,
            state: State::Pausing(Instant::now()),
            pause: PAUSE_MIN,
            refusal_said: false,
            away_since: None,
            notify: Arc::new(Notify::new()),
            hints: Arc::default(),
        })
    }

    /// Host and port, for logs.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Ends [`Connection::wait`].
    pub(super) fn waker(&self) -> Waker {
        Waker::from(Arc::new(NotifyWaker(self.notify.clone())))
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    /// Waits for the waker, a hint or the time, while the connection does its work.
    pub(super) fn wait(&mut self, time: Duration) {
        let notify = self.notify.clone();
        self.runtime.block_on(async {
            let _ = tokio::time::timeout(time, notify.notified()).await;
        });
    }

    /// Goes on with connecting, without waiting. True when the connection has just come up.
    pub(super) fn drive(&mut self) -> bool {
        match &mut self.state {
            State::Up(up) => {
                if up.router.is_finished() {
                    self.lose("the connection was closed");
                }
            }
            State::Pausing(until) if *until <= Instant::now() => {
                let (config, channel, tag) = (self.config.clone(), self.channel.clone(), self.tag);
                let older = self.older.clone();
                let (hints, notify) = (self.hints.clone(), self.notify.clone());
                let attempt = async move {
                    let result = connect(config, channel, older, tag, hints, notify.clone()).await;
                    notify.notify_one();
                    result
                };
                self.state = State::Trying(self.runtime.spawn(attempt));
            }
            State::Pausing(_) => {}
            State::Trying(attempt) => {
                if !attempt.is_finished() {
                    self.runtime.block_on(tokio::task::yield_now());
                    return false;
                }
                match self.runtime.block_on(attempt) {
                    Ok(Ok(up)) => return self.came_up(up),
                    Ok(Err(error)) => {
                        self.has_older = *error.kind() == ErrorKind::InvalidArgument;
                        self.lose(error.details());
                    }
                    Err(_) => self.lose("the attempt to connect panicked"),
                }
            }
        }
        false
    }

    /// Whether it was refused because an older version's entries are there.
    pub(super) fn has_older(&self) -> bool {
        self.has_older
    }

    /// What other nodes said since the last time.
    pub(super) fn take_hints(&mut self) -> Hints {
        self.hints.lock().map(|mut hints| std::mem::take(&mut *hints)).unwrap_or_default()
    }

    /// The hash of a script.
    pub(super) fn script(&self, script: super::scripts::Script) -> Value {
        match &self.state {
            State::Up(up) => up.scripts[script as usize].clone(),
            _ => Value::Null,
        }
    }

    /// One round trip; nothing when there was none within its time. Then the connection is given up, so that nothing
    /// of it can come late.
    pub(super) fn round_trip(&mut self, requests: Vec<Request>) -> Option<Replies> {
        let State::Up(up) = &self.state else { return None };
        let client = &up.client;
        let replies = self.runtime.block_on(async {
            let pipeline = client.pipeline();
            for request in requests {
                let command = CustomCommand::new_static(request.command, ClusterHash::FirstKey, false);
                pipeline.custom::<Value, _>(command, request.arguments).await?;
            }
            Ok::<_, Error>(tokio::time::timeout(ROUND_TRIP_MAX, pipeline.try_all::<Value>()).await)
        });
        match replies {
            Ok(Ok(replies)) => {
                let lost =
                    replies.iter().find_map(|reply| reply.as_ref().err().filter(|error| is_loss(error)));
                if let Some(error) = lost {
                    let reason = error.details().to_owned();
                    self.lose(&reason);
                } else if let Some(Err(error)) = replies.iter().find(|reply| reply.is_err())
                    && !self.refusal_said
                {
                    self.refusal_said = true;
                    tracing::error!(place = %self.place, reason = error.details(), "Redis refuses a command");
                }
                Some(replies)
            }
            Ok(Err(_)) => {
                self.lose("no answer in time");
                None
            }
            Err(error) => {
                self.lose(error.details());
                None
            }
        }
    }

    fn came_up(&mut self, up: Up) -> bool {
        let away = self.away_since.take().map_or(Duration::ZERO, |since| since.elapsed());
        tracing::info!(place = %self.place, ?away, "connected to Redis");
        self.state = State::Up(up);
        self.pause = PAUSE_MIN;
        self.refusal_said = false;
        true
    }

    fn lose(&mut self, reason: &str) {
        if self.away_since.is_none() {
            self.away_since = Some(Instant::now());
            tracing::warn!(place = %self.place, reason, "Redis is away: correlations are kept in memory until it is back");
        }
        self.state = State::Pausing(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }
}

/// An address; the reason names no part of it that may be secret.
pub(crate) fn parse(url: &str) -> Result<Config, String> {
    if !url.starts_with("redis://") && !url.starts_with("rediss://") {
        return Err("it begins with neither redis:// nor rediss://".into());
    }
    Config::from_url_centralized(url).map_err(|error| error.details().to_owned())
}

/// Whether an error says that the connection, or what is behind it, is of no use. Others speak of one command: a write
/// without memory for it, say.
pub(super) fn is_loss(error: &Error) -> bool {
    let refused = ["OOM", "MISCONF", "NOREPLICAS", "ERR", "WRONGTYPE", "NOPERM"];
    !matches!(error.kind(), ErrorKind::NotFound)
        && !refused.iter().any(|word| error.details().starts_with(word))
}

async fn connect(
    config: Config,
    channel: Bytes,
    older: Vec<Bytes>,
    tag: [u8; TAG],
    hints: Arc<Mutex<Hints>>,
    notify: Arc<Notify>,
) -> Result<Up, Error> {
    let mut builder = Builder::from_config(config);
    builder.with_connection_config(|connection| {
        connection.connection_timeout = CONNECT_MAX;
        connection.internal_command_timeout = CONNECT_MAX;
        connection.max_command_attempts = 1;
        connection.tcp.nodelay = Some(true);
    });
    let client = builder.build()?;
    let mut messages = client.message_rx();
    let router = client.connect();
    let listener = tokio::spawn(async move {
        use tokio::sync::broadcast::error::RecvError;
        loop {
            let message = match messages.recv().await {
                Ok(message) => message.value.into_bytes(),
                Err(RecvError::Lagged(_)) => None,
                Err(RecvError::Closed) => return,
            };
            if message.as_deref().is_some_and(|message| message.starts_with(&tag)) {
                continue; // our own
            }
            if let Ok(mut hints) = hints.lock() {
                note(&mut hints, message.as_deref());
            }
            notify.notify_one();
        }
    });
    let mut up = Up { client, router, listener, scripts: Vec::new() };
    let ready = async {
        up.client.wait_for_connect().await?;
        let exists = CustomCommand::new_static("EXISTS", ClusterHash::FirstKey, false);
        let found: u64 = up.client.custom(exists, older.into_iter().map(Value::from).collect()).await?;
        if found > 0 {
            return Err(Error::new(ErrorKind::InvalidArgument, "it holds entries of an older version"));
        }
        for script in SCRIPTS {
            let load = CustomCommand::new_static("SCRIPT", ClusterHash::Random, false);
            let hash: Value = up.client.custom(load, vec![Value::from("LOAD"), Value::from(script)]).await?;
            up.scripts.push(hash);
        }
        up.client.subscribe(String::from_utf8_lossy(&channel).into_owned()).await
    };
    match tokio::time::timeout(CONNECT_MAX, ready).await {
        Ok(ready) => ready.map(|()| up),
        Err(_) => Err(Error::new(ErrorKind::Timeout, "no answer in time")),
    }
}

/// Takes a hint in; nothing stands for hints that were missed.
fn note(hints: &mut Hints, message: Option<&[u8]>) {
    match message.and_then(|message| message.get(TAG..)) {
        Some(accounts) if hints.accounts.len() < HINTS_MAX => {
            let (accounts, _) = accounts.as_chunks::<16>();
            hints.accounts.extend(accounts.iter().map(|account| u128::from_be_bytes(*account)));
        }
        _ => hints.missed = true,
    }
}

struct NotifyWaker(Arc<Notify>);

impl Wake for NotifyWaker {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.notify_one();
    }
}
