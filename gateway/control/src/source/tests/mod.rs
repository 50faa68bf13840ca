//! With a real PostgreSQL: what is loaded, told, kept and refused.

mod columns;
mod live;
mod speed;
mod transfer;

use super::*;
use postgres_server::Postgres;
use std::path::PathBuf;
use tempfile::TempDir;

/// Of a password that nobody has.
const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdA$U8Q8cX5Lr6rrmCwbGyqDpFhzPCWWnqXhHtBSgR8kJGk";

/// A database with our schema, and the directory of a node that is configured by it.
struct Bench {
    server: Postgres,
    node: TempDir,
}

impl Bench {
    /// Nothing where PostgreSQL is not installed.
    fn start() -> Option<Bench> {
        let server = Postgres::start()?;
        crate::migrate(&server.url()).unwrap();
        let node = tempfile::tempdir().unwrap();
        let bench = Bench { server, node };
        bench.write_file("");
        std::fs::write(bench.node.path().join("secret"), "secret\n").unwrap();
        Some(bench)
    }

    /// The node's file, with these lines at its end.
    fn write_file(&self, rest: &str) {
        let text = format!(
            "[node]\nid = 1\nstate_directory = \"state\"\n\
             [source]\nkind = \"postgres\"\npostgres_url = \"{}\"\npoll = \"100ms\"\n{rest}\n",
            self.server.url()
        );
        std::fs::write(self.file(), text).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.node.path().join("gateway.toml")
    }

    fn load(&self) -> Result<Loaded, LoadError> {
        load(&self.file())
    }

    /// Adds a customer, a vendor and a route between them, as one version.
    fn fill(&self) {
        self.server.ask(&format!(
            "begin; insert into customers (system_id, password_hash, rate, numbers) values ('acme', '{HASH}', 1000, '{{12025550100}}');
             insert into vendors (name, addresses, system_id, password_file, dialect)
                 values ('west', '{{127.0.0.1:3611}}', 'gw01', 'secret', '{{\"tlv_cut\": true}}');
             with made as (insert into routes (prefix, customer) values ('1', 'acme') returning id)
                 insert into route_vendors (route, vendor, weight) select id, 'west', 50 from made;
             insert into mo_routes (number, keywords, customer) values ('12025550100', '{{stop}}', 'acme'); commit"
        ));
    }
}

fn told(loaded: Result<Loaded, LoadError>) -> String {
    loaded.map(drop).expect_err("it is wrong").to_string()
}

#[test]
fn rows_are_read_as_sections_are() {
    let Some(bench) = Bench::start() else { return };
    assert_eq!(bench.load().unwrap().config.version, 0, "nothing was ever written");
    bench.fill();
    let Loaded { config, built, standing, live } = bench.load().unwrap();
    assert_eq!(
        (config.version, config.customers.len(), config.mo_routes.len()),
        (1, 1, 1),
        "one transaction"
    );
    assert_eq!(config.customers[0].burst, 1000, "left out: one second's worth");
    assert!(config.vendors[0].dialect.tlv_cut && !config.vendors[0].dialect.response_tlvs);
    assert_eq!(config.vendors[0].password.as_ref().unwrap().expose(), b"secret", "beside the node's file");
    assert_eq!((config.routes[0].vendors[0].weight, config.routes[0].priority), (50, 10));
    assert_eq!(config.routes[0].place.to_string(), "routes 1");
    assert_eq!(built.plan.snapshot.version(), 1);
    let standing = standing.load();
    assert_eq!((standing.version.number, standing.origin), (1, Origin::Postgres));
    assert_eq!(standing.version.author, "gateway", "the database's user");
    assert!(live.is_some() && bench.node.path().join("state/configuration.json").exists());
    bench
        .server
        .ask("set gateway.author = 'ann'; set gateway.comment = 'more'; update customers set rate = 7");
    let standing = bench.load().unwrap().standing.load_full();
    assert_eq!((standing.version.number, standing.version.author.as_str()), (2, "ann"));
    assert_eq!(standing.version.comment.as_deref(), Some("more"));
}

