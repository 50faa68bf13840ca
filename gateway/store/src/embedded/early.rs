//! Receipts of the embedded store that wait for their message. Each is a row by its number, so that the order of the rows is
//! that of coming; which rows have an id stands in memory.

use super::Embedded;
use crate::VERSION;
use crate::recent::{self, KEY_MAX};
use crate::redis::Word;
use crate::rows::{HEAD, number_at, time_of, with_head};
use fjall::Slice;
use foldhash::fast::FixedState;
use relay::{CorrelationKey, EarlyReceipt, SAME_ID_MAX, choose, receipt_for};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;

/// What one takes in memory, octets: an entry in each of two trees, whose nodes are two thirds full.
pub(crate) const EARLY_ENTRY_OCTETS: u64 = 64;
/// Receipts whose time is over that one sweep ends, so that other work need not wait.
const SWEEP_MAX: usize = 256;

/// What became of a receipt that was looked at.
enum Looked {
    /// No message fits.
    NoMessage,
    /// Its owner has no room for it.
    NoRoom,
    /// It is parked for its owner.
    Served,
}

/// Which rows there are.
#[derive(Default)]
pub(super) struct EarlyIndex {
    /// Hash of the packed key, number.
    by_key: BTreeSet<(u64, u64)>,
    /// Hash and time of coming, by number.
    by_age: BTreeMap<u64, (u64, u32)>,
}

impl EarlyIndex {
    fn insert(&mut self, number: u64, key: &[u8], at: u32) {
        let hash = hash_of(key);
        self.by_key.insert((hash, number));
        self.by_age.insert(number, (hash, at));
    }

    fn remove(&mut self, number: u64) {
        if let Some((hash, _)) = self.by_age.remove(&number) {
            self.by_key.remove(&(hash, number));
        }
    }

    /// Those of a key, and by chance of another one; the oldest first.
    fn of_key(&self, key: &[u8]) -> Vec<u64> {
        let hash = hash_of(key);
        self.by_key.range((hash, 0)..=(hash, u64::MAX)).map(|(_, number)| *number).collect()
    }

    fn oldest(&self) -> Option<(u64, u32)> {
        self.by_age.first_key_value().map(|(number, (_, at))| (*number, *at))
    }

    pub(super) fn len(&self) -> usize {
        self.by_age.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_age.is_empty()
    }
}

fn hash_of(key: &[u8]) -> u64 {
    FixedState::with_seed(0x5eed_0f2e_1a7e_0007).hash_one(key)
}

/// `version, time (4), receipt (22), length of the key, key, PDU`.
fn pack_row(now: u32, key: &[u8], receipt: &EarlyReceipt, pdu: &[u8]) -> Vec<u8> {
    let more = [&receipt.to_bytes()[..], &[key.len() as u8], key].concat();
    with_head(now, &more, pdu)
}

/// Receipt, packed key and PDU of a row; nothing when it is cut.
fn read_row(row: &[u8]) -> Option<(EarlyReceipt, &[u8], &[u8])> {
    let rest = row.get(HEAD..).filter(|_| row[0] == VERSION)?;
    let (receipt, rest) = rest.split_at_checked(EarlyReceipt::PACKED_LENGTH)?;
    let (length, rest) = rest.split_first()?;
    let (key, pdu) = rest.split_at_checked(usize::from(*length))?;
    Some((EarlyReceipt::from_bytes(receipt)?, key, pdu))
}

impl Embedded {
    /// Keeps a receipt until its message comes, which may have been between its look-up and this.
    pub(super) fn keep_early(
        &mut self,
        now: u32,
        key: &CorrelationKey,
        receipt: &EarlyReceipt,
        pdu: &[u8],
    ) -> fjall::Result<()> {
        let mut packed = [0; KEY_MAX];
        let packed = recent::pack_key(key, &mut packed);
        if let [oldest, rest @ ..] = &self.early.of_key(packed)[..]
            && rest.len() + 1 >= SAME_ID_MAX
        {
            self.drop_early(*oldest);
            self.counters.early_full += 1;
        }
        while self.early.len() as u64 >= self.limits.early_max.max(1)
            && let Some((oldest, _)) = self.early.oldest()
        {
            self.drop_early(oldest);
            self.counters.early_full += 1;
        }
        self.sequence += 1;
        self.turn.early.insert(self.sequence, pack_row(now, packed, receipt, pdu).into());
        self.early.insert(self.sequence, packed, now);
        self.counters.early += 1;
        self.serve_early(now, packed)
    }

