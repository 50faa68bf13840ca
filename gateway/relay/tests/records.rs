//! Each end of a message makes exactly one record, with the right fields; each end of a delivery too.

use gateway_relay as relay;
use relay::{
    Account, AccountId, Arrival, Correlate, Correlation, Deduplicate, DeliveryKey, DeliveryOutcome,
    DeliveryRecord, Limits, LinkKey, MessageKey, MessageState, Mode, Output, ParkedEntry, ParkedId, Record,
    RecordKind, Refusal, Relay, RelayOptions, Route, SettledRecord, ShardIndex, ShardMessage, Snapshot,
    SnapshotInput, SpoolAnswer, SpoolEntry, SpoolOp, SpoolRules, StoreAnswer, StoreOp, SubmitOutcome,
    SubmitRecord, UnknownOutcome, Vendor, VendorId, WeightedVendor,
};
use smpp::dialect::Dialect;
use smpp::field::{
    Address, CommandStatus, DataCoding, EsmClass, MessageState as NetworkState, RegisteredDelivery,
};
use smpp::pdu::{BindKind, DeliverSm, Pdu, SubmitSm};
use smpp::text::message_id::GatewayId;
use smpp::text::segment::{Marking, Part};
use smpp::time::Instant;
use smpp::tlv::Tlvs;
use smpp::wire::Frame;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

const CUSTOMER: LinkKey = LinkKey(1);
const WEST: LinkKey = LinkKey(2);
const EAST: LinkKey = LinkKey(3);
const START: Instant = Instant::from_nanos(1_000_000_000);
/// Wall time at [`START`].
const WALL: Duration = Duration::from_secs(2_000_000_000);
const STARTED_AT: Duration = Duration::from_secs(1_999_999_000);
const OK: CommandStatus = CommandStatus::ESME_ROK;

/// A shard with records, a customer, and two vendors of which the first is preferred.
struct World {
    relay: Relay,
    now: Instant,
}

impl World {
    fn new(change: impl FnOnce(&mut SnapshotInput)) -> World {
        let route = |(priority, name): (usize, &&str)| Route {
            prefix: "1".into(),
            account: None,
            priority: priority as u32,
            unknown_outcome: None,
            vendors: vec![WeightedVendor {
                vendor: VendorId::of_name(name.as_bytes()),
                weight: 1,
                price: None,
            }],
            ..Route::default()
        };
        let vendors = ["west", "east"];
        let mut input = SnapshotInput {
            accounts: vec![Account::new("customer")],
            vendors: vendors.iter().map(|name| Vendor::new(name)).collect(),
            routes: vendors.iter().enumerate().map(route).collect(),
            correlate: Correlate::Strict,
            records: true,
            ..SnapshotInput::default()
        };
        change(&mut input);
        let snapshot = Arc::new(Snapshot::compile(input).expect("no mistake"));
        let options =
            RelayOptions { node: 3, shard: ShardIndex(1), shards: 2, started_at: STARTED_AT, seed: 1 };
        let mut world = World { relay: Relay::new(options, snapshot), now: START };
        assert!(world.relay.customer_bound(START, account(), CUSTOMER, BindKind::Transceiver, 100));
        world.bind("west", WEST);
        world.bind("east", EAST);
        world.clear();
        world
    }

    fn bind(&mut self, vendor: &str, link: LinkKey) {
        let vendor = VendorId::of_name(vendor.as_bytes());
        assert!(self.relay.vendor_bound(self.now, vendor, link, BindKind::Transceiver, 10));
    }

    fn clear(&mut self) {
        while self.relay.poll().is_some() {}
        while self.relay.poll_store().is_some() {}
        while self.relay.poll_shard().is_some() {}
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now = self.now + Duration::from_millis(milliseconds);
        self.relay.handle_tick(self.now);
    }

    fn arrival(&self, link: LinkKey) -> Arrival {
        Arrival { now: self.now, unix_seconds: WALL.as_secs(), link, over_window: false }
    }

