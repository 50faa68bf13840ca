//! The store as plain maps: the model that the contract compares with, and a store for tests. Nothing survives.

use super::shelf::{BULK, CLASSES, Shelf, Shelves, class_of, count_of, shelf_of};
use super::{StoreCounters, StoreOptions};
use relay::{
    Correlation, CorrelationKey, ParkedEntry, ParkedId, SAME_ID_MAX, StoreAnswer, StoreOp, StoreOutage,
    choose,
};
use std::collections::{BTreeMap, VecDeque};

/// See the module.
pub struct Memory {
    limits: StoreOptions,
    /// By id, those of one id in the order of coming.
    correlations: BTreeMap<CorrelationKey, Vec<Correlation>>,
    shelves: Shelves,
    parked: BTreeMap<(u128, u64), (u32, Vec<u8>)>,
    orphans: VecDeque<u32>,
    /// Numbers of a shelf go on where those of an earlier shelf of the account ended.
    next_id: u64,
    counters: StoreCounters,
}

impl Memory {
    pub(super) fn new(options: &StoreOptions) -> Memory {
        Memory {
            limits: options.clone(),
            correlations: BTreeMap::new(),
            shelves: Shelves::new(),
            parked: BTreeMap::new(),
            orphans: VecDeque::new(),
            next_id: 1,
            counters: StoreCounters::default(),
        }
    }

    pub(super) fn apply(&mut self, now: u32, op: StoreOp, answers: &mut Vec<StoreAnswer>) {
        match op {
            StoreOp::Remember { message, key, correlation } => {
                self.remember(key, correlation);
                self.counters.remembered += 1;
                answers.push(StoreAnswer::Remembered { message, outcome: Ok(()) });
            }
            StoreOp::Find { delivery, key, numbers } => {
                let candidates = self.correlations.get(&key).into_iter().flatten().copied();
                let found = choose(candidates, &numbers);
                self.counters.count_finding(&found);
                answers.push(StoreAnswer::Found { delivery, outcome: Ok(found) });
            }
            StoreOp::Forget { key, gateway_id, .. } => {
                if let Some(open) = self.correlations.get_mut(&key) {
                    let before = open.len();
                    open.retain(|one| one.gateway_id != gateway_id);
                    self.counters.forgotten += (before - open.len()) as u64;
                    if open.is_empty() {
                        self.correlations.remove(&key);
                    }
                }
            }
            StoreOp::Park { delivery, account, urgent, pdu } => {
                let outcome = self.park(now, account.0, urgent, &pdu);
                answers.push(StoreAnswer::Parked { delivery, account, outcome, pdu });
            }
            StoreOp::ParkOrphan { delivery, pdu, .. } => {
                let outcome = if self.orphans.len() as u64 >= self.limits.orphans_max {
                    self.counters.orphans_full += 1;
                    Err(StoreOutage::Full)
                } else {
                    self.counters.orphans += 1;
                    self.orphans.push_back(now);
                    Ok(())
                };
                answers.push(StoreAnswer::OrphanParked { delivery, outcome, pdu });
            }
            StoreOp::Unpark { account, count_max } => {
                let (entries, more) = self.unpark(account.0, count_max as usize);
                answers.push(StoreAnswer::Unparked { account, entries, more });
            }
            StoreOp::Release { account, parked } => self.release(account.0, parked.0),
            StoreOp::Return { account, parked } => {
                let shelf = self.shelves.get_mut(&shelf_of(account.0, parked.0));
                self.counters.returned += u64::from(shelf.is_some_and(|shelf| shelf.give_back(parked.0)));
            }
        }
    }

    pub(super) fn commit(&mut self) -> Result<(), StoreOutage> {
        self.counters.commits += 1;
        Ok(())
    }

