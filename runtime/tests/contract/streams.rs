//! Connections: bytes arrive whole, at both ends at once, and on another shard.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use runtime::{Listener, Runtime, Stream, mailbox};

use super::support::{STUCK, any_port, echo_until_end, on_a_shard, pattern, scratch, start, write_all};

pub(crate) fn echo<R: Runtime>() {
    const CONNECTIONS: usize = 5;
    on_a_shard::<R, _, _, _>(|| async {
        let listener = R::listen(any_port()).unwrap();
        let address = listener.local_address();
        assert_ne!(address.port(), 0);
        R::spawn(async move {
            for _ in 0..CONNECTIONS {
                let (stream, peer) = listener.accept().await.unwrap();
                assert_eq!(stream.peer_address(), peer);
                R::spawn(echo_until_end::<R>(stream));
            }
        });
        for seed in 0..CONNECTIONS as u8 {
            let stream = R::connect(address, STUCK).await.unwrap();
            assert_eq!(stream.peer_address(), address);
            let scratch = scratch();
            for length in [1, 15, 16, 150, 4096, 70_000] {
                let sent = pattern(length, seed);
                write_all(&stream, &sent).await;
                assert_eq!(read_exactly(&stream, &scratch, length).await, sent);
            }
        }
    });
}

pub(crate) fn duplex_on_one_stream<R: Runtime>() {
    on_a_shard::<R, _, _, _>(|| async {
        let listener = R::listen(any_port()).unwrap();
        let ours = R::connect(listener.local_address(), STUCK).await.unwrap();
        let (theirs, _peer) = listener.accept().await.unwrap();
        let (done, mut ends) = mailbox(4);
        let done = Rc::new(std::cell::RefCell::new(done));
        for (stream, sends, expects) in [(ours, 1, 2), (theirs, 2, 1)] {
            let stream = Rc::new(stream);
            let (writer, written) = (Rc::clone(&stream), Rc::clone(&done));
            R::spawn(async move {
                write_all(&*writer, &pattern(DUPLEX_BYTES, sends)).await;
                written.borrow_mut().push(()).unwrap();
                written.borrow().ring();
            });
            let read = Rc::clone(&done);
            R::spawn(async move {
                let scratch = scratch();
                let got = read_exactly(&*stream, &scratch, DUPLEX_BYTES).await;
                assert!(got == pattern(DUPLEX_BYTES, expects), "bytes were lost or changed");
                read.borrow_mut().push(()).unwrap();
                read.borrow().ring();
            });
        }
        let mut finished = Vec::new();
        while finished.len() < 4 {
            ends.receive(&mut finished, 4).await.expect("all four tasks get to their end");
        }
    });
}
const DUPLEX_BYTES: usize = 4 * 1024 * 1024;

pub(crate) fn write_waits_for_room<R: Runtime>() {
    on_a_shard::<R, _, _, _>(|| async {
        let listener = R::listen(any_port()).unwrap();
        let stream = R::connect(listener.local_address(), STUCK).await.unwrap();
        let (peer, _address) = listener.accept().await.unwrap();
        let block = pattern(64 * 1024, 0);
        let mut sent = 0;
        let refused = loop {
            match stream.try_write(&block) {
                Ok(taken) => sent += taken,
                Err(error) => break error,
            }
        };
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        assert!(sent > 0, "a new connection takes bytes at once");
        R::spawn(async move {
            let scratch = scratch();
            while matches!(peer.read(&scratch).await, Ok(1..)) {}
        });
        assert!(stream.write(&block).await.unwrap() > 0);
    });
}

pub(crate) fn a_live_connection_moves_to_another_shard<R: Runtime>() {
    const FIRST: &[u8] = b"read by the first shard, ";
    let (mut give, mut take) = mailbox::<(OwnedFd, Vec<u8>)>(1);
    let (tell, port) = mpsc::channel::<SocketAddr>();
    let first = start::<R, _, _, _>("first", move || async move {
        let listener = R::listen(any_port()).unwrap();
        tell.send(listener.local_address()).unwrap();
        let (stream, _peer) = listener.accept().await.unwrap();
        let scratch = scratch();
        let already = read_exactly(&stream, &scratch, FIRST.len()).await;
        give.push((stream.into_fd().unwrap(), already)).unwrap();
        give.ring();
        // This shard lives on while the other serves: its ring must have let go of the connection.
        while !give.is_closed() {
            R::sleep(Duration::from_millis(1)).await;
        }
    });
    let second = start::<R, _, _, _>("second", move || async move {
        let mut handed = Vec::new();
        take.receive(&mut handed, 1).await.unwrap();
        let (fd, already) = handed.pop().unwrap();
        let stream = R::adopt(fd).unwrap();
        write_all(&stream, &already).await;
        echo_until_end::<R>(stream).await;
    });
    let mut client = TcpStream::connect(port.recv_timeout(STUCK).unwrap()).unwrap();
    client.set_read_timeout(Some(STUCK)).unwrap();
    client.write_all(FIRST).unwrap();
    let mut back = vec![0; FIRST.len()];
    client.read_exact(&mut back).unwrap();
    assert_eq!(back, FIRST);
    let more = pattern(100_000, 9);
    let mut writer = client.try_clone().unwrap();
    let sent = more.clone();
    let writing = std::thread::spawn(move || writer.write_all(&sent).unwrap());
    let mut back = vec![0; more.len()];
    client.read_exact(&mut back).unwrap();
    assert!(back == more);
    writing.join().unwrap();
    drop(client);
    second.finish();
    first.finish();
}

pub(crate) fn a_listener_is_alone_on_its_port<R: Runtime>() {
    on_a_shard::<R, _, _, _>(|| async {
        let listener = R::listen(any_port()).unwrap();
        let second = R::listen(listener.local_address()).err().expect("the port is taken");
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
        let address = listener.local_address();
        listener.close();
        drop(listener);
        R::listen(address).expect("the port is free again");
    });
}

pub(crate) fn a_connect_keeps_its_deadline<R: Runtime>() {
    const DEADLINE: Duration = Duration::from_millis(50);
    // Nobody accepts here, so the kernel soon leaves new connections unanswered.
    let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    full.bind(&any_port().into()).unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    on_a_shard::<R, _, _, _>(move || async move {
        let mut open = Vec::new();
        let error = loop {
            let started = Instant::now();
            match R::connect(address, DEADLINE).await {
                Ok(stream) => open.push(stream),
                Err(error) => {
                    assert!(started.elapsed() >= DEADLINE);
                    break error;
                }
            }
            assert!(open.len() < 8, "the kernel took more connections than asked for");
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    });
}

pub(crate) fn a_refused_connect_is_an_error<R: Runtime>() {
    on_a_shard::<R, _, _, _>(|| async {
        let listener = R::listen(any_port()).unwrap();
        let address = listener.local_address();
        drop(listener);
        let error = R::connect(address, STUCK).await.err().expect("nobody listens");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    });
}

async fn read_exactly(stream: &impl Stream, scratch: &std::cell::RefCell<Vec<u8>>, length: usize) -> Vec<u8> {
    let mut got = Vec::with_capacity(length);
    while got.len() < length {
        let count = stream.read(scratch).await.expect("the connection lives");
        assert_ne!(count, 0, "the stream ended after {} of {length} bytes", got.len());
        got.extend_from_slice(&scratch.borrow()[..count]);
    }
    assert_eq!(got.len(), length, "more came than was sent");
    got
}
