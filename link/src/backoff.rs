//! How long to wait before the next attempt: capped, exponential, with jitter from a seed.

use std::time::Duration;

/// The shape of a back-off.
#[derive(Clone, Copy, Debug)]
pub struct BackoffOptions {
    /// The first wait.
    pub first: Duration,
    /// No wait is longer.
    pub max: Duration,
    /// Share of each wait that is left to chance, per cent, 0 ..= 100: many clients must not come back at once.
    pub jitter_percent: u32,
}

impl Default for BackoffOptions {
    /// Half a second, at most half a minute, a quarter of it by chance.
    fn default() -> Self {
        BackoffOptions { first: Duration::from_millis(500), max: Duration::from_secs(30), jitter_percent: 25 }
    }
}

/// One series of attempts.
#[derive(Clone, Debug)]
pub struct Backoff {
    options: BackoffOptions,
    seed: u64,
    attempt: u32,
}

impl Backoff {
    /// A series that has not begun. Equal seeds give equal waits.
    pub fn new(options: BackoffOptions, seed: u64) -> Self {
        Backoff { options, seed, attempt: 0 }
    }

    /// The wait before the next attempt. Between `(1 - jitter)` and one times the doubled wait.
    pub fn next_wait(&mut self) -> Duration {
        let doubled = self.options.first.saturating_mul(1 << self.attempt.min(20)).min(self.options.max);
        self.attempt = self.attempt.saturating_add(1);
        let percent = u64::from(self.options.jitter_percent.min(100));
        let chance = mix(self.seed.wrapping_add(u64::from(self.attempt))) % (percent + 1);
        doubled.saturating_mul(100 - chance as u32) / 100
    }

    /// The attempt succeeded and lasted: begin anew.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}

/// The finaliser of splitmix64: spreads consecutive numbers evenly.
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_within_the_jitter() {
        let options = BackoffOptions::default();
        let mut backoff = Backoff::new(options, 7);
        for attempt in 0..12 {
            let full = options.first.saturating_mul(1 << attempt).min(options.max);
            let wait = backoff.next_wait();
            assert!(wait <= full && wait >= full * 75 / 100, "attempt {attempt}: {wait:?} of {full:?}");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= options.first);
    }

    #[test]
    fn equal_seeds_give_equal_waits() {
        let series = |seed| {
            let mut backoff = Backoff::new(BackoffOptions::default(), seed);
            (0..6).map(|_| backoff.next_wait()).collect::<Vec<_>>()
        };
        assert_eq!(series(1), series(1));
        assert_ne!(series(1), series(2));
    }
}
