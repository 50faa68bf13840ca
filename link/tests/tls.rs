//! Links over TLS: two hubs on one thread, over real sockets, on both back ends, with certificates of every kind.

use link::accept::{GreetError, greet};
use link::{App, CloseReason, Closed, Event, Hub, HubOptions, LinkId, Links, SessionConfig};
use link::{TlsClient, TlsFailure, TlsServer, TlsTrust};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair, date_time_ymd};
use runtime::{Listener, Placement, Runtime, Stream, both_backends};
use smpp::dialect::Dialect;
use smpp::field::{Address, CommandStatus};
use smpp::pdu::{Bind, BindKind, Pdu, SubmitSm, SubmitSmResp};
use smpp::session::{DeadlineReason, Timers};
use smpp::tlv::{Tag, Tlvs, write_tlv};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

const LOOPBACK: &str = "127.0.0.1:0";
const PATIENCE: Duration = Duration::from_secs(60);

/// Accepts every bind and answers every submit_sm.
#[derive(Default)]
struct Smsc {
    submits: u32,
    closed: Vec<CloseReason>,
    greetings_failed: Vec<GreetError>,
}

impl App for Smsc {
    type Token = u32;

    fn on_event(&mut self, links: &mut Links<u32>, id: LinkId, event: Event<'_, u32>) {
        match event {
            Event::BindRequest { sequence, .. } => {
                assert!(links.is_encrypted(id));
                links.widen(id, 1_000, 1_000);
                links.accept_bind(id, sequence, b"smsc").expect("open");
            }
            Event::Request { frame, pdu: Pdu::SubmitSm(_), .. } => {
                self.submits += 1;
                let resp = Pdu::SubmitSmResp(SubmitSmResp { message_id: b"1", tlvs: Tlvs::default() });
                links.respond(id, frame.sequence_number(), CommandStatus::ESME_ROK, &resp).expect("open");
            }
            _ => {}
        }
    }

    fn on_closed(&mut self, _: &mut Links<u32>, _: LinkId, closed: Closed<u32>) {
        self.closed.push(closed.reason);
    }

    fn on_tick(&mut self, _: &mut Links<u32>) {}
}

/// Sends `total` submits of `size` octets, as many at a time as the window allows, then unbinds.
#[derive(Default)]
struct Esme {
    total: u32,
    size: usize,
    sent: u32,
    answered: u32,
    closed: Option<Closed<u32>>,
}

impl Esme {
    fn fill(&mut self, links: &mut Links<u32>, id: LinkId) {
        let mut tlvs = bytes::BytesMut::new();
        write_tlv(&mut tlvs, Tag::MESSAGE_PAYLOAD, &vec![b'x'; self.size]);
        let submit = Pdu::SubmitSm(SubmitSm {
            destination: Address { digits: b"12025550123", ..Address::default() },
            tlvs: Tlvs::new(&tlvs),
            ..SubmitSm::default()
        });
        while self.sent < self.total && links.request(id, &submit, self.sent).is_ok() {
            self.sent += 1;
        }
    }
}

impl App for Esme {
    type Token = u32;

