//! Records: what became of each message, for accounts, for looking up, for disputes. One struct, of nearly fixed size,
//! without heap memory, so that making one allocates nothing. Message text is never in it.
//!
//! A record is drafted beside its slot while the message is open (in a vector of its own, so that a slot costs no more
//! where no records are wanted) and finished when the slot closes; [`Relay::poll_record`] gives it its times.

use crate::admit::Submission;
use crate::input::Arrival;
use crate::message::{AccountId, Key, MessageState, ShardIndex, VendorId};
use crate::open::TRIES_MAX;
use crate::refusal::Refusal;
use crate::relay::{Party, Relay};
use crate::store_op::VendorMessageId;
use core::time::Duration;
use smpp::dialect::Dialect;
use smpp::field::{Address, CommandId, CommandStatus, MessageState as NetworkState, Npi, Ton};
use smpp::pdu::{DataSm, DeliverSm};
use smpp::text::message_id::{GatewayId, ID_LENGTH_MAX};
use smpp::text::receipt::{Finality, ReceiptView, receipt_of, receipt_of_data};
use smpp::text::segment::Part;
use smpp::time::Instant;
use smpp::tlv::Tag;
use smpp::wire::Frame;
use std::collections::VecDeque;

/// Finished records that wait to be drawn. The shard draws them in the same turn, so this only bounds a mistake there;
/// more are counted as lost. About 350 octets each.
const READY_MAX: usize = 65_536;

/// One thing that happened to a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// The node that made it.
    pub node: u8,
    /// The shard that made it.
    pub shard: ShardIndex,
    /// Grows by one with each record of a shard and begins with the nanoseconds of the shard's start, so that node, shard
    /// and number together are given once over all lives.
    pub number: u64,
    /// Wall time since 1970 UTC at which it began: the submit was accepted, the delivery came in.
    pub at: Duration,
    /// What it was.
    pub kind: RecordKind,
}

impl Record {
    /// Version of the form; grows with every change that readers must know of.
    pub const VERSION: u8 = 1;
}

/// What a record tells of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordKind {
    /// A customer's submit, from its coming to its answer. Exactly one for each.
    Submit(SubmitRecord),
    /// A receipt or MO that found its end: taken, refused, parked, orphaned.
    Delivery(DeliveryRecord),
    /// An unknown outcome that became known after the customer was answered.
    Resolved(ResolvedRecord),
}

/// An address as it stood in the PDU, at most 20 octets (SMPP 3.4 §5.2.9); a longer one of a data_sm is cut.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Number {
    /// Type of number.
    pub ton: Ton,
    /// Numbering plan.
    pub npi: Npi,
    length: u8,
    octets: [u8; Self::LENGTH_MAX],
}

impl Number {
    /// Longest address kept, octets.
    pub const LENGTH_MAX: usize = 20;

    /// Copies an address.
    pub fn new(address: &Address<'_>) -> Self {
        let length = address.digits.len().min(Self::LENGTH_MAX);
        let mut octets = [0; Self::LENGTH_MAX];
        octets[..length].copy_from_slice(&address.digits[..length]);
        Self { ton: address.ton, npi: address.npi, length: length as u8, octets }
    }

    /// The digits (or letters).
    pub fn digits(&self) -> &[u8] {
        &self.octets[..usize::from(self.length)]
    }

    /// The same with its last `count` octets as `*`.
    pub fn masked(mut self, count: usize) -> Self {
        let length = usize::from(self.length);
        self.octets[length.saturating_sub(count)..length].fill(b'*');
        self
    }
}

impl Default for Number {
    fn default() -> Self {
        Self::new(&Address::default())
    }
}

