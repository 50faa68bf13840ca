//! A thread that wakes an executor which sleeps although its heartbeat is due.
//!
//! The heartbeat's timers end in one operation on one ring, whose completion must pass to the ring that the executor
//! sleeps on. Should that fail, a byte on a socket that is polled by the very
//! ring it sleeps on wakes it by another way.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, Write};
use std::os::fd::{FromRawFd, IntoRawFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use ::glommio::net::TcpStream;
use futures_io::AsyncRead;

use super::tasks;
use crate::monotonic_nanos;

/// How often the thread looks, which costs it some 5 µs.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Silence after which an executor is woken. A healthy one that rests beats every 20 ms; one that is busy or starved for
/// longer takes the byte for nothing.
const SILENCE_NANOS: u64 = 50_000_000;

static WAKES: AtomicU64 = AtomicU64::new(0);
static WATCHED: Mutex<Vec<Weak<Watched>>> = Mutex::new(Vec::new());

thread_local! {
    static WATCH: RefCell<Option<Arc<Watched>>> = const { RefCell::new(None) };
}

/// One executor.
struct Watched {
    last_beat: AtomicU64,
    bell: UnixStream,
}

/// How often a silent executor of this process was woken.
pub(super) fn wakes() -> u64 {
    WAKES.load(Ordering::Relaxed)
}

/// Has this thread's executor watched from now on.
pub(super) fn begin() -> io::Result<()> {
    let (bell, ear) = UnixStream::pair()?;
    bell.set_nonblocking(true)?;
    tasks::spawn(listen(ear));
    let watched = Arc::new(Watched { last_beat: AtomicU64::new(monotonic_nanos()), bell });
    WATCH.set(Some(Arc::clone(&watched)));
    let mut all = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    let first = all.is_empty();
    all.push(Arc::downgrade(&watched));
    if first {
        // It ends when nobody is left to be watched.
        thread::Builder::new().name("runtime-watch".to_owned()).spawn(look)?;
    }
    Ok(())
}

/// Ends the watch of this thread's executor.
pub(super) fn end() {
    WATCH.take();
}

/// Notes that the executor turns.
pub(super) fn beat() {
    WATCH.with_borrow(|watch| {
        if let Some(watched) = watch {
            watched.last_beat.store(monotonic_nanos(), Ordering::Relaxed);
        }
    });
}

/// Takes the bytes; being woken is all there is to it.
async fn listen(ear: UnixStream) {
    // SAFETY: the descriptor is open and ours; ownership goes to the stream, which only receives from it.
    let mut ear = unsafe { TcpStream::from_raw_fd(ear.into_raw_fd()) };
    let mut bytes = [0; 64];
    while let Ok(1..) = poll_fn(|context| Pin::new(&mut ear).poll_read(context, &mut bytes)).await {
        beat();
    }
}

fn look() {
    loop {
        thread::sleep(LOOK_EVERY);
        let mut all = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|watched| watched.strong_count() > 0);
        if all.is_empty() {
            return;
        }
        for watched in all.iter().filter_map(Weak::upgrade) {
            let silent = monotonic_nanos().saturating_sub(watched.last_beat.load(Ordering::Relaxed));
            // A full socket means that enough bytes wait there already.
            if silent > SILENCE_NANOS && matches!((&watched.bell).write(&[1]), Ok(1)) {
                WAKES.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
