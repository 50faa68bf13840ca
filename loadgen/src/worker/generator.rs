//! What a worker holds, and how a message leaves.

use std::collections::{HashMap, VecDeque};
use std::iter::Peekable;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use ledger::{Kind, MessageKey};
use link::{LinkId, Links};
use runtime::Stop;

use super::binds::Slots;
use super::book::link_number;
use super::receipts::ReceiptBook;
use super::stage::Stage;
use super::{Book, Brief, StartLine};
use crate::corpus::{Corpus, addresses_of};
use crate::measure::{Interval, Measure};
use crate::pace::Pace;
use crate::scenario::{Account, Model, Scenario};

/// What is remembered with each submit_sm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    /// When it was due, nanoseconds from the begin.
    pub(crate) due: u64,
    pub(crate) sequence: u32,
    pub(crate) account: u16,
    pub(crate) segment: u8,
    pub(crate) phase: u8,
}

const _: () = assert!(size_of::<Token>() == 16);

/// All state of one worker. Everything runs on its thread.
pub(crate) struct Generator {
    pub(crate) scenario: Arc<Scenario>,
    pub(super) worker: usize,
    pub(super) start_line: Arc<StartLine>,
    pub(super) stop: Stop,
    pub(super) intervals: SyncSender<Interval>,
    pub(super) corpus: Corpus,
    pub(super) pace: Peekable<Pace>,
    pub(super) parties: Vec<Party>,
    pub(super) slots: Slots,
    pub(super) receipts: ReceiptBook,
    /// Which account a MO's destination belongs to.
    pub(super) numbers: HashMap<Vec<u8>, u16>,
    pub(super) measure: Measure,
    pub(super) interval: Interval,
    pub(super) book: Book,
    pub(super) stage: Stage,
    /// Monotonic nanoseconds of the first due message; zero before.
    pub(super) begin: u64,
    /// submit_sm without an answer.
    pub(super) in_flight: u64,
    /// Messages in all queues.
    pub(super) queued: usize,
    /// Monotonic nanoseconds of the last answer or receipt.
    pub(super) heard_at: u64,
    pub(super) failure: Option<String>,
    /// The last reason why a bind did not come about, told when time runs out.
    pub(super) last_trouble: Option<String>,
    pub(super) interrupted: bool,
    /// Nanoseconds the drain lasted, once it is over.
    pub(super) elapsed_drain: Option<u64>,
    pdu: Vec<u8>,
}

/// What is under way for one account.
pub(crate) struct Party {
    next_sequence: u32,
    /// Due messages that wait for a free window.
    pub(super) queue: VecDeque<Token>,
    /// Bound sessions that may submit.
    pub(super) senders: Vec<LinkId>,
    /// Which of them is next.
    cursor: usize,
    /// deliver_sm to be answered, with the time: monotonic nanoseconds.
    pub(super) acks: VecDeque<(u64, LinkId, u32)>,
    pub(super) ack_delay: u64,
    pub(super) expects_receipts: bool,
}

impl Party {
    fn new(account: &Account) -> Party {
        Party {
            next_sequence: 0,
            queue: VecDeque::new(),
            senders: Vec::new(),
            cursor: 0,
            acks: VecDeque::new(),
            ack_delay: account.receipts.ack_delay.as_nanos() as u64,
            expects_receipts: account.receipts.expect,
        }
    }

    /// A session with a free window, in turn.
    fn pick<T: Copy>(&mut self, links: &Links<T>) -> Option<LinkId> {
        for _ in 0..self.senders.len() {
            self.cursor += 1;
            if self.cursor >= self.senders.len() {
                self.cursor = 0;
            }
            let link = self.senders[self.cursor];
            if links.window_free(link) > 0 {
                return Some(link);
            }
        }
        None
    }
}

