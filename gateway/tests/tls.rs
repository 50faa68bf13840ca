//! Two gateways in a row, with TLS between them: one as a vendor's client, the other as a customers' server with several
//! shards. What went in at one end comes out at the other, and every receipt the way back.

mod support;

use support::{Configuration, Gateway, load, reconciled, sites, wait_until};

const LOAD: &str = r#"
[[account]]
name = "bulk"
system_id = "bulk"
password = "secret"
binds = { trx = 2 }
window = 50
receipts = { expect = true }
[[mix]]
account = "bulk"
share = 100
body = { encoding = { gsm7 = 70, ucs2 = 30 }, segments = { "1" = 80, "3" = 20 }, form = "udh8" }
source = "12025550100"
dest = "us-random"
[load]
arrivals = "poisson"
[[phase]]
name = "steady"
rate = 500
for = "3s"
[[phase]]
name = "drain"
until = "receipts-complete"
max = "60s"
quiet = "20s"
"#;

const SERVER: &str =
    "smpp_tls = \"127.0.0.1:0\"\ntls_certificate_file = \"own.pem\"\ntls_key_file = \"own.key\"";
const CLIENT: &str = "tls = true\ntls_name = \"inner.example\"\ntls_ca_file = \"inner.pem\"";

/// A directory for each gateway: the inner one's with its certificate and key, the outer one's with the certificate alone.
fn directories(name: &str) -> [tempfile::TempDir; 2] {
    let directories = [(); 2].map(|()| tempfile::tempdir().expect("a temporary directory"));
    let made = rcgen::generate_simple_self_signed(vec![name.into()]).expect("a certificate");
    let write = |index: usize, name: &str, text: String| {
        let directory: &tempfile::TempDir = &directories[index];
        std::fs::write(directory.path().join(name), text).expect("a writable directory");
    };
    write(0, "own.pem", made.cert.pem());
    write(0, "own.key", made.signing_key.serialize_pem());
    write(1, "inner.pem", made.cert.pem());
    directories
}

fn story(backend: &str) {
    let [inner_directory, outer_directory] = directories("inner.example");
    let sim = sites(inner_directory.path(), &["Chicago"], "fast", "");
    // So many shards that the account does not live on the one that accepts.
    let account = relay::AccountId::of_name(b"gw01");
    let shards = (2..8).find(|shards| shard::home_shard(account, *shards) != 0).expect("ids spread");
    let inner = Configuration::new(backend, u32::from(shards))
        .with(SERVER)
        .customer("gw01", "")
        .vendor("Chicago", sim.address("Chicago").expect("a site"), 2, "")
        .route("", &["Chicago"]);
    let mut inner = Gateway::start(inner_directory.path(), &inner);
    let outer = Configuration::new(backend, 2)
        .customer("bulk", "")
        .vendor("inner", inner.smpp_tls.expect("a TLS port"), 4, CLIENT)
        .route("", &["inner"]);
    let mut outer = Gateway::start(outer_directory.path(), &outer);
    inner.wait_for_vendor_binds(2.0);
    outer.wait_for_vendor_binds(4.0);
    wait_until("sessions were handed to their account's shard", || {
        inner.metric("smppgw_links_handed_over_total", &[]) >= 4.0
    });
    let mut outcome = load(inner_directory.path(), outer.smpp, LOAD);
    assert_eq!(outer.terminate(), Some(0), "{}", outer.log());
    assert_eq!(inner.terminate(), Some(0), "{}", inner.log());
    let result = reconciled(inner_directory.path(), sim, &mut outcome);
    let text = result.text();
    assert!(result.holds() && result.sent > 1_000, "{text}");
    assert_eq!((result.delivered, result.refused, result.unanswered), (result.sent, 0, 0), "{text}");
    assert_eq!((result.receipts.received, result.receipts.duplicated), (result.sent, 0), "{text}");
}

#[test]
fn messages_and_receipts_cross_an_encrypted_link_on_epoll() {
    story("tokio");
}

#[test]
fn messages_and_receipts_cross_an_encrypted_link_on_io_uring() {
    if runtime::testing::glommio_allowed() {
        story("glommio");
    }
}

#[test]
fn a_certificate_for_another_name_keeps_the_link_down_and_stands_in_the_log() {
    let [inner_directory, outer_directory] = directories("other.example");
    let inner = Gateway::start(inner_directory.path(), &Configuration::new("tokio", 1).with(SERVER));
    let outer = Configuration::new("tokio", 1)
        .vendor("inner", inner.smpp_tls.expect("a TLS port"), 1, CLIENT)
        .route("", &["inner"]);
    let outer = Gateway::start(outer_directory.path(), &outer);
    wait_until("the refusal is in the log", || outer.log().contains("tls_wrong_name"));
    assert!(outer.log().contains("certificate not valid for name"), "{}", outer.log());
}
