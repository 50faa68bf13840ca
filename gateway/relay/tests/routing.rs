//! What routes do to messages on a whole relay: rewrites that the customer never sees, vendors that fall ill, encodings and
//! error maps.

use gateway_relay::{
    Account, AccountId, Arrival, CircuitChange, Correlate, Correlation, Encoding, Encodings, ErrorRule,
    LinkKey, MessageKey, NewAddress, Output, Relay, RelayOptions, Rewrite, Route, ShardIndex, Snapshot,
    SnapshotInput, StoreAnswer, StoreOp, Vendor, VendorId, WeightedVendor, choose,
};
use smpp::dialect::Dialect;
use smpp::field::{Address, CommandStatus, DataCoding, EsmClass, Npi, RegisteredDelivery, StatusClass, Ton};
use smpp::pdu::{BindKind, DeliverSm, Pdu, SubmitSm};
use smpp::time::Instant;
use smpp::wire::Frame;
use std::sync::Arc;
use std::time::Duration;

const OK: CommandStatus = CommandStatus::ESME_ROK;
const CUSTOMER: LinkKey = LinkKey(1);
const SOURCE: Address<'static> = Address { ton: Ton(5), npi: Npi(0), digits: b"ACME" };
const DESTINATION: Address<'static> = Address { ton: Ton(1), npi: Npi(1), digits: b"+447700900123" };

fn vendor_id(name: &str) -> VendorId {
    VendorId::of_name(name.as_bytes())
}

fn weighted(name: &str) -> WeightedVendor {
    WeightedVendor { vendor: vendor_id(name), weight: 1, price: None }
}

fn route(priority: u32, vendors: &[&str]) -> Route {
    Route { priority, vendors: vendors.iter().map(|name| weighted(name)).collect(), ..Route::default() }
}

/// Shards whose words arrive at once, and a store that keeps what it is told. Vendor `west` is bound by link 10 and
/// `east` by link 11, on the last shard; the customer is on the first one.
struct Node {
    relays: Vec<Relay>,
    now_ms: u64,
    kept: Vec<(gateway_relay::CorrelationKey, Correlation)>,
    /// Shard, link, message and PDU of what goes to vendors.
    sent: Vec<(usize, LinkKey, MessageKey, Vec<u8>)>,
    answers: Vec<CommandStatus>,
    delivered: Vec<Vec<u8>>,
}

impl Node {
    fn new(shards: u8, vendors: Vec<Vendor>, routes: Vec<Route>) -> Self {
        let input = SnapshotInput {
            accounts: vec![Account::new("acme")],
            vendors,
            routes,
            correlate: Correlate::Strict,
            ..SnapshotInput::default()
        };
        let snapshot = Arc::new(Snapshot::compile(input).expect("no mistake"));
        let relay = |shard| {
            let (shard, started_at) = (ShardIndex(shard), Duration::ZERO);
            Relay::new(RelayOptions { node: 1, shard, shards, started_at, seed: 7 }, Arc::clone(&snapshot))
        };
        let mut node = Self {
            relays: (0..shards).map(relay).collect(),
            now_ms: 1_000,
            kept: Vec::new(),
            sent: Vec::new(),
            answers: Vec::new(),
            delivered: Vec::new(),
        };
        let now = node.now();
        let acme = AccountId::of_name(b"acme");
        assert!(node.relays[0].customer_bound(now, acme, CUSTOMER, BindKind::Transceiver, 100));
        let last = node.relays.len() - 1;
        for (vendor, link) in snapshot.vendors().iter().zip(10..) {
            assert!(node.relays[last].vendor_bound(
                now,
                vendor.id,
                LinkKey(link),
                BindKind::Transceiver,
                500
            ));
        }
        node.pump();
        node
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(self.now_ms * 1_000_000)
    }

