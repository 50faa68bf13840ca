//! Which open message a receipt is about. Vendors give one id twice: after a restart of their counter, or where two hosts
//! of theirs count for themselves. So the id only names candidates, and the handset's number decides between them.

use crate::store_op::Correlation;
use core::cmp::Ordering;
use core::hash::{BuildHasher, Hasher};
use foldhash::fast::FixedState;

/// Digits of a number that are kept, the last ones: E.164 allows no more.
const DIGITS_MAX: u32 = 15;
/// Last digits that two numbers must have in common where they are not equal: one is written for its country, or with
/// another prefix. Shorter ends are common by chance.
const COMMON_MIN: u32 = 7;
/// Bits of a digit.
const DIGIT_BITS: u32 = 4;

/// The number of a handset: its last 15 digits, four bits each, and how many there are. A plus and leading zeros do not
/// count.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Handset(u64);

/// How well two numbers fit, the best last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Likeness {
    /// Their ends are equal.
    Common,
    /// One is the end of the other.
    End,
    /// They are equal.
    Whole,
}

impl Handset {
    /// No number is known.
    pub const NONE: Self = Self(0);

    /// Of the digits of an address; none where it has no digit but zeros.
    pub fn of(address: &[u8]) -> Self {
        let number = address.strip_prefix(b"+").unwrap_or(address);
        match number.first() {
            Some(b'1'..=b'9') => Self::of_plain(number).unwrap_or_else(|| Self::of_any(address)),
            _ => Self::of_any(address),
        }
    }

    /// The usual address, nothing but digits and not too many: eight of them at a time.
    fn of_plain(number: &[u8]) -> Option<Self> {
        const WORD: usize = 8;
        if number.len() > DIGITS_MAX as usize {
            return None;
        }
        let mut octets = [b'0'; 2 * WORD];
        octets[2 * WORD - number.len()..].copy_from_slice(number);
        let [a, b, c, d, e, f, g, h, last @ ..] = octets;
        let high = eight_digits([a, b, c, d, e, f, g, h])?;
        let digits = high << (WORD as u32 * DIGIT_BITS) | eight_digits(last)?;
        Some(Self((number.len() as u64) << (DIGITS_MAX * DIGIT_BITS) | digits))
    }

    /// Any address, octet by octet.
    fn of_any(address: &[u8]) -> Self {
        let (mut digits, mut count) = (0_u64, 0_u32);
        for octet in address {
            let digit = octet.wrapping_sub(b'0');
            if digit > 9 || (digit == 0 && count == 0) {
                continue;
            }
            digits = digits << DIGIT_BITS | u64::from(digit); // the first ones leave at the upper end
            count += 1;
        }
        let digits = digits & (u64::MAX >> DIGIT_BITS);
        Self(u64::from(count.min(DIGITS_MAX)) << (DIGITS_MAX * DIGIT_BITS) | digits)
    }

    /// Whether no number is known.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// As eight octets.
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// The inverse of [`Handset::to_bytes`].
    pub const fn from_bytes(octets: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(octets))
    }

    const fn length(self) -> u32 {
        (self.0 >> (DIGITS_MAX * DIGIT_BITS)) as u32
    }

    fn likeness(self, other: Self) -> Option<Likeness> {
        if self.is_none() || other.is_none() {
            return None;
        }
        if self == other {
            return Some(Likeness::Whole);
        }
        let shorter = self.length().min(other.length());
        let common = ((self.0 ^ other.0).trailing_zeros() / DIGIT_BITS).min(shorter);
        match common {
            0..COMMON_MIN => None,
            common if common == shorter => Some(Likeness::End),
            _ => Some(Likeness::Common),
        }
    }
}

/// Eight digits as four bits each; nothing where an octet is none.
fn eight_digits(octets: [u8; 8]) -> Option<u64> {
    const LOW_HALVES: u64 = 0x0f0f_0f0f_0f0f_0f0f;
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    const SIX: u64 = 0x0606_0606_0606_0606;
    let word = u64::from_be_bytes(octets);
    // Adding six to a digit's lower half does not reach the upper one.
    if word & !LOW_HALVES != ZEROS || (word.wrapping_add(SIX)) & !LOW_HALVES != ZEROS {
        return None;
    }
    let pairs = (word & LOW_HALVES) | (word & LOW_HALVES) >> 4;
    let pairs = pairs & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    Some((fours | fours >> 16) & 0xffff_ffff)
}

