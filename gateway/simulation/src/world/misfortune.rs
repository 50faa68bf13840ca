//! What goes wrong by itself, now and then: one arm for each kind.

use super::World;
use super::event::Event;
use super::link::{Link, Party};
use crate::fault::Fault;
use crate::scene::*;
use relay::LinkKey;

/// Misfortunes that come by themselves; the others come with single messages, where these happen.
const BY_THEMSELVES: [Fault; 24] = [
    Fault::CutVendor,
    Fault::CutCustomer,
    Fault::HalfOpenVendor,
    Fault::HalfOpenCustomer,
    Fault::SlowLink,
    Fault::CloggedOut,
    Fault::CloggedIn,
    Fault::Swizzle,
    Fault::AnswerToNothing,
    Fault::VendorThrottles,
    Fault::VendorSilent,
    Fault::StoreStalls,
    Fault::StoreAway,
    Fault::StoreFull,
    Fault::StoreLosesTail,
    Fault::StoreLosesAll,
    Fault::StoreNoRoom,
    Fault::SpoolStalls,
    Fault::SpoolFull,
    Fault::SpoolAway,
    Fault::NodeCrash,
    Fault::ShardGone,
    Fault::ConfigurationSwap,
    Fault::WallJump,
];

/// Rare, because they end much of the story.
const RARE: [Fault; 6] = [
    Fault::StoreLosesAll,
    Fault::NodeCrash,
    Fault::ShardGone,
    Fault::Drain,
    Fault::StoreAway,
    Fault::SpoolAway,
];

impl World {
    pub(super) fn misfortune(&mut self) {
        if self.healing {
            return;
        }
        let drawn = self.random.below(BY_THEMSELVES.len() as u64 + 1) as usize;
        let fault = BY_THEMSELVES.get(drawn).copied().unwrap_or(Fault::Drain);
        if self.plan.prone.has(fault) && (!RARE.contains(&fault) || self.random.percent(25)) {
            self.inflict(fault);
        }
        let gap = self.random.below(2 * self.plan.fault_gap_us) / 2;
        self.later(gap, Event::Misfortune);
    }

    fn inflict(&mut self, fault: Fault) {
        self.note(fault.name(), 0, 0);
        let vendors = |link: &Link| matches!(link.party, Party::Vendor(_)) && link.ours && link.theirs;
        let customers = |link: &Link| matches!(link.party, Party::Customer(_)) && link.ours && link.theirs;
        let happened = match fault {
            Fault::CutVendor => self.any_link(vendors).map(|link| self.cut(link)),
            Fault::CutCustomer => self.any_link(customers).map(|link| self.cut(link)),
            Fault::HalfOpenVendor => self.any_link(vendors).map(|link| self.half_open(link)),
            Fault::HalfOpenCustomer => self.any_link(customers).map(|link| self.half_open(link)),
            Fault::SlowLink => self.any_link(|_| true).map(|link| self.slow_down(link)),
            Fault::CloggedOut => self.any_link(|link| link.ours).map(|link| self.clog(link, true, false, 0)),
            Fault::CloggedIn => self.any_link(|link| link.ours).map(|link| self.clog(link, false, true, 0)),
            Fault::Swizzle => self.swizzle(),
            Fault::AnswerToNothing => self.any_link(vendors).and_then(|link| self.confuse(link)),
            Fault::VendorThrottles => self.throttle(),
            Fault::VendorSilent => self.silence(),
            Fault::StoreStalls | Fault::StoreAway | Fault::StoreFull => self.trouble_store(fault),
            Fault::StoreLosesTail | Fault::StoreLosesAll => {
                let store = self.random.below(self.stores.len() as u64) as usize;
                self.lose_data(store, fault == Fault::StoreLosesAll);
                None // counted there
            }
            Fault::StoreNoRoom => {
                let node = self.any_node();
                self.say_room(node, !self.nodes[node].receipts_room);
                Some(())
            }
            Fault::SpoolStalls | Fault::SpoolFull | Fault::SpoolAway => self.trouble_spool(fault),
            Fault::NodeCrash => {
                let node = self.any_node();
                self.nodes[node].fuse = Some(self.random.below(40) as u32);
                None // counted when it happens
            }
            Fault::ShardGone => {
                let shard = self.random.below(self.shards.len() as u64) as usize;
                self.lose_shard(shard);
                None // counted there
            }
            Fault::ConfigurationSwap => self.swap_node(),
            Fault::WallJump => {
                let (node, by) = (self.any_node(), self.random.below(7_200_000_000) as i64 - 3_600_000_000);
                self.jump_wall(node, by);
                Some(())
            }
            Fault::Drain => {
                let node = self.any_node();
                (self.nodes[node].up && self.nodes[node].drains_since.is_none()).then(|| self.drain(node))
            }
            _ => None,
        };
        if happened.is_some() {
            self.story.faults.count(fault);
        }
    }

