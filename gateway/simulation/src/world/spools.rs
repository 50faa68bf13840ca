//! The way to the spools and back, and what must hold of messages in store and forward.

use super::World;
use super::event::{Entry, Event};
use crate::fault::Fault;
use crate::invariant::must;
use crate::ledger::{Content, Copy, CopyState, NONE, Verdict};
use crate::spool::{Ask, Deed};
use relay::{Mode, SpoolAnswer};
use smpp::field::MessageState;
use smpp::text::message_id::GatewayId;

/// Of crashes that lose what was not synced: in so many of a hundred it is the process alone that dies.
const KEPT_PERCENT: u64 = 30;

impl World {
    /// An operation leaves its shard; those of one shard stay in order.
    pub(super) fn ask_spool(&mut self, shard: usize, ask: Ask) {
        let air = self.random.between(20, 500);
        let life = self.shards[shard].life;
        let due = (self.now + air).max(self.shards[shard].spool_lanes.0);
        self.shards[shard].spool_lanes.0 = due;
        self.at(due, Event::SpoolAsked { shard, life, ask });
    }

    pub(super) fn spool_asked(&mut self, shard: usize, life: u32, ask: Ask) {
        let node = self.shards[shard].node;
        if self.spools[node].life != life {
            return; // lost with its process
        }
        self.spools[node].queue.push_back((shard, life, ask));
        if !self.spools[node].syncs {
            self.spool_turn(node);
        }
    }

    /// All that is queued is one batch; where something is to be kept, one sync stands before the answers.
    fn spool_turn(&mut self, node: usize) {
        let unix = self.unix_seconds(node) as u32;
        let (mut accepts, now) = (false, self.now);
        while let Some((shard, life, ask)) = self.spools[node].queue.pop_front() {
            let (deed, answer) = self.spools[node].run(now, unix, shard, ask);
            accepts |= matches!(deed, Deed::Accepted(_)) || deed == Deed::Noted && self.plan.sync_notes;
            if let Some(answer) = answer {
                self.learn_of_spool(&answer);
                self.spools[node].answers.push((shard, life, answer));
            }
            self.judge_spool(node, deed);
        }
        if !accepts {
            return self.spool_answers(node);
        }
        let takes = self.random.between(300, 6_000);
        let due = (now + takes).max(self.spools[node].stalled_until);
        self.spools[node].syncs = true;
        let life = self.spools[node].life;
        self.at(due, Event::SpoolSynced { node, life });
    }

    pub(super) fn spool_synced(&mut self, node: usize, life: u32) {
        if self.spools[node].life != life {
            return;
        }
        self.note("spool synced", node as u64, 0);
        self.spools[node].sync();
        self.spool_answers(node);
        if !self.spools[node].queue.is_empty() {
            self.spool_turn(node);
        }
    }

    fn spool_answers(&mut self, node: usize) {
        for (shard, life, answer) in core::mem::take(&mut self.spools[node].answers) {
            let air = self.random.between(20, 500);
            let due = (self.now + air).max(self.shards[shard].spool_lanes.1);
            self.shards[shard].spool_lanes.1 = due;
            self.at(due, Event::SpoolSays { shard, life, answer });
        }
    }

    pub(super) fn spool_says(&mut self, shard: usize, life: u32, answer: SpoolAnswer) {
        if self.shards[shard].life != life {
            return;
        }
        let now = self.now();
        match &answer {
            SpoolAnswer::Accepted { outcome, .. } => {
                self.note("spooled", shard as u64, u64::from(outcome.is_ok()));
            }
            SpoolAnswer::Noted { .. } => self.note("noted", shard as u64, 0),
            SpoolAnswer::Due { entries, .. } if entries.is_empty() => {}
            SpoolAnswer::Due { entries, .. } => {
                self.note("handed out", shard as u64, entries.len() as u64);
                self.story.handed_out += entries.len() as u64;
            }
        }
        if let Some(relay) = &mut self.shards[shard].relay {
            relay.handle_spool_answer(now, answer);
        }
        self.pump(shard);
    }

    /// The id of a message is seen for the first time.
    fn learn_of_spool(&mut self, answer: &SpoolAnswer) {
        let SpoolAnswer::Accepted { gateway_id, outcome: Ok(()), pdu, .. } = answer else { return };
        let number = crate::wire::content(pdu).and_then(|(text, _)| crate::wire::number_in(text, b'm'));
        let number = number.expect("a message of ours");
        self.see_id(number, *gateway_id);
        self.ledger.spooled.insert(*gateway_id, number);
        self.story.spooled += 1;
    }

