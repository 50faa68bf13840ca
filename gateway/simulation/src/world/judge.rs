//! What must hold while the story goes on, and at its end.

use super::World;
use crate::invariant::must;
use crate::ledger::Content;
use crate::scene::*;
use relay::{AccountId, Refusal};

impl World {
    /// What can only be seen by looking: deadlines and bounds.
    pub(super) fn check_deadlines(&mut self) {
        while let Some(number) = self.unanswered.front().copied() {
            let submit = &self.ledger.submits[number as usize];
            let is_done = submit.verdict.is_some() || submit.session_lost;
            let is_late = submit.arrived.is_some_and(|at| at + ANSWER_DEADLINE_US < self.now);
            must!(is_done || !is_late, OneAnswer, "message {number} is not answered in time");
            if !is_done {
                break;
            }
            self.unanswered.pop_front();
        }
        while let Some(sending) = self.unacknowledged.front().copied() {
            let one = &self.ledger.sendings[sending as usize];
            let link = &self.links[one.link.0 as usize];
            let is_done = one.answered || !link.ours;
            let content = self.ledger.upwards[one.upward as usize].content;
            let gathers = if matches!(content, Content::Part { .. }) { GATHER_US } else { 0 };
            let is_late = one.arrived + ACKNOWLEDGE_DEADLINE_US + gathers < self.now;
            must!(is_done || !is_late, Delivered, "upward {} is not answered in time", one.upward);
            if !is_done {
                break;
            }
            self.unacknowledged.pop_front();
        }
        self.check_bounds();
        self.check_drains();
    }

    fn check_bounds(&mut self) {
        let limits = &self.plan.limits;
        for shard in &self.shards {
            let Some(relay) = &shard.relay else { continue };
            let traffic = relay.counters().traffic;
            let open = (traffic.messages_open, traffic.deliveries_open);
            let room = (u64::from(limits.messages_max), u64::from(limits.deliveries_max));
            must!(open.0 <= room.0 && open.1 <= room.1, Bounded, "{open:?} are open, {room:?} may be");
            let queues = (u64::from(limits.queue_max) * VENDORS.len() as u64).max(traffic.messages_open);
            must!(traffic.queue_length <= queues, Bounded, "{} wait", traffic.queue_length);
        }
    }

    /// The relay's counters of one life, at an end of it.
    pub(super) fn check_counters(&mut self, shard: usize) {
        self.check_records(shard);
        let Some(relay) = &self.shards[shard].relay else { return };
        let (traffic, tally) = (relay.counters().traffic, self.shards[shard].tally);
        self.story.remote += traffic.remote_submits;
        self.story.retries += traffic.unknown_retries;
        self.story.failovers += traffic.vendor_failovers;
        self.story.told_by_receipt += traffic.unknowns_resolved;
        self.story.ambiguous += traffic.unknowns_ambiguous;
        let refused = traffic.submits_rejected + traffic.submits_refused;
        let told = traffic.submits_accepted + traffic.submits_unknown + refused;
        must!(traffic.submits == tally.submits, Counted, "{} submits, {tally:?}", traffic.submits);
        // Among what is open may be messages of other shards.
        let balance = told + traffic.messages_open;
        must!(traffic.submits >= tally.accepted + tally.unknown + tally.refused, Counted, "{tally:?}");
        // An abandoned message is counted by what it came to as well, or only as abandoned.
        let balanced = told <= traffic.submits && balance + traffic.submits_abandoned >= traffic.submits;
        must!(balanced, Counted, "submits do not balance: {traffic:?}");
        must!(traffic.submits_accepted >= tally.accepted, Counted, "accepted: {traffic:?} {tally:?}");
        must!(refused >= tally.refused, Counted, "refused: {traffic:?} {tally:?}");
        must!(traffic.submits_unknown >= tally.unknown, Counted, "unknown: {traffic:?} {tally:?}");
        let answered = tally.accepted + tally.unknown + tally.refused;
        must!(
            answered + traffic.submits_abandoned >= traffic.submits,
            Counted,
            "answers and abandoned do not balance: {traffic:?} {tally:?}"
        );
        let no_room = Refusal::ALL.iter().position(|refusal| *refusal == Refusal::ReceiptsFull);
        let no_room = relay.counters().refused[no_room.expect("one of all")];
        self.story.no_room += no_room;
        must!(no_room <= tally.no_room, Counted, "{no_room} refused for want of room, {tally:?}");
        must!(traffic.vendor_answers == tally.answers, Counted, "vendors' answers: {traffic:?} {tally:?}");
        must!(traffic.receipts == tally.receipts, Counted, "receipts: {traffic:?} {tally:?}");
        must!(traffic.mo == tally.mo, Counted, "MO: {traffic:?} {tally:?}");
        must!(
            traffic.deliveries_refused >= tally.not_acknowledged,
            Counted,
            "refused deliveries: {traffic:?} {tally:?}"
        );
    }

