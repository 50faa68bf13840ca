//! Limits on real processes and a real Redis: what a vendor sees of them in any interval, and what of the rate is used.

mod support;

use bytes::BytesMut;
use redis_server::RedisServer;
use smpp::field::{CommandId, CommandStatus};
use smpp::pdu::{BindKind, BindResp, Pdu, SubmitSmResp};
use smpp::wire::Frame;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use support::client::Client;
use support::{Configuration, Gateway, wait_until};

/// Messages a second and above it, of the limits under test.
const RATE: u32 = 300;
const BURST: u32 = 60;
/// Between a token and the vendor's clock lie threads of a busy machine: what is late comes together with what is not.
const LATE: f64 = 0.1;

/// A vendor that takes everything at once and notes when.
struct Vendor {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<Instant>>>,
}

impl Vendor {
    fn start() -> Vendor {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let taken: Arc<Mutex<Vec<Instant>>> = Arc::default();
        let shared = taken.clone();
        // Ends with the process: a few connections, all closed by the other side.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let taken = shared.clone();
                std::thread::spawn(move || serve(stream, &taken));
            }
        });
        Vendor { address, taken }
    }

    fn taken(&self) -> Vec<Instant> {
        self.taken.lock().expect("no panic").clone()
    }

    fn count(&self) -> usize {
        self.taken.lock().expect("no panic").len()
    }

    /// Never more than `rate * t + burst` in any interval: the least of what was above the rate so far, and the most
    /// after it.
    fn judge(&self) {
        let taken = self.taken();
        let (mut least, mut most) = (f64::MAX, 0.0_f64);
        for (before, at) in taken.iter().enumerate() {
            let above = before as f64 - f64::from(RATE) * (*at - taken[0]).as_secs_f64();
            least = least.min(above);
            most = most.max(above + 1.0 - least);
        }
        let allowed = f64::from(BURST) + f64::from(RATE) * LATE;
        assert!(most <= allowed, "{most} above the rate, {allowed} allowed");
    }

    /// Waits so long, and says how many percent of the rate came meanwhile.
    fn used_percent(&self, time: Duration) -> f64 {
        let (before, began) = (self.count(), Instant::now());
        std::thread::sleep(time); // the length of the measurement
        let count = self.count() - before;
        count as f64 * 100.0 / (f64::from(RATE) * began.elapsed().as_secs_f64())
    }
}

fn serve(mut stream: TcpStream, taken: &Mutex<Vec<Instant>>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    loop {
        let mut head = [0; 16];
        stream.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let mut pdu = head.to_vec();
        pdu.resize(length, 0);
        stream.read_exact(&mut pdu[16..]).ok()?;
        let frame = Frame::whole(&pdu)?;
        let answer = match frame.command_id() {
            CommandId::BIND_TRANSCEIVER => {
                Pdu::BindTransceiverResp(BindResp { system_id: b"vendor", ..BindResp::default() })
            }
            CommandId::SUBMIT_SM => {
                taken.lock().ok()?.push(Instant::now());
                Pdu::SubmitSmResp(SubmitSmResp { message_id: b"1", ..SubmitSmResp::default() })
            }
            CommandId::ENQUIRE_LINK => Pdu::EnquireLinkResp,
            CommandId::UNBIND => Pdu::UnbindResp,
            _ => return None,
        };
        let mut out = BytesMut::new();
        answer.encode(CommandStatus::ESME_ROK, frame.sequence_number(), &mut out);
        stream.write_all(&out).ok()?;
    }
}

