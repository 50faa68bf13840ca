//! One shard with real sockets: a vendor whose name resolves later, and room for its bind whatever customers do.

use gateway_shard::{
    AddressSlot, Directive, Listening, Notice, Plan, ReportSlot, Secret, ShardOptions, ShardParts,
    VendorOptions, address_slot, mesh, node_pool, report_slot, run_shard,
};
use link::backoff::BackoffOptions;
use relay::{Snapshot, SnapshotInput, Vendor, VendorId};
use runtime::{Placement, Receiver, Runtime, Sender, ShardThread, mailbox};
use smpp::dialect::Dialect;
use smpp::pdu::BindKind;
use smpp::session::Timers;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// A shard alone on its node, with one vendor.
struct Bench {
    thread: ShardThread,
    report: ReportSlot,
    directives: Sender<Directive>,
    notices: Receiver<Notice>,
    customers: SocketAddr,
}

fn bench(addresses: AddressSlot, links_max: usize) -> Bench {
    let report = report_slot();
    let (notices_in, notices) = mailbox(64);
    let (directives, directives_out) = mailbox(64);
    let (taken, listening) = sync_channel(1);
    let parts = ShardParts {
        options: ShardOptions {
            index: 0,
            shards: 1,
            node: 1,
            links_max,
            greetings_max: 8,
            seed: 1,
            system_id: b"gw".to_vec(),
            report: report.clone(),
        },
        plan: Arc::new(plan(addresses)),
        pool: node_pool(1, 0),
        post: mesh(1).pop().unwrap(),
        store: None,
        spool: None,
        records: None,
        control: (notices_in, directives_out),
        listen: vec![Listening { address: "127.0.0.1:0".parse().unwrap(), tls: None, taken }],
    };
    type R = runtime::tokio::Tokio;
    let thread = R::run(Placement::Floating, "shard-0", move || run_shard::<R>(parts)).unwrap();
    let customers = listening.recv().unwrap().unwrap();
    Bench { thread, report, directives, notices, customers }
}

fn plan(addresses: AddressSlot) -> Plan {
    let input = SnapshotInput { vendors: vec![Vendor::new("west")], ..SnapshotInput::default() };
    let timers = Timers {
        bind: PATIENCE,
        response: PATIENCE,
        enquire_link: Duration::ZERO,
        inactivity: Duration::ZERO,
        unbind: Duration::from_millis(100),
    };
    let vendor = VendorOptions {
        id: VendorId::of_name(b"west"),
        name: "west".into(),
        addresses,
        tls: None,
        system_id: "gw01".into(),
        password: Secret::new("secret"),
        system_type: "".into(),
        bind_kind: BindKind::Receiver,
        binds: 1,
        window: 10,
        timers,
        dialect: Dialect::default(),
        reconnect: BackoffOptions {
            first: Duration::from_millis(10),
            max: Duration::from_millis(20),
            jitter_percent: 0,
        },
    };
    Plan {
        snapshot: Arc::new(Snapshot::compile(input).unwrap()),
        customers: Vec::new(),
        vendors: vec![vendor],
        customer_timers: timers,
        pdu_size_max: 65_536,
    }
}

impl Bench {
    /// Bound links of the vendor, once it is in the report.
    fn vendor_links(&self) -> Option<u64> {
        let report = self.report.load();
        let vendor = report.vendors.iter().find(|vendor| &*vendor.name == "west")?;
        Some(vendor.links)
    }

    fn wait_until(&self, what: &str, so: impl Fn(&Bench) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !so(self) {
            assert!(Instant::now() < end, "waited in vain until {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn end(mut self) {
        self.directives.push(Directive::Drain).unwrap();
        self.directives.ring();
        let mut told = Vec::new();
        while !told.iter().any(|notice| matches!(notice, Notice::Drained)) {
            self.notices.receive_blocking(&mut told, 8, PATIENCE).unwrap();
        }
        self.thread.join().unwrap();
    }
}

/// Takes one bind_receiver and accepts it. The connection stays open.
fn accept_bind(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().unwrap();
    let mut header = [0; 16];
    stream.read_exact(&mut header).unwrap();
    assert_eq!(header[4..8], [0, 0, 0, 1], "bind_receiver");
    let mut body = vec![0; usize::from(header[3]) - 16];
    stream.read_exact(&mut body).unwrap();
    let mut answer = vec![0, 0, 0, 18, 0x80, 0, 0, 1, 0, 0, 0, 0];
    answer.extend_from_slice(&header[12..16]);
    answer.extend_from_slice(b"v\0");
    stream.write_all(&answer).unwrap();
    stream
}

#[test]
fn a_vendor_without_an_address_is_bound_once_it_has_one() {
    let slot = address_slot(Vec::new());
    let bench = bench(slot.clone(), 10);
    bench.wait_until("the vendor is in the report, unbound", |bench| bench.vendor_links() == Some(0));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    slot.store(Arc::new(vec![listener.local_addr().unwrap()]));
    let stream = accept_bind(&listener);
    bench.wait_until("its receiver is counted", |bench| bench.vendor_links() == Some(1));
    drop(stream);
    let again = accept_bind(&listener);
    bench.wait_until("it is counted once", |bench| bench.vendor_links() == Some(1));
    drop(again);
    bench.end();
}

#[test]
fn customers_cannot_use_up_the_room_for_vendors() {
    let slot = address_slot(Vec::new());
    let bench = bench(slot.clone(), 1);
    // A whole bind whose password nobody judges: the link stands.
    let bind = b"\0\0\0\x1f\0\0\0\x09\0\0\0\0\0\0\0\x01acme\0pw\0\0\x34\0\0\0";
    let mut bind = bind.to_vec();
    bind[3] = bind.len() as u8;
    let mut first = TcpStream::connect(bench.customers).unwrap();
    first.write_all(&bind).unwrap();
    bench.wait_until("the first customer's link stands", |bench| bench.report.load().links.opened == 1);
    let mut second = TcpStream::connect(bench.customers).unwrap();
    second.write_all(&bind).unwrap();
    second.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(matches!(second.read(&mut [0; 16]), Ok(0) | Err(_)), "closed without an answer");
    bench.wait_until("it is counted", |bench| bench.report.load().links.refused_full == 1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    slot.store(Arc::new(vec![listener.local_addr().unwrap()]));
    let _stream = accept_bind(&listener);
    bench.wait_until("the vendor is bound all the same", |bench| bench.vendor_links() == Some(1));
    drop(first);
    bench.end();
}
