//! The relay's face: sequencing only, each rule stands in its own file.

use crate::account::{Accounts, Session};
use crate::arena::{Arena, List};
use crate::circuit::Outcome;
use crate::counters::{Counters, VendorTraffic};
use crate::drafts::Records;
use crate::early::LOOKS;
use crate::form::may_leave;
use crate::gather_table::Gather;
use crate::health::Health;
use crate::in_flight::InFlight;
use crate::limit::{Limiter, TokenPool, own_pool};
use crate::message::{AccountId, DeliveryKey, Key, LinkKey, MessageKey, ShardIndex, VendorId};
use crate::mutation::mutated;
use crate::node::NodeAnswer;
use crate::open::{Delivery, DeliveryPlace, Message, SpareBuffers};
use crate::output::Output;
use crate::resubmit::Resubmits;
use crate::seen::SeenReceipts;
use crate::shard_message::ShardMessage;
use crate::snapshot::Snapshot;
use crate::spool::Spool;
use crate::store_op::{StoreAnswer, StoreOp};
use crate::suit::SessionTraits;
use crate::together::Together;
use crate::unresolved::UnresolvedTable;
use crate::vendor::{VendorLink, Vendors, pace, set_pace};
use bytes::BytesMut;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smpp::field::CommandStatus;
use smpp::pdu::BindKind;
use smpp::text::message_id::GatewayIdSource;
use smpp::time::Instant;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// What a relay is told once.
#[derive(Clone, Copy, Debug)]
pub struct RelayOptions {
    /// The node's id, part of every message id.
    pub node: u8,
    /// Which shard this is.
    pub shard: ShardIndex,
    /// How many shards the node has; at least 1.
    pub shards: u8,
    /// Unix time of the start, with its fraction: ids must differ from those of a life that ended in this second.
    pub started_at: Duration,
    /// Decides draws and hash orders; the same seed and inputs give the same outputs.
    pub seed: u64,
}

/// One shard's mind.
///
/// Calling contract: after any `handle_*` (or a batch of them) drain [`Relay::poll`], [`Relay::poll_store`],
/// [`Relay::poll_spool`] and [`Relay::poll_shard`] until each gives nothing, then [`Relay::poll_record`]; carry out their
/// outputs in the order given. Failures of outputs come back as inputs (`send_failed`, `delivery_failed`,
/// `handle_undelivered`), which may give new outputs.
/// Every `SendSubmit` ends in exactly one of `handle_answer`, `handle_expired`, `send_failed` or a place in the lists of
/// `vendor_closed`; every `SendDeliver` in `customer_answered`, `delivery_failed` or the list of `customer_closed`.
/// [`Relay::handle_tick`] every 5 ms or so keeps pauses, pacing and deadlines. `now` never goes back.
#[derive(Debug)]
pub struct Relay {
    pub(crate) options: RelayOptions,
    pub(crate) snapshot: Arc<Snapshot>,
    /// Grows with every snapshot; tells whether a message's plan is of the one in force.
    pub(crate) epoch: u32,
    pub(crate) draining: bool,
    /// The store can keep correlations now.
    pub(crate) receipts_room: bool,
    drained_said: bool,
    /// Messages drawn so far; with the seed it decides every draw.
    pub(crate) drawn: u64,
    pub(crate) ids: GatewayIdSource,

    pub(crate) parties: HashMap<LinkKey, Party, FixedState>,
    pub(crate) sessions: Arena<Session>,
    pub(crate) accounts: Accounts,
    pub(crate) vendor_links: Arena<VendorLink>,
    pub(crate) vendors: Vendors,
    pub(crate) limiter: Limiter,
    pub(crate) health: Health,

    pub(crate) messages: Arena<Message>,
    /// Messages that wait for the store, by deadline.
    pub(crate) store_waits: List,
    /// Messages with other shards, by deadline.
    pub(crate) remote_waits: List,
    pub(crate) in_flight: InFlight,
    pub(crate) unresolved: UnresolvedTable,
    pub(crate) seen: SeenReceipts,
    /// Final receipts that were taken or are kept, by their whole content.
    pub(crate) done: SeenReceipts,
    /// Until then a receipt without a correlation may be about an accepted message of ours.
    pub(crate) distrust_until: Instant,
    pub(crate) resubmits: Resubmits,
    pub(crate) together: Together,

