//! `address_range` of a customer's bind: which destinations of MO its session serves (SMPP 3.4 §5.2.7).

use core::fmt;
use regex_lite::{Regex, RegexBuilder};

/// Octets of a pattern at most: its field has 40 (SMPP 3.4 §5.2.7), and some peers fill it.
pub const RANGE_LENGTH_MAX: usize = smpp::limits::ADDRESS_RANGE_SIZE_MAX - 1;
/// What a compiled pattern may take, octets: forty plain characters take some 2 KiB, repetitions of repetitions more
/// than any memory.
const COMPILED_OCTETS_MAX: usize = 16 * 1024;
/// Groups within groups at most.
const NESTED_MAX: u32 = 10;

/// What a customer's address ranges are good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RangePolicy {
    /// Nothing: many clients fill the field with what their vendor once asked for.
    #[default]
    Ignore,
    /// MO go to a session whose range has their destination, else to any.
    Prefer,
    /// MO go to no session whose range has not their destination.
    Require,
}

/// A compiled pattern: a regular expression as SMPP 3.4 Appendix A has them, found anywhere in the address unless `^` and
/// `$` say where. Matching takes time in proportion to pattern and address.
#[derive(Clone)]
pub struct AddressRange {
    pattern: Box<str>,
    regex: Regex,
}

/// Why a pattern is none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RangeError(Box<str>);

impl AddressRange {
    /// Reads the field of a bind; nothing where it is empty, which means every address.
    ///
    /// # Errors
    /// That it is no regular expression, or one that costs too much.
    pub fn new(field: &[u8]) -> Result<Option<AddressRange>, RangeError> {
        let wrong = |why: &dyn fmt::Display| RangeError(why.to_string().into());
        if field.is_empty() {
            return Ok(None);
        }
        if field.len() > RANGE_LENGTH_MAX {
            return Err(wrong(&"it is longer than 40 octets"));
        }
        let pattern = core::str::from_utf8(field).map_err(|error| wrong(&error))?;
        // A number with its plus is what most mean; as an expression it is none.
        let expression = match pattern.strip_prefix('+') {
            Some(number) => number,
            None => pattern,
        };
        let mut builder = RegexBuilder::new(expression);
        builder.size_limit(COMPILED_OCTETS_MAX).nest_limit(NESTED_MAX);
        let regex = builder.build().map_err(|error| wrong(&error))?;
        Ok(Some(AddressRange { pattern: pattern.into(), regex }))
    }

    /// Whether an address is in the range; a leading plus counts as there and as not there.
    pub fn has(&self, address: &[u8]) -> bool {
        let Ok(address) = core::str::from_utf8(address) else { return false };
        self.regex.is_match(address)
            || address.strip_prefix('+').is_some_and(|digits| self.regex.is_match(digits))
    }

    /// As its customer wrote it.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }
}

impl fmt::Debug for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AddressRange").field(&self.pattern).finish()
    }
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RangeError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, address: &str, expected: bool) {
        let range = AddressRange::new(pattern.as_bytes()).unwrap().unwrap();
        assert_eq!(range.has(address.as_bytes()), expected, "{pattern} and {address}");
        assert_eq!(range.pattern(), pattern);
    }

    #[test]
    fn addresses_are_found_by_patterns() {
        check("12025550100", "12025550100", true);
        check("+12025550100", "12025550100", true);
        check("12025550100", "+12025550100", true);
        check("12025550100", "12025550101", false);
        check("^1202", "12025550100", true);
        check("^1202", "11202", false);
        check("^(1202|44)", "447700900123", true);
        check("0100$", "12025550100", true);
        check("^[0-9]{5}$", "44123", true);
        check("^[0-9]{5}$", "441234", false);
    }

    #[test]
    fn patterns_are_bounded() {
        assert!(AddressRange::new(b"").unwrap().is_none());
        for pattern in ["*", "(", "[", "(((a{99}){99}){99}){99}", "\\p{Greek}", &"1".repeat(41)] {
            assert!(AddressRange::new(pattern.as_bytes()).is_err(), "{pattern}");
        }
        assert!(AddressRange::new(b"\xff").is_err());
        assert!(AddressRange::new(&[b'1'; 40]).is_ok());
    }
}
