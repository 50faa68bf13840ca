//! kill -9 in mid-traffic, a site that goes silent, restarts: what was acknowledged is not lost.

mod support;

use smpp::field::CommandStatus;
use smpp::pdu::{BindKind, Pdu};
use std::time::Duration;
use support::bulk::Bulk;
use support::client::Client;
use support::{Configuration, Gateway, load, reconciled, sites, wait_until};

fn two_vendors(sim: &sim_smsc::Running, unknown_outcome: &str) -> Configuration {
    let address = |site| sim.address(site).expect("a site");
    let quick = "response_timeout = \"1s\"\nenquire_link = \"1s\"";
    Configuration::new("auto", 2)
        .customer("bulk", &format!("unknown_outcome = \"{unknown_outcome}\""))
        .vendor("Chicago", address("Chicago"), 2, quick)
        .vendor("Atlanta", address("Atlanta"), 2, quick)
        .route("", &["Chicago", "Atlanta"])
}

const BULK: Bulk<'static> =
    Bulk { account: "binds = { trx = 2 }", window: 200, rate: 1500, seconds: 6, quiet_seconds: 10 };

/// The gateway dies in mid-traffic and another takes its state directory and its place.
#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let sim = sites(directory.path(), &["Chicago", "Atlanta"], "fast", "");
    let mut configuration = two_vendors(&sim, "fail");
    let gateway = Gateway::start(directory.path(), &configuration);
    gateway.wait_for_vendor_binds(4.0);
    let (smpp, http) = (gateway.smpp, gateway.http);
    let path = directory.path().to_owned();
    let running = std::thread::spawn(move || load(&path, smpp, &BULK.scenario()));
    wait_until("traffic flows", || gateway.metric("smppgw_submit_results_total", &["accepted"]) > 2_000.0);
    gateway.kill();
    // The same ports, so that loadgen's sessions come back.
    configuration = configuration.with_ports(smpp, http);
    let mut gateway = Gateway::start(directory.path(), &configuration);
    let mut outcome = running.join().expect("the load ends");
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
    let result = reconciled(directory.path(), sim, &mut outcome);
    let text = result.text();
    assert!(result.holds(), "{text}");
    assert!(result.delivered > 5_000, "traffic went on after the restart: {text}");
    assert!(result.unanswered <= 400, "at most both windows: {text}");
}

/// One site stops reading and answering while its connections stand.
#[test]
fn a_half_open_site_costs_no_acknowledged_message() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let fault =
        "[[fault]]\nkind = \"half-open\"\nat = \"1500ms\"\nfor = \"3s\"\nscope = { site = \"Chicago\" }\n";
    let sim = sites(directory.path(), &["Chicago", "Atlanta"], "fast", fault);
    let mut gateway = Gateway::start(directory.path(), &two_vendors(&sim, "fail"));
    gateway.wait_for_vendor_binds(4.0);
    let mut outcome = load(directory.path(), gateway.smpp, &Bulk { seconds: 7, ..BULK }.scenario());
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
    let result = reconciled(directory.path(), sim, &mut outcome);
    let text = result.text();
    assert!(result.holds(), "{text}");
    assert_eq!(result.unanswered, 0, "{text}");
    assert!(result.unknown <= 400, "at most the windows of the silent binds: {text}");
    assert!(result.delivered + result.unknown == result.sent, "nothing was refused: {text}");
}

/// Receipts for a customer who is away wait on disk, through a kill -9 of the gateway.
#[test]
fn receipts_wait_for_an_absent_customer_and_survive_kill_9() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let slow = "[site.receipts.states]\nDELIVRD = { weight = 1, delay = \"500ms\" }\n";
    let sim = one_site(directory.path(), slow);
    let configuration = Configuration::new("auto", 1)
        .customer("bulk", "")
        .vendor("Chicago", sim.address("Chicago").expect("a site"), 1, "")
        .route("", &["Chicago"]);
    let gateway = Gateway::start(directory.path(), &configuration);
    gateway.wait_for_vendor_binds(1.0);
    let mut client = Client::bound(gateway.smpp, BindKind::Transmitter, "bulk");
    let ids: Vec<String> = (0..20)
        .map(|n| client.submit_and_hear("12025550123", &format!("message {n}"), true).message_id())
        .collect();
    drop(client);
    wait_until("all receipts are parked", || gateway.metric("smppgw_store_entries", &["parked"]) >= 20.0);
    gateway.kill();
    let mut gateway = Gateway::start(directory.path(), &configuration);
    let mut client = Client::bound(gateway.smpp, BindKind::Receiver, "bulk");
    let mut receipts: Vec<String> = (0..20).map(|_| receipted_id(&client.hear_delivery().pdu())).collect();
    let mut expected = ids;
    receipts.sort();
    expected.sort();
    assert_eq!(receipts, expected);
    drop(client);
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
    sim.stop().expect("the simulator ends");
}

