//! One session against hand-made PDUs; two sessions against each other stand in `tests/pair.rs`.

use super::*;
use crate::wire::{Deframer, write_header_only};
use alloc::vec::Vec;
use bytes::BytesMut;
use core::time::Duration;

fn at(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

fn customer_side() -> Session<u32> {
    Session::new(SessionConfig::customer_side(2, 2), at(0))
}

fn header(command: CommandId, status: CommandStatus, sequence: u32) -> Vec<u8> {
    let mut out = BytesMut::new();
    write_header_only(&mut out, command, status, sequence);
    out.to_vec()
}

/// Feeds one PDU and returns what the session answered by itself: command and status of each PDU.
fn answers_to(session: &mut Session<u32>, pdu: &[u8]) -> Vec<(CommandId, CommandStatus)> {
    let frame = Frame::whole(pdu).expect("one PDU");
    session.handle_frame(at(1), frame);
    let said = session.outbox().bytes().to_vec();
    session.outbox().advance(said.len());
    let mut deframer = Deframer::new(1_000);
    let mut cursor = 0;
    let mut answers = Vec::new();
    while let Some(frame) = deframer.next(&said, &mut cursor).expect("PDUs") {
        answers.push((frame.command_id(), frame.command_status()));
    }
    answers
}

#[test]
fn the_protocol_answers_what_it_can_answer_alone() {
    let check = |command, expected: (CommandId, CommandStatus)| {
        let pdu = header(command, CommandStatus::ESME_ROK, 7);
        assert_eq!(answers_to(&mut customer_side(), &pdu), [expected], "{command:?}");
    };
    check(CommandId::ENQUIRE_LINK, (CommandId::ENQUIRE_LINK_RESP, CommandStatus::ESME_ROK));
    check(CommandId(0x999), (CommandId::GENERIC_NACK, CommandStatus::ESME_RINVCMDID));
    check(CommandId::SUBMIT_SM, (CommandId::SUBMIT_SM_RESP, CommandStatus::ESME_RINVBNDSTS));
    check(CommandId::UNBIND, (CommandId::UNBIND_RESP, CommandStatus::ESME_RINVBNDSTS));
}

#[test]
fn responses_to_nothing_are_counted_and_dropped() {
    let mut session = customer_side();
    for command in [CommandId::DELIVER_SM_RESP, CommandId::BIND_RECEIVER_RESP, CommandId::GENERIC_NACK] {
        let pdu = header(command, CommandStatus::ESME_ROK, 99);
        assert_eq!(answers_to(&mut session, &pdu), []);
    }
    assert_eq!(session.counters().late_responses, 3);
}

#[test]
fn an_undecodable_body_gets_a_status_and_the_session_goes_on() {
    let mut session = customer_side();
    let mut pdu = header(CommandId::BIND_TRANSMITTER, CommandStatus::ESME_ROK, 3);
    pdu.extend_from_slice(b"no NUL in here");
    let length = pdu.len() as u32;
    pdu[..4].copy_from_slice(&length.to_be_bytes());
    let answers = answers_to(&mut session, &pdu);
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].0, CommandId::BIND_TRANSMITTER_RESP);
    assert_ne!(answers[0].1, CommandStatus::ESME_ROK);
    assert_eq!((session.counters().undecodable, session.state()), (1, State::Open));
}

#[test]
fn a_session_that_does_not_bind_ends() {
    let mut session = customer_side();
    assert_eq!(session.handle_timeout(at(4)), None);
    assert_eq!(
        session.next_deadline(),
        Some(Deadline { at: at(0) + Duration::from_secs(5), reason: DeadlineReason::Bind })
    );
    assert_eq!(session.handle_timeout(at(5)), Some(DeadlineReason::Bind));
}

/// A bind_transceiver with this interface_version, answered while the session speaks `version`.
fn bind_answer(version: Version) -> Vec<u8> {
    let mut session = customer_side();
    let mut pdu = BytesMut::new();
    let bind = Bind { system_id: b"a", interface_version: 0x33, ..Bind::default() };
    bind.encode(BindKind::Transceiver, 7, &mut pdu);
    let frame = Frame::whole(&pdu).expect("one PDU");
    assert!(matches!(session.handle_frame(at(1), frame), Event::BindRequest { sequence: 7, .. }));
    session.set_version(version);
    session.accept_bind(7, b"gw").expect("it waits for its answer");
    let data = Pdu::DataSm(crate::pdu::DataSm::default());
    let may_send = session.request(at(1), &data, 1);
    assert_eq!(may_send.is_ok(), version.has_tlvs(), "{version:?} and data_sm: {may_send:?}");
    let said = session.outbox().bytes().to_vec();
    let length = u32::from_be_bytes([said[0], said[1], said[2], said[3]]) as usize;
    said[..length].to_vec()
}

#[test]
fn smpp_3_3_gets_no_tlv_in_its_bind_answer_and_no_data_sm() {
    assert_eq!(&bind_answer(Version::V34)[16..], b"gw\0\x02\x10\x00\x01\x34");
    assert_eq!(&bind_answer(Version::V33)[16..], b"gw\0");
}
