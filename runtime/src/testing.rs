//! Helpers for tests that run on both back ends.

use crate::{BackendChoice, select};

/// True when glommio is to be tested; false where io_uring was given up on purpose (`test-needs`).
///
/// # Panics
/// When this machine refuses io_uring and nobody gave it up: half of a test would pass silently.
pub fn glommio_allowed() -> bool {
    let found = || select(BackendChoice::Glommio).map_err(|error| error.to_string());
    test_needs::need("io_uring", found).is_some()
}

/// Calls a generic function once with each back end: `both_backends!(streams::echo)` for
/// `fn echo<R: Runtime>()`.
#[macro_export]
macro_rules! both_backends {
    ($($part:ident)::+) => {{
        $($part)::+::<$crate::tokio::Tokio>();
        if $crate::testing::glommio_allowed() {
            $($part)::+::<$crate::glommio::Glommio>();
        }
    }};
}
