//! Ratios of paired runs, and how sure they are.

/// Samples drawn with replacement for one interval.
const RESAMPLES: usize = 10_000;
/// Seed of the draws: the same runs give the same interval.
const SEED: u64 = 0x9E37_79B9_7F4A_7C15;
/// Parts of a thousand cut off at each end of the resampled means: 95 % are left.
const TAIL_MILLI: usize = 25;

/// A ratio with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratio {
    pub(super) mean: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// What may be said of B beside A.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Within,
    Higher,
    Lower,
}

impl Verdict {
    pub(super) fn words(self) -> &'static str {
        match self {
            Verdict::Within => "within the spread of A against A",
            Verdict::Higher => "higher than A, outside the spread of A against A",
            Verdict::Lower => "lower than A, outside the spread of A against A",
        }
    }
}

impl Ratio {
    /// The geometric mean of the ratios of all rounds, with a bootstrap interval over the rounds.
    pub(super) fn of(rounds: &[f64]) -> Ratio {
        assert!(!rounds.is_empty(), "a ratio of no rounds");
        let logs: Vec<f64> = rounds.iter().map(|ratio| ratio.ln()).collect();
        let mean_of = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let mut state = SEED;
        let mut means: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let sum: f64 = (0..logs.len()).map(|_| logs[next_below(&mut state, logs.len())]).sum();
                sum / logs.len() as f64
            })
            .collect();
        means.sort_by(f64::total_cmp);
        let tail = RESAMPLES * TAIL_MILLI / 1000;
        Ratio { mean: mean_of(&logs).exp(), low: means[tail].exp(), high: means[RESAMPLES - 1 - tail].exp() }
    }

    /// How far from 1 it may be on either side, as a logarithm.
    fn spread(&self) -> f64 {
        self.low.ln().abs().max(self.high.ln().abs())
    }

    /// Compares B against A with A against A: B differs only when its whole interval lies outside the other's spread.
    pub(super) fn against(&self, same: &Ratio) -> Verdict {
        let spread = same.spread();
        if self.low.ln() > spread {
            Verdict::Higher
        } else if self.high.ln() < -spread {
            Verdict::Lower
        } else {
            Verdict::Within
        }
    }
}

/// SplitMix64.
fn next_below(state: &mut u64, bound: usize) -> usize {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((mixed ^ (mixed >> 31)) % bound as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rounds_leave_no_doubt() {
        let ratio = Ratio::of(&[1.1; 5]);
        for value in [ratio.mean, ratio.low, ratio.high] {
            assert!((value - 1.1).abs() < 1e-9);
        }
    }

    #[test]
    fn the_interval_holds_the_mean_and_follows_the_spread() {
        let narrow = Ratio::of(&[0.99, 1.0, 1.01, 1.0, 1.0]);
        let wide = Ratio::of(&[0.8, 1.0, 1.25, 1.1, 0.9]);
        for ratio in [narrow, wide] {
            assert!(ratio.low <= ratio.mean && ratio.mean <= ratio.high);
        }
        assert!(wide.high - wide.low > 5.0 * (narrow.high - narrow.low));
        assert_eq!(wide, Ratio::of(&[0.8, 1.0, 1.25, 1.1, 0.9]), "the same runs, the same interval");
    }

    #[test]
    fn a_difference_counts_only_outside_the_spread_of_a_against_a() {
        let same = Ratio { mean: 1.0, low: 0.97, high: 1.02 };
        for (low, high, expected) in [
            (0.98, 1.05, Verdict::Within),
            (1.01, 1.08, Verdict::Within),
            (1.04, 1.08, Verdict::Higher),
            (0.90, 0.96, Verdict::Lower),
            (0.90, 0.98, Verdict::Within),
        ] {
            assert_eq!(Ratio { mean: 1.0, low, high }.against(&same), expected, "{low} {high}");
        }
    }
}
