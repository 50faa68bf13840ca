//! The mark of the embedded store: a small file beside its directory that says how far the store had come, so that its loss
//! is noticed. Its library cannot tell a torn end from a lost one.
//!
//! Once a second a number is written into the store and, once that is committed, into the mark. A store that comes back
//! with a smaller one has lost something. With `durability = "process"` a power cut may cost the newest entries, and that
//! is said and counted; the mark knows the kernel's boot, so that the same loss without one refuses.

use crate::spool::Report;
use crate::{Durability, OpenError};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};

/// First line of a mark.
const NAME: &str = "store-mark 1";
/// What the library has in its directory.
const FILES: [&str; 2] = ["keyspaces", "version"];
/// Damaged stores that may lie beside a store.
const ASIDE_MAX: u32 = 1_000;

/// What a mark says.
pub(crate) enum StoreMark {
    Missing,
    Unreadable,
    Read {
        tide: u64,
        boot: String,
        /// What is in the store is on disk when the mark says so.
        is_synced: bool,
    },
}

impl StoreMark {
    pub(crate) fn load(directory: &Path) -> StoreMark {
        match fs::read_to_string(path(directory)) {
            Ok(text) => StoreMark::read(&text).unwrap_or(StoreMark::Unreadable),
            Err(error) if error.kind() == io::ErrorKind::NotFound => StoreMark::Missing,
            Err(_) => StoreMark::Unreadable,
        }
    }

    fn read(text: &str) -> Option<StoreMark> {
        let mut lines = text.strip_suffix('\n')?.lines();
        lines.next().filter(|name| *name == NAME)?;
        let tide = lines.next()?.strip_prefix("tide ")?.parse().ok()?;
        let boot = lines.next()?.strip_prefix("boot ")?.to_owned();
        let is_synced = lines.next()?.strip_prefix("synced ")?.parse().ok()?;
        lines.next().is_none().then_some(StoreMark::Read { tide, boot, is_synced })
    }

    fn write(directory: &Path, tide: u64, durability: Durability) -> io::Result<()> {
        let synced = durability == Durability::Disk;
        let text = format!("{NAME}\ntide {tide}\nboot {}\nsynced {synced}\n", boot());
        replace(&path(directory), text.as_bytes())
    }

    pub(crate) fn tide(&self) -> u64 {
        if let StoreMark::Read { tide, .. } = self { *tide } else { 0 }
    }

    /// Refuses where the mark says that there was a store and its files are not there.
    pub(crate) fn check_files(&self, directory: &Path) -> Result<(), OpenError> {
        let is_there = FILES.iter().all(|name| directory.join(name).exists());
        match self {
            StoreMark::Read { .. } | StoreMark::Unreadable if !is_there => Err(OpenError::Damaged {
                directory: directory.to_path_buf(),
                what: format!(
                    "{} says that there was a store, and its files are missing",
                    path(directory).display()
                ),
            }),
            _ => Ok(()),
        }
    }

    /// Whether the store came back with less than the mark says, where a power cut may have cost that.
    ///
    /// # Errors
    /// Where nothing but damage explains it.
    pub(crate) fn check_tide(&self, stored: u64, directory: &Path) -> Result<bool, OpenError> {
        let place = directory.display();
        match self {
            StoreMark::Missing if stored > 0 => {
                tracing::warn!(directory = %place, "the store's mark is missing and is made anew: had entries been lost with it, nobody could tell");
                Ok(false)
            }
            StoreMark::Unreadable => {
                tracing::warn!(directory = %place, "the store's mark cannot be read and is made anew");
                Ok(false)
            }
            StoreMark::Read { tide, boot: then, is_synced } if stored < *tide => {
                if *is_synced || (!then.is_empty() && *then == boot()) {
                    let what =
                        format!("it has come back as it was {} s of work before its mark", tide - stored);
                    return Err(OpenError::Damaged { directory: directory.to_path_buf(), what });
                }
                tracing::error!(
                    directory = %place, seconds = tide - stored,
                    "the store lost its newest entries, as a power cut may with durability = \"process\": their receipts become orphans, parked deliveries are gone"
                );
                Ok(true)
            }
            StoreMark::Missing | StoreMark::Read { .. } => Ok(false),
        }
    }
}

/// Writes marks on a thread of its own: each takes some syncs, for which no message is to wait.
pub(crate) struct Keeper {
    tides: Option<SyncSender<u64>>,
    handle: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(crate) fn start(directory: &Path, durability: Durability) -> Keeper {
        let (tides, asked) = mpsc::sync_channel(1);
        let directory = directory.to_path_buf();
        let run = move || keep_marks(&directory, durability, &asked);
        // Without a thread there is no mark: the store works all the same.
        let handle = thread::Builder::new().name("store-mark".into()).spawn(run);
        let handle =
            handle.inspect_err(|error| tracing::warn!(%error, "no thread for the store's mark")).ok();
        Keeper { tides: Some(tides), handle }
    }

