//! All routes, compiled: prefix -> plan, where a plan is the list of vendors to try, by priority and weight.

use super::conditions::{Condition, Conditions, Encodings, Facts, RouteQuestion};
use super::price::Price;
use super::rewrite::Rewrite;
use super::trie::{NONE, Trie};
use super::{Route, mix, without_plus};
use crate::message::{AccountId, VendorId};
use crate::network::Networks;
use crate::snapshot::{Mistake, NUMBER_LENGTH_MAX, UnknownOutcome, Vendor};
use core::cmp::Reverse;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// Vendors behind one prefix and account; the chooser keeps the visited ones as bits of a `u32`.
pub const VENDORS_PER_PLAN_MAX: usize = 32;
/// Weights times health sum up to less than 2^32 for the draw.
const WEIGHT_MAX: u32 = 1_000_000;
/// Different rewrites of one table; places are 16 bits, and one says "none".
const REWRITES_MAX: usize = NO_REWRITE as usize;
const NO_REWRITE: u16 = u16::MAX;
/// Marks a slot that holds a place in `lists`, not a plan.
const LIST: u32 = 1 << 31;

/// The compiled routes. Immutable; a look-up allocates nothing.
#[derive(Debug)]
pub struct RouteTable {
    trie: Trie,
    sets: Vec<Set>,
    by_account: Vec<(AccountId, Slot)>,
    /// First and end in `alternatives`.
    lists: Vec<(u32, u32)>,
    alternatives: Vec<Alternative>,
    conditions: Vec<Conditions>,
    plans: Vec<Plan>,
    candidates: Vec<Candidate>,
    /// Beside `candidates`: what no message asks for.
    origins: Vec<CandidateOrigin>,
    rewrites: Vec<Rewrite>,
    /// Digits of the prefix of each set.
    prefix_lengths: Vec<u8>,
}

/// A plan of one [`RouteTable`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PlanIndex(pub(crate) u32);

/// One vendor of a plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// The vendor's place in the snapshot.
    pub vendor: u16,
    /// Candidates of its priority (and price); the same number in each of them.
    pub(super) level_length: u16,
    /// Share within its priority.
    pub weight: u32,
    /// What its route says of unknown outcomes, where it says something.
    pub unknown_outcome: Option<UnknownOutcome>,
    /// What the vendor takes.
    pub encodings: Encodings,
    /// Place of its route's rewrite, or `NO_REWRITE`.
    pub(super) rewrite: u16,
}

impl Candidate {
    /// Candidates of its priority (and price), itself among them.
    pub(crate) const fn members(&self) -> usize {
        self.level_length as usize
    }
}

/// Levels of vendors with their weights.
#[cfg(test)]
pub(crate) fn test_plan(levels: &[&[(u16, u32)]]) -> Vec<Candidate> {
    let level = |level: &&[(u16, u32)]| {
        let level_length = level.len() as u16;
        let candidate = move |(vendor, weight)| Candidate {
            vendor,
            level_length,
            weight,
            unknown_outcome: None,
            encodings: Encodings::ALL,
            rewrite: 0,
        };
        level.iter().copied().map(candidate).collect::<Vec<_>>()
    };
    levels.iter().flat_map(level).collect()
}

/// Where a candidate comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CandidateOrigin {
    /// The place of its route in the input.
    pub route: u32,
    /// The priority of its route.
    pub priority: u32,
    /// What a message costs there, where it is known.
    pub price: Option<Price>,
}

/// A list of candidates, and a number that stays the same over snapshots for the same prefix, account and conditions.
#[derive(Clone, Copy, Debug)]
struct Plan {
    first: u32,
    end: u32,
    identity: u64,
}

/// What stands at one prefix: plans for all, and plans for single accounts, sorted.
#[derive(Clone, Copy, Debug)]
struct Set {
    general: Slot,
    accounts_first: u32,
    accounts_count: u32,
}

