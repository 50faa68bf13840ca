//! One shard from start to end.

use crate::app::{Lines, ShardApp, Token};
use crate::backlog::Outgoing;
use crate::binds::wanted;
use crate::directive::{Directive, Notice};
use crate::listen::{keep_accepting, take};
use crate::live::follow_plan;
use crate::mail::{MAILBOX_BATCH, Mail, Post};
use crate::options::{Plan, ShardOptions};
use crate::pool::NodePool;
use crate::records::{QueryAnswer, RecordLine, RecordPort};
use crate::report::ShardReport;
use crate::slots::{Slots, SlotsPort};
use link::{Bell, Hub, HubOptions, LinkId, Links, TlsServer};
use relay::{ShardIndex, SpoolAnswer, SpoolOp, StoreAnswer, StoreOp};
use runtime::{Listener, Receiver, Runtime, Sender};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

/// Time between two reports: often enough for a metric, too seldom to cost anything.
const REPORT_EVERY: Duration = Duration::from_millis(250);
/// Time for unbinds to be answered at the end.
const UNBIND_MAX: Duration = Duration::from_secs(3);

/// Everything that a shard is given at its start.
pub struct ShardParts {
    /// Its fixed part.
    pub options: ShardOptions,
    /// The first configuration.
    pub plan: Arc<Plan>,
    /// The node's tokens, where limits take them from.
    pub pool: Arc<NodePool>,
    /// Its boxes to and from the other shards.
    pub post: Post,
    /// Its lines to and from the store, where there is one.
    pub store: Option<(Sender<StoreOp>, Receiver<StoreAnswer>)>,
    /// Its lines to and from the spool, where there is one.
    pub spool: Option<(Sender<SpoolOp>, Receiver<SpoolAnswer>)>,
    /// Its lines to and from the thread of records, where records are made.
    pub records: Option<RecordPort>,
    /// The slots of vendors that several nodes share, where there may be some.
    pub slots: Option<SlotsPort>,
    /// Its lines to and from control.
    pub control: (Sender<Notice>, Receiver<Directive>),
    /// Where to listen: one shard of a node does, on one port or two.
    pub listen: Vec<Listening>,
}

/// Where to listen, and whom to tell which port it became.
pub struct Listening {
    /// The address; port 0 takes a free one.
    pub address: SocketAddr,
    /// Our certificate and key where the port is for TLS.
    pub tls: Option<TlsServer>,
    /// Gets the address that was taken, or why none could be.
    pub taken: SyncSender<io::Result<SocketAddr>>,
}

/// Runs one shard until it is told to drain and has. To be the main future of an executor.
pub async fn run_shard<R: Runtime>(parts: ShardParts) {
    let ShardParts { options, plan, pool, post, store, spool, records, slots, control, listen } = parts;
    let drained = Rc::new(Bell::default());
    let (store_ops, store_answers) = store.unzip();
    let (spool_ops, spool_answers) = spool.unzip();
    let (records, query_answers) = records.map(RecordLine::new).unzip();
    let lines = Lines {
        others: post.to.into_iter().map(|sender| sender.map(Outgoing::new)).collect(),
        store: store_ops.map(Outgoing::new),
        spool: spool_ops.map(Outgoing::new),
        records,
        slots: slots.map(Slots::new),
        control: Outgoing::new(control.0),
        drained: drained.clone(),
    };
    let links_max = options.links_max + wanted(&plan, (options.index, options.shards), None).count();
    let app = ShardApp::new(options, plan, pool, lines);
    let hub: Hub<R, ShardApp> = Hub::new(app, HubOptions { links_max, idle_tick: link::limits::TICK_IDLE });
    for (from, receiver) in post.from {
        R::spawn(read_mail::<R>(hub.clone(), from, receiver));
    }
    if let Some(answers) = store_answers {
        R::spawn(read_store::<R>(hub.clone(), answers));
    }
    if let Some(answers) = spool_answers {
        R::spawn(read_spool::<R>(hub.clone(), answers));
    }
    if let Some(answers) = query_answers {
        R::spawn(read_query_answers::<R>(hub.clone(), answers));
    }
    let mut listeners = Vec::new();
    for listening in listen {
        listeners.extend(open_listener::<R>(&hub, listening).await);
    }
    R::spawn(read_directives::<R>(hub.clone(), control.1, listeners));
    hub.with(|app, _| app.binds.changed.ring());
    R::spawn(follow_plan::<R>(hub.clone()));
    R::spawn(keep_reporting::<R>(hub.clone()));
    drained.rung().await;
    end::<R>(&hub).await;
}

