//! What a shard costs that does nothing.

use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use runtime::{Listener, Placement, Runtime, SCRATCH_SIZE, Stop, Stream, thread_cpu_nanos};

use crate::Cores;

/// Share of a core that an idle shard uses, 0 to 1; with `tick`, one task wakes every 5 ms.
pub(crate) fn cpu_share<R: Runtime>(duration: Duration, cores: Cores, tick: bool) -> f64 {
    let (tell, result) = mpsc::channel();
    let shard = R::run(Placement::Core(cores.server), "idle", move || async move {
        if tick {
            R::spawn(async {
                loop {
                    R::sleep(Duration::from_millis(5)).await;
                }
            });
        }
        R::sleep(Duration::from_millis(50)).await;
        let before = thread_cpu_nanos();
        R::sleep(duration).await;
        tell.send(thread_cpu_nanos() - before).expect("the bench waits");
    });
    let used = result.recv().expect("the shard ends");
    shard.and_then(|shard| shard.join().map_err(std::io::Error::other)).expect("the shard ends well");
    used as f64 / duration.as_nanos() as f64
}

/// Growth of this process' resident memory for each accepted connection with a task that reads it. The other end is a bare
/// socket; what the kernel holds is not in it.
pub(crate) fn bytes_per_connection<R: Runtime>(cores: Cores) -> f64 {
    // Both ends are descriptors of this process, and 1,024 is a common limit of them.
    const CONNECTIONS: usize = 400;
    let stop = Stop::new();
    let stops = stop.clone();
    let (tell, port) = mpsc::channel();
    let (progress, accepted) = mpsc::channel();
    let server = R::run(Placement::Core(cores.server), "idle-links", move || async move {
        let listener = R::listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port is free");
        tell.send(listener.local_address()).expect("the bench waits");
        let scratch = std::rc::Rc::new(std::cell::RefCell::new(vec![0; SCRATCH_SIZE]));
        R::spawn(async move {
            while let Ok((stream, _peer)) = listener.accept().await {
                let scratch = std::rc::Rc::clone(&scratch);
                R::spawn(async move { while let Ok(1..) = stream.read(&scratch).await {} });
                progress.send(()).expect("the bench waits");
            }
        });
        stops.requested().await;
    });
    let address = port.recv().expect("the server listens");
    let mut open = Vec::with_capacity(CONNECTIONS + 1);
    let mut connect = |count: usize| {
        for _ in 0..count {
            open.push(TcpStream::connect(address).expect("the server accepts"));
            accepted.recv().expect("the server goes on");
        }
    };
    connect(1);
    let before = resident_bytes();
    connect(CONNECTIONS);
    let after = resident_bytes();
    stop.request();
    server.and_then(|server| server.join().map_err(std::io::Error::other)).expect("the server ends well");
    after.saturating_sub(before) as f64 / CONNECTIONS as f64
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs is there");
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = kilobytes.and_then(|rest| rest.trim().strip_suffix(" kB"));
    kilobytes.and_then(|number| number.parse::<u64>().ok()).expect("the kernel tells VmRSS in kB") * 1024
}