    fn pump(&mut self) {
        let now = self.now();
        let mut is_moving = true;
        while is_moving {
            is_moving = false;
            for shard in 0..self.relays.len() {
                while let Some(output) = self.relays[shard].poll() {
                    is_moving = true;
                    match output {
                        Output::SendSubmit { link, message } => {
                            let bytes = self.relays[shard].bytes(message).to_vec();
                            self.sent.push((shard, link, message, bytes));
                        }
                        Output::AnswerSubmit { status, .. } => self.answers.push(status),
                        Output::SendDeliver { delivery, .. } => {
                            self.delivered.push(self.relays[shard].delivery_bytes(delivery).to_vec());
                            self.relays[shard].customer_answered(now, delivery, OK);
                        }
                        Output::AnswerDeliver { .. } | Output::Drained => {}
                    }
                }
                while let Some(op) = self.relays[shard].poll_store() {
                    is_moving = true;
                    match op {
                        StoreOp::Remember { message, key, correlation } => {
                            self.kept.push((key, correlation));
                            let answer = StoreAnswer::Remembered { message, outcome: Ok(()) };
                            self.relays[shard].handle_store_answer(now, answer);
                        }
                        StoreOp::Find { delivery, key, numbers } => {
                            let found = self.kept.iter().rev().find(|(kept, _)| *kept == key);
                            let outcome = Ok(choose(found.map(|(_, correlation)| *correlation), &numbers));
                            self.relays[shard]
                                .handle_store_answer(now, StoreAnswer::Found { delivery, outcome });
                        }
                        StoreOp::KeepEarly { delivery, pdu, .. } => {
                            let outcome = Ok(());
                            self.relays[shard]
                                .handle_store_answer(now, StoreAnswer::EarlyKept { delivery, outcome, pdu });
                        }
                        _ => {}
                    }
                }
                while let Some((to, message)) = self.relays[shard].poll_shard() {
                    is_moving = true;
                    let from = ShardIndex(shard as u8);
                    self.relays[usize::from(to.0)].handle_shard_message(now, from, message);
                }
            }
        }
    }

    fn submit(&mut self, data_coding: DataCoding) {
        let mut bytes = bytes::BytesMut::new();
        SubmitSm {
            source: SOURCE,
            destination: DESTINATION,
            data_coding,
            registered_delivery: RegisteredDelivery(1),
            short_message: b"hello",
            ..SubmitSm::default()
        }
        .encode(OK, 9, &mut bytes);
        let frame = Frame::whole(&bytes).expect("one PDU");
        let pdu = SubmitSm::decode(frame, &Dialect::strict()).expect("a submit_sm");
        let arrival =
            Arrival { now: self.now(), unix_seconds: 1_800_000_000, link: CUSTOMER, over_window: false };
        self.relays[0].handle_submit(arrival, frame, &pdu);
        self.pump();
    }

    /// Answers the last thing sent.
    fn answer(&mut self, status: CommandStatus, id: &[u8]) -> LinkKey {
        let (shard, link, message, _) = self.sent.pop().expect("something was sent");
        let now = self.now();
        self.relays[shard].handle_answer(now, link, message, status, id);
        self.pump();
        link
    }

    /// A receipt on link 10, from and to as the vendor knows the message.
    fn receipt(&mut self, id: &str, source: Address<'_>, destination: Address<'_>) {
        let text = format!("id:{id} sub:001 dlvrd:001 stat:DELIVRD err:000 text:x");
        let mut bytes = bytes::BytesMut::new();
        DeliverSm {
            source,
            destination,
            esm_class: EsmClass::RECEIPT,
            short_message: text.as_bytes(),
            ..DeliverSm::default()
        }
        .encode(OK, 3, &mut bytes);
        let frame = Frame::whole(&bytes).expect("one PDU");
        let pdu = DeliverSm::decode(frame, &Dialect::strict()).expect("a deliver_sm");
        let arrival =
            Arrival { now: self.now(), unix_seconds: 1_800_000_000, link: LinkKey(10), over_window: false };
        let last = self.relays.len() - 1;
        self.relays[last].handle_deliver(arrival, frame, &pdu);
        self.pump();
    }

    /// `count` messages, one every 10 ms, answered at once; how many began with each vendor. `status` says what a link
    /// answers.
    fn flow(&mut self, count: usize, status: impl Fn(LinkKey) -> CommandStatus) -> [usize; 2] {
        let mut first = [0; 2];
        for _ in 0..count {
            self.now_ms += 10;
            let now = self.now();
            self.relays.iter_mut().for_each(|relay| relay.handle_tick(now));
            self.submit(DataCoding::DEFAULT);
            let begin = self.sent.last().map(|(_, link, ..)| link.0 - 10).expect("it was sent");
            first[begin as usize] += 1;
            while let Some((_, link, ..)) = self.sent.last() {
                let status = status(*link);
                self.answer(status, b"77");
            }
        }
        first
    }
}

fn addresses(pdu: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let frame = Frame::whole(pdu).expect("one PDU");
    match Pdu::decode(frame, &Dialect::strict()).expect("decodable") {
        Pdu::SubmitSm(submit) => (submit.source.digits.to_vec(), submit.destination.digits.to_vec()),
        Pdu::DeliverSm(deliver) => (deliver.source.digits.to_vec(), deliver.destination.digits.to_vec()),
        other => panic!("{other:?}"),
    }
}

fn rewriting() -> Route {
    let source = Some(NewAddress { ton: 1, npi: 1, digits: "12025550100".into() });
    let rewrite = Rewrite { source, destination_strip: "44".into(), destination_add: "0".into() };
    Route { rewrite, ..route(10, &["west"]) }
}

