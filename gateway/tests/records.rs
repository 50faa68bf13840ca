//! Records through the real program: as many as messages, found by each key, told to customers who ask, and what
//! happens while a database is away.

mod support;

use postgres_server::Postgres;
use smpp::field::{Address, CommandId, CommandStatus, MessageState};
use smpp::pdu::{BindKind, Pdu, QuerySm, SubmitSm};
use smpp::tlv::Tlvs;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use support::bulk::Bulk;
use support::client::{Client, Heard};
use support::{Configuration, Gateway, load, reconciled, sites, wait_until};

fn bulk() -> String {
    Bulk { window: 100, seconds: 2, ..Bulk::default() }.scenario()
}

/// All lines of all complete files, as JSON.
fn lines(directory: &Path) -> Vec<serde_json::Value> {
    let files = std::fs::read_dir(directory).expect("the directory of records");
    let mut lines = Vec::new();
    for file in files {
        let path = file.expect("an entry").path();
        assert!(path.extension().is_some_and(|end| end == "ndjson"), "{path:?} is not complete");
        let text = std::fs::read_to_string(path).expect("a file of records");
        lines.extend(text.lines().map(|line| serde_json::from_str(line).expect("one object a line")));
    }
    lines
}

fn count(lines: &[serde_json::Value], fits: impl Fn(&serde_json::Value) -> bool) -> u64 {
    lines.iter().filter(|line| fits(line)).count() as u64
}

fn gateway(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gateway")).args(arguments).output().expect("the program runs")
}

fn configuration(vendor: std::net::SocketAddr, shards: u32, cdr: &str) -> Configuration {
    Configuration::new("auto", shards)
        .customer("bulk", "")
        .customer("other", "")
        .vendor("Chicago", vendor, 2, "")
        .route("1", &["Chicago"])
        .with(&format!("[cdr]\n{cdr}"))
}

/// What a gateway has done that has come to rest, each with a record.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Done {
    submits: u64,
    taken: u64,
    /// Receipts that overtook the answer of their message: a record when they came, another when they are taken.
    early: u64,
}

impl Done {
    fn records(self) -> u64 {
        self.submits + self.taken + self.early
    }
}

/// Waits until the gateway has come to rest and this sink has a record of everything. Counters are shown four times a
/// second: what stands for longer is the last word.
fn settled(gateway: &Gateway, sink: &str) -> Done {
    let figures = || {
        let count = |name, words: &[&str]| gateway.metric(name, words) as u64;
        let done = Done {
            submits: count("smppgw_submits_total", &[]),
            taken: count("smppgw_deliveries_total", &["taken"]),
            early: count("smppgw_receipts_early_total", &[]),
        };
        (done, count("smppgw_cdr_records_total", &[sink]))
    };
    let (mut last, mut since) = (figures(), Instant::now());
    wait_until("there is a record of everything", || {
        let now = figures();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        let (done, records) = last;
        records == done.records() && since.elapsed() > Duration::from_secs(1)
    });
    last.0
}

/// Counters, ledgers and records agree.
fn as_many_records_as_messages(shards: u32) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let sim = sites(directory.path(), &["Chicago"], "fast", "");
    let vendor = sim.address("Chicago").expect("a site");
    let mut gateway = Gateway::start(
        directory.path(),
        &configuration(vendor, shards, "sinks = [\"file\"]\nrotate_after = \"1s\""),
    );
    gateway.wait_for_vendor_binds(2.0);
    let mut outcome = load(directory.path(), gateway.smpp, &bulk());
    let done = settled(&gateway, "file");
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
    let result = reconciled(directory.path(), sim, &mut outcome);
    assert!(result.holds(), "{}", result.text());
    let lines = lines(&directory.path().join("state/cdr"));
    let accepted = count(&lines, |line| line["kind"] == "submit" && line["state"] == "acked");
    assert_eq!((done.submits, accepted), (result.sent, result.sent), "{}", result.text());
    let receipts = count(&lines, |line| line["kind"] == "delivery" && line["outcome"] == "taken");
    assert_eq!((receipts, done.taken), (result.receipts.received, result.receipts.received));
    assert_eq!(lines.len() as u64, done.records());
    let mut ids: BTreeMap<String, u32> = BTreeMap::new();
    let mut numbers: BTreeMap<(u64, u64), u32> = BTreeMap::new();
    for line in &lines {
        // Whose an early receipt is was not known yet.
        if line["outcome"] == "early" {
            assert_eq!(line.get("gateway_id"), None, "{line}");
        } else {
            let id = line["gateway_id"].as_str().expect("each has an id");
            *ids.entry(id.to_owned()).or_default() += 1;
        }
        let name = (line["shard"].as_u64().expect("a number"), line["number"].as_u64().expect("a number"));
        *numbers.entry(name).or_default() += 1;
    }
    assert!(ids.values().all(|records| *records == 2), "one of the submit and one of the receipt");
    assert!(numbers.values().all(|records| *records == 1), "each has a name of its own");
}

