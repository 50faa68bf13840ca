use crate::rate::{Algorithm, Limiter, OnExceed, RateRule, Scope};
use crate::scenario::Section;

/// The site takes no more than a small rate, all binds together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throttle {
    /// Messages a second; 0 = none.
    pub limit: f64,
    /// command_status of what is too much.
    pub status: u32,
}

impl Throttle {
    pub(crate) fn read(section: &mut Section<'_>) -> Throttle {
        Throttle {
            limit: section.number("limit", 0.0..=1e9).unwrap_or(0.0),
            status: section.status("status").unwrap_or(ESME_RTHROTTLED),
        }
    }

    pub(crate) fn start(self) -> Throttling {
        let rule = RateRule {
            limit: self.limit,
            burst: (self.limit / 10.0).max(1.0),
            algorithm: Algorithm::Token,
            scope: Scope::Site,
            on_exceed: OnExceed::Status(self.status),
        };
        Throttling { rule: self, limiter: (self.limit > 0.0).then(|| Limiter::new(&rule)) }
    }
}

/// The fault with its count.
#[derive(Clone, Debug)]
pub(crate) struct Throttling {
    rule: Throttle,
    limiter: Option<Limiter>,
}

impl PartialEq for Throttling {
    fn eq(&self, other: &Self) -> bool {
        self.rule == other.rule
    }
}

impl Throttling {
    /// The status this submit is refused with, if it is.
    pub(crate) fn strike(&mut self, now_unix_ns: u64) -> Option<u32> {
        let passes = self.limiter.as_mut().is_some_and(|limiter| limiter.take(now_unix_ns).is_some());
        (!passes).then_some(self.rule.status)
    }
}

const ESME_RTHROTTLED: u32 = 0x58;
