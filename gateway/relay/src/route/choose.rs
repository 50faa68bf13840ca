//! The order in which one message tries its plan's vendors: level by level, drawn by weight and health within a level;
//! those that are ill come last, and the least ill of them most often first.

use super::table::Candidate;

/// The health of a vendor that nothing is known against, in parts of a weight.
pub(crate) const HEALTH_FULL: u8 = 64;
const HEALTH_BITS: u32 = 6;
const _: () = assert!(HEALTH_FULL as u32 == 1 << HEALTH_BITS);

/// What a vendor is worth to one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// It may be tried; 1..=[`HEALTH_FULL`] parts of its weight count.
    Fit(u8),
    /// Its circuit is open: only when no other vendor is there.
    Open(u8),
    /// It cannot take this message.
    Unfit,
}

impl Standing {
    /// The less of two.
    pub(crate) fn worse(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unfit, _) | (_, Self::Unfit) => Self::Unfit,
            (Self::Open(one), Self::Open(other) | Self::Fit(other)) | (Self::Fit(one), Self::Open(other)) => {
                Self::Open(one.min(other))
            }
            (Self::Fit(one), Self::Fit(other)) => Self::Fit(one.min(other)),
        }
    }
}

/// One candidate in the order of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pick {
    /// Its place in the plan.
    pub(crate) place: usize,
    /// The vendor's place in the snapshot.
    pub(crate) vendor: u16,
    /// It is ill: better wait for one that came before than try it.
    pub(crate) is_last_resort: bool,
}

/// Walks a plan. Every candidate that can take the message comes once; the same draw and standings give the same order.
#[derive(Debug)]
pub(crate) struct Chooser<'a> {
    plan: &'a [Candidate],
    /// Where the level begins.
    at: usize,
    /// Members of the level that are done, as bits.
    visited: u32,
    /// The level was looked at, and some of it may be tried.
    is_entered: bool,
    /// Candidates of the plan that are left for the end, as bits.
    deferred: u32,
    draw: u64,
}

impl<'a> Chooser<'a> {
    /// A walk over `plan`; `draw` is a well-mixed number of this message.
    pub(crate) fn new(plan: &'a [Candidate], draw: u64) -> Self {
        Self { plan, at: 0, visited: 0, is_entered: false, deferred: 0, draw }
    }

    /// The next one. `standing` says what each candidate is worth now.
    #[inline]
    pub(crate) fn next(&mut self, standing: impl Fn(&Candidate) -> Standing) -> Option<Pick> {
        loop {
            let Some(first) = self.plan.get(self.at) else {
                return if self.deferred == 0 { None } else { self.next_deferred(standing) };
            };
            let length = usize::from(first.level_length);
            let well = Standing::Fit(HEALTH_FULL);
            if length == 1 && standing(first) == well {
                let place = self.at;
                self.at += 1;
                return Some(Pick { place, vendor: first.vendor, is_last_resort: false });
            }
            if !self.is_entered && !self.enter(length, &standing) {
                self.at += length;
                continue;
            }
            let level = &self.plan[self.at..self.at + length];
            let part_of = |candidate: &Candidate| match standing(candidate) {
                Standing::Fit(health) => u64::from(candidate.weight) * u64::from(health),
                Standing::Open(_) | Standing::Unfit => 0,
            };
            let open = level.iter().enumerate().filter(|(index, _)| self.visited & 1 << index == 0);
            let chosen = pick(open.map(|(index, candidate)| (index, part_of(candidate))), self.draw);
            let place = self.at + chosen.unwrap_or(0); // an entered level has a member that was not visited
            self.draw = mix(self.draw);
            self.visited |= 1 << (place - self.at);
            if self.visited.trailing_ones() as usize >= length {
                self.is_entered = false;
                self.at += length;
            }
            return Some(Pick { place, vendor: self.plan[place].vendor, is_last_resort: false });
        }
    }

    /// Sorts a level's members: those out of the question, those for the end, the rest. False when nobody is left.
    fn enter(&mut self, length: usize, standing: &impl Fn(&Candidate) -> Standing) -> bool {
        let (mut fit, mut best) = (0_u32, 0);
        for (index, candidate) in self.plan[self.at..self.at + length].iter().enumerate() {
            match standing(candidate) {
                Standing::Fit(health) => {
                    fit |= 1 << index;
                    best = best.max(health);
                }
                Standing::Open(_) => self.deferred |= 1 << (self.at + index),
                Standing::Unfit => {}
            }
        }
        if fit != 0 && best < HEALTH_FULL {
            // A level without a well vendor keeps the part of its messages that its best one is worth.
            let roll = (self.draw >> (u64::BITS - HEALTH_BITS)) as u8;
            self.draw = mix(self.draw);
            if roll >= best {
                self.deferred |= fit << self.at;
                fit = 0;
            }
        }
        self.visited = !fit;
        self.is_entered = fit != 0;
        self.is_entered
    }

    /// The ill ones: those that may be tried, then those whose circuit is open, whatever their priority.
    fn next_deferred(&mut self, standing: impl Fn(&Candidate) -> Standing) -> Option<Pick> {
        let part_of = |place: usize, open: bool| {
            let candidate = &self.plan[place];
            match standing(candidate) {
                Standing::Fit(health) if !open => Some(u64::from(candidate.weight) * u64::from(health)),
                Standing::Open(health) if open => {
                    Some(u64::from(candidate.weight) * u64::from(health.max(1)))
                }
                _ => None,
            }
        };
        let deferred = self.deferred;
        let places = || (0..self.plan.len()).filter(|place| deferred & 1 << place != 0);
        let found = [false, true].into_iter().find_map(|open| {
            pick(places().filter_map(|place| Some((place, part_of(place, open)?))), self.draw)
        });
        let Some(place) = found else {
            self.deferred = 0;
            return None;
        };
        self.draw = mix(self.draw);
        self.deferred &= !(1 << place);
        Some(Pick { place, vendor: self.plan[place].vendor, is_last_resort: true })
    }
}

