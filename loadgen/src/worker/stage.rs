//! The stages of a run: binding, sending, draining, leaving.

use std::time::Duration;

use link::Links;

use super::generator::{Generator, Token};
use super::link_app::acknowledge;
use super::{Finished, Next, Turn};
use crate::measure::rotate;
use crate::scenario::{Drain, Model, Scenario};

/// Where in a run a worker is. Times are monotonic nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage {
    /// Until all sessions are bound, at the latest at `until`; `ready` when ours are.
    Starting { until: u64, ready: bool },
    /// In this phase; in closed mode it is the one whose windows are kept full.
    Sending { phase: u8 },
    /// Nothing more becomes due; `complete` since everything came that was waited for.
    Draining { since: u64, complete: Option<u64> },
    /// Sessions are being unbound.
    Leaving,
}

impl Stage {
    pub(super) fn starting(now: u64, scenario: &Scenario) -> Stage {
        let patience = scenario.target.connect_timeout + scenario.target.bind_timeout;
        Stage::Starting { until: now + patience.as_nanos() as u64, ready: false }
    }

    fn draining(since: u64) -> Stage {
        Stage::Draining { since, complete: None }
    }

    pub(super) fn is_starting(self) -> bool {
        matches!(self, Stage::Starting { .. })
    }

    pub(super) fn is_leaving(self) -> bool {
        matches!(self, Stage::Leaving)
    }

    pub(super) fn sending_phase(self) -> Option<u8> {
        match self {
            Stage::Sending { phase } => Some(phase),
            _ => None,
        }
    }
}

impl Generator {
    /// Does what is due and tells what is next.
    pub(super) fn turn(&mut self, links: &mut Links<Token>) -> Turn {
        let now = links.now().as_nanos();
        let next = match self.stage {
            Stage::Starting { until, ready } => self.start(now, until, ready),
            Stage::Sending { .. } => self.send_due(links),
            Stage::Draining { since, complete } => self.drain(now, since, complete),
            Stage::Leaving => Next::Leave,
        };
        if !self.stage.is_starting() {
            self.keep_up(links, now);
        }
        if self.stop.is_requested() && !self.stage.is_leaving() {
            self.interrupted = true;
            return Turn { connect: Vec::new(), next: Next::Leave };
        }
        let connect = if matches!(next, Next::Leave) { Vec::new() } else { self.slots.take_due(now) };
        Turn { connect, next }
    }

    /// Unbinds all sessions.
    pub(super) fn leave(&mut self, links: &mut Links<Token>) {
        self.rotate_interval(links, true);
        self.measure.receipts_pending = self.receipts.pending();
        self.measure.receipts_unmatched = self.receipts.unmatched();
        if let Stage::Draining { since, complete } = self.stage {
            let end = complete.unwrap_or(links.now().as_nanos());
            self.elapsed_drain = Some(end.saturating_sub(since));
        }
        self.stage = Stage::Leaving;
        let ids: Vec<_> = links.ids().collect();
        for id in ids {
            links.unbind(id);
        }
    }

    /// What the run came to.
    pub(super) fn finish(&mut self) -> Finished {
        // Sessions that did not end in time still hold requests.
        let unanswered = std::mem::take(&mut self.in_flight);
        self.measure.missing += unanswered;
        let drained = Duration::from_nanos(self.elapsed_drain.unwrap_or_default());
        let book_failure = self.book.finish(runtime::monotonic_nanos());
        let elapsed = self.scenario.phases.iter().map(|phase| match phase.drain {
            Some(_) => drained,
            None => phase.duration,
        });
        Finished {
            elapsed: elapsed.collect(),
            begin_unix_ns: self.book.unix(self.begin),
            failure: self.failure.take().or(book_failure),
            interrupted: self.interrupted,
            measure: std::mem::take(&mut self.measure),
        }
    }

    fn start(&mut self, now: u64, until: u64, ready: bool) -> Next {
        if self.failure.is_some() || self.start_line.failed() {
            self.start_line.fail();
            return Next::Leave;
        }
        if self.slots.all_bound() && !ready {
            self.stage = Stage::Starting { until, ready: true };
            self.start_line.ready(now);
        }
        match self.start_line.begin() {
            Some(begin) if begin <= now => {
                self.begin = begin;
                self.heard_at = now;
                self.stage = Stage::Sending { phase: 0 };
                Next::Now
            }
            None if now > until => {
                let (bound, all) = self.slots.counts();
                let why = self.last_trouble.take().unwrap_or_else(|| "the target does not answer".into());
                self.failure = Some(format!("only {bound} of {all} sessions were bound in time: {why}"));
                self.start_line.fail();
                Next::Leave
            }
            _ => Next::Wait(STEP),
        }
    }

