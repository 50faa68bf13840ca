//! The page at the end of the demo, and its verdict.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::Value;

/// What the load generator leaves for programs to read.
pub(super) const SUMMARY: &str = "summary.json";

/// What must be zero for each word of the verdict: places in the reconciliation.
const MUST_BE_ZERO: [(&str, &[&str]); 4] = [
    ("lost", &["/lost", "/receipts/lost", "/mo/lost"]),
    ("misrouted", &["/receipts/misrouted", "/mo/misrouted"]),
    ("altered", &["/altered", "/receipts/altered", "/mo/altered"]),
    ("invented", &["/phantom"]),
];

/// Everything the page says.
pub(super) struct Page {
    metrics: Value,
    verdict: Value,
    invalid: bool,
    folder: PathBuf,
    /// What happened meanwhile.
    events: Vec<String>,
}

/// What the load generator wrote into its folder.
///
/// # Errors
/// When it wrote nothing.
pub(super) fn summary(folder: &Path) -> anyhow::Result<Value> {
    let path = folder.join(SUMMARY);
    let text = std::fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))?;
    Ok(serde_json::from_str(&text)?)
}

impl Page {
    /// # Errors
    /// When the load left no summary.
    pub(super) fn new(folder: &Path, verdict: &Value, invalid: bool) -> anyhow::Result<Page> {
        let metrics = summary(&folder.join("load"))?["metrics"].take();
        Ok(Page { metrics, verdict: verdict.clone(), invalid, folder: folder.to_owned(), events: Vec::new() })
    }

    pub(super) fn with_events(mut self, events: Vec<String>) -> Page {
        self.events = events;
        self
    }

    pub(super) fn print(&self, report: anyhow::Result<PathBuf>) {
        let (verdict, metric) = (&self.verdict, |name: &str| self.metric(name));
        println!("\n================================ demo ================================");
        println!(
            "messages   {} sent = {} delivered + {} refused + {} of unknown outcome + {} unanswered",
            verdict["sent"],
            verdict["delivered"],
            verdict["refused"],
            verdict["unknown"],
            verdict["unanswered"]
        );
        println!(
            "rate       {:.0} messages/s answered, {:.0} receipts/s",
            metric("total.rate"),
            metric("total.receipt_rate")
        );
        let milliseconds = |name: &str| metric(&format!("total.submit.rt.{name}")) * 1e3;
        println!(
            "answer     p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, from the moment a message was due, the outage included",
            milliseconds("p50"),
            milliseconds("p99"),
            milliseconds("p99.9")
        );
        if self.invalid {
            println!(
                "           INVALID: this machine did not keep the load's schedule; the times are not the gateway's"
            );
        }
        for site in verdict["sites"].as_array().into_iter().flatten() {
            let accepted = site["accepted"].as_f64().unwrap_or(0.0);
            let share = accepted * 100.0 / verdict["accepted"].as_f64().unwrap_or(0.0).max(1.0);
            let name = site["name"].as_str().unwrap_or("?");
            println!(
                "site       {name} took {accepted:.0} ({share:.1} %) and sent {} receipts",
                site["receipts"]
            );
        }
        let receipts = &verdict["receipts"];
        println!(
            "receipts   {} sent, {} acknowledged, {} received by customers, {} of them twice",
            receipts["sent"], receipts["acknowledged"], receipts["received"], receipts["duplicated"]
        );
        println!(
            "twice      {} messages without an explanation, {} after an answer that never left the site",
            verdict["duplicated"], verdict["ambiguous"]
        );
        self.events.iter().for_each(|line| println!("{line}"));
        let words = MUST_BE_ZERO.iter().map(|(word, places)| match self.count(places) {
            Ok(count) => format!("{count} {word}"),
            Err(error) => error.to_string(),
        });
        println!("verdict    {}", words.collect::<Vec<_>>().join(", "));
        match report {
            Ok(path) => println!("report     {}", path.display()),
            Err(error) => println!("report     none: {error:#}"),
        }
        println!("files      {}", self.folder.display());
    }

    /// # Errors
    /// When something was lost, misrouted or altered, or no message was delivered.
    pub(super) fn judge(&self) -> anyhow::Result<()> {
        for (word, places) in MUST_BE_ZERO {
            let count = self.count(places)?;
            ensure!(count == 0, "{count} {word}; the first of them: {:#}", self.verdict["offenders"]);
        }
        ensure!(self.count(&["/delivered"])? > 0, "no message was delivered");
        Ok(())
    }

    fn count(&self, places: &[&str]) -> anyhow::Result<u64> {
        let count = |place: &&str| {
            let value = self.verdict.pointer(place).and_then(Value::as_u64);
            value.with_context(|| format!("the reconciliation does not say {place}"))
        };
        places.iter().map(count).sum()
    }

    /// A metric of the load; not a number where there is none.
    fn metric(&self, name: &str) -> f64 {
        self.metrics[name].as_f64().unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(verdict: Value) -> Page {
        Page { metrics: Value::Null, verdict, invalid: false, folder: PathBuf::new(), events: Vec::new() }
    }

    #[test]
    fn only_a_clean_verdict_over_real_traffic_passes() {
        let returned = serde_json::json!({"lost": 0, "misrouted": 0, "altered": 0});
        let clean = serde_json::json!(
            {"delivered": 5, "lost": 0, "altered": 0, "phantom": 0, "receipts": returned, "mo": returned}
        );
        page(clean.clone()).judge().unwrap();
        for place in MUST_BE_ZERO.iter().flat_map(|(_, places)| *places) {
            let mut bad = clean.clone();
            *bad.pointer_mut(place).unwrap() = 1.into();
            assert!(page(bad.clone()).judge().is_err(), "{place} of 1 passed");
            *bad.pointer_mut(place).unwrap() = Value::Null;
            assert!(page(bad).judge().is_err(), "a missing {place} passed");
        }
        let mut idle = clean;
        idle["delivered"] = 0.into();
        assert!(page(idle).judge().is_err());
    }
}
