//! `bench gate`: what a message costs in instructions, allocations, copied octets and system calls, on fixed traces,
//! against `perf/baselines/`. Counts do not depend on what else the machine does, so a change of one per cent is seen.
//!
//! A trace runs at two lengths, and the difference is divided by the messages between them: what the start costs cancels
//! out. Each run proves the gate itself: the same build passes a second time, and the same build with 3 % more
//! instructions, or one allocation more a message, does not.

mod baseline;
mod callgrind;
mod figures;
mod tools;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use serde_json::{Value, json};

use self::baseline::Baseline;
use self::figures::{Figures, Judged, Standing, changed_functions, judge};
use self::tools::Trace;
use super::history;
use crate::{interrupt, process, project};

/// Messages of the short and the long run, for what is the same in every run. Whole batches.
const LENGTHS: (u32, u32) = (1_000, 5_000);
/// The same for system calls, of a trace in batches.
const LENGTHS_SYSCALLS: (u32, u32) = (2_000, 22_000);
/// The same of the trace that sends one message at a time.
const LENGTHS_SYSCALLS_SINGLE: (u32, u32) = (500, 2_500);
/// Functions kept in a baseline, and shown when instructions change.
const FUNCTIONS_KEPT: usize = 60;
const FUNCTIONS_SHOWN: usize = 12;
/// Instructions that the gate adds to show that it sees them, as a share.
const INJECTED_SHARE: f64 = 0.03;
/// How far what was added may be from what was meant.
const INJECTED_SHARE_SPREAD: f64 = 0.005;
/// Rounds of the empty loop that tell what a round costs.
const CALIBRATION_ROUNDS: u64 = 100;

/// The traces, as `gate-trace` names them.
const TRACES: [&str; 5] = ["submit", "single", "cycle", "throttled", "mo"];
const SINGLE: &str = "single";

#[derive(clap::Args, Default)]
pub(crate) struct Options {
    /// Make what is measured the new baselines, to be committed with the change that moved them
    #[arg(long)]
    accept: bool,
    /// Only the traces with these names: submit, single, cycle, throttled, mo
    #[arg(long)]
    only: Vec<String>,
}

/// # Errors
/// When a figure left its baseline, the gate does not see what it must see, or a tool is missing.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let names: Vec<&'static str> = TRACES
        .into_iter()
        .filter(|name| options.only.is_empty() || options.only.iter().any(|only| only == name))
        .collect();
    ensure!(!names.is_empty(), "no trace has such a name; there are {}", TRACES.join(", "));
    tools::ensure_all()?;
    let (program, folder) = build()?;
    let trace =
        |name| Trace { program: &program, folder: &folder, name, inject_rounds: 0, inject_allocations: 0 };
    let (mut measured, mut unproved) = (BTreeMap::new(), Vec::new());
    for name in names {
        interrupt::check()?;
        let figures = measure(trace(name))?;
        print_figures(name, &figures);
        unproved.extend(prove(trace(name), &figures)?);
        measured.insert(name, figures);
    }
    ensure!(unproved.is_empty(), "the gate does not prove itself: {}", unproved.join("; "));
    println!("self-proof: the same build passes, 3 % more instructions and one allocation a message fail");
    if options.accept {
        return accept(&measured);
    }
    compare(&measured)
}

fn build() -> anyhow::Result<(PathBuf, PathBuf)> {
    let arguments = ["build", "--release", "--package", "benches", "--bin", "gate-trace"];
    process::run(project::cargo().args(arguments))?;
    let target = project::metadata()?.target_directory;
    let folder = target.join("gate");
    std::fs::create_dir_all(&folder)?;
    Ok((target.join("release/gate-trace"), folder))
}

fn per_message(long: f64, short: f64, lengths: (u32, u32)) -> f64 {
    (long - short) / f64::from(lengths.1 - lengths.0)
}

