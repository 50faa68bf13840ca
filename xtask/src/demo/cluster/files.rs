//! The files of three nodes, what is imported before they start, and the statement that adds a vendor.

use std::net::SocketAddr;
use std::path::Path;

use super::super::files::{self, SITE_BINDS, VENDOR, VENDOR_RATE, VENDOR_WINDOW};

/// Nodes of the gateway.
pub(super) const NODES: usize = 3;
/// The sites that the nodes know from their start.
pub(super) const SITES: [&str; 2] = files::SITES;
/// The one that is inserted later.
pub(super) const LATE: &str = "Sinch_Dallas";
/// Where the nodes find the password for the sites; the database holds no passwords but customers' hashes.
pub(super) const PASSWORD_FILE: &str = "vendor.password";
/// Binds of each node at a site that allows more than all nodes have.
const BINDS: usize = SITE_BINDS / NODES;
/// Binds that the second site allows: fewer than there are nodes, so that one node has none and sends through another.
const SHARED_BINDS: usize = 2;
/// Shares of the sites that are known from the start; the second one has as many binds in all as the first at one node.
const WEIGHTS: [u32; 2] = [75, 25];
/// By which nodes know each other.
const CLUSTER_SECRET: &str = "only for the demo: nodes of one gateway";

/// What makes a node's file its own.
pub(super) struct NodeFile<'a> {
    pub(super) id: usize,
    pub(super) smpp: SocketAddr,
    pub(super) postgres: String,
    pub(super) redis: SocketAddr,
    pub(super) folder: &'a Path,
}

impl NodeFile<'_> {
    pub(super) fn text(&self) -> String {
        let NodeFile { id, smpp, postgres, redis, folder } = self;
        format!(
            r#"# Written by `cargo xtask demo --postgres --redis`.
[node]
name = "node-{id}"
id = {id}
state_directory = "{}/state-{id}"

[runtime]
backend = "auto"
shards = 1

[listen]
smpp = "{smpp}"
http = "127.0.0.1:0"

[source]
kind = "postgres"
postgres_url = "{postgres}"

[store]
kind = "redis"
url = "redis://{redis}"
reclaim_after = "2s"

[cluster]
secret = "{CLUSTER_SECRET}"
address = "{smpp}"
slot_lease = "3s"
slot_grace = "2s"

[relay]
queue_max = 100000
"#,
            folder.display()
        )
    }
}

/// The simulator's scenario: all three sites stand from the start, whether anybody knows them or not.
pub(super) fn simulator(seed: u64) -> String {
    let sites = [(SITES[0], SITE_BINDS), (SITES[1], SHARED_BINDS), (LATE, SITE_BINDS)];
    files::simulator(&sites, None, seed)
}

/// Customers, two vendors and a route, as `gateway import` takes them.
pub(super) fn first_configuration(addresses: [SocketAddr; 2]) -> String {
    let mut text = format!("# Written by `cargo xtask demo --postgres --redis`.\n{}", files::customers());
    let binds = [format!("binds = {BINDS}"), format!("binds_total = {SHARED_BINDS}")];
    for ((name, address), binds) in SITES.iter().zip(addresses).zip(binds) {
        text += &files::vendor(name, address, &format!("password_file = \"{PASSWORD_FILE}\"\n{binds}"));
    }
    text + &files::route(SITES.into_iter().zip(WEIGHTS))
}

/// One statement: the vendor, and its share of the route.
pub(super) fn insert_vendor(address: SocketAddr) -> String {
    let (keys, values): (Vec<_>, Vec<_>) =
        VENDOR.iter().map(|(key, value)| (*key, format!("'{value}'"))).unzip();
    format!(
        "with vendor as (insert into vendors (name, addresses, password_file, binds, \"window\", rate_per_bind, {}) \
         values ('{LATE}', '{{{address}}}', '{PASSWORD_FILE}', {BINDS}, {VENDOR_WINDOW}, {VENDOR_RATE}, {}) returning name) \
         insert into route_vendors (route, vendor, weight) select routes.id, vendor.name, 50 from routes, vendor",
        keys.join(", "),
        values.join(", ")
    )
}

/// The load generator's scenario: each customer begins at another node.
pub(super) fn load(
    nodes: &[SocketAddr],
    seconds: u64,
    rate: u64,
    seed: u64,
    marks: &[(String, f64, f64)],
) -> String {
    files::load(&files::Load { nodes, seconds, rate, seed, marks })
}
