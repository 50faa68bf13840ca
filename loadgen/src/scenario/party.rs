//! Whom we bind to, and as whom.

use std::net::SocketAddr;
use std::time::Duration;

use smpp::pdu::BindKind;

use super::fields::{Fields, Mistakes};
use super::{expect, resolve};

/// The SMSC or gateway under load.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// Other nodes of the same: a session that was dropped, or found nobody, tries these in turn with the first.
    pub fallbacks: Vec<SocketAddr>,
    /// For the TCP connection.
    pub connect_timeout: Duration,
    /// For all binds together, at the start of a run.
    pub bind_timeout: Duration,
    /// After which an unanswered submit_sm counts as missing.
    pub response_timeout: Duration,
    /// First pause before a dropped bind is tried again; doubles up to `reconnect_max`.
    pub reconnect_first: Duration,
    /// Longest pause before a dropped bind is tried again.
    pub reconnect_max: Duration,
    /// command_status by which the target says that it cannot know what became of a message.
    pub unknown_status: u32,
}

/// One customer.
#[derive(Clone, Debug)]
pub struct Account {
    /// Name in ledgers and reports.
    pub name: String,
    /// As in the bind PDU.
    pub system_id: String,
    /// As in the bind PDU.
    pub password: String,
    /// As in the bind PDU.
    pub system_type: String,
    /// How many sessions of which kind.
    pub binds: Binds,
    /// Where sessions of a kind go, where not to the target's addresses.
    pub addresses: Addresses,
    /// Unanswered submit_sm per session.
    pub window: u32,
    /// What becomes of receipts.
    pub receipts: ReceiptRule,
    /// Idle time after which enquire_link is sent; zero never.
    pub enquire_every: Duration,
    /// A MO to one of these belongs to this account.
    pub numbers: Vec<String>,
}

/// Sessions of an account by bind kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Binds {
    /// bind_transceiver.
    pub transceiver: u16,
    /// bind_transmitter.
    pub transmitter: u16,
    /// bind_receiver.
    pub receiver: u16,
}

/// Addresses of one account's sessions by bind kind, each list in the order of the attempts; empty where the target's
/// `address` and `fallbacks` hold. So a customer can send to one node and listen to another.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Addresses {
    /// bind_transceiver.
    pub transceiver: Vec<SocketAddr>,
    /// bind_transmitter.
    pub transmitter: Vec<SocketAddr>,
    /// bind_receiver.
    pub receiver: Vec<SocketAddr>,
}

impl Account {
    /// Where a session's attempt goes: the first to the first address, later ones to all in turn.
    pub(crate) fn address_of(&self, kind: BindKind, attempt: usize, target: &Target) -> SocketAddr {
        let own = match kind {
            BindKind::Transceiver => &self.addresses.transceiver,
            BindKind::Transmitter => &self.addresses.transmitter,
            BindKind::Receiver => &self.addresses.receiver,
        };
        match own.len() {
            0 => target.address_of(attempt),
            count => own[attempt % count],
        }
    }
}

impl Target {
    fn address_of(&self, attempt: usize) -> SocketAddr {
        match attempt % (self.fallbacks.len() + 1) {
            0 => self.address,
            other => self.fallbacks[other - 1],
        }
    }
}

impl Binds {
    /// Sessions of all kinds.
    pub fn total(self) -> usize {
        usize::from(self.transceiver) + usize::from(self.transmitter) + usize::from(self.receiver)
    }
}

/// What becomes of receipts.
#[derive(Clone, Copy, Debug)]
pub struct ReceiptRule {
    /// Whether a receipt is asked for with each message, and waited for in the drain.
    pub expect: bool,
    /// Pause before a deliver_sm is answered.
    pub ack_delay: Duration,
}

