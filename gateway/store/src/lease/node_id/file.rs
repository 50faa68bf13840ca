//! What the state directory keeps of the node id, and that one process at a time uses it.

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The mark's name in the state directory.
const NAME: &str = "node-id";
/// A process that was killed lets go of its files within this time.
const LOCKED_MAX: Duration = Duration::from_secs(2);
const LOCKED_PAUSE: Duration = Duration::from_millis(20);

/// What is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mark {
    /// Names this state directory: drawn once.
    pub(super) identity: u128,
    /// The number of last time.
    pub(super) number: Option<u8>,
    /// No id was given of a later second, Unix time; 0 = none at all.
    pub(super) second: u64,
}

/// The file, and a lock for as long as this lives.
#[derive(Debug)]
pub(super) struct MarkFile {
    directory: PathBuf,
    _lock: File,
}

impl MarkFile {
    /// Takes the directory, and reads or makes the mark.
    pub(super) fn open(directory: &Path) -> io::Result<(MarkFile, Mark)> {
        std::fs::create_dir_all(directory)?;
        let lock = File::options().create(true).append(true).open(directory.join("node-id.lock"))?;
        lock_within(&lock, LOCKED_MAX)?;
        let file = MarkFile { directory: directory.to_owned(), _lock: lock };
        let mark = match std::fs::read_to_string(directory.join(NAME)) {
            Ok(text) => parse(&text).ok_or_else(|| {
                let what = format!(
                    "{} is damaged; without it message ids of the last seconds may be given again: remove it after a minute",
                    directory.join(NAME).display()
                );
                io::Error::new(io::ErrorKind::InvalidData, what)
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Mark { identity: draw()?, number: None, second: 0 }
            }
            Err(error) => return Err(error),
        };
        Ok((file, mark))
    }

    /// Whole or not at all, and on disk when it returns.
    pub(super) fn write(&mut self, mark: &Mark) -> io::Result<()> {
        crate::mark::replace(&self.directory.join(NAME), show(mark).as_bytes())
    }
}

fn lock_within(lock: &File, time: Duration) -> io::Result<()> {
    let began = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if began.elapsed() < time => std::thread::sleep(LOCKED_PAUSE),
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process uses it"));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

fn draw() -> io::Result<u128> {
    let mut random = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(u128::from_le_bytes(random))
}

fn show(mark: &Mark) -> String {
    let number = mark.number.map(|number| format!("id {number}\n")).unwrap_or_default();
    format!("identity {:032x}\n{number}second {}\n", mark.identity, mark.second)
}

fn parse(text: &str) -> Option<Mark> {
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let number = value("id").map(|number| number.parse().ok());
    Some(Mark {
        identity: u128::from_str_radix(value("identity")?, 16).ok()?,
        number: match number {
            Some(number) => Some(number?),
            None => None,
        },
        second: value("second")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let (mut file, mut mark) = MarkFile::open(directory.path()).unwrap();
        assert_eq!((mark.number, mark.second), (None, 0));
        for (number, second) in [(None, 7), (Some(0), 8), (Some(255), u64::MAX)] {
            (mark.number, mark.second) = (number, second);
            file.write(&mark).unwrap();
            let text = std::fs::read_to_string(directory.path().join(NAME)).unwrap();
            assert_eq!(parse(&text), Some(mark));
        }
        drop(file);
        assert_eq!(MarkFile::open(directory.path()).unwrap().1, mark);
    }

    #[test]
    fn a_damaged_mark_is_refused() {
        for text in ["", "identity x\nsecond 1\n", "identity 1f\n", "identity 1f\nid 256\nsecond 1\n"] {
            let directory = tempfile::tempdir().unwrap();
            std::fs::write(directory.path().join(NAME), text).unwrap();
            let error = MarkFile::open(directory.path()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{text}");
        }
    }

    #[test]
    fn one_process_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let held = MarkFile::open(directory.path()).unwrap();
        let other = File::options().append(true).open(directory.path().join("node-id.lock")).unwrap();
        assert!(lock_within(&other, Duration::ZERO).is_err());
        drop(held);
        assert!(lock_within(&other, Duration::ZERO).is_ok());
    }
}
