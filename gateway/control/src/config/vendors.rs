//! `[[vendor]]`: whom we bind to, and how.

use super::customers::password;
use super::limits::{WHEN_AWAY, WHEN_AWAY_HELP, when_away};
use super::mistake::{At, Place};
use super::reader::Section;
use super::routes::{ENCODINGS, encodings};
use super::secret::Secret;
use super::setting::{Fallback, Kind, SectionKind, Setting};
use super::tls;
use super::value::HostPort;
use link::TlsClient;
use relay::Encodings;
use relay::WhenAway;
use smpp::dialect::Dialect;
use smpp::pdu::BindKind;
use smpp::text::message_id::IdRule;
use std::path::Path;
use std::time::Duration;
use toml::de::{DeTable, DeValue};

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
    /// Binds of this node, over all shards.
    pub binds: u32,
    /// Binds of all nodes together, where they share them.
    pub binds_total: Option<u32>,
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
    /// How its receipts write the ids that its answers gave.
    pub id_rule: IdRule,
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
    /// Binds that this node may have at most.
    pub fn binds_max(&self) -> u32 {
        self.binds_total.unwrap_or(self.binds)
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
            key: "bind_kind",
            kind: Kind::Choice(&["transmitter", "receiver", "transceiver"]),
            default: Fallback::Value("transceiver"),
            help: "What we bind as. A transmitter gets no receipts: name the vendor a second time as receiver where it wants two.",
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
            kind: Kind::Own(
                "`\"default\"`, `\"strict\"`, `\"tolerant\"`, a table of tolerances, or the path of a preset file of them",
            ),
            default: Fallback::Absent,
            help: "How it deviates from the standard. Left out or `default`: every tolerance that harms no standard peer.",
        },
        Setting {
            key: "id_rule",
            kind: Kind::Choice(&["raw", "hex_to_decimal", "decimal_to_hex", "case_fold", "strip_zeros"]),
            default: Fallback::Value("raw"),
            help: "How its receipts write the message ids that its answers gave. A wrong rule makes every receipt an orphan.",
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
        binds: section.whole_u32("binds"),
        binds_total: section.has("binds_total").then(|| section.whole_u32("binds_total")),
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
    if vendor.reconnect_first > vendor.reconnect_max && vendor.reconnect_max > Duration::ZERO {
        section.mistake("reconnect_first", "reconnect_first is longer than reconnect_max", "make it shorter");
    }
    vendor
}

fn dialect(section: &Section<'_>, directory: &Path) -> Dialect {
    let Some(value) = section.own("dialect") else { return Dialect::tolerant() };
    match value.get_ref() {
        DeValue::String(name) if name == "default" || name == "tolerant" => Dialect::tolerant(),
        DeValue::String(name) if name == "strict" => Dialect::strict(),
        DeValue::String(name) => preset(section, &directory.join(name.as_ref())),
        DeValue::Table(table) => fields(section, table, None),
        _ => {
            let remedy = "write \"default\", \"strict\", \"tolerant\", a table or the path of a preset file";
            section.mistake("dialect", "dialect is neither a name nor a table", remedy);
            Dialect::strict()
        }
    }
}

/// A preset file holds tolerances as `name = true`, and nothing else.
fn preset(section: &Section<'_>, path: &Path) -> Dialect {
    let text = std::fs::read_to_string(path)
        .or_else(|error| std::fs::read_to_string(path.with_extension("toml")).map_err(|_| error));
    let text = match text {
        Ok(text) => text,
        Err(error) => {
            let what = format!("dialect file {} cannot be read: {error}", path.display());
            section.mistake(
                "dialect",
                &what,
                "write \"default\", \"strict\", \"tolerant\" or the path of a preset file",
            );
            return Dialect::strict();
        }
    };
    match DeTable::parse(&text) {
        Ok(table) => fields(section, table.get_ref(), Some(path)),
        Err(error) => {
            let what = format!("dialect file {} is no TOML: {}", path.display(), error.message());
            section.mistake("dialect", &what, "write lines such as tlv_cut = true");
            Dialect::strict()
        }
    }
}

fn fields(section: &Section<'_>, table: &DeTable<'_>, file: Option<&Path>) -> Dialect {
    let mut dialect = Dialect::strict();
    let within = file.map(|path| format!(" in {}", path.display())).unwrap_or_default();
    for (key, value) in table.iter() {
        // Spans of a preset file count in that file: the mistake is then placed at the vendor's setting.
        let place =
            |offset| if file.is_some() { section.place_of("dialect") } else { section.place_at(offset) };
        match (dialect.field_mut(key.get_ref()), value.get_ref().as_bool()) {
            (Some(field), Some(flag)) => *field = flag,
            (Some(_), None) => {
                let what = format!("dialect field {}{within} is no flag", key.get_ref());
                section.mistake_at(&place(value.span().start), &what, "write true or false");
            }
            (None, _) => {
                let what = format!("unknown dialect field \"{}\"{within}", key.get_ref());
                let remedy = super::reader::remedy_for_unknown(key.get_ref(), Dialect::NAMES.iter().copied());
                section.mistake_at(&place(key.span().start), &what, &remedy);
            }
        }
    }
    dialect
}
