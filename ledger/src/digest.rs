//! What a delivery receipt says, field by field, short enough for a record.

use smpp::field::MessageState;
use smpp::pdu::{DeliverSm, SubmitSm};
use smpp::text::receipt::ReceiptView;
use smpp::tlv::Tag;
use xxhash_rust::xxh3::xxh3_64;

/// A field, or group of fields, of a receipt that is compared by itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum ReceiptField {
    /// Digits of source_addr without a leading plus sign: the handset.
    Source = 0,
    /// Digits of destination_addr without a leading plus sign: the message's sender.
    Destination = 1,
    /// `err:` of the text.
    Error = 2,
    /// `submit date:` of the text.
    SubmitDate = 3,
    /// `done date:` of the text.
    DoneDate = 4,
    /// `sub:` and `dlvrd:` of the text.
    Counts = 5,
    /// `text:` of the text; the whole text where it is no receipt text.
    Text = 6,
    /// Every TLV but message_state and message_payload; of receipted_message_id only whether it is there.
    Tlvs = 7,
    /// esm_class.
    EsmClass = 8,
    /// All other mandatory fields: types of number, plus signs, service type, protocol, priority, coding and so on.
    Header = 9,
}

impl ReceiptField {
    /// All of them, in the order of their numbers.
    pub const ALL: [ReceiptField; 10] = [
        ReceiptField::Source,
        ReceiptField::Destination,
        ReceiptField::Error,
        ReceiptField::SubmitDate,
        ReceiptField::DoneDate,
        ReceiptField::Counts,
        ReceiptField::Text,
        ReceiptField::Tlvs,
        ReceiptField::EsmClass,
        ReceiptField::Header,
    ];

    /// As it is called in scenarios and reports.
    pub const fn name(self) -> &'static str {
        match self {
            ReceiptField::Source => "source",
            ReceiptField::Destination => "destination",
            ReceiptField::Error => "error",
            ReceiptField::SubmitDate => "submit_date",
            ReceiptField::DoneDate => "done_date",
            ReceiptField::Counts => "counts",
            ReceiptField::Text => "text",
            ReceiptField::Tlvs => "tlvs",
            ReceiptField::EsmClass => "esm_class",
            ReceiptField::Header => "header",
        }
    }
}

/// What a receipt says: its states as they are, every other field as 16 bits of a hash. The message id is not in it:
/// the target writes its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ReceiptDigest {
    /// TLV message_state (SMPP 3.4 §5.2.28); 0 without one.
    pub state: u8,
    /// State that the stat word means; 0 without one, [`ReceiptDigest::OTHER_WORD`] for a word outside the table.
    pub stat: u8,
    /// By [`ReceiptField`].
    pub fields: [u16; 10],
}

impl ReceiptDigest {
    /// `stat` of a word that SMPP 3.4 Appendix B does not have.
    pub const OTHER_WORD: u8 = 15;

    /// The digest of a receipt.
    pub fn of(pdu: &DeliverSm<'_>, view: &ReceiptView<'_>) -> ReceiptDigest {
        let text = view.receipt.unwrap_or_default();
        let body = if view.receipt.is_some() { text.text } else { pdu.payload() };
        let state_tlv = pdu.tlvs.find(Tag::MESSAGE_STATE).and_then(|value| value.first().copied());
        let header = [
            pdu.source.ton.0,
            pdu.source.npi.0,
            u8::from(pdu.source.digits.first() == Some(&b'+')),
            pdu.destination.ton.0,
            pdu.destination.npi.0,
            u8::from(pdu.destination.digits.first() == Some(&b'+')),
            pdu.protocol_id,
            pdu.priority_flag,
            pdu.registered_delivery.0,
            pdu.replace_if_present_flag,
            pdu.data_coding.0,
            pdu.sm_default_msg_id,
        ];
        let times = [pdu.service_type, pdu.schedule_delivery_time, pdu.validity_period];
        let header = times.iter().fold(short(&header), |mixed, part| mixed.rotate_left(5) ^ short(part));
        ReceiptDigest {
            state: state_tlv.unwrap_or(0),
            stat: stat_of(text.stat, text.state),
            fields: [
                number(pdu.source.digits),
                number(pdu.destination.digits),
                short(text.err),
                short(text.submit_date),
                short(text.done_date),
                short(text.sub).rotate_left(7) ^ short(text.dlvrd),
                short(body),
                other_tlvs(pdu),
                u16::from(pdu.esm_class.0),
                header,
            ],
        }
    }

