//! Records on their way to the thread that keeps them, and customers' questions about messages (query_sm), which that
//! thread answers from what it remembers.

use crate::app::{Peer, ShardApp, Token, link_of};
use crate::backlog::Outgoing;
use crate::ingress::answer_unsupported;
use crate::report::RecordTally;
use link::{LinkId, Links};
use relay::{AccountId, Arrival, Number, Record};
use runtime::{Receiver, Sender};
use smpp::field::time::{AbsoluteTime, Time};
use smpp::field::{CommandId, CommandStatus, MessageState};
use smpp::pdu::{Pdu, QuerySm, QuerySmResp};
use smpp::text::message_id::GatewayId;
use smpp::time::Instant;
use smpp::wire::Frame;
use std::collections::VecDeque;
use std::time::Duration;

/// Words that a shard's mailbox to the thread of records holds; about 400 octets each.
pub const RECORD_MAILBOX: usize = 8_192;
/// Records that may wait on a shard for room in the mailbox before the policy applies: with the mailbox as many as a
/// shard makes in half a second, which outlasts a busy core. About 400 octets each.
pub const WAITING_RECORDS_MAX: usize = 65_536;
/// Questions of customers that may be unanswered on one shard; the next one is refused. About 60 octets each.
const QUERIES_MAX: usize = 1_024;
/// How long a question may take.
const QUERY_MAX: Duration = Duration::from_secs(1);

/// One word to the thread of records.
#[derive(Clone, Copy, Debug)]
pub enum RecordWord {
    /// Keep this.
    Keep(Record),
    /// What became of this message?
    Query(Query),
}

/// A customer asks for one of its messages.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    /// To be given back.
    pub ticket: u64,
    /// Who asks: a message of another account is not known.
    pub account: AccountId,
    /// Which message.
    pub gateway_id: GatewayId,
    /// The source that it was submitted with, where the customer named one.
    pub source: Option<Number>,
}

/// The answer to a [`Query`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryAnswer {
    /// As asked.
    pub ticket: u64,
    /// What is known; nothing when there is no such message of this customer.
    pub found: Option<QueriedState>,
}

/// What is known of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueriedState {
    /// Its state.
    pub state: MessageState,
    /// When that became final, time since 1970 UTC; none while it is not.
    pub final_at: Option<Duration>,
    /// The network's error code, cut to an octet; 0 for none.
    pub error_code: u8,
}

/// What to do with what would leave a record when there is no room for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Refuse it, until there is room.
    Refuse,
    /// Go on without the record, and count it.
    Drop,
}

/// One shard's ends of the lines to the thread of records.
pub struct RecordPort {
    /// Records and questions, in order.
    pub words: Sender<RecordWord>,
    /// Answers to questions.
    pub answers: Receiver<QueryAnswer>,
    /// What to do when there is no room.
    pub when_full: WhenFull,
}

/// The shard's end of a [`RecordPort`], with what waits.
pub(crate) struct RecordLine {
    outgoing: Outgoing<RecordWord>,
    when_full: WhenFull,
    dropped: u64,
    /// Oldest first: all have the same time.
    queries: VecDeque<OpenQuery>,
    last_ticket: u64,
    answered: u64,
    failed: u64,
    /// Wall time since 1970 UTC at a moment, looked up once a tick.
    wall: (Instant, Duration),
}

/// A customer waits for this.
struct OpenQuery {
    ticket: u64,
    link: LinkId,
    sequence: u32,
    gateway_id: GatewayId,
    deadline: Instant,
}

impl RecordLine {
    pub(crate) fn new(port: RecordPort) -> (RecordLine, Receiver<QueryAnswer>) {
        let line = RecordLine {
            outgoing: Outgoing::new(port.words),
            when_full: port.when_full,
            dropped: 0,
            queries: VecDeque::new(),
            last_ticket: 0,
            answered: 0,
            failed: 0,
            wall: (Instant::default(), Duration::ZERO),
        };
        (line, port.answers)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.outgoing.waiting()
    }

