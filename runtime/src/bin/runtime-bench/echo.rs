//! Framed echo: the server cuts frames out of the stream and answers each, one write for each read.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use runtime::tokio::Tokio;
use runtime::{Listener, Placement, Runtime, SCRATCH_SIZE, Stop, Stream, monotonic_nanos, thread_cpu_nanos};

use crate::Cores;

/// Bytes of a frame: a usual submit_sm with a short text. The first four are its length.
pub(crate) const FRAME: usize = 150;

pub(crate) struct Echo {
    pub(crate) messages_per_second: f64,
    pub(crate) server_nanos_per_message: f64,
}

pub(crate) fn run<R: Runtime>(connections: usize, window: usize, duration: Duration, cores: Cores) -> Echo {
    let (tell, port) = mpsc::channel();
    let marks = Marks { begin: Stop::new(), end: Stop::new() };
    let (server_marks, load_marks) = (marks.clone(), marks);
    let (cpu_sender, cpu) = mpsc::channel();
    let server = R::run(Placement::Core(cores.server), "echo-server", move || async move {
        let listener = R::listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port is free");
        tell.send(listener.local_address()).expect("the bench waits");
        let scratch = Rc::new(RefCell::new(vec![0; SCRATCH_SIZE]));
        for _ in 0..connections {
            let (stream, _peer) = listener.accept().await.expect("the load connects");
            R::spawn(serve::<R>(stream, Rc::clone(&scratch)));
        }
        server_marks.begin.requested().await;
        let before = thread_cpu_nanos();
        server_marks.end.requested().await;
        cpu_sender.send(thread_cpu_nanos() - before).expect("the bench waits");
    });
    let address = port.recv().expect("the server listens");
    let (result_sender, result) = mpsc::channel();
    // The load is the same for both back ends.
    let load = Tokio::run(Placement::Core(cores.load), "echo-load", move || async move {
        let result = load(address, connections, window, duration, load_marks).await;
        result_sender.send(result).expect("the bench waits");
    });
    let (messages, nanos) = result.recv().expect("the load ends");
    let cpu = cpu.recv().expect("the server saw the end");
    load.and_then(|load| load.join().map_err(std::io::Error::other)).expect("the load ends well");
    server.and_then(|server| server.join().map_err(std::io::Error::other)).expect("the server ends well");
    Echo {
        messages_per_second: messages as f64 * 1e9 / nanos as f64,
        server_nanos_per_message: cpu as f64 / messages.max(1) as f64,
    }
}

/// Begin and end of the measured time.
#[derive(Clone)]
struct Marks {
    begin: Stop,
    end: Stop,
}

/// Answers every frame.
pub(crate) async fn serve<R: Runtime>(stream: R::Stream, scratch: Rc<RefCell<Vec<u8>>>) {
    let mut partial = Vec::new();
    let mut out = Vec::with_capacity(SCRATCH_SIZE);
    while let Ok(count @ 1..) = stream.read(&scratch).await {
        answer(&scratch.borrow()[..count], &mut partial, &mut out);
        let mut sent = 0;
        while sent < out.len() {
            match stream.write(&out[sent..]).await {
                Ok(taken) => sent += taken,
                Err(_gone) => return,
            }
        }
        out.clear();
        R::yield_if_needed().await;
    }
}

/// Appends an answer to `out` for each whole frame of `partial` and `input`; keeps what is left in `partial`.
fn answer(input: &[u8], partial: &mut Vec<u8>, out: &mut Vec<u8>) {
    let mut rest = input;
    if !partial.is_empty() {
        let missing = (FRAME - partial.len()).min(rest.len());
        partial.extend_from_slice(&rest[..missing]);
        rest = &rest[missing..];
        if partial.len() < FRAME {
            return;
        }
        out.extend_from_slice(partial);
        partial.clear();
    }
    while let Some((head, _)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*head) as usize;
        assert_eq!(length, FRAME, "the load sends frames of one length");
        if rest.len() < length {
            break;
        }
        out.extend_from_slice(&rest[..length]);
        rest = &rest[length..];
    }
    partial.extend_from_slice(rest);
}

/// A frame with its length in front.
pub(crate) fn frame() -> [u8; FRAME] {
    let mut frame = [7; FRAME];
    frame[..4].copy_from_slice(&(FRAME as u32).to_be_bytes());
    frame
}

async fn load(
    address: SocketAddr,
    connections: usize,
    window: usize,
    duration: Duration,
    marks: Marks,
) -> (u64, u64) {
    const WARM_UP: Duration = Duration::from_millis(200);
    let answered = Rc::new(Cell::new(0_u64));
    let scratch = Rc::new(RefCell::new(vec![0; SCRATCH_SIZE]));
    for _ in 0..connections {
        let stream = Tokio::connect(address, Duration::from_secs(5)).await.expect("the server accepts");
        Tokio::spawn(keep_window(stream, window, Rc::clone(&scratch), Rc::clone(&answered)));
    }
    Tokio::sleep(WARM_UP).await;
    marks.begin.request();
    let (messages, started) = (answered.get(), monotonic_nanos());
    Tokio::sleep(duration).await;
    let result = (answered.get() - messages, monotonic_nanos() - started);
    marks.end.request();
    result
}

/// Keeps `window` frames unanswered: sends as many as were answered.
async fn keep_window(
    stream: <Tokio as Runtime>::Stream,
    window: usize,
    scratch: Rc<RefCell<Vec<u8>>>,
    answered: Rc<Cell<u64>>,
) {
    let frames = frame().repeat(window);
    let mut due = window;
    let mut bytes = 0;
    loop {
        let mut unsent = &frames[..due * FRAME];
        while !unsent.is_empty() {
            match stream.write(unsent).await {
                Ok(taken) => unsent = &unsent[taken..],
                Err(_gone) => return,
            }
        }
        let Ok(count @ 1..) = stream.read(&scratch).await else { return };
        bytes += count;
        due = bytes / FRAME;
        bytes %= FRAME;
        answered.set(answered.get() + due as u64);
    }
}
