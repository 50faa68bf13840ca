//! Receipts that no open message fits: they came before the answer that names their message, or for none of ours. The store
//! keeps such a receipt for a time and its vendor is acknowledged at once; whoever remembers its message finds it there.

use crate::cdr::DeliveryOutcome;
use crate::handset::ReceiptNumbers;
use crate::message::{DeliveryKey, Key};
use crate::mutation::mutated;
use crate::open::{DeliveryPlace, Sender};
use crate::receipt::{Shape, Told, rewrite_pdu};
use crate::refusal::DeliveryRefusal;
use crate::relay::Relay;
use crate::seen::receipt_number;
use crate::snapshot::Correlate;
use crate::store_op::{Correlation, StoreOp, StoreOutage};
use crate::unresolved::Fit;
use bytes::BytesMut;
use core::time::Duration;
use smpp::dialect::Dialect;
use smpp::field::{CommandStatus, MessageState, ReceiptWanted, RegisteredDelivery};
use smpp::pdu::Pdu;
use smpp::text::receipt::{Finality, ReceiptView};
use smpp::time::Instant;
use smpp::wire::Frame;

/// How long a receipt that was kept, and may tell an unknown outcome, waits before each look at that: another shard's words
/// about the same handset may be on their way.
pub(crate) const LOOKS: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(1000)];

/// What a receipt tells, as far as a customer can ask for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tells {
    /// Nobody can say.
    #[default]
    Unsure,
    /// The message was delivered.
    Success,
    /// It never will be.
    Failure,
    /// It is on its way.
    OnItsWay,
}

impl Tells {
    pub(crate) fn of(view: &ReceiptView<'_>) -> Self {
        match (view.finality, view.state.map(|state| state.value)) {
            (Finality::Final, Some(MessageState::Delivered)) => Self::Success,
            (Finality::Final, _) => Self::Failure,
            // Some vendors end with it.
            (_, Some(MessageState::Accepted)) | (Finality::Undetermined, _) => Self::Unsure,
            (Finality::Intermediate, _) => Self::OnItsWay,
        }
    }

    /// Whether a customer asked for it: SMPP 3.4 §5.2.17. Where that is not known, it did.
    pub(crate) fn is_asked(self, registered: RegisteredDelivery) -> bool {
        let is_known = registered.wants_receipt() || registered.wants_intermediate();
        match self {
            _ if !is_known => true,
            Self::Unsure => true,
            Self::OnItsWay => registered.wants_intermediate(),
            Self::Success => matches!(registered.receipt(), ReceiptWanted::Always | ReceiptWanted::Reserved),
            Self::Failure => registered.receipt() != ReceiptWanted::Never,
        }
    }

    const ALL: [Self; 4] = [Self::Unsure, Self::Success, Self::Failure, Self::OnItsWay];
}

/// What a store has to know of a receipt that waits for its message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EarlyReceipt {
    /// Its numbers.
    pub numbers: ReceiptNumbers,
    /// The last one of its message, whose correlation goes with it.
    pub is_final: bool,
    /// What it tells: its customer may not have asked for that.
    pub tells: Tells,
}

impl EarlyReceipt {
    /// Whether the customer of a message asked for it. If not, it ends with the store.
    pub fn is_asked(&self, correlation: &Correlation) -> bool {
        self.tells.is_asked(correlation.registered)
    }

    /// Octets of the packed form.
    pub const PACKED_LENGTH: usize = ReceiptNumbers::PACKED_LENGTH + 1;

    /// The packed form.
    pub fn to_bytes(self) -> [u8; Self::PACKED_LENGTH] {
        let mut packed = [u8::from(self.is_final) | (self.tells as u8) << 1; Self::PACKED_LENGTH];
        packed[..ReceiptNumbers::PACKED_LENGTH].copy_from_slice(&self.numbers.to_bytes());
        packed
    }

    /// The inverse of [`EarlyReceipt::to_bytes`]; nothing when its length is wrong.
    pub fn from_bytes(packed: &[u8]) -> Option<Self> {
        let (numbers, rest) = packed.split_first_chunk()?;
        let [flags] = rest else { return None };
        let tells = *Tells::ALL.get(usize::from(flags >> 1))?;
        Some(Self { numbers: ReceiptNumbers::from_bytes(numbers), is_final: flags & 1 != 0, tells })
    }
}

