//! Properties of the codec over generated input: what is written is read back, and no octets panic.

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;
use smpp::field::time::{AbsoluteTime, RelativeTime, Time};
use smpp::{
    Address, Bind, BindKind, BindResp, CommandId, CommandStatus, DataCoding, DataSm, Deframer, DeliverSm,
    Dialect, EsmClass, Frame, Npi, Pdu, QuerySmResp, RegisteredDelivery, SubmitSm, SubmitSmResp, Tag, Tlvs,
    Ton, Verdict, write_tlv,
};

/// A C-octet string of up to `length_max` octets.
fn text(length_max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(1..=255u8, 0..=length_max)
}

fn tlvs() -> impl Strategy<Value = Vec<u8>> {
    // Tags without a row, so that any value is legal, and one number of the table.
    vec((0x1400..0x3FFFu16, vec(any::<u8>(), 0..40)), 0..4).prop_map(|tlvs| {
        let mut out = BytesMut::new();
        write_tlv(&mut out, Tag::USER_MESSAGE_REFERENCE, &[1, 2]);
        for (tag, value) in tlvs {
            write_tlv(&mut out, Tag(tag), &value);
        }
        out.to_vec()
    })
}

/// What a message PDU is made of.
#[derive(Debug, Clone)]
struct Parts {
    texts: [Vec<u8>; 5],
    message: Vec<u8>,
    tlvs: Vec<u8>,
    octets: [u8; 12],
}

fn parts() -> impl Strategy<Value = Parts> {
    let texts = (text(5), text(20), text(20), text(16), text(16));
    (texts, vec(any::<u8>(), 0..=254), tlvs(), any::<[u8; 12]>()).prop_map(
        |(texts, message, tlvs, octets)| Parts {
            texts: [texts.0, texts.1, texts.2, texts.3, texts.4],
            message,
            tlvs,
            octets,
        },
    )
}

fn submit_sm(parts: &Parts) -> SubmitSm<'_> {
    let octets = parts.octets;
    SubmitSm {
        service_type: &parts.texts[0],
        source: Address { ton: Ton(octets[0]), npi: Npi(octets[1]), digits: &parts.texts[1] },
        destination: Address { ton: Ton(octets[2]), npi: Npi(octets[3]), digits: &parts.texts[2] },
        esm_class: EsmClass(octets[4]),
        protocol_id: octets[5],
        priority_flag: octets[6],
        schedule_delivery_time: &parts.texts[3],
        validity_period: &parts.texts[4],
        registered_delivery: RegisteredDelivery(octets[7]),
        replace_if_present_flag: octets[8],
        data_coding: DataCoding(octets[9]),
        sm_default_msg_id: octets[10],
        short_message: &parts.message,
        tlvs: Tlvs::new(&parts.tlvs),
    }
}

fn deliver_sm<'a>(submit: &SubmitSm<'a>) -> DeliverSm<'a> {
    DeliverSm {
        source: submit.source,
        destination: submit.destination,
        esm_class: submit.esm_class,
        schedule_delivery_time: submit.schedule_delivery_time,
        validity_period: submit.validity_period,
        short_message: submit.short_message,
        tlvs: submit.tlvs,
        ..DeliverSm::default()
    }
}

fn data_sm<'a>(submit: &SubmitSm<'a>) -> DataSm<'a> {
    DataSm {
        service_type: submit.service_type,
        source: submit.source,
        destination: submit.destination,
        esm_class: submit.esm_class,
        registered_delivery: submit.registered_delivery,
        data_coding: submit.data_coding,
        tlvs: submit.tlvs,
    }
}

/// Writes and reads a PDU.
fn check_round_trip(pdu: Pdu<'_>, status: CommandStatus, sequence_number: u32) {
    let mut out = BytesMut::from(&b"before"[..]);
    pdu.encode(status, sequence_number, &mut out);
    let frame = Frame::whole(&out[6..]).expect("one whole PDU");
    assert_eq!(frame.command_id(), pdu.command_id());
    assert_eq!((frame.command_status(), frame.sequence_number()), (status, sequence_number));
    assert_eq!(Pdu::decode(frame, &Dialect::strict()), Ok(pdu));
}

