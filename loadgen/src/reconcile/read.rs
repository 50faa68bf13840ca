//! Reading ledgers, and whether they can be judged at all.

use std::collections::BTreeMap;
use std::path::Path;

use ledger::{Kind, LedgerError, Meta, Reader, Record, Tail};

/// What a reading found besides records.
#[derive(Debug, Default)]
pub(super) struct Condition {
    records: u64,
    of_run: u64,
    runs: Vec<u32>,
    ended: bool,
    /// By shard: up to when its records stand in the file.
    marks: BTreeMap<u32, u64>,
    shards: u64,
    /// What cut the file off, in words.
    pub(super) tail: Option<String>,
}

/// Reads a file, each record once.
pub(super) fn read(
    path: &Path,
    run: Option<u32>,
    mut each: impl FnMut(&Record),
) -> Result<(Meta, Condition), LedgerError> {
    let (meta, mut reader) = Reader::open(path)?;
    let run = run.unwrap_or(meta.run);
    let mut condition = Condition::default();
    for record in reader.by_ref() {
        condition.note(&record, run);
        each(&record);
    }
    condition.tail = match reader.tail() {
        Tail::Whole => None,
        Tail::Cut { octets } => Some(format!("ends with {octets} octets of a record that was cut off")),
        Tail::Damaged { record } => {
            Some(format!("is damaged from record {record} on; the rest was not read"))
        }
        Tail::Unreadable => Some("cannot be read to its end".into()),
    };
    Ok((meta, condition))
}

impl Condition {
    fn note(&mut self, record: &Record, run: u32) {
        self.records += 1;
        match record.kind {
            Kind::End => self.ended = true,
            Kind::Mark => {
                self.marks.insert(record.number, record.time_ns);
                self.shards = record.extra;
            }
            Kind::Accepted | Kind::Refused if record.key.run == run => self.of_run += 1,
            Kind::Accepted
                if record.detail & Record::UNKEYED == 0
                    && self.runs.len() < RUNS_NAMED_MAX
                    && !self.runs.contains(&record.key.run) =>
            {
                self.runs.push(record.key.run);
            }
            _ => {}
        }
    }

    /// Why loadgen's ledger cannot be judged.
    pub(super) fn of_load(&self, path: &Path) -> Option<String> {
        let path = path.display();
        if self.records == 0 {
            return Some(format!("{path} is empty"));
        }
        (!self.ended).then(|| {
            format!("{path} has no end record: loadgen still runs, was killed, or its disk was full")
        })
    }

    /// Why a simulator's ledger cannot be judged. `end_ns`: loadgen's last record; `delivered`: messages answered 0.
    pub(super) fn of_sim(&self, path: &Path, run: u32, end_ns: u64, delivered: u64) -> Option<String> {
        let path = path.display();
        if self.records == 0 {
            return Some(format!("{path} is empty"));
        }
        let reached = self.marks.values().min().copied().unwrap_or(0);
        let complete = self.marks.len() as u64 >= self.shards.max(1) && reached >= end_ns;
        if !self.ended && !complete {
            return Some(format!(
                "{path} has no record from after the run: the simulator was killed, or has not written yet"
            ));
        }
        if self.of_run == 0 && delivered > 0 && !self.runs.is_empty() {
            let runs: Vec<_> = self.runs.iter().map(|run| format!("{run:08x}")).collect();
            return Some(format!("{path} is of another run: it holds {}, not {run:08x}", runs.join(", ")));
        }
        None
    }
}

/// Other runs named in a message.
const RUNS_NAMED_MAX: usize = 5;
