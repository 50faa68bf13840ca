//! All routes, compiled: prefix -> plan, where a plan is the list of vendors to try, by priority and weight.

use super::trie::{NONE, Trie};
use super::{Route, without_plus};
use crate::message::{AccountId, VendorId};
use crate::snapshot::{Mistake, NUMBER_LENGTH_MAX, UnknownOutcome};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// Vendors behind one prefix and account; the chooser keeps the visited ones as bits of a `u32`.
pub const VENDORS_PER_PLAN_MAX: usize = 32;
/// Weights sum up to less than 2^32 for the draw.
const WEIGHT_MAX: u32 = 1_000_000;

/// The compiled routes. Immutable; a look-up allocates nothing.
#[derive(Debug)]
pub struct RouteTable {
    trie: Trie,
    sets: Vec<Set>,
    by_account: Vec<(AccountId, u32)>,
    plans: Vec<(u32, u32)>,
    candidates: Vec<Candidate>,
}

/// A plan of one [`RouteTable`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PlanIndex(pub(crate) u32);

/// One vendor of a plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// The vendor's place in the snapshot.
    pub vendor: u16,
    /// Candidates of its priority; the same number in each of them.
    pub(super) level_length: u16,
    /// Share within its priority.
    pub weight: u32,
    /// What its route says of unknown outcomes, where it says something.
    pub unknown_outcome: Option<UnknownOutcome>,
}

/// What stands at one prefix: a plan for all, and plans for single accounts, sorted.
#[derive(Clone, Copy, Debug)]
struct Set {
    general: u32,
    accounts_first: u32,
    accounts_count: u32,
}

/// Routes that are taken together: by prefix, then account (none first), then priority.
type Groups<'a> = BTreeMap<&'a [u8], ByAccount>;
/// Account -> priority -> vendors, their weights and policies.
type ByAccount = BTreeMap<Option<AccountId>, BTreeMap<u32, Vec<(u16, u32, Option<UnknownOutcome>)>>>;

impl RouteTable {
    pub(crate) fn compile(
        routes: &[Route],
        accounts: &HashMap<AccountId, u32, FixedState>,
        vendors: &HashMap<VendorId, u32, FixedState>,
        mistakes: &mut Vec<Mistake>,
    ) -> Self {
        let mut groups = Groups::new();
        for (place, route) in routes.iter().enumerate() {
            gather(&mut groups, place, route, accounts, vendors, mistakes);
        }
        let mut table = Self {
            trie: Trie::new(),
            sets: Vec::new(),
            by_account: Vec::new(),
            plans: Vec::new(),
            candidates: Vec::new(),
        };
        table.plans.push((0, 0));
        for (prefix, by_account) in groups {
            table.add(prefix, by_account);
        }
        table
    }

    fn add(&mut self, prefix: &[u8], by_account: ByAccount) {
        let accounts_first = self.by_account.len() as u32;
        let mut general = NONE;
        for (account, levels) in by_account {
            let first = self.candidates.len() as u32;
            for level in levels.into_values() {
                let level_length = level.len() as u16;
                self.candidates.extend(level.into_iter().map(|(vendor, weight, unknown_outcome)| {
                    Candidate { vendor, level_length, weight, unknown_outcome }
                }));
            }
            let plan = self.plans.len() as u32;
            self.plans.push((first, self.candidates.len() as u32));
            match account {
                None => general = plan,
                Some(account) => self.by_account.push((account, plan)),
            }
        }
        let accounts_count = self.by_account.len() as u32 - accounts_first;
        self.trie.insert(prefix, self.sets.len() as u32);
        self.sets.push(Set { general, accounts_first, accounts_count });
    }

    /// The plan for a message of `account` to `destination`: longest prefix, the account's own before the
    /// general one.
    #[inline]
    pub fn find(&self, account: AccountId, destination: &[u8]) -> Option<PlanIndex> {
        let (sets, count) = self.trie.on_the_way(without_plus(destination));
        sets[..count].iter().rev().find_map(|set| self.sets[*set as usize].plan(account, &self.by_account))
    }

    /// The plan without vendors, for a message whose route was taken away.
    pub fn nowhere(&self) -> PlanIndex {
        PlanIndex(0)
    }

    /// The vendors of a plan, by priority.
    #[inline]
    pub fn plan(&self, plan: PlanIndex) -> &[Candidate] {
        let (first, end) = self.plans[plan.0 as usize];
        &self.candidates[first as usize..end as usize]
    }
}

impl Set {
    #[inline]
    fn plan(&self, account: AccountId, by_account: &[(AccountId, u32)]) -> Option<PlanIndex> {
        if self.accounts_count > 0 {
            let first = self.accounts_first as usize;
            let own = &by_account[first..first + self.accounts_count as usize];
            if let Ok(at) = own.binary_search_by_key(&account, |(owner, _)| *owner) {
                return Some(PlanIndex(own[at].1));
            }
        }
        (self.general != NONE).then_some(PlanIndex(self.general))
    }
}