/// A plan, a list of alternatives, or nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Slot(u32);

/// A plan and when it is taken.
#[derive(Clone, Copy, Debug)]
struct Alternative {
    /// Place in `conditions`, or `NONE`.
    conditions: u32,
    plan: u32,
}

/// One alternative that a look-up came by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tried {
    /// A plan, taken when nothing failed.
    Plan {
        /// Digits of its prefix.
        prefix_length: u8,
        /// It is the account's own.
        is_own: bool,
        /// The plan.
        plan: PlanIndex,
        /// The condition that does not hold.
        failed: Option<Condition>,
    },
    /// Only other accounts have routes of their own here.
    Others {
        /// Digits of the prefix.
        prefix_length: u8,
        /// How many accounts.
        accounts: u32,
    },
}

/// Routes that are taken together: by prefix, then account (none first), then conditions.
type Groups<'a> = BTreeMap<&'a [u8], ByAccount<'a>>;
type ByAccount<'a> = BTreeMap<Option<AccountId>, BTreeMap<&'a Conditions, Group<'a>>>;

/// One plan in the making.
#[derive(Default)]
struct Group<'a> {
    /// The first of its routes.
    place: usize,
    levels: BTreeMap<u32, Level<'a>>,
}

#[derive(Default)]
struct Level<'a> {
    is_cheapest: bool,
    members: Vec<Member<'a>>,
}

struct Member<'a> {
    vendor: u16,
    weight: u32,
    price: Option<Price>,
    place: usize,
    route: &'a Route,
}

/// What routes may name.
pub(crate) struct Known<'a> {
    pub(crate) accounts: &'a HashMap<AccountId, u32, FixedState>,
    pub(crate) vendor_places: &'a HashMap<VendorId, u32, FixedState>,
    pub(crate) vendors: &'a [Vendor],
}

impl RouteTable {
    pub(crate) fn compile(routes: &[Route], known: &Known<'_>, mistakes: &mut Vec<Mistake>) -> Self {
        let mut groups = Groups::new();
        for (place, route) in routes.iter().enumerate() {
            gather(&mut groups, place, route, known, mistakes);
        }
        let mut table = Self {
            trie: Trie::new(),
            sets: Vec::new(),
            by_account: Vec::new(),
            lists: Vec::new(),
            alternatives: Vec::new(),
            conditions: Vec::new(),
            plans: vec![Plan { first: 0, end: 0, identity: 0 }],
            candidates: Vec::new(),
            origins: Vec::new(),
            rewrites: Vec::new(),
            prefix_lengths: Vec::new(),
        };
        let mut rewrites = BTreeMap::new();
        for (prefix, by_account) in groups {
            table.add(prefix, by_account, known.vendors, &mut rewrites);
        }
        if table.rewrites.len() > REWRITES_MAX {
            mistakes.push(Mistake::RewritesTooMany { max: REWRITES_MAX });
        }
        table
    }

