//! What a setting is. Each section lists its settings as a table of these; the reader checks against the table, and
//! `docs/settings.md` is written from it, so that the reference cannot disagree with the program.

use std::fmt;
use std::time::Duration;

/// One setting: the only place that knows its name, form, bounds, default and meaning.
pub(crate) struct Setting {
    /// Its key in the file.
    pub key: &'static str,
    /// What may stand there.
    pub kind: Kind,
    /// What holds when it is left out.
    pub default: Fallback,
    /// What it does: unit, cost and danger, in one or two sentences.
    pub help: &'static str,
}

/// What may stand in a setting.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Text of at most so many bytes.
    Text {
        /// Longest value in bytes.
        bytes_max: usize,
    },
    /// `true` or `false`.
    Flag,
    /// A whole number within bounds, both included.
    Whole {
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
    },
    /// A duration such as `"500ms"`, `"5s"`, `"72h"`, within bounds, both included.
    Time {
        /// Shortest.
        min: Duration,
        /// Longest.
        max: Duration,
    },
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A list of words out of a few, each at most once, at least one.
    Choices(&'static [&'static str]),
    /// The same, and none will do.
    ChoicesOrNone(&'static [&'static str]),
    /// An IP address and port to listen on.
    Listen,
    /// A list of `host:port`, at least one.
    Hosts,
    /// A list of texts, each of at most so many bytes.
    Texts {
        /// Longest member in bytes.
        bytes_max: usize,
    },
    /// A list of whole numbers up to a maximum.
    Wholes {
        /// Largest member.
        max: u64,
    },
    /// A secret of at most so many bytes; never shown.
    Secret {
        /// Longest value in bytes.
        bytes_max: usize,
    },
    /// A path, relative to the file it stands in.
    Path,
    /// A whole number up to this bound, or this word.
    WholeOr {
        /// Largest value.
        max: u64,
        /// What may stand instead.
        word: &'static str,
    },
    /// A name or a table; the section reads it itself.
    Own(&'static str),
}

/// What holds when a setting is left out.
#[derive(Clone, Copy)]
pub(crate) enum Fallback {
    /// It must be given.
    Required,
    /// Nothing: the help says what that means.
    Absent,
    /// This value, written as an environment variable would be.
    Value(&'static str),
}

/// One section of the file.
pub(crate) struct SectionKind {
    /// Name of the table.
    pub name: &'static str,
    /// The key that names an entry of a repeated section (`[[vendor]]`); `None` for a single table.
    pub entry_key: Option<&'static str>,
    /// What the section is about.
    pub help: &'static str,
    /// Its settings.
    pub settings: &'static [Setting],
}

impl SectionKind {
    pub(crate) fn setting(&self, key: &str) -> Option<&'static Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Text { bytes_max } => write!(f, "text, at most {bytes_max} bytes"),
            Kind::Flag => f.write_str("`true` or `false`"),
            Kind::Whole { min, max } => write!(f, "whole number, {min} to {max}"),
            Kind::WholeOr { max, word } => write!(f, "whole number, 0 to {max}, or `\"{word}\"`"),
            Kind::Time { min, max } => {
                write!(f, "duration, {} to {}", super::value::show_time(*min), super::value::show_time(*max))
            }
            Kind::Choice(words) => write!(f, "one of {}", quoted(words)),
            Kind::Choices(words) => write!(f, "list of {}", quoted(words)),
            Kind::ChoicesOrNone(words) => write!(f, "list of {}, may be empty", quoted(words)),
            Kind::Listen => f.write_str("IP address and port; port 0 = any free port"),
            Kind::Hosts => f.write_str("list of `host:port`"),
            Kind::Texts { bytes_max } => write!(f, "list of texts, each at most {bytes_max} bytes"),
            Kind::Wholes { max } => write!(f, "list of whole numbers, each at most {max}"),
            Kind::Secret { bytes_max } => write!(f, "secret text, at most {bytes_max} bytes"),
            Kind::Path => f.write_str("path, relative to the configuration file"),
            Kind::Own(text) => f.write_str(text),
        }
    }
}

/// `"a", "b" or "c"`.
pub(crate) fn quoted(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, head)) => format!("{} or {last}", head.join(", ")),
        None => String::new(),
    }
}
