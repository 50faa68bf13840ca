//! The limits of a configuration, compiled: from an account, a source number or a vendor to the limits it is under.

use super::carriers::{AttScope, Carrier, CarrierRules, att_rule, by_minute, tmobile_cap};
use super::scope::Scope;
use super::spec::{LimitId, LimitSpec, Measure, WhenAway};
use crate::message::{AccountId, VendorId};
use crate::network::{NetworkIndex, Networks};
use crate::numbers::digits_of;
use crate::route::CampaignId;
use crate::snapshot::{Account, Mistake, NUMBER_LENGTH_MAX, Snapshot, Vendor};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// The place of no limit.
pub(crate) const NO_LIMIT: u32 = u32::MAX;

/// Limits of one configuration; half of what a node has room for, so that a look-up stays short.
pub const LIMITS_CONFIGURED_MAX: usize = super::node::LIMITS_MAX as usize / 2;

/// What kind of number a message comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NumberKind {
    /// Ten digits, with a campaign or without.
    LongCode,
    /// Eight hundred and its sisters.
    TollFree,
    /// Five or six digits.
    ShortCode,
}

/// A source number as far as limits are concerned.
#[derive(Clone, Debug)]
pub struct SourceNumber {
    /// Digits; a leading `+` is skipped.
    pub digits: Box<str>,
    /// What it is.
    pub kind: NumberKind,
    /// Name of its campaign.
    pub campaign: Option<Box<str>>,
    /// Segments a second over all networks, thousandths; nothing = by its kind, 0 = unlimited.
    pub rate_milli: Option<u64>,
    /// Segments at once; nothing = one second's worth.
    pub burst: Option<u32>,
}

/// A 10DLC campaign.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Its name.
    pub name: Box<str>,
    /// Name of its brand.
    pub brand: Box<str>,
    /// AT&T's class of it.
    pub class: char,
    /// Segments a minute instead of the class's; 0 = unlimited.
    pub per_minute: Option<u32>,
    /// Segments at once instead of a part of the minute.
    pub burst: Option<u32>,
    /// Whose rate it is, instead of the class's.
    pub scope: Option<AttScope>,
}

/// A 10DLC brand.
#[derive(Clone, Debug)]
pub struct Brand {
    /// Its name.
    pub name: Box<str>,
    /// T-Mobile's tier of it.
    pub tier: Box<str>,
    /// Segments a day instead of the tier's; 0 = uncapped.
    pub daily_cap: Option<u32>,
    /// Messages to destinations whose network nobody knows count too.
    pub counts_unknown: bool,
}

/// Everything that limits are compiled from, beside accounts and vendors.
#[derive(Clone, Debug, Default)]
pub struct LimitsInput {
    /// Source numbers.
    pub numbers: Vec<SourceNumber>,
    /// 10DLC campaigns.
    pub campaigns: Vec<Campaign>,
    /// 10DLC brands.
    pub brands: Vec<Brand>,
    /// What holds by default.
    pub rules: CarrierRules,
    /// What limits of numbers and campaigns do while Redis is away.
    pub when_away: WhenAway,
}

/// The limits that one source number is under, as places in the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NumberLimits {
    /// Over all networks.
    pub(crate) own: u32,
    /// To AT&T, and to where nobody knows.
    att: u32,
    /// To others that are known.
    other: u32,
    verizon: u32,
    /// Of its brand in a day.
    day: u32,
    counts_unknown: bool,
    /// The campaign that it belongs to, for routes.
    pub(crate) campaign: Option<CampaignId>,
}

impl NumberLimits {
    /// Whether the carrier makes a difference.
    #[inline]
    pub(crate) fn asks_carrier(&self) -> bool {
        [self.att, self.other, self.verizon, self.day].iter().any(|place| *place != NO_LIMIT)
    }

    /// The limits for a message to that network: of the campaign, of the brand's day.
    #[inline]
    pub(crate) fn to(&self, carrier: Carrier) -> (u32, u32) {
        match carrier {
            Carrier::Att => (self.att, NO_LIMIT),
            Carrier::Unknown => (self.att, if self.counts_unknown { self.day } else { NO_LIMIT }),
            Carrier::TMobile => (NO_LIMIT, self.day),
            Carrier::Verizon => (self.verizon, NO_LIMIT),
            Carrier::Other => (self.other, NO_LIMIT),
            Carrier::Foreign => (NO_LIMIT, NO_LIMIT),
        }
    }
}