    pub(crate) fn tally(&self) -> RecordTally {
        RecordTally {
            waiting: self.outgoing.waiting() as u64,
            dropped: self.dropped,
            queries_answered: self.answered,
            queries_failed: self.failed,
        }
    }

    /// Whether nothing may be done that would leave a record.
    fn refuses(&self) -> bool {
        self.when_full == WhenFull::Refuse && self.has_no_room()
    }

    fn has_no_room(&self) -> bool {
        self.outgoing.waiting() >= WAITING_RECORDS_MAX || self.outgoing.is_stuck()
    }

    /// Under `Refuse` every record is kept: they come from what was open already, which has its own bound.
    fn keep(&mut self, record: Record) {
        if self.when_full == WhenFull::Drop && self.has_no_room() {
            self.dropped += 1;
        } else {
            self.outgoing.keep(RecordWord::Keep(record));
        }
    }

    /// Nobody will send what still waits: it is counted, and said.
    pub(crate) fn give_up(&mut self) {
        let lost = self.outgoing.forget() as u64;
        self.dropped += lost;
        if lost > 0 {
            tracing::error!(lost, "records found no room before the end");
        }
    }

    fn wall_at(&mut self, now: Instant) -> Duration {
        let (since, wall) = self.wall;
        if wall.is_zero() {
            self.look_at_clock(now);
            return self.wall.1;
        }
        wall + now.saturating_since(since)
    }

    fn look_at_clock(&mut self, now: Instant) {
        // A clock before 1970 is a broken clock; records then count from 1970.
        self.wall = (now, std::time::UNIX_EPOCH.elapsed().unwrap_or_default());
    }
}

impl ShardApp {
    /// Takes the records of this turn; called when the relay has nothing else to say.
    pub(crate) fn take_records(&mut self, links: &mut Links<Token>) {
        let Some(line) = &mut self.records else { return };
        let now = links.now();
        let wall = line.wall_at(now);
        let mut has_some = false;
        while let Some(record) = self.relay.poll_record(now, wall) {
            line.keep(record);
            has_some = true;
        }
        if has_some {
            self.relay.set_records_full(line.refuses());
            links.schedule_flush();
        }
    }

    /// Wakes the thread of records, and finds out whether there is room again.
    pub(crate) fn flush_records(&mut self) {
        if let Some(line) = &mut self.records {
            line.outgoing.flush();
            self.relay.set_records_full(line.refuses());
        }
    }

    /// At the end: sends what there is room for; whether some still wait.
    pub(crate) fn records_wait(&mut self) -> bool {
        self.flush_records();
        self.records.as_ref().is_some_and(|line| line.waiting() > 0)
    }

    /// The end: whatever still waits is lost.
    pub(crate) fn give_up_records(&mut self) {
        self.flush_records();
        if let Some(line) = &mut self.records {
            line.give_up();
        }
    }

    /// A customer asks what became of a message (SMPP 3.4 §4.8).
    pub(crate) fn on_query(
        &mut self,
        links: &mut Links<Token>,
        arrival: Arrival,
        frame: Frame<'_>,
        query: &QuerySm<'_>,
    ) {
        let link = link_of(arrival.link);
        let account = match self.peer(link) {
            Some(Peer::Customer(peer)) if peer.bound => Some(peer.account),
            _ => None,
        };
        let (Some(line), Some(account)) = (&mut self.records, account) else {
            return answer_unsupported(links, arrival, frame);
        };
        let asked = GatewayId::parse(query.message_id).filter(|_| line.queries.len() < QUERIES_MAX);
        let Some(gateway_id) = asked else {
            line.failed += 1;
            return answer_unsupported(links, arrival, frame);
        };
        line.last_ticket += 1;
        let ticket = line.last_ticket;
        let source = (!query.source.digits.is_empty()).then(|| Number::new(&query.source));
        let word = RecordWord::Query(Query { ticket, account, gateway_id, source });
        if line.outgoing.offer(word).is_err() {
            line.failed += 1;
            return answer_unsupported(links, arrival, frame);
        }
        let deadline = arrival.now + QUERY_MAX;
        let sequence = frame.sequence_number();
        line.queries.push_back(OpenQuery { ticket, link, sequence, gateway_id, deadline });
        links.schedule_flush();
    }

