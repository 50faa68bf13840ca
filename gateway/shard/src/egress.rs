//! Vendors' links: keeping them bound, and what comes back on them.

use crate::app::{Peer, ShardApp, Token, key_of};
use crate::binds::{BindKey, KeptBind};
use crate::options::VendorOptions;
use link::backoff::Backoff;
use link::{Bell, CloseReason, Closed, Hub, LinkId, Links, SessionConfig};
use relay::{Arrival, CircuitChange, CircuitNotice, MessageKey, VendorId};
use runtime::Runtime;
use smpp::field::CommandStatus;
use smpp::pdu::{Bind, BindKind, Pdu};
use smpp::time::Instant;
use smpp::wire::Frame;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// Time for a TCP connect. Longer than a lost SYN's first retry (1 s), shorter than anybody's patience.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// A link that was bound at least this long begins its back-off anew when it is lost.
const STEADY: Duration = Duration::from_secs(10);

/// A vendor's answer to a message.
pub(crate) struct Answer<'a> {
    /// The PDU.
    pub(crate) frame: Frame<'a>,
    /// Its verdict.
    pub(crate) status: CommandStatus,
    /// When the message was handed to the link.
    pub(crate) sent_at: Instant,
}

/// A vendor's link.
pub(crate) struct VendorPeer {
    pub(crate) vendor: VendorId,
    bind: BindKey,
    /// Where the vendor is counted.
    pub(crate) report: usize,
    pub(crate) window: u32,
    bound: bool,
    /// It is to end, and gets nothing new.
    pub(crate) is_leaving: bool,
    /// When it was bound, if it was.
    bound_at: Option<Instant>,
    end: Rc<End>,
}

/// What a link tells the task that keeps it when it is gone.
#[derive(Default)]
struct End {
    gone: Bell,
    /// It was bound for at least [`STEADY`].
    stood: Cell<bool>,
}

impl ShardApp {
    pub(crate) fn on_vendor_bound(&mut self, links: &mut Links<Token>, id: LinkId, kind: BindKind) {
        let Some(Peer::Vendor(peer)) = self.peer(id) else { return self.on_node_bound(links, id) };
        peer.bound = true;
        peer.bound_at = Some(links.now());
        let (vendor, window, report, is_leaving) = (peer.vendor, peer.window, peer.report, peer.is_leaving);
        self.vendors_links.bound += 1;
        self.vendors[report].links += 1;
        self.vendors_links.binds_accepted += 1;
        tracing::info!(vendor = %self.vendors[report].name, ?kind, "bound");
        if is_leaving || !self.relay.vendor_bound(links.now(), vendor, key_of(id), kind, window) {
            links.end(id);
        }
    }

    pub(crate) fn on_vendor_refused(&mut self, id: LinkId, status: CommandStatus, is_nack: bool) {
        let Some(Peer::Vendor(peer)) = self.peer(id) else { return };
        let report = peer.report;
        self.vendors_links.binds_refused += 1;
        let status_name = status.name().unwrap_or("unknown");
        let vendor = &self.vendors[report].name;
        if is_nack {
            // Often a peer that is no SMSC, or does not know this kind of bind; its status may well be 0.
            tracing::warn!(%vendor, status = status.0, status_name, "bind answered by generic_nack");
        } else {
            tracing::warn!(%vendor, status = status.0, status_name, "bind refused");
        }
    }

    pub(crate) fn on_vendor_request(
        &mut self,
        links: &mut Links<Token>,
        arrival: Arrival,
        frame: Frame<'_>,
        pdu: &Pdu<'_>,
    ) {
        match pdu {
            Pdu::DeliverSm(deliver) => self.relay.handle_deliver(arrival, frame, deliver),
            Pdu::DataSm(data) => self.relay.handle_deliver_data(arrival, frame, data),
            _ => {
                let command = frame.command_id().response();
                let status = CommandStatus::ESME_RINVCMDID;
                let link = crate::app::link_of(arrival.link);
                // A link that is gone already needs no answer.
                let _ = links.respond_empty(link, command, frame.sequence_number(), status);
            }
        }
    }

