//! The shard as its links see it: every event is sorted by whose link it came from and handed to `ingress`
//! (customers) or `egress` (vendors), then what the relay wants done is carried out.

use crate::backlog::Outgoing;
use crate::bind_wait::BindWaits;
use crate::binds::Binds;
use crate::directive::Notice;
use crate::egress::{Answer, VendorPeer};
use crate::ingress::{BindRefusal, CustomerPeer};
use crate::mail::Mail;
use crate::nodes::{NodePeer, NodeSession};
use crate::options::{Plan, ShardOptions};
use crate::pool::NodePool;
use crate::records::RecordLine;
use crate::report::{HealthTally, Latency, LinkTally, VendorReport};
use crate::slots::Slots;
use link::{App, Bell, Closed, Event, LinkId, Links};
use relay::{AccountId, Arrival, DeliveryKey, LinkKey, MessageKey, Relay, SpoolOp, StoreOp, VendorId};
use smpp::time::Instant;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

/// What is remembered with each request on a link.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Token {
    /// A submit on a vendor's link.
    Message(MessageKey),
    /// A delivery on a customer's link.
    Delivery(DeliveryKey),
}

/// Whose link it is.
pub(crate) enum Peer {
    /// A customer's, bound or about to be.
    Customer(CustomerPeer),
    /// A vendor's, bound or about to be.
    Vendor(VendorPeer),
    /// Another node, which holds a slot of a vendor.
    Node(NodePeer),
    /// Another node's session.
    NodeSession(NodeSession),
}

/// Everything that one shard owns beside its links.
pub(crate) struct ShardApp {
    pub(crate) options: ShardOptions,
    pub(crate) plan: Arc<Plan>,
    pub(crate) relay: Relay,
    /// By the index of the link.
    peers: Vec<Option<Peer>>,
    /// Sessions of each account, bound or about to be. Bounded by the links.
    pub(crate) sessions: HashMap<AccountId, u32>,
    pub(crate) others: Vec<Option<Outgoing<Mail>>>,
    pub(crate) store: Option<Outgoing<StoreOp>>,
    pub(crate) spool: Option<Outgoing<SpoolOp>>,
    /// To the thread of records, where records are made.
    pub(crate) records: Option<RecordLine>,
    /// Slots of vendors that several nodes share, where there may be some.
    pub(crate) slots: Option<Slots>,
    pub(crate) control: Outgoing<Notice>,
    pub(crate) customers: LinkTally,
    pub(crate) vendors_links: LinkTally,
    /// Binds that were not answered yet.
    pub(crate) bind_waits: BindWaits,
    /// By [`BindRefusal::ALL`].
    pub(crate) bind_refusals: [u64; BindRefusal::ALL.len()],
    /// Address ranges of customers' binds that were no pattern.
    pub(crate) ranges_invalid: u64,
    /// Accounts of which that was told.
    pub(crate) ranges_told: HashSet<AccountId>,
    pub(crate) greetings_failed: u64,
    pub(crate) handed_over: u64,
    pub(crate) accepts_failed: u64,
    pub(crate) vendors: Vec<VendorReport>,
    /// Where each vendor is in `vendors`.
    vendor_places: HashMap<VendorId, usize>,
    /// The binds that this shard keeps.
    pub(crate) binds: Binds,
    /// How long new configurations kept this shard from its links, by uninterrupted pieces of work.
    pub(crate) swaps: Latency,
    /// Vendors' links that stand, bound or not.
    pub(crate) vendors_open: usize,
    /// Held once for each accepted connection whose bind is being read.
    pub(crate) greetings: Rc<()>,
    /// Customers' connections closed because as many stand as may.
    pub(crate) customers_refused: u64,
    /// Seconds since 1970 UTC, looked up once a tick.
    pub(crate) unix_seconds: u64,
    /// Binds and messages are refused, links are not renewed.
    pub(crate) draining: bool,
    /// Rung when the relay has nothing open after a drain.
    pub(crate) drained: Rc<Bell>,
}

