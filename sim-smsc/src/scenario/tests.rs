use super::*;
use crate::latency::Latency;
use crate::rate::{OnExceed, Scope};
use std::time::Duration;

fn site(profile: &str) -> String {
    format!(
        "[[site]]\nname = 'a'\nlisten = '127.0.0.1:0'\nprofile = '{profile}'\n[[account]]\nsystem_id = 'gw'\n"
    )
}

#[test]
fn every_profile_parses() {
    for (name, _) in PROFILES {
        let scenario =
            Scenario::parse(&site(name), "test").unwrap_or_else(|error| panic!("{name}:\n{error}"));
        assert_eq!(scenario.sites[0].accounts[0].over_bind, 5);
    }
}

#[test]
fn the_shipped_scenario_parses() {
    let scenario = Scenario::parse(include_str!("../../scenarios/two-sites.toml"), "two-sites.toml")
        .unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<_> = scenario.sites.iter().map(|site| site.name.as_str()).collect();
    assert_eq!(names, ["Sinch_Chicago", "Sinch_Atlanta"]);
    assert_eq!(scenario.sites[0].behaviour.rate.limit, 2000.0);
    assert_eq!(scenario.sites[1].behaviour.rate.limit, 5000.0);
    assert_eq!(scenario.sites[0].accounts[0].binds_max, 16);
    let kinds: Vec<_> = scenario.faults.iter().map(|fault| fault.kind.name()).collect();
    assert_eq!(kinds, ["half-open", "errors", "throttle", "latency"]);
}

#[test]
fn profiles_inherit_and_sites_override() {
    let text = "[profile.mine]\ninherits = 'sinch-contract'\n[profile.mine.response]\nlatency = '5ms'\n\
                [profile.mine.receipts]\nstates = { REJECTD = { weight = 1 } }\n"
        .to_owned()
        + &site("mine").replace("[[account]]", "window = { on_exceed = 0x14 }\n[[account]]\nmax = 3");
    let scenario = Scenario::parse(&text, "test").unwrap();
    let behaviour = &scenario.sites[0].behaviour;
    assert_eq!(behaviour.response.latency, Latency::Fixed(Duration::from_millis(5)));
    assert_eq!(behaviour.window.max, 200);
    assert_eq!(behaviour.window.on_exceed, OnFullWindow::Status(0x14));
    assert_eq!(behaviour.rate.scope, Scope::Bind);
    assert_eq!(behaviour.rate.on_exceed, OnExceed::Status(0x58));
    assert_eq!(behaviour.ids.width, 10);
    assert_eq!(scenario.sites[0].accounts[0].binds_max, 3);
    assert_ne!(behaviour.receipts.outcomes, crate::testing::behaviour("").receipts.outcomes);
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let found = match Scenario::parse(text, "f") {
        Ok(_) => Vec::new(),
        Err(ScenarioError::Mistaken(mistakes)) => mistakes.iter().map(ToString::to_string).collect(),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(found, expected);
}

#[test]
fn all_mistakes_are_reported_with_their_place() {
    check(&site("sinch-default"), &[]);
    check(
        "[run]\nseed = -1\nsede = 2\n\n[[site]]\nname = 'a'\nlisten = 'nowhere'\n\
         rate = { limit = 'fast', on_exceed = 'sometimes' }\nreceipts = { tlvs = ['0042'], states = { LOST = {} } }\n\
         [[site]]\nname = 'a'\nlisten = '127.0.0.1:1'\nprofile = 'other'\n\
         [[account]]\nsystem_id = 'gw'\nsites = ['b']\n\
         [[fault]]\nkind = 'flood'\nat = 'soon'\n[[fault]]\nkind = 'rst'\nfor = '5s'\nscope = { site = 'c' }\n",
        &[
            "f:1: a fault names the site c, which is not there",
            "f:1: site a has no [[account]]",
            "f:2: run.seed: must be a whole number from 0 to 9223372036854775807",
            "f:3: run.sede: unknown key",
            "f:5: site[0]: listen must be an address such as 127.0.0.1:0, not nowhere",
            "f:8: site[0].rate.limit: must be a number from 0 to 1000000000",
            "f:8: site[0].rate.on_exceed: must be one of delay, stop-read",
            "f:9: site[0].receipts: tlvs are among 001E, 0427, 0423, 1403",
            "f:9: site[0].receipts.states: LOST is no state; known are DELIVRD, UNDELIV, ..., and NONE",
            "f:10: site[1]: a second site is called a",
            "f:10: site[1]: there is no profile other",
            "f:14: account[0]: there is no site b",
            "f:17: fault[0]: kind must be one of refuse, rst, fin, unbind, half-open, stall-responses, errors, \
             throttle, lose-response, lose-request, latency",
            "f:17: fault[0]: needs at or after_submits",
            "f:19: fault[0].at: must be a duration such as \"250ms\", \"10s\", \"5m\", \"72h\"",
            "f:20: fault[1]: needs at or after_submits",
        ],
    );
}

#[test]
fn mistakes_of_form_come_alone() {
    let Err(ScenarioError::Mistaken(mistakes)) = Scenario::parse("[run\nseed = \n", "f") else {
        panic!("this is no TOML")
    };
    assert!(!mistakes.is_empty());
    assert!(mistakes.iter().all(|mistake| mistake.path.is_empty()), "{mistakes:?}");
}

#[test]
fn profiles_nobody_uses_are_read_as_well() {
    check(
        &(site("fast") + "[profile.idle]\ninherits = 'idle'\n[profile.typo.windows]\nmax = 3\n"),
        &["f:7: profile.idle: profile idle inherits in a circle", "f:9: profile.typo.windows: unknown key"],
    );
}

#[test]
fn durations_and_latencies() {
    let latency = |value: &str| crate::testing::behaviour(&format!("response = {{ latency = {value} }}"));
    let ms = Duration::from_millis;
    for (text, expected) in [
        ("'1.5s'", Latency::Fixed(ms(1500))),
        ("{ fixed = '250us' }", Latency::Fixed(Duration::from_micros(250))),
        ("{ uniform = ['1ms', '2ms'] }", Latency::Uniform(ms(1), ms(2))),
        (
            "{ normal = { mean = '10ms', deviation = '2ms' } }",
            Latency::Normal { mean: ms(10), deviation: ms(2) },
        ),
        ("{ lognormal = { median = '1ms', p99 = '9ms' } }", Latency::LogNormal { median: ms(1), p99: ms(9) }),
        ("{ pareto = { minimum = '1ms', shape = 1.5 } }", Latency::Pareto { minimum: ms(1), shape: 1.5 }),
    ] {
        assert_eq!(latency(text).response.latency, expected);
    }
}
