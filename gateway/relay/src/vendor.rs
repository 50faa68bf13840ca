//! Vendors as a shard sees them: our binds here, what other shards announced, and what waits for a slot.

use crate::arena::{Arena, List};
use crate::choice::Choice;
use crate::circuit::Circuit;
use crate::counters::VendorTraffic;
use crate::limit::{Bucket, Limiter, NO_LIMIT};
use crate::message::{Key, LinkKey, ShardIndex, VendorId};
use crate::snapshot::{Snapshot, VENDORS_MAX, Vendor};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;
use smpp::time::Instant;
use smpp::version::Version;

/// Distinct vendors that one shard can know in its life; places are 16 bits.
const PLACES_MAX: usize = 4 * VENDORS_MAX;
/// Pacing hands out at most what a bind may send in this part of a second at once: a tick is 5 ms, and a vendor
/// that counts by the second never sees more than its rate and a fiftieth.
const PACE_BURSTS_PER_SECOND: u32 = 50;
/// Says "not in this snapshot" in `places`.
const NOWHERE: u16 = u16::MAX;

/// One of our binds.
#[derive(Debug)]
pub(crate) struct VendorLink {
    pub(crate) link: LinkKey,
    pub(crate) vendor: u16,
    pub(crate) may_submit: bool,
    /// It is to end, and gets nothing new.
    pub(crate) leaving: bool,
    /// Unanswered requests allowed on it.
    pub(crate) window: u32,
    /// Unanswered requests on it.
    pub(crate) in_flight: u32,
    /// The link refused a request: nothing more until it answers one or the next tick.
    pub(crate) blocked: bool,
    pub(crate) pace: Bucket,
    /// It leads to another node, which has binds of this vendor.
    pub(crate) leads_to_node: bool,
    /// Nothing more before this time: that node sent a message back.
    pub(crate) rests_until: Instant,
    /// Which SMPP is spoken on it.
    pub(crate) version: Version,
}

impl Default for VendorLink {
    fn default() -> Self {
        Self {
            link: LinkKey(0),
            vendor: 0,
            may_submit: false,
            leaving: false,
            window: 0,
            in_flight: 0,
            blocked: false,
            pace: Bucket::default(),
            leads_to_node: false,
            rests_until: Instant::default(),
            version: Version::default(),
        }
    }
}

/// What another shard announced, and what we have open with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elsewhere {
    pub(crate) shard: ShardIndex,
    pub(crate) links: u32,
    pub(crate) window: u32,
    /// Messages given to it and not come back.
    pub(crate) open: u32,
    /// It did not take a message, or gave it back: nothing more until the next tick.
    pub(crate) blocked: bool,
    /// Its links lead to other nodes.
    pub(crate) through_nodes: bool,
}

/// One vendor.
#[derive(Debug)]
pub(crate) struct VendorState {
    pub(crate) id: VendorId,
    /// Whose message ids are its own: its account at the SMSC, which other entries may share.
    pub(crate) vendor_account: VendorId,
    /// Others do share it.
    pub(crate) shares_account: bool,
    /// Its place in the snapshot in force, if it is there.
    pub(crate) snapshot_place: Option<u16>,
    /// Place of its rate in the table of limits.
    limit: u32,
    /// What the last snapshot that held it said of it, while the one in force does not: by that its messages finish.
    last: Option<Box<Vendor>>,
    /// Binds here that may submit, in the order of binding; without any, links to nodes that have some.
    pub(crate) links: Vec<Key>,
    /// `links` are links to other nodes.
    pub(crate) through_nodes: bool,
    /// Links to other nodes that are not used, since there are binds here.
    pub(crate) nodes: Vec<Key>,
    /// Links to other nodes were ever heard of: where that is not so, nothing is asked about them.
    pub(crate) knows_nodes: bool,
    /// Where the round over `links` goes on.
    turn: usize,
    /// Nothing is sent before this time.
    pub(crate) paused_until: Instant,
    /// Messages that wait for a slot, in order.
    pub(crate) queue: List,
    /// They wait for the pace, not for window slots.
    queue_paced: bool,
    /// They wait for the vendor's rate, so that no other bind helps.
    queue_limited: bool,
    pub(crate) elsewhere: SmallVec<[Elsewhere; 4]>,
    /// Where the round over `elsewhere` goes on.
    turn_elsewhere: usize,
    pub(crate) traffic: VendorTraffic,
    pub(crate) circuit: Circuit,
}

