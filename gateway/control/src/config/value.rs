//! Values of settings and how they are written: durations, host and port, lists.

use super::mistake::{At, Place};
use super::secret::Secret;
use super::setting::{Kind, quoted};
use std::net::SocketAddr;
use std::time::Duration;
use toml::de::DeValue;

/// A value that passed the check of its [`Kind`].
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Flag(bool),
    Whole(u64),
    Time(Duration),
    Listen(SocketAddr),
    Texts(Vec<At<String>>),
    Wholes(Vec<u64>),
    Hosts(Vec<HostPort>),
    Secret(Secret),
}

/// A host (name or address) and a port; resolved when links are opened, since addresses behind a name change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// DNS name, IPv4 or IPv6 address (without brackets).
    pub host: String,
    /// TCP port, from 1.
    pub port: u16,
}

/// What was written, before its kind is known to fit.
pub(crate) enum Raw<'a> {
    /// A value of the file.
    Toml(&'a DeValue<'a>),
    /// Text from the environment or a default: numbers and flags bare, lists with commas.
    Text(&'a str),
}

/// Reads a value of a kind. The error says what is wrong, then what to write.
pub(crate) fn read(
    kind: Kind,
    raw: &Raw<'_>,
    place: &Place,
    member_place: &dyn Fn(usize) -> Place,
) -> Result<Value, (String, String)> {
    match kind {
        Kind::Text { bytes_max } => Ok(Value::Text(read_text(raw, bytes_max)?)),
        Kind::Path => Ok(Value::Text(read_text(raw, PATH_BYTES_MAX)?)),
        Kind::Secret { bytes_max } => {
            let text =
                read_text(raw, bytes_max).map_err(|(_, remedy)| ("is not a usable secret".into(), remedy))?;
            Ok(Value::Secret(Secret::new(text)))
        }
        Kind::Flag => read_flag(raw),
        Kind::Whole { min, max } => Ok(Value::Whole(read_whole(raw, min, max)?)),
        Kind::WholeOr { max, word } => match raw {
            Raw::Text(text) if *text == word => Ok(Value::Text(word.into())),
            Raw::Toml(DeValue::String(text)) if text == word => Ok(Value::Text(word.into())),
            raw => read_whole(raw, 0, max)
                .map(Value::Whole)
                .map_err(|_| wrong(&show_raw(raw), &Kind::WholeOr { max, word })),
        },
        Kind::Time { min, max } => read_time(raw, min, max),
        Kind::Choice(words) => {
            let text = match raw {
                Raw::Toml(value) => hexadecimal(value),
                Raw::Text(_) => None,
            };
            let text = text.map_or_else(|| read_text(raw, usize::MAX), Ok)?;
            if words.contains(&text.as_str()) {
                Ok(Value::Text(text))
            } else {
                Err(wrong(&format!("\"{text}\""), &kind))
            }
        }
        Kind::Choices(words) | Kind::ChoicesOrNone(words) => {
            let members = read_texts(raw, place, member_place, usize::MAX)?;
            for (index, member) in members.iter().enumerate() {
                if !words.contains(&member.value.as_str()) {
                    return Err((format!("holds \"{}\"", member.value), format!("use {}", quoted(words))));
                }
                if members[..index].iter().any(|earlier| earlier.value == member.value) {
                    return Err((format!("holds \"{}\" twice", member.value), "name each once".into()));
                }
            }
            if members.is_empty() && matches!(kind, Kind::Choices(_)) {
                Err(("is an empty list".into(), format!("use {}", quoted(words))))
            } else {
                Ok(Value::Texts(members))
            }
        }
        Kind::Listen => {
            let text = read_text(raw, TEXT_BYTES_MAX)?;
            let parsed = text.parse().map(Value::Listen);
            parsed.map_err(|_| {
                (format!("is \"{text}\""), "write an IP address and a port, such as \"0.0.0.0:2775\"".into())
            })
        }
        Kind::Hosts => {
            let members = read_texts(raw, place, member_place, TEXT_BYTES_MAX)?;
            let hosts: Result<Vec<HostPort>, _> =
                members.iter().map(|member| read_host(&member.value)).collect();
            let hosts = hosts?;
            if hosts.is_empty() {
                Err(("is an empty list".into(), HOST_REMEDY.into()))
            } else {
                Ok(Value::Hosts(hosts))
            }
        }
        Kind::Texts { bytes_max } => Ok(Value::Texts(read_texts(raw, place, member_place, bytes_max)?)),
        Kind::Wholes { max } => read_wholes(raw, max),
        Kind::Own(_) => Err(("cannot stand here".into(), "write it in the file".into())),
    }
}