/// SIGTERM while messages are in flight: each is answered, sessions are unbound, exit 0.
#[test]
fn sigterm_answers_what_is_in_flight_and_unbinds() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let sim = one_site(directory.path(), "[site.response]\nlatency = \"700ms\"\n");
    let configuration = Configuration::new("auto", 1)
        .customer("bulk", "")
        .vendor("Chicago", sim.address("Chicago").expect("a site"), 1, "")
        .route("", &["Chicago"]);
    let mut gateway = Gateway::start(directory.path(), &configuration);
    gateway.wait_for_vendor_binds(1.0);
    let mut client = Client::bound(gateway.smpp, BindKind::Transceiver, "bulk");
    client.submit("12025550123", "in flight", false);
    wait_until("the message is with the vendor", || gateway.metric("smppgw_vendor_sends_total", &[]) >= 1.0);
    gateway.ask_to_end();
    wait_until("readiness says no", || gateway.get("/readyz").0 == 503);
    let answer = client.hear().expect("the answer comes before the end");
    assert_eq!(answer.status(), CommandStatus::ESME_ROK);
    let unbind = client.hear().expect("an orderly end");
    assert_eq!(unbind.pdu(), Pdu::Unbind);
    drop(client);
    assert_eq!(gateway.wait_for_end(), Some(0), "{}", gateway.log());
    sim.stop().expect("the simulator ends");
}

/// MO go to the owner of the number, whichever bind they came on; nobody else sees them.
#[test]
fn mo_reaches_the_owner_of_its_number() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mo = "[site.mo]\nrate = 20\ndestinations = [\"12025550177\"]\n";
    let sim = one_site(directory.path(), mo);
    let configuration = Configuration::new("auto", 2)
        .customer("owner", "numbers = [\"12025550177\"]")
        .customer("other", "")
        .vendor("Chicago", sim.address("Chicago").expect("a site"), 2, "")
        .route("", &["Chicago"]);
    let gateway = Gateway::start(directory.path(), &configuration);
    let mut owner = Client::bound(gateway.smpp, BindKind::Transceiver, "owner");
    let _other = Client::bound(gateway.smpp, BindKind::Transceiver, "other");
    gateway.wait_for_vendor_binds(2.0);
    // The simulator's clock begins with the first submit.
    owner.submit_and_hear("12025550123", "hello", false);
    for _ in 0..5 {
        let heard = owner.hear_delivery();
        match heard.pdu() {
            Pdu::DeliverSm(mo) => assert_eq!(mo.destination.digits, b"12025550177"),
            other => panic!("no MO: {other:?}"),
        }
    }
    drop(gateway);
    sim.stop().expect("the simulator ends");
}

fn one_site(directory: &std::path::Path, of_site: &str) -> sim_smsc::Running {
    let text = format!(
        "[run]\nname = \"test\"\nseed = 7\n[[site]]\nname = \"Chicago\"\nlisten = \"127.0.0.1:0\"\nprofile = \"fast\"\n\
         {of_site}\n[[account]]\nsites = [\"Chicago\"]\nsystem_id = \"gw01\"\npassword = \"secret\"\n"
    );
    let scenario = sim_smsc::Scenario::parse(&text, "test").unwrap_or_else(|error| panic!("{error}\n{text}"));
    let options = sim_smsc::RunOptions { out: Some(directory.to_owned()) };
    sim_smsc::Simulator::start_with(scenario, options).expect("the simulator starts")
}

fn receipted_id(pdu: &Pdu<'_>) -> String {
    let Pdu::DeliverSm(deliver) = pdu else { panic!("no receipt: {pdu:?}") };
    let receipt = smpp::text::receipt::receipt_of(deliver).expect("a receipt");
    String::from_utf8_lossy(receipt.id.expect("an id").value).into_owned()
}

/// A link that says nothing for a while is asked, and cut when it does not answer.
#[test]
fn a_silent_customer_is_cut() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let configuration = Configuration::new("auto", 1)
        .with("[session]\nenquire_link = \"200ms\"\nresponse_timeout = \"200ms\"")
        .customer("bulk", "");
    let gateway = Gateway::start(directory.path(), &configuration);
    let mut client = Client::bound(gateway.smpp, BindKind::Transceiver, "bulk");
    let began = std::time::Instant::now();
    assert_eq!(client.hear().expect("a question").pdu(), Pdu::EnquireLink);
    assert!(client.hear().is_none(), "no answer, no session");
    assert!(began.elapsed() < Duration::from_secs(20));
}
