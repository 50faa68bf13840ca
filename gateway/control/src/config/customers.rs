//! `[[customer]]`: who binds to us, and with which rights.

use super::dialect::{DIALECT, dialect};
use super::limits::{WHEN_AWAY, WHEN_AWAY_HELP, when_away};
use super::mistake::{At, Place};
use super::reader::Section;
use super::secret::{Credential, Secret};
use super::setting::{Fallback, Kind, SectionKind, Setting};
use super::version;
use ipnet::IpNet;
use relay::{Deduplicate, Mode, RangePolicy, UnknownOutcome, WhenAway};
use shard::BindKinds;
use smpp::dialect::Dialect;
use smpp::tlv::Tag;
use smpp::version::Version;
use std::path::Path;
use std::time::Duration;

/// A customer: an account with its credentials and rights.
#[derive(Clone, Debug)]
pub struct Customer {
    /// What it binds with, and its name everywhere.
    pub system_id: At<String>,
    /// Whether it may bind.
    pub enabled: bool,
    /// Networks that it may bind from; empty = from anywhere.
    pub networks: Vec<IpNet>,
    /// How its password is checked; nothing when that was a mistake.
    pub credential: Option<Credential>,
    /// Which binds it may use.
    pub bind_kinds: BindKinds,
    /// Sessions at the same time.
    pub binds_max: u32,
    /// Unanswered requests of one session, each way.
    pub window: u32,
    /// Messages in a second over all its binds on all nodes; 0 = unlimited.
    pub rate: At<u32>,
    /// Messages above the rate in any interval.
    pub burst: u32,
    /// Messages in a second of one session; 0 = unlimited.
    pub bind_rate: u32,
    /// What the rate means while Redis is away.
    pub when_away: WhenAway,
    /// Where it may send from.
    pub sources: Vec<At<String>>,
    /// It may send from numbers of other customers.
    pub sources_of_others: bool,
    /// When its messages are acknowledged.
    pub mode: Mode,
    /// What to do when nobody knows whether a vendor has a message.
    pub unknown_outcome: UnknownOutcome,
    /// How what it submits again is recognised.
    pub deduplicate: Deduplicate,
    /// How long after its submit.
    pub deduplicate_window: Duration,
    /// MO to these destinations are its own.
    pub numbers: Vec<At<String>>,
    /// MO in parts come as one.
    pub reassemble: bool,
    /// How it deviates from the standard.
    pub dialect: Dialect,
    /// Which SMPP is spoken to it; nothing = as it binds.
    pub version: Option<Version>,
    /// What its address ranges are good for.
    pub address_range: RangePolicy,
    /// Where it is written.
    pub place: Place,
}

