//! The thread with a shard's other ends in the hands of the test, over a real socket.

use super::*;
use crate::auth::{AuthOptions, Guests};
use crate::config::{Credential, Secret};
use crate::names::NamesThread;
use crate::publish::PublishOptions;
use relay::AccountId;
use runtime::{Receiver, Sender, mailbox};
use shard::{BindAnswer, BindQuestion, Directive, Notice, ShardReport, Ticket, report_slot};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A control thread and what a shard would hold.
struct Bench {
    control: ControlThread,
    stop: Stop,
    slot: shard::ReportSlot,
    notices: Sender<Notice>,
    directives: Receiver<Directive>,
    publisher: Publisher,
}

fn bench(drain_max: Duration) -> Bench {
    let (notices, notices_in) = mailbox(64);
    let (directives_out, directives) = mailbox(64);
    let slot = report_slot();
    let credential = Credential::Plain(Secret::new("secret"));
    let credentials = vec![(AccountId::of_name(b"acme"), Box::from(&b"acme"[..]), credential)];
    let guests = Guests { credentials, ..Guests::default() };
    let authenticator = Authenticator::start(guests, AuthOptions::default()).unwrap().0;
    let publisher = publisher(&authenticator);
    let stop = Stop::new();
    let options = ControlOptions {
        http: "127.0.0.1:0".parse().unwrap(),
        sources: Sources {
            version: "0.1.0",
            node: "gw1".into(),
            backend: "epoll",
            started_at: 1_800_000_000,
            config: Arc::default(),
            standing: crate::source::Standing::of_file(),
            shards: vec![slot.clone()],
            store: None,
            spool: None,
            slots: None,
            rates: None,
            sinks: Vec::new(),
            authenticator: None,
            node_id: None,
        },
        live: None,
        messages: None,
        desks: vec![ShardDesk { notices: notices_in, directives: directives_out }],
        publisher: publisher.clone(),
        authenticator,
        stop: stop.clone(),
        drain: DrainOptions { pre_stop: Duration::ZERO, drain_max },
        signals: false,
    };
    Bench { control: start(options).unwrap(), stop, slot, notices, directives, publisher }
}

fn publisher(authenticator: &Authenticator) -> Publisher {
    let plan = shard::Plan {
        snapshot: Arc::new(relay::Snapshot::compile(relay::SnapshotInput::default()).unwrap()),
        customers: Vec::new(),
        vendors: Vec::new(),
        customer_timers: smpp::session::Timers::default(),
        pdu_size_max: 65_536,
    };
    Publisher::start(PublishOptions {
        plan: Arc::new(plan),
        pool: shard::node_pool(1, 0),
        has_spool: false,
        shards: 1,
        links_max: 100,
        authenticator: authenticator.clone(),
        names: NamesThread::start(Vec::new()).unwrap(),
        record_names: crate::cdr::Names::default(),
        file: None,
        state: Arc::default(),
        standing: crate::source::Standing::of_file(),
    })
    .unwrap()
}

/// Status and body.
fn request(bench: &Bench, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(bench.control.http_address()).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_string())
}

fn next_directive(bench: &mut Bench) -> Directive {
    let mut directives = Vec::new();
    bench.directives.receive_blocking(&mut directives, 1, Duration::from_secs(10)).unwrap();
    directives.pop().expect("within ten seconds")
}

#[test]
fn the_life_of_a_node_over_http() {
    let mut bench = bench(Duration::from_secs(10));
    assert_eq!(request(&bench, "/readyz"), (503, "starting\n".into()));
    bench.control.set_ready();
    assert_eq!(request(&bench, "/readyz"), (200, "ready\n".into()));
    assert_eq!(request(&bench, "/livez"), (200, "ok\n".into()));
    assert_eq!(request(&bench, "/nothing").0, 404);

    let mut report = ShardReport { made_at_ns: runtime::monotonic_nanos(), ..ShardReport::default() };
    report.relay.traffic.submits = 42;
    bench.slot.store(Arc::new(report));
    let (status, text) = request(&bench, "/metrics");
    assert!(status == 200 && text.contains("smppgw_submits_total 42\n"), "{text}");
    let (status, text) = request(&bench, "/state");
    let state: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &state["phase"], &state["shards"][0]["submits"]), (200, &"ready".into(), &42.into()));

    bench.stop.request();
    assert!(matches!(next_directive(&mut bench), Directive::Drain));
    assert_eq!(request(&bench, "/readyz"), (503, "draining\n".into()));
    assert_eq!(request(&bench, "/livez").0, 200);
    bench.notices.push(Notice::Drained).unwrap();
    bench.notices.ring();
    assert_eq!(bench.control.join(), Ok(true));
}

