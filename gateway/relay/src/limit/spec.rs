//! One limit, as configured, and what follows from it for those who hold tokens.

use super::scope::Scope;
use xxhash_rust::xxh3::Xxh3;

/// Names a limit for ever: the same over configurations, shards, nodes and restarts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct LimitId(pub u64);

impl LimitId {
    /// The id of the limit of that scope and name.
    pub fn of(scope: Scope, name: &str) -> Self {
        let mut hash = Xxh3::new();
        hash.update(scope.label().as_bytes());
        hash.update(&[0]);
        hash.update(name.as_bytes());
        Self(hash.digest().max(1)) // 0 says "free" in the table of a node
    }
}

/// What a limit counts in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Measure {
    /// At most `rate * t + burst` tokens in any interval of `t` seconds.
    PerSecond {
        /// Thousandths of a token in a second; at least 1.
        rate_milli: u64,
        /// Tokens above the rate: the whole envelope, whoever holds them; at least 1.
        burst: u32,
    },
    /// At most so many tokens from one midnight in Los Angeles to the next.
    PerDay {
        /// Tokens.
        cap: u32,
    },
}

/// What a limit does while the node has no word from Redis.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WhenAway {
    /// Nothing passes once the lease has lapsed.
    Closed,
    /// Each node takes its even share of the rate.
    #[default]
    Share,
    /// Each node takes the share that it had of the tokens granted shortly before.
    Last,
    /// Everything passes. Only for soft limits.
    Open,
}

/// One limit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LimitSpec {
    /// Its name among nodes.
    pub id: LimitId,
    /// What it is about.
    pub scope: Scope,
    /// Of whom or what, for reports: a customer, number, campaign, brand or vendor, and the network where it is one's.
    pub name: Box<str>,
    /// How much.
    pub measure: Measure,
    /// While Redis is away. A cap of a day knows only `Open`; all others mean that what was leased may be used.
    pub when_away: WhenAway,
}

/// Shards of the node, nodes of the gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holders {
    /// Shards that hold tokens; at least 1.
    pub shards: u32,
    /// Nodes that lease tokens at most; 0 = this node alone, without leases.
    pub nodes: u32,
}

/// Most tokens that a shard takes at a time: the cost of a refill is then a tenth of a nanosecond a message.
const CHUNK_MAX: u64 = 64;
/// Thousandths of a second of the rate that a shard takes at a time at most: more would only be stranded.
const CHUNK_MILLIS: u64 = 5;
/// Tenths of the envelope that nodes may hold together; the rest is the bucket in Redis.
const HELD_TENTHS: u64 = 6;
/// Tokens that a node should be able to hold where the envelope allows it, so that a message of so many segments passes.
const HELD_MIN: u64 = 3;
/// Parts of a day's cap that a node, and all its shards, take at a time.
const DAY_PARTS: u64 = 100;
/// Most of a day's tokens that a node takes at a time.
const DAY_LEASE_MAX: u64 = 1000;
/// Least of a day's tokens that a node takes at a time, so that a message of some segments passes.
pub(crate) const DAY_LEASE_MIN: u32 = 10;

/// How an envelope is divided. All in tokens.
///
/// Without leases `pool + shards * (chunk - 1) <= burst`. With leases, for each node,
/// `pool + shards * (chunk - 1) <= held`, and `bucket + nodes * held <= max(burst, nodes + 1)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sizes {
    /// What a shard takes at a time; at least 1. It keeps at most one less.
    pub chunk: u32,
    /// What the node's pool holds; at least 1. No message can need more.
    pub pool: u32,
    /// The bucket in Redis; at least 1; 0 without leases.
    pub bucket: u32,
    /// The envelope that is kept: the configured one, or the smallest that these holders can keep.
    pub envelope: u32,
}

impl Measure {
    /// Divides the envelope among its holders.
    pub fn sizes(&self, holders: Holders) -> Sizes {
        let (shards, nodes) = (u64::from(holders.shards.max(1)), u64::from(holders.nodes));
        match *self {
            Self::PerDay { cap } => {
                let least = u64::from(DAY_LEASE_MIN).min(u64::from(cap));
                let lease = (u64::from(cap) / DAY_PARTS).clamp(least, DAY_LEASE_MAX);
                let chunk = (lease / (4 * shards)).clamp(1, CHUNK_MAX);
                Sizes { chunk: chunk as u32, pool: lease as u32, bucket: cap, envelope: cap }
            }
            Self::PerSecond { rate_milli, burst } => {
                let burst = u64::from(burst.max(1));
                let chunk_max = (rate_milli * CHUNK_MILLIS / 1_000_000).clamp(1, CHUNK_MAX);
                if nodes == 0 {
                    let chunk = (burst / (4 * shards)).clamp(1, chunk_max);
                    let pool = burst - shards * (chunk - 1);
                    return Sizes {
                        chunk: chunk as u32,
                        pool: pool as u32,
                        bucket: 0,
                        envelope: burst as u32,
                    };
                }
                let envelope = burst.max(nodes + 1);
                let held = (envelope * HELD_TENTHS / 10 / nodes).max(HELD_MIN.min((envelope - 1) / nodes));
                let chunk = (held / (2 * shards)).clamp(1, chunk_max);
                Sizes {
                    chunk: chunk as u32,
                    pool: (held - shards * (chunk - 1)) as u32,
                    bucket: (envelope - nodes * held) as u32,
                    envelope: envelope as u32,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_division_holds_more_than_the_envelope() {
        for rate_milli in [1, 250, 1000, 20_000, 3_333_000, 10_000_000_000] {
            for burst in [1, 2, 3, 5, 7, 12, 20, 100, 1000, 10_000_000] {
                for (shards, nodes) in [(1, 0), (4, 0), (64, 0), (1, 1), (2, 3), (8, 3), (64, 64)] {
                    let sizes = Measure::PerSecond { rate_milli, burst }.sizes(Holders { shards, nodes });
                    let held = sizes.pool + shards * (sizes.chunk - 1);
                    let whole = if nodes == 0 { held } else { sizes.bucket + nodes * held };
                    let what = format!("{rate_milli} {burst} {shards} {nodes}: {sizes:?}");
                    assert!(whole <= sizes.envelope, "{what}");
                    assert_eq!(sizes.envelope, burst.max(if nodes == 0 { 1 } else { nodes + 1 }), "{what}");
                    assert!(sizes.pool >= 1 && sizes.chunk >= 1 && sizes.chunk <= sizes.pool, "{what}");
                    assert!(nodes == 0 || sizes.bucket >= 1, "{what}");
                }
            }
        }
    }

    #[test]
    fn ids_differ_by_scope_and_name() {
        let ids = [
            LimitId::of(Scope::Account, "a"),
            LimitId::of(Scope::Account, "b"),
            LimitId::of(Scope::Vendor, "a"),
        ];
        assert!(ids[0] != ids[1] && ids[0] != ids[2] && ids[1] != ids[2]);
    }
}
