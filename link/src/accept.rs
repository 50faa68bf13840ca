//! The first words of an accepted connection: read until its bind is known, so that it can be placed on the
//! shard of its account before a session exists. On an encrypted port the handshake comes first.

use crate::tls::{Tls, TlsFailure, TlsServer};
use runtime::{Runtime, Stream};
use smpp::dialect::Dialect;
use smpp::field::{CommandId, CommandStatus};
use smpp::pdu::Pdu;
use smpp::response::write_refusal;
use smpp::wire::{Deframer, Frame, FrameError, write_header_only};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// Longest PDU accepted before the bind, octets. A bind has at most 114 by the standard; long passwords come.
pub const GREETING_PDU_MAX: u32 = 512;
/// PDUs other than a bind that are answered before the connection is given up.
const PREAMBLE_MAX: usize = 8;

/// A connection whose bind has been read.
pub struct Greeting<S> {
    /// The connection.
    pub stream: S,
    /// All octets from the bind on, to be fed to the session.
    pub octets: Vec<u8>,
    /// Who it says it is.
    pub system_id: Vec<u8>,
    /// What encrypts the connection from here on; `octets` are plain text already.
    pub tls: Option<Box<Tls>>,
}

/// Why a connection never came to its bind.
#[derive(Debug)]
pub enum GreetError {
    /// It closed, failed, or said nothing in time.
    Gone,
    /// Its handshake failed.
    Tls(TlsFailure),
    /// Its bytes are not PDUs: HTTP, TLS, a port scan.
    Framing(FrameError),
    /// It sent other PDUs than a bind.
    NotABind,
    /// Its bind could not be decoded.
    Undecodable,
}

enum Heard {
    /// The bind begins at this octet; who it says it is.
    Bind(usize, Vec<u8>),
    /// Not yet.
    More,
}

/// Reads until the bind is there. enquire_link is answered, other requests are refused, for a while. The
/// connection is closed on every error.
pub async fn greet<R: Runtime>(
    stream: R::Stream,
    receive_buffer: &RefCell<Vec<u8>>,
    deadline: Duration,
    dialect: &Dialect,
    tls: Option<&TlsServer>,
) -> Result<Greeting<R::Stream>, GreetError> {
    let mut tls = tls.map(Tls::server).transpose().map_err(GreetError::Tls)?.map(Box::new);
    let stream = Rc::new(stream);
    let done = Rc::new(Cell::new(false));
    R::spawn(guard::<R>(Rc::downgrade(&stream), done.clone(), deadline));
    let heard = listen::<R>(&stream, receive_buffer, dialect, &mut tls).await;
    done.set(true);
    match heard {
        Ok((octets, system_id)) => {
            let stream = Rc::try_unwrap(stream).map_err(|_| GreetError::Gone)?;
            Ok(Greeting { stream, octets, system_id, tls })
        }
        Err(error) => {
            if let Some(tls) = &mut tls {
                tls.end();
            }
            flush(&*stream, &mut tls);
            stream.shutdown();
            Err(error)
        }
    }
}

/// Ends the wait for a bind that does not come. Holds no stream while it sleeps.
async fn guard<R: Runtime>(stream: std::rc::Weak<R::Stream>, done: Rc<Cell<bool>>, deadline: Duration) {
    R::sleep(deadline).await;
    if let (false, Some(stream)) = (done.get(), stream.upgrade()) {
        stream.shutdown();
    }
}

async fn listen<R: Runtime>(
    stream: &R::Stream,
    receive_buffer: &RefCell<Vec<u8>>,
    dialect: &Dialect,
    tls: &mut Option<Box<Tls>>,
) -> Result<(Vec<u8>, Vec<u8>), GreetError> {
    let mut octets = Vec::new();
    let mut heard = 0;
    let mut answers = bytes::BytesMut::new();
    while octets.len() < PREAMBLE_MAX * GREETING_PDU_MAX as usize {
        read_some::<R>(stream, receive_buffer, tls, &mut octets).await?;
        let found = find_bind(&octets, &mut heard, &mut answers, dialect);
        say(stream, tls, &answers);
        answers.clear();
        if let Heard::Bind(start, system_id) = found? {
            octets.drain(..start);
            return Ok((octets, system_id));
        }
    }
    Err(GreetError::NotABind)
}

