//! Which cores this process may use, and binding a thread to one.

use std::{io, mem};

/// Cores in this thread's affinity mask, ascending. It honours cpusets and `taskset`, unlike the machine's list of
/// online cores. Never empty: where the mask cannot be read it is `[0]`.
pub fn allowed_cores() -> Vec<usize> {
    // SAFETY: a cpu_set_t is plain bits; all zero is the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the kernel writes at most the given size into `set`; 0 names the calling thread.
    let result = unsafe { libc::sched_getaffinity(0, mem::size_of_val(&set), &raw mut set) };
    if result != 0 {
        return vec![0];
    }
    let highest = usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
    // SAFETY: `core` is below CPU_SETSIZE, the number of bits in the set.
    let cores: Vec<usize> = (0..highest).filter(|core| unsafe { libc::CPU_ISSET(*core, &set) }).collect();
    if cores.is_empty() { vec![0] } else { cores }
}

/// Binds the calling thread to one core; shards are bound by [`Runtime::run`](crate::Runtime::run).
///
/// # Errors
///
/// The core does not exist or is outside the affinity mask.
pub fn pin_this_thread(core: usize) -> io::Result<()> {
    if core >= usize::try_from(libc::CPU_SETSIZE).unwrap_or(0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("there is no core {core}")));
    }
    // SAFETY: as in `allowed_cores`.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: `core` was checked to be below CPU_SETSIZE.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: `set` is a valid mask of the given size; 0 names the calling thread.
    let result = unsafe { libc::sched_setaffinity(0, mem::size_of_val(&set), &raw const set) };
    if result == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    Err(io::Error::new(error.kind(), format!("cannot pin a thread to core {core}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_sees_one_core() {
        let core = *allowed_cores().last().unwrap();
        let seen = std::thread::spawn(move || {
            pin_this_thread(core).unwrap();
            allowed_cores()
        });
        assert_eq!(seen.join().unwrap(), vec![core]);
    }

    #[test]
    fn a_core_that_does_not_exist_is_refused() {
        assert!(pin_this_thread(1 << 20).is_err());
        assert!(pin_this_thread(1023).is_err());
    }
}
