//! Ctrl-C and SIGTERM set a flag; every wait looks at it, so children are ended by their handles as the stack
//! unwinds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::bail;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static REQUESTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Catches the signals that end a program.
///
/// # Errors
/// What the operating system says to a signal handler.
pub(crate) fn install() -> anyhow::Result<()> {
    let flag = REQUESTED.get_or_init(Default::default);
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        // A second signal while the first is being handled ends us at once.
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(flag))?;
        signal_hook::flag::register(signal, Arc::clone(flag))?;
    }
    Ok(())
}

/// # Errors
/// When one of the signals came.
pub(crate) fn check() -> anyhow::Result<()> {
    if REQUESTED.get().is_some_and(|flag| flag.load(Ordering::Relaxed)) {
        bail!("interrupted");
    }
    Ok(())
}
