//! The traces: what is sent, in which order, and what must come of it.

use crate::gateway::{Gateway, Side};
use crate::memory::{self, Injection};
use crate::pdus;
use bytes::BytesMut;
use smpp::{CommandId, CommandStatus};
use std::time::Duration;

/// Messages of a batch where the trace is about throughput: what a busy link carries in one read.
const BATCH: u32 = 50;
/// Time that passes for each message in memory: 50,000 a second, so that ticks have their usual share.
const PER_MESSAGE: Duration = Duration::from_micros(20);

/// One kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Trace {
    /// Submits in batches, each answered by the vendor
    Submit,
    /// The same, one message at a time: what a turn costs stands out
    Single,
    /// Submits, answers, correlations, receipts, their answers
    Cycle,
    /// Submits over the limit of their number
    Throttled,
    /// Messages from a handset
    Mo,
}

impl Trace {
    const fn batch(self) -> u32 {
        match self {
            Trace::Single => 1,
            _ => BATCH,
        }
    }

    /// Sends `messages` and judges every answer.
    pub(crate) fn run(self, gateway: &mut Gateway, messages: u32, injection: Injection) {
        let batch = self.batch();
        assert!(messages.is_multiple_of(batch), "whole batches of {batch}");
        let mut out = BytesMut::new();
        for first in (0..messages).step_by(batch as usize) {
            memory::inject(Injection {
                rounds: injection.rounds * u64::from(batch),
                allocations: injection.allocations * u64::from(batch),
            });
            let numbers = first..first + batch;
            match self {
                Trace::Submit | Trace::Single => submit(gateway, numbers, false, &mut out),
                Trace::Cycle => cycle(gateway, numbers, &mut out),
                Trace::Throttled => throttled(gateway, numbers, &mut out),
                Trace::Mo => mo(gateway, numbers, &mut out),
            }
            memory::advance(PER_MESSAGE * batch);
        }
    }
}

type Numbers = std::ops::Range<u32>;

/// Submits, and the vendor's answers to the customer. Of messages that want a receipt the store is told first.
fn submit(gateway: &mut Gateway, numbers: Numbers, wants_receipt: bool, out: &mut BytesMut) {
    let count = numbers.len();
    out.clear();
    // The bind had sequence number 1.
    numbers.clone().for_each(|number| pdus::submit(wants_receipt, number + 2, out));
    gateway.customer.send(out);
    out.clear();
    for (heard, number) in gateway.vendor.expect(count).iter().zip(numbers) {
        assert_eq!(heard.command, CommandId::SUBMIT_SM.0);
        pdus::submit_answer(number, heard.sequence, out);
    }
    gateway.vendor.send(out);
    if wants_receipt {
        gateway.serve_store(count);
    }
    answered(&mut gateway.customer, count, CommandId::SUBMIT_SM, CommandStatus::ESME_ROK);
}

fn cycle(gateway: &mut Gateway, numbers: Numbers, out: &mut BytesMut) {
    let count = numbers.len();
    submit(gateway, numbers.clone(), true, out);
    out.clear();
    numbers.for_each(|number| pdus::receipt(number, number + 1, out));
    gateway.vendor.send(out);
    gateway.serve_store(count);
    delivered(gateway, count, out);
}

fn mo(gateway: &mut Gateway, numbers: Numbers, out: &mut BytesMut) {
    let count = numbers.len();
    out.clear();
    numbers.for_each(|number| pdus::mo(number + 1, out));
    gateway.vendor.send(out);
    delivered(gateway, count, out);
}

/// The customer takes deliveries, and the vendor hears of it.
fn delivered(gateway: &mut Gateway, count: usize, out: &mut BytesMut) {
    out.clear();
    for heard in gateway.customer.expect(count) {
        assert_eq!(heard.command, CommandId::DELIVER_SM.0);
        pdus::deliver_answer(heard.sequence, out);
    }
    gateway.customer.send(out);
    answered(&mut gateway.vendor, count, CommandId::DELIVER_SM, CommandStatus::ESME_ROK);
}

/// The first message of all has the number's one token, so that a batch before the others takes it.
fn throttled(gateway: &mut Gateway, numbers: Numbers, out: &mut BytesMut) {
    if numbers.start == 0 {
        let first = numbers.start..numbers.start + 1;
        submit(gateway, first, false, out);
        let others = numbers.len() - 1;
        return refused(gateway, others, numbers.start + 1, out);
    }
    refused(gateway, numbers.len(), numbers.start, out);
}

fn refused(gateway: &mut Gateway, count: usize, first: u32, out: &mut BytesMut) {
    out.clear();
    (first..first + count as u32).for_each(|number| pdus::submit(false, number + 2, out));
    gateway.customer.send(out);
    answered(&mut gateway.customer, count, CommandId::SUBMIT_SM, CommandStatus::ESME_RTHROTTLED);
}

fn answered(side: &mut Side, count: usize, request: CommandId, status: CommandStatus) {
    for heard in side.expect(count) {
        assert_eq!((heard.command, heard.status), (request.response().0, status.0));
    }
}
