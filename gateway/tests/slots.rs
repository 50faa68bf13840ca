//! Three nodes and a vendor that allows two binds: who binds, how the third one sends, and that the vendor never sees more,
//! whoever is killed or stands still.

mod support;

use redis_server::RedisServer;
use smpp::field::CommandStatus;
use smpp::pdu::BindKind;
use std::path::Path;
use support::bulk::Bulk;
use support::client::Client;
use support::way::Way;
use support::{Configuration, Gateway, load, reconciled, sites, wait_until};

/// Binds that the vendor allows, to all nodes together.
const ALLOWED: u64 = 2;
/// A simulated vendor notices at once that a process is dead.
const SHORT_GRACE: &str = "slot_grace = \"1s\"";

/// Everything of one test.
struct Cluster {
    directory: tempfile::TempDir,
    redis: RedisServer,
    /// By node.
    ways: Vec<Way>,
    sim: sim_smsc::Running,
    /// Which binds of the vendor the nodes share.
    vendor: String,
    nodes: Vec<Gateway>,
}

impl Cluster {
    /// Three nodes, of which two hold a bind each. Nothing where there is no Redis. `more` is of `[cluster]`.
    fn start(more: &str) -> Option<Cluster> {
        let cluster = Cluster::with_vendor(format!("binds_total = {ALLOWED}"), more)?;
        wait_until("two nodes have a bind each", || cluster.held() == [0.0, 1.0, 1.0]);
        Some(cluster)
    }

    /// The same with these lines of the vendor, whose binds are not waited for.
    fn with_vendor(vendor: String, more: &str) -> Option<Cluster> {
        let redis = RedisServer::start()?;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let sim = sites(directory.path(), &["Chicago"], "fast", "max = 2");
        let ways = (1..=3).map(|_| Way::to(&redis.url())).collect();
        let mut cluster = Cluster { directory, redis, ways, sim, vendor, nodes: Vec::new() };
        for id in 1..=3 {
            let node = cluster.node(id, more);
            cluster.nodes.push(node);
        }
        Some(cluster)
    }

    fn node(&self, id: u8, more: &str) -> Gateway {
        let folder = self.directory.path().join(format!("node-{id}"));
        std::fs::create_dir_all(&folder).expect("writable");
        let address = self.sim.address("Chicago").expect("a site");
        let url = format!("redis://{}", self.ways[usize::from(id) - 1].address);
        let vendor = format!("{}\nresponse_timeout = \"2s\"\nenquire_link = \"1s\"", self.vendor);
        // Of two shards, so that some links between nodes cross from the shard that listens to another.
        let configuration = Configuration::node("auto", 2, id)
            .with(&format!("[store]\nkind = \"redis\"\nurl = \"{url}\"\nreclaim_after = \"2s\""))
            .with("[cluster]\nsecret = \"known to all three nodes\"\nslot_lease = \"2s\"\nhand_over_after = \"1s\"")
            .with(more)
            .customer("bulk", "")
            .vendor("Chicago", address, 1, &vendor)
            .route("", &["Chicago"]);
        Gateway::start(&folder, &configuration)
    }

    /// Slots held by each node, fewest first.
    fn held(&self) -> Vec<f64> {
        let mut held: Vec<f64> = self.nodes.iter().map(held).collect();
        held.sort_by(f64::total_cmp);
        held
    }

    /// Takes out the node that holds no bind, or one that holds one.
    fn take(&mut self, holds: bool) -> Gateway {
        let is_it = |node: &Gateway| (held(node) > 0.0) == holds;
        let place = self.nodes.iter().position(is_it).expect("there is one");
        self.nodes.remove(place)
    }

    fn bound(&self) -> f64 {
        self.nodes.iter().map(bound).sum()
    }

    /// The vendor never saw more binds than it allows, and never had to refuse one.
    fn assert_quota(&self) {
        let counters = self.sim.counters("Chicago").expect("a site");
        assert!(counters.binds_most <= ALLOWED, "{} binds at once", counters.binds_most);
        assert_eq!(counters.binds_refused.total(), 0, "{:?}", counters.binds_refused);
    }
}

fn held(node: &Gateway) -> f64 {
    node.metric("smppgw_slots", &["Chicago", "held"])
}

fn bound(node: &Gateway) -> f64 {
    node.metric("smppgw_links", &["side=\"vendor\"", "state=\"bound\""])
}

fn accepted(node: &Gateway) -> f64 {
    node.metric("smppgw_submit_results_total", &["accepted"])
}