/// Sixteen bits of a sender's address: enough to break a tie, never to decide.
pub(crate) fn sender_mark(address: &[u8]) -> u16 {
    mark_of(address, Handset::of(address))
}

/// The same where its number was read already.
fn mark_of(address: &[u8], number: Handset) -> u16 {
    const SEED: u64 = 0x5eed_0f2e_1a7e_0005;
    const ADDRESS_MAX: usize = 20;
    let mut hasher = FixedState::with_seed(SEED).build_hasher();
    match number {
        Handset::NONE => {
            // SMPP 3.4 §5.2.8: at most 20 octets; what a tolerant decoder let through beyond does not count.
            let mut small = [0; ADDRESS_MAX];
            let length = address.len().min(ADDRESS_MAX);
            small[..length].copy_from_slice(&address[..length]);
            small.make_ascii_lowercase();
            hasher.write(&small[..length]);
        }
        Handset(number) => hasher.write_u64(number),
    }
    hasher.finish() as u16
}

/// What a receipt says about whom its message was for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReceiptNumbers {
    numbers: [Handset; 2],
    marks: [u16; 2],
    trust: Trust,
}

/// What a receipt is believed by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Trust {
    Number,
    /// The vendor writes no usable number.
    IdAlone,
    /// A seeded bug: an id is a proof.
    #[cfg(feature = "mutations")]
    NewestId,
}

impl ReceiptNumbers {
    /// By the addresses of a receipt: vendors disagree which of them is the handset's.
    pub fn new(source: &[u8], destination: &[u8]) -> Self {
        let numbers = [Handset::of(source), Handset::of(destination)];
        Self {
            numbers,
            marks: [mark_of(source, numbers[0]), mark_of(destination, numbers[1])],
            trust: Trust::Number,
        }
    }

    /// Of a vendor whose receipts carry no usable number.
    pub const fn none() -> Self {
        Self { numbers: [Handset::NONE; 2], marks: [0; 2], trust: Trust::IdAlone }
    }

    /// Octets of the packed form.
    pub const PACKED_LENGTH: usize = 21;

    /// The packed form: both numbers, both marks, and whether they count.
    pub fn to_bytes(self) -> [u8; Self::PACKED_LENGTH] {
        let mut packed = [u8::from(self.trust == Trust::Number); Self::PACKED_LENGTH];
        for (at, (number, mark)) in self.numbers.iter().zip(self.marks).enumerate() {
            packed[at * 10..at * 10 + 8].copy_from_slice(&number.to_bytes());
            packed[at * 10 + 8..at * 10 + 10].copy_from_slice(&mark.to_be_bytes());
        }
        packed
    }

    /// The inverse of [`ReceiptNumbers::to_bytes`].
    pub fn from_bytes(packed: &[u8; Self::PACKED_LENGTH]) -> Self {
        let [a @ .., _] = packed;
        let number = |at: usize| {
            let octets: [u8; 8] = core::array::from_fn(|octet| a[at * 10 + octet]);
            Handset::from_bytes(octets)
        };
        let mark = |at: usize| u16::from_be_bytes([a[at * 10 + 8], a[at * 10 + 9]]);
        Self {
            numbers: [number(0), number(1)],
            marks: [mark(0), mark(1)],
            trust: if packed[Self::PACKED_LENGTH - 1] == 1 { Trust::Number } else { Trust::IdAlone },
        }
    }

    /// A seeded bug: the newest message of an id has the receipt.
    #[cfg(feature = "mutations")]
    pub(crate) const fn newest() -> Self {
        Self { trust: Trust::NewestId, ..Self::none() }
    }

    /// How well a correlation fits: the likeness of the handset's number, then whether the other address is its sender's.
    /// Nothing for a contradiction.
    fn fit(&self, candidate: &Correlation) -> Option<(Option<Likeness>, bool)> {
        if self.trust != Trust::Number || candidate.handset.is_none() {
            return Some((None, false));
        }
        let side = |handset: usize, sender: usize| {
            let likeness = self.numbers[handset].likeness(candidate.handset)?;
            Some((Some(likeness), self.marks[sender] == candidate.sender))
        };
        side(0, 1).max(side(1, 0))
    }
}

