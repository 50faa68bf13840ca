use super::*;
use crate::{Dialect, Pdu};
use std::string::String;
use std::vec::Vec;

/// A PDU of this command with the body given.
fn pdu(command: CommandId, body: &[u8]) -> Vec<u8> {
    let words = [HEADER_LENGTH as u32 + body.len() as u32, command.0, 0, 1];
    words.iter().flat_map(|word| word.to_be_bytes()).chain(body.iter().copied()).collect()
}

/// A submit_sm, or a deliver_sm: service_type, source, destination, times, then from `sm_length` on.
fn message(command: CommandId, strings: [&[u8]; 5], tail: &[u8]) -> Vec<u8> {
    let [service_type, source, destination, schedule, validity] = strings;
    let parts: [&[u8]; 15] = [
        service_type,
        b"\0",
        b"\x05\0",
        source,
        b"\0",
        b"\x01\x01",
        destination,
        b"\0",
        b"\0\0\0",
        schedule,
        b"\0",
        validity,
        b"\0",
        b"\x01\0\0\0",
        tail,
    ];
    pdu(command, &parts.concat())
}

const PLAIN: [&[u8]; 5] = [b"", b"ACME", b"12025550100", b"", b""];

/// The verdict in a word and what is written in its place, by the tolerant dialect.
fn outcome(bytes: &[u8]) -> (String, Vec<u8>) {
    let frame = Frame::whole(bytes).expect("one PDU");
    let decoded = Pdu::decode(frame, &Dialect::tolerant()).expect("readable");
    let mut out = BytesMut::new();
    let verdict = match &decoded {
        Pdu::SubmitSm(view) => {
            view.write_strict(1, &mut out);
            view.verdict(frame)
        }
        Pdu::DeliverSm(view) => {
            view.write_strict(1, &mut out);
            view.verdict(frame)
        }
        Pdu::DataSm(view) => {
            view.write_strict(1, &mut out);
            view.verdict(frame)
        }
        other => panic!("{other:?} carries no message"),
    };
    match verdict {
        Verdict::Strict => ("strict".into(), bytes.to_vec()),
        Verdict::Rewritable => ("rewritable".into(), out.to_vec()),
        Verdict::Refused(error) => (std::format!("{error} {}", error.status()), Vec::new()),
    }
}

fn check_strict(bytes: &[u8]) {
    assert_eq!(outcome(bytes), ("strict".into(), bytes.to_vec()));
    assert!(Pdu::decode(Frame::whole(bytes).unwrap(), &Dialect::strict()).is_ok());
}

fn check_rewritten(bytes: &[u8], expected: &[u8]) {
    assert_eq!(outcome(bytes), ("rewritable".into(), expected.to_vec()), "{}", bytes.escape_ascii());
    check_strict(expected);
}

fn check_refused(bytes: &[u8], expected: &str) {
    assert_eq!(outcome(bytes).0, expected, "{}", bytes.escape_ascii());
}

/// The tail of a submit_sm is written anew.
fn check_tail(tail: &[u8], expected: &[u8]) {
    check_rewritten(
        &message(CommandId::SUBMIT_SM, PLAIN, tail),
        &message(CommandId::SUBMIT_SM, PLAIN, expected),
    );
}

#[test]
fn passes_what_is_strict() {
    let submit = |strings, tail: &[u8]| check_strict(&message(CommandId::SUBMIT_SM, strings, tail));
    submit(PLAIN, b"\x05hello");
    submit(PLAIN, b"\0");
    submit(PLAIN, b"\0\x04\x24\0\x05hello");
    submit(PLAIN, b"\x05hello\x02\x04\0\x02\0\x07\x14\0\0\x01A\x13\x0C\0\0");
    submit([b"12345", &[b'1'; 20], &[b'2'; 20], b"260228235959900+", b"000001000000000R"], b"\x02hi");
    submit([b"", b"", b"", b"", b""], &[&[254][..], &[b'm'; 254]].concat());
    let data =
        [&b"\0\x01\x01"[..], &[b'1'; 64], b"\0\x01\x01", &[b'2'; 64], b"\0\0\0\0\x04\x24\0\x02hi"].concat();
    check_strict(&pdu(CommandId::DATA_SM, &data));
}

#[test]
fn writes_anew_what_was_understood() {
    check_tail(b"\x05hello\0", b"\x05hello");
    check_tail(b"\x05hello\0\0\0", b"\x05hello");
    check_tail(b"\x05hello\0\x02\x04\0\x02\0\x07", b"\x05hello\x02\x04\0\x02\0\x07");
    check_tail(b"\x0Ahi", b"\x02hi");
    check_tail(b"\xFFhi", b"\x02hi");
    check_tail(b"\x02hi\0\x1E\0\x41ab", b"\x02hi");
    check_tail(b"\x02hi\x14\0\0\x01A\0\x1E\0\x41ab", b"\x02hi\x14\0\0\x01A");
    check_tail(b"\x02hi\x02\x04\0\x02\x01", b"\x02hi");
    check_tail(b"\x02hi\x02\x04\0\x01\x07", b"\x02hi\x02\x04\0\x02\0\x07");
    check_tail(b"\x02hi\0\x1E\0\x03abc", b"\x02hi\0\x1E\0\x04abc\0");
    check_tail(b"\x02hi\x04\x23\0\x04\x03\0\0\x01", b"\x02hi");
    check_tail(b"\x02hi\x04\x24\0\x05hello", b"\0\x04\x24\0\x05hello");
    check_tail(b"\x02hi\x04\x24\0\0", b"\x02hi");
    check_tail(b"\x02hi\x04\x24\0\x09abc", b"\x02hi");
    let long = [b'm'; 255];
    check_tail(&[&b"\xFF"[..], &long].concat(), &[&b"\0\x04\x24\0\xFF"[..], &long].concat());
    let tail = [&b"\xFF"[..], &long, b"\x02\x04\0\x02\0\x07"].concat();
    check_tail(&tail, &[&b"\0\x04\x24\0\xFF"[..], &long, b"\x02\x04\0\x02\0\x07"].concat());
}