/// See the module. Immutable.
#[derive(Debug, Default)]
pub struct LimitTable {
    specs: Vec<LimitSpec>,
    /// By place of the account.
    accounts: Vec<u32>,
    /// By place of the vendor.
    vendors: Vec<u32>,
    numbers: HashMap<Box<[u8]>, NumberLimits, FixedState>,
    /// By place of the network.
    carriers: Vec<Carrier>,
}

impl LimitTable {
    pub(crate) fn compile(
        accounts: &[Account],
        vendors: &[Vendor],
        networks: &Networks,
        input: &LimitsInput,
        mistakes: &mut Vec<Mistake>,
    ) -> Self {
        let mut table = Self::default();
        for account in accounts {
            let measure = (account.rate > 0).then(|| by_second(account.rate, account.burst));
            let place = table.put(Scope::Account, &account.name, measure, account.when_away);
            table.accounts.push(place);
        }
        let mut of_accounts: HashMap<VendorId, u32, FixedState> = HashMap::default();
        for vendor in vendors {
            // The SMSC counts what its account sends, whichever entry it were.
            let place = *of_accounts.entry(vendor.vendor_account()).or_insert_with(|| {
                let measure = (vendor.rate > 0).then(|| by_second(vendor.rate, vendor.burst));
                table.put(Scope::Vendor, vendor.account_name(), measure, vendor.when_away)
            });
            table.vendors.push(place);
        }
        table.put_numbers(input, mistakes);
        table.carriers = networks
            .all()
            .iter()
            .map(|network| match UNITED_STATES.contains(&network.code.mcc()) {
                true => Carrier::of_word(&network.carrier),
                false => Carrier::Foreign,
            })
            .collect();
        if table.specs.len() > LIMITS_CONFIGURED_MAX {
            mistakes.push(Mistake::LimitsTooMany { max: LIMITS_CONFIGURED_MAX });
        }
        table
    }

    /// All limits, in the order of their places.
    pub fn specs(&self) -> &[LimitSpec] {
        &self.specs
    }

    pub(crate) fn of_account(&self, place: u32) -> u32 {
        self.accounts[place as usize]
    }

    pub(crate) fn of_vendor(&self, place: u16) -> u32 {
        self.vendors[usize::from(place)]
    }

    /// What a source is under; nothing where it is no number that is known.
    #[inline]
    pub(crate) fn of_source(&self, source: &[u8]) -> Option<&NumberLimits> {
        if self.numbers.is_empty() || source.len() > NUMBER_LENGTH_MAX + 1 {
            return None;
        }
        self.numbers.get(crate::route::without_plus(source))
    }

    /// The campaign that a source belongs to, where known.
    pub fn campaign_of(&self, source: &[u8]) -> Option<CampaignId> {
        self.of_source(source).and_then(|number| number.campaign)
    }

    pub(crate) fn carrier(&self, network: Option<NetworkIndex>) -> Carrier {
        network.map_or(Carrier::Unknown, |network| self.carriers[usize::from(network.0)])
    }

    fn put(&mut self, scope: Scope, name: &str, measure: Option<Measure>, when_away: WhenAway) -> u32 {
        let Some(measure) = measure else { return NO_LIMIT };
        let id = LimitId::of(scope, name);
        self.specs.push(LimitSpec { id, scope, name: name.into(), measure, when_away });
        self.specs.len() as u32 - 1 // bounded by LIMITS_CONFIGURED_MAX or a mistake
    }

    fn put_numbers(&mut self, input: &LimitsInput, mistakes: &mut Vec<Mistake>) {
        let days: Vec<(&Brand, u32)> =
            input.brands.iter().map(|brand| (brand, self.put_day(brand, input))).collect();
        let days: HashMap<&str, (&Brand, u32), FixedState> =
            days.into_iter().map(|(brand, place)| (&*brand.name, (brand, place))).collect();
        let mut campaigns: HashMap<&str, CampaignLimits, FixedState> = HashMap::default();
        for (place, campaign) in input.campaigns.iter().enumerate() {
            let Some(limits) = self.put_campaign(campaign, input, &days) else {
                mistakes.push(Mistake::CampaignInvalid { campaign: place });
                continue;
            };
            campaigns.insert(&campaign.name, limits);
        }
        for (place, number) in input.numbers.iter().enumerate() {
            let Some(digits) = digits_of(&number.digits) else {
                mistakes.push(Mistake::SourceNumberInvalid { number: place });
                continue;
            };
            let campaign = number.campaign.as_ref().map(|name| campaigns.get(&**name).copied());
            if campaign == Some(None) {
                mistakes.push(Mistake::SourceCampaignUnknown { number: place });
            }
            let digits = digits.to_vec();
            let limits = self.put_number(&digits, number, campaign.flatten(), input);
            if self.numbers.insert(digits.into(), limits).is_some() {
                mistakes.push(Mistake::SourceNumberTwice { number: place });
            }
        }
    }

