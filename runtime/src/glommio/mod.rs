//! The io_uring back end: one glommio executor on each shard's thread.
//!
//! glommio 0.9.0 has hazards; each is met at the place named here, so that nobody above has to know them.
//!
//! * Its loop may park while tasks are ready: a heartbeat bounds that, and a shorter guard where tasks yield (`executor`).
//! * In its first turn no timer is armed yet: the timer is long until the shard's own queue is busy (`tasks`), and
//!   the shard's work begins in the second turn (`executor`).
//! * Whatever else may keep it asleep: a thread watches the beats and counts what it had to wake (`watch`).
//! * A busy executor looks at nothing outside until its preempt timer fires: the timer is 0.5 ms, and tasks that yield
//!   empty the queue when a turn is over by the clock, because the timer may be late or not be set (`executor`).
//! * Ready sockets are read without end: callers yield (`Runtime::yield_if_needed`), contract test "firehose".
//! * Cancelled tasks leak, panicking ones end the executor, and those left at the end are never dropped: no task
//!   is cancelled, panics are caught, and tasks are ended by hand (`tasks`).
//! * A new task runs inside the call that spawns it: it is scheduled instead (`tasks`).
//! * Its listener shares its port unasked, its names resolve by blocking: sockets are made by us from addresses (`net`).
//! * A ring that polls a socket keeps it open after close: streams are shut down before they are closed (`net`).
//! * Accepted connections have no destructor: they are bound at once (`net`).
//! * Its helper thread for blocking work sits on the executor's core: it is made before the thread is pinned (`executor`).
//! * It exits the process on a kernel that lacks an operation: `select` asks for each of them first.

mod executor;
mod net;
mod tasks;
mod timer;
mod watch;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::{Backend, Placement, Runtime, ShardThread};

pub(crate) use executor::IO_MEMORY;
pub use net::{GlommioListener, GlommioStream};

/// The glommio back end. [`select`](crate::select()) tells whether the machine allows it; without that its `run` may end
/// the process on an old kernel.
#[derive(Clone, Copy, Debug)]
pub struct Glommio;

impl Glommio {
    /// How often an executor of this process was found silent for 50 ms and woken: a stall, or a core that others
    /// hold. A metric; it should stay near zero on a machine with cores to spare.
    pub fn stall_wakes() -> u64 {
        watch::wakes()
    }
}

impl Runtime for Glommio {
    const BACKEND: Backend = Backend::Glommio;
    type Stream = GlommioStream;
    type Listener = GlommioListener;

    fn spawn(future: impl Future<Output = ()> + 'static) {
        tasks::spawn(future);
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

    async fn connect(address: SocketAddr, deadline: Duration) -> io::Result<GlommioStream> {
        net::connect(address, deadline).await
    }

    fn listen(address: SocketAddr) -> io::Result<GlommioListener> {
        GlommioListener::bind(address)
    }

    fn adopt(fd: OwnedFd) -> io::Result<GlommioStream> {
        GlommioStream::adopt(fd)
    }

    fn run<F, Fut>(placement: Placement, name: &str, main: F) -> io::Result<ShardThread>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        executor::run(placement, name, main)
    }
}
