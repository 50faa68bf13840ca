//! A model of what Redis does with one exchange; `gateway-store` has the script, and its contract test.

use gateway_relay::{Answer, Ask, AskKind, LimitId};
use smpp::time::Instant;
use std::collections::BTreeMap;
use std::time::Duration;

/// A token in the unit that the script counts in.
const TOKEN: u128 = 1_000_000_000;
/// Microseconds of a window that shares are measured in. The script's is ten seconds, which is long for a test.
const WINDOW: u64 = 250_000;

#[derive(Default)]
pub(crate) struct Keeper {
    buckets: BTreeMap<LimitId, Bucket>,
}

struct Bucket {
    tokens: u128,
    used_at: u64,
    window: u64,
    granted: BTreeMap<u32, u64>,
    before: BTreeMap<u32, u64>,
}

impl Keeper {
    pub(crate) fn empty(&mut self) {
        self.buckets.clear();
    }

    pub(crate) fn ask(&mut self, now: Instant, node: u32, asks: &[Ask]) -> Vec<Answer> {
        asks.iter().map(|ask| self.take(now.as_nanos() / 1000, node, ask)).collect()
    }

    fn take(&mut self, now: u64, node: u32, ask: &Ask) -> Answer {
        let AskKind::Rate { rate_milli, bucket: most } = ask.kind else { panic!("no day here") };
        let window = now / WINDOW;
        let bucket = self.buckets.entry(ask.id).or_insert_with(|| Bucket {
            tokens: 0,
            used_at: now,
            window,
            granted: BTreeMap::new(),
            before: BTreeMap::new(),
        });
        let come = u128::from(rate_milli) * u128::from(now - bucket.used_at);
        bucket.tokens = (bucket.tokens + come).min(u128::from(most) * TOKEN);
        bucket.used_at = now;
        if ask.empty_first {
            bucket.tokens = 0;
        }
        let granted = u128::from(ask.wanted).min(bucket.tokens / TOKEN);
        bucket.tokens -= granted * TOKEN;
        let missing = TOKEN.saturating_sub(bucket.tokens);
        let wait = missing.div_ceil(u128::from(rate_milli)) as u64;
        if bucket.window != window {
            let granted = std::mem::take(&mut bucket.granted);
            bucket.before = if bucket.window + 1 == window { granted } else { BTreeMap::new() };
            bucket.window = window;
        }
        *bucket.granted.entry(node).or_default() += granted as u64;
        let sum: u64 = bucket.before.values().sum();
        let mine = bucket.before.get(&node).copied().unwrap_or(0);
        Answer {
            granted: granted as u32,
            retry_after: Duration::from_micros(wait),
            share_ppm: (mine * 1_000_000).checked_div(sum).unwrap_or(0) as u32,
            left: 0,
        }
    }
}
