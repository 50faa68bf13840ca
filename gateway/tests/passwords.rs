//! Passwords under attack: customers come back while others guess, and refusals tell nothing by the clock.

mod support;

use smpp::field::CommandStatus;
use smpp::pdu::BindKind;
use socket2::{Domain, Socket, Type};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use support::client::Client;
use support::{Configuration, Gateway, PATIENCE, wait_until};

const OK: CommandStatus = CommandStatus::ESME_ROK;
/// Of "secret", with a fourteenth of the usual cost, since the machine may be busy.
const CHEAP: &str =
    "$argon2id$v=19$m=4096,t=1,p=1$3kYaV8FgJ0FITxeeLqEoig$MC9iksxtWXZguip0620zE1br35uV+kmityhVQqlvPek";
/// The same as it is made by default.
const FULL: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$UtrzUIOvto7R03U5CG8kiA$akbcQPozi6HYubeWxFWgd9t0WzMmuosHNhBhOrxGC/g";
/// Customers who come back at once.
const CUSTOMERS: u32 = 1_000;
/// Until all of them must be bound.
const BOUND_WITHIN: Duration = Duration::from_secs(20);
/// Where the machine is so busy that they take long without an attack: so many times as long with one.
const TIMES_QUIET: u32 = 4;
/// Longest that they try.
const TRY_FOR: Duration = PATIENCE.saturating_mul(2);
/// Between two wrong binds.
const WRONG_EVERY: Duration = Duration::from_millis(10);
/// A customer that was told to come back does so after this.
const COME_BACK_AFTER: Duration = Duration::from_millis(500);

fn hashed(system_id: &str, hash: &str) -> String {
    format!("[[customer]]\nsystem_id = \"{system_id}\"\npassword_hash = \"{hash}\"\n")
}

/// Connects from this address.
fn connect_from(own: Ipv4Addr, to: SocketAddr) -> Option<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).ok()?;
    socket.bind(&SocketAddr::from((own, 0)).into()).ok()?;
    socket.connect(&to.into()).ok()?;
    Some(socket.into())
}

/// Addresses of one kind, all of this machine.
fn address(kind: u8, number: u32) -> Ipv4Addr {
    Ipv4Addr::new(127, kind, (number / 250) as u8, (number % 250) as u8 + 1)
}

/// Sends wrong binds until told to stop: every other one for a customer that there is. Nobody waits for the answers.
fn attack(to: SocketAddr, addresses: u32, stop: &AtomicBool) -> u32 {
    let mut open = VecDeque::new();
    let (began, mut sent) = (Instant::now(), 0);
    while !stop.load(Ordering::Relaxed) && began.elapsed() < TRY_FOR {
        let due = began + WRONG_EVERY * sent;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let system_id = if sent % 2 == 0 { format!("c{}", sent % CUSTOMERS) } else { format!("x{sent}") };
        if let Some(stream) = connect_from(address(9, sent % addresses), to) {
            let mut client = Client::over(stream);
            client.send_bind(BindKind::Transceiver, &system_id, "guessed");
            open.push_back((Instant::now(), client));
        }
        while open.front().is_some_and(|(since, _)| since.elapsed() > Duration::from_secs(6)) {
            open.pop_front();
        }
        sent += 1;
    }
    sent
}

/// All customers connect at once, each from an address of its own; how long until the last one is bound.
fn come_back(to: SocketAddr) -> Duration {
    let began = Instant::now();
    let bound: Vec<_> = (0..CUSTOMERS)
        .map(|number| {
            let come = move || {
                while began.elapsed() < TRY_FOR {
                    let stream = connect_from(address(8, number), to).expect("the port is open");
                    let mut client = Client::over(stream);
                    client.send_bind(BindKind::Transceiver, &format!("c{number}"), "secret");
                    match client.hear().map(|heard| heard.status()) {
                        Some(OK) => return Some(client),
                        Some(CommandStatus::ESME_RSYSERR) | None => thread::sleep(COME_BACK_AFTER),
                        Some(other) => panic!("{other:?}"),
                    }
                }
                None
            };
            thread::Builder::new().stack_size(128 * 1024).spawn(come).expect("a thread")
        })
        .collect();
    let bound: Vec<_> = bound.into_iter().map(|customer| customer.join().expect("no panic")).collect();
    let took = began.elapsed();
    let missing = bound.iter().filter(|client| client.is_none()).count();
    assert_eq!(missing, 0, "not bound in {took:?}");
    took
}

