//! `[listen]`: the ports.

use super::reader::Section;
use super::setting::{Fallback, Kind, SectionKind, Setting};
use super::tls::{self, ListenTls};
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::Path;

/// Addresses that the gateway listens on.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Customers bind here.
    pub smpp: SocketAddr,
    /// They bind over TLS here, where they may.
    pub tls: Option<ListenTls>,
    /// Health, metrics and state.
    pub http: SocketAddr,
    /// Networks of proxies that many customers come through.
    pub trusted_proxies: Vec<IpNet>,
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
            key: "smpp_tls",
            kind: Kind::Listen,
            default: Fallback::Absent,
            help: "Customers bind here over TLS 1.2 or 1.3, beside `smpp`. Needs the two files below. A handshake costs the first shard up to a millisecond.",
        },
        Setting {
            key: "tls_certificate_file",
            kind: Kind::Path,
            default: Fallback::Absent,
            help: "Our certificate in PEM form, then those between it and its root. Read at start: a renewed one needs a restart.",
        },
        Setting {
            key: "tls_key_file",
            kind: Kind::Path,
            default: Fallback::Absent,
            help: "Its private key in PEM form (PKCS#8, PKCS#1 or SEC1), without a password: keep it readable by the gateway only.",
        },
        Setting {
            key: "http",
            kind: Kind::Listen,
            default: Fallback::Value("127.0.0.1:9400"),
            help: "`/livez`, `/readyz`, `/metrics`, `/state`. It asks for no password: keep it on a private address.",
        },
        Setting {
            key: "trusted_proxies",
            kind: Kind::Texts { bytes_max: 49 },
            default: Fallback::Absent,
            help: "Networks of proxies and load balancers in front of the SMPP ports, such as `10.1.0.0/16`. Binds wait for their passwords in turns of their addresses, and an address of wrong binds comes last; those from here are counted for their system_id instead, since all customers share the address.",
        },
    ],
};

pub(crate) fn read(section: &Section<'_>, directory: &Path) -> Listen {
    let listen = Listen {
        smpp: section.listen("smpp"),
        tls: tls::server(section, directory),
        http: section.listen("http"),
        trusted_proxies: section.networks("trusted_proxies"),
    };
    let encrypted = listen.tls.as_ref().map(|tls| tls.address).filter(|address| address.port() != 0);
    if encrypted.is_some_and(|address| address == listen.smpp || address == listen.http) {
        section.mistake(
            "smpp_tls",
            "smpp_tls has the address of another port",
            "give each a port of its own",
        );
    }
    if listen.smpp == listen.http && listen.smpp.port() != 0 {
        section.mistake("http", "http and smpp have the same address", "give each a port of its own");
    }
    listen
}
