//! The PDU header (SMPP 3.4 §3.2): four 32-bit numbers, big endian.

use crate::field::{CommandId, CommandStatus};
use crate::limits::HEADER_LENGTH;

/// The sixteen octets every PDU starts with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Header {
    /// Octets of the whole PDU, these sixteen included.
    pub command_length: u32,
    /// Which PDU it is.
    pub command_id: CommandId,
    /// The verdict in a response, zero in a request.
    pub command_status: CommandStatus,
    /// Pairs a response with its request.
    pub sequence_number: u32,
}

impl Header {
    /// The header as octets.
    #[inline]
    pub fn to_bytes(self) -> [u8; HEADER_LENGTH] {
        let mut bytes = [0; HEADER_LENGTH];
        bytes[0..4].copy_from_slice(&self.command_length.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.command_id.0.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.command_status.0.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.sequence_number.to_be_bytes());
        bytes
    }

    /// The header in these octets; nothing is judged.
    #[inline]
    pub fn from_bytes(bytes: &[u8; HEADER_LENGTH]) -> Header {
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Header {
            command_length: word(0),
            command_id: CommandId(word(4)),
            command_status: CommandStatus(word(8)),
            sequence_number: word(12),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_and_back() {
        let header = Header {
            command_length: 0x10,
            command_id: CommandId::ENQUIRE_LINK_RESP,
            command_status: CommandStatus(0x58),
            sequence_number: 0x7FFF_FFFF,
        };
        let bytes = header.to_bytes();
        assert_eq!(bytes, *b"\x00\x00\x00\x10\x80\x00\x00\x15\x00\x00\x00\x58\x7F\xFF\xFF\xFF");
        assert_eq!(Header::from_bytes(&bytes), header);
    }
}
