//! The PDUs the drive sends, made once; per message only a few octets at fixed offsets change.
//!
//! The message's index stands in the text as eight hexadecimal digits, and the last four digits of the
//! destination follow from it, so the SMSC can tell every message and every changed octet.

use crate::wire::{self, put_number};

/// Octets of a whole submit_sm.
pub(super) const SUBMIT_LENGTH: usize = 150;
/// Digits of an index in the text.
pub(super) const INDEX_DIGITS: usize = 8;
/// Octets of a message id the SMSC gives: decimal, this many digits.
pub(super) const ID_DIGITS: usize = 10;
/// The id of message `i` is this plus `i`, so ids never repeat and never start with a zero.
const ID_BASE: u64 = 1_000_000_000;
/// Text octets that a receipt repeats (SMPP 3.4 Appendix B).
const RECEIPT_TEXT: usize = 20;

/// Octets before the destination's last four digits: header, service_type, source, destination's head.
const AT_DESTINATION_TAIL: usize = wire::HEADER + 1 + 2 + 12 + 2 + 7;
/// esm_class .. sm_length follow the destination's NUL.
const AT_REGISTERED: usize = AT_DESTINATION_TAIL + 4 + 1 + 3 + 2;
const AT_TEXT: usize = AT_REGISTERED + 5;
const SOURCE: &[u8] = b"12025550100";
const DESTINATION: &[u8] = b"13125550000";
const FILLER: &[u8] = b" the limit of the machine, measured with plain text ";
const TEXT_LENGTH: usize = SUBMIT_LENGTH - AT_TEXT;

const _: () = assert!(TEXT_LENGTH >= RECEIPT_TEXT && TEXT_LENGTH <= 160 && RECEIPT_TEXT > INDEX_DIGITS);

/// The submit_sm of every message, and the check that one arrived unchanged.
pub(super) struct Submit {
    bytes: [u8; SUBMIT_LENGTH],
    tails: Vec<[u8; 4]>,
}

impl Submit {
    pub(super) fn new(receipts: bool) -> Submit {
        let mut body = Vec::with_capacity(SUBMIT_LENGTH);
        body.extend_from_slice(&[0, 1, 1]);
        body.extend_from_slice(SOURCE);
        body.extend_from_slice(&[0, 1, 1]);
        body.extend_from_slice(DESTINATION);
        // NUL, then esm_class, protocol_id, priority, no times, registered_delivery, replace, coding, default id
        body.extend_from_slice(&[0, 0, 0, 0, 0, 0, u8::from(receipts), 0, 0, 0, TEXT_LENGTH as u8]);
        body.extend(std::iter::repeat_n(b'0', INDEX_DIGITS));
        body.extend(FILLER.iter().cycle().take(TEXT_LENGTH - INDEX_DIGITS));
        let mut bytes = [0; SUBMIT_LENGTH];
        bytes.copy_from_slice(&wire::pdu(wire::SUBMIT_SM, 0, 0, &body));
        let tails = (0..10_000_u32).map(digits4).collect();
        Submit { bytes, tails }
    }

    /// Appends the submit_sm of message `index`.
    #[inline(always)]
    pub(super) fn append(&self, index: u32, sequence: u32, out: &mut Vec<u8>) {
        let mut pdu = self.bytes;
        put_number(&mut pdu, wire::AT_SEQUENCE, sequence);
        pdu[AT_DESTINATION_TAIL..AT_DESTINATION_TAIL + 4].copy_from_slice(self.tail(index));
        pdu[AT_TEXT..AT_TEXT + INDEX_DIGITS].copy_from_slice(&hex(index));
        out.extend_from_slice(&pdu);
    }

    /// The index of an arrived submit_sm, or `None` when any octet but the sequence number differs.
    #[inline(always)]
    pub(super) fn index_if_unchanged(&self, pdu: &[u8]) -> Option<u32> {
        let pdu: &[u8; SUBMIT_LENGTH] = pdu.try_into().ok()?;
        let index = from_hex(&pdu[AT_TEXT..AT_TEXT + INDEX_DIGITS])?;
        let same = pdu[..wire::AT_SEQUENCE] == self.bytes[..wire::AT_SEQUENCE]
            && pdu[wire::HEADER..AT_DESTINATION_TAIL] == self.bytes[wire::HEADER..AT_DESTINATION_TAIL]
            && pdu[AT_DESTINATION_TAIL..AT_DESTINATION_TAIL + 4] == *self.tail(index)
            && pdu[AT_DESTINATION_TAIL + 4..AT_TEXT] == self.bytes[AT_DESTINATION_TAIL + 4..AT_TEXT]
            && pdu[AT_TEXT + INDEX_DIGITS..] == self.bytes[AT_TEXT + INDEX_DIGITS..];
        same.then_some(index)
    }