#[test]
fn binds_are_judged() {
    let (mut bench, waits) = (bench(Duration::from_secs(10)), Arc::new(()));
    for (account, system_id, password, right) in [
        ("acme", "acme", "secret", true),
        ("acme", "acme", "Secret", false),
        ("other", "acme", "secret", false),
        ("nobody", "nobody", "secret", false),
    ] {
        let ticket = Ticket { link: link::LinkId::from_bits(7), sequence: 7 };
        let question = BindQuestion {
            ticket,
            account: AccountId::of_name(account.as_bytes()),
            system_id: system_id.as_bytes().into(),
            password: password.as_bytes().into(),
            peer: "127.0.0.1:1".parse().unwrap(),
            waits: Arc::downgrade(&waits),
        };
        bench.notices.push(Notice::Bind(question)).unwrap();
        bench.notices.ring();
        let expected = if right { BindAnswer::Right(ticket) } else { BindAnswer::Wrong(ticket) };
        match next_directive(&mut bench) {
            Directive::Bind(answer) => assert_eq!(answer, expected, "{account} {system_id} {password}"),
            other => panic!("{other:?}"),
        }
    }
    bench.stop.request();
    drop(bench.notices); // the shard is gone: nothing to wait for
    assert_eq!(bench.control.join(), Ok(true));
}

#[test]
fn a_shard_that_does_not_turn_is_not_alive_and_does_not_hold_up_the_end() {
    let bench = bench(Duration::from_millis(10));
    let late = bench
        .control
        .shared
        .sources
        .heartbeat_age(bench.control.shared.born_ns + 11_000_000_000, bench.control.shared.born_ns);
    assert!(late > crate::http::HEARTBEAT_AGE_MAX);
    bench.stop.request();
    assert_eq!(bench.control.join(), Ok(false), "the time was up");
}

/// The shard is told of a plan before it is told of passwords that were judged by what came with it, and of none that
/// was judged by what came before.
#[test]
fn plan_and_passwords_are_of_one_configuration() {
    let (mut bench, waits) = (bench(Duration::from_secs(10)), Arc::new(()));
    let mut ask = |password: &[u8], index: u64| {
        let ticket = Ticket { link: link::LinkId::from_bits(index), sequence: 1 };
        let question = BindQuestion {
            ticket,
            account: AccountId::of_name(b"acme"),
            system_id: Box::from(&b"acme"[..]),
            password: Box::from(password),
            peer: "127.0.0.1:1".parse().unwrap(),
            waits: Arc::downgrade(&waits),
        };
        bench.notices.push(Notice::Bind(question)).unwrap();
        bench.notices.ring();
        ticket
    };
    let first = ask(b"secret", 1);
    let mut told = Vec::new();
    let mut next = |told: &mut Vec<Directive>| {
        bench.directives.receive_blocking(told, 1, Duration::from_secs(10)).unwrap();
        told.pop().expect("within ten seconds")
    };
    assert!(matches!(next(&mut told), Directive::Bind(BindAnswer::Right(ticket)) if ticket == first));
    let text = "[node]\nname = \"gw\"\nid = 1\nstate_directory = \"state\"\n\
        [[customer]]\nsystem_id = \"acme\"\npassword = \"other\"\n";
    let config = crate::config::parse(std::path::Path::new("gateway.toml"), text, &[]).unwrap();
    for version in [2, 3] {
        bench
            .publisher
            .publish(crate::config::build(&crate::config::Config { version, ..config.clone() }).unwrap());
    }
    let (old, new) = (ask(b"secret", 2), ask(b"other", 3));
    let mut versions = Vec::new();
    let mut answers = Vec::new();
    while answers.len() < 2 || versions.last() != Some(&3) {
        match next(&mut told) {
            Directive::Publish(plan) => versions.push(plan.snapshot.version()),
            Directive::Bind(answer) => answers.push((versions.len(), answer)),
            Directive::Drain => panic!("not asked for"),
        }
    }
    assert!(versions == [3] || versions == [2, 3], "the newest wins: {versions:?}");
    for (plans_before, answer) in answers {
        let is_before = plans_before == 0;
        match answer {
            BindAnswer::Right(ticket) => assert_eq!(ticket, if is_before { old } else { new }),
            BindAnswer::Wrong(ticket) => assert_eq!(ticket, if is_before { new } else { old }),
            BindAnswer::Busy(_) => panic!("nobody else asks"),
        }
    }
    bench.stop.request();
}
