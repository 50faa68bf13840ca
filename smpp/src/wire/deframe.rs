//! A stream of octets into whole PDUs, whatever the splits.

use alloc::vec::Vec;
use core::fmt;

use crate::limits::HEADER_LENGTH;
use crate::wire::Frame;

/// Octets of `command_length`, all that is needed to judge a PDU's size.
const LENGTH_SIZE: usize = 4;

/// Cuts a stream into PDUs.
///
/// Call [`Deframer::next`] with the same input and cursor until it gives `None`; then the input is used up and
/// a partial PDU at its end is kept here. After an error the stream has no known boundary any more: the
/// connection must end.
///
/// PDUs that lie wholly in the input are given in place. Between reads only a partial PDU is kept, never more
/// than twice the octets that came of it, and nothing on the heap when there is none.
#[derive(Debug)]
pub struct Deframer {
    /// A partial PDU (`given` false), or the PDU given last (`given` true).
    /// `kept.len() <= size_max`; where `kept.len() >= 4` its command_length was checked.
    kept: Vec<u8>,
    /// What is kept was given to the caller whole and goes at the next call.
    given: bool,
    /// `size_max >= 16`.
    size_max: u32,
}

/// A length no PDU can have. The stream cannot be resynchronised.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FrameError {
    /// `command_length` is below the sixteen octets of a header.
    TooShort {
        /// What the peer wrote.
        command_length: u32,
    },
    /// `command_length` is above the limit; also what HTTP and TLS on this port look like.
    TooLong {
        /// What the peer wrote.
        command_length: u32,
        /// The largest PDU taken, octets.
        limit: u32,
    },
}

impl Deframer {
    /// Takes PDUs of up to `pdu_size_max` octets; a limit below a header is raised to one.
    pub fn new(pdu_size_max: u32) -> Self {
        Self { kept: Vec::new(), given: false, size_max: pdu_size_max.max(HEADER_LENGTH as u32) }
    }

    /// The next whole PDU of what was kept followed by `input[*cursor..]`; moves the cursor behind it. `None`
    /// when the rest is not a whole PDU: it is kept and the cursor stands at the end of the input.
    #[inline]
    pub fn next<'a>(
        &'a mut self,
        input: &'a [u8],
        cursor: &mut usize,
    ) -> Result<Option<Frame<'a>>, FrameError> {
        if self.given {
            // The capacity stays until the input is used up: on a busy stream every read ends in a partial PDU.
            self.kept.clear();
            self.given = false;
        }
        if !self.kept.is_empty() {
            return self.next_kept(input, cursor);
        }
        let rest = input.get(*cursor..).unwrap_or_default();
        if let Some(length) = self.length_of(rest)?
            && let Some((bytes, _)) = rest.split_at_checked(length)
        {
            *cursor += length;
            return Ok(Frame::whole(bytes));
        }
        self.keep(rest);
        *cursor = input.len();
        Ok(None)
    }

    /// Octets of a partial PDU held until the next read.
    #[inline]
    pub fn kept(&self) -> usize {
        if self.given { 0 } else { self.kept.len() }
    }

    /// Goes on with the PDU whose start is kept.
    fn next_kept<'a>(
        &'a mut self,
        input: &'a [u8],
        cursor: &mut usize,
    ) -> Result<Option<Frame<'a>>, FrameError> {
        if self.kept.len() < LENGTH_SIZE {
            self.take(LENGTH_SIZE, input, cursor);
        }
        let Some(length) = self.length_of(&self.kept)? else { return Ok(None) };
        self.take(length, input, cursor);
        if self.kept.len() < length {
            return Ok(None);
        }
        self.given = true;
        Ok(Frame::whole(&self.kept))
    }

    /// Moves octets from the input until `length` are kept or the input ends.
    fn take(&mut self, length: usize, input: &[u8], cursor: &mut usize) {
        let rest = input.get(*cursor..).unwrap_or_default();
        let wanted = length.saturating_sub(self.kept.len()).min(rest.len());
        self.kept.extend_from_slice(&rest[..wanted]);
        *cursor += wanted;
    }

    fn keep(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            self.kept = Vec::new();
        } else {
            self.kept.extend_from_slice(rest);
        }
    }

    /// The checked `command_length` of the PDU that starts here; `None` where it is not all there.
    #[inline]
    fn length_of(&self, start: &[u8]) -> Result<Option<usize>, FrameError> {
        let Some(octets) = start.first_chunk::<LENGTH_SIZE>() else { return Ok(None) };
        let command_length = u32::from_be_bytes(*octets);
        if command_length < HEADER_LENGTH as u32 {
            return Err(FrameError::TooShort { command_length });
        }
        if command_length > self.size_max {
            return Err(FrameError::TooLong { command_length, limit: self.size_max });
        }
        Ok(Some(command_length as usize))
    }
}

