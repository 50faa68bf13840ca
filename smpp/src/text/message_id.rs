//! Message ids: how a vendor's spelling is made comparable, and the ids that the gateway itself gives.

use core::fmt;
use core::time::Duration;

/// Longest id handled, in octets. SMPP 3.4 §5.2.23 allows 64 and a NUL; peers that count the NUL in send 65.
pub const ID_LENGTH_MAX: usize = 65;

/// How a vendor spells the id in its receipts, compared with the id in its responses.
///
/// Both sides are brought to one spelling, the key: [`IdRule::response_key`] for the id in the response,
/// [`IdRule::receipt_key`] for the id in the receipt. An id that the rule cannot read (letters where digits
/// are due, a number of more than 128 bits) is its own key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum IdRule {
    /// Octet for octet.
    #[default]
    Raw,
    /// Hexadecimal in the response, decimal in the receipt.
    HexToDecimal,
    /// Decimal in the response, hexadecimal in the receipt.
    DecimalToHex,
    /// The same, but upper and lower case mixed.
    CaseFold,
    /// The same, but leading zeros kept on one side only.
    StripZeros,
}

impl IdRule {
    /// Rewrites an id by the rule: number base, case or zeros. `None` for an id above [`ID_LENGTH_MAX`]
    /// octets: cut short, two messages could share it.
    pub fn normalise<'b>(self, id: &[u8], out: &'b mut [u8; ID_LENGTH_MAX]) -> Option<&'b [u8]> {
        match self {
            IdRule::Raw => copy(id, out),
            IdRule::HexToDecimal => convert(id, 16, 10, out),
            IdRule::DecimalToHex => convert(id, 10, 16, out),
            IdRule::CaseFold => fold(id, out),
            IdRule::StripZeros => copy(without_zeros(id), out),
        }
    }

    /// The key under which the id of a response is kept. The same as [`IdRule::normalise`].
    pub fn response_key<'b>(self, id: &[u8], out: &'b mut [u8; ID_LENGTH_MAX]) -> Option<&'b [u8]> {
        self.normalise(id, out)
    }

    /// The key under which the id of a receipt is looked up.
    pub fn receipt_key<'b>(self, id: &[u8], out: &'b mut [u8; ID_LENGTH_MAX]) -> Option<&'b [u8]> {
        match self {
            IdRule::HexToDecimal => convert(id, 10, 10, out),
            IdRule::DecimalToHex => convert(id, 16, 16, out),
            _ => self.normalise(id, out),
        }
    }
}

/// An id given by the gateway: unique over nodes, shards and time, in order of time on one shard.
///
/// From the high bit: seconds since 2025-01-01 UTC (30 bits, wraps in 2059), node (8), shard (6), counter
/// (20).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct GatewayId(pub u64);

impl GatewayId {
    /// Length as text.
    pub const TEXT_LENGTH: usize = 16;

    /// Reads 16 hexadecimal digits of either case.
    pub fn parse(text: &[u8]) -> Option<GatewayId> {
        if text.len() != Self::TEXT_LENGTH {
            return None;
        }
        text.iter()
            .try_fold(0u64, |value, &octet| Some(value << 4 | u64::from(char::from(octet).to_digit(16)?)))
            .map(GatewayId)
    }

    /// As 16 upper-case hexadecimal digits.
    pub fn text(self) -> [u8; Self::TEXT_LENGTH] {
        let mut text = [0; Self::TEXT_LENGTH];
        for (index, digit) in text.iter_mut().enumerate() {
            *digit = HEX[(self.0 >> (60 - 4 * index)) as usize & 0xF];
        }
        text
    }

    /// Second of issue, Unix time (before the wrap in 2059).
    pub fn unix_seconds(self) -> u64 {
        EPOCH_UNIX_SECONDS + (self.0 >> SECOND_SHIFT)
    }

    /// The node that gave it.
    pub fn node(self) -> u8 {
        (self.0 >> NODE_SHIFT) as u8
    }

    /// The shard that gave it.
    pub fn shard(self) -> u8 {
        (self.0 >> SHARD_SHIFT) as u8 & (SHARDS_MAX - 1)
    }

    /// Its number within the second.
    pub fn counter(self) -> u32 {
        self.0 as u32 & (COUNTER_MAX - 1)
    }
}

impl fmt::Display for GatewayId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016X}", self.0)
    }
}

