//! Store and forward: a message is acknowledged once the spool has it, then goes the way of all messages, and comes
//! back from the spool until a vendor took it or its customer can be told that none did.
//!
//! ```text
//!  admitted -> spool: Accept -> customer: status 0 -> forward -> vendor: status 0 -> correlation -> spool: Settle
//!                                                     ^    |
//!                   spool: Due (after a while, a       |    +-> temporary, busy, away, unknown -> spool: Defer --+
//!                   restart, when a vendor is back) ---+    +-> for good, or validity over                       |
//!                        ^                                        |                                             |
//!                        +----------------------------------------|---------------------------------------------+
//!                                                                 +-> receipt of ours, taken or parked -> Settle
//! ```

use crate::arena::List;
use crate::form::Form;
use crate::in_flight::addresses;
use crate::message::{AccountId, Key, MessageEvent, MessageKey, MessageState};
use crate::mutation::mutated;
use crate::open::{DeliveryPlace, Origin, Place, Sender};
use crate::output::Output;
use crate::refusal::Refusal;
use crate::relay::Relay;
use crate::route::{RouteQuestion, mix};
use crate::snapshot::{Correlate, SpoolRules, UnknownOutcome};
use crate::spool_op::{Fate, SpoolAnswer, SpoolEntry, SpoolOp, SpoolOutage, UNTIL_ITS_END};
use crate::spool_pdu;
use crate::together::PartOf;
use core::time::Duration;
use smpp::field::{CommandId, CommandStatus, MessageState as FinalState, StatusClass};
use smpp::text::message_id::GatewayId;
use smpp::time::Instant;
use std::collections::VecDeque;

/// How long the spool may take to keep a message; then its customer is told that nobody knows whether it does. A disk that
/// syncs takes milliseconds, a bad one a second.
pub(crate) const ACCEPT_WAIT_MAX: Duration = Duration::from_secs(5);
/// Messages on their first way to a vendor that are open in one shard after their acknowledgement; one more is left in
/// the spool and comes back as due. Less than a vendor's queue holds, so that customers of the other mode find room.
const FRESH_MAX: u32 = 4_096;
/// The same for messages that came back from the spool. A room of their own, so that neither keeps the other out.
const AGAIN_MAX: u32 = 2_048;
/// Messages that the spool hands out at a time; each costs it a read.
const PAGE_MAX: u32 = 256;
/// How soon to ask again what is due, when nothing more was.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// First and longest pause after a busy vendor: it is there, and a slot soon free. Within the rules' own bounds.
const BUSY_FIRST: Duration = Duration::from_secs(1);
const BUSY_MAX: Duration = Duration::from_secs(60);
/// No validity is longer, and no receipt of ours is offered longer: what a correlation lives at most.
pub(crate) const VALIDITY_MAX: Duration = Duration::from_secs(7 * 86_400);

/// What a relay remembers of its spool.
#[derive(Debug, Default)]
pub(crate) struct Spool {
    pub(crate) ops: VecDeque<SpoolOp>,
    /// Messages that wait for the spool to keep them, by deadline.
    waits: List,
    /// Messages that have a slot of a link, and wait for the spool to note that they go, in the order of that.
    pub(crate) noting: List,
    /// At most [`FRESH_MAX`].
    fresh: u32,
    /// At most [`AGAIN_MAX`].
    again: u32,
    /// A page was asked for and has not come.
    asked: bool,
    ask_at: Instant,
    /// The wall clock as last heard of.
    unix_seconds: u32,
}

/// Why a message waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pause {
    /// There was no room for it in this shard.
    None,
    /// A vendor is there and takes no more.
    Busy,
    /// No vendor is there, or it failed.
    Failed,
}

/// What a decided message leaves behind.
struct Decided {
    gateway_id: GatewayId,
    account: AccountId,
    accepted_at: u32,
    tries: u16,
    fate: Fate,
}

impl Spool {
    /// The wall clock as last heard of.
    pub(crate) fn unix_seconds(&self) -> u32 {
        self.unix_seconds
    }
}

impl Relay {
    /// The next thing that the spool shall do.
    pub fn poll_spool(&mut self) -> Option<SpoolOp> {
        self.spool.ops.pop_front()
    }

