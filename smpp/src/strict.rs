//! What may leave: the strict rules of SMPP 3.4 for the three PDUs that carry messages, submit_sm, deliver_sm and
//! data_sm.
//!
//! Who passes a message on judges it by `verdict` of its view: a strict frame goes on as it is, one that is rewritable
//! is written anew by `write_strict` from what was understood, any other is refused with the standard's status. What
//! `write_strict` wrote is strict. Checked are lengths, endings, TLVs and times; reserved values of one-octet fields
//! pass, and [`reserved_in_submit`] names the first for peers that take none.

use bytes::{BufMut, BytesMut};

use crate::error::{DecodeError, Field, Problem};
use crate::field::time::{TIME_LENGTH, Time};
use crate::field::{Address, CommandId, CommandStatus, DataCoding, Npi, Ton};
use crate::limits::{
    ADDRESS_LONG_SIZE_MAX, ADDRESS_SIZE_MAX, HEADER_LENGTH, SERVICE_TYPE_SIZE_MAX, SHORT_MESSAGE_LENGTH_MAX,
    TLV_HEADER_LENGTH, TLV_LENGTH_MAX,
};
use crate::pdu::{DataSm, DeliverSm, SubmitSm};
use crate::tlv::{Tag, Tlv, Tlvs, write_tlv};
use crate::wire::{Frame, writer};

/// Whether a frame may go on to another peer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// As it is.
    Strict,
    /// Written anew by `write_strict`.
    Rewritable,
    /// Not at all: what is missing or wrong cannot be told from the rest.
    Refused(DecodeError),
}

/// What the three have in common. Without times in deliver_sm and data_sm, without text in data_sm.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub(crate) service_type: &'a [u8],
    pub(crate) source: Address<'a>,
    pub(crate) destination: Address<'a>,
    pub(crate) schedule_delivery_time: &'a [u8],
    pub(crate) validity_period: &'a [u8],
    pub(crate) short_message: &'a [u8],
    pub(crate) tlvs: Tlvs<'a>,
}

/// Octets of submit_sm and deliver_sm with empty fields, up to `sm_length`, which is the last.
const SUBMIT_LENGTH_MIN: usize = HEADER_LENGTH + 17;
/// Octets of data_sm with empty fields.
const DATA_LENGTH_MIN: usize = HEADER_LENGTH + 10;
/// TLVs without which a message would be another one: where one cannot be read, the message is refused.
const ESSENTIAL: [Tag; 4] =
    [Tag::MESSAGE_PAYLOAD, Tag::SAR_MSG_REF_NUM, Tag::SAR_TOTAL_SEGMENTS, Tag::SAR_SEGMENT_SEQNUM];

impl SubmitSm<'_> {
    /// Whether `frame`, of which this is the view, may go on.
    #[inline]
    pub fn verdict(&self, frame: Frame<'_>) -> Verdict {
        let fields = self.fields();
        let times_fit = is_plain(fields.schedule_delivery_time) && is_plain(fields.validity_period);
        if times_fit && fields.fit_short_message_pdu(frame) {
            return Verdict::Strict;
        }
        fields.verdict_of_odd(ADDRESS_SIZE_MAX, true)
    }

    /// Appends a strict PDU with what was understood. Only where the verdict is not a refusal.
    pub fn write_strict(&self, sequence_number: u32, out: &mut BytesMut) {
        let times = [canonical(self.schedule_delivery_time), canonical(self.validity_period)];
        let octets = [
            self.esm_class.0,
            self.protocol_id,
            self.priority_flag,
            self.registered_delivery.0,
            self.replace_if_present_flag,
            self.data_coding.0,
            self.sm_default_msg_id,
        ];
        self.fields().write_short_message_pdu(CommandId::SUBMIT_SM, &times, octets, sequence_number, out);
    }
}

impl DeliverSm<'_> {
    /// Whether `frame`, of which this is the view, may go on. Times must be empty here (SMPP 3.4 §4.6.1).
    #[inline]
    pub fn verdict(&self, frame: Frame<'_>) -> Verdict {
        let fields = self.fields();
        let times_fit = fields.schedule_delivery_time.is_empty() && fields.validity_period.is_empty();
        if times_fit && fields.fit_short_message_pdu(frame) {
            return Verdict::Strict;
        }
        fields.verdict_of_odd(ADDRESS_SIZE_MAX, false)
    }

    /// Appends a strict PDU with what was understood. Only where the verdict is not a refusal.
    pub fn write_strict(&self, sequence_number: u32, out: &mut BytesMut) {
        let octets = [
            self.esm_class.0,
            self.protocol_id,
            self.priority_flag,
            self.registered_delivery.0,
            self.replace_if_present_flag,
            self.data_coding.0,
            self.sm_default_msg_id,
        ];
        let times = [&[][..], &[][..]];
        self.fields().write_short_message_pdu(CommandId::DELIVER_SM, &times, octets, sequence_number, out);
    }
}

