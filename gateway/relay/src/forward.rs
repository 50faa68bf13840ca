//! Sending on: from a customer's request to a vendor's link, and again when that one fails it.

use crate::admit::{Submission, admit};
use crate::choice::{Choice, Here, first_choice};
use crate::circuit::Outcome;
use crate::in_flight::addresses_in;
use crate::input::Arrival;
use crate::limit::{Charges, segments};
use crate::message::{HandOver, Key, LinkKey, MessageEvent, MessageKey, ShardIndex};
use crate::mutation::mutated;
use crate::open::{Message, Origin, Place};
use crate::output::Output;
use crate::refusal::Refusal;
use crate::relay::{Party, Relay};
use crate::resubmit::Novelty;
use crate::route::{CampaignId, Encoding, RouteQuestion, mix};
use crate::shard_message::{ShardMessage, SubmitOutcome};
use crate::snapshot::{Correlate, Mode};
use crate::together::PartOf;
use crate::vendor::Way;
use smpp::field::CommandStatus;
use smpp::text::message_id::GatewayId;
use smpp::time::Instant;
use smpp::wire::Frame;

/// What became of a request that was let in.
enum Entered {
    /// A message.
    New(Key),
    /// Nothing: it is an earlier one, accepted under this id.
    Duplicate(GatewayId),
}

impl Relay {
    /// A customer's request, from its first check to its place. One answer follows, now or later.
    #[inline]
    pub(crate) fn submit(&mut self, arrival: Arrival, frame: Frame<'_>, submission: &Submission<'_>) {
        self.counters.traffic.submits += 1;
        let (status, message_id) = match self.enter(&arrival, frame, submission) {
            Ok(Entered::New(key)) => return self.begin(arrival.now, key, submission),
            Ok(Entered::Duplicate(id)) => {
                self.counters.traffic.submits_duplicate += 1;
                self.record_duplicate(&arrival, frame.sequence_number(), submission, id);
                (CommandStatus::ESME_ROK, Some(id))
            }
            Err(refusal) => {
                self.count_refusal(refusal);
                self.record_refusal(&arrival, frame.sequence_number(), submission, refusal);
                (refusal.status(), None)
            }
        };
        self.outputs.push_back(Output::AnswerSubmit {
            link: arrival.link,
            sequence: frame.sequence_number(),
            command: submission.command.response(),
            status,
            message_id,
        });
    }

    /// An admitted message goes on its way: to the spool first where its customer's mode says so.
    fn begin(&mut self, now: Instant, key: Key, submission: &Submission<'_>) {
        match self.accounts[self.messages[key].account].mode {
            Mode::Relay => self.settle(now, key),
            Mode::StoreAndForward => self.spool_message(now, key, submission.validity_period),
        }
    }

    /// Everything before the first choice of a vendor.
    #[inline]
    fn enter(
        &mut self,
        arrival: &Arrival,
        frame: Frame<'_>,
        submission: &Submission<'_>,
    ) -> Result<Entered, Refusal> {
        let Some(Party::Customer(session_key)) = self.parties.get(&arrival.link).copied() else {
            return Err(Refusal::MayNotSubmit);
        };
        if self.draining {
            return Err(Refusal::Draining);
        }
        if self.records.is_full() {
            return Err(Refusal::RecordsFull);
        }
        let session = &self.sessions[session_key];
        let limits = self.snapshot.limits();
        let length = frame.bytes().len();
        admit(session, arrival.over_window, length, arrival.unix_seconds, submission, limits)?;
        let place = session.account;
        let account = self.accounts.current(place, &self.snapshot);
        if !account.known {
            return Err(Refusal::MayNotSubmit);
        }
        let account = &self.snapshot.accounts()[account.snapshot_place as usize];
        if !account.sources.allow(submission.source) {
            return Err(Refusal::SourceNotAllowed);
        }
        if !self.snapshot.may_send_from(account, submission.source) && !mutated!(self, SourceOfAnyone) {
            return Err(Refusal::SourceOfOther);
        }
        if !self.receipts_room && submission.wants_receipt() {
            return Err(Refusal::ReceiptsFull);
        }
        let charges = self.charges(session_key, arrival, submission)?;
        let entered = self.enter_charged(arrival, frame, submission, session_key, charges.campaign);
        match entered {
            Ok(Entered::New(_)) => self.limiter.take(&charges),
            _ => self.limiter.leave(&charges),
        }
        entered
    }

