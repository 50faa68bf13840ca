//! One thread, one glommio executor.

use std::any::Any;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use ::glommio::timer::Timer;
use ::glommio::{LocalExecutor, LocalExecutorBuilder};

use super::{tasks, timer};
use crate::panics::{self, CatchPanic};
use crate::shard::{self, Placement, ShardThread};

/// How long a busy executor may go without looking at sockets, timers and other threads' wakes. glommio's default is
/// 100 ms. A quiet session waits two such turns and the task that runs: 1 ms gives a p99 of 5 ms beside a firehose, half of it
/// is well below. Shorter costs nothing measurable down to 200 µs, but makes the loop's fault (see [`HEARTBEAT`]) likelier.
const PREEMPT_TIMER: Duration = Duration::from_micros(500);

/// glommio's loop takes "preempted before the first task" for "nothing to do" and parks, although tasks are ready. Any timer
/// wakes it again, so one that always runs bounds the stall. A beat costs an idle shard about 100 µs, most of it glommio's way to sleep
/// and back: 5 ms would be 2 % of a core, 10 ms is 1 %. Where tasks yield, [`YIELD_GUARD`] bounds the stall far lower.
const HEARTBEAT: Duration = Duration::from_millis(10);

/// Memory each executor registers with its three rings, in bytes, for file I/O that a shard never does: glommio's minimum.
/// The default of 10 MiB would need 30 MiB of locked memory a shard.
pub(crate) const IO_MEMORY: usize = 64 * 1024;

pub(super) fn run<F, Fut>(placement: Placement, name: &str, main: F) -> io::Result<ShardThread>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    shard::start(name, move |started| {
        // The executor is made first: its helper thread inherits the wide affinity, not our core.
        let executor = match build().and_then(|executor| placement.apply().map(|()| executor)) {
            Ok(executor) => executor,
            Err(error) => {
                started.report(Err(error));
                return Ok(());
            }
        };
        started.report(Ok(()));
        let result = executor.run(with_heartbeat(async move {
            // `main` is called inside, so that it may spawn and listen, and its panic is caught as well.
            let result = CatchPanic::new(async move { main().await }).await;
            tasks::end_all().await;
            result
        }));
        result.map_err(|payload: Box<dyn Any + Send>| panics::message(&*payload).to_owned())
    })
}

fn build() -> io::Result<LocalExecutor> {
    let builder = LocalExecutorBuilder::default()
        .preempt_timer(PREEMPT_TIMER)
        .io_memory(IO_MEMORY)
        .ring_depth(RING_DEPTH);
    match catch_unwind(AssertUnwindSafe(|| builder.make())) {
        Ok(made) => Ok(made?),
        Err(payload) => Err(io::Error::other(format!("io_uring is refused: {}", panics::message(&*payload)))),
    }
}

/// Entries of each ring: how many operations go to the kernel with one call. More wait in glommio's own queue.
const RING_DEPTH: usize = 512;

/// Polls `future`, and keeps timers of the heartbeat pending. They wake the main task, not one of their own, because
/// glommio never drops a task that sits on a timer when the executor ends.
async fn with_heartbeat<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let output = poll_fn(move |context| {
        HEART.with_borrow_mut(|heart| heart.arm(context));
        future.as_mut().poll(context)
    })
    .await;
    HEART.take();
    GUARD.take();
    output
}

/// Puts the heartbeat off: called by what shows that the executor turns, so that a shard with a tick has no second one.
pub(super) fn beat_was_seen() {
    HEART.with_borrow_mut(Heart::put_off);
}

/// The timers that bound a stall. One is not enough: when it fires, its task is among those that the executor may then
/// park upon, and no timer would be left. So there are several at growing distances, and all but the nearest are put off
/// again long before they are due. The farthest are for a process that was stopped or starved for so long that the nearer
/// ones came due together.
#[derive(Default)]
struct Heart {
    timers: [Option<(Instant, Timer)>; DISTANCES.len()],
}

/// How far ahead a timer is armed. The first is the beat.
const DISTANCES: [Duration; 6] = [
    HEARTBEAT,
    Duration::from_millis(40),
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(60),
    Duration::from_secs(3600),
];

thread_local! {
    static HEART: RefCell<Heart> = RefCell::default();
}

impl Heart {
    /// Makes new timers for those that have fired.
    fn arm(&mut self, context: &mut Context<'_>) {
        let now = Instant::now();
        for (slot, distance) in self.timers.iter_mut().zip(DISTANCES) {
            if slot.as_ref().is_some_and(|(due, _timer)| *due > now) {
                continue;
            }
            let (_due, timer) = slot.insert((now + distance, timer::beat(distance)));
            // Polled once, to arm it with the waker of the main task, which stays the same.
            let _ = timer::poll(timer, context);
        }
        self.put_off();
    }

    /// Puts off the timers that have not fired, where a good part of the distance is gone.
    fn put_off(&mut self) {
        let now = Instant::now();
        for ((due, timer), distance) in self
            .timers
            .iter_mut()
            .zip(DISTANCES)
            .filter_map(|(slot, distance)| Some((slot.as_mut()?, distance)))
        {
            if *due > now && *due < now + distance * 3 / 4 {
                timer.reset(distance);
                *due = now + distance;
            }
        }
    }
}

/// How long the executor may park upon a task that yielded, where the heartbeat would leave it for 5 ms. Yielding is what
/// tasks do on a busy shard, and on a busy machine the fault is frequent: arming a timer costs 1 µs.
const YIELD_GUARD: Duration = Duration::from_micros(200);

thread_local! {
    static GUARD: RefCell<Option<(Instant, Timer)>> = const { RefCell::new(None) };
}

/// Sees to it that a timer is pending while a task of ours is ready. Nobody waits for it: firing is enough.
fn guard_the_yield() {
    let now = Instant::now();
    GUARD.with_borrow_mut(|guard| {
        if guard.as_ref().is_none_or(|(due, _timer)| *due <= now) {
            let (_due, timer) = guard.insert((now + YIELD_GUARD, timer::beat(YIELD_GUARD)));
            let _ = timer::poll(timer, &mut Context::from_waker(Waker::noop()));
        }
    });
}

pub(super) async fn yield_now() {
    guard_the_yield();
    // To the end of the queue. Sockets are looked at when the preempt timer fires, at most half a millisecond later.
    ::glommio::executor().yield_task_queue_now().await;
}

/// Compares two words of the ring's memory: the preempt timer changes one of them.
pub(super) async fn yield_if_needed() {
    if ::glommio::executor().need_preempt() {
        yield_now().await;
    }
}