impl FrameError {
    /// Which other protocol the first four octets belong to, where they are known: a hint for the log.
    pub fn resembles(&self) -> Option<&'static str> {
        let FrameError::TooLong { command_length, .. } = self else { return None };
        match &command_length.to_be_bytes() {
            b"GET " | b"POST" | b"PUT " | b"HEAD" | b"OPTI" | b"DELE" | b"PRI " | b"CONN" | b"HTTP" => {
                Some("HTTP")
            }
            [0x16, 0x03, ..] => Some("TLS"),
            b"SSH-" => Some("SSH"),
            _ => None,
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::TooShort { command_length } => {
                write!(f, "command_length {command_length} is shorter than a header")
            }
            FrameError::TooLong { command_length, limit } => {
                write!(f, "command_length {command_length} is above the limit of {limit}")?;
                self.resembles().map_or(Ok(()), |protocol| write!(f, " (this looks like {protocol})"))
            }
        }
    }
}

impl core::error::Error for FrameError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn pdu(sequence_number: u8, body: usize) -> Vec<u8> {
        let mut bytes = vec![0u8; HEADER_LENGTH + body];
        let length = (bytes.len() as u32).to_be_bytes();
        bytes[..4].copy_from_slice(&length);
        bytes[15] = sequence_number;
        bytes
    }

    /// All frames of a stream that arrives in these pieces.
    fn frames(deframer: &mut Deframer, pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, FrameError> {
        let mut found = Vec::new();
        for piece in pieces {
            let mut cursor = 0;
            while let Some(frame) = deframer.next(piece, &mut cursor)? {
                found.push(frame.bytes().to_vec());
            }
            assert_eq!(cursor, piece.len());
        }
        Ok(found)
    }

    #[test]
    fn every_split_gives_the_same_pdus() {
        let expected = [pdu(1, 0), pdu(2, 5), pdu(3, 40), pdu(4, 0)];
        let stream = expected.concat();
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let mut deframer = Deframer::new(1000);
                let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
                assert_eq!(frames(&mut deframer, &pieces).unwrap(), expected);
                assert_eq!(deframer.kept(), 0);
                assert_eq!(deframer.kept.capacity(), 0, "an idle stream holds no heap");
            }
        }
    }

    #[test]
    fn single_octets_give_the_same_pdus() {
        let expected = [pdu(1, 3), pdu(2, 0)];
        let stream = expected.concat();
        let pieces: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(frames(&mut Deframer::new(64), &pieces).unwrap(), expected);
    }

    #[test]
    fn a_partial_pdu_is_kept_and_counted() {
        let mut deframer = Deframer::new(100);
        assert_eq!(frames(&mut deframer, &[&pdu(1, 4)[..7]]).unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(deframer.kept(), 7);
    }

    #[test]
    fn impossible_lengths_end_the_stream() {
        let check = |stream: &[u8], expected: FrameError| {
            for split in 0..stream.len() {
                let mut deframer = Deframer::new(100);
                let result = frames(&mut deframer, &[&stream[..split], &stream[split..]]);
                assert_eq!(result, Err(expected));
                assert!(deframer.kept.capacity() <= 2 * stream.len() + 8);
            }
        };
        check(&[0, 0, 0, 0], FrameError::TooShort { command_length: 0 });
        check(&[0, 0, 0, 15, 1], FrameError::TooShort { command_length: 15 });
        check(&[0, 0, 0, 101], FrameError::TooLong { command_length: 101, limit: 100 });
        check(&[0xFF; 4], FrameError::TooLong { command_length: u32::MAX, limit: 100 });
        check(b"GET / HTTP/1.1\r\n", FrameError::TooLong { command_length: 0x4745_5420, limit: 100 });
        check(b"\x16\x03\x01\x02\x00\x01", FrameError::TooLong { command_length: 0x1603_0102, limit: 100 });
    }

    #[test]
    fn the_limit_itself_is_taken() {
        let check = |size_max, length: usize| {
            let expected = pdu(1, length - HEADER_LENGTH);
            assert_eq!(frames(&mut Deframer::new(size_max), &[&expected]).unwrap(), [expected]);
        };
        check(100, 100);
        check(16, 16);
        check(0, 16);
    }

    #[test]
    fn other_protocols_are_named() {
        let check = |octets: [u8; 4], expected| {
            let error = FrameError::TooLong { command_length: u32::from_be_bytes(octets), limit: 100 };
            assert_eq!(error.resembles(), expected);
        };
        check(*b"GET ", Some("HTTP"));
        check([0x16, 3, 1, 2], Some("TLS"));
        check([0xFF; 4], None);
    }
}