    /// What the message costs, once it is known that all its limits have it. Its customer's have been paid: they count
    /// what is submitted, the others what is let in.
    #[inline]
    fn charges(
        &mut self,
        session: Key,
        arrival: &Arrival,
        submission: &Submission<'_>,
    ) -> Result<Charges, Refusal> {
        let now = arrival.now;
        self.limiter.set_time(arrival.unix_seconds);
        let pace = &mut self.sessions[session].pace;
        if !pace.has(now) {
            return Err(Refusal::BindRateOver);
        }
        let mut own = Charges::NONE;
        own.add(self.accounts[self.sessions[session].account].limit, 1);
        let mut carried = Charges::NONE;
        if let Some(number) = self.snapshot.limit_table().of_source(submission.source) {
            let tokens = segments(submission);
            carried.campaign = number.campaign;
            carried.add(number.own, tokens);
            if number.asks_carrier() {
                let network = self.snapshot.networks().find(submission.destination);
                let (campaign, day) = number.to(self.snapshot.limit_table().carrier(network));
                carried.add(campaign, tokens);
                carried.add(day, tokens);
            }
        }
        self.limiter.check(now, &own)?;
        self.limiter.check(now, &carried).inspect_err(|_| self.limiter.leave(&own))?;
        self.limiter.take(&own);
        self.sessions[session].pace.take(now);
        Ok(carried)
    }

    /// The rest of the way in, limits apart.
    #[inline]
    fn enter_charged(
        &mut self,
        arrival: &Arrival,
        frame: Frame<'_>,
        submission: &Submission<'_>,
        session_key: Key,
        campaign: Option<CampaignId>,
    ) -> Result<Entered, Refusal> {
        let place = self.sessions[session_key].account;
        let account = self.accounts[place].id;
        let (novelty, fingerprint) = self.novelty(arrival.now, place, submission);
        match novelty {
            Novelty::New => {}
            Novelty::Open => return Err(Refusal::DuplicateOpen),
            Novelty::Accepted(id) => return Ok(Entered::Duplicate(id)),
        }
        let encoding = Encoding::of(submission.data_coding);
        let plan = self.snapshot.route(&RouteQuestion {
            account,
            source: submission.source,
            destination: submission.destination,
            campaign,
            encoding,
            unix_seconds: arrival.unix_seconds,
        });
        let plan = self.check_form(plan, frame, submission)?;
        let (key, message) = self.messages.insert().ok_or(Refusal::MessagesFull)?;
        self.drawn = self.drawn.wrapping_add(1);
        message.reset();
        message.origin =
            Origin::Customer { session: session_key, link: arrival.link, sequence: frame.sequence_number() };
        message.command = submission.command;
        message.wants_receipt = submission.wants_receipt();
        message.registered = submission.registered_delivery;
        message.urgent = submission.urgent;
        message.account = place;
        if message.wants_receipt && self.snapshot.correlate() != Correlate::None {
            message.addresses = submission.addresses();
        }
        message.part_of = submission.part().map(|part| PartOf::new(account, submission.addresses(), &part));
        message.plan = plan;
        message.encoding = encoding;
        message.reserved = submission.reserved;
        message.unsayable = submission.unsayable;
        message.epoch = self.epoch;
        message.draw = mix(self.options.seed ^ self.drawn);
        message.gateway_id = self.ids.next(arrival.unix_seconds);
        message.submitted_at = arrival.unix_seconds as u32; // fits till 2106
        self.spare.fill(&mut message.pdu, frame.bytes());
        message.step(MessageEvent::Admit);
        if let Some(fingerprint) = fingerprint {
            self.remember_submit(arrival.now, key, fingerprint);
        }
        self.record_submit(arrival.now, key, frame.sequence_number(), submission);
        Ok(Entered::New(key))
    }

