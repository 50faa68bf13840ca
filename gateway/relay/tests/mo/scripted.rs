//! One rule each.

use crate::node::*;
use gateway_relay::{MO_GATHER_MAX, MO_GATHERED_MAX, MO_GATHERED_OCTETS_MAX, MO_REMEMBER_MAX, ShardIndex};
use smpp::field::CommandStatus;
use smpp::text::segment::{Marking, Part};
use std::time::Duration;

const OK: CommandStatus = CommandStatus::ESME_ROK;
const LATER: CommandStatus = CommandStatus::ESME_RX_T_APPN;

fn node(shards: u8) -> Node {
    let mut node = Node::new(shards);
    for (place, name) in ACCOUNTS.into_iter().enumerate() {
        node.bind(name, place % usize::from(shards));
    }
    node
}

fn udh(reference: u16, total: u8, number: u8) -> Option<Part> {
    Some(part(Marking::Udh8, reference, total, number))
}

#[test]
fn a_message_goes_to_the_owner_of_its_first_word() {
    let mut node = node(2);
    for (number, text, owner) in [
        ("100", "WIN a car", "shop"),
        ("+100", "pay me", "bank"),
        ("100", "winner", "home"),
        ("100", "", "home"),
        ("200", "Win", "shop"),
        ("200", "lose", ""),
        ("300", "pay", "shop"),
        ("400", "win", "bank"),
        ("500", "win", ""),
    ] {
        for in_payload in [false, true] {
            node.got.clear();
            let sent = Sent { in_payload, ..Sent::new(number, None, text.as_bytes()) };
            let sequence = node.send(0, &sent);
            let got: Vec<_> = node.got.iter().map(|(name, got)| (*name, got.text.clone())).collect();
            assert_eq!(got, [(owner, text.as_bytes().to_vec())], "{number} {text:?}");
            assert_eq!(node.answers_to(&[sequence]), [Some(OK)]);
        }
    }
    assert_eq!(node.count(|traffic| traffic.orphans), 4);
}

#[test]
fn a_header_and_a_coding_without_text_are_no_words() {
    let mut node = node(1);
    node.send(0, &Sent::new("100", udh(1, 1, 1), b"win"));
    assert_eq!(node.texts("shop"), ["win"], "read behind the header; the only part, so whole");
    node.send(0, &Sent { data_coding: 4, ..Sent::new("100", None, b"win") });
    assert_eq!(node.texts("home"), ["win"]);
}

/// Each marking, on one shard and on three: one delivery, as the standard wants it.
#[test]
fn parts_become_one_where_their_owner_wants_it() {
    for (shards, marking, in_payload) in [
        (1, Marking::Udh8, false),
        (2, Marking::Udh8, true),
        (3, Marking::Udh16, false),
        (2, Marking::Sar, false),
        (3, Marking::Sar, true),
    ] {
        let mut node = node(shards);
        node.prompt = false;
        let mut sequences = Vec::new();
        for (number, text) in [(2, "second "), (3, "third"), (1, "WIN first ")] {
            let part = part(marking, 77, 3, number);
            let sent = Sent { in_payload, ..Sent::new("100", Some(part), text.as_bytes()) };
            sequences.push(node.send(usize::from(number) % usize::from(shards), &sent));
        }
        let (name, got) = &node.got[0];
        assert_eq!((*name, node.got.len()), ("shop", 1), "{marking:?}");
        assert_eq!(got.text, b"WIN first second third");
        assert!(got.in_payload && !got.has_header && got.part.is_none(), "{got:?}");
        assert_eq!(node.answers_to(&sequences), [None; 3], "the vendor waits for the customer");
        node.customers_answer(OK);
        assert_eq!(node.answers_to(&sequences), [Some(OK); 3]);
        assert_eq!((node.count(|t| t.mo_parts), node.count(|t| t.mo_reassembled)), (3, 1));
        assert!(node.relays.iter().all(|relay| relay.is_empty()));
    }
}

#[test]
fn without_reassembly_the_first_part_lets_the_others_go() {
    let mut node = node(2);
    let early = node.send(0, &Sent::new("100", udh(5, 3, 2), b"b"));
    assert!(node.got.is_empty(), "whose it is stands in the first part");
    node.send(1, &Sent::new("100", udh(5, 3, 1), b"pay a"));
    node.send(0, &Sent::new("100", udh(5, 3, 3), b"c"));
    assert_eq!(node.texts("bank"), ["b", "pay a", "c"]);
    assert!(node.got.iter().all(|(_, got)| got.has_header && got.part.is_some()));
    assert_eq!(node.answers_to(&[early]), [Some(OK)]);
}

