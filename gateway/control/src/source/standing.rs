//! Where the configuration stands: which version is in force, since when, and what was refused since. One writer (the
//! start, then the task that looks), any number of readers, who get copies.

use super::database::Version;
use crate::config::Mistake;
use arc_swap::ArcSwap;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Where the version in force was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the file of the node.
    File,
    /// In the database.
    Postgres,
    /// In the last good version on disk, since the database was away or held a wrong one.
    LastGood,
}

impl Origin {
    /// As it is shown.
    pub fn label(self) -> &'static str {
        match self {
            Origin::File => "file",
            Origin::Postgres => "postgres",
            Origin::LastGood => "last_good",
        }
    }
}

/// A version that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Which, and whose.
    pub version: Version,
    /// When it was refused, seconds since 1970.
    pub at: u64,
    /// Everything that is wrong with it.
    pub mistakes: Vec<Mistake>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The version in force, and whose it is.
    pub version: Version,
    /// When this node took it, seconds since 1970.
    pub taken_at: u64,
    /// Where it was read.
    pub origin: Origin,
    /// The version that was refused last, until a newer one is taken.
    pub rejection: Option<Rejection>,
    /// Versions refused by this process.
    pub rejected: u64,
    /// Why the source cannot be looked at now, if so.
    pub away: Option<String>,
    /// Monotonic clock, nanoseconds, at the last look that succeeded, or at the start; 0 for a file.
    pub looked_at_ns: u64,
}

/// The newest copy.
pub type StandingView = Arc<ArcSwap<Standing>>;

impl Standing {
    pub(super) fn new(version: Version, origin: Origin) -> Standing {
        let looked_at_ns = if origin == Origin::File { 0 } else { runtime::monotonic_nanos() };
        Standing { version, taken_at: now(), origin, rejection: None, rejected: 0, away: None, looked_at_ns }
    }

    /// Of a configuration that came with the node's file.
    pub fn of_file() -> StandingView {
        let standing = Standing::new(Version::of_file(1), Origin::File);
        Arc::new(ArcSwap::from_pointee(standing))
    }

    /// Puts an edited copy in the place of the newest one. There is one writer.
    pub(crate) fn change(view: &StandingView, edit: impl FnOnce(&mut Standing)) {
        let mut standing = Standing::clone(&view.load());
        edit(&mut standing);
        view.store(Arc::new(standing));
    }

    /// Notes what is in force from now on.
    pub(crate) fn take(&mut self, version: Version, origin: Origin) {
        let Standing { rejected, looked_at_ns, .. } = *self;
        *self = Standing { rejected, looked_at_ns, ..Standing::new(version, origin) };
    }

    /// With every figure above zero.
    #[cfg(test)]
    pub(crate) fn busy() -> StandingView {
        let version = Version { number: 7, ..Version::default() };
        let mut standing = Standing::new(version.clone(), Origin::LastGood);
        standing.reject(version, Vec::new());
        standing.away = Some("it is away".into());
        standing.looked_at_ns = 1;
        Arc::new(ArcSwap::from_pointee(standing))
    }

    /// Notes what was refused; true when that is news.
    pub(crate) fn reject(&mut self, version: Version, mistakes: Vec<Mistake>) -> bool {
        let is_news = self
            .rejection
            .as_ref()
            .is_none_or(|known| (&known.version, &known.mistakes) != (&version, &mistakes));
        if is_news {
            self.rejected += 1;
            self.rejection = Some(Rejection { version, at: now(), mistakes });
        }
        is_news
    }

    /// Since the last look at the source that succeeded; nothing for a file.
    pub(crate) fn look_age(&self, now_ns: u64) -> Option<Duration> {
        let at = self.looked_at_ns;
        (at != 0).then(|| Duration::from_nanos(now_ns.saturating_sub(at)))
    }

    /// As `GET /api/v1/config` shows it.
    pub(crate) fn shown(&self, now_ns: u64) -> Value {
        let Standing { version, taken_at, origin, rejection, rejected, away, looked_at_ns: _ } = self;
        let look_age = self.look_age(now_ns).map(|age| age.as_millis() as u64);
        json!({
            "version": version.number,
            "changed_at": shown_text(&version.at),
            "author": shown_text(&version.author),
            "comment": version.comment,
            "taken_at": shown_time(*taken_at),
            "origin": origin.label(),
            "source": { "away": away.is_some(), "reason": away, "look_age_ms": look_age },
            "rejected": rejected,
            "rejection": rejection.as_ref().map(Rejection::shown),
        })
    }
}

impl Rejection {
    fn shown(&self) -> Value {
        let Rejection { version, at, mistakes } = self;
        let mistake = |mistake: &Mistake| json!({ "place": mistake.place.to_string(), "what": mistake.what, "remedy": mistake.remedy });
        json!({
            "version": version.number,
            "changed_at": shown_text(&version.at),
            "author": shown_text(&version.author),
            "comment": version.comment,
            "rejected_at": shown_time(*at),
            "mistakes": mistakes.iter().map(mistake).collect::<Vec<_>>(),
        })
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs()
}

fn shown_text(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn shown_time(seconds: u64) -> String {
    jiff::Timestamp::from_second(seconds as i64).unwrap_or_default().to_string()
}