/// A duration as an operator writes it: the largest unit that divides it.
pub(crate) fn show_time(time: Duration) -> String {
    let nanos = time.as_nanos();
    let unit = UNITS.iter().rev().find(|(_, unit)| nanos.is_multiple_of(*unit) && nanos >= *unit);
    unit.map_or_else(|| "0s".into(), |(name, unit)| format!("{}{name}", nanos / unit))
}

/// Parses `"500ms"`, `"5s"`, `"1h30m"`; `None` when it is none, or longer than 584 years.
pub fn parse_time(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: u128 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &rest[..end])?;
        nanos = nanos.checked_add(count.checked_mul(*unit)?)?;
        rest = &rest[end..];
    }
    if text.is_empty() { None } else { u64::try_from(nanos).ok().map(Duration::from_nanos) }
}

fn read_text(raw: &Raw<'_>, bytes_max: usize) -> Result<String, (String, String)> {
    let text = match raw {
        Raw::Text(text) => (*text).to_string(),
        Raw::Toml(DeValue::String(text)) => text.to_string(),
        Raw::Toml(other) => return Err((format!("is {}", show(other)), "write text in quotes".into())),
    };
    if text.len() > bytes_max {
        return Err((format!("has {} bytes", text.len()), format!("use at most {bytes_max} bytes")));
    }
    if text.contains('\0') {
        return Err(("holds a NUL".into(), "SMPP ends a text at NUL: leave it out".into()));
    }
    Ok(text)
}

/// A number written in hexadecimal, as a word: versions are written so.
pub(crate) fn hexadecimal(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::Integer(number) if number.radix() == 16 => {
            Some(format!("0x{}", number.as_str().to_ascii_lowercase()))
        }
        _ => None,
    }
}

fn read_flag(raw: &Raw<'_>) -> Result<Value, (String, String)> {
    match raw {
        Raw::Toml(DeValue::Boolean(flag)) => Ok(Value::Flag(*flag)),
        Raw::Text("true") => Ok(Value::Flag(true)),
        Raw::Text("false") => Ok(Value::Flag(false)),
        other => Err(wrong(&show_raw(other), &Kind::Flag)),
    }
}

fn read_whole(raw: &Raw<'_>, min: u64, max: u64) -> Result<u64, (String, String)> {
    let parsed = match raw {
        Raw::Toml(DeValue::Integer(number)) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
        Raw::Text(text) => text.parse().ok(),
        Raw::Toml(_) => None,
    };
    let in_bounds = parsed.filter(|number| (min..=max).contains(number));
    in_bounds.ok_or_else(|| wrong(&show_raw(raw), &Kind::Whole { min, max }))
}

fn read_time(raw: &Raw<'_>, min: Duration, max: Duration) -> Result<Value, (String, String)> {
    let text = match raw {
        Raw::Text(text) => *text,
        Raw::Toml(DeValue::String(text)) => text.as_ref(),
        Raw::Toml(other) => return Err((format!("is {}", show(other)), TIME_REMEDY.into())),
    };
    let time = parse_time(text).ok_or_else(|| (format!("is \"{text}\""), TIME_REMEDY.to_string()))?;
    if (min..=max).contains(&time) {
        return Ok(Value::Time(time));
    }
    Err(wrong(&format!("\"{text}\""), &Kind::Time { min, max }))
}

