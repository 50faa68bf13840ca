//! Messages through the whole gateway and back, on both back ends, with one shard and several: nothing lost,
//! nothing misrouted, nothing altered, every receipt at its customer.

mod support;

use support::{Configuration, Gateway, load, reconciled, sites};

const LOAD: &str = r#"
[[account]]
name = "otp"
system_id = "otp"
password = "secret"
binds = { trx = 2 }
window = 50
receipts = { expect = true }
[[account]]
name = "bulk"
system_id = "bulk"
password = "secret"
binds = { tx = 2, rx = 2 }
window = 100
receipts = { expect = true }
[[mix]]
account = "otp"
share = 30
body = { encoding = "gsm7", length = { uniform = [40, 120] } }
source = "12025550100"
dest = "us-random"
[[mix]]
account = "bulk"
share = 70
body = { encoding = { gsm7 = 70, latin1 = 10, ucs2 = 20 }, segments = { "1" = 80, "2" = 15, "3" = 5 }, form = "udh8" }
source = ["1202555####", "Example"]
dest = "us-random"
[load]
arrivals = "poisson"
[[phase]]
name = "steady"
rate = 2000
for = "3s"
[[phase]]
name = "drain"
until = "receipts-complete"
max = "60s"
quiet = "20s"
"#;

fn story(backend: &str, shards: u32) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let sim = sites(directory.path(), &["Chicago", "Atlanta"], "fast", "");
    let address = |site| sim.address(site).expect("a site");
    let configuration = Configuration::new(backend, shards)
        .customer("otp", "")
        .customer("bulk", "")
        .vendor("Chicago", address("Chicago"), 2, "")
        .vendor("Atlanta", address("Atlanta"), 2, "")
        .route("", &["Chicago", "Atlanta"]);
    let mut gateway = Gateway::start(directory.path(), &configuration);
    gateway.wait_for_vendor_binds(4.0);
    let mut outcome = load(directory.path(), gateway.smpp, LOAD);
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
    let result = reconciled(directory.path(), sim, &mut outcome);
    let text = result.text();
    assert!(result.holds(), "{text}");
    assert!(result.sent > 4_000, "{text}");
    assert_eq!((result.delivered, result.refused, result.unanswered), (result.sent, 0, 0), "{text}");
    assert_eq!((result.receipts.received, result.receipts.duplicated), (result.sent, 0), "{text}");
    assert!(
        result.sites.iter().all(|site| site.accepted > result.sent / 4),
        "both vendors took a share: {text}"
    );
}

/// A vendor with two kinds of binds in one entry: messages go out on transmitters, receipts come in on receivers.
#[test]
fn receivers_beside_transmitters_get_the_receipts() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let sim = sites(directory.path(), &["Chicago"], "fast", "");
    let kinds = "bind_kind = \"transmitter\"\nreceivers = 1";
    let configuration = Configuration::new("auto", 2)
        .customer("otp", "")
        .customer("bulk", "")
        .vendor("Chicago", sim.address("Chicago").expect("a site"), 2, kinds)
        .route("", &["Chicago"]);
    let mut gateway = Gateway::start(directory.path(), &configuration);
    gateway.wait_for_vendor_binds(3.0);
    let mut outcome = load(directory.path(), gateway.smpp, LOAD);
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
    assert_eq!(gateway.log().matches("kind=Receiver").count(), 1, "{}", gateway.log());
    let result = reconciled(directory.path(), sim, &mut outcome);
    let text = result.text();
    assert!(result.holds(), "{text}");
    assert_eq!((result.receipts.received, result.receipts.duplicated), (result.sent, 0), "{text}");
}

/// Long messages over two vendors of equal weight: the parts of each arrive at one of them, in order.
#[test]
fn parts_of_a_message_stay_together() {
    for form in ["udh8", "udh16"] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let sim = sites(directory.path(), &["Chicago", "Atlanta"], "fast", "");
        let address = |site| sim.address(site).expect("a site");
        let configuration = Configuration::new("auto", 2)
            .customer("bulk", "")
            .vendor("Chicago", address("Chicago"), 1, "")
            .vendor("Atlanta", address("Atlanta"), 1, "")
            .route("", &["Chicago", "Atlanta"]);
        let mut gateway = Gateway::start(directory.path(), &configuration);
        gateway.wait_for_vendor_binds(2.0);
        let long = format!(
            "[[account]]\nname = \"bulk\"\nsystem_id = \"bulk\"\npassword = \"secret\"\nbinds = {{ trx = 1 }}\n\
             window = 100\nreceipts = {{ expect = true }}\n[expect]\nparts = \"one-site\"\n\
             [[mix]]\naccount = \"bulk\"\ndest = \"us-random\"\n\
             body = {{ encoding = \"gsm7\", segments = {{ \"3\" = 100 }}, form = \"{form}\" }}\n\
             [[phase]]\nname = \"steady\"\nrate = 1500\nfor = \"2s\"\n\
             [[phase]]\nname = \"drain\"\nuntil = \"receipts-complete\"\nmax = \"60s\"\nquiet = \"20s\"\n"
        );
        let mut outcome = load(directory.path(), gateway.smpp, &long);
        assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
        let result = reconciled(directory.path(), sim, &mut outcome);
        let text = result.text();
        assert!(result.holds(), "{text}");
        assert!(result.sent > 2_000, "{text}");
        assert!(result.sites.iter().all(|site| site.accepted > result.sent / 4), "both took a share: {text}");
    }
}

#[test]
fn one_shard_on_epoll() {
    story("tokio", 1);
}

#[test]
fn three_shards_on_epoll() {
    story("tokio", 3);
}

#[test]
fn one_shard_on_io_uring() {
    if runtime::testing::glommio_allowed() {
        story("glommio", 1);
    }
}

#[test]
fn three_shards_on_io_uring() {
    if runtime::testing::glommio_allowed() {
        story("glommio", 3);
    }
}
