//! The reference of all settings, written from the tables that the reader checks against.

use super::setting::{Fallback, SectionKind};
use super::{SECTIONS, error_maps, routes};
use std::fmt::Write;

/// The text of `docs/settings.md`.
pub fn settings_document() -> String {
    let mut text = String::from(
        "# Settings\n\nGenerated from the tables in `gateway/control/src/config`; do not edit. \
         `UPDATE_DOCS=1 cargo test -p gateway-control documents` writes it anew.\n\n\
         One TOML file. An unknown key is an error; all mistakes are reported at once with their place, also by \
         `gateway check-config FILE`.\nThe environment overrides the file: `GATEWAY__LISTEN__SMPP=0.0.0.0:2775` for a \
         section, `GATEWAY__VENDOR__west__PASSWORD=...` for an entry by its name\n(characters that a shell does not \
         allow in a variable may be written as `_`); lists are written with commas there.\n",
    );
    for section in SECTIONS {
        write_section(&mut text, section);
    }
    write_section(&mut text, &routes::VENDOR);
    write_section(&mut text, &error_maps::STATUS);
    text
}

/// Sections that may stand there many times.
const REPEATED: [&str; 9] =
    ["customer", "vendor", "route", "mo_route", "network", "error_map", "number", "campaign", "brand"];

fn write_section(text: &mut String, section: &SectionKind) {
    let heading = if std::ptr::eq(section, &raw const routes::VENDOR) {
        "`vendors` of a route".to_string()
    } else if std::ptr::eq(section, &raw const error_maps::STATUS) {
        "`statuses` of an error map".to_string()
    } else if REPEATED.contains(&section.name) {
        format!("`[[{}]]`", section.name)
    } else {
        format!("`[{}]`", section.name)
    };
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\n## {heading}\n\n{}\n\n| key | value | default | meaning |\n|---|---|---|---|\n",
        section.help
    );
    for setting in section.settings {
        let default = match setting.default {
            Fallback::Required => "required".to_string(),
            Fallback::Absent => "none".to_string(),
            Fallback::Value("") => "`\"\"`".to_string(),
            Fallback::Value(value) => format!("`{value}`"),
        };
        let _ = writeln!(text, "| `{}` | {} | {default} | {} |", setting.key, setting.kind, setting.help);
    }
}
