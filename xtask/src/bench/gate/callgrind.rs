//! Reads what callgrind wrote: instructions by function.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, ensure};

/// Instructions of one run, by function, without what they call.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Profile {
    pub(super) functions: BTreeMap<String, u64>,
}

impl Profile {
    pub(super) fn total(&self) -> u64 {
        self.functions.values().sum()
    }

    /// Reads callgrind's file: one event a line, names compressed.
    ///
    /// # Errors
    /// When it is no such file, or nothing was counted.
    pub(super) fn parse(text: &str) -> anyhow::Result<Profile> {
        let (mut names, mut profile) = (HashMap::new(), Profile::default());
        let (mut current, mut is_of_a_call) = (String::new(), false);
        for line in text.lines() {
            if let Some(function) = line.strip_prefix("fn=") {
                current = name(function, &mut names)?;
            } else if let Some(function) = line.strip_prefix("cfn=") {
                name(function, &mut names)?;
            } else if line.starts_with("calls=") {
                is_of_a_call = true;
            } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
                // The line after a call holds what was spent in there, which is counted there.
                if !std::mem::take(&mut is_of_a_call) {
                    let cost = line.split_ascii_whitespace().nth(1).unwrap_or("0").parse::<u64>()?;
                    *profile.functions.entry(current.clone()).or_default() += cost;
                }
            }
        }
        ensure!(profile.total() > 0, "callgrind counted nothing");
        Ok(profile)
    }
}

/// The function's name in full; the first mention of a number carries it.
fn name(mention: &str, names: &mut HashMap<String, String>) -> anyhow::Result<String> {
    let (number, name) = mention.split_once(')').context("a function without a number")?;
    let name = name.trim();
    if !name.is_empty() {
        names.insert(number.to_owned(), without_hash(name));
    }
    names.get(number).cloned().with_context(|| format!("no name for function {number})"))
}

/// Without what changes from build to build: the hash of a symbol, the number of a copy, and of a recursion.
fn without_hash(name: &str) -> String {
    let name = name.split(".llvm.").next().unwrap_or(name);
    let name = name.split('\'').next().unwrap_or(name);
    let mut out = match name.rsplit_once("::h") {
        Some((head, hash)) if hash.len() == 16 && hash.bytes().all(|octet| octet.is_ascii_hexdigit()) => {
            head.to_owned()
        }
        _ => name.to_owned(),
    };
    // `crate[0123456789abcdef]`: the disambiguator of a crate.
    while let Some(at) = out.find('[') {
        let is_hash = |inner: &str| inner.len() >= 12 && inner.bytes().all(|octet| octet.is_ascii_hexdigit());
        match out[at + 1..].find(']') {
            Some(length) if is_hash(&out[at + 1..at + 1 + length]) => {
                out.replace_range(at..=at + 1 + length, "")
            }
            _ => break,
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_where_they_go() {
        let text = "events: Ir\nfl=(1) a.rs\nfn=(1) a::b::h0123456789abcdef\n0 10\ncfn=(2) memcpy\ncalls=3 0\n0 90\n\
                    +1 5\nfn=(2)\n0 90\ntotals: 105\n";
        let profile = Profile::parse(text).unwrap();
        assert_eq!(profile.functions, BTreeMap::from([("a::b".into(), 15), ("memcpy".into(), 90)]));
        assert_eq!(profile.total(), 105);
    }

    #[test]
    fn an_empty_profile_is_refused() {
        assert!(Profile::parse("events: Ir\n").is_err());
    }

    #[test]
    fn names_lose_what_changes_from_build_to_build() {
        for (full, expected) in [
            ("a::b::h0123456789abcdef", "a::b"),
            ("a::handle", "a::handle"),
            ("<relay[0123456789abcdef]::Relay>::poll", "<relay::Relay>::poll"),
            ("<[u8] as core::fmt::Debug>::fmt", "<[u8] as core::fmt::Debug>::fmt"),
            ("poll'2", "poll"),
        ] {
            assert_eq!(without_hash(full), expected);
        }
    }
}
