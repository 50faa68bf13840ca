//! The relay's face: sequencing only, each rule stands in its own file.

use crate::counters::{Counters, VendorTraffic};
use crate::input::Arrival;
use crate::message::{AccountId, DeliveryKey, LinkKey, MessageKey, ShardIndex, VendorId};
use crate::output::Output;
use crate::shard_message::ShardMessage;
use crate::snapshot::Snapshot;
use crate::store_op::{StoreAnswer, StoreOp};
use smpp::field::CommandStatus;
use smpp::pdu::{BindKind, DataSm, DeliverSm, SubmitSm};
use smpp::time::Instant;
use smpp::wire::Frame;
use std::collections::VecDeque;
use std::sync::Arc;

/// What a relay is told once.
#[derive(Clone, Copy, Debug)]
pub struct RelayOptions {
    /// The node's id, part of every message id.
    pub node: u8,
    /// Which shard this is.
    pub shard: ShardIndex,
    /// How many shards the node has; at least 1.
    pub shards: u8,
    /// Decides draws and hash orders; the same seed and inputs give the same outputs.
    pub seed: u64,
}

/// One shard's mind.
///
/// Calling contract: after any `handle_*` (or a batch of them) drain [`Relay::poll`], [`Relay::poll_store`] and
/// [`Relay::poll_shard`] until each gives nothing; carry out their outputs in the order given. Failures of outputs
/// come back as inputs (`send_failed`, `delivery_failed`, `handle_undelivered`), which may give new outputs.
/// [`Relay::handle_tick`] every 5 ms or so keeps pauses, pacing and deadlines. `now` never goes back.
#[derive(Debug)]
pub struct Relay {
    options: RelayOptions,
    snapshot: Arc<Snapshot>,
    outputs: VecDeque<Output>,
    store_ops: VecDeque<StoreOp>,
    shard_messages: VecDeque<(ShardIndex, ShardMessage)>,
    counters: Counters,
}

