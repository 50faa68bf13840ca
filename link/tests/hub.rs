//! Two hubs on one thread, over real sockets, on both back ends.

use link::{App, CloseReason, Closed, Event, Hub, HubOptions, LinkId, Links, SessionConfig};
use runtime::{Listener, Placement, Runtime, Stream, both_backends};
use smpp::field::{Address, CommandStatus};
use smpp::pdu::{Bind, BindKind, DeliverSm, DeliverSmResp, Pdu, SubmitSm, SubmitSmResp};
use smpp::session::Timers;
use smpp::tlv::Tlvs;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

const LOOPBACK: &str = "127.0.0.1:0";

/// Accepts every bind, answers every submit_sm, as its mood is.
struct Smsc {
    mood: Mood,
    submits: u32,
    delivered: u32,
    closed: Vec<CloseReason>,
}

impl Smsc {
    fn new(mood: Mood) -> Self {
        Smsc { mood, submits: 0, delivered: 0, closed: Vec::new() }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Answers,
    Silent,
    Panics,
    ResetsAfter(u32),
    /// Says more at once than a link may have waiting before it is no longer read.
    Floods,
}

/// deliver_sm of a flood; 200 octets each are over 1 MiB.
const FLOOD: u32 = 6_000;

impl App for Smsc {
    type Token = u32;

    fn on_event(&mut self, links: &mut Links<u32>, id: LinkId, event: Event<'_, u32>) {
        match event {
            Event::BindRequest { sequence, .. } => {
                links.widen(id, 1_000, 1_000);
                links.accept_bind(id, sequence, b"smsc").expect("open");
                if self.mood == Mood::Floods {
                    links.widen(id, 1_000, FLOOD);
                    for number in 0..FLOOD {
                        links.request(id, &deliver_sm(), number).expect("window");
                    }
                }
            }
            Event::Request { frame, pdu: Pdu::SubmitSm(_), .. } => {
                self.submits += 1;
                match self.mood {
                    Mood::Answers => {
                        let resp =
                            Pdu::SubmitSmResp(SubmitSmResp { message_id: b"1", tlvs: Tlvs::default() });
                        links
                            .respond(id, frame.sequence_number(), CommandStatus::ESME_ROK, &resp)
                            .expect("open");
                    }
                    Mood::Panics => panic!("a mistake about this peer's bytes"),
                    Mood::ResetsAfter(count) if self.submits >= count => links.reset(id),
                    Mood::Silent | Mood::ResetsAfter(_) | Mood::Floods => {}
                }
            }
            Event::Response { .. } => {
                self.delivered += 1;
                if self.delivered == FLOOD {
                    links.unbind(id);
                }
            }
            _ => {}
        }
    }

    fn on_closed(&mut self, _: &mut Links<u32>, _: LinkId, closed: Closed<u32>) {
        self.closed.push(closed.reason);
    }

    fn on_tick(&mut self, _: &mut Links<u32>) {}
}

/// Sends `total` submits, as many at a time as the window allows.
#[derive(Default)]
struct Esme {
    total: u32,
    sent: u32,
    answered: u32,
    expired: u32,
    closed: Option<Closed<u32>>,
}

impl Esme {
    fn fill(&mut self, links: &mut Links<u32>, id: LinkId) {
        while self.sent < self.total && links.request(id, &submit_sm(), self.sent).is_ok() {
            self.sent += 1;
        }
    }
}

impl App for Esme {
    type Token = u32;

    fn on_event(&mut self, links: &mut Links<u32>, id: LinkId, event: Event<'_, u32>) {
        match event {
            Event::Bound { .. } => self.fill(links, id),
            Event::Request { frame, .. } => {
                let resp = Pdu::DeliverSmResp(DeliverSmResp::default());
                links.respond(id, frame.sequence_number(), CommandStatus::ESME_ROK, &resp).expect("open");
            }
            Event::Response { .. } => {
                self.answered += 1;
                self.fill(links, id);
                if self.answered == self.total {
                    links.unbind(id);
                }
            }
            Event::Expired { .. } => {
                self.expired += 1;
                links.close(id, CloseReason::Local);
            }
            _ => {}
        }
    }

