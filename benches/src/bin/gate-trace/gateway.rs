//! One shard with one customer and one vendor, and the parts of a node that a shard talks to: store and control.

use crate::memory::{self, Memory, Peer};
use crate::pdus::{self, Heard};
use bytes::BytesMut;
use link::backoff::BackoffOptions;
use relay::{
    Account, AccountId, Correlate, Correlation, LimitsInput, NumberKind, Route, Snapshot, SnapshotInput,
    SourceNumber, StoreAnswer, StoreOp, Vendor, VendorId, VendorMessageId, WeightedVendor,
};
use runtime::{Placement, Receiver, Runtime, Sender, ShardThread, mailbox};
use shard::{
    BindAnswer, BindKinds, CustomerOptions, Directive, Listening, Notice, Plan, Secret, ShardOptions,
    ShardParts, VendorOptions, address_slot, mesh, node_pool, report_slot, run_shard,
};
use smpp::session::Timers;
use smpp::{BindKind, Dialect};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// Unanswered requests on each side: more than the largest batch.
const WINDOW: u32 = 100;
/// Tokens a second and at once that are never used up.
const MANY: u32 = 100_000_000;
/// Words in each mailbox.
const MAILBOX: usize = 8_192;
/// The one vendor.
const VENDOR: &str = "north";

/// How the octets of one side travel.
enum Wire {
    Memory(Peer),
    Socket(TcpStream),
}

/// One side's connection.
pub(crate) struct Side {
    wire: Wire,
    /// What came and was not looked at.
    waiting: Vec<u8>,
    /// The headers of what came last.
    heard: Vec<Heard>,
}

impl Side {
    fn new(wire: Wire) -> Side {
        if let Wire::Socket(stream) = &wire {
            stream.set_nodelay(true).expect("an option of every TCP socket");
            stream.set_read_timeout(Some(PATIENCE)).expect("an option of every socket");
        }
        Side { wire, waiting: Vec::new(), heard: Vec::new() }
    }

    pub(crate) fn send(&mut self, octets: &[u8]) {
        match &mut self.wire {
            Wire::Memory(peer) => peer.send(octets),
            Wire::Socket(stream) => stream.write_all(octets).expect("the shard reads"),
        }
    }

    /// Waits for exactly so many PDUs and returns their headers.
    pub(crate) fn expect(&mut self, count: usize) -> &[Heard] {
        self.waiting.clear();
        self.heard.clear();
        let mut chunk = [0; 65_536];
        loop {
            match &mut self.wire {
                Wire::Memory(peer) => {
                    memory::turn();
                    peer.receive(&mut self.waiting);
                }
                Wire::Socket(stream) => {
                    let octets = stream.read(&mut chunk).expect("the shard answers in time");
                    assert!(octets > 0, "the shard closed the connection");
                    self.waiting.extend_from_slice(&chunk[..octets]);
                }
            }
            let whole = pdus::heard(&self.waiting).count();
            assert!(whole <= count, "{whole} PDUs came instead of {count}");
            if whole == count {
                self.heard.extend(pdus::heard(&self.waiting));
                return &self.heard;
            }
            assert!(matches!(self.wire, Wire::Socket(_)), "{whole} PDUs came instead of {count}");
        }
    }
}

/// The store's end of its mailboxes. It keeps correlations in a map, on the thread of this program.
struct Store {
    ops: Receiver<StoreOp>,
    answers: Sender<StoreAnswer>,
    kept: HashMap<VendorMessageId, Correlation>,
    batch: Vec<StoreOp>,
}

/// One shard, all that it talks to, and both sides of the traffic.
pub(crate) struct Gateway {
    /// None in memory.
    thread: Option<ShardThread>,
    store: Store,
    directives: Sender<Directive>,
    notices: Receiver<Notice>,
    pub(crate) customer: Side,
    pub(crate) vendor: Side,
}