/// A vendor's receipt as the owner of its message gets it: with our id, and with the customer's own addresses where a route
/// changed one. Nothing when it cannot be read.
pub fn receipt_for(pdu: &[u8], correlation: &Correlation) -> Option<Vec<u8>> {
    let frame = Frame::whole(pdu)?;
    let shape = match Pdu::decode(frame, &Dialect::tolerant()).ok()? {
        Pdu::DeliverSm(deliver) => Shape::of_deliver(pdu, &deliver),
        Pdu::DataSm(data) => Shape::of_data(pdu, &data),
        _ => return None,
    };
    let (mut text, mut out) = (BytesMut::new(), Vec::new());
    // It came before its message was remembered: done as soon as submitted, to the minute of `early_wait`.
    let told = Told { shape, done_at: correlation.submitted_at };
    rewrite_pdu(pdu, told, correlation, &mut text, &mut out);
    if let Some(own) = &correlation.addresses {
        let mut anew = Vec::new();
        if own.write_receipt(&out, &mut anew) {
            out = anew;
        }
    }
    Some(out)
}

impl Relay {
    /// No open message fits a receipt.
    pub(crate) fn fits_nothing(&mut self, now: Instant, key: Key) {
        let delivery = &self.deliveries[key];
        if let Sender::Nobody = delivery.sender {
            return self.look_later(now, key);
        }
        let Some(kept_under) = self.likely_key(key) else { return self.orphan(now, key) };
        let delivery = &self.deliveries[key];
        if delivery.content != 0 && self.done.contains(delivery.content) {
            return self.repeated(key);
        }
        self.counters.traffic.receipts_early += 1;
        if mutated!(self, DropEarly) {
            return self.answer_vendor(key, CommandStatus::ESME_ROK);
        }
        debug_assert!(self.snapshot.correlate() != Correlate::None, "without a store nothing is looked up");
        let (is_final, tells) = (delivery.is_final, delivery.tells);
        let receipt = EarlyReceipt { numbers: self.numbers_in(key), is_final, tells };
        self.wait_for_store(now, key, DeliveryPlace::Keeping);
        let pdu = core::mem::take(&mut self.deliveries[key].pdu);
        self.store_ops.push_back(StoreOp::KeepEarly {
            delivery: DeliveryKey(key),
            key: kept_under,
            receipt,
            pdu,
        });
    }

    /// A receipt for which its customer did not ask: its vendor is acknowledged, and it goes nowhere.
    pub(crate) fn unasked(&mut self, key: Key) {
        self.counters.traffic.receipts_unasked += 1;
        self.record_delivered(key, DeliveryOutcome::Unasked, None);
        self.forget_if_final(key);
        self.answer_vendor(key, CommandStatus::ESME_ROK);
    }

    /// A final receipt that was done with before: its vendor did not get our answer, and gets it again.
    fn repeated(&mut self, key: Key) {
        self.counters.traffic.receipts_repeated += 1;
        self.record_delivered(key, DeliveryOutcome::Repeated, None);
        self.answer_vendor(key, CommandStatus::ESME_ROK);
    }

    /// The store keeps it now, or cannot. Kept, it is the store's; only one that may tell an unknown outcome stays here for
    /// some looks.
    pub(crate) fn early_kept(
        &mut self,
        now: Instant,
        key: Key,
        outcome: Result<(), StoreOutage>,
        pdu: Vec<u8>,
    ) {
        if self.deliveries.get(key).is_none_or(|delivery| delivery.place != DeliveryPlace::Keeping) {
            self.counters.traffic.stale_events += 1;
            return self.spare.keep(pdu);
        }
        self.leave_store(key);
        self.spare.swap(&mut self.deliveries[key].pdu, pdu);
        if outcome.is_err() {
            self.counters.traffic.store_outages += 1;
            return self.refuse_delivery(key, DeliveryRefusal::NotParked);
        }
        self.note_done(key);
        match self.fit_among_unresolved(key) {
            Fit::One(_) => {
                self.answer_sender(key, CommandStatus::ESME_ROK);
                self.deliveries[key].sender = Sender::Nobody;
                self.look_later(now, key);
            }
            fit => {
                self.counters.traffic.unknowns_ambiguous += u64::from(fit == Fit::Several);
                self.end_early(key);
            }
        }
    }

