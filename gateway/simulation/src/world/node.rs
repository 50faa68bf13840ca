//! Nodes and their shards: how they start, drain, crash and come back.

use super::event::Event;
use super::{WALL_START_S, World};
use crate::fault::Fault;
use crate::invariant::must;
use crate::random::mix;
use crate::scene::*;
use crate::spool::Ask;
use relay::{AccountId, LinkKey, ParkedId, Relay, RelayOptions, ShardIndex};
use std::sync::Arc;
use std::time::Duration;

/// A node that was told to drain has ended after this at the latest, microseconds.
const DRAIN_US_MAX: u64 = 6_000_000;

/// One gateway process, or its place while it is down.
#[derive(Debug)]
pub(super) struct Node {
    /// Its first shard in the world's table, and how many.
    pub(super) first: usize,
    pub(super) shards: u8,
    pub(super) store: usize,
    /// Names this process; never used again.
    pub(super) life: u32,
    pub(super) up: bool,
    /// Since when it drains.
    pub(super) drains_since: Option<u64>,
    /// It crashes after so many more outputs.
    pub(super) fuse: Option<u32>,
    /// How far its wall clock is ahead, microseconds.
    pub(super) wall_ahead: i64,
    /// How far it ever was.
    wall_ahead_most: i64,
    /// How often it ended without order, or lost a shard.
    pub(super) crashes: u32,
    /// How often its spool lost what it had not synced.
    pub(super) cuts: u32,
    /// Its store keeps correlations.
    pub(super) receipts_room: bool,
}

/// One shard.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) node: usize,
    pub(super) relay: Option<Relay>,
    /// It said that nothing is open any more.
    pub(super) drained: bool,
    /// Configurations that it was given.
    pub(super) swaps: u32,
    /// The life of its node that it belongs to.
    pub(super) life: u32,
    /// When the last operation reaches the store, and when the last answer comes.
    pub(super) ask_lane: u64,
    pub(super) answer_lane: u64,
    /// The same of the spool.
    pub(super) spool_lanes: (u64, u64),
    /// It was not told that no correlation can be kept.
    pub(super) receipts_room: bool,
    /// What it was handed out by the store and has neither sent nor given back, in order: whose, which, and whether
    /// it is urgent.
    pub(super) page: Vec<Unparked>,
    /// What the world counted of this life, by the relay's words.
    pub(super) tally: Tally,
}

/// One entry of a page of what was parked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unparked {
    pub(super) account: AccountId,
    pub(super) parked: ParkedId,
    pub(super) upward: u32,
    pub(super) urgent: bool,
}

/// The world's own counts of one relay.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tally {
    pub(super) submits: u64,
    pub(super) accepted: u64,
    pub(super) unknown: u64,
    pub(super) refused: u64,
    /// Handed to links and not proved unsent.
    pub(super) sends: u64,
    pub(super) answers: u64,
    pub(super) receipts: u64,
    pub(super) mo: u64,
    pub(super) acknowledged: u64,
    pub(super) not_acknowledged: u64,
    /// Submits that want a receipt and came while none could be kept.
    pub(super) no_room: u64,
}

impl World {
    pub(super) fn build_nodes(&mut self) {
        for (place, shards) in self.plan.nodes.clone().into_iter().enumerate() {
            let first = self.shards.len();
            self.nodes.push(Node {
                first,
                shards,
                store: if self.plan.shared_store { 0 } else { place },
                life: 0,
                up: false,
                drains_since: None,
                fuse: None,
                wall_ahead: 0,
                wall_ahead_most: 0,
                crashes: 0,
                cuts: 0,
                receipts_room: true,
            });
            for _ in 0..shards {
                let tally = Tally::default();
                self.shards.push(Shard {
                    node: place,
                    relay: None,
                    drained: false,
                    swaps: 0,
                    life: 0,
                    ask_lane: 0,
                    answer_lane: 0,
                    spool_lanes: (0, 0),
                    receipts_room: true,
                    page: Vec::new(),
                    tally,
                });
            }
            self.start(place);
        }
    }

    /// Seconds since 1970 as a node's wall clock shows them.
    pub(super) fn unix_seconds(&self, node: usize) -> u64 {
        (WALL_START_S * 1_000_000).saturating_add_signed(self.wall(node)) / 1_000_000
    }

    /// A node's wall clock, microseconds since the beginning.
    fn wall(&self, node: usize) -> i64 {
        self.now as i64 + self.nodes[node].wall_ahead
    }

    pub(super) fn jump_wall(&mut self, node: usize, by: i64) {
        let node = &mut self.nodes[node];
        node.wall_ahead += by;
        node.wall_ahead_most = node.wall_ahead_most.max(node.wall_ahead);
    }

