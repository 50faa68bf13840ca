use ledger::MessageKey;

use crate::decide::{Decider, Purpose};
use crate::scenario::Section;

/// Submits are refused with a mix of statuses.
#[derive(Clone, Debug, PartialEq)]
pub struct Errors {
    /// Share of the submits, 0.0 ..= 1.0.
    pub p: f64,
    /// command_status and its weight.
    pub mix: Vec<(u32, f64)>,
}

impl Errors {
    pub(crate) fn read(section: &mut Section<'_>) -> Errors {
        let p = section.probability("p").unwrap_or(1.0);
        let mut mix = Vec::new();
        if let Some(status) = section.status("status") {
            mix.push((status, 1.0));
        }
        if let Some(mut weights) = section.section("mix") {
            for key in weights.keys() {
                let weight = weights.number(&key, 0.0..=1e9).unwrap_or_default();
                match key.strip_prefix("0x").and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
                    Some(status) => mix.push((status, weight)),
                    None => weights.wrong(&format!("{key} is no command_status such as 0x08")),
                }
            }
            weights.finish();
        }
        if mix.is_empty() {
            mix.push((ESME_RSYSERR, 1.0));
        }
        Errors { p, mix }
    }

    /// The status this submit is refused with, if it is.
    pub(crate) fn strike(&self, decider: &Decider, key: &MessageKey, attempt: u32) -> Option<u32> {
        if !decider.misfortune(key, Purpose::Error, attempt).hits(self.p) {
            return None;
        }
        let total: f64 = self.mix.iter().map(|(_, weight)| weight).sum();
        let mut left = decider.misfortune(key, Purpose::ErrorStatus, attempt).unit() * total;
        let drawn = self.mix.iter().find(|(_, weight)| {
            left -= weight;
            left < 0.0
        });
        drawn.or(self.mix.last()).map(|(status, _)| *status)
    }
}

const ESME_RSYSERR: u32 = 0x08;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_weights() {
        let errors = Errors { p: 0.5, mix: vec![(0x08, 3.0), (0x45, 1.0)] };
        let decider = Decider::new(1, "a");
        let mut counts = [0u32; 3];
        for sequence in 0..40_000 {
            let key = MessageKey { run: 1, account: 0, sequence, segment: 0 };
            match errors.strike(&decider, &key, 0) {
                None => counts[0] += 1,
                Some(0x08) => counts[1] += 1,
                Some(_) => counts[2] += 1,
            }
        }
        assert!(counts[0].abs_diff(20_000) < 500, "{counts:?}");
        assert!(counts[1].abs_diff(15_000) < 500, "{counts:?}");
        assert!(counts[2].abs_diff(5_000) < 500, "{counts:?}");
    }
}
