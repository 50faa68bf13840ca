//! Receipts that no open message fits: their vendors are acknowledged once the store keeps them, and never wait.

use gateway_relay as relay;
use relay::{
    Account, AccountId, Arrival, Correlate, Correlation, EarlyReceipt, Finding, LinkKey, Output, Relay,
    RelayOptions, ShardIndex, Snapshot, SnapshotInput, StoreAnswer, StoreOp, StoreOutage, Vendor, VendorId,
};
use smpp::dialect::Dialect;
use smpp::field::{Address, CommandStatus, EsmClass};
use smpp::pdu::{BindKind, DeliverSm, Pdu};
use smpp::text::message_id::GatewayId;
use smpp::time::Instant;
use smpp::wire::Frame;
use std::sync::Arc;
use std::time::Duration;

const CUSTOMER: LinkKey = LinkKey(1);
const BIND: LinkKey = LinkKey(2);
const NOW: Instant = Instant::from_nanos(1_000_000_000);
const OK: CommandStatus = CommandStatus::ESME_ROK;

/// What the store says when it is asked.
#[derive(Clone, Copy)]
struct Says {
    found: Result<Finding, StoreOutage>,
    kept: Result<(), StoreOutage>,
}

struct World {
    relay: Relay,
    says: Says,
    sequence: u32,
    /// Receipts that the store keeps.
    kept: Vec<EarlyReceipt>,
    forgotten: u32,
    /// Receipts that the customer took.
    taken: u32,
    /// The vendor's answers.
    answers: Vec<CommandStatus>,
}

impl World {
    fn new() -> World {
        let input = SnapshotInput {
            accounts: vec![Account::new("customer")],
            vendors: vec![Vendor::new("west")],
            correlate: Correlate::Strict,
            ..SnapshotInput::default()
        };
        let snapshot = Arc::new(Snapshot::compile(input).expect("no mistake"));
        let options =
            RelayOptions { node: 1, shard: ShardIndex(0), shards: 1, started_at: Duration::ZERO, seed: 1 };
        let mut relay = Relay::new(options, snapshot);
        let account = AccountId::of_name(b"customer");
        assert!(relay.customer_bound(NOW, account, CUSTOMER, BindKind::Transceiver, 100));
        assert!(relay.vendor_bound(NOW, VendorId::of_name(b"west"), BIND, BindKind::Transceiver, 100));
        while relay.poll_store().is_some() {}
        let says = Says { found: Ok(Finding::Nothing), kept: Ok(()) };
        World { relay, says, sequence: 0, kept: Vec::new(), forgotten: 0, taken: 0, answers: Vec::new() }
    }

    /// A receipt from the vendor, and all that follows of it at once.
    fn receipt(&mut self, id: u32, stat: &str) {
        self.sequence += 1;
        let text = format!("id:{id} sub:001 dlvrd:001 stat:{stat} err:000 text:x");
        let deliver = DeliverSm {
            source: Address { digits: b"12025550123", ..Address::default() },
            destination: Address { digits: b"ACME", ..Address::default() },
            esm_class: EsmClass::RECEIPT,
            short_message: text.as_bytes(),
            ..DeliverSm::default()
        };
        let mut bytes = bytes::BytesMut::new();
        Pdu::DeliverSm(deliver).encode(OK, self.sequence, &mut bytes);
        let frame = Frame::whole(&bytes).expect("one PDU");
        let deliver = DeliverSm::decode(frame, &Dialect::strict()).expect("well-formed");
        let arrival = Arrival { now: NOW, unix_seconds: 2_000_000_000, link: BIND, over_window: false };
        self.relay.handle_deliver(arrival, frame, &deliver);
        self.pump();
    }

