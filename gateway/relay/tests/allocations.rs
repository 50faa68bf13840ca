//! The steady state allocates nothing: counted, for submits alone and for the whole cycle with receipts.

use gateway_relay::{
    Account, AccountId, Arrival, Correlate, Correlation, LimitsInput, LinkKey, MO_GATHERED_MAX, NumberKind,
    Output, Relay, RelayOptions, Route, ShardIndex, Snapshot, SnapshotInput, SourceNumber, Sources,
    StoreAnswer, StoreOp, Vendor, VendorId, WeightedVendor,
};
use smpp::dialect::Dialect;
use smpp::field::{Address, CommandStatus, EsmClass, Npi, RegisteredDelivery, Ton};
use smpp::pdu::{BindKind, DeliverSm, SubmitSm};
use smpp::time::Instant;
use smpp::wire::Frame;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::sync::Arc;
use std::time::Duration;

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CUSTOMER: LinkKey = LinkKey(1);
const VENDOR: LinkKey = LinkKey(2);

fn relay(correlate: Correlate, records: bool) -> Relay {
    let north = VendorId::of_name(b"north");
    let route = Route {
        prefix: "1".into(),
        account: None,
        priority: 1,
        unknown_outcome: None,
        vendors: vec![WeightedVendor { vendor: north, weight: 1, price: None }],
        ..Route::default()
    };
    let input = SnapshotInput {
        accounts: vec![Account {
            rate: 10_000_000,
            burst: 10_000_000,
            bind_rate: 10_000_000,
            sources: Sources::of(["1202*"]),
            numbers: vec!["12025550100".into()],
            reassemble: true,
            ..Account::new("acme")
        }],
        vendors: vec![Vendor { rate: 10_000_000, burst: 10_000_000, ..Vendor::new("north") }],
        carriers: LimitsInput {
            numbers: vec![SourceNumber {
                digits: "12025550100".into(),
                kind: NumberKind::TollFree,
                campaign: None,
                rate_milli: Some(10_000_000_000),
                burst: Some(100_000_000),
            }],
            ..LimitsInput::default()
        },
        routes: vec![route],
        correlate,
        records,
        ..SnapshotInput::default()
    };
    let options =
        RelayOptions { node: 1, shard: ShardIndex(0), shards: 1, started_at: Duration::ZERO, seed: 7 };
    let mut relay = Relay::new(options, Arc::new(Snapshot::compile(input).unwrap()));
    let now = Instant::from_nanos(1);
    assert!(relay.vendor_bound(now, north, VENDOR, BindKind::Transceiver, 500));
    let acme = AccountId::of_name(b"acme");
    assert!(relay.customer_bound(now, acme, CUSTOMER, BindKind::Transceiver, 100));
    while relay.poll_store().is_some() {}
    relay
}

fn address(digits: &[u8]) -> Address<'_> {
    Address { ton: Ton(1), npi: Npi(1), digits }
}

fn encode(registered_delivery: u8) -> bytes::BytesMut {
    let mut out = bytes::BytesMut::new();
    SubmitSm {
        source: address(b"12025550100"),
        destination: address(b"13125550111"),
        registered_delivery: RegisteredDelivery(registered_delivery),
        short_message: &[b'x'; 100],
        ..SubmitSm::default()
    }
    .encode(CommandStatus::ESME_ROK, 1, &mut out);
    out
}

/// One burst of submits and their answers.
fn submits(relay: &mut Relay, bytes: &[u8], burst: usize, at: u64) {
    let frame = Frame::whole(bytes).unwrap();
    let pdu = SubmitSm::decode(frame, &Dialect::strict()).unwrap();
    let now = Instant::from_nanos(at);
    let arrival = Arrival { now, unix_seconds: 1_800_000_000 + at, link: CUSTOMER, over_window: false };
    for _ in 0..burst {
        relay.handle_submit(arrival, frame, &pdu);
    }
    let mut open = [None; 512];
    let mut sent = 0;
    while let Some(output) = relay.poll() {
        if let Output::SendSubmit { message, .. } = output {
            open[sent] = Some(message);
            sent += 1;
        }
    }
    assert_eq!(sent, burst);
    for message in open.into_iter().flatten() {
        relay.handle_answer(now, VENDOR, message, CommandStatus::ESME_ROK, b"0123456789");
    }
}