/// Without an attack where it comes from no address.
fn customers_come_back_under_attack(hash: &str, addresses: u32) -> Duration {
    runtime::raise_descriptor_limit().expect("may be raised");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut configuration = Configuration::new("tokio", 1);
    for number in 0..CUSTOMERS {
        configuration = configuration.with(&hashed(&format!("c{number}"), hash));
    }
    let gateway = Gateway::start(directory.path(), &configuration);
    let (to, stop) = (gateway.smpp, AtomicBool::new(false));
    let (took, sent) = thread::scope(|scope| {
        let attacker = (addresses > 0).then(|| scope.spawn(|| attack(to, addresses, &stop)));
        let took = come_back(to);
        stop.store(true, Ordering::Relaxed);
        (took, attacker.map_or(0, |attacker| attacker.join().expect("no panic")))
    });
    let metric = |name: &str, words: &[&str]| gateway.metric(name, words);
    println!(
        "{CUSTOMERS} customers in {took:?}, {sent} wrong binds from {addresses} addresses; {} hashes, {} refused as busy, {} gone",
        metric("smppgw_auth_hashes_total", &[]),
        metric("smppgw_binds_refused_total", &["reason=\"busy\""]),
        metric("smppgw_auth_verdicts_total", &["verdict=\"gone\""]),
    );
    let log = gateway.log();
    let lines = log.lines().filter(|line| line.contains("127.9.0.1\"")).count();
    assert!(lines as u64 <= 2 * (took.as_secs() + 8), "{lines} lines about one address in {took:?}");
    took
}

#[track_caller]
fn check_that_they_come_back(addresses: u32) {
    let took = customers_come_back_under_attack(CHEAP, addresses);
    if took >= BOUND_WITHIN {
        let quiet = customers_come_back_under_attack(CHEAP, 0);
        assert!(took < TIMES_QUIET * quiet, "{took:?}, and {quiet:?} without an attack");
    }
}

#[test]
fn customers_come_back_while_one_address_guesses() {
    check_that_they_come_back(1);
}

#[test]
fn customers_come_back_while_a_thousand_addresses_guess() {
    check_that_they_come_back(1_000);
}

/// The figure of the operator's guide, for a machine that does nothing else: `cargo test -- --ignored`.
#[test]
#[ignore = "a figure: needs a quiet machine"]
fn customers_come_back_at_the_usual_cost_of_a_hash() {
    for addresses in [1, 1_000] {
        assert!(customers_come_back_under_attack(FULL, addresses) < BOUND_WITHIN);
    }
}

#[test]
fn refusals_leave_at_one_time_whatever_the_reason() {
    let bind_timeout = Duration::from_secs(2);
    let refused_after = shard::refuse_after(bind_timeout);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let configuration = Configuration::new("auto", 2)
        .with("[session]\nbind_timeout = \"2s\"")
        .customer("plain", "")
        .customer("off", "enabled = false")
        .customer("elsewhere", "networks = [\"203.0.113.0/24\"]")
        .customer("receiver", "bind_kinds = [\"receiver\"]")
        .customer("single", "binds_max = 1")
        .with(&hashed("hashed", CHEAP));
    let gateway = Gateway::start(directory.path(), &configuration);
    let _single = Client::bound(gateway.smpp, BindKind::Transceiver, "single");
    let (wrong, failed) = (CommandStatus::ESME_RINVPASWD, CommandStatus::ESME_RBINDFAIL);
    let cases = [
        ("nobody", "secret", wrong),
        ("plain", "wrong", wrong),
        ("hashed", "wrong", wrong),
        ("off", "wrong", wrong),
        ("off", "secret", failed),
        ("elsewhere", "wrong", wrong),
        ("elsewhere", "secret", failed),
        ("receiver", "wrong", wrong),
        ("receiver", "secret", failed),
        ("single", "wrong", wrong),
        ("single", "secret", CommandStatus::ESME_RALYBND),
    ];
    thread::scope(|scope| {
        for (system_id, password, expected) in cases {
            let to = gateway.smpp;
            scope.spawn(move || {
                let mut client = Client::connect(to);
                let began = Instant::now();
                let answer = client.bind(BindKind::Transceiver, system_id, password);
                let took = began.elapsed();
                assert_eq!(answer.status(), expected, "{system_id} {password}");
                assert!(took >= refused_after, "{system_id} {password}: after {took:?}");
                assert!(client.hear().is_none(), "the connection ends after a refusal");
            });
        }
    });
    // Who is right does not wait.
    let began = Instant::now();
    let _hashed = Client::bound(gateway.smpp, BindKind::Transceiver, "hashed");
    let _plain = Client::bound(gateway.smpp, BindKind::Transceiver, "plain");
    assert!(began.elapsed() < refused_after);
    let about = |what: &str| {
        let is_it = |line: &&str| line.contains("bind refused") && line.contains(what);
        gateway.log().lines().filter(is_it).count()
    };
    wait_until("the first is told, then the others", || about("wrong_credentials") == 2);
    assert_eq!(about("disabled"), 1);
}
