//! The GSM 7-bit default alphabet and its extension table (GSM 03.38 §6.2.1), one septet per octet or packed.
//!
//! Characters of the extension table take two septets, an escape and a code; a count of characters is
//! therefore not a count of septets.

use alloc::string::String;

use bytes::{BufMut, BytesMut};

use super::{Unencodable, encode_each};

/// What fills the last octet when seven bits are left over, which would otherwise read as one more '@'.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Padding {
    /// A carriage return (GSM 03.38 §6.1.2.3.1): a final CR on an octet boundary is padding.
    #[default]
    CarriageReturn,
    /// Zero bits, as some peers write: a final '@' on an octet boundary is padding.
    Zero,
}

/// The characters of `septets`, one septet per octet.
///
/// An escape before a code that the extension table lacks is passed over, as the standard wants of a
/// receiver; an escape before an escape or at the end becomes a space. Octets from 0x80 become U+FFFD.
pub fn chars(septets: &[u8]) -> Chars<'_> {
    Chars { septets: septets.iter() }
}

/// Appends `text`, one septet per octet. On an error nothing was appended.
pub fn encode(text: &str, out: &mut BytesMut) -> Result<(), Unencodable> {
    encode_each(text, out, |character, out| {
        let code = code_of(character);
        match code {
            ABSENT => return false,
            ESCAPED.. => out.extend_from_slice(&[ESCAPE, code & SEPTET]),
            _ => out.put_u8(code),
        }
        true
    })
}

/// Appends `text` packed, after `fill_bits` zero bits (0 to 6, to align with a user data header before it).
/// On an error nothing was appended.
pub fn encode_packed(
    text: &str,
    fill_bits: u8,
    padding: Padding,
    out: &mut BytesMut,
) -> Result<(), Unencodable> {
    let mut packer = Packer::new(fill_bits, padding);
    encode_each(text, out, |character, out| {
        let code = code_of(character);
        match code {
            ABSENT => return false,
            ESCAPED.. => {
                packer.push(ESCAPE, out);
                packer.push(code & SEPTET, out);
            }
            _ => packer.push(code, out),
        }
        true
    })?;
    packer.finish(out);
    Ok(())
}

/// Appends the characters of packed `octets`, the first `fill_bits` (0 to 6) of which are passed over.
pub fn decode_packed(octets: &[u8], fill_bits: u8, padding: Padding, out: &mut String) {
    let mut septets = BytesMut::with_capacity(octets.len() * 8 / 7);
    unpack(octets, fill_bits, padding, &mut septets);
    out.extend(chars(&septets));
}

/// Appends `septets` (one per octet; the high bit is dropped) packed, after `fill_bits` zero bits (0 to 6).
pub fn pack(septets: &[u8], fill_bits: u8, padding: Padding, out: &mut BytesMut) {
    let mut packer = Packer::new(fill_bits, padding);
    for &septet in septets {
        packer.push(septet, out);
    }
    packer.finish(out);
}

/// Appends the septets of packed `octets`, one per octet, without the padding.
///
/// SMPP gives no count of septets, so a text that really ends with the padding character on an octet boundary
/// loses it, except that a writer who follows the standard doubles a final carriage return.
pub fn unpack(octets: &[u8], fill_bits: u8, padding: Padding, out: &mut BytesMut) {
    let start = out.len();
    let mut pending = 0u32;
    let mut bits = 0u32;
    let mut skip = u32::from(fill_bits % 7);
    for &octet in octets {
        pending |= u32::from(octet) << bits;
        bits += 8;
        pending >>= skip;
        bits -= skip;
        skip = 0;
        while bits >= 7 {
            out.put_u8(pending as u8 & SEPTET);
            pending >>= 7;
            bits -= 7;
        }
    }
    let pad = match padding {
        Padding::CarriageReturn => CARRIAGE_RETURN,
        Padding::Zero => 0,
    };
    if bits == 0 && out.len() > start && out.last() == Some(&pad) {
        out.truncate(out.len() - 1);
    }
}

