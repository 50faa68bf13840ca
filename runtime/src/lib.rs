//! Cores, sockets, timers and mailboxes: what the machine does for a shard.
//!
//! Everything above this crate is written once against [`Runtime`], [`Stream`] and [`Listener`] and is compiled
//! for two back ends of equal rank with static dispatch: [`glommio::Glommio`] (io_uring) and [`tokio::Tokio`]
//! (epoll, one `LocalRuntime` a thread). [`select()`] says which of them to take, and whether the machine allows glommio.
//!
//! ```text
//!   control threads            shard threads: one executor each, pinned, nothing shared that is written
//!  +---------------+  mailbox  +--------------------------------+  mailbox  +------------------+
//!  | configuration | ========> | tasks: links, listener, ticks  | ========> | tasks            |
//!  | store, HTTP   | <======== | ONE scratch buffer for reading | <======== |                  |
//!  +---------------+  ring +   +--------------------------------+           +------------------+
//!                    doorbell        glommio | tokio                             ...
//! ```
//!
//! What both back ends guarantee, and `tests/contract.rs` shows:
//!
//! * a task runs to its end: it is never cancelled, and a panic in it ends that task only ([`panics()`] counts);
//! * [`Runtime::spawn`] never runs the new task before it returns, so a borrow may be held across it;
//! * when the main future of a shard returns, the tasks left are dropped on that thread, destructors included;
//! * a busy task that calls [`Runtime::yield_if_needed`] between its steps leaves the other sessions served;
//! * bytes are read into one buffer per shard, so an idle connection holds none;
//! * a stream that goes out of scope is shut down at once and its descriptor is closed.
//!
//! This is the only crate that may use `unsafe`, glommio and, on shards, tokio.

mod budget;
mod cores;
mod descriptors;
pub mod glommio;
mod mailbox;
mod panics;
mod select;
mod shard;
mod socket;
mod stop;
pub mod testing;
pub mod tokio;

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

pub use budget::Budget;
pub use cores::{allowed_cores, pin_this_thread};
pub use descriptors::{
    DescriptorLimit, descriptor_limit, is_out_of_descriptors, open_descriptors, raise_descriptor_limit,
    reserve_descriptors_from,
};
pub use mailbox::{Closed, Full, Receiver, Sender, mailbox};
pub use panics::panics;
pub use select::{Backend, BackendChoice, Selected, UnknownBackend, select};
pub use shard::{Placement, ShardPanic, ShardThread};
pub use socket::LISTEN_BACKLOG;
pub use stop::{Requested, Stop};

/// Size in bytes of the one buffer a shard reads all its streams into. 64 KiB is some four hundred short messages:
/// enough that a busy link takes many of them with one system call, and small enough to stay in the second-level cache
/// together with the link it is parsed for.
pub const SCRATCH_SIZE: usize = 64 * 1024;

/// One back end. The implementing types are empty: a program names one as its generic parameter and all calls
/// are static.
///
/// Except for [`run`](Runtime::run), every function must be called on a thread that `run` made, by a task of its
/// executor.
pub trait Runtime: Copy + Send + Sync + 'static {
    /// Which back end this is.
    const BACKEND: Backend;
    /// A TCP connection of this back end.
    type Stream: Stream;
    /// A listening TCP socket of this back end.
    type Listener: Listener<Stream = Self::Stream>;

    /// Starts a task on this shard. It is detached and never cancelled, and is first polled after `spawn`
    /// returned. A panic in it ends only this task; it is logged and counted by [`panics()`].
    fn spawn(future: impl Future<Output = ()> + 'static);

    /// Waits at least `duration`; both back ends are late by up to about a millisecond. May be dropped early.
    fn sleep(duration: Duration) -> impl Future<Output = ()>;

    /// Lets every ready task run once before this one goes on.
    fn yield_now() -> impl Future<Output = ()>;

    /// Yields when this shard has worked long enough (about a millisecond) without looking at its sockets; costs
    /// a few nanoseconds otherwise. To be called between the steps of any loop that may run long.
    fn yield_if_needed() -> impl Future<Output = ()>;

    /// Opens a connection. An error of kind `TimedOut` means that `deadline` passed; a deadline of zero counts as
    /// one millisecond.
    fn connect(address: SocketAddr, deadline: Duration) -> impl Future<Output = io::Result<Self::Stream>>;

    /// Listens on `address`, alone: a second listener on the same port fails with `AddrInUse`. Port 0 takes a free one.
    fn listen(address: SocketAddr) -> io::Result<Self::Listener>;

    /// Takes over a connected socket, such as one handed over by another shard with [`Stream::into_fd`].
    fn adopt(fd: OwnedFd) -> io::Result<Self::Stream>;

    /// Starts a thread with one executor and runs the future that `main` makes on it. Returns when the
    /// executor stands; an error means that no thread is left behind.
    fn run<F, Fut>(placement: Placement, name: &str, main: F) -> io::Result<ShardThread>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static;
}

