//! Unknown outcomes: what the policy allows once nobody knows whether a vendor has a message, and how a later receipt
//! tells it after all.
//!
//! A receipt says nothing of the message that it is about but the vendor's id, which never came, and the addresses. It is
//! taken for the message only when no other one fits: at two looks in a row (see [`crate::receipt`]) the store knows no
//! correlation for it, exactly one unknown outcome of this vendor has these addresses, and no message with these
//! addresses is on a link of this vendor, and no receipt of this id was there before, on any shard, and none has lost a
//! correlation of late. Between the two looks the answer of a message that was on a link at the first has come and its correlation is kept, or it is an unknown
//! outcome itself.

use crate::choice::Choice;
use crate::in_flight::{NO_ADDRESSES, addresses, addresses_in};
use crate::message::{DeliveryKey, Key, MessageEvent, ShardIndex, VendorId};
use crate::mutation::mutated;
use crate::open::Place;
use crate::relay::Relay;
use crate::seen::receipt_number;
use crate::shard_message::ShardMessage;
use crate::snapshot::UnknownOutcome;
use crate::store_op::{CorrelationKey, VendorMessageId};
use crate::unresolved::{Fit, Owner};
use smpp::text::message_id::GatewayId;
use smpp::time::Instant;

impl Relay {
    /// A message is in state Unknown: what now?
    pub(crate) fn follow_policy(&mut self, now: Instant, key: Key) {
        if self.messages[key].origin.is_served() {
            return self.answer_unknown(key);
        }
        if self.is_spooled(key) {
            return self.spooled_unknown(now, key);
        }
        self.note_unresolved(now, key);
        match self.policy(key) {
            UnknownOutcome::Fail => self.answer_unknown(key),
            UnknownOutcome::RetryOther => self.retry_unknown(now, key),
        }
    }

    /// The customer has its answer already: another vendor at once where the policy allows one, else the spool decides.
    fn spooled_unknown(&mut self, now: Instant, key: Key) {
        // Its receipt must not be taken for one about another message.
        self.note_unresolved(now, key);
        let may_repeat = self.policy(key) == UnknownOutcome::RetryOther;
        if may_repeat && self.has_copies_enough(self.messages[key].unknown_copies) {
            return self.hold_spooled(key);
        }
        if !may_repeat || !self.copy_unknown(now, key) {
            self.spooled_lost(now, key);
        }
    }

    /// The policy of the route that led to the message's vendor, else the customer's.
    pub(crate) fn policy(&mut self, key: Key) -> UnknownOutcome {
        let message = &self.messages[key];
        if message.epoch != self.epoch {
            if let (true, Some(policy)) = (message.pdu.is_empty(), message.policy) {
                return policy;
            }
            self.route_again(key);
        }
        let message = &self.messages[key];
        let plan = self.snapshot.routes().plan(message.plan);
        let place = self.vendors[message.vendor].snapshot_place;
        let of_route = plan.iter().find(|one| Some(one.vendor) == place).and_then(|one| one.unknown_outcome);
        let of_account = self.accounts.current(message.account, &self.snapshot).unknown_outcome;
        let policy = of_route.unwrap_or(of_account);
        if mutated!(self, UnknownAsUnsent) { UnknownOutcome::RetryOther } else { policy }
    }

    /// Another copy, where there is room for one at once or after a wait.
    fn retry_unknown(&mut self, now: Instant, key: Key) {
        if !self.copy_unknown(now, key) {
            self.answer_unknown(key);
        }
    }

    /// False when no further copy may or can be sent.
    fn copy_unknown(&mut self, now: Instant, key: Key) -> bool {
        let message = &self.messages[key];
        if !message.pdu.is_empty() && message.attempts() < self.snapshot.limits().attempts_max {
            let choice = self.choose(now, key);
            if !matches!(choice, Choice::Full | Choice::Down) {
                let message = &mut self.messages[key];
                message.step(MessageEvent::RetryUnknown);
                message.deadline = Instant::default();
                self.counters.traffic.unknown_retries += 1;
                self.put(now, key, choice);
                return true;
            }
        }
        false
    }

    /// Forgets outcomes whose window is over.
    pub(crate) fn expire_unresolved(&mut self, now: Instant) {
        while let Some(entry) = self.unresolved.overdue(now) {
            self.unresolved.remove(entry);
        }
    }

    /// Remembers that a vendor may have a message, here and on the other shards. Once for a message and vendor: which
    /// of its copies a receipt is about makes no difference.
    fn note_unresolved(&mut self, now: Instant, key: Key) {
        let window = self.snapshot.limits().unknown_window;
        let message = &self.messages[key];
        let (addresses, gateway_id) = (message.addresses, message.gateway_id);
        let account = self.accounts[message.account].id;
        let owner = Owner::Here { resubmit: message.resubmit, account };
        let vendor = self.vendors[message.vendor].vendor_account;
        if addresses == NO_ADDRESSES || window.is_zero() {
            return;
        }
        if self.unresolved.find(vendor, gateway_id).is_some() {
            return;
        }
        self.make_room_for_unresolved();
        self.unresolved.insert(vendor, addresses, gateway_id, owner, now + window);
        self.announce(|| ShardMessage::Unresolved { vendor, addresses, gateway_id });
    }

