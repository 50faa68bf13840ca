//! The control plane: configuration, authentication, metrics, HTTP, signals and the order of a drain.
//!
//! ```text
//!   file, environment --config--> Plan, StoreOptions, credentials          (before anything starts)
//!
//!        shards' reports, the store's, the pool's            shard i: Notice          SIGTERM, SIGINT
//!                 | every scrape                                |    ^ Directive         |
//!                 v                                             v    |                   v
//!   +----------------------- one control thread, not pinned: a current-thread tokio ------------------+
//!   |  http: /livez /readyz /metrics /state /api/v1  desks: binds' questions      signals: drain, in order |
//!   +-------------------------------------------------------|------------------------------------------+
//!                                                           v  bounded queue
//!                                                   auth-0..n: password hashing
//! ```
//!
//! A new configuration comes by SIGHUP or from another source, and goes by `publish` to the pool and, by the desks, to the
//! shards. Nothing on the message path waits for anything here.
#![forbid(unsafe_code)]

pub mod auth;
pub mod cdr;
pub mod config;
pub mod descriptors;
mod desk;
mod drain;
mod explain;
mod http;
mod http_port;
pub mod memory;
mod messages;
pub mod metrics;
pub mod names;
pub mod publish;
mod schema;
mod signals;
pub mod slots;
pub mod source;
mod thread;

pub use config::{Built, Config, Mistake, Report, build, load};
pub use desk::ShardDesk;
pub use drain::{DrainOptions, Phase};
pub use explain::{RouteAsked, RouteExplained, explain_route};
pub use messages::Messages;
pub use publish::{ConfigState, PublishOptions, Publisher};
pub use schema::{MigrateError, migrate};
pub use thread::{ControlOptions, ControlThread, start};

#[cfg(test)]
mod documents {
    //! The generated references are as the program says; `UPDATE_DOCS=1` writes them anew.

    use std::path::Path;

    fn check(name: &str, expected: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, expected).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == expected,
            "{} is out of date: run UPDATE_DOCS=1 cargo test -p gateway-control documents",
            path.display()
        );
    }

    #[test]
    fn settings() {
        check("settings.md", &crate::config::settings_document());
    }

    #[test]
    fn metrics() {
        check("metrics.md", &crate::metrics::metrics_document());
    }
}
