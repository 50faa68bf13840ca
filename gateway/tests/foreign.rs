//! Peers that were not written here: a Python client as customer, and a foreign dissector over both legs.

mod support;

use smpp::pdu::BindKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use support::client::Client;
use support::{Configuration, Gateway, sites, wait_until};

/// Names the Python that has `smpplib`; `cargo xtask test` sets it.
const PYTHON: &str = "SMPPLIB_PYTHON";

const CUSTOMER: &str = r#"
import sys
import smpplib.client, smpplib.consts, smpplib.gsm

host, port = sys.argv[1].split(":")
client = smpplib.client.Client(host, int(port), timeout=60, allow_unknown_opt_params=True)
sent, receipts = {}, []
client.set_message_sent_handler(lambda pdu: sent.update({pdu.sequence: pdu}))
client.set_message_received_handler(lambda pdu: receipts.append(pdu))
client.connect()
client.bind_transceiver(system_id="python", password="secret")
parts, coding, esm_class = smpplib.gsm.make_parts("Grüße vom Python-Kunden " * 8)
for part in parts:
    client.send_message(
        source_addr_ton=smpplib.consts.SMPP_TON_INTL, source_addr_npi=smpplib.consts.SMPP_NPI_ISDN,
        source_addr="12025550100",
        dest_addr_ton=smpplib.consts.SMPP_TON_INTL, dest_addr_npi=smpplib.consts.SMPP_NPI_ISDN,
        destination_addr="12025550123",
        short_message=part, data_coding=coding, esm_class=esm_class, registered_delivery=True)
while len(sent) < len(parts) or len(receipts) < len(parts):
    client.read_once()
ids = sorted(pdu.message_id.decode() for pdu in sent.values())
receipted = sorted(pdu.receipted_message_id.decode().rstrip("\0") for pdu in receipts)
texts = [pdu.short_message.decode() for pdu in receipts]
answers = []
client.set_query_resp_handler(lambda pdu, **rest: answers.append(pdu))
for id in ids:
    client.query_message(
        message_id=id, source_addr_ton=smpplib.consts.SMPP_TON_INTL,
        source_addr_npi=smpplib.consts.SMPP_NPI_ISDN, source_addr="12025550100")
while len(answers) < len(ids):
    client.read_once()
states = [(pdu.status, pdu.message_state) for pdu in answers]
client.unbind()
client.disconnect()
DELIVERED = 2
assert states == [(0, DELIVERED)] * len(ids), states
assert ids == receipted, (ids, receipted)
assert all("stat:DELIVRD" in text and any("id:" + id in text for id in ids) for text in texts), texts
print("parts", len(parts), "ids", len(set(ids)))
"#;