/// Whether a vendor can take a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// On this bind, now; its pace has been paid.
    Link(Key),
    /// All binds with free slots are over their pace: wait, do not go elsewhere.
    Paced,
    /// The vendor is over its rate, whichever bind it were: wait, do not go elsewhere.
    Limited,
    /// Binds are here, but full, blocked or paused.
    Busy,
    /// Only through this shard; `room` tells whether it has free slots as far as we know.
    Shard {
        /// Which.
        shard: ShardIndex,
        /// False when all its slots are taken by us already.
        room: bool,
    },
    /// Only through shards that take nothing until the next tick.
    Blocked,
    /// No bind anywhere.
    Down,
}

impl VendorState {
    /// The way for one more message. A pace's token is taken with `Way::Link`.
    #[inline]
    pub(crate) fn way(&mut self, now: Instant, links: &mut Arena<VendorLink>, limiter: &mut Limiter) -> Way {
        let count = self.links.len();
        if count == 0 {
            return self.way_elsewhere();
        }
        (self.queue_paced, self.queue_limited) = (false, false);
        if now < self.paused_until {
            return Way::Busy;
        }
        let mut way = Way::Busy;
        for step in 0..count {
            let mut place = self.turn + step;
            if place >= count {
                place -= count;
            }
            let key = self.links[place];
            let link = &mut links[key];
            if link.blocked || link.in_flight >= link.window {
                continue;
            }
            if link.pace.has(now) {
                // The node that holds the bind pays for what comes to it through another.
                if !self.through_nodes && !limiter.take_one(now, self.limit) {
                    way = Way::Limited;
                    break;
                }
                link.pace.take(now);
                self.turn = if place + 1 < count { place + 1 } else { 0 };
                return Way::Link(key);
            }
            way = Way::Paced;
        }
        self.queue_paced = way == Way::Paced;
        self.queue_limited = way == Way::Limited;
        way
    }

    /// Where a message to this vendor would go, and whether that is as good as it gets: at once, or in the order
    /// of the pace. `place` is this vendor's own. With `roams`, binds on other shards are used when those here
    /// cannot take it now: order is kept per link only.
    #[inline]
    pub(crate) fn way_of(
        &mut self,
        now: Instant,
        links: &mut Arena<VendorLink>,
        limiter: &mut Limiter,
        queue_max: u32,
        place: u16,
        roams: bool,
    ) -> (bool, Choice) {
        let waiting = self.queue.len();
        let way = match waiting {
            _ if self.knows_nodes && roams && self.through_nodes && self.is_bound_elsewhere() => {
                self.way_elsewhere() // our own bind on another shard comes before another node
            }
            0 => self.way(now, links, limiter),
            _ if self.links.is_empty() => self.way_elsewhere(), // they are being moved away
            _ if self.queue_limited => Way::Limited,
            _ if self.queue_paced => Way::Paced, // nobody overtakes those who wait
            _ => Way::Busy,
        };
        let way = match way {
            Way::Paced | Way::Busy if roams && now >= self.paused_until => self.spill(way),
            way => way,
        };
        let wait = if waiting < queue_max { Choice::Queue { vendor: place } } else { Choice::Full };
        match way {
            Way::Link(link) => (true, Choice::Link { vendor: place, link }),
            Way::Paced | Way::Limited => (wait != Choice::Full, wait),
            Way::Busy => (false, wait),
            Way::Shard { shard, room: true } => (true, Choice::Shard { vendor: place, shard }),
            Way::Shard { shard, room: false } => {
                let other = self.elsewhere_mut(shard);
                let room = other.open - other.window < queue_max;
                (false, if room { Choice::Shard { vendor: place, shard } } else { Choice::Full })
            }
            Way::Blocked => (false, Choice::Full),
            Way::Down => (false, Choice::Down),
        }
    }

    /// No bind that may submit, on any shard.
    #[inline]
    pub(crate) fn is_unbound(&self) -> bool {
        self.links.is_empty() && self.elsewhere.iter().all(|other| other.links == 0)
    }