impl DataSm<'_> {
    fn fields(&self) -> Fields<'_> {
        Fields {
            service_type: self.service_type,
            source: self.source,
            destination: self.destination,
            schedule_delivery_time: &[],
            validity_period: &[],
            short_message: &[],
            tlvs: self.tlvs,
        }
    }

    /// Whether `frame`, of which this is the view, may go on.
    #[inline]
    pub fn verdict(&self, frame: Frame<'_>) -> Verdict {
        let fields = self.fields();
        let addresses_fit = fields.source.digits.len() < ADDRESS_LONG_SIZE_MAX
            && fields.destination.digits.len() < ADDRESS_LONG_SIZE_MAX;
        let length = DATA_LENGTH_MIN + fields.length_of_strings() + fields.tlvs.as_bytes().len();
        let is_strict = addresses_fit
            && fields.service_type.len() < SERVICE_TYPE_SIZE_MAX
            && length == frame.bytes().len()
            && frame.command_status().is_ok()
            && tlvs_fit(&fields.tlvs, false);
        if is_strict { Verdict::Strict } else { fields.verdict_of_odd(ADDRESS_LONG_SIZE_MAX, false) }
    }

    /// Appends a strict PDU with what was understood. Only where the verdict is not a refusal.
    pub fn write_strict(&self, sequence_number: u32, out: &mut BytesMut) {
        writer::pdu(CommandId::DATA_SM, CommandStatus::ESME_ROK, sequence_number, out, |out| {
            self.fields().write_head(out);
            out.put_slice(&[self.esm_class.0, self.registered_delivery.0, self.data_coding.0]);
            write_tlvs(out, &self.tlvs, false);
        });
    }
}