    fn any_link(&mut self, wanted: impl Fn(&Link) -> bool) -> Option<LinkKey> {
        let links = self.links_where(wanted);
        self.random.pick(&links)
    }

    fn any_node(&mut self) -> usize {
        self.random.below(self.nodes.len() as u64) as usize
    }

    /// Nothing passes any more; timers end both sides.
    fn half_open(&mut self, key: LinkKey) {
        self.link(key).deaf = true;
        let (ours, theirs) = (self.random.between(50_000, 400_000), self.random.between(50_000, 600_000));
        self.later(ours, Event::WeClose { link: key });
        self.later(theirs, Event::PeerCloses { link: key });
    }

    /// Nothing passes for a while, beginning after `wait`.
    fn clog(&mut self, key: LinkKey, out: bool, inwards: bool, wait: u64) {
        let until = self.now + wait + self.random.between(10_000, 300_000);
        let link = self.link(key);
        if out {
            link.clogged_out = link.clogged_out.max(until);
        }
        if inwards {
            link.clogged_in = link.clogged_in.max(until);
        }
    }

    /// Some connections stop one by one in a random order; each goes on at a moment of its own.
    fn swizzle(&mut self) -> Option<()> {
        let mut links = self.links_where(|link| link.ours && link.theirs);
        links.retain(|_| self.random.percent(40));
        let mut wait = 0;
        while let Some(link) = self.random.pick(&links) {
            links.retain(|other| *other != link);
            wait += self.random.below(5_000);
            self.clog(link, true, true, wait);
        }
        (wait > 0).then_some(())
    }

    /// An answer on this link to a request that went out on another.
    fn confuse(&mut self, key: LinkKey) -> Option<()> {
        let shard = self.link(key).shard;
        let others = self.links_where(|link| link.shard == shard && !link.flights.is_empty());
        let other = self.random.pick(&others).filter(|other| *other != key)?;
        let message = self.link(other).flights.first()?.message;
        self.answer_to_nothing(key, message);
        Some(())
    }

    fn throttle(&mut self) -> Option<()> {
        let vendor = self.random.below(VENDORS.len() as u64) as usize;
        self.vendors[vendor].throttles_until = self.now + self.random.between(5_000, 60_000);
        Some(())
    }

    /// A vendor's front works, and what is behind it says nothing.
    fn silence(&mut self) -> Option<()> {
        let vendor = self.random.below(VENDORS.len() as u64) as usize;
        self.vendors[vendor].silent_until = self.now + self.random.between(50_000, 500_000);
        Some(())
    }

    pub(super) fn vendor_dies(&mut self, vendor: usize) {
        self.note("vendor dies", vendor as u64, 0);
        self.vendors[vendor].away_until = self.now + self.random.between(20_000, 200_000);
        for key in self.links_where(|link| link.party == Party::Vendor(vendor) && link.theirs) {
            self.peer_closes(key);
            let wait = self.random.below(20_000);
            self.later(wait, Event::WeClose { link: key });
        }
    }

    /// A store stalls, goes away or is full; the same misfortune again ends it.
    fn trouble_store(&mut self, fault: Fault) -> Option<()> {
        let place = self.random.below(self.stores.len() as u64) as usize;
        let stall = self.random.between(10_000, 500_000);
        let store = &mut self.stores[place];
        store.was_in_trouble = true;
        match fault {
            Fault::StoreStalls => store.stalled_until = store.stalled_until.max(self.now + stall),
            Fault::StoreAway if store.away => {
                store.come_back();
                self.say_ask_again(place);
            }
            Fault::StoreAway => store.away = true,
            _ => store.full = !store.full,
        }
        Some(())
    }

    /// All shards of a node get another configuration, each at its moment.
    fn swap_node(&mut self) -> Option<()> {
        let (node, variant) = (self.any_node(), self.random.below(VARIANTS as u64) as usize);
        for shard in self.shards_of(node) {
            let wait = self.random.below(3_000);
            self.later(wait, Event::Swap { shard, variant });
        }
        Some(())
    }
}
