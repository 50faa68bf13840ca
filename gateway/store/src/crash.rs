//! kill -9 in the middle of work: every answered entry is there again. The child is this test program, run again with
//! a variable that makes the child's test do its work instead of nothing.

use super::contract::{find, found, remember, turn};
use super::{Store, StoreOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

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
            .env(VARIABLE, format!("{}:{recent_max}", directory.path().display()))
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

        let options = StoreOptions { recent_max, ..StoreOptions::new(directory.path().to_path_buf()) };
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
