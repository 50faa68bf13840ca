//! What reviews found, each as a test: order after a refusal of a link, ends of drains, loops without an end.

use gateway_relay as relay;
use relay::{
    Account, AccountId, Arrival, Correlate, Correlation, Counters, HandOver, Limits, LinkKey, MessageKey,
    Mode, Output, ParkedEntry, ParkedId, Refusal, Relay, RelayOptions, Route, ShardIndex, ShardMessage,
    Snapshot, SnapshotInput, SpoolAnswer, SpoolOp, SpoolRules, StoreAnswer, StoreOp, StoreOutage,
    SubmitOutcome, UnknownOutcome, Vendor, VendorId, WeightedVendor,
};
use smpp::field::{Address, CommandStatus, EsmClass, RegisteredDelivery};
use smpp::pdu::{BindKind, DeliverSm, Pdu, SubmitSm};
use smpp::text::message_id::GatewayId;
use smpp::time::Instant;
use smpp::wire::Frame;
use std::sync::Arc;
use std::time::Duration;

const CUSTOMER: LinkKey = LinkKey(1);
const BIND: LinkKey = LinkKey(2);
const OTHER_BIND: LinkKey = LinkKey(3);
const START: Instant = Instant::from_nanos(1_000_000_000);

/// A relay with a customer, and all messages routed to these vendors in this order; nobody is bound but the customer.
fn relay(vendors: &[&str], correlate: Correlate, limits: Limits) -> Relay {
    let route = |(priority, name): (usize, &&str)| Route {
        prefix: "".into(),
        account: None,
        priority: priority as u32,
        unknown_outcome: None,
        vendors: vec![WeightedVendor { vendor: VendorId::of_name(name.as_bytes()), weight: 1, price: None }],
        ..Route::default()
    };
    let input = SnapshotInput {
        accounts: vec![Account::new("customer")],
        vendors: vendors.iter().map(|name| Vendor::new(name)).collect(),
        routes: vendors.iter().enumerate().map(route).collect(),
        limits,
        correlate,
        ..SnapshotInput::default()
    };
    let snapshot = Arc::new(Snapshot::compile(input).expect("no mistake"));
    let options =
        RelayOptions { node: 1, shard: ShardIndex(0), shards: 3, started_at: Duration::ZERO, seed: 1 };
    let mut relay = Relay::new(options, snapshot);
    assert!(relay.customer_bound(START, account(), CUSTOMER, BindKind::Transceiver, 100));
    clear(&mut relay);
    relay
}

fn account() -> AccountId {
    AccountId::of_name(b"customer")
}

fn bind(relay: &mut Relay, now: Instant, vendor: &str, link: LinkKey, window: u32) {
    let vendor = VendorId::of_name(vendor.as_bytes());
    assert!(relay.vendor_bound(now, vendor, link, BindKind::Transceiver, window));
}

fn clear(relay: &mut Relay) {
    while relay.poll().is_some() {}
    while relay.poll_store().is_some() {}
    while relay.poll_shard().is_some() {}
}

fn arrival(now: Instant, link: LinkKey) -> Arrival {
    Arrival { now, unix_seconds: 2_000_000_000, link, over_window: false }
}

fn submit(relay: &mut Relay, now: Instant, sequence: u32) {
    let submit = SubmitSm {
        destination: Address { digits: b"12025550123", ..Address::default() },
        registered_delivery: RegisteredDelivery(1),
        short_message: b"hello",
        ..SubmitSm::default()
    };
    let mut bytes = bytes::BytesMut::new();
    Pdu::SubmitSm(submit).encode(CommandStatus::ESME_ROK, sequence, &mut bytes);
    relay.handle_submit(arrival(now, CUSTOMER), Frame::whole(&bytes).expect("one PDU"), &submit);
}

fn outputs(relay: &mut Relay) -> Vec<Output> {
    std::iter::from_fn(|| relay.poll()).collect()
}

/// Messages that links shall send now, by the sequence number of the customer.
fn sends(relay: &mut Relay) -> Vec<(LinkKey, MessageKey, u32)> {
    let outputs = outputs(relay);
    let send = |output: &Output| match output {
        Output::SendSubmit { link, message } => Some((*link, *message, sequence_of(relay, *message))),
        _ => None,
    };
    outputs.iter().filter_map(send).collect()
}