    /// Another shard's bind that has room, else what is possible here.
    fn spill(&mut self, here: Way) -> Way {
        match self.way_elsewhere() {
            shard @ Way::Shard { room: true, .. } => shard,
            _ => here,
        }
    }

    fn way_elsewhere(&mut self) -> Way {
        let count = self.elsewhere.len();
        let mut full = None;
        let mut none = Way::Down;
        let only_binds = self.knows_nodes && self.is_bound_elsewhere();
        for step in 1..=count {
            let place = (self.turn_elsewhere + step) % count;
            let other = &self.elsewhere[place];
            if other.links == 0 || other.through_nodes && only_binds {
                continue;
            }
            if other.blocked {
                none = Way::Blocked;
                continue;
            }
            if other.open < other.window {
                self.turn_elsewhere = place;
                return Way::Shard { shard: other.shard, room: true };
            }
            full = full.or(Some(other.shard));
        }
        full.map_or(none, |shard| Way::Shard { shard, room: false })
    }

    /// The rules for a vendor that the snapshot in force does not hold any more.
    pub(crate) fn last_rules(&self) -> Option<&Vendor> {
        self.last.as_deref()
    }

    /// What we know of another shard, made when it is new.
    pub(crate) fn elsewhere_mut(&mut self, shard: ShardIndex) -> &mut Elsewhere {
        let place = match self.elsewhere.iter().position(|other| other.shard == shard) {
            Some(place) => place,
            None => {
                self.elsewhere.push(Elsewhere {
                    shard,
                    links: 0,
                    window: 0,
                    open: 0,
                    blocked: false,
                    through_nodes: false,
                });
                self.elsewhere.len() - 1
            }
        };
        &mut self.elsewhere[place]
    }

    pub(crate) fn take_links(&mut self) -> Vec<Key> {
        self.turn = 0;
        self.through_nodes = false;
        let mut links = core::mem::take(&mut self.links);
        links.append(&mut self.nodes);
        links
    }

    pub(crate) fn drop_link(&mut self, link: Key) -> bool {
        let before = self.links.len();
        self.links.retain(|key| *key != link);
        self.nodes.retain(|key| *key != link);
        self.turn = 0;
        let was_used = self.links.len() < before;
        if self.links.is_empty() {
            core::mem::swap(&mut self.links, &mut self.nodes);
            self.through_nodes = !self.links.is_empty();
        }
        was_used
    }

    /// A link to another node; true when it is used from now on, for there is no bind here.
    pub(crate) fn add_node(&mut self, link: Key) -> bool {
        self.knows_nodes = true;
        let is_used = self.through_nodes || self.links.is_empty();
        self.through_nodes = is_used;
        if is_used { &mut self.links } else { &mut self.nodes }.push(link);
        is_used
    }

    /// A bind comes: links to other nodes are used no more.
    pub(crate) fn put_nodes_back(&mut self) {
        if core::mem::take(&mut self.through_nodes) {
            core::mem::swap(&mut self.links, &mut self.nodes);
            self.turn = 0;
        }
    }

    /// Whether another shard has binds of this vendor.
    fn is_bound_elsewhere(&self) -> bool {
        self.elsewhere.iter().any(|other| other.links > 0 && !other.through_nodes)
    }
}

/// All vendors that this shard has met.
#[derive(Debug)]
pub(crate) struct Vendors {
    states: Vec<VendorState>,
    by_id: HashMap<VendorId, u16, FixedState>,
    /// Place in the snapshot -> place here.
    places: Vec<u16>,
}

impl Vendors {
    pub(crate) fn new() -> Self {
        let by_id = HashMap::with_hasher(FixedState::with_seed(0)); // ids are our own configuration's
        Self { states: Vec::new(), by_id, places: Vec::new() }
    }

