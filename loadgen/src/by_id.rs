//! Maps by message id, whose hashes need no second hashing.

use std::hash::{BuildHasherDefault, Hasher};

/// Ids are hashed already.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 keys are hashed")
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }
}

/// What such a map hashes with.
pub(crate) type ById = BuildHasherDefault<IdHasher>;
