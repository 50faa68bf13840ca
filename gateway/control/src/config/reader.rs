//! Reads sections of a document (a file, or rows of a database) against their tables of settings: unknown keys, missing
//! keys and unfit values become mistakes with their place; a value is always given back, so that reading goes on to the
//! next mistake.

use super::environment::Overrides;
use super::mistake::{At, Mistakes, Place, Places};
use super::removed::{remedy_for_key, remedy_for_word};
use super::secret::Secret;
use super::setting::{Fallback, Kind, SectionKind, Setting};
use super::value::{self, HostPort, Raw, Value};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One configuration being read.
pub(crate) struct Reader<'a> {
    pub(crate) places: &'a Places<'a>,
    pub(crate) overrides: &'a Overrides,
    pub(crate) mistakes: &'a Mistakes,
}

/// One table of settings, checked.
pub(crate) struct Section<'a> {
    kind: &'static SectionKind,
    /// `[node]`, `vendor "west"`: how mistakes name it.
    pub(crate) label: String,
    /// Where the table begins.
    pub(crate) place: Place,
    values: BTreeMap<&'static str, At<Value>>,
    own: BTreeMap<&'static str, &'a Spanned<DeValue<'a>>>,
    /// Keys whose value did not fit.
    refused: Vec<&'static str>,
    entry: Option<String>,
    reader: &'a Reader<'a>,
}

impl<'a> Reader<'a> {
    /// Reads a single table; a missing one holds its defaults.
    pub(crate) fn section(&'a self, root: &'a DeTable<'a>, kind: &'static SectionKind) -> Section<'a> {
        let found = root.get(kind.name);
        let place = found.map_or(Place::Default, |found| self.places.place(found.span().start));
        let table = found.and_then(|found| found.get_ref().as_table());
        let label = format!("[{}]", kind.name);
        if found.is_some() && table.is_none() {
            self.mistakes.add(
                &place,
                format!("{label} is no table"),
                format!("write a line [{}] above its keys", kind.name),
            );
        }
        self.read(kind, label, place, table, None)
    }

    /// Reads a repeated section (`[[vendor]]`, or a list of inline tables).
    pub(crate) fn entries(
        &'a self,
        found: Option<&'a Spanned<DeValue<'a>>>,
        kind: &'static SectionKind,
        within: &str,
    ) -> Vec<Section<'a>> {
        let Some(found) = found else { return Vec::new() };
        let remedy = format!("write [[{}]] above each", kind.name);
        let DeValue::Array(entries) = found.get_ref() else {
            self.mistakes.add(
                &self.places.place(found.span().start),
                format!("{within}{} is no list", kind.name),
                remedy,
            );
            return Vec::new();
        };
        let mut sections = Vec::with_capacity(entries.len());
        for entry in entries.iter() {
            let place = self.places.place(entry.span().start);
            let Some(table) = entry.get_ref().as_table() else {
                self.mistakes.add(
                    &place,
                    format!("{within}{} holds something else than a table", kind.name),
                    remedy.clone(),
                );
                continue;
            };
            let name = kind.entry_key.and_then(|key| table.get(key)).and_then(|name| name.get_ref().as_str());
            let label = name.map_or_else(
                || format!("{within}{}", kind.name),
                |name| format!("{within}{} \"{name}\"", kind.name),
            );
            sections.push(self.read(kind, label, place, Some(table), name));
        }
        sections
    }

    fn read(
        &'a self,
        kind: &'static SectionKind,
        label: String,
        place: Place,
        table: Option<&'a DeTable<'a>>,
        entry: Option<&str>,
    ) -> Section<'a> {
        let mut section = Section {
            kind,
            label,
            place,
            values: BTreeMap::new(),
            own: BTreeMap::new(),
            refused: Vec::new(),
            entry: entry.map(String::from),
            reader: self,
        };
        for (key, value) in table.into_iter().flat_map(|table| table.iter()) {
            match kind.setting(key.get_ref()) {
                Some(setting) => section.take(setting, value),
                None => section.refuse_unknown(key.get_ref(), &self.places.place(key.span().start)),
            }
        }
        for setting in kind.settings {
            if let Some(found) = self.overrides.find(kind.name, entry, setting.key) {
                let place = Place::Environment(found.variable.clone());
                section.check(setting, &Raw::Text(&found.text), place);
            } else if !section.has(setting.key) && !section.own.contains_key(setting.key) {
                section.fall_back(setting);
            }
        }
        section
    }
}

