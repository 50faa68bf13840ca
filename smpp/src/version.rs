//! The versions of SMPP that peers speak, and a message of SMPP 3.4 as SMPP 3.3 says it.
//!
//! SMPP 3.3 has no optional parameters, no data_sm and no alert_notification. What a TLV says that another field can say
//! is written there: the text of message_payload as short_message, a part's place and the ports into the user data header,
//! a receipt's id and state into its text. TLVs that only describe are left out. What would be another message without its
//! TLV, or is longer than short_message, is [`Unsayable`].

use alloc::format;
use bytes::BytesMut;

use crate::error::Field;
use crate::field::time::{RelativeTime, TIME_LENGTH, Time};
use crate::field::{CommandStatus, DataCoding, EsmClass};
use crate::limits::{ADDRESS_SIZE_MAX, SHORT_MESSAGE_LENGTH_MAX};
use crate::pdu::{DataSm, DeliverSm, Pdu, SubmitSm};
use crate::text::receipt::{Receipt, ReceiptView, receipt_in};
use crate::text::segment::Udh;
use crate::tlv::{Tag, Tlvs};
use core::time::Duration;

/// Which SMPP a peer speaks, as far as it decides what may be said to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Version {
    /// 3.3 and below: no optional parameters, no data_sm, no alert_notification.
    V33,
    /// 3.4, and what says that it is newer.
    #[default]
    V34,
}

impl Version {
    /// What `interface_version` of a bind says (SMPP 3.4 §5.2.4): 0x00 to 0x33 is 3.3 or older.
    pub const fn of_bind(interface_version: u8) -> Version {
        if interface_version < crate::limits::INTERFACE_VERSION { Version::V33 } else { Version::V34 }
    }

    /// Its `interface_version`.
    pub const fn interface_version(self) -> u8 {
        match self {
            Version::V33 => 0x33,
            Version::V34 => crate::limits::INTERFACE_VERSION,
        }
    }

    /// Whether optional parameters may be sent.
    pub const fn has_tlvs(self) -> bool {
        matches!(self, Version::V34)
    }
}

/// Why SMPP 3.3 cannot say a message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Unsayable {
    /// Its text with its header is longer than short_message.
    TooLong,
    /// An address is longer than its field: data_sm has longer ones.
    Address(Field),
    /// It would be another message without this optional parameter.
    Parameter(Tag),
}

/// Why SMPP 3.3 cannot say this message; nothing where it can. Only submit_sm, deliver_sm and data_sm are looked at.
pub fn unsayable(pdu: &Pdu<'_>) -> Option<Unsayable> {
    let (esm_class, payload, tlvs) = match pdu {
        Pdu::SubmitSm(submit) if submit.tlvs.is_empty() => return None,
        Pdu::DeliverSm(deliver) if deliver.tlvs.is_empty() => return None,
        Pdu::SubmitSm(submit) => (submit.esm_class, submit.payload(), submit.tlvs),
        Pdu::DeliverSm(deliver) => (deliver.esm_class, deliver.payload(), deliver.tlvs),
        Pdu::DataSm(data) => {
            if let Err(why) = check_addresses(data) {
                return Some(why);
            }
            (data.esm_class, data.payload(), data.tlvs)
        }
        _ => return None,
    };
    Plain::of(esm_class, payload, &tlvs).err()
}

/// data_sm has room for longer addresses than submit_sm and deliver_sm.
fn check_addresses(data: &DataSm<'_>) -> Result<(), Unsayable> {
    let addresses = [(data.source, Field::SourceAddr), (data.destination, Field::DestinationAddr)];
    match addresses.iter().find(|(address, _)| address.digits.len() >= ADDRESS_SIZE_MAX) {
        Some((_, field)) => Err(Unsayable::Address(*field)),
        None => Ok(()),
    }
}

