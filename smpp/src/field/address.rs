//! Addresses with their type and plan (SMPP 3.4 §5.2.5, §5.2.6, §5.2.8).

/// `*_addr_ton`, type of number (SMPP 3.4 §5.2.5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Ton(pub u8);

impl Ton {
    /// Unknown.
    pub const UNKNOWN: Ton = Ton(0);
    /// International.
    pub const INTERNATIONAL: Ton = Ton(1);
    /// National.
    pub const NATIONAL: Ton = Ton(2);
    /// Network specific.
    pub const NETWORK_SPECIFIC: Ton = Ton(3);
    /// Subscriber number.
    pub const SUBSCRIBER: Ton = Ton(4);
    /// Alphanumeric.
    pub const ALPHANUMERIC: Ton = Ton(5);
    /// Abbreviated.
    pub const ABBREVIATED: Ton = Ton(6);
}

/// `*_addr_npi`, numbering plan (SMPP 3.4 §5.2.6).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Npi(pub u8);

impl Npi {
    /// Unknown.
    pub const UNKNOWN: Npi = Npi(0);
    /// ISDN (E.163, E.164).
    pub const ISDN: Npi = Npi(1);
    /// Data (X.121).
    pub const DATA: Npi = Npi(3);
    /// Telex (F.69).
    pub const TELEX: Npi = Npi(4);
    /// Land mobile (E.212).
    pub const LAND_MOBILE: Npi = Npi(6);
    /// National.
    pub const NATIONAL: Npi = Npi(8);
    /// Private.
    pub const PRIVATE: Npi = Npi(9);
    /// ERMES.
    pub const ERMES: Npi = Npi(10);
    /// Internet (IP).
    pub const INTERNET: Npi = Npi(14);
    /// WAP client id.
    pub const WAP_CLIENT_ID: Npi = Npi(18);
}

/// An address as it stands in a PDU; the digits may be letters where the type says so.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Address<'a> {
    /// Type of number.
    pub ton: Ton,
    /// Numbering plan.
    pub npi: Npi,
    /// The address without its NUL: 20 octets at most, 64 in data_sm and alert_notification.
    pub digits: &'a [u8],
}

impl<'a> Address<'a> {
    /// An international ISDN number, the usual form of a subscriber's number.
    pub const fn international(digits: &'a [u8]) -> Self {
        Self { ton: Ton::INTERNATIONAL, npi: Npi::ISDN, digits }
    }
}
