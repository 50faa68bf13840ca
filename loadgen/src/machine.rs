//! Where a run took place, for the record.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// A machine as far as it matters to figures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Processor model.
    pub processor: String,
    /// Cores this program may use.
    pub cores: usize,
    /// Kernel release.
    pub kernel: String,
    /// Memory in mebibytes.
    pub memory_mib: u64,
    /// Frequency governor of the first core, where there is one.
    pub governor: String,
}

impl Machine {
    /// This machine; what cannot be read stays empty.
    pub fn read() -> Machine {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':'))
                .map_or_else(String::new, |(_, value)| value.trim().to_owned())
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        let kib: u64 = memory.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0);
        Machine {
            processor: field(&read("/proc/cpuinfo"), "model name"),
            cores: runtime::allowed_cores().len(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            memory_mib: kib / 1024,
            governor: read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").trim().to_owned(),
        }
    }
}

/// The commit of the checkout we stand in; empty when we stand in none.
pub(crate) fn commit() -> String {
    let start = std::env::current_dir().unwrap_or_default();
    start.ancestors().find_map(|directory| commit_of(&directory.join(".git"))).unwrap_or_default()
}

fn commit_of(git: &Path) -> Option<String> {
    let head = std::fs::read_to_string(git.join("HEAD")).ok()?;
    let Some(name) = head.trim().strip_prefix("ref: ") else { return Some(head.trim().to_owned()) };
    if let Ok(commit) = std::fs::read_to_string(git.join(name)) {
        return Some(commit.trim().to_owned());
    }
    let packed = std::fs::read_to_string(git.join("packed-refs")).ok()?;
    packed.lines().find_map(|line| Some(line.strip_suffix(name)?.trim().to_owned()))
}
