//! Reading a table field by field while collecting every mistake.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::{Table, Value};

use super::{Mistake, line_at, value};

/// Mistakes found so far, and the file they are looked up in.
pub(crate) struct Mistakes<'a> {
    text: &'a str,
    found: RefCell<Vec<Mistake>>,
}

impl<'a> Mistakes<'a> {
    pub(crate) fn new(text: &'a str) -> Mistakes<'a> {
        Mistakes { text, found: RefCell::default() }
    }

    pub(crate) fn add(&self, place: &str, message: &str) {
        let line = line_of(self.text, place);
        self.found.borrow_mut().push(Mistake { line, place: place.to_owned(), message: message.to_owned() });
    }

    pub(crate) fn take(&self) -> Vec<Mistake> {
        let mut found = self.found.take();
        found.sort_by_key(|mistake| mistake.line.unwrap_or(usize::MAX));
        found.dedup();
        found
    }
}

/// One table; remembers which keys were read so that the others can be reported.
pub(crate) struct Fields<'a> {
    place: String,
    table: Option<&'a Table>,
    mistakes: &'a Mistakes<'a>,
    read: RefCell<Vec<&'static str>>,
}

impl<'a> Fields<'a> {
    pub(crate) fn root(table: &'a Table, mistakes: &'a Mistakes<'a>) -> Fields<'a> {
        Self::new(String::new(), Some(table), mistakes)
    }

    fn new(place: String, table: Option<&'a Table>, mistakes: &'a Mistakes<'a>) -> Fields<'a> {
        Fields { place, table, mistakes, read: RefCell::default() }
    }

    /// Reports the keys nobody asked for.
    pub(crate) fn finish(&self) {
        let read = self.read.borrow();
        for key in self.table.iter().flat_map(|table| table.keys()) {
            if !read.contains(&key.as_str()) {
                self.wrong(key, &format!("unknown key; known here: {}", read.join(", ")));
            }
        }
    }

    pub(crate) fn wrong(&self, key: &str, message: &str) {
        self.mistakes.add(&self.place_of(key), message);
    }

    pub(crate) fn place_of(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) }
    }

