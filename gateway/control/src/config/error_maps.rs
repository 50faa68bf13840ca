//! `[[error_map]]`: what the statuses of a vendor mean here.

use super::mistake::{At, Place};
use super::reader::Section;
use super::setting::{Fallback, Kind, SectionKind, Setting};
use relay::ErrorRule;
use smpp::field::{CommandStatus, StatusClass};

/// A named list of rules; vendors name it.
#[derive(Clone, Debug)]
pub struct ErrorMap {
    /// Its name.
    pub name: At<String>,
    /// One for each status.
    pub rules: Vec<ErrorRule>,
    /// Where it is written.
    pub place: Place,
}

pub(crate) static SECTION: SectionKind = SectionKind {
    name: "error_map",
    entry_key: Some("name"),
    help: "What the statuses of a vendor mean here, where that is not what they mean everywhere. Vendors name it by `error_map`.",
    settings: &[
        Setting {
            key: "name",
            kind: Kind::Text { bytes_max: 64 },
            default: Fallback::Required,
            help: "Its name.",
        },
        Setting {
            key: "statuses",
            kind: Kind::Own("list of `{ status = \"...\", to = \"...\", action = \"...\" }`"),
            default: Fallback::Required,
            help: "The statuses. What is not listed keeps its meaning and is passed on as it is.",
        },
    ],
};

const ACTIONS: &[&str] = &["permanent", "next_vendor", "pause"];

pub(crate) static STATUS: SectionKind = SectionKind {
    name: "statuses",
    entry_key: Some("status"),
    help: "A status of an error map. One of to and action.",
    settings: &[
        Setting {
            key: "status",
            kind: Kind::Text { bytes_max: 32 },
            default: Fallback::Required,
            help: "The vendor's command_status: a name of SMPP 3.4 such as `\"ESME_RSYSERR\"`, or a number such as `\"0x400\"` or `\"1024\"`.",
        },
        Setting {
            key: "to",
            kind: Kind::Text { bytes_max: 32 },
            default: Fallback::Absent,
            help: "What the customer is told instead. Left out: the vendor's status.",
        },
        Setting {
            key: "action",
            kind: Kind::Choice(ACTIONS),
            default: Fallback::Absent,
            help: "`permanent`: the message itself is refused, no other vendor is tried. `next_vendor`: another vendor is tried, and the vendor's health suffers. `pause`: the same, and nothing is sent to the vendor for its throttle_pause. Left out: as for every vendor (ESME_RTHROTTLED pauses, temporary errors go to the next vendor).",
        },
    ],
};

pub(crate) fn read(section: &Section<'_>) -> ErrorMap {
    let name = section.text_at("name").unwrap_or_else(|| At::new(String::new(), section.place.clone()));
    if section.has("name") && name.value.is_empty() {
        section.mistake("name", "name is empty", "give the error map a name");
    }
    let mut rules: Vec<ErrorRule> = Vec::new();
    for entry in section.entries("statuses", &STATUS) {
        let Some(rule) = rule(&entry) else { continue };
        if rules.iter().any(|earlier| earlier.status == rule.status) {
            entry.mistake("status", "the status stands twice", "name it once");
        } else {
            rules.push(rule);
        }
    }
    ErrorMap { name, rules, place: section.place.clone() }
}

fn rule(entry: &Section<'_>) -> Option<ErrorRule> {
    let status_of = |key: &str| {
        let text = entry.text_if(key)?;
        let status = parse_status(&text);
        if status.is_none_or(|status| status == CommandStatus::ESME_ROK) {
            let what = format!("{key} \"{text}\" is no error status");
            entry.mistake(key, &what, "write a name such as \"ESME_RSYSERR\" or a number such as \"0x400\"");
            return None;
        }
        status
    };
    let (status, to) = (status_of("status"), status_of("to"));
    let class = entry.text_if("action").map(|action| match action.as_str() {
        "permanent" => StatusClass::Permanent,
        "next_vendor" => StatusClass::Temporary,
        _ => StatusClass::Throttled,
    });
    if !entry.has("to") && !entry.has("action") && !entry.was_refused("action") {
        entry.mistake("status", "nothing is said of the status", "give to, action or both");
    }
    status.map(|status| ErrorRule { status, to, class })
}

/// A name, or a number in decimal or hexadecimal form.
fn parse_status(text: &str) -> Option<CommandStatus> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    CommandStatus::from_name(text).or(number.map(CommandStatus))
}
