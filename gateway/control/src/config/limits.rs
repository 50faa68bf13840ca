//! `[limits]`: what holds for source numbers, campaigns and brands where nothing else is said.

use super::reader::Section;
use super::setting::{Fallback, Kind, SectionKind, Setting};
use relay::{CarrierRules, WhenAway};

/// What carriers allow.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Rates and switches.
    pub rules: CarrierRules,
    /// What limits of numbers and campaigns do while Redis is away.
    pub when_away: WhenAway,
}

/// The policies, as they are written.
pub(crate) const WHEN_AWAY: &[&str] = &["share", "last", "closed", "open"];
/// Their help, after the name of what they are about.
pub(crate) const WHEN_AWAY_HELP: &str = "While Redis is away: `share` lets each node pass its even share, a part in nodes_max of the rate; `last` the share that it had before; `closed` nothing; `open` everything.";

pub(crate) static SECTION: SectionKind = SectionKind {
    name: "limits",
    entry_key: None,
    help: "What carriers of the United States allow source numbers, campaigns and brands, in segments; the figures are in `docs/decisions/0019-limits.md`. Without a `[[number]]` nothing of it is asked.",
    settings: &[
        Setting {
            key: "att",
            kind: Kind::Flag,
            default: Fallback::Value("true"),
            help: "AT&T's segments a minute by a campaign's class. Destinations of which no `[[network]]` knows the carrier count as AT&T's.",
        },
        Setting {
            key: "tmobile",
            kind: Kind::Flag,
            default: Fallback::Value("true"),
            help: "T-Mobile's segments a day by a brand's tier, from midnight to midnight in Los Angeles. Needs a `[[network]]` with carrier `tmobile`.",
        },
        Setting {
            key: "verizon_per_minute",
            kind: Kind::Whole { min: 0, max: 1_000_000 },
            default: Fallback::Value("6000"),
            help: "Segments a minute to Verizon from one number of a campaign; 0 = unlimited.",
        },
        Setting {
            key: "toll_free_rate",
            kind: Kind::Whole { min: 0, max: 1_000_000 },
            default: Fallback::Value("3"),
            help: "Segments a second of a toll-free number; 0 = unlimited. Aggregators allow 25 to 150 on request.",
        },
        Setting {
            key: "short_code_rate",
            kind: Kind::Whole { min: 0, max: 1_000_000 },
            default: Fallback::Value("100"),
            help: "Segments a second of a short code; 0 = unlimited.",
        },
        Setting {
            key: "long_code_rate",
            kind: Kind::Whole { min: 0, max: 1_000_000 },
            default: Fallback::Value("1"),
            help: "Segments a second of a long code without a campaign; 0 = unlimited.",
        },
        Setting {
            key: "when_away",
            kind: Kind::Choice(WHEN_AWAY),
            default: Fallback::Value("share"),
            help: "Of numbers and campaigns, where nodes lease tokens from Redis: `share`, `last`, `closed` or `open`, as `rate_when_away` of a customer. What a node has leased of a day's cap it may use; no more.",
        },
    ],
};

pub(crate) fn read(section: &Section<'_>) -> Limits {
    let milli = |key| section.whole(key) * 1000;
    Limits {
        rules: CarrierRules {
            att: section.flag("att"),
            tmobile: section.flag("tmobile"),
            verizon_per_minute: section.whole_u32("verizon_per_minute"),
            toll_free_milli: milli("toll_free_rate"),
            short_code_milli: milli("short_code_rate"),
            long_code_milli: milli("long_code_rate"),
        },
        when_away: when_away(&section.text("when_away")),
    }
}

pub(crate) fn when_away(text: &str) -> WhenAway {
    match text {
        "closed" => WhenAway::Closed,
        "last" => WhenAway::Last,
        "open" => WhenAway::Open,
        _ => WhenAway::Share,
    }
}
