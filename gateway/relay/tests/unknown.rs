//! Unknown outcomes: what each policy does, and how a later receipt tells the outcome, on one shard and on several.

use gateway_relay as relay;
use relay::{
    Account, AccountId, Arrival, Correlate, Correlation, CorrelationKey, Deduplicate, HandOver, Limits,
    LinkKey, MessageKey, Output, Relay, RelayOptions, Rewrite, Route, ShardIndex, ShardMessage, Snapshot,
    SnapshotInput, StoreAnswer, StoreOp, StoreOutage, Traffic, UnknownOutcome, Vendor, VendorId,
    WeightedVendor,
};
use smpp::dialect::Dialect;
use smpp::field::{Address, CommandStatus, EsmClass, RegisteredDelivery};
use smpp::pdu::{BindKind, DeliverSm, Pdu, SubmitSm};
use smpp::time::Instant;
use smpp::tlv::{Tag, Tlvs};
use smpp::wire::Frame;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const START: u64 = 1_000;
const CUSTOMER: LinkKey = LinkKey(1);
const UNKNOWN: CommandStatus = CommandStatus::ESME_RUNKNOWNERR;
const OK: CommandStatus = CommandStatus::ESME_ROK;

/// Some shards with one store; words between shards and to the store arrive at once.
struct Node {
    relays: Vec<Relay>,
    now: Instant,
    correlations: BTreeMap<CorrelationKey, Correlation>,
    sequence: u32,
    /// What links shall send and have not answered: shard, link, message.
    sent: Vec<(usize, LinkKey, MessageKey)>,
    /// Hand-overs from shard to shard.
    handed: Vec<HandOver>,
    /// Answers to customers: sequence number, status, whether there is an id.
    answers: Vec<(u32, CommandStatus, Option<String>)>,
    /// Texts of receipts handed to customers.
    receipts: Vec<String>,
    /// Receipts that wait for their message, or are nobody's.
    early: Vec<(CorrelationKey, relay::EarlyReceipt, Vec<u8>)>,
    orphans: usize,
    /// The store keeps nothing.
    outage: bool,
}

/// What a story begins with.
struct Setting {
    shards: u8,
    policy: UnknownOutcome,
    of_route: Option<UnknownOutcome>,
    vendors: Vec<&'static str>,
    deduplicate: Deduplicate,
    limits: Limits,
    /// Put before all destinations on their way to vendors: where it is not empty, a message keeps its own bytes while
    /// another shard has those for the vendor.
    add: &'static str,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            shards: 1,
            policy: UnknownOutcome::Fail,
            of_route: None,
            vendors: vec!["west", "east"],
            deduplicate: Deduplicate::Off,
            limits: Limits::default(),
            add: "",
        }
    }
}

#[derive(Clone, Copy)]
struct Text<'a> {
    source: &'a [u8],
    destination: &'a [u8],
    receipt: u8,
    text: &'a [u8],
    tlvs: &'a [u8],
}

const TEXT: Text<'static> =
    Text { source: b"12025550100", destination: b"+13125550111", receipt: 1, text: b"hello", tlvs: b"" };

fn account(name: &str) -> AccountId {
    AccountId::of_name(name.as_bytes())
}

impl Node {
    /// The customer is bound to shard 0; nobody else is bound.
    fn new(setting: &Setting) -> Self {
        let route = |(priority, name): (usize, &&str)| Route {
            prefix: "".into(),
            account: None,
            priority: priority as u32,
            unknown_outcome: setting.of_route,
            vendors: vec![WeightedVendor {
                vendor: VendorId::of_name(name.as_bytes()),
                weight: 1,
                price: None,
            }],
            rewrite: Rewrite { destination_add: setting.add.into(), ..Rewrite::default() },
            ..Route::default()
        };
        let customer = |name: &str| Account {
            unknown_outcome: setting.policy,
            deduplicate: setting.deduplicate,
            ..Account::new(name)
        };
        let input = SnapshotInput {
            accounts: vec![customer("acme"), customer("globex")],
            vendors: setting.vendors.iter().map(|name| Vendor::new(name)).collect(),
            routes: setting.vendors.iter().enumerate().map(route).collect(),
            limits: setting.limits,
            correlate: Correlate::Strict,
            ..SnapshotInput::default()
        };
        let snapshot = Arc::new(Snapshot::compile(input).expect("no mistake"));
        let options = |shard| RelayOptions {
            node: 1,
            shard: ShardIndex(shard),
            shards: setting.shards,
            started_at: Duration::ZERO,
            seed: 1 + u64::from(shard),
        };
        let relays = (0..setting.shards).map(|shard| Relay::new(options(shard), Arc::clone(&snapshot)));
        let mut node = Self {
            relays: relays.collect(),
            now: Instant::from_nanos(START * 1_000_000),
            correlations: BTreeMap::new(),
            sequence: 0,
            sent: Vec::new(),
            handed: Vec::new(),
            answers: Vec::new(),
            receipts: Vec::new(),
            early: Vec::new(),
            orphans: 0,
            outage: false,
        };
        node.bind_customer(0, "acme", CUSTOMER);
        node
    }

