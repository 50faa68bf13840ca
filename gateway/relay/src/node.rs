//! Between the nodes of one gateway: a node that holds no bind of a vendor sends through one that does.
//!
//! ```text
//!   node C: a vendor's link that leads to node A --submit_sm--> node A: a session of another node, for one vendor
//!           (used while this shard has no bind     <--answer--  (served on A's own binds of that vendor on this shard,
//!            of its own, and none is elsewhere)                  and on nothing else: no message goes round)
//! ```
//!
//! Node C decides everything about the message but when it is sent: admission, limits, route, correlation and the
//! customer's answer are its own. Node A answers with the vendor's own status and id, or says that the message was never
//! sent, or that nobody knows.

use crate::admit::Submission;
use crate::circuit::Outcome;
use crate::in_flight::addresses;
use crate::input::Arrival;
use crate::message::{Key, LinkKey, MessageEvent, MessageKey, VendorId};
use crate::open::{Origin, Place};
use crate::refusal::Refusal;
use crate::relay::{Party, Relay};
use crate::shard_message::SubmitOutcome;
use crate::snapshot::Correlate;
use crate::vendor::{VendorLink, pace};
use core::time::Duration;
use smpp::field::CommandId;
use smpp::time::Instant;
use smpp::wire::Frame;

/// How long nothing is sent to a node that sent a message back: its bind is gone or its queue is full, and asking again
/// at once would only send messages to and fro.
const NODE_REST: Duration = Duration::from_millis(250);

/// What became of a message of another node, for that node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeAnswer {
    /// That node's session.
    pub link: LinkKey,
    /// The sequence number of its request.
    pub sequence: u32,
    /// `SUBMIT_SM_RESP` or `DATA_SM_RESP`.
    pub command: CommandId,
    /// What became of it.
    pub outcome: SubmitOutcome,
}

impl Relay {
    /// A link to another node that sends on its own binds of this vendor is up. `window` bounds our unanswered requests on
    /// it. Lost by [`Relay::vendor_closed`]. False when the vendor is not in this shard's snapshot: close the link then.
    pub fn node_bound(&mut self, now: Instant, vendor: VendorId, link: LinkKey, window: u32) -> bool {
        let Some(place) = self.vendors.place(&self.snapshot, vendor) else { return false };
        if self.parties.contains_key(&link) {
            return false;
        }
        let Some((key, bind)) = self.vendor_links.insert() else { return false };
        *bind = VendorLink {
            link,
            vendor: place,
            may_submit: window > 0,
            window,
            pace: pace(0), // the other node paces
            leads_to_node: true,
            ..VendorLink::default()
        };
        self.parties.insert(link, Party::Vendor(key));
        if self.vendors[place].add_node(key) {
            if self.vendors[place].links.len() == 1 {
                self.hasten_spool();
            }
            self.announce_vendor(place);
            self.dispatch(now, place);
        }
        true
    }

    /// The other node says that a message was never sent: it goes elsewhere or waits, and that node is left alone for a
    /// while.
    pub fn handle_node_unsent(&mut self, now: Instant, message: MessageKey) {
        let Some(link) = self.written_on(message) else {
            self.counters.traffic.stale_events += 1;
            return;
        };
        self.free_slot(link);
        if let Some(bind) = self.vendor_links.get_mut(link) {
            bind.blocked = true;
            bind.rests_until = now + NODE_REST;
        }
        self.counters.traffic.node_unsent += 1;
        self.note_ended(now, message.0, Outcome::Void);
        self.leave_link(message.0);
        let attempts_max = self.snapshot.limits().attempts_max;
        self.records.unsent(message.0);
        let open = &mut self.messages[message.0];
        open.step(MessageEvent::ProveUnsent);
        open.place = Place::Hands;
        open.deadline = Instant::default();
        open.returns = open.returns.saturating_add(1);
        let (vendor, is_served) = (open.vendor, open.origin.is_served());
        if open.returns > attempts_max {
            open.remember_try(vendor);
            if is_served || open.attempts() >= attempts_max {
                self.forget_send(vendor);
                return self.refuse(message.0, Refusal::QueueFull);
            }
        }
        self.forget_send(vendor);
        self.settle(now, message.0);
    }

    /// Another node proved that it is one, and will send messages for one vendor. Lost by [`Relay::node_closed`]. False
    /// when this shard's snapshot has no such vendor: close the link then.
    pub fn node_session_bound(&mut self, vendor: VendorId, link: LinkKey) -> bool {
        let is_new = !self.parties.contains_key(&link);
        let is_known = self.vendors.place(&self.snapshot, vendor).is_some();
        if is_new && is_known {
            self.parties.insert(link, Party::Node(vendor));
        }
        is_new && is_known
    }

    /// Another node's session is closed. Its messages that wait here are dropped: to that node their outcome is unknown.
    pub fn node_closed(&mut self, link: LinkKey) {
        if let Some(Party::Node(_)) = self.parties.get(&link) {
            self.parties.remove(&link);
        }
    }

    /// The next answer to another node. To be drained like [`Relay::poll`], with it.
    #[inline]
    pub fn poll_node(&mut self) -> Option<NodeAnswer> {
        self.node_answers.pop_front()
    }

    pub(crate) fn serve_node(&mut self, arrival: Arrival, frame: Frame<'_>, submission: &Submission<'_>) {
        self.counters.traffic.node_served += 1;
        match self.enter_for_node(&arrival, frame, submission) {
            Some(key) => self.settle(arrival.now, key),
            None => self.node_answers.push_back(NodeAnswer {
                link: arrival.link,
                sequence: frame.sequence_number(),
                command: submission.command.response(),
                outcome: SubmitOutcome::Unsent,
            }),
        }
    }

    fn enter_for_node(
        &mut self,
        arrival: &Arrival,
        frame: Frame<'_>,
        submission: &Submission<'_>,
    ) -> Option<Key> {
        let Some(Party::Node(vendor)) = self.parties.get(&arrival.link).copied() else { return None };
        let is_too_long = frame.bytes().len() > self.snapshot.limits().pdu_size_max as usize;
        if self.draining || arrival.over_window || is_too_long || submission.malformed.is_some() {
            return None;
        }
        let place = self.vendors.place(&self.snapshot, vendor)?;
        let (key, message) = self.messages.insert()?;
        message.reset();
        message.origin = Origin::Node { link: arrival.link, sequence: frame.sequence_number() };
        message.command = submission.command;
        message.vendor = place;
        if submission.wants_receipt() && self.snapshot.correlate() != Correlate::None {
            message.addresses = addresses(submission.source, submission.destination);
        }
        self.spare.fill(&mut message.pdu, frame.bytes());
        message.step(MessageEvent::Admit);
        Some(key)
    }

    /// The last bind here is lost, and there are links to other nodes: what waits here for other nodes does not wait for
    /// a way through yet another one.
    pub(crate) fn evacuate_for_nodes(&mut self, now: Instant, vendor: u16) {
        if !self.vendors[vendor].through_nodes {
            return;
        }
        let mut next = self.messages.first(&self.vendors[vendor].queue);
        while let Some(key) = next {
            next = self.messages.after(key);
            if matches!(self.messages[key].origin, Origin::Node { .. }) {
                self.messages.remove(&mut self.vendors[vendor].queue, key);
                self.messages[key].step(MessageEvent::ProveUnsent);
                self.messages[key].place = Place::Hands;
                self.settle(now, key);
            }
        }
    }
}
