//! The PDUs of store and forward: how long a message is valid, and the receipts that the gateway writes itself.

use crate::admit::Submission;
use crate::route::Encoding;
use crate::spool_op::Fate;
use bytes::BytesMut;
use core::time::Duration;
use smpp::dialect::Dialect;
use smpp::error::Field;
use smpp::field::time::{RelativeTime, TIME_LENGTH, Time};
use smpp::field::{Address, CommandId, CommandStatus, EsmClass, ReceiptWanted, RegisteredDelivery};
use smpp::limits::{ADDRESS_LONG_SIZE_MAX, ADDRESS_SIZE_MAX};
use smpp::pdu::{DataSm, DeliverSm, Pdu};
use smpp::strict::{reserved_in_data, reserved_in_submit};
use smpp::text::message_id::GatewayId;
use smpp::text::receipt::{DateForm, Receipt};
use smpp::text::segment::Part;
use smpp::tlv::{Tag, Tlvs, write_tlv};
use smpp::version::{Unsayable, unsayable};
use smpp::wire::Frame;

/// How long a message is valid that was taken at `accepted_at`, seconds since 1970 UTC. Empty or no time: `default`.
pub(crate) fn validity(period: &[u8], accepted_at: u32, default: Duration) -> Duration {
    let now = i64::from(accepted_at);
    Time::parse(period)
        .map_or(default, |time| Duration::from_secs(time.unix_seconds(now).saturating_sub(now).max(0) as u64))
}

/// What a message's fate needs of its PDU.
pub(crate) struct View<'a> {
    pub(crate) command: CommandId,
    pub(crate) source: Address<'a>,
    pub(crate) destination: Address<'a>,
    pub(crate) encoding: Encoding,
    /// A receipt or an intermediate notification may come back.
    pub(crate) wants_receipt: bool,
    /// Which receipts its customer asked for.
    pub(crate) registered: RegisteredDelivery,
    /// A receipt is wanted when it fails.
    pub(crate) wants_failure: bool,
    /// Its receipts go before others.
    pub(crate) urgent: bool,
    /// Which part of a message it is.
    pub(crate) part: Option<Part>,
    /// A one-octet field with a reserved value.
    pub(crate) reserved: Option<Field>,
    /// Why SMPP 3.3 cannot say it.
    pub(crate) unsayable: Option<Unsayable>,
}

impl<'a> View<'a> {
    /// Reads a whole submit_sm or data_sm.
    pub(crate) fn of(pdu: &'a [u8]) -> Option<Self> {
        let frame = Frame::whole(pdu)?;
        let read = Pdu::decode(frame, &Dialect::tolerant()).ok()?;
        let (submission, reserved) = match read {
            Pdu::SubmitSm(submit) => (Submission::of_submit(&submit), reserved_in_submit(&submit)),
            Pdu::DataSm(data) => (Submission::of_data(&data), reserved_in_data(&data)),
            _ => return None,
        };
        let wanted = submission.registered_delivery.receipt();
        Some(View {
            command: submission.command,
            source: submission.from,
            destination: submission.to,
            encoding: Encoding::of(submission.data_coding),
            wants_receipt: submission.wants_receipt(),
            registered: submission.registered_delivery,
            wants_failure: matches!(wanted, ReceiptWanted::Always | ReceiptWanted::OnFailure),
            urgent: submission.urgent,
            part: submission.part(),
            reserved,
            unsayable: unsayable(&read),
        })
    }
}

/// Writes what is left of relative times over them: a validity of `left`, a schedule less the time that the message has
/// `waited`. The vendor counts from when it gets the message. Absolute times stay right, and a message without one keeps
/// none. A schedule that is over is now: a span of zero.
pub(crate) fn shorten_times(pdu: &mut [u8], left: Duration, waited: Duration) {
    let [schedule, validity] = {
        let Some(Pdu::SubmitSm(submit)) =
            Frame::whole(pdu).and_then(|frame| Pdu::decode(frame, &Dialect::tolerant()).ok())
        else {
            return;
        };
        [submit.schedule_delivery_time, submit.validity_period].map(|time| {
            let Some(Time::Relative(span)) = Time::parse(time) else { return None };
            Some(((time.as_ptr() as usize).wrapping_sub(pdu.as_ptr() as usize), span.duration()))
        })
    };
    let schedule = schedule.map(|(at, span)| (at, span.saturating_sub(waited)));
    let validity = validity.map(|(at, _)| (at, left));
    for (at, span) in [schedule, validity].into_iter().flatten() {
        if let Some(time) = pdu.get_mut(at..).and_then(|rest| rest.get_mut(..TIME_LENGTH)) {
            time.copy_from_slice(&Time::Relative(RelativeTime::from_duration(span)).write());
        }
    }
}

