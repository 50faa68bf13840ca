//! A panic in a task ends that task, not the shard.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

static PANICS: AtomicU64 = AtomicU64::new(0);

/// How many tasks of this process, on all shards, ended by a panic.
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// Counts and logs the panic of a detached task.
pub(crate) fn report(payload: &(dyn Any + Send)) {
    PANICS.fetch_add(1, Ordering::Relaxed);
    let thread = std::thread::current();
    tracing::error!(
        shard = thread.name().unwrap_or("unnamed"),
        panic = message(payload),
        "a task panicked and was ended"
    );
}

/// The text given to `panic!`.
pub(crate) fn message(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "panic without a text"
    }
}

/// A future whose panic becomes its result.
pub(crate) struct CatchPanic<F> {
    future: F,
}

impl<F: Future> CatchPanic<F> {
    pub(crate) fn new(future: F) -> Self {
        Self { future }
    }
}

impl<F: Future> Future for CatchPanic<F> {
    type Output = Result<F::Output, Box<dyn Any + Send>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: `future` is pinned with its owner: it is never moved out, and CatchPanic has no Drop and is
        // Unpin only when F is.
        let future = unsafe { self.map_unchecked_mut(|this| &mut this.future) };
        // The future is not polled again after a panic, so nobody sees what the panic left half done inside it.
        match catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(payload) => Poll::Ready(Err(payload)),
        }
    }
}