#[test]
fn as_many_records_as_messages_with_one_shard() {
    as_many_records_as_messages(1);
}

#[test]
fn as_many_records_as_messages_with_three_shards() {
    as_many_records_as_messages(3);
}

fn submit(client: &mut Client, reference: u16) -> String {
    let [high, low] = reference.to_be_bytes();
    let tlv = [2, 4, 0, 2, high, low];
    let submit = SubmitSm {
        source: Address { digits: b"12025550100", ..Address::default() },
        destination: Address { digits: b"12025550123", ..Address::default() },
        registered_delivery: smpp::field::RegisteredDelivery(1),
        short_message: b"a text that no record shows",
        tlvs: Tlvs::new(&tlv),
        ..SubmitSm::default()
    };
    client.send(&Pdu::SubmitSm(submit));
    next(client, CommandId::SUBMIT_SM_RESP).message_id()
}

/// The next PDU of this kind; what comes meanwhile is acknowledged.
fn next(client: &mut Client, command: CommandId) -> Heard {
    loop {
        let heard = client.hear().expect("an answer");
        if heard.command() == command {
            return heard;
        }
        client.acknowledge(&heard);
    }
}

fn query(client: &mut Client, id: &str, source: &[u8]) -> Heard {
    let source = Address { digits: source, ..Address::default() };
    client.send(&Pdu::QuerySm(QuerySm { message_id: id.as_bytes(), source }));
    next(client, CommandId::QUERY_SM_RESP)
}

/// What `gateway trace` prints of a message.
fn traced(arguments: &[&str]) -> String {
    let output = gateway(arguments);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    String::from_utf8(output.stdout).expect("text")
}

