use ledger::MessageKey;

use crate::decide::{Decider, Purpose};
use crate::scenario::Section;

/// Submits vanish: neither processed nor answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoseRequest {
    /// Share of the submits, 0.0 ..= 1.0.
    pub p: f64,
}

impl LoseRequest {
    pub(crate) fn read(section: &mut Section<'_>) -> LoseRequest {
        LoseRequest { p: section.probability("p").unwrap_or(1.0) }
    }

    pub(crate) fn strikes(&self, decider: &Decider, key: &MessageKey, attempt: u32) -> bool {
        decider.misfortune(key, Purpose::LoseRequest, attempt).hits(self.p)
    }
}
