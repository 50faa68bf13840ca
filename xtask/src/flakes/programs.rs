//! Test programs, built once and called by hand.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::project::{self, cargo};

/// Folders whose integration tests are run: real threads, sockets and clocks.
const FOLDERS: [&str; 6] = ["runtime", "link", "gateway", "gateway/shard", "sim-smsc", "loadgen"];

/// One built test program.
#[derive(Debug)]
pub(super) struct Program {
    /// Folder and name: `gateway/mo`.
    pub(super) name: String,
    path: PathBuf,
    folder: PathBuf,
}

impl Program {
    pub(super) fn is_contract(&self) -> bool {
        self.name == "runtime/contract"
    }

    /// Runs those of its tests whose names contain `filter`, as cargo would.
    pub(super) fn command(&self, filter: &str) -> Command {
        let mut command = Command::new(&self.path);
        command.current_dir(&self.folder).env("CARGO_MANIFEST_DIR", &self.folder);
        if !filter.is_empty() {
            command.arg(filter);
        }
        command
    }

    #[cfg(test)]
    pub(super) fn named(name: &str) -> Program {
        Program { name: name.to_owned(), path: PathBuf::new(), folder: PathBuf::new() }
    }
}

/// What cargo tells of each thing it built, as far as it is used here.
#[derive(Deserialize)]
struct Message {
    reason: String,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
}

/// Builds all test programs of the workspace, as `cargo xtask test` does, so that neither builds anew what the other did.
///
/// # Errors
/// When they do not build.
pub(super) fn build() -> anyhow::Result<Vec<Program>> {
    println!("== build");
    let mut command = cargo();
    command.args(["test", "--workspace", "--no-run", "--message-format", "json"]);
    // What the compiler has to say comes as messages, too; a failure is found again by `cargo xtask test`.
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cargo")?;
    ensure!(output.status.success(), "the tests do not build: `cargo test --workspace --no-run` tells why");
    let found = chosen(&String::from_utf8_lossy(&output.stdout), project::root());
    ensure!(found.iter().any(Program::is_contract), "cargo named no contract suite");
    Ok(found)
}

/// The integration tests of [`FOLDERS`], sorted by name.
fn chosen(messages: &str, root: &Path) -> Vec<Program> {
    let mut found: Vec<Program> = messages.lines().filter_map(|line| program(line, root)).collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

fn program(line: &str, root: &Path) -> Option<Program> {
    let message: Message = serde_json::from_str(line).ok()?;
    let target = message.target?;
    if message.reason != "compiler-artifact" || target.kind != ["test"] {
        return None;
    }
    let folder = message.manifest_path?.parent()?.to_owned();
    let short = folder.strip_prefix(root).ok()?.to_str()?.to_owned();
    let wanted = FOLDERS.contains(&short.as_str());
    wanted.then_some(Program { name: format!("{short}/{}", target.name), path: message.executable?, folder })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integration_tests_are_told_from_the_rest() {
        let line = |reason: &str, folder: &str, kind: &str| {
            format!(
                r#"{{"reason":"{reason}","manifest_path":"/w/{folder}/Cargo.toml","target":{{"kind":["{kind}"],"name":"mo"}},"executable":"/t/mo-1"}}"#
            )
        };
        let lines = [
            line("compiler-artifact", "link", "test"),
            line("compiler-artifact", "gateway", "test"),
            line("compiler-artifact", "gateway", "lib"),
            line("compiler-message", "gateway", "test"),
            line("compiler-artifact", "smpp", "test"),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
            "no message at all".to_owned(),
        ];
        let found = chosen(&lines.join("\n"), Path::new("/w"));
        let names: Vec<&str> = found.iter().map(|program| program.name.as_str()).collect();
        assert_eq!(names, ["gateway/mo", "link/mo"]);
        assert_eq!(found[0].path, Path::new("/t/mo-1"));
        assert_eq!(found[0].folder, Path::new("/w/gateway"));
    }
}