    fn pump(&mut self) {
        loop {
            let mut is_quiet = true;
            while let Some(op) = self.relay.poll_store() {
                is_quiet = false;
                let answer = match op {
                    StoreOp::Find { delivery, .. } => {
                        StoreAnswer::Found { delivery, outcome: self.says.found }
                    }
                    StoreOp::KeepEarly { delivery, receipt, pdu, .. } => {
                        assert!(self.answers.len() < self.sequence as usize, "not before it is kept");
                        self.kept.extend(self.says.kept.is_ok().then_some(receipt));
                        StoreAnswer::EarlyKept { delivery, outcome: self.says.kept, pdu }
                    }
                    StoreOp::Forget { .. } => {
                        self.forgotten += 1;
                        continue;
                    }
                    other => panic!("{other:?}"),
                };
                self.relay.handle_store_answer(NOW, answer);
            }
            while let Some(output) = self.relay.poll() {
                is_quiet = false;
                match output {
                    Output::AnswerDeliver { status, .. } => self.answers.push(status),
                    Output::SendDeliver { delivery, .. } => {
                        self.taken += 1;
                        self.relay.customer_answered(NOW, delivery, OK);
                    }
                    other => panic!("{other:?}"),
                }
            }
            if is_quiet {
                return;
            }
        }
    }
}

#[test]
fn strangers_receipts_are_kept_and_acknowledged_at_once() {
    let mut world = World::new();
    // Many more than deliveries that may be open: none of them stays here, and no time passes.
    let many = 20_000;
    for id in 0..many {
        world.receipt(id, "DELIVRD");
    }
    assert_eq!(world.answers.len(), many as usize);
    assert!(world.answers.iter().all(|status| *status == OK));
    assert_eq!(world.kept.len(), many as usize);
    assert!(world.kept.iter().all(|receipt| receipt.is_final));
    let traffic = world.relay.counters().traffic;
    assert_eq!((traffic.receipts_early, traffic.orphans, traffic.deliveries_refused), (many.into(), 0, 0));
    assert!(world.relay.is_empty());
}

#[test]
fn a_contradicted_receipt_waits_like_an_early_one() {
    let mut world = World::new();
    world.says.found = Ok(Finding::Contradicted);
    world.receipt(7, "ENROUTE");
    assert_eq!((world.kept.len(), world.kept[0].is_final, &world.answers[..]), (1, false, &[OK][..]));
    assert_eq!(world.relay.counters().traffic.receipts_contradicted, 1);
}

#[test]
fn what_the_store_cannot_keep_stays_with_the_vendor() {
    let mut world = World::new();
    world.says.kept = Err(StoreOutage::Away);
    world.receipt(7, "DELIVRD");
    assert_eq!(world.answers.len(), 1);
    assert_ne!(world.answers[0], OK);
    assert!(world.kept.is_empty() && world.relay.is_empty());
    // It was not done with: offered again, it is kept.
    world.says.kept = Ok(());
    world.receipt(7, "DELIVRD");
    assert_eq!((world.kept.len(), world.answers[1]), (1, OK));
}

#[test]
fn a_repeated_final_receipt_is_answered_at_once() {
    let mut world = World::new();
    let account = AccountId::of_name(b"customer");
    world.says.found = Ok(Finding::Fits(Correlation::new(account, GatewayId(7), 1)));
    world.receipt(7, "DELIVRD");
    assert_eq!((world.taken, world.forgotten), (1, 1));
    // Its correlation has gone, and the vendor did not get our answer.
    world.says.found = Ok(Finding::Nothing);
    world.receipt(7, "DELIVRD");
    assert_eq!(&world.answers[..], [OK, OK]);
    assert!(world.kept.is_empty(), "it is not an early one");
    // Another state of the same id says something new, and so does what is not final, however often it comes.
    world.receipt(7, "UNDELIV");
    world.receipt(8, "ENROUTE");
    world.receipt(8, "ENROUTE");
    assert_eq!(world.kept.len(), 3);
    // What waits is known as well.
    world.receipt(7, "UNDELIV");
    assert_eq!((world.kept.len(), world.answers.len(), world.taken), (3, 6, 1));
    assert_eq!(world.relay.counters().traffic.receipts_repeated, 2);
}