    /// Another shard's submit on one of our binds.
    pub(crate) fn serve(
        &mut self,
        now: Instant,
        from: ShardIndex,
        hand_over: HandOver,
        vendor: crate::message::VendorId,
        addresses: u64,
        pdu: Vec<u8>,
    ) {
        self.counters.traffic.remote_served += 1;
        let place = self.vendors.place(&self.snapshot, vendor);
        let slot = if place.is_some() { self.messages.insert() } else { None };
        let (Some(vendor), Some((key, message))) = (place, slot) else {
            let done = ShardMessage::SubmitDone { hand_over, outcome: SubmitOutcome::Unsent, pdu };
            self.shard_messages.push_back((from, done));
            return;
        };
        message.reset();
        message.origin = Origin::Shard { shard: from, hand_over };
        message.vendor = vendor;
        message.addresses = addresses;
        self.spare.swap(&mut message.pdu, pdu);
        message.step(MessageEvent::Admit);
        self.settle(now, key);
    }

    /// Finds an admitted message a place, or refuses it.
    #[inline]
    pub(crate) fn settle(&mut self, now: Instant, key: Key) {
        match self.choose(now, key) {
            Choice::Full => self.refuse(key, Refusal::QueueFull),
            Choice::Down => self.refuse(key, self.why_down(key)),
            choice => self.put(now, key, choice),
        }
    }

    /// The best place for one more try.
    #[inline]
    pub(crate) fn choose(&mut self, now: Instant, key: Key) -> Choice {
        if self.messages[key].epoch != self.epoch {
            self.route_again(key);
        }
        let Self { snapshot, vendors, vendor_links, messages, health, limiter, .. } = self;
        let message = &messages[key];
        let queue_max = snapshot.limits().queue_max;
        if message.origin.is_served() {
            let place = message.vendor;
            let vendor = &mut vendors[place];
            if vendor.through_nodes && matches!(message.origin, Origin::Node { .. }) {
                return Choice::Down; // another node's message never goes to a third
            }
            return match vendor.way_of(now, vendor_links, limiter, queue_max, place, false) {
                (_, Choice::Shard { .. }) => Choice::Down, // it came here because we had a bind
                (_, choice) => choice,
            };
        }
        if let Some(part) = message.part_of {
            return self.choose_together(now, key, part);
        }
        let roams = message.returns < snapshot.limits().attempts_max;
        let plan = snapshot.routes().plan(message.plan);
        let (draw, encoding) = (message.draw, message.encoding);
        let mut here = Here { now, snapshot, vendors, links: vendor_links, limiter, health, message, roams };
        let choice = first_choice(plan, draw, encoding, &mut here);
        if choice == Choice::Full {
            self.counters.traffic.queue_full += 1;
        }
        choice
    }

    /// A new snapshot came since the message was routed.
    pub(crate) fn route_again(&mut self, key: Key) {
        let message = &mut self.messages[key];
        message.epoch = self.epoch;
        if message.origin.is_served() {
            return;
        }
        let (source, destination) = addresses_in(&message.pdu);
        let unix_seconds = u64::from(message.submitted_at).max(self.spool.unix_seconds().into());
        let plan = self.snapshot.route(&RouteQuestion {
            account: self.accounts[message.account].id,
            source,
            destination,
            campaign: self.snapshot.limit_table().campaign_of(source),
            encoding: message.encoding,
            unix_seconds,
        });
        message.plan = plan.unwrap_or(self.snapshot.routes().nowhere());
    }

