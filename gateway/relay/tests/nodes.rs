//! Messages between nodes: who sends on whose bind, what comes back, and that no message goes round.

use gateway_relay as relay;
use relay::{
    Account, AccountId, Arrival, Correlate, Limits, LinkKey, MessageKey, NodeAnswer, Output, Relay,
    RelayOptions, Route, ShardIndex, ShardMessage, Snapshot, SnapshotInput, StoreOp, SubmitOutcome, Vendor,
    VendorId, VendorMessageId, WeightedVendor,
};
use smpp::field::{Address, CommandId, CommandStatus, RegisteredDelivery};
use smpp::pdu::{BindKind, Pdu, SubmitSm};
use smpp::time::Instant;
use smpp::wire::Frame;
use std::sync::Arc;
use std::time::Duration;

const CUSTOMER: LinkKey = LinkKey(1);
const BIND: LinkKey = LinkKey(2);
/// A link of ours to another node.
const NODE: LinkKey = LinkKey(3);
const OTHER_NODE: LinkKey = LinkKey(4);
/// Another node's session with us.
const SESSION: LinkKey = LinkKey(5);
const SPARE_BIND: LinkKey = LinkKey(6);
const START: Instant = Instant::from_nanos(1_000_000_000);

fn vendor(name: &str) -> VendorId {
    VendorId::of_name(name.as_bytes())
}

/// A relay with a customer whose messages go to `first`, else to `second`.
fn relay() -> Relay {
    relay_with(relay::Rewrite::default())
}

/// The same, with other addresses on their way to both.
fn relay_with(rewrite: relay::Rewrite) -> Relay {
    let route = |(priority, name): (usize, &str)| Route {
        prefix: "".into(),
        account: None,
        priority: priority as u32,
        unknown_outcome: None,
        conditions: relay::Conditions::default(),
        cheapest: false,
        rewrite: rewrite.clone(),
        vendors: vec![WeightedVendor { vendor: vendor(name), weight: 1, price: None }],
    };
    let input = SnapshotInput {
        accounts: vec![Account { rate: 5, burst: 5, ..Account::new("customer") }],
        vendors: vec![Vendor::new("first"), Vendor::new("second")],
        routes: ["first", "second"].into_iter().enumerate().map(route).collect(),
        limits: Limits { queue_wait_max: Duration::from_secs(2), ..Limits::default() },
        correlate: Correlate::Relaxed,
        ..SnapshotInput::default()
    };
    let options =
        RelayOptions { node: 1, shard: ShardIndex(0), shards: 2, started_at: Duration::ZERO, seed: 1 };
    let mut relay = Relay::new(options, Arc::new(Snapshot::compile(input).expect("no mistake")));
    let account = AccountId::of_name(b"customer");
    assert!(relay.customer_bound(START, account, CUSTOMER, BindKind::Transceiver, 100));
    clear(&mut relay);
    relay
}

fn clear(relay: &mut Relay) {
    while relay.poll().is_some() {}
    while relay.poll_store().is_some() {}
    while relay.poll_shard().is_some() {}
    while relay.poll_node().is_some() {}
}

fn after(milliseconds: u64) -> Instant {
    START + Duration::from_millis(milliseconds)
}

/// A submit on this link, a customer's or another node's.
fn submit(relay: &mut Relay, now: Instant, link: LinkKey, sequence: u32) {
    let submit = SubmitSm {
        destination: Address { digits: b"12025550123", ..Address::default() },
        registered_delivery: RegisteredDelivery(1),
        short_message: b"hello",
        ..SubmitSm::default()
    };
    let mut bytes = bytes::BytesMut::new();
    Pdu::SubmitSm(submit).encode(CommandStatus::ESME_ROK, sequence, &mut bytes);
    let arrival = Arrival { now, unix_seconds: 2_000_000_000, link, over_window: false };
    let frame = Frame::whole(&bytes).expect("one PDU");
    if link == CUSTOMER {
        relay.handle_submit(arrival, frame, &submit);
    } else {
        relay.handle_node_submit(arrival, frame, &submit);
    }
}

fn sends(relay: &mut Relay) -> Vec<(LinkKey, MessageKey)> {
    let outputs = std::iter::from_fn(|| relay.poll());
    let send = |output| match output {
        Output::SendSubmit { link, message } => Some((link, message)),
        _ => None,
    };
    outputs.filter_map(send).collect()
}

