//! What a shard keeps bound: the tasks that run, adjusted to what the published plan wants.
//!
//! A bind is named by its vendor, kind and number and has one task for as long as it is kept; the task connects, waits for the
//! link's end, connects again ([`keep_bound`]). A new plan starts tasks, tells others that they are not wanted any more,
//! and has links whose options changed end in order, so that their tasks make them anew. All others go on untouched.

use crate::app::{Peer, ShardApp, Token, key_of};
use crate::egress::keep_bound;
use crate::options::{Plan, VendorOptions};
use crate::placement::bind_shard;
use crate::slots::NODE_LINKS_MAX;
use link::{Bell, Hub, LinkId, Links};
use relay::VendorId;
use runtime::Runtime;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// Binds looked at before the links have their turn: a microsecond each, more for one that begins or ends.
const SLICE: usize = 64;

/// Whose bind it is, as in [`VendorOptions::binds_id`], and its number, from 0.
pub(crate) type BindKey = (VendorId, u32);

/// Which binds this node may hold of the vendors whose binds several nodes share.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct BindSlots {
    /// By vendor.
    pub held: BTreeMap<VendorId, Vec<u32>>,
}

impl BindSlots {
    fn holds(&self, (vendor, bind): BindKey) -> bool {
        self.held.get(&vendor).is_some_and(|binds| binds.contains(&bind))
    }
}

/// One bind that is kept, or that ends.
pub(crate) struct KeptBind {
    /// As last published; what the next connect takes.
    options: RefCell<Rc<VendorOptions>>,
    /// Whether it is to stand. Once it is not, its task ends with its link.
    is_wanted: Cell<bool>,
    /// The round of [`adjust`] that last wanted it.
    round: Cell<u64>,
    /// Its link, from connect to close.
    pub(crate) link: Cell<Option<LinkId>>,
    /// The link ends because we want it to: the next one follows at once.
    pub(crate) is_ending: Cell<bool>,
    /// Ends the pause before the next connect.
    pub(crate) wake: Bell,
}

impl KeptBind {
    /// What the next connect takes; none when there is to be none.
    pub(crate) fn next_options(&self) -> Option<Rc<VendorOptions>> {
        self.is_wanted.get().then(|| self.options.borrow().clone())
    }

    /// The window as last published.
    pub(crate) fn window(&self) -> u32 {
        self.options.borrow().window
    }

    /// Whether a link that was made with these options is still what is wanted.
    pub(crate) fn is_still(&self, made_with: &VendorOptions) -> bool {
        self.is_wanted.get() && self.options.borrow().is_same_link(made_with)
    }
}

/// All binds of a shard.
#[derive(Default)]
pub(crate) struct Binds {
    kept: BTreeMap<BindKey, Rc<KeptBind>>,
    /// Which binds of shared vendors this node holds; none = none.
    pub(crate) slots: Option<Arc<BindSlots>>,
    round: u64,
    /// Rung when the plan or the slots are others.
    pub(crate) changed: Rc<Bell>,
}

impl Binds {
    /// Links of binds that several nodes share.
    pub(crate) fn shared_links(&self) -> impl Iterator<Item = (BindKey, LinkId)> + '_ {
        let shared = self.kept.iter().filter(|(_, bind)| bind.options.borrow().is_shared);
        shared.filter_map(|(key, bind)| Some((*key, bind.link.get()?)))
    }

    /// Its task ends.
    pub(crate) fn forget(&mut self, key: BindKey) {
        self.kept.remove(&key);
    }
}

/// The binds that a shard is to keep by this plan: of vendors that several nodes share, those that the node holds.
pub(crate) fn wanted<'a>(
    plan: &'a Plan,
    (index, shards): (u8, u8),
    slots: Option<&'a BindSlots>,
) -> impl Iterator<Item = (BindKey, &'a VendorOptions)> {
    let binds = plan.vendors.iter().flat_map(|vendor| (0..vendor.binds).map(move |bind| (vendor, bind)));
    binds
        .filter(move |(vendor, bind)| bind_shard(vendor.binds_id, *bind, shards) == index)
        .map(|(vendor, bind)| ((vendor.binds_id, bind), vendor))
        .filter(move |(key, vendor)| !vendor.is_shared || slots.is_some_and(|slots| slots.holds(*key)))
}

