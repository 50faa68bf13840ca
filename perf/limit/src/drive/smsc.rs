//! The raw SMSC: accepts every bind, answers every submit with an id, sends a receipt when asked.

use std::collections::VecDeque;

use super::tally::Tally;
use super::template::{Receipt, Submit, append_submit_resp};
use crate::wire::{self, RESPONSE};

/// Octets 1..=16 of a bind_resp body: who we are.
const SYSTEM_ID: &[u8] = b"limit\0";
/// ESME_RSYSERR (SMPP 3.4 §5.1.3): for a submit we do not recognise.
const SYSTEM_ERROR: u32 = 8;

/// One connection from the relay or gateway.
pub(super) struct Smsc {
    /// Receipts on their way at most.
    window: usize,
    in_flight: usize,
    next_sequence: u32,
    /// Messages whose receipt waits for the window; bounded by the messages of the run.
    waiting: VecDeque<u32>,
    pub(super) bound: bool,
    pub(super) unbound: bool,
}

impl Smsc {
    pub(super) fn new(window: usize) -> Smsc {
        Smsc {
            window,
            in_flight: 0,
            next_sequence: 1,
            waiting: VecDeque::new(),
            bound: false,
            unbound: false,
        }
    }

    /// Handles one PDU; answers are appended to `out`.
    #[inline(always)]
    pub(super) fn handle(
        &mut self,
        pdu: &[u8],
        submit: &Submit,
        with_receipts: bool,
        tally: &mut Tally,
        out: &mut Vec<u8>,
    ) {
        const DELIVER_RESP: u32 = wire::DELIVER_SM | RESPONSE;
        let (command, sequence) = (wire::command(pdu), wire::sequence(pdu));
        match command {
            wire::SUBMIT_SM => match submit.index_if_unchanged(pdu) {
                Some(index) if tally.arrive(index) => {
                    append_submit_resp(index, sequence, out);
                    if with_receipts {
                        self.waiting.push_back(index);
                    }
                }
                other => {
                    tally.counts.altered += u64::from(other.is_none());
                    out.extend_from_slice(&wire::pdu(command | RESPONSE, SYSTEM_ERROR, sequence, &[]));
                }
            },
            DELIVER_RESP => {
                self.in_flight = self.in_flight.saturating_sub(1);
                match wire::status(pdu) {
                    0 => tally.counts.receipts_acknowledged += 1,
                    _ => tally.counts.receipts_refused += 1,
                }
            }
            wire::BIND_TRANSCEIVER | wire::BIND_TRANSMITTER | wire::BIND_RECEIVER => {
                self.bound = true;
                out.extend_from_slice(&wire::pdu(command | RESPONSE, 0, sequence, SYSTEM_ID));
            }
            wire::ENQUIRE_LINK => out.extend_from_slice(&wire::pdu(command | RESPONSE, 0, sequence, &[])),
            wire::UNBIND => {
                self.unbound = true;
                out.extend_from_slice(&wire::pdu(command | RESPONSE, 0, sequence, &[]));
            }
            _ if command & RESPONSE != 0 => {}
            _ => tally.counts.unexpected += 1,
        }
    }

    /// Takes away the messages whose receipts wait.
    pub(super) fn take_waiting(&mut self) -> impl Iterator<Item = u32> + '_ {
        self.waiting.drain(..)
    }

    /// Sends the receipt of this message too.
    pub(super) fn add_waiting(&mut self, index: u32) {
        self.waiting.push_back(index);
    }

    /// Sends receipts as far as the window goes.
    pub(super) fn send_receipts(&mut self, template: &Receipt, tally: &mut Tally, out: &mut Vec<u8>) {
        while self.in_flight < self.window {
            let Some(index) = self.waiting.pop_front() else { return };
            template.append(index, self.next_sequence, out);
            self.next_sequence = wire::next_sequence(self.next_sequence);
            self.in_flight += 1;
            tally.counts.receipts_sent += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submit_is_answered_once_and_its_receipt_waits_for_the_window() {
        let (submit, receipt, mut tally) = (Submit::new(true), Receipt::new(), Tally::new(true).unwrap());
        let (mut smsc, mut out) = (Smsc::new(1), Vec::new());
        for sequence in [10, 11] {
            let mut pdu = Vec::new();
            submit.append(tally.submit(), sequence, &mut pdu);
            smsc.handle(&pdu, &submit, true, &mut tally, &mut out);
        }
        assert_eq!(tally.counts.arrived, 2);
        smsc.send_receipts(&receipt, &mut tally, &mut out);
        assert_eq!(tally.counts.receipts_sent, 1);
        let ack = wire::pdu(wire::DELIVER_SM | RESPONSE, 0, 1, &[0]);
        smsc.handle(&ack, &submit, true, &mut tally, &mut out);
        smsc.send_receipts(&receipt, &mut tally, &mut out);
        assert_eq!((tally.counts.receipts_sent, tally.counts.receipts_acknowledged), (2, 1));
    }

    #[test]
    fn a_changed_submit_is_answered_with_an_error() {
        let (submit, mut tally, mut out) = (Submit::new(false), Tally::new(false).unwrap(), Vec::new());
        let mut pdu = Vec::new();
        submit.append(tally.submit(), 3, &mut pdu);
        pdu[40] ^= 1;
        Smsc::new(1).handle(&pdu, &submit, false, &mut tally, &mut out);
        assert_eq!((tally.counts.altered, wire::status(&out), wire::sequence(&out)), (1, SYSTEM_ERROR, 3));
    }
}