impl<'a> Section<'a> {
    /// Whether a value was given (or has a default).
    pub(crate) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Whether it was left out, so that its default holds.
    pub(crate) fn is_default(&self, key: &str) -> bool {
        self.values.get(key).is_none_or(|value| matches!(value.place, Place::Default))
    }

    /// Where a setting was written; the table's place when it was left out.
    pub(crate) fn place_of(&self, key: &str) -> Place {
        let own = || self.own.get(key).map(|value| self.reader.places.place(value.span().start));
        match self.values.get(key).map(|value| value.place.clone()).or_else(own) {
            None | Some(Place::Default) => self.place.clone(),
            Some(place) => place,
        }
    }

    /// Notes a mistake about one setting.
    pub(crate) fn mistake(&self, key: &str, what: &str, remedy: &str) {
        self.reader.mistakes.add(&self.place_of(key), format!("{}: {what}", self.label), remedy);
    }

    /// Notes a mistake at a place within this section.
    pub(crate) fn mistake_at(&self, place: &Place, what: &str, remedy: &str) {
        self.reader.mistakes.add(place, format!("{}: {what}", self.label), remedy);
    }

    /// The place of an offset of the document.
    pub(crate) fn place_at(&self, offset: usize) -> Place {
        self.reader.places.place(offset)
    }

    /// Whether something was written that did not fit; its mistake is noted.
    pub(crate) fn was_refused(&self, key: &str) -> bool {
        self.refused.contains(&key)
    }

    /// The environment variable of one of its settings.
    pub(crate) fn variable(&self, key: &str) -> String {
        let name = self.kind.name.to_uppercase();
        let entry = self.entry.as_ref().map(|entry| format!("{}__", super::environment::as_variable(entry)));
        format!("{}{name}__{}{key}", super::environment::PREFIX, entry.unwrap_or_default())
    }

