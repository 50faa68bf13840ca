//! The control port: state to look at, faults to order. One plain thread with its own small runtime.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use runtime::Stop;

use crate::report::{self, SiteReport};
use crate::shared::{Order, Shared};
use crate::simulator::read_fault;

/// The control port while it is open.
pub(crate) struct Control {
    address: SocketAddr,
    stop: Stop,
    thread: JoinHandle<()>,
}

impl Control {
    pub(crate) fn start(listen: SocketAddr, shared: Arc<Shared>) -> io::Result<Control> {
        let listener = std::net::TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stop = Stop::new();
        let stopped = stop.requested();
        let thread = std::thread::Builder::new().name("sim-control".into()).spawn(move || {
            let served = runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                tokio::select! {
                    served = async { axum::serve(listener, router(shared)).await } => served,
                    () = stopped => Ok(()),
                }
            });
            if let Err(error) = served {
                tracing::error!(%error, "the control port failed");
            }
        })?;
        Ok(Control { address, stop, thread })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn stop(self) {
        self.stop.request();
        if self.thread.join().is_err() {
            tracing::error!("the control thread panicked");
        }
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/state", get(|shared| answer(shared, Order::Report, report::state)))
        .route("/counters", get(|shared| answer(shared, Order::Report, report::counters)))
        .route("/sessions", get(|shared| answer(shared, Order::Report, report::sessions)))
        .route("/faults", post(inject).delete(|shared| answer(shared, Order::Heal, report::state)))
        .route("/reset", post(|shared| answer(shared, Order::Reset, report::state)))
        .route("/release-receipts", post(|shared| answer(shared, Order::ReleaseReceipts, report::state)))
        .with_state(shared)
}

async fn inject(shared: State<Arc<Shared>>, body: String) -> Response {
    match read_fault(&body) {
        Ok(fault) => answer(shared, Order::Inject(fault), report::state).await,
        Err(mistakes) => (StatusCode::BAD_REQUEST, mistakes + "\n").into_response(),
    }
}

/// Gives the order to every shard and answers with what they say afterwards.
async fn answer(
    State(shared): State<Arc<Shared>>,
    order: Order,
    form: fn(&[SiteReport]) -> serde_json::Value,
) -> Response {
    match tokio::task::spawn_blocking(move || shared.ask(&order)).await {
        Ok(reports) => {
            ([(header::CONTENT_TYPE, "application/json")], form(&reports).to_string() + "\n").into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