/// What a receipt of ours says beside the addresses.
pub(crate) struct Facts {
    pub(crate) gateway_id: GatewayId,
    /// Seconds since 1970 UTC.
    pub(crate) accepted_at: u32,
    /// Seconds since 1970 UTC.
    pub(crate) done_at: u32,
    pub(crate) fate: Fate,
}

/// The PDU with the receipt, sequence number to be patched: text of SMPP 3.4 Appendix B, and the TLVs
/// receipted_message_id and message_state. A deliver_sm, or a data_sm where an address is longer than deliver_sm can say;
/// nothing where it is longer than that. Allocates; failures are rare.
pub(crate) fn receipt(view: &View<'_>, facts: &Facts) -> Option<(CommandId, BytesMut)> {
    let longest = view.source.digits.len().max(view.destination.digits.len());
    if longest >= ADDRESS_LONG_SIZE_MAX {
        return None;
    }
    let id = facts.gateway_id.text();
    let state = facts.fate.state;
    let date = |seconds: u32| {
        let mut out = BytesMut::new();
        DateForm::Ten.write(i64::from(seconds), &mut out);
        out
    };
    let (submit_date, done_date) = (date(facts.accepted_at), date(facts.done_at));
    let error = format!("{:03}", facts.fate.status.0);
    let mut text = BytesMut::new();
    Receipt {
        id: &id,
        sub: b"001",
        dlvrd: b"000",
        submit_date: &submit_date,
        done_date: &done_date,
        state: Some(state),
        err: error.as_bytes(),
        ..Receipt::default()
    }
    .write(&mut text);
    let mut tlvs = BytesMut::new();
    let mut id_with_end = id.to_vec();
    id_with_end.push(0);
    write_tlv(&mut tlvs, Tag::RECEIPTED_MESSAGE_ID, &id_with_end);
    write_tlv(&mut tlvs, Tag::MESSAGE_STATE, &[state.as_u8()]);
    let mut out = BytesMut::new();
    let (source, destination) = (view.destination, view.source);
    let (esm_class, registered_delivery) = (EsmClass::RECEIPT, RegisteredDelivery::NONE);
    if longest >= ADDRESS_SIZE_MAX {
        write_tlv(&mut tlvs, Tag::MESSAGE_PAYLOAD, &text);
        let tlvs = Tlvs::new(&tlvs);
        DataSm { source, destination, esm_class, registered_delivery, tlvs, ..DataSm::default() }.encode(
            CommandStatus::ESME_ROK,
            0,
            &mut out,
        );
        return Some((CommandId::DATA_SM, out));
    }
    DeliverSm {
        source,
        destination,
        esm_class,
        registered_delivery,
        short_message: &text,
        tlvs: Tlvs::new(&tlvs),
        ..DeliverSm::default()
    }
    .encode(CommandStatus::ESME_ROK, 0, &mut out);
    Some((CommandId::DELIVER_SM, out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use smpp::field::{MessageState, Npi, Ton};
    use smpp::pdu::SubmitSm;
    use smpp::text::receipt::receipt_of;

    const NOW: u32 = 1_767_225_600; // 2026-01-01T00:00:00Z

    fn submit(validity_period: &[u8], registered: u8) -> Vec<u8> {
        let mut out = BytesMut::new();
        SubmitSm {
            source: Address { ton: Ton(5), npi: Npi(0), digits: b"ACME" },
            destination: Address { ton: Ton(1), npi: Npi(1), digits: b"12025550123" },
            validity_period,
            registered_delivery: RegisteredDelivery(registered),
            short_message: b"hello",
            ..SubmitSm::default()
        }
        .encode(CommandStatus::ESME_ROK, 1, &mut out);
        out.to_vec()
    }

    #[test]
    fn validity_is_the_customers_or_the_default() {
        let check = |period: &[u8], seconds| {
            let default = Duration::from_secs(77);
            assert_eq!(
                validity(period, NOW, default),
                Duration::from_secs(seconds),
                "{}",
                period.escape_ascii()
            );
        };
        check(b"", 77);
        check(b"tomorrow", 77);
        check(b"000000010000000R", 3600);
        check(b"260101000500000+", 300);
        check(b"251231235930000+", 0); // within the grace of admission
    }

    #[test]
    fn only_a_relative_validity_is_shortened() {
        let check = |before: &[u8], after: &[u8]| {
            let mut pdu = submit(before, 1);
            shorten_times(&mut pdu, Duration::from_secs(90), Duration::from_secs(3510));
            assert_eq!(pdu, submit(after, 1), "{}", before.escape_ascii());
        };
        check(b"000000010000000R", b"000000000130000R");
        check(b"260101000500000+", b"260101000500000+");
        check(b"", b"");
        let mut other = b"no pdu".to_vec();
        shorten_times(&mut other, Duration::ZERO, Duration::ZERO);
        assert_eq!(other, b"no pdu");
    }

    #[test]
    fn a_relative_schedule_is_shortened_by_what_it_waited() {
        fn submit(schedule_delivery_time: &[u8]) -> Vec<u8> {
            let mut out = BytesMut::new();
            let submit = SubmitSm { schedule_delivery_time, ..SubmitSm::default() };
            submit.encode(CommandStatus::ESME_ROK, 1, &mut out);
            out.to_vec()
        }
        let check = |before: &[u8], after: &[u8]| {
            let mut pdu = submit(before);
            shorten_times(&mut pdu, Duration::from_secs(86_400), Duration::from_secs(90));
            assert_eq!(pdu, submit(after), "{}", before.escape_ascii());
        };
        check(b"000000010000000R", b"000000005830000R");
        check(b"000000000100000R", b"000000000000000R");
        check(b"260101000500000+", b"260101000500000+");
        check(b"", b"");
    }

    #[test]
    fn a_receipt_goes_back_the_way_the_message_came() {
        let pdu = submit(b"", 1);
        let view = View::of(&pdu).expect("a submit");
        let fate = Fate { state: MessageState::Undeliverable, status: CommandStatus::ESME_RINVDSTADR };
        let facts = Facts { gateway_id: GatewayId(0x0A), accepted_at: NOW, done_at: NOW + 60, fate };
        let (command, out) = receipt(&view, &facts).expect("addresses fit");
        assert_eq!(command, CommandId::DELIVER_SM);
        let deliver = DeliverSm::decode(Frame::whole(&out).unwrap(), &Dialect::strict()).unwrap();
        assert_eq!((deliver.source.digits, deliver.destination.digits), (&b"12025550123"[..], &b"ACME"[..]));
        assert_eq!((deliver.source.ton, deliver.destination.ton), (Ton(1), Ton(5)));
        assert_eq!(
            deliver.short_message.escape_ascii().to_string(),
            "id:000000000000000A sub:001 dlvrd:000 submit date:2601010000 done date:2601010001 stat:UNDELIV err:011 text:"
        );
        let found = receipt_of(&deliver).expect("marked as a receipt");
        assert_eq!(found.id.map(|id| id.value), Some(&b"000000000000000A"[..]));
        assert_eq!(deliver.tlvs.find(Tag::RECEIPTED_MESSAGE_ID), Some(&b"000000000000000A\0"[..]));
        assert_eq!(deliver.tlvs.find_u8(Tag::MESSAGE_STATE), Some(MessageState::Undeliverable.as_u8()));
    }

    #[test]
    fn a_receipt_for_long_addresses_is_a_data_sm() {
        let fate = Fate { state: MessageState::Undeliverable, status: CommandStatus::ESME_RINVDSTADR };
        let facts = Facts { gateway_id: GatewayId(0x0A), accepted_at: NOW, done_at: NOW + 60, fate };
        let receipt_to = |length: usize| {
            let digits = vec![b'7'; length];
            let mut pdu = BytesMut::new();
            let destination = Address { ton: Ton(1), npi: Npi(1), digits: &digits };
            DataSm { destination, ..DataSm::default() }.encode(CommandStatus::ESME_ROK, 1, &mut pdu);
            receipt(&View::of(&pdu).expect("a submit"), &facts)
        };
        assert!(receipt_to(20).is_some_and(|(command, _)| command == CommandId::DELIVER_SM));
        let (command, out) = receipt_to(21).expect("fits a data_sm");
        assert_eq!(command, CommandId::DATA_SM);
        let data = DataSm::decode(Frame::whole(&out).unwrap(), &Dialect::strict()).unwrap();
        assert_eq!(data.source.digits, [b'7'; 21]);
        assert!(data.is_receipt() && data.payload().starts_with(b"id:000000000000000A "));
        assert!(receipt_to(65).is_none());
    }

    #[test]
    fn who_wants_to_hear_of_a_failure() {
        let check = |registered, wants| {
            let pdu = submit(b"", registered);
            let view = View::of(&pdu).expect("a submit");
            assert_eq!((view.wants_receipt, view.wants_failure), wants, "{registered}");
        };
        check(0, (false, false));
        check(1, (true, true));
        check(2, (true, true));
        check(3, (true, false));
        check(0x10, (true, false));
    }
}
