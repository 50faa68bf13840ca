//! `[listen]`: the ports.

use super::reader::Section;
use super::setting::{Fallback, Kind, SectionKind, Setting};
use std::net::SocketAddr;

/// Addresses that the gateway listens on.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Customers bind here.
    pub smpp: SocketAddr,
    /// Health, metrics and state.
    pub http: SocketAddr,
}

pub(crate) static SECTION: SectionKind = SectionKind {
    name: "listen",
    entry_key: None,
    help: "The ports. Port 0 takes any free one and names it in the ready line.",
    settings: &[
        Setting {
            key: "smpp",
            kind: Kind::Listen,
            default: Fallback::Value("0.0.0.0:2775"),
            help: "Customers bind here (2775 is the port IANA gave to SMPP).",
        },
        Setting {
            key: "http",
            kind: Kind::Listen,
            default: Fallback::Value("127.0.0.1:9400"),
            help: "`/livez`, `/readyz`, `/metrics`, `/state`. It asks for no password: keep it on a private address.",
        },
    ],
};

pub(crate) fn read(section: &Section<'_>) -> Listen {
    let listen = Listen { smpp: section.listen("smpp"), http: section.listen("http") };
    if listen.smpp == listen.http && listen.smpp.port() != 0 {
        section.mistake("http", "http and smpp have the same address", "give each a port of its own");
    }
    listen
}
