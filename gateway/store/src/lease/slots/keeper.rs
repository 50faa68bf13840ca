//! What one node holds and until when. Pure: the time is told, and what goes to Redis and to the shards is given out.

use super::{Hold, SlotOwner, SlotReply, SlotRules, VendorAsk, VendorReply, WhenAway};
use relay::VendorId;
use smpp::time::Instant;
use std::collections::BTreeMap;
use std::time::Duration;

/// One node's slots.
///
/// Calling contract: [`Keeper::set_vendors`] once and whenever they change. Each round: [`Keeper::handle_closed`] for
/// every slot of [`Keeper::giving`] whose link is gone, then [`Keeper::ask`], the question to Redis, and with its answer
/// [`Keeper::handle_reply`], `asked_at` being the time before the question was sent. [`Keeper::view`] after each round is
/// for the shards, which end links by its times even when no newer one comes.
#[derive(Debug)]
pub struct Keeper {
    rules: SlotRules,
    vendors: BTreeMap<VendorId, Vendor>,
    takes: bool,
    turn: u64,
    version: u64,
    counters: KeeperCounters,
}

/// Plain counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KeeperCounters {
    /// Slots taken.
    pub taken: u64,
    /// Slots given back in order.
    pub given_back: u64,
    /// Slots given up because Redis could not be asked in time.
    pub lapsed: u64,
    /// Slots that another node holds although this one had not given them up: leases were lost.
    pub lost: u64,
}

#[derive(Debug, Default)]
struct Vendor {
    total: u32,
    held: BTreeMap<u32, Held>,
    /// Given back to Redis with the next round.
    released: Vec<Hold>,
    others: Vec<(u32, u8, String)>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    fence: u64,
    /// When the question was sent that renewed it last.
    asked_at: Instant,
    give_up: bool,
}

/// A slot of this node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MyLease {
    /// The number of the holding.
    pub fence: u64,
    /// Its link is to be ended in order now.
    pub give_up: bool,
    /// From then on its link takes nothing new and unbinds.
    pub unbind_at: Instant,
    /// Then its link is closed, whatever is open on it.
    pub close_at: Instant,
}

/// Whose a slot is, for the shards.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Whose {
    /// This node's.
    Mine(MyLease),
    /// Another's.
    Other {
        /// That node's number.
        node: u8,
        /// Where its SMPP port is.
        address: String,
    },
}

/// The slots of one vendor that somebody holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VendorView {
    /// Which.
    pub vendor: VendorId,
    /// Its slots.
    pub total: u32,
    /// By number.
    pub slots: Vec<(u32, Whose)>,
}

/// The whole table, as this node knows it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SlotView {
    /// Grows with every view.
    pub version: u64,
    /// In the order of their ids.
    pub vendors: Vec<VendorView>,
}

impl Keeper {
    /// Holds nothing.
    pub fn new(rules: SlotRules) -> Keeper {
        Keeper {
            rules,
            vendors: BTreeMap::new(),
            takes: true,
            turn: 0,
            version: 0,
            counters: KeeperCounters::default(),
        }
    }

    /// Which vendors have slots, and how many. Slots of others are given up.
    pub fn set_vendors(&mut self, vendors: impl IntoIterator<Item = (VendorId, u32)>) {
        self.vendors.values_mut().for_each(|vendor| vendor.total = 0);
        for (id, total) in vendors {
            self.vendors.entry(id).or_default().total = total;
        }
        for vendor in self.vendors.values_mut() {
            let total = vendor.total;
            vendor
                .held
                .iter_mut()
                .filter(|(slot, _)| **slot >= total)
                .for_each(|(_, held)| held.give_up = true);
        }
    }

    /// The node ends: it takes nothing more and gives up what it has.
    pub fn leave(&mut self) {
        self.takes = false;
        let held = self.vendors.values_mut().flat_map(|vendor| vendor.held.values_mut());
        held.for_each(|held| held.give_up = true);
    }

