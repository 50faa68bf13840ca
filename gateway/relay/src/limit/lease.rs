//! What a node asks of those who keep the tokens of all nodes, and what it does while they are away. Pure: whoever runs
//! it carries the questions to Redis, or to the disk where there is only one node.
//!
//! Every ten milliseconds or later: [`Leases::look`], then, if there is a way to ask, [`Leases::asks`], then
//! [`Leases::answered`] or [`Leases::failed`]. An exchange without questions tells that there is contact all the same.

use super::node::{LEASE_LIFE, TokenBook, TokenView, interval_of};
use super::pool::Slot;
use super::spec::{DAY_LEASE_MIN, LimitId, Measure, WhenAway};
use core::time::Duration;
use smpp::time::Instant;
use std::collections::{BTreeMap, VecDeque};

/// Questions of one exchange at most; the rest waits for the next.
pub const ASKS_MAX: usize = 256;
/// When a limit of which nothing was left is asked for again: a day's cap is used up, or another node gives back.
const DAY_ASK_AGAIN: Duration = Duration::from_secs(1);
/// What is left of a day's lease goes back when nothing was taken of it for so long.
const DAY_IDLE: Duration = Duration::from_secs(5);
/// A share of all, in millionths.
const WHOLE_PPM: u64 = 1_000_000;

/// One question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ask {
    /// Where the tokens shall go.
    pub slot: Slot,
    /// Of which limit.
    pub id: LimitId,
    /// How it is counted.
    pub kind: AskKind,
    /// Tokens wanted.
    pub wanted: u32,
    /// Tokens given back, of a day.
    pub back: u32,
    /// This node went by a share meanwhile: what the bucket holds may have been spent.
    pub empty_first: bool,
}

/// How the tokens of a question are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AskKind {
    /// By a bucket.
    Rate {
        /// Thousandths of a token in a second.
        rate_milli: u64,
        /// What it holds when it is full.
        bucket: u32,
    },
    /// By a sum.
    Day {
        /// At most so many.
        cap: u32,
        /// Days of Los Angeles since 1970.
        day: u32,
    },
}

/// The answer to one question.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Answer {
    /// Tokens, taken from all nodes' before they were granted.
    pub granted: u32,
    /// When the next token will be there; zero when some are left.
    pub retry_after: Duration,
    /// What this node got of all that was granted lately, millionths; 0 = not known.
    pub share_ppm: u32,
    /// What is left of a day's cap.
    pub left: u32,
}

/// What was done, for metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LeaseCounters {
    /// Exchanges that were answered.
    pub exchanges: u64,
    /// Exchanges that were not.
    pub failures: u64,
    /// Questions answered.
    pub asks: u64,
    /// Tokens granted.
    pub tokens: u64,
    /// Times that the leases lapsed.
    pub lapses: u64,
    /// Limits known to the node, not counting those that nobody used.
    pub limits: u64,
    /// Of those, now without a lease.
    pub on_fallback: u64,
}

#[derive(Clone, Copy, Debug)]
struct State {
    is_pending: bool,
    ask_at: Instant,
    /// How often leases had lapsed when it was last answered.
    lapses: u64,
    share_ppm: u32,
    /// Up to when its share was taken since leases lapsed.
    shared_until: Option<Instant>,
    day_left: u32,
    used_at: Instant,
    is_daily: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Leases {
    states: BTreeMap<u32, State>,
    /// Limits whose pool is not full.
    pending: VecDeque<Slot>,
    /// Working space.
    drained: Vec<Slot>,
    contact_until: Instant,
    lapsed_at: Option<Instant>,
    day: u32,
    idle_looked_at: Instant,
    counters: LeaseCounters,
}

impl Leases {
    /// A node that has just started: it holds nothing, and has the life of a lease to find those who grant.
    pub fn new(now: Instant, book: &dyn TokenBook) -> Self {
        let contact_until = now + LEASE_LIFE;
        book.set_contact(contact_until);
        Self {
            states: BTreeMap::new(),
            pending: VecDeque::new(),
            drained: Vec::new(),
            contact_until,
            lapsed_at: None,
            day: 0,
            idle_looked_at: now,
            counters: LeaseCounters::default(),
        }
    }

