//! `[relay]`: what waits inside the gateway, and how long.

use super::reader::Section;
use super::setting::{Fallback, Kind, SectionKind, Setting};
use std::time::Duration;

/// Bounds of the waiting room before vendors.
#[derive(Clone, Debug)]
pub struct Relay {
    /// Messages waiting for a window slot, per vendor and shard.
    pub queue_max: u32,
    /// Longest wait.
    pub queue_wait_max: Duration,
}

pub(crate) static SECTION: SectionKind = SectionKind {
    name: "relay",
    entry_key: None,
    help: "What waits inside the gateway, and how long.",
    settings: &[
        Setting {
            key: "queue_max",
            kind: Kind::Whole { min: 1, max: 1_000_000 },
            default: Fallback::Value("10000"),
            help: "Messages waiting for a free window slot, per vendor and shard; the next one goes elsewhere or is refused. About 1 KiB each.",
        },
        Setting {
            key: "queue_wait_max",
            kind: Kind::Time { min: Duration::from_millis(1), max: Duration::from_secs(300) },
            default: Fallback::Value("5s"),
            help: "A message that waited so long is refused with a temporary status. Keep it below the customers' response timer.",
        },
    ],
};

pub(crate) fn read(section: &Section<'_>) -> Relay {
    Relay { queue_max: section.whole_u32("queue_max"), queue_wait_max: section.time("queue_wait_max") }
}
