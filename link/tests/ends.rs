//! How links begin and end in order: a hub against a plain peer that says exactly what a test wants, on both back ends.

use bytes::BytesMut;
use link::accept::greet;
use link::{
    App, CloseReason, Closed, Event, Hub, HubOptions, LinkId, Links, SessionConfig, Tls, TlsClient,
    TlsServer, TlsTrust,
};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use runtime::{Listener, Placement, Runtime, both_backends};
use smpp::dialect::Dialect;
use smpp::field::{CommandId, CommandStatus};
use smpp::pdu::{Bind, BindKind, Pdu, SubmitSm, SubmitSmResp};
use smpp::session::{DeadlineReason, Timers};
use smpp::tlv::Tlvs;
use smpp::wire::{Header, write_header_only};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const OK: CommandStatus = CommandStatus::ESME_ROK;

/// What the hub's program has seen and is to answer.
#[derive(Default)]
struct Book {
    /// Binds and requests without an answer, in order.
    binds: Vec<(LinkId, u32)>,
    requests: Vec<(LinkId, u32)>,
    answered: u32,
    /// How many submits to send once bound.
    to_send: u32,
    ended: u32,
    closed: Option<Closed<u32>>,
}

impl Book {
    fn accept_binds(&mut self, links: &mut Links<u32>) {
        for (id, sequence) in self.binds.drain(..) {
            links.widen(id, 1_000, 1_000);
            links.accept_bind(id, sequence, b"smsc").expect("open");
        }
    }

    fn answer(&mut self, links: &mut Links<u32>) {
        for (id, sequence) in self.requests.drain(..) {
            let resp = Pdu::SubmitSmResp(SubmitSmResp { message_id: b"1", tlvs: Tlvs::default() });
            links.respond(id, sequence, OK, &resp).expect("open");
        }
    }
}

impl App for Book {
    type Token = u32;

    fn on_event(&mut self, links: &mut Links<u32>, id: LinkId, event: Event<'_, u32>) {
        match event {
            Event::BindRequest { sequence, .. } => self.binds.push((id, sequence)),
            Event::Request { frame, .. } => self.requests.push((id, frame.sequence_number())),
            Event::Response { .. } => self.answered += 1,
            Event::Ending => self.ended += 1,
            Event::Bound { .. } => {
                for token in 0..self.to_send {
                    links.request(id, &submit_sm(), token).expect("window");
                }
            }
            _ => {}
        }
    }

    fn on_closed(&mut self, _: &mut Links<u32>, _: LinkId, closed: Closed<u32>) {
        self.closed = Some(closed);
    }

    fn on_tick(&mut self, _: &mut Links<u32>) {}
}

fn submit_sm() -> Pdu<'static> {
    Pdu::SubmitSm(SubmitSm { short_message: b"hello", ..SubmitSm::default() })
}

/// PDUs one behind the other.
#[derive(Default)]
struct Words(BytesMut);

impl Words {
    fn pdu(mut self, sequence: u32, pdu: &Pdu<'_>) -> Self {
        pdu.encode(OK, sequence, &mut self.0);
        self
    }

    fn bind(mut self, sequence: u32) -> Self {
        Bind { system_id: b"esme", ..Bind::default() }.encode(BindKind::Transceiver, sequence, &mut self.0);
        self
    }

    fn header(mut self, command: CommandId, sequence: u32) -> Self {
        write_header_only(&mut self.0, command, OK, sequence);
        self
    }

    fn answer(self, sequence: u32) -> Self {
        self.pdu(sequence, &Pdu::SubmitSmResp(SubmitSmResp { message_id: b"1", tlvs: Tlvs::default() }))
    }
}

/// A connection, encrypted or not, that blocks.
struct Peer {
    stream: TcpStream,
    tls: Option<Tls>,
    plain: Vec<u8>,
}

