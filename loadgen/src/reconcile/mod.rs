//! Joining ledgers: what became of every message and every receipt, and whose fault it was.
//!
//! ```text
//!   ledgers ─▶ Table (short form of every message) ─▶ suspects ─▶ Case (whole story) ─▶ Court ─▶ Findings
//!                 │                                                    └▶ Strays: what fits another message
//!                 └▶ Conduct (order, parts, sites, limits) · mobile ─────────────────────────────┘
//! ```
//!
//! The first reading keeps enough of each message to prove the innocent; only suspects are read whole. One cause is of
//! one [`Class`]. What is excused is counted apart, by the reason of the excuse: the kernel never had the answer, or it
//! left less than a second before its connection broke, and loadgen had no answer yet.
//!
//! Ledgers that cannot be judged (without an end, of another run, empty) make the result invalid: never a loss, never
//! a pass.

mod case;
mod causes;
mod conduct;
mod explain;
mod ids;
mod mobile;
mod offence;
mod read;
mod rules;
mod strays;
mod table;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use ledger::{Kind, LedgerError, MessageKey, Record};
use serde::{Deserialize, Serialize};

pub use explain::explain;
pub use offence::Class;
pub(crate) use rules::STALL_MAX_NS;
pub use rules::{Limit, Rules};

use crate::threshold::Metrics;
use case::{Case, Court, Ends};
use conduct::Conduct;
use ids::Received;
use offence::{Finding, Findings};
use strays::Strays;
use table::{SITE, Table};

/// What is joined.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Ledgers of one loadgen run, one a worker.
    pub loadgen: Vec<PathBuf>,
    /// Ledgers of the simulators behind the target; without any, only what loadgen can know is judged.
    pub sims: Vec<PathBuf>,
    /// command_status by which the target says that it cannot know what became of a message; none: as the run's
    /// scenario says.
    pub unknown_status: Option<u32>,
}

/// What came of it. Counts are of submit_sm (parts of long messages count each).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
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
    /// Answered with status 0, accepted by no site.
    pub lost: u64,
    /// Acceptances beyond the first that no site can explain.
    pub duplicated: u64,
    /// Acceptances beyond the first that are excused, and refusals after an acceptance whose answer did not leave.
    pub ambiguous: u64,
    /// Accepted with another content than sent.
    pub altered: u64,
    /// Accepted but never sent by this run.
    pub phantom: u64,
    /// Receipts.
    pub receipts: Returned,
    /// Mobile-originated messages.
    pub mo: Returned,
    /// Every class of offences that was committed, by [`Class::name`].
    pub classes: BTreeMap<String, u64>,
    /// What was excused, by reason.
    pub excused: Excused,
    /// What each site took.
    pub sites: Vec<Site>,
    /// The first offenders of each class, by key, each with time and site.
    pub offenders: BTreeMap<String, Vec<String>>,
    /// What happened at the same time as most offences of a class.
    pub causes: BTreeMap<String, String>,
    /// Why nothing can be judged; empty when it can.
    pub invalid: Vec<String>,
    /// What could not be judged without simulators' ledgers.
    pub unjudged: Vec<String>,
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
    /// Acknowledged or never taken, and never received.
    pub lost: u64,
    /// Received more often than sent, and no excuse.
    pub duplicated: u64,
    /// Received by another account than the message's.
    pub misrouted: u64,
    /// Received otherwise than sent, or in the name of another message.
    pub altered: u64,
    /// Received and never sent.
    pub unknown: u64,
}

/// What was excused, each with its reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Excused {
    /// Copies after an answer that the site never handed to the kernel.
    pub never_left: u64,
    /// Copies after an answer that left less than a second before its connection broke, with no answer at loadgen.
    pub before_break: u64,
    /// Copies of receipts after a session of loadgen ended within a second of the receipt.
    pub receipts: u64,
    /// Messages without an answer that were sent less than a second before their session broke.
    pub unanswered_recent: u64,
    /// Messages without an answer that were sent longer before their session broke.
    pub unanswered_old: u64,
    /// Receipts for ids that no answer named, because none arrived.
    pub nameless_receipts: u64,
}

