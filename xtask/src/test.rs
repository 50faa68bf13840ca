//! `cargo xtask test`: the whole suite in one command on a fresh machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::process::{output, run as run_command, watch};
use crate::project::{self, cargo};
use crate::simulate;

/// Names the Python with `smpplib` to the tests; without it they look for `python3`.
pub(crate) const PYTHON_VARIABLE: &str = "SMPPLIB_PYTHON";
/// The Python package whose client the tests bind with.
const PYTHON_PACKAGE: &str = "smpplib";

#[derive(clap::Args, Default)]
pub(crate) struct Options {
    /// Unit tests only, and nothing is installed
    #[arg(long)]
    quick: bool,
}

/// # Errors
/// When a test fails.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let mut command = cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]);
    let mut missing = Vec::new();
    if options.quick {
        command.args(["--lib", "--bins"]);
    } else {
        let target = project::metadata()?.target_directory;
        match python(&target) {
            Ok(python) => {
                command.env(PYTHON_VARIABLE, python);
            }
            Err(error) => missing.push(format!("Python package {PYTHON_PACKAGE}: {error:#}")),
        }
        for (program, package) in [("tshark", "tshark"), ("redis-server", "redis-server")] {
            if let Err(error) = debian(program, package) {
                missing.push(format!("{program}: {error:#}"));
            }
        }
        if let Err(error) = postgresql() {
            missing.push(format!("PostgreSQL: {error:#}"));
        }
    }
    let mut closing = Vec::new();
    let status = watch(&mut command, |line| {
        if line.starts_with("test result:") || line.ends_with("... FAILED") {
            closing.push(line.to_owned());
        }
    })?;
    println!("== closing lines of the test runner");
    closing.iter().for_each(|line| println!("{line}"));
    for what in &missing {
        println!("MISSING, its tests were skipped: {what}");
    }
    let totals = Totals::of(&closing);
    println!("total: {} passed, {} failed, {} ignored", totals.passed, totals.failed, totals.ignored);
    ensure!(status.success() && totals.failed == 0, "cargo test: {status}");
    ensure!(totals.passed > 0, "no test ran");
    if options.quick { Ok(()) } else { simulation() }
}

/// Many seeded stories; and those of a relay with seeded bugs, which are no part of any other build.
fn simulation() -> anyhow::Result<()> {
    println!("== simulation");
    let mutations = ["--features", "mutations", "--test", "mutations", "--", "--nocapture"];
    run_command(cargo().args(["test", "--package", "gateway-simulation"]).args(mutations))?;
    simulate::run(&simulate::Options::of_suite())
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

/// A Python that has the package: one that stands in the target folder, made when it is not there.
fn python(target: &Path) -> anyhow::Result<PathBuf> {
    let folder = target.join("python");
    let python = folder.join("bin/python3");
    if !imports(&python) {
        println!("== installing {PYTHON_PACKAGE} into the target folder");
        if venv(&folder).is_err() {
            install("python3-venv")?;
            venv(&folder)?;
        }
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PYTHON_PACKAGE];
        run_command(Command::new(&python).args(pip))?;
        ensure!(imports(&python), "it was installed but cannot be imported");
    }
    Ok(python)
}

fn venv(folder: &Path) -> anyhow::Result<()> {
    output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder)).map(drop)
}

fn imports(python: &Path) -> bool {
    python.exists() && output(Command::new(python).args(["-c", &format!("import {PYTHON_PACKAGE}")])).is_ok()
}

/// A program of a Debian package, installed when it is not there.
fn debian(program: &str, package: &str) -> anyhow::Result<()> {
    if output(Command::new(program).arg("--version")).is_ok() {
        return Ok(());
    }
    install(package)
}

/// The tests start servers of their own; Debian keeps the programs apart by version.
fn postgresql() -> anyhow::Result<()> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    if versions.into_iter().any(|version| version.path().join("bin/initdb").exists()) {
        return Ok(());
    }
    install("postgresql")
}

/// Installs a Debian package when we may.
fn install(package: &str) -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("not root: run `apt-get install {package}`");
    }
    output(Command::new("apt-get").arg("--version"))
        .with_context(|| format!("no apt-get here: install {package} by this system's means"))?;
    println!("== installing {package}");
    let get = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").arg("-qq").args(arguments);
        output(&mut command)
    };
    let packages = ["install", "-y", "--no-install-recommends", package];
    if get(&packages).is_err() {
        // The package lists of a fresh machine are empty.
        get(&["update"])?;
        get(&packages)?;
    }
    Ok(())
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
}
