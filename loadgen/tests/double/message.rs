//! PDUs taken apart into owned fields, so that a fault can change one of them and leave the others as they were.

use bytes::BytesMut;
use ledger::MessageKey;
use smpp::text::receipt::{Receipt, receipt_of};
use smpp::{
    Address, CommandStatus, DataCoding, DeliverSm, DeliverSmResp, Dialect, EsmClass, Frame, Npi, Pdu,
    RegisteredDelivery, SubmitSm, SubmitSmResp, Tag, Tlvs, Ton, write_tlv,
};

/// A submit_sm or deliver_sm.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Message {
    is_submit: bool,
    pub(crate) service_type: Vec<u8>,
    pub(crate) source: Number,
    pub(crate) destination: Number,
    pub(crate) esm_class: u8,
    pub(crate) protocol_id: u8,
    pub(crate) priority: u8,
    pub(crate) schedule: Vec<u8>,
    pub(crate) validity: Vec<u8>,
    pub(crate) registered_delivery: u8,
    pub(crate) replace: u8,
    pub(crate) data_coding: u8,
    pub(crate) default_message: u8,
    pub(crate) text: Vec<u8>,
    pub(crate) tlvs: Vec<(u16, Vec<u8>)>,
}

/// An address.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Number {
    pub(crate) ton: u8,
    pub(crate) npi: u8,
    pub(crate) digits: Vec<u8>,
}

/// A submit_sm_resp or deliver_sm_resp.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Response {
    is_submit: bool,
    pub(crate) status: u32,
    pub(crate) id: Vec<u8>,
}

macro_rules! message_of {
    ($pdu:expr, $is_submit:expr) => {
        Message {
            is_submit: $is_submit,
            service_type: $pdu.service_type.to_vec(),
            source: Number::of(&$pdu.source),
            destination: Number::of(&$pdu.destination),
            esm_class: $pdu.esm_class.0,
            protocol_id: $pdu.protocol_id,
            priority: $pdu.priority_flag,
            schedule: $pdu.schedule_delivery_time.to_vec(),
            validity: $pdu.validity_period.to_vec(),
            registered_delivery: $pdu.registered_delivery.0,
            replace: $pdu.replace_if_present_flag,
            data_coding: $pdu.data_coding.0,
            default_message: $pdu.sm_default_msg_id,
            text: $pdu.short_message.to_vec(),
            tlvs: $pdu.tlvs.iter().map(|tlv| (tlv.tag.0, tlv.value.to_vec())).collect(),
        }
    };
}

macro_rules! pdu_of {
    ($name:ident, $message:expr, $tlvs:expr) => {
        $name {
            service_type: &$message.service_type,
            source: $message.source.view(),
            destination: $message.destination.view(),
            esm_class: EsmClass($message.esm_class),
            protocol_id: $message.protocol_id,
            priority_flag: $message.priority,
            schedule_delivery_time: &$message.schedule,
            validity_period: &$message.validity,
            registered_delivery: RegisteredDelivery($message.registered_delivery),
            replace_if_present_flag: $message.replace,
            data_coding: DataCoding($message.data_coding),
            sm_default_msg_id: $message.default_message,
            short_message: &$message.text,
            tlvs: Tlvs::new($tlvs),
        }
    };
}

impl Message {
    /// The message in these octets; both programs of the test write what decodes.
    pub(crate) fn read(bytes: &[u8]) -> Message {
        match decode(bytes) {
            Pdu::SubmitSm(pdu) => message_of!(pdu, true),
            Pdu::DeliverSm(pdu) => message_of!(pdu, false),
            other => panic!("{other:?} is no message"),
        }
    }

    /// The whole PDU, with sequence number 0.
    pub(crate) fn write(&self) -> Vec<u8> {
        let (mut tlvs, mut out) = (BytesMut::new(), BytesMut::new());
        for (tag, value) in &self.tlvs {
            write_tlv(&mut tlvs, Tag(*tag), value);
        }
        if self.is_submit {
            pdu_of!(SubmitSm, self, &tlvs).encode(CommandStatus::ESME_ROK, 0, &mut out);
        } else {
            pdu_of!(DeliverSm, self, &tlvs).encode(CommandStatus::ESME_ROK, 0, &mut out);
        }
        out.to_vec()
    }

    /// The key in the text.
    pub(crate) fn key(&self) -> Option<MessageKey> {
        MessageKey::find(&self.text, self.esm_class, self.data_coding)
    }

    /// Writes another key in the place of the one in the text.
    pub(crate) fn set_key(&mut self, key: MessageKey) {
        let mut characters = [0; MessageKey::TEXT_LENGTH];
        key.write(&mut characters);
        for (index, character) in characters.into_iter().enumerate() {
            *self.key_octet(index) = character;
        }
    }