    fn on_closed(&mut self, links: &mut Links<u32>, _: LinkId, closed: Closed<u32>) {
        self.closed = Some(closed);
        for other in links.ids().collect::<Vec<_>>() {
            links.unbind(other);
        }
    }

    fn on_tick(&mut self, _: &mut Links<u32>) {}
}

fn submit_sm() -> Pdu<'static> {
    Pdu::SubmitSm(SubmitSm {
        destination: Address { digits: b"12025550123", ..Address::default() },
        short_message: &[b'x'; 100],
        ..SubmitSm::default()
    })
}

fn deliver_sm() -> Pdu<'static> {
    Pdu::DeliverSm(DeliverSm { short_message: &[b'x'; 150], ..DeliverSm::default() })
}

/// What a story leaves behind.
struct Outcome {
    esme: Esme,
    smsc: Smsc,
    panics: u64,
}

/// Binds once with this many links to an SMSC of this mood, sends, and waits until every link is gone.
fn story<R: Runtime>(mood: Mood, links: usize, total: u32, window: u32, timers: Timers) -> Outcome {
    let (told, outcome) = std::sync::mpsc::sync_channel(1);
    let thread = R::run(Placement::Floating, "story", move || async move {
        let smsc: Hub<R, Smsc> = Hub::new(Smsc::new(mood), HubOptions::default());
        let listener = Rc::new(R::listen(LOOPBACK.parse().expect("an address")).expect("a free port"));
        R::spawn(accept::<R>(smsc.clone(), listener.clone()));
        let esme: Hub<R, Esme> = Hub::new(Esme { total, ..Esme::default() }, HubOptions::default());
        for _ in 0..links {
            connect::<R>(&esme, listener.local_address(), window, timers).await;
        }
        esme.emptied().await;
        smsc.emptied().await;
        let esme_app = esme.with(|app, _| std::mem::take(app));
        let (smsc_app, panics) = smsc.with(|app, links| {
            let closed = std::mem::take(&mut app.closed);
            let smsc = Smsc { submits: app.submits, delivered: app.delivered, closed, ..Smsc::new(app.mood) };
            (smsc, links.counters().panics)
        });
        listener.close();
        esme.stop();
        smsc.stop();
        told.send(Outcome { esme: esme_app, smsc: smsc_app, panics }).expect("the test waits");
    })
    .expect("a thread");
    let outcome = outcome.recv_timeout(Duration::from_secs(60)).expect("the story ends");
    thread.join().expect("no panic");
    outcome
}

async fn accept<R: Runtime>(hub: Hub<R, Smsc>, listener: Rc<R::Listener>) {
    while let Ok((stream, _)) = listener.accept().await {
        let config = SessionConfig::customer_side(1, 1);
        assert!(hub.attach(stream, config, &[]).is_ok());
    }
}

async fn connect<R: Runtime>(hub: &Hub<R, Esme>, address: SocketAddr, window: u32, timers: Timers) {
    let config = SessionConfig { timers, ..SessionConfig::vendor_side(window) };
    let bind = Bind { system_id: b"esme", ..Bind::default() };
    hub.connect(address, Duration::from_secs(5), config, BindKind::Transceiver, &bind, None)
        .await
        .expect("connects");
}

fn everything_is_answered<R: Runtime>() {
    let outcome = story::<R>(Mood::Answers, 1, 20_000, 100, Timers::default());
    assert_eq!((outcome.esme.sent, outcome.esme.answered, outcome.smsc.submits), (20_000, 20_000, 20_000));
    let closed = outcome.esme.closed.expect("closed");
    assert_eq!((closed.reason, closed.written.len(), closed.unsent.len()), (CloseReason::Unbound, 0, 0));
    assert_eq!(outcome.smsc.closed, [CloseReason::Unbound]);
}

#[test]
fn every_request_is_answered_and_both_sides_unbind() {
    both_backends!(everything_is_answered);
}

fn a_silent_peer_expires<R: Runtime>() {
    let timers = Timers { response: Duration::from_millis(50), ..Timers::default() };
    let outcome = story::<R>(Mood::Silent, 1, 3, 10, timers);
    assert_eq!((outcome.esme.answered, outcome.esme.expired), (0, 3));
}

#[test]
fn requests_to_a_silent_peer_expire() {
    both_backends!(a_silent_peer_expires);
}

