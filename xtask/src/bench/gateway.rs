//! A gateway for a measurement: one shard, one customer, one vendor, everything else at its default.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::host;
use crate::process::Program;
use crate::project::Built;

/// Its configuration.
const FILE: &str = "gateway.toml";
/// A gateway has this long to open its port.
const READY_PATIENCE: Duration = Duration::from_secs(10);
/// The customer that `limit` binds as when it is not told otherwise.
pub(super) const SYSTEM_ID: &str = "drive";
pub(super) const PASSWORD: &str = "secret";

/// What differs from one measurement to the next.
pub(super) struct Setup {
    pub(super) backend: &'static str,
    pub(super) store: Store,
    /// Where the SMSC listens or will listen.
    pub(super) vendor: SocketAddr,
    pub(super) binds: usize,
    /// Messages in flight per bind, on both sides.
    pub(super) window: usize,
    pub(super) customer_binds_max: usize,
    pub(super) core: usize,
    /// Where it listens; port 0 takes a free one.
    pub(super) listen: SocketAddr,
}

/// Where a gateway keeps correlations.
#[derive(Debug, Clone, Copy)]
pub(super) enum Store {
    None,
    Embedded,
    Redis(SocketAddr),
}

impl Store {
    /// The lines of its section.
    fn lines(self) -> String {
        match self {
            Store::None => "kind = \"none\"".to_owned(),
            Store::Embedded => "kind = \"embedded\"".to_owned(),
            Store::Redis(address) => format!("kind = \"redis\"\nurl = \"redis://{address}\""),
        }
    }
}

/// Any free port.
pub(super) const ANY_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

impl Setup {
    /// The configuration file. The numbers are free ports; the rate is unlimited.
    fn file(&self) -> String {
        let Setup { backend, store, vendor, binds, window, customer_binds_max, core, listen } = self;
        let store = store.lines();
        format!(
            r#"[node]
name = "bench"
id = 1
state_directory = "state"

[runtime]
backend = "{backend}"
shards = 1
cores = [{core}]

[listen]
smpp = "{listen}"
http = "127.0.0.1:0"

[store]
{store}

[[customer]]
system_id = "{SYSTEM_ID}"
password = "{PASSWORD}"
binds_max = {customer_binds_max}
window = {window}
rate = 0

[[vendor]]
name = "limit"
addresses = ["{vendor}"]
system_id = "gw"
password = "secret"
bind_kind = "transceiver"
binds = {binds}
window = {window}
rate_per_bind = 0
reconnect_first = "100ms"

[[route]]
prefix = ""
vendors = [{{ name = "limit", weight = 1 }}]
"#
        )
    }

    /// Starts the gateway on its core in a fresh folder and returns it with the customers' address.
    pub(super) fn start(&self, built: &Built, folder: &Path) -> anyhow::Result<(Program, SocketAddr)> {
        let mut program = self.spawn(built, folder)?;
        let address = listening(&mut program)?;
        Ok((program, address))
    }

    /// Starts the gateway and does not wait for it.
    pub(super) fn spawn(&self, built: &Built, folder: &Path) -> anyhow::Result<Program> {
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join(FILE), self.file())?;
        self.spawn_again(built, folder)
    }

    /// Starts it in a folder where it ran before, with what it left there.
    pub(super) fn spawn_again(&self, built: &Built, folder: &Path) -> anyhow::Result<Program> {
        let file = folder.join(FILE);
        let log = folder.join("gateway.log");
        host::on_core(self.core, || {
            built.start("gateway", &log, |command| {
                command.arg("run").arg(&file);
            })
        })
    }
}

/// The customers' address of a program from its ready line.
pub(super) fn listening(program: &mut Program) -> anyhow::Result<SocketAddr> {
    let ready = program.ready(READY_PATIENCE)?;
    let address = ready["listen"]["smpp"].as_str().context("the ready line has no listen.smpp")?;
    Ok(address.parse()?)
}
