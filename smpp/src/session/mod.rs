//! The protocol state of one connection, for both roles, without a socket or a clock.
//!
//! # Contract
//!
//! Whoever owns the connection calls, in this order and with a time that never goes back:
//!
//! 1. [`Session::handle_frame`] for each PDU that came in; it answers what the protocol itself answers
//!    (enquire_link, unbind, unknown commands, undecodable bodies) and returns what is left as an [`Event`].
//! 2. [`Session::request`], [`Session::respond`] and the bind calls for what it wants to say.
//! 3. [`Session::handle_timeout`] and [`Session::expired`] when [`Session::next_deadline`] has passed (early
//!    or repeated calls are harmless).
//! 4. [`Outbox::bytes`] to the peer, then [`Outbox::advance`] by as many octets as the peer's side of the
//!    connection took. Only what was taken counts as written when the connection ends.
//!
//! A session that ends in order ([`Session::end`], or the peer's unbind) may be over with any of these calls: its state
//! is [`State::Unbound`] then, and the connection is to be closed once the outbox is empty.
//!
//! When the connection is gone, [`Session::abandon`] gives back every unanswered request and says of each
//! whether its last octet was taken.

mod answer;
mod config;
mod ending;
mod outbox;
pub mod state;
mod timers;
mod window;

pub use config::SessionConfig;
pub use outbox::Outbox;
pub use state::{Role, State};
pub use timers::{Deadline, DeadlineReason, Timers};
pub use window::Unanswered;

use crate::dialect::Dialect;
use crate::field::{CommandId, CommandStatus};
use crate::pdu::{Bind, BindKind, BindResp, Pdu};
use crate::time::Instant;
use crate::tlv::Tlvs;
use crate::version::Version;
use crate::wire::{Frame, write_header_only};
use answer::verdict;
use timers::Clockwork;
use window::Window;

/// The TLV sc_interface_version of a bind_resp: SMPP 3.4 (SMPP 3.4 §5.3.2.25).
const SC_INTERFACE_VERSION: [u8; 5] = [0x02, 0x10, 0, 1, crate::limits::INTERFACE_VERSION];

/// What a PDU meant, when the session could not deal with it alone.
#[derive(Debug)]
pub enum Event<'a, T> {
    /// Nothing is left to do.
    Nothing,
    /// SMSC role: the peer wants to bind. Answer with `accept_bind` or `refuse_bind`, now or later.
    BindRequest {
        /// What it wants to do on this session.
        kind: BindKind,
        /// Who it says it is.
        bind: Bind<'a>,
        /// To be given back with the answer.
        sequence: u32,
    },
    /// ESME role: the SMSC accepted our bind.
    Bound {
        /// What we asked for.
        kind: BindKind,
        /// Who it says it is.
        resp: BindResp<'a>,
    },
    /// ESME role: the SMSC refused our bind. The session is over.
    BindRefused {
        /// Its reason, as it stands in the answer: 0 in a generic_nack says nothing.
        status: CommandStatus,
        /// The answer was a generic_nack, not a bind response.
        is_nack: bool,
    },
    /// A legal request that wants our answer through [`Session::respond`].
    Request {
        /// The PDU as it came.
        frame: Frame<'a>,
        /// The PDU as a view.
        pdu: Pdu<'a>,
        /// More of the peer's requests are unanswered than it was allowed.
        over_window: bool,
    },
    /// The answer to a request of ours. A generic_nack with a matching sequence number counts as one.
    Response {
        /// What the request was sent with.
        token: T,
        /// The answer, its body not yet decoded.
        frame: Frame<'a>,
        /// Its verdict: the header's, but never success for a generic_nack.
        status: CommandStatus,
        /// When the request was handed to the session.
        sent_at: Instant,
    },
    /// A response to no request that waits for one: it expired, was answered already, or was never sent.
    LateResponse {
        /// The response, its body not yet decoded.
        frame: Frame<'a>,
    },
    /// The response timer of a request of ours has passed; see [`Session::expired`].
    Expired {
        /// What the request was sent with.
        token: T,
        /// Its sequence number.
        sequence: u32,
    },
    /// A PDU without answer: outbind or alert_notification.
    Notice {
        /// The PDU as a view.
        pdu: Pdu<'a>,
    },
    /// The session is to end in order: it takes no request of ours any more. What is open is answered or awaited, for
    /// `timers.finish` at most; then the unbind is answered or said. [`Session::take_back`] gives what is not on its way.
    Ending,
    /// The peer unbound, or answered our unbind. The session is over once the outbox is empty.
    Unbound,
}

