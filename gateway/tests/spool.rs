//! Store and forward on real processes: vendors that are away, kill -9 in mid-traffic, errors for good, validity.

mod support;

use smpp::field::{Address, CommandStatus, MessageState, RegisteredDelivery};
use smpp::pdu::{BindKind, Pdu, QuerySm, SubmitSm};
use smpp::text::receipt::receipt_of;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use support::bulk::Bulk;
use support::client::{Client, Heard};
use support::{Configuration, Gateway, load, reconciled, sites, wait_until};

const MODE: &str = "mode = \"store_and_forward\"";
const QUICK: &str = "[spool]\nretry_first = \"100ms\"\nretry_max = \"1s\"";

/// A port where nobody listens now, for a vendor that comes later.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

/// A site at this address, with these lines of its own.
fn site_at(directory: &Path, address: SocketAddr, rest: &str) -> sim_smsc::Running {
    let text = format!(
        "[run]\nname = \"test\"\nseed = 7\nt0 = \"start\"\n[[site]]\nname = \"Chicago\"\nlisten = \"{address}\"\nprofile = \"fast\"\n\
         [[account]]\nsites = [\"Chicago\"]\nsystem_id = \"gw01\"\npassword = \"secret\"\n{rest}"
    );
    let scenario = sim_smsc::Scenario::parse(&text, "test").unwrap_or_else(|error| panic!("{error}\n{text}"));
    let options = sim_smsc::RunOptions { out: Some(directory.to_owned()) };
    sim_smsc::Simulator::start_with(scenario, options).expect("the simulator starts")
}

fn one_vendor(address: SocketAddr, shards: u32) -> Configuration {
    Configuration::new("auto", shards)
        .with(QUICK)
        .customer("bulk", MODE)
        .vendor("Chicago", address, 2, "")
        .route("", &["Chicago"])
}

fn entries(gateway: &Gateway) -> f64 {
    gateway.metric("smppgw_spool_entries", &["kind=\"all\""])
}

/// The whole load is acknowledged while no vendor is there; then one comes.
fn a_vendor_that_comes_late_gets_everything(shards: u32) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let address = free_port();
    let mut gateway = Gateway::start(directory.path(), &one_vendor(address, shards));
    let (path, smpp) = (directory.path().to_owned(), gateway.smpp);
    let running = std::thread::spawn(move || load(&path, smpp, &Bulk::default().scenario()));
    wait_until("messages are acknowledged", || entries(&gateway) >= 2_000.0);
    assert_eq!(gateway.metric("smppgw_vendor_sends_total", &[]), 0.0);
    let sim = site_at(directory.path(), address, "");
    let mut outcome = running.join().expect("the load ends");
    wait_until("the spool is empty", || entries(&gateway) == 0.0);
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
    let result = reconciled(directory.path(), sim, &mut outcome);
    let text = result.text();
    assert!(result.holds(), "{text}");
    assert!(result.sent > 2_500, "{text}");
    assert_eq!((result.delivered, result.refused, result.unanswered), (result.sent, 0, 0), "{text}");
    assert_eq!((result.receipts.received, result.receipts.duplicated), (result.sent, 0), "{text}");
}

#[test]
fn a_vendor_that_comes_late_gets_everything_on_one_shard() {
    a_vendor_that_comes_late_gets_everything(1);
}

#[test]
fn a_vendor_that_comes_late_gets_everything_on_three_shards() {
    a_vendor_that_comes_late_gets_everything(3);
}