/// Python's smpplib sends a long message with receipts through the gateway, gets answers and receipts, and asks by query_sm
/// what became of each part.
#[test]
fn a_python_customer_gets_answer_and_receipt() {
    let python = std::env::var_os(PYTHON).map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let found = test_needs::need("smpplib", || {
        let imported = Command::new(&python).args(["-c", "import smpplib"]).output();
        let there = imported.is_ok_and(|out| out.status.success());
        there.then_some(()).ok_or_else(|| format!("{python:?} has none; {PYTHON} names another Python"))
    });
    if found.is_none() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let sim = sites(directory.path(), &["Chicago"], "fast", "");
    let configuration = Configuration::new("auto", 1)
        .customer("python", "")
        .vendor("Chicago", sim.address("Chicago").expect("a site"), 2, "")
        .route("", &["Chicago"])
        .with("[cdr]\nrecent_max = 100");
    let mut gateway = Gateway::start(directory.path(), &configuration);
    gateway.wait_for_vendor_binds(2.0);
    let output = Command::new(&python)
        .args(["-W", "ignore", "-c", CUSTOMER, &gateway.smpp.to_string()])
        .output()
        .expect("Python runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "parts 2 ids 2");
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
    sim.stop().expect("the simulator ends");
}

/// A capture that ends with its handle.
struct Capture(Child);

impl Drop for Capture {
    fn drop(&mut self) {
        // SIGTERM, on which it ends the process that captures for it; it may have ended already.
        let process = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

/// Messages that [`talk`] sends with a receipt requested.
const MESSAGES: u32 = 60;

/// tshark decodes both legs of a conversation without one malformed SMPP packet.
#[test]
fn a_foreign_dissector_finds_nothing_malformed() {
    let found = test_needs::need("tshark", || {
        let there = Command::new("tshark").arg("--version").output().is_ok_and(|out| out.status.success());
        there.then_some(()).ok_or_else(|| "it does not run (apt-get install tshark)".into())
    });
    if found.is_none() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let sim = sites(directory.path(), &["Chicago"], "fast", "");
    let vendor = sim.address("Chicago").expect("a site");
    let configuration = Configuration::new("auto", 1)
        .customer("bulk", "")
        .vendor("Chicago", vendor, 1, "")
        .route("1", &["Chicago"]);
    let mut gateway = Gateway::start(directory.path(), &configuration);
    let file = directory.path().join("both-legs.pcapng");
    let ports = [gateway.smpp.port(), vendor.port()];
    let capture = start_capture(&file, ports).expect("tshark may capture on the loopback; root may");
    gateway.wait_for_vendor_binds(1.0);
    talk(&gateway);
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
    sim.stop().expect("the simulator ends");
    // What the capture took is on disk some time later. The gateway unbinds from its vendor last of all, and packets
    // are written in their order.
    let unbound = format!("smpp.command_id == 0x80000006 && tcp.srcport == {}", vendor.port());
    wait_until("the last packet of the conversation is on disk", || {
        !dissected(&file, ports, &unbound).is_empty()
    });
    drop(capture);
    let commands = dissected(&file, ports, "smpp");
    let count = |wanted: &str| commands.iter().filter(|command| *command == wanted).count() as u32;
    for (command, response) in [("0x00000004", "0x80000004"), ("0x00000005", "0x80000005")] {
        assert!(count(command) >= 2 * MESSAGES, "{command} on both legs: {}", count(command));
        assert_eq!(count(command), count(response), "{command} is answered");
    }
    for expected in
        ["0x00000001", "0x80000001", "0x00000009", "0x80000009", "0x00000015", "0x80000015", "0x00000006"]
    {
        assert!(count(expected) > 0, "no {expected} among {commands:?}");
    }
    let malformed = dissected(&file, ports, "_ws.malformed || smpp.command_status == 0x00000003");
    assert_eq!(malformed, Vec::<String>::new());
}

/// The commands of all SMPP PDUs that fit the filter, as a foreign dissector reads them.
fn dissected(file: &Path, ports: [u16; 2], filter: &str) -> Vec<String> {
    let [customers, vendors] = ports.map(|port| format!("tcp.port=={port},smpp"));
    let output = Command::new("tshark")
        .arg("-r")
        .arg(file)
        .args(["-d", &customers, "-d", &vendors])
        .args(["-Y", filter, "-T", "fields", "-e", "smpp.command_id"])
        .output()
        .expect("tshark runs");
    let found = String::from_utf8_lossy(&output.stdout).into_owned();
    found.split_whitespace().flat_map(|line| line.split(',')).map(str::to_owned).collect()
}

/// Starts a capture on loopback and waits until it runs; `None` where that is not allowed.
fn start_capture(file: &Path, [customers, vendors]: [u16; 2]) -> Option<Capture> {
    let filter = format!("tcp port {customers} or tcp port {vendors}");
    let child = Command::new("tshark")
        .args(["-i", "lo", "-q", "-f", &filter, "-w"])
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut capture = Capture(child);
    let mut ended = false;
    wait_until("the capture runs", || {
        ended = capture.0.try_wait().expect("it can be waited for").is_some();
        ended || std::fs::metadata(file).is_ok_and(|file| file.len() > 0)
    });
    (!ended).then_some(capture)
}

/// Binds of each kind, short and long messages, an error, receipts, enquire_link, unbind.
fn talk(gateway: &Gateway) {
    let mut receiver = Client::bound(gateway.smpp, BindKind::Receiver, "bulk");
    receiver.send(&smpp::pdu::Pdu::Unbind);
    receiver.hear();
    let mut client = Client::bound(gateway.smpp, BindKind::Transceiver, "bulk");
    for n in 0..MESSAGES {
        client.submit_and_hear(
            "12025550123",
            &format!("message number {n} {}", "x".repeat(n as usize)),
            true,
        );
    }
    client.submit_and_hear("4915550123", "no route", false);
    client.send(&smpp::pdu::Pdu::EnquireLink);
    client.hear();
    while client.deliveries < MESSAGES {
        client.hear_delivery();
    }
}