/// Reads once, on an encrypted connection until its handshake is done. How long a handshake may be is bounded by the
/// deadline, and what is kept of it by rustls (64 KiB of one message).
async fn read_some<R: Runtime>(
    stream: &R::Stream,
    receive_buffer: &RefCell<Vec<u8>>,
    tls: &mut Option<Box<Tls>>,
    octets: &mut Vec<u8>,
) -> Result<(), GreetError> {
    loop {
        let read = stream.read(receive_buffer).await.map_err(|_: io::Error| GreetError::Gone)?;
        if read == 0 {
            return Err(GreetError::Gone);
        }
        let buffer = receive_buffer.borrow();
        let Some(encryption) = tls else {
            octets.extend_from_slice(&buffer[..read]);
            return Ok(());
        };
        let received = encryption.received(&buffer[..read], octets).map_err(GreetError::Tls)?;
        let established = encryption.is_established();
        drop(buffer);
        flush(stream, tls);
        if received.peer_ended {
            return Err(GreetError::Gone);
        }
        if established {
            return Ok(());
        }
    }
}

/// Answers before the bind.
fn say<S: Stream>(stream: &S, tls: &mut Option<Box<Tls>>, answers: &[u8]) {
    if answers.is_empty() {
        return;
    }
    match tls {
        Some(tls) => drop(tls.encrypt(answers)),
        // A peer that does not take some octets of answer at this point is not worth waiting for.
        None => drop(stream.try_write(answers)),
    }
    flush(stream, tls);
}

/// Writes what the encryption wants written; what the kernel does not take waits for the next time.
fn flush<S: Stream>(stream: &S, tls: &mut Option<Box<Tls>>) {
    if let Some(tls) = tls
        && !tls.pending().is_empty()
        && let Ok(octets) = stream.try_write(tls.pending())
    {
        tls.advance(octets);
    }
}

/// Looks for the bind in all that was read; answers what comes before it. `heard` counts PDUs answered.
fn find_bind(
    octets: &[u8],
    heard: &mut usize,
    answers: &mut bytes::BytesMut,
    dialect: &Dialect,
) -> Result<Heard, GreetError> {
    let mut deframer = Deframer::new(GREETING_PDU_MAX);
    let mut cursor = 0;
    let mut position = 0;
    let mut seen = 0;
    loop {
        let start = cursor;
        let next = deframer.next(octets, &mut cursor);
        let frame = match next {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(Heard::More),
            Err(error) => {
                write_header_only(answers, CommandId::GENERIC_NACK, CommandStatus::ESME_RINVCMDLEN, 0);
                return Err(GreetError::Framing(error));
            }
        };
        match frame.command_id() {
            CommandId::BIND_TRANSMITTER | CommandId::BIND_RECEIVER | CommandId::BIND_TRANSCEIVER => {
                return bind_of(frame, answers, dialect).map(|system_id| Heard::Bind(start, system_id));
            }
            _ => {
                seen += 1;
                if seen > *heard {
                    *heard = seen;
                    answer_early(frame, answers);
                }
            }
        }
        position += 1;
        if position >= PREAMBLE_MAX {
            return Err(GreetError::NotABind);
        }
    }
}

fn bind_of(
    frame: Frame<'_>,
    answers: &mut bytes::BytesMut,
    dialect: &Dialect,
) -> Result<Vec<u8>, GreetError> {
    match Pdu::decode(frame, dialect) {
        Ok(Pdu::BindTransmitter(bind) | Pdu::BindReceiver(bind) | Pdu::BindTransceiver(bind)) => {
            Ok(bind.system_id.to_vec())
        }
        Ok(_) => Err(GreetError::NotABind),
        Err(error) => {
            write_refusal(frame.command_id(), error.status(), frame.sequence_number(), answers);
            Err(GreetError::Undecodable)
        }
    }
}

fn answer_early(frame: Frame<'_>, answers: &mut bytes::BytesMut) {
    let command = frame.command_id();
    let sequence = frame.sequence_number();
    if command == CommandId::ENQUIRE_LINK {
        write_header_only(answers, CommandId::ENQUIRE_LINK_RESP, CommandStatus::ESME_ROK, sequence);
    } else if command.name().is_none() {
        write_refusal(command, CommandStatus::ESME_RINVCMDID, sequence, answers);
    } else if !command.is_response() {
        write_refusal(command, CommandStatus::ESME_RINVBNDSTS, sequence, answers);
    }
}
