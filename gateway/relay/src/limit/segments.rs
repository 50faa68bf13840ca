//! How many short messages a submit is on the air: what carriers count.

use crate::admit::Submission;
use smpp::field::EsmClass;
use smpp::tlv::Tag;

/// Characters of a message that is sent whole, and of each part of a longer one (GSM 03.38; a header of six octets).
const SEPTETS: (usize, usize) = (160, 153);
const OCTETS: (usize, usize) = (140, 134);
/// Octets of UCS-2, two a character.
const UCS2_OCTETS: (usize, usize) = (140, 134);
/// In the default alphabet: the next octet is of its extension, and both go into one part.
const ESCAPE: u8 = 0x1B;
/// Characters of ASCII that the default alphabet has in its extension only: two septets each.
const EXTENDED: &[u8] = b"^{}\\[~]|";

/// What the octets of a text are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    /// One septet an octet, escapes written out.
    Default,
    /// One character an octet, to be put into septets by the SMSC.
    Ascii,
    Ucs2,
    Binary,
}

/// Segments of a submit; at least 1. A part that its customer made (with a header, or `sar_` TLVs) is one. A longer
/// text in one PDU counts as the parts that an SMSC has to make of it.
#[inline]
pub(crate) fn segments(submission: &Submission<'_>) -> u32 {
    let text = submission.short_message;
    let alphabet = alphabet(submission.data_coding.0);
    if !text.is_empty() && text.len() <= OCTETS.0 && alphabet != Alphabet::Ascii {
        return 1;
    }
    count(submission, alphabet)
}

fn count(submission: &Submission<'_>, alphabet: Alphabet) -> u32 {
    if submission.esm_class.0 & EsmClass::UDHI != 0
        || submission.tlvs.find_u8(Tag::SAR_TOTAL_SEGMENTS).is_some()
    {
        return 1;
    }
    let text = match submission.short_message {
        [] => submission.tlvs.find(Tag::MESSAGE_PAYLOAD).unwrap_or_default(),
        text => text,
    };
    let parts = match alphabet {
        Alphabet::Default => default_parts(text),
        Alphabet::Ascii => {
            let extended = text.iter().filter(|octet| EXTENDED.contains(octet)).count();
            parts_of(text.len() + extended, SEPTETS)
        }
        Alphabet::Ucs2 => parts_of(text.len(), UCS2_OCTETS),
        Alphabet::Binary => parts_of(text.len(), OCTETS),
    };
    parts.max(1) as u32 // a PDU of 64 KiB is some hundred
}

fn parts_of(length: usize, (whole, part): (usize, usize)) -> usize {
    if length <= whole { 1 } else { length.div_ceil(part) }
}

/// Parts of a text in the default alphabet: an escape is not cut from what it escapes.
fn default_parts(text: &[u8]) -> usize {
    if text.len() <= SEPTETS.0 {
        return 1;
    }
    let (mut parts, mut at) = (0, 0);
    while at < text.len() {
        parts += 1;
        let end = (at + SEPTETS.1).min(text.len());
        let cuts_escape = end < text.len() && text[end - 1] == ESCAPE;
        at = if cuts_escape { end - 1 } else { end };
    }
    parts
}

/// SMPP 3.4 §5.2.19. What is reserved is counted in octets, which is never fewer parts.
fn alphabet(data_coding: u8) -> Alphabet {
    match data_coding {
        0 => Alphabet::Default,
        1 | 3 => Alphabet::Ascii, // Latin-1 too: what the SMSC cannot put into septets it replaces
        8 => Alphabet::Ucs2,
        0xF0..=0xFF if data_coding & 0x04 == 0 => Alphabet::Default,
        _ => Alphabet::Binary,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use smpp::field::DataCoding;
    use smpp::pdu::SubmitSm;
    use smpp::tlv::{Tlvs, write_tlv};

    fn check(data_coding: u8, text: &[u8], expected: u32) {
        let pdu = SubmitSm { data_coding: DataCoding(data_coding), ..SubmitSm::default() };
        let what = format!("coding {data_coding}, {} octets", text.len());
        if text.len() <= 254 {
            let whole = SubmitSm { short_message: text, ..pdu };
            assert_eq!(segments(&Submission::of_submit(&whole)), expected, "{what}");
        }
        let mut tlvs = BytesMut::new();
        write_tlv(&mut tlvs, Tag::MESSAGE_PAYLOAD, text);
        let whole = SubmitSm { tlvs: Tlvs::new(&tlvs), ..pdu };
        assert_eq!(segments(&Submission::of_submit(&whole)), expected, "{what} in message_payload");
        let part = SubmitSm { esm_class: EsmClass(EsmClass::UDHI), ..whole };
        assert_eq!(segments(&Submission::of_submit(&part)), 1, "{what} with a header");
    }

    #[test]
    fn each_alphabet_has_its_limits() {
        for (coding, whole, part) in
            [(0, 160, 153), (0xF0, 160, 153), (3, 160, 153), (8, 140, 134), (4, 140, 134)]
        {
            check(coding, b"", 1);
            check(coding, &vec![b'x'; whole], 1);
            check(coding, &vec![b'x'; whole + 1], 2);
            check(coding, &vec![b'x'; 2 * part], 2);
            check(coding, &vec![b'x'; 2 * part + 1], 3);
            check(coding, &vec![b'x'; 10 * part], 10);
        }
    }

    #[test]
    fn what_is_escaped_counts_twice_and_is_not_cut() {
        check(1, &[b'{'; 80], 1);
        check(1, &[b'{'; 81], 2);
        let mut text = vec![b'x'; 306];
        check(0, &text, 2);
        text[152] = ESCAPE; // the last of the first part: it goes over with what it escapes
        check(0, &text, 3);
        text[151] = ESCAPE;
        text[152] = b'e';
        check(0, &text, 2);
    }

    #[test]
    fn parts_by_tlv_are_one_each() {
        let mut tlvs = BytesMut::new();
        write_tlv(&mut tlvs, Tag::MESSAGE_PAYLOAD, &[b'x'; 500]);
        write_tlv(&mut tlvs, Tag::SAR_TOTAL_SEGMENTS, &[2]);
        let pdu = SubmitSm { tlvs: Tlvs::new(&tlvs), ..SubmitSm::default() };
        assert_eq!(segments(&Submission::of_submit(&pdu)), 1);
    }
}
