//! What vendors do: they take messages, answer, and send receipts and MO.

use super::World;
use super::event::Event;
use super::link::Party;
use crate::fault::Fault;
use crate::invariant::must;
use crate::ledger::*;
use crate::scene::*;
use crate::wire;
use relay::{Arrival, LinkKey, MessageKey, Mode};
use smpp::dialect::Dialect;
use smpp::field::CommandStatus;
use smpp::pdu::Pdu;
use smpp::wire::Frame;

/// A vendor gives an id again at most so many ids later.
const ID_DISTANCE_MAX: u64 = 12;

impl World {
    pub(super) fn written(&mut self, key: LinkKey, message: MessageKey) {
        let now = self.now;
        let Some(flight) = self.link(key).flights.iter_mut().find(|flight| flight.message == message) else {
            return;
        };
        if flight.written {
            return;
        }
        flight.written = true;
        let copy = flight.copy;
        match self.reaches_peer(key) {
            Some(due) => {
                self.at(due, Event::Reaches { link: key, message, copy, sent: now });
                if due > now + ANSWER_TIMER_US {
                    self.later(ANSWER_TIMER_US, Event::AnswerExpires { link: key, message });
                }
            }
            None => self.later(ANSWER_TIMER_US, Event::AnswerExpires { link: key, message }),
        }
    }

    /// The vendor has a request: what does it do with it?
    pub(super) fn reaches(&mut self, key: LinkKey, message: MessageKey, copy: u32, sent: u64) {
        let timer = (sent + ANSWER_TIMER_US).saturating_sub(self.now);
        if !self.link(key).theirs {
            return self.later(timer, Event::AnswerExpires { link: key, message });
        }
        let vendor = self.ledger.copies[copy as usize].vendor;
        let status = if self.now < self.vendors[vendor].throttles_until {
            CommandStatus::ESME_RTHROTTLED
        } else if self.strikes(Fault::VendorBusy, 6) {
            CommandStatus::ESME_RMSGQFUL
        } else if !self.plan.faultless && self.random.percent(3) {
            CommandStatus::ESME_RINVDSTADR
        } else {
            CommandStatus::ESME_ROK
        };
        let missing = self.now < self.vendors[vendor].silent_until || self.strikes(Fault::AnswerMissing, 5);
        let accepts = status == CommandStatus::ESME_ROK && !(missing && self.random.percent(50));
        self.note("vendor has", copy.into(), status.0.into());
        if accepts {
            self.accepts(copy);
        }
        let mut thinks = self.random.below(25_000);
        if self.strikes(Fault::AnswerLate, 3) {
            thinks += ANSWER_TIMER_US;
        }
        if accepts && self.ledger.submits[self.ledger.copies[copy as usize].submit as usize].wants_receipt {
            self.plan_receipts(copy, thinks);
        }
        let due = if missing { None } else { self.answer_due(key, thinks) };
        if due.is_none_or(|due| due > self.now + timer) {
            self.later(timer, Event::AnswerExpires { link: key, message });
        }
        let Some(due) = due else { return };
        self.at(due, Event::Answer { link: key, message, copy, status });
        if self.strikes(Fault::AnswerTwice, 5) {
            let again = due + self.random.below(3_000);
            self.at(again, Event::Answer { link: key, message, copy, status });
        }
        if self.strikes(Fault::VendorDies, 1) {
            self.vendor_dies(vendor);
        }
    }

    /// When an answer arrives: answers overtake one another, but where the connection is clogged.
    fn answer_due(&mut self, key: LinkKey, thinks: u64) -> Option<u64> {
        let prone = self.plan.prone.has(Fault::AnswerReordered);
        let link = self.link(key);
        if link.deaf || !link.theirs {
            return None;
        }
        let due = self.reaches_us(key)?;
        if prone {
            return Some(due + thinks);
        }
        let thinks = thinks.saturating_sub(20_000); // all in the lane: only the slow ones are seen
        Some(due + thinks / 5)
    }