    /// A message of this id is remembered, or a receipt of it came: whatever fits goes to its owner.
    pub(super) fn serve_early(&mut self, now: u32, key: &[u8]) -> fjall::Result<()> {
        if self.early.is_empty() {
            return Ok(());
        }
        for number in self.early.of_key(key) {
            self.serve_one(now, number, Some(key))?;
        }
        Ok(())
    }

    /// With a key, only a receipt of that one is looked at.
    fn serve_one(&mut self, now: u32, number: u64, key: Option<&[u8]>) -> fjall::Result<Looked> {
        let Some(row) = self.early_row(number)? else {
            return Ok(Looked::NoMessage);
        };
        let Some((receipt, packed, pdu)) = read_row(&row) else { return Ok(Looked::NoMessage) };
        if key.is_some_and(|key| key != packed) {
            return Ok(Looked::NoMessage);
        }
        let found = choose(self.recent.find(packed).chain(self.old(packed)?), &receipt.numbers);
        let Some(correlation) = found.fits() else { return Ok(Looked::NoMessage) };
        let Some(written) = receipt_for(pdu, correlation) else { return Ok(Looked::NoMessage) };
        let (account, gateway_id) = (correlation.account, correlation.gateway_id);
        let is_asked = receipt.is_asked(correlation);
        if is_asked && self.park(now, account.0, correlation.urgent, &written).is_err() {
            return Ok(Looked::NoRoom);
        }
        self.drop_early(number);
        self.counters.early_served += 1;
        if receipt.is_final {
            self.counters.forgotten += u64::from(self.drop_key(packed, gateway_id)?);
        }
        self.words.extend(is_asked.then_some(Word::ParkedFor(account)));
        Ok(Looked::Served)
    }

    fn early_row(&self, number: u64) -> fjall::Result<Option<Slice>> {
        match self.turn.early.get(&number) {
            Some(row) => Ok(Some(row.clone())),
            None => self.early_rows.get(number.to_be_bytes()),
        }
    }

    fn drop_early(&mut self, number: u64) {
        self.early.remove(number);
        if self.turn.early.remove(&number).is_none() {
            self.turn.batch.remove(&self.early_rows, number.to_be_bytes());
        }
    }

    /// What waited long enough becomes an orphan, after a last look: a crash may have come between message and receipt.
    pub(super) fn sweep_early(&mut self, now: u32) -> fjall::Result<()> {
        let oldest = now.saturating_sub(self.limits.early_wait_seconds);
        for _ in 0..SWEEP_MAX {
            let Some((number, at)) = self.early.oldest() else { break };
            if at > oldest {
                break;
            }
            let looked = self.serve_one(now, number, None)?;
            if let Looked::Served = looked {
                continue;
            }
            let row = self.early_row(number)?;
            self.drop_early(number);
            let Some((receipt, key, pdu)) = row.as_deref().and_then(read_row) else { continue };
            if let Looked::NoRoom = looked {
                // Its owner is known, and its vendor was acknowledged: it waits once more.
                self.sequence += 1;
                self.turn.early.insert(self.sequence, pack_row(now, key, &receipt, pdu).into());
                self.early.insert(self.sequence, key, now);
                continue;
            }
            self.park_orphan(now, recent::vendor_of(key).0, pdu)?;
            self.counters.early_expired += 1;
        }
        self.flush()
    }

    pub(super) fn restore_early(&mut self) -> fjall::Result<()> {
        for row in self.early_rows.iter() {
            let (number, row) = row.into_inner()?;
            let number = number_at(&number, 0);
            self.sequence = self.sequence.max(number);
            if let Some((_, key, _)) = read_row(&row) {
                self.early.insert(number, key, time_of(&row));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay::ReceiptNumbers;

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let numbers = ReceiptNumbers::new(b"12025550111", b"x");
        let receipt = EarlyReceipt { numbers, is_final: true, tells: relay::Tells::Success };
        let row = pack_row(7, b"key", &receipt, b"pdu");
        assert_eq!(read_row(&row), Some((receipt, &b"key"[..], &b"pdu"[..])));
        for length in 0..row.len() - b"pdu".len() {
            assert_eq!(read_row(&row[..length]), None, "{length}");
        }
        assert_eq!(time_of(&row), 7);
    }
}
