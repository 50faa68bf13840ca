//! From the plain model to what the layers take: the relay's snapshot, the shards' plan, the store's options, the
//! credentials of customers.

use super::Config;
use super::mistake::{Mistake, Mistakes, Place};
use super::redis::Redis;
use super::store::{StoreKind, WriteOrder};
use super::vendors::Vendor;
use crate::auth::Guests;
use crate::cdr::{CdrOptions, FileOptions, PostgresOptions};
use crate::names::VendorNames;
use link::backoff::BackoffOptions;
use relay::{
    Account, AccountId, Correlate, KeywordRule, Limits, LimitsInput, Mode, NetworkRule, RangePolicy,
    Snapshot, SnapshotInput, SourceNumber, Sources, SpoolRules, VendorId, WeightedVendor,
};
use shard::{AddressSlot, CustomerOptions, Plan, VendorOptions};
use smpp::field::{Npi, Ton};
use smpp::session::Timers;
use std::sync::Arc;
use std::time::Duration;
use store::lease::rates::RatesOptions;
use store::spool::SpoolOptions;
use store::{Durability, OlderNames, StoreOptions};

/// What the layers take.
#[derive(Debug)]
pub struct Built {
    /// The data plane's configuration.
    pub plan: Arc<Plan>,
    /// The store to open; none when receipts are not correlated.
    pub store: Option<StoreOptions>,
    /// The spool to open; none when no customer uses it and none was ever used.
    pub spool: Option<SpoolOptions>,
    /// Nodes that share limits; 0 = this one is alone.
    pub nodes_max: u32,
    /// Who keeps the tokens of limits.
    pub rates: RatesOptions,
    /// Where records go; none when none are made.
    pub cdr: Option<CdrOptions>,
    /// Who may bind, and how they prove it.
    pub guests: Guests,
    /// The vendors' hosts, to be looked up again.
    pub names: Vec<VendorNames>,
    /// What is right but deserves a look.
    pub warnings: Vec<String>,
}

/// Part of the jitter of reconnects: half of the pause is left to chance, so that binds do not come back as one.
const RECONNECT_JITTER_PERCENT: u32 = 50;
/// How long an orderly unbind may take before the link is closed anyway.
const UNBIND_TIMEOUT: Duration = Duration::from_secs(2);
/// Air above what a message may take on another shard, so that a definite outcome arrives before it is given up.
const REMOTE_AIR: Duration = Duration::from_secs(5);

/// Compiles a configuration. Looks up no names: see [`crate::names`].
///
/// # Errors
/// What the relay's compiler finds, with its place.
pub fn build(config: &Config) -> Result<Built, Vec<Mistake>> {
    let snapshot = snapshot(config)?;
    let mut warnings = Vec::new();
    let mut names: Vec<VendorNames> = Vec::with_capacity(config.vendors.len());
    let mut vendors = Vec::with_capacity(config.vendors.len());
    for vendor in &config.vendors {
        let hosts = VendorNames::new(&vendor.name.value, &vendor.addresses);
        let options = vendor_options(vendor, hosts.slot());
        let receivers = if vendor.enabled { vendor.receivers_max() } else { 0 };
        let receivers =
            (receivers > 0).then(|| options.receivers(receivers, vendor.receivers_total.is_some()));
        vendors.push(options);
        vendors.extend(receivers);
        names.push(hosts);
    }
    if config.customers.is_empty() {
        warnings.push("no customer is defined: nobody can bind".into());
    }
    if config.routes.is_empty() {
        warnings.push("no route is defined: every message is refused".into());
    }
    let session = &config.session;
    let mut plan = Plan {
        snapshot: Arc::new(snapshot),
        customers: config
            .customers
            .iter()
            .filter(|customer| customer.enabled)
            .map(customer_options)
            .collect(),
        vendors,
        customer_timers: Timers {
            bind: session.bind_timeout,
            response: session.response_timeout,
            enquire_link: session.enquire_link,
            inactivity: session.inactivity,
            finish: session.finish_timeout,
            unbind: UNBIND_TIMEOUT,
        },
        pdu_size_max: session.pdu_size_max,
    };
    plan.sort();
    let credential = |customer: &super::Customer| {
        let system_id = customer.system_id.value.as_bytes();
        // One that is switched off proves itself as others do, and is then told that it is.
        let credential = customer.credential.clone()?;
        Some((AccountId::of_name(system_id), system_id.into(), credential))
    };
    Ok(Built {
        plan: Arc::new(plan),
        store: store_options(config),
        spool: spool_options(config),
        rates: RatesOptions {
            redis: config.store.redis.as_ref().map(|redis| (redis.options(), config.node.id)),
            directory: config.node.state_directory.clone(),
        },
        nodes_max: config.store.redis.as_ref().map_or(0, |redis| redis.nodes_max),
        cdr: cdr_options(config),
        guests: Guests {
            credentials: config.customers.iter().filter_map(credential).collect(),
            trusted_proxies: config.listen.trusted_proxies.clone(),
        },
        names,
        warnings,
    })
}

