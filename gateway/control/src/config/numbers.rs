//! `[[number]]`: source numbers, whose they are and what they may send.

use super::customers::check_digits;
use super::mistake::At;
use super::reader::Section;
use super::setting::{Fallback, Kind, SectionKind, Setting};
use relay::NumberKind;

/// A number that customers send from.
#[derive(Clone, Debug)]
pub struct Number {
    /// The number.
    pub number: At<String>,
    /// Whose messages from handsets to it are.
    pub customer: Option<At<String>>,
    /// Name of its 10DLC campaign.
    pub campaign: Option<At<String>>,
    /// What it is.
    pub kind: NumberKind,
    /// Segments a second over all networks; nothing = by its kind, 0 = unlimited.
    pub rate: Option<u32>,
    /// Segments at once.
    pub burst: Option<u32>,
}

pub(crate) static SECTION: SectionKind = SectionKind {
    name: "number",
    entry_key: Some("number"),
    help: "A number that messages are sent from, and what carriers allow it. Messages from other sources are under the limits of their customer alone.",
    settings: &[
        Setting {
            key: "number",
            kind: Kind::Text { bytes_max: 21 },
            default: Fallback::Required,
            help: "The number. Digits; a leading + is skipped.",
        },
        Setting {
            key: "customer",
            kind: Kind::Text { bytes_max: 15 },
            default: Fallback::Absent,
            help: "Whose messages from handsets to this number are: as if it stood among the `numbers` of that customer.",
        },
        Setting {
            key: "campaign",
            kind: Kind::Text { bytes_max: 64 },
            default: Fallback::Absent,
            help: "Name of the 10DLC campaign that it belongs to.",
        },
        Setting {
            key: "kind",
            kind: Kind::Choice(&["long_code", "toll_free", "short_code"]),
            default: Fallback::Value("long_code"),
            help: "What it is; decides its rate where none is given.",
        },
        Setting {
            key: "rate",
            kind: Kind::Whole { min: 0, max: 1_000_000 },
            default: Fallback::Absent,
            help: "Segments a second over all networks; 0 = unlimited. Left out: by its kind as `[limits]` says; a long code with a campaign has none but the campaign's.",
        },
        Setting {
            key: "burst",
            kind: Kind::Whole { min: 1, max: 10_000_000 },
            default: Fallback::Absent,
            help: "Segments above the rate in any interval. Left out: one second's worth, at least 10.",
        },
    ],
};

pub(crate) fn read(section: &Section<'_>) -> Number {
    let number = section.text_at("number").unwrap_or_else(|| At::new(String::new(), section.place.clone()));
    if section.has("number") {
        check_digits(section, &number, 1);
    }
    let whole = |key| section.has(key).then(|| section.whole_u32(key));
    Number {
        number,
        customer: section.text_at("customer"),
        campaign: section.text_at("campaign"),
        kind: match section.text("kind").as_str() {
            "toll_free" => NumberKind::TollFree,
            "short_code" => NumberKind::ShortCode,
            _ => NumberKind::LongCode,
        },
        rate: whole("rate"),
        burst: whole("burst"),
    }
}