fn links(relay: &mut Relay) -> Vec<LinkKey> {
    sends(relay).into_iter().map(|(link, _)| link).collect()
}

/// What the customer was told.
fn statuses(relay: &mut Relay) -> Vec<CommandStatus> {
    let outputs = std::iter::from_fn(|| relay.poll());
    let status = |output| match output {
        Output::AnswerSubmit { status, .. } => Some(status),
        _ => None,
    };
    outputs.filter_map(status).collect()
}

fn outcomes(relay: &mut Relay) -> Vec<(u32, SubmitOutcome)> {
    let answers = std::iter::from_fn(|| relay.poll_node());
    let outcome = |NodeAnswer { link, sequence, command, outcome }: NodeAnswer| {
        assert_eq!((link, command), (SESSION, CommandId::SUBMIT_SM_RESP));
        (sequence, outcome)
    };
    answers.map(outcome).collect()
}

fn answered(status: CommandStatus, id: &[u8]) -> SubmitOutcome {
    SubmitOutcome::Answered { status, vendor_message_id: VendorMessageId::new(id) }
}

#[test]
fn a_message_goes_through_another_node_and_its_correlation_stays_here() {
    let mut relay = relay();
    assert!(relay.node_bound(START, vendor("first"), NODE, 10));
    submit(&mut relay, START, CUSTOMER, 1);
    let sent = sends(&mut relay);
    assert_eq!(sent[0].0, NODE);
    relay.handle_answer(START, NODE, sent[0].1, CommandStatus::ESME_ROK, b"id-of-the-vendor");
    assert_eq!(statuses(&mut relay), [CommandStatus::ESME_ROK]);
    let Some(StoreOp::Remember { key, .. }) = relay.poll_store() else { panic!("it is remembered") };
    assert_eq!((key.vendor, key.id.as_bytes()), (vendor("first"), &b"id-of-the-vendor"[..]));
    let traffic = relay.counters().traffic;
    assert_eq!((traffic.node_forwards, traffic.vendor_sends, traffic.messages_open), (1, 1, 0));
    let (_, vendor) = relay.vendor_counters().next().expect("the first");
    assert_eq!(vendor.links, 0, "no bind of ours");
}

#[test]
fn a_bind_here_comes_first_then_one_on_another_shard_then_a_node() {
    let mut relay = relay();
    let first = vendor("first");
    let check = |relay: &mut Relay, expected: &[LinkKey], elsewhere: usize| {
        submit(relay, START, CUSTOMER, 1);
        assert_eq!(links(relay), expected);
        let to_shard = std::iter::from_fn(|| relay.poll_shard());
        assert_eq!(to_shard.filter(|word| matches!(word.1, ShardMessage::Submit { .. })).count(), elsewhere);
    };
    let other_shard = |relay: &mut Relay, message| relay.handle_shard_message(START, ShardIndex(1), message);
    other_shard(&mut relay, ShardMessage::NodeState { vendor: first, links: 1, window: 10 });
    check(&mut relay, &[], 1);
    assert!(relay.node_bound(START, first, NODE, 10));
    let said = std::iter::from_fn(|| relay.poll_shard()).last();
    assert_eq!(said, Some((ShardIndex(1), ShardMessage::NodeState { vendor: first, links: 1, window: 10 })));
    check(&mut relay, &[NODE], 0);
    other_shard(&mut relay, ShardMessage::VendorState { vendor: first, links: 1, window: 10 });
    check(&mut relay, &[], 1);
    assert!(relay.vendor_bound(START, first, BIND, BindKind::Transceiver, 10));
    check(&mut relay, &[BIND], 0);
    relay.vendor_closed(START, BIND, &[], &[]);
    other_shard(&mut relay, ShardMessage::VendorState { vendor: first, links: 0, window: 0 });
    clear(&mut relay);
    let mut again = relay;
    assert!(again.node_bound(START, first, OTHER_NODE, 10));
    again.handle_tick(after(1_000)); // the customer's rate
    submit(&mut again, after(1_000), CUSTOMER, 2);
    submit(&mut again, after(1_000), CUSTOMER, 3);
    let mut used = links(&mut again);
    used.sort_unstable();
    assert_eq!(used, [NODE, OTHER_NODE], "the nodes in turn");
}