    /// A part of a long message, with a reference and a request for a receipt.
    fn submit_to(&mut self, destination: &[u8]) {
        let submit = SubmitSm {
            source: Address { digits: b"ACME", ton: smpp::field::Ton(5), ..Address::default() },
            destination: Address { digits: destination, ..Address::default() },
            esm_class: EsmClass(0x40),
            data_coding: DataCoding(8),
            registered_delivery: RegisteredDelivery(1),
            short_message: b"\x05\x00\x03\x21\x03\x02text",
            tlvs: Tlvs::new(b"\x02\x04\x00\x02\x12\x34"),
            ..SubmitSm::default()
        };
        let mut bytes = bytes::BytesMut::new();
        Pdu::SubmitSm(submit).encode(OK, 77, &mut bytes);
        self.relay.handle_submit(self.arrival(CUSTOMER), Frame::whole(&bytes).expect("one PDU"), &submit);
    }

    fn submit(&mut self) {
        self.submit_to(b"12025550123");
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.relay.poll()).collect()
    }

    /// The message that a vendor's link shall send now; of a spooled one the spool notes that first.
    fn sent(&mut self) -> (LinkKey, MessageKey) {
        while let Some(op) = self.relay.poll_spool() {
            if let SpoolOp::Sending { message, gateway_id, .. } = op {
                let noted = SpoolAnswer::Noted { message, gateway_id, outcome: Ok(()) };
                self.relay.handle_spool_answer(self.now, noted);
            }
        }
        let sends = self.outputs().into_iter().filter_map(|output| match output {
            Output::SendSubmit { link, message } => Some((link, message)),
            _ => None,
        });
        let sends: Vec<_> = sends.collect();
        assert_eq!(sends.len(), 1);
        sends[0]
    }

    fn answer(&mut self, (link, message): (LinkKey, MessageKey), status: CommandStatus, id: &[u8]) {
        self.relay.handle_answer(self.now, link, message, status, id);
    }

    fn records(&mut self) -> Vec<Record> {
        let wall = WALL + self.now.saturating_since(START);
        std::iter::from_fn(|| self.relay.poll_record(self.now, wall)).collect()
    }

    /// The one record of a submit.
    fn submit_record(&mut self) -> SubmitRecord {
        let records = self.records();
        let [Record { kind: RecordKind::Submit(record), node: 3, shard: ShardIndex(1), .. }] = records[..]
        else {
            panic!("one record of a submit: {records:?}")
        };
        record
    }

    fn delivery_record(&mut self) -> DeliveryRecord {
        let records = self.records();
        let [Record { kind: RecordKind::Delivery(record), .. }] = records[..] else {
            panic!("one record of a delivery: {records:?}")
        };
        record
    }

    /// A receipt, or an MO, from the first vendor.
    fn deliver(&mut self, text: &[u8], is_receipt: bool) {
        let pdu = DeliverSm {
            source: Address { digits: b"12025550123", ..Address::default() },
            destination: Address { digits: b"4477", ..Address::default() },
            esm_class: if is_receipt { EsmClass::RECEIPT } else { EsmClass(0) },
            short_message: text,
            ..DeliverSm::default()
        };
        let mut bytes = bytes::BytesMut::new();
        Pdu::DeliverSm(pdu).encode(OK, 7, &mut bytes);
        let frame = Frame::whole(&bytes).expect("one PDU");
        let pdu = DeliverSm::decode(frame, &Dialect::strict()).expect("well-formed");
        self.relay.handle_deliver(self.arrival(WEST), frame, &pdu);
    }

    fn store_ops(&mut self) -> VecDeque<StoreOp> {
        std::iter::from_fn(|| self.relay.poll_store()).collect()
    }

    /// The store answers all questions: what a receipt is about, and that it keeps what is parked.
    fn store_answers(&mut self, found: Option<Correlation>) {
        for op in self.store_ops() {
            let answer = match op {
                StoreOp::Remember { message, .. } => StoreAnswer::Remembered { message, outcome: Ok(()) },
                StoreOp::Find { delivery, .. } => StoreAnswer::Found { delivery, outcome: Ok(found.into()) },
                StoreOp::Park { delivery, account, pdu, .. } => {
                    StoreAnswer::Parked { delivery, account, outcome: Ok(()), pdu }
                }
                StoreOp::KeepEarly { delivery, pdu, .. } => {
                    StoreAnswer::EarlyKept { delivery, outcome: Ok(()), pdu }
                }
                StoreOp::ParkOrphan { delivery, pdu, .. } => {
                    StoreAnswer::OrphanParked { delivery, outcome: Ok(()), pdu }
                }
                _ => continue,
            };
            self.relay.handle_store_answer(self.now, answer);
        }
    }

    fn delivery_sent(&mut self) -> DeliveryKey {
        let find = |output: Output| match output {
            Output::SendDeliver { delivery, .. } => Some(delivery),
            _ => None,
        };
        self.outputs().into_iter().find_map(find).expect("a delivery")
    }
}

