//! Limits over shards and nodes on a virtual clock: whatever the demand and whatever happens to those who grant, never
//! more passes than `rate * t + burst` in any interval, and where demand exceeds the rate at least 95 % of it is used.
//!
//! The relays, the pools and the leases are those of the program; only the words are plain and Redis is a model of its
//! script (`keeper.rs`). Replay one story with `LIMITS_SEED=7 cargo test -p gateway-relay --test limits one_seed`.

mod keeper;
mod world;

use gateway_relay::WhenAway;
use world::{Demand, Outage, Story, World};

const SHARDS: [u8; 3] = [1, 2, 4];
const NODES: [u32; 3] = [1, 2, 3];

fn story(shards: u8, nodes: u32) -> Story {
    Story {
        shards,
        nodes,
        nodes_max: if nodes == 1 { 0 } else { nodes },
        rate: 1000,
        burst: 100,
        demand: Demand::Even,
        demand_tenths: 15,
        outages: Vec::new(),
        when_away: WhenAway::Share,
        millis: 4_000,
        quiet_millis: 0,
        seed: 1,
    }
}

/// Runs a story and judges it.
fn told(story: Story) -> World {
    let mut world = World::new(story);
    world.run();
    world.judge();
    world
}

#[test]
fn each_number_of_shards_and_nodes_keeps_the_bound_and_uses_the_rate() {
    for shards in SHARDS {
        for nodes in NODES {
            for demand in [Demand::Even, Demand::OneShard, Demand::OneNode, Demand::Moving] {
                for (rate, burst) in [(100, 20), (1000, 100), (5000, 500)] {
                    let world = told(Story { demand, rate, burst, ..story(shards, nodes) });
                    world.judge_use(95);
                }
            }
        }
    }
}

#[test]
fn one_node_with_redis_is_no_worse() {
    for shards in SHARDS {
        let world = told(Story { nodes_max: 3, ..story(shards, 1) });
        world.judge_use(95);
    }
}

#[test]
fn below_the_rate_everything_passes() {
    // But at the start, where the bucket in Redis begins empty.
    for (nodes, demand) in [(1, Demand::Even), (3, Demand::Even), (3, Demand::OneShard)] {
        let world = told(Story { demand, demand_tenths: 8, rate: 1000, burst: 200, ..story(2, nodes) });
        world.judge_served(98);
    }
}

#[test]
fn slow_limits_are_kept_and_used() {
    for (nodes, rate_milli) in [(1, 1_250), (3, 1_250), (1, 250), (3, 4_000)] {
        let mut world = World::slow(Story { burst: 12, millis: 120_000, ..story(2, nodes) }, rate_milli);
        world.run();
        world.judge();
        world.judge_use(95);
    }
}

#[test]
fn redis_away_follows_the_policy() {
    let outages = vec![Outage::away(1_000, 3_000)];
    let with = |when_away, demand| told(Story { when_away, demand, outages: outages.clone(), ..story(2, 3) });
    let away = 1_300..2_900;
    let full = |world: &World| world.used_percent(away.clone());
    let share = with(WhenAway::Share, Demand::Even);
    assert!((95..=102).contains(&full(&share)), "{}", full(&share));
    let skewed = with(WhenAway::Share, Demand::OneShard);
    assert!((31..=35).contains(&full(&skewed)), "a third: {}", full(&skewed));
    let last = with(WhenAway::Last, Demand::OneShard);
    assert!((90..=102).contains(&full(&last)), "what it had before: {}", full(&last));
    let closed = with(WhenAway::Closed, Demand::Even);
    assert_eq!(full(&closed), 0);
    for world in [&share, &skewed, &last, &closed] {
        let back = world.used_percent(3_300..4_000);
        assert!(back >= 95, "it recovers: {back}");
    }
    let mut open = World::new(Story { when_away: WhenAway::Open, outages, ..story(2, 3) });
    open.run();
    assert!(open.used_percent(away) > 140, "everything passes");
    assert!((95..=105).contains(&open.used_percent(3_300..4_000)));
}

#[test]
fn redis_emptied_or_slow_breaks_no_bound() {
    for outage in [Outage::emptied(1_500), Outage::stalled(1_000, 1_120), Outage::stalled(1_000, 2_000)] {
        let world = told(Story { outages: vec![outage], ..story(2, 3) });
        world.judge_use(85);
    }
}

/// What the bucket in Redis gained while nodes went by their shares was spent by them already. It shows where the bucket
/// is larger than what the rate brings while leases lapse.
#[test]
fn shares_are_not_granted_a_second_time() {
    for length in [500, 1_000, 1_500] {
        let outages = vec![Outage::away(2_500, 2_500 + length)];
        let quiet = Story { burst: 1_000, demand_tenths: 40, quiet_millis: 1_500, ..story(2, 3) };
        told(Story { outages, millis: 5_000, ..quiet });
    }
}

fn random(seed: u64) -> World {
    let mut number = seed;
    let mut draw = |below: u64| {
        number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = number;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % below
    };
    let nodes = 1 + draw(3) as u32;
    let mut outages = Vec::new();
    if nodes > 1 {
        for _ in 0..draw(3) {
            let at = draw(2_500);
            let length = 20 + draw(1_000);
            outages.push(match draw(3) {
                0 => Outage::away(at, at + length),
                1 => Outage::stalled(at, at + length),
                _ => Outage::emptied(at),
            });
        }
    }
    let rate = [20, 100, 700, 3000][draw(4) as usize];
    told(Story {
        shards: [1, 2, 4][draw(3) as usize],
        nodes,
        nodes_max: if nodes == 1 { 0 } else { nodes },
        rate,
        burst: (rate / [1, 4, 10][draw(3) as usize]).max(1),
        demand: [Demand::Even, Demand::OneShard, Demand::OneNode, Demand::Moving][draw(4) as usize],
        demand_tenths: 5 + draw(25),
        outages,
        when_away: [WhenAway::Share, WhenAway::Closed][draw(2) as usize],
        millis: 3_000,
        quiet_millis: draw(3) * 500,
        seed,
    })
}

#[test]
fn no_story_breaks_the_bound() {
    for seed in 0..60 {
        random(seed);
    }
}

#[test]
fn one_seed() {
    let seed = std::env::var("LIMITS_SEED").ok().and_then(|seed| seed.parse().ok());
    random(seed.unwrap_or(0));
}
