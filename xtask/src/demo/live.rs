//! What is seen while the load runs: the load generator's own lines, and what each site takes.

use std::fs::File;
use std::io::{IsTerminal, Read, Seek, SeekFrom, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http;

/// How often the sites are asked.
const EVERY: Duration = Duration::from_secs(1);
/// Width of the bar that stands for the busiest site.
const BAR: u64 = 30;

/// Follows a run.
pub(super) struct Live {
    control: SocketAddr,
    log: PathBuf,
    /// Octets of the log already shown.
    read: u64,
    asked: Option<Instant>,
    /// Messages each site took so far.
    taken: Vec<(String, u64)>,
    /// A status line stands on the terminal and is written over.
    open_line: bool,
}

impl Live {
    pub(super) fn new(control: SocketAddr, log: PathBuf) -> Live {
        Live { control, log, read: 0, asked: None, taken: Vec::new(), open_line: false }
    }

    /// A line between the others.
    pub(super) fn say(&mut self, line: &str) {
        self.close_line();
        println!("{line}");
    }

    /// Shows what is new.
    pub(super) fn show(&mut self) {
        self.show_log();
        if self.asked.is_none_or(|asked| asked.elapsed() >= EVERY) {
            self.asked = Some(Instant::now());
            self.show_sites();
        }
    }

    /// Shows the rest and ends the status line.
    pub(super) fn finish(&mut self) {
        self.show_log();
        self.show_sites();
        self.close_line();
    }

    fn show_log(&mut self) {
        let Some(text) = self.new_log() else { return };
        self.close_line();
        print!("{text}");
    }

    /// Whole lines written to the log since the last look; `None` when there are none.
    fn new_log(&mut self) -> Option<String> {
        let mut file = File::open(&self.log).ok()?;
        file.seek(SeekFrom::Start(self.read)).ok()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).ok()?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n')? + 1;
        self.read += whole as u64;
        Some(String::from_utf8_lossy(&bytes[..whole]).into_owned())
    }

    fn show_sites(&mut self) {
        // A site that is silent towards its peers still answers here; if not, the next second may.
        let Ok(body) = http::get(self.control, "/counters") else { return };
        let Ok(value) = serde_json::from_str::<Value>(&body) else { return };
        let now = taken(&value);
        let rates: Vec<u64> = now.iter().map(|(site, count)| count - self.before(site).min(*count)).collect();
        let highest = rates.iter().copied().max().unwrap_or(0).max(1);
        let bars: Vec<String> = now
            .iter()
            .zip(&rates)
            .map(|((site, count), rate)| {
                let bar = "#".repeat((rate * BAR / highest / 2) as usize);
                format!("{site} {count:>8} (+{rate:<6}) {bar:<15}")
            })
            .collect();
        self.taken = now;
        let line = format!("  sites: {}", bars.join("  "));
        if std::io::stdout().is_terminal() {
            print!("\r{line}");
            self.open_line = true;
        } else {
            println!("{line}");
        }
        // A terminal that cannot be written to is no reason to stop.
        let _ = std::io::stdout().flush();
    }

    fn before(&self, site: &str) -> u64 {
        self.taken.iter().find(|(name, _)| name == site).map_or(0, |(_, count)| *count)
    }

    fn close_line(&mut self) {
        if std::mem::take(&mut self.open_line) {
            println!();
        }
    }
}

/// Messages taken by each site from the simulator's counters.
fn taken(value: &Value) -> Vec<(String, u64)> {
    let sites = value.as_object().into_iter().flatten();
    sites.filter_map(|(site, counters)| Some((site.clone(), counters["accepted"].as_u64()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read() {
        let value = serde_json::json!({"a": {"accepted": 7}, "b": {"accepted": 0}});
        assert_eq!(taken(&value), [("a".to_owned(), 7), ("b".to_owned(), 0)]);
        assert_eq!(taken(&Value::Null), []);
    }
}