    fn bind_customer(&mut self, shard: usize, name: &str, link: LinkKey) {
        let now = self.now;
        assert!(self.relays[shard].customer_bound(now, account(name), link, BindKind::Transceiver, 100));
        self.pump();
    }

    fn bind(&mut self, shard: usize, vendor: &str, link: u64) -> LinkKey {
        let (now, vendor) = (self.now, VendorId::of_name(vendor.as_bytes()));
        assert!(self.relays[shard].vendor_bound(now, vendor, LinkKey(link), BindKind::Transceiver, 50));
        self.pump();
        LinkKey(link)
    }

    /// Carries out everything, until nobody wants anything.
    fn pump(&mut self) {
        let mut is_quiet = false;
        while !is_quiet {
            is_quiet = true;
            for shard in 0..self.relays.len() {
                while let Some(output) = self.relays[shard].poll() {
                    is_quiet = false;
                    self.carry_out(shard, output);
                }
                while let Some(op) = self.relays[shard].poll_store() {
                    is_quiet = false;
                    self.store(shard, op);
                }
                while let Some((to, message)) = self.relays[shard].poll_shard() {
                    is_quiet = false;
                    if let ShardMessage::Submit { hand_over, .. } = &message {
                        self.handed.push(*hand_over);
                    }
                    let (now, from) = (self.now, ShardIndex(shard as u8));
                    self.relays[usize::from(to.0)].handle_shard_message(now, from, message);
                }
            }
        }
    }

    fn carry_out(&mut self, shard: usize, output: Output) {
        match output {
            Output::SendSubmit { link, message } => self.sent.push((shard, link, message)),
            Output::AnswerSubmit { sequence, status, message_id, .. } => {
                let id = message_id.map(|id| String::from_utf8_lossy(&id.text()).into_owned());
                self.answers.push((sequence, status, id));
            }
            Output::SendDeliver { delivery, .. } => {
                let bytes = self.relays[shard].delivery_bytes(delivery).escape_ascii().to_string();
                self.receipts.push(bytes);
                self.relays[shard].customer_answered(self.now, delivery, OK);
            }
            Output::AnswerDeliver { status, .. } => assert_eq!(status, OK),
            Output::Drained => {}
        }
    }

    fn store(&mut self, shard: usize, op: StoreOp) {
        let answer = match op {
            StoreOp::Remember { message, .. } if self.outage => {
                StoreAnswer::Remembered { message, outcome: Err(StoreOutage::Away) }
            }
            StoreOp::Remember { message, key, correlation } => {
                self.correlations.insert(key, correlation);
                self.serve_early(key, correlation);
                StoreAnswer::Remembered { message, outcome: Ok(()) }
            }
            StoreOp::Find { delivery, key, numbers } => {
                let outcome = Ok(relay::choose(self.correlations.get(&key).copied(), &numbers));
                StoreAnswer::Found { delivery, outcome }
            }
            StoreOp::KeepEarly { delivery, key, receipt, pdu } => {
                self.orphans += 1;
                self.early.push((key, receipt, pdu.clone()));
                StoreAnswer::EarlyKept { delivery, outcome: Ok(()), pdu }
            }
            StoreOp::ParkOrphan { delivery, pdu, .. } => {
                self.orphans += 1;
                StoreAnswer::OrphanParked { delivery, outcome: Ok(()), pdu }
            }
            _ => return,
        };
        self.relays[shard].handle_store_answer(self.now, answer);
    }

    /// Hands early receipts to the customer, as a store does by parking them.
    fn serve_early(&mut self, key: CorrelationKey, correlation: Correlation) {
        for (kept_under, receipt, pdu) in std::mem::take(&mut self.early) {
            if kept_under != key || relay::choose([correlation], &receipt.numbers).fits().is_none() {
                self.early.push((kept_under, receipt, pdu));
                continue;
            }
            self.orphans -= 1;
            let written = relay::receipt_for(&pdu, &correlation).expect("a receipt");
            self.receipts.push(written.escape_ascii().to_string());
        }
    }

