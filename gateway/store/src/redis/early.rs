//! Receipts in Redis that wait for their message. Each is written before correlations are looked at, and each correlation before
//! receipts are, so that of the two whoever comes later sees the other, on any node; the step that hands a receipt to its
//! owner is one script, and the first one to call it does it.

use super::Redis;
use super::connection::{Request, is_loss};
use super::layout::stream_id;
use super::scripts::Script;
use super::turn::{account_member, correlations_of, field, number};
use crate::redis::Word;
use crate::shelf::{CLASSES, class_of};
use bytes::Bytes;
use fred::types::Value;
use relay::{
    Correlation, CorrelationKey, EarlyReceipt, Finding, SAME_ID_MAX, VendorId, VendorMessageId, choose,
    receipt_for,
};
use std::time::{Duration, Instant};

/// How often receipts whose time is over are asked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Those that one step ends: some milliseconds of Redis.
const STEP_MAX: usize = 256;

/// A receipt whose message was found.
pub(super) struct Served {
    entry: Bytes,
    key: CorrelationKey,
    is_final: bool,
    correlation: Correlation,
    /// As its owner gets it; nothing where it does not.
    pdu: Bytes,
}

/// A receipt that waits, as scripts give it.
struct Waiting {
    entry: Bytes,
    key: CorrelationKey,
    receipt: EarlyReceipt,
    pdu: Bytes,
}

impl Redis {
    /// The names that scripts about early receipts end their keys with.
    pub(super) fn early_names(&self) -> [Bytes; 2] {
        [self.layout.name("early"), self.layout.name("early-ids")]
    }

    pub(super) fn keep_early_request(
        &self,
        now: u32,
        key: &CorrelationKey,
        receipt: &EarlyReceipt,
        pdu: &Bytes,
    ) -> Vec<Value> {
        let days = self.days_of(now).map(|day| self.layout.correlations(key, day));
        let names: Vec<Bytes> = days.chain(self.early_names()).collect();
        let arguments = [
            field(key),
            early_field(key).into(),
            number(self.limits.early_max.max(1)),
            Bytes::copy_from_slice(&receipt.to_bytes()).into(),
            pdu.clone().into(),
            number(SAME_ID_MAX as u64),
        ];
        self.script(Script::KeepEarly, &names, arguments.into_iter())
    }

    /// `KeepEarly` was answered: entry, how many gave way, how many there are, what the days have under the id.
    pub(super) fn early_kept(
        &mut self,
        now: u32,
        (key, receipt, pdu): (CorrelationKey, EarlyReceipt, Bytes),
        reply: &Value,
    ) -> bool {
        let Value::Array(parts) = reply else { return false };
        let [entry, dropped, length, values] = &parts[..] else { return false };
        let (Some(entry), Value::Array(values)) = (entry.as_bytes(), values) else { return false };
        self.counters.early += 1;
        self.counters.early_full += dropped.as_u64().unwrap_or(0);
        self.counters.early_now = length.as_u64().unwrap_or(0);
        let waiting = Waiting { entry: Bytes::copy_from_slice(entry), key, receipt, pdu };
        self.look_for(now, waiting, values);
        true
    }

    /// `Remember` found receipts of its id: what the days have under it, and the receipts.
    pub(super) fn found_early(&mut self, now: u32, key: &CorrelationKey, values: &Value, waiting: &Value) {
        let (Value::Array(values), Value::Array(rows)) = (values, waiting) else { return };
        for row in rows {
            let Value::Array(row) = row else { continue };
            let [entry, receipt, pdu] = &row[..] else { continue };
            if let Some(waiting) = waiting_of(entry, *key, receipt, pdu) {
                self.look_for(now, waiting, values);
            }
        }
    }

    /// Notes a receipt whose message is among these; false when none fits.
    fn look_for(&mut self, now: u32, waiting: Waiting, values: &[Value]) -> bool {
        let Waiting { entry, key, receipt, pdu } = waiting;
        let oldest = now.saturating_sub(self.limits.time_to_live_seconds);
        let open = values.iter().filter_map(Value::as_bytes).flat_map(correlations_of);
        let is_open = |one: &Correlation| {
            one.submitted_at >= oldest && self.ring.of_message(&key, one.gateway_id).is_none()
        };
        let Finding::Fits(correlation) = choose(open.filter(is_open), &receipt.numbers) else { return false };
        let Some(written) = receipt_for(&pdu, &correlation) else { return false };
        let is_final = receipt.is_final;
        // Nothing where its customer did not ask for it.
        let pdu = if receipt.is_asked(&correlation) { written.into() } else { Bytes::new() };
        self.served.push(Served { entry, key, is_final, correlation, pdu });
        true
    }

