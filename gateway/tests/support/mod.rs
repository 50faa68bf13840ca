//! What every end-to-end test needs: a gateway process that ends with its handle, simulated vendors and load in
//! this process, a plain SMPP client, free ports, and a wait that has an end.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test program uses its part")]

pub mod bulk;
pub mod client;
pub mod smsc;
pub mod way;

use loadgen::reconcile::{Inputs, Reconciliation, explain};
use loadgen::scenario::Scenario as Load;
use loadgen::{Options, Outcome};
use sim_smsc::{RunOptions, Running, Scenario as Sites, Simulator};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest that a test waits for anything. Generous: the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Names the back end of tests that take `auto`: `cargo xtask test --slow` runs them on glommio, too.
const AUTO_BACKEND: &str = "GATEWAY_TEST_BACKEND";

/// Asks again and again until it is so.
///
/// # Panics
/// When it is not so within [`PATIENCE`].
pub fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "waited {PATIENCE:?} in vain until {what}");
        std::thread::yield_now();
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A gateway's configuration, written piece by piece.
pub struct Configuration {
    text: String,
}

impl Configuration {
    pub fn new(backend: &str, shards: u32) -> Self {
        Configuration::node(backend, shards, 1)
    }

    /// One of several nodes.
    pub fn node(backend: &str, shards: u32, id: u8) -> Self {
        let other = std::env::var(AUTO_BACKEND);
        let backend = if backend == "auto" { other.as_deref().unwrap_or(backend) } else { backend };
        let text = format!(
            "[node]\nname = \"gw\"\nid = {id}\nstate_directory = \"state\"\n\
             [runtime]\nbackend = \"{backend}\"\nshards = {shards}\n\
             [listen]\nsmpp = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\n"
        );
        Configuration { text }
    }

    /// Any other lines.
    pub fn with(mut self, lines: &str) -> Self {
        self.text.push_str(lines);
        self.text.push('\n');
        self
    }

    pub fn customer(self, system_id: &str, rest: &str) -> Self {
        self.with(&format!(
            "[[customer]]\nsystem_id = \"{system_id}\"\npassword = \"secret\"\nwindow = 500\n{rest}"
        ))
    }

    pub fn vendor(self, name: &str, address: SocketAddr, binds: u32, rest: &str) -> Self {
        self.with(&format!(
            "[[vendor]]\nname = \"{name}\"\naddresses = [\"{address}\"]\nsystem_id = \"gw01\"\npassword = \"secret\"\n\
             binds = {binds}\nwindow = 200\nreconnect_first = \"50ms\"\nreconnect_max = \"1s\"\n{rest}"
        ))
    }

    pub fn route(self, prefix: &str, vendors: &[&str]) -> Self {
        let mut list = String::new();
        for vendor in vendors {
            let _ = write!(list, "{{ name = \"{vendor}\", weight = 1 }}, ");
        }
        self.with(&format!("[[route]]\nprefix = \"{prefix}\"\nvendors = [{list}]"))
    }

    /// Any free node id.
    pub fn with_any_id(self) -> Self {
        Configuration { text: self.text.replacen("id = 1\n", "id = \"auto\"\n", 1) }
    }

    /// The same on these ports.
    pub fn with_ports(self, smpp: SocketAddr, http: SocketAddr) -> Self {
        let text = self.text.replace("smpp = \"127.0.0.1:0\"", &format!("smpp = \"{smpp}\""));
        Configuration { text: text.replace("http = \"127.0.0.1:0\"", &format!("http = \"{http}\"")) }
    }

    /// Writes it into this directory.
    pub fn write(&self, directory: &Path) -> PathBuf {
        let path = directory.join("gateway.toml");
        std::fs::write(&path, &self.text).expect("a writable directory");
        path
    }
}

/// A gateway process. Killed when dropped.
pub struct Gateway {
    child: Child,
    pub smpp: SocketAddr,
    /// Where customers bind over TLS, if they may.
    pub smpp_tls: Option<SocketAddr>,
    pub http: SocketAddr,
    log: PathBuf,
}

impl Gateway {
    /// Starts the program and waits until it says that it is ready.
    pub fn start(directory: &Path, configuration: &Configuration) -> Gateway {
        Gateway::start_as(Command::new(env!("CARGO_BIN_EXE_gateway")), directory, configuration)
    }

