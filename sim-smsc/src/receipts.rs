//! Receipts: what waits to be sent, and how it is written.

use std::time::Duration;

use bytes::BytesMut;
use ledger::MessageKey;
use smpp::field::{Address, DataCoding, EsmClass, MessageState, Npi, RegisteredDelivery, Ton};
use smpp::pdu::DeliverSm;
use smpp::tlv::{Tag, Tlvs, write_tlv};

use crate::ids::{IdRule, IdText};
use crate::smsc::ConnRef;
use crate::states::Outcomes;

/// Which of an account's receiving binds gets a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Route {
    /// Drawn among all.
    #[default]
    AnyRx,
    /// The one that submitted, while it is there and may receive; else any.
    SameBind,
    /// In turn.
    RoundRobin,
}

/// When a receipt that was not taken is sent again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Redelivery {
    /// Wait before the second attempt.
    pub first: Duration,
    /// Each further wait is longer by this factor.
    pub factor: f64,
    /// Longest wait.
    pub longest: Duration,
    /// From the submit on; then the receipt is given up.
    pub lifetime: Duration,
}

/// How a site writes and sends receipts.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceiptRule {
    /// What becomes of messages.
    pub outcomes: Outcomes,
    /// Optional parameters.
    pub tlvs: ReceiptTlvs,
    /// Whether the first 20 octets of the message stand behind `text:`.
    pub text: bool,
    /// Digits of a date: 10 (YYMMDDhhmm), 12 (with ss) or 14 (YYYYMMDDhhmmss). UTC.
    pub date_digits: u8,
    /// Whether the numbers are written with a leading plus sign.
    pub plus: bool,
    /// Unanswered deliver_sm per bind.
    pub window: u32,
    /// A deliver_sm unanswered for so long counts as not taken.
    pub ack_timeout: Duration,
    /// When it is sent again.
    pub redelivery: Redelivery,
    /// Which bind gets it.
    pub route: Route,
    /// With no receiving bind: wait for one, or drop.
    pub queue_without_receiver: bool,
    /// Receipts and MO waiting or unanswered, about 200 octets each. At this number submits get ESME_RMSGQFUL.
    pub pending_max: usize,
    /// Share of receipts that are sent twice.
    pub duplicate_p: f64,
    /// Share of receipts that come before the submit_sm_resp.
    pub before_response_p: f64,
    /// Receipts are kept back until they are released.
    pub hold: bool,
}

/// Optional parameters of a receipt.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ReceiptTlvs {
    /// 0x001E.
    pub receipted_message_id: bool,
    /// 0x0427.
    pub message_state: bool,
    /// 0x0423: network type 3 (GSM) and the error code.
    pub network_error_code: bool,
    /// 0x1403: MCC and MNC of the destination network, as text.
    pub network: Option<String>,
}

/// A deliver_sm that waits or is unanswered.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) body: Body,
    pub(crate) key: MessageKey,
    pub(crate) account: u32,
    /// The bind it was sent on and that has not answered.
    pub(crate) on: Option<ConnRef>,
    /// The bind that submitted the message.
    pub(crate) origin: Option<ConnRef>,
    /// Attempts that failed.
    pub(crate) failures: u32,
    pub(crate) is_copy: bool,
    /// Unix time of the submit, nanoseconds.
    pub(crate) since_unix_ns: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Receipt {
        id: u64,
        id_hash: u64,
        state: MessageState,
        error: u16,
        source: Number,
        destination: Number,
        text: Head,
    },
    Mo,
}

/// An address kept by value (SMPP 3.4 §5.2.8).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number {
    ton: Ton,
    npi: Npi,
    length: u8,
    digits: [u8; Number::LENGTH_MAX],
}

impl Number {
    /// Digits of an address without its NUL.
    const LENGTH_MAX: usize = 20;

    pub(crate) fn new(address: &Address<'_>) -> Number {
        let length = address.digits.len().min(Self::LENGTH_MAX);
        let mut digits = [0; Self::LENGTH_MAX];
        digits[..length].copy_from_slice(&address.digits[..length]);
        Number { ton: address.ton, npi: address.npi, length: length as u8, digits }
    }

    fn digits(&self) -> &[u8] {
        &self.digits[..usize::from(self.length)]
    }
}

/// First octets of a message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Head {
    length: u8,
    octets: [u8; Head::LENGTH_MAX],
}

impl Head {
    const LENGTH_MAX: usize = 20;

    pub(crate) fn new(payload: &[u8]) -> Head {
        let length = payload.len().min(Self::LENGTH_MAX);
        let mut octets = [0; Self::LENGTH_MAX];
        octets[..length].copy_from_slice(&payload[..length]);
        Head { length: length as u8, octets }
    }

