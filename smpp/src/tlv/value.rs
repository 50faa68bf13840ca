//! The shapes a TLV's value can have.

use crate::error::Problem;

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
    pub const fn problem_with(self, value: &[u8]) -> Option<Problem> {
        let (min, max) = self.length_range();
        if value.len() < min as usize || value.len() > max as usize {
            return Some(Problem::TlvLength);
        }
        match (self, value.last()) {
            (Shape::CString { .. }, Some(0)) => None,
            (Shape::CString { .. }, _) => Some(Problem::TlvValue),
            _ => None,
        }
    }
}
