//! Links between nodes: to those that hold slots of a vendor, and from those that want ours.
//!
//! Each slot that another node holds has one link here, on the shard that would have its bind; over there it ends on the
//! shard that has it. So a message between nodes crosses no mailbox on either side.

use crate::app::{Peer, ShardApp, Token, key_of};
use crate::binds::BindKey;
use crate::egress::{messages, sleep_or_wake};
use crate::node_proof::{NODE_SYSTEM_ID, NodeClaim, Proof, claim_in};
use crate::options::VendorOptions;
use crate::placement::bind_shard;
use crate::slots::{NODE_LINKS_MAX, SlotHolder};
use link::backoff::{Backoff, BackoffOptions};
use link::{Bell, CloseReason, Closed, Hub, LinkId, Links, SessionConfig};
use relay::{Arrival, MessageKey, NodeAnswer, SubmitOutcome, VendorId};
use runtime::Runtime;
use smpp::dialect::Dialect;
use smpp::field::{CommandId, CommandStatus};
use smpp::pdu::{Bind, BindKind, DataSmResp, Pdu, SubmitSmResp};
use smpp::session::Timers;
use smpp::tlv::Tlvs;
use smpp::wire::Frame;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// Time for a TCP connect; nodes are near.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// Silence after which a node is asked for a sign of life.
const ENQUIRE: Duration = Duration::from_secs(5);
/// Air above what a message may take on the other node, so that its outcome comes before it is given up.
const ANSWER_AIR: Duration = Duration::from_secs(5);
/// Pauses before a node is tried again: it may have got its slot just now.
const RECONNECT: BackoffOptions =
    BackoffOptions { first: Duration::from_millis(50), max: Duration::from_secs(1), jitter_percent: 50 };

/// Between nodes alone: the message was never sent (SMPP 3.4 §5.1.3 leaves 0x400 to 0x4FF to vendors).
pub const NODE_UNSENT: CommandStatus = CommandStatus(0x0000_04E0);
/// Between nodes alone: nobody knows whether the vendor has the message.
pub const NODE_UNKNOWN: CommandStatus = CommandStatus(0x0000_04E1);
/// The message id beside these two. A vendor's own error of the same number is passed on without an id, so that no vendor
/// can say what only a node may.
const NODE_WORD: &[u8] = b"node";

/// What this shard has of links between nodes.
#[derive(Default)]
pub(crate) struct NodeLinks {
    kept: BTreeMap<BindKey, Rc<KeptNode>>,
    /// Bound links to other nodes.
    pub(crate) links: u64,
    /// Sessions of other nodes, proved or not.
    sessions: usize,
    /// Those that are proved.
    pub(crate) sessions_bound: u64,
    nonce: u64,
}

/// A link to another node that is kept.
struct KeptNode {
    /// Where to; none: the task ends with its link.
    target: Cell<Option<(u8, SocketAddr)>>,
    link: Cell<Option<LinkId>>,
    /// Ends the pause before the next connect.
    wake: Bell,
}

/// The peer of a link to another node.
pub(crate) struct NodePeer {
    vendor: VendorId,
    window: u32,
    bound: bool,
    is_leaving: bool,
    gone: Rc<Bell>,
}

/// The peer of another node's session.
pub(crate) struct NodeSession {
    claim: Option<NodeClaim>,
}

/// The shard that a bind that was just read is for, when it is a node's.
pub(crate) fn node_shard(system_id: &[u8], octets: &[u8], shards: u8) -> Option<u8> {
    if system_id != NODE_SYSTEM_ID.as_bytes() {
        return None;
    }
    let claim = bind_in(octets).and_then(|bind| claim_in(&bind))?;
    Some(bind_shard(claim.vendor, claim.slot, shards))
}

/// Whether these octets begin with a node's bind.
pub(crate) fn is_node(octets: &[u8]) -> bool {
    bind_in(octets).is_some_and(|bind| bind.system_id == NODE_SYSTEM_ID.as_bytes())
}

fn bind_in(octets: &[u8]) -> Option<Bind<'_>> {
    const LENGTH: usize = 4;
    let length = u32::from_be_bytes(*octets.first_chunk::<LENGTH>()?) as usize;
    let frame = Frame::whole(octets.get(..length)?)?;
    BindKind::of_command(frame.command_id())?;
    Bind::decode(frame, &Dialect::tolerant()).ok()
}

