//! The vendor's answer and what follows from it: failover, the correlation in the store, the customer's answer.

use crate::choice::Choice;
use crate::circuit::Outcome;
use crate::handset::{Handset, sender_mark};
use crate::in_flight::addresses_in;
use crate::message::{HandOver, Key, MessageEvent, MessageKey, MessageState, ShardIndex, VendorId};
use crate::mutation::mutated;
use crate::node::NodeAnswer;
use crate::open::{Origin, Place, trim};
use crate::output::Output;
use crate::refusal::Refusal;
use crate::relay::Relay;
use crate::shard_message::{ShardMessage, SubmitOutcome};
use crate::snapshot::{Correlate, UnknownOutcome};
use crate::store_op::{Correlation, CorrelationKey, StoreOp, VendorMessageId};
use smpp::field::{CommandStatus, StatusClass};
use smpp::text::message_id::{GatewayId, ID_LENGTH_MAX};
use smpp::time::Instant;

impl Relay {
    /// A vendor's bind of ours answered.
    #[inline]
    pub(crate) fn answered(&mut self, now: Instant, key: Key, status: CommandStatus, id: &[u8]) {
        self.leave_link(key);
        let message = &mut self.messages[key];
        let (vendor, link) = (message.vendor, message.link);
        message.place = Place::Hands;
        self.free_slot(link);
        if let Some(bind) = self.vendor_links.get_mut(link) {
            bind.blocked = false;
        }
        self.counters.traffic.vendor_answers += 1;
        let class = self.class_of(vendor, status);
        self.note_answered(now, key, class);
        let traffic = &mut self.vendors[vendor].traffic;
        match class {
            StatusClass::Ok => traffic.accepted += 1,
            StatusClass::Throttled => {
                traffic.rejected += 1;
                traffic.throttled += 1;
                self.counters.traffic.vendor_throttled += 1;
                self.pause(now, vendor);
            }
            StatusClass::Temporary | StatusClass::Permanent => traffic.rejected += 1,
        }
        if self.messages[key].origin.is_served() {
            let event =
                if status == CommandStatus::ESME_ROK { MessageEvent::Accept } else { MessageEvent::Refuse };
            self.messages[key].step(event);
            let vendor_message_id = VendorMessageId::new(id);
            self.finish_served(key, SubmitOutcome::Answered { status, vendor_message_id });
        } else {
            self.verdict(now, key, status, id);
        }
        if !self.vendors[vendor].queue.is_empty() {
            self.dispatch(now, vendor);
        }
    }

    /// Nothing is sent to a vendor's account for a while.
    fn pause(&mut self, now: Instant, vendor: u16) {
        if let Some(pause) = self.vendor_rules(vendor).map(|rules| rules.throttle_pause) {
            self.vendors.pause_until(vendor, now + pause);
        }
    }

    /// A vendor's word on a customer's message, from here or from another shard.
    #[inline]
    fn verdict(&mut self, now: Instant, key: Key, status: CommandStatus, id: &[u8]) {
        self.record_verdict(now, key, status, id);
        let class = self.class_of(self.messages[key].vendor, status);
        match class {
            StatusClass::Ok => {
                let message = &mut self.messages[key];
                message.step(MessageEvent::Accept);
                if message.maybe_sent {
                    self.counters.traffic.submits_maybe_twice += 1;
                    self.records.maybe_twice(key);
                }
                return self.correlate(now, key, id);
            }
            StatusClass::Temporary | StatusClass::Throttled => {
                if self.wait_together(now, key, class) {
                    return;
                }
                let message = &mut self.messages[key];
                let vendor = message.vendor;
                message.remember_try(vendor);
                // A copy that may be with a vendor is followed by another only where the policy says so.
                let may_go_on = !message.maybe_sent || self.policy(key) == UnknownOutcome::RetryOther;
                let message = &self.messages[key];
                let attempts_max = self.snapshot.limits().attempts_max;
                if may_go_on && message.attempts() < attempts_max && !message.pdu.is_empty() {
                    let choice = self.choose(now, key);
                    if !matches!(choice, Choice::Full | Choice::Down) {
                        self.messages[key].step(MessageEvent::TryOther);
                        self.messages[key].deadline = Instant::default();
                        self.counters.traffic.vendor_failovers += 1;
                        return self.put(now, key, choice);
                    }
                }
            }
            StatusClass::Permanent => {}
        }
        if self.is_spooled(key) {
            return self.spooled_rejected(now, key, status);
        }
        let message = &mut self.messages[key];
        message.step(MessageEvent::Refuse);
        if message.maybe_sent {
            return self.answer_unknown(key);
        }
        self.counters.traffic.submits_rejected += 1;
        let status = self.mapped(self.messages[key].vendor, status);
        self.respond(key, status, None);
    }