/// The ends of everything a shard talks to.
pub(crate) struct Lines {
    pub(crate) others: Vec<Option<Outgoing<Mail>>>,
    pub(crate) store: Option<Outgoing<StoreOp>>,
    pub(crate) spool: Option<Outgoing<SpoolOp>>,
    pub(crate) records: Option<RecordLine>,
    pub(crate) slots: Option<Slots>,
    pub(crate) control: Outgoing<Notice>,
    pub(crate) drained: Rc<Bell>,
}

impl ShardApp {
    pub(crate) fn new(options: ShardOptions, plan: Arc<Plan>, pool: Arc<NodePool>, lines: Lines) -> Self {
        let relay_options = relay::RelayOptions {
            node: options.node,
            shard: relay::ShardIndex(options.index),
            shards: options.shards,
            started_at: std::time::UNIX_EPOCH.elapsed().unwrap_or_default().max(options.ids_from),
            seed: options.seed,
        };
        let mut app = ShardApp {
            relay: Relay::with_pool(relay_options, plan.snapshot.clone(), Box::new(pool)),
            options,
            plan,
            peers: Vec::new(),
            sessions: HashMap::new(),
            others: lines.others,
            store: lines.store,
            spool: lines.spool,
            records: lines.records,
            slots: lines.slots,
            control: lines.control,
            customers: LinkTally::default(),
            vendors_links: LinkTally::default(),
            bind_waits: BindWaits::default(),
            bind_refusals: Default::default(),
            ranges_invalid: 0,
            ranges_told: HashSet::new(),
            greetings_failed: 0,
            handed_over: 0,
            accepts_failed: 0,
            vendors: Vec::new(),
            vendor_places: HashMap::new(),
            binds: Binds::default(),
            swaps: Latency::default(),
            vendors_open: 0,
            greetings: Rc::new(()),
            customers_refused: 0,
            unix_seconds: unix_seconds(),
            draining: false,
            drained: lines.drained,
        };
        app.show_vendors();
        app
    }

    /// Every vendor of the plan is in the report from the start: one that was never reached must be seen too. One that is
    /// switched off is not missed.
    pub(crate) fn show_vendors(&mut self) {
        for vendor in &mut self.vendors {
            vendor.is_configured = false;
        }
        for vendor in &self.plan.clone().vendors {
            let place = self.vendor_report(vendor.id, &vendor.name);
            self.vendors[place].is_configured |= vendor.binds > 0;
        }
    }

    pub(crate) fn peer(&mut self, id: LinkId) -> Option<&mut Peer> {
        self.peers.get_mut(id.index())?.as_mut()
    }

    pub(crate) fn put_peer(&mut self, id: LinkId, peer: Peer) {
        if self.peers.len() <= id.index() {
            self.peers.resize_with(id.index() + 1, || None);
        }
        self.vendors_open += usize::from(!matches!(peer, Peer::Customer(_)));
        self.peers[id.index()] = Some(peer);
    }

    pub(crate) fn take_peer(&mut self, id: LinkId) -> Option<Peer> {
        let peer = self.peers.get_mut(id.index())?.take()?;
        self.vendors_open -= usize::from(!matches!(peer, Peer::Customer(_)));
        Some(peer)
    }

    /// Whether one more link of a customer may stand: vendors' binds have room of their own.
    pub(crate) fn has_room_for_customer(&self, links: &Links<Token>) -> bool {
        links.len() - self.vendors_open < self.options.links_max
    }

    pub(crate) fn arrival(&self, links: &Links<Token>, id: LinkId, over_window: bool) -> Arrival {
        Arrival { now: links.now(), unix_seconds: self.unix_seconds, link: key_of(id), over_window }
    }

    /// Where this vendor is counted.
    pub(crate) fn vendor_report(&mut self, id: VendorId, name: &str) -> usize {
        if let Some(place) = self.vendor_places.get(&id) {
            return *place;
        }
        let place = self.vendors.len();
        self.vendors.push(VendorReport { id: Some(id), name: name.into(), ..VendorReport::default() });
        self.vendor_places.insert(id, place);
        place
    }

