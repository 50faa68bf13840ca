//! How much may go through. The tokens of a limit exist once in the whole gateway:
//!
//! ```text
//!   cell (a shard, plain numbers) <-chunks- pool (a node, one word a limit) <-leases- Redis, or the disk for a day's cap
//!   limiter.rs                              node.rs                                   lease.rs
//! ```
//!
//! They are taken before use, so that in any interval of `t` seconds no more than `rate * t + burst` messages pass, all
//! nodes together. `spec.rs` divides the burst among those who hold tokens; `docs/decisions/0019-limits.md` has the reasons.

mod bucket;
mod carriers;
mod lease;
mod limiter;
mod node;
mod pacific;
mod pool;
mod scope;
mod segments;
mod sources;
mod spec;
mod table;

pub use carriers::{
    ATT_RULES, ATT_TRIAL, AttRule, AttScope, Carrier, CarrierRules, TMOBILE_TIERS, att_rule, by_minute,
    tmobile_cap,
};
pub use lease::{ASKS_MAX, Answer, Ask, AskKind, LeaseCounters, Leases};
pub use node::{
    LEASE_LIFE, LIMITS_MAX, LIMITS_OCTETS, NodeOptions, NodeTokens, PlainWord, TokenBook, TokenView, Word,
};
pub use pacific::pacific_day;
pub use pool::{Grant, Opened, Slot, Take, TokenPool};
pub use scope::Scope;
pub use sources::Sources;
pub use spec::{Holders, LimitId, LimitSpec, Measure, Sizes, WhenAway};
pub use table::{
    Brand, Campaign, LIMITS_CONFIGURED_MAX, LimitShown, LimitTable, LimitsInput, NumberKind, SourceNumber,
    limits_of,
};

pub(crate) use bucket::Bucket;
pub(crate) use limiter::{Charges, Limiter, own_pool};
pub(crate) use segments::segments;
pub(crate) use table::NO_LIMIT;
