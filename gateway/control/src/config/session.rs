//! `[session]`: limits and timers of customers' sessions (SMPP 3.4 §7.2); vendors have their own.

use super::reader::Section;
use super::setting::{Fallback, Kind, SectionKind, Setting};
use std::time::Duration;

/// Limits and timers of customers' sessions.
#[derive(Clone, Debug)]
pub struct Session {
    /// From accept to a complete bind.
    pub bind_timeout: Duration,
    /// From a deliver_sm to its response.
    pub response_timeout: Duration,
    /// Silence after which enquire_link is sent.
    pub enquire_link: Duration,
    /// Silence after which the link is ended; zero = never.
    pub inactivity: Duration,
    /// What the end of a session may wait for what is still owed.
    pub finish_timeout: Duration,
    /// Longest PDU, bytes.
    pub pdu_size_max: u32,
    /// Customers' links on this node, shared out evenly among its shards.
    pub links_max: u32,
}

pub(crate) static SECTION: SectionKind = SectionKind {
    name: "session",
    entry_key: None,
    help: "Limits and timers towards customers (SMPP 3.4 §7.2).",
    settings: &[
        Setting {
            key: "bind_timeout",
            kind: Kind::Time { min: Duration::from_millis(100), max: Duration::from_secs(300) },
            default: Fallback::Value("5s"),
            help: "A connection without a complete bind after this time is closed. Longer lets strangers hold more sockets.",
        },
        Setting {
            key: "response_timeout",
            kind: Kind::Time { min: Duration::from_millis(100), max: Duration::from_secs(600) },
            default: Fallback::Value("30s"),
            help: "A deliver_sm without an answer after this time is offered again or parked.",
        },
        Setting {
            key: "enquire_link",
            kind: Kind::Time { min: Duration::ZERO, max: Duration::from_secs(3600) },
            default: Fallback::Value("30s"),
            help: "Silence after which enquire_link is sent; 0s = never. Finds peers that vanished without a word.",
        },
        Setting {
            key: "inactivity",
            kind: Kind::Time { min: Duration::ZERO, max: Duration::from_secs(86_400) },
            default: Fallback::Value("150s"),
            help: "Silence after which a session is unbound; 0s = never. Any PDU is a sign of life, enquire_link and its answer too. Must be longer than enquire_link.",
        },
        Setting {
            key: "finish_timeout",
            kind: Kind::Time { min: Duration::ZERO, max: Duration::from_secs(300) },
            default: Fallback::Value("5s"),
            help: "What a session that ends in order waits, after the customer's unbind or before ours, until its submits and deliveries are answered. What a vendor answers later has no receiver: the customer never learns its message id. Towards a vendor its response_timeout counts instead.",
        },
        Setting {
            key: "pdu_size_max",
            kind: Kind::Whole { min: 1024, max: 1_048_576 },
            default: Fallback::Value("69632"),
            help: "Longest PDU taken, from customers and vendors, bytes; a longer one ends the link. The default takes a message_payload of 65,535 bytes. Bounds what one link can make us hold.",
        },
        Setting {
            key: "links_max",
            kind: Kind::Whole { min: 1, max: 1_000_000 },
            default: Fallback::Value("20000"),
            help: "Customers' links on this node, shared out evenly among its shards: the next one on a shard is closed before its bind is answered. All links of one customer are on one shard. Vendors' binds are not counted and keep their room. About 16 KiB each when idle.",
        },
    ],
};

pub(crate) fn read(section: &Section<'_>) -> Session {
    let session = Session {
        bind_timeout: section.time("bind_timeout"),
        response_timeout: section.time("response_timeout"),
        enquire_link: section.time("enquire_link"),
        inactivity: section.time("inactivity"),
        finish_timeout: section.time("finish_timeout"),
        pdu_size_max: section.whole_u32("pdu_size_max"),
        links_max: section.whole_u32("links_max"),
    };
    if !session.inactivity.is_zero() && session.inactivity <= session.enquire_link {
        let remedy = "make inactivity longer than enquire_link, or 0s";
        section.mistake("inactivity", "inactivity closes a link before enquire_link can ask", remedy);
    }
    session
}
