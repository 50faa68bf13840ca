//! The name of one test message, carried at the head of its text.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::str::FromStr;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Names one segment of one test message.
///
/// As text it is [`MessageKey::TEXT_LENGTH`] characters of A-Z and 0-9, which are the same octets in GSM 7-bit
/// (unpacked), ASCII and Latin-1. In UCS-2 each stands after a zero octet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct MessageKey {
    /// The run that made the message: 16 bits of the scenario, then 16 of the [instance](MessageKey::INSTANCE), so
    /// that two runs against the same simulator do not mix, not even of the same scenario.
    pub run: u32,
    /// Index of the sending account in the scenario (of the sending site for a MO).
    pub account: u16,
    /// Dense number of the message within its account, from 0.
    pub sequence: u32,
    /// Part of a long message, from 0; 0 for a message of one part.
    pub segment: u8,
}

impl MessageKey {
    /// Characters (and octets, outside UCS-2) of the text form: 88 bits of key and 32 bits of check, 5 bits each.
    pub const TEXT_LENGTH: usize = 24;

    /// Bits of `run` that tell one run of a scenario from another. Decisions ([`MessageKey::hash`]) do not depend on
    /// them: the same scenario meets the same fate each time.
    pub const INSTANCE: u32 = 0xFFFF;

    /// Writes the text form.
    pub fn write(&self, out: &mut [u8; 24]) {
        let mut bits = self.pack();
        for character in out.iter_mut().rev() {
            *character = ALPHABET[(bits & 31) as usize];
            bits >>= 5;
        }
    }

    /// Reads the text form from the head of `text`; `None` when it is not there or its check does not fit.
    pub fn parse(text: &[u8]) -> Option<MessageKey> {
        let text = text.get(..Self::TEXT_LENGTH)?;
        Self::collect(text.iter().copied())
    }

    /// Finds the key in the payload of a submit_sm or deliver_sm: skips a user data header when `esm_class` says
    /// there is one (SMPP 3.4 §5.2.12) and takes every second octet in UCS-2 (SMPP 3.4 §5.2.19).
    pub fn find(payload: &[u8], esm_class: u8, data_coding: u8) -> Option<MessageKey> {
        let text = if esm_class & ESM_CLASS_UDHI != 0 {
            let header_length = usize::from(*payload.first()?) + 1;
            payload.get(header_length..)?
        } else {
            payload
        };
        if is_ucs2(data_coding) {
            let text = text.get(..Self::TEXT_LENGTH * 2)?;
            if text.iter().step_by(2).any(|&high| high != 0) {
                return None;
            }
            return Self::collect(text.iter().skip(1).step_by(2).copied());
        }
        Self::parse(text)
    }

    /// A number that depends on nothing but the seed, what it is for, the key and how often it was asked: the same
    /// decision for a message on any route, shard or thread.
    pub fn hash(&self, seed: u64, purpose: u64, attempt: u32) -> u64 {
        let mut bytes = [0; DATA_LENGTH + 12];
        let of_scenario = MessageKey { run: self.run & !Self::INSTANCE, ..*self };
        bytes[..DATA_LENGTH].copy_from_slice(&of_scenario.data());
        bytes[DATA_LENGTH..DATA_LENGTH + 8].copy_from_slice(&purpose.to_le_bytes());
        bytes[DATA_LENGTH + 8..].copy_from_slice(&attempt.to_le_bytes());
        xxh3_64_with_seed(&bytes, seed)
    }

    fn collect(characters: impl Iterator<Item = u8>) -> Option<MessageKey> {
        let mut bits = 0u128;
        for character in characters {
            let value = VALUES[usize::from(character)];
            if value == NOT_A_VALUE {
                return None;
            }
            bits = bits << 5 | u128::from(value);
        }
        let key = Self::unpack(bits);
        (key.pack() == bits).then_some(key)
    }

    fn pack(&self) -> u128 {
        let data = self.data();
        let mut wide = [0; 16];
        wide[16 - DATA_LENGTH..].copy_from_slice(&data);
        u128::from_be_bytes(wide) << CHECK_BITS | u128::from(xxh3_64(&data) as u32)
    }

    fn unpack(bits: u128) -> MessageKey {
        let data = bits >> CHECK_BITS;
        MessageKey {
            run: (data >> 56) as u32,
            account: (data >> 40) as u16,
            sequence: (data >> 8) as u32,
            segment: data as u8,
        }
    }

    fn data(&self) -> [u8; DATA_LENGTH] {
        let mut data = [0; DATA_LENGTH];
        data[..4].copy_from_slice(&self.run.to_be_bytes());
        data[4..6].copy_from_slice(&self.account.to_be_bytes());
        data[6..10].copy_from_slice(&self.sequence.to_be_bytes());
        data[10] = self.segment;
        data
    }
}

/// The run with an instance that no other run of the same scenario is likely to have (1 in 65,535).
pub fn draw_instance(run: u32) -> u32 {
    let drawn = RandomState::new().build_hasher().finish() as u32 % MessageKey::INSTANCE;
    run & !MessageKey::INSTANCE | (drawn + 1)
}

/// The form people read and search for: `run/account/sequence.segment`, the run in hexadecimal.
impl fmt::Display for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}/{}/{}.{}", self.run, self.account, self.sequence, self.segment)
    }
}

/// Reads what people copy from a report: the form of `Display`, or the 24 characters of the text.
impl FromStr for MessageKey {
    type Err = String;