/// Compiles what decides about messages, and nothing else: no host is looked up.
///
/// # Errors
/// What the relay's compiler finds, with its place.
pub fn snapshot(config: &Config) -> Result<Snapshot, Vec<Mistake>> {
    Snapshot::compile(snapshot_input(config)).map_err(|mistakes| explain(config, &mistakes))
}

fn snapshot_input(config: &Config) -> SnapshotInput {
    let slowest_vendor =
        config.vendors.iter().map(|vendor| vendor.response_timeout).max().unwrap_or_default();
    let is_shared = config.vendors.iter().any(|vendor| vendor.is_shared());
    // On its way through another node a message may wait there once more.
    let node_wait = if is_shared { config.relay.queue_wait_max + REMOTE_AIR } else { Duration::ZERO };
    let defaults = Limits::default();
    let limits = Limits {
        queue_max: config.relay.queue_max,
        queue_wait_max: config.relay.queue_wait_max,
        messages_max: config.relay.messages_max,
        deliveries_max: config.relay.deliveries_max,
        unknown_window: config.relay.unknown_window,
        remote_wait_max: defaults
            .remote_wait_max
            .max(slowest_vendor + config.relay.queue_wait_max + node_wait + REMOTE_AIR),
        pdu_size_max: config.session.pdu_size_max,
        ..defaults
    };
    let account = |customer: &super::Customer| Account {
        rate: customer.rate.value,
        burst: customer.burst,
        bind_rate: customer.bind_rate,
        when_away: customer.when_away,
        sources_of_others: customer.sources_of_others,
        sources: Sources::of(customer.sources.iter().map(|source| source.value.as_str())),
        mode: customer.mode,
        unknown_outcome: customer.unknown_outcome,
        deduplicate: customer.deduplicate,
        deduplicate_window: customer.deduplicate_window,
        numbers: numbers_of(config, customer),
        reassemble: customer.reassemble,
        version: customer.version,
        address_range: customer.address_range,
        ..Account::new(&customer.system_id.value)
    };
    SnapshotInput {
        version: config.version,
        accounts: config.customers.iter().map(account).collect(),
        vendors: config.vendors.iter().map(|vendor| vendor_rules(config, vendor)).collect(),
        routes: config.routes.iter().map(route_rule).collect(),
        keywords: keyword_places(config).map(|(rule, _)| rule).collect(),
        carriers: carriers(config),
        networks: config.networks.iter().filter_map(network_rule).collect(),
        limits,
        circuits: config.relay.circuits,
        correlate: match (config.store.kind, config.store.write_order) {
            (StoreKind::None, _) => Correlate::None,
            (StoreKind::Embedded | StoreKind::Redis, WriteOrder::Strict) => Correlate::Strict,
            (StoreKind::Embedded | StoreKind::Redis, WriteOrder::Relaxed) => Correlate::Relaxed,
        },
        spool: spool_options(config).map(|_| SpoolRules {
            validity: config.spool.validity,
            retry_first: config.spool.retry_first,
            retry_max: config.spool.retry_max,
            unknown_copies_max: config.spool.unknown_copies_max,
        }),
        records: config.cdr.is_on(),
    }
}

fn vendor_rules(config: &Config, vendor: &Vendor) -> relay::Vendor {
    relay::Vendor {
        rate_per_bind: vendor.rate_per_bind,
        rate: vendor.rate,
        burst: vendor.burst,
        when_away: vendor.when_away,
        throttle_pause: vendor.throttle_pause,
        id_rule: vendor.id_rule,
        receipts_without_number: vendor.receipts_without_number,
        account: vendor.account.as_deref().map(Into::into),
        receipts_unmarked: vendor.receipts_unmarked,
        encodings: vendor.encodings,
        pdu_size_max: vendor.pdu_size_max,
        strict_values: vendor.strict_values,
        version: vendor.version,
        error_map: error_rules(config, vendor),
        ..relay::Vendor::new(&vendor.name.value)
    }
}

