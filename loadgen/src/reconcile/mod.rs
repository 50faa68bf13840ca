//! Joining ledgers: what became of every message and every receipt.
//!
//! ```text
//! lost        answered with status 0, accepted by no site
//! duplicated  accepted more often than once, minus the times a site knows that its answer did not leave
//! altered     accepted or received with another fingerprint (a receipt: with another state) than sent
//! misrouted   a receipt or MO at another account than its message's or number's
//! unknown     answered with the status that says "cannot know"
//! receipts    lost: acknowledged towards the site, its message answered with status 0, never received;
//!             duplicated: received more often than sent; unknown: for an id that no answer named
//! ```
//!
//! Messages that were never answered, because their connection ended, are neither lost nor delivered: they are
//! counted as unanswered.

mod classes;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

use ledger::{LedgerError, Meta, Reader, Tail};
use serde::{Deserialize, Serialize};

use crate::threshold::Metrics;
use table::Table;

/// What is joined.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// Ledgers of one loadgen run, one a worker.
    pub loadgen: Vec<PathBuf>,
    /// Ledgers of the simulators behind the target.
    pub sims: Vec<PathBuf>,
    /// command_status by which the target says that it cannot know what became of a message.
    pub unknown_status: u32,
}

/// What came of it. Counts are of submit_sm (parts of long messages count each).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reconciliation {
    /// Messages sent.
    pub sent: u64,
    /// Answered with status 0.
    pub delivered: u64,
    /// Answered with another status, `unknown` not counted.
    pub refused: u64,
    /// Answered with the unknown status.
    pub unknown: u64,
    /// Of these, accepted by a site after all.
    pub unknown_accepted: u64,
    /// Never answered.
    pub unanswered: u64,
    /// Refused although a site accepted them.
    pub refused_but_accepted: u64,
    /// Acceptances at all sites.
    pub accepted: u64,
    /// See the module.
    pub lost: u64,
    /// Acceptances beyond the first that no site can explain.
    pub duplicated: u64,
    /// Acceptances beyond the first after an answer that did not leave.
    pub ambiguous: u64,
    /// Accepted with another fingerprint than sent.
    pub altered: u64,
    /// Accepted but never sent by this run under this key.
    pub phantom: u64,
    /// Receipts.
    pub receipts: Returned,
    /// Mobile-originated messages.
    pub mo: Returned,
    /// What each site took.
    pub sites: Vec<Site>,
    /// The first offenders of each class, by key.
    pub offenders: BTreeMap<String, Vec<String>>,
    /// What the reader of this should know: cut files, records of other runs.
    pub notes: Vec<String>,
    /// Unix time of the first message sent, nanoseconds.
    pub begin_unix_ns: u64,
}

/// What travelled back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// Sent by the sites.
    pub sent: u64,
    /// Of these, acknowledged with status 0.
    pub acknowledged: u64,
    /// Received by accounts.
    pub received: u64,
    /// See the module.
    pub lost: u64,
    /// See the module.
    pub duplicated: u64,
    /// See the module.
    pub misrouted: u64,
    /// See the module.
    pub altered: u64,
    /// See the module.
    pub unknown: u64,
}

/// What one site took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// Messages accepted.
    pub accepted: u64,
    /// Messages refused.
    pub refused: u64,
    /// Receipts sent.
    pub receipts: u64,
    /// Messages accepted in each second from the first message sent.
    pub per_second: Vec<u32>,
}

/// Joins ledgers.
///
/// # Errors
///
/// A file cannot be read or is no ledger. A file that was cut off is no error; `notes` tell it.
pub fn reconcile(inputs: &Inputs) -> Result<Reconciliation, LedgerError> {
    let mut table = Table::default();
    let mut parties = Vec::new();
    for path in &inputs.loadgen {
        let (meta, mut reader) = Reader::open(path)?;
        table.begin_loadgen(&meta, records_max(path));
        parties = meta.parties;
        for record in reader.by_ref() {
            table.add_loadgen(&record);
        }
        table.note_tail(path, reader.tail());
    }
    table.join_receipts();
    for path in &inputs.sims {
        let (meta, mut reader) = Reader::open(path)?;
        let first_site = table.begin_sim(&meta);
        for record in reader.by_ref() {
            table.add_sim(first_site, &record);
        }
        table.note_tail(path, reader.tail());
    }
    Ok(classes::classify(table, &parties, inputs.unknown_status))
}

