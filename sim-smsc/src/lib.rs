//! A simulated SMSC to test against: several sites in one process, each with accounts, limits, latency, receipts,
//! messages from handsets and faults, and an exact ledger of what it took and sent.
//!
//! ```text
//!   scenario file ──▶ Scenario ──▶ Simulator::start ──▶ shard thread(s)            control thread
//!                                                       Hub ◀▶ Shell ◀▶ Site (pure)   GET /state ...
//!                                                                └──▶ sim.ledger      POST /faults
//! ```
//!
//! What it guarantees:
//!
//! * Every decision about a message is a hash of (seed, purpose, message key, attempt): the same on any bind, in
//!   any order of arrival, on one thread or many. Final states and receipt delays are the same at every site.
//! * Without a fault in the scenario nothing goes wrong: faults are off by default and `heal` ends them all.
//! * What it accepted, refused, sent, and what it could not answer stands in the ledger, also after kill -9 (up
//!   to the last second).
//! * Peer bytes never panic; every queue has a bound.

#![forbid(unsafe_code)]

mod account;
mod attempts;
mod control;
mod counters;
mod decide;
pub mod faults;
mod ids;
mod latency;
mod mo;
mod rate;
mod receipts;
mod report;
mod scenario;
mod shared;
mod shell;
mod simulator;
mod smsc;
mod states;
#[cfg(test)]
mod testing;
mod wheel;

pub use account::{AccountRule, Kinds};
pub use counters::{Counters, Tally};
pub use ids::{IdFormat, IdRule, IdStart};
pub use latency::Latency;
pub use mo::{MoForm, MoRule};
pub use rate::{Algorithm, OnExceed, RateRule, Scope};
pub use receipts::{ReceiptRule, ReceiptTlvs, Redelivery, Route};
pub use report::{SessionReport, SiteReport, Summary};
pub use scenario::{
    Behaviour, Mistake, OnFullWindow, PROFILES, ResponseRule, Scenario, ScenarioError, SessionRule, SiteSpec,
    Start, WindowRule,
};
pub use simulator::{LEDGER_FILE, RunOptions, Running, Simulator};
pub use states::{Outcome, Outcomes};
