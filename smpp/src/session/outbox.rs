//! What a session wants to say, in order, and how much of it the connection took.

use crate::wire::Frame;
use bytes::{Buf, BytesMut};

/// Octets on their way out. Positions count from the start of the session, so that a request can be told
/// written (its last octet taken) from unsent after the connection is gone.
#[derive(Debug, Default)]
pub struct Outbox {
    buffer: BytesMut,
    /// Octets appended since the session began. Invariant: `taken <= appended`, and the buffer holds what lies between.
    appended: u64,
    /// Octets that the connection took since the session began.
    taken: u64,
    /// Where a PDU begins: what was taken when the outbox was last empty. Invariant: `whole <= taken`.
    whole: u64,
}

impl Outbox {
    /// What is to be sent next.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Octets that wait.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The connection took the first `taken` octets of [`Outbox::bytes`].
    ///
    /// # Panics
    /// When more is taken than waits: the caller's invariant.
    pub fn advance(&mut self, taken: usize) {
        assert!(taken <= self.buffer.len(), "more octets taken than were waiting");
        self.taken += taken as u64;
        if taken == self.buffer.len() { self.buffer.clear() } else { self.buffer.advance(taken) }
    }

    /// Takes the storage away when nothing waits, to be lent to another session; gives an empty one otherwise.
    pub fn lend(&mut self) -> BytesMut {
        if self.buffer.is_empty() { core::mem::take(&mut self.buffer) } else { BytesMut::new() }
    }

    /// Whether the session has storage of its own at the moment.
    pub fn has_storage(&self) -> bool {
        self.buffer.capacity() > 0
    }

    /// Gives the session storage to write into. Ignored when it has its own.
    pub fn borrow_storage(&mut self, storage: BytesMut) {
        if self.buffer.capacity() == 0 {
            self.buffer = storage;
        }
    }

    /// Position behind the last octet appended.
    pub(super) fn appended(&self) -> u64 {
        self.appended
    }

    /// Position behind the last octet taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Where the next PDU is to be appended; [`Outbox::seal`] must follow.
    pub(super) fn append(&mut self) -> &mut BytesMut {
        if self.buffer.is_empty() {
            self.whole = self.taken;
        }
        &mut self.buffer
    }

    /// The first position not taken at which a PDU begins, as far as that is known; `end` is a position behind a PDU.
    pub(super) fn boundary(&self, end: Option<u64>) -> Option<u64> {
        if self.whole == self.taken { Some(self.taken) } else { end.filter(|end| *end <= self.appended) }
    }

    /// Takes out the PDUs from this position on, where one must begin, that are not to be kept.
    pub(super) fn retain_from(&mut self, boundary: u64, mut is_kept: impl FnMut(Frame<'_>) -> bool) {
        assert!(self.taken <= boundary && boundary <= self.appended, "a boundary within what waits");
        let rest = self.buffer.split_off((boundary - self.taken) as usize);
        let mut rest = &rest[..];
        while let Some(frame) = first_frame(rest) {
            let (bytes, after) = rest.split_at(frame.bytes().len());
            if is_kept(frame) {
                self.buffer.extend_from_slice(bytes);
            }
            rest = after;
        }
        assert!(rest.is_empty(), "an outbox holds whole PDUs");
        self.seal();
    }

    /// Counts what was appended.
    pub(super) fn seal(&mut self) {
        self.appended = self.taken + self.buffer.len() as u64;
    }
}

fn first_frame(bytes: &[u8]) -> Option<Frame<'_>> {
    let length = u32::from_be_bytes(*bytes.first_chunk()?) as usize;
    Frame::whole(bytes.get(..length)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_follow_what_is_appended_and_taken() {
        let mut outbox = Outbox::default();
        outbox.append().extend_from_slice(b"0123456789");
        outbox.seal();
        outbox.advance(4);
        assert_eq!((outbox.appended(), outbox.taken(), outbox.bytes()), (10, 4, &b"456789"[..]));
        outbox.advance(6);
        outbox.append().extend_from_slice(b"ab");
        outbox.seal();
        assert_eq!((outbox.appended(), outbox.taken(), outbox.len()), (12, 10, 2));
    }

    #[test]
    fn storage_is_lent_only_while_nothing_waits() {
        let mut outbox = Outbox::default();
        outbox.borrow_storage(BytesMut::with_capacity(64));
        outbox.append().extend_from_slice(b"x");
        outbox.seal();
        assert_eq!(outbox.lend().capacity(), 0);
        outbox.advance(1);
        assert!(outbox.lend().capacity() >= 64);
        assert!(!outbox.has_storage());
    }
}
