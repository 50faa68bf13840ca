//! Decisions that depend on nothing but (seed, purpose, message key, attempt).
//!
//! There is no generator whose state moves from message to message, so what happens to a message is the same on
//! one thread or many, on any bind, and in any order of arrival.

use ledger::MessageKey;

/// What a decision is about. The number is part of the hash: keep it when a purpose is renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    State = 1,
    ErrorCode = 2,
    ReceiptDelay = 3,
    Latency = 4,
    DuplicateReceipt = 5,
    EarlyReceipt = 6,
    Route = 7,
    Error = 8,
    ErrorStatus = 9,
    LoseRequest = 10,
    LoseResponse = 11,
    MoText = 12,
    MoKeyword = 13,
}

/// The seed of a scenario, once for the fate of messages and once for the misfortunes of one site.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decider {
    seed: u64,
    site_seed: u64,
}

impl Decider {
    pub(crate) fn new(seed: u64, site_name: &str) -> Decider {
        Decider { seed, site_seed: seed ^ ledger::id_hash(site_name.as_bytes()) }
    }

    /// What becomes of the message itself (state, code, delay of its receipt): the same at every site.
    pub(crate) fn fate(&self, key: &MessageKey, purpose: Purpose, attempt: u32) -> Draw {
        Draw(key.hash(self.seed, purpose as u64, attempt))
    }

    /// What this site does to the message (latency, errors, losses): another site draws anew.
    pub(crate) fn misfortune(&self, key: &MessageKey, purpose: Purpose, attempt: u32) -> Draw {
        Draw(key.hash(self.site_seed, purpose as u64, attempt))
    }
}

/// 64 evenly distributed bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    /// A number in 0.0 ..< 1.0.
    pub(crate) fn unit(self) -> f64 {
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Whether something of this probability happens.
    pub(crate) fn hits(self, probability: f64) -> bool {
        probability > 0.0 && self.unit() < probability
    }

    /// A number in 0 ..< `count`; 0 when `count` is 0.
    pub(crate) fn below(self, count: usize) -> usize {
        ((u128::from(self.0) * count as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_share_a_fate_but_not_their_misfortunes() {
        let (chicago, atlanta) = (Decider::new(7, "Chicago"), Decider::new(7, "Atlanta"));
        let key = MessageKey { run: 1, account: 2, sequence: 3, segment: 0 };
        assert_eq!(chicago.fate(&key, Purpose::State, 0), atlanta.fate(&key, Purpose::State, 0));
        assert_ne!(chicago.fate(&key, Purpose::State, 0), atlanta.fate(&key, Purpose::State, 1));
        assert_ne!(chicago.misfortune(&key, Purpose::Error, 0), atlanta.misfortune(&key, Purpose::Error, 0));
    }

    #[test]
    fn draws_are_even() {
        let decider = Decider::new(1, "a");
        let mut hits = 0;
        for sequence in 0..100_000 {
            let key = MessageKey { run: 1, account: 0, sequence, segment: 0 };
            let draw = decider.fate(&key, Purpose::State, 0);
            assert!(draw.below(7) < 7);
            hits += u32::from(draw.hits(0.25));
        }
        assert!((24_000..26_000).contains(&hits), "{hits}");
        assert!(!Draw(0).hits(0.0));
        assert!(Draw(u64::MAX).hits(1.0));
    }
}