    /// Notes what shards used, finds out whether leases have lapsed, and then takes this node's shares.
    pub fn look(&mut self, now: Instant, day: u32, book: &dyn TokenBook) {
        self.day = day;
        let mut drained = core::mem::take(&mut self.drained);
        book.drain_wanted(&mut drained);
        for slot in drained.drain(..) {
            let state = self.states.entry(slot.0).or_insert_with(|| new_state(now, book, slot));
            state.used_at = now;
            if !state.is_pending {
                state.is_pending = true;
                self.pending.push_back(slot);
            }
        }
        self.drained = drained;
        if book.holders().nodes > 0 && now >= self.contact_until && self.lapsed_at.is_none() {
            self.lapsed_at = Some(self.contact_until);
            self.counters.lapses += 1;
        }
        if let Some(lapsed_at) = self.lapsed_at {
            self.take_shares(now, lapsed_at, book);
        }
    }

    /// The next questions, at most [`ASKS_MAX`]. Each must be answered or failed before the next are asked for.
    pub fn asks(&mut self, now: Instant, book: &dyn TokenBook, out: &mut Vec<Ask>) {
        for _ in 0..self.pending.len() {
            if out.len() >= ASKS_MAX {
                return;
            }
            let Some(slot) = self.pending.pop_front() else { return };
            let Some(state) = self.states.get_mut(&slot.0) else { continue };
            if state.ask_at > now {
                self.pending.push_back(slot);
                continue;
            }
            let ask = book.view(slot).and_then(|view| ask(slot, &view, state, book, self.day));
            match ask {
                Some(ask) => {
                    let empty_first = state.lapses != self.counters.lapses && ask.is_by_bucket();
                    out.push(Ask { empty_first, ..ask });
                }
                None => state.is_pending = false,
            }
        }
        self.give_back_idle(now, book, out);
    }

    /// The answers to the questions that were sent at `sent_at`, in their order.
    pub fn answered(&mut self, sent_at: Instant, asks: &[Ask], answers: &[Answer], book: &dyn TokenBook) {
        debug_assert_eq!(asks.len(), answers.len());
        for (ask, answer) in asks.iter().zip(answers) {
            self.take_in(sent_at, ask, answer, book);
        }
        self.counters.exchanges += 1;
        if self.lapsed_at.take().is_some() {
            for state in self.states.values_mut() {
                state.shared_until = None;
            }
        }
        self.contact_until = self.contact_until.max(sent_at + LEASE_LIFE);
        book.set_contact(self.contact_until);
    }

    /// Nobody answered: what may have been granted is lost, as is what was given back.
    pub fn failed(&mut self, asks: &[Ask]) {
        self.counters.failures += 1;
        for ask in asks.iter().filter(|ask| ask.wanted > 0) {
            self.pending.push_back(ask.slot);
        }
    }

    /// Everything that is held of days, to be given back at the end.
    pub fn give_back_days(&mut self, book: &dyn TokenBook, out: &mut Vec<Ask>) {
        let daily = self.states.iter().filter(|(_, state)| state.is_daily);
        for (slot, _) in daily {
            give_back(Slot(*slot), self.day, book, out);
        }
    }

    /// How old the newest lease is.
    pub fn age(&self, now: Instant) -> Duration {
        (now + LEASE_LIFE).saturating_since(self.contact_until)
    }

    /// What was done so far, with the gauges of now.
    pub fn counters(&self) -> LeaseCounters {
        let limits = self.states.len() as u64;
        let rates = || self.states.values().filter(|state| !state.is_daily).count() as u64;
        let on_fallback = if self.lapsed_at.is_some() { rates() } else { 0 };
        LeaseCounters { limits, on_fallback, ..self.counters }
    }

    fn take_in(&mut self, now: Instant, ask: &Ask, answer: &Answer, book: &dyn TokenBook) {
        let Some(state) = self.states.get_mut(&ask.slot.0) else { return };
        self.counters.asks += 1;
        self.counters.tokens += u64::from(answer.granted);
        state.lapses = self.counters.lapses;
        state.day_left = answer.left;
        if answer.share_ppm > 0 {
            state.share_ppm = answer.share_ppm;
        }
        let epoch = match ask.kind {
            AskKind::Rate { .. } => 0,
            AskKind::Day { day, .. } => day,
        };
        book.add(ask.slot, answer.granted, epoch);
        if ask.wanted == 0 {
            return; // it only gave back, and was not among those that wait
        }
        let again_after =
            if state.is_daily && answer.granted == 0 { DAY_ASK_AGAIN } else { answer.retry_after };
        state.ask_at = now + again_after;
        state.is_pending = answer.granted < ask.wanted;
        if state.is_pending {
            self.pending.push_back(ask.slot);
        }
    }

