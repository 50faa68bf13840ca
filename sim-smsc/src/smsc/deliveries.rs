//! Receipts and messages from handsets: made, queued, sent, retried.

use ledger::ReceiptDigest;
use smpp::field::{Address, EsmClass, MessageState, Npi, ReceiptWanted, StatusClass, Ton};
use smpp::pdu::DeliverSm;
use smpp::text::receipt::receipt_of;

use super::*;
use crate::receipts::{Body, Head, Number, ReceiptView, Route, Scratch, empty_deliver_sm};

/// What a deliver_sm said, short enough for the ledger.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    fingerprint: u64,
    digest: ReceiptDigest,
    addresses: u64,
}

impl Said {
    pub(crate) fn of(pdu: &DeliverSm<'_>) -> Said {
        match receipt_of(pdu) {
            Some(receipt) => Said { digest: ReceiptDigest::of(pdu, &receipt), ..Said::default() },
            None => Said {
                fingerprint: ledger::fingerprint_mo(pdu),
                addresses: ledger::addresses_of(pdu.source.digits, pdu.destination.digits),
                ..Said::default()
            },
        }
    }
}

impl<L: Copy> Site<L> {
    /// The deliver_sm of an item, written into buffers the owner keeps.
    pub(crate) fn deliver_sm<'s>(
        &self,
        now: Instant,
        item: u32,
        scratch: &'s mut Scratch,
    ) -> Option<DeliverSm<'s>> {
        let pending = self.pending.get(item as usize)?;
        let view = ReceiptView {
            rule: &self.options.behaviour.receipts,
            ids: &self.options.behaviour.ids,
            seed: self.options.seed,
            pending,
            done_unix_ns: self.unix_ns(now),
        };
        match pending.body {
            Body::Receipt { .. } => view.write(scratch),
            Body::Mo => Some(self.mo_sm(&pending.key, scratch)),
        }
    }

    /// The item was handed to its connection.
    pub(crate) fn delivery_sent(&mut self, now: Instant, item: u32, said: &Said) {
        let Some(pending) = self.pending.get(item as usize) else { return };
        let (key, link) = (pending.key, pending.on.map_or(0, |on| on.serial));
        match pending.body {
            Body::Receipt { id_hash, .. } => {
                let first = pending.failures == 0 && !pending.is_copy;
                self.counters.receipts_sent += 1;
                let record = self.record(now, Kind::ReceiptSent, key);
                (record.id_hash, record.link) = (id_hash, link);
                record.set_digest(&said.digest);
                let p = self.options.behaviour.receipts.duplicate_p;
                if first && self.decider.misfortune(&key, Purpose::DuplicateReceipt, 0).hits(p) {
                    self.copy(now, item);
                }
            }
            Body::Mo => {
                self.counters.mo_sent += 1;
                let record = self.record(now, Kind::MoSent, key);
                (record.fingerprint, record.extra, record.link) = (said.fingerprint, said.addresses, link);
            }
        }
    }

    /// The item could not be handed to its connection: it waits for the next tick.
    pub(crate) fn delivery_unsent(&mut self, item: u32) {
        let Some(pending) = self.pending.get_mut(item as usize) else { return };
        let account = pending.account;
        if let Some(on) = pending.on.take()
            && let Some(conn) = self.conn_mut(on)
        {
            conn.in_flight = conn.in_flight.saturating_sub(1);
            conn.blocked = true;
        }
        self.accounts[account as usize].queue.push_front(item);
    }

    /// The peer answered the item.
    pub(crate) fn delivered(&mut self, now: Instant, item: u32, status: CommandStatus) {
        let Some(on) = self.unload(item) else { return };
        let pending = &self.pending[item as usize];
        let (key, account) = (pending.key, pending.account);
        let (kind, id_hash, state) = match pending.body {
            Body::Receipt { id_hash, state, .. } => (Kind::ReceiptAcked, id_hash, state.as_u8()),
            Body::Mo => (Kind::MoAcked, 0, 0),
        };
        let record = self.record(now, kind, key);
        (record.status, record.id_hash, record.state) = (status.0, id_hash, state);
        let is_receipt = kind == Kind::ReceiptAcked;
        match status.class() {
            StatusClass::Ok => {
                let count =
                    if is_receipt { &mut self.counters.receipts_acked } else { &mut self.counters.mo_acked };
                *count += 1;
                self.pending.remove(item as usize);
            }
            StatusClass::Permanent => {
                self.counters.receipts_refused += u64::from(is_receipt);
                self.give_up(now, item);
            }
            StatusClass::Temporary | StatusClass::Throttled => self.retry(now, item),
        }
        self.pump_conn(on);
        self.pump(account);
    }

    /// The peer did not answer the item in time.
    pub(crate) fn delivery_expired(&mut self, now: Instant, item: u32) {
        let Some(on) = self.unload(item) else { return };
        let account = self.pending[item as usize].account;
        self.retry(now, item);
        self.pump_conn(on);
        self.pump(account);
    }

    /// Lets receipts go that are kept back.
    pub(crate) fn release_receipts(&mut self) {
        self.held_back = false;
        self.pump_all();
    }

    /// The receipt a message is to have and its delay after the answer, if it is to have one.
    pub(super) fn receipt_for(
        &mut self,
        now: Instant,
        submit: &Submit,
        view: &SubmitSm<'_>,
        id: u64,
        id_hash: u64,
    ) -> Option<(u32, Duration)> {
        let wanted = view.registered_delivery.receipt();
        if wanted == ReceiptWanted::Never {
            return None;
        }
        let receipts = &self.options.behaviour.receipts;
        let fate = receipts.outcomes.decide(&self.decider, &submit.key, submit.attempt)?;
        let is_delivered = fate.state == MessageState::Delivered;
        if wanted == ReceiptWanted::OnFailure && is_delivered
            || wanted == ReceiptWanted::Reserved && !is_delivered
        {
            return None;
        }
        let text = if receipts.text { Head::new(view.payload()) } else { Head::default() };
        let item = self.pending.insert(Pending {
            body: Body::Receipt {
                id,
                id_hash,
                state: fate.state,
                error: fate.error,
                source: Number::new(&view.source),
                destination: Number::new(&view.destination),
                text,
            },
            key: submit.key,
            account: submit.account,
            on: None,
            origin: Some(submit.from),
            failures: 0,
            is_copy: false,
            since_unix_ns: now.as_nanos() + self.unix_origin_ns,
        });
        Some((item as u32, fate.delay))
    }

    /// An item may go when the time has come.
    pub(super) fn ready_at(&mut self, now: Instant, due_ns: u64, item: u32) {
        if due_ns <= now.as_nanos() {
            self.ready(now, item);
        } else {
            self.wheel.insert(due_ns, Due::Deliver(item));
        }
    }

    /// An item may go as soon as a bind can take it.
    pub(super) fn ready(&mut self, now: Instant, item: u32) {
        let Some(pending) = self.pending.get(item as usize) else { return };
        let (account, origin) = (pending.account, pending.origin);
        let rule = &self.options.behaviour.receipts;
        if rule.route == Route::SameBind
            && let Some(origin) = origin
            && self.conn(origin).and_then(|conn| conn.bound).is_some_and(|bound| bound.kind.may_receive())
        {
            self.conns[origin.slot as usize].queue.push_back(item);
            return self.pump_conn(origin);
        }
        if self.accounts[account as usize].receivers.is_empty() && !rule.queue_without_receiver {
            self.counters.receipts_dropped += 1;
            return self.give_up(now, item);
        }
        self.accounts[account as usize].queue.push_back(item);
        self.pump(account);
    }

    /// Sends what can be sent, for every account and bind; lets blocked binds try again.
    pub(super) fn pump_all(&mut self) {
        for (_, conn) in &mut self.conns {
            conn.blocked = false;
        }
        let with_own: Vec<_> = self
            .conns
            .iter()
            .filter(|(_, conn)| !conn.queue.is_empty())
            .map(|(slot, conn)| ConnRef { slot: slot as u32, serial: conn.serial })
            .collect();
        with_own.into_iter().for_each(|which| self.pump_conn(which));
        for account in 0..self.accounts.len() {
            self.pump(account as u32);
        }
    }

    /// Makes the messages from handsets that are due.
    pub(super) fn make_mo(&mut self, now: Instant) {
        let rule = &self.options.behaviour.mo;
        let (Some(start), true) = (self.start, rule.rate > 0.0) else { return };
        let mut due = (now.saturating_since(start).as_secs_f64() * rule.rate) as u64;
        if rule.count > 0 {
            due = due.min(rule.count);
        }
        let name = rule.account.as_ref();
        let account =
            self.options.accounts.iter().position(|rule| name.is_none_or(|name| *name == rule.system_id));
        let (parts, pending_max) = (rule.parts(), self.options.behaviour.receipts.pending_max);
        for _ in 0..MO_PER_TICK_MAX {
            if self.mo_sequence >= due {
                return;
            }
            let sequence = self.mo_sequence as u32;
            self.mo_sequence += 1;
            let (Some(account), true) = (account, self.pending.len() < pending_max) else {
                self.counters.mo_skipped += 1;
                continue;
            };
            for segment in 0..parts {
                let item = self.pending.insert(Pending {
                    body: Body::Mo,
                    key: MessageKey { run: self.options.run, account: self.options.index, sequence, segment },
                    account: account as u32,
                    on: None,
                    origin: None,
                    failures: 0,
                    is_copy: false,
                    since_unix_ns: now.as_nanos() + self.unix_origin_ns,
                });
                self.ready(now, item as u32);
            }
        }
    }

    /// A connection is gone: its items wait for another, the oldest first.
    pub(super) fn take_back(
        &mut self,
        bound: Option<Bound>,
        own: &VecDeque<u32>,
        written: &[u32],
        unsent: &[u32],
    ) {
        let Some(Bound { account, .. }) = bound else { return };
        for &item in own.iter().rev().chain(unsent.iter().rev()).chain(written.iter().rev()) {
            if let Some(pending) = self.pending.get_mut(item as usize) {
                pending.on = None;
                self.accounts[account as usize].queue.push_front(item);
            }
        }
        for &item in written {
            if let Some(pending) = self.pending.get_mut(item as usize) {
                pending.failures += 1;
                self.counters.receipts_retried += 1;
            }
        }
        self.pump(account);
    }

    fn pump(&mut self, account: u32) {
        if self.held_back {
            return;
        }
        while let Some(&item) = self.accounts[account as usize].queue.front() {
            let Some(slot) = self.receiver_for(account, item) else { return };
            self.accounts[account as usize].queue.pop_front();
            self.send(slot, item);
        }
    }

    fn pump_conn(&mut self, which: ConnRef) {
        if self.held_back {
            return;
        }
        while let Some(conn) = self.conn(which) {
            let (true, Some(&item)) = (self.can_take(conn), conn.queue.front()) else { return };
            self.conns[which.slot as usize].queue.pop_front();
            self.send(which.slot, item);
        }
    }

    /// A bind of the account that can take one more.
    fn receiver_for(&mut self, account: u32, item: u32) -> Option<u32> {
        let state = &self.accounts[account as usize];
        let count = state.receivers.len();
        let can_take = |slot: u32| self.conns.get(slot as usize).is_some_and(|conn| self.can_take(conn));
        if count == 0 || !state.receivers.iter().any(|&slot| can_take(slot)) {
            return None;
        }
        let first = match self.options.behaviour.receipts.route {
            Route::RoundRobin => state.turn,
            Route::AnyRx | Route::SameBind => {
                let pending = self.pending.get(item as usize)?;
                self.decider.misfortune(&pending.key, Purpose::Route, pending.failures).below(count)
            }
        };
        let offset = (0..count).find(|offset| can_take(state.receivers[(first + offset) % count]))?;
        let chosen = (first + offset) % count;
        let slot = state.receivers[chosen];
        self.accounts[account as usize].turn = (chosen + 1) % count;
        Some(slot)
    }

    fn can_take(&self, conn: &Conn<L>) -> bool {
        !conn.ending
            && !conn.unbinding
            && !conn.frozen
            && !conn.blocked
            && conn.in_flight < self.options.behaviour.receipts.window
    }

    fn send(&mut self, slot: u32, item: u32) {
        let conn = &mut self.conns[slot as usize];
        conn.in_flight += 1;
        let (link, serial) = (conn.link, conn.serial);
        if let Some(pending) = self.pending.get_mut(item as usize) {
            pending.on = Some(ConnRef { slot, serial });
            self.actions.push_back(Action::Deliver { link, item });
        }
    }

    /// The item is no longer under way; says on which connection it was.
    fn unload(&mut self, item: u32) -> Option<ConnRef> {
        let on = self.pending.get_mut(item as usize)?.on.take()?;
        if let Some(conn) = self.conn_mut(on) {
            conn.in_flight = conn.in_flight.saturating_sub(1);
        }
        Some(on)
    }

    fn retry(&mut self, now: Instant, item: u32) {
        let rule = self.options.behaviour.receipts.redelivery;
        let unix_ns = self.unix_ns(now);
        let Some(pending) = self.pending.get_mut(item as usize) else { return };
        let wait = rule.first.as_secs_f64() * rule.factor.powi(pending.failures.min(1_000) as i32);
        let wait = Duration::from_secs_f64(wait.min(rule.longest.as_secs_f64()));
        pending.failures += 1;
        let age = Duration::from_nanos(unix_ns.saturating_sub(pending.since_unix_ns));
        if age + wait > rule.lifetime {
            self.counters.receipts_dropped += 1;
            return self.give_up(now, item);
        }
        self.counters.receipts_retried += 1;
        self.wheel.insert(now.as_nanos() + wait.as_nanos() as u64, Due::Deliver(item));
    }

    fn copy(&mut self, now: Instant, item: u32) {
        if self.pending.len() < self.options.behaviour.receipts.pending_max {
            let original = self.pending[item as usize].clone();
            let copy = self.pending.insert(Pending { is_copy: true, on: None, ..original });
            self.ready(now, copy as u32);
        }
    }

    fn mo_sm<'s>(&self, key: &MessageKey, scratch: &'s mut Scratch) -> DeliverSm<'s> {
        let rule = &self.options.behaviour.mo;
        rule.write(&self.decider, key, scratch.text());
        let destination = rule.destination(&self.decider, key);
        let (text, [source, to]) = scratch.with_addresses(rule.source.as_bytes(), destination.as_bytes());
        let address = |digits| Address { ton: Ton(1), npi: Npi(1), digits };
        DeliverSm {
            source: address(source),
            destination: address(to),
            esm_class: EsmClass(rule.esm_class()),
            short_message: text,
            ..empty_deliver_sm()
        }
    }
}

/// Messages from handsets made in one tick of 5 ms: 200,000 a second.
const MO_PER_TICK_MAX: usize = 1_000;
