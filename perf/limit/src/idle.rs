//! Holds binds open and idle: for the resident memory of a gateway per bind.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::wire;

/// A gateway has this long to answer one bind.
const BIND_PATIENCE: Duration = Duration::from_secs(30);
/// Binds sent before their answers are read: keeps the server's accept queue short.
const BINDS_AT_ONCE: usize = 64;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Address to bind to
    #[arg(long)]
    target: SocketAddr,
    /// Binds to hold
    #[arg(long)]
    binds: usize,
    #[arg(long, default_value = "drive")]
    system_id: String,
    #[arg(long, default_value = "secret")]
    password: String,
}

/// Binds, prints a ready line, and holds until standard input ends.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let started = Instant::now();
    let bind = wire::bind(wire::BIND_TRANSCEIVER, 1, &options.system_id, &options.password);
    let mut held: Vec<TcpStream> = Vec::with_capacity(options.binds);
    while held.len() < options.binds {
        let first = held.len();
        for _ in 0..BINDS_AT_ONCE.min(options.binds - first) {
            let mut stream = TcpStream::connect(options.target)
                .with_context(|| format!("connection {} of {}", held.len() + 1, options.binds))?;
            stream.set_read_timeout(Some(BIND_PATIENCE))?;
            stream.write_all(&bind)?;
            held.push(stream);
        }
        for stream in &mut held[first..] {
            answer(stream)?;
        }
    }
    println!(
        "{}",
        serde_json::json!({"ready": true, "program": "limit-idle", "binds": held.len(), "seconds": started.elapsed().as_secs_f64()})
    );
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest)?;
    Ok(())
}

fn answer(stream: &mut TcpStream) -> anyhow::Result<()> {
    let mut header = [0; wire::HEADER];
    stream.read_exact(&mut header).context("no answer to bind")?;
    let status = wire::status(&header);
    ensure!(status == 0, "bind refused with status {status:#x}");
    let length = wire::number(&header, 0) as usize;
    ensure!((wire::HEADER..=wire::PDU_MAX).contains(&length), "bind_resp of {length} octets");
    let mut body = vec![0; length - wire::HEADER];
    stream.read_exact(&mut body)?;
    Ok(())
}
