//! What no single section can see: names that nothing defines, things defined twice.

use super::mistake::{At, Mistakes, Place};
use super::reader::remedy_for_unknown;
use super::{Config, StoreKind, Vendor};
use std::collections::BTreeMap;

/// Notes every contradiction between the parts of a configuration, whatever its source.
pub(crate) fn check(config: &Config, mistakes: &Mistakes) {
    let customers = once("customer", config.customers.iter().map(|customer| &customer.system_id), mistakes);
    let vendors = once("vendor", config.vendors.iter().map(|vendor| &vendor.name), mistakes);
    check_vendor_accounts(config, mistakes);
    check_routes(config, &customers, &vendors, mistakes);
    check_numbers(config, mistakes);
    check_names(config, mistakes);
    check_mo_routes(config, &customers, mistakes);
    check_networks(config, mistakes);
    check_carriers(config, &customers, mistakes);
    let error_maps = once("error_map", config.error_maps.iter().map(|map| &map.name), mistakes);
    for name in config.vendors.iter().filter_map(|vendor| vendor.error_map.as_ref()) {
        if !error_maps.contains_key(name.value.as_str()) {
            let remedy = remedy_for_unknown(&name.value, error_maps.keys().copied());
            mistakes.add(&name.place, format!("vendor: no error_map \"{}\"", name.value), remedy);
        }
    }
    for vendor in config.vendors.iter().filter(|vendor| vendor.response_timeout >= REMOTE_WAIT_MAX) {
        let what =
            format!("vendor \"{}\": response_timeout is longer than another shard waits", vendor.name.value);
        mistakes.add(&vendor.place, what, format!("make it shorter than {} s", REMOTE_WAIT_MAX.as_secs()));
    }
}

/// Entries of one account at an SMSC agree on what is the account's.
fn check_vendor_accounts(config: &Config, mistakes: &Mistakes) {
    let mut accounts: BTreeMap<&str, &Vendor> = BTreeMap::new();
    for vendor in &config.vendors {
        let account = vendor.account.as_deref().unwrap_or(&vendor.name.value);
        let first = *accounts.entry(account).or_insert(vendor);
        let same = [
            ("id_rule", vendor.id_rule == first.id_rule),
            ("receipt_addresses", vendor.receipts_without_number == first.receipts_without_number),
            ("rate", vendor.rate == first.rate),
            ("burst", vendor.burst == first.burst),
            ("rate_when_away", vendor.when_away == first.when_away),
            ("throttle_pause", vendor.throttle_pause == first.throttle_pause),
        ];
        for (setting, _) in same.iter().filter(|(_, is_same)| !is_same) {
            let (name, other) = (&vendor.name.value, &first.name.value);
            let what = format!("vendor \"{name}\": {setting} is not that of \"{other}\"");
            mistakes.add(
                &vendor.place,
                what,
                format!("both are of account \"{account}\": give both the same"),
            );
        }
    }
}

/// A vendor may not take longer than this to answer; queue and delivery waits come on top of it in the relay.
const REMOTE_WAIT_MAX: std::time::Duration = std::time::Duration::from_secs(300);

/// Every name may be defined once.
fn once<'a>(
    kind: &str,
    names: impl Iterator<Item = &'a At<String>>,
    mistakes: &Mistakes,
) -> BTreeMap<&'a str, &'a Place> {
    let mut seen: BTreeMap<&str, &Place> = BTreeMap::new();
    for name in names.filter(|name| !name.value.is_empty()) {
        match seen.get(name.value.as_str()) {
            Some(first) => {
                let what = format!("{kind} \"{}\" is defined a second time (first at {first})", name.value);
                mistakes.add(&name.place, what, "rename one or remove it");
            }
            None => drop(seen.insert(&name.value, &name.place)),
        }
    }
    seen
}

fn check_routes(
    config: &Config,
    customers: &BTreeMap<&str, &Place>,
    vendors: &BTreeMap<&str, &Place>,
    mistakes: &Mistakes,
) {
    for route in &config.routes {
        if let Some(customer) = &route.customer
            && !customers.contains_key(customer.value.as_str())
        {
            let what = format!("route: no customer \"{}\"", customer.value);
            mistakes.add(
                &customer.place,
                what,
                remedy_for_unknown(&customer.value, customers.keys().copied()),
            );
        }
        for (index, vendor) in route.vendors.iter().enumerate() {
            let name = &vendor.name;
            if !vendors.contains_key(name.value.as_str()) {
                let what = format!("route: no vendor \"{}\"", name.value);
                mistakes.add(&name.place, what, remedy_for_unknown(&name.value, vendors.keys().copied()));
            }
            if route.cheapest && vendor.price.is_none() {
                let what = format!("route: vendor \"{}\" has no price", name.value);
                mistakes.add(&name.place, what, "give it a price, or leave cheapest out");
            }
            if route.vendors[..index].iter().any(|earlier| earlier.name.value == name.value) {
                mistakes.add(
                    &name.place,
                    format!("route: vendor \"{}\" stands twice", name.value),
                    "name it once",
                );
            }
        }
    }
}

