//! Words with Redis about node ids: one script, a connection for each, since they are seconds apart.

use super::{NodeIdOptions, Wanted};
use crate::RedisOptions;
use fred::error::{Error, ErrorKind};
use fred::interfaces::ClientLike;
use fred::types::config::Config;
use fred::types::{Builder, ClusterHash, CustomCommand, Value};
use std::time::Duration;

/// What Redis does.
const SCRIPT: &str = include_str!("node_id.lua");
/// How long one word may take, the connection included.
const WORD_MAX: Duration = Duration::from_secs(3);

/// What Redis says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Word {
    /// This number is the asker's.
    Yours {
        number: u8,
        /// No id was given of a later second.
        second: u64,
    },
    /// It is another node's.
    Taken { number: u8, holder: String, silent_for: Duration },
    /// All are others'.
    NoneFree,
}

/// Asks for one node.
pub(super) struct Asker {
    runtime: tokio::runtime::Runtime,
    config: Config,
    key: String,
    identity: String,
    quiet: Duration,
    holder: String,
}

impl Asker {
    pub(super) fn new(
        redis: &RedisOptions,
        identity: u128,
        options: &NodeIdOptions,
    ) -> Result<Asker, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Asker {
            runtime: runtime.map_err(|error| error.to_string())?,
            config: crate::redis::parse_address(&redis.url)?,
            key: format!("{}node-ids", redis.key_prefix),
            identity: format!("{identity:032x}"),
            quiet: options.quiet,
            holder: options.holder.clone(),
        })
    }

    /// Takes a number: the wanted one, else that of last time, else any that is free.
    pub(super) fn take(&mut self, wanted: Wanted, own: Option<u8>, second: u64) -> Result<Word, String> {
        let number = match wanted {
            Wanted::Number(number) => Some(number),
            Wanted::Auto => None,
        };
        self.ask("take", number, own, second)
    }

    pub(super) fn renew(&mut self, number: u8, second: u64) -> Result<Word, String> {
        self.ask("renew", Some(number), None, second)
    }

    pub(super) fn give_back(&mut self, number: u8, second: u64) -> Result<Word, String> {
        self.ask("back", Some(number), None, second)
    }

    fn ask(&mut self, what: &str, number: Option<u8>, own: Option<u8>, second: u64) -> Result<Word, String> {
        let text = |number: Option<u8>| number.map(|number| number.to_string()).unwrap_or_default();
        let quiet = self.quiet.as_millis().to_string();
        let arguments: Vec<Value> = [
            SCRIPT,
            "1",
            &self.key,
            what,
            &self.identity,
            &quiet,
            &second.to_string(),
            &self.holder,
            &text(number),
            &text(own),
        ]
        .map(Value::from)
        .into();
        let config = self.config.clone();
        let reply = self.runtime.block_on(async {
            let asked = tokio::time::timeout(WORD_MAX, ask_once(config, arguments)).await;
            asked.unwrap_or_else(|_| Err(Error::new(ErrorKind::Timeout, "no answer in time")))
        });
        let reply = reply.map_err(|error| error.details().to_string())?;
        word(&reply).ok_or_else(|| "an answer that is none".to_string())
    }
}

async fn ask_once(config: Config, arguments: Vec<Value>) -> Result<Vec<Value>, Error> {
    let mut builder = Builder::from_config(config);
    builder.with_connection_config(|connection| {
        connection.connection_timeout = WORD_MAX;
        connection.internal_command_timeout = WORD_MAX;
        connection.max_command_attempts = 1;
    });
    let client = builder.build()?;
    let router = client.connect();
    let asked = async {
        client.wait_for_connect().await?;
        let command = CustomCommand::new_static("EVAL", ClusterHash::FirstKey, false);
        client.custom(command, arguments).await
    };
    let reply = asked.await;
    router.abort();
    reply
}

fn word(reply: &[Value]) -> Option<Word> {
    let number = |at: usize| reply.get(at).and_then(Value::as_u64);
    match reply.first()?.as_i64()? {
        1 => Some(Word::Yours { number: u8::try_from(number(1)?).ok()?, second: number(2)? }),
        0 => Some(Word::Taken {
            number: u8::try_from(number(1)?).ok()?,
            holder: reply.get(2)?.as_string()?,
            silent_for: Duration::from_millis(number(3)?),
        }),
        _ => Some(Word::NoneFree),
    }
}
