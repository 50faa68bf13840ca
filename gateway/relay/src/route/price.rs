//! What a message costs at a vendor, in millionths of a unit of whatever currency the operator counts in.

use core::fmt;

/// Digits behind the point.
const DECIMALS: usize = 6;

/// A price in millionths.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Price(u64);

impl Price {
    /// Reads decimal text such as `0.0042`: up to six digits behind the point.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
        let is_cut = text.contains('.') && fraction.is_empty();
        if whole.is_empty() || is_cut || fraction.len() > DECIMALS || !digits(whole) || !digits(fraction) {
            return None;
        }
        let micros: u64 = format!("{fraction:0<DECIMALS$}").parse().ok()?;
        whole.parse::<u64>().ok()?.checked_mul(10_u64.pow(DECIMALS as u32))?.checked_add(micros).map(Self)
    }

    /// In millionths.
    pub const fn micros(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10_u64.pow(DECIMALS as u32);
        let text = format!("{}.{:0width$}", self.0 / unit, self.0 % unit, width = DECIMALS);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact() {
        for (text, micros) in [
            ("0.0042", Some(4_200)),
            ("0.000001", Some(1)),
            ("12", Some(12_000_000)),
            ("12.5", Some(12_500_000)),
            ("0", Some(0)),
            ("0.0000001", None),
            (".5", None),
            ("5.", None),
            ("-1", None),
            ("1e3", None),
            ("", None),
            ("99999999999999", None),
        ] {
            let price = Price::parse(text);
            assert_eq!(price.map(Price::micros), micros, "{text}");
            if let Some(price) = price {
                assert_eq!(price.to_string(), text);
            }
        }
    }
}