/// Length of `text` in septets, escapes counted.
pub fn septet_count(text: &str) -> Result<usize, Unencodable> {
    text.char_indices().try_fold(0, |sum, (offset, character)| match septets_of(character) {
        Some(septets) => Ok(sum + septets),
        None => Err(Unencodable { character, offset }),
    })
}

/// Septets that one character takes: 1, or 2 from the extension table; `None` when it is in neither table.
pub fn septets_of(character: char) -> Option<usize> {
    match code_of(character) {
        ABSENT => None,
        ESCAPED.. => Some(2),
        _ => Some(1),
    }
}

/// Iterator of [`chars`].
#[derive(Clone, Debug)]
pub struct Chars<'a> {
    septets: core::slice::Iter<'a, u8>,
}

impl Iterator for Chars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let septet = *self.septets.next()?;
        if septet != ESCAPE {
            return Some(default_char(septet));
        }
        match self.septets.next() {
            None | Some(&ESCAPE) => Some(' '),
            Some(&code) => Some(extension_char(code).unwrap_or_else(|| default_char(code))),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.septets.len();
        (left.div_ceil(2), Some(left))
    }
}

/// Writes septets into octets, low bits first.
struct Packer {
    padding: Padding,
    pending: u32,
    /// Bits that wait in `pending`; always below 8.
    bits: u32,
    last: u8,
}

impl Packer {
    fn new(fill_bits: u8, padding: Padding) -> Packer {
        Packer { padding, pending: 0, bits: u32::from(fill_bits % 7), last: 0 }
    }

    fn push(&mut self, septet: u8, out: &mut BytesMut) {
        self.last = septet & SEPTET;
        self.pending |= u32::from(self.last) << self.bits;
        self.bits += 7;
        if self.bits >= 8 {
            out.put_u8(self.pending as u8);
            self.pending >>= 8;
            self.bits -= 8;
        }
    }

    fn finish(mut self, out: &mut BytesMut) {
        let carriage_return = self.padding == Padding::CarriageReturn;
        if self.bits == 1 && carriage_return {
            self.push(CARRIAGE_RETURN, out);
        } else if self.bits > 0 {
            out.put_u8(self.pending as u8);
        } else if carriage_return && self.last == CARRIAGE_RETURN {
            // A wanted CR on the boundary would be taken for padding: it is written twice.
            out.put_u8(CARRIAGE_RETURN);
        }
    }
}

fn default_char(septet: u8) -> char {
    DEFAULT.get(usize::from(septet)).copied().unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn extension_char(code: u8) -> Option<char> {
    EXTENSION.iter().find(|(septet, _)| *septet == code).map(|(_, character)| *character)
}

/// The septet of a character, with [`ESCAPED`] set when an escape goes before it, or [`ABSENT`].
fn code_of(character: char) -> u8 {
    match CODES.get(character as usize) {
        Some(&code) => code,
        None => match character {
            'Δ' => 0x10,
            'Φ' => 0x12,
            'Γ' => 0x13,
            'Λ' => 0x14,
            'Ω' => 0x15,
            'Π' => 0x16,
            'Ψ' => 0x17,
            'Σ' => 0x18,
            'Θ' => 0x19,
            'Ξ' => 0x1A,
            '€' => ESCAPED | 0x65,
            _ => ABSENT,
        },
    }
}

const ESCAPE: u8 = 0x1B;
const CARRIAGE_RETURN: u8 = 0x0D;
const SEPTET: u8 = 0x7F;
const ESCAPED: u8 = 0x80;
/// No extension code is 0x7F, so this is free.
const ABSENT: u8 = 0xFF;

#[rustfmt::skip]
const DEFAULT: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å',
    'Δ', '_', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', ' ', 'Æ', 'æ', 'ß', 'É',
    ' ', '!', '"', '#', '¤', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/',
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?',
    '¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O',
    'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§',
    '¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à',
];

