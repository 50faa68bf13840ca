use super::*;
use ledger::{Kind, MessageKey, Meta, ReceiptDigest, ReceiptField, Record, Writer};

const RUN: u32 = 0x004D_0001;
const UNKNOWN: u32 = 0x400;
const SECOND: u64 = 1_000_000_000;

/// A loadgen ledger and a simulator's, made by hand. Messages are sent at 1 s, accepted at 3.5 s, answered at 4 s; receipts
/// are received at 5 s; the run ends at 10 s.
struct Hand {
    loadgen: Vec<Record>,
    sim: Vec<Record>,
    rules: Rules,
    sim_ends: Option<Record>,
    load_ends: bool,
    with_sim: bool,
}

fn key(sequence: u32) -> MessageKey {
    MessageKey { run: RUN, account: 0, sequence, segment: 0 }
}

/// What the receipt of a message says.
fn digest(sequence: u32, state: u8) -> ReceiptDigest {
    let mut digest = ReceiptDigest { state, stat: state, ..ReceiptDigest::default() };
    digest.fields[ReceiptField::Source as usize] = sequence as u16;
    digest
}

impl Hand {
    fn new() -> Hand {
        Hand {
            loadgen: Vec::new(),
            sim: Vec::new(),
            rules: Rules { unknown_status: UNKNOWN, ..Rules::default() },
            sim_ends: Some(Record::new(Kind::End, 0, MessageKey::default(), 10 * SECOND)),
            load_ends: true,
            with_sim: true,
        }
    }

    fn rules(mut self, change: impl Fn(&mut Rules)) -> Hand {
        change(&mut self.rules);
        self
    }

    fn us(mut self, kind: Kind, sequence: u32, fill: impl Fn(&mut Record)) -> Hand {
        let seconds = match kind {
            Kind::Sent => 1,
            Kind::ReceiptReceived | Kind::MoReceived => 5,
            _ => 4,
        };
        let mut record = Record::new(kind, 0, key(sequence), seconds * SECOND);
        record.number = sequence;
        fill(&mut record);
        self.loadgen.push(record);
        self
    }

    fn sim(mut self, kind: Kind, sequence: u32, fill: impl Fn(&mut Record)) -> Hand {
        let mut record = Record::new(kind, 0, key(sequence), 3 * SECOND + SECOND / 2);
        fill(&mut record);
        self.sim.push(record);
        self
    }

    fn sent(self, sequence: u32) -> Hand {
        self.us(Kind::Sent, sequence, |record| {
            (record.fingerprint, record.state, record.extra) = (5, 1, u64::from(sequence));
        })
    }

    fn answered(self, sequence: u32, status: u32) -> Hand {
        self.us(Kind::Answered, sequence, |record| {
            record.status = status;
            record.id_hash = if status == 0 { 1000 + u64::from(sequence) } else { 0 };
        })
    }

    fn accepted_with(self, sequence: u32, fill: impl Fn(&mut Record)) -> Hand {
        self.sim(Kind::Accepted, sequence, |record| {
            (record.fingerprint, record.state) = (5, 1);
            (record.id_hash, record.extra) = (1000 + u64::from(sequence), u64::from(sequence));
            fill(record);
        })
    }

    fn accepted(self, sequence: u32) -> Hand {
        self.accepted_with(sequence, |_| {})
    }

    fn doubted(self, sequence: u32, cause: u8) -> Hand {
        self.sim(Kind::LostResponse, sequence, |record| {
            (record.detail, record.id_hash) = (cause, 1000 + u64::from(sequence));
        })
    }

    /// Sent, answered 0, accepted, no receipt to come: nothing wrong.
    fn good(self, sequence: u32) -> Hand {
        self.sent(sequence).answered(sequence, 0).accepted(sequence)
    }

    /// The same with a receipt that was sent and acknowledged.
    fn with_receipt(self, sequence: u32, state: u8) -> Hand {
        self.sent(sequence)
            .answered(sequence, 0)
            .accepted_with(sequence, |record| record.detail = Record::RECEIPT_OWED)
            .receipt_sent(sequence, state)
            .receipt_acked(sequence, state, 0)
    }

