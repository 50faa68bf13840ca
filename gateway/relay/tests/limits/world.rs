//! Nodes of relays in one thread, customers that submit, one that grants, and the account of what passed.

use crate::keeper::Keeper;
use gateway_relay::{
    Account, AccountId, Arrival, Ask, Holders, LEASE_LIFE, Leases, LimitsInput, LinkKey, NodeOptions,
    NodeTokens, NumberKind, Output, PlainWord, Relay, RelayOptions, Route, ShardIndex, Snapshot,
    SnapshotInput, SourceNumber, Vendor, VendorId, WeightedVendor, WhenAway,
};
use smpp::dialect::Dialect;
use smpp::field::{Address, CommandStatus};
use smpp::pdu::{BindKind, SubmitSm};
use smpp::time::Instant;
use smpp::wire::Frame;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const CUSTOMER: LinkKey = LinkKey(1);
const VENDOR: LinkKey = LinkKey(2);
const SOURCE: &[u8] = b"12025550100";
/// Time between two looks at the world, microseconds.
const STEP: u64 = 500;
/// Time between two ticks of a shard, and two rounds of a node's leases.
const TICK: u64 = 5_000;
const PERIOD: u64 = 10_000;
/// A round trip.
const ROUND_TRIP: u64 = 1_000;
/// A question without an answer is given up after this.
const EXCHANGE_MAX: u64 = 150_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Demand {
    /// The same on every shard of every node.
    Even,
    /// All on one shard of one node.
    OneShard,
    /// All on one node, evenly on its shards.
    OneNode,
    /// All on one shard, another one every 50 ms.
    Moving,
}

#[derive(Clone, Debug)]
pub(crate) struct Outage {
    millis: Range<u64>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// Refuses at once.
    Away,
    /// Takes what is asked, and does not answer in time.
    Stalled,
    /// Forgets everything.
    Emptied,
}

impl Outage {
    pub(crate) fn away(from: u64, until: u64) -> Self {
        Self { millis: from..until, kind: Kind::Away }
    }

    pub(crate) fn stalled(from: u64, until: u64) -> Self {
        Self { millis: from..until, kind: Kind::Stalled }
    }

    pub(crate) fn emptied(at: u64) -> Self {
        Self { millis: at..at + 1, kind: Kind::Emptied }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) shards: u8,
    pub(crate) nodes: u32,
    /// 0 = no leases.
    pub(crate) nodes_max: u32,
    pub(crate) rate: u32,
    pub(crate) burst: u32,
    pub(crate) demand: Demand,
    /// Of the rate.
    pub(crate) demand_tenths: u64,
    pub(crate) outages: Vec<Outage>,
    pub(crate) when_away: WhenAway,
    pub(crate) millis: u64,
    /// No demand before.
    pub(crate) quiet_millis: u64,
    pub(crate) seed: u64,
}

/// When it was sent, when it ends, the questions, and their answers if any come.
type Exchange = (u64, u64, Vec<Ask>, Option<Vec<gateway_relay::Answer>>);

struct Node {
    pool: Rc<NodeTokens<PlainWord>>,
    leases: Leases,
    relays: Vec<Relay>,
    /// What was asked, when, and when it ends; answered or not.
    open: Option<Exchange>,
    /// The last question was not answered: the connection is being made again.
    is_lost: bool,
    /// When it asks next, with a phase of its own.
    next: u64,
}

pub(crate) struct World {
    story: Story,
    rate_milli: u64,
    nodes: Vec<Node>,
    keeper: Keeper,
    pdu: Vec<u8>,
    /// Microseconds at which messages passed.
    passed: Vec<u64>,
    offered: u64,
}

fn snapshot(story: &Story, slow_milli: Option<u64>) -> Snapshot {
    let north = VendorId::of_name(b"north");
    let route = Route {
        prefix: "1".into(),
        vendors: vec![WeightedVendor { vendor: north, weight: 1, price: None }],
        ..Route::default()
    };
    let rate = if slow_milli.is_some() { 0 } else { story.rate };
    let number = |rate_milli| SourceNumber {
        digits: "+12025550100".into(),
        kind: NumberKind::LongCode,
        campaign: None,
        rate_milli: Some(rate_milli),
        burst: Some(story.burst),
    };
    let carriers = LimitsInput {
        numbers: slow_milli.map(number).into_iter().collect(),
        when_away: story.when_away,
        ..LimitsInput::default()
    };
    let input = SnapshotInput {
        accounts: vec![Account {
            rate,
            burst: story.burst,
            when_away: story.when_away,
            ..Account::new("acme")
        }],
        vendors: vec![Vendor::new("north")],
        routes: vec![route],
        carriers,
        correlate: gateway_relay::Correlate::None,
        ..SnapshotInput::default()
    };
    Snapshot::compile(input).expect("no mistake")
}