    fn start(&mut self, node: usize) {
        self.lives += 1;
        let life = self.lives;
        let this = &mut self.nodes[node];
        (this.life, this.up, this.drains_since, this.fuse) = (life, true, None, None);
        this.receipts_room = true;
        // Decision 0003: no clock that was set back across a restart.
        this.wall_ahead = this.wall_ahead_most;
        let (first, shards) = (this.first, this.shards);
        let wall = (WALL_START_S * 1_000_000).saturating_add_signed(self.wall(node));
        for index in 0..shards {
            let options = RelayOptions {
                node: node as u8 + 1,
                shard: ShardIndex(index),
                shards,
                started_at: Duration::from_micros(wall),
                seed: mix(self.seed ^ u64::from(life) << 8 ^ u64::from(index)),
            };
            let relay = Relay::new(options, Arc::clone(&self.plan.snapshots[0]));
            let shard = &mut self.shards[first + usize::from(index)];
            (shard.relay, shard.life, shard.tally) = (Some(relay), life, Tally::default());
            (shard.ask_lane, shard.answer_lane, shard.drained) = (0, 0, false);
            (shard.spool_lanes, shard.receipts_room) = ((0, 0), true);
            shard.page.clear();
            #[cfg(feature = "mutations")]
            if let (Some(mutation), Some(relay)) = (self.mutation, &mut shard.relay) {
                relay.mutate(mutation);
            }
        }
        self.open_spool(node);
    }

    pub(super) fn shards_of(&self, node: usize) -> core::ops::Range<usize> {
        let node = &self.nodes[node];
        node.first..node.first + usize::from(node.shards)
    }

    /// A living shard of a node that takes connections.
    pub(super) fn open_shard(&mut self, node: usize) -> Option<usize> {
        if !self.nodes[node].up || self.nodes[node].drains_since.is_some() {
            return None;
        }
        let mut open = self.shards_of(node).filter(|shard| self.shards[*shard].relay.is_some());
        let skip = self.random.next() as usize % open.clone().count().max(1);
        open.nth(skip)
    }

    pub(super) fn links_where(&self, wanted: impl Fn(&super::link::Link) -> bool) -> Vec<LinkKey> {
        let links = self.links.iter().zip(0..).filter(|(link, _)| wanted(link));
        links.map(|(_, key)| LinkKey(key)).collect()
    }

    /// All relays of the node vanish. Its connections end; the store may have got what was on its way, up to a point.
    pub(super) fn crash(&mut self, node: usize) {
        let (life, store) = (self.nodes[node].life, self.nodes[node].store);
        self.note("crash", node as u64, u64::from(life));
        self.story.faults.count(Fault::NodeCrash);
        self.nodes[node].up = false;
        for shard in self.shards_of(node) {
            self.shards[shard].relay = None;
        }
        self.end_links(|link| link.node == node);
        self.crash_spool(node);
        self.stores[store].was_in_trouble = true;
        let (learns, restarts) = (self.random.below(300_000), self.random.between(20_000, 300_000));
        self.later(learns, Event::StoreReturns { store, life });
        self.later(restarts, Event::Restart { node });
    }

    /// Connections of a process or shard that is no more: peers notice, nobody here does.
    fn end_links(&mut self, which: impl Fn(&super::link::Link) -> bool) {
        for key in self.links_where(|link| link.ours && which(link)) {
            let link = self.link(key);
            link.ours = false;
            let flights = core::mem::take(&mut link.flights);
            link.outstanding.clear();
            for flight in flights {
                self.ledger.copies[flight.copy as usize].state = crate::ledger::CopyState::Unknown;
            }
            self.lose_session(key);
            let wait = self.random.below(20_000);
            self.later(wait, Event::PeerCloses { link: key });
            self.come_back(key);
        }
    }

    /// Also when all else has healed.
    pub(super) fn killed(&mut self, node: usize) {
        if self.nodes[node].up {
            self.crash(node);
        }
    }

    /// A node comes back by itself; where all else has healed, everybody comes back to it.
    pub(super) fn restart_late(&mut self, node: usize) {
        let was_down = !self.nodes[node].up;
        self.restart(node);
        if self.healing && was_down {
            (0..VENDORS.len()).for_each(|vendor| self.bind_vendor(vendor, node));
            (0..CUSTOMERS.len()).for_each(|account| self.bind_customer_to(account, node));
        }
    }

    pub(super) fn restart(&mut self, node: usize) {
        if self.nodes[node].up {
            return;
        }
        self.note("restart", node as u64, 0);
        self.start(node);
        if !self.healing {
            for vendor in 0..VENDORS.len() {
                let wait = self.random.below(30_000);
                self.later(wait, Event::BindVendor { vendor, node });
            }
        }
    }

    /// One shard ends without a word; the others are told.
    pub(super) fn lose_shard(&mut self, shard: usize) {
        let node = self.shards[shard].node;
        let others: Vec<usize> = self.living(node).filter(|other| *other != shard).collect();
        if others.is_empty() || self.shards[shard].relay.is_none() {
            return;
        }
        self.story.faults.count(Fault::ShardGone);
        self.note("shard gone", shard as u64, 0);
        self.shards[shard].relay = None;
        self.nodes[node].crashes += 1;
        self.ask_spool(shard, Ask::Gone);
        let (store, life) = (self.nodes[node].store, self.nodes[node].life);
        self.stores[store].was_in_trouble = true;
        self.later(2_000, Event::StoreReturns { store, life });
        self.end_links(|link| link.shard == shard);
        let gone = ShardIndex((shard - self.nodes[node].first) as u8);
        for other in others {
            let now = self.now();
            if let Some(relay) = &mut self.shards[other].relay {
                relay.shard_gone(now, gone);
            }
            self.pump(other);
        }
    }

