//! Two sessions in memory on a virtual clock: binds, windows, timers, the orderly end.

use smpp::field::{Address, CommandId, CommandStatus};
use smpp::pdu::{Bind, BindKind, Pdu, SubmitSm, SubmitSmResp};
use smpp::session::{DeadlineReason, Event, SendError, Session, SessionConfig, State, Timers};
use smpp::time::Instant;
use smpp::tlv::Tlvs;
use smpp::wire::Deframer;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// What a side saw, in words that can be compared.
#[derive(Debug, PartialEq)]
enum Saw {
    BindRequest(BindKind, u32),
    Bound(BindKind),
    BindRefused(CommandStatus),
    Request { command: CommandId, sequence: u32, over_window: bool },
    Response { token: u32, status: CommandStatus },
    Ending,
    Unbound,
}

struct Side {
    session: Session<u32>,
    deframer: Deframer,
    saw: Vec<Saw>,
}

impl Side {
    fn new(config: SessionConfig) -> Self {
        let deframer = Deframer::new(config.pdu_size_max);
        Side { session: Session::new(config, Instant::from_nanos(0)), deframer, saw: Vec::new() }
    }

    fn hear(&mut self, now: Instant, octets: &[u8]) {
        let mut cursor = 0;
        while let Some(frame) = self.deframer.next(octets, &mut cursor).expect("PDUs") {
            let saw = match self.session.handle_frame(now, frame) {
                Event::BindRequest { kind, sequence, .. } => Saw::BindRequest(kind, sequence),
                Event::Bound { kind, .. } => Saw::Bound(kind),
                Event::BindRefused { status, .. } => Saw::BindRefused(status),
                Event::Request { frame, over_window, .. } => Saw::Request {
                    command: frame.command_id(),
                    sequence: frame.sequence_number(),
                    over_window,
                },
                Event::Response { token, status, .. } => Saw::Response { token, status },
                Event::Ending => Saw::Ending,
                Event::Unbound => Saw::Unbound,
                Event::Nothing
                | Event::Notice { .. }
                | Event::LateResponse { .. }
                | Event::Expired { .. } => continue,
            };
            self.saw.push(saw);
        }
    }
}

/// An ESME and an SMSC, a clock, and a wire that carries what is said when told to.
struct Pair {
    now: Instant,
    esme: Side,
    smsc: Side,
    /// Octets that the wire carries at a time.
    chunk: usize,
}

impl Pair {
    fn new(timers: Timers) -> Self {
        let esme = SessionConfig { timers, ..SessionConfig::vendor_side(4) };
        let smsc = SessionConfig { timers, ..SessionConfig::customer_side(4, 4) };
        Pair { now: Instant::from_nanos(0), esme: Side::new(esme), smsc: Side::new(smsc), chunk: usize::MAX }
    }

    fn bound(kind: BindKind) -> Self {
        let mut pair = Pair::new(Timers::default());
        pair.bind(kind);
        pair
    }

    fn bind(&mut self, kind: BindKind) {
        let bind = Bind { system_id: b"customer", password: b"secret", ..Bind::default() };
        self.esme.session.bind(self.now, kind, &bind).expect("open");
        self.carry();
        assert_eq!(self.smsc.saw, [Saw::BindRequest(kind, 1)]);
        self.smsc.session.accept_bind(1, b"smsc").expect("asked");
        self.carry();
        assert_eq!(self.esme.saw, [Saw::Bound(kind)]);
        self.esme.saw.clear();
        self.smsc.saw.clear();
    }

