//! Which shard owns what.

use relay::AccountId;

/// The shard that holds all sessions of an account: its limits and its receive-capable sessions are then known
/// in one place, without a word between shards.
pub fn home_shard(account: AccountId, shards: u8) -> u8 {
    // The id is a hash already; a multiplication spreads ids that a database counted.
    let spread = u64::from(account.0).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    (spread % u64::from(shards.max(1))) as u8
}

/// The shard that keeps the bind with this number of the vendor at this place: binds of one vendor are spread,
/// and first binds of several vendors do not all fall on shard 0.
pub(crate) fn bind_shard(vendor_place: usize, bind: u32, shards: u8) -> u8 {
    ((vendor_place as u64 + u64::from(bind)) % u64::from(shards.max(1))) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_spread_and_stay() {
        let mut counts = [0; 4];
        for number in 0..4_000 {
            let account = AccountId::of_name(format!("customer{number}").as_bytes());
            let home = home_shard(account, 4);
            assert_eq!(home, home_shard(account, 4));
            counts[usize::from(home)] += 1;
        }
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
    }

    #[test]
    fn binds_of_a_vendor_are_on_as_many_shards_as_possible() {
        let shards: std::collections::BTreeSet<u8> = (0..4).map(|bind| bind_shard(1, bind, 4)).collect();
        assert_eq!(shards.len(), 4);
        assert_eq!(bind_shard(5, 7, 1), 0);
    }
}
