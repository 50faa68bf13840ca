//! Packages of PyPI, all in one virtual environment in the target folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::debian;
use crate::process::{output, run};

/// The environment's Python, whether it is there or not.
pub(super) fn program(target: &Path) -> PathBuf {
    target.join("python/bin/python3")
}

pub(super) fn imports(target: &Path, module: &str) -> bool {
    let python = program(target);
    python.exists() && output(Command::new(python).args(["-c", &format!("import {module}")])).is_ok()
}

/// # Errors
/// When no environment can be made, or pip fails.
pub(super) fn install(target: &Path, package: &str) -> anyhow::Result<()> {
    let python = program(target);
    if output(Command::new(&python).args(["-m", "pip", "--version"])).is_err() && make(target).is_err() {
        debian::install(&["python3", "python3-venv"])?;
        make(target)?;
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(Command::new(&python).args(pip).args(package.split(' ')))
}

fn make(target: &Path) -> anyhow::Result<()> {
    output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(target.join("python"))).map(drop)
}