#[test]
fn a_rewrite_reaches_the_vendor_and_never_the_customer() {
    for shards in [1, 2] {
        let mut node = Node::new(shards, vec![Vendor::new("west")], vec![rewriting()]);
        node.submit(DataCoding::DEFAULT);
        let written = addresses(&node.sent[0].3);
        assert_eq!(written, (b"12025550100".to_vec(), b"07700900123".to_vec()), "{shards} shards");
        node.answer(OK, b"77");
        assert_eq!(node.answers, [OK]);
        let theirs = |digits| Address { ton: Ton(1), npi: Npi(1), digits };
        node.receipt("77", theirs(b"07700900123"), theirs(b"12025550100"));
        let (source, destination) = addresses(&node.delivered[0]);
        assert_eq!((&source[..], &destination[..]), (DESTINATION.digits, SOURCE.digits), "{shards} shards");
        let frame = Frame::whole(&node.delivered[0]).expect("one PDU");
        let receipt = DeliverSm::decode(frame, &Dialect::strict()).expect("a deliver_sm");
        assert_eq!((receipt.source.ton, receipt.destination.ton), (DESTINATION.ton, SOURCE.ton));
        let id = node.kept[0].1.gateway_id.text();
        assert!(receipt.short_message.starts_with(&[b"id:", &id[..]].concat()));
    }
}

#[test]
fn another_vendor_gets_what_its_own_route_says() {
    for shards in [1, 2] {
        let vendors = vec![Vendor::new("west"), Vendor::new("east")];
        let mut node = Node::new(shards, vendors, vec![rewriting(), route(20, &["east"])]);
        node.submit(DataCoding::DEFAULT);
        assert_eq!(addresses(&node.sent[0].3).1, b"07700900123");
        node.answer(CommandStatus::ESME_RSYSERR, b"");
        assert_eq!(addresses(&node.sent[0].3), (SOURCE.digits.to_vec(), DESTINATION.digits.to_vec()));
        node.answer(OK, b"78");
        assert_eq!((node.answers.as_slice(), node.kept[0].1.addresses), (&[OK][..], None));
    }
}

#[test]
fn a_rewritten_message_of_unknown_outcome_is_told_by_its_receipt() {
    let mut node = Node::new(1, vec![Vendor::new("west")], vec![rewriting()]);
    node.submit(DataCoding::DEFAULT);
    let (shard, _, message, _) = node.sent.pop().expect("it was sent");
    let now = node.now();
    node.relays[shard].handle_expired(now, message);
    let theirs = |digits| Address { ton: Ton(1), npi: Npi(1), digits };
    node.receipt("77", theirs(b"07700900123"), theirs(b"12025550100"));
    for _ in 0..400 {
        node.now_ms += 5;
        let now = node.now();
        node.relays[0].handle_tick(now);
        node.pump();
    }
    let resolved = node.relays[0].counters().traffic.unknowns_resolved;
    assert_eq!(resolved, 1, "the receipt's addresses are the rewritten ones");
}

#[test]
fn an_encoding_goes_only_where_it_is_taken() {
    let gsm7 = Encodings::NONE.with(Encoding::Gsm7);
    let vendors = vec![Vendor { encodings: gsm7, ..Vendor::new("west") }, Vendor::new("east")];
    let mut node = Node::new(1, vendors, vec![route(10, &["west"]), route(20, &["east"])]);
    node.submit(DataCoding::DEFAULT);
    node.submit(DataCoding::UCS2);
    let links: Vec<u64> = node.sent.iter().map(|(_, link, ..)| link.0).collect();
    assert_eq!(links, [10, 11]);
    let vendors = vec![Vendor { encodings: gsm7, ..Vendor::new("west") }];
    let mut node = Node::new(1, vendors, vec![route(10, &["west"])]);
    node.submit(DataCoding::UCS2);
    assert_eq!((node.sent.len(), node.answers.len()), (0, 1), "refused, not sent");
}

#[test]
fn an_error_map_says_what_a_status_means() {
    let rule = |status, to, class| ErrorRule { status, to, class };
    let (odd, full) = (CommandStatus(0x400), CommandStatus::ESME_RMSGQFUL);
    let map = vec![
        rule(odd, None, Some(StatusClass::Temporary)),
        rule(full, Some(CommandStatus::ESME_RSUBMITFAIL), Some(StatusClass::Permanent)),
    ];
    let vendors = || vec![Vendor { error_map: map.clone(), ..Vendor::new("west") }, Vendor::new("east")];
    let routes = || vec![route(10, &["west"]), route(20, &["east"])];
    let mut node = Node::new(1, vendors(), routes());
    node.submit(DataCoding::DEFAULT);
    node.answer(odd, b"");
    assert_eq!(node.answer(OK, b"77"), LinkKey(11), "the next vendor was tried");
    node.submit(DataCoding::DEFAULT);
    node.answer(full, b"");
    assert_eq!(node.answers, [OK, CommandStatus::ESME_RSUBMITFAIL], "no other vendor was tried");
    // Without a map both statuses keep their meaning.
    let mut node = Node::new(1, vec![Vendor::new("west"), Vendor::new("east")], routes());
    node.submit(DataCoding::DEFAULT);
    node.answer(odd, b"");
    assert_eq!(node.answers, [odd]);
    node.submit(DataCoding::DEFAULT);
    node.answer(full, b"");
    assert_eq!(node.sent.len(), 1);
}