/// What a message of the trace costs.
fn measure(trace: Trace<'_>) -> anyhow::Result<Figures> {
    let mut figures = counted(trace)?;
    let (short, long) = LENGTHS;
    let octets = (trace.copied_octets(long)? as f64, trace.copied_octets(short)? as f64);
    figures.copied_octets = per_message(octets.0, octets.1, LENGTHS);
    let lengths = if trace.name == SINGLE { LENGTHS_SYSCALLS_SINGLE } else { LENGTHS_SYSCALLS };
    let (many, few) = (trace.syscalls(lengths.1)?, trace.syscalls(lengths.0)?);
    for (name, count) in many {
        let before = few.get(&name).copied().unwrap_or(0);
        let share = per_message(count as f64, before as f64, lengths);
        // A handful of calls in all are ticks of the start and of the end.
        if share.abs() >= 1e-3 {
            figures.syscalls.insert(name, round(share));
        }
    }
    Ok(figures)
}

/// Instructions, allocations and socket calls.
fn counted(trace: Trace<'_>) -> anyhow::Result<Figures> {
    let (short, long) = LENGTHS;
    let (many, few) = (trace.instructions(long)?, trace.instructions(short)?);
    let mut functions: Vec<(String, f64)> = many
        .functions
        .iter()
        .map(|(name, count)| {
            let before = few.functions.get(name).copied().unwrap_or(0);
            (name.clone(), round(per_message(*count as f64, before as f64, LENGTHS)))
        })
        .collect();
    functions.sort_by(|a, b| b.1.total_cmp(&a.1));
    functions.truncate(FUNCTIONS_KEPT);
    let own = (trace.own_counts(long)?, trace.own_counts(short)?);
    Ok(Figures {
        instructions: per_message(many.total() as f64, few.total() as f64, LENGTHS),
        allocations: per_message(own.0.allocations, own.1.allocations, LENGTHS),
        socket_calls: per_message(own.0.socket_calls, own.1.socket_calls, LENGTHS),
        functions: functions.into_iter().filter(|(_, count)| *count >= 0.5).collect(),
        ..Figures::default()
    })
}

/// Figures of functions and calls are kept to a hundredth: more digits only make differences hard to read.
fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// Measures the same build again, and with work added, and says what the gate did not see as it must.
fn prove(trace: Trace<'_>, figures: &Figures) -> anyhow::Result<Vec<String>> {
    let again = |counted: Figures| Figures {
        copied_octets: figures.copied_octets,
        syscalls: figures.syscalls.clone(),
        ..counted
    };
    let mut failures = Vec::new();
    let same = judge(&again(counted(trace)?), figures, true);
    let spread = figure(&same, "instructions").excess();
    for judged in same.iter().filter(|judged| judged.standing != Standing::Same) {
        failures.push(format!("{}: {} of the same build differ from themselves", trace.name, judged.name));
    }
    let round_costs = {
        let calibration = Trace { inject_rounds: CALIBRATION_ROUNDS, ..trace };
        (counted(calibration)?.instructions - figures.instructions) / CALIBRATION_ROUNDS as f64
    };
    ensure!(round_costs > 0.0, "{}: a round of the empty loop costs nothing", trace.name);
    let rounds = (figures.instructions * INJECTED_SHARE / round_costs).round() as u64;
    let injected = counted(Trace { inject_rounds: rounds, inject_allocations: 1, ..trace })?;
    let worse = judge(&again(injected), figures, true);
    let (instructions, allocations) = (figure(&worse, "instructions"), figure(&worse, "allocations"));
    // The allocation's own instructions come on top, some hundred.
    let is_seen = instructions.standing == Standing::Worse && allocations.standing == Standing::Worse;
    let only_rounds = counted(Trace { inject_rounds: rounds, ..trace })?;
    let only_rounds = judge(&again(only_rounds), figures, true);
    let share = figure(&only_rounds, "instructions");
    let is_three = (share.excess() - INJECTED_SHARE).abs() <= INJECTED_SHARE_SPREAD;
    if !is_seen || share.standing != Standing::Worse || !is_three {
        failures.push(format!(
            "{}: {:.2} % more instructions or an allocation were not seen",
            trace.name,
            share.excess() * 100.0
        ));
    }
    println!(
        "  proof: the same build {:+.3} %; with work added {:+.2} % instructions and {:+.3} allocations: {}",
        spread * 100.0,
        share.excess() * 100.0,
        allocations.measured - allocations.baseline,
        if is_seen { "both fail" } else { "NOT SEEN" },
    );
    Ok(failures)
}

