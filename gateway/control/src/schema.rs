//! The schema of the database: numbered SQL files, applied once each, in order, by `gateway migrate`. The program itself
//! never changes a schema when it runs.

use refinery::{Migration, Runner};
use std::fmt;
use tokio_postgres::{GenericClient, NoTls};

/// Version and text of every migration. A file is never changed once it was published.
const MIGRATIONS: [(i32, &str, &str); 10] = [
    (1, "V1__cdr", include_str!("../../../migrations/0001_cdr.sql")),
    (2, "V2__configuration", include_str!("../../../migrations/0002_configuration.sql")),
    (3, "V3__limits", include_str!("../../../migrations/0003_limits.sql")),
    (4, "V4__dialects", include_str!("../../../migrations/0004_dialects.sql")),
    (5, "V5__receipts", include_str!("../../../migrations/0005_receipts.sql")),
    (6, "V6__receipt_addresses", include_str!("../../../migrations/0006_receipt_addresses.sql")),
    (7, "V7__receipt_forms", include_str!("../../../migrations/0007_receipt_forms.sql")),
    (8, "V8__vendor_accounts", include_str!("../../../migrations/0008_vendor_accounts.sql")),
    (9, "V9__vendor_receivers", include_str!("../../../migrations/0009_vendor_receivers.sql")),
    (10, "V10__versions", include_str!("../../../migrations/0010_versions.sql")),
];
/// The newest version.
pub(crate) const VERSION: i32 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// Why the schema could not be brought up to date.
#[derive(Debug)]
pub struct MigrateError(String);

impl fmt::Display for MigrateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for MigrateError {}

/// Applies what is missing; says what was applied.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub fn migrate(url: &str) -> Result<Vec<String>, MigrateError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| MigrateError(error.to_string()))?;
    runtime.block_on(async {
        let (mut client, connection) =
            tokio_postgres::connect(url, NoTls).await.map_err(|error| MigrateError(whole(&error)))?;
        tokio::spawn(connection);
        let migrations: Result<Vec<Migration>, _> =
            MIGRATIONS.iter().map(|(_, name, sql)| Migration::unapplied(name, sql)).collect();
        let migrations = migrations.map_err(|error| MigrateError(error.to_string()))?;
        let report = Runner::new(&migrations).run_async(&mut client).await;
        let report = report.map_err(|error| MigrateError(whole(&error)))?;
        Ok(report.applied_migrations().iter().map(ToString::to_string).collect())
    })
}

/// Why a database cannot be used.
#[derive(Debug)]
pub(crate) enum SchemaTrouble {
    /// It did not answer the question.
    Away(tokio_postgres::Error),
    /// It answered, and its schema is not ours.
    Wrong(String),
}

impl fmt::Display for SchemaTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SchemaTrouble::Away(error) => f.write_str(&whole(error)),
            SchemaTrouble::Wrong(what) => f.write_str(what),
        }
    }
}

impl From<tokio_postgres::Error> for SchemaTrouble {
    fn from(error: tokio_postgres::Error) -> Self {
        SchemaTrouble::Away(error)
    }
}

/// Whether the schema is the one that this program knows; `table` is the one that the caller needs.
pub(crate) async fn check(client: &impl GenericClient, table: &str) -> Result<(), SchemaTrouble> {
    const APPLIED: &str = "select max(version) from refinery_schema_history";
    let there = "select to_regclass('refinery_schema_history') is not null, to_regclass($1) is not null";
    let row = client.query_one(there, &[&table]).await?;
    let (has_history, has_table): (bool, bool) = (row.get(0), row.get(1));
    let found: Option<i32> = match has_history {
        true => client.query_one(APPLIED, &[]).await?.get(0),
        false => None,
    };
    let what = match found {
        Some(VERSION) if has_table => return Ok(()),
        Some(found) if found > VERSION => {
            format!("the schema has version {found}, this program knows {VERSION}: run a newer gateway")
        }
        Some(found) if found < VERSION => {
            format!(
                "the schema has version {found}, this program needs {VERSION}: run {COMMAND}{NOTHING_LOST}"
            )
        }
        _ => format!("the table {table} is missing: run {COMMAND}{NOTHING_LOST}"),
    };
    Err(SchemaTrouble::Wrong(what))
}

const COMMAND: &str = "`gateway migrate --config FILE`";
const NOTHING_LOST: &str = " (it adds, it removes nothing)";

/// An error with all its causes: the database's own word is the last one.
pub(crate) fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
