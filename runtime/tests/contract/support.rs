//! Shards for tests, and waiting with a limit.

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use runtime::{Placement, Runtime, SCRATCH_SIZE, ShardThread, Stream};

/// After this a case counts as stuck. Generous: the machine may be busy with other work.
pub(crate) const STUCK: Duration = Duration::from_secs(60);

/// Any free port of this machine.
pub(crate) fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Starts a shard whose result can be waited for.
pub(crate) fn start<R: Runtime, T, F, Fut>(name: &str, main: F) -> Running<T>
where
    T: Send + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    let (sender, result) = mpsc::channel();
    let thread = R::run(Placement::Floating, name, move || async move {
        let _ = sender.send(main().await);
    });
    Running { thread: thread.expect("the shard starts"), result }
}

pub(crate) struct Running<T> {
    thread: ShardThread,
    result: mpsc::Receiver<T>,
}

impl<T> Running<T> {
    /// The result of the main future, once the thread is gone.
    pub(crate) fn finish(self) -> T {
        let name = self.thread.name().to_owned();
        match self.result.recv_timeout(STUCK) {
            Ok(result) => {
                self.thread.join().expect("no panic after the result");
                result
            }
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("shard {name} is stuck"),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                self.thread.join().expect("the shard ends well");
                unreachable!("it ended without a result or a panic");
            }
        }
    }
}

/// Runs one shard to its end.
pub(crate) fn on_a_shard<R: Runtime, T, F, Fut>(main: F) -> T
where
    T: Send + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    start::<R, T, F, Fut>("contract", main).finish()
}

/// The one buffer of a shard.
pub(crate) fn scratch() -> RefCell<Vec<u8>> {
    RefCell::new(vec![0; SCRATCH_SIZE])
}

/// Writes all of `bytes`.
pub(crate) async fn write_all(stream: &impl Stream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let taken = stream.write(bytes).await.expect("the peer reads");
        bytes = &bytes[taken..];
    }
}

/// Sends back all that comes until the end of the stream.
pub(crate) async fn echo_until_end<R: Runtime>(stream: R::Stream) {
    let scratch = scratch();
    loop {
        let count = match stream.read(&scratch).await {
            Ok(0) | Err(_) => return,
            Ok(count) => count,
        };
        let bytes = scratch.borrow()[..count].to_vec();
        write_all(&stream, &bytes).await;
        R::yield_if_needed().await;
    }
}

/// Bytes that differ from place to place.
pub(crate) fn pattern(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8 ^ (at / 251 % 256) as u8 ^ seed).collect()
}