    /// The story is over: what must hold?
    pub(super) fn judge(&mut self) {
        for shard in 0..self.shards.len() {
            self.check_counters(shard);
            let Some(relay) = &self.shards[shard].relay else { continue };
            must!(relay.is_empty(), Bounded, "shard {shard}: {:?}", relay.counters());
            must!(relay.counters().traffic.queue_length == 0, Bounded, "somebody waits on shard {shard}");
            for (vendor, traffic) in relay.vendor_counters() {
                must!(traffic.in_flight == 0, Bounded, "slots of {vendor:?} did not come back");
            }
        }
        for store in &self.stores {
            if let Some((owner, lent_to, pdu)) = store.parked_entries().next() {
                let owner = CUSTOMERS.iter().find(|scene| AccountId::of_name(scene.name.as_bytes()) == owner);
                let (name, upward) = (owner.map(|scene| scene.name), self.upwards_in(pdu));
                must!(false, Delivered, "upward {upward:?} of {name:?} stays parked, lent to {lent_to:?}");
            }
        }
        self.judge_messages();
        self.judge_spools();
        self.judge_deliveries();
    }

    fn judge_messages(&mut self) {
        for (number, submit) in self.ledger.submits.iter().enumerate() {
            let answered = submit.arrived.is_none() || submit.session_lost || submit.verdict.is_some();
            must!(answered, OneAnswer, "message {number} was not answered");
        }
        let given = &mut self.ledger.given;
        given.sort_unstable();
        let twice = given.windows(2).find(|pair| pair[0].0 == pair[1].0);
        must!(twice.is_none(), Owner, "an id was given twice: {twice:?}");
    }

    fn judge_deliveries(&mut self) {
        for (number, upward) in self.ledger.upwards.iter().enumerate() {
            if matches!(upward.content, Content::Own { .. }) {
                continue; // judged with its message
            }
            must!(upward.acknowledged, Delivered, "upward {number} was never acknowledged: {upward:?}");
            let is_unasked = self.is_unasked(upward.content);
            let found = upward.taken > 0 || upward.orphan.is_some() || upward.lost || is_unasked;
            must!(found, Delivered, "upward {number} never reached its customer: {upward:?}");
            let is_nobodys = self.ledger.owner(upward.content).is_none();
            if self.plan.faultless && !is_nobodys {
                let apart = !self.plan.shared_store && self.plan.nodes.len() > 1;
                // Overtaken by its final one, it finds no correlation any more; that there is none is checked when it
                // becomes an orphan.
                let overtaken = matches!(upward.content, Content::Receipt { is_final: false, .. });
                let once = upward.taken == 1 || ((apart || overtaken) && upward.orphan.is_some());
                must!(once || is_unasked, Delivered, "upward {number} was taken {} times", upward.taken);
            }
        }
        if self.plan.faultless {
            let left = self.stores.iter().flat_map(|store| store.correlations()).count();
            let apart = !self.plan.shared_store && self.plan.nodes.len() > 1;
            must!(left == 0 || apart, Bounded, "{left} correlations stay after their receipts");
        }
    }
}
