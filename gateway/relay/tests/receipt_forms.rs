//! Forms in which vendors write receipts: each finds its message, and its customer gets one that its client can read.

use gateway_relay as relay;
use relay::{
    Account, AccountId, Arrival, Correlate, Correlation, Handset, LinkKey, Output, Relay, RelayOptions,
    ShardIndex, Snapshot, SnapshotInput, StoreAnswer, StoreOp, Vendor, VendorId,
};
use smpp::dialect::Dialect;
use smpp::field::{Address, CommandStatus, DataCoding, EsmClass, RegisteredDelivery};
use smpp::pdu::{BindKind, DeliverSm, Pdu};
use smpp::text::message_id::{GatewayId, IdRule};
use smpp::text::receipt::receipt_of;
use smpp::time::Instant;
use smpp::tlv::{Tag, Tlvs, write_tlv};
use smpp::wire::Frame;
use std::sync::Arc;
use std::time::Duration;

const CUSTOMER: LinkKey = LinkKey(1);
const BIND: LinkKey = LinkKey(2);
const NOW: Instant = Instant::from_nanos(1_000_000_000);
const OK: CommandStatus = CommandStatus::ESME_ROK;
const OURS: GatewayId = GatewayId(0x0123_4567_89AB_CDEF);

/// A receipt as a vendor sends it.
struct Sent<'a> {
    text: &'a [u8],
    tlvs: &'a [(Tag, &'a [u8])],
    data_coding: u8,
    esm_class: EsmClass,
}

const SENT: Sent<'static> = Sent { text: b"", tlvs: &[], data_coding: 0, esm_class: EsmClass::RECEIPT };

/// What became of it.
#[derive(Default, Debug)]
struct Became {
    /// The PDU that the customer got.
    got: Option<Vec<u8>>,
    forgotten: bool,
    /// Kept until its message comes, under this id.
    early_under: Option<String>,
    orphaned: bool,
    acknowledged: bool,
}

/// A gateway with one customer and this vendor, both bound.
fn gateway_with(vendor: Vendor) -> Relay {
    let input = SnapshotInput {
        accounts: vec![Account::new("customer")],
        vendors: vec![vendor],
        correlate: Correlate::Strict,
        ..SnapshotInput::default()
    };
    let snapshot = Arc::new(Snapshot::compile(input).expect("no mistake"));
    let options =
        RelayOptions { node: 1, shard: ShardIndex(0), shards: 1, started_at: Duration::ZERO, seed: 1 };
    let mut relay = Relay::new(options, snapshot);
    let account = AccountId::of_name(b"customer");
    assert!(relay.customer_bound(NOW, account, CUSTOMER, BindKind::Transceiver, 100));
    assert!(relay.vendor_bound(NOW, VendorId::of_name(b"west"), BIND, BindKind::Transceiver, 100));
    while relay.poll_store().is_some() {}
    relay
}

fn encoded(sent: &Sent<'_>) -> bytes::BytesMut {
    let mut tlvs = bytes::BytesMut::new();
    sent.tlvs.iter().for_each(|(tag, value)| write_tlv(&mut tlvs, *tag, value));
    let deliver = DeliverSm {
        source: Address { digits: b"12025550123", ..Address::default() },
        destination: Address { digits: b"ACME", ..Address::default() },
        esm_class: sent.esm_class,
        data_coding: DataCoding(sent.data_coding),
        short_message: sent.text,
        tlvs: Tlvs::new(&tlvs),
        ..DeliverSm::default()
    };
    let mut bytes = bytes::BytesMut::new();
    Pdu::DeliverSm(deliver).encode(OK, 7, &mut bytes);
    bytes
}

