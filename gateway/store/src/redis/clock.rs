//! The time that all nodes share: Redis's own, carried on between two questions by a clock that nobody sets. Correlations
//! lie under their day, and what is too old is given up; a node whose own clock is wrong does both by Redis's time, so that
//! others find what it wrote and it finds what they did.

use super::Redis;
use super::connection::Request;
use crate::sweep_clock::booted_for;
use fred::types::Value;
use relay::{Correlation, StoreOp};
use std::time::Duration;

/// Clocks that differ by no more than this are taken for the same, seconds: look-ups take in the day before and after.
const APART_MAX: u64 = 60;

/// See the module.
#[derive(Default)]
pub(super) struct ServerClock {
    /// Seconds since 1970 as Redis said, and how long this machine had been up then; nothing before the first answer.
    said: Option<(u64, Duration)>,
    /// Seconds by which this node's clock was apart at the last question, where that is too much.
    apart: u64,
    /// Tests say what time it is.
    #[cfg(test)]
    pub(super) is_asked: bool,
}

impl ServerClock {
    fn note(&mut self, said: u64, own: u32, up: Duration) {
        self.said = Some((said, up));
        let apart = self.shift(own, up).unsigned_abs();
        if apart > 0 && self.apart == 0 {
            tracing::warn!(
                seconds = apart,
                "this node's clock and that of Redis differ: the store goes by Redis's; set this one right"
            );
        } else if apart == 0 && self.apart > 0 {
            tracing::info!("this node's clock and that of Redis agree again");
        }
        self.apart = apart;
    }

    /// Seconds to add to this node's time; 0 where the clocks are near enough.
    fn shift(&self, own: u32, up: Duration) -> i64 {
        let Some((said, then)) = self.said else { return 0 };
        let server = said.saturating_add(up.saturating_sub(then).as_secs());
        let shift = server as i64 - i64::from(own);
        if shift.unsigned_abs() > APART_MAX { shift } else { 0 }
    }

    /// Seconds by which this node's clock is apart, 0 where they are near enough.
    pub(super) fn apart(&self) -> u64 {
        self.apart
    }
}

impl Redis {
    /// Asks Redis for its time; seconds since 1970.
    pub(super) fn ask_time(&mut self, own: u32) -> Option<u64> {
        #[cfg(test)]
        if !self.clock.is_asked {
            return Some(own.into());
        }
        let replies = self.connection.round_trip(vec![Request { command: "TIME", arguments: Vec::new() }])?;
        let Ok(Value::Array(parts)) = replies.into_iter().next()? else { return None };
        let said = parts.first()?.as_u64()?;
        self.clock.note(said, own, booted_for());
        Some(said)
    }

    /// Seconds to add to this node's time.
    pub(super) fn shift(&self, own: u32) -> i64 {
        self.clock.shift(own, booted_for())
    }
}

/// A time of this node in the time that all share.
pub(super) fn shifted(own: u32, shift: i64) -> u32 {
    u32::try_from(i64::from(own).saturating_add(shift).max(0)).unwrap_or(u32::MAX)
}

/// The same of what an operation brings along: where it is found again, its time is a shared one.
pub(super) fn in_shared_time(op: StoreOp, shift: i64) -> StoreOp {
    match op {
        StoreOp::Remember { message, key, correlation } if shift != 0 => {
            let submitted_at = shifted(correlation.submitted_at, shift);
            StoreOp::Remember { message, key, correlation: Correlation { submitted_at, ..correlation } }
        }
        op => op,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_from_what_redis_said_whatever_is_set_here() {
        let mut clock = ServerClock::default();
        let up = Duration::from_secs;
        assert_eq!(clock.shift(7, up(50)), 0, "nothing is known yet");
        clock.note(1_800_000_000, 1_800_000_060, up(50));
        assert_eq!((clock.shift(1_800_000_060, up(50)), clock.apart()), (0, 0));
        assert_eq!(clock.shift(1_800_000_061, up(50)), -61);
        // Set ahead by 80 hours meanwhile.
        assert_eq!(clock.shift(1_800_000_100 + 288_000, up(150)), -288_000);
        clock.note(1_800_000_100, 1_800_000_100 + 288_000, up(150));
        assert_eq!(clock.apart(), 288_000);
        clock.note(1_800_000_200, 1_800_000_200, up(250));
        assert_eq!(clock.apart(), 0);
        assert_eq!((shifted(5, -9), shifted(5, 9), shifted(u32::MAX, 1)), (0, 14, u32::MAX));
    }
}
