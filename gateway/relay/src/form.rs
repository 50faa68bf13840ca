//! The door: every PDU that carries a message is judged here before the relay takes it, so that what leaves in either
//! direction is well-formed. A strict frame comes in as it is. Another is written anew from what was understood, or
//! refused with the standard's status; see [`smpp::strict`].
//!
//! What an earlier version left in the spool and among the parked goes through the same door when it is handed out.

use crate::admit::Submission;
use crate::input::Arrival;
use crate::message::Key;
use crate::output::Output;
use crate::refusal::{DeliveryRefusal, Refusal};
use crate::relay::{Party, Relay};
use crate::route::{Candidate, PlanIndex};
use crate::snapshot::Vendor;
use bytes::BytesMut;
use smpp::dialect::Dialect;
use smpp::error::{DecodeError, Field, Problem};
use smpp::field::CommandId;
use smpp::pdu::{DataSm, DeliverSm, Pdu, SubmitSm};
use smpp::strict::{Verdict, reserved_in_data, reserved_in_submit};
use smpp::version::{Unsayable, unsayable};
use smpp::wire::Frame;

/// Octets by which a route's new addresses can lengthen a PDU.
const REWRITE_GROWTH_MAX: usize = 2 * crate::route::ADDRESS_LENGTH_MAX;

/// What a vendor may look at in a message beside its fields.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Form {
    /// Octets of its PDU.
    pub(crate) length: usize,
    /// A one-octet field with a reserved value.
    pub(crate) reserved: Option<Field>,
    /// Why SMPP 3.3 cannot say it.
    pub(crate) unsayable: Option<Unsayable>,
}

/// Reads a whole PDU and judges it.
fn judge(pdu: &[u8]) -> Result<(Pdu<'_>, Verdict), DecodeError> {
    let cut = DecodeError { problem: Problem::Truncated, field: Field::Body, offset: 0 };
    let frame = Frame::whole(pdu).ok_or(cut)?;
    let view = Pdu::decode(frame, &Dialect::tolerant())?;
    let verdict = match &view {
        Pdu::SubmitSm(submit) => submit.verdict(frame),
        Pdu::DeliverSm(deliver) => deliver.verdict(frame),
        Pdu::DataSm(data) => data.verdict(frame),
        _ => return Err(DecodeError { problem: Problem::Value, field: Field::CommandId, offset: 4 }),
    };
    Ok((view, verdict))
}

fn write_strict(pdu: &Pdu<'_>, sequence_number: u32, out: &mut BytesMut) {
    out.clear();
    match pdu {
        Pdu::SubmitSm(submit) => submit.write_strict(sequence_number, out),
        Pdu::DeliverSm(deliver) => deliver.write_strict(sequence_number, out),
        Pdu::DataSm(data) => data.write_strict(sequence_number, out),
        _ => debug_assert!(false, "only PDUs that carry messages are written anew"),
    }
}

/// True where what leaves is well-formed, or is not there; for assertions.
pub(crate) fn may_leave(pdu: &[u8]) -> bool {
    pdu.is_empty() || judge(pdu).is_ok_and(|(_, verdict)| verdict == Verdict::Strict)
}

impl Vendor {
    /// Whether it takes a message of this form.
    fn takes(&self, form: Form, growth: usize) -> bool {
        let is_short = self.pdu_size_max == 0 || form.length + growth <= self.pdu_size_max as usize;
        let is_sayable = form.unsayable.is_none() || self.version.has_tlvs();
        is_short && is_sayable && (form.reserved.is_none() || !self.strict_values)
    }
}

impl Relay {
    /// A customer's submit_sm.
    #[inline]
    pub fn handle_submit(&mut self, arrival: Arrival, frame: Frame<'_>, pdu: &SubmitSm<'_>) {
        match pdu.verdict(frame) {
            Verdict::Strict => {
                let mut submission = Submission::of_submit(pdu);
                if self.snapshot.has_strict_values() {
                    submission.reserved = reserved_in_submit(pdu);
                }
                if self.snapshot.has_older_vendors() {
                    submission.unsayable = unsayable(&Pdu::SubmitSm(*pdu));
                }
                self.submit(arrival, frame, &submission);
            }
            verdict => self.submit_odd(arrival, frame, &Pdu::SubmitSm(*pdu), verdict),
        }
    }

    /// A customer's data_sm; goes to the vendor as data_sm and is answered by data_sm_resp.
    #[inline]
    pub fn handle_submit_data(&mut self, arrival: Arrival, frame: Frame<'_>, pdu: &DataSm<'_>) {
        match pdu.verdict(frame) {
            Verdict::Strict => {
                let mut submission = Submission::of_data(pdu);
                if self.snapshot.has_strict_values() {
                    submission.reserved = reserved_in_data(pdu);
                }
                if self.snapshot.has_older_vendors() {
                    submission.unsayable = unsayable(&Pdu::DataSm(*pdu));
                }
                self.submit(arrival, frame, &submission);
            }
            verdict => self.submit_odd(arrival, frame, &Pdu::DataSm(*pdu), verdict),
        }
    }