    fn judge_spool(&mut self, node: usize, deed: Deed) {
        match deed {
            Deed::Nothing | Deed::Accepted(_) | Deed::Noted => {}
            Deed::Settled(id) => self.check_settle(node, id),
            Deed::TakenBack(ids) => {
                for id in ids {
                    self.comes_back(id);
                    let number = self.ledger.spooled[&id];
                    self.ledger.submits[number as usize].taken_back = true;
                }
            }
            Deed::HandedOutLate(ids) => {
                for id in ids {
                    let number = self.ledger.spooled[&id];
                    self.ledger.submits[number as usize].expired = true;
                }
            }
        }
    }

    /// A message leaves the spool: a vendor has it, or its customer was told or did not want to be, or nothing is owed.
    fn check_settle(&mut self, node: usize, id: GatewayId) {
        let number = self.ledger.spooled[&id];
        self.note("settled", node as u64, number.into());
        self.ledger.submits[number as usize].settled = true;
        let submit = &self.ledger.submits[number as usize];
        if submit.verdict != Some(Verdict::Accepted) {
            return;
        }
        let is_taken = self.ledger.copies_of(number).any(|copy| copy.state == CopyState::Accepted);
        let is_told = self
            .ledger
            .upwards
            .get(submit.own_receipt as usize)
            .is_some_and(|receipt| receipt.taken > 0 || receipt.parked > 0 || receipt.lost);
        // What another shard had, and did not say in time, may never have been sent.
        let is_unknown = !submit.may_repeat() && self.shards_of(node).len() > 1;
        let was_noted = !submit.may_repeat() && submit.came_back;
        let may_end = submit.expired
            || is_unknown
            || was_noted
            || self.ledger.copies_of(number).any(|copy| match copy.state {
                CopyState::Refused => copy.for_good,
                CopyState::Unknown | CopyState::InFlight => !submit.may_repeat(),
                CopyState::Accepted | CopyState::Unsent => false,
            });
        let held = is_taken || is_told || (may_end && !submit.wants_receipt);
        must!(held, Brought, "message {number} is settled, and neither taken nor told: {submit:?}");
    }

    /// Status 0 of this mode: the message would survive a crash now.
    pub(super) fn check_durable(&mut self, shard: usize, number: u32, id: Option<GatewayId>) {
        let spool = &self.spools[self.shards[shard].node];
        let is_durable = id.is_some_and(|id| spool.is_durable(id));
        must!(is_durable, Durable, "message {number} is acknowledged before it is durable");
    }

    /// Another copy of a spooled message: what an earlier process sent, or was told, it may not know any more.
    pub(super) fn may_be_sent_again(&self, copy: &Copy) -> bool {
        let crashes = self.nodes[self.shards[copy.shard].node].crashes;
        copy.crashes < crashes || self.ledger.submits[copy.submit as usize].taken_back
    }

    /// Whether the note that this copy was on its way may be lost: only a power cut takes what was written.
    pub(super) fn may_be_forgotten(&self, copy: &Copy) -> bool {
        !self.plan.sync_notes && copy.cuts < self.nodes[self.shards[copy.shard].node].cuts
    }

    /// A receipt of ours is on its way to its customer: what does it say, and is it so?
    pub(super) fn own_receipt(&mut self, shard: usize, id: GatewayId, state: MessageState) -> u32 {
        let number = self.ledger.spooled.get(&id).copied();
        must!(number.is_some(), Owner, "a receipt of ours about {id}, which no spool had");
        let number = number.unwrap_or(NONE);
        if self.ledger.submits[number as usize].own_receipt == NONE {
            let upward = self.new_upward(0, Content::Own { submit: number });
            self.ledger.submits[number as usize].own_receipt = upward;
        }
        let submit = &self.ledger.submits[number as usize];
        let node = self.shards[shard].node;
        let knows_all =
            !submit.taken_back && self.ledger.copies_of(number).all(|copy| !self.may_be_sent_again(copy));
        if self.spools[node].is_lent(id) && knows_all {
            let maybe = self.ledger.copies_of(number).any(|copy| {
                matches!(copy.state, CopyState::Accepted | CopyState::Unknown | CopyState::InFlight)
            });
            let is_so = match state {
                // As with a settlement: another shard may have said nothing.
                // An earlier process may have noted that it sends one, and died before it did.
                MessageState::Unknown => maybe || self.shards_of(node).len() > 1 || submit.came_back,
                MessageState::Expired => !maybe && submit.expired,
                _ => !maybe && self.ledger.copies_of(number).any(|copy| copy.for_good),
            };
            must!(is_so, Told, "the receipt of ours about message {number} says {state:?}");
            must!(submit.wants_receipt, Told, "message {number} wants no receipt");
        }
        submit.own_receipt
    }