const EXTENSION: [(u8, char); 10] = [
    (0x0A, '\u{0C}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2F, '\\'),
    (0x3C, '['),
    (0x3D, '~'),
    (0x3E, ']'),
    (0x40, '|'),
    (0x65, '€'),
];

/// Codes of U+0000 to U+00FF, turned round from the two tables.
const CODES: [u8; 256] = codes();

const fn codes() -> [u8; 256] {
    let mut codes = [ABSENT; 256];
    let mut septet = 0;
    while septet < DEFAULT.len() {
        let character = DEFAULT[septet] as usize;
        if septet != ESCAPE as usize && character < codes.len() {
            codes[character] = septet as u8;
        }
        septet += 1;
    }
    let mut index = 0;
    while index < EXTENSION.len() {
        let character = EXTENSION[index].1 as usize;
        if character < codes.len() {
            codes[character] = ESCAPED | EXTENSION[index].0;
        }
        index += 1;
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tables_survive_the_round_trip() {
        let every = DEFAULT.iter().copied().chain(EXTENSION.iter().map(|(_, character)| *character));
        for character in every {
            let text = String::from(character);
            let mut out = BytesMut::new();
            assert_eq!(encode(&text, &mut out), Ok(()), "{character:?}");
            assert_eq!(out.len(), septets_of(character).unwrap(), "{character:?}");
            assert_eq!(chars(&out).collect::<String>(), text);
        }
    }

    fn check_decode(septets: &[u8], expected: &str) {
        assert_eq!(chars(septets).collect::<String>(), expected, "{septets:02x?}");
    }

    #[test]
    fn odd_septets_become_something_readable() {
        check_decode(&[0x1B, 0x65], "€");
        check_decode(&[0x1B, 0x41], "A"); // no such extension
        check_decode(&[0x1B, 0x1B, 0x41], " A");
        check_decode(&[0x41, 0x1B], "A ");
        check_decode(&[0x80, 0xFF], "\u{FFFD}\u{FFFD}");
        check_decode(&[0x1B, 0xFF], "\u{FFFD}");
    }

    fn check_packed(text: &str, fill_bits: u8, padding: Padding, octets: &[u8]) {
        let mut out = BytesMut::new();
        assert_eq!(encode_packed(text, fill_bits, padding, &mut out), Ok(()));
        assert_eq!(&out[..], octets, "{text:?}");
        let mut back = String::new();
        decode_packed(octets, fill_bits, padding, &mut back);
        assert_eq!(back, text);
    }

    #[test]
    fn packing_follows_the_standard() {
        use Padding::{CarriageReturn, Zero};
        check_packed("", 0, CarriageReturn, &[]);
        check_packed(
            "hellohello",
            0,
            CarriageReturn,
            &[0xE8, 0x32, 0x9B, 0xFD, 0x46, 0x97, 0xD9, 0xEC, 0x37],
        );
        // The carriage return stands in the gap of seven bits.
        check_packed("1234567", 0, CarriageReturn, &[0x31, 0xD9, 0x8C, 0x56, 0xB3, 0xDD, 0x1A]);
        check_packed("1234567", 0, Zero, &[0x31, 0xD9, 0x8C, 0x56, 0xB3, 0xDD, 0x00]);
        check_packed("12345678", 0, CarriageReturn, &[0x31, 0xD9, 0x8C, 0x56, 0xB3, 0xDD, 0x70]);
        check_packed("1234567@", 0, CarriageReturn, &[0x31, 0xD9, 0x8C, 0x56, 0xB3, 0xDD, 0x00]);
        check_packed("1", 1, CarriageReturn, &[0x62]);
    }

    #[test]
    fn a_wanted_final_carriage_return_is_doubled() {
        let mut out = BytesMut::new();
        assert_eq!(encode_packed("1234567\r", 0, Padding::CarriageReturn, &mut out), Ok(()));
        assert_eq!(out.len(), 8);
        let mut back = String::new();
        decode_packed(&out, 0, Padding::CarriageReturn, &mut back);
        assert_eq!(back, "1234567\r\r"); // the standard: CR CR means what CR means
    }
}