fn answers(relay: &mut Relay) -> usize {
    let mut count = 0;
    while let Some(output) = relay.poll() {
        assert!(matches!(output, Output::AnswerSubmit { status: CommandStatus::ESME_ROK, .. }));
        count += 1;
    }
    count
}

#[test]
fn the_steady_state_allocates_nothing() {
    let mut plain = relay(Correlate::None, false);
    let bytes = encode(0);
    submits(&mut plain, &bytes, 500, 1);
    answers(&mut plain);
    let mut at = 1;
    let counted = least_allocations(|| {
        for _ in 0..100 {
            at += 1;
            submits(&mut plain, &bytes, 500, at);
            assert_eq!(answers(&mut plain), 500);
        }
    });
    assert_eq!(counted, 0);

    for records in [false, true] {
        whole_cycles(records);
    }
}

/// Submits, receipts and, where wanted, the records of both.
fn whole_cycles(records: bool) {
    let mut full = relay(Correlate::Strict, records);
    let bytes = encode(1);
    let receipt = encode_receipt();
    for at in 1..3 {
        cycle(&mut full, &bytes, &receipt, at);
    }
    let mut at = 2;
    let counted = least_allocations(|| {
        for _ in 0..500 {
            at += 1;
            cycle(&mut full, &bytes, &receipt, at);
        }
    });
    assert_eq!(counted, 0);
    assert_eq!(full.counters().traffic.deliveries_taken, at * 50);
    assert_eq!(full.counters().traffic.records_lost, 0);
    assert!(full.is_empty());

    let mut gathering = relay(Correlate::Strict, false);
    let mut parts = [encode_part(1), encode_part(2)];
    let mut reference = 0;
    let mut gather_some = |count: u32| {
        for _ in 0..count {
            reference += 1;
            gather(&mut gathering, &mut parts, reference);
        }
    };
    gather_some(4 * MO_GATHERED_MAX); // until its table is as large as it gets
    assert_eq!(least_allocations(|| gather_some(1000)), 0);
    assert_eq!(gathering.counters().traffic.mo_reassembled, u64::from(reference));
}

fn encode_part(number: u8) -> bytes::BytesMut {
    let mut out = bytes::BytesMut::new();
    DeliverSm {
        source: address(b"13125550111"),
        destination: address(b"12025550100"),
        esm_class: EsmClass(EsmClass::UDHI),
        short_message: &[&[6, 8, 4, 0, 0, 2, number], &[b'x'; 100][..]].concat(),
        ..DeliverSm::default()
    }
    .encode(CommandStatus::ESME_ROK, 9, &mut out);
    out
}

/// Two parts, their message, its answer.
fn gather(relay: &mut Relay, parts: &mut [bytes::BytesMut; 2], reference: u32) {
    let now = Instant::from_nanos(u64::from(reference));
    for part in parts {
        let at = part.len() - 104; // the reference stands in the header before 100 octets of text
        part[at..at + 2].copy_from_slice(&(reference as u16).to_be_bytes());
        let frame = Frame::whole(part).unwrap();
        let pdu = DeliverSm::decode(frame, &Dialect::strict()).unwrap();
        let arrival = Arrival { now, unix_seconds: 1_800_000_000, link: VENDOR, over_window: false };
        relay.handle_deliver(arrival, frame, &pdu);
    }
    let Some(Output::SendDeliver { delivery, .. }) = relay.poll() else { panic!("a whole message") };
    assert!(relay.delivery_bytes(delivery).len() > 200);
    relay.customer_answered(now, delivery, CommandStatus::ESME_ROK);
    for _ in 0..2 {
        let answer = relay.poll();
        assert!(matches!(answer, Some(Output::AnswerDeliver { status: CommandStatus::ESME_ROK, .. })));
    }
}

