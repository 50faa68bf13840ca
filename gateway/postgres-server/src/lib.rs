//! A real PostgreSQL for tests and the demo: in a temporary folder, on a free port, ended with its handle. It refuses to
//! run as root, so that as root it runs as Debian's user for it. Where it is not installed a test fails, unless PostgreSQL
//! was given up on purpose (`test-needs`).
#![forbid(unsafe_code)]

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long its start may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where Debian puts the programs, by version.
const PROGRAMS: &str = "/usr/lib/postgresql";

/// See the module.
pub struct Postgres {
    server: Option<Child>,
    programs: PathBuf,
    user: Option<(u32, u32)>,
    port: u16,
    directory: TempDir,
}

impl Postgres {
    /// Makes a database and starts its server, for a test; `None` where tests run without PostgreSQL on purpose.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub fn start() -> Option<Postgres> {
        test_needs::need("postgresql", Postgres::try_start)
    }

    /// Makes a database and starts its server.
    ///
    /// # Errors
    /// When it is not installed, or nobody is there to run it as.
    ///
    /// # Panics
    /// When it is installed and does not start.
    pub fn try_start() -> Result<Postgres, String> {
        let programs = programs().ok_or("PostgreSQL is not installed (apt-get install postgresql)")?;
        let user = user()?;
        let directory = tempfile::tempdir().expect("a temporary directory");
        if let Some((user, group)) = user {
            chown(directory.path(), Some(user), Some(group)).expect("root may");
        }
        let mut postgres = Postgres { server: None, programs, user, port: free_port(), directory };
        let mut command = postgres.command("initdb");
        command.args([
            "--auth=trust",
            "--username=gateway",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C",
            "-D",
        ]);
        let made = command.arg(postgres.data()).output().expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        postgres.start_again();
        Ok(postgres)
    }

    /// Its address as programs take it.
    pub fn url(&self) -> String {
        format!("postgres://gateway@127.0.0.1:{}/postgres", self.port)
    }

    /// kill -9 of the server.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().expect("it runs");
            server.wait().expect("it ends");
        }
    }

    /// Starts the server on the same data and port. The children of one that was killed need a moment to notice.
    ///
    /// # Panics
    /// When it does not start in time.
    pub fn start_again(&mut self) {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let port = self.port.to_string();
            let mut command = self.command("postgres");
            command.arg("-D").arg(self.data()).args(["-p", &port, "-h", "127.0.0.1", "-k", ""]);
            command.args(["-c", "fsync=off", "-c", "log_min_messages=fatal"]); // the machine does not fail here
            self.server = Some(command.spawn().expect("the server starts"));
            if self.is_ready(end) {
                return;
            }
        }
        panic!("no PostgreSQL after {PATIENCE:?}");
    }

    fn is_ready(&mut self, end: Instant) -> bool {
        while Instant::now() < end {
            let port = self.port.to_string();
            let mut command = self.command("pg_isready");
            let asked = command.args(["-q", "-h", "127.0.0.1", "-p", &port]).status();
            if asked.is_ok_and(|status| status.success()) {
                return true;
            }
            let server = self.server.as_mut().expect("started");
            if server.try_wait().expect("it can be waited for").is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// What a statement gives, without ornament.
    ///
    /// # Panics
    /// When the server refuses it.
    pub fn ask(&self, statement: &str) -> String {
        let asked = self
            .command("psql")
            .args(["-XAtq", "-d", &self.url(), "-c", statement])
            .stdout(Stdio::piped())
            .output();
        let asked = asked.expect("psql runs");
        assert!(asked.status.success(), "{statement}: {}", String::from_utf8_lossy(&asked.stderr));
        String::from_utf8_lossy(&asked.stdout).trim().to_owned()
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.directory.path()).stdin(Stdio::null()).stdout(Stdio::null());
        if program == "postgres" {
            command.stderr(Stdio::null());
        }
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            // It may have ended already. Its children end with it.
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

/// The newest version's programs.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(PROGRAMS).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let whole = |path: &PathBuf| path.join("bin/initdb").exists() && path.join("bin/postgres").exists();
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    versions.filter(whole).max_by_key(number).map(|path| path.join("bin"))
}

/// Whom the server runs as: ourselves, or somebody else where we are root.
fn user() -> Result<Option<(u32, u32)>, String> {
    let id = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse::<u32>().ok()
    };
    if id(&["-u"]) != Some(0) {
        return Ok(None);
    }
    let found = id(&["-u", "postgres"]).zip(id(&["-g", "postgres"]));
    found.map(Some).ok_or_else(|| "PostgreSQL does not run as root, and there is no user postgres".into())
}
