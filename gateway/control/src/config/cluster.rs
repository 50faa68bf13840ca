//! `[cluster]`: what the nodes of one gateway need of each other to share the binds of a vendor.

use super::reader::Section;
use super::secret::Secret;
use super::setting::{Fallback, Kind, SectionKind, Setting};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use store::lease::slots::WhenAway;

/// A secret that could be guessed is none; 16 random bytes are enough.
const SECRET_BYTES_MIN: usize = 16;
const SECRET_BYTES_MAX: usize = 256;

/// How this node works with others.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Where other nodes reach its SMPP port; left out: as it listens.
    pub address: Option<SocketAddr>,
    /// What nodes prove themselves by; none: this node has no links to others.
    pub secret: Option<Secret>,
    /// Life of a lease of a bind slot.
    pub slot_lease: Duration,
    /// How long a lapsed slot stays untaken.
    pub slot_grace: Duration,
    /// How long shares must have been uneven before a slot is handed over.
    pub hand_over_after: Duration,
    /// What happens to slots when Redis is away.
    pub when_redis_is_away: WhenAway,
}

pub(crate) static SECTION: SectionKind = SectionKind {
    name: "cluster",
    entry_key: None,
    help: "What the nodes of one gateway need of each other to share the binds of a vendor (`binds_total`). The same on all nodes but for address.",
    settings: &[
        Setting {
            key: "address",
            kind: Kind::Listen,
            default: Fallback::Absent,
            help: "IP address and port at which other nodes reach this one's SMPP port. Left out: `[listen] smpp`, where that is one address.",
        },
        Setting {
            key: "secret",
            kind: Kind::Secret { bytes_max: SECRET_BYTES_MAX },
            default: Fallback::Absent,
            help: "What nodes prove themselves by towards each other, at least 16 bytes. It does not cross the wire; messages between nodes do, in clear. Prefer secret_file or the environment.",
        },
        Setting {
            key: "secret_file",
            kind: Kind::Path,
            default: Fallback::Absent,
            help: "File that holds the secret and nothing else; one line end at its end is not part of it.",
        },
        Setting {
            key: "slot_lease",
            kind: Kind::Time { min: Duration::from_secs(1), max: Duration::from_secs(300) },
            default: Fallback::Value("9s"),
            help: "Life of a lease of a bind slot; renewed six times in it. Binds end in order when half of it has passed without Redis, and are closed after two thirds. Another node takes the slots of one that is gone after this and slot_grace. Clocks and pauses of the process may be off by a third of it. To change it, stop all nodes.",
        },
        Setting {
            key: "slot_grace",
            kind: Kind::Time { min: Duration::ZERO, max: Duration::from_secs(600) },
            default: Fallback::Value("5s"),
            help: "How long a slot whose holder is gone stays untaken: the time in which the vendor notices that the old connection is dead. Shorter than that, and the vendor may count one bind too many, and refuse it.",
        },
        Setting {
            key: "hand_over_after",
            kind: Kind::Time { min: Duration::from_secs(1), max: Duration::from_secs(3600) },
            default: Fallback::Value("30s"),
            help: "How long one node must have had more than its share of a vendor's binds, and another less, before one is handed over; then one at a time, each after as long.",
        },
        Setting {
            key: "when_redis_is_away",
            kind: Kind::Choice(&["release", "keep"]),
            default: Fallback::Value("release"),
            help: "What happens to bind slots when Redis cannot be asked. `release`: their binds end before other nodes may take them. `keep`: the node goes on, and no other ever takes them over; those of a node that is gone are free only when it was started again.",
        },
    ],
};

pub(crate) fn read(section: &Section<'_>, directory: &Path) -> Cluster {
    Cluster {
        address: section.has("address").then(|| section.listen("address")),
        secret: secret(section, directory),
        slot_lease: section.time("slot_lease"),
        slot_grace: section.time("slot_grace"),
        hand_over_after: section.time("hand_over_after"),
        when_redis_is_away: match section.text("when_redis_is_away").as_str() {
            "keep" => WhenAway::Keep,
            _ => WhenAway::Release,
        },
    }
}

fn secret(section: &Section<'_>, directory: &Path) -> Option<Secret> {
    let (secret, key) = match (section.secret("secret"), section.text_if("secret_file")) {
        (Some(_), Some(_)) => {
            section.mistake("secret_file", "secret_file stands beside secret", "keep one of them");
            return None;
        }
        (Some(secret), None) => (secret, "secret"),
        (None, Some(file)) => match std::fs::read(directory.join(&file)) {
            Ok(bytes) => {
                let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
                (Secret::new(bytes.strip_suffix(b"\r").unwrap_or(bytes)), "secret_file")
            }
            Err(error) => {
                let what = format!("secret_file \"{file}\" cannot be read: {error}");
                section.mistake("secret_file", &what, "correct the path or its permissions");
                return None;
            }
        },
        (None, None) => return None,
    };
    if !(SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&secret.expose().len()) {
        let remedy = format!("use {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} random bytes");
        section.mistake(key, "the secret is too short or too long", &remedy);
    }
    Some(secret)
}
