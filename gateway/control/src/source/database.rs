//! The tables of the configuration: connecting, looking at the version, reading all rows of one version.

use crate::config::rows::{Members, Row, Rows, TABLES, Table, shown};
use crate::config::setting::Kind;
use crate::schema::{self, SchemaTrouble, whole};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_postgres::{AsyncMessage, Client, GenericClient, IsolationLevel, NoTls, RowStream, Transaction};

/// Longest time for a connection and for a look at the version: a server that is slower is taken for gone.
const LOOK_MAX: Duration = Duration::from_secs(5);
/// Longest time for reading or writing all rows.
const LOAD_MAX: Duration = Duration::from_secs(60);
/// The server's own bound, a little above ours: what we do not wait for any more shall not go on there.
const SETTINGS: &str = "set statement_timeout = '65s'; set idle_in_transaction_session_timeout = '65s'; \
    set lock_timeout = '60s'; set timezone = 'UTC'";
/// The channel on which a change is hinted at.
const LISTEN: &str = "listen gateway_config";
/// The newest version: what the tables hold is of it.
const NEWEST: &str = "select version, to_char(at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), author, comment \
    from config_versions order by version desc limit 1";

/// Rows of one table: more than any plan of ours needs, and at some hundred bytes each no more memory than a node has.
const ROWS_MAX: usize = 2_000_000;

/// One version of the configuration as it was read, unjudged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Edition {
    /// Which, and whose.
    pub(crate) version: Version,
    /// All rows.
    pub(crate) rows: Rows,
}

/// A version: when it was made, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Grows with every change.
    pub number: u64,
    /// When its change began, RFC 3339.
    pub at: String,
    /// Who made it.
    pub author: String,
    /// What its author says about it.
    pub comment: Option<String>,
}

impl Version {
    /// Of a node's file, which knows neither author nor time.
    pub(crate) fn of_file(number: u64) -> Version {
        Version { number, ..Version::default() }
    }
}

/// Why nothing was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The database cannot be reached, or does not answer in time.
    Away(String),
    /// It is there and is not the one that we know, or refuses us.
    Refused(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Away(what) | Trouble::Refused(what) => f.write_str(what),
        }
    }
}

impl From<tokio_postgres::Error> for Trouble {
    fn from(error: tokio_postgres::Error) -> Self {
        // Classes of SQLSTATE that another try does not mend: no such database (3D), wrong password (28), no right to read
        // (42). Anything else, such as a server that is starting, passes.
        let code = error.code().map(|code| code.code());
        let is_final =
            code.is_some_and(|code| ["28", "3D", "42"].iter().any(|class| code.starts_with(class)));
        let what = whole(&error);
        if is_final { Trouble::Refused(what) } else { Trouble::Away(what) }
    }
}

impl From<SchemaTrouble> for Trouble {
    fn from(trouble: SchemaTrouble) -> Self {
        match trouble {
            SchemaTrouble::Away(error) => error.into(),
            SchemaTrouble::Wrong(what) => Trouble::Refused(what),
        }
    }
}

/// A connection, and the hints that come over it.
pub(crate) struct Database {
    client: Client,
    hint: Arc<Notify>,
}

impl Database {
    /// Connects. Must be called within a tokio runtime, which carries the connection.
    pub(crate) async fn connect(url: &str) -> Result<Database, Trouble> {
        within(LOOK_MAX, async {
            let mut config: tokio_postgres::Config =
                url.parse().map_err(|_| Trouble::Refused("no connection string".into()))?;
            if config.get_connect_timeout().is_none() {
                config.connect_timeout(LOOK_MAX);
            }
            if config.get_application_name().is_none() {
                config.application_name("gateway");
            }
            let (client, mut connection) = config.connect(NoTls).await?;
            let hint = Arc::new(Notify::new());
            let hinted = hint.clone();
            // Ends with the client; errors come out of the client's own calls.
            tokio::spawn(async move {
                let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
                while let Some(Ok(message)) = messages.next().await {
                    if let AsyncMessage::Notification(_) = message {
                        hinted.notify_one();
                    }
                }
                hinted.notify_one(); // whoever waits looks, and finds that it is gone
            });
            client.batch_execute(SETTINGS).await?;
            Ok(Database { client, hint })
        })
        .await
    }

