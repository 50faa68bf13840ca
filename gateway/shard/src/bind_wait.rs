//! Binds that wait for control's word, and refusals that wait for their moment. All refusals but a drain's leave at one
//! fixed time after the bind, so that the clock tells nobody why: neither which names exist, nor what a password opens.

use crate::app::{Peer, ShardApp, Token};
use crate::ingress::BindRefusal;
use link::{LinkId, Links};
use smpp::time::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// From a bind to its refusal at most. Clients that give up early do so after 5 s; a longer wait lets more customers in
/// when all come back at once, and strangers hold a descriptor for as long.
const REFUSE_AFTER_MAX: Duration = Duration::from_secs(3);

/// From a bind to its refusal, where a link may take so long to be bound: before that ends it without an answer.
pub fn refuse_after(bind_timeout: Duration) -> Duration {
    REFUSE_AFTER_MAX.min(bind_timeout * 3 / 5)
}

/// One bind, and when it is refused at the latest.
#[derive(Debug)]
struct Wait {
    due: Instant,
    link: LinkId,
    sequence: u32,
}

/// Binds that control was asked about, in the order in which they came. As many as came within [`refuse_after`], which links
/// and the time of a connect bound.
#[derive(Debug, Default)]
pub(crate) struct BindWaits(VecDeque<Wait>);

impl ShardApp {
    /// A bind came that control is asked about.
    pub(crate) fn wait_for_verdict(&mut self, now: Instant, link: LinkId, sequence: u32) {
        let due = now + refuse_after(self.plan.customer_timers.bind);
        self.bind_waits.0.push_back(Wait { due, link, sequence });
    }

    /// Refuses those whose time has come. Where no word came in time, too many passwords wait.
    pub(crate) fn refuse_due_binds(&mut self, links: &mut Links<Token>) {
        while let Some(Wait { due, link, sequence }) = self.bind_waits.0.front() {
            let (due, link, sequence) = (*due, *link, *sequence);
            let is_open = links.is_open(link);
            if is_open && due > links.now() {
                return;
            }
            self.bind_waits.0.pop_front();
            let refusal = match self.peer(link) {
                Some(Peer::Customer(peer)) if is_open && !peer.bound => peer.refusal,
                _ => continue, // bound, or gone
            };
            self.refuse_bind(links, link, sequence, refusal.unwrap_or(BindRefusal::Busy));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_leaves_before_the_link_ends() {
        for bind_timeout in [100, 1_000, 5_000, 300_000] {
            let bind_timeout = Duration::from_millis(bind_timeout);
            let after = refuse_after(bind_timeout);
            assert!(after < bind_timeout && after <= Duration::from_secs(3) && !after.is_zero());
        }
    }
}
