//! A new configuration on a running shard: the swap itself, which costs what the vendors cost, then in slices what
//! follows from it: binds that come and go, customers who may not stay.

use crate::app::{Peer, ShardApp, Token, key_of};
use crate::binds::adjust;
use crate::nodes::reconcile_nodes;
use crate::options::Plan;
use link::{Hub, LinkId, Links};
use runtime::Runtime;
use std::sync::Arc;
use std::time::Duration;

/// Sessions looked at before the links have their turn: a search among the customers each, some hundred nanoseconds.
const SLICE: usize = 256;
/// The longest that a link that is to end waits for what is on it, whatever its timers say.
const END_MAX: Duration = Duration::from_secs(30);

impl ShardApp {
    /// Takes over another plan. The old one is only let go: control holds it until every shard has.
    pub(crate) fn swap(&mut self, links: &mut Links<Token>, plan: Arc<Plan>) {
        let began = runtime::monotonic_nanos();
        self.relay.apply_snapshot(links.now(), plan.snapshot.clone());
        self.plan = plan;
        self.show_vendors();
        self.carry_out(links);
        self.binds.changed.ring();
        self.note_swap(began);
    }

    /// A piece of work for a new configuration is done, which began at this moment.
    pub(crate) fn note_swap(&mut self, began: u64) {
        self.swaps.record(Duration::from_nanos(runtime::monotonic_nanos() - began));
    }
}

/// Follows every change of the plan for as long as the shard runs.
pub(crate) async fn follow_plan<R: Runtime>(hub: Hub<R, ShardApp>) {
    let changed = hub.with(|app, _| app.binds.changed.clone());
    loop {
        changed.rung().await;
        if hub.with(|app, _| app.draining) {
            return; // every link ends anyway
        }
        adjust(&hub).await;
        reconcile_nodes(&hub).await;
        review_customers(&hub).await;
    }
}

/// Ends the sessions of customers that the plan does not hold any more.
async fn review_customers<R: Runtime>(hub: &Hub<R, ShardApp>) {
    let ids: Vec<LinkId> = hub.with(|_, links| links.ids().collect());
    for slice in ids.chunks(SLICE) {
        let began = runtime::monotonic_nanos();
        for id in slice {
            if let Some(bound) = hub.with(|app, links| app.leave_customer(links, *id)) {
                R::spawn(end_in_order::<R>(hub.clone(), *id, bound));
            }
        }
        hub.with(|app, _| app.note_swap(began));
        R::yield_now().await;
    }
}

impl ShardApp {
    /// Lets a session get and say nothing new if its customer may not stay; how long its end may take.
    fn leave_customer(&mut self, links: &mut Links<Token>, id: LinkId) -> Option<Duration> {
        let plan = self.plan.clone();
        let Some(Peer::Customer(peer)) = self.peer(id).filter(|_| links.is_open(id)) else { return None };
        // One that is not bound yet is judged by the new plan when its password was checked.
        if peer.is_leaving || !peer.bound || plan.customer_of(peer.account).is_some() {
            return None;
        }
        peer.is_leaving = true;
        let system_id = peer.system_id.escape_ascii().to_string();
        self.relay.customer_leaving(links.now(), key_of(id));
        self.carry_out(links);
        tracing::info!(%system_id, peer = ?links.peer_address(id), "unbinding a customer who may not stay");
        Some(plan.customer_timers.response)
    }
}

/// Ends a link that gets nothing new: waits until both sides have answered what is open, for as long as an answer may
/// take, then unbinds. What is open after that is of unknown outcome, as after any lost link.
pub(crate) async fn end_in_order<R: Runtime>(hub: Hub<R, ShardApp>, id: LinkId, bound: Duration) {
    let bound = if bound.is_zero() { END_MAX } else { bound.min(END_MAX) };
    let deadline = runtime::monotonic_nanos() + bound.as_nanos() as u64;
    let has_open = || hub.with(|_, links| links.in_flight(id) > 0 || links.unanswered_in(id) > 0);
    while has_open() && runtime::monotonic_nanos() < deadline {
        R::sleep(link::limits::TICK).await;
    }
    hub.with(|_, links| links.unbind(id));
}
