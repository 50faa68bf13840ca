//! Long messages: a text to parts, and parts back to what belongs together.
//!
//! A part is marked by an information element in a user data header at the head of the payload (GSM 03.40
//! §9.2.3.24.1 and .8, announced by esm_class bit 0x40) or by the sar_* TLVs (SMPP 3.4 §5.3.2.22 to .24).

use bytes::BytesMut;

use super::udh::{CONCATENATION_8, CONCATENATION_16};
use super::{Encoding, Unencodable, gsm7};
use crate::tlv::{Tag, Tlvs, write_tlv};

pub use super::udh::{Element, Elements, Ports, Udh};

/// How the parts of one message are marked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Marking {
    /// User data header, information element 0x00: 8-bit reference, 6 octets. What most peers take.
    Udh8,
    /// User data header, information element 0x08: 16-bit reference, 7 octets.
    Udh16,
    /// TLVs sar_msg_ref_num, sar_total_segments, sar_segment_seqnum. Never together with a user data header
    /// of concatenation: some peers refuse both.
    Sar,
}

/// The place of one part in its message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Part {
    /// How it was marked; references of different markings are different.
    pub marking: Marking,
    /// Names the message among those between the same two addresses; below 256 with [`Marking::Udh8`].
    pub reference: u16,
    /// Number of parts, 1 to 255.
    pub total: u8,
    /// Which part this is, 1 to `total`.
    pub number: u8,
}

/// What parts of one message have in common: collect them under this.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReassemblyKey<'a> {
    /// Digits of the sender.
    pub source: &'a [u8],
    /// Digits of the receiver.
    pub destination: &'a [u8],
    /// How the parts are marked.
    pub marking: Marking,
    /// Reference of the message.
    pub reference: u16,
    /// Number of parts: a reused reference rarely has the same count.
    pub total: u8,
}

/// Which parts of a message are there. Complete by count, whatever the order of arrival.
#[derive(Clone, Debug)]
pub struct PartSet {
    total: u8,
    seen: [u64; 4],
}

/// Why a text cannot be sent in parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SplitError {
    /// The alphabet lacks a character.
    Unencodable(Unencodable),
    /// More than [`PARTS_MAX`] parts.
    TooManyParts {
        /// Parts it would take.
        parts: usize,
    },
}

/// Most parts of one message: their number is one octet.
pub const PARTS_MAX: usize = 255;

/// User data of one short message, in octets (GSM 03.40 §9.2.3.24).
pub const MESSAGE_OCTETS_MAX: usize = 140;

/// Splits `text` into parts that each fit one short message, on character boundaries only: neither an escape
/// nor a surrogate pair is ever cut. A text that fits whole is one unmarked part; so is the empty text.
pub fn split(text: &str, encoding: Encoding, marking: Marking) -> Result<Segments<'_>, SplitError> {
    let units = encoding.unit_count(text).map_err(SplitError::Unencodable)?;
    if units <= units_max(encoding, None) {
        return Ok(Segments { rest: text, encoding, marking, number: 0, total: 1 });
    }
    let capacity = units_max(encoding, Some(marking));
    let mut parts = 0;
    let mut rest = text;
    while !rest.is_empty() {
        rest = rest.split_at(prefix_length(rest, encoding, capacity)).1;
        parts += 1;
    }
    match u8::try_from(parts) {
        Ok(total) => Ok(Segments { rest: text, encoding, marking, number: 0, total }),
        Err(_) => Err(SplitError::TooManyParts { parts }),
    }
}

/// Number of parts that `text` takes; the charge for it with most vendors. 1 for the empty text.
pub fn segment_count(text: &str, encoding: Encoding, marking: Marking) -> Result<u8, SplitError> {
    split(text, encoding, marking).map(|segments| segments.total)
}

/// Units (septets, octets or 16-bit units) that one part holds: unmarked, or marked.
///
/// With sar_* TLVs the vendor's SMSC writes the header itself, so room for an 8-bit reference is left.
pub const fn units_max(encoding: Encoding, marking: Option<Marking>) -> usize {
    let header = match marking {
        None => 0,
        Some(Marking::Udh8 | Marking::Sar) => UDH8_LENGTH,
        Some(Marking::Udh16) => UDH16_LENGTH,
    };
    let octets = MESSAGE_OCTETS_MAX - header;
    match encoding {
        Encoding::Gsm7 | Encoding::Gsm7Packed => octets * 8 / 7,
        Encoding::Latin1 => octets,
        Encoding::Ucs2 => octets / 2,
    }
}

