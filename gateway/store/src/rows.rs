//! Keys and values of the embedded store's tables.

use super::shelf::{BULK, ShelfName, class_of};
use super::{OpenError, VERSION};
use fjall::Slice;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// `version, time (4), more, rest`.
pub(super) fn with_head(time: u32, more: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEAD + more.len() + rest.len());
    value.push(VERSION);
    value.extend_from_slice(&time.to_be_bytes());
    value.extend_from_slice(more);
    value.extend_from_slice(rest);
    value
}

/// Octets before the rest in [`with_head`], without more.
pub(super) const HEAD: usize = 5;

pub(super) fn pdu_of(value: &[u8]) -> &[u8] {
    value.get(HEAD..).unwrap_or_default()
}

pub(super) fn time_of(value: &[u8]) -> u32 {
    value.get(1..HEAD).and_then(|time| time.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// Octets of an account in keys.
pub(super) const ACCOUNT: usize = 16;

pub(super) fn parked_key(account: u128, id: u64) -> [u8; ACCOUNT + 8] {
    let mut key = [0; ACCOUNT + 8];
    key[..ACCOUNT].copy_from_slice(&account.to_be_bytes());
    key[ACCOUNT..].copy_from_slice(&id.to_be_bytes());
    key
}

pub(super) fn shelf_key((account, class): ShelfName) -> Slice {
    let mut key = [1; ACCOUNT + 1];
    key[..ACCOUNT].copy_from_slice(&account.to_be_bytes());
    Slice::new(if class == BULK { &key } else { &key[..ACCOUNT] })
}

pub(super) fn shelf_name(key: &[u8]) -> ShelfName {
    let (account, class) = key.split_at(key.len().min(ACCOUNT));
    let number = u128::from_be_bytes(account.try_into().unwrap_or_default());
    (number, class_of(class.is_empty()))
}

/// A big-endian number of up to eight octets at a place; what is missing is not counted.
pub(super) fn number_at(bytes: &[u8], at: usize) -> u64 {
    bytes.iter().skip(at).take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// Above every number given before, even when nothing of those is left: sixteen million a second since 1970.
pub(super) fn first_sequence() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since_1970.as_secs() << 24
}

pub(super) fn check_version(value: &[u8]) -> fjall::Result<()> {
    match value.first() {
        Some(&VERSION) => Ok(()),
        found => Err(fjall::Error::InvalidTag((VERSION_TAG, found.copied().unwrap_or(0)))),
    }
}

/// Tells our own version byte from the library's tags.
pub(super) const VERSION_TAG: &str = "gateway store version";

pub(super) fn open_error(directory: &Path, error: &fjall::Error) -> OpenError {
    let directory = directory.to_path_buf();
    match error {
        fjall::Error::Locked => OpenError::InUse(directory),
        fjall::Error::InvalidTag((VERSION_TAG, found)) => OpenError::Version { directory, found: *found },
        other => OpenError::Broken { directory, reason: other.to_string() },
    }
}
