//! Kannel as a customer: its bearerbox binds with a transmitter and a receiver of its own, or with one transceiver; what is
//! submitted over its HTTP interface, receipts and messages from handsets go their way, and it is never made to bind again.

mod support;

use smpp::field::{CommandId, CommandStatus};
use smpp::pdu::Pdu;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use support::smsc::StrictSmsc;
use support::{Configuration, Gateway, PATIENCE, wait_until};

const BEARERBOX: &str = "/usr/sbin/bearerbox";
const SMSBOX: &str = "/usr/sbin/smsbox";

/// A port where nobody listens now: Kannel cannot be asked which one it took.
fn free_port() -> u16 {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    address.expect("a free port").port()
}

/// A program of Kannel's that ends with its handle.
struct Program(Child);

impl Program {
    fn start(program: &str, directory: &Path) -> Program {
        let log = std::fs::File::create(directory.join(log_of(program))).expect("a writable directory");
        let child = Command::new(program)
            .args(["-v", "0"])
            .arg(directory.join("kannel.conf"))
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        Program(child.expect("Kannel is there"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn log_of(program: &str) -> String {
    format!("{}.log", program.rsplit('/').next().unwrap_or(program))
}

/// A site that Kannel calls: the path of each request, in the order of arrival.
struct Site {
    address: SocketAddr,
    paths: Arc<Mutex<Vec<String>>>,
}

impl Site {
    fn start() -> Site {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let paths = Arc::<Mutex<Vec<String>>>::default();
        let told = paths.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let told = told.clone();
                std::thread::spawn(move || answer_calls(stream, &told));
            }
        });
        Site { address, paths }
    }

    /// The calls whose path begins so.
    fn calls(&self, beginning: &str) -> Vec<String> {
        let paths = self.paths.lock().expect("no panic elsewhere");
        paths.iter().filter(|path| path.starts_with(beginning)).cloned().collect()
    }
}

fn answer_calls(mut stream: TcpStream, told: &Mutex<Vec<String>>) {
    stream.set_read_timeout(Some(PATIENCE)).expect("settable");
    let mut lines =
        BufReader::new(stream.try_clone().expect("a socket can be shared")).lines().map_while(Result::ok);
    while let Some(first) = lines.next() {
        while lines.next().is_some_and(|line| !line.is_empty()) {}
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        told.lock().expect("no panic elsewhere").push(path);
        let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n";
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// The answer to a GET at a local port; `None` while nobody listens there.
fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).expect("settable");
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// Kannel as a customer of a gateway, and its site.
struct Kannel {
    /// Ended first.
    _smsbox: Program,
    _bearerbox: Program,
    send_port: u16,
    site: Site,
}

impl Kannel {
    /// Starts it with a bind for each of these lines, which choose its kind.
    fn start(directory: &Path, binds: &[String]) -> Kannel {
        let site = Site::start();
        let [admin_port, box_port, send_port] = [(); 3].map(|()| free_port());
        let binds = binds.iter().map(|kind| {
            format!(
                "group = smsc\nsmsc = smpp\nsmsc-id = gateway\nhost = 127.0.0.1\n{kind}\n\
                 smsc-username = kannel\nsmsc-password = secret\nsystem-type = \"\"\n\
                 enquire-link-interval = 1\nreconnect-delay = 1\n\n"
            )
        });
        let text = format!(
            "group = core\nadmin-port = {admin_port}\nadmin-interface = 127.0.0.1\nadmin-password = secret\n\
             smsbox-port = {box_port}\nsmsbox-interface = 127.0.0.1\n\n\
             {}\
             group = smsbox\nbearerbox-host = 127.0.0.1\nsendsms-port = {send_port}\n\
             sendsms-interface = 127.0.0.1\n\n\
             group = sendsms-user\nusername = tester\npassword = secret\nconcatenation = true\nmax-messages = 5\n\n\
             group = sms-service\nkeyword = default\nget-url = \"http://{}/mo?text=%a\"\nmax-messages = 0\n\
             accept-x-kannel-headers = true\ncatch-all = true\n",
            binds.collect::<String>(),
            site.address,
        );
        std::fs::write(directory.join("kannel.conf"), text).expect("a writable directory");
        let bearerbox = Program::start(BEARERBOX, directory);
        wait_until("the bearerbox listens", || TcpStream::connect(("127.0.0.1", box_port)).is_ok());
        let smsbox = Program::start(SMSBOX, directory);
        wait_until("the smsbox listens", || get(send_port, "/").is_some());
        Kannel { _smsbox: smsbox, _bearerbox: bearerbox, send_port, site }
    }

    /// Submits a text with a receipt requested.
    fn submit(&self, text: &str) {
        let site = self.site.address;
        let path = format!(
            "/cgi-bin/sendsms?username=tester&password=secret&from=12025550100&to=12025550123&text={text}\
             &dlr-mask=31&dlr-url=http%3A%2F%2F{site}%2Fdlr%3Fkind%3D%25d"
        );
        let answer = get(self.send_port, &path).expect("the smsbox listens");
        assert!(answer.starts_with("HTTP/1.0 202"), "{answer}");
    }
}

/// What its programs logged as errors.
fn errors(directory: &Path) -> Vec<String> {
    let logs = [BEARERBOX, SMSBOX].map(|program| std::fs::read_to_string(directory.join(log_of(program))));
    let lines = logs.iter().flatten().flat_map(|log| log.lines());
    lines.filter(|line| line.contains(" ERROR: ") || line.contains(" PANIC: ")).map(str::to_owned).collect()
}

/// A deliver_sm that ends with these octets from `sm_length` on.
fn deliver(sequence: u32, source: &[u8], esm_class: u8, tail: &[u8]) -> Vec<u8> {
    let head = [&b"\0\x01\x01"[..], source, b"\0\x01\x0112025550123\0", &[esm_class, 0, 0, 0, 0, 0, 0, 0, 0]]
        .concat();
    let words = [16 + (head.len() + tail.len()) as u32, CommandId::DELIVER_SM.0, 0, sequence];
    words.iter().flat_map(|word| word.to_be_bytes()).chain(head).chain(tail.iter().copied()).collect()
}

/// Ends of messages from a handset that are not to the letter, and one that is.
const ODD: [&[u8]; 7] = [
    b"\x05hello",
    b"\x05hello\0",
    b"\x0Ahi",
    b"\xFFhi",
    b"\x02hi\0\x1E\0\x41ab",
    b"\x02hi\x14\0\0\x01A\0\x1E\0\x41ab",
    b"\x02hi\x04\x24\0\x05hello",
];

/// Whether a submit_sm asks for a receipt.
fn wants_receipt(octets: &[u8]) -> bool {
    let frame = smpp::Frame::whole(octets).expect("one PDU");
    match Pdu::decode(frame, &smpp::Dialect::strict()) {
        Ok(Pdu::SubmitSm(submit)) => submit.registered_delivery.0 & 0x03 != 0,
        other => panic!("a submit_sm was expected: {other:?}"),
    }
}

/// Kannel with a bind for each of these lines keeps them over submits, receipts and everything odd that a vendor sends.
fn it_keeps_its_binds(kinds: &[&str]) {
    let is_there =
        || Path::new(SMSBOX).exists().then_some(()).ok_or_else(|| "apt-get install kannel".to_owned());
    if test_needs::need("kannel", is_there).is_none() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let vendor = StrictSmsc::start();
    let configuration = Configuration::new("auto", 1)
        .customer("kannel", "numbers = [\"12025550123\"]")
        .vendor("strict", vendor.address, 1, "")
        .route("", &["strict"]);
    let mut gateway = Gateway::start(directory.path(), &configuration);
    gateway.wait_for_vendor_binds(1.0);
    let kinds: Vec<String> =
        kinds.iter().map(|kind| kind.replace("PORT", &gateway.smpp.port().to_string())).collect();
    let kannel = Kannel::start(directory.path(), &kinds);
    let binds = kinds.len() as f64;
    let bound = || gateway.metric("smppgw_links", &["side=\"customer\"", "state=\"bound\""]);
    wait_until("Kannel is bound", || bound() == binds);

    kannel.submit("hello");
    kannel.submit(&"long".repeat(100));
    wait_until("the vendor has one message and three parts", || vendor.messages().len() == 4);
    for (sequence, tail) in (100..).zip(ODD) {
        vendor.send(&deliver(sequence, b"12025550100", 0, tail));
        let answer = vendor.answer(CommandId::DELIVER_SM_RESP, sequence);
        assert_eq!(answer[8..12], CommandStatus::ESME_ROK.0.to_be_bytes(), "{}", tail.escape_ascii());
    }
    wait_until("each message from a handset is there", || kannel.site.calls("/mo").len() == ODD.len());
    let wanted: Vec<u8> = (1..)
        .zip(vendor.messages())
        .filter(|(_, message)| wants_receipt(message))
        .map(|(id, _)| id)
        .collect();
    assert!(wanted.len() >= 2, "one for each text at least");
    // With two binds Kannel may read a receipt before the answer that names its message, and then drops it.
    wait_until("Kannel was told that the vendor has them", || {
        kannel.site.calls("/dlr?kind=8").len() == wanted.len()
    });
    for &id in &wanted {
        let text = format!(
            "id:{id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:DELIVRD err:000 text:"
        );
        let length = text.len() as u8;
        // A cut parameter behind the id.
        let named = [&b"\0\x1E\0\x02"[..], &[b'0' + id, 0], b"\x04\x27\0\x01\x02\0\x1E\0\x41ab"].concat();
        let tail = [&[length][..], text.as_bytes(), &named].concat();
        vendor.send(&deliver(200 + u32::from(id), b"12025550123", 0x04, &tail));
    }
    wait_until("each receipt is there", || kannel.site.calls("/dlr?kind=1").len() == wanted.len());

    let accepted = gateway.metric("smppgw_binds_total", &["side=\"customer\""]);
    assert_eq!((bound(), accepted), (binds, binds), "no bind was lost");
    assert_eq!((vendor.odd(), vendor.binds()), (Vec::new(), 1));
    assert_eq!(errors(directory.path()), Vec::<String>::new());
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
}

#[test]
fn kannel_keeps_a_transmitter_and_a_receiver() {
    it_keeps_its_binds(&["port = PORT", "receive-port = PORT"]);
}

#[test]
fn kannel_keeps_a_transceiver() {
    it_keeps_its_binds(&["port = PORT\ntransceiver-mode = true"]);
}
