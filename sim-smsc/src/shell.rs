//! Sites on real connections: the [`App`] of one shard thread.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use foldhash::fast::FixedState;
use link::{App, CloseReason, Closed, Event, LinkId, Links};
use smpp::field::CommandStatus;
use smpp::pdu::{DataSm, DataSmResp, Pdu, QuerySmResp, SubmitMultiResp, SubmitSm, SubmitSmResp};
use smpp::time::Instant;
use smpp::tlv::Tlvs;

use crate::receipts::Scratch;
use crate::report::{SessionReport, SiteReport};
use crate::shared::{Directive, Order, Sink};
use crate::smsc::{Action, Asked, ConnRef, Said, Site};

/// The sites of one shard thread.
pub(crate) struct Shell {
    hosted: Vec<Hosted>,
    conns: HashMap<LinkId, (usize, ConnRef), FixedState>,
    scratch: Scratch,
    sink: Sink,
    shared: Arc<crate::shared::Shared>,
    shard: usize,
    /// When the loop last came by.
    ticked: Option<Instant>,
}

/// One site and its door.
pub(crate) struct Hosted {
    pub(crate) site: Site<LinkId>,
    pub(crate) gate: Rc<Gate>,
    pub(crate) listen: std::net::SocketAddr,
}

/// Whether a site's port is open.
#[derive(Default)]
pub(crate) struct Gate {
    shut: Cell<bool>,
    close: RefCell<Option<Box<dyn Fn()>>>,
}

impl Gate {
    pub(crate) fn is_shut(&self) -> bool {
        self.shut.get()
    }

    /// What closes the listener of the moment.
    pub(crate) fn on_close(&self, close: impl Fn() + 'static) {
        *self.close.borrow_mut() = Some(Box::new(close));
    }

    pub(crate) fn set_open(&self, open: bool) {
        self.shut.set(!open);
        if !open && let Some(close) = self.close.borrow_mut().take() {
            close();
        }
    }
}

impl Shell {
    pub(crate) fn new(
        shard: usize,
        hosted: Vec<Hosted>,
        sink: Sink,
        shared: Arc<crate::shared::Shared>,
    ) -> Shell {
        let conns = HashMap::with_hasher(FixedState::default());
        Shell { hosted, conns, scratch: Scratch::default(), sink, shared, shard, ticked: None }
    }

    /// A connection was accepted at a site.
    pub(crate) fn connected(&mut self, links: &mut Links<u32>, index: usize, id: LinkId) {
        let conn = self.hosted[index].site.connected(id);
        self.conns.insert(id, (index, conn));
        self.obey(links, index);
    }

    /// What the site's sessions are to be like.
    pub(crate) fn behaviour(&self, index: usize) -> crate::scenario::Behaviour {
        self.hosted[index].site.behaviour().clone()
    }

    /// The last word: every record to the ledger, and what became of the sites.
    pub(crate) fn finish(&mut self, links: &Links<u32>) -> Vec<SiteReport> {
        self.write_ledger();
        self.sink.flush();
        self.reports(links)
    }

    fn reports(&self, links: &Links<u32>) -> Vec<SiteReport> {
        self.hosted.iter().map(|hosted| report(hosted, links)).collect()
    }

    fn request(&mut self, links: &mut Links<u32>, id: LinkId, pdu: &Pdu<'_>, sequence: u32) {
        let Some(&(index, conn)) = self.conns.get(&id) else { return };
        let now = links.now();
        let site = &mut self.hosted[index].site;
        match pdu {
            Pdu::SubmitSm(submit) => site.submitted(now, conn, Asked::Submit, sequence, submit),
            Pdu::DataSm(data) => site.submitted(now, conn, Asked::Data, sequence, &submit_of(data)),
            other => refuse_command(links, id, other, sequence),
        }
        self.obey(links, index);
    }

