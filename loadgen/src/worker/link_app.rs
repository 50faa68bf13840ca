//! What a worker does about what its links say.

use std::io;
use std::net::SocketAddr;

use ledger::{Kind, MessageKey, ReceiptDigest, Record, id_hash};
use link::{App, CloseReason, Closed, Event, LinkId, Links};
use smpp::field::{CommandId, CommandStatus};
use smpp::pdu::{DataSmResp, DeliverSm, DeliverSmResp, Pdu};
use smpp::text::receipt::{Finality, ReceiptView, receipt_of};
use smpp::time::Instant;
use smpp::tlv::Tlvs;
use smpp::wire::Frame;

use super::binds;
use super::book::link_number;
use super::generator::{Generator, Token};
use super::receipts::Answered;

impl App for Generator {
    type Token = Token;

    fn on_event(&mut self, links: &mut Links<Token>, id: LinkId, event: Event<'_, Token>) {
        match event {
            Event::Response { token, frame, sent_at, .. } => self.answered(links, id, token, frame, sent_at),
            Event::LateResponse { frame } => self.answered_again(links, id, frame),
            Event::Request { frame, pdu, .. } => self.requested(links, id, frame, &pdu),
            Event::Bound { .. } => self.bound(links, id),
            Event::BindRefused { status, is_nack } => {
                let account = self.slots.account(id).unwrap_or_default();
                let trouble = binds::refusal(&self.scenario.accounts[usize::from(account)], status, is_nack);
                self.bind_trouble(trouble, true);
            }
            Event::Expired { token, .. } => {
                self.in_flight -= 1;
                self.measure.missing += 1;
                self.measure.phases[usize::from(token.phase)].unanswered += 1;
                self.note_message(links, id, Kind::Unanswered, token, 0);
                self.refill(links, token.account);
            }
            _ => {}
        }
    }

    fn on_closed(&mut self, links: &mut Links<Token>, id: LinkId, closed: Closed<Token>) {
        let leaving = self.stage.is_leaving();
        let in_order = u8::from(closed.reason == CloseReason::Unbound);
        if let Some((account, was_bound)) = self.slots.closed(id, links.now().as_nanos()) {
            if was_bound {
                self.note_link(links, id, account, Kind::LinkDown, in_order);
            }
            self.parties[usize::from(account)].senders.retain(|link| *link != id);
            if !was_bound && !leaving {
                let trouble = binds::ended(&self.scenario.accounts[usize::from(account)], closed.reason);
                self.bind_trouble(trouble, false);
            }
            if was_bound && !leaving {
                tracing::debug!(account, reason = closed.reason.label(), "session ended");
                self.measure.links_closed += 1;
            }
        }
        for token in closed.written {
            self.in_flight -= 1;
            self.measure.phases[usize::from(token.phase)].unanswered += 1;
            self.measure.missing += u64::from(leaving);
            // Who is still not answered when we leave had all the time of the drain.
            let kind = if leaving { Kind::Unanswered } else { Kind::Abandoned };
            self.note_message(links, id, kind, token, in_order);
        }
        // What certainly was not sent goes out again on another session, in its old order.
        for token in closed.unsent.into_iter().rev() {
            self.in_flight -= 1;
            self.measure.phases[usize::from(token.phase)].sent -= 1;
            self.note_message(links, id, Kind::Withdrawn, token, in_order);
            self.parties[usize::from(token.account)].queue.push_front(token);
            self.queued += 1;
        }
    }

    fn on_tick(&mut self, _links: &mut Links<Token>) {}
}

impl Generator {
    /// A connection stands. Its bind may have been answered already.
    pub(super) fn attached(&mut self, links: &mut Links<Token>, slot: usize, link: LinkId) {
        self.slots.attached(slot, link);
        if links.bind_kind(link).is_some() {
            self.bound(links, link);
        }
    }

