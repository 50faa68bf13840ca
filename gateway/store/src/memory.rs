//! The store as plain maps: the model that the contract compares with, and a store for tests. Nothing survives.

use super::redis::Word;
use super::shelf::{BULK, CLASSES, Shelf, Shelves, class_of, count_of, shelf_of};
use super::{StoreCounters, StoreOptions};
use relay::{
    Correlation, CorrelationKey, EarlyReceipt, ParkedEntry, ParkedId, SAME_ID_MAX, StoreAnswer, StoreOp,
    StoreOutage, choose, receipt_for,
};
use smpp::text::message_id::GatewayId;
use std::collections::{BTreeMap, VecDeque};

/// See the module.
pub struct Memory {
    limits: StoreOptions,
    /// By id, those of one id in the order of coming.
    correlations: BTreeMap<CorrelationKey, Vec<Correlation>>,
    shelves: Shelves,
    parked: BTreeMap<(u128, u64), (u32, Vec<u8>)>,
    orphans: VecDeque<u32>,
    /// In the order of coming.
    early: Vec<Early>,
    words: Vec<Word>,
    /// Numbers of a shelf go on where those of an earlier shelf of the account ended.
    next_id: u64,
    counters: StoreCounters,
}

/// A receipt that waits for its message.
struct Early {
    at: u32,
    key: CorrelationKey,
    receipt: EarlyReceipt,
    pdu: Vec<u8>,
}

impl Memory {
    pub(super) fn new(options: &StoreOptions) -> Memory {
        Memory {
            limits: options.clone(),
            correlations: BTreeMap::new(),
            shelves: Shelves::new(),
            parked: BTreeMap::new(),
            orphans: VecDeque::new(),
            early: Vec::new(),
            words: Vec::new(),
            next_id: 1,
            counters: StoreCounters::default(),
        }
    }

    pub(super) fn apply(&mut self, now: u32, op: StoreOp, answers: &mut Vec<StoreAnswer>) {
        match op {
            StoreOp::Remember { message, key, correlation } => {
                self.remember(key, correlation);
                self.serve_early(now, Some(key));
                self.counters.remembered += 1;
                answers.push(StoreAnswer::Remembered { message, outcome: Ok(()) });
            }
            StoreOp::Find { delivery, key, numbers } => {
                let candidates = self.correlations.get(&key).into_iter().flatten().copied();
                let found = choose(candidates, &numbers);
                self.counters.count_finding(&found);
                answers.push(StoreAnswer::Found { delivery, outcome: Ok(found) });
            }
            StoreOp::KeepEarly { delivery, key, receipt, pdu } => {
                self.make_room_for_early(&key);
                self.early.push(Early { at: now, key, receipt, pdu: pdu.clone() });
                self.counters.early += 1;
                self.serve_early(now, Some(key));
                answers.push(StoreAnswer::EarlyKept { delivery, outcome: Ok(()), pdu });
            }
            StoreOp::Forget { key, gateway_id, .. } => self.forget(&key, gateway_id),
            StoreOp::Park { delivery, account, urgent, pdu } => {
                let outcome = self.park(now, account.0, urgent, &pdu);
                answers.push(StoreAnswer::Parked { delivery, account, outcome, pdu });
            }
            StoreOp::ParkOrphan { delivery, pdu, .. } => {
                self.park_orphan(now);
                answers.push(StoreAnswer::OrphanParked { delivery, outcome: Ok(()), pdu });
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
        self.serve_early(now, None);
        let early = now.saturating_sub(self.limits.early_wait_seconds);
        while self.early.first().is_some_and(|one| one.at <= early) {
            let mut one = self.early.remove(0);
            let open = self.correlations.get(&one.key).into_iter().flatten().copied();
            if choose(open, &one.receipt.numbers).fits().is_some() {
                one.at = now; // without room: it waits once more
                self.early.push(one);
                continue;
            }
            self.counters.early_expired += 1;
            self.park_orphan(now);
        }
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
            early_now: self.early.len() as u64,
            ..self.counters
        }
    }

    fn forget(&mut self, key: &CorrelationKey, gateway_id: GatewayId) {
        if let Some(open) = self.correlations.get_mut(key) {
            let before = open.len();
            open.retain(|one| one.gateway_id != gateway_id);
            self.counters.forgotten += (before - open.len()) as u64;
            if open.is_empty() {
                self.correlations.remove(key);
            }
        }
    }

    fn park_orphan(&mut self, now: u32) {
        if self.orphans.len() as u64 >= self.limits.orphans_max {
            self.counters.orphans_full += u64::from(self.orphans.pop_front().is_some());
        }
        self.counters.orphans += 1;
        self.orphans.push_back(now);
    }

    fn make_room_for_early(&mut self, key: &CorrelationKey) {
        let mut of_key = self.early.iter().enumerate().filter(|(_, early)| early.key == *key);
        let oldest = of_key.next().map(|(at, _)| at);
        let is_much = of_key.count() + 1 >= SAME_ID_MAX;
        if let Some(oldest) = oldest.filter(|_| is_much) {
            self.early.remove(oldest);
            self.counters.early_full += 1;
        }
        if self.early.len() as u64 >= self.limits.early_max.max(1) {
            self.early.remove(0);
            self.counters.early_full += 1;
        }
    }

    /// Early receipts, of one id or all, whose message is there.
    fn serve_early(&mut self, now: u32, of: Option<CorrelationKey>) {
        let mut at = 0;
        while let Some(Early { key, receipt, pdu, .. }) = self.early.get(at) {
            let (key, receipt) = (*key, *receipt);
            let open = self.correlations.get(&key).into_iter().flatten().copied();
            let found = choose(open.filter(|_| of.is_none_or(|of| of == key)), &receipt.numbers);
            let written = found.fits().and_then(|one| Some((*one, receipt_for(pdu, one)?)));
            at += 1;
            let Some((one, written)) = written else { continue };
            let is_asked = receipt.is_asked(&one);
            if is_asked && self.park(now, one.account.0, one.urgent, &written).is_err() {
                continue;
            }
            at -= 1;
            self.early.remove(at);
            self.counters.early_served += 1;
            if receipt.is_final {
                self.forget(&key, one.gateway_id);
            }
            self.words.extend(is_asked.then_some(Word::ParkedFor(one.account)));
        }
    }

    pub(super) fn take_words(&mut self) -> Vec<Word> {
        std::mem::take(&mut self.words)
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