/// Brings what runs to what is wanted, some binds at a time.
pub(crate) async fn adjust<R: Runtime>(hub: &Hub<R, ShardApp>) {
    let (plan, slots, round, shard) = hub.with(|app, _| {
        app.binds.round += 1;
        let shard = (app.options.index, app.options.shards);
        (app.plan.clone(), app.binds.slots.clone(), app.binds.round, shard)
    });
    let wanted: Vec<_> = wanted(&plan, shard, slots.as_deref()).collect();
    let mut shared: Option<Rc<VendorOptions>> = None;
    for slice in wanted.chunks(SLICE) {
        let began = runtime::monotonic_nanos();
        for (key, options) in slice {
            let options = match shared.take().filter(|last| last.binds_id == key.0) {
                Some(last) => last,
                None => Rc::new((*options).clone()),
            };
            want(hub, *key, options.clone(), round);
            shared = Some(options);
        }
        hub.with(|app, _| app.note_swap(began));
        R::yield_now().await;
        if !hub.with(|app, _| Arc::ptr_eq(&app.plan, &plan)) {
            return; // there is a newer one, and the next round is for it
        }
    }
    let kept: Vec<_> = hub.with(|app, _| app.binds.kept.values().cloned().collect());
    for slice in kept.chunks(SLICE) {
        let began = runtime::monotonic_nanos();
        for bind in slice.iter().filter(|bind| bind.round.get() != round) {
            unwant(hub, bind);
        }
        hub.with(|app, _| app.note_swap(began));
        R::yield_now().await;
    }
    hub.with(|app, links| links.set_links_max(app.links_max()));
}

/// A bind is wanted with these options, for the first time or still.
fn want<R: Runtime>(hub: &Hub<R, ShardApp>, key: BindKey, options: Rc<VendorOptions>, round: u64) {
    let Some(bind) = hub.with(|app, _| app.binds.kept.get(&key).cloned()) else {
        let bind = Rc::new(KeptBind {
            options: RefCell::new(options),
            is_wanted: Cell::new(true),
            round: Cell::new(round),
            link: Cell::new(None),
            is_ending: Cell::new(false),
            wake: Bell::default(),
        });
        hub.with(|app, links| {
            app.binds.kept.insert(key, bind.clone());
            links.set_links_max(app.links_max());
        });
        return R::spawn(keep_bound::<R>(hub.clone(), key, bind));
    };
    bind.round.set(round);
    bind.is_wanted.set(true);
    let old = bind.options.replace(options.clone());
    let is_same = old.is_same_link(&options);
    match bind.link.get() {
        Some(link) if !is_same || hub.with(|app, _| app.relay.is_leaving(key_of(link))) => {
            end_bind(hub, &bind);
        }
        Some(link) if old.window != options.window => {
            hub.with(|app, links| app.change_window(links, link, options.window));
        }
        Some(_) => {}
        // It waits for its next try: what was wrong may be right now.
        None if !is_same || **old.addresses.load() != **options.addresses.load() => bind.wake.ring(),
        None => {}
    }
}

fn unwant<R: Runtime>(hub: &Hub<R, ShardApp>, bind: &Rc<KeptBind>) {
    if bind.is_wanted.replace(false) {
        bind.wake.ring();
        end_bind(hub, bind);
    }
}

/// Has a bind's link, if it has one, end in order: nothing new, what is on it answered, unbind. Its task goes on after
/// it.
fn end_bind<R: Runtime>(hub: &Hub<R, ShardApp>, bind: &KeptBind) {
    let Some(link) = bind.link.get() else { return };
    if bind.is_ending.replace(true) {
        return;
    }
    hub.with(|app, links| {
        // A link that is gone has another's place, maybe: its task was not told yet.
        if !links.is_open(link) {
            return;
        }
        if let Some(Peer::Vendor(peer)) = app.peer(link) {
            peer.is_leaving = true;
        }
        app.relay.vendor_leaving(links.now(), key_of(link));
        app.end_in_order(links, link);
    });
}

impl ShardApp {
    /// Links that may stand: customers', vendors' binds, and those between nodes where there are several.
    pub(crate) fn links_max(&self) -> usize {
        let nodes = if self.slots.is_some() { NODE_LINKS_MAX } else { 0 };
        self.options.links_max + self.binds.kept.len() + nodes
    }

    /// Another window for a link that stands.
    pub(crate) fn change_window(&mut self, links: &mut Links<Token>, id: LinkId, window: u32) {
        let Some(Peer::Vendor(peer)) = self.peer(id).filter(|_| links.is_open(id)) else { return };
        peer.window = window;
        links.widen(id, link::SessionConfig::vendor_side(window).window_in_max, window);
        self.relay.vendor_window(links.now(), key_of(id), window);
        self.carry_out(links);
    }
}
