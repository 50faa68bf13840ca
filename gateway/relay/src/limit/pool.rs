//! What a shard sees of the node's tokens.

use super::spec::LimitSpec;
use core::fmt;
use smpp::time::Instant;

/// The place of a limit in the node's table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot(pub u32);

/// A limit as the pool knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opened {
    /// Where it is.
    pub slot: Slot,
    /// What to take at a time; at least 1.
    pub chunk: u32,
    /// No message can ever get more.
    pub need_max: u32,
}

/// A wish for tokens. `need <= wanted`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Take {
    /// What the shard still has of this limit.
    pub held: u32,
    /// Of which day these are; 0 for limits by the second.
    pub epoch: u32,
    /// Less is of no use.
    pub need: u32,
    /// What the shard would like to have, with what it has.
    pub wanted: u32,
    /// Now.
    pub now: Instant,
    /// Today, in days of Los Angeles since 1970.
    pub day: u32,
}

/// What the shard has after its wish, `need` or more, or what is left of what it had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grant {
    /// All that it has of this limit now.
    pub tokens: u32,
    /// Of which day they are; 0 for limits by the second.
    pub epoch: u32,
    /// When it must ask again even if some are left.
    pub until: Instant,
}

/// The node's tokens, shared by its shards. Called only when a shard's own are short, and when it is idle.
pub trait TokenPool: fmt::Debug {
    /// Finds the limit, or makes room for it; its figures are those in force from now on, and what was taken stays
    /// taken. Nothing when the table is full.
    fn open(&mut self, spec: &LimitSpec) -> Option<Opened>;

    /// Takes tokens. Never waits.
    fn take(&mut self, slot: Slot, take: Take) -> Grant;

    /// Takes back what a shard did not need.
    fn give_back(&mut self, slot: Slot, tokens: u32, epoch: u32);
}
