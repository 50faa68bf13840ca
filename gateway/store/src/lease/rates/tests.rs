//! The script on a real Redis.

use super::redis::RatesRedis;
use crate::RedisOptions;
use redis_server::RedisServer;
use relay::{Answer, Ask, AskKind, LimitId, Slot};
use std::time::{Duration, Instant};

/// How long a connection may take.
const UP_MAX: Duration = Duration::from_secs(10);

fn connected(server: &RedisServer, node: u8) -> RatesRedis {
    let mut redis = RatesRedis::new(&RedisOptions::new(&server.url()), node).expect("an address");
    up(&mut redis);
    redis
}

fn up(redis: &mut RatesRedis) {
    let until = Instant::now() + UP_MAX;
    while !redis.drive() {
        assert!(Instant::now() < until, "no connection");
        redis.wait(Duration::from_millis(2));
    }
}

fn rate(id: u64, rate_milli: u64, bucket: u32, wanted: u32) -> Ask {
    let kind = AskKind::Rate { rate_milli, bucket };
    Ask { slot: Slot(0), id: LimitId(id), kind, wanted, back: 0, empty_first: false }
}

fn day(id: u64, day: u32, wanted: u32, back: u32) -> Ask {
    let kind = AskKind::Day { cap: 100, day };
    Ask { slot: Slot(0), id: LimitId(id), kind, wanted, back, empty_first: false }
}

fn one(redis: &mut RatesRedis, ask: Ask) -> Answer {
    redis.ask(&[ask]).expect("an answer")[0]
}

#[test]
fn a_bucket_begins_empty_fills_at_its_rate_and_never_above_its_size() {
    let Some(server) = RedisServer::start() else { return };
    let (mut a, mut b) = (connected(&server, 1), connected(&server, 2));
    let began = Instant::now();
    assert_eq!(one(&mut a, rate(1, 1_000_000, 50, 10)).granted, 0, "empty, not full");
    let mut granted = 0;
    while began.elapsed() < Duration::from_millis(300) {
        granted += one(&mut a, rate(1, 1_000_000, 50, 1000)).granted;
        granted += one(&mut b, rate(1, 1_000_000, 50, 3)).granted;
        a.wait(Duration::from_millis(3));
    }
    let most = began.elapsed().as_millis() as u32 + 1;
    assert!(granted <= most && granted >= 250, "{granted} of {most}");
    a.wait(Duration::from_millis(200));
    assert_eq!(one(&mut b, rate(1, 1_000_000, 50, 1000)).granted, 50, "no more than its size");
    let late = one(&mut a, rate(1, 1_000, 50, 10));
    assert!(late.granted == 0 && late.retry_after > Duration::from_millis(900), "{late:?}");
}

#[test]
fn a_node_that_went_by_its_share_empties_the_bucket() {
    let Some(server) = RedisServer::start() else { return };
    let mut redis = connected(&server, 1);
    one(&mut redis, rate(1, 1_000_000, 50, 0));
    redis.wait(Duration::from_millis(100));
    let emptied = Ask { empty_first: true, ..rate(1, 1_000_000, 50, 50) };
    assert_eq!(one(&mut redis, emptied).granted, 0);
    server.ask("FLUSHALL");
    assert_eq!(
        one(&mut redis, rate(1, 1_000_000, 50, 50)).granted,
        0,
        "what Redis lost is not granted again"
    );
}

#[test]
fn a_day_is_shared_given_back_and_begins_anew() {
    let Some(server) = RedisServer::start() else { return };
    let (mut a, mut b) = (connected(&server, 1), connected(&server, 2));
    assert_eq!(one(&mut a, day(7, 1, 60, 0)).granted, 60);
    let last = one(&mut b, day(7, 1, 60, 0));
    assert_eq!((last.granted, last.left), (40, 0));
    assert_eq!(one(&mut a, day(7, 1, 1, 0)).granted, 0);
    let back = one(&mut a, day(7, 1, 0, 20));
    assert_eq!((back.granted, back.left), (0, 20));
    assert_eq!(one(&mut b, day(7, 1, 60, 0)).granted, 20);
    assert_eq!(one(&mut b, day(7, 2, 60, 0)).granted, 60, "another day");
    let mixed = a.ask(&[day(8, 1, 5, 0), rate(9, 1_000, 5, 5), day(9, 1, 200, 0)]).expect("an answer");
    assert_eq!(mixed.iter().map(|answer| answer.granted).collect::<Vec<_>>(), [5, 0, 100]);
    assert_eq!(a.ask(&[]), Some(Vec::new()), "no question is a sign of life too");
}

#[test]
fn away_is_found_out_in_time_and_so_is_the_return() {
    let Some(mut server) = RedisServer::start() else { return };
    let mut redis = connected(&server, 1);
    one(&mut redis, rate(1, 1_000_000, 50, 0));
    server.stall();
    let asked = Instant::now();
    assert_eq!(redis.ask(&[rate(1, 1_000_000, 50, 10)]), None);
    assert!(asked.elapsed() < Duration::from_millis(200), "within the life of a lease");
    server.go_on();
    up(&mut redis);
    one(&mut redis, rate(1, 1_000_000, 50, 10));
    server.kill();
    assert_eq!(redis.ask(&[rate(1, 1_000_000, 50, 10)]), None);
    server.run();
    up(&mut redis);
    one(&mut redis, rate(1, 1_000_000, 50, 10));
}