    /// Another node's submit_sm; answered by [`Relay::poll_node`].
    pub fn handle_node_submit(&mut self, arrival: Arrival, frame: Frame<'_>, pdu: &SubmitSm<'_>) {
        match pdu.verdict(frame) {
            Verdict::Strict => self.serve_node(arrival, frame, &Submission::of_submit(pdu)),
            verdict => self.submit_odd(arrival, frame, &Pdu::SubmitSm(*pdu), verdict),
        }
    }

    /// Another node's data_sm; answered by [`Relay::poll_node`].
    pub fn handle_node_data(&mut self, arrival: Arrival, frame: Frame<'_>, pdu: &DataSm<'_>) {
        match pdu.verdict(frame) {
            Verdict::Strict => self.serve_node(arrival, frame, &Submission::of_data(pdu)),
            verdict => self.submit_odd(arrival, frame, &Pdu::DataSm(*pdu), verdict),
        }
    }

    /// A vendor's deliver_sm: receipt or MO.
    #[inline]
    pub fn handle_deliver(&mut self, arrival: Arrival, frame: Frame<'_>, pdu: &DeliverSm<'_>) {
        match pdu.verdict(frame) {
            Verdict::Strict => self.deliver_sm(arrival, frame, pdu),
            verdict => self.deliver_odd(arrival, frame, &Pdu::DeliverSm(*pdu), verdict),
        }
    }

    /// A vendor's data_sm: receipt or MO.
    #[inline]
    pub fn handle_deliver_data(&mut self, arrival: Arrival, frame: Frame<'_>, pdu: &DataSm<'_>) {
        match pdu.verdict(frame) {
            Verdict::Strict => self.deliver_data(arrival, frame, pdu),
            verdict => self.deliver_odd(arrival, frame, &Pdu::DataSm(*pdu), verdict),
        }
    }

    /// A customer's, or another node's, message that is not strict.
    #[cold]
    fn submit_odd(&mut self, arrival: Arrival, frame: Frame<'_>, pdu: &Pdu<'_>, verdict: Verdict) {
        let is_node = matches!(self.parties.get(&arrival.link), Some(Party::Node(_)));
        if let Verdict::Refused(error) = verdict {
            let mut submission = match pdu {
                Pdu::DataSm(data) => Submission::of_data(data),
                Pdu::SubmitSm(submit) => Submission::of_submit(submit),
                _ => return,
            };
            submission.malformed = Some(Refusal::of_form(error));
            return match is_node {
                true => self.serve_node(arrival, frame, &submission),
                false => self.submit(arrival, frame, &submission),
            };
        }
        self.counters.traffic.submits_rewritten += 1;
        self.enter_anew(frame, pdu, |relay, frame, pdu| match pdu {
            Pdu::SubmitSm(submit) if is_node => relay.handle_node_submit(arrival, frame, &submit),
            Pdu::DataSm(data) if is_node => relay.handle_node_data(arrival, frame, &data),
            Pdu::SubmitSm(submit) => relay.handle_submit(arrival, frame, &submit),
            Pdu::DataSm(data) => relay.handle_submit_data(arrival, frame, &data),
            _ => {}
        });
    }

    /// A vendor's message that is not strict.
    #[cold]
    fn deliver_odd(&mut self, arrival: Arrival, frame: Frame<'_>, pdu: &Pdu<'_>, verdict: Verdict) {
        if let Verdict::Refused(error) = verdict {
            let Some(Party::Vendor(link)) = self.parties.get(&arrival.link).copied() else { return };
            let vendor = self.vendor_links[link].vendor;
            self.vendors[vendor].traffic.deliveries += 1;
            self.counters.traffic.deliveries_malformed += 1;
            self.counters.traffic.deliveries_refused += 1;
            return self.outputs.push_back(Output::AnswerDeliver {
                link: arrival.link,
                sequence: frame.sequence_number(),
                command: frame.command_id().response(),
                status: DeliveryRefusal::Malformed(error.status()).status(),
            });
        }
        self.counters.traffic.deliveries_rewritten += 1;
        self.enter_anew(frame, pdu, |relay, frame, pdu| match pdu {
            Pdu::DeliverSm(deliver) => relay.handle_deliver(arrival, frame, &deliver),
            Pdu::DataSm(data) => relay.handle_deliver_data(arrival, frame, &data),
            _ => {}
        });
    }

