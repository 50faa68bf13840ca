//! A plain thread's end of the two mailboxes of one shard, and what wakes it. The store's thread and the spool's use it.

use runtime::{Receiver, Sender};
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{SystemTime, UNIX_EPOCH};

/// The thread's end towards one shard.
pub(crate) struct Desk<O, A> {
    ops: Receiver<O>,
    answers: Sender<A>,
    /// Answers that found no room; while there are some, no operations are taken from this shard.
    pub(crate) outbox: VecDeque<A>,
    /// The shard is gone, and all that it asked was taken.
    pub(crate) closed: bool,
}

impl<O: Send, A: Send> Desk<O, A> {
    pub(crate) fn new(ops: Receiver<O>, answers: Sender<A>) -> Self {
        Desk { ops, answers, outbox: VecDeque::new(), closed: false }
    }

    /// Appends what the shard has asked, at most `max`; when there is nothing, the waker is called as soon as there is.
    pub(crate) fn take(&mut self, ops: &mut Vec<O>, max: usize, waker: &Waker) {
        let mut context = Context::from_waker(waker);
        let receive = pin!(self.ops.receive(ops, max));
        if let Poll::Ready(Err(runtime::Closed)) = receive.poll(&mut context) {
            self.closed = true;
        }
    }

    /// Hands out what the outbox holds, as far as there is room.
    pub(crate) fn deliver(&mut self) {
        if self.outbox.is_empty() {
            return;
        }
        if self.answers.is_closed() {
            return self.outbox.clear(); // the shard is gone, nobody waits for them
        }
        let room = self.answers.free().min(self.outbox.len());
        for answer in self.outbox.drain(..room) {
            let pushed = self.answers.push(answer);
            debug_assert!(pushed.is_ok(), "one sender, so the room that was free still is");
        }
        self.answers.ring();
    }
}

/// Wakes the thread that calls this.
pub(crate) fn thread_waker() -> Waker {
    Waker::from(Arc::new(ThreadWaker(thread::current())))
}

struct ThreadWaker(Thread);

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Seconds since 1970 UTC; a clock before that reads as 0, which gives nothing up.
pub(crate) fn unix_seconds() -> u32 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs().min(u64::from(u32::MAX)) as u32)
}
