//! The parts of one long message go to one vendor: a handset puts them together only where sender and order are as they
//! were, and two vendors keep neither.
//!
//! Which vendor follows from a hash of the message and the configured weights (a rendezvous hash), so that nodes which know
//! nothing of each other agree. Health counts until the first part has a place; the others follow it, by a table on the
//! shard where all sessions of the account are. A part whose vendor cannot take it waits.

use crate::choice::Choice;
use crate::choice::{Here, Surroundings};
use crate::form::takes;
use crate::message::{AccountId, Key, MessageEvent, VendorId};
use crate::mutation::mutated;
use crate::relay::Relay;
use crate::route::{Candidate, Encoding, Standing, VENDORS_PER_PLAN_MAX, mix};
use core::hash::{BuildHasher, Hash, Hasher};
use core::num::NonZeroU64;
use core::time::Duration;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;
use smpp::field::StatusClass;
use smpp::text::segment::Part;
use smpp::time::Instant;

/// Messages of one generation; the last one whole and the one before it are known. Over it the hash alone decides, which
/// says the same while all vendors are well. A full hash table of 16,384 slots.
const GENERATION_MAX: usize = 14_336;
/// How long one generation lasts: parts of a message come within seconds, and again when a customer repeats them.
const GENERATION_TIME: Duration = Duration::from_secs(60);
/// What is kept on one shard, octets: two generations.
pub(crate) const TOGETHER_OCTETS: u64 = 2 * 16_384 * (size_of::<(u64, Pin)>() as u64 + 1);

/// That a message is a part, and of what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PartOf {
    /// The same for all parts, on every shard and node.
    name: NonZeroU64,
    number: u8,
    /// When its wait for a vendor that throttles ends; nothing before it waits.
    until: Option<Instant>,
}

impl PartOf {
    /// `addresses` as [`crate::in_flight::addresses`] gives them.
    pub(crate) fn new(account: AccountId, addresses: u64, part: &Part) -> Self {
        const SEED: u64 = 0x5eed_0f2e_1a7e_0005;
        let mut hasher = FixedState::with_seed(SEED).build_hasher();
        account.hash(&mut hasher);
        hasher.write_u64(addresses);
        hasher.write_u16(part.reference);
        hasher.write_u8(part.total);
        let name = NonZeroU64::new(hasher.finish()).unwrap_or(NonZeroU64::MIN);
        Self { name, number: part.number, until: None }
    }
}

/// Where the parts of a message go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Pin {
    vendor: u16,
    /// The part that was placed first.
    first: u8,
    /// Others were placed there too.
    has_more: bool,
}

impl Pin {
    /// Nothing but this part was placed there: it may still go elsewhere.
    fn is_only(&self, part: PartOf) -> bool {
        !self.has_more && self.first == part.number
    }
}

/// Where messages with parts went lately.
#[derive(Debug)]
pub(crate) struct Together {
    young: HashMap<NonZeroU64, Pin, FixedState>,
    old: HashMap<NonZeroU64, Pin, FixedState>,
    young_until: Instant,
}

impl Together {
    pub(crate) fn new(seed: u64) -> Self {
        let generation = || HashMap::with_capacity_and_hasher(GENERATION_MAX, FixedState::with_seed(seed));
        Self { young: generation(), old: generation(), young_until: Instant::default() }
    }

    fn find(&self, name: NonZeroU64) -> Option<Pin> {
        self.young.get(&name).or_else(|| self.old.get(&name)).copied()
    }

    /// True when others had to go before their time.
    fn put(&mut self, now: Instant, name: NonZeroU64, pin: Pin) -> bool {
        let is_full = self.young.len() >= GENERATION_MAX;
        if is_full || now >= self.young_until {
            core::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
            self.young_until = now + GENERATION_TIME;
        }
        self.young.insert(name, pin);
        is_full
    }
}

impl Relay {
    /// The best place for a part: with the other parts of its message.
    pub(crate) fn choose_together(&mut self, now: Instant, key: Key, part: PartOf) -> Choice {
        let known = self.together.find(part.name).filter(|_| !mutated!(self, PartsApart));
        let pinned = known.and_then(|pin| Some((self.way_to_others(now, key, part, pin)?, pin)));
        let (choice, pin) = match pinned {
            Some((choice, pin)) => {
                (choice, Pin { has_more: pin.has_more || pin.first != part.number, ..pin })
            }
            None => {
                let choice = self.first_by_hash(now, key, part.name);
                let vendor = choice.vendor().unwrap_or_default();
                (choice, Pin { vendor, first: part.number, has_more: false })
            }
        };
        match choice {
            Choice::Full => self.counters.traffic.queue_full += 1,
            Choice::Down => {}
            // Or what is submitted again and again would keep the message with a vendor that is gone.
            _ if known == Some(pin) && self.vendors[pin.vendor].is_unbound() => {}
            _ => self.counters.traffic.parts_forgotten += u64::from(self.together.put(now, part.name, pin)),
        }
        choice
    }

