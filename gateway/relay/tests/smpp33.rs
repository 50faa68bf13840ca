//! Peers that speak SMPP 3.3, on both sides: what goes to them has no TLVs, and what cannot be said so goes elsewhere, waits
//! or is refused. And sessions that serve some addresses only.

use gateway_relay as relay;
use relay::{
    Account, AccountId, AddressRange, Arrival, Correlate, LinkKey, Output, ParkedEntry, ParkedId,
    RangePolicy, Relay, RelayOptions, Route, SessionTraits, ShardIndex, Snapshot, SnapshotInput, StoreAnswer,
    StoreOp, Vendor, VendorId, WeightedVendor,
};
use smpp::dialect::Dialect;
use smpp::field::{Address, CommandId, CommandStatus, EsmClass};
use smpp::pdu::{BindKind, DataSm, DeliverSm, Pdu, SubmitSm};
use smpp::time::Instant;
use smpp::tlv::{Tag, Tlvs, write_tlv};
use smpp::version::Version;
use smpp::wire::Frame;
use std::sync::Arc;
use std::time::Duration;

const CUSTOMER: LinkKey = LinkKey(1);
const WEST: LinkKey = LinkKey(2);
const EAST: LinkKey = LinkKey(3);
const NOW: Instant = Instant::from_nanos(1_000_000_000);
const OK: CommandStatus = CommandStatus::ESME_ROK;
const NUMBERS: [&str; 2] = ["300", "400"];

fn acme() -> AccountId {
    AccountId::of_name(b"acme")
}

/// A gateway with a customer and two vendors, of which `west` comes first and speaks SMPP 3.3.
fn gateway(change: impl FnOnce(&mut Account)) -> Relay {
    let route = |(priority, name): (u32, &str)| Route {
        priority,
        vendors: vec![WeightedVendor { vendor: VendorId::of_name(name.as_bytes()), weight: 1, price: None }],
        ..Route::default()
    };
    let mut account = Account { numbers: NUMBERS.map(Into::into).into(), ..Account::new("acme") };
    change(&mut account);
    let input = SnapshotInput {
        accounts: vec![account],
        vendors: vec![Vendor { version: Version::V33, ..Vendor::new("west") }, Vendor::new("east")],
        routes: [(1, "west"), (2, "east")].map(route).into(),
        correlate: Correlate::Relaxed,
        ..SnapshotInput::default()
    };
    let options =
        RelayOptions { node: 1, shard: ShardIndex(0), shards: 1, started_at: Duration::ZERO, seed: 1 };
    let mut relay = Relay::new(options, Arc::new(Snapshot::compile(input).expect("no mistake")));
    bind_vendor(&mut relay, "west", WEST);
    relay
}

fn bind_vendor(relay: &mut Relay, vendor: &str, link: LinkKey) {
    assert!(relay.vendor_bound(NOW, VendorId::of_name(vendor.as_bytes()), link, BindKind::Transceiver, 10));
}

fn bind_customer(relay: &mut Relay, link: LinkKey, version: Version, range: &str) {
    let range = AddressRange::new(range.as_bytes()).expect("a pattern");
    let traits = SessionTraits { version, range };
    assert!(relay.customer_bound_as(NOW, acme(), link, BindKind::Transceiver, 10, traits));
}

fn encoded(pdu: &Pdu<'_>) -> Vec<u8> {
    let mut out = bytes::BytesMut::new();
    pdu.encode(OK, 7, &mut out);
    out.to_vec()
}

fn tlvs(list: &[(Tag, &[u8])]) -> bytes::BytesMut {
    let mut out = bytes::BytesMut::new();
    list.iter().for_each(|(tag, value)| write_tlv(&mut out, *tag, value));
    out
}

fn submit_sm(text: &[u8], list: &[(Tag, &[u8])]) -> Vec<u8> {
    let octets = tlvs(list);
    encoded(&Pdu::SubmitSm(SubmitSm {
        source: Address::international(b"12025550100"),
        destination: Address::international(b"12025550123"),
        short_message: text,
        tlvs: Tlvs::new(&octets),
        ..SubmitSm::default()
    }))
}

fn mo(destination: &[u8], text: &[u8], list: &[(Tag, &[u8])]) -> Vec<u8> {
    let octets = tlvs(list);
    encoded(&Pdu::DeliverSm(DeliverSm {
        source: Address::international(b"12025550123"),
        destination: Address::international(destination),
        short_message: text,
        tlvs: Tlvs::new(&octets),
        ..DeliverSm::default()
    }))
}

