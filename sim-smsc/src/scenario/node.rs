//! The text of a scenario as a tree in which every value knows where it stands.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use toml::de::{DeTable, DeValue};

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    file: Rc<str>,
    /// From 1; 0 where lines mean nothing.
    line: usize,
}

impl Place {
    pub(crate) fn file(file: &str) -> Place {
        Place { file: file.into(), line: 0 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// One mistake in a scenario.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    pub(crate) place: Place,
    pub(crate) path: String,
    pub(crate) message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

pub(crate) type Table = BTreeMap<String, Node>;

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    String(String),
    Integer(i128),
    Float(f64),
    Bool(bool),
    Array(Vec<Node>),
    Table(Table),
    /// A date, a JSON null: nothing a scenario knows.
    Other,
}

impl Node {
    /// Reads a TOML text; what can be read comes with every mistake of form.
    pub(crate) fn from_toml(text: &str, file: &str) -> (Node, Vec<Mistake>) {
        let reader = TomlReader { text, file: file.into() };
        let (table, errors) = DeTable::parse_recoverable(text);
        let mistakes = errors
            .iter()
            .map(|error| Mistake {
                place: reader.place(error.span().map_or(0, |span| span.start)),
                path: String::new(),
                message: error.message().to_owned(),
            })
            .collect();
        (Node { place: reader.place(0), value: Value::Table(reader.table(table.get_ref())) }, mistakes)
    }

    /// The same from JSON, as the control port gets it.
    pub(crate) fn from_json(json: &serde_json::Value, file: &str) -> Node {
        let value = match json {
            serde_json::Value::Null => Value::Other,
            serde_json::Value::Bool(flag) => Value::Bool(*flag),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(whole) => Value::Integer(whole.into()),
                None => number.as_f64().map_or(Value::Other, Value::Float),
            },
            serde_json::Value::String(text) => Value::String(text.clone()),
            serde_json::Value::Array(items) => {
                Value::Array(items.iter().map(|item| Node::from_json(item, file)).collect())
            }
            serde_json::Value::Object(entries) => Value::Table(
                entries.iter().map(|(key, item)| (key.clone(), Node::from_json(item, file))).collect(),
            ),
        };
        Node { value, place: Place::file(file) }
    }

    /// Lays `over` on top: tables are merged key by key, everything else and every key in `whole` is replaced.
    pub(crate) fn merge(&mut self, over: Node, whole: &[&str]) {
        match (&mut self.value, over) {
            (Value::Table(below), Node { value: Value::Table(above), place }) => {
                self.place = place;
                for (key, node) in above {
                    match below.get_mut(&key) {
                        Some(existing) if !whole.contains(&key.as_str()) => existing.merge(node, whole),
                        _ => {
                            below.insert(key, node);
                        }
                    }
                }
            }
            (_, over) => *self = over,
        }
    }
}

struct TomlReader<'a> {
    text: &'a str,
    file: Rc<str>,
}

impl TomlReader<'_> {
    fn place(&self, offset: usize) -> Place {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        Place { file: self.file.clone(), line: 1 + before.iter().filter(|&&octet| octet == b'\n').count() }
    }

    fn table(&self, table: &DeTable<'_>) -> Table {
        table
            .iter()
            .map(|(key, value)| {
                // A table's own span is that of its header; the key's is the line one looks for.
                let place = self.place(key.span().start);
                (key.get_ref().to_string(), Node { value: self.value(value.get_ref()), place })
            })
            .collect()
    }

    fn value(&self, value: &DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Integer(number) => {
                i128::from_str_radix(number.as_str(), number.radix()).map_or(Value::Other, Value::Integer)
            }
            DeValue::Float(number) => number.as_str().parse().map_or(Value::Other, Value::Float),
            DeValue::Boolean(flag) => Value::Bool(*flag),
            DeValue::Datetime(_) => Value::Other,
            DeValue::Array(items) => Value::Array(
                items
                    .iter()
                    .map(|item| Node {
                        value: self.value(item.get_ref()),
                        place: self.place(item.span().start),
                    })
                    .collect(),
            ),
            DeValue::Table(table) => Value::Table(self.table(table)),
        }
    }
}
