//! Whose a receipt is: by account, message id and handset.

use std::collections::HashMap;

use ledger::{MessageKey, ReceiptDigest, ReceiptField, Record};

use crate::by_id::ById;

/// A receipt as an account got it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    pub(super) id: u64,
    /// The id in the text, where it is another.
    id_in_text: Option<u64>,
    pub(super) time_ns: u64,
    pub(super) digest: ReceiptDigest,
    pub(super) link: u32,
    pub(super) party: u16,
    /// TLV and text name different ids.
    pub(super) ids_differ: bool,
    /// The message it names.
    pub(super) owner: Option<MessageKey>,
}

impl Received {
    pub(super) fn of(record: &Record) -> Received {
        let id_in_text = record.id_in_text();
        Received {
            id: record.id_hash,
            id_in_text,
            time_ns: record.time_ns,
            digest: record.digest(),
            link: record.link,
            party: record.party,
            ids_differ: id_in_text.is_some(),
            owner: None,
        }
    }
}

/// Message ids as answers gave them.
#[derive(Default)]
pub(super) struct Ids {
    first: HashMap<u64, MessageKey, ById>,
    /// Further messages of an id: of another account, or of a site that numbers like another.
    more: HashMap<u64, Vec<MessageKey>>,
}

impl Ids {
    pub(super) fn insert(&mut self, id: u64, key: MessageKey) {
        if let Some(older) = self.first.insert(id, key)
            && older != key
        {
            self.more.entry(id).or_default().push(older);
        }
    }

    /// Ids known.
    pub(super) fn len(&self) -> u64 {
        self.first.len() as u64
    }

    /// The message that a receipt names. An id proves nothing: where several messages have it, the account and the
    /// handset decide. A message of another account is named only where none of this account fits.
    pub(super) fn owner(
        &self,
        receipt: &Received,
        handset: impl Fn(MessageKey) -> u16,
    ) -> Option<MessageKey> {
        let by = |id: u64| {
            let &first = self.first.get(&id)?;
            let more = if self.more.is_empty() { None } else { self.more.get(&id) };
            let Some(more) = more else { return Some(first) };
            let source = receipt.digest.field(ReceiptField::Source);
            // The oldest first: who was answered first gets its receipt first.
            let all = more.iter().copied().chain([first]);
            best(all, |key| (key.account == receipt.party, handset(*key) == source))
        };
        by(receipt.id).or_else(|| by(receipt.id_in_text?))
    }
}

/// The first of those that rank highest: own account and handset, another account with the handset, own account.
fn best(
    keys: impl Iterator<Item = MessageKey>,
    is_own_and_fits: impl Fn(&MessageKey) -> (bool, bool),
) -> Option<MessageKey> {
    let score = |key: &MessageKey| match is_own_and_fits(key) {
        (true, true) => 3,
        (false, true) => 2,
        (true, false) => 1,
        (false, false) => 0,
    };
    let mut best: Option<(u8, MessageKey)> = None;
    for key in keys {
        let score = score(&key);
        if best.is_none_or(|(highest, _)| score > highest) {
            best = Some((score, key));
        }
    }
    best.map(|(_, key)| key)
}