    pub(crate) fn on_vendor_answer(
        &mut self,
        links: &mut Links<Token>,
        id: LinkId,
        message: MessageKey,
        answer: Answer<'_>,
    ) {
        let now = links.now();
        // The id ends at its NUL; an error answer may have no body at all.
        let message_id = answer.frame.body().split(|octet| *octet == 0).next().unwrap_or_default();
        match self.peer(id) {
            Some(Peer::Vendor(peer)) => {
                let report = peer.report;
                self.vendors[report].round_trip.record(now.saturating_since(answer.sent_at));
            }
            Some(Peer::Node(_)) => return self.on_node_answer(links, id, message, answer.status, message_id),
            _ => {}
        }
        self.relay.handle_answer(now, key_of(id), message, answer.status, message_id);
    }

    /// Says in the log which vendors fell ill or are well again.
    pub(crate) fn tell_circuits(&mut self) {
        while let Some(CircuitNotice { vendor, is_of_route, change }) = self.relay.poll_circuit() {
            let name =
                self.vendors.iter().find(|known| known.id == Some(vendor)).map_or("?", |known| &known.name);
            let scope = if is_of_route { "route" } else { "vendor" };
            match change {
                CircuitChange::Opened | CircuitChange::FellIll => {
                    tracing::warn!(vendor = %name, scope, "{}", change.label());
                }
                CircuitChange::HalfOpened | CircuitChange::Closed | CircuitChange::Recovered => {
                    tracing::info!(vendor = %name, scope, "{}", change.label());
                }
            }
        }
    }

    pub(crate) fn on_vendor_closed(
        &mut self,
        links: &mut Links<Token>,
        id: LinkId,
        peer: &VendorPeer,
        closed: &Closed<Token>,
    ) {
        peer.end.stood.set(peer.bound_at.is_some_and(|at| links.now().saturating_since(at) >= STEADY));
        peer.end.gone.ring();
        let in_order = matches!(
            closed.reason,
            CloseReason::Unbound | CloseReason::PeerClosed | CloseReason::BindRefused
        );
        self.slot_closed(peer.bind, links.now(), in_order);
        self.vendors_links.closed += 1;
        let (written, unsent) = (messages(&closed.written), messages(&closed.unsent));
        let (vendor, reason) = (&self.vendors[peer.report].name, closed.reason.label());
        let (unanswered, unsent_count) = (written.len(), unsent.len());
        if peer.is_leaving && unanswered + unsent_count == 0 {
            tracing::info!(%vendor, reason, "vendor's link ended as configured");
        } else {
            tracing::warn!(%vendor, reason, unanswered, unsent = unsent_count, "vendor's link closed");
        }
        if peer.bound {
            self.vendors_links.bound -= 1;
            self.vendors[peer.report].links -= 1;
            self.relay.vendor_closed(links.now(), key_of(id), &written, &unsent);
        }
    }
}

pub(crate) fn messages(tokens: &[Token]) -> Vec<MessageKey> {
    let message_of = |token: &Token| match token {
        Token::Message(message) => Some(*message),
        Token::Delivery(_) => None,
    };
    tokens.iter().filter_map(message_of).collect()
}

/// Keeps one bind of a vendor up for as long as it is wanted: connect, bind, wait for its end, wait a while, again.
/// Addresses are tried in order, starting over after a link that stood. A vendor without an address waits as after a
/// failure: its name may be resolved by then. Each round takes the newest options.
pub(crate) async fn keep_bound<R: Runtime>(hub: Hub<R, ShardApp>, key: BindKey, bind: Rc<KeptBind>) {
    let seed = key.0.spread() ^ u64::from(key.1);
    let mut backoff = None;
    let mut attempt = 0;
    while let Some(vendor) = hub.with(|app, _| app.next_options(key, &bind)) {
        let pause = backoff.get_or_insert_with(|| Backoff::new(vendor.reconnect, seed));
        let Some(address) = address_of(&vendor.addresses.load(), attempt) else {
            tracing::warn!(vendor = %vendor.name, "no address: its name cannot be resolved");
            sleep_or_wake::<R>(pause.next_wait(), &bind.wake).await;
            continue;
        };
        attempt += 1;
        match connect(&hub, &vendor, key, address, &bind).await {
            Ok(end) => {
                end.gone.rung().await;
                bind.link.set(None);
                if end.stood.get() {
                    pause.reset();
                    attempt = 0;
                }
                if bind.is_ending.take() {
                    bind.wake.ring();
                }
            }
            Err(error) => tracing::warn!(vendor = %vendor.name, %address, %error, "cannot connect"),
        }
        if sleep_or_wake::<R>(pause.next_wait(), &bind.wake).await {
            (backoff, attempt) = (None, 0); // there are other options
        }
    }
}

