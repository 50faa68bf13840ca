//! The shell around the links of one thread: reads, feeds, flushes, keeps time. All waiting of this crate
//! happens here.

use crate::app::{App, CloseReason, Closed, LinkId};
use crate::bell::Bell;
use crate::feed::{feed, feed_plain};
use crate::limits;
use crate::links::Links;
use crate::tls::{Tls, TlsClient, TlsFailure};
use runtime::{Runtime, Stream};
use smpp::pdu::{Bind, BindKind};
use smpp::session::{DeadlineReason, Event, Session, SessionConfig, State};
use smpp::time::Instant;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

/// Bounds of one hub.
#[derive(Clone, Copy, Debug)]
pub struct HubOptions {
    /// Links that may stand at once. Each costs about 1 KiB while idle.
    pub links_max: usize,
    /// Time between two ticks while nothing is read or written, at least [`limits::TICK`]. A program whose ticks
    /// keep time for others wants no longer ones.
    pub idle_tick: Duration,
}

impl Default for HubOptions {
    /// 20,000 links: twice what one shard is measured with.
    fn default() -> Self {
        HubOptions { links_max: 20_000, idle_tick: limits::TICK }
    }
}

struct Inner<R: Runtime, A: App> {
    app: A,
    links: Links<A::Token>,
    /// By the index of the link.
    streams: Vec<Option<Rc<R::Stream>>>,
    /// Where the round of timer checks goes on.
    next_timer: usize,
}

/// The links of one thread, with the program that reacts to them. Clones are the same hub.
pub struct Hub<R: Runtime, A: App> {
    inner: Rc<RefCell<Inner<R, A>>>,
    receive_buffer: Rc<RefCell<Vec<u8>>>,
    flush: Rc<Bell>,
    emptied: Rc<Bell>,
    stopped: Rc<Cell<bool>>,
    idle_tick: Duration,
}

impl<R: Runtime, A: App> Clone for Hub<R, A> {
    fn clone(&self) -> Self {
        Hub {
            inner: self.inner.clone(),
            receive_buffer: self.receive_buffer.clone(),
            flush: self.flush.clone(),
            emptied: self.emptied.clone(),
            stopped: self.stopped.clone(),
            idle_tick: self.idle_tick,
        }
    }
}

impl<R: Runtime, A: App> Hub<R, A> {
    /// A hub without links. Must be called on the thread it is to live on, inside [`Runtime::run`].
    pub fn new(app: A, options: HubOptions) -> Self {
        let flush = Rc::new(Bell::default());
        let inner = Inner {
            app,
            links: Links::new(options.links_max, flush.clone()),
            streams: Vec::new(),
            next_timer: 0,
        };
        let hub = Hub {
            inner: Rc::new(RefCell::new(inner)),
            receive_buffer: Rc::new(RefCell::new(vec![0; limits::RECEIVE_BUFFER])),
            flush,
            emptied: Rc::new(Bell::default()),
            stopped: Rc::new(Cell::new(false)),
            idle_tick: options.idle_tick,
        };
        R::spawn(hub.clone().keep_flushing());
        R::spawn(hub.clone().keep_time());
        hub
    }

    /// Takes over a connection, with the octets that were read from it before. Gives it back when as many links
    /// stand as are allowed.
    pub fn attach(
        &self,
        stream: R::Stream,
        config: SessionConfig,
        already_read: &[u8],
    ) -> Result<LinkId, R::Stream> {
        self.attach_tls(stream, config, already_read, None)
    }

