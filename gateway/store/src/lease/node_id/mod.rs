//! The number of a node, which is part of every message id: two nodes with one number would give one id to two messages.
//!
//! ```text
//!   state directory: who this node is, its number, a second that no id was given beyond     (Mark; file.rs)
//!   Redis: who has which number, when it was last heard of, and that second again           (node_id.lua)
//! ```
//!
//! What keeps an id from being given twice (`docs/decisions/0042-node-ids.md`):
//! * A number is another node's until that one gave it back in order, or was silent for `quiet`. To lose contact with Redis
//!   stops nobody: who is silent goes on giving ids under its number, and nobody else takes it meanwhile.
//! * The second that is kept lies ahead of what was given out, so that it counts after a kill; whoever begins, on the same
//!   number or with a clock that was set back, begins above it.
//! * One process at a time uses a state directory, so that the same node comes back at once.

mod file;
mod redis;
#[cfg(test)]
mod tests;

use crate::RedisOptions;
use file::{Mark, MarkFile};
use redis::{Asker, Word};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How far the second that is kept lies ahead of those given out. After a restart ids begin so far ahead of the clock, which
/// catches up; a disk may stall for so long without ids going beyond what is kept.
const AHEAD_SECONDS: u64 = 20;
/// What is left of it when it is moved on.
const AHEAD_SECONDS_MIN: u64 = 12;
/// Between two looks at what was given out.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two words to Redis.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// Silence of Redis that is told in the log.
const SILENCE_TOLD: Duration = Duration::from_secs(60);

/// Which number is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// This one.
    Number(u8),
    /// Any free one; the one of last time where that is still this node's.
    Auto,
}

/// What is needed to have a number.
#[derive(Clone, Debug)]
pub struct NodeIdOptions {
    /// The state directory; made when it is missing.
    pub directory: PathBuf,
    /// Which number.
    pub wanted: Wanted,
    /// How others are told who has it: name, host and process.
    pub holder: String,
    /// A number is free after so long a silence of its holder.
    pub quiet: Duration,
    /// Where numbers are leased; nowhere for a node that is alone.
    pub redis: Option<RedisOptions>,
}

/// Why there is no number.
#[derive(Debug)]
pub enum NodeIdError {
    /// Another node has it.
    Taken {
        /// Which.
        number: u8,
        /// Who has it.
        holder: String,
        /// How long it has been silent.
        silent_for: Duration,
    },
    /// All numbers are taken.
    NoneFree,
    /// Redis could not be asked for a free one.
    Away(String),
    /// The state directory cannot be used.
    Directory(io::Error),
}

impl std::fmt::Display for NodeIdError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NodeIdError::Taken { number, holder, silent_for } => write!(
                f,
                "[node] id {number} is that of another node: {holder}, heard of {} s ago; take another one or id = \"auto\", \
                 end that node in order, or wait until it was silent for [node] id_quiet",
                silent_for.as_secs()
            ),
            NodeIdError::NoneFree => f.write_str("all 256 node ids are taken: wait for [node] id_quiet"),
            NodeIdError::Away(reason) => write!(
                f,
                "[node] id = \"auto\" and Redis cannot be asked for a free one: {reason}; give a number, or start it first"
            ),
            NodeIdError::Directory(error) => write!(f, "the state directory: {error}"),
        }
    }
}

impl std::error::Error for NodeIdError {}

/// A number that this node has.
pub struct NodeId {
    number: u8,
    /// No earlier life gave an id of a later second; 0 = none is known.
    floor: u64,
    mark: Mark,
    file: MarkFile,
    asker: Option<Asker>,
    /// Redis said that it is ours.
    is_leased: bool,
}

/// For metrics.
#[derive(Debug, Default)]
pub struct NodeIdState {
    /// Seconds since Redis last confirmed the number; 0 where there is none.
    pub silent_seconds: AtomicU64,
    /// Another node has it.
    pub is_taken: AtomicBool,
}

/// Has a number, as [`NodeIdOptions`] wants it. May block for some seconds.
///
/// # Errors
/// [`NodeIdError`].
pub fn take(options: &NodeIdOptions) -> Result<NodeId, NodeIdError> {
    let (mut file, mut mark) = MarkFile::open(&options.directory).map_err(NodeIdError::Directory)?;
    let mut asker = match &options.redis {
        Some(redis) => Some(Asker::new(redis, mark.identity, options).map_err(NodeIdError::Away)?),
        None => None,
    };
    let own = mark.number;
    let asked = asker.as_mut().map(|asker| asker.take(options.wanted, own, mark.second));
    let (number, is_leased) = match (asked, options.wanted) {
        (Some(Ok(Word::Yours { number, second })), _) => {
            mark.second = mark.second.max(second);
            (number, true)
        }
        (Some(Ok(Word::Taken { number, holder, silent_for })), _) => {
            return Err(NodeIdError::Taken { number, holder, silent_for });
        }
        (Some(Ok(Word::NoneFree)), _) => return Err(NodeIdError::NoneFree),
        (Some(Err(reason)), Wanted::Auto) => match own {
            Some(number) => {
                tracing::warn!(number, %reason, "no word from Redis: the node id of last time is used");
                (number, false)
            }
            None => return Err(NodeIdError::Away(reason)),
        },
        (Some(Err(reason)), Wanted::Number(number)) => {
            tracing::warn!(
                number,
                %reason,
                "no word from Redis: whether another node has this node id is not known yet"
            );
            (number, false)
        }
        (None, Wanted::Number(number)) => (number, false),
        (None, Wanted::Auto) => (own.unwrap_or(0), false),
    };
    mark.number = Some(number);
    file.write(&mark).map_err(NodeIdError::Directory)?;
    Ok(NodeId { number, floor: mark.second, mark, file, asker, is_leased })
}

