//! One turn: what all shards have asked, as one pipeline.

use super::Redis;
use super::connection::Request;
use super::early::early_field;
use super::layout::{DAY_SPAN_MAX, StreamId, day_member, day_of, stream_id};
use super::ring::Due;
use super::scripts::Script;
use crate::Batch;
use crate::shelf::{BULK, CLASSES, ShelfName, class_of};
use bytes::Bytes;
use fred::types::Value;
use relay::{
    AccountId, Correlation, CorrelationKey, EarlyReceipt, Finding, ParkedEntry, ParkedId, ReceiptNumbers,
    SAME_ID_MAX, StoreAnswer, StoreOp, StoreOutage, choose,
};
use smpp::text::message_id::GatewayId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Correlations of the ring that one turn flushes: some milliseconds of Redis.
const FLUSH_MAX: usize = 4096;
/// Ids in one command: Lua takes no more than some 8,000 arguments.
const IDS_MAX: usize = 1000;
/// Parked deliveries in one command, for the same reason; also what Redis does without serving others.
const PARKS_MAX: usize = 1000;
/// Accounts in one hint.
const HINT_ACCOUNTS_MAX: usize = 1000;
/// How long to wait after Redis had no memory for a write.
const FULL_PAUSE: Duration = Duration::from_millis(500);

/// Where an answer stands: which batch, which of its answers.
type Place = (usize, usize);

/// Whose reply is read how.
enum Call {
    Remember { place: Option<Place>, key: CorrelationKey, correlation: Correlation },
    Find { place: Place, key: CorrelationKey, numbers: ReceiptNumbers },
    Forget { key: CorrelationKey, gateway_id: GatewayId, submitted_at: u32 },
    KeepEarly { place: Place, key: CorrelationKey, receipt: EarlyReceipt, pdu: Bytes },
    Park { places: Vec<Place> },
    Orphan { places: Vec<Place> },
    Unpark { place: Place, account: AccountId, count_max: u32 },
    Release { name: ShelfName, ids: Vec<StreamId> },
    Return { name: ShelfName, ids: Vec<StreamId> },
    Nothing,
}

/// What goes out in one pipeline.
#[derive(Default)]
struct Plan {
    calls: Vec<Call>,
    requests: Vec<Request>,
    parks: BTreeMap<ShelfName, Vec<(Place, Bytes)>>,
    orphans: Vec<(Place, u128, Bytes)>,
    parked_for: BTreeSet<u128>,
}

impl Plan {
    fn add(&mut self, call: Call, command: &'static str, arguments: Vec<Value>) {
        self.calls.push(call);
        self.requests.push(Request { command, arguments });
    }
}

impl Redis {
    /// See [`crate::Store::turn`].
    pub(crate) fn turn(&mut self, now: u32, batches: &mut [Batch]) {
        let mut plan = Plan::default();
        let is_up = self.connection.is_up();
        if is_up && Instant::now() >= self.flush_after {
            self.flush_ring(now, &mut plan);
        }
        for (at, batch) in batches.iter_mut().enumerate() {
            for op in batch.ops.drain(..) {
                let place = (at, batch.answers.len());
                if is_up {
                    self.plan(now, op, place, &mut plan, &mut batch.answers);
                } else {
                    self.answer_alone(op, &mut batch.answers);
                }
            }
        }
        if !is_up {
            return;
        }
        self.put_groups(&mut plan);
        self.put_hints(&mut plan);
        if plan.requests.is_empty() {
            return;
        }
        let started = Instant::now();
        let Plan { calls, requests, .. } = plan;
        let replies = self.connection.round_trip(requests);
        self.counters.commits += 1;
        self.counters.round_trips_micros += started.elapsed().as_micros() as u64;
        let mut replies = replies.unwrap_or_default().into_iter();
        for call in calls {
            let reply = replies.next().and_then(Result::ok);
            self.take_reply(now, call, reply, batches);
        }
        self.serve_early(false);
        self.say_room();
    }