#[test]
fn what_a_node_sends_back_goes_to_another_vendor_and_the_node_rests() {
    let mut relay = relay();
    assert!(relay.node_bound(START, vendor("first"), NODE, 10));
    assert!(relay.vendor_bound(START, vendor("second"), BIND, BindKind::Transceiver, 10));
    submit(&mut relay, START, CUSTOMER, 1);
    let sent = sends(&mut relay);
    relay.handle_node_unsent(START, sent[0].1);
    relay.handle_node_unsent(START, MessageKey::from_u64(7)); // nobody's
    assert_eq!(links(&mut relay), [BIND]);
    relay.handle_tick(after(100));
    submit(&mut relay, after(100), CUSTOMER, 2);
    assert_eq!(links(&mut relay), [BIND], "it rests");
    relay.handle_tick(after(300));
    submit(&mut relay, after(300), CUSTOMER, 3);
    assert_eq!(links(&mut relay), [NODE]);
    let traffic = relay.counters().traffic;
    assert_eq!((traffic.node_forwards, traffic.node_unsent, traffic.stale_events), (2, 1, 1));
}

#[test]
fn a_message_is_not_sent_to_and_fro_for_ever() {
    let mut relay = relay();
    assert!(relay.node_bound(START, vendor("first"), NODE, 10));
    submit(&mut relay, START, CUSTOMER, 1);
    let mut rounds = 0;
    for turn in 1..100 {
        let now = after(300 * turn);
        for (_, message) in sends(&mut relay) {
            rounds += 1;
            relay.handle_node_unsent(now, message);
        }
        relay.handle_tick(now);
        if relay.is_empty() {
            break;
        }
    }
    assert!(relay.is_empty() && (2..=6).contains(&rounds), "{rounds}");
}

#[test]
fn another_node_is_served_on_a_bind_of_ours_and_told_the_vendors_word() {
    let mut relay = relay();
    assert!(relay.vendor_bound(START, vendor("first"), BIND, BindKind::Transceiver, 2));
    assert!(relay.node_session_bound(vendor("first"), SESSION));
    assert!(!relay.node_session_bound(vendor("first"), SESSION), "once");
    assert!(!relay.node_session_bound(vendor("third"), LinkKey(99)), "nobody's vendor");
    for sequence in 1..=3 {
        submit(&mut relay, START, SESSION, sequence);
    }
    let sent = sends(&mut relay);
    assert_eq!(sent.iter().map(|(link, _)| *link).collect::<Vec<_>>(), [BIND, BIND], "the third waits");
    relay.handle_answer(START, BIND, sent[0].1, CommandStatus::ESME_ROK, b"abc");
    relay.handle_answer(START, BIND, sent[1].1, CommandStatus::ESME_RTHROTTLED, b"");
    assert_eq!(
        outcomes(&mut relay),
        [(1, answered(CommandStatus::ESME_ROK, b"abc")), (2, answered(CommandStatus::ESME_RTHROTTLED, b""))],
        "also a temporary error: the other node decides"
    );
    assert!(relay.poll_store().is_none(), "the correlation is the other node's");
    relay.handle_tick(after(1_100)); // the pause after throttling is over
    let third = sends(&mut relay);
    relay.handle_expired(after(1_200), third[0].1);
    assert_eq!(outcomes(&mut relay), [(3, SubmitOutcome::Unknown)]);
    assert!(relay.is_empty());
    assert_eq!(relay.counters().traffic.node_served, 3);
}

