//! From the relay to the customer's session: here, on another shard, or parked until it binds.

use crate::account::Receiver;
use crate::cdr::DeliveryOutcome;
use crate::message::{AccountId, DeliveryKey, Key, LinkKey, ShardIndex};
use crate::mutation::mutated;
use crate::open::{DELIVERY_TRIES_MAX, Delivery, DeliveryPlace, Gathered, Sender, trim};
use crate::output::Output;
use crate::refusal::DeliveryRefusal;
use crate::relay::{Party, Relay};
use crate::seen::receipt_number;
use crate::shard_message::{DeliverOutcome, ShardMessage};
use crate::snapshot::Correlate;
use crate::store_op::{StoreOp, StoreOutage, command_of};
use smpp::field::{CommandId, CommandStatus, StatusClass};
use smpp::time::Instant;

impl Relay {
    /// The owner is known: deliver, or park.
    pub(crate) fn give_to(&mut self, now: Instant, key: Key, owner: AccountId) {
        self.records.owned(key, owner);
        match self.accounts.place(&self.snapshot, owner) {
            Some(place) => {
                self.deliveries[key].account = place;
                self.deliver(now, key);
            }
            None => self.park(now, key, owner), // configured away: it may come back
        }
    }

    /// Finds a session, a place to wait, another shard, or the store.
    pub(crate) fn deliver(&mut self, now: Instant, key: Key) {
        let Self { deliveries, accounts, sessions, snapshot, .. } = self;
        let delivery = &deliveries[key];
        let place = delivery.account;
        let account = &mut accounts[place];
        let in_order = account.waiting.is_empty();
        match account.receiver_for(sessions, delivery, snapshot) {
            Receiver::Free(session) if in_order || delivery.tries > 0 => self.send_to(key, session),
            Receiver::Free(_) | Receiver::Busy => self.wait_for_slot(now, key, place),
            Receiver::None => {
                #[cfg(feature = "mutations")]
                if let Some(session) = self.anybody() {
                    return self.send_to(key, session);
                }
                match self.never_told(key) {
                    Some(status) => self.taken(now, key, status),
                    None => self.deliver_elsewhere(now, key, place),
                }
            }
        }
    }

    fn send_to(&mut self, key: Key, session: Key) {
        let delivery = &mut self.deliveries[key];
        delivery.place = DeliveryPlace::Session;
        delivery.session = session;
        let session = &mut self.sessions[session];
        session.in_flight += 1;
        assert!(session.in_flight <= session.window);
        let link = session.link;
        self.say_to_customer(key);
        self.outputs.push_back(Output::SendDeliver { link, delivery: DeliveryKey(key) });
    }

    fn wait_for_slot(&mut self, now: Instant, key: Key, place: u32) {
        let limits = self.snapshot.limits();
        let account = &mut self.accounts[place];
        // A second try does not queue behind the sessions that failed it.
        if account.waiting.len() >= limits.delivery_queue_max || self.deliveries[key].tries > 0 {
            return self.undeliverable(now, key);
        }
        let delivery = &mut self.deliveries[key];
        delivery.place = DeliveryPlace::Waiting;
        delivery.deadline = now + limits.delivery_wait_max;
        self.deliveries.push_back(&mut account.waiting, key);
        self.accounts.watch(place);
    }

    fn deliver_elsewhere(&mut self, now: Instant, key: Key, place: u32) {
        let delivery = &self.deliveries[key];
        let account = &mut self.accounts[place];
        let may_cross =
            matches!(delivery.sender, Sender::Vendor { .. } | Sender::Part { .. } | Sender::Spool { .. });
        let shard = if may_cross { account.shard_with_receivers() } else { None };
        let Some(shard) = shard else { return self.undeliverable(now, key) };
        let owner = account.id;
        let delivery = &mut self.deliveries[key];
        delivery.place = DeliveryPlace::Shard;
        delivery.deadline = now + self.snapshot.limits().remote_wait_max;
        let pdu = core::mem::take(&mut delivery.pdu);
        self.deliveries.push_back(&mut self.remote_deliveries, key);
        self.counters.traffic.remote_deliveries += 1;
        let deliver = ShardMessage::Deliver { delivery: DeliveryKey(key), account: owner, pdu };
        self.shard_messages.push_back((shard, deliver));
    }

