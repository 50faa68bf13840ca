//! Making records: each is drafted beside its slot while the message is open (in a vector of its own, so that a slot
//! costs no more where no records are wanted) and finished when the slot closes; [`Relay::poll_record`] gives it its
//! times.

use crate::admit::Submission;
use crate::cdr::{DeliveryOutcome, DeliveryRecord, Number, ReceiptFacts, Record, RecordKind, SubmitRecord};
use crate::input::Arrival;
use crate::message::{AccountId, Key, MessageState, VendorId};
use crate::refusal::Refusal;
use crate::relay::{Party, Relay};
use crate::store_op::VendorMessageId;
use core::time::Duration;
use smpp::field::{Address, CommandId, CommandStatus};
use smpp::text::message_id::{GatewayId, ID_LENGTH_MAX};
use smpp::text::receipt::{Finality, ReceiptView};
use smpp::text::segment::Part;
use smpp::time::Instant;
use smpp::tlv::Tag;
use std::collections::VecDeque;

/// Finished records that wait to be drawn. The shard draws them in the same turn, so this only bounds a mistake there;
/// more are counted as lost. About 480 octets each.
const READY_MAX: usize = 65_536;

/// The relay's records: drafts of what is open, and finished ones.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) on: bool,
    /// Whoever keeps them has no room: nothing new that would make one.
    full: bool,
    number: u64,
    pub(crate) submits: Vec<Draft<SubmitRecord>>,
    pub(crate) deliveries: Vec<Draft<DeliveryRecord>>,
    ready: VecDeque<(Instant, RecordKind)>,
}

/// A record in the making, at the index of its slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draft<T> {
    /// Of the slot's key; 0 when there is none.
    pub(crate) generation: u32,
    pub(crate) began: Instant,
    pub(crate) record: T,
}

/// What the draft of a submit takes, octets.
pub(crate) const SUBMIT_DRAFT_OCTETS: usize = size_of::<Draft<SubmitRecord>>();
/// What the draft of a delivery takes, octets.
pub(crate) const DELIVERY_DRAFT_OCTETS: usize = size_of::<Draft<DeliveryRecord>>();

impl Records {
    pub(crate) fn new(on: bool, started_at: Duration) -> Self {
        Self { on, number: started_at.as_nanos() as u64, ..Self::default() }
    }

    /// Another snapshot wants records, or none. What is open keeps its draft, or has none.
    pub(crate) fn set_on(&mut self, on: bool) {
        self.on = on;
    }

    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.full && self.on
    }

    /// A message found a place; the first one counts.
    #[inline]
    pub(crate) fn routed(&mut self, now: Instant, key: Key) {
        if let Some(draft) = draft(&mut self.submits, key)
            && draft.record.routed_after.is_none()
        {
            draft.record.routed_after = Some(now.saturating_since(draft.began));
        }
    }

    #[inline]
    pub(crate) fn handed(&mut self, now: Instant, key: Key, vendor: VendorId) {
        if let Some(draft) = draft(&mut self.submits, key) {
            draft.record.handed(vendor);
            draft.record.sent_after = Some(now.saturating_since(draft.began));
        }
    }

    pub(crate) fn unsent(&mut self, key: Key) {
        if let Some(draft) = draft(&mut self.submits, key) {
            draft.record.unsent();
        }
    }

    #[inline]
    pub(crate) fn answered(&mut self, key: Key, status: CommandStatus) {
        if let Some(draft) = draft(&mut self.submits, key) {
            draft.record.customer_status = Some(status);
        }
    }

    pub(crate) fn refused(&mut self, key: Key, refusal: Refusal) {
        if let Some(draft) = draft(&mut self.submits, key) {
            draft.record.refusal = Some(refusal);
        }
    }

    /// Whose delivery it is.
    #[inline]
    pub(crate) fn owned(&mut self, key: Key, account: AccountId) {
        if let Some(draft) = draft(&mut self.deliveries, key) {
            draft.record.account = Some(account);
        }
    }

    /// Which message a receipt is about.
    #[inline]
    pub(crate) fn found(&mut self, key: Key, gateway_id: GatewayId) {
        if let Some(draft) = draft(&mut self.deliveries, key) {
            draft.record.gateway_id = Some(gateway_id);
        }
    }

    /// The vendor's id in a receipt.
    #[inline]
    pub(crate) fn named(&mut self, key: Key, id: VendorMessageId) {
        if let Some(draft) = draft(&mut self.deliveries, key) {
            draft.record.vendor_message_id = Some(id);
        }
    }

    /// A submit is closed.
    #[inline]
    fn finish_submit(&mut self, key: Key, state: MessageState) -> bool {
        let Some(draft) = draft(&mut self.submits, key) else { return true };
        draft.generation = 0;
        draft.record.state = state;
        let finished = (draft.began, RecordKind::Submit(draft.record));
        self.push(finished)
    }

    pub(crate) fn push(&mut self, finished: (Instant, RecordKind)) -> bool {
        let has_room = self.ready.len() < READY_MAX;
        if has_room {
            self.ready.push_back(finished);
        }
        has_room
    }
}

