//! Time as plain numbers: pure code can be told the time, it cannot read it.

use core::ops::Add;
use core::time::Duration;

/// A moment in nanoseconds from an origin the caller chose (584 years fit). It cannot read a clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Instant(u64);

impl Instant {
    /// The moment `nanos` nanoseconds after the caller's origin.
    #[inline]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the caller's origin.
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero where it is not later.
    #[inline]
    pub const fn saturating_since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Saturates at the end of the representable range instead of wrapping.
impl Add<Duration> for Instant {
    type Output = Instant;

    #[inline]
    fn add(self, duration: Duration) -> Instant {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Instant(self.0.saturating_add(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_and_subtracts_without_wrapping() {
        let start = Instant::from_nanos(5);
        let later = start + Duration::from_nanos(7);
        assert_eq!(later.as_nanos(), 12);
        assert_eq!(later.saturating_since(start), Duration::from_nanos(7));
        assert_eq!(start.saturating_since(later), Duration::ZERO);
        assert_eq!((start + Duration::MAX).as_nanos(), u64::MAX);
    }
}
