//! `[relay]`: what waits inside the gateway, and how long.

use super::reader::Section;
use super::setting::{Fallback, Kind, SectionKind, Setting};
use relay::CircuitRules;
use std::time::Duration;

/// Bounds of the waiting room before vendors.
#[derive(Clone, Debug)]
pub struct Relay {
    /// Messages waiting for a window slot, per vendor and shard.
    pub queue_max: u32,
    /// Longest wait.
    pub queue_wait_max: Duration,
    /// Open submits, per shard.
    pub messages_max: u32,
    /// Open deliveries, per shard.
    pub deliveries_max: u32,
    /// How long a receipt may end an unknown outcome.
    pub unknown_window: Duration,
    /// When a vendor is ill, and for how long it is left alone.
    pub circuits: CircuitRules,
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
        Setting {
            key: "messages_max",
            kind: Kind::Whole { min: 1, max: 16_777_216 },
            default: Fallback::Value("262144"),
            help: "Submits not answered yet, per shard; the next one is refused. About 200 bytes and its PDU each: the first to lower where memory is short.",
        },
        Setting {
            key: "deliveries_max",
            kind: Kind::Whole { min: 1, max: 16_777_216 },
            default: Fallback::Value("131072"),
            help: "Receipts and MO on their way, per shard; the next one stays with the vendor. About 200 bytes and its PDU each.",
        },
        Setting {
            key: "unknown_window",
            kind: Kind::Time { min: Duration::from_secs(1), max: Duration::from_secs(86_400) },
            default: Fallback::Value("1h"),
            help: "How long a receipt may still tell an unknown outcome. A shard remembers 16,384 of them, of the whole node.",
        },
        Setting {
            key: "circuit_failures_percent",
            kind: Kind::Whole { min: 0, max: 100 },
            default: Fallback::Value("50"),
            help: "A vendor is ill when so many of its answers in a circuit_window are temporary errors, missing or slow, and well when half as many are. An ill one loses its share step by step; failures alone open its circuit. 0 = vendors are never judged.",
        },
        Setting {
            key: "circuit_window",
            kind: Kind::Time { min: Duration::from_secs(1), max: Duration::from_secs(300) },
            default: Fallback::Value("5s"),
            help: "How far a vendor is looked back on; judged eight times in it. Longer is calmer and slower.",
        },
        Setting {
            key: "circuit_open_for",
            kind: Kind::Time { min: Duration::from_millis(100), max: Duration::from_secs(600) },
            default: Fallback::Value("5s"),
            help: "How long an open circuit keeps messages away where another vendor is there; doubled each time in a row, eight times at most.",
        },
        Setting {
            key: "circuit_probes",
            kind: Kind::Whole { min: 1, max: 100 },
            default: Fallback::Value("5"),
            help: "Messages of customers that then try the vendor out, on each shard. One that fails opens the circuit again.",
        },
        Setting {
            key: "circuit_slow_after",
            kind: Kind::Time { min: Duration::ZERO, max: Duration::from_secs(300) },
            default: Fallback::Value("2s"),
            help: "An answer that takes longer, or has not come by then, is slow; 0s = never. Above what vendors take on a good day.",
        },
        Setting {
            key: "circuit_ramp_up",
            kind: Kind::Time { min: Duration::from_secs(1), max: Duration::from_secs(600) },
            default: Fallback::Value("10s"),
            help: "From a vendor's recovery to its full share.",
        },
    ],
};

pub(crate) fn read(section: &Section<'_>) -> Relay {
    Relay {
        queue_max: section.whole_u32("queue_max"),
        queue_wait_max: section.time("queue_wait_max"),
        messages_max: section.whole_u32("messages_max"),
        deliveries_max: section.whole_u32("deliveries_max"),
        unknown_window: section.time("unknown_window"),
        circuits: CircuitRules {
            failures_percent: section.whole("circuit_failures_percent") as u8, // at most 100
            window: section.time("circuit_window"),
            open_for: section.time("circuit_open_for"),
            probes: section.whole("circuit_probes") as u8, // at most 100
            slow_after: section.time("circuit_slow_after"),
            ramp_up: section.time("circuit_ramp_up"),
        },
    }
}
