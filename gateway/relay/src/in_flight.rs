//! Which addresses are on the way to which vendor, as far as it takes to say "certainly none": a receipt that nobody
//! knows may belong to a message whose answer is still to come, and then it says nothing about another one.

use crate::message::VendorId;
use crate::route::{mix, without_plus};
use core::hash::{BuildHasher, Hasher};
use foldhash::fast::FixedState;

/// Counters of one shard, two octets each: 256 KiB. With 2,000 messages in flight, one look in 65 finds a stranger's
/// and says "maybe" in vain; the outcome then stays unknown, which is never wrong.
const CELLS: usize = 1 << CELL_BITS;
const CELL_BITS: u32 = 17;
/// Names no addresses.
pub(crate) const NO_ADDRESSES: u64 = 0;

/// What the in-flight counters of one shard take, octets.
pub(crate) const IN_FLIGHT_OCTETS: u64 = (CELLS * size_of::<u16>()) as u64;

/// Counts messages on links by vendor and addresses. Addresses may share a counter: it errs towards "maybe".
#[derive(Debug)]
pub(crate) struct InFlight(Box<[u16]>);

impl InFlight {
    pub(crate) fn new() -> Self {
        Self(vec![0; CELLS].into_boxed_slice())
    }

    #[inline]
    pub(crate) fn add(&mut self, vendor: VendorId, addresses: u64) {
        let cell = &mut self.0[cell(vendor, addresses)];
        *cell = cell.saturating_add(1);
    }

    /// A counter that was ever full stays so: how many it missed is not known.
    #[inline]
    pub(crate) fn remove(&mut self, vendor: VendorId, addresses: u64) {
        let cell = &mut self.0[cell(vendor, addresses)];
        assert!(*cell > 0);
        if *cell < u16::MAX {
            *cell -= 1;
        }
    }

    /// False only when no message with these addresses is on a link of this vendor here.
    pub(crate) fn may_hold(&self, vendor: VendorId, addresses: u64) -> bool {
        self.0[cell(vendor, addresses)] > 0
    }
}

fn cell(vendor: VendorId, addresses: u64) -> usize {
    (mix(addresses ^ vendor.spread()) >> (64 - CELL_BITS)) as usize
}

/// One number for a message's source and destination, the same on every shard; a leading `+` does not count. Two pairs
/// of addresses have one number by chance once in 2^64.
#[inline]
pub(crate) fn addresses(source: &[u8], destination: &[u8]) -> u64 {
    const SEED: u64 = 0x5eed_0f2e_1a7e_0003;
    let mut hasher = FixedState::with_seed(SEED).build_hasher();
    let (source, destination) = (without_plus(source), without_plus(destination));
    hasher.write_u8(source.len() as u8); // an address has 64 octets at most
    hasher.write(source);
    hasher.write(destination);
    hasher.finish().max(NO_ADDRESSES + 1)
}

/// Source and destination digits of a submit_sm, deliver_sm or data_sm, which begin alike: service_type, source,
/// destination (SMPP 3.4 §4.4.1, §4.6.1, §4.7.1). Empty when cut, which the decoder has ruled out.
pub(crate) fn addresses_in(pdu: &[u8]) -> (&[u8], &[u8]) {
    const HEADER_LENGTH: usize = 16;
    let find = |rest: &[u8]| rest.iter().position(|octet| *octet == 0);
    let body = pdu.get(HEADER_LENGTH..).unwrap_or_default();
    let after_service = find(body).and_then(|end| body.get(end + 3..)).unwrap_or_default();
    let source = &after_service[..find(after_service).unwrap_or(0)];
    let rest = after_service.get(source.len() + 3..).unwrap_or_default();
    (source, &rest[..find(rest).unwrap_or(0)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_a_pdu() {
        let check = |body: &[u8], expected: (&[u8], &[u8])| {
            let mut pdu = vec![0; 16];
            pdu.extend_from_slice(body);
            assert_eq!(addresses_in(&pdu), expected);
        };
        check(b"\0\x01\x0112025550100\0\x01\x01442071234567\0\0\0", (b"12025550100", b"442071234567"));
        check(b"CMT\0\x05\0ACME\0\x01\x014420\0", (b"ACME", b"4420"));
        check(b"CMT\0\x05\0\0\x01\x014420\0", (b"", b"4420"));
        check(b"CMT\0\x05\0ACME", (b"", b""));
        check(b"", (b"", b""));
    }

    #[test]
    fn addresses_differ_by_their_place_but_not_by_a_plus() {
        assert_eq!(addresses(b"+1202", b"44"), addresses(b"1202", b"+44"));
        assert_ne!(addresses(b"1202", b"44"), addresses(b"44", b"1202"));
        assert_ne!(addresses(b"1202", b"44"), addresses(b"12024", b"4"));
    }

    #[test]
    fn counters_tell_none_from_maybe() {
        let mut in_flight = InFlight::new();
        let (one, other) = (VendorId(1), VendorId(2));
        in_flight.add(one, 7);
        in_flight.add(one, 7);
        in_flight.remove(one, 7);
        assert!(in_flight.may_hold(one, 7) && !in_flight.may_hold(other, 7) && !in_flight.may_hold(one, 8));
        in_flight.remove(one, 7);
        assert!(!in_flight.may_hold(one, 7));
        for _ in 0..u32::from(u16::MAX) + 1 {
            in_flight.add(one, 7);
        }
        for _ in 0..u32::from(u16::MAX) + 1 {
            in_flight.remove(one, 7);
        }
        assert!(in_flight.may_hold(one, 7), "it lost count");
    }
}
