//! A store in memory, as the relay may expect it, and what happens to stores: it can undo its last milliseconds or
//! lose all. It tells the world what it did, so that the world can judge it.

use relay::{
    AccountId, Correlation, CorrelationKey, DeliveryKey, EarlyReceipt, MessageKey, ParkedEntry, ParkedId,
    StoreAnswer, StoreOp, StoreOutage, choose, receipt_for,
};
use smpp::text::message_id::GatewayId;
use std::collections::{BTreeMap, VecDeque};

/// Entries of one page, whatever was asked for: small, so that pages end in the middle of everything.
const PAGE_MAX: usize = 3;

/// In the name of what is parked and not urgent: it comes after all that is.
const BULK: u64 = 1 << 63;

/// What became durable, or ceased to be kept, by one operation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Nothing,
    Remembered(CorrelationKey, Correlation),
    Forgot(CorrelationKey, GatewayId),
    Parked(AccountId, ParkedId),
    /// A receipt without a message, under this number.
    KeptEarly(u64),
    Orphaned(Vec<u8>),
    Released(Vec<u8>),
}

/// What a store lost.
#[derive(Debug, Default)]
pub(crate) struct Loss {
    pub(crate) correlations: Vec<(CorrelationKey, GatewayId)>,
    pub(crate) parked: Vec<Vec<u8>>,
    /// Correlations and parked messages that are back, because their removal was lost.
    pub(crate) back: Vec<(CorrelationKey, GatewayId)>,
    pub(crate) parked_back: Vec<Vec<u8>>,
    /// Early receipts.
    pub(crate) early: Vec<Vec<u8>>,
    pub(crate) early_back: Vec<u64>,
}

#[derive(Debug)]
struct Parked {
    pdu: Vec<u8>,
    /// The life of the node that has it handed out.
    lent_to: Option<u32>,
}

/// A receipt that waits for its message.
#[derive(Debug)]
struct Early {
    key: CorrelationKey,
    receipt: EarlyReceipt,
    pdu: Vec<u8>,
}

#[derive(Debug)]
enum Undo {
    KeepEarly(u64),
    ServeEarly(u64, Early),
    Remember(CorrelationKey, GatewayId),
    Forget(CorrelationKey, Correlation),
    Park((AccountId, ParkedId)),
    Release((AccountId, ParkedId), Vec<u8>),
}

#[derive(Debug, Default)]
pub(crate) struct Store {
    correlations: BTreeMap<CorrelationKey, Vec<Correlation>>,
    parked: BTreeMap<(AccountId, ParkedId), Parked>,
    early: BTreeMap<u64, Early>,
    /// What it did with early receipts beside what it was asked.
    pub(crate) deeds: Vec<Deed>,
    last: u64,
    pub(crate) away: bool,
    pub(crate) full: bool,
    /// It does nothing before this moment.
    pub(crate) stalled_until: u64,
    /// Something happened after which answers may contradict one another.
    pub(crate) was_in_trouble: bool,
    journal: VecDeque<(u64, Undo)>,
}

impl Store {
    /// Carries out one operation of a node's life: what was done, and the answer.
    pub(crate) fn run(&mut self, now: u64, life: u32, op: StoreOp) -> (Deed, Option<StoreAnswer>) {
        let up = if self.away { Err(StoreOutage::Away) } else { Ok(()) };
        match op {
            StoreOp::Remember { message, key, correlation } => {
                self.remember(now, message, key, correlation, up)
            }
            StoreOp::Find { delivery, key, numbers } => {
                let open = self.correlations.get(&key).into_iter().flatten().copied();
                let outcome = up.map(|()| choose(open, &numbers));
                (Deed::Nothing, Some(StoreAnswer::Found { delivery, outcome }))
            }
            // What has no answer is lost while it is away.
            StoreOp::Forget { .. } | StoreOp::Release { .. } | StoreOp::Return { .. } if self.away => {
                (Deed::Nothing, None)
            }
            StoreOp::Forget { key, gateway_id, .. } => match self.drop_one(key, gateway_id) {
                Some(correlation) => {
                    self.journal.push_back((now, Undo::Forget(key, correlation)));
                    (Deed::Forgot(key, gateway_id), None)
                }
                None => (Deed::Nothing, None),
            },
            StoreOp::KeepEarly { delivery, key, receipt, pdu } => {
                let mut deed = Deed::Nothing;
                if up.is_ok() {
                    self.last += 1;
                    deed = Deed::KeptEarly(self.last);
                    self.early.insert(self.last, Early { key, receipt, pdu: pdu.clone() });
                    self.journal.push_back((now, Undo::KeepEarly(self.last)));
                    self.serve_early(now, key);
                }
                (deed, Some(StoreAnswer::EarlyKept { delivery, outcome: up, pdu }))
            }
            StoreOp::Park { delivery, account, urgent, pdu } => {
                self.park(now, delivery, (account, urgent), pdu, up)
            }
            StoreOp::ParkOrphan { delivery, vendor: _, pdu } => {
                let deed = if up.is_ok() { Deed::Orphaned(pdu.clone()) } else { Deed::Nothing };
                (deed, Some(StoreAnswer::OrphanParked { delivery, outcome: up, pdu }))
            }
            StoreOp::Unpark { account, count_max } => {
                (Deed::Nothing, Some(self.unpark(life, account, count_max)))
            }
            StoreOp::Release { account, parked } => {
                let Some(entry) = self.parked.remove(&(account, parked)) else {
                    assert!(self.was_in_trouble, "released what is not there");
                    return (Deed::Nothing, None);
                };
                assert!(self.was_in_trouble || entry.lent_to == Some(life), "released what was not lent");
                self.journal.push_back((now, Undo::Release((account, parked), entry.pdu.clone())));
                (Deed::Released(entry.pdu), None)
            }
            StoreOp::Return { account, parked } => {
                if let Some(entry) = self.parked.get_mut(&(account, parked)) {
                    assert!(self.was_in_trouble || entry.lent_to == Some(life), "returned what was not lent");
                    entry.lent_to = None;
                }
                (Deed::Nothing, None)
            }
        }
    }

