//! Looks for new versions as long as the node runs: a hint is acted on at once, a look every `poll` finds what hints did
//! not tell. What is good is published, what is wrong is told, and a database that is away is waited for.

use super::database::{Database, Edition, Trouble, Version};
use super::standing::{Origin, Standing, StandingView};
use super::{judge, last_good};
use crate::config::{Built, Config, Mistake, NodeFile, Place};
use arc_swap::ArcSwap;
use link::backoff::{Backoff, BackoffOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Pauses between tries to connect: quick at first, since a restart takes a moment, and never so slow that a change comes
/// late for it.
const RECONNECT_FIRST: Duration = Duration::from_millis(100);
const RECONNECT_MAX: Duration = Duration::from_secs(5);
/// A wrong version is judged again so often: what is missing may be a file on this node, of which no row tells.
const JUDGE_AGAIN: Duration = Duration::from_secs(15);

/// The task that looks; made by [`super::load`].
pub struct Live {
    file: NodeFile,
    url: String,
    poll: Duration,
    last_good: PathBuf,
    standing: StandingView,
    /// The version that was judged last, good or wrong, and when.
    seen: Option<(u64, Instant)>,
}

impl Live {
    pub(super) fn new(file: NodeFile, url: String, config: &Config, standing: Standing) -> Live {
        let judged = standing.rejection.as_ref().map(|rejection| rejection.version.number);
        let in_force = (standing.origin == Origin::Postgres).then_some(standing.version.number);
        Live {
            file,
            url,
            poll: config.source.poll,
            last_good: config.source.snapshot_file.clone(),
            seen: judged.or(in_force).map(|version| (version, Instant::now())),
            standing: Arc::new(ArcSwap::from_pointee(standing)),
        }
    }

    /// What is in force, as it stands at any time.
    pub(super) fn standing(&self) -> StandingView {
        self.standing.clone()
    }

    /// Looks until it is dropped.
    pub(crate) async fn run(mut self, publish: impl Fn(Built) + Send + Sync + 'static) {
        let options = BackoffOptions { first: RECONNECT_FIRST, max: RECONNECT_MAX, jitter_percent: 50 };
        let mut backoff = Backoff::new(options, runtime::monotonic_nanos());
        loop {
            let connected = Instant::now();
            let trouble = self.look_on(&publish).await;
            // A connection that stood for a while begins the pauses anew.
            if connected.elapsed() > RECONNECT_MAX {
                backoff.reset();
            }
            self.note_away(trouble);
            tokio::time::sleep(backoff.next_wait()).await;
        }
    }

    /// Connects and looks, until that fails.
    async fn look_on(&mut self, publish: &(impl Fn(Built) + Send + Sync)) -> Trouble {
        let mut database = match Database::connect(&self.url).await {
            Ok(database) => database,
            Err(trouble) => return trouble,
        };
        if let Err(trouble) = self.greet(&database).await {
            return trouble;
        }
        loop {
            if let Err(trouble) = self.look(&mut database, publish).await {
                return trouble;
            }
            // A hint that comes while a version is judged is kept: it ends the next wait.
            let _ = tokio::time::timeout(self.poll, database.hinted()).await;
        }
    }

    async fn greet(&mut self, database: &Database) -> Result<(), Trouble> {
        database.check().await?;
        database.listen().await
    }

    async fn look(
        &mut self,
        database: &mut Database,
        publish: &(impl Fn(Built) + Send + Sync),
    ) -> Result<(), Trouble> {
        let version = database.version().await?;
        self.note_looked();
        if !self.is_due(version.number) {
            return Ok(());
        }
        let began = Instant::now();
        let edition = database.read().await?;
        let number = edition.version.number;
        let (file, judged) = (self.file.clone(), Instant::now());
        let judging = tokio::task::spawn_blocking(move || (judge(&file, &edition), edition));
        let Ok((verdict, edition)) = judging.await else {
            // It panicked: a bug, and no reason to end what works. The version is not looked at again before its time.
            self.seen = Some((number, judged));
            tracing::error!(version = number, "the configuration could not be judged");
            return Ok(());
        };
        self.seen = Some((number, judged));
        match verdict {
            Ok((_, built)) => self.take(edition, built, publish, began).await,
            Err(mistakes) => self.reject(edition.version, mistakes),
        }
        Ok(())
    }

    /// Whether a version must be read: it is new, or it was wrong a while ago.
    fn is_due(&self, version: u64) -> bool {
        let is_wrong = self.standing.load().rejection.is_some();
        self.seen.is_none_or(|(seen, at)| seen != version || is_wrong && at.elapsed() >= JUDGE_AGAIN)
    }

    async fn take(
        &self,
        edition: Edition,
        built: Built,
        publish: &(impl Fn(Built) + Send + Sync),
        began: Instant,
    ) {
        publish(built);
        let version = edition.version.clone();
        let path = self.last_good.clone();
        // It waits for the disk. A copy for the next start: it comes second, and a version without one is in force as well.
        let kept = tokio::task::spawn_blocking(move || keep(&path, &edition));
        let Version { number, author, at, .. } = &version;
        tracing::info!(
            version = number,
            author,
            at,
            took_ms = began.elapsed().as_millis() as u64,
            "a new configuration is in force"
        );
        self.change(|standing| standing.take(version.clone(), Origin::Postgres));
        if kept.await.is_err() {
            tracing::error!("the last good configuration could not be kept");
        }
    }

    fn reject(&self, version: Version, mistakes: Vec<Mistake>) {
        let mut is_news = false;
        self.change(|standing| is_news = standing.reject(version.clone(), mistakes.clone()));
        if is_news {
            tell(&version, &mistakes);
        }
    }

    fn note_looked(&self) {
        self.change(|standing| {
            if standing.away.take().is_some() {
                tracing::info!("the source of the configuration is back");
            }
            standing.looked_at_ns = runtime::monotonic_nanos();
        });
    }

    fn note_away(&mut self, trouble: Trouble) {
        let what = trouble.to_string();
        if self.standing.load().away.as_ref() == Some(&what) {
            return; // one line for each kind of trouble, not for each try
        }
        tracing::warn!("the source of the configuration is away; what is in force stays: {what}");
        self.change(|standing| standing.away = Some(what.clone()));
        if let Trouble::Refused(what) = trouble {
            // It answers, and is another than the one we know: whoever changed it must hear of it. Once it is mended, what it
            // holds is judged anew.
            self.seen = None;
            let remedy = "bring schema and program together; what is in force stays".into();
            let mistake = Mistake { place: Place::Default, what, remedy };
            self.reject(Version::default(), vec![mistake]);
        }
    }

    fn change(&self, edit: impl FnOnce(&mut Standing)) {
        Standing::change(&self.standing, edit);
    }
}

/// Tells everything that is wrong with a version.
pub(super) fn tell(version: &Version, mistakes: &[Mistake]) {
    let Version { number, author, .. } = version;
    for mistake in mistakes.iter().take(TOLD_MAX) {
        tracing::error!(version = number, author, "{mistake}");
    }
    tracing::error!(
        version = number,
        author,
        mistakes = mistakes.len(),
        "this configuration is refused as a whole; what is in force stays"
    );
}

/// Mistakes written to the log for one version; `GET /api/v1/config` has them all.
const TOLD_MAX: usize = 100;

/// Keeps a good version for the next start. That it cannot be kept is no reason not to use it.
pub(super) fn keep(path: &Path, edition: &Edition) {
    if let Err(error) = last_good::write(path, edition) {
        tracing::error!(file = %path.display(), %error, "the last good configuration cannot be kept");
    }
}
