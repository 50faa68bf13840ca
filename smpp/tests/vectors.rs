//! Data-driven vectors of the codec: every PDU, TLV and tolerance, strict and lenient.
//!
//! A vector under `vectors/` is
//!
//! ```text
//! [what it shows]
//! 00000011 80000004 00000000 00000001     octets in hexadecimal, or "text"; spaces mean nothing
//! 00
//! strict => ok submit_sm_resp sequence=1  the dialect (strict, tolerant, or fields joined by commas), the result
//! ```
//!
//! A result names every field that is neither zero nor empty. Text is written as it is where it is plain, else
//! as `x` and hexadecimal. An error is `error problem field @octet STATUS`.

mod describe;

use std::collections::BTreeSet;

use bytes::BytesMut;
use describe::describe;
use smpp::{CommandId, Deframer, Dialect, Frame, Header, Pdu, Tag};

/// One vector.
struct Vector {
    /// File and title, for messages.
    name: String,
    bytes: Vec<u8>,
    /// Dialect and result, as written.
    expected: Vec<(String, String)>,
}

#[test]
fn every_vector_is_read_as_it_says() {
    for vector in vectors() {
        for (dialect, expected) in &vector.expected {
            assert_eq!(
                &decode(&vector.bytes, &dialect_of(dialect)),
                expected,
                "{} in {dialect}",
                vector.name
            );
        }
    }
}

#[test]
fn what_strict_takes_is_written_as_it_was() {
    for vector in vectors() {
        let frame = Frame::whole(&vector.bytes).unwrap();
        let Ok(pdu) = Pdu::decode(frame, &Dialect::strict()) else { continue };
        let mut out = BytesMut::new();
        pdu.encode(frame.command_status(), frame.sequence_number(), &mut out);
        // A refusal is written without a body, or with the one NUL of deliver_sm_resp; peers may do otherwise.
        let bare = !frame.command_status().is_ok() && frame.body().len() < 2;
        assert!(out == vector.bytes || bare, "{}: {out:02X?}", vector.name);
    }
}

#[test]
fn tolerances_do_not_change_what_strict_takes() {
    for vector in vectors() {
        let strict = decode(&vector.bytes, &Dialect::strict());
        if strict.starts_with("ok") {
            assert_eq!(decode(&vector.bytes, &Dialect::tolerant()), strict, "{}", vector.name);
        }
    }
}

#[test]
fn no_truncation_panics() {
    for vector in vectors() {
        for length in 16..vector.bytes.len() {
            let mut bytes = vector.bytes[..length].to_vec();
            bytes[..4].copy_from_slice(&(length as u32).to_be_bytes());
            for dialect in [Dialect::strict(), Dialect::tolerant()] {
                decode(&bytes, &dialect);
            }
        }
    }
}

#[test]
fn no_changed_octet_panics() {
    for vector in vectors().into_iter().filter(|vector| vector.bytes.len() < 300) {
        for at in 4..vector.bytes.len() {
            for value in [0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF] {
                let mut bytes = vector.bytes.clone();
                bytes[at] = value;
                for dialect in [Dialect::strict(), Dialect::tolerant()] {
                    decode(&bytes, &dialect);
                }
            }
        }
    }
}

#[test]
fn all_vectors_come_out_of_one_stream() {
    let vectors = vectors();
    let stream: Vec<u8> = vectors.iter().flat_map(|vector| vector.bytes.clone()).collect();
    for piece in [1, 7, 16, 61, 4096, stream.len()] {
        let mut deframer = Deframer::new(65_536);
        let mut expected = vectors.iter();
        for input in stream.chunks(piece) {
            let mut cursor = 0;
            while let Some(frame) = deframer.next(input, &mut cursor).unwrap() {
                assert_eq!(frame.bytes(), expected.next().unwrap().bytes);
            }
        }
        assert!(expected.next().is_none());
    }
}