impl NodeId {
    /// The number.
    pub fn number(&self) -> u8 {
        self.number
    }

    /// Unix time of the first second that no earlier life can have given ids of; zero where none is known.
    pub fn ids_from(&self) -> Duration {
        match self.floor {
            0 => Duration::ZERO,
            second => Duration::from_secs(second + 1),
        }
    }

    /// Keeps it: `newest` gives the newest second of which an id was given out, Unix time, 0 for none.
    ///
    /// # Errors
    /// When the second cannot be written, or the system gives no thread.
    pub fn keep(mut self, newest: impl Fn() -> u64 + Send + 'static) -> io::Result<NodeIdThread> {
        self.move_on(unix_seconds())?;
        let state = Arc::new(NodeIdState::default());
        let (end, ends) = sync_channel(1);
        let mut keeper = Keeper {
            node: self,
            newest: Box::new(newest),
            state: state.clone(),
            confirmed_at: Instant::now(),
        };
        let handle = thread::Builder::new().name("node-id".into()).spawn(move || keeper.run(&ends))?;
        Ok(NodeIdThread { end, handle, state })
    }

    /// The second that is kept lies ahead of this one.
    fn move_on(&mut self, newest: u64) -> io::Result<()> {
        let second = newest.max(unix_seconds());
        if self.mark.second < second + AHEAD_SECONDS_MIN {
            self.mark.second = second + AHEAD_SECONDS;
            self.file.write(&self.mark)?;
        }
        Ok(())
    }
}

/// The running thread.
pub struct NodeIdThread {
    end: SyncSender<bool>,
    handle: JoinHandle<()>,
    state: Arc<NodeIdState>,
}

impl NodeIdThread {
    /// For metrics.
    pub fn state(&self) -> Arc<NodeIdState> {
        self.state.clone()
    }

    /// Ends it. `in_order`: no id is given any more, so that the number is given back.
    ///
    /// # Errors
    /// When the thread panicked.
    pub fn end(self, in_order: bool) -> Result<(), String> {
        // It is gone already when it panicked, which the join tells.
        let _ = self.end.send(in_order);
        self.handle.join().map_err(|_| "the node id's thread panicked".to_string())
    }
}

struct Keeper {
    node: NodeId,
    newest: Box<dyn Fn() -> u64 + Send>,
    state: Arc<NodeIdState>,
    confirmed_at: Instant,
}

impl Keeper {
    fn run(&mut self, ends: &Receiver<bool>) {
        let first = if self.node.is_leased { RENEW_EVERY } else { Duration::ZERO };
        let mut ask_at = Instant::now() + first;
        let mut was_told = false;
        loop {
            match ends.recv_timeout(LOOK_EVERY) {
                Ok(in_order) => return self.end(in_order),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Err(error) = self.node.move_on((self.newest)()) {
                tracing::error!(%error, "the newest second of ids cannot be kept: do not set the clock back");
            }
            if Instant::now() >= ask_at {
                ask_at = Instant::now() + RENEW_EVERY;
                self.renew();
            }
            if self.node.asker.is_none() {
                continue;
            }
            let silence = self.confirmed_at.elapsed();
            self.state.silent_seconds.store(silence.as_secs(), Ordering::Relaxed);
            if silence >= SILENCE_TOLD && !was_told {
                tracing::warn!(
                    "Redis cannot confirm the node id: it stays ours until [node] id_quiet is over"
                );
            }
            was_told = silence >= SILENCE_TOLD;
        }
    }

    fn renew(&mut self) {
        let node = &mut self.node;
        let Some(asker) = &mut node.asker else { return };
        match asker.renew(node.number, node.mark.second) {
            Ok(Word::Yours { .. }) => {
                self.confirmed_at = Instant::now();
                self.state.is_taken.store(false, Ordering::Relaxed);
            }
            Ok(Word::Taken { number, holder, .. }) => {
                if !self.state.is_taken.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        number,
                        %holder,
                        "another node has this node id: both give the same message ids; restart one with another id"
                    );
                }
            }
            Ok(Word::NoneFree) => {}
            Err(reason) => tracing::debug!(%reason, "the node id was not confirmed"),
        }
    }

    /// Nothing lies ahead any more: the second that is kept is the newest one.
    fn end(&mut self, in_order: bool) {
        if !in_order {
            return;
        }
        let node = &mut self.node;
        node.mark.second = (self.newest)().max(unix_seconds()).max(node.floor);
        if let Err(error) = node.file.write(&node.mark) {
            tracing::error!(%error, "the newest second of ids cannot be kept: do not set the clock back");
        }
        if let Some(asker) = &mut node.asker
            && let Err(reason) = asker.give_back(node.number, node.mark.second)
        {
            tracing::warn!(%reason, "the node id was not given back: it is free after [node] id_quiet");
        }
    }
}

fn unix_seconds() -> u64 {
    crate::desk::unix_seconds().into()
}