    /// [`Hub::attach`] for a connection that may be encrypted; `already_read` is plain text then too.
    pub fn attach_tls(
        &self,
        stream: R::Stream,
        config: SessionConfig,
        already_read: &[u8],
        tls: Option<Box<Tls>>,
    ) -> Result<LinkId, R::Stream> {
        let mut inner = self.inner.borrow_mut();
        inner.links.now = clock();
        let session = Session::new(config, inner.links.now);
        let encrypted = tls.is_some();
        let Some(id) = inner.links.open(session, stream.peer_address(), tls) else { return Err(stream) };
        let stream = Rc::new(stream);
        inner.put_stream(id, stream.clone());
        if !already_read.is_empty() {
            let Inner { app, links, .. } = &mut *inner;
            links.counters.reads += 1;
            links.counters.octets_in += already_read.len() as u64;
            feed_plain(app, links, id, already_read);
        }
        if encrypted {
            inner.links.touch(id);
        }
        drop(inner);
        R::spawn(self.clone().keep_reading(id, stream));
        Ok(id)
    }

    /// Connects, encrypted if asked to, and asks to bind; what comes of it follows as events of the link. The bind waits
    /// for the handshake, and the session's bind timer bounds both.
    pub async fn connect(
        &self,
        address: SocketAddr,
        deadline: Duration,
        config: SessionConfig,
        kind: BindKind,
        bind: &Bind<'_>,
        tls: Option<&TlsClient>,
    ) -> io::Result<LinkId> {
        self.connect_if(address, deadline, config, (kind, bind), tls, |_| true).await
    }

