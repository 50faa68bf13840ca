//! A vendor that answers slowly loses its share and gets it back; explain over HTTP and by a file says so.

mod support;

use std::process::Command;
use std::time::{Duration, Instant};
use support::{Configuration, Gateway, load, sites, wait_until};

const LOAD: &str = r#"
[[account]]
name = "bulk"
system_id = "bulk"
password = "secret"
binds = { trx = 1 }
window = 400
receipts = { expect = false }
[[mix]]
account = "bulk"
share = 100
body = { encoding = "gsm7", length = { uniform = [40, 120] } }
source = "12025550100"
dest = "us-random"
[[phase]]
name = "steady"
rate = 200
for = "24s"
"#;

const ASKED: &str = "/api/v1/routes/explain?from=12025550100&to=13125550111&customer=bulk";

fn explained(gateway: &Gateway) -> serde_json::Value {
    let (status, body) = gateway.get(ASKED);
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

/// Share and reason of a vendor, as explained.
fn of(explained: &serde_json::Value, name: &str) -> (u64, String) {
    let vendors = explained["vendors"].as_array().expect("vendors");
    let vendor = vendors.iter().find(|vendor| vendor["name"] == name).expect("the vendor");
    (vendor["share_permille"].as_u64().unwrap_or(9999), vendor["reason"].to_string())
}

#[test]
fn a_slow_vendor_loses_its_share_and_gets_it_back() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let slow = "[[fault]]\nkind = \"latency\"\nat = \"3s\"\nfor = \"8s\"\nadd = \"2500ms\"\nscope = { site = \"Chicago\" }\n";
    let sim = sites(directory.path(), &["Chicago", "Atlanta"], "fast", slow);
    let address = |site| sim.address(site).expect("a site");
    // The same rules on a shorter scale: the default ones need half a minute more.
    let configuration = Configuration::new("auto", 1)
        .with("[relay]\ncircuit_window = \"2s\"\ncircuit_slow_after = \"500ms\"\ncircuit_ramp_up = \"3s\"")
        .customer("bulk", "")
        .vendor("Chicago", address("Chicago"), 2, "")
        .vendor("Atlanta", address("Atlanta"), 2, "")
        .route("", &["Chicago", "Atlanta"]);
    let gateway = Gateway::start(directory.path(), &configuration);
    gateway.wait_for_vendor_binds(4.0);
    wait_until("both vendors are reported", || of(&explained(&gateway), "Chicago").0 > 400);
    assert_eq!(of(&explained(&gateway), "Atlanta").1, "\"well\"");

    let (path, smpp) = (directory.path().to_owned(), gateway.smpp);
    let running = std::thread::spawn(move || load(&path, smpp, LOAD));
    let sends =
        |vendor: &str| gateway.metric("smppgw_vendor_sends_total", &[&format!("vendor=\"{vendor}\"")]);
    wait_until("traffic flows", || sends("Chicago") > 100.0 && sends("Atlanta") > 100.0);
    wait_until("the slow vendor has lost its share", || of(&explained(&gateway), "Chicago").0 <= 50);
    let found = of(&explained(&gateway), "Chicago");
    assert_ne!(found.1, "\"well\"");
    let (chicago, atlanta) = (sends("Chicago"), sends("Atlanta"));
    wait_until("the other one has the traffic", || sends("Atlanta") > atlanta + 300.0);
    let share = sends("Chicago") - chicago;
    assert!(share < 60.0, "the slow vendor got {share} of some 300");
    wait_until("it has its share back", || of(&explained(&gateway), "Chicago").0 >= 450);
    assert!(gateway.log().contains("its share shrinks") && gateway.log().contains("its share grows"));
    let outcome = running.join().expect("the load ends");
    assert!(gateway.metric("smppgw_submit_results_total", &["accepted"]) > 3_000.0, "{outcome:?}");
    assert_eq!(gateway.metric("smppgw_submit_results_total", &["rejected"]), 0.0);
    sim.stop().expect("the simulator ends");
}

#[test]
fn a_route_is_explained_by_a_file_and_by_a_running_gateway() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let sim = sites(directory.path(), &["Chicago"], "fast", "");
    let nowhere = "127.0.0.1:1".parse().expect("an address");
    let configuration = Configuration::new("auto", 2)
        .customer("bulk", "rate = 50")
        .vendor("Chicago", sim.address("Chicago").expect("a site"), 2, "")
        .vendor("Boston", nowhere, 1, "")
        .with(
            "[[route]]\nprefix = \"1\"\nhours = \"08:00-20:00\"\ncheapest = true\n\
             vendors = [{ name = \"Chicago\", price = \"0.0051\" }, { name = \"Boston\", price = \"0.0042\" }]",
        )
        .route("", &["Boston"]);
    let gateway = Gateway::start(directory.path(), &configuration);
    gateway.wait_for_vendor_binds(2.0);
    let began = Instant::now();
    let explain = |asked: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_gateway"))
            .args(["route", "explain", "--from", "12025550100", "--to", "+13125550111", "--customer", "bulk"])
            .args(asked)
            .output()
            .expect("the program runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("text")
    };
    let file = directory.path().join("gateway.toml").display().to_string();
    let at = ["--at", "2026-01-01T09:00:00Z"];
    let by_file = explain(&[&["--config", &file][..], &at].concat());
    assert!(by_file.contains("* prefix \"1\" [#1]: matches"), "{by_file}");
    assert!(by_file.contains("Boston  100.0 % first  well"), "{by_file}");
    let url = format!("http://{}", gateway.http);
    wait_until("the node explains its bound vendor", || {
        explain(&[&["--url", &url][..], &at].concat()).contains("Chicago 100.0 % first  well")
    });
    let live = explain(&[&["--url", &url][..], &at].concat());
    assert!(live.contains("Boston    0.0 % first  unbound"), "{live}");
    assert!(live.contains("customer bulk: 50 messages/s"), "{live}");
    let night = explain(&["--url", &url, "--at", "2026-01-01T23:00:00Z", "--json"]);
    let night: serde_json::Value = serde_json::from_str(&night).expect("JSON");
    assert_eq!(night["tried"][0]["is_taken"], false);
    assert_eq!(night["tried"][1]["routes"], serde_json::json!([2]));
    assert_eq!(gateway.get("/api/v1/routes/explain?to=1").0, 400, "a customer is missing");
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!(gateway.metric("smppgw_submits_total", &[]), 0.0, "nothing is sent");
    sim.stop().expect("the simulator ends");
}
