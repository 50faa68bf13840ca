//! Vectors and properties of `smpp::text`: every dialect of receipts known, and no octets that panic.

use std::collections::HashMap;

use bytes::BytesMut;
use proptest::prelude::*;
use smpp::field::{EsmClass, MessageState};
use smpp::pdu::{DataSm, DeliverSm};
use smpp::text::gsm7::{self, Padding};
use smpp::text::message_id::{GatewayId, GatewayIdSource, ID_LENGTH_MAX, IdRule};
use smpp::text::receipt::{self, Finality, Origin, Receipt, ReceiptView, Sourced};
use smpp::text::segment::{self, Marking, Part, PartSet, Udh};
use smpp::text::{Encoding, Unencodable};
use smpp::tlv::{Tag, Tlvs, write_tlv};

// ---- receipts

#[test]
fn every_dialect_of_receipts_is_read() {
    let blocks = receipt_blocks(include_str!("text_vectors/receipts.txt"));
    assert!(blocks.len() > 25);
    for block in blocks {
        check_receipt(&block);
    }
}

struct Block {
    name: String,
    values: HashMap<String, String>,
    tlvs: Vec<u8>,
}

impl Block {
    fn value(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    fn octets(&self, key: &str) -> Vec<u8> {
        unescape(self.value(key).unwrap_or_default())
    }
}

fn receipt_blocks(file: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for line in file.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            blocks.push(Block { name: name.into(), values: HashMap::new(), tlvs: Vec::new() });
            continue;
        }
        let block = blocks.last_mut().expect("a name before the values");
        let (key, value) = line.split_once(" =").expect("key = value");
        let value = value.strip_prefix(' ').unwrap_or(value);
        if key == "tlv" {
            let (tag, value) = value.split_once(' ').expect("tag and value");
            let tag = u16::from_str_radix(tag, 16).expect("a tag in hex");
            let mut out = BytesMut::new();
            write_tlv(&mut out, Tag(tag), &hex(value));
            block.tlvs.extend_from_slice(&out);
        } else {
            assert!(block.values.insert(key.into(), value.into()).is_none(), "{} twice", key);
        }
    }
    blocks
}

fn check_receipt(block: &Block) {
    let text = block.octets("text");
    let esm_class = EsmClass(block.value("esm_class").map_or(0x04, |octet| hex(octet)[0]));
    let tlvs = Tlvs::new(&block.tlvs);

    let mut rewritten = BytesMut::new();
    receipt::rewrite(&text, b"NEW", &mut rewritten);
    let expected = if block.value("rewritten").is_some() { block.octets("rewritten") } else { text.clone() };
    assert_eq!(&rewritten[..], &expected[..], "{}", block.name);

    let pdu = DeliverSm { esm_class, short_message: &text, tlvs, ..DeliverSm::default() };
    let view = receipt::receipt_of(&pdu);
    assert_eq!(view.is_some(), block.value("receipt").is_none(), "{}", block.name);
    if let Some(kind) = block.value("receipt") {
        assert_eq!(receipt::unmarked_receipt_of(&pdu).is_some(), kind == "pattern", "{}", block.name);
    }
    if text.is_empty() {
        let data_sm = DataSm { esm_class, tlvs, ..DataSm::default() };
        assert_eq!(receipt::receipt_of_data(&data_sm), view, "{}", block.name);
    }
    if let Some(view) = view {
        check_view(block, &view);
    }
}