    fn put_day(&mut self, brand: &Brand, input: &LimitsInput) -> u32 {
        let tier = tmobile_cap(&brand.tier).filter(|_| input.rules.tmobile);
        let cap = brand.daily_cap.or(tier).filter(|cap| *cap > 0);
        self.put(Scope::Brand, &brand.name, cap.map(|cap| Measure::PerDay { cap }), WhenAway::Closed)
    }

    fn put_campaign(
        &mut self,
        campaign: &Campaign,
        input: &LimitsInput,
        days: &HashMap<&str, (&Brand, u32), FixedState>,
    ) -> Option<CampaignLimits> {
        let rule = att_rule(campaign.class)?;
        let (brand, day) = *days.get(&*campaign.brand)?;
        let class = rule.per_minute * u32::from(input.rules.att);
        let per_minute = campaign.per_minute.unwrap_or(class);
        let measure = (per_minute > 0).then(|| {
            let (rate_milli, burst) = by_minute(per_minute, campaign.burst);
            Measure::PerSecond { rate_milli, burst }
        });
        let scope = campaign.scope.unwrap_or(rule.scope);
        let together = measure.filter(|_| scope == AttScope::Campaign);
        let mut place = |network: &str| {
            let name = format!("{}/{network}", campaign.name);
            self.put(Scope::Campaign, &name, together, input.when_away)
        };
        let each = measure.filter(|_| scope == AttScope::Number);
        Some(CampaignLimits {
            att: place("att"),
            other: place("other"),
            each,
            day,
            counts_unknown: brand.counts_unknown,
        })
    }

    fn put_number(
        &mut self,
        digits: &[u8],
        number: &SourceNumber,
        campaign: Option<CampaignLimits>,
        input: &LimitsInput,
    ) -> NumberLimits {
        let name = String::from_utf8_lossy(digits).into_owned();
        let rules = &input.rules;
        let by_kind = match number.kind {
            NumberKind::TollFree => rules.toll_free_milli,
            NumberKind::ShortCode => rules.short_code_milli,
            NumberKind::LongCode if campaign.is_none() => rules.long_code_milli,
            NumberKind::LongCode => 0,
        };
        let rate_milli = number.rate_milli.unwrap_or(by_kind);
        let burst = number.burst.unwrap_or((rate_milli / 1000).max(NUMBER_BURST_MIN) as u32);
        let own = (rate_milli > 0).then_some(Measure::PerSecond { rate_milli, burst });
        let mut put = |name: &str, scope: Scope, measure: Option<Measure>| {
            self.put(scope, name, measure, input.when_away)
        };
        let own = put(&name, Scope::Source, own);
        let Some(campaign) = campaign else {
            return NumberLimits {
                own,
                att: NO_LIMIT,
                other: NO_LIMIT,
                verizon: NO_LIMIT,
                day: NO_LIMIT,
                counts_unknown: false,
                campaign: None,
            };
        };
        let verizon = (rules.verizon_per_minute > 0).then(|| {
            let (rate_milli, burst) = by_minute(rules.verizon_per_minute, None);
            Measure::PerSecond { rate_milli, burst }
        });
        let of_campaign = number.campaign.as_deref().unwrap_or_default();
        let mut each = |shared: u32, network: &str| match campaign.each {
            Some(_) => put(&format!("{of_campaign}/{name}/{network}"), Scope::Campaign, campaign.each),
            None => shared,
        };
        NumberLimits {
            own,
            att: each(campaign.att, "att"),
            other: each(campaign.other, "other"),
            verizon: put(&format!("{name}/verizon"), Scope::Source, verizon),
            day: campaign.day,
            counts_unknown: campaign.counts_unknown,
            campaign: Some(CampaignId::of_name(of_campaign.as_bytes())),
        }
    }
}

