//! Runs the trace program under the tools that count.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::callgrind::Profile;
use crate::{debian, process};

/// What is measured is what this function calls; see `benches/src/bin/gate-trace/memory.rs`.
const MEASURED: &str = "run_gateway";
/// Copies below this function are the kernel's in a real gateway.
const KERNEL: &str = "copy_as_kernel";
/// Frames of a copy's stack: more than futures nest.
const FRAMES: &str = "100";
/// The shard's thread, as it names itself to the kernel.
const SHARD_THREAD: &str = "\"shard-0\"";
/// Pins which memcpy the C library takes: else that depends on the processor, and with it the count.
const TUNABLES: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX2,-AVX,-ERMS,-FSRM,-AVX_Fast_Unaligned_Load",
);

/// Makes sure that the tools are there.
///
/// # Errors
/// When one is missing and cannot be installed.
pub(super) fn ensure_all() -> anyhow::Result<()> {
    debian::ensure_program("valgrind", "valgrind")?;
    debian::ensure_program("strace", "strace")
}

/// What figures depend on beside the program: compiler, C library, valgrind, processor's kind.
pub(super) fn versions() -> BTreeMap<String, String> {
    let first_line = |program: &str, argument: &str| {
        let said = process::output(Command::new(program).arg(argument)).unwrap_or_default();
        said.lines().next().unwrap_or("unknown").to_owned()
    };
    BTreeMap::from([
        ("compiler".to_owned(), first_line("rustc", "--version")),
        ("c_library".to_owned(), first_line("ldd", "--version")),
        ("valgrind".to_owned(), first_line("valgrind", "--version")),
        ("processor".to_owned(), std::env::consts::ARCH.to_owned()),
    ])
}

/// One trace of the program, and what is added to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trace<'a> {
    pub(super) program: &'a Path,
    /// Where the tools write.
    pub(super) folder: &'a Path,
    pub(super) name: &'static str,
    pub(super) inject_rounds: u64,
    pub(super) inject_allocations: u64,
}

/// What the program counts itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnCounts {
    pub(super) allocations: f64,
    pub(super) socket_calls: f64,
}

impl Trace<'_> {
    fn arguments(&self, messages: u32) -> [String; 8] {
        let Trace { name, inject_rounds, inject_allocations, .. } = self;
        [
            "--trace".to_owned(),
            (*name).to_owned(),
            "--messages".to_owned(),
            messages.to_string(),
            "--inject-rounds".to_owned(),
            inject_rounds.to_string(),
            "--inject-allocations".to_owned(),
            inject_allocations.to_string(),
        ]
    }

    /// Runs the program under valgrind, whose tool writes to the file that `out` names; returns what it wrote.
    fn valgrind(&self, options: &[&str], out: &str, messages: u32) -> anyhow::Result<String> {
        let file = self.folder.join(format!("{}.out", self.name));
        let mut command = Command::new("valgrind");
        command.env(TUNABLES.0, TUNABLES.1).env("LD_BIND_NOW", "1").arg("--quiet").args(options);
        command.arg(format!("{out}={}", file.display())).arg(self.program).args(self.arguments(messages));
        process::output(&mut command)?;
        std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
    }

    /// Instructions by function.
    ///
    /// # Errors
    /// When it does not run.
    pub(super) fn instructions(&self, messages: u32) -> anyhow::Result<Profile> {
        let measured = format!("--toggle-collect=*{MEASURED}*");
        let options = ["--tool=callgrind", "--collect-atstart=no", "--dump-line=no", &measured];
        Profile::parse(&self.valgrind(&options, "--callgrind-out-file", messages)?)
    }

    /// Octets copied by calls of memcpy and the like.
    ///
    /// # Errors
    /// When it does not run.
    pub(super) fn copied_octets(&self, messages: u32) -> anyhow::Result<u64> {
        let frames = format!("--num-callers={FRAMES}");
        let options = ["--tool=dhat", "--mode=copy", &frames];
        octets_of(&self.valgrind(&options, "--dhat-out-file", messages)?)
    }

    /// What the program counts itself.
    ///
    /// # Errors
    /// When it does not run.
    pub(super) fn own_counts(&self, messages: u32) -> anyhow::Result<OwnCounts> {
        let said = process::output(Command::new(self.program).args(self.arguments(messages)))?;
        let said: Value = serde_json::from_str(&said)?;
        let number = |name: &str| said[name].as_f64().with_context(|| format!("no {name} in {said}"));
        Ok(OwnCounts {
            allocations: number("allocations")?,
            socket_calls: number("reads")? + number("writes")?,
        })
    }

    /// System calls of the shard's thread, by name.
    ///
    /// # Errors
    /// When strace may not look at its child.
    pub(super) fn syscalls(&self, messages: u32) -> anyhow::Result<BTreeMap<String, u64>> {
        let folder = self.folder.join(format!("strace-{}", self.name));
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let mut command = Command::new("strace");
        command.args(["-ff", "-qq", "-o"]).arg(folder.join("thread"));
        command.arg(self.program).args(self.arguments(messages)).arg("--sockets");
        process::output(&mut command)
            .context("strace needs the right to trace its child (in a container: --cap-add=SYS_PTRACE)")?;
        let files: Result<Vec<PathBuf>, _> =
            std::fs::read_dir(&folder)?.map(|entry| entry.map(|entry| entry.path())).collect();
        for file in files? {
            let text = String::from_utf8_lossy(&std::fs::read(&file)?).into_owned();
            if is_shard(&text) {
                return Ok(calls_of(&text));
            }
        }
        anyhow::bail!("no thread of the trace calls itself {SHARD_THREAD}")
    }
}