    /// A node's process begins: its spool is opened, and what is in it is owed.
    pub(super) fn open_spool(&mut self, node: usize) {
        let life = self.nodes[node].life;
        self.finish_asking(node);
        while let Some((shard, _, ask)) = self.spools[node].queue.pop_front() {
            // The last process ended in order: what it asked last is done.
            let unix = self.unix_seconds(node) as u32;
            let (deed, answer) = self.spools[node].run(self.now, unix, shard, ask);
            if let Some(answer) = answer {
                self.learn_of_spool(&answer);
            }
            self.judge_spool(node, deed);
        }
        self.spools[node].answers.clear();
        if self.spools[node].away {
            self.nodes[node].crashes += 1; // what it was told since was not kept
            self.nodes[node].cuts += 1;
        }
        self.spools[node].close();
        self.spools[node].life = life;
        let ids: Vec<GatewayId> = self.spools[node].ids().collect();
        ids.into_iter().for_each(|id| self.comes_back(id));
    }

    /// The last process of a node ended in order, which waits for its spool: what is on its way there arrives.
    fn finish_asking(&mut self, node: usize) {
        let (last, shards) = (self.spools[node].life, self.shards_of(node));
        let is_its = |event: &Event| matches!(event, Event::SpoolAsked { shard, life, .. } if *life == last && shards.contains(shard));
        let (mut its, others): (Vec<Entry>, Vec<Entry>) =
            core::mem::take(&mut self.events).into_iter().partition(|entry| is_its(&entry.event));
        self.events = others.into();
        its.sort_by_key(|entry| (entry.due, entry.order));
        for entry in its {
            if let Event::SpoolAsked { shard, life, ask } = entry.event {
                self.spools[node].queue.push_back((shard, life, ask));
            }
        }
    }

    /// It is owed from now on whether or not its customer was told so.
    fn comes_back(&mut self, id: GatewayId) {
        let number = self.ledger.spooled[&id];
        self.ledger.submits[number as usize].came_back = true;
    }

    /// A node's process dies.
    pub(super) fn crash_spool(&mut self, node: usize) {
        self.nodes[node].crashes += 1;
        let all = self.random.percent(KEPT_PERCENT);
        let kept = if all { 1000 } else { self.random.below(1000) as usize };
        self.nodes[node].cuts += u32::from(kept < 1000);
        let before = self.spools[node].ids().len();
        let back = self.spools[node].crash(kept);
        for id in &back {
            let number = self.ledger.spooled[id];
            self.ledger.submits[number as usize].settled = false;
        }
        if !back.is_empty() || self.spools[node].ids().len() != before {
            self.story.faults.count(Fault::SpoolLosesTail);
        }
    }

    /// A spool stalls, is full or fails; being full ends by the same misfortune again, failing by a restart.
    pub(super) fn trouble_spool(&mut self, fault: Fault) -> Option<()> {
        let node = self.random.below(self.nodes.len() as u64) as usize;
        let long = self.random.percent(35);
        let stall = if long { 5_500_000 } else { self.random.between(10_000, 400_000) };
        let may_kill = fault == Fault::SpoolStalls && long && self.plan.prone.has(Fault::NodeCrash);
        if may_kill && self.random.percent(70) {
            // After customers were told something, and before the sync ends.
            let wait = self.random.between(5_050_000, 5_450_000);
            self.later(wait, Event::Killed { node });
        }
        let spool = &mut self.spools[node];
        match fault {
            Fault::SpoolStalls => spool.stalled_until = spool.stalled_until.max(self.now + stall),
            Fault::SpoolFull => spool.full = !spool.full,
            _ => spool.away = true,
        }
        Some(())
    }

    /// Nothing of the story is in a spool any more.
    pub(super) fn spools_are_empty(&self) -> bool {
        self.spools.iter().all(|spool| spool.ids().len() == 0)
    }

    pub(super) fn judge_spools(&self) {
        for (node, spool) in self.spools.iter().enumerate() {
            let left: Vec<u32> = spool.ids().map(|id| self.ledger.spooled[&id]).collect();
            must!(left.is_empty(), Brought, "messages {left:?} stay in the spool of node {node}");
        }
        for (number, submit) in self.ledger.submits.iter().enumerate() {
            if submit.mode() != Mode::StoreAndForward || submit.verdict != Some(Verdict::Accepted) {
                continue;
            }
            must!(submit.settled, Brought, "message {number} was acknowledged, and is not settled");
            let once = submit.copies_accepted == 1 && submit.own_receipt == NONE;
            must!(once || !self.plan.faultless, Brought, "message {number}: {submit:?}");
        }
    }
}