    /// What the spool answered.
    pub fn handle_spool_answer(&mut self, now: Instant, answer: SpoolAnswer) {
        match answer {
            SpoolAnswer::Accepted { message, gateway_id, outcome, pdu } => {
                self.spooled(now, message.0, gateway_id, outcome, pdu);
            }
            SpoolAnswer::Noted { message, gateway_id, outcome } => {
                self.noted(now, message.0, gateway_id, outcome);
            }
            SpoolAnswer::Due { unix_seconds, entries, more } => {
                self.spool.asked = false;
                self.spool.ask_at = if more { now } else { now + ASK_EVERY };
                self.spool.unix_seconds = self.spool.unix_seconds.max(unix_seconds);
                for entry in entries {
                    self.take_again(now, entry);
                }
                self.ask_spool(now);
            }
        }
    }

    /// An admitted message of a customer whose mode this is.
    pub(crate) fn spool_message(&mut self, now: Instant, key: Key, validity_period: &[u8]) {
        let default = self.snapshot.spool().map_or(VALIDITY_MAX, |rules| rules.validity);
        let message = &mut self.messages[key];
        let accepted_at = message.submitted_at;
        let validity = spool_pdu::validity(validity_period, accepted_at, default).min(VALIDITY_MAX);
        message.place = Place::Spool;
        message.deadline = now + ACCEPT_WAIT_MAX;
        self.spool.unix_seconds = self.spool.unix_seconds.max(accepted_at);
        self.spool.ops.push_back(SpoolOp::Accept {
            message: MessageKey(key),
            gateway_id: message.gateway_id,
            account: self.accounts[message.account].id,
            accepted_at,
            expires_at: accepted_at.saturating_add(validity.as_secs() as u32),
            pdu: core::mem::take(&mut message.pdu),
        });
        self.messages.push_back(&mut self.spool.waits, key);
        #[cfg(feature = "mutations")]
        self.answer_at_once(key, crate::mutation::Mutation::AcknowledgeBeforeDurable);
    }

    /// The spool keeps it now, or cannot.
    fn spooled(
        &mut self,
        now: Instant,
        key: Key,
        gateway_id: GatewayId,
        outcome: Result<(), SpoolOutage>,
        pdu: Vec<u8>,
    ) {
        let waits = |open: &crate::open::Message| open.place == Place::Spool && open.gateway_id == gateway_id;
        if !self.messages.get(key).is_some_and(waits) {
            self.counters.traffic.stale_events += 1;
            if outcome.is_ok() {
                self.spool.ops.push_back(SpoolOp::Settle { gateway_id }); // its customer was refused meanwhile
            }
            return self.spare.keep(pdu);
        }
        self.messages.remove(&mut self.spool.waits, key);
        let message = &mut self.messages[key];
        message.place = Place::Hands;
        message.deadline = Instant::default();
        self.spare.swap(&mut message.pdu, pdu);
        match outcome {
            Ok(()) => self.acknowledge_spooled(now, key),
            Err(SpoolOutage::Full) => self.refuse(key, Refusal::SpoolFull),
            Err(SpoolOutage::Away) => self.refuse(key, Refusal::SpoolAway),
        }
    }

    /// The spool has not said in time whether it has a message. What is in its files then may outlive this process before
    /// the late answer to it has come: a no would be untrue, so its customer is told that nobody knows.
    fn spool_is_late(&mut self, key: Key) {
        if mutated!(self, RefuseLate) {
            return self.refuse(key, Refusal::SpoolAway);
        }
        self.counters.spool.late += 1;
        self.messages[key].step(MessageEvent::Expire);
        self.answer_unknown(key);
    }