    /// The entries of a list of tables within this one.
    pub(crate) fn entries(&self, key: &str, kind: &'static SectionKind) -> Vec<Section<'a>> {
        self.reader.entries(self.own.get(key).copied(), kind, &format!("{}: ", self.label))
    }

    /// A value that the section reads itself.
    pub(crate) fn own(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.own.get(key).copied()
    }

    pub(crate) fn text(&self, key: &str) -> String {
        self.text_if(key).unwrap_or_default()
    }

    pub(crate) fn text_if(&self, key: &str) -> Option<String> {
        match self.values.get(key) {
            Some(At { value: Value::Text(text), .. }) => Some(text.clone()),
            _ => None,
        }
    }

    pub(crate) fn text_at(&self, key: &str) -> Option<At<String>> {
        self.text_if(key).map(|text| At::new(text, self.place_of(key)))
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        matches!(self.values.get(key), Some(At { value: Value::Flag(true), .. }))
    }

    /// A whole number; 0 stands in for one that was refused (the mistake is noted).
    pub(crate) fn whole(&self, key: &str) -> u64 {
        match self.values.get(key) {
            Some(At { value: Value::Whole(number), .. }) => *number,
            _ => 0,
        }
    }

    /// A whole number whose bound in the table of settings lies within `u32`.
    pub(crate) fn whole_u32(&self, key: &str) -> u32 {
        u32::try_from(self.whole(key)).unwrap_or(u32::MAX)
    }

    pub(crate) fn time(&self, key: &str) -> Duration {
        match self.values.get(key) {
            Some(At { value: Value::Time(time), .. }) => *time,
            _ => Duration::ZERO,
        }
    }

    pub(crate) fn listen(&self, key: &str) -> SocketAddr {
        match self.values.get(key) {
            Some(At { value: Value::Listen(address), .. }) => *address,
            _ => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }

    pub(crate) fn hosts(&self, key: &str) -> Vec<HostPort> {
        match self.values.get(key) {
            Some(At { value: Value::Hosts(hosts), .. }) => hosts.clone(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn texts(&self, key: &str) -> Vec<At<String>> {
        match self.values.get(key) {
            Some(At { value: Value::Texts(texts), .. }) => texts.clone(),
            _ => Vec::new(),
        }
    }

    /// A list of networks; an address alone is a network of one.
    pub(crate) fn networks(&self, key: &str) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for text in self.texts(key) {
            let single = || text.value.parse::<IpAddr>().map(IpNet::from);
            match text.value.parse::<IpNet>().or_else(|_| single()) {
                Ok(network) => networks.push(network),
                Err(_) => {
                    let what = format!("\"{}\" is no network", text.value);
                    let remedy = "write an address and the length of its prefix, such as 10.0.0.0/8";
                    self.mistake_at(&text.place, &what, remedy);
                }
            }
        }
        networks
    }

    pub(crate) fn wholes(&self, key: &str) -> Vec<u64> {
        match self.values.get(key) {
            Some(At { value: Value::Wholes(numbers), .. }) => numbers.clone(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn secret(&self, key: &str) -> Option<Secret> {
        match self.values.get(key) {
            Some(At { value: Value::Secret(secret), .. }) => Some(secret.clone()),
            _ => None,
        }
    }

    fn take(&mut self, setting: &'static Setting, value: &'a Spanned<DeValue<'a>>) {
        if matches!(setting.kind, Kind::Own(_)) {
            self.own.insert(setting.key, value);
            return;
        }
        let place = self.reader.places.place(value.span().start);
        self.check(setting, &Raw::Toml(value.get_ref()), place);
    }

    fn check(&mut self, setting: &'static Setting, raw: &Raw<'_>, place: Place) {
        let places = self.reader.places;
        match value::read(setting.kind, raw, &place, &|offset| places.place(offset)) {
            Ok(value) => drop(self.values.insert(setting.key, At::new(value, place))),
            Err((what, mut remedy)) => {
                if let Raw::Toml(DeValue::String(text)) = raw
                    && let Some(instead) = remedy_for_word(setting.key, text)
                {
                    remedy = instead.into();
                }
                let what = format!("{}: {} {what}", self.label, setting.key);
                self.reader.mistakes.add(&place, what, remedy);
                self.refused.push(setting.key);
            }
        }
    }

    fn fall_back(&mut self, setting: &'static Setting) {
        match setting.default {
            Fallback::Value(text) => self.check(setting, &Raw::Text(text), Place::Default),
            Fallback::Absent => {}
            Fallback::Required if self.was_refused(setting.key) => {} // the mistake is noted already
            Fallback::Required => {
                let what = format!("{}: {} is missing", self.label, setting.key);
                self.reader.mistakes.add(&self.place, what, format!("give it ({})", setting.kind));
            }
        }
    }

    fn refuse_unknown(&self, key: &str, place: &Place) {
        let known = self.kind.settings.iter().map(|setting| setting.key);
        let what = format!("{}: unknown key \"{key}\"", self.label);
        let gone = remedy_for_key(self.kind.name, key).map(String::from);
        self.reader.mistakes.add(place, what, gone.unwrap_or_else(|| remedy_for_unknown(key, known)));
    }
}

/// What to do about a name that nothing knows: the nearest known one, or the list.
pub(crate) fn remedy_for_unknown<'k>(key: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    let near = known.clone().map(|name| (distance(key, name), name)).min();
    match near {
        Some((steps, name)) if steps <= 2.max(key.len() / 3) => format!("did you mean \"{name}\"?"),
        None => "define it".into(),
        _ => format!("known here: {}", known.collect::<Vec<_>>().join(", ")),
    }
}

/// Levenshtein distance in bytes; keys are ASCII and short.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
