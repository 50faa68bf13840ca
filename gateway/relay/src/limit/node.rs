//! The tokens of one node, shared by its shards: one word for each limit, changed only by comparing and swapping. Generic
//! over the word, so that tests run the very same steps on plain cells that shards run on atomic ones.
//!
//! Without leases a word is the time at which its bucket would be full again, and refills itself. With leases, and for
//! the caps of days, it is a number of tokens that only the holder of leases adds to (see `lease.rs`).

use super::pool::{Grant, Opened, Slot, Take, TokenPool};
use super::spec::{Holders, LimitId, LimitSpec, Measure, WhenAway};
use core::cell::Cell;
use core::fmt;
use core::time::Duration;
use smpp::time::Instant;
use std::rc::Rc;

/// A word that threads may share, or one thread owns.
pub trait Word: Default + fmt::Debug {
    /// Reads it.
    fn load(&self) -> u64;
    /// Writes it.
    fn store(&self, value: u64);
    /// Writes it if it is `old`. The error is what it was instead.
    ///
    /// # Errors
    /// The value found, when it is another.
    fn swap_if(&self, old: u64, new: u64) -> Result<(), u64>;
}

/// The word of one thread.
#[derive(Debug, Default)]
pub struct PlainWord(Cell<u64>);

impl Word for PlainWord {
    fn load(&self) -> u64 {
        self.0.get()
    }

    fn store(&self, value: u64) {
        self.0.set(value);
    }

    fn swap_if(&self, old: u64, new: u64) -> Result<(), u64> {
        if self.0.get() != old {
            return Err(self.0.get());
        }
        self.0.set(new);
        Ok(())
    }
}

/// How a node's tokens are kept.
#[derive(Clone, Copy, Debug)]
pub struct NodeOptions {
    /// Who holds tokens.
    pub holders: Holders,
    /// Limits that the table has room for; a power of two. Each costs 32 octets, untouched ones none.
    pub capacity: u32,
    /// Somebody keeps the counts of days, so that they survive a restart and nodes share them. Else they are counted
    /// here.
    pub days_are_kept: bool,
}

/// Limits that a node's table has room for: 8 MiB when all are used. Those that a configuration no longer has stay, so
/// that removing and adding one does not fill its bucket.
pub const LIMITS_MAX: u32 = 1 << 18;
/// What a node's table takes, octets.
pub const LIMITS_OCTETS: u64 = LIMITS_MAX as u64 * (size_of::<Entry<u64>>() as u64) + LIMITS_MAX as u64 / 8;
/// How long a lease holds, from the moment at which it was asked for.
pub const LEASE_LIFE: Duration = Duration::from_millis(200);

/// One limit. `word` is described at the head of the file; the others are written with each configuration.
#[derive(Debug, Default)]
struct Entry<W> {
    /// 0 while free.
    id: W,
    word: W,
    /// Thousandths of a token a second; 0 for the cap of a day.
    rate_milli: W,
    /// Envelope or cap, and the policy above it.
    shape: W,
}

/// See the module.
#[derive(Debug)]
pub struct NodeTokens<W> {
    entries: Vec<Entry<W>>,
    /// A bit for each limit that a shard took from or wants more of.
    wanted: Vec<W>,
    /// Until when the node's leases hold, nanoseconds.
    contact_until: W,
    options: NodeOptions,
}

/// A limit as the holder of leases sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TokenView {
    /// Which.
    pub id: LimitId,
    /// How much.
    pub measure: Measure,
    /// While Redis is away.
    pub when_away: WhenAway,
    /// Of which day the tokens are; 0 for limits by the second.
    pub epoch: u32,
    /// What the pool holds.
    pub tokens: u32,
}

/// The node's tokens as the holder of leases sees them.
pub trait TokenBook: fmt::Debug {
    /// Who holds tokens.
    fn holders(&self) -> Holders;
    /// Empties the list of limits that were used since the last time into `out`.
    fn drain_wanted(&self, out: &mut Vec<Slot>);
    /// Puts a limit on that list.
    fn want(&self, slot: Slot);
    /// What stands there.
    fn view(&self, slot: Slot) -> Option<TokenView>;
    /// Adds tokens. Those of a later day replace what is there, those of an earlier one are dropped.
    fn add(&self, slot: Slot, tokens: u32, epoch: u32);
    /// Takes up to so many tokens of that day away; says how many.
    fn withdraw(&self, slot: Slot, tokens: u32, epoch: u32) -> u32;
    /// Leases hold until then.
    fn set_contact(&self, until: Instant);
}

