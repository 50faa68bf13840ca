//! From a vendor's deliver_sm to its owner: receipts by correlation, MO by number, never by guess.

use crate::account::NO_ACCOUNT;
use crate::early::Tells;
use crate::handset::{Finding, ReceiptNumbers};
use crate::in_flight::addresses_in;
use crate::input::Arrival;
use crate::message::{DeliveryKey, Key};
use crate::mo::Mo;
use crate::mutation::mutated;
use crate::open::{DeliveryPlace, Gathered, Sender};
use crate::output::Output;
use crate::refusal::DeliveryRefusal;
use crate::relay::{Party, Relay};
use crate::route::Addresses;
use crate::seen::{receipt_number, repetition_number};
use crate::snapshot::Correlate;
use crate::store_op::{Correlation, CorrelationKey, StoreOp, StoreOutage, VendorMessageId, command_of};
use bytes::BytesMut;
use smpp::dialect::Dialect;
use smpp::field::{Address, CommandId, CommandStatus, DataCoding, EsmClass, MessageState};
use smpp::limits::TLV_LENGTH_MAX;
use smpp::pdu::{DataSm, DeliverSm, Pdu};
use smpp::text::message_id::{ID_LENGTH_MAX, IdRule};
use smpp::text::receipt::{
    DateForm, Finality, Receipt, ReceiptView, narrow_receipt_text, receipt_in, receipt_of, receipt_of_data,
    rewrite, unmarked_receipt_in,
};
use smpp::text::segment::Udh;
use smpp::time::Instant;
use smpp::tlv::{Tag, Tlvs, write_tlv};
use smpp::wire::Frame;

/// Spellings of an id that are looked for at most: TLV and text, each by the vendor's rule and as the answer spells it.
const SPELLINGS: u8 = 4;
/// Of a receipt whose id can be spelled in one way only.
const ONE_SPELLING: u8 = u8::MAX;

/// Where the parts of a PDU lie that a receipt's rewriting changes. Taken from where the decoder found them: a lenient
/// one may have skipped octets between them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shape {
    /// Where short_message stands and how long it is; its length octet stands before it. Empty: nothing there to
    /// rewrite.
    short_message: (u32, u32),
    /// Where the TLVs stand, and how long they are together.
    tlvs: (u32, u32),
    /// The text begins with a user data header.
    has_header: bool,
}

impl Shape {
    pub(crate) fn of_deliver(bytes: &[u8], pdu: &DeliverSm<'_>) -> Self {
        let has_header = pdu.esm_class.has_user_data_header();
        let (text, tlvs) = (place_in(bytes, pdu.short_message), place_in(bytes, pdu.tlvs.as_bytes()));
        Self { short_message: text, tlvs, has_header }
    }

    pub(crate) fn of_data(bytes: &[u8], pdu: &DataSm<'_>) -> Self {
        let has_header = pdu.esm_class.has_user_data_header();
        Self { short_message: place_in(bytes, &[]), tlvs: place_in(bytes, pdu.tlvs.as_bytes()), has_header }
    }
}

/// Where `part` stands in `whole` and how long it is; the end, and nothing, when it is empty or from elsewhere.
pub(crate) fn place_in(whole: &[u8], part: &[u8]) -> (u32, u32) {
    let at = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    match at.checked_add(part.len()) {
        Some(end) if end <= whole.len() && !part.is_empty() => (at as u32, part.len() as u32),
        _ => (whole.len() as u32, 0),
    }
}

/// What deliver_sm and data_sm from a vendor have in common.
struct Delivered<'a> {
    command: CommandId,
    mo: Mo<'a>,
    /// Source and destination, for records.
    addresses: (Address<'a>, Address<'a>),
    esm_class: EsmClass,
    receipt: Option<ReceiptView<'a>>,
    shape: Shape,
}

