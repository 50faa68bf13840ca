//! Damaged files of a real gateway: the start refuses and names them, or says what it cut; files that fail for a while need
//! no restart.

mod support;

use smpp::field::CommandStatus;
use smpp::pdu::BindKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::client::Client;
use support::{Configuration, Gateway, wait_until};

/// A customer in store and forward whose vendor is away.
fn configuration() -> Configuration {
    let away =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    Configuration::new("auto", 1)
        .customer("bulk", "mode = \"store_and_forward\"")
        .vendor("Chicago", away, 1, "")
        .route("", &["Chicago"])
}

fn entries(gateway: &Gateway) -> f64 {
    gateway.metric("smppgw_spool_entries", &["kind=\"all\""])
}

/// Messages that are acknowledged one by one, then kill -9.
fn acknowledged(directory: &Path, configuration: &Configuration, count: u32) {
    let gateway = Gateway::start(directory, configuration);
    let mut client = Client::bound(gateway.smpp, BindKind::Transmitter, "bulk");
    for n in 0..count {
        let answer = client.submit_and_hear("12025550123", &format!("message {n}"), true);
        assert_eq!(answer.status(), CommandStatus::ESME_ROK);
    }
    gateway.kill();
}

fn journal(directory: &Path) -> PathBuf {
    directory.join("state/spool/journal/00000001.journal")
}

/// Exit code and words of `gateway store`.
fn store(what: &str, directory: &Path) -> (bool, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_gateway"));
    let output =
        program.args(["store", what]).arg(directory.join("state")).output().expect("the program runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_flipped_bit_is_refused_named_and_salvaged() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (path, configuration) = (directory.path(), configuration());
    acknowledged(path, &configuration, 30);
    let (whole, text) = store("check", path);
    assert!(whole && text.contains("30 messages are open"), "{text}");
    let mut octets = std::fs::read(journal(path)).expect("a journal");
    let middle = octets.len() / 2;
    octets[middle] ^= 1;
    std::fs::write(journal(path), octets).expect("writable");
    let refusal = Gateway::refusal(path, &configuration);
    assert!(refusal.contains("spool/journal/00000001.journal at octet "), "{refusal}");
    assert!(refusal.contains("gateway store salvage"), "{refusal}");
    let (whole, text) = store("check", path);
    assert!(!whole && text.contains("DAMAGED: spool/journal/00000001.journal at octet "), "{text}");
    let (whole, text) = store("salvage", path);
    assert!(whole && text.contains("29 messages are open"), "{text}");
    let gateway = Gateway::start(path, &configuration);
    assert_eq!(entries(&gateway), 29.0);
    let (whole, text) = store("check", path);
    assert!(!whole && text.contains("in use by another process"), "{text}");
}

#[test]
fn removed_files_are_refused_and_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (path, configuration) = (directory.path(), configuration());
    acknowledged(path, &configuration, 3);
    let kept = std::fs::read(journal(path)).expect("a journal");
    std::fs::remove_file(journal(path)).expect("it is there");
    let refusal = Gateway::refusal(path, &configuration);
    assert!(refusal.contains("spool/journal at octet 0: there was a journal"), "{refusal}");
    std::fs::write(journal(path), &kept[..kept.len() - 1]).expect("writable");
    let refusal = Gateway::refusal(path, &configuration);
    assert!(refusal.contains("spool/journal/00000001.journal at octet "), "{refusal}");
    std::fs::remove_dir_all(path.join("state/spool")).expect("it is there");
    // Nor is it forgotten that there was one when no customer uses the mode any more.
    let relay = Configuration::new("auto", 1).customer("bulk", "");
    for configuration in [&configuration, &relay] {
        let refusal = Gateway::refusal(path, configuration);
        assert!(refusal.contains("spool is damaged") && refusal.contains("there was a journal"), "{refusal}");
    }
    let (whole, text) = store("salvage", path);
    assert!(whole && text.contains("0 messages are open"), "{text}");
    let gateway = Gateway::start(path, &configuration);
    assert_eq!(entries(&gateway), 0.0);
}