    /// The oldest goes.
    fn make_room_for_unresolved(&mut self) {
        let Some(oldest) = self.unresolved.surplus() else { return };
        let owner = self.unresolved.get(oldest).map(|entry| entry.owner);
        self.unresolved.remove(oldest);
        self.counters.traffic.unknowns_forgotten += u64::from(matches!(owner, Some(Owner::Here { .. })));
    }

    /// A message is handed to a link, or leaves it: other messages with its addresses are contested, or no more.
    pub(crate) fn contest(&mut self, vendor: VendorId, addresses: u64, is_contested: bool) {
        if let Fit::One(entry) = self.unresolved.fit(vendor, addresses)
            && let Some(entry) = self.unresolved.get(entry)
            && let Owner::Shard(shard) = entry.owner
        {
            let gateway_id = entry.gateway_id;
            let contested = ShardMessage::Contested { vendor, gateway_id, is_contested };
            self.shard_messages.push_back((shard, contested));
        }
    }

    /// A message goes onto its link.
    #[inline]
    pub(crate) fn enter_link(&mut self, key: Key) {
        let message = &self.messages[key];
        if message.addresses != NO_ADDRESSES {
            let (vendor, addresses) = (self.vendors[message.vendor].vendor_account, message.addresses);
            self.in_flight.add(vendor, addresses);
            if !self.unresolved.is_empty() {
                self.contest(vendor, addresses, true);
            }
        }
    }

    /// A message leaves its link, however that ended.
    #[inline]
    pub(crate) fn leave_link(&mut self, key: Key) {
        let message = &self.messages[key];
        debug_assert!(message.place == Place::Link);
        if message.addresses != NO_ADDRESSES {
            let (vendor, addresses) = (self.vendors[message.vendor].vendor_account, message.addresses);
            self.in_flight.remove(vendor, addresses);
            if !self.unresolved.is_empty() && !self.in_flight.may_hold(vendor, addresses) {
                self.contest(vendor, addresses, false);
            }
        }
    }

    /// Another shard lost a message.
    pub(crate) fn unresolved_elsewhere(
        &mut self,
        now: Instant,
        from: ShardIndex,
        vendor: VendorId,
        addresses: u64,
        gateway_id: GatewayId,
    ) {
        if self.unresolved.find(vendor, gateway_id).is_some() {
            return; // it was forgotten there, and lost once more
        }
        self.make_room_for_unresolved();
        let deadline = now + self.snapshot.limits().unknown_window;
        self.unresolved.insert(vendor, addresses, gateway_id, Owner::Shard(from), deadline);
        if self.in_flight.may_hold(vendor, addresses) {
            self.contest(vendor, addresses, true);
        }
    }

    pub(crate) fn settled_elsewhere(
        &mut self,
        vendor: VendorId,
        gateway_id: GatewayId,
        by: (ShardIndex, DeliveryKey),
    ) {
        self.receipt_told(by, gateway_id);
        if let Some(entry) = self.unresolved.find(vendor, gateway_id) {
            self.unresolved.remove(entry);
        }
    }

    pub(crate) fn contested_elsewhere(
        &mut self,
        from: ShardIndex,
        vendor: VendorId,
        gateway_id: GatewayId,
        is_contested: bool,
    ) {
        let entry = self.unresolved.find(vendor, gateway_id);
        if let Some(entry) = entry.and_then(|entry| self.unresolved.get_mut(entry)) {
            entry.contest(from, is_contested);
        }
    }

    /// Which unknown outcome a receipt may be about. Its source is the message's destination.
    pub(crate) fn fit_among_unresolved(&self, delivery: Key) -> Fit {
        if self.unresolved.is_empty() {
            return Fit::None;
        }
        let open = &self.deliveries[delivery];
        let Some(CorrelationKey { vendor, .. }) = open.key else { return Fit::None };
        let (source, destination) = addresses_in(&open.pdu);
        self.unresolved.fit(vendor, addresses(destination, source))
    }