    fn arrival(&self, link: LinkKey) -> Arrival {
        Arrival { now: self.now, unix_seconds: 2_000_000_000, link, over_window: false }
    }

    /// A submit of the customer on this link of this shard; its sequence number.
    fn submit_on(&mut self, shard: usize, link: LinkKey, text: Text<'_>) -> u32 {
        self.sequence += 1;
        let submit = SubmitSm {
            source: Address { digits: text.source, ..Address::default() },
            destination: Address { digits: text.destination, ..Address::default() },
            registered_delivery: RegisteredDelivery(text.receipt),
            short_message: text.text,
            tlvs: Tlvs::new(text.tlvs),
            ..SubmitSm::default()
        };
        let mut bytes = bytes::BytesMut::new();
        Pdu::SubmitSm(submit).encode(OK, self.sequence, &mut bytes);
        let arrival = self.arrival(link);
        self.relays[shard].handle_submit(arrival, Frame::whole(&bytes).expect("one PDU"), &submit);
        self.pump();
        self.sequence
    }

    fn submit(&mut self, text: Text<'_>) -> u32 {
        self.submit_on(0, CUSTOMER, text)
    }

    /// A receipt on this bind of this shard, as the vendor would write it for the message.
    fn receipt(&mut self, shard: usize, link: LinkKey, text: Text<'_>, id: &str) {
        let quoted = format!("id:{id} sub:001 dlvrd:001 stat:DELIVRD err:000 text:x");
        let deliver = DeliverSm {
            source: Address { digits: text.destination, ..Address::default() },
            destination: Address { digits: text.source, ..Address::default() },
            esm_class: EsmClass::RECEIPT,
            short_message: quoted.as_bytes(),
            ..DeliverSm::default()
        };
        let mut bytes = bytes::BytesMut::new();
        self.sequence += 1;
        Pdu::DeliverSm(deliver).encode(OK, self.sequence, &mut bytes);
        let arrival = self.arrival(link);
        let frame = Frame::whole(&bytes).expect("one PDU");
        let deliver = DeliverSm::decode(frame, &Dialect::strict()).expect("decodable");
        self.relays[shard].handle_deliver(arrival, frame, &deliver);
        self.pump();
    }

    fn wait(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds.div_ceil(5) {
            self.now = self.now + Duration::from_millis(5);
            let now = self.now;
            self.relays.iter_mut().for_each(|relay| relay.handle_tick(now));
            self.pump();
        }
    }

    /// What was sent last is answered so.
    fn answer(&mut self, status: CommandStatus, id: &str) {
        let (shard, link, message) = self.sent.pop().expect("a message on a link");
        self.relays[shard].handle_answer(self.now, link, message, status, id.as_bytes());
        self.pump();
    }

    /// What was sent last gets no answer.
    fn expire(&mut self) {
        let (shard, _, message) = self.sent.pop().expect("a message on a link");
        self.relays[shard].handle_expired(self.now, message);
        self.pump();
    }

    fn sent_on(&self) -> Vec<u64> {
        self.sent.iter().map(|(_, link, _)| link.0).collect()
    }

    fn statuses(&self) -> Vec<(u32, CommandStatus)> {
        self.answers.iter().map(|(sequence, status, _)| (*sequence, *status)).collect()
    }

    fn traffic(&self) -> Traffic {
        let mut sum = Traffic::default();
        self.relays.iter().for_each(|relay| sum.add(&relay.counters().traffic));
        sum
    }
}

#[test]
fn fail_tells_at_once_and_a_receipt_only_for_the_records() {
    for shards in [1, 2] {
        let mut node = Node::new(&Setting { shards, ..Setting::default() });
        let other = usize::from(shards) - 1;
        let west = node.bind(0, "west", 10);
        // On another shard's bind, where there is one.
        let elsewhere = if shards > 1 { node.bind(other, "west", 11) } else { west };
        let one = node.submit(TEXT);
        node.expire();
        assert_eq!(node.statuses(), [(one, UNKNOWN)]);
        assert_eq!(node.traffic().unresolved_open, u64::from(shards), "each shard knows it");
        node.receipt(other, elsewhere, TEXT, "77");
        assert_eq!(node.traffic().unknowns_resolved, 0, "one look is not enough");
        node.wait(2_000);
        assert_eq!((node.traffic().unknowns_resolved, node.traffic().unresolved_open), (1, 0));
        assert_eq!(node.orphans, 1, "the customer has no id for it");
        assert!(node.receipts.is_empty() && node.answers.len() == 1 && node.correlations.is_empty());
        // Another receipt of the same message finds nothing more to tell.
        node.receipt(other, elsewhere, TEXT, "77");
        node.wait(2_000);
        assert_eq!((node.traffic().unknowns_resolved, node.orphans), (1, 1), "it is the same one");
        assert!(node.relays.iter().all(Relay::is_empty));
    }
}

