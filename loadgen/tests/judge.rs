//! The judge is judged: for each fault of a double that stands between loadgen and two sites, `reconcile` must name
//! its class, exactly as often as the double struck, and no other class; where nothing forbidden was done, none.

mod double;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use double::fault::{Act, Count, Fault, On};
use double::scenario::{self, Judged};
use double::table::table;

/// Each row of the table. `JUDGE_ROWS=text` runs the rows whose name contains the text.
#[test]
fn every_fault_is_named_and_nothing_else() {
    check_table(&rows(), AT_ONCE);
}

/// The same faults where they are rare, as in a long run: one offence among thousands of messages that are in order.
#[test]
#[ignore = "sends some 100,000 messages for each fault"]
fn every_fault_is_named_at_one_in_5000() {
    let is_drawn = |fault: &Fault| fault.one_in > 1 && fault.setup.steady.is_none();
    let faults: Vec<Fault> = rows().into_iter().filter(is_drawn).map(made_rare).collect();
    check_table(&faults, 1);
}

/// One in 5,000 messages, and enough of them for some strikes.
fn made_rare(fault: Fault) -> Fault {
    fault.one_in(5_000).steady("rate = 20000\nfor = \"3s\"").mobile("rate = 10000, count = 20000")
}

/// The rows asked for.
fn rows() -> Vec<Fault> {
    let wanted = std::env::var("JUDGE_ROWS").unwrap_or_default();
    table().into_iter().filter(|fault| fault.name.contains(&wanted)).collect()
}

fn check_table(faults: &[Fault], at_once: usize) {
    let judged = run_all(faults, at_once);
    println!("{:<50} {:>7}  {:<26} judged", "fault", "strikes", "must be named");
    let mut wrong = Vec::new();
    for (fault, judged) in faults.iter().zip(&judged) {
        let complaint = complaint(fault, judged);
        println!(
            "{:<50} {:>7}  {:<26} {}{}",
            fault.name,
            judged.strikes,
            fault.class.unwrap_or("-"),
            said(&judged.classes),
            if complaint.is_some() { "  <-- WRONG" } else { "" }
        );
        wrong.extend(complaint.map(|complaint| format!("{}: {complaint}\n{}", fault.name, judged.text)));
    }
    println!("{} faults, {} judged wrongly", faults.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_is_complete() {
    let table = table();
    let faults = table.iter().filter(|fault| fault.class.is_some()).count();
    assert!(faults >= 45, "{faults}");
    for (index, fault) in table.iter().enumerate() {
        assert!(table[..index].iter().all(|other| other.name != fault.name), "{} is there twice", fault.name);
    }
}

/// Nothing is done to any message.
#[test]
fn a_faithful_double_is_not_charged() {
    check_clean(&FAITHFUL);
}

/// Both sites give the ids 1, 2, 3 and so on, each to another account.
#[test]
fn equal_ids_of_two_sites_are_not_confused() {
    check_clean(&FAITHFUL.numbered_alike());
}

#[test]
fn the_same_run_twice_at_one_simulator_is_clean() {
    let sim = tempfile::tempdir().unwrap();
    let sites = scenario::start_sites(&FAITHFUL.setup, sim.path());
    let mut outcomes: Vec<_> = (0..2)
        .map(|_| {
            let directory = tempfile::tempdir().unwrap();
            let (outcome, _) = scenario::send(&FAITHFUL, &sites, directory.path());
            (outcome, directory)
        })
        .collect();
    sites.stop().unwrap();
    for (outcome, _directory) in &mut outcomes {
        let judged = scenario::judge(outcome, 0, sim.path());
        assert_eq!(complaint(&FAITHFUL, &judged), None, "{}", judged.text);
    }
}

const FAITHFUL: Fault = Fault::new("faithful", On::Submit, 1, Act::Pass, None);

#[track_caller]
fn check_clean(fault: &Fault) {
    let judged = scenario::run(fault);
    assert_eq!(complaint(fault, &judged), None, "{}", judged.text);
}

/// Runs all, some at a time: most of a run is waiting.
fn run_all(faults: &[Fault], at_once: usize) -> Vec<Judged> {
    let next = AtomicUsize::new(0);
    let judged: Vec<Mutex<Judged>> = faults.iter().map(|_| Mutex::default()).collect();
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(fault) = faults.get(index) else { break };
                    // A run that breaks is a row that is wrong; the others are told as well.
                    if let Ok(done) = std::panic::catch_unwind(|| scenario::run(fault)) {
                        *judged[index].lock().unwrap() = done;
                    }
                }
            });
        }
    });
    judged.into_iter().map(|judged| judged.into_inner().unwrap()).collect()
}

/// What is wrong with a verdict.
fn complaint(fault: &Fault, judged: &Judged) -> Option<String> {
    if judged.text.is_empty() {
        return Some("the run broke".into());
    }
    if !judged.invalid.is_empty() {
        return Some(format!("no verdict: {}", judged.invalid.join("; ")));
    }
    if judged.strikes < fault.strikes_min() {
        return Some(format!("the double struck {} times only", judged.strikes));
    }
    let Some(class) = fault.class else {
        return (!judged.classes.is_empty()).then(|| format!("charged with {}", said(&judged.classes)));
    };
    let counted = judged.classes.get(class).copied().unwrap_or(0);
    let is_right = match fault.count {
        Count::Strikes => counted == judged.strikes,
        Count::Pairs => counted == judged.strikes * 2,
        Count::Some => counted > 0,
    };
    (!is_right || judged.classes.len() > 1)
        .then(|| format!("struck {} times; must be {class:?}, is {}", judged.strikes, said(&judged.classes)))
}

fn said(classes: &BTreeMap<String, u64>) -> String {
    let all: Vec<String> = classes.iter().map(|(class, count)| format!("{class} {count}")).collect();
    if all.is_empty() { "-".into() } else { all.join(", ") }
}

/// Runs at the same time.
const AT_ONCE: usize = 6;