fn sequence_of(relay: &Relay, message: MessageKey) -> u32 {
    Frame::whole(relay.bytes(message)).expect("one PDU").sequence_number()
}

fn after(milliseconds: u64) -> Instant {
    START + Duration::from_millis(milliseconds)
}

#[test]
fn a_refusal_of_the_link_keeps_the_order_of_what_waits() {
    let mut relay = relay(&["vendor"], Correlate::None, Limits::default());
    bind(&mut relay, START, "vendor", BIND, 1);
    for sequence in 1..=8 {
        submit(&mut relay, START, sequence);
    }
    let first = sends(&mut relay);
    assert_eq!(first.iter().map(|send| send.2).collect::<Vec<_>>(), [1]);
    // Another bind takes all the rest, but its link refuses from the second on.
    bind(&mut relay, START, "vendor", OTHER_BIND, 10);
    let Some(Output::SendSubmit { message, .. }) = relay.poll() else { panic!("a send") };
    assert_eq!(sequence_of(&relay, message), 2);
    let Some(Output::SendSubmit { message, .. }) = relay.poll() else { panic!("a send") };
    assert_eq!(sequence_of(&relay, message), 3);
    relay.send_failed(START, message);
    assert!(sends(&mut relay).is_empty());
    let Counters { traffic, .. } = relay.counters();
    assert_eq!((traffic.vendor_sends, traffic.queued, traffic.queue_length), (2, 7, 6));
    let (_, vendor) = relay.vendor_counters().next().expect("one vendor");
    assert_eq!((vendor.sends, vendor.in_flight), (2, 2));
    relay.handle_tick(after(5));
    let again = sends(&mut relay);
    assert_eq!(again.iter().map(|send| send.2).collect::<Vec<_>>(), [3, 4, 5, 6, 7, 8]);
}

/// A vendor's MO with a text of this length, and the status that it is answered with, if it is at once.
fn deliver(relay: &mut Relay, now: Instant, text: &[u8]) -> Option<CommandStatus> {
    let pdu = DeliverSm {
        destination: Address { digits: b"12025550123", ..Address::default() },
        short_message: text,
        ..DeliverSm::default()
    };
    let mut bytes = bytes::BytesMut::new();
    Pdu::DeliverSm(pdu).encode(CommandStatus::ESME_ROK, 7, &mut bytes);
    relay.handle_deliver(arrival(now, BIND), Frame::whole(&bytes).expect("one PDU"), &pdu);
    outputs(relay).into_iter().find_map(|output| match output {
        Output::AnswerDeliver { status, .. } => Some(status),
        _ => None,
    })
}

#[test]
fn a_drain_ends_while_vendors_deliver() {
    let mut relay = relay(&["vendor"], Correlate::Strict, Limits::default());
    bind(&mut relay, START, "vendor", BIND, 1);
    submit(&mut relay, START, 1);
    let open = sends(&mut relay)[0].1;
    relay.drain(START);
    assert_eq!(deliver(&mut relay, START, b"late"), Some(CommandStatus::ESME_RX_T_APPN));
    assert_eq!(relay.counters().traffic.deliveries_open, 0);
    relay.handle_answer(START, BIND, open, CommandStatus::ESME_RSUBMITFAIL, b"");
    assert_eq!(outputs(&mut relay).last(), Some(&Output::Drained));
}

#[test]
fn what_is_too_long_is_refused_for_good() {
    let limits = Limits { pdu_size_max: 128, ..Limits::default() };
    let mut relay = relay(&["vendor"], Correlate::Strict, limits);
    bind(&mut relay, START, "vendor", BIND, 1);
    assert_eq!(deliver(&mut relay, START, &[b'x'; 128]), Some(CommandStatus::ESME_RX_P_APPN));
    assert_eq!(deliver(&mut relay, START, b"short"), None);
    assert_eq!(relay.counters().traffic.deliveries_refused, 1);
}