    /// Hands receipts whose message was found to their owners, as one pipeline. What a lost connection leaves without a reply
    /// is handed over again once Redis is back: done twice it is done once.
    pub(super) fn serve_early(&mut self, waits_again: bool) {
        if self.served.is_empty() || !self.connection.is_up() {
            return;
        }
        let served = std::mem::take(&mut self.served);
        let requests = served.iter().map(|one| self.serve_request(one, waits_again)).collect();
        let mut replies = self.connection.round_trip(requests).unwrap_or_default().into_iter();
        for one in served {
            match replies.next() {
                Some(Ok(Value::Array(parts))) => self.served_one(&one, &parts),
                // Refused: it waits on, and is looked at again when its time is over.
                Some(Err(error)) if !is_loss(&error) => {}
                _ => self.served.push(one),
            }
        }
    }

    /// `ServeEarly` was answered: whether the receipt is parked now, how many are, how many receipts wait.
    fn served_one(&mut self, one: &Served, parts: &[Value]) {
        let at = |place: usize| parts.get(place).and_then(Value::as_u64).unwrap_or(0);
        self.counters.parked_now = at(1);
        self.counters.early_now = at(2);
        if at(0) == 1 {
            self.counters.early_served += 1;
            self.counters.parked += u64::from(!one.pdu.is_empty());
            self.counters.forgotten += u64::from(one.is_final);
            self.words.push(Word::ParkedFor(one.correlation.account));
        }
    }

    fn serve_request(&self, one: &Served, waits_again: bool) -> Request {
        let account = one.correlation.account.0;
        let class = class_of(one.correlation.urgent);
        let other = CLASSES[usize::from(CLASSES[0] == class)];
        let day = super::layout::day_of(one.correlation.submitted_at);
        let [early, ids] = self.early_names();
        let names = [
            early,
            ids,
            self.layout.parked(account, class),
            self.layout.parked(account, other),
            self.layout.name("parked-count"),
            self.layout.name("owners"),
            self.layout.correlations(&one.key, day),
        ];
        let gateway_id = if one.is_final { &one.correlation.gateway_id.0.to_be_bytes()[..] } else { b"" };
        let hint = [&self.tag[..], &account.to_be_bytes()].concat();
        let arguments = [
            one.entry.clone().into(),
            number(self.limits.parked_account_max),
            number(self.limits.parked_max),
            account_member(account),
            one.pdu.clone().into(),
            field(&one.key),
            Bytes::copy_from_slice(gateway_id).into(),
            self.layout.name("hints").into(),
            Bytes::from(hint).into(),
            number(waits_again.into()),
        ];
        let arguments = self.script(Script::ServeEarly, &names, arguments.into_iter());
        Request { command: "EVALSHA", arguments }
    }

    /// What waited long enough becomes an orphan, after a last look: a node may have ended between message and receipt.
    pub(super) fn sweep_early(&mut self, now: u32) {
        if self.sweep.early_at > Instant::now() {
            return;
        }
        let wait = u64::from(self.limits.early_wait_seconds) * 1000;
        let arguments = [number(wait), number(STEP_MAX as u64)];
        let arguments = self.script(Script::OldEarly, &self.early_names()[..1], arguments.into_iter());
        let replies = self.connection.round_trip(vec![Request { command: "EVALSHA", arguments }]);
        let Some(Ok(Value::Array(rows))) = replies.and_then(|replies| replies.into_iter().next()) else {
            self.sweep.early_at = Instant::now() + LOOK_EVERY;
            return;
        };
        if rows.len() < STEP_MAX {
            self.sweep.early_at = Instant::now() + LOOK_EVERY;
        }
        let old: Vec<(Bytes, Option<Waiting>)> = rows.iter().filter_map(old_of).collect();
        if old.is_empty() {
            return;
        }
        let known = old.iter().filter_map(|(_, waiting)| waiting.as_ref());
        let finds = known.map(|waiting| self.find_request(now, &waiting.key)).collect();
        let Some(replies) = self.connection.round_trip(finds) else { return };
        let mut replies = replies.into_iter();
        let mut ends = Vec::new();
        for (entry, waiting) in old {
            let Some(waiting) = waiting else {
                ends.push((entry, VendorId::default()));
                continue;
            };
            let vendor = waiting.key.vendor;
            let Some(Ok(Value::Array(values))) = replies.next() else { continue };
            if !self.look_for(now, waiting, &values) {
                ends.push((entry, vendor));
            }
        }
        self.serve_early(true);
        self.end_early(&ends);
    }