#[test]
fn a_failing_vendor_is_left_alone_and_comes_back() {
    for shards in [1, 2] {
        let vendors = vec![Vendor::new("west"), Vendor::new("east")];
        let mut node = Node::new(shards, vendors, vec![route(10, &["west", "east"])]);
        let well = |_| OK;
        let ill = |link: LinkKey| if link.0 == 10 { CommandStatus::ESME_RSYSERR } else { OK };
        let [west, east] = node.flow(1_000, well);
        assert!(west.abs_diff(east) < 150, "{west} {east}");
        node.flow(1_000, ill); // ten seconds
        let [west, east] = node.flow(1_000, ill);
        assert!(west <= 20 && east >= 980, "{shards} shards: {west} {east}");
        node.flow(4_000, well);
        let [west, east] = node.flow(1_000, well);
        assert!(west.abs_diff(east) < 150, "{shards} shards: {west} {east}");
        let changes: Vec<CircuitChange> =
            std::iter::from_fn(|| node.relays[0].poll_circuit()).map(|notice| notice.change).collect();
        assert!(changes.contains(&CircuitChange::Opened) && changes.contains(&CircuitChange::Closed));
        assert!(node.answers.iter().all(|status| *status == OK), "every message found its vendor");
    }
}

#[test]
fn the_last_vendor_is_used_however_ill_it_is() {
    let mut node = Node::new(1, vec![Vendor::new("west")], vec![route(10, &["west"])]);
    let [west, _] = node.flow(3_000, |_| CommandStatus::ESME_RSYSERR);
    assert_eq!(west, 3_000);
    assert_eq!(node.answers.len(), 3_000);
}

#[test]
fn a_route_that_fails_alone_costs_other_routes_nothing() {
    let vendors = vec![Vendor::new("west"), Vendor::new("east")];
    let own = Route { prefix: "33".into(), ..route(10, &["west", "east"]) };
    let mut node = Node::new(1, vendors, vec![route(10, &["west"]), route(20, &["east"]), own]);
    // Half of the answers are errors for this route only: the vendor itself stays below its threshold.
    let mut number = 0_u64;
    for _ in 0..2_000 {
        node.now_ms += 10;
        let now = node.now();
        node.relays[0].handle_tick(now);
        number += 1;
        let fails = number.is_multiple_of(4);
        if fails {
            node.submit_to(b"33123456789");
        } else {
            node.submit(DataCoding::DEFAULT);
        }
        while let Some((_, link, ..)) = node.sent.last() {
            let status = if fails && link.0 == 10 { CommandStatus::ESME_RSYSERR } else { OK };
            node.answer(status, b"77");
        }
    }
    let notices: Vec<_> = std::iter::from_fn(|| node.relays[0].poll_circuit()).collect();
    assert!(notices.iter().all(|notice| notice.is_of_route), "{notices:?}");
    assert!(notices.iter().any(|notice| notice.change == CircuitChange::Opened), "{notices:?}");
    let before = node.sent.len();
    node.submit(DataCoding::DEFAULT);
    assert_eq!(node.sent[before].1, LinkKey(10), "the other route still begins with west");
    node.answer(OK, b"77");
    let mut west = 0;
    for _ in 0..100 {
        node.submit_to(b"33123456789");
        west += usize::from(node.sent.last().is_some_and(|(_, link, ..)| link.0 == 10));
        node.answer(OK, b"77");
    }
    assert!(west <= 25, "{west} of 100: probes, and a small share after them");
}

impl Node {
    fn submit_to(&mut self, digits: &[u8]) {
        let mut bytes = bytes::BytesMut::new();
        let destination = Address { ton: Ton(1), npi: Npi(1), digits };
        SubmitSm { source: SOURCE, destination, short_message: b"hello", ..SubmitSm::default() }
            .encode(OK, 9, &mut bytes);
        let frame = Frame::whole(&bytes).expect("one PDU");
        let pdu = SubmitSm::decode(frame, &Dialect::strict()).expect("a submit_sm");
        let arrival =
            Arrival { now: self.now(), unix_seconds: 1_800_000_000, link: CUSTOMER, over_window: false };
        self.relays[0].handle_submit(arrival, frame, &pdu);
        self.pump();
    }
}
