//! How a site behaves, as profiles say it.

use std::time::Duration;

use super::{Section, Value};
use crate::ids::{IdFormat, IdRule, IdStart};
use crate::latency::Latency;
use crate::mo::{MoForm, MoRule};
use crate::rate::{Algorithm, OnExceed, RateRule, Scope};
use crate::receipts::{ReceiptRule, ReceiptTlvs, Redelivery, Route};
use crate::states::{Outcome, Outcomes};
use smpp::field::MessageState;

/// How a site behaves when no fault is on.
#[derive(Clone, Debug, PartialEq)]
pub struct Behaviour {
    /// Timers of a session.
    pub session: SessionRule,
    /// Unanswered submits.
    pub window: WindowRule,
    /// Messages a second.
    pub rate: RateRule,
    /// Answers to submits.
    pub response: ResponseRule,
    /// Message ids.
    pub ids: IdRule,
    /// Receipts.
    pub receipts: ReceiptRule,
    /// Messages from handsets.
    pub mo: MoRule,
}

/// Timers of a session; zero turns one off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionRule {
    /// From the connection to the bind.
    pub bind_deadline: Duration,
    /// Without any request from the peer.
    pub inactivity: Duration,
    /// Silence after which the site sends enquire_link.
    pub enquire_every: Duration,
}

/// Unanswered submits of one bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowRule {
    /// How many are allowed.
    pub max: u32,
    /// What happens to one more.
    pub on_exceed: OnFullWindow,
}

/// What happens when the peer does not keep to the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFullWindow {
    /// Nothing is read from the bind until there is room.
    StopRead,
    /// It is taken.
    Ignore,
    /// The connection is closed.
    Close,
    /// It is refused with this command_status.
    Status(u32),
}

/// Answers to submits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResponseRule {
    /// From the submit to the answer.
    pub latency: Latency,
    /// Whether a bind's answers keep the order of its submits.
    pub in_order: bool,
}

/// A behaviour and what its profile says of binds, which belongs to accounts.
pub(super) struct Draft {
    pub(super) behaviour: Behaviour,
    pub(super) binds_max: u32,
    pub(super) over_bind: u32,
}

/// Tables of a profile; a site may hold them itself.
pub(super) const SECTIONS: [&str; 8] =
    ["binds", "session", "window", "rate", "response", "ids", "receipts", "mo"];

/// Keys whose tables are one value: an heir replaces them whole.
pub(super) const WHOLE: [&str; 3] = ["latency", "delay", "states"];

/// Reads a whole profile; what is missing has a plain value, so that reading can go on.
pub(super) fn read(mut section: Section<'_>) -> Draft {
    let (mut binds_max, mut over_bind) = (2, ESME_RALYBND);
    if let Some(mut binds) = section.section("binds") {
        binds_max = binds.whole("max", 1..=u32::MAX.into()).unwrap_or(2) as u32;
        over_bind = binds.status("over").unwrap_or(ESME_RALYBND);
        binds.finish();
    }
    let behaviour = Behaviour {
        session: read_session(&mut section),
        window: read_window(&mut section),
        rate: read_rate(&mut section),
        response: read_response(&mut section),
        ids: read_ids(&mut section),
        receipts: read_receipts(&mut section),
        mo: read_mo(&mut section),
    };
    section.finish();
    Draft { behaviour, binds_max, over_bind }
}

fn read_session(section: &mut Section<'_>) -> SessionRule {
    let seconds = Duration::from_secs;
    let mut rule =
        SessionRule { bind_deadline: seconds(10), inactivity: seconds(120), enquire_every: seconds(30) };
    if let Some(mut inner) = section.section("session") {
        rule.bind_deadline = inner.duration("bind_deadline").unwrap_or(rule.bind_deadline);
        rule.inactivity = inner.duration("inactivity").unwrap_or(rule.inactivity);
        rule.enquire_every = inner.duration("enquire_every").unwrap_or(rule.enquire_every);
        inner.finish();
    }
    rule
}

fn read_window(section: &mut Section<'_>) -> WindowRule {
    let mut rule = WindowRule { max: 10, on_exceed: OnFullWindow::StopRead };
    if let Some(mut inner) = section.section("window") {
        rule.max = inner.whole("max", 1..=u32::MAX.into()).unwrap_or(10) as u32;
        let names = [
            ("stop-read", OnFullWindow::StopRead),
            ("ignore", OnFullWindow::Ignore),
            ("close", OnFullWindow::Close),
        ];
        let reaction = status_or_choice(&mut inner, "on_exceed", &names, OnFullWindow::Status);
        rule.on_exceed = reaction.unwrap_or(rule.on_exceed);
        inner.finish();
    }
    rule
}

