//! All links of one hub, as its program sees them. No I/O happens here: what is said is appended to outboxes
//! and written at the end of the turn.

use crate::SendError;
use crate::app::{CloseReason, LinkId};
use crate::bell::Bell;
use crate::counters::Counters;
use crate::entry::Entry;
use crate::limits;
use crate::tls::Tls;
use bytes::BytesMut;
use smpp::dialect::Dialect;
use smpp::field::{CommandId, CommandStatus};
use smpp::pdu::{Bind, BindKind, Pdu};
use smpp::session::{Event, Session, State};
use smpp::time::Instant;
use smpp::version::Version;
use smpp::wire::Frame;
use std::net::SocketAddr;
use std::rc::Rc;

/// Marks an answer, which may use the room kept for answers. Its size, octets, is small and not needed.
const ANSWER: usize = 1;

struct Slot<T> {
    generation: u32,
    entry: Option<Entry<T>>,
}

/// The links of one hub.
pub struct Links<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    pub(crate) now: Instant,
    /// Links with something to write or to end in this turn, each once.
    pub(crate) touched: Vec<LinkId>,
    pub(crate) pool: Vec<BytesMut>,
    /// What was decrypted of one read; one for all TLS links, empty without any.
    pub(crate) plain: Vec<u8>,
    pub(crate) counters: Counters,
    flush: Rc<Bell>,
    links_max: usize,
    open: usize,
}

impl<T: Copy> Links<T> {
    pub(crate) fn new(links_max: usize, flush: Rc<Bell>) -> Self {
        Links {
            slots: Vec::new(),
            free: Vec::new(),
            now: Instant::from_nanos(runtime::monotonic_nanos()),
            touched: Vec::new(),
            pool: Vec::new(),
            plain: Vec::new(),
            counters: Counters::default(),
            flush,
            links_max,
            open: 0,
        }
    }

    /// Sends a request; returns its sequence number.
    pub fn request(&mut self, id: LinkId, pdu: &Pdu<'_>, token: T) -> Result<u32, SendError> {
        self.say(id, 0, |session, now| session.request(now, pdu, token))
    }

    /// Sends a request that has its wire form already; only its sequence number is replaced. This is the way of
    /// a forwarded message: one copy.
    #[inline]
    pub fn request_frame(&mut self, id: LinkId, frame: &[u8], token: T) -> Result<u32, SendError> {
        self.say(id, frame.len(), |session, now| session.request_frame(now, frame, token))
    }

    /// Answers a request of the peer.
    #[inline]
    pub fn respond(
        &mut self,
        id: LinkId,
        sequence: u32,
        status: CommandStatus,
        pdu: &Pdu<'_>,
    ) -> Result<(), SendError> {
        let said = self.say(id, ANSWER, |session, _| session.respond(sequence, status, pdu));
        self.cut_off_if_full(id, said)
    }

    /// Answers a request of the peer, named by its response, with a status alone, in the form of [`smpp::response`].
    #[inline]
    pub fn respond_empty(
        &mut self,
        id: LinkId,
        command: CommandId,
        sequence: u32,
        status: CommandStatus,
    ) -> Result<(), SendError> {
        let said = self.say(id, ANSWER, |session, _| session.respond_empty(command, sequence, status));
        self.cut_off_if_full(id, said)
    }

    /// Reads the peer by another dialect, once it is known who it is.
    pub fn set_dialect(&mut self, id: LinkId, dialect: Dialect) {
        if let Some(entry) = self.entry(id) {
            entry.session.set_dialect(dialect);
        }
    }

    /// Speaks this SMPP to the peer, once it is known what it asked for: before its bind is accepted.
    pub fn set_version(&mut self, id: LinkId, version: Version) {
        if let Some(entry) = self.entry(id) {
            entry.session.set_version(version);
        }
    }

    /// ESME role: asks to bind.
    pub fn bind(&mut self, id: LinkId, kind: BindKind, bind: &Bind<'_>) -> Result<(), SendError> {
        self.say(id, 0, |session, now| session.bind(now, kind, bind))
    }

    /// SMSC role: accepts a bind, naming ourselves.
    pub fn accept_bind(&mut self, id: LinkId, sequence: u32, system_id: &[u8]) -> Result<(), SendError> {
        let said = self.say(id, 0, |session, _| session.accept_bind(sequence, system_id));
        self.bind_answered(id);
        said
    }

    /// SMSC role: refuses a bind. The link stays open; close it when it should not try again.
    pub fn refuse_bind(&mut self, id: LinkId, sequence: u32, status: CommandStatus) -> Result<(), SendError> {
        let said = self.say(id, 0, |session, _| session.refuse_bind(sequence, status));
        self.bind_answered(id);
        said
    }
    /// Ends the session in order: it takes no request any more, what is open on it is answered or awaited for as long as
    /// its timers say, then it is unbound. A link that is not bound is closed.
    pub fn end(&mut self, id: LinkId) {
        self.end_by(id, Session::end);
    }

