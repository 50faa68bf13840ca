//! SMPP stacks that were not written here, as customers and as vendors, with what is odd on the other side: npm's `smpp`,
//! Python's `smpp.twisted3` and Perl's `Net::SMPP`. The peers are small programs under `foreign/`.

mod support;

use serde_json::Value;
use smpp::field::{CommandId, CommandStatus};
use smpp::pdu::{BindKind, Pdu};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use support::client::Client;
use support::smsc::StrictSmsc;
use support::{Configuration, Gateway, PATIENCE, wait_until};

/// Names the folder `node_modules` that has `smpp`; `cargo xtask test` sets it.
const NODE_MODULES: &str = "SMPP_NODE_MODULES";
/// Names the Python that has `smpp.twisted3` and `pyOpenSSL`; `cargo xtask test` sets it.
const TWISTED_PYTHON: &str = "SMPPTWISTED_PYTHON";

/// A foreign stack.
#[derive(Clone, Copy)]
enum Stack {
    Node,
    Twisted,
    Perl,
}

impl Stack {
    /// Whether it is there; false only where it was given up on purpose.
    fn is_wanted(self) -> bool {
        let name = match self {
            Stack::Node => "node-smpp",
            Stack::Twisted => "smpp.twisted3",
            Stack::Perl => "net-smpp",
        };
        test_needs::need(name, || self.find()).is_some()
    }

    fn find(self) -> Result<(), String> {
        let (mut command, variable) = match self {
            Stack::Node => {
                let mut command = Command::new("node");
                command.env("NODE_PATH", std::env::var_os(NODE_MODULES).unwrap_or_default());
                command.args(["-e", "require('smpp')"]);
                (command, NODE_MODULES)
            }
            Stack::Twisted => {
                let mut command = Command::new(Self::python());
                command.args(["-W", "ignore", "-c", "import smpp.twisted.client"]);
                (command, TWISTED_PYTHON)
            }
            Stack::Perl => {
                let mut command = Command::new("perl");
                command.args(["-MNet::SMPP", "-e", "1"]);
                (command, "perl")
            }
        };
        match command.output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(format!("{variable}: {}", String::from_utf8_lossy(&output.stderr))),
            Err(error) => Err(format!("{variable}: {error}")),
        }
    }

    fn python() -> PathBuf {
        std::env::var_os(TWISTED_PYTHON).map_or_else(|| PathBuf::from("python3"), PathBuf::from)
    }

    /// Its program, `customer` or `smsc`, to be started with arguments.
    fn command(self, role: &str) -> Command {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/foreign");
        match self {
            Stack::Node => {
                let mut command = Command::new("node");
                command.env("NODE_PATH", std::env::var_os(NODE_MODULES).unwrap_or_default());
                command.arg(folder.join(format!("node_{role}.js")));
                command
            }
            Stack::Twisted => {
                let mut command = Command::new(Self::python());
                command.args(["-W", "ignore"]).arg(folder.join(format!("twisted_{role}.py")));
                command
            }
            Stack::Perl => {
                let mut command = Command::new("perl");
                command.arg(folder.join(format!("perl_{role}.pl")));
                command
            }
        }
    }
}

/// A foreign vendor; ended with its handle.
struct Smsc {
    child: Child,
    address: SocketAddr,
    lines: Receiver<Value>,
    events: Vec<Value>,
}

impl Smsc {
    fn start(stack: Stack) -> Smsc {
        let mut child = stack
            .command("smsc")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the interpreter is there");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if let Ok(event) = serde_json::from_str(&line)
                    && tell.send(event).is_err()
                {
                    return;
                }
            }
        });
        let first: Value = lines.recv_timeout(PATIENCE).expect("it listens");
        let port = first["port"].as_u64().expect("a port") as u16;
        Smsc { child, address: ([127, 0, 0, 1], port).into(), lines, events: Vec::new() }
    }

    /// How many events of this name there were.
    fn count(&mut self, name: &str) -> usize {
        self.events.extend(self.lines.try_iter());
        self.events.iter().filter(|event| event["event"] == name).count()
    }
}

