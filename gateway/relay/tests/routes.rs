//! A large route table: compiled in time, looked up right.

use gateway_relay::{
    Account, AccountId, Route, RouteQuestion, Snapshot, SnapshotInput, Vendor, VendorId, WeightedVendor,
};
use std::time::Instant;

const PREFIXES: u64 = 100_000;

fn digits(number: u64) -> String {
    // Seven digits, spread: the multiplier has no factor in common with 10^7, so all are different.
    format!("{:07}", number * 7_654_321 % 10_000_000)
}

fn large() -> Snapshot {
    let vendors = ["north", "south"];
    let routes = (0..PREFIXES).map(|number| {
        let name = vendors[(number % 2) as usize];
        Route {
            prefix: digits(number).into(),
            account: None,
            priority: 1,
            unknown_outcome: None,
            vendors: vec![WeightedVendor {
                vendor: VendorId::of_name(name.as_bytes()),
                weight: 1,
                price: None,
            }],
            ..Route::default()
        }
    });
    let input = SnapshotInput {
        accounts: vec![Account::new("acme")],
        vendors: vendors.into_iter().map(Vendor::new).collect(),
        routes: routes.collect(),
        ..SnapshotInput::default()
    };
    Snapshot::compile(input).unwrap()
}

#[test]
fn every_prefix_is_found_and_no_other() {
    let snapshot = large();
    let acme = AccountId::of_name(b"acme");
    for number in 0..PREFIXES {
        let destination = format!("+{}5550", digits(number));
        let plan = snapshot.route(&RouteQuestion::new(acme, destination.as_bytes())).expect("a route");
        assert_eq!(u64::from(snapshot.routes().plan(plan)[0].vendor), number % 2);
    }
    for number in PREFIXES..PREFIXES + 1000 {
        assert!(snapshot.route(&RouteQuestion::new(acme, digits(number).as_bytes())).is_none());
    }
}

/// Not a gate: prints what compiling and a random look-up cost.
/// `cargo test --release -p gateway-relay --test routes -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, to be read by a person"]
fn cost_of_a_look_up() {
    let start = Instant::now();
    let snapshot = large();
    println!("{} ms to compile {PREFIXES} prefixes", start.elapsed().as_millis());
    let acme = AccountId::of_name(b"acme");
    let destinations: Vec<String> =
        (0..PREFIXES).map(|at| format!("{}5550", digits(at * 48_271 % PREFIXES))).collect();
    let start = Instant::now();
    let found = destinations
        .iter()
        .filter(|one| snapshot.route(&RouteQuestion::new(acme, one.as_bytes())).is_some())
        .count();
    println!("{} ns a look-up, {found} found", start.elapsed().as_nanos() as u64 / PREFIXES);
}
