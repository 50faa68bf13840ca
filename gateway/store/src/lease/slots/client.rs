//! One round towards Redis: a connection of its own, so that nothing of the store's holds a renewal up.

use super::{Hold, SlotOwner, SlotReply, SlotRules, VendorAsk, VendorReply, WhenAway};
use crate::RedisOptions;
use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::ClientLike;
use fred::types::config::Config;
use fred::types::{Builder, ClusterHash, CustomCommand, Value};
use std::time::Duration;
use tokio::task::JoinHandle;

/// What Redis does in one round; sent whole each time, 8 KiB some times a second at most.
const SCRIPT: &str = include_str!("slots.lua");
/// Values that a reply gives for each slot.
const VALUES_PER_SLOT: usize = 5;

/// Why a round failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AskError {
    /// No answer in time.
    Late,
    /// Redis, or the way to it, says no.
    Refused(String),
    /// The answer is not that of this script.
    Garbled,
}

impl std::fmt::Display for AskError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AskError::Late => f.write_str("no answer in time"),
            AskError::Refused(reason) => f.write_str(reason),
            AskError::Garbled => f.write_str("an answer that is none"),
        }
    }
}

/// See the module. Blocks the thread that asks, for the time it is given at most.
pub struct SlotClient {
    runtime: tokio::runtime::Runtime,
    config: Config,
    prefix: String,
    up: Option<Up>,
}

struct Up {
    client: Client,
    router: JoinHandle<Result<(), Error>>,
}

impl Drop for Up {
    fn drop(&mut self) {
        self.router.abort();
    }
}

/// Whose clock a round goes by.
#[derive(Clone, Copy)]
pub(super) enum Clock<'a> {
    /// Redis's own.
    Server,
    /// A test's: milliseconds, and the life of the server.
    #[cfg_attr(not(test), expect(dead_code, reason = "only the contract test tells the time"))]
    Told(u64, &'a str),
}

impl SlotClient {
    /// Checks the address; connects with the first question.
    ///
    /// # Errors
    /// What is wrong with the address, without its secrets, or no thread of the system for the connection.
    pub fn new(redis: &RedisOptions) -> Result<SlotClient, String> {
        let config = crate::redis::parse_address(&redis.url)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        Ok(SlotClient { runtime, config, prefix: redis.key_prefix.clone(), up: None })
    }

    /// One round. Whatever goes wrong, the connection is given up, so that no answer comes late.
    ///
    /// # Errors
    /// [`AskError`]; Redis may have done what was asked all the same.
    pub fn ask(
        &mut self,
        rules: &SlotRules,
        asks: &[VendorAsk],
        within: Duration,
    ) -> Result<Vec<VendorReply>, AskError> {
        self.ask_at(rules, asks, within, Clock::Server)
    }

    pub(super) fn ask_at(
        &mut self,
        rules: &SlotRules,
        asks: &[VendorAsk],
        within: Duration,
        clock: Clock<'_>,
    ) -> Result<Vec<VendorReply>, AskError> {
        if asks.is_empty() {
            return Ok(Vec::new());
        }
        let arguments = arguments(&self.prefix, rules, asks, clock);
        let SlotClient { runtime, config, up, .. } = self;
        let asked = runtime.block_on(async {
            tokio::time::timeout(within, async {
                let up = match up {
                    Some(up) => up,
                    None => up.insert(connect(config, within).await?),
                };
                let eval = CustomCommand::new_static("EVAL", ClusterHash::FirstKey, false);
                up.client.custom::<Value, _>(eval, arguments).await
            })
            .await
        });
        let replies = match asked {
            Err(_) => Err(AskError::Late),
            Ok(Err(error)) => Err(AskError::Refused(error.details().to_owned())),
            Ok(Ok(reply)) => read(reply, asks.len()).ok_or(AskError::Garbled),
        };
        if replies.is_err() {
            self.up = None;
        }
        replies
    }
}

async fn connect(config: &Config, within: Duration) -> Result<Up, Error> {
    let mut builder = Builder::from_config(config.clone());
    builder.with_connection_config(|connection| {
        connection.connection_timeout = within;
        connection.internal_command_timeout = within;
        connection.max_command_attempts = 1;
        connection.tcp.nodelay = Some(true);
    });
    let client = builder.build()?;
    let router = client.connect();
    let up = Up { client, router };
    up.client.wait_for_connect().await?;
    Ok(up)
}

