//! From a file into the tables and back.

use super::*;
use crate::config::{Credential, parse};

const FILE: &str = r##"
[node]
name = "ignored"
[[customer]]
system_id = "acme"
password = "secret"
bind_kinds = ["receiver", "transceiver"]
rate = 1000
mode = "store_and_forward"
unknown_outcome = "fail"
deduplicate = "tlv"
deduplicate_tlv = 516
deduplicate_window = "90s"
numbers = ["+12025550100"]
reassemble = true
enabled = false
bind_rate = 7
sources = ["1202*", "Example"]
networks = ["203.0.113.0/24", "2001:db8::/32", "192.0.2.7"]
[[customer]]
system_id = "x\"y\\"
password_file = "proof"
[[brand]]
name = "b"
tier = "top"
daily_cap = 5
[[campaign]]
name = "c"
brand = "b"
class = "G"
per_minute = 600
scope = "campaign"
[[number]]
number = "12025550177"
customer = "acme"
campaign = "c"
rate = 2
[[error_map]]
name = "odd"
statuses = [{ status = "0x400", to = "ESME_RSYSERR" }, { status = "ESME_RINVDSTADR", action = "next_vendor" }]
[[vendor]]
name = "east"
addresses = ["127.0.0.1:3613"]
system_id = "gw01"
password_file = "secret"
dialect = "strict"
encodings = ["gsm7", "ucs2"]
error_map = "odd"
rate = 50
burst = 5
rate_when_away = "last"
binds = 3
[[vendor]]
name = "west"
addresses = ["127.0.0.1:3611", "[::1]:3612"]
system_id = "gw01"
password_file = "secret"
dialect = { tlv_cut = true, response_tlvs = false }
enquire_link = "0s"
[[route]]
prefix = ""
vendors = [{ name = "west", weight = 3 }, { name = "east" }]
[[route]]
prefix = "1"
customer = "acme"
priority = 0x10
network = "310260"
sources = ["1202", "+44"]
encodings = ["gsm7"]
hours = "Mon-Fri 08:00-20:00 -05:00"
cheapest = true
rewrite_source = "12025550199"
rewrite_source_ton = 1
destination_strip = "1"
destination_add = "+1"
unknown_outcome = "retry_other"
vendors = [{ name = "east", weight = 1, price = "0.0042" }]
[[mo_route]]
number = "+12025550100"
keywords = ["stop", "Grüße"]
customer = "acme"
[[network]]
prefix = "1202"
mcc = "310"
mnc = "260"
carrier = "tmobile"
"##;