    fn receipt_sent(self, sequence: u32, state: u8) -> Hand {
        self.sim(Kind::ReceiptSent, sequence, |record| record.set_digest(&digest(sequence, state)))
    }

    fn receipt_acked(self, sequence: u32, state: u8, status: u32) -> Hand {
        self.sim(Kind::ReceiptAcked, sequence, |record| (record.state, record.status) = (state, status))
    }

    fn receipt_received(self, id: u64, party: u16, digest: ReceiptDigest) -> Hand {
        self.us(Kind::ReceiptReceived, 0, |record| {
            (record.key, record.party, record.id_hash) = (MessageKey::default(), party, id);
            record.set_digest(&digest);
        })
    }

    fn reconcile(self) -> Reconciliation {
        self.with_inputs(|inputs| reconcile(inputs).unwrap())
    }

    fn with_inputs<T>(self, ask: impl Fn(&Inputs) -> T) -> T {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, parties: &[&str], records: &[Record], end: Option<Record>| {
            let path = directory.path().join(name);
            let parties = parties.iter().map(|party| (*party).to_owned()).collect();
            let rules = serde_json::to_value(&self.rules).unwrap();
            let meta = Meta { program: "test".into(), run: RUN, seed: 1, parties, rules };
            let mut writer = Writer::create(&path, &meta).unwrap();
            for record in records.iter().chain(&end) {
                writer.append(record).unwrap();
            }
            writer.finish().unwrap();
            path
        };
        let end = Record::new(Kind::End, 0, MessageKey::default(), 10 * SECOND);
        let loadgen = write("loadgen.ledger", &["otp", "bulk"], &self.loadgen, self.load_ends.then_some(end));
        let sim = write("sim.ledger", &["East", "West"], &self.sim, self.sim_ends);
        let sims = if self.with_sim { vec![sim] } else { Vec::new() };
        ask(&Inputs { loadgen: vec![loadgen], sims, unknown_status: None })
    }
}

/// Reconciles: exactly these classes are found, so often, and nothing else.
#[track_caller]
fn check(hand: Hand, expected: &[(Class, u64)]) -> Reconciliation {
    let result = hand.reconcile();
    let expected = expected.iter().map(|(class, count)| (class.name().to_owned(), *count)).collect();
    assert_eq!(result.classes, expected, "{}", result.text());
    assert_eq!(result.invalid, Vec::<String>::new());
    assert_eq!(result.holds(), result.classes.is_empty());
    assert!(result.classes.keys().eq(result.offenders.keys()), "{}", result.text());
    result
}

#[test]
fn a_clean_run_is_clean() {
    let hand = Hand::new().with_receipt(0, 2).receipt_received(1000, 0, digest(0, 2)).good(1);
    let result = check(hand, &[]);
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
    let result = check(Hand::new().good(0).sent(1).answered(1, 0), &[(Class::Lost, 1)]);
    let named = &result.offenders["lost"][0];
    assert!(named.contains("/0/1.0") && named.contains("at +3.000 s"), "{named}");
}

#[test]
fn refusals_and_broken_sessions_are_no_loss() {
    check(Hand::new().sent(0).answered(0, 0x58), &[]);
    check(Hand::new().sent(0).answered(0, UNKNOWN), &[]);
    check(Hand::new().sent(0).answered(0, UNKNOWN).accepted(0), &[]);
    let broken = Hand::new().sent(0).us(Kind::Abandoned, 0, |_| {}).accepted(0);
    assert_eq!(check(broken, &[]).excused.unanswered_old, 1);
    let just_sent = Hand::new().sent(0).us(Kind::Abandoned, 0, |record| record.time_ns = SECOND + 5);
    assert_eq!(check(just_sent, &[]).excused.unanswered_recent, 1);
    let moved = Hand::new().sent(0).us(Kind::Withdrawn, 0, |_| {}).sent(0).answered(0, 0).accepted(0);
    check(moved, &[]);
}