/// Iterator of [`split`]: the parts in order.
#[derive(Clone, Debug)]
pub struct Segments<'a> {
    rest: &'a str,
    encoding: Encoding,
    marking: Marking,
    number: u8,
    total: u8,
}

/// One part of a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment<'a> {
    /// The characters of this part.
    pub text: &'a str,
    /// How they become octets; all fit.
    pub encoding: Encoding,
    /// How the part is marked when there are several.
    pub marking: Marking,
    /// 1 to `total`.
    pub number: u8,
    /// Number of parts.
    pub total: u8,
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        if self.number == self.total {
            return None;
        }
        self.number += 1;
        let length = if self.total == 1 {
            self.rest.len()
        } else {
            prefix_length(self.rest, self.encoding, units_max(self.encoding, Some(self.marking)))
        };
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        let Segments { encoding, marking, number, total, .. } = *self;
        Some(Segment { text, encoding, marking, number, total })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::from(self.total - self.number);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Segments<'_> {}

impl Segment<'_> {
    /// Whether the payload begins with a user data header, so that esm_class needs bit 0x40.
    pub fn has_udh(&self) -> bool {
        self.total > 1 && self.marking != Marking::Sar
    }

    /// Appends the payload: the user data header if there is one, then the text. An 8-bit header takes the
    /// low octet of `reference`.
    pub fn write_payload(&self, reference: u16, out: &mut BytesMut) {
        let header_start = out.len();
        if self.has_udh() {
            self.part(reference).write_udh(out);
        }
        let header_bits = 8 * (out.len() - header_start);
        let written = match self.encoding {
            Encoding::Gsm7Packed => {
                // Septets begin on a septet boundary counted from the head of the header.
                let fill_bits = (7 - header_bits % 7) % 7;
                gsm7::encode_packed(self.text, fill_bits as u8, gsm7::Padding::CarriageReturn, out)
            }
            encoding => encoding.encode(self.text, out),
        };
        debug_assert_eq!(written, Ok(()), "split has checked every character");
    }

    /// Appends the sar_* TLVs, if the part is marked by them.
    pub fn write_tlvs(&self, reference: u16, out: &mut BytesMut) {
        if self.total > 1 && self.marking == Marking::Sar {
            self.part(reference).write_sar(out);
        }
    }

    fn part(&self, reference: u16) -> Part {
        let reference = if self.marking == Marking::Udh8 { reference & 0xFF } else { reference };
        Part { marking: self.marking, reference, total: self.total, number: self.number }
    }
}

impl Part {
    /// The mark of a payload, if any: its user data header where `has_udh` (esm_class bit 0x40) says that it
    /// begins with one, else the sar_* TLVs.
    pub fn find(has_udh: bool, payload: &[u8], tlvs: &Tlvs<'_>) -> Option<Part> {
        let header = if has_udh { Udh::split(payload) } else { None };
        header.and_then(|(udh, _)| udh.part()).or_else(|| Part::of_tlvs(tlvs))
    }

    /// The mark made by the three sar_* TLVs, when all are there and agree.
    pub fn of_tlvs(tlvs: &Tlvs<'_>) -> Option<Part> {
        let &[high, low] = tlvs.find(Tag::SAR_MSG_REF_NUM)? else { return None };
        let &[total] = tlvs.find(Tag::SAR_TOTAL_SEGMENTS)? else { return None };
        let &[number] = tlvs.find(Tag::SAR_SEGMENT_SEQNUM)? else { return None };
        let reference = u16::from_be_bytes([high, low]);
        Part { marking: Marking::Sar, reference, total, number }.valid()
    }

    /// The key of the message that this part belongs to.
    pub fn key<'a>(&self, source: &'a [u8], destination: &'a [u8]) -> ReassemblyKey<'a> {
        let Part { marking, reference, total, .. } = *self;
        ReassemblyKey { source, destination, marking, reference, total }
    }

    /// Appends a user data header with this one element. Nothing for [`Marking::Sar`].
    pub fn write_udh(&self, out: &mut BytesMut) {
        let [high, low] = self.reference.to_be_bytes();
        match self.marking {
            Marking::Udh8 => out.extend_from_slice(&[5, CONCATENATION_8, 3, low, self.total, self.number]),
            Marking::Udh16 => {
                out.extend_from_slice(&[6, CONCATENATION_16, 4, high, low, self.total, self.number]);
            }
            Marking::Sar => {}
        }
    }