/// A customer's submit. Times count from [`Record::at`], the moment it was accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SubmitRecord {
    /// Our id; none when it was refused before it got one.
    pub gateway_id: Option<GatewayId>,
    /// Whose; none when the link was not bound.
    pub account: Option<AccountId>,
    /// Whom it was handed to, in order; provably unsent copies are not among them.
    vendors: [VendorId; TRIES_MAX],
    vendor_count: u8,
    /// Copies handed to vendors; may be more than vendors are listed.
    pub copies: u8,
    /// When a first place was found for it.
    pub routed_after: Option<Duration>,
    /// When the last copy was handed to a link or another shard.
    pub sent_after: Option<Duration>,
    /// When a vendor answered last.
    pub acknowledged_after: Option<Duration>,
    /// When it was closed, which is when the customer was answered.
    pub answered_after: Duration,
    /// From whom.
    pub source: Number,
    /// To whom.
    pub destination: Number,
    /// The customer's user_message_reference, where it gave one.
    pub reference: Option<u16>,
    /// The sequence number of the customer's request.
    pub sequence: u32,
    /// True for data_sm.
    pub is_data: bool,
    /// data_coding.
    pub data_coding: u8,
    /// esm_class.
    pub esm_class: u8,
    /// Which part of a long message it is.
    pub part: Option<Part>,
    /// What the customer was told; none when its session had gone.
    pub customer_status: Option<CommandStatus>,
    /// What the last vendor that answered said.
    pub vendor_status: Option<CommandStatus>,
    /// The id of the vendor that accepted it, normalised by that vendor's id rule.
    pub vendor_message_id: Option<VendorMessageId>,
    /// How it ended.
    pub state: MessageState,
    /// Why we said no, where it was us.
    pub refusal: Option<Refusal>,
    /// Another copy was sent while a first one may have arrived.
    pub possible_duplicate: bool,
}

impl SubmitRecord {
    /// Whom it was handed to, in order.
    pub fn vendors(&self) -> &[VendorId] {
        &self.vendors[..usize::from(self.vendor_count)]
    }

    /// The customer's name for it: its user_message_reference, else its sequence number.
    pub fn customer_reference(&self) -> u32 {
        self.reference.map_or(self.sequence, u32::from)
    }

    fn handed(&mut self, vendor: VendorId) {
        self.copies = self.copies.saturating_add(1);
        if usize::from(self.vendor_count) < TRIES_MAX {
            self.vendors[usize::from(self.vendor_count)] = vendor;
            self.vendor_count += 1;
        }
    }

    fn unsent(&mut self) {
        self.copies = self.copies.saturating_sub(1);
        self.vendor_count = self.vendor_count.min(self.copies);
        self.sent_after = None;
    }
}

/// What a receipt says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReceiptFacts {
    /// The state, where it is one of the standard's.
    pub state: Option<NetworkState>,
    /// The network's error code, where there is one.
    pub error: Option<u32>,
    /// True when no other follows.
    pub is_final: bool,
}

/// What became of a receipt or MO.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DeliveryOutcome {
    /// The customer took it.
    #[default]
    Taken,
    /// The customer refused it for good.
    Rejected,
    /// It waits on disk for its customer. Another record follows when that has it.
    Parked,
    /// Nobody owns it; kept apart.
    Orphan,
    /// Acknowledged and dropped, since there is no store to match it with.
    Uncorrelated,
}

impl DeliveryOutcome {
    /// The word for files and tables.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Rejected => "rejected",
            Self::Parked => "parked",
            Self::Orphan => "orphan",
            Self::Uncorrelated => "uncorrelated",
        }
    }
}

/// A receipt or MO. [`Record::at`] is when it came in, or was handed out by the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DeliveryRecord {
    /// The message that a receipt is about, where it is known.
    pub gateway_id: Option<GatewayId>,
    /// Whose, where it is known.
    pub account: Option<AccountId>,
    /// Whence; none when it comes out of the store, which does not keep that.
    pub vendor: Option<VendorId>,
    /// The vendor's id for the message, normalised by its id rule.
    pub vendor_message_id: Option<VendorMessageId>,
    /// What it says; none for an MO.
    pub receipt: Option<ReceiptFacts>,
    /// From whom.
    pub source: Number,
    /// To whom.
    pub destination: Number,
    /// What became of it.
    pub outcome: DeliveryOutcome,
    /// The customer's answer, where it gave one.
    pub customer_status: Option<CommandStatus>,
    /// True when it had been parked before.
    pub was_parked: bool,
    /// When that was certain.
    pub ended_after: Duration,
}

/// A later receipt told what became of a message of unknown outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResolvedRecord {
    /// Our id of the message.
    pub gateway_id: GatewayId,
    /// Whose.
    pub account: AccountId,
    /// Who had it.
    pub vendor: VendorId,
    /// The vendor's id for it, normalised by its id rule.
    pub vendor_message_id: Option<VendorMessageId>,
    /// What it is now.
    pub state: MessageState,
}