/// Decides which of several nodes gets a slot more; small enough for a number of Lua.
pub(super) fn rank_of(vendor: relay::VendorId) -> u32 {
    vendor.spread() as u32
}

/// Name of a vendor's hash.
fn key(prefix: &str, ask: &VendorAsk) -> String {
    format!("{prefix}slots:{:032x}", ask.vendor.0)
}

fn arguments(prefix: &str, rules: &SlotRules, asks: &[VendorAsk], clock: Clock<'_>) -> Vec<Value> {
    let mut arguments: Vec<Value> = vec![SCRIPT.into(), (asks.len() as i64).into()];
    arguments.extend(asks.iter().map(|ask| key(prefix, ask).into()));
    let (now, run) = match clock {
        Clock::Server => (String::new(), ""),
        Clock::Told(now, run) => (now.to_string(), run),
    };
    let flag = |flag: bool| Value::from(if flag { "1" } else { "0" });
    let milliseconds = |time: Duration| Value::from(time.as_millis() as i64);
    arguments.extend([
        rules.member().into(),
        rules.address.as_str().into(),
        milliseconds(rules.life),
        milliseconds(rules.grace),
        milliseconds(rules.patience),
        flag(rules.when_away == WhenAway::Keep),
        now.into(),
        run.into(),
    ]);
    for ask in asks {
        let numbers = [i64::from(rank_of(ask.vendor)), i64::from(ask.total)];
        arguments.extend(numbers.map(Value::from));
        arguments.extend([flag(ask.takes), (ask.turn as i64).into()]);
        for holds in [&ask.held, &ask.released] {
            arguments.push((holds.len() as i64).into());
            let values = holds.iter().flat_map(|hold| [i64::from(hold.slot), hold.fence as i64]);
            arguments.extend(values.map(Value::from));
        }
    }
    arguments
}

fn read(reply: Value, vendors: usize) -> Option<Vec<VendorReply>> {
    let Value::Array(replies) = reply else { return None };
    let replies: Option<Vec<VendorReply>> = replies.iter().map(read_vendor).collect();
    replies.filter(|replies| replies.len() == vendors)
}

fn read_vendor(reply: &Value) -> Option<VendorReply> {
    let Value::Array(values) = reply else { return None };
    let (closed, slots) = values.split_first()?;
    let (slots, rest) = slots.as_chunks::<VALUES_PER_SLOT>();
    let slots: Option<Vec<SlotReply>> = slots.iter().map(read_slot).collect();
    let closed_for = Duration::from_millis(closed.as_u64()?);
    rest.is_empty().then_some(VendorReply { closed_for, slots: slots? })
}

fn read_slot([slot, fence, whose, node, address]: &[Value; VALUES_PER_SLOT]) -> Option<SlotReply> {
    let hold = Hold { slot: u32::try_from(slot.as_u64()?).ok()?, fence: fence.as_u64()? };
    let owner = match whose.as_u64()? {
        0 => SlotOwner::Nobody,
        1 => SlotOwner::Mine { give_up: false },
        2 => SlotOwner::Mine { give_up: true },
        3 => SlotOwner::Other { node: u8::try_from(node.as_u64()?).ok()?, address: address.as_string()? },
        _ => return None,
    };
    Some(SlotReply { hold, owner })
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn an_answer_that_is_none_is_not_believed() {
        let slot = |whose: i64| {
            [Value::from(0), Value::from("7"), Value::from(whose), Value::from(1), Value::from("a:1")]
        };
        let vendor = |slots: &[[Value; 5]]| {
            Value::Array(std::iter::once(Value::from(5)).chain(slots.concat()).collect())
        };
        let check = |reply: Value, expected: Option<usize>| {
            let slots = read(reply, 1).map(|replies| replies[0].slots.len());
            assert_eq!(slots, expected);
        };
        check(Value::Array(vec![vendor(&[])]), Some(0));
        check(Value::Array(vec![vendor(&[slot(0), slot(3)])]), Some(2));
        check(Value::Array(vec![vendor(&[slot(4)])]), None);
        check(Value::Array(vec![]), None);
        check(Value::Array(vec![Value::Array(vec![])]), None);
        check(Value::Array(vec![Value::Array(vec![Value::from(0), Value::from(1)])]), None);
        check(Value::from("OK"), None);
    }
}