fn figure<'a>(judged: &'a [Judged], name: &str) -> &'a Judged {
    judged.iter().find(|judged| judged.name == name).expect("every figure is judged")
}

fn print_figures(name: &str, figures: &Figures) {
    println!(
        "{name}: {:.1} instructions, {} allocations, {:.1} octets copied, {} socket calls, {:.3} system calls a message",
        figures.instructions,
        round(figures.allocations),
        figures.copied_octets,
        round(figures.socket_calls),
        figures.syscalls_total(),
    );
}

/// Judges each trace against its baseline.
fn compare(measured: &BTreeMap<&str, Figures>) -> anyhow::Result<()> {
    let versions = tools::versions();
    let (mut worse, mut better) = (Vec::new(), Vec::new());
    println!("\n| trace | figure | baseline | now | | |\n|---|---|--:|--:|--:|---|");
    for (name, figures) in measured {
        let baseline = Baseline::read(name)?;
        let differing = baseline.differing_tools(&versions);
        for what in &differing {
            println!("NOTE {name}: {what}; instructions and octets may differ by 10 % instead of 1 %");
        }
        let judged = judge(figures, &baseline.figures, differing.is_empty());
        for one in &judged {
            let word = match one.standing {
                Standing::Same => "",
                Standing::Better => "better",
                Standing::Worse => "WORSE",
            };
            let Judged { name: what, baseline, measured, .. } = one;
            println!(
                "| {name} | {what} | {baseline:.3} | {measured:.3} | {:+.2} % | {word} |",
                one.excess() * 100.0
            );
            match one.standing {
                Standing::Same => {}
                Standing::Better => better.push(format!("{name}: {what}")),
                Standing::Worse => worse.push(format!("{name}: {what}")),
            }
        }
        if judged.iter().any(|one| one.standing != Standing::Same) {
            print_changes(figures, &baseline.figures);
        }
    }
    let remedy =
        "run `cargo xtask bench gate --accept` and commit perf/baselines with the change and the reason";
    if !worse.is_empty() {
        bail!("worse than the baseline: {}; if that is meant, {remedy}", worse.join(", "));
    }
    if !better.is_empty() {
        bail!("better than the baseline, which must follow: {}; {remedy}", better.join(", "));
    }
    println!("gate: all figures within their tolerance of the baselines");
    Ok(())
}

fn print_changes(measured: &Figures, baseline: &Figures) {
    println!("  instructions by function, before and now:");
    for (name, before, now) in changed_functions(measured, baseline, FUNCTIONS_SHOWN) {
        println!("  {:>+9.1} {before:>9.1} -> {now:>9.1}  {name}", now - before);
    }
    for (name, now) in &measured.syscalls {
        let before = baseline.syscalls.get(name).copied().unwrap_or(0.0);
        println!("  {:>+9.3} {before:>9.3} -> {now:>9.3}  system call {name}", now - before);
    }
}

fn accept(measured: &BTreeMap<&str, Figures>) -> anyhow::Result<()> {
    let versions = tools::versions();
    let mut summary = serde_json::Map::new();
    for (name, figures) in measured {
        Baseline { trace: (*name).to_owned(), tools: versions.clone(), figures: figures.clone() }.write()?;
        let shown: Value = json!({
            "instructions": round(figures.instructions), "allocations": round(figures.allocations),
            "copied_octets": round(figures.copied_octets), "socket_calls": round(figures.socket_calls),
            "syscalls": round(figures.syscalls_total()),
        });
        summary.insert((*name).to_owned(), shown);
    }
    history::record("gate", &Value::Object(summary))?;
    println!("written to {}: commit it with the change", Path::new(baseline::FOLDER).display());
    Ok(())
}
