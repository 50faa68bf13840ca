//! Reading one table of a scenario: every mistake is noted with its place, and reading goes on.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::node::{Mistake, Node, Place, Table, Value};
use crate::latency::Latency;

/// What was found wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(RefCell<Vec<Mistake>>);

impl Mistakes {
    pub(crate) fn add(&self, mistake: Mistake) {
        self.0.borrow_mut().push(mistake);
    }

    /// All of them in order of place, each once.
    pub(crate) fn into_sorted(self) -> Vec<Mistake> {
        let mut all = self.0.into_inner();
        all.sort();
        all.dedup();
        all
    }
}

/// A table from which keys are taken; what is left in the end is unknown.
pub(crate) struct Section<'m> {
    path: String,
    place: Place,
    table: Table,
    mistakes: &'m Mistakes,
}

impl<'m> Section<'m> {
    pub(crate) fn new(node: Node, path: &str, mistakes: &'m Mistakes) -> Section<'m> {
        let mut section =
            Section { path: path.into(), place: node.place.clone(), table: Table::new(), mistakes };
        match node.value {
            Value::Table(table) => section.table = table,
            _ => section.wrong("must be a table"),
        }
        section
    }

    /// Notes a mistake about the whole table.
    pub(crate) fn wrong(&self, message: &str) {
        self.mistakes.add(Mistake {
            place: self.place.clone(),
            path: self.path.clone(),
            message: message.into(),
        });
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.table.keys().cloned().collect()
    }

    pub(crate) fn peek(&self, key: &str) -> Option<&Node> {
        self.table.get(key)
    }

    /// A table that is not there, to read defaults from.
    pub(crate) fn empty(&self, key: &str) -> Section<'m> {
        let (path, place) = (self.path_of(key), self.place.clone());
        Section { path, place, table: Table::new(), mistakes: self.mistakes }
    }

    pub(crate) fn take(&mut self, key: &str) -> Option<Node> {
        self.table.remove(key)
    }

    /// Takes the key when it holds just this text.
    pub(crate) fn take_if_text(&mut self, key: &str, text: &str) -> bool {
        let holds =
            matches!(self.table.get(key), Some(Node { value: Value::String(held), .. }) if held == text);
        holds && self.take(key).is_some()
    }

    pub(crate) fn string(&mut self, key: &str) -> Option<String> {
        self.read(key, "must be a text in quotes", |value| match value {
            Value::String(text) => Some(text),
            _ => None,
        })
    }

    /// A text that must be there.
    pub(crate) fn required(&mut self, key: &str) -> String {
        if !self.has(key) {
            self.wrong(&format!("{key} is missing"));
        }
        self.string(key).unwrap_or_default()
    }

    pub(crate) fn strings(&mut self, key: &str) -> Option<Vec<String>> {
        self.read(key, "must be a list of texts", |value| match value {
            Value::String(text) => Some(vec![text]),
            Value::Array(items) => items
                .into_iter()
                .map(|item| match item.value {
                    Value::String(text) => Some(text),
                    _ => None,
                })
                .collect(),
            _ => None,
        })
    }

    pub(crate) fn flag(&mut self, key: &str) -> Option<bool> {
        self.read(key, "must be true or false", |value| match value {
            Value::Bool(flag) => Some(flag),
            _ => None,
        })
    }

    pub(crate) fn whole(&mut self, key: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let message = format!("must be a whole number from {} to {}", range.start(), range.end());
        self.read(key, &message, |value| match value {
            Value::Integer(number) => u64::try_from(number).ok().filter(|number| range.contains(number)),
            _ => None,
        })
    }

    /// One or several whole numbers.
    pub(crate) fn wholes(&mut self, key: &str, range: RangeInclusive<u64>) -> Option<Vec<u64>> {
        let message = format!("must be whole numbers from {} to {}", range.start(), range.end());
        self.read(key, &message, |value| {
            let items = match value {
                Value::Array(items) => items.into_iter().map(|item| item.value).collect(),
                single => vec![single],
            };
            items
                .into_iter()
                .map(|item| match item {
                    Value::Integer(number) => {
                        u64::try_from(number).ok().filter(|number| range.contains(number))
                    }
                    _ => None,
                })
                .collect()
        })
    }

    pub(crate) fn number(&mut self, key: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let message = format!("must be a number from {} to {}", range.start(), range.end());
        self.read(key, &message, |value| as_number(&value).filter(|number| range.contains(number)))
    }

    pub(crate) fn probability(&mut self, key: &str) -> Option<f64> {
        self.number(key, 0.0..=1.0)
    }

    pub(crate) fn duration(&mut self, key: &str) -> Option<Duration> {
        self.read(key, DURATION, |value| as_duration(&value))
    }

