//! Why a message would go where: the look-up and the choice of [`crate::Relay`] themselves, watched. Nothing is sent, and
//! nothing of it is on the message path.

use crate::choice::{Choice, Surroundings, first_choice};
use crate::circuit::CircuitState;
use crate::limit::{LimitShown, limits_of};
use crate::message::{Key, VendorId};
use crate::network::Network;
use crate::route::{
    Candidate, Condition, HEALTH_FULL, PlanIndex, Price, Rewrite, RouteQuestion, Standing, Tried, mix,
    without_plus,
};
use crate::snapshot::Snapshot;

/// Messages that a share is counted over.
const DRAWS: u32 = 4_096;

/// How a vendor does, over all shards of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VendorStatus {
    /// Bound links that may submit.
    pub links: u64,
    /// Messages it has not answered.
    pub in_flight: u64,
    /// Messages that wait for it.
    pub queue: u64,
    /// It asked for a pause that is not over.
    pub is_paused: bool,
    /// The worst of its circuits.
    pub circuit: CircuitState,
    /// Which part of its weight counts, in 64ths; the mean over shards.
    pub health: u8,
}

impl VendorStatus {
    /// A vendor that is bound, idle and well.
    pub const WELL: Self = Self {
        links: 1,
        in_flight: 0,
        queue: 0,
        is_paused: false,
        circuit: CircuitState::Closed,
        health: HEALTH_FULL,
    };
    /// One that nobody has heard of.
    pub const UNBOUND: Self = Self { links: 0, ..Self::WELL };
}

/// One alternative that the look-up came by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TriedRoute {
    /// Digits of its prefix.
    pub prefix: String,
    /// What became of it.
    pub outcome: TriedOutcome,
    /// Routes of the input that it is made of, by place; empty where only other customers have routes.
    pub routes: Vec<u32>,
}

/// What became of an alternative.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TriedOutcome {
    /// It is taken.
    Matched {
        /// It is the customer's own.
        is_own: bool,
    },
    /// A condition does not hold.
    Failed {
        /// It is the customer's own.
        is_own: bool,
        /// Which condition.
        condition: Condition,
    },
    /// Only other customers have routes here.
    Others {
        /// How many.
        accounts: u32,
    },
}

/// Why a vendor is where it is in the order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VendorReason {
    /// It may be tried with its whole weight.
    Well,
    /// It may be tried with a part of it.
    Ill,
    /// It does not take this encoding.
    Encoding,
    /// It has no bind that may submit.
    Unbound,
    /// It asked for a pause: messages wait, or go to another.
    Paused,
    /// Its circuit is open, or lets only probes go: last.
    CircuitOpen,
}

impl VendorReason {
    /// Its word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Ill => "ill",
            Self::Encoding => "encoding not taken",
            Self::Unbound => "unbound",
            Self::Paused => "paused",
            Self::CircuitOpen => "circuit open",
        }
    }
}

/// One vendor of the plan.
#[derive(Clone, PartialEq, Debug)]
pub struct ExplainedVendor {
    /// The vendor.
    pub vendor: VendorId,
    /// Its name.
    pub name: Box<str>,
    /// The route of the input that names it, by place.
    pub route: u32,
    /// The route's priority.
    pub priority: u32,
    /// What a message costs there.
    pub price: Option<Price>,
    /// Its share among those of its priority and price.
    pub weight: u32,
    /// How it does.
    pub status: VendorStatus,
    /// What follows from that.
    pub reason: VendorReason,
    /// Messages in 1000 that would be tried there first.
    pub share_permille: u32,
    /// What its route changes.
    pub rewrite: Rewrite,
}

/// Why a message would go where.
#[derive(Clone, PartialEq, Debug)]
pub struct Explanation {
    /// The customer is known.
    pub is_customer_known: bool,
    /// The destination's network, where known.
    pub network: Option<Network>,
    /// Alternatives in the order of the look-up, up to the one that was taken.
    pub tried: Vec<TriedRoute>,
    /// The vendors of the one that was taken, those that are likely to be tried first in front.
    pub vendors: Vec<ExplainedVendor>,
    /// Limits on the message's way, those of all vendors among them.
    pub limits: Vec<LimitShown>,
}

/// Looks the question up as a message would be, and draws a vendor for some thousands of such messages. `status` says how
/// each vendor does.
pub fn explain(
    snapshot: &Snapshot,
    question: &RouteQuestion<'_>,
    status: impl Fn(VendorId) -> VendorStatus,
) -> Explanation {
    let mut tried = Vec::new();
    let networks = snapshot.networks();
    let plan = snapshot.routes().find_telling(question, networks, &mut |one| {
        tried.push(tried_route(snapshot, question, one));
    });
    let statuses: Vec<VendorStatus> = snapshot.vendors().iter().map(|vendor| status(vendor.id)).collect();
    let mut vendors = plan.map(|plan| vendors_of(snapshot, question, plan, &statuses)).unwrap_or_default();
    vendors.sort_by_key(|vendor| core::cmp::Reverse(vendor.share_permille));
    Explanation {
        is_customer_known: snapshot.account(question.account).is_some(),
        network: networks.find(question.destination).map(|index| networks.network(index).clone()),
        tried,
        limits: limits_of(
            snapshot,
            question.account,
            question.source,
            question.destination,
            &vendors.iter().map(|explained| explained.vendor).collect::<Vec<_>>(),
        ),
        vendors,
    }
}

