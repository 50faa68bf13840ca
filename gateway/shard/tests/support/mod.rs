//! One shard with real sockets, alone on its node, with one vendor or as many as a plan holds.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test program uses its part")]

use gateway_shard::{
    AddressSlot, Directive, Listening, Notice, Plan, ReportSlot, Secret, ShardOptions, ShardParts,
    VendorOptions, mesh, node_pool, report_slot, run_shard,
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
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A shard alone on its node.
pub struct Bench {
    thread: ShardThread,
    pub report: ReportSlot,
    directives: Sender<Directive>,
    notices: Receiver<Notice>,
    pub customers: SocketAddr,
}

pub fn bench(plan: impl Into<Arc<Plan>>, links_max: usize) -> Bench {
    let report = report_slot();
    let (notices_in, notices) = mailbox(64);
    let (directives, directives_out) = mailbox(64);
    let (taken, listening) = sync_channel(1);
    let parts = ShardParts {
        options: ShardOptions {
            index: 0,
            shards: 1,
            node: 1,
            ids_from: Duration::ZERO,
            links_max,
            greetings_max: 8,
            seed: 1,
            system_id: b"gw".to_vec(),
            report: report.clone(),
            refusals: Arc::default(),
        },
        plan: plan.into(),
        pool: node_pool(1, 0),
        post: mesh(1).pop().unwrap(),
        store: None,
        slots: None,
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

/// A plan with one vendor.
pub fn plan(addresses: AddressSlot) -> Plan {
    with_vendors(vec![vendor("west", addresses)])
}

/// A plan with these vendors.
pub fn with_vendors(vendors: Vec<VendorOptions>) -> Plan {
    let known = vendors
        .iter()
        .filter(|vendor| !vendor.are_beside())
        .map(|vendor| Vendor::new(&vendor.name))
        .collect();
    let input = SnapshotInput { vendors: known, ..SnapshotInput::default() };
    Plan {
        snapshot: Arc::new(Snapshot::compile(input).unwrap()),
        customers: Vec::new(),
        vendors,
        customer_timers: timers(),
        pdu_size_max: 65_536,
    }
}

pub fn timers() -> Timers {
    Timers {
        bind: PATIENCE,
        response: PATIENCE,
        enquire_link: Duration::ZERO,
        inactivity: Duration::ZERO,
        finish: PATIENCE,
        unbind: Duration::from_millis(100),
    }
}

/// A vendor with one receiver.
pub fn vendor(name: &str, addresses: AddressSlot) -> VendorOptions {
    VendorOptions {
        id: VendorId::of_name(name.as_bytes()),
        binds_id: VendorId::of_name(name.as_bytes()),
        name: name.into(),
        addresses,
        tls: None,
        system_id: "gw01".into(),
        password: Secret::new("secret"),
        system_type: "".into(),
        bind_kind: BindKind::Receiver,
        version: smpp::version::Version::default(),
        addr_ton: smpp::field::Ton(0),
        addr_npi: smpp::field::Npi(0),
        address_range: "".into(),
        binds: 1,
        is_shared: false,
        window: 10,
        timers: timers(),
        dialect: Dialect::default(),
        reconnect: BackoffOptions {
            first: Duration::from_millis(10),
            max: Duration::from_millis(20),
            jitter_percent: 0,
        },
    }
}

impl Bench {
    /// Bound links of the vendor `west`, once it is in the report.
    pub fn vendor_links(&self) -> Option<u64> {
        let report = self.report.load();
        let vendor = report.vendors.iter().find(|vendor| &*vendor.name == "west")?;
        Some(vendor.links)
    }

    pub fn publish(&mut self, plan: &Arc<Plan>) {
        self.directives.push(Directive::Publish(plan.clone())).unwrap();
        self.directives.ring();
    }

    pub fn wait_until(&self, what: &str, so: impl Fn(&Bench) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !so(self) {
            assert!(Instant::now() < end, "waited in vain until {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn end(mut self) {
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
pub fn accept_bind(listener: &TcpListener) -> TcpStream {
    accept_bind_with(listener, b"secret")
}

/// The same where the bind carries this password.
pub fn accept_bind_with(listener: &TcpListener, password: &[u8]) -> TcpStream {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (header, body) = hear(&mut stream).expect("a bind");
    assert_eq!(header[4..8], [0, 0, 0, 1], "bind_receiver");
    assert_eq!(body.split(|octet| *octet == 0).nth(1), Some(password));
    let mut answer = vec![0, 0, 0, 18, 0x80, 0, 0, 1, 0, 0, 0, 0];
    answer.extend_from_slice(&header[12..16]);
    answer.extend_from_slice(b"v\0");
    stream.write_all(&answer).unwrap();
    stream
}

/// The next PDU: header and body; none at the end of the connection.
pub fn hear(stream: &mut TcpStream) -> Option<([u8; 16], Vec<u8>)> {
    let mut header = [0; 16];
    stream.read_exact(&mut header).ok()?;
    let mut body = vec![0; usize::from(header[3]) - 16];
    stream.read_exact(&mut body).ok()?;
    Some((header, body))
}

/// Takes an unbind, answers it, and sees the end of the connection.
pub fn accept_unbind(stream: &mut TcpStream) {
    let (header, _) = hear(stream).expect("an unbind");
    assert_eq!(header[4..8], [0, 0, 0, 6], "unbind");
    let mut answer = header;
    answer[4] = 0x80;
    stream.write_all(&answer).unwrap();
    assert!(hear(stream).is_none(), "closed after it");
}
