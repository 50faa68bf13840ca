//! What becomes of a message: its final state, error code, and how long that takes.

use std::time::Duration;

use ledger::MessageKey;
use smpp::field::MessageState;

use crate::decide::{Decider, Purpose};
use crate::latency::Latency;

/// One of the things that may become of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// `None`: the vendor never says.
    pub state: Option<MessageState>,
    /// Share among the sum of all weights.
    pub weight: f64,
    /// Codes behind `err:`, drawn evenly; empty means 0.
    pub errors: Vec<u16>,
    /// From the answer to the receipt.
    pub delay: Latency,
}

/// All that may become of a message.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Outcomes {
    outcomes: Vec<Outcome>,
    total: f64,
}

/// What becomes of one message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fate {
    pub(crate) state: MessageState,
    pub(crate) error: u16,
    pub(crate) delay: Duration,
}

impl Outcomes {
    /// Weights may be any non-negative numbers; outcomes without weight are left out.
    pub fn new(mut outcomes: Vec<Outcome>) -> Outcomes {
        outcomes.retain(|outcome| outcome.weight > 0.0);
        let total = outcomes.iter().map(|outcome| outcome.weight).sum();
        Outcomes { outcomes, total }
    }

    /// Decides; `None` when there is to be no receipt.
    pub(crate) fn decide(&self, decider: &Decider, key: &MessageKey, attempt: u32) -> Option<Fate> {
        let outcome = self.choose(decider, key, attempt)?;
        let state = outcome.state?;
        let error = match outcome.errors.as_slice() {
            [] => 0,
            [only] => *only,
            many => many[decider.fate(key, Purpose::ErrorCode, attempt).below(many.len())],
        };
        let delay = match &outcome.delay {
            Latency::None => Duration::ZERO,
            delay => delay.sample(decider.fate(key, Purpose::ReceiptDelay, attempt)),
        };
        Some(Fate { state, error, delay })
    }

    fn choose(&self, decider: &Decider, key: &MessageKey, attempt: u32) -> Option<&Outcome> {
        if let [only] = self.outcomes.as_slice() {
            return Some(only);
        }
        let mut left = decider.fate(key, Purpose::State, attempt).unit() * self.total;
        self.outcomes
            .iter()
            .find(|outcome| {
                left -= outcome.weight;
                left < 0.0
            })
            .or(self.outcomes.last())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn shares_follow_the_weights() {
        let outcome = |word: &str, weight, errors: &[u16]| Outcome {
            state: MessageState::from_stat(word.as_bytes()),
            weight,
            errors: errors.to_vec(),
            delay: Latency::None,
        };
        let outcomes = Outcomes::new(vec![
            outcome("DELIVRD", 930.0, &[0]),
            outcome("UNDELIV", 40.0, &[150, 202]),
            outcome("NONE", 30.0, &[]),
            outcome("EXPIRED", 0.0, &[]),
        ]);
        let decider = Decider::new(3, "a");
        let mut counts = BTreeMap::new();
        for sequence in 0..100_000 {
            let key = MessageKey { run: 1, account: 0, sequence, segment: 0 };
            let fate = outcomes.decide(&decider, &key, 0);
            assert_eq!(fate, outcomes.decide(&decider, &key, 0));
            *counts.entry(fate.map(|fate| (fate.state.stat(), fate.error))).or_insert(0u32) += 1;
        }
        let near = |count: u32, expected: u32| count.abs_diff(expected) < 500;
        assert!(near(counts[&Some(("DELIVRD", 0))], 93_000), "{counts:?}");
        assert!(near(counts[&Some(("UNDELIV", 150))], 2_000), "{counts:?}");
        assert!(near(counts[&Some(("UNDELIV", 202))], 2_000), "{counts:?}");
        assert!(near(counts[&None], 3_000), "{counts:?}");
        assert_eq!(counts.len(), 4);
    }

    #[test]
    fn no_outcome_means_no_receipt() {
        let key = MessageKey::default();
        assert_eq!(Outcomes::default().decide(&Decider::new(1, "a"), &key, 0), None);
    }
}
