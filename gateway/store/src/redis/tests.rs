//! What only this store has: several nodes, Redis that is away, and days that are over.

use crate::contract::{correlation, early, find, forget, found, key, park, remember, turn, unpark};
use crate::redis::{RedisOptions, WhenFull, Word};
use crate::{Batch, Store, StoreOptions};
use redis_server::RedisServer;
use relay::{AccountId, DeliveryKey, Finding, MessageKey, StoreAnswer, StoreOp, StoreOutage, VendorId};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Longest that a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(20);

fn node_with(server: &RedisServer, change: impl Fn(&mut StoreOptions, &mut RedisOptions)) -> Store {
    let (mut options, mut redis) = (StoreOptions::new(PathBuf::new()), RedisOptions::new(&server.url()));
    change(&mut options, &mut redis);
    Store::redis(&options, &redis).unwrap()
}

fn node(server: &RedisServer) -> Store {
    node_with(server, |_, _| {})
}

/// Runs a store between turns until it is so; gives what it said meanwhile.
fn run_until(store: &mut Store, what: &str, so: impl Fn(&Store, &[Word]) -> bool) -> Vec<Word> {
    let end = Instant::now() + PATIENCE;
    let mut words = Vec::new();
    while !so(store, &words) {
        assert!(Instant::now() < end, "waited in vain until {what}");
        let Store::Redis(redis) = store else { unreachable!("of this store") };
        redis.poll();
        words.extend(redis.take_words());
        redis.wait(Duration::from_millis(5));
    }
    words
}

fn is_up(store: &Store, _: &[Word]) -> bool {
    store.counters().away == 0
}

fn texts(answers: &[StoreAnswer]) -> String {
    let Some(StoreAnswer::Unparked { entries, .. }) = answers.last() else { panic!("{answers:?}") };
    entries.iter().map(|entry| String::from_utf8_lossy(&entry.pdu).into_owned()).collect()
}

fn kept(answers: &[StoreAnswer]) -> usize {
    answers.iter().filter(|answer| matches!(answer, StoreAnswer::Remembered { outcome: Ok(()), .. })).count()
}

#[test]
fn one_node_finds_what_another_wrote_and_hears_of_what_it_parked() {
    let Some(server) = RedisServer::start() else { return };
    let (mut a, mut b) = (node(&server), node(&server));
    run_until(&mut b, "both are connected", |_, words| words.contains(&Word::AskAgain));
    turn(&mut a, vec![remember(1, 1), park(7, "x"), park(7, "y"), park(9, "z")]);
    assert_eq!(found(&turn(&mut b, vec![find(1, 1)])), [Some(1)]);
    let parked_for = [7, 9].map(|account| Word::ParkedFor(AccountId(account)));
    let heard = run_until(&mut b, "the hint came", |_, words| words.contains(&parked_for[1]));
    assert_eq!(heard, parked_for);
    assert_eq!(texts(&turn(&mut b, vec![unpark(7, 9)])), "xy");
    assert_eq!(texts(&turn(&mut a, vec![unpark(7, 9)])), "", "it is with the other");
}

#[test]
fn what_a_dead_node_held_is_taken_over_and_what_a_living_one_returns_is_free_at_once() {
    let Some(server) = RedisServer::start() else { return };
    let reclaim_after = Duration::from_millis(300);
    let new = || node_with(&server, |_, redis| redis.reclaim_after = reclaim_after);
    let (mut dead, mut living) = (new(), new());
    turn(&mut dead, vec![park(7, "a"), park(7, "b"), park(7, "c")]);
    let again = Word::ParkedFor(AccountId(7));
    run_until(&mut living, "the hint came", |_, words| words.contains(&again));
    let answers = turn(&mut dead, vec![unpark(7, 2)]);
    let Some(StoreAnswer::Unparked { entries, .. }) = answers.last() else { panic!("{answers:?}") };
    let back = StoreOp::Return { account: AccountId(7), parked: entries[1].parked };
    turn(&mut dead, vec![back]);
    drop(dead);
    assert_eq!(texts(&turn(&mut living, vec![unpark(7, 9)])), "bc", "what came back, then what is new");
    run_until(&mut living, "it looks again by itself", |_, words| words.contains(&again));
    assert_eq!(texts(&turn(&mut living, vec![unpark(7, 9)])), "a", "and not what it holds itself");
}

