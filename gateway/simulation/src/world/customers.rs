//! What customers do: they send, and they take receipts and MO.

use super::World;
use super::event::Event;
use super::link::{Link, Party};
use crate::fault::Fault;
use crate::invariant::must;
use crate::ledger::{Long, NONE, Submit};
use crate::scene::*;
use crate::wire;
use core::ops::Range;
use relay::{Arrival, DeliveryKey, LinkKey};
use smpp::dialect::Dialect;
use smpp::field::{CommandId, CommandStatus};
use smpp::pdu::Pdu;
use smpp::wire::Frame;

impl World {
    /// Somebody sends a few messages; then the next one does.
    pub(super) fn load(&mut self) {
        let sessions = self.links_where(|link| matches!(link.party, Party::Customer(_)) && link.theirs);
        if let Some(session) = self.random.pick(&sessions) {
            // A receiver tries once: it is refused, and has no more to say.
            let count = if self.link(session).may_submit { 1 + self.random.below(5) } else { 1 };
            if self.plan.longs && self.random.percent(25) {
                self.submit_long(session);
            }
            for _ in 0..count {
                self.submit(session);
            }
        }
        if self.now < STORY_US {
            let gap = self.random.below(2 * 3 * STORY_US / self.plan.messages);
            self.later(gap, Event::Load);
        }
    }

    /// A message of two or three parts, at once.
    fn submit_long(&mut self, link: LinkKey) {
        let first = self.ledger.submits.len() as u32;
        self.submit(link);
        if first as usize == self.ledger.submits.len() {
            return; // it does not arrive
        }
        let (total, long) = (self.random.between(2, 3) as u32, self.ledger.longs.len() as u32);
        for _ in 1..total {
            self.submit(link);
        }
        let Submit { source, source_of, destination, handset, .. } = self.ledger.submits[first as usize];
        let parts = first..self.ledger.submits.len() as u32;
        for part in parts.clone() {
            let submit = &mut self.ledger.submits[part as usize];
            (submit.source, submit.source_of) = (source, source_of);
            (submit.destination, submit.handset) = (destination, handset);
            submit.long = Some(long);
        }
        let (reference, in_tlvs) = (long as u8, self.random.percent(40));
        self.ledger.longs.push(Long { parts, reference, in_tlvs, before: None, sent_at: 0 });
    }

    fn submit(&mut self, link: LinkKey) {
        let Some(due) = self.reaches_us(link) else { return };
        let Party::Customer(account) = self.link(link).party else { return };
        let number = self.ledger.submits.len() as u32;
        let (shard, session_lost) = (self.link(link).shard, !self.link(link).ours);
        let wants_receipt = self.random.percent(60);
        let source = if self.plan.crowded { self.random.below(SOURCES_CROWDED) } else { number.into() };
        let source_of = self.random.percent(2).then(|| self.random.below(CUSTOMERS.len() as u64) as usize);
        let destination = self.random.below(DESTINATIONS.len() as u64) as usize;
        let handset = if self.plan.crowded { 0 } else { number.into() };
        self.ledger.submits.push(Submit {
            account,
            link,
            shard,
            life: 0,
            records: 0,
            wants_receipt,
            source,
            source_of,
            destination,
            handset,
            long: None,
            command: CommandId::SUBMIT_SM,
            arrived: None,
            session_lost,
            verdict: None,
            gateway_id: None,
            last_copy: NONE,
            copies_accepted: 0,
            urgent: false,
            no_room: false,
            came_back: false,
            taken_back: false,
            expired: false,
            settled: false,
            own_receipt: NONE,
        });
        self.story.messages += 1;
        self.at(due, Event::SubmitArrives { submit: number });
    }

    pub(super) fn submit_arrives(&mut self, number: u32) {
        let submit = &self.ledger.submits[number as usize];
        let (link, wants_receipt, shard) = (submit.link, submit.wants_receipt, submit.shard);
        if !self.link(link).ours {
            return;
        }
        self.note("submit", shard as u64, number.into());
        let mut bytes = core::mem::take(&mut self.scratch);
        bytes.clear();
        let (source, destination) = self.ledger.submits[number as usize].addresses();
        let validity: &[u8] = match self.random.below(40) {
            0 => b"000000000015000R",
            1 => b"270115080000000+", // the wall's first minute: over for a clock that jumped far enough
            _ => b"",
        };
        let as_data = validity.is_empty() && self.random.percent(20);
        let urgent = !as_data && self.random.percent(20); // data_sm has no priority
        let addresses = (source.as_bytes(), destination.as_bytes());
        let cut = self.cut_of(number, shard);
        wire::submit(number, addresses, (wants_receipt, urgent), validity, cut, &mut bytes);
        if as_data {
            bytes = wire::as_data(&bytes);
        }
        let unix_seconds = self.unix_seconds(self.shards[shard].node);
        let arrival = Arrival { now: self.now(), unix_seconds, link, over_window: self.random.percent(1) };
        let frame = Frame::whole(&bytes).expect("a whole PDU");
        let submit = &mut self.ledger.submits[number as usize];
        (submit.arrived, submit.life) = (Some(self.now), self.shards[shard].life);
        (submit.command, submit.urgent) = (frame.command_id(), urgent);
        submit.no_room = wants_receipt && !self.shards[shard].receipts_room;
        self.shards[shard].tally.no_room += u64::from(submit.no_room);
        self.unanswered.push_back(number);
        self.shards[shard].tally.submits += 1;
        if let Some(relay) = &mut self.shards[shard].relay {
            match &Pdu::decode(frame, &Dialect::strict()) {
                Ok(Pdu::DataSm(data)) => relay.handle_submit_data(arrival, frame, data),
                Ok(Pdu::SubmitSm(submit)) => relay.handle_submit(arrival, frame, submit),
                other => unreachable!("a submit: {other:?}"),
            }
        }
        self.scratch = bytes;
        self.pump(shard);
    }

