//! submit_sm and its response (SMPP 3.4 §4.4).

use bytes::{BufMut, BytesMut};

use super::Body;
use super::short_message::short_message_pdu;
use crate::dialect::Dialect;
use crate::error::{DecodeError, Field};
use crate::field::{CommandId, CommandStatus};
use crate::limits::MESSAGE_ID_SIZE_MAX;
use crate::response::has_body;
use crate::tlv::Tlvs;
use crate::wire::reader::Reader;
use crate::wire::{Frame, writer};

short_message_pdu! {
    /// Submits one message to one destination (SMPP 3.4 §4.4.1).
    SubmitSm
}

/// The verdict on a submit_sm (SMPP 3.4 §4.4.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct SubmitSmResp<'a> {
    /// The SMSC's name of the message, 64 octets at most; empty in a refusal.
    pub message_id: &'a [u8],
    /// None in SMPP 3.4; peers of SMPP 5.0 send some.
    pub tlvs: Tlvs<'a>,
}

impl<'a> SubmitSmResp<'a> {
    /// Reads the body; a refusal may have none.
    #[inline]
    pub fn decode(frame: Frame<'a>, dialect: &Dialect) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame, dialect);
        if reader.response_is_bare(frame) {
            return Ok(Self::default());
        }
        let message_id = reader.c_string(Field::MessageId, MESSAGE_ID_SIZE_MAX)?;
        Ok(Self { message_id, tlvs: reader.response_tlvs()? })
    }
}

impl Body for SubmitSmResp<'_> {
    /// A refusal without an id has no body, as peers of SMPP 3.4 want it.
    #[inline]
    fn write_body(&self, status: CommandStatus, out: &mut BytesMut) {
        if has_body(CommandId::SUBMIT_SM_RESP, status) || *self != Self::default() {
            writer::c_string(out, self.message_id);
            out.put_slice(self.tlvs.whole());
        }
    }
}