    /// Without contact: what time has brought of this node's share of each limit that is used.
    fn take_shares(&mut self, now: Instant, lapsed_at: Instant, book: &dyn TokenBook) {
        let nodes = u64::from(book.holders().nodes.max(1));
        for slot in &self.pending {
            let (Some(view), Some(state)) = (book.view(*slot), self.states.get_mut(&slot.0)) else {
                continue;
            };
            let Measure::PerSecond { rate_milli, .. } = view.measure else { continue };
            let share_milli = match view.when_away {
                WhenAway::Share => rate_milli / nodes,
                WhenAway::Last if state.share_ppm > 0 => {
                    (u128::from(rate_milli) * u128::from(state.share_ppm) / u128::from(WHOLE_PPM)) as u64
                }
                WhenAway::Last => rate_milli / nodes,
                WhenAway::Closed | WhenAway::Open => 0,
            };
            if share_milli == 0 {
                continue;
            }
            let interval = interval_of(share_milli);
            let from = state.shared_until.unwrap_or(lapsed_at);
            let come = now.as_nanos().saturating_sub(from.as_nanos()) / interval;
            let pool = view.measure.sizes(book.holders()).pool;
            let room = u64::from(pool.saturating_sub(view.tokens));
            book.add(*slot, come.min(room) as u32, 0);
            let until =
                if come > room { now } else { Instant::from_nanos(from.as_nanos() + come * interval) };
            state.shared_until = Some(until);
        }
    }

    fn give_back_idle(&mut self, now: Instant, book: &dyn TokenBook, out: &mut Vec<Ask>) {
        if now < self.idle_looked_at + DAY_ASK_AGAIN {
            return;
        }
        self.idle_looked_at = now;
        for (slot, state) in &self.states {
            let is_idle = state.is_daily && !state.is_pending && now >= state.used_at + DAY_IDLE;
            if is_idle && out.len() < ASKS_MAX {
                give_back(Slot(*slot), self.day, book, out);
            }
        }
    }
}

impl Ask {
    fn is_by_bucket(&self) -> bool {
        matches!(self.kind, AskKind::Rate { .. })
    }
}

fn new_state(now: Instant, book: &dyn TokenBook, slot: Slot) -> State {
    let is_daily = book.view(slot).is_some_and(|view| matches!(view.measure, Measure::PerDay { .. }));
    State {
        is_pending: false,
        ask_at: now,
        lapses: 0,
        share_ppm: 0,
        shared_until: None,
        day_left: u32::MAX,
        used_at: now,
        is_daily,
    }
}

/// What to ask for one limit; nothing when its pool is full.
fn ask(slot: Slot, view: &TokenView, state: &State, book: &dyn TokenBook, day: u32) -> Option<Ask> {
    let sizes = view.measure.sizes(book.holders());
    let (kind, wanted) = match view.measure {
        Measure::PerSecond { rate_milli, .. } => {
            let wanted = sizes.pool.saturating_sub(view.tokens);
            (AskKind::Rate { rate_milli, bucket: sizes.bucket }, wanted)
        }
        Measure::PerDay { cap } => {
            let is_today = view.epoch == day;
            let (there, left) = if is_today { (view.tokens, state.day_left) } else { (0, u32::MAX) };
            // Towards the end nodes hold less and less, so that none has what another one lacks.
            let least = DAY_LEASE_MIN.min(sizes.pool);
            let lease = sizes.pool.min((left / (4 * book.holders().nodes.max(1))).max(least));
            let wanted = if there > lease / 2 { 0 } else { lease - there };
            (AskKind::Day { cap, day }, wanted)
        }
    };
    (wanted > 0).then_some(Ask { slot, id: view.id, kind, wanted, back: 0, empty_first: false })
}

fn give_back(slot: Slot, day: u32, book: &dyn TokenBook, out: &mut Vec<Ask>) {
    let Some(view) = book.view(slot) else { return };
    let Measure::PerDay { cap } = view.measure else { return };
    let back = book.withdraw(slot, view.tokens, day);
    if back > 0 {
        let kind = AskKind::Day { cap, day };
        out.push(Ask { slot, id: view.id, kind, wanted: 0, back, empty_first: false });
    }
}