/// Draws one by its part of the whole; nothing when there is none. Parts sum up to less than 2^32.
fn pick(parts: impl Iterator<Item = (usize, u64)> + Clone, draw: u64) -> Option<usize> {
    let total: u64 = parts.clone().map(|(_, part)| part).sum();
    let mut left = ((draw >> 32) * total) >> 32;
    let mut last = None;
    for (index, part) in parts {
        last = Some(index);
        if left < part {
            break;
        }
        left -= part;
    }
    last
}

/// SplitMix64's finaliser: from a counter to a number in which every bit depends on every bit.
pub(crate) const fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::super::test_plan;
    use super::*;

    /// The whole walk; `ill` are vendors and what they are worth.
    fn order(plan: &[Candidate], draw: u64, ill: &[(u16, Standing)]) -> Vec<u16> {
        let standing = |candidate: &Candidate| {
            let found = ill.iter().find(|(vendor, _)| *vendor == candidate.vendor);
            found.map_or(Standing::Fit(HEALTH_FULL), |(_, standing)| *standing)
        };
        walk(plan, draw, standing).iter().map(|pick| pick.vendor).collect()
    }

    fn walk(plan: &[Candidate], draw: u64, standing: impl Fn(&Candidate) -> Standing) -> Vec<Pick> {
        let mut chooser = Chooser::new(plan, draw);
        std::iter::from_fn(|| chooser.next(&standing)).collect()
    }

    /// How many of 6,400 messages begin with each vendor.
    fn shares(plan: &[Candidate], ill: &[(u16, Standing)]) -> Vec<usize> {
        let mut first = vec![0; plan.len()];
        (0..6_400).for_each(|message| first[usize::from(order(plan, mix(message), ill)[0])] += 1);
        first
    }

    /// Vendors are numbered through.
    fn plan(levels: &[&[u32]]) -> Vec<Candidate> {
        let mut vendors = 0..;
        let levels: Vec<Vec<(u16, u32)>> =
            levels.iter().map(|level| vendors.by_ref().zip(level.iter().copied()).collect()).collect();
        test_plan(&levels.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    #[test]
    fn every_candidate_comes_once_and_levels_in_order() {
        let plan = plan(&[&[50, 50, 1], &[7], &[1, 9]]);
        for message in 0..1000 {
            let order: Vec<u16> = order(&plan, mix(message), &[]);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5]);
            assert!(order[..3].iter().all(|vendor| *vendor < 3));
            assert_eq!(order[3], 3);
        }
    }

    #[test]
    fn shares_follow_weights() {
        let plan = plan(&[&[75, 25]]);
        let first = (0..100_000).filter(|at| order(&plan, mix(*at), &[])[0] == 0).count();
        assert!((74_000..76_000).contains(&first), "{first}");
    }

    #[test]
    fn health_is_a_part_of_the_weight_and_of_the_priority() {
        use Standing::{Fit, Open, Unfit};
        let check = |levels: &[&[u32]], ill: &[(u16, Standing)], expected: &[usize]| {
            let found = shares(&plan(levels), ill);
            let near = |(found, expected): (&usize, &usize)| found.abs_diff(*expected) <= 150;
            assert!(found.iter().zip(expected).all(near), "{found:?}, expected {expected:?} of {ill:?}");
        };
        check(&[&[50, 50]], &[(0, Fit(16))], &[1280, 5120]);
        check(&[&[50, 50]], &[(0, Fit(1))], &[98, 6302]);
        check(&[&[50, 50]], &[(0, Fit(8)), (1, Fit(8))], &[3200, 3200]);
        check(&[&[1], &[1]], &[(0, Fit(16))], &[1600, 4800]);
        check(&[&[1], &[1]], &[(0, Fit(1)), (1, Fit(1))], &[3200, 3200]);
        check(&[&[1], &[1]], &[(0, Fit(1)), (1, Fit(32))], &[150, 6250]);
        check(&[&[1], &[1]], &[(0, Open(1))], &[0, 6400]);
        check(&[&[1, 1], &[1]], &[(0, Open(1)), (1, Open(1)), (2, Fit(1))], &[0, 0, 6400]);
        check(&[&[1, 3]], &[(0, Open(1)), (1, Open(1))], &[1600, 4800]);
        check(&[&[1, 1], &[1]], &[(0, Unfit)], &[0, 6400, 0]);
    }

    #[test]
    fn the_ill_come_last_and_the_unfit_never() {
        use Standing::{Fit, Open, Unfit};
        let plan = plan(&[&[5, 5, 5], &[5]]);
        let walk_with = |ill: &[(u16, Standing)]| {
            let standing = |candidate: &Candidate| {
                let found = ill.iter().find(|(vendor, _)| *vendor == candidate.vendor);
                found.map_or(Fit(HEALTH_FULL), |(_, standing)| *standing)
            };
            walk(&plan, 7, standing)
        };
        let found = walk_with(&[(0, Open(1)), (1, Unfit)]);
        let found: Vec<_> = found.iter().map(|pick| (pick.vendor, pick.is_last_resort)).collect();
        assert_eq!(found, [(2, false), (3, false), (0, true)]);
        assert_eq!(walk_with(&[0, 1, 2, 3].map(|vendor| (vendor, Unfit))), []);
        let mut all: Vec<u16> =
            walk_with(&[0, 1, 2, 3].map(|vendor| (vendor, Open(1)))).iter().map(|pick| pick.vendor).collect();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3]);
    }
}
