//! What a run shall do: accounts, messages, phases and what counts as passed, read from one TOML file.
//!
//! Every mistake in a file is reported at once, each with its line and its place (`phase[1].rate`). The shipped
//! files in `loadgen/scenarios/` are the manual.

mod body;
mod expect;
mod fields;
mod load;
mod party;
mod settings;
mod value;

use std::net::SocketAddr;
use std::time::Duration;

use ledger::MessageKey;

pub use body::{Encoding, Form, Length, Mix, Pattern, Weighted};
pub use load::{Arrivals, Drain, FaultSpan, Load, Model, Phase, Span};
pub use party::{Account, Addresses, Binds, ReceiptRule, Target};
pub use settings::Setting;

use crate::reconcile::Rules;
use crate::threshold::Threshold;
use fields::{Fields, Mistakes};

/// One run, complete and checked.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Name of the run, shown in reports.
    pub name: String,
    /// Decides content, order, arrival times and mix.
    pub seed: u64,
    /// Number of the run in every message key: derived from name and seed, with an instance that each run draws,
    /// unless set. See [`ledger::MessageKey::run`].
    pub run: u32,
    /// The file sets `run` whole, so no instance is drawn.
    pub run_is_set: bool,
    /// Threads that carry the load, 1..=64; accounts are dealt out to them in turn.
    pub workers: usize,
    /// Cores the threads are pinned to, in turn; not pinned when empty.
    pub cores: Vec<usize>,
    /// How a worker waits for the next due message.
    pub wait: Wait,
    /// 99.9th percentile of the generator's own lateness above which a run is invalid.
    pub lag_max: Duration,
    /// Whom we bind to.
    pub target: Target,
    /// Who binds.
    pub accounts: Vec<Account>,
    /// What they send.
    pub mixes: Vec<Mix>,
    /// How it arrives.
    pub load: Load,
    /// How much, and for how long.
    pub phases: Vec<Phase>,
    /// What the judge holds against the target, and what not.
    pub rules: Rules,
    /// What must hold for the run to pass.
    pub thresholds: Vec<Threshold>,
    /// Spans to shade in plots: when somebody else breaks something.
    pub faults: Vec<FaultSpan>,
    /// The file, with the settings that overrode it, for the record.
    pub text: String,
}

/// How a worker waits for the next due message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// Sleeps; messages leave in batches up to about a millisecond late, and the core is shared with others.
    Sleep,
    /// Polls; messages leave within microseconds, and a core is used up.
    Spin,
}

/// All that is wrong with a scenario, each with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ScenarioError(pub Vec<Mistake>);

/// One thing wrong with a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Line in the file, from 1; none when it came from a setting or is missing.
    pub line: Option<usize>,
    /// Where: `phase[1].rate`.
    pub place: String,
    /// What.
    pub message: String,
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}: {}", self.place, self.message),
            None => write!(f, "{}: {}", self.place, self.message),
        }
    }
}

impl Scenario {
    /// Reads a scenario.
    pub fn parse(text: &str) -> Result<Scenario, ScenarioError> {
        Self::parse_with(text, &[])
    }

    /// Reads a scenario in which some values are replaced (`target.address=127.0.0.1:2775`, `phase.1.rate=500`).
    pub fn parse_with(text: &str, settings: &[Setting]) -> Result<Scenario, ScenarioError> {
        let mut table: toml::Table = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| line_at(text, span.start));
            ScenarioError(vec![Mistake { line, place: "file".into(), message: error.message().to_owned() }])
        })?;
        let mistakes = Mistakes::new(text);
        for setting in settings {
            setting.apply(&mut table, &mistakes);
        }
        let effective = if settings.is_empty() { text.to_owned() } else { table.to_string() };
        let scenario = build(&table, &mistakes, effective);
        let found = mistakes.take();
        match (scenario, found.is_empty()) {
            (Some(scenario), true) => Ok(scenario),
            _ => Err(ScenarioError(found)),
        }
    }

    /// Planned duration without the drain.
    pub fn duration(&self) -> Duration {
        self.phases.iter().filter(|phase| phase.drain.is_none()).map(|phase| phase.duration).sum()
    }

    /// Planned messages (a long message counts once) in open mode.
    pub fn messages(&self) -> f64 {
        self.phases.iter().map(Phase::messages).sum()
    }

    /// What `loadgen check` prints.
    pub fn plan(&self) -> String {
        let mut out =
            format!("scenario {} · seed {} · target {}\n", self.name, self.seed, self.target.address);
        for account in &self.accounts {
            let Binds { transceiver, transmitter, receiver } = account.binds;
            out += &format!(
                "  account {:<12} {transceiver} trx {transmitter} tx {receiver} rx · window {}\n",
                account.name, account.window
            );
        }
        for phase in &self.phases {
            let what = match (&phase.drain, self.load.model) {
                (Some(drain), _) => format!("until receipts are complete, at most {:?}", drain.max),
                (None, Model::Closed) => format!("{:?} with full windows", phase.duration),
                (None, Model::Open) => {
                    format!("{:?}, {:.0} messages at {}", phase.duration, phase.messages(), phase.rate_text)
                }
            };
            let note = if phase.record { "" } else { " · not recorded" };
            out += &format!("  phase   {:<12} {what}{note}\n", phase.name);
        }
        for threshold in &self.thresholds {
            out += &format!("  must    {threshold}\n");
        }
        out
    }
}