    /// Another shard's delivery to one of our sessions.
    pub(crate) fn serve_delivery(
        &mut self,
        now: Instant,
        from: ShardIndex,
        asked: DeliveryKey,
        owner: AccountId,
        pdu: Vec<u8>,
    ) {
        let place = self.accounts.place(&self.snapshot, owner);
        let (Some(place), Some(command)) = (place, command_of(&pdu)) else {
            return self.not_served(from, asked, pdu);
        };
        match self.insert_delivery(Sender::Shard { shard: from, delivery: asked }, command, place) {
            Some(key) => {
                let delivery = &mut self.deliveries[key];
                self.spare.swap(&mut delivery.pdu, pdu);
                self.deliver(now, key);
            }
            None => self.not_served(from, asked, pdu),
        }
    }

    fn not_served(&mut self, to: ShardIndex, delivery: DeliveryKey, pdu: Vec<u8>) {
        let done = ShardMessage::DeliverDone { delivery, outcome: DeliverOutcome::Undelivered, pdu };
        self.shard_messages.push_back((to, done));
    }

    /// A slot for a delivery that did not come from a vendor.
    pub(crate) fn insert_delivery(
        &mut self,
        sender: Sender,
        command: CommandId,
        account: u32,
    ) -> Option<Key> {
        let (key, delivery) = self.deliveries.insert()?;
        delivery.place = DeliveryPlace::Hands;
        delivery.sender = sender;
        delivery.command = command;
        delivery.account = account;
        delivery.key = None;
        delivery.is_final = false;
        delivery.content = 0; // or the slot's last receipt would be done with when this one is
        delivery.urgent = false;
        delivery.session = Key::NONE;
        delivery.tries = 0;
        delivery.gathered = Gathered::default();
        Some(key)
    }

    /// What waits for an account's sessions goes out, as far as there are slots.
    pub(crate) fn dispatch_deliveries(&mut self, now: Instant, place: u32) {
        while let Some(key) = self.deliveries.first(&self.accounts[place].waiting) {
            let Self { deliveries, accounts, sessions, snapshot, .. } = self;
            let account = &mut accounts[place];
            match account.receiver_for(sessions, &deliveries[key], snapshot) {
                Receiver::Free(session) => {
                    self.deliveries.remove(&mut account.waiting, key);
                    self.send_to(key, session);
                }
                Receiver::Busy => break,
                Receiver::None => {
                    self.deliveries.remove(&mut account.waiting, key);
                    self.deliver_elsewhere(now, key, place);
                }
            }
        }
    }

    /// Ends waits of an account's deliveries that took too long.
    pub(crate) fn expire_deliveries(&mut self, now: Instant, place: u32) {
        while let Some(key) = self.deliveries.first(&self.accounts[place].waiting)
            && self.deliveries[key].deadline <= now
        {
            self.deliveries.remove(&mut self.accounts[place].waiting, key);
            self.undeliverable(now, key);
        }
    }

    /// A session answered.
    pub(crate) fn delivery_answered(&mut self, now: Instant, key: Key, status: CommandStatus) {
        let Some(place) = self.leave_session(key) else { return };
        match status.class() {
            StatusClass::Temporary | StatusClass::Throttled => self.try_next(now, key, Some(status)),
            StatusClass::Ok | StatusClass::Permanent => self.taken(now, key, status),
        }
        self.dispatch_deliveries(now, place);
    }

    /// A session failed it without an answer.
    pub(crate) fn delivery_lost(&mut self, now: Instant, key: Key) {
        let Some(place) = self.leave_session(key) else { return };
        self.try_next(now, key, None);
        self.dispatch_deliveries(now, place);
    }

    /// Takes a delivery off its session; the account's place, or nothing for a stale key.
    fn leave_session(&mut self, key: Key) -> Option<u32> {
        let delivery = self.deliveries.get_mut(key).filter(|open| open.place == DeliveryPlace::Session);
        let Some(delivery) = delivery else {
            self.counters.traffic.stale_events += 1;
            return None;
        };
        delivery.place = DeliveryPlace::Hands;
        if let Some(session) = self.sessions.get_mut(delivery.session) {
            session.in_flight -= 1;
        }
        Some(delivery.account)
    }

