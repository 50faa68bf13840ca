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
        let remedy =
            "set tls_name to a name that the certificates of all are for, or make each a vendor of its own";
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

#[cfg(test)]
mod tests {
    use crate::config::{Config, Mistake, parse};
    use std::path::Path;

    /// A directory with `own.pem` and `own.key`, which belong together, `other.key`, and `none.pem` without contents.
    fn files() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let [own, other] =
            [(); 2].map(|()| rcgen::generate_simple_self_signed(vec!["gw.example".into()]).unwrap());
        let write = |name: &str, text: String| std::fs::write(directory.path().join(name), text).unwrap();
        write("own.pem", own.cert.pem());
        write("own.key", own.signing_key.serialize_pem());
        write("other.key", other.signing_key.serialize_pem());
        write("none.pem", String::new());
        directory
    }

    fn read(directory: &Path, text: &str) -> Result<Config, Vec<String>> {
        let shown = |mistakes: Vec<Mistake>| {
            let place = format!("{}/", directory.display());
            mistakes.iter().map(|mistake| mistake.to_string().replace(&place, "")).collect()
        };
        parse(&directory.join("gw.toml"), text, &[]).map_err(shown)
    }

    fn vendor(settings: &str) -> String {
        format!("[[vendor]]\nname = \"west\"\nsystem_id = \"g\"\npassword = \"p\"\n{settings}")
    }

    #[test]
    fn a_vendor_is_known_by_the_host_of_its_addresses_or_by_tls_name() {
        let directory = files();
        for (settings, name) in [
            ("addresses = [\"a.example:1\", \"a.example:2\"]\ntls = true", Some("a.example")),
            ("addresses = [\"192.0.2.1:1\"]\ntls = true", Some("192")),
            (
                "addresses = [\"a.example:1\", \"b.example:1\"]\ntls = true\ntls_name = \"c.example\"",
                Some("c.example"),
            ),
            ("addresses = [\"a.example:1\"]\ntls = true\ntls_ca_file = \"own.pem\"", Some("a.example")),
            ("addresses = [\"a.example:1\"]", None),
        ] {
            let config = read(directory.path(), &vendor(settings)).unwrap();
            match (&config.vendors[0].tls, name) {
                (Some(tls), Some(name)) => assert!(format!("{tls:?}").contains(name), "{tls:?}"),
                (found, expected) => assert_eq!(found.is_some(), expected.is_some(), "{settings}"),
            }
        }
    }

    #[test]
    fn a_port_takes_its_certificate_and_key() {
        let text = "[listen]\nsmpp_tls = \"127.0.0.1:2776\"\ntls_certificate_file = \"own.pem\"\ntls_key_file = \"own.key\"\n";
        let config = read(files().path(), text).unwrap();
        assert_eq!(config.listen.tls.map(|tls| tls.address.port()), Some(2776));
        assert!(read(files().path(), "").unwrap().listen.tls.is_none());
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let directory = files();
        let check = |text: &str, expected: &str| {
            let found = read(directory.path(), text).map(drop).unwrap_err();
            assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}, not {expected}");
        };
        let on = |settings: &str| vendor(&format!("addresses = [\"a.example:1\"]\n{settings}"));
        check(
            &on("tls_name = \"a\""),
            "gw.toml:6:12: vendor \"west\": tls_name stands without tls; write tls = true",
        );
        check(
            &on("tls = true\ntls_name = \"a b\""),
            "gw.toml:7:12: vendor \"west\": \"a b\" is neither a DNS name",
        );
        check(
            &on("tls = true\ntls_ca_file = \"away.pem\""),
            "gw.toml:7:15: vendor \"west\": tls_ca_file \"away.pem\" cannot be read",
        );
        check(
            &on("tls = true\ntls_ca_file = \"none.pem\""),
            "gw.toml:7:15: vendor \"west\": tls_ca_file holds no certificate",
        );
        let hosts = vendor("addresses = [\"a.example:1\", \"b.example:1\"]\ntls = true");
        check(&hosts, "gw.toml:5:13: vendor \"west\": tls with addresses on several hosts needs tls_name");
        let listen = |certificate: &str, key: &str| {
            format!(
                "[listen]\nsmpp_tls = \"127.0.0.1:2775\"\nsmpp = \"127.0.0.1:2774\"\ntls_certificate_file = \"{certificate}\"\ntls_key_file = \"{key}\"\n"
            )
        };
        check(
            &listen("own.pem", "other.key"),
            "gw.toml:5:16: [listen]: tls_key_file holds the key of another",
        );
        check(&listen("own.pem", "own.pem"), "gw.toml:5:16: [listen]: tls_key_file holds no private key");
        check(
            &listen("own.key", "own.key"),
            "gw.toml:4:24: [listen]: tls_certificate_file holds no certificate",
        );
        check(
            &listen("own.pem", "own.key").replace("2774", "2775"),
            "gw.toml:2:12: [listen]: smpp_tls has the address",
        );
        let alone = "[listen]\nsmpp_tls = \"127.0.0.1:2776\"\ntls_certificate_file = \"own.pem\"\n";
        check(alone, "gw.toml:1:1: [listen]: tls_key_file is missing");
    }
}