    /// To the vendor that the other parts went to. Nothing where another vendor may be taken: no other part was placed yet,
    /// or the configuration does not name this vendor any more.
    fn way_to_others(&mut self, now: Instant, key: Key, part: PartOf, pin: Pin) -> Option<Choice> {
        let is_only = pin.is_only(part);
        let queue_max = self.snapshot.limits().queue_max;
        let message = &self.messages[key];
        let place = self.vendors[pin.vendor].snapshot_place?;
        let plan = self.snapshot.routes().plan(message.plan);
        let candidate = plan.iter().find(|candidate| candidate.vendor == place)?;
        if !candidate.encodings.contains(message.encoding)
            || !takes(&self.snapshot, candidate, message.form())
        {
            return None;
        }
        if message.tried().contains(&pin.vendor) {
            return if is_only { None } else { Some(Choice::Down) };
        }
        let candidate = *candidate;
        let mut here = self.here(now, key);
        if is_only && !matches!(here.standing(&candidate), Standing::Fit(_)) {
            return None;
        }
        match here.way(place)?.1 {
            Choice::Full | Choice::Down if is_only => None,
            Choice::Down if self.vendors[pin.vendor].queue.len() < queue_max => {
                Some(Choice::Queue { vendor: pin.vendor })
            }
            Choice::Down => Some(Choice::Full),
            choice => Some(choice),
        }
    }

    /// Nothing of the message is anywhere: the first vendor by its hash that is well and has room, else one that is ill.
    fn first_by_hash(&mut self, now: Instant, key: Key, name: NonZeroU64) -> Choice {
        let message = &self.messages[key];
        let (encoding, plan) = (message.encoding, message.plan);
        let mut here = self.here(now, key);
        let snapshot = here.snapshot;
        let id = |candidate: &Candidate| snapshot.vendors()[usize::from(candidate.vendor)].id;
        first_of_rank(snapshot.routes().plan(plan), name, encoding, id, &mut here)
    }

    fn here(&mut self, now: Instant, key: Key) -> Here<'_> {
        let Self { snapshot, vendors, vendor_links, messages, health, limiter, .. } = self;
        let message = &messages[key];
        let roams = message.returns < snapshot.limits().attempts_max;
        Here { now, snapshot, vendors, links: vendor_links, limiter, health, message, roams }
    }

    /// Its vendor throttles, and has other parts of its message: the part waits for that vendor, at most as long as
    /// messages wait for a slot. False when it does not.
    pub(crate) fn wait_together(&mut self, now: Instant, key: Key, class: StatusClass) -> bool {
        let message = &self.messages[key];
        let Some(part) = message.part_of else { return false };
        let may_wait = class == StatusClass::Throttled && !message.maybe_sent && !message.pdu.is_empty();
        let until = part.until.unwrap_or(now + self.snapshot.limits().queue_wait_max);
        if !may_wait || now >= until || mutated!(self, PartsApart) {
            return false;
        }
        let Some(pin) = self.together.find(part.name) else { return false };
        if pin.vendor != message.vendor || pin.is_only(part) {
            return false;
        }
        let choice = match self.way_to_others(now, key, part, pin) {
            Some(Choice::Full | Choice::Down) | None => return false,
            Some(choice) => choice,
        };
        self.counters.traffic.parts_waited += 1;
        let message = &mut self.messages[key];
        message.part_of = Some(PartOf { until: Some(until), ..part });
        message.step(MessageEvent::TryOther);
        message.deadline = until;
        self.put(now, key, choice);
        true
    }
}

