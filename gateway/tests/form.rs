//! What leaves the gateway is well-formed, whatever came: in both directions, with the real program between peers that
//! read by the letter.

mod support;

use smpp::field::{CommandId, CommandStatus};
use smpp::pdu::{BindKind, Pdu};
use support::client::{Client, Heard};
use support::smsc::{StrictSmsc, fault};
use support::{Configuration, Gateway, wait_until};

/// A PDU with any body, its length as it should be.
fn pdu(command: CommandId, sequence: u32, body: &[u8]) -> Vec<u8> {
    let words = [16 + body.len() as u32, command.0, 0, sequence];
    words.iter().flat_map(|word| word.to_be_bytes()).chain(body.iter().copied()).collect()
}

/// Strings of a message: service_type, source, destination, schedule_delivery_time, validity_period.
type Strings = [&'static [u8]; 5];

const PLAIN: Strings = [b"", b"12025550100", b"12025550123", b"", b""];

/// A submit_sm or deliver_sm that ends with these octets from `sm_length` on.
fn message(command: CommandId, sequence: u32, strings: Strings, esm_class: u8, tail: &[u8]) -> Vec<u8> {
    let [service_type, source, destination, schedule, validity] = strings;
    let body = [
        service_type,
        b"\0\x01\x01",
        source,
        b"\0\x01\x01",
        destination,
        &[0, esm_class, 0, 0],
        schedule,
        b"\0",
        validity,
        b"\0\0\0\0\0",
        tail,
    ];
    pdu(command, sequence, &body.concat())
}

fn with(place: usize, text: &'static [u8]) -> Strings {
    let mut strings = PLAIN;
    strings[place] = text;
    strings
}

/// One odd message: its strings and its tail, and what becomes of it: another tail, or a status.
type Case = (Strings, &'static [u8], Result<&'static [u8], CommandStatus>);

/// Odd messages that are the same in both directions.
fn odd_messages() -> Vec<Case> {
    vec![
        (PLAIN, b"\x05hello\0", Ok(b"\x05hello")),
        (PLAIN, b"\x05hello\0\0\0", Ok(b"\x05hello")),
        (PLAIN, b"\x0Ahi", Ok(b"\x02hi")),
        (PLAIN, b"\xFFhi", Ok(b"\x02hi")),
        (PLAIN, b"\x02hi\0\x1E\0\x41ab", Ok(b"\x02hi")),
        (PLAIN, b"\x02hi\x02\x04\0\x02\x01", Ok(b"\x02hi")),
        (PLAIN, b"\x02hi\x02\x04\0\x01\x07", Ok(b"\x02hi\x02\x04\0\x02\0\x07")),
        (PLAIN, b"\x02hi\x14\0\0\x01A\0\x1E\0\x41ab", Ok(b"\x02hi\x14\0\0\x01A")),
        (PLAIN, b"\x02hi\x04\x24\0\x05hello", Ok(b"\0\x04\x24\0\x05hello")),
        (PLAIN, b"\0\x04\x24\0\x09abc", Err(CommandStatus::ESME_RINVOPTPARSTREAM)),
        (with(1, &[b'1'; 40]), b"\x02hi", Err(CommandStatus::ESME_RINVSRCADR)),
        (with(1, &[b'1'; 60]), b"\x02hi", Err(CommandStatus::ESME_RINVSRCADR)),
        (with(2, &[b'1'; 30]), b"\x02hi", Err(CommandStatus::ESME_RINVDSTADR)),
        (with(0, &[b's'; 20]), b"\x02hi", Err(CommandStatus::ESME_RINVSERTYP)),
    ]
}

struct World {
    gateway: Gateway,
    vendor: StrictSmsc,
    _directory: tempfile::TempDir,
}

fn world(customer: &str, vendor_rest: &str) -> World {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let vendor = StrictSmsc::start();
    let configuration = Configuration::new("auto", 1)
        .customer("odd", customer)
        .vendor("strict", vendor.address, 1, vendor_rest)
        .route("", &["strict"]);
    let gateway = Gateway::start(directory.path(), &configuration);
    gateway.wait_for_vendor_binds(1.0);
    World { gateway, vendor, _directory: directory }
}

/// Sends octets and waits for the answer with that number.
fn ask(client: &mut Client, octets: &[u8]) -> Heard {
    client.raw(octets);
    loop {
        let heard = client.hear().expect("an answer");
        if heard.command().is_response() {
            assert_eq!(heard.0[12..16], octets[12..16]);
            return heard;
        }
        client.acknowledge(&heard);
    }
}

#[test]
fn a_customers_odd_messages_reach_a_strict_vendor_well_formed_or_not_at_all() {
    let world = world("", "");
    let mut client = Client::bound(world.gateway.smpp, BindKind::Transceiver, "odd");
    let mut cases = odd_messages();
    let times = |schedule, validity| -> Strings { [b"", b"12025550100", b"12025550123", schedule, validity] };
    cases.extend::<[Case; 5]>([
        (times(b"garbage", b""), b"\x02hi", Err(CommandStatus::ESME_RINVSCHED)),
        (times(b"200101000000000+", b""), b"\x02hi", Err(CommandStatus::ESME_RINVSCHED)),
        (times(b"", b"garbage"), b"\x02hi", Err(CommandStatus::ESME_RINVEXPIRY)),
        (times(b"", b"000000000030000R"), b"\x02hi", Ok(b"\x02hi")),
        (PLAIN, b"\x02hi", Ok(b"\x02hi")),
    ]);
    let mut expected = Vec::new();
    for (sequence, (strings, tail, outcome)) in (100..).zip(cases) {
        let answer = ask(&mut client, &message(CommandId::SUBMIT_SM, sequence, strings, 0, tail));
        assert_eq!(answer.status(), outcome.err().unwrap_or_default(), "{}", tail.escape_ascii());
        if let Ok(tail) = outcome {
            expected.push(message(CommandId::SUBMIT_SM, 0, strings, 0, tail)[16..].to_vec());
        }
    }
    // Digits that mean nothing in a span are written as zeros.
    for (odd, plain) in
        [(&b"000000000030500R"[..], &b"000000000030000R"[..]), (b"070605040302100R", b"070605040302000R")]
    {
        let octets = message(CommandId::SUBMIT_SM, 200, times(b"", odd), 0, b"\x02hi");
        assert_eq!(ask(&mut client, &octets).status(), CommandStatus::ESME_ROK);
        expected.push(message(CommandId::SUBMIT_SM, 0, times(b"", plain), 0, b"\x02hi")[16..].to_vec());
    }
    let bodies: Vec<Vec<u8>> = world.vendor.messages().iter().map(|pdu| pdu[16..].to_vec()).collect();
    assert_eq!(bodies, expected);
    assert_eq!((world.vendor.odd(), world.vendor.binds()), (Vec::new(), 1));
    // Shards show their counters now and then.
    wait_until("all that was written anew is counted", || {
        world.gateway.metric("smppgw_malformed_total", &["customer", "rewritten"]) >= 11.0
            && world.gateway.metric("smppgw_refusals_total", &["source_invalid"]) >= 2.0
    });
    assert_eq!(world.gateway.metric("smppgw_malformed_total", &["customer", "rewritten"]), 11.0);
}

#[test]
fn a_vendors_odd_messages_reach_a_strict_customer_well_formed_or_not_at_all() {
    let world = world("numbers = [\"12025550123\"]", "");
    let mut client = Client::bound(world.gateway.smpp, BindKind::Transceiver, "odd");
    let mut cases = odd_messages();
    // Times mean nothing in a deliver_sm, and must be empty.
    cases.push((
        [b"", b"12025550100", b"12025550123", b"garbage", b"000001000000000R"],
        b"\x02hi",
        Ok(b"\x02hi"),
    ));
    for (sequence, (mut strings, tail, outcome)) in (100..).zip(cases) {
        world.vendor.send(&message(CommandId::DELIVER_SM, sequence, strings, 0, tail));
        if let Ok(tail) = outcome {
            let heard = client.hear_delivery();
            assert_eq!(fault(&heard.0), None);
            (strings[3], strings[4]) = (b"", b"");
            assert_eq!(heard.0[16..], message(CommandId::DELIVER_SM, 0, strings, 0, tail)[16..]);
        }
        let answer = world.vendor.answer(CommandId::DELIVER_SM_RESP, sequence);
        let status = u32::from_be_bytes([answer[8], answer[9], answer[10], answer[11]]);
        assert_eq!(CommandStatus(status), outcome.err().unwrap_or_default(), "{}", tail.escape_ascii());
        assert_eq!(&answer[16..], b"\0", "a deliver_sm_resp has one NUL, whatever it says");
    }
    assert_eq!((world.vendor.odd(), world.vendor.binds()), (Vec::new(), 1));
    let refused = || world.gateway.metric("smppgw_malformed_total", &["vendor", "refused"]);
    wait_until("all that was refused is counted", || refused() >= 5.0);
    assert_eq!(refused(), 5.0);
}

/// A receipt whose TLVs are odd carries our id, and nothing of the vendor's.
#[test]
fn an_odd_receipt_is_rewritten_whole() {
    let world = world("", "");
    let mut client = Client::bound(world.gateway.smpp, BindKind::Transceiver, "odd");
    let submitted = client.submit_and_hear("12025550123", "hi", true);
    let id = submitted.message_id();
    let text =
        b"id:1 sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:DELIVRD err:000 text:hi";
    // receipted_message_id without its NUL, and another one that is cut.
    let tail = [&[text.len() as u8][..], text, b"\x04\x27\0\x01\x02\0\x1E\0\x011\0\x1E\0\x411111"].concat();
    let receipt_to = [&b""[..], b"12025550123", b"12025550100", b"", b""];
    world.vendor.send(&message(CommandId::DELIVER_SM, 7, receipt_to, 0x04, &tail));
    let heard = client.hear_delivery();
    assert_eq!(fault(&heard.0), None);
    let Pdu::DeliverSm(receipt) = heard.pdu() else { panic!("a deliver_sm") };
    assert!(receipt.short_message.starts_with(format!("id:{id} sub:").as_bytes()));
    let named: Vec<&[u8]> = receipt
        .tlvs
        .iter()
        .filter(|tlv| tlv.tag == smpp::Tag::RECEIPTED_MESSAGE_ID)
        .map(|tlv| tlv.value)
        .collect();
    assert_eq!(named, [format!("{id}\0").as_bytes()]);
}

#[test]
fn refusals_have_the_form_that_the_standard_gives_them() {
    let world = world("", "");
    let mut client = Client::bound(world.gateway.smpp, BindKind::Transceiver, "odd");
    let mut check = |command: CommandId, body: &[u8], status, expected: &[u8]| {
        let answer = ask(&mut client, &pdu(command, 55, body));
        assert_eq!((answer.command(), answer.status()), (command.response(), status));
        assert_eq!(&answer.0[16..], expected, "{command:?}");
        assert_eq!(fault(&answer.0), None);
    };
    let submit = b"\0\x01\x01123\0\x01\x01+\0\0\0\0\0\0\0\0\0\0\x02hi";
    check(CommandId::SUBMIT_SM, submit, CommandStatus::ESME_RINVDSTADR, b"");
    check(CommandId::DATA_SM, b"\0\x01\x01123\0\x01\x01+\0\0\0\0", CommandStatus::ESME_RINVDSTADR, b"\0");
    check(CommandId::DATA_SM, b"cut", CommandStatus::ESME_RINVCMDLEN, b"\0");
    check(CommandId::QUERY_SM, b"1\0\0\0\0", CommandStatus::ESME_RQUERYFAIL, b"\0\0\x07\0");
    check(CommandId::CANCEL_SM, b"\x001\0\0\0\0\0\0\0", CommandStatus::ESME_RCANCELFAIL, b"");
    let multi = b"\0\x01\x01123\0\x01\x01\x01\x01456\0\0\0\0\0\0\0\0\0\0\x02hi";
    check(CommandId::SUBMIT_MULTI, multi, CommandStatus::ESME_RSUBMITFAIL, b"\0\0");
    check(CommandId::DELIVER_SM, b"", CommandStatus::ESME_RINVBNDSTS, b"\0");
    // What has no response gets none: the next answer is that to enquire_link.
    client.raw(&pdu(CommandId::OUTBIND, 60, b"a\0b\0"));
    client.raw(&pdu(CommandId::ALERT_NOTIFICATION, 61, b"\0\x001\0\0\x002\0"));
    let answer = ask(&mut client, &pdu(CommandId::ENQUIRE_LINK, 62, b""));
    assert_eq!(answer.command(), CommandId::ENQUIRE_LINK_RESP);
    // The same towards a vendor: an MO without an owner here is parked, a cut one refused.
    world.vendor.send(&pdu(CommandId::OUTBIND, 70, b"a\0b\0"));
    world.vendor.send(&pdu(CommandId::ALERT_NOTIFICATION, 71, b"\0\x001\0\0\x002\0"));
    world.vendor.send(&pdu(CommandId::DATA_SM, 72, b"cut"));
    assert_eq!(&world.vendor.answer(CommandId::DATA_SM_RESP, 72)[16..], b"\0");
    assert_eq!((world.vendor.others().len(), world.vendor.odd(), world.vendor.binds()), (1, Vec::new(), 1));
}

/// A strict customer is refused what a tolerant one may send.
#[test]
fn a_dialect_is_the_customers_own() {
    let world = world("dialect = \"strict\"", "");
    let mut client = Client::bound(world.gateway.smpp, BindKind::Transceiver, "odd");
    let odd = message(CommandId::SUBMIT_SM, 9, PLAIN, 0, b"\x05hello\0");
    assert_eq!(ask(&mut client, &odd).status(), CommandStatus::ESME_RINVOPTPARSTREAM);
    let plain = message(CommandId::SUBMIT_SM, 10, PLAIN, 0, b"\x05hello");
    assert_eq!(ask(&mut client, &plain).status(), CommandStatus::ESME_ROK);
    assert_eq!(world.vendor.messages().len(), 1);
}

/// Vendors get no message that they do not take: too long, or with reserved values.
#[test]
fn a_vendor_gets_only_what_it_takes() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (small, wide) = (StrictSmsc::start(), StrictSmsc::start());
    let configuration = Configuration::new("auto", 1)
        .customer("odd", "")
        .vendor("small", small.address, 1, "pdu_size_max = 7424\nstrict_values = true")
        .vendor("wide", wide.address, 1, "")
        .route("1", &["small"])
        .with("[[route]]\nprefix = \"2\"\nvendors = [{ name = \"small\", weight = 1000 }]\npriority = 1")
        .with("[[route]]\nprefix = \"2\"\nvendors = [{ name = \"wide\", weight = 1 }]\npriority = 2");
    let gateway = Gateway::start(directory.path(), &configuration);
    gateway.wait_for_vendor_binds(2.0);
    let mut client = Client::bound(gateway.smpp, BindKind::Transceiver, "odd");
    let to = |destination: &'static [u8]| -> Strings { [b"", b"12025550100", destination, b"", b""] };
    let payload = |length: u16| {
        let mut tail = vec![0, 0x04, 0x24];
        tail.extend_from_slice(&length.to_be_bytes());
        tail.extend(std::iter::repeat_n(b'm', length.into()));
        tail
    };
    let mut check = |destination, esm_class, tail: &[u8], status| {
        let octets = message(CommandId::SUBMIT_SM, 5, to(destination), esm_class, tail);
        assert_eq!(ask(&mut client, &octets).status(), status, "{esm_class} {}", tail.len());
    };
    check(b"1", 0, &payload(7000), CommandStatus::ESME_ROK);
    check(b"1", 0, &payload(7400), CommandStatus::ESME_RINVMSGLEN);
    check(b"1", 0x04, b"\x02hi", CommandStatus::ESME_RINVESMCLASS);
    assert_eq!((small.messages().len(), wide.messages().len()), (1, 0));
    check(b"2", 0, &payload(7400), CommandStatus::ESME_ROK);
    check(b"2", 0x04, b"\x02hi", CommandStatus::ESME_ROK);
    // The longest payload that its length can say.
    check(b"2", 0, &payload(65_535), CommandStatus::ESME_ROK);
    assert_eq!((small.messages().len(), wide.messages().len()), (1, 3));
    assert_eq!((small.odd(), wide.odd()), (Vec::new(), Vec::new()));
    wait_until("the refusal is counted", || {
        gateway.metric("smppgw_refusals_total", &["esm_class_reserved"]) >= 1.0
    });
}

/// A generic_nack of status 0 to a bind is told as what it is.
#[test]
fn a_bind_answered_by_generic_nack_is_told_so() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 16];
            if stream.read_exact(&mut head).is_ok() {
                let sequence = u32::from_be_bytes([head[12], head[13], head[14], head[15]]);
                let _ = stream.write_all(&pdu(CommandId::GENERIC_NACK, sequence, b""));
            }
        }
    });
    let directory = tempfile::tempdir().expect("a temporary directory");
    let configuration = Configuration::new("auto", 1)
        .customer("odd", "")
        .vendor("nack", address, 1, "")
        .route("1", &["nack"]);
    let gateway = Gateway::start(directory.path(), &configuration);
    wait_until("the log tells of it", || gateway.log().contains("bind answered by generic_nack"));
    assert!(!gateway.log().contains("bind refused"), "{}", gateway.log());
}
