//! The machine's limit: what one core can relay when it knows nothing but lengths and sequence numbers.
//!
//! `limit relay` is the yardstick, `limit drive` loads it (or a gateway) and is the SMSC behind it, `limit idle`
//! only holds binds. Each subcommand is one thread with one epoll, so a run can be pinned core by core.
//!
//! ```text
//!   core 0                 core 1                 core 0
//!   drive: N customers --> relay or gateway  -->  drive: raw SMSC
//! ```
#![forbid(unsafe_code)]

mod clock;
mod conn;
mod drive;
mod idle;
mod relay;
mod wire;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "The machine's limit: a bare relay, and the load and SMSC to drive it")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Relay PDUs between customer and upstream connections, rewriting sequence numbers
    Relay(relay::Options),
    /// Load a relay and be the SMSC behind it; verify that input equals output
    Drive(drive::Options),
    /// Open binds and hold them idle until standard input ends
    Idle(idle::Options),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Relay(options) => relay::run(&options),
        Command::Drive(options) => drive::run(&options),
        Command::Idle(options) => idle::run(&options),
    }
}
