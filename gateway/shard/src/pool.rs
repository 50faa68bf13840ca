//! The node's tokens on atomic words: shards take chunks of them, the holder of leases adds to them. Who takes what is
//! decided in `relay`, by the same steps that its tests run on plain words.

use relay::{Holders, LIMITS_MAX, NodeOptions, NodeTokens, Word};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A word that the shards of a node share.
#[derive(Debug, Default)]
pub struct AtomicWord(AtomicU64);

/// All tokens of a node.
pub type NodePool = NodeTokens<AtomicWord>;

impl Word for AtomicWord {
    fn load(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    fn store(&self, value: u64) {
        self.0.store(value, Ordering::Release);
    }

    fn swap_if(&self, old: u64, new: u64) -> Result<(), u64> {
        self.0.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).map(drop)
    }
}

/// The tokens of a node of so many shards, among so many nodes; 0 nodes = it is alone and its buckets refill themselves.
/// The caps of days are kept by whoever holds the leases.
pub fn node_pool(shards: usize, nodes: u32) -> Arc<NodePool> {
    let holders = Holders { shards: shards as u32, nodes }; // some 64 shards at most
    Arc::new(NodeTokens::new(NodeOptions { holders, capacity: LIMITS_MAX, days_are_kept: true }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay::{LimitId, LimitSpec, Measure, Scope, Take, TokenBook, TokenPool, WhenAway};
    use smpp::time::Instant;
    use std::sync::atomic::AtomicU32;

    const THREADS: usize = 4;

    fn spec(measure: Measure) -> LimitSpec {
        let (scope, name) = (Scope::Vendor, "west");
        LimitSpec {
            id: LimitId::of(scope, name),
            scope,
            name: name.into(),
            measure,
            when_away: WhenAway::Share,
        }
    }

    fn take(now: u64) -> Take {
        let now = Instant::from_nanos(now);
        Take { held: 0, epoch: 0, need: 1, wanted: 3, now, day: 1 }
    }

    /// All threads open the same limit at once, take what they get and give some back: no token comes twice.
    #[test]
    fn threads_share_one_bucket_without_losing_or_doubling() {
        let pool = node_pool(THREADS, 0);
        let taken = AtomicU32::new(0);
        let spec = spec(Measure::PerSecond { rate_milli: 1, burst: 10_000 });
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let mut mine = pool.clone();
                    let slot = TokenPool::open(&mut mine, &spec).expect("room").slot;
                    loop {
                        let tokens = TokenPool::take(&mut mine, slot, take(1)).tokens;
                        if tokens == 0 {
                            return;
                        }
                        let back = tokens / 3; // a last one is kept, or this would go on for ever
                        TokenPool::give_back(&mut mine, slot, back, 0);
                        taken.fetch_add(tokens - back, Ordering::Relaxed);
                    }
                });
            }
        });
        // What is given back last may find all threads gone.
        let taken = taken.into_inner();
        assert!((10_000 - THREADS as u32..=10_000).contains(&taken), "{taken}");
    }

    #[test]
    fn threads_share_what_was_leased() {
        let pool = node_pool(THREADS, 3);
        let spec = spec(Measure::PerSecond { rate_milli: 1_000_000, burst: 1_000_000 });
        assert_eq!(pool.prime(std::slice::from_ref(&spec)), 0);
        let mut wanted = Vec::new();
        pool.drain_wanted(&mut wanted);
        assert_eq!(wanted.len(), 1);
        pool.set_contact(Instant::from_nanos(u64::MAX));
        let taken = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let mut mine = pool.clone();
                    let slot = TokenPool::open(&mut mine, &spec).expect("room").slot;
                    while taken.load(Ordering::Relaxed) < 30_000 {
                        taken.fetch_add(TokenPool::take(&mut mine, slot, take(1)).tokens, Ordering::Relaxed);
                    }
                });
            }
            for _ in 0..3_000 {
                pool.add(wanted[0], 10, 0);
            }
        });
        assert_eq!(taken.into_inner(), 30_000);
        assert_eq!(pool.view(wanted[0]).expect("it is there").tokens, 0);
    }
}
