//! Who waits for a password to be hashed, and who is next. Sources take turns, so that one that sends many binds waits for
//! itself; a source of wrong binds comes after all others. Pure: time is an argument, and nothing here waits.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Sources of wrong binds remembered, at most twice as many; some 64 octets each. A longer list is begun anew.
const SUSPECTS_MAX: usize = 65_536;
/// A source is remembered for so long after its last wrong bind at least, twice as long at most: an attack goes on.
const SUSPECT_FOR: Duration = Duration::from_secs(600);

/// For whom a bind is counted.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Source {
    /// Whoever has this address; of an IPv6 one the first 64 bits, since a site has all below them.
    Address(IpAddr),
    /// The customer with this system_id: it comes through a proxy that many customers share.
    Customer(Box<[u8]>),
}

impl Source {
    /// Of a connection from this address.
    pub(super) fn of_address(address: IpAddr) -> Self {
        const SITE: u128 = !(u64::MAX as u128);
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6((u128::from(address) & SITE).into()),
            address => address,
        })
    }
}

/// Sources that sent wrong binds of late.
struct Suspects {
    young: HashSet<Source>,
    old: HashSet<Source>,
    turned: Instant,
}

impl Suspects {
    fn holds(&self, source: &Source) -> bool {
        self.young.contains(source) || self.old.contains(source)
    }

    fn note(&mut self, now: Instant, source: Source) {
        self.turn(now);
        self.young.insert(source);
        if self.young.len() >= SUSPECTS_MAX {
            self.old = std::mem::take(&mut self.young);
            self.turned = now;
        }
    }

    fn turn(&mut self, now: Instant) {
        if now.saturating_duration_since(self.turned) >= SUSPECT_FOR {
            let is_long_ago = now.saturating_duration_since(self.turned) >= 2 * SUSPECT_FOR;
            self.old = std::mem::take(&mut self.young);
            if is_long_ago {
                self.old.clear();
            }
            self.turned = now;
        }
    }
}

/// Sources of one rank, each with its line, which take turns.
struct Round<J> {
    turns: VecDeque<Source>,
    lines: HashMap<Source, VecDeque<J>>,
}

impl<J> Round<J> {
    fn push(&mut self, source: Source, job: J) {
        if !self.lines.contains_key(&source) {
            self.turns.push_back(source.clone());
        }
        self.lines.entry(source).or_default().push_back(job);
    }

    fn pop(&mut self) -> Option<J> {
        let source = self.turns.pop_front()?;
        let line = self.lines.get_mut(&source)?;
        let job = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&source);
        } else {
            self.turns.push_back(source);
        }
        job
    }

    /// The newest of the longest line.
    fn displace(&mut self) -> Option<J> {
        // Only when all is full; which of several of one length does not matter.
        let source = self.turns.iter().max_by_key(|source| self.lines[*source].len())?.clone();
        let line = self.lines.get_mut(&source)?;
        let job = line.pop_back()?;
        if line.is_empty() {
            self.lines.remove(&source);
            self.turns.retain(|other| *other != source);
        }
        Some(job)
    }
}

/// All who wait. Never more than `max`.
pub(super) struct Queue<J> {
    /// Those without wrong binds of late, and the others.
    ranks: [Round<J>; 2],
    waiting: usize,
    max: usize,
    suspects: Suspects,
}

impl<J> Queue<J> {
    pub(super) fn new(max: usize, now: Instant) -> Self {
        let round = || Round { turns: VecDeque::new(), lines: HashMap::new() };
        let suspects = Suspects { young: HashSet::new(), old: HashSet::new(), turned: now };
        Self { ranks: [round(), round()], waiting: 0, max, suspects }
    }

    /// Puts one into the line of its source. When all is full, gives the one that has to go: the newest of the longest
    /// line, of those with wrong binds first.
    pub(super) fn push(&mut self, source: Source, job: J) -> Option<J> {
        let rank = usize::from(self.suspects.holds(&source));
        self.ranks[rank].push(source, job);
        self.waiting += 1;
        if self.waiting <= self.max {
            return None;
        }
        let displaced = self.ranks.iter_mut().rev().find_map(Round::displace);
        self.waiting -= usize::from(displaced.is_some());
        displaced
    }

    /// The next one.
    pub(super) fn pop(&mut self) -> Option<J> {
        let job = self.ranks.iter_mut().find_map(Round::pop)?;
        self.waiting -= 1;
        Some(job)
    }

    /// A bind of this source was wrong.
    pub(super) fn blame(&mut self, now: Instant, source: Source) {
        self.suspects.note(now, source);
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(last: u8) -> Source {
        Source::of_address(IpAddr::from([127, 0, 0, last]))
    }

    fn all(queue: &mut Queue<u32>) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn sources_take_turns() {
        let mut queue = Queue::new(100, Instant::now());
        for job in 0..5 {
            assert_eq!(queue.push(source(1), job), None);
        }
        queue.push(source(2), 10);
        queue.push(source(3), 20);
        queue.push(source(2), 11);
        assert_eq!(queue.len(), 8);
        assert_eq!(all(&mut queue), [0, 10, 20, 1, 11, 2, 3, 4]);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn sources_of_wrong_binds_come_last_for_a_while() {
        let now = Instant::now();
        let mut queue = Queue::new(100, now);
        queue.blame(now, source(1));
        queue.push(source(1), 1);
        queue.push(source(2), 2);
        assert_eq!(all(&mut queue), [2, 1]);
        let check = |queue: &mut Queue<u32>, later: u64, expected: [u32; 2]| {
            queue.blame(now + Duration::from_secs(later), source(9));
            queue.push(source(1), 1);
            queue.push(source(2), 2);
            assert_eq!(all(queue), expected, "after {later} s");
        };
        check(&mut queue, 599, [2, 1]);
        check(&mut queue, 600, [2, 1]);
        check(&mut queue, 1_200, [1, 2]);
    }

    #[test]
    fn the_longest_line_gives_way() {
        let now = Instant::now();
        let mut queue = Queue::new(3, now);
        for job in 0..3 {
            queue.push(source(1), job);
        }
        assert_eq!(queue.push(source(2), 10), Some(2), "the newest of the longest");
        assert_eq!(queue.push(source(1), 3), Some(3), "its own");
        queue.blame(now, source(3));
        assert_eq!(queue.push(source(3), 30), Some(30), "no line is shorter than that of a wrong bind");
        assert_eq!(all(&mut queue), [0, 10, 1]);
        queue.push(source(3), 30);
        queue.push(source(1), 0);
        queue.push(source(1), 1);
        assert_eq!(queue.push(source(2), 10), Some(30));
        assert_eq!(all(&mut queue), [0, 10, 1]);
    }

    #[test]
    fn a_site_is_one_source() {
        let of = |text: &str| Source::of_address(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::2:3:4:5"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:203.0.113.7"), of("203.0.113.7"));
        assert_ne!(of("203.0.113.7"), of("203.0.113.8"));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let now = Instant::now();
        let mut queue: Queue<u32> = Queue::new(3, now);
        for number in 0..3 * SUSPECTS_MAX as u32 {
            queue.blame(now, Source::of_address(IpAddr::from(number.to_be_bytes())));
        }
        let suspects = &queue.suspects;
        assert!(suspects.young.len() + suspects.old.len() <= 2 * SUSPECTS_MAX);
        assert!(
            suspects.holds(&Source::of_address(IpAddr::from((3 * SUSPECTS_MAX as u32 - 1).to_be_bytes())))
        );
    }
}