    /// Whether the schema is ours.
    pub(crate) async fn check(&self) -> Result<(), Trouble> {
        within(LOOK_MAX, check(&self.client)).await
    }

    /// Asks for hints. A pooler may not carry them: then the looks alone find what is new.
    pub(crate) async fn listen(&self) -> Result<(), Trouble> {
        within(LOOK_MAX, async { Ok(self.client.batch_execute(LISTEN).await?) }).await
    }

    /// Until somebody hints at a change, or the connection ends.
    pub(crate) async fn hinted(&self) {
        self.hint.notified().await;
    }

    /// The newest version.
    pub(crate) async fn version(&self) -> Result<Version, Trouble> {
        within(LOOK_MAX, version(&self.client)).await
    }

    /// All rows of the newest version, in one transaction.
    pub(crate) async fn read(&mut self) -> Result<Edition, Trouble> {
        within(LOAD_MAX, async {
            let transaction = self.client.build_transaction();
            let transaction = transaction.isolation_level(IsolationLevel::RepeatableRead).read_only(true);
            let transaction = transaction.start().await?;
            check(&transaction).await?;
            let version = version(&transaction).await?;
            let mut rows = Rows::new();
            for table in TABLES {
                rows.insert(table.name.into(), read_table(&transaction, table).await?);
            }
            transaction.commit().await?;
            Ok(Edition { version, rows })
        })
        .await
    }

    /// Starts a transaction that writes.
    pub(crate) async fn begin(&mut self) -> Result<Transaction<'_>, Trouble> {
        within(LOOK_MAX, async { Ok(self.client.transaction().await?) }).await
    }
}

/// Bounds work in time.
pub(crate) async fn within<T>(
    longest: Duration,
    work: impl Future<Output = Result<T, Trouble>>,
) -> Result<T, Trouble> {
    let late = |_| Trouble::Away(format!("PostgreSQL did not answer within {longest:?}"));
    tokio::time::timeout(longest, work).await.map_err(late)?
}

/// Bounds work on all rows.
pub(crate) async fn within_load<T>(work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    within(LOAD_MAX, work).await
}

async fn check(client: &impl GenericClient) -> Result<(), Trouble> {
    Ok(schema::check(client, "config_versions").await?)
}

pub(crate) async fn version(client: &impl GenericClient) -> Result<Version, Trouble> {
    let Some(row) = client.query_opt(NEWEST, &[]).await? else {
        return Ok(Version::default()); // nothing was ever written
    };
    Ok(Version {
        number: row.get::<_, i64>(0).unsigned_abs(), // identities begin with 1
        at: row.get(1),
        author: row.get(2),
        comment: row.get(3),
    })
}

/// The rows of a table as they come, with their members in them.
async fn read_table(client: &impl GenericClient, table: &Table) -> Result<Vec<Row>, Trouble> {
    let mut members = match &table.members {
        Some(members) => read_members(client, members).await?,
        None => HashMap::new(),
    };
    let own_key = table.has_own_key().then_some((table.key, &Kind::Whole { min: 0, max: u64::MAX }));
    let columns: Vec<_> =
        table.columns().map(|setting| (setting.key, &setting.kind)).chain(own_key).collect();
    let order = format!("\"{}\"", table.key);
    let mut rows = Vec::new();
    let mut found = pin!(ask(client, table.name, None, &columns, &order).await?);
    while let Some(one) = found.try_next().await? {
        let mut row = row_of(&one, 0, table.name, &columns)?;
        if let Some(of) = &table.members
            && let Some(list) = row.get(table.key).and_then(|key| members.remove(&shown(key)))
        {
            row.insert(of.setting.into(), Value::Array(list));
        }
        rows.push(row);
        bounded(table.name, rows.len())?;
    }
    Ok(rows)
}

