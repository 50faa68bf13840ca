//! `gateway import` and `gateway export`: from a file into the tables and back.
//!
//! An import replaces the configuration as a whole, in one transaction, after the file was checked like that of a node. An
//! export writes a file that an import takes again. Both speak of the sections that have tables; the rest of a file is the
//! node's own.

use super::blocking;
use super::database::{Database, Edition, Trouble, Version, version, within_load};
use crate::config::rows::{Members, Row, Rows, TABLES, Table};
use crate::config::setting::{Fallback, Kind, Setting};
use crate::config::{Config, Credential, Mistake, NodeFile, Place, Places, build, hexadecimal};
use argon2::{Argon2, PasswordHasher};
use serde_json::{Value, json};
use std::fmt;
use std::fmt::Write;
use std::path::Path;
use tokio_postgres::Transaction;
use toml::de::{DeTable, DeValue};

/// Why nothing was transferred.
#[derive(Debug)]
pub enum TransferError {
    /// The file is wrong.
    Mistakes(Vec<Mistake>),
    /// The database is, or is away.
    Database(String),
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TransferError::Database(what) => write!(f, "PostgreSQL: {what}"),
            TransferError::Mistakes(mistakes) => {
                let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                f.write_str(&mistakes.join("\n"))
            }
        }
    }
}

impl std::error::Error for TransferError {}

impl From<Trouble> for TransferError {
    fn from(trouble: Trouble) -> Self {
        TransferError::Database(trouble.to_string())
    }
}

/// Puts the customers, vendors, routes ... of a file in the place of those in the database. Says which version that made.
///
/// # Errors
/// All mistakes of the file; that the database is away, another than ours, or refuses.
pub fn import(file: &Path, url: &str, author: Option<&str>) -> Result<Version, TransferError> {
    let file = NodeFile::read(file).map_err(TransferError::Mistakes)?;
    let config = file.parse_alone().map_err(TransferError::Mistakes)?;
    build(&config).map_err(TransferError::Mistakes)?;
    let rows = rows_of(&file, &config).map_err(TransferError::Mistakes)?;
    let done = blocking(async {
        let mut database = Database::connect(url).await?;
        database.check().await?;
        within_load(replace(&mut database, &rows, author)).await
    });
    Ok(done.map_err(|error| TransferError::Database(error.to_string()))??)
}

/// The configuration of the database as a file.
///
/// # Errors
/// That the database is away or another than ours.
pub fn export(url: &str) -> Result<String, TransferError> {
    let read = blocking(async { Database::connect(url).await?.read().await });
    Ok(text_of(&read.map_err(|error| TransferError::Database(error.to_string()))??))
}

async fn replace(database: &mut Database, rows: &Rows, author: Option<&str>) -> Result<Version, Trouble> {
    let transaction = database.begin().await?;
    let author = author.unwrap_or_default();
    transaction.execute("select set_config('gateway.author', $1, true)", &[&author]).await?;
    transaction.execute("select set_config('gateway.comment', 'gateway import', true)", &[]).await?;
    for table in TABLES.iter().rev() {
        transaction.execute(&format!("delete from {}", table.name), &[]).await?; // members go with their row
    }
    for table in TABLES {
        insert(&transaction, table, rows.get(table.name).map(Vec::as_slice).unwrap_or_default()).await?;
    }
    let version = version(&transaction).await?;
    transaction.commit().await?;
    Ok(version)
}

async fn insert(transaction: &Transaction<'_>, table: &Table, rows: &[Row]) -> Result<(), Trouble> {
    let mut columns: Vec<&str> = table.columns().map(|setting| setting.key).collect();
    if table.has_own_key() {
        columns.push(table.key);
    }
    put(transaction, table.name, &columns, rows.iter()).await?;
    if let Some(members) = &table.members {
        let rows: Vec<Row> = rows.iter().flat_map(|row| member_rows(table, members, row)).collect();
        let columns = members.section.settings.iter().map(|setting| members.column(setting.key));
        let columns: Vec<&str> = columns.chain([members.of]).collect();
        put(transaction, members.name, &columns, rows.iter()).await?;
    }
    if table.has_own_key() {
        // Keys were given out here: the next one follows them, whatever becomes of this transaction.
        let statement = format!(
            "select setval(pg_get_serial_sequence('{name}', '{key}'), \
             greatest((select max({key}) from {name}), nextval(pg_get_serial_sequence('{name}', '{key}'))))",
            name = table.name,
            key = table.key,
        );
        transaction.execute(&statement, &[]).await?;
    }
    Ok(())
}