impl World {
    pub(crate) fn new(story: Story) -> World {
        let rate_milli = u64::from(story.rate) * 1000;
        Self::with(story, rate_milli, None)
    }

    /// The limit is a source number's, in thousandths.
    pub(crate) fn slow(story: Story, rate_milli: u64) -> World {
        Self::with(story, rate_milli, Some(rate_milli))
    }

    fn with(story: Story, rate_milli: u64, slow: Option<u64>) -> World {
        let snapshot = Arc::new(snapshot(&story, slow));
        let now = Instant::from_nanos(1);
        let node = |number: u32| {
            let holders = Holders { shards: u32::from(story.shards), nodes: story.nodes_max };
            let options = NodeOptions { holders, capacity: 64, days_are_kept: false };
            let pool = Rc::new(NodeTokens::<PlainWord>::new(options));
            assert_eq!(pool.prime(snapshot.limit_table().specs()), 0);
            let relay = |shard| {
                let options = RelayOptions {
                    node: number as u8,
                    shard: ShardIndex(shard),
                    shards: story.shards,
                    started_at: Duration::ZERO,
                    seed: story.seed,
                };
                let mut relay = Relay::with_pool(options, Arc::clone(&snapshot), Box::new(pool.clone()));
                let north = VendorId::of_name(b"north");
                assert!(relay.vendor_bound(now, north, VENDOR, BindKind::Transceiver, 10_000));
                let acme = AccountId::of_name(b"acme");
                assert!(relay.customer_bound(now, acme, CUSTOMER, BindKind::Transmitter, 0));
                relay
            };
            let relays = (0..story.shards).map(relay).collect();
            let leases = Leases::new(now, &*pool);
            Node { pool, leases, relays, open: None, is_lost: false, next: u64::from(number) * 3_300 }
        };
        let mut pdu = bytes::BytesMut::new();
        let address = |digits| Address { digits, ..Address::default() };
        let submit = SubmitSm {
            source: address(SOURCE),
            destination: address(b"13125550111"),
            short_message: b"x",
            ..SubmitSm::default()
        };
        submit.encode(CommandStatus::ESME_ROK, 1, &mut pdu);
        World {
            nodes: (0..story.nodes).map(node).collect(),
            keeper: Keeper::default(),
            pdu: pdu.to_vec(),
            passed: Vec::new(),
            offered: 0,
            rate_milli,
            story,
        }
    }

    pub(crate) fn run(&mut self) {
        let mut credit = 0;
        let step = if self.rate_milli < 20_000 { 10 * STEP } else { STEP };
        for at in (0..self.story.millis * 1000).step_by(step as usize) {
            if self.outage(at) == Some(Kind::Emptied) {
                self.keeper.empty();
            }
            for node in 0..self.nodes.len() {
                self.lease(at, node);
            }
            if at % TICK == 0 {
                let now = instant(at);
                self.nodes
                    .iter_mut()
                    .flat_map(|node| &mut node.relays)
                    .for_each(|relay| relay.handle_tick(now));
            }
            // Demand in millionths of thousandths, so that nothing is rounded away. A slow limit is always wanted.
            credit += self.rate_milli * step * self.story.demand_tenths / 10;
            let least = if self.rate_milli < 20_000 && at % 50_000 == 0 { 1_000_000_000 } else { 0 };
            credit = if at < self.story.quiet_millis * 1000 { 0 } else { credit.max(least) };
            while credit >= 1_000_000_000 {
                credit -= 1_000_000_000;
                self.submit(at);
            }
        }
    }

    fn outage(&self, at: u64) -> Option<Kind> {
        let millis = at / 1000;
        self.story.outages.iter().find(|outage| outage.millis.contains(&millis)).map(|outage| outage.kind)
    }