    pub(crate) deliveries: Arena<Delivery>,
    /// Deliveries that wait for the store, by deadline.
    pub(crate) delivery_store_waits: List,
    /// Deliveries with other shards, by deadline.
    pub(crate) remote_deliveries: List,
    /// Early receipts by round, by deadline.
    pub(crate) early: [List; LOOKS.len()],

    /// Parts of MO whose message is not whole.
    pub(crate) gather: Gather,

    pub(crate) spool: Spool,
    pub(crate) spare: SpareBuffers,
    /// Working space of the rewriting.
    pub(crate) text: BytesMut,
    /// Working space of the rewriting.
    pub(crate) rewritten: Vec<u8>,
    /// What came in another form than may leave, written anew.
    pub(crate) anew: BytesMut,

    pub(crate) outputs: VecDeque<Output>,
    pub(crate) store_ops: VecDeque<StoreOp>,
    pub(crate) shard_messages: VecDeque<(ShardIndex, ShardMessage)>,
    pub(crate) node_answers: VecDeque<NodeAnswer>,
    pub(crate) records: Records,
    pub(crate) counters: Counters,
    #[cfg(feature = "mutations")]
    pub(crate) mutation: Option<crate::mutation::Mutation>,
}

/// Whose link it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Party {
    /// A customer's session.
    Customer(Key),
    /// A bind of ours, or a link to a node that has one.
    Vendor(Key),
    /// Another node's session, for the binds of this vendor that we have.
    Node(VendorId),
}

/// Links that one shard's relay knows at once, customers' and vendors' each. The shard's own bound is lower; this one
/// only keeps a mistake there from growing without end. A link costs about 100 bytes.
const LINKS_MAX: u32 = 1 << 20;

impl Relay {
    /// A relay without links that shares its limits with nobody.
    pub fn new(options: RelayOptions, snapshot: Arc<Snapshot>) -> Self {
        Self::with_pool(options, snapshot, own_pool())
    }

    /// A relay without links that takes its tokens from that pool.
    pub fn with_pool(options: RelayOptions, snapshot: Arc<Snapshot>, pool: Box<dyn TokenPool>) -> Self {
        let limits = *snapshot.limits();
        let mut vendors = Vendors::new();
        vendors.apply(&snapshot, &snapshot);
        let records = Records::new(snapshot.records(), options.started_at);
        Self {
            options,
            epoch: 0,
            draining: false,
            receipts_room: true,
            drained_said: false,
            drawn: 0,
            ids: GatewayIdSource::starting_at(options.node, options.shard.0, options.started_at),
            parties: HashMap::with_hasher(FixedState::with_seed(options.seed)),
            sessions: Arena::new(LINKS_MAX),
            accounts: Accounts::new(options.seed),
            vendor_links: Arena::new(LINKS_MAX),
            vendors,
            limiter: Limiter::new(pool, Arc::clone(&snapshot)),
            health: Health::default(),
            messages: Arena::new(limits.messages_max),
            store_waits: List::default(),
            remote_waits: List::default(),
            in_flight: InFlight::new(),
            unresolved: UnresolvedTable::new(options.seed),
            seen: SeenReceipts::new(options.seed),
            done: SeenReceipts::new(options.seed),
            distrust_until: Instant::default(),
            resubmits: Resubmits::new(options.seed),
            together: Together::new(options.seed),
            deliveries: Arena::new(limits.deliveries_max),
            delivery_store_waits: List::default(),
            remote_deliveries: List::default(),
            early: Default::default(),
            gather: Gather::new(options.seed),
            spool: Spool::default(),
            spare: SpareBuffers::default(),
            text: BytesMut::new(),
            rewritten: Vec::new(),
            anew: BytesMut::new(),
            outputs: VecDeque::new(),
            store_ops: VecDeque::new(),
            shard_messages: VecDeque::new(),
            node_answers: VecDeque::new(),
            records,
            counters: Counters::default(),
            snapshot,
            #[cfg(feature = "mutations")]
            mutation: None,
        }
    }