impl Fields<'_> {
    #[inline(always)]
    fn length_of_strings(&self) -> usize {
        self.service_type.len()
            + self.source.digits.len()
            + self.destination.digits.len()
            + self.schedule_delivery_time.len()
            + self.validity_period.len()
    }

    /// Whether a frame of submit_sm or deliver_sm, times apart, is what these fields are written as. A decoder that
    /// overlooked something found fields whose lengths do not add up to the frame's.
    #[inline(always)]
    fn fit_short_message_pdu(&self, frame: Frame<'_>) -> bool {
        let bytes = frame.bytes();
        let text = self.short_message.len();
        let text_at = SUBMIT_LENGTH_MIN + self.length_of_strings();
        text_at + text + self.tlvs.as_bytes().len() == bytes.len()
            && bytes.get(text_at - 1).copied().map(usize::from) == Some(text)
            && text <= SHORT_MESSAGE_LENGTH_MAX
            && self.service_type.len() < SERVICE_TYPE_SIZE_MAX
            && self.source.digits.len() < ADDRESS_SIZE_MAX
            && self.destination.digits.len() < ADDRESS_SIZE_MAX
            && frame.command_status().is_ok()
            && tlvs_fit(&self.tlvs, text > 0)
    }

    /// What is to be done with a frame that is not strict.
    #[cold]
    fn verdict_of_odd(&self, address_size_max: usize, has_times: bool) -> Verdict {
        let service_at = HEADER_LENGTH;
        let source_at = service_at + self.service_type.len() + 1 + 2;
        let destination_at = source_at + self.source.digits.len() + 1 + 2;
        let schedule_at = destination_at + self.destination.digits.len() + 1 + 3;
        let validity_at = schedule_at + self.schedule_delivery_time.len() + 1;
        let refused =
            |problem, field, at: usize| Verdict::Refused(DecodeError { problem, field, offset: at as u32 });
        if self.service_type.len() >= SERVICE_TYPE_SIZE_MAX {
            return refused(Problem::Overlong, Field::ServiceType, service_at);
        }
        if self.source.digits.len() >= address_size_max {
            return refused(Problem::Overlong, Field::SourceAddr, source_at);
        }
        if self.destination.digits.len() >= address_size_max {
            return refused(Problem::Overlong, Field::DestinationAddr, destination_at);
        }
        let is_time = |text: &[u8]| !has_times || text.is_empty() || Time::parse(text).is_some();
        if !is_time(self.schedule_delivery_time) {
            return refused(Problem::Value, Field::ScheduleDeliveryTime, schedule_at);
        }
        if !is_time(self.validity_period) {
            return refused(Problem::Value, Field::ValidityPeriod, validity_at);
        }
        let text_at = validity_at + self.validity_period.len() + 1 + 5;
        if self.short_message.len() > TLV_LENGTH_MAX {
            return refused(Problem::MessageLength, Field::ShortMessage, text_at);
        }
        match self.essential_problem() {
            Some(problem) => refused(problem, Field::Tlvs, text_at + self.short_message.len()),
            None => Verdict::Rewritable,
        }
    }

    /// What is wrong with a TLV that cannot be left out.
    fn essential_problem(&self) -> Option<Problem> {
        let is_needed = |tag: Tag| {
            let has_text = tag == Tag::MESSAGE_PAYLOAD && !self.short_message.is_empty();
            ESSENTIAL.contains(&tag) && !has_text
        };
        let unreadable = self.tlvs.iter().find_map(|tlv| {
            let shape = tlv.tag.shape().filter(|_| is_needed(tlv.tag))?;
            shape.mended(tlv.value).is_none().then(|| shape.problem_with(tlv.value)).flatten()
        });
        let cut = self.tlvs.cut_at().and_then(|at| self.tlvs.as_bytes().get(at..)?.first_chunk::<2>());
        let cut = cut.filter(|tag| is_needed(Tag(u16::from_be_bytes(**tag))));
        unreadable.or(cut.map(|_| Problem::TlvCut))
    }

    fn write_head(&self, out: &mut BytesMut) {
        writer::c_string(out, self.service_type);
        writer::address(out, &self.source);
        writer::address(out, &self.destination);
    }

    fn write_short_message_pdu(
        &self,
        command: CommandId,
        times: &[impl AsRef<[u8]>; 2],
        octets: [u8; 7],
        sequence_number: u32,
        out: &mut BytesMut,
    ) {
        writer::pdu(command, CommandStatus::ESME_ROK, sequence_number, out, |out| {
            self.write_head(out);
            out.put_slice(&octets[..3]);
            times.iter().for_each(|time| writer::c_string(out, time.as_ref()));
            out.put_slice(&octets[3..]);
            let payload = self.tlvs.find(Tag::MESSAGE_PAYLOAD).filter(|payload| !payload.is_empty());
            match self.short_message {
                text if payload.is_some() || text.is_empty() => {
                    out.put_u8(0);
                    write_tlvs(out, &self.tlvs, false);
                }
                text if text.len() <= SHORT_MESSAGE_LENGTH_MAX => {
                    out.put_u8(text.len() as u8);
                    out.put_slice(text);
                    write_tlvs(out, &self.tlvs, true);
                }
                text => {
                    out.put_u8(0);
                    write_tlv(out, Tag::MESSAGE_PAYLOAD, &text[..text.len().min(TLV_LENGTH_MAX)]);
                    write_tlvs(out, &self.tlvs, true);
                }
            }
        });
    }
}

/// Whether a time is empty, or sixteen characters that every peer takes.
#[inline(always)]
fn is_plain(time: &[u8]) -> bool {
    time.is_empty() || Time::is_plain(time)
}

/// The sixteen characters of a time as every peer takes them; nothing where there is none.
fn canonical(time: &[u8]) -> CanonicalTime<'_> {
    match Time::parse(time) {
        Some(_) if Time::is_plain(time) => CanonicalTime::AsItIs(time),
        Some(time) => CanonicalTime::Anew(time.write()),
        None => CanonicalTime::AsItIs(&[]),
    }
}

enum CanonicalTime<'a> {
    AsItIs(&'a [u8]),
    Anew([u8; TIME_LENGTH]),
}

impl AsRef<[u8]> for CanonicalTime<'_> {
    fn as_ref(&self) -> &[u8] {
        match self {
            CanonicalTime::AsItIs(text) => text,
            CanonicalTime::Anew(text) => text,
        }
    }
}

/// Whether all TLVs are whole and in shape, and the message is not in `message_payload` while it is elsewhere.
#[inline(always)]
fn tlvs_fit(tlvs: &Tlvs<'_>, has_text: bool) -> bool {
    tlvs.is_empty() || tlvs_fit_each(tlvs, has_text)
}

