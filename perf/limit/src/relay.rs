//! The yardstick: a relay that knows lengths, the response bit and sequence numbers, and nothing else.
//!
//! Customer connection `i` has upstream connection `i`. Each PDU gets a new sequence number on the way out and
//! its response gets the old one back, both written in place into the read buffer, which is then written to the
//! other side in one call.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::conn::{Conn, SCRATCH, each_pdu};
use crate::wire;

/// Requests in flight on one connection and direction; 16 KiB each way.
const IN_FLIGHT_MAX: usize = 4096;
/// Octets waiting for one peer before we stop reading from the other.
const PENDING_MAX: usize = 4 * 1024 * 1024;
const EVENTS_PER_TURN: usize = 256;
const LISTENER: Token = Token(usize::MAX);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Address to accept customers on; port 0 takes a free one
    #[arg(long)]
    listen: SocketAddr,
    /// Address of the SMSC
    #[arg(long)]
    upstream: SocketAddr,
    /// Customer connections to accept at most
    #[arg(long, default_value_t = 64)]
    connections: usize,
}

/// Relays until it is ended from outside.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let mut poll = Poll::new()?;
    let mut listener =
        TcpListener::bind(options.listen).with_context(|| format!("cannot listen on {}", options.listen))?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    println!(
        "{}",
        serde_json::json!({"ready": true, "program": "limit-relay", "listen": {"smpp": listener.local_addr()?.to_string()}})
    );
    let mut pairs: Vec<Option<Pair>> = Vec::new();
    let mut events = Events::with_capacity(EVENTS_PER_TURN);
    let mut scratch = vec![0; SCRATCH];
    let mut again: Vec<Token> = Vec::new();
    let mut ready: Vec<(Token, bool)> = Vec::new();
    loop {
        let timeout = (!again.is_empty()).then_some(std::time::Duration::ZERO);
        poll.poll(&mut events, timeout)?;
        ready.extend(again.drain(..).map(|token| (token, false)));
        ready.extend(events.iter().map(|event| (event.token(), event.is_writable())));
        for (token, writable) in ready.drain(..) {
            if token == LISTENER {
                accept(&listener, &poll, &mut pairs, options)?;
                continue;
            }
            let slot = &mut pairs[token.0 / 2];
            let Some(pair) = slot else { continue };
            match pair.turn(token.0 % 2, writable, &mut scratch) {
                Ok(true) => again.push(token),
                Ok(false) => {}
                Err(error) => {
                    if !is_end_of_stream(&error) {
                        eprintln!("connection {} ended: {error}", token.0 / 2);
                    }
                    *slot = None;
                }
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    poll: &Poll,
    pairs: &mut Vec<Option<Pair>>,
    options: &Options,
) -> anyhow::Result<()> {
    while let Ok((mut customer, _)) = listener.accept() {
        let open = pairs.iter().flatten().count();
        if open >= options.connections {
            eprintln!("refused a connection: {open} are open");
            continue;
        }
        let index = pairs.len();
        let mut upstream = TcpStream::connect(options.upstream)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut customer, Token(2 * index), both)?;
        poll.registry().register(&mut upstream, Token(2 * index + 1), both)?;
        pairs.push(Some(Pair { legs: [Leg::new(customer), Leg::new(upstream)] }));
    }
    Ok(())
}

fn is_end_of_stream(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::UnexpectedEof)
}

/// A customer's connection (0) and its upstream connection (1).
struct Pair {
    legs: [Leg; 2],
}

impl Pair {
    /// Serves one event of one leg. True when the leg must be looked at again without an event.
    fn turn(&mut self, side: usize, writable: bool, scratch: &mut [u8]) -> anyhow::Result<bool> {
        let [first, second] = &mut self.legs;
        let (from, to) = if side == 0 { (first, second) } else { (second, first) };
        if writable && from.conn.pending() > 0 {
            from.conn.flush()?;
        }
        if to.conn.pending() > PENDING_MAX {
            return Ok(true);
        }
        let Some(filled) = from.conn.read(scratch)? else { return Ok(false) };
        let bytes = &mut scratch[..filled.length];
        let end = each_pdu(bytes, |pdu| {
            let sequence = wire::sequence(pdu);
            let new = if wire::command(pdu) & wire::RESPONSE == 0 {
                to.sent.assign(sequence)?
            } else {
                from.sent.take(sequence)?
            };
            wire::put_number(pdu, wire::AT_SEQUENCE, new);
            Ok(())
        })?;
        from.conn.keep(&bytes[end..]);
        to.conn.send(&bytes[..end])?;
        Ok(filled.more)
    }
}

/// One connection and the requests sent on it that wait for a response.
struct Leg {
    conn: Conn,
    sent: SequenceTable,
}

impl Leg {
    fn new(stream: TcpStream) -> Leg {
        Leg { conn: Conn::new(stream), sent: SequenceTable::new() }
    }
}

/// The original sequence number of each request in flight, by its new one; 0 = free.
struct SequenceTable {
    originals: Vec<u32>,
    next: u32,
}

impl SequenceTable {
    fn new() -> SequenceTable {
        SequenceTable { originals: vec![0; IN_FLIGHT_MAX], next: 1 }
    }

    #[inline(always)]
    fn assign(&mut self, original: u32) -> anyhow::Result<u32> {
        let new = self.next;
        let slot = &mut self.originals[new as usize % IN_FLIGHT_MAX];
        ensure!(*slot == 0 && original != 0, "no slot for request {original}");
        *slot = original;
        self.next = wire::next_sequence(new);
        Ok(new)
    }

    #[inline(always)]
    fn take(&mut self, new: u32) -> anyhow::Result<u32> {
        let original = std::mem::take(&mut self.originals[new as usize % IN_FLIGHT_MAX]);
        ensure!(original != 0, "response {new} answers nothing");
        Ok(original)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_gets_the_old_number_back_once() {
        let mut table = SequenceTable::new();
        let (first, second) = (table.assign(700).unwrap(), table.assign(9).unwrap());
        assert_ne!(first, second);
        assert_eq!(table.take(second).unwrap(), 9);
        assert_eq!(table.take(first).unwrap(), 700);
        assert!(table.take(first).is_err());
    }

    #[test]
    fn a_full_table_refuses() {
        let mut table = SequenceTable::new();
        for original in 1..=IN_FLIGHT_MAX as u32 {
            table.assign(original).unwrap();
        }
        assert!(table.assign(1).is_err());
    }
}
