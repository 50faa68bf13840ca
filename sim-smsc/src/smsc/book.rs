//! What the site writes down, for the ledger.

use ledger::fingerprint;

use super::*;
use crate::receipts::Body;

impl<L: Copy> Site<L> {
    pub(super) fn unix_ns(&self, now: Instant) -> u64 {
        now.as_nanos() + self.unix_origin_ns
    }

    pub(super) fn record(&mut self, now: Instant, kind: Kind, key: MessageKey) -> &mut Record {
        let time_ns = self.unix_ns(now);
        self.records.push(Record::new(kind, self.options.index, key, time_ns));
        let last = self.records.len() - 1;
        &mut self.records[last]
    }

    pub(super) fn record_acceptance(
        &mut self,
        now: Instant,
        submit: &Submit,
        view: &SubmitSm<'_>,
        id_hash: u64,
        receipt_owed: bool,
    ) {
        let record = self.record(now, Kind::Accepted, submit.key);
        (record.id_hash, record.fingerprint) = (id_hash, fingerprint(view));
        (record.link, record.number) = (submit.from.serial, submit.account);
        (record.state, record.extra) = (view.registered_delivery.0, ledger::addresses(view));
        record.detail = if receipt_owed { Record::RECEIPT_OWED } else { 0 };
        record.detail |= if submit.is_keyed { 0 } else { Record::UNKEYED };
    }

    pub(super) fn record_refusal(&mut self, now: Instant, submit: &Submit, status: CommandStatus) {
        let record = self.record(now, Kind::Refused, submit.key);
        (record.link, record.number, record.status) = (submit.from.serial, submit.account, status.0);
    }

    pub(super) fn record_bind(&mut self, now: Instant, which: ConnRef) {
        let account = self.conn(which).and_then(|conn| conn.bound).map_or(0, |bound| bound.account);
        let record = self.record(now, Kind::LinkUp, MessageKey::default());
        (record.link, record.number) = (which.serial, account);
    }

    pub(super) fn record_end(&mut self, now: Instant, conn: &Conn<L>, in_order: bool) {
        let Some(Bound { account, .. }) = conn.bound else { return };
        let record = self.record(now, Kind::LinkDown, MessageKey::default());
        (record.link, record.number, record.state) = (conn.serial, account, u8::from(in_order));
        record.status = conn.unanswered_most;
    }

    pub(super) fn record_fault(&mut self, now: Instant, name: &str) {
        let mut octets = [0; 8];
        let length = name.len().min(octets.len());
        octets[..length].copy_from_slice(&name.as_bytes()[..length]);
        self.record(now, Kind::Fault, MessageKey::default()).extra = u64::from_le_bytes(octets);
    }

    /// The loop that serves this site stood still for so long.
    pub(crate) fn record_stall(&mut self, now: Instant, stall: Duration) {
        self.record(now, Kind::Stall, MessageKey::default()).extra = stall.as_nanos() as u64;
    }

    /// A receipt or MO that will not be sent any more.
    pub(super) fn give_up(&mut self, now: Instant, item: u32) {
        let Some(pending) = self.pending.try_remove(item as usize) else { return };
        if let Body::Receipt { id_hash, state, .. } = pending.body {
            let record = self.record(now, Kind::ReceiptDropped, pending.key);
            (record.id_hash, record.state) = (id_hash, state.as_u8());
        }
    }

    /// As at the start: no message was seen, no fault struck. Connections stay; what is unanswered on them is answered
    /// now, and a deliver_sm under way is still waited for.
    pub(crate) fn reset(&mut self, now: Instant, start: Option<Instant>) {
        self.heal(now);
        let mut due = Vec::new();
        self.wheel.take_all(&mut due);
        for entry in due {
            match entry {
                Due::Answer(answer) => self.give(now, answer),
                Due::Resume(which) => self.pause(which, PAUSED_RATE, false),
                Due::Deliver(_) => {}
            }
        }
        for (_, conn) in &mut self.conns {
            conn.queue.clear();
            conn.recent.clear();
        }
        for account in &mut self.accounts {
            account.queue.clear();
        }
        self.pending.retain(|_, pending| pending.on.is_some());
        self.attempts = Attempts::new();
        self.held_back = self.options.behaviour.receipts.hold;
        self.start = start;
        self.mo_sequence = 0;
        self.options.run = next_instance(self.options.run);
        self.counters = Counters { connections: self.counters.connections, ..Counters::default() };
        let name = &self.options.name;
        let faults =
            self.options.faults.iter().filter(|fault| fault.site.as_ref().is_none_or(|site| site == name));
        self.timeline = Timeline::new(faults.cloned());
    }
}

/// The run's number after a reset, so that its messages are not taken for those before.
fn next_instance(run: u32) -> u32 {
    run & !MessageKey::INSTANCE | run.wrapping_add(1) & MessageKey::INSTANCE
}
