//! ISO 8859-1: each octet is the Unicode character of the same number.

use bytes::{BufMut, BytesMut};

use super::{Unencodable, encode_each};

/// The characters of `octets`.
pub fn chars(octets: &[u8]) -> impl Iterator<Item = char> + '_ {
    octets.iter().map(|&octet| char::from(octet))
}

/// Appends `text`, one octet per character. On an error nothing was appended.
pub fn encode(text: &str, out: &mut BytesMut) -> Result<(), Unencodable> {
    encode_each(text, out, |character, out| match u8::try_from(u32::from(character)) {
        Ok(octet) => {
            out.put_u8(octet);
            true
        }
        Err(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    #[test]
    fn every_octet_survives() {
        let octets: [u8; 256] = core::array::from_fn(|index| index as u8);
        let text: String = chars(&octets).collect();
        let mut out = BytesMut::new();
        assert_eq!(encode(&text, &mut out), Ok(()));
        assert_eq!(&out[..], &octets[..]);
    }
}