#[test]
fn answers_are_owed_once() {
    check(Hand::new().sent(0).us(Kind::Unanswered, 0, |_| {}), &[(Class::Unanswered, 1)]);
    let unbound = Hand::new().sent(0).us(Kind::Abandoned, 0, |record| record.state = 1);
    check(unbound, &[(Class::Unanswered, 1)]);
    let again = |hand: Hand| hand.us(Kind::AnsweredAgain, 7, |record| record.key = MessageKey::default());
    check(again(Hand::new().good(7)), &[(Class::AnsweredTwice, 1)]);
    check(again(Hand::new().good(8)), &[(Class::UnknownAnswer, 1)]);
    let late = again(Hand::new().sent(7).us(Kind::Unanswered, 7, |_| {}));
    let result = check(late, &[(Class::Unanswered, 1)]);
    assert!(result.offenders["unanswered"][0].contains("answered after 3.000 s"), "{}", result.text());
}

#[test]
fn a_refusal_of_what_was_accepted_is_an_offence() {
    check(Hand::new().sent(0).answered(0, 8).accepted(0), &[(Class::RefusedButAccepted, 1)]);
    let unaware = Hand::new().sent(0).answered(0, 8).accepted(0).doubted(0, Record::NEVER_LEFT);
    assert_eq!(check(unaware, &[]).excused.never_left, 1);
}

#[test]
fn copies_need_an_excuse() {
    check(Hand::new().good(0).accepted(0), &[(Class::Duplicated, 1)]);
    let excused = |cause| Hand::new().good(0).doubted(0, cause).accepted(0);
    assert_eq!(check(excused(Record::NEVER_LEFT), &[]).excused.never_left, 1);
    assert_eq!(check(excused(Record::LEFT_BEFORE_BREAK), &[]).excused.before_break, 1);
    let other_copy = Hand::new().good(0).doubted(7, 1).accepted(0);
    check(other_copy, &[(Class::Duplicated, 1)]);
    // loadgen had its answer, so the target had one.
    let known = excused(Record::LEFT_BEFORE_BREAK).accepted_with(0, |record| record.time_ns = 5 * SECOND);
    check(known, &[(Class::Duplicated, 1)]);
    let too_often = excused(1).rules(|rules| rules.excused_max = Some(0));
    check(too_often, &[(Class::ExcusedTooOften, 1)]);
}

/// An excused copy has a receipt of its own; that the account got one of the two is enough.
#[test]
fn copies_with_different_states_are_no_lost_receipts() {
    let hand = Hand::new()
        .with_receipt(0, 2)
        .doubted(0, Record::NEVER_LEFT)
        .accepted_with(0, |record| (record.id_hash, record.detail) = (77, Record::RECEIPT_OWED))
        .receipt_sent(0, 5)
        .receipt_acked(0, 5, 0)
        .receipt_received(1000, 0, digest(0, 2));
    check(hand, &[]);
}

#[test]
fn altered_messages_are_seen() {
    let altered = Hand::new().sent(0).answered(0, 0).accepted_with(0, |record| record.fingerprint = 6);
    check(altered, &[(Class::Altered, 1)]);
    let cleared = Hand::new().sent(0).answered(0, 0).accepted_with(0, |record| record.state = 0);
    check(cleared, &[(Class::ReceiptRequestAltered, 1)]);
    let unkeyed = |addresses| {
        move |record: &mut Record| {
            record.key = MessageKey::default();
            (record.detail, record.extra) = (Record::UNKEYED, addresses);
        }
    };
    check(Hand::new().sent(3).answered(3, 0).accepted_with(0, unkeyed(3)), &[(Class::Altered, 1)]);
    check(Hand::new().good(3).accepted_with(0, unkeyed(9)), &[(Class::Phantom, 1)]);
    check(Hand::new().accepted(3), &[(Class::Phantom, 1)]);
}

