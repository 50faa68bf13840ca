//! `[[route]]`: which vendors take which messages.

use super::customers::{UNKNOWN_OUTCOMES, check_digits, unknown_outcome};
use super::mistake::{At, Place};
use super::reader::Section;
use super::setting::{Fallback, Kind, SectionKind, Setting};
use relay::{
    CampaignId, Conditions, Encoding, Encodings, Hours, NetworkCode, NewAddress, Price, Rewrite,
    UnknownOutcome,
};

/// One rule: destinations, and who takes them.
#[derive(Clone, Debug)]
pub struct Route {
    /// Digits that the destination begins with; empty matches all.
    pub prefix: At<String>,
    /// Only for this customer.
    pub customer: Option<At<String>>,
    /// What must hold beside.
    pub conditions: Conditions,
    /// Lower is tried first.
    pub priority: u32,
    /// Policy for unknown outcomes; the customer's when it is not given.
    pub unknown_outcome: Option<UnknownOutcome>,
    /// Within its priority the cheapest vendor comes first.
    pub cheapest: bool,
    /// What changes on the way to its vendors.
    pub rewrite: Rewrite,
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
    /// What a message costs there.
    pub price: Option<Price>,
}

pub(crate) static SECTION: SectionKind = SectionKind {
    name: "route",
    entry_key: None,
    help: "Which vendors take which messages. The longest prefix wins, then a route of the customer's own, then the one with the most conditions (network, sources, campaign, encodings, hours) that all hold, then the lower priority.",
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
            key: "network",
            kind: Kind::Text { bytes_max: 6 },
            default: Fallback::Absent,
            help: "Only for destinations of this network by `[[network]]`: country and network code such as `\"310260\"`, or a country's such as `\"310\"`.",
        },
        Setting {
            key: "sources",
            kind: Kind::Texts { bytes_max: 21 },
            default: Fallback::Absent,
            help: "Only for source addresses that begin with one of these. A leading + is skipped.",
        },
        Setting {
            key: "campaign",
            kind: Kind::Text { bytes_max: 64 },
            default: Fallback::Absent,
            help: "Only for sources of this campaign.",
        },
        Setting {
            key: "encodings",
            kind: Kind::Choices(ENCODINGS),
            default: Fallback::Absent,
            help: "Only for texts of these encodings, as for vendors.",
        },
        Setting {
            key: "hours",
            kind: Kind::Text { bytes_max: 64 },
            default: Fallback::Absent,
            help: "Only for messages that arrive then: `\"08:00-20:00\"`, with days and an offset from UTC where wanted, such as `\"Mon-Fri 08:00-20:00 -05:00\"` or `\"Sat,Sun 22:00-06:00\"`. The offset does not change with summer time.",
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
            key: "cheapest",
            kind: Kind::Flag,
            default: Fallback::Value("false"),
            help: "Within its priority the vendor with the lowest price comes first, and weights only share among those of one price. Every vendor of it needs a price.",
        },
        Setting {
            key: "rewrite_source",
            kind: Kind::Text { bytes_max: 20 },
            default: Fallback::Absent,
            help: "Stands in for the source address on the way to the vendor. The customer's receipts keep its own.",
        },
        Setting {
            key: "rewrite_source_ton",
            kind: Kind::Whole { min: 0, max: 255 },
            default: Fallback::Absent,
            help: "Its type of number. Left out: 1 (international) for digits, 5 (alphanumeric) for others.",
        },
        Setting {
            key: "rewrite_source_npi",
            kind: Kind::Whole { min: 0, max: 255 },
            default: Fallback::Absent,
            help: "Its numbering plan. Left out: 1 (E.164) for digits, 0 for others.",
        },
        Setting {
            key: "destination_strip",
            kind: Kind::Text { bytes_max: 20 },
            default: Fallback::Value(""),
            help: "Digits taken from the beginning of the destination on the way to the vendor, where it begins so; with them goes a leading +.",
        },
        Setting {
            key: "destination_add",
            kind: Kind::Text { bytes_max: 20 },
            default: Fallback::Value(""),
            help: "Digits put before what is left of the destination; may begin with +. A message whose destination would have more than 20 characters goes as it is.",
        },
        Setting {
            key: "vendors",
            kind: Kind::Own("list of `{ name = \"...\", weight = 1, price = \"0.0042\" }`"),
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
        Setting {
            key: "price",
            kind: Kind::Text { bytes_max: 20 },
            default: Fallback::Absent,
            help: "What a message costs there: decimal text with up to six digits behind the point, in any one currency. Used with `cheapest`.",
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
            let price = vendor.text_if("price").and_then(|text| {
                let price = Price::parse(&text);
                if price.is_none() {
                    let what = format!("price \"{text}\" is none");
                    vendor.mistake("price", &what, "write decimal text such as \"0.0042\"");
                }
                price
            });
            Some(RouteVendor {
                name: vendor.text_at("name")?,
                weight: vendor.whole_u32("weight").max(1),
                price,
            })
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
        conditions: conditions(section),
        priority: section.whole_u32("priority"),
        unknown_outcome: section.text_if("unknown_outcome").map(|text| unknown_outcome(&text)),
        cheapest: section.flag("cheapest"),
        rewrite: rewrite(section),
        vendors,
        place: section.place.clone(),
    }
}

