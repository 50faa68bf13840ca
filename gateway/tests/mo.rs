//! Messages from handsets to a number that customers share: told apart by keyword, whole for the one who wants it so.

mod support;

use smpp::dialect::Dialect;
use smpp::pdu::{BindKind, Pdu};
use smpp::text::segment::{Part, Udh};
use smpp::tlv::Tag;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use support::client::{Client, Heard};
use support::{Configuration, Gateway, wait_until};

/// Messages from handsets, of two parts each; fewer than an 8-bit reference has values.
const MESSAGES: u32 = 60;

fn site(directory: &std::path::Path, form: &str) -> sim_smsc::Running {
    let text = format!(
        "[run]\nname = \"test\"\nseed = 7\n[[site]]\nname = \"Chicago\"\nlisten = \"127.0.0.1:0\"\nprofile = \"fast\"\n\
         [site.mo]\nrate = 100\ncount = {MESSAGES}\nform = \"{form}\"\ndestinations = [\"12025550177\"]\n\
         keywords = [\"Win\", \"pay\", \"else\"]\n\
         [[account]]\nsites = [\"Chicago\"]\nsystem_id = \"gw01\"\npassword = \"secret\"\n"
    );
    let scenario = sim_smsc::Scenario::parse(&text, "test").unwrap_or_else(|error| panic!("{error}\n{text}"));
    let options = sim_smsc::RunOptions { out: Some(directory.to_owned()) };
    sim_smsc::Simulator::start_with(scenario, options).expect("the simulator starts")
}

/// Binds a customer that takes everything until the gateway ends; what it was delivered.
fn listener(address: SocketAddr, name: &'static str) -> JoinHandle<Vec<Heard>> {
    let mut client = Client::bound(address, BindKind::Receiver, name);
    std::thread::spawn(move || {
        let mut heard = Vec::new();
        while let Some(pdu) = client.hear() {
            client.acknowledge(&pdu);
            if matches!(pdu.pdu(), Pdu::DeliverSm(_)) {
                heard.push(pdu);
            }
        }
        heard
    })
}

/// Starts a gateway, lets all messages come, ends it: what `shop`, `bank` and `home` were delivered.
fn delivered(shards: u32, form: &str) -> [Vec<Heard>; 3] {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let sim = site(directory.path(), form);
    let configuration = Configuration::new("auto", shards)
        .customer("shop", "reassemble = true")
        .customer("bank", "")
        .customer("home", "numbers = [\"12025550177\"]")
        .vendor("Chicago", sim.address("Chicago").expect("a site"), 2, "")
        .route("", &["Chicago"])
        .with("[[mo_route]]\nnumber = \"+12025550177\"\nkeywords = [\"WIN\"]\ncustomer = \"shop\"")
        .with("[[mo_route]]\nnumber = \"12025550177\"\nkeywords = [\"pay\", \"PAID\"]\ncustomer = \"bank\"");
    let mut gateway = Gateway::start(directory.path(), &configuration);
    let listeners = ["shop", "bank", "home"].map(|name| listener(gateway.smpp, name));
    gateway.wait_for_vendor_binds(2.0);
    // The simulator's clock begins with the first submit.
    let mut client = Client::bound(gateway.smpp, BindKind::Transmitter, "home");
    client.submit_and_hear("12025550123", "hello", false);
    wait_until("all messages came and were answered", || {
        let counters = sim.counters("Chicago").expect("a site");
        counters.mo_acked == u64::from(2 * MESSAGES)
    });
    let metric = |name: &str| gateway.metric(&format!("smppgw_{name}_total"), &[]);
    wait_until("the gateway says so too", || metric("mo_parts") >= 2.0 * f64::from(MESSAGES));
    assert_eq!((metric("mo_incomplete"), metric("mo_gather_full"), metric("orphans")), (0.0, 0.0, 0.0));
    drop(client);
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
    sim.stop().expect("the simulator ends");
    listeners.map(|listener| listener.join().expect("the customer ends"))
}

/// The texts of a customer who takes parts, put together as a handset does.
fn put_together(heard: &[Heard]) -> Vec<String> {
    let mut messages: BTreeMap<u16, BTreeMap<u8, String>> = BTreeMap::new();
    for pdu in heard {
        let Pdu::DeliverSm(pdu) = pdu.pdu() else { panic!("a deliver_sm") };
        let part =
            Part::find(pdu.esm_class.has_user_data_header(), pdu.short_message, &pdu.tlvs).expect("a part");
        let (_, text) = Udh::split(pdu.short_message).expect("a header");
        let parts = messages.entry(part.reference).or_default();
        let twice = parts.insert(part.number, String::from_utf8_lossy(text).into_owned());
        assert!(twice.is_none() && part.total == 2);
    }
    messages.into_values().map(|parts| parts.into_values().collect()).collect()
}

fn keywords_and_reassembly(shards: u32, form: &str) {
    let [shop, bank, home] = delivered(shards, form);
    let mut count = 0;
    for heard in &shop {
        let Ok(Pdu::DeliverSm(pdu)) = Pdu::decode(heard.frame(), &Dialect::strict()) else {
            panic!("strict")
        };
        let text = pdu.tlvs.find(Tag::MESSAGE_PAYLOAD).expect("the text of a whole message");
        assert!(pdu.short_message.is_empty() && !pdu.esm_class.has_user_data_header());
        assert!(text.starts_with(b"Win "));
        assert_same_message(&String::from_utf8_lossy(text));
        count += 1;
    }
    for (heard, word) in [(&bank, "pay "), (&home, "else ")] {
        for text in put_together(heard) {
            assert!(text.starts_with(word), "{text}");
            assert_same_message(&text);
            count += 1;
        }
    }
    assert_eq!(count, MESSAGES);
    assert!(shop.len() > 5 && bank.len() > 10 && home.len() > 10);
}

/// Both parts carry the key of one message, the first one first: keys differ in the part alone.
fn assert_same_message(text: &str) {
    let keys: Vec<ledger::MessageKey> = text
        .char_indices()
        .filter_map(|(at, _)| ledger::MessageKey::parse(text.as_bytes().get(at..)?))
        .collect();
    let [first, second] = keys[..] else { panic!("two keys: {text}") };
    assert_eq!((first.segment, second.segment), (0, 1));
    assert_eq!(first, ledger::MessageKey { segment: 0, ..second });
}

#[test]
fn a_shared_number_on_one_shard() {
    keywords_and_reassembly(1, "udh");
}

/// The vendor's two binds are on two shards: parts of a message come on both.
#[test]
fn a_shared_number_on_two_shards() {
    keywords_and_reassembly(2, "udh16");
}