#[test]
fn no_message_of_another_node_goes_to_a_third() {
    let mut relay = relay();
    let first = vendor("first");
    assert!(relay.node_session_bound(first, SESSION));
    assert!(relay.node_bound(START, first, NODE, 10));
    submit(&mut relay, START, SESSION, 1);
    assert_eq!(outcomes(&mut relay), [(1, SubmitOutcome::Unsent)], "we have no bind");
    relay.handle_shard_message(
        START,
        ShardIndex(1),
        ShardMessage::VendorState { vendor: first, links: 1, window: 10 },
    );
    submit(&mut relay, START, SESSION, 2);
    assert_eq!(outcomes(&mut relay), [(2, SubmitOutcome::Unsent)], "nor does it cross shards");
    // It waits for our bind, which is lost: our own goes to the other node, theirs goes back.
    assert!(relay.vendor_bound(START, first, BIND, BindKind::Transceiver, 1));
    submit(&mut relay, START, SESSION, 3);
    submit(&mut relay, START, SESSION, 4);
    let sent = sends(&mut relay);
    assert_eq!(sent.len(), 1);
    relay.vendor_closed(START, BIND, &[], &[sent[0].1]);
    assert_eq!(links(&mut relay), []);
    let back = outcomes(&mut relay);
    assert_eq!(back, [(3, SubmitOutcome::Unsent), (4, SubmitOutcome::Unsent)]);
    assert!(relay.is_empty());
    submit(&mut relay, START, CUSTOMER, 1);
    clear(&mut relay);
}

#[test]
fn our_own_messages_go_through_another_node_when_our_bind_is_lost() {
    let mut relay = relay();
    let first = vendor("first");
    assert!(relay.node_bound(START, first, NODE, 10));
    assert!(relay.vendor_bound(START, first, BIND, BindKind::Transceiver, 1));
    for sequence in 1..=3 {
        submit(&mut relay, START, CUSTOMER, sequence);
    }
    let sent = sends(&mut relay);
    assert_eq!(sent.len(), 1, "the others wait");
    relay.vendor_closed(START, BIND, &[], &[sent[0].1]);
    assert_eq!(links(&mut relay), [NODE, NODE, NODE]);
    // One that is lost on the way to the other node is of unknown outcome like any other.
    relay.vendor_closed(START, NODE, &[sent[0].1], &[]);
    assert_eq!(relay.counters().traffic.vendor_unknown, 3, "also those that the list does not name");
}

#[test]
fn what_waits_for_a_node_that_is_gone_is_dropped() {
    let mut relay = relay();
    assert!(relay.vendor_bound(START, vendor("first"), BIND, BindKind::Transceiver, 1));
    assert!(relay.node_session_bound(vendor("first"), SESSION));
    submit(&mut relay, START, SESSION, 1);
    submit(&mut relay, START, SESSION, 2);
    let sent = sends(&mut relay);
    relay.node_closed(SESSION);
    relay.handle_answer(START, BIND, sent[0].1, CommandStatus::ESME_ROK, b"abc");
    assert_eq!(links(&mut relay), []);
    assert!(relay.is_empty());
    submit(&mut relay, START, SESSION, 3);
    assert_eq!(outcomes(&mut relay).last(), Some(&(3, SubmitOutcome::Unsent)), "no session, no service");
}

/// The node that routes a message changes its addresses; the one that sends it changes nothing.
#[test]
fn addresses_are_rewritten_once() {
    let mut relay = relay_with(relay::Rewrite { destination_add: "00".into(), ..relay::Rewrite::default() });
    assert!(relay.vendor_bound(START, vendor("first"), BIND, BindKind::Transceiver, 10));
    assert!(relay.node_session_bound(vendor("first"), SESSION));
    let mut destination = |link: LinkKey| {
        submit(&mut relay, START, link, 1);
        let sent = sends(&mut relay);
        let bytes = relay.bytes(sent[0].1);
        let frame = Frame::whole(bytes).expect("one PDU");
        let pdu = Pdu::decode(frame, &smpp::dialect::Dialect::tolerant()).expect("a submit");
        let Pdu::SubmitSm(submit) = pdu else { panic!("no submit") };
        String::from_utf8_lossy(submit.destination.digits).into_owned()
    };
    assert_eq!(destination(CUSTOMER), "0012025550123");
    assert_eq!(destination(SESSION), "12025550123");
}

#[test]
fn a_node_that_drains_serves_nobody() {
    let mut relay = relay();
    assert!(relay.vendor_bound(START, vendor("first"), SPARE_BIND, BindKind::Transceiver, 1));
    assert!(relay.node_session_bound(vendor("first"), SESSION));
    relay.drain(START);
    submit(&mut relay, START, SESSION, 1);
    assert_eq!(outcomes(&mut relay), [(1, SubmitOutcome::Unsent)]);
}
