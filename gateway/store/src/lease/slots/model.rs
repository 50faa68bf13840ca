//! What `slots.lua` does, in the tests' own words: the server of the stories, compared with the script on a real Redis
//! by `contract.rs`.

use super::client::rank_of;
use super::{Hold, SlotOwner, SlotReply, SlotRules, VendorAsk, VendorReply, WhenAway};
use relay::VendorId;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Default)]
pub(super) struct Server {
    pub(super) tables: BTreeMap<VendorId, Table>,
}

#[derive(Clone, Default)]
pub(super) struct Table {
    run: String,
    last: u64,
    closed: u64,
    over: u64,
    members: BTreeMap<String, Member>,
    slots: BTreeMap<u32, Slot>,
}

#[derive(Clone)]
struct Member {
    till: u64,
    takes: bool,
    turn: u64,
    address: String,
}

#[derive(Clone)]
struct Slot {
    /// Nobody: it was given back.
    who: Option<String>,
    till: u64,
    fence: u64,
    keeps: bool,
}

/// What a script of one round needs to know of its asker.
struct Asker<'a> {
    rules: &'a SlotRules,
    member: String,
    now: u64,
    life: u64,
    grace: u64,
}

impl Server {
    pub(super) fn ask(
        &mut self,
        rules: &SlotRules,
        asks: &[VendorAsk],
        now: u64,
        run: &str,
    ) -> Option<Vec<VendorReply>> {
        let milliseconds = |time: Duration| time.as_millis() as u64;
        let (life, grace) = (milliseconds(rules.life), milliseconds(rules.grace));
        let asker = Asker { rules, member: rules.member(), now, life, grace };
        asks.iter().map(|ask| self.tables.entry(ask.vendor).or_default().round(&asker, ask, run)).collect()
    }
}

impl Table {
    fn round(&mut self, asker: &Asker<'_>, ask: &VendorAsk, run: &str) -> Option<VendorReply> {
        let (member, now) = (&asker.member, asker.now);
        if self.members.get(member).is_some_and(|member| member.turn >= ask.turn) {
            return None;
        }
        self.notice_gaps(asker, run);
        let (address, turn) = (asker.rules.address.clone(), ask.turn);
        self.members
            .insert(member.clone(), Member { till: now + asker.life, takes: ask.takes, turn, address });
        for hold in &ask.released {
            let there = self.slots.get_mut(&hold.slot);
            if let Some(there) = there.filter(|there| there.is(member) && there.fence == hold.fence) {
                (there.who, there.till, there.keeps) = (None, now, false);
            }
        }
        let mut mine = self.renew(asker, ask);
        for (_, slot) in self.slots.iter_mut().filter(|(slot, _)| !mine.contains_key(slot)) {
            let is_same_node = slot.who.as_ref().is_some_and(|who| who[..3] == member[..3]);
            if slot.keeps && is_same_node {
                (slot.keeps, slot.till) = (false, slot.till.max(now));
            }
        }
        let shares = self.shares(asker, ask);
        let share = shares.get(member).copied().unwrap_or(0);
        for slot in 0..ask.total {
            let count = mine.range(..ask.total).count() as u32;
            if count < share && !mine.contains_key(&slot) && self.is_free(asker, slot) {
                let fence = self.slots.get(&slot).map_or(0, |there| there.fence + 1).max(now);
                self.hold(asker, slot, fence);
                mine.insert(slot, false);
            }
        }
        if self.should_give(asker, ask, &shares, &mine)
            && let Some((_, give_up)) = mine.range_mut(..ask.total).next_back()
        {
            *give_up = true;
        }
        Some(self.tell(asker, ask, &mine))
    }

    fn notice_gaps(&mut self, asker: &Asker<'_>, run: &str) {
        let now = asker.now;
        if self.run != run || now < self.last || now - self.last > asker.life / 4 {
            self.over = 0;
            self.closed = now + asker.life + asker.grace;
            self.run = run.into();
            for slot in self.slots.values_mut() {
                slot.till = slot.till.min(now + asker.life);
            }
            for member in self.members.values_mut().filter(|member| member.till > now + asker.life) {
                member.till = now;
            }
        }
        self.last = now;
    }

