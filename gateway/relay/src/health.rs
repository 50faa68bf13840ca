//! What copies tell of their vendors and routes, and what follows from it for the choice.

use crate::circuit::{Circuit, CircuitChange, CircuitState, Outcome, RouteCircuits};
use crate::message::{Key, VendorId};
use crate::relay::Relay;
use crate::route::RouteTable;
use smpp::field::{CommandStatus, StatusClass};
use smpp::time::Instant;
use std::collections::VecDeque;

/// Changes that wait to be drawn. A shard draws them in the same turn; more than these are of no use to a reader of logs.
const NOTICES_MAX: usize = 64;

/// A circuit that changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CircuitNotice {
    /// The vendor.
    pub vendor: VendorId,
    /// Only for one of the plans that lead to it.
    pub is_of_route: bool,
    /// What it did.
    pub change: CircuitChange,
}

/// How a vendor does, on one shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VendorHealth {
    /// Where its circuit stands.
    pub circuit: CircuitState,
    /// Which part of its weight counts, in 64ths.
    pub health: u8,
    /// Times its circuit opened.
    pub openings: u64,
    /// It asked for a pause that is not over.
    pub is_paused: bool,
}

/// What is known of routes and circuits beside those of vendors.
#[derive(Debug, Default)]
pub(crate) struct Health {
    pub(crate) routes: RouteCircuits,
    notices: VecDeque<CircuitNotice>,
    /// Openings of circuits of routes.
    pub(crate) route_openings: u64,
}

impl Health {
    fn say(&mut self, vendor: VendorId, is_of_route: bool, change: CircuitChange) {
        if is_of_route && change == CircuitChange::Opened {
            self.route_openings += 1;
        }
        if self.notices.len() < NOTICES_MAX {
            self.notices.push_back(CircuitNotice { vendor, is_of_route, change });
        }
    }
}

impl Relay {
    /// The next change of a circuit, for the log. One that nobody draws is forgotten with time.
    pub fn poll_circuit(&mut self) -> Option<CircuitNotice> {
        self.health.notices.pop_front()
    }

    /// How vendors do, in the order in which they were first seen.
    pub fn vendor_health(&self, now: Instant) -> impl Iterator<Item = (VendorId, VendorHealth)> + '_ {
        self.vendors
            .iter()
            .map(move |vendor| (vendor.id, health_of(&vendor.circuit, now < vendor.paused_until)))
    }

    /// A copy goes to its vendor, on a link here or through another shard.
    #[inline]
    pub(crate) fn note_sent(&mut self, now: Instant, key: Key) {
        let rules = self.snapshot.circuit_rules();
        let message = &mut self.messages[key];
        message.sent_at = now;
        self.vendors[message.vendor].circuit.sent(now, rules);
        if !self.health.routes.is_empty()
            && let Some(plan) = plan_of(self.snapshot.routes(), self.epoch, &self.messages[key])
        {
            let vendor = self.vendors[self.messages[key].vendor].id;
            if let Some(circuit) = self.health.routes.get_mut(plan, vendor) {
                circuit.sent(now, rules);
            }
        }
    }

    /// A copy is back from its vendor, or lost.
    #[inline]
    pub(crate) fn note_ended(&mut self, now: Instant, key: Key, outcome: Outcome) {
        let rules = self.snapshot.circuit_rules();
        let message = &self.messages[key];
        let sent_at = message.sent_at;
        let vendor = &mut self.vendors[message.vendor];
        let id = vendor.id;
        if let Some(change) = vendor.circuit.ended(now, sent_at, outcome, rules) {
            self.health.say(id, false, change);
        }
        if (outcome == Outcome::Failed || !self.health.routes.is_empty())
            && let Some(plan) = plan_of(self.snapshot.routes(), self.epoch, message)
            && let Some(change) = self.health.routes.ended((plan, id), (now, sent_at), outcome, rules)
        {
            self.health.say(id, true, change);
        }
    }

    /// A vendor's answer, as far as its health goes.
    #[inline]
    pub(crate) fn note_answered(&mut self, now: Instant, key: Key, class: StatusClass) {
        let outcome = match class {
            StatusClass::Ok | StatusClass::Permanent => Outcome::Served,
            StatusClass::Temporary => Outcome::Failed,
            StatusClass::Throttled => Outcome::Void, // it does well, and says how much it can do
        };
        self.note_ended(now, key, outcome);
    }

    /// Other rules count time in other slots: everybody begins anew as well.
    pub(crate) fn forget_circuits(&mut self) {
        self.health.routes = RouteCircuits::default();
        for place in self.vendors.places() {
            self.vendors[place].circuit.forget();
        }
    }

    /// Time passes for all circuits.
    pub(crate) fn advance_circuits(&mut self, now: Instant) {
        let Self { snapshot, vendors, health, .. } = self;
        let rules = snapshot.circuit_rules();
        for place in vendors.places() {
            let vendor = &mut vendors[place];
            if let Some(change) = vendor.circuit.advance(now, rules) {
                health.say(vendor.id, false, change);
            }
        }
        if !health.routes.is_empty() {
            let mut said = VecDeque::new(); // empty, and so without memory, but for the rare change
            health.routes.advance(now, rules, |vendor, change| said.push_back((vendor, change)));
            said.into_iter().for_each(|(vendor, change)| health.say(vendor, true, change));
        }
    }

    /// What a status of this vendor asks for: as its error map says, else as everywhere.
    #[inline]
    pub(crate) fn class_of(&self, vendor: u16, status: CommandStatus) -> StatusClass {
        let class = status.class();
        if class == StatusClass::Ok {
            return class;
        }
        self.rule_of(vendor, status).and_then(|rule| rule.class).unwrap_or(class)
    }

    /// The vendor's status in the customer's terms.
    pub(crate) fn mapped(&self, vendor: u16, status: CommandStatus) -> CommandStatus {
        self.rule_of(vendor, status).and_then(|rule| rule.to).unwrap_or(status)
    }

    fn rule_of(&self, vendor: u16, status: CommandStatus) -> Option<&crate::snapshot::ErrorRule> {
        self.vendor_rules(vendor)?.error_map.iter().find(|rule| rule.status == status)
    }
}

/// The stable number of a message's plan; nothing for one that is served for another shard or was routed by another
/// snapshot.
fn plan_of(routes: &RouteTable, epoch: u32, message: &crate::open::Message) -> Option<u64> {
    let is_ours = !message.origin.is_served();
    (is_ours && message.epoch == epoch).then(|| routes.identity(message.plan))
}

fn health_of(circuit: &Circuit, is_paused: bool) -> VendorHealth {
    VendorHealth { circuit: circuit.state(), health: circuit.health(), openings: circuit.openings, is_paused }
}