    fn remember(
        &mut self,
        now: u64,
        message: MessageKey,
        key: CorrelationKey,
        correlation: Correlation,
        outcome: Result<(), StoreOutage>,
    ) -> (Deed, Option<StoreAnswer>) {
        let answer = Some(StoreAnswer::Remembered { message, outcome });
        if outcome.is_err() {
            return (Deed::Nothing, answer);
        }
        self.drop_one(key, correlation.gateway_id);
        let open = self.correlations.entry(key).or_default();
        open.push(correlation);
        let shared = open.len() > 1 || open[0].shared;
        open.iter_mut().for_each(|one| one.shared = shared);
        self.journal.push_back((now, Undo::Remember(key, correlation.gateway_id)));
        self.serve_early(now, key);
        (Deed::Remembered(key, correlation), answer)
    }

    /// Early receipts of an id go to the owners of the messages that they fit.
    fn serve_early(&mut self, now: u64, key: CorrelationKey) {
        let of_key = self.early.iter().filter(|(_, early)| early.key == key).map(|(number, _)| *number);
        for number in of_key.collect::<Vec<_>>() {
            self.serve_one(now, number);
        }
    }

    fn serve_one(&mut self, now: u64, number: u64) {
        let Early { key, receipt, pdu } = &self.early[&number];
        let (key, open) = (*key, self.correlations.get(key).into_iter().flatten().copied());
        let found = choose(open, &receipt.numbers);
        let Some(one) = found.fits().filter(|_| !self.full) else { return };
        if receipt.is_asked(one) {
            let written = receipt_for(pdu, one).expect("a receipt of the story");
            let place = self.put(now, one.account, one.urgent, written);
            self.deeds.push(Deed::Parked(place.0, place.1));
        }
        let early = self.early.remove(&number).expect("it was there");
        if early.receipt.is_final {
            let dropped = self.drop_one(key, one.gateway_id);
            self.journal.extend(dropped.map(|one| (now, Undo::Forget(key, one))));
            self.deeds.push(Deed::Forgot(key, one.gateway_id));
        }
        self.journal.push_back((now, Undo::ServeEarly(number, early)));
    }

    /// The time of an early receipt is over: false when the store cannot do it now.
    pub(crate) fn end_early(&mut self, now: u64, number: u64) -> bool {
        if self.away || self.full || now < self.stalled_until {
            return false;
        }
        if self.early.contains_key(&number) {
            self.serve_one(now, number);
        }
        if let Some(early) = self.early.remove(&number) {
            self.deeds.push(Deed::Orphaned(early.pdu));
        }
        true
    }

    fn put(&mut self, now: u64, account: AccountId, urgent: bool, pdu: Vec<u8>) -> (AccountId, ParkedId) {
        self.last += 1;
        let place = (account, ParkedId(self.last | if urgent { 0 } else { BULK }));
        self.parked.insert(place, Parked { pdu, lent_to: None });
        self.journal.push_back((now, Undo::Park(place)));
        place
    }

    fn park(
        &mut self,
        now: u64,
        delivery: DeliveryKey,
        (account, urgent): (AccountId, bool),
        pdu: Vec<u8>,
        up: Result<(), StoreOutage>,
    ) -> (Deed, Option<StoreAnswer>) {
        let outcome = if self.full { Err(StoreOutage::Full) } else { up };
        let mut deed = Deed::Nothing;
        if outcome.is_ok() {
            let place = self.put(now, account, urgent, pdu.clone());
            deed = Deed::Parked(place.0, place.1);
        }
        (deed, Some(StoreAnswer::Parked { delivery, account, outcome, pdu }))
    }

