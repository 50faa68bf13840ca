use super::*;
use ledger::{Kind, MessageKey, Record, Writer};

const RUN: u32 = 77;
const UNKNOWN: u32 = 0x400;

/// A loadgen ledger and a simulator's, made by hand.
struct Hand {
    loadgen: Vec<Record>,
    sim: Vec<Record>,
}

fn key(sequence: u32) -> MessageKey {
    MessageKey { run: RUN, account: 0, sequence, segment: 0 }
}

impl Hand {
    fn new() -> Hand {
        Hand { loadgen: Vec::new(), sim: Vec::new() }
    }

    fn us(mut self, kind: Kind, sequence: u32, fill: impl Fn(&mut Record)) -> Hand {
        let mut record = Record::new(kind, 0, key(sequence), 1_000_000_000);
        fill(&mut record);
        self.loadgen.push(record);
        self
    }

    fn sim(mut self, kind: Kind, sequence: u32, fill: impl Fn(&mut Record)) -> Hand {
        let mut record = Record::new(kind, 0, key(sequence), 3_500_000_000);
        fill(&mut record);
        self.sim.push(record);
        self
    }

    fn sent(self, sequence: u32) -> Hand {
        self.us(Kind::Sent, sequence, |record| record.fingerprint = 5)
    }

    fn answered(self, sequence: u32, status: u32) -> Hand {
        self.us(Kind::Answered, sequence, |record| {
            record.status = status;
            record.id_hash = if status == 0 { 1000 + u64::from(sequence) } else { 0 };
        })
    }

    fn accepted(self, sequence: u32) -> Hand {
        self.sim(Kind::Accepted, sequence, |record| record.fingerprint = 5)
    }

    /// Sent, answered 0, accepted: nothing wrong.
    fn good(self, sequence: u32) -> Hand {
        self.sent(sequence).answered(sequence, 0).accepted(sequence)
    }

    fn receipt_sent(self, sequence: u32, state: u8) -> Hand {
        self.sim(Kind::ReceiptSent, sequence, |record| record.state = state).sim(
            Kind::ReceiptAcked,
            sequence,
            |record| record.state = state,
        )
    }

    fn receipt_received(self, id: u64, party: u16, state: u8) -> Hand {
        self.us(Kind::ReceiptReceived, 0, |record| {
            *record = Record { key: MessageKey::default(), party, id_hash: id, state, ..*record };
        })
    }

    fn reconcile(self) -> Reconciliation {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, parties: &[&str], records: &[Record]| {
            let path = directory.path().join(name);
            let parties = parties.iter().map(|party| (*party).to_owned()).collect();
            let meta = Meta { program: "test".into(), run: RUN, seed: 1, parties };
            let mut writer = Writer::create(&path, &meta).unwrap();
            for record in records {
                writer.append(record).unwrap();
            }
            writer.finish().unwrap();
            path
        };
        let loadgen = write("loadgen.ledger", &["otp", "bulk"], &self.loadgen);
        let sim = write("sim.ledger", &["East", "West"], &self.sim);
        let inputs = Inputs { loadgen: vec![loadgen], sims: vec![sim], unknown_status: UNKNOWN };
        reconcile(&inputs).unwrap()
    }
}

/// Reconciles and checks one figure; every other offence must be absent.
fn check(hand: Hand, holds: bool, figures: &[(&str, u64)]) {
    let result = hand.reconcile();
    let mut metrics = Metrics::new();
    result.metrics(&mut metrics);
    for (name, value) in &metrics {
        let expected = figures.iter().find(|(figure, _)| figure == name).map(|(_, count)| *count);
        let default = if name == "sim.accepted" { result.accepted } else { 0 };
        assert_eq!(*value as u64, expected.unwrap_or(default), "{name} in {result:?}");
    }
    assert_eq!(result.holds(), holds, "{result:?}");
    if !holds {
        assert!(!result.offenders.is_empty());
    }
}

#[test]
fn a_clean_run_is_clean() {
    let hand = Hand::new().good(0).receipt_sent(0, 2).receipt_received(1000, 0, 2).good(1);
    let result = hand.reconcile();
    assert!(result.holds());
    assert!(result.offenders.is_empty(), "{:?}", result.offenders);
    assert!(
        result
            .verdict()
            .starts_with("verdict: 0 lost, 0 misrouted, 0 altered, 0 duplicated, 0 unknown outcome, ")
    );
    assert_eq!((result.sent, result.delivered, result.accepted), (2, 2, 2));
    assert_eq!((result.receipts.sent, result.receipts.acknowledged, result.receipts.received), (1, 1, 1));
    assert_eq!(result.sites[0].per_second, [0, 0, 2]);
    assert_eq!(result.sites[1].name, "West");
    assert!(result.text().contains("2 sent = 2 delivered"));
}

#[test]
fn lost_messages_are_named() {
    let hand = Hand::new().good(0).sent(1).answered(1, 0);
    let result = hand.reconcile();
    assert_eq!(result.lost, 1);
    assert!(result.offenders["lost messages"][0].contains("/0/1.0"), "{:?}", result.offenders);
    check(Hand::new().good(0).sent(1).answered(1, 0), false, &[("total.lost", 1)]);
}

