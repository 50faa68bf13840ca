//! The result of a run: one line of JSON, or a few lines for a person.

use super::Options;
use super::tally::{Counts, Tally};

/// What one run measured.
#[derive(serde::Serialize)]
pub(super) struct Report {
    binds: usize,
    window: usize,
    receipts: bool,
    /// Messages in the measured part: all but the warm-up.
    messages: u64,
    seconds: f64,
    messages_per_second: f64,
    latency_p50_us: f64,
    latency_p99_us: f64,
    /// CPU seconds of this program in the measured part; absent where the kernel keeps no count.
    cpu_seconds: Option<f64>,
    /// With `--absent` or `--withhold`: the receipts that came afterwards.
    release: Option<Release>,
    counts: Counts,
    /// Empty when output equals input.
    faults: Vec<String>,
}

/// When and at what CPU time the measured part began or ended.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    pub(super) at: u64,
    pub(super) cpu: Option<u64>,
    pub(super) answered: u64,
}

/// The measured part.
pub(super) struct Load {
    pub(super) start: Mark,
    pub(super) end: Mark,
    /// Why it ended before everything was answered, if it did.
    pub(super) silence: Option<String>,
}

/// Receipts that came after the load.
#[derive(Clone, serde::Serialize)]
pub(super) struct Release {
    /// How many had to come.
    pub(super) expected: u64,
    /// From the receivers' binds to the last receipt.
    pub(super) seconds: f64,
    pub(super) receipts_per_second: f64,
}

impl Report {
    pub(super) fn new(options: &Options, tally: &mut Tally, load: Load, release: Option<Release>) -> Report {
        let Load { start, end, silence } = load;
        let seconds = (end.at - start.at) as f64 / 1e9;
        let messages = end.answered - start.answered;
        let mut faults = tally.counts.faults(options.receipts);
        faults.extend(silence);
        Report {
            binds: options.binds,
            window: options.window,
            receipts: options.receipts,
            messages,
            seconds,
            messages_per_second: if seconds > 0.0 { messages as f64 / seconds } else { 0.0 },
            latency_p50_us: tally.latency(0.5) as f64 / 1e3,
            latency_p99_us: tally.latency(0.99) as f64 / 1e3,
            cpu_seconds: end.cpu.zip(start.cpu).map(|(end, start)| (end - start) as f64 / 1e9),
            release,
            counts: tally.counts.clone(),
            faults,
        }
    }

    pub(super) fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            println!("{}", serde_json::to_string(self)?);
            return Ok(());
        }
        println!(
            "{} binds x window {}: {:.0} messages/s ({} in {:.2} s), p50 {:.0} us, p99 {:.0} us, own CPU {:.2} s",
            self.binds,
            self.window,
            self.messages_per_second,
            self.messages,
            self.seconds,
            self.latency_p50_us,
            self.latency_p99_us,
            self.cpu_seconds.unwrap_or(f64::NAN),
        );
        if let Some(Release { expected, seconds, receipts_per_second }) = &self.release {
            println!("{expected} receipts came later, in {seconds:.2} s: {receipts_per_second:.0} a second");
        }
        Ok(())
    }

    pub(super) fn verdict(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.faults.is_empty(), "output differs from input: {}", self.faults.join("; "));
        Ok(())
    }
}
