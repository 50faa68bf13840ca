//! Sleeping.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::glommio::timer::Timer;

/// glommio's timers sit in a B-tree (about 0.5 µs to set with a hundred thousand pending) and are never early.
pub(super) async fn sleep(duration: Duration) {
    Timer::new(duration).await;
    super::executor::beat_was_seen();
}

/// A timer to be polled by hand.
pub(super) fn beat(duration: Duration) -> Timer {
    Timer::new(duration)
}

/// Polls such a timer.
pub(super) fn poll(timer: &mut Timer, context: &mut Context<'_>) -> Poll<()> {
    Pin::new(timer).poll(context).map(|_instant| ())
}
