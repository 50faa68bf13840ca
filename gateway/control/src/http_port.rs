//! The listening socket of HTTP with a bound: more connections wait until one ends, so that descriptors are not used up.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// HTTP connections at once, a descriptor and some KiB each: scrapers, probes and a few operators.
pub(crate) const HTTP_CONNECTIONS_MAX: usize = 128;
/// How long a port is asked for that another process still has: one that was killed ends within it.
const TAKEN_MAX: Duration = Duration::from_secs(1);
/// Pause between two tries.
const TAKEN_PAUSE: Duration = Duration::from_millis(20);

/// Opens the port. One that is taken is tried again for a second.
pub(crate) fn open(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let end = Instant::now() + TAKEN_MAX;
    loop {
        match std::net::TcpListener::bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < end => {
                std::thread::sleep(TAKEN_PAUSE);
            }
            opened => return opened,
        }
    }
}

/// A listener whose connections are counted.
pub(crate) struct BoundedListener {
    listener: TcpListener,
    room: Arc<Semaphore>,
}

impl BoundedListener {
    pub(crate) fn new(listener: TcpListener) -> Self {
        BoundedListener { listener, room: Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX)) }
    }
}

impl axum::serve::Listener for BoundedListener {
    type Io = Counted;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Counted, SocketAddr) {
        let room = self.room.clone().acquire_owned().await.ok(); // it is never closed
        let (stream, address) = axum::serve::Listener::accept(&mut self.listener).await;
        (Counted { stream, _room: room }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection with its place among those that may be.
pub(crate) struct Counted {
    stream: TcpStream,
    _room: Option<OwnedSemaphorePermit>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_becomes_free_is_taken() {
        let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = holder.local_addr().unwrap();
        std::thread::scope(|scope| {
            let opened = scope.spawn(|| open(address));
            std::thread::sleep(Duration::from_millis(100)); // it is tried again and again meanwhile
            drop(holder);
            assert!(opened.join().unwrap().is_ok());
        });
    }

    #[test]
    fn a_port_that_stays_taken_is_an_error() {
        let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let error = open(holder.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
