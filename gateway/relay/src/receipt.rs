//! From a vendor's deliver_sm to its owner: receipts by correlation, MO by number, never by guess.

use crate::account::NO_ACCOUNT;
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
use crate::seen::{receipt_number, repetition_number};
use crate::snapshot::Correlate;
use crate::store_op::{CorrelationKey, StoreOp, StoreOutage, VendorMessageId};
use bytes::BytesMut;
use smpp::field::{Address, CommandId, CommandStatus};
use smpp::limits::TLV_LENGTH_MAX;
use smpp::pdu::{DataSm, DeliverSm};
use smpp::text::message_id::{GatewayId, ID_LENGTH_MAX, IdRule};
use smpp::text::receipt::{Finality, ReceiptView, receipt_of, receipt_of_data, rewrite};
use smpp::text::segment::Udh;
use smpp::time::Instant;
use smpp::tlv::Tag;
use smpp::wire::Frame;

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
    receipt: Option<ReceiptView<'a>>,
    shape: Shape,
}

impl Relay {
    pub(crate) fn deliver_sm(&mut self, arrival: Arrival, frame: Frame<'_>, pdu: &DeliverSm<'_>) {
        let has_header = pdu.esm_class.has_user_data_header();
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
                receipt: receipt_of(pdu),
                shape,
            },
        );
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
                receipt: receipt_of_data(pdu),
                shape,
            },
        );
    }

    fn delivered(&mut self, arrival: Arrival, frame: Frame<'_>, delivered: Delivered<'_>) {
        let Some(Party::Vendor(link)) = self.parties.get(&arrival.link).copied() else { return };
        let vendor = self.vendor_links[link].vendor;
        self.vendors[vendor].traffic.deliveries += 1;
        let sequence = frame.sequence_number();
        let answer = |relay: &mut Self, status| {
            let command = delivered.command.response();
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
        self.record_delivery(arrival.now, key, delivered.addresses, delivered.receipt.as_ref());
        match &delivered.receipt {
            Some(view) => self.find(arrival.now, key, view, delivered.addresses),
            None => self.find_owner(arrival.now, key, &delivered.mo),
        }
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
        let scope = self.scope_of(vendor);
        let delivery = &mut self.deliveries[key];
        delivery.key = Some(CorrelationKey { vendor: scope, id });
        delivery.is_final = view.finality == Finality::Final;
        if delivery.is_final {
            delivery.content = repetition_number(scope, &delivery.pdu);
        }
        let (source, destination) = addresses;
        let numbers = self.numbers_of(vendor, source.digits, destination.digits);
        self.ask_store(now, key, numbers);
    }

    /// Asks the store, by the numbers that the receipt speaks of.
    pub(crate) fn ask_store(&mut self, now: Instant, key: Key, numbers: ReceiptNumbers) {
        let Some(kept_under) = self.deliveries[key].key else { return self.orphan(now, key) };
        self.wait_for_store(now, key, DeliveryPlace::Finding);
        self.store_ops.push_back(StoreOp::Find { delivery: DeliveryKey(key), key: kept_under, numbers });
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
                self.records.found(key, correlation.gateway_id);
                self.rewrite(key, correlation.gateway_id);
                if let Some(own) = &correlation.addresses {
                    self.restore_addresses(key, own);
                }
                if mutated!(self, ForgetEarly) {
                    self.forget_if_final(key);
                }
                self.give_to(now, key, correlation.account);
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

    /// How this vendor's ids are compared.
    pub(crate) fn id_rule(&self, vendor: u16) -> IdRule {
        self.vendor_rules(vendor).map_or(IdRule::Raw, |rules| rules.id_rule)
    }

    /// Puts our id where the vendor's stood, in text and TLV.
    fn rewrite(&mut self, key: Key, id: GatewayId) {
        let delivery = &mut self.deliveries[key];
        let shape = delivery.shape;
        rewrite_pdu(&delivery.pdu, shape, &id.text(), &mut self.text, &mut self.rewritten);
        core::mem::swap(&mut delivery.pdu, &mut self.rewritten);
    }
}

/// Longest short_message: SMPP 3.4 §5.2.21.
const SHORT_MESSAGE_MAX: usize = 254;

/// Writes a receipt's PDU with another id into `out`; every other octet stays. `text` is working space.
pub(crate) fn rewrite_pdu(pdu: &[u8], shape: Shape, id: &[u8], text: &mut BytesMut, out: &mut Vec<u8>) {
    out.clear();
    let part = |(at, length): (u32, u32)| &pdu[at as usize..][..length as usize];
    let (short_message, tlvs) = (part(shape.short_message), part(shape.tlvs));
    if short_message.is_empty() {
        out.extend_from_slice(&pdu[..shape.tlvs.0 as usize]);
    } else {
        rewrite_text(short_message, shape.has_header, id, text);
        text.truncate(SHORT_MESSAGE_MAX); // the end is the quoted message
        out.extend_from_slice(&pdu[..shape.short_message.0 as usize - 1]); // a length octet stands before it
        out.push(text.len() as u8);
        out.extend_from_slice(text);
    }
    rewrite_tlvs(tlvs, shape.has_header, id, text, out);
    let length = out.len() as u32;
    out[..4].copy_from_slice(&length.to_be_bytes());
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
        let mut out = Vec::new();
        rewrite_pdu(&original, shape, b"0123456789ABCDEF", &mut BytesMut::new(), &mut out);
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
        check((b"", b"\x04\x27\x00\x01\x02"), false, (b"", b"\x04\x27\x00\x01\x02"));
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