/// Why a request could not be handed to the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// As many requests are unanswered as the window allows.
    WindowFull,
    /// The session is not in a state in which this PDU may be sent (SMPP 3.4 §2.3).
    Illegal,
    /// The bytes are not one whole PDU.
    Malformed,
}

/// Counters of what the peer did against the protocol; plain integers, read by whoever owns the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionCounters {
    /// PDUs received, of every kind.
    pub pdus_in: u64,
    /// Responses whose request was not, or no longer, in the window.
    pub late_responses: u64,
    /// Requests in a state in which they are not allowed.
    pub illegal_requests: u64,
    /// Commands not known to SMPP 3.4.
    pub unknown_commands: u64,
    /// Bodies that could not be decoded.
    pub undecodable: u64,
    /// generic_nacks received.
    pub nacks_in: u64,
    /// Ends in order that did not wait longer for what was still owed.
    pub overdue_ends: u64,
}

/// One SMPP session. See the module for the calling contract.
pub struct Session<T> {
    config: SessionConfig,
    state: State,
    /// The kind asked for by the bind that is under way, or of the bind that stands.
    kind: Option<BindKind>,
    window: Window<T>,
    /// Requests of the peer that we have not answered; at most `window_in_max` unless the owner lets it.
    unanswered_in: u32,
    /// The peer's unbind that is not answered yet, by its sequence number.
    unbind_asked: Option<u32>,
    /// Nothing more will come of the peer.
    peer_silent: bool,
    clockwork: Clockwork,
    outbox: Outbox,
    /// A request expired and nothing came in since it was sent.
    under_suspicion: bool,
    counters: SessionCounters,
}

impl<T: Copy> Session<T> {
    /// A session on a connection that was opened at `now`.
    pub fn new(config: SessionConfig, now: Instant) -> Self {
        assert!(config.window_out_max >= 1, "a session needs a window of at least one");
        Session {
            window: Window::new(config.window_out_max),
            clockwork: Clockwork::new(config.timers, now),
            config,
            state: State::Open,
            kind: None,
            unanswered_in: 0,
            unbind_asked: None,
            peer_silent: false,
            outbox: Outbox::default(),
            under_suspicion: false,
            counters: SessionCounters::default(),
        }
    }