    /// Carries a choice out.
    #[inline]
    pub(crate) fn put(&mut self, now: Instant, key: Key, choice: Choice) {
        self.records.routed(now, key);
        match choice {
            Choice::Link { vendor, link } => self.hand(now, key, vendor, link),
            Choice::Queue { vendor } => {
                let fresh = self.messages[key].vendor != vendor;
                if fresh {
                    self.messages[key].deadline = Instant::default();
                }
                self.enqueue(now, key, vendor, false);
            }
            Choice::Shard { vendor, shard } => self.send_to_shard(now, key, vendor, shard),
            Choice::Full | Choice::Down => unreachable!("no place to carry out"),
        }
    }

    #[inline]
    fn hand(&mut self, now: Instant, key: Key, vendor: u16, link: Key) {
        let message = &mut self.messages[key];
        self.records.handed(now, key, self.vendors[vendor].id);
        message.step(MessageEvent::Hand);
        message.place = Place::Link;
        message.vendor = vendor;
        message.link = link;
        let bind = &mut self.vendor_links[link];
        bind.in_flight += 1;
        self.note_sent(now, key);
        self.forget_older(key);
        self.rewrite_addresses(key);
        self.say_to_vendor(key, link);
        let bind = &self.vendor_links[link];
        self.counters.traffic.node_forwards += u64::from(bind.leads_to_node);
        self.vendors[vendor].traffic.sends += 1;
        self.counters.traffic.vendor_sends += 1;
        let output = Output::SendSubmit { link: bind.link, message: MessageKey(key) };
        if self.must_be_noted(key) {
            self.note_sending(key);
        } else {
            self.outputs.push_back(output);
        }
        self.enter_link(key);
        #[cfg(feature = "mutations")]
        self.answer_at_once(key, crate::mutation::Mutation::AnswerBeforeVendor);
    }

    pub(crate) fn enqueue(&mut self, now: Instant, key: Key, vendor: u16, front: bool) {
        let message = &mut self.messages[key];
        message.step(MessageEvent::Wait);
        message.place = Place::Queue;
        message.vendor = vendor;
        if message.deadline == Instant::default() {
            message.deadline = now + self.snapshot.limits().queue_wait_max;
            self.counters.traffic.queued += 1; // not again for one that only comes back
        }
        let front = front || mutated!(self, LastFirst);
        let queue = &mut self.vendors[vendor].queue;
        if front {
            self.messages.push_front(queue, key);
        } else {
            self.messages.push_back(queue, key);
        }
    }

    fn send_to_shard(&mut self, now: Instant, key: Key, vendor: u16, shard: ShardIndex) {
        let deadline = now + self.snapshot.limits().remote_wait_max;
        let state = &mut self.vendors[vendor];
        state.elsewhere_mut(shard).open += 1;
        let id = state.id;
        let message = &mut self.messages[key];
        self.records.handed(now, key, id);
        message.step(MessageEvent::Hand);
        message.place = Place::Shard(shard);
        message.vendor = vendor;
        message.deadline = deadline;
        self.note_sent(now, key);
        self.forget_older(key);
        self.rewrite_addresses(key);
        let policy = self.policy(key);
        let message = &mut self.messages[key];
        message.policy = Some(policy);
        let hand_over = message.hand_over(key);
        self.messages.push_back(&mut self.remote_waits, key);
        self.counters.traffic.remote_submits += 1;
        if self.must_be_noted(key) {
            return self.note_sending(key);
        }
        self.hand_over(hand_over, shard);
    }

