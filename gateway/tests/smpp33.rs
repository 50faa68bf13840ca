//! SMPP 3.3 on real connections: what a customer's bind says decides what it is sent, what is set of a vendor stands in our
//! bind.

mod support;

use bytes::BytesMut;
use smpp::field::{CommandId, CommandStatus, Npi, Ton};
use smpp::pdu::{Bind, BindKind, BindResp, Pdu};
use smpp::tlv::{Tag, Tlvs};
use std::net::TcpListener;
use support::client::{Client, Heard};
use support::smsc::StrictSmsc;
use support::{Configuration, Gateway, wait_until};

/// Binds with this interface_version and address_range; what was answered.
fn bind(gateway: &Gateway, system_id: &str, interface_version: u8, address_range: &str) -> (Client, Heard) {
    let mut client = Client::connect(gateway.smpp);
    let bind = Bind {
        system_id: system_id.as_bytes(),
        password: b"secret",
        interface_version,
        address_range: address_range.as_bytes(),
        ..Bind::default()
    };
    let mut out = BytesMut::new();
    bind.encode(BindKind::Transceiver, 1, &mut out);
    client.raw(&out);
    let answer = client.hear().expect("an answer to the bind");
    assert_eq!(
        (answer.command(), answer.status()),
        (CommandId::BIND_TRANSCEIVER_RESP, CommandStatus::ESME_ROK)
    );
    (client, answer)
}

/// A message from a handset with its text in message_payload and a TLV of a vendor.
fn mo(sequence: u32, destination: &[u8]) -> Vec<u8> {
    let head = [&b"\0\x01\x0112025550123\0\x01\x01"[..], destination, b"\0\0\0\0\0\0\0\0\0\0\0"].concat();
    let body = [&head[..], b"\x04\x24\0\x05hello\x14\x03\0\x01x"].concat();
    let words = [16 + body.len() as u32, CommandId::DELIVER_SM.0, 0, sequence];
    words.iter().flat_map(|word| word.to_be_bytes()).chain(body).collect()
}

#[test]
fn a_customers_bind_says_which_smpp_is_spoken() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let vendor = StrictSmsc::start();
    let configuration = Configuration::new("auto", 1)
        .customer("plain", "numbers = [\"300\"]")
        .customer("careless", "numbers = [\"400\"]\ninterface_version = 0x34")
        .customer("old", "numbers = [\"500\"]\ninterface_version = \"0x33\"")
        .vendor("strict", vendor.address, 1, "")
        .route("", &["strict"]);
    let gateway = Gateway::start(directory.path(), &configuration);
    gateway.wait_for_vendor_binds(1.0);
    for (number, (system_id, said, destination, has_tlvs)) in (1..).zip([
        ("plain", 0x33, b"300", false),
        ("plain", 0x00, b"300", false),
        ("plain", 0x34, b"300", true),
        ("careless", 0x00, b"400", true),
        ("old", 0x34, b"500", false),
    ]) {
        let (mut client, answer) = bind(&gateway, system_id, said, "");
        assert_eq!(answer.0.ends_with(b"\x02\x10\0\x01\x34"), has_tlvs, "{system_id} {said:#x}");
        vendor.send(&mo(number, destination));
        let heard = client.hear_delivery();
        let Pdu::DeliverSm(got) = heard.pdu() else { panic!("a deliver_sm") };
        assert_eq!(got.payload(), b"hello");
        assert_eq!(got.tlvs.find(Tag(0x1403)).is_some(), has_tlvs, "{system_id} {said:#x}");
        assert_eq!(got.tlvs.is_empty(), !has_tlvs);
        let receipt = client.submit_and_hear("12025550123", "hello", false);
        assert_eq!(receipt.status(), CommandStatus::ESME_ROK);
    }
}

