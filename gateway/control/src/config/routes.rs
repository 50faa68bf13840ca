//! `[[route]]`: which vendors take which messages.

use super::customers::{UNKNOWN_OUTCOMES, check_digits, unknown_outcome};
use super::mistake::{At, Place};
use super::reader::Section;
use super::setting::{Fallback, Kind, SectionKind, Setting};
use relay::UnknownOutcome;

/// One rule: destinations, and who takes them.
#[derive(Clone, Debug)]
pub struct Route {
    /// Digits that the destination begins with; empty matches all.
    pub prefix: At<String>,
    /// Only for this customer.
    pub customer: Option<At<String>>,
    /// Lower is tried first.
    pub priority: u32,
    /// Policy for unknown outcomes; the customer's when it is not given.
    pub unknown_outcome: Option<UnknownOutcome>,
    /// Who takes it.
    pub vendors: Vec<RouteVendor>,
    /// Where it is written.
    pub place: Place,
}

/// A vendor and its share.
#[derive(Clone, Debug)]
pub struct RouteVendor {
    /// The vendor.
    pub name: At<String>,
    /// Its share among the route's vendors.
    pub weight: u32,
}

pub(crate) static SECTION: SectionKind = SectionKind {
    name: "route",
    entry_key: None,
    help: "Which vendors take which messages. The longest prefix wins, then a route of the customer's own, then the lower priority.",
    settings: &[
        Setting {
            key: "prefix",
            kind: Kind::Text { bytes_max: 21 },
            default: Fallback::Required,
            help: "Digits that the destination begins with; `\"\"` matches all. A leading + is skipped.",
        },
        Setting {
            key: "customer",
            kind: Kind::Text { bytes_max: 15 },
            default: Fallback::Absent,
            help: "Only for this customer; such a route wins over a general one of the same prefix.",
        },
        Setting {
            key: "priority",
            kind: Kind::Whole { min: 0, max: 1_000_000 },
            default: Fallback::Value("10"),
            help: "Lower is tried first; the next one when every vendor of it is down, full or fails for a while.",
        },
        Setting {
            key: "unknown_outcome",
            kind: Kind::Choice(UNKNOWN_OUTCOMES),
            default: Fallback::Absent,
            help: "As for customers; wins over the customer's for messages that this route led to a vendor.",
        },
        Setting {
            key: "vendors",
            kind: Kind::Own("list of `{ name = \"...\", weight = 1 }`"),
            default: Fallback::Required,
            help: "Who takes it; messages are shared by weight, and a vendor that fails is followed by another.",
        },
    ],
};

pub(crate) static VENDOR: SectionKind = SectionKind {
    name: "vendors",
    entry_key: None,
    help: "A vendor of a route.",
    settings: &[
        Setting {
            key: "name",
            kind: Kind::Text { bytes_max: 64 },
            default: Fallback::Required,
            help: "The vendor's name.",
        },
        Setting {
            key: "weight",
            kind: Kind::Whole { min: 1, max: 1_000_000 },
            default: Fallback::Value("1"),
            help: "Its share among the route's vendors.",
        },
    ],
};

pub(crate) fn read(section: &Section<'_>) -> Route {
    let prefix = section.text_at("prefix").unwrap_or_else(|| At::new(String::new(), section.place.clone()));
    check_digits(section, &prefix, 0);
    let vendors: Vec<RouteVendor> = section
        .entries("vendors", &VENDOR)
        .iter()
        .filter_map(|vendor| {
            Some(RouteVendor { name: vendor.text_at("name")?, weight: vendor.whole_u32("weight").max(1) })
        })
        .collect();
    if vendors.is_empty()
        && section
            .own("vendors")
            .is_some_and(|list| list.get_ref().as_array().is_some_and(|list| list.is_empty()))
    {
        section.mistake("vendors", "vendors is an empty list", "name at least one vendor");
    }
    Route {
        prefix,
        customer: section.text_at("customer"),
        priority: section.whole_u32("priority"),
        unknown_outcome: section.text_if("unknown_outcome").map(|text| unknown_outcome(&text)),
        vendors,
        place: section.place.clone(),
    }
}