    /// Sends what waits for a vendor, as far as there are slots.
    pub(crate) fn dispatch(&mut self, now: Instant, vendor: u16) {
        while let Some(key) = self.messages.first(&self.vendors[vendor].queue) {
            if self.is_abandoned(key) {
                self.messages.remove(&mut self.vendors[vendor].queue, key);
                self.messages[key].step(MessageEvent::Expire);
                self.counters.traffic.submits_abandoned += 1;
                self.close_message(key);
                continue;
            }
            let way = self.vendors[vendor].way(now, &mut self.vendor_links, &mut self.limiter);
            let Way::Link(link) = way else { break };
            self.messages.remove(&mut self.vendors[vendor].queue, key);
            self.hand(now, key, vendor, link);
        }
    }

    /// True when the customer's session has gone: it will send again what it got no answer for.
    pub(crate) fn is_abandoned(&self, key: Key) -> bool {
        match self.messages[key].origin {
            Origin::Customer { session, .. } => self.sessions.get(session).is_none(),
            Origin::Shard { .. } | Origin::Spool { .. } => false,
            Origin::Node { link, .. } => !self.parties.contains_key(&link),
        }
    }

    /// Waiting messages of a vendor without binds here look for another place, in order. Parts whose message is with this
    /// vendor wait on: each is looked at once.
    pub(crate) fn evacuate(&mut self, now: Instant, vendor: u16) {
        for _ in 0..self.vendors[vendor].queue.len() {
            let Some(key) = self.messages.first(&self.vendors[vendor].queue) else { return };
            self.messages.remove(&mut self.vendors[vendor].queue, key);
            self.messages[key].step(MessageEvent::ProveUnsent);
            self.messages[key].place = Place::Hands;
            self.settle(now, key);
        }
    }

    /// Ends waits for a slot that took too long. Those behind one another have later deadlines, but for messages that
    /// came back: they stand at the head with new ones, and are looked past. They are no more than links had slots.
    pub(crate) fn expire_queue(&mut self, now: Instant, vendor: u16) {
        let mut next = self.messages.first(&self.vendors[vendor].queue);
        while let Some(key) = next {
            next = self.messages.after(key);
            let message = &self.messages[key];
            if message.deadline <= now {
                self.messages.remove(&mut self.vendors[vendor].queue, key);
                if mutated!(self, ForgetExpired) {
                    self.close_message(key);
                    continue;
                }
                self.expire_unsent(key);
            } else if message.returns == 0 {
                break;
            }
        }
    }

    /// A message was handed out and is back: its next wait gets a deadline of its own, as often as there are attempts.
    pub(crate) fn came_unsent(&mut self, key: Key) {
        let attempts_max = self.snapshot.limits().attempts_max;
        let message = &mut self.messages[key];
        if message.returns < attempts_max {
            message.returns += 1;
            message.deadline = Instant::default();
        }
    }

    /// A message comes back from a link that provably did not send it: to the head of the queue, so that order is
    /// kept, or elsewhere when the vendor has no bind here any more.
    pub(crate) fn take_back(&mut self, now: Instant, key: Key) {
        self.leave_link(key);
        let message = &mut self.messages[key];
        message.step(MessageEvent::ProveUnsent);
        message.place = Place::Hands;
        self.records.unsent(key);
        self.counters.traffic.vendor_unsent += 1;
        let vendor = message.vendor;
        if self.vendors[vendor].links.is_empty() {
            self.settle(now, key);
        } else {
            self.enqueue(now, key, vendor, true);
        }
    }

    /// What was handed to a link and not yet carried out goes back to the head of the queue, the last one first, so
    /// that it waits there in its old order. One pass over the outputs; those of other links keep their order.
    pub(crate) fn recall(&mut self, now: Instant, link: Key) {
        self.recall_noting(now, link);
        for _ in 0..self.outputs.len() {
            let Some(output) = self.outputs.pop_back() else { break };
            match output {
                Output::SendSubmit { message, .. } if self.written_on(message) == Some(link) => {
                    self.free_slot(link);
                    self.recall_one(now, message.0);
                }
                output => self.outputs.push_front(output),
            }
        }
    }