fn account() -> AccountId {
    AccountId::of_name(b"customer")
}

fn vendor(name: &str) -> VendorId {
    VendorId::of_name(name.as_bytes())
}

const RECEIPT: &[u8] =
    b"id:A7 sub:001 dlvrd:000 submit date:2601010000 done date:2601010000 stat:UNDELIV err:013 text:x";

fn ours() -> Correlation {
    Correlation::new(account(), GatewayId(0xABCD), 0)
}

#[test]
fn an_accepted_message_has_all_its_times() {
    let mut world = World::new(|_| {});
    world.submit();
    let sent = world.sent();
    world.pass(30);
    world.answer(sent, OK, b"A7");
    world.pass(12);
    assert_eq!(world.records(), [], "the store has not answered");
    world.store_answers(None);
    let records = world.records();
    let [Record { number, at, kind: RecordKind::Submit(record), .. }] = records[..] else {
        panic!("{records:?}")
    };
    assert_eq!((number, at), (STARTED_AT.as_nanos() as u64 + 1, WALL));
    let id = world.outputs().into_iter().find_map(|output| match output {
        Output::AnswerSubmit { message_id, .. } => message_id,
        _ => None,
    });
    assert_eq!(record.gateway_id, id);
    assert!(id.is_some());
    assert_eq!(record.account, Some(account()));
    assert_eq!(record.vendors(), [vendor("west")]);
    let milliseconds = |after: Option<Duration>| after.map(|after| after.as_millis());
    assert_eq!(milliseconds(record.routed_after), Some(0));
    assert_eq!(milliseconds(record.sent_after), Some(0));
    assert_eq!(milliseconds(record.acknowledged_after), Some(30));
    assert_eq!(record.answered_after.as_millis(), 42);
    assert_eq!((record.source.digits(), record.source.ton.0), (&b"ACME"[..], 5));
    assert_eq!(record.destination.digits(), b"12025550123");
    assert_eq!((record.reference, record.sequence, record.customer_reference()), (Some(0x1234), 77, 0x1234));
    assert_eq!((record.data_coding, record.esm_class, record.is_data), (8, 0x40, false));
    let part = Part { marking: Marking::Udh8, reference: 0x21, total: 3, number: 2 };
    assert_eq!(record.part, Some(part));
    assert_eq!((record.customer_status, record.vendor_status), (Some(OK), Some(OK)));
    assert_eq!(record.vendor_message_id.as_ref().map(|id| id.as_bytes()), Some(&b"A7"[..]));
    assert_eq!((record.state, record.refusal, record.copies), (MessageState::Acked, None, 1));
    assert!(!record.possible_duplicate);
}

#[test]
fn every_record_has_a_number_of_its_own() {
    let mut world = World::new(|_| {});
    for _ in 0..3 {
        world.submit_to(b"4420");
    }
    let numbers: Vec<u64> = world.records().iter().map(|record| record.number).collect();
    let first = STARTED_AT.as_nanos() as u64 + 1;
    assert_eq!(numbers, [first, first + 1, first + 2]);
}

#[test]
fn nothing_is_recorded_where_nothing_is_wanted() {
    let mut world = World::new(|input| input.records = false);
    world.submit();
    let sent = world.sent();
    world.answer(sent, CommandStatus::ESME_RSUBMITFAIL, b"");
    world.submit_to(b"4420");
    world.deliver(b"hello", false);
    world.store_answers(None);
    assert_eq!(world.records(), []);
}

#[test]
fn a_rejected_message_names_the_vendors_word_and_ours() {
    let mut world = World::new(|_| {});
    world.submit();
    let sent = world.sent();
    world.answer(sent, CommandStatus::ESME_RINVDSTADR, b"");
    let record = world.submit_record();
    assert_eq!(record.state, MessageState::Nacked);
    assert_eq!(record.customer_status, Some(CommandStatus::ESME_RINVDSTADR));
    assert_eq!(record.vendor_status, Some(CommandStatus::ESME_RINVDSTADR));
    assert_eq!((record.refusal, record.vendor_message_id), (None, None));
}