/// What the shard that was given up says later, of every kind, and whose mailbox was full.
#[test]
fn a_late_answer_is_not_taken_for_the_next_hand_over() {
    type Late = fn(&mut Node, (usize, LinkKey, MessageKey));
    let lates: [(&str, Late); 4] = [
        ("accepted", |node, (shard, link, message)| {
            node.relays[shard].handle_answer(node.now, link, message, OK, b"77");
        }),
        ("refused", |node, (shard, link, message)| {
            node.relays[shard].handle_answer(node.now, link, message, CommandStatus::ESME_RINVDSTADR, b"");
        }),
        ("unknown", |node, (shard, _, message)| node.relays[shard].handle_expired(node.now, message)),
        ("unsent", |node, (shard, link, message)| {
            node.relays[shard].vendor_closed(node.now, link, &[], &[message]);
        }),
    ];
    for (kind, late) in lates {
        let mut node = Node::new(&Setting {
            shards: 3,
            policy: UnknownOutcome::RetryOther,
            limits: Limits { remote_wait_max: Duration::from_secs(1), ..Limits::default() },
            add: "00",
            ..Setting::default()
        });
        node.bind(1, "west", 10);
        node.bind(2, "east", 20);
        let one = node.submit(TEXT);
        node.wait(1_000);
        assert_eq!((node.sent_on(), node.statuses()), (vec![10, 20], vec![]), "{kind}");
        let first = node.sent.remove(0);
        late(&mut node, first);
        node.pump();
        assert_eq!((node.sent_on(), node.statuses()), (vec![20], vec![]), "{kind}: that was west's");
        assert_eq!(node.traffic().stale_events, 1, "{kind}");
        node.answer(OK, "88");
        assert_eq!(node.statuses(), [(one, OK)], "{kind}");
        let kept: Vec<_> = node.correlations.keys().map(|key| (key.vendor, key.id.as_bytes())).collect();
        assert_eq!(kept, [(VendorId::of_name(b"east"), &b"88"[..])], "{kind}");
        assert!(node.relays.iter().all(Relay::is_empty), "{kind}");
    }
}

/// A mailbox may say that it is full when nobody waits for it any more.
#[test]
fn a_hand_over_that_comes_back_late_is_not_the_next_one() {
    let mut node = Node::new(&Setting {
        shards: 3,
        policy: UnknownOutcome::RetryOther,
        limits: Limits { remote_wait_max: Duration::from_secs(1), ..Limits::default() },
        add: "00",
        ..Setting::default()
    });
    node.bind(1, "west", 10);
    node.bind(2, "east", 20);
    node.submit(TEXT);
    node.wait(1_000);
    let (hand_over, vendor) = (node.handed[0], VendorId::of_name(b"west"));
    let back = ShardMessage::Submit { hand_over, vendor, addresses: 0, pdu: vec![0; 16] };
    node.relays[0].handle_undelivered(node.now, ShardIndex(1), back);
    node.pump();
    assert_eq!((node.sent_on(), node.statuses()), (vec![10, 20], vec![]));
    assert_eq!(node.traffic().stale_events, 1);
}

#[test]
fn of_two_that_fit_none_is_taken() {
    for shards in [1, 2] {
        let mut node = Node::new(&Setting { shards, ..Setting::default() });
        let west = node.bind(0, "west", 10);
        let globex = usize::from(shards) - 1;
        node.bind_customer(globex, "globex", LinkKey(2));
        node.submit(TEXT);
        node.expire();
        // The other one is another customer's, on another shard where there is one.
        node.submit_on(globex, LinkKey(2), TEXT);
        node.expire();
        node.receipt(0, west, TEXT, "77");
        node.wait(2_000);
        assert!(node.correlations.is_empty());
        assert_eq!((node.traffic().unknowns_resolved, node.orphans), (0, 1));
        assert!(node.traffic().unknowns_ambiguous > 0);
        // Other addresses and another vendor's receipts are nobody's either.
        let east = node.bind(0, "east", 20);
        node.receipt(0, east, TEXT, "78");
        node.receipt(0, west, Text { source: b"12025550101", ..TEXT }, "79");
        node.wait(2_000);
        assert_eq!((node.traffic().unknowns_resolved, node.orphans), (0, 3));
        assert!(node.statuses().iter().all(|(_, status)| *status == UNKNOWN) && node.answers.len() == 2);
    }
}