    /// Field by name.
    pub fn field(&self, field: ReceiptField) -> u16 {
        self.fields[field as usize]
    }

    /// The state it tells: the TLV's, else the text's.
    pub fn message_state(&self) -> u8 {
        if self.state != 0 { self.state } else { self.stat }
    }

    /// A number that differs where a field outside `ignored` (bits by [`ReceiptField`]) differs.
    pub fn mix(&self, ignored: u16) -> u64 {
        let mut mixed = u64::from(self.state) << 8 | u64::from(self.stat);
        for (bit, &field) in self.fields.iter().enumerate() {
            let value = if ignored & 1 << bit == 0 { u64::from(field) } else { 0 };
            mixed = (mixed ^ value).wrapping_mul(0xD6E8_FEB8_6659_FD93);
            mixed ^= mixed >> 32;
        }
        mixed
    }

    pub(crate) fn pack(&self) -> (u8, u8, u32, u64, u64) {
        let wide =
            |fields: &[u16]| fields.iter().rev().fold(0u64, |wide, &field| wide << 16 | u64::from(field));
        (
            self.state,
            self.stat,
            wide(&self.fields[8..10]) as u32,
            wide(&self.fields[0..4]),
            wide(&self.fields[4..8]),
        )
    }

    pub(crate) fn unpack(state: u8, stat: u8, number: u32, first: u64, second: u64) -> ReceiptDigest {
        let of = |wide: u64, at: u32| (wide >> (16 * at)) as u16;
        let number = u64::from(number);
        ReceiptDigest {
            state,
            stat,
            fields: [
                of(first, 0),
                of(first, 1),
                of(first, 2),
                of(first, 3),
                of(second, 0),
                of(second, 1),
                of(second, 2),
                of(second, 3),
                of(number, 0),
                of(number, 1),
            ],
        }
    }
}

/// Source and destination digits of a message in 64 bits: the low 16 of each half are what
/// [`ReceiptField::Source`] and [`ReceiptField::Destination`] of its receipt hold, the other way round.
pub fn addresses(pdu: &SubmitSm<'_>) -> u64 {
    addresses_of(pdu.source.digits, pdu.destination.digits)
}

/// The same of the digits alone.
pub fn addresses_of(source: &[u8], destination: &[u8]) -> u64 {
    digits(source) << 32 | digits(destination)
}

/// The 16 bits by which a receipt names the handset, of a message's [`addresses`].
pub fn handset_of(addresses: u64) -> u16 {
    addresses as u16
}

/// The 16 bits by which a receipt names the message's sender, of a message's [`addresses`].
pub fn sender_of(addresses: u64) -> u16 {
    (addresses >> 32) as u16
}

fn number(text: &[u8]) -> u16 {
    digits(text) as u16
}

fn digits(text: &[u8]) -> u64 {
    xxh3_64(text.strip_prefix(b"+").unwrap_or(text)) & 0xFFFF_FFFF
}

fn short(text: &[u8]) -> u16 {
    xxh3_64(text) as u16
}

fn stat_of(word: &[u8], state: Option<MessageState>) -> u8 {
    match state {
        Some(state) => state.as_u8(),
        None if word.is_empty() => 0,
        None => ReceiptDigest::OTHER_WORD,
    }
}

