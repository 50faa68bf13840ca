//! Vendors' names, looked up again and again: a name that could not be resolved at the start, or that moves to another
//! address, must not need a restart. Shards never look up names; they take what lies in the vendor's slot.

use crate::config::HostPort;
use shard::AddressSlot;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Time between two look-ups while every name is known: the time to live that most names have. A look-up costs one
/// question to the name server for each name.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The same while a name is unknown: traffic waits for it.
const LOOK_EVERY_UNKNOWN: Duration = Duration::from_secs(5);

/// One vendor's hosts and where their addresses go.
#[derive(Debug)]
pub struct VendorNames {
    vendor: Box<str>,
    hosts: Vec<Host>,
    slot: AddressSlot,
}

#[derive(Debug)]
struct Host {
    at: HostPort,
    /// What the last look-up that succeeded found.
    found: Vec<SocketAddr>,
}

impl VendorNames {
    /// The hosts of a vendor, with nothing known of them yet.
    pub(crate) fn new(vendor: &str, hosts: &[HostPort]) -> Self {
        let host = |at: &HostPort| Host { at: at.clone(), found: Vec::new() };
        let hosts = hosts.iter().map(host).collect();
        VendorNames { vendor: vendor.into(), hosts, slot: shard::address_slot(Vec::new()) }
    }

    /// Where its newest addresses lie.
    pub(crate) fn slot(&self) -> AddressSlot {
        self.slot.clone()
    }

    /// Looks up every host and publishes what changed. A host that cannot be resolved keeps the addresses it had.
    /// Returns what went wrong.
    pub(crate) fn look_up(&mut self, look: impl Fn(&HostPort) -> io::Result<Vec<SocketAddr>>) -> Vec<String> {
        let mut failures = Vec::new();
        for host in &mut self.hosts {
            match look(&host.at) {
                Ok(found) if !found.is_empty() => host.found = found,
                Ok(_) => {
                    failures.push(format!("vendor \"{}\": {} has no address", self.vendor, host.at.host))
                }
                Err(error) => {
                    let host = &host.at.host;
                    failures.push(format!("vendor \"{}\": {host} cannot be resolved: {error}", self.vendor));
                }
            }
        }
        let addresses: Vec<SocketAddr> = self.hosts.iter().flat_map(|host| &host.found).copied().collect();
        if **self.slot.load() != addresses {
            self.slot.store(addresses.into());
        }
        failures
    }

    fn is_literal(&self) -> bool {
        self.hosts.iter().all(|host| host.at.host.parse::<std::net::IpAddr>().is_ok())
    }
}

/// Asks the system; may take seconds.
pub(crate) fn resolve(host: &HostPort) -> io::Result<Vec<SocketAddr>> {
    Ok((host.host.as_str(), host.port).to_socket_addrs()?.collect())
}

/// Keeps the thread going; it ends with its next round once this is dropped, and with the process at the latest: a
/// look-up cannot be broken off, and nobody should wait for it.
#[derive(Debug)]
pub struct NamesGuard {
    _ended: Option<SyncSender<()>>,
}

/// Starts the thread that looks up names, unless every vendor has addresses only.
///
/// # Errors
/// When the system gives no thread.
pub fn keep_resolving(mut names: Vec<VendorNames>) -> io::Result<NamesGuard> {
    names.retain(|vendor| !vendor.is_literal());
    if names.is_empty() {
        return Ok(NamesGuard { _ended: None });
    }
    let (guard, ended) = sync_channel(0);
    thread::Builder::new().name("names".into()).spawn(move || {
        let mut wait = LOOK_EVERY_UNKNOWN;
        while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            wait = look_up_all(&mut names);
        }
    })?;
    Ok(NamesGuard { _ended: Some(guard) })
}

/// One round; how long to wait for the next.
fn look_up_all(names: &mut [VendorNames]) -> Duration {
    let mut wait = LOOK_EVERY;
    for vendor in names {
        let before = vendor.slot.load_full();
        for failure in vendor.look_up(resolve) {
            tracing::warn!("{failure}");
            wait = LOOK_EVERY_UNKNOWN;
        }
        let now = vendor.slot.load_full();
        if before != now {
            tracing::info!(vendor = %vendor.vendor, addresses = ?now, "resolved");
        }
    }
    wait
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> HostPort {
        HostPort { host: name.into(), port: 2775 }
    }

    #[test]
    fn a_name_is_found_later_and_kept_when_it_is_lost() {
        let address = |last: u8| SocketAddr::from(([10, 0, 0, last], 2775));
        let mut names = VendorNames::new("west", &[host("a"), host("b")]);
        let slot = names.slot();
        let unknown = |_: &HostPort| Err(io::Error::other("no server"));
        assert_eq!(names.look_up(unknown).len(), 2);
        assert!(slot.load().is_empty());
        let only_b = |at: &HostPort| if at.host == "b" { Ok(vec![address(2)]) } else { unknown(at) };
        assert_eq!(names.look_up(only_b), ["vendor \"west\": a cannot be resolved: no server"]);
        assert_eq!(**slot.load(), [address(2)]);
        let both = |at: &HostPort| Ok(vec![address(if at.host == "a" { 1 } else { 3 })]);
        assert!(names.look_up(both).is_empty());
        assert_eq!(**slot.load(), [address(1), address(3)], "in the order of the file");
        assert_eq!(names.look_up(unknown).len(), 2);
        assert_eq!(**slot.load(), [address(1), address(3)], "what was known is kept");
    }

    #[test]
    fn addresses_need_no_thread() {
        let literal = VendorNames::new("west", &[host("127.0.0.1"), host("::1")]);
        assert!(literal.is_literal());
        assert!(keep_resolving(vec![literal]).unwrap()._ended.is_none());
        assert!(!VendorNames::new("west", &[host("127.0.0.1"), host("smsc.example")]).is_literal());
    }
}
