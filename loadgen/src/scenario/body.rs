//! What is sent: encodings, lengths, parts, addresses.

use super::fields::Fields;
use super::{Account, value};

/// A share of the load and what its messages look like.
#[derive(Clone, Debug)]
pub struct Mix {
    /// Index of the sending account.
    pub account: usize,
    /// Weight among all mixes.
    pub share: u32,
    /// Weights of encodings.
    pub encodings: Weighted<Encoding>,
    /// Characters of a message of one part, and of the last part of a longer one.
    pub length: Length,
    /// Weights of numbers of parts.
    pub segments: Weighted<u8>,
    /// How parts are marked.
    pub form: Form,
    /// Source addresses, one is drawn for each message.
    pub sources: Vec<Pattern>,
    /// Destination addresses, one is drawn for each message.
    pub destinations: Vec<Pattern>,
    /// service_type.
    pub service_type: String,
    /// validity_period, as on the wire.
    pub validity_period: String,
    /// protocol_id.
    pub protocol_id: u8,
    /// TLVs appended to each message, as on the wire.
    pub tlvs: Vec<u8>,
    /// The site that must accept its messages; empty: any.
    pub expect_site: String,
}

/// Character encoding of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// data_coding 0, one character an octet.
    Gsm7,
    /// data_coding 3.
    Latin1,
    /// data_coding 8.
    Ucs2,
}

impl Encoding {
    /// data_coding (SMPP 3.4 §5.2.19).
    pub fn data_coding(self) -> u8 {
        match self {
            Encoding::Gsm7 => 0,
            Encoding::Latin1 => 3,
            Encoding::Ucs2 => 8,
        }
    }

    /// Characters that fit one handset message, or one part of a long one behind a header of `form`.
    pub fn characters_max(self, segments: u8, form: Form) -> u16 {
        match (self, segments > 1, form) {
            (Encoding::Gsm7, false, _) => 160,
            (Encoding::Gsm7, true, Form::Udh8) => 153,
            (Encoding::Gsm7, true, Form::Udh16) => 152,
            (Encoding::Latin1, false, _) => 140,
            (Encoding::Latin1, true, Form::Udh8) => 134,
            (Encoding::Latin1, true, Form::Udh16) => 133,
            (Encoding::Ucs2, false, _) => 70,
            (Encoding::Ucs2, true, Form::Udh8) => 67,
            (Encoding::Ucs2, true, Form::Udh16) => 66,
        }
    }
}

/// How the parts of a long message are marked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// User data header with an 8-bit reference.
    Udh8,
    /// User data header with a 16-bit reference.
    Udh16,
}

/// Distribution of lengths in characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Length {
    /// From the first to the second, each as likely.
    Uniform(u16, u16),
}

/// Values with weights.
#[derive(Clone, Debug)]
pub struct Weighted<T> {
    items: Vec<(T, u32)>,
    total: u32,
}

impl<T: Copy> Weighted<T> {
    /// Weighted values; at least one weight must be above zero.
    pub fn new(items: Vec<(T, u32)>) -> Option<Weighted<T>> {
        let total = items.iter().map(|(_, weight)| *weight).sum();
        (total > 0).then_some(Weighted { items, total })
    }

    /// The value a random number names.
    pub fn pick(&self, random: u32) -> T {
        let mut rest = ((u64::from(random) * u64::from(self.total)) >> 32) as u32;
        for (value, weight) in &self.items {
            if rest < *weight {
                return *value;
            }
            rest -= weight;
        }
        self.items[0].0 // not reached: rest < total, the sum of the weights
    }
}

/// An address in which each `#` stands for a digit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    /// ASCII with `#` for a random digit.
    pub text: Vec<u8>,
    /// Type of number.
    pub ton: u8,
    /// Numbering plan.
    pub npi: u8,
}

pub(crate) fn mix(fields: &Fields<'_>, accounts: &[Account]) -> Mix {
    let account = fields.string("account").unwrap_or_default();
    let found = accounts.iter().position(|candidate| candidate.name == account);
    if found.is_none() {
        fields.wrong("account", &format!("no account is named {account:?}"));
    }
    if found.is_some_and(|index| accounts[index].binds.transceiver + accounts[index].binds.transmitter == 0) {
        fields.wrong("account", &format!("{account:?} has no bind that can submit"));
    }
    let body = fields.section_or_empty("body");
    let segments = segments(&body);
    let mix = Mix {
        account: found.unwrap_or(0),
        share: fields.integer_or("share", 100, 1..=1_000_000) as u32,
        encodings: encodings(&body),
        length: length(&body),
        segments,
        form: body.choice("form", &[("udh8", Form::Udh8), ("udh16", Form::Udh16)]).unwrap_or(Form::Udh8),
        sources: patterns(fields, "source", "12025550100"),
        destinations: patterns(fields, "dest", "us-random"),
        service_type: fields.octets("service_type", 5),
        validity_period: fields.octets("validity", 16),
        protocol_id: fields.integer_or("protocol_id", 0, 0..=255) as u8,
        tlvs: tlvs(fields),
        expect_site: fields.string_or_none("expect_site").unwrap_or_default(),
    };
    body.finish();
    fields.finish();
    mix
}