/// Names of encodings, as [`Encoding::name`] gives them.
pub(crate) const ENCODINGS: &[&str] = &["gsm7", "latin1", "ucs2", "binary"];

/// The encodings of a section; nothing when they were left out.
pub(crate) fn encodings(section: &Section<'_>) -> Option<Encodings> {
    let names = section.texts("encodings");
    let is_named = |one: &Encoding| names.iter().any(|name| name.value == one.name());
    let found = Encoding::ALL.into_iter().filter(is_named).fold(Encodings::NONE, Encodings::with);
    (!names.is_empty()).then_some(found)
}

fn conditions(section: &Section<'_>) -> Conditions {
    let network = section.text_if("network").and_then(|text| {
        let code = NetworkCode::parse(&text);
        if code.is_none() {
            let what = format!("network \"{text}\" is none");
            section.mistake(
                "network",
                &what,
                "write a country's code of three digits, and two or three of the network",
            );
        }
        code
    });
    let hours = section.text_if("hours").and_then(|text| {
        let hours = Hours::parse(&text);
        if hours.is_none() {
            let what = format!("hours \"{text}\" are none");
            section.mistake(
                "hours",
                &what,
                "write such as \"08:00-20:00\" or \"Mon-Fri 08:00-20:00 -05:00\"",
            );
        }
        hours
    });
    let sources = section.texts("sources");
    if section.has("sources") && sources.is_empty() {
        section.mistake("sources", "sources is an empty list", "name at least one, or leave it out");
    }
    Conditions {
        network,
        sources: sources.iter().map(|source| source.value.as_str().into()).collect(),
        campaign: section.text_if("campaign").map(|name| CampaignId::of_name(name.as_bytes())),
        encodings: encodings(section),
        hours,
    }
}

fn rewrite(section: &Section<'_>) -> Rewrite {
    let octet = |key, default| if section.has(key) { section.whole(key) as u8 } else { default }; // at most 255
    let source = section.text_if("rewrite_source").map(|digits| {
        let is_number = digits.bytes().all(|octet| octet.is_ascii_digit());
        if digits.is_empty() {
            section.mistake("rewrite_source", "rewrite_source is empty", "write an address, or leave it out");
        }
        let (ton, npi) = if is_number { (1, 1) } else { (5, 0) };
        NewAddress {
            ton: octet("rewrite_source_ton", ton),
            npi: octet("rewrite_source_npi", npi),
            digits: digits.as_str().into(),
        }
    });
    for key in ["rewrite_source_ton", "rewrite_source_npi"] {
        if section.has(key) && source.is_none() {
            section.mistake(
                key,
                &format!("{key} without rewrite_source"),
                "set rewrite_source, or leave it out",
            );
        }
    }
    let part = |key| {
        let text = section.text(key);
        if !text.strip_prefix('+').unwrap_or(&text).bytes().all(|octet| octet.is_ascii_digit()) {
            section.mistake(key, &format!("{key} \"{text}\" is no number"), "write digits");
        }
        text.into()
    };
    Rewrite { source, destination_strip: part("destination_strip"), destination_add: part("destination_add") }
}
