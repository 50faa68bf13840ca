//! What every store must do, run on each of them. The same list, so that none has a meaning of its own.

use super::{Batch, RedisOptions, Store, StoreOptions};
use redis_server::RedisServer;
use relay::*;
use smpp::text::message_id::GatewayId;
use std::path::PathBuf;

mod early;
pub(super) use early::early;

/// Now, in every test that does not speak of age.
const NOW: u32 = 1_800_000_000;

pub(super) fn key(vendor: u128, number: u64) -> CorrelationKey {
    let id =
        VendorMessageId::new(format!("id-{:016x}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15)).as_bytes());
    CorrelationKey { vendor: VendorId(vendor), id: id.unwrap() }
}

/// Of a message whose route changed them.
fn own_addresses() -> relay::OwnAddresses {
    let pdu = [&[0; 16][..], b"\0\x05\0ACME\0\x01\x0112025550123\0"].concat();
    relay::OwnAddresses::of_pdu(&pdu).expect("two addresses")
}

/// The number that each message goes to.
fn handset(number: u64) -> Handset {
    Handset::of(number_text(number).as_bytes())
}

fn number_text(number: u64) -> String {
    format!("1202{:07}", number * 7919 % 10_000_000)
}

/// What a receipt about it says.
pub(super) fn numbers(number: u64) -> ReceiptNumbers {
    ReceiptNumbers::new(format!("+{}", number_text(number)).as_bytes(), b"ACME")
}

pub(super) fn correlation(number: u64) -> Correlation {
    Correlation {
        account: AccountId::of_name(format!("c{}", number % 10_000).as_bytes()),
        gateway_id: GatewayId(number),
        submitted_at: NOW,
        urgent: number % 2 == 1,
        registered: smpp::field::RegisteredDelivery([0x01, 0x11, 0x13][number as usize % 3]),
        handset: handset(number),
        sender: 7,
        shared: false,
        addresses: (number % 3 == 1).then(own_addresses),
    }
}

pub(super) fn remember(vendor: u128, number: u64) -> StoreOp {
    StoreOp::Remember {
        message: MessageKey::from_u64(number),
        key: key(vendor, number),
        correlation: correlation(number),
    }
}

pub(super) fn find(vendor: u128, number: u64) -> StoreOp {
    find_of(vendor, number, numbers(number))
}

/// By the id of one message, with the numbers of a receipt.
fn find_of(vendor: u128, number: u64, numbers: ReceiptNumbers) -> StoreOp {
    StoreOp::Find { delivery: DeliveryKey::from_u64(number), key: key(vendor, number), numbers }
}

pub(crate) fn forget(vendor: u128, number: u64) -> StoreOp {
    forget_of(vendor, number, number, NOW)
}

/// By the id of one message, another message.
pub(crate) fn forget_of(vendor: u128, number: u64, message: u64, submitted_at: u32) -> StoreOp {
    StoreOp::Forget { key: key(vendor, number), gateway_id: GatewayId(message), submitted_at }
}

/// A message that got the id of another one.
pub(crate) fn remember_as(vendor: u128, number: u64, message: u64, submitted_at: u32) -> StoreOp {
    StoreOp::Remember {
        message: MessageKey::from_u64(message),
        key: key(vendor, number),
        correlation: Correlation { submitted_at, ..correlation(message) },
    }
}

pub(super) fn park(account: u128, text: &str) -> StoreOp {
    park_as(account, false, text)
}

fn park_as(account: u128, urgent: bool, text: &str) -> StoreOp {
    let (delivery, account) = (DeliveryKey::from_u64(7), AccountId(account));
    StoreOp::Park { delivery, account, urgent, pdu: text.into() }
}

pub(super) fn unpark(account: u128, count_max: u32) -> StoreOp {
    unpark_for(AccountId(account), count_max)
}

pub(super) fn unpark_for(account: AccountId, count_max: u32) -> StoreOp {
    StoreOp::Unpark { account, count_max }
}

/// One turn of one shard.
pub(super) fn turn(store: &mut Store, ops: Vec<StoreOp>) -> Vec<StoreAnswer> {
    let mut batches = [Batch { ops, answers: Vec::new() }];
    store.turn(NOW, &mut batches);
    let [batch] = batches;
    batch.answers
}

pub(super) fn found(answers: &[StoreAnswer]) -> Vec<Option<u64>> {
    let found = |answer: &StoreAnswer| match answer {
        StoreAnswer::Found { outcome, .. } => {
            Some(outcome.as_ref().unwrap().fits().map(|found| found.gateway_id.0))
        }
        _ => None,
    };
    answers.iter().filter_map(found).collect()
}

/// Texts and ids handed out, and whether there are more.
fn handed(answers: &[StoreAnswer]) -> (Vec<(String, ParkedId)>, bool) {
    let Some(StoreAnswer::Unparked { entries, more, .. }) = answers.last() else { panic!("{answers:?}") };
    let text = |entry: &ParkedEntry| (String::from_utf8(entry.pdu.clone()).unwrap(), entry.parked);
    (entries.iter().map(text).collect(), *more)
}

/// Ids handed out, and whether there are more.
fn handed_ids(answers: &[StoreAnswer]) -> (Vec<ParkedId>, bool) {
    let Some(StoreAnswer::Unparked { entries, more, .. }) = answers.last() else { panic!("{answers:?}") };
    (entries.iter().map(|entry| entry.parked).collect(), *more)
}

/// Runs one story on every store, with little and with much room in memory.
fn check(change: impl Fn(&mut StoreOptions), story: impl Fn(&mut Store)) {
    check_own(&change, &story);
    let Some(server) = RedisServer::start() else { return };
    let mut options = StoreOptions::new(PathBuf::new());
    change(&mut options);
    story(&mut Store::redis(&options, &RedisOptions::new(&server.url())).unwrap());
}

/// The same on the stores of one node.
fn check_own(change: impl Fn(&mut StoreOptions), story: impl Fn(&mut Store)) {
    let directory = tempfile::tempdir().unwrap();
    for recent_max in [1, 1_000_000] {
        let mut options = StoreOptions::new(directory.path().join(recent_max.to_string()));
        options.recent_max = recent_max;
        change(&mut options);
        story(&mut Store::embedded(&options).unwrap());
        story(&mut Store::memory(&options));
    }
}

#[test]
fn what_is_remembered_is_found_until_it_is_forgotten() {
    check(
        |_| {},
        |store| {
            let answers = turn(store, vec![remember(1, 1), find(1, 1), find(2, 1), remember(1, 2)]);
            assert_eq!(found(&answers), [Some(1), None], "ids of two vendors never meet");
            assert_eq!(answers.len(), 4);
            assert_eq!(
                found(&turn(store, vec![find(1, 1), find(1, 1), find(1, 2)])),
                [Some(1), Some(1), Some(2)]
            );
            let answers = turn(store, vec![forget(1, 1), find(1, 1), find(1, 2), forget(1, 1), forget(3, 3)]);
            assert_eq!(found(&answers), [None, Some(2)]);
            assert_eq!(found(&turn(store, vec![find(1, 1), find(1, 2)])), [None, Some(2)]);
        },
    );
}

#[test]
fn the_handsets_number_decides_between_messages_of_one_id() {
    check(
        |_| {},
        |store| {
            turn(store, vec![remember(1, 1), remember(1, 2), remember_as(1, 1, 9, NOW)]);
            assert_eq!(store.counters().given_again, 1);
            let both = || vec![find(1, 1), find_of(1, 1, numbers(9)), find_of(1, 1, numbers(5)), find(1, 2)];
            assert_eq!(found(&turn(store, both())), [Some(1), Some(9), None, Some(2)]);
            // One is done with: the other one stays, and does not take its place.
            assert_eq!(found(&turn(store, vec![forget_of(1, 1, 9, NOW), find_of(1, 1, numbers(9))])), [None]);
            assert_eq!(found(&turn(store, both())), [Some(1), None, None, Some(2)]);
            let by_id = find_of(1, 1, ReceiptNumbers::none());
            let answers = turn(store, vec![by_id, find_of(1, 2, ReceiptNumbers::none())]);
            assert!(
                matches!(&answers[0], StoreAnswer::Found { outcome: Ok(Finding::Several), .. }),
                "{answers:?}"
            );
            assert_eq!(found(&answers), [None, Some(2)], "an id given twice says nothing by itself");
            turn(store, vec![forget(1, 1), forget(1, 2)]);
            assert_eq!(found(&turn(store, both())), [None; 4]);
            // With all gone, it begins anew.
            turn(store, vec![remember(1, 1)]);
            assert_eq!(found(&turn(store, vec![find_of(1, 1, ReceiptNumbers::none())])), [Some(1)]);
        },
    );
}

/// A vendor's counter began anew: yesterday's message of the same id is another customer's.
#[test]
fn forgetting_todays_message_does_not_bring_yesterdays_back() {
    const YESTERDAY: u32 = NOW - 86_400;
    check(
        |_| {},
        |store| {
            turn(store, vec![remember_as(1, 1, 1, YESTERDAY)]);
            turn(store, vec![remember_as(1, 1, 9, NOW)]);
            let all = || vec![find(1, 1), find_of(1, 1, numbers(9)), find_of(1, 1, ReceiptNumbers::none())];
            assert_eq!(found(&turn(store, all())), [Some(1), Some(9), None]);
            turn(store, vec![forget_of(1, 1, 9, NOW)]);
            assert_eq!(found(&turn(store, all())), [Some(1), None, None], "also by the id alone");
            turn(store, vec![forget_of(1, 1, 1, YESTERDAY)]);
            assert_eq!(found(&turn(store, all())), [None; 3]);
        },
    );
}

#[test]
fn an_id_given_to_every_message_keeps_the_newest() {
    check(
        |_| {},
        |store| {
            let most = SAME_ID_MAX as u64;
            for message in 0..most + 3 {
                turn(store, vec![remember_as(1, 1, message, NOW + message as u32)]);
            }
            let ops = (0..most + 3).map(|message| find_of(1, 1, numbers(message))).collect();
            let expected: Vec<_> = (0..most + 3).map(|message| (message >= 3).then_some(message)).collect();
            assert_eq!(found(&turn(store, ops)), expected);
            // The same message again takes no other one's place.
            turn(store, vec![remember_as(1, 1, 5, NOW + 5)]);
            assert_eq!(
                found(&turn(store, vec![find_of(1, 1, numbers(3)), find_of(1, 1, numbers(5))])),
                [Some(3), Some(5)]
            );
        },
    );
}

/// Two names that had one number in earlier versions are two customers and two vendors.
#[test]
fn names_of_one_older_number_never_meet() {
    let [one, other] = ["client-s1d6o", "client-xa4s7"];
    assert_eq!(relay::older_number(one.as_bytes()), relay::older_number(other.as_bytes()));
    let (own, others) = (AccountId::of_name(one.as_bytes()), AccountId::of_name(other.as_bytes()));
    let (vendor, stranger) = (VendorId::of_name(one.as_bytes()), VendorId::of_name(other.as_bytes()));
    check(
        |_| {},
        |store| {
            let delivery = DeliveryKey::from_u64(1);
            let park = StoreOp::Park { delivery, account: own, urgent: false, pdu: b"mine".to_vec() };
            turn(store, vec![park]);
            assert_eq!(handed(&turn(store, vec![unpark_for(others, 9)])), (vec![], false));
            assert_eq!(handed(&turn(store, vec![unpark_for(own, 9)])).0.len(), 1);
            let id = VendorMessageId::new(b"77").unwrap();
            let (key, of_stranger) = (CorrelationKey { vendor, id }, CorrelationKey { vendor: stranger, id });
            let correlation = Correlation { account: own, ..correlation(1) };
            turn(store, vec![StoreOp::Remember { message: MessageKey::from_u64(1), key, correlation }]);
            let find = |key| StoreOp::Find { delivery, key, numbers: numbers(1) };
            let answers = turn(store, vec![find(key), find(of_stranger)]);
            assert_eq!(found(&answers), [Some(1), None]);
            let StoreAnswer::Found { outcome: Ok(Finding::Fits(kept)), .. } = answers[0] else { panic!() };
            assert_eq!(kept.account, own);
        },
    );
}

/// Many orphans in one turn, more than there is room for, leave the newest.
#[test]
fn the_newest_orphans_stay() {
    check_own(
        |options| options.orphans_max = 3,
        |store| {
            let orphan = |number: u8| StoreOp::ParkOrphan {
                delivery: DeliveryKey::from_u64(1),
                vendor: VendorId(1),
                pdu: vec![number],
            };
            for _ in 0..2 {
                turn(store, (0..10).map(orphan).collect());
                let counters = store.counters();
                assert_eq!(counters.orphans_now, 3);
            }
            assert_eq!(store.counters().orphans_full, 17);
        },
    );
}

#[test]
fn many_come_and_go() {
    check(
        |_| {},
        |store| {
            for round in 0..20 {
                let ops = (0..100).map(|number| remember(1, round * 100 + number)).collect();
                assert_eq!(turn(store, ops).len(), 100);
                if round >= 5 {
                    let ops = (0..100).flat_map(|number| {
                        let number = (round - 5) * 100 + number;
                        [find(1, number), forget(1, number)]
                    });
                    let expected: Vec<_> = (0..100).map(|number| Some((round - 5) * 100 + number)).collect();
                    assert_eq!(found(&turn(store, ops.collect())), expected);
                }
            }
            let all = (0..2000).map(|number| find(1, number)).collect();
            let found = found(&turn(store, all));
            assert_eq!(found.iter().filter(|found| found.is_some()).count(), 500);
        },
    );
}

#[test]
fn parked_deliveries_come_out_in_order_once() {
    check(
        |_| {},
        |store| {
            let parked =
                turn(store, vec![park(1, "a"), park(2, "x"), park(1, "b"), park(1, "c"), unpark(1, 2)]);
            assert!(
                matches!(&parked[0], StoreAnswer::Parked { account: AccountId(1), outcome: Ok(()), pdu, .. } if pdu == b"a")
            );
            let (first, more) = handed(&parked);
            assert_eq!(first.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>(), ["a", "b"]);
            assert!(more);
            let (second, more) = handed(&turn(store, vec![unpark(1, 5)]));
            assert_eq!(second.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>(), ["c"]);
            assert!(!more);
            let account = AccountId(1);
            let back = StoreOp::Return { account, parked: first[1].1 };
            let done = StoreOp::Release { account, parked: first[0].1 };
            let (third, more) = handed(&turn(store, vec![back, done, park(1, "d"), unpark(1, 9)]));
            assert_eq!(third.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>(), ["b", "d"]);
            assert!(!more);
            assert_eq!(store.counters().parked_now, 4, "b, c, d and the other account's x");
            assert_eq!(handed(&turn(store, vec![unpark(3, 9)])), (vec![], false), "nobody's");
        },
    );
}

#[test]
fn what_is_urgent_comes_out_first() {
    let texts = |answers: &[StoreAnswer]| {
        let (entries, more) = handed(answers);
        (entries.iter().map(|(text, _)| text.clone()).collect::<String>(), more)
    };
    check(
        |_| {},
        |store| {
            let answers = turn(
                store,
                vec![park(1, "a"), park_as(1, true, "U"), park(1, "b"), park_as(1, true, "V"), unpark(1, 3)],
            );
            assert_eq!(texts(&answers), ("UVa".into(), true));
            let first = handed(&answers).0;
            let account = AccountId(1);
            let mut ops: Vec<_> =
                first.iter().map(|(_, parked)| StoreOp::Return { account, parked: *parked }).collect();
            ops.extend([park_as(1, true, "W"), unpark(1, 9)]);
            let answers = turn(store, ops);
            assert_eq!(texts(&answers), ("UVWab".into(), false));
            for (_, parked) in handed(&answers).0 {
                turn(store, vec![StoreOp::Release { account, parked }]);
            }
            assert_eq!(store.counters().parked_now, 0);
        },
    );
}

#[test]
fn an_emptied_account_parks_again() {
    check(
        |_| {},
        |store| {
            for _ in 0..3 {
                let (out, _) = handed(&turn(store, vec![park(1, "a"), unpark(1, 1)]));
                assert_eq!(out[0].0, "a");
                turn(store, vec![StoreOp::Release { account: AccountId(1), parked: out[0].1 }]);
                assert_eq!(store.counters().parked_now, 0);
            }
        },
    );
}

#[test]
fn a_full_room_refuses_and_says_so() {
    check(
        |options| (options.parked_max, options.parked_account_max, options.orphans_max) = (3, 2, 1),
        |store| {
            let orphan = || StoreOp::ParkOrphan {
                delivery: DeliveryKey::from_u64(1),
                vendor: VendorId(1),
                pdu: vec![1, 2],
            };
            let ops = vec![
                park(1, "a"),
                park(1, "b"),
                park(1, "c"),
                park(2, "d"),
                park(3, "e"),
                orphan(),
                orphan(),
            ];
            let outcomes: Vec<_> = turn(store, ops)
                .iter()
                .map(|answer| match answer {
                    StoreAnswer::Parked { outcome, .. } | StoreAnswer::OrphanParked { outcome, .. } => {
                        *outcome
                    }
                    other => panic!("{other:?}"),
                })
                .collect();
            let full = Err(StoreOutage::Full);
            // The oldest orphan gives way, so that no vendor is refused for want of room.
            assert_eq!(outcomes, [Ok(()), Ok(()), full, Ok(()), full, Ok(()), Ok(())]);
            turn(store, vec![orphan(), orphan(), orphan()]);
            let counters = store.counters();
            assert_eq!((counters.parked_full, counters.orphans_full), (2, 4));
            assert_eq!((counters.parked_now, counters.orphans_now), (3, 1));
        },
    );
}

#[test]
fn what_is_too_old_is_given_up_and_counted() {
    // Redis keeps its own time and whole days: `redis/tests.rs` has its story.
    check_own(
        |options| options.time_to_live_seconds = 100,
        |store| {
            let orphan =
                StoreOp::ParkOrphan { delivery: DeliveryKey::from_u64(1), vendor: VendorId(1), pdu: vec![1] };
            turn(
                store,
                vec![remember(1, 1), remember(1, 2), remember(1, 3), park(1, "a"), park(2, "b"), orphan],
            );
            for (later, left) in [(100, 3), (101, 0)] {
                for _ in 0..4 {
                    store.sweep(NOW + later, 100);
                    turn(store, vec![]);
                }
                let answers = turn(store, vec![find(1, 1), find(1, 2), find(1, 3)]);
                assert_eq!(found(&answers).iter().flatten().count(), left, "after {later} s");
            }
            let counters = store.counters();
            let expired = (counters.correlations_expired, counters.parked_expired, counters.orphans_expired);
            assert_eq!(expired, (3, 2, 1));
            assert_eq!((counters.parked_now, counters.orphans_now), (0, 0));
            assert_eq!(handed(&turn(store, vec![unpark(1, 9)])), (vec![], false));
        },
    );
}

#[test]
fn entries_survive_a_restart() {
    for recent_max in [1, 1000] {
        let directory = tempfile::tempdir().unwrap();
        let options = StoreOptions { recent_max, ..StoreOptions::new(directory.path().join("store")) };
        let mut store = Store::embedded(&options).unwrap();
        turn(&mut store, vec![remember(1, 1), remember(1, 2), remember(1, 3)]);
        let (out, _) =
            handed(&turn(&mut store, vec![park(1, "a"), park(1, "b"), park(1, "c"), unpark(1, 2)]));
        turn(&mut store, vec![forget(1, 2), StoreOp::Release { account: AccountId(1), parked: out[0].1 }]);
        drop(store);
        let mut store = Store::embedded(&options).unwrap();
        assert_eq!(
            found(&turn(&mut store, vec![find(1, 1), find(1, 2), find(1, 3)])),
            [Some(1), None, Some(3)]
        );
        let (out, more) = handed(&turn(&mut store, vec![park(1, "d"), unpark(1, 9)]));
        let texts: Vec<_> = out.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(texts, ["b", "c", "d"], "what was handed out and not released is there again");
        assert!(!more);
    }
}
