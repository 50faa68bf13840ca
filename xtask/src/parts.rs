//! What the test command did last: of each part when, with what result, and how long it took.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::{process, project};

/// Name of the file, in the target folder.
const FILE: &str = "xtask-parts.json";

/// Longest text of a result that is kept, in characters.
const RESULT_MAX: usize = 120;

/// The last run of each part, by its name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Parts {
    parts: BTreeMap<String, LastRun>,
}

/// The last run of one part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct LastRun {
    /// Seconds since 1970.
    at: u64,
    seconds: f64,
    /// `ok`, or what failed.
    result: String,
    commit: String,
}

/// Writes down that a part has ended.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn record(target: &Path, part: &str, took: Duration, failure: Option<&str>) -> anyhow::Result<()> {
    let mut parts = read(target);
    let result = failure.map_or_else(|| "ok".to_owned(), |text| format!("FAILED: {text}"));
    let result = result.lines().next().unwrap_or_default().chars().take(RESULT_MAX).collect();
    let run = LastRun { at: now(), seconds: took.as_secs_f64(), result, commit: commit() };
    parts.parts.insert(part.to_owned(), run);
    let beside = target.join(format!("{FILE}.new"));
    std::fs::write(&beside, serde_json::to_string_pretty(&parts)?)
        .and_then(|()| std::fs::rename(&beside, path(target)))
        .with_context(|| format!("cannot write {}", path(target).display()))
}

/// The table; parts among `known` that never ran are in it, too.
pub(crate) fn table(target: &Path, known: &[&str]) -> String {
    render(&read(target), known, now())
}

fn render(parts: &Parts, known: &[&str], now: u64) -> String {
    let mut lines = vec![format!("{:<14} {:>12} {:>9}  {:<14} result", "part", "last run", "took", "commit")];
    for (name, run) in &parts.parts {
        let age = age(now.saturating_sub(run.at));
        lines.push(format!("{name:<14} {age:>12} {:>7.1} s  {:<14} {}", run.seconds, run.commit, run.result));
    }
    for name in known.iter().filter(|name| !parts.parts.contains_key(**name)) {
        lines.push(format!("{name:<14} {:>12}", "never"));
    }
    lines.join("\n")
}

fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// A file that is missing or broken is an empty one: it is only a memory.
fn read(target: &Path) -> Parts {
    let text = std::fs::read_to_string(path(target)).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn path(target: &Path) -> PathBuf {
    target.join(FILE)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn commit() -> String {
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty=+", "--abbrev=8"]).current_dir(project::root());
    process::output(&mut git).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_told_with_its_last_result() {
        let run =
            |at, result: &str| LastRun { at, seconds: 61.5, result: result.into(), commit: "abc".into() };
        let mut parts = Parts::default();
        parts.parts.insert("tests".into(), run(1_000, "ok"));
        parts.parts.insert("flakes".into(), run(0, "FAILED: 1 of 30"));
        let table = render(&parts, &["flakes", "glommio"], 1_090);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 4, "{table}");
        assert!(lines[1].contains("flakes") && lines[1].contains("18 min ago"), "{table}");
        assert!(lines[1].ends_with("FAILED: 1 of 30"), "{table}");
        assert!(lines[2].contains("61.5 s") && lines[2].ends_with("ok"), "{table}");
        assert!(lines[3].starts_with("glommio") && lines[3].ends_with("never"), "{table}");
    }

    #[test]
    fn a_part_is_found_again() {
        let folder = std::env::temp_dir().join(format!("xtask-parts-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        record(&folder, "tests", Duration::from_secs(3), None).unwrap();
        record(&folder, "tests", Duration::from_secs(4), Some("2 tests\nand more")).unwrap();
        let parts = read(&folder);
        assert_eq!(
            (parts.parts["tests"].seconds, parts.parts["tests"].result.as_str()),
            (4.0, "FAILED: 2 tests")
        );
        std::fs::remove_dir_all(folder).unwrap();
    }
}