    /// A vendor took the message: keep what its receipt will need, then answer.
    #[inline]
    fn correlate(&mut self, now: Instant, key: Key, id: &[u8]) {
        let order = self.snapshot.correlate();
        if !self.messages[key].wants_receipt || order == Correlate::None {
            return self.accept(key);
        }
        let Some(kept_under) = self.correlation_key(self.messages[key].vendor, id) else {
            self.counters.traffic.correlations_lost += 1;
            return self.accept(key);
        };
        self.remember(now, key, kept_under, order);
    }

    /// Has the store keep what the receipts of an accepted message need, and answers in the order that is configured.
    pub(crate) fn remember(&mut self, now: Instant, key: Key, kept_under: CorrelationKey, order: Correlate) {
        let message = &self.messages[key];
        // As the vendor got it: that is what it writes into the receipt.
        let (sender, handset) = addresses_in(if message.is_rewritten { &message.wire } else { &message.pdu });
        let correlation = Correlation {
            account: self.accounts[message.account].id,
            gateway_id: message.gateway_id,
            submitted_at: message.submitted_at,
            urgent: message.urgent,
            registered: message.registered,
            handset: Handset::of(handset),
            sender: sender_mark(sender),
            shared: false,
            addresses: self.own_addresses(key),
        };
        self.counters.traffic.correlations += 1;
        self.store_ops.push_back(StoreOp::Remember {
            message: MessageKey(key),
            key: kept_under,
            correlation,
        });
        if order == Correlate::Relaxed || mutated!(self, AnswerBeforeKept) {
            return self.accept(key);
        }
        let message = &mut self.messages[key];
        message.place = Place::Store;
        message.deadline = now + self.snapshot.limits().store_wait_max;
        self.messages.push_back(&mut self.store_waits, key);
    }

    fn correlation_key(&self, vendor: u16, id: &[u8]) -> Option<CorrelationKey> {
        let mut spelled = [0; ID_LENGTH_MAX];
        let rule = self.id_rule(vendor);
        let id = VendorMessageId::new(rule.response_key(id, &mut spelled)?)?;
        Some(CorrelationKey { vendor: self.vendor_account_of(vendor), id })
    }

    /// Whose ids a vendor's ids are looked up among: its own.
    pub(crate) fn vendor_account_of(&self, vendor: u16) -> VendorId {
        if mutated!(self, VendorlessMatch) { VendorId(0) } else { self.vendors[vendor].vendor_account }
    }

    /// The store kept a correlation, or could not. The vendor has the message either way, so the customer is told
    /// so: another answer would make it send a second copy.
    pub(crate) fn remembered(&mut self, now: Instant, key: Key, kept: bool) {
        let waits = self.messages.get(key).is_some_and(|message| message.place == Place::Store);
        if !waits && self.snapshot.correlate() == Correlate::Strict {
            self.counters.traffic.stale_events += 1; // it took too long, and was counted then
            return;
        }
        if !kept {
            self.count_lost_correlation(now);
        }
        if waits {
            self.messages.remove(&mut self.store_waits, key);
            self.accept(key);
        }
    }

    fn count_lost_correlation(&mut self, now: Instant) {
        self.distrust_receipts(now);
        self.counters.traffic.correlations_lost += 1;
        self.counters.traffic.store_outages += 1;
    }

