//! What a change of the configuration ends: binds and sessions that get nothing new, and finish what they have.

use crate::circuit::Outcome;
use crate::message::{LinkKey, MessageEvent, MessageKey};
use crate::open::Place;
use crate::relay::{Party, Relay};
use crate::snapshot::Vendor;
use smpp::time::Instant;

/// Messages of a vendor without binds that look for another place in one tick. One costs about a microsecond, so that
/// the shard goes on within half a millisecond; a queue of 10,000 is empty after 100 ms.
const EVACUATE_MAX: usize = 500;

impl Relay {
    /// A bind of ours is to end: it gets no further message, what is on it is answered or comes back when it closes.
    /// What waits for its vendor, where this was the last bind, looks for another place.
    pub fn vendor_leaving(&mut self, now: Instant, link: LinkKey) {
        let Some(Party::Vendor(key)) = self.parties.get(&link).copied() else { return };
        self.vendor_links[key].leaving = true;
        let vendor = self.vendor_links[key].vendor;
        if self.vendors[vendor].drop_link(key) {
            self.recall(now, key);
            self.evacuate_for_nodes(now, vendor);
            self.dispatch(now, vendor);
            self.evacuate_some(now, vendor);
            self.announce_vendor(vendor);
        }
    }

    /// What was handed to a bind that is leaving and has not left comes back, given in the order of sending: to the head of
    /// the queue, or elsewhere where this was the vendor's last bind.
    pub fn vendor_unsent(&mut self, now: Instant, link: LinkKey, unsent: &[MessageKey]) {
        let Some(Party::Vendor(key)) = self.parties.get(&link).copied() else { return };
        let vendor = self.vendor_links[key].vendor;
        let count = unsent.len();
        let is_last = self.vendors[vendor].links.is_empty();
        for step in 0..count {
            let message = unsent[if is_last { step } else { count - 1 - step }];
            if self.written_on(message) != Some(key) {
                self.counters.traffic.stale_events += 1;
                continue;
            }
            self.free_slot(key);
            self.note_ended(now, message.0, Outcome::Void);
            self.came_unsent(message.0);
            self.take_back(now, message.0);
        }
        self.dispatch(now, vendor);
    }

    /// Whether a bind of ours gets nothing new any more: it is to end, or a snapshot did not hold its vendor while it stood.
    pub fn is_leaving(&self, link: LinkKey) -> bool {
        match self.parties.get(&link) {
            Some(Party::Vendor(key)) => self.vendor_links[*key].leaving,
            _ => false,
        }
    }

    /// Another window for a bind of ours; what is over it finishes.
    pub fn vendor_window(&mut self, now: Instant, link: LinkKey, window: u32) {
        let Some(Party::Vendor(key)) = self.parties.get(&link).copied() else { return };
        let bind = &mut self.vendor_links[key];
        bind.window = window;
        let vendor = bind.vendor;
        if bind.may_submit && !bind.leaving {
            self.announce_vendor(vendor);
            self.dispatch(now, vendor);
        }
    }

    /// A customer's session is to end: its submits are refused, deliveries go to its other sessions or are parked, what
    /// is open on it is answered.
    pub fn customer_leaving(&mut self, now: Instant, link: LinkKey) {
        if let Some(Party::Customer(key)) = self.parties.get(&link).copied() {
            self.sessions[key].may_submit = false;
            self.customer_ending(now, link);
        }
    }

    /// A customer's session ends by its own word or its silence: deliveries go to its other sessions or are parked, what
    /// it submitted before is answered.
    pub fn customer_ending(&mut self, now: Instant, link: LinkKey) {
        let Some(Party::Customer(key)) = self.parties.get(&link).copied() else { return };
        let session = &mut self.sessions[key];
        session.may_receive = false;
        let place = session.account;
        if self.accounts[place].drop_receiver(key) {
            self.note_sessions(place);
            self.give_unsuited_back(place);
            self.dispatch_deliveries(now, place);
            self.announce_account(place);
        }
    }

    /// The snapshot in force does not hold this vendor: all its binds are leaving.
    pub(crate) fn leave_vendor(&mut self, now: Instant, vendor: u16) {
        let links = self.vendors[vendor].take_links();
        for key in &links {
            self.vendor_links[*key].leaving = true;
            self.recall(now, *key);
        }
        self.evacuate_some(now, vendor);
        if !links.is_empty() {
            self.announce_vendor(vendor);
        }
    }

    /// Some of the messages that wait for a vendor without binds here look for another place, in order.
    pub(crate) fn evacuate_some(&mut self, now: Instant, vendor: u16) {
        if !self.vendors[vendor].links.is_empty() {
            return;
        }
        for _ in 0..self.vendors[vendor].queue.len().min(EVACUATE_MAX as u32) {
            let Some(key) = self.messages.first(&self.vendors[vendor].queue) else { return };
            self.messages.remove(&mut self.vendors[vendor].queue, key);
            self.messages[key].step(MessageEvent::ProveUnsent);
            self.messages[key].place = Place::Hands;
            self.settle(now, key);
        }
    }

    /// What is configured of a vendor, by the last snapshot that held it.
    pub(crate) fn vendor_rules(&self, vendor: u16) -> Option<&Vendor> {
        let state = &self.vendors[vendor];
        match state.snapshot_place {
            Some(at) => Some(&self.snapshot.vendors()[usize::from(at)]),
            None => state.last_rules(),
        }
    }
}