    /// Takes over another snapshot's vendors; `old` is the one before it.
    pub(crate) fn apply(&mut self, old: &Snapshot, snapshot: &Snapshot) {
        for state in &mut self.states {
            state.limit = NO_LIMIT;
            if let Some(at) = state.snapshot_place.take()
                && snapshot.vendor_place(state.id).is_none()
            {
                state.last = Some(Box::new(old.vendors()[usize::from(at)].clone()));
            }
        }
        self.places.clear();
        let mut entries: HashMap<VendorId, u32, FixedState> = HashMap::default();
        for vendor in snapshot.vendors() {
            *entries.entry(vendor.vendor_account()).or_default() += 1;
        }
        for (snapshot_place, vendor) in snapshot.vendors().iter().enumerate() {
            let Some(place) = self.place_any(vendor.id) else {
                self.places.push(NOWHERE);
                continue;
            };
            let state = &mut self.states[usize::from(place)];
            state.snapshot_place = Some(snapshot_place as u16);
            state.vendor_account = vendor.vendor_account();
            state.shares_account = entries[&state.vendor_account] > 1;
            state.limit = snapshot.limit_table().of_vendor(snapshot_place as u16);
            self.places.push(place);
        }
    }

    /// The place here of a vendor's place in the snapshot.
    #[inline]
    pub(crate) fn at(&self, snapshot_place: u16) -> Option<u16> {
        Some(self.places[usize::from(snapshot_place)]).filter(|place| *place != NOWHERE)
    }

    /// The place of a vendor, made when it is new: another shard may speak of it before our snapshot does.
    pub(crate) fn place_any(&mut self, id: VendorId) -> Option<u16> {
        if let Some(place) = self.by_id.get(&id) {
            return Some(*place);
        }
        if self.states.len() >= PLACES_MAX {
            return None;
        }
        let place = self.states.len() as u16;
        self.states.push(new_state(id));
        self.by_id.insert(id, place);
        Some(place)
    }

    /// The place of a vendor that the snapshot in force holds.
    pub(crate) fn place(&self, snapshot: &Snapshot, id: VendorId) -> Option<u16> {
        let snapshot_place = snapshot.vendor_place(id)?;
        self.at(snapshot_place)
    }

    /// Nothing is sent by the vendor's account before this time, also not by other entries of it.
    pub(crate) fn pause_until(&mut self, vendor: u16, until: Instant) {
        let (account, is_shared) = (self[vendor].vendor_account, self[vendor].shares_account);
        let one = usize::from(vendor);
        let states = if is_shared { &mut self.states[..] } else { &mut self.states[one..=one] };
        for state in states.iter_mut().filter(|state| state.vendor_account == account) {
            state.paused_until = state.paused_until.max(until);
        }
    }

    pub(crate) fn places(&self) -> core::ops::Range<u16> {
        0..self.states.len() as u16
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &VendorState> + '_ {
        self.states.iter()
    }
}

/// A bind's pacing: at most its rate, in small bursts.
pub(crate) fn pace(rate_per_bind: u32) -> Bucket {
    Bucket::new(rate_per_bind, pace_burst(rate_per_bind))
}

/// Another rate for a bind; what it sent stays counted.
pub(crate) fn set_pace(bucket: &mut Bucket, rate_per_bind: u32) {
    bucket.set(rate_per_bind, pace_burst(rate_per_bind));
}

fn pace_burst(rate_per_bind: u32) -> u32 {
    (rate_per_bind / PACE_BURSTS_PER_SECOND).max(1)
}

fn new_state(id: VendorId) -> VendorState {
    VendorState {
        id,
        vendor_account: id,
        shares_account: false,
        snapshot_place: None,
        limit: NO_LIMIT,
        last: None,
        links: Vec::new(),
        through_nodes: false,
        nodes: Vec::new(),
        knows_nodes: false,
        turn: 0,
        paused_until: Instant::default(),
        queue: List::default(),
        queue_paced: false,
        queue_limited: false,
        elsewhere: SmallVec::new(),
        turn_elsewhere: 0,
        traffic: VendorTraffic::default(),
        circuit: Circuit::default(),
    }
}

impl core::ops::Index<u16> for Vendors {
    type Output = VendorState;

    fn index(&self, place: u16) -> &VendorState {
        &self.states[usize::from(place)]
    }
}

impl core::ops::IndexMut<u16> for Vendors {
    fn index_mut(&mut self, place: u16) -> &mut VendorState {
        &mut self.states[usize::from(place)]
    }
}
