//! What the relay wants done is done here, in the order given.

use crate::app::{ShardApp, Token, link_of};
use crate::mail::Mail;
use link::Links;
use relay::{Output, ShardIndex, ShardMessage, SpoolOp, StoreOp};
use smpp::field::{CommandId, CommandStatus};
use smpp::pdu::{DataSmResp, DeliverSmResp, Pdu, SubmitSmResp};
use smpp::text::message_id::GatewayId;
use smpp::tlv::Tlvs;

impl ShardApp {
    /// Carries out all that the relay has to say. Failures go back into it and may give more to do.
    pub(crate) fn carry_out(&mut self, links: &mut Links<Token>) {
        loop {
            while let Some(output) = self.relay.poll() {
                self.carry_out_one(links, output);
            }
            while let Some(answer) = self.relay.poll_node() {
                self.answer_node(links, answer);
            }
            while let Some(op) = self.relay.poll_store() {
                self.ask_store(links, op);
            }
            while let Some(op) = self.relay.poll_spool() {
                self.ask_spool(links, op);
            }
            let Some((to, message)) = self.relay.poll_shard() else { return self.take_records(links) };
            self.send_to_shard(links, to, message);
        }
    }

    fn carry_out_one(&mut self, links: &mut Links<Token>, output: Output) {
        match output {
            Output::SendSubmit { link, message } => {
                let bytes = self.relay.bytes(message);
                if links.request_frame(link_of(link), bytes, Token::Message(message)).is_err() {
                    self.relay.send_failed(links.now(), message);
                }
            }
            Output::SendDeliver { link, delivery } => {
                let bytes = self.relay.delivery_bytes(delivery);
                if links.request_frame(link_of(link), bytes, Token::Delivery(delivery)).is_err() {
                    self.relay.delivery_failed(links.now(), delivery);
                }
            }
            Output::AnswerSubmit { link, sequence, command, status, message_id } => {
                // A customer whose link is gone gets no answer; its message goes its way.
                let _ = answer_submit(links, link_of(link), sequence, command, status, message_id);
            }
            Output::AnswerDeliver { link, sequence, command, status } => {
                let pdu = if command == CommandId::DATA_SM_RESP {
                    Pdu::DataSmResp(DataSmResp { message_id: &[], tlvs: Tlvs::default() })
                } else {
                    Pdu::DeliverSmResp(DeliverSmResp { message_id: &[], tlvs: Tlvs::default() })
                };
                // A vendor whose link is gone delivers again.
                let _ = links.respond(link_of(link), sequence, status, &pdu);
            }
            Output::Drained => self.drained.ring(),
        }
    }

    /// A store that is gone, or so far behind that asking would only cost memory, is answered for. What must be told waits
    /// for one that is behind; deliveries and correlations that it was asked for before bound it.
    fn ask_store(&mut self, links: &mut Links<Token>, op: StoreOp) {
        match &mut self.store {
            Some(store) if !store.is_stuck() || (op.must_be_told() && !store.is_gone()) => {
                store.keep(op);
                links.schedule_flush();
            }
            Some(_) => {
                if let Some(answer) = op.away() {
                    self.relay.handle_store_answer(links.now(), answer);
                }
            }
            None => {}
        }
    }

    /// As [`ShardApp::ask_store`]. Where there is no spool the answer is the same: nothing can be kept. What became of
    /// a message is always told, or it would wait for a restart; messages that are open bound it.
    fn ask_spool(&mut self, links: &mut Links<Token>, op: SpoolOp) {
        let must_be_told = matches!(op, SpoolOp::Settle { .. } | SpoolOp::Defer { .. });
        match &mut self.spool {
            Some(spool) if must_be_told || !spool.is_stuck() => {
                spool.keep(op);
                links.schedule_flush();
            }
            _ => {
                if let Some(answer) = op.away() {
                    self.relay.handle_spool_answer(links.now(), answer);
                }
            }
        }
    }

    fn send_to_shard(&mut self, links: &mut Links<Token>, to: ShardIndex, message: ShardMessage) {
        let Some(Some(outgoing)) = self.others.get_mut(usize::from(to.0)) else {
            return self.relay.handle_undelivered(links.now(), to, message);
        };
        links.schedule_flush();
        if message.may_come_back() {
            if let Err(Mail::Relay(message)) = outgoing.offer(Mail::Relay(message)) {
                self.relay.handle_undelivered(links.now(), to, message);
            }
        } else {
            outgoing.keep(Mail::Relay(message));
        }
    }

    /// Wakes every reader that something was sent to in this turn.
    pub(crate) fn flush_mail(&mut self) {
        for outgoing in self.others.iter_mut().flatten() {
            outgoing.flush();
        }
        if let Some(store) = &mut self.store {
            store.flush();
        }
        if let Some(spool) = &mut self.spool {
            spool.flush();
        }
        self.flush_records();
        self.control.flush();
    }

    /// Words that wait because a mailbox is full.
    pub(crate) fn waiting(&self) -> usize {
        let others: usize = self.others.iter().flatten().map(|outgoing| outgoing.waiting()).sum();
        let spool = self.spool.as_ref().map_or(0, |spool| spool.waiting());
        let records = self.records.as_ref().map_or(0, |records| records.waiting());
        let store = self.store.as_ref().map_or(0, |store| store.waiting());
        others + store + spool + records + self.control.waiting()
    }
}

fn answer_submit(
    links: &mut Links<Token>,
    link: link::LinkId,
    sequence: u32,
    command: CommandId,
    status: CommandStatus,
    message_id: Option<GatewayId>,
) -> Result<(), link::SendError> {
    let Some(id) = message_id else {
        return links.respond_empty(link, command, sequence, status);
    };
    let text = id.text();
    let message_id = &text[..];
    let pdu = if command == CommandId::DATA_SM_RESP {
        Pdu::DataSmResp(DataSmResp { message_id, tlvs: Tlvs::default() })
    } else {
        Pdu::SubmitSmResp(SubmitSmResp { message_id, tlvs: Tlvs::default() })
    };
    links.respond(link, sequence, status, &pdu)
}
