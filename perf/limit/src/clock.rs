//! Time of the thread: the monotonic clock in nanoseconds and the CPU time it used.

use std::time::Instant;

/// Nanoseconds since the clock was made.
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock { origin: Instant::now() }
    }

    /// Nanoseconds since the origin; a `u64` lasts 584 years.
    pub(crate) fn nanos(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }
}

/// CPU nanoseconds this thread has run, from the scheduler's own count; `None` where the kernel keeps none.
pub(crate) fn cpu_nanos() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}
