//! What happened to each message: the proof that input equals output.

use hdrhistogram::Histogram;

/// Longest latency told apart: one minute, in nanoseconds, with three digits.
const LATENCY_MAX: u64 = 60_000_000_000;

/// State of a message as the customer sees it, in the lowest two bits of its entry; the rest is its id's hash.
const STATE: u64 = 3;
const NOTHING: u64 = 0;
const ANSWERED: u64 = 1;
const RECEIPT_FIRST: u64 = 2;
const COMPLETE: u64 = 3;

/// Counts of everything, and one entry per message.
pub(super) struct Tally {
    receipts: bool,
    /// One bit a message: seen at the SMSC.
    seen: Vec<u64>,
    /// One entry a message with receipts, none without.
    entries: Vec<u64>,
    latency: Histogram<u64>,
    /// Equal latencies in a row are recorded in one call.
    run: (u64, u64),
    pub(super) counts: Counts,
}

/// Every number a run is judged by.
#[derive(Debug, Default, Clone, serde::Serialize)]
pub(crate) struct Counts {
    /// submit_sm sent by customers.
    pub(crate) submitted: u64,
    /// submit_sm that reached the SMSC unchanged and for the first time.
    pub(crate) arrived: u64,
    /// submit_sm at the SMSC whose octets differ from what was sent.
    pub(crate) altered: u64,
    /// submit_sm at the SMSC for the second time.
    pub(crate) duplicates: u64,
    /// Responses to customers with status 0.
    pub(crate) answered: u64,
    /// Responses with another status.
    pub(crate) refused: u64,
    /// Responses that answer nothing.
    pub(crate) stray_responses: u64,
    /// Receipts sent by the SMSC.
    pub(crate) receipts_sent: u64,
    /// Receipts that reached a customer once, with the id its response carried.
    pub(crate) receipts: u64,
    /// Receipts for an id that was not given, or given to another message.
    pub(crate) receipts_wrong: u64,
    /// Receipts that came a second time.
    pub(crate) receipts_twice: u64,
    /// deliver_sm_resp with status 0 that reached the SMSC.
    pub(crate) receipts_acknowledged: u64,
    /// deliver_sm_resp with another status.
    pub(crate) receipts_refused: u64,
    /// Connections that ended before the run did.
    pub(crate) disconnects: u64,
    /// PDUs with a command that this program does not know.
    pub(crate) unexpected: u64,
}

impl Tally {
    pub(super) fn new(receipts: bool) -> anyhow::Result<Tally> {
        Ok(Tally {
            receipts,
            seen: Vec::new(),
            entries: Vec::new(),
            latency: Histogram::new_with_bounds(1, LATENCY_MAX, 3)?,
            run: (0, 0),
            counts: Counts::default(),
        })
    }

    /// The index of the next message.
    #[inline(always)]
    pub(super) fn submit(&mut self) -> u32 {
        let index = self.counts.submitted;
        if index.is_multiple_of(64) {
            self.seen.push(0);
        }
        if self.receipts {
            self.entries.push(NOTHING);
        }
        self.counts.submitted += 1;
        index as u32
    }

    /// A message reached the SMSC. False for one that was there before or was never sent.
    #[inline(always)]
    pub(super) fn arrive(&mut self, index: u32) -> bool {
        let bit = 1 << (index % 64);
        match self.seen.get_mut(index as usize / 64) {
            Some(word) if *word & bit == 0 && u64::from(index) < self.counts.submitted => {
                *word |= bit;
                self.counts.arrived += 1;
                true
            }
            _ => {
                self.counts.duplicates += 1;
                false
            }
        }
    }

    /// A customer's message was answered well, with `id`, after `latency` nanoseconds.
    #[inline(always)]
    pub(super) fn answer(&mut self, index: u32, id: &[u8], latency: u64) {
        if self.run.0 == latency {
            self.run.1 += 1;
        } else {
            self.record_run();
            self.run = (latency, 1);
        }
        self.counts.answered += 1;
        if self.receipts {
            let hash = hash(id);
            let entry = &mut self.entries[index as usize];
            if *entry & STATE == RECEIPT_FIRST {
                if *entry & !STATE == hash {
                    self.counts.receipts += 1;
                } else {
                    self.counts.receipts_wrong += 1;
                }
                *entry |= COMPLETE;
            } else {
                *entry = hash | ANSWERED;
            }
        }
    }