proptest! {
    #[test]
    fn messages_are_read_as_written(parts in parts(), sequence_number: u32) {
        let submit = submit_sm(&parts);
        check_round_trip(Pdu::SubmitSm(submit), CommandStatus::ESME_ROK, sequence_number);
        let (deliver, data) = (deliver_sm(&submit), data_sm(&submit));
        check_round_trip(Pdu::DeliverSm(deliver), CommandStatus::ESME_ROK, sequence_number);
        check_round_trip(Pdu::DataSm(data), CommandStatus::ESME_ROK, sequence_number);
    }

    #[test]
    fn binds_and_responses_are_read_as_written(
        system_id in text(15), password in text(8), id in text(64), status: u32, octets: [u8; 3],
    ) {
        let bind = Bind {
            system_id: &system_id,
            password: &password,
            interface_version: octets[0],
            addr_ton: Ton(octets[1]),
            addr_npi: Npi(octets[2]),
            ..Bind::default()
        };
        check_round_trip(Pdu::BindTransceiver(bind), CommandStatus::ESME_ROK, 1);
        let status = CommandStatus(status);
        check_round_trip(Pdu::BindReceiverResp(BindResp { system_id: &system_id, tlvs: Tlvs::default() }), status, 2);
        check_round_trip(Pdu::SubmitSmResp(SubmitSmResp { message_id: &id, tlvs: Tlvs::default() }), status, 3);
        let query = QuerySmResp { message_id: &id, final_date: b"", message_state: octets[0], error_code: octets[1] };
        check_round_trip(Pdu::QuerySmResp(query), status, 4);

        let mut out = BytesMut::new();
        bind.encode(BindKind::Transceiver, 9, &mut out);
        prop_assert_eq!(Frame::whole(&out).unwrap().command_id(), CommandId::BIND_TRANSCEIVER);
    }

    #[test]
    fn no_body_panics(body in vec(any::<u8>(), 0..400), status: u32) {
        for command_id in CommandId::ALL {
            let bytes = pdu_of(*command_id, status, &body);
            let frame = Frame::whole(&bytes).unwrap();
            for dialect in [Dialect::strict(), Dialect::tolerant()] {
                check_written_again(frame, &dialect);
            }
        }
    }

    #[test]
    fn damaged_messages_do_not_panic(parts in parts(), at: prop::sample::Index, value: u8, flags: u16) {
        let mut out = BytesMut::new();
        submit_sm(&parts).encode(CommandStatus::ESME_ROK, 1, &mut out);
        let body = at.index(out.len() - 16) + 16;
        out[body] = value;
        let mut dialect = Dialect::strict();
        for (bit, name) in Dialect::NAMES.iter().enumerate() {
            *dialect.field_mut(name).unwrap() = flags >> (bit % 16) & 1 == 1;
        }
        check_written_again(Frame::whole(&out).unwrap(), &dialect);
    }

    #[test]
    fn what_goes_on_is_strict_whatever_came(body in vec(any::<u8>(), 0..200), status: u32) {
        for command in MESSAGES {
            check_goes_on(&pdu_of(command, status % 2, &body));
        }
    }

    #[test]
    fn damaged_messages_go_on_strict(
        parts in parts(), at: prop::sample::Index, value: u8, more in vec(any::<u8>(), 0..12), cut in 0..12usize,
        times in (time_text(), time_text()), command in 0..MESSAGES.len(),
    ) {
        let parts = Parts { texts: with_times(parts.texts.clone(), times), ..parts };
        let mut out = BytesMut::new();
        match MESSAGES[command] {
            CommandId::SUBMIT_SM => submit_sm(&parts).encode(CommandStatus::ESME_ROK, 1, &mut out),
            CommandId::DELIVER_SM => deliver_sm(&submit_sm(&parts)).encode(CommandStatus::ESME_ROK, 1, &mut out),
            _ => data_sm(&submit_sm(&parts)).encode(CommandStatus::ESME_ROK, 1, &mut out),
        }
        check_goes_on(&out);
        // One octet changed, octets taken away, octets added.
        let mut body = out[16..].to_vec();
        let place = at.index(body.len());
        body[place] = value;
        check_goes_on(&pdu_of(MESSAGES[command], 0, &body));
        body.truncate(body.len().saturating_sub(cut));
        check_goes_on(&pdu_of(MESSAGES[command], 0, &body));
        body.extend_from_slice(&more);
        check_goes_on(&pdu_of(MESSAGES[command], 0, &body));
    }

    #[test]
    fn a_stream_gives_the_same_pdus_however_it_is_split(
        lengths in vec(0..200usize, 1..12), cuts in vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let pdus: Vec<Vec<u8>> = lengths.iter().map(|length| pdu_of(CommandId(4), 0, &vec![7; *length])).collect();
        let stream = pdus.concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let mut deframer = Deframer::new(1000);
        let mut found = Vec::new();
        for pair in cuts.windows(2) {
            let (input, mut cursor) = (&stream[pair[0]..pair[1]], 0);
            while let Some(frame) = deframer.next(input, &mut cursor).unwrap() {
                found.push(frame.bytes().to_vec());
            }
        }
        prop_assert_eq!(found, pdus);
        prop_assert_eq!(deframer.kept(), 0);
    }

    #[test]
    fn any_stream_ends_in_pdus_or_an_error(stream in vec(any::<u8>(), 0..200), size_max in 0..100u32) {
        let mut deframer = Deframer::new(size_max);
        let mut cursor = 0;
        while let Ok(Some(frame)) = deframer.next(&stream, &mut cursor) {
            prop_assert!(frame.bytes().len() <= size_max.max(16) as usize);
        }
        prop_assert!(deframer.kept() <= stream.len());
    }

    #[test]
    fn times_are_read_as_written(text in "[0-9]{15}[R+-]", seconds in 946_684_800..4_102_444_800i64) {
        if let Some(time) = Time::parse(text.as_bytes()) {
            let written = time.write();
            prop_assert_eq!(Time::parse(&written), Some(time));
            match time {
                // Only the sign of a zero difference to UTC is lost.
                Time::Absolute(_) => prop_assert!(written == text.as_bytes() || text.ends_with("00-")),
                // Tenths and the difference to UTC mean nothing in a span (3.4, 7.1.1.1).
                Time::Relative(_) => prop_assert_eq!(&written[..12], &text.as_bytes()[..12]),
            }
        }
        let time = AbsoluteTime::from_unix_seconds(seconds).unwrap();
        prop_assert_eq!(time.unix_seconds(), seconds);
        let span = RelativeTime::from_duration(std::time::Duration::from_secs(seconds as u64 % 3_000_000_000));
        prop_assert_eq!(Time::parse(&Time::Relative(span).write()), Some(Time::Relative(span)));
    }
}

