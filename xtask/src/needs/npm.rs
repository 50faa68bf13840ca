//! Packages of npm, in a folder in the target folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::debian;
use crate::process::{output, run};

fn folder(target: &Path) -> PathBuf {
    target.join("npm")
}

/// Where the packages are, whether there are any or not.
pub(super) fn modules(target: &Path) -> PathBuf {
    folder(target).join("node_modules")
}

pub(super) fn requires(target: &Path, package: &str) -> bool {
    let folder = folder(target);
    let script = format!("require('{package}')");
    folder.is_dir() && output(Command::new("node").args(["-e", &script]).current_dir(folder)).is_ok()
}

/// # Errors
/// When node and npm are missing and cannot be installed, or npm fails.
pub(super) fn install(target: &Path, package: &str) -> anyhow::Result<()> {
    if !(debian::runs(&["node", "--version"]) && debian::runs(&["npm", "--version"])) {
        debian::install(&["nodejs", "npm"])?;
    }
    let folder = folder(target);
    std::fs::create_dir_all(&folder)?;
    let arguments = ["install", "--no-audit", "--no-fund", "--loglevel", "error", "--prefix"];
    run(Command::new("npm").args(arguments).arg(&folder).arg(package))
}
