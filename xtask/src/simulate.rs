//! `cargo xtask simulate`: seeded stories of whole gateways, in a release build.

use crate::process;
use crate::project::cargo;

/// Stories of the full suite.
pub(crate) const SUITE_SEEDS: u64 = 10_000;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Stories to tell
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Switch one of the relay's seeded bugs on, to see it found
    #[arg(long)]
    mutation: Option<String>,
}

impl Options {
    /// What the full suite tells.
    pub(crate) fn of_suite() -> Self {
        Self::of(SUITE_SEEDS, 0)
    }

    /// So many stories from this seed on.
    pub(crate) fn of(seeds: u64, from: u64) -> Self {
        Self { seeds, from, mutation: None }
    }
}

/// # Errors
/// When a story breaks an invariant; the seed, the invariant and the last events have been printed.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let mut command = cargo();
    command.args(["run", "--quiet", "--release", "--package", "gateway-simulation"]);
    if options.mutation.is_some() {
        command.args(["--features", "mutations"]);
    }
    command.args(["--", "--seeds", &options.seeds.to_string(), "--from", &options.from.to_string()]);
    if let Some(mutation) = &options.mutation {
        command.args(["--mutation", mutation]);
    }
    process::run(&mut command)
}