    /// The octet of a character of the key.
    pub(crate) fn key_octet(&mut self, index: usize) -> &mut u8 {
        let header = if self.esm_class & UDHI == 0 { 0 } else { usize::from(self.text[0]) + 1 };
        let at = if self.data_coding == UCS2 { index * 2 + 1 } else { index };
        &mut self.text[header + at]
    }

    /// Octets of a character.
    pub(crate) fn character_size(&self) -> usize {
        if self.data_coding == UCS2 { 2 } else { 1 }
    }

    /// The message id that a receipt names.
    pub(crate) fn receipt_id(&self) -> Vec<u8> {
        Receipt::parse(&self.text).map(|receipt| receipt.id.to_vec()).unwrap_or_default()
    }

    /// Writes another message id wherever a receipt has one.
    pub(crate) fn set_receipt_id(&mut self, id: &[u8]) {
        self.change(b"id:", |value| *value = id.to_vec());
        self.set_id_tlv(id);
    }

    /// Writes another message id into the TLV alone.
    pub(crate) fn set_id_tlv(&mut self, id: &[u8]) {
        *self.tlv(RECEIPTED_MESSAGE_ID) = [id, &[0]].concat();
    }

    /// The value of a TLV that is there.
    pub(crate) fn tlv(&mut self, tag: u16) -> &mut Vec<u8> {
        let found = self.tlvs.iter_mut().find(|(other, _)| *other == tag);
        found.map(|(_, value)| value).unwrap_or_else(|| panic!("there is no TLV {tag:04x}"))
    }

    /// Changes the value behind a key of a receipt's text.
    pub(crate) fn change(&mut self, key: &[u8], change: impl FnOnce(&mut Vec<u8>)) {
        let starts = |at: usize| self.text[at..].starts_with(key) && (at == 0 || self.text[at - 1] == b' ');
        let found = (0..self.text.len()).find(|at| starts(*at));
        let start = found.unwrap_or_else(|| panic!("there is no {key:?} in {:?}", self.text)) + key.len();
        let rest = &self.text[start..];
        let is_last = key == b"text:";
        let space = rest.iter().position(|octet| *octet == b' ').filter(|_| !is_last);
        let end = start + space.unwrap_or(rest.len());
        let mut value = self.text[start..end].to_vec();
        change(&mut value);
        self.text.splice(start..end, value);
    }
}

impl Number {
    fn of(address: &Address<'_>) -> Number {
        Number { ton: address.ton.0, npi: address.npi.0, digits: address.digits.to_vec() }
    }

    fn view(&self) -> Address<'_> {
        Address { ton: Ton(self.ton), npi: Npi(self.npi), digits: &self.digits }
    }
}

impl Response {
    /// The response in these octets.
    pub(crate) fn read(bytes: &[u8]) -> Response {
        let status = header(bytes, 8);
        match decode(bytes) {
            Pdu::SubmitSmResp(pdu) => Response { is_submit: true, status, id: pdu.message_id.to_vec() },
            Pdu::DeliverSmResp(_) => Response { is_submit: false, status, id: Vec::new() },
            other => panic!("{other:?} is no response"),
        }
    }

    /// A response to a submit_sm (`is_submit`) or deliver_sm.
    pub(crate) fn new(is_submit: bool, status: u32, id: &[u8]) -> Response {
        Response { is_submit, status, id: id.to_vec() }
    }

    /// The whole PDU, with sequence number 0.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = BytesMut::new();
        let (status, tlvs) = (CommandStatus(self.status), Tlvs::default());
        if self.is_submit {
            SubmitSmResp { message_id: &self.id, tlvs }.encode(status, 0, &mut out);
        } else {
            DeliverSmResp { message_id: b"", tlvs }.encode(status, 0, &mut out);
        }
        out.to_vec()
    }
}

/// Whether a deliver_sm is a receipt.
pub(crate) fn is_receipt(bytes: &[u8]) -> bool {
    matches!(decode(bytes), Pdu::DeliverSm(pdu) if receipt_of(&pdu).is_some())
}

/// A number of four octets in a PDU.
pub(crate) fn header(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four octets"))
}

fn decode(bytes: &[u8]) -> Pdu<'_> {
    let frame = Frame::whole(bytes).expect("a whole PDU");
    Pdu::decode(frame, &Dialect::tolerant()).unwrap_or_else(|error| panic!("{error}: {bytes:x?}"))
}

const UDHI: u8 = 0x40;
const UCS2: u8 = 8;

/// Optional parameters of a receipt (SMPP 3.4 §5.3.2).
pub(crate) const RECEIPTED_MESSAGE_ID: u16 = 0x001E;
pub(crate) const NETWORK_ERROR_CODE: u16 = 0x0423;
pub(crate) const MESSAGE_STATE: u16 = 0x0427;
