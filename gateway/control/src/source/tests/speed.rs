//! How long a large configuration takes. The figure counts in a release build alone:
//! `cargo test --release -p gateway-control source::tests::speed -- --ignored --nocapture`.

use super::*;
use std::time::{Duration, Instant};

#[test]
#[ignore = "a figure, for a release build"]
fn a_hundred_thousand_routes_and_ten_thousand_customers_load_within_two_seconds() {
    let Some(bench) = Bench::start() else { return };
    bench.server.ask(&format!(
        "begin;
         insert into vendors (name, addresses, system_id, password_file)
            select 'v' || i, '{{127.0.0.1:3611}}', 'gw01', 'secret' from generate_series(1, 200) i;
         insert into customers (system_id, password_hash, rate) select 'c' || i, '{HASH}', 1000 from generate_series(1, 10000) i;
         insert into routes (prefix, customer)
            select (1000000 + i)::text, case when i % 2 = 0 then 'c' || (1 + i % 10000) end from generate_series(1, 100000) i;
         insert into route_vendors (route, vendor, weight)
            select id, 'v' || (1 + (id + n) % 200), 1 + n from routes, generate_series(1, 2) n;
         commit"
    ));
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let began = Instant::now();
        let edition = blocking(async { Database::connect(&bench.server.url()).await.unwrap().read().await });
        let edition = edition.unwrap().unwrap();
        let read = began.elapsed();
        let file = NodeFile::read(&bench.file()).unwrap();
        let config = file.parse(Some((edition.version.number, &edition.rows))).unwrap();
        let parsed = began.elapsed();
        let built = build(&config).unwrap();
        let whole = began.elapsed();
        assert_eq!((config.routes.len(), built.guests.credentials.len()), (100_000, 10_000));
        println!("read {read:?}, parse and check {:?}, build {:?}: {whole:?}", parsed - read, whole - parsed);
        best = best.min(whole);
    }
    println!("best: {best:?}");
    assert!(best < Duration::from_secs(2), "{best:?}");
}
