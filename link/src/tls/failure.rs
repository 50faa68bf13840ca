//! Why a TLS connection failed, in the words of an operator.

use super::own_certificate::is_authority;
use rustls::{CertificateError, Error};
use std::fmt;

/// Why a TLS connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFailure {
    /// The peer's certificate is past its time, or its time has not come.
    CertificateExpired,
    /// The peer's certificate is for another name.
    WrongName,
    /// Nobody whom we trust signed the peer's certificate.
    UnknownIssuer,
    /// The peer's certificate is an authority's (CA:TRUE), and we were not told to trust it itself.
    AuthorityAsServer,
    /// Something else is wrong with the peer's certificate.
    CertificateInvalid,
    /// The peer's first bytes are not TLS.
    NotTls,
    /// The peer said no: it does not like our certificate, version or cipher suites.
    RefusedByPeer,
    /// No version or cipher suite that both sides know.
    NothingInCommon,
    /// The connection ended before the handshake did.
    Interrupted,
    /// The peer breaks the protocol, or its bytes were changed on the way.
    Broken,
}

impl TlsFailure {
    /// A short word for metrics and logs.
    pub const fn label(self) -> &'static str {
        match self {
            TlsFailure::CertificateExpired => "tls_certificate_expired",
            TlsFailure::WrongName => "tls_wrong_name",
            TlsFailure::UnknownIssuer => "tls_unknown_issuer",
            TlsFailure::AuthorityAsServer => "tls_authority_as_server",
            TlsFailure::CertificateInvalid => "tls_certificate_invalid",
            TlsFailure::NotTls => "tls_not_spoken",
            TlsFailure::RefusedByPeer => "tls_refused_by_peer",
            TlsFailure::NothingInCommon => "tls_nothing_in_common",
            TlsFailure::Interrupted => "tls_interrupted",
            TlsFailure::Broken => "tls_broken",
        }
    }

    /// What an error during the handshake means.
    pub(super) fn of(error: &Error) -> Self {
        match error {
            error if is_authority(error) => TlsFailure::AuthorityAsServer,
            Error::InvalidCertificate(certificate) => Self::of_certificate(certificate),
            Error::InvalidMessage(_) => TlsFailure::NotTls,
            other => Self::of_established(other),
        }
    }

    /// What an error after the handshake means.
    pub(super) fn of_established(error: &Error) -> Self {
        match error {
            Error::AlertReceived(_) => TlsFailure::RefusedByPeer,
            Error::PeerIncompatible(_) => TlsFailure::NothingInCommon,
            _ => TlsFailure::Broken,
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => TlsFailure::CertificateExpired,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsFailure::WrongName
            }
            CertificateError::UnknownIssuer => TlsFailure::UnknownIssuer,
            _ => TlsFailure::CertificateInvalid,
        }
    }
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TlsFailure::CertificateExpired => "the peer's certificate has expired or is not valid yet",
            TlsFailure::WrongName => "the peer's certificate is for another name",
            TlsFailure::UnknownIssuer => "the peer's certificate is signed by nobody whom we trust",
            TlsFailure::AuthorityAsServer => {
                "the peer's certificate is an authority's (CA:TRUE) and is not itself in tls_ca_file"
            }
            TlsFailure::CertificateInvalid => "the peer's certificate is not acceptable",
            TlsFailure::NotTls => "the peer does not speak TLS on this port",
            TlsFailure::RefusedByPeer => "the peer refused by an alert",
            TlsFailure::NothingInCommon => "no TLS version or cipher suite in common with the peer",
            TlsFailure::Interrupted => "the connection ended during the handshake",
            TlsFailure::Broken => "the peer broke the protocol",
        })
    }
}

impl std::error::Error for TlsFailure {}

/// What exactly went wrong, with the rule that failed.
pub(super) fn explain(error: &Error) -> String {
    if is_authority(error) { TlsFailure::AuthorityAsServer.to_string() } else { error.to_string() }
}