    /// The slots that the asker goes on with; none of them is to be given up yet.
    fn renew(&mut self, asker: &Asker<'_>, ask: &VendorAsk) -> BTreeMap<u32, bool> {
        let mut mine = BTreeMap::new();
        for Hold { slot, fence } in &ask.held {
            let is_right = match self.slots.get(slot) {
                None => true,
                Some(there)
                    if there.fence < *fence && (asker.now < self.closed || there.till < asker.now) =>
                {
                    true
                }
                Some(there) => there.is(&asker.member) && there.fence == *fence,
            };
            if is_right {
                self.hold(asker, *slot, *fence);
                mine.insert(*slot, false);
            }
        }
        mine
    }

    fn hold(&mut self, asker: &Asker<'_>, slot: u32, fence: u64) {
        let keeps = asker.rules.when_away == WhenAway::Keep;
        let held = Slot { who: Some(asker.member.clone()), till: asker.now + asker.life, fence, keeps };
        self.slots.insert(slot, held);
    }

    fn shares(&mut self, asker: &Asker<'_>, ask: &VendorAsk) -> BTreeMap<String, u32> {
        let now = asker.now;
        self.members.retain(|_, member| member.till + 10 * asker.life >= now);
        let living: Vec<&String> = self
            .members
            .iter()
            .filter(|(_, member)| member.till > now && member.takes)
            .map(|(name, _)| name)
            .collect();
        let count = living.len() as u64;
        let total = u64::from(ask.total);
        let share = |rank: usize| {
            let more = (rank as u64 + u64::from(rank_of(ask.vendor))) % count < total % count;
            (total / count) as u32 + u32::from(more)
        };
        living.iter().enumerate().map(|(rank, name)| ((*name).clone(), share(rank))).collect()
    }

    fn is_free(&self, asker: &Asker<'_>, slot: u32) -> bool {
        if asker.now < self.closed {
            return false;
        }
        match self.slots.get(&slot) {
            None => true,
            Some(Slot { who: None, .. }) => true,
            Some(there) if there.is(&asker.member) => true,
            Some(there) => there.till + asker.grace <= asker.now && !there.keeps,
        }
    }

    fn should_give(
        &mut self,
        asker: &Asker<'_>,
        ask: &VendorAsk,
        shares: &BTreeMap<String, u32>,
        mine: &BTreeMap<u32, bool>,
    ) -> bool {
        let now = asker.now;
        let mut has: BTreeMap<&str, u32> = BTreeMap::new();
        for slot in self.slots.range(..ask.total).map(|(_, slot)| slot).filter(|slot| slot.till > now) {
            if let Some(who) = &slot.who {
                *has.entry(who).or_default() += 1;
            }
        }
        let all_held = has.values().sum::<u32>() == ask.total;
        let of = |name: &String| has.get(name.as_str()).copied().unwrap_or(0);
        let waits = shares.iter().any(|(name, share)| of(name) < *share);
        let overfull = shares.iter().any(|(name, share)| of(name) > *share);
        let patience = asker.rules.patience.as_millis() as u64;
        let count = mine.range(..ask.total).count() as u32;
        if !(all_held && waits && overfull) {
            self.over = 0;
        } else if self.over == 0 {
            self.over = now;
        } else if now - self.over >= patience && shares.get(&asker.member).is_some_and(|share| count > *share)
        {
            self.over = now;
            return true;
        }
        false
    }

    fn tell(&self, asker: &Asker<'_>, ask: &VendorAsk, mine: &BTreeMap<u32, bool>) -> VendorReply {
        let tell = |(slot, there): (&u32, &Slot)| {
            let other = there.who.as_ref().filter(|who| **who != asker.member && there.till > asker.now);
            let owner = match (mine.get(slot), other.and_then(|who| Some((who, self.members.get(who)?)))) {
                (Some(give_up), _) => SlotOwner::Mine { give_up: *give_up || *slot >= ask.total },
                (None, Some((who, member))) => SlotOwner::Other {
                    node: who[..3].parse().expect("written by us"),
                    address: member.address.clone(),
                },
                (None, None) => SlotOwner::Nobody,
            };
            SlotReply { hold: Hold { slot: *slot, fence: there.fence }, owner }
        };
        VendorReply {
            closed_for: Duration::from_millis(self.closed.saturating_sub(asker.now)),
            slots: self.slots.iter().map(tell).collect(),
        }
    }
}

impl Slot {
    fn is(&self, member: &str) -> bool {
        self.who.as_deref() == Some(member)
    }
}