#[test]
fn a_receipt_that_overtook_its_answer_is_not_about_another_message() {
    for shards in [1, 2] {
        let mut node = Node::new(&Setting { shards, vendors: vec!["west"], ..Setting::default() });
        let other = usize::from(shards) - 1;
        let west = node.bind(other, "west", 10);
        let one = node.submit(TEXT);
        node.expire();
        // The second one's receipt is there before its answer.
        let two = node.submit(TEXT);
        node.receipt(other, west, TEXT, "78");
        node.wait(220);
        assert!(node.traffic().unknowns_resolved == 0 && node.traffic().unknowns_ambiguous > 0);
        node.answer(OK, "78");
        assert_eq!(node.statuses(), [(one, UNKNOWN), (two, OK)]);
        node.wait(1_500);
        assert_eq!((node.receipts.len(), node.orphans), (1, 0));
        // With the second one gone, the first one's own receipt tells.
        node.receipt(other, west, TEXT, "77");
        node.wait(60);
        assert_eq!(node.traffic().unknowns_resolved, 1);
    }
}

/// The answer comes between the first look and the second, and its correlation is kept a little later.
#[test]
fn an_answer_between_two_looks_is_enough_to_save_the_other() {
    let mut node = Node::new(&Setting::default());
    let west = node.bind(0, "west", 10);
    node.submit(TEXT);
    node.expire();
    let two = node.submit(TEXT);
    node.receipt(0, west, TEXT, "78");
    node.wait(45);
    let (_, link, message) = node.sent.pop().expect("the second");
    node.relays[0].handle_answer(node.now, link, message, OK, b"78");
    let remember = node.relays[0].poll_store().expect("a correlation to keep");
    node.now = node.now + Duration::from_millis(10);
    node.relays[0].handle_tick(node.now);
    node.pump(); // the second look finds nothing
    node.store(0, remember);
    node.wait(1_500);
    assert_eq!(node.statuses()[1..], [(two, OK)]);
    assert_eq!((node.traffic().unknowns_resolved, node.receipts.len()), (0, 1));
}

/// A vendor that did not get our answer sends a receipt again, and its correlation has gone.
#[test]
fn a_repeated_receipt_is_not_about_another_message() {
    for (shards, first) in [(1, 0), (2, 0), (2, 1)] {
        let mut node = Node::new(&Setting { shards, ..Setting::default() });
        let links =
            [node.bind(0, "west", 10), if shards > 1 { node.bind(1, "west", 11) } else { LinkKey(10) }];
        let second = usize::from(shards) - 1 - first;
        node.submit(TEXT);
        node.answer(OK, "76");
        node.receipt(first, links[first], TEXT, "76");
        assert_eq!(node.receipts.len(), 1);
        node.correlations.clear(); // as the store does
        node.submit(TEXT);
        node.expire();
        node.receipt(second, links[second], TEXT, "76");
        node.wait(2_000);
        // The shard that had it knows it again.
        assert_eq!((node.traffic().unknowns_resolved, node.orphans), (0, usize::from(first != second)));
        // Its own receipt tells, but only once: an orphan's id is known as well.
        node.receipt(second, links[second], TEXT, "77");
        node.wait(100);
        assert_eq!(node.traffic().unknowns_resolved, 1);
    }
}

