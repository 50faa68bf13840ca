//! One customer: binds, keeps its window full, answers what is delivered to it.

use anyhow::bail;

use super::tally::Tally;
use super::template::{Submit, read_receipt};
use crate::wire::{self, RESPONSE};

/// Sequence number of the bind; messages follow it.
const BIND_SEQUENCE: u32 = 1;

/// One bind.
pub(super) struct Customer {
    /// The command of its bind.
    kind: u32,
    window: usize,
    in_flight: usize,
    next_sequence: u32,
    /// By sequence number; several times the window, so that one slow answer does not hold up the others.
    slots: Vec<Slot>,
    pub(super) state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Binding,
    Bound,
    /// The target refused the bind; it is tried again.
    Refused,
    Unbound,
}

#[derive(Clone, Copy)]
struct Slot {
    /// 0 = free.
    sequence: u32,
    index: u32,
    sent_at: u64,
}

impl Customer {
    pub(super) fn new(window: usize, kind: u32) -> Customer {
        let free = Slot { sequence: 0, index: 0, sent_at: 0 };
        let slots = vec![free; (4 * window).next_power_of_two()];
        Customer {
            kind,
            window,
            in_flight: 0,
            next_sequence: BIND_SEQUENCE + 1,
            slots,
            state: State::Binding,
        }
    }

    pub(super) fn bind(kind: u32, system_id: &str, password: &str) -> Vec<u8> {
        wire::bind(kind, BIND_SEQUENCE, system_id, password)
    }

    /// True for one that gets deliveries only.
    pub(super) fn is_receiver(&self) -> bool {
        self.kind == wire::BIND_RECEIVER
    }

    /// Fills the window while `left` messages are still to be sent.
    pub(super) fn fill(
        &mut self,
        submit: &Submit,
        tally: &mut Tally,
        left: &mut u64,
        now: u64,
        out: &mut Vec<u8>,
    ) {
        let mask = self.slots.len() - 1;
        while self.in_flight < self.window && *left > 0 {
            let sequence = self.next_sequence;
            let slot = &mut self.slots[sequence as usize & mask];
            if slot.sequence != 0 {
                return;
            }
            let index = tally.submit();
            *slot = Slot { sequence, index, sent_at: now };
            submit.append(index, sequence, out);
            self.next_sequence = wire::next_sequence(sequence);
            self.in_flight += 1;
            *left -= 1;
        }
    }

    /// Handles one PDU from the target.
    pub(super) fn handle(
        &mut self,
        pdu: &[u8],
        tally: &mut Tally,
        now: u64,
        out: &mut Vec<u8>,
    ) -> anyhow::Result<()> {
        const SUBMIT_RESP: u32 = wire::SUBMIT_SM | RESPONSE;
        const TRANSCEIVER_RESP: u32 = wire::BIND_TRANSCEIVER | RESPONSE;
        const TRANSMITTER_RESP: u32 = wire::BIND_TRANSMITTER | RESPONSE;
        const RECEIVER_RESP: u32 = wire::BIND_RECEIVER | RESPONSE;
        const UNBIND_RESP: u32 = wire::UNBIND | RESPONSE;
        match wire::command(pdu) {
            SUBMIT_RESP => self.answered(pdu, tally, now),
            wire::DELIVER_SM => {
                match read_receipt(pdu) {
                    Some(receipt) => tally.receipt(receipt.index, receipt.id),
                    None => tally.counts.receipts_wrong += 1,
                }
                let resp = wire::pdu(wire::DELIVER_SM | RESPONSE, 0, wire::sequence(pdu), &[0]);
                out.extend_from_slice(&resp);
            }
            wire::ENQUIRE_LINK => {
                out.extend_from_slice(&wire::pdu(wire::ENQUIRE_LINK | RESPONSE, 0, wire::sequence(pdu), &[]));
            }
            TRANSCEIVER_RESP | TRANSMITTER_RESP | RECEIVER_RESP => {
                self.state = if wire::status(pdu) == 0 { State::Bound } else { State::Refused };
            }
            UNBIND_RESP => self.state = State::Unbound,
            wire::UNBIND => bail!("the target unbound"),
            _ => tally.counts.unexpected += 1,
        }
        Ok(())
    }

    #[inline(always)]
    fn answered(&mut self, pdu: &[u8], tally: &mut Tally, now: u64) {
        let mask = self.slots.len() - 1;
        let sequence = wire::sequence(pdu);
        let slot = &mut self.slots[sequence as usize & mask];
        if slot.sequence != sequence || sequence == 0 {
            tally.counts.stray_responses += 1;
            return;
        }
        slot.sequence = 0;
        self.in_flight -= 1;
        let id = pdu[wire::HEADER..].strip_suffix(&[0]).unwrap_or_default();
        if wire::status(pdu) == 0 && !id.is_empty() {
            tally.answer(slot.index, id, now - slot.sent_at);
        } else {
            tally.counts.refused += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::each_pdu;

    #[test]
    fn the_window_bounds_what_is_sent_and_answers_open_it() {
        let (submit, mut tally) = (Submit::new(false), Tally::new(false).unwrap());
        let (mut customer, mut out, mut left) = (Customer::new(3, wire::BIND_TRANSCEIVER), Vec::new(), 5);
        customer.fill(&submit, &mut tally, &mut left, 100, &mut out);
        assert_eq!((customer.in_flight, left), (3, 2));
        let mut sequences = Vec::new();
        each_pdu(&mut out, |pdu| {
            sequences.push(wire::sequence(pdu));
            Ok(())
        })
        .unwrap();
        assert_eq!(sequences, [2, 3, 4]);
        let resp = wire::pdu(wire::SUBMIT_SM | RESPONSE, 0, 3, b"id\0");
        let mut answers = Vec::new();
        customer.handle(&resp, &mut tally, 200, &mut answers).unwrap();
        customer.handle(&resp, &mut tally, 200, &mut answers).unwrap();
        assert_eq!((tally.counts.answered, tally.counts.stray_responses), (1, 1));
        customer.fill(&submit, &mut tally, &mut left, 300, &mut out);
        assert_eq!((customer.in_flight, left), (3, 1));
    }

    #[test]
    fn an_error_or_an_empty_id_is_a_refusal() {
        for (status, body) in [(0x58, &b""[..]), (0, b"\0"), (0, b"")] {
            let (submit, mut tally) = (Submit::new(false), Tally::new(false).unwrap());
            let (mut customer, mut out, mut left) = (Customer::new(1, wire::BIND_TRANSCEIVER), Vec::new(), 1);
            customer.fill(&submit, &mut tally, &mut left, 1, &mut out);
            let resp = wire::pdu(wire::SUBMIT_SM | RESPONSE, status, 2, body);
            customer.handle(&resp, &mut tally, 2, &mut out).unwrap();
            assert_eq!((tally.counts.answered, tally.counts.refused), (0, 1), "status {status}");
        }
    }
}