    /// What the thread of limits does, without waiting for the answer.
    fn lease(&mut self, at: u64, number: usize) {
        let outage = self.outage(at);
        let node = &mut self.nodes[number];
        if let Some((sent, ends, asks, answers)) = node.open.take() {
            if at < ends {
                node.open = Some((sent, ends, asks, answers));
                return;
            }
            match answers {
                Some(answers) => node.leases.answered(instant(sent), &asks, &answers, &*node.pool),
                None => {
                    node.leases.failed(&asks);
                    node.is_lost = true;
                }
            }
        }
        if self.story.nodes_max == 0 || at < node.next {
            return;
        }
        node.next = at + PERIOD;
        node.leases.look(instant(at), 0, &*node.pool);
        node.is_lost &= outage == Some(Kind::Stalled);
        if outage == Some(Kind::Away) || node.is_lost {
            return;
        }
        let mut asks = Vec::new();
        node.leases.asks(instant(at), &*node.pool, &mut asks);
        let answers = self.keeper.ask(instant(at + ROUND_TRIP / 2), number as u32, &asks);
        // Stalled, it grants all the same, and nobody hears of it: those tokens are lost.
        let (ends, answers) = if outage == Some(Kind::Stalled) {
            (at + EXCHANGE_MAX, None)
        } else {
            (at + ROUND_TRIP, Some(answers))
        };
        node.open = Some((at, ends, asks, answers));
    }

    fn submit(&mut self, at: u64) {
        let (shards, nodes) = (u64::from(self.story.shards), u64::from(self.story.nodes));
        let turn = match self.story.demand {
            Demand::Even => self.offered,
            Demand::OneShard => 0,
            Demand::OneNode => self.offered % shards * nodes,
            Demand::Moving => at / 50_000,
        };
        self.offered += 1;
        let node = &mut self.nodes[(turn % nodes) as usize];
        let relay = &mut node.relays[(turn / nodes % shards) as usize];
        let frame = Frame::whole(&self.pdu).expect("a frame");
        let pdu = SubmitSm::decode(frame, &Dialect::strict()).expect("a submit");
        let now = instant(at);
        let arrival = Arrival { now, unix_seconds: 1_800_000_000, link: CUSTOMER, over_window: false };
        relay.handle_submit(arrival, frame, &pdu);
        while let Some(output) = relay.poll() {
            match output {
                Output::SendSubmit { message, .. } => {
                    self.passed.push(at);
                    relay.handle_answer(now, VENDOR, message, CommandStatus::ESME_ROK, b"1");
                }
                Output::AnswerSubmit { status, .. } => {
                    assert!([CommandStatus::ESME_ROK, CommandStatus::ESME_RTHROTTLED].contains(&status));
                }
                _ => {}
            }
        }
    }

    /// Of any interval at once: with `over(t) = passed before t - rate * t`, what passed from s to t above the rate is
    /// `over(t) - over(s)`, and the most of it is found by keeping the least `over` so far.
    pub(crate) fn judge(&self) {
        if self.story.when_away == WhenAway::Open && !self.story.outages.is_empty() {
            return;
        }
        let envelope = u64::from(self.story.burst).max(if self.story.nodes_max > 0 {
            u64::from(self.story.nodes_max) + 1
        } else {
            1
        });
        let (mut least, mut most) = (i128::MAX, 0);
        for (before, at) in self.passed.iter().enumerate() {
            // Thousandths of thousandths of a thousandth of a message.
            let come = i128::from(self.rate_milli) * i128::from(*at);
            least = least.min(before as i128 * 1_000_000_000 - come);
            most = most.max((before as i128 + 1) * 1_000_000_000 - come - least);
        }
        let above = most as f64 / 1e9;
        assert!(most <= i128::from(envelope) * 1_000_000_000, "{above} above the rate: {:?}", self.story);
    }

    /// What passed in that time, of what the rate brought.
    pub(crate) fn used_percent(&self, millis: Range<u64>) -> u64 {
        let passed = self.passed.iter().filter(|at| millis.contains(&(**at / 1000))).count() as u64;
        passed * 100_000_000 / (self.rate_milli * (millis.end - millis.start))
    }

    pub(crate) fn judge_use(&self, percent: u64) {
        // From when the first leases are there: a bucket that nobody knew begins empty.
        let used = self.used_percent(LEASE_LIFE.as_millis() as u64..self.story.millis);
        assert!(used >= percent, "{used} % used: {:?}", self.story);
    }

    pub(crate) fn judge_served(&self, percent: u64) {
        let served = self.passed.len() as u64 * 100 / self.offered;
        assert!(served >= percent, "{served} % served: {:?}", self.story);
    }
}

fn instant(micros: u64) -> Instant {
    Instant::from_nanos(1 + micros * 1000)
}
