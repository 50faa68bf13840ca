//! Sends one fixed trace through one shard: the real links, sessions, shard and relay. `cargo xtask bench gate` runs it
//! under tools that count, at two lengths; the difference is what a message costs.
//!
//! ```text
//!   customer ──▶ socket ──▶ link, session ──▶ shard, relay ──▶ link, session ──▶ socket ──▶ vendor
//!      ▲            │                  mailboxes │  ▲                               │          │
//!      └── this program ── memory or TCP      store, control: this program        memory or TCP┘
//! ```
//!
//! In memory everything is one thread and the same in every run. With `--sockets` the shard has a thread of its own on
//! tokio and real sockets, so that its system calls can be counted. This program goes in step with the shard: it sends a
//! batch, and waits for all of it on the other side.
#![forbid(unsafe_code)]

mod gateway;
mod memory;
mod pdus;
mod traces;

use clap::Parser;

/// What is run.
#[derive(Parser)]
#[command(about = "Sends a fixed trace through one shard, to be measured")]
struct Arguments {
    /// Which trace
    #[arg(long, value_enum)]
    trace: traces::Trace,
    /// Messages, a multiple of the trace's batch
    #[arg(long)]
    messages: u32,
    /// On a thread of its own with real sockets, for counting system calls
    #[arg(long)]
    sockets: bool,
    /// Rounds of an empty loop that are added to each message
    #[arg(long, default_value_t = 0, hide = true)]
    inject_rounds: u64,
    /// Allocations that are added to each message
    #[arg(long, default_value_t = 0, hide = true)]
    inject_allocations: u64,
}

fn main() {
    let Arguments { trace, messages, sockets, inject_rounds, inject_allocations } = Arguments::parse();
    let injection = memory::Injection { rounds: inject_rounds, allocations: inject_allocations };
    let mut gateway = gateway::Gateway::start(sockets, trace == traces::Trace::Throttled);
    let before = memory::counts();
    trace.run(&mut gateway, messages, injection);
    let counts = memory::counts();
    println!(
        r#"{{"messages":{messages},"allocations":{},"reads":{},"writes":{}}}"#,
        counts.allocations - before.allocations,
        counts.reads - before.reads,
        counts.writes - before.writes,
    );
    gateway.end();
}