#[test]
fn receipts_are_followed() {
    let sent = || Hand::new().with_receipt(0, 2);
    check(sent(), &[(Class::LostReceipt, 1)]);
    check(sent().receipt_received(1000, 0, digest(0, 2)), &[]);
    check(sent().receipt_received(1000, 0, digest(0, 5)), &[(Class::AlteredReceipt, 1)]);
    let both = |hand: Hand| hand.receipt_received(1000, 0, digest(0, 2));
    check(both(both(sent())), &[(Class::DuplicatedReceipt, 1)]);
    check(both(both(sent())).rules(|rules| rules.duplicate_receipts_max = 1), &[]);
    check(sent().receipt_received(1000, 1, digest(0, 2)), &[(Class::MisroutedReceipt, 1)]);
    check(both(sent()).receipt_received(9999, 0, digest(9, 2)), &[(Class::UnknownReceipt, 1)]);
    check(sent().receipt_received(9999, 0, digest(0, 2)), &[(Class::AlteredReceipt, 1)]);
    check(sent().receipt_received(9999, 1, digest(0, 2)), &[(Class::MisroutedReceipt, 1)]);
    let untaken = Hand::new()
        .sent(0)
        .answered(0, 0)
        .accepted_with(0, |record| record.detail = Record::RECEIPT_OWED)
        .receipt_sent(0, 2);
    check(untaken, &[(Class::UntakenReceipt, 1)]);
    // Whose answer never arrived cannot know the id.
    let nameless = Hand::new()
        .sent(0)
        .us(Kind::Abandoned, 0, |_| {})
        .accepted_with(0, |record| record.detail = Record::RECEIPT_OWED)
        .receipt_sent(0, 2)
        .receipt_acked(0, 2, 0)
        .receipt_received(1000, 0, digest(0, 2));
    assert_eq!(check(nameless, &[]).excused.nameless_receipts, 1);
}

/// Digests are short: among many messages some say the same.
#[test]
fn a_nameless_receipt_is_whose_id_was_not_told() {
    let twin = 1 << 16; // its handset has the digest of message 0's
    let unanswered = |hand: Hand, sequence: u32| {
        hand.sent(sequence)
            .us(Kind::Abandoned, sequence, |_| {})
            .accepted_with(sequence, |record| record.detail = Record::RECEIPT_OWED)
            .receipt_sent(sequence, 2)
            .receipt_acked(sequence, 2, 0)
    };
    // Message 0 is looked into since its receipt was sent again after its session had ended.
    let resent = || {
        let hand = Hand::new().with_receipt(0, 2).receipt_sent(0, 2).receipt_received(1000, 0, digest(0, 2));
        hand.sim(Kind::LinkDown, 0, |record| record.time_ns = 4 * SECOND)
    };
    let hand = unanswered(resent(), twin).receipt_received(1000 + u64::from(twin), 0, digest(twin, 2));
    assert_eq!(check(hand, &[]).excused.nameless_receipts, 1);
    // Two whose ids are not known, and both receipts.
    let both = unanswered(unanswered(Hand::new(), 0), twin)
        .receipt_received(1000, 0, digest(0, 2))
        .receipt_received(1000 + u64::from(twin), 0, digest(twin, 2));
    assert_eq!(check(both, &[]).excused.nameless_receipts, 2);
}

#[test]
fn copies_of_receipts_need_an_excuse() {
    let twice = |hand: Hand| {
        let receive = |hand: Hand| hand.receipt_received(1000, 0, digest(0, 2));
        receive(receive(hand))
    };
    // The site sent it again, since its session ended before the acknowledgement.
    let resent = Hand::new().with_receipt(0, 2).receipt_sent(0, 2).sim(Kind::LinkDown, 0, |record| {
        record.time_ns = 4 * SECOND;
    });
    check(twice(resent), &[]);
    // The session of loadgen ended half a second after the receipt: its acknowledgement may be lost.
    let broken = Hand::new().with_receipt(0, 2).us(Kind::LinkDown, 0, |record| {
        record.time_ns = 5 * SECOND + SECOND / 2;
    });
    assert_eq!(check(twice(broken), &[]).excused.receipts, 1);
    let long_ago = Hand::new().with_receipt(0, 2).us(Kind::LinkDown, 0, |record| record.time_ns = 8 * SECOND);
    check(twice(long_ago), &[(Class::DuplicatedReceipt, 1)]);
}