fn build(table: &toml::Table, mistakes: &Mistakes<'_>, text: String) -> Option<Scenario> {
    let root = Fields::root(table, mistakes);
    let run = root.section("run");
    let name = run.string("name").unwrap_or_default();
    let seed = run.integer_or("seed", 1, 0..=i64::MAX) as u64;
    let derived = xxhash_rust::xxh3::xxh3_64_with_seed(name.as_bytes(), seed) as u32 & !MessageKey::INSTANCE;
    let accounts: Vec<Account> = root.tables("account").iter().map(party::account).collect();
    party::check_accounts(&accounts, mistakes);
    let mixes: Vec<Mix> = root.tables("mix").iter().map(|fields| body::mix(fields, &accounts)).collect();
    if mixes.is_empty() {
        mistakes.add("mix", "at least one is needed: what shall be sent?");
    }
    let load = load::load(&root.section_or_empty("load"));
    let phases = load::phases(&root, load.model);
    let (target, rewrites) = party::target(&root.section("target"))?;
    let stall_max = run.duration_or("stall_max", expect::STALL_MAX);
    let rules = expect::rules(&root, target.unknown_status, rewrites, &mixes, &phases, stall_max);
    let scenario = Scenario {
        name,
        seed,
        run: run.integer_or("id", i64::from(derived), 0..=i64::from(u32::MAX)) as u32,
        run_is_set: run.value("id").is_some(),
        workers: run.integer_or("workers", 1, 1..=64) as usize,
        cores: run.integers("cores", 0..=4095).into_iter().map(|core| core as usize).collect(),
        wait: run.choice("wait", &[("sleep", Wait::Sleep), ("spin", Wait::Spin)]).unwrap_or(Wait::Sleep),
        lag_max: run.duration_or("lag_max", LAG_MAX),
        target,
        accounts,
        mixes,
        load,
        rules,
        thresholds: thresholds(&root, &phases),
        faults: root.tables("fault").iter().map(load::fault).collect(),
        phases,
        text,
    };
    run.finish();
    root.finish();
    Some(scenario)
}

fn thresholds(root: &Fields<'_>, phases: &[Phase]) -> Vec<Threshold> {
    let names: Vec<&str> = phases.iter().map(|phase| phase.name.as_str()).collect();
    let mut out = Vec::new();
    for fields in root.tables("threshold") {
        if let Some(text) = fields.string("expr") {
            match Threshold::parse(&text, &names) {
                Ok(threshold) => out.push(threshold),
                Err(message) => fields.wrong("expr", &message),
            }
        }
        fields.finish();
    }
    out
}

/// Line of an octet offset, from 1.
fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|&&octet| octet == b'\n').count() + 1
}

/// On a machine whose cores are shared, a sleeping thread is woken within a scheduler slice (3-4 ms) of its time.
const LAG_MAX: Duration = Duration::from_millis(5);

/// A socket address from `host:port`.
fn resolve(text: &str) -> Result<SocketAddr, String> {
    use std::net::ToSocketAddrs;
    let mut found = text.to_socket_addrs().map_err(|error| format!("{text:?} is no host:port: {error}"))?;
    found.next().ok_or_else(|| format!("{text:?} has no address"))
}

#[cfg(test)]
mod tests;
