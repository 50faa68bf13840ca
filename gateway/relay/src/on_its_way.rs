//! Under the policy `fail` no second copy follows a copy of unknown outcome, also after kill -9: that a message of store and
//! forward is on its way is written by the spool before the copy goes.
//!
//! Such a message takes its slot of a link, or its place with another shard, and waits there for the spool's word. It never
//! left as long as it waits, so whatever ends the wait proves it unsent. What the spool has written counts until the message
//! is settled or deferred: a process that finds it tells the customer that nobody knows.

use crate::circuit::Outcome;
use crate::message::{HandOver, Key, MessageEvent, MessageKey, ShardIndex};
use crate::mutation::mutated;
use crate::open::Place;
use crate::output::Output;
use crate::refusal::Refusal;
use crate::relay::Relay;
use crate::shard_message::ShardMessage;
use crate::snapshot::UnknownOutcome;
use crate::spool::ACCEPT_WAIT_MAX;
use crate::spool_op::{SpoolOp, SpoolOutage};
use smpp::text::message_id::GatewayId;
use smpp::time::Instant;

impl Relay {
    /// True for a message of which no copy may follow this one, by the policy of the vendor that was chosen.
    #[inline]
    pub(crate) fn must_be_noted(&mut self, key: Key) -> bool {
        self.is_spooled(key)
            && !self.messages[key].is_noted
            && self.policy(key) == UnknownOutcome::Fail
            && !mutated!(self, SendUnnoted)
    }

    /// Has the spool write that a message is on its way.
    pub(crate) fn note_sending(&mut self, key: Key) {
        let message = &mut self.messages[key];
        message.is_noting = true;
        self.spool.ops.push_back(SpoolOp::Sending {
            message: MessageKey(key),
            gateway_id: message.gateway_id,
            unknown_copies: message.unknown_copies,
        });
        if self.messages[key].place == Place::Link {
            self.messages.push_back(&mut self.spool.noting, key);
        }
    }

    /// The spool has written it, or could not.
    pub(crate) fn noted(
        &mut self,
        now: Instant,
        key: Key,
        gateway_id: GatewayId,
        outcome: Result<(), SpoolOutage>,
    ) {
        let waits = |open: &crate::open::Message| open.is_noting && open.gateway_id == gateway_id;
        if !self.messages.get(key).is_some_and(waits) {
            self.counters.traffic.stale_events += 1;
            return;
        }
        if outcome.is_err() {
            return self.not_noted(now, key);
        }
        let message = &mut self.messages[key];
        (message.is_noting, message.is_noted) = (false, true);
        match message.place {
            Place::Link => {
                message.sent_at = now;
                self.messages.remove(&mut self.spool.noting, key);
                let link = self.vendor_links[self.messages[key].link].link;
                self.outputs.push_back(Output::SendSubmit { link, message: MessageKey(key) });
            }
            Place::Shard(shard) => {
                let number = message.hand_overs;
                self.hand_over(HandOver { message: MessageKey(key), number }, shard);
            }
            _ => unreachable!("what waits for a note has a place to go"),
        }
    }

    /// A message that waits for its note goes back into the spool: it has not left.
    pub(crate) fn not_noted(&mut self, now: Instant, key: Key) {
        let vendor = self.messages[key].vendor;
        if self.messages[key].place == Place::Link {
            let link = self.messages[key].link;
            self.messages.remove(&mut self.spool.noting, key);
            self.messages[key].is_noting = false;
            self.free_slot(link);
            self.leave_link(key);
            self.forget_send(vendor);
        } else {
            self.messages[key].is_noting = false;
            self.leave_shard(key);
        }
        self.note_ended(now, key, Outcome::Void);
        self.records.unsent(key);
        let message = &mut self.messages[key];
        message.step(MessageEvent::ProveUnsent);
        message.place = Place::Hands;
        self.refuse(key, Refusal::SpoolAway);
        self.dispatch(now, vendor);
    }

    /// A link takes nothing more: what waits for its note there waits for another slot, in its old order.
    pub(crate) fn recall_noting(&mut self, now: Instant, link: Key) {
        let mut recalled = Vec::new();
        let mut next = self.messages.first(&self.spool.noting);
        while let Some(key) = next {
            next = self.messages.after(key);
            if self.messages[key].link == link {
                recalled.push(key);
            }
        }
        for key in recalled.into_iter().rev() {
            self.messages.remove(&mut self.spool.noting, key);
            self.messages[key].is_noting = false;
            self.free_slot(link);
            self.recall_one(now, key);
        }
    }

    /// Ends waits for notes that took too long.
    pub(crate) fn expire_noting(&mut self, now: Instant) {
        while let Some(key) = self.messages.first(&self.spool.noting)
            && self.messages[key].sent_at + ACCEPT_WAIT_MAX <= now
        {
            self.not_noted(now, key);
        }
    }

    /// A message that has a slot of a link, and was not given to it, goes back to the head of the queue.
    pub(crate) fn recall_one(&mut self, now: Instant, key: Key) {
        self.note_ended(now, key, Outcome::Void);
        self.leave_link(key);
        let open = &mut self.messages[key];
        open.step(MessageEvent::ProveUnsent);
        let vendor = open.vendor;
        self.records.unsent(key);
        self.forget_send(vendor);
        self.enqueue(now, key, vendor, true);
    }

    /// Gives a message to another shard, whose word is waited for.
    pub(crate) fn hand_over(&mut self, hand_over: HandOver, shard: ShardIndex) {
        let message = &mut self.messages[hand_over.message.0];
        let (vendor, addresses) = (self.vendors[message.vendor].id, message.addresses);
        let is_rewritten = !message.wire.is_empty();
        let pdu = core::mem::take(if is_rewritten { &mut message.wire } else { &mut message.pdu });
        let submit = ShardMessage::Submit { hand_over, vendor, addresses, pdu };
        self.shard_messages.push_back((shard, submit));
    }
}