#[test]
fn a_failover_lists_both_vendors() {
    let mut world = World::new(|_| {});
    world.submit();
    let sent = world.sent();
    world.answer(sent, CommandStatus::ESME_RSYSERR, b"");
    assert_eq!(world.records(), []);
    let sent = world.sent();
    assert_eq!(sent.0, EAST);
    world.answer(sent, CommandStatus::ESME_RINVDSTADR, b"");
    let record = world.submit_record();
    assert_eq!(record.vendors(), [vendor("west"), vendor("east")]);
    assert_eq!((record.copies, record.possible_duplicate), (2, false));
}

#[test]
fn refusals_before_and_after_the_slot_are_recorded() {
    let mut world = World::new(|_| {});
    world.submit_to(b"4420");
    let record = world.submit_record();
    assert_eq!((record.gateway_id, record.refusal), (None, Some(Refusal::NoRoute)));
    assert_eq!(record.customer_status, Some(Refusal::NoRoute.status()));
    assert_eq!((record.account, record.state), (Some(account()), MessageState::Nacked));
    assert_eq!((record.destination.digits(), record.sequence), (&b"4420"[..], 77));
    world.relay.vendor_closed(world.now, WEST, &[], &[]);
    world.relay.vendor_closed(world.now, EAST, &[], &[]);
    world.submit();
    let record = world.submit_record();
    assert!(record.gateway_id.is_some());
    assert_eq!((record.refusal, record.routed_after), (Some(Refusal::NoVendor), None));
    assert_eq!((record.state, record.copies), (MessageState::Nacked, 0));
}

#[test]
fn a_wait_that_took_too_long_is_recorded() {
    let mut world = World::new(|input| input.routes.truncate(1));
    for _ in 0..11 {
        world.submit(); // the window holds ten
    }
    assert_eq!(world.outputs().len(), 10);
    world.pass(Limits::default().queue_wait_max.as_millis() as u64);
    let record = world.submit_record();
    assert_eq!((record.state, record.refusal), (MessageState::ExpiredUnsent, Some(Refusal::QueueExpired)));
    assert!(record.routed_after.is_some(), "its place was the queue");
    assert_eq!((record.sent_after, record.copies), (None, 0));
}

#[test]
fn a_customer_that_went_away_was_told_nothing() {
    let mut world = World::new(|input| input.routes.truncate(1));
    for _ in 0..11 {
        world.submit();
    }
    let sent: Vec<_> = world.outputs();
    world.relay.customer_closed(world.now, CUSTOMER, &[]);
    let Output::SendSubmit { link, message } = sent[0] else { panic!("{sent:?}") };
    world.answer((link, message), CommandStatus::ESME_RINVDSTADR, b"");
    let records = world.records();
    let states: Vec<_> = records
        .iter()
        .map(|record| match record.kind {
            RecordKind::Submit(submit) => (submit.state, submit.customer_status),
            _ => panic!("{record:?}"),
        })
        .collect();
    // The one that was answered, and the one that waited for its slot.
    assert_eq!(states, [(MessageState::Nacked, None), (MessageState::ExpiredUnsent, None)]);
}

#[test]
fn an_unknown_outcome_and_a_second_copy_are_marked() {
    let mut world = World::new(|_| {});
    world.submit();
    let (_, message) = world.sent();
    world.relay.handle_expired(world.now, message);
    let record = world.submit_record();
    assert_eq!((record.state, record.possible_duplicate), (MessageState::Unknown, false));
    assert_eq!(record.customer_status, Some(CommandStatus::ESME_RUNKNOWNERR));

    let mut world = World::new(|input| input.accounts[0].unknown_outcome = UnknownOutcome::RetryOther);
    world.submit();
    let (_, message) = world.sent();
    world.relay.handle_expired(world.now, message);
    let sent = world.sent();
    world.answer(sent, OK, b"B8");
    world.store_answers(None);
    let record = world.submit_record();
    assert_eq!((record.state, record.possible_duplicate, record.copies), (MessageState::Acked, true, 2));
    assert_eq!(record.vendors(), [vendor("west"), vendor("east")]);
}