    /// From now on the vendor has the message.
    fn accepts(&mut self, number: u32) {
        let copy = &self.ledger.copies[number as usize];
        let (vendor, submit) = (copy.vendor, copy.submit);
        let count = self.ledger.by_id[vendor].len() as u64;
        // A counter that began anew, or a second host that counts for itself. Not where messages share handsets, or receipts
        // have no number: once one of two messages is done with, nobody can tell what comes late about it.
        let is_part = self.ledger.submits[submit as usize].long.is_some(); // others have its handset
        let may_tell = !self.plan.crowded && !self.plan.numberless[vendor] && !is_part;
        let again = count > 0 && may_tell && self.strikes(Fault::IdGivenTwice, 20);
        let at = if again { count - 1 - self.random.below(count.min(ID_DISTANCE_MAX)) } else { count };
        // Not to another copy of the same message: nothing would tell their receipts apart.
        let is_own = |copy: &u32| self.ledger.copies[*copy as usize].submit == submit;
        let has_own = again && self.ledger.by_id[vendor][at as usize].iter().any(is_own);
        let (again, at) = if has_own { (false, count) } else { (again, at) };
        self.ledger.copies[number as usize].id = FIRST_ID + at;
        if !again {
            self.ledger.by_id[vendor].push(Vec::new());
        }
        self.ledger.by_id[vendor][at as usize].push(number);
        let submit_number = submit;
        let submit = &mut self.ledger.submits[submit as usize];
        submit.copies_accepted += 1;
        must!(
            submit.verdict != Some(Verdict::No),
            NoMeansNo,
            "message {submit_number} was refused, and is taken"
        );
        let home = &self.nodes[self.shards[submit.shard].node];
        let (crashes, forgets) = (home.crashes, home.cuts > 0 && !self.plan.sync_notes);
        let allowed = match (submit.mode(), submit.may_repeat()) {
            (Mode::Relay, true) => u32::from(ATTEMPTS_MAX),
            (Mode::StoreAndForward, true) if crashes == 0 && !submit.taken_back => {
                u32::from(self.plan.spool.unknown_copies_max) + 1
            }
            (Mode::StoreAndForward, repeats) if repeats || forgets => u32::MAX,
            _ => 1,
        };
        must!(submit.copies_accepted <= allowed, Copies, "message {submit_number} has a copy too many");
    }

    fn plan_receipts(&mut self, copy: u32, thinks: u64) {
        let early = self.strikes(Fault::ReceiptEarly, 15);
        let mut wait =
            if early { self.random.below(thinks + 1) } else { thinks + 30_000 + self.random.below(200_000) };
        let vendor = self.ledger.copies[copy as usize].vendor;
        if self.plan.spellings[vendor] != crate::ids::Spelling::Same {
            self.story.faults.count(Fault::ReceiptRecoded);
        }
        let enroute = self.random.percent(10);
        let twice = self.strikes(Fault::ReceiptTwice, 10);
        for is_final in
            [false].into_iter().filter(|_| enroute).chain([true]).chain([true].into_iter().filter(|_| twice))
        {
            let upward = self.new_upward(vendor, Content::Receipt { copy, is_final });
            self.story.receipts += 1;
            self.later(wait, Event::Emit { upward });
            wait += self.random.below(20_000);
        }
    }

    pub(super) fn new_upward(&mut self, vendor: usize, content: Content) -> u32 {
        self.ledger.upwards.push(Upward {
            vendor,
            content,
            first_seen: None,
            was_offered: false,
            refusals: 0,
            acknowledged: false,
            taken: 0,
            parked: 0,
            orphan: None,
            early: false,
            lost: false,
        });
        self.ledger.upwards.len() as u32 - 1
    }

    /// A handset sends to a customer's number, or to nobody's.
    pub(super) fn mo(&mut self) {
        if !self.healing && self.random.percent(40) {
            self.mo_in_parts();
        } else {
            self.mo_alone();
        }
        if self.now < STORY_US {
            let gap = self.random.below(2 * 10 * STORY_US / self.plan.messages);
            self.later(gap, Event::Mo);
        }
    }

