//! A route may change the addresses of a message; its customer never sees that. What goes to the vendor is written beside
//! what the customer sent, and the correlation keeps the customer's addresses for the receipt.

use crate::in_flight::{NO_ADDRESSES, addresses, addresses_in};
use crate::message::Key;
use crate::open::trim;
use crate::relay::Relay;
use crate::route::{ADDRESS_LENGTH_MAX, Addresses};

/// One address with its type, in a place of fixed size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct OwnAddress {
    /// Type of number.
    ton: u8,
    /// Numbering plan.
    npi: u8,
    /// At most [`ADDRESS_LENGTH_MAX`].
    length: u8,
    digits: [u8; ADDRESS_LENGTH_MAX],
}

/// A customer's source and destination of one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwnAddresses {
    source: OwnAddress,
    destination: OwnAddress,
}

impl OwnAddresses {
    /// Octets of the longest packed form.
    pub const PACKED_LENGTH_MAX: usize = 2 * (3 + ADDRESS_LENGTH_MAX);

    /// Of a submit_sm or data_sm; nothing when it is cut or an address is longer than submit_sm allows.
    pub fn of_pdu(pdu: &[u8]) -> Option<Self> {
        let found = Addresses::of(pdu)?;
        let own = |at: usize, digits: &[u8]| OwnAddress::new(pdu[at], pdu[at + 1], digits);
        Some(Self {
            source: own(found.source.at, found.source.digits)?,
            destination: own(found.destination.at, found.destination.digits)?,
        })
    }

    /// Type of number, numbering plan, length and digits of each. Gives the octets used.
    pub(crate) fn pack(&self, into: &mut [u8]) -> usize {
        let mut at = 0;
        for address in [&self.source, &self.destination] {
            let digits = address.digits();
            into[at..at + 3].copy_from_slice(&[address.ton, address.npi, address.length]);
            into[at + 3..at + 3 + digits.len()].copy_from_slice(digits);
            at += 3 + digits.len();
        }
        at
    }

    /// Octets of a packed form that something else follows; nothing when it is cut.
    pub(crate) fn packed_length(begin: &[u8]) -> Option<usize> {
        let source = 3 + usize::from(*begin.get(2)?);
        let length = source + 3 + usize::from(*begin.get(source + 2)?);
        (length <= begin.len()).then_some(length)
    }

    /// Reads the packed form; nothing when its length is wrong.
    pub(crate) fn unpack(packed: &[u8]) -> Option<Self> {
        let take = |packed: &mut &[u8]| {
            let (head, rest) = packed.split_at_checked(3)?;
            let (digits, rest) = rest.split_at_checked(usize::from(head[2]))?;
            *packed = rest;
            OwnAddress::new(head[0], head[1], digits)
        };
        let mut rest = packed;
        let (source, destination) = (take(&mut rest)?, take(&mut rest)?);
        rest.is_empty().then_some(Self { source, destination })
    }

    /// Writes a receipt's PDU so that it comes from the message's destination and goes to its source. False when the
    /// PDU is cut.
    pub(crate) fn write_receipt(&self, pdu: &[u8], out: &mut Vec<u8>) -> bool {
        out.clear();
        let Some(found) = Addresses::of(pdu) else { return false };
        out.extend_from_slice(&pdu[..found.source.at]);
        for address in [&self.destination, &self.source] {
            out.extend_from_slice(&[address.ton, address.npi]);
            out.extend_from_slice(address.digits());
            out.push(0);
        }
        out.extend_from_slice(&pdu[found.destination.end..]);
        let length = out.len() as u32;
        out[..4].copy_from_slice(&length.to_be_bytes());
        true
    }
}

impl OwnAddress {
    fn new(ton: u8, npi: u8, digits: &[u8]) -> Option<Self> {
        let mut kept = [0; ADDRESS_LENGTH_MAX];
        kept.get_mut(..digits.len())?.copy_from_slice(digits);
        Some(Self { ton, npi, length: digits.len() as u8, digits: kept })
    }