#[test]
fn numbers_that_need_no_gathering_do_not_wait() {
    let mut node = node(1);
    node.send(0, &Sent::new("400", udh(5, 2, 2), b"b"));
    assert_eq!(node.texts("bank"), ["b"]);
    assert_eq!(node.count(|traffic| traffic.mo_parts), 0);
}

#[test]
fn what_a_vendor_sends_again_is_answered_like_its_first_copy() {
    let mut node = node(2);
    node.prompt = false;
    let first = Sent::new("300", udh(9, 2, 1), b"one ");
    let second = Sent::new("300", udh(9, 2, 2), b"two");
    let mut sequences = vec![node.send(0, &first), node.send(1, &first), node.send(0, &first)];
    sequences.push(node.send(1, &second));
    sequences.push(node.send(0, &second)); // while the customer has the whole
    assert_eq!(node.texts("shop"), ["one two"]);
    assert_eq!(node.answers_to(&sequences), [None; 5]);
    node.customers_answer(OK);
    assert_eq!(node.answers_to(&sequences), [Some(OK); 5]);
    let again = node.send(1, &first); // the vendor did not hear the answer
    assert_eq!(node.answers_to(&[again]), [Some(OK)]);
    assert_eq!(node.texts("shop").len(), 1);
    // Much later it is a message of its own.
    node.wait(MO_REMEMBER_MAX);
    let late = node.send(1, &first);
    assert_eq!(node.answers_to(&[late]), [None]);
}

#[test]
fn what_a_customer_cannot_take_now_is_parked_whole() {
    let mut node = node(2);
    node.prompt = false;
    let sequences = [
        node.send(0, &Sent::new("300", udh(9, 2, 1), b"one ")),
        node.send(1, &Sent::new("300", udh(9, 2, 2), b"two")),
    ];
    node.customers_answer(LATER);
    assert_eq!(node.answers_to(&sequences), [Some(OK); 2]);
    assert!(node.got[1].1.parked && node.got[1].1.text == b"one two");
}

#[test]
fn after_a_no_the_parts_are_gathered_anew() {
    let mut node = Node::new(2);
    node.store_is_away = true;
    let send = |node: &mut Node| {
        let one = node.send(0, &Sent::new("300", udh(9, 2, 1), b"one "));
        let sequences = [one, node.send(1, &Sent::new("300", udh(9, 2, 2), b"two"))];
        node.answers_to(&sequences)
    };
    assert_eq!(send(&mut node), [Some(LATER); 2]);
    assert_eq!(node.count(|traffic| traffic.deliveries_refused), 2, "each no of a vendor's bind, once");
    node.store_is_away = false;
    assert_eq!(send(&mut node), [Some(OK); 2]);
    assert_eq!(node.texts("shop"), ["one two"]);
    assert_eq!(node.count(|traffic| traffic.deliveries_refused), 2);
}

#[test]
fn a_reference_used_again_mixes_nothing() {
    let mut node = node(1);
    // The old message lost its second part; the new one has the same reference and count.
    let old = node.send(0, &Sent::new("100", udh(3, 2, 1), b"win old "));
    node.send(0, &Sent::new("100", udh(3, 2, 1), b"pay new "));
    node.send(0, &Sent::new("100", udh(3, 2, 2), b"end"));
    assert_eq!(node.texts("shop"), ["win old "]);
    assert_eq!(node.texts("bank"), ["pay new ", "end"]);
    assert_eq!(node.answers_to(&[old]), [Some(OK)]);
    assert_eq!(node.count(|traffic| traffic.mo_incomplete), 1);
    // Another count is another message.
    node.got.clear();
    node.send(0, &Sent::new("300", udh(4, 2, 1), b"a"));
    node.send(0, &Sent::new("300", udh(4, 3, 2), b"x"));
    node.send(0, &Sent::new("300", udh(4, 2, 2), b"b"));
    assert_eq!(node.texts("shop"), ["ab"]);
    // And so are another handset and another marking.
    node.got.clear();
    let sar = Some(part(Marking::Sar, 5, 2, 2));
    node.send(0, &Sent::new("300", udh(5, 2, 1), b"a"));
    node.send(0, &Sent { source: "4480", ..Sent::new("300", udh(5, 2, 2), b"x") });
    node.send(0, &Sent::new("300", sar, b"y"));
    assert!(node.got.is_empty());
}

