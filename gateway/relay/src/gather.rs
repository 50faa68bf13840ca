//! Parts of MO that wait for one another: until the first one tells by its keyword whose they are or, where the owner
//! wants its messages whole, until all are there. The vendor waits with them: each part is answered with what became
//! of the message.
//!
//! ```text
//! part -> Waiting -- owner known, wants parts --------------> Passing: each part to the owner as it comes
//!            |  \--- time over, table full, cannot be joined ----^
//!            |
//!            +------ owner known, wants it whole, all there -> Joined -> answered with status 0 -> Answered
//! ```
//!
//! Passing and Answered are memory: late parts find their owner and what a vendor sends again is answered like its first
//! copy. A part whose number came before with another text is of another message under the same reference.

use crate::gather_table::{Gather, MO_GATHERED_OCTETS_MAX, MessageName, Owner, Stage, hash_of};
use crate::message::{AccountId, Key};
use crate::mutation::mutated;
use crate::open::{DeliveryPlace, Gathered};
use crate::part::MoPart;
use crate::refusal::DeliveryRefusal;
use crate::relay::Relay;
use smpp::dialect::Dialect;
use smpp::field::CommandStatus;
use smpp::pdu::{DataSm, DeliverSm, Pdu};
use smpp::text::segment::{PARTS_MAX, write_whole};
use smpp::time::Instant;
use smpp::tlv::Tlvs;
use smpp::wire::Frame;

impl Relay {
    /// A part of a message that is gathered here.
    pub(crate) fn gather(&mut self, now: Instant, key: Key, part: &MoPart, name: MessageName) {
        self.counters.traffic.mo_parts += 1;
        let delivery = &mut self.deliveries[key];
        let number = part.part.number;
        delivery.gathered = Gathered { number, text: part.text_place(), ..Gathered::default() };
        let hash = hash_of(part.text(&delivery.pdu));
        if let Some(message) = self.gather.places.get(&name).copied() {
            let known = *self.gather.messages[message].hash_of(number);
            if known == 0 || known == hash {
                return self.gather_more(now, message, key, part, hash);
            }
            self.give_up(now, message); // the reference is used again
        }
        let owner = Owner::of(&self.snapshot, name.destination(), part, &self.deliveries[key].pdu);
        match self.gather.open(now, name, owner) {
            Some(message) => self.wait_for_parts(now, message, key, part, hash),
            None => {
                self.counters.traffic.mo_gather_full += 1;
                self.give_part(now, key, part);
            }
        }
    }

    /// A part of a message that is known: one more, or one that came before.
    fn gather_more(&mut self, now: Instant, message: Key, key: Key, part: &MoPart, hash: u32) {
        let gathering = &mut self.gather.messages[message];
        let is_copy = *gathering.hash_of(part.part.number) != 0;
        match gathering.stage {
            Stage::Waiting if is_copy => self.wait_for_copy(now, message, key),
            Stage::Waiting => self.wait_for_parts(now, message, key, part, hash),
            Stage::Joined(whole) => self.hang(whole, key),
            Stage::Answered => self.answer_vendor(key, CommandStatus::ESME_ROK),
            Stage::Passing => {
                gathering.note(part.part.number, hash);
                if part.part.number == 1 {
                    let destination = gathering.name.destination();
                    gathering.owner = Owner::of(&self.snapshot, destination, part, &self.deliveries[key].pdu);
                }
                let owner = gathering.owner.account(&self.snapshot, gathering.name.destination());
                self.gather.remember(now, message, Stage::Passing);
                self.give_to_owner(now, key, owner);
            }
        }
    }

    /// Puts a part with those that wait, and looks whether they have waited for it.
    fn wait_for_parts(&mut self, now: Instant, message: Key, key: Key, part: &MoPart, hash: u32) {
        let delivery = &mut self.deliveries[key];
        delivery.place = DeliveryPlace::Gathering;
        let gathering = &mut self.gather.messages[message];
        if gathering.came == 0 {
            gathering.data_coding = part.data_coding;
        }
        if gathering.owner == Owner::AsksFirst {
            gathering.owner = Owner::of(&self.snapshot, gathering.name.destination(), part, &delivery.pdu);
        }
        gathering.may_be_joined &= part.is_plain && part.data_coding == gathering.data_coding;
        gathering.note(part.part.number, hash);
        self.deliveries.push_back(&mut gathering.parts, key);
        if self.holds_too_much(message, key) {
            return self.pass(now, message);
        }
        self.settle_gathering(now, message);
    }