fn check_view(block: &Block, view: &ReceiptView<'_>) {
    let name = &block.name;
    let described = |value: Option<(String, Origin)>| {
        value.map(|(value, origin)| format!("{value} {}", if origin == Origin::Tlv { "tlv" } else { "text" }))
    };
    let expected = |key| block.value(key).map(String::from);
    let id = view.id.map(|id| (escape(id.value), id.origin));
    assert_eq!(described(id), expected("id"), "{name}");
    let state = view.state.map(|state| (state.value.as_u8().to_string(), state.origin));
    assert_eq!(described(state), expected("state"), "{name}");
    let error = view.error().map(|Sourced { value, origin }| (value.to_string(), origin));
    assert_eq!(described(error), expected("error"), "{name}");
    let network = view.network_error_code.map(|error| format!("{}/{}", error.network_type, error.code));
    assert_eq!(network, expected("network"), "{name}");
    let finality = match view.finality {
        Finality::Final => "final",
        Finality::Intermediate => "intermediate",
        Finality::Undetermined => "undetermined",
    };
    assert_eq!(Some(finality), block.value("final"), "{name}");
    assert_eq!(view.stat, block.octets("stat"), "{name}");
    assert_eq!(view.err, block.octets("err"), "{name}");
    let of_text = view.receipt.unwrap_or_default();
    assert_eq!(of_text.text, block.octets("content"), "{name}");
    let date = |text| receipt::parse_date(text).map(|date| date.unix_seconds().to_string());
    assert_eq!(date(of_text.submit_date), expected("submit"), "{name}");
    assert_eq!(date(of_text.done_date), expected("done"), "{name}");
}

#[test]
fn a_user_data_header_before_the_receipt_is_passed_over() {
    let payload = b"\x05\x00\x03\x01\x01\x01id:77 stat:DELIVRD";
    let view = receipt::receipt_in(EsmClass(0x44), payload, &Tlvs::default()).unwrap();
    assert_eq!(view.id.unwrap().value, b"77");
    let mut out = BytesMut::new();
    assert!(receipt::rewrite_payload(true, payload, b"NEW", &mut out));
    assert_eq!(&out[..], b"\x05\x00\x03\x01\x01\x01id:NEW stat:DELIVRD");
}

#[test]
fn the_id_is_rewritten_in_tlvs() {
    let tlvs = |id: &[u8], text: &[u8]| {
        let mut out = BytesMut::new();
        write_tlv(&mut out, Tag(0x1403), b"310260\0");
        write_tlv(&mut out, Tag::RECEIPTED_MESSAGE_ID, id);
        write_tlv(&mut out, Tag::MESSAGE_STATE, &[2]);
        write_tlv(&mut out, Tag::MESSAGE_PAYLOAD, text);
        out
    };
    let original = tlvs(b"77\0", b"id:77 stat:DELIVRD text:id:77");
    let mut out = BytesMut::new();
    receipt::rewrite_tlvs(&Tlvs::new(&original), false, b"0123456789ABCDEF", &mut out);
    assert_eq!(out, tlvs(b"0123456789ABCDEF\0", b"id:0123456789ABCDEF stat:DELIVRD text:id:77"));
}

// ---- alphabets

#[test]
fn alphabets_agree_with_the_vectors() {
    for row in rows(include_str!("text_vectors/alphabets.txt")) {
        let [encoding, text, expected] = row[..] else { panic!("three columns: {row:?}") };
        let encoding = encoding_of(encoding);
        let text = String::from_utf8(unescape(text)).unwrap();
        let mut out = BytesMut::new();
        let encoded = encoding.encode(&text, &mut out);
        if let Some(character) = expected.strip_prefix('!') {
            let character = String::from_utf8(unescape(character)).unwrap().chars().next().unwrap();
            let offset = text.find(character).unwrap();
            assert_eq!(encoded, Err(Unencodable { character, offset }));
            assert!(out.is_empty());
            continue;
        }
        assert_eq!((encoded, &out[..]), (Ok(()), &hex(expected)[..]), "{encoding:?} {text:?}");
        let mut back = String::new();
        encoding.decode(&out, &mut back);
        if encoding == Encoding::Gsm7Packed && text.ends_with('\r') {
            assert_eq!(back.trim_end_matches('\r'), text.trim_end_matches('\r'));
        } else {
            assert_eq!(back, text);
        }
    }
}

#[test]
fn texts_are_split_as_the_vectors_say() {
    for row in rows(include_str!("text_vectors/segments.txt")) {
        let [encoding, marking, pieces, expected] = row[..] else { panic!("four columns: {row:?}") };
        let encoding = encoding_of(encoding);
        let marking = match marking {
            "udh8" => Marking::Udh8,
            "udh16" => Marking::Udh16,
            "sar" => Marking::Sar,
            other => panic!("no marking {other}"),
        };
        let text: String = pieces
            .split_whitespace()
            .map(|piece| piece.split_once('*').expect("count*characters"))
            .map(|(count, characters)| characters.repeat(count.parse().expect("a count")))
            .collect();
        let units: Vec<String> = segment::split(&text, encoding, marking)
            .unwrap()
            .map(|part| encoding.unit_count(part.text).unwrap().to_string())
            .collect();
        assert_eq!(units.join(" "), expected, "{row:?}");
        assert_eq!(segment::segment_count(&text, encoding, marking).unwrap() as usize, units.len());
    }
}