pub(crate) static SECTION: SectionKind = SectionKind {
    name: "customer",
    entry_key: Some("system_id"),
    help: "Who binds to us, and with which rights. One of password, password_file and password_hash.",
    settings: &[
        Setting {
            key: "system_id",
            kind: Kind::Text { bytes_max: 15 },
            default: Fallback::Required,
            help: "What the customer binds with; its name in metrics and routes. At most 15 bytes (SMPP 3.4 §5.2.1).",
        },
        Setting {
            key: "enabled",
            kind: Kind::Flag,
            default: Fallback::Value("true"),
            help: "Whether it may bind. Switched off, its sessions are ended in order, and what comes for it is parked.",
        },
        Setting {
            key: "networks",
            kind: Kind::Texts { bytes_max: 49 },
            default: Fallback::Absent,
            help: "Networks that it may bind from, such as `203.0.113.0/24` or `2001:db8::/32`; an address alone is a network of one. Left out: from anywhere. Others are refused with ESME_RBINDFAIL.",
        },
        Setting {
            key: "password",
            kind: Kind::Secret { bytes_max: 64 },
            default: Fallback::Absent,
            help: "In clear text; SMPP 3.4 allows 8 bytes, many peers send more. Prefer password_file or password_hash.",
        },
        Setting {
            key: "password_file",
            kind: Kind::Path,
            default: Fallback::Absent,
            help: "File that holds the password and nothing else; one line end at its end is not part of it.",
        },
        Setting {
            key: "password_hash",
            kind: Kind::Secret { bytes_max: 512 },
            default: Fallback::Absent,
            help: "Argon2id hash in PHC form, `$argon2id$v=19$...`. Checking one costs its memory and tens of milliseconds, once for each customer and password.",
        },
        Setting {
            key: "bind_kinds",
            kind: Kind::Choices(&["transmitter", "receiver", "transceiver"]),
            default: Fallback::Value("transmitter,receiver,transceiver"),
            help: "Which binds it may use.",
        },
        Setting {
            key: "binds_max",
            kind: Kind::Whole { min: 1, max: 100_000 },
            default: Fallback::Value("16"),
            help: "Sessions at the same time; one more is refused.",
        },
        Setting {
            key: "window",
            kind: Kind::Whole { min: 1, max: 10_000 },
            default: Fallback::Value("100"),
            help: "Unanswered requests of one session, each way; one more is throttled.",
        },
        Setting {
            key: "rate",
            kind: Kind::Whole { min: 0, max: 10_000_000 },
            default: Fallback::Value("0"),
            help: "Messages in a second over all its binds on all nodes; 0 = unlimited. Over it: ESME_RTHROTTLED.",
        },
        Setting {
            key: "burst",
            kind: Kind::Whole { min: 1, max: 10_000_000 },
            default: Fallback::Absent,
            help: "Messages above the rate in any interval, so also at once after a silence. Left out: one second's worth. Where nodes share Redis it is at least nodes_max + 1, and a customer gets at once what its node holds of it.",
        },
        Setting {
            key: "bind_rate",
            kind: Kind::Whole { min: 0, max: 10_000_000 },
            default: Fallback::Value("0"),
            help: "Messages in a second of one session; 0 = unlimited. Over it: ESME_RTHROTTLED.",
        },
        Setting {
            key: "rate_when_away",
            kind: Kind::Choice(WHEN_AWAY),
            default: Fallback::Value("share"),
            help: WHEN_AWAY_HELP,
        },
        Setting {
            key: "sources",
            kind: Kind::Texts { bytes_max: 21 },
            default: Fallback::Value("*"),
            help: "Addresses that it may send from: exact, or what they begin with and a *, such as `1202*`. Others are refused with ESME_RINVSRCADR.",
        },
        Setting {
            key: "sources_of_others",
            kind: Kind::Flag,
            default: Fallback::Value("false"),
            help: "May send from numbers that belong to another customer. Else such a message is refused with ESME_RINVSRCADR, unless an `[[mo_route]]` gives this customer a keyword of that number.",
        },
        Setting {
            key: "mode",
            kind: Kind::Choice(&["relay", "store_and_forward"]),
            default: Fallback::Value("relay"),
            help: "When its messages are acknowledged. `relay`: with the vendor's verdict. `store_and_forward`: once they are on disk; the gateway then tries until their validity ends, and writes a receipt itself when none could be delivered.",
        },
        Setting {
            key: "unknown_outcome",
            kind: Kind::Choice(UNKNOWN_OUTCOMES),
            default: Fallback::Value("fail"),
            help: "When a vendor's link is lost before it answered, or it does not answer in time: `fail` tells the customer with a status of its own; `retry_other` sends another copy to another vendor, so that the recipient may get two. Left out in mode `store_and_forward`: `retry_other`, then all vendors again later; `fail` there ends the message with a receipt that says UNKNOWN.",
        },
        Setting {
            key: "deduplicate",
            kind: Kind::Choice(&["off", "tlv", "content"]),
            default: Fallback::Value("off"),
            help: "How a message that the customer submits again is recognised: not at all; by the value of the TLV `deduplicate_tlv`; by source, destination, esm_class, data_coding and body. While the first one is open, the second is refused with ESME_RMSGQFUL; once it was accepted, the second is answered with its id and not sent. With `content`, two equal messages that are meant as two become one.",
        },
        Setting {
            key: "deduplicate_window",
            kind: Kind::Time { min: Duration::from_secs(1), max: Duration::from_secs(3_600) },
            default: Fallback::Value("60s"),
            help: "How long after its submit an accepted message is recognised. Shorter where the customer sends so much that a shard's memory of 262,144 messages (44 MiB) is full before.",
        },
        Setting {
            key: "deduplicate_tlv",
            kind: Kind::Whole { min: 1, max: 0xFFFF },
            default: Fallback::Absent,
            help: "Tag of the TLV that names a message, such as 516 (user_message_reference) or one of 5120 to 16383 (the vendor-specific ones); with `deduplicate = \"tlv\"` alone. A message without it is a new one.",
        },
        Setting {
            key: "numbers",
            kind: Kind::Texts { bytes_max: 21 },
            default: Fallback::Absent,
            help: "Messages from handsets to these destinations belong to this customer, unless a keyword of an `[[mo_route]]` says otherwise. Digits; a leading + is skipped.",
        },
        Setting {
            key: "reassemble",
            kind: Kind::Flag,
            default: Fallback::Value("false"),
            help: "Messages from handsets that come in parts are delivered as one deliver_sm, the whole text in message_payload. The vendor waits for the answer until all parts are there, 10 s at most; then the parts go out one by one.",
        },
        Setting {
            key: "dialect",
            kind: DIALECT,
            default: Fallback::Absent,
            help: "How it deviates from the standard: what is taken from it. Left out, `default` or `tolerant`: every tolerance that harms no standard peer; what was tolerated is written anew, or refused with the standard's status. `strict`: what is not to the letter is refused. In force from the bind on.",
        },
        Setting {
            key: "interface_version",
            kind: version::OF_CUSTOMER,
            default: Fallback::Value("as_bound"),
            help: "Which SMPP is spoken to it. `as_bound`: what `interface_version` of its bind says, below 0x34 is SMPP 3.3. 0x34: 3.4 whatever it says, for the many clients of 3.4 that send 0x00. 0x33: 3.3 gets no optional parameters (their content goes into the text and its header), no data_sm, and no message over 254 bytes. In force from the bind on.",
        },
        Setting {
            key: "address_range",
            kind: Kind::Choice(&["ignore", "prefer", "require"]),
            default: Fallback::Value("ignore"),
            help: "What the `address_range` of its binds decides (SMPP 3.4 §5.2.7): a regular expression of at most 40 bytes for the destinations of handsets' messages that a session serves. `ignore`: nothing, since many clients fill it at random. `prefer`: such messages go to a session whose range has their destination, else to any. `require`: to no session whose range has it not; they are parked until one binds. Without a range, or with one that is no such expression, a session serves all; that is logged once. Receipts go to any. In force from the bind on.",
        },
    ],
};

