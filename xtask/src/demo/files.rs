//! The three files of the demo: two sites, a gateway between, customers before it.

use std::net::SocketAddr;

/// The sites as the simulator and the gateway call them.
pub(super) const SITES: [&str; 2] = ["Sinch_Chicago", "Sinch_Atlanta"];
/// The one that is lost.
pub(super) const LOST: &str = SITES[0];
/// Binds of the gateway at each site. One site alone carries twice the load of the default rate.
const SITE_BINDS: usize = 8;
/// Messages a second that one bind of a site takes.
const SITE_RATE: usize = 2000;
/// The site is lost after this share of the time, for that share.
const LOST_AFTER: f64 = 0.4;
const LOST_FOR: f64 = 0.3;

/// A customer of the demo: name, password, binds, window, share of the load, kind of traffic.
struct Customer {
    name: &'static str,
    password: &'static str,
    transceivers: usize,
    transmitters: usize,
    receivers: usize,
    window: usize,
    share: usize,
    body: &'static str,
}

const CUSTOMERS: [Customer; 3] = [
    Customer {
        name: "otp",
        password: "otp-pass",
        transceivers: 2,
        transmitters: 0,
        receivers: 0,
        window: 500,
        share: 20,
        body: r#"{ encoding = "gsm7", length = { uniform = [40, 80] } }"#,
    },
    Customer {
        name: "bulk",
        password: "bulk-pas",
        transceivers: 0,
        transmitters: 4,
        receivers: 2,
        window: 1000,
        share: 70,
        body: r#"{ encoding = { gsm7 = 85, ucs2 = 15 }, length = { uniform = [40, 66] }, segments = { "1" = 90, "2" = 10 } }"#,
    },
    Customer {
        name: "alerts",
        password: "alerts-p",
        transceivers: 1,
        transmitters: 0,
        receivers: 0,
        window: 500,
        share: 10,
        body: r#"{ encoding = "latin1", length = { uniform = [60, 140] } }"#,
    },
];

/// When the site is lost and for how long, in seconds.
pub(super) fn outage(seconds: u64) -> (f64, f64) {
    (seconds as f64 * LOST_AFTER, seconds as f64 * LOST_FOR)
}

/// The simulator's scenario: two sites that answer within milliseconds, one of them half-open for a while.
pub(super) fn simulator(seconds: u64, seed: u64) -> String {
    let (at, lasts) = outage(seconds);
    let mut text = format!(
        r#"# Written by `cargo xtask demo`.
[run]
name = "demo"
seed = {seed}
t0 = "first-submit"

[http]
listen = "127.0.0.1:0"

# Contract limits, but quicker than a real network, so that the demo ends soon.
[profile.demo]
inherits = "sinch-contract"
binds = {{ max = {SITE_BINDS} }}
window = {{ max = 500 }}
rate = {{ limit = {SITE_RATE}, burst = {SITE_RATE}, scope = "bind" }}

[profile.demo.response]
latency = {{ lognormal = {{ median = "5ms", p99 = "50ms" }} }}

[profile.demo.receipts.states]
DELIVRD = {{ weight = 970, delay = {{ lognormal = {{ median = "300ms", p99 = "3s" }} }} }}
UNDELIV = {{ weight = 20, err = [150, 202, 349], delay = "500ms" }}
REJECTD = {{ weight = 10, err = [15, 60, 64], delay = "100ms" }}

[[account]]
sites = ["{}", "{}"]
system_id = "gw01"
password = "secret"

# Neither reads nor writes, no FIN, no RST; then it comes back without memory of its connections.
[[fault]]
kind = "half-open"
at = "{:.0}ms"
for = "{:.0}ms"
scope = {{ site = "{LOST}", binds = "all" }}
"#,
        SITES[0],
        SITES[1],
        at * 1e3,
        lasts * 1e3,
    );
    for site in SITES {
        text += &format!("\n[[site]]\nname = \"{site}\"\nlisten = \"127.0.0.1:0\"\nprofile = \"demo\"\n");
    }
    text
}