    fn send_due(&mut self, links: &mut Links<Token>) -> Next {
        let offset = self.offset(links);
        let over = self.scenario.duration().as_nanos() as u64;
        match self.scenario.load.model {
            Model::Open => {
                for _ in 0..BATCH_MAX {
                    let Some(due) = self.pace.next_if(|due| due.at <= offset) else { break };
                    let account = self.corpus.account(due.index);
                    if usize::from(account) % self.scenario.workers == self.worker {
                        self.next_message(links, account, due.at, due.phase);
                    }
                }
                if self.pace.peek().is_none() && offset >= over {
                    self.stage = Stage::draining(links.now().as_nanos());
                }
            }
            Model::Closed => {
                let Some(phase) = self.phase_at(offset) else {
                    self.stage = Stage::draining(links.now().as_nanos());
                    return Next::Now;
                };
                self.stage = Stage::Sending { phase };
                for account in 0..self.parties.len() as u16 {
                    if self.corpus.sends(account)
                        && usize::from(account) % self.scenario.workers == self.worker
                    {
                        self.saturate(links, account, phase);
                    }
                }
            }
        }
        match self.pace.peek() {
            Some(due) if self.scenario.load.model == Model::Open && due.at <= offset => Next::Now,
            Some(due) if self.scenario.load.model == Model::Open => {
                Next::Wait(Duration::from_nanos(due.at - offset).min(STEP))
            }
            _ => Next::Wait(STEP),
        }
    }

    /// The sending phase at this time; none when all are over.
    fn phase_at(&self, offset: u64) -> Option<u8> {
        let mut end = Duration::ZERO;
        let sending = self.scenario.phases.iter().enumerate().filter(|(_, phase)| phase.drain.is_none());
        for (index, phase) in sending {
            end += phase.duration;
            if u128::from(offset) < end.as_nanos() {
                return Some(index as u8);
            }
        }
        None
    }

    fn drain(&mut self, now: u64, since: u64, complete: Option<u64>) -> Next {
        let plan = self.scenario.phases.last().and_then(|phase| phase.drain);
        let answers_only = Drain {
            max: self.scenario.target.response_timeout + STEP * 100,
            quiet: Duration::ZERO,
            linger: Duration::ZERO,
        };
        let Drain { max, quiet, linger } = plan.unwrap_or(answers_only);
        if let Some(complete) = complete {
            let over = now.saturating_sub(complete) >= linger.as_nanos() as u64;
            return if over { Next::Leave } else { Next::Wait(STEP) };
        }
        if self.queued == 0 && self.in_flight == 0 && (plan.is_none() || self.receipts.pending() == 0) {
            self.stage = Stage::Draining { since, complete: Some(now) };
            return Next::Now;
        }
        let silent = now.saturating_sub(self.heard_at.max(since));
        let over = now.saturating_sub(since) >= max.as_nanos() as u64
            || (!quiet.is_zero() && u128::from(silent) >= quiet.as_nanos());
        if over { Next::Leave } else { Next::Wait(STEP) }
    }

    /// What every turn after the begin does: late answers, queues, the second's figures.
    fn keep_up(&mut self, links: &mut Links<Token>, now: u64) {
        for account in 0..self.parties.len() as u16 {
            let party = &mut self.parties[usize::from(account)];
            while let Some((_, link, sequence)) = party.acks.pop_front_if(|(at, _, _)| *at <= now) {
                acknowledge(links, link, sequence);
            }
            if !party.queue.is_empty() {
                self.send_queued(links, account);
            }
        }
        self.rotate_interval(links, false);
    }

    fn rotate_interval(&mut self, links: &Links<Token>, last: bool) {
        let second = self.offset(links) / 1_000_000_000;
        if self.begin == 0 || (second <= self.interval.second && !last) {
            return;
        }
        self.interval.in_flight = self.in_flight;
        self.interval.queued = self.queued as u64;
        self.interval.links = self.slots.counts().0 as u64;
        let next = second.max(self.interval.second + 1);
        let full = rotate(&mut self.interval, next);
        // The watcher takes one a second; if it is gone, so is the wish to see them.
        let _ = self.intervals.try_send(full);
        self.book.flush();
    }
}

/// A turn's length when nothing is due earlier: late answers and binds wait this long at most.
const STEP: Duration = Duration::from_millis(1);

/// Messages made in one turn before the links' bytes are looked at again; about 0.3 ms.
const BATCH_MAX: usize = 512;