impl Excused {
    fn add(&mut self, cause: u8) {
        match cause {
            Record::NEVER_LEFT => self.never_left += 1,
            _ => self.before_break += 1,
        }
    }
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
/// A file cannot be read or is no ledger. A file that was cut off is no error; `notes` tell it, and `invalid` when it
/// matters.
pub fn reconcile(inputs: &Inputs) -> Result<Reconciliation, LedgerError> {
    let mut joined = Joined::default();
    joined.read_loadgen(inputs)?;
    joined.read_sims(inputs)?;
    if joined.out.invalid.is_empty() {
        joined.judge(inputs)?;
    }
    Ok(joined.finish())
}

/// The joining under way.
#[derive(Default)]
struct Joined {
    rules: Rules,
    accounts: Vec<String>,
    table: Table,
    conduct: Conduct,
    findings: Findings,
    out: Reconciliation,
}

impl Joined {
    fn read_loadgen(&mut self, inputs: &Inputs) -> Result<(), LedgerError> {
        self.table.span = (u64::MAX, 0);
        for (index, path) in inputs.loadgen.iter().enumerate() {
            if index == 0 {
                self.begin(path, inputs)?;
            }
            self.table.dense_max = self.table.dense_max.max(records_max(path));
            let table = &mut self.table;
            let (_, condition) =
                read::read(path, None, |record| table.add_loadgen(&of_worker(record, index)))?;
            self.note_tail(path, condition.tail.as_deref());
            self.out.invalid.extend(condition.of_load(path));
        }
        self.table.join_receipts();
        Ok(())
    }

    fn begin(&mut self, path: &Path, inputs: &Inputs) -> Result<(), LedgerError> {
        let (meta, _) = ledger::Reader::open(path)?;
        self.rules = serde_json::from_value(meta.rules).unwrap_or_default();
        if let Some(unknown_status) = inputs.unknown_status {
            self.rules.unknown_status = unknown_status;
        }
        (self.accounts, self.table.run) = (meta.parties, meta.run);
        self.table.ignored = self.rules.ignored_fields();
        Ok(())
    }

    fn read_sims(&mut self, inputs: &Inputs) -> Result<(), LedgerError> {
        let delivered = self.table.ids.len();
        for path in &inputs.sims {
            let (meta, _) = ledger::Reader::open(path)?;
            let first_site = self.table.sites.len() as u16;
            self.table
                .sites
                .extend(meta.parties.iter().map(|name| Site { name: name.clone(), ..Site::default() }));
            let Joined { table, conduct, findings, rules, .. } = self;
            let (_, condition) = read::read(path, Some(table.run), |record| {
                let record = Record { party: record.party + first_site, ..*record };
                table.add_sim(&record);
                if record.key.run == table.run {
                    conduct.saw(&record, rules, table, findings);
                }
            })?;
            self.note_tail(path, condition.tail.as_deref());
            self.out.invalid.extend(condition.of_sim(path, self.table.run, self.table.span.1, delivered));
        }
        Ok(())
    }

    fn judge(&mut self, inputs: &Inputs) -> Result<(), LedgerError> {
        let ends = self.ends();
        self.judge_stalls();
        Conduct::sessions(&self.table.events, &self.rules, &self.table.sites, &mut self.findings);
        let with_sites = !inputs.sims.is_empty();
        let mut cases = self.suspects(with_sites);
        self.give_answers_again(&mut cases);
        let nameless = self.give_receipts(&mut cases);
        collect(inputs, &mut cases)?;
        let court = Court {
            rules: &self.rules,
            ignored: self.table.ignored,
            ends: &ends,
            accounts: &self.accounts,
            with_sites,
        };
        let (findings, excused) = (&mut self.findings, &mut self.out.excused);
        let mut open = BTreeMap::new();
        for (key, mut case) in cases {
            case.records.sort_by_key(|record| record.time_ns);
            let left = court.judge(&case, findings, excused);
            open.insert(key, (case, left));
        }
        let unkeyed = std::mem::take(&mut self.table.unkeyed);
        Strays::new(&court, open).close(&nameless, &unkeyed, findings, &mut excused.nameless_receipts);
        self.out.mo = mobile::judge(&self.table, &ends, &mut self.findings);
        if !with_sites {
            self.out.unjudged = UNJUDGED.map(str::to_owned).to_vec();
        }
        self.judge_excuses();
        Ok(())
    }

    /// Messages whose short form does not prove them innocent.
    fn suspects(&mut self, with_sites: bool) -> HashMap<MessageKey, Case> {
        let Rules { unknown_status, drained, .. } = self.rules;
        let mut cases = HashMap::new();
        let mut left_out = 0u64;
        for (key, entry) in self.table.entries() {
            if !entry.is_suspect(unknown_status, with_sites, drained) {
                continue;
            }
            if cases.len() < SUSPECTS_MAX {
                cases.insert(key, Case { key, records: Vec::new(), again: Vec::new(), receipts: Vec::new() });
            } else {
                left_out += 1;
            }
        }
        if left_out > 0 {
            self.out.invalid.push(format!("{left_out} suspects beyond {SUSPECTS_MAX} were not looked into"));
        }
        cases
    }

