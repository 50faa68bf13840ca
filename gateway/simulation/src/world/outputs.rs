//! Carrying out what the relays want, and what must hold of each such wish.

use super::event::Event;
use super::link::Flight;
use super::{STEPS_MAX, World};
use crate::fault::Fault;
use crate::invariant::must;
use crate::ledger::*;
use crate::scene::*;
use crate::spool::Ask;
use crate::wire;
use relay::{DeliveryKey, LinkKey, MessageKey, Mode, Output};
use smpp::field::{CommandId, CommandStatus};
use smpp::text::message_id::GatewayId;
use smpp::wire::Frame;

impl World {
    /// Carries out what a relay wants, until it wants nothing or its node crashes.
    pub(super) fn pump(&mut self, shard: usize) {
        for _ in 0..STEPS_MAX {
            let Some(relay) = &mut self.shards[shard].relay else { return };
            if let Some(output) = relay.poll() {
                self.carry_out(shard, output);
            } else if let Some(op) = relay.poll_store() {
                self.ask_store(shard, op);
            } else if let Some(op) = relay.poll_spool() {
                self.ask_spool(shard, Ask::Op(op));
            } else if let Some((to, message)) = relay.poll_shard() {
                self.post(shard, to, message);
            } else {
                self.draw_records(shard);
                return self.end_if_drained(shard);
            }
            if self.burn_fuse(shard) {
                return;
            }
        }
        must!(false, Bounded, "shard {shard} goes round");
    }