/// The target, and the names of receipt fields that it may rewrite.
pub(crate) fn target(fields: &Fields<'_>) -> Option<(Target, Vec<String>)> {
    let address = fields.string("address").and_then(|text| match resolve(&text) {
        Ok(address) => Some(address),
        Err(message) => {
            fields.wrong("address", &message);
            None
        }
    });
    let target = Target {
        fallbacks: resolved(fields, "fallbacks"),
        address: address.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 2775))),
        connect_timeout: fields.duration_or("connect_timeout", Duration::from_secs(5)),
        bind_timeout: fields.duration_or("bind_timeout", Duration::from_secs(10)),
        response_timeout: fields.duration_or("response_timeout", Duration::from_secs(60)),
        reconnect_first: fields.duration_or("reconnect_first", Duration::from_millis(100)),
        reconnect_max: fields.duration_or("reconnect_max", Duration::from_secs(2)),
        unknown_status: fields.integer_or("unknown_status", UNKNOWN_STATUS, 1..=i64::from(u32::MAX)) as u32,
    };
    let rewrites = expect::rewrites(fields);
    fields.finish();
    Some((target, rewrites))
}

/// `addresses = { tx = "10.0.0.1:2775", rx = ["10.0.0.2:2775", "10.0.0.1:2775"] }`
fn addresses(fields: &Fields<'_>) -> Addresses {
    let section = fields.section_or_empty("addresses");
    let of = |key| resolved(&section, key);
    let addresses = Addresses { transceiver: of("trx"), transmitter: of("tx"), receiver: of("rx") };
    section.finish();
    addresses
}

fn resolved(fields: &Fields<'_>, key: &'static str) -> Vec<SocketAddr> {
    let address = |text: String| resolve(&text).map_err(|message| fields.wrong(key, &message)).ok();
    fields.strings(key).into_iter().filter_map(address).collect()
}

pub(crate) fn account(fields: &Fields<'_>) -> Account {
    let binds = fields.section("binds");
    let count = |key| binds.integer_or(key, 0, 0..=BINDS_MAX) as u16;
    let counts = Binds { transceiver: count("trx"), transmitter: count("tx"), receiver: count("rx") };
    binds.finish();
    let receipts = fields.section_or_empty("receipts");
    let rule = ReceiptRule {
        expect: receipts.bool_or("expect", true),
        ack_delay: receipts.duration_or("ack_delay", Duration::ZERO),
    };
    receipts.finish();
    let system_id = fields.octets("system_id", 15);
    if system_id.is_empty() {
        fields.wrong("system_id", "missing");
    }
    let account = Account {
        name: fields.string_or_none("name").unwrap_or_else(|| system_id.clone()),
        system_id,
        password: fields.octets("password", 8),
        system_type: fields.octets("system_type", 12),
        binds: counts,
        addresses: addresses(fields),
        window: fields.integer_or("window", 10, 1..=WINDOW_MAX) as u32,
        receipts: rule,
        enquire_every: fields.duration_or("enquire_every", Duration::from_secs(30)),
        numbers: fields.strings("numbers"),
    };
    if counts.total() == 0 {
        fields.wrong("binds", "no bind at all; write binds = { trx = 1 }");
    }
    if counts.transceiver + counts.receiver == 0 && rule.expect {
        fields.wrong(
            "binds",
            "receipts are expected but no bind can receive; add rx or set receipts.expect = false",
        );
    }
    fields.finish();
    account
}

pub(crate) fn check_accounts(accounts: &[Account], mistakes: &Mistakes<'_>) {
    if accounts.is_empty() {
        mistakes.add("account", "at least one is needed: who shall bind?");
    }
    for (index, account) in accounts.iter().enumerate() {
        if accounts[..index].iter().any(|other| other.name == account.name) {
            mistakes.add(&format!("account[{index}].name"), &format!("{:?} is used twice", account.name));
        }
    }
}

/// ESME_RUNKNOWNERR (SMPP 3.4 §5.1.3), which the gateway keeps for this alone unless configured otherwise.
const UNKNOWN_STATUS: i64 = 0xFF;

/// Sessions of one kind of one account; more than a machine has ports for are a mistake.
const BINDS_MAX: i64 = 50_000;

/// Unanswered requests of one session; each costs some tens of octets at both ends.
const WINDOW_MAX: i64 = 100_000;
