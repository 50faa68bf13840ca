//! The threads of records: one that takes them from the shards, remembers them and answers questions, and one for each
//! sink, so that a slow disk or database holds up neither the other nor the questions.

use super::file::FileSink;
use super::lane::{Lane, SinkCounters};
use super::postgres::PostgresSink;
use super::recent::{Key, Recent};
use super::{CdrOptions, Names, Sink, mask};
use relay::Record;
use runtime::{Receiver, Sender, mailbox};
use shard::{QueryAnswer, RECORD_MAILBOX, RecordPort, RecordWord, WhenFull};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Questions, SyncSender, sync_channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Records that a sink writes at once: large enough for COPY, small enough to be held twice. About 1.5 MiB.
pub(super) const BATCH_MAX: usize = 4_096;
/// Words of one shard that one turn takes.
const TURN_MAX: usize = 4_096;
/// Questions of the HTTP port that may wait; the next one is told that we are busy.
const QUESTIONS_MAX: usize = 256;
/// Longest sleep of the thread, and how often a sink looks after its files and partitions. With it no record waits
/// longer before a sink that works has it.
const LOOK_AFTER: Duration = Duration::from_millis(500);
/// How soon to look again whether a full lane has room.
const ROOM_WAIT: Duration = Duration::from_millis(5);
/// First and longest pause after a sink failed.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// How long sinks that fail may go on trying when the node ends. What is not written by then is lost, counted and said.
const END_MAX: Duration = Duration::from_secs(10);

/// A question of the HTTP port, and where its answer goes.
type Question = (Key, oneshot::Sender<Vec<Record>>);

/// Asks the thread of records.
#[derive(Clone)]
pub struct RecordsDesk {
    questions: SyncSender<Question>,
    thread: Thread,
}

impl RecordsDesk {
    /// What is remembered of the messages that fit; nothing when the thread is gone or busy.
    pub(crate) async fn find(&self, key: Key) -> Option<Vec<Record>> {
        let (answer_in, answer) = oneshot::channel();
        self.questions.try_send((key, answer_in)).ok()?;
        self.thread.unpark();
        answer.await.ok()
    }
}

/// The running threads. They end when every shard has dropped its port and all is written.
pub struct RecordsThread {
    handle: JoinHandle<()>,
    sinks: Vec<JoinHandle<()>>,
    lanes: Vec<(&'static str, Arc<Lane>)>,
    questions: SyncSender<Question>,
}

impl RecordsThread {
    /// For questions.
    pub fn desk(&self) -> RecordsDesk {
        RecordsDesk { questions: self.questions.clone(), thread: self.handle.thread().clone() }
    }

    /// What each sink did, by its label.
    pub fn counters(&self) -> Vec<(&'static str, SinkView)> {
        self.lanes.iter().map(|(label, lane)| (*label, SinkView(lane.clone()))).collect()
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// When a thread panicked, or records could not be written in time.
    pub fn join(self) -> Result<(), String> {
        self.handle.join().map_err(|_| "the thread of records panicked".to_string())?;
        for sink in self.sinks {
            sink.join().map_err(|_| "a sink of records panicked".to_string())?;
        }
        for (label, lane) in self.lanes {
            let lost = lane.counters.waiting.load(std::sync::atomic::Ordering::Relaxed);
            if lost > 0 {
                return Err(format!("{lost} records were not written by the sink {label}"));
            }
        }
        Ok(())
    }
}

/// One sink's counters, for the metrics.
#[derive(Clone, Debug)]
pub struct SinkView(Arc<Lane>);

#[cfg(test)]
impl SinkView {
    /// One in which every counter moved.
    pub(crate) fn busy() -> SinkView {
        SinkView(Arc::new(Lane::busy()))
    }
}

impl std::ops::Deref for SinkView {
    type Target = SinkCounters;

