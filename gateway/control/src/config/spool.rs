//! `[spool]`: messages of customers in store and forward, from their acknowledgement until a vendor has them.

use super::reader::Section;
use super::setting::{Fallback, Kind, SectionKind, Setting};
use std::time::Duration;

/// What the spool holds, and how long and often a message is tried.
#[derive(Clone, Debug)]
pub struct Spool {
    /// Messages on this node.
    pub entries_max: u64,
    /// Octets of their PDUs.
    pub octets_max: u64,
    /// Validity of a message that names none.
    pub validity: Duration,
    /// First pause between two rounds.
    pub retry_first: Duration,
    /// Longest pause between two rounds.
    pub retry_max: Duration,
    /// Copies that may follow ones of unknown outcome.
    pub unknown_copies_max: u8,
}

const WEEK: Duration = Duration::from_secs(7 * 86_400);

pub(crate) static SECTION: SectionKind = SectionKind {
    name: "spool",
    entry_key: None,
    help: "Messages of customers whose `mode` is `store_and_forward`, from their acknowledgement until a vendor has them. On disk below `state_directory`, synced before a customer is answered.",
    settings: &[
        Setting {
            key: "max",
            kind: Kind::Whole { min: 1, max: 100_000_000 },
            default: Fallback::Value("1000000"),
            help: "Messages that wait or are on their way, on this node; the next one gets ESME_RMSGQFUL. About 160 bytes of memory each.",
        },
        Setting {
            key: "octets_max",
            kind: Kind::Whole { min: 65_536, max: 1 << 44 },
            default: Fallback::Value("1073741824"),
            help: "Octets of their PDUs, on disk; the next one gets ESME_RMSGQFUL. The files take about twice as much for a while.",
        },
        Setting {
            key: "validity",
            kind: Kind::Time { min: Duration::from_secs(1), max: WEEK },
            default: Fallback::Value("24h"),
            help: "How long a message that names no validity period is tried. One that names a longer one than 7 days is tried for 7 days.",
        },
        Setting {
            key: "retry_first",
            kind: Kind::Time { min: Duration::from_millis(10), max: Duration::from_secs(3600) },
            default: Fallback::Value("5s"),
            help: "First pause after every vendor of the route failed a message; each further one is twice as long. Vendors that are only busy are tried again after 1 s.",
        },
        Setting {
            key: "retry_max",
            kind: Kind::Time { min: Duration::from_millis(10), max: Duration::from_secs(86_400) },
            default: Fallback::Value("300s"),
            help: "Longest pause; up to a quarter of it, left to chance, comes on top.",
        },
        Setting {
            key: "unknown_copies_max",
            kind: Kind::Whole { min: 0, max: 100 },
            default: Fallback::Value("2"),
            help: "How often a message is sent again after its outcome was unknown (the connection was lost, or no answer came), where `unknown_outcome` is `retry_other`. After that it is not sent any more: it stays in the spool, and its customer gets a receipt UNKNOWN at the end of its validity. Each time the handset may get the message once more.",
        },
    ],
};

pub(crate) fn read(section: &Section<'_>) -> Spool {
    let (retry_first, retry_max) = (section.time("retry_first"), section.time("retry_max"));
    if retry_max < retry_first {
        let remedy = "make retry_max at least as long";
        section.mistake("retry_max", "retry_max is shorter than retry_first", remedy);
    }
    Spool {
        entries_max: section.whole("max"),
        octets_max: section.whole("octets_max"),
        validity: section.time("validity"),
        retry_first,
        retry_max,
        unknown_copies_max: section.whole("unknown_copies_max") as u8, // at most 100
    }
}
