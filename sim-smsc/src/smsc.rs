//! One simulated site, pure: what it answers to a bind or a submit, when, and what it sends of its own accord.
//!
//! # Contract
//!
//! Whoever owns the connections calls [`Site::connected`], [`Site::bind_requested`], [`Site::submitted`],
//! [`Site::delivered`], [`Site::closed`] as things happen and [`Site::tick`] every few milliseconds, all with a time
//! that does not go back; after each call it does what [`Site::poll`] says until that is `None`. A
//! [`Action::Deliver`] is answered at once with [`Site::delivery_sent`] or [`Site::delivery_unsent`], and a
//! failed [`Action::Answer`] with [`Site::answer_lost`]. `L` is the owner's name for a connection.

mod answers;
mod book;
mod deliveries;
mod outages;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use ledger::{Kind, MessageKey, Record, id_hash};
use slab::Slab;
use smpp::field::CommandStatus;
use smpp::pdu::{Bind, BindKind, SubmitSm};
use smpp::time::Instant;

use crate::account::{self, AccountRule};
use crate::attempts::Attempts;
use crate::counters::Counters;
use crate::decide::{Decider, Purpose};
use crate::faults::{FaultSpec, Faults, Timeline};
use crate::ids::{IdStart, IdText};
use crate::rate::{Limiter, OnExceed, Scope};
use crate::receipts::Pending;
use crate::scenario::{Behaviour, OnFullWindow};
use crate::wheel::Wheel;
pub(crate) use deliveries::Said;

/// What one site is made of.
#[derive(Clone, Debug)]
pub(crate) struct SiteOptions {
    pub(crate) index: u16,
    pub(crate) name: String,
    pub(crate) seed: u64,
    pub(crate) run: u32,
    pub(crate) behaviour: Behaviour,
    pub(crate) accounts: Vec<AccountRule>,
    pub(crate) faults: Vec<FaultSpec>,
}

/// A simulated site.
pub(crate) struct Site<L> {
    options: SiteOptions,
    decider: Decider,
    /// Unix time at the origin of [`Instant`], nanoseconds.
    unix_origin_ns: u64,
    /// When the timeline began.
    start: Option<Instant>,
    conns: Slab<Conn<L>>,
    conn_serial: u32,
    accounts: Vec<Account>,
    limiter: Option<Limiter>,
    attempts: Attempts,
    next_id: u64,
    pending: Slab<Pending>,
    held_back: bool,
    wheel: Wheel<Due>,
    due: Vec<Due>,
    faults: Faults,
    timeline: Timeline,
    mo_sequence: u64,
    counters: Counters,
    actions: VecDeque<Action<L>>,
    records: Vec<Record>,
}

/// Names a connection of a site; never used again for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ConnRef {
    slot: u32,
    serial: u32,
}

/// What the owner is asked to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Action<L> {
    AcceptBind { link: L, sequence: u32 },
    RefuseBind { link: L, sequence: u32, status: CommandStatus },
    Answer { link: L, answer: Answer },
    Deliver { link: L, item: u32 },
    Pause { link: L, paused: bool },
    Freeze { link: L, frozen: bool },
    Reset { link: L },
    Close { link: L },
    Unbind { link: L },
    Listen { open: bool },
}

/// The answer to a submit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Answer {
    to: ConnRef,
    pub(crate) asked: Asked,
    pub(crate) sequence: u32,
    pub(crate) status: CommandStatus,
    /// Number behind the message id; meaningless with an error.
    id: u64,
    key: MessageKey,
}

/// Which command was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Submit,
    Data,
}

struct Conn<L> {
    link: L,
    serial: u32,
    /// The n-th connection of this site.
    ordinal: u64,
    bound: Option<Bound>,
    limiter: Option<Limiter>,
    /// Submits without an answer.
    unanswered: u32,
    /// The most there ever were.
    unanswered_most: u32,
    /// Reasons not to read: bits of PAUSED_*.
    paused: u8,
    frozen: bool,
    /// When it was frozen, unless it went on since.
    frozen_at: Option<Instant>,
    /// It was told to end; nothing more is sent on it.
    ending: bool,
    /// It was told to unbind: answers still go, deliver_sm no more.
    unbinding: bool,
    /// A deliver_sm could not be sent: none is until the next tick.
    blocked: bool,
    /// Answers kept back by a fault.
    held: VecDeque<Answer>,
    /// Answers given lately, oldest first: those the peer may lose when the connection breaks.
    recent: VecDeque<Recent>,
    /// Receipts for this bind only.
    queue: VecDeque<u32>,
    /// deliver_sm without an answer.
    in_flight: u32,
    /// When its last answer is due, nanoseconds.
    last_due_ns: u64,
}