    /// The store knows no message of a receipt that will be looked at again: is it about an unknown outcome?
    pub(crate) fn look_among_unresolved(&mut self, now: Instant, delivery: Key) {
        let fit = self.fit_among_unresolved(delivery);
        let Some(CorrelationKey { vendor, id }) = self.deliveries[delivery].key else { return };
        match fit {
            Fit::None => {}
            Fit::Several => {
                // Counted once, at the first look.
                self.counters.traffic.unknowns_ambiguous +=
                    u64::from(self.deliveries[delivery].early_round == 1);
            }
            Fit::One(entry) => {
                let Some(entry) = self.unresolved.get(entry) else { return };
                let gateway_id = entry.gateway_id;
                if self.refutes(now, vendor, &id) {
                    self.counters.traffic.unknowns_ambiguous += 1;
                    return;
                }
                let by = (self.options.shard, DeliveryKey(delivery));
                let delivery = by.1;
                self.announce(|| ShardMessage::ReceiptFits {
                    vendor,
                    gateway_id,
                    vendor_message_id: id,
                    delivery,
                });
                self.receipt_fits_said(now, by, vendor, gateway_id, id);
            }
        }
    }

    /// A receipt fits an outcome, as a shard sees it. Who owns the outcome decides, and who was done with the receipt
    /// before says so.
    pub(crate) fn receipt_fits_said(
        &mut self,
        now: Instant,
        by: (ShardIndex, DeliveryKey),
        vendor: VendorId,
        gateway_id: GatewayId,
        id: VendorMessageId,
    ) {
        let key = self.unresolved.find(vendor, gateway_id);
        let Some((key, entry)) = key.and_then(|key| Some((key, self.unresolved.get(key)?))) else { return };
        let (owner, addresses) = (entry.owner, entry.addresses);
        let is_refuted = self.refutes(now, vendor, &id);
        match owner {
            Owner::Here { .. } if is_refuted => self.counters.traffic.unknowns_ambiguous += 1,
            Owner::Here { .. } => self.receipt_fits(now, by, key, addresses, id),
            Owner::Shard(shard) if is_refuted => {
                let refuted = ShardMessage::Refuted { vendor, vendor_message_id: id };
                self.shard_messages.push_back((shard, refuted));
            }
            Owner::Shard(_) => {}
        }
    }

    /// A shard was done with a receipt of this id before, or lost a correlation of late.
    fn refutes(&self, now: Instant, vendor: VendorId, id: &VendorMessageId) -> bool {
        now < self.distrust_until || self.seen.contains(receipt_number(vendor, id))
    }

    /// The store could not keep a correlation: for as long as outcomes are remembered, a receipt without one may be about
    /// that message.
    pub(crate) fn distrust_receipts(&mut self, now: Instant) {
        self.distrust_until = now + self.snapshot.limits().unknown_window;
    }

    /// Another shard knows better. Remembered as if the receipt had been here, for the words of two shards come in any
    /// order.
    pub(crate) fn refuted_elsewhere(&mut self, vendor: VendorId, id: VendorMessageId) {
        self.seen.insert(receipt_number(vendor, &id));
    }

    /// A receipt fits an outcome of ours. The first time it is noted, the second time believed.
    fn receipt_fits(
        &mut self,
        now: Instant,
        by: (ShardIndex, DeliveryKey),
        key: Key,
        addresses: u64,
        id: VendorMessageId,
    ) {
        let Some(entry) = self.unresolved.get(key) else { return };
        let vendor = entry.vendor;
        let is_alone = self.unresolved.fit(vendor, addresses) == Fit::One(key);
        let may_be_another = entry.is_contested() || self.in_flight.may_hold(vendor, addresses);
        let Some(entry) = self.unresolved.get_mut(key) else { return };
        if !is_alone || may_be_another {
            entry.claim = NO_CLAIM;
            self.counters.traffic.unknowns_ambiguous += 1;
            return;
        }
        let claim = receipt_number(vendor, &id);
        if entry.claim != claim {
            (entry.claim, entry.claimed_by) = (claim, by);
        } else if entry.claimed_by == by {
            self.resolve(now, by, key, id);
        }
    }

    /// The vendor has the message. Its customer was told that nobody knows: it is for our records.
    fn resolve(&mut self, now: Instant, by: (ShardIndex, DeliveryKey), entry: Key, id: VendorMessageId) {
        let Some(resolved) = self.unresolved.get(entry) else { return };
        let (vendor, gateway_id, owner) = (resolved.vendor, resolved.gateway_id, resolved.owner);
        self.unresolved.remove(entry);
        self.announce(|| ShardMessage::Settled { vendor, gateway_id, by });
        self.receipt_told(by, gateway_id);
        self.counters.traffic.unknowns_resolved += 1;
        self.seen.insert(receipt_number(vendor, &id));
        let Owner::Here { resubmit, account } = owner else { return };
        self.resubmits.resolve(resubmit);
        self.record_resolved(now, gateway_id, account, vendor, id);
    }

    /// The receipt that told of a message belongs to its records, though its customer may never see it.
    fn receipt_told(&mut self, (shard, delivery): (ShardIndex, DeliveryKey), gateway_id: GatewayId) {
        if shard == self.options.shard {
            self.records.found(delivery.0, gateway_id);
        }
    }
}

/// No receipt fitted at the last look.
const NO_CLAIM: u64 = 0;
