//! Store and forward, the relay driven directly: when a customer is answered, what comes back from the spool, what the
//! gateway's own receipts say, and what a drain and a restart leave.

use gateway_relay as relay;
use relay::{
    Account, AccountId, Arrival, Correlate, Fate, Limits, LinkKey, MessageKey, Mode, Output, Relay,
    RelayOptions, Route, ShardIndex, ShardMessage, Snapshot, SnapshotInput, SpoolAnswer, SpoolEntry, SpoolOp,
    SpoolOutage, SpoolRules, StoreAnswer, StoreOp, UNTIL_ITS_END, UnknownOutcome, Vendor, VendorId,
    WeightedVendor,
};
use smpp::dialect::Dialect;
use smpp::field::{Address, CommandStatus, MessageState, RegisteredDelivery};
use smpp::pdu::{BindKind, DeliverSm, Pdu, SubmitSm};
use smpp::text::message_id::GatewayId;
use smpp::text::receipt::receipt_of;
use smpp::time::Instant;
use smpp::wire::Frame;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

const CUSTOMER: LinkKey = LinkKey(1);
const BIND: LinkKey = LinkKey(2);
const OTHER_BIND: LinkKey = LinkKey(3);
const START: Instant = Instant::from_nanos(1_000_000_000);
const UNIX: u32 = 1_800_000_000;
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(300);

/// A relay with its surroundings: a spool and a store that answer when asked, and a clock.
struct World {
    relay: Relay,
    now: Instant,
    spool: BTreeMap<GatewayId, SpoolEntry>,
    lent: BTreeSet<GatewayId>,
    due: BTreeMap<GatewayId, Instant>,
    /// Those that no vendor's return makes due.
    to_its_end: BTreeSet<GatewayId>,
    outage: Option<SpoolOutage>,
    /// Answers are held back while this is true.
    slow: bool,
    held: VecDeque<SpoolAnswer>,
    /// Statuses of the last `Defer`, in order: pause, tries.
    deferred: Vec<(Duration, u16)>,
    hastened: usize,
    answers: Vec<(u32, CommandStatus, Option<GatewayId>)>,
    sends: VecDeque<(LinkKey, MessageKey)>,
    receipts: Vec<Vec<u8>>,
    parked: usize,
    /// Of the submits to come.
    priority: u8,
    /// Whether what the store kept is urgent, in order.
    urgent: Vec<bool>,
    store_works: bool,
    remembered: usize,
    drained: bool,
}

impl World {
    fn new() -> World {
        World::with(UnknownOutcome::RetryOther, Limits::default(), Correlate::Strict)
    }

    fn with(unknown_outcome: UnknownOutcome, limits: Limits, correlate: Correlate) -> World {
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
        let input = SnapshotInput {
            accounts: vec![Account {
                mode: Mode::StoreAndForward,
                unknown_outcome,
                ..Account::new("customer")
            }],
            vendors: vendors.iter().map(|name| Vendor::new(name)).collect(),
            routes: vendors.iter().enumerate().map(route).collect(),
            limits,
            correlate,
            spool: Some(SpoolRules {
                validity: Duration::from_secs(3600),
                retry_first: FIRST,
                retry_max: LONGEST,
                ..SpoolRules::default()
            }),
            ..SnapshotInput::default()
        };
        let snapshot = Arc::new(Snapshot::compile(input).expect("no mistake"));
        let options =
            RelayOptions { node: 1, shard: ShardIndex(0), shards: 1, started_at: Duration::ZERO, seed: 1 };
        let mut world = World {
            relay: Relay::new(options, snapshot),
            now: START,
            spool: BTreeMap::new(),
            lent: BTreeSet::new(),
            due: BTreeMap::new(),
            to_its_end: BTreeSet::new(),
            outage: None,
            slow: false,
            held: VecDeque::new(),
            deferred: Vec::new(),
            hastened: 0,
            answers: Vec::new(),
            sends: VecDeque::new(),
            receipts: Vec::new(),
            parked: 0,
            priority: 0,
            urgent: Vec::new(),
            store_works: true,
            remembered: 0,
            drained: false,
        };
        world.bind_customer();
        world
    }

    fn bind_customer(&mut self) {
        let account = AccountId::of_name(b"customer");
        assert!(self.relay.customer_bound(self.now, account, CUSTOMER, BindKind::Transceiver, 100));
        self.pump();
    }

    fn bind(&mut self, vendor: &str, link: LinkKey) {
        let vendor = VendorId::of_name(vendor.as_bytes());
        assert!(self.relay.vendor_bound(self.now, vendor, link, BindKind::Transceiver, 10));
        self.pump();
    }

    fn unix(&self) -> u32 {
        UNIX + self.now.saturating_since(START).as_secs() as u32
    }