    fn add<'a>(
        &mut self,
        prefix: &[u8],
        by_account: ByAccount<'a>,
        vendors: &[Vendor],
        rewrites: &mut BTreeMap<&'a Rewrite, u16>,
    ) {
        let accounts_first = self.by_account.len() as u32;
        let mut general = Slot(NONE);
        for (account, groups) in by_account {
            let mut groups: Vec<_> = groups.into_iter().collect();
            groups.sort_by_key(|(conditions, group)| {
                let priority = group.levels.keys().next().copied();
                (Reverse(conditions.count()), priority, group.place)
            });
            let first = self.alternatives.len() as u32;
            for (conditions, group) in groups {
                let identity = identity(prefix, account, conditions);
                let plan = self.add_plan(group, identity, vendors, rewrites);
                let conditions = match conditions.count() {
                    0 => NONE,
                    _ => {
                        self.conditions.push(conditions.clone());
                        self.conditions.len() as u32 - 1
                    }
                };
                self.alternatives.push(Alternative { conditions, plan });
            }
            let slot = self.slot(first);
            match account {
                None => general = slot,
                Some(account) => self.by_account.push((account, slot)),
            }
        }
        let accounts_count = self.by_account.len() as u32 - accounts_first;
        self.trie.insert(prefix, self.sets.len() as u32);
        self.prefix_lengths.push(prefix.len() as u8);
        self.sets.push(Set { general, accounts_first, accounts_count });
    }

    /// The alternatives from `first` on as one slot. A single one without conditions needs no list.
    fn slot(&mut self, first: u32) -> Slot {
        match self.alternatives[first as usize..] {
            [Alternative { conditions: NONE, plan }] => {
                self.alternatives.truncate(first as usize);
                Slot(plan)
            }
            _ => {
                self.lists.push((first, self.alternatives.len() as u32));
                Slot(LIST | (self.lists.len() as u32 - 1))
            }
        }
    }

    fn add_plan<'a>(
        &mut self,
        group: Group<'a>,
        identity: u64,
        vendors: &[Vendor],
        rewrites: &mut BTreeMap<&'a Rewrite, u16>,
    ) -> u32 {
        let first = self.candidates.len() as u32;
        for (priority, mut level) in group.levels {
            if level.is_cheapest {
                // One without a price may be dear.
                level.members.sort_by_key(|member| (member.price.is_none(), member.price));
            }
            let together =
                |one: &Member<'_>, other: &Member<'_>| !level.is_cheapest || one.price == other.price;
            for members in level.members.chunk_by(together) {
                for member in members {
                    let rewrite = match &member.route.rewrite {
                        rewrite if rewrite.is_empty() => NO_REWRITE,
                        rewrite => *rewrites.entry(rewrite).or_insert_with(|| {
                            self.rewrites.push(rewrite.clone());
                            (self.rewrites.len() - 1) as u16 // REWRITES_MAX, or the table is given up
                        }),
                    };
                    self.candidates.push(Candidate {
                        vendor: member.vendor,
                        level_length: members.len() as u16,
                        weight: member.weight,
                        unknown_outcome: member.route.unknown_outcome,
                        encodings: vendors[usize::from(member.vendor)].encodings,
                        rewrite,
                    });
                    let (route, price) = (member.place as u32, member.price);
                    self.origins.push(CandidateOrigin { route, priority, price });
                }
            }
        }
        self.plans.push(Plan { first, end: self.candidates.len() as u32, identity });
        let plan = self.plans.len() as u32 - 1;
        assert!(plan < LIST, "more plans than a slot can name");
        plan
    }

    /// The plan of a message: longest prefix, the account's own before the general one, then the alternative with the
    /// most conditions that all hold.
    #[inline]
    pub fn find(&self, question: &RouteQuestion<'_>, networks: &Networks) -> Option<PlanIndex> {
        self.find_telling(question, networks, &mut |_| {})
    }

    /// The same, and says what it came by.
    #[inline]
    pub(crate) fn find_telling(
        &self,
        question: &RouteQuestion<'_>,
        networks: &Networks,
        tell: &mut impl FnMut(Tried),
    ) -> Option<PlanIndex> {
        let (sets, count) = self.trie.on_the_way(without_plus(question.destination));
        for place in sets[..count].iter().rev() {
            let set = &self.sets[*place as usize];
            let prefix_length = self.prefix_lengths[*place as usize];
            let own = set.own(question.account, &self.by_account);
            if own == Slot(NONE) && set.accounts_count > 0 {
                tell(Tried::Others { prefix_length, accounts: set.accounts_count });
            }
            for (is_own, slot) in [(true, own), (false, set.general)] {
                let mut tell_plan = |plan, failed| {
                    tell(Tried::Plan { prefix_length, is_own, plan: PlanIndex(plan), failed });
                };
                if let Some(plan) = self.take(slot, question, networks, &mut tell_plan) {
                    return Some(PlanIndex(plan));
                }
            }
        }
        None
    }

    /// The first alternative of a slot whose conditions all hold.
    #[inline]
    fn take(
        &self,
        slot: Slot,
        question: &RouteQuestion<'_>,
        networks: &Networks,
        tell: &mut impl FnMut(u32, Option<Condition>),
    ) -> Option<u32> {
        match slot {
            Slot(NONE) => return None,
            Slot(plan) if plan & LIST == 0 => {
                tell(plan, None);
                return Some(plan);
            }
            Slot(_) => {}
        }
        let (first, end) = self.lists[(slot.0 & !LIST) as usize];
        let facts = Facts::new(question, networks);
        for alternative in &self.alternatives[first as usize..end as usize] {
            let conditions = self.conditions.get(alternative.conditions as usize); // NONE is beyond its end
            let failed = conditions.and_then(|conditions| conditions.failing(&facts));
            tell(alternative.plan, failed);
            if failed.is_none() {
                return Some(alternative.plan);
            }
        }
        None
    }

    /// The plan without vendors, for a message whose route was taken away.
    pub fn nowhere(&self) -> PlanIndex {
        PlanIndex(0)
    }

    /// The vendors of a plan, by priority.
    #[inline]
    pub fn plan(&self, plan: PlanIndex) -> &[Candidate] {
        let plan = &self.plans[plan.0 as usize];
        &self.candidates[plan.first as usize..plan.end as usize]
    }

    /// Where the vendors of a plan come from, in the same order.
    pub fn origins(&self, plan: PlanIndex) -> &[CandidateOrigin] {
        let plan = &self.plans[plan.0 as usize];
        &self.origins[plan.first as usize..plan.end as usize]
    }

    /// A number that this plan has in every snapshot in which its prefix, account and conditions stand.
    pub(crate) fn identity(&self, plan: PlanIndex) -> u64 {
        self.plans[plan.0 as usize].identity
    }

    /// What a candidate changes.
    #[inline]
    pub(crate) fn rewrite(&self, candidate: &Candidate) -> Option<&Rewrite> {
        self.rewrites.get(usize::from(candidate.rewrite)) // NO_REWRITE is beyond its end
    }

    /// True when any route changes addresses.
    pub fn has_rewrites(&self) -> bool {
        !self.rewrites.is_empty()
    }
}