    /// Does what a site wants done.
    fn obey(&mut self, links: &mut Links<u32>, index: usize) {
        let Hosted { site, gate, .. } = &mut self.hosted[index];
        let now = links.now();
        while let Some(action) = site.poll() {
            match action {
                Action::AcceptBind { link, sequence } => {
                    let _ = links.accept_bind(link, sequence, site.name().as_bytes());
                }
                Action::RefuseBind { link, sequence, status } => {
                    let _ = links.refuse_bind(link, sequence, status);
                }
                Action::Answer { link, answer } => {
                    let id = site.id_text(&answer);
                    let message_id = id.as_ref().map_or(&b""[..], |id| id.as_bytes());
                    let pdu = match answer.asked {
                        Asked::Submit => {
                            Pdu::SubmitSmResp(SubmitSmResp { message_id, tlvs: Tlvs::default() })
                        }
                        Asked::Data => Pdu::DataSmResp(DataSmResp { message_id, tlvs: Tlvs::default() }),
                    };
                    if links.respond(link, answer.sequence, answer.status, &pdu).is_err() {
                        site.answer_lost(now, answer);
                    }
                }
                Action::Deliver { link, item } => {
                    let said = self.sink.is_kept();
                    deliver(site, links, now, link, item, &mut self.scratch, said);
                }
                Action::Pause { link, paused } => links.pause_reading(link, paused),
                Action::Freeze { link, frozen } => links.freeze(link, frozen),
                Action::Reset { link } => links.reset(link),
                Action::Close { link } => links.close(link, CloseReason::Local),
                Action::Unbind { link } => links.unbind(link),
                Action::Listen { open } => gate.set_open(open),
            }
        }
        if site.records().len() >= RECORDS_MAX {
            self.sink.append(site.records());
        }
    }

    fn write_ledger(&mut self) {
        for hosted in &mut self.hosted {
            self.sink.append(hosted.site.records());
        }
    }

    /// A loop that stood still answers late through no fault of the target: the ledger tells it.
    fn watch_itself(&mut self, now: Instant) {
        let gap = self.ticked.replace(now).map_or(Duration::ZERO, |before| now.saturating_since(before));
        if gap >= STALL_MIN
            && let Some(hosted) = self.hosted.first_mut()
        {
            hosted.site.record_stall(now, gap);
        }
    }

    fn follow(&mut self, links: &mut Links<u32>, directive: Directive) {
        let now = links.now();
        for index in 0..self.hosted.len() {
            let site = &mut self.hosted[index].site;
            match &directive.order {
                Order::Report => {}
                Order::Inject(fault) => {
                    if fault.site.as_ref().is_none_or(|name| name == site.name()) {
                        site.inject(now, fault.clone());
                    }
                }
                Order::Heal => site.heal(now),
                Order::ReleaseReceipts => site.release_receipts(),
                Order::Reset => site.reset(now, self.shared.restart()),
            }
            self.obey(links, index);
        }
        // Nobody waits for an answer that comes too late.
        let _ = directive.reply.send(self.reports(links));
    }

    /// All sites share one start of the timeline, whichever sees the first submit.
    fn share_start(&mut self) {
        let shared = &self.shared.start_ns;
        for hosted in &mut self.hosted {
            match hosted.site.started_at() {
                Some(start) => {
                    let _ =
                        shared.compare_exchange(0, start.as_nanos(), Ordering::Relaxed, Ordering::Relaxed);
                }
                None => match shared.load(Ordering::Relaxed) {
                    0 => {}
                    start => hosted.site.begin(Instant::from_nanos(start)),
                },
            }
        }
    }
}

impl App for Shell {
    type Token = u32;

    fn on_event(&mut self, links: &mut Links<u32>, id: LinkId, event: Event<'_, u32>) {
        let Some(&(index, conn)) = self.conns.get(&id) else { return };
        let now = links.now();
        match event {
            Event::Request { frame, pdu, .. } => {
                return self.request(links, id, &pdu, frame.sequence_number());
            }
            Event::Response { token, frame, .. } => {
                self.hosted[index].site.delivered(now, token, frame.command_status());
            }
            Event::BindRequest { kind, bind, sequence } => {
                self.hosted[index].site.bind_requested(now, conn, kind, &bind, sequence);
            }
            Event::Expired { token, .. } => self.hosted[index].site.delivery_expired(now, token),
            _ => return,
        }
        self.obey(links, index);
    }