    /// The message is durable: its customer is told so, and the gateway owes it from now on.
    fn acknowledge_spooled(&mut self, now: Instant, key: Key) {
        let message = &mut self.messages[key];
        let gateway_id = message.gateway_id;
        assert!(message.state == MessageState::Admitted);
        let Origin::Customer { session, link, sequence } = message.origin else { return };
        if self.sessions.get(session).is_none() {
            // Never acknowledged, so the customer sends it again.
            message.step(MessageEvent::Expire);
            self.counters.traffic.submits_abandoned += 1;
            self.spool.ops.push_back(SpoolOp::Settle { gateway_id });
            return self.close_message(key);
        }
        let command = message.command.response();
        let (status, message_id) = (CommandStatus::ESME_ROK, Some(gateway_id));
        self.outputs.push_back(Output::AnswerSubmit { link, sequence, command, status, message_id });
        self.counters.traffic.submits_accepted += 1;
        self.counters.spool.accepted += 1;
        self.record_acknowledged(now, key);
        let message = &mut self.messages[key];
        message.origin = Origin::Spool { tries: 0, again: false };
        self.resubmits.accept(core::mem::replace(&mut message.resubmit, Key::NONE));
        self.spool.fresh += 1;
        if self.draining || self.spool.fresh > FRESH_MAX {
            self.messages[key].step(MessageEvent::Expire);
            return self.defer(key, Pause::None);
        }
        self.settle(now, key);
    }

    /// A message comes from the spool.
    fn take_again(&mut self, now: Instant, entry: SpoolEntry) {
        self.counters.spool.handed_out += 1;
        let fate = match entry.fate {
            Some(fate) => fate, // told before, in vain
            None if entry.left.is_zero() => {
                let is_unknown = entry.unknown_copies > 0;
                let state = if is_unknown { FinalState::Unknown } else { FinalState::Expired };
                self.count_fate(state);
                let fate = Fate { state, status: CommandStatus::ESME_ROK };
                self.record_given_up(now, &entry, fate);
                fate
            }
            None if entry.is_last => return self.end_unknown(now, entry),
            None if self.has_copies_enough(entry.unknown_copies) => {
                return self.defer_entry(entry, UNTIL_ITS_END);
            }
            None => return self.send_again(now, entry),
        };
        let SpoolEntry { gateway_id, account, accepted_at, tries, pdu, .. } = entry;
        self.tell_fate(now, &Decided { gateway_id, account, accepted_at, tries, fate }, pdu);
    }

    /// An earlier process, or a shard that is gone, sent a copy, and no other may follow: nobody knows what became of it.
    fn end_unknown(&mut self, now: Instant, entry: SpoolEntry) {
        let fate = Fate { state: FinalState::Unknown, status: CommandStatus::ESME_RUNKNOWNERR };
        self.end_entry(now, entry, fate);
    }

    fn send_again(&mut self, now: Instant, mut entry: SpoolEntry) {
        match self.strict_of_kept(entry.pdu, [CommandId::SUBMIT_SM, CommandId::DATA_SM]) {
            Ok(pdu) => entry.pdu = pdu,
            Err((pdu, error)) => {
                entry.pdu = pdu;
                return self.reject_spooled(now, entry, error.status());
            }
        }
        let Some(view) = spool_pdu::View::of(&entry.pdu) else {
            return self.reject_spooled(now, entry, CommandStatus::ESME_RSYSERR);
        };
        let (command, wants_receipt) = (view.command, view.wants_receipt);
        let (encoding, urgent, registered) = (view.encoding, view.urgent, view.registered);
        let addresses = addresses(view.source.digits, view.destination.digits);
        let plan = self.snapshot.route(&RouteQuestion {
            account: entry.account,
            source: view.source.digits,
            destination: view.destination.digits,
            campaign: self.snapshot.limit_table().campaign_of(view.source.digits),
            encoding,
            unix_seconds: self.spool.unix_seconds.into(),
        });
        let plan = plan.unwrap_or(self.snapshot.routes().nowhere());
        let form = Form { length: entry.pdu.len(), reserved: view.reserved, unsayable: view.unsayable };
        if let Some(refusal) = self.form_refusal(self.snapshot.routes().plan(plan), form) {
            return self.reject_spooled(now, entry, refusal.status());
        }
        let (reserved, unsayable, part) = (view.reserved, view.unsayable, view.part);
        // Its customer may be configured away: what was acknowledged is owed all the same.
        let account = self.accounts.place_any(&self.snapshot, entry.account);
        let has_room = account.is_some() && !self.draining && self.spool.again < AGAIN_MAX;
        let slot = if has_room { self.messages.insert() } else { None };
        let (Some(account), Some((key, message))) = (account, slot) else { return self.put_back(entry) };
        self.drawn = self.drawn.wrapping_add(1);
        message.reset();
        message.origin = Origin::Spool { tries: entry.tries, again: true };
        message.command = command;
        message.wants_receipt = wants_receipt;
        message.registered = registered;
        message.urgent = urgent;
        if wants_receipt && self.snapshot.correlate() != Correlate::None {
            message.addresses = addresses;
        }
        message.part_of = part.map(|part| PartOf::new(entry.account, addresses, &part));
        message.maybe_sent = entry.unknown_copies > 0;
        message.unknown_copies = entry.unknown_copies;
        message.account = account;
        message.plan = plan;
        message.encoding = encoding;
        message.reserved = reserved;
        message.unsayable = unsayable;
        message.epoch = self.epoch;
        message.draw = mix(self.options.seed ^ self.drawn);
        message.gateway_id = entry.gateway_id;
        message.submitted_at = entry.accepted_at;
        self.spare.swap(&mut message.pdu, entry.pdu);
        let waited = Duration::from_secs(self.spool.unix_seconds.saturating_sub(entry.accepted_at).into());
        spool_pdu::shorten_times(&mut message.pdu, entry.left, waited);
        message.step(MessageEvent::Admit);
        self.spool.again += 1;
        self.record_way(now, key);
        self.settle(now, key);
    }