// ---- ids

#[test]
fn ids_of_both_sides_meet() {
    for row in rows(include_str!("text_vectors/message_ids.txt")) {
        let [rule, response, receipt, key] = row[..] else { panic!("four columns: {row:?}") };
        let rule = match rule {
            "raw" => IdRule::Raw,
            "hex_to_decimal" => IdRule::HexToDecimal,
            "decimal_to_hex" => IdRule::DecimalToHex,
            "case_fold" => IdRule::CaseFold,
            "strip_zeros" => IdRule::StripZeros,
            other => panic!("no rule {other}"),
        };
        let mut out = [0; ID_LENGTH_MAX];
        assert_eq!(rule.response_key(response.as_bytes(), &mut out), Some(key.as_bytes()), "{row:?}");
        assert_eq!(rule.normalise(response.as_bytes(), &mut out), Some(key.as_bytes()), "{row:?}");
        if receipt != "-" {
            assert_eq!(rule.receipt_key(receipt.as_bytes(), &mut out), Some(key.as_bytes()), "{row:?}");
        }
    }
}

// ---- properties

const ENCODINGS: [Encoding; 4] = [Encoding::Gsm7, Encoding::Gsm7Packed, Encoding::Latin1, Encoding::Ucs2];
const MARKINGS: [Marking; 3] = [Marking::Udh8, Marking::Udh16, Marking::Sar];
const RULES: [IdRule; 5] =
    [IdRule::Raw, IdRule::HexToDecimal, IdRule::DecimalToHex, IdRule::CaseFold, IdRule::StripZeros];

fn seven_field_values() -> impl Strategy<Value = [String; 7]> {
    std::array::from_fn(|_| field_value())
}

const RARE: &str = "@£$¥èéùìòÇ\nØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà\u{0C}^{}\\[~]|€";

/// Texts of characters that the GSM alphabet has, escapes often.
fn gsm_text(length_max: usize) -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => proptest::char::range(' ', '_'),
        1 => proptest::sample::select(RARE.chars().collect::<Vec<_>>()),
    ];
    proptest::collection::vec(character, 0..length_max)
        .prop_map(|characters| characters.into_iter().collect())
}

/// A value of a receipt field: no separator, and no colon to look like a key.
fn field_value() -> impl Strategy<Value = String> {
    "[A-Za-z0-9._-]{1,20}"
}

