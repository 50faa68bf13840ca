//! Redis as the keeper of tokens: one script for all limits of an exchange, by the clock of the server alone.

use crate::RedisOptions;
use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::ClientLike;
use fred::types::config::Config;
use fred::types::{Builder, ClusterHash, CustomCommand, RespVersion, Value};
use relay::{Answer, Ask, AskKind};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How long one exchange may take: within the life of a lease, so that the node goes by its share in time.
const EXCHANGE_MAX: Duration = Duration::from_millis(150);
/// How long a connection may take to be usable.
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// Pause before another attempt. Short, since nodes that come back one after the other pass more than they should
/// together until the last one is there.
const PAUSE: Duration = Duration::from_millis(50);

/// See the module.
pub(super) struct RatesRedis {
    runtime: tokio::runtime::Runtime,
    config: Config,
    prefix: String,
    node: u8,
    state: State,
    /// When it was lost, for the log.
    away_since: Option<Instant>,
}

enum State {
    Up(Up),
    Trying(JoinHandle<Result<Up, Error>>),
    Pausing(Instant),
}

struct Up {
    client: Client,
    router: JoinHandle<Result<(), Error>>,
    script: Value,
}

impl Drop for Up {
    fn drop(&mut self) {
        self.router.abort();
    }
}

impl RatesRedis {
    pub(super) fn new(options: &RedisOptions, node: u8) -> Result<RatesRedis, String> {
        let mut config = crate::redis::parse_address(&options.url)?;
        config.version = RespVersion::RESP3;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(RatesRedis {
            runtime: runtime.map_err(|error| error.to_string())?,
            config,
            prefix: options.key_prefix.clone(),
            node,
            state: State::Pausing(Instant::now()),
            away_since: None,
        })
    }

    /// Waits, while the connection does its work.
    pub(super) fn wait(&mut self, time: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(time).await });
    }

    /// Goes on with connecting, without waiting. Whether there is a connection.
    pub(super) fn drive(&mut self) -> bool {
        match &mut self.state {
            State::Up(up) if up.router.is_finished() => self.lose("the connection was closed"),
            State::Up(_) => return true,
            State::Pausing(until) if *until <= Instant::now() => {
                self.state = State::Trying(self.runtime.spawn(connect(self.config.clone())));
            }
            State::Trying(attempt) if attempt.is_finished() => match self.runtime.block_on(attempt) {
                Ok(Ok(up)) => {
                    if let Some(since) = self.away_since.take() {
                        tracing::info!(away = ?since.elapsed(), "limits are leased from Redis again");
                    }
                    self.state = State::Up(up);
                    return true;
                }
                Ok(Err(error)) => self.lose(error.details()),
                Err(_) => self.lose("the attempt to connect panicked"),
            },
            State::Pausing(_) | State::Trying(_) => {}
        }
        false
    }

    /// One exchange. Nothing when there was no answer in time, or none that is one: then the connection is given up,
    /// so that nothing of it can come late.
    pub(super) fn ask(&mut self, asks: &[Ask]) -> Option<Vec<Answer>> {
        let State::Up(up) = &self.state else { return None };
        let mut arguments = vec![up.script.clone(), Value::from(asks.len() as i64)];
        arguments.extend(asks.iter().map(|ask| Value::from(self.key(ask))));
        arguments.push(Value::from(i64::from(self.node)));
        for ask in asks {
            let (kind, most, second) = match ask.kind {
                AskKind::Rate { rate_milli, bucket } => ("r", u64::from(bucket), rate_milli),
                AskKind::Day { cap, .. } => ("d", u64::from(cap), u64::from(ask.back)),
            };
            arguments.push(Value::from(kind));
            arguments.extend(
                [most, second, ask.wanted.into(), ask.empty_first.into()]
                    .map(|number| Value::from(number as i64)),
            );
        }
        let command = CustomCommand::new_static("EVALSHA", ClusterHash::FirstKey, false);
        let client = &up.client;
        let reply = self.runtime.block_on(async {
            tokio::time::timeout(EXCHANGE_MAX, client.custom::<Vec<i64>, _>(command, arguments)).await
        });
        match reply {
            Ok(Ok(numbers)) if numbers.len() == 4 * asks.len() => return Some(answers(&numbers)),
            Ok(Ok(_)) => self.lose("an answer of another length"),
            Ok(Err(error)) => self.lose(error.details()),
            Err(_) => self.lose("no answer in time"),
        }
        None
    }

    fn key(&self, ask: &Ask) -> String {
        match ask.kind {
            AskKind::Rate { .. } => format!("{}rate:{:016x}", self.prefix, ask.id.0),
            AskKind::Day { day, .. } => format!("{}day:{day}:{:016x}", self.prefix, ask.id.0),
        }
    }

    fn lose(&mut self, reason: &str) {
        if self.away_since.is_none() {
            self.away_since = Some(Instant::now());
            tracing::warn!(reason, "no leases from Redis: limits follow their policy until it is back");
        }
        self.state = State::Pausing(Instant::now() + PAUSE);
    }
}

