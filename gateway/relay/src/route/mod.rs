//! Where a message may go: the longest prefix of the destination, the customer's own routes, the conditions that hold,
//! then priority, price and weight.

mod choose;
mod conditions;
mod hours;
mod price;
mod rewrite;
mod table;
pub(crate) mod trie;

pub(crate) use choose::{Chooser, HEALTH_FULL, Standing, mix};
pub use conditions::{CampaignId, Condition, Conditions, Encoding, Encodings, RouteQuestion};
pub use hours::Hours;
pub use price::Price;
pub(crate) use rewrite::{ADDRESS_LENGTH_MAX, Addresses};
pub use rewrite::{NewAddress, Rewrite};
#[cfg(test)]
pub(crate) use table::test_plan;
pub use table::{Candidate, CandidateOrigin, PlanIndex, RouteTable, VENDORS_PER_PLAN_MAX};
pub(crate) use table::{Known, Tried};

use crate::message::{AccountId, VendorId};
use crate::snapshot::UnknownOutcome;

/// One rule, as configured.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// Digits that the destination begins with; empty matches all. A leading `+` is skipped.
    pub prefix: Box<str>,
    /// Only for this account; such a route wins over a general one of the same prefix.
    pub account: Option<AccountId>,
    /// What must hold beside; a route with more of them wins over one with fewer.
    pub conditions: Conditions,
    /// Lower is tried first.
    pub priority: u32,
    /// What to do with unknown outcomes of messages that it led to a vendor; where it says nothing, the account does.
    pub unknown_outcome: Option<UnknownOutcome>,
    /// Within its priority the cheapest vendor comes first, and weights only tell apart those of one price.
    pub cheapest: bool,
    /// What changes on the way to its vendors.
    pub rewrite: Rewrite,
    /// Who takes it, share by weight. Routes of one prefix, account, conditions and priority are taken together.
    pub vendors: Vec<WeightedVendor>,
}

/// A vendor and its share among its route's vendors.
#[derive(Clone, Copy, Debug)]
pub struct WeightedVendor {
    /// The vendor.
    pub vendor: VendorId,
    /// 1..=1,000,000.
    pub weight: u32,
    /// What a message costs there, where it is known.
    pub price: Option<Price>,
}

/// The address without the one leading `+` that some customers write.
pub(crate) fn without_plus(digits: &[u8]) -> &[u8] {
    digits.strip_prefix(b"+").unwrap_or(digits)
}