/// What was read can be written, and is then one whole PDU that the same dialect reads.
fn check_written_again(frame: Frame<'_>, dialect: &Dialect) {
    let Ok(pdu) = Pdu::decode(frame, dialect) else { return };
    let mut out = BytesMut::new();
    pdu.encode(frame.command_status(), 1, &mut out);
    let again = Frame::whole(&out).expect("one whole PDU");
    let read = Pdu::decode(again, dialect);
    assert!(read.is_ok(), "{pdu:?} was written as {read:?}");
    if *dialect == Dialect::strict() {
        assert_eq!(read, Ok(pdu));
    }
}

/// The PDUs that carry messages.
const MESSAGES: [CommandId; 3] = [CommandId::SUBMIT_SM, CommandId::DELIVER_SM, CommandId::DATA_SM];

/// Times in every state: none, plain, with digits that mean nothing, garbage.
fn time_text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        "26(0[1-9]|1[0-2])(0[1-9]|1[0-9]|2[0-8])(0[0-9]|1[0-9])[0-5][0-9][0-5][0-9][0-9](0[0-9]|4[0-8])[+-]"
            .prop_map(String::into_bytes),
        "0[0-9](0[0-9]|1[0-2])[0-2][0-9](0[0-9]|1[0-9])[0-5][0-9][0-5][0-9][0-9]{3}R"
            .prop_map(String::into_bytes),
        text(16),
    ]
}

