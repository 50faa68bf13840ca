//! How fast parked deliveries come out. A customer that binds after a long absence must not take the shard from all
//! others: what waited for hours may take seconds, and comes in small pages, evenly.

use super::Batch;
use relay::{StoreAnswer, StoreOp};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Entries of one page at most: some 100 microseconds of a shard's work, which is what others may have to wait.
const PAGE_MAX: u32 = 32;
/// Questions answered in one turn: those of accounts with nothing parked cost next to nothing and shall not queue.
const QUESTIONS_MAX: usize = 8;
/// Time that may be made up for after a late turn, so that the rate is kept on average.
const CREDIT_MAX: Duration = Duration::from_millis(2);
/// Questions that wait, all shards together; an account asks again after the answer or a time, so these are as many as
/// accounts with sessions. One more is answered at once: bounded memory before an even pace.
const WAITING_MAX: usize = 65_536;

/// Holds `Unpark` back until its turn has come.
pub(crate) struct Pace {
    /// Entries a second; 0 = as fast as asked.
    rate: u32,
    /// When the next question may be answered.
    next: Instant,
    /// Desk and question, oldest first.
    waiting: VecDeque<(usize, StoreOp)>,
}

impl Pace {
    pub(crate) fn new(rate: u32, now: Instant) -> Pace {
        Pace { rate, next: now, waiting: VecDeque::new() }
    }

    /// Takes the questions out of what the shards asked. What a shard asked before and after one keeps its order; that
    /// it is answered later does no harm, for it asks what there is.
    pub(crate) fn hold(&mut self, batches: &mut [Batch]) {
        if self.rate == 0 {
            return;
        }
        for (desk, batch) in batches.iter_mut().enumerate() {
            if !batch.ops.iter().any(|op| matches!(op, StoreOp::Unpark { .. })) {
                continue;
            }
            let mut kept = Vec::with_capacity(batch.ops.len());
            for op in batch.ops.drain(..) {
                match op {
                    StoreOp::Unpark { .. } if self.waiting.len() < WAITING_MAX => {
                        self.waiting.push_back((desk, op));
                    }
                    op => kept.push(op),
                }
            }
            batch.ops = kept;
        }
    }

    /// Puts back the questions whose time has come, each for a small page.
    pub(crate) fn release(&mut self, now: Instant, batches: &mut [Batch]) {
        if now < self.next {
            return;
        }
        for _ in 0..QUESTIONS_MAX {
            let Some((desk, op)) = self.waiting.pop_front() else { return };
            if let StoreOp::Unpark { account, count_max } = op {
                let count_max = count_max.min(PAGE_MAX);
                batches[desk].ops.push(StoreOp::Unpark { account, count_max });
            }
        }
    }

    /// Counts what the turn handed out.
    pub(crate) fn charge(&mut self, now: Instant, batches: &[Batch]) {
        let entries = |answer: &StoreAnswer| match answer {
            StoreAnswer::Unparked { entries, .. } => entries.len() as u32,
            _ => 0,
        };
        let handed: u32 = batches.iter().flat_map(|batch| &batch.answers).map(entries).sum();
        if self.rate > 0 && handed > 0 {
            let begin = self.next.max(now.checked_sub(CREDIT_MAX).unwrap_or(now));
            self.next = begin + Duration::from_secs(1) * handed / self.rate;
        }
    }

    /// When the next question is due; none when none waits.
    pub(crate) fn due(&self) -> Option<Instant> {
        (!self.waiting.is_empty()).then_some(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay::{AccountId, ParkedEntry, ParkedId};

    fn unpark(account: u32) -> StoreOp {
        StoreOp::Unpark { account: AccountId(account), count_max: 256 }
    }

    /// Answers every question with full pages.
    fn answer(batches: &mut [Batch]) -> u32 {
        let mut handed = 0;
        for batch in batches {
            batch.answers.clear();
            for op in batch.ops.drain(..) {
                if let StoreOp::Unpark { account, count_max } = op {
                    handed += count_max;
                    let entry = |number| ParkedEntry { parked: ParkedId(u64::from(number)), pdu: Vec::new() };
                    let entries = (0..count_max).map(entry).collect();
                    batch.answers.push(StoreAnswer::Unparked { account, entries, more: true });
                }
            }
        }
        handed
    }

    #[test]
    fn one_account_gets_its_rate_in_small_pages() {
        let (rate, step) = (50_000, Duration::from_micros(100));
        let start = Instant::now();
        let mut pace = Pace::new(rate, start);
        let mut batches = [Batch::default(), Batch::default()];
        let (mut handed, mut most, mut now) = (0, 0, start);
        batches[1].ops.push(unpark(1));
        while now < start + Duration::from_secs(1) {
            pace.hold(&mut batches);
            pace.release(now, &mut batches);
            let page = answer(&mut batches);
            pace.charge(now, &batches);
            if page > 0 {
                batches[1].ops.push(unpark(1));
            }
            (handed, most, now) = (handed + page, most.max(page), now + step);
        }
        assert!((49_000..=50_200).contains(&handed), "{handed}");
        assert!(most <= PAGE_MAX, "{most}");
    }

    #[test]
    fn other_operations_pass_and_keep_their_order() {
        let now = Instant::now();
        let mut pace = Pace::new(1000, now);
        let release = |number| StoreOp::Release { account: AccountId(1), parked: ParkedId(number) };
        let mut batches = [Batch { ops: vec![release(1), unpark(1), release(2)], answers: Vec::new() }];
        pace.hold(&mut batches);
        assert_eq!(batches[0].ops, [release(1), release(2)]);
        assert_eq!(pace.due(), Some(now));
        pace.release(now, &mut batches);
        assert_eq!(batches[0].ops.len(), 3);
        assert_eq!(pace.due(), None);
    }

    #[test]
    fn without_a_rate_nothing_is_held() {
        let now = Instant::now();
        let mut pace = Pace::new(0, now);
        let mut batches = [Batch { ops: vec![unpark(1)], answers: Vec::new() }];
        pace.hold(&mut batches);
        assert_eq!(batches[0].ops, [unpark(1)]);
    }
}
