//! Dates of receipt texts: digits only, in three lengths, without a zone. Most vendors mean UTC.

use bytes::BytesMut;

use crate::field::time::{AbsoluteTime, TIME_LENGTH, Time};

/// How a vendor writes dates.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum DateForm {
    /// `YYMMDDhhmm`, SMPP 3.4 Appendix B.
    #[default]
    Ten,
    /// `YYMMDDhhmmss`.
    Twelve,
    /// `YYYYMMDDhhmmss`.
    Fourteen,
}

impl DateForm {
    /// Appends the date of a moment, in seconds of Unix time; nothing for one outside the years 2000 to 2099.
    pub fn write(self, unix_seconds: i64, out: &mut BytesMut) {
        let Some(time) = AbsoluteTime::from_unix_seconds(unix_seconds) else { return };
        let digits = Time::Absolute(time).write();
        match self {
            DateForm::Ten => out.extend_from_slice(&digits[..10]),
            DateForm::Twelve => out.extend_from_slice(&digits[..12]),
            DateForm::Fourteen => {
                out.extend_from_slice(b"20");
                out.extend_from_slice(&digits[..12]);
            }
        }
    }
}

/// Reads a date in any of the three forms, and `YYYYMMDDhhmm` where twelve digits make no sense with seconds.
/// Taken as UTC. `None` for anything else.
pub fn parse_date(text: &[u8]) -> Option<AbsoluteTime> {
    match text.len() {
        10 | 12 => date(text).or_else(|| date(text.strip_prefix(b"20")?)),
        14 => date(text.strip_prefix(b"20")?),
        _ => None,
    }
}

/// Reads `YYMMDDhhmm` with or without `ss` by the rules of SMPP times: the missing digits are zero, the zone
/// UTC.
fn date(digits: &[u8]) -> Option<AbsoluteTime> {
    let mut time: [u8; TIME_LENGTH] = *b"000000000000000+";
    match digits.len() {
        10 | 12 => time[..digits.len()].copy_from_slice(digits),
        _ => return None,
    }
    match Time::parse(&time)? {
        Time::Absolute(time) => Some(time),
        Time::Relative(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8], expected: Option<i64>) {
        assert_eq!(parse_date(text).map(|date| date.unix_seconds()), expected, "{text:02x?}");
    }

    #[test]
    fn dates_of_all_lengths() {
        check(b"2501020304", Some(1_735_787_040));
        check(b"250102030405", Some(1_735_787_045));
        check(b"20250102030405", Some(1_735_787_045));
        check(b"202501020304", Some(1_735_787_040)); // month 25 makes no sense
        check(b"2513020304", None);
        check(b"19990102030405", None);
        check(b"25010203", None);
        check(b"250102030R", None);
        check(b"", None);
    }

    #[test]
    fn dates_are_written_in_each_form() {
        for (form, expected) in [
            (DateForm::Ten, &b"2501020304"[..]),
            (DateForm::Twelve, b"250102030405"),
            (DateForm::Fourteen, b"20250102030405"),
        ] {
            let mut out = BytesMut::new();
            form.write(1_735_787_045, &mut out);
            assert_eq!(&out[..], expected);
        }
        let mut out = BytesMut::new();
        DateForm::Ten.write(-1, &mut out);
        assert!(out.is_empty());
    }
}
