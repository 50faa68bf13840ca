//! Circuits of single routes: a vendor may fail for one destination and do well for all others. Only those that failed of
//! late have one, so that a well gateway pays nothing for them.

use super::{Circuit, CircuitChange, CircuitRules, Outcome};
use crate::message::VendorId;
use smpp::time::Instant;

/// Circuits of routes on one shard, about 300 octets each. A vendor that fails as a whole soon has its own circuit open;
/// until then its routes may fill the table, and more are not watched.
pub(crate) const ROUTE_CIRCUITS_MAX: usize = 512;

/// What they take at most, octets: the vector grows by doubling.
pub(crate) const ROUTE_CIRCUITS_OCTETS: u64 =
    (2 * ROUTE_CIRCUITS_MAX * size_of::<(RouteKey, Circuit)>()) as u64;

/// Names a vendor of a plan, over snapshots.
type RouteKey = (u64, VendorId);

/// All of one shard, sorted by key.
#[derive(Debug, Default)]
pub(crate) struct RouteCircuits {
    entries: Vec<(RouteKey, Circuit)>,
    /// Failures that found no room.
    pub(crate) full: u64,
}

impl RouteCircuits {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get(&self, plan: u64, vendor: VendorId) -> Option<&Circuit> {
        let at = self.place(plan, vendor).ok()?;
        Some(&self.entries[at].1)
    }

    pub(crate) fn get_mut(&mut self, plan: u64, vendor: VendorId) -> Option<&mut Circuit> {
        let at = self.place(plan, vendor).ok()?;
        Some(&mut self.entries[at].1)
    }

    /// A copy of a plan ended at a vendor. The first failure makes a circuit.
    pub(crate) fn ended(
        &mut self,
        (plan, vendor): RouteKey,
        (now, sent_at): (Instant, Instant),
        outcome: Outcome,
        rules: &CircuitRules,
    ) -> Option<CircuitChange> {
        let at = match self.place(plan, vendor) {
            Ok(at) => at,
            Err(_) if outcome != Outcome::Failed || rules.failures_percent == 0 => return None,
            Err(_) if self.entries.len() >= ROUTE_CIRCUITS_MAX => {
                self.full += 1;
                return None;
            }
            Err(at) => {
                let mut fresh = Circuit::default();
                fresh.advance(now, rules);
                fresh.sent(sent_at.max(now), rules); // not older than the circuit itself
                self.entries.insert(at, ((plan, vendor), fresh));
                return self.entries[at].1.ended(now, now, outcome, rules);
            }
        };
        self.entries[at].1.ended(now, sent_at, outcome, rules)
    }

    /// Time passes; those without anything against them go. Says the first change of each.
    pub(crate) fn advance(
        &mut self,
        now: Instant,
        rules: &CircuitRules,
        mut say: impl FnMut(VendorId, CircuitChange),
    ) {
        self.entries.retain_mut(|((_, vendor), circuit)| {
            if let Some(change) = circuit.advance(now, rules) {
                say(*vendor, change);
            }
            !circuit.is_clean()
        });
    }

    fn place(&self, plan: u64, vendor: VendorId) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&(plan, vendor), |(key, _)| *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    const RULES: CircuitRules = CircuitRules {
        failures_percent: 50,
        window: Duration::from_secs(5),
        open_for: Duration::from_secs(5),
        probes: 5,
        slow_after: Duration::from_secs(2),
        ramp_up: Duration::from_secs(10),
    };

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn only_a_route_that_fails_is_watched_and_only_for_a_while() {
        let mut circuits = RouteCircuits::default();
        let (west, mut said) = (VendorId(1), Vec::new());
        let end = |circuits: &mut RouteCircuits, plan, ms, outcome| {
            if let Some(circuit) = circuits.get_mut(plan, west) {
                circuit.sent(at(ms), &RULES);
            }
            circuits.ended((plan, west), (at(ms), at(ms)), outcome, &RULES)
        };
        assert_eq!(end(&mut circuits, 7, 1_000, Outcome::Served), None);
        assert!(circuits.is_empty());
        for copy in 0..200 {
            end(&mut circuits, 7, 1_000 + copy * 10, Outcome::Failed);
        }
        circuits.advance(at(3_500), &RULES, |vendor, change| said.push((vendor, change)));
        let opened = circuits.get(7, west).map(Circuit::state);
        assert_eq!(opened, Some(super::super::CircuitState::Open));
        assert!(circuits.get(8, west).is_none());
        end(&mut circuits, 8, 3_600, Outcome::Failed);
        assert_eq!(circuits.entries.len(), 2);
        for ms in (3_600..30_000).step_by(100) {
            circuits.advance(at(ms), &RULES, |_, _| {});
        }
        assert!(circuits.get(8, west).is_none(), "one failure is forgotten");
        assert!(circuits.get(7, west).is_some(), "it waits for its probes");
    }

    #[test]
    fn the_table_is_bounded() {
        let mut circuits = RouteCircuits::default();
        for plan in 0..2 * ROUTE_CIRCUITS_MAX as u64 {
            circuits.ended((plan, VendorId(1)), (at(1_000), at(1_000)), Outcome::Failed, &RULES);
        }
        assert_eq!((circuits.entries.len(), circuits.full), (ROUTE_CIRCUITS_MAX, ROUTE_CIRCUITS_MAX as u64));
    }
}
