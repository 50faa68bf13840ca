//! Connections: two lanes with latency, two sides that end at different moments, and what each end leaves behind.

use super::World;
use super::event::Event;
use crate::fault::Fault;
use crate::ledger::CopyState;
use crate::scene::*;
use relay::{AccountId, DeliveryKey, LinkKey, MessageKey, VendorId};
use smpp::field::CommandStatus;
use smpp::pdu::BindKind;

/// A link takes so long at most while all is well.
const LATENCY_US_USUAL: u64 = 4_000;
/// A slow link takes so long one way.
const LATENCY_US_MAX: u64 = 100_000;

/// How often a link that is to end is looked at.
const LEAVE_LOOK_US: u64 = 5_000;
/// How soon a bind to a vendor that is not configured is tried again.
const RETRY_US: u64 = 20_000;

/// Who is at the other end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Party {
    Customer(usize),
    Vendor(usize),
}

/// One request on a vendor's link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) message: MessageKey,
    pub(super) copy: u32,
    pub(super) written: bool,
}

/// One connection with its session.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) party: Party,
    pub(super) node: usize,
    pub(super) shard: usize,
    /// Our side stands.
    pub(super) ours: bool,
    /// The peer's side stands.
    pub(super) theirs: bool,
    /// Nothing passes any more, and nobody knows.
    pub(super) deaf: bool,
    pub(super) may_submit: bool,
    pub(super) may_receive: bool,
    pub(super) window: u32,
    latency: u64,
    /// Nothing passes towards the peer before this moment.
    pub(super) clogged_out: u64,
    /// Nothing passes from the peer before this moment.
    pub(super) clogged_in: u64,
    /// When the last thing towards the peer arrives.
    out_lane: u64,
    /// When the last thing from the peer arrives.
    in_lane: u64,
    /// Requests of ours to a vendor that are not answered.
    pub(super) flights: Vec<Flight>,
    /// Deliveries of ours to a customer that are not answered.
    pub(super) outstanding: Vec<DeliveryKey>,
    /// Receipts and MO of the vendor that are not answered, by sending.
    pub(super) sendings: Vec<u32>,
    /// The last submit of each session whose first copy went here.
    pub(super) last_first: Vec<(LinkKey, u32)>,
}

impl Link {
    pub(super) fn heal(&mut self) {
        self.latency = self.latency.min(LATENCY_US_USUAL);
    }
}

impl World {
    pub(super) fn link(&mut self, key: LinkKey) -> &mut Link {
        &mut self.links[key.0 as usize]
    }

    fn new_link(&mut self, party: Party, shard: usize, window: u32, kind: BindKind) -> LinkKey {
        let key = LinkKey(self.links.len() as u64);
        self.links.push(Link {
            party,
            node: self.shards[shard].node,
            shard,
            ours: true,
            theirs: true,
            deaf: false,
            may_submit: kind.may_submit(),
            may_receive: kind.may_receive(),
            window,
            latency: self.random.between(200, LATENCY_US_USUAL),
            clogged_out: 0,
            clogged_in: 0,
            out_lane: 0,
            in_lane: 0,
            flights: Vec::new(),
            outstanding: Vec::new(),
            sendings: Vec::new(),
            last_first: Vec::new(),
        });
        key
    }

    /// When something sent now arrives at the peer; nothing where it never will.
    pub(super) fn reaches_peer(&mut self, key: LinkKey) -> Option<u64> {
        let air = self.random.below(1_000);
        let now = self.now;
        let link = self.link(key);
        link.out_lane = link.out_lane.max(now.max(link.clogged_out) + link.latency + air);
        (!link.deaf && link.ours).then_some(link.out_lane)
    }

    /// When something that the peer sends now arrives; nothing where it never will.
    pub(super) fn reaches_us(&mut self, key: LinkKey) -> Option<u64> {
        let air = self.random.below(1_000);
        let now = self.now;
        let link = self.link(key);
        link.in_lane = link.in_lane.max(now.max(link.clogged_in) + link.latency + air);
        (!link.deaf && link.theirs).then_some(link.in_lane)
    }

    pub(super) fn slow_down(&mut self, key: LinkKey) {
        let link = self.link(key);
        link.latency = (link.latency * 20).min(LATENCY_US_MAX);
    }

    pub(super) fn bind_vendor(&mut self, vendor: usize, node: usize) {
        let Some(shard) = self.open_shard(node) else { return };
        if self.vendors[vendor].away_until > self.now {
            let wait = self.vendors[vendor].away_until - self.now + 1;
            return self.later(wait, Event::BindVendor { vendor, node });
        }
        let window = self.random.between(1, 8) as u32;
        let link = self.new_link(Party::Vendor(vendor), shard, window, BindKind::Transceiver);
        self.note("bind vendor", shard as u64, link.0);
        let (now, id) = (self.now(), VendorId::of_name(VENDORS[vendor].as_bytes()));
        if let Some(relay) = &mut self.shards[shard].relay {
            let is_held = relay.snapshot().vendor(id).is_some();
            let is_taken = relay.vendor_bound(now, id, link, BindKind::Transceiver, window);
            assert_eq!(is_taken, is_held, "a bind is taken where its vendor is configured");
            if !is_taken {
                let link = self.link(link);
                (link.ours, link.theirs) = (false, false);
                self.later(RETRY_US, Event::BindVendor { vendor, node });
            }
        }
        self.pump(shard);
    }

