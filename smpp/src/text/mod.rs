//! What stands inside a message: alphabets, parts of long messages, delivery receipts, message ids.
//!
//! - [`gsm7`], [`ucs2`], [`latin1`]: one alphabet each; [`Encoding`] chooses between them.
//! - [`segment`]: a long text to parts and back (user data header or sar_* TLVs).
//! - [`receipt`]: delivery receipts, from text and from TLVs.
//! - [`message_id`]: how a vendor spells ids, and our own ids.
//!
//! Decoding takes any octets and never fails: what has no meaning becomes U+FFFD. Encoding is strict and
//! names the first character that does not fit. Nothing here allocates besides growing the buffer it was
//! given.

use alloc::string::String;

use bytes::BytesMut;

use crate::field::{Alphabet, DataCoding};

pub mod gsm7;
pub mod latin1;
pub mod message_id;
pub mod receipt;
mod receipt_date;
mod receipt_text;
pub mod segment;
pub mod ucs2;
mod udh;

/// How the characters of a message become octets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Encoding {
    /// GSM 03.38 default alphabet, one septet per octet: what most peers mean by data_coding 0.
    Gsm7,
    /// The same alphabet, eight septets in seven octets, padded with a carriage return.
    Gsm7Packed,
    /// ISO 8859-1.
    Latin1,
    /// UTF-16, high octet first: UCS-2 as peers really use it, with surrogate pairs.
    Ucs2,
}

/// A character that the alphabet does not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unencodable {
    /// The first character that does not fit.
    pub character: char,
    /// Where it begins, in bytes of the text.
    pub offset: usize,
}

impl Encoding {
    /// The encoding that a `data_coding` stands for, or `None` for binary, reserved and unsupported ones.
    ///
    /// `default` is what the peer means by its own default alphabet. US-ASCII is read as Latin-1, which
    /// contains it. The groups of GSM 03.38 mean the default alphabet as the peer writes it, where that is
    /// one of GSM 7-bit.
    pub fn of(data_coding: DataCoding, default: Encoding) -> Option<Encoding> {
        match data_coding.alphabet() {
            Alphabet::PeerDefault => Some(default),
            Alphabet::Gsm7 if default == Encoding::Gsm7Packed => Some(Encoding::Gsm7Packed),
            Alphabet::Gsm7 => Some(Encoding::Gsm7),
            Alphabet::Ascii | Alphabet::Latin1 => Some(Encoding::Latin1),
            Alphabet::Ucs2 => Some(Encoding::Ucs2),
            _ => None,
        }
    }

    /// The narrowest of GSM 7-bit and UCS-2 that holds all of `text`.
    pub fn narrowest(text: &str) -> Encoding {
        if gsm7::septet_count(text).is_ok() { Encoding::Gsm7 } else { Encoding::Ucs2 }
    }

    /// The `data_coding` to announce (SMPP 3.4 §5.2.19).
    pub const fn data_coding(self) -> DataCoding {
        match self {
            Encoding::Gsm7 | Encoding::Gsm7Packed => DataCoding::DEFAULT,
            Encoding::Latin1 => DataCoding::LATIN1,
            Encoding::Ucs2 => DataCoding::UCS2,
        }
    }

    /// Whether every character of `text` exists in this encoding; if not, the first that does not.
    pub fn fits(self, text: &str) -> Result<(), Unencodable> {
        self.unit_count(text).map(|_| ())
    }

    /// Length of `text` in units: septets, octets or 16-bit units.
    pub fn unit_count(self, text: &str) -> Result<usize, Unencodable> {
        text.char_indices().try_fold(0, |sum, (offset, character)| match self.units_of(character) {
            Some(units) => Ok(sum + units),
            None => Err(Unencodable { character, offset }),
        })
    }

    /// Units that one character takes, or `None` when the alphabet does not have it.
    pub fn units_of(self, character: char) -> Option<usize> {
        match self {
            Encoding::Gsm7 | Encoding::Gsm7Packed => gsm7::septets_of(character),
            Encoding::Latin1 => (u32::from(character) <= 0xFF).then_some(1),
            Encoding::Ucs2 => Some(character.len_utf16()),
        }
    }

    /// Appends `text`. On an error nothing was appended.
    pub fn encode(self, text: &str, out: &mut BytesMut) -> Result<(), Unencodable> {
        match self {
            Encoding::Gsm7 => gsm7::encode(text, out),
            Encoding::Gsm7Packed => gsm7::encode_packed(text, 0, gsm7::Padding::CarriageReturn, out),
            Encoding::Latin1 => latin1::encode(text, out),
            Encoding::Ucs2 => {
                ucs2::encode(text, out);
                Ok(())
            }
        }
    }

    /// Appends the characters that `octets` stand for; U+FFFD where they stand for none.
    pub fn decode(self, octets: &[u8], out: &mut String) {
        match self {
            Encoding::Gsm7 => out.extend(gsm7::chars(octets)),
            Encoding::Gsm7Packed => gsm7::decode_packed(octets, 0, gsm7::Padding::CarriageReturn, out),
            Encoding::Latin1 => out.extend(latin1::chars(octets)),
            Encoding::Ucs2 => out.extend(ucs2::chars(octets)),
        }
    }
}

/// Runs `write` per character and takes back what it wrote when one does not fit.
fn encode_each(
    text: &str,
    out: &mut BytesMut,
    mut write: impl FnMut(char, &mut BytesMut) -> bool,
) -> Result<(), Unencodable> {
    let start = out.len();
    for (offset, character) in text.char_indices() {
        if !write(character, out) {
            out.truncate(start);
            return Err(Unencodable { character, offset });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_of(data_coding: u8, expected: Option<Encoding>) {
        assert_eq!(Encoding::of(DataCoding(data_coding), Encoding::Gsm7), expected, "{data_coding:#04x}");
    }

    #[test]
    fn data_coding_names_an_encoding() {
        check_of(0x00, Some(Encoding::Gsm7));
        check_of(0x01, Some(Encoding::Latin1));
        check_of(0x02, None);
        check_of(0x03, Some(Encoding::Latin1));
        check_of(0x04, None);
        check_of(0x08, Some(Encoding::Ucs2));
        check_of(0x0A, None);
        check_of(0xC8, Some(Encoding::Gsm7));
        check_of(0xE0, Some(Encoding::Ucs2));
        check_of(0xF0, Some(Encoding::Gsm7));
        check_of(0xF5, None);
        assert_eq!(Encoding::of(DataCoding(0), Encoding::Latin1), Some(Encoding::Latin1));
    }

    #[test]
    fn what_does_not_fit_is_named_and_leaves_no_trace() {
        for (encoding, text, character, offset) in [
            (Encoding::Gsm7, "a€ç", 'ç', 4),
            (Encoding::Gsm7Packed, "ab😀", '😀', 2),
            (Encoding::Latin1, "é€", '€', 2),
        ] {
            let mut out = BytesMut::from(&b"kept"[..]);
            let error = Unencodable { character, offset };
            assert_eq!(encoding.encode(text, &mut out), Err(error));
            assert_eq!(encoding.fits(text), Err(error));
            assert_eq!(&out[..], b"kept");
        }
        assert_eq!(Encoding::Ucs2.fits("a€ç😀"), Ok(()));
    }

    #[test]
    fn the_narrowest_encoding_is_chosen() {
        assert_eq!(Encoding::narrowest("Grüße {1} €"), Encoding::Gsm7);
        assert_eq!(Encoding::narrowest("привет"), Encoding::Ucs2);
    }
}
