//! query_sm and its response (SMPP 3.4 §4.8).

use bytes::{BufMut, BytesMut};

use super::Body;
use crate::dialect::Dialect;
use crate::error::{DecodeError, Field};
use crate::field::{Address, CommandId, CommandStatus, MessageState};
use crate::limits::{ADDRESS_SIZE_MAX, MESSAGE_ID_SIZE_MAX, TIME_SIZE_MAX};
use crate::response::has_body;
use crate::wire::reader::Reader;
use crate::wire::{Frame, writer};

/// Asks what became of a message (SMPP 3.4 §4.8.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct QuerySm<'a> {
    /// The message asked for.
    pub message_id: &'a [u8],
    /// The source address it was submitted with.
    pub source: Address<'a>,
}

/// What became of it (SMPP 3.4 §4.8.2). The state is a field here and a TLV everywhere else.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct QuerySmResp<'a> {
    /// The message asked for.
    pub message_id: &'a [u8],
    /// Empty while there is no final state, else sixteen characters of [`crate::field::time::Time`].
    pub final_date: &'a [u8],
    /// See [`QuerySmResp::state`].
    pub message_state: u8,
    /// The network's error, 0 for none.
    pub error_code: u8,
}

impl<'a> QuerySm<'a> {
    /// Reads the body.
    pub fn decode(frame: Frame<'a>, dialect: &Dialect) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame, dialect);
        let message_id = reader.c_string(Field::MessageId, MESSAGE_ID_SIZE_MAX)?;
        let source = reader
            .address([Field::SourceAddrTon, Field::SourceAddrNpi, Field::SourceAddr], ADDRESS_SIZE_MAX)?;
        reader.end()?;
        Ok(Self { message_id, source })
    }
}

impl Body for QuerySm<'_> {
    fn write_body(&self, _status: CommandStatus, out: &mut BytesMut) {
        writer::c_string(out, self.message_id);
        writer::address(out, &self.source);
    }
}

impl<'a> QuerySmResp<'a> {
    /// Reads the body; a refusal may have none.
    pub fn decode(frame: Frame<'a>, dialect: &Dialect) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame, dialect);
        if reader.response_is_bare(frame) {
            return Ok(Self::default());
        }
        let message_id = reader.c_string(Field::MessageId, MESSAGE_ID_SIZE_MAX)?;
        let final_date = reader.c_string(Field::FinalDate, TIME_SIZE_MAX)?;
        let [message_state, error_code] = reader.octets([Field::MessageState, Field::ErrorCode])?;
        reader.end()?;
        Ok(Self { message_id, final_date, message_state, error_code })
    }

    /// The state, where the standard knows it.
    #[inline]
    pub const fn state(&self) -> Option<MessageState> {
        MessageState::from_u8(self.message_state)
    }
}

impl Body for QuerySmResp<'_> {
    fn write_body(&self, status: CommandStatus, out: &mut BytesMut) {
        if has_body(CommandId::QUERY_SM_RESP, status) || *self != Self::default() {
            writer::c_string(out, self.message_id);
            writer::c_string(out, self.final_date);
            out.put_slice(&[self.message_state, self.error_code]);
        }
    }
}