/// Sends a receipt to a gateway that has one open message, which its vendor's answer named so.
fn send(sent: &Sent<'_>, kept_under: &str, registered: u8, vendor: Vendor) -> Became {
    let mut relay = gateway_with(vendor);
    let open = Correlation {
        handset: Handset::of(b"12025550123"),
        registered: RegisteredDelivery(registered),
        ..Correlation::new(AccountId::of_name(b"customer"), OURS, 1_800_000_000)
    };
    let bytes = encoded(sent);
    let frame = Frame::whole(&bytes).expect("one PDU");
    let deliver = DeliverSm::decode(frame, &Dialect::strict()).expect("well-formed");
    let arrival = Arrival { now: NOW, unix_seconds: 2_000_000_000, link: BIND, over_window: false };
    relay.handle_deliver(arrival, frame, &deliver);
    let mut became = Became::default();
    loop {
        let mut is_quiet = true;
        while let Some(op) = relay.poll_store() {
            is_quiet = false;
            if let Some(answer) = answer(op, kept_under, &open, &mut became) {
                relay.handle_store_answer(NOW, answer);
            }
        }
        while let Some(output) = relay.poll() {
            is_quiet = false;
            match output {
                Output::AnswerDeliver { status, .. } => became.acknowledged = status == OK,
                Output::SendDeliver { delivery, .. } => {
                    became.got = Some(relay.delivery_bytes(delivery).to_vec());
                    relay.customer_answered(NOW, delivery, OK);
                }
                other => panic!("{other:?}"),
            }
        }
        if is_quiet {
            return became;
        }
    }
}

/// As a store that has this message under this id.
fn answer(op: StoreOp, kept_under: &str, open: &Correlation, became: &mut Became) -> Option<StoreAnswer> {
    Some(match op {
        StoreOp::Find { delivery, key, numbers } => {
            let is_it = key.id.as_bytes() == kept_under.as_bytes();
            let outcome = Ok(relay::choose(is_it.then_some(*open), &numbers));
            StoreAnswer::Found { delivery, outcome }
        }
        StoreOp::KeepEarly { delivery, key, pdu, .. } => {
            became.early_under = Some(String::from_utf8_lossy(key.id.as_bytes()).into_owned());
            StoreAnswer::EarlyKept { delivery, outcome: Ok(()), pdu }
        }
        StoreOp::ParkOrphan { delivery, pdu, .. } => {
            became.orphaned = true;
            StoreAnswer::OrphanParked { delivery, outcome: Ok(()), pdu }
        }
        StoreOp::Forget { gateway_id, .. } => {
            became.forgotten = gateway_id == OURS;
            return None;
        }
        other => panic!("{other:?}"),
    })
}

fn west() -> Vendor {
    Vendor::new("west")
}

/// The customer gets a receipt by mark and text, with our id in both places and nothing of the vendor's.
#[track_caller]
fn check(sent: &Sent<'_>, kept_under: &str, vendor: Vendor) {
    let became = send(sent, kept_under, 0x01, vendor);
    assert!(became.acknowledged && became.forgotten, "{became:?}");
    let got = became.got.expect("a receipt");
    let frame = Frame::whole(&got).expect("one PDU");
    let deliver = DeliverSm::decode(frame, &Dialect::strict()).expect("well-formed");
    let receipt = receipt_of(&deliver).expect("marked as a receipt");
    assert_eq!(receipt.id.map(|id| id.value), Some(&OURS.text()[..]));
    assert_eq!((receipt.id_in_text(), receipt.stat), (Some(&OURS.text()[..]), &b"DELIVRD"[..]));
    assert!(!deliver.esm_class.has_user_data_header() && deliver.esm_class.is_receipt());
}

#[test]
fn fields_with_commas_and_a_text_left_empty() {
    for text in [
        &b"id:77 sub:001 dlvrd:001 stat:DELIVRD err:000 text:hi"[..],
        b"id:77,sub:001,dlvrd:001,stat:DELIVRD,err:000,text:hi",
        b"id:77; sub:001; dlvrd:001; stat:DELIVRD; err:000; text:hi",
        b"id:77 sub:001 dlvrd:001 text: stat:DELIVRD err:000",
    ] {
        check(&Sent { text, ..SENT }, "77", west());
    }
}