/// A customer that keeps so many messages open, until it is dropped.
struct Flood {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    fn start(address: SocketAddr, system_id: &'static str) -> Flood {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            const AT_ONCE: u32 = 10;
            let mut client = Client::bound(address, BindKind::Transmitter, system_id);
            while !stopped.load(Ordering::Relaxed) {
                for _ in 0..AT_ONCE {
                    client.submit("13125550111", "x", false);
                }
                for _ in 0..AT_ONCE {
                    let status = client.hear().expect("an answer").status();
                    assert!([CommandStatus::ESME_ROK, CommandStatus::ESME_RTHROTTLED].contains(&status));
                }
                // Demand above the rate, not as fast as the machine can.
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Flood { stop, thread: Some(thread) }
    }

    fn end(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("once").join().expect("all answers fit");
    }
}

fn node(directory: &Path, id: u8, shards: u32, vendor: SocketAddr, rest: &str, customer: &str) -> Gateway {
    let folder = directory.join(format!("node-{id}"));
    std::fs::create_dir_all(&folder).expect("writable");
    let configuration = Configuration::node("auto", shards, id)
        .with(rest)
        .customer("bulk", customer)
        .customer("other", customer)
        .vendor("west", vendor, shards, "")
        .route("", &["west"]);
    let gateway = Gateway::start(&folder, &configuration);
    gateway.wait_for_vendor_binds(f64::from(shards));
    gateway
}

fn with_redis(server: &RedisServer) -> String {
    format!("[store]\nkind = \"redis\"\nurl = \"{}\"\nnodes_max = 3", server.url())
}

fn limit() -> String {
    format!("rate = {RATE}\nburst = {BURST}")
}

#[test]
fn a_node_alone_keeps_the_bound_and_uses_the_rate() {
    let directory = tempfile::tempdir().expect("a directory");
    for shards in [1, 2] {
        let vendor = Vendor::start();
        let folder = directory.path().join(shards.to_string());
        let gateway = node(&folder, 1, shards, vendor.address, "", &limit());
        let floods = [Flood::start(gateway.smpp, "bulk"), Flood::start(gateway.smpp, "bulk")];
        let used = vendor.used_percent(Duration::from_secs(2));
        floods.into_iter().for_each(Flood::end);
        assert!(used >= 95.0, "{shards} shards: {used} %");
        vendor.judge();
        wait_until("they are counted", || {
            gateway.metric("smppgw_refusals_total", &["reason=\"rate_over\""]) > 100.0
        });
        assert_eq!(gateway.metric("smppgw_limit_lease_age_seconds", &[]), 0.0);
    }
}

/// Customers of two shards, and a vendor bound from both: one limit for all, and nobody is refused.
#[test]
fn a_vendor_is_paced_over_shards_and_nodes() {
    let Some(redis) = RedisServer::start() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    for (nodes, store) in [(1, String::new()), (2, with_redis(&redis))] {
        let vendor = Vendor::start();
        let folder = directory.path().join(nodes.to_string());
        let rest = |id: u8| {
            let configuration = Configuration::node("auto", 2, id)
                .with(&store)
                .customer("bulk", "")
                .customer("other", "")
                .vendor("west", vendor.address, 2, &limit())
                .route("", &["west"]);
            let folder = folder.join(id.to_string());
            std::fs::create_dir_all(&folder).expect("writable");
            let gateway = Gateway::start(&folder, &configuration);
            gateway.wait_for_vendor_binds(2.0);
            gateway
        };
        let gateways: Vec<Gateway> = (1..=nodes).map(rest).collect();
        let names = ["bulk", "other"];
        let flood = |gateway: &Gateway| names.map(|name| Flood::start(gateway.smpp, name));
        let floods: Vec<Flood> = gateways.iter().flat_map(flood).collect();
        wait_until("messages flow", || vendor.count() > 20);
        let used = vendor.used_percent(Duration::from_secs(2));
        floods.into_iter().for_each(Flood::end);
        assert!(used >= 95.0, "{nodes} nodes: {used} %");
        vendor.judge();
        for gateway in &gateways {
            assert_eq!(gateway.metric("smppgw_refusals_total", &[]), 0.0);
        }
    }
}

#[test]
fn three_nodes_keep_one_bound_and_their_shares_while_redis_is_away() {
    let Some(mut redis) = RedisServer::start() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let vendor = Vendor::start();
    let store = with_redis(&redis);
    let start = |id, shards| node(directory.path(), id, shards, vendor.address, &store, &limit());
    let gateways = [start(1, 1), start(2, 2), start(3, 2)];

    // All demand on one node, then on all.
    let mut floods = vec![Flood::start(gateways[0].smpp, "bulk"), Flood::start(gateways[0].smpp, "bulk")];
    wait_until("messages flow", || vendor.count() > 20);
    let used = vendor.used_percent(Duration::from_secs(2));
    assert!(used >= 95.0, "one node: {used} %");
    for gateway in &gateways[1..] {
        floods.push(Flood::start(gateway.smpp, "bulk"));
    }
    let used = vendor.used_percent(Duration::from_secs(2));
    assert!(used >= 95.0, "three nodes: {used} %");

    redis.kill();
    wait_until("all nodes go by their share", || {
        gateways.iter().all(|gateway| gateway.metric("smppgw_limits_on_fallback", &[]) > 0.0)
    });
    let used = vendor.used_percent(Duration::from_secs(2));
    assert!((90.0..=103.0).contains(&used), "without Redis: {used} %");
    assert!(gateways[0].metric("smppgw_limit_lease_age_seconds", &[]) > 0.2);

    redis.run();
    wait_until("all nodes lease again", || {
        gateways.iter().all(|gateway| gateway.metric("smppgw_limits_on_fallback", &[]) == 0.0)
    });
    let used = vendor.used_percent(Duration::from_secs(2));
    assert!(used >= 95.0, "with Redis again: {used} %");
    floods.into_iter().for_each(Flood::end);
    vendor.judge();
    assert!(gateways[0].metric("smppgw_limit_lease_age_seconds", &[]) < 0.2);
}

const CARRIERS: &str = r#"
[[network]]
prefix = "1312"
mcc = "310"
mnc = "260"
carrier = "tmobile"
[[brand]]
name = "shop"
daily_cap = 60
[[campaign]]
name = "offers"
brand = "shop"
class = "E"
[[number]]
number = "+12025550100"
customer = "bulk"
campaign = "offers"
"#;

/// Submits until it is throttled for good; how many were accepted.
fn use_up(gateway: &Gateway) -> usize {
    let mut client = Client::bound(gateway.smpp, BindKind::Transmitter, "bulk");
    let (mut accepted, mut throttled) = (0, 0);
    // The next lease comes within some 20 ms, so that a throttle may pass.
    while throttled < 200 {
        match client.submit_and_hear("13125550111", "x", false).status() {
            CommandStatus::ESME_ROK => (accepted, throttled) = (accepted + 1, 0),
            CommandStatus::ESME_RTHROTTLED => throttled += 1,
            status => panic!("{status:?}"),
        }
        if throttled > 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    accepted
}

#[test]
fn a_brands_day_survives_kill_9_and_is_never_doubled() {
    let directory = tempfile::tempdir().expect("a directory");
    let vendor = Vendor::start();
    let start = || node(directory.path(), 1, 2, vendor.address, CARRIERS, "");
    let gateway = start();
    let mut client = Client::bound(gateway.smpp, BindKind::Transmitter, "bulk");
    let mut first = 0;
    wait_until("half of the cap is used", || {
        let heard = client.submit_and_hear("13125550111", "x", false);
        first += usize::from(heard.status() == CommandStatus::ESME_ROK);
        first == 30
    });
    gateway.kill();
    let mut gateway = start();
    let second = use_up(&gateway);
    // Lost is at most what was leased and not used: ten.
    assert!((50..=60).contains(&(first + second)), "{first} and {second}");
    wait_until("they are counted", || {
        gateway.metric("smppgw_refusals_total", &["reason=\"brand_day_over\""]) > 0.0
    });
    // Another network is not under the cap.
    assert_eq!(client_status(&gateway, "14045550111"), CommandStatus::ESME_ROK);
    assert_eq!(gateway.terminate(), Some(0));
    let gateway = start();
    assert_eq!(use_up(&gateway), 0, "nothing more");
}

fn client_status(gateway: &Gateway, destination: &str) -> CommandStatus {
    let mut client = Client::bound(gateway.smpp, BindKind::Transmitter, "bulk");
    client.submit_and_hear(destination, "x", false).status()
}

#[test]
fn nodes_share_a_brands_day() {
    let Some(redis) = RedisServer::start() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let vendor = Vendor::start();
    let rest = format!("{}\n{CARRIERS}", with_redis(&redis));
    let start = |id| node(directory.path(), id, 1, vendor.address, &rest, "");
    let gateways = [start(1), start(2)];
    let first = use_up(&gateways[0]);
    let mut second = 0;
    // What the second node has leased, and what the first gives back once it is idle.
    wait_until("the cap is used up", || {
        second += use_up(&gateways[1]);
        first + second >= 57
    });
    assert!(first + second <= 60, "{first} and {second}");
}

#[test]
fn sources_and_sessions_have_limits_of_their_own() {
    let directory = tempfile::tempdir().expect("a directory");
    let vendor = Vendor::start();
    let check = |name: &str, customer: &str, expected: CommandStatus, reason: &str| {
        let gateway = node(&directory.path().join(name), 1, 1, vendor.address, "", customer);
        let mut client = Client::bound(gateway.smpp, BindKind::Transmitter, "bulk");
        let statuses: Vec<_> =
            (0..3).map(|_| client.submit_and_hear("13125550111", "x", false).status()).collect();
        assert_eq!(statuses.last(), Some(&expected), "{name}");
        wait_until("they are counted", || gateway.metric("smppgw_submits_total", &[]) == 3.0);
        let refused = gateway.metric("smppgw_refusals_total", &[reason]);
        assert_eq!(refused > 0.0, expected != CommandStatus::ESME_ROK, "{name}");
    };
    check("prefix", "sources = [\"1202*\"]", CommandStatus::ESME_ROK, "source_not_allowed");
    check("other", "sources = [\"1203*\", \"ACME\"]", CommandStatus::ESME_RINVSRCADR, "source_not_allowed");
    check("session", "bind_rate = 1", CommandStatus::ESME_RTHROTTLED, "bind_rate_over");
}
