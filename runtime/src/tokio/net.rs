//! TCP over tokio's readiness.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::tokio::io::{AsyncRead, ReadBuf};
use ::tokio::net::{TcpListener, TcpStream};

use crate::budget::turn_begins;
use crate::{Listener, Stream, descriptors, socket};

/// A TCP connection on the tokio back end.
pub struct TokioStream {
    // None only in `into_fd`, after which nobody has the stream any more. The cell is borrowed within one poll at a time.
    stream: Option<RefCell<TcpStream>>,
    peer: SocketAddr,
}

pub(super) async fn connect(address: SocketAddr, deadline: Duration) -> io::Result<TokioStream> {
    let deadline = deadline.max(Duration::from_millis(1));
    match ::tokio::time::timeout(deadline, TcpStream::connect(address)).await {
        Ok(connected) => TokioStream::new(connected?),
        Err(_elapsed) => Err(io::Error::new(io::ErrorKind::TimedOut, "connection timed out")),
    }
}

impl TokioStream {
    pub(super) fn adopt(fd: OwnedFd) -> io::Result<Self> {
        let stream = std::net::TcpStream::from(fd);
        stream.set_nonblocking(true)?;
        Self::new(TcpStream::from_std(stream)?)
    }

    fn new(stream: TcpStream) -> io::Result<Self> {
        let peer = socket::prepare(&stream)?;
        Ok(Self { stream: Some(RefCell::new(stream)), peer })
    }

    fn stream(&self) -> &RefCell<TcpStream> {
        self.stream.as_ref().expect("only into_fd takes the stream, and it takes us as well")
    }

    fn poll_read(&self, context: &mut Context<'_>, scratch: &RefCell<Vec<u8>>) -> Poll<io::Result<usize>> {
        let mut scratch = scratch.borrow_mut();
        socket::refuse_empty(&scratch)?;
        // tokio's own read takes a short read as a sign that the socket is empty, so that it costs one receive
        // and not a second one that says "nothing there".
        let mut buffer = ReadBuf::new(&mut scratch);
        ready!(Pin::new(&mut *self.stream().borrow_mut()).poll_read(context, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let stream = self.stream().borrow();
        loop {
            match stream.try_write(bytes) {
                // Clears the readiness that was wrong, so that the next line really waits.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
            ready!(stream.poll_write_ready(context))?;
        }
    }
}

impl Stream for TokioStream {
    async fn read(&self, scratch: &RefCell<Vec<u8>>) -> io::Result<usize> {
        let mut waited = false;
        poll_fn(|context| {
            let polled = self.poll_read(context, scratch);
            if waited && polled.is_ready() {
                // We were woken by a look at the sockets.
                turn_begins();
            }
            waited = polled.is_pending();
            polled
        })
        .await
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        // Not tokio's: it refuses until its first look at a new socket, without having asked the kernel.
        socket::send_now(self.stream().borrow().as_fd(), bytes)
    }

    async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.try_write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
        poll_fn(|context| self.poll_write(context, bytes)).await
    }

    fn shutdown(&self) {
        socket::shutdown(self.stream().borrow().as_fd());
    }

    fn reset(&self) {
        socket::reset(self.stream().borrow().as_fd());
    }

    fn peer_address(&self) -> SocketAddr {
        self.peer
    }

    fn into_fd(mut self) -> io::Result<OwnedFd> {
        let stream = self.stream.take().expect("taken once, by value").into_inner();
        Ok(stream.into_std()?.into())
    }
}

impl Drop for TokioStream {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            socket::shutdown(stream.borrow().as_fd());
        }
    }
}

/// A listening socket on the tokio back end.
pub struct TokioListener {
    listener: TcpListener,
    local: SocketAddr,
}

impl TokioListener {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let (socket, local) = socket::listening_socket(address)?;
        socket.set_nonblocking(true)?;
        Ok(Self { listener: TcpListener::from_std(socket.into())?, local })
    }
}

impl Listener for TokioListener {
    type Stream = TokioStream;

    async fn accept(&self) -> io::Result<(TokioStream, SocketAddr)> {
        loop {
            let (stream, peer) = self.listener.accept().await?;
            descriptors::may_accept(stream.as_raw_fd())?;
            // One that the peer has reset already is no reason to stop.
            if let Ok(stream) = TokioStream::new(stream) {
                return Ok((stream, peer));
            }
        }
    }

    fn local_address(&self) -> SocketAddr {
        self.local
    }

    fn close(&self) {
        socket::shutdown(self.listener.as_fd());
    }
}
