//! The end of a session in order, whichever side wants it: nothing new is sent, what is owed is answered or awaited, then
//! the unbind is answered or said.
//!
//! ```text
//!   bound --end---> Leaving ---nothing owed, or overdue: unbind---> Unbinding --unbind_resp--> Unbound
//!     |                |                                               |                          ^
//!     `--peer unbinds--+-----------------------------------------------+--> Finishing ------------'
//!                                                   nothing owed, or overdue: unbind_resp
//! ```

use super::timers::DeadlineReason;
use super::{Event, Session, State};
use crate::field::{CommandId, CommandStatus};
use crate::time::Instant;
use alloc::vec::Vec;

impl<T: Copy> Session<T> {
    /// Ends a bound session in order: no request is taken any more, what is open is answered or awaited for
    /// `timers.finish` at most, then the peer is asked to unbind. Does nothing where the end has begun, or where the
    /// session is not bound.
    pub fn end(&mut self, now: Instant) {
        if self.state.is_bound() {
            self.state = State::Leaving;
            self.clockwork.ending(now);
            self.settle();
        }
    }

    /// Asks the peer to end the session at once, whatever is open.
    pub fn unbind(&mut self, now: Instant) {
        if self.state.is_bound() || self.state == State::Leaving {
            self.say_unbind(now);
        }
    }

    /// Takes back the requests of which no octet was taken, in the order in which they were handed over: the peer never
    /// hears of them. For a session that ends; one request may stay although it is unsent.
    pub fn take_back(&mut self) -> Vec<T> {
        let window = &mut self.window;
        let Some(boundary) = self.outbox.boundary(window.first_end_after(self.outbox.taken())) else {
            return Vec::new();
        };
        let mut taken_back = Vec::new();
        self.outbox.retain_from(boundary, |frame| {
            let request = window.remove_request(frame.sequence_number(), frame.command_id());
            taken_back.extend(request);
            request.is_none()
        });
        self.settle();
        taken_back
    }

    /// The peer's side of the connection has ended: where the session ends, nothing is awaited any more, and what the peer
    /// is owed is still answered.
    pub fn hears_nothing_more(&mut self) {
        self.peer_silent = true;
        self.settle();
    }

    /// Says whether a timer ended the session, and sends enquire_link where one is due. Inactivity ends it in order:
    /// the session goes on until its unbind is answered.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<DeadlineReason> {
        let may_enquire = self.state.is_bound();
        let (due, enquire) = self.clockwork.check(now, self.state, may_enquire);
        if enquire {
            self.enquire(now);
        }
        match due? {
            DeadlineReason::Finish => {
                self.counters.overdue_ends += 1;
                self.go_on(now);
                None
            }
            DeadlineReason::Inactivity => {
                self.end(now);
                Some(DeadlineReason::Inactivity)
            }
            reason => Some(reason),
        }
    }

    pub(super) fn handle_unbind<'a>(&mut self, now: Instant, sequence: u32) -> Event<'a, T> {
        match self.state {
            // Said twice: one answer is enough.
            State::Finishing => {
                self.unbind_asked.get_or_insert(sequence);
                return Event::Nothing;
            }
            state if state.is_bound() || state.is_ending() => {}
            _ => return self.refuse_illegal(CommandId::UNBIND, sequence),
        }
        self.unbind_asked = Some(sequence);
        self.state = State::Finishing;
        self.clockwork.ending(now);
        self.settle();
        if self.state == State::Unbound { Event::Unbound } else { Event::Ending }
    }

    /// The peer will say nothing more, but what it said before is answered.
    pub(super) fn handle_unbind_resp<'a>(&mut self) -> Event<'a, T> {
        if self.state != State::Unbinding {
            self.counters.late_responses += 1;
            return Event::Nothing;
        }
        self.state = State::Finishing;
        self.clockwork.ending(self.clockwork.told());
        self.settle();
        if self.state == State::Unbound { Event::Unbound } else { Event::Ending }
    }

    /// Takes the next step of an end once nothing is owed.
    #[inline]
    pub(super) fn settle(&mut self) {
        if matches!(self.state, State::Leaving | State::Finishing) && !self.owes() {
            self.go_on(self.clockwork.told());
        }
    }

    /// Whether an answer is owed, by us or to us. A peer that answered our unbind will answer nothing else.
    fn owes(&self) -> bool {
        let awaits = !self.peer_silent && (self.state == State::Leaving || self.unbind_asked.is_some());
        self.unanswered_in > 0 || awaits && self.window.len() > 0
    }

    fn go_on(&mut self, now: Instant) {
        match self.state {
            State::Leaving => self.say_unbind(now),
            State::Finishing => {
                if let Some(sequence) = self.unbind_asked.take() {
                    self.write_header_only(CommandId::UNBIND_RESP, CommandStatus::ESME_ROK, sequence);
                }
                self.state = State::Unbound;
            }
            _ => {}
        }
    }

    fn say_unbind(&mut self, now: Instant) {
        let sequence = self.window.reserve();
        self.write_header_only(CommandId::UNBIND, CommandStatus::ESME_ROK, sequence);
        self.state = State::Unbinding;
        self.clockwork.unbind_sent(now);
    }
}
