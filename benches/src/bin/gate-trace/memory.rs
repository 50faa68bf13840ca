//! A back end of [`Runtime`] in memory, for measuring: one thread, tasks in the order in which they were woken, time that
//! only [`advance`] moves, sockets that are buffers. The same calls give the same steps, so that what a trace costs can be
//! counted exactly.
//!
//! The gateway runs only inside [`turn`], and there only inside [`run_gateway`]: what is measured is what happens below
//! that function, which the measuring tools find by its name.

use runtime::{Backend, Listener, Placement, Runtime, ShardThread, Stream};
use std::alloc::System;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Where the gateway listens; the number is only a name here.
const GATEWAY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
/// Where a customer comes from.
const CUSTOMER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2);

thread_local! {
    static TASKS: RefCell<Vec<Option<Task>>> = const { RefCell::new(Vec::new()) };
    static READY: RefCell<VecDeque<usize>> = const { RefCell::new(VecDeque::new()) };
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static SLEEPERS: RefCell<Vec<(Duration, Waker)>> = const { RefCell::new(Vec::new()) };
    static ACCEPTS: Rc<Accepts> = Rc::default();
    static CONNECTED: RefCell<VecDeque<Peer>> = const { RefCell::new(VecDeque::new()) };
    static COUNTS: Cell<Counts> = const { Cell::new(Counts::ZERO) };
    static INJECTED: Cell<Injection> = const { Cell::new(Injection::NONE) };
}

/// What was counted inside [`turn`] so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    /// Allocations and reallocations.
    pub(crate) allocations: u64,
    /// Reads that found something.
    pub(crate) reads: u64,
    /// Writes.
    pub(crate) writes: u64,
}

impl Counts {
    const ZERO: Counts = Counts { allocations: 0, reads: 0, writes: 0 };
}

/// Work that is no part of the gateway, done in the next turn to show that the gate sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Injection {
    /// Rounds of a loop of a few instructions.
    pub(crate) rounds: u64,
    /// Allocations.
    pub(crate) allocations: u64,
}

impl Injection {
    const NONE: Injection = Injection { rounds: 0, allocations: 0 };
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    alarm: Arc<Alarm>,
}

/// Puts its task into the queue, once until it has run.
struct Alarm {
    task: usize,
    is_queued: AtomicBool,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::Relaxed) {
            READY.with_borrow_mut(|ready| ready.push_back(self.task));
        }
    }
}

/// What was counted so far.
pub(crate) fn counts() -> Counts {
    COUNTS.get()
}

/// Adds this to the next turn.
pub(crate) fn inject(injection: Injection) {
    INJECTED.set(injection);
}

/// Lets the gateway do all that it can do now.
pub(crate) fn turn() {
    let allocations = || {
        let stats = COUNTED.stats();
        (stats.allocations + stats.reallocations) as u64
    };
    let before = allocations();
    run_gateway();
    let mut counts = COUNTS.get();
    counts.allocations += allocations() - before;
    COUNTS.set(counts);
}

/// Lets time pass, and wakes who slept until now.
pub(crate) fn advance(by: Duration) {
    let now = NOW.get() + by;
    NOW.set(now);
    SLEEPERS.with_borrow_mut(|sleepers| {
        sleepers.retain(|(due, waker)| {
            let sleeps = *due > now;
            if !sleeps {
                waker.wake_by_ref();
            }
            sleeps
        });
    });
}

/// Drops the gateway with its connections, while everything that it needs for that still stands.
pub(crate) fn end() {
    drop(TASKS.take());
}

/// The gateway's work. Callgrind and DHAT count what this function calls, by its name.
#[inline(never)]
fn run_gateway() {
    let injection = INJECTED.replace(Injection::NONE);
    for round in 0..injection.rounds {
        black_box(round);
    }
    for round in 0..injection.allocations {
        black_box(Box::new(round));
    }
    while let Some(place) = READY.with_borrow_mut(VecDeque::pop_front) {
        let taken = TASKS.with_borrow_mut(|tasks| tasks[place].take());
        let Some(mut task) = taken else { continue };
        task.alarm.is_queued.store(false, Ordering::Relaxed);
        let waker = Waker::from(task.alarm.clone());
        if task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            TASKS.with_borrow_mut(|tasks| tasks[place] = Some(task));
        }
    }
}

/// Octets on their way from one side to the other.
#[derive(Default)]
struct Pipe {
    octets: RefCell<Vec<u8>>,
    is_closed: Cell<bool>,
    reader: RefCell<Option<Waker>>,
}

impl Pipe {
    fn wake(&self) {
        if let Some(waker) = self.reader.borrow_mut().take() {
            waker.wake();
        }
    }

    fn close(&self) {
        self.is_closed.set(true);
        self.wake();
    }
}

/// The other end of a connection of the gateway.
pub(crate) struct Peer {
    to_gateway: Rc<Pipe>,
    from_gateway: Rc<Pipe>,
}

impl Peer {
    pub(crate) fn send(&self, octets: &[u8]) {
        self.to_gateway.octets.borrow_mut().extend_from_slice(octets);
        self.to_gateway.wake();
    }

    /// Appends what the gateway has written.
    pub(crate) fn receive(&self, into: &mut Vec<u8>) {
        into.append(&mut self.from_gateway.octets.borrow_mut());
    }
}