proptest! {
    #[test]
    fn gsm_text_survives_packing(text in gsm_text(200), fill_bits in 0u8..7) {
        let mut septets = BytesMut::new();
        prop_assert_eq!(gsm7::encode(&text, &mut septets), Ok(()));
        prop_assert_eq!(septets.len(), gsm7::septet_count(&text).unwrap());
        prop_assert_eq!(gsm7::chars(&septets).collect::<String>(), text.clone());
        let mut packed = BytesMut::new();
        gsm7::pack(&septets, fill_bits, Padding::CarriageReturn, &mut packed);
        let mut back = String::new();
        gsm7::decode_packed(&packed, fill_bits, Padding::CarriageReturn, &mut back);
        prop_assert_eq!(back, text);
    }

    #[test]
    fn ucs2_text_survives(text in any::<String>()) {
        let mut out = BytesMut::new();
        prop_assert_eq!(Encoding::Ucs2.encode(&text, &mut out), Ok(()));
        prop_assert_eq!(out.len(), 2 * Encoding::Ucs2.unit_count(&text).unwrap());
        let mut back = String::new();
        Encoding::Ucs2.decode(&out, &mut back);
        prop_assert_eq!(back, text);
    }

    #[test]
    fn octets_never_panic(
        octets in proptest::collection::vec(any::<u8>(), 0..300),
        id in "[0-9A-Fa-f]{0,40}",
    ) {
        let mut text = String::new();
        for encoding in ENCODINGS {
            encoding.decode(&octets, &mut text);
        }
        for fill_bits in 0..=255 {
            gsm7::decode_packed(&octets, fill_bits, Padding::Zero, &mut text);
        }
        if let Some((udh, rest)) = Udh::split(&octets) {
            prop_assert_eq!(udh.octets() + rest.len(), octets.len());
            let _ = (udh.part(), udh.ports(), udh.single_shift_language(), udh.elements().count());
        }
        let tlvs = Tlvs::new(&octets);
        let _ = Part::find(true, &octets, &tlvs);
        let _ = receipt::parse_date(&octets);
        for esm_class in 0..=255 {
            let _ = receipt::receipt_in(EsmClass(esm_class), &octets, &tlvs).map(|view| view.error());
        }
        receipt::rewrite_tlvs(&tlvs, true, b"NEW", &mut BytesMut::new());
        for rule in RULES {
            let mut out = [0; ID_LENGTH_MAX];
            let _ = rule.receipt_key(&octets, &mut out);
            prop_assert!(rule.response_key(id.as_bytes(), &mut out).is_some());
            prop_assert!(rule.receipt_key(id.as_bytes(), &mut out).is_some());
        }
        let _ = GatewayId::parse(&octets);
    }

    #[test]
    fn parts_make_the_whole_again(
        text in prop_oneof![gsm_text(900), ".{0,300}", "[😀я]{0,300}"],
        reference in any::<u16>(),
    ) {
        for (encoding, marking) in ENCODINGS.into_iter().flat_map(|e| MARKINGS.map(|m| (e, m))) {
            let Ok(parts) = segment::split(&text, encoding, marking) else { continue };
            let total = parts.len();
            let mut whole = String::new();
            let mut set = PartSet::new(total as u8);
            for part in parts {
                prop_assert!(part.text.is_empty() == text.is_empty());
                let mut payload = BytesMut::new();
                let mut tlvs = BytesMut::new();
                part.write_payload(reference, &mut payload);
                part.write_tlvs(reference, &mut tlvs);
                if encoding != Encoding::Gsm7 {
                    prop_assert!(payload.len() <= segment::MESSAGE_OCTETS_MAX);
                }
                let found = Part::find(part.has_udh(), &payload, &Tlvs::new(&tlvs));
                prop_assert_eq!(found.is_some(), total > 1);
                let low = if marking == Marking::Udh8 { reference & 0xFF } else { reference };
                let found = found.unwrap_or(Part { marking, reference: low, total: 1, number: 1 });
                let expected = Part { marking, reference: low, total: total as u8, number: part.number };
                prop_assert_eq!(found, expected);
                prop_assert!(!set.is_complete());
                prop_assert!(set.insert(found.number));
                let header = if part.has_udh() { Udh::split(&payload).unwrap().0.octets() } else { 0 };
                if encoding == Encoding::Gsm7Packed {
                    let fill_bits = (7 - (8 * header) % 7) % 7;
                    let octets = &payload[header..];
                    gsm7::decode_packed(octets, fill_bits as u8, Padding::CarriageReturn, &mut whole);
                } else {
                    encoding.decode(&payload[header..], &mut whole);
                }
            }
            prop_assert!(set.is_complete());
            prop_assert_eq!(&whole, &text);
        }
    }

    #[test]
    fn a_receipt_survives_and_content_never_overrides(
        [id, sub, dlvrd, submit_date, done_date, stat, err] in seven_field_values(),
        content in "(id:[0-9]{1,5} |stat:(DELIVRD|EXPIRED) |err:1 |text:|[ -~]){0,12}",
        new in "[0-9A-F]{16}",
    ) {
        let receipt = Receipt {
            id: id.as_bytes(),
            sub: sub.as_bytes(),
            dlvrd: dlvrd.as_bytes(),
            submit_date: submit_date.as_bytes(),
            done_date: done_date.as_bytes(),
            stat: stat.as_bytes(),
            state: receipt::state_of_word(stat.as_bytes()),
            err: err.as_bytes(),
            text: content.as_bytes(),
        };
        let mut out = BytesMut::new();
        receipt.write(&mut out);
        prop_assert_eq!(Receipt::parse(&out), Some(receipt));
        let mut rewritten = BytesMut::new();
        prop_assert!(receipt::rewrite(&out, new.as_bytes(), &mut rewritten));
        prop_assert_eq!(Receipt::parse(&rewritten), Some(Receipt { id: new.as_bytes(), ..receipt }));
        let mut back = BytesMut::new();
        prop_assert!(receipt::rewrite(&rewritten, id.as_bytes(), &mut back));
        prop_assert_eq!(back, out);
    }

    #[test]
    fn rewriting_changes_nothing_but_the_id(
        text in "((id|ID|sub|stat|done date|text|x):| |[a-z0-9]{1,4}|\\x00|\\n){0,20}",
    ) {
        let mut rewritten = BytesMut::new();
        let has_id = receipt::rewrite(text.as_bytes(), b"NEW", &mut rewritten);
        prop_assert!(has_id || rewritten == text.as_bytes());
        if let Some(found) = Receipt::parse(&rewritten).filter(|_| has_id) {
            prop_assert_eq!(found.id, b"NEW");
            let original = Receipt::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(Receipt { id: original.id, ..found }, original);
        }
    }

    #[test]
    fn ids_never_repeat(
        times in proptest::collection::vec(1_735_689_600u64..1_735_689_610, 1..200),
        shard in 0u8..64,
    ) {
        let mut source = GatewayIdSource::new(9, shard);
        let mut last = None;
        for time in times {
            let id = source.next(time);
            prop_assert!(Some(id) > last);
            prop_assert_eq!(GatewayId::parse(&id.text()), Some(id));
            prop_assert_eq!((id.node(), id.shard()), (9, shard));
            last = Some(id);
        }
    }

    #[test]
    fn numbers_meet_in_both_bases(number in any::<u64>(), zeros in 0usize..5) {
        let decimal = format!("{}{number}", "0".repeat(zeros));
        let hex = format!("{}{number:x}", "0".repeat(zeros));
        for (rule, response, receipt) in
            [(IdRule::HexToDecimal, &hex, &decimal), (IdRule::DecimalToHex, &decimal, &hex)]
        {
            let (mut one, mut other) = ([0; ID_LENGTH_MAX], [0; ID_LENGTH_MAX]);
            prop_assert_eq!(
                rule.response_key(response.as_bytes(), &mut one),
                rule.receipt_key(receipt.as_bytes(), &mut other)
            );
        }
    }
}