    /// A node that is to crash does so after so many outputs, wherever that is.
    fn burn_fuse(&mut self, shard: usize) -> bool {
        let node = self.shards[shard].node;
        match &mut self.nodes[node].fuse {
            Some(0) => {
                self.crash(node);
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    fn carry_out(&mut self, shard: usize, output: Output) {
        match output {
            Output::SendSubmit { link, message } => self.send_submit(shard, link, message),
            Output::AnswerSubmit { link, sequence, command, status, message_id } => {
                self.answer_submit(shard, link, sequence, command, status, message_id);
            }
            Output::SendDeliver { link, delivery } => self.send_deliver(shard, link, delivery),
            Output::AnswerDeliver { link, sequence, status, .. } => {
                self.answer_deliver(shard, link, sequence, status);
            }
            Output::Drained => self.shards[shard].drained = true,
        }
    }

    fn send_submit(&mut self, shard: usize, key: LinkKey, message: MessageKey) {
        let refuses = self.strikes(Fault::LinkRefuses, 2);
        let now = self.now();
        let Some(relay) = &mut self.shards[shard].relay else { return };
        let link = &mut self.links[key.0 as usize];
        if !link.ours || refuses {
            return relay.send_failed(now, message);
        }
        must!(link.shard == shard, Bounded, "a link of another shard");
        let frame = Frame::whole(relay.bytes(message)).expect("a whole PDU");
        let destination = wire::addresses(frame.bytes()).expect("a message").1.into();
        let number = wire::content(frame.bytes()).and_then(|(text, _)| wire::number_in(text, b'm'));
        let number = number.expect("a message of ours");
        let submit = &self.ledger.submits[number as usize];
        let may_send = submit.source_of.is_none_or(|owner| owner == submit.account);
        must!(may_send, Owner, "message {number} goes out with the number of another customer");
        must!(frame.command_id() == submit.command, OneAnswer, "message {number} is sent as another PDU");
        must!((link.flights.len() as u32) < link.window, Bounded, "the window of link {} is exceeded", key.0);
        let super::link::Party::Vendor(vendor) = self.links[key.0 as usize].party else { return };
        self.check_copy(shard, number, vendor);
        self.check_parts(number, vendor);
        let copy = self.ledger.copies.len() as u32;
        let submit = &mut self.ledger.submits[number as usize];
        let (previous, session) = (submit.last_copy, submit.link);
        submit.last_copy = copy;
        self.ledger.copies.push(Copy {
            submit: number,
            previous,
            vendor,
            destination,
            shard,
            state: CopyState::InFlight,
            for_good: false,
            crashes: self.nodes[self.shards[shard].node].crashes,
            cuts: self.nodes[self.shards[shard].node].cuts,
            id: 0,
            receipts_taken: 0,
            kept: None,
            forgotten: false,
            lost: false,
            served: false,
        });
        self.note("send submit", key.0, number.into());
        self.shards[shard].tally.sends += 1;
        let in_order = self.ledger.submits[number as usize].mode() == Mode::Relay;
        if previous == NONE && self.plan.faultless && in_order {
            self.check_order(key, session, number);
        }
        self.links[key.0 as usize].flights.push(Flight { message, copy, written: false });
        let clogged = self.links[key.0 as usize].clogged_out.saturating_sub(self.now);
        if clogged > 0 && self.random.percent(70) {
            // The kernel's buffer is full: not a byte is taken before the peer reads again.
            self.later(clogged.min(ANSWER_TIMER_US), Event::AnswerExpires { link: key, message });
            self.later(clogged, Event::Written { link: key, message });
        } else if self.random.percent(40) {
            let wait = self.random.below(2_000);
            self.later(wait, Event::Written { link: key, message });
        } else {
            self.written(key, message);
        }
    }

    /// Parts of one message are at one vendor, while the relay that got them knows of the first.
    fn check_parts(&mut self, number: u32, vendor: usize) {
        let submit = &self.ledger.submits[number as usize];
        let Some(place) = submit.long else { return };
        let long = self.ledger.longs[place as usize].clone();
        // A spool hands out to any shard of its node; one that was not there goes by the hash alone.
        let node = self.shards[submit.shard].node;
        let is_home = submit.mode() == Mode::Relay || self.shards_of(node).len() == 1;
        let knows = is_home
            && long.before == Some(self.lived(submit.shard))
            && (long.sent_at == 0 || self.now - long.sent_at < PARTS_KNOWN_US);
        for other in long.parts.filter(|other| *other != number) {
            let last = self.ledger.copies_of(other).next();
            let other_submit = &self.ledger.submits[other as usize];
            let repeats = other_submit.may_repeat() || other_submit.mode() == Mode::StoreAndForward;
            let may_have = |copy: &&Copy| match copy.state {
                CopyState::Unsent | CopyState::Refused => false,
                CopyState::Unknown => !repeats, // its next copy leads the way
                CopyState::InFlight | CopyState::Accepted => true,
            };
            if let Some(copy) = last.filter(may_have) {
                must!(
                    copy.vendor == vendor || !knows,
                    Together,
                    "message {number} goes to {}, message {other} of the same went to {}",
                    VENDORS[vendor],
                    VENDORS[copy.vendor]
                );
                self.story.together += u64::from(copy.vendor == vendor);
            }
        }
        self.ledger.longs[place as usize].sent_at = self.now;
    }

    /// Another copy only where no earlier one may arrive, or where the policy allows it after an unknown outcome.
    fn check_copy(&mut self, shard: usize, number: u32, vendor: usize) {
        let submit = &self.ledger.submits[number as usize];
        let age = self.now - submit.arrived.unwrap_or(self.now);
        let remote_wait = self.plan.limits.remote_wait_max.as_micros() as u64;
        let is_spooled = submit.mode() == Mode::StoreAndForward;
        // The first shard has ceased to wait; the other one sends what it was given all the same.
        let is_late = shard != submit.shard && age >= remote_wait;
        // Which shard a spool handed it to is not kept.
        let is_elsewhere = |copy: &Copy| copy.shard != submit.shard || is_spooled;
        // A shard that is gone took its word with it.
        let is_gone = |copy: &Copy| copy.crashes != self.nodes[self.shards[copy.shard].node].crashes;
        let was_given_up =
            |copy: &Copy| is_late || is_elsewhere(copy) && (age >= remote_wait || is_gone(copy));
        for copy in self.ledger.copies_of(number) {
            let may_repeat = submit.may_repeat();
            let allowed = match copy.state {
                // What a process did last is not known to the next one; where no second copy may follow, it was noted.
                _ if is_spooled && may_repeat && self.may_be_sent_again(copy) => true,
                _ if is_spooled && self.may_be_forgotten(copy) => true,
                CopyState::Unsent | CopyState::Refused => true,
                CopyState::Accepted => was_given_up(copy) && may_repeat,
                CopyState::Unknown => may_repeat,
                // Another shard has it, and does not say in time what became of it.
                CopyState::InFlight => was_given_up(copy) && may_repeat,
            };
            must!(
                allowed,
                Copies,
                "message {number} of {} to {} is sent to {vendor} after a copy at {} that is {:?}",
                submit.account,
                submit.destination,
                copy.vendor,
                copy.state
            );
        }
        let unknown = |copy: &&Copy| copy.state == CopyState::Unknown && !self.may_be_sent_again(copy);
        let unknown = self.ledger.copies_of(number).filter(unknown).count();
        must!(
            !is_spooled || unknown <= usize::from(self.plan.spool.unknown_copies_max),
            Copies,
            "message {number} is sent after {unknown} copies of unknown outcome"
        );
        let may_be_sent = match submit.mode() {
            Mode::Relay => match submit.verdict {
                None => true,
                Some(Verdict::Unknown) => is_late || submit.session_lost,
                Some(Verdict::Accepted) => is_late && submit.may_repeat() || submit.session_lost,
                Some(Verdict::No) => submit.session_lost,
            },
            Mode::StoreAndForward => submit.verdict == Some(Verdict::Accepted) || submit.came_back,
        };
        must!(
            may_be_sent,
            Copies,
            "message {number} is sent after its answer, or before its acknowledgement"
        );
        must!(!submit.no_room, Bounded, "message {number} is sent, and its receipt cannot be kept");
    }

    fn check_order(&mut self, key: LinkKey, session: LinkKey, number: u32) {
        let link = self.link(key);
        let last = link.last_first.iter_mut().find(|(of, _)| *of == session);
        match last {
            Some((_, last)) => {
                must!(*last < number, Order, "message {number} is behind {last} on link {}", key.0);
                *last = number;
            }
            None => link.last_first.push((session, number)),
        }
    }

    fn answer_submit(
        &mut self,
        shard: usize,
        link: LinkKey,
        sequence: u32,
        command: CommandId,
        status: CommandStatus,
        id: Option<GatewayId>,
    ) {
        let number = sequence - 1;
        self.note("answer submit", number.into(), status.0.into());
        let submit = &self.ledger.submits[number as usize];
        must!(submit.link == link, OneAnswer, "message {number} is answered on another session");
        must!(command == submit.command.response(), OneAnswer, "message {number} is answered as another PDU");
        must!(submit.verdict.is_none(), OneAnswer, "message {number} is answered twice");
        must!(!submit.session_lost, OneAnswer, "message {number} is answered on a lost session");
        must!(
            id.is_some() == (status == CommandStatus::ESME_ROK),
            Owner,
            "an id without success, or none with it"
        );
        let (verdict, tally) = (self.verdict_of(number, status), &mut self.shards[shard].tally);
        match verdict {
            Verdict::Accepted => tally.accepted += 1,
            Verdict::Unknown => tally.unknown += 1,
            Verdict::No => tally.refused += 1,
        }
        match verdict {
            Verdict::Accepted => {
                self.story.accepted += 1;
                if self.ledger.submits[number as usize].mode() == Mode::StoreAndForward {
                    self.check_durable(shard, number, id);
                    self.ledger.submits[number as usize].verdict = Some(verdict);
                    return;
                }
                let taken = self.ledger.submits[number as usize].copies_accepted > 0;
                must!(taken, AcceptedMeansTaken, "message {number} is accepted, and no vendor has it");
                self.check_told(number);
                if let Some(id) = id {
                    self.see_id(number, id);
                    self.check_kept(shard, number);
                }
            }
            Verdict::Unknown => self.story.unknown += 1,
            Verdict::No => {
                self.story.refused += 1;
                let open = self
                    .ledger
                    .copies_of(number)
                    .find(|copy| !matches!(copy.state, CopyState::Unsent | CopyState::Refused));
                must!(
                    open.is_none(),
                    NoMeansNo,
                    "message {number} is refused after {:?}",
                    open.map(|one| one.state)
                );
            }
        }
        self.ledger.submits[number as usize].verdict = Some(verdict);
    }

    /// A vendor said yes to this message.
    fn check_told(&mut self, number: u32) {
        let is_taken = self.ledger.copies_of(number).any(|copy| copy.state == CopyState::Accepted);
        must!(is_taken, AcceptedMeansTaken, "message {number} is accepted, and nobody said so");
    }

    /// A strict gateway says yes after the store has the correlation, where the store is well.
    fn check_kept(&mut self, shard: usize, number: u32) {
        let submit = &self.ledger.submits[number as usize];
        if !submit.wants_receipt || !self.plan.strict {
            return;
        }
        let store = &self.stores[self.nodes[self.shards[shard].node].store];
        let kept = self
            .ledger
            .copies_of(number)
            .any(|copy| copy.kept.is_some() || copy.forgotten || copy.served || copy.lost);
        must!(
            kept || store.was_in_trouble,
            Delivered,
            "message {number} is accepted before its correlation is kept"
        );
    }

    pub(super) fn verdict_of(&self, number: u32, status: CommandStatus) -> Verdict {
        let scene = &CUSTOMERS[self.ledger.submits[number as usize].account];
        match status {
            CommandStatus::ESME_ROK => Verdict::Accepted,
            status if status == scene.unknown_status => Verdict::Unknown,
            _ => Verdict::No,
        }
    }

    /// An id of ours was seen with a message: always the same, and never with another message.
    pub(super) fn see_id(&mut self, number: u32, id: GatewayId) {
        let submit = &mut self.ledger.submits[number as usize];
        match submit.gateway_id {
            Some(known) => must!(known == id, Owner, "message {number} has the ids {known} and {id}"),
            None => {
                submit.gateway_id = Some(id);
                self.ledger.given.push((id, number));
            }
        }
    }

    fn send_deliver(&mut self, shard: usize, key: LinkKey, delivery: DeliveryKey) {
        let now = self.now();
        let refuses = self.strikes(Fault::LinkRefuses, 1);
        let Some(relay) = &mut self.shards[shard].relay else { return };
        let link = &mut self.links[key.0 as usize];
        if !link.ours || refuses {
            let pdu = relay.delivery_bytes(delivery).to_vec();
            relay.delivery_failed(now, delivery);
            return self.leave_page(shard, &pdu);
        }
        let (text, receipt) = wire::content(relay.delivery_bytes(delivery)).expect("a whole PDU");
        let from: Box<[u8]> = wire::addresses(relay.delivery_bytes(delivery)).expect("a delivery").0.into();
        let upwards = wire::numbers_in(text, b'u');
        let id = receipt.map(|view| (view.ids_differ(), view.id.and_then(|id| GatewayId::parse(id.value))));
        let state = receipt.and_then(|view| view.state).map(|state| state.value);
        must!((link.outstanding.len() as u32) < link.window, Bounded, "a customer's window is exceeded");
        let super::link::Party::Customer(account) = link.party else { return };
        let may_receive = link.may_receive;
        link.outstanding.push(delivery);
        let upwards = match (upwards, id, state) {
            (Some(upwards), ..) => upwards,
            (None, Some((false, Some(id))), Some(state)) => {
                self.story.own_receipts += 1;
                let upward = self.own_receipt(shard, id, state);
                upward..upward + 1
            }
            other => panic!("neither a receipt nor an MO of the story: {other:?}"),
        };
        let upward = upwards.start;
        self.note("send deliver", key.0, upward.into());
        must!(may_receive, Owner, "a delivery on a session that may not receive");
        self.check_owner(account, &upwards);
        self.check_page(shard, account, upward);
        let content = self.ledger.upwards[upward as usize].content;
        if let Content::Receipt { copy, .. } = content {
            let Copy { submit, vendor, .. } = self.ledger.copies[copy as usize];
            let id = id.filter(|(differ, _)| !differ).and_then(|(_, id)| id);
            must!(id.is_some(), Owner, "the receipt of message {submit} does not carry an id of ours");
            must!(
                self.plan.numberless[vendor]
                    || *from == *self.ledger.submits[submit as usize].handset_digits().as_bytes(),
                Owner,
                "the receipt of message {submit} comes from another number than it was sent to"
            );
            self.see_id(submit, id.unwrap_or(GatewayId(0)));
        }
        self.later(DELIVER_TIMER_US, Event::DeliverExpires { link: key, delivery });
        if let Some(due) = self.reaches_peer(key) {
            self.at(due, Event::Offered { link: key, delivery, upwards });
        }
    }

    fn answer_deliver(&mut self, shard: usize, key: LinkKey, sequence: u32, status: CommandStatus) {
        let sending = sequence - 1;
        let Sending { upward: number, link, answered, .. } = self.ledger.sendings[sending as usize];
        self.note("answer deliver", number.into(), status.0.into());
        must!(link == key && !answered, Delivered, "upward {number} is answered twice");
        self.ledger.sendings[sending as usize].answered = true;
        let upward = &self.ledger.upwards[number as usize];
        if status == CommandStatus::ESME_ROK {
            self.shards[shard].tally.acknowledged += 1;
            let is_kept = upward.parked > 0 || upward.early || upward.orphan.is_some();
            let safe = upward.taken > 0 || is_kept || upward.lost || self.is_unasked(upward.content);
            must!(safe, Delivered, "upward {number} is acknowledged, and nobody has it");
        } else {
            self.shards[shard].tally.not_acknowledged += 1;
            must!(status == CommandStatus::ESME_RX_T_APPN, Delivered, "upward {number} is refused for good");
        }
        self.tell_vendor(key, sending, status);
    }
}