    /// How a submit is marked where it is a part, which its relay gets now.
    fn cut_of(&mut self, number: u32, shard: usize) -> Option<wire::Cut> {
        let long = self.ledger.submits[number as usize].long?;
        let lived = self.lived(shard);
        let long = &mut self.ledger.longs[long as usize];
        long.before.get_or_insert(lived);
        Some(wire::Cut {
            number: (number - long.parts.start + 1) as u8,
            total: long.parts.len() as u8,
            reference: long.reference,
            in_tlvs: long.in_tlvs,
        })
    }

    /// A receipt or MO reaches a customer, who takes it, or not now, or never, or does not answer.
    pub(super) fn offered(&mut self, link: LinkKey, delivery: DeliveryKey, upwards: Range<u32>) {
        if !self.link(link).theirs {
            return;
        }
        let refuses = self.refuses(link);
        if refuses && self.healing {
            for upward in upwards.clone() {
                self.ledger.upwards[upward as usize].refusals += 1;
                let refusals = self.ledger.upwards[upward as usize].refusals;
                must!(refusals <= REFUSALS_MAX, Bounded, "upward {upward} is refused {refusals} times");
            }
        }
        let status = if refuses || self.strikes(Fault::CustomerBusy, 15) {
            CommandStatus::ESME_RX_T_APPN
        } else if !self.plan.faultless && self.random.percent(2) {
            CommandStatus::ESME_RX_R_APPN
        } else {
            CommandStatus::ESME_ROK
        };
        let silent = self.strikes(Fault::CustomerSilent, 8);
        if status != CommandStatus::ESME_RX_T_APPN && !(silent && self.random.percent(50)) {
            self.story.wholes += u64::from(upwards.len() > 1);
            upwards.for_each(|upward| self.take(link, upward));
        }
        if silent {
            return;
        }
        let thinks = self.random.below(5_000);
        let Some(due) = self.reaches_us(link) else { return };
        self.at(due + thinks, Event::CustomerAnswers { link, delivery, status });
        if self.strikes(Fault::CustomerTwice, 10) {
            self.at(due + thinks + 1, Event::CustomerAnswers { link, delivery, status });
        }
    }

    /// Whether the customer of this session says not now to everything.
    fn refuses(&mut self, link: LinkKey) -> bool {
        let party = self.link(link).party;
        let refuses = self.now < REFUSES_US
            && self.plan.refuses.is_some_and(|account| party == super::link::Party::Customer(account));
        if refuses {
            self.story.faults.count(Fault::CustomerRefuses);
        }
        refuses
    }

    /// The customer has it now, or has refused it for good.
    fn take(&mut self, link: LinkKey, upward: u32) {
        let node = self.link(link).node;
        let one = &mut self.ledger.upwards[upward as usize];
        one.taken += 1;
        if let crate::ledger::Content::Receipt { copy, is_final } = one.content {
            let copy = &mut self.ledger.copies[copy as usize];
            copy.receipts_taken += 1;
            copy.served |= is_final;
        }
        self.story.taken += 1;
        self.story.across_nodes += u64::from(one.first_seen.is_some_and(|(_, first)| first != node));
    }

    pub(super) fn customer_answers(&mut self, key: LinkKey, delivery: DeliveryKey, status: CommandStatus) {
        let link = self.link(key);
        if !link.ours {
            return;
        }
        let shard = link.shard;
        let known = link.outstanding.iter().position(|one| *one == delivery);
        if let Some(at) = known {
            link.outstanding.swap_remove(at);
        }
        self.note("customer answers", key.0, u64::from(known.is_some()));
        let is_elsewhere = |link: &Link| link.outstanding.contains(&delivery);
        if known.is_none() && self.links.iter().any(is_elsewhere) {
            return; // a link drops it: it has no such request
        }
        // One that nobody waits for any more reaches the relay all the same: it must not matter.
        let now = self.now();
        if let Some(relay) = &mut self.shards[shard].relay {
            relay.customer_answered(now, delivery, status);
        }
        self.pump(shard);
    }

    pub(super) fn deliver_expires(&mut self, key: LinkKey, delivery: DeliveryKey) {
        let link = self.link(key);
        let Some(at) = link.outstanding.iter().position(|one| *one == delivery) else { return };
        link.outstanding.swap_remove(at);
        let shard = link.shard;
        self.note("deliver expires", key.0, 0);
        let now = self.now();
        if let Some(relay) = &mut self.shards[shard].relay {
            relay.delivery_failed(now, delivery);
        }
        self.pump(shard);
    }
}
