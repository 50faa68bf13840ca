//! What the spool must do, also after kill -9 in the middle of work. The child is this test program, run again with a
//! variable that makes the child's test do its work instead of nothing.

use super::log::Batch;
use super::{SpoolOptions, start};
use journal::simulated::{Faults, Simulated};
use journal::{Disk, Files};
use relay::{AccountId, Fate, MessageKey, SpoolAnswer, SpoolEntry, SpoolOp, SpoolOutage};
use smpp::field::{CommandStatus, MessageState};
use smpp::text::message_id::GatewayId;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Wall clock of every test, seconds since 1970 UTC.
const NOW: u32 = 1_800_000_000;
/// Validity of every message, seconds.
const VALID: u32 = 60;

fn pdu(id: u64) -> Vec<u8> {
    format!("message {id}").into_bytes()
}

fn accept(id: u64) -> SpoolOp {
    SpoolOp::Accept {
        message: MessageKey::from_u64(id),
        gateway_id: GatewayId(id),
        account: AccountId(7),
        accepted_at: NOW,
        expires_at: NOW + VALID,
        pdu: pdu(id),
    }
}

fn settle(id: u64) -> SpoolOp {
    SpoolOp::Settle { gateway_id: GatewayId(id) }
}

fn defer(id: u64, after_ms: u64, tries: u16) -> SpoolOp {
    let after = Duration::from_millis(after_ms);
    SpoolOp::Defer { gateway_id: GatewayId(id), after, tries, unknown_copies: 0, fate: None }
}

fn due(count_max: u32) -> SpoolOp {
    SpoolOp::Due { count_max }
}

/// One turn of one shard.
fn turn_at<F: Files>(
    log: &mut super::log::Log<F>,
    now_ms: u64,
    unix: u32,
    ops: Vec<SpoolOp>,
) -> Vec<SpoolAnswer> {
    let mut batches = [Batch { ops, answers: Vec::new() }];
    log.turn(now_ms, unix, &mut batches);
    let [batch] = batches;
    batch.answers
}

fn turn<F: Files>(log: &mut super::log::Log<F>, ops: Vec<SpoolOp>) -> Vec<SpoolAnswer> {
    turn_at(log, 0, NOW, ops)
}

fn outcomes(answers: &[SpoolAnswer]) -> Vec<Result<(), SpoolOutage>> {
    let outcome = |answer: &SpoolAnswer| match answer {
        SpoolAnswer::Accepted { outcome, .. } => Some(*outcome),
        SpoolAnswer::Noted { outcome, .. } => Some(*outcome),
        SpoolAnswer::Due { .. } => None,
    };
    answers.iter().filter_map(outcome).collect()
}

fn entries(answers: Vec<SpoolAnswer>) -> (Vec<SpoolEntry>, bool) {
    match answers.into_iter().next_back() {
        Some(SpoolAnswer::Due { entries, more, .. }) => (entries, more),
        other => panic!("{other:?}"),
    }
}

fn ids(answers: Vec<SpoolAnswer>) -> (Vec<u64>, bool) {
    let (entries, more) = entries(answers);
    (entries.iter().map(|entry| entry.gateway_id.0).collect(), more)
}

type Log = super::log::Log<Disk>;

fn open(directory: &Path) -> Log {
    open_with(&SpoolOptions::new(directory.to_path_buf()))
}

fn open_with(options: &SpoolOptions) -> Log {
    std::fs::create_dir_all(&options.directory).unwrap();
    super::convert::convert(options).unwrap();
    let (disk, place) = super::place_of(&options.directory);
    Log::open(disk, place, options).unwrap()
}

