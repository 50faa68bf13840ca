//! One shard with real sockets: what another plan does to links that stand, and how long it keeps the shard from them.

mod support;

use gateway_shard::{BindKinds, CustomerOptions, Plan, Secret, VendorOptions, address_slot};
use relay::{Account, AccountId, Route, Snapshot, SnapshotInput, Vendor, VendorId, WeightedVendor};
use std::net::TcpListener;
use std::sync::Arc;
use support::{accept_bind, accept_bind_with, accept_unbind, bench, vendor, with_vendors};

fn listen() -> (TcpListener, gateway_shard::AddressSlot) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let slot = address_slot(vec![listener.local_addr().unwrap()]);
    (listener, slot)
}

fn published(vendors: Vec<VendorOptions>) -> Arc<Plan> {
    Arc::new(with_vendors(vendors))
}

#[test]
fn a_link_whose_options_changed_is_unbound_and_made_anew() {
    let (listener, slot) = listen();
    let mut bench = bench(with_vendors(vec![vendor("west", slot.clone())]), 10);
    let mut first = accept_bind(&listener);
    let other = VendorOptions { password: Secret::new("other"), ..vendor("west", slot) };
    bench.publish(&published(vec![other]));
    accept_unbind(&mut first);
    let _second = accept_bind_with(&listener, b"other");
    bench.wait_until("it is bound again", |bench| {
        bench.report.load().links.opened == 2 && bench.vendor_links() == Some(1)
    });
    bench.end();
}

#[test]
fn a_link_stands_when_its_addresses_or_window_change() {
    let (listener, slot) = listen();
    let (elsewhere, other_slot) = listen();
    let mut bench = bench(with_vendors(vec![vendor("west", slot)]), 10);
    let first = accept_bind(&listener);
    let moved = VendorOptions { window: 20, ..vendor("west", other_slot) };
    // With another vendor, whose bind shows that the plan was followed.
    let (north, north_slot) = listen();
    bench.publish(&published(vec![vendor("north", north_slot), moved]));
    let _north = accept_bind(&north);
    bench.wait_until("both are bound", |bench| bench.report.load().vendors_links.bound == 2);
    assert_eq!(bench.report.load().vendors_links.closed, 0);
    drop(first);
    let _second = accept_bind(&elsewhere);
    bench.wait_until("it is bound elsewhere", |bench| bench.report.load().links.opened == 3);
    bench.end();
}

/// An alert says that a vendor has no bind: one that is switched off must not set it off.
#[test]
fn a_vendor_that_is_switched_off_is_not_missed() {
    let (listener, slot) = listen();
    let mut bench = bench(with_vendors(vec![vendor("west", slot.clone())]), 10);
    let mut link = accept_bind(&listener);
    bench.wait_until("it is bound", |bench| bench.vendor_links() == Some(1));
    bench.publish(&published(vec![VendorOptions { binds: 0, ..vendor("west", slot) }]));
    accept_unbind(&mut link);
    bench.wait_until("it is not shown", |bench| bench.vendor_links().is_none());
    bench.end();
}

#[test]
fn vendors_come_and_go_and_binds_become_more_and_fewer() {
    let (listener, slot) = listen();
    let mut bench = bench(with_vendors(Vec::new()), 10);
    assert_eq!(bench.vendor_links(), None);
    let with_binds = |binds| VendorOptions { binds, ..vendor("west", slot.clone()) };
    bench.publish(&published(vec![with_binds(3)]));
    let mut links = [(); 3].map(|()| accept_bind(&listener));
    bench.wait_until("three binds stand", |bench| bench.vendor_links() == Some(3));
    bench.publish(&published(vec![with_binds(1)]));
    // Which connection is which bind is not said; two of them are unbound.
    std::thread::scope(|scope| {
        let ends: Vec<_> = links
            .iter_mut()
            .map(|link| {
                scope.spawn(move || {
                    support::hear(link).map(|(header, _)| {
                        assert_eq!(header[4..8], [0, 0, 0, 6], "unbind");
                        link.shutdown(std::net::Shutdown::Both).unwrap();
                    })
                })
            })
            .collect();
        bench.wait_until("one bind stands", |bench| bench.vendor_links() == Some(1));
        bench.publish(&published(Vec::new()));
        for end in ends {
            assert_eq!(end.join().unwrap(), Some(()), "ended by an unbind");
        }
    });
    bench.wait_until("it is not in the report any more", |bench| bench.vendor_links().is_none());
    assert_eq!(bench.report.load().links.opened, 3, "nothing was made anew");
    bench.end();
}