    /// [`Hub::connect`] for a program that may have changed its mind once the connection stands: where `may_bind` says no,
    /// nothing is said on it, and it is an error.
    pub async fn connect_if(
        &self,
        address: SocketAddr,
        deadline: Duration,
        config: SessionConfig,
        (kind, bind): (BindKind, &Bind<'_>),
        tls: Option<&TlsClient>,
        may_bind: impl FnOnce(&mut A) -> bool,
    ) -> io::Result<LinkId> {
        let tls = tls.map(Tls::client).transpose().map_err(io::Error::other)?;
        let stream = R::connect(address, deadline).await?;
        if !self.with(|app, _| may_bind(app)) {
            return Err(io::Error::other("the bind is not wanted any more"));
        }
        let id = self
            .attach_tls(stream, config, &[], tls.map(Box::new))
            .map_err(|_| io::Error::other("as many links stand as are allowed"))?;
        self.with(|_, links| links.bind(id, kind, bind))
            .map_err(|error| io::Error::other(format!("bind could not be sent: {error:?}")))?;
        Ok(id)
    }

    /// Lets the program act on something that did not come from a link. What it says is flushed with this turn.
    pub fn with<O>(&self, f: impl FnOnce(&mut A, &mut Links<A::Token>) -> O) -> O {
        let mut inner = self.inner.borrow_mut();
        let Inner { app, links, .. } = &mut *inner;
        links.now = clock();
        guarded(|| f(app, links))
    }

    /// The receive buffer of this thread, for reads before a link exists. Its octets are valid until the next
    /// wait.
    pub fn receive_buffer(&self) -> Rc<RefCell<Vec<u8>>> {
        self.receive_buffer.clone()
    }

    /// Links that stand.
    pub fn len(&self) -> usize {
        self.inner.borrow().links.len()
    }

    /// Whether no link stands.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until no link stands. One waiter at a time.
    pub async fn emptied(&self) {
        while !self.is_empty() {
            self.emptied.rung().await;
        }
    }

    /// Ends the hub's own tasks. Links that stand are shut down.
    pub fn stop(&self) {
        self.stopped.set(true);
        for stream in self.inner.borrow().streams.iter().flatten() {
            stream.shutdown();
        }
        self.flush.ring();
    }

    async fn keep_reading(self, id: LinkId, stream: Rc<R::Stream>) {
        let mut failure = None;
        loop {
            self.wait_to_read(id).await;
            if self.feed_held(id) {
                R::yield_if_needed().await;
                continue;
            }
            if self.peer_has_ended(id) {
                break;
            }
            match stream.read(&self.receive_buffer).await {
                Ok(0) => break,
                Ok(octets) => {
                    if self.must_wait_now(id) {
                        // The link was paused or frozen while the read was under way; the octets are kept by feeding
                        // them once it goes on.
                        let kept = self.receive_buffer.borrow()[..octets].to_vec();
                        self.wait_to_read(id).await;
                        self.feed(id, &kept);
                        continue;
                    }
                    let buffer = self.receive_buffer.clone();
                    self.feed(id, &buffer.borrow()[..octets]);
                    if octets >= limits::YIELD_OCTETS {
                        R::yield_now().await;
                    } else {
                        R::yield_if_needed().await;
                    }
                }
                Err(error) => {
                    failure = Some(CloseReason::Failed(error.kind()));
                    break;
                }
            }
        }
        if failure.is_none() {
            self.answer_to_the_end(id, &stream).await;
        }
        drop(stream);
        self.finish(id, failure.unwrap_or(CloseReason::PeerClosed));
    }

    async fn wait_to_read(&self, id: LinkId) {
        while let Some(resume) = self.reason_to_wait(id) {
            resume.rung().await;
        }
    }

    /// Goes on with what was read behind a bind that is answered by now; false where there is nothing.
    fn feed_held(&self, id: LinkId) -> bool {
        let mut inner = self.inner.borrow_mut();
        let Inner { app, links, .. } = &mut *inner;
        let Some(entry) = links.entry(id).filter(|entry| !entry.held.is_empty()) else { return false };
        let held = std::mem::take(&mut entry.held);
        links.now = clock();
        feed_plain(app, links, id, &held);
        true
    }

    fn peer_has_ended(&self, id: LinkId) -> bool {
        self.inner.borrow_mut().links.entry(id).is_some_and(|entry| entry.peer_ended)
    }

    /// The peer says nothing more, but it may still listen: what was said is written, and one that unbound gets the
    /// answers that it is owed.
    async fn answer_to_the_end(&self, id: LinkId, stream: &Rc<R::Stream>) {
        let resume = {
            let mut inner = self.inner.borrow_mut();
            let Inner { links, .. } = &mut *inner;
            links.now = clock();
            links.peer_ended(id);
            let Some(entry) = links.entry(id) else { return };
            let resume = entry.resume.clone();
            links.end_if_over(id);
            if write_out(links, id, &**stream) {
                R::spawn(self.clone().write_slowly(id, stream.clone()));
            }
            resume
        };
        while self.ends_in_order(id) {
            resume.rung().await;
        }
    }

    /// Whether there is still something to say, or to wait for, before an end in order.
    fn ends_in_order(&self, id: LinkId) -> bool {
        let mut inner = self.inner.borrow_mut();
        let entry = inner.links.entry(id);
        entry
            .is_some_and(|entry| !entry.shut && (entry.in_order || entry.session.state() == State::Finishing))
    }

    fn reason_to_wait(&self, id: LinkId) -> Option<Rc<Bell>> {
        let mut inner = self.inner.borrow_mut();
        let entry = inner.links.entry(id)?;
        entry.must_not_read().then(|| entry.resume.clone())
    }

    fn must_wait_now(&self, id: LinkId) -> bool {
        self.inner
            .borrow_mut()
            .links
            .entry(id)
            .is_some_and(|entry| !entry.shut && (entry.paused || entry.frozen))
    }

    /// Hands octets of a link to its session and the events to the program.
    fn feed(&self, id: LinkId, octets: &[u8]) {
        let mut inner = self.inner.borrow_mut();
        let Inner { app, links, .. } = &mut *inner;
        links.now = clock();
        feed(app, links, id, octets);
    }

    /// The only end of a link.
    fn finish(&self, id: LinkId, reason: CloseReason) {
        let mut inner = self.inner.borrow_mut();
        let Inner { app, links, streams, .. } = &mut *inner;
        links.now = clock();
        if let Some(stream) = streams[id.index as usize].take() {
            stream.shutdown();
        }
        let Some(mut entry) = links.remove(id) else { return };
        let counters = entry.session.counters();
        links.counters.undecodable += counters.undecodable;
        links.counters.illegal_requests += counters.illegal_requests;
        links.counters.unknown_commands += counters.unknown_commands;
        links.counters.late_responses += counters.late_responses;
        links.counters.overdue_ends += counters.overdue_ends;
        let in_handshake = entry.tls.as_ref().is_some_and(|tls| !tls.is_established());
        let reason = if in_handshake { CloseReason::Tls(TlsFailure::Interrupted) } else { reason };
        let broken = entry.broken.map(|(_, kind)| CloseReason::Failed(kind));
        let reason = entry.closing.or(broken).unwrap_or(reason);
        let mut closed = Closed { reason, written: Vec::new(), unsent: Vec::new() };
        for request in entry.session.abandon() {
            let list = if request.written { &mut closed.written } else { &mut closed.unsent };
            list.push(request.token);
        }
        guarded(|| app.on_closed(links, id, closed));
        if links.is_empty() {
            self.emptied.ring();
        }
    }

    async fn keep_flushing(self) {
        while !self.stopped.get() {
            self.flush.rung().await;
            guarded(|| self.flush_touched());
        }
    }

    fn flush_touched(&self) {
        let mut inner = self.inner.borrow_mut();
        let Inner { app, links, streams, .. } = &mut *inner;
        app.on_flush(links);
        let mut touched = std::mem::take(&mut links.touched);
        for id in touched.drain(..) {
            let Some(stream) = &streams[id.index as usize] else { continue };
            if write_out(links, id, &**stream) {
                R::spawn(self.clone().write_slowly(id, stream.clone()));
            }
        }
        // on_flush and write_out may have touched links anew; both lists are short then.
        touched.append(&mut links.touched);
        links.touched = touched;
        if !links.touched.is_empty() {
            self.flush.ring();
        }
    }

    /// Writes to a peer that is slower than we are, as it becomes ready.
    async fn write_slowly(self, id: LinkId, stream: Rc<R::Stream>) {
        let mut chunk = Vec::new();
        loop {
            if !self.next_chunk(id, &mut chunk) {
                return;
            }
            let written = stream.write(&chunk).await;
            let mut inner = self.inner.borrow_mut();
            let links = &mut inner.links;
            links.counters.writes += 1;
            let Some(entry) = links.entry(id) else { return };
            match written {
                Ok(octets) => {
                    entry.took(octets);
                    if !entry.must_not_read() {
                        entry.resume.ring();
                    }
                    links.counters.octets_out += octets as u64;
                }
                Err(error) => {
                    let now = links.now;
                    if let Some(entry) = links.entry(id) {
                        entry.broke(now, error.kind());
                    }
                    links.touch(id);
                    return;
                }
            }
        }
    }

    /// Copies what is to be written next; `false` when the slow writer's work is done.
    fn next_chunk(&self, id: LinkId, chunk: &mut Vec<u8>) -> bool {
        let mut inner = self.inner.borrow_mut();
        let Inner { links, .. } = &mut *inner;
        let Links { pool, .. } = links;
        let mut pool = std::mem::take(pool);
        chunk.clear();
        if let Some(entry) = links.entry(id) {
            if !entry.has_to_write() || entry.frozen || entry.shut {
                entry.writing = false;
                entry.give_back(&mut pool);
                if entry.closing.is_some() {
                    links.touch(id);
                }
            } else {
                entry.copy_next(chunk);
            }
        }
        links.pool = pool;
        !chunk.is_empty()
    }

    async fn keep_time(self) {
        let mut moved = 0;
        while !self.stopped.get() {
            let moved_before = std::mem::replace(&mut moved, self.moved());
            R::sleep(if moved == moved_before { self.idle_tick } else { limits::TICK }).await;
            guarded(|| self.tick());
        }
    }

    /// Reads and writes so far: whether it has grown tells whether the shard is idle.
    fn moved(&self) -> u64 {
        let counters = self.inner.borrow().links.counters;
        counters.reads + counters.writes
    }

    fn tick(&self) {
        let mut inner = self.inner.borrow_mut();
        let Inner { app, links, next_timer, .. } = &mut *inner;
        links.now = clock();
        let slots = links.slots();
        for _ in 0..slots.div_ceil(limits::TICKS_PER_ROUND) {
            *next_timer = (*next_timer + 1) % slots;
            if let Some(id) = links.id_at(*next_timer) {
                check_timers(app, links, id);
            }
        }
        app.on_tick(links);
    }
}

impl<R: Runtime, A: App> Inner<R, A> {
    fn put_stream(&mut self, id: LinkId, stream: Rc<R::Stream>) {
        let index = id.index as usize;
        if self.streams.len() <= index {
            self.streams.resize_with(index + 1, || None);
        }
        self.streams[index] = Some(stream);
    }
}

/// Writes what waits on a link, and shuts it down if it is to end. Says whether a slow writer is needed.
fn write_out<T: Copy, S: Stream>(links: &mut Links<T>, id: LinkId, stream: &S) -> bool {
    let mut pool = std::mem::take(&mut links.pool);
    let mut counters = links.counters;
    let mut needs_writer = false;
    let now = links.now;
    if let Some(entry) = links.entry(id) {
        entry.touched = false;
        let was_stopped = entry.must_not_read();
        if !entry.frozen && !entry.writing && !entry.shut && !entry.reset && entry.has_to_write() {
            if let Some(tls) = &mut entry.tls {
                tls.lend(&mut pool);
            }
            match entry.write(stream, &mut counters) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => entry.broke(now, error.kind()),
            }
        }
        if was_stopped && !entry.must_not_read() {
            entry.resume.ring();
        }
        let may_wait = entry.closing.is_none() || entry.in_order;
        if !entry.has_to_write() {
            entry.give_back(&mut pool);
        } else if may_wait && !entry.frozen && !entry.writing && !entry.shut {
            counters.blocked += 1;
            entry.writing = true;
            needs_writer = true;
        }
        let waits_for_writer = entry.writing && entry.in_order;
        if entry.closing.is_some() && !waits_for_writer {
            entry.say_farewell(stream);
            shut_down(entry, stream);
        }
    }
    links.pool = pool;
    links.counters = counters;
    needs_writer
}

