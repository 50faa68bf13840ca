//! Accepting connections, and placing each on the shard of its account. On a TLS port the handshake is done here, since
//! the account is known only from what it protects; what encrypts the connection then travels with it.

use crate::app::ShardApp;
use crate::mail::Mail;
use crate::nodes::{is_node, node_shard};
use crate::placement::home_shard;
use link::accept::{Greeting, greet};
use link::{Hub, SessionConfig, Tls, TlsServer};
use relay::AccountId;
use runtime::{Listener, Runtime, Stream};
use smpp::dialect::Dialect;
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// Wait after an accept that failed, as when no descriptor is left for customers: long enough not to spin, short enough
/// not to be noticed. Who connects meanwhile waits in the kernel.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Failures told in one line of the log.
const ACCEPTS_TOLD: u64 = 200;

/// Accepts until the listener is closed.
pub(crate) async fn keep_accepting<R: Runtime>(
    hub: Hub<R, ShardApp>,
    listener: Rc<R::Listener>,
    tls: Option<Rc<TlsServer>>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let Some(greeting) = hub.with(|app, _| app.start_greeting()) else { continue };
                let (hub, tls) = (hub.clone(), tls.clone());
                R::spawn(async move {
                    place::<R>(hub, stream, tls).await;
                    drop(greeting);
                });
            }
            Err(error) => {
                if hub.with(|app, _| app.draining) {
                    return;
                }
                hub.with(|app, _| app.note_accept_failed(&error));
                R::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl ShardApp {
    fn note_accept_failed(&mut self, error: &io::Error) {
        if !runtime::is_out_of_descriptors(error) {
            return tracing::warn!(%error, "cannot accept");
        }
        if self.accepts_failed.is_multiple_of(ACCEPTS_TOLD) {
            let so_far = self.accepts_failed;
            tracing::warn!(
                so_far,
                "no descriptor is left for customers' connections: raise LimitNOFILE (ulimit -n)"
            );
        }
        self.accepts_failed += 1;
    }

    /// The right to read one connection's bind, held while that goes on; none when too many are at it. The connection
    /// is then closed.
    fn start_greeting(&mut self) -> Option<Rc<()>> {
        if Rc::strong_count(&self.greetings) > self.options.greetings_max {
            self.customers_refused += 1;
            return None;
        }
        Some(self.greetings.clone())
    }
}

/// Reads a connection's bind and takes it, or hands it to the shard of its account.
async fn place<R: Runtime>(hub: Hub<R, ShardApp>, stream: R::Stream, tls: Option<Rc<TlsServer>>) {
    let buffer = hub.receive_buffer();
    let deadline = hub.with(|app, _| app.plan.customer_timers.bind);
    let peer = stream.peer_address();
    let greeting = match greet::<R>(stream, &buffer, deadline, &Dialect::tolerant(), tls.as_deref()).await {
        Ok(greeting) => greeting,
        Err(error) => {
            tracing::debug!(?error, %peer, "no bind came");
            return hub.with(|app, _| app.greetings_failed += 1);
        }
    };
    let Greeting { stream, octets, system_id, tls } = greeting;
    let (here, home) = hub.with(|app, _| {
        let shards = app.options.shards;
        let home = node_shard(&system_id, &octets, shards);
        (app.options.index, home.unwrap_or_else(|| home_shard(AccountId::of_name(&system_id), shards)))
    });
    if here == home {
        return take::<R>(&hub, stream, &octets, tls);
    }
    match stream.into_fd() {
        Ok(socket) => hub.with(|app, links| {
            app.handed_over += 1;
            let handover = Mail::Handover { socket, octets, tls };
            if let Some(Some(outgoing)) = app.others.get_mut(usize::from(home)) {
                // A shard whose box is full is busy enough: the socket is closed, and the customer comes again.
                let _ = outgoing.offer(handover);
            }
            links.schedule_flush();
        }),
        Err(error) => tracing::warn!(%error, "cannot hand a connection over"),
    }
}

/// Makes a connection a link of this shard. One that is too many is closed.
pub(crate) fn take<R: Runtime>(
    hub: &Hub<R, ShardApp>,
    stream: R::Stream,
    octets: &[u8],
    tls: Option<Box<Tls>>,
) {
    let config = hub.with(|app, links| {
        if is_node(octets) {
            return app.node_session_config();
        }
        if !app.has_room_for_customer(links) {
            app.customers_refused += 1;
            return None;
        }
        Some(SessionConfig {
            timers: app.plan.customer_timers,
            pdu_size_max: app.plan.pdu_size_max,
            dialect: Dialect::tolerant(),
            ..SessionConfig::customer_side(1, 1)
        })
    });
    if let Some(config) = config {
        drop(hub.attach_tls(stream, config, octets, tls));
    }
}
