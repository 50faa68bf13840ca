//! The world of one story: everything around the relays, and what must hold.

use crate::fault::Fault;
use crate::invariant::must;
use crate::ledger::Ledger;
use crate::mutation::Mutation;
use crate::random::Random;
use crate::scene::*;
use crate::spool::Spool;
use crate::store::Store;
use crate::story::Story;
use crate::trace::Trace;
use bytes::BytesMut;
use event::{Entry, Event};
use link::Link;
use node::{Node, Shard};
use smpp::time::Instant;
use std::collections::{BinaryHeap, VecDeque};

mod customers;
mod event;
mod judge;
mod link;
mod mail;
mod misfortune;
mod node;
mod outputs;
mod pages;
mod parts;
mod records;
mod spools;
mod stores;
mod vendors;

/// Steps of one pump: more is a loop without an end.
const STEPS_MAX: u32 = 100_000;
/// Wall time at the beginning of every story, seconds since 1970.
const WALL_START_S: u64 = 1_800_000_000;
/// Between two ticks of the relays, microseconds.
const TICK_US: u64 = 5_000;
/// The same while nothing is expected to happen.
const IDLE_TICK_US: u64 = 50_000;
/// Healed, everything is given so long at least: what could not be handed out is tried again after a second.
const HEALED_US_MIN: u64 = 2_500_000;
/// Healed, everything parked has found its customer after so long: a page that finds no room waits a second, and
/// early receipts that take the room need two to become orphans; parts of MO take it for ten, some after others.
const PARKED_US_MAX: u64 = 60_000_000;

/// The longest pause before a customer who refused everything is asked again.
const REFUSED_US_MAX: u64 = 60_000_000;

pub(crate) struct World {
    pub(crate) seed: u64,
    random: Random,
    plan: Plan,
    #[cfg(feature = "mutations")]
    mutation: Option<Mutation>,
    /// Microseconds since the beginning.
    now: u64,
    order: u64,
    events: BinaryHeap<Entry>,
    /// Of every ordered pair of shards: when its last word arrives.
    mail_lanes: Vec<u64>,
    nodes: Vec<Node>,
    shards: Vec<Shard>,
    stores: Vec<Store>,
    /// By node.
    spools: Vec<Spool>,
    /// By link key; links are never used again.
    links: Vec<Link>,
    /// Until when each vendor is away, throttles, and does not answer.
    vendors: [Site; VENDORS.len()],
    ledger: Ledger,
    /// Submits in the order of arrival that may still be unanswered.
    unanswered: VecDeque<u32>,
    /// The same of the vendors' sendings.
    unacknowledged: VecDeque<u32>,
    healing: bool,
    lives: u32,
    story: Story,
    pub(crate) trace: Trace,
    scratch: BytesMut,
}

/// One vendor.
#[derive(Clone, Copy, Debug, Default)]
struct Site {
    away_until: u64,
    throttles_until: u64,
    silent_until: u64,
}

impl World {
    pub(crate) fn new(seed: u64, #[allow(unused)] mutation: Option<Mutation>) -> Self {
        let mut random = Random(seed);
        let plan = Plan::draw(seed, &mut random);
        let nodes = plan.nodes.len();
        let shards: usize = plan.nodes.iter().map(|shards| usize::from(*shards)).sum();
        let stores = if plan.shared_store { 1 } else { nodes };
        let mut world = Self {
            seed,
            random,
            #[cfg(feature = "mutations")]
            mutation,
            now: 1,
            order: 0,
            events: BinaryHeap::with_capacity(1024),
            mail_lanes: vec![0; shards * shards],
            nodes: Vec::new(),
            shards: Vec::new(),
            stores: (0..stores).map(|_| Store::default()).collect(),
            spools: (0..nodes).map(|_| Spool::default()).collect(),
            links: Vec::with_capacity(128),
            vendors: Default::default(),
            ledger: Ledger::default(),
            unanswered: VecDeque::new(),
            unacknowledged: VecDeque::new(),
            healing: false,
            lives: 0,
            story: Story::default(),
            trace: Trace::new(seed),
            scratch: BytesMut::with_capacity(512),
            plan,
        };
        world.build_nodes();
        world
    }

    /// Tells the whole story.
    ///
    /// # Panics
    /// When an invariant is broken.
    pub(crate) fn run(&mut self) -> Story {
        self.everybody_binds();
        self.later(0, Event::Load);
        self.later(500, Event::Mo);
        if !self.plan.faultless {
            self.later(0, Event::Misfortune);
        }
        self.until(STORY_US);
        self.heal();
        let healed = self.now;
        while !(self.is_quiet() && self.now >= healed + HEALED_US_MIN && self.is_patient_no_more(healed)) {
            must!(self.now < healed + HEALING_US, Bounded, "no end: {}", self.what_is_open());
            self.turn(if self.events.is_empty() { IDLE_TICK_US } else { TICK_US });
        }
        self.drain_all();
        self.judge();
        self.story.trace = self.trace.hash();
        self.story.events = self.trace.count;
        core::mem::take(&mut self.story)
    }