/// Notes what customers, vendors and routes ask of a node and this one has not. Not for an import: its file is no node's.
pub(crate) fn check_node(config: &Config, mistakes: &Mistakes) {
    let Some(vendor) = config.vendors.iter().find(|vendor| vendor.is_shared()) else { return };
    let name = &vendor.name.value;
    let setting = if vendor.binds_total.is_some() { "binds_total" } else { "receivers_total" };
    if config.store.kind != StoreKind::Redis {
        let what = format!("vendor \"{name}\": {setting} needs Redis");
        mistakes.add(&vendor.place, what, "set [store] kind = \"redis\", or give each node its own");
    }
    if config.cluster.secret.is_none() {
        let what = format!("vendor \"{name}\": {setting} needs [cluster] secret");
        mistakes.add(&vendor.place, what, "give all nodes one secret or secret_file");
    }
    if config.cluster.address.is_none() && config.listen.smpp.ip().is_unspecified() {
        let what =
            format!("vendor \"{name}\": {setting} needs an address that other nodes reach this one at");
        mistakes.add(&vendor.place, what, "set [cluster] address");
    }
}

/// Names that are taken.
fn check_names(config: &Config, mistakes: &Mistakes) {
    let is_node = |customer: &&super::Customer| customer.system_id.value == shard::NODE_SYSTEM_ID;
    if let Some(customer) = config.customers.iter().find(is_node) {
        let what = format!("customer: \"{}\" is what nodes bind as", shard::NODE_SYSTEM_ID);
        mistakes.add(&customer.system_id.place, what, "choose another system_id");
    }
}

fn check_numbers(config: &Config, mistakes: &Mistakes) {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for number in &config.numbers {
        let Some(customer) = &number.customer else { continue };
        let digits = number.number.value.strip_prefix('+').unwrap_or(&number.number.value);
        owners.insert(digits, &customer.value); // the number itself stands once; see `check_carriers`
    }
    let told = owners.clone();
    for customer in &config.customers {
        for number in &customer.numbers {
            let digits = number.value.strip_prefix('+').unwrap_or(&number.value);
            let name = customer.system_id.value.as_str();
            let first_again = owners.get(digits) == told.get(digits) && told.get(digits) == Some(&name);
            if let Some(owner) = owners.insert(digits, name)
                && !first_again
            {
                let what = format!("number {digits} belongs to \"{owner}\" already");
                mistakes.add(&number.place, what, "give it to one customer");
            }
        }
    }
}

fn check_mo_routes(config: &Config, customers: &BTreeMap<&str, &Place>, mistakes: &Mistakes) {
    let mut seen: BTreeMap<(&str, String), &Place> = BTreeMap::new();
    for route in &config.mo_routes {
        let (number, customer) = (&route.number, &route.customer);
        if !customer.value.is_empty() && !customers.contains_key(customer.value.as_str()) {
            let what = format!("mo_route: no customer \"{}\"", customer.value);
            let remedy = remedy_for_unknown(&customer.value, customers.keys().copied());
            mistakes.add(&customer.place, what, remedy);
        }
        let digits = number.value.strip_prefix('+').unwrap_or(&number.value);
        for keyword in &route.keywords {
            let folded = keyword.value.to_ascii_lowercase();
            if let Some(first) = seen.insert((digits, folded), &keyword.place) {
                let what =
                    format!("mo_route: {digits} has the keyword \"{}\" already (at {first})", keyword.value);
                mistakes.add(&keyword.place, what, "remove one of them; ASCII case does not count");
            }
        }
    }
}

/// Every prefix may be told to one network.
fn check_networks(config: &Config, mistakes: &Mistakes) {
    let mut seen: BTreeMap<&str, &Place> = BTreeMap::new();
    for prefix in config.networks.iter().map(|network| &network.prefix) {
        let digits = prefix.value.strip_prefix('+').unwrap_or(&prefix.value);
        if let Some(first) = seen.insert(digits, &prefix.place)
            && !digits.is_empty()
        {
            let what = format!("network: prefix {digits} has its network already (at {first})");
            mistakes.add(&prefix.place, what, "remove one of them");
        }
    }
}

/// Numbers, campaigns and brands name one another and their customers.
fn check_carriers(config: &Config, customers: &BTreeMap<&str, &Place>, mistakes: &Mistakes) {
    let brands = once("brand", config.brands.iter().map(|brand| &brand.name), mistakes);
    let campaigns = once("campaign", config.campaigns.iter().map(|campaign| &campaign.name), mistakes);
    let known = |of: &str, what: &str, name: &At<String>, names: &BTreeMap<&str, &Place>| {
        if !name.value.is_empty() && !names.contains_key(name.value.as_str()) {
            let remedy = remedy_for_unknown(&name.value, names.keys().copied());
            mistakes.add(&name.place, format!("{of}: no {what} \"{}\"", name.value), remedy);
        }
    };
    for campaign in &config.campaigns {
        known("campaign", "brand", &campaign.brand, &brands);
    }
    let mut seen: BTreeMap<&str, &Place> = BTreeMap::new();
    for number in &config.numbers {
        number.customer.iter().for_each(|name| known("number", "customer", name, customers));
        number.campaign.iter().for_each(|name| known("number", "campaign", name, &campaigns));
        let digits = number.number.value.strip_prefix('+').unwrap_or(&number.number.value);
        if let Some(first) = seen.insert(digits, &number.number.place)
            && !digits.is_empty()
        {
            let what = format!("number {digits} is defined a second time (first at {first})");
            mistakes.add(&number.number.place, what, "remove one of them");
        }
    }
}
