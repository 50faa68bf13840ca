//! The door of the relay: what an earlier version kept in another form than may leave, what cannot be written anew, and
//! vendors that do not take every form.

use gateway_relay as relay;
use relay::{
    Account, AccountId, Arrival, Correlate, LinkKey, Mode, Output, ParkedEntry, ParkedId, Refusal, Relay,
    RelayOptions, Route, ShardIndex, Snapshot, SnapshotInput, SpoolAnswer, SpoolEntry, SpoolOp, SpoolRules,
    StoreAnswer, StoreOp, UnknownOutcome, Vendor, VendorId, WeightedVendor,
};
use smpp::dialect::Dialect;
use smpp::field::{CommandId, CommandStatus};
use smpp::pdu::{BindKind, Pdu};
use smpp::text::message_id::GatewayId;
use smpp::time::Instant;
use smpp::wire::Frame;
use std::sync::Arc;
use std::time::Duration;

const CUSTOMER: LinkKey = LinkKey(1);
const WEST: LinkKey = LinkKey(2);
const EAST: LinkKey = LinkKey(3);
const NOW: Instant = Instant::from_nanos(1_000_000_000);
const UNIX: u32 = 2_000_000_000;

fn account() -> AccountId {
    AccountId::of_name(b"customer")
}

fn relay(mode: Mode, change: impl FnOnce(&mut Vendor)) -> Relay {
    let route = |(priority, name): (u32, &str)| Route {
        priority,
        vendors: vec![WeightedVendor { vendor: VendorId::of_name(name.as_bytes()), weight: 1, price: None }],
        ..Route::default()
    };
    let mut west = Vendor::new("west");
    change(&mut west);
    let input = SnapshotInput {
        // Under `fail` the spool is asked before a copy goes.
        accounts: vec![Account {
            mode,
            unknown_outcome: UnknownOutcome::RetryOther,
            ..Account::new("customer")
        }],
        vendors: vec![west, Vendor::new("east")],
        routes: [(1, "west"), (2, "east")].map(route).into(),
        correlate: Correlate::Strict,
        spool: Some(SpoolRules::default()),
        ..SnapshotInput::default()
    };
    let options =
        RelayOptions { node: 1, shard: ShardIndex(0), shards: 1, started_at: Duration::ZERO, seed: 1 };
    let mut relay = Relay::new(options, Arc::new(Snapshot::compile(input).expect("no mistake")));
    bind(&mut relay, "west", WEST);
    relay
}

fn bind(relay: &mut Relay, vendor: &str, link: LinkKey) {
    let vendor = VendorId::of_name(vendor.as_bytes());
    assert!(relay.vendor_bound(NOW, vendor, link, BindKind::Transceiver, 10));
}

fn bind_customer(relay: &mut Relay) {
    assert!(relay.customer_bound(NOW, account(), CUSTOMER, BindKind::Transceiver, 100));
}

/// A submit_sm or deliver_sm from these octets on.
fn pdu(command: CommandId, source: &[u8], esm_class: u8, tail: &[u8]) -> Vec<u8> {
    let head = [&b"\0\x01\x01"[..], source, b"\0\x01\x0112025550123\0", &[esm_class], b"\0\0\0\0\x01\0\0\0"]
        .concat();
    let body = [&head[..], tail].concat();
    let words = [16 + body.len() as u32, command.0, 0, 7];
    words.iter().flat_map(|word| word.to_be_bytes()).chain(body).collect()
}

fn submit(relay: &mut Relay, bytes: &[u8]) {
    let arrival = Arrival { now: NOW, unix_seconds: UNIX.into(), link: CUSTOMER, over_window: false };
    let frame = Frame::whole(bytes).expect("one PDU");
    match Pdu::decode(frame, &Dialect::tolerant()) {
        Ok(Pdu::SubmitSm(submit)) => relay.handle_submit(arrival, frame, &submit),
        other => panic!("a submit: {other:?}"),
    }
}

/// What goes to links, by link; answers as their status.
fn outputs(relay: &mut Relay) -> Vec<(LinkKey, Result<Vec<u8>, CommandStatus>)> {
    let mut found = Vec::new();
    while let Some(output) = relay.poll() {
        found.push(match output {
            Output::SendSubmit { link, message } => (link, Ok(relay.bytes(message).to_vec())),
            Output::SendDeliver { link, delivery } => (link, Ok(relay.delivery_bytes(delivery).to_vec())),
            Output::AnswerSubmit { link, status, .. } | Output::AnswerDeliver { link, status, .. } => {
                (link, Err(status))
            }
            Output::Drained => panic!("no drain"),
        });
    }
    found
}

fn store_ops(relay: &mut Relay) -> Vec<StoreOp> {
    std::iter::from_fn(|| relay.poll_store()).collect()
}

/// From `sm_length` on.
fn tail(pdu: &[u8], source: &[u8]) -> Vec<u8> {
    pdu[pdu_head(source)..].to_vec()
}

fn pdu_head(source: &[u8]) -> usize {
    16 + 3 + source.len() + 1 + 2 + 12 + 1 + 8
}