impl Relay {
    pub(crate) fn deliver_sm(&mut self, arrival: Arrival, frame: Frame<'_>, pdu: &DeliverSm<'_>) {
        let has_header = pdu.esm_class.has_user_data_header();
        if pdu.data_coding.0 == UCS2 && pdu.esm_class.is_receipt() && !has_header {
            let narrow = narrow_receipt_text(pdu.payload());
            if let Some(text) = narrow {
                return self.deliver_narrowed(arrival, frame, pdu, &text);
            }
        }
        let shape = Shape::of_deliver(frame.bytes(), pdu);
        self.delivered(
            arrival,
            frame,
            Delivered {
                command: CommandId::DELIVER_SM,
                mo: Mo {
                    frame: frame.bytes(),
                    source: pdu.source.digits,
                    destination: pdu.destination.digits,
                    has_header,
                    data_coding: pdu.data_coding,
                    payload: pdu.payload(),
                    tlvs: pdu.tlvs,
                },
                addresses: (pdu.source, pdu.destination),
                esm_class: pdu.esm_class,
                receipt: receipt_of(pdu),
                shape,
            },
        );
    }

    /// A receipt whose text is in UCS-2: it goes on in the standard's form, which clients read.
    #[cold]
    fn deliver_narrowed(&mut self, arrival: Arrival, frame: Frame<'_>, pdu: &DeliverSm<'_>, text: &[u8]) {
        let (mut tlvs, mut anew) = (BytesMut::new(), BytesMut::new());
        for tlv in pdu.tlvs.iter().filter(|tlv| tlv.tag != Tag::MESSAGE_PAYLOAD) {
            write_tlv(&mut tlvs, tlv.tag, tlv.value);
        }
        let text = &text[..text.len().min(SHORT_MESSAGE_MAX)];
        let (data_coding, tlvs) = (DataCoding(0), Tlvs::new(&tlvs));
        DeliverSm { short_message: text, data_coding, tlvs, ..*pdu }.encode(
            CommandStatus::ESME_ROK,
            frame.sequence_number(),
            &mut anew,
        );
        let frame = Frame::whole(&anew);
        let read = frame.and_then(|frame| Some((frame, DeliverSm::decode(frame, &Dialect::strict()).ok()?)));
        debug_assert!(read.is_some(), "what was written anew is strict");
        if let Some((frame, pdu)) = read {
            self.deliver_sm(arrival, frame, &pdu);
        }
    }

    pub(crate) fn deliver_data(&mut self, arrival: Arrival, frame: Frame<'_>, pdu: &DataSm<'_>) {
        let has_header = pdu.esm_class.has_user_data_header();
        let shape = Shape::of_data(frame.bytes(), pdu);
        self.delivered(
            arrival,
            frame,
            Delivered {
                command: CommandId::DATA_SM,
                mo: Mo {
                    frame: frame.bytes(),
                    source: pdu.source.digits,
                    destination: pdu.destination.digits,
                    has_header,
                    data_coding: pdu.data_coding,
                    payload: pdu.payload(),
                    tlvs: pdu.tlvs,
                },
                addresses: (pdu.source, pdu.destination),
                esm_class: pdu.esm_class,
                receipt: receipt_of_data(pdu),
                shape,
            },
        );
    }