/// What a look-up found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finding {
    /// The message.
    Fits(Correlation),
    /// No message of this id is open.
    Nothing,
    /// Messages of this id are open, and the receipt's numbers are those of none of them.
    Contradicted,
    /// It may be about messages of two accounts, or of an id that was given twice and nothing else to go by.
    Several,
}

/// Which of the open messages of its id a receipt is about. The best fit; of several of one account the oldest.
pub fn choose(candidates: impl IntoIterator<Item = Correlation>, numbers: &ReceiptNumbers) -> Finding {
    let mut found = Finding::Nothing;
    let mut best = None;
    for candidate in candidates {
        let candidate = &candidate;
        #[cfg(feature = "mutations")]
        if numbers.trust == Trust::NewestId {
            found = match found {
                Finding::Fits(other) if age(&other) > age(candidate) => found,
                _ => Finding::Fits(*candidate),
            };
            continue;
        }
        let Some(fit) = numbers.fit(candidate) else {
            if best.is_none() {
                found = Finding::Contradicted;
            }
            continue;
        };
        if fit.0.is_none() && candidate.shared {
            // Nothing tells it from another message that had this id at the same time.
            if best.is_none() {
                (found, best) = (Finding::Several, Some((None, false)));
            }
            continue;
        }
        match best.map_or(Ordering::Greater, |best| fit.cmp(&best)) {
            Ordering::Greater => (found, best) = (Finding::Fits(*candidate), Some(fit)),
            Ordering::Equal => found = of_two(&found, candidate),
            Ordering::Less => {}
        }
    }
    found
}

/// Both fit as well.
fn of_two(found: &Finding, candidate: &Correlation) -> Finding {
    match found {
        Finding::Fits(other) if other.account != candidate.account => Finding::Several,
        Finding::Fits(other) if age(candidate) < age(other) => Finding::Fits(*candidate),
        other => *other,
    }
}

fn age(candidate: &Correlation) -> (u32, u64) {
    (candidate.submitted_at, candidate.gateway_id.0)
}

impl From<Option<Correlation>> for Finding {
    fn from(found: Option<Correlation>) -> Self {
        found.map_or(Finding::Nothing, Finding::Fits)
    }
}