/// By our id, the vendor's, and the customer's reference; from memory, and from the files after a restart.
#[test]
fn a_message_is_found_by_three_keys_and_by_its_customer() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let sim = sites(directory.path(), &["Chicago"], "fast", "");
    let vendor = sim.address("Chicago").expect("a site");
    let configuration = configuration(vendor, 2, "sinks = [\"file\"]\nrecent_max = 1000");
    let mut gateway = Gateway::start(directory.path(), &configuration);
    gateway.wait_for_vendor_binds(2.0);
    let mut client = Client::bound(gateway.smpp, BindKind::Transceiver, "bulk");
    let mut other = Client::bound(gateway.smpp, BindKind::Transceiver, "other");
    let id = submit(&mut client, 4711);
    if client.deliveries == 0 {
        client.hear_delivery();
    }
    let mut answer = query(&mut client, &id, b"");
    wait_until("the receipt's record is known", || {
        answer = query(&mut client, &id, b"12025550100");
        matches!(answer.pdu(), Pdu::QuerySmResp(resp) if resp.state() == Some(MessageState::Delivered))
    });
    let Pdu::QuerySmResp(resp) = answer.pdu() else { panic!("{answer:?}") };
    assert_eq!((answer.status(), resp.message_id), (CommandStatus::ESME_ROK, id.as_bytes()));
    assert_eq!((resp.final_date.len(), resp.error_code), (16, 0));
    for (id, source) in [(id.as_str(), &b"4420"[..]), ("0123456789ABCDEF", b""), ("x", b"")] {
        assert_eq!(query(&mut client, id, source).status(), CommandStatus::ESME_RQUERYFAIL, "{id}");
    }
    assert_eq!(query(&mut other, &id, b"").status(), CommandStatus::ESME_RQUERYFAIL, "another's message");
    let http = gateway.http.to_string();
    let (status, body) = gateway.get(&format!("/api/v1/messages/{id}"));
    assert_eq!(status, 200, "{body}");
    assert!(!body.contains("a text that no record shows"), "{body}");
    let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["found_in"], "memory");
    let records = body["messages"][0]["records"].as_array().expect("records");
    assert_eq!((&records[0]["kind"], &records[1]["receipt_state"]), (&"submit".into(), &"DELIVRD".into()));
    let vendor_id = records[0]["vendor_id"].as_str().expect("the vendor's id").to_owned();
    let check = |http: &str, place: &str| {
        let keys: [&[&str]; 3] = [
            &[&id],
            &["--vendor", "Chicago", "--vendor-id", &vendor_id],
            &["--customer", "bulk", "--reference", "4711", "--destination", "12025550123"],
        ];
        for key in keys {
            let text = traced(&[&["trace", "--http", http], key].concat());
            println!("{text}");
            for part in [
                &format!("message {id}"),
                "submit_sm of bulk: 12025550100 -> 12025550123, reference 4711",
                &format!("Chicago answered ESME_ROK, its id {vendor_id}"),
                "customer answered ESME_ROK, acked",
                "receipt DELIVRD",
                "taken, customer said ESME_ROK",
                &format!("found in: {place}"),
            ] {
                assert!(text.contains(part), "no {part:?} for {key:?} in\n{text}");
            }
        }
    };
    check(&http, "memory");
    let unknown = self::gateway(&["trace", "--http", &http, "0123456789ABCDEF"]);
    assert!(!unknown.status.success());
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("no such message"), "{unknown:?}");
    assert_eq!(gateway.get("/api/v1/messages/xyz").0, 400);
    assert_eq!(gateway.get("/api/v1/messages/0123456789ABCDEF").0, 404);
    assert_eq!(gateway.get("/api/v1/messages?vendor=Chicago").0, 400);
    drop((client, other));
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
    let mut gateway = Gateway::start(directory.path(), &configuration);
    check(&gateway.http.to_string(), "files");
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
    sim.stop().expect("the simulator ends");
}

/// The database is killed under load and comes back: every message has its row once. Without the table nothing starts.
#[test]
fn a_database_that_dies_loses_no_record() {
    let Some(mut server) = Postgres::start() else { return };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let sim = sites(directory.path(), &["Chicago"], "fast", "");
    let vendor = sim.address("Chicago").expect("a site");
    let cdr = format!("sinks = [\"file\", \"postgres\"]\npostgres = \"{}\"", server.url());
    let configuration = configuration(vendor, 1, &cdr);
    let file = configuration.write(directory.path());
    let file = file.to_str().expect("a plain path");
    let refused = self::gateway(&["run", file]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("gateway migrate"), "{told}");
    let migrated = traced(&["migrate", "--config", file]);
    assert!(migrated.contains("cdr") && migrated.contains("up to date"), "{migrated}");
    let mut gateway = Gateway::start(directory.path(), &configuration);
    gateway.wait_for_vendor_binds(2.0);
    let target = gateway.smpp;
    let path = directory.path().to_owned();
    let loading = std::thread::spawn(move || load(&path, target, &bulk()));
    wait_until("rows come", || gateway.metric("smppgw_cdr_records_total", &["postgres"]) > 100.0);
    server.kill();
    wait_until("its absence is noticed", || gateway.metric("smppgw_cdr_failures_total", &["postgres"]) > 0.0);
    server.start_again();
    let mut outcome = loading.join().expect("the load ends");
    let done = settled(&gateway, "postgres");
    assert_eq!(gateway.metric("smppgw_cdr_dropped_total", &[]), 0.0);
    let counted = server.ask(
        "select count(*) filter (where kind = 'submit' and state = 'acked'), \
         count(*) filter (where kind = 'delivery' and outcome = 'taken') from cdr",
    );
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
    let result = reconciled(directory.path(), sim, &mut outcome);
    assert!(result.holds(), "{}", result.text());
    assert_eq!(counted, format!("{}|{}", result.sent, result.receipts.received));
    assert_eq!(
        lines(&directory.path().join("state/cdr")).len() as u64,
        done.records(),
        "both sinks have the same"
    );
}
