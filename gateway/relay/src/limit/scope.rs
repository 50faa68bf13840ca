//! What a limit is about.

/// The scopes of limits, in the order in which they are asked: the narrowest refusal is the most telling one.
/// This release enforces [`Scope::Account`] (refused over it) and [`Scope::VendorBind`] (paced over it).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Scope {
    /// All messages of a customer.
    Account,
    /// All messages of one customer's session.
    Bind,
    /// All messages from one source number.
    Source,
    /// All messages of a 10DLC campaign, per destination network where it is known.
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
}
