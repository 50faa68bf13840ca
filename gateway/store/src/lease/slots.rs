//! Bind slots: a vendor that allows so many binds to all nodes together has so many slots, and a node binds only on the
//! slots that it holds.
//!
//! ```text
//!   Keeper (pure): what this node holds, until when  --Ask-->    Client: one script, once a round
//!     ^ closed links          | table for the shards <--Reply--  (slots.lua, on Redis)
//! ```
//!
//! What keeps a vendor from seeing more binds than it allows (`docs/decisions/0020-bind-slots.md` has the argument,
//! `tests.rs` tries it on a virtual clock, `contract.rs` compares the script with the tests' model of it):
//! * A lease ends for its holder before it ends at the server: the holder counts its life from before it asked, and has
//!   closed its link when two thirds of that are over. A clock may be off by what is left, a third of a life.
//! * A slot whose holder gave it back, its link closed, is free at once. One that lapsed is free after a grace.
//! * While leases may have been lost (no table, another server, a clock that jumped) no slot changes hands for a life and
//!   a grace. Who holds one goes on.
//! * Each holding has a fencing number, higher than any before it, so that a late word about an earlier one is known.

mod client;
#[cfg(test)]
mod contract;
mod keeper;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub use client::{AskError, SlotClient};
pub use keeper::{Keeper, KeeperCounters, MyLease, SlotView, VendorView, Whose};

use relay::VendorId;
use std::time::Duration;

/// Slots of one vendor at most; one round of a node reads and writes all of them, some 40 octets each.
pub const SLOTS_MAX: u32 = 1000;
/// A round is asked after this part of a lease's life, so that four may fail in a row before links are ended.
pub const ROUNDS_PER_LIFE: u32 = 6;

/// What a node that no longer hears from Redis does with the slots that it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WhenAway {
    /// Ends their links before the leases lapse; other nodes then take the slots.
    #[default]
    Release,
    /// Goes on with them, and nobody ever takes them over: they are free again when the node gives them back, or when
    /// another life of the same node asks.
    Keep,
}

/// How slots are leased. The same on all nodes.
#[derive(Clone, Debug)]
pub struct SlotRules {
    /// This node's number.
    pub node: u8,
    /// Names this life of it.
    pub life_tag: u64,
    /// Where other nodes reach its SMPP port.
    pub address: String,
    /// Life of a lease.
    pub life: Duration,
    /// How long a lapsed slot stays untaken, in which the vendor notices that its old link is dead.
    pub grace: Duration,
    /// How long one node must have had more than its share, and another less, before a slot is handed over.
    pub patience: Duration,
    /// What happens when Redis is away.
    pub when_away: WhenAway,
}

impl SlotRules {
    /// How this life of this node is called in Redis; in the order of the node's numbers.
    pub fn member(&self) -> String {
        format!("{:03}.{:016x}", self.node, self.life_tag)
    }

    /// Time from a round to the next.
    pub fn round(&self) -> Duration {
        self.life / ROUNDS_PER_LIFE
    }
}

/// One holding of a slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Hold {
    /// Which slot.
    pub slot: u32,
    /// The number of the holding.
    pub fence: u64,
}

/// What a node says of one vendor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VendorAsk {
    /// Which.
    pub vendor: VendorId,
    /// Its slots.
    pub total: u32,
    /// Whether the node wants a share: not while it ends.
    pub takes: bool,
    /// Grows with every question of this life: one that comes late is known by it.
    pub turn: u64,
    /// What it holds and goes on with.
    pub held: Vec<Hold>,
    /// What it gives back; the links are closed.
    pub released: Vec<Hold>,
}

/// Whose a slot is, as the server says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SlotOwner {
    /// Nobody's, or its holder is silent.
    Nobody,
    /// The asker's; `give_up`: it shall be given back.
    Mine {
        /// Whether to end its link and give it back.
        give_up: bool,
    },
    /// Another node's.
    Other {
        /// That node's number.
        node: u8,
        /// Where it is reached.
        address: String,
    },
}

/// One slot in a reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlotReply {
    /// Which, and the number of its newest holding.
    pub hold: Hold,
    /// Whose.
    pub owner: SlotOwner,
}

/// The server's word on one vendor.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VendorReply {
    /// How long no slot changes hands from now on.
    pub closed_for: Duration,
    /// Its slots that were ever held, in order.
    pub slots: Vec<SlotReply>,
}
