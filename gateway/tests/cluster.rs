//! Two nodes on one Redis: receipts come back to either, customers are bound to either, and any of the three is killed.

mod support;

use loadgen::Outcome;
use redis_server::RedisServer;
use smpp::field::CommandStatus;
use smpp::pdu::{BindKind, Pdu};
use std::collections::BTreeSet;
use std::path::Path;
use std::thread::JoinHandle;
use support::bulk::Bulk;
use support::client::Client;
use support::{Configuration, Gateway, load, reconciled, sites, wait_until};

/// Everything of one test.
struct Cluster {
    directory: tempfile::TempDir,
    redis: RedisServer,
    sim: sim_smsc::Running,
    a: Gateway,
    b: Gateway,
}

impl Cluster {
    /// Two nodes with two binds each to one site, which sends receipts over all of them. Nothing where there is no Redis.
    fn start() -> Option<Cluster> {
        let redis = RedisServer::start()?;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let sim = sites(directory.path(), &["Chicago"], "fast", "");
        let address = sim.address("Chicago").expect("a site");
        let node = |id: u8| {
            let folder = directory.path().join(format!("node-{id}"));
            std::fs::create_dir(&folder).expect("writable");
            let url = redis.url();
            let configuration = Configuration::node("auto", 1, id)
                .with(&format!("[store]\nkind = \"redis\"\nurl = \"{url}\"\nreclaim_after = \"2s\""))
                .customer("bulk", "")
                .vendor("Chicago", address, 2, "response_timeout = \"2s\"\nenquire_link = \"1s\"")
                .route("", &["Chicago"]);
            let gateway = Gateway::start(&folder, &configuration);
            gateway.wait_for_vendor_binds(2.0);
            gateway
        };
        let (a, b) = (node(1), node(2));
        Some(Cluster { redis, sim, a, b, directory })
    }

    /// Load for so long, whose sessions of each kind go where `sessions` says.
    fn load(&self, seconds: u32, sessions: Sessions) -> JoinHandle<Outcome> {
        let (path, a, b) = (self.directory.path().to_owned(), self.a.smpp, self.b.smpp);
        let account = match sessions {
            Sessions::OnA => format!("binds = {{ trx = 2 }}\naddresses = {{ trx = [\"{a}\", \"{b}\"] }}"),
            Sessions::SendToAListenToB => format!(
                "binds = {{ tx = 2, rx = 2 }}\n\
                 addresses = {{ tx = [\"{a}\", \"{b}\"], rx = [\"{b}\", \"{a}\"] }}"
            ),
        };
        // Longer than what a dead node was lent stays with it.
        let bulk = Bulk { account: &account, seconds, quiet_seconds: 6, ..Bulk::default() };
        let scenario = bulk.scenario();
        std::thread::spawn(move || load(&path, a, &scenario))
    }
}

/// Where the customer's sessions go; when they are dropped, to the other node.
#[derive(Clone, Copy)]
enum Sessions {
    OnA,
    SendToAListenToB,
}

fn accepted(gateway: &Gateway) -> f64 {
    gateway.metric("smppgw_submit_results_total", &["accepted"])
}

fn delivered(gateway: &Gateway) -> f64 {
    gateway.metric("smppgw_deliveries_total", &["taken"])
}

/// By the node, or by the store where the receipt came before the store knew of its message.
fn parked(gateway: &Gateway) -> f64 {
    let by_store = gateway.metric("smppgw_store_operations_total", &["early_serve"]);
    gateway.metric("smppgw_parked_total", &[]) + by_store
}

fn judge(path: &Path, sim: sim_smsc::Running, mut outcome: Outcome, delivered_min: u64) {
    let result = reconciled(path, sim, &mut outcome);
    let text = result.text();
    assert!(result.holds(), "{text}");
    assert!(result.delivered >= delivered_min, "{text}");
}

#[test]
fn receipts_return_through_the_other_node() {
    let Some(cluster) = Cluster::start() else { return };
    let running = cluster.load(3, Sessions::OnA);
    let outcome = running.join().expect("the load ends");
    let Cluster { directory, redis: _redis, sim, a, b } = cluster;
    assert!(b.metric("smppgw_receipts_total", &[]) > 500.0, "half of the receipts came to the other node");
    assert!(a.metric("smppgw_unparked_total", &[]) > 500.0, "which handed them on");
    judge(directory.path(), sim, outcome, 2_500);
}