/// The relay's records: drafts of what is open, and finished ones.
#[derive(Debug, Default)]
pub(crate) struct Records {
    on: bool,
    /// Whoever keeps them has no room: nothing new that would make one.
    full: bool,
    number: u64,
    submits: Vec<Draft<SubmitRecord>>,
    deliveries: Vec<Draft<DeliveryRecord>>,
    ready: VecDeque<(Instant, RecordKind)>,
}

/// A record in the making, at the index of its slot.
#[derive(Clone, Copy, Debug)]
struct Draft<T> {
    /// Of the slot's key; 0 when there is none.
    generation: u32,
    began: Instant,
    record: T,
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
    pub(crate) fn handed(&mut self, now: Instant, key: Key, vendor: VendorId, maybe_sent: bool) {
        if let Some(draft) = draft(&mut self.submits, key) {
            draft.record.handed(vendor);
            draft.record.sent_after = Some(now.saturating_since(draft.began));
            draft.record.possible_duplicate |= maybe_sent;
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

    fn push(&mut self, finished: (Instant, RecordKind)) -> bool {
        let has_room = self.ready.len() < READY_MAX;
        if has_room {
            self.ready.push_back(finished);
        }
        has_room
    }
}

/// The draft of this key, if it is still that one's.
#[inline]
fn draft<T>(drafts: &mut [Draft<T>], key: Key) -> Option<&mut Draft<T>> {
    drafts.get_mut(key.index as usize).filter(|draft| draft.generation == key.generation)
}

/// Begins a draft; the vector grows with the arena, never beyond its bound.
#[inline]
fn begin<T: Default + Copy>(drafts: &mut Vec<Draft<T>>, key: Key, began: Instant, record: T) {
    let index = key.index as usize;
    if drafts.len() <= index {
        drafts.resize(index + 1, Draft { generation: 0, began, record: T::default() });
    }
    drafts[index] = Draft { generation: key.generation, began, record };
}

/// What the PDU alone tells.
fn of_submission(sequence: u32, submission: &Submission<'_>) -> SubmitRecord {
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

fn facts_of(view: &ReceiptView<'_>) -> ReceiptFacts {
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
            RecordKind::Submit(submit) => submit.answered_after = took,
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
        if let Some(draft) = draft(&mut self.records.submits, key) {
            draft.record.acknowledged_after = Some(now.saturating_since(draft.began));
            draft.record.vendor_status = Some(status);
            if status == CommandStatus::ESME_ROK {
                draft.record.vendor_message_id = id;
            }
        }
    }

    /// A message is closed, whatever its end.
    #[inline]
    pub(crate) fn record_end(&mut self, key: Key) {
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

    /// Opens the draft of a parked delivery that is handed out: what is known of it stands in its PDU, where our id is.
    pub(crate) fn record_unparked(&mut self, now: Instant, key: Key) {
        if !self.records.on {
            return;
        }
        let delivery = &self.deliveries[key];
        let mut record = DeliveryRecord {
            account: Some(self.accounts[delivery.account].id),
            was_parked: true,
            ..DeliveryRecord::default()
        };
        let dialect = Dialect::tolerant();
        let Some(frame) = Frame::whole(&delivery.pdu) else { return };
        let (from, to, view) = if delivery.command == CommandId::DATA_SM {
            let Ok(pdu) = DataSm::decode(frame, &dialect) else { return };
            (pdu.source, pdu.destination, receipt_of_data(&pdu))
        } else {
            let Ok(pdu) = DeliverSm::decode(frame, &dialect) else { return };
            (pdu.source, pdu.destination, receipt_of(&pdu))
        };
        (record.source, record.destination) = (Number::new(&from), Number::new(&to));
        if let Some(view) = view {
            record.receipt = Some(facts_of(&view));
            record.gateway_id = view.id.and_then(|id| GatewayId::parse(id.value));
        }
        begin(&mut self.records.deliveries, key, now, record);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_masked_from_its_end() {
        let check = |digits: &[u8], expected: &[u8]| {
            let number = Number::new(&Address { digits, ..Address::default() });
            assert_eq!(number.masked(4).digits(), expected);
        };
        check(b"12025550123", b"1202555****");
        check(b"123", b"***");
        check(b"", b"");
        check(&[b'7'; 65], b"7777777777777777****");
    }

    #[test]
    fn a_record_stays_small() {
        // Each waits in queues by the ten thousand.
        assert!(size_of::<Record>() <= 384, "{}", size_of::<Record>());
    }
}
