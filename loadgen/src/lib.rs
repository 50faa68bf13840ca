//! An open-loop SMPP load generator.
//!
//! A [`Scenario`](scenario::Scenario) says who binds, what is sent and when; [`run`] carries it out and returns an
//! [`Outcome`]: every count and latency, by phase and by second, and whether the run can be believed. Each message has
//! a key in its text, and a ledger tells what became of it; [`reconcile`] joins that ledger with the simulators' and
//! names every message and receipt that was lost, duplicated, misrouted or altered.
//!
//! ```text
//! scenario.toml ─▶ Scenario ─▶ run ─┬─▶ worker thread: Pace ─▶ Corpus ─▶ links ─▶ target
//!                                   │        └─▶ Measure, ledger
//!                                   └─▶ Outcome ─▶ reconcile ─▶ report (text, JSON, HTML)
//! ```
//!
//! Guarantees: latency counts from the moment a message was *due*, so a target that stands still cannot hide it; the
//! same seed gives the same messages at the same times on any number of threads; a run in which the generator itself
//! was late is reported as invalid, not as passed.

#![forbid(unsafe_code)]

mod by_id;
pub mod corpus;
mod machine;
pub mod measure;
pub mod null_smsc;
mod outcome;
pub mod pace;
mod progress;
mod random;
pub mod reconcile;
pub mod report;
mod run;
pub mod scenario;
pub mod threshold;
mod worker;

pub use machine::Machine;
pub use outcome::{Code, Outcome};
pub use progress::Ui;
pub use run::{OnSecond, Options, run};