fn is_shard(calls: &str) -> bool {
    calls.lines().any(|line| line.starts_with("prctl(PR_SET_NAME") && line.contains(SHARD_THREAD))
}

/// Counts the calls in one thread's list.
fn calls_of(calls: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for (name, _) in calls.lines().filter_map(|line| line.split_once('(')) {
        // Signals and the thread's end are told in lines of their own.
        if name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'_') {
            *counts.entry(name.to_owned()).or_default() += 1;
        }
    }
    counts
}

/// The octets in DHAT's file that were copied below [`MEASURED`] and not below [`KERNEL`].
fn octets_of(text: &str) -> anyhow::Result<u64> {
    let file: Value = serde_json::from_str(text).context("DHAT's file")?;
    let frames = file["ftbl"].as_array().context("no table of frames")?;
    let is_named = |frame: &Value, name: &str| {
        let place = frame.as_u64().and_then(|place| frames.get(place as usize));
        place.and_then(Value::as_str).is_some_and(|text| text.contains(name))
    };
    let mut octets = 0;
    let mut is_found = false;
    for point in file["pps"].as_array().context("no copies")? {
        let stack = point["fs"].as_array().context("a copy without a stack")?;
        let is_below = |name: &str| stack.iter().any(|frame| is_named(frame, name));
        if is_below(MEASURED) {
            is_found = true;
            octets += if is_below(KERNEL) { 0 } else { point["tb"].as_u64().context("no octets")? };
        }
    }
    ensure!(is_found, "no copy is below {MEASURED}: is the program built without names?");
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_name() {
        let text = "prctl(PR_SET_NAME, \"shard-0\") = 0\nrecvfrom(5, \"x\", 65536, 0) = 1\n--- SIGCHLD {} ---\n\
                    recvfrom(5, 0x1, 65536) = -1 EAGAIN\n+++ exited with 0 +++\n";
        assert!(is_shard(text));
        assert_eq!(calls_of(text), BTreeMap::from([("prctl".into(), 1), ("recvfrom".into(), 2)]));
        assert!(!is_shard("prctl(PR_SET_NAME, \"store\") = 0\n"));
    }

    #[test]
    fn copies_of_the_gateway_are_told_from_those_of_the_kernel_and_the_driver() {
        let text = r#"{"ftbl":["[root]","0x1: a::run_gateway (m.rs:1)","0x2: copy_as_kernel (m.rs:2)","0x3: main (m.rs:3)"],
            "pps":[{"tb":100,"tbk":1,"fs":[3,1]},{"tb":30,"tbk":1,"fs":[2,1,3]},{"tb":7,"tbk":1,"fs":[3]}]}"#;
        assert_eq!(octets_of(text).unwrap(), 100);
        assert!(octets_of(r#"{"ftbl":["main"],"pps":[{"tb":7,"tbk":1,"fs":[0]}]}"#).is_err());
    }
}