    /// Gives responses for which nothing waited to the messages they are for.
    fn give_answers_again(&mut self, cases: &mut HashMap<MessageKey, Case>) {
        let again = std::mem::take(&mut self.table.again);
        if again.is_empty() {
            return;
        }
        let wanted: HashMap<(u32, u32), Option<MessageKey>> =
            again.iter().map(|record| ((record.link, record.number), None)).collect();
        let mut found = wanted;
        for (key, entry) in self.table.entries().filter(|(_, entry)| entry.sent > 0) {
            if let Some(place) = found.get_mut(&(entry.link, entry.number)) {
                *place = Some(key);
            }
        }
        for record in again {
            match found.get(&(record.link, record.number)).copied().flatten() {
                Some(key) => {
                    let new = || Case { key, records: Vec::new(), again: Vec::new(), receipts: Vec::new() };
                    cases.entry(key).or_insert_with(new).again.push(record);
                }
                None => self.findings.add(Finding {
                    class: Class::UnknownAnswer,
                    key: None,
                    time_ns: record.time_ns,
                    site: None,
                    text: format!("sequence number {} was never sent on this session", record.number),
                }),
            }
        }
    }

    /// Gives receipts to suspects; returns those for ids that no answer named.
    fn give_receipts(&mut self, cases: &mut HashMap<MessageKey, Case>) -> Vec<Received> {
        let mut nameless = Vec::new();
        for receipt in std::mem::take(&mut self.table.received) {
            match receipt.owner {
                None => nameless.push(receipt),
                Some(key) => {
                    if let Some(case) = cases.get_mut(&key) {
                        case.receipts.push(receipt);
                    }
                }
            }
        }
        nameless
    }

    fn ends(&self) -> Ends {
        let mut ends = Ends::default();
        for event in self.table.events.iter().filter(|event| event.kind == Kind::LinkDown) {
            if event.party >= SITE {
                ends.of_sites.insert((event.party - SITE, event.link), event.time_ns);
            } else if event.state == 0 {
                ends.of_load.insert(event.link, event.time_ns);
            }
        }
        ends
    }

    /// A simulator that stood still is not the target's fault.
    fn judge_stalls(&mut self) {
        let (begin, end) = self.table.span;
        let during = |event: &&Record| event.kind == Kind::Stall && (begin..=end).contains(&event.time_ns);
        let longest = self.table.events.iter().filter(during).map(|event| event.extra).max().unwrap_or(0);
        if longest > self.rules.stall_max_ns {
            let limit = case::seconds(self.rules.stall_max_ns);
            self.out
                .invalid
                .push(format!("a simulator stood still for {}, limit {limit}", case::seconds(longest)));
        }
    }

    fn judge_excuses(&mut self) {
        let sent = self.table.entries().filter(|(_, entry)| entry.sent > 0).count() as u64;
        let Excused { never_left, before_break, .. } = self.out.excused;
        let (excused, max) = (never_left + before_break, self.rules.excused_max(sent));
        if excused > max {
            let text = format!("{excused} copies excused, {max} tolerated");
            let (class, time_ns) = (Class::ExcusedTooOften, self.table.span.1);
            self.findings.add(Finding { class, key: None, time_ns, site: None, text });
        }
    }

    fn note_tail(&mut self, path: &Path, tail: Option<&str>) {
        if let Some(tail) = tail {
            self.out.notes.push(format!("{} {tail}", path.display()));
        }
    }

    fn finish(mut self) -> Reconciliation {
        self.count_messages();
        let Joined { table, findings, accounts, mut out, rules, .. } = self;
        let count = |class| findings.count(class);
        out.accepted = table.accepted;
        out.begin_unix_ns = table.begin.unwrap_or_default();
        (out.lost, out.duplicated) = (count(Class::Lost), count(Class::Duplicated));
        (out.altered, out.phantom) = (count(Class::Altered), count(Class::Phantom));
        out.refused_but_accepted = count(Class::RefusedButAccepted);
        out.ambiguous = out.excused.never_left + out.excused.before_break;
        out.receipts = Returned {
            lost: count(Class::LostReceipt) + count(Class::UntakenReceipt) + count(Class::MissingReceipt),
            duplicated: count(Class::DuplicatedReceipt),
            misrouted: count(Class::MisroutedReceipt),
            altered: count(Class::AlteredReceipt) + count(Class::SwappedReceipt),
            unknown: count(Class::UnknownReceipt),
            ..table.receipts
        };
        out.mo = Returned {
            lost: count(Class::LostMo) + count(Class::UntakenMo),
            duplicated: count(Class::DuplicatedMo),
            misrouted: count(Class::MisroutedMo),
            altered: count(Class::AlteredMo),
            unknown: count(Class::UnknownMo),
            ..out.mo
        };
        if table.foreign > 0 {
            out.notes.push(format!("{} records of other runs were left out", table.foreign));
        }
        if (1..=rules.duplicate_receipts_max).contains(&out.receipts.duplicated) {
            out.notes.push(format!("{} copies of receipts are tolerated", out.receipts.duplicated));
        }
        let offends = |(class, count): (&Class, &u64)| {
            let is_tolerated = *class == Class::DuplicatedReceipt && *count <= rules.duplicate_receipts_max;
            (!is_tolerated).then(|| (class.name().to_owned(), *count))
        };
        out.classes = findings.counts.iter().filter_map(offends).collect();
        out.causes = causes::group(&findings, &table.events, &table.sites, &accounts);
        out.offenders = text::offenders(&findings, &table);
        out.offenders.retain(|class, _| out.classes.contains_key(class));
        out.sites = table.sites;
        out
    }

