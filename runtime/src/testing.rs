//! Helpers for tests that run on both back ends.

use crate::{BackendChoice, select};

/// True when glommio can run here. Says on stderr that its half of a test is skipped otherwise.
pub fn glommio_allowed() -> bool {
    match select(BackendChoice::Glommio) {
        Ok(_selected) => true,
        Err(error) => {
            eprintln!("skipped on glommio: {error}");
            false
        }
    }
}

/// Calls a generic function once with each back end that can run here: `both_backends!(streams::echo)` for
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
