//! How often this site has seen each message key.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use ledger::MessageKey;

/// Counts per key, one octet each, in pages of neighbouring sequence numbers.
#[derive(Debug)]
pub(crate) struct Attempts {
    pages: HashMap<PageName, Page, FixedState>,
    /// Keys that could not be counted because [`PAGES_MAX`] was reached; their attempt is always 0.
    pub(crate) uncounted: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct PageName {
    run: u32,
    account: u16,
    segment: u8,
    page: u32,
}

type Page = Box<[u8; PAGE_SIZE]>;

impl Attempts {
    pub(crate) fn new() -> Attempts {
        Attempts { pages: HashMap::with_hasher(FixedState::default()), uncounted: 0 }
    }

    /// Counts the key once more and returns how often it came before; stays at 255 there.
    pub(crate) fn count(&mut self, key: &MessageKey) -> u32 {
        let name = PageName {
            run: key.run,
            account: key.account,
            segment: key.segment,
            page: key.sequence / PAGE_SIZE as u32,
        };
        let full = self.pages.len() >= PAGES_MAX;
        let page = match self.pages.entry(name) {
            std::collections::hash_map::Entry::Occupied(page) => page.into_mut(),
            std::collections::hash_map::Entry::Vacant(_) if full => {
                self.uncounted += 1;
                return 0;
            }
            std::collections::hash_map::Entry::Vacant(free) => free.insert(Box::new([0; PAGE_SIZE])),
        };
        let count = &mut page[key.sequence as usize % PAGE_SIZE];
        let before = *count;
        *count = before.saturating_add(1);
        u32::from(before)
    }
}

/// Sequence numbers per page: dense numbers fill it, a stray one wastes no more than this.
const PAGE_SIZE: usize = 4096;

/// 256 MiB at most: 268 million dense keys.
const PAGES_MAX: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_count() {
        let mut attempts = Attempts::new();
        let key = |account, sequence, segment| MessageKey { run: 1, account, sequence, segment };
        for round in 0..3 {
            for sequence in [0, 1, 4095, 4096, u32::MAX] {
                assert_eq!(attempts.count(&key(0, sequence, 0)), round);
                assert_eq!(attempts.count(&key(1, sequence, 0)), round);
                assert_eq!(attempts.count(&key(1, sequence, 1)), round);
            }
        }
        for _ in 0..300 {
            attempts.count(&key(9, 9, 9));
        }
        assert_eq!(attempts.count(&key(9, 9, 9)), 255);
    }
}
