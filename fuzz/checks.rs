//! What each fuzz target checks. Here and not in the targets, so that a test on the stable compiler replays the
//! committed corpora through the same code (`smpp/tests/fuzz_corpus.rs`).

use std::time::Duration;

use bytes::BytesMut;
use smpp::session::{Event, Session, SessionConfig};
use smpp::text::receipt::{receipt_of, unmarked_receipt_of};
use smpp::{
    Address, BindKind, CommandStatus, Deframer, DeliverSm, Dialect, EsmClass, Frame, FrameError, Instant,
    Pdu, SubmitSm, SubmitSmResp, Tlvs,
};

/// The largest PDU the stream targets take, octets: small, so that the limit itself is reached.
const PDU_SIZE_MAX: u32 = 300;

/// One PDU: no octets panic, and what was read can be written and read again.
pub(crate) fn decode(data: &[u8]) {
    let mut bytes = data.to_vec();
    let length = bytes.len() as u32;
    let Some(head) = bytes.first_chunk_mut::<4>() else { return };
    *head = length.to_be_bytes();
    let Some(frame) = Frame::whole(&bytes) else { return };
    for dialect in [Dialect::strict(), Dialect::tolerant()] {
        let pdu = match Pdu::decode(frame, &dialect) {
            Ok(pdu) => pdu,
            Err(error) => {
                assert!(!error.status().is_ok());
                assert!(error.offset <= length, "{error}");
                continue;
            }
        };
        let mut out = BytesMut::new();
        pdu.encode(frame.command_status(), frame.sequence_number(), &mut out);
        let again = Frame::whole(&out).expect("one whole PDU is written");
        let read = Pdu::decode(again, &dialect);
        assert!(read.is_ok(), "{pdu:?} is read again as {read:?}");
        assert!(dialect != Dialect::strict() || read == Ok(pdu));
    }
}

/// A stream: the first octet says how it is split, and every split gives the same PDUs and the same end.
pub(crate) fn deframe(data: &[u8]) {
    let Some((piece, stream)) = data.split_first() else { return };
    let whole = frames(stream, stream.len().max(1));
    for piece in [1, 3, usize::from(*piece).max(1)] {
        assert_eq!(frames(stream, piece), whole);
    }
    if let Some((first, second)) = stream.split_at_checked(usize::from(*piece)) {
        let mut deframer = Deframer::new(PDU_SIZE_MAX);
        let mut found = Vec::new();
        let end =
            take(&mut deframer, first, &mut found).and_then(|()| take(&mut deframer, second, &mut found));
        assert_eq!((found, end), whole);
    }
}

/// A receipt: any text is read without a panic, with and without TLVs; the first octet says how long the text is.
pub(crate) fn receipt(data: &[u8]) {
    let Some((length, rest)) = data.split_first() else { return };
    let (text, tlvs) = rest.split_at(usize::from(*length).min(rest.len()));
    for esm_class in [EsmClass(0), EsmClass::RECEIPT, EsmClass::INTERMEDIATE_NOTIFICATION, EsmClass(0x44)] {
        let pdu = DeliverSm { esm_class, short_message: text, tlvs: Tlvs::new(tlvs), ..DeliverSm::default() };
        let views = [receipt_of(&pdu), unmarked_receipt_of(&pdu)];
        for view in views.into_iter().flatten() {
            let _ = (view.error(), view.id_in_text(), view.ids_differ());
        }
    }
}

/// A session in either role: octets are operations; none panics and none answers what it should not.
pub(crate) fn session(data: &[u8]) {
    let Some((role, mut rest)) = data.split_first() else { return };
    let config =
        if role % 2 == 0 { SessionConfig::customer_side(4, 4) } else { SessionConfig::vendor_side(4) };
    let mut now = Instant::from_nanos(0);
    let mut session: Session<u32> = Session::new(config, now);
    let (mut last_sequence, mut sent, mut ended) = (1u32, 0u32, 0u32);
    while let Some(([operation, argument], after)) = rest.split_first_chunk::<2>() {
        rest = after;
        match operation % 11 {
            0 => {
                let (bytes, after) = rest.split_at(usize::from(*argument).min(rest.len()));
                rest = after;
                if let Some(frame) = Frame::whole(bytes) {
                    last_sequence = frame.sequence_number();
                    ended += u32::from(matches!(session.handle_frame(now, frame), Event::Response { .. }));
                }
            }
            1 => now = now + Duration::from_millis(u64::from(*argument) * 1000),
            2 => sent += u32::from(session.request(now, &submit_sm().into(), sent).is_ok()),
            3 => {
                let resp = SubmitSmResp { message_id: b"1", tlvs: Tlvs::default() };
                let _ = session.respond(last_sequence, CommandStatus::ESME_ROK, &resp.into());
            }
            4 => session.unbind(now),
            5 => {
                let waiting = session.outbox_len();
                session.outbox().advance(waiting.min(usize::from(*argument)));
            }
            6 => {
                let _ = session.accept_bind(last_sequence, b"smsc");
            }
            7 => {
                let kind = [BindKind::Transmitter, BindKind::Receiver, BindKind::Transceiver]
                    [usize::from(argument % 3)];
                let _ = session.bind(now, kind, &smpp::Bind { system_id: b"gw", ..smpp::Bind::default() });
            }
            8 => session.end(now),
            9 => ended += session.take_back().len() as u32,
            _ => {
                session.handle_timeout(now);
                while session.expired(now).is_some() {
                    ended += 1;
                }
            }
        }
    }
    // Each request ends in exactly one way: answered, expired, or given back.
    assert_eq!(ended as usize + session.abandon().len(), sent as usize);
}

fn submit_sm() -> SubmitSm<'static> {
    SubmitSm {
        destination: Address::international(b"12025550100"),
        short_message: b"hi",
        ..SubmitSm::default()
    }
}

type Frames = (Vec<Vec<u8>>, Result<(), FrameError>);

fn frames(stream: &[u8], piece: usize) -> Frames {
    let mut deframer = Deframer::new(PDU_SIZE_MAX);
    let mut found = Vec::new();
    for input in stream.chunks(piece) {
        if let Err(error) = take(&mut deframer, input, &mut found) {
            return (found, Err(error));
        }
    }
    (found, Ok(()))
}

fn take(deframer: &mut Deframer, input: &[u8], found: &mut Vec<Vec<u8>>) -> Result<(), FrameError> {
    let mut cursor = 0;
    while let Some(frame) = deframer.next(input, &mut cursor)? {
        assert!(frame.bytes().len() <= PDU_SIZE_MAX as usize);
        found.push(frame.bytes().to_vec());
    }
    assert_eq!(cursor, input.len());
    assert!(deframer.kept() < PDU_SIZE_MAX as usize);
    Ok(())
}