#[test]
fn when_the_time_is_over_parts_go_one_by_one() {
    let mut node = node(2);
    let mut sequences = vec![
        node.send(0, &Sent::new("100", udh(1, 3, 2), b"b")), // no first part: the number's owner
        node.send(0, &Sent::new("200", udh(1, 3, 2), b"c")), // which is nobody
        node.send(1, &Sent::new("100", udh(2, 3, 1), b"win d")),
        node.send(1, &Sent::new("100", udh(2, 3, 3), b"e")),
        node.send(0, &Sent::new("300", udh(1, 3, 2), b"f")),
    ];
    node.wait(MO_GATHER_MAX - Duration::from_millis(1));
    assert!(node.got.is_empty());
    node.wait(Duration::from_millis(1));
    // Late parts find the same owner, and the first one tells it late.
    sequences.push(node.send(0, &Sent::new("100", udh(2, 3, 2), b"g")));
    sequences.push(node.send(0, &Sent::new("100", udh(1, 3, 1), b"pay h")));
    sequences.push(node.send(0, &Sent::new("100", udh(1, 3, 3), b"i")));
    let mut of_shop = node.texts("shop");
    of_shop.sort();
    assert_eq!(of_shop, ["e", "f", "g", "win d"]);
    assert_eq!((node.texts("home"), node.texts("")), (vec!["b".into()], vec!["c".into()]));
    assert_eq!(node.texts("bank"), ["pay h", "i"]);
    assert!(node.answers_to(&sequences).iter().all(|answer| *answer == Some(OK)));
    assert_eq!(node.count(|traffic| traffic.mo_incomplete), 4);
}

#[test]
fn what_cannot_be_joined_goes_in_parts() {
    let mut node = node(1);
    // Two codings.
    node.send(0, &Sent::new("300", udh(1, 2, 1), b"a"));
    node.send(0, &Sent { data_coding: 8, ..Sent::new("300", udh(1, 2, 2), b"\0b") });
    // A header that says more.
    node.send(0, &Sent { ports: true, ..Sent::new("300", udh(2, 2, 1), b"c") });
    node.send(0, &Sent { ports: true, ..Sent::new("300", udh(2, 2, 2), b"d") });
    // Longer than a PDU may be.
    let long = vec![b'x'; 40_000];
    node.send(0, &Sent { in_payload: true, ..Sent::new("300", udh(3, 2, 1), &long) });
    node.send(0, &Sent { in_payload: true, ..Sent::new("300", udh(3, 2, 2), &long) });
    let lengths: Vec<usize> = node.got.iter().map(|(_, got)| got.text.len()).collect();
    assert_eq!(lengths, [1, 2, 1, 1, 40_000, 40_000]);
    assert!(node.got.iter().all(|(name, got)| *name == "shop" && got.part.is_some()));
    assert_eq!(node.count(|traffic| traffic.mo_reassembled), 0);
}

#[test]
fn a_whole_message_keeps_its_coding_and_all_255_parts() {
    let mut node = node(2);
    for number in (1..=255).rev() {
        let text = [4, number];
        let sent = Sent { data_coding: 8, ..Sent::new("300", udh(1, 255, number), &text) };
        node.send(usize::from(number % 2), &sent);
    }
    let expected: Vec<u8> = (1..=255).flat_map(|number| [4, number]).collect();
    let (name, got) = &node.got[0];
    assert_eq!((*name, node.got.len(), got.data_coding), ("shop", 1, 8));
    assert_eq!(got.text, expected);
}