async fn put(
    transaction: &Transaction<'_>,
    table: &str,
    columns: &[&str],
    rows: impl Iterator<Item = &Row>,
) -> Result<(), Trouble> {
    let columns: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
    let columns = columns.join(", ");
    let rows = Value::Array(rows.cloned().map(Value::Object).collect()).to_string();
    let statement = format!(
        "insert into {table} ({columns}) select {columns} from json_populate_recordset(null::{table}, $1::text::json)"
    );
    transaction.execute(&statement, &[&rows]).await?;
    Ok(())
}

/// The members of a row as rows of their own table.
fn member_rows(table: &Table, members: &Members, row: &Row) -> Vec<Row> {
    let list = row.get(members.setting).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let of = row.get(table.key).cloned().unwrap_or_default();
    let member = |member: &Value| {
        let fields = member.as_object().into_iter().flatten();
        let renamed =
            members.section.settings.iter().map(|setting| (setting.key, members.column(setting.key)));
        let mut row: Row = fields
            .filter_map(|(key, value)| {
                let (_, column) = renamed.clone().find(|(name, _)| name == key)?;
                Some((column.to_owned(), value.clone()))
            })
            .collect();
        row.insert(members.of.into(), of.clone());
        row
    };
    list.iter().map(member).collect()
}

/// The rows that a file's sections make. The file was checked: what does not fit a setting is not here any more.
fn rows_of(file: &NodeFile, config: &Config) -> Result<Rows, Vec<Mistake>> {
    let (path, text) = file.path_and_text();
    let places = Places::of_text(path, text);
    let (root, _) = DeTable::parse_recoverable(text);
    let mut rows = Rows::new();
    let mut mistakes = Vec::new();
    for table in TABLES {
        let entries = root.get_ref().get(table.section.name).and_then(|list| list.get_ref().as_array());
        let entries = entries.into_iter().flat_map(|list| list.iter());
        let mut made = Vec::new();
        for (number, entry) in entries.enumerate() {
            let Some(fields) = entry.get_ref().as_table() else { continue };
            let mut row = row_of(table, fields);
            if table.has_own_key() {
                row.insert(table.key.into(), json!(number + 1));
            }
            // Sections and model are in one order: both are the file's.
            let credential =
                config.customers.get(number).filter(|_| table.left_out.contains(&"password_file"));
            match credential.and_then(|customer| customer.credential.as_ref()).map(hash_of).transpose() {
                Ok(Some(hash)) => drop(row.insert("password_hash".into(), json!(hash))),
                Ok(None) => {
                    if let Some(password) =
                        fields.get("password").filter(|_| table.left_out.contains(&"password"))
                    {
                        mistakes.push(refuse_password(&places.place(password.span().start)));
                    }
                }
                Err(what) => mistakes.push(Mistake {
                    place: places.place(entry.span().start),
                    what: format!("the password cannot be hashed: {what}"),
                    remedy: "choose another".into(),
                }),
            }
            made.push(row);
        }
        rows.insert(table.name.into(), made);
    }
    if mistakes.is_empty() { Ok(rows) } else { Err(mistakes) }
}

/// A section as a row, every default a value of its own: a column that is named in an insert has no other.
fn row_of(table: &Table, fields: &DeTable<'_>) -> Row {
    let mut row = object(fields);
    for setting in table.section.settings.iter().filter(|setting| matches!(setting.kind, Kind::Choice(_))) {
        if let Some(word) = fields.get(setting.key).and_then(|value| hexadecimal(value.get_ref())) {
            row.insert(setting.key.into(), json!(word));
        }
    }
    fill(&mut row, table.section.settings, table.open);
    if let Some(members) = &table.members {
        let list = row.get_mut(members.setting).and_then(Value::as_array_mut);
        for member in list.into_iter().flatten().filter_map(Value::as_object_mut) {
            fill(member, members.section.settings, &[]);
        }
    }
    row
}