    /// Notes a final receipt by its content, so that a repetition is told from another one.
    pub(crate) fn note_done(&mut self, key: Key) {
        let content = self.deliveries[key].content;
        if content != 0 {
            self.done.insert(content);
        }
    }

    fn look_later(&mut self, now: Instant, key: Key) {
        let delivery = &mut self.deliveries[key];
        let round = usize::from(delivery.early_round);
        let Some(wait) = LOOKS.get(round) else { return self.end_early(key) };
        delivery.early_round += 1;
        delivery.place = DeliveryPlace::Early;
        delivery.deadline = now + *wait;
        self.deliveries.push_back(&mut self.early[round], key);
        self.look_among_unresolved(now, key);
    }

    /// Looks again for those whose wait is over.
    pub(crate) fn retry_early(&mut self, now: Instant) {
        for round in 0..LOOKS.len() {
            while let Some(key) = self.deliveries.first(&self.early[round])
                && self.deliveries[key].deadline <= now
            {
                self.deliveries.remove(&mut self.early[round], key);
                self.ask_store(now, key, self.numbers_in(key));
            }
        }
    }

    /// The store has it, and nothing is left to do here.
    pub(crate) fn end_early(&mut self, key: Key) {
        if let Some(key) = &self.deliveries[key].key {
            self.seen.insert(receipt_number(key.vendor, &key.id));
        }
        self.record_delivered(key, DeliveryOutcome::Early, None);
        self.answer_vendor(key, CommandStatus::ESME_ROK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::AccountId;
    use smpp::field::{Address, EsmClass, Npi, Ton};
    use smpp::pdu::DeliverSm;
    use smpp::text::message_id::GatewayId;
    use smpp::text::receipt::receipt_of;

    #[test]
    fn a_kept_receipt_is_written_for_its_owner() {
        let address = |digits| Address { ton: Ton(1), npi: Npi(1), digits };
        let mut pdu = BytesMut::new();
        DeliverSm {
            source: address(b"12025550111"),
            destination: address(b"ACME"),
            esm_class: EsmClass::RECEIPT,
            short_message: b"id:77 sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:DELIVRD err:000 text:hi",
            ..DeliverSm::default()
        }
        .encode(CommandStatus::ESME_ROK, 1, &mut pdu);
        let correlation = Correlation::new(AccountId::of_name(b"acme"), GatewayId(0x1234), 1);
        let written = receipt_for(&pdu, &correlation).unwrap();
        let frame = Frame::whole(&written).unwrap();
        let Ok(Pdu::DeliverSm(deliver)) = Pdu::decode(frame, &Dialect::strict()) else { panic!() };
        let id = receipt_of(&deliver).unwrap().id.unwrap();
        assert_eq!(GatewayId::parse(id.value), Some(GatewayId(0x1234)));
        assert_eq!(deliver.source.digits, b"12025550111");
        assert_eq!(receipt_for(&pdu[..pdu.len() - 1], &correlation), None);
    }

    #[test]
    fn what_is_asked_for_is_given() {
        use Tells::{Failure, OnItsWay, Success, Unsure};
        for (registered, asked) in [
            (0x00, &[Unsure, Success, Failure, OnItsWay][..]), // kept by an earlier version
            (0x01, &[Unsure, Success, Failure]),
            (0x02, &[Unsure, Failure]),
            (0x03, &[Unsure, Success, Failure]),
            (0x11, &[Unsure, Success, Failure, OnItsWay]),
            (0x12, &[Unsure, Failure, OnItsWay]),
            (0x10, &[Unsure, OnItsWay]),
        ] {
            for tells in Tells::ALL {
                assert_eq!(
                    tells.is_asked(RegisteredDelivery(registered)),
                    asked.contains(&tells),
                    "{registered} {tells:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_packed_is_read_back() {
        for numbers in [ReceiptNumbers::new(b"12025550111", b"ACME"), ReceiptNumbers::none()] {
            for is_final in [false, true] {
                for tells in Tells::ALL {
                    let receipt = EarlyReceipt { numbers, is_final, tells };
                    assert_eq!(EarlyReceipt::from_bytes(&receipt.to_bytes()), Some(receipt));
                    assert_eq!(EarlyReceipt::from_bytes(&receipt.to_bytes()[1..]), None);
                }
            }
        }
    }
}
