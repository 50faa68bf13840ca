//! File descriptors: how many this process may have, and those that no accepted connection may take.
//!
//! The kernel gives the lowest number that is free. A connection with a number from the reserve is closed as it is accepted,
//! so the numbers of the reserve are always free for all else: connections that we make, files, other ports.

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, Ordering};

/// How many descriptors this process may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorLimit {
    /// Before it was raised.
    pub before: u64,
    /// From now on.
    pub now: u64,
}

/// Raises the limit to what the system allows without privileges: the soft limit to the hard one.
///
/// # Errors
/// When the limit cannot be read or set.
pub fn raise_descriptor_limit() -> io::Result<DescriptorLimit> {
    let mut limit = read_limit()?;
    let before = limit.rlim_cur;
    if limit.rlim_cur < limit.rlim_max {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: `limit` is a valid rlimit for the call to read.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(DescriptorLimit { before, now: limit.rlim_cur })
}

/// How many descriptors this process may have.
///
/// # Errors
/// When the limit cannot be read.
pub fn descriptor_limit() -> io::Result<u64> {
    Ok(read_limit()?.rlim_cur)
}

fn read_limit() -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit for the call to fill.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit)
}

/// The first number that no accepted connection may have.
static RESERVE_FROM: AtomicI32 = AtomicI32::new(i32::MAX);

/// From now on no listener of this process accepts a connection whose descriptor has this number or a higher one.
pub fn reserve_descriptors_from(first: u64) {
    RESERVE_FROM.store(first.try_into().unwrap_or(i32::MAX), Ordering::Relaxed);
}

/// Descriptors that are open.
///
/// # Errors
/// When the system does not show them (`/proc/self/fd`), or has none left to look.
pub fn open_descriptors() -> io::Result<u64> {
    let entries = std::fs::read_dir("/proc/self/fd")?.count() as u64;
    Ok(entries.saturating_sub(1)) // one was open to look
}

/// Whether this says that there is no descriptor for another connection.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// What accepting a connection with this descriptor means: the kernel's own error from the reserve on.
pub(crate) fn may_accept(descriptor: RawFd) -> io::Result<()> {
    if descriptor < RESERVE_FROM.load(Ordering::Relaxed) {
        return Ok(());
    }
    Err(io::Error::from_raw_os_error(libc::EMFILE))
}
