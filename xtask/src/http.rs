//! Just enough HTTP to ask a program on this machine.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, ensure};

/// A program on the same machine answers within this time or something is wrong.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest answer read.
const ANSWER_MAX: u64 = 4 * 1024 * 1024;

/// The body of `GET path`.
///
/// # Errors
/// When the program does not answer, or not with 200.
pub(crate) fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_MAX).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    ensure!(status == "200", "{path}: status {status}: {}", body.trim());
    Ok(body.to_owned())
}
