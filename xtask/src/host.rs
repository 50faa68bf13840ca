//! Facts about this machine, and where on it a program runs.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::{Value, json};

use crate::{process, project};

/// A loopback address that was free a moment ago.
///
/// # Errors
/// When the operating system gives none.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// Cores this process may use.
pub(crate) fn cores() -> anyhow::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

/// Calls `start` with this thread on one core, so that the child it starts inherits the placement.
///
/// # Errors
/// When the core is not ours to use, and what `start` says.
pub(crate) fn on_core<T>(core: usize, start: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let before = sched_getaffinity(None)?;
    let mut one = CpuSet::new();
    one.set(core);
    sched_setaffinity(None, &one).with_context(|| format!("cannot use core {core}"))?;
    let result = start();
    sched_setaffinity(None, &before)?;
    result
}

/// Raises the limit of open files of this process and its children to the hard limit.
///
/// # Errors
/// When the hard limit is below `needed`.
pub(crate) fn open_files(needed: u64) -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let maximum = limit.maximum.unwrap_or(u64::MAX);
    ensure!(
        maximum >= needed,
        "{needed} open files are needed, the hard limit is {maximum}: raise it (`ulimit -Hn {needed}` as root)"
    );
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    Ok(())
}

/// CPU seconds all threads of a process have run so far.
///
/// # Errors
/// When the process is gone or the kernel keeps no count.
pub(crate) fn cpu_seconds(process: u32) -> anyhow::Result<f64> {
    let mut nanos = 0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread that ends meanwhile used next to nothing.
        let Ok(text) = std::fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        nanos += first_number(&text).context("schedstat")?;
    }
    Ok(nanos as f64 / 1e9)
}

/// Resident memory of a process in KiB.
///
/// # Errors
/// When the process is gone.
pub(crate) fn resident_kib(process: u32) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    first_number(line).context("VmRSS")
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// What a result must be read with: commit, processor, kernel, compiler.
pub(crate) fn facts() -> Value {
    let said = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(project::root());
        process::output(&mut command).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
    };
    let file = |path: &str| std::fs::read_to_string(Path::new(path)).unwrap_or_default();
    let cpuinfo = file("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split(':').nth(1));
    json!({
        "commit": said("git", &["describe", "--always", "--dirty", "--abbrev=12"]),
        "processor": model.unwrap_or("unknown").trim(),
        "cores": cores().map_or(0, |cores| cores.len()),
        "kernel": file("/proc/sys/kernel/osrelease").trim(),
        "compiler": said("rustc", &["--version"]),
        "load_average": file("/proc/loadavg").split_whitespace().next().unwrap_or("unknown"),
    })
}