#[test]
fn writes_spans_as_every_peer_takes_them() {
    let times = |schedule, validity| {
        message(CommandId::SUBMIT_SM, [b"", b"ACME", b"12025550100", schedule, validity], b"\x02hi")
    };
    check_rewritten(
        &times(b"000000000030500R", b"070605040302100R"),
        &times(b"000000000030000R", b"070605040302000R"),
    );
}

#[test]
fn writes_deliver_sm_without_times() {
    let deliver = |schedule, validity| {
        message(CommandId::DELIVER_SM, [b"", b"12025550100", b"777", schedule, validity], b"\x02hi")
    };
    check_strict(&deliver(b"", b""));
    check_rewritten(&deliver(b"garbage", b"000001000000000R"), &deliver(b"", b""));
}

#[test]
fn writes_requests_without_a_status() {
    let strict = message(CommandId::SUBMIT_SM, PLAIN, b"\x02hi");
    let mut odd = strict.clone();
    odd[11] = 0x45;
    check_rewritten(&odd, &strict);
}

#[test]
fn refuses_what_it_would_have_to_cut() {
    let strings = |place: usize, text: &'static [u8]| {
        let mut strings = PLAIN;
        strings[place] = text;
        message(CommandId::SUBMIT_SM, strings, b"\x02hi")
    };
    check_refused(&strings(0, &[b's'; 20]), "overlong in service_type at octet 16 ESME_RINVSERTYP");
    check_refused(&strings(0, &[b's'; 6]), "overlong in service_type at octet 16 ESME_RINVSERTYP");
    check_refused(&strings(1, &[b'1'; 40]), "overlong in source_addr at octet 19 ESME_RINVSRCADR");
    check_refused(&strings(1, &[b'1'; 60]), "overlong in source_addr at octet 19 ESME_RINVSRCADR");
    check_refused(&strings(1, &[b'1'; 21]), "overlong in source_addr at octet 19 ESME_RINVSRCADR");
    check_refused(&strings(2, &[b'2'; 30]), "overlong in destination_addr at octet 26 ESME_RINVDSTADR");
    check_refused(&strings(3, b"garbage"), "value in schedule_delivery_time at octet 41 ESME_RINVSCHED");
    check_refused(&strings(4, b"garbage"), "value in validity_period at octet 42 ESME_RINVEXPIRY");
    check_refused(&strings(4, b"0000010000000000R"), "value in validity_period at octet 42 ESME_RINVEXPIRY");
    let data = [&b"\0\x01\x01"[..], &[b'1'; 65], b"\0\x01\x012\0\0\0\0"].concat();
    check_refused(&pdu(CommandId::DATA_SM, &data), "overlong in source_addr at octet 19 ESME_RINVSRCADR");
}

#[test]
fn refuses_without_a_tlv_that_makes_the_message() {
    let tail = |tail: &[u8]| message(CommandId::SUBMIT_SM, PLAIN, tail);
    check_refused(
        &tail(b"\0\x04\x24\0\x09abc"),
        "tlv_cut in optional parameters at octet 48 ESME_RINVOPTPARSTREAM",
    );
    check_refused(
        &tail(b"\x02hi\x02\x0E\0\x02\x01\x02"),
        "tlv_length in optional parameters at octet 50 ESME_RINVPARLEN",
    );
    check_refused(
        &tail(b"\x02hi\x02\x0C\0\x02\x01"),
        "tlv_cut in optional parameters at octet 50 ESME_RINVOPTPARSTREAM",
    );
}

#[test]
fn names_the_first_reserved_value() {
    fn check(change: impl FnOnce(&mut SubmitSm<'_>), expected: Option<Field>) {
        let mut submit = SubmitSm::default();
        change(&mut submit);
        assert_eq!(reserved_in_submit(&submit), expected);
    }
    check(|_| {}, None);
    check(|pdu| pdu.source.ton = Ton(7), Some(Field::SourceAddrTon));
    check(|pdu| pdu.destination.npi = Npi(2), Some(Field::DestAddrNpi));
    check(|pdu| pdu.esm_class.0 = 0x04, Some(Field::EsmClass));
    check(|pdu| pdu.esm_class.0 = 0xC3, None);
    check(|pdu| pdu.priority_flag = 4, Some(Field::PriorityFlag));
    check(|pdu| pdu.registered_delivery.0 = 0x03, Some(Field::RegisteredDelivery));
    check(|pdu| pdu.registered_delivery.0 = 0x1D, None);
    check(|pdu| pdu.registered_delivery.0 = 0x20, Some(Field::RegisteredDelivery));
    check(|pdu| pdu.replace_if_present_flag = 2, Some(Field::ReplaceIfPresentFlag));
    check(|pdu| pdu.data_coding.0 = 0x0B, Some(Field::DataCoding));
    check(|pdu| pdu.data_coding.0 = 0xF0, None);
    check(|pdu| pdu.sm_default_msg_id = 0xFF, Some(Field::SmDefaultMsgId));
}
