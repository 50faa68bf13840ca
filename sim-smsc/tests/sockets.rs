//! The simulator in this process, on real sockets and both back ends.

mod support;

use ledger::{Kind, MessageKey, Reader};
use runtime::BackendChoice;
use sim_smsc::{LEDGER_FILE, RunOptions, Running, Scenario, Simulator};
use smpp::field::{CommandId, CommandStatus};
use support::{Client, Heard, http, scenario};

fn each_backend(test: fn(BackendChoice)) {
    test(BackendChoice::Tokio);
    if runtime::testing::glommio_allowed() {
        test(BackendChoice::Glommio);
    }
}

fn start(backend: BackendChoice, site: &str, rest: &str) -> Running {
    start_with(backend, site, rest, RunOptions::default())
}

fn start_with(backend: BackendChoice, site: &str, rest: &str, options: RunOptions) -> Running {
    let mut scenario = Scenario::parse(&scenario(site, rest), "test").unwrap();
    scenario.backend = backend;
    Simulator::start_with(scenario, options).unwrap()
}

/// Hears answers and receipts until there are so many of each; acknowledges receipts.
fn exchange(client: &mut Client, answers: usize, receipts: usize) -> (Vec<Heard>, Vec<Heard>) {
    let (mut answered, mut received) = (Vec::new(), Vec::new());
    while answered.len() < answers || received.len() < receipts {
        let heard = client.hear().expect("the connection stands");
        if heard.command == CommandId::DELIVER_SM {
            client.ack(heard.sequence);
            received.push(heard);
        } else if heard.command == CommandId::SUBMIT_SM_RESP {
            answered.push(heard);
        }
    }
    (answered, received)
}

#[test]
fn messages_receipts_and_the_ledger() {
    each_backend(|backend| {
        let folder = tempfile::tempdir().unwrap();
        let running = start_with(backend, "", "", RunOptions { out: Some(folder.path().into()) });
        let mut client = Client::bound(running.address("A").unwrap());
        (0..100).for_each(|sequence| client.submit(sequence + 2));
        let (answers, receipts) = exchange(&mut client, 100, 100);
        assert!(answers.iter().all(|answer| answer.status.is_ok() && answer.body.len() > 10));
        let text = String::from_utf8_lossy(&receipts[0].body).into_owned();
        assert!(text.contains(" sub:001 dlvrd:001 submit date:"), "{text}");
        assert_eq!(running.report()[0].sessions.len(), 1);
        let summary = running.stop().unwrap();
        let counters = &summary.site("A").unwrap().counters;
        assert_eq!((counters.accepted, counters.receipts_sent), (100, 100));

        let (meta, records) = Reader::open(folder.path().join(LEDGER_FILE)).unwrap();
        assert_eq!(meta.parties, ["A"]);
        let records: Vec<_> = records.collect();
        let count = |kind| records.iter().filter(|record| record.kind == kind).count();
        assert_eq!((count(Kind::Accepted), count(Kind::ReceiptSent)), (100, 100));
        assert!(
            records.iter().any(|r| r.key == MessageKey { run: 1, account: 0, sequence: 101, segment: 0 })
        );
    });
}

#[test]
fn binds_are_refused_and_bad_bytes_end_their_connection_only() {
    each_backend(|backend| {
        let running = start(backend, "binds = { max = 1 }", "");
        let address = running.address("A").unwrap();
        assert_eq!(Client::connect(address).bind("gw", "no"), CommandStatus::ESME_RINVPASWD);
        assert_eq!(Client::connect(address).bind("who", "pw"), CommandStatus::ESME_RINVSYSID);
        let mut client = Client::bound(address);
        assert_eq!(Client::connect(address).bind("gw", "pw"), CommandStatus::ESME_RALYBND);
        let mut stranger = Client::connect(address);
        stranger.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n");
        while stranger.hear().is_some() {}
        client.submit(2);
        exchange(&mut client, 1, 1);
        running.stop().unwrap();
    });
}