pub(crate) fn read(section: &Section<'_>, directory: &Path) -> Customer {
    let rate = section.whole_u32("rate");
    let kinds = section.texts("bind_kinds");
    let has = |kind: &str| kinds.iter().any(|found| found.value == kind);
    let is_spooled = section.text("mode") == "store_and_forward";
    let mode = if is_spooled { Mode::StoreAndForward } else { Mode::Relay };
    let system_id =
        section.text_at("system_id").unwrap_or_else(|| At::new(String::new(), section.place.clone()));
    if section.has("system_id") && system_id.value.is_empty() {
        section.mistake("system_id", "system_id is empty", "give the customer a name");
    }
    for number in section.texts("numbers") {
        check_digits(section, &number, 1);
    }
    if section.flag("reassemble") && version::version(section) == Some(Version::V33) {
        let what = "reassemble stands beside interface_version 0x33, which has no message_payload";
        section.mistake("reassemble", what, "remove one of them");
    }
    Customer {
        system_id,
        enabled: section.flag("enabled"),
        networks: section.networks("networks"),
        credential: credential(section, directory),
        bind_kinds: BindKinds {
            transmitter: has("transmitter"),
            receiver: has("receiver"),
            transceiver: has("transceiver"),
        },
        binds_max: section.whole_u32("binds_max"),
        window: section.whole_u32("window"),
        rate: At::new(rate, section.place_of("rate")),
        burst: if section.has("burst") { section.whole_u32("burst") } else { rate },
        bind_rate: section.whole_u32("bind_rate"),
        when_away: when_away(&section.text("rate_when_away")),
        sources: sources(section),
        sources_of_others: section.flag("sources_of_others"),
        mode,
        unknown_outcome: match section.text("unknown_outcome").as_str() {
            // What was acknowledged is owed: rather twice than never, unless the operator says otherwise.
            _ if mode == Mode::StoreAndForward && section.is_default("unknown_outcome") => {
                UnknownOutcome::RetryOther
            }
            chosen => unknown_outcome(chosen),
        },
        deduplicate: deduplicate(section),
        deduplicate_window: section.time("deduplicate_window"),
        numbers: section.texts("numbers"),
        reassemble: section.flag("reassemble"),
        dialect: dialect(section, directory),
        version: version::version(section),
        address_range: match section.text("address_range").as_str() {
            "prefer" => RangePolicy::Prefer,
            "require" => RangePolicy::Require,
            _ => RangePolicy::Ignore,
        },
        place: section.place.clone(),
    }
}