    /// Takes in one PDU and says what is left to do.
    pub fn handle_frame<'a>(&mut self, now: Instant, frame: Frame<'a>) -> Event<'a, T> {
        self.counters.pdus_in += 1;
        let command = frame.command_id();
        self.clockwork.heard(now);
        self.under_suspicion = false;
        let event =
            if command.is_response() { self.handle_response(frame) } else { self.handle_request(now, frame) };
        self.settle();
        event
    }

    /// ESME role: asks to bind.
    pub fn bind(&mut self, now: Instant, kind: BindKind, bind: &Bind<'_>) -> Result<(), SendError> {
        if self.config.role != Role::Esme || self.state != State::Open {
            return Err(SendError::Illegal);
        }
        let sequence = self.window.reserve();
        let out = self.outbox.append();
        bind.encode(kind, sequence, out);
        self.outbox.seal();
        self.state = State::Binding;
        self.kind = Some(kind);
        self.clockwork.bind_sent(now);
        Ok(())
    }

    /// SMSC role: accepts the bind with this sequence number.
    pub fn accept_bind(&mut self, sequence: u32, system_id: &[u8]) -> Result<(), SendError> {
        let kind = self.pending_bind()?;
        self.state = State::bound(kind);
        let tlvs: &[u8] = if self.config.version.has_tlvs() { &SC_INTERFACE_VERSION } else { &[] };
        let resp = BindResp { system_id, tlvs: Tlvs::new(tlvs) };
        resp.encode(kind, CommandStatus::ESME_ROK, sequence, self.outbox.append());
        self.outbox.seal();
        Ok(())
    }

    /// SMSC role: refuses the bind with this sequence number. The peer may try again on the same connection.
    pub fn refuse_bind(&mut self, sequence: u32, status: CommandStatus) -> Result<(), SendError> {
        let kind = self.pending_bind()?;
        self.state = State::Open;
        self.kind = None;
        self.write_refusal(kind.command_id(), status, sequence);
        Ok(())
    }

    /// Hands over a request; returns its sequence number.
    pub fn request(&mut self, now: Instant, pdu: &Pdu<'_>, token: T) -> Result<u32, SendError> {
        let command = pdu.command_id();
        self.may_request(command)?;
        let sequence = self.window.reserve();
        let out = self.outbox.append();
        pdu.encode(CommandStatus::ESME_ROK, sequence, out);
        self.outbox.seal();
        self.window.insert(sequence, command, now, self.outbox.appended(), token);
        Ok(sequence)
    }

    /// Hands over a request that already has its wire form: copied once, its sequence number replaced.
    /// `bytes` must be one whole PDU.
    pub fn request_frame(&mut self, now: Instant, bytes: &[u8], token: T) -> Result<u32, SendError> {
        let frame = Frame::whole(bytes).ok_or(SendError::Malformed)?;
        let command = frame.command_id();
        self.may_request(command)?;
        let sequence = self.window.reserve();
        frame.copy_to(sequence, self.outbox.append());
        self.outbox.seal();
        self.window.insert(sequence, command, now, self.outbox.appended(), token);
        Ok(sequence)
    }

    /// Reads the peer by another dialect, once it is known who it is.
    pub fn set_dialect(&mut self, dialect: Dialect) {
        self.config.dialect = dialect;
    }

    /// Speaks another SMPP to the peer, once it is known what it asked for. To be called before the bind is accepted.
    pub fn set_version(&mut self, version: Version) {
        self.config.version = version;
    }

    /// Tells the peer that its bytes are not PDUs (SMPP 3.4 §4.3); the connection is to be closed after it.
    pub fn nack(&mut self, status: CommandStatus) {
        self.write_header_only(CommandId::GENERIC_NACK, status, 0);
    }

    /// The next request whose response timer has passed, with its sequence number. Call until `None`. An answer
    /// that comes later counts as late.
    ///
    /// A peer from which nothing at all came since that request is under suspicion: it is asked for a sign of
    /// life at once, and gets no further request until it gives one.
    pub fn expired(&mut self, now: Instant) -> Option<(T, u32)> {
        let expired = self.window.expired(now, self.config.timers.response)?;
        self.settle();
        if !self.clockwork.heard_since(expired.sent_at) {
            self.under_suspicion = true;
            self.enquire(now);
        }
        Some((expired.token, expired.sequence))
    }

    /// When [`Session::handle_timeout`] or [`Session::expired`] next has something to do, and why.
    pub fn next_deadline(&self) -> Option<Deadline> {
        let oldest = self.window.oldest_sent_at();
        self.clockwork.next_deadline(self.state, oldest)
    }

    /// Gives back every unanswered request, oldest first, with whether its last octet was taken.
    pub fn abandon(&mut self) -> alloc::vec::Vec<Unanswered<T>> {
        self.state = State::Unbound;
        self.window.abandon(self.outbox.taken())
    }

    /// What waits to be sent.
    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// Octets that wait to be sent.
    pub fn outbox_len(&self) -> usize {
        self.outbox.len()
    }

    /// Where in its life the session is.
    pub fn state(&self) -> State {
        self.state
    }

    /// What the peer may do here, once bound.
    pub fn bind_kind(&self) -> Option<BindKind> {
        if self.state.is_bound() || self.state.is_ending() { self.kind } else { None }
    }

    /// Requests that may be sent before the window is full; 0 when not bound.
    pub fn window_free(&self) -> u32 {
        if self.state.is_bound() { self.config.window_out_max - self.window.len() } else { 0 }
    }

    /// Requests of ours that are unanswered.
    pub fn in_flight(&self) -> u32 {
        self.window.len()
    }

    /// Requests of the peer that we have not answered.
    pub fn unanswered_in(&self) -> u32 {
        self.unanswered_in
    }

    /// What it was built from.
    pub fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// Replaces both windows, once it is known who the peer is. The outgoing window only ever grows.
    pub fn widen(&mut self, window_in_max: u32, window_out_max: u32) {
        self.config.window_in_max = window_in_max;
        self.config.window_out_max = self.config.window_out_max.max(window_out_max);
        self.window.widen(self.config.window_out_max);
    }

    /// What the peer did so far.
    pub fn counters(&self) -> SessionCounters {
        self.counters
    }

    fn handle_response<'a>(&mut self, frame: Frame<'a>) -> Event<'a, T> {
        let sequence = frame.sequence_number();
        match frame.command_id() {
            CommandId::ENQUIRE_LINK_RESP => Event::Nothing,
            CommandId::UNBIND_RESP => self.handle_unbind_resp(),
            CommandId::BIND_TRANSMITTER_RESP
            | CommandId::BIND_RECEIVER_RESP
            | CommandId::BIND_TRANSCEIVER_RESP => self.handle_bind_resp(frame),
            CommandId::GENERIC_NACK => {
                self.counters.nacks_in += 1;
                if self.state == State::Binding {
                    self.state = State::Unbound;
                    return Event::BindRefused { status: frame.command_status(), is_nack: true };
                }
                let taken = self.window.remove(sequence);
                self.match_response(frame, taken)
            }
            command => {
                let taken = self.window.remove_answered(sequence, command);
                self.match_response(frame, taken)
            }
        }
    }

    fn match_response<'a>(&mut self, frame: Frame<'a>, taken: Option<(T, Instant)>) -> Event<'a, T> {
        match taken {
            Some((token, sent_at)) => Event::Response { token, frame, status: verdict(frame), sent_at },
            None => {
                self.counters.late_responses += 1;
                Event::LateResponse { frame }
            }
        }
    }

    fn handle_bind_resp<'a>(&mut self, frame: Frame<'a>) -> Event<'a, T> {
        let (State::Binding, Role::Esme, Some(kind)) = (self.state, self.config.role, self.kind) else {
            self.counters.late_responses += 1;
            return Event::Nothing;
        };
        let status = frame.command_status();
        if status != CommandStatus::ESME_ROK {
            self.state = State::Unbound;
            return Event::BindRefused { status, is_nack: false };
        }
        self.state = State::bound(kind);
        // A body that cannot be read does not undo the SMSC's yes: the status in the header is its word.
        let resp = match Pdu::decode(frame, &self.config.dialect) {
            Ok(
                Pdu::BindTransmitterResp(resp) | Pdu::BindReceiverResp(resp) | Pdu::BindTransceiverResp(resp),
            ) => resp,
            _ => BindResp { system_id: &[], tlvs: Tlvs::default() },
        };
        Event::Bound { kind, resp }
    }

    fn handle_request<'a>(&mut self, now: Instant, frame: Frame<'a>) -> Event<'a, T> {
        let (command, sequence) = (frame.command_id(), frame.sequence_number());
        match command {
            // Peers differ on whether enquire_link is allowed before the bind; answering never hurts.
            CommandId::ENQUIRE_LINK => {
                self.write_header_only(CommandId::ENQUIRE_LINK_RESP, CommandStatus::ESME_ROK, sequence);
                return Event::Nothing;
            }
            CommandId::UNBIND => return self.handle_unbind(now, sequence),
            _ => {}
        }
        if command.name().is_none() {
            self.counters.unknown_commands += 1;
            self.write_refusal(command, CommandStatus::ESME_RINVCMDID, sequence);
            return Event::Nothing;
        }
        if !self.peer_may(command) {
            return self.refuse_illegal(command, sequence);
        }
        match Pdu::decode(frame, &self.config.dialect) {
            Ok(pdu) => self.accept_request(frame, pdu),
            Err(error) => {
                self.counters.undecodable += 1;
                self.write_refusal(command, error.status(), sequence);
                Event::Nothing
            }
        }
    }

    fn accept_request<'a>(&mut self, frame: Frame<'a>, pdu: Pdu<'a>) -> Event<'a, T> {
        let sequence = frame.sequence_number();
        let (kind, bind) = match pdu {
            Pdu::BindTransmitter(bind) => (BindKind::Transmitter, bind),
            Pdu::BindReceiver(bind) => (BindKind::Receiver, bind),
            Pdu::BindTransceiver(bind) => (BindKind::Transceiver, bind),
            Pdu::Outbind(_) | Pdu::AlertNotification(_) => return Event::Notice { pdu },
            _ => {
                self.unanswered_in += 1;
                let over_window = self.unanswered_in > self.config.window_in_max;
                return Event::Request { frame, pdu, over_window };
            }
        };
        self.state = State::Binding;
        self.kind = Some(kind);
        Event::BindRequest { kind, bind, sequence }
    }

    fn refuse_illegal<'a>(&mut self, command: CommandId, sequence: u32) -> Event<'a, T> {
        self.counters.illegal_requests += 1;
        let status = match command {
            CommandId::BIND_TRANSMITTER | CommandId::BIND_RECEIVER | CommandId::BIND_TRANSCEIVER => {
                CommandStatus::ESME_RALYBND
            }
            _ => CommandStatus::ESME_RINVBNDSTS,
        };
        self.write_refusal(command, status, sequence);
        Event::Nothing
    }

    /// Asks for a sign of life, unless the answer to an earlier question is still to come.
    fn enquire(&mut self, now: Instant) {
        if self.state.is_bound() && self.clockwork.enquired_at().is_none() {
            let sequence = self.window.reserve();
            self.write_header_only(CommandId::ENQUIRE_LINK, CommandStatus::ESME_ROK, sequence);
            self.clockwork.enquire_sent(now);
        }
    }

    fn may_request(&self, command: CommandId) -> Result<(), SendError> {
        let is_known = self.config.version.has_tlvs() || !command.is_new_in_34();
        if !is_known || !state::legal(self.config.role, command, self.state) {
            return Err(SendError::Illegal);
        }
        if self.window.len() >= self.config.window_out_max || self.under_suspicion {
            return Err(SendError::WindowFull);
        }
        Ok(())
    }

    fn peer_may(&self, command: CommandId) -> bool {
        let peer = self.config.role.peer();
        // That we end binds us alone: what the peer says until it has read our unbind is as good as before.
        let state = match (self.state, self.kind) {
            (State::Leaving | State::Unbinding, Some(kind)) => State::bound(kind),
            (state, _) => state,
        };
        if state::legal(peer, command, state) {
            return true;
        }
        let delivers = matches!(command, CommandId::DELIVER_SM | CommandId::DATA_SM);
        delivers && self.config.deliver_on_transmitter && state == State::BoundTransmitter
    }

    fn pending_bind(&self) -> Result<BindKind, SendError> {
        match (self.config.role, self.state, self.kind) {
            (Role::Smsc, State::Binding, Some(kind)) => Ok(kind),
            _ => Err(SendError::Illegal),
        }
    }

    fn write_header_only(&mut self, command: CommandId, status: CommandStatus, sequence: u32) {
        write_header_only(self.outbox.append(), command, status, sequence);
        self.outbox.seal();
    }
}

#[cfg(test)]
mod tests;