#[test]
fn while_redis_is_away_correlations_wait_and_the_rest_is_refused_at_once() {
    let Some(mut server) = RedisServer::reserve() else { return };
    let mut store = node(&server);
    assert_eq!(store.counters().away, 1, "away at the start is no error");
    let started = Instant::now();
    let ops = (0..100).map(|number| remember(1, number)).chain([find(1, 5), find(1, 200), park(1, "a")]);
    let answers = turn(&mut store, ops.collect());
    assert!(started.elapsed() < Duration::from_millis(200), "nobody waits for it");
    assert_eq!(kept(&answers), 100);
    let away = Err(StoreOutage::Away);
    assert!(
        matches!(&answers[100], StoreAnswer::Found { outcome: Ok(Finding::Fits(found)), .. } if *found == correlation(5))
    );
    assert!(matches!(&answers[101], StoreAnswer::Found { outcome: Err(StoreOutage::Away), .. }));
    assert!(matches!(&answers[102], StoreAnswer::Parked { outcome, .. } if *outcome == away));
    server.run();
    run_until(&mut store, "the ring is flushed", |store, _| store.counters().ring == 0);
    let counters = store.counters();
    assert_eq!((counters.ring_kept, counters.ring_flushed, counters.reconnects), (100, 100, 1));
    let mut other = node(&server);
    let all = (0..100).map(|number| find(1, number)).collect();
    assert_eq!(found(&turn(&mut other, all)).iter().flatten().count(), 100);
}

#[test]
fn kill_9_of_redis_loses_nothing_that_was_answered() {
    let Some(mut server) = RedisServer::start() else { return };
    let mut store = node(&server);
    let answers =
        turn(&mut store, (0..500).map(|number| remember(1, number)).chain([park(3, "x")]).collect());
    assert_eq!(kept(&answers), 500);
    server.kill();
    let answers = turn(&mut store, (500..600).map(|number| remember(1, number)).collect());
    assert_eq!(kept(&answers), 100, "in the ring");
    server.run();
    let words = run_until(&mut store, "it is back and flushed", |store, _| {
        is_up(store, &[]) && store.counters().ring == 0
    });
    assert!(words.contains(&Word::AskAgain), "hints may have been missed: {words:?}");
    let all = (0..600).map(|number| find(1, number)).chain([unpark(3, 9)]).collect();
    let answers = turn(&mut store, all);
    assert_eq!(found(&answers).iter().flatten().count(), 600);
    assert_eq!(texts(&answers), "x");
}

/// A receipt and its message are together, and Redis ends before the receipt is handed over: its vendor was told that it is kept.
#[test]
fn a_receipt_that_redis_could_not_hand_over_is_handed_over_when_it_is_back() {
    let Some(mut server) = RedisServer::start() else { return };
    let mut store = node(&server);
    turn(&mut store, vec![early(1)]);
    let Store::Redis(redis) = &mut store else { unreachable!("of this store") };
    redis.fit_all_that_wait(&correlation(1));
    server.kill();
    redis.serve_early(false);
    assert_eq!((store.counters().early_served, store.counters().away), (0, 1));
    server.run();
    let word = Word::ParkedFor(correlation(1).account);
    run_until(&mut store, "its owner is told", |_, words| words.contains(&word));
    assert_eq!(store.counters().early_served, 1);
}