impl Finding {
    /// The message, where there is one.
    pub fn fits(&self) -> Option<&Correlation> {
        match self {
            Finding::Fits(correlation) => Some(correlation),
            Finding::Nothing | Finding::Contradicted | Finding::Several => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::AccountId;
    use smpp::field::RegisteredDelivery;
    use smpp::text::message_id::GatewayId;

    fn of(account: &[u8], id: u64, handset: &[u8]) -> Correlation {
        Correlation {
            account: AccountId::of_name(account),
            gateway_id: GatewayId(id),
            submitted_at: id as u32,
            urgent: false,
            registered: RegisteredDelivery::RECEIPT,
            handset: Handset::of(handset),
            sender: sender_mark(b"ACME"),
            shared: false,
            addresses: None,
        }
    }

    fn check(candidates: &[Correlation], numbers: ReceiptNumbers, expected: Result<u64, Finding>) {
        let found = choose(candidates.iter().copied(), &numbers);
        assert_eq!(found.fits().map_or(Err(found), |fits| Ok(fits.gateway_id.0)), expected);
        let turned = choose(candidates.iter().rev().copied(), &numbers);
        assert_eq!(turned, found, "the order says nothing");
    }

    #[test]
    fn numbers_fit_however_they_are_written() {
        let fit = |one: &[u8], other: &[u8]| Handset::of(one).likeness(Handset::of(other));
        for (one, other, expected) in [
            (&b"+442071234567"[..], &b"00442071234567"[..], Some(Likeness::Whole)),
            (b"442071234567", b"02071234567", Some(Likeness::End)),
            (b"5491112345678", b"541112345678", Some(Likeness::Common)),
            (b"442071234567", b"442071234568", None),
            (b"1234567", b"91234567", Some(Likeness::End)),
            (b"123456", b"9123456", None),
            (b"3005", b"3005", Some(Likeness::Whole)),
            (b"3005", b"13005", None),
            (b"", b"", None),
            (b"000", b"0", None),
            (b"ACME", b"ACME", None),
        ] {
            assert_eq!(fit(one, other), expected, "{} {}", one.escape_ascii(), other.escape_ascii());
            assert_eq!(fit(other, one), expected);
        }
        let long = Handset::of(b"12345678901234567890");
        assert_eq!((long.length(), long), (15, Handset::of(b"678901234567890")));
        assert_eq!(Handset::from_bytes(long.to_bytes()), long);
    }

    #[test]
    fn digits_are_read_eight_at_a_time_as_one_by_one() {
        for length in 0..=22 {
            for odd in 0..=u8::MAX {
                for at in 0..length.max(1) {
                    let mut address: Vec<u8> = (0..length).map(|at| b'1' + (at % 9) as u8).collect();
                    if let Some(octet) = address.get_mut(at) {
                        *octet = odd;
                    }
                    assert_eq!(
                        Handset::of(&address),
                        Handset::of_any(&address),
                        "{}",
                        address.escape_ascii()
                    );
                }
            }
        }
    }

    #[test]
    fn the_handset_decides_between_messages_of_one_id() {
        let (one, two) = (of(b"a", 1, b"12025550111"), of(b"b", 2, b"12025550222"));
        let by = |source: &[u8], destination: &[u8]| ReceiptNumbers::new(source, destination);
        check(&[], by(b"12025550111", b"ACME"), Err(Finding::Nothing));
        check(&[one, two], by(b"12025550111", b"ACME"), Ok(1));
        check(&[one, two], by(b"ACME", b"+12025550222"), Ok(2));
        check(&[one, two], by(b"12025550333", b"ACME"), Err(Finding::Contradicted));
        check(&[one, two], by(b"", b""), Err(Finding::Contradicted));
        check(&[one], by(b"2025550111", b""), Ok(1));
        // An equal number is better than one with the same end.
        check(&[one, of(b"b", 3, b"12025550111000")], by(b"12025550111", b""), Ok(1));
        check(&[of(b"a", 1, b"13125550111"), of(b"b", 2, b"12025550111")], by(b"12025550111", b""), Ok(2));
    }

    #[test]
    fn of_one_account_the_older_and_of_two_none() {
        let (old, young) = (of(b"a", 1, b"12025550111"), of(b"a", 2, b"12025550111"));
        let by = ReceiptNumbers::new(b"12025550111", b"elsewhere");
        check(&[young, old], by, Ok(1));
        let other = of(b"b", 3, b"12025550111");
        check(&[young, other], by, Err(Finding::Several));
        check(&[young, old, other], by, Err(Finding::Several));
        // The sender breaks a tie, and only that.
        let own = Correlation { sender: sender_mark(b"447700900123"), ..other };
        check(&[young, own], ReceiptNumbers::new(b"12025550111", b"+447700900123"), Ok(3));
        check(&[young], ReceiptNumbers::new(b"12025550111", b"+447700900123"), Ok(2));
        check(&[young], ReceiptNumbers::new(b"12025550999", b"ACME"), Err(Finding::Contradicted));
    }

    #[test]
    fn by_its_id_alone_only_what_never_shared_it() {
        let one = of(b"a", 1, b"12025550111");
        check(&[one], ReceiptNumbers::none(), Ok(1));
        let shared = Correlation { shared: true, ..one };
        check(&[shared], ReceiptNumbers::none(), Err(Finding::Several));
        check(
            &[shared, Correlation { shared: true, ..of(b"a", 2, b"1") }],
            ReceiptNumbers::none(),
            Err(Finding::Several),
        );
        // What an earlier version kept has no number.
        let older = Correlation { handset: Handset::NONE, ..one };
        check(&[older], ReceiptNumbers::new(b"12025550999", b""), Ok(1));
        check(
            &[Correlation { shared: true, ..older }, shared],
            ReceiptNumbers::new(b"12025550111", b""),
            Ok(1),
        );
    }
}