    /// Redis is away: what this node knows by itself.
    fn answer_alone(&mut self, op: StoreOp, answers: &mut Vec<StoreAnswer>) {
        match op {
            StoreOp::Remember { message, key, correlation } => {
                let outcome = self.keep_in_ring(key, correlation);
                answers.push(StoreAnswer::Remembered { message, outcome });
            }
            StoreOp::Find { delivery, key, numbers } => {
                let outcome = self.find_in_ring(&key, &numbers).ok_or(StoreOutage::Away);
                self.counters.outages += u64::from(outcome.is_err());
                answers.push(StoreAnswer::Found { delivery, outcome });
            }
            StoreOp::Forget { key, gateway_id, submitted_at } => {
                self.forget_in_ring(key, gateway_id, submitted_at);
            }
            StoreOp::Release { parked, .. } => self.release(parked),
            StoreOp::Return { parked, .. } => self.give_back(parked),
            other => {
                self.counters.outages += 1;
                answers.extend(other.away());
            }
        }
    }

    fn plan(&mut self, now: u32, op: StoreOp, place: Place, plan: &mut Plan, answers: &mut Vec<StoreAnswer>) {
        let away = StoreOutage::Away;
        match op {
            StoreOp::Remember { message, key, correlation } => {
                answers.push(StoreAnswer::Remembered { message, outcome: Err(away) });
                self.ring.remove(&key, correlation.gateway_id); // this one is newer
                self.remember(now, plan, Some(place), key, correlation);
            }
            StoreOp::Find { delivery, key, numbers } => {
                let hashes: Vec<Bytes> =
                    self.days_of(now).map(|day| self.layout.correlations(&key, day)).collect();
                let arguments = self.script(Script::Find, &hashes, std::iter::once(field(&key)));
                plan.add(Call::Find { place, key, numbers }, "EVALSHA", arguments);
                answers.push(StoreAnswer::Found { delivery, outcome: Err(away) });
            }
            StoreOp::KeepEarly { delivery, key, receipt, pdu } => {
                let bytes = Bytes::copy_from_slice(&pdu);
                let arguments = self.keep_early_request(now, &key, &receipt, &bytes);
                plan.add(Call::KeepEarly { place, key, receipt, pdu: bytes }, "EVALSHA", arguments);
                answers.push(StoreAnswer::EarlyKept { delivery, outcome: Err(away), pdu });
            }
            StoreOp::Forget { key, gateway_id, submitted_at } => {
                self.ring.remove(&key, gateway_id);
                self.forget(plan, key, gateway_id, submitted_at);
            }
            StoreOp::Park { delivery, account, urgent, pdu } => {
                let bytes = Bytes::copy_from_slice(&pdu);
                plan.parks.entry((account.0, class_of(urgent))).or_default().push((place, bytes));
                plan.parked_for.insert(account.0);
                answers.push(StoreAnswer::Parked { delivery, account, outcome: Err(away), pdu });
            }
            StoreOp::ParkOrphan { delivery, vendor, pdu } => {
                plan.orphans.push((place, vendor.0, Bytes::copy_from_slice(&pdu)));
                answers.push(StoreAnswer::OrphanParked { delivery, outcome: Err(away), pdu });
            }
            StoreOp::Unpark { account, count_max } => {
                self.put_groups(plan); // what was asked before shall be seen
                self.unpark(plan, place, account, count_max);
                answers.push(StoreAnswer::Unparked { account, entries: Vec::new(), more: false });
            }
            StoreOp::Release { parked, .. } => self.release(parked),
            StoreOp::Return { parked, .. } => self.give_back(parked),
        }
    }

    /// The days that open messages may be of: within the time to live, and tomorrow, where a node's clock may be.
    pub(super) fn days_of(&self, now: u32) -> impl DoubleEndedIterator<Item = u16> + use<> {
        let oldest = day_of(now.saturating_sub(self.limits.time_to_live_seconds));
        let days = oldest..=day_of(now).saturating_add(1);
        debug_assert!(days.len() <= DAY_SPAN_MAX);
        days
    }