    fn try_next(&mut self, now: Instant, key: Key, status: Option<CommandStatus>) {
        let delivery = &mut self.deliveries[key];
        if let (Sender::Shard { .. }, Some(status)) = (delivery.sender, status) {
            return self.finish_delivery_served(key, DeliverOutcome::Answered(status));
        }
        if let (Sender::Parked(_), Some(_)) = (delivery.sender, status) {
            let place = delivery.account;
            self.parked_refused(place);
        }
        let delivery = &mut self.deliveries[key];
        delivery.tried[usize::from(delivery.tries)] = delivery.session;
        delivery.tries += 1;
        if usize::from(delivery.tries) >= DELIVERY_TRIES_MAX {
            return self.undeliverable(now, key);
        }
        self.counters.traffic.deliveries_retried += 1;
        self.deliver(now, key);
    }

    /// The customer took it, or refused it for good: that is its own decision. What cannot be delivered in a form that
    /// may leave counts as refused by the standard's status.
    pub(crate) fn taken(&mut self, now: Instant, key: Key, status: CommandStatus) {
        if let Sender::Shard { .. } = self.deliveries[key].sender {
            return self.finish_delivery_served(key, DeliverOutcome::Answered(status));
        }
        let traffic = &mut self.counters.traffic;
        let (count, outcome) = match status {
            CommandStatus::ESME_ROK => (&mut traffic.deliveries_taken, DeliveryOutcome::Taken),
            _ => (&mut traffic.deliveries_rejected, DeliveryOutcome::Rejected),
        };
        *count += 1;
        self.record_delivered(key, outcome, Some(status));
        self.forget_if_final(key);
        match self.deliveries[key].sender {
            Sender::Parked(parked) => self.end_parked(now, key, Ok(parked)),
            _ => self.answer_vendor(key, CommandStatus::ESME_ROK),
        }
    }

    pub(crate) fn forget_if_final(&mut self, key: Key) {
        if mutated!(self, NeverForget) {
            return;
        }
        let delivery = &self.deliveries[key];
        if delivery.is_final
            && let Some(kept_under) = delivery.key
        {
            let (gateway_id, submitted_at) = (delivery.gateway_id, delivery.submitted_at);
            self.seen.insert(receipt_number(kept_under.vendor, &kept_under.id));
            self.note_done(key);
            self.store_ops.push_back(StoreOp::Forget { key: kept_under, gateway_id, submitted_at });
        }
    }

    /// No session can take it now.
    fn undeliverable(&mut self, now: Instant, key: Key) {
        let delivery = &mut self.deliveries[key];
        delivery.place = DeliveryPlace::Hands;
        let sender = delivery.sender;
        match sender {
            Sender::Vendor { .. } | Sender::Part { .. } | Sender::Spool { .. } => {
                let owner = self.accounts[delivery.account].id;
                self.park(now, key, owner);
            }
            Sender::Nobody => {}
            Sender::Shard { .. } => self.finish_delivery_served(key, DeliverOutcome::Undelivered),
            Sender::Parked(parked) if self.suits_nobody(key) => self.hold_unsuited(now, key, parked),
            Sender::Parked(parked) => self.end_parked(now, key, Err(parked)),
        }
    }

    fn park(&mut self, now: Instant, key: Key, owner: AccountId) {
        if self.snapshot.correlate() == Correlate::None || self.deliveries[key].pdu.is_empty() {
            return self.refuse_delivery(key, DeliveryRefusal::NotParked);
        }
        if !mutated!(self, AcknowledgeBeforeParked) {
            self.wait_for_store(now, key, DeliveryPlace::Parking);
        }
        let delivery = &mut self.deliveries[key];
        let (urgent, pdu) = (delivery.urgent, core::mem::take(&mut delivery.pdu));
        self.store_ops.push_back(StoreOp::Park { delivery: DeliveryKey(key), account: owner, urgent, pdu });
        if mutated!(self, AcknowledgeBeforeParked) {
            self.answer_vendor(key, CommandStatus::ESME_ROK);
        }
    }