    /// Has this written; a number that is not taken in time is followed by another.
    pub(crate) fn keep(&self, tide: u64) {
        if let Some(tides) = &self.tides {
            let _ = tides.try_send(tide);
        }
    }
}

fn keep_marks(directory: &Path, durability: Durability, asked: &Receiver<u64>) {
    let mut said = false;
    while let Ok(tide) = asked.recv() {
        match StoreMark::write(directory, tide, durability) {
            Ok(()) => said = false,
            Err(error) if !std::mem::replace(&mut said, true) => {
                tracing::warn!(directory = %directory.display(), %error, "the store's mark was not written; it is tried again");
            }
            Err(_) => {}
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.tides.take();
        if let Some(handle) = self.handle.take() {
            let _ = handle.join(); // a panic there was printed, and costs a mark only
        }
    }
}

fn path(directory: &Path) -> PathBuf {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    directory.with_file_name(format!("{name}.mark"))
}

/// Puts a small file in the place of another: whole or not at all, and on disk when it returns.
pub(crate) fn replace(path: &Path, octets: &[u8]) -> io::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let mut file = File::create(&fresh)?;
    file.write_all(octets)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    sync_name(path)
}

/// Makes durable what a file is called, or that it is gone: without it a power cut may undo a rename.
pub(crate) fn sync_name(path: &Path) -> io::Result<()> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    File::open(above.unwrap_or(Path::new(".")))?.sync_all()
}

/// Names this boot of the kernel; empty where nothing tells.
fn boot() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

/// What can be said of the embedded store without opening it, which would change it. Nothing where there is none and was
/// none.
///
/// # Errors
/// None today; as for the spool.
pub fn check(directory: &Path) -> Result<Option<Report>, OpenError> {
    let mark = StoreMark::load(directory);
    if matches!(mark, StoreMark::Missing) && !directory.is_dir() {
        return Ok(None);
    }
    let told = match &mark {
        StoreMark::Missing => "missing".to_owned(),
        StoreMark::Unreadable => "cannot be read".to_owned(),
        StoreMark::Read { tide, .. } => format!("after {tide} s of work"),
    };
    let files = mark.check_files(directory);
    let verdict = match &files {
        Ok(()) => {
            "its files are there; whether they reach the mark is seen by a start alone, which refuses if not"
                .to_owned()
        }
        Err(error) => format!("DAMAGED: {error}"),
    };
    let text = format!("store {}\n  mark: {told}\n  {verdict}\n", directory.display());
    Ok(Some(Report { text, is_whole: files.is_ok() }))
}

/// Goes on with what is there of a store that a start refuses: the mark is removed, so that the next start makes it anew. A
/// store that cannot be opened at all is moved aside.
///
/// # Errors
/// When another process has it, or its files cannot be moved.
pub fn salvage(directory: &Path) -> Result<Option<Report>, OpenError> {
    let Some(Report { mut text, .. }) = check(directory)? else { return Ok(None) };
    let broken = |error: io::Error| OpenError::Broken {
        directory: directory.to_path_buf(),
        reason: error.to_string(),
    };
    // Names of customers are not known here, which what an earlier version left would need to be written anew.
    let opened = super::embedded::Embedded::open_as_it_is(&crate::StoreOptions::new(directory.to_path_buf()));
    match opened {
        Ok(store) => {
            let counters = store.counters();
            let (open, parked) = (counters.open_recent + counters.open_old, counters.parked_now);
            text.push_str(&format!("salvaged: about {open} correlations and {parked} parked deliveries\n"));
        }
        Err(OpenError::Version { found, .. }) if found < crate::VERSION => {
            text.push_str(&format!(
                "salvaged: entries of version {found}, which the next start writes anew\n"
            ));
        }
        Err(OpenError::Broken { reason, .. }) => {
            let name = |number| directory.with_extension(format!("damaged-{number}"));
            let free = (1..=ASIDE_MAX).map(name).find(|path| !path.exists());
            let aside = free.ok_or_else(|| broken(io::Error::other("too many damaged stores lie aside")))?;
            fs::rename(directory, &aside).and_then(|()| sync_name(directory)).map_err(broken)?;
            text.push_str(&format!(
                "not to be opened ({reason}): moved to {}; the next start makes it anew\n",
                aside.display()
            ));
        }
        Err(error) => return Err(error),
    }
    match fs::remove_file(path(directory)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(broken(error)),
        _ => {}
    }
    Ok(Some(Report { text, is_whole: true }))
}