    fn find_request(&self, now: u32, key: &CorrelationKey) -> Request {
        let hashes: Vec<Bytes> = self.days_of(now).map(|day| self.layout.correlations(key, day)).collect();
        let arguments = self.script(Script::Find, &hashes, std::iter::once(field(key)));
        Request { command: "EVALSHA", arguments }
    }

    fn end_early(&mut self, ends: &[(Bytes, VendorId)]) {
        if ends.is_empty() {
            return;
        }
        let [early, ids] = self.early_names();
        let names = [early, ids, self.layout.name("orphans")];
        let request = |(entry, vendor): &(Bytes, VendorId)| {
            let most = number(self.limits.orphans_max);
            let arguments = [entry.clone().into(), most, account_member(vendor.0)];
            let arguments = self.script(Script::EndEarly, &names, arguments.into_iter());
            Request { command: "EVALSHA", arguments }
        };
        let requests = ends.iter().map(request).collect();
        for reply in self.connection.round_trip(requests).into_iter().flatten().flatten() {
            let Value::Array(parts) = reply else { continue };
            let at = |place: usize| parts.get(place).and_then(Value::as_u64).unwrap_or(0);
            self.counters.early_expired += at(0);
            self.counters.orphans += at(0);
            self.counters.orphans_full += at(1);
            self.counters.orphans_now = at(2);
            self.counters.early_now = at(3);
        }
    }
}

/// Under what early receipts of one vendor and id are found.
pub(super) fn early_field(key: &CorrelationKey) -> Bytes {
    [&key.vendor.0.to_be_bytes()[..], key.id.as_bytes()].concat().into()
}

fn key_of(field: &[u8]) -> Option<CorrelationKey> {
    let (vendor, id) = field.split_first_chunk::<16>()?;
    Some(CorrelationKey { vendor: VendorId(u128::from_be_bytes(*vendor)), id: VendorMessageId::new(id)? })
}

fn waiting_of(entry: &Value, key: CorrelationKey, receipt: &Value, pdu: &Value) -> Option<Waiting> {
    let receipt = EarlyReceipt::from_bytes(receipt.as_bytes()?)?;
    let bytes = |value: &Value| value.as_bytes().map(Bytes::copy_from_slice);
    Some(Waiting { entry: bytes(entry)?, key, receipt, pdu: bytes(pdu)? })
}

/// An entry of the stream, and what it holds where that can be read.
fn old_of(row: &Value) -> Option<(Bytes, Option<Waiting>)> {
    let Value::Array(row) = row else { return None };
    let [entry, Value::Array(fields)] = &row[..] else { return None };
    let id = entry.as_bytes().filter(|entry| stream_id(entry).is_some())?;
    let waiting = match &fields[..] {
        [_, key, _, receipt, _, pdu] => {
            key.as_bytes().and_then(key_of).and_then(|key| waiting_of(entry, key, receipt, pdu))
        }
        _ => None,
    };
    Some((Bytes::copy_from_slice(id), waiting))
}

#[cfg(test)]
impl Redis {
    /// Takes all receipts that wait for those of one message, as a turn does before it hands them over.
    pub(super) fn fit_all_that_wait(&mut self, correlation: &Correlation) {
        let arguments =
            self.script(Script::OldEarly, &self.early_names()[..1], [number(0), number(9)].into_iter());
        let replies = self.connection.round_trip(vec![Request { command: "EVALSHA", arguments }]).unwrap();
        let Ok(Value::Array(rows)) = &replies[0] else { panic!("{replies:?}") };
        let mut packed = [0; Correlation::PACKED_LENGTH_MAX];
        let length = correlation.pack(&mut packed);
        let value = [&[0, length as u8][..], &packed[..length]].concat();
        for (_, waiting) in rows.iter().filter_map(old_of) {
            let value = Value::Bytes(value.clone().into());
            assert!(self.look_for(correlation.submitted_at, waiting.unwrap(), &[value]));
        }
    }
}
