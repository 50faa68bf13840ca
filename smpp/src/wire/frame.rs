//! One whole PDU as octets.

use bytes::BytesMut;

use crate::field::{CommandId, CommandStatus};
use crate::limits::HEADER_LENGTH;
use crate::wire::Header;

/// Where the sequence number stands.
const SEQUENCE_NUMBER_AT: usize = 12;

/// One whole PDU, borrowed. Its octets are at least a header, and exactly as many as `command_length` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    head: &'a [u8; HEADER_LENGTH],
    bytes: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame these octets are; `None` unless they are exactly one PDU.
    #[inline]
    pub fn whole(bytes: &'a [u8]) -> Option<Frame<'a>> {
        let head = bytes.first_chunk::<HEADER_LENGTH>()?;
        let frame = Frame { head, bytes };
        (frame.header().command_length as usize == bytes.len()).then_some(frame)
    }

    /// The header.
    #[inline]
    pub fn header(&self) -> Header {
        Header::from_bytes(self.head)
    }

    /// Which PDU it is.
    #[inline]
    pub fn command_id(&self) -> CommandId {
        self.header().command_id
    }

    /// The verdict in a response.
    #[inline]
    pub fn command_status(&self) -> CommandStatus {
        self.header().command_status
    }

    /// Pairs a response with its request.
    #[inline]
    pub fn sequence_number(&self) -> u32 {
        self.header().sequence_number
    }

    /// What follows the header.
    #[inline]
    pub fn body(&self) -> &'a [u8] {
        // A frame has at least its header, so the default is never taken; it keeps a panic out of the code.
        self.bytes.get(HEADER_LENGTH..).unwrap_or_default()
    }

    /// The whole PDU.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Appends the PDU with another sequence number.
    #[inline]
    pub fn copy_to(&self, sequence_number: u32, out: &mut BytesMut) {
        let start = out.len();
        out.extend_from_slice(self.bytes);
        let at = start + SEQUENCE_NUMBER_AT;
        out[at..at + 4].copy_from_slice(&sequence_number.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENQUIRE_LINK: &[u8] = b"\0\0\0\x10\0\0\0\x15\0\0\0\0\0\0\0\x07";

    #[test]
    fn only_one_whole_pdu_is_a_frame() {
        assert!(Frame::whole(ENQUIRE_LINK).is_some());
        assert!(Frame::whole(&ENQUIRE_LINK[..15]).is_none());
        assert!(Frame::whole(b"\0\0\0\x11\0\0\0\x15\0\0\0\0\0\0\0\x07").is_none());
        assert!(Frame::whole(b"\0\0\0\x0F\0\0\0\x15\0\0\0\0\0\0\0").is_none());
    }

    #[test]
    fn a_copy_differs_in_its_sequence_number_only() {
        let frame = Frame::whole(ENQUIRE_LINK).unwrap();
        let mut out = BytesMut::from(&b"before"[..]);
        frame.copy_to(0x0102_0304, &mut out);
        assert_eq!(&out[..], b"before\0\0\0\x10\0\0\0\x15\0\0\0\0\x01\x02\x03\x04");
        assert_eq!(frame.body(), b"");
    }
}