/// Hands a PDU in, as its link would.
fn hand_in(relay: &mut Relay, link: LinkKey, bytes: &[u8]) {
    let arrival = Arrival { now: NOW, unix_seconds: 2_000_000_000, link, over_window: false };
    let frame = Frame::whole(bytes).expect("one PDU");
    match Pdu::decode(frame, &Dialect::strict()).expect("strict") {
        Pdu::SubmitSm(submit) => relay.handle_submit(arrival, frame, &submit),
        Pdu::DataSm(data) if link == CUSTOMER => relay.handle_submit_data(arrival, frame, &data),
        Pdu::DataSm(data) => relay.handle_deliver_data(arrival, frame, &data),
        Pdu::DeliverSm(deliver) => relay.handle_deliver(arrival, frame, &deliver),
        other => panic!("{other:?}"),
    }
}

/// Where a message or delivery went, and as what.
fn sent(relay: &mut Relay) -> (LinkKey, Vec<u8>) {
    match relay.poll() {
        Some(Output::SendSubmit { link, message }) => (link, relay.bytes(message).to_vec()),
        Some(Output::SendDeliver { link, delivery }) => (link, relay.delivery_bytes(delivery).to_vec()),
        other => panic!("{other:?}"),
    }
}

fn submitted(bytes: &[u8]) -> SubmitSm<'_> {
    let frame = Frame::whole(bytes).expect("one PDU");
    match Pdu::decode(frame, &Dialect::strict()) {
        Ok(Pdu::SubmitSm(submit)) => submit,
        other => panic!("a submit_sm: {other:?}"),
    }
}

fn delivered(bytes: &[u8]) -> DeliverSm<'_> {
    let frame = Frame::whole(bytes).expect("one PDU");
    match Pdu::decode(frame, &Dialect::strict()) {
        Ok(Pdu::DeliverSm(deliver)) => deliver,
        other => panic!("a deliver_sm: {other:?}"),
    }
}

/// The parking of a delivery, which is what becomes of it; the store keeps it.
fn park(relay: &mut Relay) -> Vec<u8> {
    while let Some(op) = relay.poll_store() {
        if let StoreOp::Park { delivery, account, pdu, .. } = op {
            let answer = StoreAnswer::Parked { delivery, account, outcome: Ok(()), pdu: pdu.clone() };
            relay.handle_store_answer(NOW, answer);
            return pdu;
        }
    }
    panic!("it is not parked");
}

const PART: [(Tag, &[u8]); 3] = [
    (Tag::SAR_MSG_REF_NUM, b"\0\x09"),
    (Tag::SAR_TOTAL_SEGMENTS, b"\x02"),
    (Tag::SAR_SEGMENT_SEQNUM, b"\x01"),
];

#[test]
fn a_vendor_of_3_3_gets_no_tlvs() {
    let check = |bytes: Vec<u8>, esm_class: u8, text: &[u8]| {
        let mut relay = gateway(|_| {});
        bind_customer(&mut relay, CUSTOMER, Version::V34, "");
        hand_in(&mut relay, CUSTOMER, &bytes);
        let (link, bytes) = sent(&mut relay);
        let got = submitted(&bytes);
        assert_eq!((link, got.esm_class.0, got.short_message), (WEST, esm_class, text));
        assert!(got.tlvs.is_empty());
    };
    check(submit_sm(b"hello", &[]), 0, b"hello");
    check(submit_sm(b"hello", &[(Tag(0x1400), b"x")]), 0, b"hello");
    check(submit_sm(b"", &[(Tag::MESSAGE_PAYLOAD, b"hello")]), 0, b"hello");
    check(submit_sm(b"hello", &PART), 0x40, b"\x05\0\x03\x09\x02\x01hello");
}

#[test]
fn what_3_3_cannot_say_goes_to_another_vendor_or_is_refused() {
    for (bytes, status) in [
        (submit_sm(b"", &[(Tag::MESSAGE_PAYLOAD, &[b'x'; 255])]), CommandStatus::ESME_RINVMSGLEN),
        (submit_sm(b"hi", &[(Tag::USSD_SERVICE_OP, b"\x02")]), CommandStatus::ESME_ROPTPARNOTALLWD),
    ] {
        let mut relay = gateway(|_| {});
        bind_customer(&mut relay, CUSTOMER, Version::V34, "");
        bind_vendor(&mut relay, "east", EAST);
        hand_in(&mut relay, CUSTOMER, &bytes);
        assert_eq!(sent(&mut relay), (EAST, bytes.clone()), "as its customer wrote it");
        let input = SnapshotInput {
            accounts: vec![Account::new("acme")],
            vendors: vec![Vendor { version: Version::V33, ..Vendor::new("west") }],
            routes: vec![Route {
                vendors: vec![WeightedVendor { vendor: VendorId::of_name(b"west"), weight: 1, price: None }],
                ..Route::default()
            }],
            ..SnapshotInput::default()
        };
        let snapshot = Arc::new(Snapshot::compile(input).expect("no mistake"));
        relay.apply_snapshot(NOW, snapshot);
        hand_in(&mut relay, CUSTOMER, &bytes);
        let Some(Output::AnswerSubmit { status: told, .. }) = relay.poll() else { panic!("an answer") };
        assert_eq!(told, status);
    }
}