/// Mobile country codes of the United States.
const UNITED_STATES: core::ops::RangeInclusive<u16> = 310..=316;
/// What a number may send at once at least: a message of some segments.
const NUMBER_BURST_MIN: u64 = 10;

/// What the numbers of a campaign share.
#[derive(Clone, Copy, PartialEq, Eq)]
struct CampaignLimits {
    att: u32,
    other: u32,
    /// Each number has this for itself.
    each: Option<Measure>,
    day: u32,
    counts_unknown: bool,
}

fn by_second(rate: u32, burst: u32) -> Measure {
    Measure::PerSecond { rate_milli: u64::from(rate) * 1000, burst: burst.max(1) }
}

/// One limit that a message would be under.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LimitShown {
    /// What it is about.
    pub scope: Scope,
    /// Of whom or what.
    pub name: Box<str>,
    /// How much.
    pub measure: Measure,
}

/// The limits that a message would be under, in the order in which they are asked; those of vendors last, of all vendors
/// named. For explanations: nothing is taken.
pub fn limits_of(
    snapshot: &Snapshot,
    account: AccountId,
    source: &[u8],
    destination: &[u8],
    vendors: &[VendorId],
) -> Vec<LimitShown> {
    let table = snapshot.limit_table();
    let mut shown = Vec::new();
    let by_bind = |scope, name: &str, rate: u32, burst: u32| {
        let measure = by_second(rate, burst);
        (rate > 0).then(|| LimitShown { scope, name: name.into(), measure })
    };
    if let Some(account) = snapshot.account(account) {
        shown.extend(by_bind(Scope::Bind, &account.name, account.bind_rate, account.bind_rate));
    }
    let mut places = vec![snapshot.account_place(account).map_or(NO_LIMIT, |place| table.of_account(place))];
    if let Some(number) = table.of_source(source) {
        let (campaign, day) = number.to(table.carrier(snapshot.networks().find(destination)));
        places.extend([number.own, campaign, day]);
    }
    let of_vendor = |id| snapshot.vendor_place(id).map_or(NO_LIMIT, |place| table.of_vendor(place));
    places.extend(vendors.iter().map(|id| of_vendor(*id)));
    shown.extend(places.into_iter().filter(|place| *place != NO_LIMIT).map(|place| {
        let spec = &table.specs[place as usize];
        LimitShown { scope: spec.scope, name: spec.name.clone(), measure: spec.measure }
    }));
    for vendor in vendors.iter().filter_map(|id| snapshot.vendor(*id)) {
        shown.extend(by_bind(Scope::VendorBind, &vendor.name, vendor.rate_per_bind, 1));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{NetworkCode, NetworkRule};
    use crate::snapshot::SnapshotInput;

    fn number(digits: &str, kind: NumberKind, campaign: Option<&str>) -> SourceNumber {
        let campaign = campaign.map(Into::into);
        SourceNumber { digits: digits.into(), kind, campaign, rate_milli: None, burst: None }
    }

    fn campaign(name: &str, class: char) -> Campaign {
        let (name, brand) = (name.into(), "shop".into());
        Campaign { name, brand, class, per_minute: None, burst: None, scope: None }
    }

    fn input() -> SnapshotInput {
        let network = |prefix: &str, code: &str, carrier: &str| NetworkRule {
            prefix: prefix.into(),
            code: NetworkCode::parse(code).unwrap(),
            carrier: carrier.into(),
        };
        SnapshotInput {
            accounts: vec![Account { rate: 50, burst: 60, bind_rate: 7, ..Account::new("acme") }],
            vendors: vec![Vendor { rate: 9, burst: 3, rate_per_bind: 4, ..Vendor::new("west") }],
            networks: vec![
                network("1310", "310410", "att"),
                network("1312", "310260", "tmobile"),
                network("1313", "311480", "Verizon"),
                network("1314", "311580", "uscellular"),
                network("44", "23415", "vodafone"),
            ],
            carriers: LimitsInput {
                numbers: vec![
                    number("+12025550100", NumberKind::LongCode, Some("offers")),
                    number("12025550101", NumberKind::LongCode, Some("offers")),
                    number("12025550102", NumberKind::LongCode, Some("agents")),
                    number("12025550103", NumberKind::LongCode, None),
                    number("18005550100", NumberKind::TollFree, None),
                    number("12345", NumberKind::ShortCode, None),
                ],
                campaigns: vec![campaign("offers", 'E'), campaign("agents", 'N')],
                brands: vec![Brand {
                    name: "shop".into(),
                    tier: "low".into(),
                    daily_cap: None,
                    counts_unknown: false,
                }],
                ..LimitsInput::default()
            },
            ..SnapshotInput::default()
        }
    }

    fn names(snapshot: &Snapshot, source: &str, destination: &str) -> Vec<String> {
        let (acme, west) = (AccountId::of_name(b"acme"), VendorId::of_name(b"west"));
        let shown = limits_of(snapshot, acme, source.as_bytes(), destination.as_bytes(), &[west]);
        let all = shown.iter().map(|limit| format!("{} {}", limit.scope.label(), limit.name));
        all.filter(|name| !name.ends_with("acme") && !name.ends_with("west")).collect()
    }

    #[test]
    fn a_source_and_a_network_decide_which_limits_hold() {
        let snapshot = Snapshot::compile(input()).unwrap();
        let check = |source: &str, destination: &str, expected: &[&str]| {
            assert_eq!(names(&snapshot, source, destination), expected, "{source} {destination}");
        };
        check("12025550100", "13105550111", &["campaign offers/att"]);
        check("+12025550101", "+13105550111", &["campaign offers/att"]);
        check("12025550100", "19995550111", &["campaign offers/att"]);
        check("12025550100", "13125550111", &["brand shop"]);
        check("12025550100", "13135550111", &["number 12025550100/verizon"]);
        check("12025550100", "13145550111", &["campaign offers/other"]);
        check("12025550100", "447700900123", &[]);
        check("12025550102", "13105550111", &["campaign agents/12025550102/att"]);
        check("12025550103", "13105550111", &["number 12025550103"]);
        check("18005550100", "13105550111", &["number 18005550100"]);
        check("12345", "13125550111", &["number 12345"]);
        check("ACME", "13105550111", &[]);
        let all = limits_of(&snapshot, AccountId::of_name(b"acme"), b"", b"", &[VendorId::of_name(b"west")]);
        let scopes: Vec<_> = all.iter().map(|limit| limit.scope).collect();
        assert_eq!(scopes, [Scope::Bind, Scope::Account, Scope::Vendor, Scope::VendorBind]);
    }

    #[test]
    fn each_rule_can_be_changed_and_switched_off() {
        let mut off = input();
        off.carriers.rules.att = false;
        off.carriers.rules.tmobile = false;
        off.carriers.rules.verizon_per_minute = 0;
        off.carriers.numbers[4].rate_milli = Some(0);
        let snapshot = Snapshot::compile(off).unwrap();
        for destination in ["13105550111", "13125550111", "13135550111", "13145550111"] {
            assert_eq!(names(&snapshot, "12025550100", destination), [""; 0]);
        }
        assert_eq!(names(&snapshot, "18005550100", "13105550111"), [""; 0]);
        let mut changed = input();
        changed.carriers.campaigns[0].per_minute = Some(600);
        changed.carriers.brands[0] =
            Brand { daily_cap: Some(77), counts_unknown: true, ..changed.carriers.brands[0].clone() };
        let snapshot = Snapshot::compile(changed).unwrap();
        assert_eq!(names(&snapshot, "12025550100", "19995550111"), ["campaign offers/att", "brand shop"]);
        let specs = snapshot.limit_table().specs();
        let measure = |name: &str| specs.iter().find(|spec| &*spec.name == name).unwrap().measure;
        assert_eq!(measure("shop"), Measure::PerDay { cap: 77 });
        assert_eq!(measure("offers/att"), Measure::PerSecond { rate_milli: 9_500, burst: 30 });
    }

    #[test]
    fn all_mistakes_are_reported() {
        let mut wrong = input();
        wrong.carriers.numbers[1].digits = "12025550100".into();
        wrong.carriers.numbers[3].digits = "12x".into();
        wrong.carriers.numbers[4].campaign = Some("none".into());
        wrong.carriers.campaigns.push(campaign("odd", 'Q'));
        wrong.carriers.campaigns.push(Campaign { brand: "none".into(), ..campaign("lost", 'E') });
        let expected = [
            Mistake::CampaignInvalid { campaign: 2 },
            Mistake::CampaignInvalid { campaign: 3 },
            Mistake::SourceNumberTwice { number: 1 },
            Mistake::SourceNumberInvalid { number: 3 },
            Mistake::SourceCampaignUnknown { number: 4 },
        ];
        assert_eq!(Snapshot::compile(wrong).unwrap_err(), expected);
    }
}
