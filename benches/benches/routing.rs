//! What a look-up among 100,000 routes costs, by destinations in an order that no cache foresees:
//! `cargo bench -p benches --bench routing`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use relay::{
    Account, AccountId, Route, RouteQuestion, Snapshot, SnapshotInput, Vendor, VendorId, WeightedVendor,
};
use std::hint::black_box;

const ROUTES: u64 = 100_000;
const ACCOUNTS: u64 = 10_000;

fn prefix(number: u64) -> String {
    // Seven digits, spread: the multiplier has no factor in common with 10^7, so all are different.
    format!("{:07}", number * 7_654_321 % 10_000_000)
}

fn account(number: u64) -> String {
    format!("customer{number}")
}

/// Every tenth route is one customer's own.
fn snapshot() -> Snapshot {
    let routes = (0..ROUTES).map(|number| Route {
        prefix: prefix(number).into(),
        account: number.is_multiple_of(10).then(|| AccountId::of_name(account(number / 10).as_bytes())),
        priority: 1,
        unknown_outcome: None,
        vendors: vec![WeightedVendor { vendor: VendorId::of_name(b"west"), weight: 1, price: None }],
        ..Route::default()
    });
    let input = SnapshotInput {
        accounts: (0..ACCOUNTS).map(|number| Account::new(&account(number))).collect(),
        vendors: vec![Vendor::new("west")],
        routes: routes.collect(),
        ..SnapshotInput::default()
    };
    Snapshot::compile(input).expect("no mistake")
}

fn find(criterion: &mut Criterion) {
    let snapshot = snapshot();
    let questions: Vec<(AccountId, String)> = (0..ROUTES)
        .map(|at| {
            let number = at * 48_271 % ROUTES;
            let name = account(number / 10);
            (AccountId::of_name(name.as_bytes()), format!("{}5550", prefix(number)))
        })
        .collect();
    let mut group = criterion.benchmark_group("routing");
    group.throughput(Throughput::Elements(1));
    let mut at = 0;
    group.bench_function("find among 100,000", |bencher| {
        bencher.iter(|| {
            at = (at + 1) % questions.len();
            let (account, destination) = &questions[at];
            black_box(snapshot.route(&RouteQuestion::new(*account, destination.as_bytes())))
        });
    });
    group.finish();
}

criterion_group!(benches, find);
criterion_main!(benches);
