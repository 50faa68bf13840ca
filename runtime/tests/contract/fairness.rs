//! Nobody is starved, nobody sleeps through a wake-up.

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use runtime::{
    Closed, Listener, Placement, Receiver, Runtime, Sender, Stop, Stream, allowed_cores, mailbox,
    monotonic_nanos,
};

use super::support::{STUCK, any_port, echo_until_end, on_a_shard, scratch, start};

pub(crate) fn a_quiet_session_is_served_beside_a_firehose<R: Runtime>() {
    const ROUND_TRIPS: usize = 100;
    let stop = Stop::new();
    let (tell, port) = mpsc::channel::<SocketAddr>();
    let stops = stop.clone();
    let server = start::<R, _, _, _>("firehose", move || async move {
        let listener = Rc::new(R::listen(any_port()).unwrap());
        tell.send(listener.local_address()).unwrap();
        let (firehose, _peer) = listener.accept().await.unwrap();
        R::spawn(drink::<R>(firehose));
        let (quiet, _peer) = listener.accept().await.unwrap();
        R::spawn(echo_until_end::<R>(quiet));
        stops.requested().await;
    });
    let address = port.recv_timeout(STUCK).unwrap();
    let mut flood = TcpStream::connect(address).unwrap();
    let flooding = thread::spawn(move || {
        let block = vec![7; 256 * 1024];
        while flood.write_all(&block).is_ok() {}
    });
    let mut quiet = TcpStream::connect(address).unwrap();
    quiet.set_nodelay(true).unwrap();
    quiet.set_read_timeout(Some(STUCK)).unwrap();
    let mut slowest = Duration::ZERO;
    for round in 0..ROUND_TRIPS as u8 {
        let started = Instant::now();
        quiet.write_all(&[round; 150]).unwrap();
        let mut answer = [0; 150];
        quiet.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [round; 150]);
        slowest = slowest.max(started.elapsed());
    }
    assert!(slowest < Duration::from_secs(1), "the quiet session waited {slowest:?}");
    stop.request();
    server.finish();
    flooding.join().unwrap();
}

/// Reads without end, working on each read for longer than the peer needs to send the next.
async fn drink<R: Runtime>(stream: R::Stream) {
    let scratch = scratch();
    while matches!(stream.read(&scratch).await, Ok(1..)) {
        work(Duration::from_micros(100));
        R::yield_if_needed().await;
    }
}

fn work(duration: Duration) {
    let end = Instant::now() + duration;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

/// Work that begins in the executor's very first turn, before anything was waited for.
pub(crate) fn work_from_the_first_turn_on_leaves_timers_served<R: Runtime>() {
    async fn if_needed<R: Runtime>() {
        R::yield_if_needed().await;
    }
    async fn always<R: Runtime>() {
        R::yield_now().await;
    }
    sleeps_beside_work::<R, _>("yield_if_needed", if_needed::<R>);
    sleeps_beside_work::<R, _>("yield_now", always::<R>);
}

/// Sleeps for a millisecond beside a task that works and yields without end.
fn sleeps_beside_work<R: Runtime, Y: Future<Output = ()> + 'static>(
    name: &str,
    give_way: impl Fn() -> Y + Send + 'static,
) {
    let waited = on_a_shard::<R, _, _, _>(move || async move {
        let awake = Rc::new(Cell::new(false));
        let stop = Rc::clone(&awake);
        R::spawn(async move {
            while !stop.get() {
                work(Duration::from_micros(50));
                give_way().await;
            }
        });
        let started = Instant::now();
        R::sleep(Duration::from_millis(1)).await;
        awake.set(true);
        started.elapsed()
    });
    assert!(waited < Duration::from_secs(1), "{name} on {}: a sleep of 1 ms took {waited:?}", R::BACKEND);
}