    fn delivered(&mut self, arrival: Arrival, frame: Frame<'_>, mut delivered: Delivered<'_>) {
        let Some(Party::Vendor(link)) = self.parties.get(&arrival.link).copied() else { return };
        let vendor = self.vendor_links[link].vendor;
        self.vendors[vendor].traffic.deliveries += 1;
        let sequence = frame.sequence_number();
        let command = delivered.command.response();
        let answer = |relay: &mut Self, status| {
            relay.outputs.push_back(Output::AnswerDeliver { link: arrival.link, sequence, command, status });
        };
        let refuse = |relay: &mut Self, refusal: DeliveryRefusal| {
            relay.counters.traffic.deliveries_refused += 1;
            answer(relay, refusal.status());
        };
        if self.draining {
            return refuse(self, DeliveryRefusal::Draining);
        }
        if self.records.is_full() {
            return refuse(self, DeliveryRefusal::RecordsFull);
        }
        let is_unmarked = self.finds_unmarked(vendor, &mut delivered);
        if let Some(view) = &delivered.receipt {
            self.counters.traffic.receipts += 1;
            if self.snapshot.correlate() == Correlate::None {
                self.counters.traffic.receipts_uncorrelated += 1;
                self.record_uncorrelated(arrival.now, vendor, delivered.addresses, view);
                return answer(self, CommandStatus::ESME_ROK);
            }
        } else {
            self.counters.traffic.mo += 1;
        }
        if frame.bytes().len() > self.snapshot.limits().pdu_size_max as usize {
            return refuse(self, DeliveryRefusal::TooLong);
        }
        let Some((key, delivery)) = self.deliveries.insert() else {
            return refuse(self, DeliveryRefusal::DeliveriesFull);
        };
        delivery.place = DeliveryPlace::Hands;
        delivery.sender = Sender::Vendor { link, sequence };
        delivery.command = delivered.command;
        delivery.vendor = vendor;
        delivery.came_at = arrival.unix_seconds as u32; // fits till 2106
        delivery.account = NO_ACCOUNT;
        delivery.key = None;
        delivery.content = 0;
        delivery.is_final = false;
        delivery.urgent = delivered.receipt.is_none(); // a receipt's message decides for it, once it is found
        delivery.shape = delivered.shape;
        delivery.early_round = 0;
        delivery.session = Key::NONE;
        delivery.tries = 0;
        delivery.gathered = Gathered::default();
        self.spare.fill(&mut delivery.pdu, frame.bytes());
        if is_unmarked {
            mark(&mut delivery.pdu);
        }
        self.record_delivery(arrival.now, key, delivered.addresses, delivered.receipt.as_ref());
        match &delivered.receipt {
            Some(view) => self.find(arrival.now, key, view, delivered.addresses),
            None => self.find_owner(arrival.now, key, &delivered.mo),
        }
    }

    /// Some vendors mark no receipt; theirs are told by their text.
    fn finds_unmarked(&self, vendor: u16, delivered: &mut Delivered<'_>) -> bool {
        if delivered.receipt.is_some()
            || !self.vendor_rules(vendor).is_some_and(|rules| rules.receipts_unmarked)
        {
            return false;
        }
        let Mo { payload, tlvs, .. } = delivered.mo;
        delivered.receipt = unmarked_receipt_in(delivered.esm_class, payload, &tlvs);
        delivered.receipt.is_some()
    }

    /// Asks the store whose receipt it is.
    fn find(
        &mut self,
        now: Instant,
        key: Key,
        view: &ReceiptView<'_>,
        addresses: (Address<'_>, Address<'_>),
    ) {
        let vendor = self.deliveries[key].vendor;
        let mut spelled = [0; ID_LENGTH_MAX];
        let rule = self.id_rule(vendor);
        let id =
            view.id.and_then(|id| rule.receipt_key(id.value, &mut spelled)).and_then(VendorMessageId::new);
        let Some(id) = id else { return self.orphan(now, key) };
        self.records.named(key, id);
        let vendor_account = self.vendor_account_of(vendor);
        let delivery = &mut self.deliveries[key];
        delivery.key = Some(CorrelationKey { vendor: vendor_account, id });
        delivery.is_final = view.finality == Finality::Final;
        delivery.tells = Tells::of(view);
        delivery.spelling = if rule == IdRule::Raw && !view.ids_differ() { ONE_SPELLING } else { 0 };
        if delivery.is_final {
            delivery.content = repetition_number(vendor_account, &delivery.pdu);
        }
        let (source, destination) = addresses;
        let numbers = self.numbers_of(vendor, source.digits, destination.digits);
        self.ask_store(now, key, numbers);
    }

    /// Asks the store, by the numbers that the receipt speaks of.
    pub(crate) fn ask_store(&mut self, now: Instant, key: Key, numbers: ReceiptNumbers) {
        if self.deliveries[key].key.is_none() {
            return self.orphan(now, key);
        }
        self.wait_for_store(now, key, DeliveryPlace::Finding);
        if let Some(kept_under) = &self.deliveries[key].key {
            self.store_ops.push_back(StoreOp::Find { delivery: DeliveryKey(key), key: *kept_under, numbers });
        }
    }

