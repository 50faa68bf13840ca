//! Makes a journal anew of what can be read of a damaged one, which is moved aside.

use crate::mark::Mark;
use crate::survey::{Damage, MarkState, survey};
use crate::{Files, Journal, OpenError, Options, Place};
use std::io;

/// Octets of one batch of what is salvaged.
const BATCH_OCTETS: usize = 4 << 20;
/// Damaged journals that may lie beside a journal.
const ASIDE_MAX: u32 = 1_000;

/// What a salvage did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Salvaged {
    /// Entries that were read and written again, settled ones too.
    pub entries: u64,
    /// Of those, the ones behind damage.
    pub behind_damage: u64,
    /// What was damaged.
    pub damages: Vec<Damage>,
    /// The mark before.
    pub mark: MarkState,
    /// Where the damaged journal lies now, relative to the root; nothing when its folder was not there.
    pub aside: Option<String>,
}

/// Writes every entry that can be read into a new journal, moves the damaged one aside and puts the new one in its
/// place. Interrupted, it can be called again.
///
/// # Errors
/// When files cannot be read or written; the damaged journal is left as it was, or is in the folder aside.
pub fn salvage<F: Files>(files: &F, place: &Place, options: Options) -> Result<Salvaged, OpenError> {
    let fresh =
        Place { folder: format!("{}.salvaged", place.folder), mark: format!("{}.salvaged", place.mark) };
    let done = format!("{}.done", fresh.mark);
    let is_done = files.open(&done).is_ok();
    if !is_done {
        discard(files, &fresh)?;
    }
    let (mut entries, mut behind_damage, mut failed) = (0, 0, None);
    let mut found = survey(files, place, |_| {})?;
    if let Some((path, found)) = found.version {
        return Err(OpenError::Version { path, found });
    }
    if !is_done {
        let options = Options { salt: found.salt.unwrap_or(options.salt), ..options };
        let (mut journal, _) = Journal::open(files, fresh.clone(), options, |_| {})?;
        found = survey(files, place, |entry| {
            entries += 1;
            behind_damage += u64::from(entry.behind_damage);
            journal.push(entry.kind, &[entry.octets], false);
            if journal.staged_octets() >= BATCH_OCTETS
                && let Err(error) = journal.commit(true)
            {
                failed.get_or_insert(error);
            }
        })?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        journal.commit(true)?;
        journal.close()?;
        files.rename(&fresh.mark, &done)?;
        files.sync_folder(place.above())?;
    }
    let aside = exchange(files, place, &fresh, &done)?;
    Ok(Salvaged { entries, behind_damage, damages: found.damages, mark: found.mark, aside })
}

/// Puts the new journal in the place of the damaged one.
fn exchange<F: Files>(files: &F, place: &Place, fresh: &Place, done: &str) -> io::Result<Option<String>> {
    let mut aside = None;
    if files.list(&fresh.folder).is_ok() {
        if files.list(&place.folder).is_ok() {
            let free = (1..=ASIDE_MAX).map(|number| format!("{}.damaged-{number}", place.folder));
            let mut free = free.filter(|name| files.list(name).is_err());
            let name = free.next().ok_or_else(|| io::Error::other("too many damaged journals lie aside"))?;
            files.rename(&place.folder, &name)?;
            aside = Some(name);
        }
        files.rename(&fresh.folder, &place.folder)?;
        let (above, _) = place.folder.rsplit_once('/').unwrap_or_default();
        files.sync_folder(above)?;
    }
    files.rename(done, &place.mark)?;
    files.sync_folder(place.above())?;
    Ok(aside)
}

/// Removes what an interrupted salvage left.
fn discard<F: Files>(files: &F, fresh: &Place) -> io::Result<()> {
    for name in files.list(&fresh.folder).unwrap_or_default() {
        files.remove(&fresh.path(&name))?;
    }
    if Mark::load(files, fresh)?.is_some() {
        files.remove(&fresh.mark)?;
    }
    Ok(())
}