#[test]
fn what_is_accepted_is_lent_until_it_is_deferred_or_settled() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = open(&directory.path().join("spool"));
    let answers = turn(&mut log, vec![accept(1), accept(2), accept(3), due(9)]);
    assert_eq!(outcomes(&answers), [Ok(()); 3]);
    assert!(matches!(&answers[1], SpoolAnswer::Accepted { pdu: back, .. } if *back == pdu(2)));
    assert_eq!(ids(answers), (vec![], false), "all are with the shard");
    turn(&mut log, vec![defer(1, 100, 1), defer(2, 50, 4), settle(3)]);
    assert_eq!(ids(turn_at(&mut log, 49, NOW, vec![due(9)])), (vec![], false));
    let (out, more) = entries(turn_at(&mut log, 100, NOW + 1, vec![due(1)]));
    assert!(more);
    let left = Duration::from_secs(u64::from(VALID) - 1);
    let expected = SpoolEntry {
        gateway_id: GatewayId(2),
        account: AccountId(7),
        accepted_at: NOW,
        left,
        tries: 4,
        unknown_copies: 0,
        is_last: false,
        fate: None,
        pdu: pdu(2),
    };
    assert_eq!(out, [expected]);
    assert_eq!(ids(turn_at(&mut log, 100, NOW, vec![due(9)])), (vec![1], false));
    turn(&mut log, vec![settle(1), settle(2), settle(2), settle(99)]);
    let counters = log.counters();
    assert_eq!((counters.entries, counters.octets, counters.accepted, counters.settled), (0, 0, 3, 3));
    assert_eq!(counters.syncs, 1, "three messages, one sync; settlements alone take none");
}

/// The kill is the drop: what was answered is in the file, synced or not.
#[test]
fn that_a_message_is_on_its_way_is_written_before_it_is_answered() {
    for sync_notes in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let options = SpoolOptions { sync_notes, ..SpoolOptions::new(directory.path().join("spool")) };
        let mut log = open_with(&options);
        turn(&mut log, vec![accept(1), accept(2), accept(3)]);
        let syncs = log.counters().syncs;
        let sending = |id, unknown_copies| SpoolOp::Sending {
            message: MessageKey::from_u64(id),
            gateway_id: GatewayId(id),
            unknown_copies,
        };
        let answers = turn(&mut log, vec![sending(1, 0), sending(2, 1), sending(3, 0), sending(9, 0)]);
        assert_eq!(outcomes(&answers), [Ok(()), Ok(()), Ok(()), Err(SpoolOutage::Away)]);
        assert_eq!(log.counters().syncs - syncs, u64::from(sync_notes));
        turn(&mut log, vec![defer(3, 0, 1)]);
        drop(log);
        let mut log = open_with(&options);
        let (out, _) = entries(turn(&mut log, vec![due(9)]));
        let noted = |entry: &SpoolEntry| (entry.gateway_id.0, entry.unknown_copies, entry.is_last);
        assert_eq!(out.iter().map(noted).collect::<Vec<_>>(), [(1, 1, true), (2, 2, true), (3, 0, false)]);
    }
}

#[test]
fn what_was_said_of_a_message_outlives_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = open(&directory.path().join("spool"));
    turn(&mut log, vec![accept(1), accept(2), accept(3), accept(4)]);
    let fate = Some(Fate { state: MessageState::Unknown, status: CommandStatus::ESME_RUNKNOWNERR });
    let said = |id, unknown_copies, fate| {
        let (gateway_id, after) = (GatewayId(id), Duration::from_secs(9));
        SpoolOp::Defer { gateway_id, after, tries: 3, unknown_copies, fate }
    };
    turn(&mut log, vec![said(2, 0, fate), said(3, 2, None)]);
    drop(log);
    let mut log = open(&directory.path().join("spool"));
    let (out, _) = entries(turn(&mut log, vec![due(9)]));
    let noted = |entry: &SpoolEntry| (entry.gateway_id.0, entry.tries, entry.unknown_copies, entry.fate);
    let expected = [(1, 0, 0, None), (2, 0, 0, fate), (3, 0, 2, None), (4, 0, 0, None)];
    assert_eq!(out.iter().map(noted).collect::<Vec<_>>(), expected);
    // The last word counts, and what is settled leaves nothing behind.
    turn(&mut log, vec![settle(1), settle(2), settle(4), defer(3, 0, 4)]);
    let (out, _) = entries(turn(&mut log, vec![due(9)]));
    assert_eq!(out.iter().map(noted).collect::<Vec<_>>(), [(3, 4, 0, None)]);
    turn(&mut log, vec![settle(3), accept(5)]);
    drop(log);
    let (out, _) = entries(turn(&mut open(&directory.path().join("spool")), vec![due(9)]));
    assert_eq!(out.iter().map(noted).collect::<Vec<_>>(), [(5, 0, 0, None)]);
}

