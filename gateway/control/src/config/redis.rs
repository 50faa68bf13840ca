//! The keys of `[store]` that speak of Redis.

use super::reader::Section;
use super::secret::Secret;
use super::setting::{Fallback, Kind, Setting};
use std::path::Path;
use std::time::Duration;
use store::{RedisOptions, WhenFull};

/// Longest address, bytes.
const URL_BYTES_MAX: usize = 1024;

/// Where Redis is, and how it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// `redis://` or `rediss://`; may hold a password.
    pub url: Secret,
    /// Begins every name.
    pub key_prefix: String,
    /// Correlations held while it is away.
    pub ring_max: u64,
    /// What happens when that is full.
    pub when_full: WhenFull,
    /// When a silent node's deliveries are taken over.
    pub reclaim_after: Duration,
    /// Nodes that share limits at most.
    pub nodes_max: u32,
}

impl Redis {
    /// As the store takes it.
    pub(crate) fn options(&self) -> RedisOptions {
        RedisOptions {
            key_prefix: self.key_prefix.clone(),
            ring_max: self.ring_max as usize,
            when_full: self.when_full,
            reclaim_after: self.reclaim_after,
            ..RedisOptions::new(&String::from_utf8_lossy(self.url.expose()))
        }
    }
}

pub(crate) const URL: Setting = Setting {
    key: "url",
    kind: Kind::Secret { bytes_max: URL_BYTES_MAX },
    default: Fallback::Absent,
    help: "`redis`: its address, `redis://user:password@host:port/database`, `rediss://` for TLS. Prefer url_file or the environment where it holds a password.",
};

pub(crate) const URL_FILE: Setting = Setting {
    key: "url_file",
    kind: Kind::Path,
    default: Fallback::Absent,
    help: "`redis`: file that holds the address and nothing else; one line end at its end is not part of it.",
};

pub(crate) const KEY_PREFIX: Setting = Setting {
    key: "key_prefix",
    kind: Kind::Text { bytes_max: 32 },
    default: Fallback::Value("gw:"),
    help: "`redis`: begins every name. All nodes of one gateway have the same, two gateways on one Redis have different ones.",
};

pub(crate) const RING_MAX: Setting = Setting {
    key: "ring_max",
    kind: Kind::Whole { min: 1000, max: 50_000_000 },
    default: Fallback::Value("500000"),
    help: "`redis`: correlations kept in memory (about 240 bytes each) while Redis is away, and written when it is back. They are lost if the node ends before.",
};

pub(crate) const WHEN_FULL: Setting = Setting {
    key: "when_full",
    kind: Kind::Choice(&["refuse", "accept"]),
    default: Fallback::Value("refuse"),
    help: "`redis`: what happens when ring_max is nearly used up. `refuse`: submits that want a receipt are refused with ESME_RMSGQFUL. `accept`: they are accepted and their receipts lost, counted as correlations_lost.",
};

pub(crate) const RECLAIM_AFTER: Setting = Setting {
    key: "reclaim_after",
    kind: Kind::Time { min: Duration::from_secs(1), max: Duration::from_secs(3600) },
    default: Fallback::Value("60s"),
    help: "`redis`: a node that says nothing about a parked delivery for so long is taken for dead, and another delivers it. Shorter than a customer takes to answer, and receipts come twice.",
};

pub(crate) const NODES_MAX: Setting = Setting {
    key: "nodes_max",
    kind: Kind::Whole { min: 1, max: 64 },
    default: Fallback::Value("3"),
    help: "`redis`: nodes that run at most, the same on all. A node that cannot ask Redis takes this part of each limit; the envelope of a limit is divided by it.",
};

/// Reads them for `kind = "redis"`; nothing when there is no usable address.
pub(crate) fn read(section: &Section<'_>, directory: &Path) -> Option<Redis> {
    let (url, key) = url(section, directory)?;
    let redis = Redis {
        url,
        key_prefix: section.text("key_prefix"),
        ring_max: section.whole("ring_max"),
        when_full: if section.text("when_full") == "accept" { WhenFull::Accept } else { WhenFull::Refuse },
        reclaim_after: section.time("reclaim_after"),
        nodes_max: section.whole_u32("nodes_max"),
    };
    if let Err(reason) = redis.options().check() {
        let what = format!("{key} is no address of a Redis: {reason}");
        section.mistake(key, &what, "write redis://host:port, or rediss:// for TLS");
    }
    Some(redis)
}

/// The address, and the key it came from.
fn url(section: &Section<'_>, directory: &Path) -> Option<(Secret, &'static str)> {
    match (section.secret("url"), section.text_if("url_file")) {
        (Some(_), Some(_)) => section.mistake("url_file", "url_file stands beside url", "keep one of them"),
        (Some(url), None) => return Some((url, "url")),
        (None, Some(file)) => match std::fs::read_to_string(directory.join(&file)) {
            Ok(text) => return Some((Secret::new(text.trim_end()), "url_file")),
            Err(error) => {
                let what = format!("url_file \"{file}\" cannot be read: {error}");
                section.mistake("url_file", &what, "correct the path or its permissions");
            }
        },
        (None, None) if section.was_refused("url") || section.was_refused("url_file") => {}
        (None, None) => {
            let remedy = format!("write url or url_file, or set {}", section.variable("URL"));
            section.mistake("kind", "there is no address of Redis", &remedy);
        }
    }
    None
}
