//! The last good version on disk, for a start without the database: one line of JSON that says what it is, one with the
//! rows. Written beside its place, synced and moved there, so that whatever happens one of the two is whole; the sum over
//! the rows finds what a disk did to it.

use super::database::{Edition, Version};
use crate::config::rows::Rows;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

/// Version of this form.
const FORM: u32 = 1;
/// It holds password hashes.
const MODE: u32 = 0o600;

#[derive(Serialize, Deserialize)]
struct Head {
    form: u32,
    version: Version,
    /// Of the octets of the second line without its end, in hexadecimal.
    checksum: String,
}

/// Puts a version in the place of the last one.
pub(super) fn write(path: &Path, edition: &Edition) -> io::Result<()> {
    let rows = serde_json::to_vec(&edition.rows)?;
    let head = Head { form: FORM, version: edition.version.clone(), checksum: checksum(&rows) };
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let beside = path.with_extension("writing");
    {
        let mut file = File::options().write(true).create(true).truncate(true).mode(MODE).open(&beside)?;
        file.set_permissions(Permissions::from_mode(MODE))?; // one that was left may have another
        file.write_all(&serde_json::to_vec(&head)?)?;
        file.write_all(b"\n")?;
        file.write_all(&rows)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
    }
    fs::rename(&beside, path)?;
    File::open(directory)?.sync_all()
}

/// What was written last; nothing where nothing ever was.
pub(super) fn read(path: &Path) -> Result<Option<Edition>, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let (head, rows) = text.split_once('\n').ok_or("it is cut")?;
    let head: Head = serde_json::from_str(head).map_err(|error| error.to_string())?;
    if head.form != FORM {
        return Err(format!("it has form {}, this program knows {FORM}", head.form));
    }
    let rows = rows.strip_suffix('\n').ok_or("it is cut")?;
    if checksum(rows.as_bytes()) != head.checksum {
        return Err("its checksum is wrong".into());
    }
    let rows: Rows = serde_json::from_str(rows).map_err(|error| error.to_string())?;
    Ok(Some(Edition { version: head.version, rows }))
}

fn checksum(octets: &[u8]) -> String {
    format!("{:016x}", xxh3_64(octets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn edition() -> Edition {
        let row = json!({ "name": "west", "binds": 2, "addresses": ["a:1"] });
        let version =
            Version { number: 7, at: "2026-01-01T00:00:00Z".into(), author: "ann".into(), comment: None };
        Edition { version, rows: Rows::from([("vendors".into(), vec![row.as_object().unwrap().clone()])]) }
    }

    #[test]
    fn what_is_written_is_read_by_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/configuration.json");
        assert_eq!(read(&path), Ok(None), "there never was one");
        write(&path, &edition()).unwrap();
        write(&path, &edition()).unwrap();
        assert_eq!(read(&path), Ok(Some(edition())));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_file_that_is_cut_or_changed_is_not_used() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("configuration.json");
        write(&path, &edition()).unwrap();
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(read(&path).is_err(), "cut after {length} octets");
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&path, &changed).unwrap();
            // A changed author or time is not covered: they are for the eye.
            assert!(
                read(&path).map_or(true, |found| found.is_some_and(|found| found.rows == edition().rows))
            );
        }
    }
}
