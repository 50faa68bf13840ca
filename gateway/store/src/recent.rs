//! The newest open correlations in memory: found by vendor and id, given up from the oldest end. A receipt usually
//! comes within seconds, so its look-up never touches the tree on disk.
//!
//! A record is `version, length of the packed correlation, packed correlation, vendor (16, big-endian), id`: the tail is the
//! key, the head the value. Its bytes are shared with the tree's own memory, not copied. Several may have one key.

use super::VERSION;
use fjall::Slice;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use relay::{Correlation, CorrelationKey, VendorId};
use smpp::text::message_id::GatewayId;
use std::hash::BuildHasher;

/// Where the key begins at most within a record that we write.
const KEY_AT_MAX: usize = VALUE_AT + Correlation::PACKED_LENGTH_MAX;
/// Where the packed correlation begins: behind the version and its length.
const VALUE_AT: usize = 2;
/// Octets of the longest record.
pub(super) const RECORD_MAX: usize = KEY_AT_MAX + KEY_MAX;
/// Octets of the longest key: vendor and id.
pub(super) const KEY_MAX: usize = VENDOR + relay::VendorMessageId::LENGTH_MAX;
/// Octets of a vendor in keys.
const VENDOR: usize = 16;
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

    /// Puts in the newest.
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

    /// The correlations under a key, in no order.
    pub(super) fn find(&self, key: &[u8]) -> impl Iterator<Item = Correlation> {
        self.places(key).filter_map(|place| correlation_of(&self.slots[place as usize].record))
    }

    fn places(&self, key: &[u8]) -> impl Iterator<Item = u32> {
        let is_it = move |place: &u32| key_of(&self.slots[*place as usize].record) == key;
        self.index.iter_hash(self.hasher.hash_one(key)).copied().filter(is_it)
    }

    /// Takes a message's correlation out by its key.
    pub(super) fn take(&mut self, key: &[u8], gateway_id: GatewayId) -> Option<Taken> {
        let is_its = |place: &u32| {
            correlation_of(&self.slots[*place as usize].record)
                .is_some_and(|one| one.gateway_id == gateway_id)
        };
        let place = self.places(key).find(is_its)?;
        self.take_at(place)
    }

    fn take_at(&mut self, place: u32) -> Option<Taken> {
        let hash = self.hasher.hash_one(key_of(&self.slots[place as usize].record));
        let entry = self.index.find_entry(hash, |other| *other == place).ok()?;
        let (place, _) = entry.remove();
        Some(self.unlink(place))
    }

    /// Marks all correlations under a key as of a shared id; gives the records that changed, with their numbers.
    pub(super) fn share(&mut self, key: &[u8]) -> Vec<Taken> {
        let places: Vec<u32> = self.places(key).collect();
        let mut changed = Vec::new();
        for place in places {
            let slot = &mut self.slots[place as usize];
            if let Some(found) = correlation_of(&slot.record).filter(|found| !found.shared) {
                slot.record = pack_record(key, &Correlation { shared: true, ..found });
                changed.push(Taken { sequence: slot.sequence, record: slot.record.clone() });
            }
        }
        changed
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
        self.take_at(self.oldest)
    }

    /// The record of an entry that is still in the list under this number.
    pub(super) fn record_of(&self, key: &[u8], sequence: u64) -> Option<&Slice> {
        let place = self.places(key).find(|place| self.slots[*place as usize].sequence == sequence)?;
        Some(&self.slots[place as usize].record)
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
    into[..VENDOR].copy_from_slice(&key.vendor.0.to_be_bytes());
    into[VENDOR..VENDOR + id.len()].copy_from_slice(id);
    &into[..VENDOR + id.len()]
}

/// The vendor of a packed key.
pub(super) fn vendor_of(key: &[u8]) -> VendorId {
    let number = key.first_chunk::<VENDOR>().map_or(0, |vendor| u128::from_be_bytes(*vendor));
    VendorId(number)
}

/// The whole record of a correlation.
pub(super) fn pack_record(key: &[u8], correlation: &Correlation) -> Slice {
    let mut packed = [0; Correlation::PACKED_LENGTH_MAX];
    let length = correlation.pack(&mut packed);
    let key_at = VALUE_AT + length;
    let mut record = [0; RECORD_MAX];
    (record[0], record[1]) = (VERSION, length as u8);
    record[VALUE_AT..key_at].copy_from_slice(&packed[..length]);
    record[key_at..key_at + key.len()].copy_from_slice(key);
    Slice::new(&record[..key_at + key.len()])
}

/// Where the key begins. Behind the end when the record is cut.
fn key_at(record: &[u8]) -> usize {
    record.get(1).map_or(VALUE_AT, |length| VALUE_AT + usize::from(*length))
}

/// The key within a record.
pub(super) fn key_of(record: &[u8]) -> &[u8] {
    record.get(key_at(record)..).unwrap_or_default()
}

/// The value within a record; nothing when it is cut.
pub(super) fn correlation_of(record: &[u8]) -> Option<Correlation> {
    Correlation::from_bytes(record.get(VALUE_AT..key_at(record))?)
}

/// What lies in the tree under a key that stands beside it: the version, then each correlation behind its length.
pub(super) fn pack_list(correlations: &[Correlation]) -> Slice {
    let mut value = vec![VERSION];
    for correlation in correlations {
        let mut packed = [0; Correlation::PACKED_LENGTH_MAX];
        let length = correlation.pack(&mut packed);
        value.push(length as u8);
        value.extend_from_slice(&packed[..length]);
    }
    Slice::new(&value)
}

/// Reads a list; what is cut ends it.
pub(super) fn list_of(value: &[u8]) -> impl Iterator<Item = Correlation> {
    let mut rest = value.get(1..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, behind) = rest.split_first()?;
        let (packed, after) = behind.split_at_checked(usize::from(*length))?;
        rest = after;
        Correlation::from_bytes(packed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_with_addresses_keeps_its_key_apart_and_a_cut_one_has_none() {
        let with = crate::contract::correlation(1);
        assert!(with.addresses.is_some());
        let key = [&[0; 15][..], b"\x07id"].concat();
        let record = pack_record(&key, &with);
        assert_eq!(key_of(&record), key);
        assert_eq!(correlation_of(&record), Some(with));
        for length in 0..record.len() - key.len() {
            assert_eq!(
                (correlation_of(&record[..length]), key_of(&record[..length])),
                (None, &b""[..]),
                "{length}"
            );
        }
    }

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let all = [1, 2, 3].map(crate::contract::correlation);
        assert_eq!(list_of(&pack_list(&all)).collect::<Vec<_>>(), all);
        assert_eq!(list_of(&pack_list(&[])).count(), 0);
    }
}
