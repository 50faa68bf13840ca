//! Named steps with their times, and the page that lists them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::parts;

/// What became of each step.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<(&'static str, Duration, Option<String>)>,
    /// The target folder, where each step is written down as a part.
    record: Option<PathBuf>,
}

impl Steps {
    /// Steps that are written down in the target folder as well.
    pub(crate) fn recorded_in(target: &Path) -> Steps {
        Steps { record: Some(target.to_owned()), ..Steps::default() }
    }

    /// Runs one step; its failure is remembered and the next steps still run.
    pub(crate) fn run(&mut self, name: &'static str, step: impl FnOnce() -> anyhow::Result<()>) {
        println!("== {name}");
        let started = Instant::now();
        let mut failure = step().err().map(|error| format!("{error:#}"));
        let took = started.elapsed();
        if let Some(target) = &self.record
            && let Err(error) = parts::record(target, name, took, failure.as_deref())
        {
            failure.get_or_insert_with(|| format!("{error:#}"));
        }
        if let Some(failure) = &failure {
            eprintln!("{name}: {failure}");
        }
        self.done.push((name, took, failure));
    }

    /// True when no step has failed so far.
    pub(crate) fn all_passed(&self) -> bool {
        self.done.iter().all(|(.., failure)| failure.is_none())
    }

    /// Prints the list.
    ///
    /// # Errors
    /// When a step failed.
    pub(crate) fn verdict(self) -> anyhow::Result<()> {
        println!("== steps");
        for (name, time, failure) in &self.done {
            let word = if failure.is_some() { "FAILED" } else { "ok" };
            println!("{word:>8} {name:<10} {:>8.1} s", time.as_secs_f64());
        }
        let failed: Vec<_> = self.done.iter().filter(|(.., failure)| failure.is_some()).collect();
        if !failed.is_empty() {
            bail!("failed: {}", failed.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", "));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_step_fails_the_whole_and_the_others_still_run() {
        let (mut steps, mut ran) = (Steps::default(), 0);
        steps.run("first", || bail!("no"));
        steps.run("second", || {
            ran += 1;
            Ok(())
        });
        assert_eq!(ran, 1);
        assert!(!steps.all_passed());
        assert_eq!(steps.verdict().unwrap_err().to_string(), "failed: first");
    }
}