fn shut_down<T: Copy, S: Stream>(entry: &mut crate::entry::Entry<T>, stream: &S) {
    if !std::mem::replace(&mut entry.shut, true) {
        if entry.reset {
            stream.reset()
        } else {
            stream.shutdown()
        }
        entry.resume.ring();
    }
}

fn check_timers<A: App>(app: &mut A, links: &mut Links<A::Token>, id: LinkId) {
    let now = links.now;
    let Some(entry) = links.entry(id) else { return };
    if entry.closing.is_some() {
        // A peer that takes nothing must not keep an ending link for ever.
        if now.saturating_since(entry.closing_since) >= limits::CLOSE_MAX {
            (entry.writing, entry.in_order) = (false, false);
            links.touch(id);
        }
        return;
    }
    if let Some((since, kind)) = entry.broken
        && now.saturating_since(since) >= limits::CLOSE_MAX
    {
        return links.close(id, CloseReason::Failed(kind));
    }
    let ended = entry.session.handle_timeout(now);
    if entry.has_to_write() {
        links.touch(id);
    }
    match ended {
        Some(DeadlineReason::Inactivity) => {
            if let Some(entry) = links.entry(id) {
                entry.ends_for = Some(CloseReason::TimedOut(DeadlineReason::Inactivity));
            }
            app.on_event(links, id, Event::Ending);
        }
        Some(reason) => {
            let ends_for = links.entry(id).and_then(|entry| entry.ends_for);
            links.close(id, ends_for.unwrap_or(CloseReason::TimedOut(reason)));
        }
        None => {}
    }
    while let Some((token, sequence)) = links.entry(id).and_then(|entry| entry.session.expired(now)) {
        links.counters.expired += 1;
        app.on_event(links, id, Event::Expired { token, sequence });
    }
    links.end_if_over(id);
}

