//! Which shard owns what.

use relay::{AccountId, VendorId};

/// The shard that holds all sessions of an account: its limits and its receive-capable sessions are then known
/// in one place, without a word between shards.
pub fn home_shard(account: AccountId, shards: u8) -> u8 {
    (account.spread() % u64::from(shards.max(1))) as u8
}

/// The shard that keeps the bind with this number of a vendor: binds of one vendor are spread, and first binds of several
/// vendors do not all fall on one shard. It depends on nothing but the vendor, so that no other vendor that comes or
/// goes moves a bind.
pub(crate) fn bind_shard(vendor: VendorId, bind: u32, shards: u8) -> u8 {
    ((vendor.spread() + u64::from(bind)) % u64::from(shards.max(1))) as u8
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
        let vendor = VendorId::of_name(b"west");
        let shards: std::collections::BTreeSet<u8> = (0..4).map(|bind| bind_shard(vendor, bind, 4)).collect();
        assert_eq!(shards.len(), 4);
        assert_eq!(bind_shard(vendor, 7, 1), 0);
    }

    #[test]
    fn first_binds_of_vendors_spread() {
        let mut counts = [0; 4];
        for number in 0..400 {
            let vendor = VendorId::of_name(format!("vendor{number}").as_bytes());
            counts[usize::from(bind_shard(vendor, 0, 4))] += 1;
        }
        assert!(counts.iter().all(|count| (70..130).contains(count)), "{counts:?}");
    }
}
