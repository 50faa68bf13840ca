//! The reserve of descriptors, in a process of its own: it holds for all listeners.

use runtime::{Listener, Placement, Runtime, both_backends};
use std::net::TcpStream;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

fn refuses<R: Runtime>() {
    let (told, outcome) = std::sync::mpsc::sync_channel(1);
    let thread = R::run(Placement::Floating, "reserve", move || async move {
        let listener = R::listen("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let address = listener.local_address();
        let open = runtime::open_descriptors().expect("shown");
        // Some numbers below may be free, others above taken: room for a few connections.
        runtime::reserve_descriptors_from(open + 20);
        let mut peers = Vec::new();
        let mut taken = Vec::new();
        let refusal = loop {
            peers.push(TcpStream::connect(address).expect("the kernel connects"));
            match listener.accept().await {
                Ok((stream, _)) => taken.push(stream),
                Err(error) => break error,
            }
            assert!(taken.len() < 40, "the reserve is never touched");
        };
        assert!(runtime::is_out_of_descriptors(&refusal), "{refusal}");
        let connected = R::connect(address, PATIENCE).await;
        assert!(connected.is_ok(), "the reserve is for what we open");
        drop((connected, taken));
        runtime::reserve_descriptors_from(u64::MAX);
        let accepted = loop {
            // What was connected meanwhile comes first.
            match listener.accept().await {
                Ok(_) => break true,
                Err(error) => assert!(runtime::is_out_of_descriptors(&error), "{error}"),
            }
        };
        told.send(accepted).expect("the test waits");
    })
    .expect("a thread");
    assert!(outcome.recv_timeout(PATIENCE).expect("the story ends"));
    thread.join().expect("no panic");
}

#[test]
fn accepts_nothing_from_the_reserve() {
    both_backends!(refuses);
}

#[test]
fn raises_the_soft_limit_to_the_hard_one() {
    let first = runtime::raise_descriptor_limit().expect("may be raised");
    let second = runtime::raise_descriptor_limit().expect("may be raised");
    assert!(first.before <= first.now);
    assert_eq!((second.before, second.now), (first.now, first.now));
}
