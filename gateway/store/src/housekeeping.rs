//! Keeps the library's work aside from stalling messages.
//!
//! fjall writes its memory out and merges its files on a thread of its own. Two things of that reach the message path,
//! and were measured to (decision 0022):
//!
//! - It is ordinary work to the scheduler. On a core that it shares with a shard, messages wait whole time slices for
//!   it. So its thread is given the lowest priority.
//! - It lets go of what it no longer needs while it holds the lock that every read and write takes: tens of thousands
//!   of entries to free, files to delete. So a thread here holds the last reference to each, and lets go of it without
//!   a lock.

use fjall::{AbstractTree, Keyspace};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The lowest priority of ordinary threads: one part in 69 of a core that a busy one wants too.
const NICE: i32 = 19;
/// What the library's threads are called.
const WORKERS: &str = "fjall:";
/// How often new memory and new versions are looked for. What comes and goes in between is let go of by the library,
/// under its lock; at 8 MiB for a table in memory that would take 160 MB/s.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The running thread; it ends when this is dropped, which must be before the database is opened anew.
pub(crate) struct Housekeeping {
    /// Dropped to end the thread.
    alive: Option<SyncSender<()>>,
    handle: Option<JoinHandle<()>>,
}

impl Housekeeping {
    /// Looks after the keyspaces of a database that was just opened.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start(keyspaces: &[&Keyspace]) -> std::io::Result<Housekeeping> {
        lower_workers();
        let keyspaces: Vec<Keyspace> = keyspaces.iter().copied().cloned().collect();
        let (alive, ended) = mpsc::sync_channel::<()>(0);
        let handle = thread::Builder::new().name("store-keeper".into()).spawn(move || {
            let _ = rustix::process::setpriority_process(None, NICE); // this thread alone, as Linux has it
            let mut held: Vec<_> = keyspaces.iter().map(|_| Held::default()).collect();
            while ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                for (keyspace, held) in keyspaces.iter().zip(&mut held) {
                    let version = keyspace.tree.current_version();
                    held.look(keyspace.tree.active_memtable(), (version.id(), version));
                    held.let_go(keyspace.tree.version_free_list_len() + 1);
                }
            }
        })?;
        Ok(Housekeeping { alive: Some(alive), handle: Some(handle) })
    }
}

impl Drop for Housekeeping {
    fn drop(&mut self) {
        self.alive.take();
        if let Some(handle) = self.handle.take() {
            let _ = handle.join(); // a panic there was printed, and costs latency only
        }
    }
}

/// What is held of one keyspace: its tables in memory and its lists of files, whose types the library does not name.
struct Held<M, V> {
    /// Oldest first; the last is the one that is written to.
    memory: VecDeque<Arc<M>>,
    /// With their numbers, oldest first; the last is the current one.
    versions: VecDeque<(u64, V)>,
}

impl<M, V> Default for Held<M, V> {
    fn default() -> Self {
        Held { memory: VecDeque::new(), versions: VecDeque::new() }
    }
}

impl<M, V> Held<M, V> {
    /// Holds what is new.
    fn look(&mut self, memory: Arc<M>, version: (u64, V)) {
        if !self.memory.back().is_some_and(|newest| Arc::ptr_eq(newest, &memory)) {
            self.memory.push_back(memory);
        }
        if self.versions.back().is_none_or(|(newest, _)| *newest != version.0) {
            self.versions.push_back(version);
        }
    }

    /// Lets go of what the library let go of. It keeps `kept` lists of files at most, the newest, so that what is older
    /// than as many of ours is held here alone.
    fn let_go(&mut self, kept: usize) {
        self.memory.retain(|memory| Arc::strong_count(memory) > 1);
        while self.versions.len() > kept {
            self.versions.pop_front();
        }
    }
}

/// Gives the library's threads of this process the lowest priority.
fn lower_workers() {
    let lowered = workers().filter(|&tid| rustix::process::setpriority_process(Some(tid), NICE).is_ok());
    if lowered.count() == 0 {
        tracing::warn!(
            "the store's work aside was not given a lower priority: expect it to delay messages now and then"
        );
    }
}

/// Thread ids of the library's threads.
fn workers() -> impl Iterator<Item = rustix::process::Pid> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks.filter_map(|task| {
        let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
        let tid = task.file_name().to_str()?.parse().ok()?;
        name.starts_with(WORKERS).then(|| rustix::process::Pid::from_raw(tid)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fjall::{Database, KeyspaceCreateOptions};

    #[test]
    fn what_the_library_holds_is_kept_and_the_rest_let_go() {
        let mut held = Held::default();
        let (first, second) = (Arc::new("first"), Arc::new("second"));
        let (versions, watched): (Vec<_>, Vec<_>) = (0..3u64)
            .map(|id| {
                let version = Arc::new(id);
                (version.clone(), Arc::downgrade(&version))
            })
            .unzip();
        for (memory, version) in [(&first, 0), (&first, 1), (&second, 2), (&second, 2)] {
            held.look(memory.clone(), (version, versions[version as usize].clone()));
        }
        drop(versions);
        held.let_go(3);
        assert_eq!(held.memory.len(), 2, "each once");
        assert!(watched.iter().all(|version| version.strong_count() == 1), "each once, and held");
        let first_watched = Arc::downgrade(&first);
        drop(first);
        held.let_go(2);
        assert!(first_watched.upgrade().is_none(), "nobody else held it");
        assert_eq!(held.memory.len(), 1);
        assert_eq!(watched.iter().map(std::sync::Weak::strong_count).collect::<Vec<_>>(), [0, 1, 1]);
    }

    #[test]
    fn the_threads_of_the_library_get_the_lowest_priority() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::builder(directory.path()).worker_threads(1).open().unwrap();
        let rows = database.keyspace("rows", KeyspaceCreateOptions::default).unwrap();
        let found: Vec<_> = workers().collect(); // and those of other tests
        let _housekeeping = Housekeeping::start(&[&rows]).unwrap();
        assert!(!found.is_empty(), "the library calls its threads otherwise now");
        let nice = |tid| rustix::process::getpriority_process(Some(tid)).unwrap_or(NICE); // gone by now
        assert!(found.into_iter().all(|tid| nice(tid) == NICE));
    }
}
