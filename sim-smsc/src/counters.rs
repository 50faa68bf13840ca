//! What a site has done, as plain numbers.

/// Counts of one site since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted.
    pub connections: u64,
    /// Binds accepted.
    pub binds: u64,
    /// Most binds that stood at once, of all accounts together.
    pub binds_most: u64,
    /// Binds refused, by command_status.
    pub binds_refused: Tally<u32>,
    /// submit_sm and data_sm seen.
    pub submits: u64,
    /// Of these, without a message key: they are in the ledger under run 0.
    pub unkeyed: u64,
    /// Taken.
    pub accepted: u64,
    /// Refused, by command_status.
    pub refused: Tally<u32>,
    /// Lost by a fault before they were processed.
    pub lost_requests: u64,
    /// Answers that did not leave, or may not have arrived before the connection broke.
    pub lost_responses: u64,
    /// Receipts sent, every attempt counted.
    pub receipts_sent: u64,
    /// Receipts the peer took.
    pub receipts_acked: u64,
    /// Receipts the peer refused for good.
    pub receipts_refused: u64,
    /// Attempts that ended without a yes and are made again.
    pub receipts_retried: u64,
    /// Receipts given up: too old, or no bind to receive them and none waited for.
    pub receipts_dropped: u64,
    /// deliver_sm with a message from a handset sent, every attempt counted.
    pub mo_sent: u64,
    /// Of these taken.
    pub mo_acked: u64,
    /// Messages from handsets not made because too much was waiting.
    pub mo_skipped: u64,
    /// Submits refused because too many receipts were waiting.
    pub queue_full: u64,
    /// Faults that struck, by name.
    pub faults: Tally<&'static str>,
}

/// Counts under a few names, in the order the names came up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally<K>(Vec<(K, u64)>);

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Tally(Vec::new())
    }
}

impl<K: PartialEq + Copy> Tally<K> {
    /// One more of `name`.
    pub(crate) fn add(&mut self, name: K) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => self.0.push((name, 1)),
        }
    }

    /// How many of `name`.
    pub fn of(&self, name: K) -> u64 {
        self.0.iter().find(|(known, _)| *known == name).map_or(0, |(_, count)| *count)
    }

    /// Of all names together.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// Every name with its count.
    pub fn iter(&self) -> impl Iterator<Item = (K, u64)> + '_ {
        self.0.iter().copied()
    }
}
