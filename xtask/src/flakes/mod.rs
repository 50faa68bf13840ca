//! `cargo xtask flakes`: test programs, built once, again and again beside programs that eat the processor. A test that
//! fails once in so many runs is a defect, of the test or of what it tests.

mod children;
mod programs;
mod tally;

use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::needs::{self, Prepared};
use crate::{host, interrupt, project};
use children::Group;
use programs::Program;
use tally::Tally;

/// Runs of the contract suite of `runtime`, whose faults show in one run of ten or fewer.
const CONTRACT_RUNS: u32 = 30;
/// Runs of every end-to-end program.
const RUNS: u32 = 5;
/// Longest run of one program; a longer one is ended and counts as a failure.
const RUN_MAX: Duration = Duration::from_secs(300);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only the K-th of N parts of all runs, so that one part takes minutes; each program is spread over the parts
    #[arg(long, value_name = "K/N", default_value = "1/1")]
    slice: Slice,
    /// Programs that eat the processor; default: one for each core
    #[arg(long)]
    hogs: Option<usize>,
    /// Only programs whose name (package/program) contains this
    #[arg(long, default_value = "")]
    only: String,
    /// Only tests whose name contains this
    #[arg(long, default_value = "")]
    test: String,
    /// Runs of each program, instead of 30 of the contract suite and 5 of the others
    #[arg(long)]
    runs: Option<u32>,
    /// Skip the tests that need NAME, as in `cargo xtask test`
    #[arg(long, value_name = "NAME")]
    without: Vec<String>,
}

/// One of several parts of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slice {
    /// From 1.
    number: usize,
    of: usize,
}

impl FromStr for Slice {
    type Err = String;

    fn from_str(text: &str) -> Result<Slice, String> {
        let parsed = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
        match parsed {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Slice { number, of }),
            _ => Err("expected K/N with K from 1 to N, such as 2/8".to_owned()),
        }
    }
}

/// # Errors
/// When a test failed in one of its runs.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let target = project::metadata()?.target_directory;
    let prepared = needs::prepare(&target, &options.without, false)?;
    repeat(&target, &prepared, options)
}

/// All of it, as a part of `cargo xtask test --slow`.
///
/// # Errors
/// As [`run`].
pub(crate) fn whole(target: &Path, prepared: &Prepared) -> anyhow::Result<()> {
    let options = Options {
        slice: Slice { number: 1, of: 1 },
        hogs: None,
        only: String::new(),
        test: String::new(),
        runs: None,
        without: Vec::new(),
    };
    repeat(target, prepared, &options)
}

fn repeat(target: &Path, prepared: &Prepared, options: &Options) -> anyhow::Result<()> {
    let mut programs = programs::build()?;
    programs.retain(|program| program.name.contains(&options.only));
    let work = plan(&programs, options.runs, options.slice);
    ensure!(!work.is_empty(), "no test program's name contains {:?}", options.only);
    let folder = target.join("flakes");
    fs::create_dir_all(&folder)?;
    let hogs = options.hogs.map_or_else(|| host::cores().map(|cores| cores.len()), Ok)?;
    println!("== {} runs beside {hogs} hogs", work.len());
    let _hogs = (0..hogs).map(|_| children::hog()).collect::<anyhow::Result<Vec<Group>>>()?;
    let mut tally = Tally::default();
    for (program, number) in work {
        interrupt::check()?;
        let log = folder.join(format!("{}-{number}.log", program.name.replace('/', "-")));
        let started = Instant::now();
        let mut command = program.command(&options.test);
        command.envs(prepared.environment.iter().cloned());
        let status = children::run(command, &log, RUN_MAX)?;
        let text = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
        let failures = tally.add(&program.name, status, &String::from_utf8_lossy(&text));
        let took = started.elapsed().as_secs_f64();
        if failures.is_empty() {
            println!("      ok {} run {number} {took:.1} s", program.name);
            fs::remove_file(&log)?;
        } else {
            println!("  FAILED {} run {number} {took:.1} s: {}", program.name, failures.join(", "));
            println!("         its output: {}", log.display());
        }
    }
    println!("== runs and failures of each test\n{}", tally.table());
    tally.judge()
}

/// The runs of one slice. The slices take turns, so that each has its part of every program.
fn plan(programs: &[Program], runs: Option<u32>, slice: Slice) -> Vec<(&Program, u32)> {
    let all = programs.iter().flat_map(|program| {
        let default = if program.is_contract() { CONTRACT_RUNS } else { RUNS };
        (1..=runs.unwrap_or(default)).map(move |number| (program, number))
    });
    all.enumerate().filter(|(at, _)| at % slice.of == slice.number - 1).map(|(_, run)| run).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_read() {
        assert_eq!("2/8".parse(), Ok(Slice { number: 2, of: 8 }));
        for wrong in ["0/8", "9/8", "1", "a/b", "1/0", ""] {
            assert!(wrong.parse::<Slice>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_slices_together_are_all_runs() {
        let programs = ["runtime/contract", "gateway/mo", "link/hub"].map(Program::named);
        let mut seen = Vec::new();
        for number in 1..=4 {
            let part = plan(&programs, None, Slice { number, of: 4 });
            assert!(part.len() >= 10, "{}", part.len());
            seen.extend(part.iter().map(|(program, run)| (program.name.clone(), *run)));
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), (CONTRACT_RUNS + 2 * RUNS) as usize);
    }
}
