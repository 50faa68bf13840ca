//! The newest open correlations in memory: found by vendor and id, given up from the oldest end. A receipt usually
//! comes within seconds, so its look-up never touches the tree on disk.
//!
//! A record is `version, packed correlation (17, and addresses where it says so; 16 in version 1), vendor (4,
//! big-endian), id`: the tail is the key, the head the value. Its bytes are shared with the tree's own memory, not copied.

use super::VERSION;
use fjall::Slice;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use relay::{Correlation, CorrelationKey};
use std::hash::BuildHasher;

/// Where the key begins at most within a record that we write.
const KEY_AT_MAX: usize = 1 + Correlation::PACKED_LENGTH_MAX;
/// Octets of the longest record.
pub(super) const RECORD_MAX: usize = KEY_AT_MAX + KEY_MAX;
/// Octets of the longest key: vendor and id.
pub(super) const KEY_MAX: usize = 4 + relay::VendorMessageId::LENGTH_MAX;
/// Place that is none.
const NONE: u32 = u32::MAX;

/// An entry of the list.
struct Slot {
    record: Slice,
    sequence: u64,
    older: u32,
    newer: u32,
}

/// An open correlation taken out of the list.
pub(super) struct Taken {
    /// Under what number it was written.
    pub(super) sequence: u64,
    /// The record.
    pub(super) record: Slice,
}

/// The list and its index.
pub(super) struct Recent {
    index: HashTable<u32>,
    hasher: RandomState,
    slots: Vec<Slot>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
}

impl Recent {
    pub(super) fn new() -> Recent {
        Recent {
            index: HashTable::new(),
            hasher: RandomState::default(),
            slots: Vec::new(),
            free: Vec::new(),
            oldest: NONE,
            newest: NONE,
        }
    }

    /// Puts in the newest; its key must not be there.
    pub(super) fn push(&mut self, sequence: u64, record: Slice) {
        let slot = Slot { record, sequence, older: self.newest, newer: NONE };
        let place = match self.free.pop() {
            Some(place) => {
                self.slots[place as usize] = slot;
                place
            }
            None => {
                self.slots.push(slot);
                self.slots.len() as u32 - 1
            }
        };
        match self.newest {
            NONE => self.oldest = place,
            newest => self.slots[newest as usize].newer = place,
        }
        self.newest = place;
        let (slots, hasher) = (&self.slots, &self.hasher);
        let hash = |place: &u32| hasher.hash_one(key_of(&slots[*place as usize].record));
        self.index.insert_unique(hash(&place), place, hash);
    }

    /// The value under a key.
    pub(super) fn find(&self, key: &[u8]) -> Option<Correlation> {
        let place = *self
            .index
            .find(self.hasher.hash_one(key), |place| key_of(&self.slots[*place as usize].record) == key)?;
        correlation_of(&self.slots[place as usize].record)
    }

    /// Takes an entry out by its key.
    pub(super) fn take(&mut self, key: &[u8]) -> Option<Taken> {
        let hash = self.hasher.hash_one(key);
        let slots = &self.slots;
        let entry =
            self.index.find_entry(hash, |place| key_of(&slots[*place as usize].record) == key).ok()?;
        let (place, _) = entry.remove();
        Some(self.unlink(place))
    }

    /// Takes the oldest out if it satisfies a test.
    pub(super) fn take_oldest_if(&mut self, test: impl FnOnce(&Correlation) -> bool) -> Option<Taken> {
        if self.oldest == NONE {
            return None;
        }
        let record = &self.slots[self.oldest as usize].record;
        if !correlation_of(record).is_none_or(|found| test(&found)) {
            return None;
        }
        let record = record.clone();
        self.take(key_of(&record))
    }

    /// The record of an entry that is still in the list under this number.
    pub(super) fn record_of(&self, key: &[u8], sequence: u64) -> Option<&Slice> {
        let place = *self
            .index
            .find(self.hasher.hash_one(key), |place| key_of(&self.slots[*place as usize].record) == key)?;
        let slot = &self.slots[place as usize];
        (slot.sequence == sequence).then_some(&slot.record)
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    fn unlink(&mut self, place: u32) -> Taken {
        let slot = &mut self.slots[place as usize];
        let record = std::mem::replace(&mut slot.record, Slice::empty());
        let (older, newer, sequence) = (slot.older, slot.newer, slot.sequence);
        match older {
            NONE => self.oldest = newer,
            older => self.slots[older as usize].newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => self.slots[newer as usize].older = older,
        }
        self.free.push(place);
        Taken { sequence, record }
    }
}

/// The packed key: vendor, big-endian, then the id.
pub(super) fn pack_key<'a>(key: &CorrelationKey, into: &'a mut [u8; KEY_MAX]) -> &'a [u8] {
    let id = key.id.as_bytes();
    into[..4].copy_from_slice(&key.vendor.0.to_be_bytes());
    into[4..4 + id.len()].copy_from_slice(id);
    &into[..4 + id.len()]
}

/// The whole record of a correlation.
pub(super) fn pack_record(key: &[u8], correlation: &Correlation) -> Slice {
    let mut packed = [0; Correlation::PACKED_LENGTH_MAX];
    let key_at = 1 + correlation.pack(&mut packed);
    let mut record = [0; RECORD_MAX];
    record[0] = VERSION;
    record[1..key_at].copy_from_slice(&packed[..key_at - 1]);
    record[key_at..key_at + key.len()].copy_from_slice(key);
    Slice::new(&record[..key_at + key.len()])
}

/// Where the key begins: one octet earlier in what version 1 wrote. Behind the end when the record is cut.
fn key_at(record: &[u8]) -> usize {
    match record.split_first() {
        Some((1, _)) => Correlation::PACKED_LENGTH,
        Some((_, packed)) => 1 + Correlation::packed_length(packed).unwrap_or(packed.len() + 1),
        None => 1,
    }
}

/// The key within a record.
pub(super) fn key_of(record: &[u8]) -> &[u8] {
    record.get(key_at(record)..).unwrap_or_default()
}

/// The value within a record, or in a value without a key; nothing when it is cut.
pub(super) fn correlation_of(record: &[u8]) -> Option<Correlation> {
    Correlation::from_bytes(record.get(1..key_at(record))?)
}

/// The value without its key, for where the key stands beside it.
pub(super) fn value_of(record: &[u8]) -> &[u8] {
    record.get(..key_at(record)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_version_1_are_read() {
        let record = [&[1][..], &[3, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0], b"\0\0\0\x07id"].concat();
        let found = correlation_of(&record).unwrap();
        assert_eq!((found.account.0, found.gateway_id.0, found.submitted_at, found.urgent), (3, 9, 5, false));
        assert_eq!(key_of(&record), b"\0\0\0\x07id");
        assert_eq!(correlation_of(value_of(&record)), Some(found));
        let record = pack_record(b"\0\0\0\x07id", &Correlation { urgent: true, ..found });
        assert_eq!(key_of(&record), b"\0\0\0\x07id");
        assert!(correlation_of(&record).unwrap().urgent);
    }

    #[test]
    fn a_record_with_addresses_keeps_its_key_apart_and_a_cut_one_has_none() {
        let with = crate::contract::correlation(1);
        assert!(with.addresses.is_some());
        let record = pack_record(b"\0\0\0\x07id", &with);
        assert_eq!(key_of(&record), b"\0\0\0\x07id");
        assert_eq!(correlation_of(&record), Some(with));
        for length in 0..record.len() - 6 {
            assert_eq!(
                (correlation_of(&record[..length]), key_of(&record[..length])),
                (None, &b""[..]),
                "{length}"
            );
        }
    }
}