impl<W: Word> NodeTokens<W> {
    /// An empty table.
    ///
    /// # Panics
    /// When the capacity is no power of two, or below 64.
    pub fn new(options: NodeOptions) -> Self {
        assert!(options.capacity.is_power_of_two() && options.capacity >= 64);
        let words = |count: u32| (0..count).map(|_| W::default()).collect();
        Self {
            entries: (0..options.capacity).map(|_| Entry::default()).collect(),
            wanted: words(options.capacity / 64),
            contact_until: W::default(),
            options,
        }
    }

    /// Makes room for all these limits and asks for their first tokens, so that the first message of each finds some.
    /// How many found no room.
    pub fn prime(&self, specs: &[LimitSpec]) -> usize {
        let mut left_out = 0;
        for spec in specs {
            match self.open(spec) {
                Some(opened) if self.is_counted(&spec.measure) => self.want(opened.slot),
                Some(_) => {}
                None => left_out += 1,
            }
        }
        left_out
    }

    fn open(&self, spec: &LimitSpec) -> Option<Opened> {
        let mask = self.options.capacity - 1;
        let home = spec.id.0 as u32 & mask;
        // Shards open limits at any time, so a free place is claimed by swapping the id in.
        let place = (0..PROBES_MAX).map(|step| home.wrapping_add(step) & mask).find(|place| {
            let id = &self.entries[*place as usize].id;
            id.load() == spec.id.0
                || (id.load() == 0
                    && id.swap_if(0, spec.id.0).map_or_else(|found| found == spec.id.0, |()| true))
        })?;
        let entry = &self.entries[place as usize];
        let (rate_milli, most) = match spec.measure {
            Measure::PerSecond { rate_milli, burst } => (rate_milli.max(1), burst.max(1)),
            Measure::PerDay { cap } => (0, cap),
        };
        entry.rate_milli.store(rate_milli);
        entry.shape.store(u64::from(most) | (spec.when_away as u64) << 32);
        let sizes = spec.measure.sizes(self.options.holders);
        Some(Opened { slot: Slot(place), chunk: sizes.chunk, need_max: sizes.pool })
    }

    fn take(&self, slot: Slot, take: Take) -> Grant {
        let entry = &self.entries[slot.0 as usize];
        let measure = measure_of(entry);
        match measure {
            Measure::PerSecond { rate_milli, .. } if !self.is_counted(&measure) => {
                let pool = measure.sizes(self.options.holders).pool;
                self.take_refilling(entry, interval_of(rate_milli), pool, take)
            }
            Measure::PerSecond { .. } => self.take_leased(slot, entry, take),
            Measure::PerDay { .. } if self.options.days_are_kept => self.take_of_day(slot, entry, take),
            Measure::PerDay { cap } => take_counting(entry, cap, take),
        }
    }

    /// The bucket refills itself: the word is the time at which it will be full.
    fn take_refilling(&self, entry: &Entry<W>, interval: u64, pool: u32, take: Take) -> Grant {
        let now = take.now.as_nanos();
        let mut found = entry.word.load();
        loop {
            let full_at = found.max(now);
            let there = (now + interval * u64::from(pool)).saturating_sub(full_at) / interval;
            let Some(tokens) = enough(&take, take.held, there.min(u64::from(pool)) as u32) else {
                return Grant { tokens: take.held, epoch: 0, until: FOREVER };
            };
            match entry.word.swap_if(found, full_at + interval * u64::from(tokens)) {
                Ok(()) => return Grant { tokens: take.held + tokens, epoch: 0, until: FOREVER },
                Err(other) => found = other,
            }
        }
    }

    /// The word is what the node was granted.
    fn take_leased(&self, slot: Slot, entry: &Entry<W>, take: Take) -> Grant {
        let contact = Instant::from_nanos(self.contact_until.load());
        let mut until = contact;
        if take.now >= contact {
            match away_of(entry) {
                WhenAway::Closed => {
                    self.want(slot);
                    return Grant { tokens: take.held.min(take.need - 1), epoch: 0, until: take.now };
                }
                WhenAway::Open => {
                    self.want(slot);
                    return Grant { tokens: take.held.max(take.need), epoch: 0, until: take.now };
                }
                WhenAway::Share | WhenAway::Last => until = take.now + LEASE_LIFE,
            }
        }
        let tokens = take.held + self.take_counted(slot, entry, &take, take.held, 0);
        Grant { tokens, epoch: 0, until }
    }

