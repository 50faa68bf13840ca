//! `[[vendor]]`: whom we bind to, and how.

use super::customers::password;
use super::dialect::{DIALECT, dialect};
use super::limits::{WHEN_AWAY, WHEN_AWAY_HELP, when_away};
use super::mistake::{At, Place};
use super::reader::Section;
use super::routes::{ENCODINGS, encodings};
use super::secret::Secret;
use super::setting::{Fallback, Kind, SectionKind, Setting};
use super::tls;
use super::value::HostPort;
use super::version;
use link::TlsClient;
use relay::Encodings;
use relay::WhenAway;
use smpp::dialect::Dialect;
use smpp::pdu::BindKind;
use smpp::text::message_id::IdRule;
use smpp::version::Version;
use std::path::Path;
use std::time::Duration;

/// A vendor and our binds to it.
#[derive(Clone, Debug)]
pub struct Vendor {
    /// Its name everywhere.
    pub name: At<String>,
    /// Whether binds are kept and messages sent.
    pub enabled: bool,
    /// Where it is, tried in this order.
    pub addresses: Vec<HostPort>,
    /// Whom to trust and which name to demand where its links are encrypted.
    pub tls: Option<TlsClient>,
    /// Who we are there.
    pub system_id: String,
    /// How we prove it; nothing when that was a mistake.
    pub password: Option<Secret>,
    /// Asked for by some.
    pub system_type: String,
    /// What we bind as.
    pub bind_kind: BindKind,
    /// Which SMPP we speak to it, and say that we do.
    pub version: Version,
    /// Type of number of `address_range`.
    pub addr_ton: u8,
    /// Numbering plan of `address_range`.
    pub addr_npi: u8,
    /// The addresses that we say to serve.
    pub address_range: String,
    /// Binds of this node, over all shards.
    pub binds: u32,
    /// Binds of all nodes together, where they share them.
    pub binds_total: Option<u32>,
    /// Receivers of this node beside those binds.
    pub receivers: u32,
    /// Such receivers of all nodes together, where they share them.
    pub receivers_total: Option<u32>,
    /// Unanswered requests of one bind.
    pub window: u32,
    /// Messages in a second and bind; 0 = unlimited.
    pub rate_per_bind: u32,
    /// Messages in a second over all binds on all nodes; 0 = unlimited.
    pub rate: u32,
    /// Messages above that rate in any interval.
    pub burst: u32,
    /// What the rate means while Redis is away.
    pub when_away: WhenAway,
    /// How it deviates from the standard.
    pub dialect: Dialect,
    /// Longest PDU that it takes, octets; 0 = any.
    pub pdu_size_max: u32,
    /// It takes no reserved values.
    pub strict_values: bool,
    /// How its receipts write the ids that its answers gave.
    pub id_rule: IdRule,
    /// Its account at the SMSC, where other entries share it.
    pub account: Option<String>,
    /// Its receipts carry no usable number of the handset.
    pub receipts_without_number: bool,
    /// It marks no receipt.
    pub receipts_unmarked: bool,
    /// From a request to its answer.
    pub response_timeout: Duration,
    /// From connect to a complete bind.
    pub bind_timeout: Duration,
    /// Silence after which enquire_link is sent.
    pub enquire_link: Duration,
    /// Pause after ESME_RTHROTTLED.
    pub throttle_pause: Duration,
    /// What it takes.
    pub encodings: Encodings,
    /// What its statuses mean, by the name of an error map.
    pub error_map: Option<At<String>>,
    /// First pause before another try to connect.
    pub reconnect_first: Duration,
    /// Longest pause.
    pub reconnect_max: Duration,
    /// Where it is written.
    pub place: Place,
}

impl Vendor {
    /// Binds of its kind that this node may have at most.
    pub fn binds_max(&self) -> u32 {
        self.binds_total.unwrap_or(self.binds)
    }

    /// Receivers beside them that this node may have at most.
    pub fn receivers_max(&self) -> u32 {
        self.receivers_total.unwrap_or(self.receivers)
    }

    /// Whether several nodes share binds of its.
    pub fn is_shared(&self) -> bool {
        self.binds_total.is_some() || self.receivers_total.is_some()
    }
}

/// The burst of a vendor's rate, where none is given, is what the rate brings in this part of a second.
const VENDOR_BURSTS_PER_SECOND: u32 = 10;
const SECOND: Duration = Duration::from_secs(1);