fn tried_route(snapshot: &Snapshot, question: &RouteQuestion<'_>, tried: Tried) -> TriedRoute {
    let digits = without_plus(question.destination);
    let (length, outcome, plan) = match tried {
        Tried::Others { prefix_length, accounts } => (prefix_length, TriedOutcome::Others { accounts }, None),
        Tried::Plan { prefix_length, is_own, plan, failed } => {
            let outcome = match failed {
                None => TriedOutcome::Matched { is_own },
                Some(condition) => TriedOutcome::Failed { is_own, condition },
            };
            (prefix_length, outcome, Some(plan))
        }
    };
    let prefix = digits.get(..usize::from(length)).unwrap_or(digits).escape_ascii().to_string();
    let origins = plan.map(|plan| snapshot.routes().origins(plan)).unwrap_or_default();
    let mut routes: Vec<u32> = origins.iter().map(|origin| origin.route).collect();
    routes.sort_unstable();
    routes.dedup();
    TriedRoute { prefix, outcome, routes }
}

fn vendors_of(
    snapshot: &Snapshot,
    question: &RouteQuestion<'_>,
    plan: PlanIndex,
    statuses: &[VendorStatus],
) -> Vec<ExplainedVendor> {
    let candidates = snapshot.routes().plan(plan);
    let mut first = vec![0_u32; snapshot.vendors().len()];
    let mut said = Said(statuses);
    for draw in 0..DRAWS {
        match first_choice(candidates, mix(draw.into()), question.encoding, &mut said) {
            Choice::Link { vendor, .. } | Choice::Queue { vendor } => first[usize::from(vendor)] += 1,
            Choice::Shard { .. } | Choice::Full | Choice::Down => {}
        }
    }
    let explained = |(candidate, origin): (&Candidate, &crate::route::CandidateOrigin)| {
        let place = usize::from(candidate.vendor);
        let vendor = &snapshot.vendors()[place];
        ExplainedVendor {
            vendor: vendor.id,
            name: vendor.name.clone(),
            route: origin.route,
            priority: origin.priority,
            price: origin.price,
            weight: candidate.weight,
            status: statuses[place],
            reason: reason(candidate, question, &statuses[place]),
            share_permille: (first[place] * 1000 + DRAWS / 2) / DRAWS,
            rewrite: snapshot.routes().rewrite(candidate).cloned().unwrap_or_default(),
        }
    };
    candidates.iter().zip(snapshot.routes().origins(plan)).map(explained).collect()
}

fn reason(candidate: &Candidate, question: &RouteQuestion<'_>, status: &VendorStatus) -> VendorReason {
    match said_standing(status) {
        _ if !candidate.encodings.contains(question.encoding) => VendorReason::Encoding,
        _ if status.links == 0 => VendorReason::Unbound,
        Standing::Open(_) => VendorReason::CircuitOpen,
        _ if status.is_paused => VendorReason::Paused,
        Standing::Fit(health) if health < HEALTH_FULL => VendorReason::Ill,
        _ => VendorReason::Well,
    }
}

/// The vendors, as somebody says they are; places are those of the snapshot.
struct Said<'a>(&'a [VendorStatus]);

fn said_standing(status: &VendorStatus) -> Standing {
    match status.circuit {
        CircuitState::Closed => Standing::Fit(status.health.clamp(1, HEALTH_FULL)),
        // The few probes of a half-open one are not what most messages meet.
        CircuitState::HalfOpen | CircuitState::Open => Standing::Open(status.health),
    }
}