    /// A message from the spool that no vendor will get: its customer is told, if it asked to be.
    fn reject_spooled(&mut self, now: Instant, entry: SpoolEntry, status: CommandStatus) {
        let is_unknown = entry.unknown_copies > 0;
        let state = if is_unknown { FinalState::Unknown } else { FinalState::Undeliverable };
        self.end_entry(now, entry, Fate { state, status });
    }

    fn end_entry(&mut self, now: Instant, entry: SpoolEntry, fate: Fate) {
        self.count_fate(fate.state);
        self.record_given_up(now, &entry, fate);
        let SpoolEntry { gateway_id, account, accepted_at, tries, pdu, .. } = entry;
        self.tell_fate(now, &Decided { gateway_id, account, accepted_at, tries, fate }, pdu);
    }

    /// What was handed out finds no room: as it was, a little later.
    fn put_back(&mut self, entry: SpoolEntry) {
        self.defer_entry(entry, ASK_EVERY);
    }

    pub(crate) fn defer_entry(&mut self, entry: SpoolEntry, after: Duration) {
        let SpoolEntry { gateway_id, tries, unknown_copies, pdu, .. } = entry;
        self.spare.keep(pdu);
        self.spool.ops.push_back(SpoolOp::Defer { gateway_id, after, tries, unknown_copies, fate: None });
    }

    /// True for a message whose customer has its answer already.
    pub(crate) fn is_spooled(&self, key: Key) -> bool {
        matches!(self.messages[key].origin, Origin::Spool { .. })
    }

    /// A vendor took a spooled message, and its correlation is kept or given up.
    pub(crate) fn settle_spooled(&mut self, key: Key) {
        assert!(self.messages[key].state == MessageState::Acked);
        self.record_settled(key, None);
        let gateway_id = self.leave_spooled(key);
        self.counters.spool.settled += 1;
        self.spool.ops.push_back(SpoolOp::Settle { gateway_id });
    }

    /// No vendor of the plan took a spooled message in this round: the last one said no.
    pub(crate) fn spooled_rejected(&mut self, now: Instant, key: Key, status: CommandStatus) {
        self.messages[key].step(MessageEvent::Refuse);
        match self.class_of(self.messages[key].vendor, status) {
            StatusClass::Throttled => self.defer(key, Pause::Busy),
            StatusClass::Temporary if status == CommandStatus::ESME_RMSGQFUL => self.defer(key, Pause::Busy),
            StatusClass::Temporary => self.defer(key, Pause::Failed),
            StatusClass::Ok | StatusClass::Permanent => {
                let state = match status {
                    _ if self.messages[key].maybe_sent => FinalState::Unknown,
                    CommandStatus::ESME_RX_R_APPN => FinalState::Rejected,
                    _ => FinalState::Undeliverable,
                };
                self.decide(now, key, Fate { state, status });
            }
        }
    }

