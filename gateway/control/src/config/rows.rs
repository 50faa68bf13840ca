//! Rows of a database as the document that the reader reads: a row becomes an entry of its section, a column the
//! setting of its name, NULL what was left out. Spans, which in a file count bytes, count rows here, so that a mistake is
//! told with its row.

use super::mistake::Places;
use super::setting::SectionKind;
use super::{brands, campaigns, customers, error_maps, mo_routes, networks, numbers, routes, vendors};
use serde_json::{Map, Number, Value};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// A table that holds the entries of a section.
pub(crate) struct Table {
    /// The section.
    pub section: &'static SectionKind,
    /// Name of the table.
    pub name: &'static str,
    /// The column by which an operator knows a row, and by which rows are put in order.
    pub key: &'static str,
    /// Settings that have no column.
    pub left_out: &'static [&'static str],
    /// Settings with a default for which leaving them out means more than that: their column has none.
    pub open: &'static [&'static str],
    /// A setting whose members are rows of a table of their own.
    pub members: Option<Members>,
}

/// A table that holds the members of a setting.
pub(crate) struct Members {
    /// The setting.
    pub setting: &'static str,
    /// Settings of a member.
    pub section: &'static SectionKind,
    /// Name of the table.
    pub name: &'static str,
    /// The column that names the row whose members they are.
    pub of: &'static str,
    /// Columns whose setting has another name: column, setting.
    pub renamed: &'static [(&'static str, &'static str)],
}

/// All tables, in an order in which each names only rows of those before it.
pub(crate) static TABLES: &[Table] = &[
    Table {
        section: &customers::SECTION,
        name: "customers",
        key: "system_id",
        left_out: &["password", "password_file"], // only the hash lies in the database
        open: &["unknown_outcome"],
        members: None,
    },
    Table { section: &brands::SECTION, name: "brands", key: "name", left_out: &[], open: &[], members: None },
    Table {
        section: &campaigns::SECTION,
        name: "campaigns",
        key: "name",
        left_out: &[],
        open: &[],
        members: None,
    },
    Table {
        section: &numbers::SECTION,
        name: "numbers",
        key: "number",
        left_out: &[],
        open: &[],
        members: None,
    },
    Table {
        section: &error_maps::SECTION,
        name: "error_maps",
        key: "name",
        left_out: &[],
        open: &[],
        members: Some(Members {
            setting: "statuses",
            section: &error_maps::STATUS,
            name: "error_map_statuses",
            of: "error_map",
            renamed: &[],
        }),
    },
    Table {
        section: &vendors::SECTION,
        name: "vendors",
        key: "name",
        left_out: &["password"], // it lies on the nodes
        open: &[],
        members: None,
    },
    Table {
        section: &routes::SECTION,
        name: "routes",
        key: "id",
        left_out: &[],
        open: &[],
        members: Some(Members {
            setting: "vendors",
            section: &routes::VENDOR,
            name: "route_vendors",
            of: "route",
            renamed: &[("vendor", "name")],
        }),
    },
    Table {
        section: &mo_routes::SECTION,
        name: "mo_routes",
        key: "id",
        left_out: &[],
        open: &[],
        members: None,
    },
    Table {
        section: &networks::SECTION,
        name: "networks",
        key: "prefix",
        left_out: &[],
        open: &[],
        members: None,
    },
];

impl Members {
    /// The column of a setting.
    pub(crate) fn column(&self, setting: &'static str) -> &'static str {
        let renamed = self.renamed.iter().find(|(_, name)| *name == setting);
        renamed.map_or(setting, |(column, _)| column)
    }
}

/// One row: its columns that are not NULL.
pub(crate) type Row = Map<String, Value>;

/// All rows of one version, by table.
pub(crate) type Rows = BTreeMap<String, Vec<Row>>;

impl Table {
    /// The table of a section, if its entries can come from a database.
    pub(crate) fn of(section: &SectionKind) -> Option<&'static Table> {
        Table::named(section.name)
    }

