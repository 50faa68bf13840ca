//! Sleeping.

use std::time::Duration;

/// tokio's timer has a granularity of one millisecond and is never early.
pub(super) async fn sleep(duration: Duration) {
    ::tokio::time::sleep(duration).await;
}