    /// Ends waits for the store and for other shards that took too long.
    pub(crate) fn expire_waits(&mut self, now: Instant) {
        while let Some(key) = self.messages.first(&self.store_waits)
            && self.messages[key].deadline <= now
        {
            self.count_lost_correlation(now);
            self.messages.remove(&mut self.store_waits, key);
            self.accept(key);
        }
        while let Some(key) = self.messages.first(&self.remote_waits)
            && self.messages[key].deadline <= now
        {
            self.counters.traffic.remote_expired += 1;
            if self.messages[key].is_noting {
                self.not_noted(now, key); // it never went there
                continue;
            }
            self.leave_shard(key);
            self.lose(now, key);
        }
    }

    /// Another shard says what became of a submit.
    pub(crate) fn submit_done(
        &mut self,
        now: Instant,
        from: ShardIndex,
        hand_over: HandOver,
        outcome: SubmitOutcome,
        pdu: Vec<u8>,
    ) {
        let Some(key) = self.take_hand_over_back(hand_over, pdu) else { return };
        match outcome {
            SubmitOutcome::Answered { status, vendor_message_id } => {
                let vendor = self.messages[key].vendor;
                let class = self.class_of(vendor, status);
                self.note_answered(now, key, class);
                if class == StatusClass::Throttled {
                    self.pause(now, vendor);
                }
                let id = vendor_message_id.as_ref().map_or(&[][..], VendorMessageId::as_bytes);
                self.verdict(now, key, status, id);
            }
            SubmitOutcome::Unsent => self.unsent_elsewhere(now, from, key),
            SubmitOutcome::Unknown => self.lose(now, key),
        }
    }

    /// Another shard could not send it. With a bind here that shard is left alone for a while; without one, or after
    /// as many returns as there are attempts, the vendor counts as tried, so that it does not go round for ever.
    fn unsent_elsewhere(&mut self, now: Instant, shard: ShardIndex, key: Key) {
        let attempts_max = self.snapshot.limits().attempts_max;
        self.note_ended(now, key, Outcome::Void);
        let message = &mut self.messages[key];
        let vendor = &mut self.vendors[message.vendor];
        self.records.unsent(key);
        message.step(MessageEvent::ProveUnsent);
        message.deadline = Instant::default();
        message.returns = message.returns.saturating_add(1);
        if vendor.links.is_empty() || message.returns > attempts_max {
            message.remember_try(message.vendor);
            if message.attempts() >= attempts_max {
                return self.refuse(key, Refusal::QueueFull);
            }
        } else {
            vendor.elsewhere_mut(shard).blocked = true;
        }
        self.settle(now, key);
    }

    /// A submit for another shard found no room in the mailbox.
    pub(crate) fn submit_undelivered(
        &mut self,
        now: Instant,
        to: ShardIndex,
        hand_over: HandOver,
        pdu: Vec<u8>,
    ) {
        let Some(key) = self.take_hand_over_back(hand_over, pdu) else { return };
        self.unsent_elsewhere(now, to, key);
    }

    /// The message of a hand-over that is over, with its bytes; nothing where it is not with that shard any more.
    fn take_hand_over_back(&mut self, hand_over: HandOver, pdu: Vec<u8>) -> Option<Key> {
        let key = hand_over.message.0;
        if !self.is_handed_over(hand_over) {
            self.counters.traffic.stale_events += 1;
            self.spare.keep(pdu);
            return None;
        }
        self.leave_shard(key);
        self.take_bytes_back(key, pdu);
        Some(key)
    }

    /// True while the message is with another shard by this hand-over: not by a later one, of which a late answer to
    /// this one says nothing.
    fn is_handed_over(&self, hand_over: HandOver) -> bool {
        self.messages.get(hand_over.message.0).is_some_and(|open| {
            let is_this = open.hand_overs == hand_over.number || mutated!(self, MatchByMessage);
            matches!(open.place, Place::Shard(_)) && is_this
        })
    }

    /// Takes a message out of the list of those with other shards.
    pub(crate) fn leave_shard(&mut self, key: Key) {
        let Place::Shard(shard) = self.messages[key].place else { return };
        self.messages.remove(&mut self.remote_waits, key);
        let message = &mut self.messages[key];
        message.place = Place::Hands;
        let other = self.vendors[message.vendor].elsewhere_mut(shard);
        other.open = other.open.saturating_sub(1);
    }