    /// A new configuration. Open messages finish; those that must be routed anew are routed by the new one. A vendor that
    /// it does not hold gets no further message. Costs what the vendors cost; whoever published the old one must hold it
    /// until all shards let go, so that its end is not paid here.
    pub fn apply_snapshot(&mut self, now: Instant, snapshot: Arc<Snapshot>) {
        if snapshot.circuit_rules() != self.snapshot.circuit_rules() {
            self.forget_circuits();
        }
        let old = core::mem::replace(&mut self.snapshot, snapshot);
        self.epoch = self.epoch.wrapping_add(1);
        let limits = *self.snapshot.limits();
        self.messages.set_max(limits.messages_max);
        self.deliveries.set_max(limits.deliveries_max);
        self.records.set_on(self.snapshot.records());
        self.accounts.apply();
        self.vendors.apply(&old, &self.snapshot);
        self.limiter.apply(&self.snapshot);
        for key in self.sessions.keys_of(|_| true) {
            let account = self.accounts[self.sessions[key].account].id;
            let rate = self.snapshot.account(account).map_or(0, |account| account.bind_rate);
            self.sessions[key].pace.set(rate, rate);
        }
        for place in self.vendors.places() {
            let vendor = &self.vendors[place];
            let Some(at) = vendor.snapshot_place else {
                self.leave_vendor(now, place);
                continue;
            };
            let rate = self.snapshot.vendors()[usize::from(at)].rate_per_bind;
            for link in vendor.links.iter().filter(|_| !vendor.through_nodes) {
                set_pace(&mut self.vendor_links[*link].pace, rate);
            }
            self.dispatch(now, place);
        }
    }

    /// A customer's session is bound. `window` bounds our unanswered deliver_sm on it. False when the account is
    /// not in this shard's snapshot: close the link then.
    pub fn customer_bound(
        &mut self,
        now: Instant,
        account: AccountId,
        link: LinkKey,
        kind: BindKind,
        window: u32,
    ) -> bool {
        self.customer_bound_as(now, account, link, kind, window, SessionTraits::default())
    }

    /// A customer's link is closed; `deliveries` are the tokens it gave back, written or not.
    pub fn customer_closed(&mut self, now: Instant, link: LinkKey, deliveries: &[DeliveryKey]) {
        self.lose_session(now, link, deliveries);
    }

    /// A vendor's bind of ours is up. `window` bounds our unanswered requests on it. False when the vendor is not
    /// in this shard's snapshot: close the link then.
    pub fn vendor_bound(
        &mut self,
        now: Instant,
        vendor: VendorId,
        link: LinkKey,
        kind: BindKind,
        window: u32,
    ) -> bool {
        let Some(place) = self.vendors.place(&self.snapshot, vendor) else { return false };
        let Some(at) = self.vendors[place].snapshot_place else { return false };
        if self.parties.contains_key(&link) {
            return false;
        }
        let Some((key, bind)) = self.vendor_links.insert() else { return false };
        *bind = VendorLink {
            link,
            vendor: place,
            may_submit: kind.may_submit() && window > 0,
            window,
            pace: pace(self.snapshot.vendors()[usize::from(at)].rate_per_bind),
            version: self.snapshot.vendors()[usize::from(at)].version,
            ..VendorLink::default()
        };
        let may_submit = bind.may_submit;
        self.parties.insert(link, Party::Vendor(key));
        if may_submit {
            self.vendors[place].put_nodes_back();
            self.vendors[place].links.push(key);
            if self.vendors[place].links.len() == 1 {
                self.hasten_spool();
            }
            self.announce_vendor(place);
            self.dispatch(now, place);
        }
        true
    }

    /// A vendor's link is closed: what was wholly taken by the kernel, and what provably never left, in the order
    /// of sending.
    pub fn vendor_closed(
        &mut self,
        now: Instant,
        link: LinkKey,
        written: &[MessageKey],
        unsent: &[MessageKey],
    ) {
        self.lose_link(now, link, written, unsent);
    }

    /// A vendor answered submit_sm or data_sm. The id is as it stands in the answer, empty where there is none.
    pub fn handle_answer(
        &mut self,
        now: Instant,
        link: LinkKey,
        message: MessageKey,
        status: CommandStatus,
        vendor_message_id: &[u8],
    ) {
        match self.written_on(message) {
            Some(key) if self.vendor_links.get(key).is_some_and(|bind| bind.link == link) => {
                self.answered(now, message.0, status, vendor_message_id);
            }
            _ => self.counters.traffic.stale_events += 1,
        }
    }

    /// A vendor did not answer in time (link's `Expired`); a later answer is dropped by the link.
    pub fn handle_expired(&mut self, now: Instant, message: MessageKey) {
        let Some(link) = self.written_on(message) else {
            self.counters.traffic.stale_events += 1;
            return;
        };
        self.free_slot(link);
        let vendor = self.messages[message.0].vendor;
        self.lose(now, message.0);
        self.dispatch(now, vendor);
    }

