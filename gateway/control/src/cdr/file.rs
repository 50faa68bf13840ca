//! The file sink: one JSON object a line. A file under way ends in `.open` and gets its name when it is complete: by
//! size, by age, or at the node's end. Nothing reads or keeps half a line: a failed write is cut off again, and what a
//! crash left is cut at its last whole line and completed at the next start.

use super::Names;
use super::line::Line;
use relay::Record;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// What a file is called while it is written to.
pub(super) const OPEN: &str = "ndjson.open";
/// And when it is complete.
pub(super) const COMPLETE: &str = "ndjson";
/// Owner writes, group reads: phone numbers are in it.
const MODE: u32 = 0o640;

/// Where and how files are written.
#[derive(Clone, Debug)]
pub struct FileOptions {
    /// The directory; made when it is missing. One node at a time.
    pub directory: PathBuf,
    /// Number of the node, part of the files' names.
    pub node: u8,
    /// A file of so many octets is complete.
    pub size_max: u64,
    /// A file of this age is complete.
    pub age_max: Duration,
    /// Complete files older than this are removed; none are where it is absent.
    pub keep: Option<Duration>,
}

pub(super) struct FileSink {
    options: FileOptions,
    names: Arc<Names>,
    current: Option<Current>,
    /// Tells files of one microsecond apart.
    files: u32,
    /// Working space.
    text: Vec<u8>,
}

struct Current {
    file: File,
    path: PathBuf,
    /// Octets that are whole lines.
    length: u64,
    born: Instant,
}

impl FileSink {
    /// Makes the directory and completes what a crash left.
    pub(super) fn open(options: FileOptions, names: Arc<Names>) -> io::Result<FileSink> {
        fs::create_dir_all(&options.directory)?;
        let prefix = format!("cdr-{}-", options.node);
        for entry in fs::read_dir(&options.directory)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(&prefix) && name.ends_with(OPEN) {
                complete_left_over(&path)?;
            }
        }
        Ok(FileSink { options, names, current: None, files: 0, text: Vec::new() })
    }

    pub(super) fn write(&mut self, batch: &[Record]) -> io::Result<()> {
        self.text.clear();
        for record in batch {
            serde_json::to_writer(&mut self.text, &Line::of(record, &self.names))?;
            self.text.push(b'\n');
        }
        if self.current.is_none() {
            self.current = Some(self.begin()?);
        }
        let Some(current) = &mut self.current else { unreachable!("begun above") };
        if let Err(error) = current.file.write_all(&self.text) {
            // The batch comes again: half of it must not stay.
            let cut = current.file.set_len(current.length);
            cut.and_then(|()| current.file.seek(SeekFrom::Start(current.length)))?;
            return Err(error);
        }
        current.length += self.text.len() as u64;
        if current.length >= self.options.size_max {
            return self.rotate_later();
        }
        Ok(())
    }

    /// Rotates by age, and removes what is too old to be kept.
    pub(super) fn look_after(&mut self) -> io::Result<()> {
        if self.current.as_ref().is_some_and(|current| current.born.elapsed() >= self.options.age_max) {
            self.complete()?;
        }
        self.remove_old()
    }

    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.complete()
    }

    fn begin(&mut self) -> io::Result<Current> {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let at: String =
            super::line::instant(now).chars().filter(|character| character.is_ascii_alphanumeric()).collect();
        self.files += 1;
        let name = format!("cdr-{}-{at}-{}.{OPEN}", self.options.node, self.files);
        let path = self.options.directory.join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&path)?;
        Ok(Current { file, path, length: 0, born: Instant::now() })
    }

    /// The batch is written: a rotation that fails must not bring it again.
    fn rotate_later(&mut self) -> io::Result<()> {
        if let Err(error) = self.complete() {
            tracing::warn!(%error, "a full file of records could not be completed; it goes on");
        }
        Ok(())
    }

    fn complete(&mut self) -> io::Result<()> {
        let Some(current) = &self.current else { return Ok(()) };
        current.file.sync_all()?;
        fs::rename(&current.path, current.path.with_extension(""))?;
        self.current = None;
        sync_directory(&self.options.directory)
    }

    fn remove_old(&mut self) -> io::Result<()> {
        let Some(keep) = self.options.keep else { return Ok(()) };
        let prefix = format!("cdr-{}-", self.options.node);
        for entry in fs::read_dir(&self.options.directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_ours = name.starts_with(&prefix) && name.ends_with(&format!(".{COMPLETE}"));
            let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
            if is_ours && age > keep {
                tracing::info!(file = name, "a file of records is older than it shall be kept");
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// Cuts a file at its last whole line and gives it its name; an empty one is removed.
fn complete_left_over(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let length = whole_lines(&mut file)?;
    if length == 0 {
        return fs::remove_file(path);
    }
    file.set_len(length)?;
    file.sync_all()?;
    fs::rename(path, path.with_extension(""))
}

/// Octets up to and with the last line feed; read from the end, since a line is short and a file is not.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    const STEP: u64 = 64 * 1024;
    let mut end = file.metadata()?.len();
    let mut buffer = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(STEP);
        buffer.resize((end - start) as usize, 0);
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut buffer)?;
        if let Some(place) = buffer.iter().rposition(|octet| *octet == b'\n') {
            return Ok(start + place as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// A rename is on disk when its directory is.
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