/// The fault to be caught parks an executor for ever although it has tasks; it shows under a third load on two cores.
pub(crate) fn two_executors_never_stall_beside_a_hog<R: Runtime>() {
    const RUNS: usize = 60;
    const RUN: Duration = Duration::from_millis(150);
    const STALL: Duration = Duration::from_secs(1);
    let hog = Hog::start();
    let cores = allowed_cores();
    let place = |index: usize| Placement::Core(cores[index % cores.len()]);
    for run in 0..RUNS {
        let (there, from_here) = mailbox::<u64>(8);
        let (back, from_there) = mailbox::<u64>(8);
        let answering = R::run(place(1), "answers", || answer::<R>(from_here, back)).unwrap();
        let (tell, slowest) = mpsc::channel::<Duration>();
        let asking = R::run(place(0), "asks", move || async move {
            tell.send(ask::<R>(there, from_there, RUN).await).unwrap();
        });
        let slowest = slowest
            .recv_timeout(STUCK)
            .unwrap_or_else(|_| panic!("run {run} on {}: both executors sleep", R::BACKEND));
        assert!(slowest < STALL, "run {run} on {}: an executor slept for {slowest:?}", R::BACKEND);
        asking.unwrap().join().unwrap();
        answering.join().unwrap();
    }
    drop(hog);
    eprintln!("executors woken by the watch: {}", runtime::glommio::Glommio::stall_wakes());
}

/// Sends a token to and fro; returns the slowest round trip.
async fn ask<R: Runtime>(mut there: Sender<u64>, mut back: Receiver<u64>, run: Duration) -> Duration {
    let mut slowest = 0;
    let mut batch = Vec::new();
    let end = monotonic_nanos() + u64::try_from(run.as_nanos()).unwrap();
    while monotonic_nanos() < end {
        let sent = monotonic_nanos();
        there.push(sent).unwrap();
        there.ring();
        burst::<R>().await;
        back.receive(&mut batch, 8).await.expect("the other answers");
        assert_eq!(std::mem::take(&mut batch), [sent]);
        slowest = slowest.max(monotonic_nanos() - sent);
    }
    Duration::from_nanos(slowest)
}

async fn answer<R: Runtime>(mut asked: Receiver<u64>, mut back: Sender<u64>) {
    let mut batch = Vec::new();
    while asked.receive(&mut batch, 8).await != Err(Closed) {
        burst::<R>().await;
        for token in batch.drain(..) {
            back.push(token).unwrap();
        }
        back.ring();
    }
}

/// Some tasks that take turns and outlast a preempt timer together.
async fn burst<R: Runtime>() {
    const TASKS: usize = 4;
    let left = Rc::new(Cell::new(TASKS));
    for _ in 0..TASKS {
        let left = Rc::clone(&left);
        R::spawn(async move {
            for _ in 0..4 {
                work(Duration::from_micros(30));
                R::yield_now().await;
            }
            left.set(left.get() - 1);
        });
    }
    while left.get() > 0 {
        R::yield_now().await;
    }
}

/// A thread that does nothing but use its core.
struct Hog {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Hog {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stops = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stops.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(crate) fn yielding_lets_every_ready_task_run<R: Runtime>() {
    on_a_shard::<R, _, _, _>(|| async {
        const TASKS: usize = 50;
        let order = Rc::new(RefCell::new(Vec::new()));
        for task in 0..TASKS {
            let order = Rc::clone(&order);
            R::spawn(async move { order.borrow_mut().push(task) });
        }
        assert!(order.borrow().is_empty());
        R::yield_now().await;
        assert_eq!(*order.borrow(), (0..TASKS).collect::<Vec<_>>());
    });
}

pub(crate) fn a_plain_thread_and_a_shard_exchange_batches<R: Runtime>() {
    const MESSAGES: u64 = 100_000;
    let (mut there, mut from_thread) = mailbox::<u64>(128);
    let (mut back, mut from_shard) = mailbox::<u64>(128);
    let shard = start::<R, _, _, _>("echoes", move || async move {
        let mut batch = Vec::new();
        while from_thread.receive(&mut batch, 64).await.is_ok() {
            for message in batch.drain(..) {
                back.push(message).expect("no more is under way than there is room for");
            }
            back.ring();
        }
    });
    let (mut sent, mut received) = (0, 0);
    let mut batch = Vec::new();
    while received < MESSAGES {
        while sent < MESSAGES && sent - received < 100 {
            there.push(sent).unwrap();
            sent += 1;
        }
        there.ring();
        from_shard.receive_blocking(&mut batch, 64, STUCK).unwrap();
        assert!(!batch.is_empty(), "a wake-up was lost after {received} messages");
        for message in batch.drain(..) {
            assert_eq!(message, received);
            received += 1;
        }
    }
    drop(there);
    shard.finish();
}
