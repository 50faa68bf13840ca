//! May this message enter? The checks that need nothing but the message, the session and the bounds.

use crate::account::Session;
use crate::in_flight::addresses;
use crate::refusal::Refusal;
use crate::snapshot::Limits;
use smpp::error::Field;
use smpp::field::time::Time;
use smpp::field::{Address, CommandId, DataCoding, EsmClass, RegisteredDelivery};
use smpp::pdu::{DataSm, SubmitSm};
use smpp::text::segment::Part;
use smpp::tlv::{Tag, Tlvs};
use smpp::version::Unsayable;

/// Lowest priority_flag above what bulk traffic has (SMPP 3.4 §5.2.14).
const PRIORITY_URGENT: u8 = 1;

/// What submit_sm and data_sm have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Submission<'a> {
    pub(crate) command: CommandId,
    pub(crate) source: &'a [u8],
    pub(crate) destination: &'a [u8],
    pub(crate) schedule_delivery_time: &'a [u8],
    pub(crate) validity_period: &'a [u8],
    /// It cannot be written in a form that may leave.
    pub(crate) malformed: Option<Refusal>,
    /// A one-octet field with a reserved value, looked for only where a vendor takes none.
    pub(crate) reserved: Option<Field>,
    /// Why SMPP 3.3 cannot say it, looked for only where a vendor speaks that.
    pub(crate) unsayable: Option<Unsayable>,
    pub(crate) registered_delivery: RegisteredDelivery,
    /// Its receipts go before others.
    pub(crate) urgent: bool,
    /// Source; like destination in full for records only.
    pub(crate) from: Address<'a>,
    pub(crate) to: Address<'a>,
    pub(crate) esm_class: EsmClass,
    pub(crate) data_coding: DataCoding,
    pub(crate) short_message: &'a [u8],
    pub(crate) tlvs: Tlvs<'a>,
}

impl<'a> Submission<'a> {
    pub(crate) fn of_submit(pdu: &SubmitSm<'a>) -> Self {
        Self {
            command: CommandId::SUBMIT_SM,
            source: pdu.source.digits,
            destination: pdu.destination.digits,
            schedule_delivery_time: pdu.schedule_delivery_time,
            validity_period: pdu.validity_period,
            malformed: None,
            reserved: None,
            unsayable: None,
            registered_delivery: pdu.registered_delivery,
            urgent: pdu.priority_flag >= PRIORITY_URGENT,
            from: pdu.source,
            to: pdu.destination,
            esm_class: pdu.esm_class,
            data_coding: pdu.data_coding,
            short_message: pdu.short_message,
            tlvs: pdu.tlvs,
        }
    }

    pub(crate) fn of_data(pdu: &DataSm<'a>) -> Self {
        Self {
            command: CommandId::DATA_SM,
            source: pdu.source.digits,
            destination: pdu.destination.digits,
            schedule_delivery_time: &[],
            validity_period: &[],
            malformed: None,
            reserved: None,
            unsayable: None,
            registered_delivery: pdu.registered_delivery,
            urgent: false, // data_sm has no priority
            from: pdu.source,
            to: pdu.destination,
            esm_class: pdu.esm_class,
            data_coding: pdu.data_coding,
            short_message: &[],
            tlvs: pdu.tlvs,
        }
    }

    /// Which part of a message it is, when it is one.
    #[inline]
    pub(crate) fn part(&self) -> Option<Part> {
        let has_header = self.esm_class.has_user_data_header();
        if !has_header && self.tlvs.as_bytes().is_empty() {
            return None; // nearly all
        }
        let payload = match self.short_message {
            [] => self.tlvs.find(Tag::MESSAGE_PAYLOAD).unwrap_or_default(),
            text => text,
        };
        Part::find(has_header, payload, &self.tlvs).filter(|part| part.total > 1)
    }

    /// Source and destination as one number.
    pub(crate) fn addresses(&self) -> u64 {
        addresses(self.source, self.destination)
    }

    /// True when a receipt or an intermediate notification may come back.
    pub(crate) fn wants_receipt(&self) -> bool {
        self.registered_delivery.wants_receipt() || self.registered_delivery.wants_intermediate()
    }
}

