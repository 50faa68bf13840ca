//! Counts runs and failures of each test.

use std::collections::BTreeMap;
use std::process::ExitStatus;

use anyhow::bail;

/// Runs and failures by program and test.
#[derive(Debug, Default)]
pub(super) struct Tally {
    tests: BTreeMap<(String, String), Counts>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    runs: u32,
    failures: u32,
}

impl Tally {
    /// Counts one run of a program, `None` when it did not end in time; returns what failed.
    pub(super) fn add(&mut self, program: &str, status: Option<ExitStatus>, output: &str) -> Vec<String> {
        let mut failures = Vec::new();
        for (test, passed) in output.lines().filter_map(result) {
            let counts = self.tests.entry((program.to_owned(), test.to_owned())).or_default();
            counts.runs += 1;
            if !passed {
                counts.failures += 1;
                failures.push(test.to_owned());
            }
        }
        // A program that dies or hangs names no test.
        let ended_well = status.is_some_and(|status| status.success());
        if !ended_well && failures.is_empty() {
            let what = status.map_or_else(|| "did not end".to_owned(), |status| status.to_string());
            let counts = self.tests.entry((program.to_owned(), format!("(program: {what})"))).or_default();
            counts.runs += 1;
            counts.failures += 1;
            failures.push(what);
        }
        failures
    }

    /// One line a test; those that failed have a mark.
    pub(super) fn table(&self) -> String {
        let mut lines = vec![format!("{:>6} {:>8}  test", "runs", "failures")];
        for ((program, test), counts) in &self.tests {
            let mark = if counts.failures > 0 { "  <= FLAKE" } else { "" };
            lines.push(format!("{:>6} {:>8}  {program} {test}{mark}", counts.runs, counts.failures));
        }
        lines.join("\n")
    }

    /// # Errors
    /// When a test failed, or none ran.
    pub(super) fn judge(&self) -> anyhow::Result<()> {
        let sum = |of: fn(&Counts) -> u32| self.tests.values().map(of).sum::<u32>();
        let (runs, failures) = (sum(|counts| counts.runs), sum(|counts| counts.failures));
        if runs == 0 {
            bail!("no test ran");
        }
        if failures > 0 {
            bail!("{failures} failures in {runs} runs of {} tests", self.tests.len());
        }
        println!("no flake in {runs} runs of {} tests", self.tests.len());
        Ok(())
    }
}

/// Name and result of a test, where the line tells one. Ignored ones did not run.
fn result(line: &str) -> Option<(&str, bool)> {
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    match result {
        "ok" => Some((name, true)),
        "FAILED" => Some((name, false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    const OUTPUT: &str = "\nrunning 3 tests\ntest a::one ... ok\ntest a::two ... FAILED\ntest b ... ignored, slow\n\
        test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";

    #[test]
    fn results_are_counted_by_test() {
        let mut tally = Tally::default();
        let failed = Some(ExitStatus::from_raw(101 << 8));
        assert_eq!(tally.add("gateway/mo", failed, OUTPUT), ["a::two"]);
        let better = OUTPUT.replace("FAILED", "ok");
        assert_eq!(tally.add("gateway/mo", Some(ExitStatus::from_raw(0)), &better), Vec::<String>::new());
        let counts = |test: &str| tally.tests[&("gateway/mo".to_owned(), test.to_owned())];
        assert_eq!(counts("a::one"), Counts { runs: 2, failures: 0 });
        assert_eq!(counts("a::two"), Counts { runs: 2, failures: 1 });
        assert_eq!(tally.judge().unwrap_err().to_string(), "1 failures in 4 runs of 2 tests");
        assert_eq!(tally.table().lines().filter(|line| line.ends_with("<= FLAKE")).count(), 1);
    }

    #[test]
    fn a_program_that_hangs_or_dies_is_a_failure() {
        let mut tally = Tally::default();
        assert_eq!(tally.add("link/hub", None, "test a ... ok\n"), ["did not end"]);
        assert_eq!(tally.add("link/hub", Some(ExitStatus::from_raw(6)), "").len(), 1);
        assert!(tally.judge().is_err());
    }

    #[test]
    fn nothing_at_all_is_no_pass() {
        assert_eq!(Tally::default().judge().unwrap_err().to_string(), "no test ran");
    }
}
