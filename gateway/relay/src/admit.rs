//! May this message enter? The checks that need nothing but the message, the session and the bounds.

use crate::account::Session;
use crate::refusal::Refusal;
use crate::snapshot::Limits;
use smpp::field::time::Time;
use smpp::field::{CommandId, RegisteredDelivery};
use smpp::pdu::{DataSm, SubmitSm};

/// Lowest priority_flag above what bulk traffic has (SMPP 3.4 §5.2.14).
const PRIORITY_URGENT: u8 = 1;

/// What submit_sm and data_sm have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Submission<'a> {
    pub(crate) command: CommandId,
    pub(crate) destination: &'a [u8],
    pub(crate) validity_period: &'a [u8],
    pub(crate) registered_delivery: RegisteredDelivery,
    /// Its receipts go before others.
    pub(crate) urgent: bool,
}

impl<'a> Submission<'a> {
    pub(crate) fn of_submit(pdu: &SubmitSm<'a>) -> Self {
        Self {
            command: CommandId::SUBMIT_SM,
            destination: pdu.destination.digits,
            validity_period: pdu.validity_period,
            registered_delivery: pdu.registered_delivery,
            urgent: pdu.priority_flag >= PRIORITY_URGENT,
        }
    }

    pub(crate) fn of_data(pdu: &DataSm<'a>) -> Self {
        Self {
            command: CommandId::DATA_SM,
            destination: pdu.destination.digits,
            validity_period: &[],
            registered_delivery: pdu.registered_delivery,
            urgent: false, // data_sm has no priority
        }
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
    if !submission.destination.iter().any(u8::is_ascii_digit) {
        return Err(Refusal::NoDestination);
    }
    if !submission.validity_period.is_empty() && !is_ahead(submission.validity_period, unix_seconds) {
        return Err(Refusal::ValidityInvalid);
    }
    Ok(())
}

/// A time of SMPP 3.4 §7.1.1 that is not over. A minute of grace, because clocks differ.
fn is_ahead(validity_period: &[u8], unix_seconds: u64) -> bool {
    const GRACE_SECONDS: i64 = 60;
    let now = i64::try_from(unix_seconds).unwrap_or(i64::MAX);
    Time::parse(validity_period).is_some_and(|time| match time {
        Time::Absolute(time) => time.unix_seconds().saturating_add(GRACE_SECONDS) >= now,
        Time::Relative(_) => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_767_225_600; // 2026-01-01T00:00:00Z

    fn check(change: impl FnOnce(&mut Session, &mut Submission<'_>), expected: Result<(), Refusal>) {
        let mut session = Session { may_submit: true, ..Session::default() };
        let mut submission = Submission {
            command: CommandId::SUBMIT_SM,
            destination: b"12025550100",
            validity_period: b"",
            registered_delivery: RegisteredDelivery(0),
            urgent: false,
        };
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
        let session = Session { may_submit: true, ..Session::default() };
        let submission = Submission {
            command: CommandId::DATA_SM,
            destination: b"1",
            validity_period: b"",
            registered_delivery: RegisteredDelivery(0x10),
            urgent: false,
        };
        assert!(submission.wants_receipt());
        let limits = Limits { pdu_size_max: 64, ..Limits::default() };
        assert_eq!(admit(&session, true, 65, NOW, &submission, &limits), Err(Refusal::WindowOver));
        assert_eq!(admit(&session, false, 65, NOW, &submission, &limits), Err(Refusal::TooLong));
    }
}
