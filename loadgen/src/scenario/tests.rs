use super::*;
use smpp::pdu::BindKind;

const GOOD: &str = r#"
[run]
name = "t"
seed = 7
[target]
address = "127.0.0.1:2775"
[[account]]
name = "otp"
system_id = "cust"
binds = { trx = 4 }
window = 50
receipts = { expect = true, ack_delay = "2ms" }
[[mix]]
account = "otp"
share = 20
body = { encoding = { gsm7 = 85, ucs2 = 15 }, length = { uniform = [40, 120] }, segments = { "1" = 80, "3" = 20 }, form = "udh16" }
source = ["Example", "1202555####"]
tlvs = ["1401:0a0b"]
[[phase]]
name = "warmup"
rate = "1000 -> 5000"
for = "30s"
record = false
[[phase]]
name = "steady"
rate = 5000
for = "30s"
[[phase]]
name = "drain"
until = "receipts-complete"
max = "180s"
[[threshold]]
expr = "steady.submit.rt.p99 < 20ms"
"#;

#[test]
fn a_whole_scenario_is_read() {
    let scenario = Scenario::parse(GOOD).unwrap();
    assert_eq!(scenario.accounts[0].binds, Binds { transceiver: 4, transmitter: 0, receiver: 0 });
    assert_eq!(scenario.accounts[0].receipts.ack_delay, Duration::from_millis(2));
    assert_eq!(scenario.phases.len(), 3);
    assert!(!scenario.phases[0].record);
    assert_eq!(scenario.messages(), 90_000.0 + 150_000.0);
    assert_eq!(scenario.duration(), Duration::from_secs(60));
    assert_eq!(scenario.mixes[0].tlvs, [0x14, 0x01, 0, 2, 0x0A, 0x0B]);
    assert_eq!(scenario.mixes[0].sources.len(), 2);
    assert_eq!(scenario.thresholds.len(), 1);
    assert!(scenario.plan().contains("240000") || scenario.plan().contains("150000 messages"));
}

#[test]
fn all_mistakes_are_reported_with_their_lines() {
    let bad = GOOD
        .replace("seed = 7", "sead = 7")
        .replace("window = 50", "window = 0")
        .replace("rate = 5000\n", "rate = \"fast\"\n")
        .replace("steady.submit", "stead.submit")
        .replace("account = \"otp\"", "account = \"opt\"");
    let ScenarioError(mistakes) = Scenario::parse(&bad).unwrap_err();
    let found: Vec<(Option<usize>, &str)> = mistakes.iter().map(|m| (m.line, m.place.as_str())).collect();
    assert_eq!(
        found,
        [
            (Some(4), "run.sead"),
            (Some(11), "account[0].window"),
            (Some(14), "mix[0].account"),
            (Some(26), "phase[1].rate"),
            (Some(33), "threshold[0].expr"),
        ]
    );
}

#[test]
fn what_is_missing_is_named() {
    let check = |text: &str, place: &str| {
        let ScenarioError(mistakes) = Scenario::parse(text).unwrap_err();
        assert!(mistakes.iter().any(|m| m.place == place), "{place} not in {mistakes:?}");
    };
    for place in ["run", "target", "account", "mix", "phase"] {
        check("", place);
    }
    check(&GOOD.replace("for = \"30s\"\nrecord", "record"), "phase[0].for");
    check(&GOOD.replace("binds = { trx = 4 }", "binds = {}"), "account[0].binds");
    check(&GOOD.replace("binds = { trx = 4 }", "binds = { tx = 4 }"), "account[0].binds");
    check(&GOOD.replace("127.0.0.1:2775", "nowhere"), "target.address");
    check("[run\n", "file");
}

#[test]
fn sessions_of_a_kind_may_have_addresses_of_their_own() {
    let lines = "binds = { tx = 2, rx = 1 }\naddresses = { rx = [\"127.0.0.1:1\", \"127.0.0.1:2\"] }";
    let text = GOOD.replace("binds = { trx = 4 }", lines);
    let text = text.replace("2775\"\n", "2775\"\nfallbacks = [\"127.0.0.1:3\"]\n");
    let scenario = Scenario::parse(&text).unwrap();
    let ports = |kind| {
        let account = &scenario.accounts[0];
        [0, 1, 2, 3].map(|attempt| account.address_of(kind, attempt, &scenario.target).port())
    };
    assert_eq!(ports(BindKind::Receiver), [1, 2, 1, 2]);
    assert_eq!(ports(BindKind::Transmitter), [2775, 3, 2775, 3]);
    let wrong =
        Scenario::parse(&text.replace("127.0.0.1:2\"", "nobody\"").replace("{ rx =", "{ r = 1, rx ="));
    let wrong = wrong.unwrap_err().to_string();
    assert!(
        wrong.contains("account[0].addresses.rx") && wrong.contains("account[0].addresses.r:"),
        "{wrong}"
    );
}

#[test]
fn settings_replace_values() {
    let settings: Vec<Setting> = ["target.address=127.0.0.1:99", "phase.1.rate=10", "run.seed=8"]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
    let scenario = Scenario::parse_with(GOOD, &settings).unwrap();
    assert_eq!(scenario.target.address.port(), 99);
    assert_eq!(scenario.phases[1].messages(), 300.0);
    assert_eq!(scenario.seed, 8);
    let wrong = Scenario::parse_with(GOOD, &["phase.9.rate=1".parse().unwrap()]).unwrap_err();
    assert!(wrong.to_string().contains("phase.9.rate"), "{wrong}");
    assert!("nothing".parse::<Setting>().is_err());
}
