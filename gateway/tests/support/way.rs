//! A way between a node and a server that can be cut.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A node's way to Redis. Cut, it takes octets and passes none on, as a partition does; what it has goes on when it is whole
/// again. Its threads end with the connections, and with the test's process.
pub struct Way {
    pub address: SocketAddr,
    is_cut: Arc<AtomicBool>,
}

impl Way {
    pub fn to(url: &str) -> Way {
        let server: SocketAddr = url.trim_start_matches("redis://").parse().expect("an address");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let is_cut = Arc::new(AtomicBool::new(false));
        let told = is_cut.clone();
        std::thread::spawn(move || {
            while let Ok((node, _)) = listener.accept() {
                // Where there is no Redis the node's connection ends.
                let Ok(redis) = TcpStream::connect(server) else { continue };
                let ends = [(node.try_clone(), redis.try_clone()), (Ok(redis), Ok(node))];
                for (from, to) in ends {
                    let (from, to, is_cut) = (from.expect("ours"), to.expect("ours"), told.clone());
                    std::thread::spawn(move || pass_on(from, to, &is_cut));
                }
            }
        });
        Way { address, is_cut }
    }

    pub fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::Relaxed);
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, is_cut: &AtomicBool) {
    let mut octets = [0; 4096];
    from.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
    loop {
        let read = match from.read(&mut octets) {
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                continue;
            }
            Ok(read) if read > 0 => read,
            _ => break,
        };
        while is_cut.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
        if to.write_all(&octets[..read]).is_err() {
            break;
        }
    }
    // The other direction ends with it; it may be gone already.
    let _ = to.shutdown(std::net::Shutdown::Both);
}
