//! One shard with real sockets: a vendor whose name resolves later, and room for its bind whatever customers do.

mod support;

use gateway_shard::address_slot;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use support::{PATIENCE, accept_bind, plan};

#[test]
fn a_vendor_without_an_address_is_bound_once_it_has_one() {
    let slot = address_slot(Vec::new());
    let bench = support::bench(plan(slot.clone()), 10);
    bench.wait_until("the vendor is in the report, unbound", |bench| bench.vendor_links() == Some(0));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    slot.store(Arc::new(vec![listener.local_addr().unwrap()]));
    let stream = accept_bind(&listener);
    bench.wait_until("its receiver is counted", |bench| bench.vendor_links() == Some(1));
    drop(stream);
    let again = accept_bind(&listener);
    bench.wait_until("it is counted once", |bench| bench.vendor_links() == Some(1));
    drop(again);
    bench.end();
}

#[test]
fn customers_cannot_use_up_the_room_for_vendors() {
    let slot = address_slot(Vec::new());
    let bench = support::bench(plan(slot.clone()), 1);
    // A whole bind whose password nobody judges: the link stands.
    let bind = b"\0\0\0\x1f\0\0\0\x09\0\0\0\0\0\0\0\x01acme\0pw\0\0\x34\0\0\0";
    let mut bind = bind.to_vec();
    bind[3] = bind.len() as u8;
    let mut first = TcpStream::connect(bench.customers).unwrap();
    first.write_all(&bind).unwrap();
    bench.wait_until("the first customer's link stands", |bench| bench.report.load().links.opened == 1);
    let mut second = TcpStream::connect(bench.customers).unwrap();
    second.write_all(&bind).unwrap();
    second.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(matches!(second.read(&mut [0; 16]), Ok(0) | Err(_)), "closed without an answer");
    bench.wait_until("it is counted", |bench| bench.report.load().links.refused_full == 1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    slot.store(Arc::new(vec![listener.local_addr().unwrap()]));
    let _stream = accept_bind(&listener);
    bench.wait_until("the vendor is bound all the same", |bench| bench.vendor_links() == Some(1));
    drop(first);
    bench.end();
}