    /// Slots whose links are to be ended and that are given back when they are.
    pub fn giving(&self) -> impl Iterator<Item = (VendorId, u32)> + '_ {
        self.vendors.iter().flat_map(|(id, vendor)| {
            vendor.held.iter().filter(|(_, held)| held.give_up).map(|(slot, _)| (*id, *slot))
        })
    }

    /// The link of a slot that is given up is closed, and none will be opened on it.
    pub fn handle_closed(&mut self, id: VendorId, slot: u32) {
        let Some(vendor) = self.vendors.get_mut(&id) else { return };
        if let Some(held) = vendor.held.get(&slot).filter(|held| held.give_up) {
            vendor.released.push(Hold { slot, fence: held.fence });
            vendor.held.remove(&slot);
            self.counters.given_back += 1;
        }
    }

    /// The question of this round: forgets what lapsed by now, and says what is held and given back.
    pub fn ask(&mut self, now: Instant) -> Vec<VendorAsk> {
        let (close_after, takes) = (close_after(&self.rules), self.takes);
        self.turn += 1;
        let mut asks = Vec::with_capacity(self.vendors.len());
        for (id, vendor) in &mut self.vendors {
            let before = vendor.held.len();
            vendor.held.retain(|_, held| close_after.is_none_or(|after| now < held.asked_at + after));
            self.counters.lapsed += (before - vendor.held.len()) as u64;
            let held = vendor.held.iter().map(|(slot, held)| Hold { slot: *slot, fence: held.fence });
            asks.push(VendorAsk {
                vendor: *id,
                total: vendor.total,
                takes: takes && vendor.total > 0,
                turn: self.turn,
                held: held.collect(),
                released: vendor.released.clone(),
            });
        }
        asks
    }

    /// The answer to the last question, one for each vendor in its order; `asked_at` is before it was sent.
    pub fn handle_reply(&mut self, asked_at: Instant, asks: &[VendorAsk], replies: &[VendorReply]) {
        for (ask, reply) in asks.iter().zip(replies) {
            let Some(vendor) = self.vendors.get_mut(&ask.vendor) else { continue };
            vendor.released.retain(|hold| !ask.released.contains(hold));
            vendor.others.clear();
            let before = std::mem::take(&mut vendor.held);
            for SlotReply { hold, owner } in &reply.slots {
                match owner {
                    SlotOwner::Mine { give_up } => {
                        let was = before.get(&hold.slot).filter(|was| was.fence == hold.fence);
                        self.counters.taken += u64::from(was.is_none());
                        let give_up = *give_up || !self.takes || was.is_some_and(|was| was.give_up);
                        vendor.held.insert(hold.slot, Held { fence: hold.fence, asked_at, give_up });
                    }
                    SlotOwner::Other { node, address } => {
                        vendor.others.push((hold.slot, *node, address.clone()));
                    }
                    SlotOwner::Nobody => {}
                }
            }
            let kept = before.keys().filter(|slot| vendor.held.contains_key(slot)).count();
            self.counters.lost += (before.len() - kept) as u64;
        }
        self.vendors
            .retain(|_, vendor| vendor.total > 0 || !vendor.held.is_empty() || !vendor.released.is_empty());
    }

    /// The table for the shards.
    pub fn view(&mut self) -> SlotView {
        self.version += 1;
        let rules = &self.rules;
        let vendors = self.vendors.iter().map(|(id, vendor)| {
            let mine = vendor.held.iter().map(|(slot, held)| (*slot, Whose::Mine(held.lease(rules))));
            let others = vendor
                .others
                .iter()
                .map(|(slot, node, address)| (*slot, Whose::Other { node: *node, address: address.clone() }));
            let mut slots: Vec<_> = mine.chain(others).collect();
            slots.sort_by_key(|(slot, _)| *slot);
            VendorView { vendor: *id, total: vendor.total, slots }
        });
        SlotView { version: self.version, vendors: vendors.collect() }
    }

    /// Whether something waits to be said to Redis, or links are being ended.
    pub fn is_busy(&self) -> bool {
        self.giving().next().is_some() || self.vendors.values().any(|vendor| !vendor.released.is_empty())
    }

    /// Slots held now, and how many there are, by vendor.
    pub fn holdings(&self) -> impl Iterator<Item = (VendorId, u32, u32)> + '_ {
        self.vendors.iter().map(|(id, vendor)| (*id, vendor.held.len() as u32, vendor.total))
    }

    /// What it did.
    pub fn counters(&self) -> KeeperCounters {
        self.counters
    }

    /// The rules.
    pub fn rules(&self) -> &SlotRules {
        &self.rules
    }
}

impl Held {
    fn lease(&self, rules: &SlotRules) -> MyLease {
        let forever = Instant::from_nanos(u64::MAX);
        MyLease {
            fence: self.fence,
            give_up: self.give_up,
            unbind_at: close_after(rules).map_or(forever, |_| self.asked_at + rules.life / 2),
            close_at: close_after(rules).map_or(forever, |after| self.asked_at + after),
        }
    }
}

/// How long after the question a link is closed for want of another answer; never where slots are kept.
fn close_after(rules: &SlotRules) -> Option<Duration> {
    (rules.when_away == WhenAway::Release).then(|| rules.life * 2 / 3)
}
