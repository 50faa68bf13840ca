//! Two nodes never give one message id: numbers are leased, and who has one is named.

mod support;

use redis_server::RedisServer;
use smpp::field::CommandStatus;
use smpp::pdu::BindKind;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use support::client::Client;
use support::way::Way;
use support::{Configuration, Gateway, sites};

/// Messages that each node is given at a time.
const MESSAGES: usize = 200;

fn configuration(url: &str, site: SocketAddr) -> Configuration {
    Configuration::new("auto", 2)
        .with(&format!("[store]\nkind = \"redis\"\nurl = \"{url}\""))
        .customer("bulk", "")
        .vendor("Chicago", site, 2, "")
        .route("", &["Chicago"])
}

fn folder(directory: &Path, name: &str) -> std::path::PathBuf {
    let folder = directory.join(name);
    std::fs::create_dir_all(&folder).expect("writable");
    folder
}

/// Submits to a node, and adds the ids to all that were given: none of them twice.
fn submit(gateway: &Gateway, given: &mut BTreeSet<String>) {
    gateway.wait_for_vendor_binds(1.0);
    let mut customer = Client::bound(gateway.smpp, BindKind::Transmitter, "bulk");
    for _ in 0..MESSAGES {
        let answer = customer.submit_and_hear("12025550123", "hello", false);
        assert_eq!(answer.status(), CommandStatus::ESME_ROK);
        assert!(given.insert(answer.message_id()), "{} twice", answer.message_id());
    }
}

/// What a node that does not start says.
fn refusal(directory: &Path, configuration: &Configuration) -> String {
    let file = configuration.write(directory);
    let ended = Command::new(env!("CARGO_BIN_EXE_gateway")).arg("run").arg(file).output().expect("it runs");
    assert!(!ended.status.success());
    String::from_utf8_lossy(&ended.stderr).into_owned()
}

#[test]
fn a_node_that_is_cut_off_keeps_its_id_and_nobody_gives_the_same_ones() {
    let Some(redis) = RedisServer::start() else { return };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let sim = sites(directory.path(), &["Chicago"], "fast", "");
    let site = sim.address("Chicago").expect("a site");
    let way = Way::to(&redis.url());
    let through_way = configuration(&format!("redis://{}", way.address), site).with_any_id();
    let (a, b, c) =
        (folder(directory.path(), "a"), folder(directory.path(), "b"), folder(directory.path(), "c"));
    let mut given = BTreeSet::new();
    let first = Gateway::start(&a, &through_way);
    submit(&first, &mut given);
    way.cut(true);
    let second = Gateway::start(&b, &configuration(&redis.url(), site).with_any_id());
    let id = |gateway: &Gateway| gateway.metric("smppgw_node_id", &[]);
    assert_eq!((id(&first), id(&second)), (0.0, 1.0));
    submit(&second, &mut given);
    submit(&first, &mut given);
    // Whoever wants a number that is taken is told by whom.
    let told = refusal(&c, &configuration(&redis.url(), site));
    assert!(told.contains("[node] id 1 is that of another node: \"gw\" on "), "{told}");
    // A kill: the same directory has its number again at once, and gives other ids.
    let mut second = second;
    second.kill();
    second = Gateway::start(&b, &configuration(&redis.url(), site).with_any_id());
    assert_eq!(id(&second), 1.0);
    submit(&second, &mut given);
    // An orderly end: the number is free.
    assert_eq!(second.terminate(), Some(0));
    let third = Gateway::start(&c, &configuration(&redis.url(), site));
    assert_eq!(id(&third), 1.0);
    submit(&third, &mut given);
    assert_eq!(given.len(), 5 * MESSAGES);
    drop(first);
    sim.stop().expect("the simulator ends");
}