    /// A customer received a receipt for `index` that names `id`.
    #[inline(always)]
    pub(super) fn receipt(&mut self, index: u32, id: &[u8]) {
        let hash = hash(id);
        let Some(entry) = self.entries.get_mut(index as usize) else {
            self.counts.receipts_wrong += 1;
            return;
        };
        match *entry & STATE {
            NOTHING => *entry = hash | RECEIPT_FIRST,
            ANSWERED if *entry & !STATE == hash => {
                *entry |= COMPLETE;
                self.counts.receipts += 1;
            }
            ANSWERED => self.counts.receipts_wrong += 1,
            _ => self.counts.receipts_twice += 1,
        }
    }

    /// Forgets the latencies so far: they belong to the warm-up.
    pub(super) fn forget_latencies(&mut self) {
        self.run = (0, 0);
        self.latency.reset();
    }

    /// The latency in nanoseconds below which `share` (0..=1) of the answers came.
    pub(super) fn latency(&mut self, share: f64) -> u64 {
        self.record_run();
        self.latency.value_at_quantile(share)
    }

    fn record_run(&mut self) {
        let (latency, count) = std::mem::take(&mut self.run);
        if count > 0 {
            self.latency.saturating_record_n(latency.max(1), count);
        }
    }
}

impl Counts {
    /// Everything that is wrong, in words; empty when output equals input.
    pub(crate) fn faults(&self, receipts: bool) -> Vec<String> {
        let expected_receipts = if receipts { self.submitted } else { 0 };
        let must_equal = [
            ("arrived at the SMSC", self.arrived, self.submitted),
            ("answered", self.answered, self.submitted),
            ("receipts sent", self.receipts_sent, expected_receipts),
            ("receipts received", self.receipts, expected_receipts),
            ("receipts acknowledged", self.receipts_acknowledged, expected_receipts),
        ];
        let must_be_zero = [
            ("altered", self.altered),
            ("duplicates", self.duplicates),
            ("refused", self.refused),
            ("stray responses", self.stray_responses),
            ("receipts wrong", self.receipts_wrong),
            ("receipts twice", self.receipts_twice),
            ("receipts refused", self.receipts_refused),
            ("disconnects", self.disconnects),
            ("unexpected PDUs", self.unexpected),
        ];
        let unequal = must_equal.iter().filter(|(_, is, should)| is != should);
        let unequal = unequal.map(|(name, is, should)| format!("{name}: {is} instead of {should}"));
        let nonzero = must_be_zero.iter().filter(|(_, is)| *is != 0);
        unequal.chain(nonzero.map(|(name, is)| format!("{name}: {is}"))).collect()
    }
}

/// A hash of an id with the state bits free; the ids of one run are few enough for 62 bits.
#[inline(always)]
fn hash(id: &[u8]) -> u64 {
    let mut state = id.len() as u64;
    for chunk in id.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        state = (state.rotate_left(25) ^ u64::from_le_bytes(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        state ^= state >> 29;
    }
    state & !STATE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_message_with_its_receipt_leaves_no_fault() {
        for receipt_first in [false, true] {
            let mut tally = Tally::new(true).unwrap();
            let index = tally.submit();
            assert!(tally.arrive(index));
            tally.counts.receipts_sent += 1;
            tally.counts.receipts_acknowledged += 1;
            if receipt_first {
                tally.receipt(index, b"77");
                tally.answer(index, b"77", 1000);
            } else {
                tally.answer(index, b"77", 1000);
                tally.receipt(index, b"77");
            }
            assert_eq!(tally.counts.faults(true), Vec::<String>::new());
            assert!((990..=1010).contains(&tally.latency(0.5)));
        }
    }

    #[test]
    fn duplicates_strangers_and_wrong_ids_are_counted() {
        let mut tally = Tally::new(true).unwrap();
        let index = tally.submit();
        assert!(tally.arrive(index) && !tally.arrive(index) && !tally.arrive(63));
        tally.answer(index, b"77", 1);
        tally.receipt(index, b"78");
        tally.receipt(index, b"77");
        tally.receipt(index, b"77");
        tally.receipt(999, b"77");
        let counts = &tally.counts;
        assert_eq!(
            (counts.duplicates, counts.receipts, counts.receipts_twice, counts.receipts_wrong),
            (2, 1, 1, 2)
        );
        assert!(counts.faults(true).iter().any(|fault| fault.starts_with("duplicates")));
    }

    #[test]
    fn a_lost_message_is_a_fault() {
        let mut tally = Tally::new(false).unwrap();
        tally.submit();
        let faults = tally.counts.faults(false);
        assert_eq!(faults, ["arrived at the SMSC: 0 instead of 1", "answered: 0 instead of 1"]);
    }
}