    /// The link refused a `SendSubmit`: provably unsent, it goes elsewhere or waits, and with it all that was still to
    /// be sent on that link.
    pub fn send_failed(&mut self, now: Instant, message: MessageKey) {
        let Some(link) = self.written_on(message) else {
            self.counters.traffic.stale_events += 1;
            return;
        };
        self.free_slot(link);
        if let Some(bind) = self.vendor_links.get_mut(link) {
            bind.blocked = true;
        }
        self.note_ended(now, message.0, Outcome::Failed);
        let vendor = self.messages[message.0].vendor;
        self.recall(now, link);
        self.forget_send(vendor);
        self.take_back(now, message.0);
        self.dispatch(now, vendor);
    }

    /// A customer answered deliver_sm or data_sm.
    pub fn customer_answered(&mut self, now: Instant, delivery: DeliveryKey, status: CommandStatus) {
        self.delivery_answered(now, delivery.0, status);
    }

    /// A link refused a `SendDeliver`, or its answer did not come in time: another session, or parked.
    pub fn delivery_failed(&mut self, now: Instant, delivery: DeliveryKey) {
        self.delivery_lost(now, delivery.0);
    }

    /// What a store answered.
    pub fn handle_store_answer(&mut self, now: Instant, answer: StoreAnswer) {
        match answer {
            StoreAnswer::Remembered { message, outcome } => self.remembered(now, message.0, outcome.is_ok()),
            StoreAnswer::Found { delivery, outcome } => self.found(now, delivery.0, outcome),
            StoreAnswer::Parked { delivery, account, outcome, pdu } => {
                if !self.parked(now, delivery.0, outcome, pdu, DeliveryPlace::Parking) && outcome.is_ok() {
                    self.parked_late(now, account);
                }
            }
            StoreAnswer::OrphanParked { delivery, outcome, pdu } => {
                self.parked(now, delivery.0, outcome, pdu, DeliveryPlace::Orphaning);
            }
            StoreAnswer::EarlyKept { delivery, outcome, pdu } => {
                self.early_kept(now, delivery.0, outcome, pdu);
            }
            StoreAnswer::Unparked { account, entries, more } => {
                if let Some(place) = self.accounts.place_any(&self.snapshot, account) {
                    self.unparked(now, place, entries, more);
                }
            }
            StoreAnswer::ParkedFor { .. } | StoreAnswer::AskAgain if mutated!(self, IgnoreHints) => {}
            StoreAnswer::ParkedFor { account } => self.parked_elsewhere(now, account),
            StoreAnswer::AskAgain => self.ask_again(now),
            StoreAnswer::Room { .. } if mutated!(self, IgnoreRoom) => {}
            StoreAnswer::Room { receipts } => self.receipts_room = receipts,
        }
    }

    /// What another shard says.
    pub fn handle_shard_message(&mut self, now: Instant, from: ShardIndex, message: ShardMessage) {
        self.shard_said(now, from, message);
    }

    /// A `Submit`, `Deliver` or `Part` for `to` found its mailbox full or closed: it comes back unsent.
    pub fn handle_undelivered(&mut self, now: Instant, to: ShardIndex, message: ShardMessage) {
        self.came_back(now, to, message);
    }

    /// Another shard is gone: what it held is unknown, its links and sessions are forgotten.
    pub fn shard_gone(&mut self, now: Instant, shard: ShardIndex) {
        self.forget_shard(now, shard);
    }

    /// Time passes: pauses end, tokens come, deadlines fall.
    pub fn handle_tick(&mut self, now: Instant) {
        self.expire_waits(now);
        self.expire_delivery_waits(now);
        self.retry_early(now);
        self.expire_unresolved(now);
        self.resubmits.expire(now);
        self.expire_gathers(now);
        self.spool_tick(now);
        self.limiter.tick();
        self.advance_circuits(now);
        for place in self.vendors.places() {
            self.vendor_tick(now, place);
        }
        self.accounts_tick(now);
    }

    fn vendor_tick(&mut self, now: Instant, place: u16) {
        for at in 0..self.vendors[place].links.len() {
            let link = self.vendors[place].links[at];
            let link = &mut self.vendor_links[link];
            link.blocked = now < link.rests_until;
        }
        for other in &mut self.vendors[place].elsewhere {
            other.blocked = false;
        }
        if !self.vendors[place].queue.is_empty() {
            self.dispatch(now, place);
            self.evacuate_some(now, place);
            self.expire_queue(now, place);
        }
    }