    fn on_event(&mut self, links: &mut Links<u32>, id: LinkId, event: Event<'_, u32>) {
        match event {
            Event::Bound { .. } => self.fill(links, id),
            Event::Response { .. } => {
                self.answered += 1;
                self.fill(links, id);
                if self.answered == self.total {
                    links.unbind(id);
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

/// Who signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signs"))
    }

    /// A server named `smsc.example` that this authority signed for; its time ends with this year.
    fn server(&self, last_year: i32) -> TlsServer {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["smsc.example".into()]).expect("a name");
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(last_year, 12, 31);
        let certificate = params.signed_by(&key, &self.0).expect("signs");
        let (certificate, key) = (certificate.pem(), key.serialize_pem());
        TlsServer::from_pem(certificate.as_bytes(), key.as_bytes()).expect("usable")
    }

    /// A client that trusts this authority and wants this name.
    fn client(&self, name: &str) -> TlsClient {
        let trust = TlsTrust::from_pem(self.0.pem().as_bytes()).expect("a certificate");
        TlsClient::new(&trust, name).expect("a name")
    }
}

/// What a story is about.
struct Story {
    client: TlsClient,
    server: TlsServer,
    total: u32,
    size: usize,
    window: u32,
}

/// What it leaves behind.
struct Outcome {
    esme: Esme,
    smsc: Smsc,
}

/// Binds once over TLS, sends, and waits until the link is gone on both sides.
fn tell<R: Runtime>(story: Story) -> Outcome {
    on_thread::<R, _, _>(move || async move {
        let smsc: Hub<R, Smsc> = Hub::new(Smsc::default(), HubOptions::default());
        let listener = Rc::new(R::listen(LOOPBACK.parse().expect("an address")).expect("a free port"));
        R::spawn(accept::<R>(smsc.clone(), listener.clone(), story.server));
        let esme = Esme { total: story.total, size: story.size, ..Esme::default() };
        let esme: Hub<R, Esme> = Hub::new(esme, HubOptions::default());
        connect(&esme, listener.local_address(), story.window, Timers::default(), &story.client).await;
        esme.emptied().await;
        // The server has either a link that ends, or a greeting that fails.
        while smsc.with(|app, _| app.closed.is_empty() && app.greetings_failed.is_empty()) {
            R::yield_now().await;
        }
        listener.close();
        let outcome = Outcome {
            esme: esme.with(|app, _| std::mem::take(app)),
            smsc: smsc.with(|app, _| std::mem::take(app)),
        };
        esme.stop();
        smsc.stop();
        outcome
    })
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

async fn accept<R: Runtime>(hub: Hub<R, Smsc>, listener: Rc<R::Listener>, server: TlsServer) {
    while let Ok((stream, _)) = listener.accept().await {
        let buffer = hub.receive_buffer();
        match greet::<R>(stream, &buffer, PATIENCE, &Dialect::tolerant(), Some(&server)).await {
            Ok(greeting) => {
                let config = SessionConfig::customer_side(1, 1);
                let attached = hub.attach_tls(greeting.stream, config, &greeting.octets, greeting.tls);
                assert!(attached.is_ok());
            }
            Err(error) => hub.with(|app, _| app.greetings_failed.push(error)),
        }
    }
}

async fn connect<R: Runtime>(
    hub: &Hub<R, Esme>,
    address: SocketAddr,
    window: u32,
    timers: Timers,
    client: &TlsClient,
) {
    let config = SessionConfig { timers, ..SessionConfig::vendor_side(window) };
    let bind = Bind { system_id: b"esme", password: b"secret", ..Bind::default() };
    hub.connect(address, Duration::from_secs(5), config, BindKind::Transceiver, &bind, Some(client))
        .await
        .expect("connects");
}

fn traffic<R: Runtime>(total: u32, size: usize, window: u32) {
    let authority = Authority::new("ours");
    let (client, server) = (authority.client("smsc.example"), authority.server(2100));
    let outcome = tell::<R>(Story { client, server, total, size, window });
    assert_eq!((outcome.esme.answered, outcome.smsc.submits), (total, total));
    let closed = outcome.esme.closed.expect("closed");
    assert_eq!((closed.reason, closed.written.len(), closed.unsent.len()), (CloseReason::Unbound, 0, 0));
    assert_eq!(outcome.smsc.closed, [CloseReason::Unbound]);
}

fn small_messages<R: Runtime>() {
    traffic::<R>(2_000, 100, 50);
}

#[test]
fn two_thousand_submits_are_answered_and_both_sides_unbind() {
    both_backends!(small_messages);
}

/// 3 MB at once: more than a turn encrypts and more than the kernel takes.
fn large_messages<R: Runtime>() {
    traffic::<R>(400, 30_000, 100);
}

#[test]
fn more_than_fits_at_once_arrives_whole() {
    both_backends!(large_messages);
}

/// A server whose certificate signs itself, marked as an authority's, as `openssl req -x509` makes them; and that
/// certificate.
fn signs_itself(last_year: i32) -> (TlsServer, TlsTrust) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["smsc.example".into()]).expect("a name");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(last_year, 12, 31);
    let certificate = params.self_signed(&key).expect("signs").pem();
    let server = TlsServer::from_pem(certificate.as_bytes(), key.serialize_pem().as_bytes());
    (server.expect("usable"), TlsTrust::from_pem(certificate.as_bytes()).expect("a certificate"))
}

fn own_certificate<R: Runtime>() {
    let (server, trust) = signs_itself(2100);
    let client = |trust: &TlsTrust, name: &str| TlsClient::new(trust, name).expect("a name");
    let story = Story { client: client(&trust, "smsc.example"), server, total: 1, size: 1, window: 1 };
    let outcome = tell::<R>(story);
    assert_eq!((outcome.esme.answered, outcome.smsc.submits), (1, 1));
    let (server, trust) = signs_itself(2100);
    refused::<R>(client(&trust, "other.example"), server, TlsFailure::WrongName);
    let (server, trust) = signs_itself(2001);
    refused::<R>(client(&trust, "smsc.example"), server, TlsFailure::CertificateExpired);
    let (server, _) = signs_itself(2100);
    let (_, of_another) = signs_itself(2100);
    refused::<R>(client(&of_another, "smsc.example"), server, TlsFailure::AuthorityAsServer);
}

#[test]
fn trusts_a_certificate_that_signs_itself_only_when_it_is_named() {
    both_backends!(own_certificate);
}

fn refused<R: Runtime>(client: TlsClient, server: TlsServer, expected: TlsFailure) {
    let outcome = tell::<R>(Story { client, server, total: 1, size: 1, window: 1 });
    let closed = outcome.esme.closed.expect("closed");
    assert_eq!(closed.reason, CloseReason::Tls(expected));
    assert_eq!((outcome.smsc.submits, outcome.smsc.closed.len()), (0, 0), "no bind was heard");
    assert!(
        matches!(outcome.smsc.greetings_failed[..], [GreetError::Tls(TlsFailure::RefusedByPeer)]),
        "the server is told: {:?}",
        outcome.smsc.greetings_failed
    );
}

fn bad_certificates<R: Runtime>() {
    let authority = Authority::new("ours");
    refused::<R>(authority.client("other.example"), authority.server(2100), TlsFailure::WrongName);
    refused::<R>(authority.client("127.0.0.1"), authority.server(2100), TlsFailure::WrongName);
    let stranger = Authority::new("theirs").client("smsc.example");
    refused::<R>(stranger, authority.server(2100), TlsFailure::UnknownIssuer);
    let public = TlsClient::new(&TlsTrust::public_roots(), "smsc.example").expect("a name");
    refused::<R>(public, authority.server(2100), TlsFailure::UnknownIssuer);
    refused::<R>(authority.client("smsc.example"), authority.server(2001), TlsFailure::CertificateExpired);
}

#[test]
fn a_certificate_that_is_not_good_is_refused_before_the_password_is_sent() {
    both_backends!(bad_certificates);
}

/// What a TLS port does with bytes that are none.
fn plain_bytes<R: Runtime>() {
    let failed = on_thread::<R, _, _>(|| async {
        let smsc: Hub<R, Smsc> = Hub::new(Smsc::default(), HubOptions::default());
        let listener = Rc::new(R::listen(LOOPBACK.parse().expect("an address")).expect("a free port"));
        R::spawn(accept::<R>(smsc.clone(), listener.clone(), Authority::new("ours").server(2100)));
        let buffer = RefCell::new(vec![0; 1_024]);
        for plain in
            [&b"\0\0\0\x20\0\0\0\x09\0\0\0\0\0\0\0\x01esme\0pw\0\0\x34\0\0\0"[..], b"GET / HTTP/1.1\r\n\r\n"]
        {
            let stream = R::connect(listener.local_address(), PATIENCE).await.expect("connects");
            stream.try_write(plain).expect("some octets fit");
            let mut heard = Vec::new();
            while let Ok(octets @ 1..) = stream.read(&buffer).await {
                heard.extend_from_slice(&buffer.borrow()[..octets]);
            }
            assert_eq!(heard.first(), Some(&0x15), "an alert, then the end");
        }
        listener.close();
        let failed = smsc.with(|app, _| std::mem::take(&mut app.greetings_failed));
        smsc.stop();
        failed
    });
    assert!(
        matches!(failed[..], [GreetError::Tls(TlsFailure::NotTls), GreetError::Tls(TlsFailure::NotTls)]),
        "{failed:?}"
    );
}

#[test]
fn plain_bytes_on_a_tls_port_are_refused() {
    both_backends!(plain_bytes);
}

/// Connects to a peer that answers the first bytes with these, or with silence; says why the link ended.
fn against<R: Runtime>(answer: Option<&'static [u8]>) -> CloseReason {
    on_thread::<R, _, _>(move || async move {
        let listener = R::listen(LOOPBACK.parse().expect("an address")).expect("a free port");
        let esme: Hub<R, Esme> = Hub::new(Esme::default(), HubOptions::default());
        let timers = Timers { bind: Duration::from_millis(100), ..Timers::default() };
        connect(&esme, listener.local_address(), 1, timers, &Authority::new("ours").client("smsc.example"))
            .await;
        let (stream, _) = listener.accept().await.expect("the link");
        let buffer = RefCell::new(vec![0; 1_024]);
        assert!(stream.read(&buffer).await.expect("a hello") > 0);
        if let Some(answer) = answer {
            if !answer.is_empty() {
                stream.try_write(answer).expect("some octets fit");
            }
            stream.shutdown();
        }
        esme.emptied().await;
        let closed = esme.with(|app, _| app.closed.take());
        esme.stop();
        closed.expect("closed").reason
    })
}

fn peers_without_tls<R: Runtime>() {
    let nack = b"\0\0\0\x10\x80\0\0\0\0\0\0\x02\0\0\0\0";
    assert_eq!(against::<R>(Some(nack)), CloseReason::Tls(TlsFailure::NotTls));
    assert_eq!(against::<R>(Some(b"")), CloseReason::Tls(TlsFailure::Interrupted));
    assert_eq!(against::<R>(None), CloseReason::TimedOut(DeadlineReason::Bind));
}

#[test]
fn a_peer_that_does_not_speak_tls_is_told_apart_and_waited_for_no_longer_than_for_a_bind() {
    both_backends!(peers_without_tls);
}
