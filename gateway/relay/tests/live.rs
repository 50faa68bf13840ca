//! Another snapshot for a relay with open messages: what leaves gets nothing new, what waits moves on, what is in flight
//! finishes by the rules it was sent by.

use gateway_relay as relay;
use relay::{
    Account, AccountId, Arrival, Correlate, LinkKey, MessageKey, Output, Relay, RelayOptions, Route,
    ShardIndex, ShardMessage, Snapshot, SnapshotInput, StoreOp, Vendor, VendorId, WeightedVendor,
};
use smpp::field::{Address, CommandStatus, RegisteredDelivery};
use smpp::pdu::{BindKind, Pdu, SubmitSm};
use smpp::text::message_id::IdRule;
use smpp::time::Instant;
use smpp::wire::Frame;
use std::sync::Arc;
use std::time::Duration;

const CUSTOMER: LinkKey = LinkKey(1);
const WEST: LinkKey = LinkKey(2);
const WEST_AGAIN: LinkKey = LinkKey(3);
const EAST: LinkKey = LinkKey(4);
const NOW: Instant = Instant::from_nanos(1_000_000_000);

fn account() -> AccountId {
    AccountId::of_name(b"customer")
}

/// A snapshot that sends everything to these vendors, the first one first, with the account as changed.
fn snapshot(vendors: &[&str], change: impl FnOnce(&mut Account)) -> Arc<Snapshot> {
    let mut account = Account::new("customer");
    change(&mut account);
    let route = |(priority, name): (usize, &&str)| Route {
        prefix: "".into(),
        account: None,
        priority: priority as u32,
        unknown_outcome: None,
        vendors: vec![WeightedVendor { vendor: VendorId::of_name(name.as_bytes()), weight: 1, price: None }],
        ..Route::default()
    };
    let vendor = |name: &&str| Vendor { id_rule: IdRule::HexToDecimal, ..Vendor::new(name) };
    let input = SnapshotInput {
        accounts: vec![account],
        vendors: vendors.iter().map(vendor).collect(),
        routes: vendors.iter().enumerate().map(route).collect(),
        correlate: Correlate::Strict,
        ..SnapshotInput::default()
    };
    Arc::new(Snapshot::compile(input).expect("no mistake"))
}

fn relay(vendors: &[&str]) -> Relay {
    let options =
        RelayOptions { node: 1, shard: ShardIndex(0), shards: 2, started_at: Duration::ZERO, seed: 1 };
    let mut relay = Relay::new(options, snapshot(vendors, |_| {}));
    assert!(relay.customer_bound(NOW, account(), CUSTOMER, BindKind::Transceiver, 100));
    relay
}

fn bind(relay: &mut Relay, vendor: &str, link: LinkKey, window: u32) -> bool {
    relay.vendor_bound(NOW, VendorId::of_name(vendor.as_bytes()), link, BindKind::Transceiver, window)
}

fn submit(relay: &mut Relay, count: u32) {
    let submit = SubmitSm {
        destination: Address { digits: b"12025550123", ..Address::default() },
        registered_delivery: RegisteredDelivery(1),
        short_message: b"hello",
        ..SubmitSm::default()
    };
    for sequence in 0..count {
        let mut bytes = bytes::BytesMut::new();
        Pdu::SubmitSm(submit).encode(CommandStatus::ESME_ROK, sequence, &mut bytes);
        let arrival = Arrival { now: NOW, unix_seconds: 2_000_000_000, link: CUSTOMER, over_window: false };
        relay.handle_submit(arrival, Frame::whole(&bytes).expect("one PDU"), &submit);
    }
}

/// What links shall do: messages by link, and the statuses of answers to submits.
fn outputs(relay: &mut Relay) -> (Vec<(LinkKey, MessageKey)>, Vec<CommandStatus>) {
    let (mut sent, mut answered) = (Vec::new(), Vec::new());
    while let Some(output) = relay.poll() {
        match output {
            Output::SendSubmit { link, message } => sent.push((link, message)),
            Output::AnswerSubmit { status, .. } => answered.push(status),
            _ => {}
        }
    }
    (sent, answered)
}

fn sent_to(relay: &mut Relay, link: LinkKey) -> usize {
    let (sent, answered) = outputs(relay);
    assert!(answered.is_empty(), "{answered:?}");
    assert!(sent.iter().all(|(to, _)| *to == link), "{sent:?}");
    sent.len()
}

