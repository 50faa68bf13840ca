//! Names of accounts and vendors as numbers of one size. A name of up to 15 octets, which every system_id is, is kept
//! whole; of a longer one 120 bits of its hash. So no two accounts have one number, and no two vendors by chance.

use core::fmt;
use xxhash_rust::xxh3::xxh3_128;

/// Longest name that is kept whole, octets: the longest system_id of SMPP 3.4 §5.2.1.
const WHOLE_MAX: usize = 15;
/// The last octet of the number of a longer name; of others it is their length.
const IS_HASHED: u8 = 0xFF;
/// First octet of a packed number that is not a name as it is.
const NOT_A_NAME: u8 = 0xFE;

/// Octets of the longest packed number.
pub(crate) const PACKED_LENGTH_MAX: usize = 17;

/// The number of a name.
pub(crate) fn number_of(name: &[u8]) -> u128 {
    let mut octets = [0; 16];
    if name.len() <= WHOLE_MAX {
        octets[..name.len()].copy_from_slice(name);
        octets[WHOLE_MAX] = name.len() as u8;
    } else {
        octets = xxh3_128(name).to_be_bytes();
        octets[WHOLE_MAX] = IS_HASHED;
    }
    u128::from_be_bytes(octets)
}

/// The name of a number, where it was kept whole.
fn name_in(octets: &[u8; 16]) -> Option<&[u8]> {
    let (name, rest) = octets[..WHOLE_MAX].split_at_checked(usize::from(octets[WHOLE_MAX]))?;
    rest.iter().all(|octet| *octet == 0).then_some(name)
}

/// Writes a name as its length and octets, any other number as a mark and all its octets. Gives the octets used.
pub(crate) fn pack(number: u128, into: &mut [u8]) -> usize {
    let octets = number.to_be_bytes();
    match name_in(&octets) {
        Some(name) => {
            into[0] = name.len() as u8;
            into[1..1 + name.len()].copy_from_slice(name);
            1 + name.len()
        }
        None => {
            into[0] = NOT_A_NAME;
            into[1..PACKED_LENGTH_MAX].copy_from_slice(&octets);
            PACKED_LENGTH_MAX
        }
    }
}

/// Reads a packed number; gives what follows it as well. Nothing when it is cut or was never packed.
pub(crate) fn unpack(packed: &[u8]) -> Option<(u128, &[u8])> {
    let (length, rest) = packed.split_first()?;
    if *length == NOT_A_NAME {
        let (octets, rest) = rest.split_first_chunk::<16>()?;
        return Some((u128::from_be_bytes(*octets), rest));
    }
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    (name.len() <= WHOLE_MAX).then(|| (number_of(name), rest))
}

/// The last octet of what stands for a name that is not known any more.
const IS_NOBODYS: u128 = 0xFD;

/// The number of nobody, for the number that an earlier version kept; see [`older_number`].
pub(crate) const fn nobodys(older: u32) -> u128 {
    (older as u128) << 8 | IS_NOBODYS
}

/// A well mixed number of fewer bits; two names may have the same.
pub(crate) fn spread(number: u128) -> u64 {
    crate::route::mix(number as u64 ^ crate::route::mix((number >> 64) as u64))
}

/// Shows the name, or all digits of a number that has none.
pub(crate) fn show(number: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match name_in(&number.to_be_bytes()) {
        Some(name) => write!(f, "{}", name.escape_ascii()),
        None => write!(f, "#{number:032x}"),
    }
}

/// The number that earlier versions kept for a name, FNV-1a. Two names of one such number take a second to find, so
/// that it is good for reading what they wrote only.
pub const fn older_number(name: &[u8]) -> u32 {
    let mut hash = 0x811c_9dc5_u32;
    let mut at = 0;
    while at < name.len() {
        hash = (hash ^ name[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_older_number_differ() {
        for (one, other) in [
            (b"client-s1d6o", b"client-xa4s7"),
            (b"client-1eff5", b"client-ohtuk"),
            (b"client-n3vsq", b"client-0tegq"),
        ] {
            assert_eq!(older_number(one), older_number(other));
            assert_ne!(number_of(one), number_of(other));
        }
    }

    #[test]
    fn numbers_survive_packing() {
        let long = b"a vendor with a long name";
        for name in [&b""[..], b"a", b"123456789012345", long] {
            let mut packed = [0; PACKED_LENGTH_MAX];
            let length = pack(number_of(name), &mut packed);
            assert_eq!(length, if name.len() <= 15 { 1 + name.len() } else { 17 });
            assert_eq!(unpack(&packed[..length]), Some((number_of(name), &b""[..])));
            assert_eq!(unpack(&packed[..length - 1]), None);
        }
        for number in [0, 1, 7, 0xE8, 0x0103, u128::MAX, u128::MAX << 8] {
            let mut packed = [0; PACKED_LENGTH_MAX];
            let length = pack(number, &mut packed);
            assert_eq!(unpack(&packed[..length]), Some((number, &b""[..])), "{number:x}");
        }
        assert_ne!(number_of(b"a"), number_of(b"a\0"));
        assert_eq!(unpack(&[16; 17]), None, "longer than a name that is kept whole");
    }
}