/// The count is of the whole process, and the test harness has a thread of its own that allocates now and then: the
/// least of a few runs is the work's own.
fn least_allocations(mut work: impl FnMut()) -> usize {
    const RUNS: usize = 5;
    let run = |_| {
        let region = Region::new(COUNTED);
        work();
        let change = region.change();
        change.allocations + change.reallocations
    };
    (0..RUNS).map(run).min().unwrap_or(usize::MAX)
}

fn encode_receipt() -> bytes::BytesMut {
    let mut out = bytes::BytesMut::new();
    DeliverSm {
        source: address(b"13125550111"),
        destination: address(b"12025550100"),
        esm_class: EsmClass::RECEIPT,
        short_message: b"id:0123456789 sub:001 dlvrd:001 stat:DELIVRD err:000 text:x",
        tlvs: smpp::tlv::Tlvs::new(b"\x00\x1e\x00\x0b0123456789\0\x04\x27\x00\x01\x02"),
        ..DeliverSm::default()
    }
    .encode(CommandStatus::ESME_ROK, 9, &mut out);
    out
}

/// Submits, answers, correlations, receipts, their answers.
fn cycle(relay: &mut Relay, submit: &[u8], receipt: &[u8], at: u64) {
    let now = Instant::from_nanos(at);
    submits(relay, submit, 50, at);
    let mut last: Option<Correlation> = None;
    while let Some(op) = relay.poll_store() {
        if let StoreOp::Remember { message, correlation, .. } = op {
            last = Some(correlation);
            relay.handle_store_answer(now, StoreAnswer::Remembered { message, outcome: Ok(()) });
        }
    }
    assert_eq!(answers(relay), 50);
    let frame = Frame::whole(receipt).unwrap();
    let pdu = DeliverSm::decode(frame, &Dialect::strict()).unwrap();
    let arrival = Arrival { now, unix_seconds: 1_800_000_000, link: VENDOR, over_window: false };
    for _ in 0..50 {
        relay.handle_deliver(arrival, frame, &pdu);
    }
    while let Some(op) = relay.poll_store() {
        if let StoreOp::Find { delivery, .. } = op {
            relay.handle_store_answer(now, StoreAnswer::Found { delivery, outcome: Ok(last.into()) });
        }
    }
    while let Some(output) = relay.poll() {
        if let Output::SendDeliver { delivery, .. } = output {
            assert!(relay.delivery_bytes(delivery).len() > 100);
            relay.customer_answered(now, delivery, CommandStatus::ESME_ROK);
        }
    }
    while relay.poll_store().is_some() {}
    let expected = if relay.snapshot().records() { 100 } else { 0 };
    assert_eq!(std::iter::from_fn(|| relay.poll_record(now, Duration::from_secs(2))).count(), expected);
}

/// Not a gate: prints what one submit with its answer costs, decoding included.
/// `cargo test --release -p gateway-relay --test allocations -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, to be read by a person"]
fn cost_of_a_submit() {
    for records in [false, true] {
        measure_a_submit(records);
    }
}

fn measure_a_submit(records: bool) {
    let mut relay = relay(Correlate::None, records);
    let bytes = encode(0);
    submits(&mut relay, &bytes, 500, 1);
    answers(&mut relay);
    let start = std::time::Instant::now();
    const BURSTS: u64 = 4000;
    for at in 2..2 + BURSTS {
        submits(&mut relay, &bytes, 500, at);
        assert_eq!(answers(&mut relay), 500);
        while let Some(record) = relay.poll_record(Instant::from_nanos(at), Duration::from_secs(2)) {
            std::hint::black_box(record);
        }
    }
    println!(
        "records {records}: {} ns a submit and its answer",
        start.elapsed().as_nanos() as u64 / (BURSTS * 500)
    );
}
