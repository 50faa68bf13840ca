//! A store in memory, as the relay may expect it: in order, once handed out not handed out again.

use gateway_relay::{
    AccountId, Correlation, CorrelationKey, ParkedEntry, ParkedId, StoreAnswer, StoreOp, StoreOutage,
};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(crate) struct Store {
    correlations: BTreeMap<CorrelationKey, Correlation>,
    parked: BTreeMap<(AccountId, ParkedId), Vec<u8>>,
    lent: BTreeSet<(AccountId, ParkedId)>,
    last: u64,
    pub(crate) away: bool,
    pub(crate) orphans: Vec<Vec<u8>>,
}

impl Store {
    pub(crate) fn run(&mut self, op: StoreOp) -> Option<StoreAnswer> {
        let up = if self.away { Err(StoreOutage::Away) } else { Ok(()) };
        Some(match op {
            StoreOp::Remember { message, key, correlation } => {
                if up.is_ok() {
                    self.correlations.insert(key, correlation);
                }
                StoreAnswer::Remembered { message, outcome: up }
            }
            StoreOp::Find { delivery, key } => {
                let outcome = up.map(|()| self.correlations.get(&key).copied());
                StoreAnswer::Found { delivery, outcome }
            }
            StoreOp::Forget { key, submitted_at } => {
                let forgotten = self.correlations.remove(&key);
                assert!(forgotten.is_none_or(|kept| kept.submitted_at == submitted_at));
                return None;
            }
            StoreOp::Park { delivery, account, urgent: _, pdu } => {
                if up.is_ok() {
                    self.last += 1;
                    self.parked.insert((account, ParkedId(self.last)), pdu.clone());
                }
                StoreAnswer::Parked { delivery, outcome: up, pdu }
            }
            StoreOp::ParkOrphan { delivery, vendor: _, pdu } => {
                if up.is_ok() {
                    self.orphans.push(pdu.clone());
                }
                StoreAnswer::OrphanParked { delivery, outcome: up, pdu }
            }
            StoreOp::Unpark { account, count_max } => {
                let mut free = self
                    .parked
                    .range((account, ParkedId(0))..=(account, ParkedId(u64::MAX)))
                    .filter(|(key, _)| !self.lent.contains(*key));
                let entries: Vec<ParkedEntry> = free
                    .by_ref()
                    .take(count_max.min(3) as usize)
                    .map(|((_, parked), pdu)| ParkedEntry { parked: *parked, pdu: pdu.clone() })
                    .collect();
                let more = free.next().is_some();
                self.lent.extend(entries.iter().map(|entry| (account, entry.parked)));
                StoreAnswer::Unparked { account, entries, more }
            }
            StoreOp::Release { account, parked } => {
                assert!(self.lent.remove(&(account, parked)));
                assert!(self.parked.remove(&(account, parked)).is_some());
                return None;
            }
            StoreOp::Return { account, parked } => {
                assert!(self.lent.remove(&(account, parked)));
                return None;
            }
        })
    }

    pub(crate) fn parked_count(&self) -> usize {
        self.parked.len()
    }
}