#[test]
fn an_address_range_that_is_no_pattern_is_ignored_and_told_once() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let vendor = StrictSmsc::start();
    let configuration = Configuration::new("auto", 1)
        .customer("ranged", "numbers = [\"300\", \"400\"]\naddress_range = \"require\"")
        .vendor("strict", vendor.address, 1, "")
        .route("", &["strict"]);
    let gateway = Gateway::start(directory.path(), &configuration);
    gateway.wait_for_vendor_binds(1.0);
    for number in 1..=3 {
        let (mut client, _) = bind(&gateway, "ranged", 0x34, "(*");
        vendor.send(&mo(number, b"400"));
        client.hear_delivery();
    }
    wait_until("they are counted", || gateway.metric("smppgw_address_ranges_invalid_total", &[]) >= 3.0);
    assert_eq!(
        gateway.log().matches("address_range of a bind is no pattern").count(),
        1,
        "{}",
        gateway.log()
    );
    // One that is a pattern counts.
    let (mut one, _) = bind(&gateway, "ranged", 0x34, "^300$");
    let (mut other, _) = bind(&gateway, "ranged", 0x34, "^400$");
    for number in 4..=9 {
        vendor.send(&mo(number, if number % 2 == 0 { b"300" } else { b"400" }));
    }
    for (client, destination) in [(&mut one, b"300"), (&mut other, b"400")] {
        for _ in 0..3 {
            let heard = client.hear_delivery();
            let Pdu::DeliverSm(got) = heard.pdu() else { panic!("a deliver_sm") };
            assert_eq!(got.destination.digits, destination);
        }
    }
}

#[test]
fn a_vendors_version_and_addresses_stand_in_our_bind() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let rest = "interface_version = 0x33\naddr_ton = 1\naddr_npi = 1\naddress_range = \"^1202\"";
    let configuration = Configuration::new("auto", 1)
        .customer("acme", "")
        .vendor("old", listener.local_addr().expect("it is bound"), 1, rest)
        .route("", &["old"]);
    let gateway = Gateway::start(directory.path(), &configuration);
    let (stream, _) = listener.accept().expect("a connection");
    let mut vendor = Client::over(stream);
    let heard = vendor.hear().expect("a bind");
    let Pdu::BindTransceiver(bind) = heard.pdu() else { panic!("a bind: {heard:?}") };
    assert_eq!((bind.interface_version, bind.addr_ton, bind.addr_npi), (0x33, Ton(1), Npi(1)));
    assert_eq!(bind.address_range, b"^1202");
    let mut out = BytesMut::new();
    let resp = BindResp { system_id: b"vendor", tlvs: Tlvs::default() };
    resp.encode(BindKind::Transceiver, CommandStatus::ESME_ROK, heard.frame().sequence_number(), &mut out);
    vendor.raw(&out);
    gateway.wait_for_vendor_binds(1.0);
    let mut client = Client::bound(gateway.smpp, BindKind::Transceiver, "acme");
    // A message with a TLV goes without it; one of 300 octets is refused with the status for its length.
    let submit = |tlvs: &'static [u8]| {
        Pdu::SubmitSm(smpp::pdu::SubmitSm {
            destination: smpp::field::Address { digits: b"12025550123", ..Default::default() },
            tlvs: Tlvs::new(tlvs),
            ..Default::default()
        })
    };
    client.send(&submit(b"\x04\x24\0\x05hello\x14\x03\0\x01x"));
    let heard = vendor.hear().expect("the message");
    let Pdu::SubmitSm(got) = heard.pdu() else { panic!("a submit_sm: {heard:?}") };
    assert_eq!((got.short_message, got.tlvs.is_empty()), (&b"hello"[..], true));
    let long: &'static [u8] = Box::leak([&b"\x04\x24\x01\x2C"[..], &[b'x'; 300]].concat().into_boxed_slice());
    client.send(&submit(long));
    let refused = client.hear().expect("an answer");
    assert_eq!(refused.status(), CommandStatus::ESME_RINVMSGLEN);
}