    fn deref(&self) -> &SinkCounters {
        &self.0.counters
    }
}

/// Opens the sinks and starts the threads, with one port for each shard, in the shards' order.
///
/// # Errors
/// When a directory cannot be used, the table is missing or of another version, or the system gives no thread. A database
/// that cannot be reached is no error: it may come.
pub fn start(
    options: &CdrOptions,
    names: Names,
    shards: usize,
) -> Result<(RecordsThread, Vec<RecordPort>), String> {
    let names = Arc::new(names);
    let mut sinks = Vec::new();
    if let Some(file) = &options.file {
        let sink = FileSink::open(file.clone(), names.clone());
        sinks.push(Sink::File(sink.map_err(|error| format!("{}: {error}", file.directory.display()))?));
    }
    if let Some(postgres) = &options.postgres {
        sinks.push(Sink::Postgres(Box::new(PostgresSink::open(postgres.clone(), names.clone())?)));
    }
    start_with(options, names, shards, sinks).map_err(|error| format!("no thread: {error}"))
}

/// The same with these sinks.
pub(super) fn start_with(
    options: &CdrOptions,
    names: Arc<Names>,
    shards: usize,
    sinks: Vec<Sink>,
) -> io::Result<(RecordsThread, Vec<RecordPort>)> {
    let mut ports = Vec::with_capacity(shards);
    let mut desks = Vec::with_capacity(shards);
    for _ in 0..shards {
        let (words, words_out) = mailbox(RECORD_MAILBOX);
        let (answers_in, answers) = mailbox(RECORD_MAILBOX);
        ports.push(RecordPort { words, answers, when_full: options.when_full });
        desks.push(Desk { words: words_out, answers: answers_in, closed: false });
    }
    let mut lanes = Vec::new();
    let mut handles = Vec::new();
    for sink in sinks {
        let lane = Arc::new(Lane::new(options.queue_max));
        let label = sink.label();
        lanes.push((label, lane.clone()));
        let run = move || run_sink(sink, &lane);
        handles.push(thread::Builder::new().name(format!("cdr-{label}")).spawn(run)?);
    }
    let (questions, questions_out) = sync_channel(QUESTIONS_MAX);
    let service = Service {
        desks,
        lanes: lanes.iter().map(|(_, lane)| lane.clone()).collect(),
        recent: (options.recent_max > 0).then(|| Recent::new(options.recent_max)),
        names,
        questions: questions_out,
        refuse: options.when_full == WhenFull::Refuse,
        mask: options.mask_addresses,
        words: Vec::new(),
        records: Vec::new(),
    };
    let handle = thread::Builder::new().name("records".into()).spawn(move || service.run())?;
    Ok((RecordsThread { handle, sinks: handles, lanes, questions }, ports))
}

/// The thread's end towards one shard.
struct Desk {
    words: Receiver<RecordWord>,
    answers: Sender<QueryAnswer>,
    closed: bool,
}

struct Service {
    desks: Vec<Desk>,
    lanes: Vec<Arc<Lane>>,
    recent: Option<Recent>,
    names: Arc<Names>,
    questions: Questions<Question>,
    refuse: bool,
    mask: bool,
    /// Working space.
    words: Vec<RecordWord>,
    /// Working space.
    records: Vec<Record>,
}

impl Service {
    fn run(mut self) {
        let waker = Waker::from(Arc::new(ThreadWaker(thread::current())));
        let mut ending_since = None;
        loop {
            self.answer_questions();
            let (taken, has_room) = self.turn(&waker);
            if taken > 0 {
                continue;
            }
            if self.desks.iter().all(|desk| desk.closed) {
                break;
            }
            if !has_room && self.desks.iter().all(|desk| desk.words.is_closed()) {
                // No shard is left that could refuse: what finds no room in time is given up.
                let since = *ending_since.get_or_insert_with(Instant::now);
                self.refuse &= since.elapsed() < END_MAX;
            }
            thread::park_timeout(if has_room { LOOK_AFTER } else { ROOM_WAIT });
        }
        self.lanes.iter().for_each(|lane| lane.close());
    }