    #[inline(always)]
    fn tail(&self, index: u32) -> &[u8; 4] {
        &self.tails[index as usize % self.tails.len()]
    }
}

/// submit_sm_resp with an id of [`ID_DIGITS`].
#[inline(always)]
pub(super) fn append_submit_resp(index: u32, sequence: u32, out: &mut Vec<u8>) {
    const LENGTH: usize = wire::HEADER + ID_DIGITS + 1;
    let mut pdu = [0; LENGTH];
    put_number(&mut pdu, 0, LENGTH as u32);
    put_number(&mut pdu, 4, wire::SUBMIT_SM | wire::RESPONSE);
    put_number(&mut pdu, wire::AT_SEQUENCE, sequence);
    pdu[wire::HEADER..wire::HEADER + ID_DIGITS].copy_from_slice(&id_of(index));
    out.extend_from_slice(&pdu);
}

/// The deliver_sm that carries a receipt, in the text form of SMPP 3.4 Appendix B and with the TLVs
/// receipted_message_id (0x001E) and message_state (0x0427).
pub(super) struct Receipt {
    bytes: Vec<u8>,
    at_tail: usize,
    at_id: usize,
    at_index: usize,
    at_tlv: usize,
}

impl Receipt {
    pub(super) fn new() -> Receipt {
        let mut text = Vec::from(*b"id:");
        let id_in_text = text.len();
        text.extend_from_slice(&[b'0'; ID_DIGITS]);
        text.extend_from_slice(
            b" sub:001 dlvrd:001 submit date:2511220000 done date:2511220000 stat:DELIVRD err:000 text:",
        );
        let index_in_text = text.len();
        text.extend_from_slice(&[b'0'; INDEX_DIGITS]);
        text.extend_from_slice(&FILLER[..RECEIPT_TEXT - INDEX_DIGITS]);
        let mut body = Vec::from([0, 1, 1]);
        body.extend_from_slice(DESTINATION);
        let at_tail = wire::HEADER + body.len() - 4;
        body.extend_from_slice(&[0, 1, 1]);
        body.extend_from_slice(SOURCE);
        // NUL, esm_class 0x04 = receipt
        body.extend_from_slice(&[0, 4, 0, 0, 0, 0, 0, 0, 0, 0, text.len() as u8]);
        let at_text = wire::HEADER + body.len();
        body.extend_from_slice(&text);
        body.extend_from_slice(&[0x00, 0x1E, 0, ID_DIGITS as u8 + 1]);
        let at_tlv = wire::HEADER + body.len();
        body.extend_from_slice(&[0; ID_DIGITS + 1]);
        body.extend_from_slice(&[0x04, 0x27, 0, 1, 2]);
        let bytes = wire::pdu(wire::DELIVER_SM, 0, 0, &body);
        Receipt { bytes, at_tail, at_id: at_text + id_in_text, at_index: at_text + index_in_text, at_tlv }
    }

    /// Appends the receipt of message `index`.
    pub(super) fn append(&self, index: u32, sequence: u32, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let pdu = &mut out[start..];
        let id = id_of(index);
        put_number(pdu, wire::AT_SEQUENCE, sequence);
        pdu[self.at_tail..self.at_tail + 4].copy_from_slice(&digits4(index % 10_000));
        pdu[self.at_id..self.at_id + ID_DIGITS].copy_from_slice(&id);
        pdu[self.at_index..self.at_index + INDEX_DIGITS].copy_from_slice(&hex(index));
        pdu[self.at_tlv..self.at_tlv + ID_DIGITS].copy_from_slice(&id);
    }
}

/// What a customer needs of a receipt; the id may have another length than the one the SMSC gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ReceiptSeen<'a> {
    pub(super) index: u32,
    pub(super) id: &'a [u8],
}

