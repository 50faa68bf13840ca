//! Strangers use up no descriptor that vendors, the store, the spool or HTTP need.

mod support;

use smpp::field::CommandStatus;
use smpp::pdu::BindKind;
use std::net::{TcpListener, TcpStream};
use support::client::Client;
use support::{Configuration, Gateway, wait_until};

const OK: CommandStatus = CommandStatus::ESME_ROK;
/// Hard limit of the gateway.
const DESCRIPTORS: u32 = 1_024;
/// Connections that say nothing: more than it has descriptors.
const IDLE: usize = 1_200;

fn idle_connections_cost_customers_alone(backend: &str) {
    // Our own ends of them are in this process.
    let limit = runtime::raise_descriptor_limit().expect("may be raised");
    assert!(limit.now > 2 * IDLE as u64, "this test needs descriptors of its own: {limit:?}");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let configuration = Configuration::new(backend, 2)
        .with("[session]\nbind_timeout = \"120s\"")
        .customer("bulk", "mode = \"store_and_forward\"")
        .vendor("Chicago", address, 1, "")
        .route("", &["Chicago"]);
    let gateway = Gateway::start_with_descriptors(directory.path(), &configuration, DESCRIPTORS);
    let vendor = Client::accepted(&listener);
    gateway.wait_for_vendor_binds(1.0);
    let mut customer = Client::bound(gateway.smpp, BindKind::Transceiver, "bulk");
    assert_eq!(customer.submit_and_hear("12025550123", "before", false).status(), OK);
    let idle: Vec<TcpStream> =
        (0..IDLE).map(|_| TcpStream::connect(gateway.smpp).expect("the kernel connects")).collect();
    wait_until("no descriptor is left for customers", || {
        gateway.metric("smppgw_accepts_failed_total", &[]) > 0.0
    });
    assert_eq!(gateway.get("/livez").0, 200);
    assert!(gateway.log().contains("no descriptor is left for customers' connections"));
    // The vendor's bind is lost and made anew.
    drop(vendor);
    let mut vendor = Client::accepted(&listener);
    for _ in 0..10 {
        assert_eq!(customer.submit_and_hear("12025550123", "meanwhile", false).status(), OK);
    }
    assert!(vendor.hear().is_some(), "messages flow");
    assert_eq!(gateway.metric("smppgw_spool_away", &[]), 0.0);
    assert_eq!(gateway.metric("smppgw_store_away", &[]), 0.0);
    let limit = gateway.metric("smppgw_descriptors", &["kind=\"limit\""]);
    let open = gateway.metric("smppgw_descriptors", &["kind=\"open\""]);
    assert_eq!(limit, f64::from(DESCRIPTORS));
    assert!(open <= limit - 64.0, "{open} are open");
    drop(idle);
    // Until it has noticed that they are gone it closes others, too.
    let mut late = None;
    wait_until("customers are let in again", || {
        late = Client::bound_if_let_in(gateway.smpp, BindKind::Transceiver, "bulk");
        late.is_some()
    });
    let mut late = late.expect("it is bound");
    assert_eq!(late.submit_and_hear("12025550123", "after", false).status(), OK);
}

#[test]
fn idle_connections_leave_the_reserve_alone_on_epoll() {
    idle_connections_cost_customers_alone("tokio");
}

#[test]
fn idle_connections_leave_the_reserve_alone_on_io_uring() {
    if runtime::testing::glommio_allowed() {
        idle_connections_cost_customers_alone("glommio");
    }
}
