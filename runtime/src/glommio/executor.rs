//! One thread, one glommio executor.

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ::glommio::timer::Timer;
use ::glommio::{LocalExecutor, LocalExecutorBuilder};

use super::{tasks, timer, watch};
use crate::budget::{turn_begins, turn_is_over, turn_is_over_by_count};
use crate::monotonic_nanos;
use crate::panics::{self, CatchPanic};
use crate::shard::{self, Placement, ShardThread};

/// How long a busy executor may go without looking at sockets, timers and other threads' wakes. glommio's default is
/// 100 ms. A quiet session waits two such turns and the task that runs: 1 ms gives a p99 of 5 ms beside a firehose, half of it
/// is well below. Shorter costs nothing measurable down to 200 µs, but makes the loop's fault (see [`HEARTBEAT`]) likelier.
const PREEMPT_TIMER: Duration = Duration::from_micros(500);

/// The preempt timer while no task of the shard is ready. It must not fire in an executor's first turn: nothing would be armed
/// yet that could end the park (see [`HEARTBEAT`]), and on a busy machine half a millisecond passes easily before the first task.
/// Tasks must not work under it, so what a shard runs begins in the second turn ([`let_it_look`]).
const PREEMPT_TIMER_AT_REST: Duration = Duration::from_secs(10);

/// glommio's loop takes "preempted before the first task" for "nothing to do" and parks, although tasks are ready. Any timer
/// or socket wakes it again, so a timer that is always pending bounds the stall. A beat costs an idle shard 100 to 250 µs, most of
/// it glommio's way to sleep and back: every 5 ms that is over 2 % of a core, every 20 ms about 1 %. Where tasks yield,
/// [`YIELD_GUARD`] bounds the stall far lower, and a shard with a tick of its own beats with it.
const HEARTBEAT: Duration = Duration::from_millis(20);

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
            tasks::open_queue(PREEMPT_TIMER);
            if let Err(error) = watch::begin() {
                tracing::warn!(%error, "this executor is not watched for stalls");
            }
            tasks::run_in_queue(async move {
                let_it_look().await;
                // `main` is called inside, so that it may spawn and listen, and its panic is caught as well.
                let result = CatchPanic::new(async move { main().await }).await;
                tasks::end_all().await;
                result
            })
            .await
        }));
        result.map_err(|payload: Box<dyn Any + Send>| panics::message(&*payload).to_owned())
    })
}

fn build() -> io::Result<LocalExecutor> {
    let builder = LocalExecutorBuilder::default()
        .preempt_timer(PREEMPT_TIMER_AT_REST)
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
    watch::end();
    HEART.take();
    GUARD.take();
    output
}

/// Puts the heartbeat off: called by what shows that the executor turns, so that a shard with a tick has no second one.
pub(super) fn beat_was_seen() {
    HEART.with_borrow_mut(Heart::put_off);
}

/// The timers that bound a stall. One is not enough: when it fires, its task is among those that the executor may then park
/// upon, and so may the next and the next while other programs want the core. So a row of beats is always pending; those
/// that are near are moved to its end. The far timers are for a process that was stopped or starved for longer than the row.
#[derive(Default)]
struct Heart {
    beats: VecDeque<(Instant, Timer)>,
    far: [Option<(Instant, Timer)>; FAR.len()],
}

/// Beats that are pending, each a timer of about 150 bytes: together they last for two seconds.
const BEATS: usize = 128;

/// How far ahead the far timers are armed. They are put off when half of that is gone.
const FAR: [Duration; 4] =
    [Duration::from_secs(3), Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(3600)];

thread_local! {
    static HEART: RefCell<Heart> = RefCell::default();
}

impl Heart {
    /// Makes new timers for those that have fired. `context` is the main task's, whose waker stays the same.
    fn arm(&mut self, context: &mut Context<'_>) {
        let now = Instant::now();
        while self.beats.front().is_some_and(|(due, _timer)| *due <= now) {
            self.beats.pop_front();
        }
        while self.beats.len() < BEATS {
            let due = self.next_beat(now);
            self.beats.push_back((due, armed(due - now, context)));
        }
        for (slot, distance) in self.far.iter_mut().zip(FAR) {
            if slot.as_ref().is_none_or(|(due, _timer)| *due <= now) {
                *slot = Some((now + distance, armed(distance, context)));
            }
        }
        self.put_off();
    }

