//! The way to the stores and back, and what the world learns of what they did.

use super::World;
use super::event::Event;
use super::node::Unparked;
use crate::fault::Fault;
use crate::invariant::must;
use crate::ledger::{Content, NONE};
use crate::scene::*;
use crate::store::{Deed, Loss};
use crate::wire;
use core::ops::Range;
use relay::{AccountId, Correlation, CorrelationKey, Handset, StoreAnswer, StoreOp, VendorId};
use smpp::text::message_id::GatewayId;

impl World {
    /// An operation leaves its shard; those of one shard stay in order.
    pub(super) fn ask_store(&mut self, shard: usize, op: StoreOp) {
        match &op {
            StoreOp::Park { urgent, pdu, .. } => self.check_urgent(shard, *urgent, pdu),
            StoreOp::Return { account, parked } => {
                let is_it = |one: &Unparked| (one.account, one.parked) == (*account, *parked);
                self.shards[shard].page.retain(|one| !is_it(one));
            }
            _ => {}
        }
        let air = self.random.between(20, 2_000);
        let life = self.shards[shard].life;
        let due = (self.now + air).max(self.shards[shard].ask_lane);
        self.shards[shard].ask_lane = due;
        self.at(due, Event::StoreAsked { shard, life, op });
    }

    pub(super) fn store_asked(&mut self, shard: usize, life: u32, op: StoreOp) {
        let place = self.nodes[self.shards[shard].node].store;
        let stalled_until = self.stores[place].stalled_until;
        if self.now < stalled_until {
            // In the lane of its shard: what comes later waits behind it.
            self.shards[shard].ask_lane = self.shards[shard].ask_lane.max(stalled_until);
            return self.at(stalled_until, Event::StoreAsked { shard, life, op });
        }
        let is_alive = self.shards[shard].life == life && self.shards[shard].relay.is_some();
        // On its way, and its sender is no more. What would be handed out to nobody does not count.
        let nobodys = matches!(op, StoreOp::Unpark { .. }) || !self.plan.shared_store;
        if !is_alive && (nobodys || self.random.percent(50)) {
            return;
        }
        if let StoreOp::Forget { key, gateway_id, .. } = &op {
            self.check_forget(*key, *gateway_id);
        }
        let returned = match &op {
            StoreOp::Return { account, .. } => Some(*account),
            _ => None,
        };
        let (deed, answer) = self.stores[place].run(self.now, life, op);
        let can_be_handed_out = match deed {
            Deed::Parked(account, _) => Some(account),
            _ => returned,
        };
        self.learn(place, deed);
        self.learn_of_early(place);
        if let Some(account) = can_be_handed_out {
            self.say_parked_for(place, account, life);
        }
        if let (Some(answer), true) = (answer, is_alive) {
            let air = self.random.between(20, 1_000);
            let due = (self.now + air).max(self.shards[shard].answer_lane);
            self.shards[shard].answer_lane = due;
            self.at(due, Event::StoreSays { shard, life, answer });
        }
    }

    pub(super) fn store_says(&mut self, shard: usize, life: u32, answer: StoreAnswer) {
        if self.shards[shard].life != life {
            return;
        }
        let (name, owner) = match &answer {
            StoreAnswer::Unparked { account, entries, .. } => {
                (if entries.is_empty() { "unparked none" } else { "unparked" }, account.spread())
            }
            StoreAnswer::ParkedFor { account } => ("parked for", account.spread()),
            StoreAnswer::AskAgain => ("ask again", 0),
            StoreAnswer::Room { receipts } => ("room", u64::from(*receipts)),
            _ => ("store says", 0),
        };
        self.note(name, shard as u64, owner);
        match &answer {
            StoreAnswer::Unparked { account, entries, .. } => self.note_page(shard, *account, entries),
            StoreAnswer::Room { receipts } => self.shards[shard].receipts_room = *receipts,
            _ => {}
        }
        let now = self.now();
        if let Some(relay) = &mut self.shards[shard].relay {
            relay.handle_store_answer(now, answer);
        }
        self.pump(shard);
    }

