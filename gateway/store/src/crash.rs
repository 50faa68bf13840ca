//! kill -9 in the middle of work, and no descriptors for a while: every answered entry is there again. The child is this test program, run again with
//! a variable that makes the child's test do its work instead of nothing.

use super::contract::{find, forget, found, park, remember, turn, unpark};
use super::{OpenError, Store, StoreOptions};
use relay::{AccountId, StoreAnswer, StoreOp};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Names the directory that the child writes to.
const VARIABLE: &str = "STORE_CRASH_DIRECTORY";
/// Correlations in one turn of the child.
const TURN: u64 = 200;

#[test]
fn every_answered_entry_survives_kill_9() {
    for (recent_max, turns) in [(1_000_000, 50), (300, 20)] {
        let directory = tempfile::tempdir().unwrap();
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new(program)
            .args(["--exact", "crash::child_writes_until_it_is_killed", "--nocapture", "--test-threads=1"])
            .env(VARIABLE, format!("{}:{recent_max}", directory.path().join("store").display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut answered = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let Some((_, number)) = line.rsplit_once("answered ") else { continue };
            answered = number.trim().parse().unwrap();
            if answered >= turns * TURN {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(answered >= turns * TURN, "the child wrote {answered}");

        let options = StoreOptions { recent_max, ..StoreOptions::new(directory.path().join("store")) };
        let mut store = Store::embedded(&options).unwrap();
        let ops = (0..answered).map(|number| find(1, number)).collect();
        let found = found(&turn(&mut store, ops));
        let missing: Vec<_> =
            found.iter().enumerate().filter(|(at, found)| **found != Some(*at as u64)).collect();
        assert!(
            missing.is_empty(),
            "{} of {answered} are missing: {:?}",
            missing.len(),
            &missing[..missing.len().min(5)]
        );
    }
}

#[test]
fn child_writes_until_it_is_killed() {
    let Ok(value) = std::env::var(VARIABLE) else { return };
    let (directory, recent_max) = value.rsplit_once(':').unwrap();
    let options = StoreOptions {
        recent_max: recent_max.parse().unwrap(),
        ..StoreOptions::new(PathBuf::from(directory))
    };
    let mut store = Store::embedded(&options).unwrap();
    let mut out = std::io::stdout();
    for round in 0..1_000_000 {
        let answers =
            turn(&mut store, (round * TURN..(round + 1) * TURN).map(|number| remember(1, number)).collect());
        assert_eq!(answers.len(), TURN as usize);
        let written = writeln!(out, "answered {}", (round + 1) * TURN).and_then(|()| out.flush());
        if written.is_err() {
            return; // the parent is gone
        }
    }
}

/// Names the directory of the child that has no descriptors for a while.
const STARVED: &str = "STORE_STARVED_DIRECTORY";

#[test]
fn a_store_without_descriptors_goes_on_when_there_are_some() {
    let directory = tempfile::tempdir().unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child_has_no_descriptors_for_a_while", "--nocapture", "--test-threads=1"])
        .env(STARVED, directory.path().join("store"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && text.contains("it works again"),
        "{text}{}",
        String::from_utf8_lossy(&child.stderr)
    );
}

#[test]
fn child_has_no_descriptors_for_a_while() {
    let Ok(directory) = std::env::var(STARVED) else { return };
    let mut store = Store::embedded(&StoreOptions::new(PathBuf::from(directory))).unwrap();
    turn(
        &mut store,
        vec![remember(2, 1), remember(2, 2), park(7, "taken"), park(7, "out"), park(7, "waits")],
    );
    let [StoreAnswer::Unparked { entries, .. }] = &turn(&mut store, vec![unpark(7, 2)])[..] else { panic!() };
    let taken = entries[0].parked;
    let limit = getrlimit(Resource::Nofile);
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    setrlimit(Resource::Nofile, Rlimit { current: Some(open), ..limit }).unwrap();
    let mut answered = 0;
    while store.counters().away == 0 {
        let answers =
            turn(&mut store, (answered..answered + 256).map(|number| remember(1, number)).collect());
        let is_kept =
            |answer: &StoreAnswer| matches!(answer, StoreAnswer::Remembered { outcome: Ok(()), .. });
        if answers.iter().all(is_kept) {
            answered += 256;
        }
        assert!(answered < 3_000_000, "it needs no descriptor");
    }
    // What was delivered and taken meanwhile is not forgotten, also where it is said in several steps.
    let release = StoreOp::Release { account: AccountId(7), parked: taken };
    let others = (0..25_000).map(|number| forget(3, number));
    assert!(turn(&mut store, others.chain([forget(2, 1), release]).collect()).is_empty());
    store.sweep(1_800_000_000, 1);
    assert_eq!(store.counters().away, 1);
    setrlimit(Resource::Nofile, limit).unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while store.counters().away == 1 {
        assert!(Instant::now() < end, "it stays away");
        std::thread::sleep(Duration::from_millis(20));
        store.sweep(1_800_000_000, 1);
    }
    let ops = (0..answered).map(|number| find(1, number)).chain([find(2, 1), find(2, 2)]).collect();
    let found = found(&turn(&mut store, ops));
    assert!(found[..answered as usize].iter().enumerate().all(|(at, found)| *found == Some(at as u64)));
    assert_eq!(found[answered as usize..], [None, Some(2)]);
    let [StoreAnswer::Unparked { entries, .. }] = &turn(&mut store, vec![unpark(7, 9)])[..] else { panic!() };
    let left: Vec<_> = entries.iter().map(|entry| String::from_utf8_lossy(&entry.pdu).into_owned()).collect();
    assert_eq!(left, ["out", "waits"], "what was taken is gone, what was out may come twice");
    println!("it works again, {answered} were answered before");
}

#[test]
fn a_store_that_is_lost_or_came_back_shorter_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions::new(directory.path().join("store"));
    let copy = directory.path().join("copy");
    let mark = directory.path().join("store.mark");
    let tides = |store: &mut Store, upto: &str| {
        let end = Instant::now() + Duration::from_secs(60);
        let mut number = 0;
        while !std::fs::read_to_string(&mark).is_ok_and(|text| text.contains(upto)) {
            assert!(Instant::now() < end, "the mark does not move");
            number += 1;
            turn(store, vec![remember(1, number)]);
            store.sweep(1_800_000_000, 1);
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let mut store = Store::embedded(&options).unwrap();
    tides(&mut store, "tide 1\n");
    drop(store);
    let status = Command::new("cp").arg("-r").arg(&options.directory).arg(&copy).status().unwrap();
    assert!(status.success());
    let mut store = Store::embedded(&options).unwrap();
    tides(&mut store, "tide 3\n");
    drop(store);
    assert!(Store::embedded(&options).is_ok());
    // An older state of the same store, as a journal that was cut leaves it.
    std::fs::remove_dir_all(&options.directory).unwrap();
    let refused = |what: &str| match Store::embedded(&options) {
        Err(OpenError::Damaged { what: why, .. }) => assert!(why.contains(what), "{why}"),
        other => panic!("{:?}", other.err()),
    };
    refused("its files are missing");
    assert!(!crate::check(&options.directory).unwrap().unwrap().is_whole);
    std::fs::rename(&copy, &options.directory).unwrap();
    refused("before its mark");
    // After another boot a power cut explains it: it is said, and the store opens.
    let text = std::fs::read_to_string(&mark).unwrap();
    let (head, rest) = text.split_once("boot ").unwrap();
    let other_boot = format!("{head}boot another\n{}", rest.split_once('\n').unwrap().1);
    std::fs::write(&mark, &other_boot).unwrap();
    let store = Store::embedded(&options).unwrap();
    assert_eq!(store.counters().behind_mark, 1);
    drop(store);
    std::fs::write(&mark, other_boot.replace("synced false", "synced true")).unwrap();
    refused("before its mark");
    let told = crate::salvage(&options.directory).unwrap().unwrap();
    assert!(told.text.contains("salvaged: about"), "{told}");
    assert_eq!(Store::embedded(&options).unwrap().counters().behind_mark, 0);
    assert!(crate::check(&directory.path().join("none")).unwrap().is_none());
}