    fn forget(&self, plan: &mut Plan, key: CorrelationKey, gateway_id: GatewayId, submitted_at: u32) {
        let hash = [self.layout.correlations(&key, day_of(submitted_at))];
        let id = Bytes::copy_from_slice(&gateway_id.0.to_be_bytes());
        let arguments = self.script(Script::Forget, &hash, [field(&key), id.into()].into_iter());
        plan.add(Call::Forget { key, gateway_id, submitted_at }, "EVALSHA", arguments);
    }

    fn remember(
        &mut self,
        now: u32,
        plan: &mut Plan,
        place: Option<Place>,
        key: CorrelationKey,
        correlation: Correlation,
    ) {
        let day = day_of(correlation.submitted_at);
        if self.days.insert((key.vendor.0, day)) {
            let member = day_member(key.vendor.0, day);
            plan.add(Call::Nothing, "SADD", vec![self.layout.name("vendor-days").into(), member.into()]);
        }
        let mut packed = [0; Correlation::PACKED_LENGTH_MAX];
        let length = correlation.pack(&mut packed);
        let entry = Bytes::from([&[length as u8][..], &packed[..length]].concat());
        let others = self.days_of(now).filter(|other| *other != day);
        let days = std::iter::once(day).chain(others);
        let hashes = days.map(|day| self.layout.correlations(&key, day));
        let hashes: Vec<Bytes> = hashes.chain(self.early_names()).collect();
        let most = number(SAME_ID_MAX as u64);
        let arguments = [field(&key), entry.into(), most, early_field(&key).into()];
        let arguments = self.script(Script::Remember, &hashes, arguments.into_iter());
        plan.add(Call::Remember { place, key, correlation }, "EVALSHA", arguments);
    }

    fn flush_ring(&mut self, now: u32, plan: &mut Plan) {
        let oldest: Vec<_> = self.ring.oldest(FLUSH_MAX).copied().collect();
        for (key, due) in oldest {
            match due {
                Due::Keep(correlation) => self.remember(now, plan, None, key, correlation),
                Due::Forget(gateway_id, submitted_at) => self.forget(plan, key, gateway_id, submitted_at),
            }
        }
    }

    /// What the ring knows of an id while Redis cannot be asked: the message, or that the one of this id is to be
    /// dropped. What only Redis has is not seen; the handset's number keeps that from being mistaken.
    fn find_in_ring(&mut self, key: &CorrelationKey, numbers: &ReceiptNumbers) -> Option<Finding> {
        let mut is_known = false;
        let kept = self.ring.find(key).inspect(|_| is_known = true).filter_map(kept_of);
        let found = choose(kept, numbers);
        let is_told = matches!(found, Finding::Fits(_) | Finding::Several)
            || is_known && self.ring.find(key).all(|due| matches!(due, Due::Forget(..)));
        is_told.then(|| {
            self.counters.count_finding(&found);
            found
        })
    }

    /// One that only the ring has is dropped with its place; else Redis is told when it is back.
    fn forget_in_ring(&mut self, key: CorrelationKey, gateway_id: GatewayId, submitted_at: u32) {
        match self.ring.remove(&key, gateway_id) {
            Some(Due::Keep(_)) => self.counters.forgotten += 1,
            _ => {
                let has_place = self.ring.push(key, Due::Forget(gateway_id, submitted_at));
                self.counters.forgets_lost += u64::from(!has_place);
            }
        }
    }

    fn keep_in_ring(&mut self, key: CorrelationKey, correlation: Correlation) -> Result<(), StoreOutage> {
        if self.ring.push(key, Due::Keep(correlation)) {
            self.counters.remembered += 1;
            self.counters.ring_kept += 1;
            return Ok(());
        }
        self.counters.ring_full += 1;
        Err(StoreOutage::Full)
    }

    fn release(&mut self, parked: ParkedId) {
        self.counters.released += u64::from(self.lent.release(parked.0));
    }

    fn give_back(&mut self, parked: ParkedId) {
        self.counters.returned += u64::from(self.lent.give_back(parked.0));
    }