    fn on_closed(&mut self, links: &mut Links<u32>, id: LinkId, closed: Closed<u32>) {
        let Some((index, conn)) = self.conns.remove(&id) else { return };
        let in_order = closed.reason == CloseReason::Unbound;
        let site = &mut self.hosted[index].site;
        tracing::debug!(site = site.name(), reason = closed.reason.label(), "connection closed");
        site.closed(links.now(), conn, in_order, &closed.written, &closed.unsent);
        self.obey(links, index);
    }

    fn on_tick(&mut self, links: &mut Links<u32>) {
        self.watch_itself(links.now());
        self.share_start();
        for index in 0..self.hosted.len() {
            self.hosted[index].site.tick(links.now());
            self.obey(links, index);
        }
        for directive in self.shared.take_directives(self.shard) {
            self.follow(links, directive);
        }
        self.write_ledger();
        self.sink.flush_when_old(links.now(), self.shard, self.shared.shard_count());
    }
}

fn deliver(
    site: &mut Site<LinkId>,
    links: &mut Links<u32>,
    now: Instant,
    link: LinkId,
    item: u32,
    scratch: &mut Scratch,
    kept: bool,
) {
    let Some(pdu) = site.deliver_sm(now, item, scratch) else { return };
    let said = if kept { Said::of(&pdu) } else { Said::default() };
    match links.request(link, &Pdu::DeliverSm(pdu), item) {
        Ok(_) => site.delivery_sent(now, item, &said),
        Err(_) => site.delivery_unsent(item),
    }
}

/// Commands the site knows of but does not offer.
fn refuse_command(links: &mut Links<u32>, id: LinkId, pdu: &Pdu<'_>, sequence: u32) {
    let (status, pdu) = match pdu {
        Pdu::QuerySm(_) => (CommandStatus::ESME_RQUERYFAIL, Pdu::QuerySmResp(QuerySmResp::default())),
        Pdu::CancelSm(_) => (CommandStatus::ESME_RCANCELFAIL, Pdu::CancelSmResp),
        Pdu::ReplaceSm(_) => (CommandStatus::ESME_RREPLACEFAIL, Pdu::ReplaceSmResp),
        Pdu::SubmitMulti(_) => {
            (CommandStatus::ESME_RCNTSUBDL, Pdu::SubmitMultiResp(SubmitMultiResp::default()))
        }
        _ => return,
    };
    let _ = links.respond(id, sequence, status, &pdu);
}

/// A data_sm in the form of a submit_sm: its text is in message_payload (SMPP 3.4 §4.7.1).
fn submit_of<'a>(data: &DataSm<'a>) -> SubmitSm<'a> {
    SubmitSm {
        service_type: data.service_type,
        source: data.source,
        destination: data.destination,
        esm_class: data.esm_class,
        protocol_id: 0,
        priority_flag: 0,
        schedule_delivery_time: b"",
        validity_period: b"",
        registered_delivery: data.registered_delivery,
        replace_if_present_flag: 0,
        data_coding: data.data_coding,
        sm_default_msg_id: 0,
        short_message: b"",
        tlvs: data.tlvs,
    }
}

fn report(hosted: &Hosted, links: &Links<u32>) -> SiteReport {
    let site = &hosted.site;
    let (faults, timeline) = site.faults();
    let session = |(link, system_id, kind, unanswered, in_flight): (LinkId, &str, _, _, _)| SessionReport {
        system_id: system_id.to_owned(),
        kind,
        peer: links.peer_address(link),
        unanswered,
        in_flight,
    };
    SiteReport {
        name: site.name().to_owned(),
        listen: hosted.listen,
        is_open: !hosted.gate.is_shut(),
        faults,
        timeline,
        pending: site.pending_len(),
        counters: site.counters().clone(),
        sessions: site.sessions().map(session).collect(),
    }
}

/// A loop that did not come by for so long is written down. It ticks every 5 ms.
const STALL_MIN: Duration = Duration::from_millis(50);

/// Records kept before they go to the ledger, 80 octets each.
const RECORDS_MAX: usize = 4_096;
