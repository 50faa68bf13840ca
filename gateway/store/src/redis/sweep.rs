//! Giving up what is too old, a little at a time. Every node does it; what another has done already costs a look.

use super::Redis;
use super::connection::Request;
use super::layout::{BUCKETS, day_of_member, end_of};
use super::scripts::Script;
use super::turn::{account_member, number, pair};
use bytes::Bytes;
use fred::types::Value;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How often the days and accounts are looked through.
const ROUND_EVERY: Duration = Duration::from_secs(60);
/// Hashes dropped in one step: with a step every 100 ms a vendor's day takes 13 s.
const BUCKETS_PER_STEP: u32 = 512;
/// Steps that a vendor's day takes.
#[cfg(test)]
pub(super) const STEPS_A_DAY: u32 = BUCKETS / BUCKETS_PER_STEP;
/// Accounts looked at in one step.
const ACCOUNTS_PER_STEP: usize = 64;

/// What is left of this round.
pub(super) struct Sweep {
    next_round: Instant,
    /// When to look for early receipts whose time is over.
    pub(super) early_at: Instant,
    /// Days that are over, and the next hash of the first.
    days: VecDeque<(u128, u16)>,
    bucket: u32,
    accounts: VecDeque<u128>,
}

impl Default for Sweep {
    fn default() -> Sweep {
        let now = Instant::now();
        let (days, accounts) = (VecDeque::new(), VecDeque::new());
        Sweep { next_round: now, early_at: now, days, bucket: 0, accounts }
    }
}

impl Redis {
    /// See [`crate::Store::sweep`].
    pub(crate) fn sweep(&mut self, now: u32) {
        if !self.connection.is_up() {
            return;
        }
        self.sweep_early(now);
        if self.sweep.days.is_empty() && self.sweep.accounts.is_empty() {
            if self.sweep.next_round > Instant::now() {
                return;
            }
            self.sweep.next_round = Instant::now() + ROUND_EVERY;
            self.begin_round(now);
        }
        self.sweep_buckets();
        self.sweep_parked(now);
    }

    fn begin_round(&mut self, now: u32) {
        let oldest = u64::from(now.saturating_sub(self.limits.time_to_live_seconds));
        let sets = ["vendor-days", "owners"]
            .map(|name| Request { command: "SMEMBERS", arguments: vec![self.layout.name(name).into()] });
        let mut requests = Vec::from(sets);
        let arguments = self.script(
            Script::SweepOrphans,
            &[self.layout.name("orphans")],
            std::iter::once(number(oldest * 1000)),
        );
        requests.push(Request { command: "EVALSHA", arguments });
        let Some(replies) = self.connection.round_trip(requests) else { return };
        let mut replies = replies.into_iter();
        let days = members(replies.next().and_then(Result::ok));
        let days = days.iter().filter_map(|member| day_of_member(member));
        self.sweep.days = days.filter(|(_, day)| end_of(*day) < oldest).collect();
        self.sweep.bucket = 0;
        let accounts = members(replies.next().and_then(Result::ok));
        let account = |member: &Bytes| Some(u128::from_be_bytes(member.as_ref().try_into().ok()?));
        self.sweep.accounts = accounts.iter().filter_map(account).collect();
        if let Some(Ok(orphans)) = replies.next() {
            let (dropped, left) = pair(&orphans);
            self.counters.orphans_expired += dropped;
            self.counters.orphans_now = left;
        }
    }

    fn sweep_buckets(&mut self) {
        let Some((vendor, day)) = self.sweep.days.front().copied() else { return };
        let buckets = self.sweep.bucket..BUCKETS.min(self.sweep.bucket + BUCKETS_PER_STEP);
        let names: Vec<Bytes> =
            buckets.clone().map(|bucket| self.layout.bucket(vendor, day, bucket as u16)).collect();
        let length = |name: &Bytes| Request { command: "HLEN", arguments: vec![name.clone().into()] };
        let mut requests: Vec<Request> = names.iter().map(length).collect();
        let arguments = names.into_iter().map(Value::from).collect();
        requests.push(Request { command: "UNLINK", arguments });
        let is_last = buckets.end == BUCKETS;
        if is_last {
            let member = super::layout::day_member(vendor, day);
            let arguments = vec![self.layout.name("vendor-days").into(), member.into()];
            requests.push(Request { command: "SREM", arguments });
        }
        let Some(replies) = self.connection.round_trip(requests) else { return };
        let lengths = replies.iter().take(buckets.len()).flatten();
        self.counters.correlations_expired += lengths.filter_map(Value::as_u64).sum::<u64>();
        self.sweep.bucket = buckets.end;
        if is_last {
            self.sweep.days.pop_front();
            self.sweep.bucket = 0;
        }
    }

    fn sweep_parked(&mut self, now: u32) {
        let oldest = u64::from(now.saturating_sub(self.limits.time_to_live_seconds)) * 1000;
        let count = self.sweep.accounts.len().min(ACCOUNTS_PER_STEP);
        if count == 0 {
            return;
        }
        let accounts: Vec<u128> = self.sweep.accounts.drain(..count).collect();
        let request = |account: &u128| {
            let streams = crate::shelf::CLASSES.map(|class| self.layout.parked(*account, class));
            let [urgent, bulk] = streams;
            let keys = [urgent, bulk, self.layout.name("parked-count"), self.layout.name("owners")];
            let arguments = [number(oldest), account_member(*account)];
            let arguments = self.script(Script::SweepParked, &keys, arguments.into_iter());
            Request { command: "EVALSHA", arguments }
        };
        let requests = accounts.iter().map(request).collect();
        for reply in self.connection.round_trip(requests).into_iter().flatten().flatten() {
            let (dropped, total) = pair(&reply);
            self.counters.parked_expired += dropped;
            self.counters.parked_now = total;
        }
    }
}

fn members(reply: Option<Value>) -> Vec<Bytes> {
    match reply {
        Some(Value::Array(members)) => members.into_iter().filter_map(Value::into_bytes).collect(),
        _ => Vec::new(),
    }
}
