//! The ledger file: a head of one JSON line, then records of fixed size.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Record;

/// Who wrote a ledger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Meta {
    /// `loadgen` or `sim-smsc`.
    pub program: String,
    /// The run's number, as in every message key; at sim-smsc that of its own messages.
    pub run: u32,
    /// Seed of the run's decisions.
    pub seed: u64,
    /// What `Record::party` indexes: account names at loadgen, site names at sim-smsc.
    pub parties: Vec<String>,
    /// What the run promises, for the judge; this crate does not look into it.
    #[serde(default)]
    pub rules: serde_json::Value,
}

/// Appends records to a new file.
///
/// Up to [`BUFFER_SIZE`] octets wait in memory; call [`Writer::flush`] now and then (a tick is often enough) if a
/// killed process shall lose little, and [`Writer::finish`] at the end. Dropping without `finish` writes what it can.
#[derive(Debug)]
pub struct Writer {
    file: File,
    buffer: Vec<u8>,
    records: u64,
}

impl Writer {
    /// Creates (or truncates) the file and writes its head.
    pub fn create(path: impl AsRef<Path>, meta: &Meta) -> io::Result<Writer> {
        let mut file = File::create(path)?;
        let head = Head { format: FORMAT.to_owned(), record_size: Record::SIZE, meta: meta.clone() };
        let mut line = serde_json::to_vec(&head).map_err(io::Error::other)?;
        line.push(b'\n');
        file.write_all(&line)?;
        Ok(Writer { file, buffer: Vec::with_capacity(BUFFER_SIZE), records: 0 })
    }

    /// Appends one record. An error is the disk's; the ledger is then incomplete and the run worth nothing.
    pub fn append(&mut self, record: &Record) -> io::Result<()> {
        if self.buffer.len() + Record::SIZE > BUFFER_SIZE {
            self.flush()?;
        }
        let mut bytes = [0; Record::SIZE];
        record.encode(&mut bytes);
        self.buffer.extend_from_slice(&bytes);
        self.records += 1;
        Ok(())
    }

    /// Hands what waits in memory to the operating system; it then survives the end of this process.
    pub fn flush(&mut self) -> io::Result<()> {
        let written = self.file.write_all(&self.buffer);
        self.buffer.clear();
        written
    }

    /// Writes the rest and closes the file.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()
    }

    /// Records appended so far.
    pub fn records(&self) -> u64 {
        self.records
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Nobody is left to tell; who wants to know calls `finish`.
        let _ = self.flush();
    }
}

/// Iterates over the records of a file and stops at the first that is not whole; [`Reader::tail`] then tells why.
#[derive(Debug)]
pub struct Reader {
    input: BufReader<File>,
    records: u64,
    tail: Tail,
}

/// How a ledger ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tail {
    /// With a whole record (or not yet read to the end).
    Whole,
    /// With this many octets of a record that was cut off; all before it was read.
    Cut {
        /// Octets after the last whole record.
        octets: usize,
    },
    /// With a record whose check does not fit; what follows it was not read.
    Damaged {
        /// Index of that record.
        record: u64,
    },
    /// With an error of the disk.
    Unreadable,
}

/// Why a file could not be opened as a ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file cannot be read.
    #[error("cannot read ledger {path}: {error}")]
    Io {
        /// The file.
        path: String,
        /// What the operating system says.
        error: io::Error,
    },
    /// The file does not begin like a ledger of this version.
    #[error("{path} is not a ledger: {reason}")]
    Head {
        /// The file.
        path: String,
        /// What is wrong with its head.
        reason: String,
    },
}

impl Reader {
    /// Opens a ledger and reads its head.
    pub fn open(path: impl AsRef<Path>) -> Result<(Meta, Reader), LedgerError> {
        let path = path.as_ref();
        let name = || path.display().to_string();
        let file = File::open(path).map_err(|error| LedgerError::Io { path: name(), error })?;
        let mut input = BufReader::with_capacity(BUFFER_SIZE, file);
        let mut line = Vec::new();
        let head_read = input.by_ref().take(HEAD_SIZE_MAX).read_until(b'\n', &mut line);
        head_read.map_err(|error| LedgerError::Io { path: name(), error })?;
        let head: Head = serde_json::from_slice(&line)
            .map_err(|error| LedgerError::Head { path: name(), reason: error.to_string() })?;
        if head.format != FORMAT || head.record_size != Record::SIZE {
            let reason = format!("format {:?} with records of {} octets", head.format, head.record_size);
            return Err(LedgerError::Head { path: name(), reason });
        }
        Ok((head.meta, Reader { input, records: 0, tail: Tail::Whole }))
    }

    /// How the file ended, once the iteration is over.
    pub fn tail(&self) -> Tail {
        self.tail
    }
}