    /// Carries everything both ways until both are silent.
    fn carry(&mut self) {
        while self.esme.session.outbox_len() + self.smsc.session.outbox_len() > 0 {
            carry_one_way(self.now, self.chunk, &mut self.esme, &mut self.smsc);
            carry_one_way(self.now, self.chunk, &mut self.smsc, &mut self.esme);
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    fn submit(&mut self, token: u32) -> Result<u32, SendError> {
        self.esme.session.request(self.now, &submit_sm(), token)
    }

    fn answer(&mut self, sequence: u32, status: CommandStatus) {
        let resp = Pdu::SubmitSmResp(SubmitSmResp { message_id: b"id", tlvs: Tlvs::default() });
        self.smsc.session.respond(sequence, status, &resp).expect("bound");
    }
}

fn carry_one_way(now: Instant, chunk: usize, from: &mut Side, to: &mut Side) {
    let said = from.session.outbox().bytes().to_vec();
    from.session.outbox().advance(said.len());
    for octets in said.chunks(chunk.min(said.len().max(1))) {
        to.hear(now, octets);
    }
}

fn submit_sm() -> Pdu<'static> {
    Pdu::SubmitSm(SubmitSm {
        destination: Address { digits: b"12025550123", ..Address::default() },
        short_message: b"hello",
        ..SubmitSm::default()
    })
}

#[test]
fn each_bind_kind_allows_what_it_should() {
    for (kind, may_submit) in
        [(BindKind::Transmitter, true), (BindKind::Receiver, false), (BindKind::Transceiver, true)]
    {
        let mut pair = Pair::bound(kind);
        assert_eq!(pair.submit(1).is_ok(), may_submit, "{kind:?}");
        let deliver = Pdu::DeliverSm(smpp::pdu::DeliverSm::default());
        let delivered = pair.smsc.session.request(pair.now, &deliver, 1);
        assert_eq!(delivered.is_ok(), kind != BindKind::Transmitter, "{kind:?}");
    }
}

#[test]
fn a_refused_bind_ends_the_esme_and_leaves_the_smsc_open() {
    let mut pair = Pair::new(Timers::default());
    pair.esme.session.bind(pair.now, BindKind::Receiver, &Bind::default()).expect("open");
    pair.carry();
    pair.smsc.session.refuse_bind(1, CommandStatus::ESME_RINVPASWD).expect("asked");
    pair.carry();
    assert_eq!(pair.esme.saw, [Saw::BindRefused(CommandStatus::ESME_RINVPASWD)]);
    assert_eq!((pair.esme.session.state(), pair.smsc.session.state()), (State::Unbound, State::Open));
}

#[test]
fn the_window_holds_on_both_sides_and_answers_match_in_any_order() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    let numbers: Vec<u32> = (0..4).map(|token| pair.submit(token).expect("window of 4")).collect();
    assert_eq!(pair.submit(4), Err(SendError::WindowFull));
    pair.carry();
    assert_eq!(pair.smsc.session.unanswered_in(), 4);
    for (token, number) in numbers.iter().enumerate().rev() {
        let status = if token == 2 { CommandStatus::ESME_RTHROTTLED } else { CommandStatus::ESME_ROK };
        pair.answer(*number, status);
    }
    pair.carry();
    let tokens: Vec<_> = pair.esme.saw.iter().map(|saw| format!("{saw:?}")).collect();
    assert_eq!(tokens.len(), 4);
    assert!(tokens[0].contains("token: 3") && tokens[3].contains("token: 0"), "{tokens:?}");
    assert_eq!((pair.esme.session.in_flight(), pair.esme.session.window_free()), (0, 4));
}

#[test]
fn a_peer_beyond_its_window_is_told_apart() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    pair.smsc.session.widen(2, 4);
    for token in 0..3 {
        pair.submit(token).expect("window of 4");
    }
    pair.carry();
    let over: Vec<bool> =
        pair.smsc.saw.iter().map(|saw| matches!(saw, Saw::Request { over_window: true, .. })).collect();
    assert_eq!(over, [false, false, true]);
}

#[test]
fn the_same_sequence_number_in_both_directions_is_no_confusion() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    let ours = pair.submit(7).expect("window");
    // The SMSC's own numbers begin at 1 as well; make them meet.
    while pair.smsc.session.request(pair.now, &Pdu::DeliverSm(Default::default()), 9).expect("window") < ours
    {
    }
    pair.carry();
    pair.answer(ours, CommandStatus::ESME_ROK);
    pair.carry();
    assert!(pair.esme.saw.contains(&Saw::Response { token: 7, status: CommandStatus::ESME_ROK }));
    assert!(pair.smsc.session.in_flight() > 0, "the SMSC's own request still waits");
}

#[test]
fn octet_by_octet_is_as_good_as_all_at_once() {
    let mut pair = Pair::new(Timers::default());
    pair.chunk = 1;
    pair.bind(BindKind::Transceiver);
    let number = pair.submit(5).expect("window");
    pair.carry();
    pair.answer(number, CommandStatus::ESME_ROK);
    pair.carry();
    assert_eq!(pair.esme.saw, [Saw::Response { token: 5, status: CommandStatus::ESME_ROK }]);
}

