//! The configuration in PostgreSQL, with the real program and a real database: a vendor INSERTed takes traffic within a
//! second, a wrong row changes nothing, and kill -9 of the database stops nothing.

mod support;

use postgres_server::Postgres;
use smpp::field::CommandStatus;
use smpp::pdu::BindKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use support::bulk::Bulk;
use support::client::Client;
use support::{Configuration, Gateway, load, reconciled, sites, wait_until};
use tempfile::TempDir;

/// Customers, a vendor and a route, as `gateway import` takes them.
fn first(vendor: std::net::SocketAddr) -> String {
    format!(
        r#"
[[customer]]
system_id = "bulk"
password = "secret"
window = 500
[[customer]]
system_id = "watch"
password = "secret"
[[vendor]]
name = "Chicago"
addresses = ["{vendor}"]
system_id = "gw01"
password_file = "vendor.password"
binds = 2
window = 200
reconnect_first = "50ms"
reconnect_max = "1s"
[[route]]
prefix = "1"
vendors = [{{ name = "Chicago" }}]
"#
    )
}

/// A vendor and its route, as an operator would add them: one statement.
fn insert(name: &str, address: std::net::SocketAddr, prefix: &str) -> String {
    format!(
        "with vendor as (insert into vendors (name, addresses, system_id, password_file, reconnect_first, reconnect_max)
                         values ('{name}', '{{{address}}}', 'gw01', 'vendor.password', '50ms', '1s') returning name),
              route as (insert into routes (prefix) values ('{prefix}') returning id)
         insert into route_vendors (route, vendor) select route.id, vendor.name from route, vendor"
    )
}

struct Bench {
    server: Postgres,
    directory: TempDir,
}

impl Bench {
    /// A database with a configuration for this vendor; nothing where PostgreSQL is not installed.
    fn start(vendor: std::net::SocketAddr) -> Option<Bench> {
        let bench =
            Bench { server: Postgres::start()?, directory: tempfile::tempdir().expect("a directory") };
        bench.write("vendor.password", "secret\n");
        let file = bench.write("first.toml", &first(vendor));
        let node = bench.node(1);
        let node = node.write(bench.directory.path());
        assert!(told(&["migrate", "--config", text(&node)]).contains("applied V2__configuration"));
        let imported = told(&["import", text(&file), "--config", text(&node), "--author", "ann"]);
        assert_eq!(imported.trim(), "version 1 by ann is in the database");
        Some(bench)
    }

    fn node(&self, shards: u32) -> Configuration {
        let url = self.server.url();
        Configuration::new("auto", shards)
            .with(&format!("[source]\nkind = \"postgres\"\npostgres_url = \"{url}\""))
    }