    fn mo_alone(&mut self) {
        let owner = self.random.below(CUSTOMERS.len() as u64 + 1) as usize;
        let vendor = self.random.below(VENDORS.len() as u64) as usize;
        let upward = self.new_upward(vendor, Content::Mo((owner < CUSTOMERS.len()).then_some(owner)));
        self.story.messages += 1;
        self.later(0, Event::Emit { upward });
    }

    pub(super) fn answer_arrives(
        &mut self,
        key: LinkKey,
        message: MessageKey,
        copy: u32,
        status: CommandStatus,
    ) {
        let link = self.link(key);
        if !link.ours {
            return;
        }
        let shard = link.shard;
        let at = link.flights.iter().position(|flight| flight.message == message && flight.copy == copy);
        self.note("answer", copy.into(), status.0.into());
        match at {
            Some(at) => {
                self.link(key).flights.remove(at);
                if at > 0 {
                    self.story.faults.count(Fault::AnswerReordered);
                }
                self.shards[shard].tally.answers += 1;
                let accepted = status == CommandStatus::ESME_ROK;
                let state = if accepted { CopyState::Accepted } else { CopyState::Refused };
                let copy = &mut self.ledger.copies[copy as usize];
                (copy.state, copy.for_good) = (state, status == CommandStatus::ESME_RINVDSTADR);
            }
            // A link drops it; should one not, it must not matter.
            None if self.link(key).flights.iter().any(|flight| flight.message == message) => return,
            None => {}
        }
        let vendor = self.ledger.copies[copy as usize].vendor;
        let id = match status {
            CommandStatus::ESME_ROK => {
                self.plan.spellings[vendor].in_answer(self.ledger.copies[copy as usize].id)
            }
            _ => String::new(),
        };
        let now = self.now();
        if let Some(relay) = &mut self.shards[shard].relay {
            relay.handle_answer(now, key, message, status, id.as_bytes());
        }
        self.pump(shard);
    }

    /// An answer that names a request of another link.
    pub(super) fn answer_to_nothing(&mut self, key: LinkKey, message: MessageKey) {
        let shard = self.link(key).shard;
        let now = self.now();
        if let Some(relay) = &mut self.shards[shard].relay {
            relay.handle_answer(now, key, message, CommandStatus::ESME_ROK, b"4711");
        }
        self.pump(shard);
    }

    pub(super) fn answer_expires(&mut self, key: LinkKey, message: MessageKey) {
        let link = self.link(key);
        let Some(at) = link.flights.iter().position(|flight| flight.message == message) else { return };
        let flight = link.flights.remove(at);
        let shard = link.shard;
        self.note("answer expires", key.0, flight.copy.into());
        self.ledger.copies[flight.copy as usize].state = CopyState::Unknown;
        let now = self.now();
        if let Some(relay) = &mut self.shards[shard].relay {
            relay.handle_expired(now, message);
        }
        self.pump(shard);
    }

    /// A vendor sends a receipt or MO on one of its binds.
    pub(super) fn emit(&mut self, number: u32) {
        if self.ledger.upwards[number as usize].acknowledged {
            return;
        }
        let (vendor, content) =
            (self.ledger.upwards[number as usize].vendor, self.ledger.upwards[number as usize].content);
        let Some(link) = self.choose_bind(vendor, content) else {
            return self.later(20_000, Event::Emit { upward: number });
        };
        let sending = self.ledger.sendings.len() as u32;
        self.ledger.sendings.push(Sending { upward: number, link, arrived: 0, answered: false });
        self.link(link).sendings.push(sending);
        if let Some(due) = self.reaches_us(link) {
            self.at(due, Event::DeliverArrives { sending });
        }
    }