    /// Our no to a spooled message: for this round only.
    pub(crate) fn spooled_refused(&mut self, key: Key, refusal: Refusal) {
        let is_busy = matches!(refusal, Refusal::QueueFull | Refusal::QueueExpired);
        self.defer(key, if is_busy { Pause::Busy } else { Pause::Failed });
    }

    /// Nobody knows whether the vendor has a spooled message.
    pub(crate) fn spooled_lost(&mut self, now: Instant, key: Key) {
        if self.policy(key) == UnknownOutcome::RetryOther {
            return self.defer(key, Pause::Failed);
        }
        let fate = Fate { state: FinalState::Unknown, status: CommandStatus::ESME_RUNKNOWNERR };
        self.decide(now, key, fate);
    }

    /// Back into the spool, for a pause that grows with the number of tries.
    fn defer(&mut self, key: Key, pause: Pause) {
        let Origin::Spool { tries, .. } = self.messages[key].origin else { return };
        let message = &self.messages[key];
        let (unknown_copies, draw) = (message.unknown_copies, message.draw);
        let (after, tries) = match pause {
            Pause::None => (Duration::ZERO, tries),
            pause => (self.pause_of(pause, tries, draw), tries.saturating_add(1)),
        };
        let gateway_id = self.leave_spooled(key);
        if mutated!(self, DropDeferred) {
            return self.spool.ops.push_back(SpoolOp::Settle { gateway_id });
        }
        self.counters.spool.deferred += 1;
        self.spool.ops.push_back(SpoolOp::Defer { gateway_id, after, tries, unknown_copies, fate: None });
    }

    /// Doubles from the first to the longest, plus up to a quarter left to chance.
    fn pause_of(&self, pause: Pause, tries: u16, draw: u64) -> Duration {
        let rules = self.snapshot.spool().copied().unwrap_or_default();
        let SpoolRules { retry_first, retry_max, .. } = rules;
        let (first, longest) = match pause {
            Pause::Busy => (BUSY_FIRST.min(retry_first), BUSY_MAX.min(retry_max)),
            Pause::None | Pause::Failed => (retry_first, retry_max),
        };
        let pause = first.saturating_mul(1 << u32::from(tries).min(16)).min(longest);
        let chance = mix(draw ^ u64::from(tries)) >> 48; // of 65,536
        pause + pause.saturating_mul(chance as u32) / (4 << 16)
    }

    /// A spooled message will not be tried again: its customer is told, if it asked to be.
    fn decide(&mut self, now: Instant, key: Key, fate: Fate) {
        let message = &mut self.messages[key];
        let Origin::Spool { tries, .. } = message.origin else { return };
        let (account, accepted_at) = (self.accounts[message.account].id, message.submitted_at);
        let pdu = core::mem::take(&mut message.pdu);
        self.record_settled(key, Some(fate));
        let gateway_id = self.leave_spooled(key);
        self.count_fate(fate.state);
        self.tell_fate(now, &Decided { gateway_id, account, accepted_at, tries, fate }, pdu);
    }

    fn count_fate(&mut self, state: FinalState) {
        let spool = &mut self.counters.spool;
        match state {
            FinalState::Expired => spool.expired += 1,
            FinalState::Unknown => spool.unknown += 1,
            _ => spool.failed += 1,
        }
    }