/// The gateway dies in mid-traffic and another takes its state directory and its place.
#[test]
fn kill_9_loses_no_acknowledged_message() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let sim = sites(directory.path(), &["Chicago", "Atlanta"], "fast", "");
    let address = |site| sim.address(site).expect("a site");
    let mut configuration = Configuration::new("auto", 2)
        .with(QUICK)
        .customer("bulk", MODE)
        .vendor("Chicago", address("Chicago"), 2, "")
        .vendor("Atlanta", address("Atlanta"), 2, "")
        .route("", &["Chicago", "Atlanta"]);
    let gateway = Gateway::start(directory.path(), &configuration);
    gateway.wait_for_vendor_binds(4.0);
    let (smpp, http) = (gateway.smpp, gateway.http);
    let path = directory.path().to_owned();
    let running =
        std::thread::spawn(move || load(&path, smpp, &Bulk { seconds: 6, ..Bulk::default() }.scenario()));
    wait_until("traffic flows", || gateway.metric("smppgw_submit_results_total", &["accepted"]) > 2_000.0);
    gateway.kill();
    // The same ports, so that loadgen's sessions come back.
    configuration = configuration.with_ports(smpp, http);
    let mut gateway = Gateway::start(directory.path(), &configuration);
    let mut outcome = running.join().expect("the load ends");
    wait_until("the spool is empty", || entries(&gateway) == 0.0);
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
    let result = reconciled(directory.path(), sim, &mut outcome);
    let text = result.text();
    assert_eq!((result.lost, result.altered, result.misrouted(), result.phantom), (0, 0, 0, 0), "{text}");
    assert_eq!((result.receipts.lost, result.receipts.altered), (0, 0), "{text}");
    assert!(result.delivered > 4_000, "traffic went on after the restart: {text}");
    assert!(result.unanswered <= 400, "at most both windows: {text}");
    assert!(result.duplicated <= 800, "at most what was on its way to the vendors: {text}");
}

/// Nothing is there to send to, the gateway is killed twice, and the vendor comes to the third life.
#[test]
fn what_was_acknowledged_waits_through_two_lives() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let address = free_port();
    let configuration = one_vendor(address, 1);
    let gateway = Gateway::start(directory.path(), &configuration);
    let mut client = Client::bound(gateway.smpp, BindKind::Transmitter, "bulk");
    let mut ids: Vec<String> = (0..20)
        .map(|n| client.submit_and_hear("12025550123", &format!("message {n}"), true).message_id())
        .collect();
    drop(client);
    gateway.kill();
    let mut gateway = Gateway::start(directory.path(), &configuration);
    wait_until("they are there again", || entries(&gateway) == 20.0);
    assert_eq!(gateway.terminate(), Some(0), "a drain does not wait for retries: {}", gateway.log());
    let sim = site_at(directory.path(), address, "");
    let mut gateway = Gateway::start(directory.path(), &configuration);
    let mut client = Client::bound(gateway.smpp, BindKind::Receiver, "bulk");
    let mut receipts: Vec<String> = (0..20).map(|_| receipt(&client.hear_delivery()).0).collect();
    ids.sort();
    receipts.sort();
    assert_eq!(receipts, ids);
    wait_until("the spool is empty", || entries(&gateway) == 0.0);
    drop(client);
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
    sim.stop().expect("the simulator ends");
}

/// Its records: kept in the spool while no vendor is there, then settled, then its receipt.
#[test]
fn a_message_is_traced_through_the_spool() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let address = free_port();
    let configuration = one_vendor(address, 2).with("[cdr]\nrecent_max = 100");
    let mut gateway = Gateway::start(directory.path(), &configuration);
    let mut client = Client::bound(gateway.smpp, BindKind::Transceiver, "bulk");
    let id = client.submit_and_hear("12025550123", "hello", true).message_id();
    let state = |client: &mut Client| {
        client.send(&Pdu::QuerySm(QuerySm { message_id: id.as_bytes(), source: Address::default() }));
        let heard = client.hear().expect("an answer");
        let Pdu::QuerySmResp(answer) = heard.pdu() else { panic!("{heard:?}") };
        answer.state()
    };
    wait_until("it was deferred", || gateway.metric("smppgw_spool_messages_total", &["deferred"]) > 0.0);
    wait_until("it is known", || state(&mut client) == Some(MessageState::Enroute));
    let traced = || {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_gateway"));
        let output = program.args(["trace", "--http", &gateway.http.to_string(), &id]).output();
        String::from_utf8(output.expect("the program runs").stdout).expect("text")
    };
    let waiting = traced();
    assert!(waiting.contains("ESME_ROK, kept in the spool") && !waiting.contains("settled"), "{waiting}");
    let sim = site_at(directory.path(), address, "");
    client.hear_delivery();
    wait_until("its receipt is known", || state(&mut client) == Some(MessageState::Delivered));
    let told = traced();
    assert!(told.contains("settled: acked, Chicago, ESME_ROK, its id "), "{told}");
    assert!(told.contains("receipt DELIVRD"), "{told}");
    assert_eq!(told.matches("accepted from the customer").count(), 1, "{told}");
    drop(client);
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
    sim.stop().expect("the simulator ends");
}