/// Receivers beside other binds have numbers of their own: neither kind moves when the other's count changes.
#[test]
fn receivers_come_and_go_beside_other_binds() {
    let (listener, slot) = listen();
    let west = VendorOptions { binds: 2, ..vendor("west", slot) };
    let with_receivers = |count| vec![west.clone(), west.receivers(count, false)];
    let mut bench = bench(with_vendors(with_receivers(1)), 10);
    let _links = [(); 3].map(|()| accept_bind(&listener));
    bench.wait_until("three binds stand", |bench| bench.vendor_links() == Some(3));
    bench.publish(&published(with_receivers(2)));
    let _second = accept_bind(&listener);
    bench.wait_until("four binds stand", |bench| bench.vendor_links() == Some(4));
    let more = VendorOptions { binds: 3, ..west.clone() };
    bench.publish(&published(vec![more, west.receivers(2, false)]));
    let _third = accept_bind(&listener);
    bench.wait_until("five binds stand", |bench| bench.vendor_links() == Some(5));
    let report = bench.report.load();
    assert_eq!((report.links.opened, report.vendors_links.closed), (5, 0), "nothing was made anew");
    bench.end();
}

/// What does not get a link in time tries with the newest options at once, not after its pause.
#[test]
fn a_vendor_that_waits_is_tried_at_once_when_it_changes() {
    let (listener, slot) = listen();
    let nowhere = VendorOptions {
        reconnect: link::backoff::BackoffOptions {
            first: std::time::Duration::from_secs(3600),
            max: std::time::Duration::from_secs(3600),
            jitter_percent: 0,
        },
        ..vendor("west", address_slot(Vec::new()))
    };
    let mut bench = bench(with_vendors(vec![nowhere.clone()]), 10);
    bench.wait_until("it is in the report", |bench| bench.vendor_links() == Some(0));
    bench.publish(&published(vec![VendorOptions { addresses: slot, ..nowhere }]));
    let _link = accept_bind(&listener);
    bench.wait_until("it is bound", |bench| bench.vendor_links() == Some(1));
    bench.end();
}

const ROUTES: u32 = 100_000;
const CUSTOMERS: u32 = 10_000;
const VENDORS: u32 = 200;
/// Upper bound of the bucket that the longest swap may be in; see `LATENCY_BOUNDS_US`.
const SWAP_MAX_US: u64 = 1_000;

fn large_plan(version: u64) -> Plan {
    let name = |number: u32| format!("customer{number}");
    let vendor_name = |number: u32| format!("vendor{}", number % VENDORS);
    let input = SnapshotInput {
        version,
        accounts: (0..CUSTOMERS).map(|number| Account::new(&name(number))).collect(),
        vendors: (0..VENDORS).map(|number| Vendor::new(&vendor_name(number))).collect(),
        routes: (0..ROUTES)
            .map(|number| Route {
                prefix: format!("1{number:06}").into(),
                account: None,
                priority: 10,
                unknown_outcome: None,
                vendors: vec![WeightedVendor {
                    vendor: VendorId::of_name(vendor_name(number).as_bytes()),
                    weight: 1,
                    price: None,
                }],
                ..Route::default()
            })
            .collect(),
        ..SnapshotInput::default()
    };
    let customer = |number| CustomerOptions {
        account: AccountId::of_name(name(number).as_bytes()),
        system_id: name(number).into_bytes().into(),
        bind_kinds: BindKinds::ALL,
        binds_max: 1,
        window: 10,
        networks: Vec::new(),
        dialect: smpp::dialect::Dialect::tolerant(),
        version: None,
        has_ranges: false,
    };
    let mut plan = with_vendors(Vec::new());
    plan.snapshot = Arc::new(Snapshot::compile(input).unwrap());
    plan.customers = (0..CUSTOMERS).map(customer).collect();
    plan.vendors =
        (0..VENDORS).map(|number| vendor(&vendor_name(number), address_slot(Vec::new()))).collect();
    plan.sort();
    plan
}

/// To be run in a release build on a machine that does nothing else.
#[test]
#[ignore = "a measurement"]
fn a_swap_at_full_size_keeps_no_link_waiting() {
    // As control does: whoever publishes holds the old plan until the shard let go.
    let plans = [1, 2].map(|version| Arc::new(large_plan(version)));
    let mut bench = bench(plans[0].clone(), 10);
    let swaps = |bench: &support::Bench| bench.report.load().swaps.buckets.iter().sum::<u64>();
    for round in 1..=100 {
        bench.publish(&plans[round % 2]);
        bench.wait_until("it was swapped", |bench| swaps(bench) >= round as u64);
    }
    let swaps = bench.report.load().swaps;
    let slower = swaps.buckets
        [gateway_shard::LATENCY_BOUNDS_US.partition_point(|bound| *bound <= SWAP_MAX_US)..]
        .iter()
        .sum::<u64>();
    println!(
        "{ROUTES} routes, {CUSTOMERS} customers, {VENDORS} vendors: {} us a swap on average",
        swaps.sum_us / 100
    );
    println!("by bucket (bounds {:?} us): {:?}", gateway_shard::LATENCY_BOUNDS_US, swaps.buckets);
    assert_eq!(slower, 0, "none above {SWAP_MAX_US} us");
    bench.end();
}
