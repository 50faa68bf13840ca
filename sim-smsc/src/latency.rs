//! How long something takes, drawn from a distribution.

use std::time::Duration;

use crate::decide::Draw;

/// A distribution of durations. Every sample lies in 0 ..= [`Latency::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum Latency {
    /// No delay at all: what is decided happens in the same turn.
    #[default]
    None,
    /// Always the same.
    Fixed(Duration),
    /// Evenly between the two.
    Uniform(Duration, Duration),
    /// Bell-shaped, cut at zero.
    Normal {
        /// Mean.
        mean: Duration,
        /// Standard deviation.
        deviation: Duration,
    },
    /// The usual shape of answer times: most near the median, a tail to the right.
    LogNormal {
        /// Half of the samples lie below.
        median: Duration,
        /// 99 of 100 samples lie below.
        p99: Duration,
    },
    /// A heavy tail.
    Pareto {
        /// Least value.
        minimum: Duration,
        /// Exponent; the smaller, the heavier the tail. Below 1 there is no mean.
        shape: f64,
    },
}

impl Latency {
    /// No sample is longer; a heavy tail would otherwise outlive every run.
    pub const MAX: Duration = Duration::from_secs(24 * 3600);

    /// Draws one.
    pub(crate) fn sample(&self, draw: Draw) -> Duration {
        let seconds = match *self {
            Latency::None => return Duration::ZERO,
            Latency::Fixed(duration) => return duration.min(Self::MAX),
            Latency::Uniform(low, high) => {
                let (low, high) = (low.as_secs_f64(), high.as_secs_f64());
                low + (high - low) * draw.unit()
            }
            Latency::Normal { mean, deviation } => {
                mean.as_secs_f64() + deviation.as_secs_f64() * normal_quantile(draw.unit())
            }
            Latency::LogNormal { median, p99 } => {
                let (median, p99) = (median.as_secs_f64(), p99.as_secs_f64());
                median * (p99 / median).powf(normal_quantile(draw.unit()) / QUANTILE_99)
            }
            Latency::Pareto { minimum, shape } => {
                minimum.as_secs_f64() / (1.0 - draw.unit()).powf(1.0 / shape)
            }
        };
        // A product of extreme settings may be infinite or no number; both end at the bounds.
        Duration::try_from_secs_f64(seconds.clamp(0.0, Self::MAX.as_secs_f64())).unwrap_or(Self::MAX)
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Latency::None) || *self == Latency::Fixed(Duration::ZERO)
    }
}

/// 99th percentile of the standard normal distribution.
const QUANTILE_99: f64 = 2.326_347_874_040_841;

/// Inverse of the standard normal distribution function, by Acklam's rational approximation (relative error below
/// 1.2e-9), held off the infinite ends.
fn normal_quantile(probability: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] =
        [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416];
    const LOW: f64 = 0.024_25;
    let p = probability.clamp(1e-12, 1.0 - 1e-12);
    let poly = |coefficients: &[f64], x: f64| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
    let tail = |q: f64| poly(&C, q) / (poly(&D, q) * q + 1.0);
    if p < LOW {
        return tail((-2.0 * p.ln()).sqrt());
    }
    if p > 1.0 - LOW {
        return -tail((-2.0 * (1.0 - p).ln()).sqrt());
    }
    let q = p - 0.5;
    let r = q * q;
    poly(&A, r) * q / (poly(&B, r) * r + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// Samples at 10,001 even quantiles; returns (p50, p99).
    fn quantiles(latency: Latency) -> (Duration, Duration) {
        let mut all: Vec<_> =
            (0..10_001u64).map(|n| latency.sample(Draw((u64::MAX / 10_001).wrapping_mul(n)))).collect();
        all.sort();
        (all[5_000], all[9_900])
    }

    #[track_caller]
    fn check(latency: Latency, p50_ms: (u64, u64), p99_ms: (u64, u64)) {
        let (p50, p99) = quantiles(latency);
        assert!(p50 >= MS(p50_ms.0) && p50 <= MS(p50_ms.1), "p50 {p50:?}");
        assert!(p99 >= MS(p99_ms.0) && p99 <= MS(p99_ms.1), "p99 {p99:?}");
    }

    #[test]
    fn distributions_have_their_quantiles() {
        check(Latency::None, (0, 0), (0, 0));
        check(Latency::Fixed(MS(7)), (7, 7), (7, 7));
        check(Latency::Uniform(MS(100), MS(200)), (149, 151), (198, 200));
        check(Latency::Normal { mean: MS(100), deviation: MS(10) }, (99, 101), (122, 125));
        check(Latency::LogNormal { median: MS(25), p99: MS(250) }, (24, 26), (240, 260));
        check(Latency::Pareto { minimum: MS(10), shape: 2.0 }, (14, 15), (99, 102));
    }

    #[test]
    fn extreme_settings_stay_in_bounds() {
        for latency in [
            Latency::Pareto { minimum: MS(1000), shape: 0.001 },
            Latency::Normal { mean: MS(1), deviation: MS(100_000) },
            Latency::LogNormal { median: MS(1), p99: Latency::MAX },
        ] {
            for bits in [0, 1, u64::MAX / 2, u64::MAX] {
                assert!(latency.sample(Draw(bits)) <= Latency::MAX);
            }
        }
    }
}
