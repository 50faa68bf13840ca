//! Tasks that are never cancelled: they end by themselves, or are ended by hand when the shard ends.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ::glommio::{Latency, Shares, TaskQueueHandle};

use crate::panics::{self, CatchPanic};

/// Rounds in which tasks left at the end may end. One is enough unless destructors spawn further tasks.
const ENDING_ROUNDS_MAX: usize = 64;

/// The living tasks of this thread's executor.
#[derive(Default)]
struct Registry {
    /// One waker per task that was polled, to reach it at the end: 16 bytes a task.
    wakers: RefCell<Vec<Option<Waker>>>,
    free: RefCell<Vec<usize>>,
    living: Cell<usize>,
    ending: Cell<bool>,
    queue: Cell<TaskQueueHandle>,
}

thread_local! {
    static REGISTRY: Registry = Registry::default();
}

/// Makes the queue that all tasks of the shard run in. While one of them is ready the executor looks outside every
/// `preempt_timer`, and a wake from another thread preempts at once.
pub(super) fn open_queue(preempt_timer: Duration) {
    let queue =
        ::glommio::executor().create_task_queue(Shares::default(), Latency::Matters(preempt_timer), "shard");
    REGISTRY.with(|registry| registry.queue.set(queue));
}

/// Runs a future in the queue of the tasks to its end. It must not panic: glommio would abort the process.
pub(super) async fn run_in_queue<T: 'static>(future: impl Future<Output = T> + 'static) -> T {
    match ::glommio::spawn_local_into(future, REGISTRY.with(|registry| registry.queue.get())) {
        Ok(task) => task.await,
        Err(error) => unreachable!("the queue is never removed: {error}"),
    }
}

pub(super) fn spawn(future: impl Future<Output = ()> + 'static) {
    let task = Task::new(future);
    // Scheduled in a named queue; a plain spawn would run it inside this call.
    match ::glommio::spawn_local_into(task, REGISTRY.with(|registry| registry.queue.get())) {
        Ok(task) => drop(task.detach()),
        Err(error) => unreachable!("the queue is never removed: {error}"),
    }
}

/// Ends every task that is left, with its destructors, on its own thread.
pub(super) async fn end_all() {
    REGISTRY.with(|registry| registry.ending.set(true));
    for _ in 0..ENDING_ROUNDS_MAX {
        let (living, wakers) = REGISTRY.with(|registry| {
            let wakers: Vec<Waker> =
                registry.wakers.borrow_mut().iter_mut().filter_map(Option::take).collect();
            (registry.living.get(), wakers)
        });
        if living == 0 {
            return;
        }
        wakers.into_iter().for_each(Waker::wake);
        super::executor::yield_now().await;
    }
    tracing::warn!("tasks go on spawning others while the shard ends; some were left behind");
}

struct Task<F> {
    /// None once it has ended. Pinned with the task.
    future: Option<CatchPanic<F>>,
    slot: Option<usize>,
}

impl<F: Future<Output = ()>> Task<F> {
    fn new(future: F) -> Self {
        REGISTRY.with(|registry| registry.living.set(registry.living.get() + 1));
        Self { future: Some(CatchPanic::new(future)), slot: None }
    }
}

impl<F: Future<Output = ()>> Future for Task<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // SAFETY: nothing is moved out of the task; `future` is only polled in place, or dropped in place by `set`.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: `future` is pinned because the task is.
        let mut future = unsafe { Pin::new_unchecked(&mut this.future) };
        if !REGISTRY.with(|registry| registry.ending.get()) {
            let polled = match future.as_mut().as_pin_mut() {
                Some(future) => future.poll(context),
                None => Poll::Ready(Ok(())),
            };
            match polled {
                Poll::Pending => {
                    if this.slot.is_none() {
                        this.slot = Some(enter(context.waker()));
                    }
                    return Poll::Pending;
                }
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(payload)) => panics::report(&*payload),
            }
        }
        // Destructors may panic as well.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| future.set(None))) {
            panics::report(&*payload);
        }
        Poll::Ready(())
    }
}

impl<F> Drop for Task<F> {
    fn drop(&mut self) {
        // The thread's registry may be gone when an executor is dropped late.
        let _ = REGISTRY.try_with(|registry| {
            registry.living.set(registry.living.get() - 1);
            if let Some(slot) = self.slot.take() {
                let waker = registry.wakers.borrow_mut()[slot].take();
                registry.free.borrow_mut().push(slot);
                drop(waker);
            }
        });
    }
}

/// Keeps the task's waker; an executor gives a task the same one for life.
fn enter(waker: &Waker) -> usize {
    REGISTRY.with(|registry| {
        let mut wakers = registry.wakers.borrow_mut();
        let slot = registry.free.borrow_mut().pop().unwrap_or(wakers.len());
        if slot == wakers.len() {
            wakers.push(None);
        }
        wakers[slot] = Some(waker.clone());
        slot
    })
}