fn node_messages(node: &Gateway, kind: &str) -> f64 {
    node.metric("smppgw_node_messages_total", &[kind])
}

/// Waits until a node that holds nothing has a link to each slot.
fn wait_for_node_links(node: &Gateway) {
    wait_until("there is a link to each holder", || {
        node.metric("smppgw_node_links", &["out"]) >= ALLOWED as f64
    });
}

fn bulk(seconds: u32) -> String {
    Bulk { rate: 400, seconds, quiet_seconds: 6, ..Bulk::default() }.scenario()
}

fn judge(directory: &Path, sim: sim_smsc::Running, mut outcome: loadgen::Outcome, delivered_min: u64) {
    let result = reconciled(directory, sim, &mut outcome);
    let text = result.text();
    assert!(result.holds(), "{text}");
    assert!(result.delivered >= delivered_min, "{text}");
}

/// One transmitter and one receiver for three nodes: each kind has its own lease, wherever the other is held.
#[test]
fn each_kind_of_binds_is_leased_for_itself() {
    let kinds = "bind_kind = \"transmitter\"\nbinds_total = 1\nreceivers_total = 1";
    let Some(mut cluster) = Cluster::with_vendor(kinds.to_owned(), SHORT_GRACE) else { return };
    wait_until("the vendor has both", || cluster.bound() == 2.0);
    let transmits = |node: &Gateway| node.metric("smppgw_slots", &["\"Chicago\"", "held"]) > 0.0;
    let holders = |name: &str| {
        let held = cluster.nodes.iter().map(|node| node.metric("smppgw_slots", &[name, "held"]));
        held.sum::<f64>()
    };
    assert_eq!((holders("\"Chicago\""), holders("\"Chicago/receivers\"")), (1.0, 1.0));
    let place = cluster.nodes.iter().position(|node| !transmits(node)).expect("two nodes have none");
    let without = cluster.nodes.remove(place);
    wait_until("there is a link to the transmitter's node", || {
        without.metric("smppgw_node_links", &["out"]) >= 1.0
    });
    let outcome = load(cluster.directory.path(), without.smpp, &bulk(3));
    assert!(accepted(&without) > 1_000.0, "{}", accepted(&without));
    cluster.assert_quota();
    let Cluster { directory, sim, .. } = cluster;
    judge(directory.path(), sim, outcome, 1_000);
}

#[test]
fn a_node_without_a_bind_sends_through_those_that_have_one() {
    let Some(mut cluster) = Cluster::start(SHORT_GRACE) else { return };
    let without = cluster.take(false);
    wait_for_node_links(&without);
    let outcome = load(cluster.directory.path(), without.smpp, &bulk(3));
    assert_eq!(bound(&without), 0.0);
    assert!(accepted(&without) > 1_000.0, "{}", accepted(&without));
    assert!(node_messages(&without, "forwarded") >= accepted(&without));
    let of_holders = |kind: &str| cluster.nodes.iter().map(|node| node_messages(node, kind)).sum::<f64>();
    assert!(of_holders("served") >= accepted(&without));
    assert_eq!(of_holders("forwarded"), 0.0, "nothing goes on to a third");
    cluster.assert_quota();
    let Cluster { directory, sim, .. } = cluster;
    judge(directory.path(), sim, outcome, 1_000);
}

#[test]
fn kill_9_of_a_holder_moves_its_slot_and_traffic_goes_on() {
    let Some(mut cluster) = Cluster::start(SHORT_GRACE) else { return };
    let (victim, without) = (cluster.take(true), cluster.take(false));
    wait_for_node_links(&without);
    let (path, smpp) = (cluster.directory.path().to_owned(), without.smpp);
    let running = std::thread::spawn(move || load(&path, smpp, &bulk(8)));
    wait_until("traffic flows", || accepted(&without) > 400.0);
    victim.kill();
    let before = accepted(&without);
    wait_until("traffic goes on without it", || accepted(&without) > before + 200.0);
    cluster.nodes.push(without);
    wait_until("its slot is taken over", || cluster.held() == [1.0, 1.0] && cluster.bound() == 2.0);
    let outcome = running.join().expect("the load ends");
    cluster.assert_quota();
    let Cluster { directory, sim, nodes: _nodes, .. } = cluster;
    judge(directory.path(), sim, outcome, 2_000);
}