    /// Time passes in steps in which the relay ticks.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = (self.now + Duration::from_millis(50)).min(end);
            self.relay.handle_tick(self.now);
            self.pump();
        }
    }

    fn submit(&mut self, sequence: u32, validity: &[u8], registered: u8) {
        let submit = SubmitSm {
            source: Address { digits: b"4420", ..Address::default() },
            destination: Address { digits: b"12025550123", ..Address::default() },
            validity_period: validity,
            registered_delivery: RegisteredDelivery(registered),
            priority_flag: self.priority,
            short_message: b"hello",
            ..SubmitSm::default()
        };
        let mut bytes = bytes::BytesMut::new();
        Pdu::SubmitSm(submit).encode(CommandStatus::ESME_ROK, sequence, &mut bytes);
        let arrival = Arrival {
            now: self.now,
            unix_seconds: u64::from(self.unix()),
            link: CUSTOMER,
            over_window: false,
        };
        self.relay.handle_submit(arrival, Frame::whole(&bytes).expect("one PDU"), &submit);
        self.pump();
    }

    /// The vendor's answer to the copy sent first.
    fn answer(&mut self, status: CommandStatus) {
        let (link, message) = self.sends.pop_front().expect("a copy was sent");
        self.relay.handle_answer(self.now, link, message, status, b"77");
        self.pump();
    }

    fn pump(&mut self) {
        loop {
            let mut busy = false;
            while let Some(output) = self.relay.poll() {
                busy = true;
                self.output(output);
            }
            while let Some(op) = self.relay.poll_store() {
                busy = true;
                self.store(op);
            }
            while let Some(op) = self.relay.poll_spool() {
                busy = true;
                if let Some(answer) = self.keep(op) {
                    self.held.push_back(answer);
                }
            }
            while !self.slow
                && let Some(answer) = self.held.pop_front()
            {
                busy = true;
                self.relay.handle_spool_answer(self.now, answer);
            }
            if !busy {
                return;
            }
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::SendSubmit { link, message } => self.sends.push_back((link, message)),
            Output::AnswerSubmit { sequence, status, message_id, .. } => {
                self.answers.push((sequence, status, message_id));
            }
            Output::SendDeliver { delivery, .. } => {
                self.receipts.push(self.relay.delivery_bytes(delivery).to_vec());
                self.relay.customer_answered(self.now, delivery, CommandStatus::ESME_ROK);
            }
            Output::Drained => self.drained = true,
            Output::AnswerDeliver { .. } => panic!("no vendor delivers here"),
        }
    }

    fn store(&mut self, op: StoreOp) {
        let answer = match op {
            op if !self.store_works => op.away(),
            StoreOp::Remember { message, correlation, .. } => {
                assert!(self.lent.contains(&correlation.gateway_id), "not settled before its correlation");
                self.remembered += 1;
                self.urgent.push(correlation.urgent);
                Some(StoreAnswer::Remembered { message, outcome: Ok(()) })
            }
            StoreOp::Park { delivery, account, urgent, pdu } => {
                self.parked += 1;
                self.urgent.push(urgent);
                self.receipts.push(pdu.clone());
                Some(StoreAnswer::Parked { delivery, account, outcome: Ok(()), pdu })
            }
            StoreOp::Unpark { account, .. } => {
                Some(StoreAnswer::Unparked { account, entries: Vec::new(), more: false })
            }
            _ => None,
        };
        if let Some(answer) = answer {
            self.relay.handle_store_answer(self.now, answer);
        }
    }

    /// What the contract of the spool says, in the plainest way.
    fn keep(&mut self, op: SpoolOp) -> Option<SpoolAnswer> {
        match op {
            SpoolOp::Accept { message, gateway_id, account, accepted_at, expires_at, pdu } => {
                let outcome = self.outage.map_or(Ok(()), Err);
                if outcome.is_ok() {
                    let left = Duration::from_secs(u64::from(expires_at - accepted_at));
                    self.due.insert(gateway_id, self.now + left);
                    self.lent.insert(gateway_id);
                    let (tries, unknown_copies, is_last) = (0, 0, false);
                    let (fate, pdu) = (None, pdu.clone());
                    let entry = SpoolEntry {
                        gateway_id,
                        account,
                        accepted_at,
                        left,
                        tries,
                        unknown_copies,
                        is_last,
                        fate,
                        pdu,
                    };
                    assert!(self.spool.insert(gateway_id, entry).is_none());
                }
                Some(SpoolAnswer::Accepted { message, gateway_id, outcome, pdu })
            }
            SpoolOp::Settle { gateway_id } => {
                assert!(self.lent.remove(&gateway_id), "settled once, and only while it is lent");
                assert!(self.spool.remove(&gateway_id).is_some());
                None
            }
            SpoolOp::Defer { gateway_id, after, tries, unknown_copies, fate } => {
                assert!(self.lent.remove(&gateway_id), "deferred only while it is lent");
                self.deferred.push((after, tries));
                let entry = self.spool.get_mut(&gateway_id).expect("it is there");
                (entry.tries, entry.fate) = (tries, fate);
                (entry.unknown_copies, entry.is_last) = (unknown_copies, false);
                if after == UNTIL_ITS_END {
                    self.to_its_end.insert(gateway_id);
                }
                let end = START + Duration::from_secs(u64::from(entry.accepted_at - UNIX)) + entry.left;
                let due = match after {
                    UNTIL_ITS_END => end,
                    _ if fate.is_some() => self.now + after,
                    _ => (self.now + after).min(end),
                };
                self.due.insert(gateway_id, due);
                None
            }
            SpoolOp::Sending { message, gateway_id, unknown_copies } => {
                Some(self.note(message, gateway_id, unknown_copies))
            }
            SpoolOp::Due { count_max } => {
                let (now, lent) = (self.now, &mut self.lent);
                let due: Vec<GatewayId> = self
                    .spool
                    .keys()
                    .filter(|id| !lent.contains(id) && self.due[id] <= now)
                    .take(count_max as usize)
                    .copied()
                    .collect();
                lent.extend(&due);
                let entries = due.iter().map(|id| self.entry(*id)).collect();
                Some(SpoolAnswer::Due { unix_seconds: self.unix(), entries, more: false })
            }
            SpoolOp::Hasten => {
                self.hastened += 1;
                let due = self.due.iter_mut().filter(|(id, _)| !self.to_its_end.contains(id));
                due.for_each(|(_, due)| *due = self.now);
                None
            }
        }
    }

    fn note(&mut self, message: MessageKey, gateway_id: GatewayId, unknown_copies: u8) -> SpoolAnswer {
        assert!(self.lent.contains(&gateway_id), "it is lent");
        let outcome = self.outage.map_or(Ok(()), Err);
        if outcome.is_ok() {
            let entry = self.spool.get_mut(&gateway_id).expect("it is there");
            (entry.unknown_copies, entry.is_last) = (unknown_copies + 1, true);
        }
        SpoolAnswer::Noted { message, gateway_id, outcome }
    }

    fn entry(&self, id: GatewayId) -> SpoolEntry {
        let kept = &self.spool[&id];
        let end = START + Duration::from_secs(u64::from(kept.accepted_at - UNIX)) + kept.left;
        SpoolEntry {
            gateway_id: kept.gateway_id,
            account: kept.account,
            accepted_at: kept.accepted_at,
            left: end.saturating_since(self.now),
            tries: kept.tries,
            unknown_copies: kept.unknown_copies,
            is_last: kept.is_last,
            fate: kept.fate,
            pdu: kept.pdu.clone(),
        }
    }

    /// State and error of the only receipt; its id must be that of the customer's answer.
    fn the_receipt(&self) -> (MessageState, Vec<u8>) {
        assert_eq!(self.receipts.len(), 1, "one receipt");
        let deliver =
            DeliverSm::decode(Frame::whole(&self.receipts[0]).unwrap(), &Dialect::strict()).unwrap();
        assert_eq!((deliver.source.digits, deliver.destination.digits), (&b"12025550123"[..], &b"4420"[..]));
        let receipt = receipt_of(&deliver).expect("a receipt");
        let id = self.answers[0].2.expect("accepted");
        assert_eq!(receipt.id.map(|id| id.value.to_vec()), Some(id.text().to_vec()));
        let text = String::from_utf8_lossy(deliver.short_message).into_owned();
        let error = text.split("err:").nth(1).unwrap().split(' ').next().unwrap().as_bytes().to_vec();
        (receipt.state.expect("a state").value, error)
    }

    fn is_settled(&self) -> bool {
        self.spool.is_empty() && self.relay.is_empty() && self.relay.counters().spool.open == 0
    }
}

