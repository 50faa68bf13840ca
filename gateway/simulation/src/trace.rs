//! The trace: a hash over everything that happens, and the last events for whoever reads of a failure. Nothing is
//! formatted before somebody asks.

use crate::random::mix;
use core::fmt;

/// Events kept for the report of a failure.
const KEPT: usize = 256;

/// One event, as numbers: two that tell most about it, by its name.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Note {
    at: u64,
    name: &'static str,
    first: u64,
    second: u64,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9} us  {:<20} {:>6} {:>10}", self.at, self.name, self.first, self.second)
    }
}

#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    pub(crate) count: u64,
    last: Vec<Note>,
}

impl Trace {
    pub(crate) fn new(seed: u64) -> Self {
        Self { hash: mix(seed), count: 0, last: Vec::with_capacity(KEPT) }
    }

    pub(crate) fn note(&mut self, at: u64, name: &'static str, first: u64, second: u64) {
        // Names of one length share a summand; their order in time tells them apart.
        let summed = at.wrapping_mul(31) ^ (name.len() as u64) << 56 ^ first << 32 ^ second;
        self.hash = mix(self.hash ^ summed);
        let note = Note { at, name, first, second };
        if self.last.len() < KEPT {
            self.last.push(note);
        } else {
            self.last[self.count as usize % KEPT] = note;
        }
        self.count += 1;
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// The last events, oldest first.
    pub(crate) fn last(&self) -> Vec<String> {
        let (newer, older) = self.last.split_at(self.count as usize % KEPT % self.last.len().max(1));
        older.iter().chain(newer).map(Note::to_string).collect()
    }
}