/// A customer connects.
pub(crate) fn connect_to_gateway() -> Peer {
    let (stream, peer) = connection(CUSTOMER);
    ACCEPTS.with(|accepts| {
        accepts.waiting.borrow_mut().push_back(stream);
        if let Some(waker) = accepts.waker.borrow_mut().take() {
            waker.wake();
        }
    });
    peer
}

/// The oldest connection that the gateway made and nobody took.
pub(crate) fn accept_from_gateway() -> Option<Peer> {
    CONNECTED.with_borrow_mut(VecDeque::pop_front)
}

fn connection(peer: SocketAddr) -> (MemoryStream, Peer) {
    let (to_gateway, from_gateway) = (Rc::<Pipe>::default(), Rc::<Pipe>::default());
    let stream = MemoryStream { incoming: to_gateway.clone(), outgoing: from_gateway.clone(), peer };
    (stream, Peer { to_gateway, from_gateway })
}

/// The back end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory;

impl Runtime for Memory {
    /// For reports only.
    const BACKEND: Backend = Backend::Tokio;
    type Stream = MemoryStream;
    type Listener = MemoryListener;

    fn spawn(future: impl Future<Output = ()> + 'static) {
        TASKS.with_borrow_mut(|tasks| {
            let alarm = Arc::new(Alarm { task: tasks.len(), is_queued: AtomicBool::new(false) });
            tasks.push(Some(Task { future: Box::pin(future), alarm: alarm.clone() }));
            alarm.wake();
        });
    }

    async fn sleep(duration: Duration) {
        let due = NOW.get() + duration;
        poll_fn(|context| {
            if NOW.get() >= due {
                return Poll::Ready(());
            }
            SLEEPERS.with_borrow_mut(|sleepers| sleepers.push((due, context.waker().clone())));
            Poll::Pending
        })
        .await;
    }

    async fn yield_now() {
        let mut has_yielded = false;
        poll_fn(|context| {
            if std::mem::replace(&mut has_yielded, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Never: a turn here is one batch of a trace, which is short.
    async fn yield_if_needed() {}

    async fn connect(address: SocketAddr, _deadline: Duration) -> io::Result<MemoryStream> {
        let (stream, peer) = connection(address);
        CONNECTED.with_borrow_mut(|connected| connected.push_back(peer));
        Ok(stream)
    }

    fn listen(_address: SocketAddr) -> io::Result<MemoryListener> {
        Ok(MemoryListener(ACCEPTS.with(Rc::clone)))
    }

    fn adopt(_fd: OwnedFd) -> io::Result<MemoryStream> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn run<F, Fut>(_placement: Placement, _name: &str, _main: F) -> io::Result<ShardThread>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A connection.
pub(crate) struct MemoryStream {
    incoming: Rc<Pipe>,
    outgoing: Rc<Pipe>,
    peer: SocketAddr,
}

/// Stands for the kernel's copy between its buffers and ours, and is told apart by its name.
#[inline(never)]
fn copy_as_kernel(from: &[u8], into: &mut [u8]) {
    into.copy_from_slice(from);
}

impl Stream for MemoryStream {
    async fn read(&self, scratch: &RefCell<Vec<u8>>) -> io::Result<usize> {
        poll_fn(|context| {
            let mut waiting = self.incoming.octets.borrow_mut();
            if waiting.is_empty() && !self.incoming.is_closed.get() {
                *self.incoming.reader.borrow_mut() = Some(context.waker().clone());
                return Poll::Pending;
            }
            let mut scratch = scratch.borrow_mut();
            let octets = waiting.len().min(scratch.len());
            copy_as_kernel(&waiting[..octets], &mut scratch[..octets]);
            waiting.drain(..octets);
            COUNTS.set(Counts { reads: COUNTS.get().reads + 1, ..COUNTS.get() });
            Poll::Ready(Ok(octets))
        })
        .await
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut waiting = self.outgoing.octets.borrow_mut();
        let before = waiting.len();
        waiting.resize(before + bytes.len(), 0);
        copy_as_kernel(bytes, &mut waiting[before..]);
        COUNTS.set(Counts { writes: COUNTS.get().writes + 1, ..COUNTS.get() });
        Ok(bytes.len())
    }

    async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write(bytes)
    }

    fn shutdown(&self) {
        self.incoming.close();
        self.outgoing.close();
    }

    fn reset(&self) {
        self.shutdown();
    }

    fn peer_address(&self) -> SocketAddr {
        self.peer
    }

    fn into_fd(self) -> io::Result<OwnedFd> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        self.shutdown();
    }
}

#[derive(Default)]
struct Accepts {
    waiting: RefCell<VecDeque<MemoryStream>>,
    waker: RefCell<Option<Waker>>,
}

/// The gateway's one port.
pub(crate) struct MemoryListener(Rc<Accepts>);

impl Listener for MemoryListener {
    type Stream = MemoryStream;

    async fn accept(&self) -> io::Result<(MemoryStream, SocketAddr)> {
        poll_fn(|context| match self.0.waiting.borrow_mut().pop_front() {
            Some(stream) => Poll::Ready(Ok((stream, CUSTOMER))),
            None => {
                *self.0.waker.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
        })
        .await
    }

    fn local_address(&self) -> SocketAddr {
        GATEWAY
    }

    fn close(&self) {}
}
