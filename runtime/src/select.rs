//! Which back end is taken, and whether this machine allows it.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::str::FromStr;
use std::{fmt, io};

/// A back end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// glommio on io_uring.
    Glommio,
    /// tokio's `LocalRuntime` on epoll.
    Tokio,
}

impl Backend {
    /// Its name in settings, logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Glommio => "glommio",
            Self::Tokio => "tokio",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the operator asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// The one that measured faster: tokio.
    #[default]
    Auto,
    /// glommio or an error.
    Glommio,
    /// tokio.
    Tokio,
}

/// A text that names no back end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownBackend(String);

impl fmt::Display for UnknownBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown back end {:?}: expected auto, glommio or tokio", self.0)
    }
}

impl std::error::Error for UnknownBackend {}

impl FromStr for BackendChoice {
    type Err = UnknownBackend;

    fn from_str(text: &str) -> Result<Self, UnknownBackend> {
        match text {
            "auto" => Ok(Self::Auto),
            "glommio" | "io_uring" => Ok(Self::Glommio),
            "tokio" | "epoll" => Ok(Self::Tokio),
            other => Err(UnknownBackend(other.to_owned())),
        }
    }
}

/// The back end to use, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    /// The back end to use.
    pub backend: Backend,
    /// Why, in words for one log line.
    pub reason: String,
}

/// Picks the back end. Where glommio is asked for, probes io_uring by setting a ring up. The caller writes the reason to
/// its log: one line, once. `docs/decisions/0023-auto-back-end.md` has the figures behind `auto`.
///
/// # Errors
///
/// glommio was asked for and the machine refuses it; the error says what refused it.
pub fn select(choice: BackendChoice) -> io::Result<Selected> {
    let (backend, reason) = match choice {
        BackendChoice::Auto => (Backend::Tokio, REASON_AUTO),
        BackendChoice::Tokio => (Backend::Tokio, "tokio on epoll, as set"),
        BackendChoice::Glommio => {
            probe()
                .map_err(|error| io::Error::new(error.kind(), format!("glommio cannot run here: {error}")))?;
            (Backend::Glommio, "glommio on io_uring, as set; io_uring is allowed and complete")
        }
    };
    Ok(Selected { backend, reason: reason.to_owned() })
}

/// Why `auto` is what it is.
const REASON_AUTO: &str =
    "tokio on epoll: auto takes what measured faster; glommio on io_uring is taken when it is set";

/// Locked memory below which glommio does not start, in bytes.
const MEMLOCK_MIN: u64 = 512 * 1024;

/// Each executor registers its I/O memory with this many rings.
const RINGS_PER_EXECUTOR: usize = 3;

/// What a kernel must offer beside the operations: no completion is dropped, what was submitted needs no stable memory, and
/// operations on sockets wait without a thread each (all since 5.7).
const FEATURES: u32 = FEATURE_NODROP | FEATURE_SUBMIT_STABLE | FEATURE_FAST_POLL;
const FEATURE_NODROP: u32 = 1 << 1;
const FEATURE_SUBMIT_STABLE: u32 = 1 << 2;
const FEATURE_FAST_POLL: u32 = 1 << 5;

/// Operations that glommio asks for at start, by number; it ends the process when one is missing.
const OPERATIONS: [u8; 23] =
    [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 15, 16, 17, 18, 19, 21, 22, 23, 26, 27];

const REGISTER_BUFFERS: libc::c_uint = 0;
const REGISTER_PROBE: libc::c_uint = 8;

/// Does what glommio would do, step by step, so that a refusal has a name instead of a panic.
fn probe() -> io::Result<()> {
    let limit = memlock_limit()?;
    if limit < MEMLOCK_MIN {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("the limit of locked memory (ulimit -l) is {limit} bytes, needed are {MEMLOCK_MIN}"),
        ));
    }
    let (ring, features) = set_up()?;
    if features & FEATURES != FEATURES {
        return Err(unsupported(format!("io_uring of this kernel is too old (features {features:#x})")));
    }
    ask_for_operations(&ring)?;
    lock_memory(&ring)
}

/// Soft limit of locked memory in bytes; glommio looks at it even where a capability lifts it.
fn memlock_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit for the call to fill.
    check(unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) }.into())?;
    Ok(limit.rlim_cur)
}

/// The parameters of io_uring_setup as the kernel lays them out: 30 words, of which we read one.
#[repr(C)]
#[derive(Default)]
struct Parameters {
    sizes_and_flags: [u32; 5],
    features: u32,
    worker_fd_and_reserved: [u32; 4],
    ring_offsets: [u32; 20],
}

const _: () = assert!(size_of::<Parameters>() == 120);

