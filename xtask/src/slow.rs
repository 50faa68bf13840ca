//! `cargo xtask test --slow`: what is too long for every change.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::needs::Prepared;
use crate::process::run as run_command;
use crate::project::cargo;
use crate::step::Steps;
use crate::{flakes, interrupt, simulate};

/// The parts, by name. `ignored`: tests that only measure, in a release build. `glommio`: the end-to-end tests that take
/// `auto`, on the other back end. `simulation`: stories that were never told before. `flakes`: see there.
pub(crate) const PARTS: [&str; 4] = ["ignored", "glommio", "simulation", "flakes"];

/// Stories of the part `simulation`.
const SEEDS: u64 = 200_000;

/// Tests that are marked as ignored: file, package, and how cargo selects their program. All can run unattended.
const IGNORED: [(&str, &str, &[&str]); 10] = [
    ("gateway/control/src/source/tests/speed.rs", "gateway-control", &["--lib"]),
    ("gateway/relay/tests/allocations.rs", "gateway-relay", &["--test", "allocations"]),
    ("gateway/relay/tests/routes.rs", "gateway-relay", &["--test", "routes"]),
    ("gateway/shard/tests/live.rs", "gateway-shard", &["--test", "live"]),
    ("gateway/store/src/spool/tests.rs", "gateway-store", &["--lib"]),
    ("gateway/tests/passwords.rs", "gateway", &["--test", "passwords"]),
    ("gateway/tests/spool.rs", "gateway", &["--test", "spool"]),
    ("loadgen/tests/judge.rs", "loadgen", &["--test", "judge"]),
    ("loadgen/tests/reconcile_speed.rs", "loadgen", &["--test", "reconcile_speed"]),
    ("sim-smsc/tests/throughput.rs", "sim-smsc", &["--test", "throughput"]),
];

/// Runs the parts named, or all; what became of each is written down.
///
/// # Errors
/// When a part fails; the others run all the same. When we are interrupted.
pub(crate) fn run(target: &Path, prepared: &Prepared, names: &[String]) -> anyhow::Result<()> {
    let mut steps = Steps::recorded_in(target);
    for part in PARTS.into_iter().filter(|part| names.is_empty() || names.iter().any(|name| name == part)) {
        steps.run(part, || match part {
            "ignored" => ignored(prepared),
            "glommio" => on_glommio(prepared),
            "simulation" => simulate::run(&simulate::Options::of(SEEDS, new_seed())),
            _ => flakes::whole(target, prepared),
        });
        interrupt::check()?;
    }
    steps.verdict()
}

fn ignored(prepared: &Prepared) -> anyhow::Result<()> {
    for (_file, package, program) in IGNORED {
        let mut command = cargo();
        command.args(["test", "--release", "--package", package]).args(program);
        command.envs(prepared.environment.iter().cloned());
        // One after the other: they measure.
        run_command(command.args(["--", "--ignored", "--nocapture", "--test-threads", "1"]))?;
    }
    Ok(())
}

fn on_glommio(prepared: &Prepared) -> anyhow::Result<()> {
    let mut command = cargo();
    command.args(["test", "--package", "gateway", "--tests", "--no-fail-fast"]);
    command.envs(prepared.environment.iter().cloned()).env("GATEWAY_TEST_BACKEND", "glommio");
    run_command(&mut command)
}

/// The present second in thousands, far from the suite's own seeds: no story is told twice.
fn new_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()) * 1_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project;

    #[test]
    fn every_ignored_test_is_in_the_list() {
        let mut found = Vec::new();
        look_into(project::root(), &mut found);
        found.sort();
        let listed: Vec<String> = IGNORED.iter().map(|(file, ..)| (*file).to_owned()).collect();
        assert_eq!(found, listed);
    }

    fn look_into(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !["target", "fuzz", "out"].contains(&name.as_str()) && !name.starts_with('.')
            {
                look_into(&path, found);
            } else if name.ends_with(".rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                if text.lines().any(|line| line.trim_start().starts_with("#[ignore")) {
                    let path = path.strip_prefix(project::root()).unwrap();
                    found.push(path.to_string_lossy().into_owned());
                }
            }
        }
    }
}
