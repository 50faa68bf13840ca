//! Records of what comes beside or after a submit's own: a duplicate, a settlement of the spool, an outcome that a receipt
//! told, and deliveries whose PDU is ours.

use crate::admit::Submission;
use crate::cdr::{DeliveryRecord, Number, RecordKind, ResolvedRecord, SettledRecord, SubmitRecord};
use crate::drafts::{Records, begin, draft, facts_of, of_submission};
use crate::input::Arrival;
use crate::message::{AccountId, Key, MessageState, VendorId};
use crate::open::Origin;
use crate::relay::{Party, Relay};
use crate::spool_op::{Fate, SpoolEntry};
use crate::store_op::VendorMessageId;
use smpp::dialect::Dialect;
use smpp::field::{CommandId, CommandStatus};
use smpp::pdu::{DataSm, DeliverSm};
use smpp::text::message_id::GatewayId;
use smpp::text::receipt::{receipt_of, receipt_of_data};
use smpp::time::Instant;
use smpp::wire::Frame;

impl Records {
    /// A message may be with two vendors.
    pub(crate) fn maybe_twice(&mut self, key: Key) {
        if let Some(draft) = draft(&mut self.submits, key) {
            draft.record.possible_duplicate = true;
        }
    }

    /// The draft of a message that goes back to the spool leaves nothing.
    #[inline]
    pub(crate) fn forget_submit(&mut self, key: Key) {
        if let Some(draft) = draft(&mut self.submits, key) {
            draft.generation = 0;
        }
    }
}

impl Relay {
    /// A submit that is an earlier message, and is answered with the id of that one.
    pub(crate) fn record_duplicate(
        &mut self,
        arrival: &Arrival,
        sequence: u32,
        submission: &Submission<'_>,
        earlier: GatewayId,
    ) {
        let Some(Party::Customer(session)) = self.parties.get(&arrival.link) else { return };
        let record = SubmitRecord {
            gateway_id: Some(earlier),
            account: Some(self.accounts[self.sessions[*session].account].id),
            state: MessageState::Acked,
            customer_status: Some(CommandStatus::ESME_ROK),
            ..of_submission(sequence, submission)
        };
        self.finish_record(arrival.now, RecordKind::Duplicate(record));
    }

    /// The customer is told that the spool has its message: that is the submit's record. What follows on this way to a
    /// vendor is drafted anew, for the settlement.
    pub(crate) fn record_acknowledged(&mut self, now: Instant, key: Key) {
        let Some(open) = draft(&mut self.records.submits, key) else { return };
        let record = SubmitRecord {
            state: self.messages[key].state,
            customer_status: Some(CommandStatus::ESME_ROK),
            ..open.record
        };
        let began = open.began;
        self.finish_record(began, RecordKind::Submit(record));
        self.record_way(now, key);
    }

    /// A message that the spool has sets out for a vendor.
    pub(crate) fn record_way(&mut self, now: Instant, key: Key) {
        if self.records.on {
            begin(&mut self.records.submits, key, now, SubmitRecord::default());
        }
    }

    /// A message that the spool has is settled: a vendor took it (no fate), or none will.
    pub(crate) fn record_settled(&mut self, key: Key, fate: Option<Fate>) {
        let Origin::Spool { tries, .. } = self.messages[key].origin else { return };
        let Some(open) = draft(&mut self.records.submits, key) else { return };
        let (began, way) = (open.began, open.record);
        let message = &self.messages[key];
        let settled = SettledRecord {
            gateway_id: message.gateway_id,
            account: self.accounts[message.account].id,
            vendor: way.vendor(),
            vendor_message_id: way.vendor_message_id,
            status: fate.map(|fate| fate.status).or(way.vendor_status),
            tries: tries.saturating_add(1),
            fate: fate.map(|fate| fate.state),
            possible_duplicate: way.possible_duplicate,
            ended_after: core::time::Duration::ZERO,
        };
        self.finish_record(began, RecordKind::Settled(settled));
    }

    /// A message that comes from the spool sets out no more.
    pub(crate) fn record_given_up(&mut self, now: Instant, entry: &SpoolEntry, fate: Fate) {
        let settled = SettledRecord {
            gateway_id: entry.gateway_id,
            account: entry.account,
            vendor: None,
            vendor_message_id: None,
            status: None,
            tries: entry.tries,
            fate: Some(fate.state),
            possible_duplicate: false,
            ended_after: core::time::Duration::ZERO,
        };
        self.finish_record(now, RecordKind::Settled(settled));
    }

    /// A receipt told that a vendor has a message whose customer was told that nobody knows.
    pub(crate) fn record_resolved(
        &mut self,
        now: Instant,
        gateway_id: GatewayId,
        account: AccountId,
        vendor: VendorId,
        id: VendorMessageId,
    ) {
        let resolved = ResolvedRecord {
            gateway_id,
            account,
            vendor,
            vendor_message_id: Some(id),
            state: MessageState::Acked,
        };
        self.finish_record(now, RecordKind::Resolved(resolved));
    }

    /// Opens the draft of a parked delivery that is handed out.
    pub(crate) fn record_unparked(&mut self, now: Instant, key: Key) {
        if self.records.on {
            let account = Some(self.accounts[self.deliveries[key].account].id);
            let record = DeliveryRecord { account, was_parked: true, ..DeliveryRecord::default() };
            self.record_ours(now, key, record);
        }
    }

    /// Opens the draft of a receipt that the gateway itself wrote.
    pub(crate) fn record_own_receipt(&mut self, now: Instant, key: Key) {
        if self.records.on {
            self.record_ours(now, key, DeliveryRecord::default());
        }
    }

    /// What is known of such a delivery stands in its PDU, where our id is.
    fn record_ours(&mut self, now: Instant, key: Key, mut record: DeliveryRecord) {
        let delivery = &self.deliveries[key];
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
}
