//! A shard's own tokens: one plain cell for each limit, filled in chunks from the node's pool.

use super::node::{LIMITS_MAX, NodeOptions, NodeTokens, PlainWord};
use super::pacific_day;
use super::pool::{Slot, Take, TokenPool};
use super::scope::Scope;
use super::spec::{Holders, Measure};
use super::table::NO_LIMIT;
use crate::refusal::Refusal;
use crate::route::CampaignId;
use crate::snapshot::Snapshot;
use smpp::time::Instant;
use std::rc::Rc;
use std::sync::Arc;

/// Limits of one message: of its customer, number, campaign and brand.
const CHARGES_MAX: usize = 4;

/// Limits that a relay without a node's pool has room for.
const OWN_CAPACITY: u32 = 1024;

/// Tokens of one limit. `tokens < chunk` between two messages, so that all shards together hold what the envelope allows
/// them.
#[derive(Clone, Copy, Debug)]
struct Cell {
    tokens: u32,
    epoch: u32,
    until: Instant,
    slot: Slot,
    chunk: u32,
    need_max: u32,
    is_open: bool,
    is_daily: bool,
    /// Something was taken since the last tick.
    is_used: bool,
    /// Among those that the tick looks at.
    is_listed: bool,
}

const UNOPENED: Cell = Cell {
    tokens: 0,
    epoch: 0,
    until: Instant::from_nanos(0),
    slot: Slot(0),
    chunk: 1,
    need_max: 0,
    is_open: false,
    is_daily: false,
    is_used: false,
    is_listed: false,
};

/// What one message costs, once all its limits have it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Charges {
    /// Place of the limit, and tokens.
    all: [(u32, u32); CHARGES_MAX],
    count: usize,
    /// The campaign of its source, found on the way.
    pub(crate) campaign: Option<CampaignId>,
}

impl Charges {
    pub(crate) const NONE: Self = Self { all: [(NO_LIMIT, 0); CHARGES_MAX], count: 0, campaign: None };

    /// One more limit that the message is under, if it is one.
    #[inline]
    pub(crate) fn add(&mut self, place: u32, tokens: u32) {
        if place != NO_LIMIT {
            self.all[self.count] = (place, tokens);
            self.count += 1;
        }
    }

