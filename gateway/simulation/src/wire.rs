//! The PDUs of the stories: a message is told by the number in its text.

use bytes::BytesMut;
use core::ops::Range;
use smpp::dialect::Dialect;
use smpp::field::{Address, CommandStatus, EsmClass, Npi, RegisteredDelivery, Ton};
use smpp::pdu::{DataSm, DeliverSm, Pdu, SubmitSm};
use smpp::text::receipt::Receipt;
use smpp::text::receipt::{ReceiptView, receipt_of, receipt_of_data};
use smpp::tlv::{Tag, Tlvs, write_tlv};
use smpp::wire::Frame;

fn address(digits: &[u8]) -> Address<'_> {
    Address { ton: Ton(1), npi: Npi(1), digits }
}

/// What a message asks for: all receipts, the last one only, or only one of a failure.
pub(crate) fn registered(number: u32, wants_receipt: bool) -> RegisteredDelivery {
    RegisteredDelivery(match number % 10 {
        _ if !wants_receipt => 0,
        0 => 0x02,
        1 | 2 => 0x01,
        _ => 0x11,
    })
}

/// A submit_sm: its text is its number, some have a validity, some are parts of long messages.
pub(crate) fn submit(
    number: u32,
    (source, destination): (&[u8], &[u8]),
    (wants_receipt, urgent): (bool, bool),
    validity: &[u8],
    cut: Option<Cut>,
    out: &mut BytesMut,
) {
    let (mut text, mut tlvs) = (BytesMut::new(), BytesMut::new());
    let has_header = cut.is_some_and(|cut| cut.mark(&mut text, &mut tlvs));
    text.extend_from_slice(format!("m{number}").as_bytes());
    SubmitSm {
        source: address(source),
        destination: address(destination),
        registered_delivery: registered(number, wants_receipt),
        priority_flag: u8::from(urgent),
        validity_period: validity,
        esm_class: EsmClass::default().with_user_data_header(has_header),
        short_message: &text,
        tlvs: Tlvs::new(&tlvs),
        ..SubmitSm::default()
    }
    .encode(CommandStatus::ESME_ROK, number + 1, out);
}

/// A receipt about message `number` with these addresses, itself told by the number behind `u`.
pub(crate) fn receipt(
    (number, upward): (u32, u32),
    (source, destination): (&[u8], &[u8]),
    id: &[u8],
    is_final: bool,
    with_tlv: bool,
    sequence: u32,
) -> BytesMut {
    let (mut text, mut tlvs, mut out) = (BytesMut::new(), BytesMut::new(), BytesMut::new());
    let quoted = format!("m{number}u{upward}");
    Receipt {
        id,
        stat: if is_final { b"DELIVRD" } else { b"ENROUTE" },
        err: b"000",
        text: quoted.as_bytes(),
        ..Receipt::default()
    }
    .write(&mut text);
    if with_tlv {
        let value = [id, &[0]].concat();
        write_tlv(&mut tlvs, Tag::RECEIPTED_MESSAGE_ID, &value);
    }
    DeliverSm {
        source: address(destination),
        destination: address(source),
        esm_class: EsmClass::RECEIPT,
        short_message: &text,
        tlvs: Tlvs::new(&tlvs),
        ..DeliverSm::default()
    }
    .encode(CommandStatus::ESME_ROK, sequence, &mut out);
    out
}

pub(crate) fn mo(upward: u32, destination: &[u8], sequence: u32) -> BytesMut {
    let text = format!("hello u{upward}");
    let mut out = BytesMut::new();
    DeliverSm {
        source: address(b"13125550100"),
        destination: address(destination),
        short_message: text.as_bytes(),
        ..DeliverSm::default()
    }
    .encode(CommandStatus::ESME_ROK, sequence, &mut out);
    out
}

/// How a part of a message is marked.
#[derive(Clone, Copy)]
pub(crate) struct Cut {
    pub(crate) number: u8,
    pub(crate) total: u8,
    pub(crate) reference: u8,
    /// By TLVs, else by a header.
    pub(crate) in_tlvs: bool,
}

impl Cut {
    /// Writes the mark; true when it is a header before the text.
    fn mark(self, text: &mut BytesMut, tlvs: &mut BytesMut) -> bool {
        let Cut { number, total, reference, in_tlvs } = self;
        if total > 1 && in_tlvs {
            write_tlv(tlvs, Tag::SAR_MSG_REF_NUM, &[0, reference]);
            write_tlv(tlvs, Tag::SAR_TOTAL_SEGMENTS, &[total]);
            write_tlv(tlvs, Tag::SAR_SEGMENT_SEQNUM, &[number]);
        } else if total > 1 {
            text.extend_from_slice(&[5, 0, 3, reference, total, number]);
        }
        total > 1 && !in_tlvs
    }
}

