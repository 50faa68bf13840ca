//! TLS beneath an SMPP session: octets in, octets out, no I/O. `rustls` does the work; here stand the bounds and
//! the order.
//!
//! ```text
//!   socket ─cipher─▶ received ─plain─▶ deframer, session ─plain─▶ outbox ─encrypt─▶ pending ─cipher─▶ socket
//!                        └───────────── handshake, alerts ────────────────────────────▲
//! ```
//!
//! Sessions are never resumed: every connect verifies the certificate anew, and no state is shared by threads.

mod failure;
mod options;
mod own_certificate;

pub use failure::TlsFailure;
pub use options::{TlsClient, TlsServer, TlsTrust, TlsUnusable};

use crate::limits;
use bytes::{Buf, BytesMut};
use rustls::Connection;
use std::io::{self, Read, Write};

/// One side of a TLS connection. Order: [`Tls::received`] with all that the socket gave; [`Tls::encrypt`] once
/// [`Tls::is_established`]; after both, what is in [`Tls::pending`] is to be written.
pub struct Tls {
    connection: Connection,
    /// Cipher text that the socket has not taken. Invariant: at most [`limits::TLS_PENDING_MAX`] when encrypting.
    pending: BytesMut,
    /// close_notify was said.
    ended: bool,
    /// What exactly went wrong, for the log.
    why: Option<Box<str>>,
}

impl Tls {
    /// Begins the client's part; its first words are pending.
    ///
    /// # Errors
    /// When rustls cannot make a connection of these options.
    pub fn client(client: &TlsClient) -> Result<Self, TlsFailure> {
        let connection = rustls::ClientConnection::new(client.config.clone(), client.name.clone());
        Self::new(connection.map_err(|error| TlsFailure::of(&error))?.into())
    }

    /// Begins the server's part; it waits for the client's first words.
    ///
    /// # Errors
    /// When rustls cannot make a connection of these options.
    pub fn server(server: &TlsServer) -> Result<Self, TlsFailure> {
        let connection = rustls::ServerConnection::new(server.config.clone());
        Self::new(connection.map_err(|error| TlsFailure::of(&error))?.into())
    }

    fn new(mut connection: Connection) -> Result<Self, TlsFailure> {
        connection.set_buffer_limit(Some(limits::TLS_PENDING_MAX));
        let mut tls = Tls { connection, pending: BytesMut::new(), ended: false, why: None };
        tls.collect();
        Ok(tls)
    }

    /// Takes in what the socket gave and appends what it says to `plain`, at most as many octets as came in and one
    /// record more. Answers of the handshake become pending, after an error the alert that tells the peer.
    ///
    /// # Errors
    /// When the peer's certificate or bytes are not acceptable; the connection is then to be closed.
    pub fn received(&mut self, mut cipher: &[u8], plain: &mut Vec<u8>) -> Result<Received, TlsFailure> {
        let mut received = Received::default();
        while !cipher.is_empty() && !received.peer_ended {
            let was_handshaking = self.connection.is_handshaking();
            let taken = self.connection.read_tls(&mut cipher).map_err(|_| TlsFailure::Broken)?;
            let state = self.connection.process_new_packets();
            self.collect();
            let state = state.map_err(|error| {
                self.why = Some(failure::explain(&error).into());
                if was_handshaking { TlsFailure::of(&error) } else { TlsFailure::of_established(&error) }
            })?;
            let octets = state.plaintext_bytes_to_read();
            if octets > 0 {
                let start = plain.len();
                plain.resize(start + octets, 0);
                self.connection.reader().read_exact(&mut plain[start..]).map_err(|_| TlsFailure::Broken)?;
            }
            received.peer_ended = state.peer_has_closed();
            // What follows close_notify is not taken; nothing else may be refused without an error.
            if taken == 0 && !received.peer_ended {
                return Err(TlsFailure::Broken);
            }
        }
        Ok(received)
    }

    /// Whether the handshake is done, so that both sides may speak.
    pub fn is_established(&self) -> bool {
        !self.connection.is_handshaking()
    }

    /// Encrypts the head of `plain` and says how many octets it took: none while the handshake is not done, or while
    /// [`limits::TLS_PENDING_MAX`] octets are pending. What was taken is pending and is to be counted as sent.
    pub fn encrypt(&mut self, plain: &[u8]) -> usize {
        if !self.is_established() || self.ended {
            return 0;
        }
        let room = limits::TLS_PENDING_MAX.saturating_sub(self.pending.len());
        let piece = &plain[..plain.len().min(limits::TLS_PIECE).min(room)];
        // The buffer within rustls was emptied by the last `collect` and has room for a piece.
        let taken = self.connection.writer().write(piece).unwrap_or_default();
        self.collect();
        taken
    }

    /// Says close_notify, once.
    pub fn end(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.connection.send_close_notify();
            self.collect();
        }
    }

    /// What exactly went wrong, once [`Tls::received`] has failed; for the log, since it may quote the peer.
    pub fn why(&self) -> &str {
        self.why.as_deref().unwrap_or_default()
    }

    /// Cipher text for the socket.
    pub fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// The socket took the first `taken` octets of [`Tls::pending`].
    pub fn advance(&mut self, taken: usize) {
        self.pending.advance(taken);
    }

    /// Makes sure that there is a buffer for cipher text, a lent one if possible.
    pub(crate) fn lend(&mut self, pool: &mut Vec<BytesMut>) {
        if self.pending.capacity() == 0
            && let Some(storage) = pool.pop()
        {
            self.pending = storage;
        }
    }

    /// The buffer for cipher text when nothing is pending in it.
    pub(crate) fn give_back(&mut self) -> BytesMut {
        if self.pending.is_empty() { std::mem::take(&mut self.pending) } else { BytesMut::new() }
    }

    /// Takes out of rustls all that it wants to send.
    fn collect(&mut self) {
        while self.connection.wants_write() {
            // Writing to memory cannot fail.
            if self.connection.write_tls(&mut Sink(&mut self.pending)).is_err() {
                return;
            }
        }
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let version = self.connection.protocol_version();
        f.debug_struct("Tls").field("version", &version).field("pending", &self.pending.len()).finish()
    }
}

/// What [`Tls::received`] found beside plain text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// The peer said close_notify: nothing more will come.
    pub peer_ended: bool,
}

struct Sink<'a>(&'a mut BytesMut);

impl Write for Sink<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
