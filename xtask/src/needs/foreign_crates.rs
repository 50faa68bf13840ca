//! Crates of others that tests may speak with: each is fetched for an empty package of its own in the target folder.

use std::path::{Path, PathBuf};

use crate::process::output;
use crate::project::cargo;

fn folder(target: &Path, name: &str) -> PathBuf {
    target.join("foreign").join(name)
}

/// True when the package can be resolved without a way to the registry.
pub(super) fn is_fetched(target: &Path, name: &str) -> bool {
    folder(target, name).join("Cargo.lock").exists() && call(target, name, &["fetch", "--offline"]).is_ok()
}

/// # Errors
/// When the folder cannot be written or cargo fails.
pub(super) fn fetch(target: &Path, name: &str) -> anyhow::Result<()> {
    let folder = folder(target, name);
    std::fs::create_dir_all(folder.join("src"))?;
    std::fs::write(folder.join("src/lib.rs"), "")?;
    // A workspace of its own: the folder lies below ours.
    let head = format!("[package]\nname = \"with-{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n");
    std::fs::write(folder.join("Cargo.toml"), head + "\n[workspace]\n\n[dependencies]\n")?;
    call(target, name, &["add", "--quiet", name])?;
    call(target, name, &["fetch"])
}

fn call(target: &Path, name: &str, arguments: &[&str]) -> anyhow::Result<()> {
    output(cargo().args(arguments).current_dir(folder(target, name))).map(drop)
}
