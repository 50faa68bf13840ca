//! Where things are, and how to call cargo.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde::Deserialize;

use crate::process::{self, Program};

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// The cargo that runs us, with the workspace as its directory.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // The outer cargo's notes about xtask itself would make the inner one rebuild or mislead build scripts.
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            command.env_remove(name);
        }
    }
    command
}

/// What `cargo metadata` tells of the workspace, as far as it is used here.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) target_directory: PathBuf,
}

/// One member.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) targets: Vec<Target>,
}

/// One dependency of a member.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` = normal, else `dev` or `build`.
    pub(crate) kind: Option<String>,
    /// Set for members of the workspace.
    pub(crate) path: Option<PathBuf>,
}

/// One crate of a member.
#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) kind: Vec<String>,
    pub(crate) src_path: PathBuf,
}

/// # Errors
/// When cargo fails or says something unexpected.
pub(crate) fn metadata() -> anyhow::Result<Metadata> {
    let mut command = cargo();
    command.args(["metadata", "--no-deps", "--format-version", "1"]);
    let text = process::output(&mut command)?;
    serde_json::from_str(&text).context("cargo metadata")
}

/// How programs are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Profile {
    Release,
    Dev,
}

/// Packages whose programs demo and benchmarks run.
const PROGRAMS: [&str; 4] = ["gateway", "limit", "loadgen", "sim-smsc"];

/// Programs that have been built.
pub(crate) struct Built {
    folder: PathBuf,
    pub(crate) target: PathBuf,
}

impl Built {
    /// Builds the programs. Always all of them: another set of packages may choose other features of what they share,
    /// and then everything is compiled again.
    ///
    /// # Errors
    /// When they do not build.
    pub(crate) fn new(profile: Profile) -> anyhow::Result<Built> {
        let mut command = cargo();
        command.args(["build", "--bins"]);
        if profile == Profile::Release {
            command.arg("--release");
        }
        for package in PROGRAMS {
            command.args(["--package", package]);
        }
        process::run(&mut command)?;
        let target = metadata()?.target_directory;
        let folder = target.join(if profile == Profile::Release { "release" } else { "debug" });
        Ok(Built { folder, target })
    }

    /// Programs that were built before and lie in `folder`.
    pub(crate) fn of(folder: PathBuf, target: PathBuf) -> Built {
        Built { folder, target }
    }

    /// A command that runs one of the programs.
    pub(crate) fn command(&self, program: &str) -> Command {
        Command::new(self.folder.join(program))
    }

    /// Starts one of the programs; `arrange` adds its arguments, its standard error goes to `log`.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn start(
        &self,
        program: &str,
        log: &Path,
        arrange: impl FnOnce(&mut Command),
    ) -> anyhow::Result<Program> {
        let mut command = self.command(program);
        arrange(&mut command);
        Program::start(program, command, log)
    }
}
