use ledger::MessageKey;

use crate::decide::{Decider, Purpose};
use crate::scenario::Section;

/// Submits are processed (and receipts sent), but never answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoseResponse {
    /// Share of the submits, 0.0 ..= 1.0.
    pub p: f64,
}

impl LoseResponse {
    pub(crate) fn read(section: &mut Section<'_>) -> LoseResponse {
        LoseResponse { p: section.probability("p").unwrap_or(1.0) }
    }

    pub(crate) fn strikes(&self, decider: &Decider, key: &MessageKey, attempt: u32) -> bool {
        decider.misfortune(key, Purpose::LoseResponse, attempt).hits(self.p)
    }
}