    fn octets(&self) -> &[u8] {
        &self.octets[..usize::from(self.length)]
    }
}

/// Buffers lent to a deliver_sm while it is written.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    text: Vec<u8>,
    tlvs: BytesMut,
    addresses: [Vec<u8>; 2],
}

impl Scratch {
    pub(crate) fn text(&mut self) -> &mut Vec<u8> {
        self.text.clear();
        &mut self.text
    }

    /// The text written before, with two addresses laid beside it.
    pub(crate) fn with_addresses(&mut self, source: &[u8], destination: &[u8]) -> (&[u8], [&[u8]; 2]) {
        for (out, digits) in self.addresses.iter_mut().zip([source, destination]) {
            out.clear();
            out.extend_from_slice(digits);
        }
        (&self.text, [&self.addresses[0], &self.addresses[1]])
    }
}

/// Everything about one receipt.
pub(crate) struct ReceiptView<'a> {
    pub(crate) rule: &'a ReceiptRule,
    pub(crate) ids: &'a IdRule,
    pub(crate) seed: u64,
    pub(crate) pending: &'a Pending,
    pub(crate) done_unix_ns: u64,
}

impl ReceiptView<'_> {
    /// Writes the deliver_sm; `None` for a MO.
    pub(crate) fn write<'s>(&self, scratch: &'s mut Scratch) -> Option<DeliverSm<'s>> {
        let Body::Receipt { id, state, error, source, destination, text, .. } = &self.pending.body else {
            return None;
        };
        let id = IdText::new(*id, self.ids.receipt_format, self.ids.width, self.seed);
        self.write_text(scratch.text(), id.as_bytes(), *state, *error, text);
        self.write_tlvs(&mut scratch.tlvs, id.as_bytes(), *state, *error);
        // A receipt travels the other way round (SMPP 3.4 §2.11).
        for (number, out) in [destination, source].into_iter().zip(&mut scratch.addresses) {
            out.clear();
            if self.rule.plus {
                out.push(b'+');
            }
            out.extend_from_slice(number.digits());
        }
        let address =
            |number: &Number, digits: &'s [u8]| Address { ton: number.ton, npi: number.npi, digits };
        Some(DeliverSm {
            source: address(destination, &scratch.addresses[0]),
            destination: address(source, &scratch.addresses[1]),
            esm_class: EsmClass(ESM_CLASS_RECEIPT),
            short_message: &scratch.text,
            tlvs: Tlvs::new(&scratch.tlvs),
            ..empty_deliver_sm()
        })
    }

    fn write_text(&self, out: &mut Vec<u8>, id: &[u8], state: MessageState, error: u16, text: &Head) {
        let delivered: &[u8] = if state == MessageState::Delivered { b"001" } else { b"000" };
        let digits = self.rule.date_digits;
        out.extend_from_slice(b"id:");
        out.extend_from_slice(id);
        out.extend_from_slice(b" sub:001 dlvrd:");
        out.extend_from_slice(delivered);
        out.extend_from_slice(b" submit date:");
        write_date(out, self.pending.since_unix_ns, digits);
        out.extend_from_slice(b" done date:");
        write_date(out, self.done_unix_ns, digits);
        out.extend_from_slice(b" stat:");
        out.extend_from_slice(state.stat().as_bytes());
        out.extend_from_slice(b" err:");
        write_digits(out, u64::from(error), 3);
        out.extend_from_slice(b" text:");
        if self.rule.text {
            out.extend_from_slice(text.octets());
        }
    }

    fn write_tlvs(&self, out: &mut BytesMut, id: &[u8], state: MessageState, error: u16) {
        out.clear();
        let wanted = &self.rule.tlvs;
        if wanted.receipted_message_id {
            let mut value = [0; 65];
            let length = id.len().min(64);
            value[..length].copy_from_slice(&id[..length]);
            write_tlv(out, Tag(0x001E), &value[..length + 1]);
        }
        if wanted.message_state {
            write_tlv(out, Tag(0x0427), &[state.as_u8()]);
        }
        if wanted.network_error_code {
            let error = error.to_be_bytes();
            write_tlv(out, Tag(0x0423), &[NETWORK_TYPE_GSM, error[0], error[1]]);
        }
        if let Some(network) = &wanted.network {
            let mut value = network.clone().into_bytes();
            value.push(0);
            write_tlv(out, Tag(0x1403), &value);
        }
    }
}