#[test]
fn what_waits_for_a_vendor_that_is_taken_away_goes_elsewhere() {
    let mut relay = relay(&["west", "east"]);
    assert!(bind(&mut relay, "west", WEST, 2));
    submit(&mut relay, 5);
    assert_eq!(sent_to(&mut relay, WEST), 2);
    assert_eq!(relay.counters().traffic.queue_length, 3);
    assert!(bind(&mut relay, "east", EAST, 100));
    relay.apply_snapshot(NOW, snapshot(&["east"], |_| {}));
    assert_eq!(sent_to(&mut relay, EAST), 3);
    assert!(relay.is_leaving(WEST) && !relay.is_leaving(EAST));
    submit(&mut relay, 1);
    assert_eq!(sent_to(&mut relay, EAST), 1, "nothing new for what leaves");
    relay.vendor_closed(NOW, WEST, &[], &[]);
}

#[test]
fn a_long_queue_moves_away_over_several_ticks() {
    let mut relay = relay(&["west", "east"]);
    assert!(bind(&mut relay, "west", WEST, 1));
    submit(&mut relay, 1_201);
    assert_eq!(sent_to(&mut relay, WEST), 1);
    assert!(bind(&mut relay, "east", EAST, 10_000));
    relay.vendor_leaving(NOW, WEST);
    let mut rounds = Vec::new();
    while relay.counters().traffic.queue_length > 0 {
        rounds.push(sent_to(&mut relay, EAST));
        relay.handle_tick(NOW);
    }
    rounds.push(sent_to(&mut relay, EAST));
    assert_eq!(rounds.iter().sum::<usize>(), 1_200);
    assert!(rounds.iter().all(|count| *count <= 500), "{rounds:?}");
}

#[test]
fn what_is_in_flight_finishes_by_the_rules_it_was_sent_by() {
    let mut relay = relay(&["west"]);
    assert!(bind(&mut relay, "west", WEST, 10));
    submit(&mut relay, 1);
    let (sent, _) = outputs(&mut relay);
    relay.apply_snapshot(NOW, snapshot(&[], |_| {}));
    relay.handle_answer(NOW, WEST, sent[0].1, CommandStatus::ESME_ROK, b"1F");
    let remembered = std::iter::from_fn(|| relay.poll_store()).find_map(|op| match op {
        StoreOp::Remember { key, .. } => Some(key),
        _ => None,
    });
    let key = remembered.expect("its receipt will be known");
    assert_eq!(key.id.as_bytes(), b"31", "the id rule of the vendor that is gone");
}

#[test]
fn a_vendor_that_comes_back_before_its_links_ended_needs_new_ones() {
    let mut relay = relay(&["west"]);
    assert!(bind(&mut relay, "west", WEST, 10));
    relay.apply_snapshot(NOW, snapshot(&[], |_| {}));
    assert!(!bind(&mut relay, "west", WEST_AGAIN, 10), "it is not configured");
    relay.apply_snapshot(NOW, snapshot(&["west"], |_| {}));
    assert!(relay.is_leaving(WEST), "the shard ends it");
    submit(&mut relay, 1);
    let (sent, answered) = outputs(&mut relay);
    assert_eq!((sent.len(), answered), (0, vec![relay::Refusal::NoVendor.status()]));
    assert!(bind(&mut relay, "west", WEST_AGAIN, 10));
    submit(&mut relay, 1);
    assert_eq!(sent_to(&mut relay, WEST_AGAIN), 1);
}

/// What lies in a link's outbox when that is to end goes to another bind of the vendor, before what waits already.
#[test]
fn what_did_not_leave_an_ending_bind_goes_first_to_another() {
    let mut relay = relay(&["west"]);
    assert!(bind(&mut relay, "west", WEST, 10));
    submit(&mut relay, 3);
    let (sent, _) = outputs(&mut relay);
    assert!(bind(&mut relay, "west", WEST_AGAIN, 10));
    relay.vendor_leaving(NOW, WEST);
    relay.vendor_unsent(NOW, WEST, &[sent[1].1, sent[2].1]);
    submit(&mut relay, 1);
    let (again, answered) = outputs(&mut relay);
    let order: Vec<_> = again.iter().map(|(link, message)| (*link, *message)).collect();
    assert_eq!(order[..2], [(WEST_AGAIN, sent[1].1), (WEST_AGAIN, sent[2].1)]);
    assert_eq!((order.len(), answered.len()), (3, 0));
    relay.vendor_unsent(NOW, WEST, &[sent[1].1]);
    assert_eq!(outputs(&mut relay).0.len(), 0, "it is on another bind by now");
    relay.handle_answer(NOW, WEST, sent[0].1, CommandStatus::ESME_RINVDSTADR, b"");
    assert_eq!(outputs(&mut relay).1, [CommandStatus::ESME_RINVDSTADR], "what left is awaited");
    relay.vendor_closed(NOW, WEST, &[], &[]);
}