#[derive(Clone, Copy)]
struct Bound {
    account: u32,
    kind: BindKind,
}

#[derive(Clone, Copy)]
struct Recent {
    at: Instant,
    id: u64,
    key: MessageKey,
}

struct Account {
    binds: u32,
    /// Slots of the binds that may receive, in the order they came.
    receivers: Vec<u32>,
    turn: usize,
    limiter: Option<Limiter>,
    queue: VecDeque<u32>,
}

/// What the wheel holds.
#[derive(Clone, Copy, Debug)]
enum Due {
    Answer(Answer),
    Deliver(u32),
    Resume(ConnRef),
}

/// A submit while it is judged.
struct Submit {
    from: ConnRef,
    ordinal: u64,
    account: u32,
    asked: Asked,
    sequence: u32,
    key: MessageKey,
    /// The key was in the text.
    is_keyed: bool,
    attempt: u32,
}

/// The window is full.
const PAUSED_WINDOW: u8 = 1;
/// The rate is exceeded.
const PAUSED_RATE: u8 = 2;

impl<L: Copy> Site<L> {
    /// A site without connections. `unix_now_ns` is the wall clock at `now`.
    pub(crate) fn new(options: SiteOptions, now: Instant, unix_now_ns: u64) -> Site<L> {
        let rate = options.behaviour.rate;
        let limiter = |scope| (rate.limit > 0.0 && rate.scope == scope).then(|| Limiter::new(&rate));
        let account = |_| Account {
            binds: 0,
            receivers: Vec::new(),
            turn: 0,
            limiter: limiter(Scope::Account),
            queue: VecDeque::new(),
        };
        let name = &options.name;
        let faults =
            options.faults.iter().filter(|fault| fault.site.as_ref().is_none_or(|site| site == name));
        Site {
            decider: Decider::new(options.seed, name),
            unix_origin_ns: unix_now_ns.saturating_sub(now.as_nanos()),
            start: None,
            conns: Slab::new(),
            conn_serial: 0,
            accounts: options.accounts.iter().map(account).collect(),
            limiter: limiter(Scope::Site),
            attempts: Attempts::new(),
            next_id: match options.behaviour.ids.start {
                IdStart::Clock => unix_now_ns / 1_000,
                IdStart::Number(number) => number,
            },
            pending: Slab::new(),
            held_back: options.behaviour.receipts.hold,
            wheel: Wheel::new(now.as_nanos()),
            due: Vec::new(),
            faults: Faults::default(),
            timeline: Timeline::new(faults.cloned()),
            mo_sequence: 0,
            counters: Counters::default(),
            actions: VecDeque::new(),
            records: Vec::new(),
            options,
        }
    }

