//! Ends of connections, tasks and shards.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use runtime::{Listener, Placement, Runtime, Stop, Stream, mailbox, panics};

use super::support::{STUCK, any_port, on_a_shard, scratch, start};

const FOR_EVER: Duration = Duration::from_secs(86_400);

pub(crate) fn a_peer_that_closes_is_the_end_of_the_stream<R: Runtime>() {
    let results = against_a_peer::<R>(|mut peer| {
        peer.write_all(b"half a messa").unwrap();
        drop(peer);
    });
    assert!(matches!(results.last(), Some(Ok(0))), "{results:?}");
    assert_eq!(results.iter().map(|result| *result.as_ref().unwrap()).sum::<usize>(), 12);
}

pub(crate) fn a_peer_that_resets_is_an_error<R: Runtime>() {
    let results = against_a_peer::<R>(|peer| {
        let socket = socket2::Socket::from(peer);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        drop(socket);
    });
    let error = results.last().unwrap().as_ref().expect_err("a reset is no orderly end");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

/// Reads to the end what `peer` does to a connection; the reader waits before the peer acts.
fn against_a_peer<R: Runtime>(act: impl FnOnce(TcpStream)) -> Vec<io::Result<usize>> {
    let (tell, port) = mpsc::channel::<SocketAddr>();
    let shard = start::<R, _, _, _>("reads", move || async move {
        let listener = R::listen(any_port()).unwrap();
        tell.send(listener.local_address()).unwrap();
        let (stream, _peer) = listener.accept().await.unwrap();
        stream.try_write(b"!").unwrap();
        let scratch = scratch();
        let mut results = Vec::new();
        while results.iter().all(|result| matches!(result, Ok(1..))) {
            results.push(stream.read(&scratch).await);
        }
        results
    });
    let mut peer = TcpStream::connect(port.recv_timeout(STUCK).unwrap()).unwrap();
    peer.read_exact(&mut [0]).unwrap();
    act(peer);
    shard.finish()
}

pub(crate) fn our_reset_reaches_the_peer<R: Runtime>() {
    let error = seen_by_a_peer::<R>(|stream| stream.reset()).expect_err("a reset is no orderly end");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

pub(crate) fn our_shutdown_wakes_our_reader<R: Runtime>() {
    assert_eq!(seen_by_a_peer::<R>(|stream| stream.shutdown()).unwrap(), 0);
}

/// Acts on a stream while a task of ours reads it; our reader must end. Returns what the peer's read gives.
fn seen_by_a_peer<R: Runtime>(act: impl FnOnce(&R::Stream) + Send + 'static) -> io::Result<usize> {
    let (tell, port) = mpsc::channel::<SocketAddr>();
    let shard = start::<R, _, _, _>("acts", move || async move {
        let listener = R::listen(any_port()).unwrap();
        tell.send(listener.local_address()).unwrap();
        let stream = Rc::new(listener.accept().await.unwrap().0);
        let (mut sender, mut read) = mailbox(1);
        let reading = Rc::clone(&stream);
        R::spawn(async move {
            let result = reading.read(&scratch()).await;
            sender.push(result.map_err(|error| error.kind())).unwrap();
            sender.ring();
        });
        // The reader waits in the kernel by now.
        R::sleep(Duration::from_millis(10)).await;
        act(&stream);
        let mut result = Vec::new();
        read.receive(&mut result, 1).await.unwrap();
        assert!(!matches!(result[0], Ok(1..)), "there was nothing to read");
    });
    let mut peer = TcpStream::connect(port.recv_timeout(STUCK).unwrap()).unwrap();
    peer.set_read_timeout(Some(STUCK)).unwrap();
    let result = read_some(&mut peer);
    shard.finish();
    result
}

/// A blocking read with a time limit ends early when the thread is stopped for a moment.
fn read_some(peer: &mut TcpStream) -> io::Result<usize> {
    loop {
        match peer.read(&mut [0; 8]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

pub(crate) fn a_dropped_stream_is_closed_at_once<R: Runtime>() {
    let (tell, port) = mpsc::channel::<SocketAddr>();
    let stop = Stop::new();
    let stops = stop.clone();
    let shard = start::<R, _, _, _>("drops", move || async move {
        let listener = R::listen(any_port()).unwrap();
        tell.send(listener.local_address()).unwrap();
        let (stream, _peer) = listener.accept().await.unwrap();
        drop(stream);
        // Nothing wakes the shard: the close must not wait for its next turn.
        stops.requested().await;
    });
    let mut peer = TcpStream::connect(port.recv_timeout(STUCK).unwrap()).unwrap();
    peer.set_read_timeout(Some(STUCK)).unwrap();
    assert_eq!(read_some(&mut peer).unwrap(), 0);
    stop.request();
    shard.finish();
}

pub(crate) fn stop_drains_and_threads_join<R: Runtime>() {
    const CONNECTIONS: usize = 20;
    let stop = Stop::new();
    let (tell, port) = mpsc::channel::<SocketAddr>();
    let stops = stop.clone();
    let shard = start::<R, _, _, _>("drains", move || async move {
        let listener = Rc::new(R::listen(any_port()).unwrap());
        tell.send(listener.local_address()).unwrap();
        let open = Rc::new(std::cell::Cell::new(0));
        let (closing, counted, accepting) = (stops.clone(), Rc::clone(&open), Rc::clone(&listener));
        R::spawn(async move {
            while let Ok((stream, _peer)) = accepting.accept().await {
                counted.set(counted.get() + 1);
                R::spawn(serve::<R>(Rc::new(stream), closing.clone(), Rc::clone(&counted)));
            }
        });
        stops.requested().await;
        listener.close();
        while open.get() > 0 {
            R::sleep(Duration::from_millis(1)).await;
        }
        // Only now may the accepting task be gone too; its listener with it.
        while Rc::strong_count(&listener) > 1 {
            R::sleep(Duration::from_millis(1)).await;
        }
    });
    let address = port.recv_timeout(STUCK).unwrap();
    let mut peers: Vec<TcpStream> = (0..CONNECTIONS).map(|_| TcpStream::connect(address).unwrap()).collect();
    for peer in &mut peers {
        peer.set_read_timeout(Some(STUCK)).unwrap();
        peer.write_all(b"?").unwrap();
        peer.read_exact(&mut [0]).unwrap();
    }
    stop.request();
    for peer in &mut peers {
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"bye");
    }
    shard.finish();
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

/// Answers until the stop, then says good-bye, while the reader waits.
async fn serve<R: Runtime>(stream: Rc<R::Stream>, stop: Stop, open: Rc<std::cell::Cell<usize>>) {
    let ending = Rc::clone(&stream);
    R::spawn(async move {
        stop.requested().await;
        ending.write(b"bye").await.unwrap();
        ending.shutdown();
    });
    let scratch = scratch();
    while let Ok(count @ 1..) = stream.read(&scratch).await {
        let bytes = scratch.borrow()[..count].to_vec();
        stream.write(&bytes).await.unwrap();
    }
    open.set(open.get() - 1);
}

pub(crate) fn tasks_left_at_the_end_are_dropped<R: Runtime>() {
    struct Counts(Arc<AtomicUsize>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&dropped);
    on_a_shard::<R, _, _, _>(move || async move {
        let listener = R::listen(any_port()).unwrap();
        let stream = R::connect(listener.local_address(), STUCK).await.unwrap();
        let counts = || Counts(Arc::clone(&counter));
        let (on_timer, on_socket, on_nothing, not_started) = (counts(), counts(), counts(), counts());
        R::spawn(async move {
            let _held = on_timer;
            R::sleep(FOR_EVER).await;
        });
        R::spawn(async move {
            let _held = on_socket;
            let _ = stream.read(&scratch()).await;
        });
        R::spawn(async move {
            let _held = on_nothing;
            std::future::pending::<()>().await;
        });
        R::sleep(Duration::from_millis(1)).await;
        R::spawn(async move {
            let _held = not_started;
            std::future::pending::<()>().await;
        });
    });
    assert_eq!(dropped.load(Ordering::SeqCst), 4);
}

pub(crate) fn a_panicking_task_ends_alone<R: Runtime>() {
    let before = panics();
    on_a_shard::<R, _, _, _>(|| async {
        R::spawn(async { panic!("on purpose, at its first step") });
        R::spawn(async {
            R::sleep(Duration::from_millis(1)).await;
            panic!("on purpose, at a later step");
        });
        let (mut sender, mut receiver) = mailbox(1);
        R::spawn(async move {
            R::sleep(Duration::from_millis(5)).await;
            sender.push(()).unwrap();
            sender.ring();
        });
        receiver.receive(&mut Vec::new(), 1).await.expect("the shard and its other tasks go on");
    });
    assert!(panics() >= before + 2);
}

pub(crate) fn a_panic_of_main_is_reported_by_join<R: Runtime>() {
    let shard = R::run(Placement::Floating, "falls", || async {
        R::spawn(R::sleep(FOR_EVER));
        let reason = 42;
        panic!("on purpose, reason {reason}");
    });
    let panic = shard.unwrap().join().expect_err("main panicked");
    assert_eq!(panic.name, "falls");
    assert_eq!(panic.message, "on purpose, reason 42");
}