fn encodings(body: &Fields<'_>) -> Weighted<Encoding> {
    let names = [("gsm7", Encoding::Gsm7), ("latin1", Encoding::Latin1), ("ucs2", Encoding::Ucs2)];
    weighted(body, "encoding", "gsm7", |name| {
        names.iter().find(|(known, _)| *known == name).map(|(_, encoding)| *encoding)
    })
}

fn segments(body: &Fields<'_>) -> Weighted<u8> {
    weighted(body, "segments", "1", |name| {
        name.parse().ok().filter(|count| (1..=SEGMENTS_MAX).contains(count))
    })
}

/// One name, or a table from names to weights.
fn weighted<T: Copy>(
    fields: &Fields<'_>,
    key: &'static str,
    default: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Weighted<T> {
    let items = match fields.value(key) {
        None => None,
        Some(toml::Value::String(name)) => read(name).map(|value| vec![(value, 1)]),
        Some(toml::Value::Integer(number)) => read(&number.to_string()).map(|value| vec![(value, 1)]),
        Some(toml::Value::Table(table)) => table
            .iter()
            .map(|(name, weight)| {
                let weight = weight.as_integer().and_then(|weight| u32::try_from(weight).ok());
                Some((read(name)?, weight.filter(|weight| *weight <= WEIGHT_MAX)?))
            })
            .collect(),
        Some(_) => None,
    };
    let good = items.and_then(Weighted::new);
    if good.is_none() && fields.value(key).is_some() {
        fields.wrong(key, &format!("must be a value such as {default:?} or a table from values to weights"));
    }
    good.or_else(|| Weighted::new(vec![(read(default)?, 1)]))
        .expect("the default is a known value of weight 1")
}

fn length(body: &Fields<'_>) -> Length {
    let range = match body.value("length") {
        None => return Length::Uniform(LENGTH_MIN, LENGTH_DEFAULT_MAX),
        Some(toml::Value::Integer(length)) => Some((*length, *length)),
        Some(toml::Value::Table(table)) => table.get("uniform").and_then(|range| {
            let range = range.as_array().filter(|range| range.len() == 2)?;
            Some((range[0].as_integer()?, range[1].as_integer()?))
        }),
        Some(_) => None,
    };
    let fits = |length: i64| (i64::from(LENGTH_MIN)..=160).contains(&length);
    match range {
        Some((from, to)) if fits(from) && fits(to) && from <= to => Length::Uniform(from as u16, to as u16),
        _ => {
            body.wrong("length", "must be a number of characters or { uniform = [from, to] }, 24 to 160");
            Length::Uniform(LENGTH_MIN, LENGTH_DEFAULT_MAX)
        }
    }
}

fn patterns(fields: &Fields<'_>, key: &'static str, default: &str) -> Vec<Pattern> {
    let texts = fields.strings(key);
    let texts = if texts.is_empty() { vec![default.to_owned()] } else { texts };
    let read = texts
        .iter()
        .filter_map(|text| value::pattern(text).map_err(|message| fields.wrong(key, &message)).ok());
    read.collect()
}

/// `tlvs = ["1401:0a0b"]`: tag and value in hexadecimal.
fn tlvs(fields: &Fields<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for text in fields.strings("tlvs") {
        let parts =
            text.split_once(':').and_then(|(tag, value)| Some((value::hex(tag)?, value::hex(value)?)));
        match parts {
            Some((tag, value)) if tag.len() == 2 && value.len() <= 255 => {
                out.extend_from_slice(&tag);
                out.extend_from_slice(&(value.len() as u16).to_be_bytes());
                out.extend_from_slice(&value);
            }
            _ => fields.wrong(
                "tlvs",
                &format!("{text:?} is no TLV; write \"1401:0a0b\", tag and value in hexadecimal"),
            ),
        }
    }
    out
}

/// A message key fills this many characters.
const LENGTH_MIN: u16 = ledger::MessageKey::TEXT_LENGTH as u16;
const LENGTH_DEFAULT_MAX: u16 = 120;

/// Parts of a long message; handsets join up to 255, nobody sends more than some ten.
const SEGMENTS_MAX: u8 = 20;

/// Keeps sums of weights within 32 bits.
const WEIGHT_MAX: u32 = 1_000_000;