#[test]
fn a_customer_is_answered_by_the_spool_and_a_vendor_settles() {
    let mut world = World::new();
    world.bind("west", BIND);
    world.slow = true;
    world.submit(1, b"", 1);
    assert!(world.answers.is_empty() && world.sends.is_empty(), "nothing before it is durable");
    world.slow = false;
    world.pump();
    let [(1, CommandStatus::ESME_ROK, Some(_))] = world.answers[..] else { panic!("{:?}", world.answers) };
    assert_eq!((world.sends.len(), world.spool.len()), (1, 1));
    world.answer(CommandStatus::ESME_ROK);
    assert_eq!(world.remembered, 1);
    assert!(world.is_settled());
    let spool = world.relay.counters().spool;
    assert_eq!((spool.accepted, spool.settled, spool.deferred), (1, 1, 0));
    assert_eq!(world.relay.counters().traffic.submits_accepted, 1);
}

#[test]
fn a_full_or_broken_spool_refuses() {
    for (outage, status) in
        [(SpoolOutage::Full, CommandStatus::ESME_RMSGQFUL), (SpoolOutage::Away, CommandStatus::ESME_RSYSERR)]
    {
        let mut world = World::new();
        world.bind("west", BIND);
        world.outage = Some(outage);
        world.submit(1, b"", 1);
        assert_eq!(world.answers, [(1, status, None)]);
        assert!(world.sends.is_empty() && world.is_settled());
    }
}

#[test]
fn a_message_without_a_route_is_refused_at_once() {
    let mut world = World::new();
    let submit =
        SubmitSm { destination: Address { digits: b"99", ..Address::default() }, ..SubmitSm::default() };
    let mut bytes = bytes::BytesMut::new();
    Pdu::SubmitSm(submit).encode(CommandStatus::ESME_ROK, 5, &mut bytes);
    let arrival = Arrival { now: START, unix_seconds: u64::from(UNIX), link: CUSTOMER, over_window: false };
    world.relay.handle_submit(arrival, Frame::whole(&bytes).unwrap(), &submit);
    world.pump();
    assert_eq!(world.answers, [(5, CommandStatus::ESME_RINVDSTADR, None)]);
    assert!(world.is_settled());
}

#[test]
fn a_spool_that_takes_too_long_is_no_refusal_and_the_late_message_is_dropped() {
    let mut world = World::new();
    world.bind("west", BIND);
    world.slow = true;
    world.submit(1, b"", 1);
    world.pass(Duration::from_secs(6));
    // Its files may have the message: after a kill now the next process would send it.
    assert_eq!(world.answers, [(1, CommandStatus::ESME_RUNKNOWNERR, None)]);
    assert_eq!(world.relay.counters().spool.late, 1);
    world.slow = false;
    world.pump();
    assert!(world.sends.is_empty() && world.is_settled(), "nobody waits for it, so it does not go out");
}

#[test]
fn a_customer_that_went_before_its_answer_owes_nothing() {
    let mut world = World::new();
    world.bind("west", BIND);
    world.slow = true;
    world.submit(1, b"", 1);
    world.relay.customer_closed(world.now, CUSTOMER, &[]);
    world.slow = false;
    world.pump();
    assert!(world.sends.is_empty() && world.is_settled(), "it sends again what was not acknowledged");
    assert_eq!(world.relay.counters().traffic.submits_abandoned, 1);
}