#[test]
fn a_late_store_is_counted_once() {
    let mut relay = relay(&["vendor"], Correlate::Strict, Limits::default());
    bind(&mut relay, START, "vendor", BIND, 1);
    submit(&mut relay, START, 1);
    let message = sends(&mut relay)[0].1;
    relay.handle_answer(START, BIND, message, CommandStatus::ESME_ROK, b"77");
    assert!(matches!(relay.poll_store(), Some(StoreOp::Remember { .. })));
    relay.handle_tick(START + Limits::default().store_wait_max);
    let late = StoreAnswer::Remembered { message, outcome: Err(StoreOutage::Away) };
    relay.handle_store_answer(after(10_000), late);
    let Counters { traffic, .. } = relay.counters();
    assert_eq!((traffic.correlations_lost, traffic.submits_accepted), (1, 1));
}

#[test]
fn an_empty_page_with_more_behind_is_not_asked_for_at_once() {
    let mut relay = relay(&["vendor"], Correlate::Strict, Limits::default());
    let link = LinkKey(9);
    assert!(relay.customer_bound(START, account(), link, BindKind::Receiver, 10));
    let answer = |relay: &mut Relay| {
        let nothing = StoreAnswer::Unparked { account: account(), entries: Vec::new(), more: true };
        relay.handle_store_answer(START, nothing);
    };
    answer(&mut relay);
    clear(&mut relay);
    answer(&mut relay);
    assert_eq!(relay.poll_store(), None);
    relay.handle_tick(after(1_000));
    assert!(matches!(relay.poll_store(), Some(StoreOp::Unpark { .. })));
}

#[test]
fn what_another_node_parked_is_asked_for_at_once_where_the_account_has_sessions() {
    let mut relay = relay(&["vendor"], Correlate::Strict, Limits::default());
    let parked_for = || StoreAnswer::ParkedFor { account: account() };
    let stranger = AccountId::of_name(b"nobody");
    clear(&mut relay);
    relay.handle_store_answer(START, StoreAnswer::ParkedFor { account: stranger });
    assert_eq!(relay.poll_store(), None, "nobody's");
    let nothing = |more| StoreAnswer::Unparked { account: account(), entries: Vec::new(), more };
    for word in [parked_for(), StoreAnswer::AskAgain] {
        relay.handle_store_answer(START, nothing(false));
        clear(&mut relay);
        relay.handle_store_answer(START, word);
        assert!(matches!(relay.poll_store(), Some(StoreOp::Unpark { .. })));
    }
    relay.handle_store_answer(START, nothing(true));
    clear(&mut relay);
    relay.handle_store_answer(START, parked_for());
    assert_eq!(relay.poll_store(), None, "its sessions have just failed");
    relay.handle_tick(after(1_000));
    assert!(matches!(relay.poll_store(), Some(StoreOp::Unpark { .. })));
}

/// A store that cannot answer says nothing about what is parked.
#[test]
fn a_page_that_could_not_be_had_is_asked_for_again() {
    let mut relay = relay(&["vendor"], Correlate::Strict, Limits::default());
    assert!(relay.customer_bound(START, account(), LinkKey(9), BindKind::Receiver, 5));
    let asked: Vec<StoreOp> = std::iter::from_fn(|| relay.poll_store()).collect();
    relay.handle_tick(after(5_000)); // the page of the first session is not waited for any more
    let again: Vec<StoreOp> = std::iter::from_fn(|| relay.poll_store()).collect();
    let page = asked.into_iter().chain(again).find(|op| matches!(op, StoreOp::Unpark { .. }));
    let page = page.expect("a customer that binds is looked after");
    assert!(!page.must_be_told());
    relay.handle_store_answer(after(5_000), page.away().expect("an answer"));
    relay.handle_tick(after(5_500));
    assert_eq!(relay.poll_store(), None, "not at once");
    relay.handle_tick(after(6_100));
    assert!(matches!(relay.poll_store(), Some(StoreOp::Unpark { .. })));
}

#[test]
fn without_room_for_correlations_only_submits_without_receipt_enter() {
    let mut relay = relay(&["vendor"], Correlate::Strict, Limits::default());
    bind(&mut relay, START, "vendor", BIND, 5);
    relay.handle_store_answer(START, StoreAnswer::Room { receipts: false });
    submit(&mut relay, START, 1);
    assert!(sends(&mut relay).is_empty());
    assert_eq!(relay.counters().refused[Refusal::ReceiptsFull.index()], 1);
    relay.handle_store_answer(START, StoreAnswer::Room { receipts: true });
    submit(&mut relay, START, 2);
    assert_eq!(sends(&mut relay).len(), 1);
}