/// The members of all rows, by the key of their row.
async fn read_members(
    client: &impl GenericClient,
    members: &Members,
) -> Result<HashMap<String, Vec<Value>>, Trouble> {
    let settings = members.section.settings.iter();
    let columns: Vec<_> =
        settings.clone().map(|setting| (members.column(setting.key), &setting.kind)).collect();
    let keys: Vec<_> = settings.map(|setting| (setting.key, &setting.kind)).collect();
    let order = format!("\"{}\", id", members.of);
    let mut lists: HashMap<String, Vec<Value>> = HashMap::new();
    let mut found = pin!(ask(client, members.name, Some(members.of), &columns, &order).await?);
    let mut count = 0;
    while let Some(one) = found.try_next().await? {
        count += 1;
        bounded(members.name, count)?;
        let member = Value::Object(row_of(&one, 1, members.name, &keys)?);
        let of: &str = one.try_get(0)?;
        match lists.get_mut(of) {
            Some(list) => list.push(member),
            None => drop(lists.insert(of.into(), vec![member])),
        }
    }
    Ok(lists)
}

/// Refuses a table that is larger than a node has memory for.
fn bounded(table: &str, count: usize) -> Result<(), Trouble> {
    if count > ROWS_MAX {
        return Err(Trouble::Refused(format!("the table {table} has more than {ROWS_MAX} rows")));
    }
    Ok(())
}

/// Asks for columns as text, which costs the server a fourth of what whole rows as JSON do; lists and what has no type
/// of its own come as JSON. `first` comes before them.
async fn ask(
    client: &impl GenericClient,
    table: &str,
    first: Option<&str>,
    columns: &[(&str, &Kind)],
    order: &str,
) -> Result<RowStream, Trouble> {
    let expression = |(column, kind): &(&str, &Kind)| match is_json(kind) {
        true => format!("to_json(\"{column}\")::text"),
        false => format!("\"{column}\"::text"),
    };
    let first = first.map(|column| format!("\"{column}\"::text"));
    let expressions: Vec<String> = first.into_iter().chain(columns.iter().map(expression)).collect();
    let statement =
        format!("select {} from {table} order by {order} limit {ROWS_MAX} + 1", expressions.join(", "));
    Ok(client.query_raw(&statement, std::iter::empty::<&str>()).await?)
}

/// Whether a column of this kind comes as JSON.
fn is_json(kind: &Kind) -> bool {
    match kind {
        Kind::Choices(_)
        | Kind::ChoicesOrNone(_)
        | Kind::Hosts
        | Kind::Texts { .. }
        | Kind::Wholes { .. }
        | Kind::Own(_) => true,
        Kind::Text { .. }
        | Kind::Flag
        | Kind::Whole { .. }
        | Kind::WholeOr { .. }
        | Kind::Time { .. }
        | Kind::Choice(_)
        | Kind::Listen
        | Kind::Secret { .. }
        | Kind::Path => false,
    }
}

/// A row without its NULLs; its columns begin at `from`.
fn row_of(
    row: &tokio_postgres::Row,
    from: usize,
    table: &str,
    columns: &[(&'static str, &Kind)],
) -> Result<Row, Trouble> {
    let mut found = Row::new();
    for (at, (key, kind)) in columns.iter().enumerate() {
        let Some(text) = row.try_get::<_, Option<&str>>(from + at)? else { continue };
        let value = match kind {
            kind if is_json(kind) => serde_json::from_str(text).map_err(|error| {
                Trouble::Refused(format!("the column {key} of the table {table} gave no value: {error}"))
            })?,
            Kind::Flag => Value::Bool(text == "true"),
            // What is no whole number is told by the reader.
            Kind::Whole { .. } | Kind::WholeOr { .. } => {
                text.parse::<u64>().map_or_else(|_| Value::from(text), Value::from)
            }
            _ => Value::from(text),
        };
        found.insert((*key).into(), value);
    }
    Ok(found)
}
