//! Which receipts are still expected, by account and message id.

use std::collections::HashMap;

use super::generator::Token;
use crate::by_id::ById;

/// Joins answers and receipts as they come, in either order.
#[derive(Default)]
pub(crate) struct ReceiptBook {
    /// Answered messages without a final receipt, by account and hash of the message id; about 50 octets each.
    pending: HashMap<u64, Answered, ById>,
    /// Further messages of an account whose id is one that waits in `pending` already.
    alike: HashMap<u64, Vec<Answered>, ById>,
    /// Messages in `alike`.
    alike_count: u64,
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
    pub(crate) fn answered(&mut self, account: u16, id: u64, answered: Answered) -> Option<u64> {
        let id = of_account(account, id);
        if let Some(at) = self.take_early(id) {
            return Some(at);
        }
        if let Some(older) = self.pending.insert(id, answered) {
            self.alike.entry(id).or_default().push(older);
            self.alike_count += 1;
        }
        None
    }

    /// A receipt came at `now`; tells which message it is for.
    pub(crate) fn received(&mut self, account: u16, id: u64, last: bool, now: u64) -> Option<Answered> {
        let id = of_account(account, id);
        let found = if last { self.take(id) } else { self.pending.get(&id).copied() };
        if found.is_none() && last && self.early.len() < EARLY_MAX {
            self.early.insert(id, now);
        }
        found
    }

    /// Receipts still expected.
    pub(crate) fn pending(&self) -> u64 {
        self.pending.len() as u64 + self.alike_count
    }

    /// Receipts for ids that no answer named.
    pub(crate) fn unmatched(&self) -> u64 {
        self.early.len() as u64
    }

    fn take(&mut self, id: u64) -> Option<Answered> {
        if self.alike_count > 0
            && let Some(alike) = self.alike.get_mut(&id)
            && let Some(answered) = alike.pop()
        {
            self.alike_count -= 1;
            return Some(answered);
        }
        self.pending.remove(&id)
    }

    fn take_early(&mut self, id: u64) -> Option<u64> {
        if self.early.is_empty() { None } else { self.early.remove(&id) }
    }
}

/// Two accounts may have messages of one id.
fn of_account(account: u16, id: u64) -> u64 {
    id.wrapping_add(u64::from(account).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// Receipts of unknown ids remembered; 40 octets each. A target that sends more is counted up to here only; the
/// ledger has them all.
const EARLY_MAX: usize = 1_000_000;