#[test]
fn every_command_tag_and_tolerance_has_a_vector() {
    let vectors = vectors();
    for command in CommandId::ALL {
        let name = command.name().unwrap();
        let found = vectors.iter().any(|v| v.expected[0].1.split(' ').nth(1) == Some(name));
        assert!(found, "no vector of {name}");
    }
    for tag in Tag::ALL {
        let named = format!(" tlv.{:04X}=", tag.0);
        let found = vectors.iter().any(|v| v.expected[0].0 == "strict" && v.expected[0].1.contains(&named));
        assert!(found, "no vector of {}", tag.name().unwrap());
    }
    for field in Dialect::NAMES {
        let both_forms = vectors.iter().any(|vector| {
            let strict = vector.expected.iter().find(|(dialect, _)| dialect == "strict");
            let lenient = vector.expected.iter().find(|(dialect, _)| dialect == field);
            matches!((strict, lenient), (Some(strict), Some(lenient)) if strict.1 != lenient.1)
        });
        assert!(both_forms, "no vector of {field} in strict and lenient form");
    }
}

#[test]
fn titles_are_unique() {
    let vectors = vectors();
    let names: BTreeSet<_> = vectors.iter().map(|vector| &vector.name).collect();
    assert_eq!(names.len(), vectors.len());
}

/// The API under test, called here only.
fn decode(bytes: &[u8], dialect: &Dialect) -> String {
    let frame = Frame::whole(bytes).expect("a vector is one whole PDU");
    match Pdu::decode(frame, dialect) {
        Ok(pdu) => describe(frame.header(), &pdu),
        Err(error) => {
            let field = error.field.name().replace(' ', "_");
            format!("error {} {field} @{} {}", error.problem.label(), error.offset, error.status())
        }
    }
}

fn vectors() -> Vec<Vector> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let vectors: Vec<Vector> = paths
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .flat_map(|path| {
            parse(&path.file_name().unwrap().to_string_lossy(), &std::fs::read_to_string(path).unwrap())
        })
        .collect();
    assert!(!vectors.is_empty(), "no vectors in {folder}");
    vectors
}

fn parse(file: &str, text: &str) -> Vec<Vector> {
    let mut vectors: Vec<Vector> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(title) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            vectors.push(Vector {
                name: format!("{file}: {title}"),
                bytes: Vec::new(),
                expected: Vec::new(),
            });
            continue;
        }
        let vector = vectors.last_mut().unwrap_or_else(|| panic!("{file}: {line} before a title"));
        match line.split_once(" => ") {
            Some((dialect, result)) => vector.expected.push((dialect.into(), result.into())),
            None => octets(line, &mut vector.bytes),
        }
    }
    for vector in &vectors {
        assert!(!vector.expected.is_empty(), "{}: no expectation", vector.name);
        let header = Header::from_bytes(vector.bytes.first_chunk().unwrap());
        assert_eq!(header.command_length as usize, vector.bytes.len(), "{}: command_length", vector.name);
    }
    vectors
}

/// Reads a line of octets: every second piece between quotation marks is text.
fn octets(line: &str, bytes: &mut Vec<u8>) {
    for (index, piece) in line.split('"').enumerate() {
        if index % 2 == 1 {
            bytes.extend_from_slice(piece.as_bytes());
            continue;
        }
        let digits: Vec<u8> = piece.bytes().filter(|octet| *octet != b' ').collect();
        for pair in digits.chunks(2) {
            let pair = std::str::from_utf8(pair).unwrap();
            bytes.push(u8::from_str_radix(pair, 16).unwrap_or_else(|_| panic!("{pair:?} in {line:?}")));
        }
    }
}

fn dialect_of(names: &str) -> Dialect {
    match names {
        "strict" => Dialect::strict(),
        "tolerant" => Dialect::tolerant(),
        names => {
            let mut dialect = Dialect::strict();
            for name in names.split(',') {
                *dialect.field_mut(name).unwrap_or_else(|| panic!("no field {name} in Dialect")) = true;
            }
            dialect
        }
    }
}
