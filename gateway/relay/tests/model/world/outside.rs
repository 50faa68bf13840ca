//! What vendors and customers do with what reached them.

use super::World;
use crate::scene::*;
use crate::wire;
use gateway_relay::{Arrival, DeliveryKey, LinkKey, MessageKey, VendorMessageId};
use smpp::dialect::Dialect;
use smpp::field::CommandStatus;
use smpp::pdu::Pdu;
use smpp::wire::Frame;

impl World {
    /// The vendor has the last byte of a message: what does it do with it?
    pub(super) fn written(&mut self, link: LinkKey, message: MessageKey) {
        let Some(bind) = self.links.get_mut(&link) else { return };
        let vendor = bind.vendor;
        let Some(flight) = bind.flights.iter_mut().find(|flight| flight.0 == message) else { return };
        flight.2 = true;
        let number = flight.1;
        let submit = &mut self.submits[number as usize];
        submit.copies += 1;
        let mood = if self.faults { self.random.below(100) } else { self.random.below(80) };
        let delay = 1 + self.random.below(30);
        let status = match mood {
            0..80 => CommandStatus::ESME_ROK,
            80..86 => CommandStatus::ESME_RMSGQFUL,
            86..89 => CommandStatus::ESME_RTHROTTLED,
            89..92 => CommandStatus::ESME_RINVDSTADR,
            _ => {
                submit.copies_open += 1;
                self.later(100, Event::Expire { link, message }); // never answered
                if mood < 96 {
                    return;
                }
                CommandStatus::ESME_ROK // taken, and the answer got lost
            }
        };
        let id = (status == CommandStatus::ESME_ROK).then(|| {
            self.ids_given += 1;
            VendorMessageId::new(format!("{}-{}", VENDORS[vendor], self.ids_given).as_bytes()).unwrap()
        });
        self.submits[number as usize].accepts.extend(id);
        if let Some(id) = id
            && self.submits[number as usize].wants_receipt
        {
            let times = if self.random.percent(10) { 2 } else { 1 };
            for _ in 0..times {
                let (carried, wait) = (Carried::Receipt(number), self.random.below(300));
                let owner = Some(self.submits[number as usize].account);
                self.upwards.push(Upward { vendor, carried, id: Some(id), owner, acked: false });
                self.later(wait, Event::Upward { upward: self.upwards.len() - 1 });
            }
        }
        if mood < 92 {
            self.submits[number as usize].copies_open += u32::from(status == CommandStatus::ESME_ROK);
            self.later(delay, Event::Answer { link, message, status, id });
        }
    }

    pub(super) fn vendor_answers(
        &mut self,
        link: LinkKey,
        message: MessageKey,
        status: CommandStatus,
        id: Option<VendorMessageId>,
    ) {
        let number = self.links.get(&link).and_then(|bind| bind.flights.iter().find(|one| one.0 == message));
        let Some(number) = number.map(|flight| flight.1) else { return };
        let Some(shard) = self.take_flight(link, message) else { return };
        if let Some(id) = id {
            self.submits[number as usize].accepts_answered.push(id);
        }
        let now = self.now();
        let id = id.as_ref().map_or(&[][..], VendorMessageId::as_bytes);
        self.relays[usize::from(shard)].handle_answer(now, link, message, status, id);
        self.pump(shard);
    }

    pub(super) fn take_flight(&mut self, link: LinkKey, message: MessageKey) -> Option<u8> {
        let bind = self.links.get_mut(&link)?;
        let before = bind.flights.len();
        bind.flights.retain(|flight| flight.0 != message);
        (bind.flights.len() < before).then_some(bind.shard)
    }

    pub(super) fn send_upward(&mut self, upward: usize) {
        if self.upwards[upward].acked {
            return;
        }
        let vendor = self.upwards[upward].vendor;
        let links: Vec<LinkKey> =
            self.links.iter().filter(|(_, bind)| bind.vendor == vendor).map(|(link, _)| *link).collect();
        let Some(link) = self.random.pick(&links) else {
            return self.later(20, Event::Upward { upward });
        };
        self.order += 1;
        let (sequence, with_tlv, as_data) =
            (self.order as u32, self.random.percent(50), self.random.percent(20));
        let one = &self.upwards[upward];
        let bytes = match (one.carried, one.id) {
            (Carried::Receipt(number), Some(id)) => {
                let submit = &self.submits[number as usize];
                wire::receipt(number, &id, (&submit.source, &submit.destination), with_tlv, sequence)
            }
            (Carried::Mo(number) | Carried::Receipt(number), _) => wire::mo(
                number,
                one.owner.map_or(b"18009999999", |owner| NUMBERS[owner].as_bytes()),
                sequence,
            ),
        };
        let arrival = Arrival { now: self.now(), unix_seconds: 1_800_000_000, link, over_window: false };
        let bind = self.links.get_mut(&link).unwrap();
        bind.upwards.insert(sequence, upward);
        let shard = bind.shard;
        let bytes = if as_data { wire::as_data(&bytes) } else { bytes };
        let frame = Frame::whole(&bytes).unwrap();
        let relay = &mut self.relays[usize::from(shard)];
        match Pdu::decode(frame, &Dialect::strict()).unwrap() {
            Pdu::DataSm(data) => relay.handle_deliver_data(arrival, frame, &data),
            Pdu::DeliverSm(deliver) => relay.handle_deliver(arrival, frame, &deliver),
            _ => unreachable!("a delivery"),
        }
        self.pump(shard);
    }

    pub(super) fn customer_answers(
        &mut self,
        link: LinkKey,
        delivery: DeliveryKey,
        status: Option<CommandStatus>,
    ) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        let Some(carried) = session.outstanding.remove(&delivery) else { return };
        let (shard, now) = (session.shard, self.now());
        let relay = &mut self.relays[usize::from(shard)];
        match status {
            Some(status) => {
                if status != CommandStatus::ESME_RX_T_APPN {
                    self.taken.insert(carried);
                    match carried {
                        Carried::Receipt(_) => self.story.receipts_taken += 1,
                        Carried::Mo(_) => self.story.mo_taken += 1,
                    }
                }
                relay.customer_answered(now, delivery, status);
            }
            None => relay.delivery_failed(now, delivery),
        }
        self.pump(shard);
    }
}