fn read_rate(section: &mut Section<'_>) -> RateRule {
    let mut rule = RateRule {
        limit: 0.0,
        burst: 1.0,
        algorithm: Algorithm::Token,
        scope: Scope::Bind,
        on_exceed: OnExceed::Status(ESME_RTHROTTLED),
    };
    if let Some(mut inner) = section.section("rate") {
        rule.limit = inner.number("limit", 0.0..=1e9).unwrap_or(0.0);
        rule.burst = inner.number("burst", 1.0..=1e9).unwrap_or_else(|| rule.limit.max(1.0));
        let algorithms = [
            ("token", Algorithm::Token),
            ("sliding-1s", Algorithm::Sliding),
            ("aligned-1s", Algorithm::Aligned),
        ];
        rule.algorithm = inner.choice("algorithm", &algorithms).unwrap_or_default();
        let scopes = [("bind", Scope::Bind), ("account", Scope::Account), ("site", Scope::Site)];
        rule.scope = inner.choice("scope", &scopes).unwrap_or_default();
        let names = [("delay", OnExceed::Delay), ("stop-read", OnExceed::StopRead)];
        let reaction = status_or_choice(&mut inner, "on_exceed", &names, OnExceed::Status);
        rule.on_exceed = reaction.unwrap_or(rule.on_exceed);
        inner.finish();
    }
    rule
}

fn read_response(section: &mut Section<'_>) -> ResponseRule {
    let mut rule = ResponseRule { latency: Latency::None, in_order: false };
    if let Some(mut inner) = section.section("response") {
        rule.latency = inner.latency("latency").unwrap_or_default();
        rule.in_order = inner.choice("order", &[("any", false), ("in-order", true)]).unwrap_or(false);
        inner.finish();
    }
    rule
}

fn read_ids(section: &mut Section<'_>) -> IdRule {
    let mut rule = IdRule::default();
    if let Some(mut inner) = section.section("ids") {
        let formats = [
            ("decimal", IdFormat::Decimal),
            ("hex", IdFormat::Hex),
            ("HEX", IdFormat::HexUpper),
            ("uuid", IdFormat::Uuid),
        ];
        rule.format = inner.choice("format", &formats).unwrap_or_default();
        rule.receipt_format = if inner.take_if_text("receipt", "same") {
            rule.format
        } else {
            inner.choice("receipt", &formats).unwrap_or(rule.format)
        };
        let width_max = crate::ids::WIDTH_MAX as u64;
        rule.width = inner.whole("width", 0..=width_max).unwrap_or(0) as usize;
        if !inner.take_if_text("start", "clock") {
            rule.start = inner.whole("start", 0..=u64::MAX >> 1).map_or(IdStart::Clock, IdStart::Number);
        }
        inner.finish();
    }
    rule
}

fn read_receipts(section: &mut Section<'_>) -> ReceiptRule {
    let mut inner = section.section("receipts").unwrap_or_else(|| section.empty("receipts"));
    let network = inner.string("network");
    let digits = [10, 12, 14];
    let date_digits = inner.whole("date_digits", 10..=14).unwrap_or(10) as u8;
    if !digits.contains(&date_digits) {
        inner.wrong("date_digits must be 10, 12 or 14");
    }
    let routes =
        [("any-rx", Route::AnyRx), ("same-bind", Route::SameBind), ("round-robin", Route::RoundRobin)];
    let rule = ReceiptRule {
        outcomes: read_outcomes(&mut inner),
        tlvs: read_tlvs(&mut inner, network),
        text: inner.choice("text", &[("empty", false), ("first-20", true)]).unwrap_or(false),
        date_digits,
        plus: inner.flag("plus").unwrap_or(false),
        window: inner.whole("window", 1..=65_536).unwrap_or(10) as u32,
        ack_timeout: inner.duration("ack_timeout").unwrap_or(Duration::from_secs(30)),
        redelivery: read_redelivery(&mut inner),
        route: inner.choice("route", &routes).unwrap_or_default(),
        queue_without_receiver: inner.choice("on_no_rx", &[("queue", true), ("drop", false)]).unwrap_or(true),
        pending_max: inner.whole("pending_max", 1..=100_000_000).unwrap_or(2_000_000) as usize,
        duplicate_p: inner.probability("dup_p").unwrap_or(0.0),
        before_response_p: inner.probability("before_resp_p").unwrap_or(0.0),
        hold: inner.flag("hold").unwrap_or(false),
    };
    inner.finish();
    rule
}