#[test]
fn a_request_expires_once_and_its_late_answer_is_dropped() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    let number = pair.submit(5).expect("window");
    pair.carry();
    pair.pass(9 * SECOND);
    assert_eq!(pair.esme.session.expired(pair.now), None);
    pair.pass(SECOND);
    assert_eq!(pair.esme.session.expired(pair.now), Some((5, number)));
    assert_eq!(pair.esme.session.expired(pair.now), None);
    pair.answer(number, CommandStatus::ESME_ROK);
    pair.carry();
    assert_eq!((pair.esme.saw.len(), pair.esme.session.counters().late_responses), (0, 1));
}

#[test]
fn a_peer_that_lets_a_request_expire_in_silence_gets_no_more_until_it_speaks() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    pair.submit(1).expect("window");
    pair.submit(2).expect("window");
    let lost = pair.esme.session.outbox().len();
    pair.esme.session.outbox().advance(lost);
    pair.pass(10 * SECOND);
    assert!(pair.esme.session.expired(pair.now).is_some());
    assert_eq!(pair.submit(3), Err(SendError::WindowFull), "there is room, but no sign of life");
    assert!(pair.esme.session.outbox_len() > 0, "it is asked for one");
    pair.carry();
    assert!(pair.submit(3).is_ok(), "it gave one");
}

#[test]
fn silence_is_asked_about_and_then_ends_the_session() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    pair.pass(30 * SECOND);
    assert_eq!(pair.esme.session.handle_timeout(pair.now), None);
    assert!(pair.esme.session.outbox_len() > 0, "an enquire_link is due");
    pair.carry();
    pair.pass(20 * SECOND);
    assert_eq!(pair.esme.session.handle_timeout(pair.now), None, "the answer proved life");

    pair.pass(10 * SECOND);
    assert_eq!(pair.esme.session.handle_timeout(pair.now), None);
    let lost = pair.esme.session.outbox().len();
    pair.esme.session.outbox().advance(lost);
    pair.pass(9 * SECOND);
    assert_eq!(pair.esme.session.handle_timeout(pair.now), None);
    pair.pass(SECOND);
    assert_eq!(pair.esme.session.handle_timeout(pair.now), Some(DeadlineReason::NoSignOfLife));
}

#[test]
fn a_peer_that_only_pings_is_alive() {
    let timers = Timers { inactivity: 100 * SECOND, ..Timers::default() };
    let mut pair = Pair::new(timers);
    pair.bind(BindKind::Receiver);
    for _ in 0..30 {
        pair.pass(5 * SECOND);
        pair.esme.session.handle_timeout(pair.now);
        assert_eq!(pair.smsc.session.handle_timeout(pair.now), None);
        pair.carry();
    }
    assert_eq!((pair.esme.session.state(), pair.smsc.saw.len()), (State::BoundReceiver, 0));
}

#[test]
fn inactivity_unbinds_before_the_end() {
    let timers = Timers { inactivity: 100 * SECOND, enquire_link: Duration::ZERO, ..Timers::default() };
    let mut pair = Pair::new(timers);
    pair.bind(BindKind::Transceiver);
    pair.pass(99 * SECOND);
    assert_eq!(pair.smsc.session.handle_timeout(pair.now), None);
    pair.pass(SECOND);
    assert_eq!(pair.smsc.session.handle_timeout(pair.now), Some(DeadlineReason::Inactivity));
    assert_eq!(pair.smsc.session.state(), State::Unbinding);
    pair.carry();
    assert_eq!((&pair.esme.saw[..], &pair.smsc.saw[..]), (&[Saw::Unbound][..], &[Saw::Unbound][..]));
}

#[test]
fn unbind_lets_answers_come_in_and_ends_both() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    let number = pair.submit(5).expect("window");
    pair.carry();
    pair.answer(number, CommandStatus::ESME_ROK);
    pair.esme.session.unbind(pair.now);
    assert_eq!(pair.submit(6), Err(SendError::Illegal));
    pair.carry();
    assert_eq!(pair.esme.saw, [Saw::Response { token: 5, status: CommandStatus::ESME_ROK }, Saw::Unbound]);
    assert_eq!((pair.esme.session.state(), pair.smsc.session.state()), (State::Unbound, State::Unbound));
}