    /// The store keeps it now, or cannot. Kept, its correlation has served: the parked PDU carries our id already. False
    /// when nobody waits for it any more.
    pub(crate) fn parked(
        &mut self,
        now: Instant,
        key: Key,
        outcome: Result<(), StoreOutage>,
        pdu: Vec<u8>,
        place: DeliveryPlace,
    ) -> bool {
        if self.deliveries.get(key).is_none_or(|delivery| delivery.place != place) {
            self.counters.traffic.stale_events += 1;
            self.spare.keep(pdu);
            return false;
        }
        self.leave_store(key);
        self.spare.swap(&mut self.deliveries[key].pdu, pdu);
        if outcome.is_err() {
            self.counters.traffic.store_outages += 1;
            self.refuse_delivery(key, DeliveryRefusal::NotParked);
            return true;
        }
        let is_parking = place == DeliveryPlace::Parking;
        let outcome = if is_parking { DeliveryOutcome::Parked } else { DeliveryOutcome::Orphan };
        self.record_delivered(key, outcome, None);
        if is_parking {
            self.counters.traffic.parked += 1;
            self.forget_if_final(key);
            let account = self.deliveries[key].account;
            self.note_parked(now, account);
        } else {
            self.note_done(key);
        }
        self.answer_vendor(key, CommandStatus::ESME_ROK);
        true
    }

    /// Our no to a vendor, which keeps the message.
    pub(crate) fn refuse_delivery(&mut self, key: Key, refusal: DeliveryRefusal) {
        self.answer_vendor(key, refusal.status());
    }

    /// The one place where an open delivery of a vendor, or of the spool, is answered, and what hangs on it.
    pub(crate) fn answer_vendor(&mut self, key: Key, status: CommandStatus) {
        let whole = self.deliveries[key].gathered.whole;
        let mut next = key;
        while next != Key::NONE {
            let delivery = &mut self.deliveries[next];
            let (sender, twin) = (delivery.sender, delivery.gathered.twin);
            match sender {
                Sender::Vendor { .. } => self.answer_sender(next, status),
                Sender::Part { shard, delivery: asked } => {
                    let pdu = core::mem::take(&mut delivery.pdu);
                    let done = ShardMessage::PartDone { delivery: asked, status, pdu };
                    self.shard_messages.push_back((shard, done));
                }
                Sender::Spool { gateway_id, tries, fate } => {
                    self.spool_receipt_done(gateway_id, tries, fate, status);
                }
                Sender::Shard { .. } | Sender::Parked(_) | Sender::Nobody => {}
            }
            self.close_delivery(next);
            next = twin;
        }
        self.whole_answered(whole, status);
    }

    /// Writes the answer to a vendor's delivery, where the bind is still there.
    pub(crate) fn answer_sender(&mut self, key: Key, status: CommandStatus) {
        let Delivery { sender, command, .. } = self.deliveries[key];
        let Sender::Vendor { link, sequence } = sender else { return };
        self.counters.traffic.deliveries_refused += u64::from(status != CommandStatus::ESME_ROK);
        if let Some(bind) = self.vendor_links.get(link) {
            let (link, command) = (bind.link, command.response());
            self.outputs.push_back(Output::AnswerDeliver { link, sequence, command, status });
        }
    }

    fn finish_delivery_served(&mut self, key: Key, outcome: DeliverOutcome) {
        let open = &mut self.deliveries[key];
        if let Sender::Shard { shard, delivery } = open.sender {
            let pdu = core::mem::take(&mut open.pdu);
            self.shard_messages.push_back((shard, ShardMessage::DeliverDone { delivery, outcome, pdu }));
        }
        self.close_delivery(key);
    }

    /// Another shard says what became of a delivery.
    pub(crate) fn deliver_done(&mut self, now: Instant, key: Key, outcome: DeliverOutcome, pdu: Vec<u8>) {
        if self.deliveries.get(key).is_none_or(|delivery| delivery.place != DeliveryPlace::Shard) {
            self.counters.traffic.stale_events += 1;
            return self.spare.keep(pdu);
        }
        self.deliveries.remove(&mut self.remote_deliveries, key);
        let delivery = &mut self.deliveries[key];
        delivery.place = DeliveryPlace::Hands;
        self.spare.swap(&mut delivery.pdu, pdu);
        match outcome {
            DeliverOutcome::Answered(status) => match status.class() {
                StatusClass::Temporary | StatusClass::Throttled => self.undeliverable(now, key),
                StatusClass::Ok | StatusClass::Permanent => self.taken(now, key, status),
            },
            DeliverOutcome::Undelivered => self.undeliverable(now, key),
        }
    }