/// How long a port is asked for that another process still has: one that was killed ends within it.
const TAKEN_MAX: Duration = Duration::from_secs(1);
/// Pause between two tries.
const TAKEN_PAUSE: Duration = Duration::from_millis(20);

/// Listens on a port. One that is taken is tried again for a second.
async fn listen<R: Runtime>(address: SocketAddr) -> io::Result<R::Listener> {
    let end = runtime::monotonic_nanos() + TAKEN_MAX.as_nanos() as u64;
    loop {
        match R::listen(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && runtime::monotonic_nanos() < end => {
                R::sleep(TAKEN_PAUSE).await;
            }
            opened => return opened,
        }
    }
}

async fn open_listener<R: Runtime>(hub: &Hub<R, ShardApp>, listening: Listening) -> Option<Rc<R::Listener>> {
    let opened = self::listen::<R>(listening.address).await;
    let (told, listener) = match opened {
        Ok(listener) => (Ok(listener.local_address()), Some(Rc::new(listener))),
        Err(error) => (Err(error), None),
    };
    // Whoever started us waits for this word; if it is gone, so are we soon.
    let _ = listening.taken.send(told);
    let listener = listener?;
    R::spawn(keep_accepting::<R>(hub.clone(), listener.clone(), listening.tls.map(Rc::new)));
    Some(listener)
}

async fn read_mail<R: Runtime>(hub: Hub<R, ShardApp>, from: u8, mut receiver: Receiver<Mail>) {
    let mut batch = Vec::with_capacity(MAILBOX_BATCH);
    while receiver.receive(&mut batch, MAILBOX_BATCH).await.is_ok() {
        for mail in batch.drain(..) {
            match mail {
                Mail::Relay(message) => hub.with(|app, links| {
                    app.relay.handle_shard_message(links.now(), ShardIndex(from), message);
                    app.carry_out(links);
                }),
                Mail::Handover { socket, octets, tls } => match R::adopt(socket) {
                    Ok(stream) => take::<R>(&hub, stream, &octets, tls),
                    Err(error) => tracing::warn!(%error, "cannot take over a connection"),
                },
            }
        }
        R::yield_if_needed().await;
    }
    hub.with(|app, links| {
        app.relay.shard_gone(links.now(), ShardIndex(from));
        app.carry_out(links);
    });
}

async fn read_store<R: Runtime>(hub: Hub<R, ShardApp>, mut answers: Receiver<StoreAnswer>) {
    let mut batch = Vec::with_capacity(MAILBOX_BATCH);
    while answers.receive(&mut batch, MAILBOX_BATCH).await.is_ok() {
        hub.with(|app, links| {
            for answer in batch.drain(..) {
                app.relay.handle_store_answer(links.now(), answer);
                app.carry_out(links);
            }
        });
        R::yield_if_needed().await;
    }
    tracing::error!("the store is gone: receipts are refused towards vendors until the node restarts");
}

async fn read_spool<R: Runtime>(hub: Hub<R, ShardApp>, mut answers: Receiver<SpoolAnswer>) {
    let mut batch = Vec::with_capacity(MAILBOX_BATCH);
    while answers.receive(&mut batch, MAILBOX_BATCH).await.is_ok() {
        hub.with(|app, links| {
            for answer in batch.drain(..) {
                app.relay.handle_spool_answer(links.now(), answer);
                app.carry_out(links);
            }
        });
        R::yield_if_needed().await;
    }
    tracing::error!("the spool is gone: store-and-forward customers are refused until the node restarts");
}

