//! A real Redis for tests: on a free port of the loopback, in a temporary folder, every write synced to its log before
//! it is answered; the log is in memory where the machine has a folder there, since a disk that others keep busy holds Redis
//! up for seconds, and what these tests kill is the process, not the machine. It ends with its handle, also when a test fails. Where `redis-server` is not installed the test fails,
//! unless Redis was given up on purpose (`test-needs`).
#![forbid(unsafe_code)]

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to answer after its start.
const START_MAX: Duration = Duration::from_secs(10);
/// A folder in memory, on most Linux systems.
const MEMORY: &str = "/dev/shm";

/// See the module.
pub struct RedisServer {
    folder: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

impl RedisServer {
    /// Starts one; `None` where tests run without Redis on purpose.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub fn start() -> Option<RedisServer> {
        let mut server = RedisServer::reserve()?;
        server.run();
        Some(server)
    }

    /// A port and a folder for one that is started later by [`RedisServer::run`].
    ///
    /// # Panics
    /// When it is not installed, or there is no port or folder to be had.
    pub fn reserve() -> Option<RedisServer> {
        test_needs::need("redis", || {
            let there = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
            let there = there.is_ok_and(|status| status.success());
            there
                .then_some(())
                .ok_or_else(|| "redis-server does not run (apt-get install redis-server)".into())
        })?;
        let folder = tempfile::tempdir_in(MEMORY).or_else(|_| tempfile::tempdir());
        let folder = folder.expect("a temporary folder");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        Some(RedisServer { folder, port, child: None })
    }

    /// Starts it (again), with what its log holds.
    ///
    /// # Panics
    /// When it does not answer in time.
    pub fn run(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
        command.args(["--maxmemory-policy", "noeviction", "--port"]).arg(self.port.to_string());
        command.arg("--dir").arg(self.folder.path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.expect("redis-server starts"));
        let until = Instant::now() + START_MAX;
        while self.try_ask("PING").as_deref() != Some("+PONG") {
            assert!(Instant::now() < until, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its address as the store takes it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// kill -9.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("ours");
        child.wait().expect("ours");
    }

    /// SIGSTOP: it takes connections and answers nothing.
    pub fn stall(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends one command of plain words and gives the first line of the reply.
    ///
    /// # Panics
    /// When there is none.
    pub fn ask(&self, command: &str) -> String {
        self.try_ask(command).expect("a reply")
    }

    /// A figure of `INFO memory`.
    ///
    /// # Panics
    /// When it is not there.
    pub fn memory(&self, name: &str) -> u64 {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.write_all(b"INFO memory\r\n").expect("it reads");
        let head = format!("{name}:");
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        let line = lines.take(100).find(|line| line.starts_with(&head)).expect("the figure");
        line[head.len()..].trim().parse().expect("a number")
    }

    fn try_ask(&self, command: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(format!("{command}\r\n").as_bytes()).ok()?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).ok()?;
        Some(line.trim_end().to_owned())
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).expect("ours");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
