//! What is wrong with a configuration, where, and what to do about it. Mistakes are collected, never thrown: an
//! operator corrects a file once, not once per mistake.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A place in a file; line and column count from 1, the column in characters.
    File {
        /// The file as it was named by the operator.
        path: Arc<PathBuf>,
        /// Line, from 1.
        line: u32,
        /// Column in characters, from 1.
        column: u32,
    },
    /// An environment variable, by its name.
    Environment(String),
    /// A row of a table of a database, by table and key.
    Row {
        /// The table's name.
        table: &'static str,
        /// The row's key as an operator knows it.
        key: String,
    },
    /// The built-in default of a setting.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Place::Environment(name) => write!(f, "environment {name}"),
            Place::Row { table, key } => write!(f, "{table} {key}"),
            Place::Default => f.write_str("default"),
        }
    }
}

/// A value and the place it came from, so that a mistake found later (a name that nothing defines) still has a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub place: Place,
}

impl<T> At<T> {
    /// Joins a value and its place.
    pub fn new(value: T, place: Place) -> At<T> {
        At { value, place }
    }
}

/// One mistake, ready to be shown: `gateway.toml:12:8: what is wrong; what to do`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub what: String,
    /// What to do; a clause that stands after a semicolon.
    pub remedy: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.what, self.remedy)
    }
}

/// Collects mistakes while a configuration is read. Shared by reference; never borrowed across a call.
#[derive(Default)]
pub(crate) struct Mistakes(RefCell<Vec<Mistake>>);

impl Mistakes {
    /// Notes one mistake and goes on.
    pub(crate) fn add(&self, place: &Place, what: impl Into<String>, remedy: impl Into<String>) {
        let mistake = Mistake { place: place.clone(), what: what.into(), remedy: remedy.into() };
        self.0.borrow_mut().push(mistake);
    }

    /// All mistakes, in the order of the file, then of the environment.
    pub(crate) fn into_sorted(self) -> Vec<Mistake> {
        let mut all = self.0.into_inner();
        all.sort_by_key(|mistake| match &mistake.place {
            Place::File { line, column, .. } => (0, *line, *column),
            Place::Environment(_) | Place::Row { .. } | Place::Default => (1, 0, 0),
        });
        all.dedup();
        all
    }
}

/// Turns offsets into places: those of bytes of a text, or those of rows.
pub(crate) enum Places<'a> {
    /// Of a file.
    Text { path: Arc<PathBuf>, text: &'a str, line_starts: Vec<usize> },
    /// Of tables, in order: an offset is the number of a row. Table and key of each.
    Rows(Vec<(&'static str, String)>),
}

impl<'a> Places<'a> {
    pub(crate) fn of_text(path: &Path, text: &'a str) -> Places<'a> {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Places::Text { path: Arc::new(path.to_path_buf()), text, line_starts }
    }

    /// The place of an offset; offsets past the end name the end.
    pub(crate) fn place(&self, offset: usize) -> Place {
        match self {
            Places::Rows(rows) => match rows.get(offset).or(rows.last()) {
                Some((table, key)) => Place::Row { table, key: key.clone() },
                None => Place::Default,
            },
            Places::Text { path, text, line_starts } => {
                let offset = offset.min(text.len());
                let line = line_starts.partition_point(|start| *start <= offset);
                let start = line_starts[line - 1]; // line >= 1: the first start is 0
                let column = text.get(start..offset).map_or(offset - start, |head| head.chars().count());
                Place::File { path: path.clone(), line: line as u32, column: column as u32 + 1 }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_become_lines_and_columns() {
        let places = Places::of_text(Path::new("a.toml"), "ab\ncödé\n\nx");
        for (offset, expected) in
            [(0, "a.toml:1:1"), (2, "a.toml:1:3"), (3, "a.toml:2:1"), (6, "a.toml:2:3"), (99, "a.toml:4:2")]
        {
            assert_eq!(places.place(offset).to_string(), expected, "offset {offset}");
        }
    }
}
