//! What a limit is about.

/// The scopes of limits, in the order in which they are asked: the narrowest refusal is the most telling one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Scope {
    /// All messages of one customer's session.
    Bind,
    /// All messages of a customer.
    Account,
    /// All messages from one source number.
    Source,
    /// All messages of a 10DLC campaign to the networks that share a bucket.
    Campaign,
    /// All messages of a 10DLC brand in a day.
    Brand,
    /// All messages to a vendor.
    Vendor,
    /// All messages on one bind of a vendor.
    VendorBind,
}

impl Scope {
    /// True where a message over the limit waits instead of being refused: vendors are paced, not bounced.
    pub const fn is_paced(self) -> bool {
        matches!(self, Self::Vendor | Self::VendorBind)
    }

    /// The word for explanations and logs; also part of a limit's id.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Account => "customer",
            Self::Source => "number",
            Self::Campaign => "campaign",
            Self::Brand => "brand",
            Self::Vendor => "vendor",
            Self::VendorBind => "vendor_bind",
        }
    }
}