fn tlvs_fit_each(tlvs: &Tlvs<'_>, has_text: bool) -> bool {
    let mut length = 0;
    let fit = tlvs.iter().all(|tlv| {
        length += TLV_HEADER_LENGTH + tlv.value.len();
        tlv.tag.shape().is_none_or(|shape| shape.problem_with(tlv.value).is_none())
            && !(has_text && tlv.tag == Tag::MESSAGE_PAYLOAD)
    });
    fit && length == tlvs.as_bytes().len()
}

/// Appends TLVs in their order: those in shape as they are, others mended, without those that cannot be.
fn write_tlvs(out: &mut BytesMut, tlvs: &Tlvs<'_>, without_payload: bool) {
    for Tlv { tag, value } in tlvs {
        if without_payload && tag == Tag::MESSAGE_PAYLOAD {
            continue;
        }
        let Some(shape) = tag.shape() else {
            write_tlv(out, tag, value);
            continue;
        };
        let Some(mended) = shape.mended(value) else { continue };
        let length = mended.zeros + mended.value.len() + usize::from(mended.has_nul);
        out.put_u16(tag.0);
        out.put_u16(length as u16); // a value in shape is no longer than its field can say
        out.put_bytes(0, mended.zeros);
        out.put_slice(mended.value);
        out.put_bytes(0, usize::from(mended.has_nul));
    }
}

/// The first one-octet field of a submit_sm with a value that SMPP 3.4 §5.2 reserves.
pub fn reserved_in_submit(pdu: &SubmitSm<'_>) -> Option<Field> {
    let message_type = pdu.esm_class.0 & crate::field::EsmClass::TYPE_MASK;
    let checks = [
        (Field::SourceAddrTon, is_ton(pdu.source.ton)),
        (Field::SourceAddrNpi, is_npi(pdu.source.npi)),
        (Field::DestAddrTon, is_ton(pdu.destination.ton)),
        (Field::DestAddrNpi, is_npi(pdu.destination.npi)),
        (Field::EsmClass, matches!(message_type, 0x00 | 0x08 | 0x10)),
        (Field::PriorityFlag, pdu.priority_flag <= 3),
        (Field::RegisteredDelivery, is_registered_delivery(pdu.registered_delivery.0)),
        (Field::ReplaceIfPresentFlag, pdu.replace_if_present_flag <= 1),
        (Field::DataCoding, is_data_coding(pdu.data_coding)),
        (Field::SmDefaultMsgId, pdu.sm_default_msg_id != 0xFF),
    ];
    first_reserved(&checks)
}

/// The same of a data_sm.
pub fn reserved_in_data(pdu: &DataSm<'_>) -> Option<Field> {
    let message_type = pdu.esm_class.0 & crate::field::EsmClass::TYPE_MASK;
    let checks = [
        (Field::SourceAddrTon, is_ton(pdu.source.ton)),
        (Field::SourceAddrNpi, is_npi(pdu.source.npi)),
        (Field::DestAddrTon, is_ton(pdu.destination.ton)),
        (Field::DestAddrNpi, is_npi(pdu.destination.npi)),
        (Field::EsmClass, matches!(message_type, 0x00 | 0x08 | 0x10)),
        (Field::RegisteredDelivery, is_registered_delivery(pdu.registered_delivery.0)),
        (Field::DataCoding, is_data_coding(pdu.data_coding)),
    ];
    first_reserved(&checks)
}

fn first_reserved(checks: &[(Field, bool)]) -> Option<Field> {
    checks.iter().find(|(_, is_known)| !is_known).map(|(field, _)| *field)
}

/// SMPP 3.4 §5.2.5.
fn is_ton(ton: Ton) -> bool {
    ton <= Ton::ABBREVIATED
}

/// SMPP 3.4 §5.2.6.
fn is_npi(npi: Npi) -> bool {
    matches!(npi.0, 0 | 1 | 3 | 4 | 6 | 8 | 9 | 10 | 14 | 18)
}

/// SMPP 3.4 §5.2.17: bits 5 to 7 are reserved, and 3 among receipts.
fn is_registered_delivery(value: u8) -> bool {
    value & 0xE0 == 0 && value & 0x03 != 0x03
}

/// SMPP 3.4 §5.2.19.
fn is_data_coding(value: DataCoding) -> bool {
    matches!(value.0, 0x00..=0x0A | 0x0D | 0x0E | 0xC0..=0xDF | 0xF0..=0xFF)
}

#[cfg(test)]
mod tests;