#[test]
fn the_end_of_validity_comes_before_a_long_pause() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = open(&directory.path().join("spool"));
    turn(&mut log, vec![accept(1), accept(2)]);
    let fate = Some(Fate { state: MessageState::Expired, status: CommandStatus::ESME_ROK });
    let after = Duration::from_secs(3600);
    let owed = SpoolOp::Defer { gateway_id: GatewayId(2), after, tries: 1, unknown_copies: 1, fate };
    turn(&mut log, vec![defer(1, 3_600_000, 1), owed]);
    let (out, _) = entries(turn_at(&mut log, u64::from(VALID) * 1000, NOW + VALID, vec![due(9)]));
    assert_eq!((out.len(), out[0].gateway_id.0, out[0].left), (1, 1, Duration::ZERO));
    let (out, _) = entries(turn_at(&mut log, 3_600_000, NOW + 3600, vec![due(9)]));
    assert_eq!((out[0].gateway_id.0, out[0].fate, out[0].unknown_copies), (2, fate, 1));
}

#[test]
fn a_vendor_that_is_back_makes_all_due_at_most_once_a_second() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = open(&directory.path().join("spool"));
    turn(&mut log, vec![accept(1), defer(1, 50_000, 1), SpoolOp::Hasten, due(9)]);
    turn(&mut log, vec![defer(1, 50_000, 1)]);
    assert_eq!(ids(turn_at(&mut log, 999, NOW, vec![SpoolOp::Hasten, due(9)])).0, [] as [u64; 0]);
    assert_eq!(ids(turn_at(&mut log, 1_000, NOW, vec![SpoolOp::Hasten, due(9)])).0, [1]);
}

#[test]
fn a_full_spool_refuses_and_keeps_what_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let full = Err(SpoolOutage::Full);
    for (change, expected) in
        [((2, 1 << 20), [Ok(()), Ok(()), full]), ((100, pdu(1).len() as u64), [Ok(()), full, full])]
    {
        let (entries_max, octets_max) = change;
        let options = SpoolOptions {
            entries_max,
            octets_max,
            ..SpoolOptions::new(directory.path().join(entries_max.to_string()))
        };
        let mut log = open_with(&options);
        assert_eq!(outcomes(&turn(&mut log, vec![accept(1), accept(2), accept(3)])), expected);
        assert_eq!(log.counters().full, expected.iter().filter(|outcome| outcome.is_err()).count() as u64);
        assert_eq!(outcomes(&turn(&mut log, vec![settle(1), accept(4)])), [Ok(())], "room again");
    }
}

#[test]
fn a_turn_of_long_messages_is_committed_in_parts() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = open(&directory.path().join("spool"));
    let long = |id| match accept(id) {
        SpoolOp::Accept { message, gateway_id, account, accepted_at, expires_at, .. } => {
            let pdu = vec![b'x'; 60_000];
            SpoolOp::Accept { message, gateway_id, account, accepted_at, expires_at, pdu }
        }
        other => other,
    };
    assert_eq!(outcomes(&turn(&mut log, (0..200).map(long).collect())), vec![Ok(()); 200]);
    let counters = log.counters();
    assert_eq!((counters.accepted, counters.syncs), (200, 3), "12 MB in parts of 4 MiB");
}

#[test]
fn an_id_given_twice_overwrites_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = open(&directory.path().join("spool"));
    turn(&mut log, vec![accept(1)]);
    assert_eq!(outcomes(&turn(&mut log, vec![accept(1)])), [Err(SpoolOutage::Away)]);
    assert_eq!(log.counters().entries, 1);
}