    pub(super) fn sweep(&mut self, now: u32, _budget: usize) {
        let oldest = now.saturating_sub(self.limits.time_to_live_seconds);
        for open in self.correlations.values_mut() {
            let before = open.len();
            open.retain(|one| one.submitted_at >= oldest);
            self.counters.correlations_expired += (before - open.len()) as u64;
        }
        self.correlations.retain(|_, open| !open.is_empty());
        let orphans = self.orphans.len();
        self.orphans.retain(|parked_at| *parked_at >= oldest);
        self.counters.orphans_expired += (orphans - self.orphans.len()) as u64;
        for ((account, class), shelf) in &mut self.shelves {
            let range = (*account, *class)..=(*account, class | !BULK);
            let old: Vec<u64> = self
                .parked
                .range(range)
                .filter(|(_, (at, _))| *at < oldest)
                .map(|((_, id), _)| *id)
                .collect();
            for id in old {
                shelf.expire(id);
                self.parked.remove(&(*account, id));
                self.counters.parked_expired += 1;
            }
        }
        self.shelves.retain(|_, shelf| shelf.count() > 0);
    }

    pub(super) fn counters(&self) -> StoreCounters {
        StoreCounters {
            open_recent: self.correlations.values().map(Vec::len).sum::<usize>() as u64,
            parked_now: self.parked.len() as u64,
            orphans_now: self.orphans.len() as u64,
            ..self.counters
        }
    }

    fn remember(&mut self, key: CorrelationKey, correlation: Correlation) {
        let open = self.correlations.entry(key).or_default();
        open.retain(|one| one.gateway_id != correlation.gateway_id);
        let shared = !open.is_empty();
        if open.len() >= SAME_ID_MAX {
            open.remove(0);
            self.counters.displaced += 1;
        }
        self.counters.given_again += u64::from(shared);
        open.iter_mut().for_each(|one| one.shared = true);
        open.push(Correlation { shared, ..correlation });
    }

    fn park(&mut self, now: u32, account: u128, urgent: bool, pdu: &[u8]) -> Result<(), StoreOutage> {
        let parked_here = count_of(&self.shelves, account);
        if self.parked.len() as u64 >= self.limits.parked_max || parked_here >= self.limits.parked_account_max
        {
            self.counters.parked_full += 1;
            return Err(StoreOutage::Full);
        }
        let class = class_of(urgent);
        let next_id = self.next_id | class;
        let shelf =
            self.shelves.entry((account, class)).or_insert_with(|| Shelf::restore(next_id, next_id, 0));
        let id = shelf.park();
        self.next_id = self.next_id.max((id & !BULK) + 1);
        self.parked.insert((account, id), (now, pdu.to_vec()));
        self.counters.parked += 1;
        Ok(())
    }

    fn unpark(&mut self, account: u128, count_max: usize) -> (Vec<ParkedEntry>, bool) {
        let mut entries = Vec::new();
        let mut more = false;
        for class in CLASSES {
            more |= self.unpark_from(account, class, count_max, &mut entries);
        }
        self.counters.unparked += entries.len() as u64;
        (entries, more)
    }

    fn unpark_from(
        &mut self,
        account: u128,
        class: u64,
        count_max: usize,
        entries: &mut Vec<ParkedEntry>,
    ) -> bool {
        let Some(shelf) = self.shelves.get_mut(&(account, class)) else { return false };
        let entry = |id: u64| {
            self.parked
                .get(&(account, id))
                .map(|(_, pdu)| ParkedEntry { parked: ParkedId(id), pdu: pdu.clone() })
        };
        while entries.len() < count_max {
            let Some(id) = shelf.take_returned() else { break };
            entries.extend(entry(id));
        }
        let range = (account, shelf.cursor())..=(account, class | !BULK);
        for (_, id) in self.parked.range(range).map(|(key, _)| *key).take(count_max - entries.len()) {
            shelf.hand_out(id);
            entries.extend(entry(id));
        }
        shelf.waiting() > 0
    }

    fn release(&mut self, account: u128, id: u64) {
        let name = shelf_of(account, id);
        let Some(shelf) = self.shelves.get_mut(&name) else { return };
        if shelf.release(id) {
            self.parked.remove(&(account, id));
            self.counters.released += 1;
        }
        if shelf.count() == 0 {
            self.shelves.remove(&name);
        }
    }
}