#[test]
fn a_redis_that_stands_still_costs_the_binds_and_brings_them_back_but_never_a_third() {
    let Some(cluster) = Cluster::start(SHORT_GRACE) else { return };
    wait_until("both are bound", || cluster.bound() == 2.0);
    cluster.redis.stall();
    wait_until("the binds end before the leases do", || cluster.bound() == 0.0);
    cluster.redis.go_on();
    wait_until("they come back", || cluster.held() == [0.0, 1.0, 1.0] && cluster.bound() == 2.0);
    // Its data lost, holders go on and nobody else takes a slot.
    let taken = |event: &str| {
        let taken = cluster.nodes.iter().map(|node| node.metric("smppgw_slot_events_total", &[event]));
        taken.sum::<f64>()
    };
    let (taken_before, lost_before) = (taken("taken"), taken("lost"));
    cluster.redis.ask("FLUSHALL");
    let rounds = || cluster.nodes[0].metric("smppgw_slot_rounds_total", &["answered"]);
    let before = rounds();
    wait_until("it was asked again and again", || rounds() > before + 12.0);
    assert_eq!(cluster.bound(), 2.0);
    assert_eq!((taken("taken"), taken("lost")), (taken_before, lost_before));
    cluster.assert_quota();
}

/// Nobody can have had the slots meanwhile: their holders do not wait until leases that there are not would have lapsed.
#[test]
fn what_a_stall_of_redis_cost_comes_back_with_it() {
    let Some(cluster) = Cluster::start("slot_grace = \"12s\"") else { return };
    wait_until("both are bound", || cluster.bound() == 2.0);
    cluster.redis.stall();
    wait_until("the binds end before the leases do", || cluster.bound() == 0.0);
    cluster.redis.go_on();
    let began = std::time::Instant::now();
    wait_until("they come back", || cluster.held() == [0.0, 1.0, 1.0] && cluster.bound() == 2.0);
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "without a lease and a grace");
    cluster.assert_quota();
}

#[test]
fn a_node_that_is_cut_off_from_redis_lets_go_before_another_takes_over() {
    let Some(cluster) = Cluster::start(SHORT_GRACE) else { return };
    wait_until("both are bound", || cluster.bound() == 2.0);
    let place = cluster.nodes.iter().position(|node| held(node) > 0.0).expect("there is one");
    let (lonely, way) = (&cluster.nodes[place], &cluster.ways[place]);
    way.cut(true);
    wait_until("it has let go", || bound(lonely) == 0.0);
    wait_until("another has its slot", || cluster.bound() == 2.0);
    assert_eq!(bound(lonely), 0.0);
    way.cut(false);
    let rounds = || lonely.metric("smppgw_slot_rounds_total", &["answered"]);
    let before = rounds();
    wait_until("it asks again", || rounds() > before + 3.0);
    wait_until("all have what they shall have", || {
        cluster.held() == [0.0, 1.0, 1.0] && cluster.bound() == 2.0
    });
    cluster.assert_quota();
}

#[test]
fn kept_slots_outlast_a_redis_that_is_away() {
    let Some(mut cluster) = Cluster::start("slot_grace = \"1s\"\nwhen_redis_is_away = \"keep\"") else {
        return;
    };
    wait_until("both are bound", || cluster.bound() == 2.0);
    cluster.redis.kill();
    let age = || cluster.nodes[0].metric("smppgw_slot_lease_age_seconds", &[]);
    wait_until("leases would have lapsed by far", || age() > 4.0);
    assert_eq!(cluster.bound(), 2.0);
    let holder = cluster.nodes.iter().find(|node| held(node) > 0.0).expect("there is one");
    let mut client = Client::bound(holder.smpp, BindKind::Transmitter, "bulk");
    let heard = client.submit_and_hear("12025550123", "still here", false);
    assert_eq!(heard.status(), CommandStatus::ESME_ROK);
    cluster.redis.run();
    wait_until("leases are renewed again", || age() < 2.0);
    cluster.assert_quota();
}

#[test]
fn a_node_that_ends_in_order_hands_its_slot_over_at_once() {
    let Some(mut cluster) = Cluster::start("slot_grace = \"12s\"") else { return };
    let mut ending = cluster.take(true);
    assert_eq!(ending.terminate(), Some(0));
    let began = std::time::Instant::now();
    wait_until("its slot is taken", || cluster.held() == [1.0, 1.0] && cluster.bound() == 2.0);
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "without the grace of a slot that lapsed");
    cluster.assert_quota();
}

#[test]
fn strangers_are_not_taken_for_nodes() {
    let Some(cluster) = Cluster::start(SHORT_GRACE) else { return };
    let mut client = Client::connect(cluster.nodes[0].smpp);
    let status = client.bind(BindKind::Transmitter, "~node", "secret");
    assert_eq!(status.status(), CommandStatus::ESME_RINVPASWD);
}
