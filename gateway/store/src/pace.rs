//! How fast parked deliveries come out. A customer that binds after a long absence must not take the shard from all
//! others: what waited for hours may take seconds, and comes in small pages, evenly.

use super::Batch;
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use relay::{AccountId, StoreAnswer, StoreOp};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Entries of one page at most: some 100 microseconds of a shard's work, which is what others may have to wait.
const PAGE_MAX: u32 = 32;
/// Questions answered in one turn: those of accounts with nothing parked cost next to nothing and shall not queue.
const QUESTIONS_MAX: usize = 8;
/// Time that may be made up for after a late turn, so that the rate is kept on average.
const CREDIT_MAX: Duration = Duration::from_millis(2);
/// Questions that wait, all shards together; an account asks again after the answer or a time, so these are as many as
/// accounts with sessions. One more is answered at once: bounded memory before an even pace. Some 150 bytes each.
const WAITING_MAX: usize = 65_536;
/// After so long a question is answered with nothing yet, so that its shard does not take the store for dead (see the
/// relay's `store_wait_max`, 2 s by default); it keeps its place for when it is asked again.
const PATIENCE: Duration = Duration::from_secs(1);
/// The first number of a question; those that go before all others count down from it.
const FIRST: u64 = 1 << 32;

/// Holds `Unpark` back until its turn has come.
pub(crate) struct Pace {
    /// Entries a second; 0 = as fast as asked.
    rate: u32,
    /// When the next question may be answered.
    next: Instant,
    /// Oldest first.
    waiting: VecDeque<Waiting>,
    /// The number of the oldest.
    first: u64,
    /// Numbers of what waits; an account has one place at each desk.
    places: HashMap<Asker, u64, RandomState>,
    /// Whose place came up while nothing was asked: the next question goes before all others. At most [`WAITING_MAX`].
    ready: HashSet<Asker, RandomState>,
    /// When questions were asked, and their numbers, oldest first. At most twice [`WAITING_MAX`].
    asked: VecDeque<(Instant, u64)>,
    /// Questions that were answered at once for want of a place.
    unpaced: u64,
}

/// Desk and account.
type Asker = (usize, AccountId);

struct Waiting {
    asker: Asker,
    count_max: u32,
    asked_at: Instant,
    /// It was answered with nothing yet, and not asked again since.
    told: bool,
}

impl Pace {
    pub(crate) fn new(rate: u32, now: Instant) -> Pace {
        Pace {
            rate,
            next: now,
            waiting: VecDeque::new(),
            first: FIRST,
            places: HashMap::default(),
            ready: HashSet::default(),
            asked: VecDeque::new(),
            unpaced: 0,
        }
    }

    /// Questions that were answered at once because too many waited.
    pub(crate) fn unpaced(&self) -> u64 {
        self.unpaced
    }

