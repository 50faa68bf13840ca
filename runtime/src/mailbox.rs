//! Bounded batches between threads: a ring for one sender and one receiver, and a doorbell.
//!
//! The sender pushes as many messages as it has and rings once; the receiver takes them in batches. Either end may
//! be a task on an executor of any kind or a plain thread: the doorbell holds a `Waker`, and a plain thread makes one
//! of itself. A full ring refuses; nobody ever waits for room, so two shards cannot block one another.
//!
//! Why no wake-up is lost: the receiver goes to sleep only after (1) finding the ring empty, (2) putting its waker in
//! the doorbell, (3) finding the ring empty again. The sender (a) publishes a message, then (b) takes the waker out of
//! the doorbell. `AtomicWaker` orders (2) and (b): if (b) comes first, its read-modify-write happens before (2)'s, so
//! that (3) sees what (a) published; if (2) comes first, (b) finds the waker and wakes. The same holds for closing, where
//! (a) is the store to `closed`. What is pushed but not rung for may wait until the next ring or close: ring after every batch.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use std::{error, fmt};

use atomic_waker::AtomicWaker;

/// Makes a mailbox for at most `capacity` messages, all of whose memory is taken at once.
pub fn mailbox<M: Send>(capacity: usize) -> (Sender<M>, Receiver<M>) {
    assert!(capacity > 0, "a mailbox without room refuses everything");
    let (producer, consumer) = rtrb::RingBuffer::new(capacity);
    let doorbell = Arc::new(Doorbell::default());
    let sender = Sender { producer, doorbell: Arc::clone(&doorbell) };
    (sender, Receiver { consumer, doorbell, thread: None })
}

/// The mailbox is full: the message comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Full<M>(pub M);

impl<M> fmt::Debug for Full<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Full(..)")
    }
}

impl<M> fmt::Display for Full<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the mailbox is full")
    }
}

impl<M> error::Error for Full<M> {}

/// The sender is gone and every message was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the other end of the mailbox is gone")
    }
}

impl error::Error for Closed {}

#[derive(Default)]
struct Doorbell {
    waker: AtomicWaker,
    /// One end is gone. Set after the sender's last push.
    closed: AtomicBool,
}

impl Doorbell {
    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.waker.wake();
    }
}

/// The end that messages are put into.
pub struct Sender<M> {
    producer: rtrb::Producer<M>,
    doorbell: Arc<Doorbell>,
}

impl<M: Send> Sender<M> {
    /// Puts a message in, without waking the receiver. Messages to a receiver that is gone are taken until the ring is
    /// full and dropped with it; see [`is_closed`](Sender::is_closed).
    pub fn push(&mut self, message: M) -> Result<(), Full<M>> {
        self.producer.push(message).map_err(|rtrb::PushError::Full(message)| Full(message))
    }

    /// Wakes the receiver if it waits: once per batch, after the last push.
    pub fn ring(&self) {
        self.doorbell.waker.wake();
    }

    /// Messages that fit in just now.
    pub fn free(&self) -> usize {
        self.producer.slots()
    }

    /// True when the receiver is gone.
    pub fn is_closed(&self) -> bool {
        self.doorbell.closed.load(Ordering::SeqCst)
    }
}

impl<M> Drop for Sender<M> {
    fn drop(&mut self) {
        self.doorbell.close();
    }
}

/// The end that messages are taken from.
pub struct Receiver<M> {
    consumer: rtrb::Consumer<M>,
    doorbell: Arc<Doorbell>,
    /// Wakes the plain thread that called `receive_blocking` last.
    thread: Option<ThreadWaker>,
}

impl<M: Send> Receiver<M> {
    /// Waits for messages and appends up to `max` of them, at least one.
    ///
    /// # Errors
    ///
    /// [`Closed`] when the sender is gone and nothing is left.
    pub async fn receive(&mut self, into: &mut Vec<M>, max: usize) -> Result<(), Closed> {
        poll_fn(|context| self.poll_receive(context, into, max)).await
    }

    /// Appends up to `max` of the messages that are there; returns how many.
    pub fn try_receive(&mut self, into: &mut Vec<M>, max: usize) -> usize {
        let count = self.consumer.slots().min(max);
        if count == 0 {
            return 0;
        }
        let chunk = self.consumer.read_chunk(count).expect("slots() says that so many are there");
        into.extend(chunk);
        count
    }

