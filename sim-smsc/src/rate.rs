//! How many messages a second a site takes.

use std::collections::VecDeque;

/// How the rate is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// A bucket of `burst` tokens, refilled evenly.
    #[default]
    Token,
    /// No more than `limit` in any second that ends now.
    Sliding,
    /// No more than `limit` in each second of the wall clock.
    Aligned,
}

/// Who shares one count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Scope {
    /// Each bind has its own.
    #[default]
    Bind,
    /// All binds of an account share one.
    Account,
    /// All of the site share one.
    Site,
}

/// What a message over the limit gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExceed {
    /// An answer with this command_status.
    Status(u32),
    /// It is taken, but answered when the rate allows.
    Delay,
    /// It is taken, and nothing more is read from the bind until the rate allows.
    StopRead,
}

/// The rate limit of a site.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateRule {
    /// Messages a second, 0 = unlimited.
    pub limit: f64,
    /// Messages that may come at once with [`Algorithm::Token`]; at least 1.
    pub burst: f64,
    /// How it is counted.
    pub algorithm: Algorithm,
    /// Who shares it.
    pub scope: Scope,
    /// What happens to the message that is too much.
    pub on_exceed: OnExceed,
}

/// One count against a [`RateRule`]. Times are nanoseconds of the wall clock.
#[derive(Clone, Debug)]
pub(crate) struct Limiter {
    algorithm: Algorithm,
    limit: f64,
    burst: f64,
    /// Token: what is left, negative when reserved ahead. Aligned: taken in the second `since`.
    level: f64,
    /// Token: time of the last refill. Aligned: the second being counted.
    since: u64,
    /// Sliding: the last `limit` times taken, oldest first.
    taken: VecDeque<u64>,
}

impl Limiter {
    pub(crate) fn new(rule: &RateRule) -> Limiter {
        let level = if rule.algorithm == Algorithm::Token { rule.burst.max(1.0) } else { 0.0 };
        Limiter {
            algorithm: rule.algorithm,
            limit: rule.limit,
            burst: rule.burst.max(1.0),
            level,
            since: 0,
            taken: VecDeque::new(),
        }
    }

    /// Takes one message; `None` when the limit is reached.
    pub(crate) fn take(&mut self, now: u64) -> Option<()> {
        self.place(now, false).map(|_| ())
    }

    /// Takes one message now or ahead of time, and says when it is due (never before `now`).
    pub(crate) fn reserve(&mut self, now: u64) -> u64 {
        self.place(now, true).unwrap_or(now)
    }

    fn place(&mut self, now: u64, may_wait: bool) -> Option<u64> {
        if self.limit <= 0.0 {
            return Some(now);
        }
        match self.algorithm {
            Algorithm::Token => self.place_token(now, may_wait),
            Algorithm::Sliding => self.place_sliding(now, may_wait),
            Algorithm::Aligned => self.place_aligned(now, may_wait),
        }
    }

    fn place_token(&mut self, now: u64, may_wait: bool) -> Option<u64> {
        let elapsed = now.saturating_sub(self.since) as f64 / SECOND as f64;
        self.level = (self.level + elapsed * self.limit).min(self.burst);
        self.since = self.since.max(now);
        if self.level < 1.0 - ROUNDING && !may_wait {
            return None;
        }
        self.level -= 1.0;
        let debt_seconds = (-self.level).max(0.0) / self.limit;
        Some(now.saturating_add((debt_seconds * SECOND as f64) as u64))
    }

    fn place_sliding(&mut self, now: u64, may_wait: bool) -> Option<u64> {
        let limit = self.whole_limit();
        while self.taken.len() > limit
            || self.taken.front().is_some_and(|&at| at.saturating_add(SECOND) <= now)
        {
            self.taken.pop_front();
        }
        let due = if self.taken.len() < limit {
            now.max(self.taken.back().copied().unwrap_or(0))
        } else if may_wait {
            self.taken.front().copied().unwrap_or(now).saturating_add(SECOND)
        } else {
            return None;
        };
        self.taken.push_back(due);
        Some(due)
    }

    fn place_aligned(&mut self, now: u64, may_wait: bool) -> Option<u64> {
        let second = now / SECOND;
        if second > self.since {
            (self.since, self.level) = (second, 0.0);
        }
        if self.level >= self.whole_limit() as f64 {
            if !may_wait {
                return None;
            }
            (self.since, self.level) = (self.since + 1, 0.0);
        } else if self.since > second && !may_wait {
            return None;
        }
        self.level += 1.0;
        Some(now.max(self.since.saturating_mul(SECOND)))
    }

    fn whole_limit(&self) -> usize {
        (self.limit.ceil() as usize).clamp(1, SLIDING_MAX)
    }
}

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// Times remembered by a sliding second, 8 octets each: higher limits are counted as this one.
const SLIDING_MAX: usize = 1_000_000;

/// Sums of many small refills come out a hair below a whole token.
const ROUNDING: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(algorithm: Algorithm, limit: f64, burst: f64) -> Limiter {
        let (scope, on_exceed) = (Scope::Bind, OnExceed::Delay);
        Limiter::new(&RateRule { limit, burst, algorithm, scope, on_exceed })
    }

    /// Asks every 10 ms from `start`; returns how many of each 100 were taken.
    fn taken(mut limiter: Limiter, start: u64, seconds: usize) -> Vec<usize> {
        let mut counts = vec![0; seconds];
        for step in 0..seconds * 100 {
            let now = start + step as u64 * 10_000_000;
            counts[step / 100] += usize::from(limiter.take(now).is_some());
        }
        counts
    }

    #[test]
    fn each_algorithm_counts_in_its_way() {
        assert_eq!(taken(limiter(Algorithm::Token, 10.0, 10.0), SECOND, 3), [19, 10, 10]);
        assert_eq!(taken(limiter(Algorithm::Sliding, 10.0, 1.0), SECOND, 3), [10, 10, 10]);
        assert_eq!(taken(limiter(Algorithm::Aligned, 10.0, 1.0), SECOND, 3), [10, 10, 10]);
        // From the middle of a second a clock-aligned limit lets twice the limit through within one second.
        assert_eq!(taken(limiter(Algorithm::Aligned, 10.0, 1.0), SECOND * 3 / 2, 2), [20, 10]);
        assert_eq!(taken(limiter(Algorithm::Token, 0.0, 1.0), SECOND, 1), [100]);
    }

    #[test]
    fn reservations_come_at_the_rate() {
        for (algorithm, expected) in [
            (Algorithm::Token, vec![0, 0, 500, 1000, 1500]),
            (Algorithm::Sliding, vec![0, 0, 1000, 1000, 2000]),
            (Algorithm::Aligned, vec![0, 0, 1000, 1000, 2000]),
        ] {
            let mut limiter = limiter(algorithm, 2.0, 2.0);
            let start = 50 * SECOND;
            let due: Vec<_> = (0..5).map(|_| (limiter.reserve(start) - start) / 1_000_000).collect();
            assert_eq!(due, expected, "{algorithm:?}");
            assert_eq!(limiter.take(start), None, "{algorithm:?}");
        }
    }
}