    pub(super) fn living(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        self.shards_of(node).filter(|shard| self.shards[*shard].relay.is_some())
    }

    pub(super) fn drain(&mut self, node: usize) {
        self.note("drain", node as u64, 0);
        self.nodes[node].drains_since = Some(self.now);
        for shard in self.shards_of(node) {
            let now = self.now();
            if let Some(relay) = &mut self.shards[shard].relay {
                relay.drain(now);
            }
            self.pump(shard);
        }
    }

    /// Every shard has said that nothing is open, and wants nothing more: the process ends in order.
    pub(super) fn end_if_drained(&mut self, shard: usize) {
        let node = self.shards[shard].node;
        if self.shards[shard].drained && self.have_drained(node) && !self.healing {
            self.later(self.plan.limits.queue_wait_max.as_micros() as u64, Event::Restart { node });
            self.end_process(node);
        }
    }

    fn have_drained(&self, node: usize) -> bool {
        self.living(node).all(|shard| self.shards[shard].drained)
    }

    /// The end of a process in order: links are closed, the store is told.
    fn end_process(&mut self, node: usize) {
        let (life, store) = (self.nodes[node].life, self.nodes[node].store);
        for shard in self.shards_of(node) {
            self.check_counters(shard);
            self.shards[shard].relay = None;
        }
        self.nodes[node].up = false;
        self.end_links(|link| link.node == node);
        self.later(2_000, Event::StoreReturns { store, life });
    }

    pub(super) fn check_drains(&mut self) {
        for node in &self.nodes {
            if let (Some(since), true) = (node.drains_since, node.up) {
                must!(self.now < since + DRAIN_US_MAX, Bounded, "a drain has no end");
            }
        }
    }

    /// All drain at last, and each must say so.
    pub(super) fn drain_all(&mut self) {
        for node in 0..self.nodes.len() {
            self.drain(node);
            must!(self.have_drained(node), Bounded, "node {node} did not drain");
        }
    }

    /// A shard gets another configuration; links of vendors that it does not hold end in order.
    pub(super) fn swap(&mut self, shard: usize, variant: usize) {
        let variant = if self.healing { 0 } else { variant };
        let (now, snapshot) = (self.now(), Arc::clone(&self.plan.snapshots[variant]));
        self.shards[shard].swaps += 1;
        if let Some(relay) = &mut self.shards[shard].relay {
            relay.apply_snapshot(now, snapshot);
        }
        self.pump(shard);
        for key in self.links_where(|link| link.shard == shard && link.ours) {
            if self.shards[shard].relay.as_ref().is_some_and(|relay| relay.is_leaving(key)) {
                self.leaves(key, self.now + LEAVE_MAX_US);
            }
        }
    }

    /// What took from a relay what it knew of long messages, or changed where they may go.
    pub(super) fn lived(&self, shard: usize) -> (u32, u32, u32) {
        let Shard { life, node, swaps, .. } = self.shards[shard];
        (life, self.nodes[node].crashes, swaps)
    }

    /// No more misfortune: everybody is there, so everything must come to its end.
    pub(super) fn heal(&mut self) {
        self.note("heal", 0, 0);
        self.healing = true;
        for store in &mut self.stores {
            store.come_back();
            store.full = false;
        }
        self.vendors = Default::default();
        self.links.iter_mut().for_each(super::link::Link::heal);
        for shard in 0..self.shards.len() {
            self.swap(shard, 0);
        }
        for node in 0..self.nodes.len() {
            self.nodes[node].fuse = None;
            let drains = self.nodes[node].drains_since.is_some();
            let is_lame = self.spools[node].away || self.misses_parts(node);
            if self.nodes[node].up && (drains || is_lame) {
                self.crash(node); // whoever waits for the end of a drain, or for a disk, loses patience
            }
            self.spools[node].full = false;
            let ahead = &mut self.nodes[node];
            ahead.wall_ahead = ahead.wall_ahead_most; // or what was accepted before a jump back has hours left
            self.spools[node].hand_out_all();
            self.say_room(node, true);
            self.restart(node);
            for vendor in 0..VENDORS.len() {
                self.bind_vendor(vendor, node);
            }
        }
        for store in 0..self.stores.len() {
            self.say_ask_again(store);
        }
        for account in 0..CUSTOMERS.len() {
            // With one store a customer on one node gets everything; else each node has what is parked on it.
            let all = 0..self.nodes.len();
            let one = self.random.next() as usize % self.nodes.len();
            let nodes = if self.plan.shared_store { one..one + 1 } else { all };
            nodes.for_each(|node| self.bind_customer_to(account, node));
        }
    }
}