    fn take_of_day(&self, slot: Slot, entry: &Entry<W>, take: Take) -> Grant {
        let held = if take.epoch == take.day { take.held } else { 0 };
        let is_open = away_of(entry) == WhenAway::Open && self.options.holders.nodes > 0;
        if is_open && take.now.as_nanos() >= self.contact_until.load() {
            return Grant { tokens: held.max(take.need), epoch: take.day, until: take.now };
        }
        let tokens = held + self.take_counted(slot, entry, &take, held, take.day);
        Grant { tokens, epoch: take.day, until: FOREVER }
    }

    fn take_counted(&self, slot: Slot, entry: &Entry<W>, take: &Take, held: u32, epoch: u32) -> u32 {
        let mut found = entry.word.load();
        let taken = loop {
            let (of, tokens) = split(found);
            let there = if of == epoch { tokens } else { 0 };
            let Some(wish) = enough(take, held, there) else { break 0 };
            match entry.word.swap_if(found, join(epoch, there - wish)) {
                Ok(()) => break wish,
                Err(other) => found = other,
            }
        };
        self.want(slot);
        taken
    }

    fn give_back(&self, slot: Slot, tokens: u32, epoch: u32) {
        let entry = &self.entries[slot.0 as usize];
        let measure = measure_of(entry);
        match measure {
            Measure::PerSecond { rate_milli, .. } if !self.is_counted(&measure) => {
                let octets = interval_of(rate_milli) * u64::from(tokens);
                update(&entry.word, |full_at| full_at.saturating_sub(octets));
            }
            Measure::PerDay { .. } if !self.options.days_are_kept => update(&entry.word, |word| {
                let (of, used) = split(word);
                if of == epoch { join(of, used.saturating_sub(tokens)) } else { word }
            }),
            _ => update(&entry.word, |word| {
                let (of, there) = split(word);
                if of == epoch { join(of, there.saturating_add(tokens)) } else { word }
            }),
        }
    }

    /// Whether the holder of leases gives this limit's tokens.
    fn is_counted(&self, measure: &Measure) -> bool {
        match measure {
            Measure::PerSecond { .. } => self.options.holders.nodes > 0,
            Measure::PerDay { .. } => self.options.days_are_kept,
        }
    }
}

/// Looks at so many places for a limit; at half of the table's capacity a miss of one is less likely than 1 in 10^12.
const PROBES_MAX: u32 = 256;
/// Of tokens that do not grow old.
const FOREVER: Instant = Instant::from_nanos(u64::MAX);

impl<W: Word> TokenBook for NodeTokens<W> {
    fn holders(&self) -> Holders {
        self.options.holders
    }

    fn drain_wanted(&self, out: &mut Vec<Slot>) {
        for (at, word) in self.wanted.iter().enumerate() {
            let mut bits = word.load();
            while bits != 0 {
                match word.swap_if(bits, 0) {
                    Ok(()) => break,
                    Err(other) => bits = other,
                }
            }
            while bits != 0 {
                out.push(Slot(at as u32 * 64 + bits.trailing_zeros()));
                bits &= bits - 1;
            }
        }
    }

    fn want(&self, slot: Slot) {
        let bit = 1 << (slot.0 % 64);
        let word = &self.wanted[slot.0 as usize / 64];
        if word.load() & bit == 0 {
            update(word, |bits| bits | bit);
        }
    }

    fn view(&self, slot: Slot) -> Option<TokenView> {
        let entry = self.entries.get(slot.0 as usize).filter(|entry| entry.id.load() != 0)?;
        let (epoch, tokens) = split(entry.word.load());
        let id = LimitId(entry.id.load());
        Some(TokenView { id, measure: measure_of(entry), when_away: away_of(entry), epoch, tokens })
    }

    fn add(&self, slot: Slot, tokens: u32, epoch: u32) {
        update(&self.entries[slot.0 as usize].word, |word| {
            let (of, there) = split(word);
            match of.cmp(&epoch) {
                core::cmp::Ordering::Less => join(epoch, tokens),
                core::cmp::Ordering::Equal => join(of, there.saturating_add(tokens)),
                core::cmp::Ordering::Greater => word,
            }
        });
    }

    fn withdraw(&self, slot: Slot, tokens: u32, epoch: u32) -> u32 {
        let word = &self.entries[slot.0 as usize].word;
        let mut found = word.load();
        loop {
            let (of, there) = split(found);
            let taken = if of == epoch { there.min(tokens) } else { 0 };
            if taken == 0 {
                return 0;
            }
            match word.swap_if(found, join(of, there - taken)) {
                Ok(()) => return taken,
                Err(other) => found = other,
            }
        }
    }

