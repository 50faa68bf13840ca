//! Message ids as the simulated vendor writes them.

/// How a message id is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum IdFormat {
    /// Decimal digits.
    #[default]
    Decimal,
    /// Hexadecimal, small letters.
    Hex,
    /// Hexadecimal, capital letters.
    HexUpper,
    /// 36 characters in five groups.
    Uuid,
}

/// Where the numbers behind the ids begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum IdStart {
    /// At the Unix time in microseconds: a simulator that is started again does not give an id twice.
    #[default]
    Clock,
    /// At this number: the same ids in every run.
    Number(u64),
}

/// How a site writes its message ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct IdRule {
    /// In submit_sm_resp.
    pub format: IdFormat,
    /// In the receipt; differs from `format` at some vendors.
    pub receipt_format: IdFormat,
    /// Least number of digits of a decimal id, filled with zeros; 0 ..= 20.
    pub width: usize,
    /// First number.
    pub start: IdStart,
}

/// The text of one message id, without allocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdText {
    bytes: [u8; IdText::LENGTH_MAX],
    start: usize,
}

impl IdText {
    /// A UUID is the longest.
    const LENGTH_MAX: usize = 36;

    /// Writes `value`.
    pub(crate) fn new(value: u64, format: IdFormat, width: usize, seed: u64) -> IdText {
        let mut text = IdText { bytes: [b'0'; Self::LENGTH_MAX], start: Self::LENGTH_MAX };
        match format {
            IdFormat::Decimal => text.number(value, 10, b"0123456789"),
            IdFormat::Hex => text.number(value, 16, b"0123456789abcdef"),
            IdFormat::HexUpper => text.number(value, 16, b"0123456789ABCDEF"),
            IdFormat::Uuid => text.uuid(value, seed),
        }
        if format == IdFormat::Decimal {
            text.start = text.start.min(Self::LENGTH_MAX - width.min(WIDTH_MAX));
        }
        text
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    fn number(&mut self, mut value: u64, base: u64, digits: &[u8]) {
        loop {
            self.start -= 1;
            self.bytes[self.start] = digits[(value % base) as usize];
            value /= base;
            if value == 0 {
                return;
            }
        }
    }

    /// The first half tells the ids of a run apart, the second those of two runs; version 4 in form.
    fn uuid(&mut self, value: u64, seed: u64) {
        let mut second = [0; 16];
        second[..8].copy_from_slice(&value.to_le_bytes());
        second[8..].copy_from_slice(&seed.to_le_bytes());
        let (first, second) = (mix(value), ledger::id_hash(&second));
        let bits = (u128::from(first) << 64 | u128::from(second)) & !(0xF << 76) & !(0x3 << 62)
            | 0x4 << 76
            | 0x2 << 62;
        self.start = 0;
        let mut nibble = 32;
        for (at, character) in self.bytes.iter_mut().enumerate() {
            if matches!(at, 8 | 13 | 18 | 23) {
                *character = b'-';
                continue;
            }
            nibble -= 1;
            *character = b"0123456789abcdef"[(bits >> (nibble * 4)) as usize & 0xF];
        }
    }
}

/// Most digits that zeros are filled up to.
pub(crate) const WIDTH_MAX: usize = 20;

/// A bijection of 64 bits (splitmix's finaliser): neighbours look unlike each other, none collide.
fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ value >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: u64, format: IdFormat, width: usize, expected: &str) {
        let text = IdText::new(value, format, width, 0);
        assert_eq!(std::str::from_utf8(text.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn formats() {
        check(0, IdFormat::Decimal, 0, "0");
        check(1_234_567_890, IdFormat::Decimal, 10, "1234567890");
        check(255, IdFormat::Decimal, 10, "0000000255");
        check(255, IdFormat::Hex, 10, "ff");
        check(0xDEAD_BEEF, IdFormat::HexUpper, 0, "DEADBEEF");
        check(u64::MAX, IdFormat::Decimal, 20, "18446744073709551615");
        check(7, IdFormat::Decimal, 99, "00000000000000000007");
    }

    #[test]
    fn uuids_have_their_form_and_differ() {
        let mut seen = std::collections::HashSet::new();
        for value in 0..10_000 {
            let text = IdText::new(value, IdFormat::Uuid, 5, 9);
            let text = std::str::from_utf8(text.as_bytes()).unwrap().to_owned();
            assert_eq!(text.len(), 36);
            assert_eq!(text.as_bytes()[14], b'4');
            assert!(b"89ab".contains(&text.as_bytes()[19]));
            assert!(seen.insert(text[..18].to_owned() + &text[19..]));
        }
    }
}
