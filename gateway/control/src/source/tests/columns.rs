//! Settings and columns say the same: names, ranges, defaults.

use super::*;
use crate::config::rows::{TABLES, Table};
use crate::config::setting::{Fallback, Kind, Setting};
use crate::config::show_time;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio_postgres::{Client, NoTls};

/// A row of every table, all columns at their defaults where they have one.
const ROWS: &str = "
    insert into customers (system_id, password_hash) values ('acme', '$argon2id$x');
    insert into brands (name) values ('b');
    insert into campaigns (name, brand, class) values ('c', 'b', 'E');
    insert into numbers (number) values ('5');
    insert into error_maps values ('odd');
    insert into error_map_statuses (error_map, status, action) values ('odd', '0x400', 'pause');
    insert into vendors (name, addresses, system_id) values ('west', '{a:1}', 'gw01');
    insert into routes (prefix) values ('1');
    insert into route_vendors (route, vendor) select id, 'west' from routes;
    insert into mo_routes (number, keywords, customer) values ('1', '{stop}', 'acme');
    insert into networks (prefix, mcc) values ('1', '310')";

/// Statements that some settings need beside their own, since they hold together with others.
fn beside(column: &str, literal: &str) -> &'static str {
    match column {
        "deduplicate" if literal == "'tlv'" => "deduplicate_tlv = 5, ",
        "deduplicate_tlv" => "deduplicate = 'tlv', ",
        "rewrite_source_ton" | "rewrite_source_npi" => "rewrite_source = '1', ",
        "tls_name" | "tls_ca_file" => "tls = true, ",
        "reconnect_first" => "reconnect_max = '1h', ",
        "reconnect_max" => "reconnect_first = '10ms', ",
        _ => "",
    }
}

/// What must be taken, and what must be refused, as literals of SQL.
fn literals(setting: &Setting) -> (Vec<String>, Vec<String>) {
    let quoted = |text: &str| format!("'{text}'");
    let list = |members: &[&str]| format!("'{{{}}}'", members.join(","));
    let text = |bytes_max: usize| (vec![], vec![quoted(&"1".repeat(bytes_max + 1))]);
    match setting.kind {
        Kind::Whole { min, max } => {
            let below = min.checked_sub(1).map_or("-1".into(), |below| below.to_string());
            (vec![min.to_string(), max.to_string()], vec![below, (max + 1).to_string()])
        }
        Kind::Time { min, max } => {
            let nanosecond = Duration::from_nanos(1);
            let mut wrong = vec![show_time(max + nanosecond), "5".into(), "".into(), "-1s".into()];
            wrong.extend(min.checked_sub(nanosecond).map(show_time));
            (
                vec![quoted(&show_time(min)), quoted(&show_time(max))],
                wrong.iter().map(|text| quoted(text)).collect(),
            )
        }
        Kind::Choice(words) => (words.iter().map(|word| quoted(word)).collect(), vec![quoted("other")]),
        Kind::Choices(words) | Kind::ChoicesOrNone(words) => {
            let mut wrong = vec![list(&["other"]), list(&[words[0], words[0]]), list(&[words[0], "null"])];
            if matches!(setting.kind, Kind::Choices(_)) {
                wrong.push(list(&[]));
            }
            (vec![list(words), list(&words[..1])], wrong)
        }
        Kind::Hosts => {
            let taken = ["{a.example:2775}", "{a:1,\"[2001:db8::1]:2\"}"];
            (taken.map(quoted).into(), vec![list(&[]), list(&["a"]), list(&["a:0"]), list(&["null"])])
        }
        Kind::Text { bytes_max } | Kind::Secret { bytes_max } => text(bytes_max),
        Kind::Path => text(4096),
        Kind::Texts { .. } => (vec![], vec![list(&["1", "1"]), list(&["1", "null"])]),
        Kind::Flag => (vec!["true".into(), "false".into()], vec![]),
        Kind::Own(_) => (vec![quoted("\"tolerant\""), quoted("{}")], vec![quoted("5")]),
        Kind::Wholes { .. } | Kind::WholeOr { .. } | Kind::Listen => {
            panic!("{}: say here what a column of this kind takes", setting.key)
        }
    }
}

