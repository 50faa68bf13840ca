//! Reads a whole journal, damaged or not, and tells what it found. Changes nothing.

use crate::frame::{
    BATCH_HEAD, BATCH_MAGIC, BatchHead, Entry, HEADER, Header, HeaderError, VERSION, entries_of,
};
use crate::mark::{Mark, TipFile};
use crate::{Files, Place};
use std::fmt;
use std::io;

/// Octets read at once.
const WINDOW: usize = 1 << 20;

/// What the mark says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MarkState {
    /// There is none: there never was a journal, or an older program's, or both were removed.
    Missing,
    /// It cannot be read.
    Unreadable,
    /// All before this offset was on disk when it was written.
    Synced(u64),
}

/// One fault of the files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// The file, relative to the root.
    pub path: String,
    /// Where in that file, octets.
    pub octet: u64,
    /// The offset in the journal; nothing where a whole file is missing or not to be read.
    pub offset: Option<u64>,
    /// What is wrong.
    pub what: &'static str,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at octet {}: {}", self.path, self.octet, self.what)
    }
}

/// One segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentReport {
    /// The file, relative to the root.
    pub path: String,
    /// Its octets.
    pub octets: u64,
    /// Whole batches in it.
    pub batches: u64,
    /// Entries of those.
    pub entries: u64,
    pub(crate) number: u32,
    pub(crate) base: u64,
    /// Where the last whole batch before any damage ends, as an offset.
    pub(crate) end: u64,
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Survey {
    /// The mark.
    pub mark: MarkState,
    /// All before this offset was on disk once, as the mark, the tip, or a batch says.
    pub synced: u64,
    /// In order.
    pub segments: Vec<SegmentReport>,
    /// In order.
    pub damages: Vec<Damage>,
    /// The files were written by a version of the program that this one does not know.
    pub version: Option<(String, u32)>,
    pub(crate) salt: Option<u64>,
    /// The last sequence number before any damage.
    pub(crate) sequence: u64,
    /// Files that count no more.
    pub(crate) leftovers: Vec<String>,
}

impl Survey {
    /// There is no journal, and nothing says that there was one.
    pub fn is_new(&self) -> bool {
        self.segments.is_empty() && self.damages.is_empty()
    }

    /// The first fault that cost what was on disk once. None: whatever is damaged is an end that was never synced.
    pub fn loss(&self) -> Option<&Damage> {
        self.damages.iter().find(|damage| damage.offset.is_none_or(|offset| offset < self.synced))
    }
}