    pub(crate) fn on_query_answer(&mut self, links: &mut Links<Token>, answer: QueryAnswer) {
        let Some(line) = &mut self.records else { return };
        // One that was given up meanwhile has its answer.
        let Some(place) = line.queries.iter().position(|query| query.ticket == answer.ticket) else { return };
        let Some(query) = line.queries.remove(place) else { return };
        match answer.found {
            Some(state) => {
                line.answered += 1;
                answer_query(links, &query, state);
            }
            None => {
                line.failed += 1;
                fail_query(links, &query);
            }
        }
    }

    /// What the tick does for records: the clock, and questions that took too long.
    pub(crate) fn look_after_records(&mut self, links: &mut Links<Token>) {
        let now = links.now();
        let Some(line) = &mut self.records else { return };
        line.look_at_clock(now);
        while let Some(query) = line.queries.pop_front_if(|query| query.deadline <= now) {
            line.failed += 1;
            fail_query(links, &query);
        }
    }
}

fn answer_query(links: &mut Links<Token>, query: &OpenQuery, found: QueriedState) {
    let date = found.final_at.and_then(|at| AbsoluteTime::from_unix_seconds(at.as_secs() as i64));
    let date = date.map(|date| Time::Absolute(date).write());
    let text = query.gateway_id.text();
    let pdu = Pdu::QuerySmResp(QuerySmResp {
        message_id: &text,
        final_date: date.as_ref().map_or(&[], |date| &date[..]),
        message_state: found.state.as_u8(),
        error_code: found.error_code,
    });
    // A customer whose link is gone does not wait any more.
    let _ = links.respond(query.link, query.sequence, CommandStatus::ESME_ROK, &pdu);
}

fn fail_query(links: &mut Links<Token>, query: &OpenQuery) {
    let status = CommandStatus::ESME_RQUERYFAIL;
    // As above.
    let _ = links.respond_empty(query.link, CommandId::QUERY_SM_RESP, query.sequence, status);
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay::{RecordKind, ShardIndex, SubmitRecord};
    use runtime::mailbox;

    fn record() -> Record {
        let kind = RecordKind::Submit(SubmitRecord::default());
        Record { node: 1, shard: ShardIndex(0), number: 1, at: Duration::ZERO, kind }
    }

    fn line(when_full: WhenFull) -> (RecordLine, Receiver<RecordWord>, Sender<QueryAnswer>) {
        let (words, words_out) = mailbox(16);
        let (answers_in, answers) = mailbox(16);
        let (line, _) = RecordLine::new(RecordPort { words, answers, when_full });
        (line, words_out, answers_in)
    }

    #[test]
    fn the_policy_applies_when_the_room_is_used_up_and_not_before() {
        for (when_full, refuses, dropped) in [(WhenFull::Refuse, true, 0), (WhenFull::Drop, false, 5)] {
            let (mut line, mut words, _answers) = line(when_full);
            for _ in 0..16 + WAITING_RECORDS_MAX {
                assert!(!line.refuses());
                line.keep(record());
            }
            for _ in 0..5 {
                line.keep(record());
            }
            assert_eq!((line.refuses(), line.tally().dropped), (refuses, dropped));
            let kept = 16 + WAITING_RECORDS_MAX + 5 - dropped as usize;
            let mut got = Vec::new();
            while words.try_receive(&mut got, 16) > 0 {
                line.outgoing.flush();
            }
            assert_eq!(got.len(), kept);
            assert!(!line.refuses(), "there is room again");
        }
    }

    #[test]
    fn what_found_no_room_before_the_end_is_counted() {
        let (mut line, _words, _answers) = line(WhenFull::Refuse);
        for _ in 0..20 {
            line.keep(record());
        }
        line.give_up();
        assert_eq!((line.tally().waiting, line.tally().dropped), (0, 4));
    }

    #[test]
    fn without_a_reader_nothing_is_taken_under_refuse() {
        let (line, words, _answers) = line(WhenFull::Refuse);
        drop(words);
        assert!(line.refuses());
    }
}
