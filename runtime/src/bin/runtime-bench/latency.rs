//! How long a quiet session, or a message from another thread, waits for a shard.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use runtime::{Listener, Placement, Runtime, SCRATCH_SIZE, Stop, Stream, mailbox, monotonic_nanos};

use crate::Cores;
use crate::echo::{frame, serve};

pub(crate) struct Percentiles {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
}

impl Percentiles {
    fn of(mut nanos: Vec<u64>) -> Self {
        nanos.sort_unstable();
        let at = |share: f64| nanos[((nanos.len() - 1) as f64 * share) as usize];
        Self { p50: at(0.5), p99: at(0.99) }
    }
}

/// Round trips of one session while another sends without end and each of its reads costs the shard work.
pub(crate) fn quiet_beside_firehose<R: Runtime>(samples: usize, cores: Cores) -> Percentiles {
    let stop = Stop::new();
    let stops = stop.clone();
    let (tell, port) = mpsc::channel();
    let server = R::run(Placement::Core(cores.server), "quiet-server", move || async move {
        let listener = R::listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port is free");
        tell.send(listener.local_address()).expect("the bench waits");
        let scratch = Rc::new(RefCell::new(vec![0; SCRATCH_SIZE]));
        let (firehose, _peer) = listener.accept().await.expect("the firehose connects");
        R::spawn(drink::<R>(firehose, Rc::clone(&scratch)));
        let (quiet, _peer) = listener.accept().await.expect("the quiet session connects");
        R::spawn(serve::<R>(quiet, scratch));
        stops.requested().await;
    });
    let address = port.recv().expect("the server listens");
    let mut firehose = TcpStream::connect(address).expect("the server accepts");
    let flood = thread::spawn(move || {
        pin(cores.load);
        let block = vec![7; 256 * 1024];
        while firehose.write_all(&block).is_ok() {}
    });
    let mut quiet = TcpStream::connect(address).expect("the server accepts");
    let session = thread::spawn(move || {
        pin(cores.load);
        quiet.set_nodelay(true).expect("an option of every socket");
        let mut nanos = Vec::with_capacity(samples);
        for _ in 0..samples {
            let sent = monotonic_nanos();
            quiet.write_all(&frame()).expect("the server reads");
            quiet.read_exact(&mut frame()).expect("the server answers");
            nanos.push(monotonic_nanos() - sent);
        }
        nanos
    });
    let nanos = session.join().expect("the session ends well");
    stop.request();
    server.and_then(|server| server.join().map_err(std::io::Error::other)).expect("the server ends well");
    flood.join().expect("the firehose ends with the server");
    Percentiles::of(nanos)
}

/// One microsecond of work for each frame's worth of bytes, as a gateway would do.
async fn drink<R: Runtime>(stream: R::Stream, scratch: Rc<RefCell<Vec<u8>>>) {
    while let Ok(count @ 1..) = stream.read(&scratch).await {
        work(Duration::from_nanos(1_000 * (count / crate::echo::FRAME) as u64));
        R::yield_if_needed().await;
    }
}

fn work(duration: Duration) {
    let end = Instant::now() + duration;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

/// From a ring of the doorbell until the task runs, on a shard whose other task never rests.
pub(crate) fn wake_of_a_busy_shard<R: Runtime>(samples: usize, cores: Cores) -> Percentiles {
    wake::<R>(samples, cores, true)
}

/// The same on a shard that sleeps.
pub(crate) fn wake_of_a_resting_shard<R: Runtime>(samples: usize, cores: Cores) -> Percentiles {
    wake::<R>(samples, cores, false)
}

fn wake<R: Runtime>(samples: usize, cores: Cores, busy: bool) -> Percentiles {
    const GAP: Duration = Duration::from_micros(700);
    let (mut sender, mut receiver) = mailbox::<u64>(1024);
    let (tell, result) = mpsc::channel();
    let shard = R::run(Placement::Core(cores.server), "wake-server", move || async move {
        if busy {
            R::spawn(async {
                loop {
                    work(Duration::from_micros(20));
                    R::yield_if_needed().await;
                }
            });
        }
        let mut nanos = Vec::new();
        let mut batch = Vec::new();
        while receiver.receive(&mut batch, 64).await.is_ok() {
            nanos.extend(batch.drain(..).map(|sent| monotonic_nanos() - sent));
        }
        tell.send(nanos).expect("the bench waits");
    });
    let sending = thread::spawn(move || {
        pin(cores.load);
        for _ in 0..samples {
            thread::sleep(GAP);
            sender.push(monotonic_nanos()).expect("the shard keeps up");
            sender.ring();
        }
    });
    sending.join().expect("the sender ends well");
    let nanos = result.recv().expect("the shard ends");
    shard.and_then(|shard| shard.join().map_err(std::io::Error::other)).expect("the shard ends well");
    Percentiles::of(nanos)
}

/// Binds a plain thread of the load to its core.
fn pin(core: usize) {
    runtime::pin_this_thread(core).expect("an allowed core");
}