#[test]
fn states_have_their_words() {
    for state in MessageState::ALL {
        assert_eq!(receipt::state_of_word(state.stat().as_bytes()), Some(state));
        assert_eq!(receipt::state_of_word(state.stat().to_lowercase().as_bytes()), Some(state));
    }
    assert_eq!(receipt::state_of_word(b"Delivered"), Some(MessageState::Delivered));
    assert_eq!(receipt::state_of_word(b""), None);
}

// ---- reading vectors

fn rows(file: &str) -> Vec<Vec<&str>> {
    let lines = file.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split('|').map(str::trim).collect()).collect()
}

fn encoding_of(name: &str) -> Encoding {
    match name {
        "gsm7" => Encoding::Gsm7,
        "gsm7_packed" => Encoding::Gsm7Packed,
        "latin1" => Encoding::Latin1,
        "ucs2" => Encoding::Ucs2,
        other => panic!("no encoding {other}"),
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|octet| *octet != b' ').collect();
    assert!(digits.len().is_multiple_of(2), "{text}");
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        if octet != b'\\' {
            out.push(octet);
            continue;
        }
        match octets.next().expect("an escape") {
            b'r' => out.push(b'\r'),
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'f' => out.push(0x0C),
            b'p' => out.push(b'|'),
            b'\\' => out.push(b'\\'),
            b'x' => {
                let digits = [octets.next().unwrap(), octets.next().unwrap()];
                out.extend(hex(std::str::from_utf8(&digits).unwrap()));
            }
            other => panic!("no escape {}", char::from(other)),
        }
    }
    out
}

fn escape(octets: &[u8]) -> String {
    let visible = |octet: &u8| match octet {
        b' '..=b'~' => char::from(*octet).to_string(),
        _ => format!("\\x{octet:02x}"),
    };
    octets.iter().map(visible).collect()
}