impl Iterator for Reader {
    type Item = Record;

    #[inline]
    fn next(&mut self) -> Option<Record> {
        if self.tail != Tail::Whole {
            return None;
        }
        // Nearly every record stands whole in the buffer, and is read from there.
        let Some(bytes) = self.input.buffer().first_chunk() else { return self.next_across() };
        let record = Record::decode(bytes);
        self.input.consume(Record::SIZE);
        self.counted(record)
    }
}

impl Reader {
    /// The next record, where the buffer holds only a part of it or nothing.
    fn next_across(&mut self) -> Option<Record> {
        let mut bytes = [0; Record::SIZE];
        let mut length = 0;
        while length < Record::SIZE {
            match self.input.read(&mut bytes[length..]) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.tail = Tail::Unreadable;
                    return None;
                }
            }
        }
        match length {
            0 => None,
            Record::SIZE => self.counted(Record::decode(&bytes)),
            octets => {
                self.tail = Tail::Cut { octets };
                None
            }
        }
    }

    #[inline]
    fn counted(&mut self, record: Option<Record>) -> Option<Record> {
        match record {
            Some(_) => self.records += 1,
            None => self.tail = Tail::Damaged { record: self.records },
        }
        record
    }
}

#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
    record_size: usize,
    #[serde(flatten)]
    meta: Meta,
}

const FORMAT: &str = "smpp-ledger-2";

/// Octets buffered on each side: large enough that the cost of a system call vanishes, small enough that one write
/// does not hold up a shard's turn (about 50 us into the page cache).
const BUFFER_SIZE: usize = 256 * 1024;

/// Octets of the head line; thousands of party names fit.
const HEAD_SIZE_MAX: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, MessageKey};

    fn meta() -> Meta {
        Meta {
            program: "loadgen".into(),
            run: 9,
            seed: 42,
            parties: vec!["otp".into(), "bulk".into()],
            rules: serde_json::Value::Null,
        }
    }

    fn record(sequence: u32) -> Record {
        let key = MessageKey { run: 9, account: 1, sequence, segment: 0 };
        Record { status: sequence, ..Record::new(Kind::Sent, 1, key, u64::from(sequence) * 1000) }
    }

    fn written(count: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.ledger");
        let mut writer = Writer::create(&path, &meta()).unwrap();
        for sequence in 0..count {
            writer.append(&record(sequence)).unwrap();
        }
        assert_eq!(writer.records(), u64::from(count));
        writer.finish().unwrap();
        (directory, path)
    }

    #[test]
    fn a_ledger_is_read_as_it_was_written() {
        let count = 20_000; // several buffers
        let (_directory, path) = written(count);
        let (read_meta, mut reader) = Reader::open(&path).unwrap();
        assert_eq!(read_meta, meta());
        assert!(reader.by_ref().eq((0..count).map(record)));
        assert_eq!(reader.tail(), Tail::Whole);
    }

    #[test]
    fn a_cut_ledger_reads_up_to_its_last_whole_record() {
        let (_directory, path) = written(3);
        let whole = std::fs::read(&path).unwrap();
        for cut in 1..Record::SIZE {
            std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            let (_, mut reader) = Reader::open(&path).unwrap();
            assert_eq!(reader.by_ref().count(), 2);
            assert_eq!(reader.tail(), Tail::Cut { octets: Record::SIZE - cut });
        }
    }

    #[test]
    fn a_flushed_ledger_can_be_read_while_it_grows() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.ledger");
        let mut writer = Writer::create(&path, &meta()).unwrap();
        writer.append(&record(0)).unwrap();
        writer.flush().unwrap();
        assert_eq!(Reader::open(&path).unwrap().1.count(), 1);
        writer.append(&record(1)).unwrap();
        drop(writer);
        assert_eq!(Reader::open(&path).unwrap().1.count(), 2);
    }

    #[test]
    fn damage_ends_the_reading_and_is_told() {
        let (_directory, path) = written(3);
        let mut bytes = std::fs::read(&path).unwrap();
        let second = bytes.len() - 2 * Record::SIZE;
        bytes[second] ^= 0xFF;
        std::fs::write(&path, &bytes).unwrap();
        let (_, mut reader) = Reader::open(&path).unwrap();
        assert_eq!(reader.by_ref().count(), 1);
        assert_eq!(reader.tail(), Tail::Damaged { record: 1 });
    }

    #[test]
    fn other_files_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        for content in [&b""[..], b"hello\n", b"{\"format\":\"other\",\"record_size\":48}\n", &[0xFF; 4096]] {
            std::fs::write(&path, content).unwrap();
            assert!(matches!(Reader::open(&path), Err(LedgerError::Head { .. })));
        }
        assert!(matches!(Reader::open(directory.path().join("none")), Err(LedgerError::Io { .. })));
    }
}