#[test]
fn a_restart_hands_out_all_that_is_not_settled_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = open(&directory.path().join("spool"));
    turn(&mut log, (1..=10).map(accept).collect());
    turn(&mut log, vec![settle(3), defer(5, 500_000, 3), settle(7)]);
    drop(log);
    let mut log = open(&directory.path().join("spool"));
    assert_eq!(log.counters().entries, 8);
    let (first, more) = ids(turn(&mut log, vec![due(3)]));
    assert_eq!((first, more), (vec![1, 2, 4], true));
    assert_eq!(ids(turn(&mut log, vec![due(99)])), (vec![5, 6, 8, 9, 10], false), "each once");
}

#[test]
fn the_thread_serves_two_shards_and_takes_back_from_one_that_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let options = SpoolOptions::new(directory.path().join("spool"));
    let (thread, mut ports) = start(&options, 2).unwrap();
    let count = 3000;
    let hear = |port: &mut super::SpoolPort, count: usize| {
        let mut answers = Vec::new();
        while answers.len() < count {
            port.answers.receive_blocking(&mut answers, usize::MAX, Duration::from_secs(30)).unwrap();
        }
        answers
    };
    for (shard, port) in (0u64..).zip(&mut ports) {
        for id in 0..count {
            port.ops.push(accept(shard << 32 | id)).unwrap();
        }
        port.ops.ring();
    }
    for port in &mut ports {
        assert_eq!(outcomes(&hear(port, count as usize)), vec![Ok(()); count as usize]);
    }
    drop(ports.remove(0));
    let mut came = 0;
    let end = std::time::Instant::now() + Duration::from_secs(30);
    while came < count as usize && std::time::Instant::now() < end {
        ports[0].ops.push(due(1000)).unwrap();
        ports[0].ops.ring();
        let (entries, _) = entries(hear(&mut ports[0], 1));
        assert!(entries.iter().all(|entry| entry.gateway_id.0 < count && entry.unknown_copies == 1));
        came += entries.len();
    }
    assert_eq!(came, count as usize);
    assert!(start(&options, 1).is_err(), "one process at a time");
    drop(ports);
    let report = thread.report();
    thread.join().unwrap();
    assert_eq!((report.load().accepted, report.load().entries), (2 * count, 2 * count));
}

