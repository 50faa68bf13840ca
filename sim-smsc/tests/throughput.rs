//! How much one simulator thread takes. Not a test of time: run it by hand on a quiet machine with
//! `cargo test --release -p sim-smsc --test throughput -- --ignored --nocapture`.

mod support;

use std::io::Write;
use std::time::Instant;

use bytes::BytesMut;
use runtime::BackendChoice;
use sim_smsc::{RunOptions, Scenario, Simulator};
use smpp::field::CommandId;
use smpp::wire::Deframer;
use support::{Client, encode_ack, encode_submit, read_some, scenario};

const CLIENTS: u32 = 4;
const WINDOW: u32 = 500;
const MESSAGES: u32 = 500_000;

#[test]
#[ignore = "a measurement"]
fn messages_with_receipts() {
    for backend in [BackendChoice::Tokio, BackendChoice::Glommio] {
        for with_ledger in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            // Each client counts its own receipts.
            let mut scenario =
                Scenario::parse(&scenario("receipts = { route = 'same-bind' }", ""), "test").unwrap();
            scenario.backend = backend;
            let out = with_ledger.then(|| folder.path().to_owned());
            let Ok(running) = Simulator::start_with(scenario, RunOptions { out }) else { continue };
            let address = running.address("A").unwrap();
            let (start, cpu) = (Instant::now(), sim_cpu_seconds());
            std::thread::scope(|scope| {
                for account in 0..CLIENTS {
                    scope.spawn(move || blast(Client::bound(address), account as u16));
                }
            });
            let (wall, cpu) = (start.elapsed().as_secs_f64(), sim_cpu_seconds() - cpu);
            let total = f64::from(CLIENTS * MESSAGES);
            println!(
                "{backend:?}, ledger {with_ledger}: {:.0} messages/s by the wall, {:.0} per second of the simulator's CPU",
                total / wall,
                total / cpu
            );
            let summary = running.stop().unwrap();
            let counters = &summary.sites[0].counters;
            assert_eq!((counters.accepted, counters.receipts_acked), (total as u64, total as u64));
        }
    }
}

/// Keeps the window full and acknowledges every receipt.
fn blast(client: Client, account: u16) {
    let mut stream = client.split();
    let mut deframer = Deframer::new(70_000);
    let (mut out, mut input) = (BytesMut::new(), vec![0; 65_536]);
    let (mut sent, mut answered, mut receipts) = (0, 0, 0);
    while receipts < MESSAGES || answered < MESSAGES {
        while sent < MESSAGES && sent - answered < WINDOW {
            encode_submit(account, sent, sent + 2, &mut out);
            sent += 1;
        }
        stream.write_all(&out).unwrap();
        out.clear();
        let read = read_some(&mut stream, &mut input);
        assert!(read > 0, "silence after {sent} sent, {answered} answered, {receipts} receipts");
        let mut cursor = 0;
        while let Some(frame) = deframer.next(&input[..read], &mut cursor).unwrap() {
            if frame.command_id() == CommandId::DELIVER_SM {
                receipts += 1;
                encode_ack(frame.sequence_number(), &mut out);
            } else {
                assert!(frame.command_status().is_ok());
                answered += 1;
            }
        }
    }
    stream.write_all(&out).unwrap();
}

/// User and system time of the thread `sim-0`, from /proc.
fn sim_cpu_seconds() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let ticks = tasks.filter_map(|task| {
        let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
        let (name, rest) = stat.split_once(") ")?;
        let fields: Vec<_> = rest.split(' ').collect();
        name.ends_with("(sim-0")
            .then(|| fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap())
    });
    ticks.sum::<f64>() / 100.0
}