/// What the dead node had in hand is asked for again, and the receipts of what it sent come to the other one.
#[test]
fn kill_9_of_the_node_that_submitted() {
    let Some(cluster) = Cluster::start() else { return };
    let running = cluster.load(4, Sessions::SendToAListenToB);
    wait_until("traffic flows", || accepted(&cluster.a) > 1_500.0);
    assert_eq!(accepted(&cluster.b), 0.0, "only this node submits");
    assert_eq!(delivered(&cluster.a), 0.0, "and the customer listens to the other one alone");
    let Cluster { directory, redis: _redis, sim, a, b } = cluster;
    a.kill();
    let outcome = running.join().expect("the load ends");
    assert!(accepted(&b) > 500.0, "traffic went on by the other node");
    judge(directory.path(), sim, outcome, 3_000);
}

/// What it was lent and had not delivered comes back; the customer listens to the other node from then on.
#[test]
fn kill_9_of_the_node_that_holds_the_customer() {
    let Some(cluster) = Cluster::start() else { return };
    let running = cluster.load(4, Sessions::SendToAListenToB);
    wait_until("traffic flows", || accepted(&cluster.a) > 1_500.0);
    wait_until("receipts flow", || delivered(&cluster.b) > 500.0);
    assert_eq!(delivered(&cluster.a), 0.0, "the customer listens to the other node alone");
    let Cluster { directory, redis: _redis, sim, a, b } = cluster;
    b.kill();
    let outcome = running.join().expect("the load ends");
    assert!(delivered(&a) > 500.0, "the customer listens to this node now");
    judge(directory.path(), sim, outcome, 3_900);
}

#[test]
fn a_customer_who_was_absent_gets_everything_on_the_other_node() {
    const MESSAGES: usize = 300;
    let Some(cluster) = Cluster::start() else { return };
    let Cluster { directory: _directory, redis: _redis, sim: _sim, a, b } = cluster;
    let mut client = Client::bound(a.smpp, BindKind::Transmitter, "bulk");
    let mut ids = BTreeSet::new();
    for number in 0..MESSAGES {
        let heard = client.submit_and_hear("12025550123", &format!("message {number}"), true);
        assert_eq!(heard.status(), CommandStatus::ESME_ROK);
        ids.insert(heard.message_id());
    }
    wait_until("all receipts are parked", || parked(&a) + parked(&b) >= MESSAGES as f64);
    let mut receiver = Client::bound(b.smpp, BindKind::Receiver, "bulk");
    let mut open = ids.clone();
    while !open.is_empty() {
        let heard = receiver.hear_delivery();
        receiver.acknowledge(&heard);
        let Pdu::DeliverSm(receipt) = heard.pdu() else { panic!("no delivery") };
        let text = String::from_utf8_lossy(receipt.short_message).into_owned();
        let id = text.strip_prefix("id:").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        assert!(ids.contains(id), "somebody else's: {text}");
        open.remove(id);
    }
    wait_until("nothing is left", || {
        [&a, &b]
            .iter()
            .any(|node| node.metric("smppgw_store_operations_total", &["release"]) >= MESSAGES as f64)
    });
}

#[test]
fn kill_9_of_redis_with_restart() {
    let Some(mut cluster) = Cluster::start() else { return };
    let running = cluster.load(5, Sessions::OnA);
    wait_until("traffic flows", || accepted(&cluster.a) > 1_000.0);
    cluster.redis.kill();
    wait_until("it is known to be away", || cluster.a.metric("smppgw_store_away", &[]) > 0.0);
    let before = accepted(&cluster.a);
    wait_until("traffic goes on without it", || accepted(&cluster.a) > before + 300.0);
    cluster.redis.run();
    let outcome = running.join().expect("the load ends");
    assert!(cluster.a.metric("smppgw_store_ring_total", &["flushed"]) > 0.0);
    let Cluster { directory, redis: _redis, sim, a: _a, b: _b } = cluster;
    judge(directory.path(), sim, outcome, 4_000);
}