    /// What is shown of vendors: those of the plan, and others until their last link is gone.
    pub(crate) fn vendor_reports(&self, now: Instant) -> Vec<VendorReport> {
        let mut vendors = self.vendors.clone();
        for (id, traffic) in self.relay.vendor_counters() {
            if let Some(place) = self.vendor_places.get(&id) {
                vendors[*place].traffic = traffic;
            }
        }
        for (id, health) in self.relay.vendor_health(now) {
            if let Some(place) = self.vendor_places.get(&id) {
                vendors[*place].health = HealthTally::of(&health);
            }
        }
        vendors.retain(|vendor| vendor.is_configured || vendor.links > 0);
        vendors
    }
}

impl App for ShardApp {
    type Token = Token;

    fn on_event(&mut self, links: &mut Links<Token>, id: LinkId, event: Event<'_, Token>) {
        match event {
            Event::Request { frame, pdu, over_window } => {
                let arrival = self.arrival(links, id, over_window);
                match self.peer(id) {
                    Some(Peer::Customer(_)) => self.on_customer_request(links, arrival, frame, &pdu),
                    Some(Peer::Vendor(_)) => self.on_vendor_request(links, arrival, frame, &pdu),
                    Some(Peer::NodeSession(_)) => self.on_node_request(links, arrival, frame, &pdu),
                    Some(Peer::Node(_)) => crate::ingress::answer_unsupported(links, arrival, frame),
                    None => {}
                }
            }
            Event::Response { token: Token::Message(message), frame, status, sent_at } => {
                self.on_vendor_answer(links, id, message, Answer { frame, status, sent_at });
            }
            Event::Response { token: Token::Delivery(delivery), status, .. } => {
                self.relay.customer_answered(links.now(), delivery, status);
            }
            Event::Expired { token: Token::Message(message), .. } => {
                self.relay.handle_expired(links.now(), message);
            }
            Event::Expired { token: Token::Delivery(delivery), .. } => {
                self.relay.delivery_failed(links.now(), delivery);
            }
            Event::BindRequest { kind, bind, sequence } => {
                self.on_bind_request(links, id, kind, &bind, sequence);
            }
            Event::Bound { kind, .. } => self.on_vendor_bound(links, id, kind),
            Event::BindRefused { status, is_nack } => self.on_vendor_refused(id, status, is_nack),
            Event::Ending => self.on_ending(links, id),
            Event::Unbound | Event::Notice { .. } | Event::LateResponse { .. } | Event::Nothing => {}
        }
        self.carry_out(links);
    }

    fn on_closed(&mut self, links: &mut Links<Token>, id: LinkId, closed: Closed<Token>) {
        match self.take_peer(id) {
            Some(Peer::Customer(peer)) => self.on_customer_closed(links, id, &peer, &closed),
            Some(Peer::Vendor(peer)) => self.on_vendor_closed(links, id, &peer, &closed),
            Some(Peer::Node(peer)) => self.on_node_closed(links, id, &peer, &closed),
            Some(Peer::NodeSession(session)) => self.on_node_session_closed(id, &session),
            None => {}
        }
        self.carry_out(links);
    }

    fn on_tick(&mut self, links: &mut Links<Token>) {
        self.unix_seconds = unix_seconds();
        self.refuse_due_binds(links);
        if self.options.index == 0 {
            self.options.refusals.look(runtime::monotonic_nanos());
        }
        self.look_after_slots(links);
        self.relay.handle_tick(links.now());
        self.tell_circuits();
        self.carry_out(links);
        self.look_after_records(links);
        if self.waiting() > 0 {
            links.schedule_flush();
        }
    }

    fn on_flush(&mut self, _links: &mut Links<Token>) {
        self.flush_mail();
    }
}

/// The relay's name for a link.
pub(crate) fn key_of(id: LinkId) -> LinkKey {
    LinkKey(id.to_bits())
}

/// The link behind the relay's name.
pub(crate) fn link_of(key: LinkKey) -> LinkId {
    LinkId::from_bits(key.0)
}

fn unix_seconds() -> u64 {
    // A clock before 1970 is a broken clock; ids then count from 1970 and stay unique within the process.
    std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}