impl Relay {
    /// A relay without links.
    pub fn new(options: RelayOptions, snapshot: Arc<Snapshot>) -> Self {
        Self {
            options,
            snapshot,
            outputs: VecDeque::new(),
            store_ops: VecDeque::new(),
            shard_messages: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// A new configuration. Open messages finish; those that must be routed anew are routed by the new one.
    pub fn apply_snapshot(&mut self, now: Instant, snapshot: Arc<Snapshot>) {
        let _ = now;
        self.snapshot = snapshot;
    }

    /// A customer's session is bound. `window` bounds our unanswered deliver_sm on it. False when the account is
    /// not in this shard's snapshot: close the link then.
    pub fn customer_bound(
        &mut self,
        now: Instant,
        account: AccountId,
        link: LinkKey,
        kind: BindKind,
        window: u32,
    ) -> bool {
        let _ = (now, account, link, kind, window);
        false
    }

    /// A customer's link is closed; `deliveries` are the tokens it gave back, written or not.
    pub fn customer_closed(&mut self, now: Instant, link: LinkKey, deliveries: &[DeliveryKey]) {
        let _ = (now, link, deliveries);
    }

    /// A customer's submit_sm.
    pub fn handle_submit(&mut self, arrival: Arrival, frame: Frame<'_>, pdu: &SubmitSm<'_>) {
        let _ = (arrival, frame, pdu);
    }

    /// A customer's data_sm; goes to the vendor as data_sm and is answered by data_sm_resp.
    pub fn handle_submit_data(&mut self, arrival: Arrival, frame: Frame<'_>, pdu: &DataSm<'_>) {
        let _ = (arrival, frame, pdu);
    }

    /// A vendor's bind of ours is up. `window` bounds our unanswered requests on it. False when the vendor is not
    /// in this shard's snapshot: close the link then.
    pub fn vendor_bound(
        &mut self,
        now: Instant,
        vendor: VendorId,
        link: LinkKey,
        kind: BindKind,
        window: u32,
    ) -> bool {
        let _ = (now, vendor, link, kind, window);
        false
    }

    /// A vendor's link is closed: what was wholly taken by the kernel, and what provably never left, in the order
    /// of sending.
    pub fn vendor_closed(
        &mut self,
        now: Instant,
        link: LinkKey,
        written: &[MessageKey],
        unsent: &[MessageKey],
    ) {
        let _ = (now, link, written, unsent);
    }

    /// A vendor answered submit_sm or data_sm. The id is as it stands in the answer, empty where there is none.
    pub fn handle_answer(
        &mut self,
        now: Instant,
        link: LinkKey,
        message: MessageKey,
        status: CommandStatus,
        vendor_message_id: &[u8],
    ) {
        let _ = (now, link, message, status, vendor_message_id);
    }

    /// A vendor did not answer in time (link's `Expired`); a later answer is dropped by the link.
    pub fn handle_expired(&mut self, now: Instant, message: MessageKey) {
        let _ = (now, message);
    }

    /// The link refused a `SendSubmit`: provably unsent, it goes elsewhere or waits.
    pub fn send_failed(&mut self, now: Instant, message: MessageKey) {
        let _ = (now, message);
    }

    /// A vendor's deliver_sm: receipt or MO.
    pub fn handle_deliver(&mut self, arrival: Arrival, frame: Frame<'_>, pdu: &DeliverSm<'_>) {
        let _ = (arrival, frame, pdu);
    }

    /// A vendor's data_sm: receipt or MO.
    pub fn handle_deliver_data(&mut self, arrival: Arrival, frame: Frame<'_>, pdu: &DataSm<'_>) {
        let _ = (arrival, frame, pdu);
    }

    /// A customer answered deliver_sm or data_sm.
    pub fn customer_answered(&mut self, now: Instant, delivery: DeliveryKey, status: CommandStatus) {
        let _ = (now, delivery, status);
    }

    /// A link refused a `SendDeliver`, or its answer did not come in time: another session, or parked.
    pub fn delivery_failed(&mut self, now: Instant, delivery: DeliveryKey) {
        let _ = (now, delivery);
    }

    /// What a store answered.
    pub fn handle_store_answer(&mut self, now: Instant, answer: StoreAnswer) {
        let _ = (now, answer);
    }

    /// What another shard says.
    pub fn handle_shard_message(&mut self, now: Instant, from: ShardIndex, message: ShardMessage) {
        let _ = (now, from, message);
    }

    /// A `Submit` or `Deliver` for `to` found its mailbox full or closed: it comes back unsent.
    pub fn handle_undelivered(&mut self, now: Instant, to: ShardIndex, message: ShardMessage) {
        let _ = (now, to, message);
    }

    /// Another shard is gone: what it held is unknown, its links and sessions are forgotten.
    pub fn shard_gone(&mut self, now: Instant, shard: ShardIndex) {
        let _ = (now, shard);
    }

    /// Time passes: pauses end, tokens come, deadlines fall.
    pub fn handle_tick(&mut self, now: Instant) {
        let _ = now;
    }

    /// No new submits from now on; `Output::Drained` follows when nothing is open.
    pub fn drain(&mut self, now: Instant) {
        let _ = now;
    }

    /// The next thing that links shall do.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The next thing that the store shall do.
    pub fn poll_store(&mut self) -> Option<StoreOp> {
        self.store_ops.pop_front()
    }

    /// The next word to another shard.
    pub fn poll_shard(&mut self) -> Option<(ShardIndex, ShardMessage)> {
        self.shard_messages.pop_front()
    }

    /// The whole PDU of an open message, its sequence number to be patched. Empty for a stale key.
    pub fn bytes(&self, message: MessageKey) -> &[u8] {
        let _ = message;
        &[]
    }

    /// The whole PDU of an open delivery, its sequence number to be patched. Empty for a stale key.
    pub fn delivery_bytes(&self, delivery: DeliveryKey) -> &[u8] {
        let _ = delivery;
        &[]
    }

    /// True when no message and no delivery is open.
    pub fn is_empty(&self) -> bool {
        true
    }

    /// What was done so far, with the gauges of now.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The same by vendor, in the order in which the vendors were first seen.
    pub fn vendor_counters(&self) -> impl Iterator<Item = (VendorId, VendorTraffic)> + '_ {
        core::iter::empty()
    }

    /// The configuration in force.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// What the relay was told at its start.
    pub fn options(&self) -> &RelayOptions {
        &self.options
    }
}