    /// The timeline begins, if it has not.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.start.get_or_insert(now);
    }

    /// A connection was accepted.
    pub(crate) fn connected(&mut self, link: L) -> ConnRef {
        let ordinal = self.counters.connections;
        self.counters.connections += 1;
        self.conn_serial = self.conn_serial.wrapping_add(1);
        let serial = self.conn_serial;
        let rate = &self.options.behaviour.rate;
        let limiter = (rate.limit > 0.0 && rate.scope == Scope::Bind).then(|| Limiter::new(rate));
        let slot = self.conns.insert(Conn {
            link,
            serial,
            ordinal,
            bound: None,
            limiter,
            unanswered: 0,
            unanswered_most: 0,
            paused: 0,
            frozen: false,
            frozen_at: None,
            ending: false,
            unbinding: false,
            blocked: false,
            held: VecDeque::new(),
            recent: VecDeque::new(),
            queue: VecDeque::new(),
            in_flight: 0,
            last_due_ns: 0,
        });
        self.strike_newcomer(slot);
        ConnRef { slot: slot as u32, serial }
    }

    /// A connection wants to bind.
    pub(crate) fn bind_requested(
        &mut self,
        now: Instant,
        from: ConnRef,
        kind: BindKind,
        bind: &Bind<'_>,
        sequence: u32,
    ) {
        let Some(conn) = self.conn(from) else { return };
        let (link, ordinal) = (conn.link, conn.ordinal);
        match self.judge_bind(ordinal, kind, bind) {
            Ok(account) => {
                self.counters.binds += 1;
                self.conns[from.slot as usize].bound = Some(Bound { account: account as u32, kind });
                let account = &mut self.accounts[account];
                account.binds += 1;
                if kind.may_receive() {
                    account.receivers.push(from.slot);
                }
                let standing = self.accounts.iter().map(|account| u64::from(account.binds)).sum();
                self.counters.binds_most = self.counters.binds_most.max(standing);
                self.record_bind(now, from);
                self.actions.push_back(Action::AcceptBind { link, sequence });
            }
            Err(status) => {
                self.counters.binds_refused.add(status.0);
                self.actions.push_back(Action::RefuseBind { link, sequence, status });
            }
        }
    }

    /// A submit_sm, or a data_sm seen as one.
    pub(crate) fn submitted(
        &mut self,
        now: Instant,
        from: ConnRef,
        asked: Asked,
        sequence: u32,
        view: &SubmitSm<'_>,
    ) {
        let Some(conn) = self.conn(from) else { return };
        let ordinal = conn.ordinal;
        let Some(Bound { account, .. }) = conn.bound else { return };
        self.begin(now);
        self.counters.submits += 1;
        let (key, is_keyed) = self.key_of(view);
        let attempt = self.attempts.count(&key);
        let submit = Submit { from, ordinal, account, asked, sequence, key, is_keyed, attempt };
        if self.request_is_lost(&submit) {
            self.counters.lost_requests += 1;
        } else {
            let conn = &mut self.conns[from.slot as usize];
            conn.unanswered += 1;
            conn.unanswered_most = conn.unanswered_most.max(conn.unanswered);
            match self.judge(now, &submit, view) {
                Ok(earliest_ns) => self.accept(now, &submit, view, earliest_ns),
                Err(status) => self.refuse(now, &submit, status),
            }
            self.keep_window(from);
        }
        if self.timeline.is_due_at(self.counters.submits) {
            self.advance_timeline(now);
        }
    }

    /// A connection is gone. `written` and `unsent` are the items of deliver_sm that were not answered.
    pub(crate) fn closed(
        &mut self,
        now: Instant,
        which: ConnRef,
        in_order: bool,
        written: &[u32],
        unsent: &[u32],
    ) {
        if self.conn(which).is_none() {
            return;
        }
        let mut conn = self.conns.remove(which.slot as usize);
        for answer in conn.held.drain(..) {
            self.lose_answer(now, answer);
        }
        if !in_order {
            self.doubt_recent(now, &conn);
        }
        self.record_end(now, &conn, in_order);
        if let Some(Bound { account, .. }) = conn.bound {
            let account = &mut self.accounts[account as usize];
            account.binds -= 1;
            account.receivers.retain(|slot| *slot != which.slot);
        }
        self.take_back(conn.bound, &conn.queue, written, unsent);
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.advance_timeline(now);
        let mut due = std::mem::take(&mut self.due);
        self.wheel.take_due(now.as_nanos(), &mut due);
        for entry in due.drain(..) {
            match entry {
                Due::Answer(answer) => self.give(now, answer),
                Due::Deliver(item) => self.ready(now, item),
                Due::Resume(which) => self.pause(which, PAUSED_RATE, false),
            }
        }
        self.due = due;
        self.make_mo(now);
        self.pump_all();
    }

    /// What is to be done next.
    pub(crate) fn poll(&mut self) -> Option<Action<L>> {
        self.actions.pop_front()
    }

    /// What happened since it was last asked, for the ledger.
    pub(crate) fn records(&mut self) -> &mut Vec<Record> {
        &mut self.records
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn behaviour(&self) -> &Behaviour {
        &self.options.behaviour
    }

    pub(crate) fn name(&self) -> &str {
        &self.options.name
    }

    pub(crate) fn started_at(&self) -> Option<Instant> {
        self.start
    }

    /// Text of the message id in an answer; empty with an error.
    pub(crate) fn id_text(&self, answer: &Answer) -> Option<IdText> {
        let ids = &self.options.behaviour.ids;
        answer.status.is_ok().then(|| IdText::new(answer.id, ids.format, ids.width, self.options.seed))
    }

    /// Receipts and MO that wait or are unanswered.
    pub(crate) fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// Bound connections: account, kind, unanswered submits, unanswered deliver_sm.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = (L, &str, BindKind, u32, u32)> + '_ {
        self.conns.iter().filter_map(|(_, conn)| {
            let bound = conn.bound?;
            let system_id = self.options.accounts[bound.account as usize].system_id.as_str();
            Some((conn.link, system_id, bound.kind, conn.unanswered, conn.in_flight))
        })
    }

    fn conn(&self, which: ConnRef) -> Option<&Conn<L>> {
        self.conns.get(which.slot as usize).filter(|conn| conn.serial == which.serial)
    }

    fn conn_mut(&mut self, which: ConnRef) -> Option<&mut Conn<L>> {
        self.conns.get_mut(which.slot as usize).filter(|conn| conn.serial == which.serial)
    }

    fn judge_bind(&self, ordinal: u64, kind: BindKind, bind: &Bind<'_>) -> Result<usize, CommandStatus> {
        if self.faults.unbind.as_ref().is_some_and(|fault| fault.covers(ordinal)) {
            return Err(CommandStatus::ESME_RBINDFAIL);
        }
        let index = account::authenticate(&self.options.accounts, kind, bind)?;
        let rule = &self.options.accounts[index];
        if self.accounts[index].binds >= rule.binds_max {
            return Err(CommandStatus(rule.over_bind));
        }
        Ok(index)
    }

    /// The key in the text, or one made of the message itself: a foreign client's message has a fate as well.
    fn key_of(&mut self, view: &SubmitSm<'_>) -> (MessageKey, bool) {
        let payload = view.payload();
        if let Some(key) = MessageKey::find(payload, view.esm_class.0, view.data_coding.0) {
            return (key, true);
        }
        self.counters.unkeyed += 1;
        let hash = id_hash(payload) ^ id_hash(view.destination.digits);
        (MessageKey { run: 0, account: (hash >> 32) as u16, sequence: hash as u32, segment: 0 }, false)
    }

    fn request_is_lost(&self, submit: &Submit) -> bool {
        self.faults.lose_request.as_ref().is_some_and(|fault| {
            fault.covers(submit.ordinal) && fault.rule.strikes(&self.decider, &submit.key, submit.attempt)
        })
    }

    /// Whether the submit is taken, and before which time (of the wall clock) it is not answered.
    fn judge(&mut self, now: Instant, submit: &Submit, view: &SubmitSm<'_>) -> Result<u64, CommandStatus> {
        let unix_ns = self.unix_ns(now);
        let window = self.options.behaviour.window;
        if self.conns[submit.from.slot as usize].unanswered > window.max
            && let OnFullWindow::Status(status) = window.on_exceed
        {
            return Err(CommandStatus(status));
        }
        let earliest_ns = self.pace(now, unix_ns, submit)?;
        if let Some(fault) = self.faults.throttle.as_mut().filter(|fault| fault.covers(submit.ordinal))
            && let Some(status) = fault.rule.strike(unix_ns)
        {
            return Err(CommandStatus(status));
        }
        if let Some(fault) = self.faults.errors.as_ref().filter(|fault| fault.covers(submit.ordinal))
            && let Some(status) = fault.rule.strike(&self.decider, &submit.key, submit.attempt)
        {
            return Err(CommandStatus(status));
        }
        if view.destination.digits.is_empty() {
            return Err(CommandStatus::ESME_RINVDSTADR);
        }
        if self.pending.len() >= self.options.behaviour.receipts.pending_max {
            self.counters.queue_full += 1;
            return Err(CommandStatus::ESME_RMSGQFUL);
        }
        Ok(earliest_ns)
    }

    /// Holds the message against the rate limit.
    fn pace(&mut self, now: Instant, unix_ns: u64, submit: &Submit) -> Result<u64, CommandStatus> {
        let rate = &self.options.behaviour.rate;
        let limiter = match rate.scope {
            Scope::Bind => &mut self.conns[submit.from.slot as usize].limiter,
            Scope::Account => &mut self.accounts[submit.account as usize].limiter,
            Scope::Site => &mut self.limiter,
        };
        let Some(limiter) = limiter else { return Ok(unix_ns) };
        match rate.on_exceed {
            OnExceed::Status(status) => match limiter.take(unix_ns) {
                Some(()) => Ok(unix_ns),
                None => Err(CommandStatus(status)),
            },
            OnExceed::Delay => Ok(limiter.reserve(unix_ns)),
            OnExceed::StopRead => {
                let due = limiter.reserve(unix_ns);
                if due > unix_ns {
                    self.pause(submit.from, PAUSED_RATE, true);
                    self.wheel.insert(now.as_nanos() + (due - unix_ns), Due::Resume(submit.from));
                }
                Ok(unix_ns)
            }
        }
    }

    fn accept(&mut self, now: Instant, submit: &Submit, view: &SubmitSm<'_>, earliest_ns: u64) {
        self.counters.accepted += 1;
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        let ids = self.options.behaviour.ids;
        let text = IdText::new(id, ids.format, ids.width, self.options.seed);
        let id_hash = id_hash(text.as_bytes());
        let answer = self.answer_to(submit, CommandStatus::ESME_ROK, id);
        let lost = self.faults.lose_response.as_ref().is_some_and(|fault| {
            fault.covers(submit.ordinal) && fault.rule.strikes(&self.decider, &submit.key, submit.attempt)
        });
        let receipt = self.receipt_for(now, submit, view, id, id_hash);
        self.record_acceptance(now, submit, view, id_hash, receipt.is_some());
        let early = receipt.is_some() && {
            let p = self.options.behaviour.receipts.before_response_p;
            p > 0.0 && self.decider.misfortune(&submit.key, Purpose::EarlyReceipt, submit.attempt).hits(p)
        };
        if early && let Some((item, _)) = receipt {
            self.ready(now, item);
        }
        let mut due_ns = self.answer_due(now, submit, earliest_ns);
        if early {
            due_ns = due_ns.max(now.as_nanos() + EARLY_BY.as_nanos() as u64);
        }
        if lost {
            self.lose_answer(now, answer);
            self.release_window(submit.from);
        } else {
            self.give_at(now, due_ns, answer);
        }
        if let Some((item, delay)) = receipt.filter(|_| !early) {
            self.ready_at(now, due_ns.saturating_add(delay.as_nanos() as u64), item);
        }
    }

    fn refuse(&mut self, now: Instant, submit: &Submit, status: CommandStatus) {
        self.counters.refused.add(status.0);
        self.record_refusal(now, submit, status);
        let due_ns = self.answer_due(now, submit, 0);
        let answer = self.answer_to(submit, status, 0);
        self.give_at(now, due_ns, answer);
    }

    fn answer_to(&self, submit: &Submit, status: CommandStatus, id: u64) -> Answer {
        let Submit { from, asked, sequence, key, .. } = *submit;
        Answer { to: from, asked, sequence, status, id, key }
    }

    /// When the answer is due, in nanoseconds of [`Instant`]; not after now means in this turn.
    fn answer_due(&mut self, now: Instant, submit: &Submit, earliest_unix_ns: u64) -> u64 {
        let rule = self.options.behaviour.response;
        let mut latency = if rule.latency.is_none() {
            Duration::ZERO
        } else {
            rule.latency.sample(self.decider.misfortune(&submit.key, Purpose::Latency, submit.attempt))
        };
        if let Some(fault) = self.faults.latency.as_ref().filter(|fault| fault.covers(submit.ordinal)) {
            latency = fault.rule.stretch(latency);
        }
        let mut due_ns = now.as_nanos() + latency.as_nanos() as u64;
        due_ns = due_ns.max(earliest_unix_ns.saturating_sub(self.unix_origin_ns));
        if rule.in_order {
            let conn = &mut self.conns[submit.from.slot as usize];
            due_ns = due_ns.max(conn.last_due_ns);
            conn.last_due_ns = due_ns;
        }
        due_ns
    }
}

/// A receipt that comes before its answer comes by so much earlier: enough to be another read of the peer.
const EARLY_BY: Duration = Duration::from_millis(5);
