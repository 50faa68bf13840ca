//! No unbounded queue: channels that grow without limit are not used.

use super::Finding;
use super::source::{Source, has_word};

/// Words, and calls that only exist without a bound.
const WORDS: [&str; 3] = ["unbounded_channel", "unbounded", "UnboundedSender"];
/// Programs that measure: their channels carry a known number of results.
const EXEMPT: &str = "runtime/src/bin/";
const CALLS: [&str; 2] = ["mpsc::channel()", "mpsc::channel::<"];

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| !source.path.starts_with(EXEMPT)) {
        for (number, line) in source.before_tests(&source.bare) {
            let word = WORDS.iter().find(|word| has_word(line, word));
            let call = CALLS.iter().find(|call| line.contains(**call));
            if let Some(what) = word.or(call) {
                findings.push(Finding::new(&source.path, number, format!("a queue without a bound: {what}")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unbounded_channels_are_found() {
        for (text, count) in [
            ("let (a, b) = mpsc::channel();", 1),
            ("let (a, b) = tokio::sync::mpsc::unbounded_channel();", 1),
            ("let (a, b) = tokio::sync::mpsc::channel(64);", 0),
            ("let (a, b) = std::sync::mpsc::sync_channel(64);", 0),
            ("// unbounded", 0),
        ] {
            assert_eq!(check(&[Source::new("a/src/b.rs", text)]).len(), count, "{text}");
        }
    }
}