async fn connect(bench: &Bench) -> Client {
    let (client, connection) = tokio_postgres::connect(&bench.server.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn check_setting(client: &Client, table: &str, column: &str, setting: &Setting) {
    let (taken, refused) = literals(setting);
    let statement =
        |literal: &str| format!("update {table} set {}\"{column}\" = {literal}", beside(column, literal));
    for (literals, is_taken) in [(taken, true), (refused, false)] {
        for literal in literals {
            let done = client.batch_execute(&format!("begin; {}", statement(&literal))).await;
            client.batch_execute("rollback").await.unwrap();
            assert_eq!(done.is_ok(), is_taken, "{table}.{column} = {literal}: {done:?}");
        }
    }
}

/// Name, whether it may be NULL, and whether it has a default or the database gives it, of each column.
async fn columns(client: &Client, table: &str) -> Vec<(String, bool, bool)> {
    let statement = "select column_name::text, is_nullable = 'YES', column_default is not null or is_identity = 'YES' \
        from information_schema.columns where table_name = $1";
    let rows = client.query(statement, &[&table]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

async fn check_columns(
    client: &Client,
    table: &str,
    settings: Vec<(&str, &Setting)>,
    own: &[&str],
    open: &[&str],
) {
    let found = columns(client, table).await;
    let names: BTreeSet<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
    let expected = settings.iter().map(|(column, _)| *column).chain(own.iter().copied());
    assert_eq!(names, expected.collect(), "the columns of {table} and the settings of its section");
    for (column, setting) in settings {
        let (_, is_nullable, has_default) = found.iter().find(|(name, ..)| name == column).unwrap();
        let expected = match setting.default {
            _ if open.contains(&column) => (true, false),
            Fallback::Required => (false, false),
            Fallback::Absent if column == "password_hash" => (false, false), // the only proof that is kept
            Fallback::Absent => (true, false),
            Fallback::Value(_) => (false, true),
        };
        assert_eq!((*is_nullable, *has_default), expected, "{table}.{column}: NULL, default");
        check_setting(client, table, column, setting).await;
    }
}

async fn check_table(client: &Client, table: &'static Table) {
    let own: &[&str] = if table.has_own_key() { &[table.key] } else { &[] };
    let settings = table.columns().map(|setting| (setting.key, setting)).collect();
    check_columns(client, table.name, settings, own, table.open).await;
    if let Some(members) = &table.members {
        let settings = members.section.settings.iter();
        let settings = settings.map(|setting| (members.column(setting.key), setting)).collect();
        check_columns(client, members.name, settings, &["id", members.of], &[]).await;
    }
}

#[test]
fn every_setting_has_a_column_of_its_range_and_every_column_is_a_setting() {
    let Some(bench) = Bench::start() else { return };
    bench.server.ask(ROWS);
    let checked = blocking(async {
        let client = connect(&bench).await;
        for table in TABLES {
            check_table(&client, table).await;
            let triggers =
                "select count(*) from pg_trigger where tgrelid = $1::text::regclass and not tgisinternal";
            let counted: i64 = client.query_one(triggers, &[&table.name]).await.unwrap().get(0);
            assert_eq!(counted, 1, "a change of {} makes a version", table.name);
        }
    });
    checked.unwrap();
}

/// A row of defaults alone is what a section without them is.
#[test]
fn defaults_of_columns_are_those_of_the_settings() {
    let Some(bench) = Bench::start() else { return };
    bench.server.ask(ROWS);
    let read = blocking(async { Database::connect(&bench.server.url()).await.unwrap().read().await });
    let edition = read.unwrap().unwrap();
    let text = export_text(&edition);
    let body: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(
        body,
        [
            "[[customer]]",
            "system_id = \"acme\"",
            "password_hash = \"$argon2id$x\"",
            "[[brand]]",
            "name = \"b\"",
            "[[campaign]]",
            "name = \"c\"",
            "brand = \"b\"",
            "class = \"E\"",
            "[[number]]",
            "number = \"5\"",
            "[[error_map]]",
            "name = \"odd\"",
            "statuses = [{ action = \"pause\", status = \"0x400\" }]",
            "[[vendor]]",
            "name = \"west\"",
            "addresses = [\"a:1\"]",
            "system_id = \"gw01\"",
            "[[route]]",
            "prefix = \"1\"",
            "vendors = [{ name = \"west\", weight = 1 }]",
            "[[mo_route]]",
            "number = \"1\"",
            "keywords = [\"stop\"]",
            "customer = \"acme\"",
            "[[network]]",
            "prefix = \"1\"",
            "mcc = \"310\"",
        ],
        "what equals its default is left out of an export"
    );
}

#[test]
fn what_contradicts_is_refused_by_the_database() {
    let Some(bench) = Bench::start() else { return };
    bench.server.ask(ROWS);
    let refused = blocking(async {
        let client = connect(&bench).await;
        for statement in [
            "insert into customers (system_id, password_hash) values ('acme', '$argon2id$x')",
            "insert into customers (system_id, password_hash) values ('', '$argon2id$x')",
            "insert into customers (system_id, password_hash) values ('b', 'secret')",
            "update customers set deduplicate = 'tlv'",
            "update customers set deduplicate_tlv = 5",
            "update customers set numbers = '{abc}'",
            "update vendors set tls_name = 'a'",
            "update vendors set reconnect_first = '2m'",
            "delete from vendors",
            "delete from customers",
            "insert into routes (prefix, customer) values ('1', 'nobody')",
            "insert into routes (prefix) values ('1a')",
            "insert into route_vendors (route, vendor) values (1, 'nobody')",
            "insert into route_vendors (route, vendor) values (1, 'west')",
            "insert into route_vendors (route, vendor) values (77, 'west')",
            "insert into mo_routes (number, keywords, customer) values ('1', '{}', 'acme')",
            "insert into mo_routes (number, keywords, customer) values ('1', '{x}', 'nobody')",
        ] {
            assert!(client.batch_execute(statement).await.is_err(), "{statement}");
        }
    });
    refused.unwrap();
    assert_eq!(bench.server.ask("select count(*) from config_versions"), "1", "nothing was changed");
    bench.server.ask("update vendors set name = 'east'; delete from routes");
    assert_eq!(bench.server.ask("select count(*) from route_vendors"), "0", "they go with their route");
}

/// What `export` would print.
fn export_text(edition: &Edition) -> String {
    super::super::transfer::text_of(edition)
}