/// Reads a receipt, or `None` when it is not one of ours: another text, or a TLV that names another id.
pub(super) fn read_receipt(pdu: &[u8]) -> Option<ReceiptSeen<'_>> {
    const AT_SM_LENGTH: usize = AT_TEXT - 1;
    let length = usize::from(*pdu.get(AT_SM_LENGTH)?);
    let text = pdu.get(AT_TEXT..AT_TEXT + length)?;
    let after_id = text.strip_prefix(b"id:")?;
    let id = &after_id[..after_id.iter().position(|octet| *octet == b' ')?];
    let index_at = length.checked_sub(RECEIPT_TEXT)?;
    let index = from_hex(&text[index_at..index_at + INDEX_DIGITS])?;
    let delivered = text.windows(13).any(|part| part == b" stat:DELIVRD");
    let named = tlv(&pdu[AT_TEXT + length..], 0x001E)?;
    (delivered && named.strip_suffix(&[0]).unwrap_or(named) == id).then_some(ReceiptSeen { index, id })
}

fn tlv(mut bytes: &[u8], tag: u16) -> Option<&[u8]> {
    while let [a, b, c, d, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*c, *d]));
        let value = rest.get(..length)?;
        if u16::from_be_bytes([*a, *b]) == tag {
            return Some(value);
        }
        bytes = &rest[length..];
    }
    None
}

/// The message id the SMSC gives to message `index`.
#[inline(always)]
pub(super) fn id_of(index: u32) -> [u8; ID_DIGITS] {
    let mut value = ID_BASE + u64::from(index);
    let mut id = [0; ID_DIGITS];
    for digit in id.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
    id
}

fn digits4(number: u32) -> [u8; 4] {
    [number / 1000, number / 100, number / 10, number].map(|value| b'0' + (value % 10) as u8)
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

#[inline(always)]
fn hex(index: u32) -> [u8; INDEX_DIGITS] {
    std::array::from_fn(|digit| HEX[(index >> (28 - 4 * digit)) as usize & 15])
}

#[inline(always)]
fn from_hex(digits: &[u8]) -> Option<u32> {
    let mut value = 0;
    for digit in digits {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'A'..=b'F' => digit - b'A' + 10,
            _ => return None,
        };
        value = value << 4 | u32::from(nibble);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submit_is_recognised_and_any_changed_octet_is_noticed() {
        let submit = Submit::new(true);
        for index in [0, 9_999, 10_000, 0xDEAD_BEEF, u32::MAX] {
            let mut pdu = Vec::new();
            submit.append(index, 42, &mut pdu);
            assert_eq!(pdu.len(), SUBMIT_LENGTH);
            assert_eq!(wire::sequence(&pdu), 42);
            assert_eq!(submit.index_if_unchanged(&pdu), Some(index));
            for at in (0..SUBMIT_LENGTH).filter(|at| !(wire::AT_SEQUENCE..wire::HEADER).contains(at)) {
                pdu[at] ^= 0x80;
                assert_eq!(submit.index_if_unchanged(&pdu), None, "octet {at}");
                pdu[at] ^= 0x80;
            }
            assert_eq!(submit.index_if_unchanged(&pdu[..SUBMIT_LENGTH - 1]), None);
        }
    }

    #[test]
    fn a_receipt_reads_back() {
        let mut pdu = Vec::new();
        Receipt::new().append(0xABCD, 7, &mut pdu);
        assert_eq!(wire::whole(&pdu).unwrap(), Some(pdu.len()));
        assert_eq!(read_receipt(&pdu), Some(ReceiptSeen { index: 0xABCD, id: b"1000043981" }));
    }

    #[test]
    fn a_receipt_whose_tlv_names_another_id_is_refused() {
        let receipt = Receipt::new();
        let mut pdu = Vec::new();
        receipt.append(5, 7, &mut pdu);
        pdu[receipt.at_tlv] = b'9';
        assert_eq!(read_receipt(&pdu), None);
        for cut in 0..pdu.len() {
            let _ = read_receipt(&pdu[..cut]);
        }
    }

    #[test]
    fn ids_are_decimal_and_differ() {
        assert_eq!(&id_of(0), b"1000000000");
        assert_eq!(&id_of(u32::MAX), b"5294967295");
    }
}