/// A message whose vendors say this, and how long it then waits for the second and third time.
fn check_retry(status: CommandStatus, first: Duration) {
    let mut world = World::new();
    world.bind("west", BIND);
    world.bind("east", OTHER_BIND);
    world.submit(1, b"", 1);
    for round in 1..=2 {
        for vendor in 0..2 {
            assert_eq!(world.sends.len(), 1, "{status:?}: each vendor once in round {round}, now {vendor}");
            world.answer(status);
        }
        let pauses = first * (1 << (round - 1))..=first * (1 << (round - 1)) * 5 / 4;
        let (after, tries) = *world.deferred.last().expect("deferred");
        assert!(pauses.contains(&after), "{status:?} round {round}: {after:?}");
        assert_eq!((usize::from(tries), world.deferred.len()), (round, round));
        assert!(world.sends.is_empty() && world.relay.is_empty());
        world.pass(after + Duration::from_secs(1));
    }
    world.answer(CommandStatus::ESME_ROK);
    assert!(world.is_settled());
    assert_eq!(world.answers.len(), 1, "answered once");
}

#[test]
fn temporary_errors_are_tried_again_by_status() {
    check_retry(CommandStatus::ESME_RSYSERR, FIRST);
    check_retry(CommandStatus::ESME_RX_T_APPN, FIRST);
    check_retry(CommandStatus::ESME_RMSGQFUL, Duration::from_secs(1));
    check_retry(CommandStatus::ESME_RTHROTTLED, Duration::from_secs(1));
}

#[test]
fn the_pause_grows_to_its_longest() {
    let mut world = World::new();
    world.submit(1, b"000100000000000R".as_slice(), 1); // a month: cut to seven days
    for _ in 0..12 {
        world.pass(Duration::from_secs(380));
    }
    let (after, _) = *world.deferred.last().unwrap();
    assert!((LONGEST..=LONGEST * 5 / 4).contains(&after), "{after:?}");
    let entry = world.spool.values().next().unwrap();
    assert_eq!(entry.left, Duration::from_secs(7 * 86_400));
}

#[test]
fn a_vendor_that_comes_back_gets_what_waits() {
    let mut world = World::new();
    for sequence in 1..=5 {
        world.submit(sequence, b"", 0);
    }
    assert_eq!((world.answers.len(), world.deferred.len()), (5, 5), "no vendor: accepted all the same");
    world.bind("west", BIND);
    assert_eq!(world.hastened, 1);
    world.pass(Duration::from_millis(200));
    assert_eq!(world.sends.len(), 5);
    while !world.sends.is_empty() {
        world.answer(CommandStatus::ESME_ROK);
    }
    assert!(world.is_settled());
}

#[test]
fn a_permanent_error_is_told_once() {
    for (status, state, error) in [
        (CommandStatus::ESME_RINVDSTADR, MessageState::Undeliverable, &b"011"[..]),
        (CommandStatus(0x400), MessageState::Undeliverable, b"1024"),
        (CommandStatus::ESME_RX_R_APPN, MessageState::Rejected, b"102"),
    ] {
        let mut world = World::new();
        world.bind("west", BIND);
        world.submit(1, b"", 1);
        world.answer(status);
        assert_eq!(world.the_receipt(), (state, error.to_vec()));
        assert!(world.is_settled());
        world.pass(Duration::from_secs(700));
        assert_eq!((world.receipts.len(), world.sends.len()), (1, 0));
        assert_eq!(world.relay.counters().spool.failed, 1);
    }
}

#[test]
fn who_asked_for_no_receipt_gets_none() {
    let mut world = World::new();
    world.bind("west", BIND);
    world.submit(1, b"", 0);
    world.answer(CommandStatus::ESME_RINVDSTADR);
    assert!(world.receipts.is_empty() && world.is_settled());
    assert_eq!(world.relay.counters().spool.failed, 1);
}

#[test]
fn validity_that_is_over_is_told() {
    let mut world = World::new();
    world.submit(1, b"000000000020000R", 1); // twenty seconds, no vendor
    world.pass(Duration::from_secs(19));
    assert!(world.receipts.is_empty());
    world.pass(Duration::from_secs(3));
    assert_eq!(world.the_receipt(), (MessageState::Expired, b"000".to_vec()));
    assert!(world.is_settled());
    assert_eq!(world.relay.counters().spool.expired, 1);
}

#[test]
fn what_is_left_of_the_validity_goes_to_the_vendor() {
    let mut world = World::new();
    world.submit(1, b"000000010000000R", 1); // an hour
    world.pass(Duration::from_secs(600));
    world.bind("west", BIND);
    world.pass(Duration::from_secs(1));
    let (_, message) = world.sends[0];
    let frame = Frame::whole(world.relay.bytes(message)).unwrap();
    let submit = SubmitSm::decode(frame, &Dialect::strict()).unwrap();
    let left = String::from_utf8_lossy(submit.validity_period).into_owned();
    assert!(left.starts_with("00000000495") || left.starts_with("00000000500"), "{left}");
}

#[test]
fn a_receipt_of_ours_is_parked_for_an_absent_customer() {
    let mut world = World::new();
    world.bind("west", BIND);
    world.submit(1, b"", 1);
    world.relay.customer_closed(world.now, CUSTOMER, &[]);
    world.answer(CommandStatus::ESME_RINVDSTADR);
    assert_eq!(world.parked, 1);
    assert_eq!(world.the_receipt().0, MessageState::Undeliverable);
    assert!(world.is_settled());
}

#[test]
fn a_receipt_that_cannot_be_parked_is_offered_again_without_another_copy() {
    let mut world = World::new();
    world.bind("west", BIND);
    world.submit(1, b"", 1);
    world.relay.customer_closed(world.now, CUSTOMER, &[]);
    world.store_works = false;
    world.answer(CommandStatus::ESME_RINVDSTADR);
    assert_eq!(world.spool.len(), 1, "owed");
    let fate = Fate { state: MessageState::Undeliverable, status: CommandStatus::ESME_RINVDSTADR };
    assert_eq!(world.spool.values().next().unwrap().fate, Some(fate));
    world.pass(Duration::from_secs(10));
    world.bind_customer();
    world.pass(Duration::from_secs(60));
    assert_eq!(world.the_receipt().0, MessageState::Undeliverable);
    assert!(world.sends.is_empty() && world.is_settled());
    assert_eq!(world.relay.counters().spool.failed, 1, "counted once");
}

