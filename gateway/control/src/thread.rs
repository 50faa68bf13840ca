//! The one control thread: a current-thread tokio with HTTP, the desks of the shards, signals and the drain.

use crate::auth::Authenticator;
use crate::desk::{self, ShardDesk};
use crate::drain::{DrainOptions, Phase, SharedPhase};
use crate::http::{Shared, router};
use crate::http_port::{self, BoundedListener};
use crate::messages::Messages;
use crate::metrics::Sources;
use crate::publish::Publisher;
use crate::signals;
use crate::source::Live;
use runtime::Stop;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What the control thread is built from.
pub struct ControlOptions {
    /// Address of the HTTP port; port 0 takes a free one.
    pub http: SocketAddr,
    /// Where figures come from.
    pub sources: Sources,
    /// What looks for new configurations where the source is a database.
    pub live: Option<Live>,
    /// Where messages are looked up, if records are kept.
    pub messages: Option<Messages>,
    /// One for each shard, in order.
    pub desks: Vec<ShardDesk>,
    /// Judges binds.
    pub authenticator: Authenticator,
    /// Gives the desks new configurations; SIGHUP has it read the file again.
    pub publisher: Publisher,
    /// Requested by a signal, or by whoever wants the node to end.
    pub stop: Stop,
    /// Times of the end.
    pub drain: DrainOptions,
    /// Whether SIGTERM and SIGINT are ours: yes in the program, no in tests within one process.
    pub signals: bool,
}

/// The running control thread.
pub struct ControlThread {
    http_address: SocketAddr,
    shared: Arc<Shared>,
    handle: JoinHandle<bool>,
}

impl ControlThread {
    /// The address that the HTTP port got.
    pub fn http_address(&self) -> SocketAddr {
        self.http_address
    }

    /// The SMPP port is open: readiness says yes from now on.
    pub fn set_ready(&self) {
        self.shared.phase.advance(Phase::Ready);
    }

    /// Where the node stands.
    pub fn phase(&self) -> Phase {
        self.shared.phase.now()
    }

    /// Waits for the end of the drain; true when every shard ended when asked and within its time.
    ///
    /// # Errors
    /// When the thread panicked.
    pub fn join(self) -> Result<bool, String> {
        self.handle.join().map_err(|_| "the control thread panicked".to_string())
    }
}

/// Opens the HTTP port and starts the thread.
///
/// # Errors
/// When the port is taken or the system gives no thread.
pub fn start(options: ControlOptions) -> io::Result<ControlThread> {
    let listener = http_port::open(options.http)?;
    listener.set_nonblocking(true)?;
    let http_address = listener.local_addr()?;
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shared = Arc::new(Shared {
        sources: options.sources,
        phase: SharedPhase::default(),
        messages: options.messages,
        born_ns: runtime::monotonic_nanos(),
    });
    let control = Control {
        shared: shared.clone(),
        live: options.live,
        desks: options.desks,
        authenticator: options.authenticator,
        publisher: options.publisher,
        stop: options.stop,
        drain: options.drain,
        signals: options.signals,
    };
    let handle = thread::Builder::new()
        .name("control".into())
        .spawn(move || executor.block_on(control.run(listener)))?;
    Ok(ControlThread { http_address, shared, handle })
}

struct Control {
    shared: Arc<Shared>,
    live: Option<Live>,
    desks: Vec<ShardDesk>,
    authenticator: Authenticator,
    publisher: Publisher,
    stop: Stop,
    drain: DrainOptions,
    signals: bool,
}

impl Control {
    async fn run(self, listener: TcpListener) -> bool {
        let (end_http, http_ends) = watch::channel(false);
        let http = tokio::spawn(serve_http(listener, self.shared.clone(), http_ends));
        if self.signals {
            let stop = self.stop.clone();
            tokio::spawn(signals::watch_hangups(self.publisher.clone()));
            tokio::spawn(async move {
                if let Err(error) = signals::watch(stop).await {
                    tracing::error!(%error, "no signal handler: SIGTERM ends the process without a drain");
                }
            });
        }
        if let Some(live) = self.live {
            let publisher = self.publisher.clone();
            tokio::spawn(live.run(move |built| publisher.publish(built)));
        }
        let (start_drain, draining) = watch::channel(false);
        let mut desks = JoinSet::new();
        for desk in self.desks {
            let plans = self.publisher.plans();
            desks.spawn(desk::serve(desk, self.authenticator.clone(), draining.clone(), plans));
        }
        tokio::select! {
            biased; // a shard that ends after the request was asked
            () = self.stop.requested() => {}
            Some(_) = desks.join_next() => {
                // It panicked. What it held is lost to its peers already; ending the process loses no more, and a
                // restart takes under a second.
                tracing::error!("a shard ended without being asked: the node ends");
                self.shared.phase.advance(Phase::Ended);
                return false;
            }
        }
        self.shared.phase.advance(Phase::Draining);
        tokio::time::sleep(self.drain.pre_stop).await;
        start_drain.send_replace(true);
        let all_ended = async { while desks.join_next().await.is_some() {} };
        let in_time = tokio::time::timeout(self.drain.drain_max, all_ended).await.is_ok();
        if !in_time {
            tracing::warn!(shards = desks.len(), "not every shard drained in time");
        }
        self.shared.phase.advance(Phase::Ended);
        end_http.send_replace(true);
        // A scraper that keeps its connection open does not keep the node alive.
        let _ = tokio::time::timeout(HTTP_END_MAX, http).await;
        in_time
    }
}

/// How long open HTTP connections may take to end.
const HTTP_END_MAX: std::time::Duration = std::time::Duration::from_millis(200);

async fn serve_http(listener: TcpListener, shared: Arc<Shared>, mut end: watch::Receiver<bool>) {
    let served = async {
        let listener = BoundedListener::new(tokio::net::TcpListener::from_std(listener)?);
        let ends = async move {
            let _ = end.changed().await;
        };
        axum::serve(listener, router(shared)).with_graceful_shutdown(ends).await
    };
    if let Err(error) = served.await {
        tracing::error!(%error, "the HTTP port failed");
    }
}

#[cfg(test)]
mod tests;
