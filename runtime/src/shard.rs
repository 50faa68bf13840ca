//! The thread under an executor: named, placed, its start and its end reported.

use std::sync::mpsc;
use std::{fmt, io, thread};

use crate::cores::pin_this_thread;
use crate::panics;

/// Where a shard's thread runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// On this core only; take it from [`allowed_cores`](crate::allowed_cores).
    Core(usize),
    /// Wherever the kernel puts it: for tests, and for machines shared with other work.
    Floating,
}

impl Placement {
    /// Places the calling thread.
    pub(crate) fn apply(self) -> io::Result<()> {
        match self {
            Self::Core(core) => pin_this_thread(core),
            Self::Floating => Ok(()),
        }
    }
}

/// A running shard. Dropping it leaves the shard running.
#[derive(Debug)]
pub struct ShardThread {
    name: String,
    handle: thread::JoinHandle<Result<(), String>>,
}

/// The main future of a shard panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardPanic {
    /// Name of the shard's thread.
    pub name: String,
    /// The text of the panic.
    pub message: String,
}

impl fmt::Display for ShardPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {} panicked: {}", self.name, self.message)
    }
}

impl std::error::Error for ShardPanic {}

impl ShardThread {
    /// Waits until the shard's main future has returned and its thread is gone.
    pub fn join(self) -> Result<(), ShardPanic> {
        let Self { name, handle } = self;
        match handle.join() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(message)) => Err(ShardPanic { name, message }),
            Err(payload) => Err(ShardPanic { message: panics::message(&*payload).to_owned(), name }),
        }
    }

    /// Name of the thread.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// True when the thread has ended, so that `join` would not wait.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }
}

/// How a new thread tells its maker that it stands.
pub(crate) struct Started(mpsc::SyncSender<io::Result<()>>);

impl Started {
    /// Reports how the start went; the maker waits for this.
    pub(crate) fn report(self, result: io::Result<()>) {
        // The maker waits, so it can only be gone when it was killed with the process.
        let _ = self.0.send(result);
    }
}

/// Starts a thread for `body`, which must report its start and then return the text of a panic, if there was one.
pub(crate) fn start(
    name: &str,
    body: impl FnOnce(Started) -> Result<(), String> + Send + 'static,
) -> io::Result<ShardThread> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let handle = thread::Builder::new().name(name.to_owned()).spawn(move || body(Started(sender)))?;
    let shard = ShardThread { name: name.to_owned(), handle };
    match receiver.recv() {
        Ok(Ok(())) => Ok(shard),
        Ok(Err(error)) => {
            let _ = shard.join();
            Err(error)
        }
        Err(mpsc::RecvError) => Err(match shard.join() {
            Ok(()) => io::Error::other("the shard's thread ended before it stood"),
            Err(panic) => io::Error::other(panic.to_string()),
        }),
    }
}