/// The keywords of all numbers, each with its place, in the order that the relay's compiler counts them in.
fn keyword_places(config: &Config) -> impl Iterator<Item = (KeywordRule, &Place)> + '_ {
    config.mo_routes.iter().flat_map(|route| {
        let account = AccountId::of_name(route.customer.value.as_bytes());
        route.keywords.iter().map(move |keyword| {
            let (number, place) = (route.number.value.as_str().into(), &keyword.place);
            (KeywordRule { number, keyword: keyword.value.as_str().into(), account }, place)
        })
    })
}

/// The numbers of a customer, those of `[[number]]` among them, each once.
fn numbers_of(config: &Config, customer: &super::Customer) -> Vec<Box<str>> {
    let name = customer.system_id.value.as_str();
    let told = config.numbers.iter().filter(|number| {
        number.customer.as_ref().is_some_and(|owner| owner.value == name)
            && !customer.numbers.iter().any(|own| digits(&own.value) == digits(&number.number.value))
    });
    let own = customer.numbers.iter().map(|number| &number.value);
    own.chain(told.map(|number| &number.number.value)).map(|number| number.as_str().into()).collect()
}

fn digits(number: &str) -> &str {
    number.strip_prefix('+').unwrap_or(number)
}

fn carriers(config: &Config) -> LimitsInput {
    let number = |number: &super::Number| SourceNumber {
        digits: number.number.value.as_str().into(),
        kind: number.kind,
        campaign: number.campaign.as_ref().map(|campaign| campaign.value.as_str().into()),
        rate_milli: number.rate.map(|rate| u64::from(rate) * 1000),
        burst: number.burst,
    };
    let campaign = |campaign: &super::Campaign| relay::Campaign {
        name: campaign.name.value.as_str().into(),
        brand: campaign.brand.value.as_str().into(),
        class: campaign.class,
        per_minute: campaign.per_minute,
        burst: campaign.burst,
        scope: campaign.scope,
    };
    let brand = |brand: &super::Brand| relay::Brand {
        name: brand.name.value.as_str().into(),
        tier: brand.tier.as_str().into(),
        daily_cap: brand.daily_cap,
        counts_unknown: brand.counts_unknown,
    };
    LimitsInput {
        numbers: config.numbers.iter().map(number).collect(),
        campaigns: config.campaigns.iter().map(campaign).collect(),
        brands: config.brands.iter().map(brand).collect(),
        rules: config.limits.rules,
        when_away: config.limits.when_away,
    }
}

fn route_rule(route: &super::Route) -> relay::Route {
    relay::Route {
        prefix: route.prefix.value.as_str().into(),
        account: route.customer.as_ref().map(|customer| AccountId::of_name(customer.value.as_bytes())),
        conditions: route.conditions.clone(),
        priority: route.priority,
        unknown_outcome: route.unknown_outcome,
        cheapest: route.cheapest,
        rewrite: route.rewrite.clone(),
        vendors: route
            .vendors
            .iter()
            .map(|vendor| WeightedVendor {
                vendor: VendorId::of_name(vendor.name.value.as_bytes()),
                weight: vendor.weight,
                price: vendor.price,
            })
            .collect(),
    }
}

/// The rules of a vendor's error map; none where it names none, or one that is not there, which is a mistake noted
/// elsewhere.
fn error_rules(config: &Config, vendor: &Vendor) -> Vec<relay::ErrorRule> {
    let Some(name) = &vendor.error_map else { return Vec::new() };
    let found = config.error_maps.iter().find(|map| map.name.value == name.value);
    found.map(|map| map.rules.clone()).unwrap_or_default()
}

fn network_rule(network: &super::Network) -> Option<NetworkRule> {
    let (prefix, carrier) = (network.prefix.value.as_str().into(), network.carrier.as_str().into());
    network.code.map(|code| NetworkRule { prefix, code, carrier })
}

fn customer_options(customer: &super::Customer) -> CustomerOptions {
    let system_id = customer.system_id.value.as_bytes();
    CustomerOptions {
        account: AccountId::of_name(system_id),
        system_id: system_id.into(),
        bind_kinds: customer.bind_kinds,
        binds_max: customer.binds_max,
        window: customer.window,
        networks: customer.networks.clone(),
        dialect: customer.dialect,
        version: customer.version,
        has_ranges: customer.address_range != RangePolicy::Ignore,
    }
}