    fn set_contact(&self, until: Instant) {
        self.contact_until.store(until.as_nanos());
    }
}

/// The pool of one thread: of a relay that stands alone, and of tests.
impl TokenPool for Rc<NodeTokens<PlainWord>> {
    fn open(&mut self, spec: &LimitSpec) -> Option<Opened> {
        NodeTokens::open(self, spec)
    }

    fn take(&mut self, slot: Slot, take: Take) -> Grant {
        NodeTokens::take(self, slot, take)
    }

    fn give_back(&mut self, slot: Slot, tokens: u32, epoch: u32) {
        NodeTokens::give_back(self, slot, tokens, epoch);
    }
}

/// The pool of a shard. Written for any word that threads may share; shards bring the word.
impl<W: Word + Send + Sync> TokenPool for std::sync::Arc<NodeTokens<W>> {
    fn open(&mut self, spec: &LimitSpec) -> Option<Opened> {
        NodeTokens::open(self, spec)
    }

    fn take(&mut self, slot: Slot, take: Take) -> Grant {
        NodeTokens::take(self, slot, take)
    }

    fn give_back(&mut self, slot: Slot, tokens: u32, epoch: u32) {
        NodeTokens::give_back(self, slot, tokens, epoch);
    }
}

/// The cap of a day that nobody keeps: the word is what was used of it.
fn take_counting<W: Word>(entry: &Entry<W>, cap: u32, take: Take) -> Grant {
    let held = if take.epoch == take.day { take.held } else { 0 };
    let mut taken = 0;
    update(&entry.word, |word| {
        let (of, used) = split(word);
        let used = if of == take.day { used } else { 0 };
        taken = enough(&take, held, cap.saturating_sub(used)).unwrap_or(0);
        join(take.day, used + taken)
    });
    Grant { tokens: held + taken, epoch: take.day, until: FOREVER }
}

/// How many tokens to take where `there` are; nothing when that does not make up what is needed.
fn enough(take: &Take, held: u32, there: u32) -> Option<u32> {
    let tokens = take.wanted.saturating_sub(held).min(there);
    (held + tokens >= take.need).then_some(tokens)
}

fn update<W: Word>(word: &W, mut change: impl FnMut(u64) -> u64) {
    let mut found = word.load();
    while let Err(other) = word.swap_if(found, change(found)) {
        found = other;
    }
}

/// Nanoseconds for one token, rounded up so that the rate is never exceeded.
pub(crate) fn interval_of(rate_milli: u64) -> u64 {
    1_000_000_000_000_u64.div_ceil(rate_milli)
}

fn measure_of<W: Word>(entry: &Entry<W>) -> Measure {
    let most = entry.shape.load() as u32;
    match entry.rate_milli.load() {
        0 => Measure::PerDay { cap: most },
        rate_milli => Measure::PerSecond { rate_milli, burst: most },
    }
}

fn away_of<W: Word>(entry: &Entry<W>) -> WhenAway {
    match entry.shape.load() >> 32 {
        0 => WhenAway::Closed,
        2 => WhenAway::Last,
        3 => WhenAway::Open,
        _ => WhenAway::Share,
    }
}