    /// What a receipt that waits says about its handset.
    pub(crate) fn numbers_in(&self, key: Key) -> ReceiptNumbers {
        let delivery = &self.deliveries[key];
        let (source, destination) = addresses_in(&delivery.pdu);
        self.numbers_of(delivery.vendor, source, destination)
    }

    /// What a receipt's addresses say about its handset, as far as its vendor's receipts can be believed.
    fn numbers_of(&self, vendor: u16, source: &[u8], destination: &[u8]) -> ReceiptNumbers {
        #[cfg(feature = "mutations")]
        if mutated!(self, IdIsProof) {
            return ReceiptNumbers::newest();
        }
        match self.vendor_rules(vendor).is_some_and(|rules| rules.receipts_without_number) {
            true => ReceiptNumbers::none(),
            false => ReceiptNumbers::new(source, destination),
        }
    }

    /// The store knows, does not know yet, or is away.
    pub(crate) fn found(&mut self, now: Instant, key: Key, outcome: Result<Finding, StoreOutage>) {
        if self.deliveries.get(key).is_none_or(|delivery| delivery.place != DeliveryPlace::Finding) {
            self.counters.traffic.stale_events += 1;
            return;
        }
        self.leave_store(key);
        if let Sender::Nobody = self.deliveries[key].sender {
            // The store has it already; what it is asked for is whether its message came.
            return match outcome {
                Ok(Finding::Nothing | Finding::Contradicted) => self.fits_nothing(now, key),
                Ok(Finding::Fits(_) | Finding::Several) | Err(_) => self.end_early(key),
            };
        }
        match outcome {
            Ok(Finding::Fits(correlation)) => {
                let delivery = &mut self.deliveries[key];
                delivery.gateway_id = correlation.gateway_id;
                delivery.submitted_at = correlation.submitted_at;
                delivery.urgent = correlation.urgent;
                let is_asked = delivery.tells.is_asked(correlation.registered);
                self.records.found(key, correlation.gateway_id);
                if !is_asked {
                    return self.unasked(key);
                }
                self.rewrite(key, &correlation);
                if let Some(own) = &correlation.addresses {
                    self.restore_addresses(key, own);
                }
                if mutated!(self, ForgetEarly) {
                    self.forget_if_final(key);
                }
                self.give_to(now, key, correlation.account);
            }
            Ok(Finding::Nothing | Finding::Contradicted) if self.has_other_spelling(key) => {
                self.ask_store(now, key, self.numbers_in(key))
            }
            Ok(Finding::Nothing) => self.fits_nothing(now, key),
            // The vendor gave its id again, and the answer that says so may still come.
            Ok(Finding::Contradicted) => {
                self.counters.traffic.receipts_contradicted += 1;
                self.fits_nothing(now, key);
            }
            Ok(Finding::Several) => {
                self.counters.traffic.receipts_of_several += 1;
                self.orphan(now, key);
            }
            Err(_) => {
                self.counters.traffic.store_outages += 1;
                self.refuse_delivery(key, DeliveryRefusal::StoreAway);
            }
        }
    }

    /// Nobody owns it: kept apart, never guessed.
    pub(crate) fn orphan(&mut self, now: Instant, key: Key) {
        self.counters.traffic.orphans += 1;
        if let Some(key) = &self.deliveries[key].key {
            self.seen.insert(receipt_number(key.vendor, &key.id));
        }
        if self.snapshot.correlate() == Correlate::None {
            return self.refuse_delivery(key, DeliveryRefusal::NoOwner);
        }
        self.wait_for_store(now, key, DeliveryPlace::Orphaning);
        let delivery = &mut self.deliveries[key];
        self.store_ops.push_back(StoreOp::ParkOrphan {
            delivery: DeliveryKey(key),
            vendor: self.vendors[delivery.vendor].id,
            pdu: core::mem::take(&mut delivery.pdu),
        });
    }