#[test]
fn receipts_that_changed_places_are_swapped() {
    let hand = Hand::new()
        .with_receipt(0, 2)
        .with_receipt(1, 2)
        .receipt_received(1000, 0, digest(1, 2))
        .receipt_received(1001, 0, digest(0, 2));
    check(hand, &[(Class::SwappedReceipt, 2)]);
}

#[test]
fn each_field_of_a_receipt_is_compared_unless_it_may_be_rewritten() {
    for field in ReceiptField::ALL {
        let mut other = digest(0, 2);
        other.fields[field as usize] ^= 1;
        let hand = || Hand::new().with_receipt(0, 2).receipt_received(1000, 0, other);
        let result = check(hand(), &[(Class::AlteredReceipt, 1)]);
        assert!(result.offenders["altered receipts"][0].ends_with(field.name()), "{}", result.text());
        check(hand().rules(|rules| rules.rewrites = vec![field.name().into()]), &[]);
    }
}

/// Two accounts, or two sites, that number alike: the handset tells whose a receipt is.
#[test]
fn an_id_proves_nothing() {
    let same_id = |record: &mut Record| record.id_hash = 1000;
    let second = |record: &mut Record| record.key = MessageKey { account: 1, ..record.key };
    let hand = Hand::new()
        .with_receipt(0, 2)
        .us(Kind::Sent, 4, |record| {
            second(record);
            (record.fingerprint, record.state, record.extra, record.party) = (5, 1, 4, 1);
        })
        .us(Kind::Answered, 4, |record| {
            second(record);
            same_id(record);
        })
        .accepted_with(4, |record| {
            second(record);
            same_id(record);
            record.detail = Record::RECEIPT_OWED;
        })
        .sim(Kind::ReceiptSent, 4, |record| {
            second(record);
            record.set_digest(&digest(4, 2));
        })
        .sim(Kind::ReceiptAcked, 4, |record| {
            second(record);
            record.state = 2;
        });
    let hand = hand.receipt_received(1000, 0, digest(0, 2)).receipt_received(1000, 1, digest(4, 2));
    check(hand, &[]);
}

#[test]
fn without_a_simulator_one_side_is_judged() {
    let alone = |mut hand: Hand| {
        hand.with_sim = false;
        hand
    };
    let missing = check(alone(Hand::new().sent(0).answered(0, 0)), &[(Class::MissingReceipt, 1)]);
    assert!(missing.text().contains("without a simulator's ledger: lost, duplicated"), "{}", missing.text());
    let received = || Hand::new().sent(0).answered(0, 0).receipt_received(1000, 0, digest(0, 2));
    check(alone(received()), &[]);
    check(alone(received().receipt_received(1000, 0, digest(0, 2))), &[(Class::DuplicatedReceipt, 1)]);
    check(alone(received().receipt_received(9, 0, digest(7, 2))), &[(Class::UnknownReceipt, 1)]);
    check(alone(Hand::new().sent(0).us(Kind::Unanswered, 0, |_| {})), &[(Class::Unanswered, 1)]);
}

