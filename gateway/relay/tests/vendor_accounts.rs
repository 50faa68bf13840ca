//! Two entries of one account at an SMSC, one that submits and one that receives: ids, receipts, unknown outcomes,
//! parts of messages, rates and pauses are of the account.

use gateway_relay as relay;
use relay::{
    Account, AccountId, Arrival, Correlate, CorrelationKey, LinkKey, Output, Relay, RelayOptions, Route,
    ShardIndex, Snapshot, SnapshotInput, StoreAnswer, StoreOp, Vendor, VendorId, WeightedVendor,
};
use smpp::dialect::Dialect;
use smpp::field::{Address, CommandStatus, EsmClass, RegisteredDelivery};
use smpp::pdu::{BindKind, DeliverSm, Pdu, SubmitSm};
use smpp::time::Instant;
use smpp::wire::Frame;
use std::sync::Arc;
use std::time::Duration;

const CUSTOMER: LinkKey = LinkKey(1);
const TRANSMITTER: LinkKey = LinkKey(2);
const RECEIVER: LinkKey = LinkKey(3);
const START: Instant = Instant::from_nanos(1_000_000_000);
const OK: CommandStatus = CommandStatus::ESME_ROK;

struct World {
    relay: Relay,
    now: Instant,
    kept: Option<(CorrelationKey, relay::Correlation)>,
    taken: u32,
    early: u32,
}

impl World {
    /// With this account of both entries, or with none.
    fn new(account: Option<&str>) -> World {
        let entry = |name: &str| Vendor { account: account.map(Into::into), ..Vendor::new(name) };
        let weighted = WeightedVendor { vendor: VendorId::of_name(b"west-out"), weight: 1, price: None };
        let vendors = vec![entry("west-out"), entry("west-in")];
        World::with(vendors, vec![Route { prefix: "".into(), vendors: vec![weighted], ..Route::default() }])
    }

    fn with(vendors: Vec<Vendor>, routes: Vec<Route>) -> World {
        let input = SnapshotInput {
            accounts: vec![Account::new("customer")],
            vendors,
            routes,
            correlate: Correlate::Strict,
            ..SnapshotInput::default()
        };
        let snapshot = Arc::new(Snapshot::compile(input).expect("no mistake"));
        let options =
            RelayOptions { node: 1, shard: ShardIndex(0), shards: 1, started_at: Duration::ZERO, seed: 1 };
        let mut relay = Relay::new(options, snapshot);
        let customer = AccountId::of_name(b"customer");
        assert!(relay.customer_bound(START, customer, CUSTOMER, BindKind::Transceiver, 100));
        let (out, into) = (VendorId::of_name(b"west-out"), VendorId::of_name(b"west-in"));
        assert!(relay.vendor_bound(START, out, TRANSMITTER, BindKind::Transmitter, 100));
        assert!(relay.vendor_bound(START, into, RECEIVER, BindKind::Transceiver, 100));
        let mut world = World { relay, now: START, kept: None, taken: 0, early: 0 };
        world.pump();
        world
    }

    fn arrival(&self, link: LinkKey) -> Arrival {
        Arrival { now: self.now, unix_seconds: 2_000_000_000, link, over_window: false }
    }

    fn submit(&mut self) -> relay::MessageKey {
        let (link, message) = self.submit_to(b"12025550123").expect("a message");
        assert_eq!(link, TRANSMITTER);
        message
    }

    /// Where a message to this number went, if it did not wait.
    fn submit_to(&mut self, digits: &[u8]) -> Option<(LinkKey, relay::MessageKey)> {
        let submit = SubmitSm {
            source: Address { digits: b"4477", ..Address::default() },
            destination: Address { digits, ..Address::default() },
            registered_delivery: RegisteredDelivery::RECEIPT,
            short_message: b"hello",
            ..SubmitSm::default()
        };
        let mut bytes = bytes::BytesMut::new();
        Pdu::SubmitSm(submit).encode(OK, 1, &mut bytes);
        let arrival = self.arrival(CUSTOMER);
        self.relay.handle_submit(arrival, Frame::whole(&bytes).expect("one PDU"), &submit);
        std::iter::from_fn(|| self.relay.poll()).find_map(|output| match output {
            Output::SendSubmit { link, message } => Some((link, message)),
            _ => None,
        })
    }