    /// Looks at the watched accounts, and ceases to watch those without need.
    fn accounts_tick(&mut self, now: Instant) {
        let mut at = 0;
        while at < self.accounts.watched.len() {
            let place = self.accounts.watched[at];
            self.dispatch_deliveries(now, place);
            self.expire_deliveries(now, place);
            self.unpark_tick(now, place);
            let account = &mut self.accounts[place];
            if account.waiting.is_empty() && account.unpark.due.is_none() {
                account.watched = false;
                self.accounts.watched.swap_remove(at);
            } else {
                at += 1;
            }
        }
    }

    /// No new submits and deliveries from now on; `Output::Drained` follows when nothing is open.
    pub fn drain(&mut self, now: Instant) {
        self.draining = true;
        self.refuse_gathered();
        self.handle_tick(now); // what is over by now shall not hold the end up
    }

    /// The next thing that links shall do.
    pub fn poll(&mut self) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        if self.draining && !self.drained_said && self.is_empty() {
            self.drained_said = true;
            return Some(Output::Drained);
        }
        None
    }

    /// The next thing that the store shall do.
    pub fn poll_store(&mut self) -> Option<StoreOp> {
        self.store_ops.pop_front()
    }

    /// The next word to another shard.
    pub fn poll_shard(&mut self) -> Option<(ShardIndex, ShardMessage)> {
        self.shard_messages.pop_front()
    }

    /// The whole PDU of an open message, its sequence number to be patched. Empty for a stale key.
    pub fn bytes(&self, message: MessageKey) -> &[u8] {
        let open = self.messages.get(message.0);
        let bytes: &[u8] = open.map_or(&[], |open| if open.wire.is_empty() { &open.pdu } else { &open.wire });
        debug_assert!(may_leave(bytes), "{}", bytes.escape_ascii());
        bytes
    }

    /// The whole PDU of an open delivery, its sequence number to be patched. Empty for a stale key.
    pub fn delivery_bytes(&self, delivery: DeliveryKey) -> &[u8] {
        let open = self.deliveries.get(delivery.0);
        let bytes: &[u8] = open.map_or(&[], |open| if open.wire.is_empty() { &open.pdu } else { &open.wire });
        debug_assert!(may_leave(bytes), "{}", bytes.escape_ascii());
        bytes
    }

    /// True when no message and no delivery is open.
    pub fn is_empty(&self) -> bool {
        self.messages.open() == 0 && self.deliveries.open() == 0
    }

    /// Unix time of the newest second of which message ids were given.
    pub fn newest_id_second(&self) -> u64 {
        self.ids.newest_second()
    }

    /// What was done so far, with the gauges of now.
    pub fn counters(&self) -> Counters {
        let mut counters = self.counters;
        counters.traffic.messages_open = u64::from(self.messages.open());
        counters.traffic.deliveries_open = u64::from(self.deliveries.open());
        counters.traffic.unresolved_open = u64::from(self.unresolved.len());
        counters.traffic.resubmits_open = u64::from(self.resubmits.len());
        counters.traffic.route_circuits = self.health.routes.len() as u64;
        counters.traffic.route_circuit_openings = self.health.route_openings;
        counters.traffic.route_circuits_full = self.health.routes.full;
        counters.spool.open = self.spooled_open();
        counters.traffic.limits_without_room = self.limiter.unlimited;
        counters.traffic.queue_length = self.vendors.iter().map(|vendor| u64::from(vendor.queue.len())).sum();
        counters
    }

    /// The same by vendor, in the order in which the vendors were first seen.
    pub fn vendor_counters(&self) -> impl Iterator<Item = (VendorId, VendorTraffic)> + '_ {
        self.vendors.iter().map(|vendor| {
            let links = vendor.links.iter().chain(&vendor.nodes);
            let in_flight = links.map(|link| u64::from(self.vendor_links[*link].in_flight));
            let traffic = VendorTraffic {
                queue_length: u64::from(vendor.queue.len()),
                in_flight: in_flight.sum(),
                links: if vendor.through_nodes { 0 } else { vendor.links.len() as u64 },
                ..vendor.traffic
            };
            (vendor.id, traffic)
        })
    }

    /// The configuration in force.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// What the relay was told at its start.
    pub fn options(&self) -> &RelayOptions {
        &self.options
    }
}
