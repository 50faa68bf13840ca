//! `cargo xtask ci`: everything a change must pass, in one command, here and on the server.

use crate::project::cargo;
use crate::step::Steps;
use crate::{bench, interrupt, process, test, walls};

/// Function length has its limit in clippy.toml; the lint is not on by default.
const LINTS: [&str; 4] = ["-D", "warnings", "-D", "clippy::too_many_lines"];

/// # Errors
/// When a step fails.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut steps = Steps::default();
    steps.run("format", || process::run(cargo().args(["fmt", "--all", "--check"])));
    interrupt::check()?;
    steps.run("lints", || {
        process::run(cargo().args(["clippy", "--workspace", "--all-targets", "--"]).args(LINTS))
    });
    interrupt::check()?;
    steps.run("mutations", || {
        let package =
            ["clippy", "--package", "gateway-simulation", "--features", "mutations", "--all-targets"];
        process::run(cargo().args(package).arg("--").args(LINTS))
    });
    interrupt::check()?;
    steps.run("walls", walls::run);
    steps.run("gate", bench::gate);
    interrupt::check()?;
    steps.run("test", || test::run(&test::Options::default()));
    steps.verdict()
}
