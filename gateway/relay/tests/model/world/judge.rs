//! What must hold of every story at its end.

use super::World;
use crate::scene::*;
use crate::wire;
use gateway_relay::UnknownOutcome;
use std::collections::BTreeSet;

impl World {
    /// The story is over: what must hold?
    pub(super) fn judge(mut self) -> Story {
        assert!(self.events.is_empty(), "still going on: {:?}", self.events);
        for (shard, relay) in self.relays.iter().enumerate() {
            assert!(relay.is_empty(), "shard {shard}: {:?}", relay.counters());
            let traffic = relay.counters().traffic;
            assert_eq!(traffic.queue_length, 0);
            for (vendor, traffic) in relay.vendor_counters() {
                assert_eq!(traffic.in_flight, 0, "{vendor:?}");
            }
            self.story.parked += traffic.parked;
            self.story.orphans += traffic.orphans;
            self.story.early += traffic.receipts_early;
            self.story.failovers += traffic.vendor_failovers;
            self.story.taken_back += traffic.vendor_unsent;
            self.story.remote += traffic.remote_submits;
            self.story.retries += traffic.unknown_retries;
            self.story.held += traffic.unknowns_held;
            self.story.told_by_receipt += traffic.unknowns_accepted;
            self.story.resolved += traffic.unknowns_resolved;
            self.story.ambiguous += traffic.unknowns_ambiguous;
            assert_eq!(traffic.held_open, 0);
        }
        assert_eq!(self.drained as usize, self.relays.len());
        assert_eq!(self.store.parked_count(), 0, "parked, and its owner is there");
        for (number, submit) in self.submits.iter().enumerate() {
            assert!(submit.session_lost || submit.answers == 1, "message {number} was not answered");
            let may_copy =
                matches!(POLICIES[submit.account], UnknownOutcome::RetryOther | UnknownOutcome::RetrySame);
            let allowed = if may_copy { u32::from(ATTEMPTS_MAX) } else { 1 };
            assert!(submit.copies_open <= allowed, "message {number}: {} copies", submit.copies_open);
            assert!(submit.copies <= u32::from(ATTEMPTS_MAX), "message {number}: {} tries", submit.copies);
        }
        let orphans: BTreeSet<Carried> =
            self.store.orphans.iter().filter_map(|pdu| carried_in(pdu)).collect();
        for upward in &self.upwards {
            assert!(upward.acked, "{:?} was never acknowledged", upward.carried);
            let taken = self.taken.contains(&upward.carried);
            assert!(taken || orphans.contains(&upward.carried), "{:?} vanished", upward.carried);
            if let (Carried::Receipt(number), Some(id)) = (upward.carried, upward.id) {
                let submit = &self.submits[number as usize];
                let kept = submit.accepts_answered.contains(&id) && !self.store_was_away;
                assert!(taken || !kept, "the receipt of message {number} never reached its customer");
            } else if upward.owner.is_some() {
                assert!(taken, "{:?} never reached its owner", upward.carried);
            }
        }
        self.story
    }
}

fn carried_in(pdu: &[u8]) -> Option<Carried> {
    let (text, receipt) = wire::content(pdu)?;
    match receipt {
        Some(_) => wire::number_in(text, b'm').map(Carried::Receipt),
        None => wire::number_in(text, b'o').map(Carried::Mo),
    }
}