#[test]
fn a_text_in_ucs_2_without_tlvs() {
    let text: Vec<u8> =
        "id:77 stat:DELIVRD err:000 text:\u{4f60}".encode_utf16().flat_map(u16::to_be_bytes).collect();
    check(&Sent { text: &text, data_coding: 8, ..SENT }, "77", west());
}

#[test]
fn no_mark_at_all_where_the_vendor_is_known_for_it() {
    let sent = Sent { text: b"id:77 stat:DELIVRD err:000 text:hi", esm_class: EsmClass(0), ..SENT };
    check(&sent, "77", Vendor { receipts_unmarked: true, ..west() });
    // Of any other vendor it is a message from a handset, which is nobody's.
    let became = send(&sent, "77", 0x01, west());
    assert!(became.got.is_none() && became.orphaned && !became.forgotten, "{became:?}");
    // What no handset's message looks like stays one.
    let hello = Sent { text: b"hello", esm_class: EsmClass(0), ..SENT };
    let became = send(&hello, "77", 0x01, Vendor { receipts_unmarked: true, ..west() });
    assert!(became.orphaned, "{became:?}");
}

#[test]
fn tlvs_alone_get_a_text() {
    let tlvs = [(Tag::RECEIPTED_MESSAGE_ID, &b"77\0"[..]), (Tag::MESSAGE_STATE, &[2][..])];
    check(&Sent { tlvs: &tlvs, ..SENT }, "77", west());
}

fn sent<'a>(text: &'a [u8], tlvs: &'a [(Tag, &'a [u8])]) -> Sent<'a> {
    Sent { text, tlvs, ..SENT }
}

#[test]
fn an_id_is_looked_for_in_every_spelling() {
    let vendor = || Vendor { id_rule: IdRule::HexToDecimal, ..west() };
    let tlv = |id: &'static [u8]| [(Tag::RECEIPTED_MESSAGE_ID, id)];
    // The answer said 4D, kept as 77. By the rule, as decimal, in both places; then hexadecimal in the TLV.
    check(&sent(b"id:77 stat:DELIVRD err:000 text:", &tlv(b"77\0")), "77", vendor());
    check(&sent(b"id:77 stat:DELIVRD err:000 text:", &tlv(b"4D\0")), "77", vendor());
    check(&sent(b"id:4D stat:DELIVRD err:000 text:", &[]), "77", vendor());
    // The TLV is wrong, and the text is not.
    check(&sent(b"id:77 stat:DELIVRD err:000 text:", &tlv(b"1\0")), "77", west());
    // Nothing fits yet: it waits under the spelling that TLV and text agree on.
    let early = sent(b"id:77 stat:DELIVRD err:000 text:", &[]);
    assert_eq!(send(&early, "5", 0x01, vendor()).early_under.as_deref(), Some("77"));
    let tlvs = tlv(b"4D\0");
    let early = sent(b"id:77 stat:DELIVRD err:000 text:", &tlvs);
    let became = send(&early, "5", 0x01, vendor());
    assert_eq!(became.early_under.as_deref(), Some("77"));
    assert!(became.acknowledged && became.got.is_none());
}

#[test]
fn what_was_not_asked_for_ends_here_acknowledged() {
    let of = |stat: &str| format!("id:77 sub:001 dlvrd:001 stat:{stat} err:000 text:hi");
    for (registered, stat, is_given, is_done) in [
        (0x01, "DELIVRD", true, true),
        (0x01, "ENROUTE", false, false),
        (0x01, "ACCEPTD", true, false),
        (0x02, "DELIVRD", false, true),
        (0x02, "UNDELIV", true, true),
        (0x11, "ENROUTE", true, false),
        (0x00, "ENROUTE", true, false), // kept by an earlier version
    ] {
        let text = of(stat);
        let became = send(&Sent { text: text.as_bytes(), ..SENT }, "77", registered, west());
        assert!(became.acknowledged, "{registered} {stat}");
        assert_eq!((became.got.is_some(), became.forgotten), (is_given, is_done), "{registered} {stat}");
    }
}