#[test]
fn an_unknown_outcome_is_tried_again_or_told_as_the_policy_says() {
    let mut world = World::new();
    world.bind("west", BIND);
    world.submit(1, b"", 1);
    let (_, message) = world.sends.pop_front().unwrap();
    world.relay.handle_expired(world.now, message);
    world.pump();
    assert_eq!(world.spool.values().next().unwrap().unknown_copies, 1);
    world.pass(Duration::from_secs(8));
    // A copy may be with the vendor: its later no is not the whole truth.
    world.answer(CommandStatus::ESME_RINVDSTADR);
    assert_eq!(world.the_receipt().0, MessageState::Unknown);
    assert!(world.is_settled());

    let mut world = World::with(UnknownOutcome::Fail, Limits::default(), Correlate::Strict);
    world.bind("west", BIND);
    world.submit(1, b"", 1);
    let (_, message) = world.sends.pop_front().unwrap();
    world.relay.vendor_closed(world.now, BIND, &[message], &[]);
    world.pump();
    assert_eq!(world.the_receipt(), (MessageState::Unknown, b"255".to_vec()));
    assert!(world.is_settled());
    assert_eq!(world.relay.counters().spool.unknown, 1);
}

/// What the spool has written when a copy leaves is all that the next process knows of it.
#[test]
fn under_fail_a_copy_goes_after_it_was_noted() {
    let mut world = World::with(UnknownOutcome::Fail, Limits::default(), Correlate::Strict);
    world.bind("west", BIND);
    world.submit(1, b"", 1);
    assert_eq!(world.sends.len(), 1);
    let entry = world.spool.values().next().unwrap();
    assert_eq!((entry.unknown_copies, entry.is_last), (1, true));
    let mut world = another_life(world, UnknownOutcome::Fail, Limits::default());
    world.bind("west", BIND);
    world.pass(Duration::from_secs(600));
    assert!(world.sends.is_empty(), "no second copy after kill -9");
    assert_eq!(world.the_receipt(), (MessageState::Unknown, b"255".to_vec()));
    assert!(world.is_settled());
}

/// A no takes the note back: the message has not gone, and is tried again by another process too.
#[test]
fn what_a_vendor_refused_for_now_is_not_on_its_way() {
    let mut world = World::with(UnknownOutcome::Fail, Limits::default(), Correlate::Strict);
    world.bind("west", BIND);
    world.submit(1, b"", 1);
    world.answer(CommandStatus::ESME_RSYSERR);
    let entry = world.spool.values().next().unwrap();
    assert_eq!((entry.unknown_copies, entry.is_last), (0, false));
    let mut world = another_life(world, UnknownOutcome::Fail, Limits::default());
    world.bind("west", BIND);
    world.pass(Duration::from_secs(1));
    world.answer(CommandStatus::ESME_ROK);
    assert!(world.is_settled());
}

#[test]
fn what_waits_for_its_note_is_unsent() {
    for ends in ["the link", "the wait", "the spool"] {
        let mut world = World::with(UnknownOutcome::Fail, Limits::default(), Correlate::Strict);
        world.bind("west", BIND);
        world.submit(1, b"", 1);
        world.answer(CommandStatus::ESME_RSYSERR);
        world.pass(Duration::from_secs(4)); // its pause is 5 s
        world.slow = ends != "the spool";
        if ends == "the spool" {
            world.outage = Some(SpoolOutage::Away);
        } else {
            // What the spool hands out comes, and then nothing.
            world.due.values_mut().for_each(|due| *due = world.now);
            world.relay.handle_tick(world.now + Duration::from_secs(1));
            world.now = world.now + Duration::from_secs(1);
            world.pump();
            let due = world.held.pop_front().expect("handed out");
            world.relay.handle_spool_answer(world.now, due);
            world.pump();
        }
        assert!(world.sends.is_empty());
        match ends {
            "the link" => world.relay.vendor_closed(world.now, BIND, &[], &[]),
            "the wait" => world.pass(Duration::from_secs(6)),
            _ => world.pass(Duration::from_secs(4)),
        }
        world.pump();
        assert!(world.sends.is_empty() && world.relay.is_empty(), "{ends}: back in the spool");
        let entry = world.spool.values().next().unwrap();
        assert_eq!((entry.unknown_copies, entry.is_last), (0, false), "{ends}");
        assert_eq!(world.relay.counters().traffic.vendor_unknown, 0, "{ends}");
        world.held.clear();
        (world.slow, world.outage) = (false, None);
        let mut world = another_life(world, UnknownOutcome::Fail, Limits::default());
        world.bind("west", BIND);
        world.pass(Duration::from_secs(1));
        world.answer(CommandStatus::ESME_ROK);
        assert!(world.is_settled(), "{ends}");
    }
}

