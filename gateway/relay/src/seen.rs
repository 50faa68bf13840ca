//! Receipts that are done with. A vendor that did not get our answer sends a receipt again, and by then its correlation
//! has gone: such a repetition says nothing of any other message.

use crate::message::VendorId;
use crate::store_op::VendorMessageId;
use core::hash::{BuildHasher, Hasher};
use foldhash::fast::FixedState;
use hashbrown::HashSet;

/// Receipts of one generation; the last one whole and the one before it are known, so that at 1,000 receipts a second on
/// a shard a repetition is recognised for one to two minutes. A full hash table of 65,536 slots, 9 octets each.
const GENERATION_MAX: usize = 57_344;
/// What is kept on one shard, octets: ids and whole receipts, 1.2 MiB each.
pub(crate) const SEEN_OCTETS: u64 = 2 * 2 * 65_536 * 9;

/// Ids of receipts, the newest generation and the one before.
#[derive(Debug)]
pub(crate) struct SeenReceipts {
    young: HashSet<u64, FixedState>,
    old: HashSet<u64, FixedState>,
}

impl SeenReceipts {
    pub(crate) fn new(seed: u64) -> Self {
        let generation = || HashSet::with_capacity_and_hasher(GENERATION_MAX, FixedState::with_seed(seed));
        Self { young: generation(), old: generation() }
    }

    #[inline]
    pub(crate) fn insert(&mut self, receipt: u64) {
        if self.young.len() >= GENERATION_MAX {
            core::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(receipt);
    }

    pub(crate) fn contains(&self, receipt: u64) -> bool {
        self.young.contains(&receipt) || self.old.contains(&receipt)
    }
}

/// One number for a receipt as it stands in its PDU behind the sequence number: a vendor that did not get our answer sends
/// the same again. Never 0.
#[inline]
pub(crate) fn repetition_number(vendor: VendorId, pdu: &[u8]) -> u64 {
    const SEED: u64 = 0x5eed_0f2e_1a7e_0006;
    const HEADER_LENGTH: usize = 16;
    let mut hasher = FixedState::with_seed(SEED).build_hasher();
    hasher.write_u64(vendor.spread());
    hasher.write(pdu.get(HEADER_LENGTH..).unwrap_or_default());
    hasher.finish().max(1)
}

/// One number for a vendor's id, the same on every shard and never 0.
#[inline]
pub(crate) fn receipt_number(vendor: VendorId, id: &VendorMessageId) -> u64 {
    const SEED: u64 = 0x5eed_0f2e_1a7e_0004;
    let mut hasher = FixedState::with_seed(SEED).build_hasher();
    hasher.write_u128(vendor.0);
    hasher.write(id.as_bytes());
    hasher.finish().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_generation_is_known_whole() {
        let mut seen = SeenReceipts::new(1);
        let room = seen.young.capacity();
        let count = 3 * GENERATION_MAX as u64;
        for receipt in 1..=count {
            seen.insert(receipt);
        }
        assert!((count - GENERATION_MAX as u64 + 1..=count).all(|receipt| seen.contains(receipt)));
        assert!(!seen.contains(1));
        assert_eq!((seen.young.capacity(), seen.old.capacity()), (room, room), "it never grows");
    }

    #[test]
    fn ids_of_two_vendors_never_meet() {
        let id = |text: &[u8]| VendorMessageId::new(text).unwrap();
        let one = receipt_number(VendorId(1), &id(b"77"));
        assert_ne!(one, receipt_number(VendorId(2), &id(b"77")));
        assert_ne!(one, receipt_number(VendorId(1), &id(b"78")));
    }

    #[test]
    fn a_repetition_has_another_sequence_number_only() {
        let number = |vendor, pdu: &[u8]| repetition_number(VendorId(vendor), pdu);
        let one = number(1, b"0123456789abcdefbody");
        assert_eq!(number(1, b"0123456789abXXXXbody"), one);
        assert_ne!(number(1, b"0123456789abcdefBody"), one);
        assert_ne!(number(2, b"0123456789abcdefbody"), one);
        assert_ne!(number(1, b"cut"), 0);
    }
}