    /// Asks the peer to unbind at once, whatever is open; closes a link that is not bound.
    pub fn unbind(&mut self, id: LinkId) {
        self.end_by(id, Session::unbind);
    }

    fn end_by(&mut self, id: LinkId, end: impl FnOnce(&mut Session<T>, Instant)) {
        let now = self.now;
        let Some(entry) = self.entry(id) else { return };
        let state = entry.session.state();
        if state.is_bound() || state.is_ending() {
            end(&mut entry.session, now);
            self.touch(id);
        } else {
            self.close(id, CloseReason::Local);
        }
    }

    /// Takes back, from a session that ends, the requests of which no octet has left, in the order of sending.
    pub fn take_back(&mut self, id: LinkId) -> Vec<T> {
        let Some(entry) = self.entry(id) else { return Vec::new() };
        let taken_back = entry.session.take_back();
        self.end_if_over(id);
        taken_back
    }

    /// Ends the link after one attempt to send what waits, none while the peer is too slow already. The first
    /// reason given is the one reported.
    pub fn close(&mut self, id: LinkId, reason: CloseReason) {
        let now = self.now;
        let Some(entry) = self.entry(id) else { return };
        if entry.closing.is_none() {
            entry.closing = Some(reason);
            entry.closing_since = now;
        }
        self.touch(id);
    }

    /// Ends the link with RST; what waits is dropped.
    pub fn reset(&mut self, id: LinkId) {
        let Some(entry) = self.entry(id) else { return };
        entry.reset = true;
        self.close(id, CloseReason::Local);
    }

    /// Stops or resumes reading, so that the kernel's buffers fill and the peer has to wait.
    pub fn pause_reading(&mut self, id: LinkId, paused: bool) {
        let Some(entry) = self.entry(id) else { return };
        entry.paused = paused;
        if !paused {
            entry.resume.ring();
        }
    }

    /// Stops or resumes reading and writing while the connection stays open: half-open.
    pub fn freeze(&mut self, id: LinkId, frozen: bool) {
        let Some(entry) = self.entry(id) else { return };
        entry.frozen = frozen;
        if !frozen {
            entry.resume.ring();
            self.touch(id);
        }
    }

    /// Replaces the windows once it is known who the peer is.
    pub fn widen(&mut self, id: LinkId, window_in_max: u32, window_out_max: u32) {
        if let Some(entry) = self.entry(id) {
            entry.session.widen(window_in_max, window_out_max);
        }
    }

    /// As many links may stand from now on; those that are more stay.
    pub fn set_links_max(&mut self, links_max: usize) {
        self.links_max = links_max;
    }

    /// The time of this turn.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Requests that may be sent before the window is full; 0 for a link that is not bound or gone.
    pub fn window_free(&self, id: LinkId) -> u32 {
        self.peek(id).map_or(0, |entry| entry.session.window_free())
    }

    /// Requests of ours without an answer.
    pub fn in_flight(&self, id: LinkId) -> u32 {
        self.peek(id).map_or(0, |entry| entry.session.in_flight())
    }

    /// Requests of the peer without an answer from us.
    pub fn unanswered_in(&self, id: LinkId) -> u32 {
        self.peek(id).map_or(0, |entry| entry.session.unanswered_in())
    }

    /// What the peer may do, once bound.
    pub fn bind_kind(&self, id: LinkId) -> Option<BindKind> {
        self.peek(id)?.session.bind_kind()
    }

    /// Where in its life the session is.
    pub fn state(&self, id: LinkId) -> Option<State> {
        self.peek(id).map(|entry| entry.session.state())
    }

    /// Whether the link is encrypted.
    pub fn is_encrypted(&self, id: LinkId) -> bool {
        self.peek(id).is_some_and(|entry| entry.tls.is_some())
    }

    /// The peer's address.
    pub fn peer_address(&self, id: LinkId) -> Option<SocketAddr> {
        self.peek(id).map(|entry| entry.peer)
    }

    /// Octets that wait to be sent.
    pub fn outbox_len(&self, id: LinkId) -> usize {
        self.peek(id).map_or(0, |entry| entry.session.outbox_len())
    }

    /// Whether the link stands and is not being closed.
    pub fn is_open(&self, id: LinkId) -> bool {
        self.peek(id).is_some_and(Entry::is_open)
    }

