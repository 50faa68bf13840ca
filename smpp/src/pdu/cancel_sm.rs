//! cancel_sm (SMPP 3.4 §4.9). Its response has no body.

use bytes::BytesMut;

use super::Body;
use crate::dialect::Dialect;
use crate::error::{DecodeError, Field};
use crate::field::{Address, CommandStatus};
use crate::limits::{ADDRESS_SIZE_MAX, MESSAGE_ID_SIZE_MAX, SERVICE_TYPE_SIZE_MAX};
use crate::wire::reader::Reader;
use crate::wire::{Frame, writer};

/// Cancels one message by its id, or all that match where the id is empty (SMPP 3.4 §4.9.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct CancelSm<'a> {
    /// The service of the messages, where a group is cancelled.
    pub service_type: &'a [u8],
    /// The message, empty for a group.
    pub message_id: &'a [u8],
    /// The source address they were submitted with.
    pub source: Address<'a>,
    /// The destination of a group.
    pub destination: Address<'a>,
}

impl<'a> CancelSm<'a> {
    /// Reads the body.
    pub fn decode(frame: Frame<'a>, dialect: &Dialect) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame, dialect);
        let service_type = reader.c_string(Field::ServiceType, SERVICE_TYPE_SIZE_MAX)?;
        let message_id = reader.c_string(Field::MessageId, MESSAGE_ID_SIZE_MAX)?;
        let source = reader
            .address([Field::SourceAddrTon, Field::SourceAddrNpi, Field::SourceAddr], ADDRESS_SIZE_MAX)?;
        let destination = reader
            .address([Field::DestAddrTon, Field::DestAddrNpi, Field::DestinationAddr], ADDRESS_SIZE_MAX)?;
        reader.end()?;
        Ok(Self { service_type, message_id, source, destination })
    }
}

impl Body for CancelSm<'_> {
    fn write_body(&self, _status: CommandStatus, out: &mut BytesMut) {
        writer::c_string(out, self.service_type);
        writer::c_string(out, self.message_id);
        writer::address(out, &self.source);
        writer::address(out, &self.destination);
    }
}