fn vendor_options(vendor: &Vendor, addresses: AddressSlot) -> VendorOptions {
    let name = vendor.name.value.as_str();
    let password =
        vendor.password.as_ref().map(|password| String::from_utf8_lossy(password.expose()).into_owned());
    VendorOptions {
        id: VendorId::of_name(name.as_bytes()),
        binds_id: VendorId::of_name(name.as_bytes()),
        name: name.into(),
        addresses,
        tls: vendor.tls.clone(),
        system_id: vendor.system_id.as_str().into(),
        password: shard::Secret::new(&password.unwrap_or_default()),
        system_type: vendor.system_type.as_str().into(),
        bind_kind: vendor.bind_kind,
        version: vendor.version,
        addr_ton: Ton(vendor.addr_ton),
        addr_npi: Npi(vendor.addr_npi),
        address_range: vendor.address_range.as_str().into(),
        // It stays known: routes may name it, and receipts for what it has must find their way.
        binds: if vendor.enabled { vendor.binds_max() } else { 0 },
        is_shared: vendor.binds_total.is_some(),
        window: vendor.window,
        timers: Timers {
            bind: vendor.bind_timeout,
            response: vendor.response_timeout,
            enquire_link: vendor.enquire_link,
            inactivity: Duration::ZERO, // silence of a vendor is found by enquire_link
            finish: vendor.response_timeout,
            unbind: UNBIND_TIMEOUT,
        },
        dialect: vendor.dialect,
        reconnect: BackoffOptions {
            first: vendor.reconnect_first,
            max: vendor.reconnect_max,
            jitter_percent: RECONNECT_JITTER_PERCENT,
        },
    }
}

fn store_options(config: &Config) -> Option<StoreOptions> {
    let store = &config.store;
    if store.kind == StoreKind::None {
        return None;
    }
    Some(StoreOptions {
        durability: if store.sync_to_disk { Durability::Disk } else { Durability::Process },
        time_to_live_seconds: store.time_to_live.as_secs() as u32, // at most 7 days
        recent_max: store.recent_max as usize,
        parked_max: store.parked_max,
        parked_account_max: store.parked_max,
        release_rate: store.release_rate,
        early_wait_seconds: store.early_wait.as_secs() as u32,
        early_max: store.early_max,
        redis: store.redis.as_ref().map(Redis::options),
        older: older_names(config),
        ..StoreOptions::new(config.node.state_directory.join("store"))
    })
}

/// By which an older version's entries are found again.
fn older_names(config: &Config) -> OlderNames {
    let customers = config.customers.iter().map(|customer| customer.system_id.value.as_str());
    OlderNames::new(customers, config.vendors.iter().map(|vendor| vendor.name.value.as_str()))
}

/// What was acknowledged is owed, also to customers that use another mode by now: a spool that is there, or was, is opened.
fn spool_options(config: &Config) -> Option<SpoolOptions> {
    let directory = config.node.state_directory.join("spool");
    let is_used = config.customers.iter().any(|customer| customer.mode == Mode::StoreAndForward);
    let options = SpoolOptions {
        entries_max: config.spool.entries_max,
        octets_max: config.spool.octets_max,
        sync_notes: config.store.sync_to_disk,
        older: older_names(config),
        ..SpoolOptions::new(directory)
    };
    (is_used || options.is_there()).then_some(options)
}

fn cdr_options(config: &Config) -> Option<CdrOptions> {
    let cdr = &config.cdr;
    let file = cdr.to_file.then(|| FileOptions {
        directory: cdr.directory.clone(),
        node: config.node.id,
        size_max: cdr.rotate_mib << 20,
        age_max: cdr.rotate_after,
        keep: cdr.keep,
    });
    let url = cdr.postgres_url().filter(|_| cdr.to_postgres);
    cdr.is_on().then(|| CdrOptions {
        node: config.node.id,
        when_full: cdr.when_full,
        queue_max: cdr.queue_max as usize,
        recent_max: cdr.recent_max as usize,
        mask_addresses: cdr.mask_addresses,
        file,
        postgres: url.map(|url| PostgresOptions { url, keep_days: cdr.keep_days }),
    })
}