/// Runs what must not fail half-way. A panic outside one link's bytes leaves shared state in doubt: customers
/// were acknowledged only for what vendors accepted, so ending the process loses nothing, going on might.
fn guarded<O>(f: impl FnOnce() -> O) -> O {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|_| {
        tracing::error!("a panic outside one link's bytes: the process ends");
        std::process::abort()
    })
}

fn clock() -> Instant {
    Instant::from_nanos(runtime::monotonic_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use smpp::field::CommandStatus;
    use std::future::Future;
    use std::os::fd::OwnedFd;
    use std::pin::pin;
    use std::task::{Context, Waker};

    /// A connection whose kernel takes everything at once.
    struct Greedy;

    impl Stream for Greedy {
        async fn read(&self, _: &RefCell<Vec<u8>>) -> io::Result<usize> {
            Ok(0)
        }

        fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn shutdown(&self) {}

        fn reset(&self) {}

        fn peer_address(&self) -> SocketAddr {
            SocketAddr::from(([127, 0, 0, 1], 1))
        }

        fn into_fd(self) -> io::Result<OwnedFd> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    /// Found by review: a reader that a full outbox had stopped was resumed by the slow writer only, not by a flush
    /// that emptied the outbox; the link then stayed deaf.
    #[test]
    fn a_flush_that_empties_the_outbox_resumes_the_reader() {
        let mut links: Links<u32> = Links::new(1, Rc::default());
        let session = Session::new(SessionConfig::customer_side(1, 1), links.now);
        let id = links.open(session, Greedy.peer_address(), None).unwrap();
        let entry = links.entry(id).unwrap();
        while !entry.must_not_read() {
            entry.session.nack(CommandStatus::ESME_RINVCMDID);
        }
        let resume = entry.resume.clone();
        assert!(!write_out(&mut links, id, &Greedy), "no slow writer is needed");
        assert_eq!(links.outbox_len(id), 0);
        let mut rung = pin!(resume.rung());
        assert!(rung.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready(), "the reader goes on");
    }

    /// A connection whose kernel takes a little at a time.
    struct Stingy;

    impl Stream for Stingy {
        async fn read(&self, _: &RefCell<Vec<u8>>) -> io::Result<usize> {
            Ok(0)
        }

        fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len().min(10))
        }

        async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
            self.try_write(bytes)
        }

        fn shutdown(&self) {}

        fn reset(&self) {}

        fn peer_address(&self) -> SocketAddr {
            Greedy.peer_address()
        }

        fn into_fd(self) -> io::Result<OwnedFd> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    /// What does not fit into the kernel at once was dropped, and with it the last answers.
    #[test]
    fn an_end_in_order_is_written_to_its_last_octet() {
        let mut links: Links<u32> = Links::new(1, Rc::default());
        let session = Session::new(SessionConfig::customer_side(1, 1), links.now);
        let id = links.open(session, Stingy.peer_address(), None).unwrap();
        let entry = links.entry(id).unwrap();
        entry.session.nack(CommandStatus::ESME_RINVCMDID);
        entry.session.abandon();
        links.end_if_over(id);
        assert!(write_out(&mut links, id, &Stingy), "the slow writer is needed");
        assert!(!links.entry(id).unwrap().shut, "and not cut off");
        let mut chunk = Vec::new();
        links.entry(id).unwrap().copy_next(&mut chunk);
        links.entry(id).unwrap().took(chunk.len());
        links.entry(id).unwrap().writing = false;
        assert!(!write_out(&mut links, id, &Stingy));
        assert!(links.entry(id).unwrap().shut, "nothing is left to say");
    }
}