    /// Goes on to the next spelling of a receipt's id, where it has several.
    fn has_other_spelling(&mut self, key: Key) -> bool {
        if self.deliveries[key].spelling >= SPELLINGS {
            return false;
        }
        let ids = self.spellings(key);
        let delivery = &mut self.deliveries[key];
        delivery.spelling += 1;
        while let Some(id) = ids.get(usize::from(delivery.spelling)) {
            if let (Some(id), Some(kept_under)) = (id, &mut delivery.key)
                && !ids[..usize::from(delivery.spelling)].contains(&Some(*id))
            {
                kept_under.id = *id;
                return true;
            }
            delivery.spelling += 1;
        }
        false
    }

    /// Under what the message of a receipt will be kept: the spelling that most of them agree on.
    pub(crate) fn likely_key(&mut self, key: Key) -> Option<CorrelationKey> {
        let delivery = &self.deliveries[key];
        let kept_under = delivery.key?;
        if delivery.spelling == ONE_SPELLING {
            return Some(kept_under);
        }
        let ids = self.spellings(key);
        let count = |id: &Option<VendorMessageId>| ids.iter().filter(|other| *other == id).count();
        let most = ids.iter().filter(|id| id.is_some()).rev().max_by_key(|id| count(id));
        let kept_under = most.copied().flatten().map_or(kept_under, |id| CorrelationKey { id, ..kept_under });
        self.deliveries[key].key = Some(kept_under);
        Some(kept_under)
    }

    /// How the id of a receipt may be spelled in its answer: the TLV by the vendor's rule and as it stands, and the text.
    #[cold]
    fn spellings(&self, key: Key) -> [Option<VendorMessageId>; SPELLINGS as usize] {
        let delivery = &self.deliveries[key];
        let rule = self.id_rule(delivery.vendor);
        let frame = Frame::whole(&delivery.pdu);
        let pdu = frame.and_then(|frame| Pdu::decode(frame, &Dialect::tolerant()).ok());
        let view = match &pdu {
            Some(Pdu::DeliverSm(deliver)) => {
                unmarked_receipt_in(deliver.esm_class, deliver.payload(), &deliver.tlvs)
            }
            Some(Pdu::DataSm(data)) => unmarked_receipt_in(data.esm_class, data.payload(), &data.tlvs),
            _ => None,
        };
        let (by_view, in_text) =
            view.map_or((None, None), |view| (view.id.map(|id| id.value), view.id_in_text()));
        let mut spelled = [0; ID_LENGTH_MAX];
        let mut of = |id: Option<&[u8]>, is_by_rule: bool| {
            let id = id?;
            let id = if is_by_rule {
                rule.receipt_key(id, &mut spelled)
            } else {
                rule.response_key(id, &mut spelled)
            };
            VendorMessageId::new(id?)
        };
        [of(by_view, true), of(by_view, false), of(in_text, true), of(in_text, false)]
    }

    /// How this vendor's ids are compared.
    pub(crate) fn id_rule(&self, vendor: u16) -> IdRule {
        self.vendor_rules(vendor).map_or(IdRule::Raw, |rules| rules.id_rule)
    }

    /// Puts our id where the vendor's stood, in text and TLV.
    fn rewrite(&mut self, key: Key, correlation: &Correlation) {
        let delivery = &mut self.deliveries[key];
        let told = Told { shape: delivery.shape, done_at: delivery.came_at };
        rewrite_pdu(&delivery.pdu, told, correlation, &mut self.text, &mut self.rewritten);
        core::mem::swap(&mut delivery.pdu, &mut self.rewritten);
    }
}

/// Sets the mark of a receipt, by which its customer tells it from a handset's message: SMPP 3.4 §5.2.12.
fn mark(pdu: &mut [u8]) {
    let at = Addresses::of(pdu).map(|addresses| addresses.destination.end);
    if let Some(esm_class) = at.and_then(|at| pdu.get_mut(at)) {
        *esm_class |= EsmClass::RECEIPT.0;
    }
}

/// data_coding of UCS-2: SMPP 3.4 §5.2.19.
const UCS2: u8 = 8;
/// Longest short_message: SMPP 3.4 §5.2.21.
const SHORT_MESSAGE_MAX: usize = 254;

