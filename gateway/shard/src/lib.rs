//! The data plane: one core's loop and everything it owns.
//!
//! ```text
//!            accept (shard 0)                 control thread              store thread
//!                 │ greeting                  ▲ Notice   │ Directive      ▲ StoreOp  │ StoreAnswer
//!                 ▼ placement                 │          ▼                │          ▼
//!   ┌──────────────────────────────── shard i: one pinned executor ───────────────────────────┐
//!   │ customers' links ──▶ ingress ─┐                               ┌─▶ egress ──▶ vendors' links │
//!   │ vendors' links   ──▶ egress  ─┼─▶ relay (pure): handle ─ poll ┼─▶ ingress ─▶ customers'     │
//!   │ mailboxes, ticks ─────────────┘                               └─▶ mailboxes, store, notices │
//!   └──────────────────────────────────────────────────────────────────────────────────────┘
//!                 ▲ Mail, in batches, one wake-up each                    other shards
//! ```
//!
//! A shard owns its sessions, its part of the vendors' binds, its relay and its counters; nothing that is
//! written is shared with another thread. It never waits for another shard, the store or control: a full
//! mailbox is a refusal or a backlog with a bound.
#![forbid(unsafe_code)]

mod app;
mod backlog;
mod bind_wait;
mod binds;
mod directive;
mod egress;
mod ending;
mod ingress;
pub mod limits;
mod listen;
mod live;
mod mail;
mod node_proof;
mod nodes;
mod options;
mod outputs;
mod placement;
mod pool;
mod records;
mod refusal_log;
mod report;
mod shard;
mod slots;
mod traits;

pub use bind_wait::refuse_after;
pub use binds::BindSlots;
pub use directive::{BindAnswer, BindQuestion, Directive, Notice, Ticket};
pub use ingress::BindRefusal;
pub use mail::{Mail, Post, mesh};
pub use node_proof::{NODE_SYSTEM_ID, NodeSecret};
pub use nodes::{NODE_UNKNOWN, NODE_UNSENT};
pub use options::{
    AddressSlot, BindKinds, CustomerOptions, Plan, Secret, ShardOptions, VendorOptions, address_slot,
};
pub use placement::home_shard;
pub use pool::{AtomicWord, NodePool, node_pool};
pub use records::{
    QueriedState, Query, QueryAnswer, RECORD_MAILBOX, RecordPort, RecordWord, WAITING_RECORDS_MAX, WhenFull,
};
pub use refusal_log::RefusalLog;
pub use report::{
    HealthTally, LATENCY_BOUNDS_US, Latency, LinkTally, RecordTally, ReportSlot, ShardReport, VendorReport,
    report_slot,
};
pub use shard::{Listening, ShardParts, run_shard};
pub use slots::{SlotHolder, SlotLease, SlotTable, SlotsPort, SlotsReport};
