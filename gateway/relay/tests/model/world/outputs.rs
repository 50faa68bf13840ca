//! Carrying out what the relays want, and what must hold of each such wish.

use super::World;
use crate::scene::*;
use crate::wire;
use gateway_relay::{DeliveryKey, LinkKey, MessageKey, Output, UnknownOutcome};
use smpp::field::CommandStatus;
use smpp::text::message_id::GatewayId;
use smpp::time::Instant;
use smpp::wire::Frame;

impl World {
    /// Carries out what a relay wants, until it wants nothing.
    pub(super) fn pump(&mut self, shard: u8) {
        let mut steps = 0;
        loop {
            steps += 1;
            assert!(
                steps < 100_000,
                "shard {shard} goes round: {:?}",
                self.relays[usize::from(shard)].counters()
            );
            let relay = &mut self.relays[usize::from(shard)];
            if let Some(output) = relay.poll() {
                self.note(&format!("{shard} {output:?}"));
                self.carry_out(shard, output);
            } else if let Some(op) = relay.poll_store() {
                let delay = self.random.below(5);
                self.later_in_order((200, shard), delay, Event::Store { shard, op });
            } else if let Some((to, message)) = relay.poll_shard() {
                assert_ne!(to.0, shard);
                let delay = 1 + self.random.below(3);
                self.later_in_order((shard, to.0), delay, Event::Mail { from: shard, to: to.0, message });
            } else {
                return;
            }
        }
    }

    pub(super) fn carry_out(&mut self, shard: u8, output: Output) {
        match output {
            Output::SendSubmit { link, message } => self.send_submit(shard, link, message),
            Output::AnswerSubmit { link, sequence, command, status, message_id } => {
                let number = self.by_sequence[&(link, sequence)] as usize;
                assert_eq!(command, self.submits[number].command.response(), "answered as another PDU");
                self.submit_answered(link, sequence, status, message_id);
            }
            Output::SendDeliver { link, delivery } => self.send_deliver(shard, link, delivery),
            Output::AnswerDeliver { link, sequence, command: _, status } => {
                let Some(bind) = self.links.get_mut(&link) else { return };
                let upward = bind.upwards.remove(&sequence).expect("one answer for each deliver_sm");
                if status == CommandStatus::ESME_ROK {
                    self.upwards[upward].acked = true;
                } else {
                    assert_eq!(status, CommandStatus::ESME_RX_T_APPN);
                    self.later(50, Event::Upward { upward });
                }
            }
            Output::Drained => self.drained += 1,
        }
    }

    pub(super) fn send_submit(&mut self, shard: u8, link: LinkKey, message: MessageKey) {
        let relay = &mut self.relays[usize::from(shard)];
        let now = Instant::from_nanos(self.now_ms * 1_000_000);
        let Some(bind) = self.links.get_mut(&link) else { return relay.send_failed(now, message) };
        assert_eq!(bind.shard, shard);
        let frame = Frame::whole(relay.bytes(message)).unwrap();
        let (text, _) = wire::content(frame.bytes()).unwrap();
        let number = wire::number_in(text, b'm').unwrap();
        assert_eq!(frame.command_id(), self.submits[number as usize].command, "sent as another PDU");
        assert!((bind.flights.len() as u32) < bind.window, "window of {link:?} exceeded");
        if self.faults && self.random.percent(1) {
            return relay.send_failed(now, message);
        }
        bind.flights.push((message, number, false));
        let submit = &mut self.submits[number as usize];
        submit.hands += 1;
        if submit.hands == 1 && !self.faults && self.relays.len() == 1 {
            let last = bind.last_first_try.insert(submit.session, number);
            assert!(last < Some(number), "message {number} overtook {last:?} on {link:?}");
        }
        let delay = self.random.below(3);
        self.later_in_order((202, link.0 as u8), delay, Event::Written { link, message });
    }

    pub(super) fn submit_answered(
        &mut self,
        link: LinkKey,
        sequence: u32,
        status: CommandStatus,
        message_id: Option<GatewayId>,
    ) {
        let number = self.by_sequence[&(link, sequence)];
        let submit = &mut self.submits[number as usize];
        submit.answers += 1;
        assert_eq!(submit.answers, 1, "message {number} answered twice");
        assert!(!submit.session_lost, "message {number} answered on a lost session");
        assert_eq!(message_id.is_some(), status == CommandStatus::ESME_ROK);
        match status {
            CommandStatus::ESME_ROK => {
                self.story.accepted += 1;
                assert!(!submit.accepts.is_empty(), "message {number}: success without a vendor");
                let waits = POLICIES[submit.account] == UnknownOutcome::Hold;
                assert!(waits || !submit.accepts_answered.is_empty(), "message {number}: nobody said so");
                submit.gateway_id = message_id;
                let before = self.by_gateway_id.insert(message_id.unwrap(), number);
                assert_eq!(before, None, "an id was given twice");
            }
            CommandStatus::ESME_RUNKNOWNERR => self.story.unknown += 1,
            _ => {
                self.story.refused += 1;
                assert_eq!(
                    submit.copies_open, 0,
                    "message {number}: a definite no, but a vendor may have it"
                );
            }
        }
    }

    pub(super) fn send_deliver(&mut self, shard: u8, link: LinkKey, delivery: DeliveryKey) {
        let now = self.now();
        let relay = &mut self.relays[usize::from(shard)];
        let Some(session) = self.sessions.get_mut(&link) else { return relay.delivery_failed(now, delivery) };
        let (text, receipt) = wire::content(relay.delivery_bytes(delivery)).unwrap();
        let carried = match receipt {
            Some(view) => {
                let number = wire::number_in(text, b'm').unwrap();
                assert!(!view.ids_differ());
                let id = GatewayId::parse(view.id.unwrap().value).expect("our id");
                let submit = &self.submits[number as usize];
                assert_eq!(submit.account, session.account, "a receipt at the wrong customer");
                if submit.answers > 0 {
                    assert_eq!(submit.gateway_id, Some(id), "a receipt with another id");
                }
                Carried::Receipt(number)
            }
            None => {
                let number = wire::number_in(text, b'o').unwrap();
                assert_eq!(self.upwards[number as usize].owner, Some(session.account));
                Carried::Mo(number)
            }
        };
        session.outstanding.insert(delivery, carried);
        let mood = if self.faults && !self.healing { self.random.below(100) } else { 0 };
        let status = match mood {
            0..85 => Some(CommandStatus::ESME_ROK),
            85..93 => Some(CommandStatus::ESME_RX_T_APPN),
            93..95 => Some(CommandStatus::ESME_RX_R_APPN),
            _ => None,
        };
        let delay = 1 + self.random.below(20);
        self.later(delay, Event::CustomerAnswers { link, delivery, status });
    }
}
