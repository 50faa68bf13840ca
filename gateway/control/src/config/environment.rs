//! Environment variables that override the file: `GATEWAY__LISTEN__SMPP=0.0.0.0:2775` for a section,
//! `GATEWAY__VENDOR__west__PASSWORD=...` for one entry of a repeated section. Every variable with the prefix must fit a
//! setting: a misspelt one would otherwise be a silent no.

use super::mistake::{Mistakes, Place};
use std::cell::Cell;

/// Prefix of every variable that the gateway reads.
pub const PREFIX: &str = "GATEWAY__";

/// One override that the environment asks for.
pub(crate) struct Override {
    pub(crate) variable: String,
    pub(crate) text: String,
    section: String,
    entry: Option<String>,
    key: String,
    used: Cell<bool>,
}

/// All overrides of the environment.
pub(crate) struct Overrides(Vec<Override>);

impl Overrides {
    /// Sorts out the variables that are ours; the others are none of our business.
    pub(crate) fn new(variables: &[(String, String)], mistakes: &Mistakes) -> Overrides {
        let mut overrides = Vec::new();
        for (variable, text) in variables {
            let Some(rest) = variable.strip_prefix(PREFIX) else { continue };
            let parts: Vec<&str> = rest.split("__").collect();
            let (section, entry, key) = match parts.as_slice() {
                [section, key] => (*section, None, *key),
                [section, entry @ .., key] if !entry.is_empty() => (*section, Some(entry.join("__")), *key),
                _ => {
                    let remedy = "write GATEWAY__SECTION__KEY or GATEWAY__SECTION__NAME__KEY";
                    mistakes.add(&Place::Environment(variable.clone()), "names no setting", remedy);
                    continue;
                }
            };
            overrides.push(Override {
                variable: variable.clone(),
                text: text.clone(),
                section: section.to_lowercase(),
                entry,
                key: key.to_lowercase(),
                used: Cell::new(false),
            });
        }
        Overrides(overrides)
    }

    /// The override of one setting, if there is one.
    pub(crate) fn find(&self, section: &str, entry: Option<&str>, key: &str) -> Option<&Override> {
        let fits = |found: &&Override| {
            found.section == section
                && found.key == key
                && match (&found.entry, entry) {
                    (None, None) => true,
                    (Some(written), Some(entry)) => written == entry || *written == as_variable(entry),
                    _ => false,
                }
        };
        let found = self.0.iter().find(fits)?;
        found.used.set(true);
        Some(found)
    }

    /// Every override that no setting took is a mistake, but for settings of entries that `come_and_go`.
    pub(crate) fn finish(&self, mistakes: &Mistakes, come_and_go: impl Fn(&str, &str) -> bool) {
        let is_early =
            |unused: &&Override| unused.entry.is_some() && come_and_go(&unused.section, &unused.key);
        let unused = self.0.iter().filter(|unused| !unused.used.get());
        for unused in unused.filter(|unused| !is_early(unused)) {
            let place = Place::Environment(unused.variable.clone());
            let what = match &unused.entry {
                Some(entry) => format!("no setting \"{}\" of {} \"{entry}\"", unused.key, unused.section),
                None => format!("no setting \"{}\" in [{}]", unused.key, unused.section),
            };
            mistakes.add(&place, what, "correct the name or unset the variable");
        }
    }
}

/// A name with what shells do not allow in a variable replaced by underscores.
pub(crate) fn as_variable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
