//! One thread, one `LocalRuntime`.

use std::future::Future;
use std::io;

use ::tokio::runtime::{Builder, LocalOptions, LocalRuntime};

use crate::budget::{turn_begins, turn_is_over};
use crate::monotonic_nanos;
use crate::panics::{self, CatchPanic};
use crate::shard::{self, Placement, ShardThread};

/// Task polls between two looks at sockets, timers and other threads' wakes while there is work. One poll of a busy link
/// takes up to about 100 µs, so sockets wait 2 ms at most for this reason; the look costs 1 µs. tokio's default is 61.
const EVENT_INTERVAL: u32 = 16;

/// Task polls between two looks at the tasks that other threads woke. Not more than [`EVENT_INTERVAL`].
const GLOBAL_QUEUE_INTERVAL: u32 = 8;

const _: () = assert!(GLOBAL_QUEUE_INTERVAL <= EVENT_INTERVAL);

/// Socket events taken with one system call: 1,024 of 12 bytes each. More would not help, a turn over that many links
/// takes milliseconds.
const IO_EVENTS_MAX: usize = 1024;

pub(super) fn run<F, Fut>(placement: Placement, name: &str, main: F) -> io::Result<ShardThread>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    shard::start(name, move |started| {
        let runtime = match placement.apply().and_then(|()| build()) {
            Ok(runtime) => runtime,
            Err(error) => {
                started.report(Err(error));
                return Ok(());
            }
        };
        started.report(Ok(()));
        // A task like all others: what is blocked on goes before every task when it yields. `main` is called inside, so
        // that it may spawn and listen, and its panic is caught as well.
        let main = runtime.spawn_local(CatchPanic::new(async move { main().await }));
        let result = runtime.block_on(main);
        // Drops the tasks that are left, with their sockets, before the thread is joined.
        drop(runtime);
        match result {
            Ok(Ok(())) => Ok(()),
            Ok(Err(payload)) => Err(panics::message(&*payload).to_owned()),
            Err(error) => Err(error.to_string()),
        }
    })
}

fn build() -> io::Result<LocalRuntime> {
    Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .event_interval(EVENT_INTERVAL)
        .global_queue_interval(GLOBAL_QUEUE_INTERVAL)
        .max_io_events_per_tick(IO_EVENTS_MAX)
        .build_local(LocalOptions::default())
}

pub(super) fn spawn(future: impl Future<Output = ()> + 'static) {
    // The handle is dropped, which detaches the task.
    drop(::tokio::task::spawn_local(async move {
        if let Err(payload) = CatchPanic::new(future).await {
            panics::report(&*payload);
        }
    }));
}

pub(super) async fn yield_now() {
    // tokio defers a task that yields until it has run the others and looked at the sockets.
    ::tokio::task::yield_now().await;
    turn_begins();
}

/// tokio's own budget counts operations, whatever their size: 128 reads of 64 KiB are too many for a neighbour to
/// wait for. So the time is looked at, which costs some 30 ns.
pub(super) async fn yield_if_needed() {
    if turn_is_over(monotonic_nanos()) {
        yield_now().await;
    }
}