/// Messages of earlier versions, as the library kept them, with a note of one of them. One in two is of a version that knew
/// customers by a hash.
fn old_spool(directory: &Path, ids: std::ops::Range<u64>) {
    let database = fjall::Database::builder(directory).worker_threads(1).open().unwrap();
    let rows = database.keyspace("messages", fjall::KeyspaceCreateOptions::default).unwrap();
    let notes = database.keyspace("notes", fjall::KeyspaceCreateOptions::default).unwrap();
    let row = |id: u64| {
        let (version, account) = match id % 2 {
            0 => (1, relay::older_number(b"acme").to_be_bytes().to_vec()),
            _ => (2, AccountId::of_name(b"acme").0.to_be_bytes().to_vec()),
        };
        [&[version], &account[..], &NOW.to_be_bytes(), &(NOW + VALID).to_be_bytes(), &pdu(id)].concat()
    };
    ids.clone().for_each(|id| rows.insert(id.to_be_bytes(), row(id)).unwrap());
    notes.insert(ids.start.to_be_bytes(), [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    notes.insert(9_999u64.to_be_bytes(), [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
}

#[test]
fn a_spool_of_an_earlier_version_is_converted() {
    let directory = tempfile::tempdir().unwrap();
    let spool = directory.path().join("spool");
    old_spool(&spool, 1..2_001);
    let older = crate::OlderNames::new(["acme", "globex"], []);
    let options = SpoolOptions { older, ..SpoolOptions::new(spool.clone()) };
    let mut log = open_with(&options);
    let (out, more) = entries(turn(&mut log, vec![due(5_000)]));
    assert_eq!((out.len(), more), (2_000, false));
    assert!(out.iter().zip(1..).all(|(entry, id)| entry.gateway_id.0 == id && entry.pdu == pdu(id)));
    assert!(out[0].unknown_copies == 1 && out[1].unknown_copies == 0);
    assert!(out.iter().all(|entry| entry.account == AccountId::of_name(b"acme")));
    turn(&mut log, (1..2_000).map(settle).collect());
    drop(log);
    let names = |path: &Path| -> Vec<String> {
        let names = std::fs::read_dir(path).unwrap().flatten();
        names.map(|entry| entry.file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names(&spool), ["journal"], "the old files are gone");
    // An earlier version ran once more: what it kept is taken over too, and what is settled stays so.
    old_spool(&spool, 1_990..2_010);
    let mut log = open(&spool);
    let (found, _) = ids(turn(&mut log, vec![due(5_000)]));
    assert_eq!(found, (2_000..2_010).collect::<Vec<_>>());
    assert_eq!(names(&spool), ["journal"]);
}

#[test]
fn a_damaged_spool_of_disk_is_refused_checked_and_salvaged() {
    let directory = tempfile::tempdir().unwrap();
    let options = SpoolOptions::new(directory.path().join("spool"));
    let spool = &options.directory;
    assert!(super::check(spool).unwrap().is_none() && !options.is_there());
    let mut log = open(spool);
    for id in 1..=30 {
        turn(&mut log, vec![accept(id)]);
    }
    turn(&mut log, vec![settle(1)]);
    drop(log);
    let whole = super::check(spool).unwrap().unwrap();
    assert!(whole.is_whole && whole.text.contains("29 messages are open"), "{whole}");
    let file = spool.join("journal/00000001.journal");
    let mut octets = std::fs::read(&file).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 0x10;
    std::fs::write(&file, octets).unwrap();
    let refused = start(&options, 1).err().map(|error| error.to_string()).unwrap();
    assert!(refused.contains("spool/journal/00000001.journal at octet "), "{refused}");
    assert!(refused.contains("gateway store salvage"), "{refused}");
    let damaged = super::check(spool).unwrap().unwrap();
    assert!(
        !damaged.is_whole && damaged.text.contains("DAMAGED: spool/journal/00000001.journal"),
        "{damaged}"
    );
    let salvaged = super::salvage(spool).unwrap().unwrap();
    assert!(salvaged.text.contains("28 messages are open"), "{salvaged}");
    assert!(spool.join("journal.damaged-1").is_dir());
    let (found, _) = ids(turn(&mut open(spool), vec![due(99)]));
    assert_eq!(found.len(), 28);
    std::fs::remove_dir_all(spool).unwrap();
    assert!(options.is_there(), "its mark says so");
    let refused = start(&options, 1).err().map(|error| error.to_string()).unwrap();
    assert!(refused.contains("spool/journal at octet 0: there was a journal"), "{refused}");
    let lost = super::salvage(spool).unwrap().unwrap();
    assert!(lost.text.contains("0 messages are open"), "{lost}");
    assert_eq!(ids(turn(&mut open(spool), vec![due(99)])).0, [] as [u64; 0]);
}

/// What was answered with an error never comes out, what was acknowledged does, and it goes on by itself.
#[test]
fn files_that_fail_for_a_while_cost_no_message_and_bring_none_back() {
    let place = journal::Place { folder: "spool/journal".into(), mark: "spool.mark".into() };
    let options = SpoolOptions::new("spool".into());
    let open = |files: &Simulated| super::log::Log::open(files.clone(), place.clone(), &options).unwrap();
    let failures = [
        Faults { octets_max: 1_500, ..Faults::default() },
        Faults { fail_after: Some(20), failing: 3, ..Faults::default() },
        Faults { fail_after: Some(21), failing: 40, fails_late: true, ..Faults::default() },
    ];
    for faults in failures {
        let files = Simulated::default();
        let mut log = open(&files);
        files.set_faults(faults);
        let (mut acknowledged, mut refused) = (Vec::new(), Vec::new());
        let mut now = 0;
        for id in 1..=60u64 {
            now += 100;
            let settles = acknowledged.first().filter(|_| id % 3 == 0).map(|id| settle(*id));
            let ops = std::iter::once(accept(id)).chain(settles).collect();
            match outcomes(&turn_at(&mut log, now, NOW, ops))[..] {
                [Ok(())] => acknowledged.push(id),
                [Err(SpoolOutage::Away)] => refused.push(id),
                ref other => panic!("{other:?}"),
            }
            if id % 3 == 0 && !acknowledged.is_empty() {
                acknowledged.remove(0);
            }
            log.tidy(now);
            if id == 40 {
                files.set_faults(Faults::default());
            }
        }
        assert!(!refused.is_empty() && refused.iter().all(|id| *id < 45), "{faults:?}: {refused:?}");
        assert_eq!(log.counters().away, 0);
        assert!(log.counters().outages > 0);
        drop(log);
        let (found, _) = ids(turn(&mut open(&files), vec![due(99)]));
        assert_eq!(found, acknowledged, "{faults:?}, refused: {refused:?}");
    }
}

#[test]
fn what_is_still_open_is_moved_on_so_that_the_files_stay_few() {
    let directory = tempfile::tempdir().unwrap();
    let options = SpoolOptions { octets_max: 16 << 20, ..SpoolOptions::new(directory.path().join("spool")) };
    let mut log = open_with(&options);
    let long = |id| match accept(id) {
        SpoolOp::Accept { message, gateway_id, account, accepted_at, expires_at, .. } => {
            SpoolOp::Accept { message, gateway_id, account, accepted_at, expires_at, pdu: vec![b'x'; 2_000] }
        }
        other => other,
    };
    // One of a hundred stays open; one of those has something noted.
    for round in 0..200u64 {
        let first = round * 100;
        turn(&mut log, (first..first + 100).map(long).collect());
        log.tidy(0);
        let mut ops: Vec<_> = (first + 1..first + 100).map(settle).collect();
        let fate = Some(Fate { state: MessageState::Unknown, status: CommandStatus::ESME_RUNKNOWNERR });
        let gateway_id = GatewayId(first);
        if round == 0 {
            ops.push(SpoolOp::Defer { gateway_id, after: Duration::ZERO, tries: 1, unknown_copies: 1, fate });
        }
        turn(&mut log, ops);
        log.tidy(0);
    }
    (0..100).for_each(|_| log.tidy(0));
    let files = std::fs::read_dir(options.directory.join("journal")).unwrap().count();
    assert!(files < 10, "40 MB went through, {files} files are there");
    drop(log);
    let mut log = open_with(&options);
    let (out, _) = entries(turn(&mut log, vec![due(999)]));
    assert_eq!(
        out.iter().map(|entry| entry.gateway_id.0).collect::<Vec<_>>(),
        (0..20_000).step_by(100).collect::<Vec<_>>()
    );
    assert!(out[0].unknown_copies == 1 && out[0].fate.is_some(), "its note came along");
}

/// Names the directory that the child writes to.
const VARIABLE: &str = "SPOOL_CRASH_DIRECTORY";
/// Messages in one turn of the child.
const TURN: u64 = 100;

#[test]
fn every_answered_message_survives_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "spool::tests::child_writes_until_it_is_killed", "--nocapture", "--test-threads=1"])
        .env(VARIABLE, directory.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut answered = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some((_, number)) = line.rsplit_once("answered ") else { continue };
        answered = number.trim().parse().unwrap();
        if answered >= 60 * TURN {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(answered >= 60 * TURN, "the child wrote {answered}");
    let mut log = open(&directory.path().join("spool"));
    let (found, _) = ids(turn(&mut log, vec![due(u32::MAX)]));
    // Every tenth was settled in the turn after its own: gone, unless its turn was the last.
    let is_there = |id: u64| found.binary_search(&id).is_ok();
    assert!(found.is_sorted());
    let missing: Vec<u64> = (0..answered).filter(|id| id % 10 != 0 && !is_there(*id)).collect();
    assert!(missing.is_empty(), "{} of {answered} are missing: {:?}", missing.len(), missing.first());
    let back: Vec<u64> = (0..answered - TURN).filter(|id| id % 10 == 0 && is_there(*id)).collect();
    assert!(back.is_empty(), "{} settled ones are back: {:?}", back.len(), back.first());
}

#[test]
fn child_writes_until_it_is_killed() {
    let Ok(directory) = std::env::var(VARIABLE) else { return };
    let mut log = open(&PathBuf::from(directory).join("spool"));
    let mut out = std::io::stdout();
    for round in 0..1_000_000 {
        let mut ops: Vec<_> = (round * TURN..(round + 1) * TURN).map(accept).collect();
        if round > 0 {
            ops.extend(((round - 1) * TURN..round * TURN).step_by(10).map(settle));
        }
        assert_eq!(turn(&mut log, ops).len(), TURN as usize);
        let written = writeln!(out, "answered {}", (round + 1) * TURN).and_then(|()| out.flush());
        if written.is_err() {
            return; // the parent is gone
        }
    }
}

/// Not a gate: prints what one shard can have accepted in a second, with the disk of the temporary directory.
/// `SPOOL_DIRECTORY=/where cargo test -p gateway-store spool -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, to be read by a person"]
fn cost_of_accepting() {
    let at = std::env::var("SPOOL_DIRECTORY").map_or_else(|_| std::env::temp_dir(), PathBuf::from);
    let directory = tempfile::tempdir_in(at).unwrap();
    for batch in [1, 10, 100, 1000] {
        let mut log = open(&directory.path().join(batch.to_string()));
        let began = std::time::Instant::now();
        let mut id = 0;
        while began.elapsed() < Duration::from_secs(2) {
            let ops = (id..id + batch).map(|id| {
                let SpoolOp::Accept { message, gateway_id, account, accepted_at, expires_at, .. } =
                    accept(id)
                else {
                    unreachable!()
                };
                let pdu = vec![b'x'; 200];
                SpoolOp::Accept { message, gateway_id, account, accepted_at, expires_at, pdu }
            });
            turn(&mut log, ops.chain((id.saturating_sub(batch)..id).map(settle)).collect());
            id += batch;
        }
        let counters = log.counters();
        println!(
            "{batch} a sync: {:.0}/s, {:.2} ms a sync",
            id as f64 / began.elapsed().as_secs_f64(),
            counters.sync_ns as f64 / counters.syncs as f64 / 1e6
        );
    }
}

/// Not a gate: what a steady flow leaves on disk once all is settled, and how long a restart with a million takes.
#[test]
#[ignore = "a measurement, to be read by a person"]
fn cost_on_disk_and_of_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let spool = directory.path().join("spool");
    let octets = || -> u64 {
        let files = std::fs::read_dir(directory.path()).unwrap().flatten();
        fn size(entry: &std::fs::DirEntry) -> u64 {
            match std::fs::read_dir(entry.path()) {
                Ok(inside) => inside.flatten().map(|entry| size(&entry)).sum(),
                Err(_) => entry.metadata().map_or(0, |found| found.len()),
            }
        }
        files.map(|entry| size(&entry)).sum()
    };
    let long = |id| match accept(id) {
        SpoolOp::Accept { message, gateway_id, account, accepted_at, expires_at, .. } => {
            let pdu = vec![b'x'; 200];
            SpoolOp::Accept { message, gateway_id, account, accepted_at, expires_at, pdu }
        }
        other => other,
    };
    let mut log = open(&spool);
    for round in 0..3_000u64 {
        let ids = round * 1000..(round + 1) * 1000;
        turn(
            &mut log,
            ids.map(long).chain((round.saturating_sub(1) * 1000..round * 1000).map(settle)).collect(),
        );
        if round % 500 == 499 {
            println!(
                "{} messages, {} open: {} MiB",
                (round + 1) * 1000,
                log.counters().entries,
                octets() >> 20
            );
        }
    }
    for round in 3_000..4_000u64 {
        turn(&mut log, (round * 1000..(round + 1) * 1000).map(long).collect());
    }
    println!("{} open: {} MiB", log.counters().entries, octets() >> 20);
    drop(log);
    let began = std::time::Instant::now();
    let mut log = open(&spool);
    println!("open again with {} after {:?}", log.counters().entries, began.elapsed());
    let began = std::time::Instant::now();
    let mut handed = 0;
    while handed < 1_000_000 {
        let (ids, _) = ids(turn(&mut log, vec![due(256)]));
        handed += ids.len();
        turn(&mut log, ids.into_iter().map(settle).collect());
    }
    println!("handed out and settled after {:?}, {} MiB", began.elapsed(), octets() >> 20);
}
