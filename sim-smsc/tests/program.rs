//! The program as its users start it.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use support::{Client, scenario};

/// Ends the program also when a test fails.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn sim(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sim-smsc"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn it_says_when_it_is_ready_and_ends_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.toml");
    std::fs::write(&file, scenario("", "")).unwrap();
    let out = folder.path().join("out");
    let mut program =
        Program(sim(&["run", file.to_str().unwrap(), "--out", out.to_str().unwrap()]).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(program.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&ready["ready"], &ready["program"]), (&true.into(), &"sim-smsc".into()));
    let address = ready["listen"]["A"].as_str().unwrap().parse().unwrap();
    assert!(ready["http"].is_string());

    let mut client = Client::bound(address);
    client.submit(2);
    client.hear().unwrap();
    let killed = Command::new("kill").args(["-TERM", &program.0.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert!(program.0.wait().unwrap().success());
    let mut said = String::new();
    program.0.stderr.as_mut().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("A: 1 submits, 1 accepted, 0 refused"), "{said}");
    let (_, records) = ledger::Reader::open(out.join(sim_smsc::LEDGER_FILE)).unwrap();
    assert!(records.count() >= 2);
}

#[test]
fn a_wrong_scenario_never_starts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.toml");
    std::fs::write(&file, scenario("windows = 3", "")).unwrap();
    for command in ["run", "check"] {
        let output = sim(&[command, file.to_str().unwrap()]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("scenario.toml:5: site[0].windows: unknown key"), "{said}");
    }
    std::fs::write(&file, scenario("", "")).unwrap();
    let output = sim(&["check", file.to_str().unwrap()]).output().unwrap();
    assert!(output.status.success());
}
