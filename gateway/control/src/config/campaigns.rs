//! `[[campaign]]`: 10DLC campaigns and what AT&T allows them.

use super::mistake::At;
use super::reader::Section;
use super::setting::{Fallback, Kind, SectionKind, Setting};
use relay::AttScope;

/// A 10DLC campaign.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Its name.
    pub name: At<String>,
    /// Name of its brand.
    pub brand: At<String>,
    /// AT&T's class.
    pub class: char,
    /// Segments a minute instead of the class's.
    pub per_minute: Option<u32>,
    /// Segments at once.
    pub burst: Option<u32>,
    /// Whose rate it is, instead of the class's.
    pub scope: Option<AttScope>,
}

/// AT&T's classes, as they are written.
const CLASSES: &[&str] = &["A", "B", "C", "D", "E", "F", "G", "K", "N", "P", "S", "T", "W", "X", "Y", "Z"];

pub(crate) static SECTION: SectionKind = SectionKind {
    name: "campaign",
    entry_key: Some("name"),
    help: "A 10DLC campaign. Its numbers name it. One bucket for AT&T and destinations of unknown carrier, one for other known carriers of the United States; Verizon counts by number, T-Mobile by brand.",
    settings: &[
        Setting {
            key: "name",
            kind: Kind::Text { bytes_max: 64 },
            default: Fallback::Required,
            help: "Its name, such as the id of the registry.",
        },
        Setting {
            key: "brand",
            kind: Kind::Text { bytes_max: 64 },
            default: Fallback::Required,
            help: "Name of its brand.",
        },
        Setting {
            key: "class",
            kind: Kind::Choice(CLASSES),
            default: Fallback::Required,
            help: "AT&T's message class: its letter. Decides the segments a minute, and whether they are the campaign's or each number's (G, N, Y, Z).",
        },
        Setting {
            key: "per_minute",
            kind: Kind::Whole { min: 0, max: 10_000_000 },
            default: Fallback::Absent,
            help: "Segments a minute instead of the class's; 0 = unlimited. What passes in a second, and at once, follows such that no minute holds more.",
        },
        Setting {
            key: "burst",
            kind: Kind::Whole { min: 1, max: 10_000_000 },
            default: Fallback::Absent,
            help: "Segments at once. Left out: a twentieth of the minute, or up to 12 where that is no more than a quarter of it. More leaves less for the rest of the minute; a message of more segments than its node's part of this never passes.",
        },
        Setting {
            key: "scope",
            kind: Kind::Choice(&["campaign", "number"]),
            default: Fallback::Absent,
            help: "Whose rate it is: of all numbers together, or of each. Left out: as the class says.",
        },
    ],
};

pub(crate) fn read(section: &Section<'_>) -> Campaign {
    let text = |key| section.text_at(key).unwrap_or_else(|| At::new(String::new(), section.place.clone()));
    let whole = |key| section.has(key).then(|| section.whole_u32(key));
    let campaign = Campaign {
        name: text("name"),
        brand: text("brand"),
        class: section.text("class").chars().next().unwrap_or('E'), // a mistake is noted where there is none
        per_minute: whole("per_minute"),
        burst: whole("burst"),
        scope: section.text_if("scope").map(|scope| match scope.as_str() {
            "number" => AttScope::Number,
            _ => AttScope::Campaign,
        }),
    };
    if section.has("name") && campaign.name.value.is_empty() {
        section.mistake("name", "name is empty", "give the campaign a name");
    }
    campaign
}