    fn gateway(&self, shards: u32) -> Gateway {
        let gateway = Gateway::start(self.directory.path(), &self.node(shards));
        gateway.wait_for_vendor_binds(2.0);
        gateway
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).expect("a writable directory");
        path
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn gateway(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gateway")).args(arguments).output().expect("the program runs")
}

/// What a command prints that must succeed.
fn told(arguments: &[&str]) -> String {
    let output = gateway(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn config(gateway: &Gateway) -> serde_json::Value {
    let (status, body) = gateway.get("/api/v1/config");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

/// Submits until a vendor takes it; how long that took.
fn taken_after(client: &mut Client, destination: &str, since: Instant) -> Duration {
    loop {
        let answer = client.submit_and_hear(destination, "hello", false);
        if answer.status() == CommandStatus::ESME_ROK {
            return since.elapsed();
        }
        assert!(since.elapsed() < support::PATIENCE, "{destination} is not taken");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_inserted_vendor_takes_traffic_within_a_second_and_a_wrong_row_changes_nothing() {
    let sim_directory = tempfile::tempdir().expect("a directory");
    let sim = sites(sim_directory.path(), &["Chicago", "Dallas", "Boston", "Denver"], "fast", "");
    let address = |site| sim.address(site).expect("a site");
    let Some(bench) = Bench::start(address("Chicago")) else { return };
    let node = bench.gateway(2);
    let mut client = Client::bound(node.smpp, BindKind::Transceiver, "watch");
    let mut times = Vec::new();
    for (site, prefix) in [("Dallas", "2"), ("Boston", "3"), ("Denver", "4")] {
        let destination = format!("{prefix}2025550123");
        let answer = client.submit_and_hear(&destination, "hello", false);
        assert_ne!(answer.status(), CommandStatus::ESME_ROK, "nobody takes it yet");
        let began = Instant::now();
        bench.server.ask(&insert(site, address(site), prefix));
        times.push(taken_after(&mut client, &destination, began));
    }
    println!("from INSERT to the first message taken: {times:?}");
    // The machine may be busy with other tests: the best of three is what the gateway needs.
    assert!(times.iter().min().is_some_and(|best| *best < Duration::from_secs(1)), "{times:?}");
    let good = config(&node);
    assert_eq!(
        (&good["version"], &good["rejected"], &good["origin"]),
        (&4.into(), &0.into(), &"postgres".into())
    );
    // Two wrong rows: one report, nothing changes.
    bench.server.ask(
        "begin; set local gateway.author = 'bob'; insert into routes (prefix) values ('5');
         update vendors set password_file = 'missing' where name = 'Dallas'; commit",
    );
    wait_until("the version is refused", || config(&node)["rejected"] == 1);
    let refused = config(&node);
    assert_eq!((&refused["version"], &refused["rejection"]["version"]), (&4.into(), &5.into()));
    assert_eq!(refused["rejection"]["author"], "bob");
    let mistakes = refused["rejection"]["mistakes"].as_array().expect("a list");
    let places: Vec<_> = mistakes.iter().map(|mistake| mistake["place"].as_str().expect("text")).collect();
    assert_eq!(places, ["vendors Dallas", "routes 5"]);
    assert!(node.log().contains("password_file \"missing\" cannot be read"), "{}", node.log());
    assert_eq!(node.metric("smppgw_config_rejected_version", &[]), 5.0);
    assert_eq!(client.submit_and_hear("22025550123", "hello", false).status(), CommandStatus::ESME_ROK);
    // Mended, and a vendor switched off: its route goes elsewhere or nowhere, at once.
    bench.server.ask(
        "begin; delete from routes where prefix = '5';
         update vendors set password_file = 'vendor.password', enabled = false where name = 'Dallas'; commit",
    );
    wait_until("the version is in force", || config(&node)["version"] == 6);
    wait_until("nobody takes it any more", || {
        client.submit_and_hear("22025550123", "hello", false).status() != CommandStatus::ESME_ROK
    });
    assert!(config(&node)["rejection"].is_null());
    sim.stop().expect("it ends");
}

const LOAD: Bulk<'static> =
    Bulk { account: "binds = { trx = 2 }", window: 100, rate: 500, seconds: 6, quiet_seconds: 20 };

#[test]
fn kill_9_of_the_database_stops_no_message_and_changes_come_again_after_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let sim = sites(directory.path(), &["Chicago", "Dallas"], "fast", "");
    let address = |site| sim.address(site).expect("a site");
    let Some(mut bench) = Bench::start(address("Chicago")) else { return };
    let mut node = bench.gateway(2);
    let mut client = Client::bound(node.smpp, BindKind::Transceiver, "watch");
    let (smpp, path) = (node.smpp, directory.path());
    let mut outcome = std::thread::scope(|scope| {
        let load = scope.spawn(move || load(path, smpp, &LOAD.scenario()));
        let sends = || node.metric("smppgw_vendor_sends_total", &["Chicago"]);
        wait_until("the load runs", || sends() > 500.0);
        bench.server.kill();
        wait_until("it is noticed", || node.metric("smppgw_config_source_away", &[]) == 1.0);
        let before = sends();
        wait_until("messages flow on", || sends() > before + 500.0);
        assert_eq!(config(&node)["version"], 1, "what is in force stays");
        bench.server.start_again();
        wait_until("it is back", || node.metric("smppgw_config_source_away", &[]) == 0.0);
        bench.server.ask(&insert("Dallas", address("Dallas"), "2"));
        taken_after(&mut client, "22025550123", Instant::now());
        load.join().expect("the load ends")
    });
    // The next start has no database: the last good version stands in, with the vendor that came last.
    bench.server.kill();
    assert_eq!(node.terminate(), Some(0), "{}", node.log());
    let again = Gateway::start(bench.directory.path(), &bench.node(2));
    again.wait_for_vendor_binds(3.0);
    assert_eq!(
        (again.metric("smppgw_config_last_good", &[]), &config(&again)["origin"]),
        (1.0, &"last_good".into())
    );
    let mut client = Client::bound(again.smpp, BindKind::Transceiver, "watch");
    assert_eq!(client.submit_and_hear("22025550123", "hello", false).status(), CommandStatus::ESME_ROK);
    again.kill();
    let result = reconciled(directory.path(), sim, &mut outcome);
    assert_eq!((result.lost, result.misrouted()), (0, 0), "{}", result.text());
}

#[test]
fn commands_say_what_is_missing() {
    let sim_directory = tempfile::tempdir().expect("a directory");
    let sim = sites(sim_directory.path(), &["Chicago"], "fast", "");
    let Some(mut bench) = Bench::start(sim.address("Chicago").expect("a site")) else { return };
    let url = bench.server.url();
    let checked = told(&["check-config", text(&bench.node(1).write(bench.directory.path()))]);
    assert!(
        checked
            .contains("ok: 2 customers, 1 vendors with 2 binds, 1 routes\nversion 1 by ann, from postgres"),
        "{checked}"
    );
    let exported = told(&["export", "--postgres-url", &url]);
    assert!(exported.starts_with("# Version 1 of the configuration, by ann at "), "{exported}");
    assert!(
        exported.contains("password_hash = \"$argon2id$") && !exported.contains("password = "),
        "{exported}"
    );
    let file = bench.write("again.toml", &exported);
    assert!(told(&["import", text(&file), "--postgres-url", &url]).contains("version 2 by gateway"));
    let refused = |arguments: &[&str], code: i32, expected: &str| {
        let output = gateway(arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.contains(expected), "{told}");
    };
    let wrong = bench.write("wrong.toml", "[[route]]\nprefix = \"\"\nvendors = [{ name = \"nobody\" }]");
    refused(
        &["import", text(&wrong), "--postgres-url", &url],
        1,
        "wrong.toml:3:21: route: no vendor \"nobody\"",
    );
    let node = bench.node(1).write(bench.directory.path());
    let _ = std::fs::remove_dir_all(bench.directory.path().join("state")); // what check-config kept
    bench.server.ask("insert into routes (prefix) values ('9')");
    refused(&["run", text(&node)], 2, "route: vendors is missing");
    bench.server.ask("insert into refinery_schema_history (version, name) values (99, 'later')");
    refused(&["run", text(&node)], 1, "the schema has version 99, this program knows");
    bench.server.kill();
    refused(&["run", text(&node)], 1, "there is no last good configuration in");
    refused(&["export", "--postgres-url", &url], 1, "PostgreSQL: ");
    sim.stop().expect("it ends");
}