    /// Takes the questions out of what the shards asked. What a shard asked before and after one keeps its order; that
    /// it is answered later does no harm, for it asks what there is.
    pub(crate) fn hold(&mut self, now: Instant, batches: &mut [Batch]) {
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
                    StoreOp::Unpark { account, count_max } if self.queue((desk, account), count_max, now) => {
                    }
                    op => kept.push(op),
                }
            }
            batch.ops = kept;
        }
    }

    /// False when it finds no place.
    fn queue(&mut self, asker: Asker, count_max: u32, now: Instant) -> bool {
        let waiting = Waiting { asker, count_max, asked_at: now, told: false };
        let number = if let Some(number) = self.places.get(&asker).copied() {
            self.waiting[(number - self.first) as usize] = waiting;
            number
        } else if self.waiting.len() >= WAITING_MAX {
            self.unpaced += 1;
            return false;
        } else if self.ready.remove(&asker) {
            self.waiting.push_front(waiting);
            self.first -= 1;
            self.first
        } else {
            self.waiting.push_back(waiting);
            self.first + self.waiting.len() as u64 - 1
        };
        self.places.insert(asker, number);
        if self.asked.len() < 2 * WAITING_MAX {
            self.asked.push_back((now, number));
        }
        true
    }

    /// Puts back the questions whose time has come, each for a small page, and answers those that waited long.
    pub(crate) fn release(&mut self, now: Instant, batches: &mut [Batch]) {
        self.release_due(now, batches);
        self.tell_patient(now, batches); // those whose time has not come with this
    }

    fn release_due(&mut self, now: Instant, batches: &mut [Batch]) {
        let mut left = QUESTIONS_MAX;
        while let Some(oldest) = self.waiting.front() {
            if !oldest.told && (now < self.next || left == 0) {
                return;
            }
            let Some(Waiting { asker, count_max, told, .. }) = self.waiting.pop_front() else { return };
            self.first += 1;
            self.places.remove(&asker);
            if !told {
                left -= 1;
                let count_max = count_max.min(PAGE_MAX);
                batches[asker.0].ops.push(StoreOp::Unpark { account: asker.1, count_max });
            } else if self.ready.len() < WAITING_MAX {
                self.ready.insert(asker);
            }
        }
    }

    fn tell_patient(&mut self, now: Instant, batches: &mut [Batch]) {
        while let Some((asked_at, number)) = self.asked.front().copied()
            && now >= asked_at + PATIENCE
        {
            self.asked.pop_front();
            let waiting = number.checked_sub(self.first).and_then(|at| self.waiting.get_mut(at as usize));
            // Another one may stand there, or the same one that was asked again.
            if let Some(waiting) = waiting.filter(|one| one.asked_at == asked_at && !one.told) {
                waiting.told = true;
                let (desk, account) = waiting.asker;
                batches[desk].answers.push(StoreAnswer::Unparked {
                    account,
                    entries: Vec::new(),
                    more: true,
                });
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
        let patient = self.asked.front().map(|(asked_at, _)| *asked_at + PATIENCE);
        let next = (!self.waiting.is_empty()).then_some(self.next);
        next.map(|next| patient.map_or(next, |patient| next.min(patient)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay::{ParkedEntry, ParkedId};

    fn unpark(account: u128) -> StoreOp {
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
            pace.hold(now, &mut batches);
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
        pace.hold(now, &mut batches);
        assert_eq!(batches[0].ops, [release(1), release(2)]);
        assert_eq!(pace.due(), Some(now));
        pace.release(now, &mut batches);
        assert_eq!(batches[0].ops.len(), 3);
        assert_eq!(pace.due(), None);
    }

    fn answers(batches: &mut [Batch]) -> Vec<(u128, usize, bool)> {
        let answers = batches.iter_mut().flat_map(|batch| batch.answers.drain(..));
        let seen = answers.filter_map(|answer| match answer {
            StoreAnswer::Unparked { account, entries, more } => Some((account.0, entries.len(), more)),
            _ => None,
        });
        seen.collect()
    }

    fn asked(batches: &mut [Batch]) -> Vec<u128> {
        let ops = batches.iter_mut().flat_map(|batch| batch.ops.drain(..));
        let asked = ops.filter_map(|op| match op {
            StoreOp::Unpark { account, .. } => Some(account.0),
            _ => None,
        });
        asked.collect()
    }

    #[test]
    fn who_waits_long_hears_of_it_and_keeps_its_place() {
        let start = Instant::now();
        let mut pace = Pace::new(1, start);
        let mut batches = [Batch::default()];
        pace.next = start + Duration::from_secs(10);
        let ask = |pace: &mut Pace, batches: &mut [Batch], seconds: u64, account| {
            batches[0].ops.push(unpark(account));
            pace.hold(start + Duration::from_secs(seconds), batches);
        };
        ask(&mut pace, &mut batches, 0, 1);
        ask(&mut pace, &mut batches, 0, 2);
        pace.release(start + PATIENCE / 2, &mut batches);
        assert_eq!(answers(&mut batches), []);
        assert_eq!(pace.due(), Some(start + PATIENCE));
        pace.release(start + PATIENCE, &mut batches);
        assert_eq!(answers(&mut batches), [(1, 0, true), (2, 0, true)], "nothing yet, once");
        pace.release(start + PATIENCE * 2, &mut batches);
        assert_eq!(answers(&mut batches), []);
        // The first asks again and has its place; the other one's comes up while it does not ask.
        ask(&mut pace, &mut batches, 9, 3);
        ask(&mut pace, &mut batches, 10, 1);
        let at = start + Duration::from_secs(10);
        pace.release(at, &mut batches);
        assert_eq!(asked(&mut batches), [1, 3]);
        pace.next = at + Duration::from_secs(1);
        ask(&mut pace, &mut batches, 10, 4);
        ask(&mut pace, &mut batches, 10, 2);
        pace.release(at + Duration::from_secs(1), &mut batches);
        assert_eq!(asked(&mut batches), [2, 4], "whose place had come goes first");
        assert!(pace.waiting.is_empty() && pace.places.is_empty() && pace.ready.is_empty());
        assert_eq!(pace.due(), None);
    }

    #[test]
    fn what_finds_no_place_is_answered_at_once_and_counted() {
        let now = Instant::now();
        let mut pace = Pace::new(1, now);
        let mut batches = [Batch::default()];
        batches[0].ops.extend((0..WAITING_MAX as u128 + 3).map(unpark));
        pace.hold(now, &mut batches);
        assert_eq!((asked(&mut batches).len(), pace.unpaced()), (3, 3));
        batches[0].ops.push(unpark(0));
        pace.hold(now, &mut batches);
        assert_eq!((asked(&mut batches).len(), pace.unpaced()), (0, 3), "it has a place");
    }

    #[test]
    fn without_a_rate_nothing_is_held() {
        let now = Instant::now();
        let mut pace = Pace::new(0, now);
        let mut batches = [Batch { ops: vec![unpark(1)], answers: Vec::new() }];
        pace.hold(now, &mut batches);
        assert_eq!(batches[0].ops, [unpark(1)]);
    }
}
