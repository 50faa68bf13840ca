//! Short forms by which two ledgers compare what they saw.

use smpp::field::Address;
use smpp::pdu::{DeliverSm, SubmitSm};
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

/// Fingerprint of everything in a submit_sm that must reach the vendor unchanged: service type, addresses,
/// esm_class, protocol_id, priority, times, replace_if_present_flag, coding, short_message and every TLV byte for byte.
///
/// registered_delivery is left out: it is compared by itself.
pub fn fingerprint(pdu: &SubmitSm<'_>) -> u64 {
    Parts {
        texts: [
            pdu.service_type,
            pdu.schedule_delivery_time,
            pdu.validity_period,
            pdu.short_message,
            pdu.tlvs.as_bytes(),
        ],
        addresses: [pdu.source, pdu.destination],
        numbers: [
            pdu.esm_class.0,
            pdu.protocol_id,
            pdu.priority_flag,
            pdu.data_coding.0,
            pdu.sm_default_msg_id,
            pdu.replace_if_present_flag,
        ],
    }
    .fingerprint()
}

/// The same for a mobile-originated message in a deliver_sm.
pub fn fingerprint_mo(pdu: &DeliverSm<'_>) -> u64 {
    Parts {
        texts: [
            pdu.service_type,
            pdu.schedule_delivery_time,
            pdu.validity_period,
            pdu.short_message,
            pdu.tlvs.as_bytes(),
        ],
        addresses: [pdu.source, pdu.destination],
        numbers: [
            pdu.esm_class.0,
            pdu.protocol_id,
            pdu.priority_flag,
            pdu.data_coding.0,
            pdu.sm_default_msg_id,
            pdu.replace_if_present_flag,
        ],
    }
    .fingerprint()
}

/// Short form of a message id, by which a response and its receipts are joined.
pub fn id_hash(message_id: &[u8]) -> u64 {
    xxh3_64(message_id)
}

struct Parts<'a> {
    texts: [&'a [u8]; 5],
    addresses: [Address<'a>; 2],
    numbers: [u8; 6],
}

impl Parts<'_> {
    /// Each part stands behind its length, so that no octet can move to its neighbour unnoticed. A message that
    /// fits the stack buffer (nearly all do) is hashed in one pass.
    fn fingerprint(&self) -> u64 {
        let mut small = [0; SMALL_MAX];
        let mut length = 0;
        let mut large = None;
        self.each(|part| match &mut large {
            Some(hasher) => Xxh3Default::update(hasher, part),
            None if length + part.len() <= SMALL_MAX => {
                small[length..length + part.len()].copy_from_slice(part);
                length += part.len();
            }
            None => {
                let mut hasher = Xxh3Default::new();
                hasher.update(&small[..length]);
                hasher.update(part);
                large = Some(hasher);
            }
        });
        large.map_or_else(|| xxh3_64(&small[..length]), |hasher| hasher.digest())
    }

    fn each(&self, mut take: impl FnMut(&[u8])) {
        take(&self.numbers);
        for address in &self.addresses {
            take(&[address.ton.0, address.npi.0, address.digits.len() as u8]);
            take(address.digits);
        }
        for text in self.texts {
            take(&(text.len() as u32).to_le_bytes());
            take(text);
        }
    }
}

/// Octets hashed without streaming state; a submit_sm without message_payload is shorter.
const SMALL_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use smpp::field::{DataCoding, EsmClass, Npi, RegisteredDelivery, Ton};
    use smpp::tlv::Tlvs;

    fn submit<'a>(destination: &'a [u8], text: &'a [u8]) -> SubmitSm<'a> {
        SubmitSm {
            service_type: b"",
            source: Address { ton: Ton(3), npi: Npi(0), digits: b"12345" },
            destination: Address { ton: Ton(1), npi: Npi(1), digits: destination },
            esm_class: EsmClass(0),
            protocol_id: 0,
            priority_flag: 0,
            schedule_delivery_time: b"",
            validity_period: b"",
            registered_delivery: RegisteredDelivery(1),
            replace_if_present_flag: 0,
            data_coding: DataCoding(0),
            sm_default_msg_id: 0,
            short_message: text,
            tlvs: Tlvs::default(),
        }
    }

    #[test]
    fn every_field_counts_but_the_receipt_request() {
        let base = submit(b"15551234567", b"hello");
        let unchanged = fingerprint(&base);
        let mut other = base;
        other.registered_delivery = RegisteredDelivery(0);
        assert_eq!(fingerprint(&other), unchanged);
        let changes: [fn(&mut SubmitSm<'_>); 10] = [
            |p| p.replace_if_present_flag = 1,
            |p| p.service_type = b"WAP",
            |p| p.source.digits = b"12346",
            |p| p.source.ton = Ton(5),
            |p| p.destination.npi = Npi(0),
            |p| p.esm_class = EsmClass(0x40),
            |p| p.protocol_id = 64,
            |p| p.data_coding = DataCoding(8),
            |p| p.validity_period = b"000001000000000R",
            |p| p.short_message = b"hello!",
        ];
        for change in changes {
            let mut other = base;
            change(&mut other);
            assert_ne!(fingerprint(&other), unchanged);
        }
    }

    #[test]
    fn octets_do_not_move_between_fields_unnoticed() {
        let mut one = submit(b"1", b"ab");
        let mut two = submit(b"1", b"ab");
        one.schedule_delivery_time = b"x";
        two.validity_period = b"x";
        assert_ne!(fingerprint(&one), fingerprint(&two));
    }

    #[test]
    fn long_messages_are_hashed_to_their_last_octet() {
        let mut text = vec![b'a'; 4000];
        let before = fingerprint(&submit(b"1", &text));
        *text.last_mut().unwrap() = b'b';
        assert_ne!(fingerprint(&submit(b"1", &text)), before);
    }
}