/// Walks a plan level by level, each in the order of the message's hash: first those that are well, then those that are
/// ill. Waiting for the first is as good as being sent at once.
fn first_of_rank(
    plan: &[Candidate],
    name: NonZeroU64,
    encoding: Encoding,
    id: impl Fn(&Candidate) -> VendorId,
    surroundings: &mut impl Surroundings,
) -> Choice {
    let ranked = rank(plan, name, id);
    let mut none = Choice::Down;
    for is_ill in [false, true] {
        for candidate in ranked.iter().map(|place| &plan[usize::from(*place)]) {
            if !candidate.encodings.contains(encoding) {
                continue;
            }
            match surroundings.standing(candidate) {
                Standing::Fit(_) if !is_ill => {}
                Standing::Open(_) if is_ill => {}
                _ => continue,
            }
            match surroundings.way(candidate.vendor) {
                Some((_, Choice::Full)) => none = Choice::Full,
                Some((_, Choice::Down)) | None => {}
                Some((_, choice)) => return choice,
            }
        }
    }
    none
}

/// Places of a plan: levels in their order, within each by weighted rendezvous: a vendor that comes or goes moves only its
/// own share of the messages.
fn rank(
    plan: &[Candidate],
    name: NonZeroU64,
    id: impl Fn(&Candidate) -> VendorId,
) -> SmallVec<[u8; VENDORS_PER_PLAN_MAX]> {
    let score = |candidate: &Candidate| {
        const BITS: u32 = f64::MANTISSA_DIGITS;
        let VendorId(id) = id(candidate);
        let drawn = mix(name.get() ^ mix(id as u64 ^ (id >> 64) as u64)) >> (u64::BITS - BITS);
        let uniform = (drawn as f64 + 0.5) / (1_u64 << BITS) as f64; // in (0, 1)
        -uniform.ln() / f64::from(candidate.weight) // the least is the first; a weight of 0 comes last
    };
    let scores: SmallVec<[f64; VENDORS_PER_PLAN_MAX]> = plan.iter().map(score).collect();
    let mut places: SmallVec<[u8; VENDORS_PER_PLAN_MAX]> = (0..plan.len() as u8).collect();
    let mut at = 0;
    while let Some(first) = plan.get(at) {
        let level = &mut places[at..at + first.members()];
        level.sort_unstable_by(|one, other| {
            scores[usize::from(*one)].total_cmp(&scores[usize::from(*other)]).then(one.cmp(other))
        });
        at += first.members();
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::test_plan;

    fn name(number: u64) -> NonZeroU64 {
        NonZeroU64::new(mix(number)).unwrap()
    }

    fn firsts(plan: &[Candidate], count: u64) -> Vec<u16> {
        let id = |candidate: &Candidate| VendorId(candidate.vendor.into());
        (0..count).map(|number| plan[usize::from(rank(plan, name(number), id)[0])].vendor).collect()
    }

    #[test]
    fn shares_follow_the_weights() {
        let firsts = firsts(&test_plan(&[&[(1, 3), (2, 1)], &[(3, 1)]]), 20_000);
        let share = firsts.iter().filter(|vendor| **vendor == 1).count();
        assert!((14_700..15_300).contains(&share), "{share} of 20,000 instead of three quarters");
        assert!(firsts.iter().all(|vendor| *vendor != 3), "the next level comes later");
    }

    #[test]
    fn a_vendor_that_goes_moves_its_own_share_alone() {
        let (three, two) = (test_plan(&[&[(1, 1), (2, 1), (3, 1)]]), test_plan(&[&[(1, 1), (2, 1)]]));
        for (before, after) in firsts(&three, 5_000).into_iter().zip(firsts(&two, 5_000)) {
            assert!(before == after || before == 3);
        }
    }

    #[test]
    fn the_last_generation_is_known_whole() {
        let mut together = Together::new(1);
        let pin = |vendor| Pin { vendor, first: 1, has_more: false };
        let mut forgotten = 0;
        let count = 2 * GENERATION_MAX as u64 + 1;
        for number in 0..count {
            forgotten += usize::from(together.put(Instant::default(), name(number), pin(1)));
        }
        assert_eq!(forgotten, 2);
        assert!((count - GENERATION_MAX as u64..count).all(|number| together.find(name(number)).is_some()));
        assert_eq!(together.find(name(0)), None);
    }

    #[test]
    fn what_was_placed_is_known_for_a_minute() {
        let mut together = Together::new(1);
        let at = |seconds| Instant::default() + Duration::from_secs(seconds);
        let pin = Pin { vendor: 4, first: 2, has_more: true };
        together.put(at(0), name(1), pin);
        together.put(at(59), name(2), pin);
        together.put(at(60), name(3), pin);
        assert_eq!(together.find(name(2)), Some(pin));
        together.put(at(120), name(4), pin);
        assert_eq!((together.find(name(2)), together.find(name(3))), (None, Some(pin)));
    }
}