    fn digits(&self) -> &[u8] {
        &self.digits[..usize::from(self.length)]
    }
}

impl Relay {
    /// A message is about to go to its vendor: with other addresses where the route that leads there changes them. One
    /// whose addresses are too long for that, or for its receipt to be told back, goes as it is.
    #[inline]
    pub(crate) fn rewrite_addresses(&mut self, key: Key) {
        if !self.snapshot.routes().has_rewrites() && !self.messages[key].is_rewritten {
            return;
        }
        if self.messages[key].epoch != self.epoch {
            self.route_again(key);
        }
        let Self { snapshot, messages, vendors, .. } = self;
        let message = &mut messages[key];
        let routes = snapshot.routes();
        message.wire.clear();
        trim(&mut message.wire);
        let is_routed = !message.origin.is_served();
        let place = vendors[message.vendor].snapshot_place;
        let candidates = if is_routed { routes.plan(message.plan) } else { &[] };
        let candidate = candidates.iter().find(|one| Some(one.vendor) == place);
        if let Some(rewrite) = candidate.and_then(|candidate| routes.rewrite(candidate))
            && (OwnAddresses::of_pdu(&message.pdu).is_none()
                || !rewrite.write(&message.pdu, &mut message.wire))
        {
            message.wire.clear();
            self.counters.traffic.rewrites_refused += 1;
        }
        let message = &mut self.messages[key];
        if message.addresses != NO_ADDRESSES && is_routed {
            let (source, destination) =
                addresses_in(if message.wire.is_empty() { &message.pdu } else { &message.wire });
            message.addresses = addresses(source, destination);
        }
        message.is_rewritten = !message.wire.is_empty();
    }

    /// A buffer comes back from another shard: the message's own, or what was written for the vendor.
    pub(crate) fn take_bytes_back(&mut self, key: Key, pdu: Vec<u8>) {
        let message = &mut self.messages[key];
        if message.is_rewritten {
            self.spare.swap(&mut message.wire, pdu);
        } else {
            self.spare.swap(&mut message.pdu, pdu);
        }
    }

    /// What the correlation of an accepted message keeps for its receipt.
    pub(crate) fn own_addresses(&self, key: Key) -> Option<OwnAddresses> {
        let message = &self.messages[key];
        if message.is_rewritten { OwnAddresses::of_pdu(&message.pdu) } else { None }
    }

    /// A receipt's addresses become those that its customer knows.
    pub(crate) fn restore_addresses(&mut self, delivery: Key, own: &OwnAddresses) {
        let delivery = &mut self.deliveries[delivery];
        if own.write_receipt(&delivery.pdu, &mut self.rewritten) {
            core::mem::swap(&mut delivery.pdu, &mut self.rewritten);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_packing_and_a_cut_form_is_refused() {
        let pdu = [&[0; 16][..], b"CMT\0\x05\0ACME\0\x01\x0112025550123\0rest"].concat();
        let own = OwnAddresses::of_pdu(&pdu).unwrap();
        let mut packed = [0; OwnAddresses::PACKED_LENGTH_MAX];
        let length = own.pack(&mut packed);
        assert_eq!(OwnAddresses::unpack(&packed[..length]), Some(own));
        assert_eq!(OwnAddresses::unpack(&packed[..length - 1]), None);
        assert_eq!(OwnAddresses::unpack(&packed[..length + 1]), None);
        let receipt = [&[0; 16][..], b"\0\x01\x01999\0\x02\x02888\0behind"].concat();
        let mut out = Vec::new();
        assert!(own.write_receipt(&receipt, &mut out));
        assert_eq!(&out[16..], b"\0\x01\x0112025550123\0\x05\0ACME\0behind");
        assert_eq!(out[3] as usize, out.len());
        let long = [&[0; 16][..], b"\0\x01\x01123456789012345678901\0\x02\x02888\0"].concat();
        assert_eq!(OwnAddresses::of_pdu(&long), None);
    }
}
