//! The tables of the configuration: connecting, looking at the version, reading all rows of one version.

use crate::config::rows::{Row, Rows, TABLES, Table};
use crate::schema::{self, SchemaTrouble, whole};
use futures_util::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_postgres::{AsyncMessage, Client, GenericClient, IsolationLevel, NoTls, Transaction};

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

async fn read_table(client: &impl GenericClient, table: &Table) -> Result<Vec<Row>, Trouble> {
    let found = client.query(&select(table), &[]).await?;
    if found.len() > ROWS_MAX {
        return Err(Trouble::Refused(format!("the table {} has more than {ROWS_MAX} rows", table.name)));
    }
    let parse = |row: &tokio_postgres::Row| serde_json::from_str(row.get::<_, &str>(0));
    let rows: Result<Vec<Row>, _> = found.iter().map(parse).collect();
    rows.map_err(|error| Trouble::Refused(format!("the table {} gave no rows: {error}", table.name)))
}

/// Each row as JSON, its members within it.
fn select(table: &Table) -> String {
    let Table { name, key, .. } = table;
    let Some(members) = &table.members else {
        return format!(
            "select json_strip_nulls(to_json(t))::text from {name} t order by {key} limit {ROWS_MAX} + 1"
        );
    };
    let fields: Vec<String> = members
        .section
        .settings
        .iter()
        .map(|setting| format!("'{}', \"{}\"", setting.key, members.column(setting.key)))
        .collect();
    format!(
        "select json_strip_nulls(to_json(t))::text from (select r.*, m.{setting} from {name} r \
         left join (select {of}, json_agg(json_build_object({fields}) order by id) as {setting} from {members} group by {of}) m \
         on m.{of} = r.{key}) t order by {key} limit {ROWS_MAX} + 1",
        setting = members.setting,
        of = members.of,
        fields = fields.join(", "),
        members = members.name,
    )
}
