//! What a story told, for sums and comparisons.

use crate::fault::Faults;

/// Counts of one story, or of many.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Story {
    /// A hash over everything that happened, in order.
    pub trace: u64,
    /// Things that happened.
    pub events: u64,
    /// Requests of customers and MO of vendors.
    pub messages: u64,
    /// Requests answered with status 0.
    pub accepted: u64,
    /// Requests answered with a definite no.
    pub refused: u64,
    /// Requests answered with the unknown status.
    pub unknown: u64,
    /// Receipts that vendors emitted.
    pub receipts: u64,
    /// Receipts and MO that customers took, copies included.
    pub taken: u64,
    /// Receipts and MO that a store parked.
    pub parked: u64,
    /// Receipts and MO that a store kept as orphans.
    pub orphans: u64,
    /// Receipts that a store kept until their message came.
    pub early: u64,
    /// Of those, the ones whose message came.
    pub early_served: u64,
    /// Correlations that a store kept, of which the world knows the message.
    pub correlations: u64,
    /// Receipts and MO taken by a customer on another node than the one that got them.
    pub across_nodes: u64,
    /// Submits that went through another shard.
    pub remote: u64,
    /// Second copies after unknown outcomes.
    pub retries: u64,
    /// Messages given to another vendor after an error.
    pub failovers: u64,
    /// Unknown outcomes that a receipt told.
    pub told_by_receipt: u64,
    /// Receipts that may have told one of several messages, and told none.
    pub ambiguous: u64,
    /// Records of submits.
    pub records: u64,
    /// Messages that a spool kept.
    pub spooled: u64,
    /// Messages and owed receipts that spools handed out again.
    pub handed_out: u64,
    /// Receipts that gateways wrote.
    pub own_receipts: u64,
    /// MO that customers got as one made of their parts.
    pub wholes: u64,
    /// Parts that followed others of their message to their vendor.
    pub together: u64,
    /// Submits refused because no receipt could be kept.
    pub no_room: u64,
    /// Misfortunes by kind.
    pub faults: Faults,
}

impl Story {
    /// Adds the counts of another one; the traces are mixed in order.
    pub fn add(&mut self, other: &Self) {
        self.trace = crate::random::mix(self.trace ^ other.trace);
        self.events += other.events;
        self.messages += other.messages;
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.unknown += other.unknown;
        self.receipts += other.receipts;
        self.taken += other.taken;
        self.parked += other.parked;
        self.orphans += other.orphans;
        self.early += other.early;
        self.early_served += other.early_served;
        self.correlations += other.correlations;
        self.across_nodes += other.across_nodes;
        self.remote += other.remote;
        self.retries += other.retries;
        self.failovers += other.failovers;
        self.told_by_receipt += other.told_by_receipt;
        self.ambiguous += other.ambiguous;
        self.records += other.records;
        self.spooled += other.spooled;
        self.handed_out += other.handed_out;
        self.own_receipts += other.own_receipts;
        self.wholes += other.wholes;
        self.together += other.together;
        self.no_room += other.no_room;
        self.faults.add(&other.faults);
    }
}
