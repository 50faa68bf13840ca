//! Children with their own children, ended together by their handle.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::interrupt;

/// How often a wait looks at the interrupt flag.
const GLANCE: Duration = Duration::from_millis(20);

/// Eats one core until nobody is left who started it. It looks every 100,000 rounds, a good part of a second.
const HOG: &str =
    "while kill -0 $PPID 2>/dev/null; do i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; done";

/// A process group that is killed when this is dropped.
pub(super) struct Group(Child);

impl Group {
    fn start(mut command: Command) -> anyhow::Result<Group> {
        Ok(Group(command.stdin(Stdio::null()).process_group(0).spawn()?))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Both fail only for what has ended. The child was not waited for yet, or nobody of its group is left: its number is
        // nobody else's.
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

/// Starts a program that does nothing but use a core.
///
/// # Errors
/// When it does not start.
pub(super) fn hog() -> anyhow::Result<Group> {
    let mut command = Command::new("sh");
    command.args(["-c", HOG]);
    Group::start(command).context("cannot start a hog")
}

/// Runs a command with its output in `log`; `None` when it did not end in time and was killed.
///
/// # Errors
/// When it does not start, or we are interrupted.
pub(super) fn run(mut command: Command, log: &Path, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    command.stderr(file.try_clone()?).stdout(file);
    let mut child = Group::start(command).context("cannot run a test program")?;
    let end = Instant::now() + limit;
    while Instant::now() < end {
        if let Some(status) = child.0.try_wait()? {
            return Ok(Some(status));
        }
        interrupt::check()?;
        std::thread::sleep(GLANCE);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> (Option<ExitStatus>, String) {
        let log = std::env::temp_dir().join(format!("xtask-flakes-{}-{:p}", std::process::id(), &script));
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let status = run(command, &log, limit).unwrap();
        let text = std::fs::read_to_string(&log).unwrap();
        std::fs::remove_file(log).unwrap();
        (status, text)
    }

    #[test]
    fn both_outputs_are_kept() {
        let (status, text) = shell("echo one; echo two >&2; exit 3", Duration::from_secs(60));
        assert_eq!(status.and_then(|status| status.code()), Some(3));
        assert_eq!(text, "one\ntwo\n");
    }

    #[test]
    fn what_does_not_end_is_ended_with_its_children() {
        let (status, text) = shell("sleep 600 & echo $!; wait", Duration::from_millis(500));
        assert_eq!(status, None);
        let child = text.trim();
        // A killed child of a killed parent is gone as soon as init has waited for it.
        let state = || std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        let end = Instant::now() + Duration::from_secs(60);
        while !(state().is_empty() || state().contains(") Z ")) {
            assert!(Instant::now() < end, "{child} goes on: {}", state());
            std::thread::sleep(GLANCE);
        }
    }
}
