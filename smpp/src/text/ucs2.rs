//! UCS-2 as it is used: UTF-16, high octet first, with surrogate pairs for what lies beyond U+FFFF.

use bytes::BytesMut;

/// The characters of `octets`. A lone surrogate becomes U+FFFD; an odd last octet is not looked at.
pub fn chars(octets: &[u8]) -> impl Iterator<Item = char> + '_ {
    let units = octets.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
}

/// Appends `text`, two octets per 16-bit unit. Every character fits.
pub fn encode(text: &str, out: &mut BytesMut) {
    out.reserve(text.len());
    for unit in text.encode_utf16() {
        out.extend_from_slice(&unit.to_be_bytes());
    }
}

/// Length of `text` in 16-bit units.
pub fn unit_count(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn check(octets: &[u8], expected: &str) {
        assert_eq!(chars(octets).collect::<String>(), expected, "{octets:02x?}");
    }

    #[test]
    fn octets_become_characters() {
        check(&[], "");
        check(&[0x00, 0x41, 0x20, 0xAC], "A€");
        check(&[0xD8, 0x3D, 0xDE, 0x00], "😀");
        check(&[0x00, 0x41, 0x42], "A"); // odd count
        check(&[0x42], "");
        check(&[0xD8, 0x3D, 0x00, 0x41], "\u{FFFD}A"); // high surrogate alone
        check(&[0xDE, 0x00], "\u{FFFD}"); // low surrogate alone
    }

    #[test]
    fn characters_become_octets() {
        let mut out = BytesMut::new();
        encode("A😀", &mut out);
        assert_eq!(&out[..], &[0x00, 0x41, 0xD8, 0x3D, 0xDE, 0x00]);
        assert_eq!(unit_count("A😀"), 3);
    }
}