#[test]
fn a_second_copy_that_was_refused_or_never_left_is_no_duplicate() {
    let after_an_unknown_copy = |ends: fn(&mut World, (LinkKey, MessageKey))| {
        let mut world = World::new(|input| input.accounts[0].unknown_outcome = UnknownOutcome::RetryOther);
        world.submit();
        let (_, message) = world.sent();
        world.relay.handle_expired(world.now, message);
        let sent = world.sent();
        ends(&mut world, sent);
        world.submit_record()
    };
    let refused = |world: &mut World, sent| world.answer(sent, CommandStatus::ESME_RINVDSTADR, b"");
    let record = after_an_unknown_copy(refused);
    assert_eq!((record.state, record.copies, record.possible_duplicate), (MessageState::Nacked, 2, false));
    let lost = |world: &mut World, (_, message)| world.relay.handle_expired(world.now, message);
    let record = after_an_unknown_copy(lost);
    assert_eq!((record.state, record.copies, record.possible_duplicate), (MessageState::Unknown, 2, true));
}

#[test]
fn a_copy_that_never_left_is_no_copy() {
    let mut world = World::new(|_| {});
    world.submit();
    let (link, message) = world.sent();
    world.relay.vendor_closed(world.now, link, &[], &[message]);
    let sent = world.sent();
    assert_eq!(sent.0, EAST);
    world.answer(sent, OK, b"B8");
    world.store_answers(None);
    let record = world.submit_record();
    assert_eq!((record.vendors(), record.copies), (&[vendor("east")][..], 1));
}

#[test]
fn only_the_shard_that_has_the_customer_makes_the_record() {
    let mut world = World::new(|_| {});
    let far = ShardIndex(0);
    world.relay.vendor_closed(world.now, WEST, &[], &[]);
    world.relay.vendor_closed(world.now, EAST, &[], &[]);
    let state = ShardMessage::VendorState { vendor: vendor("west"), links: 1, window: 10 };
    world.relay.handle_shard_message(world.now, far, state);
    world.clear();
    world.submit();
    let Some((_, ShardMessage::Submit { hand_over, pdu, addresses, vendor: chosen })) =
        world.relay.poll_shard()
    else {
        panic!("another shard has the bind")
    };
    world.pass(5);
    // The far shard serves it and makes no record.
    let mut served = World::new(|_| {});
    let submit = ShardMessage::Submit { hand_over, pdu: pdu.clone(), addresses, vendor: chosen };
    served.relay.handle_shard_message(served.now, ShardIndex(1), submit);
    let sent = served.sent();
    served.answer(sent, OK, b"C9");
    assert_eq!(served.records(), []);
    let Some((_, done)) = served.relay.poll_shard() else { panic!("an answer") };
    assert!(matches!(
        done,
        ShardMessage::SubmitDone { outcome: SubmitOutcome::Answered { status: OK, .. }, .. }
    ));
    world.relay.handle_shard_message(world.now, far, done);
    world.store_answers(None);
    let record = world.submit_record();
    assert_eq!(record.vendors(), [vendor("west")]);
    assert_eq!(record.vendor_message_id.as_ref().map(|id| id.as_bytes()), Some(&b"C9"[..]));
    assert_eq!(record.acknowledged_after, Some(Duration::from_millis(5)));
}

#[test]
fn a_receipt_that_was_taken_names_message_and_state() {
    let mut world = World::new(|_| {});
    world.deliver(RECEIPT, true);
    world.store_answers(Some(ours()));
    let delivery = world.delivery_sent();
    world.pass(20);
    world.relay.customer_answered(world.now, delivery, OK);
    let record = world.delivery_record();
    assert_eq!((record.gateway_id, record.account), (Some(GatewayId(0xABCD)), Some(account())));
    assert_eq!(record.vendor, Some(vendor("west")));
    assert_eq!(record.vendor_message_id.as_ref().map(|id| id.as_bytes()), Some(&b"A7"[..]));
    let receipt = record.receipt.expect("a receipt");
    assert_eq!((receipt.state, receipt.error), (Some(NetworkState::Undeliverable), Some(13)));
    assert!(receipt.is_final);
    assert_eq!((record.source.digits(), record.destination.digits()), (&b"12025550123"[..], &b"4477"[..]));
    assert_eq!((record.outcome, record.customer_status), (DeliveryOutcome::Taken, Some(OK)));
    assert_eq!((record.was_parked, record.ended_after), (false, Duration::from_millis(20)));
}