/// Another shard has an older configuration, with a vendor that this one does not know any more.
#[test]
fn a_submit_for_a_vendor_that_is_gone_goes_back_and_leaves_nothing() {
    let mut relay = relay(&["vendor"], Correlate::Strict, Limits::default());
    let (vendor, pdu) = (VendorId::of_name(b"gone"), vec![0; 16]);
    let hand_over = HandOver { message: MessageKey::from_u64(7), number: 1 };
    let submit = ShardMessage::Submit { hand_over, vendor, addresses: 0, pdu: pdu.clone() };
    relay.handle_shard_message(START, ShardIndex(1), submit);
    let done = ShardMessage::SubmitDone { hand_over, outcome: SubmitOutcome::Unsent, pdu };
    assert_eq!(relay.poll_shard(), Some((ShardIndex(1), done)));
    assert_eq!(relay.counters().traffic.messages_open, 0);
}

fn other_shard_has(relay: &mut Relay, shard: u8, vendor: &str, window: u32) {
    let vendor = VendorId::of_name(vendor.as_bytes());
    let message = ShardMessage::VendorState { vendor, links: 1, window };
    relay.handle_shard_message(START, ShardIndex(shard), message);
}

/// Submits to other shards come back: from a full mailbox, or unsent. How many there were.
fn give_back(relay: &mut Relay, delivered: bool) -> u32 {
    let mut count = 0;
    while let Some((to, word)) = relay.poll_shard() {
        match word {
            ShardMessage::Submit { hand_over, pdu, .. } if delivered => {
                let outcome = SubmitOutcome::Unsent;
                relay.handle_shard_message(START, to, ShardMessage::SubmitDone { hand_over, outcome, pdu });
            }
            submit @ ShardMessage::Submit { .. } => relay.handle_undelivered(START, to, submit),
            _ => continue,
        }
        count += 1;
        assert!(count < 100, "it goes round");
    }
    count
}

#[test]
fn a_shard_that_takes_nothing_does_not_rule_out_the_bind_here() {
    for delivered in [false, true] {
        let mut relay = relay(&["vendor"], Correlate::None, Limits::default());
        bind(&mut relay, START, "vendor", BIND, 1);
        for shard in [1, 2] {
            other_shard_has(&mut relay, shard, "vendor", 10);
        }
        clear(&mut relay);
        for sequence in 1..=4 {
            submit(&mut relay, START, sequence);
        }
        assert_eq!(sends(&mut relay).len(), 1);
        assert!(give_back(&mut relay, delivered) >= 3);
        assert_eq!(outputs(&mut relay), []);
        assert_eq!(relay.counters().traffic.queue_length, 3);
        // The next tick forgets it.
        submit(&mut relay, START, 5);
        assert_eq!(give_back(&mut relay, delivered), 0);
        relay.handle_tick(after(5));
        submit(&mut relay, after(5), 6);
        assert!(give_back(&mut relay, delivered) > 0);
    }
}

#[test]
fn many_vendors_behind_full_mailboxes_end_in_a_refusal() {
    let vendors = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    for attempts_max in [1, 3, 8] {
        let limits = Limits { attempts_max, ..Limits::default() };
        let mut relay = relay(&vendors, Correlate::None, limits);
        for vendor in vendors {
            other_shard_has(&mut relay, 1, vendor, 10);
        }
        submit(&mut relay, START, 1);
        assert_eq!(give_back(&mut relay, false), u32::from(attempts_max));
        let [Output::AnswerSubmit { status, .. }] = outputs(&mut relay)[..] else { panic!("one answer") };
        assert_eq!(status, CommandStatus::ESME_RMSGQFUL);
    }
}

/// The statuses of the answers to the customer.
fn answers(relay: &mut Relay) -> Vec<(u32, CommandStatus)> {
    let answer = |output| match output {
        Output::AnswerSubmit { sequence, status, .. } => Some((sequence, status)),
        _ => None,
    };
    outputs(relay).into_iter().filter_map(answer).collect()
}

