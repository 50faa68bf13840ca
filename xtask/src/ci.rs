//! `cargo xtask ci`: everything a change must pass, in one command, here and on the server.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::project::cargo;
use crate::step::Steps;
use crate::{bench, interrupt, process, test, walls};

/// Function length has its limit in clippy.toml; the lint is not on by default.
const LINTS: [&str; 4] = ["-D", "warnings", "-D", "clippy::too_many_lines"];

/// How long all of it may take, from an empty target folder, on two cores. What does not fit belongs to
/// `cargo xtask test --slow`; `docs/decisions/0024-test-command.md`.
const BUDGET: Duration = Duration::from_secs(50 * 60);

/// # Errors
/// When a step fails, or all passed and took longer than their budget.
pub(crate) fn run() -> anyhow::Result<()> {
    let started = Instant::now();
    let mut steps = Steps::default();
    steps.run("format", || process::run(cargo().args(["fmt", "--all", "--check"])));
    interrupt::check()?;
    steps.run("lints", || {
        process::run(cargo().args(["clippy", "--workspace", "--all-targets", "--"]).args(LINTS))
    });
    interrupt::check()?;
    steps.run("mutations", || {
        let package =
            ["clippy", "--package", "gateway-simulation", "--features", "mutations", "--all-targets"];
        process::run(cargo().args(package).arg("--").args(LINTS))
    });
    interrupt::check()?;
    steps.run("walls", walls::run);
    steps.run("gate", bench::gate);
    interrupt::check()?;
    steps.run("test", || test::run(&test::Options::default()));
    let verdict = steps.verdict();
    let budget = within_budget(started.elapsed());
    match &budget {
        Ok(line) => println!("{line}"),
        Err(error) => eprintln!("{error}"),
    }
    verdict.and(budget.map(drop))
}

/// A line about the time it took.
fn within_budget(took: Duration) -> anyhow::Result<String> {
    let (took_min, budget_min) = (took.as_secs_f64() / 60.0, BUDGET.as_secs() / 60);
    ensure!(
        took <= BUDGET,
        "BUDGET EXCEEDED: {took_min:.1} of {budget_min} minutes; move what is long to `cargo xtask test --slow`"
    );
    Ok(format!("{took_min:.1} of {budget_min} minutes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_budget_is_a_failure() {
        assert_eq!(within_budget(Duration::from_secs(1020)).unwrap(), "17.0 of 50 minutes");
        assert!(within_budget(BUDGET).is_ok());
        let error = within_budget(BUDGET + Duration::from_secs(60)).unwrap_err().to_string();
        assert!(error.starts_with("BUDGET EXCEEDED: 51.0 of 50 minutes"), "{error}");
    }
}
