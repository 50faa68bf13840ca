//! Between shards: who announces what, and what an announcement changes.

use crate::message::ShardIndex;
use crate::open::{DeliveryPlace, Place};
use crate::relay::Relay;
use crate::shard_message::ShardMessage;
use smpp::time::Instant;

impl Relay {
    pub(crate) fn shard_said(&mut self, now: Instant, from: ShardIndex, message: ShardMessage) {
        match message {
            ShardMessage::Submit { hand_over, vendor, addresses, pdu } => {
                self.serve(now, from, hand_over, vendor, addresses, pdu);
            }
            ShardMessage::SubmitDone { hand_over, outcome, pdu } => {
                self.submit_done(now, from, hand_over, outcome, pdu);
            }
            ShardMessage::Deliver { delivery, account, pdu } => {
                self.serve_delivery(now, from, delivery, account, pdu);
            }
            ShardMessage::DeliverDone { delivery, outcome, pdu } => {
                self.deliver_done(now, delivery.0, outcome, pdu);
            }
            ShardMessage::Part { delivery, vendor, part, pdu } => {
                self.serve_part(now, from, delivery, vendor, &part, pdu);
            }
            ShardMessage::PartDone { delivery, status, pdu } => self.part_done(delivery.0, status, pdu),
            ShardMessage::VendorState { vendor, links, window } => {
                if let Some(place) = self.vendors.place_any(vendor) {
                    let other = self.vendors[place].elsewhere_mut(from);
                    other.links = links;
                    other.window = window;
                    other.through_nodes = false;
                }
            }
            ShardMessage::NodeState { vendor, links, window } => {
                if let Some(place) = self.vendors.place_any(vendor) {
                    self.vendors[place].knows_nodes = true;
                    let other = self.vendors[place].elsewhere_mut(from);
                    (other.links, other.window, other.through_nodes) = (links, window, true);
                }
            }
            ShardMessage::AccountState { account, receivers } => {
                let Some(place) = self.accounts.place_any(&self.snapshot, account) else { return };
                let state = &mut self.accounts[place];
                state.announce(from, receivers);
                if state.parked_here && receivers > 0 {
                    state.parked_here = false;
                    self.shard_messages.push_back((from, ShardMessage::ParkedFor { account }));
                }
            }
            ShardMessage::ParkedFor { account } => {
                if let Some(place) = self.accounts.place(&self.snapshot, account) {
                    self.note_parked(now, place);
                }
            }
            ShardMessage::Unresolved { vendor, addresses, gateway_id } => {
                self.unresolved_elsewhere(now, from, vendor, addresses, gateway_id);
            }
            ShardMessage::Settled { vendor, gateway_id, by } => {
                self.settled_elsewhere(vendor, gateway_id, by);
            }
            ShardMessage::Contested { vendor, gateway_id, is_contested } => {
                self.contested_elsewhere(from, vendor, gateway_id, is_contested);
            }
            ShardMessage::ReceiptFits { vendor, gateway_id, vendor_message_id, delivery } => {
                self.receipt_fits_said(now, (from, delivery), vendor, gateway_id, vendor_message_id);
            }
            ShardMessage::Refuted { vendor, vendor_message_id } => {
                self.refuted_elsewhere(vendor, vendor_message_id);
            }
        }
    }

    pub(crate) fn came_back(&mut self, now: Instant, to: ShardIndex, message: ShardMessage) {
        match message {
            ShardMessage::Submit { hand_over, pdu, .. } => self.submit_undelivered(now, to, hand_over, pdu),
            ShardMessage::Deliver { delivery, pdu, .. } => {
                self.deliver_done(now, delivery.0, crate::DeliverOutcome::Undelivered, pdu);
            }
            ShardMessage::Part { delivery, pdu, .. } => self.part_undelivered(delivery.0, pdu),
            // The shard keeps these until there is room; a closed mailbox ends with `shard_gone`.
            _ => self.counters.traffic.stale_events += 1,
        }
    }

    /// What another shard held is lost with it.
    pub(crate) fn forget_shard(&mut self, now: Instant, shard: ShardIndex) {
        for place in self.vendors.places() {
            let other = self.vendors[place].elsewhere_mut(shard);
            (other.links, other.window) = (0, 0);
        }
        for place in self.accounts.places() {
            self.accounts[place].announce(shard, 0);
        }
        // One pass: what is lost may be put with another shard, behind the last one of now.
        for _ in 0..self.remote_waits.len() {
            let Some(key) = self.messages.first(&self.remote_waits) else { break };
            if self.messages[key].place == Place::Shard(shard) {
                if self.messages[key].is_noting {
                    self.not_noted(now, key);
                    continue;
                }
                self.leave_shard(key);
                self.lose(now, key);
            } else {
                self.messages.remove(&mut self.remote_waits, key);
                self.messages.push_back(&mut self.remote_waits, key);
            }
        }
        // Which shard has a delivery is not kept: a vendor sends again what was refused, so all are.
        while let Some(key) = self.deliveries.first(&self.remote_deliveries) {
            debug_assert!(self.deliveries[key].place == DeliveryPlace::Shard);
            self.deliveries.remove(&mut self.remote_deliveries, key);
            self.refuse_delivery(key, crate::DeliveryRefusal::NotParked);
        }
        self.forget_parts_elsewhere();
    }

    /// Tells all others how many binds we have for a vendor.
    pub(crate) fn announce_vendor(&mut self, place: u16) {
        let vendor = &self.vendors[place];
        let window = vendor.links.iter().map(|link| self.vendor_links[*link].window).sum();
        let (vendor, links) = (vendor.id, vendor.links.len() as u32);
        if self.vendors[place].through_nodes {
            return self.announce(|| ShardMessage::NodeState { vendor, links, window });
        }
        self.announce(|| ShardMessage::VendorState { vendor, links, window });
    }

    /// Tells all others how many sessions that may receive we have for an account.
    pub(crate) fn announce_account(&mut self, place: u32) {
        let account = &self.accounts[place];
        let (account, receivers) = (account.id, account.receivers.len() as u32);
        self.announce(|| ShardMessage::AccountState { account, receivers });
    }

    pub(crate) fn announce(&mut self, message: impl Fn() -> ShardMessage) {
        for shard in (0..self.options.shards).map(ShardIndex).filter(|shard| *shard != self.options.shard) {
            self.shard_messages.push_back((shard, message()));
        }
    }
}
