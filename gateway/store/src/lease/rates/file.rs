//! The counts of days of a node that is alone: a log of `limit day used`, written and synced before tokens are granted,
//! so that a crash loses some of the allowance and never doubles it.

use relay::{Answer, Ask, AskKind, LimitId};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Name of the log in the state directory.
const NAME: &str = "limits.days";
/// Octets after which the log is written anew with what still counts.
const LENGTH_MAX: u64 = 1 << 20;

/// See the module.
pub(super) struct DayFile {
    path: PathBuf,
    file: File,
    /// Its octets; without bound where it is to be written anew.
    length: u64,
    /// Day and tokens used, by limit. Bounded by the limits that a node has room for.
    used: BTreeMap<LimitId, (u32, u32)>,
    failure_said: bool,
}

impl DayFile {
    pub(super) fn open(directory: &Path) -> io::Result<DayFile> {
        std::fs::create_dir_all(directory)?;
        let path = directory.join(NAME);
        let used = match std::fs::read_to_string(&path) {
            Ok(text) => read(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        let (file, length) = write_anew(&path, &used)?;
        Ok(DayFile { path, file, length, used, failure_said: false })
    }

    /// Grants what is left. Nothing when it could not be written down.
    pub(super) fn ask(&mut self, asks: &[Ask]) -> Option<Vec<Answer>> {
        let mut answers = Vec::with_capacity(asks.len());
        let mut lines = String::new();
        let mut after = BTreeMap::new();
        for ask in asks {
            let AskKind::Day { cap, day } = ask.kind else {
                answers.push(Answer::default()); // a bucket of a node that is alone refills itself
                continue;
            };
            let newest = after.get(&ask.id).or_else(|| self.used.get(&ask.id));
            let (of, used) = newest.copied().unwrap_or((day, 0));
            // A clock that went back does not bring a day back.
            let (of, used) = if of < day { (day, 0) } else { (of, used) };
            let used = used.saturating_sub(if of == day { ask.back } else { 0 });
            let granted = if of == day { ask.wanted.min(cap.saturating_sub(used)) } else { 0 };
            after.insert(ask.id, (of, used + granted));
            let left = cap.saturating_sub(used + granted);
            answers.push(Answer { granted, left, ..Answer::default() });
        }
        for (id, (day, used)) in &after {
            line(&mut lines, *id, *day, *used);
        }
        match self.append(&lines) {
            Ok(()) => {
                self.used.append(&mut after);
                self.failure_said = false;
                Some(answers)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failure_said, true) {
                    let path = self.path.display();
                    tracing::error!(%path, %error, "caps of days cannot be kept: nothing more passes them");
                }
                None
            }
        }
    }

    /// After an error part of a line may be there, and what is appended to it would not be read: the log is written anew then.
    fn append(&mut self, lines: &str) -> io::Result<()> {
        let appended = self.append_whole(lines);
        if appended.is_err() {
            self.length = u64::MAX;
        }
        appended
    }

    fn append_whole(&mut self, lines: &str) -> io::Result<()> {
        if self.length.saturating_add(lines.len() as u64)
            > LENGTH_MAX.max(2 * LINE_OCTETS * self.used.len() as u64)
        {
            (self.file, self.length) = write_anew(&self.path, &self.used)?;
        }
        self.file.write_all(lines.as_bytes())?;
        self.length += lines.len() as u64;
        self.file.sync_data()
    }
}

/// About the length of a line.
const LINE_OCTETS: u64 = 40;

fn line(out: &mut String, id: LimitId, day: u32, used: u32) {
    let _ = writeln!(out, "{:016x} {day} {used}", id.0); // writing to a String cannot fail
}

/// The last line of each limit counts. The very last one of a file may be torn: it was not granted by.
fn read(text: &str) -> BTreeMap<LimitId, (u32, u32)> {
    let mut used = BTreeMap::new();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for line in whole.lines() {
        let mut words = line.split(' ');
        let id = words.next().and_then(|id| u64::from_str_radix(id, 16).ok());
        let mut number = || words.next().and_then(|word| word.parse().ok());
        if let (Some(id), Some(day), Some(count)) = (id, number(), number()) {
            used.insert(LimitId(id), (day, count));
        }
    }
    used
}

fn write_anew(path: &Path, used: &BTreeMap<LimitId, (u32, u32)>) -> io::Result<(File, u64)> {
    let mut lines = String::new();
    for (id, (day, count)) in used {
        line(&mut lines, *id, *day, *count);
    }
    // Its name is durable too, or a power cut brings the longer file back, without what is appended from now on.
    crate::mark::replace(path, lines.as_bytes())?;
    Ok((OpenOptions::new().append(true).open(path)?, lines.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay::Slot;

    fn ask(id: u64, day: u32, wanted: u32, back: u32) -> Ask {
        let kind = AskKind::Day { cap: 100, day };
        Ask { slot: Slot(0), id: LimitId(id), kind, wanted, back, empty_first: false }
    }

    fn granted(file: &mut DayFile, ask: Ask) -> (u32, u32) {
        let answers = file.ask(&[ask]).expect("it is written");
        (answers[0].granted, answers[0].left)
    }

    #[test]
    fn what_was_granted_stays_granted_over_a_restart() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut file = DayFile::open(directory.path()).expect("it opens");
        assert_eq!(granted(&mut file, ask(1, 7, 60, 0)), (60, 40));
        assert_eq!(granted(&mut file, ask(2, 7, 10, 0)), (10, 90));
        drop(file); // as by kill -9: nothing is done at the end
        let mut file = DayFile::open(directory.path()).expect("it opens");
        assert_eq!(granted(&mut file, ask(1, 7, 60, 0)), (40, 0));
        assert_eq!(granted(&mut file, ask(1, 7, 60, 0)), (0, 0));
        assert_eq!(granted(&mut file, ask(1, 7, 0, 5)), (0, 5));
        assert_eq!(granted(&mut file, ask(1, 8, 60, 0)), (60, 40), "another day");
        assert_eq!(granted(&mut file, ask(1, 7, 60, 0)).0, 0, "does not come back");
    }

    #[test]
    fn goes_on_after_an_error_that_left_half_a_line() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(NAME);
        let mut file = DayFile::open(directory.path()).expect("it opens");
        assert_eq!(granted(&mut file, ask(1, 7, 60, 0)), (60, 40));
        file.file = File::open(&path).expect("it is there"); // not to be written to
        assert!(file.ask(&[ask(1, 7, 5, 0)]).is_none());
        let mut torn = OpenOptions::new().append(true).open(&path).expect("it is there");
        torn.write_all(b"0000000000000001 7 6").expect("writable");
        assert_eq!(granted(&mut file, ask(1, 7, 10, 0)), (10, 30));
        let mut file = DayFile::open(directory.path()).expect("it opens");
        assert_eq!(granted(&mut file, ask(1, 7, 60, 0)), (30, 0));
    }

    #[test]
    fn a_torn_line_is_left_out_and_the_log_stays_short() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join(NAME), "0000000000000001 7 99\nnonsense\n0000000000000001 7 1")
            .expect("writable");
        let mut file = DayFile::open(directory.path()).expect("it opens");
        assert_eq!(granted(&mut file, ask(1, 7, 60, 0)), (1, 0));
        file.length = LENGTH_MAX;
        assert_eq!(granted(&mut file, ask(1, 7, 0, 1)), (0, 1));
        let text = std::fs::read_to_string(directory.path().join(NAME)).expect("readable");
        assert_eq!(text, "0000000000000001 7 100\n0000000000000001 7 99\n");
    }
}