impl Reconciliation {
    /// The one line that matters.
    pub fn verdict(&self) -> String {
        let Returned { lost, duplicated, misrouted, altered, unknown, .. } = self.receipts;
        format!(
            "verdict: {} lost, {} misrouted, {} altered, {} duplicated, {} unknown outcome, {} refused, {} unanswered, \
             {} ambiguous; receipts: {lost} lost, {misrouted} misrouted, {altered} altered, {duplicated} duplicated, \
             {unknown} unknown",
            self.lost,
            self.misrouted(),
            self.altered + self.mo.altered,
            self.duplicated,
            self.unknown,
            self.refused,
            self.unanswered,
            self.ambiguous,
        )
    }

    /// Receipts and MO at the wrong account.
    pub fn misrouted(&self) -> u64 {
        self.receipts.misrouted + self.mo.misrouted
    }

    /// Whether everything that must never happen did not. Duplicated receipts are reported but allowed: delivery of
    /// receipts is at least once. A receipt for an unknown id is allowed for each answer that never arrived.
    pub fn holds(&self) -> bool {
        let Reconciliation { receipts, mo, .. } = self;
        let never = [
            self.lost,
            self.duplicated,
            self.altered,
            self.phantom,
            self.misrouted(),
            receipts.lost,
            receipts.altered,
            mo.lost,
            mo.altered,
        ];
        never.iter().all(|count| *count == 0) && receipts.unknown <= self.unanswered + self.unknown
    }

    /// Adds what thresholds may name.
    pub fn metrics(&self, out: &mut Metrics) {
        let Reconciliation { receipts, mo, .. } = self;
        let all = [
            ("total.lost", self.lost),
            ("total.duplicated", self.duplicated),
            ("total.misrouted", self.misrouted()),
            ("total.altered", self.altered),
            ("total.unknown", self.unknown),
            ("total.refused", self.refused),
            ("total.receipts.lost", receipts.lost),
            ("total.receipts.duplicated", receipts.duplicated),
            ("total.receipts.misrouted", receipts.misrouted),
            ("total.receipts.altered", receipts.altered),
            ("total.receipts.unknown", receipts.unknown),
            ("total.mo.lost", mo.lost),
            ("total.mo.duplicated", mo.duplicated),
            ("total.mo.misrouted", mo.misrouted),
            ("total.mo.altered", mo.altered),
            ("sim.accepted", self.accepted),
            ("sim.ambiguous", self.ambiguous),
        ];
        out.extend(all.map(|(name, count)| (name.to_owned(), count as f64)));
    }

    /// A page of text.
    pub fn text(&self) -> String {
        let mut out = format!(
            "messages  {} sent = {} delivered + {} refused + {} unknown + {} unanswered\n",
            self.sent, self.delivered, self.refused, self.unknown, self.unanswered
        );
        out += &format!("accepted  {} by the sites", self.accepted);
        for site in &self.sites {
            let share = 100.0 * site.accepted as f64 / self.accepted.max(1) as f64;
            out += &format!(" · {} {} ({share:.1} %)", site.name, site.accepted);
        }
        out.push('\n');
        let Returned { sent, acknowledged, received, .. } = self.receipts;
        out += &format!("receipts  {sent} sent, {acknowledged} acknowledged, {received} received\n");
        if self.mo.sent + self.mo.received > 0 {
            let Returned { sent, received, lost, duplicated, misrouted, altered, .. } = self.mo;
            out += &format!(
                "MO        {sent} sent, {received} received: {lost} lost, {duplicated} duplicated, {misrouted} misrouted, \
                 {altered} altered\n"
            );
        }
        for note in &self.notes {
            out += &format!("note      {note}\n");
        }
        for (class, keys) in &self.offenders {
            out += &format!("{class}:\n");
            for key in keys {
                out += &format!("    {key}\n");
            }
        }
        out += &self.verdict();
        out.push('\n');
        out
    }
}

/// More records than a file of its size can hold.
fn records_max(path: &PathBuf) -> u64 {
    std::fs::metadata(path).map_or(0, |data| data.len() / ledger::Record::SIZE as u64)
}

impl Table {
    fn note_tail(&mut self, path: &std::path::Path, tail: Tail) {
        let what = match tail {
            Tail::Whole => return,
            Tail::Cut { octets } => format!("ends with {octets} octets of a record that was cut off"),
            Tail::Damaged { record } => format!("is damaged from record {record} on; the rest was not read"),
            Tail::Unreadable => "cannot be read to its end".to_owned(),
        };
        self.notes.push(format!("{} {what}", path.display()));
    }

    fn begin_loadgen(&mut self, meta: &Meta, records: u64) {
        self.run = meta.run;
        self.dense_max = self.dense_max.max(records);
    }
}