impl Peer {
    fn new(stream: TcpStream, tls: Option<&TlsClient>) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("settable");
        let tls = tls.map(|client| Tls::client(client).expect("usable"));
        let mut peer = Peer { stream, tls, plain: Vec::new() };
        while peer.tls.as_ref().is_some_and(|tls| !tls.is_established()) {
            peer.flush();
            assert!(peer.read(), "the handshake ends well");
        }
        peer
    }

    fn connect(address: SocketAddr, tls: Option<&TlsClient>) -> Self {
        Peer::new(TcpStream::connect(address).expect("listening"), tls)
    }

    fn say(&mut self, words: &Words) {
        match &mut self.tls {
            None => self.stream.write_all(&words.0).expect("the connection stands"),
            Some(tls) => {
                assert_eq!(tls.encrypt(&words.0), words.0.len(), "a test says little");
                self.flush();
            }
        }
    }

    /// Says nothing more, but listens.
    fn half_close(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.end();
            self.flush();
        }
        self.stream.shutdown(Shutdown::Write).expect("open");
    }

    /// The next PDU; none at the end of the connection.
    fn hear(&mut self) -> Option<Header> {
        loop {
            if let Some(length) = self.plain.first_chunk::<4>() {
                let length = u32::from_be_bytes(*length) as usize;
                if self.plain.len() >= length {
                    let pdu: Vec<u8> = self.plain.drain(..length).collect();
                    return Some(smpp::wire::Frame::whole(&pdu).expect("a PDU").header());
                }
            }
            if !self.read() {
                return None;
            }
        }
    }

    fn hear_all(&mut self) -> Vec<(CommandId, u32)> {
        std::iter::from_fn(|| self.hear()).map(|header| (header.command_id, header.sequence_number)).collect()
    }

    fn read(&mut self) -> bool {
        let mut octets = [0; 4_096];
        let read = match self.stream.read(&mut octets) {
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return true,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => 0,
            Err(error) => panic!("cannot read: {error}"),
        };
        match &mut self.tls {
            None => self.plain.extend_from_slice(&octets[..read]),
            Some(tls) => {
                tls.received(&octets[..read], &mut self.plain).expect("good TLS");
                self.flush();
            }
        }
        read > 0
    }

    fn flush(&mut self) {
        if let Some(tls) = &mut self.tls {
            let octets = tls.pending().to_vec();
            tls.advance(octets.len());
            self.stream.write_all(&octets).expect("the connection stands");
        }
    }
}

fn certificates() -> (TlsServer, TlsClient) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signs");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["smsc.example".into()]).expect("a name");
    let certificate = params.signed_by(&key, &authority).expect("signs");
    let server = TlsServer::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes());
    let trust = TlsTrust::from_pem(authority.pem().as_bytes()).expect("a certificate");
    (server.expect("usable"), TlsClient::new(&trust, "smsc.example").expect("a name"))
}

