//! Values replaced from the command line: `--set phase.1.rate=500`.

use toml::{Table, Value};

use super::fields::Mistakes;

/// One replaced value.
#[derive(Clone, PartialEq, Debug)]
pub struct Setting {
    /// Steps to the value: table keys and array indices, `phase`, `1`, `rate`.
    path: Vec<String>,
    value: Value,
}

impl Setting {
    /// A setting from its path (`target.address`) and a value.
    pub fn new(path: &str, value: impl Into<Value>) -> Setting {
        Setting { path: path.split('.').map(str::to_owned).collect(), value: value.into() }
    }

    pub(crate) fn apply(&self, table: &mut Table, mistakes: &Mistakes<'_>) {
        let place = self.path.join(".");
        let wrong = |message: &str| mistakes.add(&format!("setting {place}"), message);
        let Some((last, steps)) = self.path.split_last() else { return };
        let mut at: &mut Table = table;
        let mut steps = steps.iter().peekable();
        while let Some(step) = steps.next() {
            let value = at.entry(step.clone()).or_insert_with(|| Value::Table(Table::new()));
            let value = match value {
                Value::Array(items) => {
                    let index = steps.next().and_then(|index| index.parse::<usize>().ok());
                    match index.and_then(|index| items.get_mut(index)) {
                        Some(item) => item,
                        None => return wrong(&format!("{step} is an array; name an index it has")),
                    }
                }
                other => other,
            };
            match value {
                Value::Table(inner) => at = inner,
                _ => return wrong(&format!("{step} is not a table")),
            }
        }
        at.insert(last.clone(), self.value.clone());
    }
}

/// `path=value`, where the value is TOML or, when it is none, a string.
impl std::str::FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Setting, String> {
        let (path, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is no key=value"))?;
        let parsed = toml::from_str::<Table>(&format!("value = {value}")).ok();
        let value = parsed.and_then(|mut table| table.remove("value"));
        let value = value.unwrap_or_else(|| Value::String(text[path.len() + 1..].to_owned()));
        Ok(Setting::new(path.trim(), value))
    }
}
