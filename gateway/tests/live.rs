//! Another configuration for a gateway that runs, by SIGHUP: vendors and customers come and go, and no message is lost.

mod support;

use smpp::field::{CommandId, CommandStatus};
use smpp::pdu::BindKind;
use std::path::Path;
use std::time::{Duration, Instant};
use support::bulk::Bulk;
use support::client::Client;
use support::{Configuration, Gateway, load, reconciled, sites, wait_until};

/// From the signal to a new vendor's first accepted message.
const NEW_VENDOR_MAX: Duration = Duration::from_secs(1);

const LOAD: Bulk<'static> =
    Bulk { account: "binds = { trx = 2 }", window: 200, rate: 1500, seconds: 8, quiet_seconds: 10 };

fn with_vendors(backend: &str, shards: u32, sim: &sim_smsc::Running, names: &[&str]) -> Configuration {
    let mut configuration = Configuration::new(backend, shards).customer("bulk", "");
    for name in names {
        configuration = configuration.vendor(name, sim.address(name).expect("a site"), 2, "");
    }
    configuration.route("", names)
}

/// A vendor comes and another goes while messages flow: each finishes, and none twice.
fn story(backend: &str, shards: u32) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let sim = sites(directory.path(), &["Chicago", "Atlanta", "Denver"], "fast", "");
    let with = |names: &[&str]| with_vendors(backend, shards, &sim, names);
    let mut gateway = Gateway::start(directory.path(), &with(&["Chicago", "Atlanta"]));
    gateway.wait_for_vendor_binds(4.0);
    let (path, smpp) = (directory.path().to_owned(), gateway.smpp);
    let running = std::thread::spawn(move || load(&path, smpp, &LOAD.scenario()));
    let accepted = |vendor: &str| {
        gateway.metric("smppgw_vendor_answers_total", &["class=\"ok\"", &format!("vendor=\"{vendor}\"")])
    };
    wait_until("both vendors have traffic", || accepted("Chicago") > 300.0 && accepted("Atlanta") > 300.0);
    let began = Instant::now();
    gateway.reload(directory.path(), &with(&["Chicago", "Atlanta", "Denver"]));
    wait_until("the new vendor has traffic", || accepted("Denver") > 0.0);
    let took = began.elapsed();
    assert!(took < NEW_VENDOR_MAX, "a new vendor took its first message after {took:?}");
    wait_until("all three have traffic", || accepted("Denver") > 300.0);
    gateway.reload(directory.path(), &with(&["Atlanta", "Denver"]));
    wait_until("the removed vendor is gone", || {
        !gateway.get("/metrics").1.contains("smppgw_vendor_links{vendor=\"Chicago\"}")
    });
    let at_the_end = accepted("Denver");
    wait_until("the others go on", || accepted("Denver") > at_the_end + 300.0);
    assert_eq!(gateway.metric("smppgw_config_published_total", &[]), 2.0);
    assert_eq!(gateway.metric("smppgw_links", &["side=\"vendor\"", "state=\"bound\""]), 4.0);
    let mut outcome = running.join().expect("the load ends");
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
    let result = reconciled(directory.path(), sim, &mut outcome);
    let text = result.text();
    assert!(result.holds(), "{text}");
    assert_eq!((result.delivered, result.refused, result.unknown), (result.sent, 0, 0), "{text}");
    assert_eq!(result.unanswered, 0, "{text}");
    assert_eq!((result.receipts.duplicated, result.duplicated), (0, 0), "{text}");
    assert!(result.sites.iter().all(|site| site.accepted > 300), "all three took a share: {text}");
}

#[test]
fn a_vendor_comes_and_another_goes_under_load_on_epoll() {
    story("tokio", 2);
}

#[test]
fn a_vendor_comes_and_another_goes_under_load_on_io_uring() {
    if runtime::testing::glommio_allowed() {
        story("glommio", 2);
    }
}

struct World {
    gateway: Gateway,
    sim: sim_smsc::Running,
    directory: tempfile::TempDir,
}

/// One site that answers after half a second, and these customers.
fn world(configure: impl Fn(Configuration) -> Configuration) -> World {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let sim = slow_site(directory.path());
    let gateway = Gateway::start(directory.path(), &configure(base(&sim)));
    gateway.wait_for_vendor_binds(1.0);
    World { gateway, sim, directory }
}

