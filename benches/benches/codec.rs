//! What the codec costs per PDU: decode, encode, deframe, and the copy of a forwarded PDU.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use smpp::{
    Address, CommandStatus, DataCoding, Deframer, DeliverSm, Dialect, EsmClass, Frame, Npi, Pdu,
    RegisteredDelivery, SubmitSm, SubmitSmResp, Tag, Tlvs, Ton, write_tlv,
};

/// What one read of a busy connection brings, octets.
const READ_SIZE: usize = 64 * 1024;

criterion_group!(benches, decode, encode, deframe, copy);
criterion_main!(benches);

fn submit_sm() -> SubmitSm<'static> {
    SubmitSm {
        source: Address { ton: Ton::ALPHANUMERIC, npi: Npi::UNKNOWN, digits: b"ACME" },
        destination: Address::international(b"12025550100"),
        registered_delivery: RegisteredDelivery::RECEIPT,
        data_coding: DataCoding::DEFAULT,
        short_message:
            b"Your code is 123456. It is valid for ten minutes. Do not share it with anybody, nor with us.",
        ..SubmitSm::default()
    }
}

fn receipt(tlvs: &[u8]) -> DeliverSm<'_> {
    DeliverSm {
        source: Address::international(b"12025550100"),
        destination: Address { ton: Ton::ALPHANUMERIC, npi: Npi::UNKNOWN, digits: b"ACME" },
        esm_class: EsmClass::RECEIPT,
        short_message: b"id:0123456789abcdef sub:001 dlvrd:001 submit date:2601011200 done date:2601011201 \
            stat:DELIVRD err:000 text:Your code is 123456",
        tlvs: Tlvs::new(tlvs),
        ..DeliverSm::default()
    }
}

fn receipt_tlvs() -> BytesMut {
    let mut tlvs = BytesMut::new();
    write_tlv(&mut tlvs, Tag::RECEIPTED_MESSAGE_ID, b"0123456789abcdef\0");
    write_tlv(&mut tlvs, Tag::MESSAGE_STATE, &[2]);
    write_tlv(&mut tlvs, Tag::NETWORK_ERROR_CODE, &[3, 0, 0]);
    tlvs
}

fn encoded(pdu: Pdu<'_>) -> BytesMut {
    let mut out = BytesMut::new();
    pdu.encode(CommandStatus::ESME_ROK, 1, &mut out);
    out
}

fn decode(criterion: &mut Criterion) {
    let tlvs = receipt_tlvs();
    let cases = [
        ("submit_sm", encoded(submit_sm().into())),
        (
            "submit_sm_resp",
            encoded(SubmitSmResp { message_id: b"0123456789abcdef", tlvs: Tlvs::default() }.into()),
        ),
        ("deliver_sm, receipt with 3 TLVs", encoded(receipt(&tlvs).into())),
        ("enquire_link", encoded(Pdu::EnquireLink)),
    ];
    let mut group = criterion.benchmark_group("decode");
    for (name, bytes) in &cases {
        for (form, dialect) in [("strict", Dialect::strict()), ("tolerant", Dialect::tolerant())] {
            group.bench_function(format!("{name}, {form}"), |bencher| {
                bencher.iter(|| {
                    Pdu::decode(Frame::whole(black_box(bytes)).unwrap(), black_box(&dialect)).unwrap()
                });
            });
        }
    }
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let tlvs = receipt_tlvs();
    let mut group = criterion.benchmark_group("encode");
    let mut case = |name: &str, pdu: Pdu<'_>| {
        let mut out = BytesMut::with_capacity(READ_SIZE);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                black_box(&pdu).encode(CommandStatus::ESME_ROK, black_box(7), &mut out);
                out.len()
            });
        });
    };
    case("submit_sm", submit_sm().into());
    case("submit_sm_resp", SubmitSmResp { message_id: b"0123456789abcdef", tlvs: Tlvs::default() }.into());
    case("deliver_sm, receipt with 3 TLVs", receipt(&tlvs).into());
    case("enquire_link", Pdu::EnquireLink);
    group.finish();
}

/// Whole reads: all PDUs in place but one, which lies across each boundary.
fn deframe(criterion: &mut Criterion) {
    let pdu = encoded(submit_sm().into());
    let stream: Vec<u8> = pdu.iter().copied().cycle().take(READ_SIZE).collect();
    let mut group = criterion.benchmark_group("deframe");
    group.throughput(Throughput::Elements((READ_SIZE / pdu.len()) as u64));
    group.bench_function("64 KiB of submit_sm", |bencher| {
        bencher.iter(|| {
            let mut deframer = Deframer::new(READ_SIZE as u32);
            let mut cursor = 0;
            let mut sum = 0u64;
            while let Some(frame) = deframer.next(black_box(&stream), &mut cursor).unwrap() {
                sum += u64::from(frame.sequence_number());
            }
            sum
        });
    });
    group.bench_function("64 KiB of submit_sm, decoded", |bencher| {
        let dialect = Dialect::tolerant();
        bencher.iter(|| {
            let mut deframer = Deframer::new(READ_SIZE as u32);
            let mut cursor = 0;
            let mut octets = 0;
            while let Some(frame) = deframer.next(black_box(&stream), &mut cursor).unwrap() {
                if let Ok(Pdu::SubmitSm(submit)) = Pdu::decode(frame, &dialect) {
                    octets += submit.payload().len();
                }
            }
            octets
        });
    });
    group.finish();
}

fn copy(criterion: &mut Criterion) {
    let pdu = encoded(submit_sm().into());
    let mut out = BytesMut::with_capacity(READ_SIZE);
    criterion.bench_function("copy of submit_sm with its number patched", |bencher| {
        bencher.iter(|| {
            out.clear();
            Frame::whole(black_box(&pdu)).unwrap().copy_to(black_box(9), &mut out);
            out.len()
        });
    });
}