pub(crate) static SECTION: SectionKind = SectionKind {
    name: "vendor",
    entry_key: Some("name"),
    help: "Whom we bind to, and how. One of password and password_file.",
    settings: &[
        Setting {
            key: "name",
            kind: Kind::Text { bytes_max: 64 },
            default: Fallback::Required,
            help: "Its name in routes, metrics and logs. Renaming one loses the correlations of its open messages.",
        },
        Setting {
            key: "enabled",
            kind: Kind::Flag,
            default: Fallback::Value("true"),
            help: "Whether we bind to it. Switched off, it stays known: routes may name it and go past it.",
        },
        Setting {
            key: "addresses",
            kind: Kind::Hosts,
            default: Fallback::Required,
            help: "Where it is, tried in this order.",
        },
        Setting {
            key: "tls",
            kind: Kind::Flag,
            default: Fallback::Value("false"),
            help: "Whether links are encrypted, with TLS 1.2 or 1.3. The vendor's certificate is always verified.",
        },
        Setting {
            key: "tls_name",
            kind: Kind::Text { bytes_max: 253 },
            default: Fallback::Absent,
            help: "DNS name or IP address that the vendor's certificate must be for. Left out: the host of addresses.",
        },
        Setting {
            key: "tls_ca_file",
            kind: Kind::Path,
            default: Fallback::Absent,
            help: "Certificates in PEM form that are trusted, and no others: authorities', or the vendor's own where it signs itself. Left out: the public roots built in. Read at start.",
        },
        Setting {
            key: "system_id",
            kind: Kind::Text { bytes_max: 15 },
            default: Fallback::Required,
            help: "Who we are there; at most 15 bytes (SMPP 3.4 §5.2.1).",
        },
        Setting {
            key: "password",
            kind: Kind::Secret { bytes_max: 64 },
            default: Fallback::Absent,
            help: "In clear text. Prefer password_file or the environment.",
        },
        Setting {
            key: "password_file",
            kind: Kind::Path,
            default: Fallback::Absent,
            help: "File that holds the password and nothing else; one line end at its end is not part of it.",
        },
        Setting {
            key: "system_type",
            kind: Kind::Text { bytes_max: 12 },
            default: Fallback::Value(""),
            help: "Asked for by some (SMPP 3.4 §5.2.3).",
        },
        Setting {
            key: "account",
            kind: Kind::Text { bytes_max: 64 },
            default: Fallback::Absent,
            help: "Its account at the SMSC, where several entries are of one, such as one for each host. Ids, receipts, parts of handsets' messages, `rate` and the pause after throttling are of the account: a receipt on any of its binds finds the message that went out on any. All of them have the same `id_rule`, `receipt_addresses`, `rate`, `burst`, `rate_when_away` and `throttle_pause`. Left out: the entry's own name. To change it orphans what is open.",
        },
        Setting {
            key: "bind_kind",
            kind: Kind::Choice(&["transmitter", "receiver", "transceiver"]),
            default: Fallback::Value("transceiver"),
            help: "What we bind as. A transmitter gets no receipts: where a vendor wants two kinds, add `receivers`.",
        },
        Setting {
            key: "interface_version",
            kind: version::OF_VENDOR,
            default: Fallback::Value("0x34"),
            help: "What our bind says, and which SMPP is spoken then. 0x33: no optional parameters and no data_sm; what they say goes into the text and its header, and a message that cannot be said so (over 254 bytes, a step of a USSD session) is not tried there; without another vendor it is refused.",
        },
        Setting {
            key: "addr_ton",
            kind: Kind::Whole { min: 0, max: 255 },
            default: Fallback::Value("0"),
            help: "`addr_ton` of our bind (SMPP 3.4 §5.2.5): type of number of `address_range`.",
        },
        Setting {
            key: "addr_npi",
            kind: Kind::Whole { min: 0, max: 255 },
            default: Fallback::Value("0"),
            help: "`addr_npi` of our bind (SMPP 3.4 §5.2.6): numbering plan of `address_range`.",
        },
        Setting {
            key: "address_range",
            kind: Kind::Text { bytes_max: 40 },
            default: Fallback::Value(""),
            help: "`address_range` of our bind (SMPP 3.4 §5.2.7): some give no receipts or handsets' messages without one.",
        },
        Setting {
            key: "binds",
            kind: Kind::Whole { min: 1, max: 1000 },
            default: Fallback::Value("1"),
            help: "Binds of this node, spread over its shards. Vendors limit them: more are refused.",
        },
        Setting {
            key: "binds_total",
            kind: Kind::Whole { min: 1, max: 1000 },
            default: Fallback::Absent,
            help: "Binds of all nodes together, for a vendor that limits them: nodes lease them from Redis, and one without a bind sends through one that has. Takes the place of binds. Needs `[store] kind = \"redis\"` and `[cluster] secret`.",
        },
        Setting {
            key: "receivers",
            kind: Kind::Whole { min: 0, max: 1000 },
            default: Fallback::Value("0"),
            help: "Receivers of this node beside `binds`, for a vendor that takes messages from transmitters and gives receipts and handsets' messages to receivers. They get what any of its binds is owed.",
        },
        Setting {
            key: "receivers_total",
            kind: Kind::Whole { min: 1, max: 1000 },
            default: Fallback::Absent,
            help: "The same of all nodes together, leased as with `binds_total`. Takes the place of receivers.",
        },
        Setting {
            key: "window",
            kind: Kind::Whole { min: 1, max: 10_000 },
            default: Fallback::Value("100"),
            help: "Unanswered requests of one bind. Vendors limit them, often to 10.",
        },
        Setting {
            key: "rate_per_bind",
            kind: Kind::Whole { min: 0, max: 1_000_000 },
            default: Fallback::Value("0"),
            help: "Messages in a second and bind; 0 = unlimited. What is over it waits.",
        },
        Setting {
            key: "rate",
            kind: Kind::Whole { min: 0, max: 10_000_000 },
            default: Fallback::Value("0"),
            help: "Messages in a second over all binds on all nodes; 0 = unlimited. What is over it waits.",
        },
        Setting {
            key: "burst",
            kind: Kind::Whole { min: 1, max: 10_000_000 },
            default: Fallback::Absent,
            help: "Messages above `rate` in any interval: a vendor that counts by the second sees at most rate + burst. Left out: a tenth of a second's worth. Where nodes share Redis it is at least nodes_max + 1.",
        },
        Setting {
            key: "rate_when_away",
            kind: Kind::Choice(WHEN_AWAY),
            default: Fallback::Value("share"),
            help: WHEN_AWAY_HELP,
        },
        Setting {
            key: "dialect",
            kind: DIALECT,
            default: Fallback::Absent,
            help: "How it deviates from the standard: what is taken from it. Left out or `default`: every tolerance that harms no standard peer. None lets a malformed PDU out: what was tolerated is written anew.",
        },
        Setting {
            key: "pdu_size_max",
            kind: Kind::Whole { min: 512, max: 1_048_576 },
            default: Fallback::Absent,
            help: "Longest PDU that it takes, bytes: 16384 for node-smpp, 7424 for Kannel. Longer messages are not tried there; without another vendor they are refused with ESME_RINVMSGLEN. Left out: whatever we take.",
        },
        Setting {
            key: "strict_values",
            kind: Kind::Flag,
            default: Fallback::Value("false"),
            help: "It takes no values that SMPP 3.4 reserves in one-octet fields (types and plans of addresses, esm_class, priority_flag, registered_delivery, replace_if_present_flag, data_coding, sm_default_msg_id): messages with one are not tried there; without another vendor they are refused with the field's status. Vendors use such values, so that they pass where this is off.",
        },
        Setting {
            key: "id_rule",
            kind: Kind::Choice(&["raw", "hex_to_decimal", "decimal_to_hex", "case_fold", "strip_zeros"]),
            default: Fallback::Value("raw"),
            help: "How its receipts write the message ids that its answers gave. A wrong rule makes every receipt an orphan.",
        },
        Setting {
            key: "receipts_unmarked",
            kind: Kind::Flag,
            default: Fallback::Value("false"),
            help: "The vendor sends receipts with esm_class 0 and without TLVs. A text with the fields id and stat is then taken for a receipt. If a handset's message has such a text, it matches no open message and is not delivered.",
        },
        Setting {
            key: "receipt_addresses",
            kind: Kind::Choice(&["handset", "none"]),
            default: Fallback::Value("handset"),
            help: "Whether its receipts carry the handset's number, as source or as destination. `handset`: a receipt belongs to the open message of its id that went to that number; vendors give ids twice. `none`: the id alone says it, and an id that was given twice while messages were open makes orphans.",
        },
        Setting {
            key: "response_timeout",
            kind: Kind::Time { min: Duration::from_millis(100), max: Duration::from_secs(300) },
            default: Fallback::Value("10s"),
            help: "A message without an answer after this time has an unknown outcome.",
        },
        Setting {
            key: "bind_timeout",
            kind: Kind::Time { min: Duration::from_millis(100), max: Duration::from_secs(300) },
            default: Fallback::Value("5s"),
            help: "From connect to a complete bind.",
        },
        Setting {
            key: "enquire_link",
            kind: Kind::Time { min: Duration::ZERO, max: Duration::from_secs(3600) },
            default: Fallback::Value("30s"),
            help: "Silence after which enquire_link is sent; 0s = never, and then a vanished vendor is found by its unanswered messages only.",
        },
        Setting {
            key: "throttle_pause",
            kind: Kind::Time { min: Duration::ZERO, max: Duration::from_secs(60) },
            default: Fallback::Value("1s"),
            help: "Pause after ESME_RTHROTTLED.",
        },
        Setting {
            key: "encodings",
            kind: Kind::Choices(ENCODINGS),
            default: Fallback::Value("gsm7,latin1,ucs2,binary"),
            help: "What it takes, by data_coding: gsm7 (0 and 1 and the GSM 7-bit groups), latin1 (3), ucs2 (8), binary (all others). Messages of others are not tried there.",
        },
        Setting {
            key: "error_map",
            kind: Kind::Text { bytes_max: 64 },
            default: Fallback::Absent,
            help: "The `[[error_map]]` that says what its statuses mean. Left out: what SMPP says.",
        },
        Setting {
            key: "reconnect_first",
            kind: Kind::Time { min: Duration::from_millis(10), max: Duration::from_secs(300) },
            default: Fallback::Value("500ms"),
            help: "Pause before the first new try to connect; doubles with every failure, with jitter.",
        },
        Setting {
            key: "reconnect_max",
            kind: Kind::Time { min: SECOND, max: Duration::from_secs(3600) },
            default: Fallback::Value("30s"),
            help: "Longest pause between two tries.",
        },
    ],
};