/// A receipt that overtook its correlation fits at its first look only; its repetition is another one.
#[test]
fn a_look_of_another_receipt_does_not_count() {
    let mut node = Node::new(&Setting { shards: 2, ..Setting::default() });
    let (here, there) = (node.bind(0, "west", 10), node.bind(1, "west", 11));
    node.submit(TEXT);
    node.expire();
    let two = node.submit(TEXT);
    let (shard, link, message) = node.sent.pop().expect("the second");
    node.relays[shard].handle_answer(node.now, link, message, OK, b"78");
    while let Some((_, message)) = node.relays[shard].poll_shard() {
        let (from, to) = (ShardIndex(shard as u8), 1 - shard);
        node.relays[to].handle_shard_message(node.now, from, message);
    }
    let remember = node.relays[0].poll_store().expect("a correlation to keep");
    node.receipt(1, there, TEXT, "78");
    node.store(0, remember);
    node.pump();
    node.wait(100);
    assert_eq!((node.statuses()[1], node.receipts.len()), ((two, OK), 1));
    node.correlations.clear(); // as the store does
    node.receipt(0, here, TEXT, "78");
    node.wait(2_000);
    assert_eq!((node.traffic().unknowns_resolved, node.orphans), (0, 1));
}

/// The second of two equal receipts is no second look.
#[test]
fn two_receipts_at_one_time_are_one_look() {
    let mut node = Node::new(&Setting::default());
    let west = node.bind(0, "west", 10);
    node.submit(TEXT);
    node.expire();
    node.receipt(0, west, TEXT, "77");
    node.receipt(0, west, TEXT, "77");
    assert_eq!(node.traffic().unknowns_resolved, 0);
    // Two ids of two receipts cannot both be one message's.
    node.receipt(0, west, TEXT, "78");
    node.wait(2_000);
    assert_eq!((node.traffic().unknowns_resolved, node.orphans), (0, 2), "one of them came twice");
}

#[test]
fn a_lost_correlation_makes_receipts_doubtful() {
    for (shards, loses) in [(1, 0), (2, 0), (2, 1)] {
        let mut node = Node::new(&Setting { shards, ..Setting::default() });
        let west = node.bind(0, "west", 10);
        node.bind_customer(loses, "globex", LinkKey(2));
        node.submit_on(loses, LinkKey(2), Text { destination: b"13125550199", ..TEXT });
        node.outage = true;
        node.answer(OK, "76");
        node.outage = false;
        node.submit(TEXT);
        node.expire();
        node.receipt(0, west, TEXT, "77");
        node.wait(2_000);
        assert_eq!((node.answers.len(), node.traffic().unknowns_resolved, node.orphans), (2, 0, 1));
    }
}

#[test]
fn retry_other_is_as_it_was() {
    let mut node = Node::new(&Setting { policy: UnknownOutcome::RetryOther, ..Setting::default() });
    let west = node.bind(0, "west", 10);
    node.bind(0, "east", 20);
    let one = node.submit(TEXT);
    node.expire();
    assert_eq!(node.sent_on(), [20]);
    // The first vendor has it as well: known by its receipt, while the second copy is with the other one.
    node.receipt(0, west, TEXT, "77");
    node.wait(100);
    assert_eq!((node.traffic().unknowns_resolved, node.answers.len()), (1, 0));
    node.answer(OK, "88");
    assert_eq!(node.statuses(), [(one, OK)]);
    assert_eq!(node.traffic().submits_maybe_twice, 1);
}

/// A definite no, followed by another vendor, left nothing behind: its outcome is with one vendor.
#[test]
fn a_definite_no_before_an_unknown_outcome_is_no_copy() {
    let mut node = Node::new(&Setting::default());
    node.bind(0, "west", 10);
    let east = node.bind(0, "east", 20);
    let one = node.submit(TEXT);
    assert_eq!(node.sent_on(), [10]);
    node.answer(CommandStatus::ESME_RSYSERR, "");
    assert_eq!(node.sent_on(), [20]);
    node.expire();
    node.receipt(0, east, TEXT, "77");
    node.wait(100);
    assert_eq!(node.statuses(), [(one, UNKNOWN)]);
    assert_eq!((node.traffic().unknowns_resolved, node.traffic().submits_maybe_twice), (1, 0));
}

#[test]
fn the_policy_of_the_route_wins() {
    let of_route = Some(UnknownOutcome::Fail);
    let mut node = Node::new(&Setting { policy: UnknownOutcome::RetryOther, of_route, ..Setting::default() });
    node.bind(0, "west", 10);
    node.bind(0, "east", 20);
    let one = node.submit(TEXT);
    node.expire();
    assert_eq!((node.statuses(), node.sent_on()), (vec![(one, UNKNOWN)], vec![]));
    let of_route = Some(UnknownOutcome::RetryOther);
    let mut node = Node::new(&Setting { policy: UnknownOutcome::Fail, of_route, ..Setting::default() });
    node.bind(0, "west", 10);
    node.bind(0, "east", 20);
    node.submit(TEXT);
    node.expire();
    assert_eq!((node.sent_on(), node.answers.len()), (vec![20], 0));
}