    /// A command_status: a number, or its text with 0x.
    pub(crate) fn status(&mut self, key: &str) -> Option<u32> {
        self.read(key, "must be a command_status such as 0x58", |value| as_status(&value))
    }

    pub(crate) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        let message = format!("must be one of {}", names.join(", "));
        self.read(key, &message, |value| match value {
            Value::String(text) => choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice),
            _ => None,
        })
    }

    /// A distribution: `"25ms"` or a table with one of its names.
    pub(crate) fn latency(&mut self, key: &str) -> Option<Latency> {
        match self.table.get(key)?.value {
            Value::Table(_) => self.section(key).map(read_latency),
            _ => self.duration(key).map(Latency::Fixed),
        }
    }

    pub(crate) fn section(&mut self, key: &str) -> Option<Section<'m>> {
        let node = self.take(key)?;
        Some(Section::new(node, &self.path_of(key), self.mistakes))
    }

    /// The tables of `[[key]]`.
    pub(crate) fn sections(&mut self, key: &str) -> Vec<Section<'m>> {
        let path = self.path_of(key);
        let nodes = self.read(key, "must be tables, each headed with double brackets", |value| match value {
            Value::Array(items) => Some(items),
            _ => None,
        });
        let nodes = nodes.unwrap_or_default().into_iter().enumerate();
        nodes.map(|(index, node)| Section::new(node, &format!("{path}[{index}]"), self.mistakes)).collect()
    }

    /// Whatever was not taken is a mistake: a misspelt key must not be overlooked.
    pub(crate) fn finish(self) {
        for (key, node) in &self.table {
            self.mistakes.add(Mistake {
                place: node.place.clone(),
                path: self.path_of(key),
                message: "unknown key".into(),
            });
        }
    }

    fn read<T>(&mut self, key: &str, message: &str, take: impl FnOnce(Value) -> Option<T>) -> Option<T> {
        let node = self.take(key)?;
        let place = node.place;
        let value = take(node.value);
        if value.is_none() {
            let (path, message) = (self.path_of(key), message.to_owned());
            self.mistakes.add(Mistake { place, path, message });
        }
        value
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

fn as_status(value: &Value) -> Option<u32> {
    match value {
        Value::Integer(number) => u32::try_from(*number).ok(),
        Value::String(text) => u32::from_str_radix(text.strip_prefix("0x")?, 16).ok(),
        _ => None,
    }
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

fn as_duration(value: &Value) -> Option<Duration> {
    let text = match value {
        Value::Integer(0) => return Some(Duration::ZERO),
        Value::String(text) => text.trim(),
        _ => return None,
    };
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * seconds).ok().filter(|duration| *duration <= DURATION_MAX)
}

fn read_latency(mut section: Section<'_>) -> Latency {
    let keys = section.keys();
    let [name] = keys.as_slice() else {
        section.wrong("must name one of fixed, uniform, normal, lognormal, pareto");
        return Latency::None;
    };
    let latency = match name.as_str() {
        "fixed" => section.duration("fixed").map(Latency::Fixed),
        "uniform" => read_uniform(&mut section),
        "normal" => section.section("normal").map(|mut inner| {
            let (mean, deviation) = (inner.duration("mean"), inner.duration("deviation"));
            inner.finish();
            Latency::Normal { mean: mean.unwrap_or_default(), deviation: deviation.unwrap_or_default() }
        }),
        "lognormal" => section.section("lognormal").map(read_lognormal),
        "pareto" => section.section("pareto").map(|mut inner| {
            let (minimum, shape) = (inner.duration("minimum"), inner.number("shape", 0.1..=100.0));
            inner.finish();
            Latency::Pareto { minimum: minimum.unwrap_or_default(), shape: shape.unwrap_or(2.0) }
        }),
        _ => None,
    };
    section.finish();
    latency.unwrap_or_default()
}

fn read_uniform(section: &mut Section<'_>) -> Option<Latency> {
    section.read("uniform", "must be two durations, the smaller first", |value| {
        let Value::Array(items) = value else { return None };
        let durations: Option<Vec<_>> = items.iter().map(|item| as_duration(&item.value)).collect();
        match durations?.as_slice() {
            [low, high] if low <= high => Some(Latency::Uniform(*low, *high)),
            _ => None,
        }
    })
}

fn read_lognormal(mut inner: Section<'_>) -> Latency {
    let median = inner.duration("median").unwrap_or_default();
    let p99 = inner.duration("p99").unwrap_or_default();
    if median.is_zero() || p99 < median {
        inner.wrong("needs a median above zero and a p99 not below it");
    }
    inner.finish();
    Latency::LogNormal { median, p99 }
}

const DURATION: &str = "must be a duration such as \"250ms\", \"10s\", \"5m\", \"72h\"";

/// Longer than any run; keeps sums of times far from their ends.
const DURATION_MAX: Duration = Duration::from_secs(366 * 86_400);