    pub(super) fn connect_failed(
        &mut self,
        links: &mut Links<Token>,
        slot: usize,
        address: SocketAddr,
        error: &io::Error,
    ) {
        self.slots.failed(slot, links.now().as_nanos());
        let account = usize::from(self.slots.slot(slot).account);
        self.last_trouble = Some(binds::outage(&self.scenario.accounts[account], address, error));
    }

    fn bound(&mut self, links: &Links<Token>, id: LinkId) {
        let Some(slot) = self.slots.bound(id) else { return };
        let (account, may_submit) = (slot.account, slot.kind.may_submit());
        if may_submit {
            self.parties[usize::from(account)].senders.push(id);
        }
        self.note_link(links, id, account, Kind::LinkUp, 0);
    }

    /// Writes down what became of a message without an answer.
    fn note_message(&mut self, links: &Links<Token>, id: LinkId, kind: Kind, token: Token, in_order: u8) {
        let (key, now) = (self.key(token), links.now().as_nanos());
        self.book.write(kind, token.account, key, now, |record| {
            (record.link, record.state) = (link_number(id), in_order);
        });
    }

    fn note_link(&mut self, links: &Links<Token>, id: LinkId, account: u16, kind: Kind, in_order: u8) {
        self.book.write(kind, account, MessageKey::default(), links.now().as_nanos(), |record| {
            (record.link, record.state) = (link_number(id), in_order);
        });
    }

    /// A response came for nothing that waits. Ledgers tell whether that request was answered before or is late.
    fn answered_again(&mut self, links: &Links<Token>, id: LinkId, frame: Frame<'_>) {
        if !matches!(frame.command_id(), CommandId::SUBMIT_SM_RESP | CommandId::GENERIC_NACK) {
            return;
        }
        let account = self.slots.account(id).unwrap_or_default();
        self.heard_at = links.now().as_nanos();
        self.book.write(Kind::AnsweredAgain, account, MessageKey::default(), self.heard_at, |record| {
            (record.link, record.number) = (link_number(id), frame.sequence_number());
            (record.status, record.id_hash) = (frame.command_status().0, id_hash(c_octets(frame.body())));
        });
    }

    /// A bind did not come about: at the start that ends the run if it is the target's word, later it is tried again.
    fn bind_trouble(&mut self, trouble: String, refused: bool) {
        if refused && self.stage.is_starting() {
            self.failure.get_or_insert(trouble);
        } else {
            self.last_trouble = Some(trouble);
        }
    }

    fn answered(
        &mut self,
        links: &mut Links<Token>,
        link: LinkId,
        token: Token,
        frame: Frame<'_>,
        sent_at: Instant,
    ) {
        let now = links.now().as_nanos();
        let status = frame.command_status().0;
        let due_to_answer = self.offset(links).saturating_sub(token.due);
        self.in_flight -= 1;
        self.heard_at = now;
        let phase = &mut self.measure.phases[usize::from(token.phase)];
        phase.submit_rt.record(due_to_answer);
        phase.submit_st.record(now.saturating_sub(sent_at.as_nanos()));
        self.interval.submit_rt.record(due_to_answer);
        let mut id = 0;
        if status == 0 {
            phase.ok += 1;
            self.interval.ok += 1;
            id = id_hash(c_octets(frame.body()));
            if self.parties[usize::from(token.account)].expects_receipts {
                let early = self.receipts.answered(token.account, id, Answered { token, at: now });
                if let Some(at) = early {
                    self.receipt_latency(Answered { token, at }, at);
                }
            }
        } else {
            phase.errors += 1;
            self.interval.errors += 1;
            *phase.statuses.entry(status).or_default() += 1;
        }
        let key = self.key(token);
        self.book.write(Kind::Answered, token.account, key, now, |record| {
            (record.status, record.id_hash, record.link) = (status, id, link_number(link));
        });
        self.refill(links, token.account);
    }

