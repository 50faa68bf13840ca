//! replace_sm (SMPP 3.4 §4.10). Its response has no body.

use bytes::{BufMut, BytesMut};

use super::{Body, short_message};
use crate::dialect::Dialect;
use crate::error::{DecodeError, Field};
use crate::field::{Address, CommandStatus, RegisteredDelivery};
use crate::limits::{ADDRESS_SIZE_MAX, MESSAGE_ID_SIZE_MAX, SHORT_MESSAGE_LENGTH_MAX, TIME_SIZE_MAX};
use crate::wire::reader::Reader;
use crate::wire::{Frame, writer};

/// Replaces a message that has not been delivered (SMPP 3.4 §4.10.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ReplaceSm<'a> {
    /// The message.
    pub message_id: &'a [u8],
    /// The source address it was submitted with.
    pub source: Address<'a>,
    /// Empty to keep it, else sixteen characters of [`crate::field::time::Time`].
    pub schedule_delivery_time: &'a [u8],
    /// Empty to keep it, else sixteen characters of [`crate::field::time::Time`].
    pub validity_period: &'a [u8],
    /// Which receipts and acknowledgements are wanted.
    pub registered_delivery: RegisteredDelivery,
    /// A message stored at the SMSC, 0 for none.
    pub sm_default_msg_id: u8,
    /// The new text, 254 octets at most: there is no message_payload here, what is beyond is not written.
    pub short_message: &'a [u8],
}

impl<'a> ReplaceSm<'a> {
    /// Reads the body.
    pub fn decode(frame: Frame<'a>, dialect: &Dialect) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame, dialect);
        let message_id = reader.c_string(Field::MessageId, MESSAGE_ID_SIZE_MAX)?;
        let source = reader
            .address([Field::SourceAddrTon, Field::SourceAddrNpi, Field::SourceAddr], ADDRESS_SIZE_MAX)?;
        let schedule_delivery_time = reader.c_string(Field::ScheduleDeliveryTime, TIME_SIZE_MAX)?;
        let validity_period = reader.c_string(Field::ValidityPeriod, TIME_SIZE_MAX)?;
        let [registered_delivery, sm_default_msg_id, sm_length] =
            reader.octets([Field::RegisteredDelivery, Field::SmDefaultMsgId, Field::SmLength])?;
        let short_message = short_message::read(&mut reader, sm_length)?;
        reader.end()?;
        Ok(Self {
            message_id,
            source,
            schedule_delivery_time,
            validity_period,
            registered_delivery: RegisteredDelivery(registered_delivery),
            sm_default_msg_id,
            short_message,
        })
    }
}

impl Body for ReplaceSm<'_> {
    fn write_body(&self, _status: CommandStatus, out: &mut BytesMut) {
        let text = &self.short_message[..self.short_message.len().min(SHORT_MESSAGE_LENGTH_MAX)];
        writer::c_string(out, self.message_id);
        writer::address(out, &self.source);
        writer::c_string(out, self.schedule_delivery_time);
        writer::c_string(out, self.validity_period);
        out.put_slice(&[self.registered_delivery.0, self.sm_default_msg_id, text.len() as u8]);
        out.put_slice(text);
    }
}
