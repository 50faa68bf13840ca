//! The three files of the demo: two sites, a gateway between, customers before it.

use std::fmt::Write;
use std::net::SocketAddr;

/// The sites as the simulator and the gateway call them.
pub(super) const SITES: [&str; 2] = ["Sinch_Chicago", "Sinch_Atlanta"];
/// The one that is lost.
pub(super) const LOST: &str = SITES[0];
/// Binds that a site allows. One site alone carries twice the load of the default rate.
pub(super) const SITE_BINDS: usize = 8;
/// Messages a second that one bind of a site takes.
const SITE_RATE: usize = 2000;
/// Who the gateway is at the sites.
pub(super) const SYSTEM_ID: &str = "gw01";
/// And how it proves it.
pub(super) const PASSWORD: &str = "secret";
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

/// The simulator's scenario: sites, each with the binds that it allows, that answer within milliseconds; where there is a
/// time, [`LOST`] is half-open from then on for a while, in seconds.
pub(super) fn simulator(sites: &[(&str, usize)], outage: Option<(f64, f64)>, seed: u64) -> String {
    let names = sites.iter().map(|(site, _)| format!("\"{site}\"")).collect::<Vec<_>>().join(", ");
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
window = {{ max = 500 }}
rate = {{ limit = {SITE_RATE}, burst = {SITE_RATE}, scope = "bind" }}

[profile.demo.response]
latency = {{ lognormal = {{ median = "5ms", p99 = "50ms" }} }}

[profile.demo.receipts.states]
DELIVRD = {{ weight = 970, delay = {{ lognormal = {{ median = "300ms", p99 = "3s" }} }} }}
UNDELIV = {{ weight = 20, err = [150, 202, 349], delay = "500ms" }}
REJECTD = {{ weight = 10, err = [15, 60, 64], delay = "100ms" }}

[[account]]
sites = [{names}]
system_id = "{SYSTEM_ID}"
password = "{PASSWORD}"
"#
    );
    for (site, binds) in sites {
        text += &format!(
            r#"
[profile.{site}]
inherits = "demo"
binds = {{ max = {binds} }}

[[site]]
name = "{site}"
listen = "127.0.0.1:0"
profile = "{site}"
"#
        );
    }
    if let Some((at, lasts)) = outage {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            r#"
# Neither reads nor writes, no FIN, no RST; then it comes back without memory of its connections.
[[fault]]
kind = "half-open"
at = "{:.0}ms"
for = "{:.0}ms"
scope = {{ site = "{LOST}", binds = "all" }}
"#,
            at * 1e3,
            lasts * 1e3,
        );
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
    text += &customers();
    for (name, address) in sites {
        text += &vendor(name, *address, &format!("password = \"{PASSWORD}\"\nbinds = {SITE_BINDS}"));
    }
    text += &route(sites.iter().map(|(name, _)| (*name, 50)));
    text
}

/// The customers as a gateway's configuration has them.
pub(super) fn customers() -> String {
    let mut text = String::new();
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
    text
}

/// Settings of a vendor that the demo wants otherwise than by default, but for names and binds.
pub(super) const VENDOR: [(&str, &str); 6] = [
    ("system_id", SYSTEM_ID),
    ("bind_kind", "transceiver"),
    ("response_timeout", "2s"),
    ("enquire_link", "1s"),
    ("reconnect_first", "200ms"),
    ("reconnect_max", "2s"),
];
/// Unanswered messages of one bind.
pub(super) const VENDOR_WINDOW: usize = 500;
/// Messages in a second and bind: a little less than a site takes.
pub(super) const VENDOR_RATE: usize = SITE_RATE * 95 / 100;

/// A site as a gateway's configuration has it; `more` says how it binds and how it proves itself.
pub(super) fn vendor(name: &str, address: SocketAddr, more: &str) -> String {
    let mut text = format!("\n[[vendor]]\nname = \"{name}\"\naddresses = [\"{address}\"]\n");
    text += &format!("{more}\nwindow = {VENDOR_WINDOW}\nrate_per_bind = {VENDOR_RATE}\n");
    for (key, value) in VENDOR {
        text += &format!("{key} = \"{value}\"\n");
    }
    text
}

/// One route for everything; vendors with their weights.
pub(super) fn route<'a>(vendors: impl Iterator<Item = (&'a str, u32)>) -> String {
    let shares = vendors.map(|(name, weight)| format!("{{ name = \"{name}\", weight = {weight} }}"));
    format!("\n[[route]]\nprefix = \"\"\nvendors = [{}]\n", shares.collect::<Vec<_>>().join(", "))
}

/// The load of a demo.
pub(super) struct Load<'a> {
    /// The gateway's nodes; each customer binds to one of them, and to the next ones when that is gone.
    pub(super) nodes: &'a [SocketAddr],
    pub(super) seconds: u64,
    /// Messages a second.
    pub(super) rate: u64,
    pub(super) seed: u64,
    /// What the report shows beside the figures: name, begin and length in seconds.
    pub(super) marks: &'a [(String, f64, f64)],
}

/// The load generator's scenario.
pub(super) fn load(load: &Load<'_>) -> String {
    let Load { nodes, seconds, rate, seed, marks } = *load;
    let target = nodes[0];
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
        (rate / 10).max(1),
        seconds.saturating_sub(warmup).max(1),
    );
    for (name, at, lasts) in marks {
        text += &format!(
            "\n[[fault]]\nname = \"{name}\"\nat = \"{:.0}ms\"\nfor = \"{:.0}ms\"\n",
            at * 1e3,
            lasts * 1e3
        );
    }
    for (place, customer) in CUSTOMERS.iter().enumerate() {
        let Customer { name, password, transceivers, transmitters, receivers, window, share, body } =
            customer;
        let addresses = nodes.iter().cycle().skip(place).take(nodes.len());
        let addresses = format!("{:?}", addresses.map(ToString::to_string).collect::<Vec<_>>());
        text += &format!(
            r#"
[[account]]
name = "{name}"
system_id = "{name}"
password = "{password}"
binds = {{ trx = {transceivers}, tx = {transmitters}, rx = {receivers} }}
addresses = {{ trx = {addresses}, tx = {addresses}, rx = {addresses} }}
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
        let load = load(&Load { nodes: &[address], seconds: 45, rate: 8000, seed: 1, marks: &[] });
        for customer in &CUSTOMERS {
            for text in [&gateway, &load] {
                assert!(text.contains(&format!("system_id = \"{}\"", customer.name)));
                assert!(text.contains(&format!("password = \"{}\"", customer.password)));
            }
            assert!(customer.password.len() <= 8, "SMPP allows no longer password");
        }
    }
}
