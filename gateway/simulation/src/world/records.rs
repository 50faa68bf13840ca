//! The records that relays make of submits.

use super::World;
use crate::invariant::must;
use crate::ledger::Verdict;
use crate::scene::*;
use relay::{AccountId, RecordKind, SubmitRecord};
use std::time::Duration;

impl World {
    /// Draws what a relay has finished, as its shard does at the end of each turn.
    pub(super) fn draw_records(&mut self, shard: usize) {
        let (now, wall) = (self.now(), Duration::from_secs(self.unix_seconds(self.shards[shard].node)));
        while let Some(record) =
            self.shards[shard].relay.as_mut().and_then(|relay| relay.poll_record(now, wall))
        {
            must!(self.plan.records, Counted, "a record that nobody wants");
            if let RecordKind::Submit(submit) = record.kind {
                self.recorded(shard, &submit);
            }
        }
    }

    fn recorded(&mut self, shard: usize, record: &SubmitRecord) {
        let number = record.sequence - 1;
        self.note("record", shard as u64, number.into());
        self.story.records += 1;
        let told = record.customer_status.map(|status| self.verdict_of(number, status));
        let submit = &mut self.ledger.submits[number as usize];
        submit.records += 1;
        must!(submit.records == 1, Counted, "message {number} has two records");
        must!(submit.shard == shard, Counted, "message {number} is recorded by another shard");
        let owner = AccountId::of_name(CUSTOMERS[submit.account].name.as_bytes());
        must!(
            record.account.is_none_or(|account| account == owner),
            Owner,
            "message {number} is recorded for another"
        );
        must!(
            told == submit.verdict || (told.is_none() && submit.session_lost),
            Counted,
            "message {number} is recorded with {told:?}, and was answered with {:?}",
            submit.verdict
        );
        if told == Some(Verdict::Accepted) {
            must!(
                record.gateway_id == submit.gateway_id,
                Counted,
                "message {number} is recorded with another id"
            );
        }
    }

    /// Nothing is open on a shard: each submit of its life has its record.
    pub(super) fn check_records(&mut self, shard: usize) {
        self.draw_records(shard);
        if !self.plan.records || self.shards[shard].relay.is_none() {
            return;
        }
        let life = self.shards[shard].life;
        for (submit, number) in self.ledger.submits.iter().zip(0..) {
            let is_its = submit.arrived.is_some() && (submit.shard, submit.life) == (shard, life);
            must!(!is_its || submit.records == 1, Counted, "message {number} has no record");
        }
    }
}