/// Writes a file beside the node's.
fn write(bench: &Bench, name: &str, text: &str) -> PathBuf {
    let path = bench.node.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// A model without its places and proofs, as text.
fn shape(config: &Config) -> String {
    let mut config = config.clone();
    for customer in &mut config.customers {
        customer.credential = None;
    }
    let Config {
        customers,
        vendors,
        routes,
        mo_routes,
        networks,
        error_maps,
        brands,
        campaigns,
        numbers,
        ..
    } = config;
    let text = format!(
        "{customers:#?}{vendors:#?}{routes:#?}{mo_routes:#?}{networks:#?}{error_maps:#?}{brands:#?}{campaigns:#?}{numbers:#?}"
    );
    let mut shape: Vec<&str> = Vec::new();
    let mut within_place: Option<usize> = None;
    for line in text.lines() {
        let depth = line.len() - line.trim_start().len();
        match within_place {
            Some(start) if depth > start => {}
            Some(_) => within_place = None,
            None if line.trim_start().starts_with("place: ") => {
                within_place = line.ends_with('{').then_some(depth);
            }
            None => shape.push(line),
        }
    }
    shape.join("\n")
}

#[test]
fn what_is_imported_is_exported_and_means_the_same() {
    let Some(bench) = Bench::start() else { return };
    write(&bench, "proof", "another\r\n");
    let file = write(&bench, "first.toml", FILE);
    let version = import(&file, &bench.server.url(), Some("ann")).unwrap();
    assert_eq!((version.number, version.author.as_str()), (1, "ann"));
    let loaded = bench.load().unwrap().config;
    let of_file = parse(&file, FILE, &[]).unwrap();
    // A file and the rows made of it are one configuration.
    for (row, line) in shape(&loaded).lines().zip(shape(&of_file).lines()) {
        assert_eq!(row, line, "in\n{}\nand\n{}", shape(&loaded), shape(&of_file));
    }
    assert_eq!(shape(&loaded).len(), shape(&of_file).len());
    assert!(shape(&loaded).contains("StoreAndForward") && !shape(&loaded).contains("place"));
    let proof = |customer: usize| match &loaded.customers[customer].credential {
        Some(Credential::Hash(hash)) => String::from_utf8_lossy(hash.expose()).into_owned(),
        other => panic!("{other:?}"),
    };
    let is_proof = |customer: usize, password: &[u8]| {
        use argon2::PasswordVerifier;
        let hash = proof(customer);
        let hash = argon2::password_hash::phc::PasswordHash::new(&hash).unwrap();
        argon2::Argon2::default().verify_password(password, &hash).is_ok()
    };
    assert!(is_proof(0, b"secret") && !is_proof(0, b"another") && is_proof(1, b"another"));
    // There and back again.
    let text = export(&bench.server.url()).unwrap();
    assert!(!text.contains("\"secret\"\npassword") && text.contains("[::1]:3612"), "{text}");
    let version = import(&write(&bench, "second.toml", &text), &bench.server.url(), Some("ann")).unwrap();
    assert_eq!(version.number, 2);
    let without_head = |text: &str| text.split_once('\n').unwrap().1.to_owned();
    assert_eq!(without_head(&export(&bench.server.url()).unwrap()), without_head(&text));
    // What was put in by hand goes, and what is put in afterwards finds a key of its own.
    bench.server.ask("insert into routes (prefix) values ('9')");
    import(&file, &bench.server.url(), None).unwrap();
    assert_eq!(bench.server.ask("select count(*) from routes"), "2");
    bench.server.ask("insert into routes (prefix) values ('9')");
}

#[test]
fn what_is_wrong_is_not_imported() {
    let Some(bench) = Bench::start() else { return };
    bench.fill();
    let vendor = "[[vendor]]\nname = \"a\"\naddresses = [\"a:1\"]\nsystem_id = \"g\"\n";
    for (text, expected) in [
        ("[[customer]]\nsystem_id = \"a\"\n".to_owned(), "customer \"a\": there is no password"),
        (
            format!("{vendor}password = \"x\"\n"),
            "wrong.toml:5:12: a vendor's password is not kept in the database; put it into a file",
        ),
        (
            format!(
                "{vendor}password_file = \"secret\"\n[[route]]\nprefix = \"\"\nvendors = [{{ name = \"b\" }}]"
            ),
            "no vendor \"b\"",
        ),
    ] {
        let error = import(&write(&bench, "wrong.toml", &text), &bench.server.url(), None).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert_eq!(bench.server.ask("select max(version) from config_versions"), "1");
    // What only the database sees: the whole transaction is undone.
    let text = "[[mo_route]]\nnumber = \"1\"\nkeywords = [\"a\"]\ncustomer = \"acme\"\n[[customer]]\nsystem_id = \"acme\"\npassword = \"x\"\n";
    bench.server.ask("alter table mo_routes add constraint none check (number <> '1')");
    let error = import(&write(&bench, "wrong.toml", text), &bench.server.url(), None).unwrap_err();
    assert!(error.to_string().contains("violates check constraint \"none\""), "{error}");
    assert_eq!(
        bench.server.ask("select count(*), (select max(version) from config_versions) from vendors"),
        "1|1"
    );
}

#[test]
fn what_a_node_must_have_is_asked_of_nodes_not_of_an_import() {
    let Some(bench) = Bench::start() else { return };
    write(&bench, "proof", "another");
    let file = write(&bench, "shared.toml", &FILE.replace("binds = 3", "binds_total = 3"));
    import(&file, &bench.server.url(), None).unwrap();
    let refused = bench.load().err().expect("this node has no Redis").to_string();
    assert!(refused.contains("vendors east") && refused.contains("binds_total needs Redis"), "{refused}");
}