    /// A copy was counted that never reached a link.
    pub(crate) fn forget_send(&mut self, vendor: u16) {
        self.vendors[vendor].traffic.sends -= 1;
        self.counters.traffic.vendor_sends -= 1;
    }

    /// The outcome of a written message will never be known.
    pub(crate) fn lose(&mut self, now: Instant, key: Key) {
        if self.messages[key].place == Place::Link {
            self.leave_link(key);
        }
        self.note_ended(now, key, Outcome::Failed);
        let message = &mut self.messages[key];
        message.step(MessageEvent::Lose);
        message.place = Place::Hands;
        let vendor = message.vendor;
        message.remember_try(vendor);
        let is_second = core::mem::replace(&mut message.maybe_sent, true);
        message.maybe_twice |= is_second;
        message.unknown_copies = message.unknown_copies.saturating_add(1);
        if is_second {
            self.records.maybe_twice(key);
        }
        self.vendors[vendor].traffic.unknown += 1;
        self.counters.traffic.vendor_unknown += 1;
        self.follow_policy(now, key);
    }

    /// The link that carries a message, when `message` is written on one.
    pub(crate) fn written_on(&self, message: MessageKey) -> Option<Key> {
        let open = self.messages.get(message.0)?;
        (open.place == Place::Link && !open.is_noting).then_some(open.link)
    }

    /// One slot of a bind's window is free again. The bind may be gone.
    #[inline]
    pub(crate) fn free_slot(&mut self, link: Key) {
        if mutated!(self, LeakSlot) {
            return;
        }
        if let Some(bind) = self.vendor_links.get_mut(link) {
            debug_assert!(bind.in_flight > 0);
            bind.in_flight = bind.in_flight.saturating_sub(1);
        }
    }

    /// A bind of ours is closed: its messages move on.
    pub(crate) fn lose_link(
        &mut self,
        now: Instant,
        link: LinkKey,
        written: &[MessageKey],
        unsent: &[MessageKey],
    ) {
        let Some(Party::Vendor(link_key)) = self.parties.remove(&link) else { return };
        let vendor = self.vendor_links[link_key].vendor;
        let was_sender = self.vendors[vendor].drop_link(link_key);
        self.recall(now, link_key);
        let mut in_flight = self.vendor_links[link_key].in_flight;
        self.vendor_links.close(link_key);
        let is_ours = |relay: &Self, key: &MessageKey| relay.written_on(*key) == Some(link_key);
        if self.vendors[vendor].links.is_empty() {
            for key in unsent {
                if is_ours(self, key) {
                    in_flight = in_flight.saturating_sub(1);
                    self.note_ended(now, key.0, Outcome::Void);
                    self.came_unsent(key.0);
                    self.take_back(now, key.0);
                }
            }
            self.evacuate(now, vendor);
        } else {
            for key in unsent.iter().rev() {
                if is_ours(self, key) {
                    in_flight = in_flight.saturating_sub(1);
                    self.note_ended(now, key.0, Outcome::Void);
                    self.came_unsent(key.0);
                    self.take_back(now, key.0);
                }
            }
        }
        self.evacuate_for_nodes(now, vendor);
        for key in written {
            if is_ours(self, key) {
                in_flight = in_flight.saturating_sub(1);
                self.lose(now, key.0);
            }
        }
        if in_flight > 0 {
            self.lose_unlisted(now, link_key);
        }
        self.dispatch(now, vendor);
        if was_sender {
            self.announce_vendor(vendor);
        }
    }

    /// Messages on a closed link that its lists did not name, which is a fault there: whether they were sent nobody
    /// knows, and without this they would stay open for ever. One pass over all slots, only after such a fault.
    fn lose_unlisted(&mut self, now: Instant, link: Key) {
        let is_there = |message: &Message| message.place == Place::Link && message.link == link;
        for key in self.messages.keys_of(is_there) {
            self.lose(now, key);
        }
    }
}