pub(crate) fn read(section: &Section<'_>, directory: &Path) -> Vendor {
    let addresses = section.hosts("addresses");
    let vendor = Vendor {
        name: section.text_at("name").unwrap_or_else(|| At::new(String::new(), section.place.clone())),
        enabled: section.flag("enabled"),
        tls: tls::client(section, directory, &addresses),
        addresses,
        system_id: section.text("system_id"),
        password: password(section, directory),
        system_type: section.text("system_type"),
        bind_kind: match section.text("bind_kind").as_str() {
            "transmitter" => BindKind::Transmitter,
            "receiver" => BindKind::Receiver,
            _ => BindKind::Transceiver,
        },
        version: version::version(section).unwrap_or_default(),
        addr_ton: section.whole_u32("addr_ton") as u8, // their bound
        addr_npi: section.whole_u32("addr_npi") as u8,
        address_range: section.text("address_range"),
        binds: section.whole_u32("binds"),
        binds_total: section.has("binds_total").then(|| section.whole_u32("binds_total")),
        receivers: section.whole_u32("receivers"),
        receivers_total: section.has("receivers_total").then(|| section.whole_u32("receivers_total")),
        window: section.whole_u32("window"),
        rate_per_bind: section.whole_u32("rate_per_bind"),
        rate: section.whole_u32("rate"),
        burst: if section.has("burst") {
            section.whole_u32("burst")
        } else {
            (section.whole_u32("rate") / VENDOR_BURSTS_PER_SECOND).max(1)
        },
        when_away: when_away(&section.text("rate_when_away")),
        dialect: dialect(section, directory),
        pdu_size_max: if section.has("pdu_size_max") { section.whole_u32("pdu_size_max") } else { 0 },
        strict_values: section.flag("strict_values"),
        receipts_without_number: section.text("receipt_addresses") == "none",
        receipts_unmarked: section.flag("receipts_unmarked"),
        account: section.has("account").then(|| section.text("account")),
        id_rule: match section.text("id_rule").as_str() {
            "hex_to_decimal" => IdRule::HexToDecimal,
            "decimal_to_hex" => IdRule::DecimalToHex,
            "case_fold" => IdRule::CaseFold,
            "strip_zeros" => IdRule::StripZeros,
            _ => IdRule::Raw,
        },
        response_timeout: section.time("response_timeout"),
        bind_timeout: section.time("bind_timeout"),
        enquire_link: section.time("enquire_link"),
        throttle_pause: section.time("throttle_pause"),
        encodings: encodings(section).unwrap_or(Encodings::ALL),
        error_map: section.text_at("error_map"),
        reconnect_first: section.time("reconnect_first"),
        reconnect_max: section.time("reconnect_max"),
        place: section.place.clone(),
    };
    if section.has("name") && vendor.name.value.is_empty() {
        section.mistake("name", "name is empty", "give the vendor a name");
    }
    if vendor.bind_kind == BindKind::Receiver && vendor.receivers_max() > 0 {
        let key = if vendor.receivers_total.is_some() { "receivers_total" } else { "receivers" };
        section.mistake(
            key,
            "all its binds are receivers already",
            "remove it, or set bind_kind = \"transmitter\"",
        );
    }
    if vendor.reconnect_first > vendor.reconnect_max && vendor.reconnect_max > Duration::ZERO {
        section.mistake("reconnect_first", "reconnect_first is longer than reconnect_max", "make it shorter");
    }
    vendor
}