    /// Offers a receipt of ours to the customer; the message is settled once it is taken or parked.
    fn tell_fate(&mut self, now: Instant, decided: &Decided, pdu: Vec<u8>) {
        let Decided { gateway_id, account, accepted_at, tries, fate } = *decided;
        let age = Duration::from_secs(u64::from(self.spool.unix_seconds.saturating_sub(accepted_at)));
        if pdu.is_empty() {
            // It went to another shard that did not say what became of it. The spool has it too.
            return self.owe_receipt(gateway_id, tries, fate);
        }
        let view = spool_pdu::View::of(&pdu).filter(|view| view.wants_failure);
        let Some(view) = view else {
            self.spare.keep(pdu);
            return self.spool.ops.push_back(SpoolOp::Settle { gateway_id });
        };
        if tries > 0 && age > VALIDITY_MAX {
            self.counters.spool.receipts_lost += 1;
            return self.spool.ops.push_back(SpoolOp::Settle { gateway_id });
        }
        let facts = spool_pdu::Facts { gateway_id, accepted_at, done_at: self.spool.unix_seconds, fate };
        let (receipt, urgent) = (spool_pdu::receipt(&view, &facts), view.urgent);
        self.spare.keep(pdu);
        let Some((command, receipt)) = receipt else {
            self.counters.spool.receipts_lost += 1;
            return self.spool.ops.push_back(SpoolOp::Settle { gateway_id });
        };
        let sender = Sender::Spool { gateway_id, tries, fate };
        let slot = if self.draining {
            None // what is open shall only become less
        } else {
            self.insert_delivery(sender, command, crate::account::NO_ACCOUNT)
        };
        let Some(key) = slot else { return self.owe_receipt(gateway_id, tries, fate) };
        self.counters.spool.receipts += 1;
        self.deliveries[key].urgent = urgent;
        self.spare.fill(&mut self.deliveries[key].pdu, &receipt);
        debug_assert!(self.deliveries[key].place == DeliveryPlace::Hands);
        self.record_own_receipt(now, key);
        self.give_to(now, key, account);
    }

    /// A receipt of ours was taken or parked (status 0), or could not be.
    pub(crate) fn spool_receipt_done(
        &mut self,
        gateway_id: GatewayId,
        tries: u16,
        fate: Fate,
        status: CommandStatus,
    ) {
        if status == CommandStatus::ESME_ROK {
            self.spool.ops.push_back(SpoolOp::Settle { gateway_id });
        } else {
            self.owe_receipt(gateway_id, tries, fate);
        }
    }

    fn owe_receipt(&mut self, gateway_id: GatewayId, tries: u16, fate: Fate) {
        let after = self.pause_of(Pause::Failed, tries, gateway_id.0);
        let (tries, fate) = (tries.saturating_add(1), Some(fate));
        self.spool.ops.push_back(SpoolOp::Defer { gateway_id, after, tries, unknown_copies: 0, fate });
    }

    /// Closes a message that the spool has; its id.
    pub(crate) fn leave_spooled(&mut self, key: Key) -> GatewayId {
        let Origin::Spool { again, .. } = self.messages[key].origin else {
            unreachable!("only messages that the spool has are given back to it")
        };
        let open = if again { &mut self.spool.again } else { &mut self.spool.fresh };
        assert!(*open > 0);
        *open -= 1;
        let gateway_id = self.messages[key].gateway_id;
        self.close_message(key);
        gateway_id
    }

    /// A vendor has its first bind here: what waits for one need not wait longer.
    pub(crate) fn hasten_spool(&mut self) {
        if self.snapshot.spool().is_some() {
            self.spool.ops.push_back(SpoolOp::Hasten);
        }
    }

    /// What the tick does: late acceptances, and a look at what is due.
    pub(crate) fn spool_tick(&mut self, now: Instant) {
        while let Some(key) = self.messages.first(&self.spool.waits)
            && self.messages[key].deadline <= now
        {
            self.messages.remove(&mut self.spool.waits, key);
            self.messages[key].place = Place::Hands;
            self.spool_is_late(key);
        }
        self.expire_noting(now);
        self.ask_spool(now);
    }

    fn ask_spool(&mut self, now: Instant) {
        let spool = &mut self.spool;
        let has_room = spool.again + PAGE_MAX <= AGAIN_MAX;
        // Each that is handed out may leave a record.
        let has_room = has_room && !self.records.is_full();
        if self.snapshot.spool().is_none() || self.draining || spool.asked || !has_room || now < spool.ask_at
        {
            return;
        }
        spool.asked = true;
        spool.ops.push_back(SpoolOp::Due { count_max: PAGE_MAX });
    }

    /// Messages here that the spool has as well.
    pub(crate) fn spooled_open(&self) -> u64 {
        u64::from(self.spool.fresh) + u64::from(self.spool.again)
    }
}