impl Drop for Smsc {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A PDU with any body, its length as it should be.
fn pdu(command: CommandId, sequence: u32, body: &[u8]) -> Vec<u8> {
    let words = [16 + body.len() as u32, command.0, 0, sequence];
    words.iter().flat_map(|word| word.to_be_bytes()).chain(body.iter().copied()).collect()
}

/// A submit_sm or deliver_sm that ends with these octets from `sm_length` on.
fn message(
    command: CommandId,
    sequence: u32,
    source: &[u8],
    [esm_class, registered]: [u8; 2],
    tail: &[u8],
) -> Vec<u8> {
    let body = [
        &b"\0\x01\x01"[..],
        source,
        b"\0\x01\x0112025550123\0",
        &[esm_class, 0, 0, 0, 0, registered, 0, 0, 0],
        tail,
    ];
    pdu(command, sequence, &body.concat())
}

/// What a customer may send that each of these stacks ends a session over, or leaves unanswered: the source, the end of
/// the PDU, and what the customer is told.
fn odd_submits() -> Vec<(&'static [u8], Vec<u8>, CommandStatus)> {
    let source: &[u8] = b"12025550100";
    let taken = [
        &b"\x05hello\0"[..],
        b"\x05hello\0\0\0",
        b"\x0Ahi",
        b"\xFFhi",
        b"\x02hi\0\x1E\0\x41ab",
        b"\x02hi\x02\x04\0\x02\x01",
        b"\x02hi\x02\x04\0\x01\x07",
        b"\x02hi\x14\0\0\x01A\0\x1E\0\x41ab",
        b"\x02hi\x04\x24\0\x05hello",
    ];
    let mut cases: Vec<(&[u8], Vec<u8>, CommandStatus)> =
        taken.iter().map(|tail| (source, tail.to_vec(), CommandStatus::ESME_ROK)).collect();
    cases.push((&[b'1'; 40], b"\x02hi".to_vec(), CommandStatus::ESME_RINVSRCADR));
    cases.push((&[b'1'; 60], b"\x02hi".to_vec(), CommandStatus::ESME_RINVSRCADR));
    cases.push((source, b"\0\x04\x24\0\x09abc".to_vec(), CommandStatus::ESME_RINVOPTPARSTREAM));
    cases
}

/// Sends octets; the status of their answer. Deliveries that come before it are acknowledged.
fn ask(client: &mut Client, octets: &[u8]) -> CommandStatus {
    client.raw(octets);
    loop {
        let heard = client.hear().expect("an answer");
        if heard.command().is_response() {
            return heard.status();
        }
        client.acknowledge(&heard);
    }
}

/// A foreign vendor keeps its one session over everything that a customer may send, and its receipts come.
fn a_vendor_keeps_its_session(stack: Stack) {
    if !stack.is_wanted() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut smsc = Smsc::start(stack);
    let configuration = Configuration::new("auto", 1)
        .customer("odd", "")
        .vendor("foreign", smsc.address, 1, "pdu_size_max = 16384")
        .route("", &["foreign"]);
    let mut gateway = Gateway::start(directory.path(), &configuration);
    gateway.wait_for_vendor_binds(1.0);
    let mut client = Client::bound(gateway.smpp, BindKind::Transceiver, "odd");
    let mut sent = 0;
    for (sequence, (source, tail, status)) in (100..).zip(odd_submits()) {
        let octets = message(CommandId::SUBMIT_SM, sequence, source, [0, 1], &tail);
        assert_eq!(ask(&mut client, &octets), status, "{}", tail.escape_ascii());
        sent += usize::from(status.is_ok());
    }
    // Long messages in three forms: parts with a header, parts with SAR parameters, a payload.
    let header = |number| [&[106, 5, 0, 3, 7, 2, number][..], &[b'u'; 100]].concat();
    let sar = |number| {
        let parameters = [&b"\x02\x0C\0\x02\0\x07\x02\x0E\0\x01\x02\x02\x0F\0\x01"[..], &[number]].concat();
        [&[150][..], &[b's'; 150], &parameters].concat()
    };
    let payload = [&b"\0\x04\x24\x02\x58"[..], &[b'p'; 600]].concat();
    let too_long = [&b"\0\x04\x24\x40\0"[..], &[b'p'; 0x4000]].concat();
    let longs = [(0x40, header(1)), (0x40, header(2)), (0, sar(1)), (0, sar(2)), (0, payload)];
    for (sequence, (esm_class, tail)) in (200..).zip(longs) {
        let octets = message(CommandId::SUBMIT_SM, sequence, b"12025550100", [esm_class, 1], &tail);
        assert_eq!(ask(&mut client, &octets), CommandStatus::ESME_ROK);
        sent += 1;
    }
    let octets = message(CommandId::SUBMIT_SM, 300, b"12025550100", [0, 1], &too_long);
    assert_eq!(ask(&mut client, &octets), CommandStatus::ESME_RINVMSGLEN);
    while (client.deliveries as usize) < sent {
        client.hear_delivery();
    }
    wait_until("the vendor tells of each message", || smsc.count("message") == sent);
    let counts = ["bind", "error", "close"].map(|event| smsc.count(event));
    assert_eq!(counts, [1, 0, 0], "{:?}", smsc.events);
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
}

/// A foreign customer of each bind kind keeps its session over everything that a vendor may send.
fn a_customer_keeps_its_session(stack: Stack, refused: &[&str]) {
    if !stack.is_wanted() {
        return;
    }
    const MESSAGES: usize = 6;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let vendor = StrictSmsc::start();
    let configuration = Configuration::new("auto", 1)
        .customer("foreign", "numbers = [\"12025550123\"]")
        .vendor("strict", vendor.address, 1, "")
        .route("", &["strict"]);
    let mut gateway = Gateway::start(directory.path(), &configuration);
    gateway.wait_for_vendor_binds(1.0);
    let odd = odd_submits();
    let taken = odd.iter().filter(|(.., status)| status.is_ok()).count();
    let child = stack
        .command("customer")
        .args([&gateway.smpp.to_string(), "foreign", "secret", &(MESSAGES + taken).to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the interpreter is there");
    wait_until("the customer submitted all", || vendor.messages().len() == MESSAGES);
    for (sequence, (source, tail, status)) in (100..).zip(odd) {
        vendor.send(&message(CommandId::DELIVER_SM, sequence, source, [0, 0], &tail));
        let answer = vendor.answer(CommandId::DELIVER_SM_RESP, sequence);
        assert_eq!(answer[8..12], status.0.to_be_bytes(), "{}", tail.escape_ascii());
    }
    for id in 1..=MESSAGES {
        let text = format!(
            "id:{id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:DELIVRD err:000 text:"
        );
        // An id without its NUL, and a cut parameter behind it.
        let id = id.to_string();
        let named =
            [&[0, 0x1E, 0, id.len() as u8][..], id.as_bytes(), b"\x04\x27\0\x01\x02\0\x1E\0\x41ab"].concat();
        let tail = [&[text.len() as u8][..], text.as_bytes(), &named].concat();
        vendor.send(&message(CommandId::DELIVER_SM, 200, b"12025550123", [0x04, 0], &tail));
    }
    let output = child.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let done: Value = serde_json::from_slice(&output.stdout).expect("one line of JSON");
    assert_eq!(done["bound"], serde_json::json!(["transmitter", "receiver", "transceiver"]));
    assert_eq!((&done["accepted"], &done["receipts"]), (&MESSAGES.into(), &MESSAGES.into()), "{done}");
    assert_eq!(done["texts"].as_array().map(Vec::len), Some(taken), "{done}");
    assert_eq!(done["refused"].as_array().cloned().unwrap_or_default(), refused, "{told}");
    assert_eq!((vendor.odd(), vendor.binds()), (Vec::new(), 1));
    let payloads = vendor.messages().iter().filter(|pdu| is_long(pdu)).count();
    assert_eq!(payloads, 5, "long messages in three forms: two parts, two parts, one payload");
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
}

fn is_long(pdu: &[u8]) -> bool {
    let frame = smpp::Frame::whole(pdu).expect("one PDU");
    match Pdu::decode(frame, &smpp::Dialect::strict()) {
        Ok(Pdu::SubmitSm(submit)) => submit.payload().len() >= 100,
        _ => false,
    }
}

#[test]
fn npm_smpp_as_vendor_keeps_its_session() {
    a_vendor_keeps_its_session(Stack::Node);
}

#[test]
fn npm_smpp_as_customer_keeps_its_session() {
    a_customer_keeps_its_session(Stack::Node, &[]);
}

#[test]
fn twisted_as_vendor_keeps_its_session() {
    a_vendor_keeps_its_session(Stack::Twisted);
}

#[test]
fn twisted_as_customer_keeps_its_session() {
    a_customer_keeps_its_session(Stack::Twisted, &["SMPPTransactionError", "SMPPTransactionError"]);
}

#[test]
fn perl_as_vendor_keeps_its_session() {
    a_vendor_keeps_its_session(Stack::Perl);
}

#[test]
fn perl_as_customer_keeps_its_session() {
    a_customer_keeps_its_session(
        Stack::Perl,
        &[
            "Invalid destination address (ESME_RINVDSTADR=0x0000000B)",
            "query_sm request failed (ESME_RQUERYFAIL=0x00000067)",
        ],
    );
}