/// The relay's compiler speaks of indices; operators of places.
#[expect(clippy::too_many_lines, reason = "a flat table from each mistake to its words")]
fn explain(config: &Config, mistakes: &[relay::Mistake]) -> Vec<Mistake> {
    use relay::Mistake as M;
    let noted = Mistakes::default();
    let customer = |index: usize| config.customers.get(index).map_or(&Place::Default, |found| &found.place);
    let vendor = |index: usize| config.vendors.get(index).map_or(&Place::Default, |found| &found.place);
    let route = |index: usize| config.routes.get(index).map_or(&Place::Default, |found| &found.place);
    let route_vendor = |at: usize, index: usize| {
        config
            .routes
            .get(at)
            .and_then(|found| found.vendors.get(index))
            .map_or(route(at), |found| &found.name.place)
    };
    for mistake in mistakes {
        match mistake {
            M::AccountTwice { first, second } => {
                let what =
                    format!("this customer and the one at {} have one account number", customer(*first));
                noted.add(customer(*second), what, "rename one of them");
            }
            M::VendorTwice { first, second } => {
                let what = format!("this vendor and the one at {} have one number", vendor(*first));
                noted.add(vendor(*second), what, "rename one of them");
            }
            M::VendorsTooMany { max } => {
                noted.add(vendor(*max), "too many vendors", format!("use at most {max}"))
            }
            M::BurstZero { account } => noted.add(customer(*account), "a rate without a burst", "set burst"),
            M::UnknownStatusOk { account } => {
                noted.add(
                    customer(*account),
                    "an unknown outcome would be reported as success",
                    "choose an error status",
                );
            }
            M::NumberInvalid { account, number } | M::NumberTwice { account, number } => {
                let numbers = config.customers.get(*account).map(|found| &found.numbers);
                let place = numbers
                    .and_then(|numbers| numbers.get(*number))
                    .map_or(customer(*account), |found| &found.place);
                noted.add(place, "the number is none, or belongs to another customer", "correct it");
            }
            M::KeywordNumberInvalid { rule }
            | M::KeywordInvalid { rule }
            | M::KeywordTwice { rule }
            | M::KeywordAccountUnknown { rule } => {
                let place = keyword_places(config).nth(*rule).map_or(&Place::Default, |(_, place)| place);
                let what = "the keyword, its number or its customer does not fit, or it is there twice";
                noted.add(place, what, "correct it");
            }
            M::ErrorMapOk { vendor: at } => {
                noted.add(vendor(*at), "the error map makes success of an error", "correct it")
            }
            M::PrefixInvalid { route: at } => {
                noted.add(route(*at), "the prefix is none", "write up to 20 digits")
            }
            M::RouteAccountUnknown { route: at } => {
                noted.add(route(*at), "no such customer", "correct customer")
            }
            M::RouteVendorUnknown { route: at, vendor } => {
                noted.add(route_vendor(*at, *vendor), "no such vendor", "correct its name");
            }
            M::RouteVendorTwice { route: at, vendor } => {
                let what = "another route of this prefix, customer and priority names this vendor too";
                noted.add(
                    route_vendor(*at, *vendor),
                    what,
                    "name it once, or give one route another priority",
                );
            }
            M::RouteEmpty { route: at } => noted.add(route(*at), "route: no vendor", "name at least one"),
            M::WeightInvalid { route: at, vendor } => {
                noted.add(route_vendor(*at, *vendor), "the weights do not work", "use 1 to 1000000");
            }
            M::RouteVendorsTooMany { route: at, max } => {
                noted.add(
                    route(*at),
                    "too many vendors for one prefix and customer",
                    format!("use at most {max}"),
                );
            }
            M::PriceMissing { route: at, vendor } => {
                noted.add(route_vendor(*at, *vendor), "the vendor has no price", "give it one");
            }
            M::RewriteInvalid { route: at } => {
                noted.add(route(*at), "a rewrite is no address", "write up to 20 digits");
            }
            M::RewritesTooMany { max } => {
                noted.add(&Place::Default, "too many different rewrites", format!("use at most {max}"));
            }
            M::NetworkPrefixInvalid { network: at }
            | M::NetworkPrefixTwice { network: at }
            | M::NetworkCodeInvalid { network: at } => {
                let place = config.networks.get(*at).map_or(&Place::Default, |found| &found.place);
                noted.add(place, "the prefix or code is none, or the prefix is there twice", "correct it");
            }
            M::SourceNumberInvalid { number: at }
            | M::SourceNumberTwice { number: at }
            | M::SourceCampaignUnknown { number: at } => {
                let place = config.numbers.get(*at).map_or(&Place::Default, |found| &found.number.place);
                noted.add(
                    place,
                    "the number is none or there twice, or its campaign is not there",
                    "correct it",
                );
            }
            M::CampaignInvalid { campaign: at } => {
                let place = config.campaigns.get(*at).map_or(&Place::Default, |found| &found.name.place);
                noted.add(place, "the campaign's class is none, or its brand is not there", "correct it");
            }
            M::LimitsTooMany { max } => {
                noted.add(&Place::Default, "too many limits", format!("use at most {max}"));
            }
            M::NetworksTooMany { max } => {
                noted.add(&Place::Default, "too many networks", format!("use at most {max}"));
            }
            M::LimitInvalid { field } => {
                noted.add(&Place::Default, format!("{field} is out of bounds"), "correct it")
            }
        }
    }
    noted.into_sorted()
}