impl ShardApp {
    /// What the next connect takes; none when the bind's task ends with this.
    fn next_options(&mut self, key: BindKey, bind: &KeptBind) -> Option<Rc<VendorOptions>> {
        let next = bind.next_options().filter(|_| !self.draining);
        if next.is_none() {
            self.binds.forget(key);
        }
        next
    }
}

/// Pauses, unless woken before; says whether it was.
pub(crate) async fn sleep_or_wake<R: Runtime>(pause: Duration, wake: &Bell) -> bool {
    let (mut slept, mut woken) = (pin!(R::sleep(pause)), pin!(wake.rung()));
    poll_fn(|context| match woken.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(true),
        Poll::Pending => slept.as_mut().poll(context).map(|()| false),
    })
    .await
}

/// The address of this attempt, counted from 0; none when there is none.
fn address_of(addresses: &[SocketAddr], attempt: usize) -> Option<SocketAddr> {
    addresses.get(attempt.checked_rem(addresses.len())?).copied()
}

async fn connect<R: Runtime>(
    hub: &Hub<R, ShardApp>,
    vendor: &VendorOptions,
    key: BindKey,
    address: SocketAddr,
    kept: &KeptBind,
) -> std::io::Result<Rc<End>> {
    let config = SessionConfig {
        timers: vendor.timers,
        dialect: vendor.dialect,
        version: vendor.version,
        pdu_size_max: hub.with(|app, _| app.plan.pdu_size_max),
        ..SessionConfig::vendor_side(vendor.window)
    };
    let bind = Bind {
        system_id: vendor.system_id.as_bytes(),
        password: vendor.password.expose().as_bytes(),
        system_type: vendor.system_type.as_bytes(),
        interface_version: vendor.version.interface_version(),
        addr_ton: vendor.addr_ton,
        addr_npi: vendor.addr_npi,
        address_range: vendor.address_range.as_bytes(),
    };
    let bind = (vendor.bind_kind, &bind);
    let may_bind = |app: &mut ShardApp| {
        let now = Instant::from_nanos(runtime::monotonic_nanos());
        kept.is_still(vendor) && (!vendor.is_shared || app.holds_slot(key, now))
    };
    let id = hub.connect_if(address, CONNECT_MAX, config, bind, vendor.tls.as_ref(), may_bind).await?;
    let end = Rc::new(End::default());
    let told = end.clone();
    hub.with(|app, links| {
        let report = app.vendor_report(vendor.id, &vendor.name);
        let peer = VendorPeer {
            vendor: vendor.id,
            bind: key,
            report,
            window: kept.window(),
            bound: false,
            is_leaving: false,
            bound_at: None,
            end: told,
        };
        app.put_peer(id, Peer::Vendor(peer));
        kept.link.set(Some(id));
        if kept.window() != vendor.window {
            app.change_window(links, id, kept.window());
        }
        if app.draining || !kept.is_still(vendor) {
            links.close(id, CloseReason::Local);
        }
    });
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_tried_in_turn() {
        let addresses: Vec<SocketAddr> =
            ["127.0.0.1:1", "127.0.0.1:2"].map(|text| text.parse().unwrap()).into();
        let check = |count: usize, attempt: usize, expected: Option<u16>| {
            let address = address_of(&addresses[..count], attempt);
            assert_eq!(
                address.map(|address| address.port()),
                expected,
                "{count} addresses, attempt {attempt}"
            );
        };
        check(0, 0, None);
        check(0, 7, None);
        check(1, 3, Some(1));
        check(2, 0, Some(1));
        check(2, 3, Some(2));
    }
}
