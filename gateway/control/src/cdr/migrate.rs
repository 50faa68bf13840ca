//! The schema of the database: numbered SQL files, applied once each, in order, by `gateway migrate`. The program itself
//! never changes a schema when it runs.

use refinery::{Migration, Runner};
use std::fmt;
use tokio_postgres::{Client, NoTls};

/// Version and text of every migration. A file is never changed once it was published.
const MIGRATIONS: [(i32, &str, &str); 1] = [(1, "V1__cdr", include_str!("../../migrations/0001_cdr.sql"))];
/// The newest version.
pub(super) const VERSION: i32 = MIGRATIONS[MIGRATIONS.len() - 1].0;

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

/// Whether the schema is the one that this program knows.
pub(super) async fn check(client: &Client) -> Result<(), String> {
    const APPLIED: &str = "select max(version) from refinery_schema_history";
    let there =
        "select to_regclass('refinery_schema_history') is not null and to_regclass('cdr') is not null";
    let row = client.query_one(there, &[]).await.map_err(|error| whole(&error))?;
    if !row.get::<_, bool>(0) {
        return Err(format!("the table cdr is missing: run `gateway migrate --config FILE`{NOTHING_LOST}"));
    }
    let row = client.query_one(APPLIED, &[]).await.map_err(|error| whole(&error))?;
    match row.try_get::<_, Option<i32>>(0).ok().flatten() {
        Some(VERSION) => Ok(()),
        Some(found) if found < VERSION => Err(format!(
            "the schema has version {found}, this program needs {VERSION}: run `gateway migrate --config FILE`{NOTHING_LOST}"
        )),
        found => Err(format!(
            "the schema has version {}, this program knows {VERSION}: run a newer gateway",
            found.map_or("none".into(), |found| found.to_string())
        )),
    }
}

const NOTHING_LOST: &str = " (it adds, it removes nothing)";

/// An error with all its causes: the database's own word is the last one.
pub(super) fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