#[test]
fn rewrites_and_rejects_what_an_earlier_version_parked() {
    let mut relay = relay(Mode::Relay, |_| {});
    bind_customer(&mut relay);
    let ops = store_ops(&mut relay);
    assert!(ops.iter().any(|op| matches!(op, StoreOp::Unpark { .. })), "{ops:?}");
    let parked = [
        (1, pdu(CommandId::DELIVER_SM, b"77", 0, b"\x02hi")),
        (2, pdu(CommandId::DELIVER_SM, b"77", 0, b"\x02hi\0")),
        (3, pdu(CommandId::DELIVER_SM, &[b'7'; 40], 0, b"\x02hi")),
        (4, b"no PDU".to_vec()),
        (5, pdu(CommandId::DELIVER_SM, b"77", 0, b"\x02hi\x02\x04\0\x02\x01")),
    ];
    let entries = parked.map(|(number, pdu)| ParkedEntry { parked: ParkedId(number), pdu }).into();
    relay.handle_store_answer(NOW, StoreAnswer::Unparked { account: account(), entries, more: false });
    let sent: Vec<Vec<u8>> =
        outputs(&mut relay).into_iter().map(|(_, sent)| sent.expect("a delivery")).collect();
    let plain = pdu(CommandId::DELIVER_SM, b"77", 0, b"\x02hi");
    assert_eq!(sent.iter().map(|pdu| &pdu[16..]).collect::<Vec<_>>(), [&plain[16..]; 3]);
    let released: Vec<u64> = store_ops(&mut relay)
        .into_iter()
        .filter_map(|op| if let StoreOp::Release { parked, .. } = op { Some(parked.0) } else { None })
        .collect();
    assert_eq!(released, [3, 4], "offered again, they would end each session");
    let traffic = relay.counters().traffic;
    assert_eq!((traffic.kept_rewritten, traffic.kept_malformed, traffic.deliveries_rejected), (2, 2, 2));
}

#[test]
fn rewrites_and_rejects_what_an_earlier_version_spooled() {
    let mut relay = relay(Mode::StoreAndForward, |_| {});
    bind_customer(&mut relay);
    store_ops(&mut relay);
    while relay.poll_spool().is_some() {}
    let spooled = [
        (1, pdu(CommandId::SUBMIT_SM, b"77", 0, b"\x02hi\0")),
        (2, pdu(CommandId::SUBMIT_SM, &[b'7'; 40], 0, b"\x02hi")),
        (3, pdu(CommandId::SUBMIT_SM, &[b'7'; 70], 0, b"\x02hi")),
        (4, b"no PDU".to_vec()),
    ];
    let entry = |(number, pdu)| SpoolEntry {
        gateway_id: GatewayId(number),
        account: account(),
        accepted_at: UNIX,
        left: Duration::from_secs(60),
        tries: 1,
        unknown_copies: 0,
        is_last: false,
        fate: None,
        pdu,
    };
    let entries = spooled.map(entry).into();
    relay.handle_spool_answer(NOW, SpoolAnswer::Due { unix_seconds: UNIX, entries, more: false });
    let sent = outputs(&mut relay);
    assert_eq!(sent[0].0, WEST);
    assert_eq!(tail(sent[0].1.as_ref().expect("a submit"), b"77"), b"\x02hi");
    // The customer of the second is told by a data_sm: its number fits no deliver_sm.
    assert_eq!(sent[1].0, CUSTOMER);
    let receipt = sent[1].1.as_ref().expect("a receipt");
    let frame = Frame::whole(receipt).expect("one PDU");
    let Ok(Pdu::DataSm(receipt)) = Pdu::decode(frame, &Dialect::strict()) else { panic!("a data_sm") };
    assert!(receipt.payload().starts_with(b"id:0000000000000002 "));
    assert!(receipt.payload().windows(12).any(|part| part == b"stat:UNDELIV"));
    assert_eq!(sent.len(), 2);
    let settled: Vec<u64> = std::iter::from_fn(|| relay.poll_spool())
        .filter_map(|op| if let SpoolOp::Settle { gateway_id } = op { Some(gateway_id.0) } else { None })
        .collect();
    assert_eq!(settled, [3, 4], "nobody can be told of the third, and the fourth is nobody's");
}

#[test]
fn a_vendor_that_does_not_take_the_form_is_passed_over() {
    let long = pdu(CommandId::SUBMIT_SM, b"77", 0, &[&b"\xC8"[..], &[b'm'; 200]].concat());
    let reserved = pdu(CommandId::SUBMIT_SM, b"77", 0x04, b"\x02hi");
    let plain = pdu(CommandId::SUBMIT_SM, b"77", 0, b"\x02hi");
    let check = |bytes: &[u8], change: fn(&mut Vendor), alone: Result<(), Refusal>| {
        let mut relay = relay(Mode::Relay, change);
        bind_customer(&mut relay);
        bind(&mut relay, "east", EAST);
        submit(&mut relay, bytes);
        let expected = if alone.is_ok() { WEST } else { EAST };
        assert_eq!(outputs(&mut relay), [(expected, Ok(bytes.to_vec()))]);
    };
    check(&plain, |west| west.pdu_size_max = 200, Ok(()));
    check(&long, |west| west.pdu_size_max = 200, Err(Refusal::TooLong));
    check(&long, |west| west.pdu_size_max = 2000, Ok(()));
    check(&plain, |west| west.strict_values = true, Ok(()));
    check(&reserved, |west| west.strict_values = true, Err(Refusal::EsmClassReserved));
    check(&reserved, |_| {}, Ok(()));
}

/// The vendor that takes the form is there, but not up: that passes, so the customer may try again.
#[test]
fn a_vendor_that_is_down_is_no_reason_to_refuse_the_form() {
    let mut relay = relay(Mode::Relay, |west| west.pdu_size_max = 200);
    bind_customer(&mut relay);
    let long = pdu(CommandId::SUBMIT_SM, b"77", 0, &[&b"\xC8"[..], &[b'm'; 200]].concat());
    submit(&mut relay, &long);
    assert_eq!(outputs(&mut relay), [(CUSTOMER, Err(CommandStatus::ESME_RSYSERR))]);
}
