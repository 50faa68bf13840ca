//! The log of refused binds: one line a second for each address and reason, with a count, whoever sends how many. All shards
//! of a node share one; its lock is taken for a refused bind, never for a message.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Between two lines about one address and reason.
const LINE_EVERY: Duration = Duration::from_secs(1);
/// Addresses and reasons remembered at once, some 100 octets each; those beyond it share one line.
const PLACES_MAX: usize = 4096;

/// One refused bind, or several of one address and reason.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Refused {
    /// Nothing where the table was full.
    address: Option<IpAddr>,
    reason: &'static str,
    /// The last one's.
    system_id: Box<[u8]>,
    count: u64,
}

impl Refused {
    fn tell(&self) {
        let system_id = self.system_id.escape_ascii();
        let address = self.address.map(|address| address.to_string());
        let address = address.as_deref().unwrap_or("many");
        tracing::info!(%system_id, reason = self.reason, address, count = self.count, "bind refused");
    }
}

/// Since the last line about one address and reason.
#[derive(Debug)]
struct Since {
    told_ns: u64,
    count: u64,
    system_id: Box<[u8]>,
}

/// What was told of late.
#[derive(Default, Debug)]
pub struct RefusalLog {
    places: Mutex<BTreeMap<(Option<IpAddr>, &'static str), Since>>,
    /// Something is in `places`.
    has_places: AtomicBool,
}

impl RefusalLog {
    /// A bind was refused.
    pub(crate) fn note(&self, now_ns: u64, address: Option<IpAddr>, reason: &'static str, system_id: &[u8]) {
        if let Some(refused) = self.count(now_ns, address, reason, system_id) {
            refused.tell();
        }
    }

    /// Tells what was only counted, once its second is over. To be called now and then.
    pub(crate) fn look(&self, now_ns: u64) {
        if self.has_places.load(Ordering::Relaxed) {
            self.due(now_ns).iter().for_each(Refused::tell);
        }
    }

    fn count(
        &self,
        now_ns: u64,
        address: Option<IpAddr>,
        reason: &'static str,
        system_id: &[u8],
    ) -> Option<Refused> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = places.len() >= PLACES_MAX && !places.contains_key(&(address, reason));
        let address = if is_full { None } else { address };
        self.has_places.store(true, Ordering::Relaxed);
        if let Some(since) = places.get_mut(&(address, reason)) {
            since.count += 1;
            since.system_id = system_id.into();
            return None;
        }
        places.insert((address, reason), Since { told_ns: now_ns, count: 0, system_id: Box::default() });
        Some(Refused { address, reason, system_id: system_id.into(), count: 1 })
    }

    fn due(&self, now_ns: u64) -> Vec<Refused> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        places.retain(|(address, reason), since| {
            if now_ns.saturating_sub(since.told_ns) < LINE_EVERY.as_nanos() as u64 {
                return true;
            }
            if since.count == 0 {
                return false;
            }
            let system_id = core::mem::take(&mut since.system_id);
            due.push(Refused { address: *address, reason, system_id, count: since.count });
            (since.told_ns, since.count) = (now_ns, 0);
            true
        });
        self.has_places.store(!places.is_empty(), Ordering::Relaxed);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn address(number: u32) -> Option<IpAddr> {
        Some(IpAddr::from(number.to_be_bytes()))
    }

    #[test]
    fn an_address_has_one_line_a_second() {
        let log = RefusalLog::default();
        let refused = |place: u32, system_id: &[u8], count| {
            let system_id = system_id.into();
            Refused { address: address(place), reason: "wrong", system_id, count }
        };
        assert_eq!(log.count(0, address(1), "wrong", b"a"), Some(refused(1, b"a", 1)));
        for name in 0..1_000_u32 {
            assert_eq!(log.count(5, address(1), "wrong", format!("n{name}").as_bytes()), None);
        }
        assert_eq!(log.count(9, address(2), "wrong", b"b"), Some(refused(2, b"b", 1)), "another address");
        assert!(log.count(9, address(1), "other", b"b").is_some(), "another reason");
        assert_eq!(log.due(SECOND - 1), []);
        assert_eq!(log.due(SECOND), [refused(1, b"n999", 1_000)]);
        assert_eq!(log.count(SECOND + 5, address(1), "wrong", b"c"), None, "the line was just written");
        assert_eq!(log.due(2 * SECOND), [refused(1, b"c", 1)]);
        assert_eq!(log.due(3 * SECOND), []);
        assert!(log.places.lock().unwrap().is_empty() && !log.has_places.load(Ordering::Relaxed));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let log = RefusalLog::default();
        for number in 0..PLACES_MAX as u32 {
            assert!(log.count(0, address(number), "wrong", b"a").is_some());
        }
        let beyond = log.count(0, address(u32::MAX), "wrong", b"a").unwrap();
        assert_eq!(beyond.address, None);
        assert_eq!(log.count(0, address(u32::MAX - 1), "wrong", b"a"), None);
        assert_eq!(log.due(SECOND), [Refused { count: 1, ..beyond }]);
    }
}
