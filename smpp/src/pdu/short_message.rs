//! What submit_sm and deliver_sm share: one layout (SMPP 3.4 §4.4.1, §4.6.1), and the rules about
//! `sm_length`, `short_message` and `message_payload`, which submit_multi and replace_sm have too.

use bytes::{BufMut, BytesMut};

use crate::error::{DecodeError, Field, Problem};
use crate::limits::{SHORT_MESSAGE_LENGTH_MAX, TLV_LENGTH_MAX};
use crate::tlv::{Tag, Tlvs, write_tlv};
use crate::wire::reader::Reader;

/// Reads `short_message`, whose length was read before it.
#[inline]
pub(super) fn read<'a>(reader: &mut Reader<'a, '_>, sm_length: u8) -> Result<&'a [u8], DecodeError> {
    let whole = reader.rest();
    let length = usize::from(sm_length);
    let dialect = reader.dialect();
    let text = match reader.take(length) {
        Some(text) if length <= SHORT_MESSAGE_LENGTH_MAX || dialect.sm_length_wrong => text,
        None if dialect.sm_length_wrong => reader.take(whole.len()).unwrap_or_default(),
        _ => return Err(reader.error(Problem::MessageLength, Field::SmLength)),
    };
    let text = if reader.rest().is_empty() { text } else { read_before_more(reader, whole, text) };
    match text {
        [text @ .., 0] if dialect.short_message_counted_nul => Ok(text),
        text => Ok(text),
    }
}

/// Octets follow the message. Where they are no TLVs, the dialect may explain them: NULs, then a wrong `sm_length`.
/// `sm_length` is believed as long as the octets begin with a TLV, a cut one of a tag that peers use among them.
fn read_before_more<'a>(reader: &mut Reader<'a, '_>, whole: &'a [u8], text: &'a [u8]) -> &'a [u8] {
    let (dialect, rest) = (reader.dialect(), reader.rest());
    if !(dialect.short_message_extra_nul || dialect.sm_length_wrong) || Tlvs::new(rest).cut_at().is_none() {
        return text;
    }
    let without_nul = rest.strip_prefix(&[0]).filter(|_| dialect.short_message_extra_nul);
    if without_nul.is_some() && rest.iter().all(|octet| *octet == 0) {
        reader.take(rest.len());
        return text;
    }
    if without_nul.is_some_and(|after| Tlvs::new(after).cut_at().is_none()) {
        reader.take(1);
        return text;
    }
    if begins_with_tlv(rest) {
        return text;
    }
    if without_nul.is_some_and(begins_with_tlv) {
        reader.take(1);
        return text;
    }
    if dialect.sm_length_wrong {
        reader.take(rest.len());
        return whole;
    }
    text
}

/// Lengths from here on are those of text that was taken for a TLV's header: two printable characters are more.
const CUT_LENGTH_PLAUSIBLE: u16 = 0x2000;

/// Whether these octets begin with a TLV: one that is there as a whole, or one that is cut and whose tag is the
/// standard's or a vendor's. Vendors' tags are letters too, so that their length must be no letters.
fn begins_with_tlv(octets: &[u8]) -> bool {
    match *octets {
        [tag_high, tag_low, ref rest @ ..] => {
            let tag = Tag(u16::from_be_bytes([tag_high, tag_low]));
            let is_whole = Tlvs::new(octets).iter().next().is_some();
            let is_plausible = match *rest {
                [high, low, ..] => u16::from_be_bytes([high, low]) < CUT_LENGTH_PLAUSIBLE,
                _ => !octets.iter().all(|octet| (0x20..0x7F).contains(octet)),
            };
            is_whole || tag.shape().is_some() || (tag.is_vendor_specific() && is_plausible)
        }
        _ => false,
    }
}

/// Refuses a message that is there twice, unless the dialect lets the payload win.
#[inline]
pub(super) fn check_payload(
    reader: &Reader<'_, '_>,
    short_message: &[u8],
    tlvs: &Tlvs<'_>,
) -> Result<(), DecodeError> {
    let twice = !short_message.is_empty()
        && !tlvs.is_empty()
        && !reader.dialect().short_message_and_payload
        && tlvs.find(Tag::MESSAGE_PAYLOAD).is_some();
    if twice { Err(reader.error(Problem::PayloadTwice, Field::ShortMessage)) } else { Ok(()) }
}

/// The message: the payload where there is one, since that is what peers mean who send both.
#[inline]
pub(super) fn payload<'a>(short_message: &'a [u8], tlvs: &Tlvs<'a>) -> &'a [u8] {
    if tlvs.is_empty() { short_message } else { tlvs.find(Tag::MESSAGE_PAYLOAD).unwrap_or(short_message) }
}

/// Appends `sm_length`, `short_message` and the TLVs. A message over 254 octets, which only a tolerant decode
/// can give, goes into `message_payload`.
#[inline]
pub(super) fn write(out: &mut BytesMut, short_message: &[u8], tlvs: &Tlvs<'_>) {
    match u8::try_from(short_message.len()) {
        Ok(length) if usize::from(length) <= SHORT_MESSAGE_LENGTH_MAX => {
            out.put_u8(length);
            out.put_slice(short_message);
        }
        _ => {
            out.put_u8(0);
            if tlvs.find(Tag::MESSAGE_PAYLOAD).is_none() {
                write_tlv(
                    out,
                    Tag::MESSAGE_PAYLOAD,
                    &short_message[..short_message.len().min(TLV_LENGTH_MAX)],
                );
            }
        }
    }
    out.put_slice(tlvs.whole());
}

