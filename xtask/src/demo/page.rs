//! The page at the end of the demo, and its verdict.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::Run;

/// Everything the page says.
pub(super) struct Page {
    report: Value,
    verdict: Value,
    shares: Vec<(String, u64)>,
    invalid: bool,
    folder: PathBuf,
}

/// What must be zero, by the names the reconciliation gives them.
const MUST_BE_ZERO: [&str; 3] = ["lost", "misrouted", "altered"];

impl Page {
    /// # Errors
    /// When the load left no report.
    pub(super) fn new(folder: &Path, verdict: &Value, run: &Run) -> anyhow::Result<Page> {
        let path = folder.join("load/report.json");
        let text = std::fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))?;
        Ok(Page {
            report: serde_json::from_str(&text)?,
            verdict: verdict.clone(),
            shares: run.shares.clone(),
            invalid: run.invalid,
            folder: folder.to_owned(),
        })
    }

    pub(super) fn print(&self, report: anyhow::Result<PathBuf>) {
        println!("\n================ demo ================");
        println!(
            "messages     {:>12.0} sent, {:.0} answered well",
            self.metric("total.sent"),
            self.metric("total.ok")
        );
        println!("rate         {:>12.0} messages/s answered", self.metric("total.rate"));
        let milliseconds = |name: &str| self.metric(&format!("total.submit.rt.{name}")) * 1e3;
        println!(
            "answer       {:>9.1} ms p50, {:.1} ms p99, {:.1} ms p99.9 (from the moment a message was due)",
            milliseconds("p50"),
            milliseconds("p99"),
            milliseconds("p99.9")
        );
        if self.invalid {
            println!(
                "             INVALID: this machine could not keep the load's schedule; the latencies are not the gateway's"
            );
        }
        println!("receipts     {:>12.0} received", self.metric("total.receipts.received"));
        let all: u64 = self.shares.iter().map(|(_, count)| count).sum();
        for (site, count) in &self.shares {
            let share = *count as f64 * 100.0 / all.max(1) as f64;
            println!("site         {count:>12} taken by {site} ({share:.1} %)");
        }
        let counts: Vec<String> =
            MUST_BE_ZERO.iter().map(|name| format!("{} {name}", self.verdict[*name])).collect();
        println!("verdict      {}", counts.join(", "));
        match report {
            Ok(path) => println!("report       {}", path.display()),
            Err(error) => println!("report       none: {error:#}"),
        }
        println!("files        {}", self.folder.display());
    }

    /// # Errors
    /// When something was lost, misrouted or altered, or nothing was sent.
    pub(super) fn judge(&self) -> anyhow::Result<()> {
        for name in MUST_BE_ZERO {
            let count = self.verdict[name].as_u64().with_context(|| format!("no {name} in the verdict"))?;
            ensure!(count == 0, "{count} {name}: {:#}", self.verdict);
        }
        ensure!(self.metric("total.ok") > 0.0, "no message was answered");
        Ok(())
    }

    /// A metric of the load's report; not a number where there is none.
    fn metric(&self, name: &str) -> f64 {
        self.report["metrics"][name].as_f64().unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(verdict: Value, ok: f64) -> Page {
        let report = serde_json::json!({"metrics": {"total.ok": ok}});
        Page { report, verdict, shares: Vec::new(), invalid: false, folder: PathBuf::new() }
    }

    #[test]
    fn only_a_clean_verdict_over_real_traffic_passes() {
        let clean = serde_json::json!({"lost": 0, "misrouted": 0, "altered": 0});
        page(clean.clone(), 5.0).judge().unwrap();
        assert!(page(clean.clone(), 0.0).judge().is_err());
        for name in MUST_BE_ZERO {
            let mut bad = clean.clone();
            bad[name] = 1.into();
            assert!(page(bad, 5.0).judge().unwrap_err().to_string().contains(name));
            let mut missing = clean.clone();
            missing.as_object_mut().unwrap().remove(name);
            assert!(page(missing, 5.0).judge().is_err());
        }
    }
}
