//! `[[network]]`: which mobile network a destination belongs to.

use super::customers::check_digits;
use super::mistake::{At, Place};
use super::reader::Section;
use super::setting::{Fallback, Kind, SectionKind, Setting};
use relay::NetworkCode;

/// A range of numbers and its network.
#[derive(Clone, Debug)]
pub struct Network {
    /// Digits that the destination begins with.
    pub prefix: At<String>,
    /// The network; nothing when that was a mistake.
    pub code: Option<NetworkCode>,
    /// The carrier's name; empty where it was left out.
    pub carrier: String,
    /// Where it is written.
    pub place: Place,
}

pub(crate) static SECTION: SectionKind = SectionKind {
    name: "network",
    entry_key: Some("prefix"),
    help: "Which mobile network a destination belongs to. The longest prefix wins; routes and limits may ask for it. Numbers that moved to another network with their owners are not known by a prefix.",
    settings: &[
        Setting {
            key: "prefix",
            kind: Kind::Text { bytes_max: 21 },
            default: Fallback::Required,
            help: "1 to 20 digits that the destination begins with. A leading + is skipped.",
        },
        Setting {
            key: "mcc",
            kind: Kind::Text { bytes_max: 3 },
            default: Fallback::Required,
            help: "Mobile country code: three digits, such as `\"310\"`.",
        },
        Setting {
            key: "mnc",
            kind: Kind::Text { bytes_max: 3 },
            default: Fallback::Value(""),
            help: "Code of the network within the country: two or three digits, such as `\"260\"`. Left out: the country alone is known.",
        },
        Setting {
            key: "carrier",
            kind: Kind::Text { bytes_max: 32 },
            default: Fallback::Value(""),
            help: "The carrier's name, as limits and reports name it, such as `\"tmobile\"`.",
        },
    ],
};

pub(crate) fn read(section: &Section<'_>) -> Network {
    let prefix = section.text_at("prefix").unwrap_or_else(|| At::new(String::new(), section.place.clone()));
    if section.has("prefix") {
        check_digits(section, &prefix, 1);
    }
    let code = NetworkCode::new(&section.text("mcc"), &section.text("mnc"));
    if code.is_none() && section.has("mcc") {
        let key = if NetworkCode::new(&section.text("mcc"), "").is_none() { "mcc" } else { "mnc" };
        let what = format!("{key} \"{}\" is none", section.text(key));
        section.mistake(key, &what, "write three digits for mcc, two or three for mnc");
    }
    Network { prefix, code, carrier: section.text("carrier"), place: section.place.clone() }
}