#[test]
fn a_torn_end_is_cut_and_counted_and_all_that_was_acknowledged_comes_out() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (path, configuration) = (directory.path(), configuration());
    acknowledged(path, &configuration, 20);
    // As a power cut leaves it: the next batch is there in part.
    let mut octets = std::fs::read(journal(path)).expect("a journal");
    let torn = octets[64..164].to_vec();
    octets.extend(&torn);
    std::fs::write(journal(path), octets).expect("writable");
    let (whole, text) = store("check", path);
    assert!(whole && text.contains("torn end, never synced"), "{text}");
    let gateway = Gateway::start(path, &configuration);
    assert_eq!(gateway.metric("smppgw_spool_cut_octets", &[]), torn.len() as f64);
    assert_eq!(entries(&gateway), 20.0);
    assert!(gateway.log().contains("a torn end of the spool's journal was cut off"));
    gateway.kill();
    let names = std::fs::read_dir(path.join("state/spool/journal")).expect("a directory");
    let cut = names.flatten().find(|entry| entry.file_name().to_string_lossy().starts_with("cut-"));
    assert_eq!(std::fs::read(cut.expect("a copy").path()).expect("readable"), torn);
    let gateway = Gateway::start(path, &configuration);
    assert_eq!((entries(&gateway), gateway.metric("smppgw_spool_cut_octets", &[])), (20.0, 0.0));
}

/// No file may grow for a while: customers are told 0x08, and neither a restart nor those messages come of it.
#[test]
fn a_disk_that_is_full_for_a_while_needs_no_restart() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (path, configuration) = (directory.path(), configuration());
    let gateway = Gateway::start_with_file_errors(path, &configuration);
    let mut client = Client::bound(gateway.smpp, BindKind::Transmitter, "bulk");
    let mut submit = |text: &str| client.submit_and_hear("12025550123", text, true).status();
    for _ in 0..10 {
        assert_eq!(submit("before"), CommandStatus::ESME_ROK);
    }
    gateway.limit_files(Some(1));
    for _ in 0..10 {
        assert_eq!(submit("meanwhile"), CommandStatus::ESME_RSYSERR);
    }
    wait_until("it is shown", || gateway.metric("smppgw_spool_away", &[]) == 1.0);
    gateway.limit_files(None);
    wait_until("it works again", || gateway.metric("smppgw_spool_away", &[]) == 0.0);
    for _ in 0..10 {
        assert_eq!(submit("after"), CommandStatus::ESME_ROK);
    }
    wait_until("they are counted", || entries(&gateway) == 20.0);
    gateway.kill();
    let gateway = Gateway::start(path, &configuration);
    assert_eq!(entries(&gateway), 20.0, "{}", gateway.log());
}

/// A machine that was off for a day, or whose clock is wrong: the start says so, until a person says that the clock is right.
#[test]
fn a_clock_that_is_ahead_is_believed_on_a_word() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (path, configuration) = (directory.path(), configuration());
    let mut gateway = Gateway::start(path, &configuration);
    let mark = path.join("state/store.clock");
    wait_until("the store says what time it has come to", || mark.exists());
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
    let seen: u64 = std::fs::read_to_string(&mark).expect("readable").trim().parse().expect("seconds");
    std::fs::write(&mark, format!("{}\n", seen - 86_400)).expect("writable");
    let mut gateway = Gateway::start(path, &configuration);
    wait_until("it is told", || gateway.log().contains("the clock is ahead of what the store has seen"));
    let told = Command::new(env!("CARGO_BIN_EXE_gateway"))
        .arg("trust-clock")
        .arg(path.join("gateway.toml"))
        .output()
        .expect("the program runs");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    wait_until("the clock is believed", || gateway.log().contains("the clock is believed"));
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
}