#[test]
fn all_mistakes_are_in_one_report_with_their_rows() {
    let Some(bench) = Bench::start() else { return };
    bench.fill();
    bench.server.ask(
        "begin; insert into customers (system_id, password_hash, numbers) values ('late', '$argon2id$nonsense', '{+12025550100}');
         insert into vendors (name, addresses, system_id) values ('bare', '{a.invalid:1}', 'gw01');
         insert into vendors (name, addresses, system_id, password_file, dialect)
            values ('odd', '{127.0.0.1:1}', 'gw01', 'missing', '{\"tlv_cutt\": true}');
         insert into routes (prefix) values ('44'); commit",
    );
    let text = told(bench.load());
    let expected = [
        "customers late: customer \"late\": password_hash is none that we can check; write an Argon2id hash in PHC form, such as the command argon2 prints with -e",
        "vendors bare: vendor \"bare\": there is no password; write password or password_file, or set GATEWAY__VENDOR__bare__PASSWORD",
        "vendors odd: vendor \"odd\": password_file \"missing\" cannot be read: No such file or directory (os error 2); correct the path or its permissions",
        "vendors odd: vendor \"odd\": unknown dialect field \"tlv_cutt\"; did you mean \"tlv_cut\"?",
        "routes 2: route: vendors is missing; give it (list of `{ name = \"...\", weight = 1, price = \"0.0042\" }`)",
        "customers late: number 12025550100 belongs to \"acme\" already; give it to one customer",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn the_file_holds_none_of_what_the_database_has() {
    let Some(bench) = Bench::start() else { return };
    bench.write_file(
        "[[customer]]\nsystem_id = \"acme\"\npassword = \"x\"\n[[route]]\nprefix = \"\"\nvendors = []",
    );
    let text = told(bench.load());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].contains("gateway.toml:8:3: [[customer]] stands in the file, but [source] kind is \"postgres\"; bring it into the table customers with `gateway import`"), "{text}");
    assert!(lines[1].contains("[[route]]"), "{text}");
}

#[test]
fn the_environment_overrides_rows_and_may_name_one_that_is_not_there_yet() {
    let Some(bench) = Bench::start() else { return };
    bench.fill();
    let edition = blocking(async { Database::connect(&bench.server.url()).await.unwrap().read().await });
    let edition = edition.unwrap().unwrap();
    let parse = |variables: &[(&str, &str)]| {
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let file = NodeFile::read(&bench.file()).unwrap().with_variables(variables);
        file.parse(Some((1, &edition.rows)))
    };
    let config =
        parse(&[("GATEWAY__VENDOR__west__WINDOW", "7"), ("GATEWAY__VENDOR__tomorrow__PASSWORD", "x")]);
    assert_eq!(config.unwrap().vendors[0].window, 7);
    let mistakes = parse(&[("GATEWAY__VENDOR__tomorrow__PASWORD", "x")]).unwrap_err();
    assert_eq!(
        mistakes[0].to_string(),
        "environment GATEWAY__VENDOR__tomorrow__PASWORD: no setting \"pasword\" of vendor \"tomorrow\"; correct the name or unset the variable"
    );
}

#[test]
fn the_last_good_version_stands_in_at_the_start() {
    let Some(mut bench) = Bench::start() else { return };
    bench.fill();
    // A wrong version without a good one before it: nothing to start with.
    bench.server.ask("insert into routes (prefix) values ('44')");
    assert!(told(bench.load()).contains("routes 2: route: vendors is missing"));
    bench.server.ask("delete from routes where id = 2");
    bench.load().unwrap();
    // A wrong version, now with one.
    bench.server.ask("set gateway.author = 'bob'; insert into routes (prefix) values ('45')");
    let loaded = bench.load().unwrap();
    assert_eq!((loaded.config.version, loaded.config.routes.len()), (3, 1));
    let standing = loaded.standing.load_full();
    assert_eq!((standing.origin, standing.rejected), (Origin::LastGood, 1));
    let rejection = standing.rejection.as_ref().unwrap();
    assert_eq!((rejection.version.number, rejection.version.author.as_str()), (4, "bob"));
    let shown = standing.shown(runtime::monotonic_nanos());
    assert_eq!(shown["rejection"]["mistakes"][0]["place"], "routes 3");
    assert_eq!((&shown["version"], &shown["origin"]), (&3.into(), &"last_good".into()));
    // No database at all.
    bench.server.kill();
    let loaded = bench.load().unwrap();
    let standing = loaded.standing.load_full();
    assert_eq!((loaded.config.version, standing.origin), (3, Origin::LastGood));
    assert!(standing.away.is_some() && standing.rejection.is_none());
    std::fs::remove_file(bench.node.path().join("state/configuration.json")).unwrap();
    let text = told(bench.load());
    assert!(
        text.starts_with("PostgreSQL cannot be reached (") && text.contains("state/configuration.json"),
        "{text}"
    );
}

#[test]
fn another_schema_is_refused_with_both_versions_and_the_command() {
    let Some(bench) = Bench::start() else { return };
    bench.fill();
    bench.load().unwrap();
    let version = crate::schema::VERSION;
    let newest = "where version = (select max(version) from refinery_schema_history)";
    bench.server.ask(&format!("update refinery_schema_history set version = 99 {newest}"));
    let newer =
        format!("PostgreSQL: the schema has version 99, this program knows {version}: run a newer gateway");
    assert_eq!(told(bench.load()), newer, "the last good version does not hide it");
    bench.server.ask("delete from refinery_schema_history where version = 99");
    let older = format!(
        "PostgreSQL: the schema has version {}, this program needs {version}: run `gateway migrate --config FILE` (it adds, it removes nothing)",
        version - 1
    );
    assert_eq!(told(bench.load()), older);
    bench.server.ask("drop table refinery_schema_history");
    assert!(told(bench.load()).contains("the table config_versions is missing: run `gateway migrate"));
}