fn gather<'a>(
    groups: &mut Groups<'a>,
    place: usize,
    route: &'a Route,
    accounts: &HashMap<AccountId, u32, FixedState>,
    vendors: &HashMap<VendorId, u32, FixedState>,
    mistakes: &mut Vec<Mistake>,
) {
    let prefix = without_plus(route.prefix.as_bytes());
    if prefix.len() > NUMBER_LENGTH_MAX || !prefix.iter().all(u8::is_ascii_digit) {
        mistakes.push(Mistake::PrefixInvalid { route: place });
        return;
    }
    if route.account.is_some_and(|account| !accounts.contains_key(&account)) {
        mistakes.push(Mistake::RouteAccountUnknown { route: place });
    }
    if route.vendors.is_empty() {
        mistakes.push(Mistake::RouteEmpty { route: place });
    }
    let levels = groups.entry(prefix).or_default().entry(route.account).or_default();
    for (index, weighted) in route.vendors.iter().enumerate() {
        if !(1..=WEIGHT_MAX).contains(&weighted.weight) {
            mistakes.push(Mistake::WeightInvalid { route: place, vendor: index });
        }
        let Some(vendor) = vendors.get(&weighted.vendor).and_then(|at| u16::try_from(*at).ok()) else {
            mistakes.push(Mistake::RouteVendorUnknown { route: place, vendor: index });
            continue;
        };
        let level = levels.entry(route.priority).or_default();
        if level.iter().any(|(other, ..)| *other == vendor) {
            mistakes.push(Mistake::RouteVendorTwice { route: place, vendor: index });
        } else {
            level.push((vendor, weighted.weight, route.unknown_outcome));
        }
    }
    if levels.values().map(Vec::len).sum::<usize>() > VENDORS_PER_PLAN_MAX {
        mistakes.push(Mistake::RouteVendorsTooMany { route: place, max: VENDORS_PER_PLAN_MAX });
    }
}

#[cfg(test)]
mod tests {
    use super::super::WeightedVendor;
    use super::*;
    use crate::snapshot::{Account, Snapshot, SnapshotInput, Vendor};

    const VENDORS: [&str; 3] = ["north", "south", "west"];

    fn route(prefix: &str, account: Option<&str>, priority: u32, vendors: &[&str]) -> Route {
        Route {
            prefix: prefix.into(),
            account: account.map(|name| AccountId::of_name(name.as_bytes())),
            priority,
            unknown_outcome: None,
            vendors: vendors
                .iter()
                .map(|name| WeightedVendor { vendor: VendorId::of_name(name.as_bytes()), weight: 1 })
                .collect(),
        }
    }

    fn compile(routes: Vec<Route>) -> Result<Snapshot, Vec<Mistake>> {
        Snapshot::compile(SnapshotInput {
            accounts: vec![Account::new("acme"), Account::new("globex")],
            vendors: VENDORS.into_iter().map(Vendor::new).collect(),
            routes,
            ..SnapshotInput::default()
        })
    }

    #[test]
    fn longest_prefix_then_own_then_priority() {
        let snapshot = compile(vec![
            route("", None, 10, &["west"]),
            route("1", None, 20, &["south"]),
            route("1", None, 10, &["north"]),
            route("1", Some("acme"), 10, &["west"]),
            route("1202", None, 10, &["south"]),
            route("44", Some("globex"), 10, &["north"]),
        ])
        .unwrap();
        let check = |account: &str, destination: &str, expected: &[&str]| {
            let account = AccountId::of_name(account.as_bytes());
            let plan = snapshot.routes().find(account, destination.as_bytes());
            let names: Vec<&str> = plan
                .map(|plan| snapshot.routes().plan(plan))
                .unwrap_or_default()
                .iter()
                .map(|one| VENDORS[usize::from(one.vendor)])
                .collect();
            assert_eq!(names, expected, "{destination}");
        };
        check("globex", "13125550100", &["north", "south"]);
        check("globex", "+13125550100", &["north", "south"]);
        check("acme", "13125550100", &["west"]);
        check("acme", "12025550100", &["south"]); // longer wins over own
        check("globex", "447700900000", &["north"]);
        check("acme", "447700900000", &["west"]); // globex's own is not for acme
        check("acme", "shortcode", &["west"]);
    }

    #[test]
    fn all_mistakes_come_at_once() {
        let mut heavy = route("3", None, 1, &["north"]);
        heavy.vendors[0].weight = 0;
        let mistakes = compile(vec![
            route("1x", None, 1, &["north"]),
            route("1", Some("nobody"), 1, &["north"]),
            route("2", None, 1, &["east", "north", "north"]),
            heavy,
            route("4", None, 1, &[]),
        ])
        .unwrap_err();
        assert_eq!(
            mistakes,
            [
                Mistake::PrefixInvalid { route: 0 },
                Mistake::RouteAccountUnknown { route: 1 },
                Mistake::RouteVendorUnknown { route: 2, vendor: 0 },
                Mistake::RouteVendorTwice { route: 2, vendor: 2 },
                Mistake::WeightInvalid { route: 3, vendor: 0 },
                Mistake::RouteEmpty { route: 4 },
            ]
        );
    }
}
