//! Debian packages, installed where we are root.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::interrupt;
use crate::process::output;

/// Where Debian puts the programs of PostgreSQL, by version.
const POSTGRESQL: &str = "/usr/lib/postgresql";

/// Another apt may hold its lock this often, looked at every [`LOCK_WAIT`]: five minutes together.
const LOCK_TRIES: u32 = 60;
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// True when the command runs to its end without an error.
pub(super) fn runs(command: &[&str]) -> bool {
    let Some((program, arguments)) = command.split_first() else { return false };
    output(Command::new(program).args(arguments)).is_ok()
}

/// True when the programs of one version are there.
pub(super) fn has_postgresql() -> bool {
    let versions = std::fs::read_dir(POSTGRESQL).into_iter().flatten().flatten();
    versions.into_iter().any(|version| version.path().join("bin/initdb").exists())
}

/// Installs packages.
///
/// # Errors
/// When we are not root, there is no apt-get, another one holds its lock for too long, or it fails.
pub(super) fn install(packages: &[&str]) -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("not root, so nothing can be installed");
    }
    output(Command::new("apt-get").arg("--version"))
        .with_context(|| format!("no apt-get here: install {} by this system's means", packages.join(" ")))?;
    let arguments = [&["install", "-y", "--no-install-recommends"], packages].concat();
    if apt_get(&arguments).is_err() {
        // The package lists of a fresh machine are empty, or name versions that are gone.
        apt_get(&["update"])?;
        apt_get(&arguments)?;
    }
    Ok(())
}

fn apt_get(arguments: &[&str]) -> anyhow::Result<()> {
    for attempt in 1..=LOCK_TRIES {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C").arg("-qq").args(arguments);
        match output(&mut command) {
            Err(error) if is_locked(&error.to_string()) => {
                if attempt == 1 {
                    println!("another apt or dpkg is at work; waiting for its end");
                }
                interrupt::check()?;
                std::thread::sleep(LOCK_WAIT);
            }
            done => return done.map(drop),
        }
    }
    bail!(
        "another apt or dpkg held its lock for {} s: `fuser -v /var/lib/dpkg/lock-frontend /var/lib/apt/lists/lock` \
         names it; start again when it has ended",
        LOCK_TRIES * LOCK_WAIT.as_secs() as u32
    );
}

/// True for what apt-get says when it cannot get one of its locks.
fn is_locked(error: &str) -> bool {
    ["Could not get lock", "Unable to lock", "Unable to acquire the dpkg frontend lock"]
        .iter()
        .any(|sign| error.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_is_told_from_other_failures() {
        let check = |text, expected| assert_eq!(is_locked(text), expected, "{text}");
        check("E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 12 (apt-get)", true);
        check("E: Unable to lock directory /var/lib/apt/lists/", true);
        check("E: Unable to locate package kannel", false);
    }

    #[test]
    fn a_program_that_is_not_there_does_not_run() {
        assert!(runs(&["true"]));
        assert!(!runs(&["false"]));
        assert!(!runs(&["/nowhere/at/all"]));
        assert!(!runs(&[]));
    }
}
