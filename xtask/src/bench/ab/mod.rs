//! `bench ab REV`: the gateway of another revision (A) and that of this tree (B), in turn on the same core under the load
//! of `bench relay`.
//!
//! A round is `A B a a B A`, where `a` is A once more: each pair has the same mean time, so that a machine that gets
//! slower or faster evenly favours nobody, and `a` against A is what no change at all looks like.

mod statistics;

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use self::statistics::Ratio;
use super::history;
use super::relay::{self, Case, Server};
use super::result::{Figures, median};
use crate::project::{self, Built};
use crate::{host, interrupt, process};

/// Packages built together, so that both revisions have the same features of what they share.
const PACKAGES: [&str; 4] = ["gateway", "limit", "loadgen", "sim-smsc"];
/// What is run of each revision. The load is always this tree's.
const PROGRAMS: [&str; 2] = ["gateway", "limit"];
/// The order of a round.
const ROUND: [Which; 6] = [Which::A, Which::B, Which::AAgain, Which::AAgain, Which::B, Which::A];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The revision to compare this tree with
    revision: String,
    /// Rounds of six runs
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Measured seconds of one run
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Only the cases with these names: 8x500, 16x10, "8x500 receipts"
    #[arg(long)]
    only: Vec<String>,
    /// Back ends to run on; all of them without this
    #[arg(long, value_enum)]
    backend: Vec<Backend>,
    /// Build both and measure nothing
    #[arg(long)]
    build_only: bool,
    /// Core of the gateway
    #[arg(long, default_value_t = 1)]
    server_core: usize,
    /// Core of load and SMSC
    #[arg(long, default_value_t = 0)]
    load_core: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Backend {
    Glommio,
    Tokio,
}

impl Backend {
    const fn server(self) -> Server {
        match self {
            Backend::Glommio => Server::Glommio,
            Backend::Tokio => Server::Tokio,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    A,
    AAgain,
    B,
}

/// # Errors
/// When a revision does not build, a program fails, or output differs from input in any run.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let hash = git(&["rev-parse", "--short=12", &format!("{}^{{commit}}", options.revision)])?;
    let target = project::metadata()?.target_directory;
    // The other revision first: what is built last is what stays in the target folder.
    let a = build_revision(&hash, &target)?;
    let b = keep_programs(project::root(), &target, "tree")?;
    if options.build_only {
        return Ok(());
    }
    let cores = host::cores()?;
    ensure!(
        options.server_core != options.load_core
            && [options.server_core, options.load_core].iter().all(|core| cores.contains(core)),
        "two cores are needed, one for the gateway and one for the load; ours are {cores:?}"
    );
    let facts = host::facts();
    let backends =
        if options.backend.is_empty() { &[Backend::Glommio, Backend::Tokio][..] } else { &options.backend };
    let cases: Vec<&Case> = relay::CASES
        .iter()
        .filter(|case| {
            !case.redis && (options.only.is_empty() || options.only.iter().any(|only| only == case.name))
        })
        .collect();
    ensure!(!cases.is_empty(), "no case has such a name");
    let mut rows: Vec<Row> = cases
        .iter()
        .flat_map(|case| backends.iter().map(|backend| Row::new(**case, backend.server())))
        .collect();
    println!(
        "A = {hash}, B = this tree ({}); rounds of A B a a B A",
        facts["commit"].as_str().unwrap_or("?")
    );
    let pins = relay::Pins {
        seconds: options.seconds,
        server_core: options.server_core,
        load_core: options.load_core,
    };
    for round in 1..=options.rounds {
        for row in &mut rows {
            for which in ROUND {
                interrupt::check()?;
                let built = if which == Which::B { &b } else { &a };
                let figures = relay::one_run(row.case, row.server, pins, built)
                    .with_context(|| format!("{which:?} of {} on {}", row.case.name, row.server.name()))?;
                row.runs.push((which, figures));
            }
            println!("round {round}: {}", row.last_round());
        }
    }
    report(&hash, &facts, options, &rows)
}

fn report(hash: &str, facts: &Value, options: &Options, rows: &[Row]) -> anyhow::Result<()> {
    println!(
        "\n| case | back end | figure | A | a | B | a/A | B/A | verdict |\n|---|---|---|--:|--:|--:|---|---|---|"
    );
    rows.iter().for_each(Row::print);
    let result = json!({
        "bench": "ab", "a": hash, "b": facts["commit"], "machine": facts, "rounds": options.rounds,
        "seconds": options.seconds, "rows": rows.iter().map(Row::json).collect::<Vec<Value>>(),
    });
    println!("\n{result}");
    super::result::append("ab", &result, None)?;
    history::record("ab", &json!({ "a": hash, "rows": result["rows"] }))
}

fn git(arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = std::process::Command::new("git");
    let said = process::output(command.current_dir(project::root()).args(arguments))?;
    Ok(said.trim().to_owned())
}

/// The programs of a commit, built in a checkout of its own when they are not there yet.
fn build_revision(hash: &str, target: &Path) -> anyhow::Result<Built> {
    let folder = programs(target, hash);
    if PROGRAMS.iter().all(|program| folder.join(program).exists()) {
        return Ok(Built::of(folder, target.to_owned()));
    }
    let tree = target.join("ab").join(format!("tree-{hash}"));
    let path = tree.to_str().context("a folder whose name is no text")?;
    if !tree.exists() {
        git(&["worktree", "add", "--quiet", "--force", "--detach", path, hash])?;
    }
    let built = keep_programs(&tree, target, hash);
    git(&["worktree", "remove", "--force", path])?;
    built
}

fn programs(target: &Path, name: &str) -> PathBuf {
    target.join("ab/programs").join(name)
}

/// Builds the programs of a tree into the common target folder, whose dependencies serve all revisions, and copies them
/// from there.
fn keep_programs(tree: &Path, target: &Path, name: &str) -> anyhow::Result<Built> {
    let mut command = project::cargo();
    command.current_dir(tree).env("CARGO_TARGET_DIR", target).args(["build", "--release"]);
    for package in PACKAGES {
        command.args(["--package", package]);
    }
    for program in PROGRAMS {
        command.args(["--bin", program]);
    }
    process::run(&mut command)?;
    let folder = programs(target, name);
    std::fs::create_dir_all(&folder)?;
    for program in PROGRAMS {
        std::fs::copy(target.join("release").join(program), folder.join(program))?;
    }
    Ok(Built::of(folder, target.to_owned()))
}

/// All runs of one case on one back end.
struct Row {
    case: Case,
    server: Server,
    runs: Vec<(Which, Figures)>,
}

/// Picks one figure of a run.
type Pick = fn(&Figures) -> f64;

/// What is compared: its name, and where it is.
const COMPARED: [(&str, Pick); 2] = [
    ("messages_per_second", |figures| figures.rate),
    ("cpu_us_per_message", |figures| figures.cpu_us_per_message),
];

impl Row {
    fn new(case: Case, server: Server) -> Row {
        Row { case, server, runs: Vec::new() }
    }

