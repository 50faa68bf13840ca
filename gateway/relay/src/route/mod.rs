//! Where a message may go: the longest prefix of the destination, then priority, then weight.

mod choose;
mod table;
pub(crate) mod trie;

pub use choose::Chooser;
pub(crate) use choose::mix;
pub use table::{Candidate, PlanIndex, RouteTable, VENDORS_PER_PLAN_MAX};

use crate::message::{AccountId, VendorId};
use crate::snapshot::UnknownOutcome;

/// One rule, as configured.
#[derive(Clone, Debug)]
pub struct Route {
    /// Digits that the destination begins with; empty matches all. A leading `+` is skipped.
    pub prefix: Box<str>,
    /// Only for this account; such a route wins over a general one of the same prefix.
    pub account: Option<AccountId>,
    /// Lower is tried first.
    pub priority: u32,
    /// What to do with unknown outcomes of messages that it led to a vendor; where it says nothing, the account does.
    pub unknown_outcome: Option<UnknownOutcome>,
    /// Who takes it, share by weight. Routes of one prefix, account and priority are taken together.
    pub vendors: Vec<WeightedVendor>,
}

/// A vendor and its share among its route's vendors.
#[derive(Clone, Copy, Debug)]
pub struct WeightedVendor {
    /// The vendor.
    pub vendor: VendorId,
    /// 1..=1,000,000.
    pub weight: u32,
}

/// The address without the one leading `+` that some customers write.
pub(crate) fn without_plus(digits: &[u8]) -> &[u8] {
    digits.strip_prefix(b"+").unwrap_or(digits)
}