#[test]
fn a_lost_link_leaves_no_message_behind() {
    let mut relay = relay(&["vendor"], Correlate::None, Limits::default());
    bind(&mut relay, START, "vendor", BIND, 4);
    for sequence in 1..=3 {
        submit(&mut relay, START, sequence);
    }
    let sent: Vec<MessageKey> = sends(&mut relay).iter().map(|send| send.1).collect();
    submit(&mut relay, START, 4); // not yet carried out: provably unsent
    relay.vendor_closed(START, BIND, &sent[..1], &sent[1..2]);
    let (unknown, no_vendor) = (CommandStatus::ESME_RUNKNOWNERR, CommandStatus::ESME_RSYSERR);
    let mut answers = answers(&mut relay);
    answers.sort_unstable_by_key(|answer| answer.0);
    assert_eq!(answers, [(1, unknown), (2, no_vendor), (3, unknown), (4, no_vendor)]);
    assert!(relay.is_empty());
}

#[test]
fn a_message_that_comes_back_waits_anew_but_not_for_ever() {
    let limits = Limits { attempts_max: 2, ..Limits::default() };
    let wait_ms = limits.queue_wait_max.as_millis() as u64;
    let mut relay = relay(&["vendor"], Correlate::None, limits);
    bind(&mut relay, START, "vendor", BIND, 1);
    for sequence in 1..=3 {
        submit(&mut relay, START, sequence);
    }
    let first = sends(&mut relay)[0].1;
    // The second goes out near the end of its wait, on another bind, which is lost: twice, then a third time.
    let mut now_ms = wait_ms - 100;
    bind(&mut relay, after(now_ms), "vendor", LinkKey(20), 1);
    let message = sends(&mut relay)[0].1;
    relay.vendor_closed(after(now_ms), LinkKey(20), &[], &[message]);
    assert_eq!(relay.counters().traffic.queue_length, 2);
    relay.handle_tick(after(wait_ms)); // the third, behind it, has waited long enough
    assert_eq!(answers(&mut relay), [(3, CommandStatus::ESME_RMSGQFUL)]);
    assert_eq!(relay.counters().traffic.queue_length, 1);
    for link in [21, 22] {
        now_ms += wait_ms - 100;
        bind(&mut relay, after(now_ms), "vendor", LinkKey(link), 1);
        assert_eq!(sends(&mut relay)[0].1, message);
        relay.vendor_closed(after(now_ms), LinkKey(link), &[], &[message]);
        relay.handle_tick(after(now_ms));
    }
    assert_eq!(relay.counters().traffic.queue_length, 1);
    relay.handle_tick(after(now_ms + 100));
    assert_eq!(answers(&mut relay), [(2, CommandStatus::ESME_RMSGQFUL)]);
    relay.handle_answer(after(now_ms), BIND, first, CommandStatus::ESME_ROK, b"1");
    assert!(relay.is_empty());
}

/// Found by the simulation: a page that came back because its session had closed was asked for by nobody again,
/// although another shard had a session all the time.
#[test]
fn what_a_closed_session_gives_back_is_offered_to_another_shard() {
    let other = ShardIndex(1);
    for closed_first in [true, false] {
        let mut relay = relay(&["vendor"], Correlate::Strict, Limits::default());
        let has_session = ShardMessage::AccountState { account: account(), receivers: 1 };
        relay.handle_shard_message(START, other, has_session);
        let page = StoreAnswer::Unparked {
            account: account(),
            entries: vec![ParkedEntry { parked: ParkedId(1), pdu: parked_pdu() }],
            more: false,
        };
        if closed_first {
            relay.customer_closed(START, CUSTOMER, &[]);
            relay.handle_store_answer(START, page);
        } else {
            relay.handle_store_answer(START, page);
            let Some(Output::SendDeliver { delivery, .. }) = relay.poll() else { panic!("a delivery") };
            relay.customer_closed(START, CUSTOMER, &[delivery]);
        }
        assert_eq!(relay.poll_store(), Some(StoreOp::Return { account: account(), parked: ParkedId(1) }));
        // Not at once: the other shard's question must find it given back.
        relay.handle_tick(after(1_000));
        let words: Vec<_> = std::iter::from_fn(|| relay.poll_shard()).collect();
        assert!(words.contains(&(other, ShardMessage::ParkedFor { account: account() })), "{words:?}");
    }
}