#[test]
fn what_crosses_our_unbind_is_answered() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    let number = pair.smsc.session.request(pair.now, &Pdu::DeliverSm(Default::default()), 3).expect("window");
    pair.esme.session.unbind(pair.now);
    carry_one_way(pair.now, pair.chunk, &mut pair.smsc, &mut pair.esme);
    carry_one_way(pair.now, pair.chunk, &mut pair.esme, &mut pair.smsc);
    assert_eq!(pair.smsc.saw, [Saw::Ending], "the SMSC waits for the answer to its request");
    let resp = Pdu::DeliverSmResp(Default::default());
    pair.esme.session.respond(number, CommandStatus::ESME_ROK, &resp).expect("legal");
    pair.carry();
    let answered = Saw::Response { token: 3, status: CommandStatus::ESME_ROK };
    assert_eq!(pair.smsc.saw, [Saw::Ending, answered]);
    assert_eq!((pair.esme.session.state(), pair.smsc.session.state()), (State::Unbound, State::Unbound));
    assert_eq!(pair.esme.saw.last(), Some(&Saw::Unbound));
}

/// An SMSC that unbinds owes answers: they may stand before its unbind, behind it, or both, in one segment or many.
#[test]
fn answers_around_the_peers_unbind_count() {
    for before in 0..=4 {
        let mut pair = Pair::bound(BindKind::Transceiver);
        pair.chunk = before + 1;
        let numbers: Vec<u32> = (0..4).map(|token| pair.submit(token).expect("window of 4")).collect();
        pair.carry();
        let (first, second) = numbers.split_at(before);
        first.iter().for_each(|number| pair.answer(*number, CommandStatus::ESME_ROK));
        pair.smsc.session.unbind(pair.now);
        second.iter().for_each(|number| pair.answer(*number, CommandStatus::ESME_ROK));
        pair.carry();
        let answered = pair.esme.saw.iter().filter(|saw| matches!(saw, Saw::Response { .. })).count();
        assert_eq!((answered, pair.esme.session.in_flight()), (4, 0), "{before} before the unbind");
        let states = (pair.esme.session.state(), pair.smsc.session.state());
        assert_eq!(states, (State::Unbound, State::Unbound));
        assert_eq!(pair.esme.session.counters().overdue_ends, 0);
    }
}

#[test]
fn the_peers_unbind_is_answered_after_its_requests() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    let number = pair.submit(1).expect("window");
    pair.esme.session.unbind(pair.now);
    pair.carry();
    assert_eq!(pair.smsc.saw.last(), Some(&Saw::Ending));
    assert_eq!(pair.smsc.session.state(), State::Finishing);
    let deliver = Pdu::DeliverSm(Default::default());
    assert_eq!(pair.smsc.session.request(pair.now, &deliver, 9), Err(SendError::Illegal), "nothing new");
    pair.pass(4 * SECOND);
    assert_eq!(pair.smsc.session.handle_timeout(pair.now), None);
    pair.answer(number, CommandStatus::ESME_ROK);
    pair.carry();
    let answered = Saw::Response { token: 1, status: CommandStatus::ESME_ROK };
    assert_eq!(pair.esme.saw, [answered, Saw::Unbound], "the answer comes first");
    assert_eq!(pair.smsc.session.state(), State::Unbound);
}

#[test]
fn the_peers_unbind_is_answered_in_time_whatever_is_owed() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    pair.submit(1).expect("window");
    pair.smsc.session.request(pair.now, &Pdu::DeliverSm(Default::default()), 3).expect("window");
    pair.esme.session.unbind(pair.now);
    pair.carry();
    pair.pass(5 * SECOND);
    assert_eq!(pair.smsc.session.handle_timeout(pair.now), None);
    let smsc = &pair.smsc.session;
    assert_eq!((smsc.state(), smsc.counters().overdue_ends), (State::Unbound, 1));
    pair.carry();
    assert_eq!(pair.esme.saw.last(), Some(&Saw::Ending), "it still owes us the answer to the delivery");
    assert_eq!(pair.smsc.session.abandon().len(), 1);
}

#[test]
fn our_end_waits_for_answers_then_unbinds() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    let number = pair.submit(1).expect("window");
    pair.carry();
    pair.esme.session.end(pair.now);
    assert_eq!((pair.esme.session.state(), pair.esme.session.outbox_len()), (State::Leaving, 0));
    assert_eq!(pair.submit(2), Err(SendError::Illegal));
    pair.smsc.session.request(pair.now, &Pdu::DeliverSm(Default::default()), 3).expect("window");
    pair.carry();
    assert!(
        matches!(pair.esme.saw[..], [Saw::Request { .. }]),
        "the peer does not know: {:?}",
        pair.esme.saw
    );
    pair.answer(number, CommandStatus::ESME_ROK);
    pair.carry();
    assert_eq!(pair.esme.session.state(), State::Leaving, "we owe an answer");
    let resp = Pdu::DeliverSmResp(Default::default());
    pair.esme.session.respond(1, CommandStatus::ESME_ROK, &resp).expect("legal");
    assert_eq!(pair.esme.session.state(), State::Unbinding);
    pair.carry();
    assert_eq!((pair.esme.session.state(), pair.smsc.session.state()), (State::Unbound, State::Unbound));
}