#[test]
fn what_did_not_leave_the_last_bind_looks_for_another_vendor() {
    let mut relay = relay(&["west"]);
    assert!(bind(&mut relay, "west", WEST, 10));
    submit(&mut relay, 2);
    let (sent, _) = outputs(&mut relay);
    relay.vendor_leaving(NOW, WEST);
    relay.vendor_unsent(NOW, WEST, &[sent[0].1, sent[1].1]);
    assert_eq!(outputs(&mut relay).1, [relay::Refusal::NoVendor.status(); 2]);
}

#[test]
fn other_shards_are_told_of_binds_that_leave_and_of_windows() {
    let mut relay = relay(&["west"]);
    assert!(bind(&mut relay, "west", WEST, 10));
    assert_eq!(told(&mut relay), Some((1, 10)));
    relay.vendor_window(NOW, WEST, 25);
    assert_eq!(told(&mut relay), Some((1, 25)));
    relay.vendor_leaving(NOW, WEST);
    assert_eq!(told(&mut relay), Some((0, 0)));
}

/// Binds and windows as last told to another shard.
fn told(relay: &mut Relay) -> Option<(u32, u32)> {
    let words = std::iter::from_fn(|| relay.poll_shard());
    let states = words.filter_map(|(_, word)| match word {
        ShardMessage::VendorState { links, window, .. } => Some((links, window)),
        _ => None,
    });
    states.last()
}

#[test]
fn a_smaller_window_lets_what_is_over_it_finish() {
    let mut relay = relay(&["west"]);
    assert!(bind(&mut relay, "west", WEST, 3));
    submit(&mut relay, 4);
    let (sent, _) = outputs(&mut relay);
    assert_eq!(sent.len(), 3);
    relay.vendor_window(NOW, WEST, 1);
    for (_, message) in &sent[..2] {
        relay.handle_answer(NOW, WEST, *message, CommandStatus::ESME_RINVDSTADR, b"");
    }
    assert_eq!(outputs(&mut relay).0.len(), 0, "one is out, and one may be");
    relay.handle_answer(NOW, WEST, sent[2].1, CommandStatus::ESME_RINVDSTADR, b"");
    assert_eq!(outputs(&mut relay).0.len(), 1);
}

#[test]
fn a_session_that_leaves_submits_and_receives_nothing_more() {
    let mut relay = relay(&["west"]);
    assert!(bind(&mut relay, "west", WEST, 10));
    submit(&mut relay, 1);
    let (sent, _) = outputs(&mut relay);
    while relay.poll_shard().is_some() {}
    relay.customer_leaving(NOW, CUSTOMER);
    let words: Vec<_> = std::iter::from_fn(|| relay.poll_shard()).collect();
    assert!(words.iter().any(|(_, word)| matches!(word, ShardMessage::AccountState { receivers: 0, .. })));
    submit(&mut relay, 1);
    assert_eq!(outputs(&mut relay).1, [relay::Refusal::MayNotSubmit.status()]);
    relay.handle_answer(NOW, WEST, sent[0].1, CommandStatus::ESME_RINVDSTADR, b"");
    assert_eq!(outputs(&mut relay).1, [CommandStatus::ESME_RINVDSTADR], "what was open is answered");
}

/// What a snapshot says of an account is taken over when the account is next looked at, whichever way that is.
#[test]
fn rights_of_an_account_follow_the_snapshot() {
    let mut relay = relay(&["west"]);
    assert!(bind(&mut relay, "west", WEST, 10));
    submit(&mut relay, 2);
    let (sent, _) = outputs(&mut relay);
    assert_eq!(sent.len(), 2);
    let status = CommandStatus(0x0444);
    relay.apply_snapshot(NOW, snapshot(&["west"], |account| account.unknown_status = status));
    relay.handle_expired(NOW, sent[0].1);
    assert_eq!(outputs(&mut relay).1, [status]);
    relay.apply_snapshot(NOW, snapshot(&["west"], |account| (account.rate, account.burst) = (1, 1)));
    submit(&mut relay, 3);
    let (sent, answered) = outputs(&mut relay);
    assert_eq!((sent.len(), answered), (1, vec![CommandStatus::ESME_RTHROTTLED; 2]));
    let nobody = SnapshotInput { vendors: vec![Vendor::new("west")], ..SnapshotInput::default() };
    relay.apply_snapshot(NOW, Arc::new(Snapshot::compile(nobody).expect("no mistake")));
    submit(&mut relay, 1);
    assert_eq!(outputs(&mut relay).1, [relay::Refusal::MayNotSubmit.status()]);
}