/// Runs a hub that customers connect to, and this customer beside it. `turn` is asked again and again what the program
/// does next, until the link is gone.
fn customer<R: Runtime>(
    timers: Timers,
    tls: Option<(TlsServer, TlsClient)>,
    peer: impl FnOnce(Peer) + Send + 'static,
    mut turn: impl FnMut(&mut Book, &mut Links<u32>) + Send + 'static,
) -> (Book, link::Counters) {
    let (server, client) = tls.unzip();
    let (told, address) = channel();
    let peer = std::thread::spawn(move || {
        peer(Peer::connect(address.recv().expect("an address"), client.as_ref()));
    });
    let outcome = on_thread::<R, _, _>(move || async move {
        let hub: Hub<R, Book> = Hub::new(Book::default(), HubOptions::default());
        let listener = R::listen("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let told: Sender<SocketAddr> = told;
        told.send(listener.local_address()).expect("the peer waits");
        let (stream, _) = listener.accept().await.expect("a connection");
        let buffer = hub.receive_buffer();
        let dialect = Dialect::tolerant();
        let greeting = greet::<R>(stream, &buffer, PATIENCE, &dialect, server.as_ref()).await;
        let Ok(greeting) = greeting else { panic!("no bind came") };
        let config = SessionConfig { timers, ..SessionConfig::customer_side(1, 1) };
        assert!(hub.attach_tls(greeting.stream, config, &greeting.octets, greeting.tls).is_ok());
        while !hub.is_empty() {
            hub.with(&mut turn);
            R::yield_now().await;
        }
        let outcome = hub.with(|book, links| (std::mem::take(book), *links.counters()));
        hub.stop();
        outcome
    });
    peer.join().expect("the peer is content");
    outcome
}

/// Runs a hub that binds to this vendor and sends so many submits.
fn vendor<R: Runtime>(
    to_send: u32,
    vendor: impl FnOnce(Peer) + Send + 'static,
    mut turn: impl FnMut(&mut Book, &mut Links<u32>) + Send + 'static,
) -> Book {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let vendor = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        let mut peer = Peer::new(stream, None);
        let bind = peer.hear().expect("a bind");
        peer.say(&Words::default().header(bind.command_id.response(), bind.sequence_number));
        vendor(peer);
    });
    let book = on_thread::<R, _, _>(move || async move {
        let hub: Hub<R, Book> = Hub::new(Book { to_send, ..Book::default() }, HubOptions::default());
        let bind = Bind { system_id: b"esme", ..Bind::default() };
        let config = SessionConfig::vendor_side(1_000);
        hub.connect(address, PATIENCE, config, BindKind::Transceiver, &bind, None).await.expect("connects");
        while !hub.is_empty() {
            hub.with(&mut turn);
            R::yield_now().await;
        }
        let book = hub.with(|book, _| std::mem::take(book));
        hub.stop();
        book
    });
    vendor.join().expect("the vendor is content");
    book
}

fn on_thread<R: Runtime, O: Send + 'static, F: Future<Output = O> + 'static>(
    main: impl FnOnce() -> F + Send + 'static,
) -> O {
    let (told, outcome) = std::sync::mpsc::sync_channel(1);
    let thread = R::run(Placement::Floating, "story", move || async move {
        told.send(main().await).expect("the test waits");
    });
    let thread = thread.expect("a thread");
    let outcome = outcome.recv_timeout(PATIENCE).expect("the story ends");
    thread.join().expect("no panic");
    outcome
}

fn pipelined<R: Runtime>(tls: Option<(TlsServer, TlsClient)>) {
    let words = || {
        let bind = Words::default().bind(1);
        (2..=4).fold(bind, |words, sequence| words.pdu(sequence, &submit_sm())).header(CommandId::UNBIND, 5)
    };
    let peer = move |mut peer: Peer| {
        peer.say(&words());
        let heard = peer.hear_all();
        let submits = (2..=4).map(|sequence| (CommandId::SUBMIT_SM_RESP, sequence));
        let mut expected = vec![(CommandId::BIND_TRANSCEIVER_RESP, 1)];
        expected.extend(submits.chain([(CommandId::UNBIND_RESP, 5)]));
        assert_eq!(heard, expected);
    };
    let mut turns = 0;
    let (book, counters) = customer::<R>(Timers::default(), tls, peer, move |book, links| {
        if !book.binds.is_empty() {
            assert_eq!(book.requests.len(), 0, "nothing is heard before the bind is answered");
            turns += 1;
            if turns == 100 {
                book.accept_binds(links);
            }
        } else if book.requests.len() == 3 {
            book.answer(links);
        }
    });
    assert_eq!(book.closed.expect("closed").reason, CloseReason::Unbound);
    assert_eq!((counters.pipelined_binds, counters.illegal_requests, book.ended), (1, 0, 1));
}

fn pipelined_plain<R: Runtime>() {
    pipelined::<R>(None);
}

fn pipelined_tls<R: Runtime>() {
    pipelined::<R>(Some(certificates()));
}

#[test]
fn holds_what_follows_a_bind_until_its_answer() {
    both_backends!(pipelined_plain);
}

#[test]
fn holds_what_follows_a_bind_on_tls() {
    both_backends!(pipelined_tls);
}

