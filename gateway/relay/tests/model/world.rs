//! The world of one story: everything around the relays, and what must hold.

use crate::random::Random;
use crate::scene::*;
use crate::store::Store;
use crate::wire;
use gateway_relay::{
    AccountId, Arrival, DeliveryKey, LinkKey, MessageKey, Output, Relay, RelayOptions, ShardIndex,
    ShardMessage, Snapshot, VendorId, VendorMessageId,
};
use smpp::dialect::Dialect;
use smpp::field::CommandStatus;
use smpp::pdu::{BindKind, DeliverSm, SubmitSm};
use smpp::text::message_id::GatewayId;
use smpp::text::receipt::receipt_of;
use smpp::time::Instant;
use smpp::wire::Frame;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

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
            story: Story::default(),
        }
    }

    pub(crate) fn run(mut self) -> Story {
        for vendor in 0..VENDORS.len() {
            self.bind_vendor(vendor);
        }
        for account in 0..ACCOUNTS.len() {
            if account != 1 || !self.faults {
                self.bind_customer(account);
            }
        }
        let load = 20 + self.random.below(200);
        while self.now_ms < STORY_MS {
            self.turn(5);
            for _ in 0..load / 100 + u64::from(self.random.percent(load % 100)) {
                self.submit();
            }
            if self.random.percent(4) {
                self.mo();
            }
            if self.faults && self.random.percent(4) {
                self.misfortune();
            }
        }
        self.heal();
        while self.now_ms < STORY_MS + HEALING_MS && !(self.is_quiet() && self.now_ms > STORY_MS + 3000) {
            self.turn(50);
        }
        for shard in 0..self.relays.len() as u8 {
            let now = self.now();
            self.relays[usize::from(shard)].drain(now);
            self.pump(shard);
        }
        self.judge()
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
            for shard in 0..self.relays.len() as u8 {
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
        let (shard, window) =
            (self.random.below(self.relays.len() as u64) as u8, 1 + self.random.below(6) as u32);
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
        let shard = self.random.below(self.relays.len() as u64) as u8;
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
        let destination: &[u8] =
            self.random.pick(&[&b"12025550111"[..], b"+12025550112", b"2995550113", b"3005", b"9"]).unwrap();
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
            accepts_answered: Vec::new(),
            gateway_id: None,
        });
        let bytes = wire::submit(number, destination, wants_receipt, sequence);
        let frame = Frame::whole(&bytes).unwrap();
        let pdu = SubmitSm::decode(frame, &Dialect::strict()).unwrap();
        let arrival = Arrival {
            now: self.now(),
            unix_seconds: 1_800_000_000 + self.now_ms / 1000,
            link,
            over_window: false,
        };
        self.relays[usize::from(shard)].handle_submit(arrival, frame, &pdu);
        self.pump(shard);
    }

    fn mo(&mut self) {
        let owner = self.random.below(4) as usize; // the fourth is nobody
        let number = self.upwards.len() as u64;
        let vendor = self.random.below(2) as usize;
        let owner = (owner < ACCOUNTS.len()).then_some(owner);
        self.upwards.push(Upward { vendor, carried: Carried::Mo(number), id: None, owner, acked: false });
        self.later(0, Event::Upward { upward: number as usize });
    }

    fn misfortune(&mut self) {
        let sessions: Vec<LinkKey> = self.sessions.keys().copied().collect();
        let links: Vec<LinkKey> = self.links.keys().copied().collect();
        match self.random.below(12) {
            0..=2 => {
                if let Some(link) = self.random.pick(&links) {
                    self.cut_vendor(link);
                }
            }
            3..=5 => {
                let vendor = self.random.below(2) as usize;
                self.bind_vendor(vendor);
            }
            6 | 7 => {
                if let Some(link) = self.random.pick(&sessions) {
                    self.cut_customer(link);
                }
            }
            8 | 9 => {
                let account = self.random.below(3) as usize;
                self.bind_customer(account);
            }
            10 => {
                self.store.away = !self.store.away && self.random.percent(30);
                self.store_was_away |= self.store.away;
            }
            _ => {
                let (shard, variant) = (self.random.below(self.relays.len() as u64), self.random.below(2));
                let (now, snapshot) = (self.now(), Arc::clone(&self.snapshots[variant as usize]));
                self.relays[shard as usize].apply_snapshot(now, snapshot);
                self.pump(shard as u8);
            }
        }
    }

    fn cut_vendor(&mut self, link: LinkKey) {
        let Some(gone) = self.links.remove(&link) else { return };
        let now = self.now();
        let keys = |written: bool| -> Vec<MessageKey> {
            gone.flights.iter().filter(|flight| flight.2 == written).map(|flight| flight.0).collect()
        };
        self.relays[usize::from(gone.shard)].vendor_closed(now, link, &keys(true), &keys(false));
        self.pump(gone.shard);
        for upward in gone.upwards.into_values() {
            self.later(10, Event::Upward { upward }); // unanswered: the vendor sends it again
        }
    }

    fn cut_customer(&mut self, link: LinkKey) {
        let Some(gone) = self.sessions.remove(&link) else { return };
        for submit in self.submits.iter_mut().filter(|submit| submit.session == link) {
            submit.session_lost = true;
        }
        let deliveries: Vec<DeliveryKey> = gone.outstanding.keys().copied().collect();
        let now = self.now();
        self.relays[usize::from(gone.shard)].customer_closed(now, link, &deliveries);
        self.pump(gone.shard);
    }

    /// No more misfortune: everybody is there, so everything must come to its end.
    fn heal(&mut self) {
        self.healing = true;
        self.store.away = false;
        for vendor in 0..VENDORS.len() {
            self.bind_vendor(vendor);
        }
        for account in 0..ACCOUNTS.len() {
            self.bind_customer(account);
        }
    }

    fn is_quiet(&self) -> bool {
        self.events.is_empty() && self.relays.iter().all(Relay::is_empty)
    }

    fn happen(&mut self, event: Event) {
        self.note(&format!("{event:?}"));
        let now = self.now();
        match event {
            Event::Mail { from, to, message } => {
                let refusable = matches!(message, ShardMessage::Submit { .. } | ShardMessage::Deliver { .. });
                if refusable && self.faults && self.random.percent(2) {
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

    /// The vendor has the last byte of a message: what does it do with it?
    fn written(&mut self, link: LinkKey, message: MessageKey) {
        let Some(bind) = self.links.get_mut(&link) else { return };
        let vendor = bind.vendor;
        let Some(flight) = bind.flights.iter_mut().find(|flight| flight.0 == message) else { return };
        flight.2 = true;
        let number = flight.1;
        let submit = &mut self.submits[number as usize];
        submit.copies += 1;
        let mood = if self.faults { self.random.below(100) } else { self.random.below(80) };
        let delay = 1 + self.random.below(30);
        let status = match mood {
            0..80 => CommandStatus::ESME_ROK,
            80..86 => CommandStatus::ESME_RMSGQFUL,
            86..89 => CommandStatus::ESME_RTHROTTLED,
            89..92 => CommandStatus::ESME_RINVDSTADR,
            _ => {
                submit.copies_open += 1;
                self.later(100, Event::Expire { link, message }); // never answered
                if mood < 96 {
                    return;
                }
                CommandStatus::ESME_ROK // taken, and the answer got lost
            }
        };
        let id = (status == CommandStatus::ESME_ROK).then(|| {
            self.ids_given += 1;
            VendorMessageId::new(format!("{}-{}", VENDORS[vendor], self.ids_given).as_bytes()).unwrap()
        });
        if let Some(id) = id
            && self.submits[number as usize].wants_receipt
        {
            let times = if self.random.percent(10) { 2 } else { 1 };
            for _ in 0..times {
                let (carried, wait) = (Carried::Receipt(number), self.random.below(300));
                let owner = Some(self.submits[number as usize].account);
                self.upwards.push(Upward { vendor, carried, id: Some(id), owner, acked: false });
                self.later(wait, Event::Upward { upward: self.upwards.len() - 1 });
            }
        }
        if mood < 92 {
            self.submits[number as usize].copies_open += u32::from(status == CommandStatus::ESME_ROK);
            self.later(delay, Event::Answer { link, message, status, id });
        }
    }

    fn vendor_answers(
        &mut self,
        link: LinkKey,
        message: MessageKey,
        status: CommandStatus,
        id: Option<VendorMessageId>,
    ) {
        let number = self.links.get(&link).and_then(|bind| bind.flights.iter().find(|one| one.0 == message));
        let Some(number) = number.map(|flight| flight.1) else { return };
        let Some(shard) = self.take_flight(link, message) else { return };
        if let Some(id) = id {
            self.submits[number as usize].accepts_answered.push(id);
        }
        let now = self.now();
        let id = id.as_ref().map_or(&[][..], VendorMessageId::as_bytes);
        self.relays[usize::from(shard)].handle_answer(now, link, message, status, id);
        self.pump(shard);
    }

    fn take_flight(&mut self, link: LinkKey, message: MessageKey) -> Option<u8> {
        let bind = self.links.get_mut(&link)?;
        let before = bind.flights.len();
        bind.flights.retain(|flight| flight.0 != message);
        (bind.flights.len() < before).then_some(bind.shard)
    }

    fn send_upward(&mut self, upward: usize) {
        if self.upwards[upward].acked {
            return;
        }
        let vendor = self.upwards[upward].vendor;
        let links: Vec<LinkKey> =
            self.links.iter().filter(|(_, bind)| bind.vendor == vendor).map(|(link, _)| *link).collect();
        let Some(link) = self.random.pick(&links) else {
            return self.later(20, Event::Upward { upward });
        };
        self.order += 1;
        let (sequence, with_tlv) = (self.order as u32, self.random.percent(50));
        let one = &self.upwards[upward];
        let bytes = match (one.carried, one.id) {
            (Carried::Receipt(number), Some(id)) => wire::receipt(number, &id, with_tlv, sequence),
            (Carried::Mo(number) | Carried::Receipt(number), _) => wire::mo(
                number,
                one.owner.map_or(b"18009999999", |owner| NUMBERS[owner].as_bytes()),
                sequence,
            ),
        };
        let arrival = Arrival { now: self.now(), unix_seconds: 1_800_000_000, link, over_window: false };
        let bind = self.links.get_mut(&link).unwrap();
        bind.upwards.insert(sequence, upward);
        let shard = bind.shard;
        let frame = Frame::whole(&bytes).unwrap();
        let pdu = DeliverSm::decode(frame, &Dialect::strict()).unwrap();
        self.relays[usize::from(shard)].handle_deliver(arrival, frame, &pdu);
        self.pump(shard);
    }

    fn customer_answers(&mut self, link: LinkKey, delivery: DeliveryKey, status: Option<CommandStatus>) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        let Some(carried) = session.outstanding.remove(&delivery) else { return };
        let (shard, now) = (session.shard, self.now());
        let relay = &mut self.relays[usize::from(shard)];
        match status {
            Some(status) => {
                if status != CommandStatus::ESME_RX_T_APPN {
                    self.taken.insert(carried);
                    match carried {
                        Carried::Receipt(_) => self.story.receipts_taken += 1,
                        Carried::Mo(_) => self.story.mo_taken += 1,
                    }
                }
                relay.customer_answered(now, delivery, status);
            }
            None => relay.delivery_failed(now, delivery),
        }
        self.pump(shard);
    }

    /// Carries out what a relay wants, until it wants nothing.
    fn pump(&mut self, shard: u8) {
        let mut steps = 0;
        loop {
            steps += 1;
            assert!(
                steps < 100_000,
                "shard {shard} goes round: {:?}",
                self.relays[usize::from(shard)].counters()
            );
            let relay = &mut self.relays[usize::from(shard)];
            if let Some(output) = relay.poll() {
                self.note(&format!("{shard} {output:?}"));
                self.carry_out(shard, output);
            } else if let Some(op) = relay.poll_store() {
                let delay = self.random.below(5);
                self.later_in_order((200, shard), delay, Event::Store { shard, op });
            } else if let Some((to, message)) = relay.poll_shard() {
                assert_ne!(to.0, shard);
                let delay = 1 + self.random.below(3);
                self.later_in_order((shard, to.0), delay, Event::Mail { from: shard, to: to.0, message });
            } else {
                return;
            }
        }
    }

    fn carry_out(&mut self, shard: u8, output: Output) {
        match output {
            Output::SendSubmit { link, message } => self.send_submit(shard, link, message),
            Output::AnswerSubmit { link, sequence, command: _, status, message_id } => {
                self.submit_answered(link, sequence, status, message_id);
            }
            Output::SendDeliver { link, delivery } => self.send_deliver(shard, link, delivery),
            Output::AnswerDeliver { link, sequence, command: _, status } => {
                let Some(bind) = self.links.get_mut(&link) else { return };
                let upward = bind.upwards.remove(&sequence).expect("one answer for each deliver_sm");
                if status == CommandStatus::ESME_ROK {
                    self.upwards[upward].acked = true;
                } else {
                    assert_eq!(status, CommandStatus::ESME_RX_T_APPN);
                    self.later(50, Event::Upward { upward });
                }
            }
            Output::Drained => self.drained += 1,
        }
    }

    fn send_submit(&mut self, shard: u8, link: LinkKey, message: MessageKey) {
        let relay = &mut self.relays[usize::from(shard)];
        let now = Instant::from_nanos(self.now_ms * 1_000_000);
        let Some(bind) = self.links.get_mut(&link) else { return relay.send_failed(now, message) };
        assert_eq!(bind.shard, shard);
        let frame = Frame::whole(relay.bytes(message)).unwrap();
        let pdu = SubmitSm::decode(frame, &Dialect::strict()).unwrap();
        let number = wire::number_in(pdu.short_message, b'm').unwrap();
        assert!((bind.flights.len() as u32) < bind.window, "window of {link:?} exceeded");
        if self.faults && self.random.percent(1) {
            return relay.send_failed(now, message);
        }
        bind.flights.push((message, number, false));
        let submit = &mut self.submits[number as usize];
        submit.hands += 1;
        if submit.hands == 1 && !self.faults && self.relays.len() == 1 {
            let last = bind.last_first_try.insert(submit.session, number);
            assert!(last < Some(number), "message {number} overtook {last:?} on {link:?}");
        }
        let delay = self.random.below(3);
        self.later_in_order((202, link.0 as u8), delay, Event::Written { link, message });
    }

    fn submit_answered(
        &mut self,
        link: LinkKey,
        sequence: u32,
        status: CommandStatus,
        message_id: Option<GatewayId>,
    ) {
        let number = self.by_sequence[&(link, sequence)];
        let submit = &mut self.submits[number as usize];
        submit.answers += 1;
        assert_eq!(submit.answers, 1, "message {number} answered twice");
        assert!(!submit.session_lost, "message {number} answered on a lost session");
        assert_eq!(message_id.is_some(), status == CommandStatus::ESME_ROK);
        match status {
            CommandStatus::ESME_ROK => {
                self.story.accepted += 1;
                assert!(!submit.accepts_answered.is_empty(), "message {number}: success without a vendor");
                submit.gateway_id = message_id;
                let before = self.by_gateway_id.insert(message_id.unwrap(), number);
                assert_eq!(before, None, "an id was given twice");
            }
            CommandStatus::ESME_RUNKNOWNERR => self.story.unknown += 1,
            _ => {
                self.story.refused += 1;
                assert_eq!(
                    submit.copies_open, 0,
                    "message {number}: a definite no, but a vendor may have it"
                );
            }
        }
    }

    fn send_deliver(&mut self, shard: u8, link: LinkKey, delivery: DeliveryKey) {
        let now = self.now();
        let relay = &mut self.relays[usize::from(shard)];
        let Some(session) = self.sessions.get_mut(&link) else { return relay.delivery_failed(now, delivery) };
        let frame = Frame::whole(relay.delivery_bytes(delivery)).unwrap();
        let pdu = DeliverSm::decode(frame, &Dialect::strict()).unwrap();
        let carried = match receipt_of(&pdu) {
            Some(view) => {
                let number = wire::number_in(pdu.short_message, b'm').unwrap();
                assert!(!view.ids_differ());
                let id = GatewayId::parse(view.id.unwrap().value).expect("our id");
                let submit = &self.submits[number as usize];
                assert_eq!(submit.account, session.account, "a receipt at the wrong customer");
                if submit.answers > 0 {
                    assert_eq!(submit.gateway_id, Some(id), "a receipt with another id");
                }
                Carried::Receipt(number)
            }
            None => {
                let number = wire::number_in(pdu.short_message, b'o').unwrap();
                assert_eq!(self.upwards[number as usize].owner, Some(session.account));
                Carried::Mo(number)
            }
        };
        session.outstanding.insert(delivery, carried);
        let mood = if self.faults && !self.healing { self.random.below(100) } else { 0 };
        let status = match mood {
            0..85 => Some(CommandStatus::ESME_ROK),
            85..93 => Some(CommandStatus::ESME_RX_T_APPN),
            93..95 => Some(CommandStatus::ESME_RX_R_APPN),
            _ => None,
        };
        let delay = 1 + self.random.below(20);
        self.later(delay, Event::CustomerAnswers { link, delivery, status });
    }

    /// The story is over: what must hold?
    fn judge(mut self) -> Story {
        assert!(self.events.is_empty(), "still going on: {:?}", self.events);
        for (shard, relay) in self.relays.iter().enumerate() {
            assert!(relay.is_empty(), "shard {shard}: {:?}", relay.counters());
            let traffic = relay.counters().traffic;
            assert_eq!(traffic.queue_length, 0);
            for (vendor, traffic) in relay.vendor_counters() {
                assert_eq!(traffic.in_flight, 0, "{vendor:?}");
            }
            self.story.parked += traffic.parked;
            self.story.orphans += traffic.orphans;
            self.story.early += traffic.receipts_early;
            self.story.failovers += traffic.vendor_failovers;
            self.story.taken_back += traffic.vendor_unsent;
            self.story.remote += traffic.remote_submits;
            self.story.retries += traffic.unknown_retries;
        }
        assert_eq!(self.drained as usize, self.relays.len());
        assert_eq!(self.store.parked_count(), 0, "parked, and its owner is there");
        for (number, submit) in self.submits.iter().enumerate() {
            assert!(submit.session_lost || submit.answers == 1, "message {number} was not answered");
            let allowed = if ACCOUNTS[submit.account] == "initech" { u32::from(ATTEMPTS_MAX) } else { 1 };
            assert!(submit.copies_open <= allowed, "message {number}: {} copies", submit.copies_open);
            assert!(submit.copies <= u32::from(ATTEMPTS_MAX), "message {number}: {} tries", submit.copies);
        }
        let orphans: BTreeSet<Carried> =
            self.store.orphans.iter().filter_map(|pdu| carried_in(pdu)).collect();
        for upward in &self.upwards {
            assert!(upward.acked, "{:?} was never acknowledged", upward.carried);
            let taken = self.taken.contains(&upward.carried);
            assert!(taken || orphans.contains(&upward.carried), "{:?} vanished", upward.carried);
            if let (Carried::Receipt(number), Some(id)) = (upward.carried, upward.id) {
                let submit = &self.submits[number as usize];
                let kept = submit.accepts_answered.contains(&id) && !self.store_was_away;
                assert!(taken || !kept, "the receipt of message {number} never reached its customer");
            } else if upward.owner.is_some() {
                assert!(taken, "{:?} never reached its owner", upward.carried);
            }
        }
        self.story
    }
}

fn carried_in(pdu: &[u8]) -> Option<Carried> {
    let frame = Frame::whole(pdu)?;
    let pdu = DeliverSm::decode(frame, &Dialect::strict()).ok()?;
    if pdu.is_receipt() {
        wire::number_in(pdu.short_message, b'm').map(Carried::Receipt)
    } else {
        wire::number_in(pdu.short_message, b'o').map(Carried::Mo)
    }
}