    /// Moves the beats that are near to the end of the row, and puts the far timers off.
    fn put_off(&mut self) {
        watch::beat();
        let now = Instant::now();
        let near = |due: Instant| due > now && due < now + HEARTBEAT * 3 / 4;
        while self.beats.front().is_some_and(|(due, _timer)| near(*due)) {
            let due = self.next_beat(now);
            if let Some((_near, mut timer)) = self.beats.pop_front() {
                timer.reset(due - now);
                self.beats.push_back((due, timer));
            }
        }
        for (slot, distance) in self.far.iter_mut().zip(FAR) {
            if let Some((due, timer)) = slot
                && *due > now
                && *due < now + distance / 2
            {
                timer.reset(distance);
                *due = now + distance;
            }
        }
    }

    fn next_beat(&self, now: Instant) -> Instant {
        self.beats.back().map_or(now, |(due, _timer)| (*due).max(now)) + HEARTBEAT
    }
}

/// A timer that wakes the task of `context`.
fn armed(distance: Duration, context: &mut Context<'_>) -> Timer {
    let mut timer = timer::beat(distance);
    // Polled once, to arm it. Should it be ready already, the others are still pending.
    let _ = timer::poll(&mut timer, context);
    timer
}

/// How long the executor may park upon a task that yielded, where the heartbeat would leave it for 5 ms. Yielding is what
/// tasks do on a busy shard, and on a busy machine the fault is frequent: arming a timer costs 1 µs.
const YIELD_GUARD: Duration = Duration::from_micros(200);

thread_local! {
    static GUARD: RefCell<Option<(u64, Timer)>> = const { RefCell::new(None) };
}

/// Sees to it that a timer is pending while a task of ours is ready. Nobody waits for it: firing is enough.
fn guard_the_yield(now: u64) {
    GUARD.with_borrow_mut(|guard| {
        if guard.as_ref().is_none_or(|(due, _timer)| *due <= now) {
            let due = now + YIELD_GUARD.as_nanos() as u64;
            let (_due, timer) = guard.insert((due, timer::beat(YIELD_GUARD)));
            let _ = timer::poll(timer, &mut Context::from_waker(Waker::noop()));
        }
    });
}

pub(super) async fn yield_now() {
    let now = monotonic_nanos();
    if ::glommio::executor().need_preempt() {
        give_way(now).await;
        turn_begins();
    } else if turn_is_over(now) {
        let_it_look().await;
    } else {
        give_way(now).await;
    }
}

/// To the end of the queue. The executor looks outside only when it is preempted, or when the queue is empty.
async fn give_way(now: u64) {
    guard_the_yield(now);
    ::glommio::executor().yield_task_queue_now().await;
}

/// Asks for two words of the ring's memory first: the preempt timer changes one of them. But that timer may be
/// [`PREEMPT_TIMER_AT_REST`], in the first turn for instance, and the machine may be late with any timer. So calls are
/// counted and the clock is read, too. Counting takes 17 instructions
/// (read from the machine code of a test build), the clock's reading at every fourth call some 25 ns, a usual figure that was not measured here.
pub(super) async fn yield_if_needed() {
    if ::glommio::executor().need_preempt() {
        give_way(monotonic_nanos()).await;
        turn_begins();
    } else if turn_is_over_by_count() {
        let_it_look().await;
    }
}

/// The first distance of the timer in [`let_it_look`], doubled while the machine is too slow for it.
const LOOK_TIMER: Duration = Duration::from_micros(2);

/// How often it is doubled: the last one is 130 ms ahead.
const LOOK_TIMER_DOUBLINGS: u32 = 16;

/// Waits for a timer that is due at once. All tasks that yield do so when the turn is over, so that the queue gets empty,
/// and upon an empty queue the executor looks at all that is outside, and at its timers, whatever its preempt timer does.
pub(super) async fn let_it_look() {
    let mut timer = None;
    poll_fn(|context| {
        if timer.is_some() {
            return Poll::Ready(());
        }
        for doubling in 0..=LOOK_TIMER_DOUBLINGS {
            let mut next = timer::beat(LOOK_TIMER * (1 << doubling));
            // One that is ready already was armed too late to be waited for: this thread had to wait for its core.
            if timer::poll(&mut next, context).is_pending() {
                timer = Some(next);
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    })
    .await;
    turn_begins();
}