#[test]
fn a_refusing_customer_and_an_absent_one_are_told_apart() {
    let mut world = World::new(|_| {});
    world.deliver(RECEIPT, true);
    world.store_answers(Some(ours()));
    let delivery = world.delivery_sent();
    world.relay.customer_answered(world.now, delivery, CommandStatus::ESME_RX_R_APPN);
    let record = world.delivery_record();
    assert_eq!(record.outcome, DeliveryOutcome::Rejected);
    assert_eq!(record.customer_status, Some(CommandStatus::ESME_RX_R_APPN));

    world.relay.customer_closed(world.now, CUSTOMER, &[]);
    world.deliver(RECEIPT, true);
    world.store_answers(Some(ours()));
    assert_eq!(world.records(), [], "not kept yet");
    world.store_answers(None);
    let record = world.delivery_record();
    assert_eq!((record.outcome, record.customer_status), (DeliveryOutcome::Parked, None));
    assert_eq!((record.gateway_id, record.account), (Some(GatewayId(0xABCD)), Some(account())));
}

#[test]
fn what_was_parked_and_is_taken_later_makes_a_second_record() {
    let mut world = World::new(|_| {});
    world.deliver(RECEIPT, true);
    world.store_answers(Some(ours()));
    let delivery = world.delivery_sent();
    let pdu = world.relay.delivery_bytes(delivery).to_vec(); // as it would be parked: with our id
    world.relay.customer_answered(world.now, delivery, OK);
    world.delivery_record();
    let entries = vec![ParkedEntry { parked: ParkedId(1), pdu }];
    world.relay.customer_closed(world.now, CUSTOMER, &[]);
    assert!(world.relay.customer_bound(world.now, account(), CUSTOMER, BindKind::Transceiver, 10));
    world.clear();
    let unparked = StoreAnswer::Unparked { account: account(), entries, more: false };
    world.relay.handle_store_answer(world.now, unparked);
    let delivery = world.delivery_sent();
    world.relay.customer_answered(world.now, delivery, OK);
    let record = world.delivery_record();
    assert!(record.was_parked);
    assert_eq!((record.gateway_id, record.account), (Some(GatewayId(0xABCD)), Some(account())));
    assert_eq!((record.outcome, record.vendor), (DeliveryOutcome::Taken, None));
    let state = record.receipt.and_then(|receipt| receipt.state);
    assert_eq!(state, Some(NetworkState::Undeliverable));
}

#[test]
fn orphans_and_messages_of_handsets_are_recorded() {
    let mut world = World::new(|input| input.accounts[0].numbers = vec!["4477".into()]);
    world.deliver(b"hello", false);
    let delivery = world.delivery_sent();
    world.relay.customer_answered(world.now, delivery, OK);
    let record = world.delivery_record();
    assert_eq!((record.receipt, record.account), (None, Some(account())));
    assert_eq!((record.gateway_id, record.outcome), (None, DeliveryOutcome::Taken));

    let mut world = World::new(|_| {});
    world.deliver(b"hello", false);
    world.store_answers(None);
    let record = world.delivery_record();
    assert_eq!((record.outcome, record.account), (DeliveryOutcome::Orphan, None));

    let mut world = World::new(|input| input.correlate = Correlate::None);
    world.deliver(RECEIPT, true);
    let record = world.delivery_record();
    assert_eq!(record.outcome, DeliveryOutcome::Uncorrelated);
    assert_eq!(record.vendor_message_id.as_ref().map(|id| id.as_bytes()), Some(&b"A7"[..]));
}