/// The gateway's configuration. A silent site is noticed by its unanswered requests, and what was sent to it goes
/// to the other one.
pub(super) fn gateway(sites: &[(&str, SocketAddr)], shards: usize) -> String {
    let mut text = format!(
        r#"# Written by `cargo xtask demo`.
[node]
name = "demo"
id = 1
state_directory = "state"

[runtime]
backend = "auto"
shards = {shards}

[listen]
smpp = "127.0.0.1:0"
http = "127.0.0.1:0"

[relay]
queue_max = 100000
"#
    );
    for customer in &CUSTOMERS {
        let Customer { name, password, transceivers, transmitters, receivers, window, .. } = customer;
        text += &format!(
            r#"
[[customer]]
system_id = "{name}"
password = "{password}"
binds_max = {}
window = {window}
rate = 0
unknown_outcome = "retry_other"
"#,
            transceivers + transmitters + receivers
        );
    }
    for (name, address) in sites {
        text += &format!(
            r#"
[[vendor]]
name = "{name}"
addresses = ["{address}"]
system_id = "gw01"
password = "secret"
bind_kind = "transceiver"
binds = {SITE_BINDS}
window = 500
rate_per_bind = {}
response_timeout = "2s"
enquire_link = "1s"
reconnect_first = "200ms"
reconnect_max = "2s"
"#,
            SITE_RATE * 95 / 100
        );
    }
    let shares = sites.iter().map(|(name, _)| format!("{{ name = \"{name}\", weight = 50 }}"));
    text += &format!("\n[[route]]\nprefix = \"\"\nvendors = [{}]\n", shares.collect::<Vec<_>>().join(", "));
    text
}

/// The load generator's scenario.
pub(super) fn load(target: SocketAddr, seconds: u64, rate: u64, seed: u64) -> String {
    let (at, lasts) = outage(seconds);
    let warmup = (seconds / 10).max(1);
    let mut text = format!(
        r#"# Written by `cargo xtask demo`.
[run]
name = "demo"
seed = {seed}
# All programs share the cores of this machine: the figures say what happened, they are no benchmark.
lag_max = "250ms"

[target]
address = "{target}"

[load]
model = "open"
arrivals = "poisson"

[[fault]]
name = "{LOST} half-open"
at = "{:.0}ms"
for = "{:.0}ms"

[[phase]]
name = "warmup"
rate = "{} -> {rate}"
for = "{warmup}s"

[[phase]]
name = "steady"
rate = {rate}
for = "{}s"

[[phase]]
name = "drain"
until = "receipts-complete"
max = "60s"
quiet = "15s"
"#,
        at * 1e3,
        lasts * 1e3,
        (rate / 10).max(1),
        seconds.saturating_sub(warmup).max(1),
    );
    for customer in &CUSTOMERS {
        let Customer { name, password, transceivers, transmitters, receivers, window, share, body } =
            customer;
        text += &format!(
            r#"
[[account]]
name = "{name}"
system_id = "{name}"
password = "{password}"
binds = {{ trx = {transceivers}, tx = {transmitters}, rx = {receivers} }}
window = {window}
receipts = {{ expect = true }}

[[mix]]
account = "{name}"
share = {share}
body = {body}
"#
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outage_lies_within_the_run() {
        for seconds in [5, 20, 45, 600] {
            let (at, lasts) = outage(seconds);
            assert!(at > 0.0 && lasts > 0.0 && at + lasts < seconds as f64);
        }
    }

    #[test]
    fn the_files_name_the_same_accounts() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let gateway = gateway(&[(SITES[0], address), (SITES[1], address)], 0);
        let load = load(address, 45, 8000, 1);
        for customer in &CUSTOMERS {
            for text in [&gateway, &load] {
                assert!(text.contains(&format!("system_id = \"{}\"", customer.name)));
                assert!(text.contains(&format!("password = \"{}\"", customer.password)));
            }
            assert!(customer.password.len() <= 8, "SMPP allows no longer password");
        }
    }
}
