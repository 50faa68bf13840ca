//! Damaged, torn and lost files: what was acknowledged is there, or the opening refuses.

mod support;

use journal::simulated::{Faults, Simulated};
use journal::{MarkState, OpenError, Options, salvage};
use std::collections::BTreeSet;
use support::{Chance, Model, Owner, interrupted, place, read, used};

/// Opens what was damaged: all that is owed is there, or it refuses. True when it refused.
fn there_or_refused(files: &Simulated, model: &Model, what: &str) -> bool {
    match read(files) {
        Ok((there, _)) => {
            model.judge(&there, what);
            false
        }
        Err(OpenError::Damaged(_) | OpenError::Version { .. }) => true,
        Err(error) => panic!("{what}: {error}"),
    }
}

#[test]
fn undamaged_all_is_there_and_nothing_else() {
    for seed in 0..50 {
        let (files, model) = used(seed, 80);
        let (there, opened) = read(&files).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        model.judge(&there, &format!("seed {seed}"));
        model.judge_settled(&there, &format!("seed {seed}"));
        assert_eq!((opened.cut, opened.is_new), (None, false));
    }
}

#[test]
fn each_flipped_bit_is_harmless_or_refused() {
    for seed in 0..3 {
        let (files, model) = used(seed, 60);
        let mut refused = BTreeSet::new();
        for (path, octets) in files.dump() {
            for bit in 0..octets.len() * 8 {
                let damaged = files.copy();
                let mut octets = octets.clone();
                octets[bit / 8] ^= 1 << (bit % 8);
                damaged.set(&path, octets);
                if there_or_refused(&damaged, &model, &format!("seed {seed}, {path}, bit {bit}")) {
                    refused.insert(path.clone());
                }
            }
        }
        assert!(refused.len() >= 2, "the test damages something: {refused:?}");
    }
}

#[test]
fn each_cut_and_lost_file_is_harmless_or_refused() {
    for seed in 0..10 {
        let (files, model) = used(seed, 60);
        let mut refused = 0;
        for (path, octets) in files.dump() {
            let what = format!("seed {seed}, without {path}");
            let damaged = files.copy();
            damaged.lose(&path);
            let lost = there_or_refused(&damaged, &model, &what);
            assert!(lost || !path.ends_with(".journal"), "{what}");
            for length in 0..octets.len() {
                let damaged = files.copy();
                damaged.set(&path, octets[..length].to_vec());
                let what = format!("seed {seed}, {path} cut to {length}");
                refused += u32::from(there_or_refused(&damaged, &model, &what));
            }
        }
        assert!(refused > 100, "the test damages something");
        files.lose("spool/");
        let Err(OpenError::Damaged(damage)) = read(&files) else { panic!("a lost folder") };
        assert_eq!(damage.path, "spool/journal");
    }
}

#[test]
fn a_mark_that_is_gone_or_spoilt_is_told_and_made_anew() {
    let (files, model) = used(1, 60);
    files.lose("spool.mark");
    let (there, opened) = read(&files).expect("the journal is whole");
    model.judge(&there, "no mark");
    assert_eq!(opened.mark, MarkState::Missing);
    files.set("spool.mark", b"nonsense".to_vec());
    assert_eq!(read(&files).expect("whole").1.mark, MarkState::Unreadable);
    assert!(matches!(read(&files).expect("whole").1.mark, MarkState::Synced(_)));
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let mut cuts = 0;
    for seed in 0..3_000 {
        let (files, model) = if seed % 2 == 0 { used(seed, seed % 90) } else { interrupted(seed, 60) };
        let mut chance = Chance(seed ^ 0xdead);
        files.cut_power(|| chance.coin());
        let what = format!("seed {seed}");
        let mut model = model;
        // It goes on, and is killed, more than once.
        for life in 0..3 {
            let (mut owner, opened) =
                Owner::open(&files, model).unwrap_or_else(|error| panic!("{what}, life {life}: {error}"));
            owner.model.judge(&owner.live_ids(), &what);
            cuts += u32::from(opened.cut.is_some());
            // What came back after the cut is there for good now.
            let back: Vec<u64> = owner.live_ids().into_iter().collect();
            owner.model.settled.retain(|id| !back.contains(id));
            for _ in 0..6 {
                owner.step(&mut chance);
            }
            model = owner.model;
        }
    }
    assert!(cuts > 100, "torn ends were met: {cuts}");
}

#[test]
fn a_flipped_bit_after_a_power_cut_at_rest_is_harmless_or_refused() {
    for seed in 0..20 {
        let files = Simulated::default();
        let (mut owner, _) = Owner::open(&files, Model::default()).expect("a new one");
        let mut chance = Chance(seed);
        for _ in 0..40 {
            owner.step(&mut chance);
        }
        owner.journal.rest().expect("no fault");
        let model = owner.model.clone();
        drop(owner);
        files.cut_power(|| chance.coin());
        for (path, octets) in files.dump() {
            for _ in 0..200.min(octets.len()) {
                let bit = chance.below(octets.len() as u64 * 8) as usize;
                let damaged = files.copy();
                let mut octets = octets.clone();
                octets[bit / 8] ^= 1 << (bit % 8);
                damaged.set(&path, octets);
                there_or_refused(&damaged, &model, &format!("seed {seed}, {path}, bit {bit}"));
            }
        }
    }
}