#[test]
fn an_outcome_is_forgotten_after_the_window() {
    let limits = Limits { unknown_window: Duration::from_secs(3), ..Limits::default() };
    let mut node =
        Node::new(&Setting { shards: 2, policy: UnknownOutcome::Fail, limits, ..Setting::default() });
    let west = node.bind(1, "west", 10);
    node.submit(TEXT);
    node.expire();
    assert_eq!(node.traffic().unresolved_open, 2, "each shard knows it");
    node.wait(3_000);
    assert_eq!(node.traffic().unresolved_open, 0);
    node.receipt(1, west, TEXT, "77");
    node.wait(2_000);
    assert_eq!((node.traffic().unknowns_resolved, node.orphans), (0, 1));
}

#[test]
fn a_full_table_gives_up_the_oldest() {
    let mut node = Node::new(&Setting::default());
    node.bind(0, "west", 10);
    let mut destination = *b"13120000000";
    for number in 0..=16_384_u32 {
        destination[4..].copy_from_slice(format!("{number:07}").as_bytes());
        node.submit(Text { destination: &destination, ..TEXT });
        node.expire();
    }
    let traffic = node.traffic();
    assert_eq!((traffic.unknowns_forgotten, traffic.unresolved_open), (1, 16_384));
}

#[test]
fn late_words_between_shards_do_no_harm() {
    let mut node = Node::new(&Setting { shards: 2, ..Setting::default() });
    let (vendor, gateway_id) = (VendorId::of_name(b"west"), smpp::text::message_id::GatewayId(5));
    let id = relay::VendorMessageId::new(b"77").expect("an id");
    let delivery = relay::DeliveryKey::from_u64(7);
    let other_id = relay::VendorMessageId::new(b"76").expect("an id");
    for message in [
        ShardMessage::Settled { vendor, gateway_id, by: (ShardIndex(0), delivery) },
        ShardMessage::Refuted { vendor, vendor_message_id: other_id },
        ShardMessage::Contested { vendor, gateway_id, is_contested: true },
        ShardMessage::ReceiptFits { vendor, gateway_id, vendor_message_id: id, delivery },
        ShardMessage::Unresolved { vendor, addresses: 7, gateway_id },
        ShardMessage::Unresolved { vendor, addresses: 7, gateway_id },
        ShardMessage::ReceiptFits { vendor, gateway_id, vendor_message_id: id, delivery },
        ShardMessage::ReceiptFits { vendor, gateway_id, vendor_message_id: id, delivery },
        ShardMessage::Settled { vendor, gateway_id, by: (ShardIndex(0), delivery) },
    ] {
        node.relays[0].handle_shard_message(node.now, ShardIndex(1), message);
        node.pump();
    }
    assert_eq!(node.traffic().unresolved_open, 0);
    assert!(node.answers.is_empty());
}

// De-duplication.

fn reference(value: u8) -> Vec<u8> {
    vec![0x02, 0x04, 0, 2, 0, value]
}

fn deduplicating(deduplicate: Deduplicate, policy: UnknownOutcome) -> Node {
    let mut node = Node::new(&Setting { deduplicate, policy, ..Setting::default() });
    node.bind(0, "west", 10);
    node
}

#[test]
fn a_resubmit_is_refused_while_the_first_is_open_and_then_gets_its_id() {
    let mut node = deduplicating(Deduplicate::Content, UnknownOutcome::Fail);
    let one = node.submit(TEXT);
    let two = node.submit(TEXT);
    assert_eq!(node.statuses(), [(two, CommandStatus::ESME_RMSGQFUL)]);
    node.answer(OK, "77");
    let three = node.submit(Text { destination: b"13125550111", ..TEXT });
    node.answer(OK, "78"); // it is written otherwise, and so another one
    let four = node.submit(TEXT);
    assert!(node.sent.is_empty());
    assert_eq!(node.statuses()[1..], [(one, OK), (three, OK), (four, OK)]);
    assert_eq!(node.answers[1].2, node.answers[3].2);
    assert_ne!(node.answers[1].2, node.answers[2].2);
    let traffic = node.traffic();
    assert_eq!((traffic.submits_accepted, traffic.submits_duplicate, traffic.submits_refused), (2, 1, 1));
    // Another customer's is another message.
    node.bind_customer(0, "globex", LinkKey(2));
    node.submit_on(0, LinkKey(2), TEXT);
    node.answer(OK, "79");
    // After the window it is a new message.
    node.wait(60_000);
    assert_eq!(node.traffic().resubmits_open, 0);
    node.submit(TEXT);
    assert_eq!(node.sent.len(), 1);
}