/// A vendor that takes everything and answers nothing delivers each copy; its binds come and go.
#[test]
fn copies_after_unknown_outcomes_are_bounded() {
    let mut world = World::new();
    world.bind("west", BIND);
    world.submit(1, b"", 1);
    let mut copies = 0;
    for second in 0..3_590 {
        if let Some((_, message)) = world.sends.pop_front() {
            copies += 1;
            world.relay.handle_expired(world.now, message);
            world.pump();
        }
        if second % 100 == 99 {
            world.relay.vendor_closed(world.now, BIND, &[], &[]);
            world.bind("west", BIND);
        }
        world.pass(Duration::from_secs(1));
    }
    assert_eq!(copies, 3, "the first one, and two after unknown outcomes");
    assert!(world.receipts.is_empty() && world.relay.is_empty(), "it waits in the spool");
    assert_eq!(world.relay.counters().spool.held, 1);
    world.pass(Duration::from_secs(15));
    assert_eq!(world.the_receipt().0, MessageState::Unknown);
    assert!(world.is_settled());
}

/// A spool that hands such a message out all the same, as after a restart, gets it back.
#[test]
fn what_has_copies_enough_is_not_sent_by_another_life() {
    let mut world = World::new();
    world.bind("west", BIND);
    world.submit(1, b"", 1);
    world.answer(CommandStatus::ESME_RSYSERR);
    let entry = world.spool.values_mut().next().unwrap();
    entry.unknown_copies = 3;
    world.pass(Duration::from_secs(60));
    assert!(world.sends.is_empty() && world.relay.is_empty());
    assert_eq!(world.deferred.last(), Some(&(UNTIL_ITS_END, 1)));
    world.spool.values_mut().next().unwrap().unknown_copies = 2;
    world.due.values_mut().for_each(|due| *due = world.now);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.sends.len(), 1, "one more may follow two");
}

/// Else a receipt about it could be taken for one about another message of these addresses.
#[test]
fn an_unknown_outcome_of_a_spooled_message_is_remembered_on_every_way() {
    for policy in [UnknownOutcome::Fail, UnknownOutcome::RetryOther] {
        let mut world = World::with(policy, Limits::default(), Correlate::Strict);
        world.bind("west", BIND);
        world.submit(1, b"", 1);
        world.submit(2, b"", 1);
        world.answer(CommandStatus::ESME_RSYSERR);
        let lose = |world: &mut World| {
            let (_, message) = world.sends.pop_front().unwrap();
            world.relay.handle_expired(world.now, message);
            world.pump();
        };
        lose(&mut world);
        assert_eq!(world.relay.counters().traffic.unresolved_open, 1, "on its first way");
        world.pass(Duration::from_secs(8));
        lose(&mut world);
        assert_eq!(world.relay.counters().traffic.unresolved_open, 2, "and after the spool");
    }
}

#[test]
fn priority_outlives_the_spool() {
    for priority in [0, 1] {
        let mut world = World::new();
        world.priority = priority;
        world.bind("west", BIND);
        world.submit(1, b"", 1);
        world.submit(2, b"", 1);
        world.answer(CommandStatus::ESME_RSYSERR);
        world.answer(CommandStatus::ESME_RSYSERR);
        world.pass(Duration::from_secs(8));
        world.answer(CommandStatus::ESME_ROK);
        // The other one fails for good, and its customer is away.
        world.relay.customer_closed(world.now, CUSTOMER, &[]);
        world.answer(CommandStatus::ESME_RINVDSTADR);
        assert_eq!(world.urgent, [priority > 0; 2], "a correlation, and a receipt of ours that was parked");
        assert!(world.is_settled());
    }
}

#[test]
fn an_unknown_outcome_on_another_shard_is_told() {
    let mut world = World::with(UnknownOutcome::Fail, Limits::default(), Correlate::Strict);
    let other = ShardIndex(1);
    let vendor = VendorId::of_name(b"west");
    world.relay.handle_shard_message(
        world.now,
        other,
        ShardMessage::VendorState { vendor, links: 1, window: 9 },
    );
    world.submit(1, b"", 1);
    let went = world.relay.poll_shard();
    assert!(matches!(went, Some((to, ShardMessage::Submit { .. })) if to == other), "{went:?}");
    world.relay.shard_gone(world.now, other);
    world.pump();
    world.pass(Duration::from_secs(30));
    assert_eq!(world.the_receipt(), (MessageState::Unknown, b"255".to_vec()));
    assert!(world.is_settled());
}

#[test]
fn a_copy_that_provably_never_left_is_no_second_copy() {
    let mut world = World::with(UnknownOutcome::Fail, Limits::default(), Correlate::Strict);
    world.bind("west", BIND);
    world.submit(1, b"", 1);
    let (_, message) = world.sends.pop_front().unwrap();
    world.relay.vendor_closed(world.now, BIND, &[], &[message]);
    world.pump();
    assert!(world.receipts.is_empty() && world.spool.len() == 1);
    world.bind("west", OTHER_BIND);
    world.pass(Duration::from_secs(1));
    world.answer(CommandStatus::ESME_ROK);
    assert!(world.is_settled());
}

#[test]
fn a_full_queue_sends_back_to_the_spool() {
    let limits = Limits { queue_max: 3, ..Limits::default() };
    let mut world = World::with(UnknownOutcome::Fail, limits, Correlate::Strict);
    world.bind("west", BIND);
    for sequence in 1..=20 {
        world.submit(sequence, b"", 0);
    }
    assert_eq!((world.answers.len(), world.sends.len(), world.deferred.len()), (20, 10, 7));
    assert!(world.answers.iter().all(|(_, status, _)| *status == CommandStatus::ESME_ROK));
    let mut taken = 0;
    for _ in 0..200 {
        while !world.sends.is_empty() {
            world.answer(CommandStatus::ESME_ROK);
            taken += 1;
        }
        world.pass(Duration::from_millis(100));
    }
    assert_eq!(taken, 20, "each once");
    assert!(world.is_settled());
}