fn with_times(mut texts: [Vec<u8>; 5], times: (Vec<u8>, Vec<u8>)) -> [Vec<u8>; 5] {
    (texts[3], texts[4]) = times;
    texts
}

fn verdict(frame: Frame<'_>, pdu: &Pdu<'_>) -> Verdict {
    match pdu {
        Pdu::SubmitSm(view) => view.verdict(frame),
        Pdu::DeliverSm(view) => view.verdict(frame),
        Pdu::DataSm(view) => view.verdict(frame),
        other => panic!("{other:?} carries no message"),
    }
}

fn write_strict(pdu: &Pdu<'_>, out: &mut BytesMut) {
    match pdu {
        Pdu::SubmitSm(view) => view.write_strict(1, out),
        Pdu::DeliverSm(view) => view.write_strict(1, out),
        Pdu::DataSm(view) => view.write_strict(1, out),
        other => panic!("{other:?} carries no message"),
    }
}

/// By a decoder of its own: lengths, endings and TLVs by the strict dialect, times by the standard's words.
fn is_strict(bytes: &[u8]) -> bool {
    let frame = Frame::whole(bytes).expect("one PDU");
    let time_fits = |time: &[u8]| {
        time.is_empty() || Time::parse(time).is_some_and(|read| read.write()[..15] == time[..15])
    };
    let times_fit = match Pdu::decode(frame, &Dialect::strict()) {
        Ok(Pdu::SubmitSm(view)) => time_fits(view.schedule_delivery_time) && time_fits(view.validity_period),
        Ok(Pdu::DeliverSm(view)) => view.schedule_delivery_time.is_empty() && view.validity_period.is_empty(),
        Ok(_) => true,
        Err(_) => false,
    };
    times_fit && frame.command_status().is_ok()
}

/// What a tolerant reader takes goes on strict or not at all, and what is strict goes on as it is.
fn check_goes_on(bytes: &[u8]) {
    let frame = Frame::whole(bytes).expect("one PDU");
    let Ok(pdu) = Pdu::decode(frame, &Dialect::tolerant()) else {
        assert!(!is_strict(bytes));
        return;
    };
    let verdict_now = verdict(frame, &pdu);
    assert_eq!(verdict_now == Verdict::Strict, is_strict(bytes), "{pdu:?}");
    if let Verdict::Refused(_) = verdict_now {
        return;
    }
    let mut out = BytesMut::new();
    write_strict(&pdu, &mut out);
    assert!(is_strict(&out), "{pdu:?} became {out:02X?}");
    if verdict_now == Verdict::Strict {
        let with_number = [&out[..12], &bytes[12..16], &out[16..]].concat();
        assert_eq!(with_number, bytes, "{pdu:?}");
    }
    let frame = Frame::whole(&out).expect("one PDU");
    let again = Pdu::decode(frame, &Dialect::tolerant()).expect("strict");
    assert_eq!(verdict(frame, &again), Verdict::Strict);
    let mut twice = BytesMut::new();
    write_strict(&again, &mut twice);
    assert_eq!(twice, out, "{pdu:?}");
}

fn pdu_of(command_id: CommandId, status: u32, body: &[u8]) -> Vec<u8> {
    let length = 16 + body.len() as u32;
    let words = [length, command_id.0, status, 1];
    words.iter().flat_map(|word| word.to_be_bytes()).chain(body.iter().copied()).collect()
}