    /// All links that stand, in a fixed order.
    pub fn ids(&self) -> impl Iterator<Item = LinkId> + '_ {
        self.slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.entry.is_some())
            .map(|(index, slot)| LinkId { index: index as u32, generation: slot.generation })
    }

    /// Links that stand.
    pub fn len(&self) -> usize {
        self.open
    }

    /// Whether no link stands.
    pub fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Asks for a flush at the end of this turn even if no link is touched.
    pub fn schedule_flush(&self) {
        self.flush.ring();
    }

    /// A new link; `None` when as many stand as are allowed.
    pub(crate) fn open(
        &mut self,
        session: Session<T>,
        peer: SocketAddr,
        tls: Option<Box<Tls>>,
    ) -> Option<LinkId> {
        if self.open >= self.links_max {
            self.counters.refused_full += 1;
            return None;
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, entry: None });
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[index as usize];
        slot.generation += 1;
        slot.entry = Some(Entry::new(session, peer, tls));
        self.open += 1;
        self.counters.opened += 1;
        Some(LinkId { index, generation: slot.generation })
    }

    /// Takes the link out; its id is never valid again.
    pub(crate) fn remove(&mut self, id: LinkId) -> Option<Entry<T>> {
        let slot = self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)?;
        let entry = slot.entry.take()?;
        self.free.push(id.index);
        self.open -= 1;
        self.counters.closed += 1;
        Some(entry)
    }

    #[inline]
    pub(crate) fn entry(&mut self, id: LinkId) -> Option<&mut Entry<T>> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation == id.generation { slot.entry.as_mut() } else { None }
    }

    /// The link in the slot with this number, if there is one.
    pub(crate) fn id_at(&self, index: usize) -> Option<LinkId> {
        let slot = self.slots.get(index)?;
        slot.entry.as_ref().map(|_| LinkId { index: index as u32, generation: slot.generation })
    }

    /// Slots, used and unused.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Lets the session take in a PDU; `None` when the link is being closed.
    #[inline]
    pub(crate) fn handle_frame<'a>(&mut self, id: LinkId, frame: Frame<'a>) -> Option<Event<'a, T>> {
        let now = self.now;
        self.counters.pdus_in += 1;
        let entry = self.entry(id)?;
        if entry.closing.is_some() {
            return None;
        }
        let event = entry.session.handle_frame(now, frame);
        if entry.session.outbox_len() > 0 && !entry.touched {
            self.touch(id);
        }
        Some(event)
    }

    /// Keeps what came behind a bind until that is answered; false where it need not wait.
    pub(crate) fn hold(&mut self, id: LinkId, octets: &[u8]) -> bool {
        let Some(entry) = self.entry(id).filter(|entry| entry.waits_for_bind()) else { return false };
        entry.held.extend_from_slice(octets);
        self.counters.pipelined_binds += u64::from(!octets.is_empty());
        true
    }

    /// The reader goes on with what was held.
    fn bind_answered(&mut self, id: LinkId) {
        if let Some(entry) = self.entry(id) {
            entry.resume.ring();
        }
    }

    /// What was said is all that the peer will say. It is read to its end before the link is.
    pub(crate) fn peer_ended(&mut self, id: LinkId) {
        if let Some(entry) = self.entry(id) {
            entry.peer_ended = true;
            entry.session.hears_nothing_more();
        }
    }

    /// Ends a link whose session is over, once all that waits is sent.
    #[inline]
    pub(crate) fn end_if_over(&mut self, id: LinkId) {
        if let Some(entry) = self.entry(id)
            && entry.is_over()
        {
            entry.in_order = true;
            let reason = entry.ends_for.unwrap_or(CloseReason::Unbound);
            self.close(id, reason);
        }
    }

    /// Has the link written, and ended if it is to end, when this turn is over.
    pub(crate) fn touch(&mut self, id: LinkId) {
        let Some(entry) = self.entry(id) else { return };
        if !std::mem::replace(&mut entry.touched, true) {
            self.touched.push(id);
            self.flush.ring();
        }
    }

    /// An answer that finds no room is never given: the session is worth nothing to its peer any more.
    fn cut_off_if_full(&mut self, id: LinkId, said: Result<(), SendError>) -> Result<(), SendError> {
        if said == Err(SendError::OutboxFull) {
            self.close(id, CloseReason::OutboxFull);
        }
        said
    }

    /// Lets the session append something of this size, octets; 0 is anything small.
    #[inline]
    fn say<O>(
        &mut self,
        id: LinkId,
        size: usize,
        f: impl FnOnce(&mut Session<T>, Instant) -> Result<O, smpp::session::SendError>,
    ) -> Result<O, SendError> {
        let now = self.now;
        let Some(slot) = self.slots.get_mut(id.index as usize) else { return Err(SendError::Closed) };
        let entry = match &mut slot.entry {
            Some(entry) if slot.generation == id.generation && entry.is_open() => entry,
            _ => return Err(SendError::Closed),
        };
        let room = limits::OUTBOX_MAX + if size == ANSWER { limits::OUTBOX_ANSWERS } else { 0 };
        if entry.session.outbox_len() + size > room {
            self.counters.outbox_full += 1;
            return Err(SendError::OutboxFull);
        }
        entry.lend(&mut self.pool);
        let said = f(&mut entry.session, now)?;
        if !entry.touched {
            entry.touched = true;
            self.touched.push(id);
            self.flush.ring();
        }
        if entry.is_over() {
            self.end_if_over(id);
        }
        Ok(said)
    }

    #[inline]
    fn peek(&self, id: LinkId) -> Option<&Entry<T>> {
        let slot = self.slots.get(id.index as usize)?;
        if slot.generation == id.generation { slot.entry.as_ref() } else { None }
    }
}