fn parked_pdu() -> Vec<u8> {
    let mut bytes = bytes::BytesMut::new();
    Pdu::DeliverSm(DeliverSm::default()).encode(CommandStatus::ESME_ROK, 1, &mut bytes);
    bytes.to_vec()
}

/// A receipt that its customer cannot take: asked to be parked.
fn park_receipt(relay: &mut Relay) -> StoreOp {
    find_receipt(relay);
    let Some(Output::SendDeliver { delivery, .. }) = relay.poll() else { panic!("a delivery") };
    relay.delivery_failed(START, delivery);
    let park = relay.poll_store().expect("a word to the store");
    assert!(matches!(park, StoreOp::Park { .. }));
    park
}

/// A receipt whose owner the store names.
fn find_receipt(relay: &mut Relay) {
    let pdu = DeliverSm {
        esm_class: EsmClass::RECEIPT,
        short_message: b"id:1 stat:DELIVRD",
        ..DeliverSm::default()
    };
    let mut bytes = bytes::BytesMut::new();
    Pdu::DeliverSm(pdu).encode(CommandStatus::ESME_ROK, 7, &mut bytes);
    relay.handle_deliver(arrival(START, BIND), Frame::whole(&bytes).expect("one PDU"), &pdu);
    let Some(StoreOp::Find { delivery, .. }) = relay.poll_store() else { panic!("a look into the store") };
    let gateway_id = GatewayId(7);
    let found = Correlation::new(account(), gateway_id, 1);
    relay.handle_store_answer(START, StoreAnswer::Found { delivery, outcome: Ok(Some(found).into()) });
}

/// Without it the vendor waits for its answer for ever, and the slot is gone.
#[test]
fn a_delivery_that_its_closed_link_does_not_name_is_found() {
    for is_carried_out in [true, false] {
        let mut relay = relay(&["vendor"], Correlate::Strict, Limits::default());
        bind(&mut relay, START, "vendor", BIND, 1);
        clear(&mut relay);
        find_receipt(&mut relay);
        if is_carried_out {
            assert!(matches!(relay.poll(), Some(Output::SendDeliver { .. })));
        }
        relay.customer_closed(START, CUSTOMER, &[]);
        let park = relay.poll_store();
        assert!(matches!(park, Some(StoreOp::Park { .. })), "{park:?}");
        assert_eq!(relay.poll(), None, "what was not carried out is not for a link that is closed");
    }
}

/// Found by the simulation: what a store parked after it had been given up stayed there until the next bind.
#[test]
fn what_a_late_store_parks_is_asked_for() {
    let mut relay = relay(&["vendor"], Correlate::Strict, Limits::default());
    bind(&mut relay, START, "vendor", BIND, 1);
    clear(&mut relay);
    let nothing = StoreAnswer::Unparked { account: account(), entries: Vec::new(), more: false };
    relay.handle_store_answer(START, nothing);
    park_receipt(&mut relay);
    // The store takes too long; what it parks then is found by a page that is asked for behind it.
    let given_up = Limits::default().store_wait_max.as_millis() as u64;
    relay.handle_tick(after(given_up));
    relay.handle_tick(after(given_up + 1_000));
    let asked = relay.poll_store();
    assert!(matches!(asked, Some(StoreOp::Unpark { .. })), "{asked:?}");
}

/// Found by the simulation: the other shard asked before the late store had parked it, and heard no more of it.
#[test]
fn what_a_late_store_parked_is_told_to_the_shard_with_sessions() {
    for (outcome, is_told) in [(Ok(()), true), (Err(StoreOutage::Away), false)] {
        let mut relay = relay(&["vendor"], Correlate::Strict, Limits::default());
        bind(&mut relay, START, "vendor", BIND, 1);
        clear(&mut relay);
        let StoreOp::Park { delivery, account: owner, pdu, .. } = park_receipt(&mut relay) else {
            panic!("parks")
        };
        relay.customer_closed(START, CUSTOMER, &[]);
        let has_session = ShardMessage::AccountState { account: account(), receivers: 1 };
        relay.handle_shard_message(START, ShardIndex(1), has_session);
        let given_up = Limits::default().store_wait_max;
        relay.handle_tick(START + given_up);
        clear(&mut relay);
        relay.handle_store_answer(
            START + 2 * given_up,
            StoreAnswer::Parked { delivery, account: owner, outcome, pdu },
        );
        let words: Vec<_> = std::iter::from_fn(|| relay.poll_shard()).collect();
        let told = (ShardIndex(1), ShardMessage::ParkedFor { account: account() });
        assert_eq!(words.contains(&told), is_told, "{words:?}");
    }
}

