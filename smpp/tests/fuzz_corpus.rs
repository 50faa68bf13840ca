//! Replays the committed fuzz corpora, so that what fuzzing once found stays found on the stable compiler.

#[path = "../../fuzz/checks.rs"]
mod checks;

#[test]
fn decode() {
    replay("decode", checks::decode);
}

#[test]
fn deframe() {
    replay("deframe", checks::deframe);
}

#[test]
fn receipt() {
    replay("receipt", checks::receipt);
}

#[test]
fn session() {
    replay("session", checks::session);
}

/// Every file of a corpus, and each with an octet changed or its end cut off.
fn replay(corpus: &str, check: fn(&[u8])) {
    let folder = format!("{}/../fuzz/corpus/{corpus}", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let data = std::fs::read(entry.unwrap().path()).unwrap();
        check(&data);
        for at in 0..data.len() {
            check(&data[..at]);
            for flip in [0x01, 0x80, 0xFF] {
                let mut changed = data.clone();
                changed[at] ^= flip;
                check(&changed);
            }
        }
        count += 1;
    }
    assert!(count > 0, "no corpus in {folder}");
}
