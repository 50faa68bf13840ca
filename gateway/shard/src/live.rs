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
            hub.with(|app, links| app.leave_customer(links, *id));
        }
        hub.with(|app, _| app.note_swap(began));
        R::yield_now().await;
    }
}

impl ShardApp {
    /// Ends a session in order if its customer may not stay.
    fn leave_customer(&mut self, links: &mut Links<Token>, id: LinkId) {
        let plan = self.plan.clone();
        let Some(Peer::Customer(peer)) = self.peer(id).filter(|_| links.is_open(id)) else { return };
        // One that is not bound yet is judged by the new plan when its password was checked.
        if peer.is_leaving || !peer.bound || plan.customer_of(peer.account).is_some() {
            return;
        }
        peer.is_leaving = true;
        let system_id = peer.system_id.escape_ascii().to_string();
        self.relay.customer_leaving(links.now(), key_of(id));
        tracing::info!(%system_id, peer = ?links.peer_address(id), "unbinding a customer who may not stay");
        self.end_in_order(links, id);
    }
}
