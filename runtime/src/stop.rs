//! A flag that tells any number of tasks and threads to end.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Asks for an orderly end. Clones share one flag; it is never taken back.
#[derive(Clone, Default)]
pub struct Stop {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    requested: AtomicBool,
    // Taken only when a waiter comes, goes or is woken: never on the message path.
    waiters: Mutex<Waiters>,
}

#[derive(Default)]
struct Waiters {
    slots: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Stop {
    /// A flag that is not yet set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag and wakes all who wait for it.
    pub fn request(&self) {
        self.shared.requested.store(true, Ordering::SeqCst);
        let wakers: Vec<Waker> = self.shared.waiters().slots.iter_mut().filter_map(Option::take).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// True once [`request`](Stop::request) was called.
    pub fn is_requested(&self) -> bool {
        self.shared.requested.load(Ordering::SeqCst)
    }

    /// Waits for [`request`](Stop::request). Any number of tasks on any threads may wait; dropping is safe.
    pub fn requested(&self) -> Requested {
        Requested { shared: Arc::clone(&self.shared), slot: None }
    }
}

impl Shared {
    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        // The guarded lists are whole between any two statements, so a panic elsewhere did not spoil them.
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The future of [`Stop::requested`].
pub struct Requested {
    shared: Arc<Shared>,
    slot: Option<usize>,
}

impl Future for Requested {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.shared.requested.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        let mut waiters = this.shared.waiters();
        let slot = *this.slot.get_or_insert_with(|| {
            waiters.free.pop().unwrap_or_else(|| {
                waiters.slots.push(None);
                waiters.slots.len() - 1
            })
        });
        match &mut waiters.slots[slot] {
            Some(waker) => waker.clone_from(context.waker()),
            empty => *empty = Some(context.waker().clone()),
        }
        drop(waiters);
        // Looked at again after the waker is in its slot: a request made in between either finds the waker or is seen here.
        if this.shared.requested.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Requested {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            let mut waiters = self.shared.waiters();
            let waker = waiters.slots[slot].take();
            waiters.free.push(slot);
            drop(waiters);
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiters_are_woken_and_slots_are_used_again() {
        let stop = Stop::new();
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            let mut waits = Box::pin(stop.requested());
            assert!(waits.as_mut().poll(&mut context).is_pending());
            assert!(waits.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!(stop.shared.waiters().slots.len(), 1);
        let mut waits = Box::pin(stop.requested());
        assert!(waits.as_mut().poll(&mut context).is_pending());
        assert!(!stop.is_requested());
        stop.clone().request();
        assert!(stop.is_requested());
        assert!(waits.as_mut().poll(&mut context).is_ready());
        assert!(Box::pin(stop.requested()).as_mut().poll(&mut context).is_ready());
    }
}