/// A TCP connection, with TCP_NODELAY set. All calls take `&self`: a reading task and a writing task share one
/// `Rc<Stream>`. At most one task reads and at most one writes. Dropping the stream shuts the connection down.
pub trait Stream: 'static {
    /// Waits until there is something, then reads into `scratch[..]` and returns how many bytes; 0 is the end of the
    /// stream. `scratch` is borrowed only while the future is polled, so one buffer serves every stream of a shard: the
    /// bytes are valid until the caller's next await. An empty `scratch` is refused with `InvalidInput`.
    fn read(&self, scratch: &RefCell<Vec<u8>>) -> impl Future<Output = io::Result<usize>>;

    /// Hands bytes to the kernel without waiting; returns how many it took, or `WouldBlock`.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Waits until the kernel took some of `bytes` and returns how many.
    fn write(&self, bytes: &[u8]) -> impl Future<Output = io::Result<usize>>;

    /// Ends both directions; the peer sees an orderly end. Wakes a pending read with 0 or an error.
    fn shutdown(&self);

    /// Breaks the connection off: the peer sees a reset. Wakes a pending read with 0 or an error.
    fn reset(&self);

    /// Address of the other end, as it was when the connection was made.
    fn peer_address(&self) -> SocketAddr;

    /// Gives the socket up for another shard to [`adopt`](Runtime::adopt). No read may be pending. Bytes that
    /// were read before are the caller's to pass on.
    fn into_fd(self) -> io::Result<OwnedFd>;
}

/// A listening TCP socket.
pub trait Listener: 'static {
    /// The connections it yields.
    type Stream;

    /// Waits for a connection. One whose descriptor is of the reserve ([`reserve_descriptors_from`]) is closed, and an error
    /// as if the kernel had none left: see [`is_out_of_descriptors`]. To end a pending accept call [`close`](Listener::close) and await the error; dropping
    /// the future may lose a connection that arrived at that moment.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>>;

    /// The address it listens on, with the port that was really taken.
    fn local_address(&self) -> SocketAddr;

    /// Stops listening: new connections are refused and a pending accept ends with an error.
    fn close(&self);
}

/// Calls a function that is generic over [`Runtime`] on the back end that [`select()`] chose:
/// `on_backend!(selected.backend, start_on(scenario, sink))`. Programs need not name a back end.
#[macro_export]
macro_rules! on_backend {
    ($backend:expr, $($part:ident)::+($($argument:expr),* $(,)?)) => {
        match $backend {
            $crate::Backend::Glommio => $($part)::+::<$crate::glommio::Glommio>($($argument),*),
            $crate::Backend::Tokio => $($part)::+::<$crate::tokio::Tokio>($($argument),*),
        }
    };
}

/// Nanoseconds of the monotonic clock, the same for all threads of the machine.
pub fn monotonic_nanos() -> u64 {
    clock_nanos(libc::CLOCK_MONOTONIC)
}

/// Nanoseconds of CPU that the calling thread has used, in user and kernel mode.
pub fn thread_cpu_nanos() -> u64 {
    clock_nanos(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn clock_nanos(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec for the call to fill.
    let result = unsafe { libc::clock_gettime(clock, &raw mut time) };
    assert_eq!(result, 0, "both clocks exist on every Linux");
    (time.tv_sec as u64) * 1_000_000_000 + time.tv_nsec as u64
}