fn base(sim: &sim_smsc::Running) -> Configuration {
    let address = sim.address("Chicago").expect("a site");
    Configuration::new("auto", 2).vendor("Chicago", address, 1, "").route("1", &["Chicago"])
}

fn slow_site(directory: &Path) -> sim_smsc::Running {
    let text = "[run]\nname = \"test\"\nseed = 7\n[[site]]\nname = \"Chicago\"\nlisten = \"127.0.0.1:0\"\n\
        profile = \"fast\"\nresponse = { latency = \"500ms\" }\n\
        [[account]]\nsites = [\"Chicago\"]\nsystem_id = \"gw01\"\npassword = \"secret\"\n";
    let scenario = sim_smsc::Scenario::parse(text, "test").unwrap_or_else(|error| panic!("{error}\n{text}"));
    let options = sim_smsc::RunOptions { out: Some(directory.to_owned()) };
    sim_smsc::Simulator::start_with(scenario, options).expect("the simulator starts")
}

impl World {
    fn reload(&self, configure: impl Fn(Configuration) -> Configuration) {
        let gateway = &self.gateway;
        let before = gateway.metric("smppgw_config_version", &[]);
        gateway.reload(self.directory.path(), &configure(base(&self.sim)));
        wait_until("it is in force", || gateway.metric("smppgw_config_version", &[]) > before);
    }
}

/// What is open is answered, then the session ends in order, and the next bind is refused.
#[test]
fn a_customer_who_is_switched_off_is_unbound() {
    let world = world(|base| base.customer("one", "").customer("two", ""));
    let mut one = Client::bound(world.gateway.smpp, BindKind::Transceiver, "one");
    let mut two = Client::bound(world.gateway.smpp, BindKind::Transceiver, "two");
    let sequence = one.submit("12025550123", "in flight", false);
    wait_until("it is with the vendor", || {
        world.gateway.metric("smppgw_vendor_in_flight", &["vendor=\"Chicago\""]) >= 1.0
    });
    world.reload(|base| base.customer("one", "enabled = false").customer("two", ""));
    let answer = one.hear().expect("an answer");
    assert_eq!((answer.command(), answer.status()), (CommandId::SUBMIT_SM_RESP, CommandStatus::ESME_ROK));
    assert_eq!(answer.frame().sequence_number(), sequence);
    assert_eq!(one.hear().expect("an end in order").command(), CommandId::UNBIND);
    let again = Client::connect(world.gateway.smpp).bind(BindKind::Transceiver, "one", "secret");
    assert_eq!(again.status(), CommandStatus::ESME_RBINDFAIL, "not the password is wrong");
    let stranger = Client::connect(world.gateway.smpp).bind(BindKind::Transceiver, "one", "guessed");
    assert_eq!(stranger.status(), CommandStatus::ESME_RINVPASWD, "a stranger learns nothing");
    let log = world.gateway.log();
    let refusal = |reason: &str| {
        let is_it = |line: &&str| line.contains("bind refused") && line.contains(reason);
        log.lines().find(is_it).is_some_and(|line| line.contains("system_id=one"))
    };
    assert!(refusal("reason=\"disabled\"") && refusal("reason=\"wrong_credentials\""), "{log}");
    assert_eq!(two.submit_and_hear("12025550123", "untouched", false).status(), CommandStatus::ESME_ROK);
    world.reload(|base| base.customer("one", "").customer("two", ""));
    let mut one = Client::bound(world.gateway.smpp, BindKind::Transceiver, "one");
    assert_eq!(one.submit_and_hear("12025550123", "back", false).status(), CommandStatus::ESME_ROK);
    world.sim.stop().expect("the simulator ends");
}