    #[inline]
    pub(crate) fn accept(&mut self, key: Key) {
        assert!(self.messages[key].state == MessageState::Acked);
        if self.is_spooled(key) {
            return self.settle_spooled(key);
        }
        self.counters.traffic.submits_accepted += 1;
        let id = self.messages[key].gateway_id;
        self.respond(key, CommandStatus::ESME_ROK, Some(id));
    }

    /// Our no to a message that was never sent in its present try.
    pub(crate) fn refuse(&mut self, key: Key, refusal: Refusal) {
        self.messages[key].step(MessageEvent::Refuse);
        self.say_no(key, refusal);
    }

    /// A message waited too long for a slot.
    pub(crate) fn expire_unsent(&mut self, key: Key) {
        self.messages[key].step(MessageEvent::Expire);
        self.say_no(key, Refusal::QueueExpired);
    }

    fn say_no(&mut self, key: Key, refusal: Refusal) {
        let message = &self.messages[key];
        if message.origin.is_served() {
            return self.finish_served(key, SubmitOutcome::Unsent);
        }
        if self.is_spooled(key) {
            return self.spooled_refused(key, refusal);
        }
        let message = &self.messages[key];
        if message.maybe_sent {
            return self.answer_unknown(key);
        }
        self.count_refusal(refusal);
        self.records.refused(key, refusal);
        self.respond(key, refusal.status(), None);
    }

    pub(crate) fn count_refusal(&mut self, refusal: Refusal) {
        self.counters.traffic.submits_refused += 1;
        self.counters.refused[refusal.index()] += 1;
    }

    /// Nobody knows: the one status that says so.
    pub(crate) fn answer_unknown(&mut self, key: Key) {
        let message = &self.messages[key];
        if message.origin.is_served() {
            return self.finish_served(key, SubmitOutcome::Unknown);
        }
        self.counters.traffic.submits_unknown += 1;
        let status = self.accounts.current(message.account, &self.snapshot).unknown_status;
        let status = if mutated!(self, NoForUnknown) { CommandStatus::ESME_RSYSERR } else { status };
        self.respond(key, status, None);
    }

    /// The one place where a customer's open submit is answered.
    #[inline]
    fn respond(&mut self, key: Key, status: CommandStatus, message_id: Option<GatewayId>) {
        let message = &self.messages[key];
        assert!(message_id.is_some() == (status == CommandStatus::ESME_ROK));
        assert!(message_id.is_some() == (message.state == MessageState::Acked));
        if let Origin::Customer { session, link, sequence } = message.origin {
            if self.sessions.get(session).is_some() {
                self.records.answered(key, status);
                let command = message.command.response();
                self.outputs.push_back(Output::AnswerSubmit { link, sequence, command, status, message_id });
            } else {
                self.counters.traffic.submits_abandoned += 1;
            }
        }
        self.close_message(key);
    }

    fn finish_served(&mut self, key: Key, outcome: SubmitOutcome) {
        let open = &mut self.messages[key];
        match open.origin {
            Origin::Shard { shard, hand_over } => {
                let pdu = core::mem::take(&mut open.pdu);
                let done = ShardMessage::SubmitDone { hand_over, outcome, pdu };
                self.shard_messages.push_back((shard, done));
            }
            Origin::Node { link, sequence } => {
                let command = open.command.response();
                self.node_answers.push_back(NodeAnswer { link, sequence, command, outcome });
            }
            Origin::Customer { .. } | Origin::Spool { .. } => {}
        }
        self.close_message(key);
    }

    #[inline]
    pub(crate) fn close_message(&mut self, key: Key) {
        if self.messages[key].resubmit != Key::NONE {
            self.resubmits.end(&self.messages[key]);
        }
        self.record_end(key);
        trim(&mut self.messages[key].pdu);
        trim(&mut self.messages[key].wire);
        self.messages.close(key);
    }
}
