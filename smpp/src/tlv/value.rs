//! The shapes a TLV's value can have.

use crate::error::Problem;
use crate::wire::reader::nul_within;

/// What the value of a known tag looks like (SMPP 3.4 §5.3.2). Lengths are octets of the value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Shape {
    /// No value; its presence is the message.
    Empty,
    /// An 8-bit number.
    U8,
    /// A 16-bit number.
    U16,
    /// A 32-bit number.
    U32,
    /// A C-octet string; the sizes include its NUL.
    CString {
        /// Shortest, octets.
        min: u16,
        /// Longest, octets.
        max: u16,
    },
    /// Octets.
    Octets {
        /// Shortest, octets.
        min: u16,
        /// Longest, octets.
        max: u16,
    },
}

impl Shape {
    /// Shortest and longest value, octets.
    #[inline]
    pub const fn length_range(self) -> (u16, u16) {
        match self {
            Shape::Empty => (0, 0),
            Shape::U8 => (1, 1),
            Shape::U16 => (2, 2),
            Shape::U32 => (4, 4),
            Shape::CString { min, max } | Shape::Octets { min, max } => (min, max),
        }
    }

    /// What is wrong with this value, if anything.
    #[inline]
    pub fn problem_with(self, value: &[u8]) -> Option<Problem> {
        let (min, max) = self.length_range();
        if value.len() < min as usize || value.len() > max as usize {
            return Some(Problem::TlvLength);
        }
        match self {
            Shape::CString { .. } => {
                let ends_well = nul_within(value, value.len()).is_some_and(|at| at + 1 == value.len());
                if ends_well { None } else { Some(Problem::TlvValue) }
            }
            _ => None,
        }
    }

    /// The value in this shape, where what the peer meant can be told: a number in its width, a string up to its
    /// first NUL. What is in shape stays as it is.
    pub fn mended(self, value: &[u8]) -> Option<Mended<'_>> {
        if self.problem_with(value).is_none() {
            return Some(Mended { zeros: 0, value, has_nul: false });
        }
        let (_, max) = self.length_range();
        match self {
            Shape::Empty => Some(Mended { zeros: 0, value: &[], has_nul: false }),
            Shape::U8 | Shape::U16 | Shape::U32 => {
                let digits = value.len().min(usize::from(max));
                let (beyond, kept) = value.split_at(value.len() - digits);
                let fits = !value.is_empty() && beyond.iter().all(|octet| *octet == 0);
                fits.then_some(Mended { zeros: usize::from(max) - kept.len(), value: kept, has_nul: false })
            }
            Shape::CString { .. } => {
                let length = nul_within(value, value.len()).unwrap_or(value.len());
                let fits = !value.is_empty() && length < usize::from(max);
                fits.then_some(Mended { zeros: 0, value: &value[..length], has_nul: true })
            }
            Shape::Octets { .. } => None,
        }
    }
}

/// A value brought into its shape: so many zero octets, the octets, and a NUL where one was missing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Mended<'a> {
    pub(crate) zeros: usize,
    pub(crate) value: &'a [u8],
    pub(crate) has_nul: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn check(shape: Shape, value: &[u8], expected: Option<&[u8]>) {
        let mended = shape.mended(value).map(|mended| {
            let mut octets = std::vec![0; mended.zeros];
            octets.extend_from_slice(mended.value);
            octets.extend(mended.has_nul.then_some(0));
            octets
        });
        assert_eq!(mended, expected.map(Vec::from), "{shape:?} {value:?}");
        if let Some(mended) = mended {
            assert_eq!(shape.problem_with(&mended), None);
        }
    }

    #[test]
    fn mends_what_can_be_told() {
        check(Shape::U16, b"\x05", Some(b"\x00\x05"));
        check(Shape::U16, b"\0\0\x01\x05", Some(b"\x01\x05"));
        check(Shape::U16, b"\x01\0\x05", None);
        check(Shape::U32, b"\x05", Some(b"\0\0\0\x05"));
        check(Shape::U8, b"", None);
        check(Shape::U8, b"\0\x07", Some(b"\x07"));
        check(Shape::Empty, b"\x01", Some(b""));
        let text = Shape::CString { min: 1, max: 5 };
        check(text, b"abc", Some(b"abc\0"));
        check(text, b"abc\0\0", Some(b"abc\0"));
        check(text, b"abcde", None);
        check(text, b"abcd\0", Some(b"abcd\0"));
        check(text, b"abcd\0tail", Some(b"abcd\0"));
        check(text, b"", None);
        check(Shape::Octets { min: 2, max: 3 }, b"1", None);
        check(Shape::Octets { min: 2, max: 3 }, b"123", Some(b"123"));
    }
}