    /// Ends waits for the store and for other shards that took too long. The vendor keeps the message: its bytes are
    /// not here, and whether the other side has it is not known.
    pub(crate) fn expire_delivery_waits(&mut self, now: Instant) {
        while let Some(key) = self.deliveries.first(&self.delivery_store_waits)
            && self.deliveries[key].deadline <= now
        {
            self.counters.traffic.store_outages += 1;
            let Delivery { place, account, .. } = self.deliveries[key];
            self.leave_store(key);
            if let Sender::Nobody = self.deliveries[key].sender {
                self.end_early(key);
                continue;
            }
            self.refuse_delivery(key, DeliveryRefusal::StoreAway);
            if place == DeliveryPlace::Parking {
                self.note_parked(now, account); // it may be parked all the same, later
            }
        }
        while let Some(key) = self.deliveries.first(&self.remote_deliveries)
            && self.deliveries[key].deadline <= now
        {
            self.counters.traffic.remote_expired += 1;
            self.deliveries.remove(&mut self.remote_deliveries, key);
            self.refuse_delivery(key, DeliveryRefusal::NotParked);
        }
    }

    pub(crate) fn wait_for_store(&mut self, now: Instant, key: Key, place: DeliveryPlace) {
        let delivery = &mut self.deliveries[key];
        delivery.place = place;
        delivery.deadline = now + self.snapshot.limits().store_wait_max;
        self.deliveries.push_back(&mut self.delivery_store_waits, key);
    }

    pub(crate) fn leave_store(&mut self, key: Key) {
        self.deliveries.remove(&mut self.delivery_store_waits, key);
        self.deliveries[key].place = DeliveryPlace::Hands;
    }

    pub(crate) fn close_delivery(&mut self, key: Key) {
        trim(&mut self.deliveries[key].pdu);
        trim(&mut self.deliveries[key].wire);
        self.deliveries.close(key);
    }

    /// A customer's link is closed.
    pub(crate) fn lose_session(&mut self, now: Instant, link: LinkKey, deliveries: &[DeliveryKey]) {
        let Some(Party::Customer(session)) = self.parties.remove(&link) else { return };
        let place = self.sessions[session].account;
        let was_receiver = self.accounts[place].drop_receiver(session);
        let mut in_flight = self.sessions[session].in_flight;
        self.sessions[session].range = None;
        self.sessions.close(session);
        if was_receiver {
            self.note_sessions(place);
            self.give_unsuited_back(place);
        }
        for delivery in deliveries {
            let is_ours = |open: &&crate::open::Delivery| {
                open.place == DeliveryPlace::Session && open.session == session
            };
            if self.deliveries.get(delivery.0).filter(is_ours).is_some() {
                in_flight = in_flight.saturating_sub(1);
                if mutated!(self, DropOnClose) {
                    self.close_delivery(delivery.0);
                    continue;
                }
                self.delivery_lost(now, delivery.0);
            }
        }
        if in_flight > 0 && !mutated!(self, TrustLists) {
            self.lose_unlisted_deliveries(now, session);
        }
        self.dispatch_deliveries(now, place);
        if was_receiver {
            self.announce_account(place);
        }
    }

    /// Deliveries on a closed session that its link's list did not name: still among the outputs, or a fault of the link.
    /// Without this they, and what their vendors wait for, would stay open for ever. One pass over all slots, rarely.
    fn lose_unlisted_deliveries(&mut self, now: Instant, session: Key) {
        let is_there = |open: &Delivery| open.place == DeliveryPlace::Session && open.session == session;
        let Self { deliveries, outputs, .. } = self;
        outputs.retain(|output| match output {
            Output::SendDeliver { delivery, .. } => !deliveries.get(delivery.0).is_some_and(is_there),
            _ => true,
        });
        for key in self.deliveries.keys_of(is_there) {
            self.delivery_lost(now, key);
        }
    }
}