    /// Takes from every shard what there is room for; how many words that were, and whether there was room.
    fn turn(&mut self, waker: &Waker) -> (usize, bool) {
        let mut taken = 0;
        for index in 0..self.desks.len() {
            let room = self.lanes.iter().map(|lane| lane.room()).min().unwrap_or(usize::MAX);
            let max = if self.refuse { room.min(TURN_MAX) } else { TURN_MAX };
            if max == 0 {
                return (taken, false);
            }
            let desk = &mut self.desks[index];
            if !desk.closed {
                let mut context = Context::from_waker(waker);
                let receive = pin!(desk.words.receive(&mut self.words, max));
                if let Poll::Ready(Err(runtime::Closed)) = receive.poll(&mut context) {
                    desk.closed = true;
                }
            }
            taken += self.words.len();
            self.keep(index);
        }
        (taken, true)
    }

    fn keep(&mut self, index: usize) {
        for word in self.words.drain(..) {
            match word {
                RecordWord::Keep(mut record) => {
                    if self.mask {
                        mask(&mut record);
                    }
                    if let Some(recent) = &mut self.recent {
                        recent.add(&record);
                    }
                    self.records.push(record);
                }
                RecordWord::Query(mut query) => {
                    if self.mask {
                        query.source = query.source.map(|source| source.masked(super::MASKED_DIGITS));
                    }
                    let found = self.recent.as_ref().and_then(|recent| recent.answer(&query));
                    let answers = &mut self.desks[index].answers;
                    // Full: the shard asks no more than fit, and answers by itself what comes too late.
                    let _ = answers.push(QueryAnswer { ticket: query.ticket, found });
                    answers.ring();
                }
            }
        }
        if !self.records.is_empty() {
            self.lanes.iter().for_each(|lane| lane.push(&self.records));
            self.records.clear();
        }
    }

    fn answer_questions(&mut self) {
        for _ in 0..QUESTIONS_MAX {
            let Ok((mut key, answer)) = self.questions.try_recv() else { return };
            if self.mask
                && let Key::Customer(_, _, destination) = &mut key
            {
                let address = smpp::field::Address { digits: destination, ..Default::default() };
                *destination = relay::Number::new(&address).masked(super::MASKED_DIGITS).digits().to_vec();
            }
            let found = self.recent.as_ref().map(|recent| recent.find(&key, &self.names)).unwrap_or_default();
            // Whoever asked may have gone.
            let _ = answer.send(found);
        }
    }
}

/// Writes what comes through a lane until it is closed and empty.
fn run_sink(mut sink: Sink, lane: &Lane) {
    let mut batch: Vec<Record> = Vec::with_capacity(BATCH_MAX);
    let mut looked_after = Instant::now();
    let mut end: Option<Instant> = None;
    let label = sink.label();
    while lane.take(&mut batch, BATCH_MAX, LOOK_AFTER) {
        if !batch.is_empty() && !write(&mut sink, lane, &batch, &mut end) {
            let lost = lane.give_up();
            tracing::error!(sink = label, lost, "records could not be written before the end");
            lane.counters.waiting.store(lost, std::sync::atomic::Ordering::Relaxed);
            return;
        }
        batch.clear();
        if looked_after.elapsed() >= LOOK_AFTER {
            looked_after = Instant::now();
            if let Err(error) = sink.look_after() {
                lane.counters.failures.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                tracing::warn!(sink = label, %error, "a sink of records could not be looked after");
            }
        }
    }
    if let Err(error) = sink.finish() {
        tracing::error!(sink = label, %error, "a sink of records could not be finished");
    }
}

/// Tries again and again; false when the node ends and the time for that is over.
fn write(sink: &mut Sink, lane: &Lane, batch: &[Record], end: &mut Option<Instant>) -> bool {
    let mut pause = RETRY_FIRST;
    loop {
        let Err(error) = sink.write(batch) else {
            lane.done(true);
            return true;
        };
        lane.counters.failures.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let waiting = lane.counters.waiting.load(std::sync::atomic::Ordering::Relaxed);
        tracing::warn!(sink = sink.label(), %error, waiting, "records could not be written; they are kept");
        let again = Instant::now() + pause;
        while Instant::now() < again {
            if lane.is_closed() && *end.get_or_insert_with(|| Instant::now() + END_MAX) <= Instant::now() {
                return false;
            }
            thread::sleep(ROOM_WAIT.min(pause));
        }
        pause = (pause * 2).min(RETRY_MAX);
    }
}

/// Wakes a plain thread.
struct ThreadWaker(Thread);

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}