/// What is known of a receipt beside its octets.
#[derive(Clone, Copy)]
pub(crate) struct Told {
    pub(crate) shape: Shape,
    /// When it came, seconds of Unix time: its message's done date where it tells none.
    pub(crate) done_at: u32,
}

/// Writes a receipt's PDU with our id into `out`; every other octet stays. A receipt in TLVs alone gets a text as well, for
/// clients that read only that. `text` is working space.
pub(crate) fn rewrite_pdu(
    pdu: &[u8],
    told: Told,
    correlation: &Correlation,
    text: &mut BytesMut,
    out: &mut Vec<u8>,
) {
    let Told { shape, done_at } = told;
    let id = &correlation.gateway_id.text()[..];
    out.clear();
    let part = |(at, length): (u32, u32)| &pdu[at as usize..][..length as usize];
    let (short_message, tlvs) = (part(shape.short_message), part(shape.tlvs));
    let is_deliver = command_of(pdu) == Some(CommandId::DELIVER_SM);
    let without_text = short_message.is_empty() && !tlvs.is_empty() && !shape.has_header;
    let made_up = without_text && text_of_tlvs(tlvs, correlation, done_at, text);
    if made_up && is_deliver {
        out.extend_from_slice(&pdu[..shape.tlvs.0 as usize - 1]); // sm_length stands before the TLVs
        out.push(text.len() as u8);
        out.extend_from_slice(text);
    } else if short_message.is_empty() {
        out.extend_from_slice(&pdu[..shape.tlvs.0 as usize]);
    } else {
        rewrite_text(short_message, shape.has_header, id, text);
        text.truncate(SHORT_MESSAGE_MAX); // the end is the quoted message
        out.extend_from_slice(&pdu[..shape.short_message.0 as usize - 1]); // a length octet stands before it
        out.push(text.len() as u8);
        out.extend_from_slice(text);
    }
    if made_up && !is_deliver {
        out.extend_from_slice(&Tag::MESSAGE_PAYLOAD.0.to_be_bytes());
        out.extend_from_slice(&(text.len() as u16).to_be_bytes());
        out.extend_from_slice(text);
    }
    rewrite_tlvs(tlvs, shape.has_header, id, text, out);
    let length = out.len() as u32;
    out[..4].copy_from_slice(&length.to_be_bytes());
}

/// Writes the text of a receipt that has only TLVs; false when that is not so.
fn text_of_tlvs(tlvs: &[u8], correlation: &Correlation, done_at: u32, text: &mut BytesMut) -> bool {
    let tlvs = Tlvs::new(tlvs);
    if tlvs.find(Tag::MESSAGE_PAYLOAD).is_some() || tlvs.find(Tag::MESSAGE_STATE).is_none() {
        return false;
    }
    let Some(view) = receipt_in(EsmClass::RECEIPT, &[], &tlvs) else { return false };
    let state = view.state.map(|state| state.value);
    text.clear();
    DateForm::Ten.write(i64::from(correlation.submitted_at), text);
    let submit_date = text.split();
    DateForm::Ten.write(i64::from(done_at), text);
    let done_date = text.split();
    let error = format!("{:03}", view.error().map_or(0, |error| error.value));
    let (id, is_delivered) = (correlation.gateway_id.text(), state == Some(MessageState::Delivered));
    Receipt {
        id: &id,
        sub: b"001",
        dlvrd: if is_delivered { b"001" } else { b"000" },
        submit_date: &submit_date,
        done_date: &done_date,
        state,
        err: error.as_bytes(),
        ..Receipt::default()
    }
    .write(text);
    true
}

fn rewrite_text(original: &[u8], has_header: bool, id: &[u8], out: &mut BytesMut) {
    let header = if has_header { Udh::split(original) } else { None };
    let behind = header.map_or(original, |(_, behind)| behind);
    out.clear();
    out.extend_from_slice(&original[..original.len() - behind.len()]);
    rewrite(behind, id, out);
}