    /// The same part again, while its message waits: answered with its first copy.
    fn wait_for_copy(&mut self, now: Instant, message: Key, key: Key) {
        let number = self.deliveries[key].gathered.number;
        let mut first = self.deliveries.first(&self.gather.messages[message].parts);
        while let Some(part) = first
            && self.deliveries[part].gathered.number != number
        {
            first = self.deliveries.after(part);
        }
        let first = first.expect("a part that came waits while its message does");
        self.hang(first, key);
        if self.holds_too_much(message, key) {
            self.pass(now, message);
        }
    }

    /// Adds a part's octets; whether that is more than may wait.
    fn holds_too_much(&mut self, message: Key, key: Key) -> bool {
        let octets = self.deliveries[key].pdu.len();
        self.gather.messages[message].octets += octets;
        self.gather.octets += octets;
        let is_full = self.gather.octets > MO_GATHERED_OCTETS_MAX;
        self.counters.traffic.mo_gather_full += u64::from(is_full);
        is_full
    }

    /// Lets the vendor's answer to one delivery answer another.
    fn hang(&mut self, on: Key, key: Key) {
        let twin = core::mem::replace(&mut self.deliveries[on].gathered.twin, key);
        let delivery = &mut self.deliveries[key];
        delivery.place = DeliveryPlace::Twin;
        let mut last = key;
        while self.deliveries[last].gathered.twin != Key::NONE {
            last = self.deliveries[last].gathered.twin;
        }
        self.deliveries[last].gathered.twin = twin;
    }

    /// Delivers what waits, as soon as it is known how.
    fn settle_gathering(&mut self, now: Instant, message: Key) {
        let gathering = &self.gather.messages[message];
        let owner = match gathering.owner {
            Owner::AsksFirst => return,
            Owner::Is(account) => self.snapshot.account(account).filter(|account| account.reassemble),
            Owner::Nobody => None,
        };
        match owner.map(|account| account.id) {
            Some(owner) if gathering.may_be_joined => {
                if gathering.is_complete() && !self.join(now, message, owner) {
                    self.pass(now, message);
                }
            }
            _ => self.pass(now, message),
        }
    }

    /// Gives each part that waits to the owner, and the late ones from now on.
    fn pass(&mut self, now: Instant, message: Key) {
        self.gather.remember(now, message, Stage::Passing);
        self.release_parts(message, |relay, key, owner| relay.give_to_owner(now, key, owner));
    }

    /// Takes all parts off a message.
    fn release_parts(&mut self, message: Key, release: impl Fn(&mut Self, Key, Option<AccountId>)) {
        let gathering = &mut self.gather.messages[message];
        if mutated!(self, PartToDefault) {
            gathering.owner = Owner::AsksFirst;
        }
        let owner = gathering.owner.account(&self.snapshot, gathering.name.destination());
        self.gather.octets -= core::mem::take(&mut gathering.octets);
        while let Some(key) = self.deliveries.first(&self.gather.messages[message].parts) {
            self.deliveries.remove(&mut self.gather.messages[message].parts, key);
            self.deliveries[key].place = DeliveryPlace::Hands;
            release(self, key, owner);
        }
    }

    /// Another message came under its name.
    fn give_up(&mut self, now: Instant, message: Key) {
        match self.gather.messages[message].stage {
            Stage::Waiting => {
                self.counters.traffic.mo_incomplete += 1;
                self.pass(now, message);
            }
            Stage::Joined(whole) => self.deliveries[whole].gathered.whole = Key::NONE,
            Stage::Passing | Stage::Answered => {}
        }
        self.gather.forget(message);
    }

    /// Makes one delivery of all parts; the others hang on it. False when the whole would be too long, is not to be had
    /// from the first part, or can be told to none of the owner's sessions.
    fn join(&mut self, now: Instant, message: Key, owner: AccountId) -> bool {
        let mut parts = [Key::NONE; PARTS_MAX];
        let parts = self.in_order(message, &mut parts);
        let first = parts[0];
        if !self.write_whole(parts) || self.can_tell_no_session(owner) {
            return false;
        }
        let pdu = &mut self.deliveries[first].pdu;
        pdu.clear();
        pdu.extend_from_slice(&self.gather.whole);
        self.release_parts(message, |_, _, _| {});
        for part in &parts[1..] {
            self.hang(first, *part);
        }
        if mutated!(self, PartTwice) {
            let last = self.deliveries[first].gathered.twin;
            let others = core::mem::replace(&mut self.deliveries[last].gathered.twin, Key::NONE);
            self.deliveries[first].gathered.twin = others;
            self.deliveries[last].place = DeliveryPlace::Hands;
            self.give_to(now, last, owner);
        }
        self.gather.leave(message);
        self.gather.messages[message].stage = Stage::Joined(first);
        self.deliveries[first].gathered.whole = message;
        self.counters.traffic.mo_reassembled += 1;
        self.give_to(now, first, owner);
        true
    }

