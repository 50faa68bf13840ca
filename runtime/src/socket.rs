//! System calls on sockets that both back ends share.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Connections the kernel holds for a listener until they are accepted; the kernel caps it at
/// `net.core.somaxconn` (4,096 by default). A burst of reconnecting customers must fit in it, each costs under 1 KiB.
pub const LISTEN_BACKLOG: i32 = 4096;

/// A listening socket that nobody else can share: SO_REUSEADDR (a port in TIME_WAIT may be taken again after a restart),
/// but not SO_REUSEPORT, with which two gateways would silently split the customers between them.
pub(crate) fn listening_socket(address: SocketAddr) -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    let local = socket.local_addr()?.as_socket().ok_or_else(not_internet)?;
    Ok((socket, local))
}

/// Prepares a connected socket and returns the other end's address.
pub(crate) fn prepare(socket: &impl AsFd) -> io::Result<SocketAddr> {
    let socket = SockRef::from(socket);
    let peer = socket.peer_addr()?.as_socket().ok_or_else(not_internet)?;
    // Flushes are batched by the link; waiting for more bytes in the kernel would only add latency.
    socket.set_tcp_nodelay(true)?;
    // Not every accept sets it, and a child process must not keep a customer's connection open.
    socket.set_cloexec(true)?;
    Ok(peer)
}

/// Ends both directions; not being connected any more is no error.
pub(crate) fn shutdown(socket: BorrowedFd<'_>) {
    let _ = SockRef::from(&socket).shutdown(std::net::Shutdown::Both);
}

/// Sends a reset now and wakes who waits on the socket.
///
/// Closing with SO_LINGER 0 alone would not do: a ring that polls the socket keeps it open after our close, and a shutdown
/// before it would show the peer an orderly end. Connecting to "no address" disconnects at once; SO_LINGER 0 makes the close
/// that follows abort as well, should the kernel have refused the first.
pub(crate) fn reset(socket: BorrowedFd<'_>) {
    let _ = SockRef::from(&socket).set_linger(Some(std::time::Duration::ZERO));
    // SAFETY: all zero is a valid sockaddr.
    let mut nowhere: libc::sockaddr = unsafe { std::mem::zeroed() };
    nowhere.sa_family = libc::AF_UNSPEC as libc::sa_family_t;
    let length = size_of::<libc::sockaddr>() as libc::socklen_t;
    // SAFETY: `nowhere` is a sockaddr of the given length, and the descriptor is open while it is borrowed.
    if unsafe { libc::connect(socket.as_raw_fd(), &raw const nowhere, length) } != 0 {
        shutdown(socket);
    }
}

/// Sends without waiting and without SIGPIPE.
pub(crate) fn send_now(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    loop {
        // SAFETY: pointer and length come from one slice, and the descriptor is open while it is borrowed.
        let sent = unsafe {
            libc::send(
                socket.as_raw_fd(),
                bytes.as_ptr().cast(),
                bytes.len(),
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        if let Some(result) = finished(sent) {
            return result;
        }
    }
}

/// Receives what is there without waiting.
pub(crate) fn receive_now(socket: BorrowedFd<'_>, into: &mut [u8]) -> io::Result<usize> {
    loop {
        // SAFETY: pointer and length come from one exclusive slice, and the descriptor is open while it is borrowed.
        let received = unsafe {
            libc::recv(socket.as_raw_fd(), into.as_mut_ptr().cast(), into.len(), libc::MSG_DONTWAIT)
        };
        if let Some(result) = finished(received) {
            return result;
        }
    }
}

/// The result of a call that returns a length or -1; None when a signal interrupted it.
fn finished(result: isize) -> Option<io::Result<usize>> {
    match usize::try_from(result) {
        Ok(length) => Some(Ok(length)),
        Err(_) => {
            let error = io::Error::last_os_error();
            (error.kind() != io::ErrorKind::Interrupted).then_some(Err(error))
        }
    }
}

/// Reading into no buffer would look like the end of the stream.
pub(crate) fn refuse_empty(scratch: &[u8]) -> io::Result<()> {
    if scratch.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the buffer to read into is empty"));
    }
    Ok(())
}

fn not_internet() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not an internet socket")
}