fn set_up() -> io::Result<(OwnedFd, u32)> {
    const ENTRIES: libc::c_uint = 4;
    let mut parameters = Parameters::default();
    // SAFETY: the parameters have the size the kernel expects and live until the call returns.
    let fd = check(unsafe { libc::syscall(libc::SYS_io_uring_setup, ENTRIES, &raw mut parameters) })
        .map_err(|error| io::Error::new(error.kind(), explain(&error)))?;
    let fd =
        RawFd::try_from(fd).map_err(|_too_large| io::Error::other("io_uring_setup gave no descriptor"))?;
    // SAFETY: the call gave us this new descriptor.
    Ok((unsafe { OwnedFd::from_raw_fd(fd) }, parameters.features))
}

fn explain(error: &io::Error) -> String {
    let why = match error.raw_os_error() {
        Some(libc::EPERM) => "forbidden here, by a seccomp profile or kernel.io_uring_disabled",
        Some(libc::ENOSYS) => "not in this kernel, or hidden by a seccomp profile",
        Some(libc::ENOMEM) => "no memory for it, often the limit of locked memory (ulimit -l)",
        _ => "refused",
    };
    format!("io_uring is {why} ({error})")
}

fn ask_for_operations(ring: &OwnedFd) -> io::Result<()> {
    const OPERATIONS_MAX: usize = 256;
    const HEAD: usize = 16;
    const ENTRY: usize = 8;
    const ENTRY_FLAGS: usize = 2;
    const SUPPORTED: u8 = 1;
    let mut answer = [0_u64; (HEAD + ENTRY * OPERATIONS_MAX) / 8];
    register(ring, REGISTER_PROBE, answer.as_mut_ptr().cast(), OPERATIONS_MAX as libc::c_uint)?;
    let bytes: Vec<u8> = answer.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let flags = |operation: u8| {
        u16::from_ne_bytes(
            [0, 1].map(|byte| bytes[HEAD + ENTRY * usize::from(operation) + ENTRY_FLAGS + byte]),
        )
    };
    match OPERATIONS.iter().find(|operation| flags(**operation) & u16::from(SUPPORTED) == 0) {
        Some(missing) => Err(unsupported(format!("io_uring of this kernel lacks operation {missing}"))),
        None => Ok(()),
    }
}

/// Registers as much memory as executors on all our cores would, and gives it back.
fn lock_memory(ring: &OwnedFd) -> io::Result<()> {
    let length = crate::cores::allowed_cores().len() * RINGS_PER_EXECUTOR * crate::glommio::IO_MEMORY;
    let memory = vec![0_u8; length];
    let mut vector = libc::iovec { iov_base: memory.as_ptr().cast_mut().cast(), iov_len: length };
    // The kernel does not write to it: no operation is submitted to this ring.
    let registered = register(ring, REGISTER_BUFFERS, (&raw mut vector).cast(), 1);
    registered.map_err(|error| {
        io::Error::new(error.kind(), format!("{length} bytes cannot be locked (ulimit -l): {error}"))
    })
}

fn register(
    ring: &OwnedFd,
    what: libc::c_uint,
    argument: *mut libc::c_void,
    count: libc::c_uint,
) -> io::Result<()> {
    // SAFETY: the callers pass memory that fits `what` and `count` and outlives the call; registered memory is only used by
    // operations, and none is ever submitted.
    let result =
        unsafe { libc::syscall(libc::SYS_io_uring_register, ring.as_raw_fd(), what, argument, count) };
    check(result).map(|_zero| ())
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn unsupported(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        let check = |text: &str, expected| assert_eq!(text.parse::<BackendChoice>().ok(), expected, "{text}");
        check("auto", Some(BackendChoice::Auto));
        check("glommio", Some(BackendChoice::Glommio));
        check("io_uring", Some(BackendChoice::Glommio));
        check("tokio", Some(BackendChoice::Tokio));
        check("epoll", Some(BackendChoice::Tokio));
        check("Tokio", None);
        check("", None);
    }

    #[test]
    fn auto_and_tokio_need_no_io_uring() {
        for choice in [BackendChoice::Auto, BackendChoice::Tokio] {
            assert_eq!(select(choice).unwrap().backend, Backend::Tokio);
        }
        assert!(select(BackendChoice::Auto).unwrap().reason.contains("measured faster"));
    }

    #[test]
    fn glommio_agrees_with_the_probe() {
        let (allowed, selected) = (probe(), select(BackendChoice::Glommio));
        assert_eq!(selected.is_ok(), allowed.is_ok(), "{selected:?} {allowed:?}");
        assert!(selected.is_err() || selected.unwrap().backend == Backend::Glommio);
    }
}