    fn everybody_binds(&mut self) {
        for node in 0..self.nodes.len() {
            for vendor in 0..VENDORS.len() {
                for _ in 0..1 + self.random.below(2) {
                    self.bind_vendor(vendor, node);
                }
            }
        }
        for account in 0..CUSTOMERS.len() {
            for _ in 0..1 + self.random.below(2) {
                if self.plan.faultless || self.random.percent(80) {
                    self.bind_customer(account);
                }
            }
        }
    }

    fn until(&mut self, moment: u64) {
        while self.now < moment {
            self.turn(TICK_US);
        }
    }

    /// All that happens up to the next tick, and the tick.
    fn turn(&mut self, tick: u64) {
        let due = self.now + tick;
        while let Some(entry) = self.events.peek() {
            if entry.due > due {
                break;
            }
            let Some(entry) = self.events.pop() else { break };
            self.now = self.now.max(entry.due);
            self.happen(entry.event);
        }
        self.now = due;
        for shard in 0..self.shards.len() {
            if let Some(relay) = &mut self.shards[shard].relay {
                relay.handle_tick(Instant::from_nanos(due * 1000));
                self.pump(shard);
            }
        }
        self.check_deadlines();
    }

    fn is_quiet(&self) -> bool {
        self.events.is_empty()
            && self.shards.iter().filter_map(|shard| shard.relay.as_ref()).all(relay::Relay::is_empty)
    }

    fn what_is_open(&self) -> String {
        let open = |relay: &relay::Relay| {
            let traffic = relay.counters().traffic;
            let waits = relay.vendor_counters().map(|(_, vendor)| (vendor.queue_length, vendor.in_flight));
            (traffic.messages_open, traffic.deliveries_open, waits.collect::<Vec<_>>())
        };
        let open: Vec<_> = self.shards.iter().map(|shard| shard.relay.as_ref().map(open)).collect();
        format!("messages and deliveries {open:?}, next {:?}", self.events.peek())
    }

    /// Nothing is parked or in a spool any more, or the time is over in which pages are asked for again and again.
    fn is_patient_no_more(&self, healed: u64) -> bool {
        let is_parked = self.stores.iter().any(|store| store.parked_entries().next().is_some());
        let refused = self.plan.refuses.map_or(0, |_| REFUSES_US + REFUSED_US_MAX);
        (!is_parked && self.spools_are_empty()) || self.now > healed + PARKED_US_MAX + refused
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(self.now * 1000)
    }

    fn later(&mut self, delay: u64, event: Event) {
        self.at(self.now + delay, event);
    }

    fn at(&mut self, due: u64, event: Event) {
        self.order += 1;
        self.events.push(Entry { due, order: self.order, event });
    }

    fn note(&mut self, name: &'static str, first: u64, second: u64) {
        self.trace.note(self.now, name, first, second);
    }

    /// Whether a misfortune that comes with single messages happens now, and counts it.
    fn strikes(&mut self, fault: Fault, percent: u64) -> bool {
        let strikes = !self.healing && self.plan.prone.has(fault) && self.random.percent(percent);
        if strikes {
            self.story.faults.count(fault);
        }
        strikes
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Load => self.load(),
            Event::Mo => self.mo(),
            Event::Misfortune => self.misfortune(),
            Event::Killed { node } => self.killed(node),
            Event::SubmitArrives { submit } => self.submit_arrives(submit),
            Event::Written { link, message } => self.written(link, message),
            Event::Reaches { link, message, copy, sent } => self.reaches(link, message, copy, sent),
            Event::Answer { link, message, copy, status } => self.answer_arrives(link, message, copy, status),
            Event::AnswerExpires { link, message } => self.answer_expires(link, message),
            Event::Emit { upward } => self.emit(upward),
            Event::DeliverArrives { sending } => self.deliver_arrives(sending),
            Event::Acknowledged { sending, status } => self.acknowledged(sending, status),
            Event::Offered { link, delivery, upwards } => self.offered(link, delivery, upwards),
            Event::CustomerAnswers { link, delivery, status } => {
                self.customer_answers(link, delivery, status)
            }
            Event::DeliverExpires { link, delivery } => self.deliver_expires(link, delivery),
            Event::Mail { from, to, lives, message } => self.mail(from, to, lives, message),
            Event::StoreAsked { shard, life, op } => self.store_asked(shard, life, op),
            Event::StoreSays { shard, life, answer } => self.store_says(shard, life, answer),
            Event::SpoolAsked { shard, life, ask } => self.spool_asked(shard, life, ask),
            Event::SpoolSynced { node, life } => self.spool_synced(node, life),
            Event::SpoolSays { shard, life, answer } => self.spool_says(shard, life, answer),
            Event::EarlyEnds { store, number } => self.early_ends(store, number),
            Event::StoreReturns { store, life } => self.store_returns(store, life),
            Event::PeerCloses { link } => self.peer_closes(link),
            Event::WeClose { link } => self.we_close(link),
            Event::BindVendor { vendor, node } => self.bind_vendor(vendor, node),
            Event::BindCustomer { account } => self.bind_customer(account),
            Event::Restart { node } => self.restart_late(node),
            Event::Swap { shard, variant } => self.swap(shard, variant),
            Event::Leaves { link, until } => self.leaves(link, until),
        }
    }
}
