//! Names and forms of what lies in Redis. Every name begins with the prefix of the setting; numbers are big-endian.
//!
//! | name | type | holds |
//! |---|---|---|
//! | `i` vendor (16) day (2) bucket (2) | hash | vendor's message id -> 1 where two messages had it at one time, else 0, then each packed correlation behind its length |
//! | `vendor-days` | set | vendor (16) day (2) of which there may be buckets |
//! | `p` account (16) `u` or `b` | stream | parked deliveries, urgent or bulk; group `g`, consumers are nodes, `free` holds what came back |
//! | `owners` | set | account (16) of which there may be streams |
//! | `parked-count` | number | parked deliveries, all accounts together |
//! | `orphans` | stream | orphans |
//! | `early` | stream | receipts that wait for their message: vendor (16) and id, what decides, PDU |
//! | `early-ids` | hash | vendor (16) and id -> their entries in that stream |
//! | `rate:` limit in hex | hash | a bucket of tokens, and which node got how many lately (`lease/rates/redis.rs`) |
//! | `day:` day `:` limit in hex | number | tokens used of the cap of a day |
//! | `hints` | channel | node's tag (8), then accounts (16 each) for which something was parked |
//!
//! Earlier versions knew vendors and accounts by 32 bits: [`OLDER`] names what they leave behind.

use crate::shelf::BULK;
use bytes::{BufMut, Bytes, BytesMut};
use relay::CorrelationKey;
use xxhash_rust::xxh3::xxh3_64;

/// Names that only earlier versions give.
pub(super) const OLDER: [&str; 4] = ["days", "accounts", "parked", "o"];

/// Hashes of one vendor and day. Redis keeps a hash of up to 128 short entries as one packed list
/// (`hash-max-listpack-entries`), without a table: a million open correlations are then some 15 entries a hash, and
/// eight million still fit.
pub(super) const BUCKETS: u32 = 65_536;
/// Days that a look-up may have to ask: seven of the longest time to live, the one that it begins in, and tomorrow.
pub(super) const DAY_SPAN_MAX: usize = 9;
/// Seconds of a day.
const DAY_SECONDS: u32 = 86_400;

/// The names with their prefix.
pub(super) struct Layout {
    prefix: Bytes,
}

impl Layout {
    pub(super) fn new(prefix: &str) -> Layout {
        Layout { prefix: Bytes::copy_from_slice(prefix.as_bytes()) }
    }

    /// The hash that a correlation of this day is in.
    pub(super) fn correlations(&self, key: &CorrelationKey, day: u16) -> Bytes {
        let bucket = xxh3_64(key.id.as_bytes()) as u16;
        self.bucket(key.vendor.0, day, bucket)
    }

    pub(super) fn bucket(&self, vendor: u128, day: u16, bucket: u16) -> Bytes {
        let mut name = BytesMut::with_capacity(self.prefix.len() + 21);
        name.extend_from_slice(&self.prefix);
        name.put_u8(b'i');
        name.put_u128(vendor);
        name.put_u16(day);
        name.put_u16(bucket);
        name.freeze()
    }

    /// The stream of an account and class.
    pub(super) fn parked(&self, account: u128, class: u64) -> Bytes {
        let mut name = BytesMut::with_capacity(self.prefix.len() + 18);
        name.extend_from_slice(&self.prefix);
        name.put_u8(b'p');
        name.put_u128(account);
        name.put_u8(if class == BULK { b'b' } else { b'u' });
        name.freeze()
    }

    /// The names that only earlier versions give.
    pub(super) fn older(&self) -> Vec<Bytes> {
        OLDER.map(|name| self.name(name)).into()
    }

    /// One of the names that stand alone.
    pub(super) fn name(&self, name: &str) -> Bytes {
        [&self.prefix[..], name.as_bytes()].concat().into()
    }
}

/// The day of a time in seconds since 1970; fits till 2149.
pub(super) fn day_of(seconds: u32) -> u16 {
    (seconds / DAY_SECONDS) as u16
}

/// The last second of a day.
pub(super) fn end_of(day: u16) -> u64 {
    (u64::from(day) + 1) * u64::from(DAY_SECONDS) - 1
}

/// Member of `vendor-days`.
pub(super) fn day_member(vendor: u128, day: u16) -> Bytes {
    [&vendor.to_be_bytes()[..], &day.to_be_bytes()].concat().into()
}

/// Vendor and day of a member of `vendor-days`; nothing when it is none.
pub(super) fn day_of_member(member: &[u8]) -> Option<(u128, u16)> {
    let (vendor, day) = member.split_first_chunk::<16>()?;
    Some((u128::from_be_bytes(*vendor), u16::from_be_bytes(day.try_into().ok()?)))
}

/// Id of a stream entry: milliseconds since 1970 and a number.
pub(super) type StreamId = (u64, u64);

/// Reads `ms-number`.
pub(super) fn stream_id(text: &[u8]) -> Option<StreamId> {
    let (time, number) = std::str::from_utf8(text).ok()?.split_once('-')?;
    Some((time.parse().ok()?, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_ids_are_read_back() {
        assert_eq!(day_of_member(&day_member(7, 20_000)), Some((7, 20_000)));
        assert_eq!(day_of_member(b"short"), None);
        assert_eq!(stream_id(b"12-3"), Some((12, 3)));
        assert_eq!(stream_id(b"12"), None);
        assert_eq!((day_of(86_399), day_of(86_400), end_of(0)), (0, 1, 86_399));
    }

    #[test]
    fn names_begin_with_the_prefix() {
        let layout = Layout::new("gw:");
        assert_eq!(&layout.parked(1, BULK)[..], b"gw:p\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01b");
        assert_eq!(&layout.bucket(1, 2, 3)[..], b"gw:i\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x02\0\x03");
        assert_eq!(&layout.name("owners")[..], b"gw:owners");
    }
}