    /// What was gathered so far: releases and returns, then what is parked and orphans.
    fn put_groups(&mut self, plan: &mut Plan) {
        for (name, ids) in std::mem::take(&mut self.lent.released) {
            let stream = self.layout.parked(name.0, name.1);
            let keys = [stream, self.layout.name("parked-count")];
            for ids in ids.chunks(IDS_MAX) {
                let arguments = self.script(Script::Release, &keys, ids.iter().map(id_text));
                plan.add(Call::Release { name, ids: ids.to_vec() }, "EVALSHA", arguments);
            }
        }
        for (name, ids) in std::mem::take(&mut self.lent.returned) {
            let keys = [self.layout.parked(name.0, name.1)];
            for ids in ids.chunks(IDS_MAX) {
                let arguments = self.script(Script::Return, &keys, ids.iter().map(id_text));
                plan.add(Call::Return { name, ids: ids.to_vec() }, "EVALSHA", arguments);
            }
        }
        for ((account, class), parks) in std::mem::take(&mut plan.parks) {
            let other = CLASSES[usize::from(class != BULK)];
            let keys = [
                self.layout.parked(account, class),
                self.layout.parked(account, other),
                self.layout.name("parked-count"),
                self.layout.name("owners"),
            ];
            let (of_account, of_all) = (self.limits.parked_account_max, self.limits.parked_max);
            for parks in parks.chunks(PARKS_MAX) {
                let head = [number(of_account), number(of_all), account_member(account)];
                let pdus = parks.iter().map(|(_, pdu)| pdu.clone().into());
                let arguments = self.script(Script::Park, &keys, head.into_iter().chain(pdus));
                let places = parks.iter().map(|(place, _)| *place).collect();
                plan.add(Call::Park { places }, "EVALSHA", arguments);
            }
        }
        for orphans in std::mem::take(&mut plan.orphans).chunks(PARKS_MAX) {
            let keys = [self.layout.name("orphans")];
            let pairs =
                orphans.iter().flat_map(|(_, vendor, pdu)| [account_member(*vendor), pdu.clone().into()]);
            let head = std::iter::once(number(self.limits.orphans_max));
            let arguments = self.script(Script::Orphan, &keys, head.chain(pairs));
            let places = orphans.iter().map(|(place, ..)| *place).collect();
            plan.add(Call::Orphan { places }, "EVALSHA", arguments);
        }
    }

    /// Tells the other nodes for whom something was parked.
    fn put_hints(&self, plan: &mut Plan) {
        let accounts: Vec<u128> = std::mem::take(&mut plan.parked_for).into_iter().collect();
        for accounts in accounts.chunks(HINT_ACCOUNTS_MAX) {
            let mut hint = self.tag.to_vec();
            hint.extend(accounts.iter().flat_map(|account| account.to_be_bytes()));
            plan.add(
                Call::Nothing,
                "PUBLISH",
                vec![self.layout.name("hints").into(), Bytes::from(hint).into()],
            );
        }
    }

    fn unpark(&mut self, plan: &mut Plan, place: Place, account: AccountId, count_max: u32) {
        let count_max = count_max.min(self.lent.room() as u32);
        let keys = CLASSES.map(|class| self.layout.parked(account.0, class));
        let idle = self.options.reclaim_after.as_millis() as u64;
        let consumer = Value::from(self.consumer.as_str());
        let arguments = [number(count_max.into()), consumer, number(idle)];
        let arguments = self.script(Script::Unpark, &keys, arguments.into_iter());
        plan.add(Call::Unpark { place, account, count_max }, "EVALSHA", arguments);
    }

    pub(super) fn script(
        &self,
        script: Script,
        keys: &[Bytes],
        arguments: impl Iterator<Item = Value>,
    ) -> Vec<Value> {
        let head = [self.connection.script(script), Value::from(keys.len() as i64)];
        let keys = keys.iter().map(|key| Value::from(key.clone()));
        head.into_iter().chain(keys).chain(arguments).collect()
    }