#[test]
fn ledgers_that_cannot_be_judged_are_invalid() {
    let invalid = |hand: Hand, word: &str| {
        let result = hand.reconcile();
        assert!(!result.holds() && result.classes.is_empty(), "{}", result.text());
        assert!(result.invalid.iter().any(|reason| reason.contains(word)), "{word}: {}", result.text());
        assert!(result.verdict().starts_with("verdict: INVALID: "));
    };
    let mut killed = Hand::new().good(0).sent(1).answered(1, 0);
    killed.sim_ends = None;
    invalid(killed, "was killed");
    let mut early = Hand::new().good(0).sent(1).answered(1, 0);
    early.sim_ends =
        Some(Record { extra: 1, ..Record::new(Kind::Mark, 0, MessageKey::default(), 9 * SECOND) });
    invalid(early, "was killed");
    let mut running = Hand::new().good(0);
    running.sim_ends =
        Some(Record { extra: 1, ..Record::new(Kind::Mark, 0, MessageKey::default(), 11 * SECOND) });
    assert!(running.reconcile().holds());
    let mut cut = Hand::new().good(0);
    cut.load_ends = false;
    invalid(cut, "no end record");
    let other = MessageKey { run: RUN + 1, ..key(0) };
    invalid(Hand::new().sent(0).answered(0, 0).accepted_with(0, |record| record.key = other), "another run");
    let mut empty = Hand::new().good(0);
    (empty.sim, empty.sim_ends) = (Vec::new(), None);
    invalid(empty, "is empty");
    let stall = Hand::new().good(0).sim(Kind::Stall, 0, |record| record.extra = 2 * SECOND);
    invalid(stall, "stood still for 2.000 s");
}

#[test]
fn promises_over_many_messages() {
    let ordered = |first, second| {
        let at = move |hand: Hand, sequence| hand.accepted(sequence);
        at(at(Hand::new().sent(0).answered(0, 0).sent(1).answered(1, 0), first), second)
    };
    let order = |rules: &mut Rules| rules.order = true;
    check(ordered(0, 1).rules(order), &[]);
    check(ordered(1, 0).rules(order), &[(Class::OutOfOrder, 1)]);
    check(ordered(1, 0), &[]);

    let part = |record: &mut Record| record.key.segment = 1;
    let parts = |site| {
        let hand = Hand::new().good(0).us(Kind::Sent, 0, |record| {
            part(record);
            (record.fingerprint, record.state) = (5, 1);
        });
        hand.us(Kind::Answered, 0, part).accepted_with(0, move |record| {
            part(record);
            record.party = site;
        })
    };
    let together = |rules: &mut Rules| rules.parts_at_one_site = true;
    check(parts(0).rules(together), &[]);
    check(parts(1).rules(together), &[(Class::Split, 1)]);
    check(parts(1), &[]);

    let expected = |name: &'static str| move |rules: &mut Rules| rules.expect_sites = vec![name.into()];
    check(Hand::new().good(0).rules(expected("East")), &[]);
    check(Hand::new().good(0).rules(expected("West")), &[(Class::WrongSite, 1)]);
}

#[test]
fn limits_of_sites_are_watched() {
    let limit = |limit: Limit| {
        move |rules: &mut Rules| rules.limits = vec![Limit { site: "East".into(), ..limit.clone() }]
    };
    let rate = Limit { rate: 2.0, burst: 2.0, per_bind: true, ..Limit::default() };
    check(Hand::new().good(0).good(1).rules(limit(rate.clone())), &[]);
    check(Hand::new().good(0).good(1).good(2).rules(limit(rate)), &[(Class::OverLimit, 1)]);
    let window = Limit { window: 10, ..Limit::default() };
    let peak = |most| Hand::new().good(0).sim(Kind::LinkDown, 0, move |record| record.status = most);
    check(peak(10).rules(limit(window.clone())), &[]);
    check(peak(11).rules(limit(window)), &[(Class::OverLimit, 1)]);
    let binds = Limit { binds: 1, ..Limit::default() };
    let bound = |hand: Hand| hand.sim(Kind::LinkUp, 0, |_| {});
    check(bound(Hand::new().good(0)).rules(limit(binds.clone())), &[]);
    check(bound(bound(Hand::new().good(0))).rules(limit(binds)), &[(Class::OverLimit, 1)]);
}

