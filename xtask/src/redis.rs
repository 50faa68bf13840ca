//! A Redis of our own beside the programs: on a free port, in a folder, ended by its handle.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::host;
use crate::process::Program;

/// It has this long to open its port.
const READY_PATIENCE: Duration = Duration::from_secs(10);
const GLANCE: Duration = Duration::from_millis(10);

/// A running Redis; killed when dropped.
pub(crate) struct Redis {
    pub(crate) program: Program,
    pub(crate) address: SocketAddr,
}

/// Starts `redis-server` in this folder with an append-only file, synced every second.
///
/// # Errors
/// When it is not installed or does not answer.
pub(crate) fn start(folder: &Path) -> anyhow::Result<Redis> {
    std::fs::create_dir_all(folder)?;
    let address = host::free_address()?;
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &address.port().to_string(), "--save", ""]);
    command.args(["--appendonly", "yes", "--appendfsync", "everysec", "--dir"]).arg(folder);
    let mut program = Program::start("redis-server", command, &folder.join("redis.log"))
        .context("Redis is needed: install the package redis-server")?;
    let deadline = Instant::now() + READY_PATIENCE;
    while ask(address, "PING").is_err() {
        program.must_run()?;
        if Instant::now() > deadline {
            bail!("Redis does not answer at {address}");
        }
        std::thread::sleep(GLANCE);
    }
    Ok(Redis { program, address })
}

impl Redis {
    /// A number of `INFO`, such as `used_memory`.
    ///
    /// # Errors
    /// When it does not answer, or has no such number.
    pub(crate) fn info(&self, name: &str) -> anyhow::Result<u64> {
        let text = ask(self.address, "INFO")?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|value| value.trim().parse().ok()).with_context(|| format!("no {name} in INFO"))
    }
}

/// The answer to an inline command, as it stands on the wire.
fn ask(address: SocketAddr, command: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(READY_PATIENCE))?;
    write!(stream, "{command}\r\nQUIT\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    anyhow::ensure!(!answer.starts_with('-'), "Redis: {}", answer.trim());
    Ok(answer)
}