async fn read_query_answers<R: Runtime>(hub: Hub<R, ShardApp>, mut answers: Receiver<QueryAnswer>) {
    let mut batch = Vec::with_capacity(MAILBOX_BATCH);
    while answers.receive(&mut batch, MAILBOX_BATCH).await.is_ok() {
        hub.with(|app, links| batch.drain(..).for_each(|answer| app.on_query_answer(links, answer)));
        R::yield_if_needed().await;
    }
    tracing::error!("the thread of records is gone: what leaves no record is handled by the policy");
}

async fn read_directives<R: Runtime>(
    hub: Hub<R, ShardApp>,
    mut directives: Receiver<Directive>,
    listeners: Vec<Rc<R::Listener>>,
) {
    let mut batch = Vec::new();
    while directives.receive(&mut batch, MAILBOX_BATCH).await.is_ok() {
        for directive in batch.drain(..) {
            if matches!(directive, Directive::Drain) {
                hub.with(|app, _| app.draining = true);
                listeners.iter().for_each(|listener| listener.close());
            }
            hub.with(|app, links| app.follow(links, directive));
        }
    }
    // Control is gone without a word: end in order all the same.
    hub.with(|app, links| app.follow(links, Directive::Drain));
}

impl ShardApp {
    fn follow(&mut self, links: &mut Links<Token>, directive: Directive) {
        match directive {
            Directive::Publish(plan) => self.swap(links, plan),
            Directive::Bind(answer) => self.on_bind_answer(links, answer),
            Directive::Drain => {
                self.draining = true;
                self.relay.drain(links.now());
            }
        }
        self.carry_out(links);
    }

    fn report(&self, links: &Links<Token>) -> ShardReport {
        let mut link_counters = *links.counters();
        link_counters.refused_full += self.customers_refused;
        ShardReport {
            made_at_ns: runtime::monotonic_nanos(),
            customers: self.customers,
            vendors_links: self.vendors_links,
            bind_refusals: self.bind_refusals,
            greetings_failed: self.greetings_failed,
            ranges_invalid: self.ranges_invalid,
            handed_over: self.handed_over,
            accepts_failed: self.accepts_failed,
            links: link_counters,
            relay: self.relay.counters(),
            vendors: self.vendor_reports(links.now()),
            swaps: self.swaps,
            backlog: self.waiting() as u64,
            records: self.records.as_ref().map(RecordLine::tally).unwrap_or_default(),
            slots: self.slots_report(links.now()),
            newest_id_second: self.relay.newest_id_second(),
            busy_ns: runtime::thread_cpu_nanos(),
            plan: Some(self.plan.clone()),
        }
    }
}

async fn keep_reporting<R: Runtime>(hub: Hub<R, ShardApp>) {
    loop {
        hub.with(|app, links| app.options.report.store(Arc::new(app.report(links))));
        R::sleep(REPORT_EVERY).await;
    }
}

/// Ends all links in this way, and waits for as long as `time_max` until they and the records are gone.
async fn end_links<R: Runtime>(
    hub: &Hub<R, ShardApp>,
    end: fn(&mut Links<Token>, LinkId),
    time_max: Duration,
) {
    hub.with(|_, links| {
        let ids: Vec<_> = links.ids().collect();
        ids.into_iter().for_each(|id| end(links, id));
    });
    let deadline = runtime::monotonic_nanos() + time_max.as_nanos() as u64;
    let has_records = || hub.with(|app, _| app.records_wait());
    while (!hub.is_empty() || has_records()) && runtime::monotonic_nanos() < deadline {
        R::sleep(link::limits::TICK).await;
    }
}

/// Ends every session in order, for as long as that may take.
async fn end<R: Runtime>(hub: &Hub<R, ShardApp>) {
    let finish_max = hub.with(|app, _| app.plan.customer_timers.finish);
    end_links(hub, Links::end, finish_max).await;
    end_links(hub, Links::unbind, UNBIND_MAX).await;
    hub.with(|app, links| {
        app.give_up_records();
        app.options.report.store(Arc::new(app.report(links)));
        app.control.keep(Notice::Drained);
        app.control.flush();
    });
    hub.stop();
}
