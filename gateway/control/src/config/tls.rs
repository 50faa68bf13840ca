//! TLS in `[[vendor]]` and `[listen]`: files and names become what links take, or a mistake.

use super::reader::Section;
use super::value::HostPort;
use link::{TlsClient, TlsServer, TlsTrust, TlsUnusable};
use std::net::SocketAddr;
use std::path::Path;

/// Where customers bind over TLS, and what we show them.
#[derive(Clone, Debug)]
pub struct ListenTls {
    /// The port.
    pub address: SocketAddr,
    /// Our certificate and key.
    pub server: TlsServer,
}

/// `tls`, `tls_name` and `tls_ca_file` of a vendor.
pub(crate) fn client(section: &Section<'_>, directory: &Path, hosts: &[HostPort]) -> Option<TlsClient> {
    if !section.flag("tls") {
        for key in ["tls_name", "tls_ca_file"].into_iter().filter(|key| section.has(key)) {
            section.mistake(key, &format!("{key} stands without tls"), "write tls = true, or remove it");
        }
        return None;
    }
    let trust = match section.text_if("tls_ca_file") {
        None => Some(TlsTrust::public_roots()),
        Some(file) => {
            let pem = read_file(section, "tls_ca_file", &directory.join(file));
            pem.and_then(|pem| usable(section, "tls_ca_file", TlsTrust::from_pem(&pem)))
        }
    };
    let (key, name) = match section.text_if("tls_name") {
        Some(name) => ("tls_name", name),
        None => ("addresses", only_host(section, hosts)?),
    };
    match TlsClient::new(&trust?, &name) {
        Ok(client) => Some(client),
        Err(error) => {
            let remedy = "set tls_name to the name that the vendor's certificate is for";
            section.mistake(key, &format!("\"{name}\" {error}"), remedy);
            None
        }
    }
}

/// The name that the certificate must be good for when none is given.
fn only_host(section: &Section<'_>, hosts: &[HostPort]) -> Option<String> {
    let (first, rest) = hosts.split_first()?;
    if rest.iter().any(|other| other.host != first.host) {
        let remedy = "set tls_name to a name that the certificates of all are for, or make each a vendor of its own";
        section.mistake("addresses", "tls with addresses on several hosts needs tls_name", remedy);
        return None;
    }
    Some(first.host.clone())
}

/// `smpp_tls`, `tls_certificate_file` and `tls_key_file` of `[listen]`: all three or none.
pub(crate) fn server(section: &Section<'_>, directory: &Path) -> Option<ListenTls> {
    const KEYS: [&str; 3] = ["smpp_tls", "tls_certificate_file", "tls_key_file"];
    let given = KEYS.map(|key| section.has(key) || section.was_refused(key));
    if !given.contains(&true) {
        return None;
    }
    for key in KEYS.into_iter().zip(given).filter(|(_, given)| !given).map(|(key, _)| key) {
        let what = format!("{key} is missing: a TLS port needs {}", KEYS.join(", "));
        section.mistake(key, &what, &format!("set {key}, or remove the others"));
    }
    let read = |key: &str| read_file(section, key, &directory.join(section.text_if(key)?));
    let (certificate, key) = (read("tls_certificate_file"), read("tls_key_file"));
    let server = TlsServer::from_pem(&certificate?, &key?);
    let key = match server {
        Err(TlsUnusable::Key | TlsUnusable::KeyOfAnother) => "tls_key_file",
        _ => "tls_certificate_file",
    };
    let server = usable(section, key, server)?;
    section.has("smpp_tls").then(|| ListenTls { address: section.listen("smpp_tls"), server })
}

fn usable<T>(section: &Section<'_>, key: &str, result: Result<T, TlsUnusable>) -> Option<T> {
    let note = |error: TlsUnusable| {
        section.mistake(key, &format!("{key} {error}"), "name a file with the right contents");
    };
    result.map_err(note).ok()
}

fn read_file(section: &Section<'_>, key: &str, path: &Path) -> Option<Vec<u8>> {
    let note = |error: std::io::Error| {
        let what = format!("{key} \"{}\" cannot be read: {error}", path.display());
        section.mistake(key, &what, "correct the path or its permissions");
    };
    std::fs::read(path).map_err(note).ok()
}
