//! Parts of an MO between shards: a vendor's binds are spread, so each part goes to the one shard of the node that its
//! message is gathered on, and the vendor's answer comes back from there.

use crate::account::NO_ACCOUNT;
use crate::gather_table::{MO_GATHER_MAX, MessageName};
use crate::message::{DeliveryKey, Key, ShardIndex, VendorId};
use crate::mo::Mo;
use crate::open::{DeliveryPlace, Sender};
use crate::receipt::place_in;
use crate::refusal::DeliveryRefusal;
use crate::relay::Relay;
use crate::shard_message::ShardMessage;
use crate::store_op::command_of;
use smpp::field::{CommandStatus, DataCoding};
use smpp::text::segment::Part;
use smpp::time::Instant;

/// One part of an MO: which, and where the octets lie in its PDU that decide about it. Opaque: shards hand it on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MoPart {
    pub(crate) part: Part,
    pub(crate) data_coding: DataCoding,
    /// Nothing is lost when its header is left out.
    pub(crate) is_plain: bool,
    source: (u32, u32),
    destination: (u32, u32),
    text: (u32, u32),
}

impl MoPart {
    pub(crate) fn new(part: Part, mo: &Mo<'_>, text: &[u8], is_plain: bool) -> Self {
        let place = |octets: &[u8]| place_in(mo.frame, octets);
        Self {
            part,
            data_coding: mo.data_coding,
            is_plain,
            source: place(mo.source),
            destination: place(mo.destination),
            text: place(text),
        }
    }

    pub(crate) fn source<'a>(&self, pdu: &'a [u8]) -> &'a [u8] {
        octets(pdu, self.source)
    }

    pub(crate) fn destination<'a>(&self, pdu: &'a [u8]) -> &'a [u8] {
        octets(pdu, self.destination)
    }

    /// Where its text lies in its PDU.
    pub(crate) fn text_place(&self) -> (u32, u32) {
        self.text
    }

    pub(crate) fn text<'a>(&self, pdu: &'a [u8]) -> &'a [u8] {
        octets(pdu, self.text)
    }
}

/// Nothing where there is nothing; places come from the PDU itself, so that the default is never taken.
pub(crate) fn octets(pdu: &[u8], (at, length): (u32, u32)) -> &[u8] {
    pdu.get(at as usize..).and_then(|rest| rest.get(..length as usize)).unwrap_or_default()
}

impl Relay {
    /// A part came from a vendor's bind here: gathered here, or on the shard that gathers its message.
    pub(crate) fn take_part(&mut self, now: Instant, key: Key, part: MoPart) {
        let delivery = &self.deliveries[key];
        let vendor = self.vendors[delivery.vendor].id;
        let vendor_account = self.vendors[delivery.vendor].vendor_account;
        let Some(name) = MessageName::new(vendor_account, &part, &delivery.pdu) else {
            return self.give_part(now, key, &part);
        };
        let home = name.shard(self.options.shards);
        if home == self.options.shard {
            return self.gather(now, key, &part, name);
        }
        let limits = self.snapshot.limits();
        let delivery = &mut self.deliveries[key];
        delivery.place = DeliveryPlace::PartElsewhere;
        // There it is gathered, then delivered through a third shard at worst, then parked.
        delivery.deadline = now + MO_GATHER_MAX + limits.remote_wait_max + limits.store_wait_max;
        let pdu = core::mem::take(&mut delivery.pdu);
        self.deliveries.push_back(&mut self.gather.elsewhere, key);
        let message = ShardMessage::Part { delivery: DeliveryKey(key), vendor, part, pdu };
        self.shard_messages.push_back((home, message));
    }

    /// Another shard's part, whose message is gathered here.
    pub(crate) fn serve_part(
        &mut self,
        now: Instant,
        from: ShardIndex,
        asked: DeliveryKey,
        vendor: VendorId,
        part: &MoPart,
        pdu: Vec<u8>,
    ) {
        let place = self.vendors.place_any(vendor);
        let vendor_account = place.map_or(vendor, |place| self.vendors[place].vendor_account);
        let name = MessageName::new(vendor_account, part, &pdu);
        let (Some(place), Some(name), Some(command)) = (place, name, command_of(&pdu)) else {
            return self.refuse_part(from, asked, DeliveryRefusal::DeliveriesFull, pdu);
        };
        if self.draining {
            return self.refuse_part(from, asked, DeliveryRefusal::Draining, pdu);
        }
        match self.insert_delivery(Sender::Part { shard: from, delivery: asked }, command, NO_ACCOUNT) {
            Some(key) => {
                let delivery = &mut self.deliveries[key];
                delivery.vendor = place;
                delivery.urgent = true; // an MO, parked from here where its owner is absent
                self.spare.swap(&mut delivery.pdu, pdu);
                self.gather(now, key, part, name);
            }
            None => self.refuse_part(from, asked, DeliveryRefusal::DeliveriesFull, pdu),
        }
    }

    fn refuse_part(&mut self, to: ShardIndex, delivery: DeliveryKey, refusal: DeliveryRefusal, pdu: Vec<u8>) {
        let done = ShardMessage::PartDone { delivery, status: refusal.status(), pdu };
        self.shard_messages.push_back((to, done));
    }

    /// The shard that gathers its message says how the vendor is to be answered.
    pub(crate) fn part_done(&mut self, key: Key, status: CommandStatus, pdu: Vec<u8>) {
        if self.leave_elsewhere(key) {
            self.spare.swap(&mut self.deliveries[key].pdu, pdu);
            self.answer_vendor(key, status);
        } else {
            self.counters.traffic.stale_events += 1;
            self.spare.keep(pdu);
        }
    }

    /// A part found no room in the mailbox: the vendor keeps it.
    pub(crate) fn part_undelivered(&mut self, key: Key, pdu: Vec<u8>) {
        if self.leave_elsewhere(key) {
            self.spare.swap(&mut self.deliveries[key].pdu, pdu);
            self.refuse_delivery(key, DeliveryRefusal::DeliveriesFull);
        }
    }

    fn leave_elsewhere(&mut self, key: Key) -> bool {
        let is_there =
            self.deliveries.get(key).is_some_and(|open| open.place == DeliveryPlace::PartElsewhere);
        if is_there {
            self.deliveries.remove(&mut self.gather.elsewhere, key);
            self.deliveries[key].place = DeliveryPlace::Hands;
        }
        is_there
    }

    /// Ends waits for shards that gather and took too long.
    pub(crate) fn expire_parts_elsewhere(&mut self, now: Instant) {
        while let Some(key) = self.deliveries.first(&self.gather.elsewhere)
            && self.deliveries[key].deadline <= now
        {
            self.counters.traffic.remote_expired += 1;
            self.leave_elsewhere(key);
            self.refuse_delivery(key, DeliveryRefusal::NotParked);
        }
    }

    /// A shard ended. Which shard has a part is not kept: a vendor sends again what was refused, so all are.
    pub(crate) fn forget_parts_elsewhere(&mut self) {
        while let Some(key) = self.deliveries.first(&self.gather.elsewhere) {
            self.leave_elsewhere(key);
            self.refuse_delivery(key, DeliveryRefusal::NotParked);
        }
    }
}