#[test]
fn while_records_have_no_room_nothing_new_is_taken() {
    let mut world = World::new(|input| input.accounts[0].numbers = vec!["4477".into()]);
    world.submit();
    let sent = world.sent();
    world.relay.set_records_full(true);
    world.submit();
    world.deliver(b"hello", false);
    let statuses: Vec<_> = world
        .outputs()
        .into_iter()
        .map(|output| match output {
            Output::AnswerSubmit { status, .. } | Output::AnswerDeliver { status, .. } => status,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(statuses, [CommandStatus::ESME_RMSGQFUL, CommandStatus::ESME_RX_T_APPN]);
    assert_eq!(world.records(), [], "a refusal for want of room makes none");
    assert_eq!(world.relay.counters().refused[Refusal::RecordsFull.index()], 1);
    // What is open ends as ever, and leaves its record.
    world.answer(sent, CommandStatus::ESME_RINVDSTADR, b"");
    world.submit_record();
    // Nothing parked is handed out, until there is room.
    let bound = world.relay.customer_bound(world.now, account(), LinkKey(9), BindKind::Receiver, 10);
    assert!(bound);
    world.pass(5_000);
    assert_eq!(world.store_ops().len(), 0);
    world.relay.set_records_full(false);
    world.pass(5_000);
    assert!(matches!(world.store_ops()[0], StoreOp::Unpark { .. }));
    world.outputs();
    world.submit();
    world.sent();
}

#[test]
fn a_configuration_that_wants_records_from_now_on_begins_with_new_messages() {
    let mut world = World::new(|input| input.records = false);
    world.submit();
    let sent = world.sent();
    let recording = World::new(|_| {}).relay.snapshot().clone();
    world.relay.apply_snapshot(world.now, recording);
    world.submit();
    let second = world.sent();
    world.answer(sent, CommandStatus::ESME_RINVDSTADR, b"");
    assert_eq!(world.records(), []);
    world.answer(second, CommandStatus::ESME_RINVDSTADR, b"");
    world.submit_record();
}

/// One that fits the messages of [`World::submit`], from the first vendor.
fn fitting_receipt(world: &mut World) {
    let pdu = DeliverSm {
        source: Address { digits: b"12025550123", ..Address::default() },
        destination: Address { digits: b"ACME", ..Address::default() },
        esm_class: EsmClass::RECEIPT,
        short_message: RECEIPT,
        ..DeliverSm::default()
    };
    let mut bytes = bytes::BytesMut::new();
    Pdu::DeliverSm(pdu).encode(OK, 7, &mut bytes);
    let frame = Frame::whole(&bytes).expect("one PDU");
    let pdu = DeliverSm::decode(frame, &Dialect::strict()).expect("well-formed");
    world.relay.handle_deliver(world.arrival(WEST), frame, &pdu);
    world.store_answers(None);
    world.store_answers(None); // it is kept
    world.pass(100); // the second look
    world.store_answers(None);
}

fn lose(world: &mut World) {
    world.submit();
    let (_, message) = world.sent();
    world.relay.handle_expired(world.now, message);
}

#[test]
fn a_receipt_that_tells_an_outcome_makes_a_record() {
    let mut world = World::new(|input| input.accounts[0].unknown_outcome = UnknownOutcome::Fail);
    lose(&mut world);
    let submit = world.submit_record();
    assert_eq!(submit.state, MessageState::Unknown);
    fitting_receipt(&mut world);
    let records = world.records();
    let [Record { kind: RecordKind::Resolved(resolved), .. }] = records[..] else { panic!("{records:?}") };
    assert_eq!((Some(resolved.gateway_id), resolved.account), (submit.gateway_id, account()));
    assert_eq!((resolved.vendor, resolved.state), (vendor("west"), MessageState::Acked));
    assert_eq!(resolved.vendor_message_id.as_ref().map(|id| id.as_bytes()), Some(&b"A7"[..]));
    for _ in 0..100 {
        world.pass(50);
        world.store_answers(None);
    }
    let orphan = world.delivery_record();
    assert_eq!((orphan.outcome, orphan.gateway_id), (DeliveryOutcome::Early, submit.gateway_id));
}

#[test]
fn a_duplicate_makes_a_record_with_the_earlier_id_once() {
    let mut world = World::new(|input| input.accounts[0].deduplicate = Deduplicate::Content);
    world.submit();
    let sent = world.sent();
    world.answer(sent, OK, b"A7");
    world.store_answers(None);
    let first = world.submit_record();
    world.submit();
    let records = world.records();
    let [Record { kind: RecordKind::Duplicate(second), .. }] = records[..] else { panic!("{records:?}") };
    assert_eq!((second.gateway_id, second.account), (first.gateway_id, Some(account())));
    assert_eq!((second.customer_status, second.copies), (Some(OK), 0));
}

fn spooling() -> World {
    World::new(|input| {
        input.accounts[0].mode = Mode::StoreAndForward;
        input.spool = Some(SpoolRules::default());
        input.routes.truncate(1);
    })
}

/// Submits, and the spool keeps it; the message as the spool has it.
fn spooled(world: &mut World) -> SpoolEntry {
    world.submit();
    assert_eq!(world.records(), [], "not acknowledged yet");
    let accept =
        std::iter::from_fn(|| world.relay.poll_spool()).find(|op| matches!(op, SpoolOp::Accept { .. }));
    let Some(SpoolOp::Accept { message, gateway_id, account, accepted_at, pdu, .. }) = accept else {
        panic!("{accept:?}")
    };
    let kept = pdu.clone();
    world.pass(7);
    let accepted = SpoolAnswer::Accepted { message, gateway_id, outcome: Ok(()), pdu };
    world.relay.handle_spool_answer(world.now, accepted);
    let left = Duration::from_secs(60);
    SpoolEntry {
        gateway_id,
        account,
        accepted_at,
        left,
        tries: 0,
        unknown_copies: 0,
        is_last: false,
        fate: None,
        pdu: kept,
    }
}

fn hand_out(world: &mut World, entry: SpoolEntry) {
    let due = SpoolAnswer::Due { unix_seconds: entry.accepted_at, entries: vec![entry], more: false };
    world.relay.handle_spool_answer(world.now, due);
}

fn settled_record(records: &[Record]) -> SettledRecord {
    let [Record { kind: RecordKind::Settled(record), .. }, ..] = *records else { panic!("{records:?}") };
    record
}

#[test]
fn a_spooled_message_makes_a_record_when_acknowledged_and_one_when_settled() {
    let mut world = spooling();
    let entry = spooled(&mut world);
    let sent = world.sent();
    let submit = world.submit_record();
    assert_eq!((submit.state, submit.customer_status), (MessageState::Admitted, Some(OK)));
    assert_eq!((submit.gateway_id, submit.answered_after.as_millis()), (Some(entry.gateway_id), 7));
    world.answer(sent, CommandStatus::ESME_RSYSERR, b"");
    assert_eq!(world.records(), [], "deferred is not ended");
    hand_out(&mut world, SpoolEntry { tries: 1, ..entry });
    let sent = world.sent();
    world.answer(sent, OK, b"A7");
    world.store_answers(None);
    let records = world.records();
    assert_eq!(records.len(), 1);
    let settled = settled_record(&records);
    assert_eq!((Some(settled.gateway_id), settled.account), (submit.gateway_id, account()));
    assert_eq!((settled.vendor, settled.tries, settled.fate), (Some(vendor("west")), 2, None));
    assert_eq!(settled.vendor_message_id.as_ref().map(|id| id.as_bytes()), Some(&b"A7"[..]));
    assert_eq!((settled.state(), settled.status), (MessageState::Acked, Some(OK)));
}

#[test]
fn a_fate_makes_a_record_and_so_does_our_receipt() {
    let mut world = spooling();
    let entry = spooled(&mut world);
    let sent = world.sent();
    world.submit_record();
    world.answer(sent, CommandStatus::ESME_RINVDSTADR, b"");
    let records = world.records();
    assert_eq!(records.len(), 1);
    let settled = settled_record(&records);
    assert_eq!((settled.fate, settled.tries), (Some(NetworkState::Undeliverable), 1));
    assert_eq!(settled.status, Some(CommandStatus::ESME_RINVDSTADR));
    let delivery = world.delivery_sent();
    world.relay.customer_answered(world.now, delivery, OK);
    let record = world.delivery_record();
    assert_eq!((record.gateway_id, record.account), (Some(entry.gateway_id), Some(account())));
    assert_eq!((record.vendor, record.outcome), (None, DeliveryOutcome::Taken));
    assert_eq!(record.receipt.and_then(|receipt| receipt.state), Some(NetworkState::Undeliverable));

    // Its time ran out in the spool; told in vain before, it makes none.
    let mut world = spooling();
    let entry = spooled(&mut world);
    let sent = world.sent();
    world.submit_record();
    world.answer(sent, CommandStatus::ESME_RSYSERR, b"");
    let copy = SpoolEntry { pdu: entry.pdu.clone(), tries: 3, ..entry };
    hand_out(&mut world, SpoolEntry { left: Duration::ZERO, tries: 2, ..entry });
    let records = world.records();
    assert_eq!(records.len(), 1);
    let settled = settled_record(&records);
    assert_eq!((settled.fate, settled.tries), (Some(NetworkState::Expired), 2));
    assert_eq!(settled.state(), MessageState::ExpiredUnsent);
    let fate = relay::Fate { state: NetworkState::Expired, status: OK };
    hand_out(&mut world, SpoolEntry { fate: Some(fate), ..copy });
    assert_eq!(world.records(), []);
}

#[test]
fn a_spool_that_is_late_makes_the_ordinary_record() {
    let mut world = spooling();
    world.submit();
    world.pass(6_000);
    let record = world.submit_record();
    assert_eq!((record.state, record.refusal), (MessageState::ExpiredUnsent, None));
    assert_eq!(record.customer_status, Some(CommandStatus::ESME_RUNKNOWNERR));
}