    /// The bind for a receipt: mostly the one of its message, sometimes another, sometimes another node's.
    fn choose_bind(&mut self, vendor: usize, content: Content) -> Option<LinkKey> {
        let open = |link: &super::link::Link| link.party == Party::Vendor(vendor) && link.theirs;
        let all = self.links_where(open);
        let copy = match content {
            Content::Receipt { copy, .. } => copy,
            Content::Part { message } => return self.bind_for_part(message, &all),
            Content::Mo(_) | Content::Own { .. } => return self.random.pick(&all),
        };
        let home = self.ledger.copies[copy as usize].shard;
        let node = self.shards[home].node;
        let other_node = self.links_where(|link| open(link) && link.node != node);
        if !other_node.is_empty() && self.strikes(Fault::ReceiptOtherNode, 30) {
            return self.random.pick(&other_node);
        }
        let here = self.links_where(|link| open(link) && link.node == node);
        let same = self.links_where(|link| open(link) && link.shard == home);
        if here.len() > same.len() && self.strikes(Fault::ReceiptElsewhere, 50) {
            return self.random.pick(&here);
        }
        self.random.pick(&same).or_else(|| self.random.pick(&here)).or_else(|| self.random.pick(&all))
    }

    pub(super) fn deliver_arrives(&mut self, sending: u32) {
        let Sending { upward: number, link, .. } = self.ledger.sendings[sending as usize];
        if !self.link(link).ours {
            return;
        }
        let (shard, node) = (self.link(link).shard, self.link(link).node);
        self.note("deliver", shard as u64, number.into());
        self.ledger.sendings[sending as usize].arrived = self.now;
        self.unacknowledged.push_back(sending);
        let now = self.now;
        // What comes while a node drains is refused before it is looked at.
        let counts = u64::from(self.nodes[node].drains_since.is_none());
        let upward = &mut self.ledger.upwards[number as usize];
        upward.first_seen.get_or_insert((now, node));
        let (with_tlv, as_data) = (self.random.percent(50), self.random.percent(20));
        let mut bytes = match upward.content {
            Content::Receipt { copy, is_final } => {
                self.shards[shard].tally.receipts += counts;
                let copy = &self.ledger.copies[copy as usize];
                let id = self.plan.spellings[copy.vendor].in_receipt(copy.id);
                let (mut source, _) = self.ledger.submits[copy.submit as usize].addresses();
                let mut destination = &*copy.destination;
                if self.plan.numberless[copy.vendor] {
                    (source, destination) = ("0".into(), b"SMSC");
                }
                let (numbers, addresses) = ((copy.submit, number), (source.as_bytes(), destination));
                wire::receipt(numbers, addresses, id.as_bytes(), is_final, with_tlv, sending + 1)
            }
            Content::Mo(owner) => {
                self.shards[shard].tally.mo += counts;
                let to = owner.map_or("18009999999", |owner| CUSTOMERS[owner].number);
                wire::mo(number, to.as_bytes(), sending + 1)
            }
            Content::Part { message } => {
                self.shards[shard].tally.mo += counts;
                self.part_pdu(number, message, sending + 1)
            }
            Content::Own { .. } => unreachable!("no vendor sends it"),
        };
        if as_data {
            bytes = wire::as_data(&bytes);
        }
        let frame = Frame::whole(&bytes).expect("a whole PDU");
        let arrival =
            Arrival { now: self.now(), unix_seconds: self.unix_seconds(node), link, over_window: false };
        if let Some(relay) = &mut self.shards[shard].relay {
            match &Pdu::decode(frame, &Dialect::strict()) {
                Ok(Pdu::DataSm(data)) => relay.handle_deliver_data(arrival, frame, data),
                Ok(Pdu::DeliverSm(deliver)) => relay.handle_deliver(arrival, frame, deliver),
                other => unreachable!("a delivery: {other:?}"),
            }
        }
        self.pump(shard);
    }

    /// The vendor learns what became of a receipt or MO.
    pub(super) fn acknowledged(&mut self, sending: u32, status: CommandStatus) {
        let Sending { upward, link, .. } = self.ledger.sendings[sending as usize];
        if !self.link(link).theirs {
            return;
        }
        self.link(link).sendings.retain(|open| *open != sending);
        if status == CommandStatus::ESME_ROK {
            self.ledger.upwards[upward as usize].acknowledged = true;
        } else {
            let wait = self.random.between(20_000, 60_000);
            self.later(wait, Event::Emit { upward });
        }
    }
}
