//! `perf/baselines/*.json`: one file for each trace, committed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::figures::Figures;
use crate::project;

/// Relative to the root of the project.
pub(super) const FOLDER: &str = "perf/baselines";

/// What a message of one trace may cost, and with what that was counted.
#[derive(Serialize, Deserialize)]
pub(super) struct Baseline {
    pub(super) trace: String,
    /// Versions of what figures depend on beside the program.
    pub(super) tools: BTreeMap<String, String>,
    pub(super) figures: Figures,
}

impl Baseline {
    /// # Errors
    /// When there is none, or it cannot be read.
    pub(super) fn read(trace: &str) -> anyhow::Result<Baseline> {
        let path = path(trace);
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!("{}: no baseline; `cargo xtask bench gate --accept` makes it", path.display())
        })?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self) -> anyhow::Result<()> {
        let path = path(&self.trace);
        std::fs::create_dir_all(project::root().join(FOLDER))?;
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// What is not of the version that the baseline was counted with, in words.
    pub(super) fn differing_tools(&self, now: &BTreeMap<String, String>) -> Vec<String> {
        let differing = now.iter().filter_map(|(tool, version)| {
            let then = self.tools.get(tool).map_or("unknown", String::as_str);
            (then != version).then(|| format!("{tool} was {then} and is {version}"))
        });
        differing.collect()
    }
}

fn path(trace: &str) -> PathBuf {
    project::root().join(FOLDER).join(format!("{trace}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_compiler_is_named() {
        let tools = |version: &str| BTreeMap::from([("compiler".to_owned(), version.to_owned())]);
        let baseline =
            Baseline { trace: "submit".to_owned(), tools: tools("1.95.0"), figures: Figures::default() };
        assert!(baseline.differing_tools(&tools("1.95.0")).is_empty());
        assert_eq!(baseline.differing_tools(&tools("1.96.0")), ["compiler was 1.95.0 and is 1.96.0"]);
    }
}