impl Set {
    #[inline]
    fn own(&self, account: AccountId, by_account: &[(AccountId, Slot)]) -> Slot {
        if self.accounts_count > 0 {
            let first = self.accounts_first as usize;
            let own = &by_account[first..first + self.accounts_count as usize];
            if let Ok(at) = own.binary_search_by_key(&account, |(owner, _)| *owner) {
                return own[at].1;
            }
        }
        Slot(NONE)
    }
}

/// Two plans with one number would share a circuit, once in 2^64.
fn identity(prefix: &[u8], account: Option<AccountId>, conditions: &Conditions) -> u64 {
    use core::hash::{BuildHasher, Hasher};
    let mut hasher = FixedState::with_seed(0x5eed_0f2e_1a7e_0004).build_hasher();
    hasher.write(prefix);
    hasher.write_u128(account.map_or(u128::MAX, |account| account.0));
    if conditions.count() > 0 {
        hasher.write(format!("{conditions:?}").as_bytes());
    }
    mix(hasher.finish())
}

fn gather<'a>(
    groups: &mut Groups<'a>,
    place: usize,
    route: &'a Route,
    known: &Known<'_>,
    mistakes: &mut Vec<Mistake>,
) {
    let prefix = without_plus(route.prefix.as_bytes());
    if prefix.len() > NUMBER_LENGTH_MAX || !prefix.iter().all(u8::is_ascii_digit) {
        mistakes.push(Mistake::PrefixInvalid { route: place });
        return;
    }
    if route.account.is_some_and(|account| !known.accounts.contains_key(&account)) {
        mistakes.push(Mistake::RouteAccountUnknown { route: place });
    }
    if !route.rewrite.is_valid() {
        mistakes.push(Mistake::RewriteInvalid { route: place });
    }
    if route.vendors.is_empty() {
        mistakes.push(Mistake::RouteEmpty { route: place });
    }
    let by_conditions = groups.entry(prefix).or_default().entry(route.account).or_default();
    let fresh = || Group { place, levels: BTreeMap::new() };
    let levels = &mut by_conditions.entry(&route.conditions).or_insert_with(fresh).levels;
    for (index, weighted) in route.vendors.iter().enumerate() {
        if !(1..=WEIGHT_MAX).contains(&weighted.weight) {
            mistakes.push(Mistake::WeightInvalid { route: place, vendor: index });
        }
        if route.cheapest && weighted.price.is_none() {
            mistakes.push(Mistake::PriceMissing { route: place, vendor: index });
        }
        let vendor = known.vendor_places.get(&weighted.vendor).and_then(|at| u16::try_from(*at).ok());
        let Some(vendor) = vendor.filter(|at| usize::from(*at) < known.vendors.len()) else {
            mistakes.push(Mistake::RouteVendorUnknown { route: place, vendor: index });
            continue;
        };
        let level = levels.entry(route.priority).or_default();
        level.is_cheapest |= route.cheapest;
        if level.members.iter().any(|other| other.vendor == vendor) {
            mistakes.push(Mistake::RouteVendorTwice { route: place, vendor: index });
        } else {
            let (weight, price) = (weighted.weight, weighted.price);
            level.members.push(Member { vendor, weight, price, place, route });
        }
    }
    if levels.values().map(|level| level.members.len()).sum::<usize>() > VENDORS_PER_PLAN_MAX {
        mistakes.push(Mistake::RouteVendorsTooMany { route: place, max: VENDORS_PER_PLAN_MAX });
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CampaignId, Encoding, Hours, WeightedVendor};
    use super::*;
    use crate::network::{NetworkCode, NetworkRule};
    use crate::snapshot::{Account, Snapshot, SnapshotInput, Vendor};

    const VENDORS: [&str; 3] = ["north", "south", "west"];

    fn route(prefix: &str, account: Option<&str>, priority: u32, vendors: &[&str]) -> Route {
        Route {
            prefix: prefix.into(),
            account: account.map(|name| AccountId::of_name(name.as_bytes())),
            priority,
            vendors: vendors
                .iter()
                .map(|name| WeightedVendor {
                    vendor: VendorId::of_name(name.as_bytes()),
                    weight: 1,
                    price: None,
                })
                .collect(),
            ..Route::default()
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
            let plan = snapshot.route(&RouteQuestion::new(account, destination.as_bytes()));
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

    fn names(snapshot: &Snapshot, question: &RouteQuestion<'_>) -> String {
        let plan = snapshot.route(question).map(|plan| snapshot.routes().plan(plan)).unwrap_or_default();
        let names: Vec<&str> = plan.iter().map(|one| VENDORS[usize::from(one.vendor)]).collect();
        names.join(" ")
    }

    #[test]
    fn the_most_conditions_that_hold_win_then_the_priority() {
        let with = |conditions: Conditions, priority, vendor| Route {
            conditions,
            ..route("1", None, priority, &[vendor])
        };
        let sources = || vec!["1202".into(), "ACME".into()];
        let ucs2 = Some(Encodings::NONE.with(Encoding::Ucs2));
        let snapshot = compile(vec![
            route("1", None, 10, &["west"]),
            with(Conditions { sources: sources(), ..Conditions::default() }, 10, "north"),
            with(Conditions { encodings: ucs2, ..Conditions::default() }, 5, "south"),
            with(Conditions { encodings: ucs2, sources: sources(), ..Conditions::default() }, 20, "west"),
            with(Conditions { encodings: ucs2, sources: sources(), ..Conditions::default() }, 30, "south"),
            route("", None, 10, &["south"]),
        ])
        .unwrap();
        let acme = AccountId::of_name(b"acme");
        let check = |source: &[u8], encoding, expected: &str| {
            let question = RouteQuestion { source, encoding, ..RouteQuestion::new(acme, b"13125550100") };
            assert_eq!(names(&snapshot, &question), expected);
        };
        check(b"12025550100", Encoding::Gsm7, "north");
        check(b"+12025550100", Encoding::Gsm7, "north");
        check(b"ACME", Encoding::Gsm7, "north");
        check(b"acme", Encoding::Gsm7, "west");
        check(b"1312", Encoding::Ucs2, "south");
        check(b"ACME", Encoding::Ucs2, "west south");
        check(b"1312", Encoding::Binary, "west");
    }

    #[test]
    fn each_condition_decides() {
        let check = |conditions: Conditions, holds: bool| {
            let limited = Route { conditions, ..route("1", None, 10, &["north"]) };
            let input = SnapshotInput {
                accounts: vec![Account::new("acme")],
                vendors: VENDORS.into_iter().map(Vendor::new).collect(),
                routes: vec![limited, route("", None, 10, &["west"])],
                networks: vec![NetworkRule {
                    prefix: "1312".into(),
                    code: NetworkCode::parse("310260").unwrap(),
                    carrier: "tmobile".into(),
                }],
                ..SnapshotInput::default()
            };
            let snapshot = Snapshot::compile(input).unwrap();
            let question = RouteQuestion {
                campaign: Some(CampaignId::of_name(b"alerts")),
                unix_seconds: 1_767_225_600 + 9 * 3600, // Thursday, 09:00 UTC
                ..RouteQuestion::new(AccountId::of_name(b"acme"), b"13125550100")
            };
            assert_eq!(names(&snapshot, &question), if holds { "north" } else { "west" });
        };
        let network = |code| Conditions { network: NetworkCode::parse(code), ..Conditions::default() };
        check(network("310"), true);
        check(network("310260"), true);
        check(network("310410"), false);
        let campaign =
            |name| Conditions { campaign: Some(CampaignId::of_name(name)), ..Conditions::default() };
        check(campaign(b"alerts"), true);
        check(campaign(b"offers"), false);
        let hours = |text| Conditions { hours: Hours::parse(text), ..Conditions::default() };
        check(hours("08:00-20:00"), true);
        check(hours("Fri 08:00-20:00"), false);
    }

    #[test]
    fn the_cheapest_comes_first_and_one_without_a_price_last() {
        let priced = |name: &str, price: &str| WeightedVendor {
            vendor: VendorId::of_name(name.as_bytes()),
            weight: 1,
            price: Price::parse(price),
        };
        let check = |cheapest, vendors, expected: &str, lengths: &[u16]| {
            let cheap = Route { cheapest, vendors, ..route("1", None, 10, &[]) };
            let snapshot = compile(vec![cheap]).unwrap();
            let question = RouteQuestion::new(AccountId::of_name(b"acme"), b"1");
            assert_eq!(names(&snapshot, &question), expected);
            let plan = snapshot.routes().plan(snapshot.route(&question).unwrap());
            assert_eq!(plan.iter().map(|one| one.level_length).collect::<Vec<_>>(), lengths);
        };
        let three = || vec![priced("north", "0.005"), priced("south", "0.0042"), priced("west", "0.005")];
        check(true, three(), "south north west", &[1, 2, 2]);
        check(false, three(), "north south west", &[3, 3, 3]);
        let missing = compile(vec![Route {
            cheapest: true,
            vendors: vec![priced("north", "")],
            ..route("1", None, 10, &[])
        }]);
        assert_eq!(missing.unwrap_err(), [Mistake::PriceMissing { route: 0, vendor: 0 }]);
    }
}