/// The order goes from what concerns the session to what concerns the message.
#[inline]
pub(crate) fn admit(
    session: &Session,
    over_window: bool,
    length: usize,
    unix_seconds: u64,
    submission: &Submission<'_>,
    limits: &Limits,
) -> Result<(), Refusal> {
    if !session.may_submit {
        return Err(Refusal::MayNotSubmit);
    }
    if over_window {
        return Err(Refusal::WindowOver);
    }
    if length > limits.pdu_size_max as usize {
        return Err(Refusal::TooLong);
    }
    if let Some(refusal) = submission.malformed {
        return Err(refusal);
    }
    if !submission.destination.iter().any(u8::is_ascii_digit) {
        return Err(Refusal::NoDestination);
    }
    if !submission.schedule_delivery_time.is_empty()
        && !is_ahead(submission.schedule_delivery_time, unix_seconds)
    {
        return Err(Refusal::ScheduleInvalid);
    }
    if !submission.validity_period.is_empty() && !is_ahead(submission.validity_period, unix_seconds) {
        return Err(Refusal::ValidityInvalid);
    }
    Ok(())
}

/// A time of SMPP 3.4 §7.1.1 that is not over. A minute of grace, because clocks differ.
fn is_ahead(time: &[u8], unix_seconds: u64) -> bool {
    const GRACE_SECONDS: i64 = 60;
    let now = i64::try_from(unix_seconds).unwrap_or(i64::MAX);
    Time::parse(time).is_some_and(|time| match time {
        Time::Absolute(time) => time.unix_seconds().saturating_add(GRACE_SECONDS) >= now,
        Time::Relative(_) => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use smpp::field::Address;

    const NOW: u64 = 1_767_225_600; // 2026-01-01T00:00:00Z

    fn check(change: impl FnOnce(&mut Session, &mut Submission<'_>), expected: Result<(), Refusal>) {
        let mut session = Session { may_submit: true, ..Session::default() };
        let submit = SubmitSm {
            destination: Address { digits: b"12025550100", ..Address::default() },
            ..SubmitSm::default()
        };
        let mut submission = Submission::of_submit(&submit);
        change(&mut session, &mut submission);
        assert_eq!(admit(&session, false, 100, NOW, &submission, &Limits::default()), expected);
    }

    #[test]
    fn each_check_refuses_alone() {
        check(|_, _| {}, Ok(()));
        check(|session, _| session.may_submit = false, Err(Refusal::MayNotSubmit));
        check(|_, submission| submission.destination = b"", Err(Refusal::NoDestination));
        check(|_, submission| submission.destination = b"+", Err(Refusal::NoDestination));
        check(|_, submission| submission.validity_period = b"000001000000000R", Ok(()));
        check(|_, submission| submission.validity_period = b"260101000000000+", Ok(()));
        check(|_, submission| submission.validity_period = b"251231235900000+", Ok(()));
        check(
            |_, submission| submission.validity_period = b"251231235800000+",
            Err(Refusal::ValidityInvalid),
        );
        check(|_, submission| submission.validity_period = b"tomorrow", Err(Refusal::ValidityInvalid));
        check(|_, submission| submission.schedule_delivery_time = b"000001000000000R", Ok(()));
        check(|_, submission| submission.schedule_delivery_time = b"260102000000000+", Ok(()));
        check(|_, submission| submission.schedule_delivery_time = b"251231235900000+", Ok(()));
        check(
            |_, submission| submission.schedule_delivery_time = b"251231235800000+",
            Err(Refusal::ScheduleInvalid),
        );
        check(
            |_, submission| submission.malformed = Some(Refusal::SourceInvalid),
            Err(Refusal::SourceInvalid),
        );
        let session = Session { may_submit: true, ..Session::default() };
        let submission = Submission::of_data(&DataSm {
            destination: Address { digits: b"1", ..Address::default() },
            registered_delivery: RegisteredDelivery(0x10),
            ..DataSm::default()
        });
        assert!(submission.wants_receipt());
        let limits = Limits { pdu_size_max: 64, ..Limits::default() };
        assert_eq!(admit(&session, true, 65, NOW, &submission, &limits), Err(Refusal::WindowOver));
        assert_eq!(admit(&session, false, 65, NOW, &submission, &limits), Err(Refusal::TooLong));
    }
}
