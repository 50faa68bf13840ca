//! `[store]`: correlation of receipts and parked deliveries.

use super::reader::Section;
use super::redis::{self, Redis};
use super::setting::{Fallback, Kind, SectionKind, Setting};
use std::path::Path;
use std::time::Duration;

/// Where correlations are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// In the state directory; survives a restart.
    Embedded,
    /// In Redis, shared by several nodes.
    Redis,
    /// Nowhere: receipts are not correlated.
    None,
}

/// When a customer is answered relative to the writing of the correlation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOrder {
    /// After the store took it.
    Strict,
    /// At once; a crash may lose the correlations of the last milliseconds.
    Relaxed,
}

/// What the store promises and holds.
#[derive(Clone, Debug)]
pub struct Store {
    /// Which store.
    pub kind: StoreKind,
    /// Answer after or beside the writing.
    pub write_order: WriteOrder,
    /// Whether each batch is synced to the disk before it is answered.
    pub sync_to_disk: bool,
    /// Age at which an open correlation is given up.
    pub time_to_live: Duration,
    /// Parked deliveries on this node.
    pub parked_max: u64,
    /// Parked deliveries handed out in one second.
    pub release_rate: u32,
    /// How long a receipt waits for its message.
    pub early_wait: Duration,
    /// Receipts that wait so.
    pub early_max: u64,
    /// Open correlations held in memory.
    pub recent_max: u64,
    /// Where Redis is, for that kind.
    pub redis: Option<Redis>,
}

pub(crate) static SECTION: SectionKind = SectionKind {
    name: "store",
    entry_key: None,
    help: "Correlation of receipts with messages, and deliveries that wait for their customer.",
    settings: &[
        Setting {
            key: "kind",
            kind: Kind::Choice(&["embedded", "redis", "none"]),
            default: Fallback::Value("embedded"),
            help: "`embedded` keeps correlations in the state directory; `redis` where several nodes find them; `none` keeps nothing, and no receipt finds its customer.",
        },
        Setting {
            key: "write_order",
            kind: Kind::Choice(&["strict", "relaxed"]),
            default: Fallback::Value("strict"),
            help: "`strict`: a customer is answered after the correlation is written. `relaxed`: at once; a crash may lose the receipts of the last milliseconds.",
        },
        Setting {
            key: "durability",
            kind: Kind::Choice(&["process", "disk"]),
            default: Fallback::Value("process"),
            help: "`process`: written to the operating system, survives kill -9 of the gateway, not a power cut or kernel crash. `disk`: synced before it counts, survives those too; adds one disk sync to every batch. For a customer in store and forward whose `unknown_outcome` is `fail` it also says how what is written before a copy goes is kept: with `process` a power cut may make a second copy.",
        },
        Setting {
            key: "time_to_live",
            kind: Kind::Time { min: Duration::from_secs(1), max: Duration::from_secs(7 * 86_400) },
            default: Fallback::Value("72h"),
            help: "Age at which an open correlation or a parked delivery is given up and counted. Longer costs disk.",
        },
        Setting {
            key: "parked_max",
            kind: Kind::Whole { min: 0, max: 100_000_000 },
            default: Fallback::Value("1000000"),
            help: "Deliveries parked on this node, all customers together. When it is full the vendor is not acknowledged and offers them again; counted.",
        },
        Setting {
            key: "release_rate",
            kind: Kind::Whole { min: 0, max: 10_000_000 },
            default: Fallback::Value("60000"),
            help: "Parked deliveries handed out in one second on this node, evenly, so that a customer who comes back does not slow the others down; 0 = as fast as sessions take them.",
        },
        Setting {
            key: "early_wait",
            kind: Kind::Time { min: Duration::from_secs(1), max: Duration::from_secs(3600) },
            default: Fallback::Value("60s"),
            help: "How long a receipt that fits no open message is kept, since the vendor's answer that names its message may still come. Its vendor is acknowledged at once. Then it is an orphan.",
        },
        Setting {
            key: "early_max",
            kind: Kind::Whole { min: 100, max: 10_000_000 },
            default: Fallback::Value("100000"),
            help: "Receipts kept so (about 64 bytes each in memory, and the PDU in the store). The oldest gives way to a new one; counted.",
        },
        Setting {
            key: "recent_max",
            kind: Kind::Whole { min: 1000, max: 50_000_000 },
            default: Fallback::Value("1000000"),
            help: "Newest open correlations kept in memory (about 200 bytes each) so that a receipt costs no disk read. Older ones move to disk.",
        },
        redis::URL,
        redis::URL_FILE,
        redis::KEY_PREFIX,
        redis::RING_MAX,
        redis::WHEN_FULL,
        redis::RECLAIM_AFTER,
        redis::NODES_MAX,
    ],
};

pub(crate) fn read(section: &Section<'_>, directory: &Path) -> Store {
    let kind = match section.text("kind").as_str() {
        "none" => StoreKind::None,
        "redis" => StoreKind::Redis,
        _ => StoreKind::Embedded,
    };
    Store {
        kind,
        redis: if kind == StoreKind::Redis { redis::read(section, directory) } else { None },
        write_order: if section.text("write_order") == "relaxed" {
            WriteOrder::Relaxed
        } else {
            WriteOrder::Strict
        },
        sync_to_disk: section.text("durability") == "disk",
        time_to_live: section.time("time_to_live"),
        parked_max: section.whole("parked_max"),
        release_rate: section.whole_u32("release_rate"),
        early_wait: section.time("early_wait"),
        early_max: section.whole("early_max"),
        recent_max: section.whole("recent_max"),
    }
}