#[test]
fn mobile_originated_messages_are_followed() {
    let sent = || {
        let sent = Hand::new().good(0).sim(Kind::MoSent, 5, |record| record.fingerprint = 9);
        sent.sim(Kind::MoAcked, 5, |_| {})
    };
    let received = |hand: Hand, fingerprint, state| {
        hand.us(Kind::MoReceived, 5, move |record| (record.fingerprint, record.state) = (fingerprint, state))
    };
    check(sent(), &[(Class::LostMo, 1)]);
    check(received(sent(), 9, 0), &[]);
    let ignored = || Hand::new().good(0).sim(Kind::MoSent, 5, |_| {});
    check(ignored(), &[(Class::UntakenMo, 1)]);
    check(ignored().sim(Kind::MoAcked, 5, |record| record.status = 0x58), &[]);
    check(ignored().sim(Kind::LinkDown, 0, |record| record.time_ns = 4 * SECOND), &[]);
    check(received(sent(), 8, 0), &[(Class::AlteredMo, 1)]);
    check(received(sent(), 9, Record::MO_ELSEWHERE), &[(Class::MisroutedMo, 1)]);
    check(received(received(sent(), 9, 0), 9, 0), &[(Class::DuplicatedMo, 1)]);
    check(received(Hand::new().good(0), 9, 0), &[(Class::UnknownMo, 1)]);
    let nameless = |hand: Hand| hand.us(Kind::MoReceived, 5, |record| record.key = MessageKey::default());
    check(nameless(sent()), &[(Class::AlteredMo, 1)]);
    // What an earlier run left behind is not this run's.
    let before = Hand::new().good(0).sim(Kind::MoSent, 5, |record| record.time_ns = 5);
    check(before.sim(Kind::MoAcked, 5, |record| record.time_ns = 6), &[]);
}

#[test]
fn other_runs_do_not_mix() {
    let other = MessageKey { run: RUN + 1, ..key(0) };
    let result = check(Hand::new().good(0).sim(Kind::Accepted, 0, |record| record.key = other), &[]);
    assert_eq!(result.accepted, 1);
    assert!(result.notes[0].contains("other runs"));
}

#[test]
fn offences_are_grouped_by_their_cause() {
    let mut hand = Hand::new();
    for sequence in 0..4 {
        hand = hand.sent(sequence).answered(sequence, 0);
    }
    let hand =
        hand.sim(Kind::LinkDown, 0, |record| (record.time_ns, record.state) = (4 * SECOND - 9_000_000, 1));
    let result = check(hand, &[(Class::Lost, 4)]);
    assert_eq!(result.causes["lost"], "4 of 4 within 9 ms of East's unbind");
}

#[test]
fn offenders_are_named_up_to_a_limit() {
    let mut hand = Hand::new();
    for sequence in 0..50 {
        hand = hand.sent(sequence).answered(sequence, 0);
    }
    let result = hand.reconcile();
    assert_eq!((result.lost, result.offenders["lost"].len()), (50, 20));
}

/// A damaged sequence must not make us allocate a table for it.
#[test]
fn wild_sequences_cost_nothing() {
    let result = Hand::new().good(0).sent(u32::MAX).answered(u32::MAX, 0).reconcile();
    assert_eq!(result.lost, 1);
}

#[test]
fn the_story_of_a_message_is_told_from_all_ledgers() {
    let story = |hand: Hand, sequence| hand.with_inputs(|inputs| explain(inputs, key(sequence)).unwrap());
    let hand = || Hand::new().with_receipt(0, 2).receipt_received(1000, 1, digest(0, 5)).good(1);
    let told = story(hand(), 0);
    let order =
        ["submit_sm 0 sent", "accepted", "receipt sent: DELIVRD", "answered ESME_ROK", "AT ANOTHER ACCOUNT"];
    let places: Vec<_> =
        order.iter().map(|part| told.find(part).unwrap_or_else(|| panic!("{part}: {told}"))).collect();
    assert!(places.is_sorted(), "{told}");
    assert!(told.contains("differs from the site's in message_state TLV, stat"), "{told}");
    assert!(!told.contains("/0/1.0"), "{told}");
    assert!(story(hand(), 9).starts_with("No ledger knows"));
}
