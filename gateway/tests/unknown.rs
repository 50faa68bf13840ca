//! Vendors that take messages and do not answer: each policy judged by ledgers, and a receipt that tells the outcome.

mod support;

use smpp::field::{Address, CommandId, CommandStatus, RegisteredDelivery};
use smpp::pdu::{BindKind, Pdu, SubmitSm};
use std::path::Path;
use support::bulk::Bulk;
use support::client::Client;
use support::{Configuration, Gateway, load, reconciled, wait_until};

const SITES: [&str; 2] = ["Chicago", "Atlanta"];

/// Two sites whose receipts come after the gateway has given up waiting for the answer: 1 s.
fn late_receipts(directory: &Path, begin: &str, fault: &str) -> sim_smsc::Running {
    let mut text = format!("[run]\nname = \"test\"\nseed = 7\n{begin}\n");
    for name in SITES {
        text.push_str(&format!(
            "[[site]]\nname = \"{name}\"\nlisten = \"127.0.0.1:0\"\nprofile = \"fast\"\n\
             [site.receipts.states]\nDELIVRD = {{ weight = 1, delay = \"2s\" }}\n"
        ));
    }
    text.push_str(&format!(
        "[[account]]\nsites = {SITES:?}\nsystem_id = \"gw01\"\npassword = \"secret\"\n{fault}\n"
    ));
    let scenario = sim_smsc::Scenario::parse(&text, "test").unwrap_or_else(|error| panic!("{error}\n{text}"));
    let options = sim_smsc::RunOptions { out: Some(directory.to_owned()) };
    sim_smsc::Simulator::start_with(scenario, options).expect("the simulator starts")
}

fn configuration(sim: &sim_smsc::Running, shards: u32, customer: &str) -> Configuration {
    let address = |site| sim.address(site).expect("a site");
    let quick = "response_timeout = \"1s\"";
    Configuration::new("auto", shards)
        .customer("bulk", customer)
        .vendor("Chicago", address("Chicago"), 2, quick)
        .vendor("Atlanta", address("Atlanta"), 2, quick)
        .route("", &SITES)
}

/// Messages are taken, and their answers lost: a part of them, for a while, at one site.
const LOST: &str = "[[fault]]\nkind = \"lose-response\"\np = 0.2\nat = \"500ms\"\nfor = \"2s\"\n\
                    scope = { site = \"Chicago\" }\n";

/// Runs the load under this policy on two shards; the gateway's figures by name.
fn judged(policy: &str) -> (loadgen::reconcile::Reconciliation, impl Fn(&str) -> f64) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let sim = late_receipts(directory.path(), "t0 = \"first-submit\"", LOST);
    let customer = format!("unknown_outcome = \"{policy}\"");
    let mut gateway = Gateway::start(directory.path(), &configuration(&sim, 2, &customer));
    gateway.wait_for_vendor_binds(4.0);
    let bulk = Bulk { window: 400, rate: 300, seconds: 4, quiet_seconds: 5, ..Bulk::default() };
    let mut outcome = load(directory.path(), gateway.smpp, &bulk.scenario());
    let names = ["resolved", "forgotten"];
    let mut figures: Vec<(String, f64)> = names
        .iter()
        .map(|name| (String::from(*name), gateway.metric("smppgw_unknowns_total", &[&format!("\"{name}\"")])))
        .collect();
    for name in ["vendor_unknown", "unknown_retries", "maybe_twice", "orphans"] {
        figures.push((name.into(), gateway.metric(&format!("smppgw_{name}_total"), &[])));
    }
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
    let result = reconciled(directory.path(), sim, &mut outcome);
    println!("{policy}: {figures:?}\n{}", result.text());
    assert!(result.holds(), "{}", result.text());
    assert_eq!((result.unanswered, result.refused), (0, 0), "{}", result.text());
    let figure = move |name: &str| {
        figures.iter().find(|(found, _)| found == name).map(|(_, value)| *value).expect("a figure")
    };
    (result, figure)
}