fn other_tlvs(pdu: &DeliverSm<'_>) -> u16 {
    let mut sum = 0u64;
    for tlv in pdu.tlvs.iter() {
        let value = match tlv.tag {
            Tag::MESSAGE_STATE | Tag::MESSAGE_PAYLOAD => continue,
            Tag::RECEIPTED_MESSAGE_ID => b"",
            _ => tlv.value,
        };
        sum = sum.wrapping_mul(31).wrapping_add(xxh3_64(value) ^ u64::from(tlv.tag.0));
    }
    (sum ^ sum >> 32) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use smpp::field::{Address, DataCoding, EsmClass, Npi, RegisteredDelivery, Ton};
    use smpp::text::receipt::receipt_of;
    use smpp::tlv::Tlvs;

    const TEXT: &[u8] =
        b"id:7 sub:001 dlvrd:001 submit date:2501010000 done date:2501010001 stat:DELIVRD err:000 text:hi";
    const TLVS: &[u8] = b"\x00\x1E\x00\x027\0\x04\x27\x00\x01\x02\x04\x23\x00\x03\x03\x00\x00";

    fn receipt<'a>(text: &'a [u8], tlvs: &'a [u8]) -> DeliverSm<'a> {
        let address = |digits| Address { ton: Ton(1), npi: Npi(1), digits };
        DeliverSm {
            service_type: b"",
            source: address(b"+15551230001"),
            destination: address(b"12345"),
            esm_class: EsmClass(4),
            protocol_id: 0,
            priority_flag: 0,
            schedule_delivery_time: b"",
            validity_period: b"",
            registered_delivery: RegisteredDelivery(0),
            replace_if_present_flag: 0,
            data_coding: DataCoding(0),
            sm_default_msg_id: 0,
            short_message: text,
            tlvs: Tlvs::new(tlvs),
        }
    }

    fn digest(pdu: &DeliverSm<'_>) -> ReceiptDigest {
        ReceiptDigest::of(pdu, &receipt_of(pdu).expect("a receipt"))
    }

    /// Each change shows in its own field and in no other.
    #[test]
    fn tells_which_field_differs() {
        let base = receipt(TEXT, TLVS);
        let expected = digest(&base);
        let changed = |from: &str, to: &str| String::from_utf8_lossy(TEXT).replace(from, to).into_bytes();
        for (from, to, field) in [
            ("err:000", "err:001", ReceiptField::Error),
            ("submit date:25", "submit date:24", ReceiptField::SubmitDate),
            ("done date:25", "done date:24", ReceiptField::DoneDate),
            ("dlvrd:001", "dlvrd:000", ReceiptField::Counts),
            ("sub:001", "sub:000", ReceiptField::Counts),
            ("text:hi", "text:ho", ReceiptField::Text),
        ] {
            let text = changed(from, to);
            let other = digest(&receipt(&text, TLVS));
            let differing: Vec<_> = ReceiptField::ALL
                .into_iter()
                .filter(|field| other.field(*field) != expected.field(*field))
                .collect();
            assert_eq!(differing, [field], "{to}");
            assert_eq!(other.mix(1 << field as u16), expected.mix(1 << field as u16));
            assert_ne!(other.mix(0), expected.mix(0));
        }
        let text = changed("DELIVRD", "UNDELIV");
        assert_eq!((digest(&receipt(&text, TLVS)).stat, expected.stat), (5, 2));
        let text = changed("DELIVRD", "SOMEWORD");
        assert_eq!(digest(&receipt(&text, TLVS)).stat, ReceiptDigest::OTHER_WORD);
    }

    #[test]
    fn ids_do_not_count_but_other_tlvs_do() {
        let expected = digest(&receipt(TEXT, TLVS));
        let text = String::from_utf8_lossy(TEXT).replace("id:7", "id:9").into_bytes();
        let tlvs = TLVS.iter().map(|&octet| if octet == b'7' { b'9' } else { octet }).collect::<Vec<_>>();
        assert_eq!(digest(&receipt(&text, &tlvs)), expected);
        let mut tlvs = TLVS.to_vec();
        *tlvs.last_mut().unwrap() = 1;
        assert_ne!(
            digest(&receipt(TEXT, &tlvs)).field(ReceiptField::Tlvs),
            expected.field(ReceiptField::Tlvs)
        );
        assert_eq!(digest(&receipt(TEXT, &TLVS[..6])).state, 0);
    }

    #[test]
    fn a_receipt_fits_its_message() {
        let address = |digits| Address { ton: Ton(1), npi: Npi(1), digits };
        let submit = SubmitSm {
            service_type: b"",
            source: address(b"12345"),
            destination: address(b"15551230001"),
            esm_class: EsmClass(0),
            protocol_id: 0,
            priority_flag: 0,
            schedule_delivery_time: b"",
            validity_period: b"",
            registered_delivery: RegisteredDelivery(1),
            replace_if_present_flag: 0,
            data_coding: DataCoding(0),
            sm_default_msg_id: 0,
            short_message: b"x",
            tlvs: Tlvs::default(),
        };
        let (addresses, digest) = (addresses(&submit), digest(&receipt(TEXT, TLVS)));
        assert_eq!(handset_of(addresses), digest.field(ReceiptField::Source));
        assert_eq!(sender_of(addresses), digest.field(ReceiptField::Destination));
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<_> =
            ReceiptField::ALL.iter().map(|field| field.name()).collect();
        assert_eq!(names.len(), ReceiptField::ALL.len());
        assert!(ReceiptField::ALL.iter().enumerate().all(|(index, field)| *field as usize == index));
    }
}