#[test]
fn our_end_does_not_wait_for_ever() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    pair.submit(1).expect("window");
    pair.carry();
    pair.esme.session.end(pair.now);
    pair.pass(5 * SECOND);
    assert_eq!(pair.esme.session.handle_timeout(pair.now), None);
    assert_eq!(pair.esme.session.state(), State::Unbinding);
    assert_eq!(pair.esme.session.counters().overdue_ends, 1);
}

#[test]
fn crossing_unbinds_end_both() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    pair.submit(1).expect("window");
    pair.carry();
    pair.esme.session.unbind(pair.now);
    pair.smsc.session.unbind(pair.now);
    pair.carry();
    pair.answer(2, CommandStatus::ESME_ROK);
    pair.carry();
    assert!(pair.esme.saw.contains(&Saw::Response { token: 1, status: CommandStatus::ESME_ROK }));
    assert_eq!((pair.esme.session.state(), pair.smsc.session.state()), (State::Unbound, State::Unbound));
}

/// What lies in the outbox when the peer unbinds must not go out: answers go, requests come back.
#[test]
fn what_is_not_on_its_way_comes_back() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    pair.submit(1).expect("window");
    pair.carry();
    pair.submit(2).expect("window");
    pair.smsc.session.request(pair.now, &Pdu::DeliverSm(Default::default()), 7).expect("window");
    pair.smsc.session.unbind(pair.now);
    carry_one_way(pair.now, pair.chunk, &mut pair.smsc, &mut pair.esme);
    let resp = Pdu::DeliverSmResp(Default::default());
    pair.esme.session.respond(1, CommandStatus::ESME_ROK, &resp).expect("legal");
    assert_eq!(pair.esme.session.take_back(), [2]);
    assert_eq!(pair.esme.session.take_back(), []);
    pair.carry();
    let requests = pair.smsc.saw.iter().filter(|saw| matches!(saw, Saw::Request { .. })).count();
    assert_eq!(requests, 1, "the second was never sent: {:?}", pair.smsc.saw);
    assert!(pair.smsc.saw.contains(&Saw::Response { token: 7, status: CommandStatus::ESME_ROK }));
    assert_eq!(pair.esme.session.in_flight(), 1, "the first is awaited");
}

/// Of a PDU that was taken in part the rest must follow; what is behind it comes back.
#[test]
fn a_request_taken_in_part_stays() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    for token in 1..=3 {
        pair.submit(token).expect("window");
    }
    pair.esme.session.outbox().advance(5);
    let before = pair.esme.session.outbox_len();
    pair.esme.session.end(pair.now);
    assert_eq!(pair.esme.session.take_back(), [2, 3]);
    assert!(pair.esme.session.outbox_len() < before / 2);
    let rest = pair.esme.session.outbox_len();
    pair.esme.session.outbox().advance(rest);
    let told: Vec<_> =
        pair.esme.session.abandon().iter().map(|request| (request.token, request.written)).collect();
    assert_eq!(told, [(1, true)]);
}

#[test]
fn a_nack_without_a_status_is_no_success() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    let number = pair.submit(5).expect("window");
    let mut nack = bytes::BytesMut::new();
    smpp::wire::write_header_only(&mut nack, CommandId::GENERIC_NACK, CommandStatus::ESME_ROK, number);
    pair.esme.hear(pair.now, &nack);
    assert_eq!(pair.esme.saw, [Saw::Response { token: 5, status: CommandStatus::ESME_RUNKNOWNERR }]);
}

#[test]
fn an_unbind_that_is_not_answered_ends_all_the_same() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    pair.esme.session.unbind(pair.now);
    pair.pass(2 * SECOND);
    assert_eq!(pair.esme.session.handle_timeout(pair.now), Some(DeadlineReason::Unbind));
}

#[test]
fn abandoned_requests_tell_what_was_taken() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    pair.submit(1).expect("window");
    let first = pair.esme.session.outbox().len();
    pair.submit(2).expect("window");
    pair.esme.session.outbox().advance(first + 3);
    let told: Vec<_> =
        pair.esme.session.abandon().iter().map(|request| (request.token, request.written)).collect();
    assert_eq!(told, [(1, true), (2, false)]);
}