#[test]
fn another_try_goes_as_the_customer_wrote_it() {
    let mut relay = gateway(|_| {});
    bind_customer(&mut relay, CUSTOMER, Version::V34, "");
    bind_vendor(&mut relay, "east", EAST);
    let bytes = submit_sm(b"hello", &PART[..0]);
    let with_tlv = submit_sm(b"hello", &[(Tag(0x1400), b"x")]);
    for bytes in [bytes, with_tlv] {
        hand_in(&mut relay, CUSTOMER, &bytes);
        let Some(Output::SendSubmit { link: WEST, message }) = relay.poll() else { panic!("to west") };
        assert!(submitted(relay.bytes(message)).tlvs.is_empty());
        relay.handle_answer(NOW, WEST, message, CommandStatus::ESME_RSYSERR, b"");
        assert_eq!(sent(&mut relay), (EAST, bytes));
    }
}

#[test]
fn data_sm_goes_to_a_vendor_of_3_3_as_submit_sm_and_is_answered_as_data_sm() {
    let mut relay = gateway(|_| {});
    bind_customer(&mut relay, CUSTOMER, Version::V34, "");
    let octets = tlvs(&[(Tag::MESSAGE_PAYLOAD, b"hello")]);
    let data = encoded(&Pdu::DataSm(DataSm {
        destination: Address::international(b"12025550123"),
        tlvs: Tlvs::new(&octets),
        ..DataSm::default()
    }));
    hand_in(&mut relay, CUSTOMER, &data);
    let Some(Output::SendSubmit { link: WEST, message }) = relay.poll() else { panic!("to west") };
    assert_eq!(submitted(relay.bytes(message)).short_message, b"hello");
    relay.handle_answer(NOW, WEST, message, OK, b"77");
    let Some(Output::AnswerSubmit { command, status, .. }) = relay.poll() else { panic!("an answer") };
    assert_eq!((command, status), (CommandId::DATA_SM_RESP, OK));
}

#[test]
fn a_customer_of_3_3_gets_no_tlvs_and_no_data_sm() {
    let mut relay = gateway(|_| {});
    bind_customer(&mut relay, CUSTOMER, Version::V33, "");
    hand_in(&mut relay, WEST, &mo(b"300", b"hello", &PART));
    let (link, bytes) = sent(&mut relay);
    let got = delivered(&bytes);
    assert_eq!((link, got.short_message), (CUSTOMER, &b"\x05\0\x03\x09\x02\x01hello"[..]));
    assert!(got.tlvs.is_empty() && got.esm_class.has_user_data_header());
    let octets = tlvs(&[(Tag::MESSAGE_PAYLOAD, b"hello")]);
    let data = encoded(&Pdu::DataSm(DataSm {
        destination: Address::international(b"400"),
        tlvs: Tlvs::new(&octets),
        ..DataSm::default()
    }));
    hand_in(&mut relay, WEST, &data);
    let (_, bytes) = sent(&mut relay);
    assert_eq!(delivered(&bytes).short_message, b"hello");
}

#[test]
fn a_delivery_that_3_3_cannot_say_goes_to_a_session_of_3_4() {
    let mut relay = gateway(|_| {});
    bind_customer(&mut relay, CUSTOMER, Version::V33, "");
    bind_customer(&mut relay, LinkKey(9), Version::V34, "");
    let long = mo(b"300", b"", &[(Tag::MESSAGE_PAYLOAD, &[b'x'; 300])]);
    for _ in 0..3 {
        hand_in(&mut relay, WEST, &long);
        assert_eq!(sent(&mut relay), (LinkKey(9), long.clone()));
    }
}