fn read_outcomes(receipts: &mut Section<'_>) -> Outcomes {
    let Some(mut states) = receipts.section("states") else { return Outcomes::default() };
    let mut outcomes = Vec::new();
    for word in states.keys() {
        let state = MessageState::from_stat(word.as_bytes());
        if state.is_none() && word != "NONE" {
            states.wrong(&format!("{word} is no state; known are DELIVRD, UNDELIV, ..., and NONE"));
        }
        let Some(mut inner) = states.section(&word) else { continue };
        outcomes.push(Outcome {
            state,
            weight: inner.number("weight", 0.0..=1e9).unwrap_or(1.0),
            errors: inner
                .wholes("err", 0..=999)
                .unwrap_or_default()
                .into_iter()
                .map(|error| error as u16)
                .collect(),
            delay: inner.latency("delay").unwrap_or_default(),
        });
        inner.finish();
    }
    states.finish();
    Outcomes::new(outcomes)
}

fn read_tlvs(receipts: &mut Section<'_>, network: Option<String>) -> ReceiptTlvs {
    let names = receipts.strings("tlvs").unwrap_or_default();
    let has = |tag: &str| names.iter().any(|name| name.eq_ignore_ascii_case(tag));
    let known = ["001E", "0427", "0423", "1403"];
    if names.iter().any(|name| !known.iter().any(|tag| name.eq_ignore_ascii_case(tag))) {
        receipts.wrong("tlvs are among 001E, 0427, 0423, 1403");
    }
    ReceiptTlvs {
        receipted_message_id: has(known[0]),
        message_state: has(known[1]),
        network_error_code: has(known[2]),
        network: has(known[3]).then(|| network.unwrap_or_else(|| "310260".into())),
    }
}

fn read_redelivery(receipts: &mut Section<'_>) -> Redelivery {
    let mut rule = Redelivery {
        first: Duration::from_secs(5),
        factor: 2.0,
        longest: Duration::from_secs(600),
        lifetime: Duration::from_secs(72 * 3600),
    };
    if let Some(mut inner) = receipts.section("redelivery") {
        rule.first = inner.duration("first").unwrap_or(rule.first);
        rule.factor = inner.number("factor", 1.0..=1000.0).unwrap_or(rule.factor);
        rule.longest = inner.duration("max").unwrap_or(rule.longest);
        rule.lifetime = inner.duration("lifetime").unwrap_or(rule.lifetime);
        inner.finish();
    }
    rule
}

fn read_mo(section: &mut Section<'_>) -> MoRule {
    let mut rule = MoRule {
        source: "13125550100".into(),
        destinations: vec!["12025550100".into()],
        texts: vec!["Hello from a handset".into()],
        ..MoRule::default()
    };
    if let Some(mut inner) = section.section("mo") {
        rule.rate = inner.number("rate", 0.0..=1e6).unwrap_or(0.0);
        rule.count = inner.whole("count", 0..=u32::MAX.into()).unwrap_or(0);
        rule.form = inner
            .choice("form", &[("plain", MoForm::Plain), ("udh", MoForm::Udh), ("udh16", MoForm::Udh16)])
            .unwrap_or_default();
        rule.account = inner.string("account");
        rule.source = inner.string("source").unwrap_or(rule.source);
        rule.destinations = inner.strings("destinations").unwrap_or(rule.destinations);
        rule.texts = inner.strings("texts").unwrap_or(rule.texts);
        rule.keywords = inner.strings("keywords").unwrap_or_default();
        let numbers = rule.destinations.iter().chain([&rule.source]);
        if numbers.into_iter().any(|number| number.is_empty() || number.len() > 20) {
            inner.wrong("numbers have 1 to 20 characters");
        }
        if !rule.texts.iter().chain(&rule.keywords).all(|text| text.is_ascii()) {
            inner.wrong("texts and keywords are ASCII");
        }
        inner.finish();
    }
    rule
}

/// A key that holds a command_status or one of some words.
fn status_or_choice<T: Copy>(
    section: &mut Section<'_>,
    key: &str,
    choices: &[(&str, T)],
    status: fn(u32) -> T,
) -> Option<T> {
    let is_word = matches!(&section.peek(key)?.value, Value::String(text) if !text.starts_with("0x"));
    if is_word { section.choice(key, choices) } else { section.status(key).map(status) }
}

const ESME_RALYBND: u32 = 0x05;
const ESME_RTHROTTLED: u32 = 0x58;