    fn requested(&mut self, links: &mut Links<Token>, id: LinkId, frame: Frame<'_>, pdu: &Pdu<'_>) {
        let sequence = frame.sequence_number();
        match pdu {
            Pdu::DeliverSm(deliver) => {
                let account = self.slots.account(id).unwrap_or_default();
                let now = links.now().as_nanos();
                match receipt_of(deliver) {
                    Some(receipt) => self.receipt(account, id, deliver, &receipt, now),
                    None => self.mobile_originated(account, id, deliver, now),
                }
                let party = &mut self.parties[usize::from(account)];
                if party.ack_delay == 0 {
                    acknowledge(links, id, sequence);
                } else {
                    party.acks.push_back((now + party.ack_delay, id, sequence));
                }
            }
            Pdu::DataSm(_) => {
                let resp = Pdu::DataSmResp(DataSmResp { message_id: b"", tlvs: Tlvs::default() });
                let _ = links.respond(id, sequence, CommandStatus::ESME_RSYSERR, &resp);
            }
            _ => {}
        }
    }

    fn receipt(
        &mut self,
        account: u16,
        link: LinkId,
        deliver: &DeliverSm<'_>,
        receipt: &ReceiptView<'_>,
        now: u64,
    ) {
        self.heard_at = now;
        self.interval.receipts += 1;
        let id = receipt.id.map_or(0, |id| id_hash(id.value));
        let last = receipt.finality != Finality::Intermediate;
        let found = self.receipts.received(account, id, last, now);
        if let Some(answered) = found.filter(|_| last) {
            self.receipt_latency(answered, now);
        }
        self.book.write(Kind::ReceiptReceived, account, MessageKey::default(), now, |record| {
            (record.id_hash, record.link) = (id, link_number(link));
            record.set_digest(&ReceiptDigest::of(deliver, receipt));
            if let (true, Some(in_text)) = (receipt.ids_differ(), receipt.id_in_text()) {
                record.set_id_in_text(id_hash(in_text));
            }
        });
    }

    fn receipt_latency(&mut self, Answered { token, at }: Answered, now: u64) {
        let due_to_receipt = now.saturating_sub(self.begin).saturating_sub(token.due);
        let phase = &mut self.measure.phases[usize::from(token.phase)];
        phase.receipts += 1;
        phase.receipt_rt.record(due_to_receipt);
        phase.receipt_st.record(now.saturating_sub(at));
        self.interval.receipt_rt.record(due_to_receipt);
    }

    fn mobile_originated(&mut self, account: u16, link: LinkId, deliver: &DeliverSm<'_>, now: u64) {
        self.measure.mo += 1;
        self.interval.mo += 1;
        let owner = self.numbers.get(deliver.destination.digits).copied();
        let found = MessageKey::find(deliver.payload(), deliver.esm_class.0, deliver.data_coding.0);
        self.book.write(Kind::MoReceived, account, found.unwrap_or_default(), now, |record| {
            (record.fingerprint, record.link) = (ledger::fingerprint_mo(deliver), link_number(link));
            record.extra = ledger::addresses_of(deliver.source.digits, deliver.destination.digits);
            record.state = if owner.is_some_and(|owner| owner != account) { Record::MO_ELSEWHERE } else { 0 };
        });
    }
}

/// Answers a deliver_sm. A session that ended meanwhile needs no answer.
pub(super) fn acknowledge(links: &mut Links<Token>, id: LinkId, sequence: u32) {
    let resp = Pdu::DeliverSmResp(DeliverSmResp { message_id: b"", tlvs: Tlvs::default() });
    let _ = links.respond(id, sequence, CommandStatus::ESME_ROK, &resp);
}

/// A C-octet string at the head of a body, without its zero; all of it when there is none.
fn c_octets(body: &[u8]) -> &[u8] {
    body.iter().position(|octet| *octet == 0).map_or(body, |end| &body[..end])
}