/// Customers' passwords are kept as hashes alone.
fn hash_of(credential: &Credential) -> Result<String, String> {
    match credential {
        Credential::Hash(hash) => Ok(String::from_utf8_lossy(hash.expose()).into_owned()),
        Credential::Plain(password) => {
            let hash = Argon2::default().hash_password(password.expose());
            hash.map(|hash| hash.to_string()).map_err(|error| error.to_string())
        }
    }
}

/// Vendors' passwords must be sent, so that a hash will not do: they stay on the nodes.
fn refuse_password(place: &Place) -> Mistake {
    Mistake {
        place: place.clone(),
        what: "a vendor's password is not kept in the database".into(),
        remedy: "put it into a file on each node and name that with password_file, or set \
            GATEWAY__VENDOR__name__PASSWORD there"
            .into(),
    }
}

fn fill(row: &mut Row, settings: &[Setting], open: &[&str]) {
    for setting in settings.iter().filter(|setting| !open.contains(&setting.key)) {
        if let Fallback::Value(text) = setting.default {
            row.entry(setting.key).or_insert_with(|| value_of(setting.kind, text));
        }
    }
}

/// A default, as a row holds it.
fn value_of(kind: Kind, text: &str) -> Value {
    let members = || text.split(',').map(str::trim).filter(|member| !member.is_empty());
    match kind {
        Kind::Flag => json!(text == "true"),
        Kind::Whole { .. } | Kind::WholeOr { .. } => {
            text.parse::<u64>().map_or_else(|_| json!(text), |number| json!(number))
        }
        Kind::Choices(_) | Kind::ChoicesOrNone(_) | Kind::Hosts | Kind::Texts { .. } => {
            Value::Array(members().map(|member| json!(member)).collect())
        }
        Kind::Wholes { .. } => {
            Value::Array(members().map(|member| json!(member.parse::<u64>().unwrap_or_default())).collect())
        }
        Kind::Text { .. }
        | Kind::Time { .. }
        | Kind::Choice(_)
        | Kind::Listen
        | Kind::Secret { .. }
        | Kind::Path
        | Kind::Own(_) => json!(text),
    }
}

fn object(table: &DeTable<'_>) -> Row {
    table.iter().map(|(key, value)| (key.get_ref().to_string(), json_of(value.get_ref()))).collect()
}

fn json_of(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => json!(text),
        DeValue::Integer(number) => {
            u64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Null, |number| json!(number))
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, |number| json!(number)),
        DeValue::Boolean(flag) => json!(flag),
        DeValue::Datetime(time) => json!(time.to_string()),
        DeValue::Array(members) => members.iter().map(|member| json_of(member.get_ref())).collect(),
        DeValue::Table(table) => Value::Object(object(table)),
    }
}

/// A version as the text of a file; what is as its default is left out.
pub(super) fn text_of(edition: &Edition) -> String {
    let Version { number, at, author, .. } = &edition.version;
    let mut text = format!("# Version {number} of the configuration, by {author} at {at}.\n");
    for table in TABLES {
        for row in edition.rows.get(table.name).into_iter().flatten() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "\n[[{}]]", table.section.name);
            for setting in table.section.settings {
                let Some(value) = row.get(setting.key) else { continue };
                if table.open.contains(&setting.key) || !is_default(setting, value) {
                    let _ = writeln!(text, "{} = {}", setting.key, toml_of(value));
                }
            }
        }
    }
    text
}

fn is_default(setting: &Setting, value: &Value) -> bool {
    match setting.default {
        Fallback::Value(text) => value_of(setting.kind, text) == *value,
        Fallback::Absent | Fallback::Required => false,
    }
}

fn toml_of(value: &Value) -> toml::Value {
    match value {
        Value::Bool(flag) => toml::Value::Boolean(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(number) => toml::Value::Integer(number),
            None => toml::Value::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => toml::Value::String(text.clone()),
        Value::Array(members) => toml::Value::Array(members.iter().map(toml_of).collect()),
        Value::Object(fields) => {
            toml::Value::Table(fields.iter().map(|(key, value)| (key.clone(), toml_of(value))).collect())
        }
        Value::Null => toml::Value::String(String::new()),
    }
}
