//! Opening: judges what a survey found, cuts a torn end, or refuses.

use crate::files::replace;
use crate::frame::{Entry, HEADER, Header};
use crate::journal::{Journal, Segment};
use crate::mark::{Tip, TipFile};
use crate::survey::{Damage, MarkState, Survey, survey};
use crate::{Files, Options, Place};
use std::collections::VecDeque;
use std::fmt;
use std::io;

/// Copies of ends that were cut are kept up to this number; the oldest go first. Each is smaller than a segment and a batch.
const CUTS_KEPT: usize = 8;
/// Octets copied at once.
const COPY_OCTETS: usize = 1 << 20;

/// What an opening found and did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened {
    /// The mark before.
    pub mark: MarkState,
    /// There was no journal.
    pub is_new: bool,
    /// An end that was never synced and was damaged.
    pub cut: Option<Cut>,
}

/// An end that was cut off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cut {
    /// Where it was.
    pub damage: Damage,
    /// Octets that were cut.
    pub octets: u64,
    /// Where they are kept, relative to the root.
    pub copy: String,
}

/// Why a journal is not opened.
#[derive(Debug)]
pub enum OpenError {
    /// What was on disk once is damaged or missing.
    Damaged(Damage),
    /// A file is of a version of the program that this one does not know.
    Version {
        /// The file.
        path: String,
        /// Its version.
        found: u32,
    },
    /// The files do not work.
    Io(io::Error),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> OpenError {
        OpenError::Io(error)
    }
}

impl std::error::Error for OpenError {}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Damaged(damage) => damage.fmt(f),
            OpenError::Version { path, found } => write!(f, "{path} is of version {found}"),
            OpenError::Io(error) => error.fmt(f),
        }
    }
}

impl<F: Files> Journal<F> {
    /// Opens a journal, or makes one where there was none, and visits every entry in the order in which they were
    /// written. All that was read is on disk afterwards.
    ///
    /// # Errors
    /// [`OpenError`]; the files are as they were, but for an end that was cut.
    pub fn open(
        files: F,
        place: Place,
        options: Options,
        mut visit: impl FnMut(Entry<'_>),
    ) -> Result<(Journal<F>, Opened), OpenError> {
        let found = survey(&files, &place, |entry| {
            if !entry.behind_damage {
                visit(entry);
            }
        })?;
        if let Some((path, found)) = found.version {
            return Err(OpenError::Version { path, found });
        }
        if let Some(damage) = found.loss() {
            return Err(OpenError::Damaged(damage.clone()));
        }
        for path in &found.leftovers {
            let _ = files.remove(path); // it is left out again next time
        }
        if found.is_new() {
            return create(files, place, options);
        }
        let mark = found.mark;
        let cut = found.damages.first().map(|damage| cut_end(&files, &place, damage)).transpose()?;
        let journal = restore(files, place, options, &found)?;
        Ok((journal, Opened { mark, is_new: false, cut }))
    }
}

fn create<F: Files>(files: F, place: Place, options: Options) -> Result<(Journal<F>, Opened), OpenError> {
    files.make_folder(&place.folder)?;
    let mut folder = place.folder.as_str();
    while let Some((above, _)) = folder.rsplit_once('/') {
        files.sync_folder(above)?;
        folder = above;
    }
    files.sync_folder("")?;
    let header = Header { number: 1, base: 0, sequence: 0, salt: options.salt };
    let file = replace(&files, &place.segment(1), &place.folder, &header.write())?;
    let segments = VecDeque::from([Segment { number: 1, base: 0, file, live: 0 }]);
    let tip = TipFile::create(&files, &place, Tip { first: 1, synced: 0 })?;
    let mut journal = Journal::new(files, place, options, segments, tip, 0, 0);
    journal.write_mark()?;
    Ok((journal, Opened { mark: MarkState::Missing, is_new: true, cut: None }))
}

fn restore<F: Files>(
    files: F,
    place: Place,
    options: Options,
    found: &Survey,
) -> Result<Journal<F>, OpenError> {
    let mut segments = VecDeque::new();
    for report in &found.segments {
        let file = files.open(&report.path)?;
        segments.push_back(Segment { number: report.number, base: report.base, file, live: 0 });
    }
    let end = found.segments.last().map_or(0, |report| report.end);
    let first = found.segments.first().map_or(1, |report| report.number);
    if let Some(last) = segments.back() {
        files.sync(&last.file)?; // the process before may have ended without it
    }
    let tip = TipFile::create(&files, &place, Tip { first, synced: end })?;
    let options = Options { salt: found.salt.unwrap_or(options.salt), ..options };
    let mut journal = Journal::new(files, place, options, segments, tip, end, found.sequence);
    journal.write_mark()?;
    Ok(journal)
}

/// Cuts a segment where its damage begins; what is cut is kept in a file of its own.
fn cut_end<F: Files>(files: &F, place: &Place, damage: &Damage) -> io::Result<Cut> {
    let file = files.open(&damage.path)?;
    let length = files.length(&file)?;
    let name = damage.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".journal");
    let copy = place.path(&format!("cut-{name}-{:016x}", damage.octet));
    let mut cuts: Vec<String> = files.list(&place.folder)?;
    cuts.retain(|name| name.starts_with("cut-"));
    cuts.sort_unstable();
    for old in cuts.iter().take((cuts.len() + 1).saturating_sub(CUTS_KEPT)) {
        files.remove(&place.path(old))?;
    }
    let kept = files.create(&copy)?;
    let mut octets = vec![0; COPY_OCTETS];
    let mut at = damage.octet;
    while at < length {
        let read = files.read_at(&file, at, &mut octets)?;
        if read == 0 {
            break;
        }
        files.write_at(&kept, at - damage.octet, &octets[..read])?;
        at += read as u64;
    }
    files.sync(&kept)?;
    files.sync_folder(&place.folder)?;
    files.cut(&file, damage.octet.max(HEADER as u64))?;
    files.sync(&file)?;
    Ok(Cut { damage: damage.clone(), octets: length.saturating_sub(damage.octet), copy })
}
