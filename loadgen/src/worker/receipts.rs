//! Which receipts are still expected, by message id.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::generator::Token;

/// Joins answers and receipts as they come, in either order.
#[derive(Default)]
pub(crate) struct ReceiptBook {
    /// Answered messages without a final receipt, by hash of the message id; about 50 octets each.
    pending: HashMap<u64, Answered, ById>,
    /// Receipts that came before the answer that names their id, with their time.
    early: HashMap<u64, u64, ById>,
}

/// An answered message.
#[derive(Clone, Copy)]
pub(crate) struct Answered {
    pub(crate) token: Token,
    /// Monotonic nanoseconds of the answer.
    pub(crate) at: u64,
}

impl ReceiptBook {
    /// A message was answered; tells when its receipt came if that was before.
    pub(crate) fn answered(&mut self, id: u64, answered: Answered) -> Option<u64> {
        if let Some(at) = self.take_early(id) {
            return Some(at);
        }
        self.pending.insert(id, answered);
        None
    }

    /// A receipt came at `now`; tells which message it is for.
    pub(crate) fn received(&mut self, id: u64, last: bool, now: u64) -> Option<Answered> {
        let found = if last { self.pending.remove(&id) } else { self.pending.get(&id).copied() };
        if found.is_none() && last && self.early.len() < EARLY_MAX {
            self.early.insert(id, now);
        }
        found
    }

    /// Receipts still expected.
    pub(crate) fn pending(&self) -> u64 {
        self.pending.len() as u64
    }

    /// Receipts for ids that no answer named.
    pub(crate) fn unmatched(&self) -> u64 {
        self.early.len() as u64
    }

    fn take_early(&mut self, id: u64) -> Option<u64> {
        if self.early.is_empty() { None } else { self.early.remove(&id) }
    }
}

/// Ids are hashed already.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 keys are hashed")
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }
}

type ById = BuildHasherDefault<IdHasher>;

/// Receipts of unknown ids remembered; 40 octets each. A target that sends more is counted up to here only; the
/// ledger has them all.
const EARLY_MAX: usize = 1_000_000;
