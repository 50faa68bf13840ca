//! SIGTERM and SIGINT ask for an orderly end; a second one ends at once. SIGHUP has the configuration read again.

use crate::publish::Publisher;
use runtime::Stop;
use std::io;
use tokio::signal::unix::{SignalKind, signal};

/// Status of a process that was told twice: 128 and the number of SIGINT, as shells have it.
const EXIT_AT_ONCE: i32 = 130;

/// Waits for signals for as long as the process lives.
///
/// # Errors
/// When the system lets us have no handler.
pub(crate) async fn watch(stop: Stop) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        if stop.is_requested() {
            tracing::warn!(signal = name, "told twice: ending at once");
            // Nothing is lost that was acknowledged: the store is written before a customer is answered.
            std::process::exit(EXIT_AT_ONCE);
        }
        tracing::info!(signal = name, "draining");
        stop.request();
    }
}

/// Has the file read again at each SIGHUP, for as long as the process lives.
pub(crate) async fn watch_hangups(publisher: Publisher) {
    match signal(SignalKind::hangup()) {
        Ok(mut hangups) => {
            while hangups.recv().await.is_some() {
                publisher.reload();
            }
        }
        Err(error) => tracing::error!(%error, "no handler for SIGHUP: it ends the process"),
    }
}
