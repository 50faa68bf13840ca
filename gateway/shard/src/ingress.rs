//! Customers' links: binds, and what they submit.

use crate::app::{Peer, ShardApp, Token, key_of};
use crate::directive::{BindAnswer, BindQuestion, Notice, Ticket};
use crate::node_proof::NODE_SYSTEM_ID;
use crate::options::CustomerOptions;
use crate::traits::Said;
use link::{CloseReason, Closed, LinkId, Links};
use relay::{AccountId, Arrival, DeliveryKey};
use smpp::field::{CommandId, CommandStatus};
use smpp::pdu::{Bind, BindKind, Pdu};
use smpp::wire::Frame;
use std::net::IpAddr;
use std::sync::Arc;

/// A customer's link.
pub(crate) struct CustomerPeer {
    /// The account that its system_id named.
    pub(crate) account: AccountId,
    /// What it binds with, for the log.
    pub(crate) system_id: Box<[u8]>,
    /// What it asked to bind as.
    pub(crate) kind: BindKind,
    /// Whether control said yes.
    pub(crate) bound: bool,
    /// Held while control's word is waited for.
    pub(crate) waits: Option<Arc<()>>,
    /// Why it will be refused when its time has come.
    pub(crate) refusal: Option<BindRefusal>,
    /// It is to end, and gets nothing new.
    pub(crate) is_leaving: bool,
    /// What its bind said about its version and its addresses.
    pub(crate) said: Said,
}

/// Why a bind is refused; [`BindRefusal::status`] is the one table to the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindRefusal {
    /// Unknown system_id or wrong password: which of them is not told to strangers.
    WrongCredentials,
    /// The password is right, but the account is switched off.
    Disabled,
    /// The account may not bind this way.
    KindNotAllowed,
    /// It comes from a network that the account may not bind from.
    WrongNetwork,
    /// As many sessions stand as the account may have.
    TooMany,
    /// Nobody could check the password in time.
    Busy,
    /// The node is going down.
    Draining,
}

impl BindRefusal {
    /// All of them, in the order of their numbers.
    pub const ALL: [BindRefusal; 7] = [
        BindRefusal::WrongCredentials,
        BindRefusal::Disabled,
        BindRefusal::KindNotAllowed,
        BindRefusal::WrongNetwork,
        BindRefusal::TooMany,
        BindRefusal::Busy,
        BindRefusal::Draining,
    ];

    /// SMPP 3.4 §5.1.3. Too many binds get ESME_RALYBND as most operators' documents say.
    const fn status(self) -> CommandStatus {
        match self {
            BindRefusal::WrongCredentials => CommandStatus::ESME_RINVPASWD,
            BindRefusal::Disabled | BindRefusal::KindNotAllowed | BindRefusal::WrongNetwork => {
                CommandStatus::ESME_RBINDFAIL
            }
            BindRefusal::TooMany => CommandStatus::ESME_RALYBND,
            BindRefusal::Busy | BindRefusal::Draining => CommandStatus::ESME_RSYSERR,
        }
    }

    /// Value of the metric's label.
    pub const fn label(self) -> &'static str {
        match self {
            BindRefusal::WrongCredentials => "wrong_credentials",
            BindRefusal::Disabled => "disabled",
            BindRefusal::KindNotAllowed => "kind_not_allowed",
            BindRefusal::WrongNetwork => "wrong_network",
            BindRefusal::TooMany => "too_many",
            BindRefusal::Busy => "busy",
            BindRefusal::Draining => "draining",
        }
    }
}

impl CustomerOptions {
    /// Whether one more session may be bound, of this kind and from this address, while `sessions` are.
    fn may_bind(&self, sessions: u32, kind: BindKind, address: IpAddr) -> Result<(), BindRefusal> {
        if !self.may_come_from(address) {
            return Err(BindRefusal::WrongNetwork);
        }
        if sessions >= self.binds_max {
            return Err(BindRefusal::TooMany);
        }
        if !self.bind_kinds.allows(kind) {
            return Err(BindRefusal::KindNotAllowed);
        }
        Ok(())
    }
}

impl ShardApp {
    pub(crate) fn on_bind_request(
        &mut self,
        links: &mut Links<Token>,
        id: LinkId,
        kind: BindKind,
        bind: &Bind<'_>,
        sequence: u32,
    ) {
        if bind.system_id == NODE_SYSTEM_ID.as_bytes() {
            return self.on_node_bind(links, id, kind, bind, sequence);
        }
        let account = AccountId::of_name(bind.system_id);
        let Some(peer) = links.peer_address(id) else { return };
        let waits = Arc::new(());
        let asks = Arc::downgrade(&waits);
        let customer = CustomerPeer {
            account,
            system_id: bind.system_id.into(),
            kind,
            bound: false,
            waits: Some(waits),
            refusal: None,
            is_leaving: false,
            said: Said::of(bind),
        };
        self.put_peer(id, Peer::Customer(customer));
        // Whoever it is: it tells nothing about the account.
        if self.draining {
            return self.refuse_bind(links, id, sequence, BindRefusal::Draining);
        }
        self.wait_for_verdict(links.now(), id, sequence);
        self.control.keep(Notice::Bind(BindQuestion {
            ticket: Ticket { link: id, sequence },
            account,
            system_id: bind.system_id.into(),
            password: bind.password.into(),
            peer,
            waits: asks,
        }));
        links.schedule_flush();
    }