    /// What a store did, in the terms of the ledger, and what must hold of it.
    fn learn(&mut self, store: usize, deed: Deed) {
        match deed {
            Deed::Nothing => {}
            Deed::Remembered(key, correlation) => {
                let Some(copy) = self.copy_remembered(key, &correlation) else { return };
                self.story.correlations += 1;
                let submit = self.ledger.copies[copy as usize].submit;
                self.see_id(submit, correlation.gateway_id);
                self.ledger.copies[copy as usize].kept = Some((store, self.now));
                for upward in &self.ledger.upwards {
                    let is_of = matches!(upward.content, Content::Receipt { copy: of, .. } if of == copy);
                    let promised = upward.first_seen.is_some_and(|(at, _)| at + EARLY_PROMISE_US > self.now);
                    must!(
                        !(is_of && upward.orphan == Some(store) && promised),
                        Delivered,
                        "a receipt of message {submit} came early and was not waited for"
                    );
                }
            }
            Deed::Forgot(key, gateway_id) => {
                if let Some(copy) = self.copy_of(key, gateway_id) {
                    let copy = &mut self.ledger.copies[copy as usize];
                    (copy.kept, copy.forgotten) = (None, true);
                }
            }
            Deed::Parked(account, parked) => self.was_parked(store, account, parked),
            Deed::KeptEarly(number) => {
                self.story.early += 1;
                // One whose message is there already is not kept.
                let kept = self.stores[store].early_pdu(number).and_then(|pdu| self.upwards_in(pdu));
                for upward in kept.into_iter().flatten() {
                    self.ledger.upwards[upward as usize].early = true;
                }
                self.later(EARLY_WAIT_US, Event::EarlyEnds { store, number });
            }
            Deed::Orphaned(pdu) => self.was_orphaned(store, &pdu),
            Deed::Released(pdu) => {
                for upward in self.upwards_in(&pdu).into_iter().flatten() {
                    let upward = &mut self.ledger.upwards[upward as usize];
                    upward.parked = upward.parked.saturating_sub(1);
                    must!(
                        upward.taken > 0 || self.stores[store].was_in_trouble,
                        Delivered,
                        "released before the customer took it"
                    );
                }
            }
        }
    }

    /// What became of early receipts, of which every shard hears.
    fn learn_of_early(&mut self, store: usize) {
        for deed in core::mem::take(&mut self.stores[store].deeds) {
            let owner = match deed {
                Deed::Parked(account, _) => Some(account),
                _ => None,
            };
            self.learn(store, deed);
            if let Some(account) = owner {
                self.story.early_served += 1;
                self.say_parked_for(store, account, u32::MAX);
            }
        }
    }

    /// The time of an early receipt is over.
    pub(super) fn early_ends(&mut self, store: usize, number: u64) {
        if !self.stores[store].end_early(self.now, number) {
            return self.later(EARLY_WAIT_US, Event::EarlyEnds { store, number });
        }
        self.learn_of_early(store);
    }

    fn was_parked(&mut self, store: usize, account: AccountId, parked: relay::ParkedId) {
        self.story.parked += 1;
        let upwards = self.upwards_in(self.stores[store].parked(account, parked));
        must!(upwards.is_some(), Delivered, "parked something that no vendor sent");
        let Some(upwards) = upwards else { return };
        let owner = CUSTOMERS.iter().position(|scene| AccountId::of_name(scene.name.as_bytes()) == account);
        self.check_owner(owner.expect("a customer of the scene"), &upwards);
        for number in upwards {
            self.ledger.upwards[number as usize].parked += 1;
            let content = self.ledger.upwards[number as usize].content;
            if let Content::Receipt { copy, is_final: true } = content {
                self.ledger.copies[copy as usize].served = true;
            }
            self.note("parked", store as u64, number.into());
        }
    }