fn sources(section: &Section<'_>) -> Vec<At<String>> {
    let sources = section.texts("sources");
    for source in &sources {
        let stars = source.value.bytes().filter(|octet| *octet == b'*').count();
        if source.value.is_empty() || stars > usize::from(source.value.ends_with('*')) {
            let what = format!("\"{}\" is no source", source.value);
            section.mistake_at(
                &source.place,
                &what,
                "write an address, or its beginning and one * behind it",
            );
        }
    }
    sources
}

/// The policies, as they are written.
pub(crate) const UNKNOWN_OUTCOMES: &[&str] = &["fail", "retry_other"];

pub(crate) fn unknown_outcome(text: &str) -> UnknownOutcome {
    match text {
        "retry_other" => UnknownOutcome::RetryOther,
        _ => UnknownOutcome::Fail,
    }
}

fn deduplicate(section: &Section<'_>) -> Deduplicate {
    let kind = section.text("deduplicate");
    let has_tag = section.has("deduplicate_tlv");
    if has_tag && kind != "tlv" {
        let what = "deduplicate_tlv stands beside another way to recognise messages";
        section.mistake("deduplicate_tlv", what, "write deduplicate = \"tlv\", or remove it");
    }
    match kind.as_str() {
        "content" => Deduplicate::Content,
        "tlv" if has_tag => Deduplicate::Tlv(Tag(section.whole_u32("deduplicate_tlv") as u16)), // its bound
        "tlv" => {
            if !section.was_refused("deduplicate_tlv") {
                section.mistake("deduplicate", "there is no deduplicate_tlv", "name the tag, such as 516");
            }
            Deduplicate::Off
        }
        _ => Deduplicate::Off,
    }
}

/// A destination or prefix: digits, with at most one + before them.
pub(crate) fn check_digits(section: &Section<'_>, text: &At<String>, digits_min: usize) {
    let digits = text.value.strip_prefix('+').unwrap_or(&text.value);
    let fits = (digits_min..=relay::NUMBER_LENGTH_MAX).contains(&digits.len());
    if !fits || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        let what = format!("\"{}\" is no number", text.value);
        let remedy = format!("write {digits_min} to {} digits", relay::NUMBER_LENGTH_MAX);
        section.mistake_at(&text.place, &what, &remedy);
    }
}

fn credential(section: &Section<'_>, directory: &Path) -> Option<Credential> {
    if let Some(hash) = section.secret("password_hash") {
        if section.has("password") || section.has("password_file") {
            section.mistake("password_hash", "password_hash stands beside a password", "keep one of them");
        }
        if !crate::auth::is_usable_hash(hash.expose()) {
            let remedy = "write an Argon2id hash in PHC form, such as the command argon2 prints with -e";
            section.mistake("password_hash", "password_hash is none that we can check", remedy);
        }
        return Some(Credential::Hash(hash));
    }
    password(section, directory).map(Credential::Plain)
}

/// `password`, or what stands in `password_file`. Notes a mistake when there is neither, or both.
pub(crate) fn password(section: &Section<'_>, directory: &Path) -> Option<Secret> {
    match (section.secret("password"), section.text_if("password_file")) {
        (Some(_), Some(_)) => {
            section.mistake("password_file", "password_file stands beside password", "keep one of them");
            None
        }
        (Some(password), None) => Some(password),
        (None, Some(file)) => match std::fs::read(directory.join(&file)) {
            Ok(bytes) => {
                let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
                let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
                if bytes.len() > PASSWORD_BYTES_MAX || bytes.contains(&0) {
                    let remedy =
                        format!("put the password alone into it, at most {PASSWORD_BYTES_MAX} bytes");
                    section.mistake("password_file", "password_file holds no password", &remedy);
                }
                Some(Secret::new(bytes))
            }
            Err(error) => {
                let what = format!("password_file \"{file}\" cannot be read: {error}");
                section.mistake("password_file", &what, "correct the path or its permissions");
                None
            }
        },
        (None, None) => {
            if !section.was_refused("password") && !section.was_refused("password_file") {
                let remedy =
                    format!("write password or password_file, or set {}", section.variable("PASSWORD"));
                section.mistake("password", "there is no password", &remedy);
            }
            None
        }
    }
}

/// Longest password, bytes. SMPP 3.4 §5.2.2 allows 8; lenient peers more.
const PASSWORD_BYTES_MAX: usize = 64;