/// The draft of this key, if it is still that one's.
#[inline]
pub(crate) fn draft<T>(drafts: &mut [Draft<T>], key: Key) -> Option<&mut Draft<T>> {
    drafts.get_mut(key.index as usize).filter(|draft| draft.generation == key.generation)
}

/// Begins a draft; the vector grows with the arena, never beyond its bound.
#[inline]
pub(crate) fn begin<T: Default + Copy>(drafts: &mut Vec<Draft<T>>, key: Key, began: Instant, record: T) {
    let index = key.index as usize;
    if drafts.len() <= index {
        drafts.resize(index + 1, Draft { generation: 0, began, record: T::default() });
    }
    drafts[index] = Draft { generation: key.generation, began, record };
}

/// What the PDU alone tells.
pub(crate) fn of_submission(sequence: u32, submission: &Submission<'_>) -> SubmitRecord {
    let has_header = submission.esm_class.has_user_data_header();
    let payload = submission.tlvs.find(Tag::MESSAGE_PAYLOAD).filter(|_| submission.short_message.is_empty());
    SubmitRecord {
        source: Number::new(&submission.from),
        destination: Number::new(&submission.to),
        reference: submission.tlvs.find_u16(Tag::USER_MESSAGE_REFERENCE),
        sequence,
        is_data: submission.command == CommandId::DATA_SM,
        data_coding: submission.data_coding.0,
        esm_class: submission.esm_class.0,
        part: Part::find(has_header, payload.unwrap_or(submission.short_message), &submission.tlvs),
        ..SubmitRecord::default()
    }
}

pub(crate) fn facts_of(view: &ReceiptView<'_>) -> ReceiptFacts {
    ReceiptFacts {
        state: view.state.map(|state| state.value),
        error: view.error().map(|error| error.value),
        is_final: view.finality == Finality::Final,
    }
}

impl Relay {
    /// The next record. `wall` is the time since 1970 UTC at `now`. To be drained in the turn in which the other outputs
    /// are: the end of a message is the moment at which its record is drawn.
    pub fn poll_record(&mut self, now: Instant, wall: Duration) -> Option<Record> {
        let (began, mut kind) = self.records.ready.pop_front()?;
        let took = now.saturating_since(began);
        match &mut kind {
            RecordKind::Submit(submit) | RecordKind::Duplicate(submit) => submit.answered_after = took,
            RecordKind::Settled(settled) => settled.ended_after = took,
            RecordKind::Delivery(delivery) => delivery.ended_after = took,
            RecordKind::Resolved(_) => {}
        }
        self.records.number += 1;
        Some(Record {
            node: self.options.node,
            shard: self.options.shard,
            number: self.records.number,
            at: wall.saturating_sub(took),
            kind,
        })
    }

    /// Whether whoever keeps the records has no room for more. Until it has, submits and vendors' deliveries are refused
    /// with a status on which they are sent again, and nothing parked is handed out.
    pub fn set_records_full(&mut self, full: bool) {
        self.records.full = full;
    }

    /// Opens the draft of an admitted message.
    #[inline]
    pub(crate) fn record_submit(
        &mut self,
        now: Instant,
        key: Key,
        sequence: u32,
        submission: &Submission<'_>,
    ) {
        if self.records.on {
            let message = &self.messages[key];
            let account = self.accounts[message.account].id;
            let record = SubmitRecord {
                gateway_id: Some(message.gateway_id),
                account: Some(account),
                ..of_submission(sequence, submission)
            };
            begin(&mut self.records.submits, key, now, record);
        }
    }