/// Gives the ids of one shard. It is told the time and never repeats an id: when a second's counter is used
/// up, or the clock steps back, it goes on ahead of the clock.
#[derive(Debug)]
pub struct GatewayIdSource {
    node: u8,
    /// Below [`SHARDS_MAX`].
    shard: u8,
    /// Second of the last id, since 2025; never falls. May be ahead of the clock.
    second: u64,
    /// Counter for the next id; [`COUNTER_MAX`] when the second is used up.
    counter: u32,
}

impl GatewayIdSource {
    /// A source for one shard of one node.
    ///
    /// # Panics
    /// When `shard` is not below [`SHARDS_MAX`]: the caller creates its shards and knows how many.
    pub fn new(node: u8, shard: u8) -> GatewayIdSource {
        assert!(shard < SHARDS_MAX, "an id holds six bits of shard");
        GatewayIdSource { node, shard, second: 0, counter: 0 }
    }

    /// A source for a shard that starts at this Unix time. Its first second begins with the counter at the
    /// fraction that has passed of it, so that an earlier life of the shard, killed within the same second, has
    /// given other ids: it cannot have given more than one each [`COUNTER_MAX`]th of the second.
    ///
    /// # Panics
    /// As [`GatewayIdSource::new`].
    pub fn starting_at(node: u8, shard: u8, unix_time: Duration) -> GatewayIdSource {
        let second = unix_time.as_secs().saturating_sub(EPOCH_UNIX_SECONDS);
        let fraction = u64::from(unix_time.subsec_nanos()) * u64::from(COUNTER_MAX) / 1_000_000_000;
        GatewayIdSource { second, counter: fraction as u32, ..GatewayIdSource::new(node, shard) }
    }

    /// Goes on after `last`, the newest id that an earlier life of this shard may have given. Without it a
    /// process restarted within the same second would give that second's ids again.
    pub fn resume_after(&mut self, last: GatewayId) {
        let second = last.0 >> SECOND_SHIFT;
        if second >= self.second {
            self.second = second + 1;
            self.counter = 0;
        }
    }

    /// Unix time of the newest second of which it gave ids, or will give the next one.
    pub fn newest_second(&self) -> u64 {
        EPOCH_UNIX_SECONDS + self.second
    }

    /// The next id, given the time in whole seconds of Unix time.
    pub fn next(&mut self, unix_seconds: u64) -> GatewayId {
        let now = unix_seconds.saturating_sub(EPOCH_UNIX_SECONDS);
        if now > self.second {
            self.second = now;
            self.counter = 0;
        } else if self.counter == COUNTER_MAX {
            self.second += 1;
            self.counter = 0;
        }
        let counter = self.counter;
        self.counter += 1;
        assert!(counter < COUNTER_MAX);
        // The shift drops the seconds above 30 bits.
        GatewayId(
            self.second << SECOND_SHIFT
                | u64::from(self.node) << NODE_SHIFT
                | u64::from(self.shard) << SHARD_SHIFT
                | u64::from(counter),
        )
    }
}

/// 2025-01-01T00:00:00Z.
pub const EPOCH_UNIX_SECONDS: u64 = 1_735_689_600;
/// Shards that the id has room for.
pub const SHARDS_MAX: u8 = 1 << 6;
/// Ids per shard and second before the source runs ahead of the clock.
pub const COUNTER_MAX: u32 = 1 << 20;

const SHARD_SHIFT: u32 = 20;
const NODE_SHIFT: u32 = SHARD_SHIFT + 6;
const SECOND_SHIFT: u32 = NODE_SHIFT + 8;
const _: () = assert!(SECOND_SHIFT + 30 == u64::BITS);
const _: () = assert!(COUNTER_MAX == 1 << SHARD_SHIFT);

const HEX: &[u8; 16] = b"0123456789ABCDEF";

fn copy<'b>(id: &[u8], out: &'b mut [u8; ID_LENGTH_MAX]) -> Option<&'b [u8]> {
    let target = out.get_mut(..id.len())?;
    target.copy_from_slice(id);
    Some(target)
}

fn fold<'b>(id: &[u8], out: &'b mut [u8; ID_LENGTH_MAX]) -> Option<&'b [u8]> {
    let target = out.get_mut(..id.len())?;
    target.copy_from_slice(id);
    target.make_ascii_uppercase();
    Some(target)
}

fn without_zeros(id: &[u8]) -> &[u8] {
    let zeros = id.iter().take_while(|&&octet| octet == b'0').count();
    // A zero id keeps one digit.
    &id[zeros.min(id.len().saturating_sub(1))..]
}