    fn take_reply(&mut self, now: u32, call: Call, reply: Option<Value>, batches: &mut [Batch]) {
        match (call, reply) {
            (Call::Remember { place, key, correlation }, Some(reply)) => {
                if let Some(place) = place {
                    self.counters.remembered += 1;
                    set_outcome(batches, place, Ok(()));
                } else {
                    // Only if no newer one was written in this turn, which took it out.
                    let id = correlation.gateway_id;
                    let is_it = self.ring.of_message(&key, id) == Some(Due::Keep(correlation));
                    let flushed = is_it && self.ring.remove(&key, id).is_some();
                    self.counters.ring_flushed += u64::from(flushed);
                }
                match &reply {
                    Value::Array(parts) if parts.len() == 3 => {
                        self.counters.given_again += integer(&parts[0]);
                        self.found_early(now, &key, &parts[1], &parts[2]);
                    }
                    shared => self.counters.given_again += integer(shared),
                }
            }
            (Call::KeepEarly { place, key, receipt, pdu }, Some(reply)) => {
                if self.early_kept(now, (key, receipt, pdu), &reply) {
                    set_outcome(batches, place, Ok(()));
                }
            }
            (Call::Remember { place, key, correlation }, None) => {
                self.flush_after = Instant::now() + FULL_PAUSE;
                if let Some(place) = place {
                    set_outcome(batches, place, self.keep_in_ring(key, correlation));
                }
            }
            (Call::Find { place, key, numbers }, Some(Value::Array(values))) => {
                self.found(now, place, &key, &numbers, &values, batches);
            }
            (Call::Forget { key, gateway_id, submitted_at }, Some(reply)) => {
                self.counters.forgotten += integer(&reply);
                if self.ring.of_message(&key, gateway_id) == Some(Due::Forget(gateway_id, submitted_at)) {
                    self.ring.remove(&key, gateway_id);
                }
            }
            (Call::Find { place, key, numbers }, _) => {
                // Redis did not answer, and the ring may know.
                match self.find_in_ring(&key, &numbers) {
                    Some(found) => set_found(batches, place, found),
                    None => self.counters.outages += 1,
                }
            }
            (Call::Park { places }, Some(reply)) => {
                let (taken, total) = pair(&reply);
                self.counters.parked_now = total;
                self.counters.parked += taken;
                self.counters.parked_full += places.len() as u64 - taken.min(places.len() as u64);
                set_outcomes(batches, &places, taken);
            }
            (Call::Orphan { places }, Some(reply)) => {
                let (dropped, total) = pair(&reply);
                self.counters.orphans_now = total;
                self.counters.orphans += places.len() as u64;
                self.counters.orphans_full += dropped;
                set_outcomes(batches, &places, places.len() as u64);
            }
            (Call::Unpark { place, account, count_max }, Some(reply)) => {
                self.unparked(place, account, count_max, reply, batches);
            }
            (Call::Release { ids, .. }, Some(reply)) => {
                self.lent.settle(ids.len());
                self.counters.parked_now = pair(&reply).1;
            }
            (Call::Return { ids, .. }, Some(_)) => self.lent.settle(ids.len()),
            (Call::Release { name, ids }, None) => {
                self.lent.released.entry(name).or_default().extend(ids);
            }
            (Call::Return { name, ids }, None) => {
                self.lent.returned.entry(name).or_default().extend(ids);
            }
            (Call::Forget { key, gateway_id, submitted_at }, None) => {
                self.forget_in_ring(key, gateway_id, submitted_at);
            }
            (Call::Nothing, _) => {}
            (_, None) => self.counters.outages += 1, // its answer says `Away` already
        }
    }

    /// A page: what this node does not hold already.
    fn unparked(
        &mut self,
        place: Place,
        account: AccountId,
        count_max: u32,
        reply: Value,
        batches: &mut [Batch],
    ) {
        let Value::Array(parts) = reply else { return };
        let mut parts = parts.into_iter();
        let pending = parts.next().map_or(0, |pending| integer(&pending));
        let Some(Value::Array(rows)) = parts.next() else { return };
        let count = rows.len();
        let mut page = Vec::with_capacity(count);
        for row in rows {
            let Value::Array(row) = row else { continue };
            let [class, id, pdu] = &row[..] else { continue };
            let class = CLASSES[usize::from(integer(class) == 2)];
            let Some(id) = id.as_bytes().and_then(stream_id) else { continue };
            let Some(pdu) = pdu.as_bytes() else { continue };
            if let Some(parked) = self.lent.lend((account.0, class), id) {
                page.push(ParkedEntry { parked: ParkedId(parked), pdu: pdu.to_vec() });
            }
        }
        self.counters.unparked += page.len() as u64;
        if pending > self.lent.count_of(account.0) {
            self.check_later(account.0);
        }
        if let StoreAnswer::Unparked { entries, more, .. } = &mut batches[place.0].answers[place.1] {
            *more = count >= count_max as usize && count > 0;
            *entries = page;
        }
    }

