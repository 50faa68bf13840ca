//! `[[brand]]`: 10DLC brands and what T-Mobile allows them in a day.

use super::mistake::At;
use super::reader::Section;
use super::setting::{Fallback, Kind, SectionKind, Setting};

/// A 10DLC brand.
#[derive(Clone, Debug)]
pub struct Brand {
    /// Its name.
    pub name: At<String>,
    /// T-Mobile's tier.
    pub tier: String,
    /// Segments a day instead of the tier's.
    pub daily_cap: Option<u32>,
    /// Messages to unknown carriers count too.
    pub counts_unknown: bool,
}

/// T-Mobile's tiers, as they are written.
const TIERS: &[&str] = &["top", "high_mid", "low_mid", "low", "sole_proprietor", "government"];

pub(crate) static SECTION: SectionKind = SectionKind {
    name: "brand",
    entry_key: Some("name"),
    help: "A 10DLC brand. Its cap is shared by all its campaigns, all vendors and all nodes, survives restarts, and begins anew at midnight in Los Angeles.",
    settings: &[
        Setting {
            key: "name",
            kind: Kind::Text { bytes_max: 64 },
            default: Fallback::Required,
            help: "Its name. One for each tax id, as T-Mobile counts.",
        },
        Setting {
            key: "tier",
            kind: Kind::Choice(TIERS),
            default: Fallback::Value("low"),
            help: "T-Mobile's tier: top 200,000 segments a day, high_mid 40,000, low_mid 10,000, low 2,000, sole_proprietor 1,000, government without a cap.",
        },
        Setting {
            key: "daily_cap",
            kind: Kind::Whole { min: 0, max: 1_000_000_000 },
            default: Fallback::Absent,
            help: "Segments a day instead of the tier's; 0 = uncapped.",
        },
        Setting {
            key: "counts_unknown",
            kind: Kind::Flag,
            default: Fallback::Value("false"),
            help: "Whether messages to destinations of unknown carrier count as T-Mobile's.",
        },
    ],
};

pub(crate) fn read(section: &Section<'_>) -> Brand {
    let name = section.text_at("name").unwrap_or_else(|| At::new(String::new(), section.place.clone()));
    if section.has("name") && name.value.is_empty() {
        section.mistake("name", "name is empty", "give the brand a name");
    }
    Brand {
        name,
        tier: section.text("tier"),
        daily_cap: section.has("daily_cap").then(|| section.whole_u32("daily_cap")),
        counts_unknown: section.flag("counts_unknown"),
    }
}