    fn count_messages(&mut self) {
        let out = &mut self.out;
        for (_, entry) in self.table.entries().filter(|(_, entry)| entry.sent > 0) {
            out.sent += 1;
            match (entry.answered, entry.status) {
                (0, _) => out.unanswered += 1,
                (_, 0) => out.delivered += 1,
                (_, status) if status == self.rules.unknown_status => {
                    out.unknown += 1;
                    out.unknown_accepted += u64::from(entry.accepted > 0);
                }
                _ => out.refused += 1,
            }
        }
    }
}

impl Reconciliation {
    /// Receipts and MO at the wrong account.
    pub fn misrouted(&self) -> u64 {
        self.receipts.misrouted + self.mo.misrouted
    }

    /// Whether the ledgers can be judged.
    pub fn is_valid(&self) -> bool {
        self.invalid.is_empty()
    }

    /// Whether everything that must never happen did not.
    pub fn holds(&self) -> bool {
        self.is_valid() && self.classes.is_empty()
    }

    /// Adds what thresholds may name.
    pub fn metrics(&self, out: &mut Metrics) {
        let Reconciliation { receipts, mo, excused, .. } = self;
        let all = [
            ("total.lost", self.lost),
            ("total.duplicated", self.duplicated),
            ("total.misrouted", self.misrouted()),
            ("total.altered", self.altered),
            ("total.unknown", self.unknown),
            ("total.refused", self.refused),
            ("total.offences", self.classes.values().sum()),
            ("total.receipts.lost", receipts.lost),
            ("total.receipts.duplicated", receipts.duplicated),
            ("total.receipts.misrouted", receipts.misrouted),
            ("total.receipts.altered", receipts.altered),
            ("total.receipts.unknown", receipts.unknown),
            ("total.mo.lost", mo.lost),
            ("total.mo.duplicated", mo.duplicated),
            ("total.mo.misrouted", mo.misrouted),
            ("total.mo.altered", mo.altered),
            ("total.excused.never_left", excused.never_left),
            ("total.excused.before_break", excused.before_break),
            ("total.excused.receipts", excused.receipts),
            ("total.excused.unanswered_recent", excused.unanswered_recent),
            ("total.excused.unanswered_old", excused.unanswered_old),
            ("sim.accepted", self.accepted),
            ("sim.ambiguous", self.ambiguous),
        ];
        out.extend(all.map(|(name, count)| (name.to_owned(), count as f64)));
        for class in Class::ALL {
            let count = self.classes.get(class.name()).copied().unwrap_or(0);
            out.insert(format!("total.offence.{}", class.metric()), count as f64);
        }
    }
}

/// Second reading: the whole story of each suspect.
fn collect(inputs: &Inputs, cases: &mut HashMap<MessageKey, Case>) -> Result<(), LedgerError> {
    if cases.is_empty() {
        return Ok(());
    }
    for (index, path) in inputs.loadgen.iter().enumerate() {
        read::read(path, None, |record| give(cases, of_worker(record, index)))?;
    }
    let mut first_site = 0;
    for path in &inputs.sims {
        let (meta, _) = read::read(path, None, |record| {
            give(cases, Record { party: record.party + first_site, ..*record })
        })?;
        first_site += meta.parties.len() as u16;
    }
    Ok(())
}

fn give(cases: &mut HashMap<MessageKey, Case>, record: Record) {
    let has_key =
        !matches!(record.kind, Kind::ReceiptReceived | Kind::MoReceived | Kind::MoSent | Kind::MoAcked);
    if has_key && let Some(case) = cases.get_mut(&record.key) {
        case.records.push(record);
    }
}

/// Workers number their sessions each for itself.
fn of_worker(record: &Record, worker: usize) -> Record {
    Record { link: record.link ^ (worker as u32) << WORKER_SHIFT, ..*record }
}

/// More records than a file of its size can hold.
fn records_max(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |data| data.len() / Record::SIZE as u64)
}

/// 64 workers; their sessions are told apart until one place was taken 256 times.
const WORKER_SHIFT: u32 = 26;

/// Suspects read whole, about 500 octets each.
const SUSPECTS_MAX: usize = 2_000_000;

/// What only a simulator's ledger can tell.
const UNJUDGED: [&str; 6] =
    ["lost", "duplicated", "altered", "refused but accepted", "altered receipts", "lost MO"];
