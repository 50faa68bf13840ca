//! What Redis says of itself when a node connects: what it cannot be used with is refused by name, what loses data is told.

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::ClientLike;
use fred::types::{ClusterHash, CustomCommand, Value};

/// The oldest version with all commands that are used: XAUTOCLAIM.
const VERSION_MIN: (u32, u32) = (6, 2);

/// Settings of Redis that lose what is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Traits {
    /// Drops keys when its memory is used up.
    pub(super) evicts: bool,
    /// Keeps no log: what is there is gone, or minutes old, after a restart.
    pub(super) forgets: bool,
}

impl Traits {
    pub(super) fn tell(self, place: &str) {
        if self.evicts {
            tracing::warn!(
                %place,
                "Redis evicts keys when its memory is used up: correlations and parked receipts are lost then; \
                 set maxmemory-policy noeviction"
            );
        }
        if self.forgets {
            tracing::warn!(
                %place,
                "Redis keeps no append-only file: a restart of it loses correlations and parked receipts; \
                 set appendonly yes"
            );
        }
    }
}

/// Asks. Where INFO is not allowed nothing is said.
pub(super) async fn ask(client: &Client) -> Result<Traits, Error> {
    let command = CustomCommand::new_static("INFO", ClusterHash::Random, false);
    match client.custom::<Value, _>(command, Vec::<Value>::new()).await {
        Ok(text) => {
            judge(&text.into_string().unwrap_or_default()).map_err(|why| Error::new(ErrorKind::Config, why))
        }
        Err(error) if error.details().starts_with("NOPERM") => {
            tracing::warn!("INFO is not allowed: Redis's settings are not checked");
            Ok(Traits::default())
        }
        Err(error) => Err(error),
    }
}

/// What follows from its words; why it cannot be used.
fn judge(text: &str) -> Result<Traits, String> {
    let value =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    if value("cluster_enabled") == Some("1") || value("redis_mode") == Some("cluster") {
        return Err(
            "it is a cluster (cluster-enabled yes): a single Redis, or one with replicas, is needed".into()
        );
    }
    let version = value("redis_version").unwrap_or_default();
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    if let (Some(major), Some(minor)) = (numbers.next(), numbers.next())
        && (major, minor) < VERSION_MIN
    {
        return Err(format!(
            "it is version {version}: {}.{} or later is needed",
            VERSION_MIN.0, VERSION_MIN.1
        ));
    }
    let has_bound = value("maxmemory").is_some_and(|octets| octets != "0");
    Ok(Traits {
        evicts: has_bound && value("maxmemory_policy").is_some_and(|policy| policy != "noeviction"),
        forgets: value("aof_enabled") == Some("0"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loses_data_is_told_and_what_cannot_be_used_refused() {
        let check = |text: &str, expected: Result<(bool, bool), &str>| {
            let judged = judge(&text.replace(' ', "\r\n"));
            match (judged, expected) {
                (Ok(traits), Ok(expected)) => assert_eq!((traits.evicts, traits.forgets), expected, "{text}"),
                (Err(why), Err(word)) => assert!(why.contains(word), "{text}: {why}"),
                (judged, expected) => panic!("{text}: {judged:?}, {expected:?}"),
            }
        };
        check(
            "redis_version:7.0.15 cluster_enabled:0 maxmemory:0 maxmemory_policy:noeviction aof_enabled:1",
            Ok((false, false)),
        );
        check(
            "redis_version:6.2.0 maxmemory:1000 maxmemory_policy:allkeys-lru aof_enabled:1",
            Ok((true, false)),
        );
        check(
            "redis_version:8.0.1 maxmemory:0 maxmemory_policy:allkeys-lru aof_enabled:0",
            Ok((false, true)),
        );
        check("redis_version:6.0.16 aof_enabled:1", Err("6.0.16"));
        check("redis_version:7.2.4 cluster_enabled:1", Err("cluster-enabled"));
        check("redis_version:7.2.4 redis_mode:cluster", Err("cluster"));
        check("", Ok((false, false)));
    }
}