#[test]
fn rights_count_for_the_next_bind() {
    let world = world(|base| base.customer("one", ""));
    let bind = |password: &str| {
        let mut client = Client::connect(world.gateway.smpp);
        let status = client.bind(BindKind::Transceiver, "one", password).status();
        (client, status)
    };
    let (mut standing, status) = bind("secret");
    assert_eq!(status, CommandStatus::ESME_ROK);
    world.reload(|base| base.customer("one", "networks = [\"10.0.0.0/8\", \"2001:db8::/32\"]"));
    assert_eq!(bind("secret").1, CommandStatus::ESME_RBINDFAIL);
    wait_until("it is counted", || {
        world.gateway.metric("smppgw_binds_refused_total", &["reason=\"wrong_network\""]) == 1.0
    });
    world.reload(|base| base.customer("one", "networks = [\"127.0.0.1\"]\nbinds_max = 1"));
    assert_eq!(bind("secret").1, CommandStatus::ESME_RALYBND, "one stands, and one may");
    world.reload(|base| base.with("[[customer]]\nsystem_id = \"one\"\npassword = \"other\"\nbinds_max = 2"));
    assert_eq!(bind("secret").1, CommandStatus::ESME_RINVPASWD);
    let (second, status) = bind("other");
    assert_eq!(status, CommandStatus::ESME_ROK);
    assert_eq!(
        standing.submit_and_hear("12025550123", "still here", false).status(),
        CommandStatus::ESME_ROK
    );
    drop(second);
    world.sim.stop().expect("the simulator ends");
}

#[test]
fn a_wrong_file_changes_nothing() {
    let world = world(|base| base.customer("one", ""));
    let mut one = Client::bound(world.gateway.smpp, BindKind::Transceiver, "one");
    let wrong = base(&world.sim).customer("two", "windows = 7").route("44", &["Atlantis"]);
    world.gateway.reload(world.directory.path(), &wrong);
    wait_until("it is refused", || world.gateway.metric("smppgw_config_rejected_total", &[]) == 1.0);
    let log = world.gateway.log();
    assert!(log.contains("unknown key \"windows\""), "{log}");
    assert!(log.contains("no vendor \"Atlantis\""), "all mistakes at once: {log}");
    assert_eq!(world.gateway.metric("smppgw_config_version", &[]), 1.0);
    assert_eq!(one.submit_and_hear("12025550123", "as before", false).status(), CommandStatus::ESME_ROK);
    world.sim.stop().expect("the simulator ends");
}

/// What only a start can take over is told, and all else is in force.
#[test]
fn what_needs_a_restart_is_told() {
    let world = world(|base| base.customer("one", ""));
    world.reload(|base| base.customer("one", "").customer("two", "").with("[spool]\nmax = 1000"));
    assert_eq!(world.gateway.metric("smppgw_config_needs_restart", &[]), 1.0);
    assert!(world.gateway.log().contains("needs a restart: [spool] max"), "{}", world.gateway.log());
    let mut two = Client::bound(world.gateway.smpp, BindKind::Transceiver, "two");
    assert_eq!(two.submit_and_hear("12025550123", "new here", false).status(), CommandStatus::ESME_ROK);
    world.sim.stop().expect("the simulator ends");
}

/// A vendor that is switched off keeps its place in routes; what waits for it or comes to it goes to the next.
#[test]
fn a_vendor_that_is_switched_off_is_passed_by() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let sim = sites(directory.path(), &["Chicago", "Atlanta"], "fast", "");
    let with = |chicago: &str| {
        let address = |site| sim.address(site).expect("a site");
        Configuration::new("auto", 2)
            .customer("one", "")
            .vendor("Chicago", address("Chicago"), 2, chicago)
            .vendor("Atlanta", address("Atlanta"), 2, "")
            .route("", &["Chicago", "Atlanta"])
    };
    let gateway = Gateway::start(directory.path(), &with(""));
    gateway.wait_for_vendor_binds(4.0);
    let mut one = Client::bound(gateway.smpp, BindKind::Transceiver, "one");
    let links = |vendor: &str| gateway.metric("smppgw_vendor_links", &[&format!("vendor=\"{vendor}\"")]);
    gateway.reload(directory.path(), &with("enabled = false"));
    wait_until("its binds are gone", || links("Chicago") == 0.0 && links("Atlanta") == 2.0);
    for _ in 0..20 {
        assert_eq!(one.submit_and_hear("12025550123", "hello", false).status(), CommandStatus::ESME_ROK);
    }
    assert_eq!(gateway.metric("smppgw_vendor_sends_total", &["vendor=\"Chicago\""]), 0.0);
    gateway.reload(directory.path(), &with("rate_per_bind = 500"));
    wait_until("its binds are back", || links("Chicago") == 2.0);
    sim.stop().expect("the simulator ends");
}
