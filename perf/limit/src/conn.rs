//! One connection: batched reads into a buffer shared by the thread, one write a turn.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;

use crate::wire;

/// Octets of the thread's read buffer: one read takes a whole window of 1,000 PDUs, and it stays in the cache.
pub(crate) const SCRATCH: usize = 256 * 1024;

/// A TCP connection with what could not be handled at once: a partial PDU read, bytes not yet written.
pub(crate) struct Conn {
    pub(crate) stream: TcpStream,
    kept: Vec<u8>,
    out: Vec<u8>,
    written: usize,
}

/// What one read brought.
pub(crate) struct Filled {
    /// Octets of the scratch buffer in use, from its start.
    pub(crate) length: usize,
    /// The buffer was filled to its end: there may be more, and no event will say so.
    pub(crate) more: bool,
}

impl Conn {
    pub(crate) fn new(stream: TcpStream) -> Conn {
        // A socket that cannot switch Nagle off still works, only slower.
        let _ = stream.set_nodelay(true);
        Conn { stream, kept: Vec::new(), out: Vec::new(), written: 0 }
    }

    /// Reads once, behind the partial PDU kept from before. `None` when there is nothing to read.
    ///
    /// # Errors
    /// `UnexpectedEof` when the peer closed, and what the socket reports.
    pub(crate) fn read(&mut self, scratch: &mut [u8]) -> io::Result<Option<Filled>> {
        let kept = self.kept.len();
        scratch[..kept].copy_from_slice(&self.kept);
        match self.stream.read(&mut scratch[kept..]) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.kept.clear();
                let length = kept + count;
                Ok(Some(Filled { length, more: length == scratch.len() }))
            }
            Err(error) if would_block(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps a partial PDU for the next read.
    pub(crate) fn keep(&mut self, tail: &[u8]) {
        self.kept.extend_from_slice(tail);
    }

    /// Where to append what [`Conn::flush`] will write.
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Octets not yet taken by the kernel.
    pub(crate) fn pending(&self) -> usize {
        self.out.len() - self.written
    }

    /// Writes what was appended, as far as the kernel takes it.
    ///
    /// # Errors
    /// What the socket reports, except that it would block.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if would_block(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    /// Writes `bytes` straight from where they are; only what the kernel refuses is copied.
    ///
    /// # Errors
    /// As [`Conn::flush`].
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut taken = 0;
        if self.pending() == 0 {
            while taken < bytes.len() {
                match self.stream.write(&bytes[taken..]) {
                    Ok(count) => taken += count,
                    Err(error) if would_block(&error) => break,
                    Err(error) => return Err(error),
                }
            }
        }
        self.out.extend_from_slice(&bytes[taken..]);
        Ok(())
    }
}

/// Calls `each` for every whole PDU of `bytes`; returns where the partial one at the end begins.
///
/// # Errors
/// A length no PDU can have.
#[inline(always)]
pub(crate) fn each_pdu(
    bytes: &mut [u8],
    mut each: impl FnMut(&mut [u8]) -> anyhow::Result<()>,
) -> anyhow::Result<usize> {
    let mut at = 0;
    while let Some(length) = wire::whole(&bytes[at..])? {
        each(&mut bytes[at..at + length])?;
        at += length;
    }
    Ok(at)
}

fn would_block(error: &io::Error) -> bool {
    // NotConnected: the connection is still being made; a writable event follows.
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected | ErrorKind::Interrupted)
}
