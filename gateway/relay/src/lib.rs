//! The mind of one shard: what the gateway decides about a message. Pure: no socket, clock, thread, random
//! source or file; time and seed are arguments, inputs go in through `handle_*`, outputs come out of `poll*`.
//!
//! The life of one message, told once:
//!
//! ```text
//! customer's submit_sm                                            customer's submit_sm_resp
//!      |                                                                     ^
//!   admit (rights, window, size, validity, destination)                      |
//!   limit (bind, customer, number, ...)                        answer <- correlate (store: Remember)
//!   route (longest prefix -> plan: priority, weight)               |          ^
//!      |                                                           |          | status 0
//!   place: link with a free slot? -> Written -> vendor's answer ---+----------+
//!      |          vendor's wait queue -> Written                   |
//!      |          another shard's bind -> Written                  +-> temporary error: next vendor
//!
//! vendor's deliver_sm -> receipt? -> store: Find -> rewrite the id -> session of the account, here or on another
//!      |                                   |              |          shard -> its answer -> vendor's answer
//!      +-> MO? -> owner of the number -----|--------------+-> nobody there -> store: Park -> vendor's answer
//!                 or its first word        +-> not there (yet): wait, retry, then parked as an orphan
//! ```
//!
//! A customer whose mode is store and forward is answered once the spool has its message: `spool.rs` tells that life.
//!
//! Guarantees: one answer for each request on a surviving session; status 0 only when a vendor answered 0 (or, in
//! that other mode, when the spool has the message); a second copy only where the account's policy allows one;
//! receipts and MO only to their owner; all memory bounded by [`Limits`]; where records are wanted, exactly one for
//! each submit.

#![forbid(unsafe_code)]

mod account;
mod address_range;
mod admit;
mod arena;
mod between;
mod cdr;
mod choice;
mod circuit;
mod copies;
mod correlate;
mod counters;
mod deliver;
mod drafts;
mod early;
mod explain;
mod form;
mod forward;
mod gather;
mod gather_table;
mod handset;
mod health;
mod in_flight;
mod input;
mod keyword;
mod later_records;
mod limit;
mod live;
mod message;
mod mistake;
mod mo;
mod mutation;
mod name;
mod network;
mod node;
mod numbers;
mod older;
mod on_its_way;
mod open;
mod output;
mod own_addresses;
mod part;
mod policy;
mod receipt;
mod refusal;
mod relay;
mod resubmit;
mod route;
mod seen;
mod shard_message;
mod snapshot;
mod spool;
mod spool_op;
mod spool_pdu;
mod store_op;
mod suit;
mod together;
mod unknown;
mod unpark;
mod unresolved;
mod vendor;

pub use address_range::{AddressRange, RANGE_LENGTH_MAX, RangeError, RangePolicy};
pub use cdr::{
    DeliveryOutcome, DeliveryRecord, Number, ReceiptFacts, Record, RecordKind, ResolvedRecord, SettledRecord,
    SubmitRecord,
};
pub use circuit::{CircuitChange, CircuitRules, CircuitState};
pub use counters::{Counters, SpoolTraffic, Traffic, VendorTraffic};
pub use early::{EarlyReceipt, Tells, receipt_for};
pub use explain::{
    ExplainedVendor, Explanation, TriedOutcome, TriedRoute, VendorReason, VendorStatus, explain,
};
pub use gather_table::{MO_GATHER_MAX, MO_GATHERED_MAX, MO_GATHERED_OCTETS_MAX, MO_REMEMBER_MAX};
pub use handset::{Finding, Handset, ReceiptNumbers, choose};
pub use health::{CircuitNotice, VendorHealth};
pub use input::Arrival;
pub use keyword::{KEYWORD_LENGTH_MAX, is_keyword};
pub use limit::{
    ASKS_MAX, ATT_RULES, ATT_TRIAL, Answer, Ask, AskKind, AttRule, AttScope, Brand, Campaign, Carrier,
    CarrierRules, Grant, Holders, LEASE_LIFE, LIMITS_CONFIGURED_MAX, LIMITS_MAX, LIMITS_OCTETS,
    LeaseCounters, Leases, LimitId, LimitShown, LimitSpec, LimitTable, LimitsInput, Measure, NodeOptions,
    NodeTokens, NumberKind, Opened, PlainWord, Scope, Sizes, Slot, SourceNumber, Sources, TMOBILE_TIERS,
    Take, TokenBook, TokenPool, TokenView, WhenAway, Word, att_rule, by_minute, limits_of, pacific_day,
    tmobile_cap,
};
pub use message::{
    AccountId, DeliveryKey, HandOver, LinkKey, MessageEvent, MessageKey, MessageState, ShardIndex, VendorId,
};
#[cfg(feature = "mutations")]
pub use mutation::Mutation;
pub use name::older_number;
pub use network::{NETWORKS_MAX, Network, NetworkCode, NetworkIndex, NetworkRule, Networks};
pub use node::NodeAnswer;
pub use numbers::{KeywordRule, NumberOwners};
pub use output::Output;
pub use own_addresses::OwnAddresses;
pub use part::MoPart;
pub use refusal::{DeliveryRefusal, Refusal};
pub use relay::{Relay, RelayOptions};
pub use route::{
    CampaignId, Candidate, CandidateOrigin, Condition, Conditions, Encoding, Encodings, Hours, NewAddress,
    PlanIndex, Price, Rewrite, Route, RouteQuestion, RouteTable, VENDORS_PER_PLAN_MAX, WeightedVendor,
};
pub use shard_message::{DeliverOutcome, ShardMessage, SubmitOutcome};
pub use snapshot::{
    Account, Correlate, Deduplicate, ErrorRule, Limits, Mistake, Mode, NUMBER_LENGTH_MAX, Snapshot,
    SnapshotInput, SpoolRules, UnknownOutcome, VENDORS_MAX, Vendor,
};
pub use spool_op::{Fate, SpoolAnswer, SpoolEntry, SpoolOp, SpoolOutage, UNTIL_ITS_END};
pub use store_op::{
    Correlation, CorrelationKey, ParkedEntry, ParkedId, SAME_ID_MAX, StoreAnswer, StoreOp, StoreOutage,
    VendorMessageId,
};
pub use suit::SessionTraits;