    /// Control's word. What the account may is looked at after its password, so that strangers learn nothing of it.
    pub(crate) fn on_bind_answer(&mut self, links: &mut Links<Token>, answer: BindAnswer) {
        let (ticket, refusal) = match answer {
            BindAnswer::Right(ticket) => (ticket, None),
            BindAnswer::Wrong(ticket) => (ticket, Some(BindRefusal::WrongCredentials)),
            BindAnswer::Busy(ticket) => (ticket, Some(BindRefusal::Busy)),
        };
        // The link may have gone while its password was checked.
        if !links.is_open(ticket.link) {
            return;
        }
        let refusal = refusal.or_else(|| self.accept_bind(links, ticket).err());
        if let (Some(refusal), Some(Peer::Customer(peer))) = (refusal, self.peer(ticket.link)) {
            (peer.refusal, peer.waits) = (Some(refusal), None);
        }
        self.carry_out(links);
    }

    /// Sessions are counted once they are bound: strangers with a wrong password must not use up an account's.
    fn accept_bind(&mut self, links: &mut Links<Token>, ticket: Ticket) -> Result<(), BindRefusal> {
        let Some(Peer::Customer(peer)) = self.peer(ticket.link) else { return Ok(()) };
        let (account, kind, said) = (peer.account, peer.kind, peer.said.clone());
        let Some(address) = links.peer_address(ticket.link) else { return Ok(()) };
        // The plan may be another one than when the bind came, and other sessions may have come before.
        let sessions = self.sessions.get(&account).copied().unwrap_or_default();
        // A customer that is switched off is known all the same: what comes for it is parked.
        let is_known = self.plan.snapshot.account(account).is_some();
        let unknown = if is_known { BindRefusal::Disabled } else { BindRefusal::WrongCredentials };
        let customer = self.plan.customer_of(account).ok_or(unknown)?;
        customer.may_bind(sessions, kind, address.ip())?;
        let (window, dialect) = (customer.window, customer.dialect);
        links.widen(ticket.link, window, window);
        links.set_dialect(ticket.link, dialect);
        let traits = self.traits_of(account, &said);
        links.set_version(ticket.link, traits.version);
        if links.accept_bind(ticket.link, ticket.sequence, &self.options.system_id).is_err() {
            return Ok(());
        }
        *self.sessions.entry(account).or_default() += 1;
        self.customers.binds_accepted += 1;
        self.customers.bound += 1;
        if let Some(Peer::Customer(peer)) = self.peer(ticket.link) {
            (peer.bound, peer.waits) = (true, None);
        }
        let key = key_of(ticket.link);
        if !self.relay.customer_bound_as(links.now(), account, key, kind, window, traits) {
            links.close(ticket.link, CloseReason::Local);
        }
        Ok(())
    }

    pub(crate) fn refuse_bind(
        &mut self,
        links: &mut Links<Token>,
        id: LinkId,
        sequence: u32,
        refusal: BindRefusal,
    ) {
        self.customers.binds_refused += 1;
        self.bind_refusals[refusal as usize] += 1;
        let address = links.peer_address(id).map(|peer| peer.ip());
        if let Some(Peer::Customer(peer)) = self.peer(id) {
            peer.waits = None;
            let system_id = peer.system_id.clone();
            self.options.refusals.note(runtime::monotonic_nanos(), address, refusal.label(), &system_id);
        }
        // A link that is gone already needs no answer.
        let _ = links.refuse_bind(id, sequence, refusal.status());
        links.close(id, CloseReason::Local);
    }

    pub(crate) fn on_customer_request(
        &mut self,
        links: &mut Links<Token>,
        arrival: Arrival,
        frame: Frame<'_>,
        pdu: &Pdu<'_>,
    ) {
        match pdu {
            Pdu::SubmitSm(submit) => self.relay.handle_submit(arrival, frame, submit),
            Pdu::DataSm(data) => self.relay.handle_submit_data(arrival, frame, data),
            Pdu::QuerySm(query) => self.on_query(links, arrival, frame, query),
            _ => answer_unsupported(links, arrival, frame),
        }
    }

    pub(crate) fn on_customer_closed(
        &mut self,
        links: &mut Links<Token>,
        id: LinkId,
        peer: &CustomerPeer,
        closed: &Closed<Token>,
    ) {
        self.customers.closed += 1;
        if !peer.bound {
            return;
        }
        self.customers.bound -= 1;
        if let Some(count) = self.sessions.get_mut(&peer.account) {
            *count -= 1;
            if *count == 0 {
                self.sessions.remove(&peer.account);
            }
        }
        let system_id = peer.system_id.escape_ascii();
        tracing::debug!(%system_id, reason = closed.reason.label(), "customer's link closed");
        let deliveries: Vec<DeliveryKey> =
            closed.written.iter().chain(&closed.unsent).filter_map(delivery_of).collect();
        self.relay.customer_closed(links.now(), key_of(id), &deliveries);
    }
}

/// Requests that are legal but that we do not carry out (yet), each with the status that the standard keeps
/// for its failure (SMPP 3.4 §5.1.3).
pub(crate) fn answer_unsupported(links: &mut Links<Token>, arrival: Arrival, frame: Frame<'_>) {
    let status = match frame.command_id() {
        CommandId::QUERY_SM => CommandStatus::ESME_RQUERYFAIL,
        CommandId::CANCEL_SM => CommandStatus::ESME_RCANCELFAIL,
        CommandId::REPLACE_SM => CommandStatus::ESME_RREPLACEFAIL,
        CommandId::SUBMIT_MULTI => CommandStatus::ESME_RSUBMITFAIL,
        _ => CommandStatus::ESME_RINVCMDID,
    };
    let link = crate::app::link_of(arrival.link);
    // A link that is gone already needs no answer.
    let _ = links.respond_empty(link, frame.command_id().response(), frame.sequence_number(), status);
}

fn delivery_of(token: &Token) -> Option<DeliveryKey> {
    match token {
        Token::Delivery(delivery) => Some(*delivery),
        Token::Message(_) => None,
    }
}