    /// Writes a PDU anew and goes on with that.
    fn enter_anew(
        &mut self,
        frame: Frame<'_>,
        pdu: &Pdu<'_>,
        go_on: impl FnOnce(&mut Self, Frame<'_>, Pdu<'_>),
    ) {
        let mut anew = core::mem::take(&mut self.anew);
        write_strict(pdu, frame.sequence_number(), &mut anew);
        let frame = Frame::whole(&anew);
        let read = frame.and_then(|frame| Some((frame, Pdu::decode(frame, &Dialect::strict()).ok()?)));
        debug_assert!(read.is_some(), "what was written anew is strict");
        // A mistake of ours would leave the request unanswered, which its sender survives.
        if let Some((frame, pdu)) = read.filter(|_| may_leave(&anew)) {
            go_on(self, frame, pdu);
        }
        self.anew = anew;
    }

    /// What was kept, brought into a form that may leave. Costs one more reading.
    pub(crate) fn strict_of_kept(
        &mut self,
        pdu: Vec<u8>,
        commands: [CommandId; 2],
    ) -> Result<Vec<u8>, (Vec<u8>, DecodeError)> {
        let is_wanted = |view: &Pdu<'_>| commands.contains(&view.command_id());
        match judge(&pdu) {
            Ok((view, Verdict::Strict)) if is_wanted(&view) => Ok(pdu),
            Ok((view, Verdict::Rewritable)) if is_wanted(&view) => {
                self.counters.traffic.kept_rewritten += 1;
                write_strict(&view, 0, &mut self.anew);
                let mut pdu = pdu;
                pdu.clear();
                pdu.extend_from_slice(&self.anew);
                Ok(pdu)
            }
            Ok((_, verdict)) => {
                self.counters.traffic.kept_malformed += 1;
                let other = DecodeError { problem: Problem::Value, field: Field::CommandId, offset: 4 };
                let error = if let Verdict::Refused(error) = verdict { error } else { other };
                Err((pdu, error))
            }
            Err(error) => {
                self.counters.traffic.kept_malformed += 1;
                Err((pdu, error))
            }
        }
    }

    /// The plan of a message, given that a vendor of it takes a message of its form.
    #[inline]
    pub(crate) fn check_form(
        &self,
        plan: Option<PlanIndex>,
        frame: Frame<'_>,
        submission: &Submission<'_>,
    ) -> Result<PlanIndex, Refusal> {
        let plan = plan.ok_or(Refusal::NoRoute)?;
        let Submission { reserved, unsayable, .. } = *submission;
        let form = Form { length: frame.bytes().len(), reserved, unsayable };
        self.form_refusal(self.snapshot.routes().plan(plan), form).map_or(Ok(plan), Err)
    }

    /// Why a message found no vendor: none takes its form, or none is there.
    pub(crate) fn why_down(&self, key: Key) -> Refusal {
        let message = &self.messages[key];
        let plan = self.snapshot.routes().plan(message.plan);
        let refusal = if message.origin.is_served() { None } else { self.form_refusal(plan, message.form()) };
        refusal.unwrap_or(Refusal::NoVendor)
    }

    /// Why no vendor of a plan takes a message of this form; nothing where one does, or where there is none.
    #[inline]
    pub(crate) fn form_refusal(&self, plan: &[Candidate], form: Form) -> Option<Refusal> {
        if !self.snapshot.has_forms() || plan.is_empty() {
            return None;
        }
        let takes = |candidate: &Candidate, form| takes(&self.snapshot, candidate, form);
        if plan.iter().any(|candidate| takes(candidate, form)) {
            return None;
        }
        let is_taken = |form| plan.iter().any(|candidate| takes(candidate, form));
        let refusal = match (form.reserved, form.unsayable) {
            _ if !is_taken(Form { length: form.length, ..Form::default() }) => Refusal::TooLong,
            (_, Some(why)) if !is_taken(Form { reserved: None, ..form }) => Refusal::of_unsayable(why),
            (Some(field), _) => Refusal::of_reserved(field),
            (None, Some(why)) => Refusal::of_unsayable(why),
            (None, None) => Refusal::TooLong,
        };
        Some(refusal)
    }
}

/// Whether a candidate's vendor takes a message of this form.
#[inline]
pub(crate) fn takes(snapshot: &crate::snapshot::Snapshot, candidate: &Candidate, form: Form) -> bool {
    if !snapshot.has_forms() {
        return true;
    }
    let growth = if snapshot.routes().rewrite(candidate).is_some() { REWRITE_GROWTH_MAX } else { 0 };
    snapshot.vendors()[usize::from(candidate.vendor)].takes(form, growth)
}