    fn from_str(text: &str) -> Result<MessageKey, String> {
        let slashed = || {
            let mut parts = text.split('/');
            let run = u32::from_str_radix(parts.next()?, 16).ok()?;
            let account = parts.next()?.parse().ok()?;
            let (sequence, segment) = match parts.next()?.split_once('.') {
                Some((sequence, segment)) => (sequence.parse().ok()?, segment.parse().ok()?),
                None => return None,
            };
            parts.next().is_none().then_some(MessageKey { run, account, sequence, segment })
        };
        let whole = || (text.len() == Self::TEXT_LENGTH).then(|| Self::parse(text.as_bytes())).flatten();
        slashed().or_else(whole).ok_or_else(|| {
            format!(
                "{text:?} is no message key: write it as run/account/sequence.segment (7d2b0001/0/15.0), or the {} \
                 characters at the head of the message's text",
                Self::TEXT_LENGTH
            )
        })
    }
}

/// UCS-2 as SMPP numbers it, and the class-bearing forms of GSM 03.38 that mean the same.
fn is_ucs2(data_coding: u8) -> bool {
    data_coding == 0x08 || (0x18..=0x1B).contains(&data_coding)
}

const ESM_CLASS_UDHI: u8 = 0x40;
const DATA_LENGTH: usize = 11;
const CHECK_BITS: u32 = 32;
const _: () = assert!(DATA_LENGTH * 8 + CHECK_BITS as usize == MessageKey::TEXT_LENGTH * 5);

/// 32 characters without I, L, O and U, which people misread.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const NOT_A_VALUE: u8 = 0xFF;
const VALUES: [u8; 256] = {
    let mut values = [NOT_A_VALUE; 256];
    let mut index = 0;
    while index < ALPHABET.len() {
        values[ALPHABET[index] as usize] = index as u8;
        index += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [MessageKey; 4] = [
        MessageKey { run: 0, account: 0, sequence: 0, segment: 0 },
        MessageKey { run: 0xDEAD_BEEF, account: 7, sequence: 123_456_789, segment: 3 },
        MessageKey { run: u32::MAX, account: u16::MAX, sequence: u32::MAX, segment: u8::MAX },
        MessageKey { run: 1, account: 2, sequence: 3, segment: 4 },
    ];

    fn text(key: MessageKey) -> [u8; 24] {
        let mut out = [0; 24];
        key.write(&mut out);
        out
    }

    #[test]
    fn written_keys_are_read_again() {
        for key in KEYS {
            let text = text(key);
            assert!(text.iter().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()));
            assert_eq!(MessageKey::parse(&text), Some(key));
        }
    }

    #[test]
    fn keys_are_read_as_people_write_them() {
        for key in KEYS {
            assert_eq!(key.to_string().parse(), Ok(key));
            assert_eq!(std::str::from_utf8(&text(key)).unwrap().parse(), Ok(key));
        }
        for wrong in ["", "1/2", "1/2/3", "x/1/2.3", "1/2/3.4/5", "1/2/3.256"] {
            assert!(wrong.parse::<MessageKey>().unwrap_err().contains("no message key"), "{wrong}");
        }
    }

    #[test]
    fn decisions_do_not_depend_on_the_instance() {
        let [one, other] = [0x0007_0001, 0x0007_BEEF].map(|run| MessageKey { run, ..KEYS[3] });
        assert_eq!(one.hash(1, 2, 3), other.hash(1, 2, 3));
        let next = MessageKey { run: 0x0008_0001, ..one };
        assert_ne!(one.hash(1, 2, 3), next.hash(1, 2, 3));
    }

    #[test]
    fn one_changed_character_is_noticed() {
        for key in KEYS {
            let text = text(key);
            for place in 0..text.len() {
                for &other in ALPHABET {
                    let mut changed = text;
                    changed[place] = other;
                    assert_eq!(MessageKey::parse(&changed).is_some(), changed == text);
                }
            }
        }
    }

    #[test]
    fn keys_are_found_in_payloads() {
        let key = KEYS[1];
        let plain = [&text(key)[..], b" and more"].concat();
        let ucs2: Vec<u8> = plain.iter().flat_map(|&c| [0, c]).collect();
        let udh = [5, 0, 3, 9, 2, 1];
        let check = |payload: &[u8], esm_class, data_coding, expected| {
            assert_eq!(MessageKey::find(payload, esm_class, data_coding), expected);
        };
        check(&plain, 0, 0, Some(key));
        check(&plain, 0, 3, Some(key));
        check(&ucs2, 0, 8, Some(key));
        check(&[&udh[..], &plain].concat(), 0x40, 0, Some(key));
        check(&[&udh[..], &ucs2].concat(), 0x43, 8, Some(key));
        check(&plain, 0x40, 0, None);
        check(&plain, 0, 8, None);
        check(&ucs2[..47], 0, 8, None);
        check(&plain[..23], 0, 0, None);
        check(&[], 0x40, 8, None);
        check(&[200, 1, 2], 0x40, 0, None);
        check(b"id:123 sub:001 dlvrd:001 submit date", 0, 0, None);
    }

    #[test]
    fn hash_depends_on_every_argument() {
        let key = KEYS[3];
        let base = key.hash(1, 2, 3);
        assert_eq!(base, key.hash(1, 2, 3));
        assert_ne!(base, key.hash(2, 2, 3));
        assert_ne!(base, key.hash(1, 3, 3));
        assert_ne!(base, key.hash(1, 2, 4));
        assert_ne!(base, KEYS[0].hash(1, 2, 3));
    }
}
