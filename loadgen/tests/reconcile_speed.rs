//! Ten million records and more are joined in seconds. Run it by name:
//! `cargo test --release -p loadgen --test reconcile_speed -- --ignored --nocapture`.

use std::path::Path;
use std::time::Instant;

use ledger::{Kind, MessageKey, Meta, Record, Writer};
use loadgen::reconcile::{Inputs, reconcile};

const MESSAGES: u32 = 2_000_000;

#[test]
#[ignore = "writes half a gigabyte"]
fn twelve_million_records() {
    let directory = tempfile::tempdir().unwrap();
    let loadgen = directory.path().join("loadgen.ledger");
    let sim = directory.path().join("sim.ledger");
    write(&loadgen, &[Kind::Sent, Kind::Answered, Kind::ReceiptReceived]);
    write(&sim, &[Kind::Accepted, Kind::ReceiptSent, Kind::ReceiptAcked]);
    let begin = Instant::now();
    let inputs = Inputs { loadgen: vec![loadgen], sims: vec![sim], unknown_status: None };
    let result = reconcile(&inputs).unwrap();
    println!("{} records in {:?}", u64::from(MESSAGES) * 6, begin.elapsed());
    assert!(result.holds(), "{}", result.text());
    assert_eq!(result.receipts.received, u64::from(MESSAGES));
}

fn write(path: &Path, kinds: &[Kind]) {
    let meta = Meta {
        program: "test".into(),
        run: 1,
        seed: 1,
        parties: vec!["one".into(), "two".into()],
        rules: serde_json::Value::Null,
    };
    let mut writer = Writer::create(path, &meta).unwrap();
    for number in 0..MESSAGES {
        let account = (number % 2) as u16;
        let key = MessageKey { run: 1, account, sequence: number / 2, segment: 0 };
        for &kind in kinds {
            let id_hash = ledger::id_hash(&number.to_le_bytes());
            let party = if kind as u8 <= Kind::MoReceived as u8 { account } else { 0 };
            let record = Record::new(kind, party, key, u64::from(number) * 10_000);
            let state = if matches!(kind, Kind::Sent | Kind::Accepted) { 1 } else { 2 };
            let detail = if kind == Kind::Accepted { Record::RECEIPT_OWED } else { 0 };
            writer.append(&Record { id_hash, fingerprint: 7, state, detail, ..record }).unwrap();
        }
    }
    let end = Record::new(Kind::End, 0, MessageKey::default(), u64::from(MESSAGES) * 10_000);
    writer.append(&end).unwrap();
    writer.finish().unwrap();
}
