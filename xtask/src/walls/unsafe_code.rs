//! `unsafe` only in `runtime`; every other crate forbids it at its root.

use std::path::Path;

use super::Finding;
use super::source::{Source, has_word};
use crate::project::Metadata;

/// The one member that may.
const OWNER: &str = "runtime";

pub(super) fn check(sources: &[Source], metadata: &Metadata, root: &Path) -> Vec<Finding> {
    let others = metadata.packages.iter().filter(|package| package.name != OWNER);
    let roots: Vec<&Path> = others
        .flat_map(|package| &package.targets)
        .filter(|target| target.kind.iter().any(|kind| matches!(kind.as_str(), "lib" | "bin")))
        .filter_map(|target| target.src_path.strip_prefix(root).ok())
        .collect();
    sources.iter().flat_map(|source| check_one(source, roots.contains(&Path::new(&source.path)))).collect()
}

fn check_one(source: &Source, is_root: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    if source.path.starts_with("runtime/") {
        return findings;
    }
    for (line, text) in (1..).zip(source.bare.lines()) {
        if has_word(text, "unsafe") {
            findings.push(Finding::new(&source.path, line, "unsafe outside runtime"));
        }
    }
    if is_root && !source.bare.contains("#![forbid(unsafe_code)]") {
        findings.push(Finding::new(&source.path, 1, "this crate does not forbid unsafe_code"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_and_the_missing_attribute_are_found() {
        let count = |path: &str, text: &str, root| check_one(&Source::new(path, text), root).len();
        assert_eq!(count("smpp/src/lib.rs", "#![forbid(unsafe_code)]\n// unsafe\n", true), 0);
        assert_eq!(count("smpp/src/lib.rs", "//! #![forbid(unsafe_code)]\n", true), 1);
        assert_eq!(count("smpp/src/a.rs", "let a = unsafe { b() };", false), 1);
        assert_eq!(count("runtime/src/a.rs", "let a = unsafe { b() };", false), 0);
    }
}