#[test]
fn a_drain_answers_and_leaves_the_rest_in_the_spool() {
    let mut world = World::new();
    world.bind("west", BIND);
    world.submit(1, b"", 1);
    world.submit(2, b"", 1);
    world.slow = true;
    world.submit(3, b"", 1);
    world.relay.drain(world.now);
    world.pump();
    assert!(!world.drained);
    world.slow = false;
    world.pump();
    assert_eq!(world.answers.len(), 3, "what came before the drain is answered");
    assert_eq!(world.sends.len(), 2, "and what was not sent yet is not sent any more");
    world.answer(CommandStatus::ESME_ROK);
    world.answer(CommandStatus::ESME_RSYSERR);
    assert!(world.drained && world.relay.is_empty());
    assert_eq!(world.spool.len(), 2);
    world.pass(Duration::from_secs(400));
    assert!(world.sends.is_empty(), "no retries in a drain");
}

#[test]
fn another_life_takes_up_what_the_spool_has() {
    let mut world = World::new();
    world.bind("west", BIND);
    for sequence in 1..=600 {
        world.submit(sequence, b"", 1);
        if sequence % 2 == 0 && world.sends.len() > 5 {
            world.answer(CommandStatus::ESME_ROK);
        }
    }
    let left = world.spool.len();
    assert!(left > 300);
    let mut next = World::new();
    next.spool = world.spool;
    next.due = next.spool.keys().map(|id| (*id, START)).collect();
    next.bind("west", BIND);
    let mut taken = BTreeSet::new();
    for _ in 0..400 {
        while let Some((_, message)) = next.sends.front().copied() {
            let sequence = Frame::whole(next.relay.bytes(message)).unwrap().sequence_number();
            assert!(taken.insert(sequence), "each once");
            next.answer(CommandStatus::ESME_ROK);
        }
        next.pass(Duration::from_millis(50));
    }
    assert_eq!(taken.len(), left);
    assert!(next.is_settled());
    assert_eq!(next.remembered, left, "their receipts will find them");
}

#[test]
fn without_correlations_the_mode_works_and_a_receipt_waits_for_the_customer() {
    let mut world = World::with(UnknownOutcome::Fail, Limits::default(), Correlate::None);
    world.bind("west", BIND);
    world.submit(1, b"", 1);
    world.answer(CommandStatus::ESME_ROK);
    assert!(world.is_settled() && world.remembered == 0);
    world.answers.clear();
    world.submit(2, b"", 1);
    world.relay.customer_closed(world.now, CUSTOMER, &[]);
    world.answer(CommandStatus::ESME_RINVDSTADR);
    assert_eq!(world.spool.len(), 1, "nowhere to park it");
    world.pass(Duration::from_secs(20));
    world.bind_customer();
    world.pass(Duration::from_secs(60));
    assert_eq!(world.the_receipt().0, MessageState::Undeliverable);
    assert!(world.is_settled());
}

#[test]
fn a_receipt_of_ours_is_not_owed_for_ever() {
    let mut world = World::with(UnknownOutcome::Fail, Limits::default(), Correlate::None);
    world.bind("west", BIND);
    world.submit(1, b"", 1);
    world.relay.customer_closed(world.now, CUSTOMER, &[]);
    world.answer(CommandStatus::ESME_RINVDSTADR);
    world.now = world.now + Duration::from_secs(7 * 86_400 + 400);
    world.pass(Duration::from_secs(2));
    assert!(world.is_settled());
    assert_eq!(world.relay.counters().spool.receipts_lost, 1);
}

#[test]
fn more_than_a_shard_may_have_open_waits_in_the_spool() {
    let mut world = World::with(UnknownOutcome::Fail, Limits::default(), Correlate::None);
    let vendor = VendorId::of_name(b"west");
    assert!(world.relay.vendor_bound(world.now, vendor, BIND, BindKind::Transceiver, 10_000));
    let count = 5_000;
    for sequence in 1..=count {
        world.submit(sequence, b"", 0);
    }
    assert_eq!(world.sends.len(), 4_096);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.sends.len(), count as usize, "the rest came back at once, in a room of its own");
    while !world.sends.is_empty() {
        world.answer(CommandStatus::ESME_ROK);
    }
    assert!(world.is_settled());
}

/// The same number gives the same story.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// What vendors said about the messages of one story, by the sequence number of their submit.
#[derive(Default)]
struct Said {
    yes: BTreeSet<u32>,
    no_for_good: BTreeSet<u32>,
    unknown: BTreeSet<u32>,
}

fn sequence_of(world: &World, message: MessageKey) -> u32 {
    Frame::whole(world.relay.bytes(message)).expect("one PDU").sequence_number()
}

fn some_answer(world: &mut World, random: &mut Random, said: &mut Said) {
    let Some((link, message)) = world.sends.pop_front() else { return };
    let sequence = sequence_of(world, message);
    let statuses = [
        CommandStatus::ESME_ROK,
        CommandStatus::ESME_ROK,
        CommandStatus::ESME_RSYSERR,
        CommandStatus::ESME_RTHROTTLED,
        CommandStatus::ESME_RMSGQFUL,
        CommandStatus::ESME_RINVDSTADR,
    ];
    match random.below(8) {
        place @ 0..6 => {
            let status = statuses[place as usize];
            match status {
                CommandStatus::ESME_ROK => said.yes.insert(sequence),
                CommandStatus::ESME_RINVDSTADR => said.no_for_good.insert(sequence),
                _ => false,
            };
            world.relay.handle_answer(world.now, link, message, status, b"77");
        }
        6 => {
            said.unknown.insert(sequence);
            world.relay.handle_expired(world.now, message);
        }
        _ => {
            world.sends.push_front((link, message));
            let (lost, others) = world.sends.drain(..).partition::<Vec<_>, _>(|(other, _)| *other == link);
            world.sends = others.into();
            let (written, unsent) = lost.split_at(random.below(lost.len() as u64 + 1) as usize);
            let keys = |sends: &[(LinkKey, MessageKey)]| sends.iter().map(|send| send.1).collect::<Vec<_>>();
            let (written, unsent) = (keys(written), keys(unsent));
            said.unknown.extend(written.iter().map(|key| sequence_of(world, *key)));
            world.relay.vendor_closed(world.now, link, &written, &unsent);
        }
    }
    world.pump();
}

