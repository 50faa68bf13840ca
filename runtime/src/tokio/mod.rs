//! The epoll back end: one tokio `LocalRuntime` on each shard's thread. Needs nothing special of the kernel, so it is
//! what runs where io_uring is refused.

mod executor;
mod net;
mod timer;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::{Backend, Placement, Runtime, ShardThread};

pub use net::{TokioListener, TokioStream};

/// The tokio back end.
#[derive(Clone, Copy, Debug)]
pub struct Tokio;

impl Runtime for Tokio {
    const BACKEND: Backend = Backend::Tokio;
    type Stream = TokioStream;
    type Listener = TokioListener;

    fn spawn(future: impl Future<Output = ()> + 'static) {
        executor::spawn(future);
    }

    async fn sleep(duration: Duration) {
        timer::sleep(duration).await;
    }

    async fn yield_now() {
        executor::yield_now().await;
    }

    async fn yield_if_needed() {
        executor::yield_if_needed().await;
    }

    async fn connect(address: SocketAddr, deadline: Duration) -> io::Result<TokioStream> {
        net::connect(address, deadline).await
    }

    fn listen(address: SocketAddr) -> io::Result<TokioListener> {
        TokioListener::bind(address)
    }

    fn adopt(fd: OwnedFd) -> io::Result<TokioStream> {
        TokioStream::adopt(fd)
    }

    fn run<F, Fut>(placement: Placement, name: &str, main: F) -> io::Result<ShardThread>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        executor::run(placement, name, main)
    }
}