fn a_panic_costs_one_link<R: Runtime>() {
    let outcome = story::<R>(Mood::Panics, 3, 3, 10, Timers::default());
    let ended_by_panic =
        outcome.smsc.closed.iter().filter(|reason| **reason == CloseReason::Panicked).count();
    assert_eq!((outcome.panics, ended_by_panic), (1, 1), "{:?}", outcome.smsc.closed);
    assert_eq!(outcome.smsc.closed.len(), 3, "the others unbound in order: {:?}", outcome.smsc.closed);
}

#[test]
fn a_panic_over_one_links_bytes_ends_that_link_only() {
    both_backends!(a_panic_costs_one_link);
}

fn a_reset_tells_what_was_written<R: Runtime>() {
    let outcome = story::<R>(Mood::ResetsAfter(5), 1, 10, 10, Timers::default());
    let closed = outcome.esme.closed.expect("closed");
    assert_eq!(closed.written.len() + closed.unsent.len(), 10, "{closed:?}");
    assert!(closed.written.len() >= 5, "what the peer has seen was written: {closed:?}");
}

#[test]
fn a_reset_gives_back_every_unanswered_request() {
    both_backends!(a_reset_tells_what_was_written);
}

fn a_flood_does_not_stop_the_reader<R: Runtime>() {
    let outcome = story::<R>(Mood::Floods, 1, 0, 10, Timers::default());
    assert_eq!(outcome.smsc.delivered, FLOOD);
    assert_eq!(outcome.smsc.closed, [CloseReason::Unbound]);
}

/// With the kernel taking it in parts; `link/src/hub.rs` tests the flush that hands over everything at once.
#[test]
fn a_link_that_said_much_at_once_is_read_again() {
    both_backends!(a_flood_does_not_stop_the_reader);
}

/// Bytes that are not PDUs on one link; another link beside it must not notice.
fn garbage_closes_one_link<R: Runtime>() {
    let (told, outcome) = std::sync::mpsc::sync_channel(1);
    let thread = R::run(Placement::Floating, "garbage", move || async move {
        let app = Smsc::new(Mood::Answers);
        let smsc: Hub<R, Smsc> = Hub::new(app, HubOptions::default());
        let listener = Rc::new(R::listen(LOOPBACK.parse().expect("an address")).expect("a free port"));
        R::spawn(accept::<R>(smsc.clone(), listener.clone()));
        let esme: Hub<R, Esme> = Hub::new(Esme { total: u32::MAX, ..Esme::default() }, HubOptions::default());
        connect::<R>(&esme, listener.local_address(), 10, Timers::default()).await;
        let buffer = RefCell::new(vec![0; 1_024]);
        for garbage in [
            &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
            b"\x16\x03\x01\x02\x00\x01",
            b"\0\0\0\x04junkjunkjunk",
        ] {
            let stream =
                R::connect(listener.local_address(), Duration::from_secs(5)).await.expect("connects");
            stream.try_write(garbage).expect("some octets fit");
            let mut heard = Vec::new();
            while let Ok(octets @ 1..) = stream.read(&buffer).await {
                heard.extend_from_slice(&buffer.borrow()[..octets]);
            }
            assert_eq!(
                heard.get(4..8),
                Some(&[0x80, 0, 0, 0][..]),
                "generic_nack before the end: {garbage:?}"
            );
        }
        let flowing = esme.with(|app, _| app.answered);
        esme.with(|app, links| {
            app.total = app.sent;
            links.ids().collect::<Vec<_>>().into_iter().for_each(|id| links.unbind(id));
        });
        esme.emptied().await;
        listener.close();
        let framing = smsc.with(|_, links| links.counters().framing_errors);
        esme.stop();
        smsc.stop();
        told.send((flowing, framing)).expect("the test waits");
    })
    .expect("a thread");
    let (flowing, framing) = outcome.recv_timeout(Duration::from_secs(60)).expect("the story ends");
    thread.join().expect("no panic");
    assert!(flowing > 0, "the other link went on");
    assert_eq!(framing, 3);
}

#[test]
fn garbage_is_answered_counted_and_closed_and_nobody_else_notices() {
    both_backends!(garbage_closes_one_link);
}
