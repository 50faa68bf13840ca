//! Named steps with their times, and the page that lists them.

use std::time::{Duration, Instant};

use anyhow::bail;

/// What became of each step.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<(&'static str, Duration, Option<String>)>,
}

impl Steps {
    /// Runs one step; its failure is remembered and the next steps still run.
    pub(crate) fn run(&mut self, name: &'static str, step: impl FnOnce() -> anyhow::Result<()>) {
        println!("== {name}");
        let started = Instant::now();
        let failure = step().err().map(|error| format!("{error:#}"));
        if let Some(failure) = &failure {
            eprintln!("{name}: {failure}");
        }
        self.done.push((name, started.elapsed(), failure));
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
        assert_eq!(steps.verdict().unwrap_err().to_string(), "failed: first");
    }
}
