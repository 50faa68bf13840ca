//! A token bucket as one number: the time at which the bucket would be full again. Pure over `now`.

use smpp::time::Instant;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Lets through at most `rate * t + burst` in any interval of `t` seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Bucket {
    /// Nanoseconds per message, rounded up so that the rate is never exceeded; 0 = unlimited.
    interval: u64,
    /// How far `full_at` may run ahead of now when another message comes: (burst - 1) intervals.
    tolerance: u64,
    /// When all tokens are back, nanoseconds.
    full_at: u64,
}

impl Bucket {
    /// A full bucket; `rate` in messages per second, 0 = unlimited. A burst of 0 counts as 1.
    pub(crate) fn new(rate: u32, burst: u32) -> Self {
        let mut bucket = Self::default();
        bucket.set(rate, burst);
        bucket
    }

    /// Another rate; what was taken stays taken.
    pub(crate) fn set(&mut self, rate: u32, burst: u32) {
        self.interval = if rate == 0 { 0 } else { NANOS_PER_SECOND.div_ceil(u64::from(rate)) };
        self.tolerance = self.interval * u64::from(burst.saturating_sub(1));
    }

    /// Takes a token, or says that there is none.
    #[inline]
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        if !self.has(now) {
            return false;
        }
        self.full_at = self.full_at.max(now.as_nanos()).saturating_add(self.interval);
        true
    }

    /// True when a token is there.
    #[inline]
    pub(crate) fn has(&self, now: Instant) -> bool {
        self.interval == 0 || self.full_at <= now.as_nanos().saturating_add(self.tolerance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bucket: &mut Bucket, from_ms: u64, until_ms: u64, step_us: u64) -> u64 {
        let mut count = 0;
        let mut at = from_ms * 1000;
        while at < until_ms * 1000 {
            count += u64::from(bucket.take(Instant::from_nanos(at * 1000)));
            at += step_us;
        }
        count
    }

    #[test]
    fn never_more_than_rate_and_burst_and_never_much_less() {
        for (rate, burst) in [(1, 1), (7, 3), (1000, 1), (1000, 1000), (3333, 10)] {
            let mut bucket = Bucket::new(rate, burst);
            let count = taken(&mut bucket, 0, 10_000, 50);
            let most = u64::from(rate) * 10 + u64::from(burst);
            assert!(count <= most, "{rate} {burst}: {count}");
            assert!(count * 100 >= most * 99 - 100, "{rate} {burst}: {count}");
        }
    }

    #[test]
    fn silence_brings_back_the_burst_and_no_more() {
        let mut bucket = Bucket::new(100, 5);
        assert_eq!(taken(&mut bucket, 0, 1, 10), 5);
        assert_eq!(taken(&mut bucket, 60_000, 60_001, 10), 5);
    }

    #[test]
    fn zero_is_unlimited() {
        assert_eq!(taken(&mut Bucket::new(0, 0), 0, 1, 1), 1000);
    }
}
