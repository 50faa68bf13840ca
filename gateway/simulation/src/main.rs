//! `cargo xtask simulate`: many stories, progress, and a verdict.

#![forbid(unsafe_code)]

use gateway_simulation::{Fault, Mutation, Story, Violation, mutation_of_name, mutations, tell};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

struct Options {
    from: u64,
    seeds: u64,
    mutation: Option<Mutation>,
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(mistake) => {
            eprintln!("{mistake}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(violation) => {
            println!("{violation}");
            println!("1 violation; again: cargo xtask simulate --seeds 1 --from {}", violation.seed);
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { from: 0, seeds: 1000, mutation: None };
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        let number = || value.parse().map_err(|_| format!("{argument} {value}: not a number"));
        match argument.as_str() {
            "--seeds" => options.seeds = number()?,
            "--from" => options.from = number()?,
            "--mutation" => {
                let mutation = mutation_of_name(&value);
                options.mutation = Some(
                    mutation.ok_or_else(|| format!("--mutation {value}: not one of {:?}", mutations()))?,
                );
            }
            _ => return Err(format!("unknown argument {argument}")),
        }
    }
    Ok(options)
}

fn run(options: &Options) -> Result<(), Box<Violation>> {
    let (started, mut shown) = (Instant::now(), Instant::now());
    let mut total = Story::default();
    for seed in options.from..options.from.saturating_add(options.seeds) {
        total.add(&tell(seed, options.mutation)?);
        if shown.elapsed() >= PROGRESS_EVERY {
            shown = Instant::now();
            println!("seed {seed}: {} messages, {} faults", total.messages, total.faults.total());
        }
    }
    let kinds: Vec<String> =
        Fault::ALL.iter().map(|fault| format!("{} {}", fault.name(), total.faults.of(*fault))).collect();
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{} accepted, {} refused, {} unknown; {} receipts; {} taken, {} of them on another node; {} parked, {} orphans; \
         {} events, trace {:016x}",
        total.accepted,
        total.refused,
        total.unknown,
        total.receipts,
        total.taken,
        total.across_nodes,
        total.parked,
        total.orphans,
        total.events,
        total.trace
    );
    println!(
        "{} spooled, {} handed out again, {} receipts of ours; {} MO made whole; {} parts followed others; {} refused for want of room",
        total.spooled, total.handed_out, total.own_receipts, total.wholes, total.together, total.no_room
    );
    println!("{:.0} messages a minute", total.messages as f64 * 60.0 / seconds);
    println!(
        "{} seeds, {} messages, {} faults ({}), 0 violations, {seconds:.0} s",
        options.seeds,
        total.messages,
        total.faults.total(),
        kinds.join(", ")
    );
    Ok(())
}