fn read_texts(
    raw: &Raw<'_>,
    place: &Place,
    member_place: &dyn Fn(usize) -> Place,
    bytes_max: usize,
) -> Result<Vec<At<String>>, (String, String)> {
    match raw {
        Raw::Text(text) => {
            let members = text.split(',').map(str::trim).filter(|member| !member.is_empty());
            members
                .map(|member| Ok(At::new(read_text(&Raw::Text(member), bytes_max)?, place.clone())))
                .collect()
        }
        Raw::Toml(DeValue::Array(members)) => members
            .iter()
            .map(|member| {
                let text = read_text(&Raw::Toml(member.get_ref()), bytes_max);
                let text = text.map_err(|(what, remedy)| (format!("has a member that {what}"), remedy))?;
                Ok(At::new(text, member_place(member.span().start)))
            })
            .collect(),
        Raw::Toml(other) => Err((format!("is {}", show(other)), "write a list in brackets".into())),
    }
}

fn read_wholes(raw: &Raw<'_>, max: u64) -> Result<Value, (String, String)> {
    let members: Vec<u64> = match raw {
        Raw::Text(text) => {
            let members = text.split(',').map(str::trim).filter(|member| !member.is_empty());
            members.map(|member| read_whole(&Raw::Text(member), 0, max)).collect::<Result<_, _>>()?
        }
        Raw::Toml(DeValue::Array(members)) => members
            .iter()
            .map(|member| read_whole(&Raw::Toml(member.get_ref()), 0, max))
            .collect::<Result<_, _>>()?,
        Raw::Toml(other) => return Err((format!("is {}", show(other)), "write a list in brackets".into())),
    };
    Ok(Value::Wholes(members))
}

fn read_host(text: &str) -> Result<HostPort, (String, String)> {
    let wrong = || (format!("holds \"{text}\""), HOST_REMEDY.to_string());
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port: u16 = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(fits) {
        return Err(wrong());
    }
    Ok(HostPort { host: host.to_string(), port })
}

fn wrong(found: &str, kind: &Kind) -> (String, String) {
    (format!("is {found}"), format!("use {}", kind.to_string().replace('`', "")))
}

fn show_raw(raw: &Raw<'_>) -> String {
    match raw {
        Raw::Toml(value) => show(value),
        Raw::Text(text) => format!("\"{text}\""),
    }
}

fn show(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{text}\""),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}

/// Longest path taken, bytes: PATH_MAX of Linux.
const PATH_BYTES_MAX: usize = 4096;
/// Longest host or address, bytes: a DNS name has at most 253, a port five digits.
const TEXT_BYTES_MAX: usize = 260;
const TIME_REMEDY: &str = "write a duration such as \"500ms\", \"5s\" or \"72h\"";
const HOST_REMEDY: &str = "write \"host:port\", such as \"smpp.example.net:2775\" or \"[2001:db8::1]:2775\"";
/// Units of a duration in nanoseconds, shortest first.
const UNITS: [(&str, u128); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, nanos) in [
            ("0s", Some(0)),
            ("500ms", Some(500_000_000)),
            ("5s", Some(5_000_000_000)),
            ("1h30m", Some(5_400_000_000_000)),
            ("7d", Some(604_800_000_000_000)),
            ("", None),
            ("5", None),
            ("s", None),
            ("5 s", None),
            ("-5s", None),
            ("5parsec", None),
            ("99999999999999999999d", None),
            ("999999999999d", None),
        ] {
            assert_eq!(parse_time(text).map(|time| time.as_nanos()), nanos, "{text:?}");
        }
    }

    #[test]
    fn durations_are_shown_as_they_are_written() {
        for text in ["500ms", "5s", "90s", "72h", "7d", "0s"] {
            let time = parse_time(text).unwrap();
            assert_eq!(parse_time(&show_time(time)), Some(time));
        }
        assert_eq!(show_time(Duration::from_secs(72 * 3600)), "3d");
    }

    #[test]
    fn hosts() {
        for (text, expected) in [
            ("a.example:2775", Some(("a.example", 2775))),
            ("[2001:db8::1]:3600", Some(("2001:db8::1", 3600))),
            ("127.0.0.1:0", None),
            ("nowhere", None),
            (":2775", None),
            ("a b:2775", None),
            ("a:99999", None),
        ] {
            let found = read_host(text).ok();
            let found = found.as_ref().map(|found| (found.host.as_str(), found.port));
            assert_eq!(found, expected, "{text}");
        }
    }
}