/// Found by the simulation: the bytes were with the other shard, so that no route was found for them.
#[test]
fn a_route_keeps_its_policy_over_a_swap_while_another_shard_has_the_message() {
    for is_swapped in [false, true] {
        let mut relay = relay(&["vendor"], Correlate::Strict, Limits::default());
        let vendor = VendorId::of_name(b"vendor");
        let input = || SnapshotInput {
            accounts: vec![Account { mode: Mode::StoreAndForward, ..Account::new("customer") }],
            vendors: vec![Vendor::new("vendor")],
            routes: vec![Route {
                prefix: "1202".into(),
                account: None,
                priority: 0,
                unknown_outcome: Some(UnknownOutcome::RetryOther),
                vendors: vec![WeightedVendor { vendor, weight: 1, price: None }],
                ..Route::default()
            }],
            correlate: Correlate::Strict,
            spool: Some(SpoolRules::default()),
            ..SnapshotInput::default()
        };
        let snapshot = || Arc::new(Snapshot::compile(input()).expect("no mistake"));
        relay.apply_snapshot(START, snapshot());
        other_shard_has(&mut relay, 1, "vendor", 10);
        submit(&mut relay, START, 1);
        let accepted = std::iter::from_fn(|| relay.poll_spool()).find_map(|op| match op {
            SpoolOp::Accept { message, gateway_id, pdu, .. } => Some((message, gateway_id, pdu)),
            _ => None,
        });
        let (message, gateway_id, pdu) = accepted.expect("it is spooled");
        let outcome = Ok(());
        relay.handle_spool_answer(START, SpoolAnswer::Accepted { message, gateway_id, outcome, pdu });
        while relay.poll_shard().is_some() {}
        if is_swapped {
            relay.apply_snapshot(START, snapshot());
        }
        relay.shard_gone(START, ShardIndex(1));
        // Under the customer's own policy, `fail`, it would be given up.
        let op = relay.poll_spool();
        assert!(matches!(op, Some(SpoolOp::Defer { fate: None, unknown_copies: 1, .. })), "{op:?}");
    }
}

#[test]
fn a_page_of_parked_deliveries_goes_to_one_session_while_that_has_slots() {
    const SECOND: LinkKey = LinkKey(7);
    let mut relay = relay(&["vendor"], Correlate::Strict, Limits::default());
    relay.customer_closed(START, CUSTOMER, &[]);
    for link in [CUSTOMER, SECOND] {
        assert!(relay.customer_bound(START, account(), link, BindKind::Receiver, 10));
    }
    clear(&mut relay);
    let mut page = |entries: u64| {
        let mut pdu = bytes::BytesMut::new();
        Pdu::DeliverSm(DeliverSm::default()).encode(CommandStatus::ESME_ROK, 1, &mut pdu);
        let entry = |number| ParkedEntry { parked: ParkedId(number), pdu: pdu.to_vec() };
        let entries = (0..entries).map(entry).collect();
        relay.handle_store_answer(START, StoreAnswer::Unparked { account: account(), entries, more: true });
        let link = |output: Output| match output {
            Output::SendDeliver { link, .. } => Some(link),
            _ => None,
        };
        outputs(&mut relay).into_iter().filter_map(link).collect::<Vec<_>>()
    };
    assert_eq!(page(4), [CUSTOMER; 4]);
    assert_eq!(page(8), [SECOND; 8], "the next page goes to the next session");
    let expected = [vec![CUSTOMER; 6], vec![SECOND; 2]].concat();
    assert_eq!(page(9), expected, "and on to the other when the window is full; the last one waits");
}