/// Reads everything; every entry of a whole batch is visited, in order, those behind damage too.
///
/// # Errors
/// When the files cannot be read at all.
pub fn survey<F: Files>(files: &F, place: &Place, mut visit: impl FnMut(Entry<'_>)) -> io::Result<Survey> {
    let mark = Mark::load(files, place)?;
    let tip = TipFile::load(files, place)?;
    let read = mark.flatten();
    let first = read.map_or(0, |mark| mark.first).max(tip.map_or(0, |tip| tip.first));
    let (numbers, leftovers) = list(files, place, first)?;
    let mut found = Survey {
        mark: match mark {
            None => MarkState::Missing,
            Some(None) => MarkState::Unreadable,
            Some(Some(mark)) => MarkState::Synced(mark.synced),
        },
        synced: read.map_or(0, |mark| mark.synced).max(tip.map_or(0, |tip| tip.synced)),
        segments: Vec::new(),
        damages: Vec::new(),
        version: None,
        salt: read.map(|mark| mark.salt),
        sequence: 0,
        leftovers,
    };
    let Some((&lowest, &highest)) = numbers.first().zip(numbers.last()) else {
        if mark.is_some() || tip.is_some() {
            found.damages.push(gone(place.folder.clone(), "there was a journal, and no file of it is there"));
        }
        return Ok(found);
    };
    let newest = read.map_or(0, |mark| mark.newest).max(highest);
    let first = if first == 0 { lowest } else { first };
    let mut opened = Vec::new();
    for number in first..=newest {
        match numbers.binary_search(&number) {
            Ok(_) => opened.push(open_segment(files, place, number, &mut found)?),
            Err(_) => found.damages.push(gone(place.segment(number), "the file is missing")),
        }
    }
    let bases: Vec<Option<u64>> =
        opened.iter().map(|segment| segment.header.map(|header| header.base)).collect();
    for (nth, segment) in opened.into_iter().enumerate() {
        // The next segment says where this one ends, if it is the next one.
        let follows =
            bases.get(nth + 1).is_some_and(|_| numbers.binary_search(&(segment.number + 1)).is_ok());
        let limit = if follows { bases[nth + 1] } else { None };
        found.synced = found.synced.max(segment.header.map_or(0, |header| header.base));
        let is_newest = segment.number == newest;
        scan(files, segment, limit, is_newest, &mut found, &mut visit)?;
    }
    Ok(found)
}

fn gone(path: String, what: &'static str) -> Damage {
    Damage { path, octet: 0, offset: None, what }
}

/// Numbers of the segments that count, in order, and what counts no more.
fn list<F: Files>(files: &F, place: &Place, first: u32) -> io::Result<(Vec<u32>, Vec<String>)> {
    let names = match files.list(&place.folder) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let (mut numbers, mut leftovers) = (Vec::new(), Vec::new());
    for name in names {
        match name.strip_suffix(".journal").and_then(|number| number.parse::<u32>().ok()) {
            Some(number) if number >= first => numbers.push(number),
            Some(_) => leftovers.push(place.path(&name)),
            None if name.ends_with(".new") => leftovers.push(place.path(&name)),
            None => {}
        }
    }
    numbers.sort_unstable();
    Ok((numbers, leftovers))
}

struct OpenSegment<T> {
    path: String,
    number: u32,
    file: T,
    octets: u64,
    header: Option<Header>,
}

fn open_segment<F: Files>(
    files: &F,
    place: &Place,
    number: u32,
    found: &mut Survey,
) -> io::Result<OpenSegment<F::File>> {
    let path = place.segment(number);
    let file = files.open(&path)?;
    let octets = files.length(&file)?;
    let mut head = [0; HEADER];
    let read = files.read_at(&file, 0, &mut head)?;
    let header = match Header::read(&head[..read]) {
        Ok(header) if header.number == number => Some(header),
        Err(HeaderError::Version(version)) => {
            found.version.get_or_insert((path.clone(), version));
            None
        }
        Ok(_) | Err(HeaderError::Damaged) => None,
    };
    match header {
        Some(header) => {
            found.salt.get_or_insert(header.salt);
        }
        None => found.damages.push(gone(path.clone(), "the header cannot be read")),
    }
    Ok(OpenSegment { path, number, file, octets, header })
}

/// Goes through one segment up to `limit`, where what follows is void.
fn scan<F: Files>(
    files: &F,
    segment: OpenSegment<F::File>,
    limit: Option<u64>,
    is_newest: bool,
    found: &mut Survey,
    visit: &mut impl FnMut(Entry<'_>),
) -> io::Result<()> {
    let OpenSegment { path, number, file, octets, header } = segment;
    let mut report = SegmentReport { path, octets, batches: 0, entries: 0, number, base: 0, end: 0 };
    let mut reader = Reader { files, file: &file, octets, window: Vec::new(), window_at: 0 };
    let (mut at, mut base) = (HEADER as u64, header.map(|header| header.base));
    (report.base, report.end) = (base.unwrap_or(0), base.unwrap_or(0));
    found.sequence = found.sequence.max(header.map_or(0, |header| header.sequence));
    let (mut whole, mut last) = (header.is_some(), None);
    while let Some(salt) = found.salt {
        let offset = base.map(|base| base + (at - HEADER as u64));
        if limit.is_some() && offset >= limit {
            break; // void from here on
        }
        if at >= octets && base.is_some() {
            break;
        }
        match batch_at(&mut reader, at, salt, offset, last)? {
            Some((head, body)) => {
                base = base.or(Some(head.at.saturating_sub(at - HEADER as u64)));
                let behind_damage = !found.damages.is_empty();
                entries_of(&head, body, |entry| visit(Entry { behind_damage, ..entry }));
                found.synced = found.synced.max(head.synced);
                last = Some(head.sequence + u64::from(head.count) - 1);
                report.batches += 1;
                report.entries += u64::from(head.count);
                at += BATCH_HEAD as u64 + u64::from(head.length);
                if whole {
                    report.end = head.at + BATCH_HEAD as u64 + u64::from(head.length);
                    found.sequence = head.sequence + u64::from(head.count) - 1;
                }
            }
            None => {
                if let Some(offset) = offset {
                    let what = "a batch cannot be read";
                    found.damages.push(Damage {
                        path: report.path.clone(),
                        octet: at,
                        offset: Some(offset),
                        what,
                    });
                }
                whole = false;
                last = None;
                let Some((next, head)) = reader.head_after(at, salt, base)? else {
                    at = octets;
                    break;
                };
                found.synced = found.synced.max(head.synced);
                at = next;
            }
        }
    }
    let end = base.map(|base| base + (at.max(HEADER as u64) - HEADER as u64));
    let must = limit.or(is_newest.then_some(found.synced)).unwrap_or(0);
    if let Some(end) = end.filter(|end| whole && *end < must) {
        let what = "the file ends too early";
        found.damages.push(Damage { path: report.path.clone(), octet: at, offset: Some(end), what });
    }
    found.segments.push(report);
    Ok(())
}

/// A whole batch here, or nothing. `last`: number of the entry before.
fn batch_at<'a, F: Files>(
    reader: &'a mut Reader<'_, F>,
    at: u64,
    salt: u64,
    offset: Option<u64>,
    last: Option<u64>,
) -> io::Result<Option<(BatchHead, &'a [u8])>> {
    let Some(head) = BatchHead::read(reader.view(at, BATCH_HEAD)?, salt) else { return Ok(None) };
    let fits = offset.is_none_or(|offset| offset == head.at)
        && last.is_none_or(|last| last + 1 == head.sequence)
        && head.count > 0;
    if !fits {
        return Ok(None);
    }
    let body = reader.view(at + BATCH_HEAD as u64, head.length as usize)?;
    let holds = body.len() == head.length as usize && crc32c::crc32c(body) == head.body_crc;
    Ok((holds && entries_of(&head, body, |_| {})).then_some((head, body)))
}

/// Reads a file through a window.
struct Reader<'a, F: Files> {
    files: &'a F,
    file: &'a F::File,
    octets: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl<F: Files> Reader<'_, F> {
    /// These octets, or as many as there are.
    fn view(&mut self, at: u64, length: usize) -> io::Result<&[u8]> {
        let length = length.min(self.octets.saturating_sub(at) as usize);
        let holds = at >= self.window_at && at + length as u64 <= self.window_at + self.window.len() as u64;
        if !holds {
            let room = length.max(WINDOW).min(self.octets.saturating_sub(at) as usize);
            self.window.resize(room, 0);
            let read = self.files.read_at(self.file, at, &mut self.window)?;
            self.window.truncate(read);
            self.window_at = at;
        }
        let from = (at - self.window_at) as usize;
        Ok(&self.window[from..(from + length).min(self.window.len())])
    }

    /// The next head of a batch behind this place.
    fn head_after(&mut self, at: u64, salt: u64, base: Option<u64>) -> io::Result<Option<(u64, BatchHead)>> {
        let mut from = at + 1;
        while from + BATCH_HEAD as u64 <= self.octets {
            let window = self.view(from, WINDOW)?;
            let heads =
                window.windows(BATCH_HEAD).enumerate().filter(|(_, octets)| octets.starts_with(BATCH_MAGIC));
            for (nth, octets) in heads {
                let place = from + nth as u64;
                let fits =
                    |head: &BatchHead| base.is_none_or(|base| base + (place - HEADER as u64) == head.at);
                if let Some(head) = BatchHead::read(octets, salt).filter(fits) {
                    return Ok(Some((place, head)));
                }
            }
            from += (window.len() - (BATCH_HEAD - 1)) as u64;
        }
        Ok(None)
    }
}

const _: () = assert!(VERSION == 1, "another version needs its reader here");