/// Appends a message as SMPP 3.3 says it: submit_sm and deliver_sm without TLVs, data_sm as deliver_sm where it goes
/// `to_esme`, else as submit_sm. False, and nothing is appended, where it may go as it is.
///
/// # Errors
/// Why it cannot be said; nothing is appended then either.
pub fn write_in_33(
    pdu: &Pdu<'_>,
    to_esme: bool,
    sequence_number: u32,
    out: &mut BytesMut,
) -> Result<bool, Unsayable> {
    let status = CommandStatus::ESME_ROK;
    match pdu {
        Pdu::SubmitSm(submit) if !submit.tlvs.is_empty() => {
            let plain = Plain::of(submit.esm_class, submit.payload(), &submit.tlvs)?;
            let (esm_class, short_message) = (plain.esm_class, plain.text());
            let data_coding = plain.data_coding(submit.data_coding);
            SubmitSm { esm_class, data_coding, short_message, tlvs: Tlvs::default(), ..*submit }.encode(
                status,
                sequence_number,
                out,
            );
        }
        Pdu::DeliverSm(deliver) if !deliver.tlvs.is_empty() => {
            let plain = Plain::of(deliver.esm_class, deliver.payload(), &deliver.tlvs)?;
            let (esm_class, short_message) = (plain.esm_class, plain.text());
            let data_coding = plain.data_coding(deliver.data_coding);
            DeliverSm { esm_class, data_coding, short_message, tlvs: Tlvs::default(), ..*deliver }.encode(
                status,
                sequence_number,
                out,
            );
        }
        Pdu::DataSm(data) => {
            check_addresses(data)?;
            let plain = Plain::of(data.esm_class, data.payload(), &data.tlvs)?;
            data.write_as_short_message(&plain, to_esme, sequence_number, out);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

impl DataSm<'_> {
    fn write_as_short_message(&self, plain: &Plain, to_esme: bool, sequence: u32, out: &mut BytesMut) {
        let (status, short_message) = (CommandStatus::ESME_ROK, plain.text());
        if to_esme {
            let deliver = DeliverSm {
                service_type: self.service_type,
                source: self.source,
                destination: self.destination,
                esm_class: plain.esm_class,
                registered_delivery: self.registered_delivery,
                data_coding: plain.data_coding(self.data_coding),
                short_message,
                ..DeliverSm::default()
            };
            return deliver.encode(status, sequence, out);
        }
        let validity: [u8; TIME_LENGTH];
        let validity_period = match self.tlvs.find_u32(Tag::QOS_TIME_TO_LIVE) {
            Some(seconds) => {
                let span = RelativeTime::from_duration(Duration::from_secs(seconds.into()));
                validity = Time::Relative(span).write();
                &validity[..]
            }
            None => &[],
        };
        let submit = SubmitSm {
            service_type: self.service_type,
            source: self.source,
            destination: self.destination,
            esm_class: plain.esm_class,
            validity_period,
            registered_delivery: self.registered_delivery,
            data_coding: plain.data_coding(self.data_coding),
            short_message,
            ..SubmitSm::default()
        };
        submit.encode(status, sequence, out);
    }
}

/// TLVs without which a message is another one, and that no other field can say: a session's step, not a text.
const ESSENTIAL: [Tag; 2] = [Tag::USSD_SERVICE_OP, Tag::ITS_SESSION_INFO];
/// Octets of the elements that are written for TLVs: the place of a part (5) and ports (6).
const ELEMENTS_MAX: usize = 11;
/// Element of a part's place with a reference of 8 bits: whoever cuts a text by TLVs leaves room for that header and no
/// longer one (GSM 03.40 §9.2.3.24.1).
const CONCATENATION_8: u8 = 0x00;
/// Element of ports of 16 bits (GSM 03.40 §9.2.3.24.4).
const PORTS_16: u8 = 0x05;

/// What stands in short_message, and the esm_class that says so.
struct Plain {
    esm_class: EsmClass,
    text: [u8; SHORT_MESSAGE_LENGTH_MAX],
    length: usize,
    /// The text was written anew, in ASCII.
    is_anew: bool,
}

impl Plain {
    fn of(esm_class: EsmClass, payload: &[u8], tlvs: &Tlvs<'_>) -> Result<Plain, Unsayable> {
        if let Some(tlv) = tlvs.iter().find(|tlv| ESSENTIAL.contains(&tlv.tag)) {
            return Err(Unsayable::Parameter(tlv.tag));
        }
        let mut plain = Plain { esm_class, text: [0; SHORT_MESSAGE_LENGTH_MAX], length: 0, is_anew: false };
        if let Some(view) = receipt_in(esm_class, payload, tlvs) {
            // The mark may have been a TLV alone.
            if !esm_class.is_receipt() {
                plain.esm_class = EsmClass(esm_class.0 | EsmClass::RECEIPT.0);
            }
            plain.write_receipt(payload, &view);
            return Ok(plain);
        }
        plain.write_message(payload, tlvs)?;
        Ok(plain)
    }

    fn text(&self) -> &[u8] {
        &self.text[..self.length]
    }

    fn data_coding(&self, of_message: DataCoding) -> DataCoding {
        if self.is_anew { DataCoding(0) } else { of_message }
    }

    fn push(&mut self, octets: &[u8]) -> Result<(), Unsayable> {
        let place = self.text.get_mut(self.length..self.length + octets.len());
        place.ok_or(Unsayable::TooLong)?.copy_from_slice(octets);
        self.length += octets.len();
        Ok(())
    }

    /// As much as there is room for: the end of a receipt's text is the quoted message.
    fn push_some(&mut self, octets: &[u8]) {
        let length = octets.len().min(SHORT_MESSAGE_LENGTH_MAX - self.length);
        let pushed = self.push(&octets[..length]);
        debug_assert!(pushed.is_ok());
    }

    fn write_message(&mut self, payload: &[u8], tlvs: &Tlvs<'_>) -> Result<(), Unsayable> {
        let has_header = self.esm_class.has_user_data_header();
        let header = if has_header { Udh::split(payload) } else { None };
        let (elements, length) = elements_of(header.map(|(header, _)| header), tlvs);
        // A header that is cut cannot be added to: the message goes as its sender wrote it.
        if length == 0 || has_header && header.is_none() {
            return self.push(payload);
        }
        let (octets, text) = header.map_or((1, payload), |(header, text)| (header.octets(), text));
        let whole = u8::try_from(octets - 1 + length).map_err(|_| Unsayable::TooLong)?;
        self.esm_class = EsmClass(self.esm_class.0 | EsmClass::UDHI);
        self.push(&[whole])?;
        self.push(&elements[..length])?;
        if header.is_some() {
            self.push(&payload[1..octets])?;
        }
        self.push(text)
    }

    /// The text as it is where it says id and state, which clients read; else one that does.
    fn write_receipt(&mut self, payload: &[u8], view: &ReceiptView<'_>) {
        let told = view.receipt.unwrap_or_default();
        let state = view.state.map(|state| state.value);
        if (!told.id.is_empty() && !told.stat.is_empty()) || (view.id.is_none() && state.is_none()) {
            return self.push_some(payload);
        }
        let error = view.error().map(|error| format!("{:03}", error.value)).unwrap_or_default();
        let whole = Receipt {
            id: view.id.map_or(told.id, |id| id.value),
            state,
            err: if told.err.is_empty() { error.as_bytes() } else { told.err },
            ..told
        };
        let mut text = BytesMut::new();
        whole.write(&mut text);
        self.esm_class = EsmClass(self.esm_class.0 & !EsmClass::UDHI);
        self.is_anew = true;
        self.push_some(&text);
    }
}

/// The elements of a user data header for what TLVs say and the header does not; and how many octets they are.
fn elements_of(header: Option<Udh<'_>>, tlvs: &Tlvs<'_>) -> ([u8; ELEMENTS_MAX], usize) {
    let mut elements = [0; ELEMENTS_MAX];
    let mut length = 0;
    let mut add = |element: &[u8]| {
        elements[length..length + element.len()].copy_from_slice(element);
        length += element.len();
    };
    let part = (
        tlvs.find_u16(Tag::SAR_MSG_REF_NUM),
        tlvs.find_u8(Tag::SAR_TOTAL_SEGMENTS),
        tlvs.find_u8(Tag::SAR_SEGMENT_SEQNUM),
    );
    if let (Some(reference), Some(total), Some(number)) = part
        && (1..=total).contains(&number)
        && total > 1
        && header.is_none_or(|header| header.part().is_none())
    {
        let [_, low] = reference.to_be_bytes();
        add(&[CONCATENATION_8, 3, low, total, number]);
    }
    let ports = (tlvs.find_u16(Tag::DESTINATION_PORT), tlvs.find_u16(Tag::SOURCE_PORT));
    if ports != (None, None) && header.is_none_or(|header| header.ports().is_none()) {
        let [d0, d1] = ports.0.unwrap_or_default().to_be_bytes();
        let [s0, s1] = ports.1.unwrap_or_default().to_be_bytes();
        add(&[PORTS_16, 4, d0, d1, s0, s1]);
    }
    (elements, length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;
    use crate::field::Address;
    use crate::tlv::write_tlv;
    use crate::wire::Frame;
    use std::vec::Vec;

    fn tlvs(list: &[(Tag, &[u8])]) -> BytesMut {
        let mut octets = BytesMut::new();
        list.iter().for_each(|(tag, value)| write_tlv(&mut octets, *tag, value));
        octets
    }

    /// esm_class and text of a deliver_sm with these TLVs, as 3.3 says it.
    fn check(esm_class: u8, text: &[u8], list: &[(Tag, &[u8])], expected: Result<(u8, &[u8]), Unsayable>) {
        let octets = tlvs(list);
        let deliver = DeliverSm {
            source: Address::international(b"12025550100"),
            esm_class: EsmClass(esm_class),
            short_message: text,
            tlvs: Tlvs::new(&octets),
            ..DeliverSm::default()
        };
        let mut out = BytesMut::new();
        let said = write_in_33(&Pdu::DeliverSm(deliver), true, 7, &mut out);
        assert_eq!(unsayable(&Pdu::DeliverSm(deliver)), said.err());
        let expected = match expected {
            Ok(expected) => expected,
            Err(why) => return assert_eq!(said, Err(why)),
        };
        assert_eq!(said, Ok(!list.is_empty()));
        if list.is_empty() {
            return assert!(out.is_empty());
        }
        let frame = Frame::whole(&out).unwrap();
        let read = DeliverSm::decode(frame, &Dialect::strict()).unwrap();
        assert_eq!(read.verdict(frame), crate::Verdict::Strict);
        assert!(read.tlvs.is_empty());
        assert_eq!((read.source, frame.sequence_number()), (deliver.source, 7));
        let found = std::string::String::from_utf8_lossy(read.short_message);
        assert_eq!((read.esm_class.0, read.short_message), expected, "{found}");
    }

    #[test]
    fn versions_are_told_by_the_bind() {
        for (octet, version) in [
            (0x00, Version::V33),
            (0x32, Version::V33),
            (0x33, Version::V33),
            (0x34, Version::V34),
            (0x50, Version::V34),
        ] {
            assert_eq!(Version::of_bind(octet), version, "{octet:#x}");
        }
        assert_eq!((Version::V33.interface_version(), Version::V34.interface_version()), (0x33, 0x34));
        assert!(Version::V34.has_tlvs() && !Version::V33.has_tlvs());
    }

    #[test]
    fn what_has_no_tlv_stays_and_what_describes_is_left_out() {
        check(0, b"hello", &[], Ok((0, b"hello")));
        check(
            0,
            b"hello",
            &[(Tag(0x1400), b"x"), (Tag::USER_MESSAGE_REFERENCE, b"\0\x01")],
            Ok((0, b"hello")),
        );
        check(0, b"", &[(Tag::MESSAGE_PAYLOAD, b"hello")], Ok((0, b"hello")));
        check(0, b"", &[(Tag::USSD_SERVICE_OP, b"\x02")], Err(Unsayable::Parameter(Tag::USSD_SERVICE_OP)));
    }

    #[test]
    fn a_text_over_254_octets_cannot_be_said() {
        check(0, b"", &[(Tag::MESSAGE_PAYLOAD, &[b'x'; 254])], Ok((0, &[b'x'; 254])));
        check(0, b"", &[(Tag::MESSAGE_PAYLOAD, &[b'x'; 255])], Err(Unsayable::TooLong));
        let part: &[(Tag, &[u8])] = &[
            (Tag::SAR_MSG_REF_NUM, b"\0\x09"),
            (Tag::SAR_TOTAL_SEGMENTS, b"\x02"),
            (Tag::SAR_SEGMENT_SEQNUM, b"\x01"),
        ];
        check(0, &[b'x'; 249], part, Err(Unsayable::TooLong));
        check(0, &[b'x'; 248], part, Ok((0x40, &[b"\x05\x00\x03\x09\x02\x01", &[b'x'; 248][..]].concat())));
    }

    #[test]
    fn parts_and_ports_go_into_the_header() {
        let part: &[(Tag, &[u8])] = &[
            (Tag::SAR_MSG_REF_NUM, b"\x01\x02"),
            (Tag::SAR_TOTAL_SEGMENTS, b"\x03"),
            (Tag::SAR_SEGMENT_SEQNUM, b"\x02"),
            (Tag::DESTINATION_PORT, b"\x0B\x84"),
        ];
        check(0, b"text", part, Ok((0x40, b"\x0B\x00\x03\x02\x03\x02\x05\x04\x0B\x84\x00\x00text")));
        // What the header says already is not said again; another element stays.
        check(
            0x40,
            b"\x05\x00\x03\x09\x03\x02text",
            part,
            Ok((0x40, b"\x0B\x05\x04\x0B\x84\x00\x00\x00\x03\x09\x03\x02text")),
        );
        check(
            0x40,
            b"\x03\x24\x01\x01text",
            &part[..3],
            Ok((0x40, b"\x08\x00\x03\x02\x03\x02\x24\x01\x01text")),
        );
        check(0x40, b"\x7Ftext", part, Ok((0x40, b"\x7Ftext")));
        let whole: &[(Tag, &[u8])] = &[
            (Tag::SAR_MSG_REF_NUM, b"\x01\x02"),
            (Tag::SAR_TOTAL_SEGMENTS, b"\x01"),
            (Tag::SAR_SEGMENT_SEQNUM, b"\x01"),
        ];
        check(0, b"text", whole, Ok((0, b"text")));
    }

    #[test]
    fn a_receipt_says_all_in_its_text() {
        let told: &[(Tag, &[u8])] = &[
            (Tag::RECEIPTED_MESSAGE_ID, b"77\0"),
            (Tag::MESSAGE_STATE, b"\x02"),
            (Tag::NETWORK_ERROR_CODE, b"\x03\x00\x16"),
        ];
        let text = b"id:77 sub:001 dlvrd:001 submit date:2701150800 done date:2701150801 stat:DELIVRD err:000 text:x";
        check(0x04, text, told, Ok((0x04, text)));
        check(0, text, told, Ok((0x04, text)));
        check(0x04, b"", told, Ok((0x04, b"id:77 stat:DELIVRD err:022 text:")));
        check(
            0,
            b"done date:2701150801 stat:UNDELIV text:a",
            told,
            Ok((0x04, b"id:77 done date:2701150801 stat:UNDELIV err:022 text:a")),
        );
        check(0x04, b"", &[(Tag(0x1400), b"x")], Ok((0x04, b"")));
        let long = [&text[..], &[b'x'; 300]].concat();
        check(0x04, b"", &[(Tag::MESSAGE_PAYLOAD, &long)], Ok((0x04, &long[..254])));
    }

    #[test]
    fn data_sm_becomes_what_3_3_has() {
        let octets = tlvs(&[(Tag::MESSAGE_PAYLOAD, b"hello"), (Tag::QOS_TIME_TO_LIVE, &[0, 0, 14, 16])]);
        let data = DataSm {
            service_type: b"CMT",
            destination: Address::international(b"12025550100"),
            tlvs: Tlvs::new(&octets),
            ..DataSm::default()
        };
        for (to_esme, validity) in [(false, &b"000000010000000R"[..]), (true, b"")] {
            let mut out = BytesMut::new();
            assert_eq!(write_in_33(&Pdu::DataSm(data), to_esme, 7, &mut out), Ok(true));
            let frame = Frame::whole(&out).unwrap();
            let read = match Pdu::decode(frame, &Dialect::strict()).unwrap() {
                Pdu::DeliverSm(read) if to_esme => {
                    (read.short_message, read.destination, read.validity_period)
                }
                Pdu::SubmitSm(read) if !to_esme => {
                    (read.short_message, read.destination, read.validity_period)
                }
                other => panic!("{other:?}"),
            };
            assert_eq!(read, (&b"hello"[..], data.destination, validity));
        }
        let long = Vec::from([b'1'; 21]);
        let data = DataSm { source: Address::international(&long), ..data };
        let refused = write_in_33(&Pdu::DataSm(data), true, 7, &mut BytesMut::new());
        assert_eq!(refused, Err(Unsayable::Address(Field::SourceAddr)));
    }
}