    fn was_orphaned(&mut self, store: usize, pdu: &[u8]) {
        self.story.orphans += 1;
        let Some(Range { start: number, .. }) = self.upwards_in(pdu) else { return };
        self.note("orphan", store as u64, number.into());
        self.ledger.upwards[number as usize].orphan = Some(store);
        let upward = &self.ledger.upwards[number as usize];
        match upward.content {
            Content::Mo(owner) => {
                must!(owner.is_none(), Delivered, "MO {number} has an owner, and is an orphan")
            }
            Content::Part { message } => {
                let is_owned = self.ledger.messages[message as usize].shared.owner.is_some();
                must!(
                    !is_owned || !self.plan.faultless,
                    Delivered,
                    "part {number} has an owner, and is an orphan"
                );
            }
            Content::Own { submit } => {
                must!(false, Delivered, "the receipt of ours about message {submit} is an orphan")
            }
            Content::Receipt { copy: number, .. } => {
                let copy = &self.ledger.copies[number as usize];
                // Whichever of the two was there first, the other one found it.
                let known = copy.kept.is_some_and(|(kept_in, at)| kept_in == store && at < self.now);
                must!(
                    !known || copy.lost,
                    Delivered,
                    "receipt {number} is an orphan, and its correlation is kept: {upward:?} {copy:?}"
                );
            }
        }
    }

    /// A correlation goes only after its final receipt was taken or parked.
    fn check_forget(&mut self, key: CorrelationKey, gateway_id: GatewayId) {
        if let Some(copy) = self.copy_of(key, gateway_id) {
            let is_unasked = self.is_unasked(Content::Receipt { copy, is_final: true });
            let copy = &self.ledger.copies[copy as usize];
            must!(
                copy.served || is_unasked,
                Delivered,
                "the correlation of message {} goes before its receipt",
                copy.submit
            );
        }
    }

    /// A store learns that a life has ended: what that one had in hand can be handed out again.
    pub(super) fn store_returns(&mut self, store: usize, life: u32) {
        self.stores[store].take_back_from(life);
        self.say_ask_again(store);
    }

    /// Words about parked messages may have been missed: everybody shall ask.
    pub(super) fn say_ask_again(&mut self, store: usize) {
        for shard in 0..self.shards.len() {
            if self.nodes[self.shards[shard].node].store == store {
                self.say(shard, StoreAnswer::AskAgain, 0);
            }
        }
    }

    /// All others hear that something can be handed out. Such a word may be lost; then they are told to ask.
    fn say_parked_for(&mut self, store: usize, account: AccountId, life: u32) {
        for shard in 0..self.shards.len() {
            // An earlier life of the same node is another sender.
            if self.shards[shard].life == life || self.nodes[self.shards[shard].node].store != store {
                continue;
            }
            if self.strikes(Fault::HintLost, 10) {
                let wait = self.random.between(20_000, 300_000);
                self.say(shard, StoreAnswer::AskAgain, wait);
            } else {
                self.say(shard, StoreAnswer::ParkedFor { account }, 0);
            }
        }
    }

    /// A word of the store to a shard, not before `wait` is over.
    fn say(&mut self, shard: usize, answer: StoreAnswer, wait: u64) {
        let air = self.random.between(20, 1_000);
        let (life, lane) = (self.shards[shard].life, self.shards[shard].answer_lane);
        let due = if wait == 0 { lane.max(self.now + air) } else { self.now + wait };
        self.at(due, Event::StoreSays { shard, life, answer });
    }

    /// All copies of the id that a correlation is kept under.
    fn copies_of_key(&self, key: CorrelationKey) -> &[u32] {
        let vendor = VENDORS.iter().position(|name| VendorId::of_name(name.as_bytes()) == key.vendor);
        let number = vendor.and_then(|vendor| self.plan.spellings[vendor].number_of(&key.id));
        vendor.zip(number).map_or(&[], |(vendor, number)| self.ledger.copies_by_id(vendor, number))
    }