    /// Appends the three sar_* TLVs.
    pub fn write_sar(&self, out: &mut BytesMut) {
        write_tlv(out, Tag::SAR_MSG_REF_NUM, &self.reference.to_be_bytes());
        write_tlv(out, Tag::SAR_TOTAL_SEGMENTS, &[self.total]);
        write_tlv(out, Tag::SAR_SEGMENT_SEQNUM, &[self.number]);
    }

    /// The part, unless its numbers are impossible.
    pub(super) fn valid(self) -> Option<Part> {
        (self.number >= 1 && self.number <= self.total).then_some(self)
    }
}

/// Appends the TLVs of the message that parts make up: those of its first part, without the mark of a part and its
/// text, then message_payload with all `texts` in order. False, and nothing appended, when the text is longer than
/// a TLV holds.
pub fn write_whole<'a>(
    first: &Tlvs<'_>,
    texts: impl Iterator<Item = &'a [u8]> + Clone,
    out: &mut BytesMut,
) -> bool {
    let length: usize = texts.clone().map(<[u8]>::len).sum();
    let Ok(length) = u16::try_from(length) else { return false };
    for tlv in first.iter().filter(|tlv| !BELONGS_TO_PART.contains(&tlv.tag)) {
        write_tlv(out, tlv.tag, tlv.value);
    }
    out.extend_from_slice(&Tag::MESSAGE_PAYLOAD.0.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    texts.for_each(|text| out.extend_from_slice(text));
    true
}

/// What is true of a part and not of its message.
const BELONGS_TO_PART: [Tag; 5] = [
    Tag::MESSAGE_PAYLOAD,
    Tag::SAR_MSG_REF_NUM,
    Tag::SAR_TOTAL_SEGMENTS,
    Tag::SAR_SEGMENT_SEQNUM,
    Tag::MORE_MESSAGES_TO_SEND,
];

impl PartSet {
    /// An empty set of `total` parts.
    pub fn new(total: u8) -> PartSet {
        PartSet { total, seen: [0; 4] }
    }

    /// Notes a part; false when it was there already or cannot belong to the message.
    pub fn insert(&mut self, number: u8) -> bool {
        if number == 0 || number > self.total {
            return false;
        }
        let word = &mut self.seen[usize::from(number / 64)];
        let bit = 1 << (number % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Whether this part is there.
    pub fn contains(&self, number: u8) -> bool {
        self.seen[usize::from(number / 64)] & (1 << (number % 64)) != 0
    }

    /// Whether every part is there.
    pub fn is_complete(&self) -> bool {
        self.seen.iter().map(|word| word.count_ones()).sum::<u32>() == u32::from(self.total)
    }
}

const UDH8_LENGTH: usize = 6;
const UDH16_LENGTH: usize = 7;
// Every part takes at least the widest character, so that splitting always moves on.
const _: () = assert!(units_max(Encoding::Ucs2, Some(Marking::Udh16)) >= 2);

/// Bytes of the longest head of `text` that takes at most `capacity` units.
fn prefix_length(text: &str, encoding: Encoding, capacity: usize) -> usize {
    let mut units = 0;
    for (offset, character) in text.char_indices() {
        // Counted before, so every character exists; one that did not would take one unit.
        units += encoding.units_of(character).unwrap_or(1);
        if units > capacity {
            return offset;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;

    #[test]
    fn capacities_are_the_known_ones() {
        use Encoding::{Gsm7, Gsm7Packed, Latin1, Ucs2};
        for (encoding, whole, udh8, udh16) in
            [(Gsm7, 160, 153, 152), (Gsm7Packed, 160, 153, 152), (Latin1, 140, 134, 133), (Ucs2, 70, 67, 66)]
        {
            assert_eq!(units_max(encoding, None), whole);
            assert_eq!(units_max(encoding, Some(Marking::Udh8)), udh8);
            assert_eq!(units_max(encoding, Some(Marking::Sar)), udh8);
            assert_eq!(units_max(encoding, Some(Marking::Udh16)), udh16);
        }
    }

    fn parts(text: &str, encoding: Encoding, marking: Marking) -> Vec<&str> {
        split(text, encoding, marking).unwrap().map(|segment| segment.text).collect()
    }

    #[test]
    fn pairs_are_not_cut() {
        // The escape would be septet 153.
        let text = "a".repeat(152) + "€" + &"b".repeat(10);
        let split = parts(&text, Encoding::Gsm7, Marking::Udh8);
        assert_eq!(split, ["a".repeat(152), String::from("€") + &"b".repeat(10)]);
        // The high surrogate would be unit 67.
        let text = "я".repeat(66) + "😀" + "яяя";
        let split = parts(&text, Encoding::Ucs2, Marking::Udh8);
        assert_eq!(split, ["я".repeat(66), String::from("😀яяя")]);
    }

    #[test]
    fn too_many_parts_are_refused() {
        let text = "a".repeat(153 * 255);
        assert_eq!(segment_count(&text, Encoding::Gsm7, Marking::Udh8), Ok(255));
        let text = text + "a";
        let error = SplitError::TooManyParts { parts: 256 };
        assert_eq!(segment_count(&text, Encoding::Gsm7, Marking::Udh8), Err(error));
    }

    fn payload_of(text: &str, encoding: Encoding, marking: Marking, number: usize) -> BytesMut {
        let mut out = BytesMut::new();
        split(text, encoding, marking).unwrap().nth(number - 1).unwrap().write_payload(0x1234, &mut out);
        out
    }

    #[test]
    fn payloads_carry_the_header() {
        let text = "a".repeat(200);
        let payload = payload_of(&text, Encoding::Gsm7, Marking::Udh8, 2);
        assert_eq!(&payload[..7], &[5, 0, 3, 0x34, 2, 2, b'a']);
        let payload = payload_of(&text, Encoding::Gsm7, Marking::Udh16, 1);
        assert_eq!(&payload[..8], &[6, 8, 4, 0x12, 0x34, 2, 1, b'a']);
        assert_eq!(payload.len(), 7 + 152);
        let payload = payload_of(&text, Encoding::Gsm7Packed, Marking::Udh8, 1);
        assert_eq!(payload.len(), 140);
        let mut back = String::new();
        gsm7::decode_packed(&payload[6..], 1, gsm7::Padding::CarriageReturn, &mut back);
        assert_eq!(back, "a".repeat(153));
        let payload = payload_of(&text, Encoding::Latin1, Marking::Sar, 2);
        assert_eq!(&payload[..], "a".repeat(66).as_bytes());
        assert_eq!(&payload_of("", Encoding::Gsm7, Marking::Udh8, 1)[..], b"");
    }

    #[test]
    fn sar_tlvs_are_written_and_found() {
        let text = "a".repeat(200);
        let segment = split(&text, Encoding::Latin1, Marking::Sar).unwrap().nth(1).unwrap();
        let mut out = BytesMut::new();
        segment.write_tlvs(0x1234, &mut out);
        let tlvs = [0x02, 0x0C, 0, 2, 0x12, 0x34, 0x02, 0x0E, 0, 1, 2, 0x02, 0x0F, 0, 1, 2];
        assert_eq!(&out[..], &tlvs[..]);
    }

    #[test]
    fn a_whole_message_keeps_all_but_the_marks_of_its_parts() {
        let mut part = BytesMut::new();
        write_tlv(&mut part, Tag(0x1403), b"own");
        Part { marking: Marking::Sar, reference: 7, total: 2, number: 1 }.write_sar(&mut part);
        write_tlv(&mut part, Tag::MESSAGE_PAYLOAD, b"hello ");
        write_tlv(&mut part, Tag::USER_MESSAGE_REFERENCE, &[0, 9]);
        let mut out = BytesMut::new();
        assert!(write_whole(&Tlvs::new(&part), [&b"hello "[..], b"world"].into_iter(), &mut out));
        let whole = Tlvs::new(&out);
        let found: Vec<_> = whole.iter().map(|tlv| (tlv.tag, tlv.value)).collect();
        let expected: [(Tag, &[u8]); 3] = [
            (Tag(0x1403), b"own"),
            (Tag::USER_MESSAGE_REFERENCE, &[0, 9]),
            (Tag::MESSAGE_PAYLOAD, b"hello world"),
        ];
        assert_eq!(found, expected);
        let long = [b'x'; 40_000];
        let mut none = BytesMut::new();
        assert!(!write_whole(&whole, [&long[..], &long].into_iter(), &mut none));
        assert!(none.is_empty());
    }

    #[test]
    fn a_set_is_complete_by_count() {
        let mut set = PartSet::new(255);
        for number in (2..=255).rev() {
            assert!(set.insert(number));
            assert!(!set.is_complete());
        }
        assert!(!set.insert(255));
        assert!(!set.insert(0));
        assert!(!set.contains(1) && set.contains(255));
        assert!(set.insert(1));
        assert!(set.contains(1) && set.is_complete());
        assert!(!PartSet::new(3).insert(4));
    }
}