#[test]
fn a_delivery_that_no_session_can_be_told_waits_for_one_that_can() {
    let mut relay = gateway(|_| {});
    bind_customer(&mut relay, CUSTOMER, Version::V33, "");
    let long = mo(b"300", b"", &[(Tag::MESSAGE_PAYLOAD, &[b'x'; 300])]);
    hand_in(&mut relay, WEST, &long);
    assert_eq!(park(&mut relay), long);
    assert!(matches!(relay.poll(), Some(Output::AnswerDeliver { status: OK, .. })));
    // Asked for by the session that stands, it does not go round and round, and does not stop what is behind it.
    let entry = |number, pdu: &[u8]| ParkedEntry { parked: ParkedId(number), pdu: pdu.to_vec() };
    let entries = vec![entry(1, &long), entry(2, &mo(b"300", b"hello", &[]))];
    let page = StoreAnswer::Unparked { account: acme(), entries, more: true };
    relay.handle_store_answer(NOW, page);
    assert_eq!(delivered(&sent(&mut relay).1).short_message, b"hello");
    let ops: Vec<StoreOp> = std::iter::from_fn(|| relay.poll_store()).collect();
    assert!(!ops.iter().any(|op| matches!(op, StoreOp::Return { .. })), "{ops:?}");
    assert!(ops.iter().any(|op| matches!(op, StoreOp::Unpark { .. })), "{ops:?}");
    assert_eq!(relay.counters().traffic.deliveries_unsuited, 1);
    // A session of 3.4 binds: it is handed back, then asked for.
    bind_customer(&mut relay, LinkKey(9), Version::V34, "");
    let ops: Vec<StoreOp> = std::iter::from_fn(|| relay.poll_store()).collect();
    assert!(matches!(ops[0], StoreOp::Return { parked: ParkedId(1), .. }), "{ops:?}");
}

#[test]
fn what_a_customer_fixed_to_3_3_can_never_be_told_is_refused_in_its_name() {
    let mut relay = gateway(|account| account.version = Some(Version::V33));
    bind_customer(&mut relay, CUSTOMER, Version::V33, "");
    hand_in(&mut relay, WEST, &mo(b"300", b"", &[(Tag::MESSAGE_PAYLOAD, &[b'x'; 300])]));
    assert!(matches!(relay.poll(), Some(Output::AnswerDeliver { status: OK, .. })));
    assert_eq!(relay.counters().traffic.deliveries_rejected, 1);
}

#[test]
fn messages_from_handsets_follow_the_address_ranges() {
    let both = |policy| {
        let mut relay = gateway(|account| account.address_range = policy);
        bind_customer(&mut relay, LinkKey(8), Version::V34, "^300$");
        bind_customer(&mut relay, LinkKey(9), Version::V34, "^5");
        relay
    };
    let went = |relay: &mut Relay, destination: &[u8]| {
        let mut links = Vec::new();
        for _ in 0..4 {
            hand_in(relay, WEST, &mo(destination, b"hello", &[]));
            links.push(sent(relay).0.0);
        }
        links
    };
    assert_eq!(went(&mut both(RangePolicy::Ignore), b"300"), [8, 9, 8, 9]);
    for policy in [RangePolicy::Prefer, RangePolicy::Require] {
        assert_eq!(went(&mut both(policy), b"300"), [8, 8, 8, 8], "{policy:?}");
        // Who names no range serves what nobody names.
        let mut relay = both(policy);
        bind_customer(&mut relay, LinkKey(7), Version::V34, "");
        assert_eq!(went(&mut relay, b"400"), [7, 7, 7, 7], "{policy:?}");
    }
    assert_eq!(went(&mut both(RangePolicy::Prefer), b"400"), [8, 9, 8, 9]);
    let mut relay = both(RangePolicy::Require);
    hand_in(&mut relay, WEST, &mo(b"400", b"hello", &[]));
    assert_eq!(park(&mut relay), mo(b"400", b"hello", &[]));
    // A receipt goes to any: it answers what the customer sent.
    let receipt = encoded(&Pdu::DeliverSm(DeliverSm {
        source: Address::international(b"12025550123"),
        destination: Address::international(b"400"),
        esm_class: EsmClass::RECEIPT,
        short_message: b"id:77 stat:DELIVRD",
        ..DeliverSm::default()
    }));
    let entries = vec![ParkedEntry { parked: ParkedId(3), pdu: receipt.clone() }];
    relay.handle_store_answer(NOW, StoreAnswer::Unparked { account: acme(), entries, more: false });
    while let Some(output) = relay.poll() {
        if let Output::SendDeliver { delivery, .. } = output {
            assert_eq!(relay.delivery_bytes(delivery), receipt);
            return;
        }
    }
    panic!("the receipt is not delivered");
}
