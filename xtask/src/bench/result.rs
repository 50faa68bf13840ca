//! Medians over rounds, the table, and the file of results.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};

use crate::project;

/// What one run of one case on one server measured.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Figures {
    /// Messages a second.
    pub(super) rate: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    /// CPU time of the whole server process, microseconds a message: steadier than the rate on a busy machine.
    pub(super) cpu_us_per_message: f64,
    /// The same of a Redis beside it; 0 without one.
    pub(super) redis_cpu_us_per_message: f64,
    /// The same of load and SMSC, in the measured part.
    pub(super) load_cpu_us_per_message: f64,
}

/// All rounds of one case on one server.
pub(super) struct Row {
    pub(super) case: &'static str,
    pub(super) server: &'static str,
    rounds: Vec<Figures>,
}

impl Row {
    pub(super) fn new(case: &'static str, server: &'static str) -> Row {
        Row { case, server, rounds: Vec::new() }
    }

    pub(super) fn add(&mut self, figures: Figures) {
        self.rounds.push(figures);
    }

    /// The median of each figure by itself.
    pub(super) fn median(&self) -> Figures {
        let of = |figure: fn(&Figures) -> f64| median(self.rounds.iter().map(figure).collect());
        Figures {
            rate: of(|figures| figures.rate),
            p50_us: of(|figures| figures.p50_us),
            p99_us: of(|figures| figures.p99_us),
            cpu_us_per_message: of(|figures| figures.cpu_us_per_message),
            redis_cpu_us_per_message: of(|figures| figures.redis_cpu_us_per_message),
            load_cpu_us_per_message: of(|figures| figures.load_cpu_us_per_message),
        }
    }

    pub(super) fn json(&self) -> Value {
        let median = self.median();
        json!({
            "case": self.case, "server": self.server, "messages_per_second": median.rate,
            "p50_us": median.p50_us, "p99_us": median.p99_us, "cpu_us_per_message": median.cpu_us_per_message,
            "redis_cpu_us_per_message": median.redis_cpu_us_per_message,
            "load_cpu_us_per_message": median.load_cpu_us_per_message,
            "rounds": self.rounds.iter().map(|figures| figures.rate).collect::<Vec<_>>(),
        })
    }
}

/// The middle value, or the mean of the two in the middle; 0 of nothing.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Prints every row with its share of `yardstick` in the same case.
pub(super) fn print_table(rows: &[Row], yardstick: &str) {
    println!();
    println!(
        "| case | server | messages/s | lowest | highest | of the yardstick | p50 us | p99 us | server CPU us/message |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|--:|--:|");
    for row in rows {
        let base = rows.iter().find(|other| other.case == row.case && other.server == yardstick);
        let (figures, rates) = (row.median(), row.rounds.iter().map(|figures| figures.rate));
        let share = base.map_or_else(
            || "-".to_owned(),
            |base| format!("1/{:.1}", base.median().rate / figures.rate.max(f64::MIN_POSITIVE)),
        );
        println!(
            "| {} | {} | {:.0} | {:.0} | {:.0} | {share} | {:.0} | {:.0} | {:.3} |",
            row.case,
            row.server,
            figures.rate,
            rates.clone().fold(f64::INFINITY, f64::min),
            rates.fold(0.0, f64::max),
            figures.p50_us,
            figures.p99_us,
            figures.cpu_us_per_message,
        );
    }
    println!();
}

/// Appends a result to `perf/results/<name>.jsonl`, and writes it to `file` when one is named.
pub(super) fn append(name: &str, result: &Value, file: Option<&Path>) -> anyhow::Result<()> {
    let folder = project::root().join("perf/results");
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{name}.jsonl"));
    let mut results = OpenOptions::new().create(true).append(true).open(&path)?;
    writeln!(results, "{result}").with_context(|| format!("cannot write {}", path.display()))?;
    if let Some(file) = file {
        std::fs::write(file, format!("{result:#}\n"))?;
    }
    println!("appended to perf/results/{name}.jsonl");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        for (values, expected) in
            [(vec![], 0.0), (vec![3.0], 3.0), (vec![9.0, 1.0, 5.0], 5.0), (vec![1.0, 9.0, 3.0, 5.0], 4.0)]
        {
            assert_eq!(median(values), expected);
        }
    }
}
