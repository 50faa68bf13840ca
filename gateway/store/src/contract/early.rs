//! What every store promises of receipts that came before their messages.

use super::*;

/// A receipt about a message, as its vendor sends it.
fn receipt_pdu(number: u64, stat: &[u8]) -> Vec<u8> {
    use smpp::field::{Address, CommandStatus, EsmClass, Npi, Ton};
    let (mut text, mut pdu) = (bytes::BytesMut::new(), bytes::BytesMut::new());
    let id = key(1, number).id;
    let receipt = smpp::text::receipt::Receipt { id: id.as_bytes(), stat, ..Default::default() };
    receipt.write(&mut text);
    let handset = number_text(number);
    let address = |digits| Address { ton: Ton(1), npi: Npi(1), digits };
    smpp::pdu::DeliverSm {
        source: address(handset.as_bytes()),
        destination: address(b"ACME"),
        esm_class: EsmClass::RECEIPT,
        short_message: &text,
        ..Default::default()
    }
    .encode(CommandStatus::ESME_ROK, 1, &mut pdu);
    pdu.to_vec()
}

/// A receipt of this message, by the id of another one.
fn early_as(number: u64, message: u64, is_final: bool) -> StoreOp {
    StoreOp::KeepEarly {
        delivery: DeliveryKey::from_u64(message),
        key: key(1, number),
        receipt: EarlyReceipt {
            numbers: numbers(message),
            is_final,
            tells: if is_final { Tells::Success } else { Tells::Unsure },
        },
        pdu: receipt_pdu(message, if is_final { b"DELIVRD" } else { b"ENROUTE" }),
    }
}

pub(crate) fn early(number: u64) -> StoreOp {
    early_as(number, number, true)
}

/// What is parked for the owner of a message: whether it speaks of it.
fn served(store: &mut Store, number: u64) -> Vec<bool> {
    let answers = turn(store, vec![unpark_for(correlation(number).account, 9)]);
    let Some(StoreAnswer::Unparked { entries, .. }) = answers.last() else { panic!("{answers:?}") };
    let id = GatewayId(number).text();
    let speaks = |pdu: &[u8]| pdu.windows(id.len()).any(|part| part == &id[..]);
    entries.iter().map(|entry| speaks(&entry.pdu)).collect()
}

#[test]
fn a_receipt_waits_for_its_message_and_goes_to_its_owner() {
    check(
        |_| {},
        |store| {
            let answers = turn(store, vec![early_as(1, 1, false), early(1), early(2)]);
            assert!(
                answers.iter().all(|one| matches!(one, StoreAnswer::EarlyKept { outcome: Ok(()), .. })),
                "{answers:?}"
            );
            assert_eq!(store.counters().early_now, 3);
            assert!(served(store, 1).is_empty());
            assert!(store.take_words().iter().all(|word| !matches!(word, crate::redis::Word::ParkedFor(_))));
            turn(store, vec![remember(1, 1)]);
            let owner = crate::redis::Word::ParkedFor(correlation(1).account);
            assert!(store.take_words().contains(&owner), "shards are told");
            assert_eq!(served(store, 1), [true, true]);
            let counters = store.counters();
            assert_eq!((counters.early_now, counters.early_served, counters.early), (1, 2, 3));
            assert_eq!(found(&turn(store, vec![find(1, 1)])), [None], "its final receipt was served");
            // A message that came between look-up and receipt is found as well.
            turn(store, vec![remember(1, 3), early_as(3, 3, false)]);
            assert_eq!(served(store, 3), [true]);
            assert_eq!(found(&turn(store, vec![find(1, 3)])), [Some(3)], "its final receipt is to come");
        },
    );
}

