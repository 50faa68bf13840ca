//! All that is known of SMPP here: the four header fields, and the ids of bind, submit, deliver, unbind and
//! enquire_link (SMPP 3.4 §3.2, §5.1.2).

/// Octets of a PDU header.
pub(crate) const HEADER: usize = 16;
/// Set in the command id of every response.
pub(crate) const RESPONSE: u32 = 0x8000_0000;
pub(crate) const BIND_RECEIVER: u32 = 0x01;
pub(crate) const BIND_TRANSMITTER: u32 = 0x02;
pub(crate) const SUBMIT_SM: u32 = 0x04;
pub(crate) const DELIVER_SM: u32 = 0x05;
pub(crate) const UNBIND: u32 = 0x06;
pub(crate) const BIND_TRANSCEIVER: u32 = 0x09;
pub(crate) const ENQUIRE_LINK: u32 = 0x15;
/// Highest sequence number (SMPP 3.4 §3.2).
pub(crate) const SEQUENCE_MAX: u32 = 0x7FFF_FFFF;
/// Longest PDU taken; a longer one means that we lost the framing.
pub(crate) const PDU_MAX: usize = 64 * 1024;

const AT_COMMAND: usize = 4;
const AT_STATUS: usize = 8;
pub(crate) const AT_SEQUENCE: usize = 12;

/// Big-endian `u32` at `at`.
#[inline(always)]
pub(crate) fn number(bytes: &[u8], at: usize) -> u32 {
    let mut octets = [0; 4];
    octets.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(octets)
}

/// Writes a big-endian `u32` at `at`.
#[inline(always)]
pub(crate) fn put_number(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

pub(crate) fn command(pdu: &[u8]) -> u32 {
    number(pdu, AT_COMMAND)
}

pub(crate) fn status(pdu: &[u8]) -> u32 {
    number(pdu, AT_STATUS)
}

pub(crate) fn sequence(pdu: &[u8]) -> u32 {
    number(pdu, AT_SEQUENCE)
}

pub(crate) fn next_sequence(sequence: u32) -> u32 {
    if sequence >= SEQUENCE_MAX { 1 } else { sequence + 1 }
}

/// A PDU from its parts, for everything that is not on the fast path.
pub(crate) fn pdu(command: u32, status: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + body.len());
    for field in [(HEADER + body.len()) as u32, command, status, sequence] {
        out.extend_from_slice(&field.to_be_bytes());
    }
    out.extend_from_slice(body);
    out
}

/// A bind request of any kind (SMPP 3.4 §4.1).
pub(crate) fn bind(command: u32, sequence: u32, system_id: &str, password: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for text in [system_id, password, ""] {
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    body.extend_from_slice(&[0x34, 0, 0, 0]);
    pdu(command, 0, sequence, &body)
}

/// Octets of the whole PDU at the head of `bytes`, if it is whole.
///
/// # Errors
/// A length no PDU can have: the stream cannot be followed any further.
#[inline(always)]
pub(crate) fn whole(bytes: &[u8]) -> Result<Option<usize>, BadLength> {
    if bytes.len() < 4 {
        return Ok(None);
    }
    let length = number(bytes, 0) as usize;
    if !(HEADER..=PDU_MAX).contains(&length) {
        return Err(BadLength(length));
    }
    Ok((length <= bytes.len()).then_some(length))
}

/// A command_length outside 16..=[`PDU_MAX`].
#[derive(Debug)]
pub(crate) struct BadLength(usize);

impl std::fmt::Display for BadLength {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "command_length {} is outside {HEADER}..={PDU_MAX}", self.0)
    }
}

impl std::error::Error for BadLength {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pdu_reads_back() {
        let bytes = pdu(ENQUIRE_LINK | RESPONSE, 3, 77, b"ab");
        assert_eq!(whole(&bytes).unwrap(), Some(18));
        assert_eq!((command(&bytes), status(&bytes), sequence(&bytes)), (0x8000_0015, 3, 77));
    }

    #[test]
    fn partial_pdus_wait_and_bad_lengths_are_errors() {
        let bytes = pdu(UNBIND, 0, 1, &[]);
        for cut in 0..HEADER {
            assert_eq!(whole(&bytes[..cut]).unwrap(), None, "cut at {cut}");
        }
        assert!(whole(&[0, 0, 0, 15]).is_err());
        assert!(whole(b"GET / HTTP").is_err());
    }

    #[test]
    fn sequence_numbers_wrap_to_one() {
        assert_eq!(next_sequence(SEQUENCE_MAX), 1);
        assert_eq!(next_sequence(1), 2);
    }
}