    /// The parts of a complete message by their numbers.
    fn in_order<'a>(&self, message: Key, parts: &'a mut [Key; PARTS_MAX]) -> &'a [Key] {
        let gathering = &self.gather.messages[message];
        let mut next = self.deliveries.first(&gathering.parts);
        while let Some(key) = next {
            parts[usize::from(self.deliveries[key].gathered.number) - 1] = key;
            next = self.deliveries.after(key);
        }
        &parts[..usize::from(gathering.name.total)]
    }

    /// Writes the whole PDU into the working space.
    fn write_whole(&mut self, parts: &[Key]) -> bool {
        let deliveries = &self.deliveries;
        let Gather { tlvs, whole, .. } = &mut self.gather;
        let text = |key: &Key| {
            let part = &deliveries[*key];
            crate::part::octets(&part.pdu, part.gathered.text)
        };
        // What the vendor's own dialect let pass is read again here, whichever it was.
        let first = Frame::whole(&deliveries[parts[0]].pdu)
            .and_then(|frame| Pdu::decode(frame, &Dialect::tolerant()).ok());
        tlvs.clear();
        whole.clear();
        let is_written = match first {
            Some(Pdu::DeliverSm(pdu)) if write_whole(&pdu.tlvs, parts.iter().map(text), tlvs) => {
                let esm_class = pdu.esm_class.with_user_data_header(false);
                DeliverSm { esm_class, short_message: &[], tlvs: Tlvs::new(tlvs), ..pdu }.encode(
                    CommandStatus::ESME_ROK,
                    0,
                    whole,
                );
                true
            }
            Some(Pdu::DataSm(pdu)) if write_whole(&pdu.tlvs, parts.iter().map(text), tlvs) => {
                let esm_class = pdu.esm_class.with_user_data_header(false);
                DataSm { esm_class, tlvs: Tlvs::new(tlvs), ..pdu }.encode(CommandStatus::ESME_ROK, 0, whole);
                true
            }
            _ => false,
        };
        is_written && whole.len() <= self.snapshot.limits().pdu_size_max as usize
    }

    /// The vendor was told what became of a whole message. After a no it sends the parts again.
    pub(crate) fn whole_answered(&mut self, message: Key, status: CommandStatus) {
        if self.gather.messages.get(message).is_none() {
            return;
        }
        if status == CommandStatus::ESME_ROK {
            self.gather.remember(self.gather.clock, message, Stage::Answered);
        } else {
            self.gather.forget(message);
        }
    }

    /// A part that is not gathered: to whom it belongs by itself.
    pub(crate) fn give_part(&mut self, now: Instant, key: Key, part: &MoPart) {
        let pdu = &self.deliveries[key].pdu;
        let destination = part.destination(pdu);
        let owner = Owner::of(&self.snapshot, destination, part, pdu).account(&self.snapshot, destination);
        self.give_to_owner(now, key, owner);
    }

    /// Ends what waited, or was remembered, long enough.
    pub(crate) fn expire_gathers(&mut self, now: Instant) {
        self.gather.clock = now;
        while let Some(message) = self.gather.messages.first(&self.gather.waiting)
            && self.gather.messages[message].deadline <= now
        {
            self.counters.traffic.mo_incomplete += 1;
            self.pass(now, message);
        }
        while let Some(message) = self.gather.messages.first(&self.gather.remembered)
            && self.gather.messages[message].deadline <= now
        {
            self.gather.forget(message);
        }
        self.expire_parts_elsewhere(now);
    }

    /// A drain begins: the missing parts would be refused, so the vendor keeps the whole message.
    pub(crate) fn refuse_gathered(&mut self) {
        while let Some(message) = self.gather.messages.first(&self.gather.waiting) {
            self.release_parts(message, |relay, key, _| {
                relay.refuse_delivery(key, DeliveryRefusal::Draining);
            });
            self.gather.forget(message);
        }
    }
}