    fn median(&self, which: Which, figure: Pick) -> f64 {
        median(self.runs.iter().filter(|(of, _)| *of == which).map(|(_, figures)| figure(figures)).collect())
    }

    /// One ratio a round: the geometric mean of the two runs of `which` over that of A's.
    fn ratio(&self, which: Which, figure: Pick) -> Ratio {
        let rounds = self.runs.chunks_exact(ROUND.len()).map(|round| {
            let product = |which| {
                let of = round.iter().filter(|(of, _)| *of == which);
                of.map(|(_, figures)| figure(figures)).product::<f64>()
            };
            (product(which) / product(Which::A)).sqrt()
        });
        Ratio::of(&rounds.collect::<Vec<f64>>())
    }

    fn last_round(&self) -> String {
        let round = &self.runs[self.runs.len() - ROUND.len()..];
        let rates: Vec<String> =
            round.iter().map(|(which, figures)| format!("{} {:.0}", label(*which), figures.rate)).collect();
        format!("{} on {}, messages/s: {}", self.case.name, self.server.name(), rates.join(", "))
    }

    fn print(&self) {
        for (name, figure) in COMPARED {
            let (same, other) = (self.ratio(Which::AAgain, figure), self.ratio(Which::B, figure));
            let of = |which| shown(self.median(which, figure));
            let (a, again, b) = (of(Which::A), of(Which::AAgain), of(Which::B));
            let interval =
                |ratio: Ratio| format!("{:.3} ({:.3} to {:.3})", ratio.mean, ratio.low, ratio.high);
            println!(
                "| {} | {} | {name} | {a} | {again} | {b} | {} | {} | {} |",
                self.case.name,
                self.server.name(),
                interval(same),
                interval(other),
                other.against(&same).words(),
            );
        }
    }

    fn json(&self) -> Value {
        let mut row = json!({ "case": self.case.name, "backend": self.server.name() });
        for (name, figure) in COMPARED {
            let (same, other) = (self.ratio(Which::AAgain, figure), self.ratio(Which::B, figure));
            let interval = |ratio: Ratio| json!([ratio.mean, ratio.low, ratio.high]);
            row[name] = json!({
                "a": self.median(Which::A, figure), "a_again": self.median(Which::AAgain, figure),
                "b": self.median(Which::B, figure), "a_against_a": interval(same), "b_against_a": interval(other),
                "verdict": other.against(&same).words(),
            });
        }
        row
    }
}

fn label(which: Which) -> &'static str {
    match which {
        Which::A => "A",
        Which::AAgain => "a",
        Which::B => "B",
    }
}

/// Rates without, times with digits behind the point.
fn shown(value: f64) -> String {
    if value >= 1_000.0 { format!("{value:.0}") } else { format!("{value:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(rates: &[[f64; 6]]) -> Row {
        let mut row = Row::new(relay::CASES[0], Server::Tokio);
        for round in rates {
            let runs = ROUND.iter().zip(round);
            row.runs
                .extend(runs.map(|(which, rate)| (*which, Figures { rate: *rate, ..Figures::default() })));
        }
        row
    }

    #[test]
    fn an_even_drift_favours_nobody() {
        let row = row(&[[1000.0, 1010.0, 1020.0, 1030.0, 1040.0, 1050.0]]);
        let same = row.ratio(Which::AAgain, |figures| figures.rate);
        let other = row.ratio(Which::B, |figures| figures.rate);
        assert!((same.mean - 1.0).abs() < 1e-3 && (other.mean - 1.0).abs() < 1e-3, "{same:?} {other:?}");
    }

    #[test]
    fn a_faster_build_is_seen() {
        let row =
            row(&[[100.0, 110.0, 100.0, 101.0, 111.0, 100.0], [99.0, 109.0, 100.0, 100.0, 110.0, 101.0]]);
        let other = row.ratio(Which::B, |figures| figures.rate);
        assert!((other.mean - 1.10).abs() < 0.01);
        assert_eq!(
            other.against(&row.ratio(Which::AAgain, |figures| figures.rate)),
            statistics::Verdict::Higher
        );
    }
}
