//! Client against server in memory, at any split of the octets.

use super::*;
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};

/// An authority, and a server with a certificate of it for the name `smsc.example`.
fn world() -> (TlsTrust, TlsServer) {
    let mut params = CertificateParams::new(Vec::new()).expect("names");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signs");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["smsc.example".into()]).expect("a name");
    let certificate = params.signed_by(&key, &authority).expect("signs");
    let server = TlsServer::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes());
    (TlsTrust::from_pem(authority.pem().as_bytes()).expect("a certificate"), server.expect("usable"))
}

fn pair(name: &str) -> (Tls, Tls) {
    let (trust, server) = world();
    let client = TlsClient::new(&trust, name).expect("a name");
    (Tls::client(&client).expect("begins"), Tls::server(&server).expect("begins"))
}

/// Carries what `from` has pending to `to`, so many octets at a time.
fn carry(from: &mut Tls, to: &mut Tls, step: usize, plain: &mut Vec<u8>) -> Result<Received, TlsFailure> {
    let mut last = Received::default();
    while !from.pending().is_empty() {
        let piece = from.pending()[..from.pending().len().min(step)].to_vec();
        from.advance(piece.len());
        last = to.received(&piece, plain)?;
    }
    Ok(last)
}

fn shake_hands(client: &mut Tls, server: &mut Tls, step: usize) {
    let mut nothing = Vec::new();
    for _ in 0..8 {
        carry(client, server, step, &mut nothing).expect("the server likes the client");
        carry(server, client, step, &mut nothing).expect("the client likes the server");
    }
    assert!(client.is_established() && server.is_established() && nothing.is_empty());
}

#[test]
fn octets_arrive_in_order_at_any_split() {
    let said: Vec<u8> = (0..100_000_u32).map(|number| (number % 251) as u8).collect();
    for step in [1, 2, 5, 100, 16_384, usize::MAX] {
        let (mut client, mut server) = pair("smsc.example");
        assert_eq!(client.encrypt(&said), 0, "nothing is taken before the handshake is done");
        shake_hands(&mut client, &mut server, step);
        let (mut taken, mut heard) = (0, Vec::new());
        while taken < said.len() {
            taken += client.encrypt(&said[taken..]);
            carry(&mut client, &mut server, step, &mut heard).expect("whole");
        }
        assert!(heard == said, "step {step}");
        client.end();
        let last = carry(&mut client, &mut server, step, &mut heard).expect("whole");
        assert!(last.peer_ended && client.encrypt(b"x") == 0);
    }
}

#[test]
fn no_more_is_encrypted_than_may_be_pending() {
    let (mut client, mut server) = pair("smsc.example");
    shake_hands(&mut client, &mut server, usize::MAX);
    let said = vec![7; 10 * limits::TLS_PENDING_MAX];
    let mut taken = 0;
    loop {
        match client.encrypt(&said[taken..]) {
            0 => break,
            octets => taken += octets,
        }
    }
    assert!(
        (limits::TLS_PENDING_MAX - limits::TLS_PIECE..=limits::TLS_PENDING_MAX).contains(&taken),
        "{taken}"
    );
    assert!(client.pending().len() < limits::TLS_PENDING_MAX + limits::TLS_PIECE);
}

#[test]
fn a_changed_octet_is_noticed() {
    let (mut client, mut server) = pair("smsc.example");
    shake_hands(&mut client, &mut server, usize::MAX);
    client.encrypt(b"a PDU");
    let mut changed = client.pending().to_vec();
    *changed.last_mut().expect("octets") ^= 1;
    let mut heard = Vec::new();
    assert_eq!(server.received(&changed, &mut heard), Err(TlsFailure::Broken));
    assert!(heard.is_empty() && !server.why().is_empty());
}

#[test]
fn a_wrong_name_fails_at_the_client_and_is_told_to_the_server() {
    let (mut client, mut server) = pair("other.example");
    let mut nothing = Vec::new();
    carry(&mut client, &mut server, usize::MAX, &mut nothing).expect("a hello");
    let failed = carry(&mut server, &mut client, usize::MAX, &mut nothing);
    assert_eq!(failed, Err(TlsFailure::WrongName));
    assert!(client.why().contains("smsc.example"), "{}", client.why());
    let told = carry(&mut client, &mut server, usize::MAX, &mut nothing);
    assert_eq!(told, Err(TlsFailure::RefusedByPeer));
}

#[test]
fn other_bytes_than_tls_are_told_apart() {
    let bind = b"\0\0\0\x20\0\0\0\x09\0\0\0\0\0\0\0\x01esme\0pw\0\0\x34\0\0\0".as_slice();
    for bytes in [bind, b"GET / HTTP/1.1\r\n\r\n", b"\x80\x80\x80\x80\x80\x80\x80\x80"] {
        let (mut client, mut server) = pair("smsc.example");
        let mut nothing = Vec::new();
        assert_eq!(server.received(bytes, &mut nothing), Err(TlsFailure::NotTls), "{bytes:?}");
        assert_eq!(client.received(bytes, &mut nothing), Err(TlsFailure::NotTls), "{bytes:?}");
    }
}

#[test]
fn what_cannot_be_used_is_said() {
    let (trust, _) = world();
    let usable = |name: &str| TlsClient::new(&trust, name).map(drop);
    assert_eq!(
        (usable("smsc.example"), usable("192.0.2.1"), usable("2001:db8::1")),
        (Ok(()), Ok(()), Ok(()))
    );
    assert_eq!(usable("no name"), Err(TlsUnusable::Name));
    assert_eq!(TlsTrust::from_pem(b"").map(drop), Err(TlsUnusable::NoCertificate));
    let cut = b"-----BEGIN CERTIFICATE-----\nAAAA\n";
    assert!(matches!(TlsTrust::from_pem(cut).map(drop), Err(TlsUnusable::Certificate(_))));
    let (one, other) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    let certificate =
        CertificateParams::new(vec!["a".into()]).expect("a name").self_signed(&one).expect("signs");
    let server = |key: &str| TlsServer::from_pem(certificate.pem().as_bytes(), key.as_bytes()).map(drop);
    assert_eq!(server(&one.serialize_pem()), Ok(()));
    assert_eq!(server(&other.serialize_pem()), Err(TlsUnusable::KeyOfAnother));
    assert_eq!(server("no key"), Err(TlsUnusable::Key));
}