impl Gateway {
    /// Starts it and binds both sides. `throttled` leaves the customer's number one message in a thousand seconds.
    pub(crate) fn start(sockets: bool, throttled: bool) -> Gateway {
        let vendors = sockets.then(|| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let vendor_address = match &vendors {
            Some(listener) => listener.local_addr().expect("a bound socket"),
            None => SocketAddr::from(([127, 0, 0, 1], 9)),
        };
        let (ops_in, ops) = mailbox(MAILBOX);
        let (answers, answers_out) = mailbox(MAILBOX);
        let (notices_in, mut notices) = mailbox(MAILBOX);
        let (mut directives, directives_out) = mailbox(MAILBOX);
        let (taken, listening) = sync_channel(1);
        let parts = ShardParts {
            options: options(),
            plan: Arc::new(plan(vendor_address, throttled)),
            pool: node_pool(1, 0),
            post: mesh(1).pop().expect("one shard has one post"),
            store: Some((ops_in, answers_out)),
            slots: None,
            spool: None,
            records: None,
            control: (notices_in, directives_out),
            listen: vec![Listening { address: SocketAddr::from(([127, 0, 0, 1], 0)), tls: None, taken }],
        };
        let thread = if sockets {
            type R = runtime::tokio::Tokio;
            Some(R::run(Placement::Floating, "shard-0", move || run_shard::<R>(parts)).expect("a thread"))
        } else {
            Memory::spawn(run_shard::<Memory>(parts));
            memory::turn();
            None
        };
        let address = listening.recv().expect("the shard says where it listens").expect("a free port");
        let mut vendor = Side::new(match &vendors {
            Some(listener) => Wire::Socket(listener.accept().expect("the shard connects").0),
            None => Wire::Memory(memory::accept_from_gateway().expect("the shard connects")),
        });
        let mut out = BytesMut::new();
        let sequence = vendor.expect(1)[0].sequence;
        pdus::bind_answer(sequence, &mut out);
        vendor.send(&out);
        out.clear();
        let mut customer = Side::new(match sockets {
            true => Wire::Socket(TcpStream::connect(address).expect("the shard listens")),
            false => Wire::Memory(memory::connect_to_gateway()),
        });
        pdus::bind(&mut out);
        customer.send(&out);
        let Notice::Bind(question) = next_notice(&mut notices, sockets) else { panic!("a drain unasked") };
        directives.push(Directive::Bind(BindAnswer::Right(question.ticket))).expect("room");
        directives.ring();
        assert_eq!(customer.expect(1)[0].status, 0, "the customer is bound");
        let store = Store { ops, answers, kept: HashMap::new(), batch: Vec::new() };
        let mut gateway = Gateway { thread, store, directives, notices, customer, vendor };
        gateway.serve_store(1); // what is parked for the customer
        gateway
    }

    /// Plays the store until it has answered so many questions.
    pub(crate) fn serve_store(&mut self, questions: usize) {
        let mut answered = 0;
        while answered < questions {
            let Store { ops, answers, kept, batch } = &mut self.store;
            if self.thread.is_some() {
                ops.receive_blocking(batch, MAILBOX, PATIENCE).expect("the shard lives");
            } else {
                memory::turn();
                ops.try_receive(batch, MAILBOX);
            }
            assert!(!batch.is_empty(), "{answered} questions came instead of {questions}");
            for op in batch.drain(..) {
                let answer = match op {
                    StoreOp::Remember { message, key, correlation } => {
                        kept.insert(key.id, correlation);
                        StoreAnswer::Remembered { message, outcome: Ok(()) }
                    }
                    StoreOp::Find { delivery, key, numbers } => {
                        let outcome = Ok(relay::choose(kept.get(&key.id).copied(), &numbers));
                        StoreAnswer::Found { delivery, outcome }
                    }
                    StoreOp::Forget { key, .. } => {
                        kept.remove(&key.id);
                        continue;
                    }
                    StoreOp::Unpark { account, .. } => {
                        StoreAnswer::Unparked { account, entries: Vec::new(), more: false }
                    }
                    other => panic!("no part of a trace: {other:?}"),
                };
                answered += 1;
                answers.push(answer).expect("room for a batch");
            }
            answers.ring();
        }
        assert_eq!(answered, questions);
    }

    /// Ends the shard, in order where it has a thread.
    pub(crate) fn end(mut self) {
        let Some(thread) = self.thread else { return memory::end() };
        self.directives.push(Directive::Drain).expect("room");
        self.directives.ring();
        drop((self.customer, self.vendor)); // nobody is left to answer an unbind
        while !matches!(next_notice(&mut self.notices, true), Notice::Drained) {}
        thread.join().expect("the shard ends in order");
    }
}

fn next_notice(notices: &mut Receiver<Notice>, sockets: bool) -> Notice {
    let mut batch = Vec::new();
    if sockets {
        notices.receive_blocking(&mut batch, 1, PATIENCE).expect("the shard lives");
    } else {
        memory::turn();
        notices.try_receive(&mut batch, 1);
    }
    batch.pop().expect("a word of the shard")
}

fn options() -> ShardOptions {
    ShardOptions {
        index: 0,
        shards: 1,
        node: 1,
        ids_from: Duration::ZERO,
        links_max: 8,
        greetings_max: 8,
        seed: 1,
        system_id: b"gateway".to_vec(),
        report: report_slot(),
        refusals: Arc::default(),
    }
}

fn timers() -> Timers {
    Timers {
        bind: PATIENCE,
        response: PATIENCE,
        enquire_link: Duration::ZERO,
        inactivity: Duration::ZERO,
        finish: Duration::ZERO,
        unbind: Duration::from_millis(100),
    }
}

/// Every limit is there and none is reached, but the number's when `throttled`.
fn snapshot(throttled: bool) -> Snapshot {
    let (rate_milli, burst) = if throttled { (1, 1) } else { (u64::from(MANY) * 1000, MANY) };
    let number = std::str::from_utf8(pdus::NUMBER).expect("digits");
    let account = Account {
        rate: MANY,
        burst: MANY,
        bind_rate: MANY,
        numbers: vec![number.into()],
        ..Account::new(pdus::SYSTEM_ID)
    };
    let source = SourceNumber {
        digits: number.into(),
        kind: NumberKind::TollFree,
        campaign: None,
        rate_milli: Some(rate_milli),
        burst: Some(burst),
    };
    let route = Route {
        prefix: "1".into(),
        vendors: vec![WeightedVendor {
            vendor: VendorId::of_name(VENDOR.as_bytes()),
            weight: 1,
            price: None,
        }],
        ..Route::default()
    };
    let input = SnapshotInput {
        accounts: vec![account],
        vendors: vec![Vendor { rate: MANY, burst: MANY, ..Vendor::new(VENDOR) }],
        carriers: LimitsInput { numbers: vec![source], ..LimitsInput::default() },
        routes: vec![route],
        correlate: Correlate::Strict,
        ..SnapshotInput::default()
    };
    Snapshot::compile(input).expect("a right configuration")
}

fn plan(vendor: SocketAddr, throttled: bool) -> Plan {
    let customer = CustomerOptions {
        account: AccountId::of_name(pdus::SYSTEM_ID.as_bytes()),
        system_id: pdus::SYSTEM_ID.as_bytes().into(),
        bind_kinds: BindKinds::ALL,
        binds_max: 1,
        window: WINDOW,
        networks: Vec::new(),
        dialect: Dialect::tolerant(),
        version: None,
        has_ranges: false,
    };
    let vendor = VendorOptions {
        id: VendorId::of_name(VENDOR.as_bytes()),
        binds_id: VendorId::of_name(VENDOR.as_bytes()),
        name: VENDOR.into(),
        addresses: address_slot(vec![vendor]),
        tls: None,
        system_id: "gw01".into(),
        password: Secret::new("secret"),
        system_type: "".into(),
        bind_kind: BindKind::Transceiver,
        version: smpp::version::Version::default(),
        addr_ton: smpp::field::Ton(0),
        addr_npi: smpp::field::Npi(0),
        address_range: "".into(),
        binds: 1,
        is_shared: false,
        window: WINDOW,
        timers: timers(),
        dialect: Dialect::default(),
        reconnect: BackoffOptions {
            first: Duration::from_secs(10),
            max: Duration::from_secs(20),
            jitter_percent: 0,
        },
    };
    Plan {
        snapshot: Arc::new(snapshot(throttled)),
        customers: vec![customer],
        vendors: vec![vendor],
        customer_timers: timers(),
        pdu_size_max: 65_536,
    }
}
