//! The worker's ledger, with the clock it is kept by.

use std::time::{SystemTime, UNIX_EPOCH};

use ledger::{Kind, MessageKey, Record, Writer};
use link::LinkId;

/// Writes records with wall-clock times; remembers the first failure instead of stopping the load.
pub(crate) struct Book {
    writer: Option<Writer>,
    failure: Option<String>,
    /// Unix time minus monotonic time, nanoseconds.
    offset: u64,
}

impl Book {
    pub(crate) fn new(writer: Option<Writer>) -> Book {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        Book { writer, failure: None, offset: unix.wrapping_sub(runtime::monotonic_nanos()) }
    }

    /// Unix time of a monotonic time, both in nanoseconds.
    pub(crate) fn unix(&self, monotonic: u64) -> u64 {
        monotonic.wrapping_add(self.offset)
    }

    /// Writes a record of `kind` at monotonic time `now`, completed by `fill`.
    pub(crate) fn write(
        &mut self,
        kind: Kind,
        party: u16,
        key: MessageKey,
        now: u64,
        fill: impl FnOnce(&mut Record),
    ) {
        let Some(writer) = &mut self.writer else { return };
        let mut record = Record::new(kind, party, key, now.wrapping_add(self.offset));
        fill(&mut record);
        if let Err(error) = writer.append(&record) {
            self.fail(error);
        }
    }

    pub(crate) fn flush(&mut self) {
        if let Some(Err(error)) = self.writer.as_mut().map(Writer::flush) {
            self.fail(error);
        }
    }

    /// Closes the file in order; tells what went wrong since the begin.
    pub(crate) fn finish(&mut self, now: u64) -> Option<String> {
        self.write(Kind::End, 0, MessageKey::default(), now, |_| {});
        if let Some(Err(error)) = self.writer.take().map(Writer::finish) {
            self.fail(error);
        }
        self.failure.take()
    }

    fn fail(&mut self, error: std::io::Error) {
        self.failure.get_or_insert_with(|| format!("the ledger could not be written: {error}"));
        self.writer = None;
    }
}

/// A session's number in the ledger: its place among the worker's links, and how often that place was taken before.
pub(crate) fn link_number(link: LinkId) -> u32 {
    let generation = (link.to_bits() >> 32) as u32;
    link.index() as u32 & PLACE_MASK | generation << PLACE_BITS
}

/// 262,144 sessions of one worker at once, each opened anew 16,384 times; beyond it numbers come again.
const PLACE_BITS: u32 = 18;
const PLACE_MASK: u32 = (1 << PLACE_BITS) - 1;
