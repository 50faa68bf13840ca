//! `smpp`, `gateway/relay`, the simulation and the journal hold no socket, clock, thread, file, random source, async or metrics library.

use super::Finding;
use super::source::{Source, has_word};

const PURE: [&str; 4] = ["smpp/src/", "gateway/relay/src/", "gateway/simulation/src/", "journal/src/"];
/// The program around a pure library: it prints, and says how long it took. And the journal's files on disk, behind its seam.
const EXEMPT: [&str; 2] = ["gateway/simulation/src/main.rs", "journal/src/disk.rs"];
/// Where errors of files pass through a seam.
const SEAM: &str = "journal/src/";
const SEAM_PATH: &str = "std::io";
/// Paths below `std` that read the world, and the crates and words that do it for them.
const PATHS: [&str; 8] =
    ["std::net", "std::thread", "std::fs", "std::io", "std::env", "std::process", "std::time", "std::os"];
const WORDS: [&str; 8] =
    ["tokio", "glommio", "rand", "async", "SystemTime", "tracing", "prometheus_client", "mio"];
/// A length of time is a plain number.
const ALLOWED: &str = "std::time::Duration";

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let pure = sources.iter().filter(|source| !EXEMPT.contains(&source.path.as_str()));
    let pure = pure.filter(|source| PURE.iter().any(|folder| source.path.starts_with(folder)));
    pure.flat_map(|source| {
        let words = source.before_tests(&source.bare).flat_map(|(number, line)| {
            WORDS.iter().filter(|word| has_word(line, word)).map(move |word| (number, (*word).to_owned()))
        });
        let paths = std_paths(source.bare_before_tests()).into_iter();
        let paths =
            paths.filter(|(_, path)| path != ALLOWED && PATHS.iter().any(|bad| path_is_in(path, bad)));
        let paths = paths.filter(|(_, path)| !(source.path.starts_with(SEAM) && path == SEAM_PATH));
        let found = words.chain(paths).collect::<Vec<_>>().into_iter();
        found.map(|(line, what)| Finding::new(&source.path, line, format!("a pure crate names {what}")))
    })
    .collect()
}

fn path_is_in(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Every path that begins with `std::`, grouped imports taken apart, with its line.
fn std_paths(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("std::") {
        let line = text[..at].matches('\n').count() + 1;
        let mut paths = Vec::new();
        tree(&text[at..], "", &mut paths);
        found.extend(paths.into_iter().map(|path| (line, path)));
    }
    found
}

/// Reads one path or import tree at the head of `text`; returns what follows it.
fn tree<'a>(text: &'a str, prefix: &str, paths: &mut Vec<String>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = tree(rest, prefix, paths).trim_start();
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => return rest.strip_prefix('}').unwrap_or(rest),
            }
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '*').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}::{name}") };
    match rest.strip_prefix("::") {
        Some(below) if !below.trim_start().starts_with('<') => tree(below, &path, paths),
        _ => {
            if !name.is_empty() {
                paths.push(path);
            }
            rest
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_one(text: &str) -> Vec<String> {
        let findings = check(&[Source::new("smpp/src/a.rs", text)]);
        findings.iter().map(|finding| format!("{} {}", finding.line, finding.what)).collect()
    }

    #[test]
    fn breaches_are_found() {
        for (text, expected) in [
            ("use std::net::TcpStream;", "1 a pure crate names std::net::TcpStream"),
            ("\nlet a = std::time::Instant::now();", "2 a pure crate names std::time::Instant::now"),
            ("use std::{fmt, thread};", "1 a pure crate names std::thread"),
            ("use std::{time::{Duration, Instant}, fmt};", "1 a pure crate names std::time::Instant"),
            ("async fn a() {}", "1 a pure crate names async"),
            ("use tokio::net;", "1 a pure crate names tokio"),
        ] {
            assert_eq!(check_one(text), [expected], "{text}");
        }
    }

    #[test]
    fn what_is_allowed_is_not_found() {
        for text in [
            "use std::time::Duration;",
            "use core::time::Duration;",
            "use crate::time::Instant;",
            "// std::net is not used here\nlet brand = operand;",
            "let text = \"tokio\";",
            "use std::{fmt, collections::{BTreeMap, VecDeque}};",
            "fn a() {}\n#[cfg(test)]\nmod tests {\n use std::fs; }",
        ] {
            assert_eq!(check_one(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn errors_of_files_pass_through_the_journals_seam() {
        let found = |path: &str, text: &str| check(&[Source::new(path, text)]).len();
        assert_eq!(found("journal/src/open.rs", "use std::io;"), 0);
        assert_eq!(found("journal/src/open.rs", "use std::fs;"), 1);
        assert_eq!(found("journal/src/disk.rs", "use std::fs;"), 0);
        assert_eq!(found("smpp/src/a.rs", "use std::io;"), 1);
    }

    #[test]
    fn other_crates_may() {
        assert_eq!(check(&[Source::new("runtime/src/a.rs", "use std::net::TcpStream;")]), []);
    }
}