fn split(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

fn join(epoch: u32, tokens: u32) -> u64 {
    u64::from(epoch) << 32 | u64::from(tokens)
}

#[cfg(test)]
mod tests {
    use super::super::Scope;
    use super::*;

    const DAY: u32 = 20_000;

    fn node(nodes: u32, days_are_kept: bool) -> NodeTokens<PlainWord> {
        let holders = Holders { shards: 2, nodes };
        NodeTokens::new(NodeOptions { holders, capacity: 64, days_are_kept })
    }

    fn spec(name: &str, measure: Measure, when_away: WhenAway) -> LimitSpec {
        let scope = Scope::Vendor;
        LimitSpec { id: LimitId::of(scope, name), scope, name: name.into(), measure, when_away }
    }

    fn at(now_ms: u64, held: u32, need: u32, wanted: u32) -> Take {
        let now = Instant::from_nanos(now_ms * 1_000_000);
        Take { held, epoch: DAY, need, wanted, now, day: DAY }
    }

    #[test]
    fn without_leases_a_bucket_refills_itself() {
        let node = node(0, false);
        let measure = Measure::PerSecond { rate_milli: 2_000, burst: 4 };
        let slot = node.open(&spec("a", measure, WhenAway::Closed)).unwrap().slot;
        assert_eq!(node.take(slot, at(1000, 0, 1, 3)).tokens, 3);
        assert_eq!(node.take(slot, at(1000, 0, 2, 2)).tokens, 0, "all or nothing");
        assert_eq!(node.take(slot, at(1000, 1, 2, 2)).tokens, 2, "with what it has");
        assert_eq!(node.take(slot, at(1499, 0, 1, 1)).tokens, 0);
        assert_eq!(node.take(slot, at(1500, 0, 1, 1)).tokens, 1);
        node.give_back(slot, 1, 0);
        assert_eq!(node.take(slot, at(1500, 0, 1, 1)).tokens, 1);
        assert_eq!(node.take(slot, at(60_000, 0, 1, 9)).tokens, 4);
    }

    #[test]
    fn another_rate_keeps_what_was_taken() {
        let node = node(0, false);
        let measure = |rate_milli| Measure::PerSecond { rate_milli, burst: 4 };
        let slot = node.open(&spec("a", measure(1_000), WhenAway::Closed)).unwrap().slot;
        assert_eq!(node.take(slot, at(1000, 0, 1, 4)).tokens, 4);
        assert_eq!(node.open(&spec("a", measure(2_000), WhenAway::Closed)).unwrap().slot, slot);
        assert_eq!(node.take(slot, at(1001, 0, 1, 1)).tokens, 0);
    }

    #[test]
    fn a_day_that_nobody_keeps_is_counted_here() {
        let node = node(0, false);
        let slot = node.open(&spec("b", Measure::PerDay { cap: 5 }, WhenAway::Closed)).unwrap().slot;
        assert_eq!(node.take(slot, at(0, 0, 1, 3)).tokens, 3);
        assert_eq!(node.take(slot, at(0, 0, 3, 3)).tokens, 0);
        node.give_back(slot, 1, DAY);
        assert_eq!(node.take(slot, at(0, 0, 1, 9)).tokens, 3);
        let tomorrow = Take { day: DAY + 1, ..at(0, 2, 1, 9) };
        assert_eq!(node.take(slot, tomorrow).tokens, 5, "yesterday's are worth nothing");
    }

    #[test]
    fn leased_tokens_come_from_outside_and_the_policy_decides_without() {
        for (when_away, expected) in
            [(WhenAway::Closed, 0), (WhenAway::Share, 3), (WhenAway::Last, 3), (WhenAway::Open, 1)]
        {
            let node = node(3, true);
            let measure = Measure::PerSecond { rate_milli: 100_000, burst: 100 };
            let slot = node.open(&spec("a", measure, when_away)).unwrap().slot;
            node.set_contact(Instant::from_nanos(200_000_000));
            assert_eq!(node.take(slot, at(100, 0, 1, 3)).tokens, 0);
            let mut wanted = Vec::new();
            node.drain_wanted(&mut wanted);
            assert_eq!(wanted, [slot]);
            node.add(slot, 7, 0);
            let grant = node.take(slot, at(100, 0, 1, 3));
            assert_eq!((grant.tokens, grant.until.as_nanos()), (3, 200_000_000));
            assert_eq!(node.take(slot, at(200, 0, 1, 3)).tokens, expected, "{when_away:?}");
            let left = if expected == 3 { 1 } else { 4 };
            assert_eq!(node.view(slot).unwrap().tokens, left, "{when_away:?}");
        }
    }

    #[test]
    fn tokens_of_a_day_are_gone_with_it() {
        let node = node(3, true);
        let slot = node.open(&spec("b", Measure::PerDay { cap: 500 }, WhenAway::Closed)).unwrap().slot;
        node.add(slot, 5, DAY);
        assert_eq!(node.take(slot, at(900, 0, 1, 2)).tokens, 2);
        node.add(slot, 5, DAY - 1);
        assert_eq!(node.view(slot).unwrap().tokens, 3);
        let tomorrow = Take { day: DAY + 1, ..at(900, 2, 1, 2) };
        assert_eq!(node.take(slot, tomorrow).tokens, 0);
        assert_eq!(node.withdraw(slot, 2, DAY), 2);
        node.add(slot, 4, DAY + 1);
        assert_eq!(node.withdraw(slot, 9, DAY), 0);
        assert_eq!(node.take(slot, tomorrow).tokens, 2);
    }

    #[test]
    fn a_full_table_has_no_room() {
        let node = node(0, false);
        let specs: Vec<_> =
            (0..100).map(|n| spec(&n.to_string(), Measure::PerDay { cap: 1 }, WhenAway::Closed)).collect();
        assert_eq!(node.prime(&specs), 36);
        assert_eq!(node.prime(&specs[..64]), 0, "the first are there");
    }
}