fn rewrite_tlvs(raw: &[u8], has_header: bool, id: &[u8], text: &mut BytesMut, out: &mut Vec<u8>) {
    let mut rest = raw;
    while let [tag_high, tag_low, length_high, length_low, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        let Some((value, after)) = behind.split_at_checked(length) else { break };
        let tag = Tag(u16::from_be_bytes([*tag_high, *tag_low]));
        text.clear();
        if tag == Tag::RECEIPTED_MESSAGE_ID {
            text.extend_from_slice(id);
            text.extend_from_slice(&[0]);
        } else if tag == Tag::MESSAGE_PAYLOAD {
            rewrite_text(value, has_header, id, text);
            text.truncate(TLV_LENGTH_MAX); // the end is the quoted message
        } else {
            text.extend_from_slice(value);
        }
        out.extend_from_slice(&[*tag_high, *tag_low]);
        out.extend_from_slice(&(text.len() as u16).to_be_bytes());
        out.extend_from_slice(text);
        rest = after;
    }
    // What is left is no TLV, and may hold the vendor's id: it goes nowhere.
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::AccountId;
    use smpp::text::message_id::GatewayId;

    fn pdu(short_message: &[u8], tlvs: &[u8]) -> Vec<u8> {
        let mut pdu = vec![0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9];
        pdu.extend_from_slice(b"\0\x01\x0112025550100\0\x01\x0144\0\x04\0\0\0\0\0\0\0\0");
        pdu.push(short_message.len() as u8);
        pdu.extend_from_slice(short_message);
        pdu.extend_from_slice(tlvs);
        let length = pdu.len() as u32;
        pdu[..4].copy_from_slice(&length.to_be_bytes());
        pdu
    }

    fn check(before: (&[u8], &[u8]), has_header: bool, after: (&[u8], &[u8])) {
        let original = pdu(before.0, before.1);
        let behind = &original[original.len() - before.0.len() - before.1.len()..];
        let (text, tlvs) = behind.split_at(before.0.len());
        let (short_message, tlvs) = (place_in(&original, text), place_in(&original, tlvs));
        let shape = Shape { short_message, tlvs, has_header };
        let told = Told { shape, done_at: 1_800_000_060 };
        let mut out = Vec::new();
        let correlation =
            Correlation::new(AccountId::of_name(b"a"), GatewayId(0x0123_4567_89AB_CDEF), 1_800_000_000);
        rewrite_pdu(&original, told, &correlation, &mut BytesMut::new(), &mut out);
        assert_eq!(out.escape_ascii().to_string(), pdu(after.0, after.1).escape_ascii().to_string());
    }

    #[test]
    fn only_the_id_changes() {
        check(
            (b"id:77 sub:001 stat:DELIVRD text:id:77", b"\x00\x1e\x00\x0377\0\x14\x03\x00\x02ab"),
            false,
            (
                b"id:0123456789ABCDEF sub:001 stat:DELIVRD text:id:77",
                b"\x00\x1e\x00\x110123456789ABCDEF\0\x14\x03\x00\x02ab",
            ),
        );
        // A receipt in TLVs alone gets a text too.
        check(
            (b"", b"\x00\x1e\x00\x0377\0\x04\x27\x00\x01\x02"),
            false,
            (
                b"id:0123456789ABCDEF sub:001 dlvrd:001 submit date:2701150800 done date:2701150801 stat:DELIVRD err:000 text:",
                b"\x00\x1e\x00\x110123456789ABCDEF\0\x04\x27\x00\x01\x02",
            ),
        );
        check((b"", b"\x14\x03\x00\x01\x02"), false, (b"", b"\x14\x03\x00\x01\x02"));
        check(
            (b"", b"\x04\x24\x00\x12id:9 stat:DELIVRD \x00\x01"),
            false,
            (b"", b"\x04\x24\x00\x21id:0123456789ABCDEF stat:DELIVRD "),
        );
        // A cut TLV may hold the vendor's id, and no peer takes it.
        check(
            (b"\x05\x00\x03\x01\x02\x01id:5 stat:UNDELIV", b"\x14\x03\x00\x01a\x00\x1e\x00\x0955"),
            true,
            (b"\x05\x00\x03\x01\x02\x01id:0123456789ABCDEF stat:UNDELIV", b"\x14\x03\x00\x01a"),
        );
    }
}
