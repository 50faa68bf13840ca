//! The world of one story: everything around the relays, and what must hold.

use crate::random::Random;
use crate::scene::*;
use crate::store::Store;
use crate::wire;
use gateway_relay::{
    AccountId, Arrival, LinkKey, Relay, RelayOptions, ShardIndex, ShardMessage, Snapshot, VendorId,
};
use smpp::dialect::Dialect;
use smpp::field::CommandId;
use smpp::pdu::{BindKind, Pdu};
use smpp::text::message_id::GatewayId;
use smpp::time::Instant;
use smpp::wire::Frame;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

mod endings;
mod judge;
mod misfortune;
mod outputs;
mod outside;

pub(crate) struct World {
    random: Random,
    faults: bool,
    now_ms: u64,
    order: u64,
    events: BTreeMap<(u64, u64), Event>,
    /// Time of the last event between two parties: order between them is kept.
    lanes: BTreeMap<(u8, u8), u64>,
    relays: Vec<Relay>,
    snapshots: [Arc<Snapshot>; 2],
    store: Store,
    store_was_away: bool,
    sessions: BTreeMap<LinkKey, Session>,
    links: BTreeMap<LinkKey, VendorLink>,
    last_link: u64,
    submits: Vec<Submit>,
    by_sequence: BTreeMap<(LinkKey, u32), u64>,
    by_gateway_id: BTreeMap<GatewayId, u64>,
    ids_given: u64,
    upwards: Vec<Upward>,
    taken: BTreeSet<Carried>,
    healing: bool,
    drained: u32,
    /// Shards that ended without a word.
    gone: BTreeSet<u8>,
    story: Story,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let shards = 1 + random.below(3) as u8;
        let strict = random.percent(80);
        let snapshots = [snapshot(false, strict), snapshot(true, strict)];
        let relays = (0..shards)
            .map(|shard| {
                let options = RelayOptions {
                    node: 1,
                    shard: ShardIndex(shard),
                    shards,
                    started_at: Duration::ZERO,
                    seed,
                };
                Relay::new(options, Arc::clone(&snapshots[0]))
            })
            .collect();
        Self {
            faults: !seed.is_multiple_of(4),
            random,
            now_ms: 1,
            order: 0,
            events: BTreeMap::new(),
            lanes: BTreeMap::new(),
            relays,
            snapshots,
            store: Store::default(),
            store_was_away: false,
            sessions: BTreeMap::new(),
            links: BTreeMap::new(),
            last_link: 0,
            submits: Vec::new(),
            by_sequence: BTreeMap::new(),
            by_gateway_id: BTreeMap::new(),
            ids_given: 0,
            upwards: Vec::new(),
            taken: BTreeSet::new(),
            healing: false,
            drained: 0,
            gone: BTreeSet::new(),
            story: Story::default(),
        }
    }

    pub(crate) fn run(mut self) -> Story {
        self.everybody_binds();
        let load = 20 + self.random.below(200);
        while self.now_ms < STORY_MS {
            self.turn(5);
            self.traffic(load);
            if self.faults && self.random.percent(4) {
                self.misfortune();
            }
        }
        self.come_to_an_end();
        self.judge()
    }

    fn everybody_binds(&mut self) {
        for vendor in 0..VENDORS.len() {
            self.bind_vendor(vendor);
        }
        for account in 0..ACCOUNTS.len() {
            if account != 1 || !self.faults {
                self.bind_customer(account);
            }
        }
    }

    /// A millisecond's worth: `load` submits in a hundred of them, and now and then an MO.
    fn traffic(&mut self, load: u64) {
        for _ in 0..load / 100 + u64::from(self.random.percent(load % 100)) {
            self.submit();
        }
        if self.random.percent(4) {
            self.mo();
        }
    }

    /// Everybody is there again, and what is open ends; then the drain.
    fn come_to_an_end(&mut self) {
        self.heal();
        while self.now_ms < STORY_MS + HEALING_MS && !(self.is_quiet() && self.now_ms > STORY_MS + 3000) {
            self.turn(50);
        }
        self.drain();
    }

    fn drain(&mut self) {
        for shard in self.shards() {
            let now = self.now();
            self.relays[usize::from(shard)].drain(now);
            self.pump(shard);
        }
    }

    /// Shards that live.
    fn shards(&self) -> Vec<u8> {
        (0..self.relays.len() as u8).filter(|shard| !self.gone.contains(shard)).collect()
    }

    fn any_shard(&mut self) -> u8 {
        let shards = self.shards();
        self.random.pick(&shards).unwrap()
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(self.now_ms * 1_000_000)
    }

    /// One millisecond of the world; every `tick` of them the relays' clocks tick.
    fn turn(&mut self, tick: u64) {
        self.now_ms += 1;
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > self.now_ms {
                break;
            }
            let event = entry.remove();
            self.happen(event);
        }
        if self.now_ms.is_multiple_of(tick) {
            for shard in self.shards() {
                let now = self.now();
                self.relays[usize::from(shard)].handle_tick(now);
                self.pump(shard);
            }
        }
    }

    fn later(&mut self, delay_ms: u64, event: Event) {
        self.order += 1;
        self.events.insert((self.now_ms + delay_ms, self.order), event);
    }

    fn later_in_order(&mut self, lane: (u8, u8), delay_ms: u64, event: Event) {
        let due = (self.now_ms + delay_ms).max(self.lanes.get(&lane).copied().unwrap_or(0));
        self.lanes.insert(lane, due);
        self.order += 1;
        self.events.insert((due, self.order), event);
    }

    fn note(&mut self, what: &str) {
        for octet in what.bytes().chain(self.now_ms.to_le_bytes()) {
            self.story.trace = (self.story.trace ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn new_link(&mut self) -> LinkKey {
        self.last_link += 1;
        LinkKey(self.last_link)
    }

    fn bind_vendor(&mut self, vendor: usize) {
        let (shard, window) = (self.any_shard(), 1 + self.random.below(6) as u32);
        let (link, now) = (self.new_link(), self.now());
        let (flights, upwards) = (Vec::new(), BTreeMap::new());
        let last_first_try = BTreeMap::new();
        self.links.insert(link, VendorLink { shard, vendor, window, flights, upwards, last_first_try });
        let id = VendorId::of_name(VENDORS[vendor].as_bytes());
        let relay = &mut self.relays[usize::from(shard)];
        assert!(relay.vendor_bound(now, id, link, BindKind::Transceiver, window));
        self.pump(shard);
    }

    fn bind_customer(&mut self, account: usize) {
        let shard = self.any_shard();
        let kinds = [BindKind::Transceiver, BindKind::Transceiver, BindKind::Receiver, BindKind::Transmitter];
        let kind = if self.healing { BindKind::Transceiver } else { self.random.pick(&kinds).unwrap() };
        let (link, now, window) = (self.new_link(), self.now(), 1 + self.random.below(3) as u32);
        self.sessions.insert(link, Session { shard, account, sequence: 0, outstanding: BTreeMap::new() });
        let id = AccountId::of_name(ACCOUNTS[account].as_bytes());
        assert!(self.relays[usize::from(shard)].customer_bound(now, id, link, kind, window));
        self.pump(shard);
    }

    fn submit(&mut self) {
        let links: Vec<LinkKey> = self.sessions.keys().copied().collect();
        let Some(link) = self.random.pick(&links) else { return };
        let wants_receipt = self.random.percent(60);
        let destination =
            self.random.pick(&["12025550111", "+12025550112", "2995550113", "3005", "9"]).unwrap().to_owned();
        let source = self.source();
        let session = self.sessions.get_mut(&link).unwrap();
        session.sequence += 1;
        let (sequence, shard, account) = (session.sequence, session.shard, session.account);
        let number = self.submits.len() as u64;
        self.by_sequence.insert((link, sequence), number);
        self.submits.push(Submit {
            account,
            session: link,
            wants_receipt,
            answers: 0,
            session_lost: false,
            hands: 0,
            copies: 0,
            copies_open: 0,
            command: CommandId::SUBMIT_SM,
            accepts_answered: Vec::new(),
            accepts: Vec::new(),
            source: source.clone(),
            destination: destination.clone(),
            gateway_id: None,
        });
        let mut bytes = wire::submit(number, (&source, &destination), wants_receipt, sequence);
        if self.random.percent(20) {
            bytes = wire::as_data(&bytes);
        }
        let frame = Frame::whole(&bytes).unwrap();
        self.submits[number as usize].command = frame.command_id();
        let pdu = Pdu::decode(frame, &Dialect::strict()).unwrap();
        let arrival = Arrival {
            now: self.now(),
            unix_seconds: 1_800_000_000 + self.now_ms / 1000,
            link,
            over_window: false,
        };
        let relay = &mut self.relays[usize::from(shard)];
        match &pdu {
            Pdu::DataSm(data) => relay.handle_submit_data(arrival, frame, data),
            Pdu::SubmitSm(submit) => relay.handle_submit(arrival, frame, submit),
            _ => unreachable!("a submit"),
        }
        self.pump(shard);
    }

    /// Now and then two messages have the same addresses, whosever they are.
    fn source(&mut self) -> String {
        let spread = self.random.pick(&[3, 1_000]).unwrap();
        format!("1202{:07}", self.random.below(spread))
    }

    fn mo(&mut self) {
        let owner = self.random.below(4) as usize; // the fourth is nobody
        let number = self.upwards.len() as u64;
        let vendor = self.random.below(2) as usize;
        let owner = (owner < ACCOUNTS.len()).then_some(owner);
        self.upwards.push(Upward { vendor, carried: Carried::Mo(number), id: None, owner, acked: false });
        self.later(0, Event::Upward { upward: number as usize });
    }

    fn is_quiet(&self) -> bool {
        self.events.is_empty()
            && self.shards().iter().all(|shard| self.relays[usize::from(*shard)].is_empty())
    }

    fn happen(&mut self, event: Event) {
        self.note(&format!("{event:?}"));
        let now = self.now();
        match event {
            Event::Mail { from, to, message } => {
                let refusable = matches!(message, ShardMessage::Submit { .. } | ShardMessage::Deliver { .. });
                if self.gone.contains(&to) {
                    return; // in the box of a shard that ended: lost with it
                }
                if refusable && self.faults && self.random.percent(2) {
                    if self.gone.contains(&from) {
                        return;
                    }
                    self.relays[usize::from(from)].handle_undelivered(now, ShardIndex(to), message);
                    self.pump(from);
                } else {
                    self.relays[usize::from(to)].handle_shard_message(now, ShardIndex(from), message);
                    self.pump(to);
                }
            }
            Event::Store { shard, op } => {
                if let Some(answer) = self.store.run(op) {
                    let delay = self.random.below(4);
                    self.later_in_order((201, shard), delay, Event::StoreSays { shard, answer });
                }
            }
            Event::StoreSays { shard, .. } if self.gone.contains(&shard) => {}
            Event::StoreSays { shard, answer } => {
                self.relays[usize::from(shard)].handle_store_answer(now, answer);
                self.pump(shard);
            }
            Event::Written { link, message } => self.written(link, message),
            Event::Answer { link, message, status, id } => self.vendor_answers(link, message, status, id),
            Event::Expire { link, message } => {
                if let Some(shard) = self.take_flight(link, message) {
                    self.relays[usize::from(shard)].handle_expired(now, message);
                    self.pump(shard);
                }
            }
            Event::Upward { upward } => self.send_upward(upward),
            Event::CustomerAnswers { link, delivery, status } => {
                self.customer_answers(link, delivery, status)
            }
        }
    }
}
