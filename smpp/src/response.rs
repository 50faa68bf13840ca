//! The form of every response: the one table of which has a body when it says yes and when it says no, and the
//! refusals written by it.
//!
//! SMPP 3.4 leaves the body out of a negative bind_*_resp and submit_sm_resp (§4.1.2, §4.1.4, §4.1.6, §4.4.2) and
//! nowhere else: peers that read by the letter end the session over a negative data_sm_resp without one. SMPP 3.3
//! knows the same forms, without data_sm and without TLVs.

use bytes::BytesMut;

use crate::field::{CommandId, CommandStatus, MessageState};
use crate::pdu::{DataSmResp, DeliverSmResp, Pdu, QuerySmResp, SubmitMultiResp};
use crate::wire::write_header_only;

/// When a response has a body.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ResponseBody {
    /// It has none.
    Never,
    /// When it says yes.
    WhenPositive,
    /// Whatever it says.
    Always,
}

/// The table. Nothing for what is no response of SMPP 3.4: outbind and alert_notification have none (§4.1.7, §4.12).
#[inline]
pub const fn body_of(response: CommandId) -> Option<ResponseBody> {
    match response {
        CommandId::BIND_TRANSMITTER_RESP
        | CommandId::BIND_RECEIVER_RESP
        | CommandId::BIND_TRANSCEIVER_RESP
        | CommandId::SUBMIT_SM_RESP => Some(ResponseBody::WhenPositive),
        CommandId::DELIVER_SM_RESP
        | CommandId::DATA_SM_RESP
        | CommandId::QUERY_SM_RESP
        | CommandId::SUBMIT_MULTI_RESP => Some(ResponseBody::Always),
        CommandId::UNBIND_RESP
        | CommandId::ENQUIRE_LINK_RESP
        | CommandId::CANCEL_SM_RESP
        | CommandId::REPLACE_SM_RESP
        | CommandId::GENERIC_NACK => Some(ResponseBody::Never),
        _ => None,
    }
}

/// Whether a response with this status has a body.
#[inline]
pub(crate) const fn has_body(response: CommandId, status: CommandStatus) -> bool {
    match body_of(response) {
        Some(ResponseBody::WhenPositive) => status.is_ok(),
        Some(ResponseBody::Always) => true,
        Some(ResponseBody::Never) | None => false,
    }
}

/// Appends the response that refuses `request` with `status`: its own where there is one, nothing where the standard
/// has none, a generic_nack where the command is not known. Says whether something was written.
pub fn write_refusal(
    request: CommandId,
    status: CommandStatus,
    sequence_number: u32,
    out: &mut BytesMut,
) -> bool {
    let response = request.response();
    match body_of(response) {
        Some(ResponseBody::Always) if has_body(response, status) => {
            refusal(response).encode(status, sequence_number, out);
        }
        Some(_) => write_header_only(out, response, status, sequence_number),
        None if request.name().is_some() => return false,
        None => write_header_only(out, CommandId::GENERIC_NACK, status, sequence_number),
    }
    true
}

/// What stands in a refusal that has a body: as little as its fields allow.
fn refusal(response: CommandId) -> Pdu<'static> {
    match response {
        CommandId::DATA_SM_RESP => Pdu::DataSmResp(DataSmResp::default()),
        // A state there must be; 0 is none.
        CommandId::QUERY_SM_RESP => {
            let message_state = MessageState::Unknown.as_u8();
            Pdu::QuerySmResp(QuerySmResp { message_state, ..QuerySmResp::default() })
        }
        CommandId::SUBMIT_MULTI_RESP => Pdu::SubmitMultiResp(SubmitMultiResp::default()),
        _ => Pdu::DeliverSmResp(DeliverSmResp::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dialect, Frame};

    fn check(request: CommandId, response: CommandId, body: &[u8]) {
        let mut out = BytesMut::new();
        assert!(write_refusal(request, CommandStatus::ESME_RSYSERR, 7, &mut out), "{request:?}");
        let frame = Frame::whole(&out).unwrap();
        assert_eq!((frame.command_id(), frame.command_status().0), (response, 8));
        assert_eq!((frame.sequence_number(), frame.body()), (7, body), "{request:?}");
        assert!(Pdu::decode(frame, &Dialect::strict()).is_ok(), "{request:?}");
    }

    #[test]
    fn a_refusal_has_the_body_of_its_response() {
        check(CommandId::BIND_TRANSMITTER, CommandId::BIND_TRANSMITTER_RESP, b"");
        check(CommandId::BIND_RECEIVER, CommandId::BIND_RECEIVER_RESP, b"");
        check(CommandId::BIND_TRANSCEIVER, CommandId::BIND_TRANSCEIVER_RESP, b"");
        check(CommandId::SUBMIT_SM, CommandId::SUBMIT_SM_RESP, b"");
        check(CommandId::DELIVER_SM, CommandId::DELIVER_SM_RESP, b"\0");
        check(CommandId::DATA_SM, CommandId::DATA_SM_RESP, b"\0");
        check(CommandId::QUERY_SM, CommandId::QUERY_SM_RESP, b"\0\0\x07\0");
        check(CommandId::SUBMIT_MULTI, CommandId::SUBMIT_MULTI_RESP, b"\0\0");
        check(CommandId::UNBIND, CommandId::UNBIND_RESP, b"");
        check(CommandId::ENQUIRE_LINK, CommandId::ENQUIRE_LINK_RESP, b"");
        check(CommandId::CANCEL_SM, CommandId::CANCEL_SM_RESP, b"");
        check(CommandId::REPLACE_SM, CommandId::REPLACE_SM_RESP, b"");
        check(CommandId(0x0001_0203), CommandId::GENERIC_NACK, b"");
    }

    #[test]
    fn what_has_no_response_gets_none() {
        for request in [CommandId::OUTBIND, CommandId::ALERT_NOTIFICATION] {
            let mut out = BytesMut::new();
            assert!(!write_refusal(request, CommandStatus::ESME_RINVBNDSTS, 7, &mut out));
            assert!(out.is_empty());
        }
    }

    #[test]
    fn every_command_has_a_row() {
        for command in CommandId::ALL {
            let has_row = body_of(command.response()).is_some();
            assert_eq!(has_row, command.is_response() || command.wants_response(), "{command:?}");
        }
    }
}