#[test]
fn what_is_dropped_while_redis_is_away_is_dropped_from_it_later() {
    let Some(mut server) = RedisServer::start() else { return };
    let mut store = node(&server);
    assert_eq!(kept(&turn(&mut store, (0..10).map(|number| remember(1, number)).collect())), 10);
    server.kill();
    turn(&mut store, vec![find(1, 9)]); // and it is known to be away
    let ops = (0..4).map(|number| forget(1, number)).chain([find(1, 0), find(1, 9), remember(1, 3)]);
    let answers = turn(&mut store, ops.collect());
    assert!(matches!(&answers[0], StoreAnswer::Found { outcome: Ok(Finding::Nothing), .. }), "{answers:?}");
    assert!(matches!(&answers[1], StoreAnswer::Found { outcome: Err(StoreOutage::Away), .. }));
    assert_eq!(store.counters().ring, 4, "three to drop, one to keep");
    server.run();
    run_until(&mut store, "the ring is flushed", |store, _| is_up(store, &[]) && store.counters().ring == 0);
    let counters = store.counters();
    assert_eq!((counters.forgotten, counters.ring_flushed, counters.forgets_lost), (3, 1, 0));
    let all = (0..10).map(|number| find(1, number)).collect();
    let found = found(&turn(&mut node(&server), all));
    let there = |number: &u64| found[*number as usize].is_some();
    assert_eq!((0..10).filter(there).collect::<Vec<u64>>(), [3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn a_stalled_redis_costs_one_deadline_and_what_was_taken_meanwhile_is_not_lost() {
    let Some(server) = RedisServer::start() else { return };
    let mut store = node(&server);
    server.stall();
    let started = Instant::now();
    assert_eq!(kept(&turn(&mut store, vec![remember(1, 1)])), 1);
    assert!(started.elapsed() < Duration::from_millis(1500), "within what the relay waits");
    let started = Instant::now();
    assert_eq!(kept(&turn(&mut store, vec![remember(1, 2)])), 1);
    assert!(started.elapsed() < Duration::from_millis(100), "it is known to be away");
    server.go_on();
    run_until(&mut store, "it is back", |store, _| is_up(store, &[]) && store.counters().ring == 0);
    assert_eq!(found(&turn(&mut node(&server), vec![find(1, 1), find(1, 2)])), [Some(1), Some(2)]);
}

#[test]
fn a_full_ring_refuses_or_counts_as_the_policy_says() {
    let Some(server) = RedisServer::reserve() else { return };
    for when_full in [WhenFull::Refuse, WhenFull::Accept] {
        let mut store = node_with(&server, |_, redis| (redis.ring_max, redis.when_full) = (80, when_full));
        let answers = turn(&mut store, (0..100).map(|number| remember(1, number)).collect());
        assert_eq!(kept(&answers), 80);
        assert!(matches!(&answers[99], StoreAnswer::Remembered { outcome: Err(StoreOutage::Full), .. }));
        assert_eq!(store.counters().ring_full, 20);
        let Store::Redis(redis) = &mut store else { unreachable!("of this store") };
        redis.poll();
        let expected = if when_full == WhenFull::Refuse { vec![Word::Room(false)] } else { vec![] };
        assert_eq!(redis.take_words(), expected);
    }
}

#[test]
fn redis_that_comes_back_empty_knows_nothing_and_works_again() {
    let Some(server) = RedisServer::start() else { return };
    let mut store = node(&server);
    turn(&mut store, vec![remember(1, 1), park(1, "a")]);
    assert_eq!(server.ask("FLUSHALL"), "+OK");
    let answers = turn(&mut store, vec![find(1, 1), unpark(1, 9)]);
    assert_eq!((found(&answers), texts(&answers)), (vec![None], String::new()));
    assert_eq!(found(&turn(&mut store, vec![remember(1, 1), find(1, 1)])), [Some(1)]);
    assert_eq!(server.ask("SCRIPT FLUSH"), "+OK");
    turn(&mut store, vec![park(1, "b")]);
    run_until(&mut store, "the scripts are loaded again", is_up);
    turn(&mut store, vec![park(1, "c")]);
    assert!(texts(&turn(&mut store, vec![unpark(1, 9)])).ends_with('c'));
}

#[test]
fn days_that_are_over_are_dropped_and_earlier_ones_are_found() {
    const DAY: u32 = 86_400;
    let Some(server) = RedisServer::start() else { return };
    let mut store = node_with(&server, |options, _| options.time_to_live_seconds = 2 * DAY);
    let at = 1_800_000_000;
    turn(&mut store, vec![remember(1, 1), remember(1, 2)]);
    let look = |store: &mut Store, now| {
        let mut batches = [Batch { ops: vec![find(1, 1)], answers: Vec::new() }];
        store.turn(now, &mut batches);
        found(&batches[0].answers)
    };
    assert_eq!(look(&mut store, at + DAY), [Some(1)]);
    assert_eq!(look(&mut store, at + 2 * DAY), [Some(1)]);
    assert_eq!(look(&mut store, at + 2 * DAY + 1), [None], "too old by a second");
    for _ in 0..crate::redis::sweep::STEPS_A_DAY + 1 {
        store.sweep(at + 4 * DAY, 0);
    }
    assert_eq!(store.counters().correlations_expired, 2);
    assert_eq!(server.ask("DBSIZE"), ":0");
}

#[test]
fn what_is_parked_for_too_long_is_given_up_and_counted() {
    let Some(server) = RedisServer::start() else { return };
    let mut store = node(&server);
    let (delivery, vendor) = (DeliveryKey::from_u64(1), VendorId(1));
    turn(
        &mut store,
        vec![park(1, "a"), park(1, "b"), StoreOp::ParkOrphan { delivery, vendor, pdu: vec![1] }],
    );
    let held = turn(&mut store, vec![unpark(1, 1)]);
    let later = crate::desk::unix_seconds() + 73 * 3600;
    store.sweep(later, 0);
    let counters = store.counters();
    assert_eq!((counters.parked_expired, counters.orphans_expired), (2, 1));
    assert_eq!((counters.parked_now, counters.orphans_now), (0, 0));
    let Some(StoreAnswer::Unparked { entries, .. }) = held.last() else { panic!("{held:?}") };
    let release = StoreOp::Release { account: AccountId(1), parked: entries[0].parked };
    assert_eq!(texts(&turn(&mut store, vec![release, unpark(1, 9)])), "");
    assert_eq!((store.counters().parked_now, store.counters().away), (0, 0));
}

#[test]
fn addresses_are_checked_without_a_word_about_their_secrets() {
    let check = |url: &str| RedisOptions::new(url).check();
    assert_eq!(check("redis://user:hunter2@localhost:6379/3"), Ok(()));
    assert_eq!(check("rediss://user:hunter2@localhost:6379"), Ok(()), "TLS is built in");
    for wrong in ["localhost", "http://localhost", "redis-cluster://localhost:1", "redis://:hunter2@"] {
        let reason = check(wrong).expect_err(wrong);
        assert!(!reason.contains("hunter2"), "{reason}");
    }
    assert!(!format!("{:?}", RedisOptions::new("redis://:hunter2@localhost")).contains("hunter2"));
}

/// The figure that operators size Redis by.
#[test]
fn an_open_message_costs_at_most_170_octets() {
    let Some(server) = RedisServer::start() else { return };
    let mut store = node(&server);
    let before = server.memory("used_memory");
    for first in (0..MEASURED).step_by(1000) {
        let message = MessageKey::from_u64(1);
        let ops = (first..first + 1000).map(|number| StoreOp::Remember {
            message,
            key: key(1, number),
            correlation: correlation(number),
        });
        assert_eq!(kept(&turn(&mut store, ops.collect())), 1000);
    }
    let each = (server.memory("used_memory") - before) / MEASURED;
    println!("{each} octets each at {MEASURED}");
    assert!(each <= 170, "{each} octets");
}

/// Open messages of the measurement.
const MEASURED: u64 = 1_000_000;