#[test]
fn what_makes_a_message_another_one() {
    let other = [
        Text { source: b"12025550101", ..TEXT },
        Text { destination: b"13125550112", ..TEXT },
        Text { text: b"Hello", ..TEXT },
        Text { text: b"", tlvs: b"\x04\x24\x00\x05Hello", ..TEXT },
        Text { tlvs: b"\x02\x0f\x00\x01\x02", ..TEXT },
    ];
    for text in other {
        let mut node = deduplicating(Deduplicate::Content, UnknownOutcome::Fail);
        node.submit(TEXT);
        node.submit(text);
        assert_eq!(node.sent.len(), 2, "{:?}", text.tlvs);
    }
    let same = [
        Text { tlvs: b"\x02\x04\x00\x02\x00\x09", ..TEXT }, // user_message_reference counts sendings
        Text { text: b"", tlvs: b"\x04\x24\x00\x05hello", ..TEXT },
        Text { receipt: 0, ..TEXT },
    ];
    for text in same {
        let mut node = deduplicating(Deduplicate::Content, UnknownOutcome::Fail);
        node.submit(TEXT);
        node.submit(text);
        assert_eq!(node.sent.len(), 1, "{:?}", text.tlvs);
    }
}

#[test]
fn a_tag_decides_alone() {
    let by_reference = Deduplicate::Tlv(Tag::USER_MESSAGE_REFERENCE);
    let mut node = deduplicating(by_reference, UnknownOutcome::Fail);
    let (one, two) = (reference(1), reference(2));
    node.submit(Text { tlvs: &one, ..TEXT });
    node.submit(Text { tlvs: &two, ..TEXT });
    assert_eq!(node.sent.len(), 2);
    node.submit(Text { tlvs: &one, text: b"something else", ..TEXT });
    assert_eq!(node.sent.len(), 2);
    // Without it, every message is a new one.
    node.submit(TEXT);
    node.submit(TEXT);
    assert_eq!(node.sent.len(), 4);
}

#[test]
fn after_a_no_or_an_unknown_it_is_a_new_message() {
    for no in [Some(CommandStatus::ESME_RINVDSTADR), None] {
        let mut node = deduplicating(Deduplicate::Content, UnknownOutcome::Fail);
        node.submit(TEXT);
        match no {
            Some(status) => node.answer(status, ""),
            None => node.expire(),
        }
        node.submit(TEXT);
        assert_eq!(node.sent.len(), 1);
    }
    // A refusal of ours.
    let mut node = Node::new(&Setting { deduplicate: Deduplicate::Content, ..Setting::default() });
    node.submit(TEXT);
    assert_eq!(node.traffic().submits_refused, 1);
    node.bind(0, "west", 10);
    node.submit(TEXT);
    assert_eq!(node.sent.len(), 1);
}

#[test]
fn a_receipt_makes_an_unknown_one_an_accepted_one() {
    let mut node = deduplicating(Deduplicate::Content, UnknownOutcome::Fail);
    let one = node.submit(TEXT);
    node.expire();
    node.receipt(0, LinkKey(10), TEXT, "77");
    node.wait(100);
    assert_eq!(node.traffic().unknowns_resolved, 1);
    let two = node.submit(TEXT);
    assert!(node.sent.is_empty());
    assert_eq!(node.statuses(), [(one, UNKNOWN), (two, OK)]);
    assert!(node.answers[1].2.is_some());
    assert_eq!(node.traffic().submits_duplicate, 1);
}

#[test]
fn a_resubmit_after_an_unknown_takes_its_place() {
    let mut node = deduplicating(Deduplicate::Content, UnknownOutcome::Fail);
    node.submit(TEXT);
    node.expire();
    let two = node.submit(TEXT);
    node.answer(OK, "78");
    // The first one's receipt comes at last: the second one's id stays the one that is given.
    node.receipt(0, LinkKey(10), TEXT, "77");
    node.wait(100);
    assert_eq!(node.traffic().unknowns_resolved, 1);
    node.submit(TEXT);
    assert_eq!(node.statuses()[1..].iter().map(|answer| answer.0).next(), Some(two));
    assert_eq!(node.answers[1].2, node.answers[2].2);
}