#[test]
fn fail_tells_the_customer_and_sends_nothing_twice() {
    let (result, figure) = judged("fail");
    assert!(result.unknown > 20, "{}", result.text());
    assert_eq!((result.ambiguous, result.unknown), (0, result.unknown_accepted));
    assert_eq!(figure("vendor_unknown"), result.unknown as f64);
    // Every one of them had a receipt: it is known by now, though the customer was told before.
    assert!(figure("resolved") >= 0.9 * result.unknown as f64, "{}", result.text());
}

#[test]
fn retry_other_sends_a_second_copy_and_says_so() {
    let (result, figure) = judged("retry_other");
    assert!(result.ambiguous > 20, "{}", result.text());
    assert!(figure("unknown_retries") >= result.ambiguous as f64, "{}", result.text());
    assert!(figure("maybe_twice") >= 20.0, "{}", result.text());
    // Four tries at most for each, and what was lost four times is told.
    assert!(result.unknown < result.ambiguous, "{}", result.text());
}

/// A customer that submits again after it was told nothing certain gets one message, not two.
#[test]
fn a_resubmit_of_what_a_receipt_told_is_not_sent_again() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let lost = "[[fault]]\nkind = \"lose-response\"\np = 1.0\nat = \"0s\"\n";
    let sim = late_receipts(directory.path(), "t0 = \"start\"", lost);
    let customer = "unknown_outcome = \"fail\"\ndeduplicate = \"tlv\"\ndeduplicate_tlv = 516";
    let configuration = configuration(&sim, 2, customer).with("[cdr]\nrecent_max = 100");
    let mut gateway = Gateway::start(directory.path(), &configuration);
    gateway.wait_for_vendor_binds(4.0);
    let mut client = Client::bound(gateway.smpp, BindKind::Transceiver, "bulk");
    let submit = Pdu::SubmitSm(SubmitSm {
        source: Address { digits: b"12025550100", ..Address::default() },
        destination: Address { digits: b"13125550111", ..Address::default() },
        registered_delivery: RegisteredDelivery(1),
        short_message: b"once",
        tlvs: smpp::tlv::Tlvs::new(b"\x02\x04\x00\x02\x00\x07"),
        ..SubmitSm::default()
    });
    client.send(&submit);
    client.send(&submit);
    let refused = client.hear().expect("an answer");
    assert_eq!(refused.status(), CommandStatus::ESME_RMSGQFUL, "the first is open");
    let told = client.hear().expect("an answer");
    assert_eq!(told.status(), CommandStatus::ESME_RUNKNOWNERR);
    wait_until("the receipt told it", || gateway.metric("smppgw_unknowns_total", &["resolved"]) >= 1.0);
    client.send(&submit);
    let duplicate = client.hear().expect("an answer");
    assert_eq!(
        (duplicate.command(), duplicate.status()),
        (CommandId::SUBMIT_SM_RESP, CommandStatus::ESME_ROK)
    );
    assert_eq!(duplicate.message_id().len(), 16);
    wait_until("it is counted", || gateway.metric("smppgw_submit_results_total", &["duplicate"]) >= 1.0);
    assert_eq!(gateway.metric("smppgw_vendor_sends_total", &[]), 1.0);
    let mut records = serde_json::Value::Null;
    wait_until("outcome, duplicate and receipt are in the records", || {
        let (status, body) = gateway.get(&format!("/api/v1/messages/{}", duplicate.message_id()));
        assert_eq!(status, 200, "{body}");
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        records = body["messages"][0]["records"].clone();
        let records = records.as_array().expect("records");
        ["resolved", "duplicate", "delivery"]
            .iter()
            .all(|kind| records.iter().any(|one| one["kind"] == *kind))
    });
    let of = |kind: &str| records.as_array().into_iter().flatten().find(|one| one["kind"] == kind);
    let state = |kind: &str| of(kind).map(|one| one["state"].clone());
    assert_eq!((state("submit"), state("resolved")), (Some("unknown".into()), Some("acked".into())));
    assert_eq!(of("delivery").map(|one| one["receipt_state"].clone()), Some("DELIVRD".into()));
    drop(client);
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
    sim.stop().expect("the simulator ends");
}