#[test]
fn an_error_for_good_is_told_by_a_receipt() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let address = free_port();
    let refuse = "[[fault]]\nkind = \"errors\"\nat = \"0s\"\nstatus = 0x0B\n";
    let sim = site_at(directory.path(), address, refuse);
    let mut gateway = Gateway::start(directory.path(), &one_vendor(address, 1));
    gateway.wait_for_vendor_binds(2.0);
    let mut client = Client::bound(gateway.smpp, BindKind::Transceiver, "bulk");
    // The simulator's fault begins with its first tick: what it took before is delivered.
    wait_until("the fault strikes", || {
        let answer = client.submit_and_hear("12025550123", "hello", true);
        assert_eq!(answer.status(), CommandStatus::ESME_ROK, "accepted, whatever the vendor says");
        let (id, state) = receipt(&client.hear_delivery());
        assert_eq!(id, answer.message_id());
        assert!(matches!(state, MessageState::Delivered | MessageState::Undeliverable), "{state:?}");
        state == MessageState::Undeliverable
    });
    wait_until("the spool is empty", || entries(&gateway) == 0.0);
    // Shard and spool report each in their own time.
    wait_until("it is counted", || gateway.metric("smppgw_spool_messages_total", &["failed"]) == 1.0);
    drop(client);
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
    sim.stop().expect("the simulator ends");
}

#[test]
fn validity_that_is_over_is_told_by_a_receipt() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let gateway = Gateway::start(directory.path(), &one_vendor(free_port(), 1));
    let mut client = Client::bound(gateway.smpp, BindKind::Transceiver, "bulk");
    let sequence = client.send(&Pdu::SubmitSm(SubmitSm {
        source: Address { digits: b"4420", ..Address::default() },
        destination: Address { digits: b"12025550123", ..Address::default() },
        registered_delivery: RegisteredDelivery(1),
        validity_period: b"000000000002000R",
        short_message: b"hello",
        ..SubmitSm::default()
    }));
    let answer = client.hear().expect("an answer");
    assert_eq!((answer.frame().sequence_number(), answer.status()), (sequence, CommandStatus::ESME_ROK));
    let told = receipt(&client.hear_delivery());
    assert_eq!(told, (answer.message_id(), MessageState::Expired));
    wait_until("the spool is empty", || entries(&gateway) == 0.0);
}

/// Not a gate: what one shard acknowledges in a second, with vendors away, on this machine's disk.
/// `cargo test -p gateway --test spool -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, to be read by a person"]
fn cost_of_acknowledging() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let gateway = Gateway::start(directory.path(), &one_vendor(free_port(), 1));
    let bulk = Bulk { account: "binds = { trx = 8 }", rate: 60_000, seconds: 5, ..Bulk::default() };
    let scenario = bulk.scenario();
    let scenario =
        scenario.replace("window = 200", "window = 500").replace("expect = true", "expect = false");
    let outcome = load(directory.path(), gateway.smpp, &scenario);
    let counted = |name, words: &[&str]| gateway.metric(name, words);
    println!(
        "{} acknowledged of {} in 5 s, {} syncs, {:.2} s in them; {} of the shard's time, {}",
        counted("smppgw_spool_messages_total", &["accepted"]),
        counted("smppgw_submits_total", &[]),
        counted("smppgw_spool_syncs_total", &[]),
        counted("smppgw_spool_sync_seconds_total", &[]),
        counted("smppgw_shard_busy_seconds_total", &[]),
        outcome.failure.as_deref().unwrap_or("no failure"),
    );
}

/// Id and state of a receipt.
fn receipt(heard: &Heard) -> (String, MessageState) {
    let pdu = heard.pdu();
    let Pdu::DeliverSm(deliver) = &pdu else { panic!("no receipt: {pdu:?}") };
    let receipt = receipt_of(deliver).expect("a receipt");
    let id = String::from_utf8_lossy(receipt.id.expect("an id").value).into_owned();
    (id, receipt.state.expect("a state").value)
}