    /// A receipt on the receiver.
    fn receipt(&mut self, id: &str) {
        let text = format!("id:{id} sub:001 dlvrd:001 stat:DELIVRD err:000 text:x");
        let deliver = DeliverSm {
            source: Address { digits: b"12025550123", ..Address::default() },
            destination: Address { digits: b"4477", ..Address::default() },
            esm_class: EsmClass::RECEIPT,
            short_message: text.as_bytes(),
            ..DeliverSm::default()
        };
        let mut bytes = bytes::BytesMut::new();
        Pdu::DeliverSm(deliver).encode(OK, 7, &mut bytes);
        let frame = Frame::whole(&bytes).expect("one PDU");
        let deliver = DeliverSm::decode(frame, &Dialect::strict()).expect("well-formed");
        let arrival = self.arrival(RECEIVER);
        self.relay.handle_deliver(arrival, frame, &deliver);
        self.pump();
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now = self.now + Duration::from_millis(milliseconds);
        self.relay.handle_tick(self.now);
        self.pump();
    }

    fn pump(&mut self) {
        loop {
            let mut is_quiet = true;
            while let Some(op) = self.relay.poll_store() {
                is_quiet = false;
                let answer = match op {
                    StoreOp::Remember { message, key, correlation } => {
                        self.kept = Some((key, correlation));
                        StoreAnswer::Remembered { message, outcome: Ok(()) }
                    }
                    StoreOp::Find { delivery, key, numbers } => {
                        let open = self.kept.filter(|(kept_under, _)| *kept_under == key);
                        let outcome = Ok(relay::choose(open.map(|(_, one)| one), &numbers));
                        StoreAnswer::Found { delivery, outcome }
                    }
                    StoreOp::KeepEarly { delivery, pdu, .. } => {
                        self.early += 1;
                        StoreAnswer::EarlyKept { delivery, outcome: Ok(()), pdu }
                    }
                    _ => continue,
                };
                self.relay.handle_store_answer(self.now, answer);
            }
            while let Some(output) = self.relay.poll() {
                is_quiet = false;
                if let Output::SendDeliver { delivery, .. } = output {
                    self.taken += 1;
                    self.relay.customer_answered(self.now, delivery, OK);
                }
            }
            if is_quiet {
                return;
            }
        }
    }
}

#[test]
fn a_receipt_on_the_receiver_finds_what_the_transmitter_sent() {
    for (account, taken) in [(Some("west"), 1), (Some("west-out"), 1), (None, 0)] {
        let mut world = World::new(account);
        let message = world.submit();
        world.relay.handle_answer(world.now, TRANSMITTER, message, OK, b"77");
        world.pump();
        let name = account.unwrap_or("west-out");
        assert_eq!(world.kept.map(|(key, _)| key.vendor), Some(VendorId::of_name(name.as_bytes())));
        world.receipt("77");
        assert_eq!((world.taken, world.early), (taken, 1 - taken), "{account:?}");
    }
}

#[test]
fn a_receipt_on_the_receiver_tells_an_unknown_outcome_of_the_transmitter() {
    for (account, resolved) in [(Some("west"), 1), (None, 0)] {
        let mut world = World::new(account);
        let message = world.submit();
        world.relay.handle_expired(world.now, message);
        world.pump();
        world.receipt("77");
        world.pass(60);
        world.pass(250);
        assert_eq!(world.relay.counters().traffic.unknowns_resolved, resolved, "{account:?}");
    }
}

/// Two entries that submit, each with its own route.
fn two_that_submit(account: Option<&str>, rate: u32) -> World {
    let entry = |name: &str| Vendor {
        account: account.map(Into::into),
        rate,
        burst: 1,
        throttle_pause: Duration::from_secs(1),
        ..Vendor::new(name)
    };
    let route = |prefix: &str, name: &str| {
        let vendor = VendorId::of_name(name.as_bytes());
        let vendors = vec![WeightedVendor { vendor, weight: 1, price: None }];
        Route { prefix: prefix.into(), vendors, ..Route::default() }
    };
    let vendors = vec![entry("west-out"), entry("west-in")];
    World::with(vendors, vec![route("1", "west-out"), route("2", "west-in")])
}

#[test]
fn a_pause_is_of_the_account() {
    for (account, waits) in [(Some("west"), true), (None, false)] {
        let mut world = two_that_submit(account, 0);
        let (link, message) = world.submit_to(b"12025550123").expect("nothing holds it");
        assert_eq!(link, TRANSMITTER);
        world.relay.handle_answer(world.now, TRANSMITTER, message, CommandStatus::ESME_RTHROTTLED, b"");
        world.pump();
        let other = world.submit_to(b"22025550123");
        assert_eq!(other.is_none(), waits, "{account:?}: {other:?}");
    }
}

#[test]
fn a_rate_is_of_the_account() {
    for (account, waits) in [(Some("west"), true), (None, false)] {
        let mut world = two_that_submit(account, 1);
        assert!(world.submit_to(b"12025550123").is_some(), "the first of the second");
        let other = world.submit_to(b"22025550123");
        assert_eq!(other.is_none(), waits, "{account:?}: {other:?}");
    }
}