    /// The same by the section's name.
    pub(crate) fn named(section: &str) -> Option<&'static Table> {
        TABLES.iter().find(|table| table.section.name == section)
    }

    /// Whether the key is a column of its own beside those of the settings.
    pub(crate) fn has_own_key(&self) -> bool {
        self.section.setting(self.key).is_none()
    }

    /// The settings that have a column of their name.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &'static super::setting::Setting> {
        let members = self.members.as_ref().map(|members| members.setting);
        let left_out = self.left_out;
        let has_none = move |key: &&str| left_out.contains(key) || members == Some(key);
        self.section.settings.iter().filter(move |setting| !has_none(&setting.key))
    }
}

/// The numbers of all rows as text, each once: the document's own numbers borrow theirs, and only its parser makes them.
pub(crate) struct Numbers(BTreeSet<String>);

impl Numbers {
    pub(crate) fn of(rows: &Rows) -> Numbers {
        let mut numbers = BTreeSet::new();
        for table in TABLES {
            // Not the keys that no setting reads: they are as many as rows.
            let own_key = table.has_own_key().then_some(table.key);
            let fields = rows.get(table.name).into_iter().flatten().flatten();
            let settings = fields.filter(|(key, _)| Some(key.as_str()) != own_key);
            settings.for_each(|(_, value)| collect(value, &mut numbers));
        }
        Numbers(numbers)
    }

    fn value(&self, number: &Number) -> DeValue<'_> {
        let text = self.0.get(&number.to_string()).map_or("", String::as_str);
        // What is no number of the document's language fits no setting either.
        DeValue::parse(text).map_or(DeValue::String(Cow::Borrowed(text)), Spanned::into_inner)
    }
}

fn collect(value: &Value, numbers: &mut BTreeSet<String>) {
    match value {
        Value::Number(number) => drop(numbers.insert(number.to_string())),
        Value::Array(members) => members.iter().for_each(|member| collect(member, numbers)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, numbers)),
        Value::String(_) | Value::Bool(_) | Value::Null => {}
    }
}

/// The rows as a document, and the places that its spans count.
pub(crate) fn document<'a>(rows: &'a Rows, numbers: &'a Numbers) -> (DeTable<'a>, Places<'static>) {
    let mut root = DeTable::new();
    let mut places = Vec::with_capacity(rows.values().map(Vec::len).sum());
    for table in TABLES {
        let mut entries = DeArray::new();
        for row in rows.get(table.name).into_iter().flatten() {
            let span = places.len()..places.len() + 1;
            places.push((table.name, row.get(table.key).map(shown).unwrap_or_default()));
            let own_key = table.has_own_key().then_some(table.key);
            let settings = row.iter().filter(|(key, _)| Some(key.as_str()) != own_key);
            entries.push(Spanned::new(span.clone(), DeValue::Table(entry(settings, &span, numbers))));
        }
        let name = Spanned::new(0..0, Cow::Borrowed(table.section.name));
        root.insert(name, Spanned::new(0..0, DeValue::Array(entries)));
    }
    (root, Places::Rows(places))
}

/// A key as an operator writes it.
pub(crate) fn shown(key: &Value) -> String {
    key.as_str().map_or_else(|| key.to_string(), String::from)
}

fn entry<'a>(
    row: impl Iterator<Item = (&'a String, &'a Value)>,
    span: &Range<usize>,
    numbers: &'a Numbers,
) -> DeTable<'a> {
    let given = row.filter(|(_, value)| !value.is_null());
    let spanned = |(key, value): (&'a String, &'a Value)| {
        let key = Spanned::new(span.clone(), Cow::Borrowed(key.as_str()));
        (key, Spanned::new(span.clone(), setting(value, span, numbers)))
    };
    given.map(spanned).collect()
}

fn setting<'a>(value: &'a Value, span: &Range<usize>, numbers: &'a Numbers) -> DeValue<'a> {
    match value {
        Value::String(text) => DeValue::String(Cow::Borrowed(text)),
        Value::Bool(flag) => DeValue::Boolean(*flag),
        Value::Number(number) => numbers.value(number),
        Value::Array(members) => {
            let mut list = DeArray::new();
            for member in members {
                list.push(Spanned::new(span.clone(), setting(member, span, numbers)));
            }
            DeValue::Array(list)
        }
        Value::Object(fields) => DeValue::Table(entry(fields.iter(), span, numbers)),
        Value::Null => DeValue::String(Cow::Borrowed("")), // a list's member that is none fits nothing
    }
}