/// An MO that begins with a keyword, or one of its parts.
pub(crate) fn part(upward: u32, destination: &[u8], keyword: &str, cut: Cut, sequence: u32) -> BytesMut {
    let (mut text, mut tlvs, mut out) = (BytesMut::new(), BytesMut::new(), BytesMut::new());
    let has_header = cut.mark(&mut text, &mut tlvs);
    if cut.number == 1 {
        text.extend_from_slice(keyword.as_bytes());
        text.extend_from_slice(b" ");
    }
    text.extend_from_slice(format!("u{upward} ").as_bytes());
    DeliverSm {
        source: address(b"13125550100"),
        destination: address(destination),
        esm_class: EsmClass::default().with_user_data_header(has_header),
        short_message: &text,
        tlvs: Tlvs::new(&tlvs),
        ..DeliverSm::default()
    }
    .encode(CommandStatus::ESME_ROK, sequence, &mut out);
    out
}

/// The same message as data_sm: everything that names it stands in TLVs.
pub(crate) fn as_data(bytes: &[u8]) -> BytesMut {
    let frame = Frame::whole(bytes).unwrap();
    let (mut tlvs, mut out) = (BytesMut::new(), BytesMut::new());
    let (source, destination, esm_class, registered_delivery, text, more) =
        match Pdu::decode(frame, &Dialect::strict()).unwrap() {
            Pdu::SubmitSm(pdu) => (
                pdu.source,
                pdu.destination,
                pdu.esm_class,
                pdu.registered_delivery,
                pdu.short_message,
                pdu.tlvs,
            ),
            Pdu::DeliverSm(pdu) => (
                pdu.source,
                pdu.destination,
                pdu.esm_class,
                pdu.registered_delivery,
                pdu.short_message,
                pdu.tlvs,
            ),
            pdu => panic!("{pdu:?} carries no message"),
        };
    tlvs.extend_from_slice(more.as_bytes());
    write_tlv(&mut tlvs, Tag::MESSAGE_PAYLOAD, text);
    DataSm {
        source,
        destination,
        esm_class,
        registered_delivery,
        tlvs: Tlvs::new(&tlvs),
        ..DataSm::default()
    }
    .encode(CommandStatus::ESME_ROK, frame.sequence_number(), &mut out);
    out
}

/// The text of a message and what it says as a receipt, whichever PDU carries it.
pub(crate) fn content(bytes: &[u8]) -> Option<(&[u8], Option<ReceiptView<'_>>)> {
    match Pdu::decode(Frame::whole(bytes)?, &Dialect::strict()).ok()? {
        Pdu::SubmitSm(pdu) => Some((pdu.payload(), None)),
        Pdu::DeliverSm(pdu) => Some((pdu.payload(), receipt_of(&pdu))),
        Pdu::DataSm(pdu) => Some((pdu.payload(), receipt_of_data(&pdu))),
        _ => None,
    }
}

/// The digits of source and destination.
pub(crate) fn addresses(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match Pdu::decode(Frame::whole(bytes)?, &Dialect::strict()).ok()? {
        Pdu::SubmitSm(pdu) => Some((pdu.source.digits, pdu.destination.digits)),
        Pdu::DeliverSm(pdu) => Some((pdu.source.digits, pdu.destination.digits)),
        Pdu::DataSm(pdu) => Some((pdu.source.digits, pdu.destination.digits)),
        _ => None,
    }
}

/// The number behind the last `mark` in a text.
pub(crate) fn number_in(text: &[u8], mark: u8) -> Option<u32> {
    let at = text.iter().rposition(|octet| *octet == mark)?;
    leading_number(&text[at + 1..])
}

fn leading_number(text: &[u8]) -> Option<u32> {
    let digits = text.iter().take_while(|octet| octet.is_ascii_digit());
    digits.fold(None, |number, digit| Some(number.unwrap_or(0) * 10 + u32::from(digit - b'0')))
}

/// The numbers behind all `mark`s in a text: the first one, and up to where they go on without a gap; nothing where
/// there is none, or where they do not follow one another.
pub(crate) fn numbers_in(text: &[u8], mark: u8) -> Option<Range<u32>> {
    let mut numbers: Option<Range<u32>> = None;
    for (at, _) in text.iter().enumerate().filter(|(_, octet)| **octet == mark) {
        let Some(number) = leading_number(&text[at + 1..]) else { continue };
        numbers = match numbers {
            None => Some(number..number + 1),
            Some(range) if range.end == number => Some(range.start..number + 1),
            Some(_) => return None,
        };
    }
    numbers
}
