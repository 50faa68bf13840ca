//! `cargo xtask test`: the whole suite in one command on a fresh machine. What is missing fails it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use test_needs::SKIPPED_VARIABLE;

use crate::needs::{self, Prepared};
use crate::process::{run as run_command, watch};
use crate::project::{self, cargo};
use crate::step::Steps;
use crate::{interrupt, parts, simulate, slow};

#[derive(clap::Args, Default)]
pub(crate) struct Options {
    /// Unit tests only, and nothing is installed
    #[arg(long, conflicts_with = "slow")]
    quick: bool,
    /// Skip the tests that need NAME; the verdict says so. May be given several times
    #[arg(long, value_name = "NAME")]
    without: Vec<String>,
    /// The parts that are too long for every change, instead of the suite
    #[arg(long)]
    slow: bool,
    /// With --slow: only this part. May be given several times
    #[arg(long, value_name = "PART", requires = "slow", value_parser = slow::PARTS)]
    part: Vec<String>,
    /// Install this need, or `all`, and run no test. May be given several times
    #[arg(long, value_name = "NAME", conflicts_with_all = ["quick", "slow", "without"])]
    install: Vec<String>,
}

/// # Errors
/// When a test fails, or something that tests need is missing.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let target = project::metadata()?.target_directory;
    if !options.install.is_empty() {
        return needs::install(&target, &options.install);
    }
    let prepared = needs::prepare(&target, &options.without, options.quick)?;
    let skips = Skips::new(&target)?;
    let result = if options.slow {
        slow::run(&target, &prepared, &options.part)
    } else {
        suite(&target, &prepared, &skips, options.quick)
    };
    println!("== parts\n{}", parts::table(&target, &slow::PARTS));
    let without = without(&prepared.without, &skips.count());
    match result {
        Ok(()) => println!("passed{without}"),
        Err(error) => bail!("{error:#}{without}"),
    }
    Ok(())
}

fn suite(target: &Path, prepared: &Prepared, skips: &Skips, quick: bool) -> anyhow::Result<()> {
    let mut tests = cargo();
    tests.args(["test", "--workspace", "--no-fail-fast"]);
    if quick {
        tests.args(["--lib", "--bins"]);
    }
    tests.envs(prepared.environment.iter().cloned()).env(SKIPPED_VARIABLE, &skips.file);
    let mut build = cargo();
    build.args(tests.get_args()).arg("--no-run");
    let mut steps = Steps::recorded_in(target);
    steps.run("build", || run_command(&mut build));
    interrupt::check()?;
    if steps.all_passed() {
        steps.run("tests", || run_tests(&mut tests));
        interrupt::check()?;
        if !quick {
            steps.run("mutations", mutations);
            interrupt::check()?;
            steps.run("stories", || simulate::run(&simulate::Options::of_suite()));
            interrupt::check()?;
        }
    }
    steps.verdict()
}

fn run_tests(command: &mut std::process::Command) -> anyhow::Result<()> {
    let mut closing = Vec::new();
    let status = watch(command, |line| {
        if line.starts_with("test result:") || line.ends_with("... FAILED") {
            closing.push(line.to_owned());
        }
    })?;
    println!("== closing lines of the test runner");
    closing.iter().for_each(|line| println!("{line}"));
    let totals = Totals::of(&closing);
    println!("total: {} passed, {} failed, {} ignored", totals.passed, totals.failed, totals.ignored);
    ensure!(status.success() && totals.failed == 0, "cargo test: {status}, {} failed", totals.failed);
    ensure!(totals.passed > 0, "no test ran");
    Ok(())
}

/// Stories of a relay with seeded bugs, which are no part of any other build: each must be caught.
fn mutations() -> anyhow::Result<()> {
    let mutations = ["--features", "mutations", "--test", "mutations", "--", "--nocapture"];
    run_command(cargo().args(["test", "--package", "gateway-simulation"]).args(mutations))
}

/// Where tests write down what they skipped on purpose.
struct Skips {
    file: PathBuf,
}

impl Skips {
    /// An empty list.
    fn new(target: &Path) -> anyhow::Result<Skips> {
        let file = target.join("xtask-skipped-tests");
        std::fs::write(&file, "")?;
        Ok(Skips { file })
    }

    /// Skipped tests by need.
    fn count(&self) -> BTreeMap<String, u64> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let mut counts = BTreeMap::new();
        for need in text.lines().filter_map(|line| line.split(' ').next()) {
            *counts.entry(need.to_owned()).or_insert(0) += 1;
        }
        counts
    }
}

/// What the verdict adds about needs that were given up.
fn without(names: &[&str], skipped: &BTreeMap<String, u64>) -> String {
    if names.is_empty() {
        return String::new();
    }
    let count = |name: &&str| format!("{name} ({} skipped)", skipped.get(*name).unwrap_or(&0));
    format!(" WITHOUT {}", names.iter().map(count).collect::<Vec<_>>().join(", "))
}

/// Sums over all test programs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Totals {
    fn of(closing: &[String]) -> Totals {
        let mut totals = Totals::default();
        for line in closing.iter().filter(|line| line.starts_with("test result:")) {
            let count = |word: &str| {
                let before = line.split(word).next().unwrap_or_default();
                before.split_whitespace().next_back().and_then(|number| number.parse().ok()).unwrap_or(0)
            };
            totals.passed += count(" passed");
            totals.failed += count(" failed");
            totals.ignored += count(" ignored");
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_summed() {
        let lines = [
            "test result: ok. 16 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test a::b ... FAILED",
            "test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
        ];
        let totals = Totals::of(&lines.map(str::to_owned));
        assert_eq!(totals, Totals { passed: 18, failed: 3, ignored: 1 });
    }

    #[test]
    fn the_verdict_names_what_was_given_up() {
        let skipped = BTreeMap::from([("redis".to_owned(), 14)]);
        assert_eq!(without(&[], &skipped), "");
        assert_eq!(
            without(&["redis", "tshark"], &skipped),
            " WITHOUT redis (14 skipped), tshark (0 skipped)"
        );
    }
}