    /// The days have these under an id; what waits in the ring counts as well.
    fn found(
        &mut self,
        now: u32,
        place: Place,
        key: &CorrelationKey,
        numbers: &ReceiptNumbers,
        values: &[Value],
        batches: &mut [Batch],
    ) {
        let oldest = now.saturating_sub(self.limits.time_to_live_seconds);
        let in_redis = values.iter().filter_map(Value::as_bytes).flat_map(correlations_of);
        let is_in_ring = |one: &Correlation| self.ring.of_message(key, one.gateway_id).is_some();
        let in_redis = in_redis.filter(|one| one.submitted_at >= oldest && !is_in_ring(one));
        let found = choose(in_redis.chain(self.ring.find(key).filter_map(kept_of)), numbers);
        self.counters.count_finding(&found);
        set_found(batches, place, found);
    }
}

/// What a hash has under an id: whether two messages had it at one time, then each correlation behind its length.
pub(super) fn correlations_of(value: &[u8]) -> impl Iterator<Item = Correlation> {
    let (shared, mut rest) = value.split_first().unwrap_or((&0, &[]));
    std::iter::from_fn(move || {
        let (length, behind) = rest.split_first()?;
        let (packed, after) = behind.split_at_checked(usize::from(*length))?;
        rest = after;
        let correlation = Correlation::from_bytes(packed)?;
        Some(Correlation { shared: correlation.shared || *shared != 0, ..correlation })
    })
}

fn kept_of(due: Due) -> Option<Correlation> {
    match due {
        Due::Keep(correlation) => Some(correlation),
        Due::Forget(..) => None,
    }
}

fn set_found(batches: &mut [Batch], place: Place, found: Finding) {
    if let StoreAnswer::Found { outcome, .. } = &mut batches[place.0].answers[place.1] {
        *outcome = Ok(found);
    }
}

fn set_outcome(batches: &mut [Batch], place: Place, with: Result<(), StoreOutage>) {
    match &mut batches[place.0].answers[place.1] {
        StoreAnswer::Remembered { outcome, .. }
        | StoreAnswer::Parked { outcome, .. }
        | StoreAnswer::EarlyKept { outcome, .. }
        | StoreAnswer::OrphanParked { outcome, .. } => *outcome = with,
        _ => debug_assert!(false, "an answer without an outcome"),
    }
}

/// The first `taken` have room, the others have not.
fn set_outcomes(batches: &mut [Batch], places: &[Place], taken: u64) {
    for (at, place) in places.iter().enumerate() {
        let outcome = if (at as u64) < taken { Ok(()) } else { Err(StoreOutage::Full) };
        set_outcome(batches, *place, outcome);
    }
}

pub(super) fn field(key: &CorrelationKey) -> Value {
    Bytes::copy_from_slice(key.id.as_bytes()).into()
}

pub(super) fn account_member(account: u128) -> Value {
    Bytes::copy_from_slice(&account.to_be_bytes()).into()
}

fn id_text(id: &StreamId) -> Value {
    format!("{}-{}", id.0, id.1).into()
}

pub(super) fn number(number: u64) -> Value {
    number.to_string().into()
}

fn integer(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// Two numbers, as the scripts answer.
pub(super) fn pair(reply: &Value) -> (u64, u64) {
    let Value::Array(parts) = reply else { return (0, 0) };
    let at = |place: usize| parts.get(place).map_or(0, integer);
    (at(0), at(1))
}