    pub(crate) fn value(&self, key: &'static str) -> Option<&'a Value> {
        self.read.borrow_mut().push(key);
        self.table?.get(key)
    }

    /// A table that must be there.
    pub(crate) fn section(&self, key: &'static str) -> Fields<'a> {
        let section = self.section_or_empty(key);
        if self.table.is_some_and(|table| !table.contains_key(key)) {
            self.wrong(key, "missing");
        }
        section
    }

    /// A table that may be missing: all its fields then are.
    pub(crate) fn section_or_empty(&self, key: &'static str) -> Fields<'a> {
        let table = match self.value(key) {
            None => None,
            Some(Value::Table(table)) => Some(table),
            Some(_) => {
                self.wrong(key, "must be a table");
                None
            }
        };
        Fields::new(self.place_of(key), table, self.mistakes)
    }

    /// An array of tables; empty when missing.
    pub(crate) fn tables(&self, key: &'static str) -> Vec<Fields<'a>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Value::Array(items) = value else {
            self.wrong(key, &format!("must be an array of tables; write [[{key}]]"));
            return Vec::new();
        };
        let tables = items.iter().enumerate().filter_map(|(index, item)| {
            let place = self.place_of(&format!("{key}[{index}]"));
            match item {
                Value::Table(table) => Some(Fields::new(place, Some(table), self.mistakes)),
                _ => {
                    self.mistakes.add(&place, "must be a table");
                    None
                }
            }
        });
        tables.collect()
    }

    pub(crate) fn string_or_none(&self, key: &'static str) -> Option<String> {
        match self.value(key)? {
            Value::String(text) => Some(text.clone()),
            _ => {
                self.wrong(key, "must be a string");
                None
            }
        }
    }

    pub(crate) fn string(&self, key: &'static str) -> Option<String> {
        self.need(key);
        self.string_or_none(key)
    }

    /// A string of at most `length_max` octets, as a C-octet string of SMPP holds them.
    pub(crate) fn octets(&self, key: &'static str, length_max: usize) -> String {
        let text = self.string_or_none(key).unwrap_or_default();
        if text.len() > length_max || text.contains('\0') {
            self.wrong(key, &format!("at most {length_max} octets, none of them zero"));
        }
        text
    }

    pub(crate) fn strings(&self, key: &'static str) -> Vec<String> {
        let all = match self.value(key) {
            None => return Vec::new(),
            Some(Value::String(one)) => return vec![one.clone()],
            Some(Value::Array(items)) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            Some(_) => None,
        };
        all.unwrap_or_else(|| {
            self.wrong(key, "must be a string or an array of strings");
            Vec::new()
        })
    }

    pub(crate) fn bool_or(&self, key: &'static str, default: bool) -> bool {
        match self.value(key) {
            None => default,
            Some(Value::Boolean(value)) => *value,
            Some(_) => {
                self.wrong(key, "must be true or false");
                default
            }
        }
    }

    pub(crate) fn integer_or(&self, key: &'static str, default: i64, range: RangeInclusive<i64>) -> i64 {
        match self.value(key) {
            None => default,
            Some(Value::Integer(value)) if range.contains(value) => *value,
            Some(_) => {
                self.wrong(key, &format!("must be a whole number from {} to {}", range.start(), range.end()));
                default
            }
        }
    }

    pub(crate) fn integers(&self, key: &'static str, range: RangeInclusive<i64>) -> Vec<i64> {
        let all = match self.value(key) {
            None => return Vec::new(),
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_integer().filter(|value| range.contains(value))).collect()
            }
            Some(_) => None,
        };
        all.unwrap_or_else(|| {
            self.wrong(
                key,
                &format!("must be an array of whole numbers from {} to {}", range.start(), range.end()),
            );
            Vec::new()
        })
    }

    pub(crate) fn duration_or_none(&self, key: &'static str) -> Option<Duration> {
        let text = match self.value(key)? {
            Value::String(text) => text.as_str(),
            _ => {
                self.wrong(key, "must be a duration such as \"5s\"");
                return None;
            }
        };
        value::duration(text).map_err(|message| self.wrong(key, &message)).ok()
    }

    pub(crate) fn duration_or(&self, key: &'static str, default: Duration) -> Duration {
        self.duration_or_none(key).unwrap_or(default)
    }

    pub(crate) fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let value = self.value(key)?;
        let found = value.as_str().and_then(|text| choices.iter().find(|(name, _)| *name == text));
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.wrong(key, &format!("must be one of {}", names.join(", ")));
        }
        found.map(|(_, choice)| *choice)
    }

    fn need(&self, key: &'static str) {
        if self.table.is_some_and(|table| !table.contains_key(key)) {
            self.wrong(key, "missing");
        }
    }
}

/// Line where a place such as `phase[1].rate` stands; the line of its parent when it is missing itself.
fn line_of(text: &str, place: &str) -> Option<usize> {
    use toml::de::{DeTable, DeValue};
    let root = DeTable::parse(text).ok()?;
    let mut at: Option<&DeValue<'_>> = None;
    let mut line = None;
    for step in place.split('.') {
        let (key, index) = match step.split_once('[') {
            Some((key, index)) => (key, index.trim_end_matches(']').parse::<usize>().ok()),
            None => (step, None),
        };
        let table = match at {
            None => root.get_ref(),
            Some(DeValue::Table(table)) => table,
            Some(_) => break,
        };
        let Some((name, value)) = table.iter().find(|(name, _)| name.get_ref() == key) else { break };
        line = Some(line_at(text, name.span().start));
        let mut value = value;
        if let (Some(index), DeValue::Array(items)) = (index, value.get_ref()) {
            value = items.get(index)?;
            line = Some(line_at(text, value.span().start));
        }
        at = Some(value.get_ref());
    }
    line
}