fn refused_bind<R: Runtime>() {
    let peer = |mut peer: Peer| {
        peer.say(&Words::default().bind(1).pdu(2, &submit_sm()));
        assert_eq!(peer.hear_all(), [(CommandId::BIND_TRANSCEIVER_RESP, 1)]);
    };
    let (book, _) = customer::<R>(Timers::default(), None, peer, |book, links| {
        if let Some((id, sequence)) = book.binds.pop() {
            links.refuse_bind(id, sequence, CommandStatus::ESME_RINVPASWD).expect("open");
            links.close(id, CloseReason::Local);
        }
    });
    assert_eq!((book.closed.expect("closed").reason, book.requests.len()), (CloseReason::Local, 0));
}

#[test]
fn drops_what_follows_a_refused_bind() {
    both_backends!(refused_bind);
}

/// A customer that submits and unbinds, and says no more; its answers come late.
fn answers_before_unbind<R: Runtime>(tls: Option<(TlsServer, TlsClient)>) {
    let peer = |mut peer: Peer| {
        peer.say(&Words::default().bind(1));
        assert_eq!(peer.hear().map(|header| header.sequence_number), Some(1));
        let submits = Words::default().pdu(2, &submit_sm()).pdu(3, &submit_sm());
        peer.say(&submits.header(CommandId::UNBIND, 4));
        peer.half_close();
        let expected =
            [(CommandId::SUBMIT_SM_RESP, 2), (CommandId::SUBMIT_SM_RESP, 3), (CommandId::UNBIND_RESP, 4)];
        assert_eq!(peer.hear_all(), expected);
    };
    let mut turns = 0;
    let (book, counters) = customer::<R>(Timers::default(), tls, peer, move |book, links| {
        book.accept_binds(links);
        if book.requests.len() == 2 && book.ended > 0 {
            turns += 1;
            if turns == 100 {
                book.answer(links);
            }
        }
    });
    assert_eq!((book.closed.expect("closed").reason, counters.overdue_ends), (CloseReason::Unbound, 0));
}

fn answers_before_unbind_plain<R: Runtime>() {
    answers_before_unbind::<R>(None);
}

fn answers_before_unbind_tls<R: Runtime>() {
    answers_before_unbind::<R>(Some(certificates()));
}

#[test]
fn answers_a_customer_that_submits_and_unbinds() {
    both_backends!(answers_before_unbind_plain);
}

#[test]
fn answers_a_customer_that_submits_and_unbinds_on_tls() {
    both_backends!(answers_before_unbind_tls);
}

fn overdue<R: Runtime>() {
    let peer = |mut peer: Peer| {
        let words = Words::default().bind(1).pdu(2, &submit_sm()).header(CommandId::UNBIND, 3);
        peer.say(&words);
        let expected = [(CommandId::BIND_TRANSCEIVER_RESP, 1), (CommandId::UNBIND_RESP, 3)];
        assert_eq!(peer.hear_all(), expected, "what is never answered holds up no end");
    };
    let timers = Timers { finish: Duration::from_millis(50), ..Timers::default() };
    let (book, counters) = customer::<R>(timers, None, peer, Book::accept_binds);
    assert_eq!((book.closed.expect("closed").reason, counters.overdue_ends), (CloseReason::Unbound, 1));
}

#[test]
fn answers_an_unbind_in_time_whatever_is_owed() {
    both_backends!(overdue);
}

fn silent_customer<R: Runtime>() {
    let peer = |mut peer: Peer| {
        peer.say(&Words::default().bind(1));
        assert_eq!(peer.hear().map(|header| header.command_id), Some(CommandId::BIND_TRANSCEIVER_RESP));
        let unbind = peer.hear().expect("an unbind");
        assert_eq!(unbind.command_id, CommandId::UNBIND);
        peer.say(&Words::default().header(CommandId::UNBIND_RESP, unbind.sequence_number));
        assert_eq!(peer.hear_all(), []);
    };
    let inactivity = Duration::from_millis(100);
    let timers = Timers { inactivity, enquire_link: Duration::ZERO, ..Timers::default() };
    let (book, _) = customer::<R>(timers, None, peer, Book::accept_binds);
    let reason = book.closed.expect("closed").reason;
    assert_eq!((reason, book.ended), (CloseReason::TimedOut(DeadlineReason::Inactivity), 1));
}