    /// The copy that a correlation of this message speaks of.
    fn copy_of(&self, key: CorrelationKey, gateway_id: GatewayId) -> Option<u32> {
        let is_its = |copy: &&u32| {
            let submit = self.ledger.copies[**copy as usize].submit;
            self.ledger.submits[submit as usize].gateway_id == Some(gateway_id)
        };
        self.copies_of_key(key).iter().find(is_its).copied()
    }

    /// The same where it was kept just now: by its owner and its handset, since our id may not have been seen yet.
    fn copy_remembered(&self, key: CorrelationKey, correlation: &Correlation) -> Option<u32> {
        let copies = self.copies_of_key(key);
        let is_its = |copy: &&u32| {
            let copy = &self.ledger.copies[**copy as usize];
            let submit = &self.ledger.submits[copy.submit as usize];
            let owner = AccountId::of_name(CUSTOMERS[submit.account].name.as_bytes());
            let handset = Handset::of(&copy.destination);
            correlation.account == owner
                && correlation.handset == handset
                && submit.gateway_id.is_none_or(|id| id == correlation.gateway_id)
        };
        let found = copies.iter().find(is_its).copied();
        must!(
            found.is_some() || copies.is_empty(),
            Owner,
            "a message of {copies:?} is correlated with another customer or handset: {correlation:?}"
        );
        found
    }

    /// A store loses its last milliseconds, or everything.
    pub(super) fn lose_data(&mut self, store: usize, everything: bool) {
        self.story.faults.count(if everything { Fault::StoreLosesAll } else { Fault::StoreLosesTail });
        let since = self.now.saturating_sub(self.random.between(1_000, 20_000));
        let Loss { correlations, parked, back, parked_back, early, early_back } = match everything {
            true => self.stores[store].lose_all(),
            false => self.stores[store].lose_since(since),
        };
        self.note("store loses", correlations.len() as u64, parked.len() as u64);
        for copy in correlations.into_iter().filter_map(|(key, id)| self.copy_of(key, id)).collect::<Vec<_>>()
        {
            let copy = &mut self.ledger.copies[copy as usize];
            (copy.kept, copy.lost) = (None, true);
        }
        for copy in back.into_iter().filter_map(|(key, id)| self.copy_of(key, id)).collect::<Vec<_>>() {
            self.ledger.copies[copy as usize].kept = Some((store, self.now));
        }
        let numbers = |pdus: &[Vec<u8>]| -> Vec<u32> {
            pdus.iter().filter_map(|pdu| self.upwards_in(pdu)).flatten().collect()
        };
        let (parked, parked_back, early) = (numbers(&parked), numbers(&parked_back), numbers(&early));
        for upward in early {
            self.ledger.upwards[upward as usize].lost = true;
        }
        for number in early_back {
            self.later(EARLY_WAIT_US, Event::EarlyEnds { store, number });
        }
        for upward in parked {
            let upward = &mut self.ledger.upwards[upward as usize];
            upward.parked = upward.parked.saturating_sub(1);
            upward.lost = true;
        }
        self.say_ask_again(store);
        for upward in parked_back {
            self.ledger.upwards[upward as usize].parked += 1;
        }
    }
}

impl World {
    /// The receipt or MO in a PDU, or all parts of an MO.
    pub(super) fn upwards_in(&self, pdu: &[u8]) -> Option<Range<u32>> {
        let (text, receipt) = wire::content(pdu)?;
        let numbers = wire::numbers_in(text, b'u');
        if numbers.is_some() {
            return numbers;
        }
        let submit = self.ledger.spooled.get(&GatewayId::parse(receipt?.id?.value)?)?;
        let own = self.ledger.submits[*submit as usize].own_receipt;
        (own != NONE).then(|| own..own + 1)
    }

    /// A node's store says whether it can keep correlations.
    pub(super) fn say_room(&mut self, node: usize, receipts: bool) {
        if self.nodes[node].receipts_room == receipts {
            return;
        }
        self.nodes[node].receipts_room = receipts;
        for shard in self.shards_of(node) {
            self.say(shard, StoreAnswer::Room { receipts }, 0);
        }
    }
}