    /// As [`receive`](Receiver::receive), for a plain thread, which is blocked meanwhile. Returns with nothing
    /// appended when `timeout` has passed.
    ///
    /// # Errors
    ///
    /// [`Closed`] when the sender is gone and nothing is left.
    pub fn receive_blocking(
        &mut self,
        into: &mut Vec<M>,
        max: usize,
        timeout: Duration,
    ) -> Result<(), Closed> {
        let waker = self.thread_waker();
        let mut context = Context::from_waker(&waker);
        // A timeout too long for the clock is none.
        let deadline = Instant::now().checked_add(timeout);
        loop {
            if let Poll::Ready(result) = self.poll_receive(&mut context, into, max) {
                return result;
            }
            // A wake between the poll and here makes park return at once; it may also return for no reason.
            match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return Ok(()),
                Some(left) => thread::park_timeout(left),
                None => thread::park(),
            }
        }
    }

    /// True when the sender is gone; messages may still be left.
    pub fn is_closed(&self) -> bool {
        self.doorbell.closed.load(Ordering::SeqCst)
    }

    fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        into: &mut Vec<M>,
        max: usize,
    ) -> Poll<Result<(), Closed>> {
        assert!(max > 0, "a batch of none would look like a message");
        if self.try_receive(into, max) > 0 {
            return Poll::Ready(Ok(()));
        }
        self.doorbell.waker.register(context.waker());
        // `closed` is read before the ring: the sender closes after its last push.
        let closed = self.is_closed();
        if self.try_receive(into, max) > 0 {
            return Poll::Ready(Ok(()));
        }
        if closed { Poll::Ready(Err(Closed)) } else { Poll::Pending }
    }

    fn thread_waker(&mut self) -> Waker {
        let current = thread::current();
        match &self.thread {
            Some(known) if known.thread == current.id() => known.waker.clone(),
            _ => {
                let thread = current.id();
                let waker = Waker::from(Arc::new(Unpark(current)));
                self.thread = Some(ThreadWaker { thread, waker: waker.clone() });
                waker
            }
        }
    }
}

impl<M> Drop for Receiver<M> {
    fn drop(&mut self) {
        self.doorbell.close();
    }
}

struct ThreadWaker {
    thread: thread::ThreadId,
    waker: Waker,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_full_mailbox_refuses_and_gives_the_message_back() {
        let (mut sender, mut receiver) = mailbox(2);
        assert_eq!(sender.free(), 2);
        sender.push(1).unwrap();
        sender.push(2).unwrap();
        assert_eq!(sender.push(3).unwrap_err().0, 3);
        let mut got = Vec::new();
        assert_eq!(receiver.try_receive(&mut got, 1), 1);
        assert_eq!(sender.free(), 1);
        sender.push(4).unwrap();
        assert_eq!(receiver.try_receive(&mut got, 10), 2);
        assert_eq!(got, [1, 2, 4]);
    }

    #[test]
    fn what_was_pushed_comes_before_closed() {
        let (mut sender, mut receiver) = mailbox(4);
        sender.push("last").unwrap();
        assert!(!receiver.is_closed());
        drop(sender);
        let mut got = Vec::new();
        assert_eq!(receiver.receive_blocking(&mut got, 8, LONG), Ok(()));
        assert_eq!(got, ["last"]);
        assert_eq!(receiver.receive_blocking(&mut got, 8, LONG), Err(Closed));
    }

    #[test]
    fn a_sender_sees_that_the_receiver_is_gone() {
        let (sender, receiver) = mailbox::<u8>(1);
        assert!(!sender.is_closed());
        drop(receiver);
        assert!(sender.is_closed());
    }

    #[test]
    fn a_timeout_is_no_error() {
        let (_sender, mut receiver) = mailbox::<u8>(1);
        let mut got = Vec::new();
        assert_eq!(receiver.receive_blocking(&mut got, 1, Duration::from_millis(1)), Ok(()));
        assert!(got.is_empty());
    }

    /// Real threads pass a token to and fro: each hop needs one wake-up, and the 60 s limit shows a lost one.
    #[test]
    fn no_wake_up_is_lost_over_many_hops() {
        const HOPS: u32 = 20_000;
        let (mut there, mut from_here) = mailbox::<u32>(1);
        let (mut back, mut from_there) = mailbox::<u32>(1);
        let echo = thread::spawn(move || {
            let mut batch = Vec::new();
            while from_here.receive_blocking(&mut batch, 1, LONG).is_ok() {
                for message in batch.drain(..) {
                    back.push(message).expect("one token, one slot");
                    back.ring();
                }
            }
        });
        let mut batch = Vec::new();
        for hop in 0..HOPS {
            there.push(hop).expect("one token, one slot");
            there.ring();
            from_there.receive_blocking(&mut batch, 1, LONG).expect("the echo thread lives");
            assert_eq!(batch.pop(), Some(hop), "a wake-up was lost");
        }
        drop(there);
        echo.join().unwrap();
    }

    /// Batches of changing size through a small ring, rung once each, arrive whole and in order.
    #[test]
    fn batches_arrive_whole_and_in_order() {
        const MESSAGES: u64 = 300_000;
        let (mut sender, mut receiver) = mailbox::<u64>(64);
        let pusher = thread::spawn(move || {
            let mut next = 0;
            let mut size = 1;
            while next < MESSAGES {
                for _ in 0..size {
                    if next < MESSAGES && sender.push(next).is_ok() {
                        next += 1;
                    }
                }
                sender.ring();
                size = size % 97 + 1;
                if sender.free() == 0 {
                    thread::yield_now();
                }
            }
        });
        let mut expected = 0;
        let mut batch = Vec::new();
        while receiver.receive_blocking(&mut batch, 50, LONG).is_ok() {
            assert!(!batch.is_empty(), "a wake-up was lost after {expected} messages");
            assert!(batch.len() <= 50);
            for message in batch.drain(..) {
                assert_eq!(message, expected);
                expected += 1;
            }
        }
        assert_eq!(expected, MESSAGES);
        pusher.join().unwrap();
    }
}
