//! TCP over glommio's readiness.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::glommio::net::{TcpListener, TcpStream};
use futures_io::{AsyncRead, AsyncWrite};

use crate::budget::turn_begins;
use crate::{Listener, Stream, descriptors, socket};

/// A TCP connection on the glommio back end.
pub struct GlommioStream {
    // None only in `into_fd`, after which nobody has the stream any more. The cell is borrowed within one poll at a time.
    stream: Option<RefCell<TcpStream>>,
    peer: SocketAddr,
    guess: Guess,
}

pub(super) async fn connect(address: SocketAddr, deadline: Duration) -> io::Result<GlommioStream> {
    let deadline = deadline.max(Duration::from_millis(1));
    GlommioStream::new(TcpStream::connect_timeout(address, deadline).await?)
}

impl GlommioStream {
    pub(super) fn adopt(fd: OwnedFd) -> io::Result<Self> {
        // SAFETY: the descriptor is open and ours; ownership goes to the stream.
        Self::new(unsafe { TcpStream::from_raw_fd(fd.into_raw_fd()) })
    }

    fn new(stream: TcpStream) -> io::Result<Self> {
        let peer = socket::prepare(&borrow_fd(&stream))?;
        Ok(Self { stream: Some(RefCell::new(stream)), peer, guess: Guess::default() })
    }

    fn stream(&self) -> &RefCell<TcpStream> {
        self.stream.as_ref().expect("only into_fd takes the stream, and it takes us as well")
    }

    /// Receives at once if that is likely to give something, else when the ring says that the socket is ready.
    fn poll_read(
        &self,
        context: &mut Context<'_>,
        scratch: &RefCell<Vec<u8>>,
        first: bool,
    ) -> Poll<io::Result<usize>> {
        let mut scratch = scratch.borrow_mut();
        socket::refuse_empty(&scratch)?;
        let mut stream = self.stream().borrow_mut();
        if first && self.guess.try_now() {
            match socket::receive_now(borrow_fd(&stream), &mut scratch) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.guess.was_wrong(),
                done => {
                    self.guess.was_right();
                    return Poll::Ready(done);
                }
            }
        }
        // Waits, then receives. After a short read glommio asks the ring at once to poll for more, which is right when nothing
        // more is there yet.
        Pin::new(&mut *stream).poll_read(context, &mut scratch)
    }
}

impl Stream for GlommioStream {
    async fn read(&self, scratch: &RefCell<Vec<u8>>) -> io::Result<usize> {
        let mut first = true;
        poll_fn(|context| {
            let polled = self.poll_read(context, scratch, first);
            if !first && polled.is_ready() {
                // We were woken by a look at the sockets.
                turn_begins();
            }
            first = false;
            polled
        })
        .await
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        socket::send_now(borrow_fd(&self.stream().borrow()), bytes)
    }

    async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.try_write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
        poll_fn(|context| Pin::new(&mut *self.stream().borrow_mut()).poll_write(context, bytes)).await
    }

    fn shutdown(&self) {
        socket::shutdown(borrow_fd(&self.stream().borrow()));
    }

    fn reset(&self) {
        socket::reset(borrow_fd(&self.stream().borrow()));
    }

    fn peer_address(&self) -> SocketAddr {
        self.peer
    }

    fn into_fd(mut self) -> io::Result<OwnedFd> {
        let stream = self.stream.take().expect("taken once, by value").into_inner();
        // A copy of the descriptor: the stream closes its own, and takes back what it asked of the ring.
        borrow_fd(&stream).try_clone_to_owned()
    }
}

impl Drop for GlommioStream {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            // A poll in the ring would keep the connection open after close.
            socket::shutdown(borrow_fd(&stream.borrow()));
        }
    }
}

/// Whether the next read will find bytes without waiting. At saturation it does, and a poll through the ring would be
/// wasted; on a quiet connection it does not, and an attempt would be. So: try after a read that was right, and after
/// wrong ones ever more rarely.
#[derive(Default)]
struct Guess {
    skip: Cell<u8>,
    penalty: Cell<u8>,
}

/// Reads between two attempts on a connection that always waits: one wasted receive in 64 reads.
const GUESS_PENALTY_MAX: u8 = 64;

impl Guess {
    fn try_now(&self) -> bool {
        match self.skip.get() {
            0 => true,
            left => {
                self.skip.set(left - 1);
                false
            }
        }
    }

    fn was_right(&self) {
        self.penalty.set(0);
    }

    fn was_wrong(&self) {
        let penalty = (self.penalty.get().max(1) * 2).min(GUESS_PENALTY_MAX);
        self.penalty.set(penalty);
        self.skip.set(penalty - 1);
    }
}

/// A listening socket on the glommio back end.
pub struct GlommioListener {
    listener: TcpListener,
    fd: OwnedFd,
    local: SocketAddr,
}

impl GlommioListener {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let (socket, local) = socket::listening_socket(address)?;
        // glommio's listener does not lend its descriptor, so we keep a copy to close it with.
        let fd = OwnedFd::from(socket.try_clone()?);
        // SAFETY: the descriptor is open and ours; ownership goes to the listener.
        let listener = unsafe { TcpListener::from_raw_fd(OwnedFd::from(socket).into_raw_fd()) };
        Ok(Self { listener, fd, local })
    }
}

impl Listener for GlommioListener {
    type Stream = GlommioStream;

    async fn accept(&self) -> io::Result<(GlommioStream, SocketAddr)> {
        loop {
            // Bound in the same step: what is accepted has no destructor of its own.
            let stream = self.listener.shared_accept().await?.bind_to_executor();
            descriptors::may_accept(stream.as_raw_fd())?;
            // One that the peer has reset already is no reason to stop.
            if let Ok(stream) = GlommioStream::new(stream) {
                let peer = stream.peer_address();
                return Ok((stream, peer));
            }
        }
    }

    fn local_address(&self) -> SocketAddr {
        self.local
    }

    fn close(&self) {
        use std::os::fd::AsFd;
        socket::shutdown(self.fd.as_fd());
    }
}

/// glommio lends its descriptors only as numbers.
fn borrow_fd(stream: &TcpStream) -> BorrowedFd<'_> {
    // SAFETY: the stream owns the descriptor and outlives the borrow.
    unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_grow_rare_when_wrong_and_recover_when_right() {
        let guess = Guess::default();
        let attempts = |reads: usize| {
            (0..reads).filter(|_| guess.try_now().then(|| guess.was_wrong()).is_some()).count()
        };
        assert_eq!(attempts(2), 1);
        assert_eq!(attempts(4), 1);
        assert!(attempts(640) <= 16);
        while !guess.try_now() {}
        guess.was_right();
        assert!((0..10).all(|_| guess.try_now()));
    }
}