    /// A submit that never got a slot. What is refused for want of room for records makes none.
    pub(crate) fn record_refusal(
        &mut self,
        arrival: &Arrival,
        sequence: u32,
        submission: &Submission<'_>,
        refusal: Refusal,
    ) {
        if !self.records.on || refusal == Refusal::RecordsFull {
            return;
        }
        let account = match self.parties.get(&arrival.link) {
            Some(Party::Customer(session)) => Some(self.accounts[self.sessions[*session].account].id),
            _ => None,
        };
        let record = SubmitRecord {
            account,
            state: MessageState::Nacked,
            customer_status: Some(refusal.status()),
            refusal: Some(refusal),
            ..of_submission(sequence, submission)
        };
        self.finish_record(arrival.now, RecordKind::Submit(record));
    }

    /// A vendor's word on a message.
    #[inline]
    pub(crate) fn record_verdict(&mut self, now: Instant, key: Key, status: CommandStatus, id: &[u8]) {
        if !self.records.on {
            return;
        }
        let mut spelled = [0; ID_LENGTH_MAX];
        let rule = self.id_rule(self.messages[key].vendor);
        let id = rule.response_key(id, &mut spelled).and_then(VendorMessageId::new);
        let vendor = self.vendors[self.messages[key].vendor].id;
        if let Some(draft) = draft(&mut self.records.submits, key) {
            draft.record.acknowledged_after = Some(now.saturating_since(draft.began));
            draft.record.vendor_status = Some(status);
            if status == CommandStatus::ESME_ROK {
                draft.record.vendor_message_id = id;
                draft.record.accepted_by = Some(vendor);
            }
        }
    }

    /// A message is closed, whatever its end. One that the spool has made its record when it was acknowledged, and makes
    /// another when it is settled.
    #[inline]
    pub(crate) fn record_end(&mut self, key: Key) {
        if self.is_spooled(key) {
            return self.records.forget_submit(key);
        }
        if self.records.on && !self.records.finish_submit(key, self.messages[key].state) {
            self.counters.traffic.records_lost += 1;
        }
    }

    /// Opens the draft of a vendor's delivery.
    #[inline]
    pub(crate) fn record_delivery(
        &mut self,
        now: Instant,
        key: Key,
        (from, to): (Address<'_>, Address<'_>),
        receipt: Option<&ReceiptView<'_>>,
    ) {
        if self.records.on {
            let record = DeliveryRecord {
                vendor: Some(self.vendors[self.deliveries[key].vendor].id),
                receipt: receipt.map(facts_of),
                source: Number::new(&from),
                destination: Number::new(&to),
                ..DeliveryRecord::default()
            };
            begin(&mut self.records.deliveries, key, now, record);
        }
    }

    /// A delivery found its end.
    #[inline]
    pub(crate) fn record_delivered(
        &mut self,
        key: Key,
        outcome: DeliveryOutcome,
        status: Option<CommandStatus>,
    ) {
        if let Some(draft) = draft(&mut self.records.deliveries, key) {
            draft.generation = 0;
            let record = DeliveryRecord { outcome, customer_status: status, ..draft.record };
            let began = draft.began;
            self.finish_record(began, RecordKind::Delivery(record));
        }
    }

    /// A receipt that is acknowledged and dropped, since there is no store.
    pub(crate) fn record_uncorrelated(
        &mut self,
        now: Instant,
        vendor: u16,
        (from, to): (Address<'_>, Address<'_>),
        view: &ReceiptView<'_>,
    ) {
        if !self.records.on {
            return;
        }
        let mut spelled = [0; ID_LENGTH_MAX];
        let rule = self.id_rule(vendor);
        let id = view.id.and_then(|id| rule.receipt_key(id.value, &mut spelled));
        let record = DeliveryRecord {
            vendor: Some(self.vendors[vendor].id),
            vendor_message_id: id.and_then(VendorMessageId::new),
            receipt: Some(facts_of(view)),
            source: Number::new(&from),
            destination: Number::new(&to),
            outcome: DeliveryOutcome::Uncorrelated,
            ..DeliveryRecord::default()
        };
        self.finish_record(now, RecordKind::Delivery(record));
    }

    /// Puts a record behind those that wait to be drawn.
    pub(crate) fn finish_record(&mut self, began: Instant, kind: RecordKind) {
        if self.records.on && !self.records.push((began, kind)) {
            self.counters.traffic.records_lost += 1;
        }
    }
}
