//! What a TLS connection is made of: whom to trust, who we are. Made once, shared by all connections.

use super::own_certificate::OwnCertificateVerifier;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier};
use std::fmt;
use std::sync::Arc;

/// Whose signature under a peer's certificate is believed. Cheap to clone.
#[derive(Clone)]
pub struct TlsTrust {
    config: Arc<ClientConfig>,
    /// What it was made of; none for the public roots. By it two are told apart.
    pem: Option<Arc<[u8]>>,
}

impl TlsTrust {
    /// The roots that browsers trust, as of the release of `webpki-roots` that was built in.
    pub fn public_roots() -> Self {
        let roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        Self::new(client().with_root_certificates(roots).with_no_client_auth(), None)
    }

    /// These and no others; `pem` holds certificates in PEM form, and at least one. A server may show one of them as its
    /// own.
    ///
    /// # Errors
    /// What makes the text unusable.
    pub fn from_pem(pem: &[u8]) -> Result<Self, TlsUnusable> {
        let unusable = |error: String| TlsUnusable::Certificate(error);
        let trusted = certificates(pem)?;
        let mut roots = RootCertStore::empty();
        for certificate in &trusted {
            roots.add(certificate.clone()).map_err(|error| unusable(error.to_string()))?;
        }
        let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
        let usual = usual.build().map_err(|error| unusable(error.to_string()))?;
        let verifier = Arc::new(OwnCertificateVerifier::new(usual, trusted));
        let config = client().dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        Ok(Self::new(config, Some(pem.into())))
    }

    fn new(mut config: ClientConfig, pem: Option<Arc<[u8]>>) -> Self {
        config.resumption = rustls::client::Resumption::disabled();
        TlsTrust { config: Arc::new(config), pem }
    }
}

/// What a client's TLS needs: whom to trust, and the name that the server's certificate must be good for.
#[derive(Clone)]
pub struct TlsClient {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
    pem: Option<Arc<[u8]>>,
}

/// Equal where the same authorities are trusted and the same name is demanded.
impl PartialEq for TlsClient {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.pem == other.pem
    }
}

impl TlsClient {
    /// `name` is a DNS name or an IP address.
    ///
    /// # Errors
    /// When the name is neither.
    pub fn new(trust: &TlsTrust, name: &str) -> Result<Self, TlsUnusable> {
        let name = ServerName::try_from(name.to_owned()).map_err(|_| TlsUnusable::Name)?;
        Ok(TlsClient { config: trust.config.clone(), name, pem: trust.pem.clone() })
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a server's TLS needs: its certificate and key.
#[derive(Clone)]
pub struct TlsServer {
    pub(super) config: Arc<ServerConfig>,
}

impl TlsServer {
    /// `certificate` holds our certificate and then those between it and a root, `key` its private key (PKCS#8, PKCS#1
    /// or SEC1), both in PEM form.
    ///
    /// # Errors
    /// What makes them unusable, also when the key is not that of the certificate.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, TlsUnusable> {
        let chain = certificates(certificate)?;
        // The error is not shown: it could quote the key.
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsUnusable::Key)?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            // TLS 1.2 and 1.3 are both built in, and ring has suites for each.
            .expect("the provider fits the versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => TlsUnusable::KeyOfAnother,
                error => TlsUnusable::Certificate(error.to_string()),
            })?;
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(TlsServer { config: Arc::new(config) })
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer").finish_non_exhaustive()
    }
}

/// Why a certificate, key or name cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsUnusable {
    /// There is no certificate in the text.
    NoCertificate,
    /// A certificate cannot be read, or not be used, and why.
    Certificate(String),
    /// There is no private key in the text, or none of a kind that we know.
    Key,
    /// The key is not that of the certificate.
    KeyOfAnother,
    /// The name is neither a DNS name nor an IP address.
    Name,
}

impl fmt::Display for TlsUnusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsUnusable::NoCertificate => f.write_str("holds no certificate in PEM form"),
            TlsUnusable::Certificate(why) => write!(f, "holds a certificate that cannot be used: {why}"),
            TlsUnusable::Key => f.write_str("holds no private key in PEM form"),
            TlsUnusable::KeyOfAnother => f.write_str("holds the key of another certificate"),
            TlsUnusable::Name => f.write_str("is neither a DNS name nor an IP address"),
        }
    }
}

impl std::error::Error for TlsUnusable {}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsUnusable> {
    let unreadable = |error: pem::Error| TlsUnusable::Certificate(error.to_string());
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(unreadable)?;
    if found.is_empty() { Err(TlsUnusable::NoCertificate) } else { Ok(found) }
}

fn client() -> ConfigBuilder<ClientConfig, WantsVerifier> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        // TLS 1.2 and 1.3 are both built in, and ring has suites for each.
        .expect("the provider fits the versions")
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