    /// A link that gets nothing new any more ends once all on it is answered, or when that takes too long.
    pub(super) fn leaves(&mut self, key: LinkKey, until: u64) {
        let link = self.link(key);
        if !link.ours {
            return;
        }
        if !link.flights.is_empty() && self.now < until {
            return self.later(LEAVE_LOOK_US, Event::Leaves { link: key, until });
        }
        let theirs = self.random.below(20_000);
        self.later(theirs, Event::PeerCloses { link: key });
        self.we_close(key);
    }

    /// A customer connects to any node that takes it.
    pub(super) fn bind_customer(&mut self, account: usize) {
        let nodes: Vec<usize> =
            (0..self.nodes.len()).filter(|node| self.open_shard(*node).is_some()).collect();
        match self.random.pick(&nodes) {
            Some(node) => self.bind_customer_to(account, node),
            None => self.later(20_000, Event::BindCustomer { account }),
        }
    }

    pub(super) fn bind_customer_to(&mut self, account: usize, node: usize) {
        let Some(shard) = self.open_shard(node) else { return };
        let kinds = [BindKind::Transceiver, BindKind::Transceiver, BindKind::Receiver, BindKind::Transmitter];
        let kind = match self.random.pick(&kinds) {
            Some(kind) if !self.healing && !self.plan.faultless => kind,
            _ => BindKind::Transceiver,
        };
        let window = self.random.between(1, 5) as u32;
        let link = self.new_link(Party::Customer(account), shard, window, kind);
        self.note("bind customer", shard as u64, link.0);
        let (now, id) = (self.now(), AccountId::of_name(CUSTOMERS[account].name.as_bytes()));
        if let Some(relay) = &mut self.shards[shard].relay {
            assert!(relay.customer_bound(now, id, link, kind, window));
        }
        self.pump(shard);
    }

    /// A connection breaks: the sides notice one after the other, or at once.
    pub(super) fn cut(&mut self, key: LinkKey) {
        let (ours, theirs) = (self.random.below(20_000), self.random.below(20_000));
        match self.random.below(3) {
            0 => {
                self.we_close(key);
                self.later(theirs, Event::PeerCloses { link: key });
            }
            1 => {
                self.peer_closes(key);
                self.later(ours, Event::WeClose { link: key });
            }
            _ => {
                self.we_close(key);
                self.peer_closes(key);
            }
        }
    }

    /// The peer's end: what it had not got an answer for it will send again.
    pub(super) fn peer_closes(&mut self, key: LinkKey) {
        let link = self.link(key);
        if !link.theirs {
            return;
        }
        link.theirs = false;
        let sendings = core::mem::take(&mut link.sendings);
        self.note("peer closes", key.0, sendings.len() as u64);
        for sending in sendings {
            let upward = self.ledger.sendings[sending as usize].upward;
            let wait = self.random.between(1_000, 30_000);
            self.later(wait, Event::Emit { upward });
        }
    }

    /// Our end: the relay learns what was written and what was not.
    pub(super) fn we_close(&mut self, key: LinkKey) {
        let link = self.link(key);
        if !link.ours {
            return;
        }
        link.ours = false;
        let (shard, party) = (link.shard, link.party);
        let flights = core::mem::take(&mut link.flights);
        let mut outstanding = core::mem::take(&mut link.outstanding);
        self.note("we close", key.0, flights.len() as u64);
        let now = self.now();
        match party {
            Party::Vendor(_) => {
                for flight in &flights {
                    let state = if flight.written { CopyState::Unknown } else { CopyState::Unsent };
                    self.ledger.copies[flight.copy as usize].state = state;
                }
                let keys = |written: bool| -> Vec<MessageKey> {
                    flights.iter().filter(|one| one.written == written).map(|one| one.message).collect()
                };
                if let Some(relay) = &mut self.shards[shard].relay {
                    relay.vendor_closed(now, key, &keys(true), &keys(false));
                }
            }
            Party::Customer(_) => {
                self.lose_session(key);
                if !outstanding.is_empty() && self.strikes(Fault::ListMisses, 60) {
                    outstanding.pop();
                }
                if let Some(relay) = &mut self.shards[shard].relay {
                    relay.customer_closed(now, key, &outstanding);
                }
            }
        }
        self.pump(shard);
        self.come_back(key);
    }

    /// Whoever was connected tries again, most of the time.
    pub(super) fn come_back(&mut self, key: LinkKey) {
        let link = self.link(key);
        let (party, node) = (link.party, link.node);
        let wait = self.random.between(1_000, 120_000);
        match party {
            Party::Vendor(vendor) => self.later(wait, Event::BindVendor { vendor, node }),
            Party::Customer(account) if self.random.percent(80) => {
                self.later(wait, Event::BindCustomer { account });
            }
            Party::Customer(_) => {}
        }
    }

    /// What was asked on a session will not be answered on it.
    pub(super) fn lose_session(&mut self, key: LinkKey) {
        for submit in self.ledger.submits.iter_mut().filter(|submit| submit.link == key) {
            submit.session_lost = true;
        }
    }

    /// A vendor's answer on its way to a deliver_sm, a customer's to a submit: both only tell the peer.
    pub(super) fn tell_vendor(&mut self, key: LinkKey, sending: u32, status: CommandStatus) {
        if let Some(due) = self.reaches_peer(key) {
            self.at(due, Event::Acknowledged { sending, status });
        }
    }
}
