//! How vendors spell their message ids, told without the gateway's own code.

use relay::VendorMessageId;
use smpp::text::message_id::IdRule;

/// How a vendor writes one number in answers and in receipts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Spelling {
    /// Decimal in both.
    Same,
    /// Hexadecimal in the answer, decimal in the receipt.
    HexThenDecimal,
    /// Decimal in the answer, hexadecimal in the receipt, of either case.
    DecimalThenHex,
    /// Lower case in the answer, upper case in the receipt.
    OtherCase,
    /// Leading zeros in the answer only.
    ZerosThenNone,
}

impl Spelling {
    pub(crate) const ALL: [Self; 5] =
        [Self::Same, Self::HexThenDecimal, Self::DecimalThenHex, Self::OtherCase, Self::ZerosThenNone];

    /// The setting that an operator chooses for such a vendor.
    pub(crate) fn rule(self) -> IdRule {
        match self {
            Self::Same => IdRule::Raw,
            Self::HexThenDecimal => IdRule::HexToDecimal,
            Self::DecimalThenHex => IdRule::DecimalToHex,
            Self::OtherCase => IdRule::CaseFold,
            Self::ZerosThenNone => IdRule::StripZeros,
        }
    }

    pub(crate) fn in_answer(self, number: u64) -> String {
        match self {
            Self::Same | Self::DecimalThenHex => number.to_string(),
            Self::HexThenDecimal => format!("{number:x}"),
            Self::OtherCase => format!("{number:x}-{}", number % 97),
            Self::ZerosThenNone => format!("{number:012}"),
        }
    }

    pub(crate) fn in_receipt(self, number: u64) -> String {
        match self {
            Self::Same | Self::HexThenDecimal | Self::ZerosThenNone => number.to_string(),
            Self::DecimalThenHex if number.is_multiple_of(2) => format!("{number:x}"),
            Self::DecimalThenHex => format!("{number:08X}"),
            Self::OtherCase => format!("{number:X}-{}", number % 97),
        }
    }

    /// The number behind the key of a correlation, which is the form of the receipts without case and zeros.
    pub(crate) fn number_of(self, key: &VendorMessageId) -> Option<u64> {
        let text = core::str::from_utf8(key.as_bytes()).ok()?;
        match self {
            Self::Same | Self::HexThenDecimal | Self::ZerosThenNone => text.parse().ok(),
            Self::DecimalThenHex => u64::from_str_radix(text, 16).ok(),
            Self::OtherCase => u64::from_str_radix(text.split('-').next()?, 16).ok(),
        }
    }
}
