//! Programs of Debian packages, got when they are missing and that is allowed.

use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::process::output;

/// Makes sure that `program` runs, and installs `package` when it does not.
///
/// # Errors
/// When it is missing and cannot be installed; the error says what to do.
pub(crate) fn ensure_program(program: &str, package: &str) -> anyhow::Result<()> {
    let runs = || output(Command::new(program).arg("--version")).is_ok();
    if runs() {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        bail!("{program} is missing, and only root can install it: run `apt-get install {package}` as root");
    }
    output(Command::new("apt-get").arg("--version"))
        .with_context(|| format!("{program} is missing and there is no apt-get: install {package}"))?;
    println!("== installing {package}");
    let get = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        output(command.env("DEBIAN_FRONTEND", "noninteractive").arg("-qq").args(arguments))
    };
    let packages = ["install", "-y", "--no-install-recommends", package];
    if get(&packages).is_err() {
        // The package lists of a fresh machine are empty.
        get(&["update"])?;
        get(&packages)?;
    }
    ensure!(runs(), "{package} was installed, but {program} does not run");
    Ok(())
}
