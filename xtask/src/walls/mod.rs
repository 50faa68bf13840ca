//! `cargo xtask walls`: what is absent from each part of the house, kept by a check and not by goodwill.
//!
//! One file per wall. A wall is a function from the sources (or the crate graph) to findings; what a wall looks
//! for stands at the head of its file.

mod arrows;
mod channels;
mod crates;
mod docs;
mod metric_names;
mod pure;
mod sizes;
mod source;
mod unsafe_code;
mod vendors;

use std::fmt;
use std::path::Path;

use anyhow::ensure;

use self::source::Source;
use crate::project;

/// One breach of one wall.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// Path relative to the root of the project.
    path: String,
    /// From 1; 0 where a finding has no line.
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Finding {
        Finding { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// # Errors
/// When a wall is breached; every finding has been printed.
pub(crate) fn run() -> anyhow::Result<()> {
    let root = project::root();
    let metadata = project::metadata()?;
    let mut sources = Vec::new();
    let mut documents = Vec::new();
    for entry in files(root)? {
        let path = root.join(&entry);
        if entry.ends_with(".rs") {
            sources.push(Source::new(&entry, &std::fs::read_to_string(path)?));
        } else if entry.ends_with(".md") {
            documents.push((entry, std::fs::read_to_string(path)?));
        }
    }
    let walls = [
        ("pure crates", pure::check(&sources)),
        ("arrows between our crates", arrows::check(&metadata)),
        ("others' crates", crates::check(&metadata)),
        ("unsafe", unsafe_code::check(&sources, &metadata, root)),
        ("vendors' names", vendors::check(&sources)),
        ("sizes", sizes::check(&sources)),
        ("unbounded channels", channels::check(&sources)),
        ("metric names", metric_names::check(&sources)),
        ("documents", docs::check(&documents)),
    ];
    let mut breaches = 0;
    for (name, findings) in walls {
        println!("{:>6} {name}", if findings.is_empty() { "ok" } else { "BROKEN" });
        for finding in &findings {
            println!("       {finding}");
        }
        breaches += findings.len();
    }
    ensure!(breaches == 0, "{breaches} breaches of the walls");
    println!("{} sources, {} documents", sources.len(), documents.len());
    Ok(())
}

/// Paths of all files of the project, relative to its root, sorted; without what is built or hidden.
fn files(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let (name, path) = (entry.file_name(), entry.path());
            let hidden = name.to_str().is_none_or(|name| name.starts_with('.'));
            let ours = ["target", "out"].iter().all(|built| name != *built);
            if hidden || !ours {
                continue;
            }
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if let Some(path) = path.strip_prefix(root).ok().and_then(Path::to_str) {
                found.push(path.to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_files_are_found_and_the_built_ones_are_not() {
        let files = files(project::root()).unwrap();
        assert!(files.iter().any(|path| path == "xtask/src/walls/mod.rs"));
        assert!(files.iter().all(|path| !path.starts_with("target/") && !path.starts_with(".git/")));
    }
}