/// Its customer asked for receipts of failures only.
#[test]
fn an_early_receipt_that_was_not_asked_for_ends_in_the_store() {
    check(
        |_| {},
        |store| {
            let registered = smpp::field::RegisteredDelivery(0x02);
            let of = |number| StoreOp::Remember {
                message: MessageKey::from_u64(number),
                key: key(1, number),
                correlation: Correlation { registered, ..correlation(number) },
            };
            turn(store, vec![early(1), of(1)]);
            assert!(served(store, 1).is_empty());
            assert_eq!(store.counters().early_now, 0);
            assert_eq!(found(&turn(store, vec![find(1, 1)])), [None], "it was the last one");
        },
    );
}

#[test]
fn an_early_receipt_never_goes_to_another_message_of_its_id() {
    check(
        |_| {},
        |store| {
            // Message 9 gets the id of message 1, whose receipt is early; both are of other customers.
            turn(store, vec![early_as(1, 9, true)]);
            turn(store, vec![remember(1, 1), remember(1, 2)]);
            assert!(served(store, 1).is_empty() && served(store, 9).is_empty());
            turn(store, vec![remember_as(1, 1, 9, NOW)]);
            assert!(served(store, 1).is_empty());
            assert_eq!(served(store, 9), [true]);
            assert_eq!(found(&turn(store, vec![find(1, 1), find_of(1, 1, numbers(9))])), [Some(1), None]);
        },
    );
}

#[test]
fn a_full_table_of_early_receipts_drops_the_oldest_and_refuses_nobody() {
    check(
        |options| options.early_max = 3,
        |store| {
            for number in 0..5 {
                let answers = turn(store, vec![early(number)]);
                assert!(matches!(&answers[0], StoreAnswer::EarlyKept { outcome: Ok(()), .. }), "{answers:?}");
            }
            let counters = store.counters();
            assert_eq!((counters.early_now, counters.early_full), (3, 2));
            turn(store, (0..5).map(|number| remember(1, number)).collect());
            let all: Vec<_> = (0..5).map(|number| served(store, number).len()).collect();
            assert_eq!(all, [0, 0, 1, 1, 1]);
        },
    );
}

#[test]
fn one_id_for_all_early_receipts_keeps_the_newest() {
    check(
        |_| {},
        |store| {
            let most = SAME_ID_MAX as u64;
            turn(store, (0..most + 2).map(|message| early_as(7, message, true)).collect());
            let counters = store.counters();
            assert_eq!((counters.early_now, counters.early_full), (most, 2));
        },
    );
}

/// Its owner's room is used up: it is not lost, since its vendor was acknowledged.
#[test]
fn an_early_receipt_without_room_waits_once_more() {
    check_own(
        |options| options.parked_account_max = 1,
        |store| {
            turn(store, vec![early_as(1, 1, false), early(1), remember(1, 1)]);
            assert_eq!(store.counters().early_now, 1);
            store.sweep(NOW + 60, 100);
            let counters = store.counters();
            assert_eq!((counters.early_now, counters.orphans_now), (1, 0));
            let account = correlation(1).account;
            let (out, _) = handed_ids(&turn(store, vec![unpark_for(account, 9)]));
            turn(store, vec![StoreOp::Release { account, parked: out[0] }]);
            store.sweep(NOW + 120, 100);
            assert_eq!(served(store, 1), [true]);
        },
    );
}

#[test]
fn early_receipts_survive_a_restart_and_end_as_orphans() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions::new(directory.path().join("store"));
    let mut store = Store::embedded(&options).unwrap();
    turn(&mut store, vec![early(1), early(2), early(3)]);
    drop(store);
    let mut store = Store::embedded(&options).unwrap();
    assert_eq!(store.counters().early_now, 3);
    turn(&mut store, vec![remember(1, 2)]);
    assert_eq!(served(&mut store, 2), [true]);
    store.sweep(NOW + 59, 100);
    assert_eq!(store.counters().early_now, 2);
    store.sweep(NOW + 60, 100);
    turn(&mut store, vec![]);
    let counters = store.counters();
    assert_eq!((counters.early_now, counters.early_expired, counters.orphans_now), (0, 2, 2));
    drop(store);
    let counters = Store::embedded(&options).unwrap().counters();
    assert_eq!((counters.early_now, counters.orphans_now), (0, 2));
}
