//! What limits cost on the message path: one submit with its answer under none, and under all of them (session, customer,
//! source number, campaign by the destination's network, brand's day, vendor). The difference is the figure.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use relay::{
    Account, AccountId, Arrival, Brand, Campaign, Correlate, LimitsInput, LinkKey, NetworkCode, NetworkRule,
    NumberKind, Output, Relay, RelayOptions, Route, ShardIndex, Snapshot, SnapshotInput, SourceNumber,
    Sources, Vendor, VendorId, WeightedVendor,
};
use smpp::{Address, BindKind, CommandStatus, Dialect, Frame, SubmitSm};

const CUSTOMER: LinkKey = LinkKey(1);
const VENDOR: LinkKey = LinkKey(2);
/// More than is asked for.
const MANY: u32 = 10_000_000;
/// Source numbers and prefixes of networks in the tables, as many as a large operator has.
const NUMBERS: u64 = 10_000;
/// Messages of one measured round.
const BURST: usize = 500;

criterion_group!(benches, submits);
criterion_main!(benches);

fn limits() -> LimitsInput {
    let number = |index: u64| SourceNumber {
        digits: (12_025_550_000 + index).to_string().into(),
        kind: NumberKind::LongCode,
        campaign: Some("offers".into()),
        rate_milli: Some(u64::from(MANY) * 1000),
        burst: Some(MANY),
    };
    LimitsInput {
        numbers: (0..NUMBERS).map(number).collect(),
        campaigns: vec![Campaign {
            name: "offers".into(),
            brand: "shop".into(),
            class: 'A',
            per_minute: Some(u32::MAX),
            burst: Some(MANY),
            scope: None,
        }],
        brands: vec![Brand {
            name: "shop".into(),
            tier: "top".into(),
            daily_cap: Some(u32::MAX),
            counts_unknown: true,
        }],
        ..LimitsInput::default()
    }
}

fn relay(is_limited: bool) -> Relay {
    let north = VendorId::of_name(b"north");
    let route = Route {
        prefix: "1".into(),
        vendors: vec![WeightedVendor { vendor: north, weight: 1, price: None }],
        ..Route::default()
    };
    let network = |index: u64| NetworkRule {
        prefix: (1_404_000 + index).to_string().into(),
        code: NetworkCode::parse("310410").expect("a network"),
        carrier: "att".into(),
    };
    let mut input = SnapshotInput {
        accounts: vec![Account::new("acme")],
        vendors: vec![Vendor::new("north")],
        routes: vec![route],
        correlate: Correlate::None,
        ..SnapshotInput::default()
    };
    if is_limited {
        let account = &mut input.accounts[0];
        (account.rate, account.burst, account.bind_rate) = (MANY, MANY, MANY);
        account.sources = Sources::of(["1202*"]);
        (input.vendors[0].rate, input.vendors[0].burst) = (MANY, MANY);
        input.networks = (0..NUMBERS).map(network).collect();
        input.carriers = limits();
    }
    let options =
        RelayOptions { node: 1, shard: ShardIndex(0), shards: 1, started_at: Duration::ZERO, seed: 7 };
    let mut relay = Relay::new(options, Arc::new(Snapshot::compile(input).expect("no mistake")));
    let now = smpp::time::Instant::from_nanos(1);
    assert!(relay.vendor_bound(now, north, VENDOR, BindKind::Transceiver, BURST as u32));
    assert!(relay.customer_bound(now, AccountId::of_name(b"acme"), CUSTOMER, BindKind::Transmitter, 0));
    relay
}

fn submits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a submit and its answer");
    group.throughput(Throughput::Elements(BURST as u64));
    for (name, is_limited) in [("no limits", false), ("all limits", true)] {
        let mut relay = relay(is_limited);
        let mut at = 1;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                at += 1_000_000; // a millisecond, in which more tokens come than are used
                round(&mut relay, at);
            });
        });
    }
    group.finish();
}

fn round(relay: &mut Relay, at: u64) {
    let mut bytes = BytesMut::new();
    let submit = SubmitSm {
        source: Address::international(b"12025550100"),
        destination: Address::international(b"14045550111"),
        short_message: &[b'x'; 100],
        ..SubmitSm::default()
    };
    submit.encode(CommandStatus::ESME_ROK, 1, &mut bytes);
    let frame = Frame::whole(&bytes).expect("a frame");
    let pdu = SubmitSm::decode(frame, &Dialect::strict()).expect("a submit");
    let now = smpp::time::Instant::from_nanos(at);
    let arrival = Arrival { now, unix_seconds: 1_800_000_000, link: CUSTOMER, over_window: false };
    for _ in 0..BURST {
        relay.handle_submit(arrival, black_box(frame), &pdu);
    }
    let mut open = [None; BURST];
    let mut sent = 0;
    while let Some(Output::SendSubmit { message, .. }) = relay.poll() {
        open[sent] = Some(message);
        sent += 1;
    }
    assert_eq!(sent, BURST, "nothing is over its limit");
    for message in open.into_iter().flatten() {
        relay.handle_answer(now, VENDOR, message, CommandStatus::ESME_ROK, b"0123456789");
    }
    while let Some(output) = relay.poll() {
        black_box(output);
    }
}
