//! A vendor's binds are spread over shards; a message is not held up by the binds of its own shard while another
//! shard's have room.

use gateway_relay as relay;
use relay::{
    Account, AccountId, Arrival, LinkKey, Output, Relay, RelayOptions, Route, ShardIndex, ShardMessage,
    Snapshot, SnapshotInput, Vendor, VendorId, WeightedVendor,
};
use smpp::field::{Address, CommandStatus};
use smpp::pdu::{BindKind, Pdu, SubmitSm};
use smpp::time::Instant;
use smpp::wire::Frame;
use std::sync::Arc;
use std::time::Duration;

const CUSTOMER: LinkKey = LinkKey(1);
const BIND: LinkKey = LinkKey(2);
const NOW: Instant = Instant::from_nanos(1_000_000_000);

fn relay(rate_per_bind: u32, window: u32) -> Relay {
    let vendor = Vendor { rate_per_bind, ..Vendor::new("vendor") };
    let input = SnapshotInput {
        accounts: vec![Account::new("customer")],
        vendors: vec![vendor],
        routes: vec![Route {
            prefix: "".into(),
            account: None,
            priority: 0,
            unknown_outcome: None,
            vendors: vec![WeightedVendor { vendor: VendorId::of_name(b"vendor"), weight: 1, price: None }],
            ..Route::default()
        }],
        correlate: relay::Correlate::None,
        ..SnapshotInput::default()
    };
    let snapshot = Arc::new(Snapshot::compile(input).expect("no mistake"));
    let options =
        RelayOptions { node: 1, shard: ShardIndex(0), shards: 2, started_at: Duration::ZERO, seed: 1 };
    let mut relay = Relay::new(options, snapshot);
    assert!(relay.customer_bound(NOW, AccountId::of_name(b"customer"), CUSTOMER, BindKind::Transceiver, 100));
    assert!(relay.vendor_bound(NOW, VendorId::of_name(b"vendor"), BIND, BindKind::Transceiver, window));
    while relay.poll_shard().is_some() {}
    relay
}

fn other_shard_has(relay: &mut Relay, window: u32) {
    let vendor = VendorId::of_name(b"vendor");
    let message = ShardMessage::VendorState { vendor, links: 1, window };
    relay.handle_shard_message(NOW, ShardIndex(1), message);
}

/// Submits this many messages; how many went to the bind here, and how many to the other shard.
fn submit(relay: &mut Relay, count: u32) -> (usize, usize) {
    let submit = SubmitSm {
        destination: Address { digits: b"12025550123", ..Address::default() },
        short_message: b"hello",
        ..SubmitSm::default()
    };
    let (mut here, mut there) = (0, 0);
    for sequence in 0..count {
        let mut bytes = bytes::BytesMut::new();
        Pdu::SubmitSm(submit).encode(CommandStatus::ESME_ROK, sequence, &mut bytes);
        let frame = Frame::whole(&bytes).expect("one PDU");
        let arrival = Arrival { now: NOW, unix_seconds: 2_000_000_000, link: CUSTOMER, over_window: false };
        relay.handle_submit(arrival, frame, &submit);
        while let Some(output) = relay.poll() {
            here += usize::from(matches!(output, Output::SendSubmit { .. }));
        }
        while let Some((to, message)) = relay.poll_shard() {
            assert_eq!(to, ShardIndex(1));
            there += usize::from(matches!(message, ShardMessage::Submit { .. }));
        }
    }
    (here, there)
}

#[test]
fn a_full_window_here_spills_to_another_shard_and_then_waits() {
    let mut relay = relay(0, 2);
    other_shard_has(&mut relay, 3);
    assert_eq!(submit(&mut relay, 10), (2, 3));
    assert_eq!(relay.counters().traffic.queue_length, 5);
}

#[test]
fn a_spent_pace_here_spills_to_another_shard() {
    let mut relay = relay(1, 100);
    other_shard_has(&mut relay, 4);
    let (here, there) = submit(&mut relay, 10);
    assert!((1..10).contains(&here), "the pace of the bind here holds: {here}");
    assert_eq!(there, 4);
}

#[test]
fn without_binds_elsewhere_messages_wait_here() {
    let mut relay = relay(0, 2);
    assert_eq!(submit(&mut relay, 10), (2, 0));
    assert_eq!(relay.counters().traffic.queue_length, 8);
}
