//! The timers of a session (SMPP 3.4 §7.2), over a time that is told.

use super::state::State;
use crate::time::Instant;
use core::time::Duration;

/// The timers of one session. Zero switches one off, but for `finish`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// SMSC role: from connect to bind (session_init_timer). ESME role: from our bind to its answer.
    pub bind: Duration,
    /// From a request of ours to its answer (response_timer); also for our enquire_link.
    pub response: Duration,
    /// Silence after which we ask for a sign of life (enquire_link_timer).
    pub enquire_link: Duration,
    /// Silence after which the session ends in order (inactivity_timer). Any PDU is a sign of life, enquire_link too.
    pub inactivity: Duration,
    /// What a session that ends in order may take for what is still owed. Zero waits for nothing.
    pub finish: Duration,
    /// From our unbind to its answer.
    pub unbind: Duration,
}

impl Default for Timers {
    /// Values that operators publish: 5 s against slow bind attacks, 10 s for answers, 30 s of silence.
    fn default() -> Self {
        Timers {
            bind: Duration::from_secs(5),
            response: Duration::from_secs(10),
            enquire_link: Duration::from_secs(30),
            inactivity: Duration::ZERO,
            finish: Duration::from_secs(5),
            unbind: Duration::from_secs(2),
        }
    }
}

/// Why a deadline stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadlineReason {
    /// The session was not bound in time.
    Bind,
    /// A request of ours was not answered in time.
    Response,
    /// The link was silent: an enquire_link is due.
    EnquireLink,
    /// Our enquire_link was not answered, and nothing else came either.
    NoSignOfLife,
    /// Nothing at all came for too long.
    Inactivity,
    /// What was still owed on a session that ends took too long.
    Finish,
    /// Our unbind was not answered in time.
    Unbind,
}

/// A time at which something is due, with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// When.
    pub at: Instant,
    /// Why.
    pub reason: DeadlineReason,
}

/// What the timers run from.
#[derive(Debug)]
pub(super) struct Clockwork {
    timers: Timers,
    /// When the bind timer began: at the connect, or with our bind.
    bind_from: Instant,
    /// When anything came in last.
    heard_at: Instant,
    /// The last time that was told.
    told: Instant,
    /// Our enquire_link without a sign of life since.
    enquired_at: Option<Instant>,
    unbound_at: Option<Instant>,
    /// When the end in order began.
    ending_from: Instant,
}

impl Clockwork {
    pub(super) fn new(timers: Timers, now: Instant) -> Self {
        Clockwork {
            timers,
            bind_from: now,
            heard_at: now,
            told: now,
            enquired_at: None,
            unbound_at: None,
            ending_from: now,
        }
    }

    /// Any PDU proves life, whether or not it answers our enquire_link.
    #[inline]
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard_at = now;
        self.told = now;
        self.enquired_at = None;
    }

    /// The last time that was told: for what follows from a call without one.
    pub(super) fn told(&self) -> Instant {
        self.told
    }

    /// Whether anything came in since this moment.
    pub(super) fn heard_since(&self, moment: Instant) -> bool {
        self.heard_at > moment
    }

    /// When we last asked for a sign of life, if none came since.
    pub(super) fn enquired_at(&self) -> Option<Instant> {
        self.enquired_at
    }

    pub(super) fn bind_sent(&mut self, now: Instant) {
        self.bind_from = now;
    }

    pub(super) fn enquire_sent(&mut self, now: Instant) {
        self.enquired_at = Some(now);
    }

    pub(super) fn ending(&mut self, now: Instant) {
        self.ending_from = now;
    }

    pub(super) fn unbind_sent(&mut self, now: Instant) {
        self.unbound_at = Some(now);
    }

    /// Why the session is over, if it is; and whether an enquire_link is due.
    pub(super) fn check(
        &mut self,
        now: Instant,
        state: State,
        may_enquire: bool,
    ) -> (Option<DeadlineReason>, bool) {
        self.told = now;
        let Some(deadline) = self.next_deadline(state, None) else { return (None, false) };
        if deadline.at > now {
            return (None, false);
        }
        match deadline.reason {
            DeadlineReason::EnquireLink => (None, may_enquire),
            reason => (Some(reason), false),
        }
    }

    /// The earliest of all deadlines; `oldest_request` is when the oldest unanswered request was sent.
    pub(super) fn next_deadline(&self, state: State, oldest_request: Option<Instant>) -> Option<Deadline> {
        let mut next: Option<Deadline> = None;
        let mut consider = |from: Option<Instant>, timer: Duration, reason| {
            let is_on = !timer.is_zero() || reason == DeadlineReason::Finish;
            let Some(from) = from.filter(|_| is_on) else { return };
            let at = from + timer;
            if next.is_none_or(|deadline| at < deadline.at) {
                next = Some(Deadline { at, reason });
            }
        };
        let timers = &self.timers;
        match state {
            State::Open | State::Binding => consider(Some(self.bind_from), timers.bind, DeadlineReason::Bind),
            State::Leaving | State::Finishing => {
                consider(Some(self.ending_from), timers.finish, DeadlineReason::Finish);
                consider(oldest_request, timers.response, DeadlineReason::Response);
            }
            State::Unbinding => consider(self.unbound_at, timers.unbind, DeadlineReason::Unbind),
            State::Unbound => {}
            _ => {
                match self.enquired_at {
                    Some(at) => consider(Some(at), timers.response, DeadlineReason::NoSignOfLife),
                    None => consider(Some(self.heard_at), timers.enquire_link, DeadlineReason::EnquireLink),
                }
                consider(Some(self.heard_at), timers.inactivity, DeadlineReason::Inactivity);
                consider(oldest_request, timers.response, DeadlineReason::Response);
            }
        }
        next
    }
}