/// Defines a PDU with the layout of submit_sm.
macro_rules! short_message_pdu {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
        pub struct $name<'a> {
            /// The service, 5 octets at most.
            pub service_type: &'a [u8],
            /// From whom; 20 digits at most.
            pub source: $crate::field::Address<'a>,
            /// To whom; 20 digits at most.
            pub destination: $crate::field::Address<'a>,
            /// Mode, type and GSM features.
            pub esm_class: $crate::field::EsmClass,
            /// GSM protocol identifier.
            pub protocol_id: u8,
            /// 0 is lowest, 3 highest.
            pub priority_flag: u8,
            /// Empty or sixteen characters of [`crate::field::time::Time`]; empty in deliver_sm.
            pub schedule_delivery_time: &'a [u8],
            /// Empty or sixteen characters of [`crate::field::time::Time`]; empty in deliver_sm.
            pub validity_period: &'a [u8],
            /// Which receipts and acknowledgements are wanted.
            pub registered_delivery: $crate::field::RegisteredDelivery,
            /// 1 replaces an earlier message; 0 in deliver_sm.
            pub replace_if_present_flag: u8,
            /// How the text is encoded.
            pub data_coding: $crate::field::DataCoding,
            /// A message stored at the SMSC, 0 for none; 0 in deliver_sm.
            pub sm_default_msg_id: u8,
            /// The text, 254 octets at most; see [`Self::payload`].
            pub short_message: &'a [u8],
            /// Optional parameters.
            pub tlvs: $crate::tlv::Tlvs<'a>,
        }

        impl<'a> $name<'a> {
            /// Reads the body.
            pub fn decode(
                frame: $crate::wire::Frame<'a>,
                dialect: &$crate::dialect::Dialect,
            ) -> Result<Self, $crate::error::DecodeError> {
                use $crate::error::Field;
                use $crate::limits::{ADDRESS_SIZE_MAX, SERVICE_TYPE_SIZE_MAX, TIME_SIZE_MAX};
                let mut reader = $crate::wire::reader::Reader::new(frame, dialect);
                let service_type = reader.c_string(Field::ServiceType, SERVICE_TYPE_SIZE_MAX)?;
                let source = reader.address(
                    [Field::SourceAddrTon, Field::SourceAddrNpi, Field::SourceAddr],
                    ADDRESS_SIZE_MAX,
                )?;
                let destination = reader.address(
                    [Field::DestAddrTon, Field::DestAddrNpi, Field::DestinationAddr],
                    ADDRESS_SIZE_MAX,
                )?;
                let [esm_class, protocol_id, priority_flag] =
                    reader.octets([Field::EsmClass, Field::ProtocolId, Field::PriorityFlag])?;
                let schedule_delivery_time = reader.c_string(Field::ScheduleDeliveryTime, TIME_SIZE_MAX)?;
                let validity_period = reader.c_string(Field::ValidityPeriod, TIME_SIZE_MAX)?;
                let [registered_delivery, replace_if_present_flag, data_coding, sm_default_msg_id, sm_length] =
                    reader.octets([
                        Field::RegisteredDelivery,
                        Field::ReplaceIfPresentFlag,
                        Field::DataCoding,
                        Field::SmDefaultMsgId,
                        Field::SmLength,
                    ])?;
                let short_message = $crate::pdu::short_message::read(&mut reader, sm_length)?;
                let tlvs = reader.tlvs()?;
                $crate::pdu::short_message::check_payload(&reader, short_message, &tlvs)?;
                Ok(Self {
                    service_type,
                    source,
                    destination,
                    esm_class: $crate::field::EsmClass(esm_class),
                    protocol_id,
                    priority_flag,
                    schedule_delivery_time,
                    validity_period,
                    registered_delivery: $crate::field::RegisteredDelivery(registered_delivery),
                    replace_if_present_flag,
                    data_coding: $crate::field::DataCoding(data_coding),
                    sm_default_msg_id,
                    short_message,
                    tlvs,
                })
            }

            /// The message: message_payload where present, else short_message.
            #[inline]
            pub fn payload(&self) -> &'a [u8] {
                $crate::pdu::short_message::payload(self.short_message, &self.tlvs)
            }

            #[inline(always)]
            pub(crate) fn fields(&self) -> $crate::strict::Fields<'a> {
                $crate::strict::Fields {
                    service_type: self.service_type,
                    source: self.source,
                    destination: self.destination,
                    schedule_delivery_time: self.schedule_delivery_time,
                    validity_period: self.validity_period,
                    short_message: self.short_message,
                    tlvs: self.tlvs,
                }
            }
        }

        impl $crate::pdu::Body for $name<'_> {
            #[inline]
            fn write_body(&self, _status: $crate::field::CommandStatus, out: &mut bytes::BytesMut) {
                use $crate::wire::writer;
                writer::c_string(out, self.service_type);
                writer::address(out, &self.source);
                writer::address(out, &self.destination);
                out.extend_from_slice(&[self.esm_class.0, self.protocol_id, self.priority_flag]);
                writer::c_string(out, self.schedule_delivery_time);
                writer::c_string(out, self.validity_period);
                out.extend_from_slice(&[
                    self.registered_delivery.0,
                    self.replace_if_present_flag,
                    self.data_coding.0,
                    self.sm_default_msg_id,
                ]);
                $crate::pdu::short_message::write(out, self.short_message, &self.tlvs);
            }
        }
    };
}

pub(super) use short_message_pdu;