#[test]
fn faults_over_the_control_port() {
    each_backend(|backend| {
        let running = start(backend, "", "");
        let (address, control) = (running.address("A").unwrap(), running.http().unwrap());
        let mut client = Client::bound(address);
        assert_eq!(http(control, "POST", "/faults", "{\"kind\":\"nothing\"}").0, 400);
        assert_eq!(http(control, "POST", "/faults", "not json").0, 400);

        assert_eq!(http(control, "POST", "/faults", "{\"kind\":\"stall-responses\"}").0, 200);
        client.submit(2);
        let receipt = client.hear().unwrap();
        assert_eq!(receipt.command, CommandId::DELIVER_SM);
        client.ack(receipt.sequence);
        let (_, state) = http(control, "GET", "/state", "");
        assert!(state.contains("\"faults\":[\"stall-responses\"]"), "{state}");
        assert_eq!(http(control, "DELETE", "/faults", "").0, 200);
        assert_eq!(client.hear().unwrap().command, CommandId::SUBMIT_SM_RESP);

        let (_, counters) = http(control, "GET", "/counters", "");
        let counters: serde_json::Value = serde_json::from_str(&counters).unwrap();
        assert_eq!(counters["A"]["accepted"], 1);
        let (_, sessions) = http(control, "GET", "/sessions", "");
        assert!(sessions.contains("\"kind\":\"transceiver\""), "{sessions}");

        http(control, "POST", "/faults", "{\"kind\":\"rst\"}");
        assert_eq!(client.hear(), None);
        Client::bound(address);
        running.stop().unwrap();
    });
}

#[test]
fn a_refused_port_opens_again() {
    each_backend(|backend| {
        let running = start(backend, "", "");
        let address = running.address("A").unwrap();
        running.inject_json("{\"kind\":\"refuse\"}").unwrap();
        assert!(std::net::TcpStream::connect(address).is_err());
        running.heal();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while std::net::TcpStream::connect(address).is_err() {
            assert!(std::time::Instant::now() < deadline, "the port did not open again");
            std::thread::yield_now();
        }
        Client::bound(address);
        running.stop().unwrap();
    });
}

#[test]
fn a_half_open_site_says_nothing_and_comes_back() {
    each_backend(|backend| {
        let running = start(backend, "", "");
        let address = running.address("A").unwrap();
        let mut client = Client::bound(address);
        running.inject_json("{\"kind\":\"half-open\"}").unwrap();
        client.submit(2);
        let mut newcomer = Client::connect(address);
        newcomer.write(&[0, 0, 0, 16, 0, 0, 0, 21, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(running.counters("A").unwrap().submits, 0);
        running.heal();
        assert_eq!(client.hear(), None, "reset in the end, the submit in it never processed");
        assert_eq!(newcomer.hear(), None);
        let mut client = Client::bound(address);
        client.submit(3);
        exchange(&mut client, 1, 1);
        let summary = running.stop().unwrap();
        assert_eq!(summary.site("A").unwrap().counters.submits, 1);
    });
}

#[test]
fn several_sites_on_several_threads_share_one_ledger() {
    each_backend(|backend| {
        let folder = tempfile::tempdir().unwrap();
        let second = "[[site]]\nname = 'B'\nlisten = '127.0.0.1:0'\nprofile = 'fast'\n[run]\nshards = 2\n";
        let running = start_with(backend, "", second, RunOptions { out: Some(folder.path().into()) });
        for name in ["A", "B"] {
            let mut client = Client::bound(running.address(name).unwrap());
            (2..12).for_each(|sequence| client.submit(sequence));
            exchange(&mut client, 10, 10);
        }
        running.stop().unwrap();
        let (meta, records) = Reader::open(folder.path().join(LEDGER_FILE)).unwrap();
        assert_eq!(meta.parties, ["A", "B"]);
        let accepted: Vec<_> = records.filter(|r| r.kind == Kind::Accepted).map(|r| r.party).collect();
        assert_eq!(accepted.iter().filter(|party| **party == 0).count(), 10);
        assert_eq!(accepted.iter().filter(|party| **party == 1).count(), 10);
    });
}