#[test]
fn what_was_refused_or_not_answered_is_not_lost() {
    check(Hand::new().sent(0).answered(0, 0x58), true, &[("total.refused", 1)]);
    check(Hand::new().sent(0).answered(0, UNKNOWN), true, &[("total.unknown", 1)]);
    check(Hand::new().sent(0).accepted(0), true, &[]);
    assert_eq!(Hand::new().sent(0).accepted(0).reconcile().unanswered, 1);
    assert_eq!(Hand::new().sent(0).answered(0, 8).accepted(0).reconcile().refused_but_accepted, 1);
    assert_eq!(Hand::new().sent(0).answered(0, UNKNOWN).accepted(0).reconcile().unknown_accepted, 1);
}

#[test]
fn duplicates_count_unless_an_answer_did_not_leave() {
    check(Hand::new().good(0).accepted(0), false, &[("total.duplicated", 1)]);
    let ambiguous = Hand::new().good(0).sim(Kind::LostResponse, 0, |_| {}).accepted(0);
    check(ambiguous, true, &[("sim.ambiguous", 1)]);
    let more = Hand::new().good(0).sim(Kind::LostResponse, 0, |_| {}).accepted(0).accepted(0);
    check(more, false, &[("total.duplicated", 1), ("sim.ambiguous", 1)]);
}

#[test]
fn altered_messages_are_seen() {
    let hand = Hand::new().sent(0).answered(0, 0).sim(Kind::Accepted, 0, |record| record.fingerprint = 6);
    check(hand, false, &[("total.altered", 1)]);
}

#[test]
fn receipts_are_followed() {
    let lost = || Hand::new().good(0).receipt_sent(0, 2);
    check(lost(), false, &[("total.receipts.lost", 1)]);
    check(lost().receipt_received(1000, 0, 2), true, &[]);
    check(lost().receipt_received(1000, 0, 5), false, &[("total.receipts.altered", 1)]);
    let twice = lost().receipt_received(1000, 0, 2).receipt_received(1000, 0, 2);
    check(twice, true, &[("total.receipts.duplicated", 1)]);
    let wrong = lost().receipt_received(1000, 0, 2).receipt_received(1000, 1, 2);
    check(wrong, false, &[("total.receipts.misrouted", 1), ("total.misrouted", 1)]);
    let stranger = lost().receipt_received(1000, 0, 2).receipt_received(9999, 0, 2);
    check(stranger, false, &[("total.receipts.unknown", 1)]);
    // A site that was not answered may send again; nothing is lost and nothing promised.
    let refused = Hand::new().good(0).sim(Kind::ReceiptSent, 0, |record| record.state = 2);
    check(refused, true, &[]);
    // Whose answer never arrived cannot know the id.
    let unanswered = Hand::new().sent(0).accepted(0).receipt_sent(0, 2).receipt_received(1000, 0, 2);
    check(unanswered, true, &[("total.receipts.unknown", 1)]);
}

#[test]
fn mobile_originated_messages_are_followed() {
    let sent = || {
        Hand::new().good(0).sim(Kind::MoSent, 5, |record| record.fingerprint = 9).sim(
            Kind::MoAcked,
            5,
            |_| {},
        )
    };
    let received = |hand: Hand, fingerprint, state| {
        hand.us(Kind::MoReceived, 5, move |record| {
            record.fingerprint = fingerprint;
            record.state = state;
        })
    };
    check(sent(), false, &[("total.mo.lost", 1)]);
    check(received(sent(), 9, 0), true, &[]);
    check(received(sent(), 8, 0), false, &[("total.mo.altered", 1)]);
    check(received(sent(), 9, 1), false, &[("total.mo.misrouted", 1), ("total.misrouted", 1)]);
    check(received(received(sent(), 9, 0), 9, 0), true, &[("total.mo.duplicated", 1)]);
}

#[test]
fn other_runs_and_other_parts_do_not_mix() {
    let other = MessageKey { run: RUN + 1, ..key(0) };
    let result = Hand::new().good(0).sim(Kind::Accepted, 0, |record| record.key = other).reconcile();
    assert!(result.holds());
    assert_eq!(result.accepted, 1);
    assert!(result.notes[0].contains("other runs"));
    let part = |record: &mut Record| record.key.segment = 1;
    let hand = Hand::new().good(0).us(Kind::Sent, 0, part).us(Kind::Answered, 0, part);
    check(hand, false, &[("total.lost", 1)]);
    check(Hand::new().accepted(3), false, &[]); // a phantom
}

#[test]
fn offenders_are_named_up_to_a_limit() {
    let mut hand = Hand::new();
    for sequence in 0..50 {
        hand = hand.sent(sequence).answered(sequence, 0);
    }
    let result = hand.reconcile();
    assert_eq!((result.lost, result.offenders["lost messages"].len()), (50, 20));
}

/// A damaged sequence must not make us allocate a table for it.
#[test]
fn wild_sequences_cost_nothing() {
    let result = Hand::new().good(0).sent(u32::MAX).answered(u32::MAX, 0).reconcile();
    assert_eq!(result.lost, 1);
}
