//! Vendors' names, looked up again and again: a name that could not be resolved at the start, or that moves to another
//! address, must not need a restart. Shards never look up names; they take what lies in the vendor's slot.

use crate::config::HostPort;
use shard::AddressSlot;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
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
    /// The hosts of a vendor; of those that are names nothing is known yet.
    pub(crate) fn new(vendor: &str, hosts: &[HostPort]) -> Self {
        let host = |at: &HostPort| Host { at: at.clone(), found: literal(at).into_iter().collect() };
        let hosts = hosts.iter().map(host).collect();
        let names = VendorNames { vendor: vendor.into(), hosts, slot: shard::address_slot(Vec::new()) };
        names.show();
        names
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
        self.show();
        failures
    }

    /// Puts what is known into the slot.
    fn show(&self) {
        let addresses: Vec<SocketAddr> = self.hosts.iter().flat_map(|host| &host.found).copied().collect();
        if **self.slot.load() != addresses {
            self.slot.store(addresses.into());
        }
    }

    /// Takes over what is known of hosts that are not looked up yet.
    fn fill(&mut self, known: &HashMap<HostPort, Vec<SocketAddr>>) {
        for host in self.hosts.iter_mut().filter(|host| host.found.is_empty()) {
            host.found = known.get(&host.at).cloned().unwrap_or_default();
        }
        self.show();
    }

    fn is_complete(&self) -> bool {
        self.hosts.iter().all(|host| !host.found.is_empty())
    }

    fn is_literal(&self) -> bool {
        self.hosts.iter().all(|host| literal(&host.at).is_some())
    }
}

/// The address of a host that is none other than one.
fn literal(host: &HostPort) -> Option<SocketAddr> {
    host.host.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, host.port))
}

/// Looks up all names once, one after the other; may take seconds where a name server is slow. Returns what went wrong.
pub fn look_up(names: &mut [VendorNames]) -> Vec<String> {
    let named = names.iter_mut().filter(|vendor| !vendor.is_literal());
    named.flat_map(|vendor| vendor.look_up(resolve)).collect()
}

/// Asks the system; may take seconds.
pub(crate) fn resolve(host: &HostPort) -> io::Result<Vec<SocketAddr>> {
    Ok((host.host.as_str(), host.port).to_socket_addrs()?.collect())
}

/// The thread that looks up names. It ends with its next round once this is dropped, and with the process at the latest: a
/// look-up cannot be broken off, and nobody should wait for it.
pub struct NamesThread(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Rung when there are other names, and when they were looked up.
    changed: Condvar,
}

struct State {
    /// Other names, to be looked up instead.
    next: Option<Vec<VendorNames>>,
    /// Lists of names that were given, and how many of them were looked up once.
    given: u64,
    looked_up: u64,
    /// What was found last, of every host that was ever found and is still named.
    known: HashMap<HostPort, Vec<SocketAddr>>,
    ended: bool,
}

impl NamesThread {
    /// Starts the thread with names that were looked up already.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(names: Vec<VendorNames>) -> io::Result<NamesThread> {
        let state = State { next: None, given: 0, looked_up: 0, known: known_of(&names), ended: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let thread = shared.clone();
        thread::Builder::new().name("names".into()).spawn(move || thread.work(names))?;
        Ok(NamesThread(shared))
    }

    /// Looks up these from now on. Hosts that are known already keep what was found; for the look-up of others it waits,
    /// for so long at most, and what is found later goes into the vendors' slots then. What
    /// goes wrong is logged.
    pub(crate) fn follow(&self, mut names: Vec<VendorNames>, bound: Duration) {
        let mut state = self.0.lock();
        names.iter_mut().for_each(|vendor| vendor.fill(&state.known));
        let is_complete = names.iter().all(VendorNames::is_complete);
        state.next = Some(names);
        state.given += 1;
        let mine = state.given;
        self.0.changed.notify_all();
        if !is_complete {
            let is_missing = |state: &mut State| state.looked_up < mine;
            // Found or not: what the slots hold by then is what there is.
            drop(self.0.changed.wait_timeout_while(state, bound, is_missing));
        }
    }
}

impl Drop for NamesThread {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, mut names: Vec<VendorNames>) {
        let mut wait = LOOK_EVERY_UNKNOWN;
        loop {
            let is_idle = |state: &mut State| state.next.is_none() && !state.ended;
            let waited = self.changed.wait_timeout_while(self.lock(), wait, is_idle);
            let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if state.ended {
                return;
            }
            let given = state.given;
            let next = state.next.take();
            drop(state);
            let is_new = next.is_some();
            if let Some(next) = next {
                names = next;
            }
            wait = self.look_up_all(&mut names, is_new);
            let mut state = self.lock();
            state.known = known_of(&names);
            state.looked_up = given;
            self.changed.notify_all();
        }
    }

    /// One round, of new names only of those that miss something; how long to wait for the next. It ends early when there are other names.
    fn look_up_all(&self, names: &mut [VendorNames], only_missing: bool) -> Duration {
        let mut wait = LOOK_EVERY;
        for vendor in names.iter_mut().filter(|vendor| !vendor.is_literal()) {
            if self.lock().next.is_some() {
                break;
            }
            if only_missing && vendor.is_complete() {
                continue;
            }
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
}

fn known_of(names: &[VendorNames]) -> HashMap<HostPort, Vec<SocketAddr>> {
    let hosts = names.iter().flat_map(|vendor| &vendor.hosts).filter(|host| !host.found.is_empty());
    hosts.map(|host| (host.at.clone(), host.found.clone())).collect()
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
    fn addresses_need_no_look_up() {
        let literal = VendorNames::new("west", &[host("127.0.0.1"), host("::1")]);
        assert!(literal.is_literal() && literal.is_complete());
        assert_eq!(literal.slot().load().len(), 2);
        assert!(!VendorNames::new("west", &[host("127.0.0.1"), host("smsc.example")]).is_literal());
    }

    #[test]
    fn new_names_are_looked_up_before_it_goes_on_and_known_ones_keep_what_was_found() {
        let thread = NamesThread::start(Vec::new()).unwrap();
        let west = VendorNames::new("west", &[host("localhost")]);
        let slot = west.slot();
        assert!(slot.load().is_empty());
        thread.follow(vec![west], Duration::from_secs(30));
        assert!(!slot.load().is_empty(), "looked up");
        let again = VendorNames::new("west", &[host("localhost"), host("10.0.0.1")]);
        let slot = again.slot();
        thread.follow(vec![again], Duration::ZERO);
        assert!(slot.load().len() >= 2, "known without a look-up");
    }
}