/// Timers of both ends. `answer` is how long a message may take.
fn timers(answer: Duration) -> Timers {
    Timers {
        response: answer,
        finish: answer,
        enquire_link: ENQUIRE,
        inactivity: Duration::ZERO,
        ..Timers::default()
    }
}

impl ShardApp {
    /// How a node's session is run; none when there are too many, or when this node is alone.
    pub(crate) fn node_session_config(&mut self) -> Option<SessionConfig> {
        let slots = self.slots.as_mut()?;
        if slots.nodes.sessions + slots.nodes.kept.len() >= NODE_LINKS_MAX {
            return None;
        }
        Some(SessionConfig {
            timers: timers(self.plan.customer_timers.response),
            pdu_size_max: self.plan.pdu_size_max,
            dialect: Dialect::tolerant(),
            ..SessionConfig::customer_side(1, 1)
        })
    }

    /// Another node's bind: judged at once, for its proof costs a microsecond.
    pub(crate) fn on_node_bind(
        &mut self,
        links: &mut Links<Token>,
        id: LinkId,
        kind: BindKind,
        bind: &Bind<'_>,
        sequence: u32,
    ) {
        let (node, unix_seconds, draining) = (self.options.node, self.unix_seconds, self.draining);
        let Some(slots) = &mut self.slots else {
            return refuse(links, id, sequence, CommandStatus::ESME_RINVPASWD);
        };
        let judged = slots.judge.judge(&slots.port.secret, node, unix_seconds, bind);
        let claim = match judged {
            Ok(claim) if kind == BindKind::Transmitter && !draining => claim,
            Ok(_) => return refuse(links, id, sequence, CommandStatus::ESME_RBINDFAIL),
            Err(doubt) => {
                let address = links.peer_address(id).map(|peer| peer.ip());
                let (now, name) = (runtime::monotonic_nanos(), NODE_SYSTEM_ID.as_bytes());
                self.options.refusals.note(now, address, doubt.label(), name);
                return refuse(links, id, sequence, CommandStatus::ESME_RINVPASWD);
            }
        };
        let window = self.plan.vendors.iter().find(|vendor| vendor.id == claim.vendor);
        let Some(window) = window.map(|vendor| vendor.window) else {
            return refuse(links, id, sequence, CommandStatus::ESME_RBINDFAIL);
        };
        links.widen(id, window, 1);
        if links.accept_bind(id, sequence, &self.options.system_id).is_err() {
            return;
        }
        tracing::debug!(
            node = claim.from,
            vendor = %claim.vendor,
            slot = claim.slot,
            "another node is bound"
        );
        slots.nodes.sessions += 1;
        slots.nodes.sessions_bound += 1;
        self.put_peer(id, Peer::NodeSession(NodeSession { claim: Some(claim) }));
        if !self.relay.node_session_bound(claim.vendor, key_of(id)) {
            links.close(id, CloseReason::Local);
        }
    }

    pub(crate) fn on_node_request(
        &mut self,
        links: &mut Links<Token>,
        arrival: Arrival,
        frame: Frame<'_>,
        pdu: &Pdu<'_>,
    ) {
        match pdu {
            Pdu::SubmitSm(submit) => self.relay.handle_node_submit(arrival, frame, submit),
            Pdu::DataSm(data) => self.relay.handle_node_data(arrival, frame, data),
            _ => crate::ingress::answer_unsupported(links, arrival, frame),
        }
    }

    pub(crate) fn on_node_session_closed(&mut self, id: LinkId, session: &NodeSession) {
        if let Some(slots) = &mut self.slots {
            slots.nodes.sessions -= 1;
            slots.nodes.sessions_bound -= u64::from(session.claim.is_some());
        }
        self.relay.node_closed(key_of(id));
    }

    pub(crate) fn on_node_bound(&mut self, links: &mut Links<Token>, id: LinkId) {
        let Some(Peer::Node(peer)) = self.peer(id) else { return };
        peer.bound = true;
        let (vendor, window, is_leaving) = (peer.vendor, peer.window, peer.is_leaving);
        if let Some(slots) = &mut self.slots {
            slots.nodes.links += 1;
        }
        if is_leaving || !self.relay.node_bound(links.now(), vendor, key_of(id), window) {
            links.end(id);
        }
    }