    fn unpark(&mut self, life: u32, account: AccountId, count_max: u32) -> StoreAnswer {
        let all = (account, ParkedId(0))..=(account, ParkedId(u64::MAX));
        let (mut entries, mut more) = (Vec::new(), false);
        if !self.away {
            for ((_, parked), entry) in
                self.parked.range_mut(all).filter(|(_, entry)| entry.lent_to.is_none())
            {
                if entries.len() >= PAGE_MAX.min(count_max as usize) {
                    more = true;
                    break;
                }
                entry.lent_to = Some(life);
                entries.push(ParkedEntry { parked: *parked, pdu: entry.pdu.clone() });
            }
        }
        StoreAnswer::Unparked { account, entries, more }
    }

    /// What was handed out to a life that ended can be handed out again.
    pub(crate) fn take_back_from(&mut self, life: u32) {
        self.was_in_trouble = true;
        for entry in self.parked.values_mut().filter(|entry| entry.lent_to == Some(life)) {
            entry.lent_to = None;
        }
    }

    /// It is there again: what is handed out may have come back while it was away.
    pub(crate) fn come_back(&mut self) {
        if !self.away {
            return;
        }
        self.away = false;
        self.parked.values_mut().for_each(|entry| entry.lent_to = None);
    }

    /// Undoes everything since a moment, the newest first; what is handed out is handed out no more.
    pub(crate) fn lose_since(&mut self, moment: u64) -> Loss {
        self.was_in_trouble = true;
        let mut loss = Loss::default();
        while let Some((_, undo)) = self.journal.pop_back_if(|(at, _)| *at >= moment) {
            match undo {
                Undo::Remember(key, gateway_id) => {
                    self.drop_one(key, gateway_id);
                    loss.correlations.push((key, gateway_id));
                }
                Undo::Forget(key, correlation) => {
                    self.correlations.entry(key).or_default().push(correlation);
                    loss.back.push((key, correlation.gateway_id));
                }
                Undo::KeepEarly(number) => {
                    loss.early.extend(self.early.remove(&number).map(|early| early.pdu));
                }
                Undo::ServeEarly(number, early) => {
                    self.early.insert(number, early);
                    loss.early_back.push(number);
                }
                Undo::Park(place) => loss.parked.extend(self.parked.remove(&place).map(|entry| entry.pdu)),
                Undo::Release(place, pdu) => {
                    loss.parked_back.push(pdu.clone());
                    self.parked.insert(place, Parked { pdu, lent_to: None });
                }
            }
        }
        self.parked.values_mut().for_each(|entry| entry.lent_to = None);
        loss
    }

    pub(crate) fn lose_all(&mut self) -> Loss {
        self.was_in_trouble = true;
        self.journal.clear();
        let parked = core::mem::take(&mut self.parked).into_values().map(|entry| entry.pdu).collect();
        let all = core::mem::take(&mut self.correlations).into_iter();
        let correlations = all.flat_map(|(key, open)| open.into_iter().map(move |one| (key, one.gateway_id)));
        let correlations = correlations.collect();
        let early = core::mem::take(&mut self.early).into_values().map(|early| early.pdu).collect();
        Loss { correlations, parked, early, ..Loss::default() }
    }

    /// What is parked: the owner, whether it is handed out, and the PDU.
    pub(crate) fn parked_entries(&self) -> impl Iterator<Item = (AccountId, Option<u32>, &[u8])> + '_ {
        self.parked.iter().map(|((account, _), entry)| (*account, entry.lent_to, &entry.pdu[..]))
    }

    /// The PDU of an entry that is there.
    pub(crate) fn parked(&self, account: AccountId, parked: ParkedId) -> &[u8] {
        &self.parked[&(account, parked)].pdu
    }

    /// The PDU of an early receipt that is there.
    pub(crate) fn early_pdu(&self, number: u64) -> Option<&[u8]> {
        self.early.get(&number).map(|early| &early.pdu[..])
    }

    /// All correlations that are kept.
    pub(crate) fn correlations(&self) -> impl Iterator<Item = (&CorrelationKey, GatewayId)> + '_ {
        self.correlations.iter().flat_map(|(key, open)| open.iter().map(move |one| (key, one.gateway_id)))
    }

    fn drop_one(&mut self, key: CorrelationKey, gateway_id: GatewayId) -> Option<Correlation> {
        let open = self.correlations.get_mut(&key)?;
        let at = open.iter().position(|one| one.gateway_id == gateway_id)?;
        let dropped = open.remove(at);
        if open.is_empty() {
            self.correlations.remove(&key);
        }
        Some(dropped)
    }
}