/// Rewrites a number in another base, without leading zeros, letters in upper case. What is no number, or
/// above 128 bits, stays as it is.
fn convert<'b>(id: &[u8], from: u32, to: u32, out: &'b mut [u8; ID_LENGTH_MAX]) -> Option<&'b [u8]> {
    let Some(mut value) = number(id, from) else { return copy(id, out) };
    let mut start = out.len();
    loop {
        // 128 bits are at most 39 digits in base 10 or above, fewer than ID_LENGTH_MAX.
        start -= 1;
        out[start] = HEX[(value % u128::from(to)) as usize];
        value /= u128::from(to);
        if value == 0 {
            return Some(&out[start..]);
        }
    }
}

fn number(id: &[u8], base: u32) -> Option<u128> {
    if id.is_empty() {
        return None;
    }
    id.iter().try_fold(0u128, |value, &octet| {
        let digit = char::from(octet).to_digit(base)?;
        value.checked_mul(u128::from(base))?.checked_add(u128::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    /// Found by killing a gateway in mid-traffic: it was back within the second and gave that second's ids again.
    #[test]
    fn a_life_that_starts_in_the_second_another_ended_in_gives_other_ids() {
        let unix = |millis: u64| Duration::from_millis(2_000_000_000_000 + millis);
        let mut first = GatewayIdSource::starting_at(1, 0, unix(100));
        let last = (0..300_000).map(|_| first.next(unix(700).as_secs())).last();
        let mut second = GatewayIdSource::starting_at(1, 0, unix(700));
        assert!(Some(second.next(unix(700).as_secs())) > last);
    }

    #[test]
    fn ids_are_unique_and_in_order_while_the_clock_jumps() {
        let mut source = GatewayIdSource::new(7, 63);
        let start = EPOCH_UNIX_SECONDS + 1000;
        let mut last = source.next(start);
        assert_eq!((last.unix_seconds(), last.node(), last.shard(), last.counter()), (start, 7, 63, 0));
        for now in [start, start - 500, start + 1, start, 0, start + 1, start + 3600, start + 2] {
            let id = source.next(now);
            assert!(id > last, "{id} after {last}");
            last = id;
        }
        assert_eq!(last.unix_seconds(), start + 3600);
    }

    #[test]
    fn a_used_up_second_borrows_from_the_next() {
        let mut source = GatewayIdSource::new(0, 0);
        let now = EPOCH_UNIX_SECONDS + 5;
        let mut last = source.next(now);
        for _ in 0..COUNTER_MAX + 10 {
            let id = source.next(now);
            assert!(id > last);
            last = id;
        }
        assert_eq!((last.unix_seconds(), last.counter()), (now + 1, 10));
        // The clock reaches the borrowed second: its counter goes on.
        assert_eq!(source.next(now + 1).counter(), 11);
        assert_eq!(source.next(now + 2).counter(), 0);
    }

    #[test]
    fn a_restarted_source_goes_on_after_the_last_id() {
        let now = EPOCH_UNIX_SECONDS + 5;
        let last = GatewayIdSource::new(1, 2).next(now);
        let mut source = GatewayIdSource::new(1, 2);
        source.resume_after(last);
        assert!(source.next(now) > last);
    }

    #[test]
    fn a_clock_beyond_the_range_does_not_panic() {
        let mut source = GatewayIdSource::new(255, 63);
        assert_ne!(source.next(u64::MAX), source.next(u64::MAX));
    }

    #[test]
    fn text_goes_there_and_back() {
        let id = GatewayId(0x0123_4567_89AB_CDEF);
        assert_eq!(&id.text(), b"0123456789ABCDEF");
        assert_eq!(id.to_string().as_bytes(), id.text());
        assert_eq!(GatewayId::parse(b"0123456789ABCDEF"), Some(id));
        assert_eq!(GatewayId::parse(b"0123456789abcdef"), Some(id));
        for wrong in [&b""[..], b"0123456789ABCDE", b"0123456789ABCDEF0", b"+123456789ABCDEF"] {
            assert_eq!(GatewayId::parse(wrong), None);
        }
    }

    #[test]
    fn an_oversized_id_has_no_key() {
        let mut out = [0; ID_LENGTH_MAX];
        for rule in
            [IdRule::Raw, IdRule::HexToDecimal, IdRule::DecimalToHex, IdRule::CaseFold, IdRule::StripZeros]
        {
            assert!(rule.normalise(&[b'x'; ID_LENGTH_MAX], &mut out).is_some());
            assert!(rule.normalise(&[b'x'; ID_LENGTH_MAX + 1], &mut out).is_none());
        }
    }
}
