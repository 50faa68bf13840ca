//! The order in which one message tries its plan's vendors: level by level, drawn by weight within a level.

use super::table::Candidate;

/// Walks a plan. Every candidate comes once; the same draw gives the same order.
#[derive(Debug)]
pub struct Chooser<'a> {
    rest: &'a [Candidate],
    visited: u32,
    draw: u64,
}

impl<'a> Chooser<'a> {
    /// A walk over `plan`; `draw` is a well-mixed number of this message.
    pub fn new(plan: &'a [Candidate], draw: u64) -> Self {
        Self { rest: plan, visited: 0, draw }
    }
}

impl Iterator for Chooser<'_> {
    /// The vendor's place in the snapshot.
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        let first = self.rest.first()?;
        let level_length = usize::from(first.level_length);
        let (level, after) = self.rest.split_at(level_length);
        if level_length == 1 {
            self.rest = after;
            return Some(first.vendor);
        }
        let chosen = pick(level, self.visited, self.draw);
        self.draw = mix(self.draw);
        self.visited |= 1 << chosen;
        if self.visited.count_ones() as usize == level_length {
            self.visited = 0;
            self.rest = after;
        }
        Some(level[chosen].vendor)
    }
}

/// Draws by weight among the candidates of a level that were not visited; at least one was not.
fn pick(level: &[Candidate], visited: u32, draw: u64) -> usize {
    let open = |index: usize| visited & (1 << index) == 0;
    let total: u64 =
        level.iter().enumerate().filter(|(at, _)| open(*at)).map(|(_, one)| u64::from(one.weight)).sum();
    let mut left = ((draw >> 32) * total) >> 32;
    let mut last = 0;
    for (index, candidate) in level.iter().enumerate().filter(|(at, _)| open(*at)) {
        last = index;
        if left < u64::from(candidate.weight) {
            break;
        }
        left -= u64::from(candidate.weight);
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
    use super::*;

    fn plan(levels: &[&[u32]]) -> Vec<Candidate> {
        let mut vendor = 0;
        let mut plan = Vec::new();
        for level in levels {
            for weight in *level {
                let level_length = level.len() as u16;
                plan.push(Candidate { vendor, level_length, weight: *weight, unknown_outcome: None });
                vendor += 1;
            }
        }
        plan
    }

    #[test]
    fn every_candidate_comes_once_and_levels_in_order() {
        let plan = plan(&[&[50, 50, 1], &[7], &[1, 9]]);
        for message in 0..1000 {
            let order: Vec<u16> = Chooser::new(&plan, mix(message)).collect();
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
        let first = (0..100_000).filter(|at| Chooser::new(&plan, mix(*at)).next() == Some(0)).count();
        assert!((74_000..76_000).contains(&first), "{first}");
    }
}