#[test]
fn unbinds_a_silent_customer() {
    both_backends!(silent_customer);
}

/// A vendor answers some before and some behind its unbind, in one segment, and is gone without having read all.
fn last_words_of_a_vendor<R: Runtime>() {
    for before in [0, 5, 10] {
        let vendor = move |mut peer: Peer| {
            let submits: Vec<u32> = (0..10).map(|_| peer.hear().expect("a submit").sequence_number).collect();
            let (first, second) = submits.split_at(before);
            let words = first.iter().fold(Words::default(), |words, sequence| words.answer(*sequence));
            let words = words.header(CommandId::UNBIND, 99);
            peer.say(&second.iter().fold(words, |words, sequence| words.answer(*sequence)));
            // Gone: what the hub says from now on breaks the connection.
        };
        let mut sent_more = 0;
        let book = self::vendor::<R>(10, vendor, move |book, links| {
            let ids: Vec<LinkId> = links.ids().collect();
            if book.ended == 0 && book.answered == 0 && sent_more < 500 {
                for id in ids {
                    sent_more += u32::from(links.request(id, &submit_sm(), 1_000).is_ok());
                }
            }
        });
        assert!(book.answered >= 10, "{before} before the unbind: {}", book.answered);
        let closed = book.closed.expect("closed");
        let lost = closed.written.iter().filter(|token| **token < 10).count();
        assert_eq!(lost, 0, "{closed:?}");
    }
}

#[test]
fn hears_the_last_words_of_a_vendor() {
    both_backends!(last_words_of_a_vendor);
}

/// A vendor unbinds while requests are on their way: nothing new leaves, and the rest is awaited.
fn vendor_unbinds<R: Runtime>() {
    let vendor = |mut peer: Peer| {
        let submits: Vec<u32> = (0..10).map(|_| peer.hear().expect("a submit").sequence_number).collect();
        peer.say(&Words::default().header(CommandId::UNBIND, 99).header(CommandId::ENQUIRE_LINK, 100));
        assert_eq!(peer.hear().map(|header| header.command_id), Some(CommandId::ENQUIRE_LINK_RESP));
        peer.say(&submits.iter().fold(Words::default(), |words, sequence| words.answer(*sequence)));
        assert_eq!(peer.hear_all(), [(CommandId::UNBIND_RESP, 99)], "and nothing new");
    };
    let book = self::vendor::<R>(10, vendor, |book, links| {
        for id in links.ids().collect::<Vec<_>>() {
            if book.ended > 0 {
                assert!(links.request(id, &submit_sm(), 1_000).is_err());
            }
        }
    });
    let closed = book.closed.expect("closed");
    assert_eq!((book.answered, closed.reason, closed.written.len()), (10, CloseReason::Unbound, 0));
}

#[test]
fn awaits_what_a_vendor_owes_when_it_unbinds() {
    both_backends!(vendor_unbinds);
}

/// Our own end waits for answers, then unbinds.
fn our_end<R: Runtime>() {
    let (told, ending) = channel();
    let vendor = move |mut peer: Peer| {
        let submits: Vec<u32> = (0..10).map(|_| peer.hear().expect("a submit").sequence_number).collect();
        ending.recv().expect("the end begins");
        peer.say(&submits.iter().fold(Words::default(), |words, sequence| words.answer(*sequence)));
        let unbind = peer.hear().expect("an unbind");
        assert_eq!(unbind.command_id, CommandId::UNBIND);
        peer.say(&Words::default().header(CommandId::UNBIND_RESP, unbind.sequence_number));
    };
    let mut ended = false;
    let book = self::vendor::<R>(10, vendor, move |_, links| {
        for id in links.ids().collect::<Vec<_>>() {
            if !ended && links.in_flight(id) > 0 && links.outbox_len(id) == 0 {
                ended = true;
                links.end(id);
                told.send(()).expect("the vendor waits");
            }
        }
    });
    assert_eq!((book.answered, book.closed.expect("closed").reason), (10, CloseReason::Unbound));
}

#[test]
fn ends_a_link_after_its_answers() {
    both_backends!(our_end);
}
