//! The first word of a message from a handset, by which customers who share a number are told apart.

use smpp::field::DataCoding;
use smpp::text::{Encoding, gsm7, latin1, ucs2};

/// Characters of the longest keyword.
pub const KEYWORD_LENGTH_MAX: usize = 20;

/// A word as it is compared: ASCII letters small, everything else as it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    length: u8,
    octets: [u8; Self::OCTETS_MAX],
}

impl Word {
    /// UTF-8 takes at most four octets for a character.
    const OCTETS_MAX: usize = 4 * KEYWORD_LENGTH_MAX;

    /// The first word of a text, read as its data_coding says; white space before it is passed over. Nothing when
    /// there is none, when it is longer than any keyword, or when the coding stands for no text.
    pub(crate) fn first_of(data_coding: DataCoding, text: &[u8]) -> Option<Self> {
        // Vendors write the default alphabet one septet to an octet, whatever the message is to be sent as.
        match Encoding::of(data_coding, Encoding::Gsm7)? {
            Encoding::Gsm7 => Self::first_in(gsm7::chars(text)),
            Encoding::Latin1 => Self::first_in(latin1::chars(text)),
            Encoding::Ucs2 => Self::first_in(ucs2::chars(text)),
            Encoding::Gsm7Packed => None,
        }
    }

    fn first_in(characters: impl Iterator<Item = char>) -> Option<Self> {
        let word = characters.skip_while(|character| character.is_whitespace());
        Self::of(word.take_while(|character| !character.is_whitespace()))
    }

    /// These characters as a word, if they are 1 to [`KEYWORD_LENGTH_MAX`].
    fn of(characters: impl Iterator<Item = char>) -> Option<Self> {
        let mut word = Self { length: 0, octets: [0; Self::OCTETS_MAX] };
        for (place, character) in characters.enumerate() {
            if place == KEYWORD_LENGTH_MAX {
                return None;
            }
            let start = usize::from(word.length);
            let written = character.to_ascii_lowercase().encode_utf8(&mut word.octets[start..]);
            word.length += written.len() as u8;
        }
        (word.length > 0).then_some(word)
    }

    pub(crate) fn as_str(&self) -> &str {
        // Written by `encode_utf8` alone, so the default is never taken.
        core::str::from_utf8(&self.octets[..usize::from(self.length)]).unwrap_or_default()
    }
}

/// A configured keyword as it is compared. Nothing when it could never be a first word: empty, too long, or with
/// white space, a control character or U+FFFD in it, which stands for every octet without meaning.
pub(crate) fn keyword(text: &str) -> Option<Box<str>> {
    let fits = |character: char| {
        !character.is_whitespace() && !character.is_control() && character != char::REPLACEMENT_CHARACTER
    };
    if !text.chars().all(fits) {
        return None;
    }
    Word::of(text.chars()).map(|word| word.as_str().into())
}

/// Whether a text can be a keyword: 1 to [`KEYWORD_LENGTH_MAX`] characters, no white space or control character among
/// them.
pub fn is_keyword(text: &str) -> bool {
    keyword(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(data_coding: u8, text: &[u8], expected: Option<&str>) {
        let word = Word::first_of(DataCoding(data_coding), text);
        assert_eq!(word.as_ref().map(Word::as_str), expected, "{data_coding:#04x} {}", text.escape_ascii());
    }

    fn ucs2(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_be_bytes).collect()
    }

    #[test]
    fn the_first_word_is_read_in_each_coding() {
        check(0x00, b"WIN now", Some("win"));
        check(0x00, b"win", Some("win"));
        check(0x00, b" \r\n Win\nnow", Some("win"));
        check(0x00, b"\x5bPFEL x", Some("Äpfel")); // only ASCII is folded
        check(0x00, b"\x1b\x65uro x", Some("€uro")); // from the extension table
        check(0xF1, b"WIN now", Some("win")); // the class does not matter
        check(0x03, b"caf\xe9 x", Some("café"));
        check(0x03, b"CAF\xc9 x", Some("cafÉ"));
        check(0x01, b"Win", Some("win"));
        check(0x08, &ucs2("ПРИЗ 1"), Some("ПРИЗ"));
        check(0x08, &ucs2("Win\u{00a0}now"), Some("win"));
        check(0x08, &ucs2("😀 now"), Some("😀"));
    }

    #[test]
    fn where_there_is_no_word_there_is_no_keyword() {
        check(0x00, b"", None);
        check(0x00, b"  \n", None);
        check(0x00, &[b'x'; KEYWORD_LENGTH_MAX], Some(&"x".repeat(KEYWORD_LENGTH_MAX)));
        check(0x00, &[b'x'; KEYWORD_LENGTH_MAX + 1], None);
        check(0x08, &ucs2(&"😀".repeat(KEYWORD_LENGTH_MAX)), Some(&"😀".repeat(KEYWORD_LENGTH_MAX)));
        check(0x08, b"\0", None); // half a unit
        check(0x04, b"WIN now", None);
        check(0xF5, b"WIN now", None);
        check(0x06, b"WIN now", None);
    }

    #[test]
    fn keywords_are_words() {
        for (text, expected) in [
            ("Win", Some("win")),
            ("ПРИЗ", Some("ПРИЗ")),
            ("", None),
            ("two words", None),
            ("tab\t", None),
            ("\u{7}", None),
            ("\u{fffd}", None),
            ("exactly-twenty-chars", Some("exactly-twenty-chars")),
            ("twenty-one-characters", None),
        ] {
            assert_eq!(keyword(text).as_deref(), expected, "{text:?}");
            assert_eq!(is_keyword(text), expected.is_some());
        }
    }
}
