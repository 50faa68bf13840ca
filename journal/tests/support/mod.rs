//! A small owner of a journal, as the spool is one, with a model of what must hold.

use journal::simulated::{Faults, Simulated};
use journal::{Entry, Journal, OpenError, Opened, Options, Place, Position};
use std::collections::{BTreeMap, BTreeSet};

const ACCEPT: u8 = 1;
const SETTLE: u8 = 2;
const OPTIONS: Options = Options { segment_octets: 900, salt: 0x5a17 };

pub(crate) fn place() -> Place {
    Place { folder: "spool/journal".into(), mark: "spool.mark".into() }
}

/// Numbers that a seed gives.
pub(crate) struct Chance(pub u64);

impl Chance {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}

/// What was said to customers.
#[derive(Clone, Default, Debug)]
pub(crate) struct Model {
    /// Acknowledged and not settled.
    pub(crate) owed: BTreeSet<u64>,
    pub(crate) settled: BTreeSet<u64>,
    /// Answered with an error.
    pub(crate) refused: BTreeSet<u64>,
    pub(crate) last_id: u64,
}

impl Model {
    /// What must hold of entries that are there: all that is owed, nothing that was refused or made up.
    pub(crate) fn judge(&self, there: &BTreeSet<u64>, what: &str) {
        let lost: Vec<_> = self.owed.difference(there).collect();
        assert!(lost.is_empty(), "{what}: lost {lost:?}");
        let back: Vec<_> = self.refused.intersection(there).collect();
        assert!(back.is_empty(), "{what}: refused and there {back:?}");
        assert!(there.iter().all(|id| (1..=self.last_id).contains(id)), "{what}: made up");
    }

    pub(crate) fn judge_settled(&self, there: &BTreeSet<u64>, what: &str) {
        let back: Vec<_> = self.settled.intersection(there).collect();
        assert!(back.is_empty(), "{what}: settled and there {back:?}");
    }
}

/// Opens and reads what is there; then it is dropped, as by kill -9.
pub(crate) fn read(files: &Simulated) -> Result<(BTreeSet<u64>, Opened), OpenError> {
    let (owner, opened) = Owner::open(files, Model::default())?;
    Ok((owner.live.into_keys().collect(), opened))
}

pub(crate) struct Owner {
    pub(crate) journal: Journal<Simulated>,
    pub(crate) live: BTreeMap<u64, Position>,
    pub(crate) model: Model,
}

impl Owner {
    pub(crate) fn open(files: &Simulated, model: Model) -> Result<(Owner, Opened), OpenError> {
        let mut live = BTreeMap::new();
        let (mut journal, opened) = Journal::open(files.clone(), place(), OPTIONS, |entry: Entry<'_>| {
            assert!(!entry.behind_damage);
            let id = u64::from_be_bytes(entry.octets[..8].try_into().expect("an id"));
            match entry.kind {
                ACCEPT => drop(live.insert(id, entry.position)),
                _ => drop(live.remove(&id)),
            }
        })?;
        live.values().for_each(|position| journal.hold(*position));
        Ok((Owner { journal, live, model }, opened))
    }

    /// Some new messages, and some settlements, in one batch.
    pub(crate) fn turn(&mut self, accepts: u64, settles: usize, chance: &mut Chance) {
        let mut new = Vec::new();
        for _ in 0..accepts {
            self.model.last_id += 1;
            let id = self.model.last_id;
            let text = vec![b'm'; chance.below(120) as usize];
            new.push((id, self.journal.push(ACCEPT, &[&id.to_be_bytes(), &text], false)));
        }
        let nth = chance.below(self.live.len().max(1) as u64) as usize;
        let old: Vec<u64> = self.live.keys().skip(nth).take(settles).copied().collect();
        for id in old {
            self.journal.push(SETTLE, &[&id.to_be_bytes()], true);
            let position = self.live.remove(&id).expect("it is live");
            self.journal.release(position);
            if self.model.owed.remove(&id) {
                self.model.settled.insert(id);
            }
        }
        let ids = new.iter().map(|(id, _)| *id);
        match self.journal.commit(accepts > 0) {
            Ok(_) => {
                self.model.owed.extend(ids);
                for (id, position) in new {
                    self.journal.hold(position);
                    self.live.insert(id, position);
                }
            }
            Err(_) => self.model.refused.extend(ids),
        }
    }

    /// Copies what is needed of the first segment to the end.
    pub(crate) fn compact(&mut self) {
        let entries = self.journal.walk_first().expect("undamaged");
        let mut moved = Vec::new();
        for (old, kind, octets) in entries {
            let id = u64::from_be_bytes(octets[..8].try_into().expect("an id"));
            if kind == ACCEPT && self.live.get(&id) == Some(&old) {
                moved.push((id, old, self.journal.push(kind, &[&octets], false)));
            }
        }
        if self.journal.commit(true).is_ok() {
            for (id, old, new) in moved {
                self.journal.hold(new);
                self.journal.release(old);
                self.live.insert(id, new);
            }
        }
    }

    /// One thing that an owner does.
    pub(crate) fn step(&mut self, chance: &mut Chance) {
        if self.journal.has_failed() && chance.coin() {
            let _ = self.journal.recover();
        }
        match chance.below(12) {
            0..=5 => {
                let (accepts, settles) = (1 + chance.below(3), chance.below(4) as usize);
                self.turn(accepts, settles, chance);
            }
            6 | 7 => self.turn(0, 1 + chance.below(4) as usize, chance),
            8 | 9 if self.journal.octets() > 2_000 && !self.journal.has_failed() => self.compact(),
            10 => drop(self.journal.rest()),
            _ => drop(self.journal.reclaim()),
        }
    }

    pub(crate) fn live_ids(&self) -> BTreeSet<u64> {
        self.live.keys().copied().collect()
    }
}

/// A journal that was used for a while; its process is gone, by kill -9.
pub(crate) fn used(seed: u64, steps: u64) -> (Simulated, Model) {
    let files = Simulated::default();
    let (mut owner, opened) = Owner::open(&files, Model::default()).expect("a new one");
    assert!(opened.is_new);
    let mut chance = Chance(seed);
    for _ in 0..steps {
        owner.step(&mut chance);
    }
    // A last acknowledged message and settlement, so that every end has one.
    owner.turn(1, 1, &mut chance);
    (files, owner.model)
}

/// The process ends within an operation on files, somewhere in these steps: the rest of its operations fail.
pub(crate) fn interrupted(seed: u64, steps: u64) -> (Simulated, Model) {
    let files = Simulated::default();
    let (mut owner, _) = Owner::open(&files, Model::default()).expect("a new one");
    let mut chance = Chance(seed);
    let end = Some(chance.below(steps * 4) as u32);
    files.set_faults(Faults { fail_after: end, failing: u32::MAX, ..Faults::default() });
    for _ in 0..steps {
        let before = owner.model.clone();
        owner.step(&mut chance);
        if owner.journal.has_failed() {
            // Nobody was answered in the step in which it ended.
            owner.model.refused = before.refused;
            break;
        }
    }
    let model = owner.model.clone();
    drop(owner);
    files.set_faults(Faults::default());
    (files, model)
}