impl Surroundings for Said<'_> {
    fn standing(&self, candidate: &Candidate) -> Standing {
        match &self.0[usize::from(candidate.vendor)] {
            VendorStatus { links: 0, .. } => Standing::Unfit,
            status => said_standing(status),
        }
    }

    fn way(&mut self, vendor: u16) -> Option<(bool, Choice)> {
        let status = &self.0[usize::from(vendor)];
        Some(match status {
            VendorStatus { is_paused: true, .. } => (false, Choice::Queue { vendor }),
            _ => (true, Choice::Link { vendor, link: Key::NONE }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::AccountId;
    use crate::route::{Conditions, Encoding, Encodings, Route, WeightedVendor};
    use crate::snapshot::{Account, SnapshotInput, Vendor};

    fn snapshot() -> Snapshot {
        let weighted = |name: &str, weight| WeightedVendor {
            vendor: VendorId::of_name(name.as_bytes()),
            weight,
            price: Price::parse("0.0042"),
        };
        let acme = Some(AccountId::of_name(b"acme"));
        let ucs2 = Some(Encodings::NONE.with(Encoding::Ucs2));
        let input = SnapshotInput {
            accounts: vec![Account { rate: 100, burst: 10, ..Account::new("acme") }, Account::new("globex")],
            vendors: vec![
                Vendor { rate_per_bind: 50, ..Vendor::new("west") },
                Vendor { encodings: Encodings::NONE.with(Encoding::Gsm7), ..Vendor::new("east") },
                Vendor::new("north"),
            ],
            routes: vec![
                Route {
                    prefix: "1".into(),
                    vendors: vec![weighted("west", 1), weighted("east", 3)],
                    ..Route::default()
                },
                Route {
                    prefix: "1".into(),
                    priority: 20,
                    vendors: vec![weighted("north", 1)],
                    ..Route::default()
                },
                Route {
                    prefix: "1202".into(),
                    account: acme,
                    conditions: Conditions { encodings: ucs2, ..Conditions::default() },
                    vendors: vec![weighted("north", 1)],
                    ..Route::default()
                },
            ],
            ..SnapshotInput::default()
        };
        Snapshot::compile(input).unwrap()
    }

    fn ask(customer: &[u8], encoding: Encoding, ill: &[(&str, VendorStatus)]) -> Explanation {
        let question =
            RouteQuestion { encoding, ..RouteQuestion::new(AccountId::of_name(customer), b"12025550100") };
        explain(&snapshot(), &question, |vendor| {
            let named = |(name, _): &&(&str, VendorStatus)| VendorId::of_name(name.as_bytes()) == vendor;
            ill.iter().find(named).map_or(VendorStatus::WELL, |(_, status)| *status)
        })
    }

    /// Vendors with their shares, rounded to five percents, and reasons.
    fn order(explanation: &Explanation) -> Vec<(&str, u32, &'static str)> {
        let line = |one: &'_ ExplainedVendor| (one.share_permille + 25) / 50 * 5;
        explanation.vendors.iter().map(|one| (&*one.name, line(one), one.reason.label())).collect()
    }

    #[test]
    fn each_alternative_is_told_up_to_the_one_taken() {
        let own = ask(b"acme", Encoding::Gsm7, &[]);
        let condition = Condition::Encoding;
        let expected = [
            TriedRoute {
                prefix: "1202".into(),
                outcome: TriedOutcome::Failed { is_own: true, condition },
                routes: vec![2],
            },
            TriedRoute {
                prefix: "1".into(),
                outcome: TriedOutcome::Matched { is_own: false },
                routes: vec![0, 1],
            },
        ];
        assert_eq!(own.tried, expected);
        let other = ask(b"globex", Encoding::Gsm7, &[]);
        assert_eq!(other.tried[0].outcome, TriedOutcome::Others { accounts: 1 });
        let limits: Vec<_> = own.limits.iter().map(|limit| (limit.scope.label(), &*limit.name)).collect();
        assert_eq!(limits, [("customer", "acme"), ("vendor_bind", "west")]);
        assert!(!ask(b"nobody", Encoding::Gsm7, &[]).is_customer_known);
    }

    #[test]
    fn vendors_are_told_with_share_and_reason() {
        let well = VendorStatus::WELL;
        let check = |encoding, ill: &[(&str, VendorStatus)], expected: &[(&str, u32, &'static str)]| {
            assert_eq!(order(&ask(b"globex", encoding, ill)), expected);
        };
        check(Encoding::Gsm7, &[], &[("east", 75, "well"), ("west", 25, "well"), ("north", 0, "well")]);
        check(
            Encoding::Ucs2,
            &[],
            &[("west", 100, "well"), ("east", 0, "encoding not taken"), ("north", 0, "well")],
        );
        check(
            Encoding::Gsm7,
            &[("east", VendorStatus::UNBOUND), ("west", VendorStatus { health: 1, ..well })],
            &[("north", 100, "well"), ("west", 0, "ill"), ("east", 0, "unbound")],
        );
        let open = VendorStatus { circuit: CircuitState::Open, ..well };
        check(
            Encoding::Gsm7,
            &[("east", open), ("west", VendorStatus { is_paused: true, ..well })],
            &[("north", 100, "well"), ("west", 0, "paused"), ("east", 0, "circuit open")],
        );
        check(
            Encoding::Gsm7,
            &[("east", open), ("west", open), ("north", VendorStatus::UNBOUND)],
            &[("east", 75, "circuit open"), ("west", 25, "circuit open"), ("north", 0, "unbound")],
        );
    }
}