fn answers(numbers: &[i64]) -> Vec<Answer> {
    let small = |number: i64| u32::try_from(number).unwrap_or(0);
    let (answers, _) = numbers.as_chunks::<4>();
    let answer = |[granted, wait, share, left]: &[i64; 4]| Answer {
        granted: small(*granted),
        retry_after: Duration::from_micros(u64::try_from(*wait).unwrap_or(0)),
        share_ppm: small(*share),
        left: small(*left),
    };
    answers.iter().map(answer).collect()
}

async fn connect(config: Config) -> Result<Up, Error> {
    let mut builder = Builder::from_config(config);
    builder.with_connection_config(|connection| {
        connection.connection_timeout = CONNECT_MAX;
        connection.internal_command_timeout = CONNECT_MAX;
        connection.max_command_attempts = 1;
        connection.tcp.nodelay = Some(true);
    });
    let client = builder.build()?;
    let router = client.connect();
    let mut up = Up { client, router, script: Value::Null };
    let ready = async {
        up.client.wait_for_connect().await?;
        let load = CustomCommand::new_static("SCRIPT", ClusterHash::Random, false);
        up.script = up.client.custom(load, vec![Value::from("LOAD"), Value::from(TAKE)]).await?;
        Ok(())
    };
    match tokio::time::timeout(CONNECT_MAX, ready).await {
        Ok(ready) => ready.map(|()| up),
        Err(_) => Err(Error::new(ErrorKind::Timeout, "no answer in time")),
    }
}

/// Keys: one a limit. Arguments: number of the node, then for each key what it is, and four numbers: `r`, the bucket's
/// size, thousandths of a token a second, tokens wanted, whether the bucket is to be emptied first; `d`, the day's cap,
/// tokens given back, tokens wanted, nothing. Gives four numbers a key: tokens granted, microseconds to the next one,
/// millionths of all tokens of the last whole window that this node got, and what is left of the day.
///
/// Tokens are counted in thousand-millionths, so that a thousandth of a token a second is one of them in a microsecond
/// and no part is lost. A bucket that is not there is empty: what Redis lost is not granted a second time. A clock that
/// went back adds nothing until it has caught up, two seconds at most.
const TAKE: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local window = math.floor(now / 10000000)
local node, out = 'n' .. ARGV[1], {}
for i = 1, #KEYS do
  local key, at = KEYS[i], 5 * i - 3
  local most, second = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local wanted = tonumber(ARGV[at + 3])
  local granted, wait, share, left = 0, 0, 0, 0
  if ARGV[at] == 'd' then
    local used = math.max(0, tonumber(redis.call('GET', key) or '0') - second)
    granted = math.max(0, math.min(wanted, most - used))
    redis.call('SET', key, string.format('%.0f', used + granted), 'EX', 180000)
    left = math.max(0, most - used - granted)
  else
    local has = redis.call('HMGET', key, 't', 'u', 'w', 's', 'p', node)
    local tokens, used_at = tonumber(has[1] or '0'), tonumber(has[2] or now)
    if used_at > now + 2000000 then used_at = now end
    if now > used_at then
      tokens = math.min(most * 1e9, tokens + second * (now - used_at))
      used_at = now
    end
    if ARGV[at + 4] == '1' then tokens = 0 end
    granted = math.min(wanted, math.floor(tokens / 1e9))
    tokens = tokens - granted * 1e9
    if tokens < 1e9 then wait = math.ceil((1e9 - tokens) / second) end
    local of, sum, before = tonumber(has[3] or window), tonumber(has[4] or '0'), tonumber(has[5] or '0')
    if of ~= window then
      before = of == window - 1 and sum or 0
      sum = 0
    end
    local mine, mine_of, mine_before = 0, window, 0
    if has[6] then
      mine_of, mine, mine_before = string.match(has[6], '(%d+) (%d+) (%d+)')
      mine_of, mine, mine_before = tonumber(mine_of), tonumber(mine), tonumber(mine_before)
      if mine_of ~= window then
        mine_before = mine_of == window - 1 and mine or 0
        mine = 0
      end
    end
    if before > 0 then share = math.floor(mine_before * 1000000 / before) end
    local text = string.format
    redis.call('HSET', key, 't', text('%.0f', tokens), 'u', text('%.0f', used_at), 'w', text('%.0f', window),
      's', text('%.0f', sum + granted), 'p', text('%.0f', before),
      node, text('%.0f %.0f %.0f', window, mine + granted, mine_before))
    redis.call('EXPIRE', key, text('%.0f', math.min(2592000, math.max(3600, math.ceil(4000 * most / second)))))
  end
  out[#out + 1] = granted
  out[#out + 1] = wait
  out[#out + 1] = share
  out[#out + 1] = left
end
return out
";