#[test]
fn a_full_table_lets_parts_go_and_forgets_before_that() {
    let mut node = node(1);
    let sources: Vec<String> = (0..=MO_GATHERED_MAX).map(|number| number.to_string()).collect();
    let with = |source| Sent { source, ..Sent::new("300", udh(1, 2, 1), b"one ") };
    // Remembered ones yield.
    let second = |source| Sent { source, ..Sent::new("300", udh(1, 2, 2), b"two") };
    for source in &sources {
        node.send(0, &with(source));
        node.send(0, &second(source));
    }
    assert_eq!(node.count(|traffic| traffic.mo_gather_full), 0);
    assert_eq!(node.got.len(), MO_GATHERED_MAX as usize + 1);
    node.wait(MO_REMEMBER_MAX);
    node.got.clear();
    for source in &sources {
        node.send(0, &with(source));
    }
    assert_eq!(node.count(|traffic| traffic.mo_gather_full), 1);
    assert_eq!(node.texts("shop"), ["one "]);
}

#[test]
fn octets_that_wait_are_bounded() {
    let mut node = node(1);
    let long = vec![b'x'; 60_000];
    let sources: Vec<String> =
        (0..MO_GATHERED_OCTETS_MAX / long.len() + 1).map(|number| number.to_string()).collect();
    for source in &sources {
        let sent = Sent { source, in_payload: true, ..Sent::new("300", udh(1, 2, 1), &long) };
        node.send(0, &sent);
    }
    assert_eq!(node.count(|traffic| traffic.mo_gather_full), 1);
    assert_eq!(node.got.len(), 1);
    // What went made room.
    let sent = Sent { source: "more", ..Sent::new("300", udh(1, 2, 1), b"one ") };
    node.send(0, &sent);
    assert_eq!(node.count(|traffic| traffic.mo_gather_full), 1);
}

#[test]
fn an_absent_customer_finds_the_whole_message_parked() {
    let mut node = Node::new(2);
    let first = node.send(0, &Sent::new("300", udh(1, 2, 1), b"one "));
    let second = node.send(1, &Sent::new("300", udh(1, 2, 2), b"two"));
    assert_eq!(node.texts("shop"), ["one two"]);
    assert!(node.got[0].1.parked);
    assert_eq!(node.answers_to(&[first, second]), [Some(OK); 2]);
    assert_eq!(node.count(|traffic| traffic.parked), 1);
}

#[test]
fn parts_that_were_gathered_on_another_shard_are_parked_as_urgent() {
    let mut node = Node::new(3);
    let sent = Sent::new("100", udh(1, 2, 1), b"pay one ");
    for shard in 0..3 {
        node.send(shard, &Sent { source: ["1", "2", "3"][shard], ..sent.clone() });
    }
    assert_eq!(node.count(|traffic| traffic.parked), 3); // that all are urgent is asserted where they are parked
}

#[test]
fn a_drain_leaves_the_parts_with_the_vendor() {
    let mut node = node(2);
    let sequences = [
        node.send(0, &Sent::new("300", udh(1, 3, 1), b"one ")),
        node.send(1, &Sent::new("300", udh(1, 3, 2), b"two ")),
    ];
    for shard in 0..2 {
        node.relays[shard].drain(node.now);
    }
    node.pump();
    assert_eq!(node.answers_to(&sequences), [Some(LATER); 2]);
    assert!(node.got.is_empty() && node.relays.iter().all(|relay| relay.is_empty()));
}

#[test]
fn a_full_mailbox_leaves_the_part_with_the_vendor() {
    let mut node = node(2);
    node.mail_is_full = true;
    let on_each: Vec<u32> =
        (0..2).map(|shard| node.send(shard, &Sent::new("300", udh(1, 2, 1), b"one "))).collect();
    let answers = node.answers_to(&on_each);
    assert!(answers.contains(&Some(LATER)) && answers.contains(&None), "{answers:?}");
    node.mail_is_full = false;
    node.send(0, &Sent::new("300", udh(1, 2, 2), b"two"));
    assert_eq!(node.texts("shop"), ["one two"]);
}

#[test]
fn a_shard_that_ends_leaves_its_parts_with_the_vendor() {
    let mut node = node(2);
    let on_each: Vec<u32> =
        (0..2).map(|shard| node.send(shard, &Sent::new("300", udh(1, 3, 1), b"one "))).collect();
    let now = node.now;
    node.relays[0].shard_gone(now, ShardIndex(1));
    node.relays[1].shard_gone(now, ShardIndex(0));
    node.pump();
    let refused = node.answers_to(&on_each).iter().filter(|answer| **answer == Some(LATER)).count();
    assert_eq!(refused, 1, "the one that was elsewhere");
}
