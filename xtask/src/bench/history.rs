//! `perf/history/revisions.jsonl`: one line of JSON for each revision, with what was measured of it.
//!
//! A line that is committed together with the change it measures names the revision before it with `-dirty`.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::{Value, json};

use crate::{host, project};

/// The file.
pub(super) fn path() -> PathBuf {
    project::root().join("perf/history/revisions.jsonl")
}

/// All lines, oldest first.
///
/// # Errors
/// When a line is no JSON.
pub(super) fn read() -> anyhow::Result<Vec<Value>> {
    let text = std::fs::read_to_string(path()).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).context("perf/history/revisions.jsonl")).collect()
}

/// Adds what was measured under this name to the line of the revision at hand, which is made when there is none.
///
/// # Errors
/// When the file cannot be read or written.
pub(super) fn record(name: &str, measured: &Value) -> anyhow::Result<()> {
    let mut lines = read()?;
    put(&mut lines, &host::facts(), name, measured);
    let path = path();
    std::fs::create_dir_all(path.parent().context("a folder")?)?;
    let mut text = String::new();
    for line in &lines {
        writeln!(text, "{line}")?;
    }
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("recorded in perf/history/revisions.jsonl");
    Ok(())
}

fn put(lines: &mut Vec<Value>, facts: &Value, name: &str, measured: &Value) {
    let revision = &facts["commit"];
    let place = lines.iter().position(|line| line["revision"] == *revision).unwrap_or_else(|| {
        let (compiler, processor) = (&facts["compiler"], &facts["processor"]);
        lines.push(json!({ "revision": revision, "compiler": compiler, "processor": processor }));
        lines.len() - 1
    });
    lines[place][name] = measured.clone();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_has_one_line() {
        let mut lines = Vec::new();
        put(&mut lines, &json!({ "commit": "a" }), "gate", &json!(1));
        put(&mut lines, &json!({ "commit": "b" }), "gate", &json!(2));
        put(&mut lines, &json!({ "commit": "a" }), "ab", &json!(3));
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["gate"], &lines[0]["ab"]), (&json!(1), &json!(3)));
    }
}