    #[inline]
    fn iter(&self) -> impl Iterator<Item = (u32, u32)> + use<> {
        let Self { all, count, .. } = *self;
        (0..count).map(move |at| all[at])
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Limiter {
    pool: Box<dyn TokenPool>,
    snapshot: Arc<Snapshot>,
    /// By place in the snapshot's table.
    cells: Vec<Cell>,
    /// Cells that may hold tokens, for the tick.
    listed: Vec<u32>,
    /// The second that `day` was looked up for.
    day_of: u64,
    day: u32,
    /// Messages that passed a limit for which the node has no room.
    pub(crate) unlimited: u64,
}

/// The pool of a relay that stands alone: nobody else takes of it, and it counts days itself.
pub(crate) fn own_pool() -> Box<dyn TokenPool> {
    const { assert!(OWN_CAPACITY < LIMITS_MAX) };
    let holders = Holders { shards: 1, nodes: 0 };
    let options = NodeOptions { holders, capacity: OWN_CAPACITY, days_are_kept: false };
    Box::new(Rc::new(NodeTokens::<PlainWord>::new(options)))
}

impl Limiter {
    pub(crate) fn new(pool: Box<dyn TokenPool>, snapshot: Arc<Snapshot>) -> Self {
        let cells = vec![UNOPENED; snapshot.limit_table().specs().len()];
        Self { pool, snapshot, cells, listed: Vec::new(), day_of: 0, day: 0, unlimited: 0 }
    }

    /// Another configuration. What the cells hold goes back; each limit is opened again when it is first asked for.
    pub(crate) fn apply(&mut self, snapshot: &Arc<Snapshot>) {
        for place in core::mem::take(&mut self.listed) {
            let cell = self.cells[place as usize];
            self.pool.give_back(cell.slot, cell.tokens, cell.epoch);
        }
        self.snapshot = Arc::clone(snapshot);
        self.cells.clear();
        self.cells.resize(self.snapshot.limit_table().specs().len(), UNOPENED);
    }

    /// Notes the wall clock, for the caps of days.
    #[inline]
    pub(crate) fn set_time(&mut self, unix_seconds: u64) {
        if self.day_of != unix_seconds {
            self.day_of = unix_seconds;
            self.day = pacific_day(unix_seconds);
        }
    }

    /// Whether all limits have what the message costs. Takes nothing; with a yes, [`Limiter::take`] may follow at once,
    /// and else [`Limiter::leave`] must.
    #[inline]
    pub(crate) fn check(&mut self, now: Instant, charges: &Charges) -> Result<(), Refusal> {
        for (place, tokens) in charges.iter() {
            if !self.has(now, place, tokens) {
                let never = tokens > self.cells[place as usize].need_max;
                let scope = self.snapshot.limit_table().specs()[place as usize].scope;
                self.leave(charges);
                return Err(refusal(scope, never));
            }
        }
        Ok(())
    }

    /// Takes what was found there by [`Limiter::check`] with the same arguments.
    #[inline]
    pub(crate) fn take(&mut self, charges: &Charges) {
        for (place, tokens) in charges.iter() {
            self.spend(place, tokens);
        }
    }

    /// The message is not let in: what its cells got for it goes back, as far as no cell may keep it.
    pub(crate) fn leave(&mut self, charges: &Charges) {
        for (place, _) in charges.iter() {
            let cell = &mut self.cells[place as usize];
            if cell.tokens >= cell.chunk {
                let surplus = cell.tokens + 1 - cell.chunk;
                cell.tokens -= surplus;
                self.pool.give_back(cell.slot, surplus, cell.epoch);
            }
        }
    }

    /// Takes one token of a limit, or says that there is none.
    #[inline]
    pub(crate) fn take_one(&mut self, now: Instant, place: u32) -> bool {
        if place == NO_LIMIT {
            return true;
        }
        let has = self.has(now, place, 1);
        if has {
            self.spend(place, 1);
        }
        has
    }

    /// Cells that were not used since the last tick give back what they hold.
    pub(crate) fn tick(&mut self) {
        let mut at = 0;
        while at < self.listed.len() {
            let cell = &mut self.cells[self.listed[at] as usize];
            if core::mem::take(&mut cell.is_used) {
                at += 1;
                continue;
            }
            cell.is_listed = false;
            let tokens = core::mem::take(&mut cell.tokens);
            if tokens > 0 {
                self.pool.give_back(cell.slot, tokens, cell.epoch);
            }
            self.listed.swap_remove(at);
        }
    }

    #[inline]
    fn has(&mut self, now: Instant, place: u32, tokens: u32) -> bool {
        let cell = &self.cells[place as usize];
        let is_current = now < cell.until && (!cell.is_daily || cell.epoch == self.day);
        (is_current && cell.tokens >= tokens) || self.fill(now, place, tokens)
    }

    #[inline]
    fn spend(&mut self, place: u32, tokens: u32) {
        let cell = &mut self.cells[place as usize];
        cell.is_used = true;
        cell.tokens = cell.tokens.saturating_sub(tokens); // more than that are only missing where there is no room
    }

    /// The slow part: asks the pool.
    fn fill(&mut self, now: Instant, place: u32, need: u32) -> bool {
        if !self.cells[place as usize].is_open && !self.open(place) {
            self.unlimited += 1;
            return true;
        }
        let day = self.day;
        let cell = &mut self.cells[place as usize];
        if need > cell.need_max {
            return false;
        }
        let wanted = need.max(cell.chunk);
        let take = Take { held: cell.tokens, epoch: cell.epoch, need, wanted, now, day };
        let grant = self.pool.take(cell.slot, take);
        (cell.tokens, cell.epoch, cell.until) = (grant.tokens, grant.epoch, grant.until);
        if !cell.is_listed {
            cell.is_listed = true;
            self.listed.push(place);
        }
        grant.tokens >= need
    }

    fn open(&mut self, place: u32) -> bool {
        let spec = &self.snapshot.limit_table().specs()[place as usize];
        let Some(opened) = self.pool.open(spec) else { return false };
        self.cells[place as usize] = Cell {
            slot: opened.slot,
            chunk: opened.chunk,
            need_max: opened.need_max,
            is_open: true,
            is_daily: matches!(spec.measure, Measure::PerDay { .. }),
            ..UNOPENED
        };
        true
    }
}

/// Why a message is over a limit of that scope.
fn refusal(scope: Scope, never: bool) -> Refusal {
    match scope {
        _ if never => Refusal::SegmentsOver,
        Scope::Bind => Refusal::BindRateOver,
        Scope::Source => Refusal::NumberRateOver,
        Scope::Campaign => Refusal::CampaignRateOver,
        Scope::Brand => Refusal::BrandDayOver,
        Scope::Account | Scope::Vendor | Scope::VendorBind => Refusal::RateOver,
    }
}