/// A deliver_sm with every field zero or empty.
pub(crate) fn empty_deliver_sm<'a>() -> DeliverSm<'a> {
    let address = Address { ton: Ton(1), npi: Npi(1), digits: b"" };
    DeliverSm {
        service_type: b"",
        source: address,
        destination: address,
        esm_class: EsmClass(0),
        protocol_id: 0,
        priority_flag: 0,
        schedule_delivery_time: b"",
        validity_period: b"",
        registered_delivery: RegisteredDelivery(0),
        replace_if_present_flag: 0,
        data_coding: DataCoding(0),
        sm_default_msg_id: 0,
        short_message: b"",
        tlvs: Tlvs::default(),
    }
}

/// Writes a date in UTC with 10, 12 or 14 digits.
fn write_date(out: &mut Vec<u8>, unix_ns: u64, digits: u8) {
    let seconds = unix_ns / 1_000_000_000;
    let (year, month, day) = civil_from_days(seconds / 86_400);
    if digits == 14 {
        write_digits(out, year, 4);
    } else {
        write_digits(out, year % 100, 2);
    }
    let minutes = seconds / 60 % 1_440;
    for part in [month, day, minutes / 60, minutes % 60] {
        write_digits(out, part, 2);
    }
    if digits > 10 {
        write_digits(out, seconds % 60, 2);
    }
}

fn write_digits(out: &mut Vec<u8>, value: u64, width: u32) {
    for place in (0..width).rev() {
        out.push(b'0' + (value / 10u64.pow(place) % 10) as u8);
    }
}

/// Year, month and day of a day after 1970-01-01, by counting in eras of 400 years that begin in March.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// esm_class of a delivery receipt (SMPP 3.4 §5.2.12).
const ESM_CLASS_RECEIPT: u8 = 0x04;

/// SMPP 3.4 §5.3.2.31.
const NETWORK_TYPE_GSM: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::behaviour;

    fn pending(word: &str, error: u16) -> Pending {
        let number = |digits: &[u8]| Number::new(&Address { ton: Ton(1), npi: Npi(1), digits });
        Pending {
            body: Body::Receipt {
                id: 0x4996_02D2,
                id_hash: 0,
                state: MessageState::from_stat(word.as_bytes()).unwrap(),
                error,
                source: number(b"12025550100"),
                destination: number(b"13125550199"),
                text: Head::new(b"Hello, this is a rather long text"),
            },
            key: MessageKey::default(),
            account: 0,
            on: None,
            origin: None,
            failures: 0,
            is_copy: false,
            since_unix_ns: 1_751_414_340_000_000_000, // 2025-07-01 23:59:00
        }
    }

    #[track_caller]
    fn check(change: impl Fn(&mut ReceiptRule, &mut IdRule), pending: &Pending, text: &str, tlvs: &[u8]) {
        let mut behaviour = behaviour("");
        change(&mut behaviour.receipts, &mut behaviour.ids);
        let view = ReceiptView {
            rule: &behaviour.receipts,
            ids: &behaviour.ids,
            seed: 1,
            pending,
            done_unix_ns: pending.since_unix_ns + 75_000_000_000,
        };
        let mut scratch = Scratch::default();
        let deliver = view.write(&mut scratch).unwrap();
        assert_eq!(std::str::from_utf8(deliver.short_message).unwrap(), text);
        assert_eq!(deliver.tlvs.as_bytes(), tlvs);
        assert_eq!(deliver.esm_class.0, 4);
        assert!(deliver.source.digits.ends_with(b"13125550199"));
        assert!(deliver.destination.digits.ends_with(b"12025550100"));
    }

    #[test]
    fn receipts_are_written_in_the_dialect() {
        check(
            |_, _| {},
            &pending("DELIVRD", 0),
            "id:1234567890 sub:001 dlvrd:001 submit date:2507012359 done date:2507020000 stat:DELIVRD err:000 text:",
            b"\x00\x1E\x00\x0B1234567890\0\x04\x27\x00\x01\x02",
        );
        check(
            |rule, ids| {
                ids.receipt_format = crate::ids::IdFormat::Hex;
                rule.tlvs = ReceiptTlvs {
                    network_error_code: true,
                    network: Some("310260".into()),
                    ..ReceiptTlvs::default()
                };
                (rule.text, rule.date_digits, rule.plus) = (true, 14, true);
            },
            &pending("UNDELIV", 349),
            "id:499602d2 sub:001 dlvrd:000 submit date:20250701235900 done date:20250702000015 stat:UNDELIV \
             err:349 text:Hello, this is a rat",
            b"\x04\x23\x00\x03\x03\x01\x5D\x14\x03\x00\x07310260\0",
        );
    }

    #[test]
    fn dates() {
        for (days, expected) in
            [(0, (1970, 1, 1)), (59, (1970, 3, 1)), (11_016, (2000, 2, 29)), (20_271, (2025, 7, 2))]
        {
            assert_eq!(civil_from_days(days), expected);
        }
    }
}
