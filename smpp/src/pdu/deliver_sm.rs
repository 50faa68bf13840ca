//! deliver_sm and its response (SMPP 3.4 §4.6).

use bytes::{BufMut, BytesMut};

use super::Body;
use super::short_message::short_message_pdu;
use crate::dialect::Dialect;
use crate::error::{DecodeError, Field, Problem};
use crate::field::CommandStatus;
use crate::limits::MESSAGE_ID_SIZE_MAX;
use crate::tlv::Tlvs;
use crate::wire::reader::Reader;
use crate::wire::{Frame, writer};

short_message_pdu! {
    /// Delivers one message or receipt to the ESME (SMPP 3.4 §4.6.1).
    DeliverSm
}

impl DeliverSm<'_> {
    /// Whether esm_class says that this reports the fate of another message: a receipt or an intermediate
    /// notification.
    #[inline]
    pub const fn is_receipt(&self) -> bool {
        self.esm_class.is_receipt()
    }
}

/// The answer to a deliver_sm (SMPP 3.4 §4.6.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct DeliverSmResp<'a> {
    /// Empty by the standard.
    pub message_id: &'a [u8],
    /// None in SMPP 3.4; peers of SMPP 5.0 send some.
    pub tlvs: Tlvs<'a>,
}

impl<'a> DeliverSmResp<'a> {
    /// Reads the body; a refusal may have none.
    #[inline]
    pub fn decode(frame: Frame<'a>, dialect: &Dialect) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame, dialect);
        if reader.response_is_bare(frame) {
            return Ok(Self::default());
        }
        let at_message_id = reader;
        let message_id = reader.c_string(Field::MessageId, MESSAGE_ID_SIZE_MAX)?;
        if !message_id.is_empty() && !dialect.deliver_resp_message_id {
            return Err(at_message_id.error(Problem::Value, Field::MessageId));
        }
        Ok(Self { message_id, tlvs: reader.response_tlvs()? })
    }
}

impl Body for DeliverSmResp<'_> {
    /// One NUL whatever the view holds, also in a refusal: peers end the session over anything else.
    #[inline]
    fn write_body(&self, _status: CommandStatus, out: &mut BytesMut) {
        writer::c_string(out, b"");
        out.put_slice(self.tlvs.whole());
    }
}