/// Faults of the files that pass: it goes on without being opened anew.
#[test]
fn faults_that_pass_lose_nothing_and_bring_nothing_back() {
    let (mut recoveries, mut refusals) = (0, 0);
    for seed in 0..2_000 {
        let files = Simulated::default();
        let (mut owner, _) = Owner::open(&files, Model::default()).expect("a new one");
        let mut chance = Chance(seed);
        for _ in 0..4 {
            let fail_after = Some(chance.below(40) as u32);
            let (failing, fails_late) = (1 + chance.below(6) as u32, chance.coin());
            files.set_faults(Faults { fail_after, failing, fails_late, octets_max: 0 });
            for _ in 0..25 {
                owner.step(&mut chance);
            }
            files.set_faults(Faults::default());
            recoveries += u32::from(owner.journal.has_failed());
            owner.journal.recover().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            let refused = owner.model.refused.len();
            owner.turn(1, 0, &mut chance);
            assert_eq!(owner.model.refused.len(), refused, "seed {seed}: it works again");
        }
        refusals += owner.model.refused.len();
        let model = owner.model.clone();
        drop(owner);
        let what = format!("seed {seed}");
        let (there, _) = read(&files.copy()).unwrap_or_else(|error| panic!("{what}: {error}"));
        model.judge(&there, &what);
        model.judge_settled(&there, &what);
        files.cut_power(|| chance.coin());
        let (there, _) = read(&files).unwrap_or_else(|error| panic!("{what}, power cut: {error}"));
        model.judge(&there, &what);
    }
    assert!(recoveries > 50 && refusals > 1_000, "{recoveries} recoveries, {refusals} refusals");
}

#[test]
fn a_full_disk_that_has_room_again_goes_on() {
    for seed in 0..300 {
        let files = Simulated::default();
        let (mut owner, _) = Owner::open(&files, Model::default()).expect("a new one");
        let mut chance = Chance(seed);
        let octets_max = 2_000 + chance.below(4_000) as usize;
        files.set_faults(Faults { octets_max, ..Faults::default() });
        let mut steps = 0;
        while owner.model.refused.is_empty() {
            owner.turn(2, 0, &mut chance);
            steps += 1;
            assert!(steps < 1_000, "it becomes full");
        }
        for _ in 0..10 {
            owner.step(&mut chance);
        }
        files.set_faults(Faults::default());
        owner.journal.recover().expect("there is room");
        owner.turn(3, 0, &mut chance);
        let what = format!("seed {seed}");
        assert!(!owner.model.refused.contains(&owner.model.last_id), "{what}");
        let model = owner.model.clone();
        drop(owner);
        let (there, _) = read(&files).unwrap_or_else(|error| panic!("{what}: {error}"));
        model.judge(&there, &what);
        model.judge_settled(&there, &what);
    }
}

/// A batch is torn, and a whole one lies behind it, neither of them synced.
#[test]
fn whole_batches_behind_a_torn_one_are_cut_and_kept_aside() {
    let files = Simulated::default();
    let (mut owner, _) = Owner::open(&files, Model::default()).expect("a new one");
    let mut chance = Chance(7);
    owner.turn(4, 0, &mut chance);
    owner.journal.rest().expect("no fault");
    let path = "spool/journal/00000001.journal";
    let synced = files.dump()[path].len();
    owner.turn(0, 2, &mut chance);
    owner.turn(0, 2, &mut chance);
    drop(owner);
    let mut octets = files.dump()[path].clone();
    let lost = octets.len() - synced;
    octets[synced + 60] ^= 1;
    files.set(path, octets.clone());
    let (there, opened) = read(&files).expect("nothing that was synced is damaged");
    assert_eq!(there.len(), 4, "settlements are lost, messages are not");
    let cut = opened.cut.expect("an end was cut");
    assert_eq!((cut.octets, cut.damage.octet, cut.damage.path.as_str()), (lost as u64, synced as u64, path));
    assert_eq!(files.dump()[&cut.copy], octets[synced..]);
    assert_eq!(read(&files).expect("whole").1.cut, None);
}

#[test]
fn damage_below_the_synced_offset_is_named() {
    let files = Simulated::default();
    let (mut owner, _) = Owner::open(&files, Model::default()).expect("a new one");
    let mut chance = Chance(7);
    owner.turn(2, 0, &mut chance);
    let path = "spool/journal/00000001.journal";
    let at = files.dump()[path].len();
    owner.turn(2, 0, &mut chance);
    drop(owner);
    let mut octets = files.dump()[path].clone();
    octets[at + 70] ^= 1;
    files.set(path, octets);
    let before = files.dump();
    let Err(OpenError::Damaged(damage)) = read(&files) else { panic!("it was acknowledged") };
    assert_eq!((damage.path.as_str(), damage.octet), (path, at as u64));
    assert_eq!(files.dump(), before, "a refusal changes nothing");
}

#[test]
fn what_can_be_read_is_salvaged_however_often_that_is_interrupted() {
    let options = Options { segment_octets: 900, salt: 1 };
    for seed in 0..30 {
        let (files, model) = used(seed, 60);
        let mut chance = Chance(seed);
        let segments: Vec<_> =
            files.dump().into_iter().filter(|(path, _)| path.ends_with(".journal")).collect();
        let (path, mut octets) = segments[chance.below(segments.len() as u64) as usize].clone();
        let bit = chance.below(octets.len() as u64 * 8) as usize;
        octets[bit / 8] ^= 1 << (bit % 8);
        files.set(&path, octets);
        if read(&files.copy()).is_ok() {
            continue; // void
        }
        for interrupted in 0..60 {
            let files = files.copy();
            let faults = Faults { fail_after: Some(interrupted), failing: u32::MAX, ..Faults::default() };
            files.set_faults(faults);
            let first = salvage(&files, &place(), options);
            files.set_faults(Faults::default());
            if first.is_err() {
                salvage(&files, &place(), options).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            }
            let (there, opened) = read(&files).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            assert!(matches!(opened.mark, MarkState::Synced(_)) && opened.cut.is_none());
            let lost = model.owed.difference(&there).count();
            assert!(lost <= 3, "seed {seed}: one batch at most, {lost}");
        }
    }
}