impl Generator {
    pub(crate) fn new(brief: Brief) -> Generator {
        let scenario = brief.scenario;
        let numbers = scenario.accounts.iter().enumerate().flat_map(|(index, account)| {
            account.numbers.iter().map(move |number| (number.clone().into_bytes(), index as u16))
        });
        Generator {
            worker: brief.worker,
            start_line: brief.start_line,
            stop: brief.stop,
            intervals: brief.intervals,
            corpus: Corpus::new(&scenario),
            pace: Pace::new(&scenario.phases, scenario.load.arrivals, scenario.seed).peekable(),
            parties: scenario.accounts.iter().map(Party::new).collect(),
            slots: Slots::new(&scenario, brief.worker),
            receipts: ReceiptBook::default(),
            numbers: numbers.collect(),
            measure: Measure::new(scenario.phases.len()),
            interval: Interval::default(),
            book: Book::new(brief.ledger),
            stage: Stage::starting(runtime::monotonic_nanos(), &scenario),
            begin: 0,
            in_flight: 0,
            queued: 0,
            heard_at: 0,
            failure: None,
            last_trouble: None,
            interrupted: false,
            elapsed_drain: None,
            pdu: Vec::with_capacity(512),
            scenario,
        }
    }

    /// Queues the parts of an account's next message and sends what its windows allow.
    pub(super) fn next_message(&mut self, links: &mut Links<Token>, account: u16, due: u64, phase: u8) {
        let party = &mut self.parties[usize::from(account)];
        let sequence = party.next_sequence;
        party.next_sequence += 1;
        let segments = self.corpus.plan(account, sequence).segments;
        self.measure.phases[usize::from(phase)].due += u64::from(segments);
        self.interval.due += u64::from(segments);
        if self.queued + usize::from(segments) > self.scenario.load.queue_max {
            self.measure.dropped += u64::from(segments);
            return;
        }
        let had_room = party.queue.is_empty();
        for segment in 0..segments {
            party.queue.push_back(Token { due, sequence, account, segment, phase });
        }
        self.queued += usize::from(segments);
        self.send_queued(links, account);
        if had_room && self.parties[usize::from(account)].queue.is_empty() {
            self.measure.lag.record(self.offset(links).saturating_sub(due));
        }
        self.measure.queue_peak = self.measure.queue_peak.max(self.queued as u64);
    }

    /// Sends as much of an account's queue as its windows allow.
    pub(super) fn send_queued(&mut self, links: &mut Links<Token>, account: u16) {
        while let Some(&token) = self.parties[usize::from(account)].queue.front() {
            let Some(link) = self.parties[usize::from(account)].pick(links) else { return };
            if !self.send(links, link, token) {
                return;
            }
            self.parties[usize::from(account)].queue.pop_front();
            self.queued -= 1;
        }
    }

    /// Closed mode: keeps an account's windows full.
    pub(super) fn saturate(&mut self, links: &mut Links<Token>, account: u16, phase: u8) {
        let due = self.offset(links);
        self.send_queued(links, account);
        while self.parties[usize::from(account)].queue.is_empty()
            && self.parties[usize::from(account)].pick(links).is_some()
        {
            self.next_message(links, account, due, phase);
        }
    }

    /// After an answer: its window slot goes to the next message.
    pub(super) fn refill(&mut self, links: &mut Links<Token>, account: u16) {
        match (self.scenario.load.model, self.stage.sending_phase()) {
            (Model::Closed, Some(phase)) => self.saturate(links, account, phase),
            _ => self.send_queued(links, account),
        }
    }

    fn send(&mut self, links: &mut Links<Token>, link: LinkId, token: Token) -> bool {
        let plan = self.corpus.plan(token.account, token.sequence);
        let fingerprint = self.corpus.compose(&plan, token.segment, &mut self.pdu);
        let Ok(number) = links.request_frame(link, &self.pdu, token) else {
            return false; // the session is full or ending; the message keeps its place
        };
        self.measure.phases[usize::from(token.phase)].sent += 1;
        self.interval.sent += 1;
        self.in_flight += 1;
        let key = MessageKey { segment: token.segment, ..plan.key };
        let now = links.now().as_nanos();
        let (pdu, receipt) = (&self.pdu, self.corpus.registered_delivery(token.account));
        self.book.write(Kind::Sent, token.account, key, now, |record| {
            (record.fingerprint, record.state, record.detail) = (fingerprint, receipt, plan.mix());
            (record.link, record.number, record.extra) = (link_number(link), number, addresses_of(pdu));
        });
        true
    }

    /// Nanoseconds from the begin.
    pub(super) fn offset<T: Copy>(&self, links: &Links<T>) -> u64 {
        links.now().as_nanos().saturating_sub(self.begin)
    }

    pub(super) fn key(&self, token: Token) -> MessageKey {
        MessageKey {
            run: self.scenario.run,
            account: token.account,
            sequence: token.sequence,
            segment: token.segment,
        }
    }
}