    pub(crate) fn on_node_closed(
        &mut self,
        links: &mut Links<Token>,
        id: LinkId,
        peer: &NodePeer,
        closed: &Closed<Token>,
    ) {
        peer.gone.ring();
        if !peer.bound {
            if closed.reason == CloseReason::BindRefused {
                tracing::warn!(
                    "another node refuses our bind: it ends, or secrets, clocks or ids of nodes do not fit"
                );
            }
            return;
        }
        if let Some(slots) = &mut self.slots {
            slots.nodes.links -= 1;
        }
        let (written, unsent) = (messages(&closed.written), messages(&closed.unsent));
        tracing::debug!(reason = closed.reason.label(), unanswered = written.len(), "link to a node closed");
        self.relay.vendor_closed(links.now(), key_of(id), &written, &unsent);
    }

    /// Another node's word on a message.
    pub(crate) fn on_node_answer(
        &mut self,
        links: &mut Links<Token>,
        id: LinkId,
        message: MessageKey,
        status: CommandStatus,
        word: &[u8],
    ) {
        let now = links.now();
        match status {
            NODE_UNSENT if word == NODE_WORD => self.relay.handle_node_unsent(now, message),
            NODE_UNKNOWN if word == NODE_WORD => self.relay.handle_expired(now, message),
            _ => self.relay.handle_answer(now, key_of(id), message, status, word),
        }
    }

    /// Tells another node what became of its message.
    pub(crate) fn answer_node(&mut self, links: &mut Links<Token>, answer: NodeAnswer) {
        let NodeAnswer { link, sequence, command, outcome } = answer;
        let (status, id) = match &outcome {
            SubmitOutcome::Unsent => (NODE_UNSENT, NODE_WORD),
            SubmitOutcome::Unknown => (NODE_UNKNOWN, NODE_WORD),
            SubmitOutcome::Answered { status, vendor_message_id } if *status == CommandStatus::ESME_ROK => {
                (*status, vendor_message_id.as_ref().map_or(&[][..], |id| id.as_bytes()))
            }
            SubmitOutcome::Answered { status, .. } => (*status, &[][..]),
        };
        let link = crate::app::link_of(link);
        // A node whose link is gone takes the outcome for unknown.
        let _ = if id.is_empty() && status != CommandStatus::ESME_ROK {
            links.respond_empty(link, command, sequence, status)
        } else if command == CommandId::DATA_SM_RESP {
            let pdu = Pdu::DataSmResp(DataSmResp { message_id: id, tlvs: Tlvs::default() });
            links.respond(link, sequence, status, &pdu)
        } else {
            let pdu = Pdu::SubmitSmResp(SubmitSmResp { message_id: id, tlvs: Tlvs::default() });
            links.respond(link, sequence, status, &pdu)
        };
    }

    /// The slots of other nodes are others: links to them are made or ended.
    pub(crate) fn follow_nodes(&mut self) {
        self.binds.changed.ring();
    }
}

fn refuse(links: &mut Links<Token>, id: LinkId, sequence: u32, status: CommandStatus) {
    // A link that is gone already needs no answer.
    let _ = links.refuse_bind(id, sequence, status);
    links.close(id, CloseReason::Local);
}

/// Brings the links to other nodes to what the table says.
pub(crate) async fn reconcile_nodes<R: Runtime>(hub: &Hub<R, ShardApp>) {
    let wanted: BTreeMap<BindKey, (u8, SocketAddr)> = hub.with(|app, _| app.wanted_nodes());
    let kept: Vec<(BindKey, Rc<KeptNode>)> = hub.with(|app, _| {
        let kept = app.slots.iter().flat_map(|slots| slots.nodes.kept.iter());
        kept.map(|(key, node)| (*key, node.clone())).collect()
    });
    for (key, node) in kept {
        let target = wanted.get(&key).copied();
        if node.target.replace(target) == target {
            continue;
        }
        node.wake.ring();
        let Some(link) = node.link.get() else { continue };
        hub.with(|app, links| app.leave_node(links, link));
    }
    for (key, target) in wanted {
        let is_new = |app: &mut ShardApp| {
            let nodes = &mut app.slots.as_mut()?.nodes;
            if nodes.kept.contains_key(&key) || nodes.kept.len() + nodes.sessions >= NODE_LINKS_MAX {
                return None;
            }
            let node =
                KeptNode { target: Cell::new(Some(target)), link: Cell::new(None), wake: Bell::default() };
            let node = Rc::new(node);
            nodes.kept.insert(key, node.clone());
            Some(node)
        };
        if let Some(node) = hub.with(|app, _| is_new(app)) {
            R::spawn(keep_node::<R>(hub.clone(), key, node));
        }
    }
}