/// Everything may fail for a while; in the end each acknowledged message is with a vendor or its customer was told.
fn story(seed: u64) {
    let mut random = Random(seed);
    let policy = if seed.is_multiple_of(2) { UnknownOutcome::RetryOther } else { UnknownOutcome::Fail };
    let limits = Limits { queue_max: 5, ..Limits::default() };
    let mut world = World::with(policy, limits, Correlate::Strict);
    let (mut said, mut submitted, mut lives) = (Said::default(), 0, 0);
    for _ in 0..600 {
        match random.below(18) {
            16 => {
                world.relay.customer_closed(world.now, CUSTOMER, &[]);
                world.pump();
            }
            17 => bind_customer_if_away(&mut world),
            0..5 => {
                submitted += 1;
                world.submit(submitted, b"000001000000000R", 1);
            }
            5..11 => some_answer(&mut world, &mut random, &mut said),
            11 => bind_if_down(&mut world, "west", BIND),
            12 => bind_if_down(&mut world, "east", OTHER_BIND),
            13 => world.slow = random.below(2) == 0,
            14 => world.store_works = random.below(3) > 0,
            _ if random.below(10) == 0 => {
                // kill -9: what was on its way is anybody's guess, what the spool has is there again.
                said.unknown
                    .extend(world.sends.iter().map(|send| sequence_of(&world, send.1)).collect::<Vec<_>>());
                world = another_life(world, policy, limits);
                lives += 1;
            }
            _ => world.pass(Duration::from_millis(200)),
        }
        if random.below(3) == 0 {
            let ms = random.below(3_000);
            world.pass(Duration::from_millis(ms));
        }
    }
    (world.slow, world.store_works) = (false, true);
    bind_customer_if_away(&mut world);
    bind_if_down(&mut world, "west", BIND);
    for round in 0..4_000 {
        while let Some((link, message)) = world.sends.pop_front() {
            said.yes.insert(sequence_of(&world, message));
            world.relay.handle_answer(world.now, link, message, CommandStatus::ESME_ROK, b"77");
            world.pump();
        }
        if world.is_settled() {
            break;
        }
        if round < 3_000 {
            world.pass(Duration::from_millis(500));
        } else {
            // What has copies enough waits for the end of its day.
            world.now = world.now + Duration::from_secs(120);
            world.relay.handle_tick(world.now);
            world.pump();
        }
    }
    assert!(world.is_settled(), "seed {seed}: {} left after {lives} lives", world.spool.len());
    judge(seed, &world, &said, lives);
}

fn judge(seed: u64, world: &World, said: &Said, lives: u32) {
    let mut told: BTreeMap<Vec<u8>, MessageState> = BTreeMap::new();
    for receipt in &world.receipts {
        let deliver = DeliverSm::decode(Frame::whole(receipt).unwrap(), &Dialect::strict()).unwrap();
        let receipt = receipt_of(&deliver).expect("a receipt");
        told.insert(receipt.id.unwrap().value.to_vec(), receipt.state.unwrap().value);
    }
    assert!(world.answers.len() > 50, "seed {seed}: a story without traffic");
    for (sequence, status, id) in &world.answers {
        let Some(id) = id else {
            assert_ne!(*status, CommandStatus::ESME_ROK);
            continue;
        };
        match told.get(&id.text()[..]) {
            None => assert!(said.yes.contains(sequence), "seed {seed}: {sequence} reached nobody"),
            Some(MessageState::Undeliverable) => {
                assert!(said.no_for_good.contains(sequence), "seed {seed}: {sequence} has no such answer");
                // What was sent in an earlier life is not remembered.
                assert!(lives > 0 || !said.unknown.contains(sequence), "seed {seed}: {sequence} may be sent");
            }
            // A process may note that it sends a copy, and end before it does.
            Some(MessageState::Unknown) => {
                assert!(lives > 0 || said.unknown.contains(sequence), "seed {seed}");
            }
            Some(state) => panic!("seed {seed}: {sequence} is told as {state:?}"),
        }
    }
}

fn bind_if_down(world: &mut World, vendor: &str, link: LinkKey) {
    let vendor = VendorId::of_name(vendor.as_bytes());
    world.relay.vendor_bound(world.now, vendor, link, BindKind::Transceiver, 4);
    world.pump();
}

fn bind_customer_if_away(world: &mut World) {
    let account = AccountId::of_name(b"customer");
    world.relay.customer_bound(world.now, account, CUSTOMER, BindKind::Transceiver, 100);
    world.pump();
}

/// What a process that was killed leaves: the spool as of its last answers, and what the customer has heard.
fn another_life(old: World, policy: UnknownOutcome, limits: Limits) -> World {
    let mut world = World::with(policy, limits, Correlate::Strict);
    world.now = old.now + Duration::from_secs(1); // ids of a second are given once
    world.relay.handle_tick(world.now);
    world.due = old.spool.keys().map(|id| (*id, world.now)).collect();
    world.spool = old.spool;
    world.spool.values_mut().for_each(|entry| entry.tries = 0);
    (world.answers, world.receipts) = (old.answers, old.receipts);
    world
}

#[test]
fn every_acknowledged_message_ends_in_every_story() {
    for seed in 0..200 {
        story(seed);
    }
}
