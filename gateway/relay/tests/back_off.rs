//! A customer that says not now to what was parked for it is asked at growing pauses, the relay driven directly.

use gateway_relay as relay;
use relay::{
    Account, AccountId, LinkKey, Output, ParkedEntry, ParkedId, Relay, RelayOptions, ShardIndex, Snapshot,
    SnapshotInput, StoreAnswer, StoreOp,
};
use smpp::field::CommandStatus;
use smpp::pdu::{BindKind, DeliverSm, Pdu};
use smpp::time::Instant;
use std::sync::Arc;
use std::time::Duration;

const CUSTOMER: LinkKey = LinkKey(1);
const START: Instant = Instant::from_nanos(1_000_000_000);
const TICK: Duration = Duration::from_millis(100);

/// A relay with one session of one customer, and a store that has one entry parked for it.
struct World {
    relay: Relay,
    now: Instant,
    is_lent: bool,
    /// When the entry was offered.
    offers: Vec<Duration>,
    status: CommandStatus,
    is_taken: bool,
}

impl World {
    fn new(status: CommandStatus) -> World {
        let input = SnapshotInput { accounts: vec![Account::new("customer")], ..SnapshotInput::default() };
        let snapshot = Arc::new(Snapshot::compile(input).expect("no mistake"));
        let options =
            RelayOptions { node: 1, shard: ShardIndex(0), shards: 1, started_at: Duration::ZERO, seed: 1 };
        let relay = Relay::new(options, snapshot);
        let mut world =
            World { relay, now: START, is_lent: false, offers: Vec::new(), status, is_taken: false };
        world.bind(CUSTOMER);
        world
    }

    fn bind(&mut self, link: LinkKey) {
        assert!(self.relay.customer_bound(self.now, account(), link, BindKind::Receiver, 10));
        self.pump();
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = self.now + TICK;
            self.relay.handle_tick(self.now);
            self.pump();
        }
    }

    fn pump(&mut self) {
        loop {
            if let Some(output) = self.relay.poll() {
                let Output::SendDeliver { delivery, .. } = output else { panic!("{output:?}") };
                self.offers.push(self.now.saturating_since(START));
                self.relay.customer_answered(self.now, delivery, self.status);
            } else if let Some(op) = self.relay.poll_store() {
                self.store(op);
            } else {
                return;
            }
        }
    }

    fn store(&mut self, op: StoreOp) {
        match op {
            StoreOp::Unpark { account, .. } => {
                let has = !self.is_lent && !self.is_taken;
                self.is_lent |= has;
                let entries = has.then(|| ParkedEntry { parked: ParkedId(1), pdu: pdu() });
                let entries = entries.into_iter().collect();
                let answer = StoreAnswer::Unparked { account, entries, more: false };
                self.relay.handle_store_answer(self.now, answer);
            }
            StoreOp::Return { .. } => self.is_lent = false,
            StoreOp::Release { .. } => self.is_taken = true,
            other => panic!("{other:?}"),
        }
    }
}

fn account() -> AccountId {
    AccountId::of_name(b"customer")
}

fn pdu() -> Vec<u8> {
    let mut bytes = bytes::BytesMut::new();
    Pdu::DeliverSm(DeliverSm::default()).encode(CommandStatus::ESME_ROK, 1, &mut bytes);
    bytes.to_vec()
}

#[test]
fn what_is_refused_for_now_is_offered_at_growing_pauses() {
    for status in
        [CommandStatus::ESME_RX_T_APPN, CommandStatus::ESME_RSYSERR, CommandStatus::ESME_RUNKNOWNERR]
    {
        let mut world = World::new(status);
        world.pass(Duration::from_secs(600));
        let pauses: Vec<Duration> = world.offers.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let seconds: Vec<u64> = pauses.iter().map(|pause| pause.as_millis().div_ceil(1000) as u64).collect();
        assert!(seconds.starts_with(&[1, 2, 4, 8, 16, 32, 60, 60]), "{status:?}: {pauses:?}");
        assert!(world.offers.len() < 20, "{status:?}: {} offers", world.offers.len());
        // Somebody who binds is asked at once, and then it begins anew.
        let before = world.offers.len();
        world.bind(LinkKey(2));
        assert!(world.offers.len() > before, "{status:?}");
        world.status = CommandStatus::ESME_ROK;
        world.pass(Duration::from_secs(2));
        assert!(world.is_taken, "{status:?}");
    }
}