    /// The same with so many file descriptors at most.
    pub fn start_with_descriptors(
        directory: &Path,
        configuration: &Configuration,
        descriptors: u32,
    ) -> Gateway {
        let mut shell = Command::new("sh");
        let limited = format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"");
        shell.arg("-c").arg(limited).arg(env!("CARGO_BIN_EXE_gateway"));
        Gateway::start_as(shell, directory, configuration)
    }

    /// The same where a file that may not grow gives an error, not a signal: see [`Gateway::limit_files`].
    pub fn start_with_file_errors(directory: &Path, configuration: &Configuration) -> Gateway {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg("trap '' XFSZ && exec \"$0\" \"$@\"").arg(env!("CARGO_BIN_EXE_gateway"));
        Gateway::start_as(shell, directory, configuration)
    }

    /// From now on no file may be longer than this, as if the disk were full; none: any length.
    pub fn limit_files(&self, octets: Option<u64>) {
        let process = rustix::process::Pid::from_child(&self.child);
        let limit = rustix::process::Rlimit { current: octets, maximum: None };
        let resource = rustix::process::Resource::Fsize;
        rustix::process::prlimit(Some(process), resource, limit).expect("it runs");
    }

    /// Starts the program, which is to refuse; what it said.
    pub fn refusal(directory: &Path, configuration: &Configuration) -> String {
        let file = configuration.write(directory);
        let mut program = Command::new(env!("CARGO_BIN_EXE_gateway"));
        let output = program.arg("run").arg(&file).stdin(Stdio::null()).output().expect("the program starts");
        assert!(!output.status.success(), "it started");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn start_as(mut program: Command, directory: &Path, configuration: &Configuration) -> Gateway {
        let file = configuration.write(directory);
        let log = directory.join("gateway.log");
        let stderr = std::fs::File::options().create(true).append(true).open(&log).expect("a log file");
        let mut child = program
            .arg("run")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("its output can be read");
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|error| {
            let _ = child.kill();
            panic!("no ready line ({error}): {line:?}\n{}", std::fs::read_to_string(&log).unwrap_or_default())
        });
        let address = |value: &serde_json::Value| value.as_str().and_then(|text| text.parse().ok());
        let smpp = address(&ready["listen"]["smpp"]).expect("an SMPP address");
        let smpp_tls = address(&ready["listen"]["smpp_tls"]);
        let http = address(&ready["http"]).expect("an HTTP address");
        Gateway { child, smpp, smpp_tls, http, log }
    }

    /// kill -9, and waits for the end.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// SIGTERM, and waits for the end; its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.ask_to_end();
        self.wait_for_end()
    }

    /// Waits for the end; its exit code.
    pub fn wait_for_end(&mut self) -> Option<i32> {
        let mut status = None;
        wait_until("the gateway has drained", || {
            status = self.child.try_wait().expect("it can be waited for");
            status.is_some()
        });
        status.and_then(|status| status.code())
    }

    /// SIGTERM alone.
    pub fn ask_to_end(&self) {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).expect("it runs");
    }

    /// Writes another configuration and has it read: SIGHUP.
    pub fn reload(&self, directory: &Path, configuration: &Configuration) {
        configuration.write(directory);
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::HUP).expect("it runs");
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The answer to a GET: status and body.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.http).expect("the HTTP port is open");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
        (status, body)
    }

    /// The sum of all samples of a metric whose line contains every one of these words.
    pub fn metric(&self, name: &str, words: &[&str]) -> f64 {
        let (_, text) = self.get("/metrics");
        let fits = |line: &&str| {
            line.split(['{', ' ']).next() == Some(name) && words.iter().all(|word| line.contains(word))
        };
        text.lines().filter(fits).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Waits until as many vendor binds stand.
    pub fn wait_for_vendor_binds(&self, binds: f64) {
        wait_until(&format!("{binds} vendor binds stand"), || {
            self.metric("smppgw_links", &["side=\"vendor\"", "state=\"bound\""]) >= binds
        });
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already, which is what this is for.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the gateway's log\n{}", self.log());
        }
    }
}

/// Simulated sites on free ports, with a ledger in this directory. `rest` follows the sites.
pub fn sites(directory: &Path, names: &[&str], profile: &str, rest: &str) -> Running {
    let mut text = "[run]\nname = \"test\"\nseed = 7\nt0 = \"first-submit\"\n".to_owned();
    for name in names {
        let _ =
            write!(text, "[[site]]\nname = \"{name}\"\nlisten = \"127.0.0.1:0\"\nprofile = \"{profile}\"\n");
    }
    let _ =
        write!(text, "[[account]]\nsites = {names:?}\nsystem_id = \"gw01\"\npassword = \"secret\"\n{rest}\n");
    let scenario = Sites::parse(&text, "test").unwrap_or_else(|error| panic!("{error}\n{text}"));
    let options = RunOptions { out: Some(directory.to_owned()) };
    Simulator::start_with(scenario, options).expect("the simulator starts")
}

/// Runs this load against the gateway; ledgers go into the directory.
pub fn load(directory: &Path, target: SocketAddr, scenario: &str) -> Outcome {
    let text = format!(
        "[run]\nname = \"test\"\nseed = 11\nlag_max = \"10s\"\n[target]\naddress = \"{target}\"\n{scenario}"
    );
    let scenario = Load::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let options = Options { out: Some(directory.to_owned()), ..Options::default() };
    let outcome = loadgen::run(scenario, options);
    assert_eq!(outcome.failure, None);
    outcome
}

/// Ends the simulator and joins its ledger with the load's.
pub fn reconciled(directory: &Path, sites: Running, outcome: &mut Outcome) -> Reconciliation {
    sites.stop().expect("the ledger is written");
    let ledger = directory.join(sim_smsc::LEDGER_FILE);
    let result = outcome.reconcile(std::slice::from_ref(&ledger)).expect("readable ledgers").clone();
    let inputs = Inputs { loadgen: outcome.ledgers.clone(), sims: vec![ledger], unknown_status: None };
    tell_stories(&result, &inputs);
    result
}

/// Prints the story of the first offender of each class: ledgers are gone when a test has failed.
fn tell_stories(result: &Reconciliation, inputs: &Inputs) {
    for (class, offenders) in &result.offenders {
        let first = offenders.first().and_then(|line| line.split(' ').next());
        if let Some(key) = first.and_then(|key| key.parse().ok()) {
            println!("{class}: {}", explain(inputs, key).expect("readable ledgers"));
        }
    }
}