impl ShardApp {
    /// The slots of this shard that other nodes hold, and where those are.
    fn wanted_nodes(&self) -> BTreeMap<BindKey, (u8, SocketAddr)> {
        let Some(slots) = &self.slots else { return BTreeMap::new() };
        let (index, shards) = (self.options.index, self.options.shards);
        let mut wanted = BTreeMap::new();
        for vendor in
            self.plan.vendors.iter().filter(|vendor| vendor.is_shared && vendor.bind_kind.may_submit())
        {
            for (slot, holder) in slots.table.vendors.get(&vendor.binds_id).into_iter().flatten() {
                if let SlotHolder::Node { node, address } = holder
                    && *slot < vendor.binds
                    && bind_shard(vendor.binds_id, *slot, shards) == index
                {
                    wanted.insert((vendor.binds_id, *slot), (*node, *address));
                }
            }
        }
        wanted
    }

    /// Ends a link to another node in order.
    fn leave_node(&mut self, links: &mut Links<Token>, id: LinkId) {
        let Some(Peer::Node(peer)) = self.peer(id).filter(|_| links.is_open(id)) else { return };
        if !std::mem::replace(&mut peer.is_leaving, true) {
            self.relay.vendor_leaving(links.now(), key_of(id));
            self.end_in_order(links, id);
        }
    }

    /// How long a message may take on another node.
    fn answer_time(&self, vendor: &VendorOptions) -> Duration {
        vendor.timers.response + self.plan.snapshot.limits().queue_wait_max + ANSWER_AIR
    }

    fn next_proof(&mut self, key: BindKey, to: u8) -> Option<Proof> {
        let (from, unix_seconds) = (self.options.node, self.unix_seconds);
        let slots = self.slots.as_mut()?;
        slots.nodes.nonce += 1;
        // Unlike any other of this node: by the clock, this shard, and the count.
        let nonce =
            runtime::monotonic_nanos().wrapping_add(self.options.seed).wrapping_add(slots.nodes.nonce);
        let claim = NodeClaim { vendor: key.0, slot: key.1, from, to, unix_seconds, nonce };
        Some(Proof::new(&slots.port.secret, &claim))
    }
}

/// Keeps the link of one slot to the node that holds it, for as long as another one does.
async fn keep_node<R: Runtime>(hub: Hub<R, ShardApp>, key: BindKey, node: Rc<KeptNode>) {
    let mut pause = Backoff::new(RECONNECT, key.0.spread() ^ u64::from(key.1));
    while let Some((to, address)) = node.target.get().filter(|_| hub.with(|app, _| !app.draining)) {
        match connect(&hub, key, &node, to, address).await {
            Ok(gone) => {
                gone.rung().await;
                node.link.set(None);
                pause.reset();
            }
            Err(error) => tracing::debug!(node = to, %address, %error, "cannot connect to another node"),
        }
        sleep_or_wake::<R>(pause.next_wait(), &node.wake).await;
    }
    hub.with(|app, _| {
        if let Some(slots) = &mut app.slots {
            slots.nodes.kept.remove(&key);
        }
        // Another node may have the slot by now.
        app.follow_nodes();
    });
}

async fn connect<R: Runtime>(
    hub: &Hub<R, ShardApp>,
    key: BindKey,
    node: &KeptNode,
    to: u8,
    address: SocketAddr,
) -> std::io::Result<Rc<Bell>> {
    let gone = || std::io::Error::other("the vendor is gone");
    let prepared = hub.with(|app, _| {
        let plan = app.plan.clone();
        let vendor = plan.vendors.iter().find(|vendor| vendor.binds_id == key.0)?;
        let config = SessionConfig {
            timers: timers(app.answer_time(vendor)),
            ..SessionConfig::vendor_side(vendor.window)
        };
        Some((config, vendor.window, app.next_proof(key, to)?))
    });
    let (config, window, proof) = prepared.ok_or_else(gone)?;
    let is_wanted = |_: &mut ShardApp| node.target.get() == Some((to, address));
    let bind = (BindKind::Transmitter, &proof.bind());
    let id = hub.connect_if(address, CONNECT_MAX, config, bind, None, is_wanted).await?;
    let ended = Rc::new(Bell::default());
    let peer = NodePeer { vendor: key.0, window, bound: false, is_leaving: false, gone: ended.clone() };
    hub.with(|app, links| {
        app.put_peer(id, Peer::Node(peer));
        node.link.set(Some(id));
        if app.draining {
            links.close(id, CloseReason::Local);
        }
    });
    Ok(ended)
}
