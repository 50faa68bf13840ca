//! What one trace costs a message, and the judgement of it against a baseline.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Share by which instructions and copied octets may differ from the baseline. The same build differs by less than a
/// thousandth.
const TOLERANCE: f64 = 0.01;
/// The same where the baseline was made by another compiler or C library, which alone move counts by some per cent.
const TOLERANCE_OTHER_TOOLS: f64 = 0.10;
/// Share by which system calls may differ: ticks and how the kernel cuts reads differ from run to run.
const TOLERANCE_SYSCALLS: f64 = 0.10;
/// Differences below this are rounding of what is counted exactly.
const EXACT: f64 = 1e-9;

/// What a message of one trace costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Figures {
    /// Instructions executed by the shard, with all that it calls, outside the kernel.
    pub(super) instructions: f64,
    /// Allocations and reallocations.
    pub(super) allocations: f64,
    /// Octets copied by calls of memcpy, memmove and the like; what the compiler makes of short copies is not seen.
    pub(super) copied_octets: f64,
    /// Reads and writes of sockets, in memory.
    pub(super) socket_calls: f64,
    /// System calls of the shard's thread on tokio and real sockets, by name.
    pub(super) syscalls: BTreeMap<String, f64>,
    /// Instructions in the functions that cost most, by name, without what they call.
    pub(super) functions: BTreeMap<String, f64>,
}

impl Figures {
    pub(super) fn syscalls_total(&self) -> f64 {
        self.syscalls.values().sum()
    }
}

/// How a figure stands to its baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Same,
    Better,
    Worse,
}

/// One figure beside its baseline.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) name: &'static str,
    pub(super) baseline: f64,
    pub(super) measured: f64,
    pub(super) standing: Standing,
}

impl Judged {
    /// 0.03 where it is 3 % above its baseline.
    pub(super) fn excess(&self) -> f64 {
        if self.baseline == 0.0 { self.measured } else { self.measured / self.baseline - 1.0 }
    }
}

/// Judges every figure. `same_tools` says whether compiler and libraries are those of the baseline.
pub(super) fn judge(measured: &Figures, baseline: &Figures, same_tools: bool) -> Vec<Judged> {
    let tolerance = if same_tools { TOLERANCE } else { TOLERANCE_OTHER_TOOLS };
    let one = |name, measured: f64, baseline: f64, tolerance: f64| {
        let allowed = (baseline * tolerance).max(EXACT);
        let standing = if measured > baseline + allowed {
            Standing::Worse
        } else if measured < baseline - allowed {
            Standing::Better
        } else {
            Standing::Same
        };
        Judged { name, baseline, measured, standing }
    };
    vec![
        one("instructions", measured.instructions, baseline.instructions, tolerance),
        one("allocations", measured.allocations, baseline.allocations, 0.0),
        one("copied octets", measured.copied_octets, baseline.copied_octets, tolerance),
        one("socket calls", measured.socket_calls, baseline.socket_calls, 0.0),
        one("system calls", measured.syscalls_total(), baseline.syscalls_total(), TOLERANCE_SYSCALLS),
    ]
}

/// Functions whose instructions differ most: name, before, now; the largest difference first.
pub(super) fn changed_functions(
    measured: &Figures,
    baseline: &Figures,
    count: usize,
) -> Vec<(String, f64, f64)> {
    let names: std::collections::BTreeSet<&String> =
        measured.functions.keys().chain(baseline.functions.keys()).collect();
    let of = |figures: &Figures, name: &str| figures.functions.get(name).copied().unwrap_or(0.0);
    let mut changed: Vec<(String, f64, f64)> =
        names.into_iter().map(|name| (name.clone(), of(baseline, name), of(measured, name))).collect();
    changed.retain(|(_, before, now)| (now - before).abs() >= 0.5);
    changed.sort_by(|a, b| (b.2 - b.1).abs().total_cmp(&(a.2 - a.1).abs()));
    changed.truncate(count);
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        Figures {
            instructions: 4_000.0,
            copied_octets: 300.0,
            syscalls: BTreeMap::from([("sendto".to_owned(), 0.04)]),
            functions: BTreeMap::from([("a".to_owned(), 100.0), ("b".to_owned(), 50.0)]),
            ..Figures::default()
        }
    }

    fn standing(measured: &Figures, same_tools: bool, name: &str) -> Standing {
        let judged = judge(measured, &figures(), same_tools);
        judged.iter().find(|judged| judged.name == name).unwrap().standing
    }

    #[test]
    fn instructions_have_a_tolerance_both_ways() {
        for (instructions, same_tools, expected) in [
            (4_000.0, true, Standing::Same),
            (4_039.0, true, Standing::Same),
            (4_041.0, true, Standing::Worse),
            (3_959.0, true, Standing::Better),
            (4_120.0, false, Standing::Same),
            (4_401.0, false, Standing::Worse),
        ] {
            let measured = Figures { instructions, ..figures() };
            assert_eq!(standing(&measured, same_tools, "instructions"), expected, "{instructions}");
        }
    }

    #[test]
    fn one_allocation_in_a_thousand_messages_is_too_many_with_any_compiler() {
        let measured = Figures { allocations: 0.001, ..figures() };
        assert_eq!(standing(&measured, true, "allocations"), Standing::Worse);
        assert_eq!(standing(&measured, false, "allocations"), Standing::Worse);
        assert_eq!(standing(&figures(), true, "allocations"), Standing::Same);
    }

    #[test]
    fn the_function_that_grew_most_comes_first() {
        let functions = BTreeMap::from([("a".to_owned(), 90.0), ("c".to_owned(), 30.0)]);
        let measured = Figures { functions, ..figures() };
        let changed = changed_functions(&measured, &figures(), 2);
        assert_eq!(changed, [("b".to_owned(), 50.0, 0.0), ("c".to_owned(), 0.0, 30.0)]);
    }
}
