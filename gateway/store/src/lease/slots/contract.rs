//! The script on a real Redis says and does what the model of the tests does, step by step, in random stories.

use super::client::Clock;
use super::model::Server;
use super::{Hold, SlotClient, SlotOwner, SlotRules, VendorAsk, VendorReply, WhenAway};
use crate::RedisOptions;
use redis_server::RedisServer;
use relay::VendorId;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(10);
const LIFE: u64 = 3_000;

/// A small generator; the seed is in every message.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn rules(node: u8, tag: u64, when_away: WhenAway) -> SlotRules {
    SlotRules {
        node,
        life_tag: tag,
        address: format!("10.0.0.{node}:2775"),
        life: Duration::from_millis(LIFE),
        grace: Duration::from_millis(1_000),
        patience: Duration::from_millis(2_000),
        when_away,
    }
}

/// What one node believes; here it is often wrong on purpose.
#[derive(Default)]
struct Belief {
    held: Vec<Vec<Hold>>,
}

fn question(dice: &mut Dice, belief: &Belief, totals: &[u32], step: u64) -> Vec<VendorAsk> {
    let turn = if dice.below(30) == 0 { step.saturating_sub(5) } else { step };
    let mut asks = Vec::new();
    for (at, total) in totals.iter().enumerate() {
        let mut held = belief.held.get(at).cloned().unwrap_or_default();
        let mut released = Vec::new();
        match dice.below(8) {
            0 if !held.is_empty() => released.push(held.remove(0)),
            1 => held.clear(),
            2 => held.push(Hold { slot: dice.below(4) as u32, fence: dice.below(1 << 42) }),
            _ => {}
        }
        let takes = dice.below(10) > 0;
        let total = if dice.below(20) == 0 { total / 2 } else { *total };
        asks.push(VendorAsk { vendor: VendorId(40 + at as u128), total, takes, turn, held, released });
    }
    asks
}

fn mine(reply: &VendorReply) -> Vec<Hold> {
    let mine = reply.slots.iter().filter(|slot| matches!(slot.owner, SlotOwner::Mine { .. }));
    mine.map(|slot| slot.hold).collect()
}

/// Slots that were the asker's, that were to be given up, and that were another's.
type Seen = [usize; 3];

fn note(seen: &mut Seen, reply: &VendorReply) {
    for slot in &reply.slots {
        match slot.owner {
            SlotOwner::Mine { give_up: false } => seen[0] += 1,
            SlotOwner::Mine { give_up: true } => seen[1] += 1,
            SlotOwner::Other { .. } => seen[2] += 1,
            SlotOwner::Nobody => {}
        }
    }
}

fn story(client: &mut SlotClient, server: &RedisServer, seed: u64, seen: &mut Seen) {
    server.ask("FLUSHALL");
    let mut dice = Dice(seed);
    let mut model = Server::default();
    let (mut now, mut run) = (1_700_000_000_000, 0);
    let mut nodes: Vec<(SlotRules, Belief)> = (1..=3)
        .map(|node| {
            let when_away = if dice.below(4) == 0 { WhenAway::Keep } else { WhenAway::Release };
            (rules(node, u64::from(node), when_away), Belief::default())
        })
        .collect();
    for step in 1..=120 {
        now += match dice.below(24) {
            0 => dice.below(20_000),
            1 => 0,
            _ => dice.below(LIFE / 5),
        };
        match dice.below(40) {
            0 => now -= 5_000,
            1 => run += 1,
            2 => {
                server.ask("FLUSHALL");
                model = Server::default();
            }
            3 => nodes[0].0.life_tag += 10, // another life of the node
            _ => {}
        }
        let (rules, belief) = &mut nodes[dice.below(3) as usize];
        let asks = question(&mut dice, belief, &[2, 5], step);
        let life = format!("{run:x}");
        let said = client.ask_at(rules, &asks, WITHIN, Clock::Told(now, &life));
        let expected = model.ask(rules, &asks, now, &life).ok_or(super::AskError::Garbled);
        assert_eq!(said, expected, "seed {seed}, step {step}: {asks:?} of {} at {now}", rules.member());
        let Ok(said) = said else { continue };
        belief.held = said.iter().map(mine).collect();
        said.iter().for_each(|reply| note(seen, reply));
    }
}

#[test]
fn the_script_is_as_the_model_says() {
    let Some(server) = RedisServer::start() else { return };
    let mut client = SlotClient::new(&RedisOptions::new(&server.url())).expect("an address");
    let mut seen = Seen::default();
    (1..=25).for_each(|seed| story(&mut client, &server, seed, &mut seen));
    assert!(seen[0] > 1_000 && seen[1] > 50 && seen[2] > 1_000, "the stories are about slots: {seen:?}");
}

fn empty(turn: u64) -> [VendorAsk; 1] {
    [VendorAsk { vendor: VendorId(7), total: 2, takes: true, turn, held: vec![], released: vec![] }]
}

#[test]
fn it_knows_the_time_and_the_life_of_its_server() {
    let Some(server) = RedisServer::start() else { return };
    let mut client = SlotClient::new(&RedisOptions::new(&server.url())).expect("an address");
    let rules = SlotRules { life: Duration::from_secs(60), ..rules(1, 1, WhenAway::Release) };
    for turn in 1..3 {
        let replies = client.ask(&rules, &empty(turn), WITHIN).expect("an answer");
        let closed = replies[0].closed_for;
        assert!(closed > Duration::from_secs(50) && closed <= Duration::from_secs(61), "{closed:?}");
        assert_eq!(replies[0].slots, [], "nobody takes one from an empty table");
    }
}

#[test]
fn a_redis_that_stands_still_costs_no_more_than_its_time_and_is_asked_again() {
    let Some(server) = RedisServer::start() else { return };
    let mut client = SlotClient::new(&RedisOptions::new(&server.url())).expect("an address");
    let rules = rules(1, 1, WhenAway::Release);
    assert!(client.ask(&rules, &empty(1), WITHIN).is_ok());
    server.stall();
    let began = std::time::Instant::now();
    assert_eq!(client.ask(&rules, &empty(2), Duration::from_millis(100)), Err(super::AskError::Late));
    assert!(began.elapsed() < Duration::from_secs(2));
    server.go_on();
    assert!(client.ask(&rules, &empty(3), WITHIN).is_ok());
}
